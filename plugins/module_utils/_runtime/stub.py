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

#: Address of the filter's ``struct sock_fprog``, and flags of seccomp(2).
_Filtering = t.Optional[tuple[int, int]]
#: Instructions of a machine, for the numbers of two descriptors.
_Code = t.Callable[[int, int, _Filtering], bytes]


def open_stub(channel: int, owner: tuple[int, int], program: Program | None) -> int | None:
    """The program, ready to be executed with :func:`os.execve` of its descriptor.

    :param channel: descriptor on which it reports that the payload cannot be executed.
    :param owner: uid and gid, as the host sees them, of the process that will execute it.
    :param program: filter of system calls that it loads.
    :returns: descriptor, not closed on exec: the program closes it; ``None`` where there is no such program for this
        kind of machine, or the system forbids programs in memory.
    """
    code = _CODE.get(os.uname().machine)
    if code is None:
        return None
    for flags in (_MFD_EXEC, 0):  # kernels before 6.3 do not know the flag
        fd: int = libc.memfd_create(b"start", _MFD_ALLOW_SEALING | flags)
        if fd >= 0:
            break
    else:
        return None
    os.write(fd, _elf(os.uname().machine, *_with_filter(code, channel, fd, program)))
    os.fchown(fd, *owner)
    os.fchmod(fd, 0o500)
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    return fd


def _with_filter(code: _Code, channel: int, itself: int, program: Program | None) -> tuple[bytes, bytes]:
    """The instructions, and the filter as they find it behind them."""
    if program is None:
        return code(channel, itself, None), b""
    size = len(code(channel, itself, (0, program.flags)))
    padding = bytes(-(_HEADERS + size) % 8)
    address = _ADDRESS + _HEADERS + size + len(padding)
    header = seccomp.header(program.code, address + len(seccomp.header(b"", 0)))
    return code(channel, itself, (address, program.flags)), padding + header + program.code


def _elf(machine: str, code: bytes, data: bytes) -> bytes:
    """A static program with one segment that is read and executed (elf(5))."""
    kind = {"x86_64": 62, "aarch64": 183}[machine]
    size = _HEADERS + len(code) + len(data)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, kind, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)
    return header + segment + code + data


def _x86_64(channel: int, itself: int, filtering: _Filtering) -> bytes:
    def number(value: int) -> bytes:
        return struct.pack("<I", value)

    def call(code: int, *arguments: int) -> bytes:
        # mov edi, esi, edx: arguments; mov eax, code; syscall
        moves = b"".join(move + number(value) for move, value in zip((b"\xbf", b"\xbe", b"\xba"), arguments))
        return moves + b"\xb8" + number(code) + b"\x0f\x05"

    def report(what: int) -> bytes:
        return b"".join((
            b"\xf7\xd8\x0d" + number(what << ERROR_BITS),  # neg eax; or eax, what
            b"\x50\x48\x89\xe6",  # push rax; mov rsi, rsp
            b"\xbf" + number(channel) + b"\xba\x04\0\0\0\xb8\x01\0\0\0\x0f\x05",  # write(channel, rsi, 4)
            call(231, 127),  # exit_group(127)
            b"\x0f\x0b",  # ud2: where a filter forbids that
        ))  # fmt: skip

    def unless_zero(words: bytes) -> bytes:
        return b"\x85\xc0\x74" + bytes([len(words)]) + words  # test eax, eax; jz behind the words

    return b"".join((
        call(91, itself, 0),  # fchmod
        call(72, itself, 2, 1),  # fcntl(itself, F_SETFD, FD_CLOEXEC)
        call(72, channel, 2, 1) + unless_zero(report(CLOSE)),
        call(317, seccomp.SET_MODE_FILTER, filtering[1], filtering[0]) + unless_zero(report(FILTER))
        if filtering else b"",
        b"\x48\x8b\x0c\x24",  # mov rcx, [rsp]: argc
        b"\x48\x8b\x7c\x24\x08",  # mov rdi, [rsp+8]: argv[0]
        b"\x48\x8d\x74\x24\x10",  # lea rsi, [rsp+16]: argv+1
        b"\x48\x8d\x54\xcc\x10",  # lea rdx, [rsp+rcx*8+16]: envp
        b"\xb8\x3b\0\0\0\x0f\x05",  # execve
        report(EXECUTE),
    ))  # fmt: skip


def _aarch64(channel: int, itself: int, filtering: _Filtering) -> bytes:
    def move(register: int, value: int) -> tuple[int, int]:
        # movz xN, low half; movk xN, high half, lsl 16
        return 0xD2800000 | (value & 0xFFFF) << 5 | register, 0xF2A00000 | (value >> 16) << 5 | register

    def call(code: int, *arguments: int) -> tuple[int, ...]:
        words = [word for register, value in enumerate(arguments) for word in move(register, value)]
        return (*words, *move(8, code), 0xD4000001)  # svc 0

    def report(what: int) -> tuple[int, ...]:
        return (
            0x4B0003E0,  # neg w0, w0
            0x11400000 | what << 10,  # add w0, w0, what, lsl 12
            0xF81F0FE0,  # str x0, [sp, -16]!
            *move(0, channel), 0x910003E1, *move(2, 4), *move(8, 64), 0xD4000001,  # write(channel, sp, 4)
            *call(94, 127),  # exit_group(127)
            0xD4200000,  # brk 0: where a filter forbids that
        )  # fmt: skip

    def unless_zero(words: tuple[int, ...]) -> tuple[int, ...]:
        return (0x34000000 | (len(words) + 1) << 5, *words)  # cbz w0, behind the words

    words = (
        *call(52, itself, 0),  # fchmod
        *call(25, itself, 2, 1),  # fcntl(itself, F_SETFD, FD_CLOEXEC)
        *call(25, channel, 2, 1), *unless_zero(report(CLOSE)),
        *((*call(277, seccomp.SET_MODE_FILTER, filtering[1], filtering[0]), *unless_zero(report(FILTER)))
          if filtering else ()),
        0xF94003E3,  # ldr x3, [sp]: argc
        0xF94007E0,  # ldr x0, [sp, 8]: argv[0]
        0x910043E1,  # add x1, sp, 16: argv+1
        0x8B030C22,  # add x2, x1, x3, lsl 3: envp
        *move(8, 221), 0xD4000001,  # execve
        *report(EXECUTE),
    )  # fmt: skip
    return struct.pack(f"<{len(words)}I", *words)


_CODE: t.Final[dict[str, _Code]] = {"x86_64": _x86_64, "aarch64": _aarch64}
