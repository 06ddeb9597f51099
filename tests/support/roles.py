# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example in the README of a role."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
ACTION = "ansible.builtin.include_role"


class Example(t.NamedTuple):
    """A role, and the variables that its example gives it."""

    role: str
    variables: dict[str, t.Any]

    def play(self, more: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
        """The play of the README.

        :param more: variables that win over those of the example.
        """
        variables = {**self.variables, **(more or {})}
        task = {ACTION: {"name": f"nsfleet.linux.{self.role}"}, **({"vars": variables} if variables else {})}
        return {"hosts": "all", "tasks": [task]}


def example(role: str) -> Example:
    """The example of a role.

    :raises AssertionError: its README has no play, or more than one, or it does something else than to run the role.
    """
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (ROLES / role / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1, f"expected one example in the README of role {role}, got {len(blocks)}"
    plays = yaml.safe_load(blocks[0])
    found = Example(role, plays[0]["tasks"][0].get("vars", {}))
    assert plays == [found.play()], f"the example of role {role} is not one play of one task that runs it"
    return found
