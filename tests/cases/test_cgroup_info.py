# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module cgroup_info, by the files of cgroupfs, on hosts with version 1, version 2, and both."""

from __future__ import annotations

import os
import sys
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup.hierarchy import Host
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import cgroup_info
from support import groups, laws, world
from support.abilities import GROUPS_WITH, need
from support.invoke import invoke

BASE: dict[str, t.Any] = {"name": "case", "pids_max": 40}
ABSENT = {**BASE, "state": "absent", "kill": True}


def info(name: str = "case") -> dict[str, t.Any]:
    """What the module says of one group."""
    (found,) = laws.run("cgroup_info", {"name": name})["cgroups"]
    return t.cast("dict[str, t.Any]", found)


def number(file: str, word: str = "") -> int:
    """A number in a file of the group: the only one, or the one after a word."""
    text = groups.read(file)
    return (
        int(text) if not word else int(next(line.split()[1] for line in text.splitlines() if line.split()[0] == word))
    )


def worked(words: str) -> None:
    """Have a shell in the group do something and end, well or not."""
    files = {f"{groups.folder(file)}/cgroup.procs" for file in ("pids.max", "memory.max", "cpu.stat", "cpuacct.usage")}
    enter = "; ".join(f"test ! -e {file} || echo $$ > {file}" for file in sorted(files))
    world.sh(f"sh -c '{enter}; {words}' || true")


def test_host() -> None:
    """Version and mount point of each controller, as findmnt(8) shows them."""
    host = laws.run("cgroup_info", {})["host"]
    kinds = {each["fstype"] for each in world.ask("findmnt -J -t cgroup,cgroup2")["filesystems"]}
    assert host["mode"] == {1: "legacy", 2: "unified" if len(kinds) == 1 else "hybrid"}[groups.place("cgroup").version]
    assert host["systemd"] == os.path.isdir("/run/systemd/system")
    assert host["base"] == groups.BASE
    for name in ("cpu", "cpuset", "memory", "io", "pids", "hugetlb", "net_cls", "net_prio", "misc", "rdma", "dmem"):
        version, mount_point = groups.place(name)
        told = host["controllers"].get(name)
        assert told == ({"version": version, "mount_point": mount_point} if version else None), name


def test_no_group() -> None:
    assert laws.run("cgroup_info", {"name": "case"})["cgroups"] == []
    assert laws.run("cgroup_info", {})["cgroups"] == []


def test_ours_and_those_of_others() -> None:
    """Without a name, all that are ours, but not those that are only there for those below; with one, any group."""
    laws.run("cgroup", {"name": "case/inner"})
    laws.run("cgroup", {"name": "case2"})
    root = groups.place("cgroup").mount_point
    world.sh(f"mkdir {root}/case-of-others")
    before = world.snapshot()
    told = laws.run("cgroup_info", {})["cgroups"]
    assert [(each["name"], each["path"], each["ours"]) for each in told] == [
        ("case/inner", f"{groups.BASE}/case/inner", True),
        ("case2", f"{groups.BASE}/case2", True),
    ]
    assert info("case")["ours"] is False
    assert info("case")["children"] == ["inner"]
    assert (info("/case-of-others")["path"], info("/case-of-others")["ours"]) == ("/case-of-others", False)
    assert world.difference(before, world.snapshot()) == [], "telling changed the host"
    world.sh(f"rmdir {root}/case-of-others")
    for name in ("case/inner", "case2"):
        laws.run("cgroup", {"name": name, "state": "absent"})


def test_a_group_that_goes_away_meanwhile_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    laws.run("cgroup", BASE)
    laws.run("cgroup", {"name": "other"})
    ours = cgroup_info._ours

    def removed_when_found(host: Host) -> list[t.Any]:
        found = list(ours(host))
        laws.run("cgroup", ABSENT)
        return found

    monkeypatch.setattr(cgroup_info, "_ours", removed_when_found)
    assert [each["name"] for each in laws.run("cgroup_info", {})["cgroups"]] == ["other"]
    laws.run("cgroup", {"name": "other", "state": "absent"})


