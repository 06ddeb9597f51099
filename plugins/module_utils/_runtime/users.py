# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of a container, looked up in its own ``/etc/passwd`` and ``/etc/group`` before anything runs in it.

The C library's functions for that load plug-ins from the root they look in, which is the container's; this does not.
"""

from __future__ import annotations

import typing as t

from .._model.errors import NsfleetError
from .._model.quantities import is_digits

#: Gives the text of a file, ``None`` if it is not there.
Reader = t.Callable[[str], t.Optional[str]]
_LARGEST_ID = 2**32 - 2


class User(t.NamedTuple):
    """Who a process is, in numbers."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def resolve(read: Reader, user: str, groups: t.Sequence[str] = ()) -> User:
    """Turn names into numbers.

    :param read: reads a file of the container's root directory.
    :param user: ``NAME``, ``NAME:GROUP``, ``UID`` or ``UID:GID``; digits are always a number, never a name.
    :param groups: supplementary groups, names or numbers.
    :raises NsfleetError: the root has no such user or group, or its files cannot be read.
    """
    name, colon, group = user.partition(":")
    try:
        entry = _find(read, "/etc/passwd", name, 2)
        uid = _number(name) if is_digits(name) else _number(_there(entry, "user", name)[2])
        gid = _gid(read, group) if colon else _number(entry[3]) if entry else 0
        return User(uid, gid, tuple(_gid(read, word) for word in groups))
    except (OSError, ValueError, IndexError) as error:
        raise NsfleetError(f"user {user!r} of the container: {error}") from error


def _gid(read: Reader, group: str) -> int:
    if is_digits(group):
        return _number(group)
    return _number(_there(_find(read, "/etc/group", group, 2), "group", group)[2])


def _number(word: str) -> int:
    if not is_digits(word) or int(word) > _LARGEST_ID:
        raise ValueError(f"expected a number of 0 to {_LARGEST_ID}, got {word!r}")
    return int(word)


def _there(entry: list[str] | None, what: str, name: str) -> list[str]:
    if entry is None:
        raise ValueError(f"the root file system has no {what} {name!r}")
    return entry


def _find(read: Reader, path: str, word: str, number: int) -> list[str] | None:
    """The entry of a name, or the first one of a number."""
    column = number if is_digits(word) else 0
    for line in (read(path) or "").splitlines():
        fields = line.split(":")
        if len(fields) > number and fields[column] == word:
            return fields
    return None
