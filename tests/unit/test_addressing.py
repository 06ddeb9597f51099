# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, MAC addresses and names of links that compute themselves."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.nsfleet.linux.plugins.filter import address, ifname, mac
from ansible_collections.nsfleet.linux.plugins.plugin_utils import _addressing
from hypothesis import assume, given
from hypothesis import strategies as st

OWNERS = st.lists(st.text("abcdé-1", min_size=1, max_size=5), min_size=1, max_size=12, unique=True)
NETWORKS = st.sampled_from(("10.2.0.0/24", "10.2.0.0/28", "192.0.2.0/29", "fd00:2::/64", "fd00:2::/124", "fd00::/16"))


def parsed(network: str) -> t.Any:
    """A network of the standard library."""
    return ipaddress.ip_network(network)


# --- addresses -----------------------------------------------------------------------


@given(NETWORKS, OWNERS)
def test_everybody_has_an_address_of_his_own_in_the_network(network: str, owners: list[str]) -> None:
    assume(len(owners) < parsed(network).num_addresses - 2)
    found = _addressing.addresses(network, tuple(owners))
    assert set(found) == set(owners)
    assert len(set(found.values())) == len(owners)
    forbidden = {parsed(network)[0], parsed(network)[1], *([parsed(network)[-1]] if "." in network else [])}
    for words in found.values():
        assert ipaddress.ip_address(words) in parsed(network)
        assert ipaddress.ip_address(words) not in forbidden


@given(NETWORKS, OWNERS, st.randoms(use_true_random=False))
def test_the_order_of_owners_does_not_matter(network: str, owners: list[str], random: t.Any) -> None:
    assume(len(owners) < parsed(network).num_addresses - 2)
    shuffled = random.sample(owners, len(owners))
    assert _addressing.addresses(network, tuple(owners)) == _addressing.addresses(network, tuple(shuffled))


@given(OWNERS, st.text("xyz", min_size=1, max_size=5))
def test_whoever_comes_or_goes_moves_at_most_those_whose_choices_collide(owners: list[str], more: str) -> None:
    before = _addressing.addresses("fd00:2::/64", tuple(owners))
    after = _addressing.addresses("fd00:2::/64", (*owners, more))
    assert {owner: after[owner] for owner in owners} == before
    crowded = _addressing.addresses("10.2.0.0/28", tuple(owners))
    assume(len(owners) < 12)
    moved = _addressing.addresses("10.2.0.0/28", (*owners, more))
    # Nobody gains by another one's coming, and each who moves makes way for one who has the better claim.
    changed = [owner for owner in owners if moved[owner] != crowded[owner]]
    assert {crowded[owner] for owner in changed} <= {moved[owner] for owner in (*changed, more)}


def test_many_owners_stay_where_they_are() -> None:
    owners = tuple(f"web-{number}" for number in range(60))
    before = _addressing.addresses("10.2.0.0/22", owners)
    after = _addressing.addresses("10.2.0.0/22", owners[1:])
    assert sum(before[owner] != after[owner] for owner in owners[1:]) <= 1


def test_it_is_the_same_in_every_process() -> None:
    code = (
        "import sys; sys.path[:0] = ['.build']\n"
        "from ansible_collections.nsfleet.linux.plugins.plugin_utils import _addressing as a\n"
        "print(a.addresses('10.2.0.0/28', ('a', 'b', 'c')), a.mac(['a', 'b']), a.ifname('a' * 30, 'v-'))"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={"PYTHONHASHSEED": seed}).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(outputs) == 1
    assert str(_addressing.addresses("10.2.0.0/28", ("c", "b", "a"))["a"]) in outputs.pop()


@given(st.integers(1, 40))
def test_a_network_that_is_full_is_an_error(count: int) -> None:
    owners = tuple(map(str, range(count)))
    if count <= 13:
        assert len(_addressing.addresses("10.2.0.0/28", owners)) == count
    else:
        with pytest.raises(_addressing.AddressingError, match=f"has 13 addresses for owners, but there are {count}"):
            _addressing.addresses("10.2.0.0/28", owners)


@pytest.mark.parametrize(
    ("network", "room"), [("10.2.0.0/31", 2), ("10.2.0.0/32", 1), ("fd00::/127", 2), ("fd00::/128", 1)]
)
def test_networks_between_two_ends_have_room_for_both(network: str, room: int) -> None:
    owners = tuple(map(str, range(room)))
    assert sorted(_addressing.addresses(network, owners).values()) == [str(each) for each in parsed(network)]
    with pytest.raises(_addressing.AddressingError, match="take a larger network"):
        _addressing.addresses(network, (*owners, "more"))


