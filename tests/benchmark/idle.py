# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs in memory that somebody watches a container that does nothing: the parent of its first process."""

from __future__ import annotations

import pathlib
import shutil
import time
import typing as t

from benchmark import inprocess
from benchmark.peers import ANSWERER, Peers, peers
from support import world
from support.engines import IMAGE, Containerd

NAME = "bench"
#: Shares of the pages that several processes have, and the pages that only one has (proc(5), smaps_rollup).
PROPORTIONAL, UNIQUE = ("Pss",), ("Private_Clean", "Private_Dirty")
#: Seconds after which everybody has done what there is to do after a start.
SETTLED = 3.0
Started = t.Iterator[int]


def idle(rounds: int) -> t.Iterator[str]:
    """One container each; once is enough, since memory does not come and go with the machine's load."""
    del rounds
    yield "\n## Memory in KiB of a container that does nothing, and of the process that watches it\n"
    yield "| watched by | its PSS | its USS | payload's PSS | payload's USS |\n|---|---|---|---|---|"
    with peers() as found:
        for name, started in WATCHED.items():
            for pid in started(found):
                time.sleep(SETTLED)
                sizes = [_memory(each, fields) for each in (_parent(pid), pid) for fields in (PROPORTIONAL, UNIQUE)]
                yield f"| {name} | {' | '.join(map(str, sizes))} |"
        yield from ("", *found.remarks)


def _parent(pid: int) -> int:
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _memory(pid: int, fields: t.Sequence[str]) -> int:
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return sum(int(line.split()[1]) for line in lines if line.split(":")[0] in fields)


def _ours(found: Peers) -> Started:
    yield inprocess.first_process(inprocess.container(found, NAME)())
    inprocess.no_container(NAME)()


def _podman(found: Peers) -> Started:
    if found.podman is not None:
        found.podman.quietly("run", "--detach", "--name", NAME, *found.podman.OPTIONS,
                             "--rootfs", str(found.bundle.root), *ANSWERER)  # fmt: skip
        yield found.podman.pid(NAME)
        found.podman("rm", "--force", "--time", "0", NAME)


def _containerd(found: Peers) -> Started:
    runtime = shutil.which("runc")
    if runtime is None or not found.is_there("containerd"):
        return
    engine = Containerd(found.place / "containerd", runtime)
    try:
        engine.begin()
        engine.quietly("run", "--detach", *engine.options, IMAGE, NAME, "sleep", "1000")
        world.until(lambda: NAME in engine.tasks())
        yield engine.tasks()[NAME][0]
    finally:
        engine.end()


WATCHED = {"monitor of nsfleet.linux": _ours, "conmon (podman)": _podman, "containerd-shim-runc-v2": _containerd}
