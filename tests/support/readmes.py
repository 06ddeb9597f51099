# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example in the README of the collection and of every role."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import yaml

COLLECTION = Path(__file__).resolve().parents[2]
ROLES = COLLECTION / "roles"
ROLE = "ansible.builtin.include_role"

Task = dict[str, t.Any]


def example(folder: Path) -> dict[str, t.Any]:
    """The play that a README shows.

    :param folder: where the README is.
    :raises AssertionError: it has none, or more than one.
    """
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (folder / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1, f"expected one example in the README of {folder}, got {len(blocks)}"
    plays = yaml.safe_load(blocks[0])
    assert len(plays) == 1, f"expected one play in the README of {folder}, got {len(plays)}"
    return t.cast("dict[str, t.Any]", plays[0])


def variables(role: str) -> dict[str, t.Any]:
    """What the example of a role gives it.

    :raises AssertionError: the example does something else than to run the role.
    """
    (task,) = example(ROLES / role)["tasks"]
    assert task[ROLE] == {"name": f"nsfleet.linux.{role}"}, f"the example of role {role} does not run it"
    return t.cast("dict[str, t.Any]", task.get("vars", {}))


def taken_back(play: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The same play with each task for the absence of what it made, the last one first."""
    return {**play, "tasks": [_absent(task) for task in reversed(play["tasks"])]}


def _absent(task: Task) -> Task:
    if ROLE in task:
        role = task[ROLE]["name"].rpartition(".")[2]
        return {**task, "vars": _absent_role(role, task.get("vars", {}))}
    (module,) = (word for word in task if word.startswith("nsfleet.linux."))
    return {**task, module: {**task[module], "state": "absent"}}


def _absent_role(role: str, given: Task) -> Task:
    if role == "service":
        return {**given, "service_description": {**given["service_description"], "state": "absent"}}
    return {**given, f"{role}_state": "absent"}
