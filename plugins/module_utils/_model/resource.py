# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of resource gives to the plan, and the records that pass between them.

A kind (network namespace, veth pair, bridge, ...) is a subclass of :class:`Resource`. It knows how to observe the live
object and which steps change it. It knows nothing of check mode, diff, journal or rollback: those belong to the plan.
"""

from __future__ import annotations

import abc
import copy
import functools
import typing as t

from .field import EFFECTS, LIVE, Field, Path, State, Table

if t.TYPE_CHECKING:
    from .things import Thing

#: Why a step is in the plan.
REQUEST = "request"  # the task asks for something it did not ask for before
DRIFT = "drift"  # the live object differs from what was applied last
REVERT = "revert"  # an option disappeared from the task

#: What a step does with its object.
CREATE, SET, DELETE, ADOPT = "create", "set", "delete", "adopt"


class Key(str):
    """An element of a path that names a thing the user named, not an option of ours."""

    __slots__ = ()


class Change(t.NamedTuple):
    """One option that is to get another value."""

    path: Path  #: ``("peer", "mtu")``, ``("ports", Key("web0"), "hairpin")``
    field: Field
    before: t.Any  #: canonical live value, ``None`` where there is none
    after: t.Any  #: canonical value to be set, ``None`` to take it away
    reason: str = REQUEST

    @property
    def option(self) -> str:
        """The path as people write it: ``peer.mtu``, ``ports[web0].hairpin``."""
        return path_text(self.path)


def path_text(path: Path) -> str:
    """The path as people write it: ``peer.mtu``, ``ports[web0].hairpin``."""
    text = "".join(f"[{part}]" if isinstance(part, Key) else f".{part}" for part in path)
    return text[1:] if text.startswith(".") else text


class Step(t.NamedTuple):
    """One thing that will be done to one object. Check mode stops before ``run`` is called."""

    action: str
    target: str  #: kind and name, e.g. ``veth web0``
    changes: tuple[Change, ...]
    run: t.Callable[[], None]
    effect: str = LIVE
    #: Whether other objects of the run may have to be there first, in whatever order they come.
    late: bool = False
    #: Does what ``run`` of each of many steps would do, all at once; called with what each has as its ``part``.
    together: t.Callable[[t.Sequence[t.Any]], None] | None = None
    part: t.Any = None


class Observation(t.NamedTuple):
    """What the kernel says of one object now."""

    state: State | None  #: every stateful option in canonical form; ``None``: there is no such object
    owned: bool = False  #: it carries our mark
    identity: State | None = None  #: tells it from another one of the same name, e.g. inode and interface index
    handle: t.Any = None  #: what the kind needs to change it
    source: State | None = None  #: what it was made from, where the state does not tell enough to make it again

    @property
    def exists(self) -> bool:
        """Whether there is such an object."""
        return self.state is not None


class Resource(abc.ABC):
    """One object that is to have a certain state.

    :param options: all options of the task after Ansible's own validation.
    :raises InvalidOptions: for what can be told from the options alone.
    """

    #: The kind's name, which is also its module's and its result's.
    kind: t.ClassVar[str]
    table: t.ClassVar[Table]
    #: Runs that change something in the same domain wait for each other.
    domain: str
    #: Below which what is known of objects of this kind is kept; as long-lived as the objects.
    root = "/run/nsfleet"
    #: Whether an object can be found by its identity, whatever it is called and wherever it is by now.
    movable: t.ClassVar[bool] = False
    #: Whether an object is no more than its options say, so that one that was removed can be made anew as it was.
    plain: t.ClassVar[bool] = False
    #: Where the options are in a task with many objects, as people write it: ``veths[12]``.
    place = ""

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        self.options = options
        #: Every option that was given, in canonical form.
        self.given = self.table.canonical(options)
        #: Those of them that describe what is to be.
        self.wanted: State = {
            field.name: self.given[field.name] for field in self.table.stateful() if field.name in self.given
        }
        #: Whether what was not named is to go, in every list of named things; rollbacks set it.
        self.everything = False
        #: What was observed last; steps read the handle here.
        self.observed = Observation(None)
        #: What was applied last to this very object, if that is known; the plan fills it in.
        self.applied: State = {}
        #: Path text to value before our first change of that option; the plan fills it in.
        self.originals: State = {}
        #: The same, where only the step that made the change could know; ``None``: there was nothing.
        self.noticed: State = {}
        #: A run that made it, or changed what was ours, was killed: it is ours, though it may lack our mark.
        self.interrupted = False

    @property
    def name(self) -> str:
        """What people call the object."""
        return str(self.options["name"])

    @property
    def target(self) -> str:
        """Kind and name, as plans and errors show it."""
        return f"{self.kind} {self.name}"

    @property
    def key(self) -> str:
        """Tells the object from all others of its kind on this host."""
        return self.name

    def encloses(self, key: str) -> bool:
        """Whether another object of the domain goes with this one.

        :param key: of the other object.
        """
        del key
        return False

    @property
    def absent(self) -> bool:
        """Whether the object is to be removed."""
        return self.options.get("state") == "absent"

    def needs(self) -> t.Iterable[Thing]:
        """What other objects of the run have to make first, if they are what makes it."""
        return ()

    def makes(self) -> t.Iterable[Thing]:
        """What of use to other objects is there once the object is as wanted."""
        return ()

    def removes(self) -> t.Iterable[Thing]:
        """What is in the way of other objects, and gone once the object, which was observed, is as wanted."""
        return ()

    def exact(self, field: Field) -> bool:
        """Whether elements of this list of named things that the task does not name are to go."""
        return self.everything or field.exact

    @abc.abstractmethod
    def observe(self, last: State) -> Observation:
        """Read the live object; never change anything.

        :param last: identity recorded when it was applied last; helps to find an object that was moved or renamed.
        """

    @abc.abstractmethod
    def create(self) -> list[Step]:
        """The steps that make the object as wanted, where there is none."""

    @abc.abstractmethod
    def delete(self) -> list[Step]:
        """The steps that remove the observed object."""

    @abc.abstractmethod
    def write(self, change: Change) -> None:
        """Make one change to the observed object.

        :raises KernelError: the kernel refused.
        """

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """The steps that make the changes, in an order that works; one step a change where a kind says nothing else."""
        return [self.step(SET, (change,), functools.partial(self.write, change)) for change in changes]

    def recreate(self, changes: t.Sequence[Change]) -> list[Step]:
        """The steps for changes of which one needs another object in place of the observed one.

        What nobody asked to be changed, the new object gets from the old one.
        """
        successor = self.prior(self.observed)
        successor.wanted = changed(self.observed.state or {}, changes)
        steps = (*self.delete(), *successor.create())
        return [self.step(SET, changes, functools.partial(_run_all, steps))]

    @abc.abstractmethod
    def mark(self, ours: bool) -> None:
        """Put our mark on the observed object, or take it off.

        :raises KernelError: the kernel refused.
        """

    def remembered(self) -> State:
        """The options as a journal has them: whoever undoes what a killed run did knows no more of its task."""
        return dict(self.options)

    def is_known_as(self, identity: State) -> bool:
        """Whether the observed object is the one that was recorded with this identity."""
        return self.observed.identity == identity

    def adopt(self) -> list[Step]:
        """The steps that take over an observed object that somebody else made."""
        return [self.step(ADOPT, (), functools.partial(self.mark, True))]

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """What this host cannot do of the planned steps, before any is done: OptionError, or Missing if it may come."""
        return ()

    def advice(self) -> t.Iterable[str]:
        """What the user should know of this host, though it keeps no step from being done; shown as warnings."""
        return ()

    def footprint(self) -> State:
        """What a failed run may leave beside the object, if only the time before it can tell; for :meth:`tidy`."""
        return {}

    def tidy(self, footprint: State) -> None:
        """Remove what a run that failed or was killed left beside the object, such as drafts of files.

        :param footprint: what :meth:`footprint` said before that run changed anything.
        """
        del footprint  # most kinds leave nothing there

    def spare(self) -> list[str]:
        """Names of what is only there for going back, and of what was made and is not used since somebody went back."""
        return []

    def settle(self, spare: t.Sequence[str]) -> None:
        """Remove that: nobody goes back any more.

        :param spare: what :meth:`spare` says now.
        """
        del spare  # most kinds have none

    def prior(self, before: Observation) -> Resource:
        """The resource that stands for the object as it was observed, for a rollback."""
        options = dict(self.options)
        if before.exists:
            options.update({field.name: None for field in self.table.stateful()})
            options.update(self.table.shown(before.state or {}))
        options.update(state=None if before.exists else "absent", adopt=True, on_drift=None)
        resource = type(self)(options)
        resource.wanted = dict(before.state or {})
        resource.applied = self.wanted  # what only this run named is looked at, too
        resource.everything = True
        return resource

    def shown(self) -> State:
        """The observed object, as the result of its module."""
        return {"name": self.name, **self.table.shown(self.observed.state or {})}

    def step(self, action: str, changes: t.Sequence[Change], run: t.Callable[[], None]) -> Step:
        """A step for this object; its effect is the hardest of its changes' effects, if there is anything to affect."""
        hardest = max((change.field.effect for change in changes), key=EFFECTS.index, default=LIVE)
        effect = LIVE if action == CREATE else hardest
        return Step(action, self.target, tuple(changes), run, effect)

    def requested(self) -> list[Change]:
        """All wanted options as changes of an object that does not exist yet."""
        return list(flatten(self.table, self.wanted))


