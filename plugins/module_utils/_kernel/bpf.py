# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the kernel's virtual machine that are attached to control groups (bpf(2))."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import typing as t

from .syscall import syscall

#: System call number of bpf(2) by machine; the others have the number of the generic table.
_NUMBERS = {"x86_64": 321, "i686": 357, "armv7l": 386, "s390x": 351, "ppc64": 361, "ppc64le": 361}
_GENERIC_NUMBER = 280

PROG_LOAD, PROG_ATTACH, PROG_DETACH, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, PROG_QUERY = 5, 8, 9, 13, 15, 16
PROG_TYPE_CGROUP_DEVICE = 15
CGROUP_DEVICE = 6  # enum bpf_attach_type
F_ALLOW_MULTI, F_REPLACE = 2, 4
_MOST_PROGRAMS = 64  # BPF_CGROUP_MAX_PROGS
_LOG_SIZE = 65536
_MOST_INSTRUCTIONS = 1 << 20


class Program(t.NamedTuple):
    """A program that is attached to a control group."""

    id: int
    name: str
    tag: bytes  #: first 8 bytes of a digest of the instructions as they were loaded
    instructions: bytes  #: as the kernel keeps them; empty where it does not show them

    def is_made_of(self, instructions: bytes) -> bool:
        """Whether it was loaded from these instructions (the digest is SHA-256 since Linux 6.18, and was SHA-1)."""
        import hashlib  # of which few have need

        return self.tag in (hashlib.sha256(instructions).digest()[:8], hashlib.sha1(instructions).digest()[:8])


def instruction(code: int, destination: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """One instruction (``struct bpf_insn``).

    :param offset: of a jump, in instructions after the next one; or of a field in memory, in bytes.
    """
    registers = source << 4 | destination if sys.byteorder == "little" else destination << 4 | source
    return struct.pack("=BBhi", code, registers, offset, value)


def fields(words: bytes) -> tuple[int, int, int, int, int]:
    """Code, destination, source, offset and value of one instruction."""
    code, registers, offset, value = struct.unpack("=BBhi", words)
    high, low = registers >> 4, registers & 15
    return (code, low, high, offset, value) if sys.byteorder == "little" else (code, high, low, offset, value)


def load(kind: int, instructions: bytes, name: str) -> int:
    """Load a program.

    :param kind: ``PROG_TYPE_...``.
    :param name: at most 15 letters, shown by bpftool(8).
    :returns: file descriptor; the caller closes it.
    :raises OSError: the kernel refused; its verifier's last words are in the message.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_ = ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(_LOG_SIZE)
    head = struct.pack("=IIQQ", kind, len(instructions) // 8, ctypes.addressof(code), ctypes.addressof(license_))
    quiet = head + struct.pack("=IIQII16s", 0, 0, 0, 0, 0, name.encode())
    try:
        return _bpf(PROG_LOAD, quiet)[0]
    except OSError:
        verbose = head + struct.pack("=IIQII16s", 1, _LOG_SIZE, ctypes.addressof(log), 0, 0, name.encode())
        try:
            return _bpf(PROG_LOAD, verbose)[0]
        except OSError as error:
            words = log.value.decode(errors="replace").strip().splitlines()
            raise OSError(error.errno, f"{error.strerror}{': ' if words else ''}{' '.join(words[-1:])}") from None


def attach(group: int, program: int, kind: int, replaces: int | None = None) -> None:
    """Attach a program to a control group, beside those that others attached.

    :param group: file descriptor of the group's directory.
    :param kind: attach type, such as :data:`CGROUP_DEVICE`.
    :param replaces: file descriptor of an attached program whose place it takes, at once.
    :raises OSError: the kernel refused; ``EPERM``: a group above does not let others attach programs.
    """
    flags = F_ALLOW_MULTI | (F_REPLACE if replaces is not None else 0)
    _bpf(PROG_ATTACH, struct.pack("=IIIII", group, program, kind, flags, replaces or 0))


def detach(group: int, program: int, kind: int) -> None:
    """Take a program off a control group.

    :raises OSError: ``ENOENT``: it is not attached there.
    """
    _bpf(PROG_DETACH, struct.pack("=III", group, program, kind))


def attached(group: int, kind: int) -> list[Program]:
    """The programs of a kind that are attached to a control group itself, not to one above it.

    :raises OSError: the kernel refused.
    """
    ids = (ctypes.c_uint32 * _MOST_PROGRAMS)()
    query = struct.pack("=IIIIQII", group, kind, 0, 0, ctypes.addressof(ids), _MOST_PROGRAMS, 0)
    count = struct.unpack_from("=I", _bpf(PROG_QUERY, query)[1], 24)[0]
    found = []
    for number in ids[:count]:
        try:
            fd = open_program(number)
        except FileNotFoundError:  # replaced meanwhile
            continue
        try:
            found.append(_describe(fd))
        finally:
            os.close(fd)
    return found


def open_program(number: int) -> int:
    """A file descriptor of a program by its id; the caller closes it.

    :raises OSError: ``ENOENT``: there is none.
    """
    return _bpf(PROG_GET_FD_BY_ID, struct.pack("=III", number, 0, 0))[0]


def _describe(fd: int) -> Program:
    size = struct.unpack_from("=I", _information(fd, 0, 0), 20)[0]
    space = ctypes.create_string_buffer(min(size, 8 * _MOST_INSTRUCTIONS) or 8)
    info = _information(fd, size, ctypes.addressof(space))
    _kind, number, tag, _jited, length, _jited_at, shown_at = struct.unpack_from("=II8sIIQQ", info)
    name = info[64:80].rstrip(b"\0").decode(errors="replace")
    return Program(number, name, tag, space.raw[:length] if shown_at else b"")


def _information(fd: int, size: int, address: int) -> bytes:
    """``struct bpf_prog_info``; the instructions are copied to the address."""
    info = ctypes.create_string_buffer(struct.pack("=II8sIIQQ", 0, 0, b"", 0, size, 0, address), 128)
    _bpf(OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)))
    return info.raw


def _bpf(command: int, attributes: bytes) -> tuple[int, bytes]:
    """The system call: its result, and the attributes as it left them."""
    number = _NUMBERS.get(os.uname().machine, _GENERIC_NUMBER)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = syscall(number, command, buffer, len(attributes))
    return result, buffer.raw
