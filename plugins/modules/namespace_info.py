#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: namespace_info
short_description: Tell of every namespace who is in it, who owns it and what keeps it
version_added: 1.0.0
description:
  - Tells of the namespaces of all eight types what C(lsns) shows, and more - owner, parent, processes, names and
    mounts, what keeps those that no process is in, and the containers and network namespaces of this collection that
    they belong to.
  - Finds namespaces by processes, by mounts in every mount namespace, and by the namespaces that they own or enclose;
    with O(holders), by open files and threads, too. One that is kept by something else alone, such as a socket, is told
    by no interface of the kernel.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes.INFO
options:
  type:
    description: Tell of these types only. The names are those in C(/proc/PID/ns).
    type: list
    elements: str
    choices:
      - time
      - cgroup
      - pid
      - user
      - uts
      - ipc
      - mnt
      - net
  pid:
    description: Tell of the namespaces that this process is in.
    type: int
  name:
    description: Tell of the network namespace that has this name in C(/run/netns).
    type: str
  path:
    description: Tell of the namespace behind this file, such as C(/run/netns/web) or C(/proc/4711/ns/mnt).
    type: path
  container:
    description: Tell of the namespaces other than the host's that processes of this container are in.
    type: str
  processes:
    description: List all processes of each namespace, not only the oldest.
    type: bool
    default: false
  holders:
    description:
      - Look for processes that keep a namespace by an open file, or by a thread that is in another namespace than its
        process.
      - It takes much longer where processes have many open files or threads.
    type: bool
    default: false
seealso:
  - module: nsfleet.linux.netns
  - module: nsfleet.linux.container
  - module: nsfleet.linux.container_info
"""

EXAMPLES = r"""
- name: All namespaces of the host
  nsfleet.linux.namespace_info:
  register: found

- name: Network namespaces that nothing runs in
  ansible.builtin.debug:
    msg: "{{ found.namespaces | selectattr('type', '==', 'net') | selectattr('process_count', '==', 0)
      | map(attribute='names') | flatten }}"

- name: User namespaces that somebody other than root made
  ansible.builtin.debug:
    msg: "{{ found.namespaces | selectattr('type', '==', 'user') | rejectattr('owner_uid', '==', 0) }}"

- name: A network namespace of a service
  nsfleet.linux.netns:
    name: web

- name: What is in it, and what would keep it after its name is gone?
  nsfleet.linux.namespace_info:
    name: web
    processes: true
    holders: true

- name: Does the first process of the host share its network and its mounts with this shell?
  nsfleet.linux.namespace_info:
    pid: 1
    type:
      - net
      - mnt

- name: No such namespace
  nsfleet.linux.netns:
    name: web
    state: absent
"""

RETURN = r"""
namespaces:
  description: The namespaces, sorted by type and inode; empty if there is none such.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: The namespace as C(/proc/PID/ns) writes it, which means it and no other.
      type: str
      sample: net:[4026532281]
    type:
      description: Type of the namespace.
      type: str
      sample: net
    inode:
      description: Number of its inode, which tells it from all others that exist now.
      type: int
      sample: 4026532281
    host:
      description: Whether it is the host's own, which is that of process 1.
      type: bool
      sample: false
    ours:
      description: >-
        Whether the collection made it: by M(nsfleet.linux.netns), or by M(nsfleet.linux.container) for a container that
        runs.
      type: bool
      sample: true
    containers:
      description: >-
        Containers of M(nsfleet.linux.container) that have a process in it. Always empty for namespaces of the host.
      type: list
      elements: str
      sample:
        - web
    names:
      description: Names that it has in C(/run/netns), as C(ip netns) shows them.
      type: list
      elements: str
      sample:
        - web
    mounts:
      description: >-
        Where it is mounted, as M(nsfleet.linux.netns) and C(ip netns add) do. Copies of a mount at the same path in
        other mount namespaces are left out.
      type: list
      elements: dict
      contains:
        path:
          description: The path.
          type: str
          sample: /run/netns/web
        seen_from:
          description: The mount namespace in which this is the path.
          type: str
          sample: mnt:[4026531841]
    owner:
      description: The user namespace that owns it; V(null) for the first user namespace.
      type: str
      sample: user:[4026531837]
    owner_uid:
      description: >-
        Id of the user who made the user namespace that owns it, or who made it, if it is a user namespace; V(null) if
        the kernel does not tell.
      type: int
      sample: 0
    owner_user:
      description: Name of that user; V(null) if there is none.
      type: str
      sample: root
    parent:
      description: For types V(user) and V(pid), the namespace that it is inside; V(null) for all others.
      type: str
      sample: null
    process_count:
      description: Number of processes in it.
      type: int
      sample: 1
    oldest:
      description: The process that has been in it and running for the longest time; V(null) if there is none.
      type: dict
      contains:
        pid:
          description: Id of the process.
          type: int
          sample: 4711
        command:
          description: Its command, as C(ps -o comm) shows it.
          type: str
          sample: nginx
        uid:
          description: Id of the user that it runs as, on the host.
          type: int
          sample: 0
        user:
          description: Name of that user on the host; V(null) if there is none.
          type: str
          sample: root
    processes:
      description: All processes in it, sorted by id.
      returned: O(processes=true)
      type: list
      elements: dict
      contains:
        pid:
          description: Id of the process.
          type: int
          sample: 4711
        command:
          description: Its command.
          type: str
          sample: nginx
    holders:
      description: Processes that keep it and are not in it.
      type: list
      elements: dict
      contains:
        pid:
          description: Id of the process.
          type: int
          sample: 815
        command:
          description: Its command.
          type: str
          sample: unshare
        by:
          description: >-
            V(children) if its next children will be in it; with O(holders), V(descriptor) if it has opened it, and
            V(thread) if another of its threads is in it.
          type: str
          sample: descriptor
unreadable:
  description: >-
    Number of processes whose namespaces the module may not look at. If it is not 0, namespaces may be missing, and
    counts be too low. Processes that the mount option V(hidepid) of C(/proc) hides are not counted.
  returned: success
  type: int
  sample: 0
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.namespace_info import TABLE, gather


def main() -> None:
    """Run the module."""
    _module.run_info(TABLE, gather)


if __name__ == "__main__":
    main()
