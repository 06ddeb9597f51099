#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: link
short_description: Manage VLANs, VXLANs, macvlans, tap links, VRFs, bonds, tunnels and lent cards
version_added: 1.0.0
description:
  - Creates, repairs and removes one link of any kind but pairs and bridges, which have the modules
    M(nsfleet.linux.veth) and M(nsfleet.linux.bridge).
  - A link is made directly in its network namespace. Every attribute is read from the kernel and repaired in place;
    what the kernel cannot change while the link is there, is changed by making the link anew.
  - An option that disappears from the task goes back to what it was before this module changed it, or to the kernel's
    default.
  - Links that the module makes are marked by their group. One that was renamed or moved to another namespace by hand is
    renamed or brought back.
  - A kind that the kernel lacks is refused before anything is touched.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
  - nsfleet.linux._link
options:
  name:
    description:
      - Name of the link, at most 15 bytes.
    type: str
    required: true
  state:
    description:
      - Whether the link is to be there.
    type: str
    default: present
    choices:
      present: The link exists and is as the other options say.
      absent: There is no such link.
  kind:
    description:
      - What the link is. Required with O(state=present). Another kind makes the link anew.
    type: str
    choices:
      vxlan: An Ethernet in UDP packets between hosts (RFC 7348).
      vlan: The packets of O(parent) that have a VLAN tag.
      macvlan: Another address of O(parent).
      ipvlan: Other IP addresses of O(parent), behind the same MAC address.
      wireguard: A network of peers that know each other's keys.
      physical: >-
        A link that is there already, such as a network card or a virtual function of one (SR-IOV), moved to O(netns),
        and with O(state=absent) given back to where it was, under the name it had.
      dummy: A link without a cable.
      ifb: A link that gives back what is sent to it, to shape what comes in; O(ingress) makes one by itself.
      tap: Ethernet packets for a program such as a virtual machine.
      tun: IP packets for a program such as a VPN.
      vrf: A routing table of its own for the links whose O(master) it is.
      bond: Several links as one; those whose O(master) it is.
      geneve: An Ethernet in UDP packets to one host (RFC 8926).
      gre: IP packets in IPv4 packets (RFC 2784).
      gretap: An Ethernet in IPv4 packets.
      ip6gre: IP packets in IPv6 packets.
      ip6gretap: An Ethernet in IPv6 packets.
  parent:
    description:
      - The link that this one is on, in O(parent_netns). Required with kinds V(vlan), V(macvlan) and V(ipvlan); with
        V(vxlan) and the kinds of GRE, the link by which the packets leave.
      - Only a VXLAN can get another one in place.
    type: str
  parent_netns:
    description:
      - Network namespace of O(parent), and of the packets of a tunnel. By default O(netns).
      - So a VXLAN in the namespace of a service can have its packets travel in the host's.
      - It cannot be changed in place; the link is made anew.
    type: str
  master:
    description:
      - Bridge, bond or VRF of the same network namespace that the link is a port of; empty for none.
      - If it disappears from the task, the link leaves it.
    type: str
  mac:
    description:
      - Link-layer address, such as V(02:00:00:00:00:01).
      - A new link for which none is given gets one computed from host name, namespace and name, so that it is the
        same when the link is made again; a VLAN and a macvlan in mode V(passthru) have that of O(parent).
      - Kinds V(ipvlan), V(tun), V(gre), V(ip6gre) and V(wireguard) have none of their own.
    type: str
  offloads:
    description:
      - Offloads of the link, by the names that C(ethtool -K) takes. If one disappears from the task, it is turned on,
        or to what it was before.
    type: dict
    suboptions:
      rx:
        description: Checksumming of what is received.
        type: bool
      tx:
        description:
          - Checksumming of what is sent.
          - Turn it off on a VXLAN whose packets are translated by NAT, where kernels and cards with a fault in
            checksums of inner packets drop them.
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
  vxlan:
    description: Options of kind V(vxlan), with which it is required.
    type: dict
    suboptions:
      vni:
        description: Number of the Ethernet, 1 to 16777215. It cannot be changed in place.
        type: int
        required: true
      remote:
        description:
          - Where packets go whose destination is not known - one host, or a multicast group, which needs O(parent);
            empty for nowhere else than O(vxlan.flood) says.
        type: str
      local:
        description: Address from which packets are sent; empty for whichever the route says.
        type: str
      port:
        description: UDP port on all hosts. It cannot be changed in place.
        type: int
        default: 4789
      port_range:
        description:
          - UDP ports from which packets are sent, such as V(32768-60999); empty for the kernel's own. It cannot be
            changed in place.
        type: str
      learning:
        description: Whether it is learned from packets which address is where. Without, only O(vxlan.fdb) says so.
        type: bool
      ageing:
        description: Seconds until a learned address is forgotten.
        type: int
      ttl:
        description: Time to live of the packets; V(0) for the default of the system, or 1 to a group.
        type: int
      tos:
        description: Type of service of the packets; V(1) for that of the packets inside.
        type: int
      df:
        description: Whether packets may not be fragmented; V(inherit) as the packets inside say.
        type: str
        choices: [unset, set, inherit]
      proxy:
        description: Whether ARP requests are answered where the answer is known. It cannot be changed in place.
        type: bool
      udp_checksum:
        description: Whether packets in IPv4 have a checksum. It cannot be changed in place.
        type: bool
      udp6_zero_checksum_tx:
        description: Whether packets in IPv6 are sent without a checksum. It cannot be changed in place.
        type: bool
      udp6_zero_checksum_rx:
        description: Whether packets in IPv6 are taken without a checksum. It cannot be changed in place.
        type: bool
      flood:
        description:
          - Hosts that get what goes to all, and what goes to an address that is not known. Others are removed.
        type: list
        elements: str
      fdb:
        description:
          - Which address is on which host. Other static entries are removed; those that were learned, or that a routing
            daemon made, stay.
        type: list
        elements: dict
        suboptions:
          mac:
            description: Link-layer address.
            type: str
            required: true
          remote:
            description: Address of the host.
            type: str
            required: true
          vni:
            description: Number of the Ethernet there, if it is another one.
            type: int
          port:
            description: UDP port there, if it is another one.
            type: int
  vlan:
    description: Options of kind V(vlan), with which it is required.
    type: dict
    suboptions:
      id:
        description: Number of the VLAN, 0 to 4094. It cannot be changed in place.
        type: int
        required: true
      protocol:
        description: Kind of the tag. It cannot be changed in place.
        type: str
        choices: [802.1q, 802.1ad]
      reorder_hdr:
        description: Whether packets are shown without the tag.
        type: bool
      gvrp:
        description: Whether the VLAN is announced by GVRP.
        type: bool
      loose_binding:
        description: Whether the link stays up when O(parent) goes down.
        type: bool
      mvrp:
        description: Whether the VLAN is announced by MVRP.
        type: bool
      bridge_binding:
        description: Whether the link is up as long as a port of the bridge that is O(parent) is, which has the VLAN.
        type: bool
  macvlan:
    description: Options of kind V(macvlan).
    type: dict
    suboptions:
      mode:
        description: Who talks to whom. From and to V(passthru) the link is made anew.
        type: str
        choices:
          private: Links of one parent do not.
          vepa: They do if the switch sends their packets back.
          bridge: They do.
          passthru: There is one link only, which is the parent to all others.
  ipvlan:
    description: Options of kind V(ipvlan). The kernel has one mode for all links of a parent.
    type: dict
    suboptions:
      mode:
        description: Where packets are routed.
        type: str
        choices:
          l2: In the namespace of the link.
          l3: In that of the parent.
          l3s: In that of the parent, with its connection tracking.
      isolation:
        description: Who talks to whom, as with O(macvlan.mode).
        type: str
        choices: [bridge, private, vepa]
  tun:
    description: Options of kinds V(tap) and V(tun). None of them can be changed in place.
    type: dict
    suboptions:
      owner:
        description: User who may use the link, by name or number; empty for anybody.
        type: str
      group:
        description: Group whose members may use the link, by name or number; with O(tun.owner), both have to hold.
        type: str
      multi_queue:
        description: Whether a program may open it several times, a queue each.
        type: bool
      vnet_hdr:
        description: Whether packets have the header of virtio, which leaves segmentation and checksums to others.
        type: bool
      packet_info:
        description: Whether packets have four bytes before them that say what they are.
        type: bool
  wireguard:
    description: Options of kind V(wireguard), with which it is required. Its packets travel in O(parent_netns).
    type: dict
    suboptions:
      private_key:
        description:
          - The secret key of the link, as C(wg genkey) writes it. It is compared by the public key that belongs to it,
            and written down nowhere.
        type: str
        required: true
      listen_port:
        description: UDP port; without one the kernel takes any.
        type: int
      fwmark:
        description: Mark of the packets that travel, for rules of routing; V(0) for none.
        type: int
      peers:
        description: All peers. One that disappears from the task is removed, as are others.
        type: list
        elements: dict
        suboptions:
          public_key:
            description: The peer's public key.
            type: str
            required: true
          preshared_key:
            description: A secret key that both sides have, as C(wg genpsk) writes it. It is written down nowhere.
            type: str
          endpoint:
            description:
              - Where the peer is, by address and port. A peer that has gone elsewhere since it was told is left there.
              - If it disappears from the task, what is known stays.
            type: str
          allowed_ips:
            description: Networks that the peer may send from, and that are sent to it.
            type: list
            elements: str
          persistent_keepalive:
            description: Seconds between two packets that keep a NAT from forgetting; V(0) for none.
            type: int
  physical:
    description: Options of kind V(physical), with which it is required.
    type: dict
    suboptions:
      name:
        description:
          - Name of the link where it is now. Another name gives back the link that was moved.
        type: str
        required: true
      netns:
        description: Network namespace of the link, and to which it is given back; empty for the host's.
        type: str
        default: ""
  vrf:
    description: Options of kind V(vrf), with which it is required.
    type: dict
    suboptions:
      table:
        description: Number of the routing table. It cannot be changed in place.
        type: int
        required: true
  bond:
    description: Options of kind V(bond).
    type: dict
    suboptions:
      mode:
        description: How packets are spread. It cannot be changed in place.
        type: str
        choices: [balance-rr, active-backup, balance-xor, broadcast, 802.3ad, balance-tlb, balance-alb]
      miimon:
        description: Milliseconds between two looks whether the ports have a carrier; V(0) for none.
        type: int
      updelay:
        description: Milliseconds that a port has had a carrier before it is used.
        type: int
      downdelay:
        description: Milliseconds that a port has had no carrier before it is not used.
        type: int
      xmit_hash_policy:
        description: By what packets are spread.
        type: str
        choices: [layer2, layer3+4, layer2+3, encap2+3, encap3+4, vlan+srcmac]
      lacp_rate:
        description: How often the other side is to send, with mode V(802.3ad).
        type: str
        choices: [slow, fast]
      ad_select:
        description: By what ports are chosen, with mode V(802.3ad).
        type: str
        choices: [stable, bandwidth, count]
      primary_reselect:
        description: When the primary port is used again.
        type: str
        choices: [always, better, failure]
      fail_over_mac:
        description: Whether the address changes with the port. It cannot be changed in place.
        type: str
        choices: [none, active, follow]
      min_links:
        description: How many ports have to have a carrier for the bond to have one.
        type: int
      resend_igmp:
        description: How many reports of groups are sent after another port is used.
        type: int
  geneve:
    description: Options of kind V(geneve), with which it is required.
    type: dict
    suboptions:
      vni:
        description: Number of the Ethernet, 1 to 16777215. It cannot be changed in place.
        type: int
        required: true
      remote:
        description: Address of the other host; another one of the same family is set in place.
        type: str
        required: true
      port:
        description: UDP port on both hosts. It cannot be changed in place.
        type: int
        default: 6081
      ttl:
        description: Time to live of the packets; V(0) for the default of the system.
        type: int
      tos:
        description: Type of service of the packets; V(1) for that of the packets inside.
        type: int
      df:
        description: Whether packets may not be fragmented; V(inherit) as the packets inside say.
        type: str
        choices: [unset, set, inherit]
      udp_checksum:
        description: Whether packets in IPv4 have a checksum. It cannot be changed in place.
        type: bool
  gre:
    description: Options of kinds V(gre), V(gretap), V(ip6gre) and V(ip6gretap), with which it is required.
    type: dict
    suboptions:
      remote:
        description: Address of the other host.
        type: str
      local:
        description: Address from which packets are sent.
        type: str
      key:
        description: Number that tells tunnels between the same hosts apart; empty for none.
        type: str
      ttl:
        description: Time to live of the packets; V(0) for that of the packets inside.
        type: int
      tos:
        description: Type of service of the packets; V(1) for that of the packets inside.
        type: int
      pmtudisc:
        description: Whether packets may not be fragmented. It cannot be changed in place.
        type: bool
