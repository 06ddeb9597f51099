# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this kernel can do, tried where nobody sees it: in a network namespace that goes with the attempt."""

from __future__ import annotations

import typing as t

from .._kernel.namespace import inside_new
from . import qdisc
from .kinds import create_link
from .link import Settings, create_bridge, create_veth, get_link
from .message import Socket


class BridgeAbilities(t.NamedTuple):
    """Names of the attributes that this kernel's bridges and their ports have."""

    bridge: frozenset[str]
    port: frozenset[str]


def bridge_abilities() -> BridgeAbilities:
    """What bridges of this kernel have.

    The kernel ignores attributes that it was built without or is too old for, so that creating a bridge with them
    proves nothing; what it shows of one does.

    :raises NetlinkError: it has no bridges, or no veth pairs to be their ports.
    """
    with inside_new():
        sock = Socket()
        try:
            create_bridge(sock, Settings(name="bridge", bridge={}))
            bridge = get_link(sock, "bridge")
            if bridge is None:
                return BridgeAbilities(frozenset(), frozenset())
            create_veth(sock, Settings(name="port", master=bridge.index), Settings(name="end"))
            port = get_link(sock, "port")
        finally:
            sock.close()
    return BridgeAbilities(frozenset(bridge.bridge()), frozenset(port.bridge_port() if port else ()))


def _trial(attempt: t.Callable[[Socket], None]) -> str:
    """Why the kernel refuses something, in its own words; empty if it does it."""
    with inside_new():
        sock = Socket()
        try:
            attempt(sock)
        except OSError as error:
            return error.strerror or str(error)
        finally:
            sock.close()
    return ""


#: Interface index of the loopback of every network namespace.
_LOOPBACK = 1


def _redirect(sock: Socket) -> None:
    create_link(sock, Settings(name="ifb"), "ifb", {})
    waiting = get_link(sock, "ifb")
    qdisc.redirect(sock, _LOOPBACK, waiting.index if waiting else 0)
    qdisc.put_tbf(sock, _LOOPBACK, qdisc.Tbf(125_000, 16384, 32768))


_SHAPES: t.Final[t.Mapping[str, t.Callable[[Socket], None]]] = {
    "egress": lambda sock: qdisc.put_tbf(sock, _LOOPBACK, qdisc.Tbf(125_000, 16384, 32768)),
    "ingress": _redirect,
    "netem": lambda sock: qdisc.put_netem(sock, _LOOPBACK, qdisc.Netem(delay=1000)),
}


def refusal_of_shaping(shape: str) -> str:
    """Why this kernel cannot shape a link so, in its own words; empty if it can.

    :param shape: ``egress``, ``ingress`` or ``netem``.
    """
    return _trial(_SHAPES[shape])


def refusal_of_kind(kind: str, values: t.Mapping[str, t.Any]) -> str:
    """Why this kernel cannot make a link of a kind, in its own words; empty if it can.

    :param kind: as the kernel calls it.
    :param values: of the kind's attributes, as far as they name no other link.
    """
    return _trial(lambda sock: create_link(sock, Settings(name="trial"), kind, values))
