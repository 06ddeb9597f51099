# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of both versions from recorded mount tables; translation of settings; rules of devices."""

from __future__ import annotations

import gzip
import os
import pathlib
import struct
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup import devices, settings
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup import group as groups
from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup.hierarchy import Hierarchy, Host, detect
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import config
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Table
from ansible_collections.nsfleet.linux.plugins.module_utils._model.resource import flatten
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import limits, limits_check
from hypothesis import given
from hypothesis import strategies as st
from support.recorded import Recorded

ALL = "cpuset cpu io memory hugetlb pids rdma misc"

#: Debian 12 with systemd, as it comes.
UNIFIED = "30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#: Debian 12, booted with systemd.unified_cgroup_hierarchy=0.
HYBRID = """\
29 22 0:25 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:8 - tmpfs tmpfs ro,size=4096k,nr_inodes=1024,mode=755
30 29 0:26 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
31 29 0:27 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:10 - cgroup cgroup rw,xattr,name=systemd
34 29 0:30 / /sys/fs/cgroup/net_cls,net_prio rw,relatime shared:15 - cgroup cgroup rw,net_cls,net_prio
35 29 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:16 - cgroup cgroup rw,cpu,cpuacct
36 29 0:32 / /sys/fs/cgroup/freezer rw,relatime shared:17 - cgroup cgroup rw,freezer
37 29 0:33 / /sys/fs/cgroup/blkio rw,relatime shared:18 - cgroup cgroup rw,blkio
38 29 0:34 / /sys/fs/cgroup/memory rw,relatime shared:19 - cgroup cgroup rw,memory
39 29 0:35 / /sys/fs/cgroup/devices rw,relatime shared:20 - cgroup cgroup rw,devices
"""
#: A container of version 1 without systemd, each hierarchy mounted by hand.
LEGACY = """\
41 40 0:27 / /sys/fs/cgroup/memory rw - cgroup none rw,memory
42 40 0:28 / /mnt/with\\040space rw - cgroup none rw,pids
43 40 0:29 / /sys/fs/cgroup/freezer rw - cgroup none rw,freezer
"""


def found(tmp_path: pathlib.Path, table: str, *, systemd: bool = False, covered: t.Container[str] = ()) -> Host:
    """The host of a recorded mount table."""
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(table)
    lines = [line.split() for line in table.splitlines()]
    kinds = {line[4].replace("\\040", " "): (line[line.index("-") + 1], line[2]) for line in lines}
    magic = {"cgroup2": "0x63677270", "cgroup": "0x27e0eb", "tmpfs": "0x1021994"}

    def probe(path: str) -> tuple[int, str]:
        kind, device = ("tmpfs", "0:99") if path in covered else kinds[path]
        return int(magic[kind], 16), device

    folder = tmp_path / "systemd"
    if systemd:
        folder.mkdir()
    tree = Recorded({"/sys/fs/cgroup/cgroup.controllers": ALL, "/sys/fs/cgroup/unified/cgroup.controllers": ""})
    return detect(str(mountinfo), t.cast("t.Any", probe), str(folder), tree)


# --- hierarchies -------------------------------------------------------------------------


def test_version_2(tmp_path: pathlib.Path) -> None:
    host = found(tmp_path, UNIFIED, systemd=True)
    assert (host.mode, host.base) == ("unified", "/nsfleet.slice/nsfleet.service")
    assert host.of("memory") == host.of("devices") == host.of("freezer") == host.primary
    assert host.primary.mount_point == "/sys/fs/cgroup"
    assert set(ALL.split()) <= set(host.controllers())
    with pytest.raises(NsfleetError, match="net_cls exists in cgroup v1 only"):
        host.needed(["net_cls"])


def test_both_versions(tmp_path: pathlib.Path) -> None:
    host = found(tmp_path, HYBRID, systemd=True)
    assert host.mode == "hybrid"
    places = {name: getattr(host.of(name), "mount_point", None) for name in ("memory", "io", "cpu", "devices", "pids")}
    assert places == {
        "memory": "/sys/fs/cgroup/memory", "io": "/sys/fs/cgroup/blkio", "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "devices": "/sys/fs/cgroup/devices", "pids": None,
    }  # fmt: skip
    assert host.primary.mount_point == "/sys/fs/cgroup/unified"
    assert [each.mount_point for each in host.needed(["memory", "cpu", "cpuacct"])] == [
        "/sys/fs/cgroup/unified", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/cpu,cpuacct",
    ]  # fmt: skip


