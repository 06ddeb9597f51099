# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values in the one form that is compared: the same whatever the spelling, stable, and refused with a reason."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model import addresses, names, ports, quantities, vlans
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import InvalidOptions
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Field, Table
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import container_fields
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import signals
from hypothesis import given
from hypothesis import strategies as st

Canonical = t.Callable[[t.Any], t.Any]

WORDS = st.text("abcXYZ019 ._-/:%*,\0\n\x7fé", max_size=20)
MACS = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
IPS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
CIDRS = st.builds(lambda ip, length: f"{ip}/{length}", IPS, st.integers(0, 128))
NUMBERS = st.lists(st.integers(0, 70), max_size=12)
SETS = st.lists(
    st.one_of(st.integers(0, 99).map(str), st.builds(lambda a, b: f"{a}-{b}", st.integers(0, 99), st.integers(0, 99))),
    max_size=6,
)
SIZES = st.builds(
    lambda number, unit: f"{number}{unit}",
    st.one_of(st.integers(0, (1 << 40) - 1).map(str), st.decimals("0", "1000", places=3).map(str)),
    st.sampled_from(("", "K", "m", "G", " T", "GiB", "kib", "B", "MB", "Z")),
)

#: Function to texts that are more likely to be accepted than any.
STRINGS: list[tuple[Canonical, st.SearchStrategy[t.Any]]] = [
    (addresses.mac, MACS),
    (addresses.interface_address, CIDRS),
    (addresses.ip_address, IPS),
    (addresses.unicast_address, IPS),
    (addresses.subnet, CIDRS),
    (names.interface_name, st.text("abc.-@", max_size=17)),
    (names.optional_interface_name, st.text("abc", max_size=17)),
    (names.netns_name, st.text("ab1", max_size=8)),
    (names.netns_reference, st.one_of(st.integers(0, 99).map(str), st.text("/ab.", max_size=9))),
    (names.container_name, st.text("ab-_.", max_size=9)),
    (names.cgroup_name, st.text("ab/.", max_size=9)),
    (names.label, st.text("ab-_.", max_size=9)),
    (ports.port_range, st.builds(lambda a, b: f"{a} - {b}", st.integers(-1, 65536), st.integers(0, 65536))),
    (quantities.number_set, SETS.map(",".join)),
    (lambda value: str(quantities.size(str(value))), SIZES),
    (lambda value: quantities.count_or_max(value, 1000), st.integers(0, 2000).map(str)),
    (signals.signal_name, st.one_of(st.sampled_from(("hup", "SIGTERM", "RTMIN+3", "rtmax")), st.integers().map(str))),
]
LISTS: list[tuple[Canonical, st.SearchStrategy[t.Any]]] = [
    (addresses.interface_addresses, st.lists(CIDRS, max_size=3)),
    (vlans.vlan_ranges, SETS),
    (container_fields.capability_names, st.lists(st.sampled_from(("net_admin", "CAP_KILL", "all", "x")), max_size=3)),
]


def accepted(canonical: Canonical, value: t.Any) -> t.Any:
    """The canonical form, or the reason why there is none: an error for people and nothing else."""
    try:
        return canonical(value)
    except ValueError as error:
        words = str(error)
        assert "expected" in words or "given twice" in words, words
        assert "invalid literal" not in words
        return error


@pytest.mark.parametrize(("canonical", "likely"), [*STRINGS, *LISTS])
def test_a_canonical_form_is_its_own(canonical: Canonical, likely: st.SearchStrategy[t.Any]) -> None:
    anything = st.lists(WORDS, max_size=3) if (canonical, likely) in LISTS else WORDS

    @given(st.one_of(likely, anything))
    def check(value: t.Any) -> None:
        once = accepted(canonical, value)
        if not isinstance(once, ValueError):
            assert canonical(once) == once

    check()


# --- quantities ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "bytes_"),
    [
        ("0", 0), ("4096", 4096), ("4096B", 4096), ("1K", 1024), ("1k", 1024), ("1 KiB", 1024), ("512M", 512 << 20),
        ("512MiB", 512 << 20), ("1.5G", 3 << 29), ("0.5K", 512), ("1.0005K", 1024), ("2T", 2 << 40), ("1P", 1 << 50),
        ("7E", 7 << 60), (" 12M ", 12 << 20), ("0.3G", 322122547),
    ],
)  # fmt: skip
def test_sizes_are_powers_of_1024_rounded_down(words: str, bytes_: int) -> None:
    assert quantities.size(words) == bytes_


@pytest.mark.parametrize(
    "words", ["", "M", "-1", "1MB", "1.5", "1.5B", "1iB", "1 000", "0x10", "1e3", "½", "\u0661", "1Z"]
)
def test_what_is_no_size_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        quantities.size(words)


