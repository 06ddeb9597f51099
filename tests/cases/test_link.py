# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module link, by ``ip -j``, ``bridge -j``, ``tc -j`` and ``ping``."""

from __future__ import annotations

import base64
import hashlib
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.link import TABLE
from support import laws, links, world
from support.abilities import has, need
from support.laws import Case
from support.links import GROUP, index

Options = dict[str, t.Any]
VXLAN: Options = {"name": "x0", "kind": "vxlan", "vxlan": {"vni": 5}}
MACVLAN: Options = {"name": "x0", "kind": "macvlan", "parent": "up0"}
FLOOD = "00:00:00:00:00:00"


@pytest.fixture(autouse=True)
def places() -> t.Iterator[None]:
    """Two namespaces, cables into one of them to be parents, and a bridge."""
    world.sh("ip netns add left && ip netns add right && ip link add nsbr type bridge")
    for number in (0, 2):
        world.sh(f"ip link add up{number} type veth peer name up{number + 1} netns right")
        world.sh(f"ip link set up{number} addrgenmode none up")
        world.sh(f"ip -n right link set up{number + 1} addrgenmode none up")
    yield
    world.sh("ip link delete nsbr; ip link delete up0; ip link delete up2; ip netns delete left; ip netns delete right")


def info(*names: str) -> t.Callable[[], list[t.Any]]:
    """Asks what ``ip -d link`` shows of the link's kind."""

    def shows() -> list[t.Any]:
        data = world.link("x0")["linkinfo"].get("info_data", {})
        return [data.get(name) for name in names]

    return shows


def entries() -> list[str]:
    """The static entries of the forwarding database, as ``bridge fdb`` shows them."""
    found = []
    for each in world.ask("bridge -j fdb show dev x0"):
        more = "".join(f" {word} {each[word]}" for word in ("vni", "port") if word in each)
        if "dst" in each:  # an address of the link itself has none
            found.append(f"{each['mac']} {each['dst']}{more}")
    return sorted(found)


# --- every option of links of every kind -------------------------------------

COMMON = [
    *links.cases("x0"),
    Case("master", {"master": "nsbr"}, lambda: world.link("x0").get("master", ""), "nsbr",
         "ip link set x0 nomaster", reverts_to=""),
    Case("offloads", {"offloads": {"tx": False, "sg": False, "tso": False, "gso": False, "gro": False, "rx": False}},
         lambda: links.offload("tx-checksumming", "x0"), False, "ethtool -K x0 tx on", reverts_to=True),
]  # fmt: skip


def test_common_options() -> None:
    """All at once: each by itself is proved with the other kinds of links, by the same code."""
    cases = [case for case in COMMON if not case.needs]
    together: Options = {}
    for case in cases:
        together = laws.merge(together, case.options)
    reverting = [case for case in cases if case.reverts_to is not None]

    def shows() -> list[t.Any]:
        return [case.shows() for case in cases]

    laws.option_holds("link", VXLAN, Case(
        "all", together, shows, [case.value for case in cases], " && ".join(case.damage for case in cases)
    ))  # fmt: skip
    laws.four_steps("link", VXLAN)
    assert [case.shows() for case in reverting] == [case.reverts_to for case in reverting]
    laws.remove("link", VXLAN)


def test_a_worse_network_and_a_slower_one_at_once() -> None:
    need(links.NETEM)
    (case,) = (case for case in COMMON if case.option == "netem")
    laws.option_holds("link", VXLAN, case)
    both = {**VXLAN, **case.options, "egress": {"rate": "1mbit"}}
    laws.four_steps("link", both)
    assert [(each["kind"], each.get("parent", "root")) for each in links.qdiscs("x0")] == [
        ("netem", "root"), ("tbf", "6e73:1"),
    ]  # fmt: skip
    assert case.shows() == case.value
    laws.four_steps("link", {**VXLAN, "egress": {"rate": "1mbit"}})
    assert [each["kind"] for each in links.qdiscs("x0")] == ["tbf"]
    laws.remove("link", VXLAN)


# --- every option of every kind ----------------------------------------------


class OfKind(t.NamedTuple):
    """Options of a kind, and the link that they are options of."""

    base: Options
    case: Case

    @property
    def option(self) -> str:
        """As that of the case."""
        return self.case.option

    @property
    def options(self) -> Options:
        """As those of the case, and of the link."""
        return laws.merge(self.base, self.case.options)


