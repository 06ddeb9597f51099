# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: the steps that bring objects to what is wanted. Check mode, diff mode and the run use this one object."""

from __future__ import annotations

import typing as t

from .._model.errors import NsfleetError
from .._model.field import State
from .._model.resource import CREATE, DELETE, DRIFT, Change, Resource, Step
from .difference import differences

if t.TYPE_CHECKING:
    from .record import Record

APPLY, WARN, FAIL = "apply", "warn", "fail"


class Plan(t.NamedTuple):
    """What will be done to one object."""

    resource: Resource
    steps: tuple[Step, ...]
    live: State | None  #: what was observed when the plan was made
    drift: tuple[Change, ...] = ()  #: differences that ``on_drift`` keeps from being repaired
    record: Record | None = None  #: what was applied last to this object, or to the one whose place it takes

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps)

    def diff(self) -> dict[str, State]:
        """Only what differs, sorted: ``{"before": ..., "after": ...}``, as nested options."""
        before: State = {}
        after: State = {}
        for step in self.steps:
            if step.action == DELETE and self.resource.absent:
                before.update({name: value for name, value in (self.live or {}).items() if value is not None})
                before["state"] = "present"
                after["state"] = "absent"
            elif step.action == CREATE:
                before["state"], after["state"] = "absent", "present"
            for change in step.changes:
                _place(before, change.path, change.before)
                _place(after, change.path, change.after)
        return {"before": _sorted(before), "after": _sorted(after)}

    def describe(self) -> list[State]:
        """The steps as data, for the result of the module."""
        return [
            {
                "target": step.target,
                "action": step.action,
                "effect": step.effect,
                "changes": [
                    {
                        "option": change.option,
                        "before": change.before,
                        "after": change.after,
                        "reason": change.reason,
                    }
                    for change in step.changes
                ],
            }
            for step in self.steps
        ]


def make_plan(resource: Resource, record: Record | None) -> Plan:
    """The plan for one observed object.

    :param resource: observed: ``resource.observed`` is up to date.
    :param record: what was applied last to this object, if that is known.
    :raises NsfleetError: the object is foreign and would be changed, or it drifted and ``on_drift`` says ``fail``.
    """
    live = resource.observed.state
    resource.applied = record.options if record else {}
    resource.originals = record.originals if record else {}
    if resource.absent:
        steps = resource.delete() if live is not None else []
        return Plan(resource, tuple(_guarded(resource, steps)), live)
    if live is None:
        return _missing(resource, record)
    changes = differences(resource, live)
    if record is None and resource.observed.owned:  # ours, yet not as the task says: somebody changed it
        changes = _as_drift(changes)
    tolerated = _tolerated(resource, [change for change in changes if change.reason == DRIFT])
    changes = [change for change in changes if change not in tolerated]
    return Plan(resource, tuple(_guarded(resource, _steps(resource, changes))), live, tuple(tolerated), record)


def remaining(plan: Plan) -> list[Change]:
    """What still keeps an observed object from its wanted state, without what the plan leaves as it is."""
    live = plan.resource.observed.state
    tolerated = {change.option for change in plan.drift}
    changes = [] if live is None or plan.resource.absent else differences(plan.resource, live)
    return [change for change in changes if change.option not in tolerated]


def repair(plan: Plan) -> list[Step]:
    """The steps that bring an object to its wanted state after all, now that other objects were changed, too."""
    resource = plan.resource
    if resource.absent:
        return []
    if resource.observed.state is None:
        return [] if plan.drift else resource.create()
    return _steps(resource, remaining(plan))


def _steps(resource: Resource, changes: list[Change]) -> list[Step]:
    if not changes:
        return []
    if any(change.field.effect == "recreate" for change in changes):
        return resource.recreate(changes)
    return resource.change(changes)


def _missing(resource: Resource, record: Record | None) -> Plan:
    """The object is not there. If we applied it once, it was removed behind our back: that is drift, too."""
    steps = resource.create()
    if record is None:
        return Plan(resource, tuple(steps), None)
    steps = [step._replace(changes=tuple(_as_drift(step.changes))) for step in steps]
    tolerated = _tolerated(resource, [change for step in steps for change in step.changes])
    return Plan(resource, () if tolerated else tuple(steps), None, tuple(tolerated))


def _as_drift(changes: t.Iterable[Change]) -> list[Change]:
    return [change._replace(reason=DRIFT) for change in changes]


def _tolerated(resource: Resource, drift: list[Change]) -> list[Change]:
    policy = resource.options.get("on_drift") or APPLY
    if policy == FAIL and drift:
        listed = ", ".join(f"{change.option} is {change.before!r}, not {change.after!r}" for change in drift)
        raise NsfleetError(f"{resource.target} drifted: {listed} (on_drift is fail, nothing was changed)")
    return drift if policy == WARN else []


def _guarded(resource: Resource, steps: list[Step]) -> list[Step]:
    """Refuse to change what is not ours, unless the task says ``adopt``."""
    if resource.observed.owned:
        return steps
    if resource.options.get("adopt"):
        return steps if resource.absent else [*resource.adopt(), *steps]
    if not steps:
        return steps
    listed = ", ".join(change.option for step in steps for change in step.changes) or steps[0].action
    raise NsfleetError(
        f"{resource.target} exists, but it was not made by nsfleet.linux, and the task would change it ({listed}); "
        "set adopt to true to take it over, or choose another name"
    )


def _place(tree: State, path: tuple[str, ...], value: t.Any) -> None:
    if value is None:
        return
    for part in path[:-1]:
        tree = tree.setdefault(str(part), {})
    tree[str(path[-1])] = value


def _sorted(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return value
