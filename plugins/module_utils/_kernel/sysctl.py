# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters below ``/proc/sys`` (proc(5), sysctl.d(5)). Which namespace they speak of is the caller's."""

from __future__ import annotations

import errno
import os

from .._model.errors import KernelError


def parameter_path(name: str) -> str:
    """The file of a parameter, by the rule of sysctl.d(5): the first separator says which one separates.

    :param name: ``net.ipv4.ip_forward``, or ``net/ipv4/conf/eth0.5/forwarding`` where names contain dots.
    :raises ValueError: it is not the name of a parameter.
    """
    first = next((character for character in name if character in "./"), "")
    parts = name.split("/") if first == "/" else [part.replace("/", ".") for part in name.split(".")]
    if len(parts) < 2 or any(part in ("", ".", "..") or "\0" in part or "/" in part for part in parts):
        raise ValueError(f"expected the name of a kernel parameter such as net.ipv4.ip_forward, got {name!r}")
    return "/".join(("/proc/sys", *parts))


#: What a namespace has of its own, by the name of the namespace in ``/proc/PID/ns`` (network_namespaces(7),
#: ipc_namespaces(7), namespaces(7), user_namespaces(7)).
_OF_NAMESPACES = {
    "net": ("net/",),
    "ipc": ("kernel/msg", "kernel/sem", "kernel/shm", "fs/mqueue/"),
    "user": ("user/",),
}


def namespace_of(name: str) -> str:
    """The kind of namespace that a parameter belongs to, empty for one of the whole kernel.

    :raises ValueError: it is not the name of a parameter.
    """
    path = parameter_path(name).removeprefix("/proc/sys/")
    found = (kind for kind, prefixes in _OF_NAMESPACES.items() if path.startswith(prefixes))
    return next(found, "")


def canonical_value(value: object) -> str:
    """A value as the kernel shows it: words with one space between them.

    :raises ValueError: it has more than one line.
    """
    words = ("1" if value else "0") if isinstance(value, bool) else str(value)
    if "\n" in words.strip() or "\0" in words:
        raise ValueError("expected a value of one line")
    return " ".join(words.split())


def read_parameter(name: str) -> str | None:
    """The value of a parameter, ``None`` if this kernel, or this namespace, does not have it."""
    try:
        with open(parameter_path(name), encoding="utf-8") as file:
            return canonical_value(file.read())
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EINVAL, errno.EIO):
            return None
        raise


def write_parameter(name: str, value: str) -> None:
    """Set a parameter.

    :raises KernelError: there is no such parameter, or the kernel refused the value.
    """
    try:
        fd = os.open(parameter_path(name), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise KernelError(f"set {name} to {value!r}", error) from error
