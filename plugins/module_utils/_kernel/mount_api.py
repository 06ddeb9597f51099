# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts as file descriptors: fsopen(2), fsconfig(2), fsmount(2), open_tree(2), move_mount(2), mount_setattr(2).

A mount is made detached, looked at and set up while nobody can reach it, and then attached to a directory that is open,
too. No path is resolved twice, so nobody can swap what is at its end.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
import typing as t

from . import mount
from .syscall import call, number, syscall

# What a mount forbids and keeps (MOUNT_ATTR_*).
READ_ONLY, NO_SUID, NO_DEV, NO_EXEC = 0x1, 0x2, 0x4, 0x8
ACCESS_TIME_MASK, NO_ACCESS_TIME, STRICT_ACCESS_TIME, NO_DIRECTORY_ACCESS_TIME = 0x70, 0x10, 0x20, 0x80
NO_SYMLINKS = 0x200000
_IDMAP = 0x100000

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _FSPICK, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 433, 442
_CLONE_TREE, _CLOEXEC, _RECURSIVE, _EMPTY_PATH = 1, os.O_CLOEXEC, 0x8000, 0x1000
_FROM_DESCRIPTOR, _TO_DESCRIPTOR = 0x4, 0x40
#: What says that the kernel has no idmapped mounts, or not of a file system.
NO_IDMAP = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_SET_FLAG, _SET_STRING, _CREATE, _RECONFIGURE = 0, 1, 6, 7
_PICK_CLOEXEC, _PICK_EMPTY_PATH = 1, 8

#: Options of a file system, ``None`` for those without a value. Values have at most 255 bytes.
Options = t.Iterable[tuple[str, t.Optional[str]]]
#: The same attributes for mount(2), where the kernel has no mount_setattr(2) (before Linux 5.12).
_OLD_FLAGS = {
    READ_ONLY: 0x1, NO_SUID: 0x2, NO_DEV: 0x4, NO_EXEC: 0x8, NO_ACCESS_TIME: 0x400, STRICT_ACCESS_TIME: 0x1000000,
    NO_DIRECTORY_ACCESS_TIME: 0x800, NO_SYMLINKS: 0x100,
}  # fmt: skip
#: And as statvfs(3) shows them; access times that it does not show are kept where none are named.
_SHOWN = {
    READ_ONLY: os.ST_RDONLY, NO_SUID: os.ST_NOSUID, NO_DEV: os.ST_NODEV, NO_EXEC: os.ST_NOEXEC,
    NO_ACCESS_TIME: os.ST_NOATIME, NO_DIRECTORY_ACCESS_TIME: os.ST_NODIRATIME,
}  # fmt: skip
_MS_REMOUNT, _MS_RELATIME = 0x20, 0x200000


def new_filesystem(kind: str, options: Options, attributes: int = 0) -> int:
    """A new, detached mount of a file system.

    :param kind: ``proc``, ``tmpfs``, ``overlay``, ...
    :param options: of the file system, in this order.
    :param attributes: of the mount.
    :returns: file descriptor, closed on exec.
    :raises OSError: the kernel refused; ``ENODEV``: it does not have the file system.
    """
    with _telling(syscall(_FSOPEN, os.fsencode(kind), 1)) as context:
        _configure(context, options, _CREATE)
        return syscall(_FSMOUNT, context, 1, attributes)


def reconfigure(target: int, options: Options) -> None:
    """Change options of a file system that is mounted.

    :param target: descriptor of the mount's root.
    :raises OSError: the kernel refused.
    """
    with _telling(syscall(_FSPICK, target, b"", _PICK_CLOEXEC | _PICK_EMPTY_PATH)) as context:
        _configure(context, options, _RECONFIGURE)


def _configure(context: int, options: Options, then: int) -> None:
    for name, value in options:
        command = _SET_FLAG if value is None else _SET_STRING
        syscall(_FSCONFIG, context, command, os.fsencode(name), None if value is None else os.fsencode(value), 0)
    syscall(_FSCONFIG, context, then, None, None, 0)


@contextlib.contextmanager
def _telling(context: int) -> t.Iterator[int]:
    """A context of fsopen(2) or fspick(2), whose errors say what the kernel wrote about them; it is closed at the end.

    The first letter of each of its lines tells errors from warnings.
    """
    try:
        yield context
    except OSError as error:
        words = []
        with contextlib.suppress(OSError):
            while True:
                words.append(os.read(context, 4096).decode(errors="backslashreplace").strip()[2:])
        raise OSError(error.errno, "; ".join(words) or error.strerror) from error
    finally:
        os.close(context)


