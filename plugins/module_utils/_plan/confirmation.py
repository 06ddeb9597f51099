# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that the host takes back by itself unless somebody comes over the network and confirms it.

Before the first object is touched, a guard is armed: a process of its own session, which needs no controller, no daemon
and no file of the module. It holds the locks of the change and its journal stays, until it ends: so nobody builds on
what may be taken back, and if the guard itself is killed, the next run takes the change back.

The guard undoes the change when the module dies half-way, or when nobody confirms in time.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import syslog
import typing as t

from .._kernel import files
from .._model.errors import KernelError, NsfleetError

DIRECTORY: t.Final = "/run/nsfleet/confirm"
_APPLIED, _DISMISSED, _CONFIRMED = b"a", b"d", b"c"
#: Seconds that the guard may take to say that it has heard.
_ANSWER = 30.0


class Pending(t.NamedTuple):
    """A change that waits to be confirmed."""

    token: str  #: what tells it from others
    seconds: float  #: within which it is to be confirmed, counted from the end of the change


class Guard:
    """The process that takes a change back.

    :param seconds: within which the change is to be confirmed.
    :param undo: takes it back; returns what could not be put back. Called in the guard's process, as ``keep`` is.
    :param keep: the change is to stay.
    """

    def __init__(self, seconds: float, undo: t.Callable[[], list[str]], keep: t.Callable[[], None]) -> None:
        self.pending = Pending(os.urandom(16).hex(), seconds)
        self._undo, self._keep = undo, keep
        self._path = os.path.join(DIRECTORY, self.pending.token)
        self._link: socket.socket | None = None

    def arm(self) -> None:
        """Start it. From here on, the end of this process without a word means that the change is taken back.

        :raises KernelError: there is no room for it.
        """
        try:
            self._fork()
        except OSError as error:
            raise KernelError("start a process that takes the change back", error) from error

    def _fork(self) -> None:
        os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.bind(self._path)
            door.listen(1)
            ours, theirs = socket.socketpair()
            with theirs:
                if not os.fork():
                    ours.close()
                    self._watch(theirs, door)
            self._link = ours

    def tell(self, *, applied: bool) -> None:
        """Tell it how the change ended. If it was killed, the journal is still there, and nobody can confirm.

        :param applied: whether it is to be confirmed; else it was taken back already.
        """
        if self._link is not None:
            with self._link, contextlib.suppress(OSError):
                self._link.sendall(_APPLIED if applied else _DISMISSED)

    # --- the guard's process -----------------------------------------------------

    def _watch(self, link: socket.socket, door: socket.socket) -> t.NoReturn:
        try:
            _detach()
            told = link.recv(1)
            caller = _visitor(door, self.pending.seconds) if told == _APPLIED else None
            if caller is not None:
                self._keep()
                caller.sendall(_CONFIRMED)
            elif told != _DISMISSED:
                self._take_back("was not confirmed in time" if told else "was cut short")
        except Exception as error:  # nobody reads a traceback; the journal stays for the next run
            syslog.syslog(syslog.LOG_ERR, f"nsfleet.linux: the guard of a change failed: {error}")
        finally:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
                files.remove_empty(DIRECTORY, os.path.dirname(DIRECTORY))
            os._exit(0)

    def _take_back(self, why: str) -> None:
        left = self._undo()
        done = f"it was taken back, but for: {'; '.join(left)}" if left else "everything was put back as it was"
        syslog.syslog(syslog.LOG_WARNING, f"nsfleet.linux: a change {why}; {done}")


def _detach() -> None:
    """Leave the session, and let go of whatever tells that the module has ended."""
    os.setsid()
    for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nothing, fd)
    os.close(nothing)


def _visitor(door: socket.socket, seconds: float) -> socket.socket | None:
    """Whoever comes to confirm, ``None`` if nobody does in time."""
    waiting, _writable, _odd = select.select([door], [], [], seconds)
    if not waiting:
        return None
    caller, _address = door.accept()
    return caller


# --- whoever confirms ------------------------------------------------------------


def confirm(token: str) -> None:
    """Confirm a change.

    :raises NsfleetError: there is none that waits for it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as guard:
        guard.settimeout(_ANSWER)
        try:
            guard.connect(os.path.join(DIRECTORY, os.path.basename(token)))
            heard = guard.recv(1) == _CONFIRMED
        except OSError:
            heard = False
    if not heard:
        raise NsfleetError(
            "confirm: no change waits to be confirmed by this token; the host has taken it back since nobody confirmed "
            "in time, or somebody confirmed it already"
        )
