# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, MAC addresses and interface names that compute themselves: functions of names, with nothing kept.

The same words give the same result on every run, controller and Python. Errors are for the author of an inventory.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import ipaddress
import math
import re
import typing as t

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

#: Bytes of an interface name without its final zero (IFNAMSIZ).
NAME_LENGTH: t.Final = 15
#: Characters of the hash in a shortened name: 40 bits, which a million pairs of names share with a chance of 1 in 10^6.
_DIGEST_LENGTH = 8


class AddressingError(ValueError):
    """Words that no result can be computed from; the text says why."""


def words(name: str, value: object) -> list[str]:
    """Words that somebody wrote in a template: a list of texts and whole numbers.

    :param name: what they are, for the error.
    :raises AddressingError: they are something else.
    """
    if isinstance(value, (str, bytes, dict)) or not isinstance(value, t.Iterable):
        raise AddressingError(f"{name}: expected a list, got {value!r}")
    found = list(value)
    for each in found:
        if isinstance(each, bool) or not isinstance(each, (str, int)):
            raise AddressingError(f"{name}: expected texts, got {each!r}")
    return [str(each) for each in found]


def _number(*words: str) -> int:
    """A number of 256 bits for words; words that are split elsewhere give another one."""
    return int.from_bytes(hashlib.sha256("\0".join(words).encode()).digest(), "big")


# --- addresses ---------------------------------------------------------------


class _Hosts:
    """The addresses of a network that owners can have.

    :param network: the network.
    :param taken: first and last of each range that owners cannot have.
    """

    def __init__(self, network: Network, taken: t.Sequence[tuple[int, int]]) -> None:
        self.network = network
        first, last = int(network.network_address), int(network.broadcast_address)
        if network.prefixlen < network.max_prefixlen - 1:
            first += 1  # IPv4: the network itself; IPv6: the anycast address of its routers (RFC 4291, 2.6.1)
            last -= network.version == 4  # broadcast
        self.first = first
        self.size = last - first + 1
        self._taken = _joined([(max(low, first), min(high, last)) for low, high in taken])

    @property
    def free(self) -> int:
        """How many owners there is room for."""
        return self.size - sum(high - low + 1 for low, high in self._taken)

    def is_free(self, place: int) -> bool:
        """Whether an owner can have the address at this place."""
        number = self.first + place
        return not any(low <= number <= high for low, high in self._taken)

    def at(self, place: int) -> str:
        """The address at a place."""
        return str(self.network.network_address + (self.first + place - int(self.network.network_address)))


def _joined(ranges: t.Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in ranges that have none in common; empty ranges are left out."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(each for each in ranges if each[0] <= each[1]):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def address(
    network: str,
    owner: str,
    among: t.Sequence[str],
    *,
    gateway: str | None = None,
    reserved: t.Sequence[str] = (),
    prefix: bool = False,
) -> str:
    """The address of an owner in a network.

    :param network: ``10.2.0.0/24``, ``fd00:2::/64``.
    :param owner: one of ``among``.
    :param among: all owners of addresses in the network; their order does not matter.
    :param gateway: address that no owner gets; by default the first one; empty for none.
    :param reserved: more of them: addresses, networks, and ranges such as ``10.2.0.100-10.2.0.199``.
    :param prefix: whether the result has the prefix length of the network.
    :raises AddressingError: a word is not what it should be, an owner is given twice, or there are too many.
    """
    found = addresses(network, tuple(among), gateway, tuple(reserved))
    if owner not in found:
        raise AddressingError(f"{owner!r} is not among the {len(found)} owners of addresses in {network}")
    return f"{found[owner]}/{_network(network).prefixlen}" if prefix else found[owner]


@functools.lru_cache(maxsize=128)
def addresses(
    network: str, among: tuple[str, ...], gateway: str | None = None, reserved: tuple[str, ...] = ()
) -> dict[str, str]:
    """The addresses of all owners in a network; parameters and errors are those of :func:`address`.

    Each owner has a list of all addresses, in an order of its own that its name gives. It gets the first that nobody
    gets who has it earlier in his list; of those who have it equally early, the name decides. Every owner asks for
    what stands first in his list, is turned away where a better claim is there or comes later, and asks for the next
    (the stable matching of Gale and Shapley, which is the same in whatever order they ask).

    Hence an owner whose first choice is nobody else's first choice has it, whoever else comes or goes.
    """
    _check_owners(network, among)
    parsed = _network(network)
    hosts = _Hosts(parsed, [*_gateway(parsed, gateway), *(_range(parsed, words) for words in reserved)])
    if len(among) > hosts.free:
        raise AddressingError(
            f"{network} has {hosts.free} addresses for owners, but there are {len(among)} of them; "
            "take a larger network or reserve less"
        )
    return {owner: hosts.at(place) for place, owner in _matched(among, hosts).items()}


