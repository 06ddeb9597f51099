#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rule
short_description: Manage rules of policy routing
version_added: 1.0.0
description:
  - Adds, changes and removes one rule of IPv4 or IPv6 that says which packets are routed by which table, on the host or
    in a network namespace.
  - A rule is told from others by O(family) and O(priority), of which each has at most one rule of this module. All else
    is changed by adding the new rule and removing the old one, in this order, so that no packet finds neither.
  - The kernel itself may have many rules of one priority, and asks them in the order in which they were added. What a
    packet meets then depends on what was repaired when, so this module has none of them. For the same reason there is
    no default for O(priority) - the kernel's own is one less than the lowest of the rules that happen to be there.
  - The rule is read from the kernel on every run.
  - Rules that the module makes carry the protocol number V(110), which C(ip -d rule) shows as C(proto 110). A line
    C(110 nsfleet) in C(/etc/iproute2/rt_protos) gives it a name.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
options:
  priority:
    description:
      - Packets meet rules in the order of their priorities, from the lowest to the highest.
      - The kernel has its own at V(0) (table V(local)), V(32766) (V(main)) and V(32767) (V(default)).
    type: int
    required: true
  family:
    description:
      - Whether the rule is for packets of IPv4 or IPv6.
      - By default that of O(from) and O(to), and V(ipv4) where there is neither.
    type: str
    choices: [ipv4, ipv6]
  netns:
    description:
      - Network namespace of the rule, by its name, by a path that starts with a slash, or by the id of a process that
        runs in it.
      - Empty for the namespace that the module runs in, which is the host's.
    type: str
    default: ""
  state:
    description:
      - Whether the rule is to be there.
    type: str
    default: present
    choices:
      present: The rule exists and is as the other options say.
      absent: There is no rule of ours with this family and priority.
  from:
    description:
      - Packets from this network, such as V(10.3.0.0/16), or from the address of a host; empty for any.
    type: str
    default: ""
  to:
    description:
      - Packets to this network, or to the address of a host; empty for any.
    type: str
    default: ""
  iif:
    description:
      - Packets that came by this link; V(lo) for those of the host itself; empty for any. The link need not be there.
    type: str
    default: ""
  oif:
    description:
      - Packets of sockets that are bound to this link; empty for any. The link need not be there.
    type: str
    default: ""
  fwmark:
    description:
      - Packets with this mark, such as V(0x10), or with the mask that it is compared by, such as V(0x10/0xff).
        Empty for any.
    type: str
    default: ""
  tos:
    description:
      - Packets with this type of service, such as V(0x10), which is the DSCP with two zero bits behind it; empty for
        any.
      - Before Linux 5.17, IPv4 has no others here than V(0x4) to V(0x1c).
    type: str
    default: ""
  ipproto:
    description:
      - Packets of this protocol, by number, or by name (V(tcp), V(udp), V(icmp), V(icmpv6), V(sctp) and a few more);
        empty for any.
    type: str
    default: ""
  sport:
    description:
      - Packets from these ports, such as V(80) or V(8000-8010), up to 65534; empty for any.
    type: str
    default: ""
  dport:
    description:
      - Packets to these ports; empty for any.
    type: str
    default: ""
  uidrange:
    description:
      - Packets of sockets of these users, by number, such as V(1000) or V(1000-1999); empty for any.
    type: str
    default: ""
  invert:
    description:
      - The rule is for all packets but those that the options say.
    type: bool
    default: false
  action:
    description:
      - What becomes of packets.
    type: str
    default: lookup
    choices:
      lookup: They are routed by O(table); if it has no route for them, they meet the next rule.
      blackhole: They are dropped.
      unreachable: They are dropped, and the sender is told that the destination cannot be reached.
      prohibit: They are dropped, and the sender is told that this is not allowed.
  table:
    description:
      - Routing table, by number, or by name as C(ip route) knows it (V(main), V(local), V(default), and those in
        C(/etc/iproute2/rt_tables)). It need not have routes.
      - Required for O(action=lookup), and for nothing else.
    type: str
  suppress_prefixlength:
    description:
      - Routes of O(table) with a prefix of this length or shorter do not count; V(0) takes no default routes from it.
        V(-1) for none.
    type: int
    default: -1
