# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``linux.resources`` of the runtime-spec on the real kernel: files, what processes feel, and runc beside us."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import subprocess
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup.group import Group
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError, OptionError
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import groups as runtime
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import statistics
from support import groups, world
from support.abilities import has, need

Json = dict[str, t.Any]
MEGABYTE = 1 << 20
ROOT = "/srv/bundle"
#: What differs between two groups with the same settings, or is not a setting.
COUNTERS = re.compile(
    r"(stat|usage|usage_.*|usage_in_bytes|procs|tasks|threads|current|events|local|peak|slabinfo|pressure|failcnt|"
    r"service.*|sectors.*|time.*|effective_.*|effective)$"
)


@pytest.fixture
def make() -> t.Iterator[t.Callable[[Json, str], Group]]:
    """Make groups with resources as the runtime does; they are removed in the end."""
    specs: list[Json] = []

    def made(resources: Json, path: str = "case") -> Group:
        specs.append({"linux": {"resources": resources, "cgroupsPath": path}})
        return runtime.make(specs[-1])

    yield made
    for each in specs:
        runtime.remove(each)


@contextlib.contextmanager
def inside(group: Group, script: str) -> t.Iterator[subprocess.Popen[str]]:
    """A shell script that runs in a group from its first line."""
    command = ["sh", "-c", f"read go; {script}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        try:
            group.enter(process.pid)
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def output(group: Group, script: str) -> str:
    """What a script in a group says until its end."""
    with inside(group, script) as process:
        return process.communicate()[0]


def value(version_1: str, version_2: str, path: str = "case") -> str:
    """What a file holds, by its name in the version that its controller is on."""
    return (
        groups.read(version_1, path)
        if groups.place(version_1.partition(".")[0]).version == 1
        else groups.read(version_2, path)
    )


# --- what processes feel -------------------------------------------------------------------------------


def test_a_process_that_wants_too_much_memory_is_ended_and_that_is_told(make: t.Callable[..., Group]) -> None:
    group = make({"memory": {"limit": 16 * MEGABYTE, "swap": 16 * MEGABYTE}})
    assert value("memory.limit_in_bytes", "memory.max") == str(16 * MEGABYTE)
    told: list[None] = []
    with inside(group, "head -c 100m /dev/zero | tail -c 100m >/dev/null; sleep 1000") as process:
        watch = statistics.wait_for_oom(group)
        told.append(next(watch))
        process.kill()
        process.wait()
        group.kill()
        runtime.remove({"linux": {"cgroupsPath": "case"}})
        told += list(watch)
    assert told[:1] == [None]


def test_the_watch_ends_with_the_group(make: t.Callable[..., Group]) -> None:
    group = make({})
    with contextlib.closing(statistics.MemoryWatch(group)) as watch:
        assert watch.wait(0.0) is False
        assert not watch.over
        runtime.remove({"linux": {"cgroupsPath": "case"}})
        assert watch.wait() is False
        assert watch.over


def test_a_fork_bomb_ends_at_the_limit(make: t.Callable[..., Group]) -> None:
    group = make({"pids": {"limit": 3}})
    assert groups.read("pids.max") == "3"
    assert "fork" in output(group, "sleep 0.2 & sleep 0.2 & sleep 0.2 & sleep 0.2 & wait")


def test_no_process_may_be_started_where_the_limit_is_0(make: t.Callable[..., Group]) -> None:
    group = make({"pids": {"limit": 0}})
    assert groups.read("pids.max") == "0"
    assert "fork" in output(group, "/bin/true; echo alive")


def test_only_devices_that_are_allowed_can_be_opened(make: t.Callable[..., Group]) -> None:
    """``/dev/loop-control`` is 10:237; ``/dev/null`` and its like are always allowed (runc, ``AllowedDevices``)."""
    script = "for d in null zero loop-control; do : < /dev/$d && echo $d; done"
    assert output(make({}), script).splitlines()[:2] == ["null", "zero"]
    assert "loop-control" not in output(make({}), script).split()
    allowed = make({"devices": [{"allow": False, "access": "rwm"},
                                {"allow": True, "type": "c", "major": 10, "minor": 237, "access": "r"}]})  # fmt: skip
    assert output(allowed, script).split() == ["null", "zero", "loop-control"]
    assert "loop-control" not in output(allowed, ": > /dev/loop-control && echo loop-control").split("\n")


def test_a_processor_is_given_for_a_part_of_the_time_only(make: t.Callable[..., Group]) -> None:
    group = make({"cpu": {"quota": 5000, "period": 50000, "cpus": "0"}})
    assert value("cpu.cfs_quota_us", "cpu.max") in ("5000", "5000 50000")
    with inside(group, "taskset -pc $$; while :; do :; done") as process:
        assert process.stdout
        assert process.stdout.readline().strip().endswith(": 0")
        while not statistics.statistics(group)["cpu"]["throttling"].get("throttledPeriods"):
            pass


# --- every setting in its file ----------------------------------------------------------------------------

#: Section, file, what it holds then, and what the host must have for it.
FILES: list[tuple[Json, str, str]] = [
    ({"memory": {"limit": 64 * MEGABYTE}}, "memory.limit_in_bytes", "67108864"),
    ({"memory": {"limit": 64 * MEGABYTE}}, "memory.max", "67108864"),
    ({"memory": {"limit": 64 * MEGABYTE, "swap": 96 * MEGABYTE}}, "memory.memsw.limit_in_bytes", "100663296"),
    ({"memory": {"limit": 64 * MEGABYTE, "swap": 96 * MEGABYTE}}, "memory.swap.max", "33554432"),
    ({"memory": {"reservation": 32 * MEGABYTE}}, "memory.soft_limit_in_bytes", "33554432"),
    ({"memory": {"reservation": 32 * MEGABYTE}}, "memory.low", "33554432"),
    ({"memory": {"kernelTCP": MEGABYTE}}, "memory.kmem.tcp.limit_in_bytes", "1048576"),
    ({"memory": {"swappiness": 10}}, "memory.swappiness", "10"),
    ({"memory": {"disableOOMKiller": True}}, "memory.oom_control", "oom_kill_disable 1"),
    ({"memory": {"useHierarchy": True}}, "memory.use_hierarchy", "1"),
    ({"cpu": {"shares": 512}}, "cpu.shares", "512"),
    ({"cpu": {"shares": 512}}, "cpu.weight", "59"),
    ({"cpu": {"quota": 20000, "period": 50000, "burst": 10000}}, "cpu.cfs_burst_us", "10000"),
    ({"cpu": {"quota": 20000, "period": 50000, "burst": 10000}}, "cpu.max", "20000 50000"),
    ({"cpu": {"idle": 1}}, "cpu.idle", "1"),
    ({"cpu": {"cpus": "0", "mems": "0"}}, "cpuset.cpus", "0"),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}, "hugetlb.2MB.rsvd.max", "4194304"),
    ({"unified": {"hugetlb.2MB.max": "2097152"}}, "hugetlb.2MB.max", "2097152"),
    ({"unified": {"memory.high": "33554432"}}, "memory.high", "33554432"),
    ({"unified": {"cgroup.max.depth": "3"}}, "cgroup.max.depth", "3"),
]  # fmt: skip


