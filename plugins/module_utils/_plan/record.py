# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was applied last to an object. It never decides what is true: it tells which options are ours to revert."""

from __future__ import annotations

import typing as t

from .._model.field import Path, State, Table
from .._model.resource import ADOPT, Key, Resource, Step, path_text


class Record(t.NamedTuple):
    """What was applied last to one object."""

    options: State  #: canonical wanted state of the last run
    originals: State  #: path text to value before our first change
    identity: State  #: of the object that it was applied to

    @classmethod
    def load(cls, data: t.Any) -> Record | None:
        """The record in decoded JSON, ``None`` if it is not one."""
        try:
            return cls(dict(data["options"]), dict(data["originals"]), dict(data["identity"]))
        except (KeyError, TypeError, ValueError):
            return None

    def data(self) -> State:
        """The record as JSON has it."""
        return {name: dict(value) for name, value in self._asdict().items()}

    def speaks_of(self, resource: Resource) -> bool:
        """Whether it says just what was asked for, of just the object that is there."""
        return self.options == resource.wanted and self.identity == (resource.observed.identity or {})

    def concerns(self, resource: Resource) -> bool:
        """Whether it speaks of the object that is there now, not of one of the same name that went away."""
        return not resource.observed.exists or resource.is_known_as(self.identity)


def next_record(last: Record | None, resource: Resource, steps: t.Sequence[Step], live: State | None = None) -> Record:
    """The record after the resource was brought to its wanted state.

    :param last: the record before, of the same object.
    :param steps: what was done.
    :param live: what was observed before.
    """
    known = {option for option, _value in leaves(resource.table, last.options)} if last else set()
    ours = dict(leaves(resource.table, resource.wanted))
    originals = dict(last.originals) if last else {}
    changes = [change for step in steps for change in step.changes]
    for change in changes:
        if change.before is not None and change.option not in known:
            originals.setdefault(change.option, change.before)
    if last is not None or any(step.action == ADOPT for step in steps):
        touched = {change.option for change in changes}
        for option, value in ours.items():  # what was there already when it was asked for, somebody else had set
            if option not in known and option not in touched:
                originals.setdefault(option, value)
    named = dict(_returning(resource.table, resource.wanted))
    before = dict(_returning(resource.table, live or {}))
    former = dict(_returning(resource.table, last.options)) if last else {}
    found = {path: before[path] for path in named if path in before and path not in former}
    for option, value in {**found, **resource.noticed}.items():
        if option in named:
            originals[option] = value  # it was made anew, of what may be another source
        originals.setdefault(option, value)
    kept = {option: value for option, value in originals.items() if option in {**ours, **named} and value is not None}
    return Record(resource.wanted, kept, resource.observed.identity or {})


def _returning(table: Table, state: State) -> t.Iterator[tuple[str, State]]:
    """Path text and state of all named things that go back to what they were."""
    for field in table.stateful():
        if field.returns:
            for key, item in state.get(field.name, {}).items():
                yield path_text((field.name, Key(key))), item


def leaves(table: Table, state: State, path: Path = ()) -> t.Iterator[tuple[str, t.Any]]:
    """Path text and value of all single values in a state."""
    for field in table.stateful():
        value, here = state.get(field.name), (*path, field.name)
        if value is None:
            continue
        if field.table is not None and field.keyed:
            for key, item in value.items():
                yield from leaves(field.table, item, (*here, Key(key)))
        elif field.table is not None and field.type == "dict":
            yield from leaves(field.table, value, here)
        elif field.mapping:
            yield from ((path_text((*here, Key(key))), item) for key, item in value.items())
        else:
            yield path_text(here), value
