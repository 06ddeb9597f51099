# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One transaction: journal, apply, observe again, verify, and commit or roll back."""

from __future__ import annotations

import typing as t

from .._model.errors import NsfleetError
from .._model.field import State
from .._model.resource import Observation, Resource, Step
from .difference import differences
from .engine import look, preflight, stale
from .plan import Plan, make_plan
from .record import Record
from .store import Store


def transact(resources: t.Sequence[Resource], store: Store) -> tuple[list[Plan], list[str]]:
    """Plan again with the lock held, and carry the plans out.

    :returns: the plans that were carried out, and warnings.
    :raises NsfleetError: a step or the verification failed; the message says what was put back.
    """
    with store.exclusive():
        warnings = recover(type(resources[0]), resources, store)
        store.for_abandoned(lambda other: warnings.extend(recover(type(resources[0]), (), other, commit=True)))
        plans = look(resources, store)
        warnings += preflight(plans, check=False)
        if any(plan.changed for plan in plans):
            _change(plans, store)
        else:
            _record(plans, store)
        _settle(plans, store)
        store.commit()
    return plans, warnings


def _change(plans: t.Sequence[Plan], store: Store) -> None:
    begun = {intent["key"]: intent for intent in store.interrupted() if _goes_on(intent, plans)}
    intents = [begun.get(plan.resource.key) or intent_of(plan, store) for plan in plans if plan.changed]
    known = {key: _before(intent) for key, intent in begun.items()}
    before = [known.get(plan.resource.key, plan.resource.observed) for plan in plans]
    store.begin(intents)
    try:
        _apply(plans)
        _verify(plans)
        _record([plan._replace(live=each.state) for plan, each in zip(plans, before)], store)
    except Exception as error:
        left = _roll_back(plans, before)
        for plan, intent in zip((plan for plan in plans if plan.changed), intents):
            _clean(plan.resource, intent, left)
            _record_again(plan.resource, intent, store)
        store.commit()
        raise NsfleetError(_failure(error, left)) from error


def _goes_on(intent: State, plans: t.Sequence[Plan]) -> bool:
    """Whether a killed run left a change half-way that is now gone on with: what was before is what it said."""
    options = {plan.resource.key: plan.resource.remembered() for plan in plans}.get(intent["key"])
    return options == intent["options"] and intent["before"] is not None


def _before(intent: State) -> Observation:
    """What was there before a change began, however often it was cut short since."""
    return Observation(intent["before"], intent["owned"], intent["identity"], None, intent["source"])


def _apply(plans: t.Sequence[Plan]) -> None:
    for plan in plans:
        for step in plan.steps:
            _run(step)


def _run(step: Step) -> None:
    try:
        step.run()
    except OSError as error:
        raise NsfleetError(f"{step.action} {step.target}: {error}") from error


def _verify(plans: t.Sequence[Plan]) -> None:
    """A second plan from a fresh observation must be empty."""
    for plan in plans:
        resource = plan.resource
        observed = resource.observe({})
        resource.observed = observed._replace(owned=observed.owned or plan.changed)  # what we made is ours
        live = observed.state
        if (live is None) != resource.absent:
            raise NsfleetError(f"{resource.target} is {'absent' if live is None else 'still there'} after all steps")
        if live is not None:
            _verify_state(plan, live)


def _verify_state(plan: Plan, live: State) -> None:
    tolerated = {change.option for change in plan.drift}
    left = [change for change in differences(plan.resource, live) if change.option not in tolerated]
    if left:
        listed = ", ".join(f"{change.option} is {change.before!r}, not {change.after!r}" for change in left)
        raise NsfleetError(f"{plan.resource.target} is not as planned after all steps: {listed}")


def _record(plans: t.Sequence[Plan], store: Store) -> None:
    for plan in plans:
        if plan.resource.absent:
            store.forget(plan.resource.key, plan.resource.encloses)
        else:
            record = stale(plan, store)
            if record is not None:
                store.save(plan.resource.key, record)


def _settle(plans: t.Sequence[Plan], store: Store) -> None:
    """Let go of what going back would have needed; if this run is killed meanwhile, the next one goes on with that."""
    spare = [(plan.resource, plan.resource.spare()) for plan in plans]
    if any(names for _resource, names in spare):
        store.settle([resource.remembered() for resource, names in spare if names])
    for resource, names in spare:
        resource.settle(names)


# --- going back --------------------------------------------------------------


def _roll_back(plans: t.Sequence[Plan], before: t.Sequence[Observation]) -> list[str]:
    """Bring every object back to what it was, the last one first.

    :returns: what could not be put back. What was to be removed is not: what it held is gone.
    """
    left = []
    for plan, observation in reversed(list(zip(plans, before))):
        if plan.changed and plan.resource.absent:
            left.append(f"the removal of {plan.resource.target} has not ended; run the task again to finish it")
        elif plan.changed:
            left += _restore(plan.resource, observation)
    return left


