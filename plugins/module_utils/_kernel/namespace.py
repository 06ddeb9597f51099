# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces as file descriptors: open, tell apart, enter for a while, ask about.

Sources: namespaces(7), setns(2), unshare(2), ioctl_ns(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
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
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)  # what is no namespace is not opened: a pipe would wait for its end
    try:
        if filesystem_type(found) != NSFS_MAGIC:
            raise OSError(errno.EINVAL, "it is not a namespace", path)
        return os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(found)


@contextlib.contextmanager
def coming_back(kind: str = "net") -> t.Iterator[None]:
    """Whatever namespace the calling thread enters inside, it is back in its own at the end.

    :param kind: ``net``, ``uts`` or ``ipc``; others cannot be left again.
    """
    here = f"/proc/thread-self/ns/{kind}"
    home = os.open(here, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        if libc.setns(home, FLAGS[kind]) == -1 and identity(here) != identity(home):
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


@contextlib.contextmanager
def inside_new(kind: str = "net") -> t.Iterator[None]:
    """Run the calling thread in a new namespace and come back; the new one ends then, unless something keeps it.

    :param kind: ``net``, ``uts`` or ``ipc``.
    :raises OSError: the kernel makes none.
    """
    with coming_back(kind):
        unshare(kind)
        yield


def unshare(kind: str) -> None:
    """Move the calling thread into a new namespace of a kind (unshare(2)).

    :raises OSError: the kernel refused.
    """
    call("unshare", FLAGS[kind])


# --- what the kernel tells of one --------------------------------------------

#: A request without an argument has no direction; how that is written differs by machine (asm/ioctl.h).
_NO_DIRECTION = 1 << 29 if os.uname().machine.startswith(("alpha", "mips", "ppc", "sparc")) else 0
_GET_USERNS, _GET_PARENT, _GET_NSTYPE, _GET_OWNER_UID = (_NO_DIRECTION | 0xB700 | number for number in (1, 2, 3, 4))
_KINDS: t.Final = {flag: kind for kind, flag in FLAGS.items()}


def name(fd: int) -> str:
    """A namespace as ``/proc/PID/ns`` writes it: ``net:[4026531840]``.

    The link in ``/proc/self/fd`` is no way to tell: of a mounted namespace it is the path.
    """
    return f"{_KINDS[fcntl.ioctl(fd, _GET_NSTYPE)]}:[{os.fstat(fd).st_ino}]"


def owner(fd: int) -> int | None:
    """The user namespace that a namespace belongs to.

    :returns: file descriptor, which the caller closes; ``None`` if the kernel does not tell, since there is none, or it
        is none that the caller's own user namespace encloses.
    """
    return _relative(fd, _GET_USERNS)


def parent(fd: int) -> int | None:
    """The namespace that a user or process namespace is inside.

    :returns: as :func:`owner`; ``None`` for all other types, too.
    """
    return _relative(fd, _GET_PARENT)


def _relative(fd: int, request: int) -> int | None:
    try:
        return fcntl.ioctl(fd, request)
    except OSError:
        return None


def owner_uid(fd: int) -> int | None:
    """User id of whoever made a user namespace, ``None`` for all other types."""
    try:
        return int(struct.unpack("=I", fcntl.ioctl(fd, _GET_OWNER_UID, bytes(4)))[0])
    except OSError:
        return None
