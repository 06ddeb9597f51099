# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One transaction: journal, apply, observe again, verify, and commit or roll back."""

from __future__ import annotations

import itertools
import typing as t

from .._model.errors import NsfleetError
from .._model.field import State
from .._model.resource import Observation, Resource, Step
from .engine import Observing, look, preflight, stale
from .plan import Plan, make_plan, remaining, repair
from .record import Record
from .store import Store
from .stores import Stores

if t.TYPE_CHECKING:
    from .confirmation import Pending


def transact(
    resources: t.Sequence[Resource], stores: Stores, observing: Observing, confirm: float | None
) -> tuple[list[Plan], list[str], Pending | None]:
    """Plan again with the locks held, and carry the plans out.

    :param observing: the context in which objects are observed.
    :param confirm: seconds within which somebody has to confirm the change; ``None``: nobody has to.
    :returns: the plans that were carried out, warnings, and what waits to be confirmed.
    :raises NsfleetError: a step or the verification failed; the message says what was put back.
    """
    with stores.exclusive():
        warnings = _recover_all(stores)
        with observing():
            plans = look(resources, stores)
            warnings += preflight(plans, check=False)
        if not any(plan.changed for plan in plans):
            _record(plans, stores)
        elif confirm is not None:
            return plans, warnings, _Change(plans, stores, observing).carry_out_guarded(confirm)
        else:
            _Change(plans, stores, observing).carry_out()
        _settle(plans, stores)
        stores.commit()
    return plans, warnings, None


def _recover_all(stores: Stores) -> list[str]:
    """Undo or finish what killed runs left, the kind that is changed last first: it may be inside the others."""
    kinds = {store: type(stores.resources(store)[0]) for store in stores}
    left = [each for store in reversed(list(stores)) for each in _left(kinds[store], stores.resources(store), store)]
    undone = _go_back(left)
    if len(undone) > 1:  # what one needs, or lost with another, may be there only now
        undone = [each.once_more() for each in reversed(undone)]
    warnings = [each.close() for each in undone]
    for store in stores:
        _settle_again(kinds[store], store)
    if undone:
        stores.commit()
    for store in stores.first_of_each_kind():
        warnings += recover_abandoned(kinds[store], store)
    return warnings


def recover_abandoned(kind: type[Resource], store: Store) -> list[str]:
    """The same in other domains of a kind."""
    warnings: list[str] = []
    store.for_abandoned(lambda other: warnings.extend(recover(kind, (), other, commit=True)))
    return warnings


class _Object:
    """One object of a change, and what it takes to bring it back.

    :param plan: for the object.
    :param begun: the intent of a killed run that is gone on with, if there is one.
    """

    def __init__(self, plan: Plan, store: Store, begun: State | None) -> None:
        self.plan = plan
        self.resource = plan.resource
        self.store = store
        self.before = _before(begun) if begun else plan.resource.observed
        #: What is on disk before the object is touched; ``None``: it is not.
        self.intent: State | None = None
        if plan.changed:
            self.intent = begun or intent_of(plan, store, self.before)

    def look_again(self) -> None:
        """Observe it; what we made or changed is ours."""
        observed = self.resource.observe({})
        self.resource.observed = observed._replace(owned=observed.owned or self.plan.changed)

    def was_made_anew(self) -> bool:
        """Whether it had been removed, and another one is in its place that is as it was."""
        if not (self.intent and self.resource.absent and self.before.exists):
            return False
        now = self.resource.observe(self.before.identity or {})
        return now.exists and now.identity != self.before.identity


