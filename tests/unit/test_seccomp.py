# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles of system calls: what is refused, and what the compiled program answers, asked by an interpreter of its own.

The interpreter runs the instructions that are given to the kernel (Documentation/networking/filter.rst). The numbers of
system calls are those of x86-64, from the kernel's table (syscall_64.tbl).
"""

from __future__ import annotations

import ctypes
import errno
import json
import operator
import os
import pathlib
import struct
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import seccomp as kernel
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel.capability import NAMES
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container import Container
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import bundle, seccomp, seccomp_profile, stub
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime.spec import CAPABILITIES
from hypothesis import given
from hypothesis import strategies as st

Profile = dict[str, t.Any]

X86_64, I386 = 0xC000003E, 0x40000003
ALLOW, EPERM, ENOSYS, LOG = 0x7FFF0000, 0x00050001, 0x00050026, 0x7FFC0000
NUMBERS = {
    "read": 0, "write": 1, "mmap": 9, "ioctl": 16, "socket": 41, "clone": 56, "mkdir": 83, "ptrace": 101, "syslog": 103,
    "personality": 135, "chroot": 161, "mount": 165, "reboot": 169, "init_module": 175, "settimeofday": 164,
    "acct": 163, "vhangup": 153, "iopl": 172, "mbind": 237, "kexec_load": 246, "add_key": 248, "keyctl": 250,
    "unshare": 272, "perf_event_open": 298, "open_by_handle_at": 304, "kcmp": 312, "bpf": 321, "userfaultfd": 323,
    "io_uring_setup": 425, "clone3": 435,
}  # fmt: skip


def run(program: bytes, call: str | int, *arguments: int, architecture: int = X86_64) -> int:
    """What a program answers to a system call."""
    number = NUMBERS[call] if isinstance(call, str) else call
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(*arguments, *[0] * (6 - len(arguments))))
    place = accumulator = 0
    compare = {0x15: operator.eq, 0x25: operator.gt, 0x35: operator.ge, 0x45: operator.and_}
    while True:
        code, yes, no, value = struct.unpack_from("=HBBI", program, place * 8)
        place += 1
        if code == 0x06:
            return t.cast("int", value)
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x05:
            place += value
        else:
            place += yes if compare[code](accumulator, value) else no


def profile(*rules: Profile, **words: t.Any) -> Profile:
    """A profile that allows what no rule is for."""
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **words}


def rule(names: str, action: str = "ERRNO", **words: t.Any) -> Profile:
    """A rule of a profile."""
    return {"names": names.split(), "action": f"SCMP_ACT_{action}", **words}


def compared(op: str, value: int, second: int | None = None, index: int = 0) -> Profile:
    """A comparison of an argument."""
    more = {} if second is None else {"valueTwo": second}
    return {"index": index, "op": f"SCMP_CMP_{op}", "value": value, **more}


def problems(found: t.Any) -> list[str]:
    """What is wrong with a profile."""
    return list(seccomp.problems(found, "linux.seccomp"))


# --- actions, arguments, architectures ---------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "words", "answer"),
    [
        ("KILL", {}, 0x00000000), ("KILL_THREAD", {}, 0x00000000), ("KILL_PROCESS", {}, 0x80000000),
        ("TRAP", {}, 0x00030000), ("ERRNO", {}, EPERM), ("ERRNO", {"errnoRet": 95}, 0x0005005F),
        ("ERRNO", {"errnoRet": 0}, 0x00050000), ("TRACE", {}, 0x7FF00001), ("TRACE", {"errnoRet": 7}, 0x7FF00007),
        ("LOG", {}, LOG), ("NOTIFY", {}, 0x7FC00000),
    ],
)  # fmt: skip
def test_every_action(action: str, words: Profile, answer: int) -> None:
    """The numbers are the kernel's (SECCOMP_RET_*), with the error in the lower half."""
    found = profile(rule("mkdir", action, **words), **({"listenerPath": "/run/x"} if action == "NOTIFY" else {}))
    assert problems(found) == []
    program = seccomp.compiled(found)
    assert (run(program, "mkdir"), run(program, "read")) == (answer, ALLOW)


