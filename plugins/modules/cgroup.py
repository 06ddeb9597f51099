#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cgroup
short_description: Manage control groups of both versions
version_added: 1.0.0
description:
  - Creates, limits, repairs and removes control groups, on hosts with cgroup v2, with v1, and with both. Which version
    a controller is on is found out for each of them. The options are the same everywhere.
  - The kernel is asked on every run. A limit that somebody changed by hand is found and repaired.
  - Where systemd is the init process, groups live below the unit C(nsfleet.service), which the module makes when it is
    first needed, since systemd takes controllers away from groups anywhere else. Elsewhere, they live below
    C(/nsfleet).
  - A group that the module makes is marked by the extended attribute C(trusted.nsfleet) of its directories.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
  - nsfleet.linux._limits
options:
  name:
    description:
      - Name of the group. Groups lie inside each other by slashes, as in V(shop/web); those in between are made, too,
        and removed with the last group inside them.
      - With a leading slash, the path from the root of the hierarchies. Where systemd is the init process, it has to
        lie below a unit with C(Delegate=yes).
      - On cgroup v2, a group that gives controllers to groups inside it has no processes of its own.
    type: str
    required: true
  state:
    description:
      - Whether there is such a group.
    type: str
    default: present
    choices:
      present: The group exists and is as the other options say.
      absent: There is no such group.
  controllers:
    description:
      - Controllers that the group has even if no option needs them, so that they count, or can be given on.
        One of C(cpu), C(cpuacct), C(cpuset), C(devices), C(dmem), C(freezer), C(hugetlb), C(io), C(memory), C(misc),
        C(net_cls), C(net_prio), C(perf_event), C(pids) and C(rdma).
      - Those of options are added. More controllers are no difference, and none is ever taken away.
    type: list
    elements: str
  processes:
    description:
      - Ids of processes that are to be in the group. They are moved there with all their threads; what they start later
        is in the group from its beginning.
      - Processes that have ended are no error. Others that are in the group stay there, also those that disappear from
        here.
    type: list
    elements: int
  frozen:
    description:
      - Whether all processes of the group, and of those inside it, stand still.
      - If it disappears from the task, they go on.
    type: bool
  delegate:
    description:
      - Let a user manage what is inside the group; C(cgroups(7)) says which files are given away. The limits of the
        group itself are not.
      - On cgroup v2 only, since it is not safe on v1.
    type: dict
    suboptions:
      uid:
        description: Id of the user.
        type: int
        required: true
      gid:
        description: Id of the group of users.
        type: int
  max_depth:
    description:
      - How many groups deep the tree inside the group may be, or V(max). On cgroup v2 only.
    type: str
  max_descendants:
    description:
      - How many groups may be inside the group, or V(max). On cgroup v2 only.
    type: str
  pressure:
    description:
      - Whether the kernel counts how long the processes of the group wait for resources (PSI).
      - Since Linux 6.1, on cgroup v2 only.
    type: bool
  type:
    description:
      - Whether the group is one of processes or of threads. On cgroup v2 only.
      - A threaded group never becomes another one again, so it is made anew for that.
    type: str
    choices:
      domain: It is a group of whole processes.
      threaded: It lies inside another group of yours, and has threads of the processes of that one.
  settings:
    description:
      - Names of files of cgroupfs to texts, for what has no option, such as C(memory.swappiness) of v1 or
        C(io.bfq.weight) of v2. They are written as they are, so they depend on the version.
      - The text has to be what the kernel shows. Where a file has a line for each of several things, lines that are not
        named are left alone.
      - The controller of a file, which is its name before the first dot, is given to the group like those of options.
      - A setting that disappears from here goes back to what it was.
    type: dict
  kill:
    description:
      - Whether O(state=absent) kills the processes of the group and of those inside it, and removes groups inside it
        that other tasks made. Without it, the task fails and lists them.
    type: bool
    default: false
seealso:
  - module: nsfleet.linux.cgroup_info
  - module: nsfleet.linux.container
"""

EXAMPLES = r"""
- name: A group with limits
  nsfleet.linux.cgroup:
    name: web
    cpu_max: 1.5
    cpu_weight: 200
    memory_max: 512M
    pids_max: 100

- name: What the group is, uses and has gone through
  nsfleet.linux.cgroup_info:
    name: web
  register: web

- name: Which process is the daemon that is to be limited?
  ansible.builtin.slurp:
    src: /run/daemon.pid
  register: daemon

- name: Move it into the group, and stop it there
  nsfleet.linux.cgroup:
    name: web
    cpu_max: 1.5
    cpu_weight: 200
    memory_max: 512M
    pids_max: 100
    processes:
      - "{{ daemon.content | b64decode }}"
    frozen: true

- name: A group that may use three devices and no others
  nsfleet.linux.cgroup:
    name: sandbox
    devices:
      - /dev/null rw
      - /dev/zero r
      - c 1:9 r

- name: A group with a tenth of all memory, inside another one
  nsfleet.linux.cgroup:
    name: shop/cache
    memory_max: 10%

- name: No such groups, whatever still runs in them
  nsfleet.linux.cgroup:
    name: "{{ item }}"
    state: absent
    kill: true
  loop:
    - web
    - sandbox
    - shop/cache
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
      sample: cgroup web
    action:
      description: What the step does with it.
      type: str
      sample: set
    effect:
      description: V(live), V(restart) or V(recreate).
      type: str
      sample: live
    changes:
      description: The options that the step changes, each with O(ignore:option), value before, value after, and reason.
      type: list
      elements: dict
      sample:
        - option: memory_max
          before: max
          after: "536870912"
          reason: drift
cgroup:
  description:
    - The group as observed at the end, with the options of the module; V(null) if there is none.
    - Of the limits, those that the task names and those that are not as the kernel makes them, in the words of
      cgroup v2.
  returned: success
  type: dict
  contains:
    name:
      description: Name as the task gives it.
      type: str
      sample: web
    path:
      description: Path from the root of each hierarchy.
      type: str
      sample: /nsfleet/web
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
        - pids
    processes:
      description: Ids of all processes in the group.
      type: list
      elements: int
      sample:
        - 4711
    memory_max:
      description: One of the limits.
      type: str
      sample: "536870912"
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.cgroup import Cgroup


def main() -> None:
    """Run the module."""
    _module.run(Cgroup)


if __name__ == "__main__":
    main()
