# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``linux.resources`` of the runtime-spec: each field to the files of both versions, by hand from the documents."""

from __future__ import annotations

import copy
import errno
import json
import os
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup import devices, systemd
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup.group import Group
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup.hierarchy import Hierarchy, Host
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError, OptionError
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import groups, resources, schema, statistics
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import Recorded

Json = dict[str, t.Any]
Writes = list[tuple[str, str]]

_CONTROLLERS = ("cpu", "cpuset", "memory", "io", "pids", "hugetlb", "rdma", "net_cls", "net_prio")
#: What a group of version 1 has before anything is written, on Linux 5.10 with the scheduler BFQ.
_FILES_1 = {
    "cpu.shares": "1024", "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "cpu.cfs_burst_us": "0",
    "cpu.idle": "0", "cpu.rt_runtime_us": "0", "cpu.rt_period_us": "1000000", "cpuset.cpus": "0-3", "cpuset.mems": "0",
    "memory.limit_in_bytes": "9223372036854771712", "memory.memsw.limit_in_bytes": "9223372036854771712",
    "memory.soft_limit_in_bytes": "9223372036854771712", "memory.kmem.tcp.limit_in_bytes": "9223372036854771712",
    "memory.swappiness": "60", "memory.oom_control": "oom_kill_disable 0", "memory.use_hierarchy": "1",
    "pids.max": "max", "blkio.bfq.weight": "100", "blkio.bfq.weight_device": "", "blkio.throttle.read_bps_device": "",
    "blkio.throttle.write_bps_device": "", "blkio.throttle.read_iops_device": "",
    "blkio.throttle.write_iops_device": "", "hugetlb.2MB.limit_in_bytes": "9223372036852678656",
    "hugetlb.2MB.rsvd.limit_in_bytes": "9223372036852678656", "hugetlb.1GB.limit_in_bytes": "9223372035781033984",
    "rdma.max": "", "net_cls.classid": "0", "net_prio.ifpriomap": "lo 0", "freezer.state": "THAWED",
}  # fmt: skip
#: What a group of version 2 has, on a kernel without BFQ.
_FILES_2 = {
    "cgroup.controllers": " ".join(_CONTROLLERS), "cgroup.events": "populated 1\nfrozen 0", "cgroup.freeze": "0",
    "cpu.weight": "100", "cpu.max": "max 100000", "cpu.max.burst": "0", "cpu.idle": "0", "cpuset.cpus": "",
    "cpuset.mems": "", "memory.max": "max", "memory.low": "0", "memory.high": "max", "memory.swap.max": "max",
    "memory.current": "4194304", "pids.max": "max", "io.weight": "default 100", "io.max": "",
    "hugetlb.2MB.max": "max", "hugetlb.2MB.rsvd.max": "max", "hugetlb.1GB.max": "max", "rdma.max": "",
    "devices.list": "a *:* rwm", "devices.allow": "", "devices.deny": "",
}  # fmt: skip
_ABOVE = {"cpuset.cpus": "0-3", "cpuset.mems": "0", "freezer.state": "THAWED", "cgroup.freeze": "0"}


class Kernel(Recorded):
    """Files of one group and those above it, some of whose values are refused."""

    def __init__(self, files: t.Mapping[str, str]) -> None:
        below = {f"/g/top/x/{name}": text for name, text in files.items()}
        super().__init__({**below, **{f"/g/top/{name}": text for name, text in _ABOVE.items()}})
        self.refused: dict[tuple[str, str], int] = {}  #: file and text to the number of the error

    def write(self, path: str, text: str) -> None:
        """Keep what is written, or refuse it."""
        number = self.refused.get((path.rpartition("/")[2], text))
        if number:
            raise OSError(number, os.strerror(number))
        super().write(path, text)


def group(version: int, files: t.Mapping[str, str] | None = None) -> Group:
    """A group of one version.

    :param files: files that are not as they usually are.
    """
    tree = Kernel({**(_FILES_1 if version == 1 else _FILES_2), **(files or {})})
    controllers = (*_CONTROLLERS, "freezer") if version == 1 else _CONTROLLERS[:7]
    return Group("/top/x", Host([Hierarchy("/g", version, controllers)], tree=tree))


def kernel(of: Group) -> Kernel:
    """Its files."""
    assert isinstance(of.tree, Kernel)
    return of.tree


def written(to: Group, section: Json) -> Writes:
    """What comes to the files of a group, without the rules of devices, which every container has."""
    writes = [each for each in resources.translate(section, to.host) if each.file != "devices"]
    resources.apply(to, writes)
    return kernel(to).writes


def refused(version: int, section: Json) -> OptionError:
    """The error of a section that is refused."""
    with pytest.raises(OptionError) as caught:
        resources.translate(section, group(version).host)
    return caught.value


# --- every field, on both versions ----------------------------------------------------------------

