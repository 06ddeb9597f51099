# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module container_exec: the command looks at itself from inside, ``/proc`` of the host looks at it from outside."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container_exec import TABLE
from support import laws, world
from support.invoke import invoke
from support.program import Waited

BASE: dict[str, t.Any] = {
    "name": "case", "rootfs": "/", "overlay": "tmpfs", "command": ["/bin/sleep", "7777"], "stop_signal": "KILL",
}  # fmt: skip
IDS = [{"container_id": 0, "host_id": 200000, "size": 65536}]
IN_USER_NAMESPACE = {"namespaces": {"user": "private"}, "uid_mappings": IDS, "gid_mappings": IDS, "idmap": False}
KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


@contextlib.contextmanager
def container(**options: t.Any) -> t.Iterator[int]:
    """A running container, and the pid of its first process."""
    made = laws.run("container", {**BASE, **options})
    yield int(made["container"]["pid"])
    laws.run("container", {"name": "case", "state": "absent"})


@pytest.fixture
def first(clean_host: None) -> t.Iterator[int]:
    """Pid of the first process of a container that nothing was said of."""
    del clean_host
    made = laws.run("container", BASE)
    yield int(made["container"]["pid"])
    laws.run("container", {"name": "case", "state": "absent"})


WAITED = Waited("container_exec", {"name": "case"})
run, told, start = WAITED.run, WAITED.told, WAITED.start


def sleeping(seconds: int) -> list[int]:
    """Pids of ``sleep`` processes of a number of seconds, as pgrep sees them from the host."""
    return [int(word) for word in world.sh(f"pgrep -xf 'sleep {seconds}' || true").split()]


# --- where and as what it runs -----------------------------------------------------------


def test_name_and_namespaces(first: int) -> None:
    seen = told("for kind in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$kind; done; uname -n")
    assert seen.split() == [*(os.readlink(f"/proc/{first}/ns/{kind}") for kind in KINDS), "case"]


def test_limits_hold_for_it() -> None:
    """By the limits' files: all that it starts counts in the container's group, and is told there."""
    with container(memory_max="64M", pids_max=8) as pid:
        work = start("/bin/sh", "-c", "sleep 7001 & wait")
        world.until(lambda: sleeping(7001))
        (inner,) = sleeping(7001)
        pids = world.limit_file(pid, "pids", "pids.current", "pids.current")
        assert int(world.sh(f"cat {pids}")) == 3
        outer = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in world.sh(f"cat /proc/{pid}/cgroup").split()}
        for line in world.sh(f"cat /proc/{inner}/cgroup").split():
            _number, controllers, path = line.split(":", 2)
            assert path == outer[controllers] or path.startswith(f"{outer[controllers]}/nsfleet-exec-"), line
        os.kill(inner, 9)
        assert not work.result().failed
        forks = start("/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 7008 & done").result()
        assert "fork" in forks["stderr"], forks
        assert len(sleeping(7008)) < 8


@pytest.mark.parametrize("options", [{}, {"user": "1000:1000"}, {"cap_drop": ["ALL"], "no_new_privs": False}])
def test_rights_are_the_container_s(options: dict[str, t.Any]) -> None:
    words = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid", "Gid", "Groups")
    with container(rlimits={"nofile": "77:99"}, **options) as pid:
        lines = dict(line.split(":", 1) for line in told("cat /proc/self/status").splitlines())
        theirs = dict(line.split(":", 1) for line in world.sh(f"cat /proc/{pid}/status").splitlines())
        assert {word: lines[word] for word in words} == {word: theirs[word] for word in words}
        assert told("ulimit -n; ulimit -Hn; umask").split() == ["77", "99", "0022"]


def test_user_namespace() -> None:
    with container(**IN_USER_NAMESPACE) as pid:
        assert told("cat /proc/self/uid_map; id -u; readlink /proc/self/ns/user").split() == [
            "0", "200000", "65536", "0", os.readlink(f"/proc/{pid}/ns/user"),
        ]  # fmt: skip
        work = start("sleep", "7002", user="5:6")
        world.until(lambda: sleeping(7002))
        (inner,) = sleeping(7002)
        info = os.stat(f"/proc/{inner}")
        assert (info.st_uid, info.st_gid) == (200005, 200006)
        os.kill(inner, 15)
        assert work.result()["rc"] == 128 + 15
        assert "not mapped" in run("true", user="70000")["msg"]


# --- options ------------------------------------------------------------------------------


