# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec of rules of policy routing, with pyroute2 as the witness in both directions, and what rules go by."""

from __future__ import annotations

import socket
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model import traffic
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink import message, rule
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from support.netlink import NAMES, U32, Recorder, acknowledged, body_by_witness, framed, witness

U8 = st.integers(0, 255)


def ranges(most: int) -> st.SearchStrategy[t.Any]:
    """Nothing, or a first and a last number."""
    return st.none() | st.tuples(st.integers(1, most), st.integers(1, most)).map(lambda both: tuple(sorted(both)))


def rules_of(family: int, networks: st.SearchStrategy[str]) -> st.SearchStrategy[rule.Rule]:
    """Rules of an address family, with all that a rule can have."""
    return st.builds(
        rule.Rule,
        st.just(family),
        priority=U32, invert=st.booleans(), source=networks, destination=networks, iif=st.just("") | NAMES,
        oif=st.just("") | NAMES, mark=U32, mask=st.integers(1, 0xFFFFFFFF), tos=U8, ipproto=U8, sport=ranges(65534),
        dport=ranges(65534), uids=ranges(0xFFFFFFFE), action=st.sampled_from([*rule.ACTIONS.values(), "5"]), table=U32,
        suppress_prefixlength=st.integers(-1, 128), protocol=U8,
        rest=st.just(()) | U32.map(lambda value: ((rule.FLOW, value.to_bytes(4, "little")),)),
    )  # fmt: skip


def networks_of(version: t.Literal[4, 6], most: int) -> st.SearchStrategy[str]:
    """Networks, and nothing for any."""
    family = {4: socket.AF_INET, 6: socket.AF_INET6}[version]
    addresses = st.ip_addresses(v=version).map(lambda address: socket.inet_ntop(family, address.packed))
    return st.just("") | st.builds("{}/{}".format, addresses, st.integers(1, most))


RULES = rules_of(socket.AF_INET, networks_of(4, 32)) | rules_of(socket.AF_INET6, networks_of(6, 128))


def split(network: str) -> tuple[str | None, int]:
    """Address and length of a network."""
    words, _slash, length = network.partition("/")
    return words or None, int(length or 0)


def joined(both: tuple[int, int] | None) -> str | None:
    """A range as pyroute2 has it."""
    return f"{both[0]}:{both[1]}" if both else None


@given(RULES)
def test_what_we_write_the_witness_reads(wanted: rule.Rule) -> None:
    sock = Recorder(acknowledged(), acknowledged(sequence=2))
    rule.add_rule(sock, wanted)
    rule.delete_rule(sock, wanted)
    added, deleted = (witness(fibmsg, data) for data in sock.sent)
    assert (added["header"]["type"], added["header"]["flags"]) == (32, 0x405)  # request, acknowledge, create
    assert (deleted["header"]["type"], deleted["header"]["flags"]) == (33, 0x5)
    for found in (added, deleted):
        assert (found.get_attr("FRA_SRC"), found["src_len"]) == split(wanted.source)
        assert (found.get_attr("FRA_DST"), found["dst_len"]) == split(wanted.destination)
        assert (found["tos"], found["flags"]) == (wanted.tos, 2 * wanted.invert)
        assert rule.ACTIONS.get(found["action"], str(found["action"])) == wanted.action
        length = wanted.suppress_prefixlength
        attributes = {
            "PRIORITY": wanted.priority, "IIFNAME": wanted.iif or None, "OIFNAME": wanted.oif or None,
            "FWMARK": wanted.mark, "FWMASK": wanted.mask, "IP_PROTO": wanted.ipproto or None,
            "SPORT_RANGE": joined(wanted.sport), "DPORT_RANGE": joined(wanted.dport),
            "UID_RANGE": joined(wanted.uids), "TABLE": wanted.table or None, "PROTOCOL": wanted.protocol,
            "SUPPRESS_PREFIXLEN": None if length < 0 else length,
        }  # fmt: skip
        assert {name: found.get_attr(f"FRA_{name}") for name in attributes} == attributes
        assert (found.get_attr("FRA_FLOW") is None) == (not wanted.rest)