_RATES = {"major": 8, "minor": 16, "rate": 600}
_GIGABYTE, _HALF = 1 << 30, 1 << 29
FIELDS: list[tuple[Json, Writes | str, Writes | str]] = [
    ({"memory": {"limit": _HALF}},
     [("memory.memsw.limit_in_bytes", "-1"), ("memory.limit_in_bytes", "536870912")],
     [("memory.max", "536870912")]),
    ({"memory": {"limit": _HALF, "swap": _GIGABYTE}},
     [("memory.memsw.limit_in_bytes", "-1"), ("memory.limit_in_bytes", "536870912"),
      ("memory.limit_in_bytes", "536870912"), ("memory.memsw.limit_in_bytes", "1073741824")],
     [("memory.max", "536870912"), ("memory.swap.max", "536870912")]),
    ({"memory": {"limit": _HALF, "swap": _HALF}},
     [("memory.memsw.limit_in_bytes", "-1"), ("memory.limit_in_bytes", "536870912"),
      ("memory.limit_in_bytes", "536870912"), ("memory.memsw.limit_in_bytes", "536870912")],
     [("memory.max", "536870912"), ("memory.swap.max", "0")]),
    ({"memory": {"limit": -1, "swap": _HALF}},
     "memory.swap: limits memory and swap together, and needs a linux.resources.memory.limit",
     [("memory.max", "max"), ("memory.swap.max", "536870912")]),
    ({"memory": {"swap": _HALF}}, "memory.swap: limits memory and swap together",
     "memory.swap: limits memory and swap together"),
    ({"memory": {"limit": _GIGABYTE, "swap": _HALF}}, "memory.swap: .* expected 1073741824 or more, got 536870912",
     "memory.swap: .* expected 1073741824 or more"),
    ({"memory": {"reservation": _HALF}}, [("memory.soft_limit_in_bytes", "536870912")], [("memory.low", "536870912")]),
    ({"memory": {"reservation": -1}}, [("memory.soft_limit_in_bytes", "-1")], [("memory.low", "max")]),
    ({"memory": {"kernel": _HALF}}, "memory.kernel: the kernel has no such limit", "memory.kernel: the kernel has no"),
    ({"memory": {"kernel": -1}}, [], []),
    ({"memory": {"kernelTCP": 1000}}, [("memory.kmem.tcp.limit_in_bytes", "1000")], "memory.kernelTCP: .*cgroup v2"),
    ({"memory": {"kernelTCP": -1}}, [("memory.kmem.tcp.limit_in_bytes", "-1")], []),
    ({"memory": {"swappiness": 0}}, [("memory.swappiness", "0")], "memory.swappiness: .*cgroup v2"),
    ({"memory": {"swappiness": 101}}, "memory.swappiness: expected a whole number from 0 to 100", "cgroup v2"),
    ({"memory": {"swappiness": 2**64 - 1}}, [], []),
    ({"memory": {"disableOOMKiller": True}}, [("memory.oom_control", "1")], "memory.disableOOMKiller: .*cgroup v2"),
    ({"memory": {"disableOOMKiller": False}}, [("memory.oom_control", "0")], []),
    ({"memory": {"useHierarchy": True}}, [("memory.use_hierarchy", "1")], []),
    ({"memory": {"useHierarchy": False}}, [("memory.use_hierarchy", "0")], "memory.useHierarchy: .*cgroup v2"),
    ({"memory": {"checkBeforeUpdate": True}}, [], []),
    ({"memory": {"limit": 0, "swap": 0, "reservation": 0}}, [], []),
    ({"memory": {"limit": None, "swappiness": None}, "cpu": None}, [], []),
    ({"cpu": {"shares": 512}}, [("cpu.shares", "512")], [("cpu.weight", "59")]),
    ({"cpu": {"shares": 1}}, "cpu.shares: expected a whole number from 2 to 262144", [("cpu.weight", "1")]),
    ({"cpu": {"quota": 20000, "period": 50000}},
     [("cpu.cfs_quota_us", "20000"), ("cpu.cfs_period_us", "50000")], [("cpu.max", "20000 50000")]),
    ({"cpu": {"quota": 20000}},
     [("cpu.cfs_quota_us", "20000"), ("cpu.cfs_period_us", "100000")], [("cpu.max", "20000 100000")]),
    ({"cpu": {"quota": -1}},
     [("cpu.cfs_quota_us", "-1"), ("cpu.cfs_period_us", "100000")], [("cpu.max", "max 100000")]),
    ({"cpu": {"period": 50000}},
     [("cpu.cfs_quota_us", "-1"), ("cpu.cfs_period_us", "50000")], [("cpu.max", "max 50000")]),
    ({"cpu": {"quota": 20000, "burst": 10000}},
     [("cpu.cfs_quota_us", "20000"), ("cpu.cfs_period_us", "100000"), ("cpu.cfs_burst_us", "10000")],
     [("cpu.max", "20000 100000"), ("cpu.max.burst", "10000")]),
    ({"cpu": {"quota": 20000, "burst": 20001}}, "cpu.burst: expected no more than the quota, 20000, got 20001",
     "cpu.burst: expected no more than the quota"),
    ({"cpu": {"realtimeRuntime": 950, "realtimePeriod": 1000}},
     [("cpu.rt_period_us", "1000"), ("cpu.rt_runtime_us", "950")], "cpu.realtimePeriod: .*cgroup v2"),
    ({"cpu": {"realtimeRuntime": 950}}, [("cpu.rt_runtime_us", "950")], "cpu.realtimeRuntime: .*cgroup v2"),
    ({"cpu": {"cpus": "0-1", "mems": "0"}}, [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")],
     [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")]),
    ({"cpu": {"idle": 1, "shares": 512}}, [("cpu.shares", "512"), ("cpu.idle", "1")],
     [("cpu.weight", "59"), ("cpu.idle", "1")]),
    ({"cpu": {"idle": 0}}, [("cpu.idle", "0")], [("cpu.idle", "0")]),
    ({"pids": {"limit": 32771}}, [("pids.max", "32771")], [("pids.max", "32771")]),
    ({"pids": {"limit": 0}}, [("pids.max", "0")], [("pids.max", "0")]),
    ({"pids": {"limit": -1}}, [("pids.max", "max")], [("pids.max", "max")]),
    ({"blockIO": {"weight": 500}}, [("blkio.bfq.weight", "500")], [("io.weight", "default 4950")]),
    ({"blockIO": {"weight": 10}}, [("blkio.bfq.weight", "10")], [("io.weight", "default 1")]),
    ({"blockIO": {"weight": 9}}, "blockIO.weight: expected a whole number from 10", "blockIO.weight: expected"),
    ({"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 1000}]}},
     [("blkio.bfq.weight_device", "8:0 1000")], [("io.weight", "8:0 10000")]),
    ({"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}},
     r"blockIO.weightDevice\[0\].weight: is missing", r"blockIO.weightDevice\[0\].weight: is missing"),
    ({"blockIO": {"leafWeight": 300}}, "blockIO.leafWeight: .*this kernel has no such setting",
     "blockIO.leafWeight: .*cgroup v2"),
    ({"blockIO": {"throttleReadBpsDevice": [_RATES]}},
     [("blkio.throttle.read_bps_device", "8:16 600")], [("io.max", "8:16 rbps=600")]),
    ({"blockIO": {"throttleWriteBpsDevice": [_RATES]}},
     [("blkio.throttle.write_bps_device", "8:16 600")], [("io.max", "8:16 wbps=600")]),
    ({"blockIO": {"throttleReadIOPSDevice": [_RATES]}},
     [("blkio.throttle.read_iops_device", "8:16 600")], [("io.max", "8:16 riops=600")]),
    ({"blockIO": {"throttleWriteIOPSDevice": [_RATES]}},
     [("blkio.throttle.write_iops_device", "8:16 600")], [("io.max", "8:16 wiops=600")]),
    ({"blockIO": {"throttleWriteIOPSDevice": [{**_RATES, "rate": 0}]}},
     [("blkio.throttle.write_iops_device", "8:16 0")], [("io.max", "8:16 wiops=max")]),
    ({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "rate": 1}]}},
     r"blockIO.throttleReadBpsDevice\[0\].minor: is missing", r"throttleReadBpsDevice\[0\].minor: is missing"),
    ({"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]},
     [("hugetlb.2MB.limit_in_bytes", "4194304"), ("hugetlb.2MB.rsvd.limit_in_bytes", "4194304")],
     [("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")]),
    ({"hugepageLimits": [{"pageSize": "1GB", "limit": _GIGABYTE}]},  # a kernel that does not count reservations
     [("hugetlb.1GB.limit_in_bytes", "1073741824")], [("hugetlb.1GB.max", "1073741824")]),
    ({"hugepageLimits": [{"pageSize": "2M", "limit": 1}]},
     r"hugepageLimits\[0\].pageSize: expected a size such as 2MB", r"hugepageLimits\[0\].pageSize"),
    ({"network": {"classID": 1048577}}, [("net_cls.classid", "1048577")], "network.classID: .*cgroup v2"),
    ({"network": {"priorities": [{"name": "eth0", "priority": 500}, {"name": "eth1", "priority": 1000}]}},
     [("net_prio.ifpriomap", "eth0 500"), ("net_prio.ifpriomap", "eth1 1000")],
     r"network.priorities\[0\].priority: .*cgroup v2"),
    ({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "rxe3": {"hcaObjects": 1}}},
     [("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"), ("rdma.max", "rxe3 hca_object=1")],
     [("rdma.max", "mlx5_1 hca_handle=3 hca_object=10000"), ("rdma.max", "rxe3 hca_object=1")]),
    ({"rdma": {"rxe3": {}}}, r"rdma\[rxe3\].hcaHandles: is missing", r"rdma\[rxe3\].hcaHandles: is missing"),
    ({"rdma": {"rxe3": {"hcaObject": 1}}}, r"rdma\[rxe3\].hcaObject: not supported", "hcaObject: not supported"),
    ({"unified": {"memory.high": "1073741824"}}, r"unified\[memory.high\]: .*its controller memory is on cgroup v1",
     [("memory.high", "1073741824")]),
    ({"unified": {"io.max": "8:0 rbps=1\n8:16 wiops=2"}}, r"unified\[io.max\]: ",
     [("io.max", "8:0 rbps=1"), ("io.max", "8:16 wiops=2")]),
    ({"unified": {"cgroup.type": "domain"}}, r"unified\[cgroup.type\]: .*this host is on cgroup v1",
     r"unified\[cgroup.type\]: .*No such file"),
    ({"unified": {"../x.y": "1"}}, "expected the name of a file of cgroup v2", "expected the name of a file"),
    ({"unified": {"misc.max": "sev 1"}}, r"unified\[misc.max\]: .*no controller misc", r"unified\[misc.max\]: "),
    ({"unified": {"pids.max": 5}}, r"unified\[pids.max\]: expected a text", r"unified\[pids.max\]: expected a text"),
    ({"pids": {"limit": "5"}}, "pids.limit: expected a whole number from -1 .* got '5'", "pids.limit: expected"),
    ({"pids": [5]}, "linux.resources.pids: expected an object", "linux.resources.pids: expected an object"),
    ({"unified": ["pids.max"]}, "linux.resources.unified: expected an object", "unified: expected an object"),
    ({"cpu": {"cpus": 5}}, "cpu.cpus: expected one line of text", "cpu.cpus: expected one line of text"),
    ({"memory": {"useHierarchy": 2}}, "memory.useHierarchy: expected true or false", "expected true or false"),
    ({"blockIO": {"weightDevice": {"major": 8}}}, "blockIO.weightDevice: expected a list of objects",
     "blockIO.weightDevice: expected a list of objects"),
]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("row", FIELDS, ids=lambda row: json.dumps(row[0]))
def test_every_field_comes_to_its_files_or_is_refused_by_its_path(
    row: tuple[Json, Writes | str, Writes | str], version: int
) -> None:
    expected = row[version]
    if isinstance(expected, str):
        with pytest.raises(NsfleetError, match=expected) as caught:
            written(group(version), row[0])
        assert str(caught.value).startswith("linux.resources.")
    else:
        assert written(group(version), row[0]) == expected


def test_every_field_of_the_specification_is_in_the_table() -> None:
    seen = {name for row, *_expected in FIELDS for name in _names(row)}
    known = {name.rstrip("!") for name in _names(schema.RESOURCES)} - {"devices", "allow", "type", "access"}
    assert known <= seen


def _names(value: t.Any) -> t.Iterator[str]:
    for item in value if isinstance(value, list) else ():
        yield from _names(item)
    if isinstance(value, schema.Map):
        yield from _names(value.values)
    for name, item in value.items() if isinstance(value, dict) else ():
        yield name
        yield from _names(item)


def test_the_scheduler_cfq_has_files_of_its_own() -> None:
    files = ("blkio.weight", "blkio.weight_device", "blkio.leaf_weight", "blkio.leaf_weight_device")
    device = {"major": 8, "minor": 0, "weight": 500, "leafWeight": 300}
    section = {"blockIO": {"weight": 10, "leafWeight": 20, "weightDevice": [device]}}
    assert written(group(1, dict.fromkeys(files, "")), section) == [
        ("blkio.weight", "10"),
        ("blkio.leaf_weight", "20"),
        ("blkio.weight_device", "8:0 500"),
        ("blkio.leaf_weight_device", "8:0 300"),
    ]


def test_the_scheduler_bfq_takes_weights_as_they_are_in_version_2() -> None:
    section = {"blockIO": {"weight": 10, "weightDevice": [{"major": 8, "minor": 0, "weight": 500}]}}
    expected = [("io.bfq.weight", "10"), ("io.bfq.weight", "8:0 500")]
    assert written(group(2, {"io.bfq.weight": "default 100"}), section) == expected


@pytest.mark.parametrize("version", [1, 2])
def test_no_limit_of_memory_is_none_of_swap_even_where_swap_cannot_be_limited(version: int) -> None:
    to = group(version)
    swap = "/g/top/x/" + ("memory.memsw.limit_in_bytes" if version == 1 else "memory.swap.max")
    memory = "memory.limit_in_bytes" if version == 1 else "memory.max"
    assert written(to, {"memory": {"limit": -1}})
    assert kernel(to).contents[swap] == ("9223372036854771712" if version == 1 else "max")
    del kernel(to).contents[swap]
    kernel(to).writes.clear()
    assert written(to, {"memory": {"limit": -1}}) == [(memory, "-1" if version == 1 else "max")]
    with pytest.raises(NsfleetError, match=r"^linux\.resources\.memory\.swap: set memory\.swap\.max"):
        written(to, {"memory": {"limit": _HALF, "swap": _GIGABYTE}})


@pytest.mark.parametrize(
    ("shares", "weight"),
    [
        (2, 1),
        (3, 2),
        (102, 17),
        (128, 21),
        (512, 59),
        (1024, 100),
        (2048, 174),
        (262143, 10000),
        (262144, 10000),
        (10**9, 10000),
    ],
)
def test_shares_become_weights_as_with_runc_and_crun(shares: int, weight: int) -> None:
    """The first and the last three are of runc's own test; 102 and 512 are what Kubernetes and crun publish."""
    assert resources.weight_of_shares(shares) == weight


def test_each_controller_may_be_on_another_version() -> None:
    hierarchies = [Hierarchy("/one", 1, ("memory", "cpu")), Hierarchy("/two", 2, ("pids", "hugetlb"))]
    section: Json = {"memory": {"reservation": 4096}, "cpu": {"shares": 512}, "pids": {"limit": 1}}
    section["unified"] = {"hugetlb.2MB.max": "0"}
    found = resources.translate(section, Host(hierarchies, tree=Recorded({})))
    assert [(write.file, write.text) for write in found if write.file != "devices"] == [
        ("memory.soft_limit_in_bytes", "4096"),
        ("cpu.shares", "512"),
        ("pids.max", "1"),
        ("hugetlb.2MB.max", "0"),
    ]


def test_what_the_container_module_says_holds_on_either_version() -> None:
    """Its ``unified`` is in the words of version 2, and has its own list of devices."""
    section = {"unified": {"cpu.weight": "200", "devices": "c 1:3 rwm\nc 1:5 r", "io.max": "8:0 rbps=1\n8:16 rbps=2"}}
    found = resources.translate(section, Host([Hierarchy("/g", 1, ("cpu", "io", "devices"))]), ours=True)
    assert [(write.file, write.text) for write in found] == [
        ("cpu.weight", "200"),
        ("devices", "c 1:3 rwm\nc 1:5 r"),
        ("io.max", "8:0 rbps=1"),
        ("io.max", "8:16 rbps=2"),
    ]


# --- devices --------------------------------------------------------------------------------------

_EVERYTHING = {"allow": False, "access": "rwm"}
_ALWAYS = [
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:8 rwm", "c 1:7 rwm", "c 5:0 rwm", "c 1:5 rwm", "c 1:9 rwm", "c 136:* rwm",
    "c 5:2 rwm", "c 10:200 rwm",
]  # fmt: skip


def rules(version: int, *entries: Json) -> list[str]:
    """The rules of a group with entries of the specification."""
    found = resources.translate({"devices": list(entries)}, Host([Hierarchy("/g", version, ("devices",))]))
    return "\n".join(write.text for write in found).split("\n")


@pytest.mark.parametrize("version", [1, 2])
def test_what_is_not_allowed_is_denied_but_for_what_every_container_has(version: int) -> None:
    assert rules(version) == _ALWAYS
    assert rules(version, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "wr"}) == [
        "c 10:229 rw",
        *_ALWAYS,
    ]
    assert rules(version, {"allow": True, "type": "b", "major": 8, "access": "r"})[0] == "b 8:* r"


def test_rules_hold_in_their_order() -> None:
    disk = {"type": "b", "major": 8, "minor": 0, "access": "rwm"}
    assert rules(1, {**disk, "allow": True}, _EVERYTHING) == _ALWAYS
    assert rules(1, _EVERYTHING, {**disk, "allow": True})[0] == "b 8:0 rwm"
    assert rules(1, {**disk, "allow": True}, {**disk, "allow": False, "access": "w"})[0] == "b 8:0 rm"
    assert rules(1, {"allow": True, "access": "rwm"}, {**disk, "allow": False}) == ["a *:* rwm", "deny b 8:0 rw"]
    assert rules(2, {**disk, "allow": True}, _EVERYTHING) == ["b 8:0 rwm", "deny a *:* rwm", *_ALWAYS]


def test_an_exception_that_version_1_would_ignore_is_refused() -> None:
    """Version 1 keeps ``c 10:* rwm`` whole, whatever is denied of it afterwards; version 2 is asked rule by rule."""
    entries = (
        {"allow": True, "type": "c", "major": 10, "access": "rwm"},
        {"allow": False, "type": "c", "major": 10, "minor": 1, "access": "w"},
    )
    with pytest.raises(OptionError, match=r"linux\.resources\.devices: cgroup v1 cannot make an exception"):
        rules(1, *entries)
    assert rules(2, *entries)[:2] == ["c 10:* rwm", "deny c 10:1 w"]


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"access": "rwm"}, "allow"), ({"allow": True, "access": "x"}, "access"),
        ({"allow": True, "type": "u", "access": "r"}, "type"),
        ({"allow": True, "type": "c", "major": 4096, "access": "r"}, "major"),
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(entry: Json, path: str) -> None:
    with pytest.raises(OptionError, match=rf"linux\.resources\.devices\[0\]\.{path}: "):
        rules(2, entry)


