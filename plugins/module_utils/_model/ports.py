# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of transport protocols, and ranges of them."""

from __future__ import annotations

import typing as t

from .quantities import is_digits


class Ports(t.NamedTuple):
    """A port, or a range of ports with both ends in it."""

    first: int
    last: int

    @classmethod
    def parse(cls, value: str) -> Ports:
        """The ports in ``8080`` or ``8000-8010``.

        :raises ValueError: it is neither.
        """
        first, dash, last = value.replace(" ", "").partition("-")
        if not is_digits(first) or (dash and not is_digits(last)):
            raise ValueError(f"expected a port such as 8080 or a range such as 8000-8010, got {value!r}")
        ports = cls(int(first), int(last or first))
        if not 1 <= ports.first <= ports.last <= 65535:
            raise ValueError(f"expected ports of 1 to 65535, the lower one first, got {value!r}")
        return ports

    def __str__(self) -> str:
        return str(self.first) if self.single else f"{self.first}-{self.last}"

    @property
    def single(self) -> bool:
        """Whether it is one port."""
        return self.first == self.last

    def overlaps(self, other: Ports) -> bool:
        """Whether there is a port in both."""
        return self.first <= other.last and other.first <= self.last


def port_range(value: str) -> str:
    """A port or range of ports: ``8080``, ``8000-8010``.

    :raises ValueError: it is neither.
    """
    return str(Ports.parse(value))


def port(value: int) -> int:
    """One port.

    :raises ValueError: there is none of that number.
    """
    if not 1 <= value <= 65535:
        raise ValueError(f"expected a port of 1 to 65535, got {value}")
    return value
