# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``process`` of the runtime-spec, made ready for a process that may only make system calls."""

from __future__ import annotations

import typing as t

from .._kernel import capability
from .init import Setup
from .spec import CAPABILITY_SETS

_DOMAINS: t.Final = {"LINUX": 0x0000, "LINUX32": 0x0008}


def prepare(setup: Setup, process: t.Mapping[str, t.Any], linux: t.Mapping[str, t.Any]) -> None:
    """Put into a setup what the payload is, and as whom it runs.

    :param process: ``process`` of the runtime-spec.
    :param linux: ``linux`` of the runtime-spec, for what is there and holds for every process.
    :raises NsfleetError: the host cannot do what is asked.
    """
    user = process.get("user") or {}
    setup.uid, setup.gid = user.get("uid", 0), user.get("gid", 0)
    setup.groups = user.get("additionalGids") or ()
    setup.umask = user.get("umask", 0o022)
    setup.cwd = process["cwd"]
    setup.arguments = tuple(process["args"])
    setup.environment = dict(word.partition("=")[::2] for word in process.get("env") or ())
    setup.no_new_privileges = bool(process.get("noNewPrivileges"))
    wanted = process.get("capabilities") or {}
    setup.capabilities = {kind: capability.mask(wanted.get(kind) or ()) for kind in CAPABILITY_SETS}
    domain = (linux.get("personality") or {}).get("domain")
    setup.personality = _DOMAINS[domain] if domain else -1
    if process.get("apparmorProfile") or process.get("selinuxLabel"):
        from . import labels

        labels.prepare(setup, process)