_NUMBER = st.none() | st.integers(1, 2)
_RULES = st.lists(
    st.builds(
        devices.Rule, st.booleans(), st.sampled_from("abc"), _NUMBER, _NUMBER, st.sampled_from(("r", "rw", "rwm"))
    ),
    max_size=5,
)


@given(_RULES)
def test_exceptions_answer_as_the_rules_or_are_refused(given_rules: list[devices.Rule]) -> None:
    try:
        found = devices.exceptions(given_rules)
    except ValueError:
        return
    assert not [rule for rule in found[1:] if rule.everything]
    assert len({rule.allow for rule in found if not rule.everything}) <= 1
    for kind in "bc":
        for major in (1, 2, 3):
            for minor in (1, 2, 3):
                for letter in "rwm":
                    asked = (kind, major, minor, letter)
                    assert _answer(found, asked) == _answer(given_rules, asked)


def _answer(given_rules: list[devices.Rule], asked: tuple[str, int, int, str]) -> bool:
    """The last rule that matches counts."""
    kind, major, minor, letter = asked
    for rule in reversed(given_rules):
        if (
            rule.type in ("a", kind)
            and rule.major in (None, major)
            and rule.minor in (None, minor)
            and letter in rule.access
        ):
            return rule.allow
    return False


# --- writing and change ----------------------------------------------------------------------------


