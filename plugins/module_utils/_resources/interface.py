# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What links of every kind have in common: fields, how they are read, how each is changed in place."""

from __future__ import annotations

import abc
import errno
import functools
import hashlib
import re
import socket as hosts
import typing as t

from .._kernel.namespace import inside
from .._kernel.sysctl import canonical_value, read_parameter, write_parameter
from .._model.addresses import interface_addresses, mac
from .._model.errors import KernelError, Missing, OptionError, Taken
from .._model.field import Field, Path, State, Table
from .._model.names import optional_interface_name
from .._model.quantities import between
from .._model.resource import DELETE, SET, Change, Key, Resource, Step, changed
from .._model.things import ADDRESS, LINK, LINK_UP, NETWORK, Thing
from .._netlink import address, ethtool
from .._netlink.link import Link, Settings, delete_group, get_link, set_link
from .._netlink.message import wanted_gone
from . import shaping
from .policy import ALIAS, LEAVING

if t.TYPE_CHECKING:
    from .._kernel.namespace import Identity
    from .._netlink.namespace import Namespace


class Interface:
    """A live link and where it is.

    :param namespace: the network namespace it is in.
    :param link: the link itself.
    """

    def __init__(self, namespace: Namespace, link: Link) -> None:
        self.namespace = namespace
        self.link = link

    def addresses(self, named: t.Container[str] = ()) -> list[str]:
        """Its addresses in canonical form, without those that the kernel makes by itself.

        :param named: those that the task names or named, which are no longer the kernel's alone.
        """
        found = address.list_addresses(self.namespace.socket, self.link.index)
        own = (each for each in found if each.link == self.link.index)
        return sorted(each.cidr for each in own if each.cidr in named or not each.automatic)

    @property
    def offloads(self) -> dict[str, bool]:
        """Its offloads that are there."""
        return ethtool.read_offloads(self.namespace.fd, self.link.name)

    def sysctls(self, names: t.Iterable[str]) -> dict[str, str]:
        """Its kernel parameters of these names, as far as it has them."""
        with inside(self.namespace.fd):
            found = {name: read_parameter(parameter(self.link.name, name)) for name in names}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def master(self) -> str:
        """Name of the link it is a port of, empty for none."""
        if not self.link.master:
            return ""
        master = get_link(self.namespace.socket, index=self.link.master)
        return master.name if master else ""

    @property
    def identity(self) -> list[int]:
        """What tells it from any other link, as long as the host runs."""
        return [*self.namespace.identity, self.namespace.socket.namespace_cookie(), self.link.index]


def _alias(value: str) -> str:
    if len(value.encode()) > 255 or "\n" in value or "\0" in value:
        raise ValueError("expected one line of at most 255 bytes")
    return value


_PARAMETER = re.compile(r"(ipv[46])\.(neigh\.)?([a-z0-9_]+)")


def parameter(link: str, name: str) -> str:
    """The kernel parameter of a link, as ``/proc/sys`` has it.

    :param name: ``ipv4.rp_filter``, ``ipv6.neigh.retrans_time_ms``.
    :raises ValueError: it is no such name.
    """
    found = _PARAMETER.fullmatch(name)
    if found is None:
        raise ValueError(
            f"expected a parameter of a link such as ipv4.rp_filter or ipv6.neigh.gc_stale_time, got {name!r}"
        )
    family, neigh, word = found.groups()
    return f"net/{family}/{'neigh' if neigh else 'conf'}/{link}/{word}"


def _sysctls(values: t.Mapping[str, t.Any]) -> State:
    for name in values:
        parameter("lo", name)
    return {name: canonical_value(value) for name, value in sorted(values.items())}


