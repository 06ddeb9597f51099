#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: veth
short_description: Manage veth pairs with both ends in full
version_added: 1.0.0
description:
  - Creates both ends of a veth pair by one message directly in their network namespaces, repairs each attribute of each
    end in place when it drifts, and removes the pair.
  - The pair is found by what was recorded of either end, or by the name of the first. An end that was renamed or moved
    to another namespace by hand is renamed or brought back.
  - The name of the second end alone does not make a pair this one, as it may be another task's; with O(adopt=true) it
    does.
  - Pairs that the module makes are marked by the group of both ends.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
  - nsfleet.linux._link
options:
  name:
    description:
      - Name of the first end, at most 15 bytes.
    type: str
    required: true
  state:
    description:
      - Whether the pair is to be there.
    type: str
    default: present
    choices:
      present: The pair exists, and both ends are as the other options say.
      absent: There is no such pair.
  master:
    description:
      - Bridge, bond or VRF of the same network namespace that the end is a port of; empty for none.
      - If it disappears from the task, the end leaves the bridge.
    type: str
  rx_queues:
    description:
      - Number of receive queues. It cannot be changed in place; the pair is made anew.
    type: int
  tx_queues:
    description:
      - Number of transmit queues. It cannot be changed in place; the pair is made anew.
    type: int
  offloads:
    description:
      - Offloads of the end, by the names that C(ethtool -K) takes. If one disappears from the task, it is turned on,
        or to what it was before.
    type: dict
    suboptions: &offloads
      rx:
        description: Checksumming of what is received.
        type: bool
      tx:
        description: Checksumming of what is sent. Turn it off where raw sockets or other hosts see the packets.
        type: bool
      sg:
        description: Scatter-gather.
        type: bool
      tso:
        description: TCP segmentation.
        type: bool
      gso:
        description: Generic segmentation.
        type: bool
      gro:
        description: Generic receive offload.
        type: bool
  peer:
    description:
      - The second end. Required with O(state=present).
    type: dict
    suboptions:
      name:
        description: Name of the end in its network namespace.
        type: str
        required: true
      netns:
        description: Network namespace of the end, by name, path or process id; empty for the host's.
        type: str
        default: ""
      up:
        description: Whether the end is administratively up.
        type: bool
        default: true
      mac:
        description: Link-layer address.
        type: str
      mtu:
        description: Maximum transmission unit in bytes, 68 to 65535.
        type: int
      alias:
        description: A note of at most 255 bytes.
        type: str
      txqlen:
        description: Length of the transmit queue in packets.
        type: int
      addrgenmode:
        description: How the kernel makes the IPv6 link-local address of the end.
        type: str
        choices:
          - eui64
          - none
          - random
      addresses:
        description: All IPv4 and IPv6 addresses of the end with their prefix lengths.
        type: list
        elements: str
      master:
        description: Bridge, bond or VRF of the end's network namespace that it is a port of; empty for none.
        type: str
      rx_queues:
        description: Number of receive queues.
        type: int
      tx_queues:
        description: Number of transmit queues.
        type: int
      sysctls:
        description: Kernel parameters of the end, by family and name.
        type: dict
      egress:
        description: How much the end sends at most.
        type: dict
        suboptions: &bucket
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
        description: How much the end takes in at most.
        type: dict
        suboptions: *bucket
      netem:
        description: A worse network, for what the end sends.
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
      offloads:
        description: Offloads of the end.
        type: dict
        suboptions: *offloads
seealso:
  - module: nsfleet.linux.netns
  - module: nsfleet.linux.bridge
"""

EXAMPLES = r"""
- name: The network namespace of a service
  nsfleet.linux.netns:
    name: web

- name: The bridge of its network
  nsfleet.linux.bridge:
    name: nsbr
    addresses:
      - 10.2.0.1/24

- name: A cable from the bridge into the namespace
  nsfleet.linux.veth:
    name: web0
    master: nsbr
    peer:
      name: eth0
      netns: web
      addresses:
        - 10.2.0.10/24
        - fd00:2::10/64

- name: A cable between two routers, with jumbo frames and checksums that a packet capture can trust
  nsfleet.linux.veth:
    name: r1-r2
    netns: r1
    mtu: 9000
    addresses:
      - 10.9.0.0/31
    offloads:
      tx: false
    peer:
      name: r2-r1
      netns: r2
      mtu: 9000
      addresses:
        - 10.9.0.1/31
      offloads:
        tx: false

- name: No such cable
  nsfleet.linux.veth:
    name: web0
    state: absent
"""

RETURN = r"""
plan:
  description: The steps that were taken, or in check mode would be taken; empty when nothing differs.
  returned: success
  type: list
  elements: dict
  contains:
    target:
      description: Kind and name of the object.
      type: str
      sample: veth web0
    action:
      description: What the step does with it.
      type: str
      sample: set
    effect:
      description: V(live), V(restart) or V(recreate).
      type: str
      sample: live
    changes:
      description: The options that the step changes, each with O(ignore:option), value before, value after, and reason.
      type: list
      elements: dict
      sample:
        - option: peer.mtu
          before: 1500
          after: 9000
          reason: drift
veth:
  description: The pair as observed at the end, with the options of the module; V(null) if there is none.
  returned: success
  type: dict
  sample:
    name: web0
    netns: ""
    up: true
    mac: 02:6c:0f:41:12:9e
    mtu: 1500
    master: nsbr
    addresses: []
    peer:
      name: eth0
      netns: web
      up: true
      mac: 02:51:d2:0a:7f:30
      mtu: 1500
      master: ""
      addresses:
        - 10.2.0.10/24
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.veth import Veth


def main() -> None:
    """Run the module."""
    _module.run(Veth)


if __name__ == "__main__":
    main()
