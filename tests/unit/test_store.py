# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records, journal and locks on disk."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import files
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError
from ansible_collections.nsfleet.linux.plugins.module_utils._plan import store as stores
from ansible_collections.nsfleet.linux.plugins.module_utils._plan.record import Record
from ansible_collections.nsfleet.linux.plugins.module_utils._plan.store import Store
from hypothesis import given
from hypothesis import strategies as st
from support.imaginary import host

RECORD = Record({"mtu": 9000}, {"mtu": 1500}, {"serial": 1})


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Store:
    """An empty one."""
    return Store("imaginary", "thing", str(tmp_path / "run"))


def in_child(work: t.Callable[[], None]) -> int:
    """Run something in another process; its id."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


# --- locks -----------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
def test_two_runs_wait_for_each_other(store: Store, tmp_path: pathlib.Path, shared: bool) -> None:
    log = tmp_path / "log"

    def second() -> None:
        os.close(writing)
        os.read(reading, 1)  # until the first one is in it, or gone
        with store.shared() if shared else store.exclusive(), open(log, "a", encoding="utf-8") as file:
            file.write("second\n")

    reading, writing = os.pipe()
    child = in_child(second)
    with store.exclusive():
        os.write(writing, b"x")
        store.save("web", RECORD)
        for _turn in range(50):  # the second one comes to its lock meanwhile; if it got it, it would write first
            os.sched_yield()
        while not waits(child):
            os.sched_yield()
        with open(log, "a", encoding="utf-8") as file:
            file.write("first\n")
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    assert log.read_text() == "first\nsecond\n"


def waits(pid: int) -> bool:
    """Whether a process has the directory of the store open, so that it came as far as the lock."""
    try:
        return any("imaginary" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return False


def test_readers_do_not_wait_for_each_other(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "LOCK_TIMEOUT", 0.0)
    with store.exclusive():
        store.save("web", RECORD)
    with store.shared(), store.shared():
        assert store.load("web") == RECORD


@pytest.mark.parametrize("shared", [False, True])
def test_a_run_that_waits_too_long_says_for_what(store: Store, monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    monkeypatch.setattr(stores, "LOCK_TIMEOUT", 0.0)
    with store.exclusive():
        store.save("web", RECORD)
        with pytest.raises(NsfleetError, match=r"another run .* \(it holds the lock .*/imaginary\)"):
            (store.shared() if shared else store.exclusive()).__enter__()
    with store.exclusive():
        assert store.load("web") == RECORD


def test_looking_makes_nothing(store: Store, tmp_path: pathlib.Path) -> None:
    with store.shared():
        assert store.load("web") is None
        assert store.interrupted() == []
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_directory_that_was_removed_meanwhile_is_taken_anew(
    store: Store, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def late(self: Store, fd: int, how: int) -> None:
        if not tries:  # the run before us ends, and takes its empty directories away, while we wait
            os.rmdir(self.directory)
        tries.append(how)
        flock(self, fd, how)

    flock = Store._flock
    monkeypatch.setattr(Store, "_flock", late)
    with store.exclusive():
        assert len(tries) == 2
        store.save("web", RECORD)
    assert (tmp_path / "run/imaginary/thing/web.json").exists()


# --- records ---------------------------------------------------------------------------


def test_what_is_empty_vanishes(store: Store, tmp_path: pathlib.Path) -> None:
    with store.exclusive():
        store.save("web", RECORD)
    assert (tmp_path / "run").exists()
    with store.exclusive():
        store.forget({"web": None})
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_empty_stays(store: Store, tmp_path: pathlib.Path) -> None:
    other = Store("imaginary", "other", str(tmp_path / "run"))
    with store.exclusive():
        store.save("web", RECORD)
        other.save("web", RECORD)
    with store.exclusive():
        store.forget({"web": None})
    assert other.load("web") == RECORD


@given(st.text("ab/%@. 2F5", min_size=1, max_size=8), st.text("ab/%@. 2F5", min_size=1, max_size=8))
def test_keys_are_told_apart_and_stay_in_their_directory(one: str, other: str) -> None:
    with host() as here:
        store = Store("imaginary", "thing", here.root)
        with store.exclusive():
            store.save(one, RECORD)
            assert os.listdir(store.records) != []
            assert store.load(one) == RECORD
            assert (store.load(other) is None) == (one != other)
            store.forget({one: None})
        assert not os.path.exists(here.root)


def test_what_is_enclosed_goes_along(store: Store, tmp_path: pathlib.Path) -> None:
    bridge = Store("imaginary", "bridge", str(tmp_path / "run"))
    with store.exclusive():
        for key in ("br0@web", "br0@web2", "br0@"):
            bridge.save(key, RECORD)
        store.save("web", RECORD)
        store.forget({"web": lambda key: key.endswith("@web")})
        assert [key for key in ("br0@web", "br0@web2", "br0@") if bridge.load(key)] == ["br0@web2", "br0@"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "7", "{}", '{"options": 1}', "\0", '{"options": {}}'])
def test_a_damaged_record_is_none(store: Store, text: str) -> None:
    with store.exclusive():
        store.save("web", RECORD)
        with open(os.path.join(store.records, "web.json"), "w", encoding="utf-8") as file:
            file.write(text)
        assert store.load("web") is None


def test_a_record_is_whole_or_not_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        del descriptor
        raise OSError(28, "No space left on device")

    with store.exclusive():
        store.save("web", RECORD)
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises((OSError, NsfleetError), match="No space left"):
            store.save("web", RECORD._replace(options={}))
        assert store.load("web") == RECORD
        assert os.listdir(store.records) == ["web.json"]


# --- stores of other domains ----------------------------------------------------------------


@pytest.fixture
def neighbour(tmp_path: pathlib.Path) -> Store:
    """What a killed run left in a domain beside another one."""
    left = Store("things/one", "thing", str(tmp_path / "run"))
    os.makedirs(left.directory)
    return left


def abandoned(store: Store) -> list[str]:
    """Domains of the stores that nobody is at work on."""
    found: list[str] = []
    Store("things/two", "thing", store.root).for_abandoned(lambda other: found.append(other.domain))
    return found


def test_what_a_killed_run_left_for_another_object_is_found(neighbour: Store) -> None:
    assert abandoned(neighbour) == ["things/one"]
    assert not os.path.exists(neighbour.directory)


def test_where_a_run_is_at_work_nothing_was_abandoned(neighbour: Store) -> None:
    with neighbour.exclusive():
        assert abandoned(neighbour) == []


@pytest.mark.parametrize("again", [False, True])
def test_a_run_that_ends_meanwhile_abandoned_nothing(
    neighbour: Store, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """Its directory is gone, or another run has made a new one, for which the lock of the old one says nothing."""

    def ends(self: Store) -> bool:
        untidy = look(self)
        os.rename(self.directory, f"{self.root}/gone")
        os.rmdir(f"{self.root}/gone")
        return untidy

    def ends_and_begins(fd: int, how: int) -> None:
        flock(fd, how)
        os.rmdir(neighbour.directory)
        os.mkdir(neighbour.directory)

    look, flock = Store.untidy, fcntl.flock
    if again:
        monkeypatch.setattr(fcntl, "flock", ends_and_begins)
    else:
        monkeypatch.setattr(Store, "untidy", ends)
    assert abandoned(neighbour) == []
    assert os.path.exists(neighbour.directory) == again


# --- journal ---------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "{", "{}", "null", "7", "[1]", "[{}]", "[null]", '[{"key": "one"}]'])
def test_a_damaged_journal_is_ignored_and_goes_with_the_next_change(text: str) -> None:
    with host() as here:
        here.run({"name": "one", "size": 11})
        journal = f"{here.root}/imaginary/thing.journal"
        files.write_whole(journal, text)
        for task in ({"name": "one", "size": 12}, {"name": "two"}):
            assert here.run(task).changed
        assert not os.path.exists(journal)


def test_the_journal_is_there_while_objects_change(monkeypatch: pytest.MonkeyPatch) -> None:
    with host() as here:
        seen: list[t.Any] = []

        def look() -> None:
            with open(f"{here.root}/imaginary/thing.journal", encoding="utf-8") as file:
                seen.append(json.load(file))

        monkeypatch.setattr(here.world, "point", look)
        here.run({"name": "one", "size": 11})
        assert [intent["key"] for intent in seen[0]] == ["one"]
        assert not os.path.exists(f"{here.root}/imaginary/thing.journal")


def test_a_draft_is_nobody_s_when_its_process_has_ended(tmp_path: pathlib.Path) -> None:
    """Also while nobody has waited for that process, as when it was killed a moment ago."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    mine, dead = tmp_path / f".state.{os.getpid()}.new", tmp_path / f".state.{pid}.new"
    for path in (mine, dead):
        path.touch()
    files.sweep(str(tmp_path))
    os.waitpid(pid, 0)
    assert os.listdir(tmp_path) == [mine.name]
