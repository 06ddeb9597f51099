# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of a tar archive: ustar and pax of POSIX.1-2017 (pax(1)), and those of GNU tar (tar(5) of libarchive).

Where programs understand a header differently, and one could so be shown another archive than the next
(CVE-2025-62518), it is refused.
"""

from __future__ import annotations

import binascii
import functools
import os
import struct
import typing as t

from .errors import ImageError

BLOCK: t.Final = 512
USTAR: t.Final = b"ustar\0"
_LAYOUT: t.Final = struct.Struct("100s8s8s8s12s12s8sc100s8s64x8s8s155s12x")
#: Fields of numbers, and how long they are, bytes.
_NUMBERS: t.Final = {"mode": 8, "uid": 8, "gid": 8, "size": 12, "mtime": 12, "major": 8, "minor": 8}
_CHECKSUM: t.Final = slice(148, 156)
#: What a checksum counts for its own field, which is taken for spaces.
_SPACES: t.Final = 8 * ord(" ")

XATTR: t.Final = b"SCHILY.xattr."
_XATTR_BASE64: t.Final = b"LIBARCHIVE.xattr."
#: Global records that say nothing of an entry.
_HARMLESS: t.Final = (b"comment", b"hdrcharset")
#: Farthest time that is taken, nanoseconds: in 35,000 years. File systems clamp what they cannot keep.
_FARTHEST: t.Final = 10**9 << 40
#: Largest number of an owner; the one above it is none (chown(2)).
_LARGEST_ID: t.Final = (1 << 32) - 2


class Header(t.NamedTuple):
    """The block before an entry, as it is."""

    name: bytes
    mode: bytes
    uid: bytes
    gid: bytes
    size: bytes
    mtime: bytes
    checksum: bytes
    kind: bytes  #: one letter
    link: bytes
    magic: bytes
    major: bytes
    minor: bytes
    prefix: bytes


def parse(block: bytes) -> Header:
    """Read a block of 512 bytes.

    :raises ImageError: it is no header.
    """
    header = Header._make(_LAYOUT.unpack(block))
    expected = sum(block) - sum(block[_CHECKSUM]) + _SPACES
    if number(header.checksum, "checksum of a header") != expected:
        raise ImageError("", "expected a header of a tar archive, and its checksum is wrong")
    return header


def text(field: bytes) -> bytes:
    """A field of text, up to the zero that ends it."""
    return field.partition(b"\0")[0]


def number(field: bytes, what: str, name: str = "") -> int:
    """A field of a number: octal digits, or as GNU tar writes what is larger, in base 256.

    :param what: what it is the number of.
    :param name: of the entry, for the error.
    :raises ImageError: it is neither.
    """
    try:
        return _value(field)
    except ValueError:
        raise ImageError(name, f"{what}: expected octal digits, not {field!r}") from None


@functools.lru_cache(maxsize=1024)
def _value(field: bytes) -> int:
    """A field of a number; most are those of the entry before."""
    if field[0] >= 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    digits = field.strip(b" \0")
    if digits and not digits.isdigit():  # Python takes signs and underscores for parts of a number, too
        raise ValueError
    return int(digits or b"0", 8)


def decimal(value: bytes, what: str, name: str = "") -> int:
    """A number of a PAX record.

    :raises ImageError: it is none.
    """
    if not value.isdigit():
        raise ImageError(name, f"{what}: expected decimal digits, not {value[:40]!r}")
    return int(value)


def owner(record: bytes | None, field: bytes, name: str) -> int:
    """The number of a user or group.

    :param record: what PAX says, which goes first.
    """
    value = number(field, "owner", name) if record is None else decimal(record, "owner", name)
    if not 0 <= value <= _LARGEST_ID:
        raise ImageError(name, f"owner: expected a number from 0 to {_LARGEST_ID}, not {value}")
    return value


def time(record: bytes | None, field: bytes, name: str) -> int:
    """A time, nanoseconds.

    :param record: what PAX says, which goes first: decimal seconds, with a fraction and a sign.
    """
    value = 10**9 * number(field, "time", name) if record is None else _seconds(record, name)
    if not abs(value) <= _FARTHEST:
        raise ImageError(name, "time: it is out of range")
    return value


def _seconds(record: bytes, name: str) -> int:
    whole, _point, fraction = record.removeprefix(b"-").partition(b".")
    value = decimal(whole[:20], "time", name) * 10**9
    if fraction:
        value += decimal(fraction[:9].ljust(9, b"0"), "time", name)
    return -value if record.startswith(b"-") else value


def records(data: bytes) -> t.Iterator[tuple[bytes, bytes]]:
    """The records of a PAX header: ``LENGTH KEY=VALUE`` and a line feed.

    :raises ImageError: they are none.
    """
    at = 0
    while at < len(data):
        length, space, _rest = data[at : at + 20].partition(b" ")
        end = at + (int(length) if space and length.isdigit() else 0)
        key, equals, value = data[at + len(length) + 1 : end].partition(b"=")
        if not key or not equals or end > len(data) or value[-1:] != b"\n":
            raise ImageError("", "an extended header is damaged")
        yield key, value[:-1]
        at = end


def refuse_global(key: bytes) -> None:
    """Refuse what a global header says of all entries, which GNU tar heeds and the libraries of Go and Docker do not.

    :raises ImageError: it would change an entry.
    """
    if key not in _HARMLESS and not key.isupper() and b"." not in key:
        raise ImageError("", f"a global header sets {key.decode('ascii', 'replace')}; expected it in each entry's own")


def xattrs(said: t.Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Extended attributes of an entry: of star and GNU tar, and of libarchive."""
    found = {}
    for key, value in said.items():
        if key.startswith(XATTR):
            found[os.fsdecode(key[len(XATTR) :])] = value
        elif key.startswith(_XATTR_BASE64):
            found.setdefault(_unquoted(key[len(_XATTR_BASE64) :]), _base64(value))
    return found


def _unquoted(key: bytes) -> str:
    """A key whose odd letters are written as in a URL."""
    first, *others = key.split(b"%")
    try:
        return os.fsdecode(first + b"".join(binascii.unhexlify(part[:2]) + part[2:] for part in others))
    except binascii.Error:
        raise ImageError("", "an extended header has an extended attribute with a damaged name") from None


def _base64(value: bytes) -> bytes:
    try:
        return binascii.a2b_base64(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        raise ImageError("", "an extended header has a damaged extended attribute") from None


# --- writing ------------------------------------------------------------------------------


def record(key: bytes, value: bytes) -> bytes:
    """A record of a PAX header, which begins with its own length."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):  # the number got a digit more by counting itself
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def extended(said: t.Mapping[bytes, bytes]) -> bytes:
    """A PAX header with its records, for the entry that follows it; nothing if there are none."""
    if not said:
        return b""
    data = b"".join(record(key, value) for key, value in said.items())
    head = block(b"x", name=b"pax", size=len(data))
    return head + data + b"\0" * (-len(data) % BLOCK)


def block(kind: bytes, name: bytes, link: bytes = b"", **numbers: int) -> bytes:
    """A header in the format ustar.

    :param kind: letter of its type.
    :param numbers: those of :class:`Header` that are not 0, and that their fields can hold.
    """
    octal = {key: b"%0*o\0" % (width - 1, numbers.get(key, 0)) for key, width in _NUMBERS.items()}
    header = Header(kind=kind, name=name, link=link, prefix=b"", checksum=b" " * 8, magic=USTAR + b"00", **octal)
    whole = _LAYOUT.pack(*header)
    return whole[: _CHECKSUM.start] + b"%06o\0 " % sum(whole) + whole[_CHECKSUM.stop :]
