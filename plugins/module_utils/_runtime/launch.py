# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a container, from its bundle to a running process.

Three processes take part::

    parent        looks up, opens and checks everything; waits for the others; stays as the container's parent
    intermediate  joins namespaces, builds the root, gives birth, and ends
    first process finishes its own inside (:mod:`.init`) and becomes the payload

The intermediate is needed because joining a namespace cannot be undone, and because a process joins a process or time
namespace only for its children. The first process is its sibling (CLONE_PARENT), so the parent is told how it ends.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import typing as t

from .._kernel import capability, mount, mount_api, namespace, process
from .._kernel.syscall import call
from .._model.errors import NsfleetError
from . import devices, init, seccomp, stub, usernamespace, users
from .mounts import prepare_mount
from .spec import NAMESPACE_KINDS, annotation

if t.TYPE_CHECKING:
    from .._cgroup.group import Group
    from .bundle import Bundle
    from .seccomp import Program

#: Kinds that the first process is born into; the others it joins by another way.
_BORN_INTO = ("pid", "uts", "ipc", "net")
#: File systems that belong to a namespace, and must be made by who has rights over that namespace.
_OWNED_BY = {"sysfs": "net", "mqueue": "ipc"}


#: How the runtime-spec writes a resource limit that is none.
_UNLIMITED = 2**64 - 1


