# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put on top of a root file system: users and groups, files, directories, links, and what commands make.

All of it is compared on every run, and what differs is repaired one by one. What was in the tree before a task named it
goes back there when no task names it any more.
"""

from __future__ import annotations

import base64
import os
import typing as t

from .._image import inside
from .._image.accounts import FILES as ACCOUNT_FILES
from .._image.folders import place
from .._model.errors import KernelError, NsfleetError
from .._model.field import State
from .rootfs_accounts import Groups, Users
from .rootfs_commands import Commands
from .rootfs_data import Data, Kept
from .rootfs_entries import Entries
from .rootfs_fields import CONTENT_FIELDS, KINDS, OPTIONS, check

if t.TYPE_CHECKING:
    from .._model.resource import Change

_ACCOUNTS: t.Final = ("groups", "users")
_COMMANDS: t.Final = "commands"
#: What of each is compared.
_COMPARED: t.Final = {
    field.name: {each.name for each in field.table.stateful()} for field in CONTENT_FIELDS if field.table
}


class _Part(t.Protocol):
    """What is behind one option."""

    def observe(self, tree: int, names: t.Iterable[str]) -> State:
        """Those of some things that there are."""

    def write(self, tree: int, name: str, goal: State | None) -> None:
        """Have one of them, or not."""


class _Still(_Part, t.Protocol):
    """The same of what can be told before it is there."""

    def obstacles(self, tree: int, waits: bool) -> t.Iterable[Exception]:
        """What keeps it from being there; with ``waits``, commands may still bring users and groups."""

    def waits(self, tree: int, name: str) -> bool:
        """Whether it needs a user or group that there is not yet."""


class Content:
    """What is to be in a tree.

    :param wanted: canonical options of a root file system; what only an object of this host can tell is filled in when
        it is observed.
    :param kept: directory in which content is kept that was replaced.
    """

    def __init__(self, wanted: State, kept: str) -> None:
        self.wanted: State = {option: wanted.get(option, {}) for option in OPTIONS}
        #: What can be told to be wrong from the options alone.
        self.errors = check(self.wanted)
        for each in self.wanted["files"].values():
            if "content_base64" in each:
                each["content"] = Data.of(base64.b64decode(each.pop("content_base64")))
        self.kept = Kept(kept)
        self._entries = {option: Entries(option, self.wanted, self.kept) for option in KINDS}
        self._users = Users(self.wanted, self.kept)
        self._commands = Commands(self.wanted)
        #: All that takes no time to be brought about.
        self._still: dict[str, _Still] = {"groups": Groups(self.wanted), "users": self._users, **self._entries}
        self._parts: dict[str, _Part] = {**self._still, _COMMANDS: self._commands}
        #: Names to look at beside those that are wanted.
        self._others: dict[str, set[str]] = {option: set() for option in OPTIONS}
        #: What there was before all this, or ``None``, by path text of the plan, where only this could know.
        self.noticed: State = {}
        self._first: State | None = None  #: what there was when this run began
        self._went_back = False

    def remember(self, applied: State, originals: State) -> None:
        """What former tasks named is looked at, too.

        :param applied: canonical options of the last run, or of one that failed.
        :param originals: as plans know them.
        """
        for option in OPTIONS:
            self._others[option].update(applied.get(option, ()))
        self._hand_over(applied, originals)
        going = {path for option in KINDS for path in self._others[option] if not self._wants(path)}
        parts: dict[str, Entries | Users] = {**self._entries, "users": self._users}
        for option, part in parts.items():
            names = self._others[option]
            part.former = {name: originals[f"{option}[{name}]"] for name in names if f"{option}[{name}]" in originals}
        for entries in self._entries.values():
            entries.going = going

    def _hand_over(self, applied: State, originals: State) -> None:
        """A path that another option named before goes back to what was there before that."""
        for option in KINDS:
            for path in self.wanted[option]:
                for other in KINDS:
                    if path in applied.get(other, ()) and path not in applied.get(option, ()):
                        self.noticed[f"{option}[{path}]"] = originals.get(f"{other}[{path}]")

    def forget(self) -> None:
        """What former tasks named is not there any more."""
        for names in self._others.values():
            names.clear()

    def _wants(self, path: str) -> bool:
        return any(path in self.wanted[option] for option in KINDS)

    def prepare(self) -> None:
        """Read what files of this host are to be copied, once; what cannot be read, :meth:`obstacles` tells."""
        for entries in self._entries.values():
            entries.read_sources()

    # --- observe -----------------------------------------------------------------------

    def observe(self, tree: int) -> State:
        """What there is of what this task and former ones named.

        :param tree: descriptor of the tree's top, here and in what follows.
        :raises OSError: it cannot be read.
        """
        state = {
            option: self._parts[option].observe(tree, sorted({*self.wanted[option], *self._others[option]}))
            for option in OPTIONS
            if self.wanted[option] or self._others[option]
        }
        if self._first is None:
            self._first = state
        return state

    def obstacles(self, tree: int | None) -> t.Iterator[Exception]:
        """What keeps it from being brought about.

        :param tree: ``None``: there is no tree yet.
        """
        yield from self._entries["files"].missing()
        if tree is not None:
            waits = self._commands.pending(tree)
            for part in self._still.values():
                yield from part.obstacles(tree, waits)

    def paths(self, tree: int) -> set[str]:
        """Paths that are compared here, without links on their way, from the top."""
        return {_real(tree, path) for option in KINDS for path in self.wanted[option]}

    def touched(self, tree: int) -> set[str]:
        """Paths of all that may not be as it was, since something was changed here; what commands did is not known."""
        named = {path for option in KINDS for path in (*self.wanted[option], *self._others[option])}
        if any(self.wanted[option] or self._others[option] for option in _ACCOUNTS):
            named.update(ACCOUNT_FILES)
        found = {_real(tree, path) for path in named}
        return {*found, *(above for path in found for above in _above(path))}

    def sweep(self, tree: int) -> None:
        """Remove drafts that a run that was killed left."""
        named = {path for option in KINDS for path in (*self.wanted[option], *self._others[option])}
        for path in (*named, *ACCOUNT_FILES):
            inside.sweep(tree, path)

    # --- change ------------------------------------------------------------------------

    @staticmethod
    def ordered(changes: t.Iterable[Change]) -> list[tuple[Change, ...]]:
        """Changes of content, those of one thing together, in an order that works."""
        found: dict[tuple[str, ...], list[Change]] = {}
        for change in changes:
            found.setdefault(change.path[:2], []).append(change)
        return [tuple(found[place]) for place in sorted(found, key=lambda place: _order(place, found[place][0]))]

    def write(self, tree: int, changes: t.Sequence[Change]) -> None:
        """Make all changes of one thing.

        :raises NsfleetError: it cannot be made.
        """
        option, name = changes[0].path[:2]
        if len(changes[0].path) == 2:
            goal = changes[0].after
        else:
            now = self._parts[option].observe(tree, [name]).get(name, {})
            goal = {**self.wanted[option].get(name, {}), **now, **{change.path[2]: change.after for change in changes}}
        if not self._must_wait(tree, option, name):
            self._write(tree, option, name, goal)
        if option == _COMMANDS:
            self._again(tree)

    def create(self, tree: int) -> None:
        """Have all of it in a new tree.

        :raises NsfleetError: it cannot be made.
        """
        obstacles = list(self.obstacles(tree))
        if obstacles:
            raise NsfleetError("; ".join(map(str, obstacles)))
        before = dict(_by_path(self.observe(tree)))
        self.noticed.update({path: before.get(path) for path, _state in _by_path(self.wanted)})
        self._again(tree)
        for name in self.wanted[_COMMANDS]:
            if not self._commands.observe(tree, [name])[name]["done"]:
                self._write(tree, _COMMANDS, name, self.wanted[_COMMANDS][name])
                self._again(tree)

    def spare(self, originals: State) -> list[str]:
        """Names of content that was replaced, and that nobody goes back to any more.

        :param originals: as plans know them.
        """
        named = {path for path, _state in _by_path(self.wanted)} if not self._went_back else set(originals)
        known = {f"{option}[{name}]" for option in OPTIONS for name in self._others[option]}
        first = {path: state for path, state in _by_path(self._first or {}) if path not in known}
        former = {**first, **originals, **self.noticed}
        needed = {path: former[path] for path in named if isinstance(former.get(path), dict)}
        return self.kept.spare({_owner(path): _shown(state) for path, state in needed.items()})

    def go_back(self) -> None:
        """What this run named first, nobody goes back to any more: it is there again."""
        self.noticed, self._first = {}, {}
        self._went_back = True

    def _again(self, tree: int) -> None:
        """Whatever commands did meanwhile, all else is as wanted."""
        accounts = [(name, option) for option in _ACCOUNTS for name in self.wanted[option]]
        entries = sorted((path, option) for option in KINDS for path in self.wanted[option])
        for name, option in (*accounts, *entries):
            if not self._must_wait(tree, option, name):
                self._bring(tree, option, name)

    def _bring(self, tree: int, option: str, name: str) -> None:
        goal = self.wanted[option][name]
        now = self._parts[option].observe(tree, [name]).get(name)
        if now is None or any(now.get(key) != goal[key] for key in _COMPARED[option] & set(goal)):
            self._write(tree, option, name, goal)

    def _must_wait(self, tree: int, option: str, name: str) -> bool:
        """Whether it belongs to somebody who comes by a command."""
        return option in self._still and self._commands.pending(tree) and self._still[option].waits(tree, name)

    def _write(self, tree: int, option: str, name: str, goal: State | None) -> None:
        try:
            self._parts[option].write(tree, name, goal)
        except OSError as error:
            raise KernelError(f"{option}[{name}]", error) from error


def _real(tree: int, path: str) -> str:
    """A path without links on its way, as far as there is one."""
    above, name = os.path.split(path)
    try:
        with inside.folder_of(tree, path) as (folder, _name):
            return os.path.normpath(os.path.join(place(tree, folder), name))
    except OSError:
        return os.path.normpath(os.path.join(_real(tree, above), name))


def _above(path: str) -> t.Iterator[str]:
    """Directories above a path, to the top."""
    while path:
        path = os.path.dirname(path)
        yield path or "."


def _owner(path: str) -> str:
    """By what content is kept, of the path text of the plan: what is at a path, whichever option names it."""
    option, _bracket, name = path.partition("[")
    return name[:-1] if option in KINDS else path


def _shown(state: State) -> list[str]:
    """What of a thing may be shown by its digest."""
    return [state.get(option) or "" for option in ("content", "password")]


def _by_path(state: State) -> t.Iterator[tuple[str, State]]:
    """Everything that is named, by path text of the plan."""
    for option, items in state.items():
        for name, item in items.items():
            yield f"{option}[{name}]", item


def _order(place: tuple[str, ...], change: Change) -> tuple[t.Any, ...]:
    """What goes, goes first, and the deepest of it; then come accounts, what is at paths, and commands.

    Of what goes, accounts are the last, since the rest may be theirs.
    """
    option, name = place
    rank = {"groups": 0, "users": 1, _COMMANDS: 3}.get(option, 2)
    goes = len(change.path) == 2 and change.after is None
    return (0, -rank, -name.count("/"), name) if goes else (1, rank, 0, name)
