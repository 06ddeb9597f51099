# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and peers of a WireGuard link.

A secret key is never in a state, and so in no plan, record or journal: in its place there is the public key that
belongs to it, or, of a key that both sides have, a fingerprint. The secrets themselves are kept beside, for as long as
the run lasts: those that the task gave, and those that the kernel had, for going back.
"""

from __future__ import annotations

import typing as t

from .._model import keys
from .._model.errors import KernelError, NsfleetError
from .._model.field import State
from .._model.resource import Change
from .._netlink.wireguard import Device, Peer, Wireguard
from .link_kinds import WIREGUARD, Part

if t.TYPE_CHECKING:
    from .interface import Interface

#: Public key, or fingerprint, to the secret key.
Secrets = dict[str, str]


class Keys(Part):
    """Keys and peers."""

    options = tuple(field.name for field in WIREGUARD.fields)

    def __init__(self) -> None:
        self._secrets: Secrets = {"": ""}

    def complete(self, own: State) -> None:
        """Put in place of secrets what stands for them."""
        self._hide(own, "private_key", "public_key", keys.public_key)
        for peer in own.get("peers", {}).values():
            self._hide(peer, "preshared_key", "preshared", keys.fingerprint)

    def _hide(self, options: State, option: str, stand_in: str, name: t.Callable[[str], str]) -> None:
        secret = options.pop(option, None)
        if secret:
            options[stand_in] = name(secret)
            self._secrets[options[stand_in]] = secret

    def read(self, live: Interface, own: State, applied: State, wanted: State) -> None:
        """Keys and peers. A peer that went elsewhere since it was told where it is, is where it is to be."""
        device = _within(live, lambda wireguard: wireguard.read(live.link.index))
        self._secrets[device.public_key or ""] = device.private_key or ""
        own.update(public_key=device.public_key, listen_port=device.listen_port, fwmark=device.fwmark)
        own["peers"] = {peer.public_key: self._peer(peer) for peer in device.peers}
        for key, peer in own["peers"].items():
            told, now = (each.get("peers", {}).get(key, {}).get("endpoint") for each in (applied, wanted))
            if told and told == now and peer["endpoint"]:
                peer["endpoint"] = told

    def _peer(self, peer: Peer) -> State:
        shared = keys.fingerprint(peer.preshared_key) if peer.preshared_key else ""
        self._secrets[shared] = peer.preshared_key or ""
        return {
            "preshared": shared, "endpoint": peer.endpoint, "allowed_ips": sorted(peer.allowed_ips or ()),
            "persistent_keepalive": peer.persistent_keepalive,
        }  # fmt: skip

    def furnish(self, live: Interface, own: State, before: State) -> None:
        """Give a new link its keys and peers."""
        peers = tuple(self._request(key, peer) for key, peer in own.get("peers", {}).items())
        device = Device(self._secret(own.get("public_key", "")), None, own.get("listen_port"), own.get("fwmark"), peers)
        _within(live, lambda wireguard: wireguard.write(live.link.index, device))

    def write(self, live: Interface, change: Change, before: State) -> None:
        """Change one key, one number, one peer, or one thing of a peer."""
        option, *rest = change.path[1:]
        gone: tuple[str, ...] = ()
        if option == "peers":
            key = rest[0]
            peer = {rest[1]: change.after} if len(rest) > 1 else change.after or {}
            gone = () if len(rest) > 1 or change.after is not None else (key,)
            device = Device(peers=(self._request(key, peer),))
        elif option == "public_key":
            device = Device(private_key=self._secret(change.after))
        else:
            device = Device(**{option: change.after})
        _within(live, lambda wireguard: wireguard.write(live.link.index, device, gone=gone))

    def _request(self, key: str, options: State) -> Peer:
        known = dict(options)
        shared = self._secret(known.pop("preshared")) if known.get("preshared") is not None else None
        allowed = known.pop("allowed_ips", None)
        return Peer(key, shared, allowed_ips=None if allowed is None else tuple(allowed), **known)

    def _secret(self, stand_in: str) -> str:
        try:
            return self._secrets[stand_in]
        except KeyError:
            raise NsfleetError(
                f"the secret key of {stand_in} is written down nowhere; run the task again, which gives it"
            ) from None


def _within(live: Interface, do: t.Callable[[Wireguard], t.Any]) -> t.Any:
    try:
        wireguard = Wireguard(live.namespace.fd)
        try:
            return do(wireguard)
        finally:
            wireguard.close()
    except OSError as error:
        raise KernelError(f"ask WireGuard of {live.link.name}", error) from error


def lean(options: State) -> State:
    """The options of a task without secrets, for a journal."""
    peers = options.get("peers")
    without = [{**peer, "preshared_key": None} for peer in peers] if peers else peers
    return {**options, "private_key": None, "peers": without}
