# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module namespace_info, by ``lsns``, ``ip netns``, ``nsenter``, ``unshare`` and ``/proc``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import typing as t

import pytest
from support import laws, world
from support.invoke import invoke

TYPES = ("time", "cgroup", "pid", "user", "uts", "ipc", "mnt", "net")
CONTAINER: dict[str, t.Any] = {
    "name": "case", "rootfs": "/", "overlay": "tmpfs",
    "command": ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 9999 & wait"],
}  # fmt: skip


def told(**options: t.Any) -> list[dict[str, t.Any]]:
    """The namespaces that the module tells of."""
    before = world.snapshot()
    found = laws.run("namespace_info", options)
    assert not found.changed
    assert found["unreadable"] == 0
    assert world.difference(before, world.snapshot()) == [], "telling changed the host"
    return t.cast("list[dict[str, t.Any]]", found["namespaces"])


def one(**options: t.Any) -> dict[str, t.Any]:
    """The only namespace that the module tells of."""
    (found,) = told(**options)
    return found


def link(pid: int | str, kind: str) -> str:
    """A namespace of a process, as readlink(1) shows it."""
    return world.sh(f"readlink /proc/{pid}/ns/{kind}").strip()


def lsns(columns: str) -> dict[int, dict[str, t.Any]]:
    """What lsns(8) shows, by inode."""
    return {each["ns"]: each for each in world.ask(f"lsns -J -o NS,{columns}")["namespaces"]}


@contextlib.contextmanager
def running(*command: str) -> t.Iterator[subprocess.Popen[str]]:
    """A process that has said ``ready``; it ends with the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", f"{command} did not start"
        yield process
    finally:
        process.kill()
        process.wait()


READY = ("sh", "-c", "echo ready; exec sleep 9999")


# --- against lsns ------------------------------------------------------------


def test_all_that_lsns_shows() -> None:
    with (
        running("unshare", "--user", "--map-root-user", "--net", "--ipc", *READY),
        running("unshare", "--mount", "--uts", "--cgroup", *READY),
        running("unshare", "--time", "--pid", "--fork", "--kill-child", *READY),
    ):
        # Witness and module are both seen by themselves: what they run in they have in common.
        here = {link("self", kind) for kind in TYPES}
        shown = lsns("TYPE,NPROCS,PID,PNS,ONS")
        found = {each["inode"]: each for each in told()}
    for inode, row in shown.items():
        each = found[inode]
        assert each["type"] == row["type"]
        assert each["namespace"] == f"{row['type']}:[{inode}]"
        assert number(each["owner"]) == row["ons"]
        assert number(each["parent"]) == row["pns"]
        if each["namespace"] not in here:
            assert (each["process_count"], each["oldest"]["pid"]) == (row["nprocs"], row["pid"])
    assert {each["type"] for each in found.values() if each["namespace"] not in here} == set(TYPES)
    assert {each["namespace"] for each in found.values() if each["host"]} == {link(1, kind) for kind in TYPES}


def number(name: str | None) -> int:
    """The inode in a namespace's name, 0 for none, as lsns(8) has it."""
    return int(name.partition("[")[2].rstrip("]")) if name else 0


def test_sorted_by_type_and_inode() -> None:
    with running("unshare", "--net", *READY), running("unshare", "--net", *READY):
        found = told()
    assert found == sorted(found, key=lambda each: (TYPES.index(each["type"]), each["inode"]))


def test_processes_and_the_oldest() -> None:
    script = "sleep 9998 & echo ready; exec sleep 9999"
    with running("unshare", "--ipc", "--pid", "--kill-child", "setpriv", "--reuid=1", "sh", "-c", script) as outer:
        first = int(world.sh(f"pgrep -P {outer.pid}"))
        second = int(world.sh(f"pgrep -P {first}"))
        found = one(path=f"/proc/{first}/ns/ipc", processes=True)
        assert found["process_count"] == 3
        assert found["processes"] == [
            {"pid": pid, "command": world.sh(f"ps -o comm= -p {pid}").strip()}
            for pid in sorted((outer.pid, first, second))
        ]
        assert found["oldest"] == {"pid": outer.pid, "command": "unshare", "uid": 0, "user": "root"}
        assert "processes" not in one(path=f"/proc/{first}/ns/ipc")
        os.kill(first, signal.SIGKILL)


