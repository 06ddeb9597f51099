# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blobs by their digests: a name in here is the promise that the content has that digest, checked when it is made."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from .._kernel import files
from .._model.errors import KernelError
from .catalog import is_whole
from .draft import DRAFT, locked_file
from .errors import ImageError
from .manifest import Descriptor
from .source import PIECE, Checked, Source

#: What a file system without room says.
FULL: t.Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Blobs:
    """A directory of blobs.

    :param directory: is there.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, digest: str) -> str:
        """Where a blob is, if it is there."""
        return os.path.join(self.directory, digest.partition(":")[2])

    def has(self, digest: str) -> bool:
        """Whether a blob is there, without looking into it."""
        return os.path.exists(self.path(digest))

    def all(self) -> list[str]:
        """Digests of all blobs."""
        return [f"sha256:{name}" for name in files.list_directory(self.directory) if not name.endswith(DRAFT)]

    def fetch(self, source: Source, descriptor: Descriptor) -> None:
        """Have a blob: take it from a source, or wait for whoever does so already.

        What an interrupted run got of it is not asked for again.

        :raises ImageError: the source gives something else.
        :raises KernelError: the file system refused; what it has no room for is taken away again.
        """
        path = self.path(descriptor.digest)
        with _told(f"store {descriptor.digest} ({descriptor.size} bytes) in {self.directory}"):
            with locked_file(path) as draft:
                if draft is None:
                    return
                try:
                    _complete(draft, source, descriptor)
                    os.fsync(draft)
                except OSError as error:
                    if error.errno in FULL:
                        files.remove(path + DRAFT)
                    raise
                os.rename(path + DRAFT, path)
            files.sync_directory(self.directory)

    def put(self, digest: str, data: bytes) -> None:
        """Have a document, whose digest was verified."""
        if not self.has(digest):
            with _told(f"store {digest} in {self.directory}"):
                files.write_whole(self.path(digest), data)

    def write(self, media_type: str, fill: t.Callable[[t.BinaryIO], None]) -> Descriptor:
        """Have a new blob, whatever it will be.

        :param fill: writes it.
        :raises KernelError: the file system refused; nothing of it is left.
        """
        import threading

        draft = os.path.join(self.directory, f".blob-{threading.get_ident()}.{os.getpid()}.new")
        with _told(f"write a blob in {self.directory}"):
            try:
                with open(draft, "xb") as file:
                    os.fchmod(file.fileno(), 0o600)
                    out = Measured(file)
                    fill(t.cast("t.BinaryIO", out))
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(draft, self.path(out.digest))
            except BaseException:
                files.remove(draft)
                raise
            files.sync_directory(self.directory)
        return Descriptor(media_type, out.digest, out.size)

    def open(self, digest: str) -> t.BinaryIO:
        """A blob that is there.

        :raises ImageError: it is not.
        """
        try:
            return open(self.path(digest), "rb", buffering=PIECE)
        except FileNotFoundError:
            raise ImageError(digest, "it is not in the store; pull the image again") from None

    def is_whole(self, digest: str) -> bool:
        """Whether a blob is there and has its digest."""
        return is_whole(self.path(digest), digest)

    def drop(self, digest: str) -> None:
        """Remove a blob; who reads it meanwhile reads on."""
        files.remove(self.path(digest))


class Measured:
    """What is written to a file, with digest and size of it.

    :param file: ``None``: only those are wanted.
    """

    def __init__(self, file: t.IO[bytes] | None = None) -> None:
        import hashlib

        self._file, self._hash = file, hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """Of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes) -> int:
        """Write all of it."""
        self._hash.update(data)
        self.size += len(data)
        return len(data) if self._file is None else self._file.write(data)

    def flush(self) -> None:
        """Nothing: the file is flushed in the end."""


@contextlib.contextmanager
def _told(doing: str) -> t.Iterator[None]:
    """Errors of the file system as errors for people."""
    try:
        yield
    except OSError as error:
        raise KernelError(doing, error) from None


def _complete(draft: int, source: Source, descriptor: Descriptor) -> None:
    """Fill up a draft; what is in it is taken if in the end it proves to be right."""
    begun = os.fstat(draft).st_size > 0
    try:
        _append(draft, source, descriptor)
    except ImageError:
        os.ftruncate(draft, 0)
        if not begun:
            raise
        _append(draft, source, descriptor)


def _append(draft: int, source: Source, descriptor: Descriptor) -> None:
    checked = Checked(descriptor)
    os.lseek(draft, 0, os.SEEK_SET)
    while piece := os.read(draft, PIECE):
        checked.take(piece)
    if checked.size == descriptor.size:
        checked.take(b"")
        return
    with source.open_blob(descriptor, checked.size) as stream:
        while piece := checked.take(stream.read(PIECE)):
            _write(draft, piece)


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
