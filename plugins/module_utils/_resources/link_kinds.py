# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What links of each kind can be told beside what all links can: a row an option (ip-link(8)).

A row says how its option is called by the kernel (:mod:`.._netlink.kinds`), what the kernel does where nobody says it,
and what can be changed while the link is there. That is the kernel's code, not its manual: ``*_changelink`` of
``drivers/net`` and ``net/ipv4/ip_gre.c``.
"""

from __future__ import annotations

import abc
import copy
import grp
import ipaddress
import pwd
import typing as t

from .._model.addresses import ip_address, mac, subnet, unicast_address
from .._model.errors import NotHere
from .._model.field import LIVE, RECREATE, Field, State, Table
from .._model.keys import key
from .._model.names import interface_name, netns_reference
from .._model.ports import Ports, port, port_range
from .._model.quantities import between, is_digits
from .._model.resource import Change
from .._model.vlans import vlan_id

if t.TYPE_CHECKING:
    from .interface import Interface

Values = dict[str, t.Any]


def _never(_before: t.Any, _after: t.Any) -> bool:
    return False


class Row(t.NamedTuple):
    """How an option is written."""

    write: t.Callable[[t.Any], Values]  #: option to attributes
    hard: t.Callable[[t.Any, t.Any], bool] = _never  #: whether the kernel cannot do it in place
    down: bool = False  #: whether it wants the link down for that


class Kind(t.NamedTuple):
    """What there is to say of links of a kind."""

    kernel: str  #: what the kernel calls it
    options: str = ""  #: the option that holds its own options
    needs: tuple[str, ...] = ()  #: options without which there is no such link
    parent: bool = False  #: it is on another link, or may be
    parent_attribute: bool = False  #: the parent is an attribute of the kind, and not of the link
    underlay: bool = False  #: its packets travel in a namespace, which may be another one than its own
    address: bool = True  #: it has a link-layer address of its own
    modes: tuple[str, ...] = ("eui64", "none", "random")  #: ways in which it gets a link-local address
    whole: bool = False  #: the kernel takes what a change does not name for its own default
    missing: str = ""  #: what the kernel is built without, if it has no such links


def _number(
    name: str, low: int, high: int, default: t.Any, what: str = "", *, attribute: str = "", effect: str = LIVE,
    required: bool = False,
) -> Field:  # fmt: skip
    """An option that is one number to the kernel, too."""
    called = attribute or name
    return Field(
        name, "int", canonical=between(low, high, what), revert=default, effect=effect, required=required,
        read=lambda values: values.get(called), write=Row(lambda value: {called: value}),
    )  # fmt: skip


def _switch(name: str, default: bool, *, attribute: str = "", effect: str = LIVE, inverted: bool = False) -> Field:
    called = attribute or name

    def read(values: Values) -> bool | None:
        return None if called not in values else bool(values[called]) != inverted

    row = Row(lambda value: {called: int(value != inverted)})
    return Field(name, "bool", revert=default, effect=effect, read=read, write=row)


def _choice(
    name: str, words: t.Mapping[str, int], default: str, *, attribute: str = "", effect: str = LIVE,
    hard: t.Callable[[t.Any, t.Any], bool] = _never, down: bool = False,
) -> Field:  # fmt: skip
    called, spoken = attribute or name, {number: word for word, number in words.items()}
    return Field(
        name, choices=tuple(words), revert=default, effect=effect,
        read=lambda values: spoken.get(values.get(called)), write=Row(lambda value: {called: words[value]}, hard, down),
    )  # fmt: skip


def _bit(name: str, bit: int, default: bool) -> Field:
    """An option that is one of the flags of a VLAN link: the kernel takes the flags, and which of them are meant."""
    return Field(
        name, "bool", revert=default,
        read=lambda values: bool(values["flags"][0] & bit) if "flags" in values else None,
        write=Row(lambda value: {"flags": (bit if value else 0, bit)}),
    )  # fmt: skip


def _optional_address(value: str) -> str:
    return ip_address(value) if value else ""


def _optional_unicast(value: str) -> str:
    return unicast_address(value) if value else ""


def _family(address: t.Any) -> int:
    """Nothing is nothing of IPv4, which can be said to the kernel."""
    return 6 if address and ":" in address else 4


def _address(name: str, canonical: t.Callable[[str], str], fourth: str, sixth: str, *, required: bool = False) -> Field:
    """An address of either family, each of which has an attribute of its own; a link does not change the family."""

    def read(values: Values) -> str:
        found = values.get(fourth) or values.get(sixth) or ""
        return "" if found and ipaddress.ip_address(found).is_unspecified else found

    def write(value: str) -> Values:
        return {sixth if _family(value) == 6 else fourth: value or "0.0.0.0"}

    row = Row(write, lambda before, after: _family(before) != _family(after))
    return Field(name, required=required, canonical=canonical, revert="", read=read, write=row)


def _ports(value: str) -> str:
    return port_range(value) if value else ""


def _read_ports(values: Values) -> str | None:
    first, last = values.get("port_range", (0, 0))
    return port_range(f"{first}-{last}") if last else ""


def _write_ports(value: str) -> Values:
    ports = Ports.parse(value) if value else Ports(0, 0)
    return {"port_range": (ports.first, ports.last)}


class Part(abc.ABC):
    """What a kind has beside the attributes of the link: it is asked for, and changed, by messages of its own."""

    #: Names of the options.
    options: t.ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def complete(self, own: State) -> None:
        """Say in the kind's options what goes without saying."""

    @abc.abstractmethod
    def read(self, live: Interface, own: State, applied: State, wanted: State) -> None:
        """Add to the kind's options what a link has.

        :param applied: the kind's options as they were applied last, and ``wanted`` as the task has them.
        :raises OSError: the kernel refused.
        """

    @abc.abstractmethod
    def furnish(self, live: Interface, own: State, before: State) -> None:
        """Give it to a new link.

        :param before: the kind's options as the kernel made the link.
        :raises KernelError: the kernel refused.
        """

    @abc.abstractmethod
    def write(self, live: Interface, change: Change, before: State) -> None:
        """Make one change.

        :param before: the kind's options as they are.
        :raises KernelError: the kernel refused.
        """


