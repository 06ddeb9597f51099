# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module bridge, by ``ip -j``, ``bridge -j``, ``ping`` and frames that are sent through it."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.bridge import TABLE
from support import laws, links, world
from support.abilities import has, need
from support.invoke import invoke
from support.laws import Case
from support.links import GROUP, index

VLANS = "vlan filtering of bridges"
LEARNED = "a limit of learned addresses of bridges"
BASE: dict[str, t.Any] = {"name": "nsbr"}
PORTED: dict[str, t.Any] = {"name": "nsbr", "ports": [{"name": "p0"}]}


@pytest.fixture(autouse=True)
def cables() -> t.Iterator[None]:
    """Cables from the host into two namespaces, to be ports."""
    for number, netns in enumerate(("left", "right")):
        world.sh(f"ip netns add {netns}")
        world.sh(f"ip link add p{number} type veth peer name eth0 netns {netns}")
        for link in (f"link set p{number}", f"-n {netns} link set eth0"):
            world.sh(f"ip {link} addrgenmode none up")
    yield
    world.sh("ip link delete p0; ip link delete p1; ip netns delete left; ip netns delete right; true")


def attribute(name: str) -> t.Any:
    """An attribute of the bridge as ``ip -d link`` shows it; times are in hundredths of a second."""
    return world.link("nsbr")["linkinfo"]["info_data"][name]


def ports(bridge: str = "nsbr", netns: str = "") -> list[str]:
    """Names of the ports of a bridge."""
    where = f"-n {netns}" if netns else ""
    return sorted(link["ifname"] for link in world.ask(f"ip {where} -j link show master {bridge}"))


def port(*names: str) -> list[t.Any]:
    """Attributes of the port ``p0``."""
    data = world.link("p0")["linkinfo"].get("info_slave_data", {})
    return [data.get(name) for name in names]


def vlans(link: str) -> list[str]:
    """VLANs as ``bridge vlan`` shows them: ``10 PVID Egress Untagged``."""
    found = []
    for entry in world.ask("bridge -j vlan show"):
        for vlan in entry["vlans"] if entry["ifname"] == link else ():
            flags = " ".join(("", *vlan.get("flags", ())))
            found += [f"{vid}{flags}" for vid in range(vlan["vlan"], vlan.get("vlanEnd", vlan["vlan"]) + 1)]
    return found


def learned() -> int:
    """How many addresses the bridge learns of five."""
    send = (
        "import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); s.bind(('eth0', 0)); "
        "[s.send(b'\\xff' * 6 + bytes((2, 0, 0, 0, 1, n)) + b'\\x88\\xb5' + bytes(46)) for n in range(5)]"
    )
    world.sh("ip link set p0 down && ip link set p0 up")  # forgets what was learned
    world.until(lambda: port("state") == ["forwarding"])
    world.sh(f'ip netns exec left {sys.executable} -I -S -c "{send}"')
    return sum(entry["mac"].startswith("02:00:00:00:01:") for entry in world.ask("bridge -j fdb show br nsbr dynamic"))


# --- every option ------------------------------------------------------------


def own(option: str, value: t.Any, shown: t.Any, hand: t.Any, back: t.Any, needs: str = "") -> Case:
    """A case of an attribute of the bridge."""
    damage = f"ip link set nsbr type bridge {option} {hand}"
    return Case(option, {option: value}, lambda: attribute(option), shown, damage, needs, back)


def of_port(damage: str, shows: t.Callable[[], t.Any], shown: t.Any, back: t.Any, needs: str, **options: t.Any) -> Case:
    """A case of options of a port."""
    named = "ports" if len(options) > 1 else f"ports.{next(iter(options))}"
    return Case(named, {"ports": [{"name": "p0", **options}]}, shows, shown, damage, needs, back)


