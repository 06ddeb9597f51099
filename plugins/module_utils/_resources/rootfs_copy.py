# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory into another one, with all that a file can have: as an archive that is unpacked while it is packed."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from .._image.pack import pack
from .._image.unpack import Whiteouts, unpack
from .._model.errors import KernelError

_DIRECTORY: t.Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def opened(path: str) -> t.Iterator[int]:
    """A descriptor of a directory, which the last part of a path must not lead to by a link.

    :raises KernelError: it is not there, or is none.
    """
    try:
        fd = os.open(path, _DIRECTORY)
    except OSError as error:
        raise KernelError(f"open {path}", error) from None
    try:
        yield fd
    finally:
        os.close(fd)


def copy(source: str, target: str, only: t.Collection[str] | None = None, closed: t.Collection[str] = ()) -> None:
    """Copy what is in a directory, and what it is itself.

    :param target: a directory that nobody else writes to.
    :param only: paths of the files to copy, ``.`` for the top (:func:`.pack.pack`); else all are.
    :param closed: paths of directories that are copied without what is in them.
    :raises NsfleetError: something cannot be copied, or the source changes meanwhile.
    """
    from concurrent.futures import ThreadPoolExecutor

    ends = (os.fdopen(fd, mode) for fd, mode in zip(os.pipe(), ("rb", "wb")))
    reading, writing = (t.cast("t.BinaryIO", end) for end in ends)

    def send(tree: int) -> None:
        with writing:
            pack(tree, writing, layer=False, only=only, closed=closed)

    with opened(os.path.realpath(source)) as tree, opened(target) as root, ThreadPoolExecutor(1) as pool:
        packing = pool.submit(send, tree)
        try:
            with reading:
                unpack(reading, root, Whiteouts.NONE)
        except BaseException:
            _raise_cause(packing.exception())
            raise
        packing.result()


def _raise_cause(error: BaseException | None) -> None:
    """An archive that ends early did so for a reason; that nobody reads on is none."""
    if error is not None and getattr(error, "errno", None) != errno.EPIPE:
        raise error
