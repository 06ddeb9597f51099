# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Points in the life of a container of the module at which hooks run, beside those of every start (:mod:`.launch`).

``poststop`` hooks run once for every start, whoever notices the end: the monitor if the container ends by itself,
whoever stops or removes it, or, where the monitor was killed, the next task. So what is to be run is a note that is
left before the start, and whoever takes it away runs it. It has the hooks as they were then, whatever the description
says by now.
"""

from __future__ import annotations

import json
import os
import signal
import typing as t

from .._model.errors import NsfleetError
from . import groups, hooks, state
from .spec import told

if t.TYPE_CHECKING:
    from .oneshot import Container


def after_start(bundle: Container, pid: int) -> None:
    """Run ``poststart`` hooks; one that fails is the end of the container (runtime-spec, runtime.md, "Lifecycle").

    :param pid: of its first process, a child of the caller.
    :raises NsfleetError: one failed, and the container has ended.
    """
    if not hooks.of(bundle.spec, "poststart"):
        return
    try:
        hooks.run_point(bundle.spec, "poststart", told(bundle.spec, bundle.name, bundle.directory, "running").of(pid))
    except NsfleetError:
        os.kill(pid, signal.SIGKILL)  # nobody else has its pid before it was waited for
        os.waitpid(pid, 0)
        groups.kill(bundle.spec)
        raise


def owe_last(bundle: Container) -> None:
    """Leave the note of ``poststop`` hooks, if there are any."""
    found = hooks.of(bundle.spec, "poststop")
    if found:
        last = told(bundle.spec, bundle.name, bundle.directory, "stopped").of(0).decode()
        state.owe_hooks(bundle.name, json.dumps({"hooks": list(found), "state": last, "folder": bundle.directory}))


def run_last(name: str) -> None:
    """Take the note away and run the hooks, unless somebody else has taken it.

    :param name: of the container.
    """
    note = state.take_hooks(name)
    if note is not None:
        run_taken(note)


def run_taken(note: str) -> None:
    """Run the hooks of a note that was taken; what fails is written to the monitor's log: the container is gone."""
    owed = json.loads(note)
    failures = hooks.run_last(owed["hooks"], owed["state"].encode())
    if failures and os.path.isdir(owed["folder"]):
        with open(os.path.join(owed["folder"], "monitor.log"), "a", encoding="utf-8") as file:
            file.write("".join(f"{words}\n" for words in failures))
