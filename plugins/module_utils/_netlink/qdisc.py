# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queueing disciplines of links in plain records (tc(8), tc-tbf(8), tc-netem(8), ``linux/pkt_sched.h``)."""

from __future__ import annotations

import errno
import socket
import struct
import typing as t

from .message import (
    NLM_F_CREATE,
    Attributes,
    Socket,
    attribute,
    attributes,
    is_gone,
    nested,
    number,
    string,
    text,
    unpack,
)

RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER = 44, 45, 46
NLM_F_REPLACE: t.Final = 0x100
TCA_KIND, TCA_OPTIONS = 1, 2
ROOT, CLSACT, CLSACT_INGRESS = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFFFFF2
CLSACT_HANDLE: t.Final = 0xFFFF0000

#: Handles by which ours are known: "ns" and its neighbour. An automatic one never is: those begin at 0x8000.
NETEM_HANDLE, TBF_HANDLE = 0x6E730000, 0x6E740000
#: Priority by which our filter is known.
PREFERENCE: t.Final = 0x6E73

_TCMSG = struct.Struct("=BxxxiIII")  # family, interface index, handle, parent, info
_TBF = struct.Struct("=BBHhHI12xIII")  # ratespec: cell log, link layer, overhead, align, mpu, rate; limit, buffer, mtu
_TBF_PARMS, _TBF_RATE64, _TBF_BURST = 1, 4, 6
_NETEM = struct.Struct("=IIIIII")  # latency, limit, loss, gap, duplicate, jitter
_NETEM_REORDER, _NETEM_CORRUPT, _NETEM_RATE, _NETEM_RATE64, _NETEM_LATENCY64, _NETEM_JITTER64 = 3, 4, 6, 8, 10, 11
_CORRELATED = struct.Struct("=II")  # probability, correlation
_NETEM_RATES = struct.Struct("=IiIi")  # rate, packet overhead, cell size, cell overhead
_U32, _U64, _S64 = struct.Struct("=I"), struct.Struct("=Q"), struct.Struct("=q")
_MOST_RATE = 0xFFFFFFFF
_TICK = 64  #: nanoseconds of ``PSCHED_SHIFT``

_U32_SEL, _U32_ACT = 5, 7
#: One key that matches everything, and is the last word (``struct tc_u32_sel``, ``TC_U32_TERMINAL``).
_EVERYTHING = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)
_MIRRED = struct.Struct("=IIiiiiI")  # index, capabilities, action, references, bindings, what to do, interface index
_MIRRED_PARMS, _STOLEN, _REDIRECT = 2, 4, 1
_ALL_PROTOCOLS = socket.htons(3)  #: ETH_P_ALL


class Qdisc(t.NamedTuple):
    """A queueing discipline of a link."""

    kind: str
    handle: int
    parent: int
    options: bytes

    @property
    def ours(self) -> bool:
        """Whether we made it."""
        return self.handle in (NETEM_HANDLE, TBF_HANDLE)

    @property
    def by_default(self) -> bool:
        """Whether the kernel made it, since every link has one."""
        return self.handle == 0


class Tbf(t.NamedTuple):
    """A token bucket: what it lets through, and what it keeps waiting."""

    rate: int  #: bytes per second
    burst: int  #: bytes
    limit: int  #: bytes that wait at most; what comes then is dropped


class Netem(t.NamedTuple):
    """A worse network. Times are in microseconds, shares in percent."""

    limit: int = 1000  #: packets that wait at most
    delay: int = 0
    jitter: int = 0
    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0
    rate: int = 0  #: bytes per second, 0 for any


def list_qdiscs(sock: Socket, index: int) -> list[Qdisc]:
    """All of one link.

    :raises NetlinkError: the kernel refused.
    """
    found = []
    for body in sock.dump(RTM_GETQDISC, _TCMSG.pack(0, index, 0, 0, 0)):
        _family, bearer, handle, parent, _info = unpack(_TCMSG, body)
        if bearer == index:
            parts = attributes(body, _TCMSG.size)
            found.append(Qdisc(string(parts[TCA_KIND]), handle, parent, parts.get(TCA_OPTIONS, b"")))
    return found


