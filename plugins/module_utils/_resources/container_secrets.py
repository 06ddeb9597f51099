# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of a container: what is compared, shown and recorded of them says whose they are, and never what they hold.

Content is in the task and in the container's files, and is compared in memory.
"""

from __future__ import annotations

import os
import typing as t

from .._kernel import namespace, overlay
from .._model.errors import NsfleetError, OptionError
from .._runtime import usernamespace, users
from .._runtime.secrets import Secret, Secrets
from .container_fields import AS_GIVEN, MAPPINGS

if t.TYPE_CHECKING:
    from .._model.field import State
    from .._runtime.usernamespace import Mappings

#: What is said of content that is not what the task says.
OTHER: t.Final = "other"


class ContainerSecrets(Secrets):
    """The secrets of one container, as its options have them."""

    def live(self, contents: t.Mapping[str, str] | None, wanted: State) -> State:
        """Those that there are.

        :param contents: what the task says they hold; ``None``: it does not say.
        :param wanted: canonical options of the container.
        """
        mappings = _mappings(wanted)
        return {
            name: {
                "content": AS_GIVEN if contents is None or _bytes(contents.get(name)) == secret.content else OTHER,
                "mode": f"{secret.mode:04o}",
                "owner": _seen(mappings[0], secret.uid),
                "group": _seen(mappings[1], secret.gid),
            }
            for name, secret in self.read().items()
        }

    def have(self, contents: t.Mapping[str, str], wanted: State) -> None:
        """Have those that the task says, and no others.

        :param contents: what they hold.
        :param wanted: canonical options, with owners found (:func:`find_owners`).
        :raises OptionError: an owner is nobody in the container's user namespace.
        :raises OSError: the kernel refused.
        """
        mappings = _mappings(wanted)
        self.write(
            {
                name: Secret(
                    int(options["mode"], 8),
                    _outside(mappings[0], name, "owner", options["owner"]),
                    _outside(mappings[1], name, "group", options["group"]),
                    _bytes(contents[name]),
                )
                for name, options in wanted["secrets"].items()
            }
        )


def find_owners(wanted: State, layers: t.Sequence[str]) -> t.Iterator[OptionError]:
    """Put the numbers of users and groups inside in the place of what the task says, and of what it leaves out.

    :param wanted: canonical options, which are changed.
    :param layers: directories of the container's root, the highest first.
    :returns: what cannot be found.
    :raises OSError: a layer is not there.
    """
    with overlay.Layers(layers) as root:
        for name, options in wanted["secrets"].items():
            try:
                who = options.get("owner", wanted["user"])
                group = options.get("group")
                found = users.resolve(root.read_file, f"{who.partition(':')[0]}:{group}" if group else who)
            except NsfleetError as error:
                yield OptionError(f"secrets[{name}].owner", str(error))
            else:
                options.update(owner=str(found.uid), group=str(found.gid))


def strangers(wanted: State) -> t.Iterator[OptionError]:
    """Owners who are nobody in the container's user namespace."""
    for number, option in enumerate(("owner", "group")):
        for name, options in wanted["secrets"].items():
            try:
                _outside(_mappings(wanted)[number], name, option, options.get(option, "0"))
            except OptionError as error:
                yield error


def _mappings(wanted: State) -> Mappings:
    """Those of the user namespace that the container is to be in."""
    where = wanted["namespaces"]["user"]
    if where == "host":
        return (), ()
    if where != "private":
        fd = namespace.open_namespace(where)
        try:
            return usernamespace.mappings_of(fd)
        finally:
            os.close(fd)
    own = [
        [
            {"containerID": each["container_id"], "hostID": each["host_id"], "size": each["size"]}
            for each in wanted[option]
        ]
        for option in MAPPINGS
    ]
    return own[0], own[1]


def _seen(mappings: usernamespace.Ranges, number: int) -> str:
    """How the container sees an id of the host."""
    try:
        return str(usernamespace.inside(mappings, number))
    except KeyError:
        return f"{number} outside"


def _outside(mappings: usernamespace.Ranges, name: str, option: str, word: str) -> int:
    try:
        return usernamespace.on_host(mappings, int(word))
    except KeyError:
        problem = f"expected one that the container's user namespace maps, got {word}"
        raise OptionError(f"secrets[{name}].{option}", problem) from None


def _bytes(content: str | None) -> bytes | None:
    return None if content is None else content.encode("utf-8", "surrogateescape")
