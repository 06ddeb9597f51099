# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container of ``nsrun``: what is kept of it between one command and the next (runtime-spec, runtime.md).

ROOT/ID/           mode 0700
    state.json     what is known: written before the first object of the kernel is made, and once more when all is made
    config.json    the description, as it was when the container was created
    stage/         the place in which its root is put together, seen by the container only
    start          the socket on which its first process waits, until it is started
    waiting        locked by the first process until it executes the payload
    lock           locked by who changes the container
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import time
import typing as t

from .._kernel import files, mount, process
from .._model.errors import NsfleetError
from .spec import Spec, Told, told

if t.TYPE_CHECKING:
    import socket

    from .._cgroup.group import Group
    from .._cgroup.hierarchy import Host

_ALLOWED: t.Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
_LONGEST = 255
CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"


class Record(t.NamedTuple):
    """What ``state.json`` holds."""

    bundle: str
    owner: tuple[int, int]  #: pid and start time of who creates it
    boot: str
    created: str  #: RFC 3339, UTC
    pid: int = 0  #: of its first process; 0: it was not made yet
    started: int = 0  #: start time of that process, clock ticks since boot
    groups: t.Sequence[str] = ()  #: directories that are there for its control group only, until it is made


def taken(name: str) -> NsfleetError:
    """What is said of an id that another container has."""
    return NsfleetError(f"container with id {name} already exists")


