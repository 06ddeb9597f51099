# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``nsrun`` as Podman and containerd drive it."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import stat
import subprocess
import tempfile
import typing as t

import pytest
from support import world
from support.abilities import need
from support.bundle import Bundle, Runtime
from support.engines import CACHES, IMAGE, KEPT, Containerd, Podman, layer

#: A payload that ends by itself when it is asked to.
POLITE = ("sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")


@pytest.fixture
def listed(program: str) -> t.Callable[[], str]:
    """What the runtime itself says that there is, in the place where Podman leaves it."""
    return lambda: Runtime(program)("list", "--quiet")


@pytest.fixture(scope="session", autouse=True)
def caches_were_here() -> None:
    """Engines make directories when they are first used, and leave them."""
    world.sh(f"mkdir -p {' '.join(CACHES)}")


@contextlib.contextmanager
def engine_of(program: str, listed: t.Callable[[], str], *words: str) -> t.Iterator[Podman]:
    """Podman, which leaves nothing.

    :param words: driver and who makes groups.
    """
    need("podman")
    with tempfile.TemporaryDirectory(prefix="podman-", dir="/tmp") as directory:
        engine = Podman(pathlib.Path(directory), program, *words)
        yield engine
        engine.end()
    assert listed() == ""


@pytest.fixture
def podman(request: pytest.FixtureRequest, program: str, listed: t.Callable[[], str]) -> t.Iterator[Podman]:
    """Podman as it is on hosts of any kind."""
    with engine_of(program, listed, getattr(request, "param", "vfs")) as engine:
        yield engine


@pytest.fixture
def podman_of_systemd(program: str, listed: t.Callable[[], str]) -> t.Iterator[Podman]:
    """Podman as it is by default where systemd is the init process, which makes slices and scopes for it."""
    need("systemd as init")
    with engine_of(program, listed, "vfs", "systemd") as engine:
        yield engine
    world.sh("systemctl stop machine.slice")


def kept() -> list[str]:
    """Containers of the runtime in the place where containerd has it leave them."""
    return [each.name for each in pathlib.Path(KEPT).glob("*")]


@pytest.fixture
def containerd(program: str, tmp_path: pathlib.Path) -> t.Iterator[Containerd]:
    """A containerd, which leaves nothing."""
    need("containerd")
    engine = Containerd(tmp_path / "containerd", program)
    try:
        engine.begin()
        yield engine
    finally:
        engine.end()
    assert kept() == []


def read(path: str) -> str:
    """The text of a kernel file, without the end of its line."""
    return pathlib.Path(path).read_text().strip()


def limits(pid: int) -> list[str]:
    """Limits of memory and of processes, as the control groups have them."""
    return [
        read(world.limit_file(pid, "memory", "memory.limit_in_bytes", "memory.max")),
        read(world.limit_file(pid, "pids", "pids.max", "pids.max")),
    ]


def frozen(pid: int) -> bool:
    """Whether the group of a process stands still: in version 2, or in the hierarchy of version 1 for it."""
    group = read(f"/proc/{pid}/cgroup").splitlines()[-1].split(":")[2]
    found = f"find /sys/fs/cgroup -path '*{group}/freezer.state' -o -path '*{group}/cgroup.freeze'"
    return not {"FROZEN", "1"}.isdisjoint(world.sh(f"cat $({found})").split())


def namespace(pid: int | str, kind: str) -> str:
    """Which namespace a process is in."""
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def status(pid: int) -> dict[str, str]:
    """What ``/proc`` tells of a process."""
    return dict(line.split(":\t") for line in read(f"/proc/{pid}/status").splitlines())


def links(pid: int) -> list[str]:
    """Names of the network links that a process sees."""
    return [each["ifname"] for each in world.ask(f"nsenter --net=/proc/{pid}/ns/net ip -j link")]


# --- Podman ----------------------------------------------------------------------------


