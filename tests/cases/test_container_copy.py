# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers with a copy of their image: hosts without overlayfs, and without idmapped mounts."""

from __future__ import annotations

import errno
import os
import pathlib
import shutil
import stat
import struct
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import mount_api
from support import images, kill, laws, trees, world
from support.abilities import need
from support.archives import archive, file, folder, hard_link, symlink
from support.images import Image
from support.invoke import invoke
from support.rooted import BASE as ROOT
from support.rooted import USR, WAIT

NAME = "shop/web:1"
BUNDLE = "/var/lib/nsfleet/containers/case"
BASE: dict[str, t.Any] = {"name": "case", "image": NAME, "mounts": [USR], "stop_timeout": 0.5}
IDS = [{"container_id": 0, "host_id": 100000, "size": 1000}]
MAPPED = {**BASE, "namespaces": {"user": "private"}, "uid_mappings": IDS, "gid_mappings": IDS, "idmap": True}
#: CAP_NET_RAW, effective: of any user namespace, and of that whose root is 100000 outside (linux/capability.h).
CAPABLE = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
CAPABLE_INSIDE = struct.pack("<6I", 0x03000001, 1 << 13, 0, 0, 0, 100000)
#: rw for the owner, r for user 7 (linux/posix_acl_xattr.h).
LIST = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, rights, number)
    for tag, rights, number in ((1, 6, 2**32 - 1), (2, 4, 7), (4, 4, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1))
)
TIME = 1_700_000_000


def image(version: str) -> Image:
    """An image of two layers, whose upper one takes things of the lower one away."""
    acl = {"system.posix_acl_access": LIST.decode("utf-8", "surrogateescape")}
    lower = archive(
        folder("old"), file("old/gone", b"gone"), folder("cover"), file("cover/below", b"below"),
        file("srv-file", b"content", uid=7, gid=8, mode=0o6755, mtime=TIME), hard_link("other-name", "srv-file"),
        file("capable", b"\x7fELF", mode=0o755, xattrs={"security.capability": CAPABLE.decode("latin-1")}),
        file("listed", b"listed", mode=0o640, xattrs=acl),
        file("far", b"far", uid=5000, gid=5000), symlink("link", "srv-file", uid=7, gid=8),
    )  # fmt: skip
    upper = archive(
        folder("./", mtime=TIME),
        folder("srv"), file("srv/version", version.encode()), file("old/.wh.gone"), folder("cover"),
        file("cover/.wh..wh..opq"), file("cover/above", b"above"), file("holes", b"\0" * (1 << 20) + b"end"),
    )  # fmt: skip
    return Image(ROOT, lower, upper, config={"Cmd": list(WAIT)})


@pytest.fixture
def have(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[[str], pathlib.Path]]:
    """Let the name lead to an image, whose layout is given; at the end to none."""

    def pull(version: str) -> pathlib.Path:
        path = tmp_path / f"layout{version}"
        shutil.rmtree(path, ignore_errors=True)
        images.layout(path, {"1": image(version)})
        laws.run("image", {"name": NAME, "path": str(path), "state": "latest"})
        return path

    yield pull
    laws.run("image", {"name": NAME, "state": "absent"})


@pytest.fixture
def on_overlayfs(tmp_path: pathlib.Path) -> t.Iterator[None]:
    """All that is kept is on overlayfs, which takes no upper directories of its own kind, and no idmapped mounts."""
    folders = {name: tmp_path / name for name in ("lower", "upper", "work")}
    for path in folders.values():
        path.mkdir()
    options = "lowerdir={lower},upperdir={upper},workdir={work}".format(**folders)
    world.sh(f"mount -t overlay -o {options} overlay /var/lib/nsfleet")
    yield
    world.sh("umount /var/lib/nsfleet")


