# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module rule, by ``ip -j rule``, ``ip route get`` and packets."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rule import TABLE
from support import laws, world
from support.laws import Case

BASE = {"priority": 1000, "table": "77"}
#: What ``ip rule`` calls a rule of ours, to damage it by hand.
OURS = "priority 1000 proto 110"


@pytest.fixture(autouse=True)
def namespace(clean_host: None) -> t.Iterator[None]:
    """A namespace; and no rules of ours on the host in the end."""
    del clean_host
    world.sh("ip netns add case && ip -n case link set lo up")
    yield
    world.sh(
        "ip netns delete case; for family in -4 -6; do for priority in 1000 1001; do "
        "while ip $family rule del priority $priority; do true; done; done; done 2>/dev/null"
    )


def rules(priority: int = 1000, family: str = "-4", netns: str = "") -> list[dict[str, t.Any]]:
    """Rules of a priority as ``ip -j -d rule`` shows them."""
    found = json.loads(world.sh(f"ip {f'-n {netns}' if netns else ''} -j -d {family} rule show"))
    return [rule for rule in found if rule["priority"] == priority]


def shown(*words: str, family: str = "-4") -> t.Any:
    """Some words of the only rule; one word for itself."""
    found = rules(family=family)
    assert len(found) <= 1, found
    values = [found[0].get(word) if found else None for word in words]
    return values if len(values) > 1 else values[0]


def damaged(words: str, family: str = "-4") -> str:
    """A command that puts another rule of our protocol in the place of ours."""
    return f"ip {family} rule del priority 1000 && ip {family} rule add {OURS} {words}"


