# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are whole or not there, whatever happens in between."""

from __future__ import annotations

import errno
import itertools
import os
import stat
import typing as t


def write_whole(path: str, content: str | bytes, mode: int = 0o600) -> None:
    """Replace a file by one write, fsync and rename; a reader or a crash sees the old file or the new one.

    :param path: absolute path; its directory exists.
    :param mode: permission bits of the new file.
    :raises OSError: the file system refused; the old file is as it was.
    """
    directory, name = os.path.split(path)
    draft = os.path.join(directory, f".{name}.{os.getpid()}.new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        with open(fd, "wb") as file:
            os.fchmod(fd, mode)
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(fd)
        os.rename(draft, path)
    except BaseException:
        remove(draft)
        raise
    sync_directory(directory)


def write_with_directory(path: str, content: str | bytes, mode: int = 0o600) -> None:
    """:func:`write_whole` into a directory for root alone, which is made if it is not there.

    Others may take it away as long as it is empty; then it is made again.

    :raises OSError: the file system refused.
    """
    while True:
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            return write_whole(path, content, mode)
        except FileNotFoundError:
            continue


def drafts(directory: str) -> list[str]:
    """Paths of drafts of :func:`write_whole` whose process was killed before they became the file.

    One that nobody has waited for yet is dead all the same.
    """
    words = ((name, name.split(".")) for name in list_directory(directory))
    return [
        os.path.join(directory, name)
        for name, parts in words
        if parts[0] == "" and parts[-1] == "new" and _has_ended(parts[-2])
    ]


def _has_ended(pid: str) -> bool:
    from .process import start_time  # there are hardly ever drafts

    return not pid.isdigit() or start_time(int(pid)) is None


def sweep(directory: str) -> None:
    """Remove such drafts."""
    for path in drafts(directory):
        remove(path)


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
    """Remove directories that are empty but for drafts; others, and those that are gone, stay as they are."""
    for path in paths:
        sweep(path)
        try:
            os.rmdir(path)
        except OSError:
            continue


def remove_tree(path: str, folder: int | None = None) -> None:
    """Remove a directory with all that is in it, which somebody may have nested deeper than a path can be long.

    Links are not followed. What is below a directory is moved up before the directory goes: so nothing is ever more
    than two levels deep when it is looked at, and two descriptors are enough.

    :param folder: descriptor of the directory that a relative path begins at.
    :raises OSError: the file system refused.
    """
    try:
        top = os.open(path, _FOLDER, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        spare = (f"removed-{number}" for number in itertools.count())
        while names := os.listdir(top):
            for name in names:
                _remove_entry(top, name, spare)
    finally:
        os.close(top)
    os.rmdir(path, dir_fd=folder)


_FOLDER: t.Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _remove_entry(top: int, name: str, spare: t.Iterator[str]) -> None:
    """Remove one entry of a directory; directories in it are moved up to names that are free there."""
    if not _is_directory(top, name):
        os.unlink(name, dir_fd=top)
        return
    folder = os.open(name, _FOLDER, dir_fd=top)
    try:
        for below in os.listdir(folder):
            if _is_directory(folder, below):
                _move_up(folder, below, top, spare)
            else:
                os.unlink(below, dir_fd=folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _is_directory(folder: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _move_up(folder: int, name: str, top: int, spare: t.Iterator[str]) -> None:
    for free in spare:
        try:
            os.rename(name, free, src_dir_fd=folder, dst_dir_fd=top)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
        else:
            return


def list_directory(path: str) -> t.Sequence[str]:
    """Sorted names in a directory, none if it is not there."""
    try:
        return sorted(os.listdir(path))
    except (FileNotFoundError, NotADirectoryError):
        return ()
