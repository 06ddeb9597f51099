# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer or a plain tar archive into a directory, whatever the archive says: nothing is reached outside of it.

No path of an archive is ever joined to another and trusted. The directory of an entry is a descriptor
(:mod:`folders`), and its last part is made in there by ``mkdirat``, ``symlinkat``, ``linkat``, ``mknodat``, or opened
with ``O_EXCL|O_NOFOLLOW``. What is there already is replaced, never written through.

Layers are those of the image-spec (layer.md).
"""

from __future__ import annotations

import enum
import os
import stat
import typing as t

from .._kernel import files
from .._kernel.path import open_in
from .._model.errors import KernelError
from . import xattrs
from .entries import CHUNK, HARD_LINK, Archive, Entry, Limits
from .errors import ImageError, LacksBelow, shown
from .folders import Folder, Folders
from .whiteouts import OVERLAY_WHITEOUT, Applied, Kept, Plain

_ZEROS: t.Final = b"\0" * CHUNK
_DIRECTORY: t.Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: t.Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SET_ID: t.Final = stat.S_ISUID | stat.S_ISGID


class Whiteouts(enum.Enum):
    """What the names mean that begin with ``.wh.``."""

    APPLY = "apply"  #: they remove what earlier layers left in the same tree
    OVERLAY = "overlay"  #: they become those of overlayfs; the layer is unpacked alone
    NONE = "none"  #: nothing: it is no layer


_WHITEOUTS: t.Final = {Whiteouts.APPLY: Applied, Whiteouts.OVERLAY: Kept, Whiteouts.NONE: Plain}


class Policy(t.NamedTuple):
    """What entries are to become."""

    devices: bool = True  #: device nodes are made; else they are refused
    privileges: bool = True  #: set-user-id, set-group-id and file capabilities are kept; else they are left away
    owner: t.Callable[[int, int], tuple[int, int]] | None = None  #: user and group of a file, of those in the archive


LIMITS: t.Final = Limits()
POLICY: t.Final = Policy()


class Unpacked(t.NamedTuple):
    """An archive that was unpacked."""

    digest: str  #: of the uncompressed stream, ``sha256:...``
    entries: int
    size: int  #: of the uncompressed stream, bytes
    #: Directories that had to be made and that no entry describes: root's, 0755, of 1970. In a layer that was unpacked
    #: alone they stand over whatever the layers below have there, be it a link.
    implied: tuple[str, ...]
    #: The root of the layer is opaque: overlayfs does not heed that, so what is below must not be given to it.
    opaque: bool


def unpack(
    stream: t.BinaryIO, root: int, whiteouts: Whiteouts, limits: Limits = LIMITS, policy: Policy = POLICY
) -> Unpacked:
    """Unpack a tar archive.

    What there is in the directory stays but for what entries and whiteouts replace. When it fails, the directory is
    left as it is then: unpack into one that can be thrown away.

    :param stream: the archive, uncompressed (:func:`compression.opened`); it is read to its end.
    :param root: descriptor of a directory that nobody else writes to, on one file system.
    :raises LacksBelow: it has a hard link to a file that is not there; a layer may mean one of those below it.
    :raises ImageError: the archive is damaged, asks for too much, or has an entry that is refused.
    :raises KernelError: the file system refused something.
    """
    archive = Archive(stream, limits)
    tree = _Tree(root, archive, whiteouts, limits, policy)
    try:
        for entry in archive:
            tree.take(entry)
        implied = tree.finish()
    finally:
        tree.folders.forget()
    return Unpacked(archive.digest, archive.entries, archive.size, implied, tree.opaque)


class _Tree:
    """A tree that an archive is unpacked into."""

    def __init__(self, root: int, archive: Archive, whiteouts: Whiteouts, limits: Limits, policy: Policy) -> None:
        self.folders = Folders(root, policy.owner(0, 0) if policy.owner else (0, 0))
        self._archive = archive
        self._limits = limits
        self._policy = policy
        self._layer = whiteouts is not Whiteouts.NONE
        self._whiteouts = _WHITEOUTS[whiteouts](self.folders)

    def take(self, entry: Entry) -> None:
        """Unpack an entry.

        :raises ImageError: it is refused.
        :raises KernelError: the file system refused something.
        """
        path = self._path(entry.name, entry.name)
        above, _slash, name = path.rpartition("/")
        try:
            if self._whiteouts.take(path):
                return
            if path:
                self._make(entry, path, above, name)
            else:
                self._adopt_top(entry)
        except OSError as error:
            raise KernelError(f"unpack {shown(entry.name)}", error) from None

    def finish(self) -> tuple[str, ...]:
        """Do what can only be done when all entries are there.

        :returns: paths of directories that no entry described.
        """
        try:
            self._whiteouts.finish()
            return self.folders.finish()
        except OSError as error:
            raise KernelError("unpack", error) from None

    @property
    def opaque(self) -> bool:
        """Whether the layer hides all that is below it."""
        return self._whiteouts.opaque

    def _path(self, name: str, entry: str) -> str:
        """A path of the archive from the top of the tree, without anything that is not a name.

        Absolute ones begin at the top, too, as in all programs. ``..`` has no honest use.
        """
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise ImageError(entry, "expected a path within the archive, without '..'")
        if len(parts) > self._limits.depth:
            raise ImageError(entry, f"it is more than {self._limits.depth} directories deep")
        return "/".join(parts)

    def _make(self, entry: Entry, path: str, above: str, name: str) -> None:
        folder = self.folders.open(above)
        maker = _MAKERS.get(entry.kind, _Tree._make_node)
        try:
            maker(self, entry, path, folder, name)
        except FileExistsError:
            self._free(folder, name)
            folder = self.folders.open(above)
            maker(self, entry, path, folder, name)
        self._whiteouts.made(folder, name)

    def _free(self, folder: Folder, name: str) -> None:
        """Remove what is in the place of an entry.

        It is never written through: a link to a directory is replaced, too, even by a directory, as in umoci,
        containerd and GNU tar. Following it would put files where no entry says that they are.
        """
        kind = stat.S_IFMT(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode)
        if kind == stat.S_IFDIR:
            files.remove_tree(name, folder.fd)
        else:
            os.unlink(name, dir_fd=folder.fd)
        if kind in (stat.S_IFDIR, stat.S_IFLNK):
            self.folders.forget()

    # --- kinds of entries -------------------------------------------------------------

    def _make_directory(self, entry: Entry, path: str, folder: Folder, name: str) -> None:
        """Make a directory, or give one that is there another owner, mode, and so on."""
        try:
            os.mkdir(name, 0o700, dir_fd=folder.fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=folder.fd, follow_symlinks=False).st_mode):
                raise
        self._adopt_directory(entry, path, os.open(name, _DIRECTORY, dir_fd=folder.fd))

    def _adopt_top(self, entry: Entry) -> None:
        """The top of the tree is there always, and never replaced (CVE-2021-29136)."""
        if entry.kind != stat.S_IFDIR:
            raise ImageError(entry.name, "it is the root of the tree, and expected to be a directory")
        self._adopt_directory(entry, "", open_in(self.folders.root, "", _DIRECTORY))

    def _adopt_directory(self, entry: Entry, path: str, fd: int) -> None:
        """Give a directory what its entry says; the descriptor is closed."""
        try:
            for key in os.listxattr(fd):
                if self._keeps(key) and key not in entry.xattrs:
                    os.removexattr(fd, key)
            self._adopt(entry, fd)
            # Its times come last: whatever is made in it changes them.
            self.folders.described(path, os.fstat(fd).st_ino, (entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _make_file(self, entry: Entry, _path: str, folder: Folder, name: str) -> None:
        fd = os.open(name, _NEW, 0o600, dir_fd=folder.fd)
        try:
            end = 0
            for offset, piece in self._archive.pieces():
                if piece != _ZEROS:  # so much of nothing becomes a hole
                    end = _write(fd, piece, offset)
            if end != entry.size:
                os.ftruncate(fd, entry.size)
            self._adopt(entry, fd)
            os.utime(fd, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _make_hard_link(self, entry: Entry, _path: str, folder: Folder, name: str) -> None:
        """Give a file another name; it is found without leaving the tree, and a link is not followed."""
        above, _slash, last = self._path(entry.link, entry.name).rpartition("/")
        source = self.folders.find(above)
        try:
            if source is None or stat.S_ISDIR(os.stat(last, dir_fd=source.fd, follow_symlinks=False).st_mode):
                raise FileNotFoundError
            os.link(last, name, src_dir_fd=source.fd, dst_dir_fd=folder.fd, follow_symlinks=False)
        except FileNotFoundError:
            raise LacksBelow(entry.name, f"it is a hard link to {shown(entry.link)}, which is no file") from None
        finally:
            if source is not None:
                os.close(source.fd)

    def _make_symlink(self, entry: Entry, _path: str, folder: Folder, name: str) -> None:
        """Make a symbolic link, wherever it leads: whoever follows it does so from within the tree."""
        os.symlink(entry.link, name, dir_fd=folder.fd)
        os.chown(name, *self._owner(entry), dir_fd=folder.fd, follow_symlinks=False)
        if entry.xattrs:
            self._set_xattrs(entry, f"/proc/self/fd/{folder.fd}/{name}", follow=False)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=folder.fd, follow_symlinks=False)

    def _make_node(self, entry: Entry, _path: str, folder: Folder, name: str) -> None:
        """Make a device or a fifo, and never open it."""
        if entry.kind != stat.S_IFIFO:
            self._check_device(entry)
        os.mknod(name, entry.kind | 0o600, entry.device, dir_fd=folder.fd)
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder.fd)
        try:
            node = f"/proc/self/fd/{fd}"
            self._adopt(entry, node)
            os.utime(node, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def _check_device(self, entry: Entry) -> None:
        if not self._policy.devices:
            raise ImageError(entry.name, "it is a device node, and none are wanted here")
        if self._layer and entry.device == OVERLAY_WHITEOUT:
            raise ImageError(entry.name, "it is the device 0:0, which is how overlayfs hides a file")

    # --- owner, mode, extended attributes ----------------------------------------------

    def _adopt(self, entry: Entry, file: int | str) -> None:
        """Give a file its owner, extended attributes and mode.

        In this order: a change of the owner takes set-user-id and file capabilities away (chown(2)), and the mode is
        part of an access control list.

        :param file: descriptor, or a path that leads to nothing else.
        """
        os.chown(file, *self._owner(entry))
        if entry.xattrs:
            self._set_xattrs(entry, file)
        os.chmod(file, entry.mode if self._policy.privileges else entry.mode & ~_SET_ID)

    def _owner(self, entry: Entry) -> tuple[int, int]:
        return self._policy.owner(entry.uid, entry.gid) if self._policy.owner else (entry.uid, entry.gid)

    def _set_xattrs(self, entry: Entry, file: int | str, follow: bool = True) -> None:
        for key, value in entry.xattrs.items():
            if self._keeps(key):
                os.setxattr(file, key, value, follow_symlinks=follow)

    def _keeps(self, key: str) -> bool:
        return xattrs.carried(key) and (key != xattrs.CAPABILITY or self._policy.privileges)


_MAKERS: t.Final[t.Mapping[int, t.Callable[[_Tree, Entry, str, Folder, str], None]]] = {
    stat.S_IFDIR: _Tree._make_directory,
    stat.S_IFREG: _Tree._make_file,
    stat.S_IFLNK: _Tree._make_symlink,
    HARD_LINK: _Tree._make_hard_link,
}


def _write(fd: int, data: bytes, offset: int) -> int:
    """Write all of it, and return where it ends."""
    while data:
        written = os.pwrite(fd, data, offset)
        offset += written
        data = data[written:]
    return offset
