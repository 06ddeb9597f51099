# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cgroupfs as files and directories. Tests put another tree in its place."""

from __future__ import annotations

import contextlib
import errno
import os

#: Extended attribute of the directories that are ours. Both versions of cgroupfs keep ``trusted`` attributes.
MARK = "trusted.nsfleet"


class Tree:
    """Plain access to control group file systems."""

    def read(self, path: str) -> str | None:
        """The content of a file without space around it, ``None`` if it is not there or cannot be read.

        :raises OSError: the kernel refused for another reason.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                return None
            raise
        try:
            return _read_all(fd).decode(errors="surrogateescape").strip()
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.EOPNOTSUPP, errno.EINVAL):  # removed meanwhile; not in this mode
                return None
            raise
        finally:
            os.close(fd)

    def write(self, path: str, text: str) -> None:
        """One write(2) into a file that is there: the kernel takes one value a call, and sees none of no bytes.

        :raises OSError: it is not there, or the kernel refused the value.
        """
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, (text or "\n").encode(errors="surrogateescape"))
        finally:
            os.close(fd)

    def has(self, path: str) -> bool:
        """Whether there is a file or directory."""
        return os.path.lexists(path)

    def make(self, path: str) -> bool:
        """Make a group; whether it was not there before.

        :raises OSError: the kernel refused.
        """
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            return False
        return True

    def remove(self, path: str) -> None:
        """Remove a group that has no process and no group below it; one that is gone is no error.

        :raises OSError: ``EBUSY``: it has one or the other.
        """
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(path)

    def children(self, path: str) -> list[str]:
        """Sorted names of the groups below one."""
        try:
            with os.scandir(path) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except FileNotFoundError:
            return []

    def files(self, path: str) -> list[str]:
        """Sorted names of the files of a group."""
        try:
            return sorted(name for name in os.listdir(path) if "." in name)
        except FileNotFoundError:
            return []

    def mark(self, path: str, value: str) -> None:
        """Say what a directory is to us; empty takes the mark away.

        :raises OSError: the kernel refused.
        """
        if value:
            os.setxattr(path, MARK, value.encode())
        elif self.marked(path):
            os.removexattr(path, MARK)

    def marked(self, path: str) -> str:
        """What a directory is to us; empty for directories of others."""
        return self.attribute(path, MARK)

    def attribute(self, path: str, name: str) -> str:
        """An extended attribute, empty if there is none."""
        try:
            return os.getxattr(path, name).decode(errors="replace")
        except OSError:
            return ""


def _read_all(fd: int) -> bytes:
    parts: list[bytes] = []
    while True:
        part = os.read(fd, 65536)
        if not part:
            return b"".join(parts)
        parts.append(part)
