#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: topology
short_description: Bring the networks, control groups and containers of a host to a state in one task
version_added: 1.0.0
description:
  - Takes all objects of a host at once, reads what is there, plans, and changes what differs, as one transaction. If
    anything fails, everything is put back as it was.
  - Each entry takes exactly the options of the module of its kind, and is validated by the same table.
  - Works out the order by itself. What one entry makes, another one may need - a namespace, a bridge, a link, the
    address behind which a gateway is. Entries may be in any order, and what leaves goes before what comes.
  - All errors are told at once, each with the path of its option, such as C(veths[12].peer.addresses[0]), before
    anything is touched. Two entries for one object are an error, and so are two links with one name or one address in
    a namespace, and a bridge with more ports than the kernel lets it have (1023).
  - A task that changes nothing only reads.
  - A run that was killed is finished or undone by the next run of the same task. What it left of one kind, the next run
    of the module of that kind finds, too.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
attributes:
  action:
    description: An action plugin of the same name runs the module, and has a part in it on the controller.
    details: With O(confirm_timeout), it comes back over a new connection and confirms the change.
    support: full
  async:
    description: The task can run in the background.
    details: Not with O(confirm_timeout), with which the task itself has to come back.
    support: partial
options:
  netns:
    description: Network namespaces, each with the options of M(nsfleet.linux.netns).
    type: list
    elements: dict
  bridges:
    description: Bridges, each with the options of M(nsfleet.linux.bridge).
    type: list
    elements: dict
  veths:
    description: Veth pairs, each with the options of M(nsfleet.linux.veth).
    type: list
    elements: dict
  links:
    description: Links of all other kinds, each with the options of M(nsfleet.linux.link).
    type: list
    elements: dict
  routes:
    description: Routes, each with the options of M(nsfleet.linux.route).
    type: list
    elements: dict
  rules:
    description: Rules of policy routing, each with the options of M(nsfleet.linux.rule).
    type: list
    elements: dict
  nat:
    description: Sets of networks and published ports, each with the options of M(nsfleet.linux.nat).
    type: list
    elements: dict
  cgroups:
    description: Control groups, each with the options of M(nsfleet.linux.cgroup).
    type: list
    elements: dict
  containers:
    description:
      - Containers, each with the options of M(nsfleet.linux.container).
      - Not those that run for one task only (C(detach=false)).
    type: list
    elements: dict
  state:
    description:
      - Whether the objects are to be there. An entry may say C(state=absent) for itself.
    type: str
    default: present
    choices:
      present: Each entry is as its own options say.
      absent: No entry is there, whatever its own options say.
  purge:
    description:
      - What to do with objects that this collection made and that no entry names.
      - Concerns the kinds of which the task has a list, be it an empty one. A kind whose option is left out is not
        looked at.
      - Links are found by their marks in every namespace, and routes and rules by the number of their protocol in the
        host's namespace and in those that have a name. Network namespaces and containers are found wherever they are,
        and sets of published ports and control groups by what earlier runs recorded.
    type: str
    default: none
    choices:
      none: They stay.
      owned: They are removed. What others made stays.
  adopt:
    description: What entries that do not say it themselves have for C(adopt).
    type: bool
    default: false
  on_drift:
    description: What entries that do not say it themselves have for C(on_drift).
    type: str
    default: apply
    choices:
      apply: Repair what drifted.
      warn: Leave what drifted, and warn.
      fail: Change nothing, and fail with the list of what drifted.
  confirm_timeout:
    description:
      - Seconds within which the controller has to come back over a new connection and confirm a change, from 1 to 250.
        Unless it does, the host puts everything back as it was, by itself - a bridge that took the address of the host
        with it, a route that leads nowhere.
      - The task does all of that. Before the host is touched, a process is started there that takes the change back,
        also when the task itself dies half-way. It needs neither systemd nor NetworkManager.
      - What the task removed is made anew, with the options that this collection has for it.
      - Until then, other tasks that change the network of the host wait.
      - For kinds of the network only, not together with O(cgroups) and O(containers).
    type: float
  confirm:
    description:
      - Confirms a change that waits for it. It cannot be together with options that say what is to be.
      - The task with O(confirm_timeout) does so by itself; this is for who runs the module in another way.
      - The value of RV(pending.token).
    type: str