def of_kind(
    base: Options, names: str, options: Options, shown: list[t.Any], damage: str, back: list[t.Any], needs: str = ""
) -> OfKind:
    """A case of options of a kind.

    :param names: by which ``ip -d link`` calls them.
    :param shown: what it shows of them, and ``back`` when they have disappeared from the task.
    :param damage: how somebody changes them.
    """
    (option,) = options
    return OfKind(base, Case(option, options, info(*names.split()), shown, damage, needs, back))


def again(words: str) -> str:
    """How somebody puts another link in the place of ours, which looks like it."""
    return f"ip link delete x0 && ip link add name x0 {words} && ip link set x0 {links.OURS}"


VLAN: Options = {"name": "x0", "kind": "vlan", "parent": "up0", "vlan": {"id": 5}}
TAP: Options = {"name": "x0", "kind": "tap"}
VRF: Options = {"name": "x0", "kind": "vrf", "vrf": {"table": 5}}
BOND: Options = {"name": "x0", "kind": "bond"}
IPVLAN: Options = {"name": "x0", "kind": "ipvlan", "parent": "up0"}
GENEVE: Options = {"name": "x0", "kind": "geneve", "geneve": {"vni": 5, "remote": "10.0.0.1"}}
GRE: Options = {"name": "x0", "kind": "gretap", "gre": {"remote": "10.0.0.1"}}
GRE6: Options = {"name": "x0", "kind": "ip6gre", "gre": {"remote": "fd00::1"}}


def key(words: str) -> str:
    """A key that is always the same for the same words."""
    return base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()


def wireguard() -> list[list[str]]:
    """Mark of the link, and of each peer: key, key of both, endpoint, networks, seconds; as wg(8) shows them."""
    link, *peers = (line.split("\t") for line in world.sh("wg show x0 dump").splitlines())
    return [[link[3]], *sorted([*peer[:4], peer[7]] for peer in peers)]


WIREGUARD: Options = {"name": "x0", "kind": "wireguard", "wireguard": {"private_key": key("ours")}}
PEERS: list[Options] = [
    {"public_key": key("one"), "preshared_key": key("both"), "endpoint": "192.0.2.1:51820",
     "allowed_ips": ["10.7.0.0/24", "fd00::7"], "persistent_keepalive": 25},
    {"public_key": key("two"), "allowed_ips": ["10.8.0.1"]},
]  # fmt: skip


def isolation() -> str:
    """How ip(8) calls what keeps links of one parent apart; in JSON it is lost."""
    words = world.sh("ip -d link show x0").split()
    return next(word for word in ("private", "vepa", "bridge") if word in words)


