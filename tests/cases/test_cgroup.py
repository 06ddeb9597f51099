# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module cgroup, by the files of cgroupfs, on hosts with version 1, version 2, and both."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.cgroup import TABLE
from support import groups, laws, world
from support.abilities import GROUPS_WITH, has, need
from support.invoke import invoke
from support.laws import Case

BASE: dict[str, t.Any] = {"name": "case"}
ABSENT = {**BASE, "state": "absent"}
RAM = int(world.sh("grep MemTotal /proc/meminfo").split()[1]) << 10
PAGE = os.sysconf("SC_PAGE_SIZE")
#: What version 1 shows where there is no limit.
NO_LIMIT = str((1 << 63) - PAGE)
NO_HUGE_LIMIT = str((1 << 63) - (2 << 20))
#: A whole disk of this host; only what our own groups do with it is limited.
DISK = next(each for each in sorted(os.listdir("/sys/dev/block")) if not os.path.exists(f"/sys/dev/block/{each}/partition"))


# --- every option that is kept in a file ------------------------------------------------


class Kept(t.NamedTuple):
    """How one version of cgroupfs keeps an option."""

    file: str
    holds: str  #: what the file says when the option holds
    hand: str  #: what somebody writes there by hand
    reverts: str  #: what the file says when the option disappeared from the task
    key: str = ""  #: first word of the line that is meant, where there are others

    def shows(self) -> str:
        """What the file says now."""
        lines = groups.read(self.file).splitlines()
        return "\n".join(line for line in lines if not self.key or line.split()[0] == self.key)


class Row(t.NamedTuple):
    """One option, or one value of it; a version that has nothing like it refuses it."""

    option: str
    options: dict[str, t.Any]
    v1: Kept | None
    v2: Kept | None
    thing: str = ""  #: what else the host has to have (:mod:`support.abilities`), or the option is refused
    needs: str = ""  #: without this the option works, but nobody can see it

    @property
    def kept(self) -> Kept | None:
        """How this host keeps it."""
        file = next(each.file for each in (self.v2, self.v1) if each)
        return {1: self.v1, 2: self.v2}.get(groups.place(file.partition(".")[0]).version)

    @property
    def lacks(self) -> str:
        """What this host lacks for it, empty if nothing."""
        file = self.kept.file if self.kept else next(each.file for each in (self.v2, self.v1) if each)
        wanted = (f"{GROUPS_WITH}{file}", self.thing)
        return next((each for each in wanted if each and not has(each)), "")


def only_v2(option: str, value: t.Any, file: str, holds: str, hand: str, reverts: str, thing: str = "") -> Row:
    """An option that version 1 has nothing like."""
    return Row(option, {option: value}, None, Kept(file, holds, hand, reverts), thing)


def alike(option: str, value: t.Any, file: str, holds: str, hand: str, reverts: str) -> Row:
    """An option that both versions keep in the same file."""
    return Row(option, {option: value}, *(Kept(file, holds, hand, reverts),) * 2)


def memory_max(value: str, holds: int) -> Row:
    """A limit of memory, and the bytes that it is in the kernel."""
    return Row(
        "memory_max", {"memory_max": value}, Kept("memory.limit_in_bytes", str(holds), "64M", NO_LIMIT),
        Kept("memory.max", str(holds), "64M", "max"),
    )  # fmt: skip


def io_max(limit: str, value: str, holds: str, file: str, hand: str = "5000") -> Row:
    """One of the four rates of a disk."""
    keys = ("rbps", "wbps", "riops", "wiops")
    line = " ".join((DISK, *(f"{key}={holds if key == limit else 'max'}" for key in keys)))
    return Row(
        "io_max", {"io_max": [{"device": DISK, limit: value}]}, Kept(file, f"{DISK} {holds}", f"{DISK} {hand}", ""),
        Kept("io.max", line, f"{DISK} {limit}={hand}", ""),
    )  # fmt: skip


