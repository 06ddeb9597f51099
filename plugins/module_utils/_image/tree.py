# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree is, told so that it can be kept and compared: whether somebody changed it, what, and back again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import typing as t

from .._kernel import files
from .._kernel.path import open_in
from .entries import Entry
from .walk import Describer, Node, content, walk

_DIRECTORY: t.Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: What is compared of a file, as people say it; ``content`` where it was read.
_ASPECTS: t.Final = {
    "kind": "type", "mode": "mode", "uid": "owner", "gid": "group", "size": "size", "mtime": "time of change",
    "link": "link", "device": "device", "xattrs": "extended attributes",
}  # fmt: skip
#: A file that is only on one side.
_MISSING, _ADDED = ("missing",), ("added",)


class Seen(t.NamedTuple):
    """One file of a tree."""

    entry: Entry  #: as :func:`pack.pack` writes it
    content: str  #: digest of a regular file, where it was read


class Difference(t.NamedTuple):
    """One path that is not as it was."""

    path: str  #: from the top of the tree; ``.`` for the top itself
    what: tuple[str, ...]  #: what is not; ``missing`` or ``added`` for a file that is only on one side


Tree = t.Mapping[str, Seen]


def ordered(tree: Tree) -> dict[str, Seen]:
    """A tree in the order of :func:`look`."""
    return dict(sorted(tree.items(), key=lambda item: [] if item[0] == "." else os.fsencode(item[0]).split(b"/")))


def look(tree: int, read: bool, exclude: t.Collection[str] = (), closed: t.Collection[str] = ()) -> dict[str, Seen]:
    """All files of a tree, by path.

    :param tree: descriptor of its top.
    :param read: whether the content of files is read, too.
    :param exclude: paths that are not looked at, with all that is below them.
    :param closed: paths of directories that are looked at without what is in them.
    :raises OSError: the tree changes at the same time.
    """
    describer = Describer()
    nodes = (node for node in walk(tree, {*exclude, *closed}) if node.path not in exclude)
    return {node.path or ".": _seen(describer, node, read) for node in nodes}


def look_at(tree: int, paths: t.Iterable[str]) -> dict[str, Seen]:
    """Some files of a tree that have no other names, with their content; those that are not there are left out.

    :param paths: without links on their way.
    :raises OSError: the tree changes at the same time.
    """
    describer = Describer()
    found = {}
    for path in paths:
        above, name = os.path.split("" if path == "." else path)
        with contextlib.suppress(FileNotFoundError):
            folder = open_in(tree, above, _DIRECTORY, follow=False)
            try:
                info = os.stat(name or ".", dir_fd=folder, follow_symlinks=False)
                found[path] = _seen(describer, Node("" if path == "." else path, folder, name or ".", info), True)
            finally:
                os.close(folder)
    return found


def _seen(describer: Describer, node: Node, read: bool) -> Seen:
    entry = describer.entry(node)
    return Seen(entry, _digest(node, entry.size) if read and entry.kind == stat.S_IFREG else "")


def _digest(node: Node, size: int) -> str:
    found = hashlib.sha256()
    for piece in content(node, size):
        found.update(piece)
    return found.hexdigest()


def dump(tree: Tree) -> str:
    """A tree as text, one line a file, the same for the same tree."""
    import json

    lines = []
    for path, (entry, digest) in tree.items():
        attributes = {key: value.hex() for key, value in entry.xattrs.items()}
        lines.append(json.dumps([path, *entry[:-1], attributes, digest], separators=(",", ":")))
    return "\n".join(lines)


def load(text: str) -> dict[str, Seen]:
    """A tree from its text.

    :raises ValueError: it is none.
    """
    import json

    found = {}
    for path, *fields, attributes, digest in map(json.loads, text.splitlines()):
        xattrs = {key: bytes.fromhex(value) for key, value in attributes.items()}
        found[path] = Seen(Entry._make((*fields, xattrs)), digest)
    return found


def digest(tree: int, content: bool) -> str:
    """Digest of a tree, ``sha256:...``, which another host finds for the same tree.

    :param tree: descriptor of its top.
    :param content: of all; else only of names, types, modes, owners, sizes, times, links, devices, and attributes.
    :raises OSError: the tree changes at the same time.
    """
    return digest_of(look(tree, content))


def digest_of(tree: Tree) -> str:
    """The same of a tree that was looked at."""
    return f"sha256:{hashlib.sha256(dump(tree).encode()).hexdigest()}"


def stamp(tree: int, exclude: t.Collection[str] = ()) -> str:
    """What changes whenever somebody changes anything in a tree, found without opening or describing a file.

    The kernel sets the time of status change (``st_ctime``, inode(7)) of what is changed in any way, and nobody else
    can set it. So the number of files and the sum of these times say that nothing was touched; what was, or whether
    it is the same again, :func:`look` tells.

    :param tree: descriptor of its top.
    :param exclude: paths that are not looked at, with all that is below them.
    :returns: of this tree on this file system; a copy has another one.
    :raises OSError: the tree changes at the same time.
    """
    count, total = 1, os.fstat(tree).st_ctime_ns
    pending = [""]
    while pending:
        path = pending.pop()
        folder = open_in(tree, path, _DIRECTORY, follow=False)
        try:
            for name in os.listdir(folder):
                below = f"{path}/{name}" if path else name
                if below in exclude:
                    continue
                info = os.stat(name, dir_fd=folder, follow_symlinks=False)
                count += 1
                total += info.st_ctime_ns
                if stat.S_ISDIR(info.st_mode):
                    pending.append(below)
        finally:
            os.close(folder)
    return f"{count}-{total:x}"


def differences(wanted: Tree, found: Tree) -> list[Difference]:
    """Every path that is not the same in two trees, sorted.

    The content of files is compared where both were read with it.
    """
    paths = sorted({*wanted, *found})
    compared = ((path, _different(wanted.get(path), found.get(path))) for path in paths)
    return [Difference(path, what) for path, what in compared if what]


def _different(wanted: Seen | None, found: Seen | None) -> tuple[str, ...]:
    if found is None:
        return _MISSING
    if wanted is None:
        return _ADDED
    what = tuple(text for key, text in _ASPECTS.items() if getattr(wanted.entry, key) != getattr(found.entry, key))
    changed = wanted.content and found.content and wanted.content != found.content
    return (*what, "content") if changed else what


def repair(tree: int, source: int, changed: t.Collection[Difference]) -> None:
    """Make a tree what it was, of a tree that is what it is to be.

    What was added goes; what is missing or not the same is taken anew from the source, as an archive of it is unpacked:
    no link of either tree is followed out of it.

    :param tree: descriptor of the top of the tree, on one file system, which nobody else changes meanwhile.
    :param source: descriptor of the top of the other one.
    :param changed: :func:`differences` between what the source is and what the tree is.
    :raises ImageError: something in the source cannot be said in an archive.
    :raises KernelError: the file system refused something.
    """
    from .copy import copy

    added = [path for path, what in changed if what == _ADDED]
    for path in added:
        _remove(tree, path)
    wanted = {path for path, what in changed if what != _ADDED}
    wanted.update(os.path.dirname(path) or "." for path in added)  # whose times changed with that
    copy(source, tree, only=wanted)


def _remove(tree: int, path: str) -> None:
    """Remove a file or a directory, which what is above it may have gone with already."""
    above, _slash, name = path.rpartition("/")
    try:
        folder = open_in(tree, above, _DIRECTORY, follow=False)
    except FileNotFoundError:
        return
    try:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            files.remove_tree(name, folder)
        else:
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return
    finally:
        os.close(folder)
