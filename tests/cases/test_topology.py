# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module topology: objects of all kinds in one transaction, on the kernel of this machine."""

from __future__ import annotations

import copy
import typing as t

import pytest
from support import laws, world
from support.invoke import invoke
from support.laws import Options

SHOP: dict[str, t.Any] = {
    "bridges": [{"name": "case-br", "addresses": ["10.40.0.1/24"], "ports": [{"name": "case-db", "isolated": True}]}],
    "netns": [
        {"name": "case-web", "sysctls": {"net.ipv4.conf.eth0.rp_filter": "2"}},
        {"name": "case-db"},
    ],
    "veths": [
        {
            "name": "case-web", "master": "case-br",
            "peer": {"name": "eth0", "netns": "case-web", "addresses": ["10.40.0.10/24"]},
        },
        {"name": "case-db", "peer": {"name": "eth0", "netns": "case-db", "addresses": ["10.40.0.11/24"]}},
    ],
    "routes": [
        {"destination": "default", "netns": "case-web", "via": "10.40.0.1"},
        {"destination": "10.41.0.0/24", "netns": "case-db", "via": "10.40.0.10"},
    ],
    "rules": [
        {"priority": 1000, "netns": "case-web", "from": "10.40.0.0/24", "table": "77"},
        {"priority": 1000, "to": "10.42.0.0/24", "action": "unreachable"},
    ],
    "nat": [
        {"name": "shop", "networks": [{"subnet": "10.40.0.0/24", "link": "case-br"}]},
        {"name": "ports", "publish": [{"port": "8080", "to": "10.40.0.10", "to_port": 80}]},
    ],
}  # fmt: skip
EMPTY: dict[str, t.Any] = {kind: [] for kind in SHOP}


def shop(**more: t.Any) -> dict[str, t.Any]:
    """The shop, to be changed at will."""
    return {**copy.deepcopy(SHOP), **more}


@pytest.fixture(autouse=True)
def host() -> t.Iterator[None]:
    """A host that forwards, which sets of published ports need; at the end, everything of ours is purged."""
    world.sh("sysctl -qw net.ipv4.ip_forward=1")
    yield
    laws.run("topology", {**EMPTY, "purge": "owned"})


def test_a_whole_shop_comes_and_goes() -> None:
    before = world.snapshot()
    done = laws.four_steps("topology", shop())
    assert {kind: len(objects) for kind, objects in done["topology"].items()} == {
        "netns": 2, "bridge": 1, "veth": 2, "route": 2, "rule": 2, "nat": 2,
    }  # fmt: skip
    assert world.addresses("eth0", "case-web") == ["10.40.0.10/24"]
    assert world.link("case-web")["master"] == world.link("case-db")["master"] == "case-br"
    assert world.sh("ip netns exec case-web cat /proc/sys/net/ipv4/conf/eth0/rp_filter") == "2\n"
    assert [each["gateway"] for each in world.ask("ip -n case-web -j route show default")] == ["10.40.0.1"]
    world.sh("ip netns exec case-db ping -c1 -W5 10.40.0.1")
    assert "10.40.0.10" in world.sh("nft list table ip nsfleet || nft list ruleset")
    laws.four_steps("topology", shop(state="absent"))
    assert not world.difference(before, world.snapshot())


def test_entries_may_be_in_any_order() -> None:
    options = {name: entries[::-1] for name, entries in reversed(SHOP.items())}
    result = laws.run("topology", options)
    assert not laws.run("topology", shop()).changed
    for kind, entries in SHOP.items():
        assert not laws.run("topology", {kind: entries}).changed, "a task with a part of it sees something else"
        assert len(result["topology"][kind.rstrip("s") if kind != "netns" else kind]) == len(entries)


