# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables table of ours: what is written is what is read, whatever way nft prints it."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._nft import command, table
from ansible_collections.nsfleet.linux.plugins.module_utils._nft.table import Chain, Element, Elements, Key, Layout, Set
from hypothesis import given
from hypothesis import strategies as st

PORTS = Set("port4", ("inet_proto", "inet_service"), ("ipv4_addr", "inet_service"))
RANGES = Set("range4", ("inet_proto", "inet_service"), ("ipv4_addr",), interval=True)
NETWORKS = Set("network4", ("ipv4_addr", "ifname"), interval=True)
WITHIN = Set("isolated", ("ifname",))
LAYOUT = Layout(
    "nsfleet", (PORTS, RANGES, NETWORKS, WITHIN), (Chain("forward", ("accept",), "type filter hook forward"),)
)
NUMBERS = {"tcp": "6", "udp": "17", "sctp": "132"}

PROTOCOL = st.sampled_from(("tcp", "udp", "sctp", "99"))
PORT = st.integers(1, 65535).map(str)
RANGE = st.builds(lambda low, more: f"{low}-{low + more}", st.integers(1, 60000), st.integers(1, 99))
ADDRESS = st.ip_addresses(v=4).map(str)
PREFIX = st.builds(lambda address, length: f"{address}/{length}", ADDRESS, st.integers(1, 31))
LINK = st.text("abc.-", min_size=1, max_size=5)
OWNER = st.sampled_from(("", "web", "db-1"))
ELEMENTS: st.SearchStrategy[Elements] = st.fixed_dictionaries(
    {
        "port4": st.dictionaries(
            st.tuples(PROTOCOL, PORT), st.builds(Element, st.tuples(ADDRESS, PORT), OWNER), max_size=4
        ),
        "range4": st.dictionaries(
            st.tuples(PROTOCOL, RANGE | PORT), st.builds(Element, st.tuples(ADDRESS), OWNER), max_size=3
        ),
        "network4": st.dictionaries(
            st.tuples(PREFIX | ADDRESS, LINK), st.builds(Element, st.just(()), OWNER), max_size=3
        ),
        "isolated": st.dictionaries(st.tuples(LINK), st.builds(Element, st.just(()), OWNER), max_size=3),
    }
)


# --- what nft -j prints of elements, after libnftables-json(5) ---------------------------


def printed_part(word: str, *, named: bool) -> t.Any:
    """One part of a key or value."""
    if word in NUMBERS:
        return word if named else int(NUMBERS[word])
    first, dash, last = word.partition("-")
    if dash and first.isdigit() and last.isdigit():
        return {"range": [int(first), int(last)]}
    address, slash, length = word.partition("/")
    if slash:
        return {"prefix": {"addr": address, "len": int(length)}}
    return int(word) if word.isdigit() else word


def printed_parts(words: t.Sequence[str], *, named: bool) -> t.Any:
    """A key or value."""
    parts = [printed_part(word, named=named) for word in words]
    return {"concat": parts} if len(parts) > 1 else parts[0]


def printed(elements: Elements, *, named: bool = True, handles: int = 1) -> t.Any:
    """The whole table."""
    entries: list[t.Any] = [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "inet", "name": "nsfleet", "handle": 7}},
    ]
    stamp = {"elem": {"val": 1, "comment": "digest"}}
    entries.append({"set": {"name": "stamp", "type": "mark", "handle": handles, "elem": [stamp]}})
    for kind in LAYOUT.sets:
        found = []
        for key, element in elements[kind.name].items():
            item = printed_parts(key, named=named)
            if element.owner:
                item = {"elem": {"val": item, "comment": element.owner}}
            found.append([item, printed_parts(element.value, named=named)] if kind.value else item)
        body: dict[str, t.Any] = {"name": kind.name, "handle": handles, **({"elem": found} if found else {})}
        entries.append({"map" if kind.value else "set": body})
    entries.append({"chain": {"name": "forward", "handle": handles}})
    entries.append({"rule": {"chain": "forward", "handle": handles, "expr": [{"accept": None}]}})
    return json.loads(json.dumps({"nftables": entries}))


@given(ELEMENTS, st.booleans())
def test_elements_are_read_as_they_were_written(elements: Elements, named: bool) -> None:
    found = table.read(printed(elements, named=named), LAYOUT)
    assert found.elements == elements
    assert found.stamp == "digest"


