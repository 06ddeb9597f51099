# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only place that knows ``AnsibleModule``: argument specification, check mode, diff mode, results and errors."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ._code import finder  # before all that follows: it makes further imports cheaper
from ._model.errors import InvalidOptions, NsfleetError
from ._model.resource import Passing
from ._plan.engine import Outcome, converge

if t.TYPE_CHECKING:
    from ._model.field import State, Table
    from ._model.resource import Resource

#: The first is here for being imported.
__all__ = ["finder", "run", "run_action", "run_info"]


class _Module(AnsibleModule):
    """``AnsibleModule`` of a table.

    It logs how it was called, and knows secret values again by how they are written. Within a list or dictionary they
    are written as Python does it, with escapes, and a key of several lines would be logged. So such options are not.
    """

    def __init__(self, table: Table) -> None:
        self._confidential = [field.name for field in table.fields if field.confidential]
        super().__init__(argument_spec=table.arguments(), supports_check_mode=True, **table.rules)

    def log(self, msg: str, log_args: dict[str, t.Any] | None = None) -> None:
        """Log a message, or if there are options, how the module was called."""
        if log_args:
            hidden = {name: "NOT_LOGGING_PARAMETER" for name in self._confidential if log_args.get(name) != "None"}
            log_args = {**log_args, **hidden}
            msg = "Invoked with " + " ".join(f"{name}={value}" for name, value in log_args.items())
        super().log(msg, log_args)


class _ModuleOfEntries(_Module):
    """``AnsibleModule`` of a table with lists of which each entry has the options of another module.

    How it was called is neither logged nor returned in full: it may be long, and which parts of it are secret, only
    the tables of the entries say.
    """

    def __init__(self, table: Table) -> None:
        self._validators: dict[Table, ArgumentSpecValidator] = {}
        super().__init__(table)
        self._confidential = [field.name for field in table.fields if field.type == "list"]

    def exit_json(self, **result: t.Any) -> None:
        """End well."""
        super().exit_json(invocation=self._invocation(), **result)

    def fail_json(self, msg: str, **result: t.Any) -> None:
        """End with an error."""
        super().fail_json(msg, invocation=self._invocation(), **result)

    def _invocation(self) -> dict[str, t.Any]:
        lists = {name: f"{len(value)} entries" for name, value in self.params.items() if isinstance(value, list)}
        return {"module_args": {**self.params, **lists}}

    def check(self, table: Table, entry: t.Mapping[str, t.Any]) -> tuple[State, t.Sequence[str]]:
        """The options of an entry with their defaults, and what is wrong with them."""
        if table not in self._validators:
            self._validators[table] = ArgumentSpecValidator(table.arguments(), **table.rules)
        result = self._validators[table].validate(entry)
        self.no_log_values.update(result._no_log_values)
        return result.validated_parameters, result.error_messages


def run(kind: type[Resource]) -> None:
    """Run the module of a kind of resource; it ends the process.

    :param kind: the class that the module stands for.
    """
    module = _Module(kind.table)
    with _errors_for_people(module):
        resource = kind(module.params)
        if isinstance(resource, Passing) and resource.passing:
            from ._plan.passing import pass_by

            _exit(module, pass_by(resource, check=module.check_mode))
        outcome = converge([resource], check=module.check_mode)
    if outcome.written:
        _settle_code()
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**_result(outcome, module._diff))


def run_topology() -> None:
    """Run the module ``topology``; it ends the process."""
    from ._kernel import once
    from ._resources import topology

    module = _ModuleOfEntries(topology.TABLE)
    with _errors_for_people(module):
        if module.params["confirm"]:
            _confirm(module)
        named = topology.declared(module.params, module.check)
        resources = topology.ordered([*named, *_surplus(module.params, named)])
        seconds = module.params["confirm_timeout"]
        if seconds is not None:
            topology.import_all()
        outcome = converge(resources, check=module.check_mode, observing=once.asked, confirm=seconds)
    if outcome.written:
        _settle_code()
    for warning in outcome.warnings:
        module.warn(warning)
    module.exit_json(**_result_of_many(outcome, module._diff))


