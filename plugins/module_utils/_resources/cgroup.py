# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control group: its limits, its processes, and who may manage what is below it."""

from __future__ import annotations

import re
import typing as t

from .._cgroup import settings
from .._cgroup.group import ABOVE, OURS, Group, Joined
from .._cgroup.hierarchy import CONTROLLERS, Host, detect
from .._kernel import process
from .._model.errors import InvalidOptions, NsfleetError, OptionError
from .._model.field import RECREATE, STAYS, Field, State, Table
from .._model.names import cgroup_name
from .._model.quantities import MAX, between, count_or_max
from .._model.resource import CREATE, DELETE, SET, Change, Observation, Resource, Step
from . import limits
from .policy import POLICY

_RAW_FILE = re.compile(r"[a-z0-9_]+(\.[A-Za-z0-9_]+)+|notify_on_release")
#: Files that do something when they are written, and have options of their own or none at all.
_ACTIONS = {
    "cgroup.procs": "use the option processes",
    "cgroup.threads": "use the option processes",
    "cgroup.freeze": "use the option frozen",
    "freezer.state": "use the option frozen",
    "cgroup.type": "use the option type",
    "cgroup.subtree_control": "use the option controllers of the groups below it",
    "cgroup.kill": "it does something once, and holds nothing",
    "memory.reclaim": "it does something once, and holds nothing",
    "memory.force_empty": "it does something once, and holds nothing",
    "devices.allow": "use the option devices",
    "devices.deny": "use the option devices",
}


def _controllers(values: t.Sequence[str]) -> list[str]:
    names = {"blkio": "io"}
    found = sorted({names.get(value, value) for value in values})
    for name in found:
        if name not in CONTROLLERS:
            raise ValueError(f"expected controllers ({', '.join(CONTROLLERS)}), got {name!r}")
    return found


def _pids(values: t.Sequence[int]) -> list[int]:
    for value in values:
        if value < 1:
            raise ValueError(f"expected process ids, got {value}")
    return sorted(set(values))


def _raw(values: t.Mapping[str, t.Any]) -> State:
    for name, value in values.items():
        if not _RAW_FILE.fullmatch(str(name)):
            raise ValueError(f"expected names of files such as memory.swappiness, got {name!r}")
        if name in _ACTIONS:
            raise ValueError(f"{name} is no setting: {_ACTIONS[name]}")
        if isinstance(value, (list, dict)):
            raise ValueError(f"expected a text for {name}, with a line for each entry")
    return {str(name): _raw_text(value) for name, value in values.items()}


def _raw_text(value: t.Any) -> str:
    words = ("1" if value else "0") if isinstance(value, bool) else str(value)
    return "\n".join(" ".join(line.split()) for line in words.strip().splitlines())


def _levels(value: str) -> str:
    return count_or_max(str(value), (1 << 31) - 1)


#: User and group that may manage the groups below.
DELEGATE = Table(
    (
        Field("uid", "int", required=True, canonical=between(0, (1 << 32) - 2), revert=0),
        Field("gid", "int", canonical=between(0, (1 << 32) - 2), revert=0),
    )
)

TABLE = Table(
    (
        Field("name", required=True, canonical=cgroup_name, stateful=False),
        Field("controllers", "list", elements="str", canonical=_controllers, revert=STAYS),
        *limits.LIMITS,
        Field("max_depth", canonical=_levels, revert=MAX, write="cgroup.max.depth"),
        Field("max_descendants", canonical=_levels, revert=MAX, write="cgroup.max.descendants"),
        Field("pressure", "bool", revert=True, write="cgroup.pressure"),
        Field("type", choices=("domain", "threaded"), revert="domain", effect=RECREATE, write="cgroup.type"),
        Field("settings", "dict", canonical=_raw),
        Field("delegate", "dict", table=DELEGATE),
        Field("processes", "list", elements="int", canonical=_pids, revert=STAYS),
        Field("frozen", "bool", revert=False),
        Field("kill", "bool", default=False, stateful=False),
        *POLICY,
    ),
    **limits.RULES,
)
#: Options other than limits that stand for one file of cgroup v2.
_FILES = {field.name: field.write for field in TABLE.fields if isinstance(field.write, str)}
#: What nobody has asked for is not told: values that say that there is nothing to tell.
_NEUTRAL: dict[str, tuple[t.Any, ...]] = {
    **{name: (None, TABLE[name].revert) for name in _FILES},
    "controllers": ([],),
    "settings": ({},),
    "processes": ([],),
    "frozen": (False,),
    "delegate": ({"uid": 0, "gid": 0},),
}


def check(wanted: State) -> None:
    """What can be told from the options alone.

    :raises InvalidOptions: there are options that cannot be together.
    """
    errors = limits.check(wanted) + _doubled(wanted)
    if errors:
        raise InvalidOptions(errors)


