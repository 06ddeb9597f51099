# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How links are shaped (:mod:`.shaping`).

What goes out waits in a token bucket (tc-tbf(8)). What comes in has come already: it is sent through a link of our own
(``ifb``) and waits in the bucket of that one. Policing would need no such link, but drops instead of keeping, which
streams answer with a fraction of the rate, and not every kernel has it. The buckets and emulators that are ours are
known by their handles; any other than the kernel's own belongs to somebody else.
"""

from __future__ import annotations

import hashlib
import typing as t

from .._model.errors import KernelError, OptionError
from .._model.field import State
from .._netlink import qdisc
from .._netlink.ability import refusal_of_shaping
from .._netlink.kinds import create_link
from .._netlink.link import Link, Settings, delete_link, get_link, set_link
from .._netlink.qdisc import NETEM_HANDLE, ROOT, TBF_HANDLE, Netem, Qdisc, Tbf
from .interface import Interface, stable_mac
from .policy import GROUP
from .shaping import BUCKET, NAMES, NETEM

BUCKET_DEFAULTS: t.Final = {field.name: field.revert for field in BUCKET.fields}
NETEM_DEFAULTS: t.Final = {field.name: field.revert for field in NETEM.fields}


# --- observe ---------------------------------------------------------------------------


def read(live: Interface, known: t.Sequence[State]) -> State:
    """What a link is set to, of the options that any of these states name."""
    state: State = {}
    if any("egress" in each or "netem" in each for each in known):
        qdiscs = qdisc.list_qdiscs(live.namespace.socket, live.link.index)
        state["egress"] = _bucket_state(qdiscs, [each.get("egress", {}) for each in known])
        state["netem"] = _netem_state(qdiscs)
    if any("ingress" in each for each in known):
        state["ingress"] = _ingress_state(live, [each.get("ingress", {}) for each in known])
    return state


def _bucket_state(qdiscs: t.Iterable[Qdisc], known: t.Iterable[State]) -> State:
    found = next((each for each in qdiscs if each.handle == TBF_HANDLE and each.kind == "tbf"), None)
    if found is None:
        return dict(BUCKET_DEFAULTS)
    tbf = qdisc.read_tbf(found.options)
    for each in known:  # the kernel keeps times, and sizes only as far as these tell them
        if (
            each.get("rate")
            and each["rate"] == tbf.rate * 8
            and abs(each["burst"] - tbf.burst) <= qdisc.coarse(tbf.rate)
        ):
            tbf = tbf._replace(burst=each["burst"])
            if _tbf(each).limit == tbf.limit:
                return dict(each)
    return {
        "rate": tbf.rate * 8,
        "burst": tbf.burst,
        "latency": round(max(tbf.limit - tbf.burst, 0) * 1_000_000 / max(tbf.rate, 1)),
    }


def _tbf(bucket: State) -> Tbf:
    rate = bucket["rate"] // 8
    limit = min(rate * bucket["latency"] // 1_000_000 + bucket["burst"], 2**32 - 1)
    return Tbf(rate, bucket["burst"], limit)


def _netem_state(qdiscs: t.Iterable[Qdisc]) -> State:
    found = next((each for each in qdiscs if each.handle == NETEM_HANDLE and each.kind == "netem"), None)
    netem = qdisc.read_netem(found.options) if found else Netem()
    return {**netem._asdict(), "rate": netem.rate * 8}


def _ingress_state(live: Interface, known: t.Iterable[State]) -> State:
    waiting = _waiting_room(live)
    if waiting is None or not waiting.up:
        return dict(BUCKET_DEFAULTS)
    return _bucket_state(qdisc.list_qdiscs(live.namespace.socket, waiting.index), known)


def _waiting_room(live: Interface) -> Link | None:
    """Our link through which goes what comes in by another one."""
    index = qdisc.redirected_to(live.namespace.socket, live.link.index)
    found = get_link(live.namespace.socket, index=index) if index else None
    return found if found and found.group == GROUP else None


def says_something(shape: State) -> bool:
    """Whether options shape anything at all."""
    defaults = {**BUCKET_DEFAULTS, **NETEM_DEFAULTS}
    return any(value != defaults[name] for name, value in shape.items())


# --- preflight -------------------------------------------------------------------------


def obstacles(live: Interface | None, wanted: State, adopt: bool, prefix: str) -> t.Iterator[OptionError]:
    """What somebody else has set up on a link, and what this kernel lacks.

    :param live: the link, if it is there.
    :param adopt: whether it may be replaced.
    :param prefix: of the options' paths.
    """
    for name in NAMES:
        refused = refusal_of_shaping(name) if says_something(wanted.get(name, {})) else None
        if refused:
            yield OptionError(f"{prefix}{name}", f"this kernel cannot do it ({refused}); build it with {_NEEDS[name]}")
    if live is not None and not adopt:
        yield from _foreign(live, wanted, prefix)


_NEEDS = {
    "egress": "CONFIG_NET_SCH_TBF",
    "ingress": "CONFIG_NET_SCH_TBF, CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32, CONFIG_NET_ACT_MIRRED and CONFIG_IFB",
    "netem": "CONFIG_NET_SCH_NETEM",
}


def _foreign(live: Interface, wanted: State, prefix: str) -> t.Iterator[OptionError]:
    concerned = [name for name in NAMES if says_something(wanted.get(name, {}))]
    if not concerned:
        return
    for each in qdisc.list_qdiscs(live.namespace.socket, live.link.index):
        ingress = each.parent == qdisc.CLSACT
        names = [name for name in concerned if (name == "ingress") == ingress]
        if not names or (each.parent != ROOT and not ingress) or each.ours or each.by_default:
            continue
        if not (ingress and _waiting_room(live)):
            yield OptionError(
                f"{prefix}{names[0]}",
                f"{live.link.name} has a qdisc of somebody else ({each.kind} {each.handle >> 16:x}:); "
                "remove it, or set adopt to true to put ours in its place",
            )


# --- change ----------------------------------------------------------------------------


def write(live: Interface, goal: State) -> None:
    """Shape a link.

    :param goal: options that are to hold; those that are not named stay as they are.
    :raises KernelError: the kernel refused.
    """
    try:
        if "egress" in goal or "netem" in goal:
            _write_root(live, goal)
        if "ingress" in goal:
            _write_ingress(live, goal["ingress"])
    except OSError as error:
        raise KernelError(f"shape {live.link.name} to {goal}", error) from error


def _write_root(live: Interface, goal: State) -> None:
    """An emulator, a bucket, or the bucket inside the emulator, so that what is late counts, too."""
    sock, index = live.namespace.socket, live.link.index
    qdiscs = qdisc.list_qdiscs(sock, index)
    bucket = {**BUCKET_DEFAULTS, **(goal["egress"] if "egress" in goal else _bucket_state(qdiscs, ()))}
    emulator = {**NETEM_DEFAULTS, **(goal["netem"] if "netem" in goal else _netem_state(qdiscs))}
    below = NETEM_HANDLE | 1 if emulator != NETEM_DEFAULTS else ROOT
    wanted = {NETEM_HANDLE: ROOT} if below != ROOT else {}
    if bucket["rate"]:
        wanted[TBF_HANDLE] = below
    present = {each.handle: each.parent for each in qdiscs if each.ours}
    if present and present != wanted:
        qdisc.remove_qdisc(sock, index)
    if below != ROOT:
        qdisc.put_netem(sock, index, Netem(**{**emulator, "rate": emulator["rate"] // 8}))
    if bucket["rate"]:
        qdisc.put_tbf(sock, index, _tbf(bucket), below)


def _write_ingress(live: Interface, bucket: State) -> None:
    sock = live.namespace.socket
    if not bucket.get("rate"):
        forget(live)
        return
    name = waiting_room_name(live.link.name)
    waiting = get_link(sock, name)
    if waiting is None:
        create_link(sock, Settings(name=name, group=GROUP, mac=stable_mac("ingress", live.link.name)), "ifb", {})
        waiting = t.cast(Link, get_link(sock, name))
        note = f"nsfleet.linux ingress of {live.link.name}"
        set_link(sock, waiting.index, Settings(alias=note, addrgenmode="none"))
    set_link(sock, waiting.index, Settings(up=True))
    qdisc.put_tbf(sock, waiting.index, _tbf(bucket))
    qdisc.redirect(sock, live.link.index, waiting.index)


def waiting_room_name(link: str) -> str:
    """Name of the ``ifb`` of a link, which has to fit into 15 bytes."""
    return f"ifb-{hashlib.sha256(link.encode()).hexdigest()[:10]}"


def forget(live: Interface) -> None:
    """Let come in by a link what comes, and remove what is beside it for that, also what a killed run left of it.

    :raises OSError: the kernel refused.
    """
    sock = live.namespace.socket
    for waiting in (_waiting_room(live), get_link(sock, waiting_room_name(live.link.name))):
        if waiting is not None and waiting.group == GROUP and get_link(sock, index=waiting.index):
            delete_link(sock, waiting.index)
    qdisc.redirect_no_more(sock, live.link.index)
