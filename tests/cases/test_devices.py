# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of the runtime-spec: nodes and rules, looked at from inside and by stat(2) from the host."""

from __future__ import annotations

import os
import stat
import typing as t

import pytest
from support import oci, world
from support.abilities import need
from support.oci import Spec, described, refusal, running

MAPPED = [{"containerID": 0, "hostID": 200000, "size": 65536}]


@pytest.fixture(autouse=True)
def root(clean_host: None) -> t.Iterator[None]:
    """A root file system."""
    del clean_host
    oci.make_root()
    yield
    oci.remove_root()


def device(path: str, kind: str = "c", **more: int) -> dict[str, t.Any]:
    """A device that no container has by itself: loop-control, or for another type one that need not be there."""
    numbers = {} if kind == "p" else {"major": 10, "minor": 237}
    return {"path": path, "type": kind, **numbers, **more}


def in_user_namespace(spec: Spec) -> Spec:
    """The same container in a user namespace, in which nobody may make devices."""
    spec["linux"].update(uidMappings=MAPPED, gidMappings=MAPPED)
    spec["linux"]["namespaces"].append({"type": "user"})
    spec["annotations"]["nsfleet.linux/idmap"] = "true"
    return spec


DEVICES = [
    device("/dev/first", fileMode=0o640, uid=5, gid=7),
    device("/srv/deep/below/second"),
    device("/dev/third", "u"),
    device("/dev/disk", "b", fileMode=0o60644, uid=1),
    device("/dev/fifo", "p", fileMode=0o622, gid=3),
    device("/dev/zero", major=1, minor=5, fileMode=0o444),
]
#: Path inside to (mode, device, owner as the container sees it).
SEEN = {
    "/dev/first": ("crw-r-----", (10, 237), "5:7"), "/srv/deep/below/second": ("crw-rw-rw-", (10, 237), "0:0"),
    "/dev/third": ("crw-rw-rw-", (10, 237), "0:0"), "/dev/disk": ("brw-r--r--", (10, 237), "1:0"),
    "/dev/fifo": ("prw--w--w-", (0, 0), "0:3"), "/dev/zero": ("cr--r--r--", (1, 5), "0:0"),
    "/dev/null": ("crw-rw-rw-", (1, 3), "0:0"), "/dev/full": ("crw-rw-rw-", (1, 7), "0:0"),
    "/dev/random": ("crw-rw-rw-", (1, 8), "0:0"), "/dev/urandom": ("crw-rw-rw-", (1, 9), "0:0"),
    "/dev/tty": ("crw-rw-rw-", (5, 0), "0:0"),
}  # fmt: skip


@pytest.mark.parametrize("mapped", [False, True], ids=["", "user namespace"])
def test_nodes(mapped: bool) -> None:
    need("idmapped mounts" if mapped else "")
    spec = described(devices=DEVICES)
    with running(in_user_namespace(spec) if mapped else spec) as container:
        for path, (mode, numbers, owner) in SEEN.items():
            info = os.stat(container.path(path))
            shift = 200000 if mapped else 0
            assert stat.filemode(info.st_mode) == mode, path
            assert (os.major(info.st_rdev), os.minor(info.st_rdev)) == numbers, path
            assert f"{info.st_uid - shift}:{info.st_gid - shift}" == owner, path
            assert container.inside(f"stat -c %A,%u:%g {path}") == f"{mode},{owner}"
        links = "fd stdin stdout stderr ptmx"
        assert container.inside(f"cd /dev; for name in {links}; do readlink $name; done").split() == [
            "/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx",
        ]  # fmt: skip
        assert container.inside(
            "head -c 3 /dev/zero | wc -c; echo x > /dev/null; test -e /dev/console || echo none"
        ) == ("3\nnone")


def attempts(container: oci.Running) -> str:
    """Which of several devices can be opened inside."""
    nodes = {"null": "c 1 3", "loop": "c 10 237", "kmsg": "c 1 11", "mem": "c 1 1", "ram": "b 1 0", "pts": "c 5 2"}
    container.inside("; ".join(f"mknod /tmp/{name} {words}" for name, words in nodes.items()))
    script = "\n".join(
        f'(exec 3<{container.path("/tmp")}/{name}) 2>&1 | grep -q "not permitted" || echo {name}' for name in nodes
    )
    join = "for each in $(find /sys/fs/cgroup -path '*/case/cgroup.procs'); do echo $$ > $each; done"
    return world.sh(f"{join}\n{script}")


