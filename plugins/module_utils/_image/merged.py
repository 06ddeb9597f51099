# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What overlayfs shows of a directory when several layers have it."""

from __future__ import annotations

import enum
import os
import stat
import typing as t

from .._kernel.path import open_in

_OPAQUE: t.Final = "trusted.overlay.opaque"
_FOLDER: t.Final = os.O_RDONLY | os.O_DIRECTORY
_LOOK: t.Final = os.O_PATH | os.O_NOFOLLOW


class _Found(enum.Enum):
    """What a layer has at a path."""

    DIRECTORY = "a directory"
    NOTHING = "nothing; what is below shows through"
    END = "something that hides what is below"


def copy_folders(target: int, layers: t.Sequence[int], implied: t.Collection[str]) -> None:
    """Make directories that the uppermost layer has and does not describe, as the layers below describe them.

    :param target: descriptor of an empty directory that they are made in.
    :param layers: descriptors of layers, from the highest to the lowest.
    :param implied: paths from the top of the layer.
    :raises OSError: the file system refused.
    """
    paths = {each for path in implied for each in (*_above(path), path)}
    for path in sorted(paths):
        _mkdir(target, path)
    for path in sorted({*paths, ""}, reverse=True):  # the times of a directory come after what is made in it
        described = _describing(layers, path) if path in implied else layers[0]
        _copy(described, target, path)


def _mkdir(root: int, path: str) -> None:
    above, _slash, name = path.rpartition("/")
    folder = open_in(root, above, os.O_PATH | os.O_DIRECTORY, follow=False)
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    finally:
        os.close(folder)


def _copy(source: int, target: int, path: str) -> None:
    """Give a directory the owner, extended attributes, mode and times of the one at the same path."""
    model = open_in(source, path, _FOLDER, follow=False)
    try:
        made = open_in(target, path, _FOLDER, follow=False)
        try:
            status = os.fstat(model)
            os.chown(made, status.st_uid, status.st_gid)
            for key in os.listxattr(model):
                if not key.startswith("trusted."):
                    os.setxattr(made, key, os.getxattr(model, key))
            os.chmod(made, stat.S_IMODE(status.st_mode))
            os.utime(made, ns=(status.st_mtime_ns, status.st_mtime_ns))
        finally:
            os.close(made)
    finally:
        os.close(model)


def _describing(layers: t.Sequence[int], path: str) -> int:
    """The layer whose directory is the one that is shown but for what the uppermost layer has in it."""
    uppermost, *below = layers
    if any(_is_opaque(uppermost, above) for above in _above(path)):
        return uppermost
    for layer in below:
        found = _look(layer, path)
        if found is not _Found.NOTHING:
            return layer if found is _Found.DIRECTORY else uppermost
    return uppermost


def _look(layer: int, path: str) -> _Found:
    opaque = False
    for above in _above(path):
        kind = _kind(layer, above)
        if kind != stat.S_IFDIR:
            return _Found.END if kind or opaque else _Found.NOTHING
        opaque = opaque or _is_opaque(layer, above)
    kind = _kind(layer, path)
    if kind == stat.S_IFDIR:
        return _Found.DIRECTORY
    return _Found.END if kind or opaque else _Found.NOTHING


def _above(path: str) -> list[str]:
    """The directories that a path leads through, from the top on."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _kind(layer: int, path: str) -> int:
    """Type of a file of a layer, 0 if there is none; a whiteout is a device."""
    try:
        fd = open_in(layer, path, _LOOK, follow=False)
    except FileNotFoundError:
        return 0
    try:
        return stat.S_IFMT(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def _is_opaque(layer: int, path: str) -> bool:
    fd = open_in(layer, path, _FOLDER, follow=False)
    try:
        return _OPAQUE in os.listxattr(fd)
    finally:
        os.close(fd)
