# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What images a host has, for whoever only looks: the names of things in the store, and what is written down of them.

    ROOT/blobs/DIGEST           documents and layers as they were transported; ``.part``: not yet whole
    ROOT/layers/NAME            an unpacked layer, a lower directory of overlayfs; ``.part``: not yet whole. Where
                                overlayfs cannot be used, a whole image
    ROOT/images/DIGEST.json     an image: its documents, blobs and layers
    ROOT/names/NAME/TAG.json    which image a reference is

All is root's alone. How images come and go is in :mod:`.store`, which a task that starts a container does not need.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import typing as t

from .._kernel import files
from .._model.errors import KernelError
from . import manifest
from .manifest import Config
from .reference import Reference

ROOT: t.Final = "/var/lib/nsfleet/images"
FOLDERS: t.Final = ("blobs", "layers", "images", "names")
ENDING: t.Final = ".json"
#: What is written down of an image, and of a reference.
IMAGE: t.Final = {"media_type": str, "resolved": str, "config": str, "layers": list, "blobs": dict, "unpacked": int}
_PIECE: t.Final = 1 << 20
_NAME: t.Final = {"reference": str, "image": str}


class Stored(t.NamedTuple):
    """An image that is there."""

    reference: str  #: canonical
    digest: str  #: of its manifest, by which containers refer to it
    resolved: str  #: what the reference led to when it was pulled: ``digest``, or that of an index that has it
    config: Config
    #: Lower directories of overlayfs from the lowest to the highest, absolute. All are in one directory and have names
    #: of 24 characters, so that a working directory there makes 128 of them fit into the options of mount(2).
    layers: tuple[str, ...]
    size: int  #: of its blobs, bytes
    unpacked: int = 0  #: of the archives that its layers were unpacked from, bytes
    plain: bool = False  #: all layers are one directory, since overlayfs could not be used when it came


def is_whole(path: str, digest: str) -> bool:
    """Whether a file is there and has a digest."""
    import hashlib

    found = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    except OSError:  # not there, or a disk that cannot read it any more
        return False
    return f"sha256:{found.hexdigest()}" == digest


class Catalog:
    """The images of a host.

    :param root: directory of the store, which need not be there.
    """

    def __init__(self, root: str = ROOT) -> None:
        self.root = root

    def find(self, reference: Reference) -> Stored | None:
        """The image of a reference, if all of it is there. Nothing is hashed, written or asked of others."""
        named = self.named(reference)
        return self.image(named, str(reference)) if named else None

    def named(self, reference: Reference) -> str:
        """Digest of the manifest that a reference leads to, whether or not all of it is there; empty if to none."""
        known = self._read(self._name(reference), _NAME)
        return known["image"] if known else ""

    def image(self, digest: str, reference: str = "") -> Stored | None:
        """The same by the digest of a manifest, whatever references lead to it.

        :param reference: is told in the result.
        """
        known = self._read(self._record(digest), IMAGE)
        if known is None or not all(os.path.exists(self._blob(digest)) for digest in known["blobs"]):
            return None
        layers = tuple(os.path.join(self.root, "layers", name) for name in known["layers"])
        if any("/" in name for name in known["layers"]) or not all(map(os.path.isdir, layers)):
            return None
        with open(self._blob(known["config"]), "rb") as file:
            config = manifest.parse_config(file.read())
        size = sum(known["blobs"].values())
        plain = known.get("plain", False)
        return Stored(reference, digest, known["resolved"], config, layers, size, known["unpacked"], bool(plain))

    def images(self) -> list[Stored]:
        """All images that a reference leads to, sorted by it; those of which something is missing are left out."""
        found = (self.find(Reference.parse(each)) for each in self.references())
        return [each for each in found if each is not None]

    def references(self) -> dict[str, str]:
        """Canonical references, sorted, with the digests of the manifests that they lead to."""
        found = {}
        for folder in files.list_directory(os.path.join(self.root, "names")):
            for name in files.list_directory(os.path.join(self.root, "names", folder)):
                named = self._read(os.path.join(self.root, "names", folder, name), _NAME)
                if named and name.endswith(ENDING):
                    found[named["reference"]] = named["image"]
        return dict(sorted(found.items()))

    def damaged(self, digest: str) -> list[str]:
        """Digests of those blobs of an image that are not what they were; all of them are read.

        :param digest: of its manifest.
        """
        known = self._read(self._record(digest), IMAGE) or {"blobs": {}}
        return [each for each in known["blobs"] if not is_whole(self._blob(each), each)]

    @contextlib.contextmanager
    def using(self) -> t.Iterator[None]:
        """Keep :meth:`collect` away for a while: until it is written down somewhere what uses an image.

        :raises KernelError: the directory cannot be made.
        """
        with self._locked(fcntl.LOCK_SH, self._make):
            yield

    def _make(self) -> None:
        try:
            for folder in FOLDERS:
                os.makedirs(os.path.join(self.root, folder), 0o700, exist_ok=True)
            os.chmod(self.root, 0o700)
        except FileNotFoundError:  # it was removed meanwhile
            raise
        except OSError as error:
            raise KernelError(f"make the store {self.root}", error) from None

    # --- inside ---------------------------------------------------------------------------

    def _blob(self, digest: str) -> str:
        return os.path.join(self.root, "blobs", digest.partition(":")[2])

    def _name(self, reference: Reference) -> str:
        """Path of what is known of a reference; no two have the same, and none is longer than a name may be."""
        last = f"{reference.tag}@{reference.digest}" if reference.digest else reference.tag
        return os.path.join(self.root, "names", reference.name.replace("/", ","), last + ENDING)

    def _record(self, digest: str) -> str:
        return os.path.join(self.root, "images", digest.partition(":")[2] + ENDING)

    def _all(self) -> list[str]:
        """Digests of all images."""
        names = files.list_directory(os.path.join(self.root, "images"))
        return [f"sha256:{name[: -len(ENDING)]}" for name in names if name.endswith(ENDING)]

    def _read(self, path: str, form: t.Mapping[str, type]) -> dict[str, t.Any] | None:
        """A record; one that is damaged is as good as none, and is written anew by the next pull."""
        try:
            known: t.Any = json.loads(files.read_text(path) or "0")
        except OSError as error:
            raise KernelError(f"read {path}", error) from None
        except ValueError:
            return None
        fits = isinstance(known, dict) and all(isinstance(known.get(name), kind) for name, kind in form.items())
        return known if fits else None

    @contextlib.contextmanager
    def _locked(self, how: int, make: t.Callable[[], None] | None = None) -> t.Iterator[None]:
        fd = self._open_locked(how, make)
        try:
            yield
        finally:
            os.close(fd)

    def _open_locked(self, how: int, make: t.Callable[[], None] | None) -> int:
        """Lock the store; one that was removed before it was locked is no store, and another one is made."""
        while True:
            try:
                if make:
                    make()
                fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                if make:
                    continue
                raise
            try:
                fcntl.flock(fd, how)
            except OSError:
                os.close(fd)
                raise
            if self._is_in_place(fd):
                if make:
                    make()  # what is in it, too: nobody removes it any more
                return fd
            os.close(fd)

    def _is_in_place(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.root))
        except FileNotFoundError:
            return False
