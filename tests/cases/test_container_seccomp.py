# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel refuses a container: payloads that make system calls, and say what they were answered."""

from __future__ import annotations

import array
import fcntl
import json
import os
import pathlib
import shutil
import socket
import struct
import threading
import time
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import stub
from support import laws, world
from support.invoke import invoke

Options = dict[str, t.Any]

FOLDER = pathlib.Path("/srv/calls")
BUNDLE = "/var/lib/nsfleet/containers/case"
BASE: Options = {"name": "case", "rootfs": "/", "overlay": "tmpfs"}
REFUSED, NOT_THERE = 1, 38  # EPERM, ENOSYS
BEYOND = 900  #: the number of a system call that there is not

#: Calls with arguments that no kernel takes, or that hurt nobody: name to number on x86-64, arguments, and what the
#: kernel answers where nothing filters (0: it is done). None needs a capability to come so far.
CALLS: dict[str, tuple[int, tuple[int, ...], int]] = {
    "unshare": (272, (0x10000000,), 0),  # CLONE_NEWUSER
    "clone": (56, (0x10000200,), 22),  # CLONE_NEWUSER with CLONE_FS
    "clone3": (435, (0, 0), 22),
    "setns": (308, (-1, 0), 9),
    "mount": (165, (0, 0, 0, 0, 0), 14),
    "keyctl": (250, (0, -2, 0), 126),  # the process's keyring, which is not there
    "add_key": (248, (0, 0, 0, 0, 0), 14),
    "request_key": (249, (0, 0, 0, 0), 14),
    "io_uring_setup": (425, (0, 0), 14),
    "personality": (135, (0x40000,), 0),  # ADDR_NO_RANDOMIZE
    "newer than all": (BEYOND, (), NOT_THERE),
    "mkdir": (83, (0, 0), 14),
    "personality?": (135, (0xFFFFFFFF,), 0),
}
ANSWERS = {name: answer for name, (_number, _arguments, answer) in CALLS.items()}
#: Under the default profile.
DEFAULT = {
    **dict.fromkeys(ANSWERS, REFUSED), "clone3": NOT_THERE, "newer than all": NOT_THERE, "mkdir": 14, "personality?": 0,
}  # fmt: skip

PAYLOAD = """
import ctypes, json, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
for name, (number, arguments, _answer) in json.loads(sys.argv[1]).items():
    failed = libc.syscall(number, *map(ctypes.c_long, arguments)) == -1
    print(json.dumps([name, ctypes.get_errno() if failed else 0]), flush=True)
"""


def payload(*names: str) -> list[str]:
    """A command that makes calls one by one, and writes down the answers."""
    calls = {name: CALLS[name] for name in names or CALLS}
    return ["/usr/bin/python3", "-c", PAYLOAD, json.dumps(calls)]


def outcome(command: list[str], **options: t.Any) -> tuple[dict[str, int], int]:
    """The answers that a container wrote down, and its exit code."""
    laws.run("container", {**BASE, "command": command, **options})
    code = ended()
    with open(f"{BUNDLE}/log", encoding="utf-8") as log:
        answers = dict(json.loads(line) for line in log)
    laws.run("container", {"name": "case", "state": "absent"})
    return answers, code


