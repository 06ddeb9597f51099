# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of the plan, over random states of an imaginary kind."""

from __future__ import annotations

import copy
import os
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import State
from hypothesis import assume, given
from hypothesis import strategies as st
from support.imaginary import FRESH, Host, Killed, host, states, tasks

ABSENT = {"name": "one", "state": "absent"}
OTHER = {"name": "other", "size": 11}
#: More points than any run has.
_MANY = 200


def files_below(root: str) -> dict[str, bytes]:
    """Path to content of everything below a directory."""
    found = {}
    for folder, folders, names in os.walk(root):
        found.update({os.path.join(folder, name): b"" for name in folders})
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.join(folder, name)] = file.read()
    return found


def whole(here: Host) -> tuple[dict[str, State], dict[str, bytes]]:
    """All that a run could change."""
    return copy.deepcopy(here.world.objects), files_below(here.root)


def settled(here: Host, task: State) -> None:
    """Nothing is left to do, and doing nothing writes nothing."""
    before = whole(here)
    for check in (False, True):
        assert not here.run(task, check=check).changed
    assert whole(here) == before


def fresh(task: State) -> State | None:
    """What a task makes where there is nothing."""
    with host() as here:
        here.run(task)
        return here.world.state("one")


# --- a run, again, and in check mode -----------------------------------------


@given(tasks(), tasks())
def test_a_second_run_changes_nothing(first: State, second: State) -> None:
    with host() as here:
        for task in (first, second, ABSENT):
            here.run(task)
            settled(here, task)
        assert not os.path.exists(here.root), "something is left of an object that is gone"


@given(tasks(), tasks())
def test_check_mode_says_what_the_run_does_and_writes_nothing(first: State, second: State) -> None:
    with host() as here:
        for task in (first, second, ABSENT):
            before = whole(here)
            predicted = here.run(task, check=True)
            assert whole(here) == before
            (done,), (plan,) = here.run(task).plans, predicted.plans
            assert plan.diff() == done.diff()
            assert plan.describe() == done.describe()


@given(states(), tasks())
def test_the_diff_names_what_differs_and_nothing_else(live: State, task: State) -> None:
    with host() as here:
        here.put("one", live, mark=True)
        diff = here.run(task).plans[0].diff()
        after = here.world.state("one")
        assert after is not None
        for name in FRESH:
            assert (name in diff["before"] or name in diff["after"]) == (live[name] != after[name])


# --- three ways ----------------------------------------------------------------


@given(tasks(), tasks())
def test_there_and_back_again_is_like_never_there(first: State, second: State) -> None:
    with host() as here:
        for task in (first, second, first):
            here.run(task)
        assert here.world.state("one") == fresh(first)


@given(states(), tasks("slots", "guests"), tasks("slots", "guests"))
def test_what_disappears_from_the_task_goes_back_to_what_it_was(live: State, first: State, second: State) -> None:
    with host() as here:
        here.put("one", live)
        for task in (first, second, {"name": "one"}):
            here.run({**task, "adopt": True})
        found = here.world.objects["one"]
        assert {name: found[name] for name in FRESH} == live


@given(tasks(), states())
def test_what_no_task_ever_named_is_not_looked_at(task: State, damage: State) -> None:
    unnamed = set(FRESH) - set(task)
    assume(unnamed)
    with host() as here:
        here.run(task)
        here.world.objects["one"].update({name: damage[name] for name in unnamed})
        settled(here, task)


# --- drift ---------------------------------------------------------------------


def drifted(here: Host, task: State, damage: State) -> list[str]:
    """Apply a task, change what it made by hand, and name what differs then."""
    here.run(task)
    found = here.world.objects["one"]
    found.update({name: copy.deepcopy(damage[name]) for name in task if name in damage})
    return [name for name in task if name in damage and here.run(task, check=True).changed]


