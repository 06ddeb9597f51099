# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the cases that were skipped here are run in a machine by ``make test``."""

from __future__ import annotations

from hosts.cases import sample

TESTS = [f"bridge.py::{number}" for number in range(10)] + [f"cgroup.py::{number}" for number in range(3)]


def test_every_file_has_its_share_from_everywhere_in_it() -> None:
    assert sample(TESTS, 4) == ["bridge.py::0", "bridge.py::5", "cgroup.py::0", "cgroup.py::1"]
    assert sample(TESTS, 1) == ["bridge.py::0"]


def test_all_are_run_where_there_is_room_for_all() -> None:
    assert sample(TESTS, 100) == TESTS
    assert sample([], 6) == []
