# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a link carries, and how badly: rates in both directions, and a worse network on purpose.

How it is done is in :mod:`.shaper`, which is imported where a link has any of these options.
"""

from __future__ import annotations

import typing as t

from .._model.errors import OptionError
from .._model.field import Field, State, Table
from .._model.quantities import between, bit_rate, percentage, size, time_span


def _rate(value: str | int) -> int:
    """Bits per second, 0 for as many as there are."""
    return bit_rate(value) if str(value) != "0" else 0


BUCKET = Table((
    Field("rate", required=True, canonical=_rate, revert=0),
    Field("burst", canonical=lambda value: size(str(value)), revert=0),
    Field("latency", canonical=time_span, revert=0),
))  # fmt: skip
NETEM = Table((
    Field("delay", canonical=time_span, revert=0),
    Field("jitter", canonical=time_span, revert=0),
    Field("loss", "float", canonical=percentage, revert=0.0),
    Field("duplicate", "float", canonical=percentage, revert=0.0),
    Field("corrupt", "float", canonical=percentage, revert=0.0),
    Field("reorder", "float", canonical=percentage, revert=0.0),
    Field("rate", canonical=_rate, revert=0),
    Field("limit", "int", canonical=between(1, 2**32 - 1, "packets"), revert=1000),
))  # fmt: skip
FIELDS = (
    Field("egress", "dict", table=BUCKET),
    Field("ingress", "dict", table=BUCKET),
    Field("netem", "dict", table=NETEM),
)
NAMES: t.Final = tuple(field.name for field in FIELDS)

_LATENCY = 50_000  #: microseconds that a packet waits at most, where the task says nothing
_BURSTS = 100  #: bursts that make up a second, where the task says nothing
_LEAST_BURST = 16384  #: bytes
_HEADERS = 18  #: bytes of a frame beside what the MTU counts, with a VLAN tag


def complete(options: State) -> None:
    """Say what the task leaves to us: how much may burst, and how long a packet waits."""
    for name in ("egress", "ingress"):
        bucket = options.get(name)
        if bucket:
            limited = bool(bucket.get("rate"))
            bucket.setdefault("burst", limited * max(bucket.get("rate", 0) // 8 // _BURSTS, _LEAST_BURST))
            bucket.setdefault("latency", limited * _LATENCY)


def contradictions(options: State, prefix: str) -> t.Iterator[OptionError]:
    """What cannot hold together.

    :param options: in canonical form.
    :param prefix: of their paths.
    """
    least = options.get("mtu", 1500) + _HEADERS
    for name in ("egress", "ingress"):
        bucket = options.get(name, {})
        burst = bucket.get("burst", least)
        if bucket.get("rate") and burst < least:
            yield OptionError(f"{prefix}{name}.burst", f"expected a whole frame, {least} bytes or more, got {burst}")
    netem = options.get("netem", {})
    if netem.get("jitter", 0) > netem.get("delay", 0):
        yield OptionError(f"{prefix}netem.jitter", "expected at most the delay, from which it is taken")
    if netem.get("reorder") and not netem.get("delay"):
        yield OptionError(f"{prefix}netem.reorder", "expected a delay, too, without which no packet can be early")


def named(*states: State) -> bool:
    """Whether any of these states has one of the options."""
    return any(name in each for each in states for name in NAMES)
