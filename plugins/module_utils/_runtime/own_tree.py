# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root that is a container's own: a copy of what its image is, for hosts on which overlayfs cannot be used.

If its files are to be shown with other owners in a user namespace (``idmap``), that is done by an idmapped mount. Where
the kernel has none of that file system, they are given to those owners instead, since nobody else has them: with set-id
bits, with file capabilities that hold in that namespace alone, and with access control lists for its users.
"""

from __future__ import annotations

import functools
import os
import stat
import struct
import typing as t

from .._image.xattrs import CAPABILITY, carried_of
from .._kernel import files, mount_api, namespace, overlay
from .._kernel.syscall import call
from .._model.errors import KernelError
from . import usernamespace
from .copy_up import copy_up, finish
from .spec import Spec, annotation, own_tree, shared_layers

if t.TYPE_CHECKING:
    from .bundle import Bundle
    from .usernamespace import Mappings

_FOLDER: t.Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DRAFT: t.Final = ".part"
#: Of ``security.capability`` (linux/capability.h): without and with the root of the user namespace that it is for.
_REVISION, _REVISION_2, _REVISION_3 = 0xFF000000, 0x02000000, 0x03000000
_SIZE_2: t.Final = 20
#: Of an access control list (linux/posix_acl_xattr.h): its version, entries, and the tags of those with an id.
_ACL: t.Final = "system.posix_acl_"
_NUMBER, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_USER, _GROUP = 0x02, 0x08


def make(bundle: Bundle, spec: Spec) -> bool:
    """Have the tree that a description says is a container's own; one that is there stays as it is.

    :returns: whether its files belong to the users outside that those of the container are.
    :raises KernelError: the file system refused; nothing of the tree is left then.
    """
    path = os.path.join(bundle.directory, own_tree(spec))
    if os.path.isdir(path):
        return bool(annotation(spec, "owned"))
    try:
        os.makedirs(bundle.directory, mode=0o700, exist_ok=True)
        mappings = _mappings(bundle.directory, spec) if annotation(spec, "idmap") else None
        source = _open(shared_layers(spec), bundle.stage)
        try:
            _copy(source, path, mappings or ((), ()))
        finally:
            os.close(source)
    except OSError as error:
        raise KernelError(f"copy {spec['root']['path']} to {path}", error) from error
    return mappings is not None


def _open(layers: t.Sequence[str], place: str) -> int:
    """Open what an image is; it has several layers where overlayfs can be used."""
    if len(layers) == 1:
        return os.open(layers[0], _FOLDER)
    os.makedirs(place, mode=0o700, exist_ok=True)
    return overlay.merged(layers, place)


def _copy(source: int, path: str, mappings: Mappings) -> None:
    files.remove_tree(path + _DRAFT)
    os.mkdir(path + _DRAFT, 0o700)
    there = os.open(path + _DRAFT, _FOLDER)
    try:
        copy_up(source, there, functools.partial(_adopt, mappings))
        call("syncfs", there)
        os.rename(path + _DRAFT, path)
    except BaseException:
        files.remove_tree(path + _DRAFT)
        raise
    finally:
        os.close(there)
    files.sync_directory(os.path.dirname(path))


def _mappings(directory: str, spec: Spec) -> Mappings | None:
    """Whom files are to be given to; ``None`` if they can be shown with other owners, as is tried out here."""
    linux = spec["linux"]
    joined = next((each.get("path") for each in linux["namespaces"] if each["type"] == "user"), None)
    own = linux.get("uidMappings") or (), linux.get("gidMappings") or ()
    users = namespace.open_namespace(joined) if joined else usernamespace.make(*own)
    tree = mount_api.clone_tree(directory, recursive=False)
    try:
        mount_api.map_ids(tree, users, recursive=False)
    except OSError as error:
        if error.errno not in mount_api.NO_IDMAP:
            raise
        return usernamespace.mappings_of(users) if joined else own
    finally:
        os.close(tree)
        os.close(users)
    return None


# --- one file ------------------------------------------------------------------------


def _adopt(mappings: Mappings, info: os.stat_result, found: int, name: str, folder: int) -> None:
    """Give a copy all that the original is beside its content."""
    if stat.S_ISCHR(info.st_mode) and not info.st_rdev:  # a layer that is the lowest one hides nothing by that
        os.unlink(name, dir_fd=folder)
        return
    uids, gids = mappings
    attributes = carried_of(f"/proc/self/fd/{found}", follow=True)  # the descriptor may be one for the path alone
    if uids:
        attributes = {key: mapped(key, value, mappings) for key, value in attributes.items()}
    finish(info, name, folder, (_outside(uids, info.st_uid), _outside(gids, info.st_gid)), attributes)


def _outside(ranges: usernamespace.Ranges, number: int) -> int:
    """Who an owner is on the host; one that the container does not have stays nobody there."""
    try:
        return usernamespace.on_host(ranges, number)
    except KeyError:
        return number


def mapped(key: str, value: bytes, mappings: Mappings) -> bytes:
    """An extended attribute with owners as the host has them.

    :param value: as a file has it whose owners are those that the container sees.
    """
    if key == CAPABILITY:
        return _mapped_capability(value, mappings[0])
    return _mapped_list(value, mappings) if key.startswith(_ACL) else value


def _mapped_capability(value: bytes, uids: usernamespace.Ranges) -> bytes:
    """File capabilities for the user namespace whose root is the one of the container (capabilities(7))."""
    (magic,) = _NUMBER.unpack_from(value)
    root = {_REVISION_2: 0, _REVISION_3: int.from_bytes(value[_SIZE_2:], "little")}.get(magic & _REVISION)
    if root is None:
        return value
    words = _NUMBER.pack(magic & ~_REVISION | _REVISION_3) + value[_NUMBER.size : _SIZE_2]
    return words + _NUMBER.pack(_outside(uids, root))


def _mapped_list(value: bytes, mappings: Mappings) -> bytes:
    """An access control list: of its entries, those for one user or one group have an id."""
    entries = []
    for tag, rights, number in _ENTRY.iter_unpack(value[_NUMBER.size :]):
        kind = {_USER: 0, _GROUP: 1}.get(tag)
        entries.append(_ENTRY.pack(tag, rights, number if kind is None else _outside(mappings[kind], number)))
    return value[: _NUMBER.size] + b"".join(entries)
