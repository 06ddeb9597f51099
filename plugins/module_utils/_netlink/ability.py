# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this kernel can do, tried where nobody sees it: in a network namespace that goes with the attempt."""

from __future__ import annotations

import typing as t

from .._kernel.namespace import coming_back, unshare
from .link import Settings, create_bridge, get_link
from .message import Socket


def bridge_attributes() -> t.Container[str]:
    """Names of the attributes that bridges of this kernel have.

    The kernel ignores some that it was built without, so that creating one with them proves nothing; what it shows of
    a bridge does.
    """
    with coming_back():
        unshare("net")
        sock = Socket()
        try:
            create_bridge(sock, Settings(name="probe", bridge={}))
            bridge = get_link(sock, "probe")
        finally:
            sock.close()
    return bridge.bridge() if bridge is not None else {}
