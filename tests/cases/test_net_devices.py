# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network devices of the host that a container gets, as ip(8) shows them."""

from __future__ import annotations

import typing as t

import pytest
from support import oci, world
from support.oci import described, refusal, running


@pytest.fixture(autouse=True)
def pair(clean_host: None) -> t.Iterator[None]:
    """A root file system, and a veth pair with addresses."""
    del clean_host
    oci.make_root()
    world.sh("""
        ip link add case0 mtu 1400 address 02:00:00:00:00:07 type veth peer name case1
        ip link set case0 up alias note
        ip address add 10.9.0.1/24 dev case0; ip address add fd09::1/64 dev case0 nodad
        ip address add 10.9.0.9/24 dev case0 scope link
        ip address add 10.9.1.1/24 dev case0 valid_lft 999 preferred_lft 9
    """)
    yield
    world.sh("ip link delete case0 || ip link delete case1 || true")
    oci.remove_root()


def seen(container: oci.Running, name: str) -> dict[str, t.Any]:
    """A link inside, as ip(8) of the host shows it."""
    found: dict[str, t.Any] = world.ask(f"nsenter --target {container.pid} --net ip -j -d address show dev {name}")[0]
    return found


@pytest.mark.parametrize(
    ("entry", "name"), [({}, "case0"), ({"name": "eth0"}, "eth0"), ({"name": "net%d"}, "net0")], ids=["", "name", "any"]
)
def test_device_is_moved_with_all_that_is_its_own(entry: dict[str, str], name: str) -> None:
    with running(described(netDevices={"case0": entry})) as container:
        assert not world.exists("case0")
        found = seen(container, name)
        assert "UP" in found["flags"]
        assert (found["mtu"], found["address"], found["ifalias"]) == (1400, "02:00:00:00:00:07", "note")
        addresses = {f"{each['local']}/{each['prefixlen']}" for each in found["addr_info"] if each["scope"] == "global"}
        assert addresses == {"10.9.0.1/24", "fd09::1/64"}
        assert container.inside(f"cat /sys/class/net/{name}/mtu") == "1400"


@pytest.mark.parametrize(
    ("linux", "words"),
    [
        ({"netDevices": {"case9": {}}}, "linux.netDevices[case9]: there is no such network device"),
        ({"netDevices": {"case0": {"name": "lo"}}}, "linux.netDevices[case0]: "),
        ({"netDevices": {"case0": {}, "case9": {}}}, "linux.netDevices[case9]: there is no such network device"),
        ({"netDevices": {"case0": {"name": "x"}}, "sysctl": {"net.ipv4.no_such": "1"}}, "sysctls: "),
        ({"netDevices": {"case0": {"colour": "x"}}}, "linux.netDevices[case0].colour"),
    ],
    ids=["nothing", "taken", "one of two", "later failure", "unknown"],
)
def test_device_of_a_container_that_does_not_start_stays(linux: dict[str, t.Any], words: str) -> None:
    assert words in refusal(described(**linux))
    assert {"10.9.0.1/24", "fd09::1/64"} <= set(world.addresses("case0"))
    assert "UP" in world.link("case0")["flags"]


def test_host_s_network_is_no_place_to_move_to() -> None:
    spec = described(netDevices={"case0": {}})
    spec["linux"]["namespaces"] = [each for each in spec["linux"]["namespaces"] if each["type"] != "network"]
    assert "linux.netDevices: needs a network namespace that is not the host's" in refusal(spec)
