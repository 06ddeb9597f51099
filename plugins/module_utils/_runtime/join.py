# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A further process of a running container: it joins the namespaces and the control group of the first one.

What the container must not get hold of on the way (CVE-2016-9962, CVE-2024-21626): descriptors of the host are closed
on exec, nobody may trace the process before, and its directory is looked up in the container's root.
"""

from __future__ import annotations

import os
import typing as t

from .._kernel import namespace, process
from .._kernel.path import read_file
from .._model.errors import NsfleetError
from . import init, payload, seccomp, usernamespace, users
from .birth import Birth
from .spec import has_root, shares_mounts

if t.TYPE_CHECKING:
    from .._cgroup.group import Group
    from .spec import Spec, Told
    from .state import Process

#: The order in which namespaces are joined: the user namespace last, since it takes the rights over the others away.
_ORDER = ("net", "ipc", "uts", "pid", "cgroup", "time", "mnt")


class Join(Birth):
    """One further process.

    :param first: the container's first process.
    :param spec: the container's description.
    :param process_: ``process`` of the runtime-spec.
    :param group: the control group of the container, if any.
    :param standard: descriptors of standard input, output and error; ``None``: ``/dev/null`` of the container.
    :param state: of the container, as others are told it.
    :param user: name of a user and group of the container, instead of the numbers in ``process_``.
    :param supplementary: names or numbers of groups that the user has beside those in ``process_``.
    """

    STEPS = init.FURTHER
    FURTHER = True

    def __init__(
        self,
        first: Process,
        spec: Spec,
        process_: dict[str, t.Any],
        group: Group | None,
        standard: tuple[int | None, int | None, int | None],
        state: Told,
        user: str = "",
        supplementary: t.Sequence[str] = (),
    ) -> None:
        super().__init__(process_, group, standard, state)
        self.first = first
        self.spec = spec
        self.user = user
        self.supplementary = supplementary

    def _prepare(self) -> None:
        try:
            self.mappings = usernamespace.read_mappings(self.first.pid)
            self._find_namespaces()
            linux = self.spec.get("linux") or {}
            payload.prepare(self.setup, self.process, linux)
            self.filter = seccomp.prepare(linux.get("seccomp"))
            self._look_up_user()
            if has_root(self.spec) and shares_mounts(self.spec):
                self.setup.chroot = self._open_root()
        finally:
            # What was opened is its own if it still runs: somebody else may have its pid otherwise.
            if not self.first.alive:
                raise NsfleetError("the container has ended")

    def _look_up_user(self) -> None:
        setup = self.setup
        if not (self.user or self.supplementary):
            return
        root = self._open_root()
        try:
            named = self.user or f"{setup.uid}:{setup.gid}"
            found = users.resolve(
                lambda path: read_file(root, path), named, [*map(str, setup.groups), *self.supplementary]
            )
        finally:
            os.close(root)
        setup.uid, setup.gid, setup.groups = found

    def _open_root(self) -> int:
        return os.open(f"/proc/{self.first.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def _run_hooks(self, pid: int) -> None:
        """A process that joins a container has none."""

    def _told(self, pid: int) -> bytes:
        """The state has the first process, whoever joins."""
        del pid
        return super()._told(self.first.pid)

    def _find_namespaces(self) -> None:
        """Those that are not the caller's own; a namespace cannot be joined by whoever is in it, if it is for users."""
        for kind in (*_ORDER, "user"):
            # The first process's own processes are born into what these two say.
            name = f"{kind}_for_children" if kind in ("pid", "time") else kind
            path = f"/proc/{self.first.pid}/ns/{name}"
            try:
                if namespace.identity(path) == namespace.identity(f"/proc/self/ns/{name}"):
                    continue
                fd = namespace.open_namespace(path)
            except FileNotFoundError:  # a kernel without time namespaces
                continue
            except OSError as error:
                raise NsfleetError(f"namespaces.{kind}: the container's own: {error.strerror}") from error
            if kind == "user":
                self.user_namespace = fd
            else:
                self.joined[kind] = fd

    def _give_birth(self) -> int:
        self._join(_ORDER)
        if self.user_namespace is not None:
            self._enter_user()
        self._doing = "start the process"
        return process.clone(process.CLONE_PARENT, self.birthplace)