@pytest.mark.parametrize(("resources", "file", "text"), FILES, ids=lambda each: each if isinstance(each, str) else "")
def test_a_field_is_in_its_file(make: t.Callable[..., Group], resources: Json, file: str, text: str) -> None:
    need(f"control groups with {file}")
    make(resources)
    assert groups.read(file).splitlines()[0] == text


def test_realtime_processes_get_time_from_the_group_above(make: t.Callable[..., Group]) -> None:
    need("control groups with cpu.rt_runtime_us")
    time = {"cpu": {"realtimeRuntime": 1000, "realtimePeriod": 500000}}
    if int(groups.read("cpu.rt_runtime_us", "/")) > 0:
        make(time, "/nsfleet-case")
        assert groups.read("cpu.rt_runtime_us", "/nsfleet-case") == "1000"
        assert groups.read("cpu.rt_period_us", "/nsfleet-case") == "500000"
    with pytest.raises(NsfleetError, match=r"^linux\.resources\.cpu\.realtimeRuntime: .* the group above has less"):
        make(time)


def test_a_disk_is_slowed_down_and_weighed(make: t.Callable[..., Group], disk: str) -> None:
    major, minor = map(int, disk.split(":"))
    rates = {"major": major, "minor": minor, "rate": MEGABYTE}
    group = make({"blockIO": {"throttleReadBpsDevice": [rates], "throttleWriteIOPSDevice": [{**rates, "rate": 7}]}})
    if groups.place("blkio").version == 1:
        assert groups.read("blkio.throttle.read_bps_device") == f"{disk} 1048576"
        assert groups.read("blkio.throttle.write_iops_device") == f"{disk} 7"
    else:
        assert groups.read("io.max") == f"{disk} rbps=1048576 wbps=max riops=max wiops=7"
    need("the disk scheduler BFQ")
    spec: Json = {"linux": {"cgroupsPath": "case", "resources": {}}}
    runtime.update(spec, {"blockIO": {"weight": 50, "weightDevice": [{"major": major, "minor": minor, "weight": 70}]}})
    weights = value("blkio.bfq.weight", "io.bfq.weight"), value("blkio.bfq.weight_device", "io.bfq.weight")
    assert "50" in weights[0]
    assert f"{disk} 70" in weights[1]
    assert group.exists


