# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that links of every kind have. PRIVATE to the nsfleet.linux collection: it may change at any time."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of a link."""

    DOCUMENTATION = r"""
options:
  netns:
    description:
      - Network namespace of the link, by its name, by a path that starts with a slash, or by the id of a process
        that runs in it.
      - Empty for the namespace that the module runs in, which is the host's.
    type: str
    default: ""
  up:
    description:
      - Whether the link is administratively up.
    type: bool
    default: true
  mac:
    description:
      - Link-layer address, such as V(02:00:00:00:00:01).
      - A new link for which none is given gets one computed from host name, namespace and name, so that it is the
        same when the link is made again. An address of a link that is there is then left alone.
    type: str
  mtu:
    description:
      - Maximum transmission unit in bytes, 68 to 65535; with IPv6 addresses at least 1280.
      - If it disappears from the task, the link goes back to 1500.
    type: int
  alias:
    description:
      - A note of at most 255 bytes, shown by C(ip link). A new link for which none is given gets V(nsfleet.linux).
    type: str
  txqlen:
    description:
      - Length of the transmit queue in packets.
      - If it disappears from the task, the link goes back to 1000.
    type: int
  addrgenmode:
    description:
      - How the kernel makes the IPv6 link-local address of the link.
      - It applies when the link comes up the next time; addresses that are there stay.
    type: str
    choices:
      eui64: From the MAC address.
      none: Not at all, which saves each new port of a large bridge a burst of multicast.
      random: From a random secret.
  addresses:
    description:
      - All IPv4 and IPv6 addresses of the link with their prefix lengths, such as V(10.2.0.1/24) and V(fd00::1/64).
      - Others are removed, but for those that the kernel makes by itself (link-local, router advertisements).
        A link-local address that was named once is no longer the kernel's, and is removed when it is no longer named.
      - IPv6 addresses are usable at once, without duplicate address detection.
      - If the option disappears from the task, the addresses are removed.
    type: list
    elements: str
"""
