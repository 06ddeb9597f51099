# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter site_plan: what follows from a description, and what is said of a wrong one."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.nsfleet.linux.plugins.filter.site_plan import site_plan

FRONT = {"name": "front", "subnets": ["10.2.0.0/24", "fd00:2:0::/64"]}
WEB = {"name": "web", "network": "front", "container": {"command": ["/bin/true"]}}
HTTP = {"health": {"type": "http", "port": 80}, "publish": [{"port": 8080, "to_port": 80}]}


def contained(network: str | None = "front", **options: t.Any) -> dict[str, t.Any]:
    """A service whose containers have these options."""
    return {**WEB, "network": network, "container": {"command": ["/bin/true"], **options}}


def web(**changes: t.Any) -> dict[str, t.Any]:
    """The plan of one service."""
    return t.cast("dict[str, t.Any]", site_plan([FRONT], [{**WEB, **changes}], "host.example")["services"]["web"])


def test_a_network_is_completed() -> None:
    network = site_plan([FRONT])["networks"]["front"]
    assert network["subnets"] == ["10.2.0.0/24", "fd00:2::/64"]
    assert (network["bridge"], network["gateways"]) == ("nsfront", ["10.2.0.1/24", "fd00:2::1/64"])
    assert (network["mtu"], network["masquerade"], network["isolate"]) == (1500, True, False)


def test_replicas_have_names_links_and_addresses_of_the_network() -> None:
    instances = web(replicas=2)["instances"]
    assert [each["name"] for each in instances] == ["web-1", "web-2"]
    assert [each["link"] for each in instances] == ["nsweb-1", "nsweb-2"]
    found = [address for each in instances for address in each["addresses"]]
    assert len(set(found)) == 4
    assert all(address.startswith(("10.2.0.", "fd00:2::")) for address in found)


@pytest.mark.parametrize("replicas", [0, 1, 3])
def test_as_many_replicas_as_were_asked_for(replicas: int) -> None:
    assert len(web(replicas=replicas)["instances"]) == replicas


def test_replicas_keep_their_addresses_when_others_come() -> None:
    assert web(replicas=9)["instances"][:2] == web(replicas=2)["instances"]


def test_each_replica_has_a_published_port_in_each_family() -> None:
    ports = web(replicas=2, **HTTP)["publish"]
    assert [(each["port"], each["to_port"], ":" in each["to"]) for each in ports] == [
        ("8080", 80, False), ("8080", 80, True), ("8081", 80, False), ("8081", 80, True),
    ]  # fmt: skip


def test_published_ports_of_one_address_are_of_its_family() -> None:
    ports = web(publish=[{"port": 8080, "address": "192.0.2.1"}])["publish"]
    assert [":" in each["to"] for each in ports] == [False]


def test_urls_are_those_of_replicas_and_of_the_host() -> None:
    plan = web(**HTTP)
    four, six = (address.partition("/")[0] for address in plan["instances"][0]["addresses"])
    assert plan["urls"] == [f"http://{four}/", f"http://[{six}]/", "http://host.example:8080/"]


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_what_does_not_run_has_no_url(state: str) -> None:
    assert web(state=state, **HTTP)["urls"] == []