def remove_qdisc(sock: Socket, index: int, parent: int = ROOT) -> None:
    """Remove one with all below it; the kernel gives the link its own again.

    :raises NetlinkError: the kernel refused.
    """
    sock.request(RTM_DELQDISC, _TCMSG.pack(0, index, 0, parent, 0))


def _put(sock: Socket, index: int, kind: str, handle: int, parent: int, options: bytes) -> None:
    body = _TCMSG.pack(0, index, handle, parent, 0) + attribute(TCA_KIND, text(kind))
    sock.request(RTM_NEWQDISC, body + options, NLM_F_CREATE | NLM_F_REPLACE)


# --- token bucket ----------------------------------------------------------------------


def read_tbf(options: bytes) -> Tbf:
    """What a ``tbf`` is set to; the burst is as exact as the kernel's clock, :func:`coarse`.

    :raises Garbled: it is too short.
    """
    parts = attributes(options)
    *_spec, rate, limit, buffer, _mtu = unpack(_TBF, parts[_TBF_PARMS])
    rate = number(parts[_TBF_RATE64]) if _TBF_RATE64 in parts else rate
    return Tbf(rate, round(buffer * _TICK * rate / 1e9), limit)


def coarse(rate: int) -> float:
    """How far a burst that the kernel shows may be from what was asked for, bytes.

    :param rate: bytes per second.
    """
    return 1 + 2 * _TICK * rate / 1e9


def put_tbf(sock: Socket, index: int, tbf: Tbf, parent: int = ROOT) -> None:
    """Give a link our ``tbf``, or change it in place.

    :param parent: class that it is to be in.
    :raises NetlinkError: the kernel refused.
    """
    parts = [attribute(_TBF_PARMS, _TBF.pack(0, 1, 0, 0, 0, min(tbf.rate, _MOST_RATE), tbf.limit, 0, 0))]
    parts.append(attribute(_TBF_BURST, _U32.pack(tbf.burst)))
    if tbf.rate > _MOST_RATE:
        parts.append(attribute(_TBF_RATE64, _U64.pack(tbf.rate)))
    _put(sock, index, "tbf", TBF_HANDLE, parent, nested(TCA_OPTIONS, *parts))


# --- network emulation -----------------------------------------------------------------


def _share(probability: int) -> float:
    return round(probability / 0xFFFFFFFF * 100, 4)


def _probability(share: float) -> int:
    return round(share / 100 * 0xFFFFFFFF)


def read_netem(options: bytes) -> Netem:
    """What a ``netem`` is set to.

    :raises Garbled: it is too short.
    """
    _latency, limit, loss, _gap, duplicate, _jitter = unpack(_NETEM, options)
    parts = attributes(options, _NETEM.size)
    return Netem(
        limit=limit,
        delay=_microseconds(parts, _NETEM_LATENCY64),
        jitter=_microseconds(parts, _NETEM_JITTER64),
        loss=_share(loss),
        duplicate=_share(duplicate),
        corrupt=_share(unpack(_CORRELATED, parts[_NETEM_CORRUPT])[0]) if _NETEM_CORRUPT in parts else 0.0,
        reorder=_share(unpack(_CORRELATED, parts[_NETEM_REORDER])[0]) if _NETEM_REORDER in parts else 0.0,
        rate=_netem_rate(parts),
    )


def _microseconds(parts: Attributes, kind: int) -> int:
    return round(unpack(_S64, parts[kind])[0] / 1000) if kind in parts else 0


def _netem_rate(parts: Attributes) -> int:
    if _NETEM_RATE64 in parts:
        return number(parts[_NETEM_RATE64])
    return t.cast(int, unpack(_NETEM_RATES, parts[_NETEM_RATE])[0]) if _NETEM_RATE in parts else 0


