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

import typing as t

from .._model.errors import InvalidOptions, Missing, NsfleetError, OptionError
from .._model.resource import Resource
from .plan import Plan, make_plan
from .record import Record, next_record
from .store import Store


class Outcome(t.NamedTuple):
    """What a run did, or in check mode would do."""

    plans: tuple[Plan, ...]
    warnings: tuple[str, ...] = ()
    written: bool = False  #: whether anything was written, be it only a record

    @property
    def changed(self) -> bool:
        """Whether anything was, or would be, changed."""
        return any(plan.changed for plan in self.plans)


def converge(resources: t.Sequence[Resource], *, check: bool) -> Outcome:
    """Bring objects of one kind to their wanted state.

    :param resources: at least one, all of the same kind; validated by their constructors.
    :param check: plan only, write nothing.
    :raises InvalidOptions: this host cannot do what is asked; nothing was touched.
    :raises NsfleetError: a step failed; everything was put back as it was, or the message says what could not be.
    """
    store = Store(resources[0].domain, resources[0].kind, resources[0].root)
    plans, warnings = _consider(resources, store, check)
    written = not check and not _settled(plans, store)
    if written:
        from .transaction import transact

        plans, more = transact(resources, store)
        warnings += more
    advice = [words for plan in plans for words in plan.resource.advice()]
    return Outcome(tuple(plans), (*warnings, *_drift_warnings(plans), *advice), written)


def _consider(resources: t.Sequence[Resource], store: Store, check: bool) -> tuple[list[Plan], list[str]]:
    """Plan and preflight, with nobody changing anything in between.

    Where nobody has changed anything yet, there is nothing to lock: if somebody began meanwhile, an error may be
    stale, and everything is looked at again.
    """
    while True:
        with store.shared() as locked:
            try:
                plans = look(resources, store)
                return plans, preflight(plans, check)
            except NsfleetError:
                if locked or not store.in_use:
                    raise


def look(resources: t.Sequence[Resource], store: Store) -> list[Plan]:
    """Observe every object and plan."""
    plans = []
    interrupted = {intent["key"] for intent in store.interrupted() if intent["before"] is None or intent["owned"]}
    for resource in resources:
        resource.interrupted = resource.key in interrupted
        record = store.load(resource.key)
        resource.applied, resource.originals = (record.options, record.originals) if record else ({}, {})
        resource.observed = resource.observe(record.identity if record else {})
        plans.append(make_plan(resource, record if record and record.concerns(resource) else None))
    return plans


def preflight(plans: t.Sequence[Plan], check: bool) -> list[str]:
    """Find out what this host cannot do of the plans.

    :returns: warnings: in check mode, what is missing may be what an earlier task would have made.
    :raises InvalidOptions: with everything that stands in the way.
    """
    errors: list[OptionError] = []
    warnings: list[str] = []
    for plan in plans:
        for problem in plan.resource.preflight(plan.steps) if plan.steps else ():
            if isinstance(problem, Missing) and check:
                warnings.append(f"{problem} (in check mode: an earlier task may be what makes it)")
            elif isinstance(problem, OptionError):
                errors.append(problem)
            else:
                errors.append(OptionError("", str(problem)))
    if errors:
        raise InvalidOptions(errors)
    return warnings


def _settled(plans: t.Sequence[Plan], store: Store) -> bool:
    """Whether there is nothing to do, the records say just what the task says, and no killed run left anything."""
    return not store.untidy() and not any(plan.changed or stale(plan, store) or _orphan(plan, store) for plan in plans)


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
    record = next_record(plan.record, resource, plan.steps, plan.live)
    return None if record == store.load(resource.key) else record


def _drift_warnings(plans: t.Sequence[Plan]) -> t.Iterator[str]:
    for plan in plans:
        for change in plan.drift:
            yield (
                f"{plan.resource.target} drifted: {change.option} is {change.before!r}, not {change.after!r} "
                "(on_drift is warn, it was left so)"
            )