def ended() -> int:
    """The exit code of the container, when it has one."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        (found,) = invoke("container_info", {"name": "case"})["containers"]
        if not found["running"] and found["exit_code"] is not None:
            return t.cast("int", found["exit_code"])
        time.sleep(0.02)
    raise AssertionError("it did not end")


def profile(*rules: Options, **words: t.Any) -> str:
    """The path of a profile that allows what no rule is for."""
    path = FOLDER / "profile.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules, **words}))
    return str(path)


def rule(names: str, action: str = "ERRNO", **words: t.Any) -> Options:
    """A rule of a profile."""
    return {"names": names.split(), "action": f"SCMP_ACT_{action}", **words}


@pytest.fixture(autouse=True)
def folder() -> t.Iterator[None]:
    """A place for profiles; a container that a failed test left is removed."""
    FOLDER.mkdir()
    yield
    invoke("container", {"name": "case", "state": "absent"})
    shutil.rmtree(FOLDER)


# --- the default, and none --------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"no_new_privs": False}, {"user": "daemon"}], ids=str)
def test_the_default_refuses_what_leads_out(options: Options) -> None:
    assert outcome(payload(), **options) == (DEFAULT, 0)


def test_unconfined_nothing_is_filtered() -> None:
    assert outcome(payload(), seccomp="unconfined") == (ANSWERS, 0)


def test_the_default_allows_what_a_capability_is_for() -> None:
    for_admins = {name: ANSWERS[name] for name in ("unshare", "clone", "clone3", "setns", "mount")}
    assert outcome(payload(), cap_add=["SYS_ADMIN"]) == ({**DEFAULT, **for_admins}, 0)


@pytest.mark.parametrize(
    ("family", "refused"), [("AF_ALG", True), ("AF_VSOCK", True), ("AF_INET", False), ("AF_NETLINK", False)]
)
def test_the_default_refuses_sockets_that_no_namespace_holds(family: str, refused: bool) -> None:
    """AF_ALG and AF_VSOCK; unconfined they are made, or this kernel lacks the family (EAFNOSUPPORT, 97)."""
    words = "import socket, sys\n"
    words += f"try: socket.socket(socket.{family}, 2 | 3 * (socket.{family} == 38))  # SOCK_DGRAM or SOCK_SEQPACKET\n"
    words += "except OSError as error: sys.exit(error.errno)"
    command = ["/usr/bin/python3", "-c", words]
    assert (outcome(command)[1] == REFUSED) == refused
    assert outcome(command, seccomp="unconfined")[1] != REFUSED


def test_all_processes_of_the_container_are_filtered() -> None:
    laws.run("container", {**BASE, "command": ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 31536000 & wait"]})
    first = world.sh("pgrep -of '^/bin/sh -c trap'").strip()
    child = world.sh(f"pgrep -P {first}").strip()
    lines = world.sh(f"grep -h ^Seccomp: /proc/{first}/status /proc/{child}/status").split()
    assert lines == ["Seccomp:", "2", "Seccomp:", "2"]
    laws.remove("container", {"name": "case"})


# --- profiles -----------------------------------------------------------------------


def test_a_profile_with_arguments() -> None:
    """Only the personality that it names, and the error that it says."""
    rules = [
        rule("personality", errnoRet=95, args=[{"index": 0, "op": "SCMP_CMP_EQ", "value": 0x40000}]),
        rule("mkdir keyctl", errnoRet=71),
    ]
    expected = {**ANSWERS, "personality": 95, "mkdir": 71, "keyctl": 71}
    assert outcome(payload(), seccomp=profile(*rules)) == (expected, 0)


def test_a_profile_with_conditions_of_docker() -> None:
    rules = [
        rule("mkdir", errnoRet=71, includes={"caps": ["CAP_NET_ADMIN"]}),
        rule("keyctl", errnoRet=72, excludes={"caps": ["CAP_NET_ADMIN"]}),
    ]
    path = profile(*rules)
    assert outcome(payload("mkdir", "keyctl"), seccomp=path) == ({"mkdir": ANSWERS["mkdir"], "keyctl": 72}, 0)
    more = outcome(payload("mkdir", "keyctl"), seccomp=path, cap_add=["NET_ADMIN"])
    assert more == ({"mkdir": 71, "keyctl": ANSWERS["keyctl"]}, 0)


@pytest.mark.parametrize(
    ("action", "answers", "code"),
    [
        ("LOG", {"mkdir": 14, "keyctl": 126, "add_key": 14}, 0),
        ("TRACE", {"mkdir": 14, "keyctl": NOT_THERE, "add_key": 14}, 0),  # nobody traces
        ("TRAP", {"mkdir": 14}, 159),  # 128 + SIGSYS
        ("KILL", {"mkdir": 14}, 159),
        ("KILL_PROCESS", {"mkdir": 14}, 159),
    ],
)  # fmt: skip
def test_other_actions(action: str, answers: dict[str, int], code: int) -> None:
    path = profile(rule("keyctl", action))
    assert outcome(payload("mkdir", "keyctl", "add_key"), seccomp=path) == (answers, code)


def test_a_profile_need_not_allow_what_only_the_start_does() -> None:
    """A shell that does nothing needs none but these, and dies of another: the filter is the last thing."""
    needed = (
        "access arch_prctl brk close execve exit_group fstat getpid getrandom getuid geteuid getgid getegid getppid "
        "mmap mprotect munmap newfstatat openat pread64 prlimit64 read rseq rt_sigaction rt_sigprocmask rt_sigreturn "
        "set_robust_list set_tid_address write lseek getcwd stat lstat open readlink"
    )
    path = profile(rule(needed, "ALLOW"), defaultAction="SCMP_ACT_KILL_PROCESS")
    assert outcome(["/bin/sh", "-c", "exit 7"], seccomp=path)[1] == 7
    assert outcome(["/bin/sh", "-c", "kill -9 1; exit 7"], seccomp=path)[1] == 159


@pytest.mark.parametrize("user", ["root", "daemon"])
def test_a_profile_need_not_know_newer_calls_to_be_loaded_without_no_new_privs(user: str) -> None:
    """A capability is kept to load it last, and is gone before the payload begins."""
    path = profile(rule("openat2 fchdir setgroups setresuid prctl umask pidfd_open faccessat", "KILL_PROCESS"))
    sets = "^Cap(Inh|Prm|Eff|Amb):\\s*0+$"
    command = ["/bin/sh", "-c", f"test $(grep -Ec '{sets}' /proc/self/status) = 4 && exit 7"]
    assert outcome(command, user=user, cap_drop=["ALL"], no_new_privs=False, seccomp=path)[1] == 7


def test_where_the_last_program_is_not_known_the_first_process_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on machines whose instructions nobody wrote down."""
    monkeypatch.setattr(stub, "_MACHINES", {})
    assert outcome(payload()) == (DEFAULT, 0)


