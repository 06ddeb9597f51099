# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that come and go: what of them is fetched, unpacked, made anew and removed. :mod:`.catalog` has what is there.

Whatever has its final name is whole; a run that is killed leaves drafts, which the next one of the same thing goes on
with. Whoever uses the store holds a shared lock on it; :meth:`Store.collect` an exclusive one.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import typing as t

from .._kernel import files
from .._model.errors import KernelError
from . import manifest
from .blobs import Blobs, Measured
from .catalog import FOLDERS, IMAGE, ROOT, Catalog, Stored
from .draft import DRAFT
from .errors import ImageError
from .layers import Layers, fill_whole
from .manifest import Config, Descriptor, Manifest, Platform
from .reference import Reference
from .source import Image, Layer, Source, assembled, document, image

#: Layers that are downloaded and unpacked at the same time.
AT_ONCE: t.Final = 4
_COMPRESSED: t.Final = f"{manifest.LAYER}+gzip"


#: What is made of layers.
_Made = t.TypeVar("_Made")


class Collected(t.NamedTuple):
    """What nothing referred to, and is gone."""

    images: tuple[str, ...]  #: digests
    blobs: int
    layers: int
    size: int  #: of the blobs, bytes


class Store(Catalog):
    """The images of a host, to be changed. Several processes and threads may use it at once.

    It is a :class:`Source`, too: what is stored can be pushed from here.

    :param root: made if it is not there, by what writes.
    """

    def __init__(self, root: str = ROOT) -> None:
        super().__init__(root)
        self.blobs = Blobs(os.path.join(root, "blobs"))
        self.layers = Layers(os.path.join(root, "layers"))

    # --- changing -------------------------------------------------------------------------

    def pull(self, source: Source, reference: Reference, platform: Platform | None = None) -> Stored:
        """Have an image: what of it is not there is taken from a source, several layers at once.

        Other runs that pull the same layers are waited for, and what they did is not done again. When it fails, the
        store is as useful as before; what was downloaded is kept for the next time.

        :param source: a registry, a layout, another store.
        :param reference: what to look for in the source, and the name in the store.
        :param platform: which image of an index; this machine's if it is not said.
        :raises ImageError: what the source gives is damaged, hostile, or for no such platform.
        :raises NsfleetError: the source cannot be asked, or the file system refused.
        """
        with self.using():
            found = image(_Nearest(self, source), reference, platform or Platform.here())
            return self._take(source, found, reference)

    def build(self, reference: Reference, layers: t.Sequence[Layer], config: Config) -> Stored:
        """Have a new image; it is the same one for the same layers and the same configuration.

        From the making of the layers to the end of this, keep :meth:`collect` away by :meth:`using`.

        :param layers: from the lowest to the highest: those of another image (:meth:`layers_of`), and new ones
            (:meth:`add_layer`).
        :param config: how to run it, and on what.
        :raises ImageError: a layer is not there.
        :raises KernelError: the file system refused.
        """
        with self.using():
            return self._take(self, assembled(layers, config), reference)

    def add_layer(self, write: t.Callable[[t.BinaryIO], str]) -> Layer:
        """Have a new layer, compressed; it is the same one for the same archive.

        :param write: writes the plain archive, and returns its digest (``pack.pack(...).digest``).
        :raises KernelError: the file system refused; nothing of it is left.
        """
        diff_ids = []

        def fill(out: t.BinaryIO) -> None:
            diff_ids.append(_compress(write, out))

        with self.using():
            return Layer(self.blobs.write(_COMPRESSED, fill), diff_ids[0])

    def layers_of(self, digest: str) -> tuple[Layer, ...]:
        """The layers of an image that is there, from the lowest to the highest.

        :param digest: of its manifest.
        :raises ImageError: it is not.
        """
        stored = self.image(digest)
        if stored is None:
            raise ImageError(digest, "there is no such image in the store")
        found = manifest.parse(document(self, self._descriptor(digest)), self._descriptor(digest).media_type)
        layers = found.layers if isinstance(found, Manifest) else ()
        return tuple(map(Layer, layers, stored.config.diff_ids))

    def unpack(self, digest: str, root: int) -> None:
        """Unpack all layers of an image into one tree that is not the store's.

        :param digest: of its manifest.
        :param root: descriptor of an empty directory that nobody else writes to.
        :raises ImageError: the image is not there, or damaged.
        :raises KernelError: the file system refused.
        """
        with self.using():
            layers = self.layers_of(digest)
            blobs = {layer.diff_id: layer.descriptor.digest for layer in layers}
            fill_whole([layer.diff_id for layer in layers], lambda diff_id: self.blobs.open(blobs[diff_id]), root)

    def name(self, digest: str, reference: Reference) -> None:
        """Let a reference lead to an image that is there.

        :raises ImageError: it is not.
        """
        if self._read(self._record(digest), IMAGE) is None:
            raise ImageError(digest, "there is no such image in the store")
        self._write(self._name(reference), {"reference": str(reference), "image": digest})

    def remove(self, reference: Reference) -> bool:
        """Let a reference lead nowhere; the image goes by :meth:`collect`. Whether it led to one."""
        path = self._name(reference)
        gone = files.remove(path)
        files.remove_empty(os.path.dirname(path))
        return gone

    def verify(self) -> list[str]:
        """Read all blobs, and remove those that are damaged, so that the next pull fetches them again.

        :returns: digests of those that were damaged.
        """
        damaged = [digest for digest in self.blobs.all() if not self.blobs.is_whole(digest)]
        self.drop(damaged)
        return damaged

    def drop(self, digests: t.Iterable[str]) -> None:
        """Remove blobs, so that the next pull fetches them again."""
        for digest in digests:
            self.blobs.drop(digest)

    def spare(self, in_use: t.Collection[str] = ()) -> list[str]:
        """Digests of images that :meth:`collect` would remove now."""
        kept = {*self.references().values(), *in_use}
        return [digest for digest in self._all() if digest not in kept]

    def collect(self, in_use: t.Collection[str] = (), layers: t.Collection[str] = (), wait: bool = True) -> Collected:
        """Remove what neither a reference nor anything that uses an image needs; of an empty store, the store.

        :param in_use: digests of manifests (:attr:`Stored.digest`) of images that something uses.
        :param layers: directories of layers that something uses, whatever is written down of its image.
        :param wait: for runs that pull; else nothing is removed while there is one, which will do it itself.
        :raises KernelError: the file system refused.
        """
        nothing = Collected((), 0, 0, 0)
        try:
            with self._locked(fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)):
                return self._collect(in_use, layers)
        except (FileNotFoundError, BlockingIOError):
            return nothing

    def _collect(self, in_use: t.Collection[str], used: t.Collection[str]) -> Collected:
        gone = self.spare(in_use)
        for digest in gone:
            files.remove(self._record(digest))
        needed = [known for digest in self._all() if (known := self._read(self._record(digest), IMAGE))]
        self.layers.sweep()
        self._sweep()
        blobs, size = self._drop_blobs({digest for known in needed for digest in known["blobs"]})
        kept = {*(name for known in needed for name in known["layers"]), *map(os.path.basename, used)}
        layers = [name for name in self.layers.all() if name not in kept]
        for name in layers:
            self.layers.remove(name)
        files.remove_empty(*(os.path.join(self.root, folder) for folder in FOLDERS), self.root)
        return Collected(tuple(gone), blobs, len(layers), size)

    # --- as a source ----------------------------------------------------------------------

    def resolve(self, reference: Reference) -> Descriptor:
        """The manifest of an image that is there.

        :raises ImageError: it is not.
        """
        stored = self.find(reference)
        if stored is None:
            raise ImageError(str(reference), "there is no such image in the store")
        return self._descriptor(stored.digest)

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> t.BinaryIO:
        """A blob that is there, from an offset on.

        :raises ImageError: it is not.
        """
        file = self.blobs.open(descriptor.digest)
        file.seek(offset)
        return file

    # --- inside ---------------------------------------------------------------------------

    def _take(self, source: Source, found: Image, reference: Reference) -> Stored:
        """Have all of an image, and let a reference lead to it."""
        for digest, data in found.documents.items():
            self.blobs.put(digest, data)
        known = self.image(found.descriptor.digest)
        if known is None or known.resolved != found.resolved.digest:
            plain = bool(self.layers.objection())
            self._keep(found, self._have_layers(source, found, plain), plain)
        self.name(found.descriptor.digest, reference)
        stored = self.find(reference)
        if stored is None:
            raise ImageError(str(reference), "another run removed the image meanwhile; do it again")
        return stored

    def _have_layers(self, source: Source, found: Image, plain: bool) -> list[str]:
        """Have what the root of an image is made of.

        :param plain: as one directory, since overlayfs cannot be used; else one a layer.
        :returns: names of the directories, from the lowest to the highest.
        """
        digests = found.config.diff_ids
        wanted = dict(zip(digests, found.manifest.layers))

        def opened(digest: str) -> t.BinaryIO:
            return self.blobs.open(wanted[digest].digest)

        if plain:
            self._at_once([functools.partial(self.blobs.fetch, source, layer) for layer in wanted.values()])
            return [self._mended(source, found.manifest.layers, lambda: self.layers.tree(digests, opened))]
        self._at_once([functools.partial(self._have_layer, source, layer, digest) for digest, layer in wanted.items()])
        return self.layers.stack(digests, opened)

    @staticmethod
    def _at_once(work: t.Iterable[t.Callable[[], object]]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = [pool.submit(each) for each in work]
            try:
                for each in running:
                    each.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _have_layer(self, source: Source, layer: Descriptor, digest: str) -> None:
        self.blobs.fetch(source, layer)
        if not self.layers.has(digest):
            self._mended(source, [layer], lambda: self._unpack(layer, digest))

    def _mended(self, source: Source, layers: t.Iterable[Descriptor], make: t.Callable[[], _Made]) -> _Made:
        """Make something of layers, and once more of those that are fetched again if a disk forgot what it was given.

        :raises ImageError: something is wrong with what the source gives.
        """
        try:
            return make()
        except ImageError:
            damaged = [layer for layer in layers if not self.blobs.is_whole(layer.digest)]
            if not damaged:
                raise
        for layer in damaged:
            self.blobs.drop(layer.digest)
            self.blobs.fetch(source, layer)
        return make()

    def _unpack(self, layer: Descriptor, digest: str) -> None:
        with self.blobs.open(layer.digest) as blob:
            self.layers.unpack(blob, digest)

    def _keep(self, found: Image, layers: t.Sequence[str], plain: bool) -> None:
        """Write down what an image consists of."""
        documents = {digest: len(data) for digest, data in found.documents.items()}
        self._write(
            self._record(found.descriptor.digest),
            {
                "media_type": found.descriptor.media_type,
                "resolved": found.resolved.digest,
                "config": found.manifest.config.digest,
                "layers": list(layers),
                "plain": plain,
                "unpacked": self.layers.size(layers),
                "blobs": {**documents, **{layer.digest: layer.size for layer in found.manifest.layers}},
            },
        )

    def _descriptor(self, digest: str) -> Descriptor:
        known = self._read(self._record(digest), IMAGE) or {}
        return Descriptor(known["media_type"], digest, known["blobs"][digest])

    def _write(self, path: str, content: t.Mapping[str, t.Any]) -> None:
        try:
            files.write_with_directory(path, json.dumps(content))
        except OSError as error:
            raise KernelError(f"write {path}", error) from None

    def _sweep(self) -> None:
        """Remove drafts of documents and records."""
        for folder in (self.blobs.directory, os.path.join(self.root, "images")):
            files.sweep(folder)
        names = os.path.join(self.root, "names")
        files.remove_empty(*(os.path.join(names, each) for each in files.list_directory(names)))

    def _drop_blobs(self, needed: t.Collection[str]) -> tuple[int, int]:
        """Remove blobs that are not needed: how many, and their size in bytes."""
        number = size = 0
        for name in files.list_directory(self.blobs.directory):
            path = os.path.join(self.blobs.directory, name)
            if name.endswith(DRAFT) or f"sha256:{name}" not in needed:
                size += os.stat(path).st_size
                number += files.remove(path)
        return number, size


def predicted_layer(write: t.Callable[[t.BinaryIO], str]) -> Layer:
    """The layer that :meth:`Store.add_layer` would make; nothing is written."""
    out = Measured()
    diff_id = _compress(write, t.cast("t.BinaryIO", out))
    return Layer(Descriptor(_COMPRESSED, out.digest, out.size), diff_id)


def _compress(write: t.Callable[[t.BinaryIO], str], out: t.BinaryIO) -> str:
    """Let somebody write, compressed; returns what they do."""
    import gzip

    with gzip.GzipFile("", "wb", 6, out, mtime=0) as packed:
        return write(t.cast("t.BinaryIO", packed))


class _Nearest:
    """A source whose documents are taken from the store where they are there and undamaged."""

    def __init__(self, store: Store, source: Source) -> None:
        self._blobs, self._source = store.blobs, source

    def resolve(self, reference: Reference) -> Descriptor:
        """What a digest leads to is known if it is there."""
        if reference.digest and self._blobs.is_whole(reference.digest):
            with self._blobs.open(reference.digest) as file:
                data = file.read()
            return Descriptor(manifest.guess(data), reference.digest, len(data))
        return self._source.resolve(reference)

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> t.BinaryIO:
        """A document."""
        if self._blobs.is_whole(descriptor.digest):
            return self._blobs.open(descriptor.digest)
        self._blobs.drop(descriptor.digest)
        return self._source.open_blob(descriptor, offset)