@pytest.mark.parametrize(
    ("words", "bytes_"), [("max", None), ("Infinity", None), ("-1", None), ("50%", 500), ("8K", 8192)]
)
def test_limits_of_memory(words: str, bytes_: int | None) -> None:
    assert quantities.size_or_max(words, lambda: 1000) == bytes_


@pytest.mark.parametrize(("words", "whole"), [("101%", 1000), ("50%", None), ("-5%", 1000), ("%", 1000)])
def test_percentages_of_nothing_and_above_all_are_refused(words: str, whole: int | None) -> None:
    with pytest.raises(ValueError, match="expected"):
        quantities.size_or_max(words, None if whole is None else lambda: 1000)


@given(NUMBERS)
def test_a_set_of_numbers_survives_its_text(numbers: list[int]) -> None:
    text = quantities.ranges(sorted(set(numbers)))
    assert quantities.numbers(text) == sorted(set(numbers))
    ends = [int(end) for part in text.split(",") if part for end in part.split("-")]
    assert all(second - first != 1 or f"{first}-{second}" in text for first, second in zip(ends, ends[1:]))


@pytest.mark.parametrize("words", ["3-1", "a", "1-", "-1", "1--2", "99999999", "1;2"])
def test_what_is_no_set_of_numbers_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        quantities.number_set(words)


@given(st.integers(), st.integers(-5, 5), st.integers(6, 9))
def test_bounds_are_inside(value: int, low: int, high: int) -> None:
    result = accepted(quantities.between(low, high), value)
    assert (result == value) == (low <= value <= high)


# --- VLANs and ports --------------------------------------------------------------


@given(st.sets(st.integers(1, 4094), max_size=30))
def test_vlans_are_the_same_however_they_are_written(ids: set[int]) -> None:
    one_by_one = [str(vid) for vid in sorted(ids, reverse=True)]
    ranges = vlans.vlan_ranges(one_by_one)
    assert vlans.vlan_numbers(ranges) == sorted(ids)
    assert vlans.vlan_ranges([*ranges, *one_by_one]) == ranges


@pytest.mark.parametrize("words", ["0", "4095", "10-5", "1-4095", "x", "", "1-", "-2", "1-2-3", "²"])
def test_what_is_no_vlan_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        vlans.vlan_ranges([words])


@given(st.integers(-2, 4097))
def test_a_vlan_id_may_be_none(vid: int) -> None:
    assert (accepted(vlans.vlan_id, vid) == vid) == (0 <= vid <= 4094)


@given(st.tuples(*[st.integers(1, 99)] * 4))
def test_ranges_of_ports_overlap_where_a_port_is_in_both(ends: tuple[int, int, int, int]) -> None:
    one, other = (ports.Ports(*sorted(pair)) for pair in (ends[:2], ends[2:]))
    in_both = set(range(one.first, one.last + 1)) & set(range(other.first, other.last + 1))
    assert one.overlaps(other) == other.overlaps(one) == bool(in_both)


@pytest.mark.parametrize("words", ["0", "65536", "80-79", "http", "80,81", "", "-80", "80-", "\u0668", "1-2-3"])
def test_what_is_no_port_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        ports.port_range(words)


# --- addresses ---------------------------------------------------------------------


@given(st.binary(min_size=6, max_size=6), st.sampled_from((":", "-")), st.booleans())
def test_macs_of_one_interface_only(raw: bytes, separator: str, upper: bool) -> None:
    words = raw.hex(separator)
    result = accepted(addresses.mac, words.upper() if upper else words)
    assert (result == raw.hex(":")) == (not raw[0] & 1 and any(raw))


@given(CIDRS)
def test_interface_addresses_are_what_the_standard_library_says(cidr: str) -> None:
    result = accepted(addresses.interface_address, cidr)
    if not isinstance(result, ValueError):
        assert ipaddress.ip_interface(result) == ipaddress.ip_interface(cidr)


@pytest.mark.parametrize(
    "words", ["10.0.0.1", "10.0.0.1/33", "10.0.0.256/8", "fe80::1%eth0/64", "ff02::1/64", "224.0.0.1/4", "0.0.0.0/0",
              "::/0", "010.0.0.1/8", "10.0.0.1/255.0.0.0/8", "/24", ""],
)  # fmt: skip
def test_what_no_interface_can_have_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        addresses.interface_address(words)


def test_addresses_are_written_as_the_kernel_shows_them() -> None:
    for words in ("::ffff:10.0.0.1", "::ffff:a00:1", "::FFFF:0A00:0001"):
        assert addresses.ip_address(words) == "::ffff:10.0.0.1"
        assert addresses.interface_address(f"{words}/96") == "::ffff:10.0.0.1/96"
        assert addresses.subnet(words) == "::ffff:10.0.0.1/128"


