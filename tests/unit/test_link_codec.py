# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The codecs of kinds of links, of queueing disciplines, forwarding entries and keys, with pyroute2 as the witness.

What this kernel lacks is proved here as far as messages go; the cases that need such a kernel run in virtual machines.
"""

from __future__ import annotations

import base64
import struct
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model import keys
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink import fdb, kinds, message, qdisc, wireguard
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink.link import Link, Settings
from hypothesis import assume, given
from hypothesis import strategies as st
from pyroute2.netlink.generic.wireguard import wgmsg
from pyroute2.netlink.rtnl import ifinfmsg, ndmsg, tcmsg
from support.netlink import MACS, NAMES, Recorder, acknowledged, body_by_witness, framed, nest, witness

FORMS: dict[kinds.Form, st.SearchStrategy[t.Any]] = {
    kinds.U8: st.integers(0, 0xFF), kinds.U16: st.integers(0, 0xFFFF), kinds.U32: st.integers(0, 0xFFFFFFFF),
    kinds.BE16: st.integers(0, 0xFFFF), kinds.BE32: st.integers(0, 0xFFFFFFFF),
    kinds.RANGE: st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    kinds.MASKED: st.tuples(st.integers(0, 31), st.integers(0, 31)),
}  # fmt: skip
#: What pyroute2 gives as a structure, and how ours is found in it.
STRUCTURES: dict[str, t.Callable[[t.Any], t.Any]] = {
    "flags": lambda found: (found["flags"], found["mask"]) if isinstance(found, dict) and "mask" in found else found,
    "port_range": lambda found: (found["low"], found["high"]),
}


def values(kind: str) -> st.SearchStrategy[dict[str, t.Any]]:
    """Values that the attributes of a kind can have."""
    sixth = kind.startswith("ip6")

    def of(name: str, form: kinds.Form) -> st.SearchStrategy[t.Any]:
        if form is kinds.IP:
            return st.ip_addresses(v=6 if sixth or name.endswith("6") else 4).map(str)
        return FORMS[form]

    table = kinds.KINDS[kind]
    return st.fixed_dictionaries({}, optional={name: of(name, form) for name, (_number, form) in table.items()})


#: Attributes that pyroute2 does not know, or reads as words.
UNKNOWN = {
    "macvlan": {"mode", "flags"},
    "ipvlan": {"flags"},
    "geneve": {"df"},
    "gre": {"iflags", "oflags"},
    "gretap": {"iflags", "oflags"},
    "ip6gre": {"iflags", "oflags", "ignore_df", "fwmark"},
    "ip6gretap": {"iflags", "oflags", "ignore_df", "fwmark"},
}


@given(st.data(), st.sampled_from(sorted(kinds.KINDS)), NAMES)
def test_a_new_link_is_as_the_witness_reads_it(data: st.DataObject, kind: str, name: str) -> None:
    wanted = data.draw(values(kind))
    sock = Recorder(acknowledged())
    kinds.create_link(sock, Settings(name=name), kind, wanted, parent=7)
    found = witness(ifinfmsg.ifinfmsg, sock.sent[0])
    assert (found.get_attr("IFLA_IFNAME"), found.get_attr("IFLA_LINK")) == (name, 7)
    assert nest(found, "IFLA_LINKINFO", "IFLA_INFO_KIND") == kind
    inner = nest(found, "IFLA_LINKINFO", "IFLA_INFO_DATA")
    for attribute, value in wanted.items():
        if attribute not in UNKNOWN.get(kind, ()):
            called = type(inner).nla_map[kinds.KINDS[kind][attribute][0]][0]
            shown = inner.get_attr(called)
            assert STRUCTURES.get(attribute, lambda each: each)(shown) == canonical(value), (called, shown)


def canonical(value: t.Any) -> t.Any:
    """An address in the one form of the kernel."""
    return kinds.IP.read(kinds.IP.write(value)) if isinstance(value, str) else value


@given(st.data(), st.sampled_from(sorted(kinds.KINDS)))
def test_what_is_written_is_read(data: st.DataObject, kind: str) -> None:
    wanted = data.draw(values(kind))
    sock = Recorder(acknowledged())
    kinds.change_link(sock, 5, kind, wanted)
    link = Link(sock.sent[0][16:])
    assert (link.index, link.kind) == (5, kind)
    assert kinds.decode(link) == {name: canonical(value) for name, value in wanted.items()}


def test_numbers_of_attributes_are_those_of_the_witness() -> None:
    """By name, where both use the kernel's: ``IFLA_BOND_MIIMON``."""
    others = {"udp_checksum": "UDP_CSUM", "udp6_zero_checksum_tx": "UDP_ZERO_CSUM6_TX", "lacp_rate": "AD_LACP_RATE",
              "udp6_zero_checksum_rx": "UDP_ZERO_CSUM6_RX", "all_ports_active": "ALL_SLAVES_ACTIVE"}  # fmt: skip
    for kind, table in kinds.KINDS.items():
        nested = getattr(ifinfmsg.ifinfmsg.ifinfo, f"{kind}_data", None) or ifinfmsg.ifinfmsg.ifinfo.data_map[kind]
        names = [entry[0] for entry in nested.nla_map]
        for name, (number, _form) in table.items():
            if number < len(names):
                prefix = names[number].rsplit("_UNSPEC")[0]
                assert prefix.endswith(f"_{others.get(name, name.upper())}"), (kind, name, names[number])


