# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard input, output and error of a process, by pipes, while it runs: none of them ever waits for another."""

from __future__ import annotations

import array
import fcntl
import os
import select
import termios
import time

#: Bytes that are read or written at once.
_PIECE = 1 << 16
#: Seconds; poll(2) takes 24 days and no more.
_LONGEST_WAIT = 3600.0


class Output:
    """What a process writes to one of its files, of which the first bytes are kept and the rest is thrown away.

    :param limit: how many bytes are kept.
    """

    def __init__(self, limit: int) -> None:
        self.kept = bytearray()
        self.truncated = False
        self._limit = limit
        self.reading, self.writing = os.pipe()

    def take(self, most: int = _PIECE) -> bool:
        """Read a part of what there is; whether there may be more.

        :param most: bytes, at most.
        """
        part = os.read(self.reading, most)
        room = self._limit - len(self.kept)
        self.kept += part[:room]
        self.truncated = self.truncated or len(part) > room
        return bool(part)

    def take_rest(self) -> None:
        """Read what is in the pipe, and wait for nothing more: others may have it open, too."""
        there = array.array("i", [0])
        fcntl.ioctl(self.reading, termios.FIONREAD, there)
        rest = there[0]
        while rest > 0:
            self.take(min(rest, _PIECE))
            rest -= _PIECE


class Exchange:
    """The three files of one process.

    :param stdin: what it is to read; ``None``: it has no standard input of ours.
    :param limit: how many bytes of each output are kept.
    """

    def __init__(self, stdin: bytes | None, limit: int) -> None:
        self.stdout, self.stderr = Output(limit), Output(limit)
        self._rest = memoryview(stdin or b"")
        self._source: int | None = None
        self._saying: int | None = None
        if stdin is not None:
            self._source, self._saying = os.pipe()
            os.set_blocking(self._saying, False)
        self._theirs = [fd for fd in (self._source, self.stdout.writing, self.stderr.writing) if fd is not None]
        self._waiting = select.poll()

    @property
    def standard(self) -> tuple[int | None, int, int]:
        """Descriptors for the process; they belong to it after :meth:`begin`."""
        return self._source, self.stdout.writing, self.stderr.writing

    def begin(self) -> None:
        """The process has its files: let go of its ends, so that it is seen when it closes them."""
        while self._theirs:
            os.close(self._theirs.pop())

    def close(self) -> None:
        """Let go of everything."""
        self.begin()
        self._finish_input()
        for output in (self.stdout, self.stderr):
            os.close(output.reading)

    def talk(self, process: int, timeout: float | None) -> bool:
        """Write and read until the process ends.

        What is in the pipes then is left to :meth:`drain`: whatever it started may have them open for years.

        :param process: descriptor of the process (pidfd_open(2)).
        :param timeout: seconds; ``None``: as long as it takes.
        :returns: whether it ended in time.
        """
        outputs = {output.reading: output for output in (self.stdout, self.stderr)}
        for fd in (process, *outputs):
            self._waiting.register(fd, select.POLLIN)
        if self._saying is not None:
            self._waiting.register(self._saying, select.POLLOUT)
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return False
            for fd, _event in self._waiting.poll(None if left is None else min(left, _LONGEST_WAIT) * 1000):
                if fd == process:
                    return True
                if fd == self._saying:
                    self._say()
                elif not outputs[fd].take():
                    self._waiting.unregister(fd)

    def drain(self) -> None:
        """Read what a process that ended left in its pipes."""
        self.stdout.take_rest()
        self.stderr.take_rest()

    def _say(self) -> None:
        """Write a part of the input; a process that does not want it has none of it."""
        try:
            self._rest = self._rest[os.write(self._saying or 0, self._rest[:_PIECE]) :]
        except BrokenPipeError:
            self._rest = self._rest[:0]
        if not self._rest:
            self._waiting.unregister(self._saying or 0)
            self._finish_input()

    def _finish_input(self) -> None:
        if self._saying is not None:
            os.close(self._saying)
            self._saying = None
