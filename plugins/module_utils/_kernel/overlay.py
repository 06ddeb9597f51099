# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that lie over each other as overlayfs shows them (kernel document filesystems/overlayfs).

Mounted, by whatever this kernel takes many layers by; and read without a mount, for whoever only has to look something
up. What a higher layer takes away is a device 0/0 there; what it replaces as a whole is a directory that says so.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from . import mount, mount_api
from .path import text_of
from .syscall import call

if t.TYPE_CHECKING:
    from types import TracebackType

#: Largest value that fsconfig(2) takes, and largest text that mount(2) takes, bytes.
_VALUE, _PAGE = 255, 4095
_MOST_LINKS = 40
_OPAQUE = ("trusted.overlay.opaque", b"y")
#: What says that a kernel, or a file system, cannot do what overlayfs needs.
_CANNOT = (errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def merged(lower: t.Sequence[str], place: str, options: t.Sequence[tuple[str, str]] = ()) -> int:
    """A new, detached mount of overlayfs.

    :param lower: directories, the highest first; no path holds a comma, a colon or a backslash.
    :param place: an empty directory in which a kernel before 6.5 mounts many layers, in the caller's mount namespace.
    :param options: those beside the lower directories.
    :returns: file descriptor, closed on exec.
    :raises OSError: the kernel refused; ``E2BIG``: it does not take so many layers.
    """
    whole = ":".join(lower)
    if len(whole) <= _VALUE:
        return mount_api.new_filesystem("overlay", [("lowerdir", whole), *options])
    try:
        return mount_api.new_filesystem("overlay", [*(("lowerdir+", path) for path in lower), *options])
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return _mounted_at(place, ",".join(f"{name}={value}" for name, value in (("lowerdir", whole), *options)))


def _mounted_at(place: str, options: str) -> int:
    if len(options) > _PAGE:
        raise OSError(errno.E2BIG, "this kernel does not take so many layers")
    call("mount", b"overlay", os.fsencode(place), b"overlay", 0, os.fsencode(options))
    try:
        return mount_api.clone_tree(place, recursive=False)
    finally:
        mount.detach(place)


def objection(folder: str) -> str:
    """Why overlayfs cannot be used for what is in a directory; empty if it can.

    It is tried out: with what hides a file, with what hides a directory, and with a mount that is never attached.

    :param folder: an empty directory, which whoever calls throws away.
    :raises OSError: it cannot be tried out.
    """
    lower, upper, work, place = (os.path.join(folder, name) for name in ("lower", "upper", "work", "place"))
    for path in (lower, upper, work, place):
        os.mkdir(path)
    try:
        os.mknod(os.path.join(lower, "gone"), stat.S_IFCHR, os.makedev(0, 0))
        os.setxattr(lower, *_OPAQUE)
        os.close(merged([lower], place, [("upperdir", upper), ("workdir", work)]))
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return error.strerror or str(error)
    return ""


class Layers:
    """Directories that lie over each other, to be read.

    :param paths: the directories, the highest first. They are open within a ``with``.
    :raises OSError: one is not there.
    """

    def __init__(self, paths: t.Iterable[str]) -> None:
        self._paths = paths
        self._opened: list[int] = []
        #: Directories on the way, each of them one in every layer that has it.
        self._way: list[list[int]] = []

    def __enter__(self) -> Layers:
        try:
            self._way = [[self._keep(os.open(path, _FOLDER & ~os.O_NOFOLLOW)) for path in self._paths]]
        except OSError:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._close()

    def _keep(self, fd: int) -> int:
        self._opened.append(fd)
        return fd

    def _close(self) -> None:
        while self._opened:
            os.close(self._opened.pop())

    def read_file(self, path: str) -> str | None:
        """The text of a small regular file; ``None`` if there is none (:func:`.path.read_file`).

        :raises OSError: it is too large (``EFBIG``), or no regular file (``EINVAL``).
        """
        try:
            fd = self.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return text_of(fd, path)

    def read_link(self, path: str) -> str:
        """Where a link leads, empty if there is none at the path."""
        above, _slash, name = path.rpartition("/")
        try:
            os.close(self.open(above or "/", os.O_PATH))
            place, kind = self._step(name)
        except OSError:
            return ""
        return os.readlink(name, dir_fd=place) if kind == stat.S_IFLNK else ""

    def open(self, path: str, flags: int) -> int:
        """Open a path as a process would whose root directory this is. Links never lead out of it.

        :param path: absolute, or relative to the root.
        :returns: file descriptor, closed on exec.
        :raises OSError: ``ENOENT``, ``ENOTDIR``, ``ELOOP`` and others.
        """
        del self._way[1:]
        left, links = path.split("/")[::-1], 0
        while left:
            name = left.pop()
            if name == "..":
                del self._way[max(1, len(self._way) - 1) :]
            if name in ("", ".", ".."):
                continue
            place, kind = self._step(name)
            if kind == stat.S_IFLNK:
                links += 1
                target = os.readlink(name, dir_fd=place)
                if target.startswith("/"):
                    del self._way[1:]
                left += target.split("/")[::-1]
            elif kind != stat.S_IFDIR:
                return self._open_last(place, name, flags, path, left)
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return os.open(f"/proc/self/fd/{self._way[-1][0]}", flags | os.O_DIRECTORY | os.O_CLOEXEC)

    @staticmethod
    def _open_last(place: int, name: str, flags: int, path: str, left: t.Sequence[str]) -> int:
        if any(left):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)

    def _step(self, name: str) -> tuple[int, int]:
        """Look for a name in the directory that was reached; one that is a directory is reached then.

        :returns: descriptor of the directory that has it, and its type.
        :raises FileNotFoundError: no layer has it, or a higher one took it away.
        """
        found: list[int] = []
        for place in self._way[-1]:
            try:
                info = os.stat(name, dir_fd=place, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(info.st_mode):
                if found or (stat.S_ISCHR(info.st_mode) and info.st_rdev == 0):
                    break
                return place, stat.S_IFMT(info.st_mode)
            found.append(self._keep(os.open(name, _FOLDER, dir_fd=place)))
            if _replaces(found[-1]):
                break
        if not found:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        self._way.append(found)
        return found[0], stat.S_IFDIR


def _replaces(folder: int) -> bool:
    """Whether a directory hides all that lower layers have at its place."""
    try:
        return os.getxattr(folder, _OPAQUE[0]) == _OPAQUE[1]
    except OSError:
        return False
