# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the benchmarks, each side by side with what a user would use instead, and print a table with ratios.

    run.py [ROUNDS]

Rounds are interleaved, and a ratio is the median of the ratios within each round: the machine's load comes and goes,
and both sides of a ratio have seen the same. Seconds alone mean nothing on a shared machine.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import typing as t

from benchmark import runtime
from support import site

HERE = os.path.dirname(os.path.abspath(__file__))
#: What a run that changes nothing may cost, as a multiple of ``ansible.builtin.ping``.
GOAL = 1.3


class Round(dict[str, float]):
    """Seconds of the tasks of one round, by their names."""

    def total(self, prefix: str) -> float:
        """Seconds of all tasks whose names begin so, together."""
        return sum(seconds for name, seconds in self.items() if name.startswith(prefix))


def measure(playbook: str, first: str, rounds: int) -> list[Round]:
    """Run a playbook of rounds.

    :param first: name of the task with which a round begins.
    :raises AssertionError: a task failed, or one that is to change nothing changed something.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as durations:
        os.environ.update(
            NSFLEET_DURATIONS=durations.name,
            ANSIBLE_CALLBACK_PLUGINS=os.path.join(HERE, "callback_plugins"),
            ANSIBLE_CALLBACKS_ENABLED="durations",
        )
        site.play(os.path.join(HERE, playbook), {"rounds": rounds})
        lines = [json.loads(line) for line in durations]
    found: list[Round] = []
    for line in lines:
        if line["task"] == first:
            found.append(Round())
        if found:
            found[-1][line["task"]] = line["seconds"]
    return found[-rounds:]


def row(name: str, seconds: t.Sequence[float], others: t.Sequence[float], other: str) -> str:
    """One line of a table: median seconds of both, and the median of the ratios within rounds."""
    ratio = statistics.median(one / two for one, two in zip(seconds, others))
    return f"| {name} | {statistics.median(seconds):.3f} | {other} {statistics.median(others):.3f} | {ratio:.2f} |"


HEAD = "| what | s | side by side with, s | ratio |\n|---|---|---|---|"


def nothing_to_do(rounds: int) -> t.Iterator[str]:
    """Each module on an object that is as it is to be, and ping, as Ansible sends them by default and pipelined.

    With pipelining, Python reads the archive from its standard input, byte by byte: its size counts.
    """
    for pipelining, words in (("false", "Ansible's default"), ("true", "with pipelining")):
        os.environ["ANSIBLE_PIPELINING"] = pipelining
        yield from _nothing_to_do(rounds, words)
    del os.environ["ANSIBLE_PIPELINING"]


def _nothing_to_do(rounds: int, words: str) -> t.Iterator[str]:
    yield f"\n## A run that changes nothing, and ping (goal: at most {GOAL}), {words}\n\n{HEAD}"
    found = measure("nothing_to_do.yml", "Ping", rounds)
    pings = [each["Ping"] for each in found]
    for module in ("netns", "bridge", "veth", "route", "nat", "cgroup", "container", "namespace_info", "nat_info",
                   "cgroup_info", "container_info", "container_exec"):  # fmt: skip
        yield row(module, [each[module.capitalize()] for each in found], pings, "ping")


def wiring(rounds: int) -> t.Iterator[str]:
    """A namespace with an address on a bridge, and the commands for it."""
    yield f"\n## One namespace with loopback, veth, bridge port and address, and the same by ip(8) tasks\n\n{HEAD}"
    found = measure("wiring.yml", "Modules: namespace", rounds)
    commands = [each.total("Commands: ") for each in found]
    yield row("made by modules", [each.total("Modules: ") for each in found], commands, "commands")
    yield row("run again by modules", [each.total("Again: ") for each in found], commands, "commands")


def main(rounds: int) -> None:
    """Run all benchmarks and print what came out."""
    for benchmark in (nothing_to_do, wiring, runtime.runs, runtime.imports):
        for line in benchmark(rounds):
            print(line, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
