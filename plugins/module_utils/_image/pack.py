# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree, or the upper directory of an overlay, as a tar archive: the same one every time.

It is written in the format of pax(1) of POSIX.1-2017: numbers of owners without their names, time of change to the
nanosecond and no other, extended attributes as star has them, entries in the order of their names.
"""

from __future__ import annotations

import hashlib
import os
import stat
import typing as t

from .._model.errors import KernelError
from . import headers
from .entries import HARD_LINK, Entry, Limits
from .errors import ImageError
from .headers import BLOCK
from .walk import Describer, Node, Owner, content, walk
from .whiteouts import OPAQUE, OVERLAY_OPAQUE, OVERLAY_WHITEOUT, PREFIX

_LETTERS: t.Final = {
    HARD_LINK: b"1", stat.S_IFREG: b"0", stat.S_IFLNK: b"2", stat.S_IFCHR: b"3", stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5", stat.S_IFIFO: b"6",
}  # fmt: skip
_END: t.Final = b"\0" * (2 * BLOCK)
#: How long a name may be in a header, bytes; and how large a size, an owner, a time.
_NAME: t.Final = 100
_SIZE, _OWNER, _TIME = (1 << 33) - 1, (1 << 21) - 1, (1 << 33) - 1
#: What a file of an upper layer has that is in part, or under another name, in a layer below.
_ELSEWHERE: t.Final = ("trusted.overlay.redirect", "trusted.overlay.metacopy")
LIMITS: t.Final = Limits()


class Packed(t.NamedTuple):
    """An archive that was written."""

    digest: str  #: of the archive, ``sha256:...``
    entries: int
    size: int  #: bytes


def pack(
    tree: int,
    out: t.BinaryIO,
    *,
    layer: bool,
    owner: Owner | None = None,
    only: t.Collection[str] | None = None,
    closed: t.Collection[str] = (),
    limits: Limits = LIMITS,
) -> Packed:
    """Write a tree as a tar archive, uncompressed.

    Sockets are left away, holes are written as zeros.

    :param tree: descriptor of a directory, which nobody changes meanwhile.
    :param layer: it is the upper directory of an overlay; what hides something below it becomes whiteouts (image-spec).
    :param owner: user and group that the archive is to have, of those in the tree.
    :param only: paths of the files to write, ``.`` for the top, without what is in directories; else all are.
        All names of a file are written if its first one is.
    :param closed: paths of directories that are written without what is in them.
    :raises ImageError: something in the tree cannot be said in an archive, or is too much.
    :raises KernelError: the file system refused something, or the tree changed.
    """
    packer = _Packer(out, layer, owner, only, limits)
    try:
        for node in walk(tree, closed):
            packer.add(node)
    except OSError as error:
        raise KernelError("read the tree", error) from None
    packer.write(_END)
    return Packed(f"sha256:{packer.hash.hexdigest()}", packer.entries, packer.size)


class _Packer:
    """An archive that is being written."""

    def __init__(
        self, out: t.BinaryIO, layer: bool, owner: Owner | None, only: t.Collection[str] | None, limits: Limits
    ) -> None:
        self._out = out
        self._layer = layer
        self._only = only
        self._limits = limits
        self._describer = Describer(owner)
        self.hash = hashlib.sha256()
        self.entries = 0
        self.size = 0

    def add(self, node: Node) -> None:
        """Write a file of the tree."""
        opaque = self._layer and self._is_opaque(node)
        if self._layer and node.kind == stat.S_IFCHR and node.info.st_rdev == OVERLAY_WHITEOUT:
            self._whiteout(node.path, PREFIX + node.name)
        elif node.kind != stat.S_IFSOCK:
            self._file(node, self._describer.entry(node))
        if opaque:
            self._whiteout(f"{node.path}/", OPAQUE)

    def write(self, data: bytes) -> None:
        """Write some of the archive."""
        self.size += len(data)
        if self.size > self._limits.size:
            raise ImageError("", f"the archive is larger than {self._limits.size} bytes")
        self.hash.update(data)
        self._out.write(data)

    def _is_opaque(self, node: Node) -> bool:
        """Whether a directory of an upper layer hides what is below it.

        :raises ImageError: the file does not stand for itself.
        """
        if node.name.startswith(PREFIX):
            raise ImageError(node.path, f"a layer cannot have a file whose name begins with {PREFIX!r}")
        keys = os.listxattr(node.place, follow_symlinks=False)
        if any(key in keys for key in _ELSEWHERE):
            raise ImageError(node.path, "it is in part in a layer below; mount with redirect_dir=off,metacopy=off")
        key, value = OVERLAY_OPAQUE
        return key in keys and os.getxattr(node.place, key, follow_symlinks=False) == value

    def _file(self, node: Node, entry: Entry) -> None:
        """Write an entry with its data, if it is wanted."""
        if (
            self._only is not None
            and (node.path or ".") not in self._only
            and (entry.kind != HARD_LINK or entry.link not in self._only)
        ):
            return
        self._head(entry)
        for piece in content(node, entry.size) if entry.size else ():
            self.write(piece)
        self.write(b"\0" * (-entry.size % BLOCK))

    def _whiteout(self, path: str, name: str) -> None:
        """Write a whiteout, which has nothing but its name, into the directory of a path."""
        above = path.rpartition("/")[0]
        self._head(Entry(f"{above}/{name}" if above else name, stat.S_IFREG, 0o644, 0, 0, 0, 0, "", 0, {}))

    def _head(self, entry: Entry) -> None:
        """Write what comes before the data of an entry."""
        self.entries += 1
        self.write(_head(entry))


def _head(entry: Entry) -> bytes:
    """The headers of an entry: of ustar, and before it one of PAX with what that cannot hold."""
    name, link = os.fsencode(entry.name), os.fsencode(entry.link)
    seconds, fraction = divmod(entry.mtime, 10**9)
    said = {
        b"path": name if _is_long(name) else b"",
        b"linkpath": link if _is_long(link) else b"",
        b"size": b"%d" % entry.size if entry.size > _SIZE else b"",
        b"uid": b"%d" % entry.uid if entry.uid > _OWNER else b"",
        b"gid": b"%d" % entry.gid if entry.gid > _OWNER else b"",
        b"mtime": _time(entry.mtime) if fraction or not 0 <= seconds <= _TIME else b"",
        b"hdrcharset": b"" if _is_text(name + link) else b"BINARY",
    }
    attributes = {headers.XATTR + os.fsencode(key): value for key, value in entry.xattrs.items()}
    said = {**{key: value for key, value in said.items() if value}, **attributes}
    return headers.extended(said) + headers.block(
        _LETTERS[entry.kind],
        name=name[:_NAME],
        mode=entry.mode,
        uid=entry.uid if entry.uid <= _OWNER else 0,
        gid=entry.gid if entry.gid <= _OWNER else 0,
        size=entry.size if entry.size <= _SIZE else 0,
        mtime=seconds if 0 <= seconds <= _TIME else 0,
        link=link[:_NAME],
        major=os.major(entry.device),
        minor=os.minor(entry.device),
    )


def _is_long(name: bytes) -> bool:
    """Whether a name does not fit into a header, or is not plainly the same for whoever reads it there."""
    return len(name) > _NAME or not name.isascii()


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _time(nanoseconds: int) -> bytes:
    """A time as PAX writes it: decimal seconds."""
    seconds, fraction = divmod(abs(nanoseconds), 10**9)
    return b"%s%d.%09d" % (b"-" if nanoseconds < 0 else b"", seconds, fraction)
