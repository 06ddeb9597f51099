# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the data of a sparse file belongs, in the four ways that GNU tar has written it (its manual, "Sparse Formats").

PAX 0.0 says it in records of the same name one after the other, 0.1 in one record, 1.0 before the data of the file;
the GNU format in the header and in blocks that follow it.
"""

from __future__ import annotations

import typing as t

from .errors import ImageError
from .headers import BLOCK, decimal, number

#: Most parts of one file. GNU tar makes one for each part that is no hole.
_MOST: t.Final = 1 << 18
#: Largest map before the data of a file, bytes.
_LARGEST: t.Final = 1 << 22

#: Records of the format 0.0.
REPEATED: t.Final = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")

#: Where these stand in a header, and in a block that follows it.
_IN_HEADER: t.Final = (range(386, 482, 24), 482)
_IN_BLOCK: t.Final = (range(0, 504, 24), 504)
_REAL_SIZE: t.Final = slice(483, 495)


class Segment(t.NamedTuple):
    """A part of a file that is no hole, bytes."""

    offset: int
    size: int


class Sparse(t.NamedTuple):
    """A file with holes."""

    size: int  #: of the file, bytes
    segments: t.Sequence[Segment]


#: Reads so many of the bytes that follow.
Take = t.Callable[[int], bytes]


def of_header(block: bytes, take: Take, name: str) -> Sparse:
    """The map of an entry of type ``S``.

    :param block: its header.
    :param take: what follows the header.
    """
    segments: list[Segment] = []
    places, more = _IN_HEADER
    size = number(block[_REAL_SIZE], "size of a sparse file", name)
    while True:
        for at in places:
            if block[at] not in b"\0 ":
                parts = (number(block[start : start + 12], "map of a sparse file", name) for start in (at, at + 12))
                segments.append(Segment(*parts))
        if block[more] in b"\0":
            return Sparse(size, segments)
        _check_count(len(segments), name)
        block = take(BLOCK)
        places, more = _IN_BLOCK


def of_records(said: t.Mapping[bytes, bytes], repeated: t.Sequence[tuple[bytes, bytes]], name: str) -> Sparse | None:
    """The map that PAX records have (0.0, 0.1); ``None`` if they have none.

    :param said: records of the entry.
    :param repeated: those of :data:`REPEATED`, in their order.
    """
    if repeated:
        if any(key != REPEATED[place % 2] for place, (key, _value) in enumerate(repeated)):
            raise ImageError(name, "map of a sparse file: expected offsets and sizes in turn")
        numbers = [value for _key, value in repeated]
    elif b"GNU.sparse.map" in said:
        numbers = said[b"GNU.sparse.map"].split(b",")
    else:
        return None
    return Sparse(decimal(said.get(b"GNU.sparse.size", b""), "size of a sparse file", name), _paired(numbers, name))


def of_data(said: t.Mapping[bytes, bytes], take: Take, name: str) -> Sparse:
    """The map that stands before the data (1.0).

    :param take: reads the data.
    """
    lines: list[bytes] = []
    rest, read, count = b"", 0, 0
    while len(lines) < 1 + 2 * count:
        if read >= _LARGEST:
            raise ImageError(name, "map of a sparse file: it is too large")
        *whole, rest = (rest + take(BLOCK)).split(b"\n")
        read += BLOCK
        lines += whole
        if lines:
            count = decimal(lines[0], "map of a sparse file", name)
            _check_count(count, name)
    size = decimal(said.get(b"GNU.sparse.realsize", b""), "size of a sparse file", name)
    return Sparse(size, _paired(lines[1 : 1 + 2 * count], name))


def _paired(numbers: t.Sequence[bytes], name: str) -> list[Segment]:
    values = [decimal(value, "map of a sparse file", name) for value in numbers]
    _check_count(len(values) // 2, name)
    if len(values) % 2:
        raise ImageError(name, "map of a sparse file: expected offsets and sizes in turn")
    return [Segment(*pair) for pair in zip(values[::2], values[1::2])]


def _check_count(count: int, name: str) -> None:
    if count > _MOST:
        raise ImageError(name, f"map of a sparse file: it has more than {_MOST} parts")


def check(sparse: Sparse, stored: int, name: str) -> None:
    """Refuse a map that does not fit.

    :param stored: how many bytes of the file are in the archive.
    :raises ImageError: parts overlap, are out of order or beyond the end, or are not what is stored.
    """
    place = 0
    for offset, size in sparse.segments:
        if offset < place or size < 0:
            raise ImageError(name, "map of a sparse file: its parts overlap, or are out of order")
        place = offset + size
    if place > sparse.size:
        raise ImageError(name, "map of a sparse file: it goes beyond the end of the file")
    if sum(size for _offset, size in sparse.segments) != stored:
        raise ImageError(name, "map of a sparse file: it does not say where all data belongs")
