# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranges of ids for user namespaces, out of those that the host sets aside (subuid(5), subgid(5)).

What a container has it keeps, and what other containers have is never given away. What is taken is what the bundles
say: there is no other record that could differ from them.
"""

from __future__ import annotations

import contextlib
import typing as t

from .._kernel import files
from .._model.errors import NsfleetError
from .._model.quantities import is_digits
from . import bundle

#: Whose ranges are ours to give. They may have no account.
USER: t.Final = "nsfleet"
FILES: t.Final = {"uidMappings": "/etc/subuid", "gidMappings": "/etc/subgid"}

Range = tuple[int, int]  #: first id on the host, and the one after the last


def allot(kind: str, size: int, name: str) -> int:
    """The first id on the host of a range for a container: the one that it has, else the lowest that is free.

    :param kind: ``uidMappings`` or ``gidMappings``.
    :param size: how many ids.
    :param name: of the container.
    :raises NsfleetError: the host sets none aside, or not enough of them are free.
    """
    aside = _set_aside(FILES[kind])
    own = ranges(kind, [name])
    if len(own) == 1 and own[0][1] - own[0][0] == size and any(_holds(each, own[0]) for each in aside):
        return own[0][0]
    taken = ranges(kind, (each for each in bundle.names() if each != name))
    for first, end in aside:
        for start in sorted({first, *(end_taken for _start, end_taken in taken if first < end_taken < end)}):
            wanted = start, start + size
            if wanted[1] <= end and not any(overlap(wanted, each) for each in taken):
                return start
    raise NsfleetError(
        f"expected {size} ids of {USER} in {FILES[kind]} that no container has; "
        f"set more aside, as by a line {USER}:1000000:65536000"
    )


def _set_aside(path: str) -> list[Range]:
    """The ranges of our user, in the order of the file."""
    lines = (line.strip().split(":") for line in (files.read_text(path) or "").splitlines())
    ours = [words[1:] for words in lines if len(words) == 3 and words[0] == USER and all(map(is_digits, words[1:]))]
    return [(int(first), int(first) + int(size)) for first, size in ours]


def ranges(kind: str, names: t.Iterable[str]) -> list[Range]:
    """The ranges on the host that containers have."""
    found = []
    for name in names:
        with contextlib.suppress(bundle.Damaged):  # or gone meanwhile
            found += [
                (each["hostID"], each["hostID"] + each["size"])
                for each in bundle.Bundle(name).spec["linux"].get(kind) or ()
            ]
    return found


def _holds(outer: Range, inner: Range) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def overlap(one: Range, other: Range) -> bool:
    """Whether two ranges have an id in common."""
    return one[0] < other[1] and other[0] < one[1]


@contextlib.contextmanager
def kept(name: str, linux: t.Mapping[str, t.Any]) -> t.Iterator[None]:
    """Meanwhile no other container is given anything; made sure that none has got what this one is about to have.

    :param name: of the container.
    :param linux: the section ``linux`` of its description.
    :raises NsfleetError: another one has.
    """
    with bundle.locked(alone=True):
        for kind in FILES:
            mine = [(each["hostID"], each["hostID"] + each["size"]) for each in linux.get(kind) or ()]
            others = ranges(kind, (each for each in bundle.names() if each != name))
            if any(overlap(one, other) for one in mine for other in others):
                raise NsfleetError("subordinate_ids: another container got the same ids meanwhile; run the task again")
        yield
