# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module nat, by ``nft``, ``curl`` and services that say who called them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.nat import TABLE
from support import lab, laws, world
from support.invoke import invoke
from support.laws import Case

BASE = {"name": "case", "networks": [{"subnet": "10.9.0.0/24", "link": "base0"}]}
WEB = {"port": "8080", "to": "10.2.0.10", "to_port": 80}


@pytest.fixture
def forwarding() -> t.Iterator[None]:
    """A host that forwards, with one bridge."""
    world.sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    world.sh("ip link add nsbr type bridge && ip link set nsbr addrgenmode none")
    world.sh("ip addr add 10.2.0.1/24 dev nsbr && ip link set nsbr up")
    yield
    world.sh("ip link delete nsbr; sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")


@pytest.fixture
def network() -> t.Iterator[None]:
    """The host in its network."""
    with lab.network():
        yield


def elements(name: str, netns: str = "") -> list[str]:
    """The elements of a set or map as ``nft list table`` shows them, without comments; sorted."""
    inside = f"ip netns exec {netns} " if netns else ""
    table = world.sh(f"{inside}nft list table inet nsfleet 2>/dev/null || true")
    block = re.search(rf"\t(?:set|map) {name} {{(.*?)\n\t}}", table, re.DOTALL)
    found = re.search(r"elements = {(.*)}", block[1], re.DOTALL) if block else None
    words = re.sub(r' comment "[^"]*"', "", found[1]) if found else ""
    return sorted(" ".join(each.split()) for each in words.split(",") if each.strip())


def localnet(link: str = "nsbr") -> str:
    """``route_localnet`` of a link."""
    return world.sh(f"cat /proc/sys/net/ipv4/conf/{link}/route_localnet").strip()


def publish(*entries: dict[str, t.Any]) -> dict[str, t.Any]:
    """Options of a task that publishes ports."""
    return {"publish": list(entries)}


def networks(**more: t.Any) -> dict[str, t.Any]:
    """Options of a task with the base's network and another one."""
    return {"networks": [*BASE["networks"], {"subnet": "10.8.0.0/24", "link": "more0", **more}]}


def damage(*commands: str) -> str:
    """nft commands, which are to succeed together."""
    return " && ".join(f"nft '{command}'" for command in commands)


