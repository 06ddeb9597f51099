# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this kernel was built with, where it or its distribution tells (proc(5), ``/proc/config.gz``)."""

from __future__ import annotations

import functools
import gzip
import os
import typing as t
import zlib

#: ``{}`` stands for the kernel's release.
PLACES: t.Final = ("/proc/config.gz", "/boot/config-{}", "/lib/modules/{}/config", "/lib/modules/{}/build/.config")


def built_without(option: str) -> bool:
    """Whether this kernel is known to lack an option; where nobody tells, it is not.

    :param option: such as ``CONFIG_ZSWAP``.
    """
    lines = _lines()
    return bool(lines) and not lines & {f"{option}=y", f"{option}=m"}


#: What the kernel tells of its own types and functions (Documentation/bpf/btf.rst).
TYPES: t.Final = "/sys/kernel/btf/vmlinux"


def lacks_name(name: str) -> bool:
    """Whether this kernel is known to have no member of a structure, and no function, of a name.

    A version does not tell: distributions take what is new into old kernels. Where nobody tells, it is not known.
    """
    try:
        with open(TYPES, "rb") as file:
            return b"\0%s\0" % name.encode() not in file.read()
    except OSError:
        return False


@functools.lru_cache(maxsize=1)
def _lines() -> frozenset[str]:
    """The first configuration that can be read; nothing if there is none."""
    for place in PLACES:
        path = place.format(os.uname().release)
        try:
            with open(path, "rb") as file:
                data = file.read()
            text = gzip.decompress(data) if path.endswith(".gz") else data
        except (OSError, EOFError, zlib.error):
            continue
        return frozenset(text.decode(errors="replace").splitlines())
    return frozenset()