@pytest.mark.parametrize(
    ("action", "words", "answer"),
    [
        ("KILL", {}, 0), ("KILL_PROCESS", {}, 0x80000000), ("TRAP", {}, 0x00030000), ("ERRNO", {}, EPERM),
        ("ERRNO", {"defaultErrnoRet": 5}, 0x00050005), ("TRACE", {"defaultErrnoRet": 5}, 0x7FF00005), ("LOG", {}, LOG),
    ],
)  # fmt: skip
def test_every_default_action(action: str, words: Profile, answer: int) -> None:
    found = profile(rule("read", "ALLOW"), defaultAction=f"SCMP_ACT_{action}", **words)
    assert problems(found) == []
    program = seccomp.compiled(found)
    assert (run(program, "mkdir"), run(program, "read")) == (answer, ALLOW)


_OPERATORS: dict[str, t.Callable[[int, int], bool]] = {
    "NE": operator.ne, "LT": operator.lt, "LE": operator.le, "EQ": operator.eq, "GE": operator.ge, "GT": operator.gt,
}  # fmt: skip
_WORDS = st.sampled_from((0, 1, 38, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1)) | st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("op", _OPERATORS)
@given(value=_WORDS, given_=_WORDS, index=st.integers(0, 5))
def test_arguments_are_compared_in_all_64_bits(op: str, value: int, given_: int, index: int) -> None:
    program = seccomp.compiled(profile(rule("mkdir", args=[compared(op, value, index=index)])))
    arguments = [0] * index + [given_]
    for each in (given_, value):
        arguments[index] = each
        assert run(program, "mkdir", *arguments) == (EPERM if _OPERATORS[op](each, value) else ALLOW)


@given(mask=_WORDS, value=_WORDS, given_=_WORDS)
def test_masked_arguments_are_compared_under_their_mask(mask: int, value: int, given_: int) -> None:
    program = seccomp.compiled(profile(rule("mkdir", args=[compared("MASKED_EQ", mask, value & mask)])))
    assert run(program, "mkdir", given_) == (EPERM if given_ & mask == value & mask else ALLOW)


def test_comparisons_of_several_arguments_must_all_hold() -> None:
    both = [compared("EQ", 1), compared("GT", 5, index=2)]
    program = seccomp.compiled(profile(rule("mkdir", args=both)))
    assert [run(program, "mkdir", *words) for words in ((1, 0, 6), (1, 0, 5), (2, 0, 6))] == [EPERM, ALLOW, ALLOW]


def test_of_several_comparisons_of_one_argument_any_may_hold() -> None:
    """So it is with runc and crun, whose library cannot do otherwise."""
    program = seccomp.compiled(profile(rule("mkdir", args=[compared("EQ", 1), compared("EQ", 2)])))
    assert [run(program, "mkdir", word) for word in (1, 2, 3)] == [EPERM, EPERM, ALLOW]


def test_architectures_are_the_machines_own_and_those_that_are_named() -> None:
    rules = rule("mkdir"), rule("chown32")
    alone = seccomp.compiled(profile(*rules))
    more = seccomp.compiled(profile(*rules, architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]))
    assert run(alone, "mkdir") == run(more, "mkdir") == EPERM
    assert run(alone, 39, architecture=I386) == 0, "a program of an architecture that is not named is killed"
    assert run(more, 39, architecture=I386) == EPERM, "mkdir has another number there"
    assert run(more, 212, architecture=I386) == EPERM, "chown32 is there only"
    assert run(more, 83, architecture=I386) == ALLOW, "the number of mkdir is that of another call there"