def test_user() -> None:
    uid, gid = world.sh("id -u nobody; id -g nobody").split()
    with container(user="1000:1000", groups=["4", "tty"]):
        tty = world.sh("getent group tty").split(":")[2]
        assert told("id -u; id -g; id -G").splitlines() == ["1000", "1000", f"1000 4 {tty}"]
        assert told("id -u; id -g; id -G", user="nobody").splitlines() == [uid, gid, gid]
        assert told("id -u; id -g; id -G", user="0").splitlines() == ["0", "0", "0"]
        assert told("id -u; id -g", user="7:tty").splitlines() == ["7", tty]
        assert "no user 'mallory'" in run("true", user="mallory")["msg"]


def test_env() -> None:
    with container(env={"COLOUR": "red", "SHAPE": "round"}):
        seen = run("env", env={"COLOUR": "blue", "SIZE": "ü"})["stdout"].splitlines()
        assert {"COLOUR=blue", "SHAPE=round", "SIZE=ü"} <= set(seen)
        assert "COLOUR=red" not in seen


def test_cwd() -> None:
    with container(cwd="/usr"):
        assert told("pwd -P") == "/usr"
        assert told("pwd -P", cwd="/etc") == "/etc"
        assert "cwd: No such file" in run("pwd", cwd="/nowhere")["msg"]


def test_command(first: int) -> None:
    del first
    assert run("printf", "%s.", "a b", "", "$HOME", "'")["stdout"] == "a b..$HOME.'."
    assert "no program 'nothing' in PATH" in run("nothing")["msg"]
    assert "no program '/bin/nothing'" in run("/bin/nothing")["msg"]
    assert "the user may not execute '/etc/passwd'" in run("/etc/passwd")["msg"]


def test_exit_codes(first: int) -> None:
    del first
    for code in (0, 1, 42, 127, 255):
        result = run("/bin/sh", "-c", f"echo out; echo err >&2; exit {code}")
        assert (result["rc"], result["stdout"], result["stderr"]) == (code, "out", "err")
        assert (result.failed, result.changed) == (code != 0, True)
        assert result["msg"] == ("non-zero return code" if code else "")
    assert run("/bin/sh", "-c", "kill -TERM $$")["rc"] == 128 + 15


def test_start_end_delta(first: int) -> None:
    del first
    result = run("sleep", "0.2")
    assert result["start"] < result["end"]
    assert result["delta"] > "0:00:00.2"


def test_stdin(first: int) -> None:
    del first
    text = "ä line\nand another" * 100_000  # more than a pipe takes
    digest = hashlib.sha256(f"{text}\n".encode()).hexdigest()
    assert told("sha256sum", stdin=text).split()[0] == digest
    assert told("head -c 3 >/dev/null", stdin=text) == ""  # it does not want the rest
    assert told("cat") == ""
    assert told("cat /dev/stdin", stdin="by its name", user="nobody") == "by its name"


def test_stdin_add_newline(first: int) -> None:
    del first
    assert told("wc -c", stdin="abc").strip() == "4"
    assert told("wc -c", stdin="abc", stdin_add_newline=False).strip() == "3"
    assert told("wc -c", stdin="", stdin_add_newline=False).strip() == "0"


def test_strip_empty_ends(first: int) -> None:
    del first
    assert told("printf 'a\\n\\n'") == "a"
    assert told("printf 'a\\n\\n'", strip_empty_ends=False) == "a\n\n"


def test_output_limit(first: int) -> None:
    """Ten megabytes to each: nothing waits for anything, and what comes after the limit is thrown away."""
    del first
    script = "head -c 10000000 /dev/zero | tr '\\0' o & head -c 10000000 /dev/zero | tr '\\0' e >&2; wait"
    whole = run("/bin/sh", "-c", script, output_limit=10_000_000)
    assert whole["stdout"] == "o" * 10_000_000
    assert whole["stderr"] == "e" * 10_000_000
    assert not whole["truncated"]
    cut = run("/bin/sh", "-c", script, output_limit=1000)
    assert (cut["rc"], cut["stdout"], cut["stderr"], cut["truncated"]) == (0, "o" * 1000, "e" * 1000, True)
    none = run("echo", "x", output_limit=0)
    assert (none["stdout"], none["truncated"]) == ("", True)


def test_output_that_is_no_text(first: int) -> None:
    del first
    assert told("printf 'a\\377\\0\\303\\244'") == "a\\xff\0ä"


