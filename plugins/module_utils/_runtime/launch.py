# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a container, from its bundle to a running process: its namespaces, its root, its first process."""

from __future__ import annotations

import errno
import os
import typing as t

from .._kernel import mount, mount_api, namespace, overlay, process
from .._kernel.sysctl import parameter_path
from .._model.errors import NsfleetError
from . import devices, hooks, init, payload, seccomp, usernamespace, users
from .birth import Birth
from .mount_options import PROPAGATIONS
from .mounts import prepare_mount
from .spec import NAMESPACE_KINDS, Spec, Told, annotation, has_root, layer, own_tree, shared_layers, shares_mounts

if t.TYPE_CHECKING:
    import socket

    from .._cgroup.group import Group
    from . import network

#: Kinds that the first process is born into; the others it joins by another way.
_BORN_INTO = ("pid", "uts", "ipc", "net")
#: File systems that belong to a namespace, and must be made by who has rights over that namespace.
_OWNED_BY = {"sysfs": "net", "mqueue": "ipc"}


class Place(t.Protocol):
    """Where a container is on disk."""

    @property
    def directory(self) -> str:
        """The bundle: sources of mounts, and the private layer, are relative to it."""

    @property
    def stage(self) -> str:
        """An empty directory in which the root is put together, seen by the container only."""

    @property
    def spec(self) -> Spec:
        """Its description."""


