# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules would refuse of the description of a site, told on the controller. PRIVATE to nsfleet.linux.

The code of the modules tells it, so that nobody hears half-way through a run what could be told before it. What only
the host can tell, such as which devices it has, the modules tell there.
"""

from __future__ import annotations

import re
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel.listeners import described as listening
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel.process import Process
from ansible_collections.nsfleet.linux.plugins.module_utils._model import names, ports
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import InvalidOptions
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Table
from ansible_collections.nsfleet.linux.plugins.module_utils._model.ports import Ports
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import (
    bridge,
    cgroup,
    container,
    image,
    nat,
    netns,
    rootfs,
)
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.nat_table import Publication, collisions
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs_fields import CONTENT_FIELDS

Description = t.Mapping[str, t.Any]
Plan = dict[str, t.Any]

#: Options of modules that a description may not give, since the role gives them.
_OF_THE_ROLE: t.Final = frozenset({"name", "state", "rootfs", "image", "cgroup_parent"})
#: Options of an image that it gives by variables of its own.
_OF_THE_IMAGE: t.Final = frozenset({"name", "path"})
#: Those of a root file system that it gives by variables of the same names.
_ON_TOP: t.Final = Table(CONTENT_FIELDS).arguments()
#: Where the role puts a root file system that has no path.
_OF_SERVICES: t.Final = "/var/lib/nsfleet/rootfs/service"
#: Parts of a service that are options of a module.
_PARTS: t.Final = {"container": container.TABLE, "total_limits": cgroup.TABLE}


# --- names and types ---------------------------------------------------------


def misspelt(given: Description, options: Plan, where: str, **rules: t.Any) -> t.Iterator[str]:
    """What an argument specification does not allow.

    :param options: the specification, as Ansible has it.
    :param where: path of what is given.
    """
    result = ArgumentSpecValidator(options, **rules).validate(dict(given))
    for error in result.errors:
        yield f"{where}: {'unknown option ' if isinstance(error, UnsupportedError) else ''}{error}"


def completed(given: Description, options: Plan) -> Plan:
    """A description in which nothing is misspelt, with the defaults of what it leaves out."""
    return t.cast("Plan", ArgumentSpecValidator(options).validate(dict(given)).validated_parameters)


def misspelt_in_parts(service: Description, where: str) -> t.Iterator[str]:
    """What the modules that parts of a service go to do not allow.

    :param where: path of the service.
    """
    for part, table in _PARTS.items():
        if isinstance(service.get(part), dict):
            yield from misspelt(service[part], _options(table), f"{where}.{part}", **table.rules)
    tree = service.get("rootfs")
    tree = tree if isinstance(tree, dict) else {}
    from_image = tree.get("source") == "image"
    top = {option: tree[option] for option in _ON_TOP if isinstance(tree.get(option), list)}
    yield from misspelt(top, _ON_TOP, f"{where}.rootfs")
    if isinstance(tree.get("image_options"), dict):
        yield from misspelt(
            tree["image_options"], _options(image.TABLE, _OF_THE_IMAGE), f"{where}.rootfs.image_options"
        )
    if isinstance(service.get("container"), dict) and not (service["container"].get("command") or from_image):
        yield f"{where}.container.command: expected a program and its arguments"


def _options(table: Table, given: t.Collection[str] = _OF_THE_ROLE) -> Plan:
    """What a description may say of a module's options.

    :param given: those that the role gives.
    """
    return {name: spec for name, spec in table.arguments().items() if name not in given}


# --- values ------------------------------------------------------------------


def of_network(network: Plan) -> t.Iterator[str]:
    """Values that a module would refuse.

    :param network: with its defaults, and with what was computed.
    """
    where = f"networks[{network['name']}]"
    wrong = list(_unfit(names.label, f"network-{network['name']}", f"{where}.name"))
    for index, entry in enumerate(network["publish"]):
        wrong += misspelt(entry, nat.PUBLISH.arguments(), f"{where}.publish[{index}]")
    yield from wrong
    link = {"name": network["bridge"], "addresses": network["gateways"], "mtu": network["mtu"]}
    yield from _told(bridge.Bridge, link, where, {"^name": "bridge", "^addresses": "gateways"})
    if not wrong:
        published = [completed(entry, nat.PUBLISH.arguments()) for entry in network["publish"]]
        yield from _told(nat.Nat, {"name": f"network-{network['name']}", "publish": published}, where)


def of_service(service: Plan) -> t.Iterator[str]:
    """Values that a module would refuse.

    :param service: with its defaults.
    """
    where, first = f"services[{service['name']}]", f"{service['name']}-1"
    wrong = [*_unfit(names.container_name, first, f"{where}.name")]
    wrong = wrong or [*_unfit(names.label, f"service-{service['name']}", f"{where}.name")]
    if wrong:
        yield from wrong
        return
    resolver = {"name": first, "resolver": {"nameservers": service["nameservers"]}}
    yield from _told(netns.Netns, resolver, where, {r"^resolver\.": ""})
    yield from _told(_limit, completed(service["total_limits"], _options(cgroup.TABLE)), f"{where}.total_limits")
    yield from _told(container.Container, _container(service, first), f"{where}.container")
    yield from _of_rootfs(service["rootfs"], f"{where}.rootfs")
    yield from _of_ports(service, where)


def _limit(options: Plan) -> None:
    """A control group's options without its host."""
    cgroup.check(cgroup.TABLE.canonical(options))


