# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module container_info, by ``/proc``, ``ps``, cgroupfs and the log itself."""

from __future__ import annotations

import os
import time
import typing as t

import pytest
from support import laws, world

WAIT = ["/bin/sh", "-c", "trap 'exit 3' TERM; echo 0123456789; sleep 7777 & wait"]
BASE: dict[str, t.Any] = {"name": "case", "rootfs": "/", "overlay": "tmpfs", "command": WAIT}


def told(**options: t.Any) -> list[dict[str, t.Any]]:
    """The containers that the module tells of."""
    before = world.snapshot()
    found = laws.run("container_info", options)
    assert not found.changed
    assert world.difference(before, world.snapshot()) == [], "telling changed the host"
    return t.cast("list[dict[str, t.Any]]", found["containers"])


def one() -> dict[str, t.Any]:
    """What the module tells of the container."""
    (found,) = told(name="case")
    return found


def first() -> int:
    """The container's first process."""
    return int(world.sh("pgrep -of '^/bin/sh -c trap'"))


def group(controller: str) -> str:
    """Directory of the container's control group, as its first process sees where it is."""
    lines = [line.split(":", 2) for line in world.sh(f"cat /proc/{first()}/cgroup").splitlines()]
    for _number, controllers, path in lines:
        if controller in controllers.split(","):
            return f"/sys/fs/cgroup/{controllers}{path}"
    return next(f"/sys/fs/cgroup{path}" for number, _controllers, path in lines if number == "0")


def test_no_container() -> None:
    assert told() == told(name="case") == []


def test_running_container() -> None:
    before = time.time()
    laws.run("container", {**BASE, "memory_max": "64M", "restart_policy": "always", "env": {"COLOUR": "red"}})
    world.until(lambda: world.sh("cat /var/lib/nsfleet/containers/case/log"))
    found = one()
    assert (found["name"], found["running"], found["pid"], found["restarts"]) == ("case", True, first(), 0)
    assert 0 <= found["uptime"] <= time.time() - before + 0.1  # it is rounded to a tenth
    assert found["error"] == ""
    assert (found["command"], found["env"]["COLOUR"], found["restart_policy"]) == (WAIT, "red", "always")
    assert found["memory_max"] == "67108864"
    assert found["log"] == world.sh(f"cat {found['bundle']}/log") == "0123456789\n"
    pids = sorted(map(int, world.sh(f"cat {group('pids')}/cgroup.procs").split()))
    assert len(pids) == 2
    assert found["processes"] == [{"pid": pid, "command": world.sh(f"ps -o comm= -p {pid}").strip()} for pid in pids]
    assert found["usage"]["pids"]["current"] == 2
    assert 0 < found["usage"]["memory"]["current"] <= 64 << 20
    assert found["events"]["memory"]["oom_kill"] == 0
    laws.remove("container", {"name": "case"})


def test_container_that_does_not_run() -> None:
    laws.run("container", BASE)
    world.until(lambda: one()["log"])
    laws.run("container", {"name": "case", "state": "stopped"})
    found = one()
    assert (found["running"], found["pid"], found["exit_code"], found["uptime"]) == (False, None, 3, 0)
    assert found["log"] == "0123456789\n"
    assert not {"processes", "usage", "events", "psi"} & set(found)
    laws.remove("container", {"name": "case"})


def test_all_containers_by_name() -> None:
    for name in ("case-b", "case-a"):
        laws.run("container", {**BASE, "name": name, "state": "present"})
    assert [each["name"] for each in told()] == ["case-a", "case-b"]
    assert [each["name"] for each in told(name="case-b")] == ["case-b"]
    for name in ("case-a", "case-b"):
        laws.run("container", {"name": name, "state": "absent"})


@pytest.mark.parametrize(
    "text", ["", "{", '{"root": {}, "process": {}, "linux": {}}', '{"root": 1, "process": 2, "linux": 3}']
)
def test_damaged_container_is_said_to_be_and_the_others_are_told(text: str) -> None:
    laws.run("container", BASE)
    laws.run("container", {**BASE, "name": "sound", "state": "present"})
    pid = first()
    world.until(lambda: one()["log"])
    world.sh(f"printf '%s' '{text}' >/var/lib/nsfleet/containers/case/config.json")
    damaged, sound = told()
    assert (damaged["name"], sound["name"], sound["damaged"]) == ("case", "sound", "")
    assert "/var/lib/nsfleet/containers/case/config.json is damaged" in damaged["damaged"]
    assert (damaged["running"], damaged["pid"], damaged["log"]) == (True, pid, "0123456789\n")
    found = laws.run("namespace_info", {"container": "case", "type": ["uts"]})["namespaces"]
    assert [each["namespace"] for each in found] == [os.readlink(f"/proc/{pid}/ns/uts")]
    for name in ("case", "sound"):
        laws.run("container", {"name": name, "state": "absent"})


def test_log_bytes() -> None:
    laws.run("container", BASE)
    world.until(lambda: one()["log"])
    for size, end in ((0, ""), (4, "789\n"), (11, "0123456789\n"), (12, "0123456789\n")):
        (found,) = told(name="case", log_bytes=size)
        assert found["log"] == end
    laws.remove("container", {"name": "case"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "a/b"}, ("name: expected",)),
        ({"name": ""}, ("name: expected",)),
        ({"log_bytes": -1}, ("log_bytes: expected", "0 to 16777216")),
        ({"log_bytes": "many"}, ("log_bytes",)),
        ({"colour": "red"}, ("colour",)),
    ],
)
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("container_info", options, *words)
