# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What packets are told apart by, as people write it and as numbers; empty text stands for any packet."""

from __future__ import annotations

import re
import typing as t

from .ports import Ports
from .quantities import is_digits

_EVERY_BIT = 0xFFFFFFFF
#: The lowest two bits of the field are for congestion (RFC 3168).
_DSCP = 0xFC
#: Assigned by IANA, as /etc/protocols has them; the kernel knows numbers only.
PROTOCOLS: t.Final = {
    "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58,
    "ospf": 89, "sctp": 132, "udplite": 136,
}  # fmt: skip
_NUMBER = r"0x[0-9a-f]{1,8}|[0-9]{1,10}"


def _number(words: str) -> int:
    return int(words, 16 if words.startswith("0x") else 10)


def mark(value: str) -> tuple[int, int]:
    """A mark of packets and its mask: ``0x10``, ``16/0xff``.

    :raises ValueError: it is not one, or the mark has bits that the mask has not.
    """
    words = value.strip().lower()
    if not words:
        return 0, 0
    if not re.fullmatch(rf"({_NUMBER})(/({_NUMBER}))?", words):
        raise ValueError(f"expected a mark such as 0x10, or with its mask 0x10/0xff, got {value!r}")
    first, slash, second = words.partition("/")
    number, mask = _number(first), _number(second) if slash else _EVERY_BIT
    if not 1 <= mask <= _EVERY_BIT or number & ~mask:
        raise ValueError(f"expected a mark of 32 bits that has no bit outside of its mask, got {value!r}")
    return number, mask


def mark_text(number: int, mask: int) -> str:
    """A mark as ip-rule(8) shows it."""
    if not mask:
        return ""
    return f"{number:#x}" if mask == _EVERY_BIT else f"{number:#x}/{mask:#x}"


def tos(value: str) -> int:
    """The type of service, which is the DSCP with two zero bits behind it: ``0x10``, ``184``; 0 for any.

    :raises ValueError: it is not one.
    """
    words = value.strip().lower()
    if words and (not re.fullmatch(_NUMBER, words) or _number(words) & ~_DSCP):
        raise ValueError(f"expected a multiple of four of 0x4 to 0xfc, got {value!r}")
    return _number(words) if words else 0


def tos_text(number: int) -> str:
    """A type of service as ip-rule(8) shows it."""
    return f"{number:#x}" if number else ""


def ip_protocol(value: str) -> int:
    """A protocol that IP carries, by name or number; 0 for any.

    :raises ValueError: it is none.
    """
    words = value.strip().lower()
    number = int(words) if is_digits(words) else PROTOCOLS.get(words, 0)
    if words and not 1 <= number <= 255:
        raise ValueError(f"expected a number of 1 to 255 or one of {', '.join(PROTOCOLS)}, got {value!r}")
    return number if words else 0


def ip_protocol_text(number: int) -> str:
    """A protocol by its name, or by its number where we have no name for it."""
    return next((name for name, known in PROTOCOLS.items() if known == number), str(number) if number else "")


def port_range(value: str) -> tuple[int, int] | None:
    """Ports that a rule of policy routing can have: ``80``, ``8000-8010``.

    :raises ValueError: there are none, or 65535 is one, which the kernel does not take.
    """
    if not value:
        return None
    ports = Ports.parse(value)
    if ports.last == 65535:
        raise ValueError(f"expected ports of 1 to 65534, which are those that the kernel takes here, got {value!r}")
    return ports.first, ports.last


def user_range(value: str) -> tuple[int, int] | None:
    """Numbers of users: ``1000``, ``1000-1999``.

    :raises ValueError: they are none.
    """
    if not value:
        return None
    first, dash, last = value.replace(" ", "").partition("-")
    if not is_digits(first) or (dash and not is_digits(last)):
        raise ValueError(f"expected the number of a user such as 1000 or a range such as 1000-1999, got {value!r}")
    users = int(first), int(last or first)
    if not users[0] <= users[1] < _EVERY_BIT:
        raise ValueError(f"expected users of 0 to {_EVERY_BIT - 1}, the lower one first, got {value!r}")
    return users


def range_text(both: tuple[int, int] | None) -> str:
    """A range of numbers, of which one stands for itself."""
    if both is None:
        return ""
    return str(both[0]) if both[0] == both[1] else f"{both[0]}-{both[1]}"