seealso:
  - module: nsfleet.linux.veth
  - module: nsfleet.linux.bridge
"""

EXAMPLES = r"""
- name: The Ethernet of a tenant between hosts, flooded to two others, with what is known of it
  nsfleet.linux.link:
    name: tenant
    kind: vxlan
    vxlan:
      vni: 42
      local: 192.0.2.1
      learning: false
      flood:
        - 192.0.2.2
        - 192.0.2.3
      fdb:
        - mac: 02:00:00:00:00:0a
          remote: 192.0.2.2
    offloads:
      tx: false
    mtu: 1450
    addrgenmode: none

- name: The same, in the namespace of a service, with its packets on the host's network
  nsfleet.linux.link:
    name: eth0
    netns: service
    kind: vxlan
    parent_netns: ""
    vxlan:
      vni: 43
      local: 192.0.2.1
    addresses:
      - 10.43.0.1/24

- name: An address of its own on the network of the host
  nsfleet.linux.link:
    name: lan0
    netns: service
    kind: macvlan
    parent: uplink
    parent_netns: ""
    macvlan:
      mode: bridge
    addresses:
      - 192.0.2.10/24
    sysctls:
      ipv4.rp_filter: 2

- name: A link for a virtual machine that www-data runs, with 100 Mbit/s in both directions
  nsfleet.linux.link:
    name: vm0
    kind: tap
    tun:
      owner: www-data
      vnet_hdr: true
    egress:
      rate: 100mbit
    ingress:
      rate: 100mbit
      latency: 20ms

- name: No such link
  nsfleet.linux.link:
    name: vm0
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
      sample: link tenant
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
        - option: vxlan.fdb[02:00:00:00:00:0a].remote
          before: 192.0.2.2
          after: 192.0.2.3
          reason: request
link:
  description:
    - The link as observed at the end, with the options of the module; V(null) if there is none. Rates are in bits per
      second, times in microseconds.
  returned: success
  type: dict
  sample:
    name: tenant
    netns: ""
    kind: vxlan
    up: true
    mac: 02:5d:31:77:0e:c4
    mtu: 1450
    addresses: []
    vxlan:
      vni: 42
      remote: ""
      local: 192.0.2.1
      port: 4789
      learning: false
      flood:
        - 192.0.2.2
      fdb:
        - mac: 02:00:00:00:00:0a
          remote: 192.0.2.2
          vni: 42
          port: 4789
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.link import Link


def main() -> None:
    """Run the module."""
    _module.run(Link)


if __name__ == "__main__":
    main()
