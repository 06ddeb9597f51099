# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One table of ours in plain records: rendered as text, read back, compared (nft(8), libnftables-json(5)).

A table has a *layout*, the same on every host, and *elements* in its sets and maps, each with an owner. So neither a
packet nor a change costs more when there are more elements, and whose an element is, the kernel knows.

Whether the layout is still as it was loaded is asked of the kernel, too. What nft prints of a rule differs from
version to version, hence nothing here knows how rules are printed: the same layout is loaded where nobody sees it
(:func:`.command.rehearse`), and the two listings are compared. As a shortcut, the digest of the listing to expect is
kept in the table itself, as the comment of an element; it is compared with the digest of what is listed now.
"""

from __future__ import annotations

import collections
import hashlib
import json
import typing as t

from . import command

Key = tuple[str, ...]
#: Set name to key to element.
Elements = dict[str, dict[Key, "Element"]]

FAMILY: t.Final = "inet"
#: The set whose only element carries the digest of the listing as its comment.
STAMP: t.Final = "stamp"

#: Numbers of protocols: their names are known only where ``/etc/protocols`` is (package netbase).
PROTOCOLS: t.Final = {"tcp": "6", "udp": "17", "sctp": "132"}
_PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}


class Set(t.NamedTuple):
    """A set, or a map where it has value types."""

    name: str
    key: tuple[str, ...]  #: types as nft names them, e.g. ``("inet_proto", "inet_service")``
    value: tuple[str, ...] = ()
    interval: bool = False  #: elements may be ranges and prefixes

    def declaration(self) -> str:
        """The set as nft reads it, without elements."""
        types = " . ".join(self.key) + (f" : {' . '.join(self.value)}" if self.value else "")
        flags = " flags interval;" if self.interval else ""
        return f"{'map' if self.value else 'set'} {self.name} {{ type {types};{flags} }}"

    def element(self, key: Key, element: Element) -> str:
        """An element as nft reads it."""
        owner = f' comment "{element.owner}"' if element.owner else ""
        return _words(self.key, key) + owner + (f" : {_words(self.value, element.value)}" if self.value else "")

    def shown(self, key: Key, element: Element) -> str:
        """An element as people read it."""
        value = f" : {' . '.join(element.value)}" if element.value else ""
        return f"element {' . '.join(key)}{value} of {self.name}"


class Chain(t.NamedTuple):
    """A chain and its rules."""

    name: str
    rules: tuple[str, ...]
    hook: str = ""  #: where the kernel calls it, e.g. ``type nat hook prerouting priority dstnat``

    def declaration(self) -> str:
        """The chain as nft reads it."""
        lines = (*((f"{self.hook}; policy accept;",) if self.hook else ()), *self.rules)
        return f"chain {self.name} {{\n" + "".join(f"\t\t{line}\n" for line in lines) + "\t}"


class Layout(t.NamedTuple):
    """What a table is made of, but for the elements."""

    name: str
    sets: tuple[Set, ...]
    chains: tuple[Chain, ...]

    def text(self) -> str:
        """The commands that make the table, without elements."""
        sets = (Set(STAMP, ("mark",)), *self.sets)
        parts = (*(each.declaration() for each in sets), *(each.declaration() for each in self.chains))
        return f"table {FAMILY} {self.name} {{\n" + "".join(f"\t{part}\n" for part in parts) + "}\n"


class Element(t.NamedTuple):
    """What a key of a set stands for, and whose it is."""

    value: tuple[str, ...] = ()
    owner: str = ""


class Table(t.NamedTuple):
    """A table as the kernel has it."""

    elements: Elements
    listing: str  #: all but the elements, in the form in which listings are compared
    stamp: str  #: digest that was left when it was loaded


# --- rendering ---------------------------------------------------------------


def rehearse(layout: Layout) -> tuple[str, str]:
    """How a layout is listed that nobody altered.

    :returns: the listing as :class:`Table` has it, and as people read it.
    :raises NftError: this nft or this kernel cannot do what the layout needs.
    """
    listed, text = command.rehearse(layout.text(), FAMILY, layout.name)
    return read(listed, layout).listing, text


def load(namespace: int, text: str) -> None:
    """Carry out a transaction; the empty one is none.

    :param namespace: file descriptor of the network namespace.
    :raises NftError: nft or the kernel refused; nothing was changed.
    """
    if text:
        command.load(namespace, text)


def replacement(layout: Layout, elements: Elements) -> str:
    """The transaction that makes the table anew, whatever was there.

    :raises NftError: this nft or this kernel cannot do what the layout needs.
    """
    stamp = digest(layout, rehearse(layout)[0])
    table = f"{FAMILY} {layout.name}"
    return (
        f"add table {table}\ndelete table {table}\n{layout.text()}"
        f'add element {table} {STAMP} {{ 1 comment "{stamp}" }}\n' + difference(layout, {}, elements)
    )


def difference(layout: Layout, before: Elements, after: Elements) -> str:
    """The transaction that turns elements that are there into others; empty if they are the same."""
    lines: list[str] = []
    for kind in layout.sets:
        old, new = before.get(kind.name, {}), after.get(kind.name, {})
        gone = [_words(kind.key, key) for key, element in old.items() if new.get(key) != element]
        come = [kind.element(key, element) for key, element in new.items() if old.get(key) != element]
        where = f"element {FAMILY} {layout.name} {kind.name}"
        lines += [f"delete {where} {{ {', '.join(gone)} }}\n"] if gone else []
        lines += [f"add {where} {{ {', '.join(come)} }}\n"] if come else []
    return "".join(lines)


def removal(layout: Layout) -> str:
    """The transaction that removes the table."""
    return f"delete table {FAMILY} {layout.name}\n"


def _words(types: t.Sequence[str], parts: t.Sequence[str]) -> str:
    return " . ".join(_word(kind, part) for kind, part in zip(types, parts))


def _word(kind: str, part: str) -> str:
    if kind == "ifname":
        return f'"{part}"'
    return PROTOCOLS.get(part, part) if kind == "inet_proto" else part


# --- reading -----------------------------------------------------------------


def observe(namespace: int, layout: Layout) -> Table | None:
    """The table of a network namespace, ``None`` if there is none.

    :param namespace: file descriptor of the network namespace.
    :raises NftError: nft failed.
    """
    try:
        return read(command.list_table(namespace, FAMILY, layout.name), layout)
    except command.NoTable:
        return None


def read(listed: t.Any, layout: Layout) -> Table:
    """The table in what ``nft -j list table`` printed."""
    sets = {kind.name: kind for kind in layout.sets}
    elements: Elements = {}
    rest, stamp = [], ""
    for entry in listed["nftables"]:
        ((kind, body),) = entry.items()
        found = body.get("elem", ())
        if kind == "set" and body["name"] == STAMP:
            stamp = _stamp(found)
        elif kind in ("set", "map") and body["name"] in sets:
            elements[body["name"]] = dict(_element(sets[body["name"]], item) for item in found)
        if kind != "metainfo":
            rest.append({kind: {word: value for word, value in body.items() if word not in ("elem", "handle")}})
    return Table(elements, json.dumps(rest, sort_keys=True), stamp)


def digest(layout: Layout, listing: str) -> str:
    """Tells a layout that is listed like this from all others."""
    return hashlib.sha256(f"{layout.text()}\0{listing}".encode()).hexdigest()


def alterations(namespace: int, layout: Layout, table: Table) -> list[str]:
    """What somebody changed in the table but for its elements, a line each.

    :param namespace: file descriptor of the network namespace.
    :raises NftError: nft failed.
    """
    if table.stamp == digest(layout, table.listing):
        return []
    expected, text = rehearse(layout)
    if expected == table.listing:
        return []  # only nft itself is another one since
    live = _lines(command.list_text(namespace, FAMILY, layout.name))
    wanted = _lines(text)
    lines = [f"added: {line}" for line in (live - wanted).elements()]
    lines += [f"missing: {line}" for line in (wanted - live).elements()]
    return sorted(lines) or ["moved: the rules are in another order"]


def _lines(text: str) -> collections.Counter[str]:
    """The lines of a listing, each with the block that it stands in."""
    found: collections.Counter[str] = collections.Counter()
    block = ""
    for line in text.splitlines():
        words = line.strip()
        if words.endswith("{"):
            block = words[:-1].strip()
        elif words != "}" and words:
            found[f"{words} ({block})"] += 1
        if words.endswith("{") and not words.startswith("table"):
            found[block] += 1
    return found


def _stamp(found: t.Sequence[t.Any]) -> str:
    comments = [item["elem"].get("comment", "") for item in found if isinstance(item, dict) and "elem" in item]
    return comments[0] if len(comments) == 1 else ""


def _element(kind: Set, item: t.Any) -> tuple[Key, Element]:
    key, value = item if kind.value else (item, None)
    owner = ""
    if isinstance(key, dict) and "elem" in key:
        owner = key["elem"].get("comment", "")
        key = key["elem"]["val"]
    return _parts(kind.key, key), Element(_parts(kind.value, value) if kind.value else (), owner)


def _parts(types: t.Sequence[str], value: t.Any) -> Key:
    values = value["concat"] if isinstance(value, dict) and "concat" in value else [value]
    return tuple(_part(kind, each) for kind, each in zip(types, values))


def _part(kind: str, value: t.Any) -> str:
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    if isinstance(value, dict) and "range" in value:
        return "-".join(str(end) for end in value["range"])
    return _PROTOCOL_NAMES.get(str(value), str(value)) if kind == "inet_proto" else str(value)
