# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors for people: what is wrong, where it was said, what was expected, what to do."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .things import Thing


class NsfleetError(Exception):
    """Anything the collection refuses or fails to do; its text is shown to the user as it is."""


class OptionError(NsfleetError):
    """One option that cannot be accepted.

    :param option: path of the option as the user wrote it, e.g. ``peer.addresses[0]``.
    :param problem: what is wrong and what was expected, without the path and without a full stop.
    :param here: it is wrong on this host, and may be right on another one.
    """

    def __init__(self, option: str, problem: str, *, here: bool = False) -> None:
        super().__init__(f"{option}: {problem}" if option else problem)
        self.option = option
        self.problem = problem
        self.here = here


class InvalidOptions(NsfleetError):
    """Every option that cannot be accepted, found before anything was touched.

    :param errors: at least one error, in the order of the options.
    """

    def __init__(self, errors: t.Sequence[OptionError]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = tuple(errors)


class NotHere(ValueError):
    """A value that names what this host does not have, such as a device; canonical forms raise it."""


class KernelError(NsfleetError):
    """A system call, netlink request or kernel file that refused what was asked.

    :param doing: what was being done, e.g. ``set mtu of web0 to 9000``.
    :param error: the kernel's answer.
    """

    def __init__(self, doing: str, error: OSError) -> None:
        super().__init__(f"{doing}: {error.strerror or error}")
        self.errno = error.errno


class Missing(NsfleetError):
    """Something the task needs is not there, but an earlier task may be about to make it.

    In check mode this is a warning: the earlier task did not really run.

    :param thing: what it is; if another object of the same run makes it, nothing is missing.
    """

    def __init__(self, problem: str, thing: Thing | None = None) -> None:
        super().__init__(problem)
        self.thing = thing


class Taken(OptionError):
    """Something that is in the way, such as a name or an address that something else has.

    :param things: all that is; if other objects of the same run take it away, nothing is in the way.
    """

    def __init__(self, option: str, problem: str, *things: Thing) -> None:
        super().__init__(option, problem)
        self.things = things