# --- vlan, macvlan, ipvlan -------------------------------------------------------------

VLAN = Table((
    Field(
        "id", "int", required=True, canonical=vlan_id, effect=RECREATE,
        read=lambda values: values.get("id"), write=Row(lambda value: {"id": value}),
    ),
    _choice("protocol", {"802.1q": 0x8100, "802.1ad": 0x88A8}, "802.1q", effect=RECREATE),
    _bit("reorder_hdr", 0x01, True),
    _bit("gvrp", 0x02, False),
    _bit("loose_binding", 0x04, False),
    _bit("mvrp", 0x08, False),
    _bit("bridge_binding", 0x10, False),
))  # fmt: skip


def _passes_through(before: t.Any, after: t.Any) -> bool:
    return "passthru" in (before, after)


MACVLAN = Table((
    _choice("mode", {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}, "vepa", hard=_passes_through),
))  # fmt: skip
IPVLAN = Table((
    _choice("mode", {"l2": 0, "l3": 1, "l3s": 2}, "l3"),
    _choice("isolation", {"bridge": 0, "private": 1, "vepa": 2}, "bridge", attribute="flags"),
))  # fmt: skip

# --- tunnels ---------------------------------------------------------------------------

_DF: t.Final = {"unset": 0, "set": 1, "inherit": 2}
_VNI = _number("vni", 1, 2**24 - 1, None, attribute="id", effect=RECREATE, required=True)


def _port(default: int) -> Field:
    """The port of IANA, where the kernel would take an older one."""
    field = _number("port", 1, 65535, default, effect=RECREATE)
    field.default = default
    return field


FDB = Table((
    Field("mac", required=True, canonical=mac),
    Field("remote", required=True, canonical=unicast_address),
    Field("vni", "int", canonical=between(1, 2**24 - 1)),
    Field("port", "int", canonical=between(1, 65535)),
))  # fmt: skip


def _remotes(values: t.Sequence[str]) -> list[str]:
    return sorted({unicast_address(value) for value in values}, key=lambda value: (":" in value, value))


