# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk from the textbooks: nginx in namespaces of its own, seen from outside and from inside, limited, removed.

The tasks are in ``walk.yml``; what they did is asked of ``/proc``, util-linux, iproute2, ``ping`` and ``curl``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t

import pytest
from support import site, world

PLAYBOOK = os.path.join(os.path.dirname(__file__), "walk.yml")
CONFIGURATION = "/etc/nginx/walk.conf"
#: Everything that nginx writes is in memory below /run, which root inside may write to whoever it is outside.
NGINX = """
daemon off; user www-data; pid /run/nginx.pid; error_log stderr; worker_processes 1;
events { }
http {
  access_log off;
  client_body_temp_path /run/b; proxy_temp_path /run/p; fastcgi_temp_path /run/f; uwsgi_temp_path /run/u;
  scgi_temp_path /run/s;
  server { listen 10110; location / { return 200 "walked\\n"; } }
}
"""
OWN = ("mnt", "uts", "ipc", "pid", "net", "cgroup")
MEMORY = 96 << 20


@pytest.fixture(scope="module", autouse=True)
def nginx() -> None:
    """Nginx from the distribution's packages, not started."""
    site.install("nginx-light")
    with open(CONFIGURATION, "w", encoding="utf-8") as file:
        file.write(NGINX)


@pytest.fixture(scope="module", params=["host", "private"], ids=["users of the host", "users of its own"])
def users(request: pytest.FixtureRequest, nginx: None) -> t.Iterator[str]:
    """The walk's container, once with the host's users and once with its own; nothing of it is left afterwards."""
    del nginx
    world.sh("ip netns add first && ip netns delete first")  # mounts /run/netns, which stays, as with ip-netns(8)
    before = world.snapshot()
    variables = {
        "walk_configuration": CONFIGURATION, "walk_memory": MEMORY, "walk_user_namespace": request.param,
    }  # fmt: skip
    site.play(PLAYBOOK, variables)
    world.until(lambda: curl().returncode == 0)
    yield request.param
    site.play(PLAYBOOK, variables, "--tags", "leave")
    assert world.difference(before, world.snapshot()) == []