CASES = [
    Case(
        "networks", networks(), lambda: elements("network4"), ['10.8.0.0/24 . "more0"', '10.9.0.0/24 . "base0"'],
        damage('delete element inet nsfleet network4 { 10.8.0.0/24 . "more0" }'),
        reverts_to=['10.9.0.0/24 . "base0"'],
    ),
    Case(
        "networks.subnet", {"networks": [{"subnet": "fd00:8:0::/64", "link": "more0"}]},
        lambda: elements("network6"), ['fd00:8::/64 . "more0"'],
        damage('delete element inet nsfleet network6 { fd00:8::/64 . "more0" }'), reverts_to=[],
    ),
    Case(
        "networks.subnet of one host", networks(subnet="10.8.0.1/32"), lambda: elements("masquerade4"),
        ["10.8.0.1", "10.9.0.0/24"], damage("delete element inet nsfleet masquerade4 { 10.8.0.1 }"),
        reverts_to=["10.9.0.0/24"],
    ),
    Case(
        "networks.link", {"networks": [{"subnet": "10.9.0.0/24", "link": "it's.1"}]}, lambda: elements("network4"),
        ['10.9.0.0/24 . "it\'s.1"'],
        "nft delete element inet nsfleet network4 '{ 10.9.0.0/24 . \"it'\"'\"'s.1\" }' && "
        "nft add element inet nsfleet network4 '{ 10.9.0.0/24 . \"x\" comment \"case\" }'",
        reverts_to=['10.9.0.0/24 . "base0"'],
    ),
    Case(
        "networks.masquerade", {"networks": [{"subnet": "10.9.0.0/24", "link": "base0", "masquerade": False}]},
        lambda: elements("masquerade4"), [],
        damage('add element inet nsfleet masquerade4 { 10.9.0.0/24 comment "case" }'), reverts_to=["10.9.0.0/24"],
    ),
    Case(
        "networks.source", {"networks": [{"subnet": "10.9.0.0/24", "link": "base0", "source": "192.0.2.7"}]},
        lambda: elements("source4"), ["10.9.0.0/24 : 192.0.2.7"],
        damage(
            "delete element inet nsfleet source4 { 10.9.0.0/24 }",
            'add element inet nsfleet source4 { 10.9.0.0/24 comment "case" : 192.0.2.8 }',
        ),
        reverts_to=[],
    ),
    Case(
        "publish.to_port", publish(WEB), lambda: elements("port4"), ["tcp . 8080 : 10.2.0.10 . 80"],
        damage("delete element inet nsfleet port4 { tcp . 8080 }"), reverts_to=[],
    ),
    Case(
        "publish.to", publish({"port": 8080, "to": "fd00::00:10"}), lambda: elements("port6"),
        ["tcp . 8080 : fd00::10 . 8080"],
        damage(
            "delete element inet nsfleet port6 { tcp . 8080 }",
            'add element inet nsfleet port6 { tcp . 8080 comment "case" : fd00::11 . 8080 }',
        ),
        reverts_to=[],
    ),
    Case(
        "publish.protocols", publish({**WEB, "protocols": ["udp", "sctp"]}), lambda: elements("port4"),
        ["sctp . 8080 : 10.2.0.10 . 80", "udp . 8080 : 10.2.0.10 . 80"],
        damage("flush map inet nsfleet port4"), reverts_to=[],
    ),
    Case(
        "publish.port", publish({"port": "8000 - 8010", "to": "10.2.0.10"}), lambda: elements("range4"),
        ["tcp . 8000-8010 : 10.2.0.10"], damage("delete element inet nsfleet range4 { tcp . 8000-8010 }"),
        reverts_to=[],
    ),
    Case(
        "publish.to_port of a range", publish({"port": "8000-8002", "to": "10.2.0.10", "to_port": 80}),
        lambda: elements("port4"),
        ["tcp . 8000 : 10.2.0.10 . 80", "tcp . 8001 : 10.2.0.10 . 81", "tcp . 8002 : 10.2.0.10 . 82"],
        damage("delete element inet nsfleet port4 { tcp . 8001 }"), reverts_to=[],
    ),
    Case(
        "publish.address", publish({**WEB, "address": "192.0.2.7"}), lambda: elements("bound_port4"),
        ["192.0.2.7 . tcp . 8080 : 10.2.0.10 . 80"],
        damage("delete element inet nsfleet bound_port4 { 192.0.2.7 . tcp . 8080 }"), reverts_to=[],
    ),
    Case(
        "publish.address with a range",
        publish({"port": "8000-8010", "to": "fd00::10", "address": "fd00::7", "protocols": ["udp"]}),
        lambda: elements("bound_range6"), ["fd00::7 . udp . 8000-8010 : fd00::10"],
        damage("flush map inet nsfleet bound_range6"), reverts_to=[],
    ),
    Case(
        "publish.localhost", publish({**WEB, "localhost": True}), localnet, "1",
        "sysctl -qw net.ipv4.conf.nsbr.route_localnet=0", reverts_to="0",
    ),
    Case(
        "publish.localhost in the table", publish(WEB), lambda: elements("loopback_port"), ["tcp . 8080"],
        damage("delete element inet nsfleet loopback_port { tcp . 8080 }"), reverts_to=[],
    ),
    Case(
        "isolate", {"isolate": ["nsbr", "dmz"]}, lambda: elements("isolated"), ['"dmz"', '"nsbr"'],
        damage('delete element inet nsfleet isolated { "dmz" }'), reverts_to=[],
    ),
    Case(
        "isolate, each with itself", {"isolate": ["nsbr"]}, lambda: elements("within"), ['"nsbr" . "nsbr"'],
        damage('delete element inet nsfleet within { "nsbr" . "nsbr" }'), reverts_to=[],
    ),
]  # fmt: skip


@pytest.mark.usefixtures("forwarding")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_option(case: Case) -> None:
    laws.option_holds("nat", BASE, case)
    laws.remove("nat", BASE)


def test_every_option_is_proved() -> None:
    laws.covered(
        TABLE,
        CASES,
        {
            "name": test_sets_of_different_names_leave_each_other_alone,
            "netns": test_table_of_a_namespace,
            "adopt": test_adopt_has_no_effect,
            "on_drift": test_drift_that_is_not_to_be_repaired,
        },
    )


# --- packets -----------------------------------------------------------------


