# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of our modules beside tasks that a user would write instead, as Ansible runs both."""

from __future__ import annotations

import pathlib
import tempfile
import typing as t

from benchmark import goals
from benchmark.playbook import measure, ways_to_send
from benchmark.table import head, row
from support import images, rooted

MODULES = (
    "netns", "bridge", "veth", "route", "nat", "cgroup", "container", "rootfs", "image", "image_info", "namespace_info",
    "nat_info", "cgroup_info", "container_info", "container_exec",
)  # fmt: skip


FILES: t.Final = 10_000  #: in the tree of the module rootfs


def nothing_to_do(rounds: int) -> t.Iterator[str]:
    """Each module on an object that is as it is to be, and ping."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        layout = images.layout(pathlib.Path(directory, "layout"), {"1": rooted.image()})
        tree = _tree(pathlib.Path(directory, "tree"))
        for words in ways_to_send():
            yield head(f"A task that changes nothing, and ping, {words}", "s")
            found = measure("nothing_to_do.yml", "Ping", rounds, layout=str(layout), tree=str(tree))
            pings = [each["Ping"] for each in found]
            for module in MODULES:
                yield row(module, [each[module.capitalize()] for each in found], "ping", pings, goals.NOTHING_TO_DO)


def _tree(path: pathlib.Path) -> pathlib.Path:
    """A directory with many small files."""
    for number in range(FILES):
        file = path / str(number % 100) / str(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(number))
    return path


def wiring(rounds: int) -> t.Iterator[str]:
    """A namespace with an address on a bridge, and the commands for it."""
    yield head("One namespace with loopback, veth, bridge port and address, and the same by ip(8) tasks", "s")
    found = measure("wiring.yml", "Modules: namespace", rounds)
    commands = [each.total("Commands: ") for each in found]
    yield row("made by modules", [each.total("Modules: ") for each in found], "commands", commands)
    yield row("run again by modules", [each.total("Again: ") for each in found], "commands", commands)
