# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases that every change goes through, for one object or for many.

validate → observe → plan → preflight → (check mode stops) → journal → apply → observe → verify → commit or roll back

A run that changes nothing ends after preflight and has only read. What follows is in :mod:`.transaction`, which is
imported only when there is something to change.
"""

from __future__ import annotations

import contextlib
import typing as t

from .._model.errors import InvalidOptions, Missing, NsfleetError, OptionError, Taken
from .._model.resource import Resource
from .._model.things import Things
from .plan import Plan, make_plan
from .record import Record, next_record
from .store import Store
from .stores import Stores

if t.TYPE_CHECKING:
    from .confirmation import Pending

#: Makes a context in which many objects are observed.
Observing = t.Callable[[], contextlib.AbstractContextManager[t.Any]]


class Outcome(t.NamedTuple):
    """What a run did, or in check mode would do."""

    plans: tuple[Plan, ...]
    warnings: tuple[str, ...] = ()
    written: bool = False  #: whether anything was written, be it only a record
    pending: Pending | None = None  #: what waits to be confirmed

    @property
    def changed(self) -> bool:
        """Whether anything was, or would be, changed."""
        return any(plan.changed for plan in self.plans)


def converge(
    resources: t.Sequence[Resource],
    *,
    check: bool,
    observing: Observing = contextlib.nullcontext,
    confirm: float | None = None,
) -> Outcome:
    """Bring objects to their wanted state.

    :param resources: validated by their constructors, in the order in which they are changed.
    :param check: plan only, write nothing.
    :param observing: the context in which they are observed.
    :param confirm: seconds within which somebody has to confirm a change, or it is taken back (:mod:`.confirmation`).
    :raises InvalidOptions: this host cannot do what is asked; nothing was touched.
    :raises NsfleetError: a step failed; everything was put back as it was, or the message says what could not be.
    """
    if not resources:
        return Outcome(())
    stores = Stores(resources)
    plans, warnings = _consider(resources, stores, check, observing)
    pending = None
    written = not check and not _settled(plans, stores)
    if written:
        from .transaction import transact

        plans, more, pending = transact(resources, stores, observing, confirm)
        warnings += more
    advice = [words for plan in plans for words in plan.resource.advice()]
    return Outcome(tuple(plans), (*warnings, *_drift_warnings(plans), *advice), written, pending)


def _consider(
    resources: t.Sequence[Resource], stores: Stores, check: bool, observing: Observing
) -> tuple[list[Plan], list[str]]:
    """Plan and preflight, with nobody changing anything in between.

    Where nobody has changed anything yet, there is nothing to lock: if somebody began meanwhile, an error may be
    stale, and everything is looked at again.
    """
    while True:
        with stores.shared() as locked:
            try:
                with observing():
                    plans = look(resources, stores)
                    return plans, preflight(plans, check)
            except NsfleetError:
                if locked or not stores.in_use:
                    raise


def look(resources: t.Sequence[Resource], stores: Stores) -> list[Plan]:
    """Observe every object and plan.

    :raises NsfleetError: an object is foreign and would be changed, or drifted and is to stay; of many objects, all.
    """
    plans: list[Plan] = []
    errors: list[OptionError] = []
    interrupted = {store: _keys_of_ours(store) for store in stores}
    for resource in resources:
        store = stores.of(resource)
        resource.interrupted = resource.key in interrupted[store]
        record = store.load(resource.key)
        resource.applied, resource.originals = (record.options, record.originals) if record else ({}, {})
        resource.observed = resource.observe(record.identity if record else {})
        try:
            plans.append(make_plan(resource, record if record and record.concerns(resource) else None))
        except NsfleetError as error:
            if len(resources) == 1:
                raise
            errors.append(_placed(resource, error))
    if errors:
        raise InvalidOptions(errors)
    return plans


def _keys_of_ours(store: Store) -> set[str]:
    """Keys of objects that are ours, since a killed run of ours was making or changing them."""
    return {intent["key"] for intent in store.interrupted() if intent["before"] is None or intent["owned"]}


def preflight(plans: t.Sequence[Plan], check: bool) -> list[str]:
    """Find out what this host cannot do of the plans.

    :returns: warnings: in check mode, what is missing may be what an earlier task would have made.
    :raises InvalidOptions: with everything that stands in the way.
    """
    errors: list[OptionError] = []
    warnings: list[str] = []
    neighbours = _Neighbours(plans)
    for plan in plans:
        for problem in plan.resource.preflight(plan.steps) if plan.steps else ():
            if neighbours.solve(problem):
                continue
            error = _placed(plan.resource, problem)
            if isinstance(problem, Missing) and check:
                warnings.append(f"{error} (in check mode: an earlier task may be what makes it)")
            else:
                errors.append(error)
    if errors:
        raise InvalidOptions(errors)
    return warnings


def _placed(resource: Resource, problem: Exception) -> OptionError:
    """A problem as one of the task, which may have more objects than this one."""
    if isinstance(problem, OptionError):
        return OptionError(".".join(filter(None, (resource.place, problem.option))), problem.problem)
    return OptionError(resource.place, str(problem))


class _Neighbours:
    """What the objects of a run do for each other.

    :param plans: of all of them.
    """

    def __init__(self, plans: t.Sequence[Plan]) -> None:
        resources = [plan.resource for plan in plans] if len(plans) > 1 else []
        self._made = Things(thing for resource in resources for thing in resource.makes())
        self._removed = Things(thing for resource in resources for thing in resource.removes())

    def solve(self, problem: Exception) -> bool:
        """Whether one of them makes what is missing, or takes away what is in the way."""
        if isinstance(problem, Missing) and problem.thing is not None:
            return problem.thing in self._made
        return isinstance(problem, Taken) and all(thing in self._removed for thing in problem.things)


def _settled(plans: t.Sequence[Plan], stores: Stores) -> bool:
    """Whether there is nothing to do, the records say just what the task says, and no killed run left anything."""
    return not stores.untidy() and not any(_is_open(plan, stores.of(plan.resource)) for plan in plans)


def _is_open(plan: Plan, store: Store) -> bool:
    """Whether something of one object, or of what is recorded of it, is to be written."""
    return plan.changed or stale(plan, store) is not None or _orphan(plan, store)


def _orphan(plan: Plan, store: Store) -> bool:
    """Whether a record speaks of an object that is to be absent and that somebody else removed."""
    return plan.resource.absent and store.load(plan.resource.key) is not None


def stale(plan: Plan, store: Store) -> Record | None:
    """The record that is to replace the one on disk, ``None`` if that one is right."""
    resource = plan.resource
    if resource.absent or not resource.observed.owned:
        return None
    if plan.record is None and plan.drift:  # nobody knows what of it we ever applied
        return None
    if plan.record is not None and not plan.changed and plan.record.speaks_of(resource):  # as most do, of many
        return None
    record = next_record(plan.record, resource, plan.steps, plan.live)
    return None if record == store.load(resource.key) else record


def _drift_warnings(plans: t.Sequence[Plan]) -> t.Iterator[str]:
    for plan in plans:
        for change in plan.drift:
            yield (
                f"{plan.resource.target} drifted: {change.option} is {change.before!r}, not {change.after!r} "
                "(on_drift is warn, it was left so)"
            )
