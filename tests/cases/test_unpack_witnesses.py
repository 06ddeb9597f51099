# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same images unpacked by others and by us, and the trees compared whole.

Witnesses are umoci, GNU tar on the layers that skopeo copies, and the kernel's overlayfs.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
import subprocess
import tarfile
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image import compression
from ansible_collections.nsfleet.linux.plugins.module_utils._image.unpack import Unpacked, Whiteouts, unpack
from support import images, registry, trees, world
from support.abilities import need
from support.archives import Member, archive, device, file, folder, hard_link, member, symlink
from support.images import Image

#: ``cap_net_raw=ep``, as the kernel keeps it (struct vfs_cap_data, revision 2).
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000").decode("utf-8", "surrogateescape")
LONGS = ["long" * 40, "/".join(["long" * 40] * 2), LONG := "/".join(["long" * 40] * 3)]
TIME = 1_234_567_890
#: Every directory is an entry of the layers that have something in it, as in images that others make.
BASE = [
    folder("./", mode=0o755), folder("etc"), folder("usr"), folder("usr/bin"),
    folder("tmp", mode=0o1777), folder("var"),
    file("etc/passwd", b"root:x:0:0::/:\n", mode=0o644), file("etc/shadow", b"root:*\n", mode=0o640, gid=42),
    file("usr/bin/su", b"su", mode=0o4755), file("usr/bin/wall", b"wall", mode=0o2755, gid=5),
    file("usr/bin/ping", b"ping", mode=0o755, xattrs={"security.capability": CAPABILITY}),
    symlink("bin", "usr/bin"), symlink("etc/absolute", "/nowhere/at/all", uid=12, gid=13),
    symlink("etc/up", "../../../../x"),
    file("usr/one", b"one" * 1000), hard_link("usr/two", "usr/one"), hard_link("usr/three", "usr/two"),
    hard_link("etc/linked", "./etc/absolute"),
    folder("attributes", xattrs={"user.kept": "1", "user.bytes": "\udcff\udc80\n=x"}),
    file("attributes/file", b"", xattrs={"user.kept": "value"}),
    device("null", 1, 3, mode=0o666), device("disk", 8, 1, tarfile.BLKTYPE, mode=0o660, gid=6),
    member("fifo", tarfile.FIFOTYPE, mode=0o600, uid=1000),
    file(os.fsdecode(b"latin-\xe9\xff"), b"x"), file("snow-\N{SNOWMAN}\n\t", b"x"), *map(folder, LONGS),
    file(f"{LONG}/{'f' * 200}", b"long"), symlink(f"{LONG}/link", LONG),
    hard_link(f"{LONG}/hard", f"{LONG}/{'f' * 200}"),
    file("big", bytes(range(256)) * 4096, uid=4_000_000_000, gid=3_000_000_000),
    folder("times"), file("times/before", mtime=-TIME), file("times/start", mtime=0), file("times/late", mtime=1 << 33),
    folder("gone"), file("gone/file"), folder("gone/sub"), file("gone/sub/file"), folder("opaque"), file("opaque/old"),
    folder("opaque/sub"), file("opaque/sub/old"), folder("opaque/deep"), file("opaque/deep/old"),
    folder("anew"), file("anew/old"), folder("becomes-file"), file("becomes-file/old"), file("becomes-folder"),
    symlink("becomes-real", "usr"), file("becomes-link"), file("replaced", b"first"),
    hard_link("other-name", "replaced"),
]  # fmt: skip
CHANGES = [
    folder("./", mode=0o755), file(".wh.gone"), folder("opaque", mode=0o700), file("opaque/.wh..wh..opq"),
    file("opaque/new"),
    folder("opaque/sub"), file("opaque/sub/new"), folder("anew", mode=0o711), file("anew/new"),
    folder("etc", xattrs={"user.second": "2"}), file("etc/.wh.shadow"), file("etc/group", b"root:x:0:\n"),
    file("becomes-file", b"file"), folder("becomes-folder"), file("becomes-folder/file"), folder("becomes-real"),
    file("becomes-real/file"), symlink("becomes-link", "usr"), file("replaced", b"second"),
    folder("attributes", xattrs={"user.kept": "2"}), folder("usr", uid=7), folder("usr/bin"),
    file("usr/bin/su", b"new", mode=0o755),
]  # fmt: skip
LAST = [
    folder("./", mode=0o750, uid=3), folder("gone"), file("gone/again"), folder("etc"), file("etc/.wh.linked"),
    file("anew/.wh.old"), file(".wh.null"), folder("anew"), file(".wh.becomes-link"),
]  # fmt: skip
#: What tar of GNU makes of the same holes differs by its version; the archives are made by tar itself.
HOLES = ["--sparse-version=0.0", "--sparse-version=0.1", "--sparse-version=1.0", "--format=gnu"]


def exact(*members: Member) -> list[Member]:
    """The same entries, with nanoseconds in their times, which tarfile can only write as a text."""
    for number, (info, _data) in enumerate(members):
        if info.mtime == 1_000_000_000:
            info.pax_headers = {**info.pax_headers, "mtime": f"{TIME + number}.{number:03}456789"}
    return list(members)


#: Two layers at least: umoci 0.4 forgets the times of the root if there is but one.
IMAGES = {"first": [BASE, [folder("./")]], "changed": [BASE, CHANGES], "all": [BASE, CHANGES, LAST]}
#: What the whiteouts of CHANGES remove, and what stands in the way of its entries.
REMOVED = "gone opaque/* etc/shadow becomes-file becomes-folder becomes-real"