def test_user_of_the_oldest() -> None:
    with running("setpriv", "--reuid=1", "--clear-groups", "unshare", "--user", *READY) as process:
        user, name = world.sh(f"ps -o uid=,user= -p {process.pid}").split()
        found = one(pid=process.pid, type=["user"])
        assert (str(found["oldest"]["uid"]), found["oldest"]["user"]) == (user, name) == ("1", "daemon")
        assert (found["owner_uid"], found["owner_user"]) == (1, "daemon")
        assert found["parent"] == found["owner"] == link("self", "user")


def test_owner_is_told_through_all_generations() -> None:
    """A network namespace in a user namespace in a user namespace that nothing runs in."""
    nested = ("unshare", "--user", "--map-root-user", "unshare", "--user", "--map-root-user", "--net", *READY)
    with running("setpriv", "--reuid=2", "--clear-groups", *nested) as process:
        inner = one(pid=process.pid, type=["net"])
        user = one(pid=process.pid, type=["user"])
        assert inner["owner"] == user["namespace"] == link(process.pid, "user")
        (middle,) = (each for each in told(type=["user"]) if each["namespace"] == user["parent"])
        assert (middle["process_count"], middle["oldest"], middle["holders"]) == (0, None, [])
        assert middle["parent"] == link("self", "user")
        assert [inner["owner_uid"], user["owner_uid"], middle["owner_uid"]] == [2, 2, 2]


# --- what nothing runs in ----------------------------------------------------


def test_names_as_ip_netns_shows_them() -> None:
    world.sh("ip netns add case && ip netns add other && ip netns attach again $$")
    found = {name: each for each in told(type=["net"]) for name in each["names"]}
    assert sorted(found) == world.namespaces()
    assert found["case"]["inode"] == int(world.sh("stat -L -c %i /run/netns/case"))
    assert found["case"]["process_count"] == 0
    assert found["case"]["mounts"] == [{"path": "/run/netns/case", "seen_from": link("self", "mnt")}]
    assert found["again"]["host"]
    assert not any(each["ours"] for each in found.values())
    assert one(name="other") == one(path="/run/netns/other") == found["other"]
    world.sh("ip netns delete other")
    assert told(name="other") == told(path="/run/netns/other") == []
    for name in ("case", "again"):
        world.sh(f"ip netns delete {name}")


def test_mounts_of_any_type_and_any_path() -> None:
    for kind in ("uts", "ipc"):
        place = f"/run/ns of {kind}\r"
        quoted = f'"$(printf "{place[:-1]}\\r")"'
        world.sh(f"touch {quoted} && unshare --{kind}={quoted} true")
        found = one(path=place)
        assert found["type"] == kind
        assert found["inode"] == os.stat(place).st_ino
        assert [mount["path"] for mount in found["mounts"]] == [place]
        assert found["names"] == []
        world.sh(f"umount {quoted} && rm {quoted}")


def test_mount_that_only_another_mount_namespace_has() -> None:
    script = "touch /run/hidden && mount --bind /proc/self/ns/net /run/hidden && exec nsenter --net=/proc/1/ns/net "
    with running("unshare", "--mount", "--net", "sh", "-c", f"{script} {' '.join(READY[:2])} '{READY[2]}'") as process:
        view = link(process.pid, "mnt")
        (found,) = (each for each in told(type=["net"]) if not each["process_count"])
        assert found["mounts"] == [{"path": "/run/hidden", "seen_from": view}]
        seen = world.sh(f"nsenter --target {process.pid} --mount stat -L -c %i /run/hidden")
        assert found["inode"] == int(seen)
        assert found["owner"] == link("self", "user")
    world.sh("rm /run/hidden")


def test_copies_of_a_mount_are_not_told() -> None:
    world.sh("ip netns add case")
    with running("unshare", "--mount", *READY) as process:
        assert "/run/netns/case" in world.sh(f"cat /proc/{process.pid}/mountinfo")
        assert [mount["seen_from"] for mount in one(name="case")["mounts"]] == [link("self", "mnt")]
    world.sh("ip netns delete case")


def holder(script: str) -> t.Any:
    """A Python program that keeps a namespace that it is not in."""
    lines = f"import ctypes, os, threading, time\nlibc = ctypes.CDLL(None)\n{script}\n"
    return running(sys.executable, "-c", f"{lines}print('ready', flush=True); time.sleep(9999)")


@pytest.mark.parametrize(
    ("kind", "script"),
    [
        ("time", "libc.unshare(0x80)"),
        ("pid", "libc.unshare(0x20000000)\nif os.fork() == 0: os._exit(0)\nos.wait()"),
    ],
)
def test_namespace_for_children_only(kind: str, script: str) -> None:
    with holder(script) as process:
        for_children = link(process.pid, f"{kind}_for_children")
        (found,) = (each for each in told(type=[kind]) if each["namespace"] == for_children)
        assert found["process_count"] == 0
        assert found["holders"] == [{"pid": process.pid, "command": command(process.pid), "by": "children"}]