@pytest.mark.parametrize(
    ("networks", "services", "message"),
    [
        ([{"name": "front"}], [], "networks[front]: missing required arguments: subnets"),
        ([{**FRONT, "subnets": ["10.2.0.1/24"]}], [], "networks[front].subnets[0]: expected a network such as"),
        ([{**FRONT, "mtuu": 9000}], [], "networks[front]: unknown option mtuu"),
        ([FRONT, FRONT], [], "networks: 'front' is given twice"),
        ([FRONT, {"name": "b", "subnets": ["10.2.0.0/16"]}], [], "10.2.0.0/16 overlaps 10.2.0.0/24 of front"),
        ([], [WEB], "services[web].network: there is no network 'front'; there are none"),
        ([FRONT], [{**WEB, "network": None, "publish": [{"port": 1}]}], "services[web].publish: expected a network"),
        ([FRONT], [{**WEB, "replicas": -1}], "services[web].replicas: expected 0 or more, got -1"),
        ([FRONT], [{"name": "web"}], "services[web]: missing required arguments: container"),
        ([FRONT], [{**WEB, "container": {"name": "x"}}], "services[web].container: unknown option name"),
        ([FRONT], [{**WEB, "container": {"pids_max": 3}}], "services[web].container.command: expected a program"),
        ([FRONT], [{**WEB, "total_limits": {"cpu": 3}}], "services[web].total_limits: unknown option cpu"),
        ([FRONT], [{**WEB, "rootfs": {"source": "web"}}], "value of source must be one of"),
        ([FRONT], [{**WEB, "health": {"type": "http"}}], "type is http but all of the following are missing: port"),
        ([FRONT], [{**WEB, **HTTP}, {**WEB, **HTTP, "name": "b"}], "port 8080/tcp is published by web, too"),
        ([FRONT], [WEB, WEB], "services: 'web' is given twice"),
        ([{**FRONT, "bridge": "nsweb-1"}], [WEB], "its link would be called nsweb-1"),
        ([{"name": "tiny", "subnets": ["10.2.0.0/30"]}], [{**WEB, "network": "tiny", "replicas": 2}],
         "has 1 addresses for owners"),
        ([{**FRONT, "name": "a/b"}], [], "networks[a/b].name: expected 1 to 64 letters"),
        ([{**FRONT, "mtu": 9}], [], "networks[front].mtu: expected"),
        ([{**FRONT, "mtu": 1000}], [], "networks[front].mtu: expected 1280 or more with IPv6"),
        ([{**FRONT, "bridge": "a-name-that-is-too-long"}], [], "networks[front].bridge: expected an interface name"),
        ([{**FRONT, "gateways": ["10.2.0.1"]}], [], "networks[front].gateways[0]: expected"),
        ([{**FRONT, "publish": [{"port": 80}]}], [], "networks[front].publish[0]: missing required arguments: to"),
        ([{**FRONT, "publish": [{"port": "x", "to": "10.2.0.9"}]}], [], "networks[front].publish[0].port: expected"),
        ([FRONT], [{**WEB, "name": "w b"}], "services[w b].name: expected 1 to 128 letters"),
        ([FRONT], [{**WEB, "name": "w" * 60}], ".name: expected 1 to 64 letters"),
        ([FRONT], [{**WEB, "nameservers": ["dns"]}], "services[web].nameservers[0]: expected an IP address"),
        ([FRONT], [{**WEB, "total_limits": {"pids_max": "-3"}}], "services[web].total_limits.pids_max: expected"),
        ([FRONT], [contained(memory_max="lots")], "services[web].container.memory_max: expected max, a percentage"),
        ([FRONT], [contained(cap_add=["NET_BIND"])], "services[web].container.cap_add[0]: expected a capability"),
        ([FRONT], [contained(mounts=[{"destination": "srv"}])], "container.mounts[0].destination: expected a path"),
        ([FRONT], [contained(hostname="a", namespaces={"uts": "host"})], "hostname: needs namespaces.uts"),
        ([], [contained(network=None, sysctls={"net.core.somaxconn": 9})], "needs namespaces.net not to be the host's"),
        ([FRONT], [contained(cpu_max="10%", cpu_max_burst=20000)], "container.cpu_max_burst: expected at most"),
        ([FRONT], [{**WEB, "rootfs": {"source": "directory"}}], "services[web].rootfs.directory: expected one"),
        ([FRONT], [{**WEB, "rootfs": {"source": "tar", "archive": "/a.tar"}}], "rootfs.checksum: expected one"),
        ([FRONT], [{**WEB, "rootfs": {"path": "/var"}}], "services[web].rootfs.path: expected a directory that does"),
        ([FRONT], [{**WEB, "rootfs": {"source": "tar", "archive": "/a.tar", "checksum": "md5:1"}}],
         "services[web].rootfs.checksum: expected sha256:"),
        ([FRONT], [{**WEB, "rootfs": {"source": "tar", "archive_src": "a.tar", "checksum": "md5:1"}}],
         "services[web].rootfs.checksum: expected sha256:"),
        ([FRONT], [{**WEB, "rootfs": {"source": "tar", "archive_src": "a.tar", "archive": "/a.tar"}}],
         "services[web].rootfs.archive: expected none beside archive_src"),
        ([FRONT], [{**WEB, "rootfs": {"source": "debootstrap", "packages": ["a b"]}}],
         "services[web].rootfs.packages[0]: expected a name"),
        ([FRONT], [{**WEB, "rootfs": {"verify": "content", "exclude": ["/"]}}], "rootfs.exclude[0]: expected"),
        ([FRONT], [{**WEB, "rootfs": {"files": [{"path": "/x", "text": ""}]}}], "rootfs: unknown option files.text"),
        ([FRONT], [{**WEB, "rootfs": {"links": [{"path": "x", "target": "y"}]}}], "rootfs.links[0].path: expected"),
        ([FRONT], [{**WEB, "rootfs": {"source": "image", "image": "a", "users": [{"name": "x"}]}}],
         "services[web].rootfs.users: expected none"),
        ([FRONT], [{**WEB, "rootfs": {"templates": [{"src": "a", "path": "x"}]}}], "rootfs.files[0].path: expected"),
        ([FRONT], [{**WEB, "health": {"type": "tcp", "port": 0}}], "services[web].health.port: expected a port"),
        ([FRONT], [{**WEB, "publish": [{"port": 1}, {"port": 65535}], "replicas": 2}],
         "services[web].publish[1].port: expected ports of 1 to 65535"),
        ([FRONT], [{**WEB, "publish": [{"port": 80, "address": "here"}]}], "[web].publish[0].address: expected"),
        ([FRONT], [{**WEB, "publish": [{"port": 80, "to_port": 99999}]}], "[web].publish[0].to_port: expected"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(networks: list[t.Any], services: list[t.Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError) as error:
        site_plan(networks, services)
    assert message in str(error.value)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(AnsibleFilterError) as error:
        site_plan([{**FRONT, "mtuu": 1}, {"name": "b"}], [{**WEB, "replica": 2}])
    for message in ("unknown option mtuu", "arguments: subnets", "unknown option replica"):
        assert message in str(error.value)


@pytest.mark.parametrize(
    "options",
    [{"devices": ["/dev/none rw"]}, {"io_max": [{"device": "/dev/none", "rbps": "1M"}]}, {"memory_max": "50%"}],
    ids=["device", "disk", "part of the memory"],
)
def test_what_only_the_host_can_tell_is_left_to_it(options: dict[str, t.Any]) -> None:
    assert site_plan([FRONT], [contained(**options)])["services"]["web"]["container"].items() >= options.items()


def test_secrets_are_checked_and_not_part_of_the_plan() -> None:
    secret = {"name": "key", "content": "Zeix7wah"}
    assert "Zeix7wah" not in str(site_plan([FRONT], [contained(secrets=[secret])]))
    with pytest.raises(AnsibleFilterError, match=r"container\.secrets\[0\]\.mode: expected a mode") as error:
        site_plan([FRONT], [contained(secrets=[{**secret, "mode": "9"}])])
    assert "Zeix7wah" not in str(error.value)


def test_a_service_of_many_options_is_not_refused() -> None:
    options = {
        "user": "nobody", "cap_drop": ["ALL"], "read_only": True, "memory_max": "64M", "cpu_max": "50%",
        "sysctls": {"net.core.somaxconn": 9}, "stop_signal": "SIGRTMIN+3", "rlimits": {"nofile": "10:20"},
        "mounts": [{"destination": "/srv", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]}],
    }  # fmt: skip
    assert web(replicas=2, nameservers=["10.2.0.1"], container={"command": ["a"], **options}, **HTTP)["urls"]


# --- ports of the host -------------------------------------------------------


def listens(port: int, address: str = "0.0.0.0", protocol: str = "tcp") -> dict[str, t.Any]:
    """A socket as the module nat_info tells it."""
    return {"protocol": protocol, "address": address, "port": port, "process": {"pid": 7, "command": "other"}}


def published(name: str, port: int) -> dict[str, t.Any]:
    """A set as the module nat_info tells it."""
    entry = {"address": "0.0.0.0", "port": str(port), "protocol": "tcp", "to": "10.2.0.9", "to_port": 80}
    return {"name": name, "publications": [{**entry, "localhost": True}]}


@pytest.mark.parametrize(
    ("nats", "listeners", "message"),
    [
        ([], [listens(8080)], "services[web].publish: 0.0.0.0:8080/tcp is in use on the host: 0.0.0.0:8080/tcp by "
         "process 7 (other); stop that or choose another port"),
        ([], [listens(8080, "127.0.0.1")], "services[web].publish: 0.0.0.0:8080/tcp is in use"),
        ([], [listens(8081)], "services[web].publish: 0.0.0.0:8081/tcp is in use"),
        ([published("service-old", 8080)], [], "0.0.0.0:8080/tcp collides with 0.0.0.0:8080/tcp of nat service-old"),
        ([], [listens(53)], "networks[front].publish: 0.0.0.0:53/tcp is in use"),
    ],
)  # fmt: skip
def test_port_that_somebody_has(nats: list[t.Any], listeners: list[t.Any], message: str) -> None:
    network = {**FRONT, "publish": [{"port": 53, "to": "10.2.0.9"}]}
    with pytest.raises(AnsibleFilterError) as error:
        site_plan([network], [{**WEB, **HTTP, "replicas": 2}], ports={"nats": nats, "listeners": listeners})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("state", "nats", "listeners"),
    [
        ("started", [], [listens(8082), listens(8080, protocol="udp"), listens(80)]),
        ("started", [published("service-web", 8080)], [listens(8080)]),
        ("started", [published("service-b", 8080)], []),
        ("absent", [], [listens(8080)]),
    ],
    ids=["others", "published already", "moves from another service", "not wanted"],
)
def test_port_that_nobody_has(state: str, nats: list[t.Any], listeners: list[t.Any]) -> None:
    four: dict[str, t.Any] = {**FRONT, "subnets": ["10.2.0.0/24"]}
    services: list[dict[str, t.Any]] = [{**WEB, **HTTP, "state": state}, {**WEB, "name": "b"}]
    assert site_plan([four], services, ports={"nats": nats, "listeners": listeners})
