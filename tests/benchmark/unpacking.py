# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer of an image unpacked, and a tree looked at whether somebody changed it.

One layer is a Debian as mmdebstrap makes it, kept in ``.cache`` of the checkout, the other one has 30,000 files. They
are unpacked into memory: disks of shared machines come and go more than what is measured.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._image import compression, tree
from ansible_collections.nsfleet.linux.plugins.module_utils._image.unpack import Whiteouts, unpack
from benchmark import goals
from benchmark.table import head, interleaved, milliseconds, row
from hosts.image import mirror
from hosts.tools import Failure
from support import archives, images, site
from support.images import Image

SUITE = "bookworm"
DEBIAN = pathlib.Path(site.ROOT, ".cache", f"minbase-{SUITE}.tar")
FILES, FOLDERS = 30_000, 300
FIND = r"find . -printf '%P %y %m %U %G %s %T@ %l\n' | sha256sum"
OTHER = "find -printf, sha256sum"
Ways = dict[str, t.Callable[[], float]]


def unpacking(rounds: int) -> t.Iterator[str]:
    """Both layers."""
    problem, found = layers()
    for name, data in found.items():
        with _memory() as place:
            images.layout(place / "image", {"latest": Image(data())})
            yield head(f"One layer, gzip: {name}", "ms")
            taken = interleaved(rounds, _unpacked(place))
            for other, goal in goals.UNPACK.items():
                yield row("unpack, in process", taken["ours"], other, taken[other], goal)
            yield head(f"Was the tree changed: {name}", "ms")
            looked = interleaved(rounds, _looked_at(place))
            yield row("stamp, in process", looked["stamp"], OTHER, looked["find"], goals.STAMP)
            yield row("digest by metadata, in process", looked["digest"], OTHER, looked["find"])
    if problem:
        yield f"\nWithout the layer of Debian: {problem}"


def layers() -> tuple[str, dict[str, t.Callable[[], bytes]]]:
    """Layers to measure with.

    :returns: why that of Debian cannot be had, and what gives each plain archive, by what it is.
    """
    problem = _obtain()
    debian = {} if problem else {f"Debian {SUITE}, minbase": DEBIAN.read_bytes}
    return problem, {f"{FILES} files": _many, **debian}


def _obtain() -> str:
    """Make the Debian, if it is not there.

    :returns: why it cannot be had.
    """
    if DEBIAN.exists():
        return ""
    draft = DEBIAN.with_suffix(".part.tar")
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", SUITE, str(draft)]
    try:
        DEBIAN.parent.mkdir(exist_ok=True)
        done = subprocess.run([*command, mirror("debian")], capture_output=True, text=True, check=False)
    except (Failure, FileNotFoundError) as error:
        return str(error)
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["mmdebstrap says nothing"])[-1]
    draft.rename(DEBIAN)
    return ""


def _many() -> bytes:
    """Many files of up to 16 KiB, most of them small, as in a root file system."""
    chance = random.Random(FILES)
    folders = [archives.folder(f"folder{number}") for number in range(FOLDERS)]
    files = [
        archives.file(
            f"folder{number % FOLDERS}/file{number}", chance.randbytes(int(chance.random() ** 4 * (16 << 10)))
        )
        for number in range(FILES)
    ]
    return archives.archive(*folders, *sorted(files, key=lambda each: each.info.name))


@contextlib.contextmanager
def _memory() -> t.Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as directory:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
        try:
            yield pathlib.Path(directory)
        finally:
            subprocess.run(["umount", directory], check=True)


def _unpacked(place: pathlib.Path) -> Ways:
    blob = max((place / "image/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    umoci = ["umoci", "raw", "unpack", "--image", f"{place}/image:latest"]
    tar = ["tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpzf", str(blob), "-C"]
    return {
        "umoci raw unpack": _into(place / "umoci", lambda target: _run(*umoci, target)),
        "tar -x": _into(place / "tar", lambda target: _run(*tar, target)),
        "ours": _into(place / "ours", lambda target: _unpack(blob, target), keep=True),
    }


def _into(target: pathlib.Path, action: t.Callable[[str], None], keep: bool = False) -> t.Callable[[], float]:
    """Do something with an empty directory, whose removal is not timed."""

    def once() -> float:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        taken = milliseconds(lambda: action(str(target)))
        if not keep:
            shutil.rmtree(target)
        return taken

    return once


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=True)


def _unpack(blob: pathlib.Path, target: str) -> None:
    root = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with open(blob, "rb") as file, compression.opened(file) as stream:
            unpack(stream, root, Whiteouts.APPLY)
    finally:
        os.close(root)


def _looked_at(place: pathlib.Path) -> Ways:
    def asked(question: t.Callable[[int], object]) -> t.Callable[[], float]:
        def once() -> float:
            root = os.open(place / "ours", os.O_RDONLY | os.O_DIRECTORY)
            try:
                return milliseconds(lambda: question(root))
            finally:
                os.close(root)

        return once

    return {
        "find": lambda: milliseconds(lambda: _run("sh", "-c", f"cd {place}/ours && {FIND}")),
        "stamp": asked(tree.stamp),
        "digest": asked(lambda root: tree.digest(root, content=False)),
    }
