# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step before the payload: a program of a few instructions in a sealed file in memory.

Between the start of a container and its payload runs the host's Python. Were it the one that executes the payload, a
payload ``#!/proc/self/exe`` would be the host's Python again, inside the container, where root could open it for
writing (CVE-2019-5736). So Python executes this program, and this program executes the payload: whatever
``/proc/self/exe`` means at that moment, it is 300 bytes that nobody can change, and that cannot be executed twice.

It takes the right to be executed from itself, marks its two descriptors to be closed on exec, executes ``argv[0]`` with
the rest as its arguments, and if that fails writes the error number to the channel.
"""

from __future__ import annotations

import fcntl
import os
import struct

from .._kernel.syscall import libc

_MFD_ALLOW_SEALING, _MFD_EXEC = 2, 0x10
_F_ADD_SEALS, _SEALS = 1033, 0xF  # no more seals, no shrinking, growing and writing
_ADDRESS = 0x400000
_HEADERS = 64 + 56


def open_stub(channel: int, owner: tuple[int, int]) -> int | None:
    """The program, ready to be executed with :func:`os.execve` of its descriptor.

    :param channel: descriptor on which it reports that the payload cannot be executed.
    :param owner: uid and gid, as the host sees them, of the process that will execute it.
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
    os.write(fd, _elf(os.uname().machine, code(channel, fd)))
    os.fchown(fd, *owner)
    os.fchmod(fd, 0o500)
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    return fd


def _elf(machine: str, code: bytes) -> bytes:
    """A static program with one segment that is read and executed (elf(5))."""
    kind = {"x86_64": 62, "aarch64": 183}[machine]
    size = _HEADERS + len(code)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, kind, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)
    return header + segment + code


def _x86_64(channel: int, itself: int) -> bytes:
    def number(value: int) -> bytes:
        return struct.pack("<I", value)

    def close_on_exec(fd: int) -> bytes:
        # mov eax, 72 (fcntl); mov edi, fd; mov esi, 2 (F_SETFD); mov edx, 1 (FD_CLOEXEC); syscall
        return b"\xb8\x48\0\0\0\xbf" + number(fd) + b"\xbe\x02\0\0\0\xba\x01\0\0\0\x0f\x05"

    return b"".join((
        b"\xb8\x5b\0\0\0\xbf" + number(itself) + b"\x31\xf6\x0f\x05",  # fchmod(itself, 0)
        close_on_exec(itself),
        close_on_exec(channel),
        b"\x48\x8b\x0c\x24",  # mov rcx, [rsp]: argc
        b"\x48\x8b\x7c\x24\x08",  # mov rdi, [rsp+8]: argv[0]
        b"\x48\x8d\x74\x24\x10",  # lea rsi, [rsp+16]: argv+1
        b"\x48\x8d\x54\xcc\x10",  # lea rdx, [rsp+rcx*8+16]: envp
        b"\xb8\x3b\0\0\0\x0f\x05",  # execve
        b"\xf7\xd8\x50",  # neg eax; push rax
        b"\xb8\x01\0\0\0\xbf" + number(channel),  # write(channel,
        b"\x48\x89\xe6\xba\x04\0\0\0\x0f\x05",  # rsp, 4)
        b"\xb8\xe7\0\0\0\xbf\x7f\0\0\0\x0f\x05",  # exit_group(127)
    ))  # fmt: skip


def _aarch64(channel: int, itself: int) -> bytes:
    def move(register: int, value: int) -> int:
        return 0xD2800000 | (value & 0xFFFF) << 5 | register  # movz xN, value

    system_call = 0xD4000001

    def close_on_exec(fd: int) -> tuple[int, ...]:
        return move(8, 25), move(0, fd), move(1, 2), move(2, 1), system_call  # fcntl(fd, F_SETFD, FD_CLOEXEC)

    words = (
        move(8, 52), move(0, itself), move(1, 0), system_call,  # fchmod(itself, 0)
        *close_on_exec(itself),
        *close_on_exec(channel),
        0xF94003E3,  # ldr x3, [sp]: argc
        0xF94007E0,  # ldr x0, [sp, 8]: argv[0]
        0x910043E1,  # add x1, sp, 16: argv+1
        0x8B030C22,  # add x2, x1, x3, lsl 3: envp
        move(8, 221), system_call,  # execve
        0x4B0003E0,  # neg w0, w0
        0xF81F0FE0,  # str x0, [sp, -16]!
        move(8, 64), move(0, channel), 0x910003E1, move(2, 4), system_call,  # write(channel, sp, 4)
        move(8, 94), move(0, 127), system_call,  # exit_group(127)
    )  # fmt: skip
    return struct.pack(f"<{len(words)}I", *words)


_CODE = {"x86_64": _x86_64, "aarch64": _aarch64}
