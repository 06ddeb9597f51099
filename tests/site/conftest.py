# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole sites are brought up in a sandbox only."""

from __future__ import annotations

import os
import pathlib
import re
import typing as t

import pytest
import yaml
from support import site, world


@pytest.fixture(scope="session", autouse=True)
def sandbox() -> None:
    """A host of its own, whose overlay shows the folders that role host writes to before anything is written."""
    if not os.environ.get("NSFLEET_SANDBOX"):
        pytest.fail("these tests change the host: run them by 'make integration', which gives them one of their own")
    for folder in ("/etc/sysctl.d", "/etc/systemd/network"):
        world.sh(f"touch {folder}/probe && rm {folder}/probe")


@pytest.fixture
def run(tmp_path: pathlib.Path) -> t.Callable[..., int]:
    """Runs plays as a playbook; how many tasks changed something."""

    def play(plays: t.Sequence[dict[str, t.Any]], *options: str) -> int:
        path = tmp_path / "playbook.yml"
        path.write_text(yaml.safe_dump(plays))
        local = {"ansible_connection": "local"}
        printed = site.play(str(path), local, "-i", "localhost,", *options, interpreter="/usr/bin/python3")
        (recap,) = re.findall(r"changed=(\d+)", printed)
        return int(recap)

    return play
