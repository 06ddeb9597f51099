# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles say of themselves is what they do: argument specifications, defaults, README files."""

from __future__ import annotations

import typing as t

import pytest
import yaml
from support.readmes import ROLES, variables

NAMES = sorted(path.name for path in ROLES.iterdir())


def load(role: str, file: str) -> dict[str, t.Any]:
    """A YAML file of a role."""
    return t.cast("dict[str, t.Any]", yaml.safe_load((ROLES / role / file).read_text(encoding="utf-8")) or {})


def entry_points(role: str) -> dict[str, t.Any]:
    """The argument specifications of a role's entry points."""
    return t.cast("dict[str, t.Any]", load(role, "meta/argument_specs.yml")["argument_specs"])


def test_there_are_roles() -> None:
    assert NAMES == ["host", "network", "rootfs", "service"]


@pytest.mark.parametrize("role", NAMES)
def test_defaults_are_those_of_the_argument_specification(role: str) -> None:
    specified = {
        name: option["default"]
        for entry in entry_points(role).values()
        for name, option in entry["options"].items()
        if "default" in option
    }
    assert load(role, "defaults/main.yml") == specified


@pytest.mark.parametrize("role", NAMES)
def test_options_carry_the_name_of_the_role(role: str) -> None:
    for entry in entry_points(role).values():
        assert [name for name in entry["options"] if not name.startswith(f"{role}_")] == []


@pytest.mark.parametrize("role", NAMES)
def test_entry_points_are_files_of_tasks(role: str) -> None:
    assert [entry for entry in entry_points(role) if not (ROLES / role / "tasks" / f"{entry}.yml").exists()] == []


@pytest.mark.parametrize("role", NAMES)
def test_readme_names_every_option(role: str) -> None:
    readme = (ROLES / role / "README.md").read_text(encoding="utf-8")
    options = [name for entry in entry_points(role).values() for name in entry["options"]]
    assert [name for name in options if f"`{name}`" not in readme] == []


@pytest.mark.parametrize("role", NAMES)
def test_example_of_the_readme_gives_options_that_there_are(role: str) -> None:
    options = entry_points(role)["main"]["options"]
    given = variables(role)
    assert [name for name in given if name not in options] == []
    assert [name for name, option in options.items() if option.get("required") and name not in given] == []
