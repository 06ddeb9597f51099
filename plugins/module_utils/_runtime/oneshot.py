# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One program from its start to its end, with all that it starts in sight: in a running container, or as a container.

A command in a container is born into a control group of its own below the container's. Limits of the container hold
there, too, and whatever the command starts is found there, in whichever session, process group or namespace it hides:
so it can be killed as a whole. Only a payload that may change control groups itself can leave it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import typing as t

from .._cgroup.group import Group, Place
from .._model.errors import NsfleetError
from . import groups
from .exchange import Exchange
from .join import Join
from .spec import told
from .state import Process

if t.TYPE_CHECKING:
    from .bundle import Bundle
    from .launch import Place as PlaceOnDisk

    class Container(PlaceOnDisk, t.Protocol):
        """Where a container is on disk, and what it is called."""

        @property
        def name(self) -> str:
            """Its name."""


#: How names of such groups begin; pid and start time of the process that waits for the command follow.
_PREFIX = "nsfleet-exec-"


class CommandGroup(Group):
    """The control group of one command: in one hierarchy below the container's group, in all others that group itself.

    :param container: the container's group.
    :param owner: the process that waits for the command.
    """

    def __init__(self, container: Group, owner: Process) -> None:
        super().__init__(f"{container.path}/{_PREFIX}{owner.pid}-{owner.started}", container.host)
        self._container = container

    @property
    def places(self) -> list[Place]:
        """Where the command is: in the hierarchies that have no group of its own, with the container's processes."""
        mine = self.hierarchies
        others = [each for each in self._container.hierarchies if each not in mine]
        return [*map(self._container.place, others), *super().places]

    def release(self) -> None:
        """Give the container what still runs of the command, and remove the group.

        Where the kernel does not let it, as in a container that divides its own group, the group goes with that.
        """
        with contextlib.suppress(NsfleetError, OSError):
            if self.processes():
                self._move_up()
            self.remove()

    def _move_up(self) -> None:
        """Bring all processes into the container's own group: frozen, so that none starts another one meanwhile."""
        self.freeze(True)
        try:
            for hierarchy in self.hierarchies:
                for pid in self._pids(hierarchy):
                    self._container.enter(pid, [self._container.place(hierarchy)])
        finally:
            self.write("cgroup.freeze", "0")


def run(
    bundle: Bundle,
    first: Process,
    process_: dict[str, t.Any],
    exchange: Exchange,
    *,
    user: str,
    supplementary: t.Sequence[str],
    timeout: float | None,
) -> tuple[int, bool]:
    """Run a command to its end; its output is in ``exchange`` then, which the caller closes.

    :param bundle: the container.
    :param first: its first process.
    :param process_: ``process`` of the runtime-spec.
    :param user: as :class:`.join.Join` takes it.
    :param supplementary: names or numbers of groups.
    :param timeout: seconds after which it is killed with all that it started; ``None``: as long as it takes.
    :returns: its exit code, 128 and the signal where a signal ended it; and whether it was killed after ``timeout``.
    :raises NsfleetError: it could not be started, or not be killed.
    :raises OSError: this host cannot.
    """
    container = groups.of(bundle.spec)
    _sweep(container)
    group = CommandGroup(container, Process.of(os.getpid()))
    group.create()
    try:
        state = told(bundle.spec, bundle.name, bundle.directory, "running")
        pid = Join(first, bundle.spec, process_, group, exchange.standard, state, user, supplementary).start()
        exchange.begin()
        return _accompany(pid, group, exchange, timeout)
    finally:
        group.release()


def run_container(bundle: Container, exchange: Exchange, timeout: float | None) -> tuple[int, bool]:
    """Run a container to its end, without a monitor; its output is in ``exchange`` then, which the caller closes.

    :param bundle: its bundle, or another place that it has on disk.
    :param timeout: seconds after which all of it is killed; ``None``: as long as it takes.
    :returns: exit code of its first process, and whether it was killed after ``timeout``, as :func:`run`.
    :raises NsfleetError: it could not be started, or not be killed.
    :raises OSError: this host cannot.
    """
    from . import points  # which joining a container does not need
    from .launch import Launch

    points.owe_last(bundle)  # whoever removes the container runs them
    group = groups.make(bundle.spec)
    state = told(bundle.spec, bundle.name, bundle.directory, "creating")
    pid = Launch(bundle, group, exchange.standard, state).start()
    points.after_start(bundle, pid)
    exchange.begin()
    return _accompany(pid, group, exchange, timeout)


def _accompany(pid: int, group: Group, exchange: Exchange, timeout: float | None) -> tuple[int, bool]:
    handle = os.pidfd_open(pid)
    ended = False
    try:
        ended = exchange.talk(handle, timeout)
    finally:
        if not ended:  # whatever the reason
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)  # it may have left the group
            group.kill()
        os.close(handle)
        _pid, status = os.waitpid(pid, 0)
    exchange.drain()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code, not ended


def _sweep(container: Group) -> None:
    """Release the commands whose task was killed: they go on as any other process of the container."""
    for name in container.children():
        owner = name.removeprefix(_PREFIX).split("-")
        if name.startswith(_PREFIX) and len(owner) == 2 and all(map(str.isdecimal, owner)):
            waiting = Process(*map(int, owner))
            if not waiting.alive:
                CommandGroup(container, waiting).release()
