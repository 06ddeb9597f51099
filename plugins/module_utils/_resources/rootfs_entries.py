# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, directories and links of a root file system: what there is at a path, and what is to be."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from .._image import inside
from .._model.errors import Missing, NsfleetError, OptionError
from .._model.field import State
from .rootfs_accounts import Names
from .rootfs_data import Data, Kept, describe, opened
from .rootfs_fields import KINDS

_KINDS: t.Final = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
#: How the kernel says that nothing can be at a path, and why.
_NO_WAY: t.Final = {
    errno.ENOTDIR: "something above it is no directory",
    errno.ELOOP: "links above it lead in a circle",
    errno.EXDEV: "something is mounted above it or there",
}


class Entries:
    """Options ``files``, ``directories`` and ``links``.

    :param option: which one.
    :param wanted: all canonical options.
    :param kept: where content is that was replaced.
    """

    def __init__(self, option: str, wanted: State, kept: Kept) -> None:
        self.option = option
        self._kind = KINDS[option]
        self._wanted, self._kept = wanted, kept
        self._mine: State = wanted.get(option, {})
        #: What there was at paths before a task named them: it goes back there.
        self.former: State = {}
        #: Paths of all three options that no task names any more.
        self.going: t.Collection[str] = ()
        self._lacking: dict[str, str] = {}  #: files of the host that cannot be read, and why
        self._read = False
        for each in self._mine.values():
            each.setdefault("kind", self._kind)

    # --- what there is ---------------------------------------------------------------

    def observe(self, tree: int, paths: t.Iterable[str]) -> State:
        """Those of some paths at which there is something that could be put back."""
        names = Names(tree, self._wanted)
        found = {path: self._state(tree, path, names) for path in paths if not self._is_of_others(path)}
        return {path: state for path, state in found.items() if state is not None}

    def _is_of_others(self, path: str) -> bool:
        """Whether the task has the path, but in another option."""
        return path not in self._mine and any(path in self._wanted.get(option, {}) for option in KINDS)

    def read_sources(self) -> None:
        """Once a run: what is compared with the tree is what is written then."""
        if self._read:
            return
        self._read = True
        for path, each in self._mine.items():
            if "source" in each:
                try:
                    each["content"] = Data.of_file(each["source"])
                except OSError as error:
                    self._lacking[path] = f"{each['source']}: {error.strerror}"
                    each["content"] = f"of {each['source']}"

    def _state(self, tree: int, path: str, names: Names) -> State | None:
        try:
            with inside.found(tree, path) as fd:
                kind = None if fd is None else _KINDS.get(stat.S_IFMT(os.fstat(fd).st_mode))
                if fd is None or kind is None or self._stays(tree, path, kind):
                    return None
                return self._described(fd, kind, self._mine.get(path) or self.former.get(path, {}), names)
        except OSError as error:
            if error.errno not in _NO_WAY:
                raise
            return None

    def _described(self, fd: int, kind: str, given: State, names: Names) -> State:
        if kind == "link":
            return {"kind": kind, "target": inside.target(fd)}
        mode, uid, gid = inside.attributes(fd)
        state: State = {
            "kind": kind,
            "mode": f"{mode:04o}",
            "owner": names.user(uid, given.get("owner")),
            "group": names.group(gid, given.get("group")),
        }
        if kind == "file":
            state["content"] = _content(fd)
        return state

    def _stays(self, tree: int, path: str, kind: str) -> bool:
        """Whether it is a directory that no task names any more, and in which there is more than what goes with it."""
        ours = path in self._mine or path in self.former
        return kind == "directory" and not ours and not self._goes(tree, path)

    def _goes(self, tree: int, path: str) -> bool:
        if path not in self.going:
            return False
        try:
            with inside.folder_of(tree, f"{path}/.") as (folder, _name):
                return all(self._goes(tree, f"{path}/{name}") for name in os.listdir(folder))
        except NotADirectoryError:
            return True

    # --- what stands in the way --------------------------------------------------------

    def missing(self) -> t.Iterator[Missing]:
        """Files of the host that cannot be read."""
        for path, words in self._lacking.items():
            yield Missing(f"files[{path}].source: {words}")

    def obstacles(self, tree: int, waits: bool) -> t.Iterator[OptionError]:
        """What is in the way, and owners that there are not.

        :param tree: descriptor of the tree's top.
        :param waits: whether users may come that nobody knows yet.
        """
        names = Names(tree, self._wanted) if self._mine else None
        for path, each in self._mine.items():
            words = self._in_the_way(tree, path)
            if words:
                yield OptionError(f"{self.option}[{path}]", words)
            for option, word in () if waits or names is None else names.unknown(each):
                kind = "user" if option == "owner" else "group"
                yield OptionError(
                    f"{self.option}[{path}].{option}", f"there is no {kind} {word} in the tree, nor in {kind}s"
                )

    def _in_the_way(self, tree: int, path: str) -> str:
        try:
            with inside.found(tree, path) as fd:
                there = None if fd is None else _KINDS.get(stat.S_IFMT(os.fstat(fd).st_mode), "special file")
        except OSError as error:
            if error.errno not in _NO_WAY:
                raise
            return f"{_NO_WAY[error.errno or 0]} in the tree"
        if there is None or (there == "directory") == (self._kind == "directory"):
            return ""
        return f"expected no {there} there in the tree; remove it first, or choose another path"

    # --- change ------------------------------------------------------------------------

    def waits(self, tree: int, path: str) -> bool:
        """Whether its owner is not there yet."""
        given = self._mine.get(path)
        return given is not None and any(Names(tree, self._wanted).unknown(given))

    def write(self, tree: int, path: str, goal: State | None) -> None:
        """Have something at a path, or nothing.

        :raises NsfleetError: there is no such owner.
        :raises OSError: the file system refused.
        """
        inside.sweep(tree, path)
        if goal is None:
            self._keep(tree, path)
            inside.remove(tree, path)
            return
        inside.make_folder_of(tree, path)
        if goal["kind"] == "link":
            self._keep(tree, path)
            inside.link(tree, path, goal["target"])
        elif goal["kind"] == "directory":
            inside.directory(tree, path, self._attributes(tree, goal))
        else:
            self._write_file(tree, path, goal)

    def _write_file(self, tree: int, path: str, goal: State) -> None:
        attributes = self._attributes(tree, goal)
        with inside.found(tree, path) as fd:
            if fd is not None and _content(fd) == goal["content"]:
                inside.change(tree, path, attributes)
                return
        self._keep(tree, path)
        with opened(goal["content"], self._kept) as content:
            inside.write(tree, path, content, attributes)

    def _keep(self, tree: int, path: str) -> None:
        """Keep the content of a file that is about to be replaced."""
        with inside.found(tree, path) as fd:
            shown = None if fd is None else _content(fd)
            if fd is not None and shown is not None:
                with inside.reading(fd) as file:
                    self._kept.put(path, shown, file)

    def _attributes(self, tree: int, goal: State) -> inside.Attributes:
        names, mode = Names(tree, self._wanted), int(goal["mode"], 8)
        return inside.Attributes(mode, _number(names.uid, goal["owner"]), _number(names.gid, goal["group"]))


def _content(fd: int) -> str | None:
    """What is shown of the content of a file; ``None`` if it is no regular one."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return None
    with inside.reading(fd) as file:
        return describe(file)


def _number(find: t.Callable[[str], int | None], word: str) -> int:
    with contextlib.suppress(KeyError):
        number = find(word)
        if number is not None:
            return number
    raise NsfleetError(f"there is no {word} in the tree")
