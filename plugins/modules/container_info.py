#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_info
short_description: Tell state, processes, usage and logs of containers
version_added: 1.0.0
description:
  - Tells of one container, or of all of this host, what M(nsfleet.linux.container) sees of it, and what it uses.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes.INFO
options:
  name:
    description: Name of one container. Without it, all of them.
    type: str
  log_bytes:
    description: How many bytes of the end of the log are told, at most 16 MiB.
    type: int
    default: 4096
seealso:
  - module: nsfleet.linux.container
  - module: nsfleet.linux.cgroup_info
"""

EXAMPLES = r"""
- name: What runs here
  nsfleet.linux.container_info:
  register: here

- name: Containers that should run and do not
  ansible.builtin.debug:
    msg: "{{ here.containers | rejectattr('running') | map(attribute='name') }}"

- name: The last words of one
  nsfleet.linux.container_info:
    name: web
    log_bytes: 1000
"""

RETURN = r"""
containers:
  description:
    - The containers, sorted by name, each with the options of M(nsfleet.linux.container) and the values below.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the container.
      type: str
      sample: web
    running:
      description: Whether it runs.
      type: bool
      sample: true
    pid:
      description: Id of its first process on the host; V(null) if it does not run.
      type: int
      sample: 4711
    exit_code:
      description: How its first process ended the last time, 128 and the signal where a signal ended it.
      type: int
      sample: 0
    restarts:
      description: How often it was started again by itself.
      type: int
      sample: 0
    uptime:
      description: Seconds since it was started; 0 if it does not run.
      type: float
      sample: 86400.5
    error:
      description: Why its last start failed; empty if it did not.
      type: str
      sample: ""
    log:
      description: The end of its log.
      type: str
      sample: "ready\n"
    damaged:
      description: >-
        What is wrong with the description in its bundle; empty if nothing is. Of a damaged one, only its name, its
        bundle, its log and what is known of its processes are told.
      type: str
      sample: ""
    supervised:
      description: Whether its monitor runs.
      type: bool
      sample: true
    bundle:
      description: Directory of its OCI bundle and its log.
      type: str
      sample: /var/lib/nsfleet/containers/web
    processes:
      description: Its processes, as the host sees them.
      returned: it has a control group, as it does while it runs
      type: list
      elements: dict
      sample:
        - pid: 4711
          command: nginx
    usage:
      description: What it uses, by controller, as M(nsfleet.linux.cgroup_info) tells it.
      returned: it has a control group, as it does while it runs
      type: dict
      sample:
        memory:
          current: 8388608
    events:
      description: What happened to it, such as kills when memory ran out, as M(nsfleet.linux.cgroup_info) tells it.
      returned: it has a control group, as it does while it runs
      type: dict
      sample:
        memory:
          oom_kill: 0
    psi:
      description: How long it waited for processors, memory and disks, in percent and microseconds.
      returned: it has a control group, as it does while it runs
      type: dict
      sample:
        cpu:
          some:
            avg10: 0.0
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import container_info


def main() -> None:
    """Run the module."""
    _module.run_info(container_info.TABLE, container_info.gather)


if __name__ == "__main__":
    main()
