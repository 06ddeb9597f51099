# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All files of a tree that somebody else may have filled, found by descriptors, always in the same order."""

from __future__ import annotations

import os
import stat
import typing as t

from .._kernel.path import open_in

_DIRECTORY: t.Final = os.O_RDONLY | os.O_DIRECTORY


class Node(t.NamedTuple):
    """One file of a tree."""

    path: str  #: from the top of the tree; empty for the top itself
    folder: int  #: descriptor of its directory
    name: str  #: in its directory
    info: os.stat_result

    @property
    def kind(self) -> int:
        """``stat.S_IFREG`` and so on."""
        return stat.S_IFMT(self.info.st_mode)

    @property
    def place(self) -> str:
        """A path whose last part is the only one that could be a link; for what takes no descriptor."""
        return f"/proc/self/fd/{self.folder}/{self.name}"


def walk(tree: int) -> t.Iterator[Node]:
    """Every file of a tree, by name, with what is in a directory right after it.

    One directory is open at a time: a tree may be deeper than a process may have descriptors.

    :param tree: descriptor of its top.
    :returns: each while its directory is open.
    :raises OSError: the tree changes at the same time, or is nested deeper than a path can be long.
    """
    yield Node("", tree, ".", os.fstat(tree))
    pending = [_Folder(tree, "")]
    while pending:
        folder = pending[-1]
        try:
            for node in folder.rest():
                yield node
                if node.kind == stat.S_IFDIR:
                    pending.append(_Folder(tree, node.path))
                    break
            else:
                pending.pop()
        finally:
            folder.close()


class _Folder:
    """A directory whose files are gone through, which is closed and opened again in between.

    :param path: from the top of the tree.
    """

    def __init__(self, tree: int, path: str) -> None:
        self._tree = tree
        self._path = path
        self._fd = -1
        self._names: t.Iterator[str] | None = None

    def rest(self) -> t.Iterator[Node]:
        """The files that were not gone through."""
        self._fd = open_in(self._tree, self._path, _DIRECTORY, follow=False)
        if self._names is None:
            self._names = iter(sorted(os.listdir(self._fd), key=os.fsencode))
        for name in self._names:
            info = os.stat(name, dir_fd=self._fd, follow_symlinks=False)
            yield Node(f"{self._path}/{name}" if self._path else name, self._fd, name, info)

    def close(self) -> None:
        """Close it until the next one of the rest is asked for."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Names:
    """The first names of files that have several."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], str] = {}

    def first(self, node: Node) -> str | None:
        """The name that a file was met by before, if it was."""
        if node.info.st_nlink < 2 or node.kind == stat.S_IFDIR:
            return None
        first = self._first.setdefault((node.info.st_dev, node.info.st_ino), node.path)
        return None if first == node.path else first