@given(tasks(), states())
def test_drift_is_repaired(task: State, damage: State) -> None:
    with host() as here:
        here.run(task)
        before = named(here, task)
        assume(drifted(here, task, damage))
        done = here.run(task).plans[0].describe()
        assert {change["reason"] for step in done for change in step["changes"]} == {"drift"}
        assert named(here, task) == before


def named(here: Host, task: State) -> State:
    """What a task names of an object, without what others may have given it beside that."""
    found = {name: copy.deepcopy(here.world.objects["one"][name]) for name in task if name in FRESH}
    for name in {"labels", "inner"} & set(task):
        found[name] = {key: found[name][key] for key in task[name]}
    for name in {"guests", "lodgers"} & set(task):
        there, found[name] = found[name], {}
        for each in task[name]:
            found[name][each["name"]] = {key: there[each["name"]][key] for key in each if key != "name"}
    return found


@given(tasks(), states(), st.booleans())
def test_drift_can_be_left_with_a_warning(task: State, damage: State, removed: bool) -> None:
    with host() as here:
        assume(drifted(here, task, damage))
        if removed:
            del here.world.objects["one"]
            assume(set(task) - {"name"})
        before = whole(here)
        for check in (True, False):
            outcome = here.run({**task, "on_drift": "warn"}, check=check)
            assert not outcome.changed
            assert "drifted" in " ".join(outcome.warnings)
            assert whole(here) == before
        assert here.run(task, check=True).plans[0].steps, "after a warning, the drift is forgotten"


@given(tasks(), states())
def test_drift_can_be_an_error(task: State, damage: State) -> None:
    with host() as here:
        assume(drifted(here, task, damage))
        before = whole(here)
        for check in (True, False):
            with pytest.raises(NsfleetError, match=r"thing one drifted: .* nothing was changed"):
                here.run({**task, "on_drift": "fail"}, check=check)
        assert whole(here) == before


def test_a_request_beside_drift_that_is_left_is_remembered() -> None:
    with host() as here:
        here.run({"name": "one", "size": 11})
        here.world.objects["one"]["size"] = 12
        task = {"name": "one", "size": 11, "color": "red", "on_drift": "warn"}
        assert here.run(task).changed
        here.world.objects["one"]["color"] = "blue"
        outcome = here.run(task)
        assert not outcome.changed
        assert "color is 'blue'" in " ".join(outcome.warnings)


def test_an_object_that_was_removed_by_hand_is_drift() -> None:
    with host() as here:
        here.run({"name": "one", "size": 11})
        del here.world.objects["one"]
        reasons = {change["reason"] for step in here.run({"name": "one", "size": 11}).plans[0].describe()
                   for change in step["changes"]}  # fmt: skip
        assert reasons == {"drift"}


# --- ownership -----------------------------------------------------------------


def differs(live: State, task: State) -> bool:
    """Whether an object is not as a task says."""
    with host() as here:
        here.put("one", live, mark=True)
        here.run(task)
        after = here.world.state("one")
        return {**live, "mark": True} != after


@given(states(), tasks(), st.booleans())
def test_what_is_not_ours_is_not_changed_without_adopt(live: State, task: State, absent: bool) -> None:
    with host() as here:
        here.put("one", live)
        before = whole(here)
        for check in (True, False):
            if absent or differs(live, task):
                with pytest.raises(NsfleetError, match="set adopt to true"):
                    here.run(ABSENT if absent else task, check=check)
            else:
                assert not here.run(task, check=check).changed
        assert whole(here) == before


@given(states(), tasks())
def test_adopted_it_is_ours(live: State, task: State) -> None:
    with host() as here:
        here.put("one", live)
        assert here.run({**task, "adopt": True}).changed
        assert here.world.objects["one"]["mark"]
        settled(here, task)
        here.run(ABSENT)
        assert not here.world.objects


# --- failures and killed runs ----------------------------------------------------


