# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mount(2), umount2(2), and what is mounted (proc_pid_mountinfo(5))."""

from __future__ import annotations

import ctypes
import os
import re
import typing as t

from .syscall import call

MS_BIND = 0x1000
MS_REC = 0x4000
MS_UNBINDABLE = 0x20000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8


def mount(source: str, target: str, flags: int) -> None:
    """mount(2) without type and data: bind mounts and changes of propagation.

    :raises OSError: the kernel refused.
    """
    call("mount", os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None)


def detach(target: str) -> None:
    """Take a mount away from a path now, and free it when nobody uses it any more.

    :raises OSError: nothing is mounted there (``EINVAL``), or the kernel refused.
    """
    call("umount2", os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW)


class Mount(t.NamedTuple):
    """One line of a mount table."""

    device: str  #: ``major:minor``
    root: str  #: what of the file system is mounted; of a namespace file, what :func:`os.readlink` says
    path: str  #: where it is, as the process sees it whose table it is
    options: str  #: of this mount
    kind: str  #: type of the file system
    super_options: str  #: of the file system


def mounts(table: str = "/proc/self/mountinfo") -> t.Iterator[Mount]:
    """What is mounted, in the order in which the kernel tells it.

    :param table: path of the mount table.
    :raises OSError: it cannot be read.
    """
    # Paths may hold any white space but these two separators: nothing else must split a line.
    with open(table, encoding="utf-8", errors="surrogateescape", newline="\n") as lines:
        for line in lines:
            before, _dash, after = line.rstrip("\n").partition(" - ")
            device, root, path, options = before.split(" ")[2:6]
            kind, _source, super_options = after.split(" ")[:3]
            yield Mount(device, root, _unescaped(path), options, kind, super_options)


def _unescaped(path: str) -> str:
    """A path of the mount table, in which space, tab, newline and backslash are octal."""
    if "\\" not in path:
        return path
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), path)