def test_names_that_the_library_does_not_know_are_left_out() -> None:
    found = profile(rule("no_such_call mkdir"))
    assert problems(found) == []
    assert run(seccomp.compiled(found), "mkdir") == EPERM


def test_rules_that_say_what_is_so_anyway_are_left_out() -> None:
    program = seccomp.compiled(profile(rule("mkdir", "ALLOW"), rule("mkdir", args=[compared("EQ", 1)])))
    assert (run(program, "mkdir", 1), run(program, "mkdir")) == (EPERM, ALLOW)


@pytest.mark.parametrize("action", ["ERRNO", "KILL", "KILL_PROCESS", "TRAP"])
def test_calls_that_are_newer_than_the_library_are_not_there(action: str) -> None:
    """So programs take older ones, as glibc does; a number of another kind is left to the profile."""
    found = profile(rule("read", "ALLOW"), defaultAction=f"SCMP_ACT_{action}", architectures=["SCMP_ARCH_X86"])
    program = seccomp.compiled(found)
    newest = kernel.newest_call(X86_64)
    assert newest is not None
    for architecture in (X86_64, I386):
        refused = run(program, newest, architecture=architecture)
        assert refused != ENOSYS
        assert run(program, newest + 1, architecture=architecture) == ENOSYS
        assert run(program, 0xF0005, architecture=architecture) == refused
    assert run(program, "read") == ALLOW


@pytest.mark.parametrize("default", ["ALLOW", "LOG", "TRACE"])
def test_calls_that_are_newer_are_allowed_where_all_others_are(default: str) -> None:
    program = seccomp.compiled(profile(rule("mkdir"), defaultAction=f"SCMP_ACT_{default}"))
    assert run(program, 900) == run(program, "read") != ENOSYS


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "linux.seccomp: expected an object"),
        ({}, "linux.seccomp.defaultAction: expected one of SCMP_ACT_KILL,"),
        (profile(colour=1), "linux.seccomp.colour: there is no such field"),
        (profile(defaultAction="SCMP_ACT_DENY"), "linux.seccomp.defaultAction: expected one of"),
        (profile(defaultErrnoRet=5), "linux.seccomp.defaultErrnoRet: goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE only"),
        (profile(defaultAction="SCMP_ACT_ERRNO", defaultErrnoRet=4096), "defaultErrnoRet: expected 0 to 4095"),
        (profile(defaultAction="SCMP_ACT_NOTIFY", listenerPath="/x"), "SCMP_ACT_NOTIFY cannot be for write"),
        (profile(architectures=["SCMP_ARCH_X86", "x86"]), "linux.seccomp.architectures[1]: expected one of"),
        (profile(architectures="SCMP_ARCH_X86"), "linux.seccomp.architectures: expected a list"),
        (profile(flags=["TSYNC"]), "linux.seccomp.flags[0]: expected one of SECCOMP_FILTER_FLAG_TSYNC,"),
        (profile(flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]), "linux.seccomp.flags: SECCOMP_FILTER_FLAG_WAIT"),
        (profile(listenerPath="x"), "linux.seccomp.listenerPath: expected a path from the root"),
        (profile(listenerMetadata="x"), "linux.seccomp.listenerMetadata: needs listenerPath"),
        (profile(rule("")), "linux.seccomp.syscalls[0].names: expected at least one"),
        (profile(rule("read"), rule("mkdir", "NO")), "linux.seccomp.syscalls[1].action: expected one of"),
        (profile(rule("mkdir", "ALLOW", errnoRet=1)), "linux.seccomp.syscalls[0].errnoRet: goes with"),
        (profile(rule("mkdir", errnoRet=-1)), "linux.seccomp.syscalls[0].errnoRet: expected 0 to 4095"),
        (profile(rule("mkdir", "TRACE", errnoRet=65536)), "linux.seccomp.syscalls[0].errnoRet: expected 0 to 65535"),
        (profile(rule("mkdir", "NOTIFY")), "linux.seccomp.listenerPath: expected the path of a socket"),
        (profile(rule("write", "NOTIFY"), listenerPath="/x"), "SCMP_ACT_NOTIFY cannot be for write"),
        (profile({**rule(""), "names": "mkdir"}), "linux.seccomp.syscalls[0].names: expected a list"),
        (profile(rule("mkdir", args=[compared("IN", 1)])), "linux.seccomp.syscalls[0].args[0].op: expected one of"),
        (profile(rule("mkdir", args=[compared("EQ", 1, index=6)])), "args[0].index: expected 0 to 5"),
        (profile(rule("mkdir", args=[compared("EQ", 2**64)])), "args[0].value: expected 0 to 2^64-1"),
        (profile(rule("mkdir", args=[compared("MASKED_EQ", 1, -1)])), "args[0].valueTwo: expected 0 to 2^64-1"),
        (profile(rule("mkdir", args=[{**compared("EQ", 1), "x": 1}])), "args[0].x: there is no such field"),
        (profile(rule("mkdir", args=[{"index": "0"}])), "args[0].index: expected a whole number"),
    ],
)  # fmt: skip
def test_what_would_not_be_honoured_is_refused_with_its_place(found: t.Any, words: str) -> None:
    with pytest.raises(NsfleetError) as caught:
        seccomp.prepare({"wrong": 1} if found is None else found)
    assert problems(found)
    assert words in "; ".join(problems(found))
    assert found is None or words in str(caught.value)


