# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in files: an OCI image layout as a directory or an archive, and what ``docker save`` writes.

Names in an archive are only looked up, never opened: what is in it is copied into one file that has no name. A link in
an archive is another name of a file in the archive. A directory is read by ``openat2`` from its root.
"""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import stat
import typing as t

from .._kernel import files
from .._kernel.path import open_in
from .._model.errors import KernelError
from . import compression, manifest
from .blobs import Blobs
from .entries import HARD_LINK, Archive, Limits
from .errors import ImageError, shown
from .manifest import Descriptor, Index
from .reference import Reference
from .source import PIECE, Part, Source, parts, pick, reader

#: What archives of images may be: few files, some of which are large.
_LIMITS: t.Final = Limits(entries=20_000)
_VERSION: t.Final = '{"imageLayoutVersion":"1.0.0"}'
#: Annotations by which an image in an index has names.
_NAMES: t.Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
#: Links that lead to links.
_DEEPEST: t.Final = 8


class _Files(t.Protocol):
    """Files by their names."""

    def open(self, name: str) -> t.BinaryIO | None:
        """A file, ``None`` if there is none."""


@contextlib.contextmanager
def opened(path: str, scratch: str) -> t.Iterator[Source]:
    """Images in a directory or in an archive, compressed or not.

    :param path: absolute path.
    :param scratch: directory with room for what is in an archive; nothing in it has a name.
    :raises ImageError: it is neither a layout nor what ``docker save`` writes.
    :raises KernelError: it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            files = _Folder(fd) if stat.S_ISDIR(os.fstat(fd).st_mode) else stack.enter_context(_unpacked(fd, scratch))
        except OSError as error:
            raise KernelError(f"read images in {path}", error) from None
        if _is_there(files, "oci-layout"):
            yield Layout(files)
        elif _is_there(files, "manifest.json"):
            yield Saved(files)
        else:
            raise ImageError(path, "expected an OCI image layout or what docker save writes: it has no oci-layout")


class Layout:
    """An OCI image layout (``image-layout.md``)."""

    def __init__(self, files: _Files) -> None:
        self._files = files
        data = _small(files, "index.json")
        found = manifest.parse(data, manifest.guess(data))
        if not isinstance(found, Index):
            raise ImageError("index.json", "expected an image index")
        self._index = found

    def resolve(self, reference: Reference) -> Descriptor:
        """The image of that name or tag, or the only one.

        :raises ImageError: there is none, or there are several.
        """
        return pick(self._index, reference, _names)

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> t.BinaryIO:
        """A file of ``blobs``.

        :raises ImageError: it is not there.
        """
        return _from(self._files, f"blobs/{descriptor.digest.replace(':', '/')}", offset)


def _names(descriptor: Descriptor) -> set[str]:
    """Canonical names of an image, and bare tags."""
    found = set()
    for name in filter(None, map(descriptor.annotations.get, _NAMES)):
        found.add(_canonical(name) if "/" in name else name)
    return found


class Saved:
    """What ``docker save`` and others write, which is no OCI layout: layers are named by a list, and not by digests.

    A manifest is made for each image: digests of layers that are not compressed are those in its configuration.
    """

    def __init__(self, files: _Files) -> None:
        self._files = files
        #: Where blobs are: their names in the archive, or they themselves.
        self._blobs: dict[str, str | bytes] = {}
        entries = manifest.parse_saved(_small(files, "manifest.json"))
        self._names: dict[str, set[str]] = {}
        self._index = Index(tuple(self._image(*entry) for entry in entries))

    def resolve(self, reference: Reference) -> Descriptor:
        """The image of that name, or the only one.

        :raises ImageError: there is none, or there are several.
        """
        return pick(self._index, reference, lambda each: self._names[each.digest])

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> t.BinaryIO:
        """A file of the archive, or a manifest that was made.

        :raises ImageError: it is not there.
        """
        blob = self._blobs.get(descriptor.digest)
        if blob is None:
            raise ImageError(descriptor.digest, "the archive has no such blob")
        return io.BytesIO(blob[offset:]) if isinstance(blob, bytes) else _from(self._files, blob, offset)

    def _image(self, config: str, names: t.Sequence[str], layers: t.Sequence[str]) -> Descriptor:
        """Make the manifest of an image."""
        import json

        data = _small(self._files, config)
        diff_ids = manifest.parse_config(data).diff_ids
        if len(diff_ids) != len(layers):
            raise ImageError(config, f"it has {len(diff_ids)} layers, and manifest.json names {len(layers)}")
        made = {
            "schemaVersion": 2,
            "mediaType": manifest.MANIFEST,
            "config": self._made(data, manifest.CONFIG).document(),
            "layers": [self._layer(*each).document() for each in zip(layers, diff_ids)],
        }
        descriptor = self._made(json.dumps(made).encode(), manifest.MANIFEST)
        self._names.setdefault(descriptor.digest, set()).update(map(_canonical, names))
        return descriptor

    def _made(self, data: bytes, media_type: str) -> Descriptor:
        digest, size = _measured(io.BytesIO(data))
        self._blobs[digest] = data
        return Descriptor(media_type, digest, size)

    def _layer(self, name: str, diff_id: str) -> Descriptor:
        with _from(self._files, name) as stream:
            plain = stream.read(512)[257:262] == b"ustar"
        with _from(self._files, name) as stream:
            digest, size = (diff_id, stream.seek(0, os.SEEK_END)) if plain else _measured(stream)
        self._blobs[digest] = name
        return Descriptor(manifest.LAYER, digest, size)