class _Change:
    """Objects that are changed together, or not at all.

    :param plans: one for every object of the run.
    :param observing: the context in which they are observed.
    """

    def __init__(self, plans: t.Sequence[Plan], stores: Stores, observing: Observing) -> None:
        begun = {store: _begun(store, stores.resources(store)) for store in stores}
        self._objects = [
            _Object(plan, store, begun[store].get(plan.resource.key))
            for plan, store in ((plan, stores.of(plan.resource)) for plan in plans)
        ]
        self._stores = stores
        self._observing = observing

    def carry_out(self) -> None:
        """Apply, observe, verify, and record.

        :raises NsfleetError: something failed; the message says what was put back.
        """
        self._begin()
        self._do()

    def carry_out_guarded(self, seconds: float) -> Pending:
        """The same, with somebody who takes the change back unless it is confirmed, and ends the transaction.

        :param seconds: within which it is to be confirmed.
        """
        from .confirmation import Guard

        guard = Guard(seconds, self._take_back, self._stores.close)
        self._begin()
        try:
            guard.arm()
        except NsfleetError:
            self._stores.commit()
            raise
        try:
            self._do()
        except NsfleetError:  # everything was put back; of anything else, the guard hears by the end of this process
            guard.tell(applied=False)
            raise
        guard.tell(applied=True)
        return guard.pending

    def _take_back(self) -> list[str]:
        """In the guard's process, which knows of the change no more than what was to be done."""
        self._stores.read_anew()
        left = self._roll_back(everything=True)
        self._stores.close()
        return left

    def _do(self) -> None:
        try:
            _apply([each.plan.steps for each in self._objects])
            self._verify()
            _record([each.plan._replace(live=each.before.state) for each in self._objects], self._stores)
        except Exception as error:
            left = self._roll_back()
            self._stores.commit()
            anew = [each.resource.target for each in self._objects if each.was_made_anew()]
            raise NsfleetError(_failure(error, left, anew)) from error

    def _begin(self) -> None:
        """Put on disk what is going to be touched, before it is."""
        intents: dict[Store, list[State]] = {}
        for each in self._objects:
            if each.intent:
                intents.setdefault(each.store, []).append(each.intent)
        self._stores.begin(intents)

    def _verify(self) -> None:
        """A second plan from a fresh observation must be empty."""
        self._look_again()
        if self._repair():
            self._look_again()
        for each in self._objects:
            _verify(each.plan)

    def _look_again(self) -> None:
        with self._observing():
            for each in self._objects:
                each.look_again()

    def _repair(self) -> bool:
        """Repair what objects lost to changes of others, as a bridge the settings of a port that was made anew.

        They were observed just now. One that is alone has nothing to lose.

        :returns: whether there was anything.
        """
        if len(self._objects) == 1:
            return False
        repairs = [(each, steps) for each in self._objects if (steps := repair(each.plan))]
        for each, _steps in repairs:
            each.intent = each.intent or intent_of(each.plan, each.store, each.before)
        if repairs:
            self._begin()
            _apply([steps for _each, steps in repairs])
        return bool(repairs)

    # --- going back ----------------------------------------------------------------

    def _roll_back(self, everything: bool = False) -> list[str]:
        """Bring every object back to what it was, the last one first.

        :param everything: make anew all that was removed, also what held more than can be known.
        :returns: what could not be put back. A removal that is all that there was to do is to be finished instead, and
            so is that of what held more than its options say: that is gone.
        """
        touched = [each for each in self._objects if each.intent]
        several = len(self._objects) > 1
        staying = [
            each for each in touched
            if everything or not each.resource.absent or (several and each.resource.plain)
        ]  # fmt: skip
        left = [
            f"the removal of {each.resource.target} has not ended; run the task again to finish it"
            for each in reversed(touched)
            if each not in staying
        ]
        failed = [words for each in reversed(staying) for words in _restore(each.resource, each.before)]
        left += self._restore_what_depends(staying) if several else failed
        for each in touched:
            _clean(each.resource, t.cast(State, each.intent), left)
            _record_again(each.resource, t.cast(State, each.intent), each.store)
        return left

    def _restore_what_depends(self, touched: t.Sequence[_Object]) -> list[str]:
        """Once more, from the first to the last: what one needs, or lost with another, may be there only now."""
        left = [each for each in reversed(touched) if each.resource.absent]  # they went from the last to the first
        stay = [each for each in self._objects if not each.resource.absent and (each.intent or each.before.owned)]
        return [words for each in (*left, *stay) for words in _restore(each.resource, each.before)]


def _begun(store: Store, resources: t.Sequence[Resource]) -> dict[str, State]:
    """Changes that a killed run left half-way and that are now gone on with: what was before is what it said."""
    options = {resource.key: resource.remembered() for resource in resources}
    intents = (intent for intent in store.interrupted() if intent["before"] is not None)
    return {intent["key"]: intent for intent in intents if options.get(intent["key"]) == intent["options"]}


def _before(intent: State) -> Observation:
    """What was there before a change began, however often it was cut short since."""
    return Observation(intent["before"], intent["owned"], intent["identity"], None, intent["source"])


def _apply(plans: t.Sequence[t.Sequence[Step]]) -> None:
    """Carry out the steps of every object, and those at last that may need other objects."""
    for late in (False, True):
        steps = (step for steps in plans for step in steps if step.late is late)
        for together, several in itertools.groupby(steps, lambda step: step.together):
            same = list(several)
            if together is not None and len(same) > 1:
                _run_together(together, same)
            else:
                for step in same:
                    _run(step)


def _run_together(together: t.Callable[[t.Sequence[t.Any]], None], steps: t.Sequence[Step]) -> None:
    try:
        together([step.part for step in steps])
    except OSError as error:
        raise NsfleetError(f"{steps[0].action} {len(steps)} objects, {steps[0].target} first: {error}") from error


def _run(step: Step) -> None:
    try:
        step.run()
    except OSError as error:
        raise NsfleetError(f"{step.action} {step.target}: {error}") from error


def _verify(plan: Plan) -> None:
    resource = plan.resource
    live = resource.observed.state
    if (live is None) != resource.absent:
        raise NsfleetError(f"{resource.target} is {'absent' if live is None else 'still there'} after all steps")
    left = remaining(plan)
    if left:
        listed = ", ".join(f"{change.option} is {change.before!r}, not {change.after!r}" for change in left)
        raise NsfleetError(f"{resource.target} is not as planned after all steps: {listed}")


