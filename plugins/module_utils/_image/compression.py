# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives whatever they are compressed with, which their first bytes tell and never their name."""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import threading
import typing as t

from .._model.errors import NsfleetError
from .errors import ImageError

#: How much is read and decompressed at once, bytes.
PIECE: t.Final = 1 << 17
_LONGEST_MAGIC: t.Final = 6
NO_ZSTD: t.Final = "it is compressed with zstd, and there is no command zstd on this host; install the package zstd"


@contextlib.contextmanager
def opened(file: t.BinaryIO) -> t.Iterator[t.BinaryIO]:
    """What is in a file that may be compressed with gzip, bzip2, xz or zstd.

    Several compressed streams one after the other are one, and zeros may follow, as with the programs of that name.
    No more is decompressed than is read.

    :param file: is read from where it stands, never sought, and stays open.
    :raises ImageError: while it is read: it is damaged, ends early, or something else follows.
    :raises NsfleetError: it is compressed with zstd, and there is no such command.
    """
    head = _exactly(file, _LONGEST_MAGIC)
    whole = _Whole(head, file)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        with _zstd(whole) as stream:
            yield stream
        return
    for magic, kind in _KINDS.items():
        if head.startswith(magic):
            yield t.cast("t.BinaryIO", io.BufferedReader(_Decompressed(whole, magic, *kind()), PIECE))
            return
    yield t.cast("t.BinaryIO", io.BufferedReader(whole, PIECE))


@contextlib.contextmanager
def gzipped(file: t.BinaryIO) -> t.Iterator[t.BinaryIO]:
    """A file that is written compressed with gzip, without a name or a time: the same input gives the same output.

    :param file: is written to, and stays open.
    """
    import gzip

    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as stream:
        yield t.cast("t.BinaryIO", stream)


def _exactly(file: t.BinaryIO, size: int) -> bytes:
    """So many bytes, fewer only at the end."""
    found = b""
    while len(found) < size:
        piece = file.read(size - len(found))
        if not piece:
            break
        found += piece
    return found


class _Whole(io.RawIOBase):
    """A file together with what was read of it already."""

    def __init__(self, head: bytes, file: t.BinaryIO) -> None:
        super().__init__()
        self._head = head
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: t.Any) -> int:
        """Read what there is, at most what fits."""
        piece = self._head or self._file.read(len(buffer))
        taken = piece[: len(buffer)]
        buffer[: len(taken)] = taken
        self._head = self._head[len(taken) :]
        return len(taken)