def _restore(resource: Resource, before: Observation, *, interrupted: bool = False) -> list[str]:
    try:
        prior = resource.prior(before)
        resource.interrupted = prior.interrupted = interrupted
        # Whatever it is called by now and wherever it is: what was changed half-way is found by what it is.
        now = resource.observe(before.identity or {})
        prior.observed = prior.observe(now.identity or before.identity or {})
        for step in make_plan(prior, None).steps:
            step.run()
        if before.exists and not before.owned:
            prior.observed = prior.observe({})
            prior.mark(False)
    except Exception as error:  # whatever it is, the others are to be put back, too
        return [f"{resource.target}: {error}"]
    return []


def _clean(resource: Resource, intent: State, left: t.Sequence[str]) -> None:
    """Remove what is left beside an object after going back.

    :param left: what could not be put back, and may still be once somebody has helped.
    """
    resource.tidy(intent["footprint"])
    if not left:
        resource.settle(resource.spare())


def _failure(error: Exception, left: t.Sequence[str]) -> str:
    if left:
        return f"{error}. Not everything could be put back: {'; '.join(left)}"
    return f"{error}. Everything was put back as it was"


def intent_of(plan: Plan, store: Store) -> State:
    """All that it takes to undo the change after a crash."""
    resource = plan.resource
    record = store.load(resource.key)
    return {
        "key": resource.key,
        "options": resource.remembered(),
        "before": resource.observed.state,
        "owned": resource.observed.owned,
        "identity": resource.observed.identity,
        "source": resource.observed.source,
        "record": record.data() if record else None,
        "footprint": resource.footprint(),
    }


def recover(kind: type[Resource], resources: t.Sequence[Resource], store: Store, *, commit: bool = False) -> list[str]:
    """Undo what a killed run left half-way, and remove what it no longer needed.

    If this run has the same to do, the rest is left to it, unless something was half-made. A removal that was cut short
    is finished instead: what it removed cannot be brought back.

    :param resources: what this run is to change in the same domain.
    :param commit: whether this run has nothing to change there.
    """
    warnings = []
    own = {resource.key: resource.remembered() for resource in resources}
    for intent in reversed(store.interrupted()):
        resource = kind(intent["options"])
        _remind(resource, Record.load(intent["record"]))
        if own.get(intent["key"]) != intent["options"] or _is_half_made(resource, intent):
            left = finish(resource) if resource.absent else _undo(resource, intent)
            _record_again(resource, intent, store)
            _clean(resource, intent, left)
            warnings.append(
                f"an earlier run was killed while it changed {resource.target}; "
                + ("that was finished" if resource.absent else "that was undone")
                + (f", but for: {'; '.join(left)}" if left else "")
            )
        else:
            resource.tidy(intent["footprint"])
    for options in store.settled():
        resource = kind(options)
        _remind(resource, store.load(resource.key))
        resource.settle(resource.spare())
    if commit:
        store.commit()
    return warnings


def _remind(resource: Resource, record: Record | None) -> None:
    """Tell a resource what is known of the object."""
    if record is not None:
        resource.applied, resource.originals = record.options, record.originals


def _is_half_made(resource: Resource, intent: State) -> bool:
    """Whether the object was being made, or made anew: what nobody named of the one before, only the intent knows."""
    if resource.absent:
        return False
    resource.observed = resource.observe(intent["identity"] or {})
    return intent["before"] is None or not resource.observed.exists or not resource.is_known_as(intent["identity"])


def _record_again(resource: Resource, intent: State, store: Store) -> None:
    """Bring back the record of before. It speaks of the object that is there now: going back may have made it anew."""
    record = Record.load(intent["record"])
    if record is not None:
        now = resource.observe(intent["identity"] or {})
        if resource.absent and not now.exists:
            record = None
        elif now.exists and record.identity == intent["identity"]:
            record = record._replace(identity=now.identity or {})
    store.reinstate(intent["key"], record)


def _undo(resource: Resource, intent: State) -> list[str]:
    return _restore(resource, _before(intent), interrupted=True)


def finish(resource: Resource) -> list[str]:
    """Remove an object, whole or half-made.

    :param resource: which is to be absent.
    :returns: what could not be removed, and why.
    """
    resource.interrupted = True
    try:
        resource.observed = resource.observe({})
        for step in make_plan(resource, None).steps:
            step.run()
    except (NsfleetError, OSError) as error:
        return [str(error)]
    return []
