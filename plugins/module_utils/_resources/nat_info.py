# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the ports of a host: what is published, and what listens there."""

from __future__ import annotations

import typing as t

from .._kernel.listeners import holders, listeners
from .._model.errors import InvalidOptions, OptionError
from .._model.field import Field, State, Table
from .._model.names import label, netns_reference
from .._netlink.namespace import Namespace
from .._nft import command
from .._nft import table as nft
from .nat import TABLE as NAT
from .nat import shown_publications
from .nat_table import LAYOUT, of_owner, owners, state_of

TABLE = Table((Field("name", canonical=label), Field("netns", default="", canonical=netns_reference)))


def gather(options: t.Mapping[str, t.Any]) -> State:
    """All sets of networks and published ports, or the one that the options ask for, and all listeners.

    :param options: canonical options of :data:`TABLE`.
    :raises InvalidOptions: there is no such network namespace.
    """
    try:
        namespace = Namespace(options["netns"])
    except OSError as error:
        problem = f"there is no network namespace {options['netns']!r}"
        raise InvalidOptions([OptionError("netns", problem)]) from error
    table = nft.observe(namespace.fd, LAYOUT) if command.command() else None
    elements = table.elements if table else {}
    wanted, open_in = options.get("name"), holders()
    return {
        "nats": [
            _described(name, state_of(of_owner(elements, name))) for name in owners(elements) if wanted in (None, name)
        ],
        "listeners": [
            {
                "protocol": each.protocol,
                "address": each.address,
                "port": each.port,
                "process": open_in[each.inode]._asdict() if each.inode in open_in else None,
            }
            for each in sorted(listeners(namespace.fd))
        ],
    }


def _described(name: str, state: State) -> State:
    """One set, with the options of the module ``nat``."""
    return {"name": name, **NAT.shown(state), "publications": shown_publications(state)}
