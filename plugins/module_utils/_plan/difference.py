# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three-way comparison: what was applied last, what is wanted, what is live.

The rule for every single value:

======================  =====================================================================
the task gives it       it is compared with the live value
applied once, not now   it goes back to the value before our first change, or to the default
neither                 it belongs to somebody else and is not looked at
======================  =====================================================================
"""

from __future__ import annotations

import typing as t

from .._model.field import KEEP, STAYS, Field, Path, State, Table
from .._model.resource import DRIFT, REQUEST, REVERT, Change, Key, path_text

if t.TYPE_CHECKING:
    from .._model.resource import Resource

_NOTHING: t.Final = object()


def differences(resource: Resource, live: State) -> list[Change]:
    """The changes that turn a live object into the wanted one.

    :param resource: with ``wanted``, ``applied`` and ``originals`` in canonical form.
    :param live: observed state in canonical form.
    """
    return list(_Comparison(resource).table(resource.table, resource.wanted, live, resource.applied, ()))


class _Comparison:
    """One walk over wanted, live and applied state."""

    def __init__(self, resource: Resource) -> None:
        self.exact = resource.exact
        self.everything = resource.everything
        self.originals = resource.originals

    def table(self, table: Table, wanted: State, live: State, applied: State, path: Path) -> t.Iterator[Change]:
        """Compare the options of one table."""
        for field in table.stateful():
            here = (*path, field.name)
            goal, was = wanted.get(field.name, _NOTHING), applied.get(field.name, _NOTHING)
            if goal is _NOTHING and (was is _NOTHING or not field.option or field.revert is STAYS):
                continue
            now = live.get(field.name)
            if field.keyed and field.table is not None:
                exact = goal is not _NOTHING and self.exact(field)
                yield from self.keyed(field, field.table, _dict(goal), _dict(now), _dict(was), here, exact)
            elif field.table is not None and field.type == "dict":
                yield from self.table(field.table, _dict(goal), _dict(now), _dict(was), here)
            elif field.mapping:
                yield from self.mapping(field, _dict(goal), _dict(now), _dict(was), here)
            else:
                yield from self.value(field, goal, now, was, here)

    def keyed(
        self, field: Field, table: Table, wanted: State, live: State, applied: State, path: Path, exact: bool
    ) -> t.Iterator[Change]:
        """Compare a list of named things: which are there, and the options of each."""
        for key, goal in wanted.items():
            here = (*path, Key(key))
            if key in live:
                yield from self.table(table, goal, live[key], _dict(applied.get(key)), here)
            else:
                yield Change(here, field, None, goal, DRIFT if key in applied else REQUEST)
        for key, now in live.items():
            if key not in wanted and (exact or key in applied):
                yield from self.unnamed(field, table, now, key in applied, (*path, Key(key)))

    def unnamed(self, field: Field, table: Table, now: State, ours: bool, path: Path) -> t.Iterator[Change]:
        """A named thing that no task names any more, or never did."""
        reason = REVERT if ours else DRIFT
        former = self.originals.get(path_text(path)) if field.returns else None
        if former is None:
            yield Change(path, field, now, None, reason)
            return
        for change in self.table(table, former, now, {}, path):
            yield change._replace(reason=reason)

    def mapping(self, field: Field, wanted: State, live: State, applied: State, path: Path) -> t.Iterator[Change]:
        """Compare a free ``dict`` key by key."""
        for key in {**applied, **wanted, **(live if self.everything else {})}:
            goal, was = wanted.get(key, _NOTHING), applied.get(key, _NOTHING)
            yield from self.value(field, goal, live.get(key), was, (*path, Key(key)))

    def value(self, field: Field, goal: t.Any, now: t.Any, was: t.Any, path: Path) -> t.Iterator[Change]:
        """Compare one value."""
        if goal is not _NOTHING:
            reason = DRIFT if goal == was else REQUEST
        else:
            goal, reason = self.originals.get(path_text(path), field.revert), REVERT
        if goal is not KEEP and goal != now:
            yield Change(path, field, now, goal, reason)


def _dict(value: t.Any) -> State:
    return value if isinstance(value, dict) else {}