def _container(service: Plan, name: str) -> Plan:
    """The options of a replica, as the role gives them."""
    options = completed(service["container"], _options(container.TABLE))
    network = {"net": name if service["network"] else "host"}
    given = service["container"].get("namespaces") or {}
    namespaces = completed({**network, **given}, container.TABLE["namespaces"].argument()["options"])
    if service["rootfs"]["source"] == "image":  # what it runs is known on the host only
        options["command"] = options["command"] or ["true"]
    return {**options, "name": name, "state": "started", "rootfs": "/", "namespaces": namespaces}


def _of_rootfs(given: Plan, where: str) -> t.Iterator[str]:
    """What its source needs, and what the module that gets it would refuse."""
    source = given["source"]
    archive = ("archive_src",) if given["archive_src"] else ("archive", "checksum")
    needed = {"directory": ("directory",), "tar": archive, "image": ("image",)}.get(source, ())
    lacking = [option for option in needed if not given[option]]
    for option in lacking:
        yield f"{where}.{option}: expected one, since source is {source}"
    if source == "tar" and given["archive_src"] and given["archive"]:
        yield f"{where}.archive: expected none beside archive_src"
    for option in (*_ON_TOP, "templates") if source == "image" else ():
        if given[option]:
            yield f"{where}.{option}: expected none, since an image has no tree of its own"
    if source == "image" and not lacking:
        options = completed(given["image_options"], _options(image.TABLE, _OF_THE_IMAGE))
        told = {**options, "name": given["image"], "path": given["archive"] or None}
        words = {"^name": "image", "^path": "archive", "^(?!image|archive)": "image_options."}
        yield from _told(image.Image, told, where, words)
    elif not lacking:
        packages = {option: given[option] or None for option in ("suite", "mirror", "variant", "packages")}
        kind: Plan = {"host": True} if source == "host" else {option: given[option] for option in needed}
        if source == "tar":
            kind["checksum"] = given["checksum"] or None
        options = {**kind, "debootstrap": packages if source == "debootstrap" else None, "exclude": given["exclude"]}
        options.update(_on_top(given))
        told = {**options, "path": given["path"] or _OF_SERVICES, "verify": given["verify"]}
        yield from _told(rootfs.Rootfs, told, where, {r"^debootstrap\.": ""})


def _on_top(given: Plan) -> Plan:
    """What is put on top of a tree, with defaults; of templates, only the controller of a run knows the content."""
    rendered = [{**{key: each[key] for key in each if key != "src"}, "content": ""} for each in given["templates"]]
    named = {option: given[option] for option in _ON_TOP}
    return completed({**named, "files": [*named["files"], *rendered]}, _ON_TOP)


def _of_ports(service: Plan, where: str) -> t.Iterator[str]:
    """Ports that there are not, of any replica."""
    if service["health"] and service["health"]["port"] is not None:
        yield from _unfit(ports.port, service["health"]["port"], f"{where}.health.port")
    for index, entry in enumerate(service["publish"]):
        copies = [{**entry, "port": str(entry["port"] + number)} for number in range(service["replicas"])]
        target = "2001:db8::1" if ":" in entry["address"] else "192.0.2.1"
        published = [{**copy, "to": target, "to_port": entry["to_port"] or entry["port"]} for copy in copies]
        options = {"name": service["name"], "publish": published}
        yield from list(_told(nat.Nat, options, where, {r"^publish\[\d+\]": f"publish[{index}]"}))[:1]


def taken(
    entries: t.Sequence[Plan], mine: Description, others: t.Sequence[Description], listeners: t.Sequence[Description]
) -> t.Iterator[str]:
    """Ports that somebody has; those that are published already, nobody takes from anybody.

    :param entries: what is to be published, as the module ``nat`` takes it.
    :param mine: what is published already under the same name, and
    :param others: under names that the site does not speak of,
    :param listeners: and sockets of the host; all three as the module ``nat_info`` tells them.
    """
    options = [completed(entry, nat.PUBLISH.arguments()) for entry in entries]
    wanted = nat.Nat({"name": "taken", "publish": options}).wanted["publications"]
    known = set(_publications(mine))
    new = [each for each in map(Publication.parse, wanted) if each not in known]
    for other in others:
        for publication, theirs in collisions(new, list(_publications(other))):
            yield f"{publication} collides with {theirs} of nat {other['name']}"
    for publication in new:
        localhost = wanted[str(publication)]["localhost"]
        for each in listeners:
            if publication.takes_from(each["protocol"], each["address"], each["port"], localhost):
                yield f"{publication} is in use on the host: {_listener(each)}; stop that or choose another port"
                break


def _publications(described: Description) -> t.Iterator[Publication]:
    for each in described["publications"]:
        yield Publication(each["address"], Ports.parse(each["port"]), each["protocol"])


def _listener(told: Description) -> str:
    process = Process(**told["process"]) if told["process"] else None
    return listening(told["protocol"], told["address"], told["port"], process)


# --- what a module says ------------------------------------------------------


def _told(
    check: t.Callable[[Plan], object], options: Plan, where: str, words: t.Mapping[str, str] | None = None
) -> t.Iterator[str]:
    """What the code of a module tells of options that are not misspelt.

    :param check: raises :class:`InvalidOptions`.
    :param where: path of the description that the options are from.
    :param words: what options are called there: patterns, and what stands for what they match.
    """
    try:
        check(options)
    except InvalidOptions as error:
        for each in error.errors:
            option = each.option
            for pattern, word in (words or {}).items():
                option = re.sub(pattern, word, option)
            if not each.here:
                yield f"{where}.{option}: {each.problem}"


def _unfit(rule: t.Callable[[t.Any], object], value: t.Any, where: str) -> t.Iterator[str]:
    """What a canonical form refuses."""
    try:
        rule(value)
    except ValueError as error:
        yield f"{where}: {error}"