CASES = [
    Case(
        "from", {"from": "10.3.0.0/16"}, lambda: shown("src", "srclen"), ["10.3.0.0", 16],
        damaged("from 10.4.0.0/16 lookup 77"), reverts_to=["all", None],
    ),
    Case(
        "to", {"to": "10.3.0.1"}, lambda: shown("dst", "dstlen"), ["10.3.0.1", None],
        damaged("lookup 77"), reverts_to=[None, None],
    ),
    Case("iif", {"iif": "lo"}, lambda: shown("iif"), "lo", damaged("iif eth9 lookup 77")),
    Case("oif", {"oif": "case9"}, lambda: shown("oif"), "case9", damaged("oif lo lookup 77")),
    Case(
        "fwmark", {"fwmark": "16/0xFF"}, lambda: shown("fwmark", "fwmask"), ["0x10", "0xff"],
        damaged("fwmark 0x10 lookup 77"), reverts_to=[None, None],
    ),
    Case("tos", {"tos": "16"}, lambda: shown("tos"), "0x10", damaged("tos 0x08 lookup 77")),
    Case("ipproto", {"ipproto": "TCP"}, lambda: shown("ipproto"), "tcp", damaged("ipproto udp lookup 77")),
    Case(
        "sport", {"sport": "8000-8010"}, lambda: shown("sport_start", "sport_end"), [8000, 8010],
        damaged("sport 8000 lookup 77"), reverts_to=[None, None],
    ),
    Case("dport", {"dport": "80"}, lambda: shown("dport"), 80, damaged("dport 81 lookup 77")),
    Case(
        "uidrange", {"uidrange": "1000-1999"}, lambda: shown("uid_start", "uid_end"), [1000, 1999],
        damaged("uidrange 1000-1000 lookup 77"), reverts_to=[None, None],
    ),
    Case(
        "invert", {"invert": True, "from": "10.3.0.0/16"}, lambda: "not" in rules()[0], True,
        damaged("from 10.3.0.0/16 lookup 77"), reverts_to=False,
    ),
    Case(
        "action", {"action": "blackhole", "table": None}, lambda: shown("action", "table"), ["blackhole", None],
        damaged("unreachable"), reverts_to=[None, "77"],
    ),
    Case("table", {"table": "main"}, lambda: shown("table"), "main", damaged("lookup 78"), reverts_to="77"),
    Case(
        "suppress_prefixlength", {"suppress_prefixlength": 0}, lambda: shown("suppress_prefixlen"), 0,
        damaged("lookup 77"),
    ),
    Case(
        "table with what no option is for", {"table": "main"}, lambda: shown("table", "tun_id"), ["main", None],
        damaged("lookup main tun_id 4"),
    ),
    Case(
        "table of two rules by hand", {"table": "78"}, lambda: [rule["table"] for rule in rules()], ["78"],
        f"ip rule add {OURS} from 10.3.0.0/16 lookup 78 && ip rule add {OURS} lookup 79",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_option(case: Case) -> None:
    laws.option_holds("rule", BASE, case)
    laws.remove("rule", BASE)


def test_every_option_is_proved() -> None:
    laws.covered(
        TABLE,
        CASES,
        {
            "priority": test_family_priority_and_namespace_tell_rules_apart,
            "family": test_family_priority_and_namespace_tell_rules_apart,
            "netns": test_family_priority_and_namespace_tell_rules_apart,
            "adopt": test_foreign_rule_is_not_touched_without_adopt,
            "on_drift": test_drift_that_is_not_to_be_repaired,
        },
    )


def test_all_options_of_ipv6_at_once() -> None:
    options = {
        **BASE, "from": "fd00:3::/32", "to": "fd00:4::0:1", "iif": "lo", "oif": "eth9", "fwmark": "0/0x1",
        "tos": "0x1c", "ipproto": "58", "sport": "1-65534", "dport": "7", "uidrange": "0", "suppress_prefixlength": 128,
    }  # fmt: skip
    laws.four_steps("rule", options)
    (found,) = rules(family="-6")
    assert (found["src"], found["srclen"], found["dst"], found["tos"]) == ("fd00:3::", 32, "fd00:4::1", "0x1c")
    assert (found["iif"], found["oif"], found["ipproto"], found["dport"]) == ("lo", "eth9", "ipv6-icmp", 7)
    assert (found["suppress_prefixlen"], found["protocol"]) == (128, "110")
    laws.settled("rule", {**options, "family": "ipv6", "ipproto": "icmpv6"})
    laws.repaired("rule", options, "ip -6 rule del priority 1000")
    laws.remove("rule", {**BASE, "family": "ipv6"})


def test_family_priority_and_namespace_tell_rules_apart() -> None:
    several = [BASE, {**BASE, "family": "ipv6"}, {**BASE, "priority": 1001}, {**BASE, "netns": "case"}]
    for options in several:
        laws.four_steps("rule", options)
    for options in several:
        laws.settled("rule", options)
    assert [len(rules(*where)) for where in ((1000, "-4"), (1000, "-6"), (1001, "-4"), (1000, "-4", "case"))] == [1] * 4
    for options in several:
        laws.remove("rule", options)
    laws.settled("rule", {**BASE, "netns": "nowhere", "state": "absent"})


def test_packets_go_by_it() -> None:
    """A packet to an address that two tables lead to by two links takes the table that the rule says."""
    world.sh(
        "ip netns add far; for way in 1 2; do "
        "ip -n case link add way$way type veth peer name way$way netns far;"
        "ip -n case addr add 10.7.$way.1/24 dev way$way; ip -n far addr add 10.7.$way.2/24 dev way$way;"
        "ip -n case link set way$way up; ip -n far link set way$way up; done; ip -n far addr add 10.8.0.1/32 dev lo;"
        "ip -n far link set lo up; ip -n case route add 10.8.0.1 via 10.7.1.2;"
        "ip -n case route add 10.8.0.1 via 10.7.2.2 table 77"
    )
    mine = {**BASE, "netns": "case", "fwmark": "0x7"}

    def way(words: str = "") -> str:
        return str(json.loads(world.sh(f"ip -n case -j route get 10.8.0.1 {words}"))[0]["dev"])

    assert way("mark 7") == "way1"
    laws.four_steps("rule", mine)
    assert (way(), way("mark 7")) == ("way1", "way2")
    received = "cat /sys/class/net/way2/statistics/rx_packets"
    before = int(world.sh(f"ip netns exec far {received}"))
    world.sh("ip netns exec case ping -c1 -W5 -m 7 10.8.0.1")
    assert int(world.sh(f"ip netns exec far {received}")) > before
    laws.four_steps("rule", {**mine, "action": "prohibit", "table": None})
    world.sh("! ip netns exec case ping -c1 -W1 -m 7 10.8.0.1 && ip netns exec case ping -c1 -W5 10.8.0.1")
    laws.four_steps("rule", {**mine, "action": "unreachable", "table": None})
    laws.remove("rule", mine)
    world.sh("ip netns delete far")


# --- foreign rules -----------------------------------------------------------


def test_foreign_rule_is_not_touched_without_adopt() -> None:
    world.sh("ip rule add priority 1000 lookup 77; ip rule add priority 1000 from 10.3.0.0/16 lookup 78")
    for options in (BASE, {**BASE, "state": "absent"}):
        laws.refused("rule", options, "rule ipv4 1000 exists", "adopt")
    laws.four_steps("rule", {**BASE, "from": "10.4.0.0/16", "adopt": True})
    assert shown("src", "protocol") == ["10.4.0.0", "110"]
    world.sh("ip rule add priority 1000 from 10.4.0.0/16 lookup 77")
    laws.settled("rule", {**BASE, "from": "10.4.0.0/16"})
    assert laws.run("rule", {**BASE, "state": "absent"}).changed
    assert shown("src", "protocol") == ["10.4.0.0", "unspec"], "what somebody put beside ours stays"


def test_adopted_rule_without_difference_gets_our_mark() -> None:
    world.sh("ip rule add priority 1000 from 10.3.0.0/16 lookup 77")
    options = {**BASE, "from": "10.3.0.0/16"}
    laws.settled("rule", options)
    laws.four_steps("rule", {**options, "adopt": True})
    assert shown("protocol") == "110"
    laws.settled("rule", options)
    laws.remove("rule", options)


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_drift_that_is_not_to_be_repaired(policy: str) -> None:
    damage = damaged("from 10.3.0.0/16 lookup 77 realms 4")
    words = ["from is '10.3.0.0/16'", "others is ['realms']"]
    laws.drift_stays("rule", BASE, policy, damage, words, {"to": "10.9.0.0/16"})
    assert shown("src", "flow_to") == ["10.3.0.0", "4"], "the drift is still there"
    laws.run("rule", {**BASE, "state": "absent"})


def test_failure_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several rules of one priority with what no option is for, too."""
    world.sh(
        "ip rule add priority 1000 from 10.3.0.0/16 lookup 77 realms 4; ip rule add priority 1000 goto 32766 proto 4;"
        "ip -6 rule add priority 1000 not fwmark 1 l3mdev"
    )
    laws.failing(monkeypatch)
    tasks = [{**BASE, "adopt": True}, {**BASE, "family": "ipv6", "adopt": True}, {**BASE, "priority": 1001}]
    laws.puts_back("rule", tasks)
    assert [rule.get("flow_to") for rule in rules()] == ["4", None]
    assert ["l3mdev" in rule for rule in rules(family="-6")] == [True]
    monkeypatch.undo()
    laws.remove("rule", {**BASE, "adopt": True})


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"table": "77"}, ("priority",)),
        ({**BASE, "priority": -1}, ("priority: expected 0 to 4294967295",)),
        ({"priority": 1000}, ("table: expected the table",)),
        ({**BASE, "table": "nowhere"}, ("table: expected the number",)),
        ({**BASE, "action": "blackhole"}, ("table: expected none for a rule with the action blackhole",)),
        ({**BASE, "suppress_prefixlength": 33}, ("suppress_prefixlength: expected at most 32",)),
        ({**BASE, "from": "10.3.0.1/16"}, ("from: expected the network 10.3.0.0/16",)),
        ({**BASE, "from": "::/0"}, ("from: expected a part of all addresses",)),
        ({**BASE, "from": "10.3.0.0/16", "to": "fd00::1"}, ("from: expected a network of IPv6",)),
        ({**BASE, "netns": "nowhere", "iif": "x" * 16}, ("iif: expected an interface name",)),
    ],
)
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("rule", options, *words)


def test_namespace_that_is_missing() -> None:
    laws.missing("rule", {**BASE, "netns": "nowhere"}, "netns: there is no network namespace 'nowhere'")
