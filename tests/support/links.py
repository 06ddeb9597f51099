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
#: What the kernel of these tests may lack.
NETEM: t.Final = "netem"
#: What ip(8) needs to make a link that looks like ours.
OURS: t.Final = f"group {GROUP} alias nsfleet.linux up"


def index(name: str, netns: str = "") -> int:
    """Interface index, which a link keeps for as long as it is there."""
    return int(world.link(name, netns)["ifindex"])


Make = t.Callable[[str, t.Any, str, t.Callable[[], t.Any], t.Any, t.Any], Case]


def cases(name: str, netns: str = "", prefix: str = "") -> t.Iterator[Case]:
    """Cases of the options that links of every kind have.

    :param netns: name of the namespace of the link.
    :param prefix: of the options' paths, ``peer.``.
    """

    def case(option: str, value: t.Any, damage: str, shows: t.Callable[[], t.Any], shown: t.Any, back: t.Any) -> Case:
        options = {option: value}
        by_itself = damage.startswith(("ip ", "tc ", "sysctl "))
        command = damage if by_itself else f"{_ip(netns)} link set {name} {damage}"
        needs = NETEM if option == "netem" else ""
        return Case(prefix + option, {"peer": options} if prefix else options, shows, shown, command, needs, back)

    yield from _attributes(case, name, netns)
    yield from _shapes(case, name, netns)


def _ip(netns: str, program: str = "ip") -> str:
    return f"{program} -n {netns}" if netns else program


def _attributes(case: Make, name: str, netns: str) -> t.Iterator[Case]:
    def word(option: str) -> t.Callable[[], t.Any]:
        return lambda: world.link(name, netns).get(option)

    address, ip = "02:00:00:00:00:0a", _ip(netns)
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
    yield case(
        "sysctls", {"ipv4.rp_filter": 2, "ipv6.neigh.gc_stale_time": 77},
        f"{inside(netns)}sysctl -qw "
        f"net/ipv4/conf/{name}/rp_filter=1 net/ipv6/neigh/{name}/gc_stale_time=9",
        lambda: parameters(name, netns, "ipv4/conf/{}/rp_filter", "ipv6/neigh/{}/gc_stale_time"), ["2", "77"],
        ["0", "60"],
    )  # fmt: skip


def _shapes(case: Make, name: str, netns: str) -> t.Iterator[Case]:
    tc = _ip(netns, "tc")
    yield case(
        "egress", {"rate": "100mbit", "burst": "64K", "latency": "30ms"},
        f"{tc} qdisc change dev {name} root handle 6e74: tbf rate 50mbit burst 70k latency 20ms",
        lambda: bucket(name, netns), [12_500_000, 64, 30_000], [],
    )  # fmt: skip
    yield case(
        "ingress", {"rate": "8mbit", "burst": "32K", "latency": "40ms"}, f"{tc} qdisc delete dev {name} clsact",
        lambda: bucket(taken_in_by(name, netns), netns), [1_000_000, 32, 40_000], [],
    )  # fmt: skip
    worse = {"delay": "100ms", "jitter": "10ms", "loss": 1, "duplicate": 0.5, "corrupt": 0.1, "reorder": 25}
    yield case(
        "netem", {**worse, "rate": "1mbit", "limit": 500},
        f"{tc} qdisc change dev {name} root handle 6e73: netem delay 7ms loss 3%",
        lambda: emulator(name, netns), [0.1, 0.01, 0.01, 0.005, 0.001, 0.25, 125_000, 500], [],
    )  # fmt: skip


# --- what the witnesses say ------------------------------------------------------------


def inside(netns: str) -> str:
    """What runs a command in a namespace."""
    return f"ip netns exec {netns} " if netns else ""


def parameters(name: str, netns: str, *paths: str) -> list[str]:
    """Kernel parameters of a link."""
    files = " ".join(f"/proc/sys/net/{path.format(name)}" for path in paths)
    return world.sh(f"{inside(netns)}cat {files}").split()


def qdiscs(name: str, netns: str = "") -> list[dict[str, t.Any]]:
    """Queueing disciplines of a link as tc(8) shows them, without the kernel's own."""
    where = f"-n {netns} " if netns else ""
    found = world.ask(f"tc {where}-j qdisc show dev {name}") if name else []
    return [each for each in found if each["handle"] != "0:"]


def bucket(name: str, netns: str = "") -> list[int]:
    """Rate in bytes per second, burst in KiB and latency in microseconds of a ``tbf``; empty without one."""
    for each in qdiscs(name, netns):
        if each["kind"] == "tbf":
            options = each["options"]
            latency = round(options["lat"], -1) if "lat" in options else None
            return [options["rate"], round(options["burst"] / 1024), latency]
    return []


def taken_in_by(name: str, netns: str = "") -> str:
    """The link to which goes what comes in by another one, empty for none."""
    where = f"-n {netns} " if netns else ""
    if not any(each["kind"] == "clsact" for each in qdiscs(name, netns)):
        return ""
    for each in world.ask(f"tc {where}-j filter show dev {name} ingress"):
        for action in each.get("options", {}).get("actions", ()):
            assert action["mirred_action"] == "redirect"
            return str(action["to_dev"])
    return ""


def emulator(name: str, netns: str = "") -> list[t.Any]:
    """Options of a ``netem``, times in seconds, shares of one, rate in bytes per second; empty without one."""
    for each in qdiscs(name, netns):
        if each["kind"] == "netem":
            options = each["options"]
            shares = [
                round(options[what][key], 6)
                for what, key in (
                    ("loss-random", "loss"), ("duplicate", "duplicate"), ("corrupt", "corrupt"), ("reorder", "reorder"),
                )
            ]  # fmt: skip
            delay = options["delay"]
            return [delay["delay"], delay["jitter"], *shares, options["rate"]["rate"], options["limit"]]
    return []


def offload(name: str, link: str, netns: str = "") -> bool:
    """An offload as ``ethtool`` shows it."""
    lines = world.sh(f"{inside(netns)}ethtool --show-offload {link}").splitlines()
    return next(line.split()[1] == "on" for line in lines if line.strip().startswith(f"{name}:"))