class Instance:
    """One container.

    :param root: directory of all containers.
    :param name: its id.
    :raises NsfleetError: the id is none, or others can change what is kept.
    """

    def __init__(self, root: str, name: str) -> None:
        if not 0 < len(name) <= _LONGEST or not _ALLOWED.issuperset(name) or name[0] in "-.":
            raise NsfleetError(
                f"invalid container id {name!r}: expected letters, digits and _+-. of which neither - nor . comes first"
            )
        _refuse_root_of_others(root)
        self.name = name
        self.root = root
        self.folder = os.path.join(root, name)
        self.stage = os.path.join(self.folder, "stage")
        self.entrance = os.path.join(self.folder, "start")
        self.keyring = f"_ses.{name}"  #: as runc has it
        self._spec: Spec | None = None
        self._host: Host | None = None

    # --- what is kept ----------------------------------------------------------------

    def begin(self, bundle: str, spec: Spec) -> None:
        """Take the id, and say so on disk.

        :param bundle: absolute path.
        :param spec: its description, with an absolute path of the root.
        :raises NsfleetError: the id is taken.
        """
        os.makedirs(self.root, mode=0o711, exist_ok=True)
        try:
            os.mkdir(self.folder, 0o700)
        except FileExistsError:
            raise taken(self.name) from None
        me = os.getpid()
        created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10**9:09d}Z"
        self._spec = spec
        record = Record(bundle, (me, process.start_time(me) or 0), process.boot_id(), created)
        self.save(record._replace(groups=self.group.dispensable()))
        self.save_spec(spec)
        os.mkdir(self.stage, 0o700)

    def save(self, record: Record) -> None:
        """Keep what is known."""
        files.write_whole(os.path.join(self.folder, "state.json"), json.dumps(record._asdict()))

    def save_spec(self, spec: Spec) -> None:
        """Keep the description, whose limits may change while it runs."""
        files.write_whole(os.path.join(self.folder, "config.json"), json.dumps(spec))
        self._spec = spec

    def load(self) -> Record:
        """What is known.

        :raises NsfleetError: there is no such container, or what is kept is damaged.
        """
        text = files.read_text(os.path.join(self.folder, "state.json"))
        if text is None:
            raise NsfleetError(f"container {self.name!r} does not exist")
        try:
            record = Record(**json.loads(text))
            return record._replace(owner=(int(record.owner[0]), int(record.owner[1])))
        except (ValueError, TypeError) as error:
            raise NsfleetError(f"{self.folder}/state.json is damaged ({error}); delete --force removes it") from error

    @property
    def exists(self) -> bool:
        """Whether there is anything of it."""
        return os.path.isdir(self.folder)

    @property
    def directory(self) -> str:
        """Its bundle."""
        return self.load().bundle

    @property
    def spec(self) -> Spec:
        """Its description.

        :raises NsfleetError: it is damaged.
        """
        if self._spec is None:
            try:
                self._spec = json.loads(files.read_text(os.path.join(self.folder, "config.json")) or "")
            except ValueError as error:
                raise NsfleetError(f"{self.folder}/config.json is damaged: {error}") from error
        return t.cast("Spec", self._spec)

    @property
    def host(self) -> Host:
        """The control group hierarchies, looked for once a command."""
        if self._host is None:
            from .._cgroup.hierarchy import detect

            self._host = detect()
        return self._host

    @property
    def group(self) -> Group:
        """Its control group."""
        from . import groups

        return groups.of(self.spec, self.host)

    def remove(self) -> None:
        """Remove what is kept; the id is free then."""
        for name in ("start", "waiting", "config.json", "lock"):
            files.remove(os.path.join(self.folder, name))
        with contextlib.suppress(OSError):  # only of a container that shared our mount namespace something is there
            mount.detach(self.stage)
        files.remove_empty(self.stage)
        files.remove(os.path.join(self.folder, "state.json"))  # last: without it, nobody finds what is left
        files.remove_empty(self.folder)

    @contextlib.contextmanager
    def locked(self) -> t.Iterator[None]:
        """Keep others from changing the container meanwhile.

        :raises NsfleetError: there is no such container.
        """
        try:
            fd = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            raise NsfleetError(f"container {self.name!r} does not exist") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if not os.fstat(fd).st_nlink:  # it was removed while we waited
                raise NsfleetError(f"container {self.name!r} does not exist")
            yield
        finally:
            os.close(fd)

    # --- what it does ----------------------------------------------------------------

    def alive(self, record: Record) -> bool:
        """Whether its first process runs."""
        return (
            bool(record.pid) and record.boot == process.boot_id() and process.start_time(record.pid) == record.started
        )

    def status(self, record: Record) -> str:
        """``creating``, ``created``, ``running``, ``paused`` or ``stopped``."""
        if not record.pid:
            return CREATING if process.start_time(record.owner[0]) == record.owner[1] else STOPPED
        if not self.alive(record):
            return STOPPED
        if self._waits():
            return CREATED
        return PAUSED if self._paused() else RUNNING

    def _paused(self) -> bool:
        group = self.group
        return group.exists and (group.read("cgroup.freeze") or "0") == "1"

    def state(self) -> dict[str, t.Any]:
        """The state as the runtime-spec defines it, and what runc adds.

        :raises NsfleetError: there is no such container.
        """
        record = self.load()
        status = self.status(record)
        return {
            "ociVersion": self.spec.get("ociVersion", ""),
            "id": self.name,
            "pid": record.pid if status not in (STOPPED, CREATING) else 0,
            "status": status,
            "bundle": record.bundle,
            "rootfs": (self.spec.get("root") or {}).get("path", ""),
            "created": record.created,
            "annotations": self.spec.get("annotations") or {},
            "owner": "",
        }

    def told(self, status: str, bundle: str) -> Told:
        """The state as others are told it."""
        return told(self.spec, self.name, bundle, status)

    # --- the gate ----------------------------------------------------------------------

    def open_gate(self) -> socket.socket:
        """The socket on which the first process waits to be started."""
        import socket

        gate = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(self.entrance) as address:
            gate.bind(address)
        gate.listen(1)
        return gate

    def pass_gate(self) -> bytes:
        """Let the first process execute the payload.

        :returns: empty if it did, else what it says.
        :raises NsfleetError: it does not wait.
        """
        import socket

        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            try:
                with _short(self.entrance) as address:
                    caller.connect(address)
            except OSError:
                raise NsfleetError(f"cannot start container {self.name!r}: it was started already") from None
            files.remove(self.entrance)
            told = b""
            while True:
                part = caller.recv(4096)
                if not part:
                    return told
                told += part

    def hold_back(self) -> int:
        """What shows that the payload is not executed yet.

        :returns: descriptor, which the first process keeps until then, and which everybody else closes.
        """
        fd = os.open(self._waiting, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return fd

    @property
    def _waiting(self) -> str:
        return os.path.join(self.folder, "waiting")

    def _waits(self) -> bool:
        """Whether the first process still holds that lock (flock(2): it goes with the last copy of the descriptor)."""
        fd = os.open(self._waiting, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False


def names(root: str) -> list[str]:
    """Ids of all containers of a directory, sorted."""
    return [name for name in files.list_directory(root) if os.path.exists(os.path.join(root, name, "state.json"))]


def _refuse_root_of_others(root: str) -> None:
    """Who can write there could say which processes are ended and which hooks are run."""
    try:
        info = os.stat(root)
    except FileNotFoundError:
        return
    if info.st_uid not in (0, os.geteuid()) or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise NsfleetError(f"--root: {root}: others can change what is in it; expected a directory of root's alone")


@contextlib.contextmanager
def _short(path: str) -> t.Iterator[str]:
    """A path that fits into the address of a socket, which has 108 bytes (unix(7)): by way of its directory."""
    directory = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)
