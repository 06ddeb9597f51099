# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the C library that Python does not have, with errors as ``OSError``."""

from __future__ import annotations

import ctypes
import os
import typing as t

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(name: str, *arguments: t.Any) -> int:
    """Call a function of the C library.

    :param arguments: ``int``, ``bytes`` (a string), ``None`` (a null pointer) or ctypes objects.
    :raises OSError: it returned -1.
    """
    result: int = getattr(libc, name)(*arguments)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def syscall(number: int, *arguments: t.Any) -> int:
    """Make a system call that the C library has no function for; integers are passed as long.

    :raises OSError: it returned -1.
    """
    widened = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return call("syscall", ctypes.c_long(number), *widened)


#: Asked once: a process that takes on another personality (personality(2)) is told of another machine.
_MACHINE: t.Final = os.uname().machine
#: Numbers of system calls that differ by machine; newer ones have the same number everywhere.
_NUMBERS: t.Final = {
    "pivot_root": {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217, "armv7l": 218},
    "execveat": {"x86_64": 322, "aarch64": 281, "riscv64": 281, "ppc64le": 362, "s390x": 354, "armv7l": 387},
    "rt_sigaction": {
        "x86_64": 13, "aarch64": 134, "riscv64": 134, "ppc64le": 173, "s390x": 174, "armv7l": 174,
    },
    "keyctl": {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "s390x": 280, "armv7l": 311},
    "ioprio_get": {"x86_64": 252, "aarch64": 31, "riscv64": 31, "ppc64le": 274, "s390x": 283, "armv7l": 315},
    "ioprio_set": {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282, "armv7l": 314},
    "sched_getattr": {"x86_64": 315, "aarch64": 275, "riscv64": 275, "ppc64le": 356, "s390x": 346, "armv7l": 381},
    "sched_setattr": {"x86_64": 314, "aarch64": 274, "riscv64": 274, "ppc64le": 355, "s390x": 345, "armv7l": 380},
    "capset": {"x86_64": 126, "aarch64": 91, "riscv64": 91, "ppc64le": 184, "s390x": 185, "armv7l": 185},
    "seccomp": {"x86_64": 317, "aarch64": 277, "riscv64": 277, "ppc64le": 358, "s390x": 348, "armv7l": 383},
}  # fmt: skip


def number(name: str) -> int:
    """The number of a system call on this machine.

    :raises OSError: ``ENOSYS``: nobody has looked it up for this kind of machine.
    """
    try:
        return _NUMBERS[name][_MACHINE]
    except KeyError:
        raise OSError(38, f"the number of {name} is not known for {_MACHINE}") from None
