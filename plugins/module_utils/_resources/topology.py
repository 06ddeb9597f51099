# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many objects of a host in one task: what they are, what cannot be together, and in which order they are made."""

from __future__ import annotations

import typing as t

from .._model.errors import InvalidOptions, OptionError
from .._model.field import Field, State, Table
from .._model.resource import Passing, Resource
from .._model.things import ADDRESS, LINK, Thing
from . import owned

#: Checks the options of one entry by the table of its kind.
#: Returns them with the defaults filled in, and what is wrong with them.
Checking = t.Callable[[Table, t.Mapping[str, t.Any]], tuple[State, t.Sequence[str]]]

#: Most ports of a bridge (``BR_MAX_PORTS`` in ``net/bridge/br_private.h``, of which one is not used).
_MOST_PORTS = 1023
#: Most seconds that a change may wait to be confirmed, and everybody else for it.
_LONGEST = 250
#: Lists of what a network can be taken back without.
_NOT_OF_THE_NETWORK = ("cgroups", "containers")


class Part(t.NamedTuple):
    """An option of the task: objects of one kind."""

    kind: t.Callable[[], type[Resource]]  #: imports the kind, which costs time that a task without it need not spend
    ours: t.Callable[[owned.Recorded], t.Iterator[State]]


def _netns() -> type[Resource]:
    from .netns import Netns

    return Netns


def _bridge() -> type[Resource]:
    from .bridge import Bridge

    return Bridge


def _link() -> type[Resource]:
    from .link import Link

    return Link


def _veth() -> type[Resource]:
    from .veth import Veth

    return Veth


def _route() -> type[Resource]:
    from .route import Route

    return Route


def _rule() -> type[Resource]:
    from .rule import Rule

    return Rule


def _nat() -> type[Resource]:
    from .nat import Nat

    return Nat


def _cgroup() -> type[Resource]:
    from .cgroup import Cgroup

    return Cgroup


def _container() -> type[Resource]:
    from .container import Container

    return Container


#: In the order in which they are made, unless one needs another one.
PARTS: t.Final = {
    "netns": Part(_netns, owned.netns),
    "bridges": Part(_bridge, owned.bridges),
    "veths": Part(_veth, owned.veths),
    "links": Part(_link, owned.links),
    "routes": Part(_route, owned.routes),
    "rules": Part(_rule, owned.rules),  # so that packets that they send to a table find its routes
    "nat": Part(_nat, owned.nats),
    "cgroups": Part(_cgroup, owned.cgroups),
    "containers": Part(_container, owned.containers),
}

TABLE = Table(
    (
        *(Field(option, "list", elements="dict") for option in PARTS),
        Field("state", choices=("present", "absent"), default="present"),
        Field("purge", choices=("none", "owned"), default="none"),
        Field("adopt", "bool", default=False),
        Field("on_drift", choices=("apply", "warn", "fail"), default="apply"),
        Field("confirm_timeout", "float"),
        Field("confirm"),
    ),
    required_one_of=[(*PARTS, "confirm")],
    mutually_exclusive=[("confirm", option) for option in (*PARTS, "confirm_timeout")],
)


def declared(options: t.Mapping[str, t.Any], check: Checking) -> list[Resource]:
    """The objects that the task names.

    :param options: as Ansible's own validation left them.
    :raises InvalidOptions: with every option of every entry that cannot be accepted.
    """
    errors: list[OptionError] = []
    resources: list[Resource] = []
    for option, part in PARTS.items():
        for number, entry in enumerate(options.get(option) or ()):
            place = f"{option}[{number}]"
            try:
                resources.append(_resource(part.kind(), place, _completed(entry, options), check))
            except InvalidOptions as error:
                errors += [_placed(place, each) for each in error.errors]
    errors += _unconfirmed(options)
    errors += _doubled(resources)
    errors += _crowded(resources)
    if errors:
        raise InvalidOptions(errors)
    return resources


def _unconfirmed(options: t.Mapping[str, t.Any]) -> t.Iterator[OptionError]:
    """A change that is to be confirmed can be taken back, which of what runs and of its limits cannot be said."""
    seconds = options.get("confirm_timeout")
    if seconds is None:
        return
    if not 1 <= seconds <= _LONGEST:
        yield OptionError("confirm_timeout", f"expected 1 to {_LONGEST} seconds, got {seconds:g}")
    for option in _NOT_OF_THE_NETWORK:
        if options.get(option):
            yield OptionError(
                "confirm_timeout", f"expected only kinds of the network with it; make {option} another task"
            )