VXLAN = Table((
    _VNI,
    _address("remote", _optional_address, "group", "group6"),
    _address("local", _optional_unicast, "local", "local6"),
    _port(4789),
    Field(
        "port_range", canonical=_ports, revert="", effect=RECREATE, read=_read_ports, write=Row(_write_ports),
    ),
    _switch("learning", True),
    _number("ageing", 0, 2**32 - 1, 300, "seconds"),
    _number("ttl", 0, 255, 0),
    _number("tos", 0, 255, 0),
    _choice("df", _DF, "unset"),
    _switch("proxy", False, effect=RECREATE),
    _switch("udp_checksum", True, effect=RECREATE),
    _switch("udp6_zero_checksum_tx", False, effect=RECREATE),
    _switch("udp6_zero_checksum_rx", False, effect=RECREATE),
    Field("flood", "list", elements="str", canonical=_remotes, revert=[]),
    Field("fdb", "list", elements="dict", table=FDB, key="mac"),
))  # fmt: skip

GENEVE = Table((
    _VNI,
    _address("remote", unicast_address, "remote", "remote6", required=True),
    _port(6081),
    _number("ttl", 0, 255, 0),
    _number("tos", 0, 255, 0),
    _choice("df", _DF, "unset"),
    _switch("udp_checksum", False, effect=RECREATE),
))  # fmt: skip

_KEYED = 0x2000  #: ``GRE_KEY``: the key counts


def _gre_key(value: t.Any) -> str:
    words = str(value)
    if words and (not is_digits(words) or int(words) >= 2**32):
        raise ValueError(f"expected a number below 4294967296, or nothing, got {value!r}")
    return str(int(words)) if words else ""


def _write_key(value: str) -> Values:
    flags, number = (_KEYED, int(value)) if value else (0, 0)
    return {"iflags": flags, "oflags": flags, "ikey": number, "okey": number}


GRE = Table((
    _address("remote", _optional_unicast, "remote", "remote"),
    _address("local", _optional_unicast, "local", "local"),
    Field(
        "key", no_log=False, canonical=_gre_key, revert="", write=Row(_write_key),
        read=lambda values: str(values.get("ikey", 0)) if values.get("iflags", 0) & _KEYED else "",
    ),
    _number("ttl", 0, 255, 0),
    _number("tos", 0, 255, 0),
    _switch("pmtudisc", True, effect=RECREATE),
))  # fmt: skip


def _network(value: str) -> str:
    words, slash, _length = value.partition("/")
    return subnet(value) if slash else f"{ip_address(words)}/{128 if ':' in words else 32}"


def _networks(values: t.Sequence[str]) -> list[str]:
    return sorted({_network(value) for value in values})


def _endpoint(value: str) -> str:
    """An address with a port, or nothing; a name is not: who it stands for would be asked on every run."""
    if not value:
        return ""
    address, colon, port = value.rpartition(":")
    words = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if not colon or not is_digits(port) or (":" in words) != (words != address):
        raise ValueError(
            f"expected an address and a port such as 192.0.2.1:51820 or [2001:db8::1]:51820, got {value!r}"
        )
    ports, words = Ports.parse(port), unicast_address(words)
    return f"[{words}]:{ports}" if ":" in words else f"{words}:{ports}"


PEER = Table((
    Field("public_key", required=True, canonical=key),
    Field("preshared_key", no_log=True, canonical=key, stateful=False),
    Field("preshared", option=False),
    Field("endpoint", canonical=_endpoint),
    Field("allowed_ips", "list", elements="str", canonical=_networks, revert=[]),
    Field("persistent_keepalive", "int", canonical=between(0, 65535, "seconds"), revert=0),
))  # fmt: skip
WIREGUARD = Table((
    Field("private_key", required=True, no_log=True, canonical=key, stateful=False),
    Field("public_key", option=False),
    Field("listen_port", "int", canonical=port),
    Field("fwmark", "int", canonical=between(0, 2**32 - 1), revert=0),
    Field("peers", "list", elements="dict", table=PEER, key="public_key"),
))  # fmt: skip

# --- others ----------------------------------------------------------------------------

VRF = Table((_number("table", 1, 2**32 - 1, None, effect=RECREATE, required=True),))

