# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory ``services``: redis and nginx from packages of the distribution, asked through their bridges.

The tests are one story and run in the order of this file. They install packages: run them in a sandbox with --online.
"""

from __future__ import annotations

import os
import subprocess
import typing as t

import pytest
import yaml
from support import lab, site, world

INVENTORY = os.path.join(site.ROOT, "playbooks", "inventories", "services")


def run(playbook: str, states: t.Mapping[str, str] | None = None) -> str:
    """Run one of the playbooks, with other states of some services than the inventory says."""
    with open(os.path.join(INVENTORY, "group_vars", "all.yml"), encoding="utf-8") as file:
        variables = yaml.safe_load(file)
    for service in variables["nsfleet_services"]:
        service["state"] = (states or {}).get(service["name"], "started")
    path = os.path.join(site.ROOT, "playbooks", f"{playbook}.yml")
    return site.play(path, variables, "-i", INVENTORY, interpreter="/usr/bin/python3")


def address(replica: str) -> str:
    """The address of a replica, as ip(8) shows it."""
    return world.addresses("eth0", replica)[0].partition("/")[0]


def redis(command: str, place: str = "") -> str:
    """What redis answers to a line of its protocol, asked through the bridge by bash(1)."""
    inside = ["ip", "netns", "exec", place] if place else []
    script = f"exec 3<>/dev/tcp/{address('redis-1')}/6379; printf '{command}\\r\\n' >&3; timeout 3 head -n 1 <&3"
    done = subprocess.run(["timeout", "5", *inside, "bash", "-c", script], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def pids(replica: str) -> list[int]:
    """The processes of a replica, as the namespace of its network shows them."""
    return sorted(map(int, world.sh(f"ip netns pids {replica}").split()))


@pytest.fixture(scope="module", autouse=True)
def services() -> t.Iterator[None]:
    """Both services; nothing of them is left afterwards."""
    before = world.snapshot()
    run("site")
    yield
    run("teardown")
    assert world.difference(before, world.snapshot()) == []


def test_redis_answers_through_the_bridge() -> None:
    assert redis("PING") == "+PONG"


def test_nginx_answers_through_the_bridge_and_on_the_published_port() -> None:
    for place in (f"{address('nginx-1')}:80", "127.0.0.1:8088"):
        assert "Welcome to nginx!" in lab.call(place)


def test_programs_are_those_of_the_root_file_systems() -> None:
    for replica, program in (("redis-1", "/usr/bin/redis-"), ("nginx-1", "/usr/sbin/nginx")):
        first = pids(replica)[0]
        assert os.readlink(f"/proc/{first}/exe").startswith(program)
        assert os.stat(f"/proc/{first}/exe").st_dev != os.stat("/usr/bin/env").st_dev, "the file is the host's"


def test_isolated_networks_do_not_reach_each_other() -> None:
    assert redis("PING", place="redis-1") == "+PONG"
    assert redis("PING", place="nginx-1") == ""


def test_redis_may_not_use_more_memory_than_its_limit() -> None:
    process = pids("redis-1")[0]
    assert world.sh(f"cat {world.limit_file(process, 'memory', 'memory.limit_in_bytes', 'memory.max')}").strip() == str(
        128 << 20
    )
    assert world.sh(f"awk '/^Uid/ {{ print $2 }}' /proc/{process}/status").strip() != "0"


def test_states_of_services() -> None:
    assert redis("SET survivor yes") == "+OK"
    old = pids("redis-1")

    run("site", {"redis": "restarted", "nginx": "stopped"})
    assert not set(old) & set(pids("redis-1"))
    assert redis("PING") == "+PONG"
    assert redis("EXISTS survivor") == ":1"
    assert pids("nginx-1") == []
    assert lab.call("127.0.0.1:8088").startswith("curl failed")

    old = pids("redis-1")
    run("site")
    assert pids("redis-1") == old
    assert "Welcome to nginx!" in lab.call("127.0.0.1:8088")
