# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module veth, by ``ip -j``, ``ethtool`` and ``ping``."""

from __future__ import annotations

import errno
import os
import subprocess
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink.link import Settings, get_link, set_link
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink.namespace import Namespace
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import interface
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.veth import TABLE
from support import laws, links, world
from support.abilities import need
from support.invoke import invoke
from support.laws import Case
from support.links import GROUP, index, offload

BASE: dict[str, t.Any] = {"name": "web0", "peer": {"name": "eth0", "netns": "right"}}


@pytest.fixture(autouse=True)
def places() -> t.Iterator[None]:
    """Two namespaces, and a bridge on the host and in one of them."""
    world.sh("ip netns add left && ip netns add right")
    for ip in ("ip", "ip -n right"):
        world.sh(f"{ip} link add nsbr type bridge && {ip} link set nsbr addrgenmode none up")
    yield
    world.sh("ip link delete nsbr; ip netns delete left; ip netns delete right; true")


# --- every option ------------------------------------------------------------

OFFLOADS = ("rx", "tx", "sg", "tso", "gso", "gro")
#: What ethtool(8) shows of them; only the last one is off to begin with.
LONG = ("rx-checksumming", "tx-checksumming", "scatter-gather", "tx-tcp-segmentation", "generic-segmentation-offload",
        "generic-receive-offload")  # fmt: skip


def cases_of_an_end(name: str, netns: str = "", prefix: str = "") -> t.Iterator[Case]:
    """Cases of the options that both ends have.

    :param prefix: of the options' paths.
    """
    ip, ethtool = (f"ip -n {netns}", f"ip netns exec {netns} ethtool") if netns else ("ip", "ethtool")
    again = (
        "ip link delete web0 && ip link add web0 type veth peer name eth0 netns right && "
        f"ip link set web0 {links.OURS} && ip -n right link set eth0 {links.OURS}"
    )

    def case(option: str, value: t.Any, damage: str, shows: t.Callable[[], t.Any], shown: t.Any, back: t.Any) -> Case:
        options = {option: value}
        return Case(prefix + option, {"peer": options} if prefix else options, shows, shown, damage, reverts_to=back)

    yield from links.cases(name, netns, prefix)
    yield case(
        "master",
        "nsbr",
        f"{ip} link set {name} nomaster",
        lambda: world.link(name, netns).get("master", ""),
        "nsbr",
        "",
    )
    yield case("rx_queues", 7, again, lambda: world.link(name, netns)["num_rx_queues"], 7, None)
    yield case("tx_queues", 7, again, lambda: world.link(name, netns)["num_tx_queues"], 7, None)
    yield case(
        "offloads", {"tx": False}, f"{ethtool} -K {name} tx on", lambda: offload(LONG[1], name, netns), False, True
    )
    yield case(
        "offloads", dict.fromkeys(OFFLOADS, False) | {"gro": True},
        f"{ethtool} -K {name} rx on tx on sg on tso on gso on gro off",
        lambda: [offload(each, name, netns) for each in LONG],
        [each == LONG[-1] for each in LONG], [each != LONG[-1] for each in LONG],
    )  # fmt: skip


