# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Words of a command line as options and operands. ``argparse`` would cost more than all the rest of a command."""

from __future__ import annotations

import typing as t

from ..._model.errors import NsfleetError

Values = dict[str, t.Any]


class Option(t.NamedTuple):
    """One option."""

    names: str  #: all of them, the one by which it is known first, without dashes, separated by blanks
    value: str = ""  #: what follows it, as the usage shows it; empty: nothing does
    help: str = ""
    repeated: bool = False  #: each time adds a value

    @property
    def name(self) -> str:
        """The one by which it is known."""
        return self.names.split()[0]

    def shown(self) -> str:
        """A line of the usage."""
        words = ", ".join(f"{'-' if len(name) == 1 else '--'}{name}" for name in self.names.split())
        return f"  {words + (' ' + self.value if self.value else ''):<26}{self.help}"


def parse(options: t.Sequence[Option], words: t.Sequence[str], most: int | None = None) -> tuple[Values, list[str]]:
    """Take options from the beginning of a command line.

    As in the command line of runc, one dash and two are the same, and a value may follow in the same word, after ``=``.

    :param most: number of operands after which words are no options any more; ``None``: options may stand anywhere.
    :returns: values by name, and the operands. An option that was not given has ``False``, an empty string or list.
    :raises NsfleetError: an option is not known, or lacks its value.
    """
    known = {name: option for option in options for name in option.names.split()}
    values: Values = {each.name: [] if each.repeated else "" if each.value else False for each in options}
    operands: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return values, operands + left
        if not word.startswith("-") or word == "-":
            operands.append(word)
            if most is not None and len(operands) >= most:
                return values, operands + left
            continue
        _take(known, values, word, left)
    return values, operands


def _take(known: t.Mapping[str, Option], values: Values, word: str, left: list[str]) -> None:
    name, equals, value = word.lstrip("-").partition("=")
    option = known.get(name)
    if option is None:
        raise NsfleetError(f"there is no option {word.partition('=')[0]}")
    if not option.value:
        values[option.name] = not equals or value.lower() in ("true", "1", "t")
        return
    if not equals:
        if not left:
            raise NsfleetError(f"option {word} needs a value: {option.value}")
        value = left.pop(0)
    if option.repeated:
        values[option.name].append(value)
    else:
        values[option.name] = value


def number(values: Values, name: str, default: int = 0) -> int:
    """The value of an option as a whole number.

    :raises NsfleetError: it is none.
    """
    word = values[name]
    if word == "":
        return default
    try:
        return int(word)
    except ValueError:
        raise NsfleetError(f"--{name}: expected a whole number, got {word!r}") from None