@pytest.mark.parametrize("file", ["/proc/thread-self/ns/net", "/run/netns/case"])
def test_descriptor_that_keeps_a_namespace(file: str) -> None:
    """Opened by a process, by name, and with the name gone since."""
    world.sh("ip netns add case")
    inode = int(world.sh("stat -L -c %i /run/netns/case"))
    script = f"""
home = os.open("/proc/self/ns/net", os.O_RDONLY)
libc.setns(os.open("/run/netns/case", os.O_RDONLY | os.O_CLOEXEC), 0)
os.closerange(home + 1, 20)
kept = os.open("{file}", os.O_RDONLY)
libc.setns(home, 0)
"""
    with holder(script) as process:
        expected = [{"pid": process.pid, "command": command(process.pid), "by": "descriptor"}]
        assert one(name="case")["holders"] == []
        assert one(name="case", holders=True)["holders"] == expected
        world.sh("ip netns delete case")
        assert all(each["host"] for each in told(type=["net"])), "it is found without looking at open files"
        (found,) = (each for each in told(type=["net"], holders=True) if not each["host"])
        assert (found["inode"], found["process_count"], found["holders"]) == (inode, 0, expected)
        assert found["owner"] == link("self", "user")


def test_thread_that_keeps_a_namespace() -> None:
    script = """
done = threading.Event()
threading.Thread(target=lambda: (libc.unshare(0x40000000), done.set(), time.sleep(9999))).start()
done.wait()
"""
    with holder(script) as process:
        (thread,) = (each for each in os.listdir(f"/proc/{process.pid}/task") if int(each) != process.pid)
        found = one(path=f"/proc/{process.pid}/task/{thread}/ns/net", holders=True)
        assert found["holders"] == [{"pid": process.pid, "command": command(process.pid), "by": "thread"}]


def command(pid: int) -> str:
    """Command of a process, as ps(1) shows it."""
    return world.sh(f"ps -o comm= -p {pid}").strip()


# --- filters -----------------------------------------------------------------


@pytest.mark.parametrize("kind", TYPES)
def test_type(kind: str) -> None:
    rows = {inode for inode, row in lsns("TYPE").items() if row["type"] == kind}
    assert {each["inode"] for each in told(type=[kind])} == rows


def test_pid() -> None:
    with running("unshare", "--net", "--uts", *READY) as process:
        shown = {row["ns"] for row in world.ask(f"lsns -J -o NS -p {process.pid}")["namespaces"]}
        assert {each["inode"] for each in told(pid=process.pid)} == shown
        assert [each["namespace"] for each in told(pid=process.pid, type=["uts", "net"])] == [
            link(process.pid, "uts"), link(process.pid, "net"),
        ]  # fmt: skip
        gone = process.pid
    assert told(pid=gone) == []


def test_process_that_only_left_its_exit_status() -> None:
    """It is in no namespace any more."""
    with running("sh", "-c", "unshare --net true & echo ready; exec sleep 9999") as process:
        zombie = int(world.sh(f"while ! ps -o pid=,state= --ppid {process.pid} | grep Z; do :; done").split()[0])
        assert told(pid=zombie) == []
        assert [each for each in told(type=["net"]) if not each["host"]] == []


# --- what is ours --------------------------------------------------------------


def test_namespaces_of_a_container() -> None:
    laws.run("netns", {"name": "shop"})
    laws.run("container", {**CONTAINER, "namespaces": {"net": "shop", "ipc": "host"}})
    pid = int(world.sh("pgrep -of '^/bin/sh -c trap'"))
    own = ["cgroup", "pid", "uts", "mnt", "net"]
    found = told(container="case")
    assert [each["namespace"] for each in found] == [link(pid, kind) for kind in own]
    assert all(each["containers"] == ["case"] and each["ours"] and not each["host"] for each in found)
    assert (found[-1]["names"], found[-1]["oldest"]["pid"]) == (["shop"], pid)
    everything = told()
    others = [each for each in everything if each not in found]
    assert {each["namespace"] for each in others if each["containers"] or each["ours"]} == set()
    shared = one(type=["ipc"], pid=pid)
    assert shared["host"]
    assert shared["process_count"] > 1
    laws.run("container", {"name": "case", "state": "absent"})
    assert told(container="case") == []
    left = one(name="shop")
    assert (left["ours"], left["containers"], left["process_count"]) == (True, [], 0)
    laws.remove("netns", {"name": "shop"})