#: Options that links of every kind have. ``write`` gives the settings of one netlink message.
FIELDS = (
    Field("up", "bool", default=True, read=lambda live: live.link.up, write=lambda value: Settings(up=value)),
    Field("mac", canonical=mac, read=lambda live: live.link.mac, write=lambda value: Settings(mac=value)),
    Field(
        "mtu", "int", canonical=between(68, 65535, "bytes"), revert=1500,
        read=lambda live: live.link.mtu, write=lambda value: Settings(mtu=value),
    ),
    Field(
        "alias", canonical=_alias, revert=ALIAS,
        read=lambda live: live.link.alias, write=lambda value: Settings(alias=value),
    ),
    Field(
        "txqlen", "int", canonical=between(0, 2**32 - 1, "packets"), revert=1000,
        read=lambda live: live.link.txqlen, write=lambda value: Settings(txqlen=value),
    ),
    Field(
        "addrgenmode", choices=("eui64", "none", "random"), revert="eui64",
        read=lambda live: live.link.addrgenmode, write=lambda value: Settings(addrgenmode=value),
    ),
    Field(
        "addresses", "list", elements="str", canonical=interface_addresses, revert=[],
        read=lambda live: live.addresses(),
    ),
    Field("sysctls", "dict", canonical=_sysctls),
    *shaping.FIELDS,
)  # fmt: skip

#: Membership in a bridge, bond or VRF of the same namespace; an empty name: of none.
MASTER = Field("master", canonical=optional_interface_name, revert="", read=lambda live: live.master)

#: Offloads that matter for virtual links, by the names that ethtool(8) abbreviates them to.
OFFLOADS = Table(tuple(Field(name, "bool", revert=True) for name in ethtool.OFFLOADS))
#: What the kernel turns off by itself as soon as one of the others is off (``netdev_fix_features``).
_NEEDS = {"tso": ("tx", "sg"), "gso": ("sg",)}


def read(table: Table, live: Interface, *known: State) -> State:
    """The options of a link as they are.

    :param known: what the task says and said of it. What costs calls of its own is read only where these name it.
    """
    state = table.read(live)
    named = {cidr for each in known for cidr in each.get("addresses", ())}
    if named:
        state["addresses"] = live.addresses(named)
    if any("offloads" in each for each in known):
        state["offloads"] = live.offloads
    if any("sysctls" in each for each in known):
        state["sysctls"] = live.sysctls({name for each in known for name in each.get("sysctls", ())})
    if shaping.named(*known):
        from . import shaper

        state.update(shaper.read(live, known))
    return state


def contradictions(options: State, prefix: str = "") -> t.Iterator[OptionError]:
    """Options of a link that cannot hold together.

    :param options: in canonical form.
    :param prefix: of their paths.
    """
    if options.get("mtu", 1280) < 1280 and any(":" in cidr for cidr in options.get("addresses", ())):
        yield OptionError(f"{prefix}mtu", f"expected 1280 or more with IPv6 addresses (RFC 8200), got {options['mtu']}")
    if options.get("master") and options["master"] == options.get("name"):
        yield OptionError(f"{prefix}master", "expected another link than the end itself")
    yield from shaping.contradictions(options, prefix)
    offloads = options.get("offloads", {})
    for name, needs in _NEEDS.items():
        off = [each for each in needs if offloads.get(each) is False]
        if offloads.get(name) and off:
            yield OptionError(f"{prefix}offloads.{name}", f"expected {' and '.join(needs)} on, without which it is off")


def write(live: Interface, field: Field, before: t.Any, after: t.Any) -> None:
    """Set one option of a link.

    :raises KernelError: the kernel refused.
    """
    doing = f"set {field.name} of {live.link.name}"
    try:
        if field.name == "addresses":
            _write_addresses(live, before or live.addresses(), after)
        elif field.name == "name":
            rename(live, after)
        elif field.name == "master":
            _write_master(live, after)
        elif field in OFFLOADS.fields:
            ethtool.set_offload(live.namespace.fd, live.link.name, field.name, after)
        else:
            set_link(live.namespace.socket, live.link.index, field.write(after))
    except OSError as error:
        raise KernelError(f"{doing} to {after!r}", error) from error


