# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the description of networks and services to what each is called and where it answers. PRIVATE to nsfleet.linux.

All of it follows from the description alone: computed on the controller, the same on every run, with nothing kept.
"""

from __future__ import annotations

import functools
import ipaddress
import os
import typing as t

import yaml

from . import _addressing, _refusals
from ._refusals import Description, Plan

#: What names of our links begin with; the role nsfleet.linux.host keeps other network managers away from such names.
PREFIX: t.Final = "ns"

_ROLES: t.Final = os.path.join(os.path.dirname(__file__), "..", "..", "roles")


class SiteError(ValueError):
    """A description that makes no sense; the text names everything that is wrong."""


def site_plan(
    networks: t.Sequence[Description],
    services: t.Sequence[Description],
    host: str = "127.0.0.1",
    ports: Description | None = None,
) -> Plan:
    """Names, addresses and ports of a site.

    :param networks: each with the variables of the role ``network``, without their prefix.
    :param services: each as the role ``service`` takes it.
    :param host: by which address or name people reach the host.
    :param ports: who has its ports, as the module ``nat_info`` tells it; empty if nobody knows.
    :returns: ``networks`` and ``services``, each a dictionary by name.
    :raises SiteError: with everything that is wrong.
    """
    problems = [*_misspelt(networks, services), *_twice("networks", networks), *_twice("services", services)]
    _raise(problems)
    every_network = [_refusals.completed(network, _network_options()) for network in networks]
    every_service = [_refusals.completed(service, _service_options()) for service in services]
    _raise([*_unknown(every_network, every_service), *_overlaps(every_network)])
    wired = {network["name"]: _network(network) for network in every_network}
    _raise([*_refused(wired.values(), _refusals.of_network), *_refused(every_service, _refusals.of_service)])
    planned = {service["name"]: _service(service, wired, every_service, host) for service in every_service}
    taken = _taken_ports(wired, planned, ports) if ports else ()
    _raise([*_same_ports(planned), *_same_links(wired, planned), *taken])
    return {"networks": wired, "services": planned}


def _raise(problems: t.Sequence[str]) -> None:
    if problems:
        raise SiteError("; ".join(problems))


def instances(service: Description) -> list[str]:
    """Names of a service's replicas: ``web-1``, ``web-2``."""
    return [f"{service['name']}-{number}" for number in range(1, service["replicas"] + 1)]


# --- what can be described ---------------------------------------------------


@functools.cache
def _role_options(role: str) -> dict[str, t.Any]:
    """The argument specification of a role."""
    with open(os.path.join(_ROLES, role, "meta", "argument_specs.yml"), encoding="utf-8") as file:
        return t.cast("dict[str, t.Any]", yaml.safe_load(file)["argument_specs"]["main"]["options"])


def _network_options() -> dict[str, t.Any]:
    """What a description of a network may say."""
    return {name.removeprefix("network_"): option for name, option in _role_options("network").items()}


def _service_options() -> dict[str, t.Any]:
    """What a description of a service may say; of its containers, the module itself says it."""
    options = _role_options("service")["service_description"]["options"]
    rootfs = {name.removeprefix("rootfs_"): option for name, option in _role_options("rootfs").items()}
    rootfs["path"] = {**rootfs["path"], "required": False}
    del rootfs["state"]
    return {**options, "rootfs": {"type": "dict", "options": rootfs, "apply_defaults": True}}


def _misspelt(networks: t.Sequence[Description], services: t.Sequence[Description]) -> t.Iterator[str]:
    """What no role and no module would take."""
    for network in networks:
        yield from _refusals.misspelt(network, _network_options(), f"networks[{network.get('name')}]")
    for service in services:
        where = f"services[{service.get('name')}]"
        yield from _refusals.misspelt(service, _service_options(), where)
        yield from _refusals.misspelt_in_parts(service, where)


# --- networks ----------------------------------------------------------------


def _network(network: Plan) -> Plan:
    subnets = [str(ipaddress.ip_network(subnet)) for subnet in network["subnets"]]
    bridge = network["bridge"] or _addressing.ifname(network["name"], PREFIX)
    exits = [{"subnet": subnet, "link": bridge, "masquerade": network["masquerade"]} for subnet in subnets]
    gateways = network["gateways"] or [_first_address(subnet) for subnet in subnets]
    return {**network, "subnets": subnets, "bridge": bridge, "exits": exits, "gateways": gateways}


def _first_address(subnet: str) -> str:
    parsed = ipaddress.ip_network(subnet)
    return f"{parsed.network_address + 1}/{parsed.prefixlen}"


# --- services ----------------------------------------------------------------


def _service(service: Plan, networks: t.Mapping[str, Plan], services: t.Sequence[Plan], host: str) -> Plan:
    network = networks.get(service["network"])
    names = instances(service)
    found = {name: _addresses(name, network, services) if network else [] for name in names}
    published = service["publish"] if service["state"] != "absent" else []
    ports = [port for entry in published for port in _publications(entry, names, found)]
    answers = service["state"] in ("started", "restarted")
    gateways = [gateway.partition("/")[0] for gateway in network["gateways"]] if network else []
    return {
        **service,
        "container": {option: value for option, value in service["container"].items() if option != "secrets"},
        "network": network,
        "instances": [
            {
                "name": name,
                "link": _addressing.ifname(name, PREFIX),
                "addresses": found[name],
                "routes": [{"netns": name, "destination": "default", "via": via, "dev": "eth0"} for via in gateways],
            }
            for name in names
        ],
        "publish": ports,
        "urls": list(_urls(service, names, found, host)) if answers else [],
    }


