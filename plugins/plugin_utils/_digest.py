# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of files on the controller, found once in a run. PRIVATE to nsfleet.linux."""

from __future__ import annotations

import fcntl
import hashlib
import os

_PIECE = 1 << 20


def digest_of(path: str, folder: str) -> str:
    """``sha256:`` and the digest of a file, which is read once, however many hosts ask at the same time.

    Ansible asks for each host in a process of its own, so what is known is kept in a file, and who wants to know what
    another one is finding out waits for the lock on it.

    :param path: of the file.
    :param folder: directory of this run, which is removed with it.
    :raises OSError: the file cannot be read.
    """
    with open(path, "rb") as file, open(os.path.join(folder, _name(file.fileno())), "a+", encoding="ascii") as known:
        fcntl.flock(known, fcntl.LOCK_EX)
        known.seek(0)
        found = known.read()
        if not found:
            hashed = hashlib.sha256()
            while piece := file.read(_PIECE):
                hashed.update(piece)
            found = f"sha256:{hashed.hexdigest()}"
            known.write(found)
        return found


def _name(file: int) -> str:
    """What tells a file from what it was before; nobody can set the time of status change."""
    info = os.fstat(file)
    return "-".join(map(str, ("nsfleet", info.st_dev, info.st_ino, info.st_size, info.st_ctime_ns)))
