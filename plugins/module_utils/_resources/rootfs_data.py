# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What files of a tree hold: told in a way that can be shown and compared, and kept where it is to come back."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import typing as t

from .._kernel import files

#: Bytes of text that are shown as they are.
_SHORT: t.Final = 4096
_PIECE: t.Final = 1 << 20
_DIGEST: t.Final = re.compile(r"sha256:([0-9a-f]{64})(?:, \d+ bytes)?")


class Data(str):
    """Content as people see it, which is what is compared: short text as it is, all else by digest and size.

    It knows what it stands for; what was read again from a record or a journal does not, and is looked for in
    :class:`Kept`.
    """

    content: bytes | None = None
    path: str | None = None  #: of a file of this host that holds it

    @classmethod
    def of(cls, content: bytes) -> Data:
        """Some bytes."""
        data = cls(describe(io.BytesIO(content)))
        data.content = content
        return data

    @classmethod
    def of_file(cls, path: str) -> Data:
        """What a file of this host holds.

        :raises OSError: it cannot be read.
        """
        with open(path, "rb") as file:
            data = cls(describe(file))
        data.path = path
        return data

    @classmethod
    def secret(cls, words: str) -> Data:
        """Words that are never shown, however short they are."""
        data = cls(f"sha256:{hashlib.sha256(os.fsencode(words)).hexdigest()}")
        data.content = os.fsencode(words)
        return data


def describe(file: t.BinaryIO) -> str:
    """What is shown of a file's content."""
    first = file.read(_SHORT + 1)
    text = _as_text(first)
    if text is not None:
        return text
    digest, size = hashlib.sha256(first), len(first)
    while piece := file.read(_PIECE):
        digest.update(piece)
        size += len(piece)
    return f"sha256:{digest.hexdigest()}, {size} bytes"


def is_digest(shown: str) -> bool:
    """Whether what is shown is not the content itself."""
    return bool(_DIGEST.fullmatch(shown))


def _as_text(content: bytes) -> str | None:
    """Short content as text that shows all of it; ``None`` if it is not such."""
    if len(content) > _SHORT:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    plain = text.replace("\t", "").replace("\n", "").isprintable()
    return text if plain and not is_digest(text) else None


class Kept:
    """Content that was replaced and is shown by its digest, kept in a directory for whoever goes back.

    :param directory: which is made when it is needed.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def put(self, owner: str, shown: str, content: t.BinaryIO) -> None:
        """Keep content, if what is shown of it is not all of it.

        :param owner: what it is of.
        :param shown: what is shown of it.
        :raises OSError: the file system refused.
        """
        if not _digest(shown):
            return
        from .._image import inside  # a task that only compares keeps nothing

        os.makedirs(self._directory, mode=0o700, exist_ok=True)
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            inside.write(folder, f"{_word(owner)}.{_digest(shown)}", content, inside.Attributes(0o600, 0, 0))
        finally:
            os.close(folder)

    def find(self, shown: str) -> str:
        """Path of the content with a digest.

        :raises FileNotFoundError: it is not kept.
        """
        digest = _digest(shown)
        for name in files.list_directory(self._directory):
            if name.partition(".")[2] == digest:
                return os.path.join(self._directory, name)
        raise FileNotFoundError(f"there is no copy of {shown}")

    def spare(self, needed: t.Mapping[str, t.Collection[str]]) -> list[str]:
        """Names of what nobody needs any more.

        :param needed: what is shown of the content that is needed, by what it is of.
        """
        names = {f"{_word(owner)}.{_digest(each)}" for owner, shown in needed.items() for each in shown}
        return [name for name in files.list_directory(self._directory) if name not in names]

    def drop(self, names: t.Iterable[str]) -> None:
        """Remove it."""
        for name in names:
            files.remove(os.path.join(self._directory, name))
        files.remove_empty(self._directory)


def _word(owner: str) -> str:
    return hashlib.sha256(os.fsencode(owner)).hexdigest()[:16]


def _digest(shown: str) -> str:
    found = _DIGEST.fullmatch(shown)
    return found.group(1) if found else ""


@contextlib.contextmanager
def opened(shown: str, kept: Kept) -> t.Iterator[t.BinaryIO]:
    """The content that is shown so.

    :raises OSError: it is not kept, or cannot be read.
    """
    content, path = getattr(shown, "content", None), getattr(shown, "path", None)
    if content is None and path is None:
        if is_digest(shown):
            path = kept.find(shown)
        else:
            content = shown.encode()
    if path is None:
        yield io.BytesIO(content or b"")
        return
    with open(path, "rb") as file:
        yield file
