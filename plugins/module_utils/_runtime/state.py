# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a container's processes; below ``/run``, since it ends with the boot.

The monitor alone writes the state. Whoever wants the container to stop leaves a note, and the monitor reads it.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from .._kernel import files, process

DIRECTORY: t.Final = "/run/nsfleet/containers"


class Process(t.NamedTuple):
    """One process and no other that may get its pid later: pid and start time, within one boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has a pid now."""
        return cls(pid, process.start_time(pid) or 0)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.pid > 0 and process.start_time(self.pid) == self.started


class State(t.NamedTuple):
    """What the monitor wrote last."""

    first: Process = Process(0, 0)  #: the container's first process
    monitor: Process = Process(0, 0)
    boot: str = ""
    digest: str = ""  #: of the description that it was started with
    since: float = 0.0  #: when it was started or ended, seconds since 1970
    restarts: int = 0
    exit_code: int | None = None  #: of the last end; 128 and the signal where a signal ended it
    error: str = ""  #: why the last start failed

    @property
    def running(self) -> bool:
        """Whether the container runs now."""
        return self.first.alive and self.boot == process.boot_id()

    @property
    def supervised(self) -> bool:
        """Whether its monitor runs now."""
        return self.monitor.alive and self.boot == process.boot_id()


def _path(name: str, what: str) -> str:
    return os.path.join(DIRECTORY, f"{name}.{what}")


def load(name: str) -> State:
    """The state of a container; of one that was never started in this boot, or is not known, a state of nothing."""
    text = files.read_text(_path(name, "json"))
    try:
        data = json.loads(text or "{}")
        processes = {word: Process(*map(int, data[word])) for word in ("first", "monitor") if word in data}
        return State(**{**data, **processes})
    except (ValueError, TypeError):
        return State()


def save(name: str, state: State) -> None:
    """Keep the state; only the monitor does."""
    files.write_with_directory(_path(name, "json"), json.dumps(state._asdict()))


def forget(name: str) -> None:
    """Remove all that is known."""
    for what in ("json", "stop", "poststop"):
        files.remove(_path(name, what))
    files.remove_empty(DIRECTORY, os.path.dirname(DIRECTORY))


def ask_to_stop(name: str) -> None:
    """Leave the note that the container is to stay stopped when it ends."""
    files.write_with_directory(_path(name, "stop"), "")


def allow_to_run(name: str) -> None:
    """Take the note away."""
    files.remove(_path(name, "stop"))


def asked_to_stop(name: str) -> bool:
    """Whether the note is there."""
    return os.path.exists(_path(name, "stop"))


def owe_hooks(name: str, text: str) -> None:
    """Leave what is to be run when the container has ended.

    :param text: whatever :func:`take_hooks` is to give to whoever runs it.
    """
    files.write_with_directory(_path(name, "poststop"), text)


def owes_hooks(name: str) -> bool:
    """Whether something is to be run."""
    return os.path.exists(_path(name, "poststop"))


def take_hooks(name: str) -> str | None:
    """Take it away, to run it; ``None``: there is nothing, or somebody else has taken it."""
    text = files.read_text(_path(name, "poststop"))
    return text if text is not None and files.remove(_path(name, "poststop")) else None


def now() -> float:
    """Seconds since 1970, to a thousandth."""
    return round(time.time(), 3)
