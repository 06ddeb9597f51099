# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places of options in an OCI bundle's description: fields that are one value of it, or an annotation of ours."""

from __future__ import annotations

import typing as t

from .._model.field import RESTART, Field, unchanged
from .._runtime.spec import Spec, annotate, annotation


def find(spec: Spec, path: str) -> t.Any:
    """What is at a place such as ``process.user.uid``; ``None`` if nothing is."""
    value: t.Any = spec
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def put(spec: Spec, path: str, value: t.Any) -> None:
    """Put a value at a place, which is made."""
    *folders, last = path.split(".")
    for part in folders:
        spec = spec.setdefault(part, {})
    spec[last] = value


def at(name: str, kind: str, path: str, default: t.Any, effect: str = RESTART, **words: t.Any) -> Field:
    """A field that is one value of the description."""

    def read(spec: Spec) -> t.Any:
        value = find(spec, path)
        return default if value is None else value

    def write(spec: Spec, value: t.Any) -> None:
        put(spec, path, value)

    return Field(name, kind, effect=effect, revert=default, read=read, write=write, **words)


def asked_at(
    name: str,
    path: str,
    default: str = "",
    effect: str = RESTART,
    *,
    inside: t.Callable[[str], t.Any] = unchanged,
    outside: t.Callable[[t.Any], str] = unchanged,
    **words: t.Any,
) -> Field:
    """A field that is one value of the description, and is not in it where it has its default.

    :param inside: gives the value that the description has.
    :param outside: gives the option's value of that.
    """
    folder, _dot, last = path.rpartition(".")

    def read(spec: Spec) -> t.Any:
        value = find(spec, path)
        return default if value is None else outside(value)

    def write(spec: Spec, value: t.Any) -> None:
        (find(spec, folder) or {}).pop(last, None)
        if value != default:
            put(spec, path, inside(value))

    return Field(name, "str", effect=effect, revert=default, read=read, write=write, **words)


def noted(name: str, kind: str, default: t.Any, effect: str = RESTART, **words: t.Any) -> Field:
    """A field for which the runtime-spec has no place: an annotation of ours."""
    note = name.replace("_", "-")

    def read(spec: Spec) -> t.Any:
        text = annotation(spec, note)
        if not text:
            return default
        return {"bool": lambda: text == "true", "int": lambda: int(text), "float": lambda: float(text)}.get(
            kind, lambda: text.split(",") if kind == "list" else text
        )()

    def write(spec: Spec, value: t.Any) -> None:
        text = ",".join(value) if kind == "list" else str(value).lower() if kind == "bool" else str(value)
        annotate(spec, note, "" if value == default else text)

    return Field(name, kind, effect=effect, revert=default, read=read, write=write, **words)
