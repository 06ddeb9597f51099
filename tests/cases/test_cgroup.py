# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module cgroup, by the files of cgroupfs, on hosts with version 1, version 2, and both."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.cgroup import TABLE
from support import groups, laws, limits, world
from support.abilities import GROUPS_WITH, need
from support.invoke import invoke
from support.laws import Case
from support.limits import DISK, NO_LIMIT, PAGE, RAM, SWAP, Kept, Row, only_v2

BASE: dict[str, t.Any] = {"name": "case"}
ABSENT = {**BASE, "state": "absent"}
#: A user that nobody is.
USER = 4242


# --- every option that is kept in a file ------------------------------------------------

ROWS = [
    *limits.ROWS,
    only_v2("max_depth", "3", "cgroup.max.depth", "3", "4", "max"),
    only_v2("max_descendants", 7, "cgroup.max.descendants", "7", "max", "max"),
    only_v2("pressure", False, "cgroup.pressure", "0", "1", "1"),
    Row("frozen", {"frozen": True}, Kept("freezer.state", "FROZEN", "THAWED", "THAWED"),
        Kept("cgroup.freeze", "1", "0", "0")),
    Row("settings", {"settings": {"memory.swappiness": 10}}, Kept("memory.swappiness", "10", "20", "60"), None),
    Row("settings", {"settings": {"notify_on_release": True}}, Kept("notify_on_release", "1", "0", "0"), None),
    Row("settings", {"settings": {"memory.high": "1048576"}}, None, Kept("memory.high", "1048576", "max", "max")),
]  # fmt: skip


def identity(row: Row) -> str:
    """Option and value, as people read them."""
    return f"{row.option}-{in_words(row.options[row.option])[:20]}"


def in_words(value: t.Any) -> str:
    """A value, the same on every host: a test that is skipped here is found by its name on another one."""
    return str(value).replace(limits.DISK, "disk")


@pytest.mark.parametrize("row", ROWS, ids=identity)
def test_option(row: Row) -> None:
    """Where this host has it, all laws hold for it; where not, it is refused, and the message names it."""
    if row.lacks:
        laws.refused("cgroup", {**BASE, **row.options}, row.option)
    need(row.lacks)
    case = row.case("case")
    need(case.needs)
    laws.option_holds("cgroup", BASE, case)
    laws.remove("cgroup", BASE)


