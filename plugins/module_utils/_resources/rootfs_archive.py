# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of archives: files of the host or the controller, and what URLs lead to.

What comes from elsewhere is checked before a tree of it is in its place; of URLs, before anything of it is unpacked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
import typing as t
import urllib.parse

from .._image.errors import ImageError
from .._kernel.directories import opened
from .._model.errors import KernelError, Missing, NsfleetError, OptionError
from .._model.field import State
from .._model.names import absolute_path
from .rootfs_source import Origin, Source

if t.TYPE_CHECKING:
    from .._image.transport import Response
    from .rootfs_record import Made

_PIECE: t.Final = 1 << 20
_FILE: t.Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
#: What the module says when a tree is to be made of an archive of the controller: that it is to be sent.
NOT_SENT: t.Final = "is on the controller, and was not sent with the task"


def location(value: str) -> str:
    """Path or URL of an archive in canonical form.

    :raises ValueError: it is neither.
    """
    scheme, colon, rest = value.partition("://")
    if not colon:
        return absolute_path(value)
    if scheme == "file":
        return absolute_path(urllib.parse.unquote(rest))
    from .._image.transport import place_of

    place_of(value)
    return value


def checksum(value: str) -> str:
    """A checksum in canonical form.

    :raises ValueError: it is none of SHA-256.
    """
    lower = value.lower()
    if not re.fullmatch("sha256:[0-9a-f]{64}", lower):
        raise ValueError(f"expected sha256: and 64 hexadecimal digits, got {value!r}")
    return lower


class Archive(Source):
    """An archive.

    :param place: where it is, in canonical form.
    :param wanted: its checksum, empty if nobody said it.
    """

    name = "archive"
    #: Which option says where it is.
    option = "archive"

    def __init__(self, place: str, wanted: str) -> None:
        self._place, self._wanted = place, wanted
        self._told = place  #: what people call it
        self._known: tuple[State, str] = {}, ""  #: of the file that was read last

    @property
    def is_remote(self) -> bool:
        """Whether it is a URL."""
        return "://" in self._place

    def digest(self, made: Made | None, look: bool) -> str:
        """Its checksum: what was said, what is known of this very file, or what is found."""
        del look
        if self._wanted:
            return self._wanted
        if not os.path.isfile(self._place):
            return made.source_digest if made else ""
        with self._opened() as file:
            return self._digest(file, made)

    def obstacles(self) -> t.Iterator[Exception]:
        """There is no such file."""
        if self.is_remote:
            return
        if not os.path.exists(self._place):
            yield Missing(f"archive: there is no {self._place}")
        elif not os.path.isfile(self._place):
            yield OptionError("archive", f"expected a file, and {self._place} is none")

    def fill(self, place: str) -> Origin:
        """Unpack it."""
        with self._downloaded(place) if self.is_remote else self._opened() as file:
            found = _Hashed(file)
            try:
                _unpack(found, place)
            except ImageError as error:
                raise NsfleetError(f"{self.option}: {self._told}: {error}") from None
            seen = {} if self.is_remote else _seen(file)
        self._check(found.digest)
        return Origin(found.digest, seen)

    def _check(self, found: str) -> None:
        if self._wanted and found != self._wanted:
            raise NsfleetError(f"checksum: expected {self._wanted}, and {self._told} has {found}")

    @contextlib.contextmanager
    def _opened(self) -> t.Iterator[t.BinaryIO]:
        with open(os.open(self._place, _FILE), "rb", buffering=0) as file:
            yield t.cast("t.BinaryIO", file)

    def _digest(self, file: t.BinaryIO, made: Made | None) -> str:
        seen = _seen(file)
        if made is not None and made.origin == seen:
            return made.source_digest
        if self._known[0] != seen:
            hashed = _Hashed(file)
            hashed.finish()
            self._known = seen, hashed.digest
        return self._known[1]

    @contextlib.contextmanager
    def _downloaded(self, place: str) -> t.Iterator[t.BinaryIO]:
        """What the URL leads to, in a file without a name, checked."""
        with tempfile.TemporaryFile(dir=os.path.dirname(place)) as file:
            self._check(_download(self._place, t.cast("t.BinaryIO", file)))
            file.seek(0)
            yield t.cast("t.BinaryIO", file)


class Sent(Archive):
    """An archive of the controller, which comes to the host when a tree is to be made of it.

    :param told: its path on the controller, as the task has it.
    :param place: where it is on the host; empty if it was not sent.
    :param wanted: its checksum, as the controller found it.
    """

    option = "archive_src"

    def __init__(self, told: str, place: str, wanted: str) -> None:
        super().__init__(place, wanted)
        self._told = told

    def obstacles(self) -> t.Iterator[Exception]:
        """It was not sent. In check mode it is said to have been, and never is."""
        if not self._place:
            yield NotSent(self.option, NOT_SENT)


class NotSent(OptionError):
    """The controller has what is needed, and is to be asked for it when nothing else is in the way."""


def _unpack(file: _Hashed, place: str) -> None:
    from .._image import compression
    from .._image.unpack import Whiteouts, unpack

    with opened(place) as root, compression.opened(t.cast("t.BinaryIO", file)) as stream:
        unpack(stream, root, Whiteouts.NONE)
    file.finish()


def _seen(file: t.BinaryIO) -> State:
    """What tells a file from what it was before without reading it; nobody can set the time of status change."""
    info = os.fstat(file.fileno())
    return {"inode": info.st_ino, "size": info.st_size, "changed": info.st_ctime_ns}


class _Hashed:
    """A file with the digest of what was read of it."""

    def __init__(self, file: t.BinaryIO) -> None:
        self._file, self._hash = file, hashlib.sha256()

    @property
    def digest(self) -> str:
        """Of what was read so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def read(self, size: int) -> bytes:
        """Read at most so many bytes."""
        piece = self._file.read(size)
        self._hash.update(piece)
        return piece

    def finish(self) -> None:
        """Read what is left."""
        while self.read(_PIECE):
            pass


def _download(url: str, file: t.BinaryIO) -> str:
    """Write what a URL leads to into a file, from the beginning if the way broke; its digest.

    :raises NsfleetError: it cannot be had.
    """
    import http.client

    from .._image import transport

    place = transport.place_of(url)
    client = transport.Client(place.name, transport.Access(plain_http=place.scheme == "http"))
    for attempt in range(1, transport.ATTEMPTS + 1):
        try:
            with client.ask("GET", url, {}) as answer:
                if answer.status != 200:
                    raise NsfleetError(f"archive: {url}: expected an archive, got {transport.explained(answer)}")
                return _save(answer, file)
        except (OSError, http.client.HTTPException) as error:
            if attempt == transport.ATTEMPTS:
                raise NsfleetError(f"archive: {url}: {error}") from None
        transport.wait(attempt)
    raise AssertionError("the last attempt returns or raises")


def _save(answer: Response, file: t.BinaryIO) -> str:
    """Write an answer into a file, from its beginning.

    :raises OSError: the answer ended early.
    """
    file.seek(0)
    file.truncate()
    found = _Hashed(t.cast("t.BinaryIO", answer))
    while piece := found.read(_PIECE):
        try:
            file.write(piece)
        except OSError as error:
            raise KernelError("write what was downloaded", error) from None
    if answer.length:  # which http.client tells nobody who reads piece by piece
        raise ConnectionError("the answer ended early")
    file.flush()
    return found.digest
