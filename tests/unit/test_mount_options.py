# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every mount option of the runtime-spec's table, and what it comes to in the kernel's words."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import mount, mount_api
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import labels, mounts
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime.mount_options import known_options, parse_options
from hypothesis import given
from hypothesis import strategies as st

# MOUNT_ATTR_* of linux/mount.h, and MOUNT_ATTR__ATIME.
RDONLY, NOSUID, NODEV, NOEXEC, NODIRATIME, NOSYMFOLLOW = 0x1, 0x2, 0x4, 0x8, 0x80, 0x200000
RELATIME, NOATIME, STRICTATIME, ATIME = 0x00, 0x10, 0x20, 0x70

#: Option to (set, cleared); with an ``r`` in front of it, the same for all mounts below.
ATTRIBUTES = {
    "ro": (RDONLY, 0), "rw": (0, RDONLY), "nosuid": (NOSUID, 0), "suid": (0, NOSUID), "nodev": (NODEV, 0),
    "dev": (0, NODEV), "noexec": (NOEXEC, 0), "exec": (0, NOEXEC), "nodiratime": (NODIRATIME, 0),
    "diratime": (0, NODIRATIME), "nosymfollow": (NOSYMFOLLOW, 0), "symfollow": (0, NOSYMFOLLOW),
    "relatime": (RELATIME, ATIME), "noatime": (NOATIME, ATIME), "strictatime": (STRICTATIME, ATIME),
    "norelatime": (RELATIME, ATIME), "atime": (RELATIME, ATIME), "nostrictatime": (RELATIME, ATIME),
}  # fmt: skip
#: The table of runtime-spec 1.2, config.md, "Linux mount options", in its order.
TABLE = [
    "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "iversion", "lazytime", "loud", "mand",
    "noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime",
    "nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "remount", "rexec",
    "rnoatime", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid", "rnosymfollow", "ro", "rprivate",
    "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid", "rsymfollow", "runbindable", "rw",
    "shared", "silent", "slave", "strictatime", "suid", "symfollow", "sync", "tmpcopyup", "unbindable", "idmap",
    "ridmap",
]  # fmt: skip


def test_every_option_of_the_spec_is_known() -> None:
    assert set(TABLE) <= set(known_options())


@pytest.mark.parametrize("word", ATTRIBUTES)
def test_attributes(word: str) -> None:
    found = parse_options([word])
    assert (tuple(found.attributes), tuple(found.below)) == (ATTRIBUTES[word], (0, 0))
    found = parse_options([f"r{word}"])
    assert (tuple(found.attributes), tuple(found.below)) == ((0, 0), ATTRIBUTES[word])
    assert found.filesystem == ()


@pytest.mark.parametrize(
    ("words", "attributes"),
    [
        (["ro", "rw"], (0, RDONLY)),
        (["rw", "ro"], (RDONLY, 0)),
        (["noatime", "norelatime"], (NOATIME, ATIME)),
        (["noatime", "atime"], (RELATIME, ATIME)),
        (["strictatime", "nostrictatime"], (RELATIME, ATIME)),
        (["strictatime", "atime", "norelatime"], (STRICTATIME, ATIME)),
        (["noatime", "strictatime"], (STRICTATIME, ATIME)),
        (["nosuid", "nodev", "nosuid", "dev"], (NOSUID, NODEV)),
    ],
)
def test_the_last_word_counts(words: list[str], attributes: tuple[int, int]) -> None:
    assert parse_options(words).attributes == attributes
    assert parse_options([f"r{word}" for word in words]).below == attributes


def test_propagation_is_kept_in_its_order() -> None:
    found = parse_options(["rprivate", "shared", "runbindable", "slave"])
    assert found.propagations == (
        (mount.MS_PRIVATE, True), (mount.MS_SHARED, False), (mount.MS_UNBINDABLE, True), (mount.MS_SLAVE, False),
    )  # fmt: skip


def test_ways() -> None:
    found = parse_options(["rbind", "ridmap", "remount", "tmpcopyup"])
    assert found.bind
    assert found.recursive
    assert found.idmap
    assert found.idmap_below
    assert found.remount
    assert found.copy_up
    found = parse_options(["bind", "idmap"])
    assert found.bind
    assert found.idmap
    assert found.ways == {"bind", "idmap"}


def test_what_belongs_to_the_file_system_is_passed_on_as_it_is() -> None:
    words = ["size=64k", "noswap", "lowerdir+=/a", "lowerdir+=/b", "sync", "lazytime", "nomand", "dirsync", "x=a=b"]
    assert parse_options(words).filesystem == (
        ("size", "64k"), ("noswap", None), ("lowerdir+", "/a"), ("lowerdir+", "/b"), ("sync", None),
        ("lazytime", None), ("nomand", None), ("dirsync", None), ("x", "a=b"),
    )  # fmt: skip
    assert parse_options(["defaults", "silent", "loud", "iversion", "noiversion"]) == parse_options([])


@pytest.mark.parametrize("word", ["z", "Z", "relabel", "relabel=shared"])
def test_relabelling_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="expected a label that is set by other means"):
        parse_options(["ro", word])


@given(st.lists(st.sampled_from(known_options()), max_size=8))
def test_attributes_are_such_that_the_kernel_takes_them(words: list[str]) -> None:
    """mount_setattr(2): access times are one of three, and named whole where they are changed."""
    found = parse_options(words)
    for attributes in (found.attributes, found.below):
        assert attributes.cleared & ATIME in (0, ATIME)
        assert attributes.set & ATIME in (RELATIME, NOATIME, STRICTATIME)
        assert attributes.set & ATIME == 0 or attributes.cleared & ATIME == ATIME
        assert attributes.set & attributes.cleared & ~ATIME == 0


@pytest.mark.parametrize(
    ("entry", "labelled"),
    [
        ({"type": "tmpfs"}, True),
        ({"type": "devpts"}, True),
        ({"type": "overlay"}, True),
        ({"type": "proc"}, False),
        ({"type": "sysfs"}, False),
        ({"type": "mqueue"}, False),
    ],
)
def test_new_file_systems_are_labelled(
    monkeypatch: pytest.MonkeyPatch, entry: dict[str, t.Any], labelled: bool
) -> None:
    """But those whose labels the policy has. A label with a comma is one value."""
    asked: list[tuple[str, str | None]] = []

    def new_filesystem(_kind: str, options: t.Iterable[tuple[str, str | None]], *_more: int) -> int:
        asked.extend(options)
        return -1

    monkeypatch.setattr(mount_api, "new_filesystem", new_filesystem)
    mounts.prepare_mount({"destination": "/a", **entry}, "/", None, "u:r:t:s0:c1,c2").make()
    assert (("context", "u:r:t:s0:c1,c2") in asked) is labelled


def test_nobody_asks_for_labels_without_selinux(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(labels, "_SELINUX", str(tmp_path))
    assert labels.mount_label({"mountLabel": "u:r:t:s0"}) == ""
    (tmp_path / "class").mkdir()
    assert labels.mount_label({"mountLabel": "u:r:t:s0"}) == "u:r:t:s0"
    assert labels.mount_label({}) == ""
