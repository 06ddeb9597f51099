# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that a module waits for, in a container that runs or in one of their own."""

from __future__ import annotations

import typing as t

from support import world
from support.invoke import Result, Run, invoke


class Waited:
    """A module that waits for a program.

    :param module: its name.
    :param base: options that every task has.
    """

    def __init__(self, module: str, base: t.Mapping[str, t.Any]) -> None:
        self.module, self.base = module, base

    def run(self, *command: str, **options: t.Any) -> Result:
        """A program from its beginning to its end, whatever comes of it.

        :raises AssertionError: something of it is left on the host.
        """
        before = world.snapshot()
        result = invoke(self.module, {**self.base, "command": list(command), **options})
        assert "Traceback" not in str(result), result
        assert world.difference(before, world.snapshot()) == [], "something is left of the program"
        return result

    def told(self, script: str, **options: t.Any) -> str:
        """What a script prints that is to succeed."""
        result = self.run("/bin/sh", "-c", script, **options)
        assert not result.failed, result
        assert result.changed
        return str(result["stdout"])

    def start(self, *command: str, **options: t.Any) -> Run:
        """A program that goes on meanwhile."""
        return Run(self.module, {**self.base, "command": list(command), **options})