class _Decompressor(t.Protocol):
    """What those of bz2 and lzma have."""

    @property
    def eof(self) -> bool:
        """Whether the stream ended."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing is left of the data that it was given."""

    @property
    def unused_data(self) -> bytes:
        """What follows the stream."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """The next bytes, at most so many; what was not used of the data is kept."""


class _Gunzip:
    """The decompressor of zlib, as one of those of bz2 and lzma."""

    def __init__(self) -> None:
        import zlib

        self._zlib = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        """Whether the stream ended."""
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        """What follows the stream."""
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """The next bytes, at most so many."""
        found = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        # What fills the whole room may go on without any further input.
        self.needs_input = not self._zlib.unconsumed_tail and len(found) < max_length
        return found


_Kind = tuple[str, t.Callable[[], _Decompressor], type[Exception]]


def _gzip() -> _Kind:
    import zlib

    return "gzip", _Gunzip, zlib.error


def _bzip2() -> _Kind:
    import bz2

    return "bzip2", bz2.BZ2Decompressor, OSError


def _xz() -> _Kind:
    import lzma

    return "xz", lzma.LZMADecompressor, lzma.LZMAError


_KINDS: t.Final[t.Mapping[bytes, t.Callable[[], _Kind]]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": _bzip2,
    b"\xfd7zXZ\0": _xz,
}


class _Decompressed(io.RawIOBase):
    """What is in a compressed file."""

    def __init__(
        self, file: io.RawIOBase, magic: bytes, name: str, make: t.Callable[[], _Decompressor], error: type[Exception]
    ) -> None:
        super().__init__()
        self._file = file
        self._magic, self._name, self._make, self._error = magic, name, make, error
        self._stream: _Decompressor | None = make()
        #: What was read and not yet given to a decompressor.
        self._ahead = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: t.Any) -> int:
        """Read at least one byte unless all was read.

        :raises ImageError: the file is damaged.
        """
        while self._stream is not None:
            found = self._decompress(self._stream, len(buffer))
            if self._stream.eof:
                self._stream = self._following(self._stream.unused_data)
            if found:
                buffer[: len(found)] = found
                return len(found)
        return 0

    def _decompress(self, stream: _Decompressor, most: int) -> bytes:
        data = self._ahead
        self._ahead = b""
        if stream.needs_input and not data:
            data = self._file.read(PIECE) or b""
            if not data:
                raise ImageError("", f"the {self._name} stream ends early")
        try:
            return stream.decompress(data, most)
        except self._error as error:
            raise ImageError("", f"the {self._name} stream is damaged: {error}") from None

    def _following(self, rest: bytes) -> _Decompressor | None:
        """The stream that begins after one that ended, if there is one."""
        rest = self._without_zeros(rest)
        while rest and len(rest) < len(self._magic) and (piece := self._file.read(PIECE)):
            rest += piece
        if not rest:
            return None
        if not rest.startswith(self._magic):
            raise ImageError("", f"something that is not {self._name} follows the {self._name} stream")
        self._ahead = rest
        return self._make()

    def _without_zeros(self, rest: bytes) -> bytes:
        rest = rest.lstrip(b"\0")
        while not rest and (piece := self._file.read(PIECE)):
            rest = piece.lstrip(b"\0")
        return rest


@contextlib.contextmanager
def _zstd(file: io.RawIOBase) -> t.Iterator[t.BinaryIO]:
    """What the command zstd makes of a file, which a thread feeds it with; it ends when nobody reads any more."""
    command = shutil.which("zstd")
    if command is None:
        raise NsfleetError(NO_ZSTD)
    with subprocess.Popen(
        [command, "--decompress", "--stdout", "--quiet"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        feeder = _Feeder(file, t.cast("t.IO[bytes]", process.stdin))
        feeder.start()
        try:
            yield t.cast("t.BinaryIO", io.BufferedReader(_Output(process, feeder), PIECE))
        finally:
            process.kill()
            feeder.join()


class _Feeder(threading.Thread):
    """A thread that copies a file to the input of a process.

    :param file: what is copied.
    :param pipe: where to; it is closed in the end.
    """

    def __init__(self, file: io.RawIOBase, pipe: t.IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._file = file
        self._pipe = pipe
        #: Why the file could not be read.
        self.error: BaseException | None = None

    def run(self) -> None:
        """Copy until the file or the process ends."""
        try:
            with contextlib.suppress(BrokenPipeError), self._pipe:
                while piece := self._file.read(PIECE):
                    self._pipe.write(piece)
        except Exception as error:  # it belongs to whoever reads the other end
            self.error = error


class _Output(io.RawIOBase):
    """The output of zstd, whose end is that of the stream only if it and the thread that feeds it say so."""

    def __init__(self, process: subprocess.Popen[bytes], feeder: _Feeder) -> None:
        super().__init__()
        self._process = process
        self._feeder = feeder

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: t.Any) -> int:
        """Read what there is.

        :raises ImageError: zstd failed.
        """
        found = t.cast("io.BufferedReader", self._process.stdout).read1(len(buffer))
        if not found:
            self._ended()
        buffer[: len(found)] = found
        return len(found)

    def _ended(self) -> None:
        told = t.cast("t.IO[bytes]", self._process.stderr).read().decode("utf-8", "replace").strip()
        failed = self._process.wait()
        self._feeder.join()
        if self._feeder.error is not None:
            raise self._feeder.error
        if failed:
            raise ImageError("", f"the zstd stream is damaged: {told.splitlines()[0] if told else failed}")
