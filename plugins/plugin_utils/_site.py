# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the description of networks and services to what each is called and where it answers. PRIVATE to nsfleet.linux.

All of it follows from the description alone: computed on the controller, the same on every run, with nothing kept.
"""

from __future__ import annotations

import ipaddress
import typing as t

from . import _addressing

Description = t.Mapping[str, t.Any]
Plan = dict[str, t.Any]

#: What names of our links begin with; the role nsfleet.linux.host keeps other network managers away from such names.
PREFIX: t.Final = "ns"


class SiteError(ValueError):
    """A description that makes no sense; the text names everything that is wrong."""


def site_plan(networks: t.Sequence[Description], services: t.Sequence[Description]) -> Plan:
    """Names, addresses and ports of a site.

    :param networks: each with ``name`` and ``subnets``; further keys are those of the role ``network``.
    :param services: each with ``name``; further keys are those of the role ``service``.
    :returns: ``networks`` and ``services``, each a dictionary by name.
    :raises SiteError: with everything that is wrong.
    """
    problems = [
        *_twice("networks", networks), *_twice("services", services), *_unknown(networks, services),
        *_overlaps(networks),
    ]  # fmt: skip
    if problems:
        raise SiteError("; ".join(problems))
    wired = {network["name"]: _network(network) for network in networks}
    planned = {service["name"]: _service(service, wired, services) for service in services}
    problems = [*_same_ports(planned), *_same_links(wired, planned)]
    if problems:
        raise SiteError("; ".join(problems))
    return {"networks": wired, "services": planned}


def instances(service: Description) -> list[str]:
    """Names of a service's replicas: ``web-1``, ``web-2``."""
    return [f"{service['name']}-{number}" for number in range(1, int(service.get("replicas") or 1) + 1)]


# --- networks ----------------------------------------------------------------


def _network(network: Description) -> Plan:
    subnets = [str(subnet) for subnet in network["subnets"]]
    bridge = network.get("bridge") or _addressing.ifname(network["name"], PREFIX)
    masquerade = bool(network.get("masquerade", True))
    return {
        "name": network["name"],
        "subnets": subnets,
        "bridge": bridge,
        "exits": [{"subnet": subnet, "link": bridge, "masquerade": masquerade} for subnet in subnets],
        "gateways": [str(each) for each in network.get("gateways") or map(_first_address, subnets)],
        "mtu": int(network.get("mtu") or 1500),
    }


def _first_address(subnet: str) -> str:
    parsed = ipaddress.ip_network(subnet)
    return f"{parsed.network_address + 1}/{parsed.prefixlen}"


# --- services ----------------------------------------------------------------


def _service(service: Description, networks: t.Mapping[str, Plan], services: t.Sequence[Description]) -> Plan:
    network = networks.get(service.get("network") or "")
    names = instances(service)
    found = {name: _addresses(name, network, services) if network else [] for name in names}
    ports = [port for entry in service.get("publish") or () for port in _publications(entry, names, found)]
    return {
        "network": network,
        "instances": [
            {"name": name, "link": _addressing.ifname(name, PREFIX), "addresses": found[name]} for name in names
        ],
        "gateways": [gateway.partition("/")[0] for gateway in network["gateways"]] if network else [],
        "publish": ports,
        "urls": list(_urls(service, names, found)),
    }


def _addresses(name: str, network: Plan, services: t.Sequence[Description]) -> list[str]:
    owners = [each for service in services if service.get("network") == network["name"] for each in instances(service)]
    gateways = {str(ipaddress.ip_interface(each).network): each.partition("/")[0] for each in network["gateways"]}
    return [
        _addressing.address(subnet, name, owners, gateway=gateways.get(subnet), prefix=True)
        for subnet in network["subnets"]
    ]


