# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of containers: files in memory that is never swapped out, and never on a disk.

/run/nsfleet/secrets/     ramfs (Documentation/filesystems/ramfs-rootfs-initramfs.rst), reached by root alone
    NAME/files/           of one container, which has this directory as /run/secrets, read-only
    NAME/kept/            the files as they were before a run began to change them, for whoever goes back
    NAME/draft            a file that is being written

A file is written whole before it has its name, so a container sees the old one or the new one.
"""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from .._kernel import files, mount, mount_api
from .._kernel.namespace import filesystem_type
from .bundle import locked
from .spec import SECRETS, SECRETS_SHOWN

_RAMFS: t.Final = 0x858458F6  # RAMFS_MAGIC
_ATTRIBUTES: t.Final = mount_api.NO_SUID | mount_api.NO_DEV | mount_api.NO_EXEC
_LOOK: t.Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW: t.Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class Secret(t.NamedTuple):
    """One file."""

    mode: int  #: permission bits
    uid: int  #: on the host, likewise the group
    gid: int
    content: bytes | None  #: ``None``: it is no regular file


class Secrets:
    """The secrets of one container.

    :param name: of the container.
    """

    def __init__(self, name: str) -> None:
        self._directory = os.path.join(SECRETS, name)
        self.files = os.path.join(self._directory, SECRETS_SHOWN)
        self._kept = os.path.join(self._directory, "kept")
        self._draft = os.path.join(self._directory, "draft")

    @property
    def changed(self) -> bool:
        """Whether a run began to change them, and may still go back."""
        return os.path.isdir(self._kept)

    @property
    def littered(self) -> bool:
        """Whether anything is left of a change."""
        return any(name != SECRETS_SHOWN for name in files.list_directory(self._directory))

    def read(self) -> dict[str, Secret]:
        """All of them, by name."""
        return {name: _read(os.path.join(self.files, name)) for name in files.list_directory(self.files)}

    def prepare(self) -> None:
        """Have the directory that the container's mount is of.

        :raises OSError: the kernel refused.
        """
        with locked(alone=True):
            _mount()
            for folder, mode in ((self._directory, 0o700), (self.files, 0o755)):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder)
                os.chmod(folder, mode)

    def write(self, wanted: t.Mapping[str, Secret]) -> None:
        """Have these and no others; how they were is kept.

        :raises OSError: the kernel refused.
        """
        there = self.read()
        if there == wanted:
            return
        self._keep()
        for name, secret in wanted.items():
            if there.get(name) != secret:
                self._write(name, secret)
        for name in there.keys() - wanted.keys():
            os.unlink(os.path.join(self.files, name))

    def _write(self, name: str, secret: Secret) -> None:
        with open(os.open(self._draft, _NEW, 0o600), "wb") as file:
            file.write(secret.content or b"")
            file.flush()
            os.fchown(file.fileno(), secret.uid, secret.gid)
            os.fchmod(file.fileno(), secret.mode)
        os.rename(self._draft, os.path.join(self.files, name))

    # --- going back --------------------------------------------------------------

    def _keep(self) -> None:
        """Only the first run that changes them knows how they were before, if one after the other is killed."""
        if self.changed:
            return
        files.remove_tree(f"{self._kept}.new")
        os.mkdir(f"{self._kept}.new", 0o700)
        for name in os.listdir(self.files):
            os.link(os.path.join(self.files, name), os.path.join(f"{self._kept}.new", name), follow_symlinks=False)
        os.rename(f"{self._kept}.new", self._kept)

    def restore(self) -> None:
        """Have those that were there before a run began to change them, if one did.

        :raises OSError: the kernel refused.
        """
        if not self.changed:
            return
        kept = os.listdir(self._kept)
        for name in kept:
            files.remove(self._draft)
            os.link(os.path.join(self._kept, name), self._draft, follow_symlinks=False)
            os.rename(self._draft, os.path.join(self.files, name))
        for name in set(os.listdir(self.files)).difference(kept):
            os.unlink(os.path.join(self.files, name))
        self.settle()

    def settle(self) -> None:
        """Nobody goes back any more."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._kept, f"{self._kept}.new")  # what is left of it in between is not what there was
        files.remove_tree(f"{self._kept}.new")
        files.remove(self._draft)

    def remove(self) -> None:
        """Remove all of them, and with those of the last container the file system."""
        with locked(alone=True):
            files.remove_tree(self._directory)
            if not files.list_directory(SECRETS):
                with contextlib.suppress(OSError):  # EINVAL: nothing is mounted there any more
                    while True:
                        mount.detach(SECRETS)
                files.remove_empty(SECRETS, os.path.dirname(SECRETS))


def _read(path: str) -> Secret:
    info = os.lstat(path)
    content = None
    if stat.S_ISREG(info.st_mode):
        with open(os.open(path, _LOOK), "rb") as file:
            content = file.read()
    return Secret(stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, content)


def _mount() -> None:
    """Have the file system, mounted on a private mount, from which it does not appear in other mount namespaces."""
    os.makedirs(SECRETS, mode=0o700, exist_ok=True)
    if filesystem_type(SECRETS) == _RAMFS:
        return
    try:
        mount.mount("", SECRETS, mount.MS_PRIVATE)
    except OSError:  # EINVAL: it is not a mount point yet
        mount.mount(SECRETS, SECRETS, mount.MS_BIND)
        mount.mount("", SECRETS, mount.MS_PRIVATE)
    made = mount_api.new_filesystem("ramfs", [("source", "nsfleet"), ("mode", "0700")], _ATTRIBUTES)
    place = os.open(SECRETS, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mount_api.attach(made, place)
    finally:
        os.close(place)
        os.close(made)