@given(RULES)
def test_what_the_witness_writes_we_read(wanted: rule.Rule) -> None:
    (source, src_len), (destination, dst_len) = split(wanted.source), split(wanted.destination)
    codes = {name: code for code, name in rule.ACTIONS.items()}
    header = {
        "family": wanted.family, "src_len": src_len, "dst_len": dst_len, "tos": wanted.tos,
        "action": codes.get(wanted.action, 5), "flags": 2 * wanted.invert | 0x10008,  # iif_detached, and a later one
    }  # fmt: skip
    attributes = [
        ("FRA_PRIORITY", wanted.priority), ("FRA_SRC", source), ("FRA_DST", destination),
        ("FRA_IIFNAME", wanted.iif or None), ("FRA_OIFNAME", wanted.oif or None), ("FRA_FWMARK", wanted.mark),
        ("FRA_FWMASK", wanted.mask), ("FRA_IP_PROTO", wanted.ipproto), ("FRA_SPORT_RANGE", joined(wanted.sport)),
        ("FRA_DPORT_RANGE", joined(wanted.dport)), ("FRA_UID_RANGE", joined(wanted.uids)),
        ("FRA_TABLE", wanted.table), ("FRA_PROTOCOL", wanted.protocol),
        ("FRA_SUPPRESS_PREFIXLEN", wanted.suppress_prefixlength & 0xFFFFFFFF),
    ]  # fmt: skip
    body = body_by_witness(fibmsg, header, [each for each in attributes if each[1] is not None])
    (found,) = rule.list_rules(Recorder(framed(32, body, 2) + framed(message.NLMSG_DONE, bytes(4), 2)), wanted.family)
    assert found == wanted._replace(rest=())


@given(RULES)
def test_a_rule_survives_in_a_journal(wanted: rule.Rule) -> None:
    assert rule.decode(bytes.fromhex(rule.encode(wanted).hex())) == wanted


def test_what_no_field_is_for_is_named() -> None:
    rest = ((rule.L3MDEV, b"\1"), (rule.SPORT_MASK, b"\xff\xff"), (rule.DPORT_MASK, b"\xff\0"), (99, b""))
    found = rule.decode(rule.encode(rule.Rule(socket.AF_INET, 1, sport=(80, 80), rest=rest)))
    assert found.others == ["99", "dport mask", "l3mdev"]


# --- what packets are told apart by -------------------------------------------------------------------

#: What people write, and the one form that is compared.
FORMS: list[tuple[t.Callable[[str], t.Any], dict[str, str]]] = [
    (
        lambda value: traffic.mark_text(*traffic.mark(value)),
        {"": "", "16": "0x10", "0X10/0xFF": "0x10/0xff", "0/1": "0x0/0x1", "1/0xffffffff": "0x1", "0": "0x0"},
    ),
    (lambda value: traffic.tos_text(traffic.tos(value)), {"": "", "16": "0x10", "0xFC": "0xfc", "0": ""}),
    (
        lambda value: traffic.ip_protocol_text(traffic.ip_protocol(value)),
        {"": "", "TCP": "tcp", "17": "udp", "255": "255"},
    ),
    (lambda value: traffic.range_text(traffic.port_range(value)), {"": "", "80": "80", "1 - 65534": "1-65534"}),
    (lambda value: traffic.range_text(traffic.user_range(value)), {"": "", "0": "0", "0-4294967294": "0-4294967294"}),
]
REFUSED: list[tuple[t.Callable[[str], t.Any], str]] = [
    *((traffic.mark, words) for words in ("x", "1/0", "0x100/0xff", "1/", "4294967296", "-1", "0x123456789")),
    *((traffic.tos, words) for words in ("1", "3", "0x100", "cs6", "-4")),
    *((traffic.ip_protocol, words) for words in ("0", "256", "tcq", "-1", "\u0661")),
    *((traffic.port_range, words) for words in ("0", "65535", "80-79", "1-65535", "http")),
    *((traffic.user_range, words) for words in ("root", "2-1", "4294967295", "1-", "-1")),
]


@pytest.mark.parametrize(("form", "words"), FORMS)
def test_one_form_whatever_the_spelling(form: t.Callable[[str], str], words: dict[str, str]) -> None:
    assert {each: form(each) for each in words} == words
    assert {each: form(each) for each in words.values()} == {each: each for each in words.values()}


@pytest.mark.parametrize(("parse", "words"), REFUSED)
def test_what_is_refused_says_what_was_expected(parse: t.Callable[[str], t.Any], words: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse(words)
