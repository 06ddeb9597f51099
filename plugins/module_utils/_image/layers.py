# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers, each unpacked once and alone, as a lower directory of overlayfs.

A layer is known by the digest of its plain archive, so that it is the same however it was compressed. Its directory has
a short name: mount(2) takes at most 4095 bytes of options, into which 128 lower directories have to fit when they are
named from where they are. The record beside it has the whole digest.

A layer need not describe the directories that its files are in, which are then those of the layers below. Overlayfs
shows what the uppermost layer says of a directory, which here would be nothing; so what the layers below say is put on
top of such a layer, as a layer of directories alone.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import stat
import typing as t

from .._kernel import files
from .._kernel.syscall import call
from .._model.errors import KernelError
from .draft import DRAFT, locked_folder
from .errors import ImageError

if t.TYPE_CHECKING:
    from .unpack import Unpacked

#: How names of records end.
_RECORD: t.Final = ".json"
_FOLDER: t.Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def name_of(digest: str) -> str:
    """Name of the directory of a layer."""
    return digest.partition(":")[2][:24]


class Layers:
    """A directory of layers.

    :param directory: is there.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, name: str) -> str:
        """Where the layer of a name is, if it is there."""
        return os.path.join(self.directory, name)

    def has(self, digest: str) -> bool:
        """Whether a layer is there.

        :raises ImageError: another one has its name.
        """
        name = name_of(digest)
        if not os.path.isdir(self.path(name)):
            return False
        there = self._record(name)["diff_id"]
        if there != digest:
            raise ImageError(digest, f"the layer {there} has the same name in {self.directory}; remove one of the two")
        return True

    def all(self) -> list[str]:
        """Names of all layers."""
        names = files.list_directory(self.directory)
        return [name for name in names if not name.startswith(".") and not name.endswith((DRAFT, _RECORD))]

    def size(self, names: t.Iterable[str]) -> int:
        """Size of what layers were unpacked from, bytes."""
        return sum(self._record(name)["size"] for name in names)

    def unpack(self, blob: t.BinaryIO, digest: str) -> None:
        """Have a layer: unpack it, or wait for whoever does so already.

        :param blob: the layer as it was transported, compressed or not.
        :param digest: of the plain archive.
        :raises ImageError: it is damaged, hostile, or another one.
        :raises KernelError: the file system refused; nothing of the layer is left then.
        """

        from . import compression
        from .unpack import Whiteouts, unpack

        def fill(draft: int) -> dict[str, t.Any]:
            with compression.opened(blob) as stream:
                found = unpack(stream, draft, Whiteouts.OVERLAY)
            _check(found, digest)
            return {"entries": found.entries, "size": found.size, "implied": found.implied, "opaque": found.opaque}

        self._make(digest, fill)

    def stack(self, digests: t.Sequence[str]) -> list[str]:
        """Names of the lower directories that are an image, from the lowest to the highest.

        :param digests: of its layers, all of which are there.
        :raises KernelError: the file system refused.
        """
        import hashlib

        names: list[str] = []
        chain = ""
        for digest in digests:
            chain = f"sha256:{hashlib.sha256(f'{chain} {digest}'.encode()).hexdigest()}" if chain else digest
            record = self._record(name_of(digest))
            implied = record["implied"]
            if record["opaque"]:  # overlayfs shows what is below such a root
                names.clear()
            names.append(name_of(digest))
            if implied and chain != digest:
                self._make(chain, functools.partial(self._describe, names=tuple(names), implied=implied))
                names.append(name_of(chain))
        return names

    def remove(self, name: str) -> None:
        """Remove a layer, which looks like a draft from the first moment on."""
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.path(name), self.path(name) + DRAFT)
        files.remove(self.path(name) + _RECORD)
        files.remove_tree(self.path(name) + DRAFT)

    def sweep(self) -> None:
        """Remove drafts; nobody may be at work on one."""
        for name in files.list_directory(self.directory):
            if name.endswith(DRAFT):
                self.remove(name[: -len(DRAFT)])
        files.sweep(self.directory)

    # --- one layer --------------------------------------------------------------------

    def _record(self, name: str) -> dict[str, t.Any]:
        with open(self.path(name) + _RECORD, encoding="utf-8") as file:
            return t.cast("dict[str, t.Any]", json.load(file))

    def _make(self, digest: str, fill: t.Callable[[int], dict[str, t.Any]]) -> None:
        name = name_of(digest)
        path = self.path(name)
        try:
            with locked_folder(path) as draft:
                if draft is None:
                    return
                try:
                    _empty(draft)
                    os.fchmod(draft, 0o755)
                    record = fill(draft)
                    call("syncfs", draft)
                    files.write_whole(path + _RECORD, json.dumps({"diff_id": digest, **record}))
                    os.rename(path + DRAFT, path)
                except BaseException:
                    self.remove(name)
                    raise
            files.sync_directory(self.directory)
        except OSError as error:
            raise KernelError(f"unpack {digest} in {self.directory}", error) from None

    # --- directories that a layer does not describe ---------------------------------------

    def _describe(self, draft: int, *, names: t.Sequence[str], implied: t.Sequence[str]) -> dict[str, t.Any]:
        """Make a layer of directories as the layers below the highest of some describe them."""
        from . import merged

        with contextlib.ExitStack() as stack:
            layers = []
            for name in reversed(names):
                layers.append(os.open(self.path(name), _FOLDER))
                stack.callback(os.close, layers[-1])
            merged.copy_folders(draft, layers, implied)
        return {"entries": len(implied), "size": 0, "implied": [], "opaque": False}


def _check(found: Unpacked, digest: str) -> None:
    if found.digest != digest:
        raise ImageError(digest, f"the layer is another one than its image says: {found.digest}")


def _empty(folder: int) -> None:
    for name in os.listdir(folder):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            files.remove_tree(name, folder)
        else:
            os.unlink(name, dir_fd=folder)
