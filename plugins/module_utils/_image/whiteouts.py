# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whiteouts of layers (image-spec, layer.md): what a layer removes of those below it.

They never concern what comes with the same layer, in whatever order the entries are.
"""

from __future__ import annotations

import os
import stat
import typing as t

from .._kernel import files
from .._kernel.path import open_in
from .errors import ImageError
from .folders import Folder, Folders

PREFIX: t.Final = ".wh."
OPAQUE: t.Final = ".wh..wh..opq"
#: What a directory of a layer of overlayfs has whose namesakes below are not to be seen, and its value.
OVERLAY_OPAQUE: t.Final = ("trusted.overlay.opaque", b"y")
#: What stands in a layer of overlayfs for what is not to be seen below it: a character device.
OVERLAY_WHITEOUT: t.Final = os.makedev(0, 0)


def _is_whiteout(path: str) -> bool:
    """Whether an entry of a layer is a whiteout.

    :param path: in the layer.
    :raises ImageError: its name is kept for whiteouts, and it is none.
    """
    if PREFIX not in path:
        return False
    *above, name = path.split("/")
    if any(part.startswith(PREFIX) for part in above):
        raise ImageError(path, f"expected no directory whose name begins with {PREFIX!r}: that is for whiteouts")
    if not name.startswith(PREFIX) or name == OPAQUE:
        return name == OPAQUE
    if name[len(PREFIX) :] in ("", ".", "..") or name.startswith(PREFIX, len(PREFIX)):
        raise ImageError(path, f"expected a whiteout of something in its directory: {PREFIX}NAME, or {OPAQUE}")
    return True


class Plain:
    """There are no whiteouts."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        #: The root is opaque.
        self.opaque = False

    def take(self, path: str) -> bool:
        """Whether an entry is a whiteout, which is heeded then.

        :raises ImageError: it should be one, and is none.
        """
        del path
        return False

    def made(self, folder: Folder, name: str) -> None:
        """The layer itself has this."""

    def finish(self) -> None:
        """All entries were there."""


class Kept(Plain):
    """The layer is unpacked alone, and its whiteouts become those of overlayfs.

    They are made when all else is there, since a directory that is removed and made anew is one that is opaque.
    """

    def __init__(self, folders: Folders) -> None:
        super().__init__(folders)
        self._paths: list[str] = []

    def take(self, path: str) -> bool:
        """Whether an entry is a whiteout, which is heeded in the end."""
        if not _is_whiteout(path):
            return False
        self._paths.append(path)
        self.opaque = self.opaque or path == OPAQUE
        return True

    def finish(self) -> None:
        """Make them."""
        for path in self._paths:
            above, _slash, name = path.rpartition("/")
            folder = self._folders.open(above)
            if name == OPAQUE:
                os.setxattr(f"/proc/self/fd/{folder.fd}", *OVERLAY_OPAQUE)
            else:
                _hide(folder, name[len(PREFIX) :])


def _hide(folder: Folder, name: str) -> None:
    """Hide what is below a layer under a name; a file of the layer does so by itself."""
    try:
        os.mknod(name, stat.S_IFCHR, OVERLAY_WHITEOUT, dir_fd=folder.fd)
    except FileExistsError:
        if stat.S_ISDIR(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode):
            os.setxattr(f"/proc/self/fd/{folder.fd}/{name}", *OVERLAY_OPAQUE, follow_symlinks=False)
    else:
        os.utime(name, ns=(0, 0), dir_fd=folder.fd, follow_symlinks=False)


class Applied(Plain):
    """The layer is unpacked into the tree of those below it, and its whiteouts remove what they left there."""

    def __init__(self, folders: Folders) -> None:
        super().__init__(folders)
        #: Names that this layer made, by the inode of their directory; directories above them are in it, too.
        self._names: dict[int, set[str]] = {os.fstat(folders.root).st_ino: set()}

    def made(self, folder: Folder, name: str) -> None:
        """The layer itself has this."""
        names = self._names.get(folder.inode)
        if names is None:
            names = self._enter(folder)
        names.add(name)

    def _enter(self, folder: Folder) -> set[str]:
        """Something of the layer is in this directory, and so in those above it."""
        names = self._names[folder.inode] = set()
        fd = os.open("..", os.O_PATH | os.O_DIRECTORY, dir_fd=folder.fd)
        while (inode := os.fstat(fd).st_ino) not in self._names:
            self._names[inode] = set()
            above = os.open("..", os.O_PATH | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = above
        os.close(fd)
        return names

    def take(self, path: str) -> bool:
        """Whether an entry is a whiteout, which is heeded then."""
        if not _is_whiteout(path):
            return False
        self.opaque = self.opaque or path == OPAQUE
        self._heed(path)
        return True

    def _heed(self, path: str) -> None:
        above, _slash, name = path.rpartition("/")
        folder = self._folders.existing(above)
        if folder is None:
            return
        if name == OPAQUE:
            self._clear(above)
        elif self._remove(folder.fd, name[len(PREFIX) :], self._names.get(folder.inode, set())):
            self._clear(f"{above}/{name[len(PREFIX) :]}")
        self._folders.forget()

    def _remove(self, folder: int, name: str, ours: t.Collection[str]) -> bool:
        """Remove something unless it is of this layer.

        :param ours: names in the directory that this layer made.
        :returns: whether it is a directory that must stay, and whose content may have to go.
        """
        try:
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if stat.S_ISDIR(info.st_mode):
            if name in ours or info.st_ino in self._names:
                return True
            files.remove_tree(name, folder)
        elif name not in ours:
            os.unlink(name, dir_fd=folder)
        return False

    def _clear(self, top: str) -> None:
        """Remove what is below a directory and is not of this layer."""
        paths = [top]
        for path in paths:  # which grows on the way
            fd = open_in(self._folders.root, path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._folders.remember(path, fd)
                ours = self._names.get(os.fstat(fd).st_ino, set())
                paths += [f"{path}/{name}" for name in os.listdir(fd) if self._remove(fd, name, ours)]
            finally:
                os.close(fd)