seealso:
  - module: nsfleet.linux.netns
  - module: nsfleet.linux.bridge
  - module: nsfleet.linux.veth
  - module: nsfleet.linux.link
  - module: nsfleet.linux.route
  - module: nsfleet.linux.rule
  - module: nsfleet.linux.nat
  - module: nsfleet.linux.cgroup
  - module: nsfleet.linux.container
"""

EXAMPLES = r"""
- name: Two services on a bridge, one of them published
  nsfleet.linux.topology:
    bridges:
      - name: br-shop
        addresses: [10.40.0.1/24]
    netns:
      - name: web
      - name: db
    veths:
      - name: web0
        master: br-shop
        peer: {name: eth0, netns: web, addresses: [10.40.0.10/24]}
      - name: db0
        master: br-shop
        peer: {name: eth0, netns: db, addresses: [10.40.0.11/24]}
    routes:
      - {destination: default, netns: web, via: 10.40.0.1}
      - {destination: default, netns: db, via: 10.40.0.1}
    nat:
      - name: shop
        networks:
          - {subnet: 10.40.0.0/24, link: br-shop}
        publish:
          - {port: "8080", to: 10.40.0.10, to_port: 80}

- name: The same without the database, of which nothing is left
  nsfleet.linux.topology:
    purge: owned
    bridges:
      - name: br-shop
        addresses: [10.40.0.1/24]
    netns:
      - name: web
    veths:
      - name: web0
        master: br-shop
        peer: {name: eth0, netns: web, addresses: [10.40.0.10/24]}
    routes:
      - {destination: default, netns: web, via: 10.40.0.1}
    nat:
      - name: shop
        networks:
          - {subnet: 10.40.0.0/24, link: br-shop}
        publish:
          - {port: "8080", to: 10.40.0.10, to_port: 80}

- name: A change that may cut this connection heals itself
  nsfleet.linux.topology:
    confirm_timeout: 30
    bridges:
      - name: br-shop
        addresses: [10.40.0.254/24]

- name: Nothing of ours in the network of this host
  nsfleet.linux.topology:
    purge: owned
    netns: []
    bridges: []
    veths: []
    links: []
    routes: []
    rules: []
    nat: []
"""

RETURN = r"""
plan:
  description: What was done, or in check mode would be done, step by step.
  returned: success
  type: list
  elements: dict
  contains:
    target:
      description: Kind and name of the object.
      type: str
      sample: veth web0
    action:
      description: What the step does.
      type: str
      sample: set
    effect:
      description: What the change does to what runs - V(live), V(restart) or V(recreate).
      type: str
      sample: live
    changes:
      description: The options that get another value.
      type: list
      elements: dict
      contains:
        option:
          description: Path of the option.
          type: str
          sample: peer.mtu
        before:
          description: The value before, null if there was none.
          type: raw
          sample: 1500
        after:
          description: The value after, null if it is taken away.
          type: raw
          sample: 9000
        reason:
          description: V(request), V(drift), or V(revert) for an option that disappeared from the task.
          type: str
          sample: drift
pending:
  description:
    - What waits to be confirmed. The task does so, and returns it only if it was run in another way than by a playbook.
  returned: with O(confirm_timeout), if something was changed
  type: dict
  contains:
    token:
      description: What O(confirm) takes.
      type: str
    seconds:
      description: Within which that has to come.
      type: float
topology:
  description:
    - The objects as observed at the end, by the name of their kind, in the order in which they are made. Each is what
      the module of the kind returns.
  returned: success
  type: dict
  sample:
    netns:
      - name: web
        loopback: true
    bridge:
      - name: br-shop
        addresses:
          - 10.40.0.1/24
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module


def main() -> None:
    """Run the module."""
    _module.run_topology()


if __name__ == "__main__":
    main()
