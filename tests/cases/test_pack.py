# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees and upper directories as archives: the same every time, and read by GNU tar and umoci as they were meant."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pathlib
import socket
import subprocess
import tarfile
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image import compression
from ansible_collections.nsfleet.linux.plugins.module_utils._image.entries import Limits
from ansible_collections.nsfleet.linux.plugins.module_utils._image.errors import ImageError
from ansible_collections.nsfleet.linux.plugins.module_utils._image.pack import Packed, pack
from ansible_collections.nsfleet.linux.plugins.module_utils._image.unpack import Whiteouts, unpack
from support import images, trees, world
from support.abilities import need
from support.images import Image

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


@pytest.fixture
def place(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """A file system of its own."""
    need("extended attributes of files in memory")
    world.sh(f"mount -t tmpfs tmpfs {tmp_path}")
    yield tmp_path
    world.sh(f"umount --recursive {tmp_path}")


def written(tree: pathlib.Path, **options: t.Any) -> tuple[bytes, Packed]:
    """A tree as an archive."""
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    out = io.BytesIO()
    try:
        packed = pack(fd, out, **{"layer": False, **options})
    finally:
        os.close(fd)
    return out.getvalue(), packed


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    """The entries of an archive, as Python's own module finds them."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: info for info in tar}


def fill(tree: pathlib.Path) -> None:
    """Make one of everything."""
    (tree / "dir" / "sub").mkdir(parents=True)
    for name in ("first", "dir/second", "dir/sub/third", "x" * 120, os.fsdecode(b"latin-\xe9"), "snow-\N{SNOWMAN}"):
        (tree / name).write_text(name.encode("utf-8", "replace").decode())
        os.chown(tree / name, 4_000_000_000, 7)
    os.link(tree / "first", tree / "dir" / "linked")
    (tree / "dir/link").symlink_to("../first")
    (tree / "long").symlink_to("/".join(["y" * 100] * 3))
    os.link(tree / "long", tree / "longer", follow_symlinks=False)
    os.mkfifo(tree / "fifo", 0o640)
    os.mknod(tree / "null", 0o20666, os.makedev(1, 3))
    os.mknod(tree / "disk", 0o60660, os.makedev(8, 17))
    os.chmod(tree / "first", 0o4755)
    os.chmod(tree / "dir", 0o2770)
    os.setxattr(tree / "dir/second", "security.capability", CAPABILITY)
    os.setxattr(tree / "dir", "user.bytes", b"\xff\x00=\n")
    with open(tree / "sparse", "wb") as sparse:
        sparse.truncate(3 << 20)
    for number, path in enumerate(sorted((tree, *tree.rglob("*")))):
        os.utime(path, ns=(5, (number - 3) * 10**9 + number * 1_000_001), follow_symlinks=False)


def test_gnu_tar_makes_the_same_tree_of_it(place: pathlib.Path) -> None:
    for name in ("tree", "tar"):
        (place / name).mkdir()
    fill(place / "tree")
    data, packed = written(place / "tree")
    command = ["tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-pxf", "-", "-C", str(place / "tar")]
    subprocess.run(command, input=data, check=True)
    trees.same(place / "tree", place / "tar")
    assert packed.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert (packed.size, packed.entries) == (len(data), len(trees.seen(place / "tree")))


def test_what_we_unpack_is_the_same_tree(place: pathlib.Path) -> None:
    for name in ("tree", "again"):
        (place / name).mkdir()
    fill(place / "tree")
    data, packed = written(place / "tree")
    root = os.open(place / "again", os.O_RDONLY | os.O_DIRECTORY)
    unpacked = unpack(io.BytesIO(data), root, Whiteouts.NONE)
    os.close(root)
    trees.same(place / "tree", place / "again")
    assert trees.blocks(place / "tree") == trees.blocks(place / "again")
    assert (unpacked.digest, unpacked.implied) == (packed.digest, ())
    assert written(place / "again")[0] == data


def test_the_same_files_make_the_same_archive(place: pathlib.Path) -> None:
    """In whatever order they were made, whenever they were looked at."""
    for name in ("one", "other"):
        (place / name).mkdir()
    for tree, names in ((place / "one", "cab"), (place / "other", "bca")):
        for name in names:
            (tree / name).mkdir()
            (tree / name / "file").write_text(name)
            (tree / name / "file").read_text()
        for path in (*tree.rglob("*"), tree):
            os.utime(path, (names == "cab", 1000))
    assert written(place / "one")[0] == written(place / "other")[0]
    zipped = [io.BytesIO(), io.BytesIO()]
    for out, tree in zip(zipped, (place / "one", place / "other")):
        with compression.gzipped(out) as stream:
            stream.write(written(tree)[0])
    assert zipped[0].getvalue() == zipped[1].getvalue()
    assert gzip.decompress(zipped[0].getvalue()) == written(place / "one")[0]


def test_an_upper_directory_is_a_layer(place: pathlib.Path) -> None:
    """What a container changed, applied by umoci to the image that it began with, is what the container sees."""
    for name in ("lower", "upper", "work", "merged"):
        (place / name).mkdir()
    fill(place / "lower")
    for name in ("gone", "anew", "replaced"):
        (place / "lower" / name).mkdir()
        (place / "lower" / name / "old").write_text("old")
    base = written(place / "lower")[0]
    options = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work,redirect_dir=off,metacopy=off"
    world.sh(f"mount -t overlay -o {options} overlay {place}/merged")
    world.sh(
        f"cd {place}/merged && rm -r gone first anew replaced fifo && mkdir anew && echo new > anew/file"
        " && ln -s anew replaced && echo more >> dir/second && chmod 700 dir/sub && mv dir/link moved"
        " && touch -h -d @5.123456789 moved replaced anew anew/file . dir dir/second"
    )
    seen = trees.seen(place / "merged")
    world.sh(f"umount {place}/merged")
    changes, _packed = written(place / "upper", layer=True)
    images.layout(place / "image", {"latest": Image(base, changes)})
    need("umoci")
    world.sh(f"umoci raw unpack --image {place}/image:latest {place}/umoci")
    alone = {path: each._replace(names=()) for path, each in seen.items()}  # a copy up parts the names of a file
    found = {path: each._replace(names=()) for path, each in trees.seen(place / "umoci").items()}
    trees.assert_same(alone, found)
    assert {".wh.gone", ".wh.first", ".wh.fifo", "anew/.wh..wh..opq", "dir/.wh.link"} <= set(members(changes))
    assert b"overlay" not in changes


def test_a_socket_is_left_away(place: pathlib.Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "socket"))
    listener.close()
    (place / "file").touch()
    assert list(members(written(place)[0])) == [".", "file"]


def test_attributes_of_the_host_are_left_away(place: pathlib.Path) -> None:
    for key in ("trusted.nsfleet", "trusted.overlay.origin", "user.overlay.opaque", "user.kept"):
        os.setxattr(place, key, b"x")
    (info,) = members(written(place, layer=True)[0]).values()
    assert [key for key in info.pax_headers if "xattr" in key] == ["SCHILY.xattr.user.kept"]


def test_owners_are_mapped(place: pathlib.Path) -> None:
    os.chown(place, 100_001, 200_002)
    data, _packed = written(place, owner=lambda uid, gid: (uid - 100_000, gid - 200_000))
    (info,) = members(data).values()
    assert (info.uid, info.gid, info.uname, info.gname) == (1, 2, "", "")


@pytest.mark.parametrize("name", [".wh.passwd", ".wh..wh..opq", "dir/.wh.x"])
def test_a_file_that_would_become_a_whiteout(place: pathlib.Path, name: str) -> None:
    (place / "dir").mkdir()
    (place / name).touch()
    with pytest.raises(ImageError, match=r"whose name begins with '\.wh\.'"):
        written(place, layer=True)
    assert name in members(written(place)[0])


@pytest.mark.parametrize("key", ["trusted.overlay.redirect", "trusted.overlay.metacopy"])
def test_an_upper_directory_that_does_not_stand_for_itself(place: pathlib.Path, key: str) -> None:
    (place / "dir").mkdir()
    os.setxattr(place / "dir", key, b"/etc")
    with pytest.raises(ImageError, match="dir: it is in part in a layer below"):
        written(place, layer=True)


def test_more_than_an_archive_may_have(place: pathlib.Path) -> None:
    with open(place / "sparse", "wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(ImageError, match="larger than 1048576 bytes"):
        written(place, limits=Limits(size=1 << 20))


def test_a_link_in_the_place_of_a_directory_is_not_followed(place: pathlib.Path) -> None:
    (place / "out").symlink_to("/etc")
    found = members(written(place)[0])
    assert sorted(found) == [".", "out"]
    assert (found["out"].type, found["out"].linkname) == (tarfile.SYMTYPE, "/etc")
