# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many containers on one host: whether the last ones cost more than the first ones."""

from __future__ import annotations

import statistics
import typing as t

from benchmark import goals, inprocess
from benchmark.peers import Peers, peers
from benchmark.table import head, milliseconds, row

EDGE = 10  #: how many are the first and the last ones
#: Making 200 containers takes about as long as all else in this many rounds.
ROUNDS_A_PASS = 5
Pass = dict[str, tuple[float, float]]


def many(rounds: int, count: int) -> t.Iterator[str]:
    """Make them, run tasks again that change nothing, remove them; all in process.

    :param rounds: one pass is made for every few of them.
    :param count: how many containers.
    """
    edge = max(1, min(EDGE, count // 2))
    with peers() as found, inprocess.another(found):
        passes = [_pass(found, count, edge) for _number in range(max(1, rounds // ROUNDS_A_PASS))]
    yield head(f"{count} containers on one host, in process: one of the last {edge}, and one of the first {edge}", "ms")
    for name in passes[0]:
        first, last = zip(*(each[name] for each in passes))
        yield row(f"{name}, one of the last", last, "of the first", first, goals.MANY)


def _pass(found: Peers, count: int, edge: int) -> Pass:
    """Median milliseconds of one of the first and of one of the last, by what is done with it."""
    names = [f"bench-{number}" for number in range(count)]
    tasks = [inprocess.container(found, name) for name in names]
    made = [_taken(task, changes=True) for task in tasks]
    again = [(_taken(one, changes=False), _taken(other, changes=False)) for one, other in zip(tasks, tasks[-edge:])]
    removed = [_taken(inprocess.no_container(name), changes=True) for name in reversed(names)]
    return {
        "made and started": (statistics.median(made[:edge]), statistics.median(made[-edge:])),
        "a run that changes nothing": (
            statistics.median(first for first, _last in again),
            statistics.median(last for _first, last in again),
        ),
        "removed": (statistics.median(removed[-edge:]), statistics.median(removed[:edge])),
    }


def _taken(task: inprocess.Task, *, changes: bool) -> float:
    outcomes = []
    taken = milliseconds(lambda: outcomes.append(task()))
    assert [each.changed for each in outcomes] == [changes]
    return taken
