# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and remove a container that has a bundle. Whoever calls holds the container's lock."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t

from .._kernel import files, process
from .._model.errors import NsfleetError
from . import groups, state
from .bundle import SHARED, Bundle, any_left
from .signals import signal_number
from .spec import SECRETS, annotation

if t.TYPE_CHECKING:
    from .._cgroup.hierarchy import Host

#: Seconds that a killed process may take to be gone.
_AFTER_KILL = 30.0


def start(bundle: Bundle, host: Host | None = None) -> None:
    """Start a container that does not run, with a monitor of its own; returns when its payload was executed.

    :param host: control group hierarchies; found out if not given.
    :raises NsfleetError: it could not be started; nothing of it runs.
    """
    from . import monitor

    _run_last_hooks(state.take_hooks(bundle.name))  # of a life whose end nobody saw
    state.allow_to_run(bundle.name)
    monitor.launch(bundle, host)


def supervise(bundle: Bundle) -> None:
    """Give a running container a new monitor, since its own died; the container is not disturbed."""
    from . import monitor

    monitor.take_over(bundle)


def stop(bundle: Bundle, timeout: float | None = None) -> None:
    """Stop a container: its stop signal, then, after a time, the signal that nothing survives.

    :param timeout: seconds; ``None``: as its description says.
    :raises NsfleetError: its processes cannot be killed.
    """
    _stop(bundle, timeout, signal.SIGTERM)


def _stop(bundle: Bundle, timeout: float | None, end: int) -> None:
    known = state.load(bundle.name)
    state.ask_to_stop(bundle.name)
    owed = state.take_hooks(bundle.name)
    if owed is None and (bundle.spec.get("hooks") or {}).get("poststop"):
        end = signal.SIGTERM  # the monitor may be about to run them
    if known.running:
        number = signal_number(annotation(bundle.spec, "stop-signal") or "SIGTERM")
        seconds = float(annotation(bundle.spec, "stop-timeout") or 10) if timeout is None else timeout
        process.send_signal(*known.first, number)
        if not process.wait_for_end(*known.first, seconds):
            process.send_signal(*known.first, signal.SIGKILL)
            if not process.wait_for_end(*known.first, _AFTER_KILL):
                raise NsfleetError(f"container {bundle.name}: process {known.first.pid} cannot be killed")
    _end_monitor(known, end)
    groups.remove(bundle.spec)
    _run_last_hooks(owed)


def _run_last_hooks(note: str | None) -> None:
    if note is not None:
        from . import points  # few containers have any

        points.run_taken(note)


def _end_monitor(known: state.State, end: int) -> None:
    """The monitor ends by itself when its container does; if it waits before a restart, it is told to.

    :param end: signal. Nothing survives SIGKILL, but then nobody writes down how the container ended, either.
    :raises NsfleetError: it cannot be killed.
    """
    if known.supervised:
        for number in (end, signal.SIGKILL):
            process.send_signal(*known.monitor, number)
            if process.wait_for_end(*known.monitor, _AFTER_KILL):
                break
        else:
            raise NsfleetError(f"monitor of a container: process {known.monitor.pid} cannot be killed")
        with contextlib.suppress(ChildProcessError):  # whose child it is, if that is still there, is who started it
            os.waitpid(known.monitor.pid, os.WNOHANG)


def remove(bundle: Bundle) -> None:
    """Stop a container, and remove all that belongs to it."""
    if bundle.exists:
        _stop(bundle, None, signal.SIGKILL)
    bundle.remove()
    if os.path.isdir(SECRETS):
        from .secrets import Secrets  # few containers have any

        Secrets(bundle.name).remove()
    state.forget(bundle.name)
    if not any_left():
        groups.remove_empty()


def tidy(bundle: Bundle) -> None:
    """Remove drafts of files whose process was killed, and what there is of a container that has no bundle."""
    for directory in (bundle.directory, state.DIRECTORY, SHARED):
        files.sweep(directory)
    if not bundle.exists:
        from . import archive

        remove(bundle)
        archive.remove_unused()


def log_tail(bundle: Bundle, size: int) -> str:
    """The end of a container's log.

    :param size: largest number of bytes.
    """
    try:
        with open(bundle.log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().decode(errors="backslashreplace")
    except FileNotFoundError:
        return ""


def uptime(known: state.State) -> float:
    """Seconds since a running container was started."""
    return round(time.time() - known.since, 1) if known.running else 0.0
