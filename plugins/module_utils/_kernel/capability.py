# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities (capabilities(7), ``linux/capability.h``)."""

from __future__ import annotations

import struct
import typing as t

from .syscall import call, number, syscall

#: Names in the order of their numbers.
NAMES: t.Final = tuple(
    f"CAP_{word}"
    for word in (
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    )
)  # fmt: skip

_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_CAP_AMBIENT, _AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 47, 2, 4
_VERSION_3 = 0x20080522


def mask(names: t.Iterable[str]) -> int:
    """Names as the bits that the kernel shows in ``/proc/PID/status``.

    :raises KeyError: one is no capability.
    """
    bits = 0
    for name in names:
        bits |= 1 << _BITS[name]
    return bits


_BITS: t.Final = {name: bit for bit, name in enumerate(NAMES)}


def drop_bounding(keep: int) -> None:
    """Take all capabilities but some from the bounding set of the calling thread.

    :raises OSError: the caller lacks CAP_SETPCAP.
    """
    for bit in range(64):
        try:
            there = call("prctl", _PR_CAPBSET_READ, bit, 0, 0, 0)
        except OSError:  # beyond the last one that this kernel knows
            return
        if there and not keep >> bit & 1:
            call("prctl", _PR_CAPBSET_DROP, bit, 0, 0, 0)


def set_capabilities(effective: int, permitted: int, inheritable: int) -> None:
    """Set three of the calling thread's sets; capabilities that this kernel or the caller lacks are left out of none.

    :raises OSError: the caller does not have what it is to keep.
    """
    words = (effective, permitted, inheritable)
    low, high = ([word >> shift & 0xFFFFFFFF for word in words] for shift in (0, 32))
    syscall(number("capset"), struct.pack("=Ii", _VERSION_3, 0), struct.pack("=6I", *low, *high))


def set_ambient(bits: int) -> None:
    """Set the ambient set of the calling thread.

    :raises OSError: one of them is not both permitted and inheritable.
    """
    call("prctl", _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    for bit in range(len(NAMES)):
        if bits >> bit & 1:
            call("prctl", _PR_CAP_AMBIENT, _AMBIENT_RAISE, bit, 0, 0)
