# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and groups of a root file system: what there is, and what is to be."""

from __future__ import annotations

import io
import os
import typing as t

from .._image.accounts import Accounts, Group, User
from .._model.errors import NsfleetError, OptionError
from .._model.field import State
from .._model.quantities import is_digits
from .rootfs_data import Data, Kept, opened

_SHELL, _NO_SHELL = "/bin/sh", "/usr/sbin/nologin"


class Names:
    """The numbers of users and groups, as they are once all is as wanted.

    :param tree: descriptor of the tree's top.
    :param wanted: canonical options.
    """

    def __init__(self, tree: int, wanted: State) -> None:
        accounts = Accounts(tree)
        self._uids = _numbers({"root": 0, **accounts.uids()}, wanted.get("users", {}), "uid")
        self._gids = _numbers({"root": 0, **accounts.gids()}, wanted.get("groups", {}), "gid")
        for name, each in wanted.get("users", {}).items():
            if "group" not in each:
                self._gids.setdefault(name, None)

    def uid(self, word: str) -> int | None:
        """The number of a user; ``None`` if it is not known yet.

        :raises KeyError: there is no such user.
        """
        return int(word) if is_digits(word) else self._uids[word]

    def gid(self, word: str) -> int | None:
        """The same of a group."""
        return int(word) if is_digits(word) else self._gids[word]

    def free_uid(self, system: bool) -> int:
        """A number that no user has, nor is to have.

        :raises NsfleetError: there is none.
        """
        return Accounts.free({uid for uid in self._uids.values() if uid is not None}, system)

    def free_gid(self, system: bool, liked: int | None = None) -> int:
        """The same of a group."""
        return Accounts.free({gid for gid in self._gids.values() if gid is not None}, system, liked)

    def user(self, number: int, word: str | None) -> str:
        """A user as the task calls it, if it is the one; else by number."""
        return _called(self.uid, number, word)

    def group(self, number: int, word: str | None) -> str:
        """The same of a group."""
        return _called(self.gid, number, word)

    def unknown(self, given: State) -> t.Iterator[tuple[str, str]]:
        """Options of an owner that name whom there is not, and the name."""
        for option, find in (("owner", self.uid), ("group", self.gid)):
            word = given.get(option, "0")
            try:
                find(word)
            except KeyError:
                yield option, word


def _numbers(there: t.Mapping[str, int], wanted: State, option: str) -> dict[str, int | None]:
    found: dict[str, int | None] = dict(there)
    for name, each in wanted.items():
        found[name] = each.get(option, there.get(name))
    return found


def _called(find: t.Callable[[str], int | None], number: int, word: str | None) -> str:
    try:
        return word if word is not None and find(word) == number else str(number)
    except KeyError:
        return str(number)


def _taken(option: str, key: str, wanted: State, there: t.Mapping[str, int]) -> t.Iterator[OptionError]:
    """Numbers that somebody has who keeps them."""
    owners = {number: name for name, number in there.items() if key not in wanted.get(name, {})}
    for name, each in wanted.items():
        number = each.get(key)
        if number in owners and there.get(name) != number:
            yield OptionError(f"{option}[{name}].{key}", f"{number} is that of {owners[number]} in the tree")


