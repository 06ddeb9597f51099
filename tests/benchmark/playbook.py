# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks of rounds, and how long each of their tasks takes."""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

from support import site

HERE = os.path.dirname(os.path.abspath(__file__))


class Round(dict[str, float]):
    """Seconds of the tasks of one round, by their names."""

    def total(self, prefix: str) -> float:
        """Seconds of all tasks whose names begin so, together."""
        return sum(seconds for name, seconds in self.items() if name.startswith(prefix))


def ways_to_send() -> t.Iterator[str]:
    """The ways in which Ansible sends a module, in words; each is in force until the next one is asked for.

    With pipelining, Python reads the archive from its standard input, byte by byte: its size counts.
    """
    for pipelining, words in (("false", "Ansible's default"), ("true", "with pipelining")):
        os.environ["ANSIBLE_PIPELINING"] = pipelining
        yield words
    del os.environ["ANSIBLE_PIPELINING"]


def measure(
    playbook: str, first: str, rounds: int, *, collections: t.Iterable[str] = (), **variables: t.Any
) -> list[Round]:
    """Run a playbook of rounds.

    :param first: name of the task with which a round begins.
    :param collections: directories with further collections.
    :param variables: of the playbook, beside ``rounds``.
    :raises AssertionError: a task failed, or one that is to change nothing changed something.
    """
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as durations:
        os.environ.update(
            NSFLEET_DURATIONS=durations.name,
            ANSIBLE_CALLBACK_PLUGINS=os.path.join(HERE, "callback_plugins"),
            ANSIBLE_CALLBACKS_ENABLED="durations",
        )
        site.play(os.path.join(HERE, playbook), {"rounds": rounds, **variables}, collections=collections)
        lines = [json.loads(line) for line in durations]
    found: list[Round] = []
    for line in lines:
        if line["task"] == first:
            found.append(Round())
        if found:
            found[-1][line["task"]] = line["seconds"]
    return found[-rounds:]
