# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that starts a further process in a container: exec."""

from __future__ import annotations

import copy
import json
import os
import typing as t

from ..._kernel import files
from ..._kernel import process as kernel
from ..._model.errors import NsfleetError
from .. import groups
from ..instance import PAUSED, RUNNING, Instance
from ..join import Join
from ..schema import PROCESS, check
from ..state import Process
from .arguments import Option, Values, number
from .foreground import Foreground

EXEC: t.Final = (
    Option("console-socket", "SOCKET", "where the other end of the terminal goes to"),
    Option("cwd", "DIR", "directory of the process in the container"),
    Option("env e", "NAME=VALUE", "a variable more", repeated=True),
    Option("tty t", "", "a terminal"),
    Option("user u", "UID[:GID]", "as whom; names are those of the container"),
    Option("additional-gids g", "GID", "a group more", repeated=True),
    Option("process p", "FILE", "process of the runtime-spec as JSON, instead of all else"),
    Option("detach d", "", "return when the process runs"),
    Option("pid-file", "FILE", "where its pid is written"),
    Option("process-label", "LABEL", "of SELinux"),
    Option("apparmor", "PROFILE", "of AppArmor"),
    Option("no-new-privs", "", "it gains no privileges by executing anything"),
    Option("cap c", "CAPABILITY", "a capability more", repeated=True),
    Option("preserve-fds", "N", "descriptors 3 to 2+N of the caller are the process's, too"),
    Option("cgroup", "PATH", "a group below the container's own"),
    Option("ignore-paused", "", "in a paused container, too: it waits there"),
)
#: Sets that a capability is added to: never those that outlive a change of program by accident (CVE-2022-29162).
_SETS: t.Final = ("bounding", "effective", "permitted")


def execute(general: Values, values: Values, operands: list[str]) -> int:
    """Start a process in a running container.

    :returns: its exit status, or 0 if it is detached.
    :raises NsfleetError: the container does not run, or the process cannot be started.
    """
    instance = Instance(general["root"], operands[0])
    record = instance.load()
    status = instance.status(record)
    if status == PAUSED and not values["ignore-paused"]:
        raise NsfleetError(f"cannot exec in container {instance.name!r}: it is paused")
    if status not in (RUNNING, PAUSED):
        raise NsfleetError(f"cannot exec in container {instance.name!r}: it is {status}, not running")
    wanted = _process(instance.spec["process"], values, operands[1:])
    group = instance.group
    if values["cgroup"]:
        group = groups.below(group, values["cgroup"])
    kernel.keep_descriptors(3 + number(values, "preserve-fds"))
    front = Foreground(detached=bool(values["detach"]))
    first, state = Process(record.pid, record.started), instance.told(status, record.bundle)
    join = Join(first, instance.spec, wanted, group if group.exists else None, (0, 1, 2), state, _name(values))
    join.setup.keyring = instance.keyring
    join.setup.console = front.console(wanted, values["console-socket"])
    pid = join.start()
    if values["pid-file"]:
        files.write_whole(os.path.abspath(values["pid-file"]), str(pid), 0o644)
    return 0 if values["detach"] else front.wait(pid)


def _process(own: t.Mapping[str, t.Any], values: Values, arguments: list[str]) -> dict[str, t.Any]:
    """``process`` of the runtime-spec: from a file, or the container's own with changes."""
    if values["process"]:
        if arguments:
            raise NsfleetError("--process names all of the process, so no command is expected after the container")
        return _read(values["process"])
    if not arguments:
        raise NsfleetError("expected a command after the container's id, or --process")
    process = copy.deepcopy(dict(own))
    process.update(args=arguments, terminal=bool(values["tty"]))
    process["env"] = [*(process.get("env") or ()), *values["env"]]
    process["cwd"] = values["cwd"] or process["cwd"]
    for option, field in (("process-label", "selinuxLabel"), ("apparmor", "apparmorProfile")):
        if values[option]:
            process[field] = values[option]
    if values["no-new-privs"]:
        process["noNewPrivileges"] = True
    _add_rights(process, values)
    return process


def _read(path: str) -> dict[str, t.Any]:
    try:
        with open(path, encoding="utf-8") as file:
            process = json.load(file)
    except (OSError, ValueError) as error:
        raise NsfleetError(f"--process: {path}: {getattr(error, 'strerror', None) or error}") from error
    check(process, PROCESS, f"--process: {path}")
    return t.cast("dict[str, t.Any]", process)


def _add_rights(process: dict[str, t.Any], values: Values) -> None:
    """Groups and capabilities that the process has more than the container's first one."""
    if values["additional-gids"]:
        user = process.setdefault("user", {"uid": 0, "gid": 0})
        numbers = [_number("additional-gids", word) for word in values["additional-gids"]]
        user["additionalGids"] = [*(user.get("additionalGids") or ()), *numbers]
    if values["cap"]:
        sets = process.setdefault("capabilities", {})
        for name in _SETS:
            sets[name] = sorted({*(sets.get(name) or ()), *values["cap"]})


def _number(option: str, word: str) -> int:
    if not word.isdigit():
        raise NsfleetError(f"--{option}: expected a number, got {word!r}")
    return int(word)


def _name(values: Values) -> str:
    """The user by name or number; empty: as ``process`` says."""
    return "" if values["process"] else str(values["user"])
