# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of the trees that were made at a path: what of, and what they were then.

    DIRECTORY/IDENTITY.json   what it was made of, in short what it was, and its stamp
    DIRECTORY/IDENTITY.tree   all its files

A record is that of a directory, not of its path: where another one is by now, it says nothing. So a tree takes the
place of another one, and its record that of the other one, by one rename of the tree.
"""

from __future__ import annotations

import json
import os
import typing as t

from .._kernel import files
from .._model.errors import KernelError
from .._model.field import State

if t.TYPE_CHECKING:
    from .._image.tree import Tree

_RECORD, _TREE = ".json", ".tree"


class Made(t.NamedTuple):
    """A tree when it was made, or repaired last."""

    source: str  #: what it was made of
    source_digest: str  #: what that was then; empty where nobody can tell
    origin: State  #: by what it is seen that this is still the same
    options: State  #: how it was made, if options say that
    digest: str = ""  #: of the tree, with the content of its files
    files: int = 0
    size: int = 0  #: of all regular files, bytes
    above: t.Sequence[str] = ()  #: directories that were made for it, the deepest first
    exclude: t.Sequence[str] = ()  #: what of it was not looked at
    stamp: str = ""  #: when it was as told; empty: nobody looked
    looked: str = ""  #: whether ``content`` was looked at then, or ``metadata`` only

    def of(self, tree: Tree) -> Made:
        """The same with another tree."""
        from .._image.tree import digest_of

        size = sum(seen.entry.size for seen in tree.values())
        return self._replace(digest=digest_of(tree), files=len(tree), size=size)


class Records:
    """The records of one path.

    :param directory: made if it is not there, by what writes.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def load(self, identity: str) -> Made | None:
        """What is known of a directory; ``None`` if it is not one of ours."""
        try:
            known = json.loads(files.read_text(self._path(identity, _RECORD)) or "")
            return Made(**{word: known[word] for word in Made._fields if word in known})
        except (ValueError, TypeError):
            return None

    def save(self, identity: str, made: Made, tree: Tree | None = None) -> None:
        """Keep what is known of a directory.

        :param tree: all its files, if they are others than before.
        :raises KernelError: the file system refused.
        """
        from .._image.tree import dump

        try:
            if tree is not None:
                files.write_with_directory(self._path(identity, _TREE), dump(tree))
            files.write_with_directory(self._path(identity, _RECORD), json.dumps(made._asdict(), sort_keys=True))
        except OSError as error:
            raise KernelError(f"write what is known of a tree into {self._directory}", error) from None

    def tree(self, identity: str) -> Tree | None:
        """All files of a directory of ours; ``None``: nobody knows any more."""
        from .._image.tree import load

        try:
            return load(files.read_text(self._path(identity, _TREE)) or "") or None
        except (ValueError, TypeError):
            return None

    def all(self) -> list[str]:
        """Which directories something is known of."""
        names = files.list_directory(self._directory)
        found = {os.path.splitext(name)[0] for name in names if name.endswith((_RECORD, _TREE))}
        return sorted(name for name in found if not name.startswith("."))

    def forget(self, identity: str) -> None:
        """Know nothing of a directory any more."""
        for ending in (_RECORD, _TREE):
            files.remove(self._path(identity, ending))

    def _path(self, identity: str, ending: str) -> str:
        return os.path.join(self._directory, identity + ending)
