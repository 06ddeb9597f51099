# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal of a container's own, whose other end goes to whoever listens on the console socket (pty(7), unix(7))."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
import termios
import typing as t

from .._kernel import mount_api, path
from .._model.errors import NsfleetError

_UNLOCK, _PEER = 0x40045431, 0x5441  # TIOCSPTLCK, TIOCGPTPEER
_MULTIPLEXER = os.makedev(5, 2)
_SLAVES = range(136, 144)  # major numbers of pseudo terminals


class Console(t.NamedTuple):
    """Where a terminal's other end goes to, and how large the terminal is."""

    socket: socket.socket
    rows: int = 0
    columns: int = 0

    def connect(self, uid: int, *, shown: bool) -> None:
        """Make a terminal, and make it the calling process's; runs inside.

        :param uid: of its owner inside.
        :param shown: as ``/dev/console``, too.
        :raises OSError: what is there is not the kernel's, or the kernel refused.
        """
        slave = _open_terminal(self, uid)
        if shown:
            _make_console(slave)
        _control(slave)


def connect(place: str, size: t.Mapping[str, int]) -> Console:
    """Connect to a console socket.

    :param place: path of the socket.
    :param size: ``height`` and ``width`` in characters.
    :raises NsfleetError: nobody listens there.
    """
    console = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(os.path.dirname(place) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The address of a socket has 108 bytes at most; by way of the directory's descriptor any path fits.
        console.connect(f"/proc/self/fd/{directory}/{os.path.basename(place)}")
    except OSError as error:
        console.close()
        raise NsfleetError(f"--console-socket: {place}: {error.strerror}") from error
    finally:
        os.close(directory)
    return Console(console, size.get("height", 0), size.get("width", 0))


def _open_terminal(console: Console, uid: int) -> int:
    """Make a terminal of the container's own ``/dev/pts``, and send its other end away; runs inside.

    :param uid: of its owner inside.
    :returns: descriptor of the container's end.
    :raises OSError: ``/dev/pts`` is none, or the kernel refused.
    """
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    master = path.open_in(root, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY, follow=False)
    os.close(root)
    if os.fstat(master).st_rdev != _MULTIPLEXER:
        raise OSError(22, "/dev/pts/ptmx is not what makes terminals")
    fcntl.ioctl(master, _UNLOCK, struct.pack("=i", 0))
    slave = fcntl.ioctl(master, _PEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if os.major(os.fstat(slave).st_rdev) not in _SLAVES:
        raise OSError(22, "/dev/pts is not of the kernel's making")
    os.fchown(slave, uid, -1)
    if console.rows or console.columns:
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("=4H", console.rows, console.columns, 0, 0))
    words = b"/dev/pts/ptmx"
    console.socket.sendmsg([words], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", master))])
    console.socket.close()
    os.close(master)
    return slave


def _make_console(slave: int) -> None:
    """Show the terminal as ``/dev/console``, too; runs inside.

    :raises OSError: what is there is a link, or the kernel refused.
    """
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    folder = path.open_in(root, "/dev", os.O_PATH | os.O_DIRECTORY, follow=False)
    os.close(root)
    place = os.open("console", os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY,
                    0o600, dir_fd=folder)  # fmt: skip
    if not (stat.S_ISREG(os.fstat(place).st_mode) or stat.S_ISCHR(os.fstat(place).st_mode)):
        raise OSError(22, "/dev/console is neither a file nor a device")
    os.close(place)
    target = path.open_in(folder, "console", os.O_PATH, follow=False)
    cover = mount_api.clone_tree(slave, recursive=False)
    mount_api.attach(cover, target)
    for fd in (cover, target, folder):
        os.close(fd)


def _control(slave: int) -> None:
    """Make the terminal the one that controls the calling process, which leads a session; and its standard files.

    :raises OSError: the kernel refused.
    """
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for standard in (0, 1, 2):
        os.dup2(slave, standard)
    os.close(slave)
