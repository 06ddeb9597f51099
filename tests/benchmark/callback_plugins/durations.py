# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long each task took: a line of JSON for each, to the file that ``NSFLEET_DURATIONS`` names."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: durations
type: aggregate
short_description: Writes how long each task took
description: Writes a line of JSON for each task to the file that E(NSFLEET_DURATIONS) names.
"""


class CallbackModule(CallbackBase):
    """Counts from the start of a task on a host to its result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "durations"

    def __init__(self) -> None:
        super().__init__()
        self._started: dict[str, float] = {}

    def v2_runner_on_start(self, host: t.Any, task: t.Any) -> None:
        """A task begins."""
        del host
        self._started[task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """A task ended well."""
        seconds = time.monotonic() - self._started[result._task._uuid]
        changed = bool(result._result.get("changed"))
        line = {"task": result._task.get_name(), "seconds": seconds, "changed": changed}
        with open(os.environ["NSFLEET_DURATIONS"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