def write_at(live: Interface, table: Table, path: Path, before: t.Any, after: t.Any) -> None:
    """Set one option of a link, by its path.

    :raises KernelError: the kernel refused.
    """
    if path[0] == "sysctls":
        with inside(live.namespace.fd):
            write_parameter(parameter(live.link.name, path[1]), after)
    else:
        write(live, OFFLOADS[path[1]] if path[0] == "offloads" else table[path[0]], before, after)


def furnish(live: Interface, table: Table, options: State, done: t.Container[str]) -> None:
    """Give a link that is new where it is all options but some: what one message can carry by one; up comes last.

    :raises KernelError: the kernel refused.
    """
    rest = {name: value for name, value in options.items() if name not in done and value is not None}
    for name in ("sysctls", "offloads"):
        for key, item in rest.pop(name, {}).items():
            write_at(live, table, (name, key), None, item)
    shapes = {name: rest.pop(name) for name in shaping.NAMES if name in rest}
    up, master, addresses = rest.pop("up", None), rest.pop("master", ""), rest.pop("addresses", ())
    settings = Settings()
    for name, value in rest.items():
        carried = table[name].write(value)._asdict() if table[name].write else {}
        settings = settings._replace(**{each: what for each, what in carried.items() if what is not None})
    _furnish(live, settings, master, addresses)
    if any(shapes.values()):
        from . import shaper

        shaper.write(live, shapes)
    if up is not None:
        write(live, table["up"], None, up)


def _furnish(live: Interface, settings: Settings, master: str, addresses: t.Iterable[str]) -> None:
    sock, index = live.namespace.socket, live.link.index
    try:
        if settings != Settings():
            set_link(sock, index, settings)
        if master:
            _write_master(live, master)
        for cidr in addresses:
            address.add_address(sock, index, cidr)
    except OSError as error:
        raise KernelError(f"furnish {live.link.name}", error) from error


def order(option: str) -> int:
    """Where an option of a new link comes: parameters may decide what addresses do, and packets are to come last."""
    return {"sysctls": -1, "up": 1}.get(option, 0)


def initially(live: Interface, options: State, prefix: str = "") -> State:
    """What a new link was before our options, where only the link itself tells; for :attr:`Resource.noticed`."""
    found: State = {
        f"{prefix}sysctls[{name}]": value for name, value in live.sysctls(options.get("sysctls", ())).items()
    }
    if "offloads" in options:
        found.update({f"{prefix}offloads.{name}": on for name, on in live.offloads.items()})
    return found


class Linked(Resource):
    """A kind that is made of links."""

    @abc.abstractmethod
    def end(self, path: Path) -> tuple[Interface, Path]:
        """The observed link that an option speaks of, and the option's path below the options of that link."""

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """A step a change; those that are one thing to the kernel are one step, in place of the first of them."""
        bundles: dict[t.Any, list[Change]] = {}
        for number, change in enumerate(changes):
            bundles.setdefault(self.bundle(change) or number, []).append(change)
        return [self.step(SET, bundle, functools.partial(self.write_together, bundle)) for bundle in bundles.values()]

    def bundle(self, change: Change) -> tuple[str, Path] | None:
        """What a change is made together with, ``None`` for nothing: all that shapes the traffic of one link."""
        owner = _shaped(change.path)
        return None if owner is None else ("shaping", owner)

    def write_together(self, changes: t.Sequence[Change]) -> None:
        """Make the changes of one bundle, or a single one.

        :raises KernelError: the kernel refused.
        """
        owner = _shaped(changes[0].path)
        if owner is None:
            self.write(changes[0])
        else:
            self._shape(owner, changes)

    def _shape(self, owner: Path, along: t.Sequence[Change]) -> None:
        from . import shaper

        state = self.observed.state or {}
        for part in owner:
            state = state[part]
        relative = [change._replace(path=change.path[len(owner) :]) for change in along]
        live = {name: state[name] for name in shaping.NAMES if name in state}
        goal = changed(live, relative)
        live_end, _path = self.end((*owner, "egress"))
        shaper.write(live_end, {name: each for name, each in goal.items() if each is not None})