# --- queueing disciplines ------------------------------------------------------------

RATES = st.integers(1000, 2**38)


@given(RATES, st.integers(1600, 2**24), st.integers(1600, 2**32 - 1))
def test_a_token_bucket(rate: int, burst: int, limit: int) -> None:
    assume(burst < 4 * rate)  # what the kernel's clock can tell
    sock = Recorder(acknowledged())
    qdisc.put_tbf(sock, 5, qdisc.Tbf(rate, burst, limit))
    found = witness(tcmsg.tcmsg, sock.sent[0])
    assert (found["index"], found["handle"], found["parent"]) == (5, 0x6E740000, 0xFFFFFFFF)
    assert found.get_attr("TCA_KIND") == "tbf"
    parameters = nest(found, "TCA_OPTIONS", "TCA_TBF_PARMS")
    assert (parameters["rate"], parameters["limit"]) == (min(rate, 0xFFFFFFFF), limit)
    # The kernel answers with the burst as time, in ticks of 64 ns.
    ticks = burst * 10**9 // rate // 64
    shown = struct.pack("=BBHhHI12xIII", 0, 1, 0, 0, 0, min(rate, 0xFFFFFFFF), limit, ticks, 0)
    more = message.attribute(4, struct.pack("=Q", rate)) if rate > 0xFFFFFFFF else b""
    read = qdisc.read_tbf(message.attribute(1, shown) + more)
    assert (read.rate, read.limit) == (rate, limit)
    assert abs(read.burst - burst) <= qdisc.coarse(rate)


SHARES = st.integers(0, 1_000_000).map(lambda each: each / 10_000)


@given(
    st.builds(
        qdisc.Netem, limit=st.integers(1, 2**32 - 1), delay=st.integers(0, 10**9), jitter=st.integers(0, 10**9),
        loss=SHARES, duplicate=SHARES, corrupt=SHARES, reorder=SHARES, rate=st.integers(0, 2**38),
    )
)  # fmt: skip
def test_a_worse_network(netem: qdisc.Netem) -> None:
    sock = Recorder(acknowledged())
    qdisc.put_netem(sock, 5, netem)
    found = witness(tcmsg.tcmsg, sock.sent[0])
    assert (found["handle"], found["parent"], found.get_attr("TCA_KIND")) == (0x6E730000, 0xFFFFFFFF, "netem")
    options = found.get_attr("TCA_OPTIONS")
    assert options["limit"] == netem.limit
    assert abs(options["loss"] / 0xFFFFFFFF * 100 - netem.loss) < 1e-4
    assert abs(options.get_attr("TCA_NETEM_CORRUPT")["prob_corrupt"] / 0xFFFFFFFF * 100 - netem.corrupt) < 1e-4
    assert options.get_attr("TCA_NETEM_RATE")["rate"] == min(netem.rate, 0xFFFFFFFF)
    (raw,) = (body for kind, body in message.each_attribute(sock.sent[0], 16 + 20) if kind == qdisc.TCA_OPTIONS)
    assert qdisc.read_netem(raw) == netem


def test_all_that_comes_in_is_sent_elsewhere() -> None:
    nothing = framed(message.NLMSG_DONE, bytes(4), 2)
    there = body_by_witness(tcmsg.tcmsg, {"index": 5, "handle": 0xFFFF0000, "parent": 0xFFFFFFF1},
                            [("TCA_KIND", "clsact")])  # fmt: skip
    listed = framed(36, there, 2) + nothing
    sock = Recorder(listed, acknowledged(sequence=2), acknowledged(sequence=3))
    qdisc.redirect(sock, 5, 9)
    found = witness(tcmsg.tcmsg, sock.sent[-1])
    assert found.get_attr("TCA_KIND") == "u32"
    assert nest(found, "TCA_OPTIONS", "TCA_U32_SEL")["keys"][0]["key_mask"] == 0
    answer = framed(44, sock.sent[-1][16:], 2, sequence=1) + nothing
    assert qdisc.redirected_to(Recorder(answer), 5) == 9
    assert qdisc.redirected_to(Recorder(nothing), 5) == 0


# --- forwarding entries ----------------------------------------------------------------


