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
