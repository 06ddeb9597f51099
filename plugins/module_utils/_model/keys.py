# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of WireGuard: which public one belongs to a private one (RFC 7748, X25519), and what stands for a secret one."""

from __future__ import annotations

import base64
import binascii
import hashlib
import typing as t

_PRIME: t.Final = 2**255 - 19
_A24: t.Final = 121665
_BASE: t.Final = 9


def key(value: str) -> str:
    """A key of 32 bytes in base 64, as wg(8) writes it.

    :raises ValueError: it is not one; the message does not repeat it.
    """
    try:
        raw = base64.b64decode(value.strip(), validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 32:
        raise ValueError("expected a key of 32 bytes in base 64, as `wg genkey` writes it")
    return base64.b64encode(raw).decode()


def public_key(private: str) -> str:
    """The public key that belongs to a private one; both in base 64."""
    scalar = bytearray(base64.b64decode(private))
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    product = _multiply(int.from_bytes(scalar, "little"), _BASE)
    return base64.b64encode(product.to_bytes(32, "little")).decode()


def fingerprint(secret: str) -> str:
    """What tells a secret key of full entropy from others, and says nothing else of it."""
    return "sha256:" + hashlib.sha256(b"nsfleet.linux" + base64.b64decode(secret)).hexdigest()[:32]


def _multiply(scalar: int, point: int) -> int:
    """The Montgomery ladder, by the names of RFC 7748, section 5."""
    x_2, z_2, x_3, z_3, swap = 1, 0, point, 1, 0
    for place in reversed(range(255)):
        bit = scalar >> place & 1
        if swap ^ bit:
            x_2, x_3, z_2, z_3 = x_3, x_2, z_3, z_2
        swap = bit
        a, b = x_2 + z_2, x_2 - z_2
        aa, bb = a * a % _PRIME, b * b % _PRIME
        e = aa - bb
        da, cb = (x_3 - z_3) * a % _PRIME, (x_3 + z_3) * b % _PRIME
        x_3, z_3 = (da + cb) ** 2 % _PRIME, point * (da - cb) ** 2 % _PRIME
        x_2, z_2 = aa * bb % _PRIME, e * (aa + _A24 * e) % _PRIME
    if swap:
        x_2, z_2 = x_3, z_3
    return x_2 * pow(z_2, _PRIME - 2, _PRIME) % _PRIME
