# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that this host makes: of a directory, or of what a container has written over its own image.

The same files and the same configuration are the same image, so that its digest can be told before it is made.
"""

from __future__ import annotations

import os
import typing as t

from .._image.manifest import Config, Platform
from .._image.source import Layer, assembled
from .._image.store import Store, predicted_layer
from .._model.errors import KernelError, Missing, OptionError
from .._model.field import Field, State, Table
from .._model.names import absolute_path, container_name
from .._model.quantities import is_digits
from .._runtime import usernamespace
from .._runtime.bundle import Bundle
from .._runtime.spec import annotation, layer
from .container_fields import FIELDS, MAPPINGS

if t.TYPE_CHECKING:
    from .._image.reference import Reference
    from .._image.walk import Owner
    from .._runtime.spec import Spec

#: How what options of a container say is written, of those that an image says, too.
_WRITTEN: t.Final = {field.name: field.canonical for field in FIELDS}


def _ports(values: t.Sequence[str]) -> list[str]:
    return sorted({_port(str(value)) for value in values})


def _port(value: str) -> str:
    number, slash, protocol = value.partition("/")
    right = is_digits(number) and int(number) in range(1, 65536)
    if not right or (slash and protocol not in ("tcp", "udp", "sctp")):
        raise ValueError(f"expected a port such as 80, 80/tcp or 53/udp, got {value!r}")
    return f"{int(number)}/{protocol or 'tcp'}"


def _paths(values: t.Sequence[str]) -> list[str]:
    return sorted({absolute_path(str(value)) for value in values})


def _labels(values: t.Mapping[str, t.Any]) -> State:
    return {str(name): str(value) for name, value in values.items()}


_CONFIG: t.Final = Table(
    (
        Field("entrypoint", "list", elements="str", canonical=_WRITTEN["command"]),
        Field("cmd", "list", elements="str", canonical=_WRITTEN["command"]),
        Field("env", "dict", canonical=_WRITTEN["env"]),
        Field("user", canonical=_WRITTEN["user"]),
        Field("working_dir", canonical=absolute_path),
        Field("exposed_ports", "list", elements="str", canonical=_ports),
        Field("stop_signal", canonical=_WRITTEN["stop_signal"]),
        Field("volumes", "list", elements="str", canonical=_paths),
        Field("labels", "dict", canonical=_labels),
    )
)
#: What an image is made of.
FIELDS_OF_MADE: t.Final = (
    Field("rootfs", "path", canonical=absolute_path, stateful=False),
    Field("container", canonical=container_name, stateful=False),
    Field("config", "dict", table=_CONFIG, stateful=False),
)


class Made:
    """An image that is made of a directory or of a container.

    :param given: options of an image in canonical form; ``rootfs`` or ``container`` is among them.
    :param store: where it is to be.
    """

    def __init__(self, given: State, store: Store) -> None:
        self._given, self._store = given, store

    def obstacles(self) -> list[Exception]:
        """Why it cannot be made now: :class:`OptionError`, or :class:`Missing` for what may come."""
        return self._of_rootfs(self._given["rootfs"]) if "rootfs" in self._given else self._of_container()

    def digest(self) -> str:
        """The digest that its manifest would have; nothing is written.

        :raises NsfleetError: it cannot be made.
        """
        return assembled(*self._parts(predicted_layer)).descriptor.digest

    def build(self, reference: Reference) -> None:
        """Make it.

        :raises NsfleetError: it cannot be made.
        """
        with self._store.using():
            self._store.build(reference, *self._parts(self._store.add_layer))

    # --- what stands in the way ----------------------------------------------------

    def _of_rootfs(self, path: str) -> list[Exception]:
        if not os.path.exists(path):
            return [Missing(f"rootfs: there is no {path}")]
        if not os.path.isdir(path):
            return [OptionError("rootfs", f"expected a directory, and {path} is none")]
        store, tree = os.path.realpath(self._store.root), os.path.realpath(path)
        if os.path.commonpath([store, tree]) == tree:
            return [OptionError("rootfs", f"expected a directory without the store {self._store.root} in it")]
        return []

    def _of_container(self) -> list[Exception]:
        """A container whose files change, or that has none of its own."""
        bundle = self._bundle
        if not bundle.exists:
            return [Missing(f"container: there is no container {bundle.name}")]
        if annotation(bundle.spec, "overlay") != "disk":
            return [OptionError("container", f"expected one with overlay: disk; {bundle.name} has no layer on disk")]
        return self._of_running(bundle)

    def _of_running(self, bundle: Bundle) -> list[Exception]:
        """A container that runs, or may be started again at any moment, and is not frozen."""
        from .._runtime import groups
        from .._runtime import state as states

        known = states.load(bundle.name)
        if (known.running or known.supervised) and not groups.of(bundle.spec).frozen_by():
            problem = f"{bundle.name} runs, and may write meanwhile; stop it (state: stopped) or freeze it first"
            return [OptionError("container", problem)]
        return []

    # --- what it is made of --------------------------------------------------------

    @property
    def _bundle(self) -> Bundle:
        return Bundle(self._given["container"])

    def _parts(self, add: t.Callable[[t.Callable[[t.BinaryIO], str]], Layer]) -> tuple[list[Layer], Config]:
        """Layers from the lowest to the highest, and how it is run.

        :param add: makes a layer of what writes an archive.
        """
        from .._image.pack import pack

        below, config, tree, owner = self._beginning()
        try:
            fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise KernelError(f"read {tree}", error) from None
        try:
            highest = add(lambda out: pack(fd, out, layer=True, owner=owner).digest)
        finally:
            os.close(fd)
        return [*below, highest], self._told(config)

    def _beginning(self) -> tuple[tuple[Layer, ...], Config, str, Owner | None]:
        """The layers below, what their image says, and the directory of the highest layer with its owners."""
        nothing = Config(Platform.here(), ())
        if "rootfs" in self._given:
            return (), nothing, self._given["rootfs"], None
        spec = self._bundle.spec
        upper = os.path.join(self._bundle.directory, layer(spec)[0])
        digest = annotation(spec, "image-digest")
        layers = self._store.layers_of(digest) if digest else ()
        stored = self._store.image(digest) if digest else None
        return layers, stored.config if stored else nothing, upper, _owner(spec)

    def _told(self, config: Config) -> Config:
        """A configuration with what the task says of it; when it was made is not part of what it is."""
        said: State = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in self._given.get("config", {}).items()
        }
        if "platform" in self._given:
            said["platform"] = Platform.parse(self._given["platform"])
        return config._replace(created="", **said)


def _owner(spec: Spec) -> Owner:
    """Owners as a container sees them, of those that its files have on the host."""
    uids, gids = (spec["linux"].get(name) or () for name in MAPPINGS.values())
    return lambda uid, gid: (_inside(uid, uids), _inside(gid, gids))


def _inside(number: int, ranges: usernamespace.Ranges) -> int:
    """What a number of the host is in a user namespace; one that is not there is nobody's but the host's."""
    try:
        return usernamespace.inside(ranges, number)
    except KeyError:
        return number
