# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever decides of a container's system calls (``SCMP_ACT_NOTIFY``, seccomp_unotify(2)) gets to know of it.

The runtime-spec says how: the descriptor goes by SCM_RIGHTS to the socket ``listenerPath``, with the "container process
state" as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import typing as t

from .._kernel.syscall import syscall
from .._model.errors import NsfleetError
from .spec import VERSION

if t.TYPE_CHECKING:
    from .seccomp import Program

#: Number of pidfd_getfd(2), the same everywhere.
_PIDFD_GETFD: t.Final = 438
#: Seconds that the socket may take.
_PATIENCE: t.Final = 10.0


def hand_over(state: bytes, program: Program, pid: int, number: int) -> None:
    """Send a process's descriptor to the socket that a program names.

    :param state: of the container, as JSON.
    :param pid: of the process, which waits.
    :param number: of the descriptor in it.
    :raises NsfleetError: the socket does not take it.
    """
    told = {
        "ociVersion": VERSION, "fds": ["seccompFd"], "pid": pid, "metadata": program.metadata,
        "state": json.loads(state),
    }  # fmt: skip
    process = os.pidfd_open(pid)
    descriptors = [process]
    try:
        descriptors.append(syscall(_PIDFD_GETFD, process, number, 0))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(_PATIENCE)
            link.connect(program.listener)
            socket.send_fds(link, [json.dumps(told).encode()], descriptors[1:])
    except OSError as error:
        words = error.strerror or error
        raise NsfleetError(f"linux.seccomp.listenerPath: {program.listener}: {words}") from error
    finally:
        for fd in descriptors:
            os.close(fd)