@given(MACS, st.ip_addresses().map(str), st.integers(1, 2**24 - 1), st.integers(1, 65535))
def test_an_entry_of_a_forwarding_database(mac: str, remote: str, vni: int, port: int) -> None:
    entry = fdb.Entry(mac, canonical(remote), vni, port)
    sock = Recorder(acknowledged())
    fdb.add_entry(sock, 5, entry)
    found = witness(ndmsg.ndmsg, sock.sent[0])
    assert (found["family"], found["ifindex"], found["state"], found["flags"]) == (7, 5, 0xC0, 2)
    assert (found.get_attr("NDA_LLADDR"), found.get_attr("NDA_VNI")) == (mac, vni)
    body = sock.sent[0][16:]
    learned = body[:8] + struct.pack("=HB", 0x02, 2) + body[11:]
    by_daemon = body[:10] + bytes((0x12,)) + body[11:]
    answers = b"".join(framed(28, each, 2) for each in (body, learned, by_daemon))
    assert fdb.list_entries(Recorder(answers + framed(message.NLMSG_DONE, bytes(4), 2)), 5) == [entry]


# --- keys ------------------------------------------------------------------------------


KEYS = st.binary(min_size=32, max_size=32).filter(any).map(lambda raw: base64.b64encode(raw).decode())


@pytest.mark.parametrize("words", ["", "short", "!" * 44, base64.b64encode(bytes(31)).decode()])
def test_what_is_no_key_is_not_repeated(words: str) -> None:
    with pytest.raises(ValueError, match="expected a key of 32 bytes") as caught:
        keys.key(words)
    assert not words or words not in str(caught.value)


NETWORKS = st.sampled_from(["10.0.0.0/8", "0.0.0.0/0", "fd00::/64", "fd00::1/128"])
ENDPOINTS = st.sampled_from(["192.0.2.1:51820", "[fd00::7]:1", ""])
PEERS = st.builds(
    wireguard.Peer,
    KEYS,
    KEYS | st.just(""),
    ENDPOINTS,
    st.lists(NETWORKS, max_size=3).map(tuple),
    st.integers(0, 65535),
)


@given(KEYS, st.integers(1, 65535), st.integers(0, 2**32 - 1),
       st.lists(PEERS, max_size=3, unique_by=lambda peer: peer.public_key))  # fmt: skip
def test_a_wireguard_link(private: str, port: int, mark: int, peers: list[wireguard.Peer]) -> None:
    device = wireguard.Device(private, None, port, mark, tuple(peers))
    body = bytes((1, 1, 0, 0)) + wireguard.encode(5, device)
    found = witness(wgmsg, struct.pack("=IHHII", 16 + len(body), 0x20, 5, 1, 0) + body)
    assert (found.get_attr("WGDEVICE_A_IFINDEX"), found.get_attr("WGDEVICE_A_LISTEN_PORT")) == (5, port)
    assert found.get_attr("WGDEVICE_A_FWMARK") == mark
    for peer, shown in zip(peers, found.get_attr("WGDEVICE_A_PEERS") or ()):
        assert shown.get_attr("WGPEER_A_PUBLIC_KEY").decode() == peer.public_key
        assert shown.get_attr("WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL") == peer.persistent_keepalive
        networks = [f"{each['addr']}" for each in shown.get_attr("WGPEER_A_ALLOWEDIPS") or ()]
        assert networks == list(peer.allowed_ips or ())
        if peer.endpoint:
            endpoint = shown.get_attr("WGPEER_A_ENDPOINT")
            address, _colon, number = peer.endpoint.rpartition(":")
            assert (endpoint["addr"], endpoint["port"]) == (address.strip("[]"), int(number))
    assert wireguard.decode([body]) == device._replace(public_key="")


def test_a_peer_that_takes_two_messages_is_one() -> None:
    public = base64.b64encode(bytes(range(32))).decode()
    parts = [
        bytes(4)
        + wireguard.encode(5, wireguard.Device(listen_port=7, peers=(wireguard.Peer(public, allowed_ips=(each,)),)))
        for each in ("10.0.0.0/8", "fd00::/64")
    ]
    (peer,) = wireguard.decode(parts).peers
    assert peer.allowed_ips == ("10.0.0.0/8", "fd00::/64")


def test_a_peer_that_goes_is_only_named() -> None:
    public = base64.b64encode(bytes(range(32))).decode()
    peer = wireguard.Peer(public, endpoint="192.0.2.1:1", allowed_ips=("10.0.0.0/8",))
    body = bytes((1, 1, 0, 0)) + wireguard.encode(5, wireguard.Device(peers=(peer,)), gone=(public,))
    found = witness(wgmsg, struct.pack("=IHHII", 16 + len(body), 0x20, 5, 1, 0) + body)
    (shown,) = found.get_attr("WGDEVICE_A_PEERS")
    assert [name for name, _value in shown["attrs"]] == ["WGPEER_A_PUBLIC_KEY", "WGPEER_A_FLAGS"]
    assert shown.get_attr("WGPEER_A_FLAGS") == 1