class Dependent(Kernel):
    """A kernel that refuses a runtime of realtime processes above their period, as Linux does."""

    def write(self, path: str, text: str) -> None:
        """Keep what is written, or refuse it."""
        before = dict(self.contents)
        super().write(path, text)
        runtime, period = (int(self.contents[f"/g/top/x/cpu.rt_{name}_us"]) for name in ("runtime", "period"))
        if runtime > period:
            self.contents = before
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


@pytest.mark.parametrize(("runtime", "period"), [(5, 10), (2000000, 3000000), (900000, 950000)])
def test_values_that_depend_on_each_other_come_in_an_order_that_the_kernel_takes(runtime: int, period: int) -> None:
    to = group(1)
    tree = Dependent({**_FILES_1, "cpu.rt_runtime_us": "950000"})
    to.tree = to.host.tree = tree
    resources.apply(to, resources.translate({"cpu": {"realtimeRuntime": runtime, "realtimePeriod": period}}, to.host))
    assert tree.contents["/g/top/x/cpu.rt_runtime_us"] == str(runtime)
    assert tree.contents["/g/top/x/cpu.rt_period_us"] == str(period)


def test_what_the_kernel_refuses_is_said_by_the_path_of_the_field() -> None:
    to = group(2)
    kernel(to).refused["cpuset.cpus", "9"] = errno.ERANGE
    with pytest.raises(NsfleetError, match=r"^linux\.resources\.cpu\.cpus: set cpuset\.cpus of cgroup /top/x to '9'"):
        written(to, {"cpu": {"cpus": "9"}})