def test_a_profile_that_forbids_the_payload_itself_is_said() -> None:
    failed = invoke("container", {**BASE, "command": ["/bin/true"], "seccomp": profile(rule("execve", errnoRet=95))})
    assert failed.failed
    assert "command: '/bin/true' cannot be executed: Operation not supported" in failed["msg"]
    assert "put back as it was" in failed["msg"]


def test_another_content_of_a_profile_is_a_change() -> None:
    """Not its name counts; and who only asks for a state gets the container as it was described."""
    options = {**BASE, "command": ["/bin/sleep", "31536000"], "stop_signal": "KILL"}
    laws.four_steps("container", {**options, "seccomp": profile(rule("mkdir"))})
    path = profile(rule("mkdir", errnoRet=7))
    laws.settled("container", {"name": "case"})
    done = laws.four_steps("container", {**options, "seccomp": path})
    assert [(step["effect"], step["changes"][0]["option"]) for step in done["plan"]] == [("restart", "seccomp_profile")]
    os.unlink(path)
    laws.four_steps("container", {"name": "case", "state": "stopped"})
    laws.four_steps("container", {"name": "case", "state": "started"})
    laws.remove("container", {"name": "case"})
    assert not os.path.exists("/var/lib/nsfleet/lib"), "compiled profiles go with the last container"


def test_without_the_library_only_unconfined_is_accepted() -> None:
    """Nothing is touched, and nothing is ignored."""
    places = world.sh("ldconfig -p | sed -n 's/.*libseccomp.so.2 .*=> //p'").split()
    assert places
    for place in places:
        world.sh(f"mount --bind /dev/null {place}")
    try:
        laws.refused("container", {**BASE, "command": ["/bin/true"]}, "seccomp: there is no libseccomp", "libseccomp2")
        assert outcome(["/bin/true"], seccomp="unconfined") == ({}, 0)
    finally:
        for place in places:
            world.sh(f"umount {place}")


# --- whoever decides ----------------------------------------------------------------

_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_ANSWERED = -95


class Supervisor(threading.Thread):
    """Gets a listener by the socket, and answers one system call."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen()
        self.state: dict[str, t.Any] = {}
        self.asked: list[int] = []

    def run(self) -> None:
        """Take the listener, and answer with an error of ours until nobody asks any more."""
        link, _address = self.server.accept()
        with link:
            words, fds, _flags, _from = socket.recv_fds(link, 65536, 4)
        self.state = json.loads(words)
        (listener,) = array.array("i", fds)
        while True:
            notice = bytearray(80)
            try:
                fcntl.ioctl(listener, _RECEIVE, notice)
            except FileNotFoundError:
                break
            number, _pid, _flags, call = struct.unpack_from("=QIIi", notice)
            self.asked.append(call)
            fcntl.ioctl(listener, _SEND, struct.pack("=QqiI", number, 0, _ANSWERED, 0))
            if len(self.asked) == 2:
                break
        os.close(listener)


@pytest.mark.parametrize("no_new_privs", [True, False])
def test_a_supervisor_answers(no_new_privs: bool) -> None:
    path = str(FOLDER / "socket")
    supervisor = Supervisor(path)
    supervisor.start()
    where = profile(rule("mkdir keyctl", "NOTIFY"), listenerPath=path, listenerMetadata="for case")
    answers, code = outcome(payload("mkdir", "keyctl", "add_key"), seccomp=where, no_new_privs=no_new_privs)
    supervisor.join(10)
    assert (answers, code) == ({"mkdir": 95, "keyctl": 95, "add_key": 14}, 0)
    assert supervisor.asked == [CALLS["mkdir"][0], CALLS["keyctl"][0]]
    state = supervisor.state
    assert (state["fds"], state["metadata"], state["ociVersion"]) == (["seccompFd"], "for case", "1.2.0")
    container = state["state"]
    assert (container["id"], container["status"], container["bundle"]) == ("case", "creating", BUNDLE)
    assert state["pid"] == container["pid"] > 1


def test_without_a_supervisor_there_is_no_start() -> None:
    where = profile(rule("mkdir", "NOTIFY"), listenerPath=f"{FOLDER}/socket")
    failed = invoke("container", {**BASE, "command": ["/bin/true"], "seccomp": where})
    assert failed.failed
    assert f"linux.seccomp.listenerPath: {FOLDER}/socket: No such file or directory" in failed["msg"]
    assert "put back as it was" in failed["msg"]
