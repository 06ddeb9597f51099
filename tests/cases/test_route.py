# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module route, by ``ip -j route``, ``ip route get`` and packets."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.route import TABLE
from support import lab, laws, world
from support.laws import Case

BASE = {"destination": "10.20.0.0/16", "dev": "nsbr"}
HOPS = {"destination": "10.20.0.0/16"}
BASE6 = {"destination": "fd00:20::/32", "dev": "nsbr"}
#: Two bridges with addresses, as ip(8) reads it: one process makes them all.
LINKS = "\n".join(
    f"""link add {name} type bridge
link set {name} addrgenmode none
addr add 10.{last}.0.1/24 dev {name}
addr add fd00:{last}::1/64 dev {name} nodad
addr add fe80::1/64 dev {name} nodad
link set {name} up"""
    for name, last in (("nsbr", 1), ("dmz", 2))
)


@pytest.fixture(autouse=True)
def links(clean_host: None) -> t.Iterator[None]:
    """Two links with addresses, on the host and in a namespace."""
    del clean_host
    world.sh("ip netns add case")
    for ip in ("ip", "ip -n case"):
        world.sh(f"{ip} -batch - <<'END'\n{LINKS}\nEND")
    yield
    world.sh("ip netns delete case; ip link delete nsbr; ip link delete dmz; true")
    world.sh("for family in -4 -6; do ip $family route flush table all proto 110; done")


def routes(destination: str, table: str = "main", netns: str = "") -> list[dict[str, t.Any]]:
    """Routes to a destination as ``ip -j -d route`` shows them."""
    where = f"-n {netns}" if netns else ""
    family = "-6" if ":" in destination else "-4"
    output = world.sh(f"ip {where} {family} -j -d route show table {table} exact {destination} 2>/dev/null || true")
    return t.cast("list[dict[str, t.Any]]", json.loads(output or "[]"))


def shown(word: str, destination: str = "10.20.0.0/16", table: str = "main") -> t.Any:
    """One word of the only route to a destination; ``None`` if it is not there."""
    found = routes(destination, table)
    assert len(found) <= 1, found
    return found[0].get(word) if found else None


def hops(destination: str) -> list[tuple[str | None, str, int]]:
    """Gateway, link and weight of each of several next hops."""
    found = shown("nexthops", destination) or []
    each = ((hop.get("gateway", hop.get("via", {}).get("host")), hop["dev"], hop["weight"]) for hop in found)
    return sorted(each, key=str)