@pytest.mark.usefixtures("network")
def test_published_port_answers_from_everywhere() -> None:
    options = {
        "name": "case",
        "networks": [{"subnet": "10.2.0.0/24", "link": "nsbr"}, {"subnet": "fd00:2::/64", "link": "nsbr"}],
        **publish(WEB, {**WEB, "to": "fd00:2::10"}),
    }
    with lab.service("s1", 80), lab.service("six", 80, address="::", netns="s1"):
        laws.four_steps("nat", options)
        for _once_and_after_repair in range(2):
            assert lab.call("192.0.2.1:8080", "out") == "s1:80 192.0.2.2", "the service sees who called"
            assert lab.call("[fd00:99::1]:8080", "out") == "six:80 fd00:99::2"
            assert lab.call("192.0.2.1:8080") == "s1:80 192.0.2.1"
            assert lab.call("127.0.0.1:8080") == lab.call("127.0.1.1:8080") == "s1:80 10.2.0.1"
            assert lab.call("[fd00:2::1]:8080").startswith("six:80")
            assert lab.call("192.0.2.1:8080", "s1") == lab.call("10.2.0.1:8080", "s2") == "s1:80 10.2.0.1"
            assert lab.call("[fd00:99::1]:8080", "s1").startswith("six:80 fd00:2::1")
            assert lab.call("192.0.2.1:8080", "d1") == "s1:80 10.3.0.10"
            world.sh("nft flush ruleset && sysctl -qw net.ipv4.conf.nsbr.route_localnet=0")
            assert lab.call("192.0.2.1:8080", "out").startswith("curl failed")
            laws.repaired("nat", options, "true")
        laws.remove("nat", options)
        assert lab.call("192.0.2.1:8080", "out").startswith("curl failed")
        assert localnet() == "0"


@pytest.mark.usefixtures("network")
def test_host_keeps_its_own_127_where_localhost_is_off() -> None:
    with lab.service("s1", 80), lab.service("host", 8080, address="127.0.0.1", netns=""):
        laws.four_steps("nat", {"name": "case", **publish({**WEB, "localhost": False})})
        assert lab.call("127.0.0.1:8080") == "host:8080 127.0.0.1"
        assert lab.call("192.0.2.1:8080") == "s1:80 192.0.2.1"
        assert localnet() == "0"
        laws.refused("nat", {"name": "case", **publish({**WEB, "port": "8080-8081", "to_port": 90})}, "127.0.0.1:8080")
    laws.remove("nat", {"name": "case"})


@pytest.mark.usefixtures("network")
def test_ranges_and_addresses_of_the_host() -> None:
    world.sh("ip addr add 192.0.2.7/24 dev up0")
    entries = (
        {"port": "7000-7005", "protocols": ["tcp", "udp"], "to": "10.2.0.10"},
        {"port": "7100-7101", "to": "10.2.0.11", "to_port": 7000},
        {"port": 7200, "address": "192.0.2.1", "to": "10.2.0.10", "to_port": 7000},
        {"port": 7200, "address": "192.0.2.7", "to": "10.2.0.11", "to_port": 7000},
    )
    with lab.service("s1", 7000, 7005), lab.service("s2", 7000, 7001):
        laws.four_steps("nat", {"name": "case", **publish(*entries)})
        assert lab.call("192.0.2.1:7005", "out") == "s1:7005 192.0.2.2"
        assert lab.call_udp("192.0.2.7", 7000, "out") == "s1:7000 192.0.2.2"
        assert lab.call("192.0.2.1:7101", "out") == "s2:7001 192.0.2.2"
        assert lab.call("192.0.2.1:7200", "out") == "s1:7000 192.0.2.2"
        assert lab.call("192.0.2.7:7200", "out") == "s2:7000 192.0.2.2"
    laws.remove("nat", {"name": "case"})


@pytest.mark.usefixtures("network")
def test_networks_have_a_way_out() -> None:
    world.sh("ip addr add 192.0.2.7/24 dev up0")

    def ways(**more: str | bool) -> dict[str, t.Any]:
        return {"name": "case", "networks": [{"subnet": "10.2.0.0/24", "link": "nsbr", **more}]}

    with lab.service("out", 80), lab.service("out6", 80, address="::", netns="out"), lab.service("s2", 80):
        assert lab.call("192.0.2.2:80", "s1").startswith("curl failed"), "it does not know the way back"
        laws.four_steps("nat", ways())
        assert lab.call("192.0.2.2:80", "s1") == "out:80 192.0.2.1"
        assert lab.call("10.2.0.11:80", "s1") == "s2:80 10.2.0.10", "packets that stay keep their address"
        laws.four_steps("nat", ways(source="192.0.2.7"))
        assert lab.call("192.0.2.2:80", "s1") == "out:80 192.0.2.7"
        laws.four_steps("nat", ways(masquerade=False))
        assert lab.call("192.0.2.2:80", "s1").startswith("curl failed")
        world.sh("ip -n out route add 10.2.0.0/24 via 192.0.2.1")
        assert lab.call("192.0.2.2:80", "s1") == "out:80 10.2.0.10"
        laws.four_steps("nat", ways(subnet="fd00:2::/64"))
        assert lab.call("[fd00:99::2]:80", "s1") == "out6:80 fd00:99::1"
        world.sh("ip addr add fd00:99::7/64 dev up0 nodad")
        laws.four_steps("nat", ways(subnet="fd00:2::/64", source="fd00:99::7"))
        assert lab.call("[fd00:99::2]:80", "s1") == "out6:80 fd00:99::7"
    laws.remove("nat", {"name": "case"})


