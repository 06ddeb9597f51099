# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and groups of a tree, in its own files: passwd(5), group(5), shadow(5), gshadow(5).

The C library is never asked, since it would answer for the host. What is not understood is kept as it is: comments,
lines of NIS, whatever is no UTF-8. Of several lines for one name the first one counts, as for getpwnam(3).
"""

from __future__ import annotations

import errno
import io
import os
import stat
import typing as t

from .._kernel.path import read_file
from .._model.errors import KernelError, NsfleetError
from .._model.quantities import is_digits
from . import inside

PASSWD, GROUP, SHADOW, GSHADOW = "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"
FILES: t.Final = (PASSWD, GROUP, SHADOW, GSHADOW)
#: Columns of each file.
_COLUMNS: t.Final = {PASSWD: 7, GROUP: 4, SHADOW: 9, GSHADOW: 4}
#: Mode of each where there was no file; those with passwords are root's alone.
_NEW_MODES: t.Final = {PASSWD: 0o644, GROUP: 0o644, SHADOW: 0o600, GSHADOW: 0o600}
#: First and last id that is given to whoever asks for none, for people and for services (login.defs(5)).
_PEOPLE: t.Final = range(1000, 60000)
_SERVICES: t.Final = range(999, 99, -1)
#: That the password is in the file for those who may read it.
_ELSEWHERE: t.Final = "x"
LOCKED: t.Final = "!"


class User(t.NamedTuple):
    """A user, as passwd(5) and shadow(5) have it."""

    uid: int
    gid: int
    comment: str
    home: str
    shell: str
    password: str  #: hashed, or what no password can be


class Group(t.NamedTuple):
    """A group, as group(5) has it."""

    gid: int
    members: tuple[str, ...]  #: users of whom it is not the first group


class _File:
    """One of the four files.

    :param tree: descriptor of the tree's top.
    :param path: of the file.
    """

    def __init__(self, tree: int, path: str) -> None:
        text = _text(tree, path)
        self.there = text is not None
        self.path = path
        self._before = (text or "").removesuffix("\n").split("\n") if text else []
        self._lines = list(self._before)

    @property
    def changed(self) -> bool:
        """Whether it is to be written."""
        return self._lines != self._before

    def rows(self) -> t.Iterator[list[str]]:
        """The columns of every line that is one for a name."""
        for line in self._lines:
            columns = line.split(":")
            if len(columns) >= _COLUMNS[self.path] and _is_name(columns[0]):
                yield columns

    def find(self, name: str) -> list[str] | None:
        """The columns of a name."""
        return next((columns for columns in self.rows() if columns[0] == name), None)

    def put(self, columns: t.Sequence[str]) -> None:
        """Have a line, in the place of the one of the same name; a new one comes before those of NIS."""
        line = ":".join(columns)
        place = next((n for n, each in enumerate(self._lines) if each.split(":")[0] == columns[0]), None)
        if place is not None:
            self._lines[place] = line
            return
        end = next((n for n, each in enumerate(self._lines) if each.startswith(("+", "-"))), len(self._lines))
        self._lines.insert(end, line)

    def drop(self, name: str) -> None:
        """Have no line of a name."""
        self._lines = [line for line in self._lines if line.split(":")[0] != name]

    def text(self) -> bytes:
        """The file."""
        return "".join(f"{line}\n" for line in self._lines).encode("utf-8", "surrogateescape")


def _text(tree: int, path: str) -> str | None:
    try:
        return read_file(tree, path)
    except OSError as error:
        if error.errno == errno.ELOOP:  # there is none, whoever is asked
            return None
        raise KernelError(f"read {path} of the tree", error) from None


def _is_name(word: str) -> bool:
    return bool(word) and not word.startswith(("#", "+", "-"))


class Accounts:
    """All users and groups of a tree, which are changed here, and written by :meth:`save`.

    :param tree: descriptor of the tree's top.
    :raises KernelError: a file is too large, or no regular file.
    """

    def __init__(self, tree: int) -> None:
        self._tree = tree
        self._files = {path: _File(tree, path) for path in _COLUMNS}

    # --- what there is ---------------------------------------------------------------

    def user(self, name: str) -> User | None:
        """A user; ``None`` if there is none, or none that makes sense."""
        columns = self._files[PASSWD].find(name)
        if columns is None or not (is_digits(columns[2]) and is_digits(columns[3])):
            return None
        password = columns[1]
        if password == _ELSEWHERE:  # where there is none, none fits
            password = (self._files[SHADOW].find(name) or ["", LOCKED])[1]
        return User(int(columns[2]), int(columns[3]), columns[4], columns[5], columns[6], password)

    def is_whole(self, name: str) -> bool:
        """Whether a user has a line in all files that are to have one."""
        columns = self._files[PASSWD].find(name)
        hidden = self._files[SHADOW].there and columns is not None and columns[1] == _ELSEWHERE
        return columns is not None and not (hidden and self._files[SHADOW].find(name) is None)

    def group(self, name: str) -> Group | None:
        """A group; ``None`` if there is none, or none that makes sense."""
        columns = self._files[GROUP].find(name)
        if columns is None or not is_digits(columns[2]):
            return None
        return Group(int(columns[2]), tuple(filter(None, columns[3].split(","))))

    def uids(self) -> dict[str, int]:
        """Ids of users by name."""
        return _ids(self._files[PASSWD])

    def gids(self) -> dict[str, int]:
        """Ids of groups by name."""
        return _ids(self._files[GROUP])

    def groups_of(self, user: str) -> list[str]:
        """Names of the groups that have a user as a member, sorted."""
        return sorted(columns[0] for columns in self._files[GROUP].rows() if user in columns[3].split(","))

    def users_in(self, gid: int) -> list[str]:
        """Names of the users of whom it is the first group."""
        return [columns[0] for columns in self._files[PASSWD].rows() if columns[3] == str(gid)]

    @staticmethod
    def free(used: t.Collection[int], system: bool, liked: int | None = None) -> int:
        """An id that nobody has.

        :param used: ids that somebody has.
        :param system: for a service.
        :param liked: is taken if it is free.
        :raises NsfleetError: there is none.
        """
        if liked is not None and liked not in used:
            return liked
        for number in _SERVICES if system else _PEOPLE:
            if number not in used:
                return number
        raise NsfleetError("no id is free")

    # --- what there is to be ---------------------------------------------------------

    def set_user(self, name: str, user: User) -> None:
        """Have a user; what passwords are allowed to be stays as it is."""
        hidden = self._files[SHADOW].there
        if hidden:
            rest = (self._files[SHADOW].find(name) or [name, "", "", "0", "99999", "7", "", "", ""])[2:]
            self._files[SHADOW].put([name, user.password, *rest])
        before = self._files[PASSWD].find(name)
        hidden = hidden or (user.password == LOCKED and before is not None and before[1] == _ELSEWHERE)
        words = (_ELSEWHERE if hidden else user.password, str(user.uid), str(user.gid))
        self._files[PASSWD].put([name, *words, user.comment, user.home, user.shell])

    def set_group(self, name: str, group: Group) -> None:
        """Have a group."""
        members = ",".join(group.members)
        password = (self._files[GROUP].find(name) or ["", _ELSEWHERE])[1]
        self._files[GROUP].put([name, password, str(group.gid), members])
        if self._files[GSHADOW].there:
            _name, hidden, admins, *_rest = self._files[GSHADOW].find(name) or [name, LOCKED, "", ""]
            self._files[GSHADOW].put([name, hidden, admins, members])

    def set_groups_of(self, user: str, groups: t.Collection[str]) -> None:
        """Have a user be a member of these groups, and of no others.

        :raises NsfleetError: there is no such group.
        """
        for name in sorted({*self.groups_of(user), *groups}):
            group = self.group(name)
            if group is None:
                raise NsfleetError(f"there is no group {name} in the tree")
            others = [member for member in group.members if member != user]
            keeps = group.members if user in group.members else (*group.members, user)
            self.set_group(name, group._replace(members=tuple(keeps if name in groups else others)))

    def remove_user(self, name: str) -> None:
        """Have no such user, nor a group that was only its own, as userdel(8) does."""
        user, group = self.user(name), self.group(name)
        self.set_groups_of(name, ())
        for path in (PASSWD, SHADOW):
            self._files[path].drop(name)
        alone = user is not None and group is not None and user.gid == group.gid and not group.members
        if alone and not self.users_in(user.gid if user else 0):
            self.remove_group(name)

    def remove_group(self, name: str) -> None:
        """Have no such group."""
        for path in (GROUP, GSHADOW):
            self._files[path].drop(name)

    def save(self, goes: bool = False) -> None:
        """Write what changed.

        A user whose writing was cut short is seen, and can be finished or removed: the line that says that there is one
        is the first that comes, and the last that goes.

        :param goes: somebody goes.
        :raises OSError: the file system refused.
        """
        order = (PASSWD, SHADOW, GROUP, GSHADOW)
        for path in reversed(order) if goes else order:
            if self._files[path].changed:
                self._write(path, self._files[path].text())

    def _write(self, path: str, content: bytes) -> None:
        """With mode, owner and attributes of the file before; in the place of a link, a file of its own."""
        inside.make_folder_of(self._tree, path)
        with inside.found(self._tree, path) as fd:
            attributes, like = inside.Attributes(_NEW_MODES[path], 0, 0), None
            if fd is not None and stat.S_ISREG(os.fstat(fd).st_mode):
                attributes, like = inside.attributes(fd), fd
            inside.write(self._tree, path, io.BytesIO(content), attributes, like)


def _ids(file: _File) -> dict[str, int]:
    found: dict[str, int] = {}
    for columns in file.rows():
        if is_digits(columns[2]):
            found.setdefault(columns[0], int(columns[2]))
    return found