class Users:
    """Option ``users``.

    :param wanted: all canonical options.
    :param kept: where hashes of passwords are that were replaced.
    """

    option = "users"

    def __init__(self, wanted: State, kept: Kept) -> None:
        self._wanted, self._kept = wanted, kept
        for each in wanted.get("users", {}).values():
            each.setdefault("whole", True)
        self.former: State = {}  #: what users were before a task named them: that is what they go back to

    def observe(self, tree: int, names: t.Iterable[str]) -> State:
        """Those of some users that there are."""
        accounts, known = Accounts(tree), Names(tree, self._wanted)
        found = {name: accounts.user(name) for name in names}
        return {name: self._state(known, accounts, name, user) for name, user in found.items() if user is not None}

    def _state(self, names: Names, accounts: Accounts, name: str, user: User) -> State:
        given = self._wanted.get("users", {}).get(name) or self.former.get(name, {})
        grouped = "group" in given or user.gid in accounts.gids().values()
        return {
            "uid": user.uid,
            "group": names.group(user.gid, given.get("group", name)),
            "gid": user.gid,
            "groups": accounts.groups_of(name),
            "home": user.home,
            "shell": user.shell,
            "comment": user.comment,
            "password": _shown(user.password),
            **({"whole": True} if grouped and accounts.is_whole(name) else {}),
        }

    def obstacles(self, tree: int, waits: bool) -> t.Iterator[OptionError]:
        """Numbers that others have, and groups that there are not.

        :param tree: descriptor of the tree's top.
        :param waits: whether groups may come that nobody knows yet.
        """
        wanted = self._wanted.get("users", {})
        if not wanted:
            return
        yield from _taken("users", "uid", wanted, Accounts(tree).uids())
        for name in () if waits else wanted:
            for option, group in self._lacking(tree, name):
                yield OptionError(f"users[{name}].{option}", f"there is no group {group} in the tree, nor in groups")

    def _lacking(self, tree: int, name: str) -> t.Iterator[tuple[str, str]]:
        """Options that name groups that there are not, and the groups."""
        given, names = self._wanted.get("users", {}).get(name, {}), Names(tree, self._wanted)
        named = [("group", given.get("group", "0")), *(("groups", group) for group in given.get("groups", ()))]
        for option, group in named:
            try:
                names.gid(group)
            except KeyError:
                yield option, group

    def waits(self, tree: int, name: str) -> bool:
        """Whether a group of it is not there yet."""
        return any(self._lacking(tree, name))

    def write(self, tree: int, name: str, goal: State | None) -> None:
        """Have a user, or none.

        :raises NsfleetError: no number is free, or there is no such group.
        """
        accounts = Accounts(tree)
        before = accounts.user(name)
        if before is not None:
            password = _shown(before.password)
            self._kept.put(f"users[{name}]", password, io.BytesIO(os.fsencode(before.password)))
        if goal is None:
            accounts.remove_user(name)
        else:
            accounts.set_user(name, self._user(accounts, Names(tree, self._wanted), name, before, goal))
            if "groups" in goal:
                accounts.set_groups_of(name, goal["groups"])
        accounts.save(goes=goal is None)

    def _user(self, accounts: Accounts, names: Names, name: str, before: User | None, goal: State) -> User:
        system = bool(self._wanted.get("users", {}).get(name, {}).get("system"))
        uid: int | None = goal.get("uid", before.uid if before else None)
        if uid is None:
            uid = names.free_uid(system)
        gid = self._first_group(accounts, name, before, goal)
        if "group" not in self._wanted.get("users", {}).get(name, goal) and gid not in accounts.gids().values():
            gid = None  # nobody has made it yet
        if gid is None:
            gid = _own_group(accounts, names, name, goal.get("gid", uid), system)
        new = User(uid, gid, "", f"/home/{name}", _NO_SHELL if system else _SHELL, "!")
        words = {option: goal[option] for option in ("comment", "home", "shell") if option in goal}
        with opened(goal.get("password", before.password if before else "!"), self._kept) as file:
            password = os.fsdecode(file.read())
        return (before or new)._replace(uid=uid, gid=gid, password=password, **words)

    @staticmethod
    def _first_group(accounts: Accounts, name: str, before: User | None, goal: State) -> int | None:
        """The number of a user's first group; ``None`` if it is to be the one of the same name."""
        if "group" not in goal:
            return before.gid if before else None
        return None if goal["group"] == name else _gid(accounts, goal["group"])


def _shown(password: str) -> str:
    """What is shown of a password: that none fits, or a digest."""
    return Data.secret(password) if set(password) - set("!*") else password


def _gid(accounts: Accounts, word: str) -> int:
    if is_digits(word):
        return int(word)
    group = accounts.group(word)
    if group is None:
        raise NsfleetError(f"there is no group {word} in the tree")
    return group.gid


def _own_group(accounts: Accounts, names: Names, name: str, liked: int, system: bool) -> int:
    """The group of the same name, which is made if it is not there, as useradd(8) does.

    :param liked: number that it gets if that is free.
    """
    group = accounts.group(name)
    if group is None:
        group = Group(names.free_gid(system, liked), ())
        accounts.set_group(name, group)
    return group.gid


class Groups:
    """Option ``groups``.

    :param wanted: all canonical options.
    """

    option = "groups"

    def __init__(self, wanted: State) -> None:
        self._wanted = wanted

    def observe(self, tree: int, names: t.Iterable[str]) -> State:
        """Those of some groups that there are."""
        accounts = Accounts(tree)
        found = {name: accounts.group(name) for name in names}
        return {
            name: {"gid": group.gid, "members": sorted(group.members)}
            for name, group in found.items()
            if group is not None
        }

    def obstacles(self, tree: int, waits: bool) -> t.Iterator[OptionError]:
        """Numbers that others have."""
        del waits
        if self._wanted.get("groups"):
            yield from _taken("groups", "gid", self._wanted.get("groups", {}), Accounts(tree).gids())

    def waits(self, tree: int, name: str) -> bool:
        """A group needs nobody."""
        del tree, name
        return False

    def write(self, tree: int, name: str, goal: State | None) -> None:
        """Have a group, or none."""
        accounts = Accounts(tree)
        if goal is None:
            accounts.remove_group(name)
        else:
            system = bool(self._wanted.get("groups", {}).get(name, {}).get("system"))
            gid = goal.get("gid")
            there = accounts.group(name)
            if gid is None:
                gid = there.gid if there else Names(tree, self._wanted).free_gid(system)
            members = there.members if there else ()
            if "members" in goal and sorted(members) != goal["members"]:
                members = tuple(goal["members"])
            accounts.set_group(name, Group(gid, members))
        accounts.save(goes=goal is None)
