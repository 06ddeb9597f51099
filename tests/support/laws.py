# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws that every option of every module obeys, asserted in one place.

=============  ===================================================================================================
four steps     check says what the run does and touches nothing; the run does it; a second run changes nothing;
               check after it says so
drift          what is changed by hand is seen by check, and repaired by the run
revert         an option that disappears from the task goes back to what it was
coverage       every option has a case, or a test that is named for it
=============  ===================================================================================================
"""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Table
from ansible_collections.nsfleet.linux.plugins.module_utils._plan import transaction
from support import world
from support.invoke import Result, invoke

Options = t.Mapping[str, t.Any]


class Case(t.NamedTuple):
    """One option, or one value of it, of one module.

    The first word of ``option`` is its path, ``peer.mtu`` or ``ports.hairpin``.
    ``shows`` asks a witness for the value; ``value`` is what it answers when the option holds. ``damage`` is the shell
    command by which somebody changes it behind our back. ``needs`` names what the kernel may lack (:mod:`.abilities`).
    """

    option: str
    options: Options
    shows: t.Callable[[], t.Any]
    value: t.Any
    damage: str
    needs: str = ""
    reverts_to: t.Any = None  #: what the witness answers when the option disappeared; ``None``: it is not asked


class Proof(t.Protocol):
    """What proves options: a case, or what cases are made of."""

    @property
    def option(self) -> str:
        """As that of a case."""

    @property
    def options(self) -> Options:
        """As those of a case."""


def covered(table: Table, cases: t.Iterable[Proof], elsewhere: t.Mapping[str, t.Callable[..., object]]) -> None:
    """Every option of a module, and of its options' own options, is proved by a case or by a test of its own.

    ``state`` needs neither: every case sets it to absent.

    :param elsewhere: option path to the test that proves it.
    :raises AssertionError: an option is proved by nothing, or ``elsewhere`` names what is no option.
    """
    every = set(_paths(table)) - {"state"}
    proved = {path for case in cases for path in _given(case)}
    assert set(elsewhere) <= every, f"there is no option {sorted(set(elsewhere) - every)}"
    lacking = sorted(every - proved - set(elsewhere))
    assert not lacking, f"no case and no test proves {', '.join(lacking)}"


def _paths(table: Table, prefix: str = "") -> t.Iterator[str]:
    for field in table.fields:
        if field.option and field.table is not None:
            yield from _paths(field.table, f"{prefix}{field.name}.")
        elif field.option:
            yield prefix + field.name


def _given(case: Proof) -> t.Iterator[str]:
    """Paths of the options that a case both is named for and gives."""
    named = case.option.split()[0]
    for path in _leaves(case.options):
        if path == named or path.startswith(f"{named}."):
            yield path


def _leaves(value: t.Any, path: str = "") -> t.Iterator[str]:
    """A path and those below it, of options that may hold options."""
    if path:
        yield path
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for key, below in item.items():
                yield from _leaves(below, f"{path}.{key}" if path else str(key))


def four_steps(module: str, options: Options) -> Result:
    """Check, run, run again, check again; the result of the first run.

    :raises AssertionError: one of them broke the law.
    """
    before = world.snapshot()
    predicted = invoke(module, options, check=True)
    assert not predicted.failed, predicted["msg"]
    assert predicted.changed, "check mode does not see that there is something to do"
    _untouched(before, "check mode changed the host")
    done = run(module, options)
    assert done.changed, "the run says that it changed nothing"
    assert done["diff"] == predicted["diff"], "the diff of check mode is not the diff of the run"
    assert done["plan"] == predicted["plan"], "the plan of check mode is not the plan of the run"
    settled(module, options)
    return done


def settled(module: str, options: Options) -> None:
    """A run and a check that change nothing, and say so.

    :raises AssertionError: one of them did or said otherwise.
    """
    before = world.snapshot()
    for check in (False, True):
        again = run(module, options, check=check)
        assert not again.changed, f"run again (check mode: {check}): {again.get('diff')}"
        assert "diff" not in again
        assert again["plan"] == []
    _untouched(before, "a run that says that it changed nothing changed the host")


def run(module: str, options: Options, *, check: bool = False) -> Result:
    """Run a module that is to succeed."""
    result = invoke(module, options, check=check)
    assert not result.failed, result["msg"]
    return result


def repaired(module: str, options: Options, damage: str) -> Result:
    """Damage the object by hand; check has to see it, the run to repair it.

    :raises AssertionError: the damage was not seen, or not repaired.
    """
    world.sh(damage)
    done = four_steps(module, options)
    reasons = {change["reason"] for step in done["plan"] for change in step["changes"]}
    assert reasons <= {"drift"}, f"damage by hand is called {reasons}"
    return done


def option_holds(module: str, base: Options, case: Case) -> None:
    """All laws for one option.

    :param base: options that are there in any case; the object does not exist yet.
    """
    options = merge(base, case.options)
    run(module, base)
    assert case.shows() != case.value, "the option holds before it was asked for, so this case proves nothing"
    four_steps(module, options)
    assert case.shows() == case.value
    repaired(module, options, case.damage)
    assert case.shows() == case.value
    if case.reverts_to is not None:
        four_steps(module, base)
        assert case.shows() == case.reverts_to
    remove(module, options)
    four_steps(module, options)
    assert case.shows() == case.value, "created with the option, the object is not as asked"


def remove(module: str, options: Options) -> None:
    """Remove the object, by all four steps."""
    four_steps(module, {**options, "state": "absent"})


def merge(base: Options, more: Options) -> dict[str, t.Any]:
    """Options over options; dictionaries are merged, all else is replaced."""
    merged = dict(base)
    for key, value in more.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def refused(module: str, options: Options, *words: str) -> Result:
    """Options that are to be refused before anything is touched, with a message that says these words.

    :raises AssertionError: they were accepted, the message says something else, or something was touched.
    """
    before = world.snapshot()
    for check in (True, False):
        result = invoke(module, options, check=check)
        _says(result, words, f"accepted (check mode: {check})")
    _untouched(before, "a refused task touched the host")
    return result


def missing(module: str, options: Options, *words: str) -> None:
    """Something that is not there: the run refuses; check mode warns, since an earlier task may be what makes it.

    :raises AssertionError: one of them did otherwise, or something was touched.
    """
    before = world.snapshot()
    warned = run(module, options, check=True)
    for word in words:
        assert word in str(warned.get("warnings")), warned
    _says(invoke(module, options), words, "accepted")
    _untouched(before, "a refused task touched the host")


def drift_stays(module: str, options: Options, policy: str, damage: str, words: t.Sequence[str], more: Options) -> None:
    """Drift that is not to be repaired: ``fail`` refuses the task, ``warn`` does the rest of it.

    That it is still there, the caller asserts.

    :param policy: value of ``on_drift``.
    :param damage: shell command by which somebody changes the object behind our back.
    :param words: what is said of the drift.
    :param more: options that the task asks for afterwards, beside the others.
    :raises AssertionError: it was not said, a refused task touched something, or the rest was not done.
    """
    options = {**options, "on_drift": policy}
    run(module, options)
    world.sh(damage)
    if policy == "fail":
        refused(module, options, "drifted", *words)
        return
    warned = run(module, options)
    assert not warned.changed, warned["plan"]
    for word in words:
        assert word in str(warned["warnings"]), warned["warnings"]
    assert run(module, {**options, **more}).changed, "what the task asks for beside the drift was not done"


def puts_back(module: str, tasks: t.Iterable[Options]) -> None:
    """Tasks that fail when all is done (:func:`failing`): each leaves the host as it was.

    :raises AssertionError: one did not.
    """
    before = world.snapshot()
    for options in tasks:
        failed = invoke(module, options)
        assert "injected failure. Everything was put back as it was" in failed["msg"], failed["msg"]
        _untouched(before, f"a task that failed left something of {options}")


def failing(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every run of a module fails when all its steps are done, until the patch is undone."""

    def fail(plans: object) -> None:
        del plans
        raise OSError("injected failure")

    monkeypatch.setattr(transaction, "_verify", fail)


def _untouched(before: dict[str, t.Any], otherwise: str) -> None:
    changes = world.difference(before, world.snapshot())
    assert not changes, f"{otherwise}: {changes}"


def _says(result: Result, words: t.Sequence[str], otherwise: str) -> None:
    assert result.failed, f"{otherwise}: {result}"
    assert "Traceback" not in str(result), result
    for word in words:
        assert word in result["msg"], result["msg"]
