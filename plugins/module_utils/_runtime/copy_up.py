# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a directory: of one that a mount is about to cover (``tmpcopyup`` of the runtime-spec), or of an image.

Both directories are somebody else's: whatever is opened was looked at before by a descriptor that no link led to
(O_PATH, openat2(2)), so neither a fifo nor a device is ever opened, and nothing outside is read or written.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from .._kernel.path import open_in

_PIECE: t.Final = 1 << 20
#: Gives a copy what it is beside its content: what the original is, a descriptor of it, name and directory of the copy.
Adopt = t.Callable[[os.stat_result, int, str, int], None]


def finish(
    info: os.stat_result, name: str, folder: int, owners: tuple[int, int], attributes: t.Mapping[str, bytes]
) -> None:
    """Give a copy owners, extended attributes, mode and times.

    In this order: a change of the owner takes set-user-id and file capabilities away (chown(2)), and the mode is part
    of an access control list.

    :param info: what the original is.
    :param name: of the copy.
    :param folder: descriptor of its directory.
    """
    os.chown(name, *owners, dir_fd=folder, follow_symlinks=False)
    for key, value in attributes.items():
        os.setxattr(f"/proc/self/fd/{folder}/{name}", key, value, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=folder)
    os.utime(name, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=folder, follow_symlinks=False)


def _adopt(info: os.stat_result, _found: int, name: str, folder: int) -> None:
    finish(info, name, folder, (info.st_uid, info.st_gid), {})


def copy_up(source: int, target: int, adopt: Adopt = _adopt) -> None:
    """Copy all that is in a directory into an empty one, with links and holes.

    :param source: descriptor of the directory (O_PATH).
    :param target: descriptor of the directory that the copy is put into, which nobody else can reach.
    :param adopt: gives each copy, directories and the target last, what it is beside its content; owner, mode and times
        of the original if nothing else is said.
    :raises OSError: there is no room for it, or it is nested deeper than a path can be long.
    """
    copy = _Copy(target, adopt)
    folders = [""]
    for folder in folders:  # which grows on the way
        here, there = _open_both(source, target, folder)
        folders.extend(f"{folder}/{name}" for name in os.listdir(here) if copy.take(name, here, there, folder))
        os.close(here)
        os.close(there)
    for folder in reversed(folders):  # what is written into a directory changes its times
        here, there = _open_both(source, target, folder)
        adopt(os.fstat(here), here, ".", there)
        os.close(here)
        os.close(there)


def _open_both(source: int, target: int, folder: str) -> tuple[int, int]:
    flags = os.O_RDONLY | os.O_DIRECTORY
    return open_in(source, folder, flags, follow=False), open_in(target, folder, flags, follow=False)


class _Copy:
    """A copy that is being made.

    :param target: descriptor of its top.
    :param adopt: see :func:`copy_up`.
    """

    def __init__(self, target: int, adopt: Adopt) -> None:
        self.target = target
        self.adopt = adopt
        #: Where files that have several names are in the copy, by what they are in the original.
        self.links: dict[tuple[int, int], str] = {}

    def take(self, name: str, here: int, there: int, folder: str) -> bool:
        """Copy one entry of a directory.

        :param here: descriptor of the directory.
        :param there: descriptor of its copy.
        :param folder: path of both.
        :returns: whether it is a directory.
        """
        try:
            found = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        except FileNotFoundError:  # it went away meanwhile
            return False
        info = os.fstat(found)
        first = self.links.get((info.st_dev, info.st_ino))
        if stat.S_ISDIR(info.st_mode):
            os.mkdir(name, 0o700, dir_fd=there)
        elif first is not None:
            os.link(first, name, src_dir_fd=self.target, dst_dir_fd=there, follow_symlinks=False)
        else:
            _make(name, found, info, there)
            self.adopt(info, found, name, there)
            if info.st_nlink > 1:
                self.links[info.st_dev, info.st_ino] = f"{folder}/{name}".lstrip("/")
        os.close(found)
        return stat.S_ISDIR(info.st_mode)


def _make(name: str, found: int, info: os.stat_result, there: int) -> None:
    """Make the copy of what a descriptor shows, unless it is a directory."""
    kind = stat.S_IFMT(info.st_mode)
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink("", dir_fd=found), name, dir_fd=there)
    else:
        os.mknod(name, kind | 0o600, info.st_rdev, dir_fd=there)
    if kind == stat.S_IFREG:
        reading = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC)
        writing = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=there)
        os.ftruncate(writing, info.st_size)
        _fill(reading, writing, info.st_size)
        os.close(reading)
        os.close(writing)


def _fill(reading: int, writing: int, size: int) -> None:
    """Copy the content of a regular file; holes stay holes."""
    place = 0
    while place < size:
        try:
            place = os.lseek(reading, place, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole
                return
            raise
        piece = os.pread(reading, min(_PIECE, os.lseek(reading, place, os.SEEK_HOLE) - place, size - place), place)
        if not piece:  # it became shorter meanwhile
            return
        place += os.pwrite(writing, piece, place)