@pytest.mark.usefixtures("network")
def test_isolated_networks_meet_at_published_ports_only() -> None:
    options = {"name": "case", "isolate": ["nsbr", "dmz"], **publish(WEB)}
    with lab.service("s1", 80), lab.service("out", 80):
        assert lab.call("10.2.0.10:80", "d1") == "s1:80 10.3.0.10"
        laws.four_steps("nat", options)
        assert lab.call("10.2.0.10:80", "d1").startswith("curl failed")
        assert lab.call("10.3.0.1:8080", "d1") == "s1:80 10.3.0.10"
        assert lab.call("10.2.0.10:80", "s2") == "s1:80 10.2.0.11"
        world.sh("ip -n out route add 10.2.0.0/23 via 192.0.2.1")
        assert lab.call("192.0.2.2:80", "s1") == "out:80 10.2.0.10", "the way out is open"
        laws.repaired("nat", options, "nft flush chain inet nsfleet forward")
        assert lab.call("10.2.0.10:80", "d1").startswith("curl failed")
    laws.remove("nat", options)


@pytest.mark.usefixtures("network")
def test_neighbours_do_not_reach_127_of_the_host() -> None:
    """``route_localnet`` lets them in, the table keeps them out."""
    options = {"name": "case", **publish(WEB)}
    world.sh("ip -n s2 addr del 127.0.0.1/8 dev lo && ip -n s2 route add 127.0.0.0/8 via 10.2.0.1")
    world.sh("ip netns exec s2 sysctl -qw net.ipv4.conf.eth0.route_localnet=1")
    with lab.service("host", 7777, address="127.0.0.1", netns=""):
        laws.four_steps("nat", options)
        assert localnet() == "1"
        assert lab.call("127.0.0.1:7777", "s2").startswith("curl failed")
        world.sh("nft flush chain inet nsfleet guard")
        assert lab.call("127.0.0.1:7777", "s2") == "host:7777 10.2.0.11", "without the guard there is a way"
        laws.repaired("nat", options, "true")
        assert lab.call("127.0.0.1:7777", "s2").startswith("curl failed")
    laws.remove("nat", options)


