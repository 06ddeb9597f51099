# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User namespaces as descriptors, made before the container that is to live in one."""

from __future__ import annotations

import os
import signal
import typing as t

from .._kernel import namespace
from .._kernel.syscall import call
from .._model.errors import KernelError

#: Of user and of group ids: ``containerID``, ``hostID``, ``size`` each, as the runtime-spec has them.
Mappings = tuple[t.Sequence[t.Mapping[str, int]], t.Sequence[t.Mapping[str, int]]]


def make(uid_mappings: t.Sequence[t.Mapping[str, int]], gid_mappings: t.Sequence[t.Mapping[str, int]]) -> int:
    """A new user namespace with its mappings (user_namespaces(7)).

    :param uid_mappings: ``containerID``, ``hostID``, ``size`` each, as the runtime-spec has them.
    :returns: file descriptor, closed on exec.
    :raises KernelError: the kernel refused.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _hold(writing, lambda: namespace.unshare("user"))
    os.close(writing)
    try:
        made = os.read(reading, 1) == b"1"
        if not made:
            raise OSError(1, "user namespaces are not allowed here")
        _write_map(f"/proc/{pid}/uid_map", uid_mappings)
        _write_map(f"/proc/{pid}/gid_map", gid_mappings)
        return namespace.open_namespace(f"/proc/{pid}/ns/user")
    except OSError as error:
        raise KernelError("make a user namespace", error) from error
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _hold(writing: int, enter: t.Callable[[], object]) -> t.NoReturn:
    """Be a process in a user namespace until whoever forked it has seen enough."""
    try:
        enter()
        os.write(writing, b"1")
        signal.pause()
    finally:
        os._exit(1)


def _write_map(path: str, mappings: t.Sequence[t.Mapping[str, int]]) -> None:
    lines = [f"{each['containerID']} {each['hostID']} {each['size']}\n" for each in mappings]
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, "".join(lines).encode())  # all of it by one write(2), or the kernel refuses
    finally:
        os.close(fd)


def mappings_of(descriptor: int) -> Mappings:
    """The mappings of a user namespace that others made, as the caller's own sees them.

    :param descriptor: of the namespace.
    :raises OSError: it cannot be joined.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _hold(writing, lambda: call("setns", descriptor, namespace.FLAGS["user"]))
    os.close(writing)
    try:
        if os.read(reading, 1) != b"1":
            raise OSError(1, "the user namespace cannot be joined")
        return read_mappings(pid)
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def read_mappings(pid: int) -> Mappings:
    """The mappings of a process's user namespace; none if it is the caller's own.

    :raises OSError: there is no such process.
    """
    if namespace.identity(f"/proc/{pid}/ns/user") == namespace.identity("/proc/self/ns/user"):
        return (), ()
    return _read_map(f"/proc/{pid}/uid_map"), _read_map(f"/proc/{pid}/gid_map")


def _read_map(path: str) -> list[dict[str, int]]:
    with open(path, encoding="ascii") as lines:
        return [dict(zip(("containerID", "hostID", "size"), map(int, line.split()))) for line in lines]


def on_host(mappings: t.Sequence[t.Mapping[str, int]], number: int) -> int:
    """The id that the host sees where the container sees ``number``; without mappings the same.

    :raises KeyError: it is not mapped.
    """
    if not mappings:
        return number
    for each in mappings:
        if each["containerID"] <= number < each["containerID"] + each["size"]:
            return each["hostID"] + number - each["containerID"]
    raise KeyError(number)
