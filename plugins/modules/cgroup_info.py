#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cgroup_info
short_description: Tell limits, usage, processes and events of control groups
version_added: 1.0.0
description:
  - Tells of one control group, or of all that this collection made, what the kernel says of them now, in the words of
    cgroup v2 whatever version each controller is on.
  - Tells which hierarchies of control groups the host has, and which one each controller is on.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes.INFO
options:
  name:
    description:
      - Name of one group, as in M(nsfleet.linux.cgroup). With a leading slash, the path from the root of the
        hierarchies; any group can be named so.
      - Without it, all groups that this collection made.
    type: str
seealso:
  - module: nsfleet.linux.cgroup
"""

EXAMPLES = r"""
- name: All groups of this collection, and the host
  nsfleet.linux.cgroup_info:
  register: found

- name: Is there a group whose processes ran out of memory?
  ansible.builtin.debug:
    msg: "{{ found.cgroups | selectattr('events.memory.oom_kill', 'defined')
      | selectattr('events.memory.oom_kill') | map(attribute='name') }}"

- name: Which version of cgroups limits memory here?
  ansible.builtin.debug:
    var: found.host.controllers.memory.version
"""

RETURN = r"""
host:
  description: The hierarchies of the host.
  returned: success
  type: dict
  contains:
    mode:
      description: V(unified) for cgroup v2, V(legacy) for v1, V(hybrid) for both.
      type: str
      sample: unified
    systemd:
      description: Whether systemd is the init process.
      type: bool
      sample: true
    base:
      description: Where groups are whose names have no leading slash.
      type: str
      sample: /nsfleet.slice/nsfleet.service
    controllers:
      description: Controllers, by name, with version and mount point.
      type: dict
      sample:
        memory:
          version: 2
          mount_point: /sys/fs/cgroup
cgroups:
  description: The groups, sorted by path; empty if there is none. All limits are told, those that nobody set, too.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name, as M(nsfleet.linux.cgroup) takes it.
      type: str
      sample: web
    path:
      description: Path from the root of each hierarchy.
      type: str
      sample: /nsfleet/web
    ours:
      description: Whether the collection made it.
      type: bool
      sample: true
    directories:
      description: The directories of the group, by the controllers of the hierarchy; V(unified) is cgroup v2.
      type: dict
      sample:
        unified: /sys/fs/cgroup/nsfleet/web
    controllers:
      description: All controllers that the group has.
      type: list
      elements: str
      sample:
        - cpu
        - memory
    children:
      description: Names of the groups directly inside it.
      type: list
      elements: str
      sample: []
    processes:
      description: The processes in it, without those of groups inside it.
      type: list
      elements: dict
      contains:
        pid:
          description: Id of the process.
          type: int
          sample: 4711
        command:
          description: Its command, as C(ps -o comm) shows it.
          type: str
          sample: nginx
    frozen:
      description: Whether the group is to stand still.
      type: bool
      sample: false
    memory_max:
      description: One of the limits, which have the names that they have in M(nsfleet.linux.cgroup).
      type: str
      sample: "536870912"
    usage:
      description: >-
        For each controller, what the group and those inside it use and used, in bytes, microseconds and counts.
      type: dict
      sample:
        cpu:
          usage_usec: 52113
          user_usec: 30001
          system_usec: 22112
          nr_periods: 10
          nr_throttled: 2
          throttled_usec: 8100
        memory:
          current: 1445888
          peak: 3317760
          swap_current: 0
        pids:
          current: 1
          peak: 3
    events:
      description: For each controller, how often limits were reached, and what came of it.
      type: dict
      sample:
        cgroup:
          populated: 1
          frozen: 0
        memory:
          max: 0
          oom_kill: 0
    psi:
      description: >-
        How long processes waited for each resource, in percent of the last 10, 60 and 300 s, and microseconds.
      type: dict
      sample:
        cpu:
          some:
            avg10: 0.0
            avg60: 0.0
            avg300: 0.0
            total: 1234
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.cgroup_info import TABLE, gather


def main() -> None:
    """Run the module."""
    _module.run_info(TABLE, gather)


if __name__ == "__main__":
    main()
