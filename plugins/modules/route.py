#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: route
short_description: Manage routes
version_added: 1.0.0
description:
  - Adds, changes and removes one IPv4 or IPv6 route of the host or of a network namespace.
  - A route is told from others by O(destination), O(table) and O(metric), as the kernel does it. All else is changed in
    place, by one message, so that no packet finds no route meanwhile.
  - The route is read from the kernel on every run.
  - Routes that the module makes carry the protocol number V(110), which C(ip route) shows as C(proto 110). A line
    C(110 nsfleet) in C(/etc/iproute2/rt_protos) gives it a name.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
options:
  destination:
    description:
      - The network that the route leads to, such as V(10.3.0.0/16) or V(fd00:3::/64), or the address of a host.
      - V(default) is V(::/0) if O(via) or O(source) is an IPv6 address, else V(0.0.0.0/0).
    type: str
    required: true
  netns:
    description:
      - Network namespace of the route, by its name, by a path that starts with a slash, or by the id of a process that
        runs in it.
      - Empty for the namespace that the module runs in, which is the host's.
    type: str
    default: ""
  state:
    description:
      - Whether the route is to be there.
    type: str
    default: present
    choices:
      present: The route exists and is as the other options say.
      absent: There is no route of this destination, table and metric.
  table:
    description:
      - Routing table, by number, or by name as C(ip route) knows it (V(main), V(local), V(default), and those in
        C(/etc/iproute2/rt_tables)).
    type: str
    default: main
  metric:
    description:
      - Of several routes to a destination, the one with the lowest metric is used.
      - By default 0 for IPv4 and 1024 for IPv6, which are also the kernel's. IPv6 has no metric 0.
    type: int
  type:
    description:
      - What becomes of packets.
    type: str
    default: unicast
    choices:
      unicast: They are sent by O(via) and O(dev).
      blackhole: They are dropped.
      unreachable: They are dropped, and the sender is told that the destination cannot be reached.
      prohibit: They are dropped, and the sender is told that this is not allowed.
      throw: The search goes on in the next table.
  via:
    description:
      - Address of the gateway; empty if the destination is on the link itself.
      - A route of IPv4 may have a gateway of IPv6.
    type: str
    default: ""
  dev:
    description:
      - Link by which packets leave. It has to be up.
      - Empty for the link that O(via) is on.
    type: str
    default: ""
  source:
    description:
      - Address of the host that packets of its own get when they take this route; empty for none in particular.
    type: str
    default: ""
  nexthops:
    description:
      - Several ways to the destination, among which flows are shared out; instead of O(via) and O(dev).
      - They are written as a whole, in any order, and changed by one message.
    type: list
    elements: dict
    suboptions:
      via:
        description:
          - Address of the gateway; empty if the destination is on the link itself, which IPv6 does not have here.
          - A route of IPv4 may have a gateway of IPv6.
        type: str
        default: ""
      dev:
        description: Link by which packets leave; empty for the link that the gateway is on.
        type: str
        default: ""
      weight:
        description: How large its share is, of 1 to 256.
        type: int
        default: 1
      onlink:
        description: Take the gateway for reachable on the link even though no address of the link says so.
        type: bool
        default: false
  mtu:
    description:
      - Largest packet in bytes for this destination, up to 65520; 0 for what the link takes.
    type: int
    default: 0
  mtu_lock:
    description:
      - Do not believe what others say of the MTU on the way, and let packets be split instead.
    type: bool
    default: false
  advmss:
    description:
      - Largest TCP segment in bytes to ask the other side for, up to 65495; 0 for what goes with the MTU.
    type: int
    default: 0
  scope:
    description:
      - How far the destination is, for IPv4.
      - By default V(link) for a V(unicast) route without O(via) and O(nexthops), else V(global).
    type: str
    choices:
      global: Somewhere.
      site: In this site.
      link: On the link.
      host: On this host.
  onlink:
    description:
      - Take O(via) for reachable on O(dev) even though no address of the link says so.
    type: bool
    default: false