FIRST = ["1 PVID Egress Untagged"]
CASES = [
    *links.cases("nsbr"),
    own("stp_state", True, 1, 0, 0),
    own("forward_delay", 4.5, 450, 300, 1500),
    own("hello_time", 1.5, 150, 300, 200),
    own("max_age", 10, 1000, 700, 2000),
    own("ageing_time", 60.02, 6002, 100, 30000),
    own("priority", 100, 100, 200, 32768),
    own("vlan_filtering", True, 1, 0, 0, VLANS),
    own("vlan_default_pvid", 7, 7, 8, 1, VLANS),
    own("mcast_snooping", False, 0, 1, 1),
    own("mcast_querier", True, 1, 0, 0),
    own("group_fwd_mask", 0x4000, "0x4000", "0x8", "0"),
    own("nf_call_iptables", True, 1, 0, 0),
    own("nf_call_ip6tables", True, 1, 0, 0),
    own("nf_call_arptables", True, 1, 0, 0),
    Case("pvid", {"pvid": 10}, lambda: vlans("nsbr"), ["10 PVID Egress Untagged"],
         "bridge vlan del vid 10 dev nsbr self && bridge vlan add vid 11 dev nsbr self", VLANS, FIRST),
    Case("vlans", {"vlans": ["30", "20-22"]}, lambda: vlans("nsbr"), ["20", "21", "22", "30"],
         "bridge vlan del vid 21 dev nsbr self && bridge vlan add vid 30 untagged dev nsbr self", VLANS, FIRST),
    Case("untagged", {"untagged": ["40-41"]}, lambda: vlans("nsbr"), ["40 Egress Untagged", "41 Egress Untagged"],
         "bridge vlan add vid 40 pvid dev nsbr self", VLANS, FIRST),
]  # fmt: skip

