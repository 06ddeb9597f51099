# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the benchmarks, each side by side with what a user would use instead, and print tables with ratios.

Rounds are interleaved, and a ratio is the median of the ratios within each round: the machine's load comes and goes,
and both sides of a ratio have seen the same. Seconds alone mean nothing on a shared machine.
"""

from __future__ import annotations

import argparse
import functools
import typing as t

from benchmark import execs, idle, images, imports, many, podman_module, programs, service, tasks, unpacking, wires

Part = t.Callable[[int], t.Iterator[str]]


def parts(count: int) -> dict[str, Part]:
    """All benchmarks: name to what runs a number of rounds and gives lines to print.

    :param count: how many containers or namespaces are many.
    """
    return {
        "nothing_to_do": tasks.nothing_to_do,
        "wiring": tasks.wiring,
        "programs": programs.programs,
        "service": service.service,
        "idle": idle.idle,
        "execs": execs.execs,
        "many": functools.partial(many.many, count=count),
        "podman_module": podman_module.podman_module,
        "unpacking": unpacking.unpacking,
        "images": images.images,
        "wires": functools.partial(wires.wires, count=count),
        "imports": imports.imports,
    }


def main() -> None:
    """Run all benchmarks, or those that are named, and print what comes out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--count", type=int, default=200, help="how many the parts 'many' and 'wires' make")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(parts(0))}; all by default")
    given = parser.parse_args()
    chosen = parts(given.count)
    for name in given.parts or chosen:
        for line in chosen[name](given.rounds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
