# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interleaved rounds, and tables of the ratios that come out of them."""

from __future__ import annotations

import statistics
import time
import typing as t

T = t.TypeVar("T")


def interleaved(rounds: int, ways: t.Mapping[str, t.Callable[[], T]]) -> dict[str, list[T]]:
    """Do the same in several ways, one after the other, round by round.

    :param rounds: how many are counted; one before them fills caches.
    :param ways: name to what does it once, and returns what it measured.
    :returns: name to what was measured, a value a round.
    """
    found: dict[str, list[T]] = {name: [] for name in ways}
    for _round in range(rounds + 1):
        for name, once in ways.items():
            found[name].append(once())
    return {name: values[1:] for name, values in found.items()}


def milliseconds(action: t.Callable[[], object]) -> float:
    """How long something takes."""
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) * 1000


def head(title: str, unit: str) -> str:
    """A heading, and the head of the table below it."""
    return f"\n## {title}\n\n| what | {unit} | beside it | {unit} | ratio | goal |\n|---|---|---|---|---|---|"


def row(name: str, ours: t.Sequence[float], other: str, others: t.Sequence[float], goal: float | None = None) -> str:
    """One line of a table: the medians of both, and the median of the ratios within rounds.

    :param goal: the largest ratio that is aimed at, if there is such an aim.
    """
    ratio = statistics.median(one / two for one, two in zip(ours, others))
    aim = "" if goal is None else f"{goal:g}"
    return f"| {name} | {_median(ours)} | {other} | {_median(others)} | {ratio:.2f} | {aim} |"


def _median(values: t.Sequence[float]) -> str:
    """With three digits that count."""
    median = statistics.median(values)
    return f"{median:.0f}" if median >= 100 else f"{median:.3g}"
