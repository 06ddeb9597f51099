#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns
short_description: Manage named network namespaces
version_added: 1.0.0
description:
  - Creates, attaches, repairs and removes network namespaces in C(/run/netns), with the locks and mounts of
    C(ip-netns(8)), so that C(ip netns) sees those of this module and this module sees those of C(ip netns).
  - The namespace is read from the kernel on every run. A name whose mount was lost is found and mended.
  - A namespace that the module makes is marked by the group of its loopback interface.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
options:
  name:
    description:
      - Name of the namespace, as C(ip netns) shows it.
      - Not a number, since other options take a number for a process id.
    type: str
    required: true
  state:
    description:
      - Whether the name is to be there.
    type: str
    default: present
    choices:
      present: The namespace exists and is as the other options say.
      absent: The name is gone, and the namespace with it unless something else holds it.
  pid:
    description:
      - Give the name to the network namespace that this process runs in, instead of making a new one.
      - If the name belongs to another namespace, it is taken from that one.
    type: int
  path:
    description:
      - Give the name to the network namespace at this path, instead of making a new one.
    type: path
  loopback:
    description:
      - Whether the loopback interface is up.
    type: bool
    default: true
  sysctls:
    description:
      - Kernel parameters inside the namespace; only V(net.*), since a network namespace has no others of its own.
      - Where a name holds a dot, separate with slashes, as in V(net/ipv4/conf/eth0.5/forwarding).
      - A parameter that disappears from here goes back to the value it had before this module changed it.
    type: dict
  resolver:
    description:
      - Content of C(/etc/netns/NAME/resolv.conf), which C(ip netns exec) mounts over C(/etc/resolv.conf).
    type: dict
    suboptions:
      nameservers:
        description: Addresses of name servers, in the order in which they are asked.
        type: list
        elements: str
      search:
        description: Domains in which short names are looked up.
        type: list
        elements: str
      options:
        description: Options of C(resolv.conf(5)), such as V(ndots:2).
        type: list
        elements: str
  files:
    description:
      - File names to contents in C(/etc/netns/NAME); C(ip netns exec) mounts each over the one of that name in
        C(/etc).
      - Files that are not named here are left alone. A file that disappears from here is removed, or gets back the
        content that it had before.
    type: dict
  in_use:
    description:
      - What to do with O(state=absent) when processes still run in the namespace or hold a descriptor of it.
    type: str
    default: fail
    choices:
      fail: Remove nothing, and fail with the list of these processes.
      leave: Remove the name; the namespace lives on until they end.
      kill: Kill them, then remove the name.
seealso:
  - module: nsfleet.linux.veth
  - module: nsfleet.linux.namespace_info
"""

EXAMPLES = r"""
- name: A network namespace with its loopback up
  nsfleet.linux.netns:
    name: web

- name: A router with its own kernel parameters and name servers
  nsfleet.linux.netns:
    name: router
    sysctls:
      net.ipv4.ip_forward: 1
      net.ipv6.conf.all.forwarding: 1
    resolver:
      nameservers:
        - 10.2.0.1
        - fd00::1
      search:
        - example.org
    files:
      hosts: |
        127.0.0.1 localhost
        10.2.0.10 web

- name: Which process is the shop?
  ansible.builtin.slurp:
    src: /run/shop.pid
  register: shop

- name: A name for the network namespace that it made for itself
  nsfleet.linux.netns:
    name: shop
    pid: "{{ shop.content | b64decode }}"

- name: Only report what somebody changed by hand
  nsfleet.linux.netns:
    name: router
    sysctls:
      net.ipv4.ip_forward: 1
    on_drift: warn

- name: No such namespace, whatever still runs in it
  nsfleet.linux.netns:
    name: web
    state: absent
    in_use: kill
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
      sample: netns web
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
          sample: sysctls[net.ipv4.ip_forward]
        before:
          description: Value that was observed.
          type: raw
          sample: "0"
        after:
          description: Value that was set.
          type: raw
          sample: "1"
        reason:
          description: V(request) by the task, V(drift) behind our back, or V(revert) of an option that disappeared.
          type: str
          sample: drift
netns:
  description: The namespace as observed at the end; V(null) if there is none.
  returned: success
  type: dict
  contains:
    name:
      description: Name in C(/run/netns).
      type: str
      sample: web
    mounted:
      description: Whether there is a namespace behind the name.
      type: bool
      sample: true
    namespace:
      description: Which namespace it is, as C(readlink /proc/PID/ns/net) shows it.
      type: str
      sample: net:[4026532841]
    loopback:
      description: Whether the loopback interface is up.
      type: bool
      sample: true
    sysctls:
      description: Kernel parameters that the task named.
      type: dict
      sample:
        net.ipv4.ip_forward: "1"
    files:
      description: Files in C(/etc/netns/NAME) and their contents.
      type: dict
      sample:
        resolv.conf: "nameserver 10.2.0.1\n"
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.netns import Netns


def main() -> None:
    """Run the module."""
    _module.run(Netns)


if __name__ == "__main__":
    main()
