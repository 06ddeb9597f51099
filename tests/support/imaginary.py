# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kind of resource without a kernel: objects in a dictionary, with every sort of field that a table can have.

What changes an object, and what goes to disk, passes one place, which can fail or be killed at any count.
"""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import tempfile
import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import files
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import RECREATE, Field, State, Table
from ansible_collections.nsfleet.linux.plugins.module_utils._model.resource import (
    CREATE,
    DELETE,
    SET,
    Change,
    Key,
    Observation,
    Resource,
    Step,
    flatten,
)
from ansible_collections.nsfleet.linux.plugins.module_utils._plan.engine import Outcome, converge
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.policy import POLICY
from hypothesis import strategies as st

SLOT = Table((Field("name", required=True), Field("weight", "int", default=1), Field("tag", revert="")))
GUEST = Table((Field("name", required=True), Field("seat", "int", default=0, revert=0)))
LODGER = Table((Field("name", required=True), Field("room", "int", default=0), Field("door")))
INNER = Table((Field("level", "int", revert=0), Field("note")))
TABLE = Table(
    (
        Field("name", required=True, stateful=False),
        Field("color"),  # whatever it is, it is kept when it disappears from the task
        Field("size", "int", revert=10),
        Field("shape", effect=RECREATE, revert="round"),
        Field("labels", "dict", revert=None),
        Field("inner", "dict", table=INNER),
        Field("slots", "list", elements="dict", table=SLOT, key="name"),
        Field("guests", "list", elements="dict", table=GUEST, key="name", exact=False),
        Field("lodgers", "list", elements="dict", table=LODGER, key="name", exact=False, returns=True),
        *POLICY,
    )
)
#: What a new object is where nobody says otherwise.
FRESH: t.Final[State] = {
    "color": "grey", "size": 10, "shape": "round", "labels": {}, "inner": {"level": 0, "note": ""}, "slots": {},
    "guests": {}, "lodgers": {},
}  # fmt: skip
_ELEMENTS: t.Final[t.Mapping[str, State]] = {
    "slots": {"weight": 1, "tag": ""},
    "guests": {"seat": 0},
    "lodgers": {"room": 0, "door": "shut"},
}
#: What the first message that makes an object can carry.
_AT_CREATION = ("color", "size", "shape", "inner")


class Killed(BaseException):
    """The process ends here; nothing of the collection may catch it."""


class World:
    """All objects, and what happens to whoever changes one."""

    def __init__(self) -> None:
        self.objects: dict[str, State] = {}
        self.serial = 0
        self.points = 0  #: how many there were
        self.stop_at = 0  #: the point that fails; 0: none does
        self.error: BaseException = OSError(5, "injected failure")

    def point(self) -> None:
        """A place at which a run can fail."""
        self.points += 1
        if self.points == self.stop_at:
            raise self.error

    def disk_point(self) -> None:
        """A place at which a run can be killed while it writes to disk."""
        if isinstance(self.error, Killed):
            self.point()

    def stop(self, at: int, error: BaseException) -> None:
        """Fail at a point from here on; 0: at none."""
        self.points, self.stop_at, self.error = 0, at, error

    def state(self, name: str) -> State | None:
        """An object without what tells it from others."""
        found = self.objects.get(name)
        return None if found is None else copy.deepcopy({key: found[key] for key in (*FRESH, "mark")})


class Thing(Resource):
    """An object of the imaginary kind."""

    kind = "thing"
    table = TABLE
    domain = "imaginary"
    world: World

    def observe(self, last: State) -> Observation:
        """Read it."""
        del last
        found = self.world.objects.get(self.name)
        if found is None:
            return Observation(None)
        state = copy.deepcopy({name: found[name] for name in FRESH})
        return Observation(state, found["mark"], {"serial": found["serial"]}, found)

    def create(self) -> list[Step]:
        """One message, and one for each of the rest."""
        changes = self.requested()
        first = [change for change in changes if change.path[0] in _AT_CREATION]
        rest = [change for change in changes if change.path[0] not in _AT_CREATION]
        return [self.step(CREATE, first, self._create), *(self._later(change) for change in rest)]

    def _later(self, change: Change) -> Step:
        return self.step(SET, (change,), lambda: self._set(self.world.objects[self.name], change))

    def _create(self) -> None:
        world = self.world
        world.point()
        assert self.name not in world.objects, "made twice"
        world.serial += 1
        world.objects[self.name] = {**copy.deepcopy(FRESH), "mark": True, "serial": world.serial}
        for change in flatten(self.table, {name: self.wanted[name] for name in _AT_CREATION if name in self.wanted}):
            self._set(world.objects[self.name], change)

    def delete(self) -> list[Step]:
        """Empty it, then remove it."""
        return [Step(DELETE, self.target, (), self._delete)]

    def _delete(self) -> None:
        self.world.point()
        self.observed.handle["slots"] = {}
        self.world.point()
        del self.world.objects[self.name]

    def write(self, change: Change) -> None:
        """Set one value."""
        self._set(self.observed.handle, change)

    def _set(self, found: State, change: Change) -> None:
        self.world.point()
        *folders, last = change.path
        for part in folders:
            found = found[part]
        if change.after is None:
            del found[last]
        elif change.field.keyed and isinstance(last, Key):
            found[last] = {**_ELEMENTS[change.field.name], **change.after}
        else:
            found[last] = change.after

    def mark(self, ours: bool) -> None:
        """Put our mark on it, or take it off."""
        self.world.point()
        self.observed.handle["mark"] = ours


class Host:
    """A world, and a directory for what is known of it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.world = World()
        self.kind = type("Thing", (Thing,), {"world": self.world, "root": root})

    def run(self, *tasks: t.Mapping[str, t.Any], check: bool = False) -> Outcome:
        """Run one transaction."""
        things = [self.kind({"state": "present", "adopt": False, "on_drift": "apply", **task}) for task in tasks]
        return converge(things, check=check)

    def points(self, error: BaseException, *tasks: t.Mapping[str, t.Any]) -> int:
        """At how many points an error can stop a run of tasks; afterwards nothing has happened."""
        objects, kept = copy.deepcopy(self.world.objects), f"{self.root}.kept"
        if os.path.exists(self.root):
            shutil.copytree(self.root, kept)
        self.world.stop(0, error)
        self.run(*tasks)
        self.world.objects = objects
        shutil.rmtree(self.root, ignore_errors=True)
        if os.path.exists(kept):
            os.rename(kept, self.root)
        return self.world.points

    def put(self, name: str, state: State, mark: bool = False) -> None:
        """An object that somebody else made."""
        self.world.serial += 1
        self.world.objects[name] = {**copy.deepcopy(state), "mark": mark, "serial": self.world.serial}


