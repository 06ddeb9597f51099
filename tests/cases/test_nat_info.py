# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module nat_info, by what tasks of ``nat`` asked for and by ss(8)."""

from __future__ import annotations

import re
import typing as t

import pytest
from support import lab, laws, world

OUT = {"subnet": "10.2.0.0/24", "link": "nsbr"}
WEB = {"port": "8080", "to": "10.2.0.10", "to_port": 80, "localhost": False}


@pytest.fixture
def forwarding() -> t.Iterator[None]:
    """A host that forwards."""
    world.sh("sysctl -qw net.ipv4.ip_forward=1")
    yield
    world.sh("sysctl -qw net.ipv4.ip_forward=0")


def info(**options: str) -> dict[str, t.Any]:
    """What the module says; to ask changes nothing."""
    before = world.snapshot()
    found = laws.run("nat_info", options)
    assert not found.changed
    assert world.difference(before, world.snapshot()) == []
    return found


def sockets(netns: str = "") -> set[tuple[str, int, int]]:
    """Protocol, port and process of all listening sockets, as ss(8) shows them."""
    shown = world.sh(f"{f'ip netns exec {netns} ' if netns else ''}ss -Hlntup")
    found = (re.match(r"(tcp|udp) .*?:(\d+) +\S+ +users:\(\(\"[^\"]*\",pid=(\d+)", line) for line in shown.splitlines())
    return {(match[1], int(match[2]), int(match[3])) for match in found if match}


def listeners(**options: str) -> set[tuple[str, int, int]]:
    """The same, as the module says it."""
    return {(each["protocol"], each["port"], each["process"]["pid"]) for each in info(**options)["listeners"]}


@pytest.mark.usefixtures("forwarding")
def test_what_is_published() -> None:
    laws.run("nat", {"name": "out", "networks": [OUT], "isolate": ["nsbr"]})
    laws.run("nat", {"name": "web", "publish": [WEB, {**WEB, "port": "9000-9001", "protocols": ["udp"]}]})
    out, web = info()["nats"]
    assert (out["name"], web["name"]) == ("out", "web")
    assert (out["networks"][0]["subnet"], out["isolate"], out["publications"]) == ("10.2.0.0/24", ["nsbr"], [])
    first = {"address": "0.0.0.0", "port": "8080", "protocol": "tcp", "to": "10.2.0.10", "to_port": 80}
    assert web["publications"][0] == {**first, "localhost": False}
    assert {each["port"] for each in web["publications"]} == {"8080", "9000", "9001"}
    assert info(name="web")["nats"] == [web]
    assert info(name="we")["nats"] == []
    for name in ("out", "web"):
        laws.remove("nat", {"name": name})
    assert info()["nats"] == []


def test_who_listens() -> None:
    before = sockets()
    with lab.service("one", 8081, netns="") as pid:
        assert ("tcp", 8081, pid) in sockets() - before
        assert listeners() == sockets()
    assert listeners() == before


def test_a_namespace_of_its_own() -> None:
    world.sh("ip netns add case && ip -n case link set lo up")
    with lab.service("case", 8082) as pid:
        assert listeners(netns="case") == sockets("case")
        assert ("tcp", 8082, pid) in sockets("case")
        assert 8082 not in {each["port"] for each in info()["listeners"]}
    world.sh("ip netns delete case")


def test_no_such_namespace() -> None:
    laws.refused("nat_info", {"netns": "nowhere"}, "netns: there is no network namespace 'nowhere'")
    laws.refused("nat_info", {"name": "a/b"}, "name: expected 1 to 64 letters")