ON = ("hairpin", "isolated", "guard", "root_block", "fastleave", "mcast_to_unicast", "neigh_suppress", "proxy_arp")
OFF = ("learning", "flood", "mcast_flood", "bcast_flood")
PORT_CASES = [
    Case("ports.name", {"ports": [{"name": "p0"}, {"name": "p1"}]}, ports, ["p0", "p1"],
         "ip link set p0 nomaster && ip link set p1 nomaster", reverts_to=["p0"]),
    of_port(
        f"ip link set p0 type bridge_slave {' off '.join(ON)} off {' on '.join(OFF)} on",
        lambda: port(*ON, *OFF), [True] * len(ON) + [False] * len(OFF), [False] * len(ON) + [True] * len(OFF), "",
        **dict.fromkeys(ON, True), **dict.fromkeys(OFF, False),
    ),
    of_port("bridge link set dev p0 isolated off", lambda: port("isolated"), [True], [False], "", isolated=True),
    of_port("bridge link set dev p0 locked off", lambda: port("locked"), [True], [False], "", locked=True),
    of_port("bridge link set dev p0 cost 7 && bridge link set dev p0 priority 8", lambda: port("cost", "priority"),
            [77, 9], [2, 32], "", cost=77, priority=9),
    of_port("bridge vlan del vid 10 dev p0 && bridge vlan add vid 11 pvid dev p0", lambda: vlans("p0"),
            ["10 PVID Egress Untagged"], FIRST, VLANS, pvid=10),
    of_port("bridge vlan del vid 21 dev p0 && bridge vlan add vid 1 dev p0", lambda: vlans("p0"),
            ["20", "21", "22"], FIRST, VLANS, vlans=["20-22"]),
    of_port("bridge vlan add vid 41 dev p0", lambda: vlans("p0"), ["40 Egress Untagged", "41 Egress Untagged"], FIRST,
            VLANS, untagged=["40", "41"]),
    of_port("bridge vlan add vid 10 pvid untagged dev p0 && bridge vlan del vid 12 dev p0", lambda: vlans("p0"),
            ["10 PVID", "11", "12", "40 Egress Untagged"], FIRST, VLANS, pvid=10, vlans=["10-12"], untagged=["40"]),
    Case("fdb_max_learned", {"fdb_max_learned": 2}, learned, 2,
         f"ip link delete nsbr && ip link add nsbr {links.OURS} type bridge && ip link set p0 master nsbr", LEARNED, 5),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_option(case: Case) -> None:
    need(case.needs)
    laws.option_holds("bridge", BASE, case)
    laws.remove("bridge", BASE)


@pytest.mark.parametrize("case", PORT_CASES, ids=lambda case: case.option)
def test_option_of_port(case: Case) -> None:
    need(case.needs)
    laws.option_holds("bridge", PORTED, case)
    laws.remove("bridge", PORTED)


def test_every_option_is_proved() -> None:
    laws.covered(
        TABLE,
        [*CASES, *PORT_CASES],
        {
            "name": test_renamed_bridge_gets_its_name_back,
            "netns": test_bridge_of_a_namespace,
            "purge": test_exact_set_of_ports,
            "adopt": test_foreign_bridge_is_not_touched_without_adopt,
            "on_drift": test_drift_that_is_not_to_be_repaired,
        },
    )


# --- where it is -------------------------------------------------------------


@pytest.fixture
def sleeper() -> t.Iterator[int]:
    """A process in the namespace ``left``."""
    process = subprocess.Popen(["ip", "netns", "exec", "left", "sleep", "1000"])
    world.until_inside(process.pid, "left")
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.parametrize("by", ["name", "pid", "path"])
def test_bridge_of_a_namespace(sleeper: int, by: str) -> None:
    reference = {"name": "left", "pid": str(sleeper), "path": "/run/netns/left"}[by]
    options = {"name": "nsbr", "netns": reference, "addresses": ["10.2.0.1/24"], "ports": [{"name": "eth0"}]}
    laws.four_steps("bridge", options)
    assert not world.exists("nsbr")
    assert (ports(netns="left"), world.addresses("nsbr", "left")) == (["eth0"], ["10.2.0.1/24"])
    laws.repaired("bridge", options, "ip -n left link set eth0 nomaster")
    laws.remove("bridge", options)
    assert world.exists("eth0", "left")


def test_renamed_bridge_gets_its_name_back() -> None:
    laws.run("bridge", PORTED)
    before = index("nsbr")
    laws.repaired("bridge", PORTED, "ip link set nsbr down && ip link set nsbr name other")
    assert (index("nsbr"), ports()) == (before, ["p0"])
    assert not world.exists("other")
    world.sh("ip link set nsbr down && ip link set nsbr name other && ip link add nsbr type bridge")
    laws.refused("bridge", PORTED, "name: nsbr is the name of another link there (bridge)")
    world.sh("ip link delete nsbr")
    laws.remove("bridge", PORTED)
    assert not world.exists("other")


@pytest.mark.parametrize("damage", ["ip link delete nsbr", "ip link set p0 nomaster"])
def test_what_is_gone_is_made_again(damage: str) -> None:
    options = {**PORTED, "mtu": 1400, "addresses": ["10.2.0.1/24"]}
    laws.run("bridge", options)
    laws.repaired("bridge", options, damage)
    assert (ports(), world.link("nsbr")["mtu"], world.addresses("nsbr")) == (["p0"], 1400, ["10.2.0.1/24"])
    laws.remove("bridge", options)


# --- what it does ------------------------------------------------------------


def reaches(netns: str, address: str) -> bool:
    """Whether a ping is answered."""
    command = ["ip", "netns", "exec", netns, "ping", "-q", "-c", "1", "-W", "2", address]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_packets_pass_but_not_between_isolated_ports() -> None:
    world.sh("ip -n left addr add 10.2.0.10/24 dev eth0 && ip -n right addr add 10.2.0.11/24 dev eth0")
    options = {**BASE, "forward_delay": 0, "addresses": ["10.2.0.1/24"], "ports": [{"name": "p0"}, {"name": "p1"}]}
    laws.run("bridge", options)
    assert reaches("left", "10.2.0.1")
    assert reaches("left", "10.2.0.11")
    isolated = [{"name": name, "isolated": True} for name in ("p0", "p1")]
    laws.four_steps("bridge", {**options, "ports": isolated})
    assert reaches("left", "10.2.0.1")
    assert not reaches("left", "10.2.0.11")
    laws.remove("bridge", options)


def test_vlans_keep_ports_apart() -> None:
    need(VLANS)
    world.sh("ip -n left addr add 10.2.0.10/24 dev eth0 && ip -n right addr add 10.2.0.11/24 dev eth0")
    pair = [{"name": "p0", "pvid": 10}, {"name": "p1", "pvid": 10}]
    options = {**BASE, "forward_delay": 0, "vlan_filtering": True, "vlan_default_pvid": 0, "ports": pair}
    laws.run("bridge", options)
    assert reaches("left", "10.2.0.11")
    laws.four_steps("bridge", {**options, "ports": [pair[0], {"name": "p1", "pvid": 20}]})
    assert not reaches("left", "10.2.0.11")
    laws.remove("bridge", options)


def test_default_vlan_changes_and_named_ones_stay() -> None:
    need(VLANS)
    asked = [{"name": "p0", "pvid": 1, "vlans": ["2-99", "4094"]}, {"name": "p1"}]
    laws.run("bridge", {**BASE, "vlan_filtering": True, "pvid": 1, "ports": asked})
    options = {**BASE, "vlan_filtering": True, "pvid": 1, "ports": asked}
    for default in (5, 0, 1):
        laws.four_steps("bridge", {**options, "vlan_default_pvid": default})
        assert vlans("nsbr") == FIRST
        assert vlans("p0") == [*FIRST, *map(str, range(2, 100)), "4094"]
        assert vlans("p1") == ([f"{default} PVID Egress Untagged"] if default else [])
    laws.remove("bridge", BASE)


def test_live_changes_keep_the_bridge() -> None:
    laws.run("bridge", BASE)
    before, address = index("nsbr"), world.link("nsbr")["address"]
    options = {
        **BASE, "up": False, "mtu": 1400, "alias": "x", "txqlen": 5, "addresses": ["10.2.0.1/24"], "stp_state": True,
        "priority": 5, "mcast_snooping": False, "ports": [{"name": "p0", "isolated": True}, {"name": "p1"}],
    }  # fmt: skip
    done = laws.four_steps("bridge", options)
    assert {step["effect"] for step in done["plan"]} == {"live"}
    assert index("nsbr") == before
    assert world.link("nsbr")["address"] == address, "the address followed a port"
    laws.remove("bridge", options)


def test_address_is_the_same_when_it_is_made_again() -> None:
    laws.run("bridge", PORTED)
    first = world.link("nsbr")["address"]
    assert first.startswith("02:")
    laws.repaired("bridge", PORTED, "ip link delete nsbr")
    assert world.link("nsbr")["address"] == first
    laws.run("bridge", {**PORTED, "mac": "02:00:00:00:00:01"})
    laws.four_steps("bridge", PORTED)
    assert world.link("nsbr")["address"] == first
    laws.remove("bridge", PORTED)


@pytest.mark.parametrize("mtu", [9000, 1500])
def test_ports_do_not_change_an_mtu_that_was_asked_for(mtu: int) -> None:
    world.sh("ip link set p0 mtu 1400; ip link set p1 mtu 1300")
    options = {**BASE, "mtu": mtu, "ports": [{"name": "p0"}]}
    laws.four_steps("bridge", options)
    laws.four_steps("bridge", {**options, "ports": [{"name": "p1"}]})
    assert world.link("nsbr")["mtu"] == mtu
    laws.settled("bridge", {**options, "ports": [{"name": "p1"}]})
    laws.remove("bridge", options)


def test_times_are_kept_in_steps_that_every_kernel_has() -> None:
    done = laws.four_steps("bridge", {**BASE, "forward_delay": 2.01, "ageing_time": 0.03})
    assert (attribute("forward_delay"), attribute("ageing_time")) in ((200, 4), (202, 4), (200, 2))
    assert done["bridge"]["forward_delay"] * 100 == attribute("forward_delay")
    laws.remove("bridge", BASE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"forward_delay": 0}, {"forward_delay": 15, "stp_state": True}),
        ({"forward_delay": 15, "stp_state": True}, {"forward_delay": 0, "stp_state": False}),
        ({"forward_delay": 2, "stp_state": True}, {}),
    ],
)
def test_spanning_tree_and_delay_change_together(before: dict[str, t.Any], after: dict[str, t.Any]) -> None:
    laws.four_steps("bridge", {**BASE, **before})
    laws.four_steps("bridge", {**BASE, **after})
    assert attribute("forward_delay") == 100 * after.get("forward_delay", 15)
    laws.remove("bridge", BASE)