def test_namespace_that_a_payload_made_belongs_to_its_container() -> None:
    options = {**CONTAINER, "cap_add": ["SYS_ADMIN"]}
    options["command"] = ["/bin/sh", "-c", "trap 'exit 0' TERM; unshare --uts sleep 8888 & wait"]
    laws.run("container", options)
    made = world.sh("while ! pgrep -f '^sleep 8888'; do :; done").strip()
    found = one(path=f"/proc/{made}/ns/uts")
    assert found["namespace"] == link(made, "uts")
    assert (found["containers"], found["ours"]) == (["case"], False)
    assert found in told(container="case")
    laws.remove("container", {"name": "case"})


def test_joined_namespace_of_others_is_not_ours() -> None:
    world.sh("ip netns add foreign")
    laws.run("container", {**CONTAINER, "namespaces": {"net": "foreign"}})
    found = one(name="foreign")
    assert (found["containers"], found["ours"]) == (["case"], False)
    laws.remove("container", {"name": "case"})
    world.sh("ip netns delete foreign")


# --- bad luck and bad input ----------------------------------------------------


def test_processes_that_end_meanwhile() -> None:
    """Hundreds a second come and go while the module looks."""
    with running("sh", "-c", "echo ready; while :; do unshare --net true; done"):
        for _attempt in range(10):
            found = laws.run("namespace_info", {"holders": True, "processes": True})
            assert {each["namespace"] for each in found["namespaces"]} >= {link(1, kind) for kind in TYPES}


def told_to_a_user(options: dict[str, t.Any], before: str = "true") -> dict[str, t.Any]:
    """The result of the module for a user other than root.

    :param before: shell command that root runs before, in a mount namespace of its own.
    """
    code = f"import json; from support.invoke import invoke; print(json.dumps(invoke('namespace_info', {options!r})))"
    command = f'{before} && exec setpriv --reuid=1 --regid=1 --clear-groups "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, "sh", sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def test_processes_that_may_not_be_looked_at() -> None:
    """A user sees the namespaces that are his own, and is told that there is more."""
    with running("unshare", "--net", *READY):
        result = told_to_a_user({})
    assert {each["type"] for each in result["namespaces"]} == set(TYPES)
    assert len(result["namespaces"]) == len(TYPES)
    assert result["unreadable"] >= 3  # process 1, this one, and that of the network namespace


def test_hidden_processes() -> None:
    """With hidepid, a process of another user is not there at all."""
    result = told_to_a_user({}, "mount -t proc -o hidepid=2 proc /proc")
    assert result["unreadable"] == 0
    assert {each["process_count"] for each in result["namespaces"]} == {2}


def test_containers_are_for_root_to_see() -> None:
    laws.run("container", CONTAINER)
    assert "run the task as root" in told_to_a_user({"container": "case"})["msg"]
    assert all(each["containers"] == [] for each in told_to_a_user({})["namespaces"])
    laws.remove("container", {"name": "case"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"type": ["network"]}, ("type", "network")),
        ({"pid": 0}, ("pid: expected", "1 to 4194304")),
        ({"pid": "self"}, ("pid",)),
        ({"name": "a/b"}, ("name: expected",)),
        ({"name": "123"}, ("name: expected", "process id")),
        ({"path": "run/netns/web"}, ("path: expected an absolute path",)),
        ({"path": "/etc/passwd"}, ("path: expected the file of a namespace, got /etc/passwd",)),
        ({"path": "/etc"}, ("path: expected the file of a namespace, got /etc",)),
        ({"container": "a b"}, ("container: expected",)),
        ({"pid": 1, "name": "web"}, ("mutually exclusive",)),
        ({"colour": "red"}, ("colour",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("namespace_info", options, *words)


def test_name_whose_mount_is_lost() -> None:
    world.sh("ip netns add web; umount /run/netns/web")
    laws.refused("namespace_info", {"name": "web"}, "name: expected the file of a namespace, got /run/netns/web")
    world.sh("rm /run/netns/web")


def test_pipe_is_refused_and_not_waited_for() -> None:
    world.sh("mkfifo /run/pipe")
    for module, options in (("namespace_info", {}), ("netns", {"name": "case"})):
        result = invoke(module, {**options, "path": "/run/pipe"})
        assert result.failed
        assert "path" in result["msg"]
    world.sh("rm /run/pipe")
