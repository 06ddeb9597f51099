# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems and payloads that want out: the published ways of others, tried on ours.

A root file system is taken for what an enemy filled, and its payload for an enemy with root's rights inside. Whatever
either does, ``/victim`` and the rest of the host stay as they were, which :func:`conftest.clean_host` looks at, too.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
import typing as t

import pytest
from support import laws, world
from support.enemy import digest, sha256, swapping
from support.invoke import invoke

ROOT = "/srv/hostile"
VICTIM = "/victim"
#: Programs come from the host, read-only; all else is the enemy's.
USR = {"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]}
BASE: dict[str, t.Any] = {"name": "case", "rootfs": ROOT, "mounts": [USR], "stop_timeout": 0.1}
IN_USR = ("bin", "sbin", "lib", "lib64")


@pytest.fixture(autouse=True)
def rootfs(clean_host: None) -> t.Iterator[None]:
    """A root file system, and something on the host that it is after."""
    del clean_host
    for name in ("usr", "etc", "tmp", "proc", "sys", "dev", "srv"):
        os.makedirs(f"{ROOT}/{name}")
    for name in IN_USR:
        os.symlink(f"usr/{name}", f"{ROOT}/{name}")
    os.makedirs(f"{VICTIM}/sys/kernel")
    for name in ("file", "sys/kernel/hostname", "null"):
        with open(f"{VICTIM}/{name}", "w", encoding="ascii") as file:
            file.write("untouched")
    before = digest(VICTIM)
    yield
    after = digest(VICTIM)
    shutil.rmtree(ROOT)
    shutil.rmtree(VICTIM)
    assert after == before


def link(name: str, target: str) -> None:
    """Put a symbolic link in the place of a directory or file of the root file system."""
    path = f"{ROOT}/{name}"
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    os.symlink(target, path)


def output(script: str, **options: t.Any) -> str:
    """What a script says inside, which is run by the container's shell to its end."""
    laws.run("container", {**BASE, "command": ["/bin/sh", "-c", script], **options})
    end = time.monotonic() + 20
    while (found := invoke("container_info", {"name": "case"})["containers"][0])["exit_code"] is None:
        assert time.monotonic() < end, "the script did not end"
        time.sleep(0.02)
    laws.run("container", {"name": "case", "state": "absent"})
    return str(found["log"])


def fails(*words: str, **options: t.Any) -> None:
    """The container is not started, for a reason that says these words, and nothing is left of it."""
    result = invoke("container", {**BASE, "command": ["/bin/sh", "-c", "echo started"], **options})
    assert result.failed, "it was started"
    assert "Traceback" not in str(result)
    for word in words:
        assert word in result["msg"], result["msg"]
    assert invoke("container_info", {})["containers"] == []


# --- places that are links -----------------------------------------------------------

TARGETS = [VICTIM, "../../victim", "../../../../../../victim", "sys", "proc", "/", "."]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("place", ["proc", "sys", "dev"])
def test_place_of_a_kernel_file_system_is_a_link(place: str, target: str) -> None:
    """CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2026-41579: what is mounted there is written to later."""
    link(place, target)
    fails(f"/{place}")


def test_place_below_a_link() -> None:
    """The parent of a place is a link (CVE-2023-28642)."""
    link("srv/a", VICTIM)
    fails("/srv/a/proc", mounts=[USR, {"destination": "/srv/a/proc", "type": "proc", "source": "proc"}])


@pytest.mark.parametrize("target", [VICTIM, "../../../victim", "/proc/1/root/victim", "/proc/self/cwd"])
def test_target_of_a_mount_is_a_link(target: str) -> None:
    """CVE-2021-30465, CVE-2024-45310: neither a mount nor a new file may appear outside of the root."""
    link("srv/data", target)
    link("srv/one", f"{target}/file")
    source = {"source": "/etc/hostname", "options": ["bind"]}
    mounts = [USR, {"destination": "/srv/data", "source": "/etc", "options": ["rbind", "ro"]}]
    result = invoke("container", {**BASE, "command": ["/bin/sleep", "1000"], "mounts": mounts})
    assert world.sh(f"grep -c {VICTIM} /proc/self/mountinfo || true").strip() == "0"
    result = invoke("container", {**BASE, "command": ["/bin/sleep", "1000"],
                                  "mounts": [*mounts, {"destination": "/srv/one", **source}]})  # fmt: skip
    assert "Traceback" not in str(result)
    assert sorted(os.listdir(VICTIM)) == ["file", "null", "sys"]
    laws.run("container", {"name": "case", "state": "absent"})


@pytest.mark.parametrize("name", ["dev/null", "dev/pts", "dev/shm", "dev/mqueue", "dev/console"])
def test_things_in_dev_are_links(name: str) -> None:
    """CVE-2025-31133, CVE-2025-52565: whatever is in ``/dev`` of the root, ours is over it before anything is used."""
    link(name, f"{VICTIM}/null")
    told = output(
        "ls -ln /dev/null; cat /proc/keys /proc/timer_list; ls /dev/pts /dev/shm /dev/mqueue; stat -f -c %T /dev"
    )
    assert told.startswith("crw-rw-rw- 1 0 0 1, 3 "), told
    assert "untouched" not in told


# --- places that change while they are used ------------------------------------------------


def start_many_times(**options: t.Any) -> None:
    """Starts, each of which may fail, but only with an error of its own; what they mount is looked at by the host."""
    for _attempt in range(5):
        result = invoke("container", {**BASE, "command": ["/bin/sleep", "1000"], "stop_signal": "KILL", **options})
        assert "Traceback" not in str(result)
        assert world.sh(f"grep -c {VICTIM} /proc/self/mountinfo || true").strip() == "0"
        if not result.failed:
            pid = result["container"]["pid"]
            inside = f"nsenter --target {pid} --mount --root --wd=/ -- /bin/sh -c"
            read = "for file in /srv/place/* /srv/place/*/file; do test -f $file && cat $file; done"
            assert "untouched" not in world.sh(f"{inside} '{read}' || true")
        laws.run("container", {"name": "case", "state": "absent"})


@pytest.mark.parametrize("target", [VICTIM, "../../../victim"])
@pytest.mark.parametrize(
    "options",
    [
        {"mounts": [USR, {"destination": "/srv/place", "type": "tmpfs", "options": ["tmpcopyup"]}]},
        {"mounts": [USR, {"destination": "/srv/place/below", "type": "tmpfs", "options": ["tmpcopyup"]}]},
        {"mounts": [USR, {"destination": "/srv/place/new/file", "source": "/etc/hostname", "options": ["bind"]}]},
        {"mounts": [USR, {"destination": "/srv/place/new", "source": "/etc", "options": ["rbind", "rro"]}]},
        {"device_nodes": [{"path": "/srv/place/null", "major": 1, "minor": 3, "mode": "0606", "uid": 5}]},
        {"device_nodes": [{"path": "/srv/place/new/fifo", "type": "p", "mode": "0606", "uid": 5}]},
    ],
    ids=["copy", "copy below", "file", "directory", "device", "fifo"],
)
def test_place_becomes_a_link_meanwhile(options: dict[str, t.Any], target: str) -> None:
    """CVE-2021-30465, CVE-2024-45310: between the look at a place and its use it is another one."""
    for name in ("place/below", "place/inner"):
        os.makedirs(f"{ROOT}/srv/{name}")
    os.symlink(target, f"{ROOT}/srv/link")
    with swapping(f"{ROOT}/srv", b"place", b"link"):
        start_many_times(**options)


def test_copied_directory_is_swapped_while_it_is_copied() -> None:
    """Of a directory that becomes a link, and a file that becomes a fifo or a link, nothing outside is read."""
    os.makedirs(f"{ROOT}/srv/place/a/b")
    os.symlink(VICTIM, f"{ROOT}/srv/place/z")
    with open(f"{ROOT}/srv/place/a/file", "w", encoding="ascii") as file:
        file.write("content" * 1000)
    os.symlink(f"{VICTIM}/file", f"{ROOT}/srv/place/a/link")
    os.mkfifo(f"{ROOT}/srv/place/a/fifo")
    mounts = [USR, {"destination": "/srv/place", "type": "tmpfs", "options": ["tmpcopyup"]}]
    place = f"{ROOT}/srv/place"
    with swapping(f"{place}/a", b"file", b"fifo"), swapping(place, b"a", b"z"):
        start_many_times(mounts=mounts)


def test_device_where_a_link_is() -> None:
    """What is at the end of the link is neither replaced nor given away, nor used as the device."""
    link("srv/null", f"{VICTIM}/null")
    node = {"path": "/srv/null", "major": 1, "minor": 3, "mode": "0606", "uid": 5}
    fails("devices", "something else is there", device_nodes=[node])
    os.unlink(f"{ROOT}/srv/null")
    os.mknod(f"{ROOT}/srv/null", stat.S_IFCHR | 0o666, os.makedev(1, 1))
    fails("devices", "something else is there", device_nodes=[node])


# --- files that are read from outside ------------------------------------------------


def test_user_database_is_a_trap() -> None:
    """CVE-2024-9676: a fifo would block, a device never end, a link read the host's file."""
    passwd = f"{ROOT}/etc/passwd"
    os.mkfifo(passwd)
    fails("user", "regular file", user="somebody")
    os.unlink(passwd)
    os.mknod(passwd, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    fails("user", "regular file", user="somebody")
    os.unlink(passwd)
    with open(passwd, "wb") as file:
        file.truncate(10 << 30)
    fails("user", "bytes", user="somebody")
    os.unlink(passwd)
    with open(f"{VICTIM}/passwd", "w", encoding="ascii") as file:
        file.write("somebody:x:1:1::/:/bin/sh\n")
    for target in (f"{VICTIM}/passwd", "../../../victim/passwd", "/proc/self/root/victim/passwd"):
        os.symlink(target, passwd)
        fails("user", "somebody", user="somebody")
        os.unlink(passwd)
    os.unlink(f"{VICTIM}/passwd")


@pytest.mark.parametrize(
    ("user", "expected"), [("1000", "1000:0"), ("1000:7", "1000:7"), ("0001", "1:0"), ("1:0", "1:0"), ("root2", "0:0")]
)
def test_digits_are_a_number_even_if_they_are_a_name(user: str, expected: str) -> None:
    """CVE-2026-30892 and its like: who asks for 1000 does not get root."""
    with open(f"{ROOT}/etc/passwd", "w", encoding="ascii") as file:
        file.write("1000:x:0:0::/:/bin/sh\nroot2:x:0:0::/:/bin/sh\n")
    assert output("echo $(id -u):$(id -g)", user=user) == f"{expected}\n"


@pytest.mark.parametrize("user", ["+1", "-1", "4294967295", "1:2:3", "1:", ":1", "1 ", "٣"])
def test_users_that_are_none(user: str) -> None:
    fails("user", user=user)


def test_nothing_is_loaded_from_the_root() -> None:
    """CVE-2019-14271: after the change of root, any import, codec or name look-up would run the enemy's code."""
    os.rmdir(f"{ROOT}/usr")
    for name in IN_USR:
        os.unlink(f"{ROOT}/{name}")
    plant_shell()
    poison = "open('/marker', 'w').write('python')\nimport os\nos.open('/marker', os.O_CREAT)\n"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    for folder in (f"usr/lib/{version}", f"lib/{version}", "usr/lib/python3/dist-packages"):
        for name in ("encodings/__init__.py", "encodings/idna.py", "encodings/utf_8.py", "sitecustomize.py", "os.py"):
            path = f"{ROOT}/{folder}/{name}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="ascii") as file:
                file.write(poison)
    for name, content in (
        ("nsswitch.conf", "passwd: evil\n"),
        ("passwd", "me:x:5:5::/:/bin/sh\n"),
        ("group", "we:x:6:\n"),
    ):
        with open(f"{ROOT}/etc/{name}", "w", encoding="ascii") as file:
            file.write(content)
    for name in ("libnss_evil.so.2", "libnss_files.so.2"):
        shutil.copyfile(f"{ROOT}/bin/sh", f"{ROOT}/lib/{name}")
    told = output(
        "echo started; cd /; for f in *; do echo $f; done",
        mounts=[],
        user="me",
        groups=["we"],
        hostname="nest",
        env={"LC_ALL": "tr_TR.UTF-8", "X": "ü"},
    )
    assert told.startswith("started\n")
    assert "marker" not in told
    assert not os.path.exists(f"{ROOT}/marker")


def plant_shell() -> None:
    """A shell with its libraries, as files of the root file system itself."""
    os.makedirs(f"{ROOT}/bin")
    shutil.copy("/bin/sh", f"{ROOT}/bin/sh")
    for word in world.sh("ldd /bin/sh").split():
        if word.startswith("/"):
            os.makedirs(ROOT + os.path.dirname(word), exist_ok=True)
            shutil.copy(word, ROOT + word)


# --- ways out --------------------------------------------------------------------------


def test_no_descriptor_leaks() -> None:
    """CVE-2016-9962, CVE-2024-21626: beside the three standard ones there is none, whatever the caller had open."""
    opened = [os.dup2(os.open(VICTIM, os.O_RDONLY), number, inheritable=True) for number in range(300, 350)]
    told = output("for f in /proc/self/fd/*; do echo ${f##*/}; done; for f in /proc/1/fd/*; do echo ${f##*/}; done")
    assert set(told.split()) <= {"0", "1", "2", "3"}, told
    for fd in opened:
        os.close(fd)


@pytest.mark.parametrize("cwd", [f"/proc/self/fd/{number}" for number in range(3, 25, 3)])
def test_cwd_outside(cwd: str) -> None:
    """CVE-2024-21626: a working directory by way of a descriptor of a directory of the host."""
    result = invoke("container", {**BASE, "command": ["/bin/sh", "-c", "cd ..; pwd -P; cat victim/file"], "cwd": cwd})
    assert invoke("container", {"name": "case", "state": "absent"}).changed is False, "it was started"
    assert "cwd: " in result["msg"], result["msg"]


def test_payload_is_its_own_interpreter() -> None:
    """CVE-2019-5736: ``#!/proc/self/exe`` would be the host's Python, which root inside could then overwrite."""
    python = os.path.realpath(sys.executable)
    before = sha256(python)
    with open(f"{ROOT}/evil", "w", encoding="ascii") as file:
        file.write("#!/proc/self/exe\nprint('started')\n")
    os.chmod(f"{ROOT}/evil", 0o755)
    fails("command", command=["/evil"])
    told = output("readlink /proc/1/exe; echo x > /proc/1/exe; echo $?")
    assert "python" not in told
    assert told.splitlines()[-1] != "0"
    assert sha256(python) == before


def test_what_root_inside_may_not_do() -> None:
    """Each line is an attempt; what it says when it is refused, and nothing else, is expected."""
    attempts = {
        "mount -t tmpfs none /tmp": "mount", "mount -t proc proc /tmp": "new proc",
        "unshare -m true": "mount namespace", "unshare -n true": "network namespace",
        "echo x > /proc/sys/kernel/core_pattern": "core_pattern", "echo 1 > /proc/sys/net/ipv4/ip_forward": "sysctl",
        "echo b > /proc/sysrq-trigger": "sysrq", "echo x > /proc/1/oom_score_adj": "oom",
        "mkdir /sys/fs/cgroup/x": "cgroup", "echo x > /sys/kernel/uevent_helper": "sysfs",
        "dd if=/proc/kcore of=/dev/null bs=1 count=1": "kcore", "cat /sys/firmware/*": "firmware",
        "mknod /tmp/mem c 1 1 && dd if=/tmp/mem of=/dev/null bs=1 count=1": "mem",
        "mknod /tmp/kmsg c 1 11 && dd if=/tmp/kmsg of=/dev/null bs=1 count=1": "kmsg",
        "mknod /tmp/disk b 8 0 && dd if=/tmp/disk of=/dev/null bs=1 count=1": "disk",
        "chroot /proc/1/root/../.. cat /victim/file": "chroot", "cat /proc/1/root/victim/file": "root link",
        "ls /victim": "victim", "kill -0 $(($$ + 2))": "processes", "hostname x": "hostname",
        "date -s 2000-01-01": "clock", "ip link add x type dummy": "links", "dmesg": "kernel log",
    }  # fmt: skip
    script = "\n".join(f"({attempt}) >/dev/null 2>&1 && echo 'succeeded: {name}'" for attempt, name in attempts.items())
    assert output(f"{script}\necho done", overlay="tmpfs") == "done\n"


def test_what_the_kernel_says_of_the_process() -> None:
    """Of root, and of a user who is not."""
    lines = "Cap...:|NoNewPrivs:|Groups:"
    told = output(f"grep -E '^({lines})' /proc/self/status; id -u; umask").split("\n")
    assert "CapInh:\t" + "0" * 16 in told
    assert "CapAmb:\t" + "0" * 16 in told
    assert {line.split("\t")[1] for line in told if line[:6] in ("CapPrm", "CapEff", "CapBnd")} == {"00000000a80425fb"}
    assert "NoNewPrivs:\t1" in told
    assert "Groups:\t " in told
    told = output(f"grep -E '^({lines})' /proc/self/status", user="1000:1000").split("\n")
    assert {line.split("\t")[1] for line in told if line[:6] in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}


def test_control_groups_that_are_shown_are_its_own_and_fixed() -> None:
    """CVE-2022-0492, CVE-2023-25809."""
    groups = {
        "destination": "/sys/fs/cgroup",
        "type": "cgroup",
        "source": "cgroup",
        "options": ["ro", "nosuid", "noexec", "nodev"],
    }
    told = output(
        "exec 2>/dev/null; cd /sys/fs/cgroup; find . -name release_agent | grep . && echo seen; "
        "for d in . */; do mkdir $d/x && echo made; echo max > $d/pids.max && echo set; "
        "echo 1 > $d/notify_on_release && echo notify; done; mount -o remount,rw . && echo again; "
        "grep -h . /proc/self/cgroup | cut -d: -f3 | sort -u",
        mounts=[USR, groups],
    )
    assert told == "/\n"


def test_nobody_but_root_reaches_what_is_inside() -> None:
    """CVE-2021-41091: a setuid program in a root file system is a way to root for every user of the host."""
    laws.run("container", {**BASE, "command": ["/bin/sleep", "1000"], "overlay": "disk"})
    for folder in ("/var/lib/nsfleet", "/var/lib/nsfleet/containers/case", "/run/nsfleet/containers"):
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
    assert world.sh("ss -xl | grep -c '@.*nsfleet' || true").strip() == "0"
    laws.run("container", {"name": "case", "state": "absent"})
