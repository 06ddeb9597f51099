# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts as people write them. Each function gives the canonical form or says what was expected."""

from __future__ import annotations

import re
import typing as t

#: No limit, as the kernel writes it.
MAX: t.Final = "max"
#: Other ways to write it.
_UNLIMITED = (MAX, "infinity", "-1")
_SIZE = r"([0-9]+(?:\.[0-9]+)?) ?([KMGTPEkmgtpe]?)([Ii]?[Bb])?"
_SHIFTS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}
_PERCENT = r"([0-9]+(?:\.[0-9]+)?) ?%"


def is_digits(words: str) -> bool:
    """Whether a text is a whole number without sign in the ten digits of ASCII, the only ones that the kernel knows."""
    return words.isascii() and words.isdigit()


def size(value: str) -> int:
    """An amount of memory in bytes: ``536870912``, ``512M``, ``512MiB``, ``1.5G``; the units are powers of 1024.

    :raises ValueError: it is not one.
    """
    found = re.fullmatch(_SIZE, value.strip())
    if not found:
        raise ValueError(f"expected bytes or a size such as 512M or 1.5G, got {value!r}")
    number, unit, suffix = found.group(1), found.group(2).upper(), found.group(3) or ""
    if unit and suffix.upper() == "B":
        raise ValueError(
            f"expected a power of 1024 such as {number}{unit} or {number}{unit}iB, got {value!r}, "
            "which means a power of 1000 to some"
        )
    if (suffix.lower() == "ib" or "." in number) and not unit:
        raise ValueError(f"expected whole bytes or a size such as 512M or 1.5G, got {value!r}")
    if "." not in number:
        return int(number) << _SHIFTS[unit]
    whole, _dot, fraction = number.partition(".")
    return (int(whole + fraction) << _SHIFTS[unit]) // int(10 ** len(fraction))


def size_or_max(value: str, whole: t.Callable[[], int] | None = None) -> int | None:
    """A size in bytes, ``None`` for no limit (``max``, ``infinity``, ``-1``).

    :param whole: gives what a percentage is of, in bytes; without it, percentages are refused.
    :raises ValueError: it is neither.
    """
    words = value.strip()
    if words.lower() in _UNLIMITED:
        return None
    percent = re.fullmatch(_PERCENT, words)
    if percent and whole is not None:
        part = float(percent.group(1))
        if part > 100:
            raise ValueError(f"expected at most 100%, got {value!r}")
        return int(whole() * part / 100)
    try:
        return size(words)
    except ValueError as error:
        kinds = "max, a percentage, or " if whole is not None else "max or "
        raise ValueError(str(error).replace("expected ", f"expected {kinds}", 1)) from None


def count_or_max(value: str, most: int) -> str:
    """A whole number of 0 to ``most``, or ``max``.

    :raises ValueError: it is neither.
    """
    words = value.strip().lower()
    if words in _UNLIMITED:
        return MAX
    if not is_digits(words) or int(words) > most:
        raise ValueError(f"expected max or a whole number of 0 to {most}, got {value!r}")
    return str(int(words))


def between(low: int, high: int, what: str = "") -> t.Callable[[int], int]:
    """The canonical form of whole numbers within bounds.

    :param what: that there are so many of, for the error.
    """

    def canonical(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"expected {low} to {high}{' ' if what else ''}{what}, got {value}")
        return value

    return canonical


def number_set(value: str) -> str:
    """A set of numbers as the kernel writes it: ``0-3,5`` (cpuset(7), list format); empty for none.

    :raises ValueError: it is not one.
    """
    return ranges(numbers(value))


def numbers(value: str) -> list[int]:
    """The numbers in a set such as ``0-3,5``, sorted.

    :raises ValueError: it is not a set.
    """
    found: set[int] = set()
    for word in re.split(r"[,\s]+", value.strip()):
        match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", word)
        if not match and word:
            raise ValueError(f"expected numbers and ranges such as 0-3,5, got {value!r}")
        if match:
            low, high = int(match.group(1)), int(match.group(2) or match.group(1))
            if high < low:
                raise ValueError(f"expected ranges with the lower number first, got {value!r}")
            found.update(range(low, high + 1))
    return sorted(found)


def ranges(values: t.Sequence[int]) -> str:
    """Sorted numbers with as few and as long ranges as can be."""
    runs: list[list[int]] = []
    for number in values:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


_RATES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SPANS = {"us": 1, "ms": 1000, "s": 1_000_000}


def bit_rate(value: str | int) -> int:
    """A data rate in bits per second, of whole bytes as the kernel has it: ``100mbit``, ``1.5gbit``, ``9600``.

    :raises ValueError: it is not one.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(?:([kmgt]?i?)bit)?", str(value).strip().lower())
    factor = _RATES.get(found.group(2) or "", 0) if found else 0
    rate = int(float(found.group(1)) * factor) // 8 * 8 if found else 0
    if not 8 <= rate < 2**50:
        raise ValueError(f"expected bits per second such as 100mbit, 1.5gbit or 64kbit, got {value!r}")
    return rate


def time_span(value: str | int) -> int:
    """A time in microseconds: ``50ms``, ``1.5s``, ``20us``; a bare number is in microseconds; less than an hour.

    :raises ValueError: it is not one.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(us|ms|s)?", str(value).strip().lower())
    span = round(float(found.group(1)) * _SPANS[found.group(2) or "us"]) if found else -1
    if not 0 <= span < 3_600_000_000:
        raise ValueError(f"expected a time such as 50ms, 1.5s or 20us, got {value!r}")
    return span


def percentage(value: float) -> float:
    """A share in percent, to the fourth place.

    :raises ValueError: it is not within 0 and 100.
    """
    if not 0 <= value <= 100:
        raise ValueError(f"expected 0 to 100 percent, got {value:g}")
    return round(value, 4)
