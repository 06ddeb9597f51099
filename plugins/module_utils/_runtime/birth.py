# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a process of a container is born: the first one (:mod:`.launch`), and one that joins it (:mod:`.join`).

Three processes take part::

    parent        looks up, opens and checks everything; waits for the others; stays as the new process's parent
    intermediate  joins namespaces, for the first process builds the root, gives birth, and ends
    new process   finishes its own inside (:mod:`.init`) and becomes the payload

The intermediate is needed because joining a namespace cannot be undone, and because a process joins a process or time
namespace only for its children. The new process is its sibling (CLONE_PARENT), so the parent is told how it ends.
"""

from __future__ import annotations

import abc
import contextlib
import os
import signal
import struct
import typing as t

from .._cgroup.group import ITSELF
from .._kernel import namespace, process
from .._kernel.syscall import call
from .._model.errors import NsfleetError
from . import attributes, init, seccomp, stub, usernamespace

if t.TYPE_CHECKING:
    from .._cgroup.group import Group, Place
    from .spec import Told

#: What a pipe takes in one piece (pipe(7), PIPE_BUF); messages are cut to it.
MESSAGE: t.Final = 4096
_NULL = os.makedev(1, 3)


class BornDead(NsfleetError):
    """The new process ended without a word, before it did anything.

    Whoever is born into a control group in which ``cgroup.kill`` was used before is killed, if it was not used as often
    in the group that it comes from (seen with Linux 6.18; kernel/cgroup/cgroup.c, ``kill_seq``).
    """


class Birth(abc.ABC):
    """What the two ways to a new process have in common.

    :param process_: ``process`` of the runtime-spec.
    :param group: the control group that it is to be in, if any.
    :param standard: descriptors of its standard input, output and error; ``None``: the container's ``/dev/null``.
    :param state: of the container, as others are told it.
    """

    def __init__(
        self,
        process_: dict[str, t.Any],
        group: Group | None,
        standard: tuple[int | None, int | None, int | None],
        state: Told,
    ) -> None:
        self.process = process_
        self.group = group
        self.setup = init.Setup()
        self.setup.standard = standard
        self.joined: dict[str, int] = {}  #: descriptors of namespaces to be joined
        self.user_namespace: int | None = None
        self.mappings: usernamespace.Mappings = ((), ())
        self.filter: seccomp.Program | None = None  #: of system calls
        self.birthplace: int | None = None  #: descriptor of its control group, if it can be born into that
        self._to_be_moved: list[Place] | None = None  #: places of the group into which the parent moves it; all
        self._may_be_born = True  #: into its control group
        self._entered = False  #: whether it is in all of them
        self.setup.state = state

    def start(self) -> int:
        """Bring the process up to its payload, or to its gate if it has one.

        :returns: its pid; it is a child of the caller.
        :raises NsfleetError: it could not be started; nothing of it is left running.
        :raises OSError: this host cannot.
        """
        try:
            return self._try()
        except BornDead:
            self._may_be_born = False
            return self._try()

    def _try(self) -> int:
        try:
            self._prepare()
            self._open_group()
            return self._bring_up()
        finally:
            self._close()

    @abc.abstractmethod
    def _prepare(self) -> None:
        """Look up, open and check everything, before the first fork."""

    @abc.abstractmethod
    def _give_birth(self) -> int:
        """In the intermediate: join, build, and clone(2); 0 in the new process, its pid in the intermediate."""

    def _opened(self) -> set[int | None]:
        """Descriptors that were opened for the new process."""
        joined = self.joined.values()
        others = self.setup.stub, self.setup.chroot, self.setup.label_place, self.user_namespace, self.birthplace
        return {*joined, *others, *self.setup.doors}

    def _open_group(self) -> None:
        """Open the ways by which the new process enters the group itself: that one waits for nobody (:data:`ITSELF`).

        Into a group of version 2 it is born, unless who gives birth has no right to it by then, since it joined a user
        namespace, or does not see it, since it joined a control group namespace.
        """
        places = [] if self.group is None else self.group.places
        if self.group is None or not places:  # a scope of systemd is not there yet
            return
        if self._may_be_born and self.user_namespace is None and "cgroup" not in self.joined:
            self.birthplace = self.group.birthplace()
        itself, unified = ([place for place in places if place.version == version] for version in (1, 2))
        self.setup.doors = [os.open(f"{place.directory}/{ITSELF}", os.O_WRONLY | os.O_CLOEXEC) for place in itself]
        self._to_be_moved = unified if self.birthplace is None else []

    def _close(self) -> None:
        """Let go of what was opened, since the parent goes on."""
        for fd in self._opened() - {None}:
            os.close(t.cast("int", fd))
        self.joined.clear()
        self.setup.stub = self.setup.chroot = self.setup.label_place = self.user_namespace = self.birthplace = None
        self.setup.doors = ()

    def _join(self, kinds: t.Iterable[str]) -> None:
        for kind in kinds:
            if kind in self.joined:
                self._doing = f"namespaces.{kind}: join"
                call("setns", self.joined[kind], namespace.FLAGS[kind])

    # --- the parent ----------------------------------------------------------------

    def _bring_up(self) -> int:
        """Let the other processes begin, and bring them to the payload.

        :returns: pid of the new process.
        """
        hear, say = os.pipe()
        listen, tell = os.pipe()
        try:
            try:
                self._prepare_stub(tell)
                intermediate = os.fork()
                if intermediate == 0:
                    self._intermediate(hear, tell, (say, listen))
            finally:
                os.close(hear)
                os.close(tell)
            return self._accompany(intermediate, listen, say)
        finally:
            os.close(listen)
            os.close(say)

    def _prepare_stub(self, tell: int) -> None:
        owner = self._on_host("uid", self.setup.uid), self._on_host("gid", self.setup.gid)
        for fd in self.setup.standard:
            _hand_over(fd, owner[0])
        os.set_inheritable(tell, True)
        self._share_filter(stub.open_stub(tell, owner, self.filter if self._filters_last else None, self._label()))

    def _label(self) -> stub.Label | None:
        """What the last program writes; the number of its descriptor has to be known now."""
        if not self.setup.label:
            return None
        self.setup.label_place = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return stub.Label(self.setup.label_place, self.setup.label_file, self.setup.label)

    @property
    def _filters_last(self) -> bool:
        """Whether the filter can be loaded by the very last program before the payload."""
        return self.filter is not None and self.setup.no_new_privileges and not self.filter.listener

    def _share_filter(self, program: int | None) -> None:
        """What the last program does not load, the new process does."""
        self.setup.stub = program
        self.setup.filter = None if program is not None and self._filters_last else self.filter

    def _on_host(self, kind: str, number: int) -> int:
        """The id that the host sees where the container sees another.

        :param kind: ``uid`` or ``gid``.
        """
        try:
            return usernamespace.on_host(self.mappings[kind == "gid"], number)
        except KeyError as error:
            raise NsfleetError(f"{kind} {number} is not mapped into the user namespace") from error

    def _accompany(self, intermediate: int, listen: int, say: int) -> int:
        """Bring the new process through its stages, from outside."""
        try:
            told = os.read(listen, MESSAGE)
            if not told.startswith(b"pid "):
                raise NsfleetError(told.decode() or "the intermediate process died")
            return self._accompany_born(int(told[4:]), listen, say)
        finally:
            os.waitpid(intermediate, 0)  # not before: it has a large memory to give back, which takes a while

    def _accompany_born(self, pid: int, listen: int, say: int) -> int:
        try:
            self._place(pid)
            told = self._begin(pid, listen, say)
            if told != init.READY:
                raise NsfleetError(told.decode() or "the first process died")
            if self.setup.gate is None:
                self._execute(pid, listen, say)
        except (OSError, NsfleetError):
            process.send_signal(pid, process.start_time(pid), signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        return pid

    def _begin(self, pid: int, listen: int, say: int) -> bytes:
        """Let the new process go on for the first time.

        :raises BornDead: it cannot any more.
        """
        try:
            told = self._go_on(pid, listen, say)
        except BrokenPipeError:
            told = b""
        if not (told or self._entered) and self.birthplace is not None:
            raise BornDead("the first process died")
        return told

    def _execute(self, pid: int, listen: int, say: int) -> None:
        """Let the new process become the payload."""
        told = self._go_on(pid, listen, say)
        if told:
            raise NsfleetError(not_executed(told, self.process["args"]))

    def _go_on(self, pid: int, listen: int, say: int) -> bytes:
        """Let the new process go on, do what it asks for meanwhile, and hear what it says after that."""
        os.write(say, b"1")
        told = os.read(listen, MESSAGE)
        if told == init.HOOKS:
            self._run_hooks(pid)
            return self._go_on(pid, listen, say)
        if self.filter is not None and told.startswith(init.LISTENER):
            from .seccomp_listener import hand_over

            hand_over(self._told(pid), self.filter, pid, int(told[len(init.LISTENER) :]))
            return self._go_on(pid, listen, say)
        if told == init.ENTERED:
            self._entered = True
            attributes.apply(pid, self.process, self.FURTHER)
            return self._go_on(pid, listen, say)
        return told

    def _told(self, pid: int) -> bytes:
        """The container's state, as others are told it.

        :param pid: of the new process, which is the container's first one if nothing else is known.
        """
        return self.setup.state.of(pid)

    @abc.abstractmethod
    def _run_hooks(self, pid: int) -> None:
        """Run the hooks whose turn it is."""

    def _place(self, pid: int) -> None:
        """What only a process with all rights can do for the new one, before it does anything."""
        if self.group is not None:
            self.group.enter(pid, self._to_be_moved)

    # --- the intermediate process --------------------------------------------------

    def _intermediate(self, hear: int, tell: int, ends: t.Iterable[int]) -> t.NoReturn:
        """Be the intermediate process.

        :param ends: descriptors of the parent's ends of the pipes.
        """
        try:
            for fd in ends:
                os.close(fd)
            pid = self._give_birth()
            if pid == 0:
                init.begin(self.setup, hear, tell, self.STEPS)
            os.write(tell, f"pid {pid}".encode())
        except BaseException as error:  # there is nobody above who could handle it
            words = f"{error.strerror}" if isinstance(error, OSError) else str(error)
            os.write(tell, f"{self._doing}: {words}".encode(errors="backslashreplace")[: MESSAGE - 96])
        finally:  # even if whoever would be told is dead
            os._exit(0)

    STEPS: t.ClassVar[init.Steps] = ()
    FURTHER: t.ClassVar[bool]  #: whether it joins a container that there is
    _doing = "start"

    def _enter_user(self) -> None:
        """Become root of the user namespace."""
        self._doing = "namespaces.user: join"
        call("setns", self.user_namespace, namespace.FLAGS["user"])
        os.setgroups(())
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)


def _hand_over(fd: int | None, uid: int) -> None:
    """Give a standard file to the payload's user, so that it can open ``/dev/stdout`` again; not a device of all."""
    if fd is None:
        return
    info = os.fstat(fd)
    if info.st_uid != uid and info.st_rdev != _NULL:
        with contextlib.suppress(OSError):  # of a file system that is read-only, or knows no owners
            os.fchown(fd, uid, info.st_gid)


def not_executed(told: bytes, arguments: t.Sequence[str]) -> str:
    """In words for people, what the stub, or the step before it, said of a payload that was not executed."""
    if len(told) != 4:
        return told.decode()
    (number,) = struct.unpack("=I", told)
    what, error = number >> stub.ERROR_BITS, number & (1 << stub.ERROR_BITS) - 1
    words = {
        stub.EXECUTE: f"command: {arguments[0]!r} cannot be executed",
        stub.FILTER: "linux.seccomp: the filter cannot be loaded",
        stub.LABEL: "security label: the kernel refuses it",
        stub.CLOSE: "linux.seccomp: the profile forbids what every start does (fcntl), and no_new_privs is off",
    }
    return f"{words[what]}: {os.strerror(error)}"
