# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are whole or not there, whatever happens in between."""

from __future__ import annotations

import os
import typing as t


def write_whole(path: str, text: str, mode: int = 0o600) -> None:
    """Replace a file by one write, fsync and rename; a reader or a crash sees the old file or the new one.

    :param path: absolute path; its directory exists.
    :param mode: permission bits of the new file.
    :raises OSError: the file system refused; the old file is as it was.
    """
    draft = f"{path}.{os.getpid()}.new"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            os.fchmod(fd, mode)
            file.write(text)
            file.flush()
            os.fsync(fd)
        os.rename(draft, path)
    except BaseException:
        remove(draft)
        raise
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Make renames and removals in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_text(path: str) -> str | None:
    """The content of a small file, ``None`` if it is not there.

    :raises OSError: it is there and cannot be read.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(path: str) -> bool:
    """Remove a file; whether it was there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def remove_empty(*paths: str) -> None:
    """Remove directories that are empty; others, and those that are gone, stay as they are."""
    for path in paths:
        try:
            os.rmdir(path)
        except OSError:
            continue


def list_directory(path: str) -> t.Sequence[str]:
    """Sorted names in a directory, none if it is not there."""
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return ()
