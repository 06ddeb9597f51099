# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``linux.seccomp`` of a bundle (OCI runtime-spec 1.2): checked, and compiled to a program for the kernel.

All of it happens before the first process is forked, which only loads the program. Names of system calls that the
library does not know are left out, as runc does: profiles name calls of newer kernels and of other machines.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import typing as t

from .._kernel import files
from .._kernel import seccomp as kernel
from .._model.errors import NsfleetError

Profile = dict[str, t.Any]

#: What each object of a profile holds.
_COMPARISON: t.Final[Profile] = {"index": int, "value": int, "valueTwo": int, "op": str}
RULE: t.Final[Profile] = {"names": [str], "action": str, "errnoRet": int, "args": [_COMPARISON]}
PROFILE: t.Final[Profile] = {
    "defaultAction": str, "defaultErrnoRet": int, "architectures": [str], "flags": [str], "listenerPath": str,
    "listenerMetadata": str, "syscalls": [RULE],
}  # fmt: skip

_ERRNO, _TRACE, _ALLOW, _LOG, _NOTIFY = 0x00050000, 0x7FF00000, 0x7FFF0000, 0x7FFC0000, 0x7FC00000
_ACTIONS: t.Final[dict[str, int]] = {
    "SCMP_ACT_KILL": 0, "SCMP_ACT_KILL_THREAD": 0, "SCMP_ACT_KILL_PROCESS": 0x80000000, "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": _ERRNO, "SCMP_ACT_TRACE": _TRACE, "SCMP_ACT_ALLOW": _ALLOW, "SCMP_ACT_LOG": _LOG,
    "SCMP_ACT_NOTIFY": _NOTIFY,
}  # fmt: skip
#: Actions that go with a number, and its largest value: the kernel takes larger errors for the largest.
_NUMBERED: t.Final = {"SCMP_ACT_ERRNO": 4095, "SCMP_ACT_TRACE": 0xFFFF}
_EPERM, _ENOSYS = 1, 38
_OPERATORS: t.Final = {
    "SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4, "SCMP_CMP_GE": 5, "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}  # fmt: skip
_ARGUMENTS: t.Final = 6
_ARCHITECTURES: t.Final = tuple(
    f"SCMP_ARCH_{name}"
    for name in (
        "X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32",
        "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64", "LOONGARCH64", "M68K", "SH",
        "SHEB",
    )
)  # fmt: skip
_FLAGS: t.Final = {
    "SECCOMP_FILTER_FLAG_TSYNC": kernel.FLAG_TSYNC, "SECCOMP_FILTER_FLAG_LOG": kernel.FLAG_LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": kernel.FLAG_SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": kernel.FLAG_WAIT_KILLABLE,
}  # fmt: skip


class Program(t.NamedTuple):
    """A compiled filter and how it is loaded."""

    code: bytes
    flags: int
    listener: str = ""  #: path of the socket that is told of system calls; empty: there is none
    metadata: str = ""  #: what goes with the listener


