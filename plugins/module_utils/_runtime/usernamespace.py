# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User namespaces as descriptors, made before the container that is to live in one."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import typing as t

from .._kernel import namespace
from .._kernel.syscall import call
from .._model.errors import KernelError

#: ``containerID``, ``hostID``, ``size`` each, as the runtime-spec has them.
Ranges = t.Sequence[t.Mapping[str, int]]
#: Of user and of group ids.
Mappings = tuple[Ranges, Ranges]


def make(uid_mappings: Ranges, gid_mappings: Ranges) -> int:
    """A new user namespace with its mappings (user_namespaces(7)).

    :returns: file descriptor, closed on exec.
    :raises KernelError: the kernel refused.
    """
    with _process_in(None) as pid:
        for kind, mappings in (("uid", uid_mappings), ("gid", gid_mappings)):
            _write_map(f"/proc/{pid}/{kind}_map", mappings)
        return namespace.open_namespace(f"/proc/{pid}/ns/user")


def mappings_of(descriptor: int) -> Mappings:
    """The mappings of a user namespace that others made, as the caller's own sees them.

    :param descriptor: of the namespace.
    :raises KernelError: it cannot be entered.
    """
    with _process_in(descriptor) as pid:
        return read_mappings(pid)


def read_mappings(pid: int) -> Mappings:
    """The mappings of a process's user namespace; none if it is the caller's own.

    :raises OSError: there is no such process.
    """
    if namespace.identity(f"/proc/{pid}/ns/user") == namespace.identity("/proc/self/ns/user"):
        return (), ()
    return _read_map(f"/proc/{pid}/uid_map"), _read_map(f"/proc/{pid}/gid_map")


@contextlib.contextmanager
def _process_in(user_namespace: int | None) -> t.Iterator[int]:
    """A process that does nothing but be in a user namespace, and ends afterwards.

    :param user_namespace: file descriptor; ``None``: it is in a new one.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _hold(writing, user_namespace)
    os.close(writing)
    try:
        told = os.read(reading, 4)
        if any(told) or not told:
            number = int.from_bytes(told, "little") or errno.ESRCH
            raise OSError(number, os.strerror(number))
        yield pid
    except OSError as error:
        doing = "make" if user_namespace is None else "enter"
        raise KernelError(f"{doing} a user namespace", error) from error
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _hold(writing: int, user_namespace: int | None) -> t.NoReturn:
    """Be the process that is in the namespace; tells how that went, 0 or the number of an error."""
    try:
        try:
            if user_namespace is None:
                namespace.unshare("user")
            else:
                call("setns", user_namespace, namespace.FLAGS["user"])
        except OSError as error:
            os.write(writing, (error.errno or errno.EPERM).to_bytes(4, "little"))
        else:
            os.write(writing, bytes(4))
            signal.pause()
    finally:
        os._exit(1)


def _read_map(path: str) -> Ranges:
    with open(path, encoding="ascii") as file:
        lines = [[int(word) for word in line.split()] for line in file]
    return [{"containerID": first, "hostID": outside, "size": size} for first, outside, size in lines]


def _write_map(path: str, mappings: Ranges) -> None:
    lines = [f"{each['containerID']} {each['hostID']} {each['size']}\n" for each in mappings]
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, "".join(lines).encode())  # all of it by one write(2), or the kernel refuses
    finally:
        os.close(fd)


def on_host(mappings: Ranges, number: int) -> int:
    """The id that the host sees where the container sees ``number``; without mappings the same.

    :raises KeyError: it is not mapped.
    """
    if not mappings:
        return number
    for each in mappings:
        if each["containerID"] <= number < each["containerID"] + each["size"]:
            return each["hostID"] + number - each["containerID"]
    raise KeyError(number)


def inside(mappings: Ranges, number: int) -> int:
    """The id that the container sees where the host sees ``number``; without mappings the same.

    :raises KeyError: the container sees nobody's.
    """
    if not mappings:
        return number
    for each in mappings:
        if each["hostID"] <= number < each["hostID"] + each["size"]:
            return each["containerID"] + number - each["hostID"]
    raise KeyError(number)
