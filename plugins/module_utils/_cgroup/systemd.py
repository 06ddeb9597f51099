# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where systemd(1) is the init process, the tree of groups is its own, but for what it delegates.

Below a unit with ``Delegate=yes`` it leaves groups and controllers alone; anywhere else it takes controllers away from
groups that are not its own, as at a ``daemon-reload`` (https://systemd.io/CGROUP_DELEGATION). So our groups live below
a unit of ours that has no process: a service that has run to its end and remains active.

systemd removes the group of such a service at the end of its process. Setting any property makes it build the group
again, marked as delegated, and it then keeps it until the unit is stopped, whatever comes and goes below (tried with
systemd 247, 252 and 257; through daemon-reload and daemon-reexec).
"""

from __future__ import annotations

import subprocess
import typing as t

from .._model.errors import NsfleetError

if t.TYPE_CHECKING:
    from .group import Group
    from .hierarchy import Host

SLICE = "nsfleet.slice"
UNIT = "nsfleet.service"
_PROPERTIES = (
    "Description=Control groups of nsfleet.linux",
    "Type=oneshot",
    "RemainAfterExit=yes",
    "Delegate=yes",
    "OOMPolicy=continue",  # one group out of memory is not the end of all others
    "TasksMax=infinity",
)
#: What systemd calls the groups of its units; those without these endings are not its own.
UNIT_SUFFIXES = (".slice", ".service", ".scope")


def delegated(host: Host, path: str) -> bool:
    """Whether systemd says of a group that what is below it is not its business.

    :param path: from the root of the hierarchies.
    """
    place = host.common()[-1].mount_point + path
    return any(host.tree.attribute(place, name) == "1" for name in ("trusted.delegate", "user.delegate"))


def objection(group: Group) -> str:
    """Why a group is not to be touched, empty if it may be: where there is no systemd, and below our base, all may."""
    host, path = group.host, group.path
    if not host.systemd or not group.name.startswith("/"):
        return ""
    parts = path.strip("/").split("/")
    above = ["/" + "/".join(parts[: index + 1]) for index in range(len(parts) - 1)]
    if any(delegated(host, each) for each in above):
        return ""
    units = [part for part in parts if part.endswith(UNIT_SUFFIXES)]
    if units:
        return (
            f"{path} belongs to the unit {units[-1]} of systemd, which is not delegated; set Delegate=yes for the unit "
            "and name a group below it, or use a name without a leading slash"
        )
    if host.mode == "unified":
        return (
            f"{path} is in the tree of systemd, which takes controllers away from groups that are not its own; "
            "name a group below a unit with Delegate=yes, or use a name without a leading slash"
        )
    return ""


def start(host: Host) -> None:
    """Make sure that our delegated unit and its group are there.

    :raises NsfleetError: systemd refused.
    """
    if delegated(host, host.base):
        return
    # A unit without its group: somebody removed the group by hand. Nothing runs in it, so nothing is killed.
    _run("systemctl", "stop", UNIT, fine=True)
    properties = [word for each in _PROPERTIES for word in ("--property", each)]
    _run("systemd-run", "--quiet", f"--unit={UNIT}", f"--slice={SLICE}", *properties, "true")
    _run("systemctl", "set-property", "--runtime", UNIT, "TasksMax=infinity")
    if not delegated(host, host.base):
        raise NsfleetError(f"systemd started {UNIT}, but did not make its control group {host.base}")


def stop(host: Host) -> None:
    """Stop our unit and its slice, if there is no group below them any more.

    :raises NsfleetError: systemd refused.
    """
    for unit, path in ((UNIT, host.base), (SLICE, host.base.rpartition("/")[0])):
        places = [each.mount_point + path for each in host.hierarchies]
        if not host.tree.has(host.common()[-1].mount_point + path) or any(map(host.tree.children, places)):
            continue
        _run("systemctl", "stop", unit)


def _run(*command: str, fine: bool = False) -> None:
    """Run a command of systemd.

    :param fine: whether it may fail.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode and not fine:
        words = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise NsfleetError(f"{' '.join(command[:2])} {UNIT}: {words}")
