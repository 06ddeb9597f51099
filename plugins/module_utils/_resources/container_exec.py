# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command in a running container: there is no state to reach, so it is none of the kinds."""

from __future__ import annotations

import copy
import functools
import os
import posixpath
import signal
import typing as t

from .._kernel import process
from .._kernel.path import find_in
from .._model.errors import KernelError, Missing, OptionError
from .._model.field import Field, State, Table
from .._model.names import container_name
from .._runtime import groups
from .._runtime import state as states
from .._runtime.bundle import Bundle
from .._runtime.spec import Spec, annotation
from .command_result import by_code, not_run, run
from .container_fields import FIELDS, TALK

if t.TYPE_CHECKING:
    from .._runtime.exchange import Exchange

#: Exit code of a command that was killed, and seconds that a container which is being killed may take to be gone.
_KILLED, _MOMENT = 128 + signal.SIGKILL, 1.0
_AS_THE_CONTAINER = Table(FIELDS)


def _pattern(value: str) -> str:
    if not value or "\0" in value:
        raise ValueError(f"expected a path or a pattern such as /run/*.pid, got {value!r}")
    return value


def _same(name: str) -> t.Callable[[t.Any], t.Any]:
    """The canonical form of the option that describes the container's own process."""
    return _AS_THE_CONTAINER[name].canonical


TABLE = Table(
    (
        Field("name", required=True, canonical=container_name),
        Field("command", "list", elements="str", required=True, canonical=_same("command")),
        Field("user", canonical=_same("user")),
        Field("env", "dict", canonical=_same("env")),
        Field("cwd", "path", canonical=_same("cwd")),
        *TALK,
        Field("creates", canonical=_pattern),
        Field("removes", canonical=_pattern),
    )
)


class Target(t.NamedTuple):
    """A container that runs."""

    bundle: Bundle
    first: states.Process

    def objection(self, options: State) -> str:
        """Why the command is not to be run: what it would create is there, or what it would remove is not.

        :raises Missing: the container has ended.
        """
        folder = options.get("cwd") or self.bundle.spec["process"]["cwd"]
        if "creates" in options and self._has(posixpath.join(folder, options["creates"])):
            return f"skipped, since {options['creates']} exists"
        if "removes" in options and not self._has(posixpath.join(folder, options["removes"])):
            return f"skipped, since {options['removes']} does not exist"
        return ""

    def _has(self, pattern: str) -> bool:
        try:
            root = os.open(f"/proc/{self.first.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            raise _stopped(self.bundle.name) from None
        try:
            if not self.first.alive:
                raise _stopped(self.bundle.name)
            return find_in(root, pattern) is not None
        finally:
            os.close(root)


def act(options: State, check: bool) -> State:
    """Run the command, or say whether it would be run.

    :param options: canonical options of :data:`TABLE`.
    :param check: whether this is check mode.
    :raises NsfleetError: there is no such container or it does not run, or the command cannot be started.
    """
    if not options["command"]:
        raise OptionError("command", "expected the program to run and its arguments, as a list")
    warnings = []
    target, objection = None, ""
    try:
        target = _target(options["name"])
        objection = target.objection(options)
    except Missing as error:
        if not check:
            raise
        warnings.append(str(error))
    if target is None or objection or check:
        return _not_run(options, objection, warnings)
    return run(options, functools.partial(_execute, options, target), functools.partial(_failure, target))


def _target(name: str) -> Target:
    """The container, as far as it can be run in now.

    :raises Missing: it is not there, or does not run; an earlier task may be about to change that.
    """
    bundle = Bundle(name)
    if not bundle.exists:
        raise Missing(f"name: there is no container {name}; make one with the module container")
    known = states.load(name)
    if not known.running:
        raise _stopped(name)
    frozen = groups.of(bundle.spec).frozen_by()
    if frozen:
        raise Missing(f"name: container {name} is paused, since the control group {frozen} is frozen; thaw it first")
    return Target(bundle, known.first)


def _stopped(name: str) -> Missing:
    return Missing(f"name: container {name} does not run; start it with the module container (state: started)")


def _not_run(options: State, objection: str, warnings: t.Sequence[str]) -> State:
    decided = "creates" in options or "removes" in options
    words = objection or "command would have run if not in check mode"
    return not_run(words, changed=decided and not objection, skipped=not decided, warnings=warnings)


def _execute(options: State, target: Target, exchange: Exchange) -> tuple[int, bool]:
    from .._runtime import oneshot

    spec = target.bundle.spec
    user, supplementary = _who(options, spec)
    try:
        return oneshot.run(
            target.bundle, target.first, _process(options, spec["process"]), exchange,
            user=user, supplementary=supplementary, timeout=options.get("timeout"),
        )  # fmt: skip
    except PermissionError:
        raise
    except OSError as error:
        raise KernelError(f"run a command in container {target.bundle.name}", error) from error


def _who(options: State, spec: Spec) -> tuple[str, list[str]]:
    """User and supplementary groups; another user than the container's own has none of its groups."""
    if "user" in options:
        return options["user"], []
    supplementary = annotation(spec, "groups")
    return annotation(spec, "user"), supplementary.split(",") if supplementary else []


def _process(options: State, own: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """``process`` of the runtime-spec: the container's own with another command."""
    wanted = copy.deepcopy(dict(own))
    wanted.update(args=options["command"], cwd=options.get("cwd") or wanted["cwd"], terminal=False)
    wanted["env"] = [*(wanted.get("env") or ()), *(f"{name}={word}" for name, word in options.get("env", {}).items())]
    return wanted


def _failure(target: Target, code: int) -> str:
    if _ended(target.first, code):
        return f"container {target.bundle.name} ended while the command ran in it"
    return by_code(code)


def _ended(first: states.Process, code: int) -> bool:
    """Whether the command failed because the container ended.

    The kernel kills what is in a process namespace a moment before the first process of it is gone.
    """
    if code == _KILLED:
        return process.wait_for_end(*first, _MOMENT)
    return code != 0 and not first.alive