notes:
  - It needs the Python library pyroute2 0.7.2 or newer on the target, but only to change something.
  - M(nsfleet.linux.topology) with O(nsfleet.linux.topology#module:purge=owned) removes all routes of this collection
    that its task does not name.
  - A route goes with the link it leads over, and with the last address of O(source); the next run makes it again.
  - What the module has no option for, such as a window of a route that is adopted, is lost when the route is changed.
seealso:
  - module: nsfleet.linux.netns
  - module: nsfleet.linux.veth
  - module: nsfleet.linux.nat
  - module: nsfleet.linux.rule
"""

EXAMPLES = r"""
- name: A network namespace
  nsfleet.linux.netns:
    name: web

- name: It is linked with the host
  nsfleet.linux.veth:
    name: web0
    addresses:
      - 10.2.0.1/24
      - fd00:2::1/64
    peer:
      name: eth0
      netns: web
      addresses:
        - 10.2.0.10/24
        - fd00:2::10/64

- name: It sends everything to the host
  nsfleet.linux.route:
    netns: web
    destination: default
    via: 10.2.0.1

- name: And by IPv6
  nsfleet.linux.route:
    netns: web
    destination: default
    via: fd00:2::1
    source: fd00:2::10

- name: The host reaches a network behind it
  nsfleet.linux.route:
    destination: 10.20.0.0/16
    via: 10.2.0.10
    dev: web0
    metric: 50

- name: Nothing of the rest of that range leaves the host
  nsfleet.linux.route:
    destination: 10.0.0.0/8
    type: unreachable
    metric: 4096

- name: Two ways to another network, of which one gets twice as much, with packets that a tunnel can carry
  nsfleet.linux.route:
    netns: web
    destination: 10.30.0.0/16
    mtu: 1420
    nexthops:
      - via: 10.2.0.1
        weight: 2
      - via: 10.2.0.2

- name: No such route
  nsfleet.linux.route:
    destination: 10.20.0.0/16
    metric: 50
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
      sample: route 10.20.0.0/16 metric 50
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
          description: Path of the option.
          type: str
          sample: via
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
route:
  description: The route as observed at the end; V(null) if there is none.
  returned: success
  type: dict
  contains:
    destination:
      description: The network it leads to.
      type: str
      sample: 10.20.0.0/16
    table:
      description: Number of its table.
      type: int
      sample: 254
    metric:
      description: Its metric.
      type: int
      sample: 50
    type:
      description: What becomes of packets.
      type: str
      sample: unicast
    via:
      description: Address of the gateway, empty for none.
      type: str
      sample: 10.2.0.10
    dev:
      description: The link that packets leave by, empty for none.
      type: str
      sample: web0
    source:
      description: Address that packets of the host get, empty for none in particular.
      type: str
      sample: ""
    scope:
      description: How far the destination is.
      type: str
      sample: global
    onlink:
      description: Whether the gateway is taken for reachable.
      type: bool
      sample: false
    nexthops:
      description: Where the route leads, if it has several ways; else empty.
      type: list
      elements: dict
      contains:
        via:
          description: Address of the gateway, empty for none.
          type: str
          sample: 10.2.0.10
        dev:
          description: The link that packets leave by.
          type: str
          sample: web0
        weight:
          description: How large its share is.
          type: int
          sample: 1
        onlink:
          description: Whether the gateway is taken for reachable.
          type: bool
          sample: false
    mtu:
      description: Largest packet in bytes, 0 for what the link takes.
      type: int
      sample: 0
    mtu_lock:
      description: Whether what others say of the MTU is not believed.
      type: bool
      sample: false
    advmss:
      description: Largest TCP segment in bytes, 0 for what goes with the MTU.
      type: int
      sample: 0
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.route import Route


def main() -> None:
    """Run the module."""
    _module.run(Route)


if __name__ == "__main__":
    main()
