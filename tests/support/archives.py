# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tar archives that tests make, by Python's own tarfile, however odd they are to be."""

from __future__ import annotations

import io
import tarfile
import typing as t

#: Extended attributes of an entry, as star and GNU tar write them.
XATTR = "SCHILY.xattr."


class Member(t.NamedTuple):
    """An entry and its data."""

    info: tarfile.TarInfo
    data: bytes = b""


def member(
    name: str, kind: bytes, data: bytes = b"", xattrs: t.Mapping[str, str] | None = None, **fields: t.Any
) -> Member:
    """An entry.

    :param fields: of :class:`tarfile.TarInfo`.
    """
    info = tarfile.TarInfo(name)
    info.type, info.size, info.mode, info.mtime = kind, len(data), 0o644, 1_000_000_000
    info.pax_headers = {f"{XATTR}{key}": value for key, value in (xattrs or {}).items()}
    for field, value in fields.items():
        setattr(info, field, value)
    return Member(info, data)


def file(name: str, data: bytes = b"", **fields: t.Any) -> Member:
    """A regular file."""
    return member(name, tarfile.REGTYPE, data, **fields)


def folder(name: str, **fields: t.Any) -> Member:
    """A directory."""
    return member(name, tarfile.DIRTYPE, **{"mode": 0o755, **fields})


def symlink(name: str, target: str, **fields: t.Any) -> Member:
    """A symbolic link."""
    return member(name, tarfile.SYMTYPE, linkname=target, **{"mode": 0o777, **fields})


def hard_link(name: str, target: str) -> Member:
    """Another name of a file."""
    return member(name, tarfile.LNKTYPE, linkname=target)


def device(name: str, major: int, minor: int, kind: bytes = tarfile.CHRTYPE, **fields: t.Any) -> Member:
    """A device node."""
    return member(name, kind, devmajor=major, devminor=minor, **fields)


def archive(*members: Member) -> bytes:
    """A tar archive in PAX format."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return found.getvalue()


def header(name: bytes, kind: bytes = b"0", size: bytes = b"00000000000\0", **fields: bytes) -> bytes:
    """One block of a header, field by field, with the right checksum.

    :param fields: ``mode``, ``uid``, ``gid``, ``mtime``, ``link``, ``magic``, ``rest`` (all that follows the magic),
        each as it stands there.
    """
    parts = [
        name.ljust(100, b"\0"), fields.get("mode", b"0000644\0"), fields.get("uid", b"0000000\0"),
        fields.get("gid", b"0000000\0"), size, fields.get("mtime", b"00000000000\0"), b" " * 8, kind,
        fields.get("link", b"").ljust(100, b"\0"), fields.get("magic", b"ustar\00000"),
        fields.get("rest", b"").ljust(247, b"\0"),
    ]  # fmt: skip
    block = b"".join(parts)
    assert len(block) == 512
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padded(data: bytes) -> bytes:
    """Data of an entry, with what fills its last block."""
    return data + b"\0" * (-len(data) % 512)


def extended(records: bytes, kind: bytes = b"x") -> bytes:
    """An extended header with this content."""
    return header(b"extended", kind, b"%011o\0" % len(records)) + padded(records)


def record(key: str, value: bytes) -> bytes:
    """A record of an extended header of PAX."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


END = b"\0" * 1024