#: Options in other words; files and what they hold in version 1, and in version 2.
VALUES: list[tuple[dict[str, t.Any], dict[str, str], dict[str, str]]] = [
    ({"cpu_weight": 123}, {"cpu.shares": "1260"}, {"cpu.weight": "123"}),
    ({"cpu_weight": 1}, {"cpu.shares": "10"}, {"cpu.weight": "1"}),
    ({"cpu_weight": 10000}, {"cpu.shares": "102400"}, {"cpu.weight": "10000"}),
    ({"cpu_weight_nice": 19}, {"cpu.shares": "15"}, {"cpu.weight.nice": "19"}),
    ({"cpu_weight_nice": -20}, {"cpu.shares": "88761"}, {"cpu.weight.nice": "-20"}),
    ({"cpu_max": "25%"}, {"cpu.cfs_quota_us": "25000"}, {"cpu.max": "25000 100000"}),
    ({"cpu_max": 0.01}, {"cpu.cfs_quota_us": "1000"}, {"cpu.max": "1000 100000"}),
    ({"cpu_max": 2}, {"cpu.cfs_quota_us": "200000"}, {"cpu.max": "200000 100000"}),
    ({"cpu_max": 50000}, {"cpu.cfs_quota_us": "50000"}, {"cpu.max": "50000 100000"}),
    ({"cpu_max": "max 50000"}, {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "50000"}, {"cpu.max": "max 50000"}),
    ({"cpu_max": "5000/1000000"}, {"cpu.cfs_quota_us": "5000", "cpu.cfs_period_us": "1000000"},
     {"cpu.max": "5000 1000000"}),
    ({"memory_max": "1.5G"}, {"memory.limit_in_bytes": str(1536 << 20)}, {"memory.max": str(1536 << 20)}),
    ({"memory_max": "256 MiB"}, {"memory.limit_in_bytes": str(256 << 20)}, {"memory.max": str(256 << 20)}),
    ({"memory_max": 536870913}, {"memory.limit_in_bytes": "536870912"}, {"memory.max": "536870912"}),
    ({"memory_max": "10%"}, {"memory.limit_in_bytes": str(RAM // 10 // PAGE * PAGE)},
     {"memory.max": str(RAM // 10 // PAGE * PAGE)}),
    ({"memory_max": "infinity"}, {"memory.limit_in_bytes": NO_LIMIT}, {"memory.max": "max"}),
    ({"memory_max": "8E"}, {"memory.limit_in_bytes": NO_LIMIT}, {"memory.max": "max"}),
    ({**SWAP, "memory_swap_max": 0}, {"memory.memsw.limit_in_bytes": str(64 << 20)}, {"memory.swap.max": "0"}),
    ({**SWAP, "memory_swap_max": "max"}, {"memory.memsw.limit_in_bytes": NO_LIMIT}, {"memory.swap.max": "max"}),
    ({"pids_max": 0}, {"pids.max": "0"}, {"pids.max": "0"}),
    ({"pids_max": -1}, {"pids.max": "max"}, {"pids.max": "max"}),
    ({"hugetlb_max": {"2M": "4M"}}, {"hugetlb.2MB.limit_in_bytes": "4194304"}, {"hugetlb.2MB.max": "4194304"}),
    ({"hugetlb_max": {"2MiB": 1}}, {"hugetlb.2MB.limit_in_bytes": "0"}, {"hugetlb.2MB.max": "0"}),
    ({"cpuset_cpus": "0", "cpuset_mems": "0"}, {"cpuset.cpus": "0", "cpuset.mems": "0"},
     {"cpuset.cpus": "0", "cpuset.mems": "0"}),
    ({"net_cls_classid": "0x100001"}, {"net_cls.classid": "1048577"}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("options", "v1", "v2"), VALUES, ids=lambda value: in_words(value)[1:40])
def test_value(options: dict[str, t.Any], v1: dict[str, str], v2: dict[str, str]) -> None:
    """Every way to write a value holds, and what the kernel rounds it to is no difference."""
    controller = next(iter(v1)).partition(".")[0]
    files = v1 if groups.place(controller).version == 1 else v2
    for file in files or v1:
        need(f"{GROUPS_WITH}{file}")
    laws.run("cgroup", {**BASE, **options})
    assert {file: groups.read(file) for file in files} == files
    laws.settled("cgroup", {**BASE, **options})
    laws.run("cgroup", ABSENT)


# --- options that are more than a file ------------------------------------------------------


def places(pid: int) -> set[str]:
    """The groups of a process, without hierarchies in which it is at the root or with all tests."""
    return {path for path in groups.of_process(pid).values() if path.startswith(groups.BASE)}


def forgotten(options: laws.Options) -> None:
    """Something that only adds disappeared from the task, or was added and is there: nothing changes."""
    assert not laws.run("cgroup", options, check=True).changed
    assert not laws.run("cgroup", options).changed
    laws.settled("cgroup", options)


def test_controllers() -> None:
    """They are there without any limit; a controller that is taken away comes back; none is ever taken away by us."""
    name = next(each for each in ("pids", "memory", "hugetlb") if groups.place(each).version)
    version, root = groups.place(name)
    above = f"{root}{groups.BASE}"
    if version == 1:
        damage = f"rmdir {above}/case"

        def shows() -> bool:
            return os.path.isdir(f"{above}/case")
    else:
        damage = f"echo -{name} > {above}/cgroup.subtree_control"

        def shows() -> bool:
            return name in groups.read("cgroup.controllers").split()

    laws.option_holds("cgroup", BASE, Case("controllers", {"controllers": [name]}, shows, True, damage))
    forgotten(BASE)
    assert shows(), "a controller was taken away from the group"
    laws.remove("cgroup", BASE)


def test_devices() -> None:
    """Of what is allowed, the kernel itself is the witness: a process of the group reads a device, or cannot."""
    case = limits.devices("case")
    only = case.options["devices"]
    laws.option_holds("cgroup", BASE, case)
    done = laws.four_steps("cgroup", {**BASE, "devices": [*only, "/dev/zero r"]})
    assert done["cgroup"]["devices"] == ["c 136:* rw", "c 1:3 rwm", "c 1:5 r", "c 1:9 r"]
    assert limits.reads_zero("case")
    laws.settled("cgroup", {**BASE, "devices": ["c 1:5 r", *reversed(only)]})
    laws.four_steps("cgroup", {**BASE, "devices": []})
    assert not limits.reads_zero("case")
    laws.four_steps("cgroup", {**BASE, "devices": ["a"]})
    assert limits.reads_zero("case")
    laws.remove("cgroup", BASE)


def test_delegate() -> None:
    """A user makes groups inside it and moves processes there; the limits are not the user's to change."""
    options = {**BASE, "delegate": {"uid": USER, "gid": USER + 1}}
    if groups.place("cgroup").version == 1:
        laws.refused("cgroup", options, "delegate.uid", "cgroup v1 cannot be delegated safely")
    need(f"{GROUPS_WITH}cgroup.events")
    folder = groups.folder("cgroup.procs")

    def owner() -> list[str]:
        return world.sh(f"stat -c %u:%g {folder} {folder}/cgroup.procs {folder}/cgroup.subtree_control").split()

    case = Case("delegate", {"delegate": options["delegate"]}, owner, [f"{USER}:{USER + 1}"] * 3,
                f"chown 0:0 {folder}/cgroup.subtree_control", "", ["0:0"] * 3)  # fmt: skip
    laws.option_holds("cgroup", BASE, case)
    by_user = f"setpriv --reuid {USER} --regid {USER + 1} --clear-groups sh -c"
    world.sh(f"{by_user} 'mkdir {folder}/own && ! (echo 1 > {folder}/cgroup.max.depth) 2>/dev/null'")
    laws.settled("cgroup", options)
    laws.remove("cgroup", BASE)


def test_type() -> None:
    """A threaded group inside another one; it is made anew to become one of processes again."""
    outer, inner = BASE, {"name": "case/inner"}
    if groups.place("cgroup").version == 1:
        laws.refused("cgroup", {**inner, "type": "threaded"}, "type", "cgroup v1")
    need(f"{GROUPS_WITH}cgroup.type")
    laws.refused("cgroup", {**outer, "type": "threaded"}, "type", "inside another group of yours")
    laws.run("cgroup", outer)
    laws.run("cgroup", inner)
    done = laws.four_steps("cgroup", {**inner, "type": "threaded"})
    assert groups.read("cgroup.type", "case/inner") == "threaded"
    assert {step["effect"] for step in done["plan"]} == {"recreate"}
    laws.four_steps("cgroup", {**inner, "type": "domain"})
    assert groups.read("cgroup.type", "case/inner") == "domain"
    laws.run("cgroup", {**inner, "type": "threaded"})
    laws.four_steps("cgroup", inner)
    assert groups.read("cgroup.type", "case/inner") == "domain"
    laws.remove("cgroup", {**inner, "type": "threaded"})
    laws.remove("cgroup", outer)


def test_weights_of_single_disks(disk: str) -> None:
    """Only a disk whose scheduler is BFQ has weights; a line of its own is taken away with the option."""
    laws.option_holds("cgroup", BASE, limits.disk_weight(disk, "case"))
    laws.refused("cgroup", {**BASE, "io_weight_device": [{"device": disk, "weight": 1001}]}, "io_weight_device", "1000")
    laws.remove("cgroup", BASE)


def test_partition_of_processors() -> None:
    limits.partition_fails("cgroup", BASE)


# --- processes ------------------------------------------------------------------------------


def test_processes(sleeper: int) -> None:
    """They are moved in, in every hierarchy; moved away by hand, they are brought back."""
    options = {**BASE, "processes": [sleeper], "pids_max": 5}
    before = groups.of_process(sleeper)
    laws.run("cgroup", BASE)
    laws.four_steps("cgroup", options)
    assert places(sleeper) == {f"{groups.BASE}/case"}
    laws.repaired(
        "cgroup", options, f"echo {sleeper} > {groups.place('pids').mount_point}{before['pids']}/cgroup.procs"
    )
    assert groups.of_process(sleeper)["pids"] == f"{groups.BASE}/case"
    forgotten({**BASE, "pids_max": 5})
    assert places(sleeper) == {f"{groups.BASE}/case"}, "a process was moved away that the task does not name any more"
    forgotten({**options, "processes": [sleeper, 4194303]})  # one that has ended
    laws.refused("cgroup", ABSENT, "kill", f"{sleeper} (sleep)")
    laws.four_steps("cgroup", {**ABSENT, "kill": True})
    assert world.sh(f"ps -o stat= -p {sleeper}").strip().startswith("Z")


def test_group_of_others_that_gets_processes_is_not_touched(sleeper: int) -> None:
    place = groups.folder("cgroup.procs")
    world.sh(f"mkdir -p {place}")
    before = groups.of_process(sleeper)
    laws.refused("cgroup", {**BASE, "processes": [sleeper]}, "cgroup case", "adopt")
    assert groups.of_process(sleeper) == before
    world.sh(f"rmdir {place}; rmdir {os.path.dirname(place)}")


def test_process_that_is_moved_leaves_the_group_of_others_as_it_is(sleeper: int) -> None:
    other = f"{groups.place('cgroup').mount_point}/case-of-others"
    world.sh(f"mkdir {other} && echo {sleeper} > {other}/cgroup.procs")
    before = world.snapshot()["groups"][other]
    laws.run("cgroup", {**BASE, "processes": [sleeper]})
    assert groups.read("cgroup.procs").split() == [str(sleeper)]
    after = world.snapshot()["groups"][other]
    assert [line.split(":")[0] for line in world.difference(before, after)] in ([f" > {other}/cgroup.procs"], [
        f" > {other}/cgroup.procs", f" > {other}/cgroup.threads"
    ])  # fmt: skip
    laws.run("cgroup", {**ABSENT, "kill": True})
    world.sh(f"rmdir {other}")


def test_processes_follow_into_hierarchies_that_the_group_joins_later(sleeper: int) -> None:
    """A group that gets another controller of version 1 is in one more hierarchy, and so are its processes."""
    laws.run("cgroup", {**BASE, "processes": [sleeper]})
    child = subprocess.Popen(["sh", "-c", f"echo $$ > {groups.folder('cgroup.procs')}/cgroup.procs; exec sleep 1000"])
    world.until(lambda: str(child.pid) in groups.read("cgroup.procs").split())
    laws.four_steps("cgroup", {**BASE, "processes": [sleeper], "pids_max": 5, "memory_max": "64M"})
    for file in ("pids.max", "memory.max"):
        assert {str(sleeper), str(child.pid)} <= set(world.sh(f"cat {groups.folder(file)}/cgroup.procs").split())
    laws.run("cgroup", {**ABSENT, "kill": True})
    assert child.wait(timeout=10) == -signal.SIGKILL


def test_frozen_group_is_killed(sleeper: int) -> None:
    laws.four_steps("cgroup", {**BASE, "processes": [sleeper], "frozen": True})
    if groups.place("cgroup").version == 2:
        assert "frozen 1" in groups.read("cgroup.events").splitlines()
    laws.four_steps("cgroup", {**BASE, "processes": [sleeper]})
    laws.four_steps("cgroup", {**BASE, "processes": [sleeper], "frozen": True})
    laws.four_steps("cgroup", {**ABSENT, "kill": True})


def test_limit_below_what_is_held_is_refused() -> None:
    """Version 2 would kill for it, and version 1 refuse it half-way."""
    need(f"{GROUPS_WITH}{'memory.limit_in_bytes' if groups.place('memory').version == 1 else 'memory.max'}")
    options = {**BASE, "memory_max": "512M", "memory_swap_max": 0}
    laws.run("cgroup", options)
    program = "import sys; held = bytearray(48 << 20); print(len(held), flush=True); sys.stdin.read()"
    words = f"echo $$ > {groups.folder('memory.max')}/cgroup.procs; exec {sys.executable} -c '{program}'"
    holder = subprocess.Popen(["sh", "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    holder.stdout.readline()
    laws.refused("cgroup", {**options, "memory_max": "16M"}, "memory_max: the processes of the group hold")
    assert holder.poll() is None
    laws.four_steps("cgroup", {**options, "memory_max": "128M"})
    holder.communicate()
    laws.four_steps("cgroup", {**options, "memory_max": "16M"})
    laws.remove("cgroup", BASE)


# --- groups inside groups, and whose they are ----------------------------------------------------


def test_groups_inside_each_other() -> None:
    """Those in between are there for the inner one only, until a task asks for them, too."""
    inner: dict[str, t.Any] = {"name": "case/between/inner", "pids_max": 5}
    laws.four_steps("cgroup", inner)
    assert groups.read("pids.max", "case/between") == "max"
    laws.four_steps("cgroup", {"name": "case", "pids_max": 50})
    assert (groups.read("pids.max"), groups.read("pids.max", inner["name"])) == ("50", "5")
    laws.refused("cgroup", ABSENT, "kill", "other tasks made groups below", "/case/between/inner")
    laws.remove("cgroup", inner)
    assert not os.path.exists(groups.folder("pids.max", "case/between"))
    laws.run("cgroup", inner)
    laws.four_steps("cgroup", {**ABSENT, "kill": True})
    assert not os.path.exists(groups.folder("pids.max"))
    assert not os.path.exists(f"{groups.place('pids').mount_point}{groups.BASE}")


def test_controllers_that_come_along() -> None:
    """In version 1, of a hierarchy that has several, and the one by which groups are frozen: they are no difference."""
    there = [each for each in ("pids", "cpu") if groups.place(each).version]
    for number in range(len(there)):
        laws.four_steps("cgroup", {**BASE, "controllers": there[: number + 1]})
    laws.remove("cgroup", BASE)


def test_group_with_processes_cannot_give_controllers(sleeper: int) -> None:
    """Of version 2: known before anything is touched."""
    files = {"hugetlb": "hugetlb.2MB.max", "memory": "memory.max"}
    controller = next((each for each in files if groups.place(each).version == 2), "memory")
    need(f"{GROUPS_WITH}{files[controller]}")
    laws.run("cgroup", {**BASE, "processes": [sleeper]})
    inner = {"name": "case/inner", "controllers": [controller]}
    laws.refused("cgroup", inner, f"controllers: {controller} cannot be had", "processes of its own")
    laws.run("cgroup", {**ABSENT, "kill": True})


def test_path_from_the_root() -> None:
    options = {"name": "/case-at-the-root", "pids_max": 5}
    if os.path.isdir("/run/systemd/system"):
        laws.refused("cgroup", options, "name", "Delegate=yes")
        return
    laws.four_steps("cgroup", options)
    assert groups.read("pids.max", "/case-at-the-root") == "5"
    laws.remove("cgroup", options)


def test_group_of_others_is_not_touched_without_adopt() -> None:
    places = {groups.folder("cgroup.procs"), groups.folder("pids.max")}
    for place in places:
        world.sh(f"mkdir -p {place}")
    if groups.place("pids").version == 2:
        root = groups.place("pids").mount_point
        world.sh(f"echo +pids > {root}/cgroup.subtree_control; echo +pids > {root}{groups.BASE}/cgroup.subtree_control")
    laws.settled("cgroup", BASE)
    laws.refused("cgroup", {**BASE, "pids_max": 7}, "cgroup case", "adopt", "pids_max")
    laws.refused("cgroup", ABSENT, "cgroup case", "adopt")
    laws.four_steps("cgroup", {**BASE, "pids_max": 7, "adopt": True})
    assert groups.read("pids.max") == "7"
    laws.four_steps("cgroup", BASE)
    assert groups.read("pids.max") == "max"
    laws.remove("cgroup", BASE)
    for place in places:
        world.sh(f"test ! -d {os.path.dirname(place)} || rmdir {os.path.dirname(place)}")


def test_what_was_there_before_comes_back() -> None:
    """An option that disappears goes back to the value before our first change, not to the kernel's own."""
    laws.run("cgroup", {**BASE, "controllers": ["pids"]})
    world.sh(f"echo 33 > {groups.folder('pids.max')}/pids.max")
    laws.four_steps("cgroup", {**BASE, "controllers": ["pids"], "pids_max": 7})
    laws.four_steps("cgroup", {**BASE, "controllers": ["pids"]})
    assert groups.read("pids.max") == "33"
    laws.remove("cgroup", BASE)


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_drift_that_is_not_to_be_repaired(policy: str) -> None:
    options, more, place = {**BASE, "pids_max": 7}, {"max_depth": 3}, groups.folder("pids.max")
    laws.drift_stays("cgroup", options, policy, f"echo 9 > {place}/pids.max", ["pids_max is '9', not '7'"], more)
    assert groups.read("pids.max") == "9"
    laws.repaired("cgroup", {**options, **(more if policy == "warn" else {})}, f"rmdir {place}")
    assert groups.read("pids.max") == "7"
    laws.remove("cgroup", BASE)


# --- failures ---------------------------------------------------------------------------------------


def test_failed_run_puts_everything_back(monkeypatch: pytest.MonkeyPatch, sleeper: int) -> None:
    """Limits, controllers, processes, the freezer, and the mark of a group that was adopted."""
    laws.run("cgroup", {**BASE, "pids_max": 7})
    was = groups.of_process(sleeper)
    more = {"pids_max": 9, "memory_max": "64M", "devices": ["/dev/null rw"], "processes": [sleeper], "frozen": True}
    with monkeypatch.context() as patch:
        laws.failing(patch)
        laws.puts_back("cgroup", [{**BASE, **more}])
        assert groups.of_process(sleeper) == was
        laws.run("cgroup", BASE, check=True)
    laws.remove("cgroup", BASE)


def test_failed_creation_leaves_nothing(monkeypatch: pytest.MonkeyPatch, sleeper: int) -> None:
    was = groups.of_process(sleeper)
    laws.failing(monkeypatch)
    laws.puts_back("cgroup", [{"name": "case/inner", "pids_max": 9, "memory_max": "64M", "processes": [sleeper]}])
    assert groups.of_process(sleeper) == was


def test_failed_adoption_leaves_no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    place = groups.folder("cgroup.procs")
    world.sh(f"mkdir -p {place}")
    before = world.snapshot()
    laws.failing(monkeypatch)
    failed = invoke("cgroup", {**BASE, "adopt": True, "pids_max": 7})
    assert "Everything was put back as it was" in failed["msg"]
    assert world.difference(before, world.snapshot()) == []
    world.sh(f"rmdir {place}; rmdir {os.path.dirname(place)}")


def test_runs_at_once_wait_for_each_other() -> None:
    """Each makes and removes a group beside the others, and with it the group above all of them."""
    names = [f"case/{number}" for number in range(4)]
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        made = list(pool.map(lambda name: invoke("cgroup", {"name": name, "pids_max": 5}), names))
        assert [result["msg"] for result in made if result.failed] == []
        assert {groups.read("pids.max", name) for name in names} == {"5"}
        gone = list(pool.map(lambda name: invoke("cgroup", {"name": name, "state": "absent"}), names))
    assert [result["msg"] for result in gone if result.failed] == []


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": ""}, ("name: expected",)),
        ({"name": "a//b"}, ("name: expected",)),
        ({"name": "a/../b"}, ("name: expected",)),
        ({"name": "a b"}, ("name: expected",)),
        ({"name": "x" * 256}, ("name: expected",)),
        ({"name": "cgroup.procs"}, ("name: expected", "no file of the kernel")),
        ({"controllers": ["cpu", "ram"]}, ("controllers[1]: expected", "'ram'")),
        ({"cpu_weight": 0}, ("cpu_weight: expected", "1 to 10000")),
        ({"cpu_weight": "many"}, ("cpu_weight",)),
        ({"cpu_weight": 5, "cpu_weight_nice": 5}, ("mutually exclusive",)),
        ({"cpu_weight": 5, "cpu_idle": True}, ("cpu_weight: an idle group",)),
        ({"cpu_weight_nice": 20}, ("cpu_weight_nice: expected", "-20 to 19")),
        ({"cpu_max": "fast"}, ("cpu_max: expected processors such as 1.5",)),
        ({"cpu_max": "500 100000"}, ("cpu_max: expected a quota",)),
        ({"cpu_max": "5000 100"}, ("cpu_max: expected a period",)),
        ({"cpu_max": "-0.5"}, ("cpu_max: expected",)),
        ({"cpu_max": "10%", "cpu_max_burst": 20000}, ("cpu_max_burst: expected at most", "10000")),
        ({"cpu_uclamp_min": "101"}, ("cpu_uclamp_min: expected",)),
        ({"cpuset_cpus": "3-1"}, ("cpuset_cpus: expected",)),
        ({"cpuset_cpus": "all"}, ("cpuset_cpus: expected",)),
        ({"cpuset_cpus": "0,4000"}, ("cpuset_cpus: expected processors of this host", "4000")),
        ({"cpuset_mems": "77"}, ("cpuset_mems: expected memory nodes of this host", "77")),
        ({"cpuset_cpus_partition": "root"}, ("cpuset_cpus_partition: a partition needs processors",)),
        ({"memory_max": "much"}, ("memory_max: expected",)),
        ({"memory_max": "512MB"}, ("memory_max: expected", "512MiB")),
        ({"memory_max": "120%"}, ("memory_max: expected at most 100%",)),
        ({"memory_max": "-5"}, ("memory_max: expected",)),
        ({"memory_swap_max": "10%"}, ("memory_swap_max: expected",)),
        ({"io_max": [{"device": "/dev/null", "rbps": 1}]}, ("io_max[0].device: expected a block device",)),
        ({"io_max": [{"device": "/dev/nothing", "rbps": 1}]}, ("io_max[0].device: expected a block device",)),
        ({"io_max": [{"device": DISK, "rbps": 0}]}, ("io_max[0].rbps: expected at least 1",)),
        ({"io_max": [{"device": DISK}, {"device": DISK}]}, ("io_max[1].device", "given twice")),
        ({"io_max": [{"rbps": 1}]}, ("device",)),
        ({"pids_max": "few"}, ("pids_max: expected max or a whole number",)),
        ({"hugetlb_max": {"2": "1M"}}, ("hugetlb_max: expected sizes of huge pages",)),
        ({"hugetlb_max": {"3MB": "6M"}}, ("hugetlb_max[3MB]: this host has no huge pages of 3MB",)),
        ({"hugetlb_max": {"2MB": 1, "2M": 2}}, ("hugetlb_max: 2MB is given twice",)),
        ({"devices": ["x 1:3 rwm"]}, ("devices[0]: expected a rule",)),
        ({"devices": ["c 1:3 rr"]}, ("devices[0]: expected each of",)),
        ({"devices": ["/dev/null rw", "/etc/passwd r"]}, ("devices[1]: expected a device",)),
        ({"devices": ["deny c 1:3 r"]}, ("devices[0]: expected what is allowed",)),
        ({"net_cls_classid": "1:2:3"}, ("net_cls_classid: expected",)),
        ({"net_prio_ifpriomap": {"lo": "high"}}, ("net_prio_ifpriomap: expected",)),
        ({"max_depth": "deep"}, ("max_depth: expected",)),
        ({"settings": {"../x": 1}}, ("settings: expected names of files",)),
        ({"settings": {"cgroup.procs": 1}}, ("settings: cgroup.procs is no setting", "processes")),
        ({"settings": {"cgroup.kill": 1}}, ("settings: cgroup.kill is no setting",)),
        ({"settings": {"pids.max": 5}, "pids_max": 5}, ("settings[pids.max]: the option pids_max says the same",)),
        ({"settings": {"pids.nothing": 5}}, ("settings[pids.nothing]: there is no file",)),
        ({"settings": {"colour.red": 5}}, ("settings[colour.red]: this host has no controller colour",)),
        ({"delegate": {"gid": 5}}, ("uid",)),
        ({"delegate": {"uid": -1}}, ("delegate.uid: expected",)),
        ({"processes": [0]}, ("processes[0]: expected process ids",)),
        ({"colour": "red"}, ("colour",)),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("cgroup", {**BASE, **options}, *words)


def test_all_errors_at_once() -> None:
    options = {"name": "a b", "memory_max": "much", "io_max": [{"device": DISK, "rbps": 0}], "pids_max": "x"}
    failed = laws.refused("cgroup", options)
    assert [error["option"] for error in failed["errors"]] == ["name", "memory_max", "io_max[0].rbps", "pids_max"]


def test_what_this_host_lacks_is_told_all_at_once() -> None:
    """Options, controllers and settings, each by its path and with the reason."""
    lacking = {row.option: row.options[row.option] for row in ROWS if row.lacks and row.option != "settings"}
    failed = laws.refused("cgroup", {**BASE, **lacking, "settings": {"colour.red": 1}}, *lacking)
    named = {error["option"].partition("[")[0] for error in failed["errors"]}
    assert named == {*lacking, "settings"}


def test_controller_that_the_kernel_lacks() -> None:
    lacking = next(each for each in ("misc", "rdma", "net_cls", "dmem") if not groups.place(each).version)
    laws.refused("cgroup", {**BASE, "controllers": [lacking]}, f"controllers: {lacking} cannot be had", "this host")


def test_missing_disk() -> None:
    options = {**BASE, "io_max": [{"device": "4000:77", "rbps": "1M"}]}
    need(f"{GROUPS_WITH}{'blkio.throttle.read_bps_device' if groups.place('io').version == 1 else 'io.max'}")
    laws.missing("cgroup", options, "io_max[4000:77]", "there is no block device")


# --- the table ----------------------------------------------------------------------------------------


def test_every_option_is_proved() -> None:
    laws.covered(
        TABLE,
        ROWS,
        {
            "name": test_groups_inside_each_other,
            "controllers": test_controllers,
            "cpuset_cpus_partition": test_partition_of_processors,
            "io_weight_device.device": test_weights_of_single_disks,
            "io_weight_device.weight": test_weights_of_single_disks,
            "devices": test_devices,
            "type": test_type,
            "delegate.uid": test_delegate,
            "delegate.gid": test_delegate,
            "processes": test_processes,
            "kill": test_processes,
            "adopt": test_group_of_others_is_not_touched_without_adopt,
            "on_drift": test_drift_that_is_not_to_be_repaired,
        },
    )
