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
ROUNDS_A_PASS = 5


def many(rounds: int, count: int) -> t.Iterator[str]:
    """Make them, run a task again that changes nothing, remove them; all in process.

    :param rounds: a tenth of a minute each for 200 containers, so that only one in five is made.
    :param count: how many containers.
    """
    edge = min(EDGE, count // 2)
    with peers() as found, inprocess.another(found):
        passes = [_pass(found, count) for _number in range(max(1, rounds // ROUNDS_A_PASS))]
    yield head(
        f"{count} containers on one host, in process: each of the last {edge}, and each of the first {edge}", "ms"
    )
    for name in passes[0]:
        first, last = (
            [statistics.median(each[name][part]) for each in passes] for part in (slice(edge), slice(-edge, None))
        )
        yield row(f"{name}, the last", last, "the first", first, goals.MANY)


def _pass(found: Peers, count: int) -> dict[str, list[float]]:
    """Milliseconds for each container, by what is done with it."""
    names = [f"bench-{number}" for number in range(count)]
    tasks = [inprocess.container(found, name) for name in names]
    taken = {"made and started": [_changes(task, True) for task in tasks]}
    taken["a run that changes nothing"] = [_changes(task, False) for task in tasks]
    taken["removed"] = [_changes(inprocess.no_container(name), True) for name in reversed(names)][::-1]
    return taken


def _changes(task: inprocess.Task, changes: bool) -> float:
    changed: list[bool] = []
    taken = milliseconds(lambda: changed.append(task().changed))
    assert changed == [changes]
    return taken
