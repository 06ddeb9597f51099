# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and paths that the kernel and its tools accept.

Each function gives the canonical form or says what was expected.
"""

from __future__ import annotations

import posixpath
import re

from .quantities import is_digits

_WORD = re.compile(r"[^\s/\0]+")
#: Files that the kernel makes in every directory of a control group.
_CGROUP_FILE = re.compile(
    r"(blkio|cgroup|cpu|cpuacct|cpuset|devices|dmem|freezer|hugetlb|io|memory|misc|net_cls|net_prio|perf_event|pids|"
    r"rdma)\..*|tasks|notify_on_release|release_agent"
)
#: Folders of ``/proc/sys/net/*/conf`` that stand for no link (``sysctl_dev_name_is_allowed`` of the kernel).
_NO_LINKS = ("all", "default")
_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def interface_name(value: str) -> str:
    """The name of a link: IFNAMSIZ is 16 with its final zero (``dev_valid_name`` of the kernel).

    :raises ValueError: it is not one.
    """
    bad = not _WORD.fullmatch(value) or value in (".", "..", *_NO_LINKS) or ":" in value or "%" in value
    if bad or len(value.encode()) > 15:
        raise ValueError(
            "expected an interface name of 1 to 15 bytes without spaces, '/', ':' and '%', and neither 'all' nor "
            f"'default', got {value!r}"
            + (f", which has {len(value.encode())} bytes" if len(value.encode()) > 15 else "")
        )
    return value


def absolute_path(value: str) -> str:
    """A path from the root, without detours.

    :raises ValueError: it is not absolute.
    """
    if not value.startswith("/") or "\0" in value:
        raise ValueError(f"expected a path from the root such as /srv/web, got {value!r}")
    return posixpath.normpath(value)


def optional_interface_name(value: str) -> str:
    """The name of a link, or nothing for none.

    :raises ValueError: it is neither.
    """
    return interface_name(value) if value else ""


def netns_name(value: str) -> str:
    """The name of a network namespace: a file name in ``/run/netns``.

    :raises ValueError: it is not one.
    """
    if not _WORD.fullmatch(value) or value in (".", "..") or len(value.encode()) > 255:
        raise ValueError(f"expected a name of 1 to 255 bytes without spaces and '/', got {value!r}")
    if is_digits(value):
        raise ValueError(f"expected a name that is not a number, since a number means a process id, got {value!r}")
    return value


def netns_reference(value: str) -> str:
    """A network namespace by name, by path, or by the id of a process that runs in it; empty for the host's.

    :raises ValueError: it is none of these.
    """
    if value == "" or is_digits(value) or (value.startswith("/") and "\0" not in value):
        return value
    return netns_name(value)


def container_name(value: str) -> str:
    """A name that serves as container id, file name and cgroup name alike.

    :raises ValueError: it is not one.
    """
    return _handle(value, 128)


def _handle(value: str, most: int) -> str:
    if not _HANDLE.fullmatch(value) or len(value) > most:
        raise ValueError(
            f"expected 1 to {most} letters, digits, '_', '.' and '-', of which the first is a letter or digit, "
            f"got {value!r}"
        )
    return value


def cgroup_name(value: str) -> str:
    """The name of a control group: parts separated by slashes; with a leading one, from the root of the hierarchies.

    :raises ValueError: it is not one.
    """
    for part in value[value.startswith("/") :].split("/"):
        if not _WORD.fullmatch(part) or part in (".", "..") or len(part.encode()) > 255:
            raise ValueError(
                "expected a name, or names separated by single slashes, each of 1 to 255 bytes without spaces and "
                f"neither '.' nor '..', got {value!r}"
            )
        if _CGROUP_FILE.fullmatch(part):
            raise ValueError(f"expected a name that no file of the kernel can have, got {value!r}")
    return value


def label(value: str) -> str:
    """A name that people give to a group of entries.

    :raises ValueError: it is not one.
    """
    return _handle(value, 64)