def _addresses(name: str, network: Plan, services: t.Sequence[Plan]) -> list[str]:
    owners = [each for service in services if service["network"] == network["name"] for each in instances(service)]
    gateways = {str(ipaddress.ip_interface(each).network): each.partition("/")[0] for each in network["gateways"]}
    return [
        _addressing.address(subnet, name, owners, gateway=gateways.get(subnet), prefix=True)
        for subnet in network["subnets"]
    ]


def _publications(entry: Plan, names: t.Sequence[str], addresses: t.Mapping[str, list[str]]) -> t.Iterator[Plan]:
    """A port of the host for each replica, counted up from the one that is given; in every family of addresses."""
    here = entry["address"]
    for number, name in enumerate(names):
        for address in addresses[name]:
            words = address.partition("/")[0]
            if here and (":" in here) != (":" in words):
                continue
            yield {
                "port": str(entry["port"] + number),
                "protocols": entry["protocols"],
                "address": here,
                "to": words,
                "to_port": entry["to_port"] or entry["port"],
                "localhost": entry["localhost"],
            }


def _urls(service: Plan, names: t.Sequence[str], addresses: t.Mapping[str, list[str]], host: str) -> t.Iterator[str]:
    """Where the service answers, for people: each replica by its address, each published port by the host's."""
    health = service["health"] or {}
    scheme = "http" if health.get("type") == "http" else "tcp"
    for number, name in enumerate(names):
        for address in addresses[name] if health.get("port") else ():
            yield _url(scheme, address.partition("/")[0], health["port"])
        for entry in service["publish"]:
            yield _url(scheme, entry["address"] or host, entry["port"] + number)


def _url(scheme: str, host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}/" if (scheme, port) == ("http", 80) else f"{scheme}://{name}:{port}/"


# --- what is wrong -----------------------------------------------------------


def _refused(items: t.Iterable[Plan], of: t.Callable[[Plan], t.Iterable[str]]) -> t.Iterator[str]:
    """Values that a module would refuse."""
    for item in items:
        yield from of(item)


def _twice(what: str, items: t.Sequence[Description]) -> t.Iterator[str]:
    names = [item.get("name") for item in items]
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            yield f"{what}: {name!r} is given twice"


def _unknown(networks: t.Sequence[Plan], services: t.Sequence[Plan]) -> t.Iterator[str]:
    names = [network["name"] for network in networks]
    for service in services:
        wanted = service["network"]
        if wanted and wanted not in names:
            listed = ", ".join(names) or "none"
            yield f"services[{service['name']}].network: there is no network {wanted!r}; there are {listed}"
        if service["publish"] and not wanted:
            yield f"services[{service['name']}].publish: expected a network whose addresses the ports lead to"
        if service["replicas"] < 0:
            yield f"services[{service['name']}].replicas: expected 0 or more, got {service['replicas']}"


def _overlaps(networks: t.Sequence[Plan]) -> t.Iterator[str]:
    seen: list[tuple[str, _addressing.Network]] = []
    for network in networks:
        for index, subnet in enumerate(network["subnets"]):
            where = f"networks[{network['name']}].subnets[{index}]"
            try:
                parsed = ipaddress.ip_network(subnet)
            except ValueError:
                yield f"{where}: expected a network such as 10.2.0.0/24, got {subnet!r}"
                continue
            for other, theirs in seen:
                if theirs.version == parsed.version and theirs.overlaps(t.cast("t.Any", parsed)):
                    yield f"{where}: {parsed} overlaps {theirs} of {other}"
            seen.append((network["name"], parsed))


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


def _taken_ports(networks: t.Mapping[str, Plan], services: t.Mapping[str, Plan], ports: Description) -> t.Iterator[str]:
    """Ports that are to be published, and that a process of the host or somebody else's publication has."""
    named = {f"network-{name}": (f"networks[{name}]", plan) for name, plan in networks.items()}
    named.update({f"service-{name}": (f"services[{name}]", plan) for name, plan in services.items()})
    others = [each for each in ports["nats"] if each["name"] not in named]
    before = {each["name"]: each for each in ports["nats"]}
    for name, (where, plan) in named.items():
        if plan["state"] != "absent":
            mine = before.get(name, {"publications": []})
            for problem in _refusals.taken(plan["publish"], mine, others, ports["listeners"]):
                yield f"{where}.publish: {problem}"


def _same_links(networks: t.Mapping[str, Plan], services: t.Mapping[str, Plan]) -> t.Iterator[str]:
    links = [(plan["bridge"], f"networks[{name}]") for name, plan in networks.items()]
    links += [(each["link"], f"services[{name}]") for name, plan in services.items() for each in plan["instances"]]
    owners: dict[str, str] = {}
    for link, owner in links:
        if link in owners:
            yield f"{owner}: its link would be called {link}, like that of {owners[link]}; choose another name"
        owners.setdefault(link, owner)