@given(ELEMENTS, ELEMENTS)
def test_the_listing_is_the_same_whatever_the_elements_and_handles(one: Elements, other: Elements) -> None:
    listings = {table.read(printed(each, handles=number), LAYOUT).listing for number, each in enumerate((one, other))}
    assert len(listings) == 1
    assert "handle" not in listings.pop()


def test_a_rule_more_or_another_order_is_another_listing() -> None:
    nothing: Elements = {kind.name: {} for kind in LAYOUT.sets}
    whole = printed(nothing)
    more = {"nftables": [*whole["nftables"], {"rule": {"chain": "forward", "handle": 9, "expr": [{"drop": None}]}}]}
    turned = {"nftables": [*more["nftables"][:-2], *reversed(more["nftables"][-2:])]}
    assert len({table.read(each, LAYOUT).listing for each in (whole, more, turned)}) == 3


# --- transactions -------------------------------------------------------------------------


def applied(text: str, before: Elements) -> dict[str, set[str]]:
    """Sets after a transaction: names to elements as nft reads them, by a small interpreter of its language."""
    state = {kind.name: {words(kind, key): kind.element(key, each) for key, each in before[kind.name].items()}
             for kind in LAYOUT.sets}  # fmt: skip
    for line in text.splitlines():
        head, _brace, body = line.partition(" { ")
        verb, what, family, name, target = head.split()
        assert (what, family, name) == ("element", "inet", "nsfleet")
        for item in body.removesuffix(" }").split(", "):
            key = item.partition(" : ")[0].partition(" comment")[0]
            if verb == "add":
                assert key not in state[target], "the kernel refuses an element that is there with another value"
                state[target][key] = item
            else:
                assert verb == "delete"
                del state[target][key]
    return {name: set(items.values()) for name, items in state.items()}


def words(kind: Set, key: Key) -> str:
    """A key as nft reads it."""
    return kind.element(key, Element()).partition(" : ")[0]


@given(ELEMENTS, ELEMENTS)
def test_a_difference_turns_one_into_the_other(before: Elements, after: Elements) -> None:
    text = table.difference(LAYOUT, before, after)
    wanted = {kind.name: {kind.element(key, each) for key, each in after[kind.name].items()} for kind in LAYOUT.sets}
    assert applied(text, before) == wanted
    assert (text == "") == (before == after)


def test_elements_as_nft_reads_them() -> None:
    assert (
        PORTS.element(("tcp", "80"), Element(("10.0.0.1", "8080"), "web")) == '6 . 80 comment "web" : 10.0.0.1 . 8080'
    )
    assert NETWORKS.element(("10.0.0.0/8", "br0"), Element()) == '10.0.0.0/8 . "br0"'
    assert PORTS.shown(("tcp", "80"), Element(("10.0.0.1", "8080"))) == "element tcp . 80 : 10.0.0.1 . 8080 of port4"


def test_a_layout_as_nft_reads_it() -> None:
    assert LAYOUT.text().splitlines() == [
        "table inet nsfleet {",
        "\tset stamp { type mark; }",
        "\tmap port4 { type inet_proto . inet_service : ipv4_addr . inet_service; }",
        "\tmap range4 { type inet_proto . inet_service : ipv4_addr; flags interval; }",
        "\tset network4 { type ipv4_addr . ifname; flags interval; }",
        "\tset isolated { type ifname; }",
        "\tchain forward {",
        "\t\ttype filter hook forward; policy accept;",
        "\t\taccept",
        "\t}",
        "}",
    ]


def test_a_table_is_replaced_in_one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = printed({kind.name: {} for kind in LAYOUT.sets})
    monkeypatch.setattr(command, "rehearse", lambda _text, _family, _name: (listed, "as people read it"))
    nothing: Elements = {kind.name: {} for kind in LAYOUT.sets}
    text = table.replacement(LAYOUT, {**nothing, "isolated": {("br0",): Element()}})
    assert text.startswith("add table inet nsfleet\ndelete table inet nsfleet\ntable inet nsfleet {\n")
    assert text.endswith('add element inet nsfleet isolated { "br0" }\n')
    stamp = table.digest(LAYOUT, table.read(listed, LAYOUT).listing)
    assert f'stamp {{ 1 comment "{stamp}" }}' in text
    assert table.removal(LAYOUT) == "delete table inet nsfleet\n"
