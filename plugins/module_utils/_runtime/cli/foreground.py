# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command that stays in front of a process until it ends: signals and terminal are passed on, its status is ours."""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from ..._model.errors import NsfleetError

if t.TYPE_CHECKING:
    from ..terminal import Console
    from .relay import Relay

#: Not passed on: they are about this process.
_OWN = frozenset({signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP, signal.SIGURG, signal.SIGWINCH, signal.SIGPIPE})


class Foreground:
    """The command's own part. From its making on, no signal is lost.

    :param detached: nobody will wait.
    """

    def __init__(self, detached: bool) -> None:
        self.detached = detached
        self._relay: Relay | None = None
        if not detached:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def console(self, process: t.Mapping[str, t.Any], place: str) -> Console | None:
        """Where the other end of a process's terminal goes to.

        :param process: ``process`` of the runtime-spec.
        :param place: path of the console socket; empty: to the caller's own terminal.
        :returns: ``None`` for a process that is to have none.
        :raises NsfleetError: it is to have one that would go nowhere, or none that would go somewhere.
        """
        if not process.get("terminal"):
            if place:
                raise NsfleetError("--console-socket: process.terminal is false, so there is no terminal to be sent")
            return None
        size = process.get("consoleSize") or {}
        if place:
            from ..terminal import connect

            return connect(place, size)
        if self.detached:
            raise NsfleetError("process.terminal is true, and nobody stays with it, so --console-socket is needed")
        from .relay import Relay

        self._relay = Relay(size)
        return self._relay.console

    def wait(self, pid: int) -> int:
        """Wait for the end of a child.

        :returns: its exit status; 128 and the signal where a signal ended it.
        """
        if self._relay is not None:
            self._relay.begin()
        try:
            while True:
                received = signal.sigwaitinfo(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
                number = received.si_signo
                if number == signal.SIGCHLD:
                    ended, status = os.waitpid(pid, os.WNOHANG)
                    if ended:
                        code = os.waitstatus_to_exitcode(status)
                        return code if code >= 0 else 128 - code
                elif number == signal.SIGWINCH and self._relay is not None:
                    self._relay.resize()
                elif number not in _OWN:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)  # a child that nobody waited for keeps its pid
        finally:
            if self._relay is not None:
                self._relay.end()