OF_KINDS = [
    OfKind(WIREGUARD, Case(
        "wireguard", {"wireguard": {"private_key": key("ours"), "fwmark": 7, "peers": PEERS}}, wireguard,
        [["0x7"], *sorted([
            [key("one"), key("both"), "192.0.2.1:51820", "10.7.0.0/24,fd00::7/128", "25"],
            [key("two"), "(none)", "(none)", "10.8.0.1/32", "off"],
        ])],
        f"wg set x0 fwmark 9 peer {key('one')} persistent-keepalive 5 allowed-ips 10.9.0.0/24 peer {key('two')} remove "
        f"peer {key('three')}", "wireguard links", [["off"]],
    )),
    of_kind(
        VXLAN, "local learning ttl tos ageing df",
        {"vxlan": {"local": "10.0.0.1", "learning": False, "ttl": 9, "tos": 8, "ageing": 60, "df": "set"}},
        ["10.0.0.1", False, 9, "0x8", 60, "set"],
        "ip link set x0 type vxlan id 5 local 10.0.0.2 ttl 7 tos 16 ageing 90 learning",
        [None, True, 0, None, 300, "unset"],
    ),
    of_kind(VXLAN, "remote", {"vxlan": {"remote": "10.0.0.9"}}, ["10.0.0.9"],
            "ip link set x0 type vxlan id 5 remote 10.0.0.8", [None]),
    of_kind(VXLAN, "link", {"parent": "up0"}, ["up0"], "ip link set x0 type vxlan id 5 dev up2", [None]),
    of_kind(
        VXLAN, "id local6 port port_range proxy udp_csum udp_zero_csum6_tx udp_zero_csum6_rx",
        {"vxlan": {"vni": 6, "local": "fd00:0::1", "port": 8472, "port_range": "40000-50000", "proxy": True,
                   "udp_checksum": False, "udp6_zero_checksum_tx": True, "udp6_zero_checksum_rx": True}},
        [6, "fd00::1", 8472, {"low": 40000, "high": 50000}, True, False, True, True],
        again("type vxlan id 5 dstport 4789"),
        [5, None, 4789, {"low": 0, "high": 0}, None, True, False, False],
    ),
    OfKind(VXLAN, Case(
        "vxlan.flood", {"vxlan": {"flood": ["10.0.0.3", "10.0.0.2"]}}, entries,
        [f"{FLOOD} 10.0.0.2", f"{FLOOD} 10.0.0.3"],
        f"bridge fdb del {FLOOD} dst 10.0.0.3 dev x0 && bridge fdb append {FLOOD} dst 10.0.0.4 dev x0", reverts_to=[],
    )),
    OfKind(VXLAN, Case(
        "vxlan.fdb",
        {"vxlan": {"fdb": [
            {"mac": "02-00-00-00-00-0A", "remote": "10.0.0.2", "vni": 7, "port": 8472},
            {"mac": "02:00:00:00:00:0b", "remote": "10.0.0.3"},
        ]}},
        entries, ["02:00:00:00:00:0a 10.0.0.2 vni 7 port 8472", "02:00:00:00:00:0b 10.0.0.3"],
        "bridge fdb replace 02:00:00:00:00:0a dst 10.0.0.9 dev x0 && bridge fdb del 02:00:00:00:00:0b dev x0 && "
        "bridge fdb add 02:00:00:00:00:0c dst 10.0.0.9 dev x0",
        reverts_to=[],
    )),
    of_kind(MACVLAN, "mode", {"macvlan": {"mode": "bridge"}}, ["bridge"],
            "ip link set x0 type macvlan mode private", ["vepa"]),
    of_kind({**MACVLAN, "macvlan": {}}, "mode", {"macvlan": {"mode": "passthru"}}, ["passthru"],
            again("link up0 type macvlan mode vepa"), ["vepa"]),
    of_kind(TAP, "user group multi_queue vnet_hdr pi",
            {"tun": {"owner": "nobody", "group": "7", "multi_queue": True, "vnet_hdr": True, "packet_info": True}},
            ["nobody", "lp", True, True, True],
            f"ip link delete x0 && ip tuntap add x0 mode tap && ip link set x0 {links.OURS}",
            [None, None, False, False, False]),
    of_kind(VLAN, "id protocol flags",
            {"vlan": {"id": 6, "protocol": "802.1ad", "reorder_hdr": False, "gvrp": True, "loose_binding": True,
                      "mvrp": True, "bridge_binding": True}},
            [6, "802.1ad", ["GVRP", "MVRP", "LOOSE_BINDING", "BRIDGE_BINDING"]],
            "ip link set x0 type vlan reorder_hdr on gvrp off", [5, "802.1Q", ["REORDER_HDR"]], "vlan links"),
    of_kind(VRF, "table", {"vrf": {"table": 6}}, [6], again("type vrf table 7"), [5], "vrf links"),
    of_kind(
        BOND, "mode miimon updelay downdelay xmit_hash_policy primary_reselect fail_over_mac min_links resend_igmp",
        {"bond": {"mode": "active-backup", "miimon": 100, "updelay": 200, "downdelay": 300,
                  "xmit_hash_policy": "layer3+4", "primary_reselect": "better", "fail_over_mac": "active",
                  "min_links": 1, "resend_igmp": 3}},
        ["active-backup", 100, 200, 300, "layer3+4", "better", "active", 1, 3],
        "ip link set x0 type bond miimon 500 updelay 500 downdelay 500 min_links 2 resend_igmp 5",
        ["balance-rr", 0, 0, 0, "layer2", "always", "none", 0, 1], "bond links",
    ),
    of_kind({**BOND, "bond": {"mode": "802.3ad"}}, "ad_lacp_rate ad_select",
            {"bond": {"lacp_rate": "fast", "ad_select": "count"}},
            ["fast", "count"],
            "ip link set x0 down && ip link set x0 type bond lacp_rate slow ad_select stable && ip link set x0 up",
            ["slow", "stable"], "bond links"),
    of_kind(IPVLAN, "mode", {"ipvlan": {"mode": "l2"}}, ["l2"], "ip link set x0 type ipvlan mode l3s", ["l3"],
            "ipvlan links"),
    OfKind(IPVLAN, Case(
        "ipvlan.isolation", {"ipvlan": {"isolation": "private"}}, isolation, "private",
        "ip link set x0 type ipvlan mode l3 vepa", "ipvlan links", "bridge",
    )),
    of_kind(GENEVE, "id remote port ttl tos df udp_csum",
            {"geneve": {"vni": 6, "remote": "10.0.0.2", "port": 7000, "ttl": 9, "tos": 8, "df": "set",
                        "udp_checksum": True}},
            [6, "10.0.0.2", 7000, 9, "0x8", "set", True],
            "ip link set x0 type geneve id 6 remote 10.0.0.3 ttl 5",
            [5, "10.0.0.1", 6081, 0, None, "unset", False], "geneve links"),
    of_kind(GRE, "remote local ttl tos ikey okey",
            {"gre": {"remote": "10.0.0.2", "local": "10.0.0.3", "ttl": 9, "tos": 8, "key": "77"}},
            ["10.0.0.2", "10.0.0.3", 9, "0x8", "0.0.0.77", "0.0.0.77"],
            "ip link set x0 type gretap remote 10.0.0.4 local 10.0.0.3 ttl 5",
            ["10.0.0.1", "any", 0, None, None, None], "gre links"),
    of_kind(GRE6, "remote local", {"gre": {"remote": "fd00::2", "local": "fd00::3"}}, ["fd00::2", "fd00::3"],
            "ip link set x0 type ip6gre remote fd00::4 local fd00::3", ["fd00::1", "any"], "ip6gre links"),
]  # fmt: skip


