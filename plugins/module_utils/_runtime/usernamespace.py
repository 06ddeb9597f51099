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
from .._model.errors import KernelError


def make(uid_mappings: t.Sequence[t.Mapping[str, int]], gid_mappings: t.Sequence[t.Mapping[str, int]]) -> int:
    """A new user namespace with its mappings (user_namespaces(7)).

    :param uid_mappings: ``containerID``, ``hostID``, ``size`` each, as the runtime-spec has them.
    :returns: file descriptor, closed on exec.
    :raises KernelError: the kernel refused.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _hold(writing)
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


def _hold(writing: int) -> t.NoReturn:
    """Be the process that keeps the new namespace until it is open."""
    try:
        namespace.unshare("user")
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
