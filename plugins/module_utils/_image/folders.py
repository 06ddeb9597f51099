# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of a tree that is being filled: found without leaving it, kept open, and given their times in the end."""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from .._kernel.path import open_in
from .errors import ImageError

#: How many directories are kept open. Entries of one directory mostly come one after the other.
_KEPT: t.Final = 32
#: As many links as the kernel follows (path_resolution(7)).
_MOST_LINKS: t.Final = 40
#: How the kernel says that a path leads to something that is no directory, or in a circle.
_NO_DIRECTORY: t.Final = (errno.ENOTDIR, errno.ELOOP)
#: Mode of a directory that is needed and that no entry describes, as of umoci and containerd.
_MODE: t.Final = 0o755

Times = tuple[int, int]  #: of access and of change, nanoseconds


class Folder(t.NamedTuple):
    """A directory of the tree."""

    fd: int  #: O_PATH
    inode: int


def place(root: int, fd: int) -> str:
    """The path of a directory without links, from the top, which is ``.``.

    :param root: descriptor of the tree's top.
    :param fd: descriptor of the directory.
    """
    return os.path.relpath(*(os.readlink(f"/proc/self/fd/{each}") for each in (fd, root)))


class Folders:
    """The directories of a tree.

    Whatever path is asked for is resolved by openat2(2) with ``RESOLVE_IN_ROOT``: links that earlier entries or layers
    made are followed as a process would whose root the tree is, and none leads out of it.

    :param root: descriptor of the tree's top, on one file system with all that is in it.
    :param owner: of directories that are needed and that no entry describes.
    """

    def __init__(self, root: int, owner: tuple[int, int]) -> None:
        self.root = root
        self._owner = owner
        self._open: dict[str, Folder] = {}
        #: Paths of directories, and the times that they are to have in the end, by inode.
        self._times: dict[int, tuple[str, Times]] = {}
        #: Those that had to be made and that no entry described, by inode.
        self._implied: set[int] = set()

    def open(self, path: str) -> Folder:
        """A directory, which is made if it is missing.

        :param path: relative to the top, without ``..``; empty for the top.
        :returns: it stays open until :meth:`forget`, or until many others were opened.
        :raises ImageError: something on the way is no directory.
        """
        return self._open.get(path) or self.existing(path) or self._keep(path, self._make(path, _MOST_LINKS))

    def existing(self, path: str) -> Folder | None:
        """A directory as :meth:`open` returns it; ``None`` if it is not there."""
        found = self._open.get(path)
        if found is None:
            found = self.find(path)
            if found is not None:
                self._keep(path, found)
        return found

    def find(self, path: str) -> Folder | None:
        """A directory that is opened anew and belongs to the caller; ``None`` if it is not there.

        :raises ImageError: something on the way is no directory.
        """
        try:
            return self._find(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in _NO_DIRECTORY:
                raise ImageError(path, "it is needed as a directory, and is none") from None
            raise

    def _find(self, path: str) -> Folder:
        fd = open_in(self.root, path, os.O_PATH | os.O_DIRECTORY)
        return Folder(fd, os.fstat(fd).st_ino)

    def forget(self) -> None:
        """Close what is open: a directory or a link was removed, and paths may lead elsewhere now."""
        for folder in self._open.values():
            os.close(folder.fd)
        self._open.clear()

    def described(self, path: str, inode: int, times: Times) -> None:
        """An entry described this directory."""
        self._times[inode] = path, times
        self._implied.discard(inode)

    def finish(self) -> tuple[str, ...]:
        """Give directories their times: those that an entry tells, or those of before.

        :returns: paths of directories that no entry described.
        """
        implied = []
        for inode, (path, times) in self._times.items():
            try:
                folder = self._find(path)
            except OSError as error:
                if error.errno in (errno.ENOENT, *_NO_DIRECTORY):  # something else has taken its place
                    continue
                raise
            if folder.inode == inode:
                os.utime(f"/proc/self/fd/{folder.fd}", ns=times)
                implied += [place(self.root, folder.fd)] if inode in self._implied else []
            os.close(folder.fd)
        return tuple(sorted(implied))

    def remember(self, path: str, fd: int) -> None:
        """A directory is about to change: it gets its times back in the end, unless an entry tells others."""
        info = os.fstat(fd)
        self._times.setdefault(info.st_ino, (path, (info.st_atime_ns, info.st_mtime_ns)))

    def _keep(self, path: str, folder: Folder) -> Folder:
        if len(self._open) >= _KEPT:
            oldest = next(iter(self._open))
            os.close(self._open.pop(oldest).fd)
        self._open[path] = folder
        self.remember(path, folder.fd)
        return folder

    def _make(self, path: str, links: int) -> Folder:
        """Make a directory and what is missing above it."""
        above, _slash, name = path.rpartition("/")
        folder = self.find(above) or self._make(above, links)
        try:
            self._make_in(folder, name, path, links)
        finally:
            os.close(folder.fd)
        found = self.find(path)
        if found is None:
            raise ImageError(path, "it is needed as a directory, and cannot be made")
        return found

    def _make_in(self, folder: Folder, name: str, path: str, links: int) -> None:
        self.remember(os.path.dirname(path), folder.fd)
        try:
            os.mkdir(name, dir_fd=folder.fd)
        except FileExistsError:
            if stat.S_ISLNK(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode):
                self._make_target(folder, name, path, links)
            return
        os.chown(name, *self._owner, dir_fd=folder.fd, follow_symlinks=False)
        os.chmod(name, _MODE, dir_fd=folder.fd)  # whatever the umask is
        inode = os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_ino
        self._implied.add(inode)
        self._times[inode] = path, (0, 0)  # not the time of now: a layer makes the same tree every time

    def _make_target(self, folder: Folder, name: str, path: str, links: int) -> None:
        """Make the directory that a dangling link leads to, as umoci does: ``/run`` may come after ``var/run``."""
        if not links:
            raise ImageError(path, "it is needed as a directory, and is a link in a circle")
        target = os.readlink(name, dir_fd=folder.fd)
        whole = target if target.startswith("/") else f"{os.path.dirname(path)}/{target}"
        plain = "/".join(part for part in whole.split("/") if part not in ("", "."))
        os.close((self.find(plain) or self._make(plain, links - 1)).fd)