def put_netem(sock: Socket, index: int, netem: Netem) -> None:
    """Give a link our ``netem``, or change it in place.

    :raises NetlinkError: the kernel refused.
    """
    gap = 1 if netem.reorder else 0  # every packet may be the one that is early
    fixed = _NETEM.pack(0, netem.limit, _probability(netem.loss), gap, _probability(netem.duplicate), 0)
    parts = [
        attribute(_NETEM_CORRUPT, _CORRELATED.pack(_probability(netem.corrupt), 0)),
        attribute(_NETEM_REORDER, _CORRELATED.pack(_probability(netem.reorder), 0)),
        attribute(_NETEM_LATENCY64, _S64.pack(netem.delay * 1000)),
        attribute(_NETEM_JITTER64, _S64.pack(netem.jitter * 1000)),
        attribute(_NETEM_RATE, _NETEM_RATES.pack(min(netem.rate, _MOST_RATE), 0, 0, 0)),
    ]
    if netem.rate > _MOST_RATE:
        parts.append(attribute(_NETEM_RATE64, _U64.pack(netem.rate)))
    _put(sock, index, "netem", NETEM_HANDLE, ROOT, attribute(TCA_OPTIONS, fixed + b"".join(parts)))


# --- what comes in ---------------------------------------------------------------------


def redirected_to(sock: Socket, index: int) -> int:
    """Index of the link to which our filter sends all that comes in, 0 if there is no such filter.

    :raises NetlinkError: the kernel refused.
    """
    for body in _filters(sock, index):
        parts = attributes(body, _TCMSG.size)
        if unpack(_TCMSG, body)[4] >> 16 != PREFERENCE or string(parts[TCA_KIND]) != "u32":
            continue
        actions = attributes(attributes(parts.get(TCA_OPTIONS, b"")).get(_U32_ACT, b""))
        for action in actions.values():
            options = attributes(attributes(action).get(TCA_OPTIONS, b""))
            if _MIRRED_PARMS in options:
                return t.cast(int, unpack(_MIRRED, options[_MIRRED_PARMS])[6])
    return 0


def _filters(sock: Socket, index: int) -> list[bytes]:
    return sock.dump(RTM_GETTFILTER, _TCMSG.pack(0, index, 0, CLSACT_INGRESS, 0))


def redirect(sock: Socket, index: int, target: int) -> None:
    """Send all that comes in by a link out of another one, which may keep it waiting, and gives it back.

    :param target: index of the other one, an ``ifb``.
    :raises NetlinkError: the kernel refused.
    """
    if not any(each.parent == CLSACT for each in list_qdiscs(sock, index)):
        _put(sock, index, "clsact", CLSACT_HANDLE, CLSACT, b"")
    _remove_filter(sock, index)
    parameters = attribute(_MIRRED_PARMS, _MIRRED.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, target))
    action = nested(1, attribute(TCA_KIND, text("mirred")), nested(TCA_OPTIONS, parameters))
    options = nested(TCA_OPTIONS, attribute(_U32_SEL, _EVERYTHING), nested(_U32_ACT, action))
    body = _filter(index) + attribute(TCA_KIND, text("u32")) + options
    sock.request(RTM_NEWTFILTER, body, NLM_F_CREATE | NLM_F_REPLACE)


def redirect_no_more(sock: Socket, index: int) -> None:
    """Remove our filter, and what it hangs on, if nobody else has anything there.

    :raises NetlinkError: the kernel refused.
    """
    _remove_filter(sock, index)
    if any(each.kind == "clsact" for each in list_qdiscs(sock, index)) and not _filters(sock, index):
        remove_qdisc(sock, index, CLSACT)


def _filter(index: int) -> bytes:
    return _TCMSG.pack(0, index, 0, CLSACT_INGRESS, PREFERENCE << 16 | _ALL_PROTOCOLS)


def _remove_filter(sock: Socket, index: int) -> None:
    try:
        sock.request(RTM_DELTFILTER, _filter(index))
    except OSError as error:
        if not is_gone(error) and error.errno != errno.EINVAL:  # there is not even what it would hang on
            raise