def test_what_the_library_cannot_do_is_an_error_with_its_place() -> None:
    found = profile(architectures=["SCMP_ARCH_X86", "SCMP_ARCH_S390X"])
    assert problems(found) == []
    with pytest.raises(NsfleetError, match=r"config\.json: linux\.seccomp\.architectures\[1\]: libseccomp 2\."):
        seccomp.compiled(found)


def test_without_the_library_a_profile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "LIBRARY", "libseccomp.so.none")
    kernel._library.cache_clear()
    with pytest.raises(NsfleetError, match=r"linux\.seccomp: there is no libseccomp\.so\.none .*libseccomp2"):
        seccomp.prepare(profile())
    assert seccomp.prepare(None) is None
    kernel._library.cache_clear()


# --- flags ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ({}, 4),
        ({"flags": []}, 0),
        ({"flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]}, 3),
        ({"flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]}, 4),
        ({"notify": True}, 4 | 8),
        ({"notify": True, "flags": ["SECCOMP_FILTER_FLAG_TSYNC"]}, 1 | 8 | 16),
        ({"notify": True, "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}, 8 | 32),
    ],
)
def test_flags_are_those_of_the_kernel(words: Profile, flags: int, cache: pathlib.Path) -> None:
    notify = words.pop("notify", False)
    more = {"listenerPath": "/run/x", "listenerMetadata": "m"} if notify else {}
    found = seccomp.prepare(profile(rule("mkdir", "NOTIFY" if notify else "ERRNO"), **words, **more))
    assert found is not None
    assert (found.flags, found.listener, found.metadata) == (flags, *(("/run/x", "m") if notify else ("", "")))
    assert list(cache.iterdir())


def test_flags_that_the_kernel_lacks_are_told_from_those_that_it_has() -> None:
    assert kernel.knows_flags(kernel.FLAG_TSYNC | kernel.FLAG_LOG | kernel.FLAG_SPEC_ALLOW)
    assert not kernel.knows_flags(1 << 30)


def test_features_are_those_of_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seccomp.features()
    assert found["enabled"] is True
    assert {"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_S390X"} <= set(found["archs"])
    assert "SCMP_ACT_NOTIFY" in found["actions"]
    assert "SCMP_CMP_MASKED_EQ" in found["operators"]
    assert "SECCOMP_FILTER_FLAG_TSYNC" in found["supportedFlags"]
    assert set(found["supportedFlags"]) <= set(found["knownFlags"])
    monkeypatch.setattr(kernel, "knows_flags", lambda flags: not flags & kernel.FLAG_NEW_LISTENER)
    assert set(found["knownFlags"]) - set(seccomp.features()["supportedFlags"]) == {
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"
    }


# --- the kernel itself ------------------------------------------------------------------------------


def in_child(work: t.Callable[[], int]) -> int:
    """What a forked child that calls something ends with, as a shell says it."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(work())
        finally:
            os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


@pytest.mark.parametrize(
    ("action", "words", "ends"),
    [
        ("ERRNO", {"errnoRet": 95}, 95), ("KILL_PROCESS", {}, 159), ("KILL_THREAD", {}, 159), ("TRAP", {}, 159),
        ("TRACE", {}, 38), ("LOG", {}, 17),
    ],
)  # fmt: skip
def test_the_kernel_takes_what_was_compiled(action: str, words: Profile, ends: int) -> None:
    """mkdir("/") is EEXIST (17) where it is allowed; TRACE without a tracer is ENOSYS; SIGSYS is 31."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = seccomp.compiled(profile(rule("mkdir", action, **words)))

    def work() -> int:
        libc.prctl(38, 1, 0, 0, 0)  # no_new_privs
        kernel.load(code, 0)
        libc.mkdir(b"/", 0)
        return ctypes.get_errno()

    assert in_child(work) == ends


# --- what was compiled before ------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """An empty place for compiled programs."""
    monkeypatch.setattr(bundle, "SHARED", str(tmp_path / "lib"))
    return tmp_path / "lib"


def prepared(found: Profile) -> bytes:
    """The program of a profile."""
    program = seccomp.prepare(found)
    assert program is not None
    return program.code


def test_a_program_is_compiled_once(cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepared(profile(rule("mkdir")))
    assert cache.stat().st_mode & 0o777 == 0o700
    (kept,) = cache.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(seccomp, "compiled", lambda _profile: b"again" * 8)
    assert prepared(profile(rule("mkdir"))) == first
    assert prepared(profile(rule("mkdir"), flags=[])) == first, "flags are no part of the program"
    assert prepared(profile(rule("read"))) == b"again" * 8
    monkeypatch.setattr(kernel, "version", lambda: "9.9.9")
    assert prepared(profile(rule("mkdir"))) == b"again" * 8, "another library compiles otherwise"


@pytest.mark.parametrize("damage", [b"", b"x" * 31, b"x" * 400])
def test_a_damaged_program_is_compiled_again(damage: bytes, cache: pathlib.Path) -> None:
    first = prepared(profile(rule("mkdir")))
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    for content in (damage, whole[:-8], whole[:-1] + b"\xff"):
        kept.write_bytes(content)
        assert prepared(profile(rule("mkdir"))) == first
        assert kept.read_bytes() == whole


def test_of_many_programs_the_oldest_go(cache: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_MOST", 3)
    for number in range(5):
        prepared(profile(rule("mkdir", errnoRet=number)))
        for kept in cache.iterdir():
            os.utime(kept, (kept.stat().st_atime, kept.stat().st_mtime - 10))
    (cache / "nsrun-0.pyz").touch()
    newest = sorted(cache.glob("seccomp-*"), key=lambda kept: kept.stat().st_mtime)
    assert len(newest) == 3
    prepared(profile(rule("mkdir", errnoRet=4)))
    assert sorted(cache.glob("seccomp-*")) == sorted(newest), "the last three are still there"
    assert (cache / "nsrun-0.pyz").exists()


def test_where_nothing_can_be_kept_programs_are_compiled(tmp_path: pathlib.Path, monkeypatch: t.Any) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(bundle, "SHARED", str(tmp_path / "file" / "lib"))
    assert run(prepared(profile(rule("mkdir"))), "mkdir") == EPERM


# --- the default ------------------------------------------------------------------------------------


def default(*capabilities: str) -> bytes:
    """The default program of a container with capabilities on x86-64."""
    host = seccomp_profile.Host(capabilities, "x86_64", "6.1.0-18-amd64")
    return seccomp.compiled(seccomp_profile.resolve(docker(), host))


def docker() -> Profile:
    """The default profile in Docker's format."""
    from ansible_collections.nsfleet.linux.plugins.module_utils._runtime.seccomp_default import profile as found

    return found()


#: Of each capability, what it allows that is not allowed without it.
WITH = {
    "CAP_SYS_ADMIN": "mount unshare bpf perf_event_open syslog clone3", "CAP_SYS_PTRACE": "kcmp",
    "CAP_SYS_CHROOT": "chroot", "CAP_SYS_TIME": "settimeofday", "CAP_BPF": "bpf", "CAP_PERFMON": "perf_event_open",
    "CAP_SYSLOG": "syslog", "CAP_SYS_NICE": "mbind", "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_BOOT": "reboot", "CAP_SYS_MODULE": "init_module", "CAP_SYS_PACCT": "acct", "CAP_SYS_RAWIO": "iopl",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}  # fmt: skip
NEVER = ("kexec_load", "add_key", "keyctl", "userfaultfd", "io_uring_setup")


@pytest.mark.parametrize("capability", ["", *NAMES])
def test_the_default_allows_with_a_capability_what_it_is_for(capability: str) -> None:
    program = default(capability)
    allowed = {name for name in {*" ".join(WITH.values()).split(), *NEVER} if run(program, name) == ALLOW}
    assert allowed == set(WITH.get(capability, "").split())
    assert run(program, "clone3") == (ALLOW if capability == "CAP_SYS_ADMIN" else ENOSYS)
    assert run(program, "ptrace") == run(program, "mkdir") == ALLOW


def test_the_default_allows_no_new_namespaces_and_few_personalities_and_sockets() -> None:
    program = default(*CAPABILITIES)
    for bit in range(32):
        new = 1 << bit in (0x20000, *(1 << each for each in range(25, 31)))
        assert run(program, "clone", 1 << bit | 17) == (EPERM if new else ALLOW), hex(1 << bit)
    assert run(default("CAP_SYS_ADMIN"), "clone", 0x10000011) == ALLOW
    refused = {family for family in range(64) if run(program, "socket", family) != ALLOW}
    assert refused == {38, 40}
    allowed = {word for word in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF, 0x40000, 1, 0x20001) if run(
        program, "personality", word) == ALLOW}  # fmt: skip
    assert allowed == {0, 8, 0x20000, 0x20008, 0xFFFFFFFF}


def test_the_default_holds_for_programs_of_32_bits_too() -> None:
    program = default()
    assert run(program, 39, architecture=I386) == ALLOW
    assert run(program, 21, architecture=I386) == EPERM, "mount"
    assert run(program, 359, 38, architecture=I386) == EPERM, "a socket of AF_ALG"


@pytest.mark.parametrize(
    ("machine", "only_there", "architectures"),
    [
        ("x86_64", {"arch_prctl", "modify_ldt"}, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]),
        ("i686", {"modify_ldt"}, []),
        ("aarch64", {"breakpoint", "cacheflush", "set_tls"}, ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
        ("s390x", {"s390_runtime_instr"}, ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"]),
        ("riscv64", {"riscv_flush_icache"}, ["SCMP_ARCH_RISCV64"]),
        ("sparc64", set(), []),
    ],
)
def test_the_default_knows_what_machines_need(machine: str, only_there: set[str], architectures: list[str]) -> None:
    found = seccomp_profile.resolve(docker(), seccomp_profile.Host(CAPABILITIES, machine, "5.10.0"))
    names = {name for each in found["syscalls"] for name in each["names"]}
    every = {"arch_prctl", "modify_ldt", "breakpoint", "cacheflush", "set_tls", "s390_runtime_instr"}
    assert names & (every | {"riscv_flush_icache"}) == only_there
    assert found.get("architectures", []) == architectures
    (index,) = {each["args"][0]["index"] for each in found["syscalls"] if each["names"] == ["clone"]}
    assert index == (1 if machine == "s390x" else 0)
    assert problems(found) == []


# --- Docker's format ----------------------------------------------------------------------------------


def resolved(*rules: Profile, **words: t.Any) -> list[str]:
    """Names of the rules that are left on a host with CAP_KILL, x86-64 and Linux 5.10."""
    host = seccomp_profile.Host(["CAP_KILL", "CAP_CHOWN"], "x86_64", "5.10.0-rc1")
    found = seccomp_profile.resolve(profile(*rules, **words), host)
    return [name for each in found["syscalls"] for name in each["names"]]


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"caps": ["CAP_KILL"]}, True), ({"caps": ["CAP_KILL", "CAP_BPF"]}, False), ({"arches": ["amd64"]}, True),
        ({"arches": ["arm64", "s390"]}, False), ({"minKernel": "5.10"}, True), ({"minKernel": "5.11"}, False),
        ({"minKernel": "4.19"}, True), ({"caps": ["CAP_KILL"], "arches": ["arm"]}, False), ({}, True), (None, True),
        ({"caps": []}, True), ({"caps": None, "minKernel": ""}, True),
    ],
)  # fmt: skip
def test_rules_hold_where_all_their_conditions_do(conditions: Profile | None, holds: bool) -> None:
    assert resolved(rule("mkdir", includes=conditions)) == (["mkdir"] if holds else [])


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"caps": ["CAP_BPF", "CAP_KILL"]}, False), ({"caps": ["CAP_BPF"]}, True), ({"arches": ["amd64"]}, False),
        ({"arches": ["arm"]}, True), ({"minKernel": "5.10"}, False), ({"minKernel": "6.0"}, True), ({}, True),
    ],
)  # fmt: skip
def test_rules_do_not_hold_where_any_of_their_exclusions_does(conditions: Profile, holds: bool) -> None:
    assert resolved(rule("mkdir", excludes=conditions)) == (["mkdir"] if holds else [])


