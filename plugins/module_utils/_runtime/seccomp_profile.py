# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles of system calls as people write them, and as a bundle has them.

A bundle says what holds (``linux.seccomp`` of the OCI runtime-spec). Docker's format says more: which architectures go
with a machine, and which rules hold with which capabilities, on which machine, since which kernel.
"""

from __future__ import annotations

import json
import os
import typing as t

from .._model.errors import NsfleetError

Profile = dict[str, t.Any]

#: Machine as uname(2) calls it to its name in conditions of Docker's profiles, and to its architecture.
_MACHINES: t.Final = {
    "x86_64": ("amd64", "X86_64"), "i686": ("x86", "X86"), "aarch64": ("arm64", "AARCH64"), "armv7l": ("arm", "ARM"),
    "ppc64le": ("ppc64le", "PPC64LE"), "riscv64": ("riscv64", "RISCV64"), "s390x": ("s390x", "S390X"),
    "loongarch64": ("loongarch64", "LOONGARCH64"),
}  # fmt: skip
_CONDITIONS: t.Final = {"caps": [str], "arches": [str], "minKernel": str}
#: What only rules in Docker's format have.
_IN_RULE: t.Final = {"name": str, "comment": str, "includes": _CONDITIONS, "excludes": _CONDITIONS}


class Host(t.NamedTuple):
    """What conditions are about."""

    capabilities: t.Collection[str]  #: in the bounding set of the container
    machine: str  #: as uname(2) says
    release: str  #: of the kernel, as uname(2) says

    @classmethod
    def of(cls, capabilities: t.Collection[str]) -> Host:
        """This host."""
        system = os.uname()
        return cls(capabilities, system.machine, system.release)

    def fulfils(self, conditions: Profile) -> bool:
        """Whether all conditions hold that are there."""
        name, _architecture = _MACHINES.get(self.machine, (self.machine, ""))
        arches, oldest = conditions.get("arches"), conditions.get("minKernel")
        return (
            set(conditions.get("caps") or ()) <= set(self.capabilities)
            and (not arches or name in arches)
            and (not oldest or _release(self.release) >= _release(oldest))
        )

    def excluded(self, conditions: Profile) -> bool:
        """Whether one of the conditions holds, of those that are there."""
        each = [{word: [value]} for word in ("caps", "arches") for value in conditions.get(word) or ()]
        oldest = conditions.get("minKernel")
        return any(self.fulfils(one) for one in [*each, *([{"minKernel": oldest}] if oldest else ())])


def _release(words: str) -> tuple[int, int]:
    """The first two numbers of a kernel's release.

    :raises ValueError: they are not there.
    """
    major, minor = words.split(".")[:2]
    digits = len(minor) - len(minor.lstrip("0123456789"))
    return int(major), int(minor[:digits])


def default(capabilities: t.Collection[str]) -> Profile:
    """The default profile of a container, for this host.

    :param capabilities: in the container's bounding set.
    """
    from .seccomp_default import profile

    return resolve(profile(), Host.of(capabilities))


def read(path: str, capabilities: t.Collection[str]) -> Profile:
    """A profile in a file of this host, in the format of the runtime-spec or of Docker, for this host.

    :raises FileNotFoundError: it is not there.
    :raises NsfleetError: it cannot be read, or is no profile.
    """
    from . import seccomp

    docker = {
        **seccomp.PROFILE,
        "archMap": [{"architecture": str, "subArchitectures": [str]}],
        "syscalls": [{**seccomp.RULE, **_IN_RULE}],
    }
    try:
        with open(path, encoding="utf-8") as file:
            profile = json.load(file)
        wrong = list(seccomp.shape(profile, docker, ""))
        if not wrong:
            found = resolve(profile, Host.of(capabilities))
            wrong = list(seccomp.problems(found, ""))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, NsfleetError) as error:
        wrong = [str(error)]
    if wrong:
        raise NsfleetError(f"{path} is no profile of system calls: {'; '.join(wrong)}")
    return found


def resolve(profile: Profile, host: Host) -> Profile:
    """A profile without the conditions of Docker's format, as they hold on a host.

    :raises NsfleetError: it says the same twice, or a condition cannot be understood.
    """
    found = {name: value for name, value in profile.items() if name not in ("archMap", "syscalls")}
    if profile.get("archMap"):
        if profile.get("architectures"):
            raise NsfleetError("archMap: cannot be together with architectures")
        found["architectures"] = _architectures(profile["archMap"], host)
    found["syscalls"] = [
        _plain(rule, index) for index, rule in enumerate(profile.get("syscalls") or ()) if _holds(rule, index, host)
    ]
    return found


def _architectures(together: t.Sequence[Profile], host: Host) -> list[str]:
    _name, own = _MACHINES.get(host.machine, ("", ""))
    for entry in together:
        if entry.get("architecture") == f"SCMP_ARCH_{own}":
            return [entry["architecture"], *(entry.get("subArchitectures") or ())]
    return []


def _holds(rule: Profile, index: int, host: Host) -> bool:
    try:
        return host.fulfils(rule.get("includes") or {}) and not host.excluded(rule.get("excludes") or {})
    except ValueError:
        raise NsfleetError(f"syscalls[{index}]: minKernel: expected two numbers such as 5.10") from None


def _plain(rule: Profile, index: int) -> Profile:
    if rule.get("name") and rule.get("names"):
        raise NsfleetError(f"syscalls[{index}]: name cannot be together with names")
    found = {word: value for word, value in rule.items() if word not in _IN_RULE and value is not None}
    if rule.get("name"):
        found["names"] = [rule["name"]]
    if not found.get("args"):
        found.pop("args", None)
    return found