def test_version_1(tmp_path: pathlib.Path) -> None:
    host = found(tmp_path, LEGACY)
    assert (host.mode, host.base) == ("legacy", "/nsfleet")
    assert host.primary.mount_point == "/sys/fs/cgroup/freezer"
    assert t.cast(Hierarchy, host.of("pids")).mount_point == "/mnt/with space"
    assert host.controllers() == ["freezer", "memory", "pids"]
    with pytest.raises(NsfleetError, match=r"no controller cpu: .* there are freezer, memory, pids"):
        host.needed(["cpu"])


def test_systemd_follows_by_a_hierarchy_of_its_own_only_in_version_1(tmp_path: pathlib.Path) -> None:
    named = LEGACY + "44 40 0:30 / /sys/fs/cgroup/systemd rw - cgroup none rw,none,name=systemd\n"
    host = found(tmp_path, named, systemd=True)
    assert [each.mount_point for each in host.common()] == ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup/systemd"]
    assert "name=systemd" not in host.controllers()


def test_a_hierarchy_that_is_covered_is_not_there(tmp_path: pathlib.Path) -> None:
    assert found(tmp_path, LEGACY, covered=["/sys/fs/cgroup/memory"]).controllers() == ["freezer", "pids"]


def test_of_several_mounts_the_whole_one_at_the_usual_place_counts(tmp_path: pathlib.Path) -> None:
    more = (
        "50 40 0:27 /docker/x /sys/fs/cgroup/m rw - cgroup none rw,memory\n"
        "51 40 0:27 / /var/m rw - cgroup none rw,memory\n"
    )
    for table in (LEGACY + more, more + LEGACY):
        host = found(tmp_path, table)
        assert t.cast(Hierarchy, host.of("memory")).mount_point == "/sys/fs/cgroup/memory"


def test_no_hierarchy_is_an_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NsfleetError, match="no control group hierarchy is mounted"):
        found(tmp_path, "29 22 0:25 / /sys/fs/cgroup ro shared:8 - tmpfs tmpfs ro\n")


# --- settings of version 2 in files of version 1 ---------------------------------------------

V1 = Hierarchy("/g", 1, ("cpu", "memory", "cpuset", "io", "freezer", "pids", "hugetlb"))
V2 = Hierarchy("/g", 2, ("cpu", "memory", "cpuset", "io", "pids", "hugetlb"))
FILES = {
    "cpu.shares": "1024", "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "cpu.cfs_burst_us": "0",
    "memory.limit_in_bytes": "9223372036854771712", "memory.memsw.limit_in_bytes": "9223372036854771712",
    "cpuset.cpus": "0-3", "cpuset.mems": "0", "freezer.state": "THAWED", "pids.max": "max",
    "hugetlb.2MB.limit_in_bytes": "9223372036852678656", "blkio.throttle.read_bps_device": "",
    "blkio.throttle.write_bps_device": "", "blkio.throttle.read_iops_device": "",
    "blkio.throttle.write_iops_device": "", "blkio.bfq.weight": "100", "blkio.bfq.weight_device": "",
}  # fmt: skip


class Group:
    """A group of version 1 in memory, below one that has all."""

    def __init__(self) -> None:
        self.tree = Recorded({f"{folder}/{name}": text for folder in ("/g", "/g/x") for name, text in FILES.items()})
        self.folder = settings.Folder(self.tree, "/g/x")
        self.host = Host([V1], tree=self.tree)

    def write(self, file: str, text: str) -> list[tuple[str, str]]:
        """Set something, by its name in version 2; the writes to files."""
        self.tree.writes.clear()
        settings.locate(self.host, file)[1].write(self.folder, file, text)
        return self.tree.writes

    def read(self, file: str) -> str | None:
        """Read something by its name in version 2."""
        return settings.locate(self.host, file)[1].read(self.folder, file)


