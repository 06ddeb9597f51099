# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories: which one it is, what is mounted in it, and two of them that change places."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
import typing as t

from .._model.errors import KernelError
from .mount import mounts
from .syscall import call

_HERE: t.Final = -100  # AT_FDCWD
_NO_FOLLOW: t.Final = 0x100  # AT_SYMLINK_NOFOLLOW
_INODE, _BORN = 0x100, 0x800  # STATX_INO, STATX_BTIME
#: Of struct statx: number of the inode, and when it was made (seconds and nanoseconds).
_STATX: t.Final = struct.Struct("=32xQ40xqI")
_SIZE: t.Final = 256
_EXCHANGE: t.Final = 2  # RENAME_EXCHANGE


def identity(path: str) -> str:
    """What tells a directory from all others that were, and will be, at its path (statx(2)).

    That is when it was made, which nobody can set, and which a rename leaves as it is. The number of its inode is used
    again, and on overlayfs another one each time the kernel forgets it; it is taken where there is no such time.

    :raises OSError: it is not there.
    """
    found = ctypes.create_string_buffer(_SIZE)
    call("statx", _HERE, os.fsencode(path), _NO_FOLLOW, _INODE | _BORN, found)
    number, seconds, nanoseconds = _STATX.unpack_from(found.raw)
    born = seconds * 10**9 + nanoseconds
    return f"born-{born:x}" if born else f"inode-{number}"


@contextlib.contextmanager
def opened(path: str) -> t.Iterator[int]:
    """A descriptor of a directory, which the last part of a path must not lead to by a link.

    :raises KernelError: it is not there, or is none.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError(f"open {path}", error) from None
    try:
        yield fd
    finally:
        os.close(fd)


def exchange(one: str, other: str) -> None:
    """Let two paths of one file system change places, so that neither is missing at any time (renameat2(2)).

    :raises OSError: the kernel refused; ``EINVAL``: the file system cannot.
    """
    call("renameat2", _HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)


def replace(draft: str, path: str, old: str) -> None:
    """Put a directory in the place of another one of the same file system.

    :param old: path that the other one gets; nothing is there.
    :raises OSError: the kernel refused. Each of the two is then at one of the three paths.
    """
    try:
        exchange(draft, path)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        os.rename(path, old)  # the file system, as that of NFS, has no exchange: for a moment, there is neither
        os.rename(draft, path)
    else:
        os.rename(draft, old)


def mounted_in(path: str) -> list[str]:
    """Paths of what is mounted at a directory or below it, sorted.

    :param path: of the directory, without links.
    """
    inside = f"{path.rstrip('/')}/"
    return sorted({each.path for each in mounts() if each.path == path or each.path.startswith(inside)})
