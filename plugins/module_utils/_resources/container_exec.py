# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command in a running container: there is no state to reach, so it is none of the kinds."""

from __future__ import annotations

import contextlib
import copy
import datetime
import os
import posixpath
import signal
import typing as t

from .._kernel import process
from .._kernel.path import find_in
from .._model.errors import KernelError, Missing, OptionError
from .._model.field import Field, State, Table
from .._model.names import container_name
from .._model.quantities import between
from .._runtime import groups
from .._runtime import state as states
from .._runtime.bundle import Bundle
from .._runtime.spec import Spec, annotation
from .container_fields import FIELDS

if t.TYPE_CHECKING:
    from .._runtime.exchange import Exchange

#: All of the output has to go through the task's result.
_LARGEST_OUTPUT: t.Final = 64 << 20
#: Exit code of a command that was killed, and seconds that a container which is being killed may take to be gone.
_KILLED, _MOMENT = 128 + signal.SIGKILL, 1.0
_AS_THE_CONTAINER = Table(FIELDS)


def _timeout(value: float) -> float:
    if not value > 0:  # nor what is no number
        raise ValueError(f"expected more than 0 seconds, got {value:g}")
    return float(value)


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
        Field("stdin"),
        Field("stdin_add_newline", "bool", default=True),
        Field("strip_empty_ends", "bool", default=True),
        Field("timeout", "float", canonical=_timeout),
        Field("output_limit", "int", default=4 << 20, canonical=between(0, _LARGEST_OUTPUT)),
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
    return _run(options, target)


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


def _not_run(options: State, objection: str, warnings: list[str]) -> State:
    """What is told of a command that is not run, as the module ansible.builtin.command does."""
    decided = "creates" in options or "removes" in options
    return {
        "changed": decided and not objection, **({} if decided else {"skipped": True}),
        "msg": objection or "command would have run if not in check mode",
        "rc": 0, "stdout": "", "stderr": "", "start": None, "end": None, "delta": None,
        "timed_out": False, "truncated": False, "warnings": warnings,
    }  # fmt: skip


def _run(options: State, target: Target) -> State:
    from .._runtime.exchange import Exchange

    exchange = Exchange(_input(options), options["output_limit"])
    with contextlib.closing(exchange):
        start = datetime.datetime.now()
        code, timed_out = _execute(options, target, exchange)
        end = datetime.datetime.now()
    failure = _failure(options, target, code, timed_out)
    return {
        "changed": True, "failed": bool(failure), "msg": failure, "rc": code,
        "stdout": _text(exchange.stdout.kept, options), "stderr": _text(exchange.stderr.kept, options),
        "start": str(start), "end": str(end), "delta": str(end - start),
        "timed_out": timed_out, "truncated": exchange.stdout.truncated or exchange.stderr.truncated,
    }  # fmt: skip


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


def _input(options: State) -> bytes | None:
    if "stdin" not in options:
        return None
    words = options["stdin"] + ("\n" if options["stdin_add_newline"] else "")
    return t.cast("str", words).encode(errors="surrogateescape")


def _text(output: bytearray, options: State) -> str:
    """Output as text; bytes that are no UTF-8 are shown as ``\\xff``, since a result has to be text."""
    text = output.decode(errors="backslashreplace")
    return text.rstrip("\r\n") if options["strip_empty_ends"] else text


def _failure(options: State, target: Target, code: int, timed_out: bool) -> str:
    if timed_out:
        return f"the command did not end within {options['timeout']:g} s and was killed, with all that it had started"
    if _ended(target.first, code):
        return f"container {target.bundle.name} ended while the command ran in it"
    return "non-zero return code" if code else ""


def _ended(first: states.Process, code: int) -> bool:
    """Whether the command failed because the container ended.

    The kernel kills what is in a process namespace a moment before the first process of it is gone.
    """
    if code == _KILLED:
        return process.wait_for_end(*first, _MOMENT)
    return code != 0 and not first.alive
