# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules' own code, called as the modules call it, in a process that goes on.

What is not there: the interpreter's start, and AnsibleModule.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.nsfleet.linux.plugins.module_utils._plan.engine import Outcome, converge
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.bridge import Bridge
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container import Container
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.netns import Netns
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.veth import Veth
from benchmark.peers import ANSWERER, RESOURCES, VERSION, Peers
from support.bundle import Bundle

if t.TYPE_CHECKING:
    from ansible_collections.nsfleet.linux.plugins.module_utils._model.resource import Resource

#: Where the descriptions of our containers are.
CONTAINERS = pathlib.Path("/var/lib/nsfleet/containers")


class Task:
    """An object that is to have a state.

    :param kind: of the object.
    :param options: as a task gives them; Ansible's defaults are added.
    """

    def __init__(self, kind: type[Resource], **options: t.Any) -> None:
        self._kind = kind
        checked = ArgumentSpecValidator(kind.table.arguments(), **kind.table.rules).validate(options)
        assert not checked.error_messages, checked.error_messages
        self._options = checked.validated_parameters

    def __call__(self) -> Outcome:
        """Bring it to its state."""
        return converge([self._kind(self._options)], check=False)


def container(found: Peers, name: str, **options: t.Any) -> Task:
    """A container from the same root and with the same limits as those of the other runtimes."""
    programs = {"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]}
    given: dict[str, t.Any] = {
        "rootfs": str(found.bundle.root), "mounts": [programs], "memory_max": "256M", "cpu_max": "0.5", "pids_max": 100,
        "stop_signal": "SIGKILL", "command": list(ANSWERER), **options,
    }  # fmt: skip
    return Task(Container, name=name, **given)


@contextlib.contextmanager
def another(found: Peers) -> t.Iterator[None]:
    """Another container on the host, so that what all containers share is not made, and removed, with each."""
    container(found, "another", state="present")()
    try:
        yield
    finally:
        no_container("another")()


def no_container(name: str) -> Task:
    """A container that is to go."""
    return Task(Container, name=name, state="absent")


def same_bundle(found: Peers) -> Bundle:
    """A bundle for the other runtimes with the description that the module writes.

    Only the limits are in the words of the specification, and its version is one that all of them take.
    """
    container(found, "same", state="present")()
    spec = json.loads((CONTAINERS / "same/config.json").read_text())
    no_container("same")()
    spec["ociVersion"] = VERSION
    spec["linux"].update(resources=RESOURCES, cgroupsPath="bench")
    bundle = Bundle(found.place / "same")
    bundle.spec = spec
    return bundle


def wired(bridge: str, name: str, address: str) -> list[Task]:
    """A namespace with a veth to a bridge."""
    peer = {"name": "eth0", "netns": name, "addresses": [address]}
    return [Task(Netns, name=name), Task(Veth, name=link(name), master=bridge, peer=peer)]


def unwired(name: str) -> list[Task]:
    """The same, taken away."""
    return [Task(Veth, name=link(name), state="absent"), Task(Netns, name=name, state="absent")]


def link(name: str) -> str:
    """The host's end of a namespace's veth."""
    return f"ns-{name}"


def bridged(name: str, address: str) -> Task:
    """A bridge with an address."""
    return Task(Bridge, name=name, addresses=[address])


def no_bridge(name: str) -> Task:
    """A bridge that is to go."""
    return Task(Bridge, name=name, state="absent")


def first_process(outcome: Outcome) -> int:
    """Pid of the first process of a container."""
    (plan,) = outcome.plans
    return int(plan.resource.shown()["pid"])