_BEFORE: Json = {
    "memory": {"limit": _HALF, "swap": _GIGABYTE}, "cpu": {"shares": 512, "quota": 20000, "period": 50000},
    "pids": {"limit": 5}, "blockIO": {"throttleReadBpsDevice": [{**_RATES, "rate": 1}]},
}  # fmt: skip
CHANGES: list[tuple[Json, Json, Writes, Writes]] = [
    ({}, {}, [], []),
    ({"pids": {"limit": 5}}, {}, [], []),
    ({"pids": {"limit": 6}}, {"pids": {"limit": 6}}, [("pids.max", "6")], [("pids.max", "6")]),
    ({"cpu": {"quota": 30000}}, {"cpu": {"quota": 30000}},
     [("cpu.cfs_quota_us", "30000"), ("cpu.cfs_period_us", "50000")], [("cpu.max", "30000 50000")]),
    ({"memory": {"limit": _GIGABYTE}}, {"memory": {"limit": _GIGABYTE}},
     [("memory.memsw.limit_in_bytes", "1610612736"), ("memory.limit_in_bytes", "1073741824"),
      ("memory.limit_in_bytes", "1073741824"), ("memory.memsw.limit_in_bytes", "1073741824")],
     [("memory.max", "1073741824"), ("memory.swap.max", "0")]),
    ({"memory": {"limit": 1 << 28, "swap": 1 << 28}}, {"memory": {"limit": 1 << 28, "swap": 1 << 28}},
     [("memory.limit_in_bytes", "268435456"), ("memory.memsw.limit_in_bytes", "805306368"),
      ("memory.limit_in_bytes", "268435456"), ("memory.memsw.limit_in_bytes", "268435456")],
     [("memory.max", "268435456"), ("memory.swap.max", "0")]),
    ({"memory": {"limit": -1}}, {"memory": {"limit": -1, "swap": None}},
     [("memory.memsw.limit_in_bytes", "-1"), ("memory.limit_in_bytes", "-1"), ("memory.memsw.limit_in_bytes", "-1"),
      ("memory.limit_in_bytes", "-1")],
     [("memory.max", "max"), ("memory.swap.max", "max")]),
    ({"blockIO": {"throttleReadBpsDevice": [_RATES]}}, {"blockIO": {"throttleReadBpsDevice": [_RATES]}},
     [("blkio.throttle.read_bps_device", "8:16 600")], [("io.max", "8:16 rbps=600")]),
]  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("row", CHANGES, ids=lambda row: json.dumps(row[0]))
def test_only_what_differs_is_written(row: tuple[Json, Json, Writes, Writes], version: int) -> None:
    to = group(version)
    written(to, _BEFORE)
    kernel(to).writes.clear()
    before = copy.deepcopy(_BEFORE)
    merged = resources.update(to, before, row[0])
    assert before == _BEFORE
    assert sorted(kernel(to).writes) == sorted(row[2] if version == 1 else row[3])
    expected = {name: {**_BEFORE[name], **row[1].get(name, {})} for name in _BEFORE}
    assert {name: {key: merged[name].get(key) for key in expected[name]} for name in expected} == expected