def test_profiles_of_older_dockers_name_one_call_a_rule() -> None:
    old: Profile = {"name": "mkdir", "names": [], "action": "SCMP_ACT_ALLOW", "args": None, "comment": "x"}
    assert resolved(old) == ["mkdir"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no profile of system calls"),
        ("[]", "expected an object"),
        ('{"defaultAction": "SCMP_ACT_NO"}', "defaultAction: expected one of"),
        ('{"defaultAction": "SCMP_ACT_LOG", "syscalls": {}}', "syscalls: expected a list"),
        ('{"defaultAction": "SCMP_ACT_LOG", "syscalls": [{"names": ["x"], "action": "x"}]}', "syscalls[0].action"),
        ('{"syscalls": [{"name": "x", "names": ["y"]}]}', "syscalls[0]: name cannot be together with names"),
        ('{"syscalls": [{"includes": {"caps": "CAP_KILL"}}]}', "syscalls[0].includes.caps: expected a list"),
        ('{"syscalls": [{"includes": {"moon": "full"}}]}', "syscalls[0].includes.moon: there is no such field"),
        ('{"syscalls": [{"includes": {"minKernel": "new"}}]}', "syscalls[0]: minKernel: expected two numbers"),
        ('{"archMap": [{"architecture": "a"}], "architectures": ["b"]}', "archMap: cannot be together"),
        ('{"defaultAction": "SCMP_ACT_LOG", "colour": "red"}', "colour: there is no such field"),
    ],
)
def test_files_that_are_no_profile_are_errors_for_people(text: str, words: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(NsfleetError, match=r"profile\.json is no profile of system calls: ") as caught:
        seccomp_profile.read(str(path), ())
    assert words in str(caught.value)
    container = Container({"name": "web", "rootfs": "/", "command": ["x"], "seccomp": str(path)})
    assert "seccomp" not in container.compose()["linux"] or problems(container.compose()["linux"]["seccomp"])


def test_a_file_in_either_format_is_what_the_bundle_gets(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "profile.json"
    plain = profile(rule("mkdir", args=[compared("EQ", 1)]), flags=["SECCOMP_FILTER_FLAG_LOG"])
    path.write_text(json.dumps(plain))
    found = Container({"name": "web", "rootfs": "/", "command": ["x"], "seccomp": str(path)}).compose()
    assert found["linux"]["seccomp"] == plain
    path.write_text(json.dumps(docker()))
    found = Container({"name": "web", "rootfs": "/", "command": ["x"], "seccomp": str(path)}).compose()
    assert found["linux"]["seccomp"] == seccomp_profile.default(CAPABILITIES)
    unconfined = Container({"name": "web", "rootfs": "/", "command": ["x"], "seccomp": "unconfined"}).compose()
    assert "seccomp" not in unconfined["linux"]


# --- the last program before the payload --------------------------------------------------------------


def ends_as(
    code: t.Callable[[int], seccomp.Program | None], *command: str, no_new_privs: bool = True, label: str = ""
) -> bytes:
    """What the program says on its channel, executed with a filter.

    :param label: file of the process's own to which a number is written.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    place = os.open("/proc", os.O_PATH)
    written = stub.Label(place, label, b"777") if label else None
    program = stub.open_stub(writing, (os.getuid(), os.getgid()), code(writing), written)
    assert program is not None

    def work() -> int:
        os.dup2(os.open("/proc/self", os.O_PATH), place)
        libc.prctl(38, int(no_new_privs), 0, 0, 0)
        os.execve(program, list(command), {})

    try:
        ended = in_child(work)
        os.close(writing)
        return os.read(reading, 16) + b" %d" % ended
    finally:
        for fd in (program, place, reading):
            os.close(fd)


def refusing(names: str, errno: int = 1) -> t.Callable[[int], seccomp.Program]:
    """A program that refuses system calls."""
    return lambda _channel: seccomp.Program(seccomp.compiled(profile(rule(names, errnoRet=errno))), 0)


def test_the_filter_decides_of_no_call_of_ours_but_the_last() -> None:
    ours = refusing("fchmod fcntl execveat seccomp")
    assert ends_as(ours, "/bin/sh", "/bin/sh", "-c", "exit 7") == b" 7"


def test_a_label_is_written_before_the_filter_and_nothing_of_it_is_left() -> None:
    """A score shows where it went, since few kernels have a security module."""
    script = """read score </proc/self/oom_score_adj
                exit $(($(ls -l /proc/self/fd | grep -Ec ' (/proc/[0-9]+|/memfd.*)$') + score % 256))"""
    for code in (lambda _channel: None, refusing("openat2 fchmod seccomp")):
        assert ends_as(code, "/bin/sh", "/bin/sh", "-c", script, label="oom_score_adj") == b" %d" % (777 % 256)


def test_what_the_last_program_cannot_do_is_told() -> None:
    for label, error in (("no-such", errno.ENOENT), ("fdinfo", errno.EISDIR), ("setgroups", errno.EINVAL)):
        told = ends_as(lambda _channel: None, "/bin/sh", "x", label=label)
        assert told == struct.pack("=I", stub.LABEL << 12 | error) + b" 127", label
    assert ends_as(lambda _channel: None, "/no/such", "x") == struct.pack("=I", stub.EXECUTE << 12 | 2) + b" 127"
    assert ends_as(refusing("execve", 95), "/bin/sh", "x") == struct.pack("=I", stub.EXECUTE << 12 | 95) + b" 127"
    bad = seccomp.Program(b"\xff" * 8, 0)
    assert ends_as(lambda _channel: bad, "/bin/sh", "x") == struct.pack("=I", stub.FILTER << 12 | 22) + b" 127"
