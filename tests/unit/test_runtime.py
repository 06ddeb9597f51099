# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From options to an OCI bundle and back; users from hostile files; signals; what the runtime's archive holds."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t
import zipfile

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import capability, files
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel.path import LARGEST, read_file
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import InvalidOptions, NsfleetError
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container import Container
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container_fields import FIELDS
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import (
    archive,
    attributes,
    bundle,
    command,
    schema,
    signals,
    spec,
    state,
    subordinate,
    usernamespace,
    users,
)
from hypothesis import given
from hypothesis import strategies as st

Options = dict[str, t.Any]
BASE: Options = {"name": "web", "state": "started", "rootfs": "/srv/web", "command": ["nginx"]}


RANGES = [{"container_id": 0, "host_id": 5, "size": 2}, {"container_id": 9, "host_id": 50, "size": 1}]
MOUNT = {"type": "bind", "source": "/a", "options": ["ro"], "uid_mappings": RANGES, "gid_mappings": RANGES}
NODE = {"type": "b", "major": 7, "minor": 1, "mode": "0640", "uid": 1, "gid": 2}
FIFO = {"type": "p", "mode": "1666", "uid": 0, "gid": 0}


def composed(**options: t.Any) -> spec.Spec:
    """The bundle's description of options."""
    return Container({**BASE, **options}).compose()


def refused(**options: t.Any) -> list[str]:
    """Paths of the options that are refused."""
    with pytest.raises(InvalidOptions) as caught:
        Container({**BASE, **options})
    return sorted(error.option for error in caught.value.errors)


def namespaces(**options: str) -> Options:
    """The option, as Ansible's own validation leaves it."""
    names = ("mount", "pid", "ipc", "uts", "net", "cgroup", "user", "time")
    return {name: options.get(name, "host" if name in ("user", "time") else "private") for name in names}


# --- the description ------------------------------------------------------------------------


def test_a_container_has_six_namespaces_of_its_own_and_is_hardened() -> None:
    found = composed()
    kinds = {entry["type"] for entry in found["linux"]["namespaces"]}
    assert kinds == {"mount", "pid", "ipc", "uts", "network", "cgroup"}
    assert found["process"]["noNewPrivileges"] is True
    assert "CAP_SYS_ADMIN" not in found["process"]["capabilities"]["bounding"]
    assert found["process"]["capabilities"].get("ambient", []) == []
    assert "/proc/kcore" in found["linux"]["maskedPaths"]
    assert "/proc/sys" in found["linux"]["readonlyPaths"]
    assert found["hostname"] == "web"
    assert [entry["destination"] for entry in found["mounts"]][:2] == ["/proc", "/dev"]
    schema.check(found)


def test_namespaces_are_new_shared_or_joined() -> None:
    found = composed(namespaces=namespaces(pid="host", ipc="/proc/7/ns/ipc", net="web"))
    entries = {entry["type"]: entry.get("path") for entry in found["linux"]["namespaces"]}
    assert entries == {
        "mount": None, "ipc": "/proc/7/ns/ipc", "uts": None, "network": "/run/netns/web", "cgroup": None,
    }  # fmt: skip


def test_capabilities_are_the_default_ones_with_and_without() -> None:
    sets = composed(cap_add=["net_admin"], cap_drop=["CAP_MKNOD"], cap_ambient=["net_admin"])["process"]["capabilities"]
    assert set(sets["bounding"]) == (set(spec.CAPABILITIES) | {"CAP_NET_ADMIN"}) - {"CAP_MKNOD"}
    assert sets["bounding"] == sets["permitted"] == sets["effective"]
    assert sets["ambient"] == sets["inheritable"] == ["CAP_NET_ADMIN"]
    assert composed(cap_drop=["ALL"])["process"]["capabilities"]["bounding"] == []


