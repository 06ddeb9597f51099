# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices the processes of a group may use.

In the words of version 1 (``admin-guide/cgroup-v1/devices.rst``): a rule a line, ``c 1:3 rwm``, with ``*`` for any
number and ``a *:* rwm`` for everything. A rule after the word ``deny`` forbids; the last rule that matches counts, and
what no rule matches is denied, as in the OCI runtime specification.

Version 1 has files for it. In version 2 it is a program of type ``BPF_PROG_TYPE_CGROUP_DEVICE`` that the kernel asks
(bpf(2)); ours carries our name, is replaced at once, and its instructions tell the rules that it was made from.
"""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from .._kernel import bpf
from .._model.errors import NotHere, NsfleetError
from .._model.quantities import is_digits

if t.TYPE_CHECKING:
    from .settings import Folder

EVERYTHING: t.Final = "a *:* rwm"
#: Name of our program, as bpftool(8) shows it.
PROGRAM_NAME: t.Final = "nsfleet"
#: Before the tag of a program whose rules the kernel does not show (net.core.bpf_jit_harden is 2).
TAG: t.Final = "tag "

#: Type and numbers of a rule.
_Devices = tuple[str, t.Optional[int], t.Optional[int]]
_TYPES = {"b": 1, "c": 2}  # BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_DEV_CHAR
_ACCESS = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_MKNOD, _READ, _WRITE


class Rule(t.NamedTuple):
    """Who may do what with which devices."""

    allow: bool
    type: str  #: ``a``, ``b`` or ``c``
    major: int | None  #: ``None``: any
    minor: int | None
    access: str  #: letters of ``rwm``, in this order

    def __str__(self) -> str:
        numbers = ":".join("*" if number is None else str(number) for number in (self.major, self.minor))
        return f"{'' if self.allow else 'deny '}{self.type} {numbers} {self.access}"

    @property
    def everything(self) -> bool:
        """Whether it matches every access to every device."""
        return self[1:] == ("a", None, None, "rwm")


def parse_rule(text: str) -> Rule:
    """One rule.

    :param text: ``c 1:3 rwm``, ``b 8:* r``, ``a`` for everything, or the path of a device with the letters of what is
        allowed after it, ``/dev/kvm rw``.
    :raises ValueError: it is not one.
    """
    words = " ".join(text.split())
    if words.startswith("/"):
        words = _named(words)
    parts = _parts(EVERYTHING if words == "a" else words)
    if parts is None:
        raise ValueError(
            f"expected a rule such as 'c 1:3 rwm', 'b 8:* r' or '/dev/kvm rw', or 'a' for everything, got {text!r}"
        )
    deny, kind, major, minor, letters = parts
    if len(set(letters)) != len(letters):
        raise ValueError(f"expected each of r, w and m at most once, got {text!r}")
    rule = Rule(not deny, kind, _number(major), _number(minor), _in_order(letters))
    if (rule.major or 0) >= 1 << 12 or (rule.minor or 0) >= 1 << 20:
        raise ValueError(f"expected a major number below 4096 and a minor number below 1048576, got {text!r}")
    return rule


def _parts(words: str) -> tuple[bool, str, str, str, str] | None:
    """Of a rule: whether it forbids, type, numbers, letters; ``None`` if it is none. (Each start has many, of which
    regular expressions would take more time than anything else.)"""
    deny, parts = words.startswith("deny "), words.removeprefix("deny ").split(" ")
    if len(parts) != 3:
        return None
    kind, numbers, letters = parts
    major, _colon, minor = numbers.partition(":")
    fits = kind in ("a", "b", "c") and all(part == "*" or is_digits(part) for part in (major, minor))
    if not fits or not 0 < len(letters) <= 3 or not set(letters) <= set("rwm"):
        return None
    return deny, kind, major, minor, letters


def _number(word: str) -> int | None:
    return None if word == "*" else int(word)


def _in_order(letters: t.Container[str]) -> str:
    return "".join(letter for letter in "rwm" if letter in letters)


def _named(words: str) -> str:
    """A rule that names a device by its path, with numbers in place of the path."""
    path, _space, letters = words.partition(" ")
    try:
        info = os.stat(path)
    except OSError as error:
        raise NotHere(f"expected a device, but {path}: {error.strerror}") from None
    kind = {stat.S_IFBLK: "b", stat.S_IFCHR: "c"}.get(stat.S_IFMT(info.st_mode))
    if kind is None:
        raise NotHere(f"expected a device, but {path} is none")
    return f"{kind} {os.major(info.st_rdev)}:{os.minor(info.st_rdev)} {letters or 'rwm'}"


def parse(text: str) -> list[Rule]:
    """Rules, one a line.

    :raises ValueError: a line is none.
    """
    return [parse_rule(line) for line in text.splitlines() if line.strip()]


def allowed(rules: t.Iterable[Rule]) -> list[str]:
    """The one form of a list of what is allowed, in which the order means nothing: each device once, sorted."""
    access = _by_device(rules)
    if ("a", None, None) in access:
        return [EVERYTHING]
    return sorted(str(Rule(True, *key, letters)) for key, letters in access.items())


def _by_device(rules: t.Iterable[Rule]) -> dict[_Devices, str]:
    """Type and numbers to the letters of what is allowed."""
    access: dict[_Devices, str] = {}
    for rule in rules:
        for kind in "bc" if rule.type == "a" and not rule.everything else rule.type:
            key = (kind, rule.major, rule.minor)
            access[key] = _in_order(access.get(key, "") + rule.access)
    return access


def exceptions(rules: t.Iterable[Rule]) -> list[Rule]:
    """Rules with the same answers as others, of the one form that version 1 keeps: all devices, and exceptions.

    :raises ValueError: a rule makes an exception from a part of another exception, which version 1 would ignore.
    """
    allow, found = False, dict[_Devices, str]()
    for rule in rules:
        if rule.everything:
            allow, found = rule.allow, {}
            continue
        for kind in "bc" if rule.type == "a" else rule.type:
            one = rule._replace(type=kind)
            if one.allow == allow:
                _take_away(found, one)
            else:
                found[one[1:4]] = _in_order(found.get(one[1:4], "") + one.access)
    return [Rule(True, "a", None, None, "rwm")][: int(allow)] + [
        Rule(not allow, *key, letters) for key, letters in found.items() if letters
    ]


def _take_away(found: dict[_Devices, str], rule: Rule) -> None:
    """Take what a rule says from the exceptions that it says it of."""
    for key, letters in found.items():
        pairs = list(zip(key, rule[1:4]))
        if any(None not in pair and pair[0] != pair[1] for pair in pairs):
            continue
        rest = _in_order(set(letters) - set(rule.access))
        if rest != letters and any(ours is None and theirs is not None for ours, theirs in pairs):
            other = Rule(not rule.allow, *key, letters)
            raise ValueError(f"cgroup v1 cannot make an exception {str(rule)!r} from the exception {str(other)!r}")
        found[key] = rest


# --- version 1 and version 2 alike ---------------------------------------------


def read(folder: Folder) -> str | None:
    """The rules that hold in a group, one a line; ``None`` if it has none of its own and no place for them.

    A program of ours that the kernel does not show is given as ``tag`` and its tag.
    """
    if folder.tree.has(f"{folder.path}/devices.list"):
        return folder.read("devices.list")
    return _read_program(folder.path) if folder.tree.has(f"{folder.path}/cgroup.events") else None


def write(folder: Folder, text: str) -> None:
    """Make rules hold in a group.

    :param text: rules, one a line.
    :raises OSError: the kernel refused.
    """
    if folder.tree.has(f"{folder.path}/devices.list"):
        _write_files(folder, parse(text))
    else:
        _write_program(folder.path, parse(text))


# --- version 1: files ------------------------------------------------------------


def _write_files(folder: Folder, rules: list[Rule]) -> None:
    """Take away and add what differs, so that what is allowed before and after is allowed in between."""
    live = folder.read("devices.list") or ""
    if any(rule.everything or not rule.allow for rule in rules) or live.strip() == EVERYTHING:
        _write_anew(folder, rules)
        return
    now, wanted = _by_device(parse(live)), _by_device(rules)
    for file, more, less in (("devices.deny", now, wanted), ("devices.allow", wanted, now)):
        for key, letters in more.items():
            rest = _in_order(set(letters) - set(less.get(key, "")))
            if rest:
                folder.write(file, str(Rule(True, *key, rest)))


def _write_anew(folder: Folder, rules: list[Rule]) -> None:
    if not (rules and rules[0].everything and rules[0].allow):
        folder.write("devices.deny", "a")
    for rule in rules:
        line = "a" if rule.everything else str(rule._replace(allow=True))
        folder.write("devices.allow" if rule.allow else "devices.deny", line)


# --- version 2: a program ----------------------------------------------------------

_LOAD_WORD, _MOVE_REGISTER, _SHIFT_RIGHT, _AND, _MOVE = 0x61, 0xBF, 0x77, 0x57, 0xB7
_JUMP_IF_NOT, _JUMP_IF, _EXIT = 0x55, 0x15, 0x95
_RESULT, _CONTEXT, _KIND, _WANTED, _MAJOR, _MINOR, _WORK = 0, 1, 2, 3, 4, 5, 6

#: struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor.
_PROLOGUE = (
    bpf.instruction(_LOAD_WORD, _KIND, _CONTEXT, 0)
    + bpf.instruction(_MOVE_REGISTER, _WANTED, _KIND)
    + bpf.instruction(_SHIFT_RIGHT, _WANTED, value=16)
    + bpf.instruction(_AND, _KIND, value=0xFFFF)
    + bpf.instruction(_LOAD_WORD, _MAJOR, _CONTEXT, 4)
    + bpf.instruction(_LOAD_WORD, _MINOR, _CONTEXT, 8)
)


def assemble(rules: t.Sequence[Rule]) -> bytes:
    """The program that answers for rules. They are asked from the last one to the first; the first match answers."""
    program = _PROLOGUE
    for rule in reversed(rules):
        if rule.everything:
            return program + _answer(rule.allow)
        program += _question(rule)
    return program + _answer(False)


def _answer(allow: bool) -> bytes:
    return bpf.instruction(_MOVE, _RESULT, value=int(allow)) + bpf.instruction(_EXIT)


def _question(rule: Rule) -> bytes:
    """Jump over the answer unless everything matches."""
    tests: list[tuple[int, int, int]] = []  # code, register, value
    if rule.type != "a":
        tests.append((_JUMP_IF_NOT, _KIND, _TYPES[rule.type]))
    if rule.access != "rwm":
        # What allows has to allow all that is wanted; what denies, denies any of it.
        mask = sum(_ACCESS[letter] for letter in ("rwm" if rule.allow else rule.access))
        mask -= sum(_ACCESS[letter] for letter in rule.access) if rule.allow else 0
        tests.append((_JUMP_IF_NOT if rule.allow else _JUMP_IF, _WORK, mask))
    tests += [
        (_JUMP_IF_NOT, register, number)
        for register, number in ((_MAJOR, rule.major), (_MINOR, rule.minor))
        if number is not None
    ]
    words = _answer(rule.allow)
    for code, register, value in reversed(tests):
        jump = len(words) // 8
        if register == _WORK:
            words = bpf.instruction(code, _WORK, 0, jump) + words
            words = bpf.instruction(_AND, _WORK, value=value) + words
            words = bpf.instruction(_MOVE_REGISTER, _WORK, _WANTED) + words
        else:
            words = bpf.instruction(code, register, 0, jump, value) + words
    return words


def disassemble(program: bytes) -> list[Rule] | None:
    """The rules that a program was made from, ``None`` if it is not one of :func:`assemble`."""
    rules: list[Rule] = []
    found: dict[int, int] = {}
    for start in range(len(_PROLOGUE), len(program), 8):
        code, register, _source, _jump, value = bpf.fields(program[start : start + 8])
        if code == _AND or (code == _JUMP_IF_NOT and register != _WORK):
            found[register] = value
        elif code == _MOVE:
            rules.append(_rule(found, bool(value)))
            found = {}
    rules.reverse()
    if rules and rules[0] == Rule(False, "a", None, None, "rwm"):
        del rules[0]
    return rules if assemble(rules) == program else None


def _rule(found: dict[int, int], allow: bool) -> Rule:
    kind = next((letter for letter, number in _TYPES.items() if number == found.get(_KIND)), "a")
    mask = found.get(_WORK, 0 if allow else 7)
    access = "".join(letter for letter in "rwm" if bool(_ACCESS[letter] & mask) != allow)
    return Rule(allow, kind, found.get(_MAJOR), found.get(_MINOR), access)


def tag_of(text: str, rules: t.Sequence[str]) -> bool:
    """Whether a ``tag`` of :func:`read` is the one of a program for rules."""
    program = bpf.Program(0, "", bytes.fromhex(text[len(TAG) :]), b"")
    return program.is_made_of(assemble(parse("\n".join(rules))))


def _ours(fd: int) -> bpf.Program | None:
    return next((each for each in bpf.attached(fd, bpf.CGROUP_DEVICE) if each.name == PROGRAM_NAME), None)


def _read_program(path: str) -> str:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        program = _ours(fd)
    finally:
        os.close(fd)
    if program is None:
        return EVERYTHING
    rules = disassemble(program.instructions) if program.instructions else None
    return f"{TAG}{program.tag.hex()}" if rules is None else "\n".join(map(str, rules))


def _write_program(path: str, rules: list[Rule]) -> None:
    """Attach a program in place of ours, at once; where everything is allowed, there is none."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    old = new = None
    try:
        before = _ours(fd)
        old = None if before is None else bpf.open_program(before.id)
        if rules and rules[-1].everything and rules[-1].allow:
            if old is not None:
                bpf.detach(fd, old, bpf.CGROUP_DEVICE)
            return
        new = bpf.load(bpf.PROG_TYPE_CGROUP_DEVICE, assemble(rules), PROGRAM_NAME)
        bpf.attach(fd, new, bpf.CGROUP_DEVICE, old)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP):
            raise NsfleetError("this kernel cannot limit devices in cgroup v2 (CONFIG_CGROUP_BPF)") from error
        raise
    finally:
        for each in (fd, old, new):
            if each is not None:
                os.close(each)
