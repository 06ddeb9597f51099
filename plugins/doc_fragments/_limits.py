# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that limit a control group. PRIVATE to the nsfleet.linux collection: it may change at any time."""

from __future__ import annotations


class ModuleDocFragment:
    """Limits of a control group."""

    DOCUMENTATION = r"""
notes:
  - Limits have the names of the files of cgroup v2. Where a controller is on cgroup v1, they are translated if v1 has
    the same thing, and refused with the reason if it has not.
  - Sizes are bytes, or have a unit that is a power of 1024, as in V(512M), V(512MiB) and V(1.5G). They are rounded as
    the kernel rounds them, to whole pages.
  - A limit that disappears from the task is cleared, or goes back to what it was before this module first changed it.
  - All limits are changed live; no process is started again.
options:
  cpu_weight:
    description:
      - Share of the processor when there is not enough for all, 1 to 10000. Other groups have 100 unless told so.
      - On cgroup v1, C(cpu.shares), by the formula of the kernel.
      - If it disappears from the task, 100.
    type: int
  cpu_weight_nice:
    description:
      - The same as O(cpu_weight), as a nice value of -20 to 19.
    type: int
  cpu_idle:
    description:
      - Whether the group only runs when nothing else wants to. An idle group has no weight.
      - Since Linux 5.15.
    type: bool
  cpu_max:
    description:
      - The most that the group gets of the processors, whether they are idle or not.
      - Below 1000, a number of processors such as V(1.5) or V(0.25). With a percent sign, of one processor, V(150%).
        Two numbers, a quota and a period in microseconds, as in V(50000 100000); from 1000, one number is a quota of
        each 100000 microseconds. V(max) for no limit.
      - The least is 1000 microseconds, V(0.01).
    type: str
  cpu_max_burst:
    description:
      - Microseconds that the group may run beyond the quota of O(cpu_max) in a period, saved up in periods before.
        At most the quota.
      - Since Linux 5.14.
    type: int
  cpu_uclamp_min:
    description:
      - The least utilization that the scheduler assumes of the group when it chooses processors and their frequencies,
        a percentage with at most two digits after the point, or V(max).
      - Needs a kernel with C(CONFIG_UCLAMP_TASK_GROUP).
    type: str
  cpu_uclamp_max:
    description:
      - The most utilization that the scheduler assumes, as O(cpu_uclamp_min).
    type: str
  cpuset_cpus:
    description:
      - Processors that the group may use, such as V(0-3,6). Empty for those of the group above.
    type: str
  cpuset_mems:
    description:
      - Memory nodes that the group may use, such as V(0). Empty for those of the group above.
    type: str
  cpuset_cpus_exclusive:
    description:
      - Processors that the group may use for partitions below it, where the group itself is none.
      - Since Linux 6.7, on cgroup v2 only.
    type: str
  cpuset_cpus_partition:
    description:
      - Whether the processors of O(cpuset_cpus) belong to the group alone. On cgroup v2 only.
    type: str
    choices:
      member: They are shared with the group above.
      root: They are a scheduling domain of their own, taken from the group above.
      isolated: The same, without load balancing.
  memory_min:
    description:
      - Memory that is never taken from the group, whatever happens. A size, or a percentage of all memory.
      - On cgroup v2 only.
    type: str
  memory_low:
    description:
      - Memory that is not taken from the group while others have some to give. A size, or a percentage of all memory.
      - On cgroup v2 only. The soft limit of v1 is something else; see C(memory.soft_limit_in_bytes).
    type: str
  memory_high:
    description:
      - From here on, the group is slowed down and its memory is taken back. A size, a percentage of all memory, or
        V(max).
      - On cgroup v2 only.
    type: str
  memory_max:
    description:
      - The most memory that the group gets. A process that needs more is killed. A size, a percentage of all memory,
        or V(max).
      - It is refused if the processes of the group hold more than that in memory that cannot be taken from them.
    type: str
  memory_swap_high:
    description:
      - From here on, the group is slowed down because of the swap that it uses. A size or V(max).
      - On cgroup v2 only.
    type: str
  memory_swap_max:
    description:
      - The most swap that the group gets. A size, V(0) for none, or V(max).
      - On cgroup v1, it needs O(memory_max), and a kernel that counts swap.
    type: str
  memory_zswap_max:
    description:
      - The most compressed swap in memory that the group gets. A size or V(max).
      - Since Linux 5.19, on cgroup v2 only.
    type: str
  memory_zswap_writeback:
    description:
      - Whether compressed swap may be written to the disk.
      - Since Linux 6.8, on cgroup v2 only.
    type: bool
  memory_oom_group:
    description:
      - Whether all processes of the group are killed when one has to be. On cgroup v2 only.
    type: bool
  io_weight:
    description:
      - Share of the time of disks when there is not enough for all, 1 to 10000. Other groups have 100 unless told
        otherwise.
      - Where only the scheduler BFQ has weights, as on cgroup v1, at most 1000.
    type: int
  io_weight_device:
    description:
      - Weights for single disks, in place of O(io_weight). Disks that are not listed have none of their own.
    type: list
    elements: dict
    suboptions:
      device:
        description:
          - Path of a block device or C(MAJOR:MINOR). Of a partition, the whole disk is meant.
        type: str
        required: true
      weight:
        description:
          - The weight, 1 to 10000.
        type: int
        required: true
  io_max:
    description:
      - The most that the group reads and writes, for each disk. Disks that are not listed have no limit.
    type: list
    elements: dict
    suboptions:
      device:
        description:
          - Path of a block device or C(MAJOR:MINOR). Of a partition, the whole disk is meant.
        type: str
        required: true
      rbps:
        description:
          - Bytes read in a second, a size or V(max).
        type: str
      wbps:
        description:
          - Bytes written in a second, a size or V(max).
        type: str
      riops:
        description:
          - Read operations in a second, or V(max).
        type: str
      wiops:
        description:
          - Write operations in a second, or V(max).
        type: str
  io_latency:
    description:
      - Groups with a higher target are slowed down while this one misses its own. On cgroup v2 only.
      - Needs a kernel with C(CONFIG_BLK_CGROUP_IOLATENCY).
    type: list
    elements: dict
    suboptions:
      device:
        description:
          - Path of a block device or C(MAJOR:MINOR). Of a partition, the whole disk is meant.
        type: str
        required: true
      target:
        description:
          - Microseconds that an operation may take.
        type: str
        required: true
  io_prio_class:
    description:
      - What becomes of the priority class that a process has for its disk operations.
      - Needs a kernel with C(CONFIG_BLK_CGROUP_IOPRIO).
    type: str
    choices:
      no-change: It stays.
      promote-to-rt: It becomes realtime.
      restrict-to-be: Realtime becomes best-effort.
      idle: It becomes idle.
      none-to-rt: It becomes realtime if there is none. Newer kernels take it as V(promote-to-rt).
  pids_max:
    description:
      - The most processes and threads that the group has, 0 to 4194304, or V(max). One that wants to start more gets
        an error.
    type: str
  hugetlb_max:
    description:
      - Sizes of huge pages, such as V(2MB) or V(1GB), to the most memory in such pages that the group uses, a size or
        V(max).
    type: dict
  hugetlb_rsvd_max:
    description:
      - The same as O(hugetlb_max), for pages that are reserved by C(mmap(2)), whether they are used or not.
    type: dict
  rdma_max:
    description:
      - The most of the resources of RDMA devices that the group uses. Devices that are not listed have no limit.
    type: list
    elements: dict
    suboptions:
      device:
        description:
          - Name of the device, such as V(mlx5_0).
        type: str
        required: true
      hca_handle:
        description:
          - Number of handles, or V(max).
        type: str
      hca_object:
        description:
          - Number of objects, or V(max).
        type: str
  misc_max:
    description:
      - Names of other scarce resources of the host, such as V(sev), to the most that the group uses, or V(max).
    type: dict
  dmem_max:
    description:
      - Regions of the memory of devices, such as V(drm/0000:03:00.0/vram0), to the most that the group uses, a size or
        V(max).
      - Since Linux 6.14, on cgroup v2 only.
    type: dict
  dmem_low:
    description:
      - The same, to what is not taken from the group while others have some to give.
    type: dict
  dmem_min:
    description:
      - The same, to what is never taken from the group.
    type: dict
  devices:
    description:
      - Devices that the group may use; all others are denied. If it disappears from the task, all are allowed.
      - A rule is type (V(c), V(b), or V(a) for both), C(MAJOR:MINOR) with V(*) for any, and letters of C(rwm) for
        read, write and mknod, as in V(c 1:3 rwm). In place of type and numbers, the path of a device, as in
        V(/dev/kvm rw). V(a) alone allows everything.
      - On cgroup v2, the rules are a program that the module attaches to the group. It is replaced at once when they
        change.
    type: list
    elements: str
  net_cls_classid:
    description:
      - Class of the packets of the group, for C(tc) and netfilter, as V(10:1) or a number. On cgroup v1 only.
    type: str
  net_prio_ifpriomap:
    description:
      - Interfaces to the priority that packets of the group have there. On cgroup v1 only.
    type: dict
"""