@pytest.mark.parametrize(
    ("options", "paths"),
    [
        ({"command": []}, ["command"]),
        ({"rootfs": None}, ["rootfs"]),
        ({"rootfs": "srv"}, ["rootfs"]),
        ({"namespaces": namespaces(pid="shared")}, ["namespaces.pid"]),
        ({"namespaces": namespaces(mount="host")}, ["rootfs"]),
        ({"namespaces": namespaces(uts="host"), "hostname": "x"}, ["hostname"]),
        (
            {"namespaces": namespaces(net="host"), "sysctls": {"net.ipv4.ip_forward": 1}},
            ["sysctls[net.ipv4.ip_forward]"],
        ),
        ({"namespaces": namespaces(user="private")}, ["gid_mappings", "uid_mappings"]),
        ({"uid_mappings": [{"container_id": 0, "host_id": 1, "size": 1}]}, ["uid_mappings"]),
        ({"idmap": True}, ["idmap"]),
        ({"subordinate_ids": 5}, ["subordinate_ids"]),
        ({"uid_mappings": RANGES, "subordinate_ids": 5, "namespaces": namespaces(user="private")}, ["uid_mappings"]),
        (
            {
                "uid_mappings": [*RANGES, {"container_id": 20, "host_id": 6, "size": 1}],
                "gid_mappings": [*RANGES, {"container_id": 1, "host_id": 100, "size": 1}],
                "namespaces": namespaces(user="private"),
            },
            ["gid_mappings", "uid_mappings"],
        ),
        ({"mounts": [{"destination": "/a", **MOUNT, "gid_mappings": []}]}, ["mounts[/a].uid_mappings"]),
        ({"mounts": [{"destination": "/a", **MOUNT, "type": "tmpfs"}]}, ["mounts[/a].options"]),
        ({"mounts": [{"destination": "/a", **MOUNT, "options": ["ro", "Z"]}]}, ["mounts[0].options[1]"]),
        (
            {"mounts": [{"destination": "/a", "type": "bind", "source": "/a", "options": ["idmap"]}]},
            ["mounts[/a].options"],
        ),
        ({"mounts": [{"destination": "/a", **MOUNT, "options": ["size=5"]}]}, ["mounts[/a].options"]),
        ({"mounts": [{"destination": "/a", **MOUNT, "options": ["tmpcopyup"]}]}, ["mounts[/a].options"]),
        ({"device_nodes": [{"path": "/dev/a", **NODE, "mode": "0698"}]}, ["device_nodes[0].mode"]),
        ({"device_nodes": [{"path": "/dev/a", **NODE, "major": 4096}]}, ["device_nodes[0].major"]),
        ({"device_nodes": [{"path": "dev/a", **NODE}]}, ["device_nodes[0].path"]),
        (
            {"device_nodes": [{"path": "/dev/a", **NODE, "type": "p"}]},
            ["device_nodes[/dev/a].major", "device_nodes[/dev/a].minor"],
        ),
        (
            {"device_nodes": [{"path": "/dev/a", **FIFO, "type": "c"}]},
            ["device_nodes[/dev/a].major", "device_nodes[/dev/a].minor"],
        ),
        ({"time_offsets": {"monotonic": 5.0, "boottime": 0.0}}, ["time_offsets"]),
        ({"cap_add": ["NET_ADMIN", "NO_SUCH"]}, ["cap_add[1]"]),
        ({"rlimits": {"nofiles": 1}}, ["rlimits"]),
        ({"rlimits": {"nofile": "9:5"}}, ["rlimits"]),
        ({"rlimits": {"nofile": "\u00b2"}}, ["rlimits"]),
        ({"rlimits": {"nofile": 2**63}}, ["rlimits"]),
        ({"sysctls": {"kernel.panic": 1}}, ["sysctls"]),
        ({"oom_score_adj": 1001}, ["oom_score_adj"]),
        ({"umask": "0x9"}, ["umask"]),
        ({"umask": "1000"}, ["umask"]),
        (
            {"hooks": {"prestart": [{"path": "sh", "args": ["\0"], "env": {"=": ""}, "timeout": 0}]}},
            [f"hooks.prestart[0].{name}" for name in ("args[0]", "env", "path", "timeout")],
        ),
        (
            {"apparmor_profile": "a\nb", "selinux_label": "u:r", "mount_label": "u::t"},
            ["apparmor_profile", "mount_label", "selinux_label"],
        ),
        ({"exec_cpu_affinity": "0,x"}, ["exec_cpu_affinity"]),
        ({"scheduler": {"policy": "rr"}}, ["scheduler.priority"]),
        ({"scheduler": {"policy": "idle", "nice": 3, "priority": 1}}, ["scheduler.nice", "scheduler.priority"]),
        ({"scheduler": {"policy": "other", "flags": ["reclaim"]}}, ["scheduler.flags"]),
        ({"scheduler": {"policy": "other", "runtime": 5, "period": 9}}, ["scheduler.period", "scheduler.runtime"]),
        ({"scheduler": {"policy": "deadline", "runtime": 5, "deadline": 4, "period": 9}}, ["scheduler.runtime"]),
        (
            {"scheduler": {"policy": "other", "nice": 20}, "io_priority": {"class": "idle", "priority": -1}},
            ["io_priority.priority", "scheduler.nice"],
        ),
        ({"stop_signal": "SIGNOPE"}, ["stop_signal"]),
        ({"env": {"A=B": "c"}}, ["env"]),
        ({"user": "a:b:c"}, ["user"]),
        ({"masked_paths": ["proc"]}, ["masked_paths[0]"]),
        ({"mounts": [{"destination": "data"}]}, ["mounts[0].destination"]),
        ({"mounts": [{"destination": "/a"}, {"destination": "/a/"}]}, ["mounts[1].destination"]),
        ({"command": None, "hostname": "x", "rootfs": None}, ["hostname"]),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_path_of_its_option(options: Options, paths: list[str]) -> None:
    assert refused(**options) == paths


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "overlay": st.sampled_from(("none", "disk", "tmpfs")),
        "read_only": st.booleans(),
        "command": st.lists(st.text("ab =\n"), min_size=1, max_size=3),
        "env": st.dictionaries(st.text("ABC_", min_size=1, max_size=3), st.text("ab= \n", max_size=4), max_size=3),
        "cwd": st.sampled_from(("/", "/srv")),
        "user": st.sampled_from(("0", "nginx", "1:2")),
        "groups": st.lists(st.sampled_from(("www", "7")), max_size=2, unique=True),
        "no_new_privs": st.booleans(),
        "cap_ambient": st.lists(st.sampled_from(("CAP_KILL", "CAP_CHOWN")), max_size=2, unique=True).map(sorted),
        "rlimits": st.dictionaries(
            st.sampled_from(("nofile", "core")), st.sampled_from(("1:2", f"7:{2**63 - 1}", "unlimited:unlimited"))
        ),
        "sysctls": st.dictionaries(st.just("net.ipv4.ip_forward"), st.integers(0, 1)),
        "oom_score_adj": st.integers(-1000, 1000),
        "umask": st.integers(0, 0o777).map("{:04o}".format),
        "scheduler": st.sampled_from(
            (
                {"policy": "batch", "nice": -5, "flags": ["reset_on_fork"]},
                {"policy": "fifo", "priority": 9},
                {"policy": "deadline", "flags": ["dl_overrun", "reclaim"], "runtime": 5, "deadline": 6, "period": 7},
                {},
            )
        ),
        "io_priority": st.fixed_dictionaries(
            {"class": st.sampled_from(("realtime", "idle")), "priority": st.integers(0, 7)}
        ),
        "exec_cpu_affinity": st.sampled_from(("0-3,7", "")),
        "hooks": st.dictionaries(
            st.sampled_from(("prestart", "create_container", "poststop")),
            st.lists(
                st.sampled_from(
                    (
                        {"path": "/a", "args": [], "env": {}},
                        {"path": "/b", "args": ["x", ""], "env": {"A": "="}, "timeout": 3},
                    )
                ),
                max_size=2,
            ),
        ),
        "apparmor_profile": st.sampled_from(("", "web", "unconfined")),
        "selinux_label": st.sampled_from(("", "u:r:t:s0:c1,c2")),
        "mount_label": st.sampled_from(("", "u:r:t")),
        "personality": st.sampled_from(("linux", "linux32")),
        "stop_timeout": st.floats(0, 99).map(lambda seconds: round(seconds, 3)),
        "stop_signal": st.sampled_from(("SIGTERM", "SIGRTMIN+3")),
        "restart_policy": st.sampled_from(("no", "always")),
        "restart_max": st.integers(0, 9),
        "labels": st.dictionaries(st.sampled_from(("a", "b")), st.text("xy"), max_size=2),
        "mounts": st.lists(st.sampled_from(("/data", "/proc")), max_size=2, unique=True).map(
            lambda places: [{"destination": place, **MOUNT} for place in places]
        ),
        "rootfs_propagation": st.sampled_from(("private", "rshared")),
        "device_nodes": st.lists(st.sampled_from(("/dev/a", "/srv/b")), max_size=2, unique=True).map(
            lambda places: [{"path": place, **(FIFO if place == "/srv/b" else NODE)} for place in places]
        ),
    },
)


