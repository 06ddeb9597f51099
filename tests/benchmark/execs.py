# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command in a running container, as a program and in process."""

from __future__ import annotations

import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._resources import container_exec
from benchmark import inprocess
from benchmark.peers import ANSWERER, Peers, peers
from benchmark.table import head, interleaved, milliseconds, row
from support.bundle import Runtime

NAME = "bench"
COMMAND = "/bin/true"
IN_PROCESS, PROGRAM = "container_exec, in process", "nsrun exec"


def execs(rounds: int) -> t.Iterator[str]:
    """The same description of the container for all."""
    with peers() as found:
        yield head(f"{COMMAND} in a running container", "ms")
        inprocess.container(found, NAME)()
        ways = {IN_PROCESS: _in_process, **_by_programs(found), **_by_podman(found)}
        taken = interleaved(rounds, ways)
        for ours in (IN_PROCESS, PROGRAM):
            for name, values in taken.items():
                if name not in (IN_PROCESS, PROGRAM):
                    yield row(ours, taken[ours], name, values)
        _end(found)
        yield from ("", *found.remarks)


def _in_process() -> float:
    options = container_exec.TABLE.canonical({
        "name": NAME, "command": [COMMAND], "stdin_add_newline": True, "strip_empty_ends": True, "output_limit": 4096
    })  # fmt: skip
    return milliseconds(lambda: container_exec.act(options, False))


def _by_programs(found: Peers) -> dict[str, t.Callable[[], float]]:
    bundle = inprocess.same_bundle(found)
    for name, runtime in found.runtimes.items():
        bundle.spec["linux"]["cgroupsPath"] = f"bench-{name}"
        runtime.quietly("run", "--detach", "--bundle", str(bundle.write()), NAME)
    return {f"{name} exec": _exec(runtime) for name, runtime in found.runtimes.items()}


def _by_podman(found: Peers) -> dict[str, t.Callable[[], float]]:
    if found.podman is None:
        return {}
    found.podman.quietly("run", "--detach", "--name", NAME, *found.podman.OPTIONS,
                         "--rootfs", str(found.bundle.root), *ANSWERER)  # fmt: skip
    return {"podman exec": _exec(found.podman)}


def _exec(program: Runtime) -> t.Callable[[], float]:
    return lambda: milliseconds(lambda: program.quietly("exec", NAME, COMMAND))


def _end(found: Peers) -> None:
    for runtime in found.runtimes.values():
        runtime.quietly("delete", "--force", NAME)
    inprocess.no_container(NAME)()
