# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an option of a resource is, said once.

A kind of resource declares one immutable :class:`Table` of :class:`Field` objects. All else is derived from it:
argument specification, validation, comparison, diff, steps, and the result of the ``_info`` module.

Canonical values consist of JSON types only (``dict`` with string keys, ``list``, ``str``, ``int``, ``float``,
``bool``), so that they compare by ``==``, can be stored, and can be shown.
"""

from __future__ import annotations

import typing as t

from .errors import InvalidOptions, NotHere, OptionError

State = dict[str, t.Any]
Path = tuple[str, ...]

#: Effects of a change on what runs, from the mildest to the hardest.
LIVE, RESTART, RECREATE = "live", "restart", "recreate"
EFFECTS = (LIVE, RESTART, RECREATE)


class _Word:
    """A value that is none of those that options have."""

    def __init__(self, word: str) -> None:
        self._word = word

    def __repr__(self) -> str:
        return self._word


#: ``revert`` of a field for which the kernel knows no neutral value: what is there stays there, unless it is known
#: what was there before our first change.
KEEP = _Word("KEEP")
#: ``revert`` of a field that only ever adds: what was added stays, whatever was there before.
STAYS = _Word("STAYS")


def unchanged(value: t.Any) -> t.Any:
    """The canonical form of values that have only one spelling."""
    return value


class Field:
    """One option.

    :param name: option name, snake_case.
    :param type: Ansible type (``str``, ``int``, ``bool``, ``list``, ``dict``, ``path``, ``float``, ``raw``).
    :param elements: Ansible type of the elements of a list.
    :param choices: the values that are accepted.
    :param default: value when the user gives none.
    :param required: the user has to give it.
    :param no_log: as in Ansible's argument specification.
    :param table: options of a ``dict``, or of each element of a list of ``dict``.
    :param key: for a list of ``dict``: the option that names an element; the list is then a set of named things.
    :param canonical: turns what the user wrote, or what the kernel shows, into the one form that is compared.
        Raises ``ValueError`` with what was expected.
    :param revert: value that is set when the option disappears from the task; :data:`KEEP` and
        :data:`STAYS` leave it.
    :param effect: what changing it does to what runs: :data:`LIVE`, :data:`RESTART` or :data:`RECREATE`.
    :param read: takes the kind's record of the live object and gives the canonical value.
    :param write: what the kind needs to know to change it; its meaning belongs to the kind.
    :param stateful: ``False`` for options that say how to work, not what to have (``state``, ``adopt``).
    :param option: ``False`` for state that every object of the kind is to have, so that no option says it.
    :param exact: ``False`` for a keyed list that may have more elements than were named.
    :param returns: for a keyed list: an element that was there before a task named it goes back to what it was when it
        disappears from the task; without it, it goes away.
    """

    __slots__ = (
        "canonical", "choices", "default", "effect", "elements", "exact", "key", "name", "no_log",
        "option", "read", "required", "returns", "revert", "stateful", "table", "type", "write",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        type: str = "str",
        *,
        elements: str | None = None,
        choices: t.Sequence[t.Any] | None = None,
        default: t.Any = None,
        required: bool = False,
        no_log: bool | None = None,
        table: Table | None = None,
        key: str | None = None,
        canonical: t.Callable[[t.Any], t.Any] = unchanged,
        revert: t.Any = KEEP,
        effect: str = LIVE,
        read: t.Callable[[t.Any], t.Any] | None = None,
        write: t.Any = None,
        stateful: bool = True,
        option: bool = True,
        exact: bool = True,
        returns: bool = False,
    ) -> None:
        self.name = name
        self.type = type
        self.elements = elements
        self.choices = choices
        self.default = default
        self.required = required
        self.no_log = no_log
        self.table = table
        self.key = key
        self.canonical = canonical
        self.revert = revert
        self.effect = effect
        self.read = read
        self.write = write
        self.stateful = stateful
        self.option = option
        self.exact = exact
        self.returns = returns

    @property
    def keyed(self) -> bool:
        """Whether the option is a set of named things, each with options of its own."""
        return self.key is not None

    @property
    def mapping(self) -> bool:
        """Whether the option is a free ``dict``, compared key by key."""
        return self.type == "dict" and self.table is None

    @property
    def confidential(self) -> bool:
        """Whether nobody is to see what it holds, or a part of that."""
        return bool(self.no_log) or (self.table is not None and any(each.confidential for each in self.table.fields))

    def argument(self) -> dict[str, t.Any]:
        """The option as Ansible's argument specification wants it."""
        spec: dict[str, t.Any] = {"type": self.type}
        for word in ("elements", "choices", "default", "no_log"):
            value = getattr(self, word)
            if value is not None:
                spec[word] = list(value) if word == "choices" else value
        if self.required:
            spec["required"] = True
        if self.table is not None:
            spec["options"] = self.table.arguments()
            spec.update(self.table.rules)
        return spec


