# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of system calls: compiled by libseccomp (seccomp_rule_add(3)), loaded by seccomp(2).

The library is called by ctypes, and only to compile: what is loaded is the program that it exports.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
import typing as t

from .syscall import libc, number, syscall

LIBRARY: t.Final = "libseccomp.so.2"

#: Size of one instruction of a program (``struct sock_filter``).
INSTRUCTION: t.Final = 8
#: Most instructions that the kernel takes (``BPF_MAXINSNS``).
MOST_INSTRUCTIONS: t.Final = 4096

SET_MODE_FILTER: t.Final = 1
FLAG_TSYNC, FLAG_LOG, FLAG_SPEC_ALLOW, FLAG_NEW_LISTENER, FLAG_TSYNC_ESRCH, FLAG_WAIT_KILLABLE = 1, 2, 4, 8, 16, 32

_ATTRIBUTE_OPTIMIZE, _BINARY_TREE = 8, 2
_NO_SUCH_CALL = -1
#: Since this system call, which is the 437th of every machine, new ones have the same number everywhere.
_UNIFORM = ("openat2", 437)
#: A number that no system call will have soon, counted from where a machine's numbers begin.
_BEYOND = 1023


class Comparison(ctypes.Structure):
    """A comparison of one argument of a system call (``struct scmp_arg_cmp``)."""

    _fields_: t.ClassVar = [
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    ]


class _Version(ctypes.Structure):
    _fields_: t.ClassVar = [("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint)]


@functools.cache
def _library() -> ctypes.CDLL:
    """The library.

    :raises OSError: it is not there.
    """
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_version.restype = ctypes.POINTER(_Version)
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_native.restype = ctypes.c_uint32
    library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
    return library


def version() -> str:
    """The version of the library, such as ``2.5.4``.

    :raises OSError: it is not there.
    """
    found = _library().seccomp_version().contents
    return f"{found.major}.{found.minor}.{found.micro}"


def architecture(name: str) -> int | None:
    """The library's, and the kernel's (``AUDIT_ARCH_*``), number of an architecture; ``None`` if it knows none.

    :param name: such as ``x86_64``.
    """
    return _library().seccomp_arch_resolve_name(name.encode()) or None


def call_number(name: str) -> int | None:
    """The number by which rules name a system call, on whatever architecture; ``None`` if the library knows none."""
    found: int = _library().seccomp_syscall_resolve_name(name.encode())
    return None if found == _NO_SUCH_CALL else found


def newest_call(arch: int) -> int | None:
    """The largest number of a system call that the library knows on an architecture; ``None`` where it is too old."""
    library = _library()
    name, uniform = _UNIFORM
    found: int = library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(arch), name.encode())
    for candidate in range(found - uniform + _BEYOND, found, -1) if found > 0 else ():
        text = library.seccomp_syscall_resolve_num_arch(ctypes.c_uint32(arch), candidate)
        if text:
            libc.free(ctypes.c_void_p(text))
            return candidate
    return found if found > 0 else None


class Filter:
    """A filter in the making, to be used in a ``with`` statement.

    :param action: what is done with a system call that no rule is for, as the kernel has it (``SECCOMP_RET_*``).
    :raises OSError: the library is not there, or does not know the action.
    """

    def __init__(self, action: int) -> None:
        self._library = _library()
        context = self._library.seccomp_init(ctypes.c_uint32(action))
        if not context:
            raise OSError(22, f"libseccomp {version()} does not know the default action {action:#x}")
        self._context = ctypes.c_void_p(context)
        self.architectures = [self._library.seccomp_arch_native()]
        self._library.seccomp_attr_set(self._context, _ATTRIBUTE_OPTIMIZE, ctypes.c_uint32(_BINARY_TREE))  # since 2.5

    def __enter__(self) -> Filter:
        return self

    def __exit__(self, *_error: object) -> None:
        self._library.seccomp_release(self._context)

    def add_architecture(self, arch: int) -> None:
        """Make the rules hold for another architecture, too; the machine's own is there from the beginning.

        :raises OSError: it does not go with the others.
        """
        if arch not in self.architectures:
            self._check(self._library.seccomp_arch_add(self._context, ctypes.c_uint32(arch)))
            self.architectures.append(arch)

    def add_rule(self, action: int, call: int, comparisons: t.Sequence[Comparison] = ()) -> None:
        """Add what is done with a system call whose arguments compare as said.

        :raises OSError: ``EEXIST``: another rule says otherwise; ``EOPNOTSUPP``: this kernel cannot.
        """
        array = (Comparison * len(comparisons))(*comparisons)
        self._check(
            self._library.seccomp_rule_add_array(self._context, ctypes.c_uint32(action), call, len(comparisons), array)
        )

    def program(self) -> bytes:
        """The filter as the kernel takes it.

        :raises OSError: it cannot be compiled.
        """
        with open(os.memfd_create("filter"), "rb") as file:
            self._check(self._library.seccomp_export_bpf(self._context, file.fileno()))
            file.seek(0)
            return file.read()

    @staticmethod
    def _check(result: int) -> None:
        if result < 0:
            raise OSError(-result, os.strerror(-result))


def knows_flags(flags: int) -> bool:
    """Whether this kernel knows flags of seccomp(2): it looks at them before it looks for the program."""
    try:
        syscall(number("seccomp"), SET_MODE_FILTER, flags, None)
    except OSError as error:
        return error.errno == 14  # EFAULT
    return False


def load(program: bytes, flags: int) -> int:
    """Let a filter decide of all further system calls of the calling thread.

    :returns: with :data:`FLAG_NEW_LISTENER` a descriptor that tells of them, closed on exec; else 0.
    :raises OSError: ``EACCES``: it has neither CAP_SYS_ADMIN nor no_new_privs.
    """
    address = ctypes.cast(ctypes.c_char_p(program), ctypes.c_void_p).value
    return syscall(number("seccomp"), SET_MODE_FILTER, flags, header(program, address or 0))


def header(program: bytes, address: int) -> bytes:
    """``struct sock_fprog``: how long a program is, and where."""
    return struct.pack("@HP", len(program) // INSTRUCTION, address)