def test_limits_in_the_words_of_version_2() -> None:
    """Those that were set, and those that nobody set."""
    options = {**BASE, "cpu_weight": 200, "cpu_max": "50%"}
    laws.run("cgroup", options)
    told = info()
    assert told["pids_max"] == groups.read("pids.max") == "40"
    assert told["cpu_weight"] == (200 if groups.read("cpu.shares") == "2048" else number("cpu.weight"))
    assert told["cpu_max"] == "50000 100000"
    assert told["cpu_idle"] is (groups.read("cpu.idle") != "0")
    assert told["frozen"] is False
    assert {"cpu", "pids"} <= set(told["controllers"])
    folders = {groups.folder(file) for file in ("pids.max", "cpu.stat", "cgroup.procs")}
    assert folders <= set(told["directories"].values())
    laws.settled("cgroup", {**options, "cpu_max": told["cpu_max"], "cpu_weight": told["cpu_weight"]})
    laws.run("cgroup", ABSENT)


def test_processes(sleeper: int) -> None:
    laws.run("cgroup", {**BASE, "processes": [sleeper], "frozen": True})
    told = info()
    assert told["processes"] == [{"pid": sleeper, "command": "sleep"}]
    assert told["frozen"] is True
    assert told["usage"]["pids"]["current"] == number("pids.current") == 1
    if groups.place("cgroup").version == 2:
        assert told["events"]["cgroup"] == {"populated": 1, "frozen": 1}
    laws.run("cgroup", ABSENT)


def test_usage_of_the_processor() -> None:
    """Microseconds, whatever the version counts in; a group that is throttled says so."""
    laws.run("cgroup", {**BASE, "cpu_max": "2%", "controllers": ["cpuacct"]})
    worked("i=0; while test $i -lt 40000; do i=$((i + 1)); done")
    names = ("nr_periods", "nr_throttled")
    before = [number("cpu.stat", name) for name in names]
    told = info()["usage"]["cpu"]
    if groups.place("cpuacct").version == 1:
        assert told["usage_usec"] == number("cpuacct.usage") // 1000
    else:
        assert told["usage_usec"] == number("cpu.stat", "usage_usec")
    assert told["usage_usec"] > 5000
    for name, least in zip(names, before):  # the last period may still go on
        assert 0 < least <= told[name] <= number("cpu.stat", name)
    assert told["throttled_usec"] > 0
    laws.run("cgroup", ABSENT)


def test_usage_of_memory_and_what_happened() -> None:
    """A process that wants more than the limit is killed, and the group tells of it."""
    v1 = groups.place("memory").version == 1
    need(f"{GROUPS_WITH}{'memory.limit_in_bytes' if v1 else 'memory.max'}")
    laws.run("cgroup", {**BASE, "memory_max": "16M", "memory_swap_max": 0})
    worked(f'{sys.executable} -c "held = bytearray(64 << 20)" 2>/dev/null')
    told = info()
    assert told["memory_max"] == str(16 << 20)
    assert told["usage"]["memory"]["current"] == number("memory.usage_in_bytes" if v1 else "memory.current")
    assert told["events"]["memory"]["oom_kill"] == number(
        *("memory.oom_control" if v1 else "memory.events", "oom_kill")
    )
    assert told["events"]["memory"]["oom_kill"] == 1
    assert told["events"]["memory"]["max"] == (number("memory.failcnt") if v1 else number("memory.events", "max"))
    laws.run("cgroup", ABSENT)


def test_events_of_pids() -> None:
    laws.run("cgroup", {**BASE, "pids_max": 1})
    worked("/bin/true & wait")
    assert info()["events"]["pids"]["max"] == number("pids.events", "max") >= 1
    laws.run("cgroup", ABSENT)


def test_pressure() -> None:
    need(f"{GROUPS_WITH}cpu.pressure")
    laws.run("cgroup", BASE)
    some = dict(word.split("=") for word in groups.read("cpu.pressure").splitlines()[0].split()[1:])
    assert info()["psi"]["cpu"]["some"].keys() == some.keys()
    laws.run("cgroup", ABSENT)


@pytest.mark.parametrize("options", [{"name": "a b"}, {"name": "../x"}, {"colour": "red"}], ids=str)
def test_bad_input(options: dict[str, t.Any]) -> None:
    failed = invoke("cgroup_info", options)
    assert failed.failed
    assert next(iter(options)) in failed["msg"]
