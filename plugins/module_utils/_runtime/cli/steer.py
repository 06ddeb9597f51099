# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that act on a container that is there: kill, pause, resume."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..._kernel import process
from ..._model.errors import NsfleetError
from ..instance import CREATED, PAUSED, RUNNING, Instance
from ..signals import signal_number
from .arguments import Option, Values

KILL: t.Final = (Option("all a", "", "to all its processes, also if the first one has ended"),)
_SIGKILL = 9


def kill(general: Values, values: Values, operands: list[str]) -> int:
    """Send a signal to a container.

    :returns: exit status.
    :raises NsfleetError: there is no such signal, or it does not run.
    """
    instance = Instance(general["root"], operands[0])
    try:
        number = signal_number(operands[1] if len(operands) > 1 else "TERM")
    except ValueError as error:
        raise NsfleetError(str(error)) from None
    record = instance.load()
    status = instance.status(record)
    if values["all"]:
        _kill_all(instance, number)
    elif status not in (CREATED, RUNNING, PAUSED):
        raise NsfleetError(f"cannot kill container {instance.name!r}: it is {status}, not running")
    elif number == _SIGKILL and not _has_own_pids(instance):
        instance.group.kill()  # nothing else ends the processes that the first one leaves
    else:
        process.send_signal(record.pid, record.started, number)
    return 0


def _kill_all(instance: Instance, number: int) -> None:
    group = instance.group
    if number == _SIGKILL:
        group.kill()
        return
    for pid in group.processes(recursive=True) if group.exists else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _has_own_pids(instance: Instance) -> bool:
    spaces = (instance.spec.get("linux") or {}).get("namespaces") or ()
    return any(each["type"] == "pid" and not each.get("path") for each in spaces)


def pause(general: Values, values: Values, operands: list[str]) -> int:
    """Stop all processes of a container where they are.

    :returns: exit status.
    :raises NsfleetError: it does not run, or cannot be frozen.
    """
    del values
    return _freeze(Instance(general["root"], operands[0]), True, (RUNNING, CREATED))


def resume(general: Values, values: Values, operands: list[str]) -> int:
    """Let a paused container go on.

    :returns: exit status.
    :raises NsfleetError: it is not paused.
    """
    del values
    return _freeze(Instance(general["root"], operands[0]), False, (PAUSED,))


def _freeze(instance: Instance, frozen: bool, expected: t.Sequence[str]) -> int:
    with instance.locked():
        status = instance.status(instance.load())
        if status not in expected:
            word = "pause" if frozen else "resume"
            raise NsfleetError(f"cannot {word} container {instance.name!r}: it is {status}, not {expected[0]}")
        instance.group.freeze(frozen)
    return 0