def curl() -> subprocess.CompletedProcess[str]:
    """Ask nginx for a page's head, through the bridge."""
    command = ["curl", "-sSI", "--noproxy", "*", "-m", "5", "http://10.2.0.10:10110/"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def pid() -> int:
    """The container's first process, as ``pgrep`` finds it."""
    return int(world.sh("pgrep -of 'nginx: master'"))


def inside(command: str, *, which: str = "--all --root --wd=/") -> str:
    """Output of a second process, which joins by setns(2)."""
    return world.sh(f"nsenter --target {pid()} {which} -- {command}").strip()


def group(controller: str, file: str, version2: str = "") -> str:
    """What a file of the container's control group says.

    :param version2: what the file is called in version 2, if it is called otherwise.
    """
    return world.sh(f"cat {world.limit_file(pid(), controller, file, version2 or file)}").strip()


def within_limits(script: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in the control groups of the container, among its processes."""
    files = {world.limit_file(pid(), name, "cgroup.procs", "cgroup.procs") for name in ("memory", "pids", "cpu")}
    join = "; ".join(f"echo $$ > {file}" for file in sorted(files))
    enter = f"exec nsenter --target {pid()} --pid --mount --net --ipc --uts {sys.executable} -c"
    command = ["sh", "-c", f'{join}; {enter} "$0"', script]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_it_has_namespaces_of_its_own(users: str) -> None:
    kinds = (*OWN, "user") if users == "private" else OWN
    mine, its = (
        {kind: os.readlink(f"/proc/{process}/ns/{kind}") for kind in (*OWN, "user")} for process in ("self", pid())
    )
    assert {kind for kind in mine if mine[kind] != its[kind]} == set(kinds)


def test_it_is_pid_1_inside_and_an_ordinary_pid_outside(users: str) -> None:
    del users
    assert inside("cat /proc/1/comm") == "nginx"
    assert world.sh(f"cat /proc/{pid()}/status").split("NSpid:")[1].splitlines()[0].split() == [str(pid()), "1"]
    assert pid() > 1


def test_it_sees_only_its_own(users: str) -> None:
    del users
    made = world.sh("ipcmk --queue").split()[-1]
    assert made in world.sh("ipcs --queues")
    assert made not in inside("ipcs --queues")
    world.sh(f"ipcrm --queue-id {made}")
    assert inside("hostname") == "walk"
    commands = inside("ps -e -o comm=").split()
    assert sorted(set(commands)) == ["nginx", "ps"]
    assert {name for name in inside("ls /proc").split() if name.isdigit()} < {str(number) for number in range(1, 500)}
    assert [each["ifname"] for each in json.loads(inside("ip -j link"))] == ["lo", "eth0"]
    devices = set(inside("ls /dev").split())
    assert {"null", "zero", "full", "random", "urandom", "tty", "pts", "shm", "mqueue"} <= devices
    assert not devices & {"kmsg", "mem", "port", "vda", "loop0"}


def test_only_its_uts_namespace_is_joined(users: str) -> None:
    del users
    assert inside("hostname", which="--uts") == "walk"
    assert inside("readlink /proc/self/ns/net", which="--uts") == os.readlink("/proc/self/ns/net")
    assert world.sh("hostname").strip() != "walk"


def test_it_answers_through_the_bridge_and_the_host_does_not_listen(users: str) -> None:
    del users
    assert ":10110" not in world.sh("ss -Hltn")
    assert ":10110" in inside("ss -Hltn")
    world.sh("ping -c 1 -W 5 10.2.0.10")
    assert "200 OK" in curl().stdout
    bridge = world.link("nsbr")
    assert bridge["linkinfo"]["info_data"]["stp_state"] == 0
    assert world.addresses("nsbr") == ["10.2.0.1/24"]
    assert world.addresses("eth0", "walk") == ["10.2.0.10/24"]
    assert world.link("ns-walk")["master"] == "nsbr"


def test_root_inside_is_nobody_outside(users: str) -> None:
    owner = world.sh(f"stat -c %u /proc/{pid()}/root/run/nginx.pid").strip()
    assert inside("id -u") == "0"
    assert (owner, world.sh(f"cat /proc/{pid()}/uid_map").split()[1]) == (
        ("200000", "200000") if users == "private" else ("0", "0")
    )


def test_it_writes_into_a_layer_of_its_own(users: str) -> None:
    del users
    inside("sh -c 'echo walked > /tmp/walked'")
    assert inside("cat /tmp/walked") == "walked"
    assert not os.path.exists("/tmp/walked"), "the container wrote into the root of the host"


def test_the_kernel_kills_an_allocation_beyond_the_limit(users: str) -> None:
    del users
    first = pid()
    assert within_limits("print(len(bytearray(16 << 20)))").stdout == f"{16 << 20}\n"
    assert within_limits("print(len(b'x' * (256 << 20)))").returncode == -9
    assert int(group("memory", "memory.limit_in_bytes", "memory.max")) == MEMORY
    assert pid() == first
    assert "200 OK" in curl().stdout


FORK_BOMB = """
import os, signal, time
children = []
try:
    while len(children) < 1000:
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
except BlockingIOError:
    print(len(children))
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_a_fork_bomb_stops_at_the_limit(users: str) -> None:
    del users
    others = int(group("pids", "pids.current"))
    bomb = within_limits(FORK_BOMB)
    # nsenter(1) waits outside for the bomb, and is one of the 16, too.
    assert int(bomb.stdout) == 16 - others - 2, bomb.stderr
    assert "200 OK" in curl().stdout


#: So many that they would take more than a tenth of a processor, even of a machine that is busy with other things.
BUSY = """
import os, time
for number in range(8):
    if os.fork() == 0:
        break
end = time.monotonic() + 2
while time.monotonic() < end:
    pass
"""


def test_the_processor_is_shared_out(users: str) -> None:
    del users
    quota = group("cpu", "cpu.cfs_quota_us", "cpu.max").split()[0]
    period = group("cpu", "cpu.cfs_period_us", "cpu.max").split()[-1]
    assert int(quota) * 10 == int(period)
    within_limits(BUSY)
    throttled = dict(line.split() for line in group("cpu", "cpu.stat").splitlines())
    assert int(throttled["nr_throttled"]) > 0