@given(OPTIONS)
def test_the_bundle_gives_the_options_back(options: Options) -> None:
    gives_back(options)


@given(st.floats(-(10**6), 10**6), st.floats(0, 9))
def test_the_bundle_gives_any_offsets_of_clocks_back(monotonic: float, boottime: float) -> None:
    own = {"namespaces": namespaces(time="private")}
    gives_back({**own, "time_offsets": {"monotonic": monotonic, "boottime": boottime}})


def gives_back(options: Options) -> None:
    """What the options come to, the description of the bundle says, too.

    :raises AssertionError: it says something else.
    """
    container = Container({**BASE, **options})
    found = container.compose()
    schema.check(found)
    for field in FIELDS:
        if field.name in options and field.read is not None:
            assert field.read(found) == container.wanted[field.name], field.name


def test_what_would_not_be_honoured_is_refused_with_its_place() -> None:
    found = composed()
    found["linux"]["intelRdt"] = {}
    found["hooks"] = {"prestart": [], "before": []}
    found["mounts"][1]["label"] = "x"
    found["process"]["cwd"] = 5
    with pytest.raises(
        NsfleetError, match=r"process\.cwd: expected a string, got 5; not supported: linux\.intelRdt, mounts"
    ):
        schema.check(found)


def test_only_what_needs_another_start_makes_another_digest(tmp_path: pathlib.Path, monkeypatch: t.Any) -> None:
    monkeypatch.setattr(bundle, "DIRECTORY", str(tmp_path / "lib" / "containers"))

    def digest(**options: t.Any) -> str:
        place = bundle.Bundle("web")
        place.write(composed(**options))
        return place.digest

    plain = digest()
    for live in (
        {"hostname": "other"},
        {"restart_policy": "always"},
        {"rlimits": {"nofile": "5"}},
        {"labels": {"a": "b"}},
        {"exec_cpu_affinity": "0"},
        {"umask": "0022", "personality": "linux"},
    ):
        assert digest(**live) == plain
    for restart in (
        {"command": ["other"]}, {"read_only": True}, {"user": "5"}, {"env": {"A": "b"}}, {"umask": "0077"},
        {"scheduler": {"policy": "batch"}}, {"io_priority": {"class": "idle"}},
        {"hooks": {"poststop": [{"path": "/a", "args": [], "env": {}}]}},
    ):  # fmt: skip
        assert digest(**restart) != plain
    assert bundle.names() == ["web"]
    assert (tmp_path / "lib/containers/web").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (
            {"policy": "SCHED_BATCH", "nice": 7, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
            "SCHED_BATCH|SCHED_RESET_ON_FORK",
        ),
        ({"policy": "SCHED_IDLE"}, "SCHED_IDLE"),
    ],
)
def test_scheduling_is_set_and_read_as_others_read_it(sleeper: int, wanted: Options, seen: str) -> None:
    process = {"scheduler": wanted, "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6}}
    attributes.apply(sleeper, process, further=False)
    found = attributes.scheduler_of(sleeper)
    nothing = {"nice": 0, "flags": [], "priority": 0, "runtime": 0, "deadline": 0, "period": 0}
    assert found == {**nothing, **wanted}
    assert attributes.io_priority_of(sleeper) == process["ioPriority"]
    shown = [subprocess.check_output([*words, str(sleeper)], text=True) for words in (["chrt", "-p"], ["ionice", "-p"])]
    assert f"policy: {seen}\n" in shown[0]
    assert shown[1] == "best-effort: prio 6\n"


def test_the_first_process_has_the_processors_of_its_container(sleeper: int) -> None:
    """``execCPUAffinity`` is for those that join it, and what they have in the end is ``final`` (config.md)."""
    every = os.sched_getaffinity(sleeper)
    both = {"execCPUAffinity": {"initial": str(min(every)), "final": str(max(every))}}
    attributes.apply(sleeper, both, further=False)
    attributes.apply(sleeper, {"execCPUAffinity": {"initial": str(min(every))}}, further=True)
    assert os.sched_getaffinity(sleeper) == every
    attributes.apply(sleeper, both, further=True)
    assert os.sched_getaffinity(sleeper) == {max(every)}
    with pytest.raises(NsfleetError, match="execCPUAffinity: "):
        attributes.apply(sleeper, {"execCPUAffinity": {"initial": "many"}}, further=True)


@pytest.fixture
def sleeper() -> t.Iterator[int]:
    """A process that does nothing."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process.pid
        process.kill()


def test_a_damaged_bundle_is_an_error_for_people(tmp_path: pathlib.Path, monkeypatch: t.Any) -> None:
    monkeypatch.setattr(bundle, "DIRECTORY", str(tmp_path))
    (tmp_path / "web").mkdir()
    for text in ("", "{", "\0", "null", "[]", "7", '{"root": {}}'):
        (tmp_path / "web/config.json").write_text(text)
        with pytest.raises(NsfleetError, match=r"web/config\.json is damaged"):
            assert bundle.Bundle("web").spec


# --- capabilities, ids, devices -----------------------------------------------------------------


def test_capabilities_have_the_numbers_of_the_kernel() -> None:
    assert capability.mask(["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"]) == 1 | 1 << 21 | 1 << 40
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        assert len(capability.NAMES) >= int(file.read()) + 1


@given(st.integers(0, 30))
def test_ids_are_mapped_as_the_kernel_does(number: int) -> None:
    mappings = [{"containerID": 0, "hostID": 1000, "size": 10}, {"containerID": 20, "hostID": 5, "size": 1}]
    if number < 10:
        assert usernamespace.on_host(mappings, number) == 1000 + number
    elif number == 20:
        assert usernamespace.on_host(mappings, number) == 5
    else:
        with pytest.raises(KeyError):
            usernamespace.on_host(mappings, number)
    assert usernamespace.on_host([], number) == number


def test_devices_are_allowed_unless_it_is_said_which() -> None:
    nodes = [{"path": "/dev/a", **NODE}, {"path": "/srv/b", **FIFO}]
    rules = composed(device_nodes=nodes)["linux"]["resources"]["unified"]["devices"].split("\n")
    assert {"b 7:1 rwm", "c 1:3 rwm", "c 136:* rwm"} <= set(rules)
    rules = composed(device_nodes=nodes, devices=["c 1:3 rwm"])["linux"]["resources"]["unified"]["devices"].split("\n")
    assert "b 7:1 m" in rules, "it cannot be made"
    assert "c 136:* rwm" not in rules


# --- subordinate ids ----------------------------------------------------------------------------


class Host:
    """A host that sets ids aside, and has containers."""

    def __init__(self, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file, self.containers = folder / "subuid", folder / "containers"
        self.containers.mkdir()
        monkeypatch.setattr(bundle, "DIRECTORY", str(self.containers))
        monkeypatch.setattr(subordinate, "FILES", {"uidMappings": str(self.file)})

    def add(self, name: str, *ranges: tuple[int, int]) -> None:
        """A container with ranges, each the first id on the host and how many."""
        mappings = [{"containerID": 0, "hostID": first, "size": size} for first, size in ranges]
        (self.containers / name).mkdir(exist_ok=True)
        description = composed()
        description["linux"]["uidMappings"] = mappings
        (self.containers / name / "config.json").write_text(json.dumps(description))


@pytest.fixture
def host(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host."""
    return Host(tmp_path, monkeypatch)


def test_ids_are_the_lowest_that_are_free_and_stay(host: Host) -> None:
    host.file.write_text("root:1:99\nnsfleet:1000:100\n# nsfleet:0:5\nnsfleet:x:5\nnsfleet:5000:50\n")
    assert subordinate.allot("uidMappings", 50, "web") == 1000
    host.add("other", (1000, 30))
    assert subordinate.allot("uidMappings", 50, "web") == 1030
    host.add("third", (1040, 30))
    assert subordinate.allot("uidMappings", 10, "web") == 1030
    assert subordinate.allot("uidMappings", 30, "web") == 1070
    assert subordinate.allot("uidMappings", 31, "web") == 5000
    host.add("web", (1070, 30))
    host.add("other")
    assert subordinate.allot("uidMappings", 30, "web") == 1070, "a container keeps what it has"
    assert subordinate.allot("uidMappings", 40, "web") == 1000, "another size is another range"
    host.file.write_text("nsfleet:7000:30\n")
    assert subordinate.allot("uidMappings", 30, "web") == 7000, "what is no longer set aside is not kept"


@pytest.mark.parametrize("text", ["", "nsfleet:1000\n", "nsfleet:1000:9\n", "root:1000:1000\n", "nsfleet:\u00b2:99\n"])
def test_ids_that_are_not_there(host: Host, text: str) -> None:
    host.file.write_text(text)
    with pytest.raises(NsfleetError, match=r"expected 10 ids of nsfleet in .*subuid that no container has; set more"):
        subordinate.allot("uidMappings", 10, "web")


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 40)), max_size=6), st.integers(1, 40))
def test_ids_are_never_those_of_another(taken: list[tuple[int, int]], size: int) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, pytest.MonkeyPatch.context() as monkeypatch:
        host = Host(pathlib.Path(folder), monkeypatch)
        host.file.write_text("nsfleet:10:80\n")
        host.add("other", *taken)
        used = {number for first, count in taken for number in range(first, first + count)}
        free = [first for first in range(10, 91 - size) if not used & set(range(first, first + size))]
        if free:
            assert subordinate.allot("uidMappings", size, "web") == free[0]
        else:
            with pytest.raises(NsfleetError):
                subordinate.allot("uidMappings", size, "web")


