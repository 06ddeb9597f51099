# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A named network namespace: its name, its loopback, its kernel parameters and its files in ``/etc/netns/NAME``."""

from __future__ import annotations

import errno
import os
import signal
import time
import typing as t

from .._kernel import files, netns, once, sysctl
from .._kernel.census import Census
from .._kernel.namespace import Identity, identity, inside, inside_new, open_namespace
from .._model.addresses import ip_address
from .._model.errors import KernelError, Missing, OptionError, Taken
from .._model.field import RECREATE, Field, State, Table
from .._model.names import netns_name
from .._model.resource import CREATE, DELETE, SET, Change, Observation, Resource, Step
from .._model.things import LINK, LINK_UP, NETNS, PROCESS, SYSCTL, Thing
from .._netlink.link import Settings, get_link, set_link
from .._netlink.message import Socket
from .._netlink.namespace import Namespace
from .policy import GROUP, POLICY, is_ours

FILES_DIRECTORY = "/etc/netns"
#: Seconds within which a process that only looks into a namespace lets go of it.
_MOMENT = 0.5
RESOLVER_FILE = "resolv.conf"
#: Folders of parameters that come and go with links.
_OF_LINKS = ("conf", "neigh")


def _sysctls(values: t.Mapping[str, t.Any]) -> State:
    for name in values:
        if not str(name).replace("/", ".").startswith("net."):
            raise ValueError(f"expected parameters that a network namespace has of its own (net.*), got {name!r}")
        sysctl.parameter_path(str(name))
    return {str(name): sysctl.canonical_value(value) for name, value in values.items()}


def _file_contents(values: t.Mapping[str, t.Any]) -> State:
    for name in values:
        if not name or "/" in name or name in (".", ".."):
            raise ValueError(f"expected names of files in /etc, got {name!r}")
        if name == RESOLVER_FILE:
            raise ValueError(f"expected files other than {RESOLVER_FILE}, which the option resolver writes")
    return {name: str(content) for name, content in values.items()}


def _nameservers(values: t.Sequence[str]) -> list[str]:
    return [ip_address(value) for value in values]


RESOLVER = Table(
    (
        Field("nameservers", "list", elements="str", canonical=_nameservers),
        Field("search", "list", elements="str"),
        Field("options", "list", elements="str"),
    )
)

TABLE = Table(
    (
        Field("name", required=True, canonical=netns_name, stateful=False),
        Field("pid", "int", stateful=False),
        Field("path", "path", stateful=False),
        # A name whose mount is lost is there, but there is no namespace behind it.
        Field("mounted", "bool", option=False, effect=RECREATE),
        Field("namespace", option=False, effect=RECREATE),
        Field("loopback", "bool", default=True, revert=False),
        Field("sysctls", "dict", canonical=_sysctls),
        Field("resolver", "dict", table=RESOLVER, stateful=False),
        Field("files", "dict", canonical=_file_contents, revert=None),
        Field("in_use", choices=("fail", "leave", "kill"), default="fail", stateful=False),
        *POLICY,
    ),
    mutually_exclusive=[("pid", "path")],
)


class _Handle(t.NamedTuple):
    """What is there under the name."""

    namespace: Identity | None  #: ``None``: the mount is lost