CASES = [
    Case(
        "via", {"via": "10.1.0.9"}, lambda: shown("gateway"), "10.1.0.9",
        "ip route replace 10.20.0.0/16 via 10.1.0.8 dev nsbr proto 110",
    ),
    Case(
        "via of IPv6 for IPv4", {"via": "fe80:0::9"}, lambda: (shown("via") or {}).get("host"), "fe80::9",
        "ip route replace 10.20.0.0/16 via inet6 fe80::8 dev nsbr proto 110",
    ),
    Case(
        "dev", {"dev": "dmz"}, lambda: shown("dev"), "dmz",
        "ip route replace 10.20.0.0/16 dev nsbr proto 110 scope link", reverts_to="nsbr",
    ),
    Case(
        "source", {"source": "10.2.0.1"}, lambda: shown("prefsrc"), "10.2.0.1",
        "ip route replace 10.20.0.0/16 dev nsbr proto 110 scope link src 10.1.0.1",
    ),
    Case(
        "scope", {"scope": "host"}, lambda: shown("scope"), "host",
        "ip route replace 10.20.0.0/16 dev nsbr proto 110 scope site", reverts_to="link",
    ),
    Case(
        "onlink", {"via": "192.0.2.9", "onlink": True}, lambda: shown("flags"), ["onlink"],
        "ip route replace 10.20.0.0/16 dev nsbr proto 110 scope link", reverts_to=[],
    ),
    Case(
        "several gateways by hand", {"via": "10.1.0.9"}, lambda: (shown("gateway"), shown("nexthops")),
        ("10.1.0.9", None),
        "ip route replace 10.20.0.0/16 proto 110 nexthop via 10.1.0.9 weight 2 nexthop via 10.2.0.9",
    ),
    Case(
        "nexthops", {
            "dev": "",
            "nexthops": [{"via": "10.2.0.9", "weight": 3}, {"via": "10.1.0.9", "dev": "nsbr"}],
        },
        lambda: hops("10.20.0.0/16"), [("10.1.0.9", "nsbr", 1), ("10.2.0.9", "dmz", 3)],
        "ip route replace 10.20.0.0/16 proto 110 nexthop via 10.1.0.8 nexthop via 10.2.0.9 weight 3", reverts_to=[],
    ),
    Case(
        "nexthops without gateways, or with such of IPv6", {
            "dev": "",
            "nexthops": [{"via": "fe80::9", "dev": "nsbr", "weight": 256}, {"dev": "dmz"},
                         {"via": "192.0.2.9", "dev": "dmz", "onlink": True}],
        },
        lambda: hops("10.20.0.0/16"), [("192.0.2.9", "dmz", 1), ("fe80::9", "nsbr", 256), (None, "dmz", 1)],
        "ip route replace 10.20.0.0/16 dev dmz proto 110", reverts_to=[],
    ),
    Case(
        "mtu", {"mtu": 1400, "mtu_lock": True, "advmss": 1300}, lambda: shown("metrics"),
        [{"mtu": 1400, "advmss": 1300}],
        "ip route replace 10.20.0.0/16 dev nsbr proto 110 scope link mtu 1300 hoplimit 4",
    ),
    Case(
        "mtu_lock", {"mtu": 1400, "mtu_lock": True}, lambda: "mtu lock 1400" in world.sh("ip route"), True,
        "ip route replace 10.20.0.0/16 dev nsbr proto 110 scope link mtu 1400", reverts_to=False,
    ),
    Case(
        "advmss", {"advmss": 1200}, lambda: shown("metrics"), [{"advmss": 1200}],
        "ip route replace 10.20.0.0/16 dev nsbr proto 110 scope link",
    ),
    *(
        Case(
            f"type {kind}", {"type": kind, "dev": ""}, lambda: shown("type"), kind,
            "ip route replace 10.20.0.0/16 dev nsbr proto 110 scope link", reverts_to="unicast",
        )
        for kind in ("blackhole", "prohibit", "throw")
    ),
]  # fmt: skip