@given(OWNERS, st.integers(2, 200), st.integers(0, 40))
def test_nobody_gets_what_is_reserved(owners: list[str], first: int, more: int) -> None:
    reserved = (f"10.2.0.{first}-10.2.0.{first + more}", "10.2.0.240/28")
    found = _addressing.addresses("10.2.0.0/24", tuple(owners), "10.2.0.9", reserved)
    last = {int(words.rpartition(".")[2]) for words in found.values()}
    assert not last & {9, *range(first, first + more + 1), *range(240, 256)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"network": "10.2.0.1/24"}, "expected a network"),
        ({"reserved": ["10.3.0.1"]}, "expected addresses in 10.2.0.0/24"),
        ({"reserved": ["10.2.0.9-10.2.0.2"]}, "the lower one first"),
        ({"reserved": ["fd00::1"]}, "expected addresses in"),
        ({"reserved": ["x"]}, "expected an address, a network or a range"),
        ({"reserved": "10.2.0.5"}, "reserved: expected a list"),
        ({"gateway": "10.9.0.1"}, "expected addresses in"),
        ({"owner": "nobody"}, "'nobody' is not among the 2 owners"),
        ({"among": ["a", "a"]}, "given twice: a"),
        ({"among": ["a", ""]}, "to have names"),
        ({"among": None}, "among: expected a list"),
        ({"among": ["a", True]}, "expected texts"),
        ({"owner": {}}, "owner: expected texts"),
    ],
)
def test_words_that_make_no_sense_are_refused(words: dict[str, t.Any], message: str) -> None:
    arguments: dict[str, t.Any] = {"network": "10.2.0.0/24", "owner": "a", "among": ["a", "b"], **words}
    with pytest.raises(AnsibleFilterError, match=rf"nsfleet\.linux\.address: .*{message}"):
        address.address(**arguments)


def test_the_filter_gives_one_or_all_with_or_without_prefix() -> None:
    every = address.address("fd00:2::/64", among=["a", "b"])
    assert isinstance(every, dict)
    assert address.address("fd00:2::/64", "a", ["b", "a"], prefix=True) == f"{every['a']}/64"
    assert address.FilterModule().filters() == {"address": address.address}


# --- MAC addresses and names of links -------------------------------------------------


@given(st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3))
def test_macs_are_local_and_of_one_interface(words: list[str]) -> None:
    first = int(_addressing.mac(words).partition(":")[0], 16)
    assert first & 0b11 == 0b10
    assert len(bytes.fromhex(_addressing.mac(words).replace(":", ""))) == 6


def test_macs_differ_and_words_are_not_run_together() -> None:
    assert len({_addressing.mac([f"h{host}", f"eth{number}"]) for host in range(50) for number in range(50)}) == 2500
    assert _addressing.mac(["ab", "c"]) != _addressing.mac(["a", "bc"])
    assert mac.mac("a", "b") == mac.mac(["a", "b"]) == _addressing.mac(["a", "b"])
    assert mac.FilterModule().filters() == {"mac": mac.mac}
    for nothing in ([], [""], ["a", ""]):
        with pytest.raises(AnsibleFilterError, match="expected words"):
            mac.mac(nothing)


@given(st.text(min_size=1, max_size=40), st.sampled_from(("", "v", "v-", "ns")))
def test_every_owner_has_a_name_that_the_kernel_takes(owner: str, prefix: str) -> None:
    assume(not any(0xD800 <= ord(letter) < 0xE000 for letter in owner))
    name = _addressing.ifname(owner, prefix)
    assert 1 <= len(name.encode()) <= 15
    assert name.startswith(prefix)
    assert name not in (".", "..")
    assert not any(letter.isspace() or letter in "/:%\0" for letter in name)


def test_names_of_links_differ() -> None:
    owners = [f"payment-gateway-replica-{number}" for number in range(2000)]
    assert len({_addressing.ifname(owner, "v-") for owner in owners}) == 2000
    assert _addressing.ifname("web", "v-") == ifname.ifname("web", "v-") == "v-web"
    assert ifname.FilterModule().filters() == {"ifname": ifname.ifname}


@pytest.mark.parametrize(("owner", "prefix"), [("web", "p" * 8), ("web", "a b"), ("web", "a/"), ("", "v")])
def test_prefixes_and_owners_that_make_no_sense_are_refused(owner: str, prefix: str) -> None:
    with pytest.raises(AnsibleFilterError, match="expected"):
        ifname.ifname(owner, prefix)
