# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mount(2) and umount2(2)."""

from __future__ import annotations

import ctypes
import os

from .syscall import call

MS_BIND = 0x1000
MS_REC = 0x4000
MS_UNBINDABLE = 0x20000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8


def mount(source: str, target: str, flags: int) -> None:
    """mount(2) without type and data: bind mounts and changes of propagation.

    :raises OSError: the kernel refused.
    """
    call("mount", os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(flags), None)


def detach(target: str) -> None:
    """Take a mount away from a path now, and free it when nobody uses it any more.

    :raises OSError: nothing is mounted there (``EINVAL``), or the kernel refused.
    """
    call("umount2", os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW)