def run(podman: Podman, bundle: Bundle, *words: str, options: t.Sequence[str] = ()) -> str:
    """Run a container of the name ``case`` in the background.

    :returns: its id.
    """
    given = (*Podman.OPTIONS, *options, "--rootfs", str(bundle.root))
    return podman("run", "--detach", "--name", "case", *given, *words).strip()


@pytest.mark.parametrize("podman", ["vfs", "overlay"], indirect=True)
def test_podman_runs_an_image(podman: Podman, tmp_path: pathlib.Path) -> None:
    (tmp_path / "layer.tar").write_bytes(layer())
    podman("import", str(tmp_path / "layer.tar"), IMAGE)
    command = "echo out; echo err >&2; echo kept > /data/mark; id -u; exit 7"
    done = podman.call("run", "--name", "case", *Podman.OPTIONS, IMAGE, "sh", "-c", command)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n0\n", "err\n")
    (told,) = json.loads(podman("ps", "--all", "--format", "json"))
    assert (told["Exited"], told["ExitCode"]) == (True, 7)
    logged = podman.call("logs", "case")
    assert (logged.stdout, logged.stderr) == ("out\n0\n", "err\n")
    assert "A /data/mark" in podman("diff", "case").splitlines()
    podman("rm", "case")


def test_podman_sees_the_life_of_a_container(podman: Podman, bundle: Bundle, listed: t.Callable[[], str]) -> None:
    name = run(podman, bundle, *POLITE)
    pid = podman.pid("case")
    assert listed() == f"{name}\n"
    assert json.loads(podman("ps", "--format", "json"))[0]["State"] == "running"
    assert namespace(pid, "net") != namespace("self", "net")
    assert links(pid) == ["lo"]
    assert "sh" in podman("top", "case", "comm")
    world.until(lambda: podman("logs", "case") == "ready\n")
    podman("stop", "--time", "60", "case")
    assert not os.path.exists(f"/proc/{pid}")
    state = podman.inspect("case")["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 5, 0)
    podman("start", "case")
    again = podman.pid("case")
    assert read(f"/proc/{again}/comm") == "sh"
    podman("restart", "--time", "0", "case")
    assert podman.pid("case") != again
    podman("rm", "--force", "--time", "0", "case")
    assert listed() == ""
    assert world.sh(f"find /sys/fs/cgroup -name '*{name}*'; grep {name} /proc/self/mountinfo || true") == ""


def test_podman_kills_what_does_not_stop(podman: Podman, bundle: Bundle) -> None:
    run(podman, bundle, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    pid = podman.pid("case")
    world.until(lambda: podman("logs", "case") == "ready\n")
    podman("stop", "--time", "1", "case")
    assert podman("wait", "case") == "137\n"
    assert not os.path.exists(f"/proc/{pid}")


def test_podman_limits(podman: Podman, bundle: Bundle) -> None:
    run(podman, bundle, "sleep", "1000", options=["--memory", "64m", "--pids-limit", "50", "--cpus", "0.5"])
    pid = podman.pid("case")
    assert limits(pid) == [str(64 << 20), "50"]
    assert read(world.limit_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max")).split()[0] == "50000"
    (told,) = json.loads(podman("stats", "--no-stream", "--format", "json", "case"))
    assert told["mem_usage"].endswith("/ 67.11MB")
    assert told["pids"] == "1"
    assert podman.call("run", "--rm", *Podman.OPTIONS, "--memory", "16m", "--rootfs", str(bundle.root),
                       "sh", "-c", "head -c 64m /dev/zero | tail -c 64m; exit $?").returncode == 137  # fmt: skip


@pytest.mark.parametrize("kind", ["private", "host"])
def test_podman_shows_a_container_its_own_groups(podman: Podman, bundle: Bundle, kind: str) -> None:
    run(podman, bundle, "sleep", "1000", options=["--memory", "64m", "--cgroupns", kind])
    pid = podman.pid("case")
    assert (namespace(pid, "cgroup") == namespace("self", "cgroup")) is (kind == "host")
    inside = "find /sys/fs/cgroup -name memory.limit_in_bytes -o -name memory.max"
    assert podman("exec", "case", "sh", "-c", f"cat $({inside})") == f"{64 << 20}\n"
    assert podman("exec", "case", "sh", "-c", "find /sys/fs/cgroup -name '*libpod*'") == ""


def test_podman_maps_users(podman: Podman, bundle: Bundle) -> None:
    world.sh(f"chown -R 100000:100000 {bundle.root}")
    run(podman, bundle, "sleep", "1000", options=["--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000"])
    pid = podman.pid("case")
    assert read(f"/proc/{pid}/uid_map").split() == ["0", "100000", "1000"]
    assert status(pid)["Uid"].split() == ["100000"] * 4
    assert podman("exec", "--user", "7", "case", "id", "-u") == "7\n"


def test_podman_gives_devices(podman: Podman, bundle: Bundle) -> None:
    run(podman, bundle, "sleep", "1000", options=["--device", "/dev/zero:/dev/nought:r", "--oom-score-adj", "100"])
    pid = podman.pid("case")
    device = os.stat(f"/proc/{pid}/root/dev/nought")
    assert (stat.S_ISCHR(device.st_mode), device.st_rdev) == (True, os.stat("/dev/zero").st_rdev)
    assert read(f"/proc/{pid}/oom_score_adj") == "100"
    assert (
        podman("exec", "case", "sh", "-c", "mknod /tmp/disk b 7 0 && head -c 1 /tmp/disk || echo refused")
        == "refused\n"
    )
    everything = podman("run", "--rm", "--privileged", *Podman.OPTIONS, "--rootfs", str(bundle.root),
                        "grep", "CapEff", "/proc/self/status")  # fmt: skip
    assert everything.split()[1] == status(os.getpid())["CapEff"]


def test_podman_pauses(podman: Podman, bundle: Bundle) -> None:
    run(podman, bundle, "sleep", "1000")
    pid = podman.pid("case")
    podman("pause", "case")
    assert frozen(pid)
    assert podman.inspect("case")["State"]["Status"] == "paused"
    podman("unpause", "case")
    assert not frozen(pid)
    assert podman.inspect("case")["State"]["Status"] == "running"


def test_podman_executes_in_a_container(podman: Podman, bundle: Bundle) -> None:
    (bundle.root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nann:x:1001:1002::/:/bin/sh\n")
    run(podman, bundle, "sleep", "1000")
    pid = podman.pid("case")
    as_whom = ("--user", "ann", "--workdir", "/tmp", "--env", "COLOUR=red")
    told = podman("exec", *as_whom, "case", "sh", "-c", "id -u; id -g; pwd; echo $COLOUR; readlink /proc/self/ns/net")
    assert told.splitlines() == ["1001", "1002", "/tmp", "red", namespace(pid, "net")]
    assert podman("exec", "--interactive", "case", "cat", stdin=None, input="piped\n") == "piped\n"
    assert podman("exec", "--tty", "case", "tty") == "/dev/pts/0\n"
    assert podman.call("exec", "case", "sh", "-c", "exit 3").returncode == 3
    podman("exec", "--detach", "case", "touch", "/tmp/detached")
    world.until((bundle.root / "tmp/detached").exists)


def test_podman_tells_a_command_that_is_not_there_from_one_that_cannot_be_executed(
    podman: Podman, bundle: Bundle
) -> None:
    start = ("run", "--rm", *Podman.OPTIONS, "--rootfs", str(bundle.root))
    run(podman, bundle, "sleep", "1000")
    for command, status in (("nowhere", 127), ("/no/where", 127), ("/etc", 126)):
        assert podman.call(*start, command).returncode == status
        assert podman.call("exec", "case", command).returncode == status


def test_podman_gives_a_terminal_and_standard_input(podman: Podman, bundle: Bundle) -> None:
    root = ("--rootfs", str(bundle.root))
    assert podman("run", "--rm", "--tty", *Podman.OPTIONS, *root, "tty") == "/dev/pts/0\n"
    assert (
        podman("run", "--rm", "--interactive", *Podman.OPTIONS, *root, "cat", stdin=None, input="piped\n") == "piped\n"
    )


def test_podman_shares_namespaces(podman: Podman, bundle: Bundle) -> None:
    run(podman, bundle, "sleep", "1000")
    look = ("--rootfs", str(bundle.root), "readlink", *(f"/proc/self/ns/{kind}" for kind in ("net", "ipc", "uts")))
    volume = Podman.OPTIONS[:2]
    of_another = podman("run", "--rm", *volume, "--network=container:case", "--ipc=container:case", *look).split()
    assert of_another[:2] == [namespace(podman.pid("case"), kind) for kind in ("net", "ipc")]
    of_host = podman("run", "--rm", *volume, "--network=host", "--ipc=host", "--uts=host", *look).split()
    assert of_host == [namespace("self", kind) for kind in ("net", "ipc", "uts")]


def test_podman_has_a_container_in_a_scope_of_systemd(podman_of_systemd: Podman, bundle: Bundle) -> None:
    """``--systemd-cgroup``: the scope, and below it the group that has the limits, for commands, too."""
    podman = podman_of_systemd
    name = run(podman, bundle, *POLITE, options=["--memory", "64m", "--pids-limit", "50"])
    pid, scope = podman.pid("case"), f"libpod-{name}.scope"
    group = read(f"/proc/{pid}/cgroup").splitlines()[-1].split(":")[2]
    assert group == f"/machine.slice/{scope}/container"
    shown = world.sh(f"systemctl show --property Slice,Delegate,ActiveState {scope}").splitlines()
    assert sorted(shown) == ["ActiveState=active", "Delegate=yes", "Slice=machine.slice"]
    world.sh("systemctl daemon-reload")
    assert limits(pid) == [str(64 << 20), "50"]
    podman("exec", "--detach", "case", "sleep", "1007")
    world.until(lambda: world.sh("pgrep -fx 'sleep 1007' || true"))
    command = int(world.sh("pgrep -fx 'sleep 1007'"))
    assert read(f"/proc/{command}/cgroup").splitlines()[-1].split(":")[2] == group
    podman("pause", "case")
    assert frozen(pid)
    podman("unpause", "case")
    assert podman.call("exec", "case", "sh", "-c", "exit 3").returncode == 3
    podman("stop", "--time", "60", "case")
    assert podman.inspect("case")["State"]["ExitCode"] == 5
    podman("rm", "case")
    world.until(lambda: world.sh(f"systemctl show --property ActiveState {scope}") == "ActiveState=inactive\n")
    assert world.sh(f"find /sys/fs/cgroup -name '{scope}'") == ""


def test_podman_checks_health(podman: Podman, bundle: Bundle) -> None:
    run(podman, bundle, "sleep", "1000", options=["--health-cmd", "test -e /tmp/well", "--health-interval", "disable"])
    assert podman.call("healthcheck", "run", "case").returncode == 1
    (bundle.root / "tmp/well").touch()
    assert podman("healthcheck", "run", "case") == ""
    assert "(healthy)" in podman("ps", "--format", "{{.Status}}")


def test_podman_restricts(podman: Podman, bundle: Bundle) -> None:
    options = ["--read-only", "--tmpfs", "/data:size=4m,mode=700", "--hostname", "inside", "--cap-drop", "all",
               "--cap-add", "net_raw", "--security-opt", "no-new-privileges",
               "--sysctl", "net.ipv4.ip_forward=1"]  # fmt: skip
    run(podman, bundle, "sleep", "1000", options=options)
    pid = podman.pid("case")
    lines = status(pid)
    assert (int(lines["CapBnd"], 16), lines["NoNewPrivs"], lines["Seccomp"]) == (1 << 13, "1", "2")
    mounts = {line.split()[4]: line.split() for line in read(f"/proc/{pid}/mountinfo").splitlines()}
    assert "ro" in mounts["/"][5].split(",")
    assert "size=4096k" in mounts["/data"][-1].split(",")
    assert world.sh(f"nsenter --uts=/proc/{pid}/ns/uts hostname") == "inside\n"
    assert world.sh(f"nsenter --net=/proc/{pid}/ns/net cat /proc/sys/net/ipv4/ip_forward") == "1\n"


# --- containerd ------------------------------------------------------------------------


def test_containerd_runs_an_image(containerd: Containerd) -> None:
    command = ("sh", "-c", "echo out; echo err >&2; exit 7")
    done = containerd.call("run", "--rm", *containerd.options, IMAGE, "case", *command)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert containerd("containers", "ls", "--quiet") == ""
    assert kept() == []


def detach(containerd: Containerd, *words: str, options: t.Sequence[str] = ()) -> int:
    """Run a container of the name ``case`` in the background.

    :returns: pid of its first process.
    """
    containerd.quietly("run", "--detach", *containerd.options, *options, IMAGE, "case", *words)
    pid, status = containerd.tasks()["case"]
    assert status == "RUNNING"
    assert containerd.runtime.state("case")["pid"] == pid, "another runtime has made it"
    return pid


def test_containerd_sees_the_life_of_a_container(containerd: Containerd) -> None:
    pid = detach(containerd, *POLITE)
    assert kept() == ["case"]
    assert links(pid) == ["lo"]
    assert str(pid) in containerd("tasks", "ps", "case")
    world.until(lambda: int(status(pid)["SigCgt"], 16))  # it has set its trap
    containerd("tasks", "kill", "case")
    world.until(lambda: containerd.tasks()["case"][1] == "STOPPED")
    assert not os.path.exists(f"/proc/{pid}")
    assert "exit code 5" in containerd.call("tasks", "rm", "case").stderr
    containerd.quietly("tasks", "start", "--detach", "case")
    assert containerd.tasks()["case"][0] != pid
    containerd("tasks", "kill", "--signal", "SIGKILL", "--all", "case")
    world.until(lambda: containerd.tasks()["case"][1] == "STOPPED")
    containerd.call("tasks", "rm", "case")
    containerd("containers", "rm", "case")
    assert kept() == []
    assert world.sh("find /sys/fs/cgroup -path '*default/case*'; grep /case/ /proc/self/mountinfo || true") == ""


def test_containerd_limits(containerd: Containerd) -> None:
    pid = detach(containerd, "sleep", "1000", options=["--memory-limit", str(64 << 20), "--cpus", "0.5"])
    assert limits(pid)[0] == str(64 << 20)
    assert read(world.limit_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max")).split()[0] == "50000"
    told = dict(
        line.split()[:2] for line in containerd("tasks", "metrics", "case").splitlines() if len(line.split()) == 2
    )
    assert told.get("pids.current") == "1"


def test_containerd_pauses(containerd: Containerd) -> None:
    pid = detach(containerd, "sleep", "1000")
    containerd("tasks", "pause", "case")
    assert frozen(pid)
    assert containerd.tasks()["case"][1] == "PAUSED"
    containerd("tasks", "resume", "case")
    assert not frozen(pid)
    assert containerd.tasks()["case"][1] == "RUNNING"


def test_containerd_executes_in_a_container(containerd: Containerd) -> None:
    pid = detach(containerd, "sleep", "1000")
    execute = ("tasks", "exec", "--exec-id", "further")
    command = ("sh", "-c", "id -u; pwd; readlink /proc/self/ns/net; exit 3")
    done = containerd.call(*execute, "--user", "1001", "--cwd", "/tmp", "case", *command)
    assert (done.returncode, done.stdout.splitlines()) == (3, ["1001", "/tmp", namespace(pid, "net")])
    assert containerd(*execute, "case", "cat", stdin=None, input="piped\n") == "piped\n"
    assert "no such file or directory" in containerd.refuses(*execute, "case", "nowhere").lower()


def test_containerd_gives_a_terminal(containerd: Containerd, tmp_path: pathlib.Path) -> None:
    words = " ".join([*containerd.program, "run", "--rm", "--tty", *containerd.options, IMAGE, "case", "tty"])
    told = world.sh(f"script --quiet --return --command '{words}' {tmp_path}/typescript < /dev/null")
    assert "/dev/pts/0" in told


def test_containerd_is_told_why_a_container_cannot_start(containerd: Containerd) -> None:
    said = containerd.refuses("run", "--rm", *containerd.options, IMAGE, "case", "nowhere")
    assert "there is no program 'nowhere'" in said
    assert kept() == []


def test_containerd_maps_users(containerd: Containerd) -> None:
    maps = ["--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000"]
    pid = detach(containerd, "sleep", "1000", options=maps)
    assert read(f"/proc/{pid}/uid_map").split() == ["0", "100000", "1000"]
    assert status(pid)["Uid"].split() == ["100000"] * 4


def test_containerd_restricts_and_gives_rights(containerd: Containerd) -> None:
    options = ["--seccomp", "--read-only", "--cap-drop", "CAP_CHOWN", "--device", "/dev/net/tun", "--net-host"]
    pid = detach(containerd, "sleep", "1000", options=options)
    lines = status(pid)
    assert (int(lines["CapBnd"], 16) & 1, lines["NoNewPrivs"], lines["Seccomp"]) == (0, "1", "2")
    assert os.stat(f"/proc/{pid}/root/dev/net/tun").st_rdev == os.stat("/dev/net/tun").st_rdev
    assert namespace(pid, "net") == namespace("self", "net")
    assert containerd.call("tasks", "exec", "--exec-id", "further", "case", "touch", "/x").returncode == 1
    command = ("grep", "CapEff", "/proc/self/status")
    everything = containerd("run", "--rm", "--privileged", *containerd.options, IMAGE, "other", *command)
    assert everything.split()[1] == status(os.getpid())["CapEff"]


def test_containerd_removes_what_is_paused_and_all_that_was_executed(containerd: Containerd) -> None:
    pid = detach(containerd, "sleep", "1000")
    containerd.quietly("tasks", "exec", "--exec-id", "further", "--detach", "case", "sleep", "1001")
    others = [int(each) for each in world.sh(f"pgrep --ns {pid} --nslist pid sleep").split() if int(each) != pid]
    assert len(others) == 1
    containerd("tasks", "pause", "case")
    containerd("tasks", "rm", "--force", "case")
    assert not any(os.path.exists(f"/proc/{each}") for each in (pid, *others))


def test_containerd_is_told_that_memory_ran_out(containerd: Containerd, tmp_path: pathlib.Path) -> None:
    with (tmp_path / "events").open("wb") as file:
        listening = subprocess.Popen([*containerd.program, "events"], stdout=file)
    try:
        # It is known to listen as soon as it tells of something.
        world.until(lambda: containerd("namespaces", "label", "default", "a=b") or (tmp_path / "events").stat().st_size)
        command = ("sh", "-c", "head -c 64m /dev/zero | tail -c 64m; exit $?")
        limit = ("--memory-limit", str(16 << 20))
        done = containerd.call("run", "--rm", *containerd.options, *limit, IMAGE, "case", *command)
        assert done.returncode == 137
        world.until(lambda: '/tasks/oom {"container_id":"case"}' in (tmp_path / "events").read_text())
    finally:
        listening.terminate()
        listening.wait(60)