@pytest.mark.parametrize("each", OF_KINDS, ids=lambda each: f"{each.base['kind']}-{each.option}")
def test_option_of_kind(each: OfKind) -> None:
    need(each.case.needs)
    laws.option_holds("link", each.base, each.case)
    laws.remove("link", each.base)


def test_every_option_is_proved() -> None:
    laws.covered(
        TABLE,
        [*COMMON, *OF_KINDS],
        {
            "name": test_renamed_or_moved_link_comes_back,
            "netns": test_link_of_a_namespace_whose_packets_are_the_hosts,
            "kind": test_another_kind_is_another_link,
            "parent_netns": test_link_of_a_namespace_whose_packets_are_the_hosts,
            "adopt": test_foreign_link_is_not_touched_without_adopt,
            "on_drift": test_drift_that_is_not_to_be_repaired,
            "wireguard.listen_port": test_keys_of_wireguard_are_written_down_nowhere,
            "physical.name": test_link_is_lent_to_a_namespace,
            "physical.netns": test_link_is_lent_to_a_namespace,
            "gre.pmtudisc": test_ttl_of_its_own_needs_pmtudisc,
        },
    )


# --- where links are, and of what kind ---------------------------------------


def test_link_of_a_namespace_whose_packets_are_the_hosts() -> None:
    """Two ends of a VXLAN in namespaces without any network of their own; the packets go from host to host."""
    world.sh("ip addr add 10.0.0.1/24 dev up0 && ip -n right addr add 10.0.0.2/24 dev up1")
    ends = [
        {"name": "x0", "netns": netns, "kind": "vxlan", "parent_netns": underlay, "addresses": [f"10.5.0.{own}/24"],
         "vxlan": {"vni": 5, "local": f"10.0.0.{own}", "flood": [f"10.0.0.{other}"]}}
        for netns, underlay, own, other in (("left", "", 1, 2), ("right", "", 2, 1))
    ]  # fmt: skip
    ends[1].update(netns="", parent_netns="right")
    for options in ends:
        laws.four_steps("link", options)
    world.sh("ip netns exec left ping -q -c 1 -W 5 10.5.0.2")
    laws.four_steps("link", {**ends[0], "parent_netns": "left"})
    assert "link_netnsid" not in world.link("x0", "left")
    for options in ends:
        laws.remove("link", options)