def import_all() -> tuple[object, ...]:
    """Import what is otherwise imported only when it is needed: a process that outlives its archive cannot do so.

    :returns: the modules.
    """
    from .._kernel import listeners
    from .._netlink import ability
    from . import nat_streams, shaper

    return listeners, ability, nat_streams, shaper


def _completed(entry: t.Mapping[str, t.Any], options: t.Mapping[str, t.Any]) -> State:
    """The options of an entry, with what the task says of all of them."""
    whole = {"adopt": options["adopt"], "on_drift": options["on_drift"], **entry}
    return {**whole, "state": "absent"} if options["state"] == "absent" else whole


def _resource(kind: type[Resource], place: str, entry: State, check: Checking) -> Resource:
    options, problems = check(kind.table, entry)
    if problems:
        raise InvalidOptions([OptionError("", problem) for problem in problems])
    resource = kind(options)
    resource.place = place
    if isinstance(resource, Passing) and resource.passing:
        words = "expected true: what runs for one task only cannot be part of a topology; use a task of its own"
        raise InvalidOptions([OptionError("detach", words)])
    return resource


def _placed(place: str, error: OptionError) -> OptionError:
    return OptionError(f"{place}.{error.option}" if error.option else place, error.problem, here=error.here)


def surplus(option: str, recorded: owned.Recorded) -> t.Iterator[Resource]:
    """Objects of a kind that are ours, each to be removed.

    :param option: of :data:`PARTS`.
    :param recorded: keys of the objects of the kind that earlier runs recorded.
    """
    part = PARTS[option]
    for options in part.ours(recorded):
        resource = part.kind()({**options, "state": "absent"})
        resource.place = "purge"
        yield resource


# --- together ------------------------------------------------------------------


def _doubled(resources: t.Sequence[Resource]) -> t.Iterator[OptionError]:
    """Two entries for one object, two links of one name, two links with one address."""
    objects: dict[tuple[str, str], str] = {}
    things: dict[Thing, str] = {}
    for resource in resources:
        same = objects.setdefault((resource.kind, resource.key), resource.place)
        if same != resource.place:
            yield OptionError(resource.place, f"{resource.target} is {same} already; make one entry of the two")
            continue
        for thing in resource.makes():
            other = things.setdefault(thing, resource.place) if thing.kind in (LINK, ADDRESS) else resource.place
            if other != resource.place:
                yield OptionError(resource.place, f"{thing.kind} {thing.name} is that of {other} in the same namespace")


def _crowded(resources: t.Sequence[Resource]) -> t.Iterator[OptionError]:
    """Bridges that are to have more ports than the kernel lets them have."""
    ports: dict[Thing, list[str]] = {}
    for resource in resources:
        for end in (resource.wanted, resource.wanted.get("peer") or {}) if not resource.absent else ():
            if end.get("master"):
                bridge = Thing(LINK, end["master"], end.get("netns") or "")
                ports.setdefault(bridge, []).append(resource.place)
    for bridge, places in ports.items():
        if len(places) > _MOST_PORTS:
            words = f"{bridge.name} would get {len(places)} ports, and the kernel lets a bridge have {_MOST_PORTS}"
            yield OptionError(places[_MOST_PORTS], f"{words}; spread them over several bridges")


# --- order ---------------------------------------------------------------------


def ordered(resources: t.Sequence[Resource]) -> list[Resource]:
    """Objects in an order that works: what goes first, from the last to the first, then what comes.

    :param resources: in the order of :data:`PARTS`.
    """
    sorted_ = list(_sorted(resources))
    leaving = [resource for resource in reversed(sorted_) if resource.absent]
    return [*leaving, *(resource for resource in sorted_ if not resource.absent)]


def _sorted(resources: t.Sequence[Resource]) -> t.Iterator[Resource]:
    """Each after what it needs; otherwise in the order that they have."""
    makers: dict[Thing, Resource] = {}
    for resource in resources:
        for thing in resource.makes():
            makers.setdefault(thing, resource)
    done: set[Resource] = set()
    for resource in resources:
        yield from _with_needs(resource, makers, done)


def _with_needs(resource: Resource, makers: t.Mapping[Thing, Resource], done: set[Resource]) -> t.Iterator[Resource]:
    """An object after those that make what it needs, each once; of those that need each other, any comes first."""
    if resource in done:
        return
    done.add(resource)
    for thing in resource.needs():
        if thing in makers:
            yield from _with_needs(makers[thing], makers, done)
    yield resource
