# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals by the names that people write (signal(7))."""

from __future__ import annotations

import signal

from .._model.quantities import is_digits

#: Names of signals that have a better known one (signal(7)).
_SECOND_NAMES = frozenset({"SIGCLD", "SIGPOLL", "SIGIOT"})


def signal_number(value: str) -> int:
    """The number of a signal by its name, with or without ``SIG``, by its number, or as ``RTMIN+3``.

    :raises ValueError: there is no such signal.
    """
    words = str(value).upper().removeprefix("SIG")
    base, plus, offset = words.partition("+")
    if is_digits(words) and 0 < int(words) < signal.NSIG:
        return int(words)
    found = _names().get(f"SIG{base}")
    if found is None or (plus and (base != "RTMIN" or not is_digits(offset))):
        raise ValueError(f"expected a signal such as SIGTERM, HUP, 15 or SIGRTMIN+3, got {value!r}")
    number = found + int(offset or 0)
    if number >= signal.NSIG:
        raise ValueError(f"expected a signal below {signal.NSIG}, got {value!r}")
    return number


def signal_name(value: str) -> str:
    """The one name of a signal: ``SIGTERM``, or ``SIGRTMIN+3`` for realtime signals.

    :raises ValueError: there is no such signal.
    """
    number = signal_number(value)
    above = number - getattr(signal, "SIGRTMIN", signal.NSIG)  # a controller need not be Linux
    if above > 0:
        return f"SIGRTMIN+{above}"
    return next(name for name, each in _names().items() if each == number and name not in _SECOND_NAMES)


def _names() -> dict[str, int]:
    """Numbers of all signals of this system by their names."""
    return {name: int(value) for name, value in vars(signal).items() if name[:3] == "SIG" and name[3:].isalnum()}