BOND = Table((
    _choice(
        "mode",
        {"balance-rr": 0, "active-backup": 1, "balance-xor": 2, "broadcast": 3, "802.3ad": 4, "balance-tlb": 5,
         "balance-alb": 6},
        "balance-rr", effect=RECREATE,
    ),
    _number("miimon", 0, 2**31 - 1, 0, "milliseconds"),
    _number("updelay", 0, 2**31 - 1, 0, "milliseconds"),
    _number("downdelay", 0, 2**31 - 1, 0, "milliseconds"),
    _choice(
        "xmit_hash_policy", {"layer2": 0, "layer3+4": 1, "layer2+3": 2, "encap2+3": 3, "encap3+4": 4, "vlan+srcmac": 5},
        "layer2",
    ),
    _choice("lacp_rate", {"slow": 0, "fast": 1}, "slow", down=True),
    _choice("ad_select", {"stable": 0, "bandwidth": 1, "count": 2}, "stable", down=True),
    _choice("primary_reselect", {"always": 0, "better": 1, "failure": 2}, "always"),
    _choice("fail_over_mac", {"none": 0, "active": 1, "follow": 2}, "none", effect=RECREATE),
    _number("min_links", 0, 2**31 - 1, 0, "links"),
    _number("resend_igmp", 0, 255, 1),
))  # fmt: skip


def _user(value: str) -> str:
    return _account(value, "user", lambda name: pwd.getpwnam(name).pw_uid)


def _group(value: str) -> str:
    return _account(value, "group", lambda name: grp.getgrnam(name).gr_gid)


def _account(value: str, what: str, find: t.Callable[[str], int]) -> str:
    """An account by its number, in words; nothing for everybody."""
    if not value or is_digits(value):
        return value
    try:
        return str(find(value))
    except KeyError:
        raise NotHere(f"expected a {what} of the host or a number, got {value!r}") from None


TUN = Table((
    Field(
        "owner", canonical=_user, revert="", effect=RECREATE, read=lambda values: str(values.get("owner", "")),
    ),
    Field(
        "group", canonical=_group, revert="", effect=RECREATE, read=lambda values: str(values.get("group", "")),
    ),
    _switch("multi_queue", False, effect=RECREATE),
    _switch("vnet_hdr", False, effect=RECREATE),
    _switch("packet_info", False, attribute="pi", effect=RECREATE),
))  # fmt: skip


PHYSICAL = Table((
    Field(
        "name", required=True, canonical=interface_name, effect=RECREATE, read=lambda values: values.get("origin"),
    ),
    Field("netns", default="", canonical=netns_reference, stateful=False, read=lambda values: values.get("lender")),
))  # fmt: skip

KINDS: t.Final[t.Mapping[str, Kind]] = {
    "vxlan": Kind(
        "vxlan", "vxlan", ("vxlan",), parent=True, parent_attribute=True, underlay=True, missing="CONFIG_VXLAN"
    ),
    "vlan": Kind("vlan", "vlan", ("vlan", "parent"), parent=True, underlay=True, missing="CONFIG_VLAN_8021Q"),
    "macvlan": Kind("macvlan", "macvlan", ("parent",), parent=True, underlay=True, missing="CONFIG_MACVLAN"),
    "ipvlan": Kind("ipvlan", "ipvlan", ("parent",), address=False, parent=True, underlay=True, missing="CONFIG_IPVLAN"),
    "wireguard": Kind(
        "wireguard", "wireguard", ("wireguard",), underlay=True, address=False, modes=("none",),
        missing="CONFIG_WIREGUARD",
    ),
    "physical": Kind("", "physical", ("physical",)),
    "dummy": Kind("dummy", missing="CONFIG_DUMMY"),
    "ifb": Kind("ifb", missing="CONFIG_IFB"),
    "tap": Kind("tun", "tun", missing="CONFIG_TUN"),
    "tun": Kind("tun", "tun", address=False, modes=("none", "random"), missing="CONFIG_TUN"),
    "vrf": Kind("vrf", "vrf", ("vrf",), missing="CONFIG_NET_VRF"),
    "bond": Kind("bond", "bond", missing="CONFIG_BONDING"),
    "geneve": Kind("geneve", "geneve", ("geneve",), underlay=True, missing="CONFIG_GENEVE"),
    **{
        name: Kind(
            name, "gre", ("gre",), parent=True, parent_attribute=True, underlay=True, address=name.endswith("tap"),
            whole=True, missing="CONFIG_IPV6_GRE" if "6" in name else "CONFIG_NET_IPGRE",
        )
        for name in ("gre", "gretap", "ip6gre", "ip6gretap")
    },
}  # fmt: skip
#: The options of kinds, each by the name of the option that holds them.
TABLES: t.Final = {
    "vxlan": VXLAN, "vlan": VLAN, "macvlan": MACVLAN, "ipvlan": IPVLAN, "tun": TUN, "vrf": VRF, "bond": BOND,
    "geneve": GENEVE, "gre": GRE, "wireguard": WIREGUARD, "physical": PHYSICAL,
}  # fmt: skip