@pytest.mark.parametrize(
    ("file", "text", "writes"),
    [
        ("cpu.weight", "200", [("cpu.shares", "2048")]),
        ("cpu.max", "50000 100000", [("cpu.cfs_quota_us", "50000"), ("cpu.cfs_period_us", "100000")]),
        ("cpu.max", "max 50000", [("cpu.cfs_quota_us", "-1"), ("cpu.cfs_period_us", "50000")]),
        ("cpu.max.burst", "5000", [("cpu.cfs_burst_us", "5000")]),
        ("cgroup.freeze", "1", [("freezer.state", "FROZEN")]),
        ("pids.max", "10", [("pids.max", "10")]),
        ("hugetlb.2MB.max", "2097152", [("hugetlb.2MB.limit_in_bytes", "2097152")]),
        ("hugetlb.2MB.max", "max", [("hugetlb.2MB.limit_in_bytes", "-1")]),
        ("io.max", "8:0 rbps=1024 wiops=max", [
            ("blkio.throttle.read_bps_device", "8:0 1024"), ("blkio.throttle.write_iops_device", "8:0 0")]),
        ("io.weight", "default 50", [("blkio.bfq.weight", "50")]),
        ("io.weight", "8:0 70", [("blkio.bfq.weight_device", "8:0 70")]),
    ],
)  # fmt: skip
def test_settings_are_translated_and_read_back(file: str, text: str, writes: list[tuple[str, str]]) -> None:
    group = Group()
    assert group.write(file, text) == writes
    if not file.startswith("io."):
        assert group.read(file) == text


def test_limits_of_input_and_output_are_read_a_line_a_device() -> None:
    group = Group()
    group.tree.contents["/g/x/blkio.throttle.read_bps_device"] = "8:16 9\n8:0 1"
    group.tree.contents["/g/x/blkio.throttle.write_iops_device"] = "8:0 2"
    assert group.read("io.max") == "8:0 rbps=1 wbps=max riops=max wiops=2\n8:16 rbps=9 wbps=max riops=max wiops=max"


LIMITS = st.one_of(st.just("max"), st.integers(1, 99).map(lambda pages: str(pages << 12)))


@given(st.lists(st.tuples(st.sampled_from(("memory.max", "memory.swap.max")), LIMITS), max_size=6))
def test_memory_and_swap_never_pass_a_state_that_the_kernel_refuses(tasks: list[tuple[str, str]]) -> None:
    group = Group()
    wanted = {"memory.max": "max", "memory.swap.max": "max"}
    for file, text in tasks:
        if file == "memory.swap.max" and text != "max" and wanted["memory.max"] == "max":
            with pytest.raises(OSError, match=r"set memory\.max first"):
                group.write(file, text)
            continue
        group.write(file, text)
        wanted[file] = text
        if file == "memory.max" and text == "max":
            wanted["memory.swap.max"] = "max"
        assert {name: group.read(name) for name in wanted} == wanted


@given(st.integers(1, 10000))
def test_weights_survive_version_1(weight: int) -> None:
    assert settings.weight(settings.shares(str(weight))) == str(weight)


@given(st.integers(-20, 19))
def test_nice_survives_version_1(nice: int) -> None:
    group = Group()
    group.write("cpu.weight.nice", str(nice))
    assert group.read("cpu.weight.nice") == str(nice)


def test_an_empty_set_of_processors_is_that_of_the_group_above() -> None:
    group = Group()
    assert group.read("cpuset.cpus") == ""
    assert group.write("cpuset.cpus", "1") == [("cpuset.cpus", "1")]
    assert group.read("cpuset.cpus") == "1"
    assert group.write("cpuset.cpus", "") == [("cpuset.cpus", "0-3")]


@pytest.mark.parametrize("file", sorted(settings.SETTINGS))
def test_every_setting_is_there_or_says_why_not(file: str) -> None:
    name = file.replace("SIZE", "2MB")
    for host in (Host([V1]), Host([V2])):
        try:
            hierarchy, accessor = settings.locate(host, name)
        except settings.Unsupported as error:
            reason = str(error)
            assert "cgroup v" in reason or "no controller" in reason
        else:
            assert hierarchy.version == host.hierarchies[0].version
            assert isinstance(accessor, settings.File)


