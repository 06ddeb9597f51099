# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands, files, locks, waiting and processes, as all of the tool needs them."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import typing as t

from hosts import settings

T = t.TypeVar("T")
#: Seconds after which something in the cache that nobody used is thrown away.
KEPT = 7 * 24 * 3600


class Failure(Exception):
    """What the user has to know; the tool ends with it."""


def say(text: str) -> None:
    """Tell the user what goes on."""
    print(f"vm: {text}", file=sys.stderr, flush=True)


def run(*command: str, **options: t.Any) -> subprocess.CompletedProcess[t.Any]:
    """Run a command.

    :param options: of :func:`subprocess.run`.
    :raises Failure: it is missing, or it failed.
    """
    try:
        return subprocess.run(command, check=True, **options)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is missing: make packages") from None
    except subprocess.CalledProcessError as error:
        raise Failure(f"{shlex.join(command)}: exit status {error.returncode}") from None


def read(path: str) -> str:
    """A text file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def put(path: str, text: str, mode: int = 0o644) -> None:
    """Write a text file, and the folders above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def link(target: str, path: str) -> None:
    """Make a symbolic link, instead of whatever is there."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


def fingerprint(*parts: t.Any) -> str:
    """Changes with any of its parts; those that are paths of files stand for their content."""
    total = hashlib.sha256()
    for part in parts:
        content = read(part) if isinstance(part, str) and os.path.isfile(part) else part
        total.update(repr(content).encode())
    return total.hexdigest()[:12]


def sweep(pattern: str) -> None:
    """Throw away folders that nobody used for long."""
    for folder in glob.glob(pattern):
        if os.path.getmtime(folder) < time.time() - KEPT:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def locked(name: str) -> t.Iterator[None]:
    """One process at a time."""
    os.makedirs(settings.CACHE, exist_ok=True)
    with open(os.path.join(settings.CACHE, f"{name}.lock"), "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def until(seconds: float, what: str, probe: t.Callable[[], T], pause: float = 0.1) -> T:
    """Wait until a probe answers with something.

    :raises Failure: it did not.
    """
    end = time.monotonic() + seconds
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > end:
            raise Failure(f"no {what} within {seconds} s")
        time.sleep(pause)


def alive(pidfile: str) -> int:
    """The process of a pid file, if it is still the one that wrote it; else 0."""
    try:
        pid = int(read(pidfile))
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # a zombie's is empty
            return pid if os.path.dirname(pidfile).encode() in file.read() else 0
    except (OSError, ValueError):
        return 0


def kill(pidfile: str) -> None:
    """End the process of a pid file, if there is one, and wait for its end."""
    pid = alive(pidfile)
    if pid:
        os.kill(pid, signal.SIGKILL)
        until(10, f"death of {pid}", lambda: not alive(pidfile), 0.02)


def detach(*words: str) -> int:
    """Start the tool itself once more, in a session of its own. Gives the process id."""
    command = [os.path.join(settings.HERE, "vm"), *words]
    nowhere: dict[str, t.Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    return subprocess.Popen(command, start_new_session=True, **nowhere).pid
