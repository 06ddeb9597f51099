# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as a user runs them, and packages of the distribution, for tests in a sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

from support import world

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
PLAY = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")


def environment(collections: t.Iterable[str] = ()) -> dict[str, str]:
    """The environment in which Ansible finds the collection, and does not look at a user's own files.

    :param collections: directories with further collections.
    """
    return {
        "ANSIBLE_PIPELINING": "false",  # which the local connection is faster without (docs/performance.md)
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": ":".join([os.path.join(ROOT, ".build"), *collections]),
        "ANSIBLE_CONFIG": os.path.join(ROOT, "playbooks", "ansible.cfg"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
    }


def play(
    playbook: str,
    variables: t.Mapping[str, t.Any],
    *options: str,
    program: str = PLAY,
    interpreter: str = sys.executable,
    collections: t.Iterable[str] = (),
) -> str:
    """Run a playbook against this host and give what it printed.

    :param program: ansible-playbook of the controller.
    :param interpreter: Python of the target.
    :param collections: directories with further collections.
    :raises AssertionError: a task failed.
    """
    # By variable, since the implicit localhost has one, which wins over the configuration.
    everything = {**variables, "ansible_python_interpreter": interpreter}
    command = [program, playbook, "-e", json.dumps(everything), *options]
    done = subprocess.run(command, env=environment(collections), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(*packages: str) -> None:
    """Install packages of the distribution without starting what they bring.

    :raises subprocess.CalledProcessError: it failed.
    """
    with open("/usr/sbin/policy-rc.d", "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexit 101\n")
    os.chmod("/usr/sbin/policy-rc.d", 0o755)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-qq", "--no-install-recommends", *packages]
    subprocess.run(command, env=quiet, check=True, stdout=subprocess.DEVNULL)


def snapshot() -> dict[str, t.Any]:
    """The whole host, with the kernel parameters that role host sets, for a comparison of before and after."""
    parameters = world.sh("sysctl net.ipv4.ip_forward net.ipv6.conf.all.forwarding")
    return {**world.snapshot(), "sysctls": parameters}