def _shaped(path: Path) -> Path | None:
    """The path of the link whose traffic an option shapes, ``None`` if it is another option."""
    for place, part in enumerate(path[:2]):
        if part in shaping.NAMES and not any(isinstance(each, Key) for each in path[: place + 1]):
            return path[:place]
    return None


def unable_to_shape(live: Interface | None, wanted: State, adopt: bool, prefix: str = "") -> t.Iterator[OptionError]:
    """Why the traffic of a link cannot be shaped as the task says.

    :param live: the link, if it is there.
    :param adopt: whether what somebody else set up may be replaced.
    :param prefix: of the options' paths.
    """
    if shaping.named(wanted):
        from . import shaper

        yield from shaper.obstacles(live, wanted, adopt, prefix)


def removal(resource: Resource, live: Interface, state: State, run: t.Callable[[], None]) -> Step:
    """The step that removes a link: together with many others, unless there is something beside it to be removed first.

    :param state: its options as they are.
    """
    if "ingress" in state:
        return Step(DELETE, resource.target, (), run)
    return Step(DELETE, resource.target, (), run, together=delete, part=live)


def unshape(live: Interface, state: State) -> None:
    """Remove what is beside a link that is going to be removed.

    :param state: its options as they are.
    :raises OSError: the kernel refused.
    """
    if "ingress" in state:
        from . import shaper

        shaper.forget(live)


def unknown_sysctls(
    namespace: Namespace, live: Interface | None, wanted: State, prefix: str = ""
) -> t.Iterator[OptionError]:
    """Kernel parameters that a link of this namespace does not have.

    :param live: the link, if it is there; the loopback has those of any other one.
    """
    names = wanted.get("sysctls", {})
    with inside(namespace.fd):
        link = live.link.name if live else "lo"
        for name in names:
            if read_parameter(parameter(link, name)) is None:
                yield OptionError(f"{prefix}sysctls[{name}]", "a link of this kernel has no such parameter")


def _write_master(live: Interface, name: str) -> None:
    """Make a link a port, or one of none; a bond takes only a link that is down, and brings it up."""
    sock, index = live.namespace.socket, live.link.index
    former = get_link(sock, index=live.link.master) if live.link.master else None
    master = get_link(sock, name) if name else None
    if name and master is None:
        raise OSError(errno.ENODEV, f"there is no link {name}")
    bonded = any(each is not None and each.kind == "bond" for each in (former, master))
    if bonded:
        set_link(sock, index, Settings(up=False))
    set_link(sock, index, Settings(master=master.index if master else 0))
    if bonded and live.link.up:
        set_link(sock, index, Settings(up=True))


def _write_addresses(live: Interface, before: t.Sequence[str], after: t.Sequence[str]) -> None:
    """Add before removing, so that the link is never without one it keeps; same address, other prefix: the reverse."""
    sock, index = live.namespace.socket, live.link.index
    kept = {cidr.partition("/")[0] for cidr in after}
    gone = [cidr for cidr in before if cidr not in after]
    for cidr in gone:
        if cidr.partition("/")[0] in kept:
            address.remove_address(sock, index, cidr)
    for cidr in after:
        if cidr not in before:
            address.add_address(sock, index, cidr)
    for cidr in gone:
        if cidr.partition("/")[0] not in kept:
            _remove_if_there(live, cidr)
    for cidr in set(after).difference(live.addresses(after)):  # secondary ones, gone with their primary one
        address.add_address(sock, index, cidr)


def _remove_if_there(live: Interface, cidr: str) -> None:
    """Secondary IPv4 addresses go with their primary one unless ``promote_secondaries`` is on."""
    try:
        address.remove_address(live.namespace.socket, live.link.index, cidr)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise


def delete(links: t.Sequence[Interface]) -> None:
    """Remove links, those of one namespace together.

    :raises OSError: the kernel refused.
    """
    by_namespace: dict[Identity, list[Interface]] = {}
    for live in links:
        by_namespace.setdefault(live.namespace.identity, []).append(live)
    for same in by_namespace.values():
        sock = same[0].namespace.socket
        for live in same:
            with wanted_gone():  # with its parent, in another namespace
                set_link(sock, live.link.index, Settings(group=LEAVING))
        delete_group(sock, LEAVING)


