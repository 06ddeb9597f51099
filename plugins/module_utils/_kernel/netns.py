# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named network namespaces, kept as ip-netns(8) keeps them, so that ``ip netns`` sees ours and we see its."""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t

from .._model.quantities import is_digits
from . import mount, process
from .census import Census
from .namespace import NSFS_MAGIC, Identity, filesystem_type, identity, inside_new, open_namespace

DIRECTORY: t.Final = "/run/netns"


def reference_path(reference: str) -> str:
    """The file of a network namespace.

    :param reference: empty for the caller's own, digits for the one of a process, a path, or a name.
    """
    if not reference:
        return "/proc/thread-self/ns/net"
    if is_digits(reference):
        return f"/proc/{reference}/ns/net"
    return reference if "/" in reference else os.path.join(DIRECTORY, reference)


def open_reference(reference: str) -> int:
    """Open the network namespace that an option names.

    :returns: file descriptor; the caller closes it.
    :raises OSError: there is none; ``EINVAL``: the name is there, but its mount is lost.
    """
    return open_namespace(reference_path(reference))


def names() -> list[str]:
    """All names in use, sorted, those with a lost mount, too."""
    try:
        return sorted(os.listdir(DIRECTORY))
    except FileNotFoundError:
        return []


def named(name: str) -> Identity | None:
    """Identity of the namespace of a name, ``None`` if there is none or its mount is lost."""
    path = os.path.join(DIRECTORY, name)
    try:
        return identity(path) if filesystem_type(path) == NSFS_MAGIC else None
    except OSError:
        return None


def create(name: str, prepare: t.Callable[[], None]) -> None:
    """Make a new namespace and give it a name.

    :param prepare: called inside the new namespace before it gets its name, so that it is never seen half-made.
    :raises OSError: the kernel refused, or the name is in use (``EEXIST``).
    """
    with inside_new():
        prepare()
        attach(name, "/proc/thread-self/ns/net")


def attach(name: str, source: str) -> None:
    """Give an existing namespace a name.

    :param source: path of a namespace file.
    :raises OSError: the kernel refused, or the name is in use (``EEXIST``).
    """
    with _mountable_directory():
        path = os.path.join(DIRECTORY, name)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
        try:
            mount.mount(source, path, mount.MS_BIND)
        except OSError:
            os.unlink(path)
            raise


def remove(name: str) -> None:
    """Take a name away. The namespace lives on as long as a process, a descriptor or another mount holds it.

    :raises OSError: ``EBUSY``: another mount namespace still holds the name.
    """
    path = os.path.join(DIRECTORY, name)
    with contextlib.suppress(OSError):  # not mounted any more: only the file is left
        mount.detach(path)
    os.unlink(path)


def holders(wanted: Identity, census: Census) -> list[process.Process]:
    """The processes that run in a network namespace or keep it by a thread or an open file, without the caller.

    :param census: with holders.
    """
    found = census.namespaces.get(f"net:[{wanted.inode}]")
    if found is None:
        return []
    pids = {*found.pids, *(holder.pid for holder in found.holders)} - {os.getpid()}
    return list(process.processes(sorted(pids)))


@contextlib.contextmanager
def _mountable_directory() -> t.Iterator[None]:
    """Make the directory a shared mount point of its own peer group, once, under the lock that ip-netns(8) takes.

    Without the lock, two that do this at once mount the directory on itself again and again (Debian bug 949235).
    Shared, so that a name removed in one mount namespace is gone in all. Private before that, so that it joins no
    other peer group.
    """
    os.makedirs(DIRECTORY, mode=0o755, exist_ok=True)
    lock = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            mount.mount("", DIRECTORY, mount.MS_SHARED | mount.MS_REC)
        except OSError:  # EINVAL: it is not a mount point yet
            mount.mount(DIRECTORY, DIRECTORY, mount.MS_BIND | mount.MS_REC)
            mount.mount("", DIRECTORY, mount.MS_PRIVATE | mount.MS_REC)
            mount.mount("", DIRECTORY, mount.MS_SHARED | mount.MS_REC)
        yield
    finally:
        os.close(lock)