# --- ports -------------------------------------------------------------------


def test_ports_by_addition_leave_others_alone() -> None:
    laws.run("bridge", PORTED)
    world.sh("ip link set p1 master nsbr && bridge link set dev p1 hairpin on")
    laws.settled("bridge", PORTED)
    laws.four_steps("bridge", {**PORTED, "ports": [{"name": "p0", "hairpin": True}]})
    assert ports() == ["p0", "p1"]
    laws.four_steps("bridge", {**PORTED, "ports": []})
    assert ports() == ["p1"]
    laws.run("bridge", PORTED)
    laws.four_steps("bridge", BASE)
    assert ports() == ["p1"]
    laws.remove("bridge", BASE)
    assert world.exists("p1")


def test_exact_set_of_ports() -> None:
    laws.run("bridge", PORTED)
    laws.repaired("bridge", {**PORTED, "purge": True}, "ip link set p1 master nsbr")
    assert ports() == ["p0"]
    world.sh("ip link set p1 master nsbr")
    laws.four_steps("bridge", {**BASE, "ports": [], "purge": True})
    assert ports() == []
    laws.remove("bridge", BASE)


def test_port_of_another_bridge_is_refused() -> None:
    world.sh("ip link add other type bridge && ip link set p1 master other")
    options = {**BASE, "ports": [{"name": "p0"}, {"name": "p1"}]}
    laws.refused("bridge", options, "ports[p1]: p1 is a port of other already")
    laws.run("bridge", PORTED)
    laws.refused("bridge", options, "ports[p1]: p1 is a port of other already")
    assert ports("other") == ["p1"]
    laws.four_steps("bridge", {**options, "adopt": True})
    assert (ports(), ports("other")) == (["p0", "p1"], [])
    laws.remove("bridge", BASE)
    world.sh("ip link delete other")