def test_elements_of_lists_are_changed_or_added_by_what_tells_them_apart() -> None:
    other = {"major": 8, "minor": 0, "rate": 5}
    before: Json = {
        "blockIO": {"throttleReadBpsDevice": [_RATES], "weightDevice": [{"major": 8, "minor": 0, "weight": 500}]},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 1}], "unified": {"pids.max": "1"},
    }  # fmt: skip
    changes = {
        "blockIO": {
            "throttleReadBpsDevice": [{**_RATES, "rate": 7}, other],
            "weightDevice": [{"major": 8, "minor": 0, "leafWeight": 300}],
        },
        "hugepageLimits": [{"pageSize": "1GB", "limit": 2}], "unified": {"memory.high": "2"},
    }  # fmt: skip
    assert resources.merge(before, changes) == {
        "blockIO": {
            "throttleReadBpsDevice": [{**_RATES, "rate": 7}, other],
            "weightDevice": [{"major": 8, "minor": 0, "weight": 500, "leafWeight": 300}],
        },
        "hugepageLimits": [{"pageSize": "2MB", "limit": 1}, {"pageSize": "1GB", "limit": 2}],
        "unified": {"pids.max": "1", "memory.high": "2"},
    }


@pytest.mark.parametrize(("version", "file", "text"), [(1, "cpu.shares", "512"), (2, "cpu.weight", "59")])
def test_a_group_that_is_no_longer_idle_gets_its_weight_back(version: int, file: str, text: str) -> None:
    to = group(version)
    before = {"cpu": {"idle": 1, "shares": 512}}
    written(to, before)
    kernel(to).writes.clear()
    resources.update(to, before, {"cpu": {"idle": 0}})
    assert kernel(to).writes == [("cpu.idle", "0"), (file, text)]


