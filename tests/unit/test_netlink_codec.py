# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec of links, addresses and routes, with pyroute2 as the witness in both directions, and with garbage."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model.addresses import interface_address
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink import address, link, message, route, rule, vlan
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink.message import Garbled, NetlinkError, Socket
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl import ifaddrmsg, ifinfmsg, rtmsg
from support.netlink import (
    HEADER,
    INDEXES,
    MACS,
    NAMES,
    U32,
    Recorder,
    acknowledged,
    body_by_witness,
    framed,
    nest,
    witness,
)

# --- what we write, pyroute2 reads -----------------------------------------------


@given(
    st.builds(
        link.Settings,
        name=st.none() | NAMES,
        up=st.none() | st.booleans(),
        mac=st.none() | MACS,
        mtu=st.none() | U32,
        alias=st.none() | st.text("aé ", max_size=20),
        group=st.none() | U32,
        master=st.none() | INDEXES,
        queues=st.none() | st.tuples(st.integers(1, 64), st.integers(1, 64)),
        txqlen=st.none() | U32,
        addrgenmode=st.none() | st.sampled_from(link.ADDRESS_MODES),
        namespace=st.none(),
        bridge=st.none(),
        bridge_port=st.none(),
    ),
    INDEXES,
)
def test_settings_of_a_link(settings: link.Settings, index: int) -> None:
    sock = Recorder(acknowledged())
    link.set_link(sock, index, settings)
    found = witness(ifinfmsg.ifinfmsg, sock.sent[0])
    assert found["index"] == index
    assert (found["flags"], found["change"]) == (int(bool(settings.up)), int(settings.up is not None))
    attributes = {
        "IFLA_IFNAME": settings.name, "IFLA_ADDRESS": settings.mac, "IFLA_MTU": settings.mtu,
        "IFLA_GROUP": settings.group, "IFLA_MASTER": settings.master, "IFLA_TXQLEN": settings.txqlen,
        "IFLA_NUM_RX_QUEUES": settings.queues and settings.queues[0],
        "IFLA_NUM_TX_QUEUES": settings.queues and settings.queues[1],
    }  # fmt: skip
    assert {name: found.get_attr(name) for name in attributes} == attributes
    assert (found.get_attr("IFLA_IFALIAS") or "") == (settings.alias or "")
    mode = nest(found, "IFLA_AF_SPEC", "AF_INET6", "IFLA_INET6_ADDR_GEN_MODE")
    assert mode == (None if settings.addrgenmode is None else link.ADDRESS_MODES.index(settings.addrgenmode))


def values_of(table: t.Mapping[str, tuple[int, int]]) -> st.SearchStrategy[dict[str, int]]:
    """Values that the attributes of a table can have."""
    return st.fixed_dictionaries(
        {}, optional={name: st.integers(0, (1 << 8 * size) - 1) for name, (_kind, size) in table.items()}
    )


#: What pyroute2 calls otherwise than iproute2, or not at all.
OTHER_NAMES = {
    "mcast_router": "MULTICAST_ROUTER", "hairpin": "MODE", "root_block": "PROTECT", "fastleave": "FAST_LEAVE",
    "flood": "UNICAST_FLOOD", "proxy_arp": "PROXYARP", "mcast_to_unicast": "MCAST_TO_UCAST", "fdb_max_learned": None,
    "locked": None,
}  # fmt: skip


def witness_name(prefix: str, name: str, known: t.Container[str]) -> str | None:
    """How pyroute2 calls an attribute."""
    other = OTHER_NAMES.get(name, name.upper())
    return next((each for each in (f"{prefix}_{other}", f"{prefix}_{name.upper()}") if each in known), None)


def known_names(nested: t.Any) -> set[str]:
    """The names that a class of pyroute2 gives to attributes."""
    return {entry[0] for entry in nested.nla_map}


BRIDGE_NAMES = known_names(ifinfmsg.ifinfmsg.ifinfo.bridge_data)
PORT_NAMES = known_names(ifinfmsg.ifinfmsg.ifinfo.bridge_slave_data)