def _record(plans: t.Sequence[Plan], stores: Stores) -> None:
    for store in stores:
        gone = [resource for resource in stores.resources(store) if resource.absent]
        store.forget({resource.key: _encloses(resource) for resource in gone})
    for plan in plans:
        store = stores.of(plan.resource)
        if not plan.resource.absent:
            record = stale(plan, store)
            if record is not None:
                store.save(plan.resource.key, record)


def _encloses(resource: Resource) -> t.Callable[[str], bool] | None:
    """Tells which objects are gone with one; ``None``: of its kind, none ever is."""
    return None if type(resource).encloses is Resource.encloses else resource.encloses


def _settle(plans: t.Sequence[Plan], stores: Stores) -> None:
    """Let go of what going back would have needed; if this run is killed meanwhile, the next one goes on with that."""
    spare = {plan.resource: plan.resource.spare() for plan in plans}
    for store in stores:
        tasks = [resource.remembered() for resource in stores.resources(store) if spare[resource]]
        if tasks:
            store.settle(tasks)
    for resource, names in spare.items():
        resource.settle(names)


# --- going back --------------------------------------------------------------


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


def _failure(error: Exception, left: t.Sequence[str], anew: t.Sequence[str]) -> str:
    """What to say of a run that failed.

    :param left: what could not be put back.
    :param anew: what had been removed and was made again.
    """
    if left:
        return f"{error}. Not everything could be put back: {'; '.join(left)}"
    but = f", but for what others had on what was made anew: {', '.join(anew)}" if anew else ""
    return f"{error}. Everything was put back as it was{but}"


def intent_of(plan: Plan, store: Store, before: Observation) -> State:
    """All that it takes to undo the change after a crash.

    :param before: what was observed before anything was changed.
    """
    resource = plan.resource
    record = store.load(resource.key)
    return {
        "key": resource.key,
        "options": resource.remembered(),
        "before": before.state,
        "owned": before.owned,
        "identity": before.identity,
        "source": before.source,
        "record": record.data() if record else None,
        "footprint": resource.footprint(),
    }


class _Undone(t.NamedTuple):
    """An object that a killed run was changing, and that was brought back or removed."""

    resource: Resource
    intent: State
    store: Store
    left: list[str]  #: what could not be done

    def once_more(self) -> _Undone:
        """Bring it back again, now that others are back, too."""
        return self if self.resource.absent else self._replace(left=_undo(self.resource, self.intent))

    def close(self) -> str:
        """Bring its record back, remove what is left beside it, and say what was done."""
        _record_again(self.resource, self.intent, self.store)
        _clean(self.resource, self.intent, self.left)
        done = "finished" if self.resource.absent else "undone"
        words = f"an earlier run was killed while it changed {self.resource.target}; that was {done}"
        return f"{words}, but for: {'; '.join(self.left)}" if self.left else words


def recover(kind: type[Resource], resources: t.Sequence[Resource], store: Store, *, commit: bool = False) -> list[str]:
    """Undo what a killed run left half-way, and remove what it no longer needed.

    :param resources: what this run is to change in the same domain.
    :param commit: whether this run has nothing to change there.
    """
    warnings = [each.close() for each in _go_back(_left(kind, resources, store))]
    _settle_again(kind, store)
    if commit:
        store.commit()
    return warnings


class _Left(t.NamedTuple):
    """A change of one object that a killed run had begun."""

    resource: Resource
    intent: State
    store: Store
    goes_on: bool  #: whether this run has the same to do, and finds nothing half-made


def _left(kind: type[Resource], resources: t.Sequence[Resource], store: Store) -> list[_Left]:
    """What a killed run left of one kind, the object that it would have changed last first."""
    found = []
    own = {resource.key: resource.remembered() for resource in resources}
    for intent in reversed(store.interrupted()):
        resource = kind(intent["options"])
        _remind(resource, Record.load(intent["record"]))
        same = own.get(intent["key"]) == intent["options"]
        found.append(_Left(resource, intent, store, same and not _is_half_made(resource, intent)))
    return found


def _go_back(left: t.Sequence[_Left]) -> list[_Undone]:
    """Bring back what a killed run was changing.

    If this run has the same to do, it goes on instead. But if one object has to be brought back, all are: it comes back
    as it was among the others as they were. A removal that was cut short is finished in any case: what it removed
    cannot be brought back.
    """
    going_on = all(each.goes_on for each in left)
    undone = []
    for resource, intent, store, goes_on in left:
        if going_on or (goes_on and resource.absent):
            resource.tidy(intent["footprint"])
        else:
            problems = finish(resource) if resource.absent else _undo(resource, intent)
            undone.append(_Undone(resource, intent, store, problems))
    return undone


def _settle_again(kind: type[Resource], store: Store) -> None:
    """Remove what only going back would have needed, where a killed run had come to that."""
    for options in store.settled():
        resource = kind(options)
        _remind(resource, store.load(resource.key))
        resource.settle(resource.spare())


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
