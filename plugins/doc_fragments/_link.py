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
  sysctls:
    description:
      - Kernel parameters of the link, by family and name, such as V(ipv4.rp_filter), V(ipv6.accept_ra), or
        V(ipv4.neigh.gc_stale_time).
      - One that disappears from the task goes back to what it was.
    type: dict
  egress:
    description:
      - How much the link sends at most (C(tc-tbf)). Packets beyond that wait.
      - A queueing discipline that somebody else put there is refused, unless O(adopt=true), which replaces it.
    type: dict
    suboptions:
      rate:
        description: Bits per second, such as V(100mbit) or V(1.5gbit), in powers of 1000; V(0) for no limit.
        type: str
        required: true
      burst:
        description:
          - How much may pass at once after a pause, such as V(64K); units are powers of 1024.
          - By default what the rate carries in 10 ms, and at least 16 KiB.
        type: str
      latency:
        description: How long a packet may wait before it is dropped, such as V(50ms), which is the default.
        type: str
  ingress:
    description:
      - How much the link takes in at most. What comes in is sent through a link of kind C(ifb) that is made for this,
        called C(ifb-) and a number, and removed with the option or the link.
    type: dict
    suboptions:
      rate:
        description: Bits per second, such as V(100mbit) or V(1.5gbit), in powers of 1000; V(0) for no limit.
        type: str
        required: true
      burst:
        description:
          - How much may pass at once after a pause, such as V(64K); units are powers of 1024.
          - By default what the rate carries in 10 ms, and at least 16 KiB.
        type: str
      latency:
        description: How long a packet may wait before it is dropped, such as V(50ms), which is the default.
        type: str
  netem:
    description:
      - A worse network, for what the link sends (C(tc-netem)). With O(egress), the bucket is within the emulator.
      - What is not named is not worsened.
    type: dict
    suboptions:
      delay:
        description: By how much packets are late, such as V(100ms).
        type: str
      jitter:
        description: By how much more or less than that, at most.
        type: str
      loss:
        description: Share of packets that are lost, in percent.
        type: float
      duplicate:
        description: Share of packets that come twice, in percent.
        type: float
      corrupt:
        description: Share of packets of which a bit is wrong, in percent.
        type: float
      reorder:
        description: Share of packets that are not late, and so overtake others, in percent.
        type: float
      rate:
        description: Bits per second, as if the cable were that slow.
        type: str
      limit:
        description: How many packets may be on the way at once. By default 1000.
        type: int
"""
