# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees that somebody changed by hand: it is found, said, and repaired."""

from __future__ import annotations

import contextlib
import os
import pathlib
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image import tree as trees_of
from ansible_collections.nsfleet.linux.plugins.module_utils._image.tree import Difference
from support import trees, world
from support.abilities import need

Looked = t.Callable[[int], t.Any]


@pytest.fixture
def place(tmp_path: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """Two trees that are the same, and a host beside them."""
    need("extended attributes of files in memory")
    world.sh(f"mount -t tmpfs tmpfs {tmp_path}")
    world.sh(
        f"mkdir -p {tmp_path}/host {tmp_path}/source/etc {tmp_path}/source/usr/bin {tmp_path}/source/var/lib/deep"
        f" && cd {tmp_path}/source && echo host > ../host/file && echo one > etc/one && echo two > etc/two"
        " && ln etc/one etc/linked && ln -s two etc/link && mknod null c 1 3 && mkfifo fifo && echo su > usr/bin/su"
        " && chmod 4755 usr/bin/su && chown 7:8 etc/two && echo deep > var/lib/deep/file"
        f" && cp -a {tmp_path}/source {tmp_path}/tree"
    )
    os.setxattr(tmp_path / "source/etc/two", "user.kept", b"1")
    os.setxattr(tmp_path / "tree/etc/two", "user.kept", b"1")
    host = trees.seen(tmp_path / "host")
    yield tmp_path
    after = trees.seen(tmp_path / "host")
    world.sh(f"umount {tmp_path}")
    assert after == host


@contextlib.contextmanager
def opened(path: pathlib.Path) -> t.Iterator[int]:
    """A descriptor of a directory."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def ask(path: pathlib.Path, question: Looked) -> t.Any:
    """What is said of a tree."""
    with opened(path) as fd:
        return question(fd)


def changed(place: pathlib.Path, read: bool = True) -> list[Difference]:
    """What is not the same in both trees."""
    with opened(place / "source") as source, opened(place / "tree") as tree:
        return trees_of.differences(trees_of.look(source, read), trees_of.look(tree, read))


def by_metadata(tree: int) -> str:
    """Digest of a tree without what is in files."""
    return trees_of.digest(tree, content=False)


def by_content(tree: int) -> str:
    """Digest of a tree with what is in files."""
    return trees_of.digest(tree, content=True)


def test_trees_that_are_the_same(place: pathlib.Path) -> None:
    assert changed(place) == []
    for question in (by_metadata, by_content):
        assert ask(place / "source", question) == ask(place / "tree", question)
    assert ask(place / "tree", by_metadata) != ask(place / "tree", by_content)


CHANGES: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "mode": ("chmod 600 etc/two", {"etc/two": ("mode",)}),
    "set-user-id": ("chmod 755 usr/bin/su", {"usr/bin/su": ("mode",)}),
    "owner": ("chown 1:2 etc/two", {"etc/two": ("owner", "group")}),
    "content": ("echo xxx > etc/two; touch -r ../source/etc/two etc/two", {"etc/two": ("content",)}),
    "size": ("echo more >> etc/two; touch -r ../source/etc/two etc/two", {"etc/two": ("size", "content")}),
    "time": ("touch -d @7 etc/two", {"etc/two": ("time of change",)}),
    "link": ("ln -sfn one etc/link; touch -h -r ../source/etc/link etc/link; touch -r ../source/etc etc",
             {"etc/link": ("link",)}),
    "missing": ("rm fifo; touch -r ../source .", {"fifo": ("missing",)}),
    "added": ("mkdir -p new/sub; echo x > new/sub/x; touch -r ../source .",
              {"new": ("added",), "new/sub": ("added",), "new/sub/x": ("added",)}),
    "type": ("rm null; touch -r ../source/null null; touch -r ../source .", {"null": ("type", "device")}),
    "parted names": ("cp -a etc/one x; mv -f x etc/linked; touch -r ../source/etc etc; touch -r ../source .",
                     {"etc/one": ("type", "size", "link")}),
    "top": ("chmod 700 .", {".": ("mode",)}),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_a_change_is_found_and_repaired(place: pathlib.Path, case: str) -> None:
    script, expected = CHANGES[case]
    stamp, digest = ask(place / "tree", trees_of.stamp), ask(place / "tree", by_content)
    world.sh(f"cd {place}/tree && {script}")
    assert ask(place / "tree", trees_of.stamp) != stamp
    assert ask(place / "tree", by_content) != digest
    found = changed(place)
    assert {each.path: each.what for each in found} == expected
    with opened(place / "tree") as tree, opened(place / "source") as source:
        trees_of.repair(tree, source, found)
    assert changed(place) == []
    trees.same(place / "source", place / "tree")


def test_extended_attributes(place: pathlib.Path) -> None:
    os.setxattr(place / "tree/etc/two", "user.kept", b"2")
    assert changed(place) == [Difference("etc/two", ("extended attributes",))]


def test_content_only_where_it_is_asked_for(place: pathlib.Path) -> None:
    world.sh(f"cd {place}/tree && echo xxx > etc/two && touch -r ../source/etc/two etc/two")
    assert changed(place, read=False) == []
    assert ask(place / "source", by_metadata) == ask(place / "tree", by_metadata)
    assert ask(place / "source", by_content) != ask(place / "tree", by_content)


def test_a_hostile_tree_is_repaired(place: pathlib.Path) -> None:
    """Directories became links out of it: what is theirs is made anew, and not through them."""
    world.sh(
        f"cd {place}/tree && rm -r etc var && ln -s ../../host etc && ln -s {place}/host var && mkdir -p usr/a"
        " && ln -s / usr/a/root && rm null && ln -s ../host/file null"
    )
    with opened(place / "tree") as tree, opened(place / "source") as source:
        trees_of.repair(tree, source, changed(place))
    trees.same(place / "source", place / "tree")


def test_a_changed_file_with_several_names_stays_one(place: pathlib.Path) -> None:
    world.sh(f"cd {place}/tree && echo changed > etc/linked")
    with opened(place / "tree") as tree, opened(place / "source") as source:
        trees_of.repair(tree, source, changed(place))
    trees.same(place / "source", place / "tree")


def test_a_tree_as_text(place: pathlib.Path) -> None:
    (place / "tree" / os.fsdecode(b"latin-\xe9")).touch()
    seen = ask(place / "tree", lambda tree: trees_of.look(tree, True))
    assert trees_of.load(trees_of.dump(seen)) == seen


def test_a_stamp_tells_what_metadata_do_not(place: pathlib.Path) -> None:
    """A file that was changed and given its old time, a file in another's place, and nothing at all."""
    stamps = [ask(place / "tree", trees_of.stamp)]
    assert ask(place / "tree", trees_of.stamp) == stamps[0]
    for script in ("echo two > etc/two; touch -r ../source/etc/two etc/two", "mv etc/two x; cp -a x etc/two; rm x",
                   "touch etc/new; rm etc/new; touch -r ../source/etc etc", "ln null null2", "rm null2"):  # fmt: skip
        world.sh(f"cd {place}/tree && {script}")
        stamps.append(ask(place / "tree", trees_of.stamp))
    assert len(set(stamps)) == len(stamps)
