# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of WireGuard: our computation of public ones by the witness of the library that the controller has."""

from __future__ import annotations

import base64

from ansible_collections.nsfleet.linux.plugins.module_utils._model import keys
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

KEYS = st.binary(min_size=32, max_size=32).filter(any).map(lambda raw: base64.b64encode(raw).decode())


@given(KEYS)
def test_a_public_key(private: str) -> None:
    known = X25519PrivateKey.from_private_bytes(base64.b64decode(private)).public_key().public_bytes_raw()
    assert base64.b64decode(keys.public_key(private)) == known
    assert keys.fingerprint(private) == keys.fingerprint(keys.key(f" {private} "))
    assert private not in keys.fingerprint(private)
