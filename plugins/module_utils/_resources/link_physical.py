# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A link that is there already, such as a network card or a virtual function of one, lent to a network namespace.

The name that it had is kept at the link itself, as one of its other names, so that it can be given back whatever
became of our records: also by the kernel, which brings a card home when its namespace ends, under the name of there.
"""

from __future__ import annotations

import errno

from .._model.field import State
from .._netlink.link import Link, Settings, get_link, set_altname, set_link
from .._netlink.namespace import Namespace
from .interface import Interface
from .policy import GROUP

#: What comes before the name that a link had.
_PREFIX = "nsfleet-"
#: Settings of a card that stay with it, and so are to be as they were when it is given back.
_LASTING = ("mac", "mtu", "txqlen", "alias")


def origin(link: Link) -> str:
    """The name that a link had where it comes from, empty for one that was not lent."""
    return next((name[len(_PREFIX) :] for name in link.altnames if name.startswith(_PREFIX)), "")


def find(namespace: Namespace, name: str) -> Link | None:
    """The link of a name, or the one that had it before it was lent, and was brought home by the kernel."""
    return get_link(namespace.socket, name) or get_link(namespace.socket, _PREFIX + name)


def take(source: Namespace, name: str, home: Namespace, called: str) -> Interface:
    """Move a link into a namespace.

    :param source: the namespace that it is in.
    :param called: its name in its new home.
    :raises OSError: there is none (``ENODEV``), or the kernel refused.
    """
    link = find(source, name)
    if link is None:
        raise OSError(errno.ENODEV, f"there is no link {name}")
    if not origin(link):
        set_altname(source.socket, link.index, _PREFIX + name, there=True)
    set_link(source.socket, link.index, Settings(name=called, group=GROUP, namespace=home.fd))
    moved = get_link(home.socket, called)
    if moved is None:
        raise OSError(errno.ENODEV, f"{called} is gone again")
    return Interface(home, moved)


def give_back(live: Interface, source: Namespace, originals: State) -> None:
    """Move a link to where it comes from, with the name and the settings that it had.

    :param originals: option to value before our first change.
    :raises OSError: the kernel refused.
    """
    name, sock, index = origin(live.link) or live.link.name, live.namespace.socket, live.link.index
    set_link(sock, index, Settings(up=False, group=0, **{each: originals.get(each) for each in _LASTING}))
    if origin(live.link):
        set_altname(sock, index, _PREFIX + name, there=False)
    away = source.identity != live.namespace.identity
    set_link(sock, index, Settings(name=name, namespace=source.fd if away else None))
