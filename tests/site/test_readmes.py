# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the README of every role, as a user runs them who copies them into one playbook.

A root file system of a distribution takes minutes; its example is run in check mode (:mod:`test_services` has it done).
"""

from __future__ import annotations

import os
import re
import typing as t

import pytest
import yaml
from support import lab, site, world
from support.roles import Example, example

#: In the order in which they need each other.
ORDER = ("host", "network", "service")


def absent(wanted: Example) -> dict[str, t.Any]:
    """The same example, taken back."""
    if wanted.role == "service":
        return wanted.play({"service_description": {**wanted.variables["service_description"], "state": "absent"}})
    return wanted.play({f"{wanted.role}_state": "absent"})


@pytest.fixture
def run(tmp_path: t.Any) -> t.Callable[..., int]:
    """Runs plays as a playbook; how many tasks changed something."""

    def play(plays: t.Sequence[dict[str, t.Any]], *options: str) -> int:
        path = tmp_path / "readme.yml"
        path.write_text(yaml.safe_dump(plays))
        variables = {"ansible_connection": "local"}
        printed = site.play(str(path), variables, "-i", "localhost,", *options, interpreter="/usr/bin/python3")
        (recap,) = re.findall(r"changed=(\d+)", printed)
        return int(recap)

    return play


def test_examples_work_one_after_the_other(run: t.Callable[..., int]) -> None:
    before = site.snapshot()
    examples = [example(role) for role in ORDER]
    assert run([each.play() for each in examples]) > 0
    answers = [lab.call(f"127.0.0.1:{port}") for port in (8080, 8081)]
    assert [words for words in answers if words.startswith("curl failed")] == [], "a replica does not answer"
    assert run([absent(each) for each in reversed(examples)]) > 0
    assert world.difference(before, site.snapshot()) == []


def test_example_of_a_root_file_system(run: t.Callable[..., int]) -> None:
    wanted = example("rootfs")
    assert run([wanted.play()], "--check") > 0
    assert not os.path.exists(wanted.variables["rootfs_path"])
