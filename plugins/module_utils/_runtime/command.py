# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``nsrun``: the command line of the runtime, as that of runc and crun. Each command loads only what it needs."""

from __future__ import annotations

import importlib
import os
import sys
import typing as t

from .._model.errors import NsfleetError
from .cli.arguments import Option, Values, parse

ROOT: t.Final = "/run/nsrun"
_VERSION = "1.0.0"
_GENERAL: t.Final = (
    Option("root", "DIR", f"where containers are kept between commands; {ROOT} if not given"),
    Option("log", "FILE", "where errors are written, too"),
    Option("log-format", "FORMAT", "text or json"),
    Option("log-level", "LEVEL", "taken for the sake of runc's command line"),
    Option("debug", "", "taken for the sake of runc's command line"),
    Option("systemd-cgroup", "", "control groups are units of systemd: linux.cgroupsPath is SLICE:PREFIX:NAME"),
    Option("rootless", "MODE", "taken for the sake of runc's command line"),
    Option("criu", "PATH", "taken for the sake of runc's command line"),
    Option("version v", "", "tell the version"),
    Option("help h", "", "this list"),
)


class Command(t.NamedTuple):
    """One command: where its function and its options are, and how many operands it takes."""

    module: str  #: of the package ``cli``
    function: str
    options: str  #: name of the tuple of its options; empty: it has none
    operands: str  #: as the usage shows them
    least: int
    most: int
    help: str


_ENDLESS = 1 << 20
COMMANDS: t.Final[t.Mapping[str, Command]] = {
    "create": Command("make", "create", "MAKE", "ID", 1, 1, "make all of a container but its payload"),
    "start": Command("make", "start", "", "ID", 1, 1, "execute the payload of a created container"),
    "run": Command("make", "run", "RUN", "ID", 1, 1, "create and start a container"),
    "exec": Command("execute", "execute", "EXEC", "ID [COMMAND [ARGUMENT...]]", 1, _ENDLESS,
                    "start a process in a running container"),
    "state": Command("show", "state", "", "ID", 1, 1, "tell the state of a container"),
    "kill": Command("steer", "kill", "KILL", "ID [SIGNAL]", 1, 2, "send a signal to a container; SIGTERM if not given"),
    "delete": Command("make", "delete", "DELETE", "ID", 1, 1, "take a stopped container away"),
    "list": Command("show", "list_all", "LIST", "", 0, 0, "tell of all containers"),
    "ps": Command("show", "processes", "PS", "ID [OPTION OF ps(1)...]", 1, _ENDLESS,
                  "tell the processes of a container"),
    "pause": Command("steer", "pause", "", "ID", 1, 1, "stop all processes of a container where they are"),
    "resume": Command("steer", "resume", "", "ID", 1, 1, "let a paused container go on"),
    "update": Command("limit", "update", "UPDATE", "ID", 1, 1, "change limits of a running container"),
    "events": Command("limit", "events", "EVENTS", "ID", 1, 1, "tell what a container uses, and when memory runs out"),
    "spec": Command("show", "spec", "SPEC", "", 0, 0, "write a config.json to begin with"),
    "features": Command("show", "features", "", "", 0, 0, "tell what the runtime can do"),
}  # fmt: skip


def main(words: t.Sequence[str]) -> int:
    """Run one command.

    :param words: the command line without the program's name.
    :returns: exit status.
    """
    general: Values = {"log": "", "log-format": ""}
    try:
        general, rest = parse(_GENERAL, words, most=1)
        general["root"] = os.path.abspath(general["root"] or ROOT)
        return _run(general, rest)
    except (NsfleetError, OSError) as error:
        from .cli.report import report

        report(general, error)
        return 1


def _run(general: Values, words: t.Sequence[str]) -> int:
    if general["version"]:
        from .spec import VERSION

        sys.stdout.write(f"nsrun version {_VERSION}\nspec: {VERSION}\n")
        return 0
    if general["help"] or not words or words[0] == "help":
        sys.stdout.write(usage())
        return 0
    name, *rest = words
    command = COMMANDS.get(name)
    if command is None:
        raise NsfleetError(f"there is no command {name}; there are {', '.join(COMMANDS)}")
    module = importlib.import_module(f"{__package__}.cli.{command.module}")
    options = (*getattr(module, command.options, ()), _GENERAL[-1])
    values, operands = parse(options, rest, most=1 if command.most == _ENDLESS else None)
    if values["help"]:
        sys.stdout.write(usage_of(name, options))
        return 0
    if not command.least <= len(operands) <= command.most:
        raise NsfleetError(f"nsrun {name}: expected {command.operands or 'nothing more'}, got {' '.join(operands)!r}")
    status: int = getattr(module, command.function)(general, values, operands)
    return status


def usage() -> str:
    """What the program can be told."""
    commands = "".join(f"  {name:<10} {each.help}\n" for name, each in COMMANDS.items())
    options = "".join(f"{each.shown()}\n" for each in _GENERAL)
    return f"usage: nsrun [OPTION...] COMMAND [OPTION...] [ID] ...\n\ncommands:\n{commands}\noptions:\n{options}"


def usage_of(name: str, options: t.Iterable[Option]) -> str:
    """What one command can be told."""
    command = COMMANDS[name]
    listed = "".join(f"{each.shown()}\n" for each in options)
    return f"usage: nsrun {name} [OPTION...] {command.operands}\n\n{command.help}\n\noptions:\n{listed}"