@pytest.mark.parametrize("version", [1, 2])
def test_of_a_change_that_is_refused_nothing_is_left(version: int) -> None:
    to = group(version)
    written(to, _BEFORE)
    before = dict(kernel(to).contents)
    kernel(to).refused["pids.max", "7"] = errno.EACCES
    changes = {"memory": {"limit": _GIGABYTE}, "cpu": {"quota": -1, "shares": 2000}, "pids": {"limit": 7}}
    with pytest.raises(NsfleetError, match=r"^linux\.resources\.pids\.limit: "):
        resources.update(to, _BEFORE, changes)
    assert kernel(to).contents == before


def test_a_limit_below_what_is_in_use_is_refused_where_that_is_asked_for() -> None:
    to = group(2)
    with pytest.raises(OptionError, match=r"memory\.limit: expected more than the 4194304 bytes that are in use"):
        resources.update(to, {"memory": {"checkBeforeUpdate": True}}, {"memory": {"limit": 4194304}})
    assert kernel(to).writes == []
    resources.update(to, {}, {"memory": {"limit": 4194304}})
    assert kernel(to).writes == [("memory.max", "4194304")]


def test_a_change_of_what_there_is_not_is_refused() -> None:
    with pytest.raises(NsfleetError, match=r"^linux\.resources: not supported: memory\.limits"):
        resources.update(group(2), {}, {"memory": {"limits": 1}})


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"cpu": {"share": 1}}, "not supported: cpu.share"),
        ({"intelRdt": {}}, "not supported: intelRdt"),
        ({"blockIO": {"weightDevice": [{"weights": 1}]}}, "not supported: blockIO.weightDevice[0].weights"),
        ({"memory": {"limit": "1G"}}, "memory.limit: expected a whole number, got '1G'"),
        ({"memory": 5}, "memory: expected an object, got 5"),
        ({"hugepageLimits": [{"limit": 1}]}, "hugepageLimits[0].pageSize: it is missing"),
    ],
)
def test_unknown_resources_of_a_description_are_refused(section: Json, words: str) -> None:
    with pytest.raises(NsfleetError) as caught:
        schema.check(section, schema.RESOURCES, "linux.resources")
    assert words in str(caught.value)


def test_names_that_nobody_can_know_are_no_error() -> None:
    section = {
        "unified": {"any.thing": "1"},
        "rdma": {"mlx5_1": {"hcaHandles": 1}},
        "memory": None,
        "cpu": {"cpus": None},
    }
    schema.check(section, schema.RESOURCES)


# --- where groups are -------------------------------------------------------------------------------


def settled(path: str | None, systemd_: bool = False) -> tuple[str, Json]:
    """The path of a group, and the annotations, of a container named ``web``."""
    found: Json = {"linux": {} if path is None else {"cgroupsPath": path}}
    groups.settle(found, "web", systemd_)
    return found["linux"]["cgroupsPath"], found.get("annotations", {})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (None, "web"), ("", "web"), ("/a/b", "/a/b"), ("a/b", "a/b"), ("//a/./b/", "/a/b"),
        ("system.slice:docker:1", "system.slice:docker:1"),
    ],
)  # fmt: skip
def test_paths_begin_at_the_root_or_below_our_base(path: str | None, expected: str) -> None:
    assert settled(path) == (expected, {})


