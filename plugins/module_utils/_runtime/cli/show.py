# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that tell: state, list, ps, features, spec."""

from __future__ import annotations

import json
import os
import sys
import typing as t

from ..._model.errors import NsfleetError
from ..instance import Instance, names
from .arguments import Option, Values

LIST: t.Final = (
    Option("format f", "FORMAT", "table or json"),
    Option("quiet q", "", "ids only"),
)
PS: t.Final = (Option("format f", "FORMAT", "table or json"),)
SPEC: t.Final = (
    Option("bundle b", "DIR", "where config.json is written"),
    Option("rootless", "", "with a user namespace for the caller"),
)
_COLUMNS = ("id", "pid", "status", "bundle", "created", "owner")


def _say(value: t.Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def state(general: Values, values: Values, operands: list[str]) -> int:
    """Tell the state of a container.

    :returns: exit status.
    :raises NsfleetError: there is no such container.
    """
    del values
    _say(Instance(general["root"], operands[0]).state())
    return 0


def list_all(general: Values, values: Values, operands: list[str]) -> int:
    """Tell of all containers.

    :returns: exit status.
    :raises NsfleetError: the format is not known.
    """
    del operands
    _check_format(values)
    found = [Instance(general["root"], name).state() for name in names(general["root"])]
    if values["quiet"]:
        sys.stdout.write("".join(f"{each['id']}\n" for each in found))
    elif values["format"] == "json":
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        rows = [[column.upper() for column in _COLUMNS], *([str(each[word]) for word in _COLUMNS] for each in found)]
        widths = [max(map(len, column)) for column in zip(*rows)]
        for row in rows:
            sys.stdout.write("  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() + "\n")
    return 0


def _check_format(values: Values) -> None:
    if values["format"] not in ("", "table", "json"):
        raise NsfleetError(f"--format: expected table or json, got {values['format']!r}")


def processes(general: Values, values: Values, operands: list[str]) -> int:
    """Tell the processes of a container: their pids, or what ps(1) of the host says of them.

    :returns: exit status.
    :raises NsfleetError: there is no such container, or no ps(1) on the host.
    """
    _check_format(values)
    instance = Instance(general["root"], operands[0])
    instance.load()
    group = instance.group
    pids = group.processes(recursive=True) if group.exists else []
    if values["format"] == "json":
        sys.stdout.write(json.dumps(pids) + "\n")
        return 0
    return _table(pids, operands[1:] or ["-ef"])


def _table(pids: t.Sequence[int], options: t.Sequence[str]) -> int:
    import subprocess

    try:
        done = subprocess.run(["ps", *options], stdout=subprocess.PIPE, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NsfleetError(f"ps {' '.join(options)}: {error}") from error
    head, *lines = done.stdout.splitlines()
    column = head.split().index("PID")
    wanted = set(map(str, pids))
    shown = [line for line in lines if line.split()[column] in wanted]
    sys.stdout.write("\n".join([head, *shown]) + "\n")
    return 0


def features(general: Values, values: Values, operands: list[str]) -> int:
    """Tell what the runtime can do (runtime-spec, features.md).

    :returns: exit status.
    """
    from ..features import features as found

    del general, values, operands
    _say(found())
    return 0


def spec(general: Values, values: Values, operands: list[str]) -> int:
    """Write a description to begin with.

    :returns: exit status.
    :raises NsfleetError: there is one already.
    """
    from ..features import example

    del general, operands
    path = os.path.join(values["bundle"] or ".", "config.json")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(json.dumps(example(rootless=bool(values["rootless"])), indent=4) + "\n")
    except FileExistsError:
        raise NsfleetError(f"{path}: there is one already; remove it first") from None
    return 0