def _run_all(steps: t.Iterable[Step]) -> None:
    for step in steps:
        step.run()


def changed(state: State, changes: t.Iterable[Change]) -> State:
    """A state after changes; the one before stays as it was."""
    after = copy.deepcopy(state)
    for change in changes:
        *folders, last = change.path
        place = after
        for part in folders:
            place = place.setdefault(part, {})
        if change.after is None:
            place.pop(last, None)
        else:
            place[last] = change.after
    return after


def flatten(table: Table, wanted: State, path: Path = ()) -> t.Iterator[Change]:
    """Every single value of a state as a change from nothing."""
    for field in table.stateful():
        if field.name not in wanted:
            continue
        value, here = wanted[field.name], (*path, field.name)
        if field.table is not None and field.keyed:
            for key, options in value.items():
                yield Change((*here, Key(key)), field, None, options)
        elif field.table is not None and field.type == "dict":
            yield from flatten(field.table, value, here)
        elif field.mapping:
            for key, item in value.items():
                yield Change((*here, Key(key)), field, None, item)
        else:
            yield Change(here, field, None, value)


class Passing(Resource):
    """A kind whose objects can be there during one task only, for what comes of them."""

    @property
    @abc.abstractmethod
    def passing(self) -> bool:
        """Whether this one is."""

    @abc.abstractmethod
    def use(self, check: bool) -> State:
        """Make it, and wait for what comes of it.

        :param check: only say that this would be done.
        :returns: what the module returns.
        """