def holes(place: pathlib.Path, option: str) -> bytes:
    """An archive of sparse files, by GNU tar."""
    tree = place / "holes"
    tree.mkdir()
    many = [(number << 17, b"x" * 5000) for number in range(70)]
    kinds = {"only": [], "end": [(5 << 20, b"end")], "start": [(0, b"start"), (1 << 20, b"y" * 4096)], "many": many}
    for name, pieces in kinds.items():
        with open(tree / name, "wb") as target:
            for offset, data in pieces:
                target.seek(offset)
                target.write(data)
            target.truncate(9 << 20)
    form = [option] if "format" in option else ["--format=posix", option]
    return subprocess.run(["tar", "-S", *form, "-cC", str(tree), "."], stdout=subprocess.PIPE, check=True).stdout


def take(data: bytes, tree: pathlib.Path, whiteouts: Whiteouts) -> Unpacked:
    """Unpack an archive by us."""
    tree.mkdir(exist_ok=True)
    root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with compression.opened(io.BytesIO(data)) as stream:
            return unpack(stream, root, whiteouts)
    finally:
        os.close(root)


def take_by_tar(data: pathlib.Path, tree: pathlib.Path, *options: str) -> None:
    """Unpack an archive by GNU tar, with all that it can keep."""
    tree.mkdir(exist_ok=True)
    subprocess.run(
        ["tar", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-pxf", data, *options], cwd=tree, check=True
    )


@pytest.fixture
def place(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """A file system of its own."""
    need("extended attributes of files in memory")
    world.sh(f"mount -t tmpfs tmpfs {tmp_path}")
    yield tmp_path
    world.sh(f"umount {tmp_path}")


def layers_of(name: str) -> list[bytes]:
    """The layers of an image."""
    return [archive(*exact(*members)) for members in IMAGES[name]]


@pytest.mark.parametrize("name", IMAGES)
def test_umoci(place: pathlib.Path, name: str) -> None:
    layers = layers_of(name)
    images.layout(place / "image", {"latest": Image(*layers)})
    need("umoci")
    world.sh(f"umoci raw unpack --image {place}/image:latest {place}/umoci")
    for data in layers:
        take(data, place / "ours", Whiteouts.APPLY)
    trees.same(place / "umoci", place / "ours")
    assert trees.blocks(place / "umoci") == trees.blocks(place / "ours")


@pytest.mark.parametrize("name", IMAGES)
def test_overlayfs_shows_layers_as_umoci_applies_them(place: pathlib.Path, name: str) -> None:
    layers = layers_of(name)
    images.layout(place / "image", {"latest": Image(*layers)})
    need("umoci")
    world.sh(f"umoci raw unpack --image {place}/image:latest {place}/umoci")
    for number, data in enumerate(layers):
        take(data, place / f"layer{number}", Whiteouts.OVERLAY)
    lower = ":".join(f"{place}/layer{number}" for number in reversed(range(len(layers))))
    (place / "empty").mkdir()
    (place / "merged").mkdir()
    world.sh(f"mount -t overlay -o ro,lowerdir={lower}:{place}/empty overlay {place}/merged")
    found = trees.seen(place / "merged")
    world.sh(f"umount {place}/merged")
    trees.assert_same(trees.seen(place / "umoci"), found)


def test_through_a_link_of_a_layer_below(place: pathlib.Path) -> None:
    """Unpacked alone, a layer knows nothing of the links below it, and it is told what it made in their places."""
    layers = [
        archive(folder("./"), folder("usr"), folder("usr/bin"), symlink("bin", "usr/bin")),
        archive(file("bin/x")),
    ]
    images.layout(place / "image", {"latest": Image(*layers)})
    need("umoci")
    world.sh(f"umoci raw unpack --image {place}/image:latest {place}/umoci")
    assert [take(data, place / "ours", Whiteouts.APPLY).implied for data in layers] == [(), ()]
    assert trees.seen(place / "umoci")["usr/bin/x"] == trees.seen(place / "ours")["usr/bin/x"]
    assert take(layers[1], place / "layer", Whiteouts.OVERLAY).implied == ("bin",)


def test_tar_on_what_skopeo_copies(place: pathlib.Path) -> None:
    """Layer by layer; GNU tar knows no whiteouts, so they are done by hand."""
    images.layout(place / "image", {"latest": Image(*layers_of("changed"))})
    registry.skopeo("copy", f"oci:{place}/image:latest", f"dir:{place}/copied")
    manifest = json.loads((place / "copied/manifest.json").read_text())
    for layer in manifest["layers"]:
        blob = place / "copied" / layer["digest"].removeprefix("sha256:")
        take_by_tar(blob, place / "tar", "--exclude=.wh.*")
        if layer is manifest["layers"][0]:
            world.sh(f"cd {place}/tar && rm -r {REMOVED}")
            os.removexattr(place / "tar/attributes", "user.bytes")  # which tar leaves, and image-spec does not
        take(blob.read_bytes(), place / "ours", Whiteouts.APPLY)
    trees.same(place / "tar", place / "ours")
    assert trees.blocks(place / "tar") == trees.blocks(place / "ours")


@pytest.mark.parametrize("option", HOLES)
def test_holes_stay_holes(place: pathlib.Path, option: str) -> None:
    data = holes(place, option)
    (place / "holes.tar").write_bytes(data)
    take_by_tar(place / "holes.tar", place / "tar")
    take(data, place / "ours", Whiteouts.NONE)
    trees.same(place / "tar", place / "ours")
    assert trees.blocks(place / "tar") == trees.blocks(place / "ours") == trees.blocks(place / "holes")