def _canonical(name: str) -> str:
    try:
        return str(Reference.parse(name))
    except ValueError:
        return name


def _measured(stream: t.BinaryIO) -> tuple[str, int]:
    """Digest and size of what a stream has."""
    import hashlib

    found, size = hashlib.sha256(), 0
    while piece := stream.read(PIECE):
        found.update(piece)
        size += len(piece)
    return f"sha256:{found.hexdigest()}", size


def save(source: Source, reference: Reference, path: str) -> Descriptor:
    """Write an image into an OCI image layout, which is made if it is not there; other images in it stay.

    :param reference: the image in the source, and its name in the layout.
    :param path: absolute path of a directory that nobody else writes to.
    :returns: what the layout has by that name now.
    :raises NsfleetError: the source has not all of it, what is there is no layout, or the file system refused.
    """
    descriptor = source.resolve(reference)
    try:
        os.makedirs(os.path.join(path, "blobs/sha256"), exist_ok=True)
        blobs = Blobs(os.path.join(path, "blobs/sha256"))
        for each in parts(source, descriptor):
            if not blobs.is_whole(each.digest):
                blobs.drop(each.digest)
            blobs.fetch(source, each)
        named = {**descriptor.document(), "annotations": {_NAMES[-1]: str(reference)}}
        others = [each for each in _saved(path) if each.get("annotations", {}).get(_NAMES[-1]) != str(reference)]
        index = {"schemaVersion": 2, "mediaType": manifest.INDEX, "manifests": [*others, named]}
        files.write_whole(os.path.join(path, "index.json"), manifest.written(index))
        files.write_whole(os.path.join(path, "oci-layout"), _VERSION)
    except OSError as error:
        raise KernelError(f"write the image layout {path}", error) from None
    return descriptor


def held(path: str, reference: Reference, verify: bool = False) -> str:
    """Digest of the image that a layout has by just this name; empty if it has none, or not all of it.

    :param path: absolute path of a directory, which need not be there.
    :param verify: read all blobs; else that they are as long as they should be is enough.
    :raises ImageError: what is there is no layout.
    """
    named = [each for each in _saved(path) if each.get("annotations", {}).get(_NAMES[-1]) == str(reference)]
    if len(named) != 1 or not os.path.exists(os.path.join(path, "oci-layout")):
        return ""
    descriptor = Descriptor(named[0]["mediaType"], named[0]["digest"], named[0]["size"])
    blobs = Blobs(os.path.join(path, "blobs/sha256"))
    try:
        with opened(path, path) as source:
            whole = all(_is_held(blobs, each, verify) for each in parts(source, descriptor))
    except ImageError:
        return ""
    return descriptor.digest if whole else ""


def _is_held(blobs: Blobs, descriptor: Descriptor, verify: bool) -> bool:
    if verify:
        return blobs.is_whole(descriptor.digest)
    return blobs.has(descriptor.digest) and os.path.getsize(blobs.path(descriptor.digest)) == descriptor.size


