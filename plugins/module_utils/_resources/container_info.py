# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be told of containers: the observation of the kind ``container``, processes, usage, log."""

from __future__ import annotations

import typing as t

from .._cgroup import usage
from .._cgroup.group import Group
from .._kernel import process
from .._model.field import Field, State, Table
from .._model.names import container_name
from .._model.quantities import between
from .._runtime import groups, lifecycle
from .._runtime import state as states
from .._runtime.bundle import Bundle, Damaged, names
from .container import Container, of_processes

#: All of a log would have to go through the task's result.
_LARGEST_LOG: t.Final = 16 << 20

TABLE = Table(
    (
        Field("name", canonical=container_name),
        Field("log_bytes", "int", default=4096, canonical=between(0, _LARGEST_LOG)),
    )
)


def gather(options: t.Mapping[str, t.Any]) -> State:
    """One container, or all of the host.

    :param options: canonical options of :data:`TABLE`.
    """
    wanted = [options["name"]] if "name" in options else names()
    return {"containers": [_describe(name, options["log_bytes"]) for name in wanted if Bundle(name).exists]}


def _describe(name: str, log_bytes: int) -> State:
    bundle, known = Bundle(name), states.load(name)
    return {
        **_of_description(bundle, known),
        "bundle": bundle.directory,
        "uptime": lifecycle.uptime(known),
        "error": known.error,
        "log": lifecycle.log_tail(bundle, log_bytes),
    }


def _of_description(bundle: Bundle, known: states.State) -> State:
    """What only a description leads to; where it is damaged, the others are told all the same."""
    try:
        container = Container({"name": bundle.name, "state": "present"})
        container.observed = container.observe({})
        return {**container.shown(), "damaged": "", **_of_group(groups.of(bundle.spec))}
    except Damaged as error:
        return {"name": bundle.name, "damaged": str(error), **of_processes(known)}


def _of_group(group: Group) -> State:
    if not group.exists:
        return {}
    running = process.processes(group.processes(recursive=True))
    return {
        "processes": [each._asdict() for each in running],
        "usage": usage.usage(group),
        "events": usage.events(group),
        "psi": usage.pressure(group),
    }