CASES = [
    *cases_of_an_end("web0"),
    *cases_of_an_end("eth0", "right", "peer."),
    Case("peer.name", {"peer": {"name": "eth1"}}, lambda: world.exists("eth1", "right"), True,
         "ip -n right link set eth1 name eth7", reverts_to=False),
    Case("peer.netns", {"peer": {"netns": "left"}}, lambda: world.exists("eth0", "left"), True,
         "ip -n left link set eth0 netns right", reverts_to=False),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_option(case: Case) -> None:
    need(case.needs)
    laws.option_holds("veth", BASE, case)
    laws.remove("veth", BASE)


def test_every_option_is_proved() -> None:
    laws.covered(
        TABLE,
        CASES,
        {
            "name": test_renamed_end_gets_its_name_back,
            "netns": test_ends_are_made_where_they_belong,
            "adopt": test_foreign_pair_is_not_touched_without_adopt,
            "on_drift": test_drift_that_is_not_to_be_repaired,
        },
    )


def test_a_cable_carries_packets() -> None:
    options = {
        **BASE,
        "addresses": ["10.2.0.1/24", "fd00:2::1/64"],
        "peer": {"name": "eth0", "netns": "right", "addresses": ["10.2.0.2/24", "fd00:2::2/64"]},
    }
    laws.four_steps("veth", options)
    for address in ("10.2.0.2", "fd00:2::2"):
        world.sh(f"ping -q -c 1 -W 5 {address}")
    laws.remove("veth", options)


# --- where the ends are ------------------------------------------------------


@pytest.fixture
def sleeper() -> t.Iterator[int]:
    """A process in the namespace ``left``."""
    process = subprocess.Popen(["ip", "netns", "exec", "left", "sleep", "1000"])
    world.until_inside(process.pid, "left")
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.parametrize("by", ["name", "pid", "path", "path of a process"])
def test_ends_are_made_where_they_belong(sleeper: int, by: str) -> None:
    reference = {
        "name": "left",
        "pid": str(sleeper),
        "path": "/run/netns/left",
        "path of a process": f"/proc/{sleeper}/ns/net",
    }[by]
    peer: dict[str, t.Any] = {"name": "b0", "netns": "right", "mtu": 3000}
    options = {"name": "a0", "netns": reference, "mtu": 4000, "peer": peer}
    monitor = subprocess.Popen(["ip", "monitor", "link"], stdout=subprocess.PIPE, text=True)
    laws.four_steps("veth", options)
    monitor.kill()
    assert monitor.communicate()[0] == "", "a link was on the host for a time"
    assert (world.link("a0", "left")["mtu"], world.link("b0", "right")["mtu"]) == (4000, 3000)
    assert not laws.run("veth", {**options, "peer": {**peer, "netns": "/run/netns/right"}}).changed
    # The other end is made where it is to be, too, if it is on the host.
    laws.remove("veth", options)
    peer["netns"] = ""
    laws.four_steps("veth", options)
    assert world.link("b0")["mtu"] == 3000
    laws.remove("veth", options)


def test_both_ends_in_one_namespace() -> None:
    options = {"name": "a0", "netns": "left", "peer": {"name": "b0", "netns": "left"}}
    laws.four_steps("veth", options)
    assert world.link("a0", "left")["link"] == "b0"
    laws.repaired("veth", options, "ip -n left link set b0 name x0")
    laws.repaired("veth", options, "ip -n left link set a0 netns right")
    laws.remove("veth", options)


#: An end with something of everything that the kernel drops when a link is moved.
FURNISHED = {"mtu": 1400, "alias": "note", "addrgenmode": "none", "master": "nsbr", "addresses": ["10.2.0.1/24"]}


def test_addresses_survive_another_name_on_kernels_that_want_the_link_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 6.2. A link that goes down loses its IPv6 addresses."""

    def old(sock: t.Any, index: int, settings: Settings) -> None:
        if settings.name and world.ask("ip -j link show dev web0")[0]["flags"].count("UP"):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        set_link(sock, index, settings)

    addresses = ["10.2.0.1/24", "fd00:2::1/64"]
    laws.run("veth", {**BASE, "addresses": addresses})
    namespace = Namespace("")
    link = get_link(namespace.socket, "web0")
    assert link is not None
    live = interface.Interface(namespace, link)
    monkeypatch.setattr(interface, "set_link", old)
    interface.rename(live, "other")
    monkeypatch.undo()
    (shown,) = world.ask("ip -j address show dev other")
    told = [f"{each['local']}/{each['prefixlen']}" for each in shown["addr_info"] if each["scope"] == "global"]
    assert told == addresses
    laws.run("veth", {**BASE, "addresses": addresses})
    laws.remove("veth", BASE)


@pytest.mark.parametrize(
    "damage",
    [
        "ip link set web0 down && ip link set web0 name x0 && ip link set x0 up",
        "ip -n right link set eth0 down && ip -n right link set eth0 name x0",
        "ip link set web0 down name x0 && ip -n right link set eth0 down name x1",
        "ip link set web0 netns left",
        "ip link set web0 netns right",
        "ip -n right link set eth0 netns left",
        "ip link set web0 down name x0 && ip link set x0 netns left",
        "ip link set web0 netns left && ip -n right link set eth0 down name x0",
        "ip link delete web0",
        "ip -n right link delete eth0",
    ],
)
def test_renamed_end_gets_its_name_back(damage: str) -> None:
    options = {**BASE, **FURNISHED, "peer": {**BASE["peer"], **FURNISHED, "addresses": ["10.2.0.2/24"]}}
    laws.run("veth", options)
    macs = [world.link("web0")["address"], world.link("eth0", "right")["address"]]
    laws.repaired("veth", options, damage)
    for name, netns, address in (("web0", "", "10.2.0.1/24"), ("eth0", "right", "10.2.0.2/24")):
        link = world.link(name, netns)
        shown = (link["mtu"], link["ifalias"], link["inet6_addr_gen_mode"], link["master"], link["group"])
        assert shown == (1400, "note", "none", "nsbr", GROUP)
        assert "UP" in link["flags"]
        assert world.addresses(name, netns) == [address]
    assert [world.link("web0")["address"], world.link("eth0", "right")["address"]] == macs
    laws.remove("veth", options)
    assert not world.exists("x0")


def test_pair_whose_end_was_moved_is_removed() -> None:
    for damage in ("ip link set web0 netns left", "ip link set web0 down name x0", "true"):
        laws.run("veth", BASE)
        world.sh(damage)
        laws.four_steps("veth", {"name": "web0", "state": "absent"})
        assert not world.exists("eth0", "right")


def test_an_end_moves_and_loses_an_option_at_once() -> None:
    peer = {**BASE["peer"], "mtu": 9000, "alias": "note", "offloads": {"tx": False}, "addresses": ["10.2.0.2/24"]}
    laws.run("veth", {**BASE, "peer": peer})
    done = laws.four_steps("veth", {**BASE, "peer": {"name": "eth0", "netns": "left"}})
    assert [step["effect"] for step in done["plan"]] == ["live"]
    assert world.link("eth0", "left")["mtu"] == 1500
    assert world.link("eth0", "left")["ifalias"] == "nsfleet.linux"
    assert offload("tx-checksumming", "eth0", "left")
    assert world.addresses("eth0", "left") == []
    laws.remove("veth", BASE)


def test_namespace_that_was_made_anew_does_not_lend_its_pair() -> None:
    """Numbers of namespaces and interfaces are used again, and nothing of another pair may be taken for ours."""
    laws.run("veth", BASE)
    world.sh("ip netns delete right && ip netns add right && ip -n right link add nsbr type bridge")
    world.until(lambda: not world.exists("web0"))  # the kernel removes what was in a namespace a moment after it
    other = {"name": "other", "peer": {"name": "eth9", "netns": "right"}}
    laws.run("veth", other)
    laws.repaired("veth", BASE, "true")
    laws.settled("veth", other)
    for each in (BASE, other):
        laws.remove("veth", each)


def test_two_pairs_do_not_take_each_others_ends() -> None:
    laws.run("veth", BASE)
    laws.refused("veth", {**BASE, "name": "api0"}, "peer.name: eth0 is the name of another link there", "web0")
    laws.settled("veth", BASE)
    # Who means that pair says so.
    laws.four_steps("veth", {**BASE, "name": "api0", "adopt": True})
    assert not world.exists("web0")
    laws.remove("veth", {**BASE, "name": "api0"})
    assert not laws.run("veth", {**BASE, "state": "absent"}).changed


# --- what a change does to the pair ------------------------------------------


def test_live_changes_keep_the_links() -> None:
    laws.run("veth", BASE)
    before = index("web0"), index("eth0", "right")
    options = laws.merge(
        BASE,
        {**FURNISHED, "mac": "02:00:00:00:00:01", "txqlen": 7, "offloads": {"tso": False}, "up": False,
         "peer": {**FURNISHED, "name": "eth1", "addresses": ["fd00::1/64"]}},
    )  # fmt: skip
    done = laws.four_steps("veth", options)
    assert {step["effect"] for step in done["plan"]} == {"live"}
    assert (index("web0"), index("eth1", "right")) == before
    laws.remove("veth", options)


def test_queues_need_another_pair() -> None:
    options = {**BASE, "mtu": 4000, "offloads": {"tx": False}, "addresses": ["10.2.0.1/24"]}
    laws.run("veth", options)
    before = index("web0")
    more = laws.merge(options, {"rx_queues": 5, "tx_queues": 6, "peer": {"tx_queues": 7}})
    done = laws.four_steps("veth", more)
    assert [(step["action"], step["effect"]) for step in done["plan"]] == [("set", "recreate")]
    assert {change["option"] for change in done["plan"][0]["changes"]} == {"rx_queues", "tx_queues", "peer.tx_queues"}
    assert index("web0") != before
    assert (world.link("web0")["mtu"], world.addresses("web0")) == (4000, ["10.2.0.1/24"])
    assert not offload("tx-checksumming", "web0", "")
    laws.remove("veth", options)


def test_address_is_the_same_when_the_pair_is_made_again() -> None:
    def macs() -> list[str]:
        return [world.link("web0")["address"], world.link("eth0", "right")["address"]]

    laws.run("veth", BASE)
    first = macs()
    assert first[0] != first[1]
    assert all(mac.startswith("02:") for mac in first)
    laws.repaired("veth", BASE, "ip link delete web0")
    assert macs() == first
    laws.run("veth", {**BASE, "mac": "02:00:00:00:00:01"})
    laws.four_steps("veth", BASE)
    assert macs() == first
    laws.remove("veth", BASE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["10.2.0.1/24"], ["10.2.0.1/16"]),
        (["10.2.0.1/24", "10.2.0.2/24", "10.2.0.3/24"], ["10.2.0.2/24", "10.2.0.3/24", "10.3.0.1/24"]),
        (["fd00::1/64", "fd00::2/64"], ["fd00::2/128", "fd00::3/64"]),
        (["10.2.0.1/24", "fd00::1/64"], []),
    ],
)
def test_addresses_change(before: list[str], after: list[str]) -> None:
    laws.run("veth", {**BASE, "addresses": before})
    laws.four_steps("veth", {**BASE, "addresses": after})
    assert world.addresses("web0") == after
    laws.remove("veth", BASE)


def test_link_local_address_is_ours_once_it_is_named() -> None:
    def local() -> list[str]:
        found = world.ask("ip -j -6 addr show dev web0 scope link")
        return [f"{each['local']}/{each['prefixlen']}" for link in found for each in link.get("addr_info", ())]

    base = {**BASE, "addrgenmode": "none"}
    options = {**base, "addresses": ["fe80:0::1/64"]}
    laws.run("veth", base)
    world.sh("ip addr add fe80::2/64 dev web0")
    laws.run("veth", options)
    assert sorted(local()) == ["fe80::1/64", "fe80::2/64"]
    world.sh("ip addr del fe80::1/64 dev web0")
    assert laws.run("veth", options).changed
    assert not laws.run("veth", options).changed
    laws.run("veth", base)
    assert local() == ["fe80::2/64"]
    laws.remove("veth", base)


# --- others' links -----------------------------------------------------------


def test_foreign_pair_is_not_touched_without_adopt() -> None:
    world.sh("ip link add web0 type veth peer name eth0 netns right")
    world.sh("ip link set web0 up && ip -n right link set eth0 up")
    laws.settled("veth", BASE)
    for options in ({**BASE, "mtu": 1400}, {**BASE, "rx_queues": 7}, {**BASE, "state": "absent"}):
        laws.refused("veth", options, "veth web0 exists", "adopt")
    before = index("web0")
    laws.four_steps("veth", {**BASE, "adopt": True})
    assert [world.link("web0")["group"], world.link("eth0", "right")["group"]] == [GROUP] * 2
    assert index("web0") == before
    laws.settled("veth", BASE)
    laws.remove("veth", BASE)


def test_what_an_adopted_pair_was_comes_back() -> None:
    world.sh("ip link add web0 mtu 1400 type veth peer name eth0 netns right && ip link set web0 alias theirs up")
    world.sh("ip -n right link set eth0 up && ip netns exec right ethtool -K eth0 gro on tso off")
    asked = laws.merge(BASE, {"mtu": 4000, "alias": "ours", "peer": {"offloads": {"gro": False, "tso": True}}})
    laws.four_steps("veth", {**asked, "adopt": True})
    laws.four_steps("veth", BASE)
    assert (world.link("web0")["mtu"], world.link("web0")["ifalias"]) == (1400, "theirs")
    assert offload("generic-receive-offload", "eth0", "right")
    assert not offload("tx-tcp-segmentation", "eth0", "right")
    laws.remove("veth", BASE)


@pytest.mark.parametrize("kind", ["type bridge", "type veth peer name other"])
@pytest.mark.parametrize("end", ["name", "peer.name"])
def test_name_of_another_link_is_refused(end: str, kind: str) -> None:
    if end == "name" and "veth" in kind:
        kind += " netns left"
    world.sh(f"ip link add web0 {kind}" if end == "name" else f"ip -n right link add eth0 {kind}")
    word = "adopt" if end == "name" and "veth" in kind else f"{end}: "
    laws.refused("veth", BASE, word)
    laws.settled("veth", {"name": "nsbr", "state": "absent"})
    world.sh("ip link delete web0" if end == "name" else "ip -n right link delete eth0")


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_drift_that_is_not_to_be_repaired(policy: str) -> None:
    damage = "ip link set web0 mtu 1400; ip -n right link set eth0 netns left"
    words = ["mtu is 1400", "peer.netns is 'left'"]
    laws.drift_stays("veth", {**BASE, "mtu": 4000}, policy, damage, words, {"alias": "new"})
    assert world.link("web0")["mtu"] == 1400
    assert (world.link("web0")["ifalias"] == "new") == (policy == "warn")
    laws.remove("veth", BASE)


# --- failures ----------------------------------------------------------------


def test_failure_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**BASE, **FURNISHED, "peer": {**BASE["peer"], "offloads": {"tx": False}, "rx_queues": 2}}
    laws.run("veth", options)
    world.sh("ip -n left link add web0 up type veth peer name theirs netns right && ip -n right link set theirs up")
    laws.failing(monkeypatch)
    laws.puts_back("veth", [
        BASE,
        {**BASE, "mtu": 4000, "mac": "02:00:00:00:00:01", "addresses": ["10.2.0.1/16", "fd00::1/64"], "up": False},
        {**BASE, "peer": {"name": "eth1", "netns": "left"}},
        {**BASE, "name": "new", "peer": {"name": "eth1", "netns": "right"}},
        {**BASE, "netns": "left", "mtu": 4000, "peer": {"name": "eth1", "netns": "left"}, "adopt": True},
    ])  # fmt: skip
    monkeypatch.undo()
    laws.settled("veth", options)
    laws.remove("veth", options)


@pytest.mark.parametrize(
    "damage",
    ["ip link set web0 down name x0 && ip -n right link set eth0 down name x1",
     "ip link set web0 netns left && ip -n right link set eth0 netns left",
     "ip link set web0 down name x0 && ip link set x0 netns left && ip -n right link set eth0 down name x1"],
)  # fmt: skip
def test_failed_repair_leaves_the_damage_as_it_was(monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    laws.run("veth", BASE)
    world.sh(damage)
    before = world.snapshot()
    laws.failing(monkeypatch)
    assert "Everything was put back as it was" in invoke("veth", BASE)["msg"]
    after = world.snapshot()
    assert world.difference(_names(before), _names(after)) == []
    monkeypatch.undo()
    laws.repaired("veth", BASE, "true")
    laws.remove("veth", BASE)


def _names(snapshot: dict[str, t.Any]) -> dict[str, t.Any]:
    """Names and addresses of all links; a link that was away and came back has another index."""
    return {
        place: {link["ifname"]: link["address"] for link in network["links"]}
        for place, network in snapshot["networks"].items()
    }


def test_kernel_that_refuses_is_named() -> None:
    laws.run("veth", BASE)
    world.sh("sysctl -qw net.ipv6.conf.web0.disable_ipv6=1")
    before = world.snapshot()
    failed = invoke("veth", {**BASE, "mtu": 4000, "addresses": ["10.2.0.1/24", "fd00::1/64"]})
    assert "set addresses of web0 to ['10.2.0.1/24', 'fd00::1/64']: Permission denied" in failed["msg"]
    assert "Everything was put back as it was" in failed["msg"]
    assert world.difference(before, world.snapshot()) == []
    laws.remove("veth", BASE)


# --- bad input ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ("name",)),
        ({"name": "web0"}, ("peer",)),
        ({"name": "web0", "peer": {}}, ("name", "peer")),
        ({**BASE, "name": "a" * 16}, ("name: expected", "1 to 15 bytes", "which has 16 bytes")),
        ({**BASE, "name": "ä" * 8}, ("name: expected", "which has 16 bytes")),
        ({**BASE, "name": "a b"}, ("name: expected",)),
        ({**BASE, "name": "a/b"}, ("name: expected",)),
        ({**BASE, "name": ""}, ("name: expected",)),
        ({**BASE, "name": "all"}, ("name: expected",)),
        ({**BASE, "name": "web%d"}, ("name: expected",)),
        ({**BASE, "netns": "a b"}, ("netns: expected",)),
        ({**BASE, "mac": "02:00"}, ("mac: expected a MAC address",)),
        ({**BASE, "mac": "01:00:00:00:00:01"}, ("mac: expected", "multicast")),
        ({**BASE, "mac": "00:00:00:00:00:00"}, ("mac: expected",)),
        ({**BASE, "mtu": 67}, ("mtu: expected 68 to 65535 bytes, got 67",)),
        ({**BASE, "mtu": 65536}, ("mtu: expected",)),
        ({**BASE, "mtu": "big"}, ("mtu", "big")),
        ({**BASE, "mtu": 1279, "addresses": ["fd00::1/64"]}, ("mtu: expected 1280 or more", "IPv6")),
        ({**BASE, "alias": "x" * 256}, ("alias: expected one line of at most 255 bytes",)),
        ({**BASE, "alias": "a\nb"}, ("alias: expected",)),
        ({**BASE, "alias": "a\0b"}, ("alias: expected",)),
        ({**BASE, "txqlen": -1}, ("txqlen: expected",)),
        ({**BASE, "txqlen": 2**32}, ("txqlen: expected",)),
        ({**BASE, "addrgenmode": "stable"}, ("addrgenmode", "stable")),
        ({**BASE, "addresses": ["10.2.0.1"]}, ("addresses[0]: expected an address with prefix length",)),
        ({**BASE, "addresses": ["10.2.0.1/24", "fd00::1/129"]}, ("addresses[1]: expected",)),
        ({**BASE, "addresses": ["224.0.0.1/4"]}, ("addresses[0]: expected",)),
        ({**BASE, "addresses": ["fe80::1%eth0/64"]}, ("addresses[0]: expected",)),
        ({**BASE, "addresses": ["10.2.0.1/24", "10.2.0.1/16"]}, ("addresses", "10.2.0.1 is given twice")),
        ({**BASE, "master": "x" * 16}, ("master: expected",)),
        ({**BASE, "master": "web0"}, ("master: expected",)),
        ({**BASE, "master": "nsbr", "peer": {"name": "b"}, "rx_queues": 0}, ("rx_queues: expected 1 to 4096",)),
        ({**BASE, "tx_queues": 4097}, ("tx_queues: expected 1 to 4096",)),
        ({**BASE, "offloads": {"lro": True}}, ("lro",)),
        ({**BASE, "offloads": {"tx": False, "tso": True}}, ("offloads.tso: expected tx and sg",)),
        ({**BASE, "offloads": {"sg": False, "gso": True}}, ("offloads.gso: expected sg",)),
        ({**BASE, "colour": "red"}, ("colour",)),
        ({**BASE, "peer": {"name": "x" * 16}}, ("peer.name: expected",)),
        ({**BASE, "peer": {"name": "eth0", "colour": "red"}}, ("peer", "colour")),
        ({**BASE, "peer": {"name": "web0"}}, ("peer.name: expected another name",)),
        ({**BASE, "addresses": ["10.2.0.1/24"], "peer": {"name": "b", "addresses": ["10.2.0.1/24"]}},
         ("peer.addresses[0]: 10.2.0.1/24 is an address of the first end",)),
    ],
)  # fmt: skip
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("veth", options, *words)


def test_all_errors_at_once() -> None:
    peer = {"name": "a b", "mac": "x", "addresses": ["10.0.0.1/24", "y"], "offloads": {"tx": False, "tso": True}}
    failed = laws.refused("veth", {"name": "x" * 16, "mtu": 1, "peer": peer}, "name:", "mtu:", "peer.mac:")
    listed = ["name", "mtu", "peer.name", "peer.mac", "peer.addresses[1]"]
    assert [error["option"] for error in failed["errors"]] == listed


def test_taken_addresses_are_all_named() -> None:
    world.sh("ip addr add 10.2.0.1/24 dev nsbr && ip -n right addr add fd00::1/64 dev nsbr nodad")
    options = {**BASE, "addresses": ["10.3.0.1/24", "10.2.0.1/16"]}
    options["peer"] = {**BASE["peer"], "addresses": ["fd00::1/128"]}
    failed = laws.refused("veth", options, "10.2.0.1/16 is an address of nsbr", "fd00::1/128 is an address of nsbr")
    assert [error["option"] for error in failed["errors"]] == ["addresses[0]", "peer.addresses[0]"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({**BASE, "netns": "nowhere"}, ("netns: there is no network namespace 'nowhere'",)),
        ({**BASE, "peer": {"name": "eth0", "netns": "4194305"}}, ("peer.netns: there is no",)),
        ({**BASE, "peer": {"name": "eth0", "netns": "/etc/passwd"}}, ("peer.netns: there is no",)),
        ({**BASE, "master": "nothing"}, ("master: there is no link nothing",)),
        (
            {**BASE, "peer": {"name": "eth0", "netns": "left", "master": "nsbr"}},
            ("peer.master: there is no link nsbr",),
        ),
    ],
)
def test_what_is_missing(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.missing("veth", options, *words)


def test_master_that_is_no_bridge() -> None:
    world.sh("ip link add v4 type veth peer name v5")
    laws.refused("veth", {**BASE, "master": "v4"}, "master: expected a bridge, bond or VRF, but v4 is veth")
    laws.refused("veth", {**BASE, "master": "lo"}, "master: expected a bridge, bond or VRF, but lo is hardware")
    world.sh("ip link delete v4")


def test_absent_where_there_is_nothing() -> None:
    for options in ({"name": "web0"}, BASE, {"name": "web0", "netns": "nowhere"}):
        laws.settled("veth", {**options, "state": "absent"})


def test_nothing_is_left_of_a_pair_that_somebody_removed() -> None:
    laws.run("veth", BASE)
    world.sh("ip link delete web0")
    assert not laws.run("veth", {**BASE, "state": "absent"}).changed
    assert not os.path.exists("/run/nsfleet/network/veth") or os.listdir("/run/nsfleet/network/veth") == []
