#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: container_exec
short_description: Run a command in a running container
version_added: 1.0.0
description:
  - Runs one program in a container of M(nsfleet.linux.container) and waits for its end, as
    M(ansible.builtin.command) does on a host. There is no shell unless the command is one.
  - The program is in the namespaces and the control group of the container, and gets the capabilities, resource limits
    and restrictions that the container's description gives to its own program, never more. Limits hold for both
    together.
  - The container needs neither Python nor a shell, and nothing of it is loaded by the module.
  - The task fails if the exit code is not 0, if O(timeout) passes, and if the container ends meanwhile. What is
    returned is the same then, so that C(failed_when) can decide otherwise.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes.ACTION
  - nsfleet.linux._talk
options:
  name:
    description: Name of the container.
    type: str
    required: true
  command:
    description: The program and its arguments. A program without a slash is looked up in E(PATH) inside.
    type: list
    elements: str
    required: true
  user:
    description:
      - User that the program runs as, and its group if one is named; names are looked up in the container's own
        C(/etc/passwd) and C(/etc/group). Digits are always a number.
      - Without it, the user, group and supplementary groups of the container's own program. With it, there are no
        supplementary groups.
    type: str
  env:
    description: Environment variables, beside those of the container's own program, or instead of them.
    type: dict
  cwd:
    description: Directory that the program starts in. The default is that of the container's own program.
    type: path
  creates:
    description:
      - Path in the container, or pattern such as V(/run/*.pid). If there is one, the command is not run. A relative one
        begins in O(cwd).
    type: str
  removes:
    description: Path in the container, or pattern. If there is none, the command is not run.
    type: str
notes:
  - What O(timeout) kills is in a control group of the command's own below the container's. So it does not reach what
    leaves that group, which takes a container that may write to control groups.
  - What the program leaves running when it ends by itself is not waited for, even if it keeps the output open. It goes
    on as any other process of the container.
  - If the task itself is killed, the program goes on in the container.
seealso:
  - module: nsfleet.linux.container
  - module: nsfleet.linux.container_info
  - module: ansible.builtin.command
"""

EXAMPLES = r"""
- name: What the container calls itself
  nsfleet.linux.container_exec:
    name: web
    command: [uname, -n]
  register: host

- name: Tell it
  ansible.builtin.debug:
    msg: "{{ host.stdout }}"

- name: Make a file once, as another user
  nsfleet.linux.container_exec:
    name: web
    command:
      - /bin/sh
      - -c
      - umask 077; cat >"$NAME"
    user: nobody
    cwd: /tmp
    env:
      NAME: token
    stdin: a secret
    creates: token

- name: A program that nobody trusts gets five seconds and a thousand bytes
  nsfleet.linux.container_exec:
    name: web
    command: [/bin/sh, -c, 'while true; do echo more; done']
    user: nobody
    timeout: 5
    output_limit: 1000
  register: stranger
  failed_when: not stranger.timed_out
"""

RETURN = r"""
msg:
  description: Why the task failed, or why the command was not run; empty otherwise.
  returned: always
  type: str
  sample: non-zero return code
rc:
  description: Exit code of the program; 128 and the signal where a signal ended it. V(0) if it was not run.
  returned: success or failure of the program
  type: int
  sample: 0
stdout:
  description: What the program wrote to its standard output. Bytes that are no UTF-8 are shown as V(\\xff).
  returned: success or failure of the program
  type: str
  sample: web
stderr:
  description: What the program wrote to its standard error, likewise.
  returned: success or failure of the program
  type: str
  sample: ""
stdout_lines:
  description: The lines of RV(stdout).
  returned: success or failure of the program
  type: list
  elements: str
  sample:
    - web
stderr_lines:
  description: The lines of RV(stderr).
  returned: success or failure of the program
  type: list
  elements: str
  sample: []
start:
  description: When the program was started; V(null) if it was not run.
  returned: success or failure of the program
  type: str
  sample: "2026-11-28 01:02:03.456789"
end:
  description: When the program ended; V(null) if it was not run.
  returned: success or failure of the program
  type: str
  sample: "2026-11-28 01:02:03.567890"
delta:
  description: The time between; V(null) if it was not run.
  returned: success or failure of the program
  type: str
  sample: "0:00:00.111101"
timed_out:
  description: Whether it was killed after O(timeout).
  returned: success or failure of the program
  type: bool
  sample: false
truncated:
  description: Whether the program wrote more than O(output_limit) to either.
  returned: success or failure of the program
  type: bool
  sample: false
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import container_exec


def main() -> None:
    """Run the module."""
    _module.run_action(container_exec.TABLE, container_exec.act)


if __name__ == "__main__":
    main()
