# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of ``nsrun``, as Podman and containerd call them (runtime-spec, runtime.md; runc(8))."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing as t

import pytest
from support import groups, kill, world
from support.abilities import need
from support.bundle import Bundle, Runtime

#: What is needed to call systemctl(1), where systemd gives out the groups.
FOR_SYSTEMD = frozenset({"enum", "re", "shutil", "signal", "subprocess"})
#: Modules each of which takes as long to import as a good part of a start.
DEAR = frozenset({"typing", "json", "re", "enum", "signal", "socket", "hashlib", "subprocess", "shutil", "argparse"})


def line(pid: int, name: str) -> str:
    """A line of ``/proc/PID/status``."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(each.split(":", 1)[1].strip() for each in lines if each.startswith(f"{name}:"))


# --- a life -----------------------------------------------------------------------


def test_a_life(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.spec["annotations"] = {"colour": "red"}
    pid = nsrun.create("case", bundle.write("sh", "-c", "echo begun > /data/mark; exec sleep 1000"))
    assert nsrun.state("case") == {
        "ociVersion": "1.2.0", "id": "case", "pid": pid, "status": "created", "bundle": str(bundle.directory),
        "rootfs": str(bundle.root), "created": nsrun.state("case")["created"], "annotations": {"colour": "red"},
        "owner": "",
    }  # fmt: skip
    assert not (bundle.root / "data/mark").exists(), "the payload ran before it was started"
    nsrun("start", "case")
    assert nsrun.status("case") == "running"
    assert "it is running, not created" in nsrun.refuses("start", "case")
    assert "it is running, not stopped" in nsrun.refuses("delete", "case")
    nsrun.until("case", "running")
    world.sh(f"for i in $(seq 100); do grep -q sleep /proc/{pid}/cmdline && exit 0; sleep 0.05; done; exit 1")
    assert (bundle.root / "data/mark").read_text() == "begun\n"
    nsrun("kill", "case", "KILL")
    nsrun.until("case", "stopped")
    assert nsrun.state("case")["pid"] == 0
    assert "it is stopped, not running" in nsrun.refuses("kill", "case", "TERM")
    nsrun("delete", "case")
    assert "does not exist" in nsrun.refuses("state", "case")
    assert "does not exist" in nsrun.refuses("delete", "case")
    nsrun("delete", "--force", "case")


def test_the_commands_of_a_life_import_nothing_dear(nsrun: Runtime, bundle: Bundle) -> None:
    """``-X importtime`` tells what is imported."""
    python = Runtime(sys.executable, "-IS", "-X", "importtime", *nsrun.program)
    place = str(bundle.write("sleep", "1000"))
    commands = [["run", "-d", "-b", place, "case"], ["kill", "case", "KILL"], ["delete", "--force", "case"]]
    for words in commands:
        with tempfile.TemporaryFile("w+") as told:
            status = subprocess.call([*python.program, *words], stdin=subprocess.DEVNULL, stdout=told, stderr=told)
            told.seek(0)
            names = {line.rpartition("|")[2].strip() for line in told if line.startswith("import time:")}
        assert status == 0, words
        assert "nsrun._runtime.command" in names
        assert names & DEAR <= (FOR_SYSTEMD if os.path.isdir("/run/systemd/system") else set()), words


@pytest.mark.parametrize("whose", ["container", "caller"])
def test_a_group_in_which_everything_was_killed_before(nsrun: Runtime, bundle: Bundle, whose: str) -> None:
    """Some kernels kill whoever is born into such a group, or out of it (seen with 6.18)."""
    need("control groups with cgroup.kill")
    folder = groups.folder("cgroup.kill", f"/{whose}")
    world.sh(f"mkdir {folder} && echo 1 > {folder}/cgroup.kill")
    bundle.spec["linux"]["cgroupsPath"] = "/container"
    enter = f"echo $$ > {folder}/cgroup.procs" if whose == "caller" else "true"
    words = [
        *nsrun.program,
        "run",
        "--detach",
        "--bundle",
        str(bundle.write()),
        "--pid-file",
        f"{bundle.directory}/pid",
    ]
    world.sh(f"{enter}; exec {' '.join(words)} case </dev/null >/dev/null 2>&1")
    pid = int((bundle.directory / "pid").read_text())
    places = groups.of_process(pid)
    assert {places[""], places["pids" if groups.place("pids").version == 1 else ""]} == {"/container"}
    nsrun("delete", "--force", "case")
    assert os.path.exists(folder) == (whose == "caller"), "the container's goes with it"
    if whose == "caller":
        os.rmdir(folder)


def test_what_changes_in_the_bundle_afterwards_changes_nothing(nsrun: Runtime, bundle: Bundle) -> None:
    nsrun.create("case", bundle.write("sleep", "1001"))
    bundle.write("false", cwd="/nowhere")
    nsrun("start", "case")
    assert "1001" in pathlib.Path(f"/proc/{nsrun.state('case')['pid']}/cmdline").read_text()


def test_an_id_is_taken_once_and_is_no_path(nsrun: Runtime, bundle: Bundle) -> None:
    nsrun.create("case", bundle.write())
    before = nsrun.state("case")
    assert "already exists" in nsrun.refuses("create", "-b", str(bundle.directory), "case")
    assert nsrun.state("case") == before
    for bad in ("", ".", "..", "../case", "a/b", "-x", "a b", "x" * 256, "a\n"):
        assert "invalid container id" in nsrun.refuses("create", "-b", str(bundle.directory), "--", bad), bad


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda spec: spec["process"].update(args=["/no/such"]), "there is no program '/no/such'"),
        (lambda spec: spec["process"].update(cwd="/no/such"), "cwd: No such file or directory"),
        (lambda spec: spec["root"].update(path="nowhere"), "nowhere"),
        (
            lambda spec: spec["mounts"].append({"destination": "/data", "type": "bind", "source": "/no/such"}),
            "/no/such",
        ),
        (lambda spec: spec["mounts"].append({"destination": "/data", "type": "nofs"}), "mounts: [/data]"),
        (lambda spec: spec["linux"]["namespaces"].append({"type": "user", "path": "/no/such"}), "/no/such"),
        (lambda spec: spec.update(future={"x": 1}), "not supported: future"),
        (lambda spec: spec["linux"].update(intelRdt={"closID": "x"}), "not supported: linux.intelRdt"),
        (lambda spec: spec["process"].update(apparmorProfile="none-such"), "AppArmor"),
        (lambda spec: spec["process"].update(selinuxLabel="u:r:t:s0"), "SELinux"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(
    nsrun: Runtime, bundle: Bundle, damage: t.Callable[[t.Any], object], words: str
) -> None:
    damage(bundle.spec)
    assert words in nsrun.refuses("create", "--bundle", str(bundle.write()), "case")
    assert nsrun("list", "-q") == ""


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '"x"', "null", "{}", '{"process": 1}', '{"process": {}, "root": {}}']
)
def test_what_is_no_description_is_an_error_for_people(nsrun: Runtime, bundle: Bundle, content: str) -> None:
    bundle.write()
    (bundle.directory / "config.json").write_text(content)
    assert "config.json" in nsrun.refuses("create", "--bundle", str(bundle.directory), "case")
    assert nsrun("list", "-q") == ""


def test_a_payload_that_cannot_be_executed_is_told_at_the_start(nsrun: Runtime, bundle: Bundle) -> None:
    (bundle.root / "data/text").write_text("no program\n")
    (bundle.root / "data/text").chmod(0o755)
    nsrun.create("case", bundle.write("/data/text"))
    assert "'/data/text' cannot be executed: Exec format error" in nsrun.refuses("start", "case")
    nsrun.until("case", "stopped")


# --- run and exec -------------------------------------------------------------------


def test_run_is_in_front_of_its_payload(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.write("sh", "-c", "cat; echo error >&2; hostname; exit 7")
    done = nsrun.call("run", "-b", str(bundle.directory), "case", stdin=None, input="given\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "given\ninside\n", "error\n")
    assert nsrun("list", "-q") == ""


def test_run_passes_signals_on_and_tells_which_one_ended_it(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.write("sh", "-c", "trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done")
    with subprocess.Popen([*nsrun.program, "run", "-b", str(bundle.directory), "case"], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        run.send_signal(signal.SIGUSR1)
        assert run.wait(30) == 3
    bundle.write("sleep", "1000")
    with subprocess.Popen([*nsrun.program, "run", "-b", str(bundle.directory), "case"]) as run:
        world.sh(f"until {' '.join(nsrun.program)} kill case KILL 2>/dev/null; do sleep 0.1; done")
        assert run.wait(30) == 137


def test_a_detached_run_stays(nsrun: Runtime, bundle: Bundle) -> None:
    nsrun.quietly("run", "--detach", "--bundle", str(bundle.write()), "case")
    assert nsrun.status("case") == "running"


def test_exec_is_where_the_container_is(nsrun: Runtime, bundle: Bundle) -> None:
    (bundle.root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nwww:x:33:34::/:/bin/sh\n")
    (bundle.root / "etc/group").write_text("root:x:0:\nwww:x:34:\n")
    pid = nsrun.create("case", bundle.write())
    nsrun("start", "case")
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts"):
        inside = nsrun("exec", "case", "readlink", f"/proc/self/ns/{kind}").strip()
        assert inside == os.readlink(f"/proc/{pid}/ns/{kind}"), kind
    assert nsrun("exec", "case", "cat", "/proc/self/cgroup") == nsrun("exec", "case", "cat", "/proc/1/cgroup")
    script = "id -u; id -g; id -G; pwd; echo $COLOUR; grep -E 'CapInh|CapAmb|NoNewPrivs' /proc/self/status"
    done = nsrun("exec", "-u", "www", "-e", "COLOUR=blue", "--cwd", "/tmp", "-g", "7", "case", "sh", "-c", script)
    assert done.split()[:7] == ["33", "34", "34", "7", "/tmp", "blue", "CapInh:"]
    assert "CapInh:\t0000000000000000" in done
    assert "CapAmb:\t0000000000000000" in done
    assert nsrun.call("exec", "case", "sh", "-c", "exit 9").returncode == 9
    assert nsrun.call("exec", "case", "sh", "-c", "kill -TERM $$").returncode == 143
    assert nsrun.call("exec", "case", "cat", stdin=None, input="in and out").stdout == "in and out"
    assert "there is no program 'nope'" in nsrun.refuses("exec", "case", "nope")


@pytest.mark.parametrize(
    ("user", "ids"),
    [("1", "1 0"), ("0001", "1 0"), ("1:2", "1 2"), ("www", "33 34"), ("www:1", "33 1"), ("33", "33 34")],
)
def test_users_of_exec(nsrun: Runtime, bundle: Bundle, user: str, ids: str) -> None:
    """CVE-2026-30892: a number was taken for root."""
    (bundle.root / "etc/passwd").write_text("www:x:33:34::/:/bin/sh\n")
    nsrun.create("case", bundle.write())
    nsrun("start", "case")
    assert nsrun("exec", "-u", user, "case", "sh", "-c", "echo $(id -u) $(id -g)").strip() == ids


@pytest.mark.parametrize("user", ["+1", "-1", "4294967295", "1:2:3", "nobody", "1:", ":1", " 1"])
def test_what_is_no_user_of_exec_is_refused(nsrun: Runtime, bundle: Bundle, user: str) -> None:
    nsrun.create("case", bundle.write())
    nsrun("start", "case")
    assert "user" in nsrun.refuses("exec", f"--user={user}", "case", "id")


def test_exec_by_a_file_and_detached(nsrun: Runtime, bundle: Bundle, tmp_path: pathlib.Path) -> None:
    nsrun.create("case", bundle.write())
    nsrun("start", "case")
    process = {"args": ["sleep", "1002"], "cwd": "/tmp", "env": ["PATH=/usr/bin"], "user": {"uid": 5, "gid": 6}}
    (tmp_path / "process.json").write_text(json.dumps(process))
    words = [
        "exec",
        "--detach",
        "--process",
        str(tmp_path / "process.json"),
        "--pid-file",
        str(tmp_path / "pid"),
        "case",
    ]
    subprocess.run([*nsrun.program, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    pid = int((tmp_path / "pid").read_text())
    assert line(pid, "Uid").split() == ["5"] * 4
    assert line(pid, "CapEff") == "0" * 16
    assert os.readlink(f"/proc/{pid}/cwd") == "/tmp"
    assert pid in json.loads(nsrun("ps", "-f", "json", "case"))
    assert "sleep 1002" in nsrun("ps", "case")


def test_exec_into_a_user_namespace(nsrun: Runtime, bundle: Bundle) -> None:
    for kind in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][kind] = [{"containerID": 0, "hostID": 200000, "size": 1000}]
    bundle.namespace("user")
    pid = nsrun.create("case", bundle.write())
    nsrun("start", "case")
    assert line(pid, "Uid").split()[0] == "200000"
    assert nsrun("exec", "case", "id", "-u").strip() == "0"
    assert nsrun("exec", "-u", "7", "case", "sh", "-c", "id -u; cat /proc/self/uid_map").split() == [
        "7", "0", "200000", "1000",
    ]  # fmt: skip


# --- freezing, signals, descriptors, logs ---------------------------------------------


def test_pause_and_resume(nsrun: Runtime, bundle: Bundle) -> None:
    script = "i=0; while :; do i=$((i+1)); echo $i > /data/count; sleep 0.01; done"
    nsrun.create("case", bundle.write("sh", "-c", script))
    nsrun("start", "case")
    nsrun("pause", "case")
    assert nsrun.status("case") == "paused"
    count = (bundle.root / "data/count").read_text()
    time.sleep(0.2)
    assert (bundle.root / "data/count").read_text() == count
    assert "it is paused" in nsrun.refuses("exec", "case", "true")
    assert "not running" in nsrun.refuses("pause", "case")
    nsrun("resume", "case")
    assert nsrun.status("case") == "running"
    world.sh(f"until [ \"$(cat {bundle.root}/data/count)\" != '{count.strip()}' ]; do sleep 0.05; done")
    nsrun("pause", "case")
    nsrun("delete", "--force", "case")


def test_kill_reaches_all_where_the_pids_are_the_hosts(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.spec["linux"]["namespaces"] = [each for each in bundle.spec["linux"]["namespaces"] if each["type"] != "pid"]
    nsrun.create("case", bundle.write("sh", "-c", "sleep 1003 & sleep 1003 & wait"))
    nsrun("start", "case")
    world.sh("until [ $(pgrep -cf '^sleep 1003') = 2 ]; do sleep 0.05; done")
    nsrun("kill", "case", "9")
    nsrun.until("case", "stopped")
    assert subprocess.run(["pgrep", "-f", "^sleep 1003"], capture_output=True, check=False).stdout == b""


@pytest.mark.parametrize("word", ["NOPE", "0", "65", "-5"])
def test_what_is_no_signal_is_refused(nsrun: Runtime, bundle: Bundle, word: str) -> None:
    pid = nsrun.create("case", bundle.write())
    assert "expected a signal" in nsrun.refuses("kill", "--", "case", word)
    assert line(pid, "State")[0] in "SR"


def test_descriptors_of_the_caller_stay_outside(nsrun: Runtime, bundle: Bundle, tmp_path: pathlib.Path) -> None:
    """CVE-2024-21626: what the caller had open was open inside."""
    bundle.write("sh", "-c", "ls -l /proc/self/fd")
    opened = [os.open("/", os.O_RDONLY) for _number in range(20)]
    for fd in opened:
        os.set_inheritable(fd, True)
    try:
        done = nsrun("run", "-b", str(bundle.directory), "case", close_fds=False)
    finally:
        for fd in opened:
            os.close(fd)
    names = [each.split(" -> ")[0].split()[-1] for each in done.splitlines() if " -> " in each]
    assert set(names) == {"0", "1", "2", "3"}, done  # 3 is the directory that ls(1) reads
    bundle.write("sh", "-c", "echo kept >&3; echo lost >&4")
    with_two = Runtime("sh", "-c", f'exec "$@" 3>{tmp_path}/given 4>{tmp_path}/other', "sh", *nsrun.program)
    with_two.call("run", "--preserve-fds", "1", "-b", str(bundle.directory), "case")
    assert (tmp_path / "other").read_text() == ""
    assert (tmp_path / "given").read_text() == "kept\n"


@pytest.mark.parametrize("number", range(0, 24, 3))
def test_the_directory_is_never_outside(nsrun: Runtime, bundle: Bundle, number: int) -> None:
    for where in (f"/proc/self/fd/{number}", f"/proc/self/fd/{number}/.."):
        bundle.write("pwd", cwd=where)
        assert "cwd" in nsrun.refuses("run", "-b", str(bundle.directory), "case")


def test_errors_go_to_the_log_in_its_format(nsrun: Runtime, tmp_path: pathlib.Path) -> None:
    log = tmp_path / "log"
    nsrun.refuses("--log", str(log), "--log-format", "json", "state", "none")
    entry = json.loads(log.read_text())
    assert (entry["level"], entry["msg"]) == ("error", "container 'none' does not exist")
    nsrun.refuses("--log", str(log), "state", "none")
    assert log.read_text().splitlines()[1].startswith("time=")


def test_lists(nsrun: Runtime, bundle: Bundle) -> None:
    assert nsrun("list").split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert nsrun("list", "-f", "json") == "[]\n"
    pid = nsrun.create("case", bundle.write())
    (only,) = json.loads(nsrun("list", "-f", "json"))
    assert (only["id"], only["pid"], only["status"]) == ("case", pid, "created")
    assert nsrun("list").splitlines()[1].split()[:3] == ["case", str(pid), "created"]
    assert "expected table or json" in nsrun.refuses("list", "-f", "xml")


def test_a_description_to_begin_with_is_one(nsrun: Runtime, bundle: Bundle) -> None:
    nsrun("spec", "--bundle", str(bundle.directory))
    assert "there is one already" in nsrun.refuses("spec", "-b", str(bundle.directory))
    spec = json.loads((bundle.directory / "config.json").read_text())
    spec["process"].update(terminal=False, args=["hostname"])
    spec["mounts"].append({"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]})
    (bundle.directory / "config.json").write_text(json.dumps(spec))
    assert nsrun("run", "-b", str(bundle.directory), "case") == "nsrun\n"


def test_features_are_told(nsrun: Runtime) -> None:
    told = json.loads(nsrun("features"))
    assert told["ociVersionMin"] == "1.0.0"
    assert {"cgroup", "time", "user"} <= set(told["linux"]["namespaces"])
    assert {"createContainer", "poststop"} <= set(told["hooks"])


# --- terminals --------------------------------------------------------------------------


def test_a_terminal_goes_to_the_console_socket(nsrun: Runtime, bundle: Bundle, tmp_path: pathlib.Path) -> None:
    place = tmp_path / ("d" * 60) / ("s" * 60)  # longer than the address of a socket may be
    place.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(place.parent, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/{place.name}")
        os.close(here)
        listener.listen()
        script = "tty; ls -l /dev/console | cut -c1; stty size; test -t 0 && read word && echo got $word"
        bundle.write("sh", "-c", script, terminal=True, consoleSize={"height": 33, "width": 99})
        nsrun.create("case", bundle.directory, "--console-socket", str(place))
        with listener.accept()[0] as sender:
            _words, (master,), _flags, _address = socket.recv_fds(sender, 100, 1)
    nsrun("start", "case")
    said = read_until(master, "99")
    os.write(master, b"hello\n")
    assert (said + read_all(master)).split() == ["/dev/pts/0", "c", "33", "99", "hello", "got", "hello"]
    os.close(master)


def read_until(terminal: int, word: str) -> str:
    """What comes out of a terminal until a word did."""
    said = b""
    while word.encode() not in said:
        said += os.read(terminal, 4096)
    return said.decode()


def read_all(terminal: int) -> str:
    """What comes out of a terminal until its other end is closed."""
    said = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            return said.decode()
        if not part:
            return said.decode()
        said += part


def test_run_and_exec_join_the_callers_terminal(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.write("sh", "-c", "tty; echo what?; read word; echo got $word; exit 4", terminal=True)
    pid, master = pty.fork()
    if pid == 0:
        os.execv(nsrun.program[0], [*nsrun.program, "run", "-b", str(bundle.directory), "case"])
    os.write(master, b"this\n")
    said = read_all(master)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4
    assert "/dev/pts/0" in said
    assert "got this" in said
    os.close(master)


def test_a_terminal_without_a_place_to_go_to_is_refused(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.write(terminal=True)
    assert "--console-socket" in nsrun.refuses("create", "-b", str(bundle.directory), "case")
    bundle.write(terminal=False)
    assert "terminal" in nsrun.refuses("create", "--console-socket", "/x", "-b", str(bundle.directory), "case")


# --- bad luck -----------------------------------------------------------------------------


def test_two_creates_of_one_id(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.write()
    words = [*nsrun.program, "create", "-b", str(bundle.directory), "case"]
    quiet = subprocess.DEVNULL
    both = [subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet) for _number in range(4)]
    assert sorted(each.wait(60) for each in both) == [0, 1, 1, 1]
    assert nsrun.status("case") == "created"


def test_a_create_that_is_killed_is_swept(nsrun: Runtime, bundle: Bundle) -> None:
    need("system calls of x86_64")
    bundle.write()
    before = world.snapshot()
    words = [*nsrun.program, "create", "-b", str(bundle.directory), "case"]
    calls = kill.call_and_kill(words, kill.BEYOND).calls
    nsrun("delete", "--force", "case")
    unmarked = calls.index("setxattr") + 1
    for number in (unmarked, *range(2, len(calls), len(calls) // 12)):
        assert kill.call_and_kill(words, number).killed
        nsrun("delete", "--force", "case")
        changes = world.difference(before, world.snapshot())
        assert not changes, f"killed before system call {number} ({calls[number - 1]}): {changes}"


def test_a_container_that_died_unseen_is_stopped_and_its_pid_is_nobody_elses(nsrun: Runtime, bundle: Bundle) -> None:
    pid = nsrun.create("case", bundle.write())
    os.kill(pid, signal.SIGKILL)
    nsrun.until("case", "stopped")
    nsrun.refuses("kill", "case", "KILL")
    nsrun.refuses("exec", "case", "true")
    nsrun("delete", "case")