CASES6 = [
    Case(
        "via", {"via": "fd00:1::0:9"}, lambda: shown("gateway", "fd00:20::/32"), "fd00:1::9",
        "ip route replace fd00:20::/32 via fd00:1::8 dev nsbr proto 110",
    ),
    Case(
        "dev", {"dev": "dmz"}, lambda: shown("dev", "fd00:20::/32"), "dmz",
        "ip route replace fd00:20::/32 dev nsbr proto 110", reverts_to="nsbr",
    ),
    Case(
        "source", {"source": "fd00:2::1"}, lambda: shown("prefsrc", "fd00:20::/32"), "fd00:2::1",
        "ip route replace fd00:20::/32 dev nsbr proto 110 src fd00:1::1",
    ),
    Case(
        "several gateways by hand", {"via": "fd00:1::9"},
        lambda: (shown("gateway", "fd00:20::/32"), shown("nexthops", "fd00:20::/32")), ("fd00:1::9", None),
        "ip route append fd00:20::/32 via fd00:2::9 dev dmz proto 110",
    ),
    Case(
        "nexthops", {
            "dev": "", "mtu": 1400,
            "nexthops": [{"via": "fe80::9", "dev": "nsbr"}, {"via": "fe80::9", "dev": "dmz", "weight": 2},
                         {"via": "fd00:1::9"}],
        },
        lambda: hops("fd00:20::/32"),
        [("fd00:1::9", "nsbr", 1), ("fe80::9", "dmz", 2), ("fe80::9", "nsbr", 1)],
        "ip -6 route del fd00:20::/32 via fe80::9 dev dmz", reverts_to=[],
    ),
    Case(
        "type", {"type": "unreachable", "dev": "", "mtu": 1400},
        lambda: shown("type", "fd00:20::/32"), "unreachable",
        "ip route replace fd00:20::/32 dev nsbr proto 110", reverts_to="unicast",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_option(case: Case) -> None:
    laws.option_holds("route", BASE, case)
    laws.remove("route", BASE)


def test_every_option_is_proved() -> None:
    laws.covered(
        TABLE,
        [*CASES, *CASES6],
        {
            "destination": test_destinations,
            "table": test_table_and_metric_tell_routes_apart,
            "metric": test_table_and_metric_tell_routes_apart,
            "netns": test_route_of_a_namespace,
            "adopt": test_foreign_route_is_not_touched_without_adopt,
            "on_drift": test_drift_that_is_not_to_be_repaired,
        },
    )


@pytest.mark.parametrize("case", CASES6, ids=lambda case: case.option)
def test_option_of_ipv6(case: Case) -> None:
    laws.option_holds("route", BASE6, case)
    laws.remove("route", BASE6)


@pytest.mark.parametrize(
    ("options", "table", "metric"),
    [
        ({"table": "100"}, "100", None),
        ({"table": "default"}, "default", None),
        ({"metric": 50}, "main", 50),
        ({"table": 4294967295, "metric": 4294967295}, "4294967295", 4294967295),
    ],
)
def test_table_and_metric_tell_routes_apart(options: dict[str, t.Any], table: str, metric: int | None) -> None:
    laws.four_steps("route", BASE)
    laws.four_steps("route", {**BASE, **options})
    laws.settled("route", BASE)
    found = [route for route in routes("10.20.0.0/16", table) if route.get("metric") == metric]
    assert [route["protocol"] for route in found] == ["110"]
    laws.repaired("route", {**BASE, **options}, f"ip route del 10.20.0.0/16 table {table} metric {metric or 0}")
    laws.remove("route", {**BASE, **options})
    laws.settled("route", BASE)
    laws.remove("route", BASE)


def test_metric_of_ipv6_is_the_kernels() -> None:
    laws.four_steps("route", BASE6)
    assert shown("metric", "fd00:20::/32") == 1024
    laws.settled("route", {**BASE6, "metric": 1024})
    laws.settled("route", {**BASE6, "metric": 0})
    laws.four_steps("route", {**BASE6, "metric": 7})
    assert [route["metric"] for route in routes("fd00:20::/32")] == [7, 1024]
    laws.remove("route", {**BASE6, "metric": 7})
    laws.remove("route", BASE6)


def test_table_by_its_name() -> None:
    folder = "/usr/lib/iproute2/rt_tables.d"
    world.sh(f"mkdir -p {folder} && printf '# number name\\n77 lab # of ours\\n' > {folder}/lab.conf")
    laws.four_steps("route", {**BASE, "table": "lab"})
    assert len(routes("10.20.0.0/16", "77")) == 1
    laws.settled("route", {**BASE, "table": 77})
    laws.remove("route", {**BASE, "table": "lab"})
    world.sh(f"rm {folder}/lab.conf")


@pytest.mark.parametrize(
    ("options", "destination"),
    [
        ({"destination": "default", "via": "10.1.0.9"}, "0.0.0.0/0"),
        ({"destination": "default", "via": "fd00:1::9"}, "::/0"),
        ({"destination": "default", "dev": "nsbr", "source": "fd00:1::1"}, "::/0"),
        ({"destination": "0.0.0.0/0", "via": "fe80::9", "dev": "nsbr"}, "0.0.0.0/0"),
        ({"destination": "::/0", "dev": "nsbr"}, "::/0"),
        ({"destination": "10.20.0.1", "dev": "nsbr"}, "10.20.0.1/32"),
        ({"destination": "fd00:20::0:1", "dev": "nsbr"}, "fd00:20::1/128"),
    ],
)
def test_destinations(options: dict[str, t.Any], destination: str) -> None:
    done = laws.four_steps("route", options)
    assert done["route"]["destination"] == destination
    assert len(routes(destination)) == 1
    laws.settled("route", {**options, "destination": destination})
    laws.remove("route", options)
    assert routes(destination) == []


def test_route_of_a_namespace() -> None:
    options = {"netns": "case", "destination": "default", "via": "10.1.0.9"}
    laws.four_steps("route", options)
    assert routes("0.0.0.0/0") == []
    assert routes("0.0.0.0/0", netns="case")[0]["gateway"] == "10.1.0.9"
    # Links take their routes with them when they go down.
    laws.repaired("route", options, "ip -n case link set nsbr down; ip -n case link set nsbr up")
    # The gateway moves to the network of another link, whose name the task leaves to the kernel.
    laws.four_steps("route", {**options, "via": "10.2.0.9"})
    assert routes("0.0.0.0/0", netns="case")[0]["dev"] == "dmz"
    laws.remove("route", options)


def test_packets_take_it() -> None:
    world.sh("ip link delete nsbr; ip link delete dmz")
    with lab.network(), lab.service("s1", 80), lab.service("six", 80, address="::", netns="s1"):
        for options in ({"destination": "10.2.0.0/24", "via": "192.0.2.1"}, {"destination": "fd00:2::/64"}):
            way = {"netns": "out", "via": "fd00:99::1", "source": "", **options}
            laws.four_steps("route", way)
        assert lab.call("10.2.0.10:80", "out") == "s1:80 192.0.2.2"
        assert lab.call("[fd00:2::10]:80", "out") == "six:80 fd00:99::2"
        laws.four_steps("route", {**way, "type": "unreachable", "via": ""})
        assert lab.call("[fd00:2::10]:80", "out").startswith("curl failed")
        laws.remove("route", way)
        laws.remove("route", {"netns": "out", "destination": "10.2.0.0/24"})


# --- foreign routes ----------------------------------------------------------


def test_foreign_route_is_not_touched_without_adopt() -> None:
    world.sh("ip route add 10.20.0.0/16 dev nsbr")
    laws.settled("route", BASE)
    for options in ({**BASE, "dev": "dmz"}, {**BASE, "state": "absent"}):
        laws.refused("route", options, "route 10.20.0.0/16 exists", "adopt")
    laws.four_steps("route", {**BASE, "dev": "dmz", "adopt": True})
    assert (shown("dev"), shown("protocol")) == ("dmz", "110")
    laws.remove("route", BASE)


def test_adopted_route_without_difference_gets_our_mark() -> None:
    world.sh("ip route add 10.20.0.0/16 via 10.1.0.9 src 10.2.0.1")
    options = {**BASE, "via": "10.1.0.9", "source": "10.2.0.1"}
    laws.four_steps("route", {**options, "adopt": True})
    assert (shown("gateway"), shown("prefsrc"), shown("protocol")) == ("10.1.0.9", "10.2.0.1", "110")
    laws.settled("route", options)
    laws.remove("route", options)


def test_route_replaced_by_hand_is_somebody_elses() -> None:
    laws.run("route", BASE)
    world.sh("ip route replace 10.20.0.0/16 via 10.2.0.9")
    laws.refused("route", BASE, "adopt")
    laws.four_steps("route", {**BASE, "adopt": True})
    laws.remove("route", BASE)


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_drift_that_is_not_to_be_repaired(policy: str) -> None:
    options = {**BASE, "via": "10.1.0.9"}
    damage = "ip route replace 10.20.0.0/16 proto 110 nexthop via 10.1.0.9 weight 2 nexthop via 10.2.0.9"
    laws.drift_stays("route", options, policy, damage, ["via is ''"], {"source": "10.2.0.1"})
    assert [hop["gateway"] for hop in shown("nexthops")] == ["10.1.0.9", "10.2.0.9"], "the drift is still there"
    laws.run("route", {**options, "state": "absent"})
    assert routes("10.20.0.0/16") == []


def test_failure_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world.sh("ip route add 10.20.0.0/16 proto static nexthop via 10.1.0.9 weight 2 nexthop via 10.2.0.9")
    world.sh("ip -6 route add fd00:20::/32 via fd00:1::9 proto static metric 1024")
    laws.failing(monkeypatch)
    laws.puts_back("route", [{**options, "adopt": True} for options in (BASE, BASE6, {**BASE, "metric": 7})])
    world.sh("ip route del 10.20.0.0/16; ip -6 route del fd00:20::/32")


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ("destination",)),
        ({"destination": "10.20.0.1/16", "dev": "nsbr"}, ("destination: expected the network 10.20.0.0/16",)),
        ({"destination": "there", "dev": "nsbr"}, ("destination: expected a network",)),
        ({**BASE, "dev": ""}, ("via: expected via, dev or both",)),
        ({**BASE, "via": "gateway"}, ("via: expected an IP address",)),
        ({**BASE, "via": "224.0.0.1"}, ("via: expected the address of one host",)),
        ({**BASE, "dev": "x" * 16}, ("dev: expected an interface name",)),
        ({**BASE, "source": "fd00::1"}, ("source: expected an IPv4 address",)),
        ({**BASE6, "source": "10.1.0.1"}, ("source: expected an IPv6 address",)),
        ({**BASE6, "via": "10.1.0.1"}, ("via: expected an IPv6 address",)),
        ({**BASE6, "scope": "link"}, ("scope: expected global",)),
        ({**BASE6, "dev": "", "via": "fe80::9"}, ("dev: expected the link on which fe80::9 is",)),
        ({**BASE, "scope": "near"}, ("scope", "near")),
        ({**BASE, "type": "local"}, ("type", "local")),
        ({**BASE, "type": "blackhole"}, ("dev: expected none for a route of type blackhole",)),
        ({**BASE, "onlink": True}, ("onlink: expected via and dev",)),
        ({**BASE, "nexthops": [{"dev": "dmz"}, {"dev": "nsbr"}]}, ("dev: expected none for a route with nexthops",)),
        ({**HOPS, "nexthops": [{"via": "10.1.0.9"}]}, ("nexthops: expected at least two",)),
        ({**HOPS, "nexthops": [{"via": "10.1.0.9"}] * 2}, ("nexthops[1].via: this next hop is given twice",)),
        ({**HOPS, "nexthops": [{"dev": "dmz", "weight": 257}, {}]}, ("nexthops[0].weight: expected 1 to 256",)),
        ({**HOPS, "nexthops": [{"dev": "dmz"}, {}]}, ("nexthops[1].via: expected via, dev or both",)),
        ({**HOPS, "nexthops": [{"dev": "dmz"}, {"via": "fe80::9"}]}, ("nexthops[1].dev: expected the link",)),
        (
            {"destination": "fd00:20::/32", "nexthops": [{"dev": "dmz"}, {"via": "fd00:1::9"}]},
            ("nexthops[0].via: expected an IPv6 address",),
        ),
        ({**BASE, "mtu_lock": True}, ("mtu_lock: expected mtu",)),
        ({**BASE, "mtu": 65521}, ("mtu: expected 0 to 65520",)),
        ({**BASE, "table": "nowhere"}, ("table: expected the number",)),
        ({**BASE, "table": 0}, ("table: expected the number",)),
        ({**BASE, "table": 4294967296}, ("table: expected the number",)),
        ({**BASE, "metric": -1}, ("metric: expected 0 to 4294967295",)),
        ({**BASE, "netns": "a b"}, ("netns: expected",)),
        ({**BASE, "gateway": "10.1.0.1"}, ("gateway",)),
    ],
)
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("route", options, *words)