@pytest.fixture
def no_overlayfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel says that it has none."""
    real = mount_api.new_filesystem

    def new_filesystem(kind: str, *words: t.Any) -> int:
        if kind == "overlay":
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        return real(kind, *words)

    monkeypatch.setattr(mount_api, "new_filesystem", new_filesystem)


@pytest.fixture
def no_idmapped_mounts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses, as it does for file systems that have none."""

    def refuse(*_words: t.Any, **_options: t.Any) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(mount_api, "map_ids", refuse)


def first() -> int:
    """The first process of the container."""
    return int(world.sh("pgrep -of '^/bin/sh -c trap'"))


def inside(command: str) -> str:
    """Output of a shell command in the container."""
    return world.sh(f"nsenter --target {first()} --all --root --wd=/ -- sh -c '{command}'").strip()


def own() -> list[str]:
    """What the container has beside its description and its logs."""
    return sorted(name for name in os.listdir(BUNDLE) if name.startswith(("tree", "upper", "work")))


# --- no overlayfs ----------------------------------------------------------------------


@pytest.mark.usefixtures("on_overlayfs")
def test_a_copy_is_what_umoci_unpacks_and_lives_as_long_as_the_container(have: t.Callable[[str], pathlib.Path]) -> None:
    path = have("1")
    (told,) = laws.run("image_info", {"name": NAME})["images"]
    assert (told["plain"], len(told["layers"])) == (True, 1)
    done = laws.four_steps("container", {**BASE, "state": "present"})
    assert done["diff"]["after"]["overlay"] == "copy"
    need("umoci")
    world.sh(f"umoci raw unpack --image {path}:1 {path}/tree")
    trees.same(path / "tree", f"{BUNDLE}/tree")
    laws.four_steps("container", BASE)
    before = trees.seen(told["layers"][0])
    assert inside("echo own >/srv/own; rm /etc/group; cat /srv/own") == "own"
    assert trees.seen(told["layers"][0]) == before
    laws.four_steps("container", {**BASE, "env": {"A": "b"}})
    assert inside("cat /srv/own; test -e /etc/group || echo gone") == "own\ngone", "a restart keeps what was written"
    have("2")
    done = laws.four_steps("container", BASE)
    assert {step["effect"] for step in done["plan"]} == {"recreate"}
    assert inside("cat /srv/version; echo; ls /srv") == "2\nversion"
    assert own() == ["tree.2"]
    laws.remove("container", BASE)
    assert not os.path.exists(BUNDLE)


@pytest.mark.usefixtures("on_overlayfs")
def test_an_image_that_is_only_read_is_not_copied(have: t.Callable[[str], pathlib.Path]) -> None:
    have("1")
    laws.four_steps("container", {**BASE, "read_only": True})
    assert inside("cat /srv/version; touch /srv/x 2>&1 || true").endswith("Read-only file system")
    assert own() == []
    laws.remove("container", BASE)


@pytest.mark.usefixtures("no_overlayfs")
def test_a_kernel_without_overlayfs(have: t.Callable[[str], pathlib.Path]) -> None:
    have("1")
    os.makedirs(f"{BUNDLE}/tree.part/half")  # of a run that was killed
    laws.run("container", BASE)
    assert inside("cat /srv/version") == "1"
    assert own() == ["tree"]
    laws.settled("container", BASE)
    failed = invoke("container", {**BASE, "overlay": "disk"})
    assert "could not be started so, and was not stopped" in failed["msg"]
    assert "this kernel has no overlayfs" in failed["msg"]
    assert inside("cat /srv/version") == "1"
    laws.run("container", {"name": "case", "state": "absent"})


@pytest.mark.usefixtures("on_overlayfs")
def test_a_copy_that_is_interrupted_is_begun_anew(have: t.Callable[[str], pathlib.Path]) -> None:
    need("system calls of x86_64")
    have("1")
    before = world.snapshot()
    halves = 0
    for number in (20, 100, 180):
        assert kill.run_and_kill("container", BASE, number).killed
        halves += os.path.exists(f"{BUNDLE}/tree.part/srv-file")
        laws.run("container", BASE)
        assert own() == ["tree"]
        assert inside("cat /srv/version /cover/above") == "1above"
        laws.run("container", {"name": "case", "state": "absent"})
        assert world.difference(before, world.snapshot()) == []
    assert halves, "none was killed while it copied"


