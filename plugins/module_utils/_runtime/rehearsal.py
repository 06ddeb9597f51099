# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A start that is tried out beside the container that it is to replace, which goes on as if nothing was.

It is a whole start, up to the first instruction of the payload, which is never run: namespaces, mounts, users, the
filter of system calls, limits in a control group beside the container's own, and the payload's file with its
interpreter. So whatever would keep the container from being started again is known before it is stopped.
"""

from __future__ import annotations

import errno
import os
import signal
import typing as t

from .._kernel import process
from .._kernel.sysctl import namespace_of, parameter_path
from .._model.errors import NsfleetError
from . import groups
from .birth import MESSAGE, not_executed
from .launch import Launch, by_descriptor
from .schema import check
from .spec import annotation, layer, told

if t.TYPE_CHECKING:
    from .bundle import Bundle
    from .spec import Spec


def rehearse(bundle: Bundle, spec: Spec) -> None:
    """Try out a description.

    :param bundle: of the container that runs, which has another description, or the same.
    :raises NsfleetError: the container could not be started so; nothing is left of the attempt.
    :raises OSError: this host cannot.
    """
    check(spec)
    draft = groups.draft(spec)
    state = told(spec, bundle.name, bundle.directory, "creating")
    try:
        place = _Place(bundle.directory, bundle.stage, draft)
        pid = Rehearsal(place, groups.make(draft), (None, None, None), state).start()
        os.kill(pid, signal.SIGKILL)  # a child that was not waited for: nobody else has its pid
        os.waitpid(pid, 0)
    finally:
        groups.remove_draft(spec["linux"]["cgroupsPath"])


class _Place(t.NamedTuple):
    """The container's own place, with the description that is tried out."""

    directory: str
    stage: str
    spec: Spec


class Rehearsal(Launch):
    """A start after which the new process stands before the first instruction of its payload."""

    def _prepare(self) -> None:
        """What others would notice is left out: hooks, values of namespaces that they are in, calls told to them."""
        super()._prepare()
        self.setup.hooks_inside = self.setup.hooks_at_start = ()
        for name in self.linux.get("sysctl") or ():
            if namespace_of(name) in self.joined:
                del self.setup.sysctls[parameter_path(name)]
        if self.filter is not None and self.filter.listener:
            self.filter = None

    def _run_hooks(self, pid: int) -> None:
        """See :meth:`_prepare`."""

    def _overlay(self, trees: t.Sequence[int], where: str) -> int:
        """What it writes, such as the places of mounts, goes to memory."""
        del where
        return super()._overlay(trees, "tmpfs")

    def _merge(self, lower: t.Sequence[str], options: t.Sequence[tuple[str, str]] = ()) -> int:
        """The container's own layer, too, which is only read; the kernel lets others have it open without an index."""
        own = os.path.join(self.place.directory, layer(self.spec)[0])
        if annotation(self.spec, "overlay") != "disk" or not os.path.isdir(own):
            return super()._merge(lower, options)
        own, options = by_descriptor(own), [*options, ("index", "off")]
        try:
            return super()._merge([own, *lower], options)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        # It is itself somewhere in what it lies on, as in the host's root. So that is to be another file system.
        return super()._merge([own, self._as_one(lower)], options)

    def _as_one(self, lower: t.Sequence[str]) -> str:
        """Directories as one, of a file system of its own; overlayfs takes two at least."""
        return self._attached(super()._merge([*lower, self._folder("empty")]), "below")

    def _execute(self, pid: int, listen: int, say: int) -> None:
        try:
            process.trace(pid)
        except PermissionError:
            return  # where nobody may watch a process, all is known but whether the payload can be executed
        os.write(say, b"1")
        if not process.until_executed(pid, 1 if self.setup.stub is None else 2):
            told = os.read(listen, MESSAGE)
            words = not_executed(told, self.process["args"]) if told else "something killed the process"
            raise NsfleetError(words)