def same(found: t.Any, prefix: str, values: t.Mapping[str, int], known: t.Container[str]) -> None:
    """The witness read just these values."""
    for name, value in values.items():
        called = witness_name(prefix, name, known)
        if called is not None:
            assert found.get_attr(called) == value, name
    written = {called for name in values if (called := witness_name(prefix, name, known))}
    assert {name for name, _value in found["attrs"] if not name.startswith("UNKNOWN")} <= written


@given(NAMES, values_of(link.BRIDGE))
def test_a_new_bridge(name: str, values: dict[str, int]) -> None:
    sock = Recorder(acknowledged())
    link.create_bridge(sock, link.Settings(name=name, bridge=values))
    found = witness(ifinfmsg.ifinfmsg, sock.sent[0])
    assert found["header"]["flags"] == 0x605  # NLM_F_REQUEST, ACK, EXCL, CREATE
    assert nest(found, "IFLA_LINKINFO", "IFLA_INFO_KIND") == "bridge"
    same(nest(found, "IFLA_LINKINFO", "IFLA_INFO_DATA"), "IFLA_BR", values, BRIDGE_NAMES)


@given(values_of(link.BRIDGE_PORT))
def test_the_port_of_a_bridge(values: dict[str, int]) -> None:
    sock = Recorder(acknowledged())
    link.set_link(sock, 5, link.Settings(bridge_port=values))
    found = nest(witness(ifinfmsg.ifinfmsg, sock.sent[0]), "IFLA_LINKINFO")
    assert found.get_attr("IFLA_INFO_SLAVE_KIND") == "bridge"
    same(found.get_attr("IFLA_INFO_SLAVE_DATA"), "IFLA_BRPORT", values, PORT_NAMES)


def test_the_witness_knows_nearly_all_attributes_of_bridges_and_ports() -> None:
    unknown = [name for name in link.BRIDGE if not witness_name("IFLA_BR", name, BRIDGE_NAMES)]
    unknown += [name for name in link.BRIDGE_PORT if not witness_name("IFLA_BRPORT", name, PORT_NAMES)]
    assert set(unknown) <= {"fdb_max_learned", "locked"}


@given(NAMES, NAMES, MACS)
def test_a_new_veth_pair(name: str, peer: str, mac: str) -> None:
    sock = Recorder(acknowledged())
    link.create_veth(sock, link.Settings(name=name), link.Settings(name=peer, mac=mac, up=True, namespace=7))
    found = nest(witness(ifinfmsg.ifinfmsg, sock.sent[0]), "IFLA_LINKINFO")
    assert found.get_attr("IFLA_INFO_KIND") == "veth"
    other = nest(found, "IFLA_INFO_DATA", "VETH_INFO_PEER")
    assert [other.get_attr(word) for word in ("IFLA_IFNAME", "IFLA_ADDRESS", "IFLA_NET_NS_FD")] == [peer, mac, 7]
    assert other["flags"] == 0, "the kernel refuses a peer that is up"


ADDRESSES = st.one_of(
    st.builds(lambda ip, length: f"{ip}/{length}", st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda ip, length: f"{ip}/{length}", st.ip_addresses(v=6), st.integers(0, 128)),
)


@given(INDEXES, ADDRESSES, st.booleans())
def test_a_new_address_and_one_that_goes(index: int, cidr: str, new: bool) -> None:
    sock = Recorder(acknowledged())
    (address.add_address if new else address.remove_address)(sock, index, cidr)
    found = witness(ifaddrmsg.ifaddrmsg, sock.sent[0])
    assert found["index"] == index
    assert ipaddress.ip_interface(f"{found.get_attr('IFA_LOCAL')}/{found['prefixlen']}") == ipaddress.ip_interface(cidr)
    assert found.get_attr("IFA_ADDRESS") == found.get_attr("IFA_LOCAL")
    assert found.get_attr("IFA_FLAGS") == (2 if new and ":" in cidr else None)  # IFA_F_NODAD


