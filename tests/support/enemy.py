# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an enemy does, beside a container or in it, and what shows whether it got anything."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import signal
import stat
import typing as t

#: renameat2(2): the two names change places.
RENAME_EXCHANGE = 2


@contextlib.contextmanager
def swapping(folder: str | os.PathLike[str], one: bytes, other: bytes) -> t.Iterator[None]:
    """Somebody who exchanges two names in a directory all the time, as one with a shared volume can."""
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # whatever its path leads to later
    pid = os.fork()
    if pid == 0:
        rename = ctypes.CDLL(None).renameat2
        while True:
            rename(here, one, here, other, RENAME_EXCHANGE)
    os.close(here)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def digest(folder: str | os.PathLike[str]) -> dict[str, tuple[int, int, int, str]]:
    """Every file with its mode, owner, device and content."""
    found = {}
    for place, folders, names in os.walk(folder):
        for path in (os.path.join(place, name) for name in (*folders, *names)):
            info = os.lstat(path)
            found[path] = (info.st_mode, info.st_uid, info.st_rdev, sha256(path) if stat.S_ISREG(info.st_mode) else "")
    return found


def sha256(path: str) -> str:
    """Digest of a file's content."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