def test_port_that_is_called_like_an_option() -> None:
    world.sh("ip link add vlans type veth peer name pvid")
    options = {**BASE, "ports": [{"name": "vlans", "isolated": True}, {"name": "pvid"}]}
    laws.four_steps("bridge", options)
    assert ports() == ["pvid", "vlans"]
    laws.repaired("bridge", options, "ip link set vlans nomaster")
    laws.four_steps("bridge", {**BASE, "ports": [{"name": "vlans"}]})
    laws.remove("bridge", BASE)
    world.sh("ip link delete vlans")


def test_cost_goes_back_to_what_the_kernel_made_of_it() -> None:
    laws.run("bridge", {**BASE, "ports": [{"name": "p0", "cost": 77}]})
    laws.four_steps("bridge", PORTED)
    assert port("cost") == [2]
    laws.remove("bridge", BASE)


# --- others' bridges ---------------------------------------------------------


def test_foreign_bridge_is_not_touched_without_adopt() -> None:
    world.sh("ip link add nsbr type bridge ageing_time 1000 && ip link set nsbr up alias theirs")
    world.sh("ip link set p1 master nsbr")
    laws.settled("bridge", BASE)
    for options in ({**BASE, "mtu": 1400}, {**BASE, "stp_state": True}, PORTED, {**BASE, "state": "absent"}):
        laws.refused("bridge", options, "bridge nsbr exists", "adopt")
    before = index("nsbr")
    laws.four_steps("bridge", {**PORTED, "ageing_time": 60, "alias": "ours", "adopt": True})
    assert (index("nsbr"), world.link("nsbr")["group"], ports()) == (before, GROUP, ["p0", "p1"])
    # What it was before we came is what it goes back to.
    laws.four_steps("bridge", BASE)
    assert (attribute("ageing_time"), world.link("nsbr")["ifalias"], ports()) == (1000, "theirs", ["p1"])
    laws.remove("bridge", BASE)


def test_name_of_another_link_is_refused() -> None:
    laws.refused("bridge", {"name": "p0"}, "name: p0 is the name of another link there (veth)")
    laws.refused("bridge", {"name": "lo"}, "name: lo is the name of another link there (hardware)")
    laws.settled("bridge", {"name": "p0", "state": "absent"})


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_drift_that_is_not_to_be_repaired(policy: str) -> None:
    damage = "ip link set nsbr type bridge priority 6 && ip link set p0 nomaster"
    words = ["priority is 6, not 5", "ports[p0]"]
    laws.drift_stays("bridge", {**PORTED, "priority": 5}, policy, damage, words, {"mtu": 1400})
    assert (attribute("priority"), ports()) == (6, [])
    assert world.link("nsbr")["mtu"] == (1400 if policy == "warn" else 1500)
    laws.remove("bridge", BASE)


# --- failures ----------------------------------------------------------------