class Launch(Birth):
    """One start of one container.

    :param place: the container's bundle.
    :param group: the control group that its processes are to be in, if any.
    :param standard: descriptors of standard input, output and error; ``None``: ``/dev/null`` of the container.
    :param state: of the container, as others are told it.
    :param gate: socket on which the first process waits for the word to execute the payload; without it, it does so
        at once.
    """

    STEPS = init.FIRST
    FURTHER = False

    def __init__(
        self,
        place: Place,
        group: Group | None,
        standard: tuple[int | None, int | None, int | None],
        state: Told,
        gate: socket.socket | None = None,
    ) -> None:
        super().__init__(place.spec["process"], group, standard, state)
        self.place = place
        self.spec = place.spec
        self.linux: dict[str, t.Any] = self.spec.get("linux") or {}
        self.mappings = self.linux.get("uidMappings") or (), self.linux.get("gidMappings") or ()
        self.new: set[str] = set()  #: kinds of namespaces to be made
        self.network: network.Devices | None = None
        self.setup.gate = gate

    def _opened(self) -> set[int | None]:
        mounted = {entry.descriptor for entry in self.setup.mounts}
        return super()._opened() | mounted

    def _close(self) -> None:
        super()._close()
        self.setup.mounts = []

    # --- preparation -------------------------------------------------------------

    def _prepare(self) -> None:
        self._find_namespaces()
        self.user_namespace = self._user_namespace()
        if has_root(self.spec):
            self._prepare_files()
        self._prepare_process()

    def _find_namespaces(self) -> None:
        for entry in self.linux.get("namespaces") or ():
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
            self.mappings = usernamespace.mappings_of(self.joined["user"])
            return self.joined["user"]
        return usernamespace.make(*self.mappings) if "user" in self.new else None

    def _network_devices(self) -> network.Devices | None:
        if not self.linux.get("netDevices"):
            return None
        if "net" not in self.new and "net" not in self.joined:
            raise NsfleetError("linux.netDevices: needs a network namespace that is not the host's")
        from .network import Devices  # few containers get any

        return Devices(self.linux)

    def _prepare_files(self) -> None:
        setup = self.setup
        setup.read_only = bool(self.spec["root"].get("readonly"))
        shown = None if "cgroup" in self.new or "cgroup" in self.joined else self.group
        label = ""
        if self.linux.get("mountLabel"):
            from . import labels

            label = labels.mount_label(self.linux)
        for entry in self.spec.get("mounts") or ():
            setup.mounts.append(prepare_mount(entry, self.place.directory, shown, label))
            setup.mounts[-1].prepare(self.user_namespace)
        setup.masked = self.linux.get("maskedPaths") or ()
        setup.protected = self.linux.get("readonlyPaths") or ()
        if not any(entry.bind and os.path.normpath(entry.destination) == "/dev" for entry in setup.mounts):
            setup.devices = devices.of(self.linux)
        self._prepare_propagation(self.linux.get("rootfsPropagation") or "rslave")

    def _prepare_propagation(self, words: str) -> None:
        """Who sees later mounts: of the host's, the container does with ``slave``, unless a mount says otherwise."""
        if words not in PROPAGATIONS:
            expected = ", ".join(PROPAGATIONS)
            raise NsfleetError(f"linux.rootfsPropagation: expected one of {expected}, got {words!r}")
        kind, recursive = PROPAGATIONS[words]
        if kind in (mount.MS_SHARED, mount.MS_UNBINDABLE):
            self.setup.root_propagation = kind, recursive
        self.setup.propagation = {mount.MS_SHARED: None, mount.MS_SLAVE: kind}.get(kind, mount.MS_PRIVATE)

    def _prepare_process(self) -> None:
        setup = self.setup
        setup.new_cgroup_namespace = "cgroup" in self.new
        sysctls = self.linux.get("sysctl") or {}
        setup.sysctls = {parameter_path(name): value for name, value in sysctls.items()}
        if "uts" in self.new:
            setup.hostname, setup.domainname = self.spec.get("hostname", ""), self.spec.get("domainname", "")
        setup.hooks_inside = hooks.of(self.spec, "createContainer")
        setup.hooks_at_start = hooks.of(self.spec, "startContainer")
        payload.prepare(setup, self.process, self.linux)
        self.filter = seccomp.prepare(self.linux.get("seccomp"))
        self._look_up_user()

    def _look_up_user(self) -> None:
        """Names of a user and of groups are the container's own."""
        setup, name, groups = self.setup, annotation(self.spec, "user"), annotation(self.spec, "groups")
        if name or groups:
            try:
                with overlay.Layers(shared_layers(self.spec)) as root:
                    words = groups.split(",") if groups else ()
                    found = users.resolve(root.read_file, name or str(setup.uid), words)
            except OSError as error:
                raise NsfleetError(f"rootfs: {error.filename}: {error.strerror}") from error
            setup.uid, setup.gid, setup.groups = found

    def _bring_up(self) -> int:
        self.network = self._network_devices()
        try:
            return super()._bring_up()
        except (OSError, NsfleetError):
            if self.network is not None:
                self.network.give_back()
            raise
        finally:
            if self.network is not None:
                self.network.close()

    def _place(self, pid: int) -> None:
        super()._place(pid)
        if self.network is not None:
            self.network.move(pid)

    def _run_hooks(self, pid: int) -> None:
        """Namespaces are there, and all mounts, but the root is not changed yet."""
        for point in ("prestart", "createRuntime"):
            hooks.run_point(self.spec, point, self._told(pid))

    # --- the intermediate process --------------------------------------------------

    def _give_birth(self) -> int:
        flags = process.CLONE_PARENT
        for kind in _BORN_INTO:
            if kind in self.new:
                flags |= namespace.FLAGS[kind]
        self._join(("net", "ipc", "uts", "pid", "cgroup"))
        self._enter_time()
        if has_root(self.spec):
            self._build_root()
        else:
            self._join(("mnt",))
        if self.user_namespace is not None:
            flags |= namespace.FLAGS["mnt"] if "mnt" in self.new else 0
            self._enter_user()
        self._doing = "create namespaces"
        return process.clone(flags, self.birthplace)

    def _enter_time(self) -> None:
        self._join(("time",))
        if "time" not in self.new:
            return
        self._doing = "namespaces.time"
        namespace.unshare("time")
        lines = [
            f"{clock} {offset.get('secs', 0)} {offset.get('nanosecs', 0)}\n"
            for clock, offset in (self.linux.get("timeOffsets") or {}).items()
        ]
        if lines:
            with open("/proc/self/timens_offsets", "w", encoding="ascii") as file:
                file.write("".join(lines))

    # --- the root ------------------------------------------------------------------

    def _build_root(self) -> None:
        """A small tree in memory, seen in the container's mount namespace, with the root and what it is made of."""
        trees = self._enter_mounts()
        self._doing = "rootfs"
        small = mount_api.new_filesystem("tmpfs", [("mode", "0700")])
        mount_api.attach(small, os.open(self.place.stage, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        mount_api.propagate(small, mount.MS_PRIVATE)
        # The first process finds the place as its working directory: in a user namespace it may not walk there.
        os.fchdir(small)
        os.mkdir("root")
        os.chdir("root")
        if self.user_namespace is not None and annotation(self.spec, "idmap") and not annotation(self.spec, "owned"):
            self._map_ids(trees, self.user_namespace)
        where = annotation(self.spec, "overlay")
        if where in ("", "none", "copy"):
            self.setup.root = trees[0] if len(trees) == 1 else self._merge(self._below_layer(trees))
        else:
            self.setup.root = self._overlay(trees, where)
        if shares_mounts(self.spec):
            self.setup.chroot = self.setup.root
        if self.user_namespace is not None:
            self._make_what_it_may_not()
            return
        for number, entry in enumerate(self.setup.mounts):
            entry.wait(small, f"source{number}")

    def _map_ids(self, trees: t.Sequence[int], user_namespace: int) -> None:
        self._doing = f"idmap: show the files of {self.spec['root']['path']} with other owners"
        try:
            for tree in trees:
                mount_api.map_ids(tree, user_namespace)
        except OSError as error:
            if error.errno not in mount_api.NO_IDMAP:
                raise
            image = annotation(self.spec, "image")
            remedy = "say overlay: copy" if image else "without idmap, give them to users of the namespace (chown)"
            raise NsfleetError(
                f"{error.strerror}: this kernel has no idmapped mounts of that file system; {remedy}"
            ) from error

    def _make_what_it_may_not(self) -> None:
        """What nobody in the user namespace has rights to."""
        self._make_nodes()
        for entry in self.setup.mounts:
            owner = _OWNED_BY.get(entry.kind)
            if owner and owner not in self.new:
                entry.descriptor = entry.make()

    def _enter_mounts(self) -> list[int]:
        """Go into the container's mount namespace.

        :returns: descriptors of what the root is made of, the highest first; nothing is attached yet.
        """
        self._doing = "namespaces.mnt"
        if "mnt" in self.new:
            namespace.unshare("mnt")
            mount.mount("", "/", mount.MS_REC | (self.setup.propagation or mount.MS_PRIVATE))
            return self._clone_layers()
        trees = self._clone_layers()  # as the caller sees it, who may be in another namespace
        for tree in trees:
            mount_api.propagate(tree, mount.MS_PRIVATE)  # what is mounted in it does not show in the bundle, too
        self._join(("mnt",))
        return trees

    def _clone_layers(self) -> list[int]:
        own = own_tree(self.spec)
        trees = []
        for path in [os.path.join(self.place.directory, own)] if own else shared_layers(self.spec):
            self._doing = f"rootfs: {path}"
            trees.append(mount_api.clone_tree(path))
        return trees

    def _overlay(self, trees: t.Sequence[int], where: str) -> int:
        """A private writable layer over the shared trees. Layers are named by descriptors: no path, no quoting."""
        names = ("upper", "work") if where == "tmpfs" else layer(self.spec)
        base = self.place.stage if where == "tmpfs" else self.place.directory
        options = []
        for option, folder in zip(("upperdir", "workdir"), (os.path.join(base, name) for name in names)):
            if where == "tmpfs":
                os.mkdir(folder, 0o755)
            options.append((option, by_descriptor(folder)))
        if any(self.mappings):
            os.chown(os.path.join(base, names[0]), self._on_host("uid", 0), self._on_host("gid", 0))
        return self._merge(self._below_layer(trees), options)

    def _below_layer(self, trees: t.Sequence[int]) -> list[str]:
        """What the layer is put on, the highest first, as overlayfs takes it."""
        return [self._attached(tree, f"lower{number}") for number, tree in enumerate(trees)]

    def _attached(self, tree: int, name: str) -> str:
        """A detached mount as overlayfs takes it, which is attached somewhere, and named by its descriptor."""
        mount_api.attach(tree, os.open(self._folder(name), os.O_PATH | os.O_CLOEXEC))
        return f"/proc/self/fd/{tree}"

    def _folder(self, name: str) -> str:
        """A directory beside the root, empty when it is asked for first."""
        folder = os.path.join(self.place.stage, name)
        os.makedirs(folder, exist_ok=True)
        return folder

    def _merge(self, lower: t.Sequence[str], options: t.Sequence[tuple[str, str]] = ()) -> int:
        """A new, detached mount of directories over each other, see :func:`.overlay.merged`."""
        try:
            return overlay.merged(lower, self._folder("merged"), options)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            words = "an image that is removed and pulled again is stored so that overlay: copy does without it"
            raise NsfleetError(f"this kernel has no overlayfs; {words}") from error

    def _make_nodes(self) -> None:
        """Nodes of devices, which nobody in a user namespace may make."""
        self._doing = "devices"
        mapped = [
            device._replace(uid=self._on_host("uid", device.uid), gid=self._on_host("gid", device.gid))
            for device in self.setup.devices or ()
        ]
        self.setup.nodes = devices.make_outside(mapped, os.open(self._folder("dev"), os.O_PATH | os.O_CLOEXEC))


def by_descriptor(folder: str) -> str:
    """A path of a directory without any characters that would have to be quoted; it stays open."""
    return f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_CLOEXEC)}"
