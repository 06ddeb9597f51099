# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One ``/bin/true`` in fresh namespaces with limits and an overlay, by whole programs."""

from __future__ import annotations

import shutil
import typing as t

from benchmark import goals
from benchmark.peers import LIMITS, Peers, peers
from benchmark.table import head, interleaved, milliseconds, row
from support.bundle import Runtime

OVERLAY = "/usr"  #: what the payload sees through an overlay
KINDS = ("pid", "net", "ipc", "uts", "cgroup")


def programs(rounds: int) -> t.Iterator[str]:
    """Whole runs of all of them."""
    with peers() as found:
        yield head("One /bin/true in six fresh namespaces with three limits and an overlay, whole programs", "ms")
        runs = {**_runtimes(found), **_sandbox(found), **_podman(found)}
        taken = interleaved(rounds, {name: _timed(run) for name, run in runs.items()})
        ours = taken.pop("nsrun")
        for name, values in taken.items():
            yield row("nsrun run", ours, f"{name} run" if name in goals.PROGRAM else name, values,
                      goals.PROGRAM.get(name))  # fmt: skip
        yield from ("", *found.remarks)


def _timed(run: t.Callable[[], None]) -> t.Callable[[], float]:
    return lambda: milliseconds(run)


def _runtimes(found: Peers) -> dict[str, t.Callable[[], None]]:
    layers = [found.place / name for name in ("upper", "work")]
    for layer in layers:
        layer.mkdir()
    bundle = found.bundle
    options = [f"lowerdir={OVERLAY}", f"upperdir={layers[0]}", f"workdir={layers[1]}"]
    bundle.spec["mounts"] = [each for each in bundle.spec["mounts"] if each["destination"] != OVERLAY]
    bundle.spec["mounts"].append({"destination": OVERLAY, "type": "overlay", "source": "overlay", "options": options})
    bundle.write("/bin/true")
    words = ("run", "--bundle", str(bundle.directory), "bench")
    return {name: _run(runtime, *words) for name, runtime in found.runtimes.items()}


def _run(program: Runtime, *words: str) -> t.Callable[[], None]:
    return lambda: program.quietly(*words)


def _sandbox(found: Peers) -> dict[str, t.Callable[[], None]]:
    """bubblewrap has no limits, and before version 0.11 no overlay."""
    if not shutil.which("bwrap"):
        return {}
    unshare = (f"--unshare-{kind}" for kind in KINDS)
    mounts = ("--bind", str(found.bundle.root), "/", "--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev")
    return {"bwrap, without limits and overlay": _run(Runtime("bwrap", *unshare, *mounts), "/bin/true")}


def _podman(found: Peers) -> dict[str, t.Callable[[], None]]:
    if found.podman is None:
        return {}
    run = ("run", "--rm", *LIMITS, "--volume", f"{OVERLAY}:{OVERLAY}:O")
    payload = ("--rootfs", str(found.bundle.root), "/bin/true")
    return {
        "podman run, no network": _run(found.podman, *run, "--network", "none", *payload),
        "podman run, bridge": _run(found.podman, *run, "--network", found.make_podman_network(), *payload),
    }
