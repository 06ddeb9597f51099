# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module netns, by ``ip netns``, ``nsenter`` and ``/proc``."""

from __future__ import annotations

import os
import subprocess
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.netns import TABLE
from support import laws, world
from support.laws import Case

BASE = {"name": "case"}


def inside(command: str) -> str:
    """Run a command in the namespace of the case."""
    return world.sh(f"ip netns exec case {command}").strip()


def content(name: str) -> str:
    """A file in /etc/netns/case; empty if it is not there."""
    path = f"/etc/netns/case/{name}"
    return world.sh(f"cat {path}") if os.path.exists(path) else ""


CASES = [
    Case(
        "loopback", {"loopback": False}, lambda: "UP" in world.link("lo", "case")["flags"], False,
        "ip -n case link set lo up",
    ),
    Case(
        "sysctls", {"sysctls": {"net.ipv4.ip_forward": 1}}, lambda: inside("cat /proc/sys/net/ipv4/ip_forward"), "1",
        "ip netns exec case sysctl -qw net.ipv4.ip_forward=0", reverts_to="0",
    ),
    Case(
        "sysctls", {"sysctls": {"net/ipv4/ping_group_range": "0 100"}},
        lambda: inside("sysctl -n net.ipv4.ping_group_range"), "0\t100",
        "ip netns exec case sysctl -qw net.ipv4.ping_group_range='5 6'", reverts_to="1\t0",
    ),
    Case(
        "resolver",
        {"resolver": {"nameservers": ["10.0.0.1", "fd00:0::1"], "search": ["a.test"], "options": ["ndots:2"]}},
        lambda: content("resolv.conf"), "nameserver 10.0.0.1\nnameserver fd00::1\nsearch a.test\noptions ndots:2\n",
        "echo nameserver 10.0.0.2 > /etc/netns/case/resolv.conf", reverts_to="",
    ),
    Case(
        "files", {"files": {"hosts": "10.0.0.1 a\n", "motd": "b"}}, lambda: content("hosts") + content("motd"),
        "10.0.0.1 a\nb", "rm /etc/netns/case/hosts", reverts_to="",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_option(case: Case) -> None:
    laws.option_holds("netns", BASE, case)
    laws.remove("netns", BASE)


def test_every_option_is_proved() -> None:
    laws.covered(
        TABLE,
        CASES,
        {
            "name": test_name_that_is_part_of_another_is_another,
            "pid": test_attach,
            "path": test_attach,
            "in_use": test_absent_names_the_processes_that_hold_it,
            "adopt": test_foreign_namespace_is_not_touched_without_adopt,
            "on_drift": test_drift_that_is_not_to_be_repaired,
        },
    )


def test_ip_netns_sees_ours_and_we_see_its() -> None:
    laws.four_steps("netns", BASE)
    assert world.namespaces() == ["case"]
    assert inside("ip -br link").startswith("lo")
    world.sh("ip netns add other")
    laws.settled("netns", {"name": "other", "loopback": False})
    world.sh("ip netns delete case")
    laws.repaired("netns", BASE, "true")
    laws.remove("netns", BASE)
    assert world.namespaces() == ["other"]
    world.sh("ip netns delete other")


def test_name_that_is_part_of_another_is_another() -> None:
    laws.run("netns", {"name": "case2"})
    laws.four_steps("netns", BASE)
    laws.remove("netns", BASE)
    assert world.namespaces() == ["case2"]
    laws.remove("netns", {"name": "case2"})


@pytest.fixture
def sleeper() -> t.Iterator[int]:
    """A process in a network namespace of its own."""
    process = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
    world.until(lambda: os.readlink(f"/proc/{process.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.parametrize("by", ["pid", "path"])
def test_attach(sleeper: int, by: str) -> None:
    source: dict[str, t.Any] = {"pid": sleeper} if by == "pid" else {"path": f"/proc/{sleeper}/ns/net"}
    options = {**BASE, **source}
    done = laws.four_steps("netns", options)
    assert done["netns"]["namespace"] == os.readlink(f"/proc/{sleeper}/ns/net")
    assert world.sh("ip netns pids case").split() == [str(sleeper)]
    laws.repaired("netns", options, "ip netns delete case")
    # Somebody gave the name to another namespace: that one is not ours to take the name from.
    world.sh("ip netns delete case && ip netns add case")
    laws.refused("netns", options, "netns case", "adopt")
    laws.four_steps("netns", {**options, "adopt": True})
    assert world.sh("ip netns pids case").split() == [str(sleeper)]
    laws.remove("netns", BASE)
    assert os.path.exists(f"/proc/{sleeper}")


@pytest.mark.parametrize(
    "damage",
    ["umount /run/netns/case", "umount /run/netns/case && rm /run/netns/case", "umount -l /run/netns"],
    ids=["mount is lost", "name is gone", "whole directory is unmounted"],
)
def test_lost_mount_is_mended(damage: str) -> None:
    laws.run("netns", BASE)
    laws.repaired("netns", BASE, damage)
    assert inside("ip -br link").startswith("lo")
    laws.remove("netns", BASE)


def test_absent_names_the_processes_that_hold_it() -> None:
    laws.run("netns", BASE)
    holder = subprocess.Popen(["ip", "netns", "exec", "case", "sleep", "1000"])
    world.until_inside(holder.pid, "case")
    options = {**BASE, "state": "absent"}
    laws.refused("netns", options, "in_use", f"{holder.pid} (sleep)")
    laws.four_steps("netns", {**options, "in_use": "leave"})
    assert holder.poll() is None, "the process was not to be touched"
    holder.kill()
    holder.wait()


def test_absent_names_who_has_only_opened_it() -> None:
    laws.run("netns", BASE)
    with open("/run/netns/case", "rb") as namespace:
        holder = subprocess.Popen(["sleep", "1000"], stdin=namespace)
    laws.refused("netns", {**BASE, "state": "absent"}, "in_use", f"{holder.pid} (sleep)")
    holder.kill()
    holder.wait()
    laws.remove("netns", BASE)


def test_absent_kills_the_processes_that_hold_it() -> None:
    laws.run("netns", BASE)
    holder = subprocess.Popen(["ip", "netns", "exec", "case", "sleep", "1000"])
    world.until_inside(holder.pid, "case")
    laws.four_steps("netns", {**BASE, "state": "absent", "in_use": "kill"})
    assert holder.wait(timeout=10) == -9


def test_foreign_namespace_is_not_touched_without_adopt() -> None:
    world.sh("ip netns add case")
    laws.settled("netns", {**BASE, "loopback": False})
    laws.refused("netns", BASE, "netns case", "adopt")
    laws.refused("netns", {**BASE, "state": "absent"}, "netns case", "adopt")
    laws.four_steps("netns", {**BASE, "adopt": True})
    laws.settled("netns", BASE)
    laws.remove("netns", BASE)


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_drift_that_is_not_to_be_repaired(policy: str) -> None:
    options = {**BASE, "sysctls": {"net.ipv4.ip_forward": 1}}
    damage = "ip -n case link set lo down && ip netns exec case sysctl -qw net.ipv4.ip_forward=0"
    words = ["loopback is False, not True", "ip_forward"]
    laws.drift_stays("netns", options, policy, damage, words, {"files": {"motd": "b"}})
    assert inside("cat /proc/sys/net/ipv4/ip_forward") == "0"
    assert os.path.exists("/etc/netns/case/motd") == (policy == "warn")
    laws.remove("netns", BASE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": ""}, ("name: expected",)),
        ({"name": "a b"}, ("name: expected",)),
        ({"name": "../x"}, ("name: expected",)),
        ({"name": "123"}, ("name: expected", "process id")),
        ({"name": "x" * 256}, ("name: expected",)),
        ({"name": "case", "sysctls": {"kernel.hostname": "x"}}, ("sysctls: expected", "net.*")),
        ({"name": "case", "sysctls": {"net.ipv4/../../x": "1"}}, ("sysctls: expected",)),
        ({"name": "case", "sysctls": {"net.ipv4.ip_forward": "1\n2"}}, ("sysctls: expected", "one line")),
        ({"name": "case", "resolver": {"nameservers": ["10.0.0.1", "dns"]}}, ("resolver.nameservers[1]: expected",)),
        ({"name": "case", "files": {"../passwd": "x"}}, ("files: expected",)),
        ({"name": "case", "pid": 1, "path": "/proc/1/ns/net"}, ("mutually exclusive",)),
        ({"name": "case", "colour": "red"}, ("colour",)),
        ({"name": "case", "loopback": "perhaps"}, ("loopback",)),
        ({}, ("name",)),
    ],
)
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("netns", options, *words)


@pytest.mark.parametrize("source", [{"pid": 4194305}, {"path": "/etc/passwd"}, {"path": "/run/nothing"}])
def test_source_that_is_not_there(source: dict[str, t.Any]) -> None:
    laws.missing("netns", {**BASE, **source}, f"{next(iter(source))}: there is no network namespace")


@pytest.mark.parametrize("exists", [False, True])
def test_parameters_that_the_namespace_does_not_have(exists: bool) -> None:
    if exists:
        laws.run("netns", BASE)
    options = {**BASE, "sysctls": {"net.ipv4.nonsense": 1, "net.ipv4.ip_forward": 1}}
    laws.refused("netns", options, "sysctls[net.ipv4.nonsense]: a network namespace of this kernel has no")
    options = {**BASE, "sysctls": {"net/ipv4/conf/eth0.5/forwarding": 1}}
    laws.missing("netns", options, "sysctls[net/ipv4/conf/eth0.5/forwarding]: there is no such parameter")
    laws.run("netns", {**BASE, "state": "absent"})


def test_directory_beside_the_files_of_a_namespace() -> None:
    """ip-netns(8) mounts it over the one in /etc; no option speaks of it, and it stays."""
    os.makedirs("/etc/netns/case/vpn")
    options = {**BASE, "files": {"hosts": "127.0.0.1 localhost\n"}}
    laws.four_steps("netns", options)
    laws.remove("netns", options)
    assert os.listdir("/etc/netns/case") == ["vpn"]
    world.sh("rm -r /etc/netns")


def test_all_errors_at_once() -> None:
    options = {"name": "a b", "sysctls": {"x": 1}, "resolver": {"nameservers": ["x"]}}
    failed = laws.refused("netns", options, "name:", "sysctls:", "resolver.nameservers[0]:")
    assert [error["option"] for error in failed["errors"]] == ["name", "sysctls", "resolver.nameservers[0]"]
