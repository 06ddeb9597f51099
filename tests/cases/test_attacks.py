# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks that were published against other runtimes, on ``nsrun``: by images, payloads, neighbours and bundles.

What enemies of the module ``container`` do, ``test_hostile_rootfs.py`` has. ``docs/security.md`` says which test stands
for which weakness.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import io
import json
import os
import pathlib
import pty
import re
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import termios
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import capability
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import labels
from support import laws, oci, world
from support.bundle import CAPABILITIES, SETS, Bundle, Runtime
from support.enemy import digest, sha256, swapping
from support.invoke import invoke

PYTHON = "/usr/bin/python3"
Victim = pathlib.Path


@pytest.fixture
def victim(tmp_path: pathlib.Path) -> t.Iterator[Victim]:
    """Something on the host that an enemy is after, and that has to stay as it is."""
    place = tmp_path / "victim"
    (place / "sys/net/ipv4").mkdir(parents=True)
    for name in ("file", "null", "sys/net/ipv4/ip_forward", "oom_score_adj"):
        (place / name).write_text("untouched")
    before = digest(place)
    yield place
    assert digest(place) == before


def without(bundle: Bundle, *destinations: str) -> None:
    """Take mounts away."""
    bundle.spec["mounts"] = [each for each in bundle.spec["mounts"] if each["destination"] not in destinations]


def bind(bundle: Bundle, source: str | pathlib.Path, destination: str, *options: str) -> None:
    """Add a bind mount."""
    entry = {"type": "bind", "source": str(source), "destination": destination, "options": ["bind", *options]}
    bundle.spec["mounts"].append(entry)


def own_users(bundle: Bundle) -> None:
    """Give the container a user namespace, and a root that its root may write to."""
    for kind in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][kind] = [{"containerID": 0, "hostID": 200000, "size": 1000}]
    bundle.namespace("user")
    for place in (bundle.root, bundle.root / "data", bundle.root / "tmp"):
        os.chown(place, 200000, 200000)


