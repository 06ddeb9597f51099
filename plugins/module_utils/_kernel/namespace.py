# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces as file descriptors: open, tell apart, enter for a while (namespaces(7), setns(2), unshare(2))."""

from __future__ import annotations

import contextlib
import ctypes
import os
import typing as t

from .syscall import call, libc

#: Type of a namespace to its flag in clone(2), unshare(2) and setns(2). The order is lsns(8)'s.
FLAGS: t.Final = {
    "time": 0x00000080,
    "cgroup": 0x02000000,
    "pid": 0x20000000,
    "user": 0x10000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "mnt": 0x00020000,
    "net": 0x40000000,
}

NSFS_MAGIC: t.Final = 0x6E736673  # statfs(2), f_type of namespace files


class Identity(t.NamedTuple):
    """What tells one namespace from all others that exist now (ioctl_ns(2))."""

    device: int
    inode: int


def identity(target: int | str) -> Identity:
    """Identity of the namespace behind a file descriptor or path.

    :raises OSError: there is nothing at the path.
    """
    info = os.stat(target)
    return Identity(info.st_dev, info.st_ino)


def filesystem_type(target: int | str) -> int:
    """``f_type`` of statfs(2): which file system a path or file descriptor is on.

    :raises OSError: there is nothing at the path.
    """
    buffer = ctypes.create_string_buffer(256)  # struct statfs is 120 bytes on 64-bit systems; f_type is its first word
    if isinstance(target, int):
        call("fstatfs", target, buffer)
    else:
        call("statfs", os.fsencode(target), buffer)
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


def open_namespace(path: str) -> int:
    """Open a namespace file.

    :returns: file descriptor, closed on exec; the caller closes it.
    :raises OSError: there is nothing at the path; ``EINVAL``: what is there is no namespace.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if filesystem_type(fd) != NSFS_MAGIC:
        os.close(fd)
        raise OSError(22, "it is not a namespace", path)
    return fd


@contextlib.contextmanager
def coming_back(kind: str = "net") -> t.Iterator[None]:
    """Whatever namespace the calling thread enters inside, it is back in its own at the end.

    :param kind: ``net``, ``uts`` or ``ipc``; others cannot be left again.
    """
    home = os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        if libc.setns(home, FLAGS[kind]) == -1:
            os.abort()  # this thread must not go on in a namespace that nobody expects it in
        os.close(home)


@contextlib.contextmanager
def inside(fd: int, kind: str = "net") -> t.Iterator[None]:
    """Run the calling thread in another namespace and come back.

    :param fd: of the namespace.
    :raises OSError: the namespace cannot be entered.
    """
    with coming_back(kind):
        call("setns", fd, FLAGS[kind])
        yield


def unshare(kind: str) -> None:
    """Move the calling thread into a new namespace of a kind (unshare(2)).

    :raises OSError: the kernel refused.
    """
    call("unshare", FLAGS[kind])