@pytest.mark.parametrize(
    ("devices", "rules", "allowed"),
    [
        ([], None, "null pts"),
        ([device("/dev/loop-control")], None, "null loop pts"),
        ([], [{"allow": False, "access": "rwm"}], "null pts"),
        ([], [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "access": "r"}],
         "null kmsg mem pts"),
        ([], [{"allow": True, "type": "c", "major": 1, "minor": 11, "access": "rw"},
              {"allow": False, "type": "a"}], "null pts"),
        ([], [{"allow": True, "type": "a", "major": -1, "minor": -1, "access": "rwm"}], "null loop kmsg mem ram pts"),
    ],
    ids=["none said", "own device", "deny", "allow one", "last one counts", "everything"],
)  # fmt: skip
def test_rules(devices: list[dict[str, t.Any]], rules: list[dict[str, t.Any]] | None, allowed: str) -> None:
    """What is not listed is denied by the control group, whatever nodes there are."""
    resources = {} if rules is None else {"devices": rules}
    with running(described(devices=devices, resources=resources)) as container:
        assert attempts(container).split() == allowed.split()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (device("/dev/x", "d"), "linux.devices[0].type: expected c, b, u or p, got 'd'"),
        (device("dev/x"), "linux.devices[0].path: expected a path from the root, got 'dev/x'"),
        (device("/"), "linux.devices[0].path: expected"),
        (device("/dev/x", major=-1), "linux.devices[0].major: expected a number of 0 to 4095, got -1"),
        ({"path": "/dev/x", "type": "b", "major": 1}, "linux.devices[0].minor: expected a number"),
        (device("/dev/x", colour=1), "linux.devices[0].colour"),
        (device("/dev/null"), "devices and masked paths: "),
        (device("/etc"), "expected the device c 10:237, but something else is there"),
        (device("/dev/shm"), "expected the device c 10:237, but something else is there"),
        (device("/dev/fd"), "something else is there"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused(entry: dict[str, t.Any], words: str) -> None:
    os.symlink("/etc", f"{oci.ROOT}/srv/link")
    spec = described(devices=[entry])
    if entry["path"] == "/dev/fd":
        spec["linux"]["devices"] = [device("/srv/link")]
    assert words in refusal(spec)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"allow": True, "type": "x"}, "linux.resources.devices[0].type: expected a, b or c"),
        ({"allow": True, "access": "rx"}, "linux.resources.devices[0].access: expected letters of rwm"),
        ({"type": "a"}, "linux.resources.devices[0].allow: it is missing"),
        ({"allow": True, "path": "/dev/kvm"}, "linux.resources.devices[0].path"),
    ],
)
def test_rules_that_are_none(rule: dict[str, t.Any], words: str) -> None:
    assert words in refusal(described(resources={"devices": [rule]}))


def test_what_is_there_already_stays_as_it_is() -> None:
    """A root file system may bring the very device; then it is used, with the owner and mode that it has."""
    world.sh(f"mknod -m 600 {oci.ROOT}/srv/own c 10 237")
    with running(described(devices=[device("/srv/own", fileMode=0o666)])) as container:
        assert container.inside("stat -c %a /srv/own") == "600"


def test_devices_of_a_bound_dev_are_left_alone() -> None:
    """A ``/dev`` of others is shown as it is: nothing is made in it."""
    world.sh("mkdir /srv/dev && mknod -m 600 /srv/dev/null c 1 3 && mkdir /srv/dev/pts /srv/dev/shm /srv/dev/mqueue")
    spec = described()
    spec["mounts"] = [each for each in spec["mounts"] if each["destination"] != "/dev"]
    spec["mounts"].insert(1, {"destination": "/dev", "source": "/srv/dev", "options": ["bind"]})
    with running(spec) as container:
        assert container.inside("cat /proc/kcore; ls /dev").split() == ["mqueue", "null", "pts", "shm"]
    assert stat.S_IMODE(os.stat("/srv/dev/null").st_mode) == 0o600
    world.sh("rm -r /srv/dev")
