# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes as ``/proc`` shows them (proc(5)), told apart by more than a pid, which is used again."""

from __future__ import annotations

import os
import typing as t


class Process(t.NamedTuple):
    """A process, as people want to see it."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.pid} ({self.command})"


def pids() -> list[int]:
    """All process ids that this pid namespace shows, in ascending order."""
    return sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def processes() -> t.Iterator[Process]:
    """All processes that this pid namespace shows; those that end meanwhile are left out."""
    for pid in pids():
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="backslashreplace") as file:
                yield Process(pid, file.read().rstrip("\n"))
        except OSError:
            continue


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; ``None`` if there is none, or only its exit status is left.

    Pid and start time together mean one process and no other until the next boot.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
