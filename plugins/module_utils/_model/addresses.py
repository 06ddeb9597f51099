# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses in the one form that the kernel shows. Each function says what was expected when it raises."""

from __future__ import annotations

import ipaddress
import re
import socket
import typing as t

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def _text(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as the kernel's tools write it; Python writes IPv4 addresses in IPv6 in ways of its own."""
    return socket.inet_ntop(socket.AF_INET if address.version == 4 else socket.AF_INET6, address.packed)


def mac(value: str) -> str:
    """A link-layer address of six bytes, lower case, with colons.

    :raises ValueError: it is not one, or it is a group address, which no link can have.
    """
    words = value.lower().replace("-", ":")
    if not _MAC.fullmatch(words):
        raise ValueError(f"expected a MAC address such as 02:00:00:00:00:01, got {value!r}")
    if int(words[:2], 16) & 1:
        raise ValueError(f"expected the address of one interface, got the multicast address {value!r}")
    if words == "00:00:00:00:00:00":
        raise ValueError("expected an address that is not all zeros")
    return words


def interface_address(value: str) -> str:
    """An IPv4 or IPv6 address with its prefix length: ``10.2.0.1/24``, ``fd00::1/64``.

    :raises ValueError: it is not one.
    """
    words, slash, _length = value.partition("/")
    try:
        if not slash or "%" in words:
            raise ValueError
        address = ipaddress.ip_interface(value)
    except ValueError:
        raise ValueError(
            f"expected an address with prefix length such as 10.2.0.1/24 or fd00::1/64, got {value!r}"
        ) from None
    if address.ip.is_multicast or (address.ip.is_unspecified):
        raise ValueError(f"expected the address of one interface, got {value!r}")
    return f"{_text(address.ip)}/{address.network.prefixlen}"


def interface_addresses(values: t.Sequence[str]) -> list[str]:
    """A set of interface addresses, sorted.

    :raises ValueError: one is not an address, or the same one is given twice.
    """
    found = sorted(interface_address(value) for value in values)
    for first, second in zip(found, found[1:]):
        if first.partition("/")[0] == second.partition("/")[0]:
            raise ValueError(f"{second.partition('/')[0]} is given twice")
    return found


def ip_address(value: str) -> str:
    """An IPv4 or IPv6 address without prefix length.

    :raises ValueError: it is not one.
    """
    try:
        return _text(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"expected an IP address such as 10.2.0.1 or fd00::1, got {value!r}") from None


def subnet(value: str) -> str:
    """An IPv4 or IPv6 network: ``10.2.0.0/24``, ``fd00::/64``; a single address stands for itself.

    :raises ValueError: it is not one, or the part after its prefix is not zero.
    """
    try:
        network = ipaddress.ip_network(value)
        return f"{_text(network.network_address)}/{network.prefixlen}"
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"expected a network such as 10.2.0.0/24 or fd00::/64, got {value!r}") from None
    raise ValueError(f"expected the network {network}, got {value!r}, which is an address in it")


def unicast_address(value: str) -> str:
    """The IPv4 or IPv6 address of one host.

    :raises ValueError: it is not one.
    """
    words = ip_address(value)
    address = ipaddress.ip_address(words)
    if address.is_multicast or address.is_unspecified or words == "255.255.255.255":
        raise ValueError(f"expected the address of one host, got {value!r}")
    return words
