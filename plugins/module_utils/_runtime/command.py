# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the runtime's archive. For now it is what a monitor executes itself as."""

from __future__ import annotations

import sys
import typing as t

#: All modules that the archive holds; a test holds that nothing they import is missing.
MODULES: t.Final = (
    "_model.errors", "_model.field", "_model.quantities", "_kernel.bpf", "_kernel.capability", "_kernel.files",
    "_kernel.mount", "_kernel.mount_api", "_kernel.namespace", "_kernel.path", "_kernel.process", "_kernel.syscall",
    "_cgroup.devices", "_cgroup.group", "_cgroup.hierarchy", "_cgroup.settings", "_cgroup.systemd", "_cgroup.tree",
    "_cgroup.usage",
    "_runtime.archive", "_runtime.bundle", "_runtime.command", "_runtime.devices", "_runtime.groups", "_runtime.init",
    "_runtime.launch", "_runtime.monitor", "_runtime.mounts", "_runtime.resources", "_runtime.spec", "_runtime.state",
    "_runtime.statistics", "_runtime.stub",
    "_runtime.usernamespace", "_runtime.users",
)  # fmt: skip


def main(words: t.Sequence[str]) -> int:
    """Run one command.

    :returns: exit status.
    """
    if len(words) == 2 and words[0] == "monitor":
        from .monitor import stay

        stay(words[1])
        return 0
    sys.stderr.write("usage: nsrun monitor NAME\n")
    return 2