# --- what pyroute2 writes, we read ---------------------------------------------------


@given(INDEXES, NAMES, MACS, st.integers(0, 65535), st.booleans(), values_of(link.BRIDGE))
def test_a_link_is_read(index: int, name: str, mac: str, mtu: int, up: bool, values: dict[str, int]) -> None:
    known = {key: value for key, value in values.items() if witness_name("IFLA_BR", key, BRIDGE_NAMES)}
    data = [(witness_name("IFLA_BR", key, BRIDGE_NAMES), value) for key, value in known.items()]
    attrs: list[tuple[str, t.Any]] = [
        ("IFLA_IFNAME", name), ("IFLA_ADDRESS", mac), ("IFLA_MTU", mtu), ("IFLA_MASTER", 3), ("IFLA_IFALIAS", "a note"),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "bridge"), ("IFLA_INFO_DATA", {"attrs": data})]}),
        ("IFLA_NUM_RX_QUEUES", 2), ("IFLA_NUM_TX_QUEUES", 4), ("IFLA_LINK", 9), ("IFLA_LINK_NETNSID", 1),
    ]  # fmt: skip
    found = link.Link(body_by_witness(ifinfmsg.ifinfmsg, {"index": index, "flags": int(up)}, attrs))
    assert (found.index, found.name, found.mac, found.mtu, found.up) == (index, name, mac, mtu, up)
    assert (found.master, found.alias, found.kind) == (3, "a note", "bridge")
    assert (found.queues, found.peer, found.peer_nsid) == ((2, 4), 9, 1)
    assert found.bridge() == known
    assert found.bridge_port() == {}


def addressable(cidr: str) -> bool:
    """Whether an interface can have the address."""
    words = ipaddress.ip_interface(cidr).ip
    return not words.is_multicast and not words.is_unspecified


@given(INDEXES, ADDRESSES, st.integers(0, 0x3FF), st.sampled_from((0, 253, 254)))
def test_addresses_are_read(index: int, cidr: str, flags: int, scope: int) -> None:
    words, _slash, length = cidr.partition("/")
    family = socket.AF_INET6 if ":" in words else socket.AF_INET
    body = body_by_witness(
        ifaddrmsg.ifaddrmsg,
        {"index": index, "family": family, "prefixlen": int(length), "scope": scope, "flags": flags & 0xFF},
        [("IFA_ADDRESS", words), ("IFA_LOCAL", words), ("IFA_FLAGS", flags)],
    )
    sock = Recorder(framed(20, body, 2) + framed(message.NLMSG_DONE, bytes(4), 2))
    (found,) = address.list_addresses(sock)
    assert found == address.Address(index, found.cidr, scope, flags)
    assert ipaddress.ip_interface(found.cidr) == ipaddress.ip_interface(cidr)
    if addressable(cidr):
        assert interface_address(cidr) == found.cidr, "what a task says is never what the kernel shows"


def test_the_address_of_the_other_end_is_not_ours() -> None:
    attrs = [("IFA_ADDRESS", "10.0.0.2"), ("IFA_LOCAL", "10.0.0.1")]
    body = body_by_witness(ifaddrmsg.ifaddrmsg, {"index": 1, "family": socket.AF_INET, "prefixlen": 32}, attrs)
    sock = Recorder(framed(20, body, 2) + framed(message.NLMSG_DONE, bytes(4), 2))
    assert [each.cidr for each in address.list_addresses(sock)] == ["10.0.0.1/32"]


HOPS = st.lists(st.tuples(st.ip_addresses(v=4).map(str), INDEXES, st.integers(1, 256)), min_size=1, max_size=4)


