#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: link_info
short_description: Tell the links of a network namespace, of every kind
version_added: 1.0.0
description:
  - Tells all links of a network namespace, or one, as the kernel has them now, in the words of the modules
    M(nsfleet.linux.veth), M(nsfleet.linux.bridge) and M(nsfleet.linux.link), whoever made them.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes.INFO
options:
  netns:
    description:
      - Network namespace of the links, by its name, by a path that starts with a slash, or by the id of a process that
        runs in it.
      - Empty for the namespace that the module runs in, which is the host's.
    type: str
    default: ""
  name:
    description:
      - Name of one link. Without it, all.
    type: str
seealso:
  - module: nsfleet.linux.link
  - module: nsfleet.linux.veth
  - module: nsfleet.linux.bridge
  - module: nsfleet.linux.namespace_info
"""

EXAMPLES = r"""
- name: All links of the host
  nsfleet.linux.link_info:
  register: found

- name: Which of them are down that are to be up?
  ansible.builtin.debug:
    msg: "{{ found.links | selectattr('up') | rejectattr('carrier') | map(attribute='name') }}"

- name: The loopback
  nsfleet.linux.link_info:
    name: lo
"""

RETURN = r"""
links:
  description: The links, in the order in which they were made; empty if there is none of the name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the link.
      type: str
      sample: tenant
    kind:
      description: >-
        Kind, as M(nsfleet.linux.link) calls it; V(veth) and V(bridge); V(hardware) for a card and the loopback; else
        what the kernel calls it.
      type: str
      sample: vxlan
    ours:
      description: Whether the collection made it.
      type: bool
      sample: true
    up:
      description: Whether it is administratively up.
      type: bool
      sample: true
    carrier:
      description: Whether it is up, and its cable, or what stands for it, is connected.
      type: bool
      sample: true
    mac:
      description: Link-layer address.
      type: str
      sample: 02:5d:31:77:0e:c4
    mtu:
      description: Maximum transmission unit in bytes.
      type: int
      sample: 1450
    alias:
      description: Its note.
      type: str
      sample: nsfleet.linux
    txqlen:
      description: Length of the transmit queue in packets.
      type: int
      sample: 1000
    addrgenmode:
      description: How the kernel makes its IPv6 link-local address; V(null) without IPv6.
      type: str
      sample: none
    addresses:
      description: All its addresses, those that the kernel made, too.
      type: list
      elements: str
      sample:
        - 10.2.0.1/24
    master:
      description: Bridge, bond or VRF that it is a port of; empty for none.
      type: str
      sample: nsbr
    egress:
      description: How much it sends at most, if we limit that, in bits per second, bytes and microseconds.
      type: dict
      sample:
        rate: 100000000
        burst: 125000
        latency: 50000
    ingress:
      description: How much it takes in at most, if we limit that.
      type: dict
      sample:
        rate: 100000000
        burst: 125000
        latency: 50000
    netem:
      description: In what its network is worse, if we made it so.
      type: dict
      sample:
        delay: 80000
        loss: 0.5
    parent:
      description: The link that it is on, and the namespace of that one.
      type: dict
      sample:
        name: eth0
        netns: ""
    peer:
      description: The other end of a pair, and its namespace; empty if nothing on the host leads there.
      type: dict
      sample:
        name: eth0
        netns: web
    vxlan:
      description: >-
        Options of the kind, by the name that M(nsfleet.linux.link) and M(nsfleet.linux.bridge) have for them; of keys
        of WireGuard only the public ones.
      type: dict
      sample:
        vni: 42
        local: 192.0.2.1
        port: 4789
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.link_info import TABLE, gather


def main() -> None:
    """Run the module."""
    _module.run_info(TABLE, gather)


if __name__ == "__main__":
    main()
