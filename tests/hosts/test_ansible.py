# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Ansible, over ssh, against a host with systemd and cgroup v2: what a process in the machine cannot tell.

A task costs 5 to 10 s there, so each play runs once for all that is asked about it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

import pytest
from hosts import qemu, settings
from hosts.command import ini
from hosts.machine import NO_SESSION, Machine, borrowed

SHAPE: t.Final = {"base": "bookworm", "cgroup": "v2", "mem": 1024, "cpus": 2, "lans": 0}
PLAYS = os.path.join(settings.HERE, "play")
GROUP = "/sys/fs/cgroup/nsfleet.slice/nsfleet.service"
#: A manager of links that wants all of them, but for those that the guard keeps from it.
GREEDY = {
    "/etc/systemd/network/50-greedy.network": "[Match]\nName=ns* foreign\n[Network]\nAddress=10.66.0.1/24\n",
    "/etc/NetworkManager/conf.d/50-greedy.conf": "[main]\nplugins=keyfile\nno-auto-default=*\n",
}


@pytest.fixture(scope="module")
def machine() -> t.Iterator[Machine]:
    """A machine for the tests of this file."""
    with borrowed([f"ansible-{os.getpid()}"], SHAPE) as (one,):
        yield one


def sh(machine: Machine, command: str) -> str:
    """Output of a command in the machine, by its serial line: no ssh session is needed for it.

    :raises AssertionError: it failed.
    """
    with qemu.Serial(machine.folder) as serial:
        status, output = serial.run(command)
    assert status == 0, f"{command}\n{output}"
    return output


def play(machine: Machine, name: str, folder: str) -> str:
    """Run a playbook. Gives what it printed.

    :raises AssertionError: a task failed.
    """
    inventory = os.path.join(folder, "inventory")
    with open(inventory, "w", encoding="utf-8") as file:
        file.write(f"[testhosts]\n{ini(machine)}\n")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": os.path.join(settings.REPOSITORY, ".build"),
        "ANSIBLE_SSH_CONTROL_PATH": machine.path("ssh"),
    }
    program = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
    command = [program, "--diff", "-i", inventory, os.path.join(PLAYS, name)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def host(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The machine, prepared, after every module ran there, with no session left of that."""
    folder = str(tmp_path_factory.mktemp("play"))
    play(machine, "prepare.yml", folder)
    for changes in (7, 0):
        output = play(machine, "modules.yml", folder)
        assert f"changed={changes} " in output, output
    machine.hang_up()
    sh(machine, NO_SESSION)
    return machine


def test_links_survive_the_end_of_the_session(host: Machine) -> None:
    assert json.loads(sh(host, "ip -j netns"))[0]["name"] == "web"
    link = json.loads(sh(host, "ip -j -d link show dev web0"))[0]
    assert link["master"] == "nsbr"
    assert "UP" in link["flags"]
    assert "1 received" in sh(host, "ping -c1 -W5 10.2.0.10")
    bridge = json.loads(sh(host, "ip -j -d link show dev nsbr"))[0]
    assert bridge["linkinfo"]["info_data"]["vlan_filtering"] == 1
    assert json.loads(sh(host, "ip -n web -j route show default"))[0]["gateway"] == "10.2.0.1"
    assert "8080" in sh(host, "nft list ruleset")


def test_groups_are_below_a_delegated_unit_and_survive_systemd(host: Machine) -> None:
    assert sh(host, "systemctl show --value --property Delegate nsfleet.service") == "yes"
    sh(host, "systemctl daemon-reload && systemctl daemon-reexec")
    assert sh(host, f"cat {GROUP}/web/memory.max") == str(64 << 20)
    assert sh(host, f"cat {GROUP}/web/pids.max") == "20"


def test_container_survives_the_end_of_the_session(host: Machine) -> None:
    pid = int(sh(host, "pgrep -f '^sleep 1000000'"))
    group = sh(host, f"cut -d: -f3 /proc/{pid}/cgroup")
    assert group.startswith("/nsfleet.slice/nsfleet.service/"), group
    assert sh(host, f"cat /sys/fs/cgroup{group}/memory.max") == str(128 << 20)
    assert sh(host, f"ip netns identify {pid}") == "web"


def test_guards_keep_other_managers_from_our_links(host: Machine) -> None:
    for path, text in GREEDY.items():
        sh(host, f"cat >{path} <<'END'\n{text}END")
    sh(host, "ip link add nsguard type dummy && ip link add foreign type dummy")
    sh(host, "systemctl restart systemd-networkd NetworkManager")
    sh(host, "until ip addr show dev foreign | grep -q 10.66.0.1; do sleep 0.2; done")
    assert json.loads(sh(host, "ip -j addr show dev nsguard"))[0]["addr_info"] == []
    assert "unmanaged" in sh(host, "networkctl --no-legend list nsguard")
    sh(host, "until nmcli device show nsguard >/dev/null 2>&1; do sleep 0.2; done")
    assert sh(host, "nmcli --get-values GENERAL.STATE device show nsguard") == "10 (unmanaged)"
    sh(host, "nmcli --get-values GENERAL.STATE device show foreign | grep -qv unmanaged")
    sh(host, "systemctl stop systemd-networkd.socket systemd-networkd NetworkManager")
    sh(host, "ip link delete nsguard && ip link delete foreign")