def test_ids_that_somebody_else_got_meanwhile(host: Host) -> None:
    host.add("other", (100, 10))
    mine = {"uidMappings": [{"containerID": 0, "hostID": 109, "size": 5}]}
    with pytest.raises(NsfleetError, match="another container got the same ids"), subordinate.kept("web", mine):
        pass
    with subordinate.kept("other", mine):
        pass


# --- users ---------------------------------------------------------------------------------------

PASSWD = "root:x:0:0::/root:/bin/sh\nnginx:x:33:34::/:/x\n12:x:99:98::/:/x\ntwin:x:33:77::/:/x\nbroken\n"
PASSWD += "bad:x:a:b::\nhuge:x:4294967295:0::\nshort:x:5\nnegative:x:-1:0::\n"
GROUP = "root:x:0:\nwww:x:44:nginx\n12:x:97:\nbad:x:z:\n"


class Root:
    """A root directory of a container."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        (folder / "etc").mkdir()
        self.passwd, self.group = folder / "etc/passwd", folder / "etc/group"
        self.passwd.write_text(PASSWD)
        self.group.write_text(GROUP)

    def resolve(self, user: str, *groups: str) -> users.User:
        """A user of the container."""
        fd = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        try:
            return users.resolve(lambda path: read_file(fd, path), user, groups)
        finally:
            os.close(fd)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> Root:
    """A root with users."""
    return Root(tmp_path)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("root", (0, 0)), ("nginx", (33, 34)), ("nginx:www", (33, 44)), ("nginx:7", (33, 7)), ("33", (33, 34)),
        ("1000", (1000, 0)), ("1000:1000", (1000, 1000)), ("12", (12, 0)), ("4294967294", (4294967294, 0)),
    ],
)  # fmt: skip
def test_users_are_looked_up_and_digits_are_numbers(root: Root, user: str, expected: tuple[int, int]) -> None:
    assert root.resolve(user)[:2] == expected


def test_groups_are_looked_up(root: Root) -> None:
    assert root.resolve("root", "www", "12", "7").groups == (44, 12, 7)


@pytest.mark.parametrize(
    "user",
    [
        "nobody",
        "broken",
        "bad",
        "huge",
        "short",
        "negative",
        "root:nobody",
        "root:bad",
        "4294967295",
        "0:4294967295",
        "\u00b2",
        "",
        ":0",
        "-1",
    ],
)
def test_users_that_there_are_not_are_errors_that_name_them(root: Root, user: str) -> None:
    with pytest.raises(NsfleetError, match=r"user .* of the container: ") as caught:
        root.resolve(user)
    assert "invalid literal" not in str(caught.value)


def test_hostile_files_hurt_nobody(root: Root, tmp_path: pathlib.Path) -> None:
    outside = tmp_path.parent / "outside"
    outside.write_text("evil:x:0:0::/:/x\n")
    for make in (
        lambda path: path.symlink_to(outside),
        lambda path: path.symlink_to("../../../../../../etc/hosts"),
        os.mkfifo,
        lambda path: os.mknod(path, 0o20666, os.makedev(1, 5)),
        lambda path: path.symlink_to("passwd"),
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b"x" * (LARGEST + 1)),
    ):
        if root.passwd.is_dir() and not root.passwd.is_symlink():
            root.passwd.rmdir()
        else:
            root.passwd.unlink()
        make(root.passwd)
        with pytest.raises(NsfleetError, match="user 'evil' of the container"):
            root.resolve("evil")


def test_a_root_without_files_has_numbers_only(root: Root) -> None:
    root.passwd.unlink()
    root.group.unlink()
    assert root.resolve("5:6", "7") == users.User(5, 6, (7,))
    with pytest.raises(NsfleetError, match="has no user 'root'"):
        root.resolve("root")


@given(st.binary(max_size=60) | st.text("0123456789:-\n", max_size=20).map(str.encode))
def test_no_passwd_file_makes_more_than_an_error(content: bytes) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        here = Root(pathlib.Path(folder))
        here.passwd.write_bytes(b"a:x:" + content)
        with contextlib.suppress(NsfleetError):
            found = here.resolve("a")
            assert 0 <= found.uid < 2**32 - 1
            assert 0 <= found.gid < 2**32 - 1


# --- signals and the archive ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name", "number"),
    [("term", "SIGTERM", 15), ("SIGKILL", "SIGKILL", 9), ("15", "SIGTERM", 15), ("RTMIN+3", "SIGRTMIN+3", 37),
     ("37", "SIGRTMIN+3", 37), ("rtmin", "SIGRTMIN", 34), ("RTMAX", "SIGRTMIN+30", 64)],
)  # fmt: skip
def test_signals_have_one_name(words: str, name: str, number: int) -> None:
    assert (signals.signal_name(words), signals.signal_number(words)) == (name, number)


@pytest.mark.parametrize(
    "words", ["", "0", "65", "-1", "SIG", "NOPE", "TERM+1", "RTMIN+", "RTMIN+x", "RTMIN+31", "SIG_DFL"]
)
def test_what_is_no_signal_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="expected a signal"):
        signals.signal_name(words)


def test_the_archive_of_a_monitor_holds_all_that_its_modules_import(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "monitor.pyz"
    path.write_bytes(archive._archive(archive._sources()))
    names = zipfile.ZipFile(path).namelist()
    assert {f"nsrun/{name.replace('.', '/')}.py" for name in archive.MONITOR} <= set(names)
    code = "import importlib, sys; sys.path[:] = [sys.argv[1], *sys.path]\n" + "\n".join(
        f"importlib.import_module('nsrun.{name}')" for name in archive.MONITOR
    )
    subprocess.run([sys.executable, "-I", "-S", "-c", code, str(path)], check=True, cwd="/")


def test_the_program_knows_its_commands(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "nsrun")
    archive.build(path, sys.executable)
    done = subprocess.run([path, "x"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.partition(";")[0]) == (1, "nsrun: there is no command x")
    told = subprocess.run([path, "help"], capture_output=True, text=True, check=True).stdout
    for name in command.COMMANDS:
        assert f"  {name} " in told
        subprocess.run([path, name, "--help"], stdout=subprocess.DEVNULL, check=True)


# --- what is known of a container --------------------------------------------------------------


def test_state_is_kept_though_the_last_container_goes_meanwhile(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers do not wait for each other, and have one directory together, which goes when it is empty."""
    monkeypatch.setattr(state, "DIRECTORY", str(tmp_path / "run/containers"))
    tries: list[str] = []

    def late(path: str, *words: t.Any) -> None:
        tries.append(path)
        if tries.count(path) == 1:
            state.forget("other")
        write(path, *words)

    write = files.write_whole
    monkeypatch.setattr(files, "write_whole", late)
    state.save("web", state.State(restarts=3))
    assert state.load("web").restarts == 3
    state.forget("web")
    state.ask_to_stop("web")
    assert state.asked_to_stop("web")
