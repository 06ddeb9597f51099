# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cases of links of every kind share."""

from __future__ import annotations

import typing as t

from support import world
from support.laws import Case

#: The group by which links are ours, as ip(8) shows it.
GROUP: t.Final = str(0x6E73666C)
#: What ip(8) needs to make a link that looks like ours.
OURS: t.Final = f"group {GROUP} alias nsfleet.linux up"


def index(name: str, netns: str = "") -> int:
    """Interface index, which a link keeps for as long as it is there."""
    return int(world.link(name, netns)["ifindex"])


def cases(name: str, netns: str = "", prefix: str = "") -> t.Iterator[Case]:
    """Cases of the options that links of every kind have.

    :param netns: name of the namespace of the link.
    :param prefix: of the options' paths, ``peer.``.
    """
    ip = f"ip -n {netns}" if netns else "ip"

    def case(option: str, value: t.Any, damage: str, shows: t.Callable[[], t.Any], shown: t.Any, back: t.Any) -> Case:
        options = {option: value}
        command = damage if damage.startswith("ip ") else f"{ip} link set {name} {damage}"
        return Case(prefix + option, {"peer": options} if prefix else options, shows, shown, command, reverts_to=back)

    def word(option: str) -> t.Callable[[], t.Any]:
        return lambda: world.link(name, netns).get(option)

    address = "02:00:00:00:00:0a"
    yield case("up", False, "up", lambda: "UP" in world.link(name, netns)["flags"], False, True)
    yield case("mac", "02-00-00-00-00-0A", "address 02:00:00:00:00:0b", word("address"), address, None)
    yield case("mtu", 9000, "mtu 1400", word("mtu"), 9000, 1500)
    yield case("alias", "to the shöp", "alias hand", word("ifalias"), "to the shöp", "nsfleet.linux")
    yield case("txqlen", 500, "txqueuelen 100", word("txqlen"), 500, 1000)
    yield case("addrgenmode", "none", "addrgenmode random", word("inet6_addr_gen_mode"), "none", "eui64")
    yield case(
        "addresses", ["fd00:2:0::a/64", "10.2.0.10/24"],
        f"{ip} addr del 10.2.0.10/24 dev {name} && {ip} addr add 10.9.0.1/24 dev {name}",
        lambda: world.addresses(name, netns), ["10.2.0.10/24", "fd00:2::a/64"], [],
    )  # fmt: skip
