# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the imports of ``nsrun`` cost, the dearest first (``python3 -X importtime``)."""

from __future__ import annotations

import os
import subprocess
import tempfile
import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import archive

_MOST = 12


def imports(rounds: int) -> t.Iterator[str]:
    """Of a command that does nothing else; once is enough."""
    del rounds
    yield "\n## What nsrun imports\n"
    with tempfile.TemporaryDirectory() as folder:
        nsrun = os.path.join(folder, "nsrun")
        archive.build(nsrun)
        command = ["/usr/bin/python3", "-IS", "-X", "importtime", nsrun, "features"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    rows = [line.split("|") for line in told.splitlines() if line.startswith("import time:") and "[us]" not in line]
    found = sorted(((int(row[0].split(":")[1]), row[2].strip()) for row in rows), reverse=True)
    yield f"{len(found)} modules, {sum(own for own, _name in found) / 1000:.1f} ms; the dearest:"
    yield "\n| module | ms |\n|---|---|"
    for own, name in found[:_MOST]:
        yield f"| `{name}` | {own / 1000:.2f} |"