def _confirm(module: AnsibleModule) -> None:
    """Confirm a change, and end the module."""
    from ._plan import confirmation

    if not module.check_mode:
        confirmation.confirm(module.params["confirm"])
    module.exit_json(changed=False, plan=[], topology={})


def _surplus(options: t.Mapping[str, t.Any], named: t.Sequence[Resource]) -> list[Resource]:
    """What is ours and not named, of the kinds that the task has a list of, if it is to be removed."""
    if options["purge"] != "owned":
        return []
    from ._plan.surplus import recorded_keys, unnamed
    from ._resources import topology

    found: list[Resource] = []
    for option, part in topology.PARTS.items():
        if options[option] is not None:
            kind = part.kind()
            found += unnamed(
                topology.surplus(option, recorded_keys(kind)), [each for each in named if isinstance(each, kind)]
            )
    return found


def run_info(table: Table, gather: t.Callable[[t.Mapping[str, t.Any]], dict[str, t.Any]]) -> None:
    """Run an ``_info`` module; it ends the process.

    :param gather: takes the options and returns what the module returns; it only reads.
    """
    module = _Module(table)
    with _errors_for_people(module):
        found = gather(table.canonical(module.params))
    module.exit_json(changed=False, **found)


def run_action(table: Table, act: t.Callable[[t.Mapping[str, t.Any], bool], dict[str, t.Any]]) -> None:
    """Run a module that does something, and has no state to reach; it ends the process.

    :param act: takes the options and whether this is check mode, and returns what the module returns: ``changed``, and
        ``failed`` or ``warnings`` if there is a reason.
    """
    module = _Module(table)
    with _errors_for_people(module):
        _exit(module, act(table.canonical(module.params), module.check_mode))


def _exit(module: AnsibleModule, done: dict[str, t.Any]) -> t.NoReturn:
    """End the module of something that was done.

    :param done: what the module returns, and warnings.
    """
    for warning in done.pop("warnings", ()):
        module.warn(warning)
    module.exit_json(**done)
    raise AssertionError("exit_json ends the process")


def _settle_code() -> None:
    from ._code import cache

    cache.settle()


@contextlib.contextmanager
def _errors_for_people(module: AnsibleModule) -> t.Iterator[None]:
    """What was refused or failed ends the module with words, not with a traceback."""
    try:
        yield
    except NsfleetError as error:
        _fail(module, error)
    except PermissionError as error:
        _fail(module, _not_allowed(error))


def _result(outcome: Outcome, diff: bool) -> dict[str, t.Any]:
    (plan,) = outcome.plans
    resource = plan.resource
    state = resource.observed.state
    result: dict[str, t.Any] = {
        "changed": plan.changed,
        "plan": plan.describe(),
        resource.kind: None if state is None else resource.shown(),
    }
    if diff and plan.changed:
        result["diff"] = plan.diff()
    return result


def _result_of_many(outcome: Outcome, diff: bool) -> dict[str, t.Any]:
    """What a task with many objects returns: each object by its kind and in the order of the task."""
    objects: dict[str, list[dict[str, t.Any]]] = {}
    before: State = {}
    after: State = {}
    for plan in outcome.plans:
        resource = plan.resource
        if resource.observed.exists:
            objects.setdefault(resource.kind, []).append(resource.shown())
        if plan.changed:
            sides = plan.diff()
            for side, whole in (("before", before), ("after", after)):
                whole.setdefault(resource.kind, {})[resource.key] = sides[side]
    result: dict[str, t.Any] = {
        "changed": outcome.changed,
        "plan": [step for plan in outcome.plans for step in plan.describe()],
        "topology": objects,
    }
    if diff and outcome.changed:
        result["diff"] = {"before": before, "after": after}
    if outcome.pending is not None:
        result["pending"] = outcome.pending._asdict()
    return result


def _fail(module: AnsibleModule, error: NsfleetError) -> None:
    errors = error.errors if isinstance(error, InvalidOptions) else ()
    listed = [{"option": each.option, "problem": each.problem} for each in errors]
    module.fail_json(msg=str(error), errors=listed)


def _not_allowed(error: PermissionError) -> NsfleetError:
    where = f"{error.filename}: " if error.filename else ""
    return NsfleetError(f"{where}{error.strerror}; run the task as root (become: true)")