def test_failure_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        **BASE, "mtu": 1400, "addresses": ["10.2.0.1/24", "fd00::1/64"], "ageing_time": 60,
        "ports": [{"name": "p0", "hairpin": True, "cost": 77}],
    }  # fmt: skip
    laws.run("bridge", options)
    world.sh(
        "ip link add theirs type bridge && ip link set p1 master theirs && bridge link set dev p1 cost 9 hairpin on"
    )
    world.sh("ip link set theirs up")
    world.sh("ip link set nsbr name hand || (ip link set nsbr down && ip link set nsbr name hand up)")
    laws.failing(monkeypatch)
    laws.puts_back("bridge", [
        options,
        BASE,
        {"name": "new", "ports": []},
        {"name": "theirs", "mtu": 1400, "stp_state": True, "alias": "x", "ports": [{"name": "p1"}], "adopt": True},
        {**BASE, "ports": [{"name": "p1", "isolated": True}], "purge": True, "adopt": True},
    ])  # fmt: skip
    monkeypatch.undo()
    laws.repaired("bridge", options, "true")
    laws.remove("bridge", options)
    world.sh("ip link delete theirs")


def test_kernel_that_refuses_is_named() -> None:
    laws.run("bridge", BASE)
    world.sh("ip link add link p0 name v0 type macvlan mode private; ip link set p1 netns left")
    before = world.snapshot()
    failed = invoke("bridge", {**BASE, "mtu": 1400, "ports": [{"name": "p0"}]})
    assert "set p0 of bridge nsbr to 'port': " in failed["msg"], failed["msg"]
    assert "Everything was put back as it was" in failed["msg"]
    assert world.difference(before, world.snapshot()) == []
    world.sh("ip link delete v0")
    laws.remove("bridge", BASE)


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ("name",)),
        ({"name": "x" * 16}, ("name: expected", "which has 16 bytes")),
        ({**BASE, "netns": "a/b"}, ("netns: expected",)),
        ({**BASE, "mtu": 67}, ("mtu: expected",)),
        ({**BASE, "mtu": 1000, "addresses": ["fd00::1/64"]}, ("mtu: expected 1280 or more",)),
        ({**BASE, "addresses": ["10.0.0.1/24", "there"]}, ("addresses[1]: expected",)),
        ({**BASE, "stp_state": "maybe"}, ("stp_state", "maybe")),
        ({**BASE, "forward_delay": 31}, ("forward_delay: expected 0 to 30 seconds, got 31",)),
        ({**BASE, "forward_delay": 1, "stp_state": True}, ("forward_delay: expected at least 2 seconds",)),
        ({**BASE, "hello_time": 0.5}, ("hello_time: expected 1 to 10 seconds",)),
        ({**BASE, "max_age": 41}, ("max_age: expected 6 to 40 seconds",)),
        ({**BASE, "ageing_time": -1}, ("ageing_time: expected",)),
        ({**BASE, "ageing_time": "long"}, ("ageing_time",)),
        ({**BASE, "priority": 65536}, ("priority: expected 0 to 65535",)),
        ({**BASE, "vlan_default_pvid": 4095}, ("vlan_default_pvid: expected 0 to 4094",)),
        ({**BASE, "group_fwd_mask": 1}, ("group_fwd_mask: expected", "three lowest bits")),
        ({**BASE, "group_fwd_mask": 65536}, ("group_fwd_mask: expected",)),
        ({**BASE, "fdb_max_learned": 2**32}, ("fdb_max_learned: expected",)),
        ({**BASE, "pvid": 4095}, ("pvid: expected a VLAN id",)),
        ({**BASE, "vlans": ["10", "30-20"]}, ("vlans[1]: expected VLAN ids",)),
        ({**BASE, "vlans": ["all"]}, ("vlans[0]: expected a VLAN id",)),
        ({**BASE, "vlans": ["10-20"], "untagged": ["15", "20-30"]}, ("untagged: 15, 20 is in vlans, too",)),
        ({**BASE, "purge": True}, ("purge", "ports")),
        ({**BASE, "ports": [{}]}, ("name", "ports")),
        ({**BASE, "ports": ["p0"]}, ("dictionary",)),
        ({**BASE, "ports": [{"name": "p0"}, {"name": "p0"}]}, ("ports[1].name: 'p0' is given twice",)),
        ({**BASE, "ports": [{"name": "x" * 16}]}, ("ports[0].name: expected",)),
        ({**BASE, "ports": [{"name": "p0", "cost": 0}]}, ("ports[0].cost: expected 1 to 65535",)),
        ({**BASE, "ports": [{"name": "p0", "priority": 64}]}, ("ports[0].priority: expected 0 to 63",)),
        ({**BASE, "ports": [{"name": "p0", "untagged": ["0"]}]}, ("ports[0].untagged[0]: expected",)),
        ({**BASE, "ports": [{"name": "p0", "vlans": ["9"], "untagged": ["9"]}]}, ("ports[p0].untagged: 9 is in",)),
        ({**BASE, "ports": [{"name": "p0", "colour": "red"}]}, ("ports", "colour")),
        ({**BASE, "ports": [{"name": "nsbr"}]}, ("ports[nsbr]: expected another link than the bridge itself",)),
        ({**BASE, "ports": [{"name": "lo"}]}, ("ports[lo]: expected a link that can be a port",)),
        ({**BASE, "colour": "red"}, ("colour",)),
    ],
)  # fmt: skip
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("bridge", options, *words)