def test_another_kind_is_another_link() -> None:
    laws.run("link", {**VXLAN, "mtu": 1400, "alias": "note", "mac": "02:00:00:00:00:01", "addrgenmode": "none"})
    done = laws.four_steps("link", {**MACVLAN, "macvlan": {"mode": "bridge"}, "mtu": 1400})
    assert [(step["action"], step["effect"]) for step in done["plan"]] == [("set", "recreate")]
    assert (world.link("x0")["linkinfo"]["info_kind"], world.link("x0")["mtu"]) == ("macvlan", 1400)
    laws.run("link", TAP)
    laws.four_steps("link", {"name": "x0", "kind": "tun", "addresses": ["10.2.0.1/24"]})
    assert world.link("x0")["link_type"] == "none"
    laws.run("link", {"name": "x0", "kind": "ifb"})
    laws.run("link", VXLAN)
    laws.settled("link", VXLAN)
    laws.remove("link", VXLAN)


def test_a_family_of_addresses_is_not_changed_in_place() -> None:
    laws.run("link", {**VXLAN, "vxlan": {"vni": 5, "local": "10.0.0.1", "fdb": [{"mac": "02:00:00:00:00:0a",
             "remote": "10.0.0.2"}]}})  # fmt: skip
    before = index("x0")
    laws.four_steps("link", {**VXLAN, "vxlan": {"vni": 5, "local": "10.0.0.7"}})
    assert index("x0") == before
    done = laws.four_steps("link", {**VXLAN, "vxlan": {"vni": 5, "local": "fd00::1", "fdb": []}})
    assert [step["effect"] for step in done["plan"]] == ["recreate"]
    assert index("x0") != before
    laws.remove("link", VXLAN)


@pytest.mark.parametrize(
    "damage",
    ["ip link set x0 down && ip link set x0 name y0 && ip link set y0 up", "ip link set x0 netns left",
     "ip link set x0 down name y0 && ip link set y0 netns right", "ip link delete x0"],
)  # fmt: skip
def test_renamed_or_moved_link_comes_back(damage: str) -> None:
    options = {
        **VXLAN, "mtu": 1400, "alias": "note", "master": "nsbr", "addresses": ["10.2.0.1/24"],
        "sysctls": {"ipv4.rp_filter": 2}, "egress": {"rate": "1mbit"}, "ingress": {"rate": "1mbit"},
        "vxlan": {"vni": 5, "fdb": [{"mac": "02:00:00:00:00:0a", "remote": "10.0.0.2"}]},
    }  # fmt: skip
    laws.run("link", options)
    mac = world.link("x0")["address"]
    laws.repaired("link", options, damage)
    link = world.link("x0")
    assert (link["mtu"], link["ifalias"], link["master"], link["address"]) == (1400, "note", "nsbr", mac)
    assert (world.addresses("x0"), entries()) == (["10.2.0.1/24"], ["02:00:00:00:00:0a 10.0.0.2"])
    assert links.parameters("x0", "", "ipv4/conf/{}/rp_filter") == ["2"]
    assert links.bucket("x0")
    assert links.bucket(links.taken_in_by("x0"))
    laws.remove("link", options)


def test_keys_of_wireguard_are_written_down_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    need("wireguard links")
    options = {**WIREGUARD, "wireguard": {"private_key": key("ours"), "listen_port": 51820, "peers": PEERS}}
    laws.four_steps("link", options)
    before = world.sh("wg show x0 dump")
    laws.failing(monkeypatch)
    laws.puts_back("link", [{**WIREGUARD, "wireguard": {"private_key": key("other"), "listen_port": 51821}}])
    monkeypatch.undo()
    assert world.sh("wg show x0 dump") == before
    done = laws.four_steps("link", {**options, "wireguard": {"private_key": key("other"), "listen_port": 51821}})
    assert world.sh("wg show x0 listen-port").strip() == "51821"
    for secret in ("ours", "other", "both", "wg"):
        assert key(secret) not in str(done)
        assert not world.sh(f"grep -rlF {key(secret)} /run/nsfleet || true")
    # A peer that went elsewhere is left there.
    laws.run("link", options)
    world.sh(f"wg set x0 peer {key('one')} endpoint 192.0.2.77:1")
    laws.settled("link", options)
    laws.remove("link", options)


