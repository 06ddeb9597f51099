# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of somebody else's that run at points of a container's life.

Source: runtime-spec, config.md, "POSIX-platform Hooks".

System calls only, so that hooks can be run inside as well, where nothing may be loaded.
"""

from __future__ import annotations

import os
import select
import signal
import time
import typing as t

from .._model.errors import NsfleetError

#: Bytes of a hook's output that an error message may carry.
_SAID = 2000


class Failed(Exception):
    """A hook that did not end well."""


def run(hooks: t.Iterable[t.Mapping[str, t.Any]], state: bytes) -> None:
    """Run hooks one after the other.

    :param hooks: ``path``, ``args``, ``env`` and ``timeout`` (seconds) each.
    :param state: the container's state as JSON, for their standard input.
    :raises Failed: one could not be executed, ended with another status than 0, or took too long; it is killed then.
    """
    for hook in hooks:
        _run(hook, state)


def run_point(spec: t.Mapping[str, t.Any], point: str, state: bytes) -> None:
    """Run the hooks that a description has for a point of the container's life.

    :param point: as the description says it, such as ``poststart``.
    :raises NsfleetError: one failed; the others were not run.
    """
    try:
        run(of(spec, point), state)
    except Failed as error:
        raise NsfleetError(f"hooks.{point}: {error}") from error


def run_last(hooks: t.Iterable[t.Mapping[str, t.Any]], state: bytes) -> list[str]:
    """Run ``poststop`` hooks: the container is gone, so one that fails keeps no other from running.

    :returns: what failed.
    """
    failures = []
    for hook in hooks:
        try:
            run([hook], state)
        except Failed as error:
            failures.append(f"hooks.poststop: {error}")
    return failures


def of(spec: t.Mapping[str, t.Any], point: str) -> t.Sequence[t.Mapping[str, t.Any]]:
    """The hooks that a description has for a point."""
    return (spec.get("hooks") or {}).get(point) or ()


def _run(hook: t.Mapping[str, t.Any], state: bytes) -> None:
    hear, say = os.pipe()
    listen, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        _execute(hook, hear, tell)
    os.close(hear)
    os.close(tell)
    end = time.monotonic() + hook["timeout"] if hook.get("timeout") else None
    handle = os.pidfd_open(pid)
    try:
        _feed(say, state)
        said = _listen(listen, handle, end)
    finally:
        os.close(listen)
        os.close(handle)
    if said is None:
        _kill(pid)
        raise Failed(f"hook {hook['path']} did not end within {hook['timeout']} s and was killed")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        words = said.decode(errors="backslashreplace").strip()
        raise Failed(f"hook {hook['path']} ended with status {status}{': ' if words else ''}{words}")


def _execute(hook: t.Mapping[str, t.Any], hear: int, tell: int) -> t.NoReturn:
    try:
        os.setpgid(0, 0)  # what it starts is killed with it
        for fd, standard in ((hear, 0), (tell, 1), (tell, 2)):
            os.dup2(fd, standard)
        os.closerange(3, 256)  # what the caller wants the payload to have
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        environment = dict(word.partition("=")[::2] for word in hook.get("env") or ())
        os.execve(hook["path"], list(hook.get("args") or [hook["path"]]), environment)
    except OSError as error:
        os.write(2, (error.strerror or str(error)).encode())
    finally:
        os._exit(127)


def _feed(say: int, state: bytes) -> None:
    """A hook may not read what it is told: a state fits into a pipe, and a closed one is no failure."""
    try:
        os.set_blocking(say, False)
        os.write(say, state)
    except (BrokenPipeError, BlockingIOError):
        pass
    finally:
        os.close(say)


def _listen(listen: int, handle: int, end: float | None) -> bytes | None:
    """What a hook says until it ends, whoever else holds its output open; ``None`` if its time is up before."""
    said, waiting = b"", [listen, handle]
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        ready = select.select(waiting, [], [], left)[0]
        if not ready:
            return None
        if listen not in ready:
            return said
        part = os.read(listen, 4096)
        said = (said + part)[-_SAID:]
        if not part:
            waiting = [handle]


def _kill(pid: int) -> None:
    """Kill a hook, with what it started."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not come to lead its group yet
            continue
    os.waitpid(pid, 0)
