# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers, each unpacked once and alone, as a lower directory of overlayfs; or all of an image as one tree.

A layer is known by the digest of its plain archive, so that it is the same however it was compressed. Its directory has
a short name: mount(2) takes at most 4095 bytes of options, into which 128 lower directories have to fit when they are
named from where they are. The record beside it has the whole digest.

A layer need not describe the directories that its files are in, which are then those of the layers below: with their
owners and modes, or even elsewhere, where a link leads (``bin/x`` over ``bin -> usr/bin``). Unpacked alone it would
stand over them with directories of its own. Nor need it have the file that it has another name for. Such a layer is
unpacked over the ones below, as the upper directory of an overlay, and is another one over other layers.

Where overlayfs cannot be used, an image is one directory, which its layers are unpacked into one after the other.
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
from . import manifest
from .draft import DRAFT, locked_folder
from .errors import ImageError, LacksBelow

if t.TYPE_CHECKING:
    from .unpack import Unpacked, Whiteouts

#: How names of records end.
_RECORD: t.Final = ".json"
#: What is known of a layer that cannot be unpacked alone.
_NOTHING: t.Final = {"entries": 0, "size": 0, "implied": False, "opaque": False, "lacks": ""}
#: A file of an upper directory is all there, under its own name, and not in part in a layer below.
_WHOLE: t.Final = (("redirect_dir", "off"), ("metacopy", "off"), ("index", "off"))


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

    def objection(self) -> str:
        """Why overlayfs cannot be used here; empty if it can. A file system that refuses all else says so later.

        :raises KernelError: it cannot be tried out.
        """
        import tempfile

        from .._kernel import overlay

        try:
            spare = tempfile.mkdtemp(DRAFT, "overlay", self.directory)  # swept with drafts
            try:
                return overlay.objection(spare)
            finally:
                files.remove_tree(spare)
        except OSError as error:
            raise KernelError(f"try out overlayfs in {self.directory}", error) from None

    def unpack(self, blob: t.BinaryIO, digest: str) -> None:
        """Have a layer: unpack it, or wait for whoever does so already.

        :param blob: the layer as it was transported, compressed or not.
        :param digest: of the plain archive.
        :raises ImageError: it is damaged, hostile, or another one.
        :raises KernelError: the file system refused; nothing of the layer is left then.
        """

        from .unpack import Whiteouts

        def fill(draft: int) -> dict[str, t.Any]:
            try:
                return _unpacked(blob, digest, draft, Whiteouts.OVERLAY)
            except LacksBelow as error:
                _empty(draft)
                return {**_NOTHING, "lacks": str(error)}

        self._make(digest, fill)

    def stack(self, digests: t.Sequence[str], opened: t.Callable[[str], t.BinaryIO]) -> list[str]:
        """Names of the lower directories that are an image, from the lowest to the highest.

        :param digests: of its layers, all of which are there.
        :param opened: opens a layer as it was transported.
        :raises ImageError: a layer leans on what is not below it.
        :raises KernelError: the file system refused.
        """
        names: list[str] = []
        chain = ""
        for digest in digests:
            chain = manifest.digest_of(f"{chain} {digest}".encode())
            record = self._record(name_of(digest))
            if record["opaque"]:  # which overlayfs does not heed in the top of a layer
                names = []
            if record["lacks"] and not names:
                raise ImageError(digest, f"the lowest layer: {record['lacks']}")
            if names and (record["implied"] or record["lacks"]):
                below = [self.path(name) for name in reversed(names)]
                self._make(chain, functools.partial(self._fill_over, below, chain, digest, opened))
                names.append(name_of(chain))
            else:
                names.append(name_of(digest))
        return names

    def tree(self, digests: t.Sequence[str], opened: t.Callable[[str], t.BinaryIO]) -> str:
        """Name of the one directory that is an image where overlayfs cannot be used.

        :param digests: of its layers, from the lowest to the highest.
        :param opened: opens a layer as it was transported.
        :raises ImageError: a layer is damaged, hostile, or another one.
        :raises KernelError: the file system refused; nothing of the tree is left then.
        """
        whole = manifest.digest_of(f"tree {' '.join(digests)}".encode())
        self._make(whole, functools.partial(fill_whole, digests, opened))
        return name_of(whole)

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

    # --- a layer over others ------------------------------------------------------------

    def _fill_over(
        self, below: t.Sequence[str], chain: str, digest: str, opened: t.Callable[[str], t.BinaryIO], draft: int
    ) -> dict[str, t.Any]:
        """Unpack a layer into what overlayfs shows of the layers below it, and so into its own directory.

        :param below: directories, the highest first.
        """
        from .unpack import Whiteouts

        _copy_top(below[0], draft)
        merged = self._merged(below, self.path(name_of(chain)))
        with merged as root, opened(digest) as blob:
            return _unpacked(blob, digest, root, Whiteouts.APPLY)

    @contextlib.contextmanager
    def _merged(self, below: t.Sequence[str], path: str) -> t.Iterator[int]:
        """What overlayfs shows of layers, with the draft of a path as the upper directory."""
        from .._kernel import overlay

        spare = f"{path}.spare{DRAFT}"  # on the same file system, and swept with drafts
        files.remove_tree(spare)
        try:
            work, place = os.path.join(spare, "work"), os.path.join(spare, "place")
            for folder in (spare, work, place):
                os.mkdir(folder, 0o700)
            upper = [("upperdir", path + DRAFT), ("workdir", work)]
            root = overlay.merged(below, place, [*upper, *_WHOLE])
            try:
                yield root
            finally:
                os.close(root)
        finally:
            files.remove_tree(spare)


def fill_whole(digests: t.Sequence[str], opened: t.Callable[[str], t.BinaryIO], draft: int) -> dict[str, t.Any]:
    """Unpack layers over each other, and say what is known of the tree then.

    :param digests: of their plain archives, from the lowest to the highest.
    :param opened: opens a layer as it was transported.
    :param draft: descriptor of an empty directory that nobody else writes to.
    :raises ImageError: a layer is damaged, hostile, or another one.
    :raises KernelError: the file system refused.
    """
    from .unpack import Whiteouts

    total = dict(_NOTHING)
    for digest in digests:
        with opened(digest) as blob:
            known = _unpacked(blob, digest, draft, Whiteouts.APPLY)
        total.update({count: total[count] + known[count] for count in ("entries", "size")})
    return total


def _unpacked(blob: t.BinaryIO, digest: str, root: int, whiteouts: Whiteouts) -> dict[str, t.Any]:
    """Unpack a layer as it was transported, and say what is known of it then."""
    from . import compression
    from .unpack import unpack

    with compression.opened(blob) as stream:
        return _record_of(unpack(stream, root, whiteouts), digest)


def _copy_top(model: str, folder: int) -> None:
    """Give the top of a layer owner, mode and times of the one below, which an entry may change."""
    status = os.stat(model)
    os.chown(folder, status.st_uid, status.st_gid)
    os.chmod(folder, stat.S_IMODE(status.st_mode))
    os.utime(folder, ns=(status.st_mtime_ns, status.st_mtime_ns))


def _record_of(found: Unpacked, digest: str) -> dict[str, t.Any]:
    if found.digest != digest:
        raise ImageError(digest, f"the layer is another one than its image says: {found.digest}")
    known = {"entries": found.entries, "size": found.size, "implied": bool(found.implied), "opaque": found.opaque}
    return {**_NOTHING, **known}


def _empty(folder: int) -> None:
    for name in os.listdir(folder):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            files.remove_tree(name, folder)
        else:
            os.unlink(name, dir_fd=folder)
