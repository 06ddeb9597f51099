# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the errors of a command go: to the standard error, and in the caller's format to the log that it reads."""

from __future__ import annotations

import json
import sys
import time

from .arguments import Values


def report(general: Values, error: Exception) -> None:
    """Tell an error.

    :param general: options ``log`` and ``log-format``.
    """
    where = getattr(error, "filename", None)
    words = f"{where}: {getattr(error, 'strerror', error)}" if where else str(error)
    sys.stderr.write(f"nsrun: {words}\n")
    if not general["log"]:
        return
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if general["log-format"] == "json":
        line = json.dumps({"level": "error", "msg": words, "time": now})
    else:
        line = f"time={json.dumps(now)} level=error msg={json.dumps(words)}"
    try:
        with open(general["log"], "a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as problem:
        sys.stderr.write(f"nsrun: --log: {problem}\n")
