# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step before the payload: a program of a few instructions in a sealed file in memory.

Between the start of a container and its payload runs the host's Python. Were it the one that executes the payload, a
payload ``#!/proc/self/exe`` would be the host's Python again, inside the container, where root could open it for
writing (CVE-2019-5736). So Python executes this program, and this program executes the payload: whatever
``/proc/self/exe`` means at that moment, it is 300 bytes that nobody can change, and that cannot be executed twice.

It takes the right to be executed from itself, marks its two descriptors to be closed on exec, loads the filter of
system calls if there is one, and executes ``argv[0]`` with the rest as its arguments. What fails goes to the channel:
the error number, and what it was in the bits above. Since the filter is loaded here, it decides of no call of ours
but the last.
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
EXECUTE, FILTER, CLOSE = 0, 1, 2
ERROR_BITS: t.Final = 12


def open_stub(channel: int, owner: tuple[int, int], program: Program | None) -> int | None:
    """The program, ready to be executed with :func:`os.execve` of its descriptor.

    :param channel: descriptor on which it reports that the payload cannot be executed.
    :param owner: uid and gid, as the host sees them, of the process that will execute it.
    :param program: filter of system calls that it loads.
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
    os.write(fd, _elf(machine, *_with_filter(machine, channel, fd, program)))
    os.fchown(fd, *owner)
    os.fchmod(fd, 0o500)
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    return fd


def _with_filter(machine: _Machine, channel: int, itself: int, program: Program | None) -> tuple[bytes, bytes]:
    """The instructions, and the filter as they find it behind them."""
    if program is None:
        return _instructions(machine, channel, itself, None), b""
    size = len(_instructions(machine, channel, itself, (0, program.flags)))
    padding = bytes(-(_HEADERS + size) % 8)
    address = _ADDRESS + _HEADERS + size + len(padding)
    header = seccomp.header(program.code, address + len(seccomp.header(b"", 0)))
    return _instructions(machine, channel, itself, (address, program.flags)), padding + header + program.code


def _instructions(machine: _Machine, channel: int, itself: int, filtering: tuple[int, int] | None) -> bytes:
    """What the program does.

    :param filtering: address of the filter's ``struct sock_fprog``, and flags of seccomp(2).
    """

    def unless_done(what: int) -> bytes:
        return machine.unless_zero(machine.report(channel, what))

    words = [
        machine.call("fchmod", itself, 0),
        machine.call("fcntl", itself, fcntl.F_SETFD, fcntl.FD_CLOEXEC),
        machine.call("fcntl", channel, fcntl.F_SETFD, fcntl.FD_CLOEXEC),
        unless_done(CLOSE),
    ]
    if filtering is not None:
        address, flags = filtering
        words += [machine.call("seccomp", seccomp.SET_MODE_FILTER, flags, address), unless_done(FILTER)]
    return b"".join([*words, machine.execute, machine.report(channel, EXECUTE)])


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

    def call(self, name: str, *arguments: int) -> bytes:
        """Instructions for a system call with at most three arguments below 2^32."""

    def report(self, channel: int, what: int) -> bytes:
        """Instructions that write what failed, and the error of the last system call, and end the program."""

    def unless_zero(self, instructions: bytes) -> bytes:
        """Instructions for the case that the result of the last system call is not zero."""


class _X86_64:
    elf = 62
    execute = b"".join((
        b"\x48\x8b\x0c\x24",  # mov rcx, [rsp]: argc
        b"\x48\x8b\x7c\x24\x08",  # mov rdi, [rsp+8]: argv[0]
        b"\x48\x8d\x74\x24\x10",  # lea rsi, [rsp+16]: argv+1
        b"\x48\x8d\x54\xcc\x10",  # lea rdx, [rsp+rcx*8+16]: envp
        b"\xb8\x3b\0\0\0\x0f\x05",  # mov eax, 59 (execve); syscall
    ))  # fmt: skip
    _numbers: t.ClassVar = {"fchmod": 91, "fcntl": 72, "seccomp": 317, "exit_group": 231}

    def call(self, name: str, *arguments: int) -> bytes:
        # mov edi, esi, edx: arguments; mov eax, number; syscall
        registers = (*zip((0xBF, 0xBE, 0xBA), arguments), (0xB8, self._numbers[name]))
        return b"".join(struct.pack("<BI", *each) for each in registers) + b"\x0f\x05"

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


class _AArch64:
    elf = 183
    _numbers: t.ClassVar = {"fchmod": 52, "fcntl": 25, "seccomp": 277, "exit_group": 94, "execve": 221, "write": 64}

    @property
    def execute(self) -> bytes:
        return b"".join((
            _word(0xF94003E3),  # ldr x3, [sp]: argc
            _word(0xF94007E0),  # ldr x0, [sp, 8]: argv[0]
            _word(0x910043E1),  # add x1, sp, 16: argv+1
            _word(0x8B030C22),  # add x2, x1, x3, lsl 3: envp
            self.call("execve"),
        ))  # fmt: skip

    def call(self, name: str, *arguments: int) -> bytes:
        moves = (self._move(register, value) for register, value in enumerate(arguments))
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


def _word(instruction: int) -> bytes:
    return struct.pack("<I", instruction)


_MACHINES: t.Final[dict[str, _Machine]] = {"x86_64": _X86_64(), "aarch64": _AArch64()}
