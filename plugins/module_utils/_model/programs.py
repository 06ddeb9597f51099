# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How programs are started, and what modes files have.

Each function gives the canonical form or says what was expected.
"""

from __future__ import annotations

import typing as t

from .field import State


def command_words(values: t.Sequence[str]) -> list[str]:
    """A program and its arguments.

    :raises ValueError: one of them cannot be one.
    """
    if any("\0" in str(value) for value in values):
        raise ValueError("expected words without a zero byte")
    return [str(value) for value in values]


def environment(values: t.Mapping[str, t.Any]) -> State:
    """Variables of the environment.

    :raises ValueError: one of them cannot be one.
    """
    for name, value in values.items():
        if not str(name) or "=" in str(name) or "\0" in f"{name}{value}":
            raise ValueError(f"expected names without '=' and values without a zero byte, got {name!r}")
    return {str(name): str(value) for name, value in values.items()}


def time_limit(value: float) -> float:
    """Seconds.

    :raises ValueError: nothing is as short.
    """
    if not value > 0:  # nor what is no number
        raise ValueError(f"expected more than 0 seconds, got {value:g}")
    return float(value)


def octal_mode(value: str) -> str:
    """Permission bits, of four digits.

    :raises ValueError: they are none.
    """
    try:
        number = int(value, 8)
    except ValueError:
        number = -1
    if not 0 <= number <= 0o7777:
        raise ValueError(f"expected a mode in octal, as text, such as '0660', got {value!r}")
    return f"{number:04o}"