@given(st.ip_addresses(v=4).map(str), st.integers(0, 32), U32, U32, st.sampled_from(sorted(route.SCOPES)), HOPS)
def test_routes_are_read(
    destination: str, length: int, table: int, metric: int, scope: int, hops: list[tuple[str, int, int]]
) -> None:
    attrs: list[tuple[str, t.Any]] = [("RTA_DST", destination), ("RTA_TABLE", table), ("RTA_PRIORITY", metric)]
    if len(hops) == 1:
        attrs += [("RTA_GATEWAY", hops[0][0]), ("RTA_OIF", hops[0][1])]
    else:
        several = [
            {"oif": index, "hops": weight - 1, "flags": 4, "attrs": [("RTA_GATEWAY", via)]}
            for via, index, weight in hops
        ]
        attrs.append(("RTA_MULTIPATH", several))
    values = {"family": socket.AF_INET, "dst_len": length, "proto": 4, "scope": scope, "type": 1, "flags": 4}
    body = body_by_witness(rtmsg.rtmsg, values, attrs)
    (found,) = route.list_routes(Recorder(framed(24, body, 2) + framed(message.NLMSG_DONE, bytes(4), 2)), 2, table)
    assert (found.destination, found.table, found.metric) == (f"{destination}/{length}", table, metric)
    assert (found.type, found.scope, found.protocol) == ("unicast", route.SCOPES[scope], 4)
    weights = [weight if len(hops) > 1 else 1 for _via, _index, weight in hops]
    assert found.nexthops == tuple(
        route.Nexthop(via, index, weight, 4) for (via, index, _weight), weight in zip(hops, weights)
    )


def test_a_gateway_of_the_other_family_is_read() -> None:
    attrs = [("RTA_DST", "10.0.0.0"), ("RTA_VIA", {"family": socket.AF_INET6, "addr": "fd00::1"}), ("RTA_OIF", 3)]
    body = body_by_witness(rtmsg.rtmsg, {"family": socket.AF_INET, "dst_len": 8, "type": 1}, attrs)
    (found,) = route.list_routes(Recorder(framed(24, body, 2) + framed(message.NLMSG_DONE, bytes(4), 2)), 2, 254)
    assert found.nexthops == (route.Nexthop("fd00::1", 3),)


@given(st.integers(0, 65520), st.booleans(), st.integers(0, 65495))
def test_metrics_of_a_route_are_read(mtu: int, locked: bool, advmss: int) -> None:
    metrics = [("RTAX_LOCK", 4 * locked | 8), ("RTAX_MTU", mtu), ("RTAX_ADVMSS", advmss), ("RTAX_HOPLIMIT", 7)]
    values = {"family": socket.AF_INET6, "dst_len": 64, "type": 7}
    body = body_by_witness(rtmsg.rtmsg, values, [("RTA_DST", "fd00::"), ("RTA_METRICS", {"attrs": metrics})])
    (found,) = route.list_routes(Recorder(framed(24, body, 2) + framed(message.NLMSG_DONE, bytes(4), 2)), 10, 254)
    assert (found.mtu, found.mtu_lock, found.advmss, found.type) == (mtu, locked, advmss, "unreachable")


def test_only_routes_of_a_protocol_are_asked_for() -> None:
    sock = Recorder(framed(message.NLMSG_DONE, bytes(4), 2))
    assert route.list_routes(sock, socket.AF_INET, protocol=110) == []
    asked = witness(rtmsg.rtmsg, sock.sent[0])
    assert (asked["family"], asked["proto"], asked["table"], asked["attrs"]) == (socket.AF_INET, 110, 0, [])


VLANS = st.lists(
    st.tuples(st.integers(1, 4094), st.booleans(), st.booleans()), max_size=12, unique_by=lambda each: each[0]
)


@given(st.dictionaries(INDEXES, VLANS, max_size=3))
def test_vlans_of_bridge_ports_are_read(ports: dict[int, list[tuple[int, bool, bool]]]) -> None:
    entries = []
    for index, vlans in ports.items():
        infos = [
            ("IFLA_BRIDGE_VLAN_INFO", {"vid": vid, "flags": 2 * pvid | 4 * untagged}) for vid, pvid, untagged in vlans
        ]
        attrs = [("IFLA_AF_SPEC", {"attrs": infos})]
        entries.append(framed(16, body_by_witness(ifinfmsg.ifinfmsg, {"index": index, "family": 7}, attrs), 2))
    found = vlan.list_vlans(Recorder(b"".join([*entries, framed(message.NLMSG_DONE, bytes(4), 2)])))
    assert found == {index: [vlan.Vlan(*each) for each in vlans] for index, vlans in ports.items()}