def test_link_is_lent_to_a_namespace() -> None:
    """A network card is what the host has; here it is the end of a cable."""
    world.sh("ip link set up0 mtu 1400 alias card && ip link set up0 address 02:00:00:00:00:77")
    options = {
        "name": "eth0", "netns": "left", "kind": "physical", "physical": {"name": "up0"}, "mtu": 1300,
        "mac": "02:00:00:00:00:78", "addresses": ["10.2.0.1/24"],
    }  # fmt: skip
    laws.four_steps("link", options)
    link = world.link("eth0", "left")
    assert (link["mtu"], link["address"], world.exists("up0")) == (1300, "02:00:00:00:00:78", False)
    laws.repaired("link", options, "ip -n left link set eth0 mtu 1350 && ip -n left link set eth0 down name x9")
    laws.repaired("link", options, "ip -n left link set eth0 netns right")
    laws.four_steps("link", {**options, "physical": {"name": "up2"}})
    assert [world.exists(name) for name in ("up0", "up2")] == [True, False]
    laws.run("link", options)
    laws.four_steps("link", {"name": "eth0", "netns": "left", "state": "absent"})
    link = world.link("up0")
    assert (link["mtu"], link["address"], link["ifalias"]) == (1400, "02:00:00:00:00:77", "card")
    assert (link["group"], link.get("altnames")) == ("default", None)
    laws.missing("link", {**options, "physical": {"name": "nothing"}}, "physical.name: there is no link nothing")
    laws.refused("link", {**options, "physical": {"name": "nsbr"}}, "physical.name: expected a link that can be moved")
    laws.refused("link", {**options, "netns": ""}, "netns: expected another namespace")


def test_ports_of_a_vrf_and_of_a_bond() -> None:
    for options, needs in ((VRF, "vrf links"), ({**BOND, "bond": {"mode": "active-backup"}}, "bond links")):
        need(needs)
        port = {"name": "x1", "kind": "vxlan", "vxlan": {"vni": 6}, "master": "x0"}
        laws.four_steps("link", options)
        laws.four_steps("link", port)
        assert world.link("x1")["master"] == "x0"
        laws.repaired("link", port, "ip link set x1 nomaster up")
        laws.four_steps("link", {**port, "master": ""})
        assert "UP" in world.link("x1")["flags"]
        laws.remove("link", port)
        laws.remove("link", options)


# --- others' links -----------------------------------------------------------


def test_foreign_link_is_not_touched_without_adopt() -> None:
    world.sh("ip link add x0 mtu 1400 type vxlan id 5 dstport 4789 && ip link set x0 up")
    before = index("x0")
    laws.settled("link", VXLAN)
    for options in ({**VXLAN, "mtu": 1300}, {**MACVLAN}, {**VXLAN, "state": "absent"}):
        laws.refused("link", options, "link x0 exists", "adopt")
    laws.four_steps("link", {**VXLAN, "adopt": True, "mtu": 1300})
    assert (world.link("x0")["group"], index("x0")) == (GROUP, before)
    laws.four_steps("link", VXLAN)
    assert world.link("x0")["mtu"] == 1400
    laws.remove("link", VXLAN)


def test_qdisc_of_somebody_else_is_not_touched_without_adopt() -> None:
    laws.run("link", VXLAN)
    world.sh("tc qdisc add dev x0 root handle 7: tbf rate 1mbit burst 10k latency 1ms && tc qdisc add dev x0 clsact")
    for option in ("egress", "ingress"):
        options = {**VXLAN, option: {"rate": "1mbit"}}
        laws.refused("link", options, f"{option}: x0 has a qdisc of somebody else", "adopt")
        laws.four_steps("link", {**options, "adopt": True})
        laws.run("link", VXLAN)
        assert [each["handle"] for each in links.qdiscs("x0")] == ([] if option == "ingress" else ["ffff:"])
    laws.remove("link", VXLAN)


def test_drift_that_is_not_to_be_repaired() -> None:
    options = {**VXLAN, "vxlan": {"vni": 5, "ttl": 9, "flood": ["10.0.0.2"]}}
    damage = f"ip link set x0 type vxlan id 5 ttl 3 && bridge fdb del {FLOOD} dst 10.0.0.2 dev x0"
    for policy in ("warn", "fail"):
        laws.drift_stays("link", options, policy, damage, ["vxlan.ttl is 3", "vxlan.flood is []"], {"alias": "new"})
        assert (info("ttl")(), entries()) == ([3], [])
        laws.remove("link", VXLAN)