@pytest.mark.parametrize(("host", "to"), [("192.0.2.1", "10.2.0.{}"), ("fd00:99::1", "fd00:2::{}")], ids=["4", "6"])
@pytest.mark.usefixtures("network")
def test_udp_streams_follow_a_changed_port(host: str, to: str) -> None:
    """One that does not pause would go on to the old service for as long as it lasts."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    everywhere = "::" if ":" in host else "0.0.0.0"
    with lab.service("s1", 53, address=everywhere), lab.service("s2", 53, address=everywhere):
        laws.run("nat", {"name": "case", **publish({"port": 53, "protocols": ["udp"], "to": to.format(10)})})
        script = (
            f"import socket, sys; s = socket.socket({int(family)}, socket.SOCK_DGRAM); s.settimeout(5)\n"
            f"for line in sys.stdin: s.sendto(b'x', ({host!r}, 53)); print(s.recv(100).decode(), end='', flush=True)"
        )
        caller = subprocess.Popen(
            ["ip", "netns", "exec", "out", sys.executable, "-I", "-S", "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert _ask(caller).startswith("s1:53")
        laws.run("nat", {"name": "case", **publish({"port": 53, "protocols": ["udp"], "to": to.format(11)})})
        assert _ask(caller).startswith("s2:53")
        caller.communicate()
    laws.remove("nat", {"name": "case"})


def _ask(caller: subprocess.Popen[str]) -> str:
    assert caller.stdin is not None
    assert caller.stdout is not None
    caller.stdin.write("\n")
    caller.stdin.flush()
    return caller.stdout.readline()


@pytest.mark.usefixtures("network")
def test_open_connections_stay_open() -> None:
    with lab.service("s1", 80):
        laws.run("nat", {"name": "case", **publish(WEB)})
        script = (
            "import socket; s = socket.create_connection(('192.0.2.1', 8080)); print('open', flush=True); input(); "
            "s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n'); print(s.makefile().read().split()[-2])"
        )
        caller = subprocess.Popen(
            ["ip", "netns", "exec", "out", sys.executable, "-c", script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert caller.stdout is not None
        assert caller.stdout.readline() == "open\n"
        laws.repaired("nat", {"name": "case", **publish(WEB)}, "nft flush ruleset")
        assert caller.communicate("\n")[0] == "s1:80\n"
    laws.remove("nat", {"name": "case"})


# --- more than one set -------------------------------------------------------


@pytest.mark.usefixtures("forwarding")
def test_sets_of_different_names_leave_each_other_alone() -> None:
    web = {"name": "web", **publish(WEB)}
    dns = {"name": "dns", **publish({"port": 53, "protocols": ["udp"], "to": "10.2.0.11"}), "isolate": ["nsbr"]}
    laws.four_steps("nat", web)
    laws.four_steps("nat", dns)
    laws.settled("nat", web)
    assert elements("port4") == ["tcp . 8080 : 10.2.0.10 . 80", "udp . 53 : 10.2.0.11 . 53"]
    # A table that is made anew keeps what the others have in it.
    laws.repaired("nat", web, "nft flush chain inet nsfleet forward")
    laws.settled("nat", dns)
    laws.four_steps("nat", {**web, "publish": [{**WEB, "to": "10.2.0.12"}]})
    laws.settled("nat", dns)
    laws.remove("nat", web)
    laws.settled("nat", dns)
    assert elements("port4") == ["udp . 53 : 10.2.0.11 . 53"]
    assert localnet() == "1", "a published port of the other set needs it"
    laws.remove("nat", dns)
    assert world.sh("nft list tables") == ""
    assert localnet() == "0"


@pytest.mark.usefixtures("forwarding")
def test_set_of_nothing_is_absent() -> None:
    laws.settled("nat", {"name": "case"})
    laws.four_steps("nat", {"name": "case", **publish(WEB)})
    laws.four_steps("nat", {"name": "case"})
    assert world.sh("nft list tables") == ""


@pytest.mark.usefixtures("forwarding")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        (publish(WEB), ("publish[0].port", "0.0.0.0:8080/tcp collides with 0.0.0.0:8080/tcp of nat taken")),
        (publish({"port": "8070-8090", "to": "10.2.0.9"}), ("publish[0].port", "0.0.0.0:8070-8090/tcp collides")),
        (publish({**WEB, "address": "10.2.0.1"}), ("publish[0].port", "10.2.0.1:8080/tcp collides")),
        ({"networks": [{"subnet": "10.2.0.128/25", "link": "x"}]}, ("networks[0].subnet", "10.2.0.0/24 of nat taken")),
        ({"isolate": ["a", "nsbr"]}, ("isolate[1]", "nsbr is isolated by nat taken")),
    ],
)
def test_what_another_set_has_is_refused(more: dict[str, t.Any], words: tuple[str, ...]) -> None:
    taken = {
        "name": "taken", **publish(WEB), "networks": [{"subnet": "10.2.0.0/24", "link": "nsbr"}], "isolate": ["nsbr"],
    }  # fmt: skip
    laws.run("nat", taken)
    laws.refused("nat", {"name": "case", **more}, *words)
    laws.four_steps("nat", {"name": "case", **publish({**WEB, "protocols": ["udp"]}, {**WEB, "to": "fd00::10"})})
    for name in ("case", "taken"):
        laws.remove("nat", {"name": name})


@pytest.mark.usefixtures("forwarding")
@pytest.mark.parametrize("adopt", [False, True])
def test_adopt_has_no_effect(adopt: bool) -> None:
    """The table is ours by its name, whoever made it; other tables, and what other sets have, are never taken over."""
    by_hand = ("add table inet nsfleet", "add chain inet nsfleet mine", "add table inet mine", "add chain inet mine x")
    world.sh(damage(*by_hand))
    theirs = world.sh("nft list table inet mine")
    options = {"name": "case", **publish(WEB), "adopt": adopt}
    laws.four_steps("nat", options)
    laws.repaired("nat", options, damage("add chain inet nsfleet mine"))
    laws.refused("nat", {**options, "name": "other"}, "publish[0].port", "collides", "of nat case")
    laws.remove("nat", options)
    assert world.sh("nft list ruleset") == theirs
    world.sh("nft delete table inet mine")


@pytest.mark.usefixtures("forwarding")
def test_what_was_added_by_hand_goes() -> None:
    laws.run("nat", {"name": "case", **publish(WEB)})
    laws.repaired(
        "nat", {"name": "case", **publish(WEB)},
        damage(
            "add element inet nsfleet port4 { tcp . 99 : 10.2.0.99 . 99 }",
            "add rule inet nsfleet forward tcp dport 22 drop",
            "add chain inet nsfleet mine",
            "add set inet nsfleet theirs { type ipv4_addr; }",
        ),
    )  # fmt: skip
    assert "mine" not in world.sh("nft list table inet nsfleet")
    assert elements("port4") == ["tcp . 8080 : 10.2.0.10 . 80"]
    # A rule in another place is another rule.
    rules = [
        each["rule"] for each in world.ask("nft -a -j list chain inet nsfleet forward")["nftables"] if "rule" in each
    ]
    world.sh(f"nft delete rule inet nsfleet forward handle {rules[0]['handle']}")
    done = laws.repaired(
        "nat", {"name": "case", **publish(WEB)}, "nft add rule inet nsfleet forward ct state established,related accept"
    )
    assert done["diff"]["before"]["altered"] == ["moved: the rules are in another order"]
    laws.remove("nat", {"name": "case"})


@pytest.mark.usefixtures("forwarding")
@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_drift_that_is_not_to_be_repaired(policy: str) -> None:
    options, more = {"name": "case", **publish(WEB)}, publish(WEB, {"port": 9, "to": "10.2.0.9"})
    by_hand = damage("flush chain inet nsfleet guard", "delete element inet nsfleet loopback_port { tcp . 8080 }")
    laws.drift_stays("nat", options, policy, by_hand, ["missing: iifname"], more)
    assert elements("loopback_port") == (["tcp . 9"] if policy == "warn" else [])
    assert "127.0.0.0/8 drop" not in world.sh("nft list chain inet nsfleet guard"), "it was repaired"
    laws.run("nat", {**options, "state": "absent"})


@pytest.mark.usefixtures("forwarding")
def test_table_that_another_nft_printed_is_not_altered() -> None:
    """The digest in the table is a shortcut: what counts is how this nft prints the rules that are to be there."""
    laws.run("nat", {"name": "case", **publish(WEB)})
    world.sh(damage("flush set inet nsfleet stamp", 'add element inet nsfleet stamp { 1 comment "of an older nft" }'))
    laws.settled("nat", {"name": "case", **publish(WEB)})
    laws.repaired("nat", {"name": "case", **publish(WEB)}, "nft flush chain inet nsfleet guard")
    laws.remove("nat", {"name": "case"})


@pytest.mark.usefixtures("forwarding")
def test_failure_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    laws.run("nat", {"name": "case", **publish(WEB), "isolate": ["nsbr"]})
    laws.run("nat", {"name": "other", **publish({**WEB, "protocols": ["udp"], "localhost": False})})
    before = world.snapshot(), localnet()
    laws.failing(monkeypatch)
    for options in (
        publish({**WEB, "localhost": False}),
        {"networks": networks()["networks"]},
        {"name": "new", **BASE},
    ):
        failed = invoke("nat", {"name": "case", **options})
        assert "Everything was put back as it was" in failed["msg"]
        assert (world.difference(before[0], world.snapshot()), localnet()) == ([], before[1])
    monkeypatch.undo()
    for name in ("case", "other"):
        laws.remove("nat", {"name": name})


# --- others on the host ------------------------------------------------------

OTHERS = """
table ip filter {
  chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
  chain DOCKER-USER { }
}
table ip nat {
  chain PREROUTING { type nat hook prerouting priority dstnat; policy accept; tcp dport 5000 dnat to 172.17.0.2:5000; }
}
"""


@pytest.mark.usefixtures("network")
def test_beside_another_firewall() -> None:
    options = {"name": "case", "networks": [{"subnet": "10.2.0.0/24", "link": "nsbr"}], **publish(WEB)}
    world.sh(f"nft -f - <<'E'\n{OTHERS.replace('; }', '; }' + chr(10))}\nE")
    theirs = world.sh("nft list ruleset")
    with lab.service("s1", 80):
        done = laws.four_steps("nat", options)
        warning = str(done["warnings"])
        assert "ip filter FORWARD" in warning
        assert lab.call("192.0.2.1:8080", "out").startswith("curl failed")
        for rule in re.findall(r"iptables -I DOCKER-USER (-[io]) (\w+) -j ACCEPT", warning):
            end = "iifname" if rule[0] == "-i" else "oifname"
            world.sh(f"nft insert rule ip filter DOCKER-USER {end} {rule[1]} accept")
        assert lab.call("192.0.2.1:8080", "out") == "s1:80 192.0.2.2"
        assert "warnings" not in laws.run("nat", options)
        world.sh("nft flush chain ip filter DOCKER-USER")
    laws.remove("nat", options)
    assert world.sh("nft list ruleset") == theirs
    world.sh("nft flush ruleset")


@pytest.mark.usefixtures("forwarding")
@pytest.mark.parametrize(
    ("address", "entry", "free"),
    [
        ("0.0.0.0", {}, {"port": 8081}),
        ("10.2.0.1", {"protocols": ["udp"]}, {"address": "10.2.0.2"}),
        ("127.0.0.1", {}, {"localhost": False}),
        ("::", {"port": "8000-8100", "to_port": None, "to": "fd00::10"}, {"address": "fd00::9"}),
    ],
)
def test_port_of_a_process_is_refused(address: str, entry: dict[str, t.Any], free: dict[str, t.Any]) -> None:
    wanted = {**WEB, **entry}
    with lab.service("host", 8080, address=address, netns="") as pid:
        if address != "::":
            laws.four_steps("nat", {"name": "case", **publish({**wanted, **free})})
            laws.remove("nat", {"name": "case"})
        failed = laws.refused("nat", {"name": "case", **publish({"port": 1, "to": "10.2.0.1"}, wanted)}, "8080/")
        assert [error["option"] for error in failed["errors"]] == ["publish[1].port"]
        assert f"process {pid} " in failed["msg"]
    laws.four_steps("nat", {"name": "case", **publish(wanted)})
    # What is published stays so, whoever listens later.
    with lab.service("host", 8080, address=address, netns=""):
        laws.settled("nat", {"name": "case", **publish(wanted)})
    laws.remove("nat", {"name": "case"})


# --- namespaces, and what is missing -----------------------------------------


def test_table_of_a_namespace() -> None:
    world.sh("ip netns add case && ip netns exec case sysctl -qw net.ipv4.ip_forward=1")
    world.sh("ip -n case link add nsbr type bridge && ip -n case link set nsbr addrgenmode none")
    world.sh("ip -n case addr add 10.2.0.1/24 dev nsbr && ip -n case link set nsbr up")
    options = {"name": "case", "netns": "case", **publish(WEB)}
    laws.four_steps("nat", options)
    assert elements("port4", "case") == ["tcp . 8080 : 10.2.0.10 . 80"]
    assert world.sh("nft list tables") == "", "the host has no part in it"
    assert world.sh("ip netns exec case cat /proc/sys/net/ipv4/conf/nsbr/route_localnet").strip() == "1"
    laws.repaired("nat", options, "ip netns exec case nft flush ruleset")
    laws.settled("nat", {"name": "case"})
    # Another namespace of that name has a table of its own, which is empty.
    world.sh("ip netns delete case && ip netns add case && ip netns exec case sysctl -qw net.ipv4.ip_forward=1")
    laws.missing("nat", options, "publish[0].localhost")
    laws.run("nat", {**options, "state": "absent"})
    world.sh("ip netns delete case")


def test_what_is_missing() -> None:
    laws.missing("nat", {"name": "case", "netns": "nowhere", **publish(WEB)}, "no network namespace 'nowhere'")
    laws.settled("nat", {"name": "case", "netns": "nowhere", "state": "absent"})
    six = publish({**WEB, "to": "fd00::10"})
    laws.missing("nat", {"name": "case", **six}, "net.ipv6.conf.all.forwarding is 0")
    laws.missing("nat", {"name": "case", **publish({**WEB, "localhost": False})}, "net.ipv4.ip_forward is 0")
    world.sh("sysctl -qw net.ipv4.ip_forward=1")
    laws.missing("nat", {"name": "case", **publish(WEB)}, "publish[0].localhost: 10.2.0.10 is in a network of no link")
    world.sh("sysctl -qw net.ipv4.ip_forward=0")


@pytest.mark.usefixtures("forwarding")
def test_host_that_stopped_forwarding() -> None:
    laws.run("nat", {"name": "case", **publish(WEB)})
    world.sh("sysctl -qw net.ipv4.ip_forward=0")
    assert "net.ipv4.ip_forward is 0" in str(laws.run("nat", {"name": "case", **publish(WEB)})["warnings"])
    laws.run("nat", {"name": "case", "state": "absent"})


@pytest.mark.usefixtures("forwarding")
def test_host_without_nft() -> None:
    place = world.sh("command -v nft").strip()
    os.rename(place, f"{place}.away")
    try:
        laws.missing("nat", {"name": "case", **publish(WEB)}, "no command nft", "nftables")
        laws.settled("nat", {"name": "case", "state": "absent"})
    finally:
        os.rename(f"{place}.away", place)


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ("name",)),
        ({"name": "a b"}, ("name: expected",)),
        ({"name": "x" * 65}, ("name: expected", "64")),
        ({"name": "case", "colour": "red"}, ("colour",)),
        ({"name": "case", "netns": "a b"}, ("netns: expected",)),
        ({"name": "case", "networks": [{"subnet": "10.2.0.0/24"}]}, ("link",)),
        ({"name": "case", "networks": [{"subnet": "10.2.0.1/24", "link": "a"}]}, ("networks[0].subnet", "10.2.0.0/24")),
        ({"name": "case", "networks": [{"subnet": "ten", "link": "a"}]}, ("networks[0].subnet: expected a network",)),
        ({"name": "case", "networks": [{"subnet": "10.2.0.0/24", "link": "x" * 16}]}, ("networks[0].link: expected",)),
        (networks(source="10.0.0.0/8"), ("networks[1].source: expected",)),
        (networks(source="fd00::1"), ("networks[1].source: expected an address of the family of 10.8.0.0/24",)),
        (networks(source="10.0.0.1", masquerade=False), ("networks[1].source: expected none",)),
        (networks(subnet="10.9.0.0/24"), ("networks[1].subnet", "twice")),
        (networks(subnet="10.9.0.64/26"), ("networks[1].subnet: 10.9.0.64/26 overlaps with 10.9.0.0/24",)),
        (publish({"to": "10.2.0.10"}), ("port",)),
        (publish({"port": "80"}), ("to",)),
        (publish({**WEB, "port": "http"}), ("publish[0].port: expected a port",)),
        (publish({**WEB, "port": 0}), ("publish[0].port: expected ports of 1 to 65535",)),
        (publish({**WEB, "port": "90-80"}), ("publish[0].port: expected ports", "lower one first")),
        (publish({**WEB, "port": 65536}), ("publish[0].port: expected ports",)),
        (publish({**WEB, "to_port": 0}), ("publish[0].to_port: expected a port",)),
        (publish({**WEB, "port": "1-100", "to_port": 65500}), ("publish[0].to_port: expected at most 65436",)),
        (publish({**WEB, "protocols": ["icmp"]}), ("icmp", "tcp")),
        (publish({**WEB, "to": "web"}), ("publish[0].to: expected an IP address",)),
        (publish({**WEB, "to": "127.0.0.1"}), ("publish[0].to: expected an address that packets can be sent on to",)),
        (publish({**WEB, "to": "224.0.0.1"}), ("publish[0].to: expected the address of one host",)),
        (publish({**WEB, "address": "fd00::1"}), ("publish[0].address: expected an address of the family",)),
        (publish(WEB, WEB), ("publish[1].port: 0.0.0.0:8080/tcp is in publish[0], too",)),
        (publish(WEB, {"port": "8000-8100", "to": "10.2.0.9"}), ("publish[1].port: 0.0.0.0:8000-8100/tcp collides",)),
        (publish(WEB, {**WEB, "address": "10.0.0.1"}), ("publish[1].port: 10.0.0.1:8080/tcp collides with",)),
        (
            publish({**WEB, "address": "127.0.0.1"}, {**WEB, "address": "127.0.0.2"}),
            ("publish[1].port: 127.0.0.2:8080/tcp collides with 127.0.0.1:8080/tcp",),
        ),
        ({"name": "case", "isolate": ["a/b"]}, ("isolate[0]: expected",)),
    ],
)  # fmt: skip
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("nat", {"name": "case", **options} if options else {}, *words)


def test_all_errors_at_once() -> None:
    options = {"name": "a b", "networks": [{"subnet": "x", "link": "a b"}], **publish({"port": "x", "to": "y"})}
    failed = laws.refused("nat", options, "name:")
    named = [error["option"] for error in failed["errors"]]
    assert named == ["name", "networks[0].subnet", "networks[0].link", "publish[0].port", "publish[0].to"]


# --- cost --------------------------------------------------------------------


@pytest.mark.usefixtures("forwarding")
def test_thousand_ports_are_no_more_rules_than_one() -> None:
    def ports(count: int) -> dict[str, t.Any]:
        return {"name": "case", **publish(*({"port": 10000 + each, "to": "10.2.0.10"} for each in range(count)))}

    laws.run("nat", ports(1))
    rules = world.sh("nft -t list table inet nsfleet")
    laws.run("nat", ports(1000))
    assert len(elements("port4")) == 1000
    assert world.sh("nft -t list table inet nsfleet") == rules
    laws.four_steps("nat", ports(999))
    laws.repaired("nat", ports(999), damage("delete element inet nsfleet port4 { tcp . 10500 }"))
    laws.remove("nat", {"name": "case"})