def test_an_address_is_given_once_whatever_its_prefix_and_spelling() -> None:
    assert addresses.interface_addresses(["fd00:0::1/64", "10.0.0.2/8", "10.0.0.1/8"]) == [
        "10.0.0.1/8", "10.0.0.2/8", "fd00::1/64",
    ]  # fmt: skip
    for twice in (["10.0.0.1/8", "10.0.0.1/24"], ["fd00::1/64", "FD00:0::1/64"]):
        with pytest.raises(ValueError, match="given twice"):
            addresses.interface_addresses(twice)


def test_an_address_in_a_network_is_no_network() -> None:
    with pytest.raises(ValueError, match=r"expected the network 10\.2\.0\.0/24"):
        addresses.subnet("10.2.0.1/24")


# --- names -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a" * 16, "é" * 8, "", ".", "..", "a b", "a/b", "a:b", "a%d", "a\tb", "a\0b"])
def test_what_no_link_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected an interface name"):
        names.interface_name(name)


@pytest.mark.parametrize("name", ["a" * 15, "eth0.5", "br-lan", "veth@x", "é" * 7])
def test_what_links_are_called_is_accepted(name: str) -> None:
    assert names.interface_name(name) == name


@pytest.mark.parametrize("name", ["memory.max", "a/cgroup.procs", "tasks", "../x", "a//b", "/", "", "a/./b", "a b"])
def test_what_no_control_group_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        names.cgroup_name(name)


@pytest.mark.parametrize("name", ["..", "-x", ".x", "a/b", "a" * 129, "a b", "a\n"])
def test_what_no_container_can_be_called_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        names.container_name(name)


# --- tables of fields ------------------------------------------------------------------

_INNER = Table((Field("mac", canonical=addresses.mac), Field("name", canonical=names.interface_name)))
_ALL = Table(
    (
        Field("mac", canonical=addresses.mac),
        Field("addresses", "list", elements="str", canonical=addresses.interface_addresses),
        Field("peer", "dict", table=_INNER),
        Field("ports", "list", elements="dict", table=_INNER, key="name"),
        Field("hops", "list", elements="dict", table=_INNER),
    )
)
_BAD = {"mac": "x"}


def problems(options: t.Mapping[str, t.Any]) -> list[str]:
    """Paths of the options that are refused."""
    with pytest.raises(InvalidOptions) as caught:
        _ALL.canonical(options)
    assert str(caught.value).count("expected") + str(caught.value).count("twice") == len(caught.value.errors)
    return [error.option for error in caught.value.errors]


def test_all_errors_are_found_at_once_each_with_its_path() -> None:
    assert problems(
        {
            "mac": "x",
            "addresses": ["10.0.0.1/8", "10.0.0.999/8"],
            "peer": {**_BAD, "name": "a" * 16},
            "ports": [{"name": "a"}, {"name": "b", **_BAD}, {"name": "a"}],
            "hops": [{}, _BAD],
        }
    ) == ["mac", "addresses[1]", "peer.mac", "peer.name", "ports[1].mac", "ports[2].name", "hops[1].mac"]


def test_what_is_wrong_with_a_list_as_a_whole_is_said_of_the_list() -> None:
    assert problems({"addresses": ["10.0.0.1/8", "10.0.0.1/8"]}) == ["addresses"]


def test_options_that_are_null_are_not_given() -> None:
    assert _ALL.canonical({"mac": None, "peer": {"mac": None}, "ports": [{"name": "a", "mac": None}]}) == {
        "peer": {},
        "ports": {"a": {}},
    }


MACS_OF_ONE = st.integers(1, (1 << 40) - 1).map(lambda number: "02:" + number.to_bytes(5, "big").hex(":").upper())
PORT: st.SearchStrategy[dict[str, t.Any]] = st.fixed_dictionaries(
    {"name": st.sampled_from("abcd")}, optional={"mac": MACS_OF_ONE}
)
PORTS = st.lists(PORT, unique_by=lambda port: str(port["name"]))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "mac": MACS_OF_ONE,
            "peer": st.fixed_dictionaries({}, optional={"mac": MACS_OF_ONE}),
            "ports": PORTS,
        },
    )
)
def test_what_is_shown_can_be_written(options: dict[str, t.Any]) -> None:
    state = _ALL.canonical(options)
    assert _ALL.canonical(_ALL.shown(state)) == state


def test_two_fields_of_one_name_are_an_error() -> None:
    with pytest.raises(ValueError, match="same name"):
        _INNER.plus([Field("mac")])