def test_writes_come_in_an_order_that_the_kernel_takes() -> None:
    now = {"cpu.max.burst": "5"}
    writes = [
        ("memory.swap.max", "1"),
        ("cpu.max.burst", "9"),
        ("cpu.idle", "1"),
        ("cpu.max", "1 2"),
        ("memory.max", "4"),
    ]
    order = [file for file, _text in settings.ordered(writes, now.get)]
    assert order.index("memory.max") < order.index("memory.swap.max")
    assert order.index("cpu.max") < order.index("cpu.max.burst")
    assert order.index("cpu.max") < order.index("cpu.idle")
    lower = [file for file, _text in settings.ordered([("cpu.max", "1 2"), ("cpu.max.burst", "1")], now.get)]
    assert lower == ["cpu.max.burst", "cpu.max"]


@pytest.mark.parametrize(
    ("file", "place"),
    [("memory.soft_limit_in_bytes", "/g"), ("blkio.weight", "/g"), ("cgroup.procs", "/g"), ("tasks", "/g")],
)
def test_files_are_found_by_their_own_names(file: str, place: str) -> None:
    assert settings.locate_raw(Host([V1]), file).mount_point == place
    with pytest.raises(settings.Unsupported, match="no controller net_cls"):
        settings.locate_raw(Host([V1]), "net_cls.classid")


# --- devices --------------------------------------------------------------------------------

NUMBER = st.none() | st.integers(0, 3)
RULES = st.lists(
    st.builds(
        devices.Rule, st.booleans(), st.sampled_from("abc"), NUMBER, NUMBER,
        st.sampled_from(("r", "w", "m", "rw", "rm", "wm", "rwm")),
    ), max_size=6,
)  # fmt: skip
ACCESS = st.tuples(
    st.sampled_from("bc"), st.integers(0, 3), st.integers(0, 3), st.sampled_from(("r", "w", "m", "rw", "rwm"))
)


def answer(rules: list[devices.Rule], access: tuple[str, int, int, str]) -> bool:
    """What the documents say: the last rule that matches counts, and none is no."""
    kind, major, minor, letters = access
    for rule in reversed(rules):
        named = rule.type in ("a", kind) and rule.major in (None, major) and rule.minor in (None, minor)
        matches = set(letters) <= set(rule.access) if rule.allow else bool(set(letters) & set(rule.access))
        if named and matches:
            return rule.allow
    return False


