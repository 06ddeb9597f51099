# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths in a root that somebody else fills: no link leads out of it (openat2(2))."""

from __future__ import annotations

import errno
import os
import pathlib
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import path as paths


class Root:
    """A root beside something that it must not reach."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.outside = folder / "secret"
        self.outside.write_text("secret")
        self.folder = folder / "root"
        (self.folder / "etc").mkdir(parents=True)
        (self.folder / "etc/hosts").write_text("inside")
        self.fd = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)

    def inside(self, fd: int) -> str:
        """Where a descriptor leads to, as seen from the root; it is closed."""
        place = os.readlink(f"/proc/self/fd/{fd}")
        os.close(fd)
        assert place.startswith(f"{self.folder}"), f"{place} is outside"
        return place.removeprefix(f"{self.folder}") or "/"


@pytest.fixture
def root(tmp_path: pathlib.Path) -> t.Iterator[Root]:
    """A root."""
    made = Root(tmp_path)
    yield made
    os.close(made.fd)


@pytest.mark.parametrize(
    "path", ["/etc/hosts", "etc/hosts", "../../../etc/hosts", "/etc/../../etc/hosts", "//etc//hosts"]
)
def test_the_root_is_the_top(root: Root, path: str) -> None:
    assert root.inside(paths.open_in(root.fd, path, os.O_RDONLY)) == "/etc/hosts"
    assert paths.read_file(root.fd, path) == "inside"


@pytest.mark.parametrize("target", ["/etc", "../../../../etc", "/../etc", "../etc/../../etc"])
def test_links_stay_inside(root: Root, target: str) -> None:
    (root.folder / "link").symlink_to(target)
    assert root.inside(paths.open_in(root.fd, "/link", os.O_PATH | os.O_DIRECTORY)) == "/etc"
    assert paths.read_file(root.fd, "link/hosts") == "inside"


def test_a_link_to_what_is_outside_leads_to_nothing(root: Root) -> None:
    (root.folder / "link").symlink_to(root.outside)
    with pytest.raises(FileNotFoundError):
        paths.open_in(root.fd, "/link", os.O_RDONLY)
    assert paths.read_file(root.fd, "/link") is None
    assert root.outside.read_text() == "secret"


def test_links_are_refused_where_none_may_be(root: Root) -> None:
    (root.folder / "link").symlink_to("etc")
    with pytest.raises(OSError, match="symbolic links") as caught:
        paths.open_in(root.fd, "/link/hosts", os.O_RDONLY, follow=False)
    assert caught.value.errno == errno.ELOOP
    assert root.inside(paths.open_in(root.fd, "/etc/hosts", os.O_RDONLY, follow=False)) == "/etc/hosts"


def test_magic_links_are_never_followed() -> None:
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        for path in ("self/root/etc", "self/cwd", "self/exe"):
            with pytest.raises(OSError, match="symbolic links"):
                paths.open_in(proc, path, os.O_PATH)
    finally:
        os.close(proc)


def test_what_is_missing_is_made_inside(root: Root) -> None:
    assert root.inside(paths.make_directory(root.fd, "/a/../b/./c")) in ("/b/c", "/a/../b/c")
    assert root.inside(paths.make_directory(root.fd, "/var/lib/web")) == "/var/lib/web"
    assert root.inside(paths.make_file(root.fd, "/run/web/socket")) == "/run/web/socket"
    assert (root.folder / "run/web/socket").read_bytes() == b""
    assert root.inside(paths.make_file(root.fd, "/etc/hosts")) == "/etc/hosts"
    assert (root.folder / "etc/hosts").read_text() == "inside"


@pytest.mark.parametrize("target", ["{outside}", "../../{name}", "/nowhere"])
def test_nothing_is_made_through_a_link_that_leads_out(root: Root, target: str) -> None:
    link = target.format(outside=root.outside.parent / "new", name="new")
    (root.folder / "link").symlink_to(link)
    for make in (paths.make_directory, paths.make_file):
        try:
            place = root.inside(make(root.fd, "/link/below"))
        except OSError as error:
            place = error.strerror or ""
        assert place
    assert sorted(os.listdir(root.outside.parent)) == ["root", "secret"]


def test_a_file_on_the_way_is_an_error(root: Root) -> None:
    with pytest.raises(NotADirectoryError):
        paths.make_directory(root.fd, "/etc/hosts/below")
    assert paths.read_file(root.fd, "/etc/hosts/below") is None


def test_only_small_regular_files_are_read(root: Root) -> None:
    os.mkfifo(root.folder / "fifo")
    os.mknod(root.folder / "zero", 0o20666, os.makedev(1, 5))
    (root.folder / "large").write_bytes(b"x" * (paths.LARGEST + 1))
    (root.folder / "most").write_bytes(b"x" * paths.LARGEST)
    for name, number in (("fifo", errno.EINVAL), ("zero", errno.EINVAL), ("etc", errno.EINVAL), ("large", errno.EFBIG)):
        with pytest.raises(OSError, match="expected") as caught:
            paths.read_file(root.fd, name)
        assert caught.value.errno == number
    assert len(paths.read_file(root.fd, "most") or "") == paths.LARGEST


def test_descriptors_are_closed_on_exec(root: Root) -> None:
    fd = paths.open_in(root.fd, "/etc/hosts", os.O_RDONLY)
    assert not os.get_inheritable(fd)
    os.close(fd)