@contextlib.contextmanager
def created(nsrun: Runtime, bundle: Bundle) -> t.Iterator[int]:
    """A container that may not come to be, but then only with an error of its own; pid of its first process, or 0."""
    with open(bundle.directory / "said", "w+", encoding="utf-8") as said:
        words = ["create", "-b", str(bundle.directory), "--pid-file", str(bundle.directory / "pid"), "case"]
        done = subprocess.run([*nsrun.program, *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False)
        said.seek(0)
        assert "Traceback" not in said.read()
    yield 0 if done.returncode else int((bundle.directory / "pid").read_text())
    nsrun("delete", "--force", "case")


class Mounted(t.NamedTuple):
    """A line of ``/proc/PID/mountinfo``."""

    number: str
    above: str
    root: str
    place: str
    kind: str
    options: set[str]


def mounts_of(pid: int) -> list[Mounted]:
    """The mounts that a process sees."""
    lines = (line.split() for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines())
    return [Mounted(w[0], w[1], w[3], w[4], w[w.index("-") + 1], set(w[5].split(","))) for w in lines]


# --- places that change -----------------------------------------------------------------


@pytest.mark.parametrize("target", ["outside", "inside"])
def test_targets_of_mounts_change_all_the_time(nsrun: Runtime, bundle: Bundle, victim: Victim, target: str) -> None:
    """CVE-2021-30465, CVE-2024-45310: sixty mounts a start, each of which may meet the link in another moment."""
    (bundle.root / "data/place/below").mkdir(parents=True)
    (bundle.root / "data/link").symlink_to(victim if target == "outside" else f"../../../../../..{victim}")
    for number in range(20):
        bind(bundle, "/etc/hostname", f"/data/place/file{number}")
        bind(bundle, "/etc", f"/data/place/new{number}/folder", "ro")
        bundle.spec["mounts"].append({"destination": "/data/place/below", "type": "tmpfs", "options": ["tmpcopyup"]})
    bundle.write()
    with swapping(bundle.root / "data", b"place", b"link"):
        for _attempt in range(10):
            with created(nsrun, bundle) as pid:
                assert not [each for each in mounts_of(pid or os.getpid()) if str(victim) in each.place]
                assert not [each for each in mounts_of(os.getpid()) if str(victim) in each.place]


def test_proc_of_the_root_changes_all_the_time(nsrun: Runtime, bundle: Bundle) -> None:
    """CVE-2019-19921, CVE-2025-31133: what is to be hidden and read-only is so in the kernel's own, not in a false one.

    In another mount namespace, a directory can be renamed though something is mounted on it here.
    """
    hidden = ["interrupts", "timer_list", "version"]
    (bundle.root / "false/sys").mkdir(parents=True)
    for name in hidden:
        (bundle.root / "false" / name).touch()
    bundle.spec["linux"]["maskedPaths"] = [f"/proc/{name}" for name in hidden]
    bundle.write()
    seen = 0
    with swapping(bundle.root, b"proc", b"false"):
        for _attempt in range(20):
            with created(nsrun, bundle) as pid:
                if pid:
                    mounted = mounts_of(pid)
                    (proc,) = [each for each in mounted if (each.kind, each.root) == ("proc", "/")]
                    covers = [each.place.rpartition("/")[2] for each in mounted if each.above == proc.number]
                    assert sorted(covers) == sorted([*hidden, "sys"])
                    seen += 1
    assert seen, "no container was ever made, so this proves nothing"


@pytest.mark.parametrize("mounted", [True, False])
@pytest.mark.parametrize("above", ["", "../../../../../.."])
def test_dev_is_a_link(nsrun: Runtime, bundle: Bundle, victim: Victim, mounted: bool, above: str) -> None:
    """CVE-2026-41579, CVE-2026-47766: devices and links were made at the end of it, some on the host."""
    if not mounted:
        without(bundle, "/dev", "/dev/pts")
    (bundle.root / "dev").rmdir()
    (bundle.root / "dev").symlink_to(f"{above}{victim}")
    nsrun.refuses("run", "-b", str(bundle.write("true")), "case")


@pytest.mark.parametrize("name", ["null", "console", "ptmx", "pts"])
def test_things_in_dev_without_a_mount_are_links(nsrun: Runtime, bundle: Bundle, victim: Victim, name: str) -> None:
    """CVE-2026-88264, CVE-2026-88265, CVE-2025-52565: nothing at their end is opened, given away or mounted on."""
    without(bundle, "/dev", "/dev/pts")
    (bundle.root / "dev" / name).symlink_to(f"../../../../../../..{victim}/null")
    (bundle.root / "data/inside").write_text("untouched")
    bundle.spec["linux"]["maskedPaths"] = ["/proc/timer_list"]
    with console(bundle) as (place, _listener):
        done = nsrun.call("create", "--console-socket", place, "-b", str(bundle.write(terminal=True)), "case")
        assert done.returncode != 0
        assert "Traceback" not in done.stderr


@contextlib.contextmanager
def console(bundle: Bundle) -> t.Iterator[tuple[str, socket.socket]]:
    """A console socket."""
    place = str(bundle.directory / "console")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        yield place, listener


def test_console_of_a_shared_dev_changes_all_the_time(nsrun: Runtime, bundle: Bundle, victim: Victim) -> None:
    """CVE-2025-52565: what is mounted on ``/dev/console``, and where, with a ``/dev`` that an enemy has, too."""
    shared = bundle.directory / "shared"
    (shared / "pts").mkdir(parents=True)
    (shared / "link").symlink_to(f"../../../../../..{victim}/file")
    (shared / "other").symlink_to("/proc/sys/kernel/domainname")
    (shared / "console").touch()
    without(bundle, "/dev", "/dev/pts")
    bind(bundle, shared, "/dev")
    entry = {"type": "devpts", "source": "devpts", "destination": "/dev/pts", "options": ["newinstance"]}
    bundle.spec["mounts"].append(entry)
    bundle.write(terminal=True)
    with console(bundle) as (place, _listener), swapping(shared, b"console", b"link"):
        for _attempt in range(10):
            with swapping(shared, b"console", b"other"):
                done = nsrun.call("run", "--detach", "--console-socket", place, "-b", str(bundle.directory), "case")
            assert "Traceback" not in done.stderr
            if done.returncode == 0:
                pid = nsrun.state("case")["pid"]
                (terminal,) = [each.place for each in mounts_of(pid) if each.kind == "devpts" and each.root != "/"]
                assert os.path.dirname(terminal) == "/dev"
            nsrun("delete", "--force", "case")


# --- what we open for the container -------------------------------------------------------


@pytest.fixture
def own_root(clean_host: None) -> t.Iterator[pathlib.Path]:
    """A root for containers that the library starts, or the module."""
    del clean_host
    oci.make_root()
    yield pathlib.Path(oci.ROOT)
    oci.remove_root()


@pytest.mark.parametrize("target", ["/proc/self/fd/300", "/proc/thread-self/fd/300", "/srv/plain"])
def test_null_is_what_is_called_so(own_root: pathlib.Path, victim: Victim, tmp_path: pathlib.Path, target: str) -> None:
    """CVE-2026-88265: what the payload gets as its standard input is a file that its starter has open."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/null").symlink_to(target)
    (own_root / "srv/plain").write_text("untouched")
    given = os.dup2(os.open(victim / "file", os.O_RDWR), 300)
    spec = oci.described({"destination": "/dev", "source": str(tmp_path / "dev"), "options": ["rbind"]})
    spec["mounts"] = [each for each in spec["mounts"] if not each["destination"].startswith("/dev/")]
    spec["linux"]["maskedPaths"] = []
    spec["process"]["args"] = ["/bin/sh", "-c", "echo stolen >&0; exec sleep 1000"]
    try:
        assert "dev/null" in oci.refusal(spec)
    finally:
        os.close(given)


def test_keys_of_the_caller_are_not_the_container_s(nsrun: Runtime, bundle: Bundle, own_root: pathlib.Path) -> None:
    """The session keyring is inherited; who is root in both reads its keys, in a command in the container, too."""
    code = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"  # keyctl(KEYCTL_GET_KEYRING_ID, session)
    libc = ctypes.CDLL(None)
    assert libc.syscall(250, 1, b"secret") > 0
    ours = {libc.syscall(250, 0, -3, 0), -1}
    nsrun.create("case", bundle.write("sleep", "1000"))
    nsrun("start", "case")
    found = int(nsrun("exec", "case", PYTHON, "-c", code))
    assert found not in ours
    assert int(nsrun("run", "-b", str(bundle.write(PYTHON, "-c", code)), "other")) not in ours
    spec = oci.described()
    del spec["linux"]["seccomp"]
    spec["process"]["args"] = ["/bin/sh", "-c", f"{PYTHON} -c '{code}' >/srv/found; exec sleep 1000"]
    with oci.running(spec):
        place = own_root / "srv/found"
        world.until(lambda: place.exists() and place.read_text())
        assert int(place.read_text()) not in ours
        told = invoke("container_exec", {"name": "case", "command": [PYTHON, "-c", code]})
        assert int(told["stdout"]) not in ours


FALSE_PROC = ("sys/net/ipv4/ip_forward", "self/oom_score_adj", "thread-self/oom_score_adj", "1/oom_score_adj")


def false_proc(place: pathlib.Path, victim: Victim) -> pathlib.Path:
    """What an enemy mounts over ``/proc``: what is written there goes to the victim's files."""
    for name in FALSE_PROC:
        (place / name).parent.mkdir(parents=True)
        (place / name).symlink_to(f"../../../../../../../../../../{victim}/{name.rpartition('/')[2]}")
    return place


def test_parameters_are_the_kernel_s_own(nsrun: Runtime, bundle: Bundle, victim: Victim) -> None:
    """CVE-2025-52881: ``/proc`` has something else mounted on it when kernel parameters are set."""
    before = pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text()
    other = "1" if before.strip() == "0" else "0"
    bind(bundle, false_proc(bundle.root / "proc", victim), "/proc")
    bundle.spec["linux"].update(sysctl={"net.ipv4.ip_forward": other}, maskedPaths=[], readonlyPaths=[])
    pid = nsrun.create("case", bundle.write())
    assert world.sh(f"nsenter --net --target {pid} cat /proc/sys/net/ipv4/ip_forward").strip() == other
    assert pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text() == before


def test_labels_go_to_the_kernel(own_root: pathlib.Path, victim: Victim, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2019-16884, CVE-2019-19921: the label of a security module was written to a false ``/proc``.

    This kernel has no such module; so what is written, the same way, is a score that shows where it went.
    """

    def prepare(setup: t.Any, process: object) -> None:
        del process
        setup.label, setup.label_file = b"777", "oom_score_adj"

    monkeypatch.setattr(labels, "prepare", prepare)
    place = false_proc(own_root / "srv/proc", victim)
    spec = oci.described({"destination": "/proc", "source": str(place), "options": ["bind"]}, maskedPaths=[])
    spec["linux"]["readonlyPaths"] = []
    spec["process"]["selinuxLabel"] = "u:r:t:s0"
    with oci.running(spec) as container:
        assert pathlib.Path(f"/proc/{container.pid}/oom_score_adj").read_text() == "777\n"


# --- terminals ------------------------------------------------------------------------------

#: Tries to put a word into the terminal that is its standard input, and tells what came of it.
INJECT = """
import errno, fcntl, os, termios
def attempt(what, *arguments):
    try:
        what(*arguments)
        print("done", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
attempt(fcntl.ioctl, 0, termios.TIOCSCTTY, 0)
attempt(fcntl.ioctl, 0, termios.TIOCSCTTY, 1)
attempt(os.open, "/dev/tty", os.O_RDWR)
for letter in "id;\\n":
    attempt(fcntl.ioctl, 0, termios.TIOCSTI, letter)
attempt(fcntl.ioctl, 0, termios.TIOCLINUX, b"\\3" + bytes(20))
print(open("/proc/self/stat").read().rpartition(")")[2].split()[4])
"""


@pytest.mark.parametrize("further", [False, True])
def test_nothing_is_typed_into_the_callers_terminal(nsrun: Runtime, bundle: Bundle, further: bool) -> None:
    """CVE-2017-5226, CVE-2019-10063: the terminal is standard input, but not the one that controls the payload."""
    script = [PYTHON, "-IS", "-c", f"import sys; sys.stdout = open('/data/told', 'w')\n{INJECT}"]
    words = ["run", "-b", str(bundle.write(*script)), "case"]
    if further:
        nsrun.create("case", bundle.write("sleep", "1000"))
        nsrun("start", "case")
        words = ["exec", "case", *script]
    pid, master = pty.fork()
    if pid == 0:
        os.execv(nsrun.program[0], [*nsrun.program, *words])
    slave = os.open(f"/dev/pts/{pts_number(master)}", os.O_RDWR | os.O_NOCTTY)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert waiting(slave) == 0, "something was typed"
    told = (bundle.root / "data/told").read_text().split()
    assert told == ["EPERM", "EPERM", "ENXIO", *["EPERM"] * 4, "ENOTTY", "0"]
    os.close(slave)
    os.close(master)


def pts_number(master: int) -> int:
    """Number of the other end of a terminal (TIOCGPTN)."""
    return int(struct.unpack("=I", fcntl.ioctl(master, 0x80045430, bytes(4)))[0])


def waiting(terminal: int) -> int:
    """Bytes that a program would read from a terminal (FIONREAD)."""
    return int(struct.unpack("=i", fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)))[0])


# --- what the payload gets ---------------------------------------------------------------------

#: Everything that a process may inherit and should not.
STATUS = "grep -E '^(Cap|NoNewPrivs|Groups)' /proc/self/status"


def sets_of(lines: str) -> dict[str, str]:
    """Lines of ``/proc/PID/status`` by their names."""
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines.splitlines())}


def test_rights_of_the_caller_are_not_inherited(nsrun: Runtime, bundle: Bundle) -> None:
    """CVE-2022-24769, CVE-2022-27649, CVE-2022-27650, CVE-2022-29162: by a start; by a command that has one more."""
    rich = "setpriv --inh-caps +chown,+sys_admin --ambient-caps +chown,+sys_admin --groups 4,27 --"
    caller = Runtime(*rich.split(), *nsrun.program)
    assert int(sets_of(world.sh(f"{rich} {STATUS}"))["CapAmb"], 16), "the caller has nothing that could be inherited"
    wanted = f"{sum(1 << capability.NAMES.index(name) for name in CAPABILITIES):016x}"
    nothing = {"CapInh": "0" * 16, "CapAmb": "0" * 16, "Groups": "", "NoNewPrivs": "1"}
    expected = {**nothing, **dict.fromkeys(("CapPrm", "CapEff", "CapBnd"), wanted)}
    assert sets_of(caller("run", "-b", str(bundle.write("sh", "-c", STATUS)), "other")) == expected
    nsrun.create("case", bundle.write("sleep", "1000"))
    nsrun("start", "case")
    assert sets_of(caller("exec", "case", "sh", "-c", STATUS)) == expected
    more = sets_of(caller("exec", "--cap", "CAP_NET_RAW", "case", "sh", "-c", STATUS))
    assert {name: more[name] for name in nothing} == nothing
    assert int(more["CapBnd"], 16) == int(wanted, 16) | 1 << capability.NAMES.index("CAP_NET_RAW")
    as_user = sets_of(caller("exec", "-u", "5:6", "--cap", "CAP_NET_RAW", "case", "sh", "-c", STATUS))
    assert as_user["CapEff"] == as_user["CapPrm"] == "0" * 16


#: The capability to change owners, permitted and effective (capabilities(7), "File capability extended attribute").
CHOWN_OF_A_FILE = struct.pack("<5I", 0x02000001, 1, 0, 0, 0)


def test_a_program_with_rights_of_its_own_gains_none(nsrun: Runtime, bundle: Bundle) -> None:
    """A command is not more than the container: no program in it makes it so, by its mode or by its capabilities."""
    for name in ("suid", "caps"):
        shutil.copy("/usr/bin/grep", bundle.root / "data" / name)
    (bundle.root / "data/suid").chmod(0o4755)
    os.setxattr(bundle.root / "data/caps", "security.capability", CHOWN_OF_A_FILE)
    nsrun.create("case", bundle.write("sleep", "1000"))
    nsrun("start", "case")
    for name in ("suid", "caps"):
        words = [f"/data/{name}", "-E", "^(CapEff|Uid)", "/proc/self/status"]
        told = sets_of(nsrun("exec", "-u", "5:6", "case", *words))
        assert told == {"Uid": "5\t5\t5\t5", "CapEff": "0" * 16}


# --- a process that joins -------------------------------------------------------------------

#: Looks at every other process as closely as it is let, as fast as it can, and writes down what it got hold of.
SPY = """
import ctypes, os, time
ptrace = ctypes.CDLL(None).ptrace
seen, end = set(), time.monotonic() + 60
me = os.getpid()
open("/data/ready", "w").close()
while time.monotonic() < end and not os.path.exists("/data/enough"):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == me:
            continue
        for name in ("exe", "cwd", "root"):
            try:
                seen.add(os.readlink(f"/proc/{pid}/{name}"))
            except OSError:
                pass
        try:
            seen.update(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            pass
        if ptrace(0x4206, int(pid), 0, 0) == 0:  # PTRACE_SEIZE
            try:
                seen.add(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                pass
            ptrace(0x4207, int(pid), 0, 0)  # PTRACE_INTERRUPT
            os.waitpid(int(pid), 0x40000000)  # __WALL: its stop, or its end
            ptrace(17, int(pid), 0, 0)  # PTRACE_DETACH
with open("/data/told", "w") as file:
    file.write("\\n".join(sorted(seen)))
"""


#: What it may see: the command itself with its library, and the sealed program that executes it.
HARMLESS = re.compile(
    r"/|/data/done|/dev/null|pipe:.*|/memfd:start \(deleted\)|/etc/ld\.so\.cache|/usr/lib/.*\.so[.\d]*"
)


@pytest.mark.parametrize("mapped", [False, True])
def test_nobody_gets_hold_of_a_process_that_joins(nsrun: Runtime, bundle: Bundle, mapped: bool) -> None:
    """CVE-2016-9962, CVE-2019-5736: its descriptors, its memory and its program are the host's until the very end."""
    if mapped:
        own_users(bundle)
    shutil.copy("/usr/bin/true", bundle.root / "data/done")
    nsrun.create("case", bundle.write(PYTHON, "-IS", "-c", SPY))
    nsrun("start", "case")
    world.until((bundle.root / "data/ready").exists)
    for _attempt in range(20):
        nsrun("exec", "case", "/data/done")
    (bundle.root / "data/enough").touch()
    world.until((bundle.root / "data/told").exists)
    told = set((bundle.root / "data/told").read_text().splitlines())
    assert [each for each in told if not HARMLESS.fullmatch(each)] == []


@pytest.mark.parametrize("mapped", [False, True])
def test_the_payload_is_never_the_host_s_program(nsrun: Runtime, bundle: Bundle, mapped: bool) -> None:
    """CVE-2019-5736: by a script whose interpreter is whatever executes it, at the start and by a command."""
    programs = [os.path.realpath(sys.executable), nsrun.program[0]]
    before = [sha256(each) for each in programs]
    if mapped:
        own_users(bundle)
    (bundle.root / "data/evil").write_text("#!/proc/self/exe\n")
    (bundle.root / "data/evil").chmod(0o755)
    assert "cannot be executed" in nsrun.refuses("run", "-b", str(bundle.write("/data/evil")), "case")
    script = "readlink /proc/$$/exe /proc/1/exe; for pid in 1 $$; do echo x >/proc/$pid/exe; done"
    nsrun.create("case", bundle.write("sleep", "1000"))
    nsrun("start", "case")
    assert "cannot be executed" in nsrun.refuses("exec", "case", "/data/evil")
    done = nsrun.call("exec", "case", "sh", "-c", script)
    assert "python" not in done.stdout
    assert done.stderr.count("annot create") == 2, done.stderr
    assert [sha256(each) for each in programs] == before


@pytest.mark.parametrize("way", [".", "..", "link"])
def test_the_directory_of_a_command_is_never_outside(nsrun: Runtime, bundle: Bundle, way: str) -> None:
    """CVE-2024-21626: by the descriptors of whoever starts a command, and by a link in the image to one of them."""
    nsrun.create("case", bundle.write("sleep", "1000"))
    nsrun("start", "case")
    for number in range(3, 21):
        (bundle.root / "data/link").unlink(missing_ok=True)
        (bundle.root / "data/link").symlink_to(f"/proc/self/fd/{number}")
        where = "/data/link" if way == "link" else f"/proc/self/fd/{number}/{way}"
        assert "cwd" in nsrun.refuses("exec", "--cwd", where, "case", "pwd")


# --- what looks, and what takes away ----------------------------------------------------


def test_who_only_looks_does_not_enter(nsrun: Runtime, bundle: Bundle, tmp_path: pathlib.Path) -> None:
    """CVE-2022-1227: a command that tells of a container executed a program of it, with the host's rights."""
    (bundle.root / "data/ps").write_text("#!/bin/sh\necho >/data/marker\n")
    (bundle.root / "data/ps").chmod(0o755)
    nsrun.create("case", bundle.write("sleep", "1000", env=["PATH=/data:/usr/bin:/bin"]))
    nsrun("start", "case")
    calls = "trace=execve,execveat,setns,chroot,pivot_root,unshare,clone3"
    watched = Runtime("strace", "-f", "-qq", "-o", str(tmp_path / "trace"), "-e", calls, *nsrun.program)
    words = (["ps", "case"], ["state", "case"], ["list"], ["events", "--stats", "case"], ["pause", "case"],
             ["resume", "case"], ["update", "--pids-limit", "50", "case"], ["kill", "case", "KILL"])  # fmt: skip
    for each in words:
        watched(*each)
        trace = (tmp_path / "trace").read_text()
        assert not re.search(r"(setns|chroot|pivot_root|unshare|clone3)\(", trace), trace
        programs = re.findall(r'execve(?:at)?\("([^"]*)"', trace)
        assert {os.path.basename(program) for program in programs} <= {"nsrun", "python", "python3", "ps"}, trace
        assert not [program for program in programs if program.startswith("/data")]


def test_no_socket_is_open_to_all(nsrun: Runtime, bundle: Bundle) -> None:
    """CVE-2020-15257: an abstract socket is reached from every container that has the host's network."""
    before = set(re.findall(r"@\S+", world.sh("ss -xlH")))
    nsrun.create("case", bundle.write("sleep", "1000"))
    assert set(re.findall(r"@\S+", world.sh("ss -xlH"))) == before
    nsrun("start", "case")
    assert set(re.findall(r"@\S+", world.sh("ss -xlH"))) == before


def test_state_is_root_s_alone(nsrun: Runtime, bundle: Bundle) -> None:
    """CVE-2021-41103: nobody else starts a container, or reads what it was given; no program of its root is reached."""
    root = "/srv/state"
    elsewhere = Runtime(nsrun.program[0], "--root", root)
    elsewhere.create("case", bundle.write("sleep", "1000"))
    for name in ("config.json", "start", "waiting", "stage"):
        assert os.path.exists(f"{root}/case/{name}")
        world.sh(f"! setpriv --reuid 65534 --regid 65534 --clear-groups ls {root}/case/{name}")
    elsewhere("delete", "--force", "case")
    os.rmdir(root)


@pytest.mark.parametrize(("mode", "owner"), [(0o755, 65534), (0o777, 0), (0o775, 0)])
def test_state_that_others_can_change_is_not_believed(
    nsrun: Runtime, bundle: Bundle, tmp_path: pathlib.Path, mode: int, owner: int
) -> None:
    """Who can write there says what is killed, and which hooks are run, with root's rights."""
    place = tmp_path / "theirs"
    place.mkdir()
    place.chmod(mode)
    os.chown(place, owner, 0)
    theirs = Runtime(nsrun.program[0], "--root", str(place))
    for words in (["create", "-b", str(bundle.write()), "case"], ["delete", "--force", "case"], ["state", "case"]):
        assert "others" in theirs.refuses(*words)
    assert os.listdir(place) == []


def test_groups_of_commands_are_below_the_container_s(nsrun: Runtime, bundle: Bundle) -> None:
    nsrun.create("case", bundle.write("sleep", "1000"))
    nsrun("start", "case")
    for path in ("..", "../..", "a/../../..", "/.."):
        assert "below the container's own group" in nsrun.refuses("exec", "--cgroup", path, "case", "true")


@pytest.mark.parametrize("note", ["user", "groups", "overlay", "idmap"])
def test_annotations_do_not_say_who_runs(nsrun: Runtime, bundle: Bundle, note: str) -> None:
    """Whoever may annotate a container may not say what else it is."""
    bundle.spec["annotations"] = {f"nsfleet.linux/{note}": "0" if note in ("user", "groups") else "tmpfs"}
    bundle.write("sh", "-c", "id -u; id -G; echo >/data/mark", user={"uid": 5, "gid": 6})
    (bundle.root / "data").chmod(0o777)
    assert f"annotations[nsfleet.linux/{note}]" in nsrun.refuses("run", "-b", str(bundle.directory), "case")


# --- options, layers, devices --------------------------------------------------------------


@pytest.mark.parametrize("word", ["size=1k,mode=777", "mode=755,uid=5", "size=1k\nmode=777"])
def test_one_option_is_one_option(nsrun: Runtime, bundle: Bundle, word: str) -> None:
    """CVE-2024-9407 and its kin: a comma in an option made another one of the rest."""
    bundle.spec["mounts"].append({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": [word]})
    assert "/data" in nsrun.refuses("run", "-b", str(bundle.write("true")), "case")


@pytest.mark.parametrize("overlay", ["tmpfs", "disk"])
@pytest.mark.parametrize("name", ["a:b", "a,upperdir=b", "a\\:b", "a\\,b", 'a"b', "a\nb"])
def test_a_layer_s_name_is_a_name(own_root: pathlib.Path, overlay: str, name: str) -> None:
    """CVE-2024-9407: the name of a directory was read as several, or as options."""
    place = own_root / "srv" / name
    for folder in ("usr", "bin", "lib", "lib64", "proc", "sys", "dev", "tmp", "its own"):
        (place / folder).mkdir(parents=True)
    mounts = [{"destination": f"/{each}", "source": f"/{each}", "options": ["rbind", "ro"]}
              for each in ("usr", "bin", "lib", "lib64")]  # fmt: skip
    options = {"name": "case", "rootfs": str(place), "overlay": overlay, "mounts": mounts, "stop_signal": "KILL"}
    laws.run("container", {**options, "command": ["/bin/sleep", "1000"]})
    told = invoke("container_exec", {"name": "case", "command": ["/bin/ls", "/"]})["stdout"]
    laws.run("container", {"name": "case", "state": "absent"})
    assert "its own" in told.splitlines()


def test_a_layer_is_removed_whatever_is_in_it(own_root: pathlib.Path, victim: Victim) -> None:
    """CVE-2024-23652: links are not followed when it goes; and what is nested deeper than any path goes, too."""
    del own_root
    script = f"import os\nos.chdir('/srv')\nos.symlink('{victim}', 'l')\nos.symlink('{victim}/file', 'f')\n"
    script += "for _ in range(3000):\n os.mkdir('d' * 40); os.chdir('d' * 40)\nopen('/srv/made', 'w')\n"
    options = {"name": "case", "rootfs": oci.ROOT, "overlay": "disk", "mounts": [oci.USR], "stop_signal": "KILL"}
    laws.run("container", {**options, "command": [PYTHON, "-c", f"{script}import time; time.sleep(1000)"]})
    world.until(lambda: os.path.exists("/var/lib/nsfleet/containers/case/upper/srv/made"))
    laws.run("container", {"name": "case", "state": "absent"})
    assert not os.path.exists("/var/lib/nsfleet/containers/case")


#: Makes a node of every device that is given, and opens it; tells what it could open.
DEVICES = """
import os, stat, sys
for word in sys.argv[1:]:
    kind, major, minor = word[0], *map(int, word[1:].split(":"))
    try:
        os.mknod("/data/node", (stat.S_IFBLK if kind == "b" else stat.S_IFCHR) | 0o666, os.makedev(major, minor))
        os.close(os.open("/data/node", os.O_RDONLY | os.O_NONBLOCK))
        print(word)
    except PermissionError:
        pass
    except OSError:  # it was let through, and there is no such device
        print(word)
    finally:
        os.unlink("/data/node")
"""


def test_no_device_of_the_host_is_opened(nsrun: Runtime, bundle: Bundle) -> None:
    """A node of every disk and of the kernel's memory can be made inside, by its number, and is of no use."""
    lines = [line.split() for line in pathlib.Path("/proc/partitions").read_text().splitlines()[2:]]
    devices = [*(f"b{words[0]}:{words[1]}" for words in lines), "c1:1", "c1:11", "c10:237", "c1:3"]
    script = [PYTHON, "-IS", "-c", DEVICES, *devices]
    for name in SETS:
        bundle.spec["process"]["capabilities"][name] = [*CAPABILITIES, "CAP_MKNOD"]
    assert nsrun("run", "-b", str(bundle.write(*script)), "case").split() == ["c1:3"]
    bundle.spec["linux"]["resources"] = {"devices": [{"allow": True, "access": "rwm"}]}
    assert len(nsrun("run", "-b", str(bundle.write(*script)), "case").split()) > 1, "there is nothing to be opened"


# --- control groups ----------------------------------------------------------------------


def test_groups_of_the_host_are_not_written_to(nsrun: Runtime, bundle: Bundle) -> None:
    """CVE-2022-0492, CVE-2023-25809: by who may mount in a user namespace, and without a control group namespace."""
    own_users(bundle)
    everything = sorted(capability.NAMES)
    for name in SETS:
        bundle.spec["process"]["capabilities"][name] = everything
    bundle.spec["linux"]["namespaces"] = [n for n in bundle.spec["linux"]["namespaces"] if n["type"] != "cgroup"]
    entry = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}
    (bundle.root / "sys/fs/cgroup").mkdir(parents=True)
    bundle.spec["mounts"].append(entry)
    script = """
        exec 2>/dev/null
        for kind in rdma memory pids devices freezer name=systemd; do
            mkdir -p /tmp/$kind && mount -t cgroup -o $kind none /tmp/$kind
        done
        mkdir /tmp/two && mount -t cgroup2 none /tmp/two
        for folder in $(find /sys/fs/cgroup /tmp -type d); do
            mkdir $folder/escape
            echo /data/evil >$folder/release_agent && echo "agent $folder"
        done
        exit 0
    """
    rm = "find /sys/fs/cgroup -depth -name escape"
    agents = "cat $(find /sys/fs/cgroup -maxdepth 2 -name release_agent) /dev/null"
    before = world.sh(agents)
    said = nsrun("run", "--keep", "-b", str(bundle.write("sh", "-c", script)), "case")
    made = world.sh(rm).split()
    nsrun("delete", "--force", "case")
    assert world.sh(agents) == before
    assert [line for line in said.splitlines() if "/tmp/two" not in line and "release" in line] == []
    assert made == [], "groups of the host could be written to"


# --- exhaustion ------------------------------------------------------------------------------


#: Ignores every signal, and makes processes that do the same, in sessions of their own, for ever.
BOMB = """
import os, signal, time
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
while True:
    try:
        if os.fork() == 0:
            os.setsid()
    except OSError:
        time.sleep(0.1)
"""


@pytest.mark.parametrize("own_pids", [True, False])
def test_a_bomb_that_hears_nothing(nsrun: Runtime, bundle: Bundle, own_pids: bool) -> None:
    """Its limit holds, it is told from outside what is going on, and all of it is ended."""
    bundle.spec["linux"]["resources"] = {"pids": {"limit": 30}}
    if not own_pids:
        bundle.spec["linux"]["namespaces"] = [n for n in bundle.spec["linux"]["namespaces"] if n["type"] != "pid"]
    nsrun.create("case", bundle.write(PYTHON, "-IS", "-c", BOMB, "bomb-1013"))
    nsrun("start", "case")
    world.until(lambda: len(bombs()) == 30)
    nsrun("kill", "case", "TERM")
    assert nsrun.status("case") == "running"
    assert len(json.loads(nsrun("ps", "-f", "json", "case"))) == 30
    assert "Cannot fork" in nsrun.refuses("exec", "case", "sh", "-c", "true & wait")
    nsrun("delete", "--force", "case")
    world.until(lambda: not bombs())


def bombs() -> list[str]:
    """Pids of its processes, as the host sees them."""
    return world.sh("pgrep -f 'bomb-101[3]' || true").split()


def test_files_are_no_longer_than_they_may_be(nsrun: Runtime, bundle: Bundle, tmp_path: pathlib.Path) -> None:
    """Neither what the payload writes itself nor its output, in the file that it goes to."""
    limits = [{"type": "RLIMIT_FSIZE", "soft": 1 << 20, "hard": 1 << 20}]
    script = "trap '' XFSZ; cat /dev/zero >/data/file; cat /dev/zero"
    with open(tmp_path / "output", "wb") as output:
        words = [*nsrun.program, "run", "-b", str(bundle.write("sh", "-c", script, rlimits=limits)), "case"]
        subprocess.run(words, stdout=output, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, check=False)
    assert (tmp_path / "output").stat().st_size == (bundle.root / "data/file").stat().st_size == 1 << 20


# --- a start, call by call ----------------------------------------------------------------------


@pytest.mark.parametrize("further", [False, True])
def test_nothing_is_loaded_between_the_first_namespace_and_the_payload(
    nsrun: Runtime, bundle: Bundle, tmp_path: pathlib.Path, further: bool
) -> None:
    """CVE-2019-14271: after that, whatever is imported, looked up or loaded could be the container's own."""
    mark = "/usr/bin/true"
    if further:
        nsrun.create("case", bundle.write("sleep", "1000"))
        nsrun("start", "case")
    watched = Runtime("strace", "-f", "-qq", "-o", str(tmp_path / "trace"), *nsrun.program)
    words = ["exec", "case", mark] if further else ["run", "-b", str(bundle.write(mark)), "case"]
    watched(*words)
    inside = calls_inside(tmp_path / "trace", mark)
    opened = [line for line in inside if re.match(r"open(at2?)?\(", line) and "ENOENT" not in line]
    files = [name for line in opened for name in re.findall(r'"([^"]*)"', line)]
    assert files
    assert not [name for name in files if re.search(r"\.(py|pyc|so|zip)\b|python|/etc/|locale|nsrun$", name)], files
    assert not [line for line in inside if "PROT_EXEC" in line], "a library was loaded"
    assert not [line for line in inside if line.startswith("write(2,")], "something was logged"


def calls_inside(trace: pathlib.Path, program: str) -> list[str]:
    """System calls of the processes of a start, from where they leave the host's namespaces to the payload.

    :param trace: what ``strace -f`` wrote: pid and call a line.
    :param program: the payload.
    """
    lines = [line.split(maxsplit=1) for line in trace.read_text().splitlines()]
    entered, found = set(), []
    for pid, call in lines:
        if re.match(r"(setns|unshare)\(.*NEW(NS|PID|NET|UTS|IPC|CGROUP)", call):
            entered.add(pid)
        if pid in entered or call.startswith("prctl(PR_SET_DUMPABLE"):
            entered.add(pid)
            found.append(call)
        if f'execve("{program}"' in call or f'["{program}"' in call:
            entered.discard(pid)
    return found


# --- archives ------------------------------------------------------------------------------------


def archive_of(place: pathlib.Path, *members: tuple[str, bytes, str]) -> None:
    """An archive with members that Python's own tools would write, too: name, type and link or content."""
    with tarfile.open(place, "w") as archive:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o666
            if kind == tarfile.REGTYPE:
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
            else:
                member.linkname = text
                archive.addfile(member)


FILE, LINK, HARD = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
#: ``V`` is the victim's directory, ``U`` as many ways up as there may be.
ARCHIVES: dict[str, list[tuple[str, bytes, str]]] = {
    "a way up": [("U/V/file", FILE, "x"), ("a/../U/V/file", FILE, "x")],
    "absolute": [("V/file", FILE, "x"), ("//V/new", FILE, "x")],
    "through a link": [("a", LINK, "V"), ("a/file", FILE, "x"), ("a/new", FILE, "x")],
    "through a relative link": [("a", LINK, "U/V"), ("a/new", FILE, "x")],
    "through two links": [("a", LINK, "."), ("a/b", LINK, "U"), ("a/b/V/new", FILE, "x")],
    "a link in place of the root": [("/.", LINK, "V"), ("file", FILE, "x")],
    "a dot that is a link": [(".", LINK, "V"), ("./file", FILE, "x")],
    "over a link": [("a", LINK, "V/file"), ("a", FILE, "x")],
    "a hard link": [("a", HARD, "V/file"), ("a", FILE, "x")],
    "a hard link up": [("a", HARD, "U/V/file"), ("a", FILE, "x")],
    "a hard link through a link": [("a", LINK, "V"), ("b", HARD, "a/file"), ("b", FILE, "x")],
    "a longer path than can be": [
        (f"{'d' * 200}/" * 30 + "a", LINK, "U/V"),
        (f"{'d' * 200}/" * 30 + "a/new", FILE, ""),
    ],
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_stay_where_they_are_unpacked(tmp_path: pathlib.Path, victim: Victim, name: str) -> None:
    """CVE-2021-29136, CVE-2007-4559, CVE-2025-4517: whether module ``rootfs`` takes or refuses one."""

    def aimed(word: str) -> str:
        return word.replace("V", str(victim).lstrip("/") if "U" in word else str(victim)).replace("U", "../" * 12)

    members = [(aimed(path), kind, aimed(text)) for path, kind, text in ARCHIVES[name]]
    archive_of(tmp_path / "root.tar", *members)
    made = invoke("rootfs", {"path": str(tmp_path / "root"), "archive": str(tmp_path / "root.tar")})
    assert {each.name for each in tmp_path.iterdir()} == {"root.tar", "victim", *([] if made.failed else ["root"])}
    laws.run("rootfs", {"path": str(tmp_path / "root"), "state": "absent"})
