# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of control groups, and where either version of cgroupfs keeps them: one table for all modules with limits."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import typing as t

from support import groups, laws, world
from support.abilities import GROUPS_WITH, has, need
from support.invoke import invoke
from support.laws import Case

RAM = int(world.sh("grep MemTotal /proc/meminfo").split()[1]) << 10
PAGE = os.sysconf("SC_PAGE_SIZE")
#: What version 1 shows where there is no limit.
NO_LIMIT = str((1 << 63) - PAGE)
NO_HUGE_LIMIT = str((1 << 63) - (2 << 20))
#: A whole disk of this host; only what our own groups do with it is limited.
DISK = next(
    each for each in sorted(os.listdir("/sys/dev/block")) if not os.path.exists(f"/sys/dev/block/{each}/partition")
)


class Kept(t.NamedTuple):
    """How one version of cgroupfs keeps an option."""

    file: str
    holds: str  #: what the file says when the option holds
    hand: str  #: what somebody writes there by hand
    reverts: str  #: what the file says when the option disappeared from the task
    key: str = ""  #: first word of the line that is meant, where there are others
    needs: str = ""  #: without this the option works, but nobody can see it (:mod:`support.abilities`)

    def shows(self, name: str) -> str:
        """What the file of a group says now."""
        lines = groups.read(self.file, name).splitlines()
        return "\n".join(line for line in lines if not self.key or line.split()[0] == self.key)


class Row(t.NamedTuple):
    """One option, or one value of it; a version that has nothing like it refuses it."""

    option: str
    options: dict[str, t.Any]
    v1: Kept | None
    v2: Kept | None
    thing: str = ""  #: what else the host has to have (:mod:`support.abilities`), or the option is refused

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

    def case(self, name: str) -> Case:
        """This option of the group of a name; the host has to have it.

        :raises AssertionError: the file is there, though this version of cgroupfs is said to have no such thing.
        """
        kept = self.kept
        assert kept, f"{self.option} is not in the words of this version, yet its file is there"
        shows = functools.partial(kept.shows, name)
        damage = f"echo '{kept.hand}' > {groups.folder(kept.file, name)}/{kept.file}"
        return Case(self.option, self.options, shows, kept.holds, damage, kept.needs, kept.reverts)


def only_v2(option: str, value: t.Any, file: str, holds: str, hand: str, reverts: str, thing: str = "") -> Row:
    """An option that version 1 has nothing like."""
    return Row(option, {option: value}, None, Kept(file, holds, hand, reverts), thing)