def _matched(owners: t.Sequence[str], hosts: _Hosts) -> dict[int, str]:
    """Which owner has which place."""
    lists = {owner: _choices(owner, hosts) for owner in owners}
    ranks = {owner: _number("rank", owner) for owner in owners}
    holders: dict[int, tuple[int, int, str]] = {}  # place to how early its holder has it, his rank, and the holder
    for owner in owners:
        asking = owner
        while True:
            turn, place = next(lists[asking])
            claim, held = (turn, ranks[asking], asking), holders.get(place)
            if held is None:
                holders[place] = claim
                break
            if claim < held:
                holders[place] = claim
                asking = held[2]
    return {place: claim[2] for place, claim in holders.items()}


def _choices(owner: str, hosts: _Hosts) -> t.Iterator[tuple[int, int]]:
    """All places that owners can have, in an order that the owner's name gives, numbered."""
    place = _number("place", owner) % hosts.size
    step = _number("step", owner) % hosts.size
    while math.gcd(step, hosts.size) != 1:  # else the steps would not come by every place
        step += 1
    turn = 0
    while True:
        if hosts.is_free(place):
            yield turn, place
            turn += 1
        place = (place + step) % hosts.size


def _check_owners(network: str, owners: t.Sequence[str]) -> None:
    for owner in owners:
        if not isinstance(owner, str) or not owner:
            raise AddressingError(f"expected owners of addresses in {network} to have names, got {owner!r}")
    twice = sorted(owner for owner in set(owners) if owners.count(owner) > 1) if len(set(owners)) < len(owners) else []
    if twice:
        raise AddressingError(f"owners of addresses in {network} are given twice: {', '.join(twice)}")


def _network(words: str) -> Network:
    try:
        return ipaddress.ip_network(words)
    except ValueError:
        raise AddressingError(f"expected a network such as 10.2.0.0/24 or fd00:2::/64, got {words!r}") from None


def _gateway(network: Network, words: str | None) -> list[tuple[int, int]]:
    """The range of one address that the gateway has; a network of one or two addresses has room for none."""
    if words:
        return [_range(network, words)]
    if words is None and network.prefixlen < network.max_prefixlen - 1:
        return [(int(network.network_address) + 1,) * 2]
    return []


def _range(network: Network, words: str) -> tuple[int, int]:
    """First and last of an address, a network or a range."""
    first, dash, last = words.replace(" ", "").partition("-")
    try:
        part = ipaddress.ip_network(first)
        low, high = part.network_address, part.broadcast_address
        if dash:
            low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    except ValueError:
        raise AddressingError(
            f"expected an address, a network or a range such as {network.network_address + 1}-"
            f"{network.network_address + 2}, got {words!r}"
        ) from None
    inside = low.version == high.version == network.version and low in network and high in network
    if not inside or int(low) > int(high):
        raise AddressingError(f"expected addresses in {network}, the lower one first, got {words!r}")
    return int(low), int(high)


# --- MAC addresses -----------------------------------------------------------


def mac(words: t.Sequence[str]) -> str:
    """A MAC address of one interface, locally administered (IEEE 802c), of 40 bits of a hash.

    :param words: what the interface is told from all others by, such as host, service and name.
    :raises AddressingError: there are no words.
    """
    if not words or not all(words):
        raise AddressingError("expected words that tell the interface from all others, such as host and name")
    return "02:" + hashlib.sha256("\0".join(words).encode()).digest()[:5].hex(":")


# --- interface names ---------------------------------------------------------


def ifname(owner: str, prefix: str = "") -> str:
    """The name of an interface: prefix and owner where they fit, else a part of them and a hash.

    :param owner: what the interface belongs to.
    :param prefix: what the name begins with, at most seven bytes.
    :raises AddressingError: the prefix is too long or cannot be in a name, or there is no owner.
    """
    if len(prefix.encode()) > NAME_LENGTH - _DIGEST_LENGTH or (prefix and not _is_name(prefix)):
        raise AddressingError(
            f"expected a prefix of at most {NAME_LENGTH - _DIGEST_LENGTH} bytes without spaces, '/', ':' and '%', "
            f"got {prefix!r}"
        )
    if not owner:
        raise AddressingError("expected the name of the interface's owner, got nothing")
    if _is_name(prefix + owner):
        return prefix + owner
    digest = base64.b32encode(hashlib.sha256(owner.encode()).digest()).decode().lower()[:_DIGEST_LENGTH]
    readable = re.sub(r"[^A-Za-z0-9_.]", "", owner)[: NAME_LENGTH - len(prefix.encode()) - _DIGEST_LENGTH - 1]
    return f"{prefix}{readable}-{digest}" if readable else prefix + digest


def _is_name(words: str) -> bool:
    """Whether the kernel and its tools take it for the name of a link."""
    good = re.fullmatch(r"[^\s/:%\0]+", words) is not None and words not in (".", "..")
    return good and len(words.encode()) <= NAME_LENGTH