def test_a_bundle_of_others_does_not_pass_for_one_of_ours() -> None:
    """Ours have their own list of devices, and say themselves where their group is."""
    found: Json = {
        "linux": {},
        "annotations": {"nsfleet.linux/limits": "{}", "nsfleet.linux/scope": "a.slice:b", "x": "y"},
    }
    groups.settle(found, "web")
    assert found["annotations"] == {"x": "y"}


@pytest.mark.parametrize("path", ["/", "/..", "a/../../b", "."])
def test_paths_do_not_lead_out(path: str) -> None:
    with pytest.raises(OptionError, match=r"linux\.cgroupsPath: expected a path below the root"):
        settled(path)


@pytest.mark.parametrize(
    ("path", "expected", "scope"),
    [
        (None, "/system.slice/nsfleet-web.scope/container", "system.slice:nsfleet-web.scope"),
        ("machine.slice:libpod:12", "/machine.slice/libpod-12.scope/container", "machine.slice:libpod-12.scope"),
        ("a-b.slice:p:n", "/a.slice/a-b.slice/p-n.scope/container", "a-b.slice:p-n.scope"),
        ("-.slice:p:n", "/p-n.scope/container", "-.slice:p-n.scope"),
        (":p:n", "/system.slice/p-n.scope/container", "system.slice:p-n.scope"),
    ],
)
def test_systemd_has_a_scope_in_a_slice(path: str | None, expected: str, scope: str) -> None:
    assert settled(path, systemd_=True) == (expected, {"nsfleet.linux/scope": scope})


@pytest.mark.parametrize(
    "path", ["/a/b", "a.slice:b", "a.slice:b:", "a:b:c", "-a.slice:b:c", "a--b.slice:b:c", "a/b.slice:c:d"]
)
def test_what_systemd_would_not_take_is_refused(path: str) -> None:
    with pytest.raises(OptionError, match=r"linux\.cgroupsPath: expected"):
        settled(path, systemd_=True)


def test_a_scope_is_asked_for_by_the_bus() -> None:
    """As busctl(1) has it: signature, then values; variants with their type, lists with their length."""
    words = systemd.scope_call("a.slice", "p-n.scope", 17)
    assert words[:6] == [
        "busctl", "--quiet", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
    ]  # fmt: skip
    assert words[6:11] == ["StartTransientUnit", "ssa(sv)a(sa(sv))", "p-n.scope", "fail", "5"]
    assert words[11:] == [
        "Description", "s", "Container of nsfleet.linux in p-n.scope", "Slice", "s", "a.slice", "Delegate", "b", "true",
        "DefaultDependencies", "b", "false", "PIDs", "au", "1", "17", "0",
    ]  # fmt: skip


def test_without_systemd_there_is_no_scope() -> None:
    with pytest.raises(NsfleetError, match="systemd is not the init process of this host"):
        systemd.need(group(2).host)


# --- statistics ---------------------------------------------------------------------------------------

_USED_2 = {
    "cpu.stat": "usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_periods 4\nnr_throttled 2\nthrottled_usec 50",
    "cpu.pressure": "some avg10=0.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0",
    "memory.current": "4096", "memory.peak": "8192", "memory.max": "65536", "memory.events": "low 0\nmax 3\noom_kill 1",
    "memory.swap.current": "100", "memory.swap.peak": "200", "memory.swap.max": "max", "memory.swap.events": "max 1",
    "memory.stat": "anon 12\nfile 34", "pids.current": "2", "pids.max": "max",
    "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6", "hugetlb.2MB.current": "0",
    "hugetlb.2MB.rsvd.current": "2097152", "hugetlb.2MB.events": "max 7",
}  # fmt: skip


def test_statistics_of_version_2_have_the_words_of_version_1() -> None:
    """As runc 1.2 has them (fs2/memory.go, fs2/io.go, fs2/cpu.go), times in nanoseconds, without what is 0."""
    found = statistics.statistics(group(2, _USED_2))
    assert found["cpu"] == {
        "usage": {"total": 3000000, "kernel": 1000000, "user": 2000000},
        "throttling": {"periods": 4, "throttledPeriods": 2, "throttledTime": 50000},
        "psi": {
            "some": {"avg10": 0.5, "avg60": 0.0, "avg300": 0.0, "total": 9},
            "full": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0, "total": 0},
        },
    }
    assert found["memory"] == {
        "cache": 34,
        "usage": {"limit": 65536, "usage": 4096, "max": 8192, "failcnt": 3},
        "swap": {"limit": 2**64 - 1, "usage": 4196, "failcnt": 1},
        "kernel": {"limit": 0, "failcnt": 0},
        "kernelTCP": {"limit": 0, "failcnt": 0},
        "raw": {"anon": 12, "file": 34},
    }
    assert found["pids"] == {"current": 2}
    assert found["hugetlb"] == {"2MB": {"usage": 2097152, "failcnt": 7}}
    assert found["blkio"] == {
        "ioServiceBytesRecursive": [
            {"major": 8, "op": "Read", "value": 1},
            {"major": 8, "op": "Write", "value": 2},
        ],
        "ioServicedRecursive": [
            {"major": 8, "op": "Read", "value": 3},
            {"major": 8, "op": "Write", "value": 4},
        ],
    }
