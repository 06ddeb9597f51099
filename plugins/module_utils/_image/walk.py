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
from .entries import CHUNK, HARD_LINK, Entry
from .errors import ImageError
from .xattrs import carried_of

_DIRECTORY: t.Final = os.O_RDONLY | os.O_DIRECTORY
#: Whatever somebody put there meanwhile, nothing waits for it.
_FILE: t.Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

Owner = t.Callable[[int, int], "tuple[int, int]"]


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


def walk(tree: int, closed: t.Collection[str] = ()) -> t.Iterator[Node]:
    """Every file of a tree, by name, with what is in a directory right after it.

    One directory is open at a time: a tree may be deeper than a process may have descriptors.

    :param tree: descriptor of its top.
    :param closed: paths of directories that are not gone into.
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
                if node.kind == stat.S_IFDIR and node.path not in closed:
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


class Describer:
    """Says of the files of a tree what an archive would say of them.

    :param owner: user and group that they are to have, of those in the tree.
    """

    def __init__(self, owner: Owner | None = None) -> None:
        self._owner = owner or _same
        #: First names of files that have several.
        self._first: dict[tuple[int, int], str] = {}

    def entry(self, node: Node) -> Entry:
        """One file, whose later names are hard links to its first one."""
        info = node.info
        first = self._other_name(node)
        kind = node.kind if first is None else HARD_LINK
        uid, gid = self._owner(info.st_uid, info.st_gid)
        return Entry(
            name=f"{node.path or '.'}/" if kind == stat.S_IFDIR else node.path,
            kind=kind,
            mode=stat.S_IMODE(info.st_mode),
            uid=uid,
            gid=gid,
            size=info.st_size if kind == stat.S_IFREG else 0,
            mtime=info.st_mtime_ns,
            link=os.readlink(node.name, dir_fd=node.folder) if kind == stat.S_IFLNK else first or "",
            device=info.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
            xattrs={} if kind == HARD_LINK else carried_of(node.place),
        )

    def _other_name(self, node: Node) -> str | None:
        if node.info.st_nlink < 2 or node.kind == stat.S_IFDIR:
            return None
        first = self._first.setdefault((node.info.st_dev, node.info.st_ino), node.path)
        return None if first == node.path else first


def _same(uid: int, gid: int) -> tuple[int, int]:
    return uid, gid


def content(node: Node, size: int) -> t.Iterator[bytes]:
    """The content of a regular file.

    :param size: how long it is, bytes.
    :raises ImageError: it became shorter.
    """
    fd = os.open(node.name, _FILE, dir_fd=node.folder)
    try:
        for place in range(0, size, CHUNK):
            wanted = min(size - place, CHUNK)
            piece = os.pread(fd, wanted, place)
            if len(piece) < wanted:
                raise ImageError(node.path, "it became shorter while it was read")
            yield piece
    finally:
        os.close(fd)
