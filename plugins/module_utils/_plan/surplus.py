# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of our objects on a host a task does not name."""

from __future__ import annotations

import typing as t

from .._kernel import once
from .._model.field import State
from .._model.resource import Resource
from .store import Store


def recorded_keys(kind: type[Resource]) -> list[str]:
    """Keys of the objects of a kind that earlier runs recorded, sorted; none of a kind with a domain an object."""
    domain = getattr(kind, "domain", None)
    return Store(domain, kind.kind, kind.root).keys() if domain else []


def unnamed(candidates: t.Iterable[Resource], named: t.Sequence[Resource]) -> list[Resource]:
    """Those of the objects that are there and ours, and that no other resource stands for.

    :param candidates: of one kind.
    :param named: all resources of that kind in the task.
    """
    keys = {resource.key for resource in named}
    found: list[Resource] = []
    with once.asked():
        for candidate in candidates:
            if candidate.key not in keys:
                candidate.observed = candidate.observe({})
                if candidate.observed.exists and candidate.observed.owned:
                    found.append(candidate)
        return _without_known(found, named) if found and found[0].movable else found


def _without_known(found: t.Iterable[Resource], named: t.Sequence[Resource]) -> list[Resource]:
    """Those that are none of the named objects by another name, each once."""
    known = list(_identities(named))
    unknown: list[Resource] = []
    for resource in found:
        if not any(resource.is_known_as(identity) for identity in known):
            unknown.append(resource)
            known.append(resource.observed.identity or {})
    return unknown


def _identities(named: t.Sequence[Resource]) -> t.Iterator[State]:
    """What tells the objects that the task names from others, whatever they are called and wherever they are by now."""
    for resource in named:
        record = Store(resource.domain, resource.kind, resource.root).load(resource.key)
        live = resource.observe(record.identity if record else {}).identity
        if live:
            yield live
