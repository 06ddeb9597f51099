# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container that gives way to another one of its name: it goes on, or comes back, unless the other one runs."""

from __future__ import annotations

import glob
import json
import os
import random
import shutil
import typing as t

import pytest
from support import kill, laws, world
from support.abilities import need
from support.invoke import invoke

BUNDLE = "/var/lib/nsfleet/containers/case"
COMPILED = "/var/lib/nsfleet/lib"  #: profiles of system calls, kept for the next start with one of them
JOURNAL = f"{BUNDLE}/container.journal"
SHARED = "/srv/case"  #: a directory that the container and the test have in common
MOUNT = {"destination": "/mnt", "source": SHARED}
OTHER = "/srv/other"  #: the host's root once more
#: When it is told to end, it takes what others need with it.
LOOP = "trap 'rm -f /mnt/new; exit 0' TERM; sleep 31536000 & wait"
BASE: dict[str, t.Any] = {
    "name": "case", "rootfs": "/", "overlay": "disk", "command": ["/bin/sh", "-c", LOOP], "mounts": [MOUNT],
    "stop_timeout": 5,
}  # fmt: skip
#: The same lot on every run (as in test_interruptions).
SEED, DRAWN = int(os.environ.get("NSFLEET_SEED", "1")), int(os.environ.get("NSFLEET_DRAWN") or 4)


