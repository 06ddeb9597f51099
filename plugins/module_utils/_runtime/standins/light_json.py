# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runtime uses of :mod:`json`, without the 6 milliseconds that it takes to import its regular expressions.

It is the same parser and the same writer, in C, called as the library calls them. Whatever they do not take is left to
the library: it says in its own words what is wrong with a text, and it is there for a Python that has no such parser.
"""

from __future__ import annotations

import importlib
import typing as t

if t.TYPE_CHECKING:
    from types import ModuleType

#: Of JSON (RFC 8259, section 2).
_BLANK: t.Final = " \t\n\r"


def _fast() -> ModuleType | None:
    try:
        return importlib.import_module("_json")
    except ImportError:  # not CPython
        return None


_c: t.Final = _fast()


class _Context:
    """How texts are read: as the library does where nothing else is said."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int
    parse_constant = float  # NaN, Infinity, -Infinity


def loads(text: str | bytes) -> t.Any:
    """The value of a JSON text.

    :raises ValueError: it is none.
    """
    if _c is not None and isinstance(text, str):
        try:
            value, end = _c.make_scanner(_Context)(text, len(text) - len(text.lstrip(_BLANK)))
        except (StopIteration, SystemError, ValueError):  # it has no words of its own while the library is not there
            end = 0
        if end and not text[end:].strip(_BLANK):
            return value
    import json

    return json.loads(text)


def load(file: t.IO[str]) -> t.Any:
    """The value of a JSON text in an open file.

    :raises ValueError: it is none.
    """
    return loads(file.read())


def dumps(value: t.Any, **options: t.Any) -> str:
    """The JSON text of a value.

    :param options: with any, the library writes it.
    :raises TypeError: it has none.
    """
    if _c is not None and not options:
        encode = _c.make_encoder({}, _refuse, _c.encode_basestring_ascii, None, ": ", ", ", False, False, True)
        return "".join(encode(value, 0))
    import json

    return json.dumps(value, **options)


def _refuse(value: t.Any) -> t.NoReturn:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