@given(st.integers(1, 4000), st.integers(1, 90), st.booleans())
def test_ranges_of_vlans_are_read(first: int, more: int, untagged: bool) -> None:
    ends = [{"vid": first, "flags": 0x08 | 4 * untagged}, {"vid": first + more, "flags": 0x10 | 4 * untagged}]
    attrs = [("IFLA_AF_SPEC", {"attrs": [("IFLA_BRIDGE_VLAN_INFO", end) for end in ends]})]
    body = body_by_witness(ifinfmsg.ifinfmsg, {"index": 4, "family": 7}, attrs)
    found = vlan.list_vlans(Recorder(framed(16, body, 2) + framed(message.NLMSG_DONE, bytes(4), 2)))
    assert found == {4: [vlan.Vlan(vid, False, untagged) for vid in range(first, first + more + 1)]}


@given(VLANS, VLANS, st.booleans())
def test_vlans_of_a_port_are_brought_to_a_set(
    before: list[tuple[int, bool, bool]], after: list[tuple[int, bool, bool]], itself: bool
) -> None:
    live, wanted = (sorted(vlan.Vlan(*each) for each in vlans) for vlans in (before, after))
    sock = Recorder(acknowledged(), acknowledged(sequence=2))
    vlan.apply_vlans(sock, 4, live, wanted, itself=itself)
    state = {each.vid: each for each in live}
    for data in sock.sent:
        found = witness(ifinfmsg.ifinfmsg, data)
        assert (found["family"], found["index"]) == (7, 4)
        spec = found.get_attr("IFLA_AF_SPEC")
        assert (spec.get_attr("IFLA_BRIDGE_VLAN_FLAGS") == 2) == itself  # BRIDGE_FLAGS_SELF
        for each in named_by_witness(spec):
            if found["header"]["type"] == link.RTM_DELLINK:
                del state[each.vid]
            else:
                state[each.vid] = each
    assert sorted(state.values()) == wanted


def named_by_witness(spec: t.Any) -> t.Iterator[vlan.Vlan]:
    """The VLANs of a message, by the words of the kernel's document (``linux/if_bridge.h``)."""
    begin: int | None = None
    for name, info in spec["attrs"]:
        if name != "IFLA_BRIDGE_VLAN_INFO":
            continue
        if info["flags"] & 0x08:
            begin = info["vid"]
            continue
        for vid in range(info["vid"] if begin is None else begin, info["vid"] + 1):
            yield vlan.Vlan(vid, bool(info["flags"] & 2), bool(info["flags"] & 4))
        assert (begin is not None) == bool(info["flags"] & 0x10)
        begin = None


# --- errors, interruptions and garbage ------------------------------------------------


def test_the_kernel_refuses_in_its_own_words() -> None:
    content = struct.pack("=i", -errno.EINVAL) + HEADER.pack(16, 0, 0, 1, 0) + message.attribute(1, b"No such thing\0")
    flags = 0x100 | message.NLM_F_ACK_TLVS
    for how in (lambda sock: link.delete_link(sock, 3), link.list_links):
        with pytest.raises(NetlinkError, match=r"Invalid argument \(No such thing\)"):
            t.cast("t.Any", how)(Recorder(framed(message.NLMSG_ERROR, content, flags)))


def test_an_answer_to_a_request_that_was_given_up_is_not_ours() -> None:
    late = framed(16, bytes(16), sequence=9)
    assert Recorder(late + acknowledged()).request(18, b"") is None


