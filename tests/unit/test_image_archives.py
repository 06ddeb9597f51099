# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives as they are read: compressed by the usual programs, and with the entries that tarfile finds in them."""

from __future__ import annotations

import io
import os
import pathlib
import stat
import subprocess
import tarfile
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image import compression
from ansible_collections.nsfleet.linux.plugins.module_utils._image.entries import HARD_LINK, Archive, Entry, Limits
from ansible_collections.nsfleet.linux.plugins.module_utils._image.errors import ImageError
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError
from support.archives import END, archive, extended, file, header, padded, record

TEXT = b"".join(b"%d\n" % number for number in range(100_000))
PROGRAMS = ["gzip", "bzip2", "xz", "zstd"]
#: What comes of a file whose data end early, or are not what their checksum says.
DAMAGE = "stream ends early|stream is damaged"


class Slow(io.RawIOBase):
    """A file that gives little at a time, and cannot be sought, as one from a network."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: t.Any) -> int:
        """Read a little."""
        piece = self._data.read(min(len(buffer), 1000))
        buffer[: len(piece)] = piece
        return len(piece)


def run(program: str, data: bytes) -> bytes:
    """Data, compressed."""
    return subprocess.run([program, "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def read(data: bytes) -> bytes:
    """What is in compressed data."""
    with compression.opened(t.cast("t.BinaryIO", Slow(data))) as stream:
        return stream.read()


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f", TEXT], ids=["empty", "one", "half a magic", "text"])
def test_plain(data: bytes) -> None:
    assert read(data) == data


@pytest.mark.parametrize("program", PROGRAMS)
def test_compressed(program: str) -> None:
    assert read(run(program, TEXT)) == TEXT
    assert read(run(program, b"")) == b""


@pytest.mark.parametrize("program", PROGRAMS)
def test_streams_one_after_the_other_are_one(program: str) -> None:
    assert read(run(program, TEXT) + run(program, b"") + run(program, b"end")) == TEXT + b"end"


@pytest.mark.parametrize("program", ["gzip", "xz"])
def test_zeros_may_follow(program: str) -> None:
    assert read(run(program, TEXT) + bytes(40_000)) == TEXT
    assert read(run(program, TEXT) + bytes(512) + run(program, b"end")) == TEXT + b"end"


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_stream_that_ends_early(program: str) -> None:
    data = run(program, TEXT)
    for size in (*range(10, len(data), 7001), len(data) - 9, len(data) - 1):
        with pytest.raises(ImageError, match=DAMAGE):
            read(data[:size])


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_stream_that_is_damaged(program: str) -> None:
    data = bytearray(run(program, TEXT))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match=DAMAGE):
        read(bytes(data))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("rubbish", [b"x", b"rubbish" * 1000])
def test_something_else_follows(program: str, rubbish: bytes) -> None:
    with pytest.raises(ImageError, match=f"follows the {program} stream|{DAMAGE}"):
        read(run(program, TEXT) + rubbish)


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_more_is_decompressed_than_is_read(program: str) -> None:
    with compression.opened(io.BytesIO(run(program, bytes(50 << 20)))) as stream:
        assert stream.read(10) == bytes(10)


def test_an_error_of_the_file_is_not_one_of_zstd() -> None:
    class Broken(Slow):
        def readinto(self, buffer: t.Any) -> int:
            found = super().readinto(buffer)
            if not found:
                raise ConnectionResetError("the network is gone")
            return found

    with (
        pytest.raises(ConnectionResetError),
        compression.opened(t.cast("t.BinaryIO", Broken(run("zstd", TEXT)))) as stream,
    ):
        stream.read()


def test_zstd_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = run("zstd", TEXT)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NsfleetError, match="install the package zstd"):
        read(data)


# --- entries ----------------------------------------------------------------------------


def entries(data: bytes) -> list[tuple[Entry, bytes]]:
    """All entries with their data."""
    found = Archive(io.BytesIO(data), Limits())
    return [(entry, _whole(entry, found)) for entry in found]


def _whole(entry: Entry, found: Archive) -> bytes:
    data = bytearray(entry.size)
    for offset, piece in found.pieces():
        data[offset : offset + len(piece)] = piece
    return bytes(data)


def by_tarfile(data: bytes) -> list[tuple[Entry, bytes]]:
    """The same, as Python's own module finds them."""
    kinds = {tarfile.LNKTYPE: HARD_LINK, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.DIRTYPE: stat.S_IFDIR,
             tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK, tarfile.FIFOTYPE: stat.S_IFIFO}  # fmt: skip
    found = []
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for info in tar:
            kind = kinds.get(info.type, stat.S_IFREG)
            content = t.cast("t.IO[bytes]", tar.extractfile(info)).read() if kind == stat.S_IFREG else b""
            device = os.makedev(info.devmajor, info.devminor) if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
            xattrs = {key[len("SCHILY.xattr.") :]: os.fsencode(value) for key, value in info.pax_headers.items()
                      if key.startswith("SCHILY.xattr.")}  # fmt: skip
            name = info.name.rstrip("/")  # which Python 3.9 leaves at a long name
            found.append((Entry(name, kind, info.mode, info.uid, info.gid, len(content), round(info.mtime) * 10**9,
                                info.linkname, device, xattrs), content))  # fmt: skip
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Files that an archive is to be made of."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "plain").write_text("plain")
    (tree / "empty").write_text("")
    (tree / "link").symlink_to("plain")
    (tree / ("l" * 70) / ("m" * 70)).mkdir(parents=True)
    (tree / ("l" * 70) / ("m" * 70) / ("n" * 80)).write_text("long")
    (tree / "long-link").symlink_to("x" * 200)
    os.link(tree / "plain", tree / "hard")
    os.mkfifo(tree / "fifo")
    with open(tree / "sparse", "wb") as sparse:
        for place in range(0, 3_000_000, 40_000):
            sparse.seek(place)
            sparse.write(b"x" * 4096)
        sparse.truncate(4_000_000)
    for path in (tree, *tree.rglob("*")):
        os.utime(path, (1, 1), follow_symlinks=False)
    return tree