@pytest.mark.parametrize(
    ("resources", "path"),
    [
        ({"network": {"classID": 1}}, "network.classID"),
        ({"rdma": {"mlx5_1": {"hcaHandles": 1}}}, "rdma[mlx5_1]"),
        ({"blockIO": {"leafWeight": 500}}, "blockIO.leafWeight"),
        ({"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}, "hugepageLimits[0].limit"),
        ({"cpu": {"cpus": "4000"}}, "cpu.cpus"),
        ({"cpu": {"quota": 1}}, "cpu.quota"),
        ({"memory": {"kernel": MEGABYTE}}, "memory.kernel"),
        ({"unified": {"unheard.of": "1"}}, "unified[unheard.of]"),
    ],
)
def test_what_this_host_cannot_do_is_refused_by_its_path(
    make: t.Callable[..., Group], resources: Json, path: str
) -> None:
    with pytest.raises(NsfleetError) as caught:
        make(resources)
    assert str(caught.value).startswith(f"linux.resources.{path}: ")


# --- change ----------------------------------------------------------------------------------------------


def test_limits_change_under_a_running_process(make: t.Callable[..., Group]) -> None:
    group = make({"pids": {"limit": 10}, "memory": {"limit": 64 * MEGABYTE, "swap": 64 * MEGABYTE}})
    spec: Json = {
        "linux": {"cgroupsPath": "case", "resources": {"memory": {"limit": 64 * MEGABYTE, "swap": 64 * MEGABYTE}}}
    }
    with inside(group, "exec sleep 1000") as process:
        before = os.stat(f"/proc/{process.pid}").st_ino
        for limit in (128, 32):
            both = limit * MEGABYTE
            runtime.update(spec, {"memory": {"limit": both, "swap": 2 * both}, "cpu": {"shares": limit}})
            assert value("memory.limit_in_bytes", "memory.max") == str(both)
            assert value("memory.memsw.limit_in_bytes", "memory.swap.max") in (str(2 * both), str(both))
            assert value("cpu.shares", "cpu.weight") in (str(limit), {128: "21", 32: "8"}[limit])
        assert spec["linux"]["resources"]["cpu"] == {"shares": 32}
        runtime.update(spec, {"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]})
        assert value("hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max") == "0"
        assert os.stat(f"/proc/{process.pid}").st_ino == before
        assert groups.read("pids.max") == "10"


def test_a_change_that_is_refused_leaves_all_as_it_was(make: t.Callable[..., Group]) -> None:
    make({"pids": {"limit": 10}, "cpu": {"shares": 512}})
    spec: Json = {"linux": {"cgroupsPath": "case", "resources": {"pids": {"limit": 10}, "cpu": {"shares": 512}}}}
    before = {file: value(*file) for file in (("cpu.shares", "cpu.weight"), ("cpuset.cpus", "cpuset.cpus"))}
    with pytest.raises(NsfleetError, match=r"^linux\.resources\.cpu\.cpus: "):
        runtime.update(spec, {"pids": {"limit": 20}, "cpu": {"shares": 2048, "cpus": "4000"}})
    assert groups.read("pids.max") == "10"
    assert {file: value(*file) for file in before} == before
    assert spec["linux"]["resources"]["pids"] == {"limit": 10}


# --- whose it is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("options", "uid"), [(["rw"], 101000), (["ro"], 0)])
def test_a_container_that_may_change_its_groups_owns_them(options: list[str], uid: int) -> None:
    need("cgroup v2 controllers")
    mount = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options}
    spec: Json = {
        "process": {"user": {"uid": 1000, "gid": 0}}, "mounts": [mount],
        "linux": {
            "cgroupsPath": "case", "namespaces": [{"type": "cgroup"}],
            "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
        },
    }  # fmt: skip
    runtime.make(spec)
    place = groups.folder("cgroup.procs")
    owners = {name: os.stat(f"{place}/{name}").st_uid for name in ("", "cgroup.procs", "pids.max")}
    runtime.remove(spec)
    assert owners == {"": uid, "cgroup.procs": uid, "pids.max": 0}


# --- groups that are not fit --------------------------------------------------------------------------------


def test_a_group_with_a_process_is_refused(make: t.Callable[..., Group]) -> None:
    group = make({})
    spec: Json = {"linux": {"cgroupsPath": "case"}}
    runtime.refuse_used(spec)
    with inside(group, "sleep 1000") as process:
        for path in ("case", f"{groups.BASE}"):
            with pytest.raises(OptionError, match=r"^linux\.cgroupsPath: .* is not empty: process"):
                runtime.refuse_used({"linux": {"cgroupsPath": path}})
        process.kill()
        process.wait()
        group.kill()
    runtime.refuse_used(spec)


def test_a_frozen_group_is_refused_and_so_is_one_below_it(make: t.Callable[..., Group]) -> None:
    group = make({})
    group.freeze(True)
    for path in ("case", "case/below"):
        with pytest.raises(OptionError, match=rf"^linux\.cgroupsPath: {groups.BASE}/case is frozen"):
            runtime.refuse_used({"linux": {"cgroupsPath": path}})
    group.freeze(False)
    runtime.refuse_used({"linux": {"cgroupsPath": "case/below"}})


# --- runc beside us ------------------------------------------------------------------------------------------

SAME: list[Json] = [
    {},
    {"memory": {"limit": 64 * MEGABYTE, "swap": 96 * MEGABYTE, "reservation": 32 * MEGABYTE, "swappiness": 10},
     "cpu": {"shares": 512, "quota": 20000, "period": 50000, "cpus": "0", "mems": "0"}, "pids": {"limit": 50}},
    {"memory": {"limit": 64 * MEGABYTE, "disableOOMKiller": False}, "cpu": {"quota": -1, "period": 200000}},
    {"memory": {"limit": -1}, "pids": {"limit": -1}, "cpu": {"shares": 2}},
    {"devices": [{"allow": True, "type": "b", "major": 8, "access": "rw"}, {"allow": False, "access": "rwm"},
                 {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
                 {"allow": True, "type": "c", "major": 10, "minor": 237, "access": "rwm"},
                 {"allow": False, "type": "c", "major": 10, "minor": 237, "access": "w"}]},
]  # fmt: skip


@pytest.fixture
def runc() -> t.Iterator[t.Callable[[Json], Json]]:
    """Start containers by runc that do nothing, with resources; they are removed in the end."""
    need("runc")
    names = [name for name in ("bin", "lib", "lib64", "usr") if os.path.isdir(f"/{name}")]
    world.sh(f"mkdir -p {ROOT}/rootfs && runc spec -b {ROOT}")

    def run(resources: Json) -> Json:
        with open(f"{ROOT}/config.json", encoding="utf-8") as file:
            spec = json.load(file)
        spec["process"].update({"terminal": False, "args": ["/bin/sleep", "1000"]})
        spec["root"]["readonly"] = False
        spec["linux"].update({"resources": resources, "cgroupsPath": "/nsfleet-runc"})
        spec["mounts"] += [
            {
                "destination": f"/{name}",
                "source": os.path.realpath(f"/{name}"),
                "type": "bind",
                "options": ["rbind", "ro"],
            }
            for name in names
        ]
        with open(f"{ROOT}/config.json", "w", encoding="utf-8") as file:
            json.dump(spec, file)
        world.sh(f"runc run -d -b {ROOT} case </dev/null >/dev/null 2>{ROOT}/log || {{ cat {ROOT}/log; exit 1; }}")
        return {"linux": {"resources": resources, "cgroupsPath": "/nsfleet-case"}}

    yield run
    world.sh(f"runc delete -f case; rm -rf {ROOT}")


def settings(path: str) -> dict[str, list[str]]:
    """Files of a group in all hierarchies, with their lines in an order of their own."""
    found = {}
    for place in glob.glob(f"/sys/fs/cgroup/*{path}") or [f"/sys/fs/cgroup{path}"]:
        for name in os.listdir(place):
            if not COUNTERS.search(name) and os.path.isfile(f"{place}/{name}"):
                with contextlib.suppress(OSError), open(f"{place}/{name}", encoding="utf-8") as file:
                    found[f"{place[: -len(path)]}/{name}"] = sorted(file.read().splitlines())
    return found


@pytest.mark.parametrize("resources", SAME, ids=["nothing", "limits", "oom", "unlimited", "devices"])
def test_files_are_the_same_as_with_runc(
    make: t.Callable[..., Group], runc: t.Callable[[Json], Json], resources: Json
) -> None:
    """Where version 2 has the controller, runc before 1.3 has another formula for weights."""
    if resources.get("cpu", {}).get("shares") and not has("cgroup v1 controllers"):
        pytest.skip("runc of this distribution converts shares by the formula that runc 1.4 gave up")
    runc(resources)
    make(resources, "/nsfleet-case")
    ours, theirs = settings("/nsfleet-case"), settings("/nsfleet-runc")
    common = {name for name in ours.keys() & theirs.keys() if not name.endswith("cgroup.controllers")}
    assert {"memory", "pids", "devices"} <= {name.rpartition("/")[2].partition(".")[0] for name in common}
    assert {name: ours[name] for name in common} == {name: theirs[name] for name in common}


#: Sections of the statistics that stand still while the container does nothing.
STILL = ("cpuset", "memory", "pids", "intel_rdt", "network_interfaces")


def test_statistics_are_those_of_runc(runc: t.Callable[[Json], Json]) -> None:
    runc(SAME[1])
    ours, theirs = _steady(Group("/nsfleet-runc"))
    assert theirs["memory"]["usage"]["limit"] == 64 * MEGABYTE
    for name in STILL:
        assert _known(ours[name], theirs[name]) == theirs[name], name
    for name in ("kernel", "user"):
        assert ours["cpu"]["usage"][name] <= theirs["cpu"]["usage"][name]
    assert len(ours["cpu"]["usage"]["percpu"]) == len(theirs["cpu"]["usage"]["percpu"])


def _steady(group: Group) -> tuple[Json, Json]:
    """Our statistics and those of runc, between two of which nothing happened: the container has just been started."""
    for _attempt in range(50):
        before = world.ask("runc events --stats case")["data"]
        ours = json.loads(json.dumps(statistics.statistics(group)))
        after = world.ask("runc events --stats case")["data"]
        if all(before[name] == after[name] for name in STILL):
            return ours, after
    raise AssertionError("the container does not come to rest")


def _known(ours: t.Any, theirs: t.Any) -> t.Any:
    """Of an object, what the other has, too: newer versions of runc tell more."""
    return {name: ours.get(name) for name in theirs} if isinstance(theirs, dict) else ours


# --- systemd -------------------------------------------------------------------------------------------------


def test_a_scope_of_systemd_holds_the_container_and_its_limits_stay() -> None:
    need("systemd as init")
    spec: Json = {"linux": {"cgroupsPath": "nsfleet-test.slice:case:web", "resources": {"pids": {"limit": 50}}}}
    runtime.settle(spec, "web", systemd=True)
    runtime.refuse_used(spec)
    group = runtime.make(spec)
    with inside(group, "exec sleep 1000") as process:
        path = "/nsfleet.slice/nsfleet-test.slice/case-web.scope/container"
        assert path in groups.of_process(process.pid).values()
        shown = world.sh("systemctl show --property Slice,Delegate,ActiveState case-web.scope").splitlines()
        assert sorted(shown) == ["ActiveState=active", "Delegate=yes", "Slice=nsfleet-test.slice"]
        runtime.update(spec, {"memory": {"limit": 64 * MEGABYTE}})
        world.sh("systemctl daemon-reload")
        assert groups.read("pids.max", path) == "50"
        assert value("memory.limit_in_bytes", "memory.max", path) == str(64 * MEGABYTE)
        runtime.remove(spec)
        assert process.wait() == -9
    assert world.sh("systemctl show --property ActiveState case-web.scope").strip() == "ActiveState=inactive"
    world.sh("systemctl stop nsfleet-test.slice nsfleet.slice")
    assert not glob.glob("/sys/fs/cgroup/**/case-web.scope", recursive=True)


def test_a_scope_needs_systemd() -> None:
    if has("systemd as init"):
        pytest.skip("systemd is the init process of this host; the machines without it refuse")
    spec: Json = {"linux": {"cgroupsPath": "a.slice:case:web"}}
    runtime.settle(spec, "web", systemd=True)
    with pytest.raises(NsfleetError, match=r"^--systemd-cgroup: systemd is not the init process of this host$"):
        runtime.make(spec)