def prepare(profile: Profile | None) -> Program | None:
    """Compile a profile, or take it from what was compiled before.

    :param profile: ``linux.seccomp`` of a bundle; ``None``: no filter.
    :raises NsfleetError: something in it is not supported, by us or by this host.
    """
    if profile is None:
        return None
    check(profile)
    lacking = objection()
    if lacking:
        raise NsfleetError(f"linux.seccomp: {lacking}")
    flags = _flags(profile)
    if not kernel.knows_flags(flags):
        words = ", ".join(profile.get("flags") or ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"])
        raise NsfleetError(f"linux.seccomp.flags: this kernel cannot do all of {words}")
    listener = profile["listenerPath"] if flags & kernel.FLAG_NEW_LISTENER else ""
    return Program(_cached(profile), flags, listener, profile.get("listenerMetadata") or "")


def objection() -> str | None:
    """Why this host can filter no system calls; ``None`` if it can."""
    try:
        kernel.version()
    except OSError:
        return (
            f"there is no {kernel.LIBRARY} on this host, which compiles filters of system calls; install libseccomp "
            "(Debian: libseccomp2), or ask for no filter"
        )
    return None


def features() -> Profile:
    """What of this there is here, as ``linux.seccomp`` of the runtime-spec's features structure says it."""
    enabled = objection() is None
    return {
        "enabled": enabled,
        "actions": list(_ACTIONS),
        "operators": list(_OPERATORS),
        "archs": [name for name in _ARCHITECTURES if enabled and kernel.architecture(_name_of(name))],
        "knownFlags": list(_FLAGS),
        "supportedFlags": [name for name, flag in _FLAGS.items() if enabled and kernel.knows_flags(_whole(flag))],
    }


# --- what is wrong with a profile ----------------------------------------------


def check(profile: t.Any) -> None:
    """Refuse a profile that would not be honoured.

    :raises NsfleetError: with everything that is wrong, each with the path of its field.
    """
    wrong = list(problems(profile, "linux.seccomp"))
    if wrong:
        raise NsfleetError(f"config.json: {'; '.join(wrong)}")


def problems(profile: t.Any, path: str) -> t.Iterator[str]:
    """What is wrong with a profile, each with the path of its field.

    :param path: of the profile itself.
    """
    misshapen = list(shape(profile, PROFILE, path))
    yield from misshapen
    if misshapen:
        return
    prefix = f"{path}." if path else ""
    yield from _wrong_action(profile, "defaultAction", "defaultErrnoRet", prefix)
    yield from _unknown(profile.get("architectures"), _ARCHITECTURES, f"{prefix}architectures")
    yield from _unknown(profile.get("flags"), _FLAGS, f"{prefix}flags")
    for index, rule in enumerate(profile.get("syscalls") or ()):
        yield from _wrong_rule(rule, f"{prefix}syscalls[{index}].")
    yield from _wrong_notify(profile, prefix)
    yield from _wrong_listener(profile, prefix)


def shape(value: t.Any, expected: t.Any, path: str) -> t.Iterator[str]:
    """What in a value is not of the expected kind, or not expected at all.

    :param expected: a type; a list of what is expected of each element; or a dictionary of it, field by field.
    """
    kind = expected if isinstance(expected, type) else type(expected)
    if not isinstance(value, kind):
        words = {dict: "an object", list: "a list", str: "a string", int: "a whole number"}[kind]
        yield f"{path or 'the profile'}: expected {words}, got {value!r}"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from shape(item, expected[0], f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            here = f"{path}.{name}" if path else name
            if name not in expected:
                yield f"{here}: there is no such field"
            elif item is not None:
                yield from shape(item, expected[name], here)


def _unknown(values: t.Sequence[str] | None, known: t.Collection[str], path: str) -> t.Iterator[str]:
    for index, value in enumerate(values or ()):
        if value not in known:
            yield f"{path}[{index}]: expected one of {', '.join(known)}, got {value!r}"


def _wrong_action(place: Profile, word: str, number_word: str, prefix: str) -> t.Iterator[str]:
    action, number = place.get(word), place.get(number_word)
    if action not in _ACTIONS:
        yield f"{prefix}{word}: expected one of {', '.join(_ACTIONS)}, got {action!r}"
    elif number is not None and action not in _NUMBERED:
        yield f"{prefix}{number_word}: goes with {' and '.join(_NUMBERED)} only, not with {action}"
    elif number is not None and not 0 <= number <= _NUMBERED[action]:
        yield f"{prefix}{number_word}: expected 0 to {_NUMBERED[action]}, got {number}"


def _wrong_rule(rule: Profile, prefix: str) -> t.Iterator[str]:
    if not rule.get("names"):
        yield f"{prefix}names: expected at least one system call"
    yield from _wrong_action(rule, "action", "errnoRet", prefix)
    for index, each in enumerate(rule.get("args") or ()):
        path = f"{prefix}args[{index}]."
        if each.get("op") not in _OPERATORS:
            yield f"{path}op: expected one of {', '.join(_OPERATORS)}, got {each.get('op')!r}"
        if not 0 <= each.get("index", -1) < _ARGUMENTS:
            yield f"{path}index: expected 0 to {_ARGUMENTS - 1}, got {each.get('index')}"
        for word, value in (("value", each.get("value", -1)), ("valueTwo", each.get("valueTwo") or 0)):
            if not 0 <= value < 2**64:
                yield f"{path}{word}: expected 0 to 2^64-1, got {each.get(word)}"


def _wrong_notify(profile: Profile, prefix: str) -> t.Iterator[str]:
    words = "SCMP_ACT_NOTIFY cannot be for write, by which the listener itself is announced"
    if profile.get("defaultAction") == "SCMP_ACT_NOTIFY":
        yield f"{prefix}defaultAction: {words}"
    for index, rule in enumerate(profile.get("syscalls") or ()):
        if rule.get("action") == "SCMP_ACT_NOTIFY" and "write" in (rule.get("names") or ()):
            yield f"{prefix}syscalls[{index}]: {words}"


def _wrong_listener(profile: Profile, prefix: str) -> t.Iterator[str]:
    path = profile.get("listenerPath")
    notifies = any(rule.get("action") == "SCMP_ACT_NOTIFY" for rule in profile.get("syscalls") or ())
    if notifies and not path:
        yield f"{prefix}listenerPath: expected the path of a socket, since SCMP_ACT_NOTIFY is used"
    if path and not path.startswith("/"):
        yield f"{prefix}listenerPath: expected a path from the root, got {path!r}"
    if profile.get("listenerMetadata") and not path:
        yield f"{prefix}listenerMetadata: needs listenerPath"
    if "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" in (profile.get("flags") or ()) and not notifies:
        yield f"{prefix}flags: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY"


# --- compiling -----------------------------------------------------------------


def _flags(profile: Profile) -> int:
    """Without any said, programs are not slowed down against speculation (SPEC_ALLOW), as with runc and crun."""
    words = profile.get("flags")
    flags = kernel.FLAG_SPEC_ALLOW if words is None else 0
    for word in words or ():
        flags |= _FLAGS[word]
    if any(rule["action"] == "SCMP_ACT_NOTIFY" for rule in profile.get("syscalls") or ()):
        flags |= kernel.FLAG_NEW_LISTENER
    return _whole(flags)


def _whole(flags: int) -> int:
    """Flags with those that the kernel wants beside them."""
    if flags & kernel.FLAG_WAIT_KILLABLE:
        flags |= kernel.FLAG_NEW_LISTENER
    if flags & kernel.FLAG_TSYNC and flags & kernel.FLAG_NEW_LISTENER:  # both would report by the result
        flags |= kernel.FLAG_TSYNC_ESRCH
    return flags


def compiled(profile: Profile) -> bytes:
    """The program of a profile that was checked.

    :raises NsfleetError: the library cannot do it.
    """
    default = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    doing = "linux.seccomp.defaultAction"
    try:
        with kernel.Filter(default) as program:
            for index, name in enumerate(profile.get("architectures") or ()):
                doing = f"linux.seccomp.architectures[{index}]"
                program.add_architecture(_architecture(name))
            for index, rule in enumerate(profile.get("syscalls") or ()):
                doing = f"linux.seccomp.syscalls[{index}]"
                _add_rule(program, rule, default)
            return _answer_newer(default, program.architectures) + program.program()
    except OSError as error:
        raise NsfleetError(f"config.json: {doing}: libseccomp {kernel.version()}: {error.strerror}") from error


def _action(name: str, number: int | None) -> int:
    if name not in _NUMBERED:
        return _ACTIONS[name]
    return _ACTIONS[name] | (_EPERM if number is None else number)


def _architecture(name: str) -> int:
    found = kernel.architecture(_name_of(name))
    if found is None:
        raise OSError(22, f"it does not know {name}")
    return found


def _name_of(architecture: str) -> str:
    return architecture.replace("SCMP_ARCH_", "").lower()


def _add_rule(program: kernel.Filter, rule: Profile, default: int) -> None:
    action = _action(rule["action"], rule.get("errnoRet"))
    if action == default:  # which the library refuses
        return
    for name in rule["names"]:
        call = kernel.call_number(name)
        if call is not None:
            for comparisons in _comparisons(rule.get("args") or ()):
                program.add_rule(action, call, comparisons)


def _comparisons(arguments: t.Sequence[Profile]) -> list[list[kernel.Comparison]]:
    """All must hold; but of several for one argument any, since the library cannot do otherwise (so runc and crun)."""
    each = [
        kernel.Comparison(entry["index"], _OPERATORS[entry["op"]], entry["value"], entry.get("valueTwo") or 0)
        for entry in arguments
    ]
    if len({entry["index"] for entry in arguments}) == len(each):
        return [each]
    return [[one] for one in each]


def _answer_newer(default: int, architectures: t.Iterable[int]) -> bytes:
    """Instructions before those of the library: what is newer than the library is not there (ENOSYS).

    No profile can name such a system call, so no author decided of it. Programs try new calls first, and take the old
    ones if they are not there, but not if they are forbidden.
    """
    if default in (_ALLOW, _LOG, _ERRNO | _ENOSYS) or default & 0xFFFF0000 == _TRACE:
        return b""
    load, jump_equal, jump_greater, answer = 0x20, 0x15, 0x25, 0x06
    number_at, architecture_at = 0, 4
    found = []
    for architecture in architectures:
        newest = kernel.newest_call(architecture)
        if newest is not None:
            found += [
                (load, 0, 0, architecture_at),
                (jump_equal, 0, 4, architecture),
                (load, 0, 0, number_at),
                (jump_greater, 2, 0, newest + _NEW_CALLS),  # numbers of another kind, of x32 and of ARM
                (jump_greater, 0, 1, newest),
                (answer, 0, 0, _ERRNO | _ENOSYS),
            ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in found)


#: How many numbers after the newest known one are taken for those of new system calls.
_NEW_CALLS: t.Final = 512

# --- what was compiled before ----------------------------------------------------

#: Changes with what this file makes of a profile.
_FORMAT: t.Final = 1
_PREFIX: t.Final = "seccomp-"
#: Most programs that are kept.
_MOST: t.Final = 64
_SEAL: t.Final = 32


def _cached(profile: Profile) -> bytes:
    """The program of a profile, from disk if it was compiled before: that is 20 times as fast as to compile it.

    The file begins with a digest of the rest. It is written whole, so that others may read and write it meanwhile.
    """
    import hashlib  # here, since most containers of other engines have no profile, and it is dear

    from .bundle import SHARED

    rules = {word: profile.get(word) for word in ("defaultAction", "defaultErrnoRet", "architectures", "syscalls")}
    key = json.dumps([_FORMAT, kernel.version(), os.uname().machine, rules], sort_keys=True)
    path = os.path.join(SHARED, f"{_PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:32]}.bpf")
    with contextlib.suppress(OSError), open(path, "rb") as file:
        seal, code = file.read(_SEAL), file.read()
        if seal == hashlib.sha256(code).digest():
            return code
    code = compiled(profile)
    with contextlib.suppress(OSError):  # the next start compiles it again
        _forget_oldest()
        files.write_with_directory(path, hashlib.sha256(code).digest() + code)
    return code


def _forget_oldest() -> None:
    from .bundle import SHARED

    names = [name for name in files.list_directory(SHARED) if name.startswith(_PREFIX)]
    paths = sorted((os.path.join(SHARED, name) for name in names), key=os.path.getmtime)
    for path in paths[: 1 - _MOST]:
        files.remove(path)
