# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that run in a tree, such as the installation of packages: each in a container of its own, whose root it is.

So nothing of the host is reachable but its network, where that is asked for; and when the command ends, or is killed,
all that it started ends with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import typing as t

from .._image import inside
from .._kernel import files
from .._model.errors import NsfleetError
from .._model.field import State

if t.TYPE_CHECKING:
    from .._runtime.spec import Spec

#: How names of the containers begin; a digest of the tree's path follows.
_NAME: t.Final = "rootfs-"
#: Where their directories are, which are gone after a restart of the host.
_DIRECTORY: t.Final = "/run/nsfleet/commands"
#: Who answers for names of hosts, with the network of this one.
_RESOLVER: t.Final = "/etc/resolv.conf"
#: Bytes that are kept of each output, and how much of it an error says.
_KEPT: t.Final = 1 << 20
_SAID: t.Final = 4000


class Commands:
    """Option ``commands``.

    :param wanted: all canonical options.
    """

    option = "commands"

    def __init__(self, wanted: State) -> None:
        self._mine: State = wanted.get("commands", {})
        for each in self._mine.values():
            each.setdefault("done", True)

    def observe(self, tree: int, names: t.Iterable[str]) -> State:
        """Which of some commands are done."""
        return {name: {"done": _is_there(tree, self._mine[name]["creates"])} for name in names if name in self._mine}

    def pending(self, tree: int) -> bool:
        """Whether there are any that are not done."""
        return any(not each["done"] for each in self.observe(tree, self._mine).values())

    def write(self, tree: int, name: str, goal: State | None) -> None:
        """Run a command. What one did, nobody can undo.

        :raises NsfleetError: it could not be run, it failed, or what it creates is not there.
        """
        if goal is None or not goal["done"] or name not in self._mine:
            return
        given = self._mine[name]
        run(tree, f"commands[{name}]", given)
        if not _is_there(tree, given["creates"]):
            raise NsfleetError(f"commands[{name}]: it ended well, but there is no {given['creates']}")


def _is_there(tree: int, path: str) -> bool:
    try:
        with inside.found(tree, path) as fd:
            return fd is not None
    except OSError:
        return False


class _Place(t.NamedTuple):
    """Where such a container is on disk."""

    name: str
    directory: str
    stage: str
    spec: Spec


def run(tree: int, option: str, given: State) -> None:
    """Run one command to its end.

    :param tree: descriptor of the tree's top.
    :param option: what an error is to name.
    :param given: canonical options of the command.
    :raises NsfleetError: it could not be run, or failed; the message has the end of its output.
    """
    from .._runtime import oneshot
    from .._runtime.exchange import Exchange

    path = os.readlink(f"/proc/self/fd/{tree}")
    spec = _spec(path, given)
    with _directory(path) as directory, _resolver(tree, spec), contextlib.closing(Exchange(None, _KEPT)) as exchange:
        place = _Place(os.path.basename(directory), directory, os.path.join(directory, "rootfs"), spec)
        try:
            code, late = oneshot.run_container(place, exchange, given.get("timeout"))
        except (NsfleetError, OSError) as error:
            raise NsfleetError(f"{option}: {error}") from error
    if code or late:
        words = f"did not end within {given['timeout']:g} s" if late else f"ended with exit code {code}"
        output = bytes(exchange.stdout.kept + exchange.stderr.kept).decode(errors="backslashreplace").strip()
        raise NsfleetError(f"{option}: {given['argv'][0]} {words}: {output[-_SAID:] or 'it said nothing'}")


def tidy(path: str) -> None:
    """Kill and remove whatever is left of a command.

    :param path: of the tree.
    """
    from .._runtime import archive, groups

    groups.remove({"linux": {"cgroupsPath": _group(path)}})
    files.remove_tree(os.path.join(_DIRECTORY, _name(path)))
    files.remove_empty(_DIRECTORY, os.path.dirname(_DIRECTORY))
    archive.remove_unused()


def _name(path: str) -> str:
    return _NAME + hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _group(path: str) -> str:
    return f"containers/{_name(path)}"


def _spec(path: str, given: State) -> Spec:
    """The description of the container."""
    from .container import Container

    network = "host" if given["network"] == "host" else "private"
    options = {
        "name": _name(path), "rootfs": path, "command": given["argv"], "env": given.get("env"),
        "namespaces": {"net": network}, "detach": False,
    }  # fmt: skip
    return Container(options).compose()


@contextlib.contextmanager
def _directory(path: str) -> t.Iterator[str]:
    """A directory of the container, with the place in which its root is put together."""
    directory = os.path.join(_DIRECTORY, _name(path))
    os.makedirs(os.path.join(directory, "rootfs"), mode=0o700, exist_ok=True)
    try:
        yield directory
    finally:
        tidy(path)


@contextlib.contextmanager
def _resolver(tree: int, spec: Spec) -> t.Iterator[None]:
    """With the network of the host, who answers there for names; what is only there to be mounted on goes again."""
    shares = all(each["type"] != "network" for each in spec["linux"]["namespaces"])
    if not shares or not os.path.isfile(_RESOLVER):
        yield
        return
    options = ["bind", "ro", "nosuid", "nodev", "noexec"]
    spec["mounts"].append({"destination": _RESOLVER, "type": "bind", "source": _RESOLVER, "options": options})
    there = _is_there(tree, _RESOLVER)
    try:
        yield
    finally:
        if not there:
            inside.remove(tree, _RESOLVER)