def huge_pages(option: str, value: str, holds: str, file: str) -> Row:
    """A limit of pages of 2 MB."""
    return Row(
        option, {option: {"2MB": value}}, Kept(file.replace("max", "limit_in_bytes"), holds, "8388608", NO_HUGE_LIMIT),
        Kept(file, holds, "8388608", "max"),
    )  # fmt: skip


BURST = {"cpu_max": "50%", "cpu_max_burst": 10000}
SWAP = {"memory_max": "64M", "memory_swap_max": "32M"}
ROWS = [
    Row("cpu_weight", {"cpu_weight": 200}, Kept("cpu.shares", "2048", "512", "1024"),
        Kept("cpu.weight", "200", "50", "100")),
    Row("cpu_weight", {"cpu_weight": 123}, Kept("cpu.shares", "1260", "1250", "1024"),
        Kept("cpu.weight", "123", "124", "100")),
    Row("cpu_weight", {"cpu_weight": 1}, Kept("cpu.shares", "10", "2", "1024"), Kept("cpu.weight", "1", "2", "100")),
    Row("cpu_weight_nice", {"cpu_weight_nice": -5}, Kept("cpu.shares", "3121", "512", "1024"),
        Kept("cpu.weight.nice", "-5", "5", "0")),
    alike("cpu_idle", True, "cpu.idle", "1", "0", "0"),
    Row("cpu_max", {"cpu_max": "1.5"}, Kept("cpu.cfs_quota_us", "150000", "20000", "-1"),
        Kept("cpu.max", "150000 100000", "20000", "max 100000")),
    Row("cpu_max", {"cpu_max": "25%"}, Kept("cpu.cfs_quota_us", "25000", "-1", "-1"),
        Kept("cpu.max", "25000 100000", "max", "max 100000")),
    Row("cpu_max", {"cpu_max": "20000 50000"}, Kept("cpu.cfs_period_us", "50000", "40000", "100000"),
        Kept("cpu.max", "20000 50000", "20000 40000", "max 100000")),
    Row("cpu_max_burst", BURST, Kept("cpu.cfs_burst_us", "10000", "5000", "0"),
        Kept("cpu.max.burst", "10000", "5000", "0")),
    alike("cpu_uclamp_min", "25", "cpu.uclamp.min", "25.00", "10", "0.00"),
    alike("cpu_uclamp_max", "75.5%", "cpu.uclamp.max", "75.50", "80", "max"),
    Row("cpuset_cpus", {"cpuset_cpus": "0,0-0"}, Kept("cpuset.cpus", "0", "0-1", "0-1"),
        Kept("cpuset.cpus", "0", "0-1", ""), needs="several processors"),
    Row("cpuset_mems", {"cpuset_mems": "0"}, None, Kept("cpuset.mems", "0", "", "")),
    only_v2("cpuset_cpus_exclusive", "0", "cpuset.cpus.exclusive", "0", "", ""),
    only_v2("memory_min", "4M", "memory.min", "4194304", "5M", "0"),
    only_v2("memory_low", "12345678", "memory.low", "12345344", "5M", "0"),
    only_v2("memory_high", "50%", "memory.high", str(RAM // 2 // PAGE * PAGE), "5G", "max"),
    memory_max("512M", 512 << 20),
    memory_max("1.5G", 1536 << 20),
    memory_max("256 MiB", 256 << 20),
    memory_max("536870913", 536870912),
    memory_max("10%", RAM // 10 // PAGE * PAGE),
    only_v2("memory_swap_high", "5000000", "memory.swap.high", "4997120", "0", "max"),
    Row("memory_swap_max", SWAP, Kept("memory.memsw.limit_in_bytes", str(96 << 20), "128M", NO_LIMIT),
        Kept("memory.swap.max", str(32 << 20), "0", "max")),
    Row("memory_swap_max", {**SWAP, "memory_swap_max": 0},
        Kept("memory.memsw.limit_in_bytes", str(64 << 20), "-1", NO_LIMIT), Kept("memory.swap.max", "0", "max", "max")),
    only_v2("memory_zswap_max", "8M", "memory.zswap.max", str(8 << 20), "0", "max"),
    only_v2("memory_zswap_writeback", False, "memory.zswap.writeback", "0", "1", "1"),
    only_v2("memory_oom_group", True, "memory.oom.group", "1", "0", "0"),
    Row("io_weight", {"io_weight": 300}, Kept("blkio.bfq.weight", "300", "10", "100"),
        Kept("io.weight", "default 300", "default 10", "default 100")),
    io_max("rbps", "1M", "1048576", "blkio.throttle.read_bps_device"),
    io_max("wbps", "1000001", "1000001", "blkio.throttle.write_bps_device"),
    io_max("riops", "100", "100", "blkio.throttle.read_iops_device"),
    io_max("wiops", "4294967294", "4294967294", "blkio.throttle.write_iops_device"),
    only_v2("io_latency", [{"device": DISK, "target": "75000"}], "io.latency", f"{DISK} target=75000",
            f"{DISK} target=5", ""),
    Row("io_prio_class", {"io_prio_class": "idle"},
        Kept("blkio.prio.class", "idle", "restrict-to-be", "no-change"),
        Kept("io.prio.class", "idle", "restrict-to-be", "no-change")),
    alike("pids_max", 100, "pids.max", "100", "50", "max"),
    alike("pids_max", "0", "pids.max", "0", "max", "max"),
    huge_pages("hugetlb_max", "4M", "4194304", "hugetlb.2MB.max"),
    huge_pages("hugetlb_max", "5000000", "4194304", "hugetlb.2MB.max"),
    huge_pages("hugetlb_rsvd_max", "0", "0", "hugetlb.2MB.rsvd.max"),
    Row("rdma_max", {"rdma_max": [{"device": "rxe0", "hca_handle": "5"}]},
        *(Kept("rdma.max", "rxe0 hca_handle=5 hca_object=max", "rxe0 hca_handle=7",
               "rxe0 hca_handle=max hca_object=max", "rxe0"),) * 2, thing="the RDMA device rxe0"),
    Row("misc_max", {"misc_max": {"sev": "5"}}, *(Kept("misc.max", "sev 5", "sev 7", "sev max", "sev"),) * 2,
        thing="encrypted virtual machines (SEV)"),
    *(only_v2(f"dmem_{each}", {"drm/card0/vram0": "1M"}, f"dmem.{each}", "drm/card0/vram0 1048576",
              "drm/card0/vram0 4096", f"drm/card0/vram0 {none}", thing="device memory that can be shared")
      for each, none in (("max", "max"), ("low", "0"), ("min", "0"))),
    Row("net_cls_classid", {"net_cls_classid": "10:1"}, Kept("net_cls.classid", "1048577", "5", "0"), None),
    Row("net_cls_classid", {"net_cls_classid": 7}, Kept("net_cls.classid", "7", "5", "0"), None),
    Row("net_prio_ifpriomap", {"net_prio_ifpriomap": {"lo": 5}}, Kept("net_prio.ifpriomap", "lo 5", "lo 7", "lo 0", "lo"),
        None),
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
    return f"{row.option}-{str(row.options[row.option])[:20]}"


@pytest.mark.parametrize("row", ROWS, ids=identity)
def test_option(row: Row) -> None:
    """Where this host has it, all laws hold for it; where not, it is refused, and the message names it."""
    if row.lacks:
        laws.refused("cgroup", {**BASE, **row.options}, row.option)
    need(row.lacks or row.needs)
    kept = row.kept
    assert kept, "has() says that this host keeps it"
    path = f"{groups.folder(kept.file)}/{kept.file}"
    damage = f"echo '{kept.hand}' > {path}"
    laws.option_holds("cgroup", BASE, Case(row.option, row.options, kept.shows, kept.holds, damage, "", kept.reverts))
    laws.remove("cgroup", BASE)
