# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module link_info, by ``ip -j``: what others made and what we made, told alike."""

from __future__ import annotations

import typing as t

from support import laws, world
from support.invoke import invoke


def told(netns: str = "") -> dict[str, dict[str, t.Any]]:
    """What the module says of the links of a namespace, by name."""
    links = laws.run("link_info", {"netns": netns})["links"]
    return {link["name"]: link for link in links}


def test_links_of_others_and_ours_are_told() -> None:
    world.sh("ip netns add left && ip link add br0 type bridge ageing_time 6000 && ip link set br0 up")
    world.sh("ip link add v0 mtu 1400 type veth peer name eth0 netns left && ip link set v0 alias note master br0 up")
    world.sh("ip link add p0 type veth peer name p1 && ip link add m0 link p0 netns left type macvlan mode bridge")
    world.sh("ip addr add 10.2.0.1/24 dev br0")
    x0 = {"name": "x0", "kind": "vxlan", "vxlan": {"vni": 5, "flood": ["10.0.0.2"]}, "egress": {"rate": "1mbit"}}
    laws.run("link", x0)
    before = world.snapshot()
    links, far = told(), told("left")
    assert world.difference(before, world.snapshot()) == []
    for name, link in links.items():
        shown = world.link(name)
        assert (link["mtu"], link["mac"], link["master"]) == (
            shown["mtu"], shown.get("address", ""), shown.get("master", ""),
        )  # fmt: skip
        assert (link["up"], link["carrier"]) == ("UP" in shown["flags"], "LOWER_UP" in shown["flags"])
    assert links["br0"]["addresses"][0] == "10.2.0.1/24"
    assert links["br0"]["bridge"]["ageing_time"] == 60
    assert (links["v0"]["kind"], links["v0"]["peer"], links["v0"]["alias"]) == (
        "veth", {"name": "eth0", "netns": "left"}, "note",
    )  # fmt: skip
    assert far["m0"]["macvlan"] == {"mode": "bridge"}
    assert far["m0"]["parent"]["name"] == "p0"
    assert [links[name]["ours"] for name in ("v0", "x0")] == [False, True]
    assert (links["x0"]["vxlan"]["vni"], links["x0"]["vxlan"]["flood"]) == (5, ["10.0.0.2"])
    assert links["x0"]["egress"]["rate"] == 1_000_000
    assert (links["lo"]["kind"], "egress" in links["lo"]) == ("hardware", False)
    laws.remove("link", x0)
    world.sh("ip link delete p0; ip link delete v0; ip link delete br0; ip netns delete left")


def test_one_link_and_none() -> None:
    assert [link["name"] for link in laws.run("link_info", {"name": "lo"})["links"]] == ["lo"]
    assert laws.run("link_info", {"name": "nothing"})["links"] == []
    assert "open network namespace 'nowhere'" in invoke("link_info", {"netns": "nowhere"})["msg"]
