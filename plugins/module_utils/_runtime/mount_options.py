# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a mount, told apart by what they are for (runtime-spec, config.md, "Linux mount options").

Some are attributes of the mount, of itself or with an ``r`` in front of all mounts below it, too. Some say how it is
made. What is left belongs to the file system, and so do ``sync``, ``dirsync``, ``lazytime``, ``mand`` and their
opposites, which fsconfig(2) takes by these names.
"""

from __future__ import annotations

import typing as t

from .._kernel import mount, mount_api

#: Option to (attribute, whether it is set or cleared).
_ATTRIBUTES: t.Final = {
    "ro": (mount_api.READ_ONLY, True), "rw": (mount_api.READ_ONLY, False),
    "nosuid": (mount_api.NO_SUID, True), "suid": (mount_api.NO_SUID, False),
    "nodev": (mount_api.NO_DEV, True), "dev": (mount_api.NO_DEV, False),
    "noexec": (mount_api.NO_EXEC, True), "exec": (mount_api.NO_EXEC, False),
    "nodiratime": (mount_api.NO_DIRECTORY_ACCESS_TIME, True), "diratime": (mount_api.NO_DIRECTORY_ACCESS_TIME, False),
    "nosymfollow": (mount_api.NO_SYMLINKS, True), "symfollow": (mount_api.NO_SYMLINKS, False),
}  # fmt: skip
#: How access times are written: one of three.
_ACCESS_TIMES: t.Final = {
    "relatime": 0, "noatime": mount_api.NO_ACCESS_TIME, "strictatime": mount_api.STRICT_ACCESS_TIME,
}  # fmt: skip
#: Option to the one of the three that it takes back, for what the kernel does by itself, which is the first.
_NOT_ACCESS_TIMES: t.Final = {"norelatime": "relatime", "atime": "noatime", "nostrictatime": "strictatime"}
#: Option to (propagation, whether of all mounts below, too).
PROPAGATIONS: t.Final = {
    "private": (mount.MS_PRIVATE, False), "rprivate": (mount.MS_PRIVATE, True),
    "slave": (mount.MS_SLAVE, False), "rslave": (mount.MS_SLAVE, True),
    "shared": (mount.MS_SHARED, False), "rshared": (mount.MS_SHARED, True),
    "unbindable": (mount.MS_UNBINDABLE, False), "runbindable": (mount.MS_UNBINDABLE, True),
}  # fmt: skip
#: Options that say how the mount is made, to the name that :class:`Options` has for it.
_WAYS: t.Final = {
    "bind": ("bind",), "rbind": ("bind", "recursive"), "idmap": ("idmap",), "ridmap": ("idmap", "idmap_below"),
    "remount": ("remount",), "tmpcopyup": ("copy_up",),
}  # fmt: skip
#: Options of mount(8) that change nothing here. What a kernel has to say it says to us, not to its log (``silent``),
#: and whether files have version numbers (``iversion``) each file system decides by itself.
_WITHOUT_EFFECT: t.Final = frozenset({"defaults", "silent", "loud", "iversion", "noiversion"})
#: Options by which other programs ask for new SELinux labels on the source's files.
_RELABEL: t.Final = frozenset({"z", "Z", "relabel"})


class Attributes(t.NamedTuple):
    """What is set and what is cleared."""

    set: int = 0
    cleared: int = 0

    def with_word(self, word: str) -> Attributes | None:
        """The attributes with an option taken into account, ``None`` if it is for none."""
        if word in _ATTRIBUTES:
            bit, on = _ATTRIBUTES[word]
            if on:
                return Attributes(self.set | bit, self.cleared & ~bit)
            return Attributes(self.set & ~bit, self.cleared | bit)
        if word in _ACCESS_TIMES:
            return self._with_time(_ACCESS_TIMES[word])
        if word in _NOT_ACCESS_TIMES:
            said = self.cleared & mount_api.ACCESS_TIME_MASK
            takes_back = self._access_time == _ACCESS_TIMES[_NOT_ACCESS_TIMES[word]]
            return self._with_time(0) if takes_back or not said else self
        return None

    @property
    def _access_time(self) -> int:
        return self.set & mount_api.ACCESS_TIME_MASK

    def _with_time(self, value: int) -> Attributes:
        mask = mount_api.ACCESS_TIME_MASK
        return Attributes(self.set & ~mask | value, self.cleared | mask)


class Options(t.NamedTuple):
    """What the options of one mount mean."""

    attributes: Attributes
    below: Attributes  #: of the mount and all mounts below it
    propagations: tuple[tuple[int, bool], ...]  #: each with whether it is for all mounts below, too
    ways: frozenset[str]
    filesystem: tuple[tuple[str, str | None], ...]  #: what belongs to the file system, in the order given

    @property
    def bind(self) -> bool:
        """Whether it shows something that is there already."""
        return "bind" in self.ways

    @property
    def recursive(self) -> bool:
        """Whether it shows the mounts below, too."""
        return "recursive" in self.ways

    @property
    def idmap(self) -> bool:
        """Whether files are shown with other owners."""
        return "idmap" in self.ways

    @property
    def idmap_below(self) -> bool:
        """Whether the files of the mounts below are, too."""
        return "idmap_below" in self.ways

    @property
    def remount(self) -> bool:
        """Whether it changes what is mounted already."""
        return "remount" in self.ways

    @property
    def copy_up(self) -> bool:
        """Whether it begins with a copy of what it covers."""
        return "copy_up" in self.ways


def parse_options(words: t.Iterable[str]) -> Options:
    """Options of a mount, sorted by what they are.

    :raises ValueError: one is known, but not supported; it says what was expected.
    """
    attributes = below = Attributes()
    propagations = []
    ways: set[str] = set()
    filesystem = []
    for word in words:
        name, equals, value = word.partition("=")
        if name in _RELABEL:
            raise ValueError(f"expected a label that is set by other means: {word!r} is not supported")
        if word in PROPAGATIONS:
            propagations.append(PROPAGATIONS[word])
        elif word in _WAYS:
            ways.update(_WAYS[word])
        elif (more := attributes.with_word(word)) is not None:
            attributes = more
        elif word[:1] == "r" and (more := below.with_word(word[1:])) is not None:
            below = more
        elif word not in _WITHOUT_EFFECT:
            filesystem.append((name, value if equals else None))
    return Options(attributes, below, tuple(propagations), frozenset(ways), tuple(filesystem))


def without_data(options: Options) -> Options:
    """Options of a bind mount as mount(2) takes them: it has no use for data of a file system, which is there already.

    Who generates bundles writes some all the same (``mode=755``). What is left has no value: a word that nobody knows.
    """
    return options._replace(filesystem=tuple(each for each in options.filesystem if each[1] is None))


def objection(kind: str, options: Options, own_mappings: bool) -> str:
    """Why options do not fit to a mount, empty if they do.

    :param kind: type of the mount.
    :param own_mappings: whether it has mappings of its own.
    """
    bind = options.bind or kind == "bind"
    if bind and options.filesystem:
        names = ", ".join(name for name, _value in options.filesystem)
        return f"expected none of a file system, since it is a bind mount, got {names}"
    if options.copy_up and (bind or kind != "tmpfs"):
        return f"tmpcopyup needs type tmpfs, not {kind}"
    if (options.idmap or own_mappings) and not bind:
        return "idmap needs a bind mount"
    return ""


def known_options() -> list[str]:
    """All options that have a meaning of their own, sorted."""
    alone = {*_ATTRIBUTES, *_ACCESS_TIMES, *_NOT_ACCESS_TIMES}
    passed_on = {"sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand"}
    others = {*PROPAGATIONS, *_WAYS, *_WITHOUT_EFFECT, *passed_on}
    return sorted({*alone, *(f"r{word}" for word in alone), *others})