DAMAGE = {
    "attributes": "ip -n case-web addr del 10.40.0.10/24 dev eth0; ip link set case-web nomaster;"
    "bridge link set dev case-db isolated off; ip netns exec case-web sysctl -qw net.ipv4.conf.eth0.rp_filter=1",
    "a pair, rules, and a flushed table": "ip link del case-db; nft flush ruleset; ip rule del priority 1000;"
    "ip -n case-web rule add priority 1000 from 10.40.0.10 lookup 78 proto 110",
    "a bridge": "ip link del case-br",
    "a namespace": "ip netns del case-web; while ip link show case-web; do sleep 0.02; done 2>/dev/null",
    "a name, and an end that was moved": "ip -n case-web link set eth0 down name other up;"
    "ip link set case-db netns case-web",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_was_damaged_by_hand_is_repaired(damage: str) -> None:
    laws.run("topology", shop())
    whole = world.snapshot()["networks"]
    laws.repaired("topology", shop(), damage)
    for place in ("", "case-web", "case-db"):
        now, then = (each[place]["addresses"] for each in (world.snapshot()["networks"], whole))
        assert [one["addr_info"] for one in now] == [one["addr_info"] for one in then] or "del" in damage


def test_a_pair_made_anew_gets_its_port_options_back() -> None:
    laws.run("topology", shop())
    options = shop()
    options["veths"][1]["tx_queues"] = 3
    done = laws.run("topology", options)
    assert {step["target"] for step in done["plan"]} == {"veth case-db"}
    assert len(world.ask("ip -d -j link show case-db")) == 1
    assert world.link("case-db")["master"] == "case-br"
    assert world.ask("bridge -d -j link show dev case-db")[0]["isolated"] is True
    laws.settled("topology", options)


def test_an_entry_may_leave_while_others_come() -> None:
    """What leaves goes first: its names and addresses are free for what comes."""
    laws.run("topology", shop())
    options = shop()
    options["veths"][0]["state"] = "absent"
    options["veths"].append(
        {
            "name": "case-new", "master": "case-br",
            "peer": {"name": "eth0", "netns": "case-web", "addresses": ["10.40.0.10/24"]},
        }
    )  # fmt: skip
    laws.four_steps("topology", options)
    assert not world.exists("case-web")
    assert world.link("case-new")["master"] == "case-br"
    assert world.addresses("eth0", "case-web") == ["10.40.0.10/24"]


def test_routes_over_a_bridge_are_no_ports_of_it() -> None:
    routes = [{"destination": f"10.99.{n // 64}.{n % 64 * 4}/30", "dev": "case-br"} for n in range(1024)]
    laws.run("topology", {"bridges": [{"name": "case-br"}], "routes": routes}, check=True)


def test_a_container_runs_in_a_namespace_that_comes_with_it() -> None:
    before = world.snapshot()
    options = shop(
        cgroups=[{"name": "case", "pids_max": 99}],
        containers=[
            {
                "name": "case", "rootfs": "/", "overlay": "tmpfs", "command": ["/bin/sleep", "31536000"],
                "namespaces": {"net": "case-web"}, "stop_signal": "KILL",
            }
        ],
    )  # fmt: skip
    laws.four_steps("topology", options)
    pid = world.sh("pgrep -xf '/bin/sleep 31536000'").strip()
    assert pid in world.sh("ip netns pids case-web").split()
    options["containers"][0]["memory_max"] = "64M"
    laws.four_steps("topology", options)
    assert world.sh("pgrep -xf '/bin/sleep 31536000'").strip() == pid
    laws.four_steps("topology", {**options, "state": "absent"})
    assert not world.difference(before, world.snapshot())


# --- purge -------------------------------------------------------------------------------------------


def test_purge_leaves_what_others_made() -> None:
    world.sh(
        "ip netns add case-foreign; ip link add case-fb type bridge; ip link add case-f0 type veth peer name case-f1;"
        "ip link set case-f1 netns case-foreign; ip link set case-f0 master case-fb;"
        "nft add table ip case_foreign; ip -n case-foreign link set lo up;"
        "ip -n case-foreign route add 10.77.0.0/16 dev lo"
    )
    foreign = world.snapshot()
    laws.run("topology", shop())
    less = shop(purge="owned")
    for kind in ("netns", "veths", "routes"):
        less[kind] = less[kind][:1]
    less["bridges"][0].pop("ports")
    less["nat"] = less["nat"][:1]
    laws.four_steps("topology", less)
    assert world.namespaces() == ["case-foreign", "case-web"]
    assert not world.exists("case-db")
    assert world.exists("case-web")
    assert "8080" not in world.sh("nft list ruleset")
    laws.four_steps("topology", {**EMPTY, "purge": "owned"})
    assert not world.difference(foreign, world.snapshot())
    world.sh("ip link del case-f0; ip link del case-fb; ip netns del case-foreign; nft delete table ip case_foreign")


def test_purge_does_not_look_at_kinds_without_a_list() -> None:
    laws.run("topology", shop())
    assert not laws.run("topology", {"veths": SHOP["veths"], "purge": "owned"}).changed
    laws.four_steps("topology", {"routes": [], "nat": [], "purge": "owned"})
    assert world.exists("case-br")


def test_purge_knows_an_object_that_was_renamed_by_hand_for_the_one_that_is_named() -> None:
    laws.run("topology", shop())
    index = world.link("case-web")["ifindex"]
    world.sh("ip link set case-web name case-odd")
    laws.four_steps("topology", shop(purge="owned"))
    assert world.link("case-web")["ifindex"] == index


def test_purge_knows_named_objects_without_records() -> None:
    laws.run("topology", shop())
    index = world.link("case-web")["ifindex"]
    world.sh("rm -rf /run/nsfleet")
    options = shop(purge="owned")
    options["veths"][0]["peer"]["netns"] = "/run/netns/case-web"
    done = laws.run("topology", options)
    assert world.link("case-web")["ifindex"] == index, done["plan"]


def test_purge_finds_routes_and_rules_without_records() -> None:
    """By the number of their protocol, also in a namespace that the task calls by another word."""
    foreign = (
        "ip rule add priority 900 lookup 77; ip -n case-db rule add priority 1000 lookup 77;"
        "ip -n case-db route add 10.43.0.0/24 dev eth0"
    )
    laws.run("topology", shop())
    world.sh(foreign)
    before = world.snapshot()
    more = shop()
    more["routes"] += [
        {"destination": "10.44.0.0/24", "type": "blackhole"},
        {"destination": "fd00:44::/64", "type": "blackhole", "table": "77", "netns": "case-db"},
    ]
    more["rules"] += [{"priority": 1000, "family": "ipv6", "table": "77", "netns": "case-db"}]
    laws.run("topology", more)
    world.sh("rm -rf /run/nsfleet/network/route /run/nsfleet/network/rule")
    less = {"routes": SHOP["routes"], "rules": copy.deepcopy(SHOP["rules"])}
    less["rules"][0]["netns"] = "/run/netns/case-web"
    done = laws.run("topology", {**less, "purge": "owned"})
    assert {step["action"] for step in done["plan"]} == {"delete"}, done["plan"]
    assert not world.difference(before["networks"], world.snapshot()["networks"])
    laws.settled("topology", {**less, "purge": "owned"})
    assert len(laws.run("topology", {"routes": [], "rules": [], "purge": "owned"})["plan"]) == 4
    world.sh("ip rule del priority 900")


# --- refused -----------------------------------------------------------------------------------------


def test_all_errors_at_once_with_their_paths() -> None:
    options = shop()
    options["bridges"][0]["colour"] = "red"
    options["veths"][0]["peer"]["addresses"] = ["10.40.0.300/24"]
    del options["veths"][1]["name"]
    options["routes"].append({"destination": "10.9.0.0/16", "via": "fe80::1"})
    result = laws.refused("topology", options)
    told = {each["option"]: each["problem"] for each in result["errors"]}
    assert "colour" in told["bridges[0]"]
    assert "10.40.0.300/24" in told["veths[0].peer.addresses[0]"]
    assert "name" in told["veths[1]"]
    assert any(option.startswith("routes[2]") for option in told)


REFUSED: dict[str, tuple[dict[str, t.Any], list[str]]] = {
    "one object twice": ({"netns": [{"name": "case"}, {"name": "case"}]}, ["netns[1]", "is netns[0] already"]),
    "one name twice": (
        {"bridges": [{"name": "case"}], "veths": [{"name": "case", "peer": {"name": "other"}}]},
        ["veths[0]", "link case is that of bridges[0]"],
    ),
    "one address twice": (
        {"bridges": [{"name": f"case{n}", "addresses": [f"10.1.0.1/{n}"]} for n in (16, 24)]},
        ["bridges[1]", "address 10.1.0.1 is that of bridges[0]"],
    ),
    "too many ports": (
        {"bridges": [{"name": "case"}],
         "veths": [{"name": f"a{n}", "master": "case", "peer": {"name": f"b{n}"}} for n in range(1024)]},
        ["veths[1023]", "1024 ports", "1023"],
    ),
    "a namespace that nobody makes": (
        {"bridges": [{"name": "case", "netns": "case-none"}], "netns": [{"name": "case"}]},
        ["bridges[0]: netns: there is no network namespace 'case-none'"],
    ),
    "a gateway that nobody reaches": (
        {"bridges": [{"name": "case", "addresses": ["10.1.0.1/24"]}],
         "routes": [{"destination": "10.2.0.0/16", "via": "10.3.0.1"}]},
        ["routes[0]: via: 10.3.0.1 is not in a network"],
    ),
    "nothing at all": ({}, ["one of the following is required"]),
    "what runs for one task": (
        {"containers": [{"name": "case", "command": ["/bin/true"], "rootfs": "/", "detach": False}]},
        ["containers[0].detach", "a task of its own"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_before_anything_is_touched(options: Options, words: list[str]) -> None:
    if "there is no" in str(words) or "is not in" in str(words):
        laws.missing("topology", options, *words)
    else:
        laws.refused("topology", options, *words)


def test_objects_of_others_are_refused_all_at_once() -> None:
    world.sh("ip netns add case-web; ip link add case-br type bridge")
    bridge = {"name": "case-br", "addresses": ["10.40.0.1/24"]}
    options: dict[str, t.Any] = {"bridges": [bridge], "netns": [{"name": "case-web"}]}
    result = laws.refused("topology", options, "adopt")
    assert {each["option"] for each in result["errors"]} == {"bridges[0]", "netns[0]"}
    laws.four_steps("topology", {**options, "adopt": True})


# --- bad luck ----------------------------------------------------------------------------------------


def test_a_failure_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = shop()
    changed["bridges"][0]["mtu"] = 1400
    changed["veths"][0]["tx_queues"] = 3
    changed["veths"][1]["peer"]["addresses"] = ["10.40.0.99/24"]
    changed["netns"].append({"name": "case-more"})
    with monkeypatch.context() as patch:
        laws.failing(patch)
        laws.puts_back("topology", [shop()])
    laws.run("topology", shop())
    with monkeypatch.context() as patch:
        laws.failing(patch)
        before = {place: world.addresses(name, place) for place, name in (("", "case-br"), ("case-web", "eth0"))}
        failed = invoke("topology", changed)
        assert "Everything was put back as it was" in failed["msg"]
        after = {place: world.addresses(name, place) for place, name in (("", "case-br"), ("case-web", "eth0"))}
        assert before == after
    laws.settled("topology", shop())
    assert "case-more" not in world.namespaces()
