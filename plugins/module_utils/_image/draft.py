# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made once, whoever wants it: a draft with a lock, which becomes the finished thing by a rename.

The lock is one on the draft itself (flock(2)), so that it needs no file of its own and goes with its holder. Whoever
waited for it looks again: the draft may have become the finished thing, or be gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t

#: How names of drafts end.
DRAFT: t.Final = ".part"
_FILE: t.Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: t.Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def locked_file(path: str) -> t.Iterator[int | None]:
    """The draft of a file, made if it is not there.

    :param path: of the finished file.
    :returns: descriptor of the draft for whoever is to finish it; ``None`` if it is finished.
    :raises OSError: the file system refused.
    """
    with _locked(path, lambda draft: os.open(draft, _FILE, 0o600), os.unlink) as fd:
        yield fd


@contextlib.contextmanager
def locked_folder(path: str) -> t.Iterator[int | None]:
    """The same for a directory."""
    with _locked(path, _make_folder, os.rmdir) as fd:
        yield fd


def _make_folder(draft: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(draft, 0o700)
    return os.open(draft, _FOLDER)


@contextlib.contextmanager
def _locked(path: str, make: t.Callable[[str], int], remove: t.Callable[[str], None]) -> t.Iterator[int | None]:
    while not os.path.lexists(path):
        try:
            fd = make(path + DRAFT)
        except FileNotFoundError:
            continue  # it was finished between being made and being opened
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not _is(path + DRAFT, fd):
                continue
            if os.path.lexists(path):  # it was finished before this draft was made, which nobody needs
                remove(path + DRAFT)
                continue
            yield fd
            return
        finally:
            os.close(fd)
    yield None


def _is(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(fd))
    except FileNotFoundError:
        return False