def while_down(live: Interface, do: t.Callable[[], None]) -> None:
    """Do what the kernel does not do to a link that is up. The IPv6 addresses that it loses meanwhile, it gets back.

    :raises OSError: the kernel refused.
    """
    sock, index, before = live.namespace.socket, live.link.index, live.addresses()
    set_link(sock, index, Settings(up=False))
    try:
        do()
    finally:
        set_link(sock, index, Settings(up=True))
    for cidr in sorted(set(before).difference(live.addresses())):
        address.add_address(sock, index, cidr)


def rename(live: Interface, name: str) -> None:
    """Give a link another name; kernels before 6.2 want it down for that, and a link that goes down loses addresses."""
    sock, index = live.namespace.socket, live.link.index
    try:
        set_link(sock, index, Settings(name=name))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        while_down(live, lambda: set_link(sock, index, Settings(name=name)))
    live.link = get_link(sock, index=index) or live.link


def things(options: State) -> t.Iterator[Thing]:
    """What of use to others a link with these options is, or what of it can be in the way of others.

    :param options: its name, its namespace as the task says, addresses, and whether it is up.
    """
    name, netns = options["name"], options.get("netns", "")
    yield Thing(LINK, name, netns)
    if options.get("up"):
        yield Thing(LINK_UP, name, netns)
    for cidr in options.get("addresses", ()):
        yield Thing(ADDRESS, cidr.partition("/")[0], netns)
        yield Thing(NETWORK, cidr, netns, name)


def given_up(before: State, wanted: State) -> t.Iterator[Thing]:
    """Addresses that a link has and is not to have."""
    if "addresses" in wanted:
        kept = set(things(wanted))
        gone = (thing for thing in things(before) if thing.kind == ADDRESS)
        yield from (thing for thing in gone if thing not in kept)


def unfit_master(namespace: Namespace, name: str, netns: str, option: str) -> t.Iterator[Exception]:
    """Why a link cannot be made a port of another one.

    :param name: of the other one, empty for none.
    :param netns: the namespace, as the task says.
    :param option: path of the option, for the error.
    """
    master = get_link(namespace.socket, name) if name else None
    if name and master is None:
        thing = Thing(LINK, name, netns)
        yield Missing(f"{option}: there is no link {name} in the same network namespace", thing)
    elif master is not None and master.kind not in ("bridge", "bond", "vrf"):
        yield OptionError(option, f"expected a bridge, bond or VRF, but {name} is {master.kind or 'hardware'}")


def stable_mac(*parts: str) -> str:
    """An address of our own for a link that the task gives none: the same on every run, another on every host.

    Without one the kernel draws a random address, udev may replace it, and a bridge follows its ports.
    The second-lowest bit of the first byte says that it is locally administered (IEEE 802c).
    """
    words = "\0".join((hosts.gethostname(), *parts)).encode()
    return "02:" + hashlib.sha256(words).digest()[:5].hex(":")


def taken_addresses(
    namespace: Namespace, wanted: t.Iterable[str], own: int, netns: str, option: str
) -> t.Iterator[OptionError]:
    """Wanted addresses that another link of the namespace has.

    :param netns: the namespace, as the task says.
    :param own: index of the link that is to have them, 0 if it is not there yet.
    :param option: path of the option, for the error.
    """
    bearers = {
        each.cidr.partition("/")[0]: each.link for each in address.list_addresses(namespace.socket) if each.link != own
    }
    for number, cidr in enumerate(wanted):
        index = bearers.get(cidr.partition("/")[0])
        other = get_link(namespace.socket, index=index) if index else None
        if other is not None:
            words = f"{cidr} is an address of {other.name} already; choose another"
            yield Taken(f"{option}[{number}]", words, Thing(ADDRESS, cidr.partition("/")[0], netns))