@contextlib.contextmanager
def host() -> t.Iterator[Host]:
    """A host, kept in memory, whose files can fail like its objects."""
    folder = tempfile.mkdtemp(dir="/dev/shm")
    here = Host(f"{folder}/run")
    write_whole, remove = files.write_whole, files.remove

    def write(path: str, content: str | bytes, mode: int = 0o600) -> None:
        here.world.disk_point()
        write_whole(path, content, mode)

    def unlink(path: str) -> bool:
        here.world.disk_point()
        return remove(path)

    files.write_whole, files.remove = write, unlink
    try:
        yield here
    finally:
        files.write_whole, files.remove = write_whole, remove
        shutil.rmtree(folder)


# --- random states -----------------------------------------------------------

_LETTERS = st.sampled_from("abc")
_DOORS = st.sampled_from(("shut", "open"))


def _named(**options: st.SearchStrategy[t.Any]) -> st.SearchStrategy[list[State]]:
    element = st.fixed_dictionaries({"name": _LETTERS}, optional=options)
    return st.lists(element, max_size=3, unique_by=lambda each: str(each["name"]))


_OPTIONS: t.Final[dict[str, st.SearchStrategy[t.Any]]] = {
    "color": st.sampled_from(("grey", "red", "blue")),
    "size": st.integers(9, 12),
    "shape": st.sampled_from(("round", "square")),
    "labels": st.dictionaries(_LETTERS, st.sampled_from("xy"), max_size=3),
    "inner": st.fixed_dictionaries({}, optional={"level": st.integers(0, 2), "note": st.sampled_from(("", "n"))}),
    "slots": _named(weight=st.integers(1, 3), tag=st.sampled_from(("", "t"))),
    "guests": _named(seat=st.integers(0, 2)),
    "lodgers": _named(room=st.integers(0, 2), door=_DOORS),
}


def tasks(*without: str) -> st.SearchStrategy[State]:
    """Options of the object ``one``, any of them, with any values.

    :param without: options that none of them has.
    """
    options = {name: values for name, values in _OPTIONS.items() if name not in without}
    return st.fixed_dictionaries({"name": st.just("one")}, optional=options).map(_with_defaults)


def _with_defaults(task: State) -> State:
    """What Ansible's own validation fills in."""
    for slot in task.get("slots", ()):
        slot.setdefault("weight", 1)
    for guest in task.get("guests", ()):
        guest.setdefault("seat", 0)
    for lodger in task.get("lodgers", ()):
        lodger.setdefault("room", 0)
    return task


def states() -> st.SearchStrategy[State]:
    """States that an object can have when somebody else made it or changed it."""
    return st.fixed_dictionaries(
        {
            **{name: _OPTIONS[name] for name in ("color", "size", "shape", "labels")},
            "inner": st.fixed_dictionaries({"level": st.integers(0, 2), "note": st.sampled_from(("", "n"))}),
            "slots": st.just({}),
            "guests": st.dictionaries(_LETTERS, st.fixed_dictionaries({"seat": st.integers(0, 2)}), max_size=2),
            "lodgers": st.dictionaries(
                _LETTERS, st.fixed_dictionaries({"room": st.integers(0, 2), "door": _DOORS}), max_size=2
            ),
        }
    )
