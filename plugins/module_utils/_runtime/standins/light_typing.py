# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runtime uses of :mod:`typing` when it executes, without the 5 milliseconds that its import takes.

Annotations are never evaluated (PEP 563), so most of the library is only names. What is more is :class:`NamedTuple`,
whose classes are made here without compiling code for each; they behave as those of the library do, and a test compares
them.
"""

from __future__ import annotations

from operator import itemgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t


class _Name:
    """A name of the library that is only written into annotations and aliases."""

    def __getitem__(self, parameters: object) -> _Name:
        return self


class Protocol:
    """A base class that says something to type checkers."""


def cast(kind: object, value: t.Any) -> t.Any:
    """The value, whatever it is said to be."""
    del kind
    return value


def __getattr__(_name: str) -> _Name:
    return _Name()


# --- named tuples ------------------------------------------------------------------


class _Named(tuple["t.Any", ...]):
    """What all named tuples can (:func:`collections.namedtuple`)."""

    __slots__ = ()
    _fields: t.ClassVar[tuple[str, ...]] = ()
    _field_defaults: t.ClassVar[dict[str, t.Any]] = {}

    def __new__(cls, *values: t.Any, **named: t.Any) -> t.Any:
        if named or len(values) != len(cls._fields):
            values = cls._completed(values, named)
        return tuple.__new__(cls, values)

    @classmethod
    def _completed(cls, values: tuple[t.Any, ...], named: dict[str, t.Any]) -> tuple[t.Any, ...]:
        """Values in the order of the fields: those that were given, and defaults."""
        left = cls._fields[len(values) :]
        known = {**cls._field_defaults, **named}
        if len(values) > len(cls._fields) or not set(left) <= known.keys() or not named.keys() <= set(left):
            raise TypeError(f"{cls.__name__}() expects {', '.join(cls._fields)}; got {values!r} and {named!r}")
        return (*values, *(known[name] for name in left))

    @classmethod
    def _make(cls, values: t.Iterable[t.Any]) -> t.Any:
        return cls(*values)

    def _replace(self, **changed: t.Any) -> t.Any:
        return type(self)(**{**self._asdict(), **changed})

    def _asdict(self) -> dict[str, t.Any]:
        return dict(zip(self._fields, self))

    def __repr__(self) -> str:
        words = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self))
        return f"{type(self).__name__}({words})"

    def __getnewargs__(self) -> tuple[t.Any, ...]:
        return tuple(self)


class _Maker(type):
    """Makes the classes."""

    def __new__(cls, name: str, bases: tuple[type, ...], content: dict[str, t.Any]) -> t.Any:
        del bases
        fields = tuple(content.get("__annotations__", ()))
        defaults = {field: content.pop(field) for field in fields if field in content}
        getters = {field: property(itemgetter(number)) for number, field in enumerate(fields)}
        made = {"__slots__": (), "_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
        return type(name, (_Named,), {**content, **getters, **made})


class _Base:
    """What ``class Name(NamedTuple)`` names as its base (PEP 560)."""

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type]:
        del bases
        return (_made_by_maker,)


_made_by_maker = type.__new__(_Maker, "NamedTuple", (), {})
NamedTuple = _Base()