class Netns(Resource):
    """A named network namespace."""

    kind = "netns"
    table = TABLE
    domain = "network"

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self.wanted["mounted"] = True
        if self._source:
            self.wanted["namespace"] = self._source_namespace()
        if "resolver" in self.given:
            content = _resolver_text(self.given["resolver"])
            self.wanted["files"] = {**self.wanted.get("files", {}), RESOLVER_FILE: content}

    def encloses(self, key: str) -> bool:
        """Links, routes and rules are in a namespace, and go with it."""
        return key.endswith(f"@{self.name}")

    @property
    def _source(self) -> str:
        """Path of the namespace that is to get the name; empty: a new one is to be made."""
        if self.options.get("pid") is not None:
            return netns.reference_path(str(self.options["pid"]))
        return str(self.options.get("path") or "")

    def _source_namespace(self) -> str | None:
        try:
            fd = open_namespace(self._source)
        except OSError:
            return None
        try:
            return _shown(identity(fd))
        finally:
            os.close(fd)

    # --- observe ---------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Read the name, the namespace behind it, and its files."""
        if not os.path.lexists(os.path.join(netns.DIRECTORY, self.name)):
            return Observation(None)
        namespace = netns.named(self.name)
        if namespace is None:
            return Observation({"mounted": False}, bool(last) or self.interrupted, last, _Handle(None))
        here = {"namespace": list(namespace)}
        state, marked = self._read(Namespace.of(os.path.join(netns.DIRECTORY, self.name)))
        state.update(mounted=True, namespace=_shown(namespace))
        return Observation(state, marked or last == here or self.interrupted, here, _Handle(namespace))

    def _read(self, namespace: Namespace) -> tuple[State, bool]:
        loopback = get_link(namespace.socket, "lo")
        if loopback is None:
            raise KernelError(f"read loopback of {self.target}", OSError(errno.ENODEV, "there is no link lo"))
        state = {"loopback": loopback.up, "files": self._read_files(), "sysctls": self._read_sysctls(namespace)}
        return state, is_ours(loopback.group)

    def _read_sysctls(self, namespace: Namespace) -> State:
        names = {**self.wanted.get("sysctls", {}), **self.applied.get("sysctls", {})}
        if not names:
            return {}
        with inside(namespace.fd):
            found = {name: sysctl.read_parameter(name) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    def _read_files(self) -> State:
        """Only files: of a directory, which ip-netns(8) mounts, too, no option can say what is in it."""
        names = (name for name in files.list_directory(self._file("")) if os.path.isfile(self._file(name)))
        found = {name: files.read_text(self._file(name)) for name in names}
        return {name: content for name, content in found.items() if content is not None}

    def _file(self, name: str) -> str:
        return os.path.join(FILES_DIRECTORY, self.name, name)

    # --- for other objects -------------------------------------------------------

    def makes(self) -> t.Iterator[Thing]:
        """The namespace by its name and by its path, its loopback, and its parameters."""
        if self.absent:
            return
        for name in (self.name, os.path.join(netns.DIRECTORY, self.name)):
            yield Thing(NETNS, name)
            yield Thing(LINK, "lo", name)
            if self.wanted.get("loopback"):
                yield Thing(LINK_UP, "lo", name)
            for parameter, value in self.wanted.get("sysctls", {}).items():
                yield Thing(SYSCTL, f"{parameter.replace('/', '.')}={value}", name)

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """A source that is no namespace, processes that a removal would strand, unknown parameters."""
        if self.absent:
            yield from self._stranded()
        elif self._source and self.wanted["namespace"] is None:
            option = "pid" if self.options.get("pid") is not None else "path"
            yield Missing(f"{option}: there is no network namespace at {self._source}")
        else:
            yield from self._unknown_sysctls()

    def _unknown_sysctls(self) -> t.Iterator[Exception]:
        """Parameters that the namespace does not have, or a new one would not; those of a link come with the link."""
        for name in self._absent_sysctls():
            if _link_of(name):
                thing = Thing(LINK, _link_of(name), self.name)
                yield Missing(
                    f"sysctls[{name}]: there is no such parameter in the namespace; is its link there?", thing
                )
            else:
                yield OptionError(f"sysctls[{name}]", "a network namespace of this kernel has no such parameter")

    def _absent_sysctls(self) -> list[str]:
        names = self.wanted.get("sysctls", {})
        if not names:
            return []
        source = self._source or (self.name if netns.named(self.name) else "")
        fd = netns.open_reference(source) if source else None
        try:
            with inside_new() if fd is None else inside(fd):
                return [name for name in names if not os.path.exists(sysctl.parameter_path(name))]
        finally:
            if fd is not None:
                os.close(fd)

    def _stranded(self) -> t.Iterator[Exception]:
        holders = self._staying_holders() if self.options.get("in_use") == "fail" else []
        if holders:
            listed = ", ".join(str(holder) for holder in holders)
            yield Taken(
                "in_use",
                f"network namespace {self.name} is held by {len(holders)} processes: {listed}; stop them, "
                "or set in_use to leave (only the name goes) or kill (they are killed)",
                *(Thing(PROCESS, str(holder.pid)) for holder in holders),
            )

    def _staying_holders(self) -> list[t.Any]:
        """Without those that let go in a moment, as other runs do that only look."""
        end = time.monotonic() + _MOMENT
        found = self._holders(once.ask("who holds namespaces", _census))
        while found and time.monotonic() < end:
            time.sleep(0.02)
            found = self._holders(_census())
        return found

    def _holders(self, census: Census) -> list[t.Any]:
        namespace = self.observed.handle.namespace
        marked = self.applied.get("namespace") is None  # one that was only given a name goes on without it
        return netns.holders(namespace, census) if namespace and marked and not self._source else []

    # --- change ----------------------------------------------------------------

    def requested(self) -> list[Change]:
        """What was asked for; that there is a namespace behind the name goes without saying."""
        return [change for change in super().requested() if change.path != ("mounted",)]

    def create(self) -> list[Step]:
        """Make or attach the namespace, then what belongs into it; what belongs to links when they are there."""
        requested = self.requested()
        own = [change for change in requested if not _is_of_link(change)]
        return [self.step(CREATE, own, self._create), *self.change(list(filter(_is_of_link, requested)))]

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """Parameters of links come late: another object of the run may be what makes the link."""
        return [step._replace(late=any(map(_is_of_link, step.changes))) for step in super().change(changes)]

    def _create(self) -> None:
        if self._source:
            self._do("attach the name", netns.attach, self.name, self._source)
        else:
            self._do("create", netns.create, self.name, self._prepare)
        done = ("namespace",) if self._source else ("loopback",)
        for change in self.requested():
            if change.path[0] not in done and not _is_of_link(change):
                self.write(change)

    def _prepare(self) -> None:
        """Mark the new namespace by the group of its loopback, before anybody can see it."""
        sock = Socket()
        try:
            set_link(sock, 1, Settings(group=GROUP, up=self.wanted.get("loopback", False)))
        finally:
            sock.close()

    def recreate(self, changes: t.Sequence[Change]) -> list[Step]:
        """Put another namespace behind the name: its mount is lost, or it is to be attached to another one."""
        return [self.step(SET, changes, self._replace)]

    def _replace(self) -> None:
        self._do("take the name away", netns.remove, self.name)
        self._create()

    def delete(self) -> list[Step]:
        """Take the name and our files away."""
        return [Step(DELETE, self.target, (), self._delete)]

    def _delete(self) -> None:
        if self.options.get("in_use") == "kill":
            for holder in self._holders(_census()):
                _kill(holder.pid)
        self._do("remove", netns.remove, self.name)
        self._remove_files(self.applied.get("files", {}))

    def _remove_files(self, names: t.Iterable[str]) -> None:
        for name in names:
            files.remove(self._file(name))
        files.remove_empty(self._file(""), FILES_DIRECTORY)

    def footprint(self) -> State:
        """Files that are not there yet, and those that go with the namespace."""
        new = [name for name in self.wanted.get("files", {}) if not os.path.exists(self._file(name))]
        return {"files": [*new, *(self.applied.get("files", {}) if self.absent else ())]}

    def tidy(self, footprint: State) -> None:
        """Drafts of its files, and of a namespace that is not there the files, too."""
        files.sweep(self._file(""))
        self._remove_files(footprint.get("files", ()) if self.name not in netns.names() else ())

    def mark(self, ours: bool) -> None:
        """By the group of the loopback; of a namespace that only gets a name here, the name alone is ours."""
        if not self._source:
            self._set_loopback(Settings(group=GROUP if ours else 0))

    def write(self, change: Change) -> None:
        """Make one change inside the namespace or to its files."""
        option, after = change.path[0], change.after
        if option == "loopback":
            self._set_loopback(Settings(up=after))
        elif option == "sysctls":
            self._write_sysctl(change.path[1], after)
        elif option == "files":
            self._write_file(change.path[1], after)

    def _set_loopback(self, settings: Settings) -> None:
        fd = netns.open_reference(self.name)
        try:
            sock = Socket(fd)
            self._do("set loopback", set_link, sock, 1, settings)
            sock.close()
        finally:
            os.close(fd)

    def _write_sysctl(self, name: str, value: str) -> None:
        fd = netns.open_reference(self.name)
        try:
            with inside(fd):
                before = sysctl.read_parameter(name)
                sysctl.write_parameter(name, value)
        finally:
            os.close(fd)
        if before is not None:
            self.noticed.setdefault(f"sysctls[{name}]", before)

    def _write_file(self, name: str, content: str | None) -> None:
        if content is None:
            self._remove_files((name,))
            return
        os.makedirs(self._file(""), mode=0o755, exist_ok=True)
        files.write_whole(self._file(name), content, 0o644)

    def _do(self, what: str, function: t.Callable[..., t.Any], *arguments: t.Any) -> None:
        try:
            function(*arguments)
        except OSError as error:
            raise KernelError(f"{what} of {self.target}", error) from error


def _is_of_link(change: Change) -> bool:
    return change.path[0] == "sysctls" and len(change.path) > 1 and bool(_link_of(change.path[1]))


def _link_of(parameter: str) -> str:
    """The link that a kernel parameter belongs to, empty for one of the whole namespace."""
    *_rest, folder, link, _name = ("", "", *sysctl.parameter_path(parameter).split("/"))
    return link if folder in _OF_LINKS and link not in ("all", "default") else ""


def _census() -> Census:
    return Census(holders=True)


def _shown(namespace: Identity) -> str:
    return f"net:[{namespace.inode}]"


def _kill(pid: int) -> None:
    """Kill a process by a handle on it, so that its successor under the same pid is safe; wait for its end."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def _resolver_text(state: t.Mapping[str, t.Any]) -> str:
    """Options as resolv.conf(5)."""
    lines = [f"nameserver {address}" for address in state.get("nameservers", ())]
    lines += [f"{word} {' '.join(state[word])}" for word in ("search", "options") if state.get(word)]
    return "".join(f"{line}\n" for line in lines)
