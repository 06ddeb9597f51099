# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of a container (runtime-spec, config-linux, "Devices" and "Default Devices") and the links beside them.

Nodes are made new, since owner and mode of the host's own could be changed from inside. In a user namespace nobody may
make one: there they are made outside, in memory, and each is mounted at its place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import typing as t

from .._kernel import mount_api, path
from .._model.errors import NsfleetError

#: Name in /dev to (major, minor). All are character devices that everybody may read and write.
NODES: t.Final = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_LINKS: t.Final = {
    "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}  # fmt: skip
_TYPES: t.Final = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
#: Rules for what every container may use beside its own devices: terminals of its own, and making any device.
_ALWAYS: t.Final = ("c *:* m", "b *:* m", "c 5:2 rwm", "c 136:* rwm")


class Device(t.NamedTuple):
    """One device of a container."""

    path: str
    kind: int  #: as in ``st_mode``
    number: int = 0  #: as ``st_rdev``
    mode: int = 0o666
    uid: int = 0  #: as the container sees it
    gid: int = 0

    @property
    def rule(self) -> str:
        """The rule that allows all its uses; empty for a fifo, which needs none."""
        if self.kind == stat.S_IFIFO:
            return ""
        letter = "b" if self.kind == stat.S_IFBLK else "c"
        return f"{letter} {os.major(self.number)}:{os.minor(self.number)} rwm"

    def make(self, name: str, folder: int) -> None:
        """Make the node in a directory.

        :param folder: descriptor of the directory.
        :raises OSError: ``EEXIST``: something else is there.
        """
        with contextlib.suppress(FileExistsError):
            os.mknod(name, self.kind | self.mode, self.number, dir_fd=folder)
            self._own(name, folder)
        os.close(self.find(name, folder))

    def _own(self, name: str, folder: int) -> None:
        """By descriptor: if somebody else put a link there meanwhile, it is not followed."""
        place = f"/proc/self/fd/{self.find(name, folder)}"
        os.chown(place, self.uid, self.gid)
        os.chmod(place, self.mode)  # the umask took some of it
        os.close(int(place.rpartition("/")[2]))

    def find(self, name: str, folder: int, flags: int = os.O_PATH) -> int:
        """Open the node.

        :raises OSError: it is not there, or something else is.
        """
        found = path.open_in(folder, name, flags | os.O_NOFOLLOW)
        info = os.fstat(found)
        if stat.S_IFMT(info.st_mode) != self.kind or (info.st_rdev != self.number and self.kind != stat.S_IFIFO):
            os.close(found)
            raise OSError(errno.EEXIST, f"{self.path}: expected {self}, but something else is there")
        return found

    def __str__(self) -> str:
        return f"the device {self.rule[:-4]}" if self.rule else "a fifo"


_DEFAULTS: t.Final = tuple(
    Device(f"/dev/{name}", stat.S_IFCHR, os.makedev(*numbers)) for name, numbers in NODES.items()
)
NULL: t.Final = _DEFAULTS[0]


def of(linux: t.Mapping[str, t.Any]) -> list[Device]:
    """The devices of a container: those that every container has, and its own, which may replace them.

    :param linux: the section ``linux`` of the runtime-spec.
    :raises NsfleetError: one is not described as it has to be.
    """
    own = [_described(entry, f"linux.devices[{index}]") for index, entry in enumerate(linux.get("devices") or ())]
    places = {device.path for device in own}
    return [*(device for device in _DEFAULTS if device.path not in places), *own]


def _described(entry: t.Mapping[str, t.Any], where: str) -> Device:
    kind = _TYPES.get(entry.get("type", ""))
    if kind is None:
        raise NsfleetError(f"{where}.type: expected c, b, u or p, got {entry.get('type')!r}")
    place = os.path.normpath(entry.get("path") or "")
    if not place.startswith("/") or place.endswith("/"):
        raise NsfleetError(f"{where}.path: expected a path from the root, got {entry.get('path')!r}")
    numbers = 0, 0
    if kind != stat.S_IFIFO:
        numbers = _number(entry, "major", 1 << 12, where), _number(entry, "minor", 1 << 20, where)
    mode = entry.get("fileMode")
    mode = 0o666 if mode is None else mode & 0o7777  # some who write bundles leave the type in it
    return Device(place, kind, os.makedev(*numbers), mode, entry.get("uid") or 0, entry.get("gid") or 0)


def _number(entry: t.Mapping[str, t.Any], name: str, end: int, where: str) -> int:
    value = entry.get(name)
    if not isinstance(value, int) or not 0 <= value < end:
        raise NsfleetError(f"{where}.{name}: expected a number of 0 to {end - 1}, got {value!r}")
    return value


def make_outside(devices: t.Iterable[Device], folder: int) -> dict[str, int]:
    """Make nodes for a container that may not make any; fifos it may.

    :param devices: with owners as the host sees them.
    :param folder: descriptor of an empty directory that nobody else can reach, on a file system that has devices.
    :returns: path in the container to a detached mount of the node.
    :raises OSError: the kernel refused.
    """
    made = {}
    for number, device in enumerate(each for each in devices if each.kind != stat.S_IFIFO):
        device.make(str(number), folder)
        node = device.find(str(number), folder)
        made[device.path] = mount_api.clone_tree(node, recursive=False)
        os.close(node)
    return made


def populate(root: int, devices: t.Iterable[Device], outside: t.Mapping[str, int]) -> None:
    """Put devices and links into a container's root; runs inside.

    :param outside: path to a mount of each node that was made by :func:`make_outside`.
    :raises OSError: the kernel refused, ``/dev`` is a link, or something else is where a device is to be.
    """
    folder = path.plain_directory(root, "/dev")
    for device in devices:
        if device.path in outside:
            target = path.make_file(root, device.path)
            mount_api.attach(outside[device.path], target)
            os.close(target)
        else:
            above = path.make_directory(root, os.path.dirname(device.path))
            device.make(os.path.basename(device.path), above)
            os.close(above)
    for name, target_path in _LINKS.items():
        with contextlib.suppress(FileExistsError):
            os.symlink(target_path, name, dir_fd=folder)
    os.close(folder)


def open_null(root: int, flags: int = os.O_PATH) -> int:
    """Open the container's ``/dev/null``; runs inside.

    :raises OSError: it is none: a link would lead to what the caller has open (CVE-2026-88265).
    """
    return NULL.find("dev/null", root, flags)
