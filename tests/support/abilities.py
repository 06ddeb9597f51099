# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host can do, found out without the collection; what it lacks is tested in the virtual machines."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import pytest
from support import groups

#: How abilities begin that are a file of control groups: ``control groups with io.max``.
GROUPS_WITH = "control groups with "
PROBES = {
    "vlan filtering of bridges": "unshare -n ip link add probe type bridge vlan_filtering 1",
    "vlan links": "unshare -n sh -c 'ip link add p0 type veth peer name p1 && ip link add link p0 p0.5 type vlan id 5'",
    **{
        f"{kind} links": f"unshare -n ip link add p0 type {kind}{options}"
        for kind, options in {
            "dummy": "",
            "vrf": " table 5",
            "bond": "",
            "geneve": " id 5 remote 10.0.0.1",
            "gre": " remote 10.0.0.1",
            "ip6gre": " remote fd00::1",
            "wireguard": "",
        }.items()
    },
    "ipvlan links": "unshare -n sh -c 'ip link add p0 type veth peer name p1 && ip link add link p0 i0 type ipvlan'",
    "netem": "unshare -n tc qdisc add dev lo root netem delay 1ms",
    "idmapped mounts": "printf '5.12\\n%s\\n' \"$(uname -r)\" | sort -VC",
    "systemd as init": "test -d /run/systemd/system",
    "cgroup v2 controllers": "grep -q memory /sys/fs/cgroup/cgroup.controllers",
    "cgroup v1 controllers": "test -e /sys/fs/cgroup/memory/memory.limit_in_bytes",
    "several processors": "test $(nproc --all) -gt 1",
    "realtime for control groups": "chrt --fifo 1 true",
    "AppArmor": "grep -q Y /sys/module/apparmor/parameters/enabled && command -v apparmor_parser",
    "SELinux": "test -d /sys/fs/selinux/class",
    "several memory nodes": "test $(ls -d /sys/devices/system/node/node[0-9]* | wc -l) -gt 1",
    "the RDMA device rxe0": "test -e /sys/class/infiniband/rxe0",
    "encrypted virtual machines (SEV)": "grep -rq sev /sys/fs/cgroup/misc.capacity /sys/fs/cgroup/*/misc.capacity",
    "device memory that can be shared": "grep -rq . /sys/fs/cgroup/dmem.capacity /sys/fs/cgroup/*/dmem.capacity",
    "the disk scheduler BFQ": "grep -q bfq /sys/block/*/queue/scheduler",
    "runc": "command -v runc",
    "podman": "command -v podman conmon",
    "containerd": "command -v containerd ctr",
    "umoci": "command -v umoci",
    "extended attributes of files in memory": "printf '6.6\\n%s\\n' \"$(uname -r)\" | sort -VC",
    "docker-registry": "command -v docker-registry htpasswd",
    "openssl": "command -v openssl",
    "skopeo": "command -v skopeo",
    "a limit of learned addresses of bridges": "printf '6.7\\n%s\\n' \"$(uname -r)\" | sort -VC",
    "system calls of x86_64": "test $(uname -m) = x86_64",
    "ansible-playbook": f"test -x {os.path.dirname(sys.executable)}/ansible-playbook",
}
#: What a host has that the tests are installed on, and no virtual machine.
AT_HOME = frozenset({"ansible-playbook", "containerd", "docker-registry", "runc", "skopeo", "umoci"})

#: Where a test is skipped, this tells that it is run in a virtual machine (tests/hosts/cases.py).
ELSEWHERE = "the test hosts have it (make test-hosts)"


@functools.cache
def has(ability: str) -> bool:
    """Whether this host has an ability."""
    if ability.startswith(GROUPS_WITH):
        return groups.offers(ability[len(GROUPS_WITH) :])
    return subprocess.run(["sh", "-c", PROBES[ability]], capture_output=True, check=False).returncode == 0


def need(ability: str) -> None:
    """Skip the test where the host truly lacks something, and say what."""
    if ability and not has(ability):
        where = "make cases runs it where it is" if ability in AT_HOME else ELSEWHERE
        pytest.skip(f"this host ({os.uname().release}) lacks {ability}; {where}")
