# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of security modules: profiles of AppArmor, contexts of SELinux (proc_pid_attr(5), apparmor(7), selinux(8)).

Few containers have any, so this is imported by those alone.
"""

from __future__ import annotations

import errno
import os
import typing as t

from .._kernel import files
from .._model.errors import NsfleetError

if t.TYPE_CHECKING:
    from .init import Setup

#: The profile of whoever is confined by none.
UNCONFINED: t.Final = "unconfined"
NO_APPARMOR: t.Final = "AppArmor is not enabled on this host"
NO_SELINUX: t.Final = "SELinux is not enabled on this host"
_APPARMOR = "/sys/module/apparmor/parameters/enabled"
#: Every profile that is loaded, with its mode, one a line.
_PROFILES = "/sys/kernel/security/apparmor/profiles"
_SELINUX = "/sys/fs/selinux"


def prepare(setup: Setup, process: t.Mapping[str, t.Any]) -> None:
    """Put the label of the payload into a setup; a kernel has one of the modules at most.

    :param process: ``process`` of the runtime-spec.
    :raises NsfleetError: the kernel has not the module, or not the profile: nothing is started without what it is to be
        confined by.
    """
    profile, label = process.get("apparmorProfile"), process.get("selinuxLabel")
    if profile and profile != UNCONFINED:
        lacking = apparmor_objection() or unknown_profile(profile)
        if lacking:
            raise NsfleetError(f"process.apparmorProfile: {profile}: {lacking}")
        own = os.path.exists("/proc/self/attr/apparmor/exec")
        setup.label, setup.label_file = f"exec {profile}".encode(), "attr/apparmor/exec" if own else "attr/exec"
    if label:
        lacking = selinux_objection()
        if lacking:
            raise NsfleetError(f"process.selinuxLabel: {label}: {lacking}")
        setup.label, setup.label_file = label.encode(), "attr/exec"


def mount_label(linux: t.Mapping[str, t.Any]) -> str:
    """The SELinux label of file systems that are made for a container.

    :returns: empty without SELinux: nobody asks for labels there, so that one is missing opens nothing.
    """
    label: str = linux.get("mountLabel") or ""
    return "" if label and selinux_objection() else label


def apparmor_objection() -> str:
    """Why nothing can be confined by a profile of AppArmor; empty if it can."""
    return "" if (files.read_text(_APPARMOR) or "").strip() == "Y" else NO_APPARMOR


def unknown_profile(profile: str) -> str:
    """What is said of a profile that is not loaded; empty if it is, or if only the kernel can tell.

    That is so of several that hold together, ``a//&b``, of those of another policy namespace, ``:a:b``, and where
    securityfs is not mounted.
    """
    loaded = files.read_text(_PROFILES)
    if loaded is None or "//&" in profile or profile.startswith(":"):
        return ""
    names = {_without_mode(line) for line in loaded.splitlines()}
    return "" if profile in names else "there is no such profile; apparmor_parser(8) loads one"


def selinux_objection() -> str:
    """Why nothing can have a label of SELinux; empty if it can."""
    return "" if os.path.isdir(os.path.join(_SELINUX, "class")) else NO_SELINUX


def profile_of(pid: int) -> str:
    """The profile of AppArmor that confines a process; empty without AppArmor.

    :raises OSError: there is no such process.
    """
    own = os.path.exists(f"/proc/{pid}/attr/apparmor")
    return _without_mode(_read(pid, "apparmor/current" if own else "current"))


def context_of(pid: int) -> str:
    """The label that a process has by SELinux; empty without SELinux.

    :raises OSError: there is no such process.
    """
    return _read(pid, "current")


def _read(pid: int, name: str) -> str:
    try:
        with open(f"/proc/{pid}/attr/{name}", encoding="utf-8", errors="surrogateescape") as file:
            return file.read().rstrip("\0\n")
    except OSError as error:
        if error.errno != errno.EINVAL:  # which is how a kernel says that it has no such module
            raise
        return ""


def _without_mode(words: str) -> str:
    """``name`` of ``name (enforce)``; what is unconfined has no mode."""
    return words.rpartition(" (")[0] if words.endswith(")") else words