def clone_tree(path: str | int, recursive: bool = True) -> int:
    """A detached bind mount of a directory or file.

    :param path: a path, or a file descriptor.
    :param recursive: with the mounts below it.
    :returns: file descriptor, closed on exec.
    :raises OSError: there is nothing at the path.
    """
    flags = _CLONE_TREE | _CLOEXEC | (_RECURSIVE if recursive else 0)
    if isinstance(path, int):
        return syscall(_OPEN_TREE, path, b"", flags | _EMPTY_PATH)
    return syscall(_OPEN_TREE, -100, os.fsencode(path), flags)


def attach(source: int, target: int) -> None:
    """Attach a detached mount to a directory or file that is open.

    :raises OSError: the kernel refused.
    """
    syscall(_MOVE_MOUNT, source, b"", target, b"", _FROM_DESCRIPTOR | _TO_DESCRIPTOR)


def set_attributes(target: int, attributes: int, clear: int = 0, recursive: bool = False) -> None:
    """Set and clear attributes of an attached mount.

    :param target: descriptor of the mount's root.
    :param recursive: of all mounts below it, too; needs Linux 5.12.
    :raises OSError: the kernel refused.
    """
    if attributes & (NO_ACCESS_TIME | STRICT_ACCESS_TIME):
        clear |= ACCESS_TIME_MASK
    try:
        _setattr(target, struct.pack("=QQQQ", attributes, clear, 0, 0), recursive)
    except OSError as error:
        if error.errno != errno.ENOSYS or recursive:
            raise
        _remount(target, attributes, clear)


def map_ids(detached: int, user_namespace: int, recursive: bool = True) -> None:
    """Show the owners of a detached mount as a user namespace maps them (idmapped mount).

    :param user_namespace: file descriptor of the user namespace.
    :raises OSError: the kernel (5.12, file system by file system) or the file system cannot do it (``EINVAL``).
    """
    _setattr(detached, struct.pack("=QQQQ", _IDMAP, 0, 0, user_namespace), recursive)


def propagate(target: int, propagation: int, recursive: bool = True) -> None:
    """Set how mounts below one are shared with other mount namespaces: MS_PRIVATE, MS_SLAVE, MS_SHARED.

    :raises OSError: the kernel refused.
    """
    try:
        _setattr(target, struct.pack("=QQQQ", 0, 0, propagation, 0), recursive)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        mount.mount("", f"/proc/self/fd/{target}", propagation | (mount.MS_REC if recursive else 0))


def _setattr(target: int, attributes: bytes, recursive: bool) -> None:
    flags = _EMPTY_PATH | (_RECURSIVE if recursive else 0)
    syscall(_MOUNT_SETATTR, target, b"", flags, attributes, len(attributes))


def _remount(target: int, attributes: int, clear: int) -> None:
    """By mount(2), which would take away what it is not told to keep; in a user namespace it may not even do that."""
    present = os.fstatvfs(target).f_flag
    kept = sum(attribute for attribute, shown in _SHOWN.items() if present & shown)
    wanted = kept & ~clear | attributes
    flags = _MS_REMOUNT | mount.MS_BIND | sum(flag for attribute, flag in _OLD_FLAGS.items() if wanted & attribute)
    if clear & ACCESS_TIME_MASK and not wanted & ACCESS_TIME_MASK:
        flags |= _MS_RELATIME
    mount.mount("", f"/proc/self/fd/{target}", flags)


def pivot_root(root: int) -> None:
    """Make an attached mount the root of the mount namespace, and take the old one away (pivot_root(2), "." twice).

    :param root: descriptor of the mount's root.
    :raises OSError: the kernel refused.
    """
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(root)
    syscall(number("pivot_root"), b".", b".")
    # The old root is on top of the new one; private first, so that nothing propagates to the host.
    os.fchdir(old)
    call("mount", b"", b".", None, ctypes.c_ulong(mount.MS_PRIVATE | mount.MS_REC), None)
    call("umount2", b".", mount.MNT_DETACH)
    os.close(old)
    os.chdir("/")