def test_all_errors_at_once() -> None:
    failed = laws.refused("route", {"destination": "x", "via": "y", "dev": "a b", "metric": -1}, "destination:")
    assert [error["option"] for error in failed["errors"]] == ["destination", "metric", "via", "dev"]
    failed = laws.refused("route", {**BASE, "type": "throw", "via": "10.1.0.9", "source": "fd00::1"}, "via:")
    assert [error["option"] for error in failed["errors"]] == ["via", "dev", "source"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({**BASE, "netns": "nowhere"}, ("netns: there is no network namespace 'nowhere'",)),
        ({**BASE, "dev": "nothing"}, ("dev: there is no link nothing",)),
        ({**BASE, "via": "10.9.0.1"}, ("via: 10.9.0.1 is not in a network of the link nsbr",)),
        ({**BASE, "dev": "", "via": "10.9.0.1"}, ("via: 10.9.0.1 is not in a network of any link",)),
        ({**BASE, "dev": "", "via": "10.1.0.1"}, ("via: 10.1.0.1 is not in a network",)),
        ({**BASE6, "via": "fd00:9::1"}, ("via: fd00:9::1 is not in a network",)),
        (
            {**HOPS, "nexthops": [{"via": "10.1.0.9"}, {"via": "10.9.0.1"}, {"dev": "nothing"}]},
            ("nexthops[1].via: 10.9.0.1 is not", "nexthops[2].dev: there is no link nothing"),
        ),
        ({**BASE, "source": "10.9.0.1"}, ("source: no link there has the address 10.9.0.1",)),
    ],
)
def test_what_is_missing(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.missing("route", options, *words)


def test_link_that_is_down() -> None:
    world.sh("ip link set nsbr down")
    laws.missing("route", BASE, "dev: nsbr is down")


def test_absent_where_there_is_nothing() -> None:
    laws.settled("route", {**BASE, "state": "absent"})
    laws.settled("route", {"destination": "10.20.0.0/16", "table": 4711, "state": "absent"})
    laws.settled("route", {**BASE, "netns": "nowhere", "state": "absent"})


def test_nothing_is_left_of_a_route_that_somebody_removed() -> None:
    laws.run("route", BASE)
    world.sh("ip route del 10.20.0.0/16")
    assert not laws.run("route", {**BASE, "state": "absent"}).changed