def alike(option: str, value: t.Any, file: str, holds: str, hand: str, reverts: str) -> Row:
    """An option that both versions keep in the same file."""
    return Row(option, {option: value}, *(Kept(file, holds, hand, reverts),) * 2)


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
#: Options of all kinds that have a control group.
ROWS = [
    Row("cpu_weight", {"cpu_weight": 200}, Kept("cpu.shares", "2048", "512", "1024"),
        Kept("cpu.weight", "200", "50", "100")),
    Row("cpu_weight_nice", {"cpu_weight_nice": -5}, Kept("cpu.shares", "3121", "512", "1024"),
        Kept("cpu.weight.nice", "-5", "5", "0")),
    alike("cpu_idle", True, "cpu.idle", "1", "0", "0"),
    Row("cpu_max", {"cpu_max": "1.5"}, Kept("cpu.cfs_quota_us", "150000", "20000", "-1"),
        Kept("cpu.max", "150000 100000", "20000", "max 100000")),
    Row("cpu_max", {"cpu_max": "20000 50000"}, Kept("cpu.cfs_period_us", "50000", "40000", "100000"),
        Kept("cpu.max", "20000 50000", "20000 40000", "max 100000")),
    Row("cpu_max_burst", BURST, Kept("cpu.cfs_burst_us", "10000", "5000", "0"),
        Kept("cpu.max.burst", "10000", "5000", "0")),
    alike("cpu_uclamp_min", "25", "cpu.uclamp.min", "25.00", "10", "0.00"),
    alike("cpu_uclamp_max", "75.5%", "cpu.uclamp.max", "75.50", "80", "max"),
    Row("cpuset_cpus", {"cpuset_cpus": "0,0-0"}, Kept("cpuset.cpus", "0", "0-1", "0-1", needs="several processors"),
        Kept("cpuset.cpus", "0", "", "", needs="several processors")),
    Row("cpuset_mems", {"cpuset_mems": "0"}, Kept("cpuset.mems", "0", "0-1", "0-1", needs="several memory nodes"),
        Kept("cpuset.mems", "0", "", "", needs="several memory nodes")),
    only_v2("cpuset_cpus_exclusive", "0", "cpuset.cpus.exclusive", "0", "", ""),
    only_v2("memory_min", "4M", "memory.min", "4194304", "5M", "0"),
    only_v2("memory_low", "12345678", "memory.low", "12345344", "5M", "0"),
    only_v2("memory_high", "50%", "memory.high", str(RAM // 2 // PAGE * PAGE), "5G", "max"),
    Row("memory_max", {"memory_max": "512M"}, Kept("memory.limit_in_bytes", str(512 << 20), "64M", NO_LIMIT),
        Kept("memory.max", str(512 << 20), "64M", "max")),
    only_v2("memory_swap_high", "5000000", "memory.swap.high", "4997120", "0", "max"),
    Row("memory_swap_max", SWAP, Kept("memory.memsw.limit_in_bytes", str(96 << 20), "128M", NO_LIMIT),
        Kept("memory.swap.max", str(32 << 20), "0", "max")),
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
    huge_pages("hugetlb_max", "5000000", "4194304", "hugetlb.2MB.max"),
    huge_pages("hugetlb_rsvd_max", "0", "0", "hugetlb.2MB.rsvd.max"),
    Row("rdma_max", {"rdma_max": [{"device": "rxe0", "hca_handle": "5", "hca_object": "9"}]},
        *(Kept("rdma.max", "rxe0 hca_handle=5 hca_object=9", "rxe0 hca_handle=7",
               "rxe0 hca_handle=max hca_object=max", "rxe0"),) * 2, thing="the RDMA device rxe0"),
    Row("misc_max", {"misc_max": {"sev": "5"}}, *(Kept("misc.max", "sev 5", "sev 7", "sev max", "sev"),) * 2,
        thing="encrypted virtual machines (SEV)"),
    *(only_v2(f"dmem_{each}", {"drm/card0/vram0": "1M"}, f"dmem.{each}", "drm/card0/vram0 1048576",
              "drm/card0/vram0 4096", f"drm/card0/vram0 {none}", thing="device memory that can be shared")
      for each, none in (("max", "max"), ("low", "0"), ("min", "0"))),
    Row("net_cls_classid", {"net_cls_classid": "10:1"}, Kept("net_cls.classid", "1048577", "5", "0"), None),
    Row("net_prio_ifpriomap", {"net_prio_ifpriomap": {"lo": 5}},
        Kept("net_prio.ifpriomap", "lo 5", "lo 7", "lo 0", "lo"), None),
]  # fmt: skip


# --- many at once -------------------------------------------------------------------------

#: What says something of the same thing in other words.
_SAME = {"cpu_weight_nice": "cpu_weight", "cpu_idle": "cpu_weight"}


def rounds(without: t.Container[str] = ()) -> list[list[Row]]:
    """All rows in few sets, in each of which no two say something of the same thing.

    :param without: options whose rows are left out.
    """
    found: list[list[Row]] = []
    for row in (each for each in ROWS if each.option not in without):
        fitting = next((each for each in found if not _things([row]) & _things(each)), None)
        if fitting is None:
            found.append([row])
        else:
            fitting.append(row)
    return found


def _things(rows: t.Iterable[Row]) -> set[str]:
    return {_SAME.get(name, name) for row in rows for name in row.options}


def together(rows: t.Iterable[Row], name: str) -> Case:
    """Rows as one case of the group of a name, without those that nobody can see here."""
    cases = [case for case in (row.case(name) for row in rows) if not case.needs or has(case.needs)]
    return Case(
        "limits",
        {option: value for case in cases for option, value in case.options.items()},
        lambda: {case.option: case.shows() for case in cases},
        {case.option: case.value for case in cases},
        " && ".join(case.damage for case in cases),
        reverts_to={case.option: case.reverts_to for case in cases},
    )


# --- limits that are more than a file ---------------------------------------------------


def devices(name: str) -> Case:
    """What devices are allowed; the kernel is the witness: a process of the group reads another one, or cannot."""
    if groups.place("devices").version == 1:
        by_hand = f"echo a > {groups.folder('devices.list', name)}/devices.allow"
    else:
        library = os.path.abspath(".build")
        by_hand = f"PYTHONPATH={library} {sys.executable} -c '{_DETACH}' {groups.folder('cgroup.procs', name)}"
    only = ["/dev/null rw", "c 1:9 r", "c 136:* rw", "c 1:3 m"]
    return Case("devices", {"devices": only}, functools.partial(reads_zero, name), False, by_hand, "", True)


#: Takes all programs off a group, as bpftool(8) does.
_DETACH = """
import os, sys
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import bpf
fd = os.open(sys.argv[1], os.O_RDONLY)
for each in bpf.attached(fd, bpf.CGROUP_DEVICE):
    bpf.detach(fd, bpf.open_program(each.id), bpf.CGROUP_DEVICE)
"""


def reads_zero(name: str) -> bool:
    """Whether a process of the group of a name can read ``/dev/zero``; where there is no group, every process can."""
    folder = groups.folder("devices.list" if groups.place("devices").version == 1 else "cgroup.procs", name)
    words = f"test ! -d {folder} || echo $$ > {folder}/cgroup.procs; exec head -c 1 /dev/zero"
    return subprocess.run(["sh", "-c", words], capture_output=True, check=False).returncode == 0


def partition_fails(module: str, base: dict[str, t.Any]) -> None:
    """A partition in a group above that has no processors to give away: refused, or failed with the kernel's reason."""
    options = {**base, "cpuset_cpus": "0", "cpuset_cpus_partition": "isolated"}
    file = f"{GROUPS_WITH}cpuset.cpus.partition"
    if not has(file):
        laws.refused(module, options, "cpuset_cpus_partition")
    need(file)
    failed = invoke(module, options)
    assert failed.failed, failed
    assert "cpuset" in failed["msg"], failed["msg"]
    assert "put back" in failed["msg"], failed["msg"]


def disk_weight(disk: str, name: str) -> Case:
    """The weight of a single disk, whose line is taken away with the option; the test is skipped where there are none.

    :param disk: ``MAJOR:MINOR``; its scheduler has to be BFQ.
    """
    v1 = groups.place("io").version == 1
    need("the disk scheduler BFQ")
    need(f"{GROUPS_WITH}{'blkio.bfq.weight' if v1 else 'io.bfq.weight'}")
    file = "blkio.bfq.weight_device" if v1 else "io.bfq.weight"
    options = {"io_weight_device": [{"device": disk, "weight": 300}]}
    kept = Kept(file, f"{disk} 300", "", "", disk)
    damage = f"echo '{disk} 50' > {groups.folder(file, name)}/{file}"
    return Case("io_weight_device", options, functools.partial(kept.shows, name), kept.holds, damage, "", kept.reverts)
