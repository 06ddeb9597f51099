#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nat
short_description: Manage masquerading, published ports and isolation of networks
version_added: 1.0.0
description:
  - Gives networks behind links of the host a way out (masquerading or SNAT), gives ports of the host a way in to
    services behind it (published ports), and keeps networks apart.
  - All of it is elements of sets and maps in one nftables table, C(inet nsfleet), whose rules are the same on every
    host. So a packet, and a change, cost the same with one published port and with thousands. Other tables are never
    touched.
  - A task speaks of one named set of networks and ports, exactly. What is in the table under its O(name) and not in
    the task is removed; what tasks of other names put there is left alone. Each element of the table carries the name
    it belongs to as its comment, so that the kernel itself knows whose it is, and no file has to.
  - The table is read from the kernel on every run. A rule or element that was removed, changed or added by hand is
    found and put right.
  - Everything that a run changes is one nftables transaction. Connections that are open stay open; UDP streams to
    ports that changed begin anew.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
options:
  name:
    description:
      - Name of this set of networks and ports, 1 to 64 letters, digits, V(_), V(.) and V(-).
      - The whole NAT of a host can be one task with one name, or each service has a task and a name of its own.
      - Ports and networks of different names must not collide.
    type: str
    required: true
  netns:
    description:
      - Network namespace to work in, by its name, by a path that starts with a slash, or by the id of a process that
        runs in it.
      - Empty for the namespace that the module runs in, which is the host's.
    type: str
    default: ""
  state:
    description:
      - Whether the set is to be in the table.
      - The table goes with the last set in it.
    type: str
    default: present
    choices:
      present: The networks and ports of this name are those of the task. If there are none, this is V(absent).
      absent: Nothing of this name is in the table.
  networks:
    description:
      - Networks that are behind a link of the host.
      - Besides what the options say, hosts of such a network reach each other, and themselves, by the host's published
        ports (hairpin). Where bridged packets pass the rules of IP (C(net.bridge.bridge-nf-call-iptables) is 1), that
        also needs the bridge's port of the target to have C(hairpin) on.
      - They must not overlap.
    type: list
    elements: dict
    default: []
    suboptions:
      subnet:
        description: The network, such as V(10.2.0.0/24) or V(fd00:2::/64).
        type: str
        required: true
      link:
        description:
          - Name of the link that the network is behind, usually a bridge.
          - It need not be there yet.
        type: str
        required: true
      masquerade:
        description:
          - Whether packets from the network that leave by other links get the address of that link as their source.
          - V(false) for networks that others have a route to.
        type: bool
        default: true
      source:
        description:
          - Address that they get instead of the link's (SNAT).
        type: str
        default: ""
  publish:
    description:
      - Ports of the host that lead to a service behind it.
      - They are reached from outside, from the host itself, and from the networks behind it.
      - A port that a process of the host listens on, or that another set has, is refused.
    type: list
    elements: dict
    default: []
    suboptions:
      port:
        description:
          - Port of the host, such as V(8080), or a range, such as V(8000-8010).
        type: str
        required: true
      protocols:
        description: Protocols that the port is published for.
        type: list
        elements: str
        choices:
          - tcp
          - udp
          - sctp
        default:
          - tcp
      address:
        description:
          - Address of the host that has the port; it need not be there yet.
          - Empty for all addresses of the family of O(publish[].to).
        type: str
        default: ""
      to:
        description: Address of the service, IPv4 or IPv6.
        type: str
        required: true
      to_port:
        description:
          - Port of the service; for a range, the first one.
          - By default the same as O(publish[].port). Only then a range is one element of the table, however long it is.
        type: int
      localhost:
        description:
          - Whether processes of the host reach the port by way of C(127.0.0.0/8), too. This concerns IPv4 ports of all
            addresses, or of one in that network; there is no such way by C(::1).
          - For this, C(route_localnet) of the link that the service is on is turned on, and off again with the last
            such port. Packets that neighbours send to C(127.0.0.0/8) are dropped by the table.
        type: bool
        default: true
  isolate:
    description:
      - Links between which no packets are forwarded, whatever is behind them, but for those to published ports.
      - This concerns all links that any set isolates. A link can be in one set only.
    type: list
    elements: str
    default: []
  adopt:
    description:
      - This has no effect here. A table C(inet nsfleet) is this collection's by its name.
    type: bool
    default: false