class Launch:
    """One start of one container.

    :param bundle: the container's bundle.
    :param group: the control group that its processes are to be in, if any.
    :param output: descriptor for standard output and standard error.
    """

    def __init__(self, bundle: Bundle, group: Group | None, output: int) -> None:
        self.bundle = bundle
        self.spec = bundle.spec
        self.group = group
        self.linux: dict[str, t.Any] = self.spec.get("linux", {})
        self.process: dict[str, t.Any] = self.spec["process"]
        self.new: set[str] = set()  #: kinds of namespaces to be made
        self.joined: dict[str, int] = {}  #: descriptors of those to be joined
        self.user_namespace: int | None = None
        self.filter: Program | None = None  #: of system calls
        self.setup = init.Setup()
        self.setup.output = output

    def start(self) -> int:
        """Start the container.

        :returns: pid of its first process, a child of the caller.
        :raises NsfleetError: it could not be started; nothing of it is left running.
        :raises OSError: this host cannot.
        """
        try:
            self._prepare()
            return self._bring_up()
        finally:
            self._close()

    def _close(self) -> None:
        """Let go of what was opened for the container, since its parent goes on."""
        opened = {*self.joined.values(), *self.setup.host_nodes.values(), self.setup.stub, self.user_namespace}
        for fd in opened.union(entry.descriptor for entry in self.setup.mounts):
            if fd is not None:
                os.close(fd)

    # --- preparation -------------------------------------------------------------

    def _prepare(self) -> None:
        self.filter = seccomp.prepare(self.linux.get("seccomp"))
        self._find_namespaces()
        self.user_namespace = self._user_namespace()
        if "mnt" in self.new:
            self._prepare_files()
        self._prepare_process()

    def _find_namespaces(self) -> None:
        for entry in self.linux.get("namespaces", ()):
            kind = NAMESPACE_KINDS[entry["type"]]
            if not entry.get("path"):
                self.new.add(kind)
                continue
            try:
                self.joined[kind] = namespace.open_namespace(entry["path"])
            except OSError as error:
                raise NsfleetError(f"namespaces.{kind}: {entry['path']}: {error.strerror}") from error

    def _user_namespace(self) -> int | None:
        if "user" in self.joined:
            return self.joined["user"]
        if "user" not in self.new:
            return None
        return usernamespace.make(self.linux.get("uidMappings", ()), self.linux.get("gidMappings", ()))

    def _prepare_files(self) -> None:
        setup = self.setup
        setup.read_only = bool(self.spec["root"].get("readonly"))
        for entry in self.spec.get("mounts", ()):
            setup.mounts.append(prepare_mount(entry, self.bundle.directory))
            setup.mounts[-1].prepare(self.user_namespace)
        setup.masked = self.linux.get("maskedPaths", ())
        setup.protected = self.linux.get("readonlyPaths", ())
        if self.user_namespace is not None:
            devices.open_host_nodes(setup.host_nodes)

    def _prepare_process(self) -> None:
        setup, process_ = self.setup, self.process
        setup.new_cgroup_namespace = "cgroup" in self.new
        setup.sysctls = {name.replace(".", "/"): value for name, value in self.linux.get("sysctl", {}).items()}
        if "uts" in self.new:
            setup.hostname, setup.domainname = self.spec.get("hostname", ""), self.spec.get("domainname", "")
        setup.cwd = process_["cwd"]
        setup.arguments = tuple(process_["args"])
        setup.environment = dict(word.partition("=")[::2] for word in process_.get("env", ()))
        setup.no_new_privileges = bool(process_.get("noNewPrivileges"))
        self._prepare_user()
        setup.capabilities = {
            kind: capability.mask(process_.get("capabilities", {}).get(kind, ()))
            for kind in ("bounding", "effective", "permitted", "inheritable", "ambient")
        }

    def _prepare_user(self) -> None:
        setup, user = self.setup, self.process["user"]
        setup.uid, setup.gid = user["uid"], user["gid"]
        setup.groups = user.get("additionalGids", ())
        setup.umask = user.get("umask", 0o022)
        name, groups = annotation(self.spec, "user"), annotation(self.spec, "groups")
        if name or groups:
            root = self._open_root()
            try:
                found = users.resolve(root, name or str(setup.uid), groups.split(",") if groups else ())
            finally:
                os.close(root)
            setup.uid, setup.gid, setup.groups = found

    def _open_root(self) -> int:
        path = self.spec["root"]["path"]
        try:
            return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise NsfleetError(f"rootfs: {path}: {error.strerror}") from error

    # --- the start ---------------------------------------------------------------

    def _bring_up(self) -> int:
        """Let the other processes begin, and bring them to the payload.

        :returns: pid of the first process.
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
        uids, gids = self.linux.get("uidMappings", ()), self.linux.get("gidMappings", ())
        try:
            owner = usernamespace.on_host(uids, self.setup.uid), usernamespace.on_host(gids, self.setup.gid)
        except KeyError as error:
            raise NsfleetError(f"user: id {error} is not mapped into the user namespace") from error
        os.fchown(self.setup.output, *owner)  # so that the payload can open /dev/stdout again
        os.set_inheritable(tell, True)
        self._share_filter(stub.open_stub(tell, owner, self.filter if self._filters_last else None))

    @property
    def _filters_last(self) -> bool:
        """Whether the filter can be loaded by the very last program before the payload."""
        return self.filter is not None and self.setup.no_new_privileges and not self.filter.listener

    def _share_filter(self, program: int | None) -> None:
        """What the last program does not load, the first process does."""
        self.setup.stub = program
        self.setup.filter = None if program is not None and self._filters_last else self.filter

    def _accompany(self, intermediate: int, listen: int, say: int) -> int:
        """Bring the first process through its stages, from outside."""
        told = os.read(listen, 4096)
        os.waitpid(intermediate, 0)
        if not told.startswith(b"pid "):
            raise NsfleetError(told.decode() or "the intermediate process died")
        pid = int(told[4:])
        try:
            self._place(pid)
            told = self._go_on(pid, listen, say)
            if told != b"ready":
                raise NsfleetError(told.decode() or "the first process died")
            told = self._go_on(pid, listen, say)
            if told:
                raise NsfleetError(self._not_executed(told))
        except (OSError, NsfleetError):
            process.send_signal(pid, process.start_time(pid), signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        return pid

    def _go_on(self, pid: int, listen: int, say: int) -> bytes:
        """Let the first process go on, and hear what it says next."""
        os.write(say, b"1")
        told = os.read(listen, 4096)
        if self.filter is not None and told.startswith(b"listener "):
            from .seccomp_listener import hand_over

            hand_over(self.bundle, self.filter, pid, int(told.split()[1]))
            return self._go_on(pid, listen, say)
        return told

    def _not_executed(self, told: bytes) -> str:
        if len(told) != 4:
            return told.decode()
        (number,) = struct.unpack("=I", told)
        what, error = number >> stub.ERROR_BITS, number & (1 << stub.ERROR_BITS) - 1
        words = {
            stub.EXECUTE: f"command: {self.process['args'][0]!r} cannot be executed",
            stub.FILTER: "linux.seccomp: the filter cannot be loaded",
            stub.CLOSE: "linux.seccomp: the profile forbids what every start does (fcntl), and no_new_privs is off",
        }
        return f"{words[what]}: {os.strerror(error)}"

    def _place(self, pid: int) -> None:
        """What only a process with all rights can do for the new one."""
        if self.group is not None:
            self.group.enter(pid)
        for entry in self.process.get("rlimits", ()):
            self._set_rlimit(pid, entry)
        score = self.process.get("oomScoreAdj")
        if score is not None:
            try:
                with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
                    file.write(str(score))
            except OSError as error:
                raise NsfleetError(f"oom_score_adj: {score}: {error.strerror}") from error

    @staticmethod
    def _set_rlimit(pid: int, entry: t.Mapping[str, t.Any]) -> None:
        number = getattr(resource, entry["type"])
        soft, hard = (resource.RLIM_INFINITY if entry[word] >= _UNLIMITED else entry[word] for word in ("soft", "hard"))
        try:
            resource.prlimit(pid, number, (soft, hard))
        except (OSError, ValueError) as error:
            name = entry["type"].replace("RLIMIT_", "").lower()
            raise NsfleetError(f"rlimits[{name}]: {soft}:{hard}: {error}") from error

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
                init.begin(self.setup, hear, tell)
            os.write(tell, f"pid {pid}".encode())
        except BaseException as error:  # there is nobody above who could handle it
            words = f"{error.strerror}" if isinstance(error, OSError) else str(error)
            os.write(tell, f"{self._doing}: {words}".encode(errors="backslashreplace")[:4000])
        finally:  # even if whoever would be told is dead
            os._exit(0)

    _doing = "start"

    def _give_birth(self) -> int:
        flags = process.CLONE_PARENT
        for kind in _BORN_INTO:
            if kind in self.new:
                flags |= namespace.FLAGS[kind]
        for kind in ("net", "ipc", "uts", "pid", "cgroup"):
            if kind in self.joined:
                self._doing = f"namespaces.{kind}: join"
                call("setns", self.joined[kind], namespace.FLAGS[kind])
        self._enter_time()
        if "mnt" in self.new:
            self._build_root()
        elif "mnt" in self.joined:
            self._doing = "namespaces.mount: join"
            call("setns", self.joined["mnt"], namespace.FLAGS["mnt"])
        if self.user_namespace is not None:
            flags |= namespace.FLAGS["mnt"] if "mnt" in self.new else 0
            self._enter_user()
        self._doing = "create namespaces"
        return process.clone(flags)

    def _enter_time(self) -> None:
        if "time" in self.joined:
            self._doing = "namespaces.time: join"
            call("setns", self.joined["time"], namespace.FLAGS["time"])
        if "time" not in self.new:
            return
        self._doing = "namespaces.time"
        namespace.unshare("time")
        lines = [
            f"{clock} {offset.get('secs', 0)} {offset.get('nanosecs', 0)}\n"
            for clock, offset in self.linux.get("timeOffsets", {}).items()
        ]
        if lines:
            with open("/proc/self/timens_offsets", "w", encoding="ascii") as file:
                file.write("".join(lines))

    def _enter_user(self) -> None:
        self._doing = "namespaces.user: join"
        call("setns", self.user_namespace, namespace.FLAGS["user"])
        os.setgroups(())
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)

    # --- the root ------------------------------------------------------------------

    def _build_root(self) -> None:
        """In a mount namespace of its own, a small tree in memory with a place for the root and what it is made of."""
        self._doing = "rootfs"
        namespace.unshare("mnt")
        mount.mount("", "/", mount.MS_REC | _PROPAGATIONS[self.linux.get("rootfsPropagation") or "rslave"])
        stage = self.bundle.stage
        target = os.open(stage, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        mount_api.attach(mount_api.new_filesystem("tmpfs", {"mode": "0700"}), target)
        # The first process finds the place as its working directory: in a user namespace it may not walk there.
        place = os.path.join(stage, "root")
        os.mkdir(place)
        os.chdir(place)
        tree = mount_api.clone_tree(self.spec["root"]["path"])
        if self.user_namespace is not None and annotation(self.spec, "idmap"):
            self._doing = f"idmap: show the files of {self.spec['root']['path']} with other owners"
            mount_api.map_ids(tree, self.user_namespace)
        overlay = annotation(self.spec, "overlay")
        self.setup.root = tree if overlay in ("", "none") else self._overlay(tree, overlay)
        for entry in self.setup.mounts:
            owner = _OWNED_BY.get(entry.kind)
            if owner and owner not in self.new and self.user_namespace is not None:
                entry.descriptor = entry.make()

    def _overlay(self, tree: int, where: str) -> int:
        """A private writable layer over the shared tree. Layers are named by descriptors: no path, no quoting."""
        stage = self.bundle.stage
        lower = os.path.join(stage, "lower")
        os.mkdir(lower)
        mount_api.attach(tree, os.open(lower, os.O_PATH | os.O_CLOEXEC))
        base = stage if where == "tmpfs" else self.bundle.directory
        options: dict[str, str | None] = {"lowerdir": f"/proc/self/fd/{tree}"}
        for name in ("upper", "work"):
            folder = os.path.join(base, name)
            if where == "tmpfs":
                os.mkdir(folder, 0o755)
            options[f"{name}dir"] = f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_CLOEXEC)}"
        uids, gids = self.linux.get("uidMappings", ()), self.linux.get("gidMappings", ())
        if uids:
            os.chown(os.path.join(base, "upper"), usernamespace.on_host(uids, 0), usernamespace.on_host(gids, 0))
        return mount_api.new_filesystem("overlay", options)


_PROPAGATIONS = {
    "private": mount.MS_PRIVATE, "rprivate": mount.MS_PRIVATE, "slave": mount.MS_SLAVE, "rslave": mount.MS_SLAVE,
}  # fmt: skip
