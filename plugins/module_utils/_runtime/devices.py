# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that every container has (runtime-spec, config-linux, "Default Devices") and the links beside them."""

from __future__ import annotations

import contextlib
import os
import stat
import typing as t

from .._kernel import mount_api, path

#: Name in /dev to (major, minor). All are character devices that everybody may read and write.
NODES: t.Final = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_LINKS: t.Final = {
    "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}  # fmt: skip


def open_host_nodes(opened: dict[str, int]) -> None:
    """Detached mounts of the host's devices, for a container that may not make any (in a user namespace).

    :param opened: gets the descriptors by the names of the devices; the caller closes them.
    :raises OSError: the host's own ``/dev`` is not as it should be.
    """
    for name, (major, minor) in NODES.items():
        opened[name] = mount_api.clone_tree(f"/dev/{name}", recursive=False)
        _verify(opened[name], major, minor)


def populate(root: int, from_host: t.Mapping[str, int]) -> int:
    """Fill ``/dev`` of a container's root; runs inside.

    The nodes are made new where that is allowed, since owner and mode of the host's own could be changed from inside.

    :param from_host: the host's devices by name, if they are to be used.
    :returns: descriptor of ``/dev/null``, which is known to be one.
    :raises OSError: the kernel refused, or ``/dev`` is a link.
    """
    folder = path.open_in(root, "/dev", os.O_PATH | os.O_DIRECTORY, follow=False)
    for name, (major, minor) in NODES.items():
        if name in from_host:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder))
            mount_api.attach(from_host[name], path.open_in(folder, name, os.O_PATH, follow=False))
        else:
            with contextlib.suppress(FileExistsError):
                os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=folder)
            os.chmod(name, 0o666, dir_fd=folder)  # the umask took some of it
    for name, target in _LINKS.items():
        with contextlib.suppress(FileExistsError):
            os.symlink(target, name, dir_fd=folder)
    null = path.open_in(folder, "null", os.O_PATH, follow=False)
    _verify(null, *NODES["null"])
    os.close(folder)
    return null


def _verify(descriptor: int, major: int, minor: int) -> None:
    info = os.fstat(descriptor)
    if not stat.S_ISCHR(info.st_mode) or info.st_rdev != os.makedev(major, minor):
        raise OSError(22, f"expected the character device {major}:{minor}")
