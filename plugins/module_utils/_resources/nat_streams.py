# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Forgetting the UDP streams that a changed publication concerns."""

from __future__ import annotations

import ipaddress
import socket
import typing as t

from .._model.errors import KernelError
from .._netlink.address import list_addresses
from .._netlink.conntrack import NETLINK_NETFILTER, Flow, forget, udp_flows
from .._netlink.message import Socket
from .._netlink.namespace import Namespace
from .nat_table import Publication


def forget_streams(namespace: Namespace, publications: t.Sequence[Publication]) -> None:
    """Let the next packet of each stream to these ports be looked at anew.

    Streams through the host to the same ports of others are left alone.

    :raises KernelError: the kernel refused.
    """
    own = {each.cidr.partition("/")[0] for each in list_addresses(namespace.socket)}
    sock = Socket(namespace.fd, NETLINK_NETFILTER)
    try:
        for number, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            concerned = [each for each in publications if each.family == number]
            for flow in udp_flows(sock, family) if concerned else ():
                if any(_concerns(each, flow, own) for each in concerned):
                    forget(sock, flow)
    except OSError as error:
        raise KernelError("forget the UDP streams to changed ports", error) from error
    finally:
        sock.close()


def _concerns(publication: Publication, flow: Flow, own: t.Container[str]) -> bool:
    if not publication.ports.first <= flow.port <= publication.ports.last:
        return False
    if publication.everywhere:
        return flow.destination in own or ipaddress.ip_address(flow.destination).is_loopback
    return flow.destination == publication.address