def test_all_errors_at_once() -> None:
    ports = [{"name": "a b", "cost": 0}, {"name": "p0", "priority": 99}]
    failed = laws.refused("bridge", {"name": "x" * 16, "mtu": 1, "max_age": 1, "ports": ports}, "name:", "mtu:")
    listed = ["name", "mtu", "max_age", "ports[0].name", "ports[0].cost", "ports[1].priority"]
    assert [error["option"] for error in failed["errors"]] == listed


def test_all_obstacles_at_once() -> None:
    world.sh("ip link add other type bridge && ip link set p1 master other && ip addr add 10.2.0.1/24 dev other")
    asked = [{"name": "p0"}, {"name": "p1"}, {"name": "other"}]
    failed = laws.refused(
        "bridge", {**BASE, "addresses": ["10.2.0.1/16"], "ports": asked}, "10.2.0.1/16 is an address of"
    )
    assert [error["option"] for error in failed["errors"]] == ["addresses[0]", "ports[p1]", "ports[other]"]
    world.sh("ip link delete other")


def test_delay_that_the_live_spanning_tree_does_not_allow() -> None:
    laws.run("bridge", BASE)
    world.sh("ip link set nsbr type bridge stp_state 1")
    laws.refused("bridge", {**BASE, "forward_delay": 1}, "forward_delay: expected at least 2 seconds")
    laws.remove("bridge", BASE)


def test_what_this_kernel_lacks_is_named() -> None:
    lacking = []
    if not has(VLANS):
        lacking = ["vlan_filtering", "vlan_default_pvid", "pvid", "vlans", "ports[p0].untagged"]
    if not has(LEARNED):
        lacking.append("fdb_max_learned")
    if not lacking:
        pytest.skip("this host's bridges have everything")
    values: dict[str, t.Any] = {
        "vlan_filtering": True, "vlan_default_pvid": 0, "pvid": 1, "vlans": ["2"], "fdb_max_learned": 1,
        "ports": [{"name": "p0", "untagged": ["3"]}],
    }  # fmt: skip
    for base in ({}, {"priority": 5}):
        failed = laws.refused("bridge", {**BASE, **base, **values}, "the bridges of this kernel do not have it")
        assert sorted(error["option"] for error in failed["errors"]) == sorted(lacking)
        laws.run("bridge", BASE)
    laws.remove("bridge", BASE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({**BASE, "netns": "nowhere"}, ("netns: there is no network namespace 'nowhere'",)),
        ({**BASE, "ports": [{"name": "p0"}, {"name": "p9"}]}, ("ports[p9]: there is no link p9",)),
        ({**BASE, "netns": "left", "ports": [{"name": "p0"}]}, ("ports[p0]: there is no link p0",)),
    ],
)
def test_what_is_missing(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.missing("bridge", options, *words)


def test_absent_where_there_is_nothing() -> None:
    for options in (BASE, {**BASE, "netns": "nowhere"}):
        laws.settled("bridge", {**options, "state": "absent"})


def test_nothing_is_left_of_a_bridge_that_somebody_removed() -> None:
    laws.run("bridge", PORTED)
    world.sh("ip link delete nsbr")
    assert not laws.run("bridge", {**PORTED, "state": "absent"}).changed