def _doubled(wanted: State) -> list[OptionError]:
    """Raw settings for which there is also the option."""
    given = {field.write.file: field.name for field in limits.LIMITS if field.name in wanted}
    given.update({file: name for name, file in _FILES.items() if name in wanted})
    return [
        OptionError(f"settings[{file}]", f"the option {given[file]} says the same; leave one of them out")
        for file in wanted.get("settings", ())
        if file in given
    ]


class Cgroup(Resource):
    """A control group."""

    kind = "cgroup"
    table = TABLE
    domain = "cgroup"
    #: The host's hierarchies; found out when first needed.
    host: t.ClassVar[Host | None] = None

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        check(self.wanted)
        self.group = Group(self.name, self.host or detect())
        needed = {*self.wanted.get("controllers", ()), *limits.users(self.wanted), *self._raw_controllers()}
        if needed:
            self.wanted["controllers"] = sorted(needed)
        #: Where processes were that this run moved into the group: files to write their ids to.
        self.origins: dict[int, list[str]] = {}
        #: What this run did to give the group more controllers.
        self.joined: list[Joined] = []
        #: In a rollback, the controllers that were to be given.
        self.given_up: tuple[str, ...] = ()

    def _raw_controllers(self) -> set[str]:
        """Controllers that raw settings need."""
        return {settings.controller_of(file) for file in self.wanted.get("settings", ())} & {
            *self.group.host.controllers()
        }

    @property
    def key(self) -> str:
        """Its path, since a group can be named in two ways."""
        return self.group.path

    def encloses(self, key: str) -> bool:
        """Groups inside it, which other tasks made, go with it."""
        return key.startswith(f"{self.key}/")

    # --- observe ---------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Read the group. One that is only there because others are below it is none that anybody asked for."""
        mark = self.group.mark if self.group.exists else ABOVE
        if mark == ABOVE:
            return Observation(None)
        return Observation(self.state(), mark == OURS or self.interrupted, self.group.identity())

    def state(self, everything: bool = False) -> State:
        """The options of the group as it is.

        :param everything: with those that nobody has asked for.
        """
        state = limits.read(self.group, self.wanted, self.applied, everything)
        owner = self.group.owner()
        found = {name: self._read_file(name) for name in _FILES}
        found.update(
            controllers=self._named_controllers(),
            settings=self._read_settings(),
            processes=[pid for pid in self._named_processes() if self._inside(pid)],
            frozen=self.group.read("cgroup.freeze") == "1",
            delegate={"uid": owner[0], "gid": owner[1]} if owner else {},
        )
        named = {**self.applied, **self.wanted}
        for name, value in found.items():
            if everything or name in named or value not in _NEUTRAL[name]:
                state[name] = value
        return {name: value for name, value in state.items() if value is not None}

    def _named_controllers(self) -> list[str]:
        """Those that the task names; in version 1 others come along, of the same hierarchy and with every group."""
        return sorted({*self.group.controllers()} & {*self.wanted.get("controllers", ()), *self.given_up})

    def _read_file(self, name: str) -> t.Any:
        try:
            text = self.group.read(_FILES[name])
        except settings.Unsupported:
            return None
        if text is None or self.table[name].type != "bool":
            return "domain" if text == "domain threaded" else text
        return text != "0"

    def _read_settings(self) -> State:
        """A setting of several lines holds if its lines are among those of the kernel."""
        wanted = self.wanted.get("settings", {})
        found = {}
        for name in {**self.applied.get("settings", {}), **wanted}:
            text = self._raw_setting(name)
            if text is not None:
                live, goal = _raw_text(text), wanted.get(name, "")
                found[name] = goal if goal and set(goal.splitlines()) <= set(live.splitlines()) else live
        return found

    def _raw_setting(self, name: str) -> str | None:
        try:
            return self.group.read_raw(name)
        except settings.Unsupported:
            return None

    def _named_processes(self) -> list[int]:
        return sorted({*self.wanted.get("processes", ()), *self.origins})

    def _inside(self, pid: int) -> bool:
        """Whether a process is where it belongs; one that has ended is."""
        return self.group.has(pid) or process.start_time(pid) is None

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """What this host or the state of the group does not allow."""
        from .cgroup_check import preflight

        return preflight(self, steps)

    # --- change ----------------------------------------------------------------

    def create(self) -> list[Step]:
        """Make the group whole, then move processes in."""
        return [self.step(CREATE, self.requested(), self._create)]

    def _create(self) -> None:
        self.joined += self.group.create(self.wanted.get("controllers", ()))
        for step in self.change([change for change in self.requested() if change.path[0] != "controllers"]):
            step.run()

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """Controllers first, since they bring the files; processes late, so that they meet all limits."""
        order = ("controllers", "type", "", *_FILES, "settings", "delegate", "processes", "frozen")
        parts: dict[str, list[Change]] = {name: [] for name in order}
        for change in changes:
            parts["" if limits.is_limit(change.path[0]) else change.path[0]].append(change)
        return [self.step(SET, part, _writer(self, name, part)) for name, part in parts.items() if part]

    def write(self, change: Change) -> None:
        """Make one change of an option that is no limit."""
        option, after = change.path[0], change.after
        if option == "controllers" and set(after) < set(change.before or ()):
            self.group.leave(self.joined)
        elif option == "controllers":
            self.joined += self.group.create(after)
        elif option == "frozen":
            self.group.freeze(after)
        elif option == "processes":
            self._write_processes(change)
        elif option == "settings":
            self._write_setting(change.path[1], after)
        else:
            self._write_file(option, after)

    def delegate(self, changes: t.Iterable[Change]) -> None:
        """Give the group to a user and a group of users."""
        ids = dict(zip(("uid", "gid"), self.group.owner() or (0, 0)))
        ids.update({change.path[1]: change.after for change in changes})
        self.group.delegate(ids["uid"], ids["gid"])

    def _write_file(self, option: str, value: str | bool) -> None:
        """What a group is already, it need not be told; to ``domain`` the kernel never lets it be set."""
        if value != self._read_file(option):
            text = value if isinstance(value, str) else "1" if value else "0"
            self.group.write(_FILES[option], text)

    def _write_setting(self, name: str, text: str) -> None:
        before = self.group.read_raw(name)
        for line in text.splitlines():
            self.group.write_raw(name, line)
        if before is not None:
            self.noticed.setdefault(f"settings[{name}]", _raw_text(before))

    def _write_processes(self, change: Change) -> None:
        """Move processes in; in a rollback, back to where they were."""
        for pid in sorted({*(change.before or ())} - {*change.after}):
            self._send_back(pid)
        for pid in change.after:
            if pid not in (change.before or ()):
                self.origins[pid] = self.group.places_of(pid)
                self.group.enter(pid)

    def _send_back(self, pid: int) -> None:
        for path in self.origins.pop(pid, ()):
            try:
                self.group.tree.write(path, str(pid))
            except ProcessLookupError:
                return
            except OSError as error:
                raise NsfleetError(f"process {pid} cannot be moved back: {path}: {error}") from error

    def recreate(self, changes: t.Sequence[Change]) -> list[Step]:
        """A threaded group never becomes another one again."""
        return [self.step(SET, changes, self._replace)]

    def _replace(self) -> None:
        self._delete()
        self._create()

    def delete(self) -> list[Step]:
        """Remove the group and what is below it."""
        return [Step(DELETE, self.target, (), self._delete)]

    def _delete(self) -> None:
        for pid in list(self.origins):
            self._send_back(pid)
        if self.options.get("kill"):
            self.group.kill()
        left = [str(each) for each in process.processes(self.group.processes(recursive=True))]
        if left:
            raise NsfleetError(f"{self.target} still has processes: {', '.join(left)}")
        self.group.remove()

    def footprint(self) -> State:
        """Directories on the way to the group: between its making and its mark, nobody can tell whose one is."""
        return {"directories": self.group.dispensable()}

    def tidy(self, footprint: State) -> None:
        """Directories that lead to no group."""
        self.group.remove_unused(footprint.get("directories", ()))

    def mark(self, ours: bool) -> None:
        """By an extended attribute of its directories."""
        self.group.set_mark(OURS if ours else "")

    def prior(self, before: Observation) -> Resource:
        """The group as it was, with the processes elsewhere that were elsewhere."""
        resource = t.cast("Cgroup", super().prior(before))
        resource.origins, resource.joined = self.origins, self.joined
        resource.given_up = tuple(self.wanted.get("controllers", ()))
        return resource

    def shown(self) -> State:
        """The group as it is, with all its controllers and processes, and its directories."""
        group = self.group
        found = {"controllers": group.controllers(), "processes": group.processes()} if group.exists else {}
        return {**super().shown(), "path": group.path, "directories": directories(group), **found}


def directories(group: Group) -> dict[str, str]:
    """Hierarchies, by their controllers or as ``unified``, to the directories of a group in them."""
    return {
        "unified" if each.version == 2 else ",".join(each.controllers): group.directory(each)
        for each in group.hierarchies
    }


def _writer(resource: Cgroup, part: str, changes: t.Sequence[Change]) -> t.Callable[[], None]:
    """What carries out the changes of one part."""

    def run() -> None:
        if part == "":
            limits.write(resource.group, changes)
        elif part == "delegate":
            resource.delegate(changes)
        else:
            for change in changes:
                resource.write(change)

    return run