def test_a_copy_needs_an_image() -> None:
    options = {"name": "case", "rootfs": "/", "overlay": "copy", "command": ["/bin/true"]}
    laws.refused("container", options, "overlay: copy needs an image")


# --- no idmapped mounts ----------------------------------------------------------------


def owners(path: str) -> tuple[int, int]:
    """User and group of a file of the container on the host."""
    info = os.lstat(f"{BUNDLE}/tree/{path}")
    return info.st_uid, info.st_gid


def given_away() -> None:
    """Files of the container belong to its users outside, with all that is theirs."""
    assert [owners(path) for path in (".", "srv-file", "link")] == [(100000, 100000), *[(100007, 100008)] * 2]
    assert owners("far") == (5000, 5000), "nobody of the container's"
    info = os.lstat(f"{BUNDLE}/tree/srv-file")
    assert (stat.S_IMODE(info.st_mode), info.st_nlink, info.st_mtime) == (0o6755, 2, TIME)
    assert os.path.samefile(f"{BUNDLE}/tree/srv-file", f"{BUNDLE}/tree/other-name")
    assert os.getxattr(f"{BUNDLE}/tree/capable", "security.capability") == CAPABLE_INSIDE
    assert struct.pack("<HHI", 2, 4, 100007) in os.getxattr(f"{BUNDLE}/tree/listed", "system.posix_acl_access")
    assert inside("stat -c %u:%g /srv-file /link /srv; stat -c %u /far") == "7:8\n7:8\n0:0\n65534"
    assert inside("echo own >/srv/own; stat -c %u /srv/own") == "0"


@pytest.mark.usefixtures("on_overlayfs")
def test_owners_on_a_file_system_without_idmapped_mounts(have: t.Callable[[str], pathlib.Path]) -> None:
    have("1")
    laws.four_steps("container", MAPPED)
    given_away()
    laws.four_steps("container", {**MAPPED, "env": {"A": "b"}})
    given_away()
    moved = [{**IDS[0], "host_id": 300000}]
    laws.refused("container", {**MAPPED, "uid_mappings": moved}, "uid_mappings: this host has no idmapped mounts")
    have("2")
    laws.run("container", {**MAPPED, "uid_mappings": moved, "gid_mappings": moved})
    assert os.stat(f"{BUNDLE}/tree.2/srv/version").st_uid == 300000
    assert inside("stat -c %u /srv/version") == "0"
    laws.remove("container", BASE)


@pytest.mark.usefixtures("no_idmapped_mounts")
def test_owners_of_layers_are_nobody_else_s(have: t.Callable[[str], pathlib.Path]) -> None:
    """Shared files stay as they are: it is said what to do, which does it."""
    have("1")
    (told,) = laws.run("image_info", {"name": NAME})["images"]
    before = [trees.seen(layer) for layer in told["layers"]]
    failed = invoke("container", MAPPED)
    assert "this kernel has no idmapped mounts of that file system; say overlay: copy" in failed["msg"]
    laws.run("container", {**MAPPED, "overlay": "copy"})
    given_away()
    assert [trees.seen(layer) for layer in told["layers"]] == before
    laws.run("container", {"name": "case", "state": "absent"})


def test_a_copy_is_shown_with_other_owners_where_that_can_be(have: t.Callable[[str], pathlib.Path]) -> None:
    need("idmapped mounts")
    have("1")
    laws.run("container", {**MAPPED, "overlay": "copy"})
    assert [owners(path) for path in (".", "srv-file")] == [(0, 0), (7, 8)]
    assert inside("stat -c %u:%g /srv-file; echo own >/srv/own; stat -c %u /srv/own") == "7:8\n0"
    assert owners("srv/own") == (0, 0)
    laws.run("container", {"name": "case", "state": "absent"})