def _publications(entry: Description, names: t.Sequence[str], addresses: t.Mapping[str, list[str]]) -> t.Iterator[Plan]:
    """A port of the host for each replica, counted up from the one that is given; in every family of addresses."""
    for number, name in enumerate(names):
        for address in addresses[name]:
            words = address.partition("/")[0]
            here = entry.get("address") or ""
            if here and (":" in here) != (":" in words):
                continue
            yield {
                "port": str(int(entry["port"]) + number),
                "protocols": entry.get("protocols") or ["tcp"],
                "address": here,
                "to": words,
                "to_port": int(entry.get("to_port") or entry["port"]),
                "localhost": bool(entry.get("localhost", True)),
            }


def _urls(service: Description, names: t.Sequence[str], addresses: t.Mapping[str, list[str]]) -> t.Iterator[str]:
    """Where the service answers, for people: each replica by its address, each published port by the host's."""
    health = service.get("health") or {}
    port, scheme = health.get("port"), {"http": "http", "tcp": "tcp"}.get(health.get("type") or "")
    for number, name in enumerate(names):
        for address in addresses[name] if port and scheme else ():
            words = address.partition("/")[0]
            yield f"{scheme}://{f'[{words}]' if ':' in words else words}:{port}/"
        for entry in service.get("publish") or ():
            host = entry.get("address") or "127.0.0.1"
            yield f"{scheme or 'tcp'}://{host}:{int(entry['port']) + number}/"


# --- what is wrong -----------------------------------------------------------


def _twice(what: str, items: t.Sequence[Description]) -> t.Iterator[str]:
    names = [item.get("name") for item in items]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"{what}: {name!r} is given twice"


def _unknown(networks: t.Sequence[Description], services: t.Sequence[Description]) -> t.Iterator[str]:
    names = [network.get("name") for network in networks]
    for service in services:
        wanted = service.get("network")
        if wanted and wanted not in names:
            listed = ", ".join(map(str, names)) or "none"
            yield f"services[{service.get('name')}].network: there is no network {wanted!r}; there are {listed}"
        if service.get("publish") and not wanted:
            yield f"services[{service.get('name')}].publish: expected a network whose addresses the ports lead to"


def _overlaps(networks: t.Sequence[Description]) -> t.Iterator[str]:
    seen: list[tuple[str, _addressing.Network]] = []
    for network in networks:
        for index, subnet in enumerate(network.get("subnets") or ()):
            try:
                parsed = ipaddress.ip_network(str(subnet))
            except ValueError:
                yield (
                    f"networks[{network.get('name')}].subnets[{index}]: expected a network such as 10.2.0.0/24, "
                    f"got {subnet!r}"
                )
                continue
            for other, theirs in seen:
                if theirs.version == parsed.version and theirs.overlaps(t.cast("t.Any", parsed)):
                    yield f"networks[{network.get('name')}].subnets[{index}]: {parsed} overlaps {theirs} of {other}"
            seen.append((str(network.get("name")), parsed))


def _same_ports(services: t.Mapping[str, Plan]) -> t.Iterator[str]:
    owners: dict[tuple[str, str, str, bool], str] = {}
    for name, plan in services.items():
        for entry in plan["publish"]:
            for protocol in entry["protocols"]:
                key = (entry["address"], entry["port"], protocol, ":" in entry["to"])
                if key in owners:
                    port = f"{entry['port']}/{protocol}"
                    yield f"services[{name}].publish: port {port} is published by {owners[key]}, too"
                owners.setdefault(key, name)


def _same_links(networks: t.Mapping[str, Plan], services: t.Mapping[str, Plan]) -> t.Iterator[str]:
    links = [(plan["bridge"], f"networks[{name}]") for name, plan in networks.items()]
    links += [(each["link"], f"services[{name}]") for name, plan in services.items() for each in plan["instances"]]
    owners: dict[str, str] = {}
    for link, owner in links:
        if link in owners:
            yield f"{owner}: its link would be called {link}, like that of {owners[link]}; choose another name"
        owners.setdefault(link, owner)
