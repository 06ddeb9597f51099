# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be seen of a tree of files, found without the collection."""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t

Path = t.Union[str, "os.PathLike[str]"]


class Seen(t.NamedTuple):
    """What there is to see of one file."""

    kind: str
    mode: str
    owner: tuple[int, int]
    mtime: int  #: nanoseconds
    device: int
    content: str  #: digest of a file, target of a link
    xattrs: tuple[tuple[str, bytes], ...]
    names: tuple[str, ...]  #: all names of the file in the tree


def seen(tree: Path) -> dict[str, Seen]:
    """Every file of a tree, with the tree itself as ``.``."""
    paths = sorted(_paths(os.fspath(tree)))
    names: dict[int, list[str]] = {}
    for path in paths:
        info = os.lstat(os.path.join(tree, path))
        if not stat.S_ISDIR(info.st_mode):
            names.setdefault(info.st_ino, []).append(path)
    return {path: _seen(os.path.join(tree, path), names) for path in paths}


def blocks(tree: Path) -> dict[str, int]:
    """How many blocks of 512 bytes each regular file takes."""
    infos = {path: os.lstat(os.path.join(tree, path)) for path in _paths(os.fspath(tree))}
    return {path: info.st_blocks for path, info in infos.items() if stat.S_ISREG(info.st_mode)}


def same(one: Path, other: Path) -> None:
    """Two trees are the same, or it is said what is not."""
    assert_same(seen(one), seen(other))


def assert_same(left: t.Mapping[str, Seen], right: t.Mapping[str, Seen]) -> None:
    """Two descriptions are the same, or it is said what is not."""
    paths = [path for path in sorted({*left, *right}) if left.get(path) != right.get(path)]
    assert not paths, "\n".join(f"{path!r}:\n  {left.get(path)}\n  {right.get(path)}" for path in paths)


def _paths(tree: str) -> t.Iterator[str]:
    yield "."
    for place, folders, files in os.walk(tree):
        for name in (*folders, *files):
            yield os.path.relpath(os.path.join(place, name), tree)


def _seen(path: str, names: t.Mapping[int, t.Sequence[str]]) -> Seen:
    info = os.lstat(path)
    xattrs = [(key, os.getxattr(path, key, follow_symlinks=False)) for key in os.listxattr(path, follow_symlinks=False)]
    return Seen(
        kind=oct(stat.S_IFMT(info.st_mode)),
        mode=oct(stat.S_IMODE(info.st_mode)),
        owner=(info.st_uid, info.st_gid),
        mtime=info.st_mtime_ns,
        device=info.st_rdev,
        content=_content(path, info),
        xattrs=tuple(sorted(xattrs)),
        names=tuple(names.get(info.st_ino, ())),
    )


def _content(path: str, info: os.stat_result) -> str:
    if stat.S_ISLNK(info.st_mode):
        return os.readlink(path)
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            return f"{info.st_size} {hashlib.sha256(file.read()).hexdigest()}"
    return ""
