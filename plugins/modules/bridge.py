#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bridge
short_description: Manage bridges, their ports and VLANs
version_added: 1.0.0
description:
  - Creates, repairs and removes a bridge in any network namespace, with its ports and their settings.
  - Every attribute is read from the kernel and repaired in place. An option that disappears from the task goes back to
    what it was before this module changed it, or to the kernel's default.
  - Bridges that the module makes are marked by their group. One that was renamed by hand gets its name back.
  - Times are kept in steps of 0.02 seconds, which kernels of every clock rate keep exactly.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
  - nsfleet.linux._link
options:
  name:
    description:
      - Name of the bridge, at most 15 bytes.
    type: str
    required: true
  state:
    description:
      - Whether the bridge is to be there.
    type: str
    default: present
    choices:
      present: The bridge exists and is as the other options say.
      absent: There is no such bridge. What was a port of it stays, without a bridge.
  stp_state:
    description: Whether the bridge takes part in the spanning tree protocol.
    type: bool
  forward_delay:
    description: Seconds that a port listens and learns before it forwards, 0 to 30; from 2 with O(stp_state=true).
    type: float
  hello_time:
    description: Seconds between two messages of the spanning tree protocol, 1 to 10.
    type: float
  max_age:
    description: Seconds until the bridge takes the root bridge for lost, 6 to 40.
    type: float
  ageing_time:
    description: Seconds until a learned address is forgotten.
    type: float
  priority:
    description: Priority in the election of the root bridge; the lowest wins.
    type: int
  vlan_filtering:
    description: Whether ports only pass the VLANs they are members of.
    type: bool
  vlan_default_pvid:
    description: VLAN that new ports become untagged members of; V(0) for none.
    type: int
  mcast_snooping:
    description: Whether multicast goes only to ports that asked for it.
    type: bool
  mcast_querier:
    description: Whether the bridge sends multicast queries where no router does.
    type: bool
  group_fwd_mask:
    description:
      - Bit mask of the link-local group addresses C(01:80:c2:00:00:0X) that are forwarded. No bridge forwards the first
        three.
    type: int
  nf_call_iptables:
    description: Whether bridged IPv4 packets pass through the host's C(ip) filters.
    type: bool
  nf_call_ip6tables:
    description: Whether bridged IPv6 packets pass through the host's C(ip6) filters.
    type: bool
  nf_call_arptables:
    description: Whether bridged ARP packets pass through the host's C(arp) filters.
    type: bool
  fdb_max_learned:
    description: How many addresses the bridge learns at most; V(0) for no limit. Needs Linux 6.7.
    type: int
  pvid:
    description: VLAN that untagged packets of the bridge's own interface belong to; V(0) for none.
    type: int
  vlans:
    description:
      - VLANs that the bridge's own interface is a tagged member of, as ids and ranges such as V(20-30).
      - One of O(pvid), O(vlans) and O(untagged) means the whole set of VLANs; what is not named is removed.
      - A VLAN cannot be here and in O(untagged).
    type: list
    elements: str
  untagged:
    description: VLANs that leave by the bridge's own interface without a tag; O(pvid) is one of them.
    type: list
    elements: str
  ports:
    description:
      - Links of the same network namespace that are ports of the bridge.
      - A port that disappears from here leaves the bridge.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the link.
        type: str
        required: true
      hairpin:
        description: Whether a packet may leave by the port that it came in by.
        type: bool
      isolated:
        description: Whether the port may talk to ports that are not isolated only.
        type: bool
      learning:
        description: Whether source addresses are learned from the port.
        type: bool
      flood:
        description: Whether unicast to unknown addresses is sent out of the port.
        type: bool
      mcast_flood:
        description: Whether multicast that nobody asked for is sent out of the port.
        type: bool
      bcast_flood:
        description: Whether broadcast is sent out of the port.
        type: bool
      neigh_suppress:
        description: Whether ARP and neighbour discovery are answered by the bridge where it knows the answer.
        type: bool
      guard:
        description: Whether messages of the spanning tree protocol are kept from coming in (BPDU guard).
        type: bool
      root_block:
        description: Whether the port is kept from becoming the root port.
        type: bool
      fastleave:
        description: Whether a multicast group is left at once.
        type: bool
      mcast_to_unicast:
        description: Whether multicast is sent to each receiver as unicast.
        type: bool
      proxy_arp:
        description: Whether ARP requests are answered by the bridge.
        type: bool
      locked:
        description: Whether only known source addresses may send.
        type: bool
      cost:
        description: Path cost of the port in the spanning tree protocol, 1 to 65535.
        type: int
      priority:
        description: Priority of the port in the spanning tree protocol, 0 to 63.
        type: int
      pvid:
        description: VLAN that untagged packets that come in belong to; V(0) for none.
        type: int
      vlans:
        description:
          - VLANs that the port is a tagged member of, as ids and ranges such as V(20-30).
          - One of O(ports[].pvid), O(ports[].vlans) and O(ports[].untagged) means the whole set of VLANs of the port;
            what is not named is removed.
        type: list
        elements: str
      untagged:
        description: VLANs that leave by the port without a tag; O(ports[].pvid) is one of them.
        type: list
        elements: str
  purge:
    description:
      - Whether O(ports), which is required then, is the exact set of ports. Others leave the bridge.
    type: bool
    default: false
seealso:
  - module: nsfleet.linux.veth
"""

EXAMPLES = r"""
- name: A bridge that is the gateway of its network
  nsfleet.linux.bridge:
    name: nsbr
    stp_state: false
    addresses:
      - 10.2.0.1/24
      - fd00:2::1/64

- name: A cable to put into the bridge
  nsfleet.linux.veth:
    name: tenant-a
    peer:
      name: eth0
      netns: tenant

- name: A bridge whose ports cannot talk to each other, with exactly this port
  nsfleet.linux.bridge:
    name: tenants
    mcast_snooping: false
    ports:
      - name: tenant-a
        isolated: true
        neigh_suppress: true
    purge: true

- name: No such bridge
  nsfleet.linux.bridge:
    name: tenants
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
      sample: bridge nsbr
    action:
      description: What the step does with it.
      type: str
      sample: set
    effect:
      description: V(live), V(restart) or V(recreate).
      type: str
      sample: live
    changes:
      description: The options that the step changes, each with its path, value before, value after, and reason.
      type: list
      elements: dict
      sample:
        - option: ports[web0].hairpin
          before: false
          after: true
          reason: drift
bridge:
  description: The bridge as observed at the end, with the options of the module; V(null) if there is none.
  returned: success
  type: dict
  sample:
    name: nsbr
    up: true
    mac: 02:11:5a:0c:88:d4
    mtu: 1500
    addresses:
      - 10.2.0.1/24
    stp_state: false
    ageing_time: 300.0
    ports:
      - name: web0
        hairpin: false
        isolated: false
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.bridge import Bridge


def main() -> None:
    """Run the module."""
    _module.run(Bridge)


if __name__ == "__main__":
    main()
