# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory into another one, with all that a file can have: as an archive that is unpacked while it is packed."""

from __future__ import annotations

import errno
import os
import typing as t

from .pack import pack
from .unpack import Whiteouts, unpack


def copy(source: int, target: int, only: t.Collection[str] | None = None, closed: t.Collection[str] = ()) -> None:
    """Copy what is in a directory, and what it is itself.

    A thread packs while this one unpacks. By a file in between it takes a fifth longer, and all of it on disk twice.

    :param source: descriptor of a directory, which nobody changes meanwhile.
    :param target: descriptor of a directory that nobody else writes to.
    :param only: paths of the files to copy, ``.`` for the top (:func:`.pack.pack`); else all are.
    :param closed: paths of directories that are copied without what is in them.
    :raises ImageError: something in the source cannot be said in an archive.
    :raises KernelError: the file system refused something, or the source changed.
    """
    from concurrent.futures import ThreadPoolExecutor

    ends = (os.fdopen(fd, mode) for fd, mode in zip(os.pipe(), ("rb", "wb")))
    reading, writing = (t.cast("t.BinaryIO", end) for end in ends)

    def send() -> None:
        with writing:
            pack(source, writing, layer=False, only=only, closed=closed)

    with ThreadPoolExecutor(1) as pool:
        packing = pool.submit(send)
        try:
            with reading:
                unpack(reading, target, Whiteouts.NONE)
        except BaseException:
            _raise_cause(packing.exception())
            raise
        packing.result()


def _raise_cause(error: BaseException | None) -> None:
    """An archive that ends early did so for a reason; that nobody reads on is none."""
    if error is not None and getattr(error, "errno", None) != errno.EPIPE:
        raise error
