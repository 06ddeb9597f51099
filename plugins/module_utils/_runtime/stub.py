# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step before the payload: a program of a few instructions in a sealed file in memory.

Between the start of a container and its payload runs the host's Python. Were it the one that executes the payload, a
payload ``#!/proc/self/exe`` would be the host's Python again, inside the container, where root could open it for
writing (CVE-2019-5736). So Python executes this program, and this program executes the payload: whatever
``/proc/self/exe`` means at that moment, it is 300 bytes that nobody can change, and that cannot be executed twice.

It takes the right to be executed from itself, marks its descriptors to be closed on exec, asks for the label of a
security module if there is one, loads the filter of system calls if there is one, and executes ``argv[0]`` with the
rest as its arguments. What fails goes to the channel: the error number, and what it was in the bits above. Since the
filter is loaded here, it decides of no call of ours but the last. Since the label is asked for here, it is the payload
that gets it: not this program, which no policy knows, and which a profile need not let execute anything.
"""

from __future__ import annotations

import fcntl
import os
import struct
import typing as t

from .._kernel import seccomp
from .._kernel.syscall import libc

if t.TYPE_CHECKING:
    from .seccomp import Program

_MFD_ALLOW_SEALING, _MFD_EXEC = 2, 0x10
_F_ADD_SEALS, _SEALS = 1033, 0xF  # no more seals, no shrinking, growing and writing
_ADDRESS = 0x400000
_HEADERS = 64 + 56

#: What failed, as the program reports it above the bits of the error number.
EXECUTE, FILTER, CLOSE, LABEL = 0, 1, 2, 3
ERROR_BITS: t.Final = 12


class Label(t.NamedTuple):
    """What a security module is told of the payload, by a file that belongs to the process that executes it."""

    directory: int  #: descriptor of the process's directory in a ``/proc``, not closed on exec: the program closes it
    file: str  #: below that
    text: bytes


def open_stub(channel: int, owner: tuple[int, int], program: Program | None, label: Label | None = None) -> int | None:
    """The program, ready to be executed with :func:`os.execve` of its descriptor.

    :param channel: descriptor on which it reports that the payload cannot be executed.
    :param owner: uid and gid, as the host sees them, of the process that will execute it.
    :param program: filter of system calls that it loads.
    :param label: what it writes before.
    :returns: descriptor, not closed on exec: the program closes it; ``None`` where there is no such program for this
        kind of machine, or the system forbids programs in memory.
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return None
    for flags in (_MFD_EXEC, 0):  # kernels before 6.3 do not know the flag
        fd: int = libc.memfd_create(b"start", _MFD_ALLOW_SEALING | flags)
        if fd >= 0:
            break
    else:
        return None
    os.write(fd, _elf(machine, *_code(machine, channel, fd, label, program)))
    os.fchown(fd, *owner)
    os.fchmod(fd, 0o500)
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    return fd


def _code(
    machine: _Machine, channel: int, itself: int, label: Label | None, program: Program | None
) -> tuple[bytes, bytes]:
    """The instructions, and the data as they find it behind them: words of the label, and the filter."""
    words = label.file.encode() + b"\0" + label.text if label else b""

    def instructions(at: int, filter_at: int) -> bytes:
        """The instructions, whose number does not depend on where the data is."""
        labelling = _labelling(machine, channel, label, at) if label else b""
        filtering = _filtering(machine, channel, program.flags, filter_at) if program else b""
        end = machine.execute + machine.report(channel, EXECUTE)
        return _closing(machine, channel, itself) + labelling + filtering + end

    at = _ADDRESS + _HEADERS + len(instructions(0, 0))
    filter_at = at + len(words) + -(at + len(words)) % 8
    data = words.ljust(filter_at - at, b"\0")
    if program:
        data += seccomp.header(program.code, filter_at + len(seccomp.header(b"", 0))) + program.code
    return instructions(at, filter_at), data


def _closing(machine: _Machine, channel: int, itself: int) -> bytes:
    """Nothing of this is the payload's."""
    return b"".join((
        machine.call("fchmod", itself, 0),
        machine.call("fcntl", itself, fcntl.F_SETFD, fcntl.FD_CLOEXEC),
        machine.call("fcntl", channel, fcntl.F_SETFD, fcntl.FD_CLOEXEC),
        machine.unless_zero(machine.report(channel, CLOSE)),
    ))  # fmt: skip


def _labelling(machine: _Machine, channel: int, label: Label, at: int) -> bytes:
    """Open the file, write to it; who may write is who has opened it (proc_pid_attr(5)).

    :param at: address of the file's name, a zero byte and the text.
    """
    failed = machine.unless_negative(machine.report(channel, LABEL))
    return b"".join((
        machine.call("fcntl", label.directory, fcntl.F_SETFD, fcntl.FD_CLOEXEC),
        machine.call("openat", label.directory, at, os.O_WRONLY | os.O_CLOEXEC), failed,
        machine.call("write", None, at + len(label.file.encode()) + 1, len(label.text)), failed,
    ))  # fmt: skip


def _filtering(machine: _Machine, channel: int, flags: int, at: int) -> bytes:
    """Load the filter.

    :param flags: of seccomp(2).
    :param at: address of the filter's ``struct sock_fprog``.
    """
    call = machine.call("seccomp", seccomp.SET_MODE_FILTER, flags, at)
    return call + machine.unless_zero(machine.report(channel, FILTER))


def _elf(machine: _Machine, code: bytes, data: bytes) -> bytes:
    """A static program with one segment that is read and executed (elf(5))."""
    size = _HEADERS + len(code) + len(data)
    start = _ADDRESS + _HEADERS
    magic = b"\x7fELF\x02\x01\x01"
    header = struct.pack("<16sHHIQQQIHHHHHH", magic, 2, machine.elf, 1, start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)
    return header + segment + code + data


