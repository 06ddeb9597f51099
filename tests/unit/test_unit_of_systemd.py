# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The unit of systemd that our control groups are below, which runs start and stop beside each other."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import time

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup import systemd
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup.hierarchy import Hierarchy, Host
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup.tree import Tree

RUNS, EACH = 6, 20


class Systemd(Tree):
    """Directories of a tree that systemd minds: it starts no unit twice, and what it stops is killed."""

    def __init__(self, root: str) -> None:
        self.base = f"{root}/nsfleet.slice/nsfleet.service"
        self.killed: list[str] = []

    def attribute(self, path: str, name: str) -> str:
        """Whose the directories are."""
        return "1" if name == "trusted.delegate" and path == self.base and os.path.isdir(path) else ""

    def run(self, *command: str, fine: bool = False) -> None:
        """What the collection has systemd do."""
        time.sleep(0.001)  # so that others have their turn
        if command[0] == "systemd-run":
            os.makedirs(self.base)  # fails where it is there
        elif command[:2] == ("systemctl", "stop"):
            place = self.base if command[2] == systemd.UNIT else os.path.dirname(self.base)
            if not fine or os.path.isdir(place):
                self.killed += self.children(place)
                os.rmdir(place)


@pytest.fixture
def systemd_(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """One that the module asks."""
    found = Systemd(str(tmp_path))
    monkeypatch.setattr(systemd, "_run", found.run)
    monkeypatch.setattr(systemd, "_LOCK", str(tmp_path / "lock"))
    return found


def test_runs_beside_each_other_leave_each_other_their_groups(systemd_: Systemd, tmp_path: pathlib.Path) -> None:
    host = Host([Hierarchy(str(tmp_path), 2, ("memory",))], systemd=True, tree=systemd_)

    def make_and_remove(number: int) -> None:
        for _attempt in range(EACH):
            with systemd.started(host):
                os.mkdir(f"{systemd_.base}/{number}")
            os.rmdir(f"{systemd_.base}/{number}")
            systemd.stop(host)

    with concurrent.futures.ThreadPoolExecutor(RUNS) as pool:
        list(pool.map(make_and_remove, range(RUNS)))
    assert systemd_.killed == []
    assert os.listdir(tmp_path) == [], "something is left: the unit's group, or the lock"
