# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What module link refuses before it looks at a host, and what it never writes down."""

from __future__ import annotations

import base64
import hashlib
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import InvalidOptions
from ansible_collections.nsfleet.linux.plugins.module_utils._model.quantities import bit_rate, time_span
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.link import Link

Options = dict[str, t.Any]


def key(words: str) -> str:
    """A key that is always the same for the same words."""
    return base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()


VXLAN: Options = {"name": "x0", "kind": "vxlan", "vxlan": {"vni": 5, "port": 4789}}
MACVLAN: Options = {"name": "x0", "kind": "macvlan", "parent": "up0"}
TAP: Options = {"name": "x0", "kind": "tap"}
GRE6: Options = {"name": "x0", "kind": "ip6gre"}
WIREGUARD: Options = {"name": "x0", "kind": "wireguard"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "x0"}, ("kind: expected one of vxlan, vlan",)),
        ({"name": "x0", "kind": "vxlan"}, ("vxlan: expected with kind vxlan",)),
        ({"name": "x0", "kind": "macvlan"}, ("parent: expected with kind macvlan",)),
        ({**MACVLAN, "vxlan": {"vni": 5}}, ("vxlan: expected only with a link of that kind, not with kind macvlan",)),
        ({**MACVLAN, "parent": "x0"}, ("parent: expected another link",)),
        ({**TAP, "parent": "up0"}, ("parent: expected none with kind tap",)),
        ({**TAP, "parent_netns": "left"}, ("parent_netns: expected none with kind tap",)),
        ({**TAP, "kind": "tun", "mac": "02:00:00:00:00:01"}, ("mac: expected none with kind tun",)),
        ({**TAP, "kind": "tun", "addrgenmode": "eui64"}, ("addrgenmode: expected none or random with kind tun",)),
        ({**TAP, "tun": {"owner": "nobody-of-that-name"}}, ("tun.owner: expected a user of the host or a number",)),
        ({**VXLAN, "vxlan": {"vni": 2**24}}, ("vxlan.vni: expected 1 to 16777215",)),
        ({**VXLAN, "vxlan": {"vni": 5, "local": "10.0.0.1", "remote": "fd00::1"}}, ("vxlan.local", "same family")),
        ({**VXLAN, "vxlan": {"vni": 5, "remote": "239.0.0.1"}}, ("parent: expected the link by which the group",)),
        ({**VXLAN, "vxlan": {"vni": 5, "remote": "10.0.0.1", "flood": ["10.0.0.1"]}}, ("vxlan.flood: expected",)),
        ({**VXLAN, "vxlan": {"vni": 5, "port_range": "9-8"}}, ("vxlan.port_range: expected ports",)),
        ({**VXLAN, "vxlan": {"vni": 5, "flood": ["10.0.0.2", "x"]}}, ("vxlan.flood[1]: expected an IP address",)),
        ({**VXLAN, "vxlan": {"vni": 5, "fdb": [{"mac": "x", "remote": "10.0.0.1"}]}}, ("vxlan.fdb[0].mac: expected",)),
        ({**VXLAN, "egress": {"rate": "10mbps"}}, ("egress.rate: expected bits per second such as 100mbit",)),
        ({**VXLAN, "egress": {"rate": "1mbit", "burst": "1K"}}, ("egress.burst: expected a whole frame, 1518 bytes",)),
        ({**VXLAN, "ingress": {"rate": "1mbit", "latency": "soon"}}, ("ingress.latency: expected a time",)),
        ({**VXLAN, "netem": {"loss": 101}}, ("netem.loss: expected 0 to 100 percent",)),
        ({**VXLAN, "netem": {"jitter": "1ms"}}, ("netem.jitter: expected at most the delay",)),
        ({**VXLAN, "netem": {"reorder": 5}}, ("netem.reorder: expected a delay",)),
        ({**VXLAN, "sysctls": {"rp_filter": 1}}, ("sysctls: expected a parameter of a link such as ipv4.rp_filter",)),
        ({**WIREGUARD, "wireguard": {"private_key": "short"}}, ("wireguard.private_key: expected a key of 32 bytes",)),
        ({**WIREGUARD, "wireguard": {"private_key": key("a"), "peers": [{"public_key": key("b"), "endpoint": "x:1"}]}},
         ("wireguard.peers[0].endpoint: expected",)),
        (
            {**WIREGUARD, "wireguard": {"private_key": key("a"), "peers": [
                {"public_key": key("b"), "allowed_ips": ["10.0.0.1"]},
                {"public_key": key("c"), "allowed_ips": ["10.0.0.1/32"]},
            ]}},
            (f"wireguard.peers[{key('c')}].allowed_ips: expected others than 10.0.0.1/32",),
        ),
        ({**GRE6, "gre": {"remote": "10.0.0.1"}}, ("gre: expected addresses of IPv6 with kind ip6gre",)),
        ({**GRE6, "gre": {"remote": "fd00::1", "tos": 4}}, ("gre.tos: expected only with kinds gre and gretap",)),
        ({**GRE6, "kind": "gre", "gre": {"remote": "10.0.0.1", "pmtudisc": False, "ttl": 5}}, ("gre.ttl: expected",)),
        ({"name": "x0", "kind": "physical", "physical": {"name": "up0", "netns": ""}}, ("netns: expected another",)),
    ],
)  # fmt: skip
def test_options_that_are_refused(options: Options, words: tuple[str, ...]) -> None:
    with pytest.raises(InvalidOptions) as caught:
        Link(options)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("words", "rate"),
    [("100mbit", 100_000_000), ("1.5gbit", 1_500_000_000), ("64Kibit", 65536), ("9600", 9600), ("1 Tbit", 10**12),
     ("1001", 1000), (8, 8)],
)  # fmt: skip
def test_rates(words: str | int, rate: int) -> None:
    assert bit_rate(words) == bit_rate(rate) == rate


@pytest.mark.parametrize("words", ["", "fast", "10mbps", "-1", "7", "1e9", "100mb", "9999tbit"])
def test_what_is_no_rate(words: str) -> None:
    with pytest.raises(ValueError, match="expected bits per second such as 100mbit"):
        bit_rate(words)


@pytest.mark.parametrize(("words", "span"), [("50ms", 50_000), ("1.5s", 1_500_000), ("20us", 20), ("0", 0), (7, 7)])
def test_times(words: str | int, span: int) -> None:
    assert time_span(words) == time_span(span) == span


@pytest.mark.parametrize("words", ["", "soon", "-1ms", "1h", "3600s"])
def test_what_is_no_time(words: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as 50ms"):
        time_span(words)


def test_secrets_are_in_nothing_that_is_kept() -> None:
    peers = [{"public_key": key("peer"), "preshared_key": key("both")}]
    link = Link({**WIREGUARD, "wireguard": {"private_key": key("ours"), "peers": peers}})
    for kept in (link.wanted, link.given, link.remembered(), link.requested()):
        assert key("ours") not in str(kept)
        assert key("both") not in str(kept)
        assert key("peer") in str(kept)