notes:
  - It needs nftables 1.0.6 or newer on the target, and a kernel that forwards (C(net.ipv4.ip_forward),
    C(net.ipv6.conf.all.forwarding)). The role nsfleet.linux.host prepares both.
  - No table can let pass what another one drops. If a chain of another firewall (Docker, ufw, firewalld) drops
    forwarded packets, the module warns and says what to do there. It sees what C(nft) sees, which the rules of
    C(iptables-legacy) are no part of.
seealso:
  - module: nsfleet.linux.bridge
  - module: nsfleet.linux.route
  - plugin: nsfleet.linux.address
    plugin_type: filter
"""

EXAMPLES = r"""
- name: A router that forwards
  nsfleet.linux.netns:
    name: router
    sysctls:
      net.ipv4.ip_forward: 1
      net.ipv6.conf.all.forwarding: 1

- name: Networks behind two of its bridges have a way out, but none to each other
  nsfleet.linux.nat:
    name: networks
    netns: router
    networks:
      - subnet: 10.2.0.0/24
        link: nsbr
      - subnet: 2001:db8:2::/64
        link: nsbr
        masquerade: false
      - subnet: 10.3.0.0/24
        link: dmz
        source: 192.0.2.7
    isolate:
      - nsbr
      - dmz

- name: A web service and its name server, by a set of their own
  nsfleet.linux.nat:
    name: web
    netns: router
    publish:
      - port: 8080
        to: 10.2.0.10
        to_port: 80
        localhost: false
      - port: 8080
        to: 2001:db8:2::10
        to_port: 80
      - port: 53
        protocols:
          - tcp
          - udp
        address: 192.0.2.7
        to: 10.2.0.11
      - port: 30000-30999
        protocols:
          - udp
        to: 10.2.0.12
        localhost: false

- name: The service is no longer published
  nsfleet.linux.nat:
    name: web
    netns: router
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
      sample: nat web
    action:
      description: What the step does with it.
      type: str
      sample: set
    effect:
      description: V(live), V(restart) or V(recreate).
      type: str
      sample: live
    changes:
      description: The options that the step changes.
      type: list
      elements: dict
      contains:
        option:
          description: Path of the option. What O(publish) asks for is called C(publications), each by a name.
          type: str
          sample: publications[0.0.0.0:8080/tcp].to
        before:
          description: Value that was observed.
          type: raw
          sample: 10.2.0.9
        after:
          description: Value that was set.
          type: raw
          sample: 10.2.0.10
        reason:
          description: V(request) by the task, V(drift) behind our back, or V(revert) of an option that disappeared.
          type: str
          sample: drift
nat:
  description: The set as observed at the end; V(null) if there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Name of the set.
      type: str
      sample: web
    networks:
      description: Networks behind links of the host.
      type: list
      elements: dict
      contains:
        subnet:
          description: The network.
          type: str
          sample: 10.2.0.0/24
        link:
          description: The link it is behind.
          type: str
          sample: nsbr
        masquerade:
          description: Whether its packets get another source address when they leave by another link.
          type: bool
          sample: true
        source:
          description: That address; empty for the link's.
          type: str
          sample: ""
    publications:
      description: Published ports, one for each protocol.
      type: list
      elements: dict
      contains:
        address:
          description: Address of the host; V(0.0.0.0) and V(::) for all of them.
          type: str
          sample: 0.0.0.0
        port:
          description: Port or range of ports of the host.
          type: str
          sample: "8080"
        protocol:
          description: V(tcp), V(udp) or V(sctp).
          type: str
          sample: tcp
        to:
          description: Address of the service.
          type: str
          sample: 10.2.0.10
        to_port:
          description: Port of the service; of a range, the first one.
          type: int
          sample: 80
        localhost:
          description: Whether it is reached by way of C(127.0.0.0/8).
          type: bool
          sample: true
    isolate:
      description: Links between which no packets are forwarded.
      type: list
      elements: str
      sample: [nsbr, dmz]
    altered:
      description: What somebody changed in the table by hand and was not put right; left out when there is nothing.
      type: list
      elements: str
      sample: ["missing: ct status dnat accept (chain forward)"]
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.nat import Nat


def main() -> None:
    """Run the module."""
    _module.run(Nat)


if __name__ == "__main__":
    main()
