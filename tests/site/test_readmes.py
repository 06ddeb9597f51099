# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the READMEs of the collection and of every role, as a user runs them who copies them.

A root file system of a distribution takes minutes; its example is run in check mode (:mod:`test_services` has it done).
"""

from __future__ import annotations

import os
import typing as t

import pytest
from support import lab, site, world
from support.readmes import COLLECTION, ROLES, example, taken_back, variables


@pytest.mark.parametrize(
    ("folders", "places"),
    [
        ([ROLES / role for role in ("host", "network", "service")], ["127.0.0.1:8080", "127.0.0.1:8081"]),
        ([ROLES / "host", COLLECTION], ["10.9.0.10"]),
    ],
    ids=["roles", "modules"],
)
def test_examples_work_one_after_the_other(run: t.Callable[..., int], folders: t.Any, places: list[str]) -> None:
    before = site.snapshot()
    plays = [example(folder) for folder in folders]
    assert run(plays) > 0
    assert [lab.call(place, "", "--head").partition("\n")[0].strip() for place in places] == [
        "HTTP/1.0 200 OK" for _place in places
    ]
    assert run(plays) == 0
    assert run([taken_back(play) for play in reversed(plays)]) > 0
    assert world.difference(before, site.snapshot()) == []


def test_example_of_a_root_file_system(run: t.Callable[..., int]) -> None:
    assert run([example(ROLES / "rootfs")], "--check") > 0
    assert not os.path.exists(variables("rootfs")["rootfs_path"])