class _Machine(t.Protocol):
    """How a kind of machine is told what to do."""

    elf: int  #: its number in elf(5)

    @property
    def execute(self) -> bytes:
        """Instructions that execute ``argv[0]`` with the rest of ``argv``; they go on if that fails."""

    def call(self, name: str, *arguments: int | None) -> bytes:
        """Instructions for a system call with at most three arguments below 2^32.

        The first one may be ``None``: the result of the last system call.
        """

    def report(self, channel: int, what: int) -> bytes:
        """Instructions that write what failed, and the error of the last system call, and end the program."""

    def unless_zero(self, instructions: bytes) -> bytes:
        """Instructions for the case that the result of the last system call is not zero."""

    def unless_negative(self, instructions: bytes) -> bytes:
        """Instructions for the case that the last system call failed; its result is kept."""


class _X86_64:
    elf = 62
    execute = b"".join((
        b"\x48\x8b\x0c\x24",  # mov rcx, [rsp]: argc
        b"\x48\x8b\x7c\x24\x08",  # mov rdi, [rsp+8]: argv[0]
        b"\x48\x8d\x74\x24\x10",  # lea rsi, [rsp+16]: argv+1
        b"\x48\x8d\x54\xcc\x10",  # lea rdx, [rsp+rcx*8+16]: envp
        b"\xb8\x3b\0\0\0\x0f\x05",  # mov eax, 59 (execve); syscall
    ))  # fmt: skip
    _numbers: t.ClassVar = {"fchmod": 91, "fcntl": 72, "seccomp": 317, "exit_group": 231, "openat": 257, "write": 1}

    def call(self, name: str, *arguments: int | None) -> bytes:
        # mov edi, esi, edx: arguments; mov eax, number; syscall. Of a result: mov edi, eax
        registers = (*zip((0xBF, 0xBE, 0xBA), arguments), (0xB8, self._numbers[name]))
        moves = (b"\x89\xc7" if value is None else struct.pack("<BI", move, value) for move, value in registers)
        return b"".join(moves) + b"\x0f\x05"

    def report(self, channel: int, what: int) -> bytes:
        return b"".join((
            b"\xf7\xd8\x0d" + struct.pack("<I", what << ERROR_BITS),  # neg eax; or eax, what
            b"\x50\x48\x89\xe6",  # push rax; mov rsi, rsp
            b"\xbf" + struct.pack("<I", channel),  # mov edi, channel
            b"\xba\x04\0\0\0\xb8\x01\0\0\0\x0f\x05",  # mov edx, 4; mov eax, 1 (write); syscall
            self.call("exit_group", 127),
            b"\x0f\x0b",  # ud2: where a filter forbids that
        ))  # fmt: skip

    def unless_zero(self, instructions: bytes) -> bytes:
        return b"\x85\xc0\x74" + bytes([len(instructions)]) + instructions  # test eax, eax; jz behind them

    def unless_negative(self, instructions: bytes) -> bytes:
        return b"\x85\xc0\x79" + bytes([len(instructions)]) + instructions  # test eax, eax; jns behind them


class _AArch64:
    elf = 183
    _numbers: t.ClassVar = {
        "fchmod": 52, "fcntl": 25, "seccomp": 277, "exit_group": 94, "execve": 221, "write": 64, "openat": 56,
    }  # fmt: skip

    @property
    def execute(self) -> bytes:
        return b"".join((
            _word(0xF94003E3),  # ldr x3, [sp]: argc
            _word(0xF94007E0),  # ldr x0, [sp, 8]: argv[0]
            _word(0x910043E1),  # add x1, sp, 16: argv+1
            _word(0x8B030C22),  # add x2, x1, x3, lsl 3: envp
            self.call("execve"),
        ))  # fmt: skip

    def call(self, name: str, *arguments: int | None) -> bytes:
        # A result is where a first argument is.
        moves = (self._move(register, value) for register, value in enumerate(arguments) if value is not None)
        return b"".join((*moves, self._move(8, self._numbers[name]), _word(0xD4000001)))  # svc 0

    @staticmethod
    def _move(register: int, value: int) -> bytes:
        # movz xN, low half; movk xN, high half, lsl 16
        return _word(0xD2800000 | (value & 0xFFFF) << 5 | register) + _word(0xF2A00000 | (value >> 16) << 5 | register)

    def report(self, channel: int, what: int) -> bytes:
        return b"".join((
            _word(0x4B0003E0),  # neg w0, w0
            _word(0x11400000 | what << 10),  # add w0, w0, what, lsl 12
            _word(0xF81F0FE0),  # str x0, [sp, -16]!
            self._move(0, channel), _word(0x910003E1), self._move(2, 4), self.call("write"),  # channel, sp, 4
            self.call("exit_group", 127),
            _word(0xD4200000),  # brk 0: where a filter forbids that
        ))  # fmt: skip

    def unless_zero(self, instructions: bytes) -> bytes:
        return _word(0x34000000 | (len(instructions) // 4 + 1) << 5) + instructions  # cbz w0, behind them

    def unless_negative(self, instructions: bytes) -> bytes:
        return _word(0x36F80000 | (len(instructions) // 4 + 1) << 5) + instructions  # tbz w0, 31, behind them


def _word(instruction: int) -> bytes:
    return struct.pack("<I", instruction)


_MACHINES: t.Final[dict[str, _Machine]] = {"x86_64": _X86_64(), "aarch64": _AArch64()}