FORMATS = ["--format=gnu", "--format=oldgnu", "--format=gnu -S", "--format=posix",
           "--format=posix -S --sparse-version=0.0",
           "--format=posix -S --sparse-version=0.1", "--format=posix -S --sparse-version=1.0",
           "--format=ustar --exclude=long-link", "--format=v7 --exclude=l* --exclude=fifo"]  # fmt: skip


@pytest.mark.parametrize("options", FORMATS)
def test_formats(tree: pathlib.Path, options: str) -> None:
    made = subprocess.run(["tar", *options.split(), "-cC", tree, "."], stdout=subprocess.PIPE, check=True).stdout
    found = [(entry._replace(name=entry.name.rstrip("/")), data) for entry, data in entries(made)]
    assert found == by_tarfile(made)
    assert len(found) >= 5


def test_numbers_larger_than_octal_digits_hold() -> None:
    info = tarfile.TarInfo("big")
    info.uid, info.gid, info.mtime, info.size = 4_000_000_000, 3_000_000_000, 1 << 34, 3
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        data = info.tobuf(form) + padded(b"abc") + END
        assert entries(data) == by_tarfile(data)
        assert entries(data)[0][0].uid == 4_000_000_000


def test_the_digest_is_one_of_the_whole_stream() -> None:
    import hashlib

    data = archive(file("a", b"x" * 1000)) + b"\0" * 20_000 + b"whatever follows"
    found = Archive(io.BytesIO(data), Limits())
    assert [entry.name for entry in found] == ["a"]
    assert found.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (found.size, found.entries) == (len(data), 1)


def test_times_to_the_nanosecond() -> None:
    for text, expected in ((b"1.000000001", 10**9 + 1), (b"1.5", 1_500_000_000), (b"-1.25", -1_250_000_000),
                           (b"7", 7 * 10**9), (b"1.123456789123", 1_123_456_789), (b"3.", 3 * 10**9)):  # fmt: skip
        assert entries(extended(record("mtime", text)) + header(b"x") + END)[0][0].mtime == expected


def test_attributes_of_libarchive() -> None:
    said = record("LIBARCHIVE.xattr.user.a%3Db", b"AAE") + record("LIBARCHIVE.xattr.user.c", b"eA==")
    said += record("SCHILY.xattr.user.c", b"y")
    assert entries(extended(said) + header(b"x") + END)[0][0].xattrs == {"user.a=b": b"\0\1", "user.c": b"y"}


def test_a_size_of_pax_goes_before_that_of_the_header() -> None:
    """CVE-2025-62518: a header hidden in data that one program takes for data, and another for a header."""
    hidden = header(b"hidden")
    data = extended(record("size", b"512")) + header(b"x", size=b"00000000000\0") + hidden + header(b"y") + END
    assert [(entry.name, content) for entry, content in entries(data)] == [("x", hidden), ("y", b"")]
    assert entries(data) == by_tarfile(data)


def test_a_directory_of_before_ustar() -> None:
    data = header(b"old/", b"\0", magic=b"\0" * 8) + header(b"old/file", b"\0", magic=b"\0" * 8) + END
    assert [(entry.name, entry.kind) for entry, _data in entries(data)] == [
        ("old/", stat.S_IFDIR), ("old/file", stat.S_IFREG),
    ]  # fmt: skip


def test_global_comments_are_ignored() -> None:
    data = extended(record("comment", b"a commit"), b"g") + header(b"x") + END
    assert [entry.name for entry, _data in entries(data)] == ["x"]
