# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile archives: whatever they say, nothing outside of the tree is touched, and what is wrong with them is told.

Beside the tree is what they are after, ``host``; the ways of others that were published are among them.
"""

from __future__ import annotations

import gzip
import io
import itertools
import os
import pathlib
import stat
import tarfile
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image import compression
from ansible_collections.nsfleet.linux.plugins.module_utils._image.entries import Limits
from ansible_collections.nsfleet.linux.plugins.module_utils._image.errors import ImageError
from ansible_collections.nsfleet.linux.plugins.module_utils._image.unpack import Policy, Unpacked, Whiteouts, unpack
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import KernelError, NsfleetError
from support import trees, world
from support.abilities import need
from support.archives import (
    END,
    Member,
    archive,
    device,
    extended,
    file,
    folder,
    hard_link,
    header,
    member,
    padded,
    record,
    symlink,
)

LAYERS = pytest.mark.parametrize("whiteouts", [Whiteouts.APPLY, Whiteouts.OVERLAY], ids=lambda each: each.value)
#: ``cap_net_raw=ep``, as the kernel keeps it (struct vfs_cap_data, revision 2).
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


class Place:
    """A tree to unpack into, and a host beside it that must stay as it is."""

    def __init__(self, path: pathlib.Path) -> None:
        self.tree = path / "tree"
        self.host = path / "host"
        self.tree.mkdir()
        (self.host / "sub").mkdir(parents=True)
        for name in ("file", "sub/file"):
            (self.host / name).write_text("untouched")
        self.before = trees.seen(self.host)

    def unpack(self, data: bytes, whiteouts: Whiteouts = Whiteouts.APPLY, **options: t.Any) -> Unpacked:
        """Unpack an archive, compressed or not."""
        root = os.open(self.tree, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with compression.opened(io.BytesIO(data)) as stream:
                return unpack(stream, root, whiteouts, **options)
        finally:
            os.close(root)

    def take(self, *members: Member, **options: t.Any) -> Unpacked:
        """Unpack these entries."""
        return self.unpack(archive(*members), **options)

    def refuses(self, message: str, *members: Member, **options: t.Any) -> None:
        """These entries are refused, for a reason that says this."""
        with pytest.raises(NsfleetError, match=message):
            self.take(*members, **options)

    def inside(self, path: pathlib.Path) -> pathlib.Path:
        """Where something of the host would be in the tree."""
        return self.tree / path.relative_to("/")


@pytest.fixture
def place(tmp_path: pathlib.Path) -> t.Iterator[Place]:
    """A tree and a host, on a file system of their own."""
    need("extended attributes of files in memory")
    world.sh(f"mount -t tmpfs tmpfs {tmp_path}")
    made = Place(tmp_path)
    yield made
    after = trees.seen(made.host)
    beside = sorted(os.listdir(tmp_path))
    world.sh(f"umount {tmp_path}")
    assert after == made.before
    assert beside == ["host", "tree"]


# --- paths ------------------------------------------------------------------------------


UP = ["../host/file", "..", "a/../../host/file", "/../host/file", "./../host/new", "a/..", "a/../b", "../../../x"]
#: One of each kind, by its name.
EACH: t.Mapping[str, t.Callable[[str], Member]] = {
    "file": lambda name: file(name, b"last"),
    "folder": lambda name: folder(name, mode=0o711),
    "symlink": lambda name: symlink(name, "elsewhere"),
    "hard_link": lambda name: hard_link(name, "mine"),
    "device": lambda name: device(name, 1, 3),
    "fifo": lambda name: member(name, tarfile.FIFOTYPE),
}
EACH_KIND = pytest.mark.parametrize("make", EACH.values(), ids=EACH)


@EACH_KIND
@LAYERS
def test_a_path_that_goes_up(place: Place, make: t.Callable[[str], Member], whiteouts: Whiteouts) -> None:
    for name in UP:
        place.refuses(r"without '\.\.'", file("mine"), make(name), whiteouts=whiteouts)
    assert os.listdir(place.tree) == ["mine"]


@LAYERS
def test_an_absolute_path_begins_at_the_top_of_the_tree(place: Place, whiteouts: Whiteouts) -> None:
    place.take(file(f"{place.host}/file", b"new"), whiteouts=whiteouts)
    assert place.inside(place.host / "file").read_text() == "new"


OUT = [
    "{host}",
    "../host",
    "../../../../../../../../../../{host}",
    "sub/../../host",
    "/proc/self/root/{host}",
    "/proc/1/cwd",
]


@EACH_KIND
@pytest.mark.parametrize("name", ["file", "new", "sub", "sub/new"])
@LAYERS
def test_through_a_link_out_of_the_tree(
    place: Place, name: str, make: t.Callable[[str], Member], whiteouts: Whiteouts
) -> None:
    """A link, then something through it: it is made where the link leads to within the tree."""
    for number, target in enumerate(OUT):
        link = symlink(f"out{number}", target.format(host=place.host))
        place.take(file("mine"), link, make(f"out{number}/{name}"), whiteouts=whiteouts)
        assert (place.tree / f"out{number}").is_symlink()
    found = {path.rpartition(f"/{name}")[0] for path in trees.seen(place.tree) if path.endswith(f"/{name}")}
    host = str(place.host)[1:]
    assert found == {host, "host", f"proc/self/root/{host}", "proc/1/cwd"}


@pytest.mark.parametrize("target", OUT)
@LAYERS
def test_through_a_link_of_an_earlier_layer(place: Place, target: str, whiteouts: Whiteouts) -> None:
    place.take(symlink("out", target.format(host=place.host)))
    place.take(file("out/file", b"new"), folder("out/sub/"), file("out/.wh.file"), file("out/sub/.wh..wh..opq"),
               whiteouts=whiteouts)  # fmt: skip
    assert (place.tree / "out").is_symlink()


@EACH_KIND
@LAYERS
def test_a_link_is_replaced_and_not_followed(
    place: Place, make: t.Callable[[str], Member], whiteouts: Whiteouts
) -> None:
    for target in ("{host}", "{host}/file", "../host/file", "../host/new"):
        link = symlink("out", target.format(host=place.host))
        place.take(file("mine"), link, make("out"), whiteouts=whiteouts)
        assert not (place.tree / "out").is_symlink() or os.readlink(place.tree / "out") == "elsewhere"


@LAYERS
def test_a_file_at_the_top(place: Place, whiteouts: Whiteouts) -> None:
    for name in (".", "/."):
        place.refuses("root of the tree", file(name), whiteouts=whiteouts)


@pytest.mark.parametrize("name", [".", "/", "./", "//", "/."])
@pytest.mark.parametrize("make", [lambda name: symlink(name, "/etc"), lambda name: hard_link(name, "mine")])
def test_the_top_is_not_replaced(place: Place, name: str, make: t.Callable[[str], Member]) -> None:
    """CVE-2021-29136: a link in the place of the root, through which all later layers are written."""
    found = make("x")
    found.info.name = name
    place.refuses("root of the tree", file("mine"), found)


def test_the_top_may_be_described(place: Place) -> None:
    place.take(folder("./", mode=0o750, uid=7), file("a"))
    info = os.stat(place.tree)
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_mtime) == (0o750, 7, 1_000_000_000)


@pytest.mark.parametrize("links", [[("a", "a")], [("a", "b"), ("b", "a")], [("a", "b/x"), ("b", "a/y")]])
def test_links_in_a_circle(place: Place, links: list[tuple[str, str]]) -> None:
    place.refuses("needed as a directory", *(symlink(*each) for each in links), file("a/file"))


def test_a_long_chain_of_links(place: Place) -> None:
    chain = [symlink(f"l{number}", f"l{number + 1}") for number in range(60)]
    place.refuses("needed as a directory", *chain, folder("l60"), file("l0/file"))


def test_a_file_on_the_way(place: Place) -> None:
    place.refuses("a: it is needed as a directory", file("a"), file("a/b"))
    place.refuses("p: it is needed as a directory", member("p", tarfile.FIFOTYPE), file("p/b"))


def test_a_dangling_link_leads_to_a_directory_that_is_made(place: Place) -> None:
    found = place.take(symlink("var/run", "/run"), symlink("deep", "x/../y/./z/"), file("var/run/pid"), file("deep/f"))
    assert (place.tree / "run/pid").exists()
    assert (place.tree / "y/z/f").exists()
    assert {"run", "var", "x", "y"} <= {path.split("/")[0] for path in found.implied}


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "etc"])
@LAYERS
def test_a_kernel_file_system_is_a_link(place: Place, name: str, whiteouts: Whiteouts) -> None:
    place.take(
        symlink(name, str(place.host)), device(f"{name}/file", 1, 3), file(f"{name}/.wh.sub"), whiteouts=whiteouts
    )
    assert stat.S_ISCHR(os.lstat(place.inside(place.host / "file")).st_mode)


# --- hard links ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["{host}/file", "/{host}/file", "/etc/passwd", "nowhere", "out/file", "dir", "."])
@LAYERS
def test_a_hard_link_to_what_is_not_in_the_tree(place: Place, target: str, whiteouts: Whiteouts) -> None:
    link = hard_link("mine", target.format(host=place.host))
    place.refuses(
        "mine: it is a hard link to", symlink("out", str(place.host)), folder("dir"), link, whiteouts=whiteouts
    )
    assert not (place.tree / "mine").exists()


@pytest.mark.parametrize("target", ["../host/file", "dir/../../host/file", "/../host/file"])
def test_a_hard_link_that_goes_up(place: Place, target: str) -> None:
    place.refuses(r"without '\.\.'", folder("dir"), hard_link("mine", target))


@LAYERS
def test_a_hard_link_to_a_link_then_a_file(place: Place, whiteouts: Whiteouts) -> None:
    """Neither does the hard link follow it, nor the file that takes its place."""
    place.take(symlink("out", str(place.host / "file")), hard_link("mine", "out"), whiteouts=whiteouts)
    assert os.readlink(place.tree / "mine") == str(place.host / "file")
    place.take(file("mine", b"new"), hard_link("other", "mine"), file("other", b"newer"), whiteouts=whiteouts)
    assert (place.tree / "mine").read_text() == "new"


def test_a_path_longer_than_python_can_resolve(place: Place) -> None:
    """CVE-2025-4517, CVE-2025-4330: what ``os.path.realpath`` did not follow to the end, the kernel then did."""
    long, steps = "d" * 247, "abcdefghijklmnop"
    members, path = [], ""
    for step in steps:
        members += [folder(f"{path}{long}"), symlink(f"{path}{step}", long)]
        path += f"{long}/"
    through = f"{'/'.join(steps)}/{'l' * 254}"
    members += [
        symlink(through, "../" * len(steps)),
        symlink("escape", f"{through}/../host"),
        hard_link("flag", "escape/file"),
        file("flag", b"overwrite"),
    ]
    place.refuses("flag: it is a hard link to escape/file", *members)


# --- whiteouts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [".wh.", "a/.wh.", ".wh..", ".wh...", "a/.wh...", ".wh..wh.x", ".wh..wh..opq/x", "a/.wh.b/c", ".wh..wh..wh.x"],
)
@LAYERS
def test_a_whiteout_of_nothing_in_its_directory(place: Place, name: str, whiteouts: Whiteouts) -> None:
    place.refuses("whiteout", folder("a"), file(name), whiteouts=whiteouts)


def test_an_ordinary_archive_has_no_whiteouts(place: Place) -> None:
    place.take(file("a"), file(".wh.a"), file(".wh..wh..opq"), whiteouts=Whiteouts.NONE)
    assert sorted(os.listdir(place.tree)) == [".wh..wh..opq", ".wh.a", "a"]


@pytest.mark.parametrize("order", list(itertools.permutations(["dir/.wh..wh..opq", "dir/new", "dir/sub/new"])))
def test_opaque_hides_what_is_below_whatever_the_order(place: Place, order: list[str]) -> None:
    place.take(
        file("dir/old"), file("dir/sub/old"), file("dir/gone/old"), symlink("dir/link", str(place.host)), file("kept")
    )
    place.take(*(file(name) for name in order))
    assert sorted(str(path.relative_to(place.tree)) for path in place.tree.rglob("*") if not path.is_dir()) == [
        "dir/new", "dir/sub/new", "kept",
    ]  # fmt: skip
    assert not (place.tree / "dir/gone").exists()


@pytest.mark.parametrize("order", list(itertools.permutations([".wh.dir", "dir/", "dir/new"])))
def test_a_whiteout_concerns_only_what_is_below(place: Place, order: list[str]) -> None:
    place.take(file("dir/old"), file("dir/sub/old"))
    place.take(*(folder(name) if name.endswith("/") else file(name) for name in order))
    assert [str(path.relative_to(place.tree)) for path in place.tree.rglob("*")] == ["dir", "dir/new"]


@pytest.mark.parametrize("order", list(itertools.permutations([file(".wh.dir"), folder("dir"), file("dir/new")])))
def test_a_whiteout_of_a_directory_that_is_made_anew_is_opaque(place: Place, order: list[Member]) -> None:
    place.take(*order, whiteouts=Whiteouts.OVERLAY)
    assert os.getxattr(place.tree / "dir", "trusted.overlay.opaque") == b"y"
    assert os.listdir(place.tree / "dir") == ["new"]


def test_an_opaque_root(place: Place) -> None:
    assert not place.take(file("old"), file("dir/old"), file("dir/.wh..wh..opq")).opaque
    assert place.take(file("new"), file(".wh..wh..opq")).opaque
    assert os.listdir(place.tree) == ["new"]
    assert place.take(file(".wh..wh..opq"), whiteouts=Whiteouts.OVERLAY).opaque, "the kernel does not heed it"


def test_a_whiteout_of_a_link_removes_the_link(place: Place) -> None:
    place.take(symlink("out", str(place.host)), symlink("dir", str(place.host / "sub")))
    place.take(file(".wh.out"), file(".wh.dir"))
    assert os.listdir(place.tree) == []


def test_a_whiteout_of_what_is_not_there(place: Place) -> None:
    place.take(file("a/.wh.b"), file(".wh.c"), file("d/.wh..wh..opq"))
    assert os.listdir(place.tree) == []


# --- devices, set-user-id, extended attributes -------------------------------------------


@LAYERS
def test_a_device_of_overlayfs(place: Place, whiteouts: Whiteouts) -> None:
    """It would hide a file of another layer, unseen by whoever reads the layer."""
    place.refuses("0:0", device("a", 0, 0), whiteouts=whiteouts)


def test_devices_only_where_they_are_wanted(place: Place) -> None:
    place.take(device("null", 1, 3, mode=0o666), device("disk", 8, 1, tarfile.BLKTYPE, mode=0o660, gid=6))
    info = os.lstat(place.tree / "disk")
    assert (stat.S_ISBLK(info.st_mode), info.st_rdev, info.st_gid, stat.S_IMODE(info.st_mode)) == (
        True, os.makedev(8, 1), 6, 0o660,
    )  # fmt: skip
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        place.refuses("device node", device("sda", 8, 0, kind), policy=Policy(devices=False))
    assert not (place.tree / "sda").exists()


@pytest.mark.parametrize("privileges", [True, False])
def test_privileges_only_where_they_are_wanted(place: Place, privileges: bool) -> None:
    text = CAPABILITY.decode("utf-8", "surrogateescape")
    place.take(
        file("suid", b"x", mode=0o6755, uid=1), folder("sgid", mode=0o2775, gid=4),
        file("ping", b"x", mode=0o755, uid=2, xattrs={"security.capability": text}),
        policy=Policy(privileges=privileges),
    )  # fmt: skip
    modes = [stat.S_IMODE(os.stat(place.tree / name).st_mode) for name in ("suid", "sgid")]
    assert modes == ([0o6755, 0o2775] if privileges else [0o755, 0o775])
    assert os.listxattr(place.tree / "ping") == (["security.capability"] if privileges else [])
    if privileges:
        assert os.getxattr(place.tree / "ping", "security.capability") == CAPABILITY


@LAYERS
def test_extended_attributes_of_the_host_are_left_away(place: Place, whiteouts: Whiteouts) -> None:
    hostile = {"trusted.overlay.redirect": "/etc", "trusted.overlay.opaque": "y", "trusted.nsfleet": "x",
               "security.selinux": "system_u:object_r:shadow_t:s0", "security.ima": "x", "system.sockprotoname": "x",
               "user.kept": "1"}  # fmt: skip
    place.take(file("a", xattrs=hostile), folder("b", xattrs=hostile), whiteouts=whiteouts)
    assert os.listxattr(place.tree / "a") == os.listxattr(place.tree / "b") == ["user.kept"]


def test_extended_attributes_of_a_directory_are_those_of_its_last_entry(place: Place) -> None:
    place.take(folder("a", xattrs={"user.old": "1", "user.both": "1"}))
    place.take(folder("a", xattrs={"user.both": "2"}, mode=0o700))
    assert os.listxattr(place.tree / "a") == ["user.both"]
    assert os.getxattr(place.tree / "a", "user.both") == b"2"


def test_owners_are_mapped(place: Place) -> None:
    shift = Policy(owner=lambda uid, gid: (uid + 100_000, gid + 200_000))
    place.take(file("a/b", uid=1, gid=2), symlink("l", "a", uid=3, gid=4), folder("d", uid=5, gid=6), policy=shift)
    owners = {name: os.lstat(place.tree / name) for name in ("a", "a/b", "l", "d")}
    assert {name: (info.st_uid, info.st_gid) for name, info in owners.items()} == {
        "a": (100_000, 200_000), "a/b": (100_001, 200_002), "l": (100_003, 200_004), "d": (100_005, 200_006),
    }  # fmt: skip


# --- names, duplicates ------------------------------------------------------------------


def test_names_that_are_not_utf_8(place: Place) -> None:
    names = [b"latin-\xe9", b"\xff\xfe", b"\x1b[31mred\n", "\u202egnp".encode()]
    place.unpack(archive(*(file(os.fsdecode(name), b"x") for name in names)))
    assert sorted(os.listdir(os.fsencode(place.tree))) == sorted(names)


def test_an_error_shows_a_name_without_tricks(place: Place) -> None:
    with pytest.raises(ImageError) as caught:
        place.take(file(os.fsdecode(b"../\x1b[31m\n\xff\xe2\x80\xae") + "x" * 3000))
    text = str(caught.value)
    assert text.isprintable()
    assert text.startswith("../\\x1b[31m\\n\\xff\\u202exxx")
    assert len(text) < 300


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a/" * 300 + "f", "more than 256 directories deep"), ("x" * 256, "File name too long"),
        ("x" * 5000, "is longer than 4095 bytes"),
    ],
)  # fmt: skip
def test_names_that_are_too_long(place: Place, name: str, message: str) -> None:
    place.refuses(message, file(name))


KINDS = {"folder": stat.S_IFDIR, "symlink": stat.S_IFLNK, "device": stat.S_IFCHR, "fifo": stat.S_IFIFO}


@pytest.mark.parametrize("first", EACH)
@LAYERS
def test_of_duplicated_entries_the_last_one_wins(place: Place, first: str, whiteouts: Whiteouts) -> None:
    for last, make in EACH.items():
        within = [file("a/within")] if first == "folder" else []
        place.take(file("mine", b"mine"), EACH[first]("a"), *within, make("a"), whiteouts=whiteouts)
        path = place.tree / "a"
        kind = stat.S_IFMT(os.lstat(path).st_mode)
        assert kind == KINDS.get(last, stat.S_IFREG)
        text = path.read_text() if kind == stat.S_IFREG else ""
        assert text == {"file": "last", "hard_link": "mine"}.get(last, "")


def test_a_file_of_two_names_is_not_written_through(place: Place) -> None:
    place.take(file("a", b"first"), hard_link("b", "a"), file("a", b"second"))
    assert (place.tree / "b").read_text() == "first"


# --- too much ---------------------------------------------------------------------------


def test_zeros_become_a_hole(place: Place) -> None:
    size = 64 << 20
    data = gzip.compress(archive(file("zeros", bytes(size)), file("end", bytes(size // 2) + b"x")), 9)
    assert len(data) < size / 500
    place.unpack(data)
    assert os.stat(place.tree / "zeros").st_size == size
    assert os.stat(place.tree / "end").st_size == size // 2 + 1
    assert trees.blocks(place.tree) == {"zeros": 0, "end": 8}


def test_a_gigabyte_of_zeros_in_a_kilobyte(place: Place) -> None:
    said = record("GNU.sparse.map", b"0,0") + record("GNU.sparse.size", b"1073741824")
    data = gzip.compress(extended(said) + header(b"zeros") + END)
    assert len(data) < 1024
    place.unpack(data)
    assert (os.stat(place.tree / "zeros").st_size, trees.blocks(place.tree)) == (1 << 30, {"zeros": 0})
    with pytest.raises(ImageError, match="zeros: it is larger than"):
        place.unpack(data, limits=Limits(file=1 << 29))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(size=1 << 20), "the archive is larger than 1048576 bytes"),
        (Limits(file=1 << 20), "zeros: it is larger than 1048576 bytes"),
        (Limits(entries=99), "more than 99 entries"), (Limits(header=1024), "extended header is larger"),
        (Limits(depth=2), "a/b/c: it is more than 2"), (Limits(name=50), "is longer than 50 bytes"),
    ],
)  # fmt: skip
def test_limits(place: Place, limits: Limits, message: str) -> None:
    many = [file(f"n{number}") for number in range(100)]
    long = [file("a/b/c"), file("d" * 100), file("x", xattrs={"user.x": "x" * 2000})]
    place.refuses(message, file("zeros", bytes(2 << 20)), *long, *many, limits=limits)


def test_the_disk_is_full(place: Place) -> None:
    world.sh(f"mount -o remount,size=8m {place.tree.parent}")
    with pytest.raises(KernelError, match=r"unpack big: No space left on device") as caught:
        place.take(file("big", os.urandom(9 << 20)))
    assert caught.value.errno == 28


# --- damaged headers ----------------------------------------------------------------------

OCTAL = b"00000000000\0"


@pytest.mark.parametrize("size", [*range(1, 512, 73), 512 + 100, 1024 + 1, 1536 + 511])
def test_an_archive_that_ends_early(place: Place, size: int) -> None:
    data = archive(file("a", b"x" * 600), file("b"))
    with pytest.raises(ImageError, match="the archive ends within"):
        place.unpack(data[:size])


DAMAGED = {
    "empty": (b"", "empty"),
    "no archive": (b"x" * 1024, "checksum of a header"),
    "checksum": (b"y" + header(b"x")[1:] + END, "checksum is wrong"),
    "size below zero": (header(b"x", size=b"\xff" * 12) + END, "x: its size is negative"),
    "size of nothing but stars": (header(b"x", size=b"***********\0") + END, "x: size: expected octal digits"),
    "size with an underscore": (header(b"x", size=b"0000000_010\0") + b"x" * 512 + END, "x: size: expected octal"),
    "size beyond the end": (header(b"x", size=b"\x80" + b"\0" * 8 + b"\x01\0\0") + END, "ends within a file"),
    "size without end": (header(b"x", size=b"\x80" + b"\x7f" * 11) + END, "x: it is larger than"),
    "owner nobody can be": (header(b"x", uid=b"\x80\0\0\0\xff\xff\xff\xff") + END, "x: owner: expected a number"),
    "owner below zero": (header(b"x", gid=b"\xff" * 8) + END, "x: owner: expected a number"),
    "time after all": (header(b"x", mtime=b"\x80" + b"\xff" * 11) + END, "x: time: it is out of range"),
    "directory with a size": (header(b"x/", b"5", b"00000001000\0") + header(b"y") + END, "x/: it is no file, and has"),
    "old directory with a size": (header(b"x/", b"\0", b"00000001000\0") + header(b"y") + END, "x/: it is no"),
    "size of a directory in a record": (extended(record("size", b"512")) + header(b"x", b"5") + END, "x: it is no"),
    "link with a size": (header(b"x", b"2", b"00000001000\0", link=b"y") + header(b"y") + END, "x: it is no file, and"),
    "file with a slash": (header(b"x/", b"0") + END, "x/: it is a file, and its name ends with a slash"),
    "unknown type": (header(b"x", b"Z") + END, "x: it is of an unknown type"),
    "continued volume": (header(b"x", b"M") + END, "x: it is of an unknown type"),
    "link to nothing": (header(b"x", b"2") + END, "x: it is a link that leads nowhere"),
    "device that cannot be": (header(b"x", b"3", rest=b"\0" * 64 + b"7777777\0" * 2) + END, "x: there is no device"),
    "record without length": (extended(b"path=x\n") + header(b"x") + END, "extended header is damaged"),
    "record of length 0": (extended(b"0 path=x\n") + header(b"x") + END, "extended header is damaged"),
    "record too long": (extended(b"99 path=x\n") + header(b"x") + END, "extended header is damaged"),
    "record too short": (extended(b"8 path=x\n") + header(b"x") + END, "extended header is damaged"),
    "record without value": (extended(b"7 path\n") + header(b"x") + END, "extended header is damaged"),
    "size below zero in a record": (extended(record("size", b"-1")) + header(b"x") + END, "x: size: expected decimal"),
    "time in a record": (extended(record("mtime", b"1e9")) + header(b"x") + END, "x: time: expected decimal"),
    "name with a zero": (extended(record("path", b"a\0b")) + header(b"x") + END, "has a byte of zero"),
    "global name": (extended(record("path", b"y"), b"g") + header(b"x") + END, "a global header sets path"),
    "two long names": (
        extended(record("path", b"y")) + extended(b"z\0", b"L") + header(b"x") + END, "x: it has two long names"
    ),
    "header at the end": (extended(record("path", b"y")) + END, "ends after an extended header"),
    "attribute in no base 64": (
        extended(record("LIBARCHIVE.xattr.user.x", b"A")) + header(b"x") + END, "damaged extended attribute"
    ),
    "more after the end": (header(b"x") + b"\0" * 512 + header(b"y") + END, "goes on after a block of zeros"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_headers(place: Place, case: str) -> None:
    data, message = DAMAGED[case]
    with pytest.raises(ImageError, match=message):
        place.unpack(data)


def said(**records: bytes) -> bytes:
    """An extended header with records of a sparse file."""
    return extended(b"".join(record(f"GNU.sparse.{key}", value) for key, value in records.items()))


def stored(data: bytes, kind: bytes = b"0", **fields: bytes) -> bytes:
    """A file and its data."""
    return header(b"x", kind, b"%011o\0" % len(data), **fields) + padded(data) + END


OLD = b"\0" * 121  #: from the magic to the map of a header of type S
SPARSE = {
    "overlapping": said(map=b"0,10,5,10", size=b"100") + stored(b"x" * 20),
    "out of order": said(map=b"50,10,5,10", size=b"100") + stored(b"x" * 20),
    "beyond the end": said(map=b"95,10", size=b"100") + stored(b"x" * 10),
    "less data": said(map=b"0,10", size=b"100") + stored(b"x" * 5),
    "more data": said(map=b"0,10", size=b"100") + stored(b"x" * 500),
    "odd": said(map=b"0,10,20", size=b"100") + stored(b"x" * 10),
    "no numbers": said(map=b"0,ten", size=b"100") + stored(b"x" * 10),
    "below zero": said(map=b"-5,10", size=b"100") + stored(b"x" * 10),
    "no size": said(map=b"0,10") + stored(b"x" * 10),
    "sizes without offsets": extended(record("GNU.sparse.numbytes", b"5") * 2) + stored(b"x" * 10),
    "map beyond the data": said(major=b"1", minor=b"0", realsize=b"100") + stored(b"1000\n0\n"),
    "map without end": said(major=b"1", minor=b"0", realsize=b"100") + stored(b"1" * 2048),
    "map of a billion parts": said(major=b"1", minor=b"0", realsize=b"100") + stored(b"1000000000\n".ljust(512, b"0")),
    "old, beyond the end": stored(
        b"x" * 5, b"S", rest=OLD + b"00000000000\0" + b"00000000005\0" + b"\0" * 73 + b"00000000001\0"
    ),
}


@pytest.mark.parametrize("case", SPARSE)
def test_maps_of_sparse_files_that_lie(place: Place, case: str) -> None:
    with pytest.raises(ImageError, match="sparse file"):
        place.unpack(SPARSE[case])