@pytest.fixture(autouse=True)
def places(clean_host: None) -> t.Iterator[None]:
    """Directories of the host, and programs in them that cannot be executed."""
    del clean_host
    os.makedirs(SHARED)
    os.makedirs(OTHER)
    world.sh(f"mount --bind / {OTHER}")
    for name, text, mode in (
        ("no-interpreter", "#!/no/such\n", 0o755), ("no-program", "\0" * 64, 0o755), ("of-root", "#!/bin/sh\n", 0o700),
        ("foreign.json", profile(architectures=["SCMP_ARCH_SHEB", "SCMP_ARCH_M68K"]), 0o600),
        ("refuses.json", profile(syscalls=[{"names": ["execve"], "action": "SCMP_ACT_ERRNO"}]), 0o600),
        ("kills.json", profile(syscalls=[{"names": ["execve"], "action": "SCMP_ACT_KILL_PROCESS"}]), 0o600),
    ):  # fmt: skip
        with open(f"{SHARED}/{name}", "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(f"{SHARED}/{name}", mode)
    yield
    world.sh(f"umount {OTHER}")
    os.rmdir(OTHER)
    shutil.rmtree(SHARED)


def profile(**more: t.Any) -> str:
    """A profile of system calls that lets everything be done but what is said."""
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", **more})


def pids() -> list[int]:
    """First processes of containers, as ``pgrep`` finds them by their command line.

    A child of theirs has the same one until it executes its own program.
    """
    found = (int(word) for word in world.sh("pgrep -f '^/bin/sh -c trap' || true").split())
    return [pid for pid in found if _is_first(pid)]


def _is_first(pid: int) -> bool:
    """Whether it is process 1 of its namespace (proc_pid_status(5), NSpid), and still there."""
    status = world.sh(f"cat /proc/{pid}/status || true")
    return any(line.split()[0] == "NSpid:" and line.split()[-1] == "1" for line in status.splitlines())


def identity() -> tuple[int, str, list[str]]:
    """What is another with every start: pid, time of the start, namespaces."""
    (pid,) = pids()
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
    return pid, world.sh(f"ps -o lstart= -p {pid}"), [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in kinds]


def inside(command: str) -> str:
    """Output of a shell command that joins the namespaces of the container and its root."""
    (pid,) = pids()
    return world.sh(f"nsenter --target {pid} --all --root --wd=/ -- sh -c '{command}'").strip()


def run_old() -> tuple[int, str, list[str]]:
    """The container of before, which has written something."""
    laws.run("container", BASE)
    inside("echo kept >/kept")
    return identity()


def remove() -> None:
    """Remove it; nothing of it is left (see ``clean_host``)."""
    laws.run("container", {"name": "case", "state": "absent"})


def exit_code() -> int | None:
    """How the container ended, as the module container_info says."""
    (found,) = invoke("container_info", {"name": "case"})["containers"]
    return t.cast("int | None", found["exit_code"])


def drafts() -> str:
    """Groups of containers that are tried out."""
    return world.sh("find /sys/fs/cgroup -name '*~*'")


# --- refused while the old one runs ---------------------------------------------------------


#: Needs something that is not there, or that the kernel refuses; and what the message says.
CAUSES: dict[str, tuple[dict[str, t.Any], str]] = {
    "command": ({"command": ["no-such-program"]}, "there is no program 'no-such-program'"),
    "right to execute": ({"command": ["/mnt/of-root"], "user": "nobody"}, "the user may not execute '/mnt/of-root'"),
    "interpreter": ({"command": ["/mnt/no-interpreter"]}, "'/mnt/no-interpreter' cannot be executed: No such file"),
    "format": ({"command": ["/mnt/no-program"]}, "'/mnt/no-program' cannot be executed: Exec format error"),
    "cwd": ({"cwd": "/no/such"}, "cwd: No such file"),
    "user": ({"user": "mallory"}, "no user 'mallory'"),
    "groups": ({"groups": ["mallory"]}, "no group 'mallory'"),
    "file system": ({"mounts": [MOUNT, {"destination": "/x", "type": "nofs", "source": "x"}]}, "mounts: [/x]"),
    "place of a mount": ({"mounts": [MOUNT, {**MOUNT, "destination": "/etc/passwd"}]}, "mounts: [/etc/passwd]"),
    "profile for other machines": ({"seccomp": "/srv/case/foreign.json"}, "linux.seccomp.architectures"),
    "profile that refuses": ({"seccomp": "/srv/case/refuses.json"}, "cannot be executed: Operation not permitted"),
    "profile that kills": ({"seccomp": "/srv/case/kills.json"}, "something killed the process"),
    "namespace": ({"namespaces": {"ipc": "/etc/passwd"}}, "namespaces.ipc"),
    "time": ({"namespaces": {"time": "private"}, "time_offsets": {"boottime": -1e9}}, "namespaces.time"),
    "sysctls": ({"sysctls": {"net.ipv4.ip_forward": "many"}, "cwd": "/tmp"}, "ip_forward] Invalid argument"),
    "rlimits": ({"rlimits": {"nofile": 1 << 40}, "cwd": "/tmp"}, "not permitted"),
    "memory": ({"memory_max": 4096, "cgroup_parent": "shop"}, "died"),
    "device": ({"device_nodes": [{"path": "/etc/passwd", "major": 1, "minor": 3}]}, "/etc/passwd"),
    "other root": ({"rootfs": "/srv/case", "command": ["sh"], "mounts": []}, "there is no program 'sh'"),
    "restarted": ({"cwd": "/gone", "state": "restarted"}, "cwd: No such file"),
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
def test_refused_before_the_old_one_is_stopped(cause: str) -> None:
    options, words = CAUSES[cause]
    before, host = run_old(), world.snapshot()
    failed = invoke("container", {**BASE, **options})
    assert failed.failed
    assert words in failed["msg"]
    assert "was not stopped" in failed["msg"]
    assert identity() == before
    changed = world.difference(host, world.snapshot())
    assert [line for line in changed if COMPILED not in line] == []
    laws.settled("container", BASE)
    remove()


def test_what_is_started_again_is_tried_out_too() -> None:
    """The description is the same, but what it needs is not there any more."""
    laws.run("container", {**BASE, "cwd": "/mnt"})
    before = identity()
    os.rename(SHARED, f"{SHARED}.away")
    os.symlink("/etc/passwd", SHARED)
    failed = invoke("container", {"name": "case", "state": "restarted"})
    os.unlink(SHARED)
    os.rename(f"{SHARED}.away", SHARED)
    assert failed.failed
    assert "was not stopped" in failed["msg"]
    assert identity() == before
    remove()


def test_what_only_the_container_s_own_layer_has() -> None:
    """It is seen when the new container is tried out, and not written to."""
    run_old()
    inside("cp /bin/sleep /usr/local/bin/own")
    laws.four_steps("container", {**BASE, "command": ["own", "31536000"]})
    assert world.sh("pgrep -xc -f 'own 31536000'").split() == ["1"]
    remove()


@pytest.fixture
def one_disk() -> t.Iterator[str]:
    """A root with the host's programs on a file system that keeps the bundles, too, as the host's root often does."""
    root, kept = "/srv/one", "/var/lib/nsfleet"
    made = not os.path.exists(kept)
    world.sh(f"mkdir -p {root} {kept} && mount -t tmpfs -o mode=755 one {root}")
    world.sh(f"cd {root} && mkdir usr kept && ln -s usr/bin usr/sbin usr/lib usr/lib64 .")
    world.sh(f"install -m 755 /dev/stdin {root}/program <<'END'\n#!/bin/sh\nexec sleep 31536000\nEND")
    world.sh(f"mount --bind {root}/kept {kept}")
    yield root
    world.sh(f"umount {kept} && umount {root} && rmdir {root}")
    if made:
        os.rmdir(kept)


def test_its_own_layer_is_somewhere_in_its_root(one_disk: str) -> None:
    """What it wrote is seen, and what it removed is not."""
    options = {**BASE, "rootfs": one_disk, "mounts": [MOUNT, {"destination": "/usr", "source": "/usr"}]}
    laws.run("container", options)
    inside("mkdir /own; rm /program")
    refused = invoke("container", {**options, "command": ["/program"]})
    assert "was not stopped: command: there is no program '/program'" in refused["msg"]
    laws.four_steps("container", {**options, "cwd": "/own"})
    remove()


def test_only_what_runs_is_tried_out() -> None:
    """A container that does not run is changed without a look at what only a start can tell."""
    laws.run("container", {**BASE, "state": "stopped"})
    laws.four_steps("container", {**BASE, "state": "stopped", "cwd": "/no/such"})
    laws.run("container", {"name": "case", "state": "absent"})
    run_old()
    laws.four_steps("container", {**BASE, "state": "stopped", "cwd": "/no/such"})
    assert pids() == []
    remove()


def test_present_leaves_it_running() -> None:
    before = run_old()
    laws.four_steps("container", {**BASE, "state": "present", "cwd": "/tmp"})
    assert identity()[0] != before[0]
    assert inside("cat /kept") == "kept"
    remove()


def test_nobody_else_is_disturbed() -> None:
    """Parameters of a namespace that the old container is in, too, are not set before it is stopped."""
    world.sh("ip netns add case")
    joined = {**BASE, "namespaces": {"net": "case"}}
    laws.run("container", joined)
    refused = {**joined, "sysctls": {"net.ipv4.ip_forward": 1}, "cwd": "/no/such"}
    assert "was not stopped" in invoke("container", refused)["msg"]
    assert world.sh("ip netns exec case cat /proc/sys/net/ipv4/ip_forward").strip() == "0"
    laws.four_steps("container", {**refused, "cwd": "/"})
    assert world.sh("ip netns exec case cat /proc/sys/net/ipv4/ip_forward").strip() == "1"
    remove()
    world.sh("ip netns delete case")


# --- it fails after the old one was stopped -------------------------------------------------


def new_program() -> dict[str, t.Any]:
    """A command that is there until the old container is stopped."""
    shutil.copy("/bin/sleep", f"{SHARED}/new")
    return {"command": ["/mnt/new", "31536000"]}


@pytest.mark.parametrize("change", [{}, {"rootfs": OTHER}], ids=["restart", "recreate"])
def test_old_one_comes_back(change: dict[str, t.Any]) -> None:
    before = run_old()
    failed = invoke("container", {**BASE, **change, **new_program()})
    assert failed.failed
    assert "there is no program '/mnt/new'" in failed["msg"]
    assert "the container that was stopped for it is started again. Everything was put back" in failed["msg"]
    assert identity()[0] != before[0]
    assert inside("cat /kept") == "kept"
    assert len(glob.glob(f"{BUNDLE}/upper*")) == 1
    laws.settled("container", BASE)
    remove()


def test_what_was_not_asked_for_before_is_not_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that a container has or has not: of those that it has not, going back leaves nothing, either."""
    other = {**BASE, "scheduler": {"policy": "batch", "nice": 3}, "io_priority": {"class": "idle"}}

    def scheduled() -> tuple[str, str]:
        """As other programs see it."""
        (pid,) = pids()
        return world.sh(f"chrt -p {pid} | sed s/{pid}//"), world.sh(f"ionice -p {pid}")

    shown = []
    for old, new in ((BASE, other), (other, BASE)):
        laws.run("container", old)
        shown.append(scheduled())
        with monkeypatch.context() as patch:
            laws.failing(patch)
            assert "Everything was put back as it was" in invoke("container", new)["msg"]
        assert scheduled() == shown[-1]
        laws.settled("container", old)
    assert shown[0] != shown[1]
    remove()


def test_it_ends_at_once() -> None:
    """Its program was executed, so it was started; what came of it is in the result."""
    run_old()
    done = laws.run("container", {**BASE, "command": ["/bin/sh", "-c", "exit 3"]})
    assert done.changed
    world.until(lambda: exit_code() == 3)
    remove()


# --- recreated -------------------------------------------------------------------------------


def test_layer_goes_once_the_new_one_runs() -> None:
    run_old()
    for root in (OTHER, "/", OTHER):
        laws.four_steps("container", {**BASE, "rootfs": root})
        assert inside("cat /kept 2>/dev/null || echo none") == "none"
        inside("echo kept >/kept")
        (upper,) = glob.glob(f"{BUNDLE}/upper*")
        assert os.listdir(upper)
        assert os.path.exists(f"{upper}/kept")
        laws.four_steps("container", {**BASE, "rootfs": root, "cwd": "/tmp"})
        assert inside("cat /kept") == "kept"
    laws.four_steps("container", {**BASE, "overlay": "tmpfs"})
    assert glob.glob(f"{BUNDLE}/upper*") == []
    remove()


def test_check_mode_says_what_will_be_done() -> None:
    before, host = run_old(), world.snapshot()
    for change, effect in (({"cwd": "/tmp"}, "restart"), ({"rootfs": OTHER}, "recreate"), ({"labels": {}}, None)):
        told = invoke("container", {**BASE, **change}, check=True)
        assert [step["effect"] for step in told["plan"]] == ([effect] if effect else [])
        assert told.changed is bool(effect)
        if effect:
            ((option, value),) = change.items()
            assert told["diff"]["after"] == {option: value}
    assert identity() == before
    assert world.difference(host, world.snapshot()) == []
    remove()


# --- the task is killed ----------------------------------------------------------------------


def drawn(options: dict[str, t.Any]) -> list[int]:
    """Numbers of system calls of a change before which it is to be killed."""
    run_old()
    whole = kill.run_and_kill("container", options, 10**6)
    assert not whole.killed
    remove()
    count = len(whole.calls)
    assert count > 5, f"the supervisor saw no system calls: {whole.calls}"
    if os.environ.get("NSFLEET_KILLS") == "all":
        return list(range(1, count + 1))
    return sorted(random.Random(f"{SEED} {options['rootfs']}").sample(range(1, count + 1), DRAWN))


def has_new_root() -> bool:
    """Whether the container's description is the new one already."""
    with open(f"{BUNDLE}/config.json", encoding="utf-8") as file:
        return str(json.load(file)["root"]["path"]) == OTHER


def undecided() -> bool:
    """Whether the killed run says on disk that it was at work and has not come to its end."""
    try:
        with open(JOURNAL, encoding="utf-8") as file:
            return bool(json.load(file))
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("rootfs", ["/", OTHER], ids=["restart", "recreate"])
@pytest.mark.parametrize("next_", ["the old task", "the same task"])
def test_killed(rootfs: str, next_: str) -> None:
    """The next task finds either the container of before with all that it wrote, or the new one."""
    need("system calls of x86_64")
    options = {**BASE, "rootfs": rootfs, "cwd": "/tmp"}
    for number in drawn(options):
        run_old()
        outcome = kill.run_and_kill("container", options, number)
        done_before = has_new_root() and not undecided()
        task = BASE if next_ == "the old task" else options
        done = laws.run("container", task)
        what = f"seed {SEED}, killed before {number} ({outcome.calls[-1:]}), then {next_}: {done['plan']}"
        assert os.readlink(f"/proc/{pids()[0]}/cwd") == task.get("cwd", "/"), what
        kept = rootfs == "/" or (task is BASE and not done_before)
        assert inside("cat /kept 2>/dev/null || echo none") == ("kept" if kept else "none"), what
        assert len(glob.glob(f"{BUNDLE}/upper*")) == 1, what
        assert drafts() == "", what
        laws.settled("container", task)
        remove()
