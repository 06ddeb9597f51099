# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image taken from an archive, and many containers from one image; all in memory, as in :mod:`.unpacking`."""

from __future__ import annotations

import pathlib
import statistics
import subprocess
import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._image.catalog import ROOT
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container import Container
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.image import Image as ImageResource
from benchmark import goals, inprocess, unpacking
from benchmark.inprocess import Task
from benchmark.peers import Peers, peers
from benchmark.table import head, interleaved, milliseconds, row
from support import images as made
from support import rooted

NAME = "localhost/bench:1"
COUNT = 100  #: containers from one image
EDGE = 10  #: how many are the first and the last ones


def images(rounds: int) -> t.Iterator[str]:
    """Both."""
    with peers() as found:
        yield from _imported(found, rounds)
        yield from _shared(found)
        yield from ("", *found.remarks)


def _imported(found: Peers, rounds: int) -> t.Iterator[str]:
    """An OCI archive into the store, and into that of Podman."""
    problem, layers = unpacking.layers()
    if found.podman is None:
        yield "\nWithout podman there is nothing to measure an import beside."
        return
    for name, data in layers.items():
        archive = _archive(found.place / "import", made.Image(data()))
        yield head(f"An image from an OCI archive, one layer, gzip: {name}", "ms")
        ways = {"ours": lambda path=archive: _ours(path), "podman": lambda path=archive: _podmans(found, path)}
        taken = interleaved(rounds, ways)
        yield row("image, in process", taken["ours"], "podman load", taken["podman"], goals.IMPORT)
        subprocess.run(["rm", "-r", str(archive.parent)], check=True)
    if problem:
        yield f"\nWithout the layer of Debian: {problem}"


def _archive(folder: pathlib.Path, image: made.Image) -> pathlib.Path:
    layout = made.layout(folder / "layout", {NAME.rpartition(":")[2]: image})
    path = folder / "image.tar"
    subprocess.run(["tar", "--create", f"--file={path}", f"--directory={layout}", "."], check=True)
    return path


def _ours(path: pathlib.Path) -> float:
    """Only the import is timed."""
    taken = milliseconds(Task(ImageResource, name=NAME, path=str(path)))
    Task(ImageResource, name=NAME, state="absent")()
    return taken


def _podmans(found: Peers, path: pathlib.Path) -> float:
    assert found.podman is not None
    podman = found.podman
    taken = milliseconds(lambda: podman.quietly("load", "--quiet", "--input", str(path)))
    podman.quietly("rmi", "--all", "--force")
    return taken


def _shared(found: Peers) -> t.Iterator[str]:
    """Containers from one image: what the disk holds of them, and whether the last ones cost more."""
    archive = _archive(found.place / "shared", rooted.image())
    Task(ImageResource, name=NAME, path=str(archive))()
    names = [f"bench-{number}" for number in range(COUNT)]
    tasks = [Task(Container, name=name, image=NAME, overlay="disk", mounts=[rooted.USR]) for name in names]
    with inprocess.another(found):
        before = _used()
        taken = [milliseconds(task) for task in tasks]
        grown = _used() - before
        for name in names:
            inprocess.no_container(name)()
    Task(ImageResource, name=NAME, state="absent")()
    yield head(f"{COUNT} containers from one image, in process", "ms")
    first, last = (statistics.median(each) for each in (taken[:EDGE], taken[-EDGE:]))
    yield row(f"made and started, one of the last {EDGE}", [last], f"of the first {EDGE}", [first], goals.MANY)
    yield head(f"What the store of images grows by with {COUNT} containers from one", "KiB")
    yield row("growth", [grown / 1024], "goal: a MiB", [1024.0], goals.GROWTH)


def _used() -> int:
    """Bytes that the store of images takes on its disk."""
    done = subprocess.run(["du", "--block-size=1", "--summarize", ROOT], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])