notes:
  - M(nsfleet.linux.topology) with O(nsfleet.linux.topology#module:purge=owned) removes all rules of this collection
    that its task does not name.
  - The kernel keeps rules when their links go, and when their tables are emptied.
seealso:
  - module: nsfleet.linux.route
  - module: nsfleet.linux.topology
"""

EXAMPLES = r"""
- name: A network namespace
  nsfleet.linux.netns:
    name: web

- name: What has an address of this network goes by a table of its own
  nsfleet.linux.rule:
    netns: web
    priority: 1000
    from: 10.2.0.0/24
    table: "100"

- name: So does what the firewall marked, by IPv6
  nsfleet.linux.rule:
    netns: web
    priority: 1000
    family: ipv6
    fwmark: 0x10/0xff
    table: "100"

- name: All but DNS of these users goes by a tunnel
  nsfleet.linux.rule:
    netns: web
    priority: 1010
    uidrange: 1000-1999
    ipproto: udp
    dport: "53"
    invert: true
    table: "101"

- name: Before that, routes of the main table are taken, but for the default one
  nsfleet.linux.rule:
    netns: web
    priority: 900
    table: main
    suppress_prefixlength: 0

- name: Nothing leaves this network for private ones
  nsfleet.linux.rule:
    netns: web
    priority: 800
    from: 10.2.0.0/24
    to: 192.168.0.0/16
    action: prohibit

- name: No such rule
  nsfleet.linux.rule:
    netns: web
    priority: 800
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
      sample: rule ipv4 1000 in web
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
          sample: from
        before:
          description: Value that was observed.
          type: raw
          sample: 10.3.0.0/24
        after:
          description: Value that was set.
          type: raw
          sample: 10.2.0.0/24
        reason:
          description: V(request) by the task, V(drift) behind our back, or V(revert) of an option that disappeared.
          type: str
          sample: drift
rule:
  description: The rule as observed at the end; V(null) if there is none.
  returned: success
  type: dict
  contains:
    priority:
      description: Its priority.
      type: int
      sample: 1000
    family:
      description: Whether it is for IPv4 or IPv6.
      type: str
      sample: ipv4
    invert:
      description: Whether it is for packets that are not as the following says.
      type: bool
      sample: false
    from:
      description: Network that packets come from, empty for any.
      type: str
      sample: 10.2.0.0/24
    to:
      description: Network that packets go to, empty for any.
      type: str
      sample: ""
    iif:
      description: Link that packets came by, empty for any.
      type: str
      sample: ""
    oif:
      description: Link that sockets are bound to, empty for any.
      type: str
      sample: ""
    fwmark:
      description: Mark of packets, with its mask if that has not all bits; empty for any.
      type: str
      sample: 0x10/0xff
    tos:
      description: Type of service of packets, empty for any.
      type: str
      sample: "0x10"
    ipproto:
      description: Protocol of packets, empty for any.
      type: str
      sample: tcp
    sport:
      description: Ports that packets come from, empty for any.
      type: str
      sample: ""
    dport:
      description: Ports that packets go to, empty for any.
      type: str
      sample: 8000-8010
    uidrange:
      description: Users whose packets they are, empty for any.
      type: str
      sample: 1000-1999
    action:
      description: What becomes of packets.
      type: str
      sample: lookup
    table:
      description: Number of the table, 0 for none.
      type: int
      sample: 100
    suppress_prefixlength:
      description: Length of prefixes that do not count, -1 for none.
      type: int
      sample: -1
    others:
      description: What the rule has beside that if somebody made it so, such as C(l3mdev); else empty.
      type: list
      elements: str
      sample: []
    further:
      description: How many more rules of this priority somebody made.
      type: int
      sample: 0
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rule import Rule


def main() -> None:
    """Run the module."""
    _module.run(Rule)


if __name__ == "__main__":
    main()