def test_creates_and_removes(first: int) -> None:
    """They are looked for in the container, by the container's own links."""
    assert told("mkdir /only; touch /only/one; ln -s /only /link; ln -s /missing /dangling; pwd") == "/"
    assert not os.path.exists("/only")
    there = ("/only/one", "/link/one", "/link/../only/one", "only/o*", "/o*/on?", "/[n-p]nly", "/")
    for path in there:
        skipped = run("touch", "/ran", creates=path)
        assert (skipped.changed, skipped["rc"], skipped["start"]) == (False, 0, None)
        assert skipped["msg"] == f"skipped, since {path} exists"
        assert run("true", removes=path).changed
    for path in ("/only/two", "/dangling", "/only/.*", "/x*/one", "/only/one/*", f"/proc/{first}/root/only/one"):
        skipped = run("touch", "/ran", removes=path)
        assert (skipped.changed, skipped["msg"]) == (False, f"skipped, since {path} does not exist")
        assert run("true", creates=path).changed
    assert run("true", creates="one", cwd="/only").changed is False
    assert told("ls /ran 2>/dev/null || echo none") == "none"


def test_links_do_not_lead_to_the_host(first: int) -> None:
    """An absolute link in the container is one of the container: what only the host has is not there."""
    del first
    with open("/only-host", "w", encoding="ascii"):
        told("rm -f /only-host; ln -s /only-host /trap")
        assert run("true", creates="/trap").changed
    os.unlink("/only-host")


def test_check_mode(first: int) -> None:
    del first
    options: dict[str, t.Any] = {"name": "case", "command": ["touch", "/ran"]}
    before = world.snapshot()
    for more, changed, skipped in (
        ({}, False, True), ({"creates": "/etc"}, False, False), ({"creates": "/ran"}, True, False),
        ({"removes": "/ran"}, False, False), ({"removes": "/etc"}, True, False),
    ):  # fmt: skip
        result = invoke("container_exec", {**options, **more}, check=True)
        assert (result.changed, result.get("skipped", False)) == (changed, skipped), more
    assert world.difference(before, world.snapshot()) == []
    assert told("ls /ran 2>/dev/null || echo none") == "none"


# --- the end ---------------------------------------------------------------------------------


def test_timeout(first: int) -> None:
    """What it started is killed, too, even if it hid: in a session of its own, as a daemon, deaf to signals."""
    assert not run("true", timeout=1e9)["timed_out"]
    hidden = "trap '' TERM HUP; sleep 7003 & setsid sleep 7003 & (setsid sh -c 'sleep 7003 & sleep 7003' &) ; echo on"
    result = run("/bin/sh", "-c", f"{hidden}; sleep 7003", timeout=1.5)
    assert (result.failed, result["timed_out"], result["rc"], result["stdout"]) == (True, True, 128 + 9, "on")
    assert "did not end within 1.5 s" in result["msg"]
    assert sleeping(7003) == []
    assert os.path.exists(f"/proc/{first}")
    assert told("echo goes on") == "goes on"


def test_timeout_of_a_flood_and_of_a_fork_bomb() -> None:
    with container(pids_max=40):
        result = run("/bin/sh", "-c", "while :; do echo flood; done", timeout=1, output_limit=500)
        assert (result["timed_out"], len(result["stdout"]), result["truncated"]) == (True, 500, True)
        bomb = run("/bin/sh", "-c", "(f() { f | f & }; f; f) & sleep 7004", timeout=2)
        assert bomb["timed_out"]
        assert told("echo alive") == "alive"


def test_bomb_that_is_left_behind() -> None:
    """What forks without an end is brought to the container's group all the same, and ends with it."""
    with container(pids_max=40) as pid:
        start("/bin/sh", "-c", "while :; do sleep 0 & wait; done & exit 3").result()
        pids = world.limit_file(pid, "pids", "pids.current", "pids.current")
        assert int(world.sh(f"cat {pids}")) > 1
        assert world.sh("find /sys/fs/cgroup -name 'nsfleet-exec-*'") == ""


def test_what_stays_in_the_background(first: int) -> None:
    """A daemon that the command starts is the container's, and is not waited for, though it holds the output."""
    work = start("/bin/sh", "-c", "setsid sleep 7005 & echo started")
    assert work.result()["stdout"] == "started"
    (daemon,) = sleeping(7005)
    assert world.sh(f"cat /proc/{daemon}/cgroup") == world.sh(f"cat /proc/{first}/cgroup")
    laws.run("container", {"name": "case", "state": "stopped"})
    assert sleeping(7005) == []