def index_of(path: str) -> str:
    """The index of a layout, for :func:`put_back`; empty if there is none."""
    return files.read_text(os.path.join(path, "index.json")) or ""


def put_back(path: str, index: str, source: Source, reference: Reference) -> None:
    """Let a layout have the images again that it had before :func:`save`.

    :param index: what :func:`index_of` said before.
    :param source: has the image that was saved.
    :param reference: that image in the source.
    :raises KernelError: the file system refused.
    """
    place = os.path.join(path, "index.json")
    try:
        if index:
            files.write_whole(place, index)
            return
        blobs = Blobs(os.path.join(path, "blobs/sha256"))
        for each in parts(source, source.resolve(reference)):
            blobs.drop(each.digest)
        files.remove(place)
        files.remove(os.path.join(path, "oci-layout"))
        files.remove_empty(blobs.directory, os.path.dirname(blobs.directory), path)
    except OSError as error:
        raise KernelError(f"put back the image layout {path}", error) from None


def _saved(path: str) -> list[dict[str, t.Any]]:
    """What the index of a layout has."""
    import json

    text = files.read_text(os.path.join(path, "index.json"))
    if text is None:
        return []
    if not isinstance(manifest.parse(text.encode(), manifest.guess(text.encode())), Index):
        raise ImageError(path, "expected an image layout, or nothing: its index.json is no image index")
    return t.cast("list[dict[str, t.Any]]", json.loads(text)["manifests"])


# --- files ---------------------------------------------------------------------------------------


def _is_there(files: _Files, name: str) -> bool:
    found = files.open(name)
    if found is not None:
        found.close()
    return found is not None


def _from(files: _Files, name: str, offset: int = 0) -> t.BinaryIO:
    """A file that has to be there, from an offset on."""
    found = files.open(name)
    if found is None:
        raise ImageError(name, "there is no such file in it")
    found.seek(offset)
    return found


def _small(files: _Files, name: str) -> bytes:
    with _from(files, name) as stream:
        data = stream.read(manifest.LARGEST + 1)
    if len(data) > manifest.LARGEST:
        raise ImageError(name, f"expected at most {manifest.LARGEST} bytes")
    return data


class _Folder:
    """Files of a directory.

    :param root: its descriptor.
    """

    def __init__(self, root: int) -> None:
        self._root = root

    def open(self, name: str) -> t.BinaryIO | None:
        """A regular file, ``None`` if there is none."""
        try:
            fd = open_in(self._root, name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise KernelError(f"read {shown(name)}", error) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise ImageError(name, "expected a regular file")
        return open(fd, "rb", buffering=PIECE)


class _Unpacked:
    """Files of an archive, one after the other in a file without a name.

    :param place: that file, empty.
    """

    def __init__(self, place: t.IO[bytes]) -> None:
        self._place = place
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        self._end = 0

    def take(self, archive: Archive) -> None:
        """Copy what is in an archive.

        :raises ImageError: it is damaged, or has two files of one name.
        """
        for entry in archive:
            name = posixpath.normpath(entry.name)
            if name in self._places or name in self._links:
                raise ImageError(entry.name, "the archive has it twice")
            if stat.S_ISREG(entry.kind):
                for offset, piece in archive.pieces():
                    self._place.seek(self._end + offset)
                    self._place.write(piece)
                self._places[name] = (self._end, entry.size)
                self._end += entry.size
            elif entry.kind == HARD_LINK:
                self._links[name] = posixpath.normpath(entry.link)
            elif stat.S_ISLNK(entry.kind):
                self._links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), entry.link))
        self._place.flush()

    def open(self, name: str) -> t.BinaryIO | None:
        """A regular file, ``None`` if there is none."""
        for _depth in range(_DEEPEST):
            if name in self._places:
                return reader(Part(self._place.fileno(), *self._places[name]))
            if name not in self._links:
                return None
            name = self._links[name]
        return None


@contextlib.contextmanager
def _unpacked(fd: int, scratch: str) -> t.Iterator[_Unpacked]:
    import tempfile

    with tempfile.TemporaryFile(dir=scratch) as place:
        files = _Unpacked(place)
        with open(fd, "rb", closefd=False) as file, compression.opened(file) as stream:
            files.take(Archive(stream, _LIMITS))
        yield files