def test_a_dump_that_was_interrupted_is_taken_again() -> None:
    torn = framed(16, b"torn", message.NLM_F_DUMP_INTR) + framed(message.NLMSG_DONE, bytes(4))
    good = framed(16, b"good", sequence=2), framed(message.NLMSG_DONE, bytes(4), sequence=2)
    sock = Recorder(torn, *good)
    assert sock.dump(18, b"") == [b"good"]
    assert len(sock.sent) == 2


def test_an_error_at_the_end_of_a_dump_is_an_error() -> None:
    done = framed(message.NLMSG_DONE, struct.pack("=i", -errno.EMSGSIZE), 2)
    with pytest.raises(NetlinkError) as caught:
        Recorder(framed(16, b"part", 2) + done).dump(18, b"")
    assert caught.value.errno == errno.EMSGSIZE


def test_an_attribute_that_is_too_long_is_an_error() -> None:
    assert len(message.attribute(1, bytes(0xFFFF - 4))) == 0x10000
    with pytest.raises(ValueError, match="at most 65531 bytes"):
        message.attribute(1, bytes(0xFFFF - 3))


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=9)), max_size=5), st.booleans())
def test_attributes_survive(parts: list[tuple[int, bytes]], inside: bool) -> None:
    data = b"".join(message.attribute(kind, payload) for kind, payload in parts)
    if inside:
        ((kind, data),) = message.each_attribute(message.nested(5, data))
        assert kind == 5
    assert list(message.each_attribute(data)) == parts


READERS: list[t.Callable[[Socket], t.Any]] = [
    lambda sock: [(each.name, each.mac, each.bridge(), each.bridge_port(), each.peer_nsid,
                   each.addrgenmode, each.kind) for each in link.list_links(sock)],
    vlan.list_vlans,
    address.list_addresses,
    lambda sock: route.list_routes(sock, socket.AF_INET, 254),
    lambda sock: rule.list_rules(sock, socket.AF_INET6),
    lambda sock: link.get_link(sock, "web0"),
    lambda sock: link.namespace_id(sock, 3),
    lambda sock: route.route_to(sock, "10.0.0.1"),
]  # fmt: skip

#: Bytes that look like messages: lengths and types that are near what is right.
_WORD = st.one_of(st.integers(0, 40), st.integers(0, 0xFFFF)).map(lambda number: number.to_bytes(2, "little"))
GARBAGE = st.one_of(st.binary(max_size=80), st.lists(_WORD, max_size=40).map(b"".join))


@pytest.mark.parametrize("reader", READERS)
def test_garbage_is_an_error_and_nothing_else(reader: t.Callable[[Socket], t.Any]) -> None:
    understood = []

    @given(GARBAGE)
    def check(body: bytes) -> None:
        end = framed(message.NLMSG_DONE, bytes(4), 2) + acknowledged()
        try:
            reader(Recorder(framed(16, body, 2) + end))
        except NetlinkError as error:
            understood.append("not understood" not in str(error))

    check()
    assert understood, "no garbage was found to be garbage"
    assert not any(understood)


@given(GARBAGE)
def test_garbage_in_place_of_messages_is_an_error_and_nothing_else(data: bytes) -> None:
    end = framed(message.NLMSG_DONE, bytes(4), 2) + acknowledged()
    for ask in (Recorder.dump, Recorder.request):
        try:
            ask(Recorder(data, end, end), 18, b"")
        except NetlinkError:
            continue


@given(st.data())
def test_a_message_that_is_cut_off_is_an_error(data: st.DataObject) -> None:
    body = body_by_witness(ifinfmsg.ifinfmsg, {"index": 4}, [("IFLA_IFNAME", "web0"), ("IFLA_MTU", 1500)])
    end = framed(message.NLMSG_DONE, bytes(4), 2)
    whole = framed(16, body, 2)
    assert [each.name for each in link.list_links(Recorder(whole, end))] == ["web0"]
    with pytest.raises(Garbled, match="not understood"):
        link.list_links(Recorder(whole[: data.draw(st.integers(1, len(whole) - 1))], end))
