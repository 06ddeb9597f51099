# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making tun and tap links, which rtnetlink only shows (``networking/tuntap.rst``, ``linux/if_tun.h``)."""

from __future__ import annotations

import fcntl
import os
import struct
import typing as t

from .._kernel.namespace import inside

DEVICE: t.Final = "/dev/net/tun"
#: What says that a request writes, which differs by machine (asm/ioctl.h); all of these write an ``int``.
_WRITE = 0x80000000 if os.uname().machine.startswith(("alpha", "mips", "ppc", "sparc")) else 0x40000000
TUNSETIFF, TUNSETPERSIST, TUNSETOWNER, TUNSETGROUP = (
    _WRITE | 4 << 16 | ord("T") << 8 | number for number in (202, 203, 204, 206)
)
#: ``IFF_TUN`` and ``IFF_TAP``.
TYPES: t.Final = {"tun": 1, "tap": 2}
IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x1000, 0x4000, 0x0100


class Owners(t.NamedTuple):
    """Who may use the link beside root, by number; ``None``: everybody."""

    user: int | None = None
    group: int | None = None


def create_tun(namespace: int, name: str, flags: int, owners: Owners) -> None:
    """Make a link that stays when nobody uses it.

    :param namespace: file descriptor of the link's network namespace.
    :param flags: one of :data:`TYPES`, and IFF flags.
    :raises OSError: the kernel refused; ``ENOENT`` or ``ENODEV``: it has no such links.
    """
    with inside(namespace):
        device = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
            for request, number in ((TUNSETOWNER, owners.user), (TUNSETGROUP, owners.group)):
                if number is not None:
                    fcntl.ioctl(device, request, number)
            fcntl.ioctl(device, TUNSETPERSIST, 1)
        finally:
            os.close(device)