class Before(t.NamedTuple):
    """How the host is before a run that does not end well."""

    live: State | None  #: of an object that somebody else made
    task: State | None  #: that was applied before


BEFORE = st.one_of(
    st.just(Before(None, None)),
    st.builds(Before, states(), st.none()),
    st.builds(Before, st.none(), tasks()),
    st.builds(Before, states(), tasks()),
)


def prepare(here: Host, before: Before) -> None:
    """Bring the host to where it is before the run."""
    if before.live is not None:
        here.put("one", before.live)
    if before.task is not None:
        here.run({**before.task, "adopt": True})


def stopped(here: Host, tasks: tuple[State, ...], error: BaseException, at: int) -> None:
    """Run tasks and be stopped at a point; every point is as likely, however many there are."""
    count = here.points(error, *tasks)
    here.world.stop(1 + at % count if count else 0, error)
    try:
        here.run(*tasks)
    except Killed:
        pass
    finally:
        here.world.stop(0, error)


def serial_of_one(here: Host) -> bytes:
    """What tells the object from another one of its name, as records have it."""
    return b'"serial": %d}' % here.world.objects.get("one", {}).get("serial", 0)


@given(BEFORE, tasks(), st.integers(0, _MANY))
def test_a_step_that_fails_takes_all_others_back(before: Before, task: State, at: int) -> None:
    with host() as here:
        prepare(here, before)
        was, known = here.world.state("one"), files_below(here.root)
        serial = serial_of_one(here)
        with pytest.raises(NsfleetError, match=r"injected failure.*Everything was put back as it was"):
            stopped(here, ({**task, "adopt": True}, OTHER), OSError(5, "injected failure"), at)
        assert here.world.state("one") == was
        assert "other" not in here.world.objects
        # Put back, it may have been made anew: what is known of it is then known of the object that is there.
        same = {path: content.replace(serial, serial_of_one(here)) for path, content in known.items()}
        assert files_below(here.root) == same


@given(BEFORE, tasks(), st.integers(0, _MANY))
def test_a_killed_run_is_repaired_by_the_next_one(before: Before, task: State, at: int) -> None:
    tasks = ({**task, "adopt": True}, OTHER)
    with host() as here, host() as undisturbed:
        for each in (here, undisturbed):
            prepare(each, before)
        stopped(here, tasks, Killed(), at)
        for each in (here, undisturbed):
            each.run(*tasks)
        settled(here, task)
        assert here.world.state("one") == undisturbed.world.state("one")


@given(BEFORE, tasks(), st.integers(0, _MANY))
def test_a_killed_run_is_undone_by_one_of_another_object(before: Before, task: State, at: int) -> None:
    with host() as here:
        prepare(here, before)
        was = here.world.state("one")
        stopped(here, ({**task, "adopt": True}, OTHER), Killed(), at)
        here.run({"name": "third"})
        assert here.world.state("one") == was
        assert "other" not in here.world.objects
        assert not os.path.exists(f"{here.root}/imaginary/thing.journal")
        if before.task is not None:
            assert not here.run(before.task).changed
            settled(here, before.task)


@given(BEFORE, tasks(), st.tuples(st.integers(0, _MANY), st.integers(0, _MANY)))
def test_a_run_that_is_killed_again_is_undone_as_a_whole(before: Before, task: State, at: tuple[int, int]) -> None:
    with host() as here:
        prepare(here, before)
        was = here.world.state("one")
        for turn in at:
            stopped(here, ({**task, "adopt": True}, OTHER), Killed(), turn)
        here.run({"name": "third"})
        assert here.world.state("one") in (was, wanted(before, task))
        assert not os.path.exists(f"{here.root}/imaginary/thing.journal")


def wanted(before: Before, task: State) -> State | None:
    """What a run makes that nobody kills."""
    with host() as here:
        prepare(here, before)
        here.run({**task, "adopt": True}, OTHER)
        return here.world.state("one")