def values_of(options: t.Mapping[str, t.Any], table: Table) -> Values:
    """The attributes that options of a new link become.

    What the kernel does by itself is not told to it: it would refuse some of that where it does not apply.

    :param options: in canonical form.
    """
    values: Values = {}
    for name, option in options.items():
        field = table[name]
        by_itself = option is None or (option == field.revert and field.default is None)
        for attribute, value in () if by_itself or field.write is None else field.write.write(option).items():
            other = values.get(attribute)
            both = isinstance(value, tuple) and isinstance(other, tuple)
            values[attribute] = tuple(one | two for one, two in zip(other or (), value)) if both else value
    return values


def hardened(change: Change) -> Change:
    """A change as it is: one that the kernel cannot make in place needs another link."""
    row = change.field.write
    if isinstance(row, Row) and change.field.effect == LIVE and row.hard(change.before, change.after):
        field = copy.copy(change.field)
        field.effect = RECREATE
        return change._replace(field=field)
    return change


Problems = t.Iterator[tuple[str, str]]


def contradictions(kind: str, options: State) -> Problems:
    """Options of a kind that cannot hold together: paths, and what was expected."""
    spec = KINDS[kind]
    own = options.get(spec.options, {})
    ends = {_family(own[name]) for name in ("remote", "local") if own.get(name)}
    if len(ends) > 1:
        yield f"{spec.options}.local", "expected an address of the same family as the remote one"
    if spec.options in _SPECIAL:
        yield from _SPECIAL[spec.options](kind, own, options)


def _of_vxlan(_kind: str, own: State, options: State) -> Problems:
    remote = own.get("remote")
    if remote and ipaddress.ip_address(remote).is_multicast and not options.get("parent"):
        yield "parent", "expected the link by which the group of vxlan.remote is joined"
    if remote in own.get("flood", ()):
        yield "vxlan.flood", f"expected others than vxlan.remote, which is flooded to by that, got {remote}"


def _of_gre(kind: str, own: State, _options: State) -> Problems:
    family = 6 if "6" in kind else 4
    if any(_family(own[name]) != family for name in ("remote", "local") if own.get(name)):
        yield "gre", f"expected addresses of IPv{family} with kind {kind}"
    for name in ("tos", "pmtudisc") if family == 6 else ():
        if name in own:
            yield f"gre.{name}", f"expected only with kinds gre and gretap, not with kind {kind}"
    if own.get("ttl") and own.get("pmtudisc") is False:
        yield "gre.ttl", "expected none of its own without pmtudisc, which the kernel refuses"


def _of_a_card(_kind: str, own: State, options: State) -> Problems:
    if own and own["netns"] == options["netns"]:
        yield "netns", "expected another namespace than physical.netns, from which the link is moved"


def _of_wireguard(_kind: str, own: State, _options: State) -> Problems:
    """An address belongs to one peer: the kernel would take it from the one before."""
    owners: dict[str, str] = {}
    for public, peer in own.get("peers", {}).items():
        for network in peer.get("allowed_ips", ()):
            first = owners.setdefault(network, public)
            if first != public:
                yield f"wireguard.peers[{public}].allowed_ips", f"expected others than {network}, which {first} has"


_SPECIAL: t.Final[t.Mapping[str, t.Callable[[str, State, State], Problems]]] = {
    "vxlan": _of_vxlan, "gre": _of_gre, "physical": _of_a_card, "wireguard": _of_wireguard,
}  # fmt: skip
