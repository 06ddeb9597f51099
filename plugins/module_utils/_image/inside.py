# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single files of a tree that somebody else may have filled: looked at, written, given attributes, removed.

Links on the way to a file are followed as a process would whose root the tree is; none leads out of it, and nothing
that is mounted below the tree is entered (openat2(2)). The last part of a path is never followed: a link, a fifo or a
device in the place of a file is replaced. What is written is whole, with its mode and owner, before it has its name;
so nothing is ever written through another name of a file, which may be one of the host's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import typing as t

from .._kernel import files
from .._kernel.path import open_in
from .folders import Folders
from .xattrs import carried_of

_FOLDER: t.Final = os.O_RDONLY | os.O_DIRECTORY
_LOOK: t.Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: t.Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: How names of drafts begin; they end so that :func:`files.drafts` knows those of dead processes.
_OURS: t.Final = ".nsfleet-"

Made = t.TypeVar("Made")


class Attributes(t.NamedTuple):
    """Who may do what with a file."""

    mode: int  #: permission bits
    uid: int
    gid: int


def attributes(fd: int) -> Attributes:
    """Those of a file.

    :param fd: descriptor; one of O_PATH will do.
    """
    info = os.fstat(fd)
    return Attributes(stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


@contextlib.contextmanager
def folder_of(tree: int, path: str) -> t.Iterator[tuple[int, str]]:
    """The directory of a file.

    :param tree: descriptor of the tree's top, here and in what follows.
    :param path: of the file, from the top.
    :returns: descriptor of the directory, and the file's name in it.
    :raises OSError: there is no such directory, or something is mounted there (``EXDEV``).
    """
    above, name = os.path.split(path)
    folder = open_in(tree, above, _FOLDER, cross=False)
    try:
        yield folder, name
    finally:
        os.close(folder)


@contextlib.contextmanager
def found(tree: int, path: str) -> t.Iterator[int | None]:
    """What has a path, whatever it is.

    :returns: descriptor (O_PATH), ``None`` if there is none.
    :raises OSError: something on the way is no directory, or something is mounted there.
    """
    fd = None
    with contextlib.suppress(FileNotFoundError), folder_of(tree, path) as (folder, name):
        fd = os.open(name, _LOOK, dir_fd=folder)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


@contextlib.contextmanager
def reading(fd: int) -> t.Iterator[t.BinaryIO]:
    """The content of a regular file.

    :param fd: as :func:`found` gives it.
    """
    with open(f"/proc/self/fd/{fd}", "rb") as file:
        yield file


def target(fd: int) -> str:
    """Where a symbolic link leads to.

    :param fd: as :func:`found` gives it.
    """
    return os.readlink("", dir_fd=fd)


def write(tree: int, path: str, content: t.BinaryIO, wanted: Attributes, like: int | None = None) -> None:
    """Have a regular file, in the place of what is no directory.

    :param content: is read to its end.
    :param like: descriptor of a file of which the extended attributes are taken.
    :raises OSError: the file system refused; what was there is as it was.
    """
    with _draft_of(tree, path, _new_file) as draft, open(draft.made, "wb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        _dress(draft.made, wanted, {} if like is None else carried_of(f"/proc/self/fd/{like}"))
        os.fsync(draft.made)
        draft.finish()


def link(tree: int, path: str, leads_to: str) -> None:
    """Have a symbolic link, in the place of what is no directory; it is made, and not followed.

    :raises OSError: the file system refused; what was there is as it was.
    """
    with _draft_of(tree, path, lambda name, folder: os.symlink(leads_to, name, dir_fd=folder)) as draft:
        draft.finish()


def directory(tree: int, path: str, wanted: Attributes) -> None:
    """Have a directory with attributes.

    :raises OSError: the file system refused, or something else is there.
    """
    with folder_of(tree, path) as (folder, name):
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=folder)
            os.fsync(folder)
        fd = os.open(name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            _dress(fd, wanted, {})
        finally:
            os.close(fd)


def change(tree: int, path: str, wanted: Attributes) -> None:
    """Give a regular file other attributes: another file with the same content, if it has other names.

    :raises OSError: the file system refused, or it is gone.
    """
    with found(tree, path) as fd:
        if fd is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        with reading(fd) as file:
            if os.fstat(fd).st_nlink > 1:
                write(tree, path, file, wanted, fd)
            else:
                _dress(file.fileno(), wanted, {})


def remove(tree: int, path: str) -> None:
    """Remove a file or an empty directory; what is gone already, is.

    :raises OSError: the file system refused.
    """
    with contextlib.suppress(FileNotFoundError), folder_of(tree, path) as (folder, name):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
        os.fsync(folder)


def make_folder_of(tree: int, path: str) -> None:
    """Make the directories above a file that are missing, for root, mode 0755 (where a dangling link leads, too).

    :raises NsfleetError: something on the way is no directory.
    :raises OSError: something is mounted on the way, or the file system refused.
    """
    try:
        with folder_of(tree, path):
            return
    except FileNotFoundError:
        folders = Folders(tree, (0, 0))
        folders.open(os.path.dirname(path).strip("/"))
        folders.forget()


def sweep(tree: int, path: str) -> None:
    """Remove drafts that processes which were killed left beside a file."""
    with contextlib.suppress(OSError), folder_of(tree, path) as (folder, _name):
        for draft in files.drafts(f"/proc/self/fd/{folder}"):
            if os.path.basename(draft).startswith(_OURS):
                files.remove(draft)


def _dress(fd: int, wanted: Attributes, xattrs: t.Mapping[str, bytes]) -> None:
    """The owner comes first: the kernel takes setuid and file capabilities away with another one (chown(2))."""
    os.fchown(fd, wanted.uid, wanted.gid)
    os.fchmod(fd, wanted.mode)
    for key, value in xattrs.items():
        os.setxattr(fd, key, value)


class _Draft(t.Generic[Made]):
    """What is to have a name.

    :param folder: descriptor of its directory.
    :param draft: its name now.
    :param name: its name in the end.
    :param made: what made it gave.
    """

    def __init__(self, folder: int, draft: str, name: str, made: Made) -> None:
        self.draft, self.made = draft, made
        self._folder, self._name = folder, name

    def finish(self) -> None:
        """Let it have its name, for good."""
        os.rename(self.draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)


def _new_file(name: str, folder: int) -> int:
    return os.open(name, _NEW, 0o600, dir_fd=folder)


@contextlib.contextmanager
def _draft_of(tree: int, path: str, make: t.Callable[[str, int], Made]) -> t.Iterator[_Draft[Made]]:
    """A draft in the directory of a file, which is gone in the end, or has become the file.

    :param make: makes it, of a name and the descriptor of a directory.
    """
    with folder_of(tree, path) as (folder, name):
        draft = _free_draft(folder, name, make)
        try:
            yield draft
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft.draft, dir_fd=folder)


def _free_draft(folder: int, name: str, make: t.Callable[[str, int], Made]) -> _Draft[Made]:
    while True:
        draft = f"{_OURS}{os.urandom(6).hex()}.{os.getpid()}.new"
        with contextlib.suppress(FileExistsError):
            return _Draft(folder, draft, name, make(draft, folder))
