#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nat_info
short_description: Tell who has the ports of a host
version_added: 1.0.0
description:
  - Tells what tasks of M(nsfleet.linux.nat) have in the table C(inet nsfleet), and which sockets of the host itself
    wait for somebody to call. Together they are who has a port.
  - Needs no nft; without it, nothing is published.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes.INFO
options:
  name:
    description: Name of one set of networks and published ports. Without it, all of them. Listeners are always told.
    type: str
  netns:
    description: Network namespace that is told of, by name, path, or id of a process in it; empty for the host's.
    type: str
    default: ""
seealso:
  - module: nsfleet.linux.nat
  - module: nsfleet.linux.namespace_info
"""

EXAMPLES = r"""
- name: Who has the ports of this host
  nsfleet.linux.nat_info:
  register: here

- name: Ports that lead into a network
  ansible.builtin.debug:
    msg: "{{ here.nats | map(attribute='publications') | flatten | map(attribute='port') }}"

- name: Ports that a process of the host listens on
  ansible.builtin.debug:
    msg: "{{ here.listeners | map(attribute='port') | unique | sort }}"
"""

RETURN = r"""
nats:
  description:
    - The sets of networks and published ports, sorted by name, each with the options of M(nsfleet.linux.nat) and the
      values below.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the set.
      type: str
      sample: service-web
    networks:
      description: Its networks; left out if there is none.
      type: list
      elements: dict
      sample:
        - subnet: 10.2.0.0/24
          link: nsdemo
          masquerade: true
    isolate:
      description: Links between which nothing is forwarded; left out if there is none.
      type: list
      elements: str
      sample:
        - nsdemo
    publications:
      description: Its published ports, each protocol by itself.
      type: list
      elements: dict
      contains:
        address:
          description: Address of the host; V(0.0.0.0) and V(::) for all.
          type: str
          sample: 0.0.0.0
        port:
          description: Port, or range of ports.
          type: str
          sample: "8080"
        protocol:
          description: Protocol.
          type: str
          sample: tcp
        to:
          description: Address that it leads to.
          type: str
          sample: 10.2.0.58
        to_port:
          description: Port that it leads to, of a range the first one.
          type: int
          sample: 80
        localhost:
          description: Whether it answers on C(127.0.0.1), too.
          type: bool
          sample: true
listeners:
  description: Sockets that wait for somebody to call, sorted by protocol, address and port.
  returned: success
  type: list
  elements: dict
  contains:
    protocol:
      description: V(tcp), V(udp) or V(sctp). A socket of UDP is one that is bound and not connected.
      type: str
      sample: tcp
    address:
      description: Address that it is bound to; V(0.0.0.0) and V(::) for all.
      type: str
      sample: 0.0.0.0
    port:
      description: Its port.
      type: int
      sample: 22
    process:
      description: A process that has it open; V(null) if there is none that may be looked at.
      type: dict
      contains:
        pid:
          description: Id of the process.
          type: int
          sample: 815
        command:
          description: Its command, as C(ps -o comm) shows it.
          type: str
          sample: sshd
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import nat_info


def main() -> None:
    """Run the module."""
    _module.run_info(nat_info.TABLE, nat_info.gather)


if __name__ == "__main__":
    main()
