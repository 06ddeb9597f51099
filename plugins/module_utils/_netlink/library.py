# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only file that imports pyroute2, for what is written seldom; reading and links have their own codec.

The import alone costs as much as a whole task that changes nothing, so it happens inside the function that writes.
"""

from __future__ import annotations

import contextlib
import typing as t

from .._kernel.namespace import inside
from .._model.errors import KernelError, NsfleetError

if t.TYPE_CHECKING:
    from pyroute2 import IPRoute

OLDEST = "0.7.2"


@contextlib.contextmanager
def iproute(namespace: int, doing: str) -> t.Iterator[IPRoute]:
    """A pyroute2 ``IPRoute`` of a network namespace.

    It is opened by entering the namespace here: pyroute2's own way forks a process for each, and creates a namespace
    that is not there.

    :param namespace: file descriptor of the network namespace.
    :param doing: what is being done, for the error.
    :raises KernelError: the kernel refused.
    :raises NsfleetError: there is no pyroute2.
    """
    try:
        from pyroute2 import IPRoute, NetlinkError
    except ImportError:
        raise NsfleetError(
            f"{doing} needs the Python library pyroute2 {OLDEST} or newer on the target; install python3-pyroute2 "
            "(Debian, Ubuntu, Fedora) or run the role nsfleet.linux.host"
        ) from None
    with inside(namespace):
        library = IPRoute()
        try:
            yield library
        except NetlinkError as error:
            raise KernelError(doing, OSError(error.code, str(error.args[-1]))) from error
        finally:
            library.close()