def machine(program: bytes, access: tuple[str, int, int, str]) -> bool:
    """Run a program as the kernel's virtual machine does; only what device programs are made of."""
    kind, major, minor, letters = access
    wanted = sum({"m": 1, "r": 2, "w": 4}[letter] for letter in letters)
    context = (wanted << 16 | {"b": 1, "c": 2}[kind], major, minor)
    registers, counter = [0] * 10, 0
    while True:
        code, places, jump, value = struct.unpack_from("=BBhi", program, counter * 8)
        target, source = places & 15, places >> 4
        counter += 1
        if code == 0x95:
            return bool(registers[0])
        if code == 0x61:
            registers[target] = context[jump // 4]
        elif code == 0xBF:
            registers[target] = registers[source]
        elif code == 0xB7:
            registers[target] = value
        elif code == 0x77:
            registers[target] >>= value
        elif code == 0x57:
            registers[target] &= value
        elif (code == 0x55 and registers[target] != value) or (code == 0x15 and registers[target] == value):
            counter += jump
        else:
            assert code in (0x55, 0x15), f"unknown instruction {code:#x}"


@given(RULES, ACCESS)
def test_the_program_answers_as_the_rules_say(rules: list[devices.Rule], access: tuple[str, int, int, str]) -> None:
    assert machine(devices.assemble(rules), access) == answer(rules, access)


@given(RULES, ACCESS)
def test_the_rules_of_a_program_are_read_back(rules: list[devices.Rule], access: tuple[str, int, int, str]) -> None:
    again = devices.disassemble(devices.assemble(rules))
    assert again is not None
    assert answer(again, access) == answer(rules, access)
    assert devices.assemble(again) == devices.assemble(rules)


@given(st.binary(max_size=20).map(lambda raw: raw * 8))
def test_a_program_of_others_is_not_taken_for_ours(program: bytes) -> None:
    assert devices.disassemble(program) is None


@given(RULES)
def test_rules_survive_their_text(rules: list[devices.Rule]) -> None:
    assert devices.parse("\n".join(map(str, rules))) == rules


@given(RULES.map(lambda rules: [rule._replace(allow=True) for rule in rules]), ACCESS)
def test_the_list_of_what_is_allowed_is_its_own_and_allows_the_same(
    rules: list[devices.Rule], access: tuple[str, int, int, str]
) -> None:
    listed = devices.allowed(rules)
    again = devices.parse("\n".join(listed))
    assert devices.allowed(again) == listed
    one = (*access[:3], access[3][0])
    assert answer(again, one) == answer(rules, one)


@pytest.mark.parametrize(
    "words", ["c 1:3", "d 1:3 r", "c 1:3 x", "c 1:3 rr", "c 4096:0 r", "c 0:1048576 r", "/etc/passwd r", "/nope", ""]
)
def test_what_is_no_rule_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        devices.parse_rule(words)


def test_a_device_may_be_named_by_its_path() -> None:
    assert str(devices.parse_rule("/dev/null rw")) == "c 1:3 rw"
    assert str(devices.parse_rule("a")) == devices.EVERYTHING


# --- what a kernel lacks -----------------------------------------------------------------------


def refused(option: str, value: t.Any, tree: Recorded) -> list[str]:
    """What stands in the way of an option in a new group of version 2."""
    group = groups.Group("case", Host([V2], tree=tree))
    (field,) = (each for each in limits.LIMITS if each.name == option)
    changes = flatten(Table((field,)), {option: value})
    return [str(problem) for problem in limits_check.preflight(group, changes, {option: value})]


@pytest.mark.parametrize("text", ["", "# CONFIG_UCLAMP_TASK_GROUP is not set\n", "CONFIG_UCLAMP_TASK_GROUP=y\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_where_no_group_has_a_controller_the_kernel_says_what_it_was_built_with(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, text: str, packed: bool
) -> None:
    place = tmp_path / (f"config-{os.uname().release}" + (".gz" if packed else ""))
    if text:
        content = f"CONFIG_CGROUPS=y\n{text}".encode()
        place.write_bytes(gzip.compress(content) if packed else content)
    monkeypatch.setattr(config, "PLACES", (str(tmp_path / "config-{}") + (".gz" if packed else ""),))
    config._lines.cache_clear()
    nobody = {"/g/cgroup.controllers": "cpu", "/g": ""}
    found = refused("cpu_uclamp_min", "5.00", Recorded(nobody))
    config._lines.cache_clear()
    assert [words.partition(":")[0] for words in found] == (["cpu_uclamp_min"] if "not set" in text else [])
    assert all("built without CONFIG_UCLAMP_TASK_GROUP" in words for words in found)


@pytest.mark.parametrize(
    ("content", "refusals"), [(None, 0), (b"\0cpus\0exclusive_cpus\0", 0), (b"\0cpus\0exclusive_cpus_old\0", 1)]
)
def test_where_no_group_has_a_controller_the_kernel_says_which_types_it_has(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, refusals: int
) -> None:
    place = tmp_path / "vmlinux"
    if content is not None:
        place.write_bytes(content)
    monkeypatch.setattr(config, "TYPES", str(place))
    nobody = {"/g/cgroup.controllers": "cpuset", "/g": ""}
    found = refused("cpuset_cpus_exclusive", "0", Recorded(nobody))
    assert len([words for words in found if "this kernel has no cpuset.cpus.exclusive" in words]) == refusals


def test_groups_that_have_a_controller_know_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "built_without", lambda option: option != "")
    monkeypatch.setattr(config, "lacks_name", lambda name: name == "")
    somebody = {"/g": "", "/g/nsfleet": "", "/g/nsfleet/cgroup.controllers": "cpu", "/g/nsfleet/cpu.uclamp.min": "0.00"}
    assert refused("cpu_uclamp_min", "5.00", Recorded(somebody)) == []
    del somebody["/g/nsfleet/cpu.uclamp.min"]
    monkeypatch.setattr(config, "built_without", lambda option: option == "")
    assert len(refused("cpu_uclamp_min", "5.00", Recorded(somebody))) == 1