# --- failures ----------------------------------------------------------------


def test_failure_puts_everything_back(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        **VXLAN, "mtu": 1400, "alias": "note", "addresses": ["10.2.0.1/24"], "egress": {"rate": "1mbit"},
        "ingress": {"rate": "2mbit"}, "sysctls": {"ipv4.rp_filter": 2}, "offloads": {"tx": False},
        "vxlan": {"vni": 5, "local": "10.0.0.1", "flood": ["10.0.0.2"],
                  "fdb": [{"mac": "02:00:00:00:00:0a", "remote": "10.0.0.2"}]},
    }  # fmt: skip
    laws.run("link", options)
    shaped = links.bucket("x0"), links.bucket(links.taken_in_by("x0")), entries()
    laws.failing(monkeypatch)
    laws.puts_back("link", [
        {**VXLAN, "ingress": {"rate": "3mbit"}},
        {**options, "egress": {"rate": "5mbit"}, "sysctls": {"ipv4.rp_filter": 1}, "netns": ""},
        {**options, "vxlan": {"vni": 5, "local": "10.0.0.3", "ttl": 7, "flood": ["10.0.0.4"]}},
        {**VXLAN, "name": "new", "netns": "left", "vxlan": {"vni": 9}, "ingress": {"rate": "5mbit"}},
        {**MACVLAN, "name": "new"},
        {**TAP, "name": "new"},
    ])  # fmt: skip
    assert (links.bucket("x0"), links.bucket(links.taken_in_by("x0")), entries()) == shaped
    monkeypatch.undo()
    laws.settled("link", options)
    laws.remove("link", options)


# --- bad input: what can be told without a host, tests/unit/test_link_options.py tells ---


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "x0", "kind": "veth"}, ("kind", "veth")),
        ({"name": "x0", "kind": "vxlan", "vxlan": {}}, ("vni",)),
        ({**VXLAN, "egress": {"burst": "64K"}}, ("rate", "egress")),
        ({**VXLAN, "sysctls": {"ipv4.no_such_thing": 1}}, ("sysctls[ipv4.no_such_thing]: a link of this kernel",)),
        ({**VXLAN, "name": "nsbr"}, ("name: nsbr is the name of another link there (bridge)",)),
    ],
)
def test_bad_input(options: Options, words: tuple[str, ...]) -> None:
    laws.refused("link", options, *words)


def test_ttl_of_its_own_needs_pmtudisc() -> None:
    gre = {"remote": "10.0.0.1", "pmtudisc": False}
    laws.refused("link", {**GRE, "gre": {**gre, "ttl": 5}}, "gre.ttl: expected none of its own without pmtudisc")
    need("gre links")
    laws.four_steps("link", {**GRE, "gre": gre})
    assert info("pmtudisc")() == [False]
    laws.remove("link", GRE)


@pytest.mark.parametrize(
    "options", [VLAN, VRF, BOND, IPVLAN, GENEVE, GRE, GRE6, WIREGUARD], ids=lambda each: str(each["kind"])
)
def test_kind_that_the_kernel_lacks_is_refused(options: Options) -> None:
    if has(f"{'gre' if options is GRE else options['kind']} links"):
        laws.four_steps("link", options)
        laws.remove("link", options)
    else:
        laws.refused("link", options, f"kind: this kernel has no links of kind {options['kind']}; it needs CONFIG_")


def test_what_is_missing() -> None:
    laws.missing("link", {**VXLAN, "netns": "nowhere"}, "netns: there is no network namespace 'nowhere'")
    laws.missing("link", {**VXLAN, "parent_netns": "nowhere"}, "parent_netns: there is no network namespace 'nowhere'")
    laws.missing("link", {**MACVLAN, "parent": "nothing"}, "parent: there is no link nothing")
    laws.missing("link", {**VXLAN, "master": "nothing"}, "master: there is no link nothing")


def test_absent_where_there_is_nothing() -> None:
    for options in ({"name": "x0"}, VXLAN, MACVLAN, {"name": "x0", "netns": "nowhere"}):
        laws.settled("link", {**options, "state": "absent"})
