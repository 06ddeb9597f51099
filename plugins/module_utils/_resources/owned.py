# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of ours is on this host, kind by kind, as options of a task that would remove it.

The kernel says what is ours, by the marks of the objects. Where it would be dear to look everywhere, or where a mark is
also that of another kind, the records of earlier runs say where to look, and the kernel whether it is there.
"""

from __future__ import annotations

import typing as t
from socket import AF_INET, AF_INET6

from .._kernel import netns as names
from .._kernel.namespace import identity
from .._model.field import State
from .._netlink.link import Link, list_links
from .._netlink.namespace import Namespace, everywhere, named
from .._netlink.route import list_routes
from .._netlink.rule import list_rules
from .policy import PROTOCOL, is_ours
from .shaper import waiting_room_name

Recorded = t.Sequence[str]  #: keys of the objects that earlier runs recorded


def netns(recorded: Recorded) -> t.Iterator[State]:
    """Names of network namespaces: those that we made are marked, those that we gave a name only are recorded."""
    for name in names.names():
        if name in recorded or _is_marked(name):
            yield {"name": name}


def _is_marked(name: str) -> bool:
    try:
        namespace = Namespace(f"{names.DIRECTORY}/{name}")
    except OSError:  # its mount is lost: nobody can tell whose it was
        return False
    return any(is_ours(link.group) for link in list_links(namespace.socket) if link.name == "lo")


def bridges(recorded: Recorded) -> t.Iterator[State]:
    """Bridges, in whatever namespace."""
    return _links(recorded, lambda link: link.kind == "bridge")


def veths(recorded: Recorded) -> t.Iterator[State]:
    """Ends of veth pairs, in whatever namespace."""
    return _links(recorded, lambda link: link.kind == "veth")


def links(recorded: Recorded) -> t.Iterator[State]:
    """Links of all other kinds, in whatever namespace."""
    return _links(recorded, lambda link: link.kind not in ("bridge", "veth"))


def _links(recorded: Recorded, wanted: t.Callable[[Link], bool]) -> t.Iterator[State]:
    """Links by the names that tasks gave them, so that their records go with them, then all that there are."""
    yield from map(_named, recorded)
    for reference, namespace in _places(everywhere()):
        there = list_links(namespace.socket)
        also = {waiting_room_name(link.name) for link in there}  # goes with the link whose packets wait in it
        for link in there:
            if is_ours(link.group) and link.name not in ("lo", *also) and wanted(link):
                yield {"name": link.name, "netns": reference}


def _places(namespaces: t.Iterable[Namespace]) -> t.Iterator[tuple[str, Namespace]]:
    """Namespaces, each after how tasks refer to it."""
    here = identity("/proc/thread-self/ns/net")
    for namespace in namespaces:
        yield "" if namespace.identity == here else namespace.reference, namespace


def routes(recorded: Recorded) -> t.Iterator[State]:
    """Routes that were recorded, then those with our protocol."""
    for key in recorded:
        words, _at, reference = key.rpartition("@")
        destination, table, metric = words.split(" ")
        yield {"destination": destination, "table": table, "metric": int(metric), "netns": reference}
    for reference, namespace in _places(named()):
        for family in (AF_INET, AF_INET6):
            for route in list_routes(namespace.socket, family, protocol=PROTOCOL):
                table = str(route.table)
                options = {"destination": route.destination, "table": table, "metric": route.metric}
                yield {**options, "netns": reference}


def rules(recorded: Recorded) -> t.Iterator[State]:
    """Rules that were recorded, then those with our protocol."""
    for key in recorded:
        words, _at, reference = key.rpartition("@")
        name, priority = words.split(" ")
        yield {"family": name, "priority": int(priority), "netns": reference}
    for reference, namespace in _places(named()):
        for name, family in (("ipv4", AF_INET), ("ipv6", AF_INET6)):
            for rule in list_rules(namespace.socket, family):
                if rule.protocol == PROTOCOL:
                    yield {"family": name, "priority": rule.priority, "netns": reference}


def nats(recorded: Recorded) -> t.Iterator[State]:
    """Sets of networks and published ports that were recorded."""
    return map(_named, recorded)


def _named(key: str) -> State:
    name, _at, reference = key.rpartition("@")
    return {"name": name, "netns": reference}


def cgroups(recorded: Recorded) -> t.Iterator[State]:
    """Control groups that tasks made; those of containers have the same mark, and no record."""
    return ({"name": path} for path in recorded)


def containers(recorded: Recorded) -> t.Iterator[State]:
    """All containers."""
    del recorded  # they are what their directories say
    from .._runtime import bundle

    return ({"name": name} for name in bundle.names())