class Table:
    """The immutable table of fields of a kind.

    :param fields: in the order in which people read and write them.
    :param rules: Ansible's relations between options (``mutually_exclusive``, ``required_if``, ...).
    """

    __slots__ = ("_by_name", "fields", "rules")

    def __init__(self, fields: t.Iterable[Field], **rules: t.Any) -> None:
        self.fields = tuple(fields)
        self.rules = rules
        self._by_name = {field.name: field for field in self.fields}

    def __getitem__(self, name: str) -> Field:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def plus(self, fields: t.Iterable[Field], **rules: t.Any) -> Table:
        """A new table with more fields and rules.

        :raises ValueError: a field of that name is there already.
        """
        table = Table((*self.fields, *fields), **{**self.rules, **rules})
        if len(table._by_name) != len(table.fields):
            raise ValueError("two fields have the same name")
        return table

    def stateful(self) -> t.Iterator[Field]:
        """The fields that describe what is to be, without the options that say how to work."""
        return (field for field in self.fields if field.stateful)

    def arguments(self) -> dict[str, dict[str, t.Any]]:
        """Ansible's argument specification of all options."""
        return {field.name: field.argument() for field in self.fields if field.option}

    def read(self, record: t.Any) -> State:
        """The state of a live object, by the ``read`` of each field that has one."""
        return {field.name: field.read(record) for field in self.fields if field.read is not None}

    def shown(self, state: State) -> State:
        """A state as people write it: sets of named things become lists again."""
        return {
            field.name: _shown(field, state[field.name]) for field in self.fields if state.get(field.name) is not None
        }

    def canonical(self, options: t.Mapping[str, t.Any]) -> State:
        """The options that were given, in canonical form; options left out or ``null`` are left out.

        :param options: as Ansible's own validation left them: types are right, unknown options refused.
        :raises InvalidOptions: with every option that cannot be accepted.
        """
        errors: list[OptionError] = []
        state = _canonical_table(self, options, "", errors)
        if errors:
            raise InvalidOptions(errors)
        return state


def _shown(field: Field, value: t.Any) -> t.Any:
    if field.table is None:
        return value
    if field.keyed:
        return [{field.key: key, **field.table.shown(item)} for key, item in value.items()]
    if field.type == "list":
        return [field.table.shown(item) for item in value]
    return field.table.shown(value)


def _canonical_table(table: Table, options: t.Mapping[str, t.Any], prefix: str, errors: list[OptionError]) -> State:
    state: State = {}
    for field in table.fields:
        value = options.get(field.name)
        if value is None:
            continue
        where = f"{prefix}{field.name}"
        if field.table is None:
            _collect(state, field, value, where, errors)
        elif field.key is not None:
            state[field.name] = _canonical_keyed(field.table, field.key, value, where, errors)
        elif field.type == "list":
            state[field.name] = [
                _canonical_table(field.table, item, f"{where}[{index}].", errors) for index, item in enumerate(value)
            ]
        else:
            state[field.name] = _canonical_table(field.table, value, f"{where}.", errors)
    return state


def _canonical_keyed(
    table: Table, key: str, items: t.Sequence[t.Mapping[str, t.Any]], where: str, errors: list[OptionError]
) -> State:
    named: State = {}
    for index, item in enumerate(items):
        state = _canonical_table(table, item, f"{where}[{index}].", errors)
        name = state.pop(key, None)
        if name in named:
            errors.append(OptionError(f"{where}[{index}].{key}", f"{name!r} is given twice"))
        elif name is not None:
            named[name] = state
    return named


def _collect(state: State, field: Field, value: t.Any, where: str, errors: list[OptionError]) -> None:
    try:
        if field.type == "list" and field.canonical is not unchanged:
            state[field.name] = _canonical_list(field, value, where, errors)
        else:
            state[field.name] = field.canonical(value)
    except ValueError as error:
        errors.append(_refusal(where, error))


def _canonical_list(field: Field, value: t.Sequence[t.Any], where: str, errors: list[OptionError]) -> t.Any:
    """A list is checked element by element, so that the error names the element."""
    for index, item in enumerate(value):
        try:
            field.canonical([item])
        except ValueError as error:
            errors.append(_refusal(f"{where}[{index}]", error))
            return []
    return field.canonical(value)


def _refusal(where: str, error: ValueError) -> OptionError:
    return OptionError(where, str(error), here=isinstance(error, NotHere))
