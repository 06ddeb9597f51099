# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forwarding database of a VXLAN: static entries, one by one."""

from __future__ import annotations

import typing as t

from .._model.errors import KernelError
from .._model.field import State
from .._model.resource import Change
from .._netlink import fdb
from .link_kinds import VXLAN, Part

if t.TYPE_CHECKING:
    from .interface import Interface


class Entries(Part):
    """The entries, of which those for all addresses are an option of their own."""

    options = ("flood", "fdb")

    def complete(self, own: State) -> None:
        """An entry has the number and the port of its link where it names none."""
        for entry in own.get("fdb", {}).values():
            entry.setdefault("vni", own.get("vni"))
            entry.setdefault("port", own.get("port"))

    def read(self, live: Interface, own: State, applied: State, wanted: State) -> None:
        """Entries of which nobody named any are read, too: another link in place of this one is to have them."""
        entries = fdb.list_entries(live.namespace.socket, live.link.index)
        flooded = [each.remote for each in entries if each.mac == fdb.FLOOD and each.remote != own["remote"]]
        own["flood"] = VXLAN["flood"].canonical(flooded)
        own["fdb"] = {
            each.mac: {"remote": each.remote, "vni": each.vni or own["vni"], "port": each.port or own["port"]}
            for each in entries
            if each.mac != fdb.FLOOD
        }

    def furnish(self, live: Interface, own: State, before: State) -> None:
        """Give a new link its entries."""
        _exchange(live, _flooding(before["flood"]), _flooding(own.get("flood") or ()))
        _exchange(live, _entries(before["fdb"]), _entries(own.get("fdb") or {}))

    def write(self, live: Interface, change: Change, before: State) -> None:
        """Change one entry, or all to which is flooded."""
        option, *rest = change.path[1:]
        if option == "flood":
            _exchange(live, _flooding(change.before or ()), _flooding(change.after or ()))
        elif len(rest) == 1:
            old, new = ({rest[0]: each} if each else {} for each in (change.before, change.after))
            _exchange(live, _entries(old), _entries(new))
        else:
            entry = before["fdb"][rest[0]]
            entry[rest[1]] = change.after
            _do(live, fdb.replace_entry, fdb.Entry(rest[0], **entry))


def _flooding(remotes: t.Iterable[str]) -> set[fdb.Entry]:
    return {fdb.Entry(fdb.FLOOD, remote) for remote in remotes}


def _entries(state: State) -> set[fdb.Entry]:
    return {fdb.Entry(mac, **options) for mac, options in state.items()}


def _exchange(live: Interface, old: set[fdb.Entry], new: set[fdb.Entry]) -> None:
    for entry in sorted(old - new):
        _do(live, fdb.remove_entry, entry)
    for entry in sorted(new - old):
        _do(live, fdb.add_entry, entry)


def _do(live: Interface, action: t.Callable[..., None], entry: fdb.Entry) -> None:
    try:
        action(live.namespace.socket, live.link.index, entry)
    except OSError as error:
        raise KernelError(f"set where {live.link.name} sends {entry.mac} to: {entry.remote}", error) from error
