# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``process`` of the runtime-spec, made ready for a process that may only make system calls."""

from __future__ import annotations

import os
import typing as t

from .._kernel import capability
from .._model.errors import NsfleetError
from .init import Setup
from .spec import CAPABILITY_SETS

_DOMAINS: t.Final = {"LINUX": 0x0000, "LINUX32": 0x0008}
_APPARMOR_ENABLED = "/sys/module/apparmor/parameters/enabled"
_SELINUX = "/sys/fs/selinux"


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
    _prepare_label(setup, process)


def _prepare_label(setup: Setup, process: t.Mapping[str, t.Any]) -> None:
    """The label that a security module gives to the next program; one module at most is asked.

    :raises NsfleetError: the kernel does not have the module: a container is not started without what protects it.
    """
    profile, label = process.get("apparmorProfile"), process.get("selinuxLabel")
    if profile and profile != "unconfined":
        if not os.path.exists(_APPARMOR_ENABLED):
            raise NsfleetError(f"process.apparmorProfile: {profile}: AppArmor is not enabled on this host")
        setup.label = f"exec {profile}".encode()
        own = os.path.exists("/proc/self/attr/apparmor/exec")
        setup.label_file = ("attr", "apparmor", "exec") if own else ("attr", "exec")
    if label:
        if not _has_selinux():
            raise NsfleetError(f"process.selinuxLabel: {label}: SELinux is not enabled on this host")
        setup.label, setup.label_file = label.encode(), ("attr", "exec")


def mount_label(linux: t.Mapping[str, t.Any]) -> str:
    """The SELinux label of file systems that are made for a container.

    :returns: empty without SELinux: nobody asks for labels there, so that one is missing opens nothing.
    """
    return (linux.get("mountLabel") or "") if _has_selinux() else ""


def _has_selinux() -> bool:
    return os.path.isdir(os.path.join(_SELINUX, "class"))