def test_container_that_stops_meanwhile(first: int) -> None:
    del first
    work = start("sleep", "7006")
    world.until(lambda: sleeping(7006))
    laws.run("container", {"name": "case", "state": "stopped"})
    result = work.result()
    assert (result.failed, result["rc"], result["timed_out"]) == (True, 128 + 9, False)
    assert result["msg"] == "container case ended while the command ran in it"


def test_task_that_is_killed(first: int) -> None:
    """The command goes on, and the next one brings it to the container's own group."""
    work = start("sleep", "7007")
    world.until(lambda: sleeping(7007))
    os.kill(work.pid, 9)
    assert work.killed()
    (left,) = sleeping(7007)
    assert world.sh(f"cat /proc/{left}/cgroup") != world.sh(f"cat /proc/{first}/cgroup")
    assert invoke("container_exec", {"name": "case", "command": ["true"]}).changed
    assert world.sh(f"cat /proc/{left}/cgroup") == world.sh(f"cat /proc/{first}/cgroup")


def test_many_at_once(first: int) -> None:
    del first
    before = world.snapshot()
    works = [start("/bin/sh", "-c", f"echo {number}; cat; exit {number}", stdin=str(number)) for number in range(8)]
    results = [work.result() for work in works]
    assert [each["rc"] for each in results] == list(range(8))
    assert [each["stdout"] for each in results] == [f"{number}\n{number}" for number in range(8)]
    assert world.difference(before, world.snapshot()) == []


# --- containers that cannot ------------------------------------------------------------------


def test_name() -> None:
    laws.missing("container_exec", {"name": "case", "command": ["true"]}, "there is no container case")
    laws.run("container", {**BASE, "state": "present"})
    laws.missing("container_exec", {"name": "case", "command": ["true"]}, "container case does not run", "started")
    laws.run("container", {"name": "case", "state": "absent"})


def test_paused(first: int) -> None:
    frozen = world.limit_file(first, "freezer", "freezer.state", "cgroup.freeze")
    stop, go = ("FROZEN", "THAWED") if frozen.endswith("state") else ("1", "0")
    world.sh(f"echo {stop} >{frozen}")
    laws.missing("container_exec", {"name": "case", "command": ["true"]}, "container case is paused")
    world.sh(f"echo {go} >{frozen}")
    assert told("echo again") == "again"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "a/b"}, ("name: expected",)),
        ({"command": []}, ("command: expected the program",)),
        ({"command": ["a\0"]}, ("command[0]: expected",)),
        ({"user": "a b"}, ("user: expected",)),
        ({"env": {"A=B": "c"}}, ("env: expected",)),
        ({"cwd": "usr"}, ("cwd: expected",)),
        ({"timeout": 0}, ("timeout: expected",)),
        ({"timeout": "nan"}, ("timeout: expected",)),
        ({"output_limit": -1}, ("output_limit: expected", "67108864")),
        ({"creates": ""}, ("creates: expected",)),
        ({"removes": "a\0"}, ("removes: expected",)),
        ({"colour": "red"}, ("colour",)),
    ],
)
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("container_exec", {"name": "case", "command": ["true"], **options}, *words)


# --- a root file system that is an enemy -------------------------------------------------------

ROOT = "/srv/hostile"
IN_HOSTILE_ROOT = {"rootfs": ROOT, "overlay": "none", "command": ["/bin/sh", "-c", "read x </tmp/stop"]}


