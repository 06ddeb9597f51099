# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module topology, changes that are to be confirmed: the host takes back by itself what nobody confirms."""

from __future__ import annotations

import glob
import typing as t

import pytest
from support import kill, laws, world
from support.abilities import need
from support.invoke import invoke

PENDING = "/run/nsfleet/confirm/*"
EMPTY: dict[str, t.Any] = {kind: [] for kind in ("netns", "bridges", "veths", "routes", "nat")}
BEFORE: dict[str, t.Any] = {
    "bridges": [{"name": "case-br", "addresses": ["10.40.0.1/24"]}],
    "netns": [{"name": "case"}],
    "veths": [
        {
            "name": "case-v0", "master": "case-br",
            "peer": {"name": "eth0", "netns": "case", "addresses": ["10.40.0.10/24"]},
        },
        {"name": "case-v1", "alias": "old", "peer": {"name": "eth1", "netns": "case", "addresses": ["10.41.0.10/24"]}},
    ],
    "routes": [{"destination": "default", "netns": "case", "via": "10.40.0.1"}],
}  # fmt: skip
#: Another address of the bridge; another network, with what hangs on it; a pair that goes, one that comes.
AFTER: dict[str, t.Any] = {
    "bridges": [{"name": "case-br", "addresses": ["10.40.0.2/24"], "mtu": 1400}],
    "netns": [{"name": "case"}, {"name": "case-new"}],
    "veths": [
        {**BEFORE["veths"][0], "tx_queues": 3},
        {"name": "case-v2", "master": "case-br", "peer": {"name": "eth0", "netns": "case-new"}},
    ],
    "routes": [{"destination": "default", "netns": "case", "via": "10.40.0.2"}],
    "purge": "owned",
}  # fmt: skip


@pytest.fixture(autouse=True)
def host() -> t.Iterator[None]:
    """A host with a network; at the end, everything of ours is purged."""
    laws.run("topology", BEFORE)
    yield
    laws.run("topology", {**EMPTY, "purge": "owned"})


def nothing_waits() -> bool:
    """Whether no guard is there any more."""
    return not glob.glob(PENDING)


def test_what_is_confirmed_stays() -> None:
    done = laws.run("topology", {**AFTER, "confirm_timeout": 60})
    assert done["pending"]["seconds"] == 60
    laws.run("topology", {"confirm": done["pending"]["token"]})
    world.until(nothing_waits)
    laws.settled("topology", {**AFTER, "confirm_timeout": 60})
    assert world.addresses("case-br") == ["10.40.0.2/24"]
    again = invoke("topology", {"confirm": done["pending"]["token"]})
    assert "no change waits" in again["msg"]


def test_what_nobody_confirms_is_taken_back() -> None:
    before = world.networks()
    done = laws.run("topology", {**AFTER, "confirm_timeout": 1})
    assert not world.exists("case-v1")
    world.until(nothing_waits)
    changes = world.difference(before, world.networks())
    assert not changes
    assert "no change waits" in invoke("topology", {"confirm": done["pending"]["token"]})["msg"]
    laws.settled("topology", BEFORE)


def test_nobody_builds_on_what_may_be_taken_back() -> None:
    laws.run("topology", {**AFTER, "confirm_timeout": 2})
    later = laws.run("netns", {"name": "case-late"})  # it waits for the lock
    assert later.changed
    assert nothing_waits()
    assert world.namespaces() == ["case", "case-late"]
    laws.run("netns", {"name": "case-late", "state": "absent"})


def test_what_was_cut_short_is_taken_back_at_once() -> None:
    need("system calls of x86_64")
    before = world.networks()
    for number in (60, 90, 120):
        outcome = kill.run_and_kill("topology", {**AFTER, "confirm_timeout": 200}, number)
        assert outcome.killed
        world.until(nothing_waits)
        changes = world.difference(before, world.networks())
        assert not changes, f"killed before system call {number} ({outcome.calls[-1]}): {changes}"


def test_a_change_that_fails_is_put_back_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        laws.failing(patch)
        failed = invoke("topology", {**BEFORE, "bridges": AFTER["bridges"], "confirm_timeout": 200})
    assert "injected failure. Everything was put back as it was" in failed["msg"]
    world.until(nothing_waits)
    laws.settled("topology", BEFORE)


def test_only_a_network_can_be_taken_back() -> None:
    cgroups = [{"name": "case"}]
    laws.refused("topology", {"cgroups": cgroups, "confirm_timeout": 60}, "confirm_timeout", "cgroups another task")
    laws.refused("topology", {**BEFORE, "confirm": "x"}, "mutually exclusive")
    laws.refused("topology", {**BEFORE, "confirm_timeout": 0.5}, "confirm_timeout", "expected 1 to 250 seconds")
