# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLAN ids and sets of them, written as ranges (IEEE 802.1Q: 1 to 4094)."""

from __future__ import annotations

import typing as t

from .quantities import is_digits, ranges


def vlan_id(value: int) -> int:
    """A VLAN id, or 0 for none.

    :raises ValueError: it is neither.
    """
    if not 0 <= value <= 4094:
        raise ValueError(f"expected a VLAN id of 1 to 4094, or 0 for none, got {value}")
    return value


def vlan_numbers(values: t.Iterable[str]) -> list[int]:
    """The ids in a set of ids and ranges (``"10"``, ``"20-30"``), sorted.

    :raises ValueError: one is neither an id nor a range.
    """
    found: set[int] = set()
    for value in values:
        first, dash, last = str(value).partition("-")
        if not is_digits(first) or (dash and not is_digits(last)):
            raise ValueError(f"expected a VLAN id such as 10 or a range such as 20-30, got {value!r}")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= 4094:
            raise ValueError(f"expected VLAN ids of 1 to 4094, the lower one first, got {value!r}")
        found.update(range(low, high + 1))
    return sorted(found)


def vlan_ranges(values: t.Iterable[str]) -> list[str]:
    """A set of ids and ranges with as few and as long ranges as can be, sorted.

    :raises ValueError: one is neither an id nor a range.
    """
    numbers = vlan_numbers(values)
    return ranges(numbers).split(",") if numbers else []
