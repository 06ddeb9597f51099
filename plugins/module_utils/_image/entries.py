# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of a tar stream, read once and in order.

Not by ``tarfile``: what hostile headers make it do differs between the versions of Python that hosts have
(CVE-2019-20907, CVE-2024-6232, CVE-2025-8194), it takes what contradicts itself, and it is slow for ten thousands of
files. What it reads is what this reads, which a test holds.
"""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t

from . import headers, sparse
from .errors import ImageError
from .headers import BLOCK, Header

#: How much is read at once, bytes.
_PIECE: t.Final = 1 << 18
#: How much of a file is held at once, bytes.
CHUNK: t.Final = 1 << 16
_NOTHING: t.Final = b"\0" * BLOCK

#: What is only another name of a file that is there already; other kinds are those of ``stat``.
HARD_LINK: t.Final = 0
_SPARSE: t.Final = b"S"
_KINDS: t.Final = {
    b"0": stat.S_IFREG, b"\0": stat.S_IFREG, b"7": stat.S_IFREG, _SPARSE: stat.S_IFREG, b"1": HARD_LINK,
    b"2": stat.S_IFLNK, b"3": stat.S_IFCHR, b"4": stat.S_IFBLK, b"5": stat.S_IFDIR, b"6": stat.S_IFIFO,
}  # fmt: skip


class Limits(t.NamedTuple):
    """How much an archive may ask for."""

    entries: int = 1_000_000
    size: int = 128 << 30  #: of the whole stream, bytes
    file: int = 64 << 30  #: of one file with its holes, bytes
    name: int = 4095  #: length of a name, bytes (PATH_MAX)
    depth: int = 256  #: of directories in each other
    header: int = 1 << 20  #: of an extended header, bytes; the xattrs of an entry are in one


class Entry(t.NamedTuple):
    """One entry, as the archive has it."""

    name: str
    kind: int  #: ``stat.S_IFREG`` and so on, or :data:`HARD_LINK`
    mode: int  #: permission bits
    uid: int
    gid: int
    size: int  #: of a regular file with its holes, bytes
    mtime: int  #: nanoseconds
    link: str  #: where a link leads to
    device: int
    xattrs: t.Mapping[str, bytes]


class _Said(t.NamedTuple):
    """What extended headers say of the entry that follows them."""

    names: dict[bytes, bytes]  #: of GNU headers, by their type
    records: dict[bytes, bytes]  #: of PAX
    repeated: list[tuple[bytes, bytes]]  #: those of PAX that come several times


class _Stream:
    """A stream that is read once; it is counted and hashed on the way."""

    def __init__(self, stream: t.BinaryIO, most: int) -> None:
        self._stream = stream
        self._most = most
        self._hash = hashlib.sha256()
        self._buffer = b""
        self._at = 0
        self.size = 0

    def take(self, size: int, where: str = "") -> bytes:
        """The next bytes, fewer than so many only at the end.

        :param where: what they are part of, if the end must not come before theirs.
        """
        end = self._at + size
        if end > len(self._buffer):
            self._fill(size)
            end = size
            if where and len(self._buffer) < size:
                raise ImageError("", f"the archive ends within {where}")
        piece = self._buffer[self._at : end]
        self._at = end
        return piece

    def drain(self) -> None:
        """Read to the end: a digest is one of the whole stream."""
        while self.take(_PIECE):
            pass

    def _fill(self, size: int) -> None:
        pieces = [self._buffer[self._at :]]
        there = len(pieces[0])
        while there < size and (piece := self._stream.read(_PIECE)):
            self._hash.update(piece)
            self.size += len(piece)
            if self.size > self._most:
                raise ImageError("", f"the archive is larger than {self._most} bytes")
            there += len(piece)
            pieces.append(piece)
        self._buffer = b"".join(pieces)
        self._at = 0

    def digest(self) -> str:
        """Digest of all that was read so far."""
        return f"sha256:{self._hash.hexdigest()}"


class Archive:
    """A tar archive that is read from a stream.

    :param stream: uncompressed.
    :param limits: what is too much.
    """

    def __init__(self, stream: t.BinaryIO, limits: Limits) -> None:
        self._stream = _Stream(stream, limits.size)
        self._limits = limits
        self._segments: t.Sequence[sparse.Segment] = ()
        #: How much of the data of the current entry was not read yet, and how much fills its last block.
        self._left = self._filling = 0
        self.entries = 0

    def __iter__(self) -> t.Iterator[Entry]:
        """All entries; the data of each is read before the next one is asked for, or not at all.

        :raises ImageError: the archive is damaged, or asks for too much.
        """
        while (block := self._next_header()) is not None:
            self.entries += 1
            if self.entries > self._limits.entries:
                raise ImageError("", f"the archive has more than {self._limits.entries} entries")
            yield self._entry(block)
            self._skip()
        self._stream.drain()

    @property
    def digest(self) -> str:
        """Digest of the stream, after its last entry."""
        return self._stream.digest()

    @property
    def size(self) -> int:
        """Length of the stream, bytes, after its last entry."""
        return self._stream.size

    def pieces(self) -> t.Iterator[tuple[int, bytes]]:
        """The data of the current entry in pieces of at most :data:`CHUNK` bytes, each with where it belongs."""
        for start, size in self._segments:
            for offset in range(start, start + size, CHUNK):
                yield offset, self._data(min(start + size - offset, CHUNK))

    def _data(self, size: int) -> bytes:
        if size > self._left:
            raise ImageError("", "the archive has less data than the map of a sparse file")
        self._left -= size
        return self._stream.take(size, "a file")

    def _skip(self) -> None:
        while self._left:
            self._data(min(self._left, CHUNK))
        self._stream.take(self._filling)  # umoci insert and others leave the last one out
        self._filling, self._segments = 0, ()

    # --- headers ----------------------------------------------------------------------

    def _next_header(self) -> bytes | None:
        """The next block that is a header; ``None`` at the end of the archive, which need not be marked."""
        block = self._stream.take(BLOCK)
        if not block:
            if self._stream.size:
                return None
            raise ImageError("", "expected a tar archive, and it is empty")
        if len(block) < BLOCK:
            raise ImageError("", "the archive ends within a header")
        if block != _NOTHING:
            return block
        if self._stream.take(BLOCK).strip(b"\0"):
            raise ImageError("", "the archive goes on after a block of zeros, which ends it")
        return None

    def _entry(self, block: bytes) -> Entry:
        header = headers.parse(block)
        if header.kind not in b"xgLK":
            return self._described(block, header, _NOTHING_SAID)
        said = _Said({}, {}, [])
        while header.kind in b"xgLK":
            self._extend(header, said)
            following = self._next_header()
            if following is None:
                raise ImageError("", "the archive ends after an extended header")
            block, header = following, headers.parse(following)
        return self._described(block, header, said)

    def _extend(self, header: Header, said: _Said) -> None:
        """Take in an extended header."""
        size = headers.number(header.size, "size of an extended header")
        if not 0 <= size <= self._limits.header:
            raise ImageError("", f"an extended header is larger than {self._limits.header} bytes")
        data = self._stream.take(size + -size % BLOCK, "an extended header")[:size]
        if header.kind in b"LK":
            said.names[header.kind] = data.rstrip(b"\0")
            return
        for key, value in headers.records(data):
            if header.kind == b"g":
                headers.refuse_global(key)
            elif key in sparse.REPEATED:
                said.repeated.append((key, value))
            else:
                said.records[key] = value

    # --- entries ----------------------------------------------------------------------

    def _described(self, block: bytes, header: Header, said: _Said) -> Entry:
        """An entry, of its header and what extended headers say of it."""
        name = self._name(header, said)
        records = said.records
        kind = _kind(header, records, name)
        return Entry(
            name=name,
            kind=kind,
            mode=headers.number(header.mode, "mode", name) & 0o7777,
            uid=headers.owner(records.get(b"uid"), header.uid, name),
            gid=headers.owner(records.get(b"gid"), header.gid, name),
            size=self._open_data(block, header, said, name) if kind == stat.S_IFREG else 0,
            mtime=headers.time(records.get(b"mtime"), header.mtime, name),
            link=self._link(header, said, name) if kind in (HARD_LINK, stat.S_IFLNK) else "",
            device=_device(header, name) if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0,
            xattrs=headers.xattrs(records) if records else {},
        )

    def _name(self, header: Header, said: _Said) -> str:
        name = headers.text(header.name)
        if header.prefix[0] and header.magic.startswith(headers.USTAR):
            name = headers.text(header.prefix) + b"/" + name
        name = _one_of(said, b"L", b"path", name)
        return self._checked(said.records.get(b"GNU.sparse.name", name))

    def _link(self, header: Header, said: _Said, name: str) -> str:
        link = self._checked(_one_of(said, b"K", b"linkpath", headers.text(header.link)))
        if not link:
            raise ImageError(name, "it is a link that leads nowhere")
        return link

    def _checked(self, found: bytes) -> str:
        name = os.fsdecode(found)
        if b"\0" in found:
            raise ImageError(name, "its name, or that of its target, has a byte of zero")
        if len(found) > self._limits.name:
            raise ImageError(name, f"its name, or that of its target, is longer than {self._limits.name} bytes")
        return name

    def _open_data(self, block: bytes, header: Header, said: _Said, name: str) -> int:
        """Prepare for the data of a regular file, and return its size with its holes."""
        record = said.records.get(b"size")
        stored = headers.number(header.size, "size", name) if record is None else headers.decimal(record, "size", name)
        if stored < 0:
            raise ImageError(name, "its size is negative")
        self._left, self._filling = stored, -stored % BLOCK
        size, self._segments = stored, [sparse.Segment(0, stored)]
        found = self._sparse(block, header, said, name)
        if found is not None:
            sparse.check(found, self._left, name)
            size, self._segments = found
        if size > self._limits.file:
            raise ImageError(name, f"it is larger than {self._limits.file} bytes")
        return size

    def _sparse(self, block: bytes, header: Header, said: _Said, name: str) -> sparse.Sparse | None:
        """The map of a file that has holes."""
        if header.kind == _SPARSE:
            return sparse.of_header(block, lambda size: self._stream.take(size, "the map of a sparse file"), name)
        if said.records.get(b"GNU.sparse.major") == b"1":
            return sparse.of_data(said.records, self._data, name)
        return sparse.of_records(said.records, said.repeated, name)


_NOTHING_SAID: t.Final = _Said({}, {}, [])


def _one_of(said: _Said, kind: bytes, key: bytes, short: bytes) -> bytes:
    """A name, which a header of GNU or one of PAX may tell in full."""
    if said is _NOTHING_SAID:
        return short
    if kind in said.names and key in said.records:
        raise ImageError(os.fsdecode(short), "it has two long names, one of GNU tar and one of PAX")
    return said.names.get(kind) or said.records.get(key) or short


def _kind(header: Header, records: t.Mapping[bytes, bytes], name: str) -> int:
    kind = _KINDS.get(header.kind)
    if kind is None:
        raise ImageError(name, f"it is of an unknown type, {header.kind!r}")
    if kind == stat.S_IFREG and name.endswith("/"):
        if header.kind != b"\0":  # a directory for GNU tar, a file for others
            raise ImageError(name, "it is a file, and its name ends with a slash")
        kind = stat.S_IFDIR  # as before ustar, when there was no type for it
    if kind not in (stat.S_IFREG, HARD_LINK) and (headers.number(header.size, "size", name) or b"size" in records):
        # GNU tar skips so much, and others take it for the next header; of a hard link all say that it has no data.
        raise ImageError(name, "it is no file, and has a size")
    return kind


def _device(header: Header, name: str) -> int:
    major, minor = headers.number(header.major, "device", name), headers.number(header.minor, "device", name)
    if not (0 <= major < 1 << 12 and 0 <= minor < 1 << 20):
        raise ImageError(name, f"there is no device {major}:{minor}")
    return os.makedev(major, minor)
