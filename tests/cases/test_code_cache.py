# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled code that tasks keep on a host: when it is written, whose it must be, and that it goes.

Tasks are run by ansible-playbook, since only then modules come out of an archive.
"""

from __future__ import annotations

import json
import marshal
import os
import pathlib
import typing as t

import pytest
from support import site, world
from support.abilities import need

DIRECTORY = "/run/nsfleet/code"
#: A file that every task needs.
FILE = "module_utils._plan.engine"
#: Printed by the code that a test puts in the place of ours.
STRANGE = "this code is not ours"


@pytest.fixture
def play(tmp_path: pathlib.Path) -> t.Callable[..., str]:
    """Run module netns for the namespace ``case``, with options of the task and of ansible-playbook."""
    need("ansible-playbook")

    def run(options: dict[str, t.Any], *more: str) -> str:
        task = {"nsfleet.linux.netns": {"name": "case", **options}}
        playbook = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task]}]
        path = tmp_path / "play.yml"
        path.write_text(json.dumps(playbook))
        return site.play(str(path), {}, *more)

    return run


def kept() -> dict[str, tuple[int, int]]:
    """Files that are kept, with their inode and modification time in nanoseconds."""
    if not os.path.isdir(DIRECTORY):
        return {}
    found = {entry.name: entry.stat() for entry in os.scandir(DIRECTORY)}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


def file_of_engine() -> str:
    """Path of the code of :data:`FILE`."""
    (name,) = [name for name in kept() if name.startswith(FILE)]
    return os.path.join(DIRECTORY, name)


def put_strange_code() -> None:
    """Put code into a file that says that it is of the right source."""
    path = file_of_engine()
    with open(path, "r+b") as file:
        head = file.read(16)
        file.seek(0)
        file.truncate()
        file.write(head + marshal.dumps(compile(f"raise SystemExit({STRANGE!r})", "strange", "exec")))


def test_it_is_there_as_long_as_there_is_an_object_and_written_only_by_changes(play: t.Callable[..., str]) -> None:
    play({}, "--check")
    assert kept() == {}, "check mode writes nothing"
    play({})
    first = kept()
    assert any(name.startswith(FILE) for name in first)
    assert world.sh(f"stat -c '%U %a' {DIRECTORY} {file_of_engine()}").split("\n")[:2] == ["root 700", "root 600"]
    os.unlink(file_of_engine())
    second = kept()
    assert "changed=0" in play({})
    assert kept() == second, "a task that changes nothing only reads"
    play({"state": "absent"})
    assert not os.path.exists("/run/nsfleet")


def test_it_goes_though_somebody_else_removed_the_last_object(play: t.Callable[..., str]) -> None:
    play({})
    world.sh("ip netns delete case")
    assert "changed=0" in play({"state": "absent"})
    assert not os.path.exists("/run/nsfleet")


def test_it_is_what_a_task_executes(play: t.Callable[..., str]) -> None:
    play({})
    put_strange_code()
    with pytest.raises(AssertionError, match=STRANGE):
        play({})
    os.unlink(file_of_engine())
    play({"state": "absent"})


@pytest.mark.parametrize(
    "change",
    ["chmod g+w {}", "chmod o+w {}", "chown nobody {}"],
    ids=["writable by its group", "writable by others", "of another user"],
)
def test_what_others_can_have_written_is_not_executed(play: t.Callable[..., str], change: str) -> None:
    play({})
    put_strange_code()
    world.sh(change.format(file_of_engine()))
    assert "changed=0" in play({})
    play({"state": "absent"})


def test_code_of_another_source_is_replaced_by_the_next_change(play: t.Callable[..., str]) -> None:
    play({})
    put_strange_code()
    with open(file_of_engine(), "r+b") as file:
        file.seek(8)
        file.write(bytes(8))  # hash of the source (PEP 552)
    play({"loopback": False})
    assert STRANGE.encode() not in pathlib.Path(file_of_engine()).read_bytes()
    play({"state": "absent"})


def test_a_task_does_not_fail_where_nothing_can_be_kept(play: t.Callable[..., str]) -> None:
    os.makedirs(DIRECTORY)
    world.sh(f"mount -t tmpfs -o size=4k none {DIRECTORY} && head -c 4096 /dev/zero > {DIRECTORY}/full")
    try:
        play({})
        assert "changed=0" in play({})
        play({"state": "absent"})
    finally:
        world.sh(f"umount {DIRECTORY}; rmdir {DIRECTORY} /run/nsfleet")


def test_damaged_code_is_compiled_again(play: t.Callable[..., str]) -> None:
    play({})
    os.truncate(file_of_engine(), 100)
    assert "changed=0" in play({})
    play({"state": "absent"})
