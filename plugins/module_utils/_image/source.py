# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where images come from. What a source gives is taken only if its size and digest are those that were announced."""

from __future__ import annotations

import io
import os
import typing as t

from . import manifest
from .errors import ImageError, shown
from .manifest import Config, Descriptor, Index, Manifest, Platform
from .reference import Reference

#: How much is read at once, bytes.
PIECE: t.Final = 1 << 18
#: Indexes that lead from one to the next.
_DEEPEST: t.Final = 4


class Source(t.Protocol):
    """A place that has images; several threads may ask it at once."""

    def resolve(self, reference: Reference) -> Descriptor:
        """What a name leads to: a manifest or an index.

        :raises NsfleetError: there is no such image, or the place cannot be asked.
        """

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> t.BinaryIO:
        """A document or a layer from an offset on, which nobody has verified yet; the caller closes it.

        :raises NsfleetError: there is no such blob, or the place cannot be asked.
        """


class Image(t.NamedTuple):
    """One image of a source with its documents, all verified."""

    resolved: Descriptor  #: what the name led to: the manifest, or an index that has it
    descriptor: Descriptor  #: of the manifest
    manifest: Manifest
    config: Config
    documents: t.Mapping[str, bytes]  #: indexes, manifest and configuration by their digests


class Layer(t.NamedTuple):
    """A layer as it is transported, and what it is."""

    descriptor: Descriptor
    diff_id: str  #: digest of the plain archive


def assembled(layers: t.Sequence[Layer], config: Config) -> Image:
    """A new image, with documents that are the same bytes for the same layers and the same configuration.

    :param layers: from the lowest to the highest.
    :param config: how to run it; its layers are those that are given.
    """
    config = config._replace(diff_ids=tuple(layer.diff_id for layer in layers))
    described, config_data = _described(manifest.CONFIG, config.document())
    made = Manifest(described, tuple(layer.descriptor for layer in layers))
    descriptor, data = _described(manifest.MANIFEST, made.document())
    return Image(descriptor, descriptor, made, config, {descriptor.digest: data, described.digest: config_data})


def _described(media_type: str, data: bytes) -> tuple[Descriptor, bytes]:
    return Descriptor(media_type, manifest.digest_of(data), len(data)), data


def image(source: Source, reference: Reference, platform: Platform) -> Image:
    """Find an image in a source.

    :param platform: which one of an index is wanted.
    :raises NsfleetError: there is none, it cannot be had, or its documents are wrong.
    """
    resolved = descriptor = source.resolve(reference)
    documents = {}
    for _depth in range(_DEEPEST):
        data = documents[descriptor.digest] = document(source, descriptor)
        found = manifest.parse(data, descriptor.media_type)
        if isinstance(found, Manifest):
            documents[found.config.digest] = document(source, found.config)
            config = manifest.parse_config(documents[found.config.digest])
            _check(found, config)
            return Image(resolved, descriptor, found, config, documents)
        descriptor = manifest.choose(found, platform)
    raise ImageError(str(reference), f"it leads from index to index more than {_DEEPEST} times")


def parts(source: Source, descriptor: Descriptor) -> t.Iterator[Descriptor]:
    """All that an index or a manifest leads to, and it itself: whatever leads to something comes after it.

    :raises NsfleetError: a document cannot be had, or is wrong.
    """
    found = manifest.parse(document(source, descriptor), descriptor.media_type)
    if isinstance(found, Index):
        for each in found.manifests:
            yield from parts(source, each)
    else:
        yield from (found.config, *found.layers)
    yield descriptor


def _check(found: Manifest, config: Config) -> None:
    if len(found.layers) != len(config.diff_ids):
        raise ImageError(
            "", f"the manifest has {len(found.layers)} layers, and the image configuration {len(config.diff_ids)}"
        )


def document(source: Source, descriptor: Descriptor) -> bytes:
    """A small blob, verified.

    :raises ImageError: it is too large to be a document, or not what was announced.
    """
    if descriptor.size > manifest.LARGEST:
        raise ImageError(descriptor.digest, f"expected a document of at most {manifest.LARGEST} bytes")
    checked = Checked(descriptor)
    pieces = []
    with source.open_blob(descriptor) as stream:
        while piece := checked.take(stream.read(PIECE)):
            pieces.append(piece)
    return b"".join(pieces)


class Checked:
    """Size and digest of a blob, checked while it comes.

    :param descriptor: what it must be.
    """

    def __init__(self, descriptor: Descriptor) -> None:
        import hashlib

        self._descriptor = descriptor
        self._hash = hashlib.sha256()
        #: How much has come, bytes.
        self.size = 0

    def take(self, piece: bytes) -> bytes:
        """The next piece, which is given back; an empty one is the end.

        :raises ImageError: more came than was announced, or in the end it is less or something else.
        """
        expected = self._descriptor.size
        self.size += len(piece)
        self._hash.update(piece)
        if self.size > expected:
            raise ImageError(self._descriptor.digest, f"expected {expected} bytes, and more came")
        if not piece:
            self._end()
        return piece

    def _end(self) -> None:
        if self.size != self._descriptor.size:
            raise ImageError(self._descriptor.digest, f"expected {self._descriptor.size} bytes, got {self.size}")
        found = f"sha256:{self._hash.hexdigest()}"
        if found != self._descriptor.digest:
            raise ImageError(self._descriptor.digest, f"what came instead has the digest {found}")


def pick(index: Index, reference: Reference, names: t.Callable[[Descriptor], t.Collection[str]]) -> Descriptor:
    """The image of a place that has several, each with names of its own.

    A digest is looked for by itself. Else it is the one of that name or tag; where there is only one, it is that.

    :param names: names of an image, complete ones (canonical references) and bare tags.
    :raises ImageError: there is none, or there are several.
    """
    there = index.manifests
    if reference.digest:
        found = [each for each in there if each.digest == reference.digest]
    else:
        found = [each for each in there if str(reference) in names(each)]
        found = found or [each for each in there if reference.tag in names(each)]
        found = found or (list(there) if len(there) == 1 else [])
    if len({each.digest for each in found}) == 1:
        return found[0]
    known = ", ".join(sorted({name for each in there for name in names(each)} or {each.digest for each in there}))
    how = "several images" if found else "no image"
    raise ImageError(str(reference), f"there is {how} of that name; the place has {shown(known) or 'nothing'}")


class Part(io.RawIOBase):
    """A part of an open file, read without moving the file's own position, so that threads do not meet in it.

    :param fd: descriptor, which stays open and has to.
    :param start: where the part begins, bytes.
    :param size: how long it is, bytes.
    """

    def __init__(self, fd: int, start: int, size: int) -> None:
        super().__init__()
        self._fd, self._start, self._size = fd, start, size
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to an offset from the beginning, from here or from the end."""
        self._at = max(offset + (0, self._at, self._size)[whence], 0)
        return self._at

    def readinto(self, buffer: t.Any) -> int:
        """Read what there is, at most what fits."""
        most = min(len(buffer), max(self._size - self._at, 0))
        piece = os.pread(self._fd, most, self._start + self._at)
        self._at += len(piece)
        buffer[: len(piece)] = piece
        return len(piece)


def reader(raw: io.RawIOBase) -> t.BinaryIO:
    """A stream whose ``read(size)`` gives that much until the end."""
    return t.cast("t.BinaryIO", io.BufferedReader(raw, PIECE))
