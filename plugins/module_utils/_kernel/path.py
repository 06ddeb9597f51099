# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths inside a root that somebody else fills: openat2(2), so that no link leads out of it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct

from .syscall import syscall

_OPENAT2 = 437
_NO_MOUNTS, _NO_MAGIC_LINKS, _NO_SYMLINKS, _IN_ROOT = 0x01, 0x02, 0x04, 0x10

#: Largest file that is read out of a root, bytes.
LARGEST = 1 << 20


def open_in(root: int, path: str, flags: int, mode: int = 0, follow: bool = True, cross: bool = True) -> int:
    """Open a path as a process would whose root directory is ``root``.

    :param root: descriptor of the directory.
    :param path: absolute or relative to it.
    :param mode: of a file that ``flags`` create.
    :param follow: whether symbolic links on the way are followed (inside the root); magic links never are.
    :param cross: whether the way may lead into what is mounted below the root.
    :returns: file descriptor, closed on exec.
    :raises OSError: ``ENOENT``, ``ELOOP`` for a link that may not be followed, ``EXDEV`` for such a mount, and others.
    """
    resolve = _IN_ROOT | _NO_MAGIC_LINKS | (0 if follow else _NO_SYMLINKS) | (0 if cross else _NO_MOUNTS)
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    words = os.fsencode(path.lstrip("/") or ".")
    while True:
        try:
            return syscall(_OPENAT2, root, words, how, len(how))
        except OSError as error:
            if error.errno != errno.EAGAIN:  # a rename somewhere on the system while ".." was resolved
                raise OSError(error.errno, error.strerror, path) from None


def make_directory(root: int, path: str, mode: int = 0o755) -> int:
    """Open a directory, and make what is missing on the way.

    :returns: descriptor (O_PATH), closed on exec.
    :raises OSError: something on the way is no directory.
    """
    missing = []
    parts = [part for part in path.split("/") if part not in ("", ".")]
    while True:
        try:
            here = open_in(root, "/".join(parts), os.O_PATH | os.O_DIRECTORY)
            break
        except FileNotFoundError:
            missing.append(parts.pop())
    for name in reversed(missing):
        with contextlib.suppress(FileExistsError):  # a dangling link, or somebody was faster
            os.mkdir(name, mode, dir_fd=here)
        parts.append(name)
        os.close(here)
        here = open_in(root, "/".join(parts), os.O_PATH | os.O_DIRECTORY)
    return here


def plain_directory(root: int, path: str) -> int:
    """Open a directory that no link may lead to, and make what is missing on the way.

    :returns: descriptor (O_PATH), closed on exec.
    :raises OSError: ``ELOOP``: a part of the path is a link; ``ENOTDIR``: something on the way is no directory.
    """
    flags = os.O_PATH | os.O_DIRECTORY
    try:
        return open_in(root, path, flags, follow=False)
    except FileNotFoundError:
        os.close(make_directory(root, path))
        return open_in(root, path, flags, follow=False)


def make_file(root: int, path: str) -> int:
    """Open a file that something is to be mounted on, and make it, empty, if it is missing.

    :returns: descriptor (O_PATH), closed on exec.
    :raises OSError: there is no such place.
    """
    try:
        return open_in(root, path, os.O_PATH)
    except FileNotFoundError:
        pass
    os.close(make_directory(root, os.path.dirname(path)))
    # Not to wait for the other end, in case that somebody made a fifo there meanwhile.
    os.close(open_in(root, path, os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY, 0o644))
    return open_in(root, path, os.O_PATH)


def read_file(root: int, path: str) -> str | None:
    """The text of a small regular file in the root; ``None`` if there is none.

    What is there may have been put there to hurt: a fifo never blocks, a device is never read, a giant is cut off.

    :raises OSError: it is too large (``EFBIG``), or no regular file (``EINVAL``).
    """
    try:
        fd = open_in(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return text_of(fd, path)


def text_of(fd: int, path: str) -> str:
    """The text of a small regular file that is open, and closed then.

    :param path: what it is called.
    :raises OSError: it is too large (``EFBIG``), or no regular file (``EINVAL``).
    """
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "expected a regular file", path)
        with open(fd, "rb", closefd=False) as file:
            data = file.read(LARGEST + 1)
    finally:
        os.close(fd)
    if len(data) > LARGEST:
        raise OSError(errno.EFBIG, f"expected a file of at most {LARGEST} bytes", path)
    return data.decode("utf-8", "surrogateescape")


def find_in(root: int, pattern: str) -> str | None:
    """The first path in the root that there is and that matches a pattern of a shell (glob(7)); ``None`` for none.

    :param pattern: absolute or relative to the root. A link is there if what it leads to is.
    """
    return _find(root, "", [part for part in pattern.split("/") if part not in ("", ".")])


def _find(root: int, here: str, parts: list[str]) -> str | None:
    for number, part in enumerate(parts):
        if any(character in part for character in "*?["):
            names = _matching(root, here, part)
            found = (_find(root, f"{here}/{name}", parts[number + 1 :]) for name in names)
            return next((path for path in found if path is not None), None)
        here = f"{here}/{part}"
    try:
        os.close(open_in(root, here, os.O_PATH))
    except OSError:
        return None
    return here or "/"


def _matching(root: int, folder: str, pattern: str) -> list[str]:
    """Sorted names in a directory that match; those that begin with a dot only if the pattern does."""
    import fnmatch

    try:
        fd = open_in(root, folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        names = fnmatch.filter(os.listdir(fd), pattern)
    finally:
        os.close(fd)
    return sorted(name for name in names if not name.startswith(".") or pattern.startswith("."))