@pytest.fixture
def hostile(clean_host: None) -> t.Iterator[None]:
    """A root file system with a shell, in which whatever a careless program would load leaves a mark."""
    del clean_host
    for name in ("proc", "sys", "dev", "etc", "bin", "tmp"):
        os.makedirs(f"{ROOT}/{name}")
    for name in ("stop", "wait"):
        os.mkfifo(f"{ROOT}/tmp/{name}")
        os.chmod(f"{ROOT}/tmp/{name}", 0o666)
    poison = "open('/marker', 'w').write('python')\n"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for word in ("/bin/sh", "/bin/cat", *world.sh("ldd /bin/sh /bin/cat").split()):
        if word.startswith("/") and not word.endswith(":"):
            os.makedirs(ROOT + os.path.dirname(word), exist_ok=True)
            shutil.copy(word, ROOT + word)
    for folder in (f"usr/lib/{version}", "usr/lib/python3/dist-packages", sys.prefix, os.path.dirname(os.__file__)):
        for name in ("encodings/__init__.py", "encodings/idna.py", "sitecustomize.py", "os.py", "fnmatch.py"):
            path = os.path.join(ROOT, folder.lstrip("/"), name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as file:
                file.write(poison)
    for name, text in (
        ("nsswitch.conf", "passwd: evil\n"), ("ld.so.preload", "/lib/libnss_evil.so.2\n"),
        ("passwd", "me:x:5:6::/:/bin/sh\n1000:x:0:0::/:/bin/sh\n"),
    ):  # fmt: skip
        with open(f"{ROOT}/etc/{name}", "w", encoding="ascii") as file:
            file.write(text)
    yield
    shutil.rmtree(ROOT)


def files_of(pid: int) -> set[tuple[int, int]]:
    """Device and inode of every file that a process has mapped, runs, or has open."""
    folders = (f"/proc/{pid}/map_files", f"/proc/{pid}/fd")
    links = [f"/proc/{pid}/exe", *(f"{folder}/{name}" for folder in folders for name in os.listdir(folder))]
    return {(info.st_dev, info.st_ino) for info in map(os.stat, links)}


def test_nothing_of_the_container_is_loaded(hostile: None) -> None:
    """No file of the root is mapped or open in the task's process, which does not enter the container either."""
    del hostile
    with container(**IN_HOSTILE_ROOT):
        result = run("/bin/sh", "-c", "echo $0 /mark*", user="me", env={"LC_ALL": "tr_TR.UTF-8", "X": "ü"})
        assert (result["stdout"], result["rc"]) == ("/bin/sh /mark*", 0), result
        work = start("/bin/cat", "/tmp/wait", user="me", creates="/bin/nothing*")
        world.until(lambda: world.sh("pgrep -xf '/bin/cat /tmp/wait' || true"))
        theirs = {(info.st_dev, info.st_ino) for path in walk(ROOT) for info in [os.lstat(path)]}
        command = int(world.sh("pgrep -xf '/bin/cat /tmp/wait'"))
        assert files_of(command) & theirs, "the command itself has none of them open, so this proves nothing"
        assert files_of(work.pid) & theirs == set()
        for kind in KINDS:
            assert os.readlink(f"/proc/{work.pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
        world.sh(f"echo the end >{ROOT}/tmp/wait")
        assert work.result()["stdout"] == "the end"
    assert not os.path.exists(f"{ROOT}/marker")


def walk(folder: str) -> t.Iterator[str]:
    """Paths of all files below a directory."""
    for place, _folders, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names)


def test_digits_are_a_number_even_if_they_are_a_name(hostile: None) -> None:
    del hostile
    script = "while read a b c; do case $a in Uid:|Gid:) echo $b;; esac; done </proc/self/status"
    with container(
        rootfs=ROOT, overlay="none", command=["/bin/sh", "-c", "while :; do cat /dev/zero >/dev/null; done"]
    ):
        assert told(script, user="1000").split() == ["1000", "0"]
        assert told(script, user="me").split() == ["5", "6"]
        os.unlink(f"{ROOT}/etc/passwd")
        os.mkfifo(f"{ROOT}/etc/passwd")
        assert "regular file" in run("/bin/cat", user="me")["msg"]


def test_no_descriptor_and_no_way_out(first: int) -> None:
    """CVE-2016-9962, CVE-2024-21626, CVE-2019-5736."""
    del first
    python = os.path.realpath(sys.executable)
    with open(python, "rb") as file:
        before = hashlib.sha256(file.read()).hexdigest()
    assert set(told("for f in /proc/self/fd/*; do echo ${f##*/}; done").split()) <= {"0", "1", "2", "3"}
    for number in range(3, 25):
        assert run("pwd", cwd=f"/proc/self/fd/{number}").failed
    told("printf '#!/proc/self/exe\\n' >/evil; chmod 755 /evil")
    assert "cannot be executed" in run("/evil")["msg"]
    assert "python" not in told("readlink /proc/$$/exe")
    with open(python, "rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == before


def test_every_option_has_a_test() -> None:
    laws.covered(
        TABLE,
        (),
        {
            "name": test_name, "command": test_command, "user": test_user, "env": test_env, "cwd": test_cwd,
            "stdin": test_stdin, "stdin_add_newline": test_stdin_add_newline,
            "strip_empty_ends": test_strip_empty_ends, "timeout": test_timeout, "output_limit": test_output_limit,
            "creates": test_creates_and_removes, "removes": test_creates_and_removes,
        },
    )  # fmt: skip
