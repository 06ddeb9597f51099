# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The caller's terminal and a container's, joined: keys go in, output comes out, the size follows."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
import threading
import tty
import typing as t

from ..._model.errors import NsfleetError
from ..terminal import Console


class Relay:
    """Made before the container is; works from :meth:`begin` to :meth:`end`.

    :param size: ``height`` and ``width`` of the terminal, in characters; of the caller's own if not given.
    """

    def __init__(self, size: t.Mapping[str, int]) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        rows, columns = size.get("height", 0), size.get("width", 0)
        if not rows and os.isatty(0):
            rows, columns = os.get_terminal_size(0)[::-1]
        self.console = Console(theirs, rows, columns)
        self._master = -1
        self._mode: list[t.Any] | None = None
        self._stop, self._stopping = os.pipe()
        self._thread = threading.Thread(target=self._copy, daemon=True)

    def begin(self) -> None:
        """Receive the other end, and begin to copy."""
        self.console.socket.close()
        _words, descriptors, _flags, _address = socket.recv_fds(self._ours, 64, 1)
        if not descriptors:
            raise NsfleetError("the container sent no terminal")
        self._master = descriptors[0]
        if os.isatty(0):
            self._mode = termios.tcgetattr(0)
            tty.setraw(0, termios.TCSADRAIN)  # what was typed before is not lost
        self._thread.start()

    def resize(self) -> None:
        """Give the container's terminal the size of the caller's."""
        with contextlib.suppress(OSError):
            rows, columns = os.get_terminal_size(0)[::-1]
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("=4H", rows, columns, 0, 0))

    def end(self) -> None:
        """Copy what is left, and give the caller's terminal its mode back."""
        os.write(self._stopping, b"1")
        if self._thread.is_alive():
            self._thread.join()
        if self._mode is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._mode)

    def _copy(self) -> None:
        waiting = [self._master, self._stop, 0]
        while True:
            ready = select.select(waiting, [], [])[0]
            if self._master in ready:
                if not _move(self._master, 1):
                    return
            elif self._stop in ready:
                return
            elif not _move(0, self._master):
                waiting.remove(0)
                os.write(self._master, b"\x04")


def _move(source: int, target: int) -> bool:
    """Copy what there is; whether there may be more. The kernel says EIO when the other end of a terminal is closed."""
    try:
        data = os.read(source, 65536)
    except OSError:
        return False
    left = data
    while left:
        left = left[os.write(target, left) :]
    return bool(data)
