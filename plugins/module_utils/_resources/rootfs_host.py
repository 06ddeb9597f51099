# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root file system around the programs of the host, whose ``/usr`` is mounted into it when a container starts.

The same host gives the same tree: what is not copied is of 1970.
"""

from __future__ import annotations

import os
import typing as t

from .._image.copy import copy
from .._image.walk import walk
from .._kernel.directories import opened

#: Directories with their modes.
_FOLDERS: t.Final = {
    **dict.fromkeys(("dev", "etc", "home", "mnt", "opt", "proc", "run", "srv", "sys", "usr", "var"), 0o755),
    **dict.fromkeys(("var/cache", "var/lib", "var/log"), 0o755),
    "root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777,
}  # fmt: skip
#: Links into /usr, or directories of their own on a host that still has them so.
_PROGRAMS: t.Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
#: Names of users come from files alone; what the host's other sources of names are is no business of a container's.
_FILES: t.Final = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost\n",
}
#: What programs of the host need of its /etc, and what of that is secret.
_COPIED: t.Final = (
    "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "protocols", "services",
    "ssl",
)  # fmt: skip
_SECRET: t.Final = "ssl/private"


def build(place: str) -> None:
    """Fill a directory.

    :param place: it is empty, and nobody else writes to it.
    :raises NsfleetError: something of the host cannot be copied.
    :raises OSError: the file system refused.
    """
    for name, mode in _FOLDERS.items():
        os.mkdir(os.path.join(place, name))
        os.chmod(os.path.join(place, name), mode)
    _link("../run", os.path.join(place, "var/run"))
    for name in _PROGRAMS:
        _take_program_folder(name, place)
    _take_settings(os.path.join(place, "etc"))
    for name, content in _FILES.items():
        with open(
            os.open(os.path.join(place, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8"
        ) as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
    os.chmod(place, 0o755)
    for name in (*_FILES, *reversed(_FOLDERS), "."):
        os.utime(os.path.join(place, name), ns=(0, 0))


def _take_program_folder(name: str, place: str) -> None:
    source, target = os.path.join("/", name), os.path.join(place, name)
    if os.path.islink(source):
        _link(os.readlink(source), target)
    elif os.path.isdir(source):
        os.mkdir(target)
        with opened(source) as programs, opened(target) as copied:
            copy(programs, copied)


def _link(leads_to: str, path: str) -> None:
    os.symlink(leads_to, path)
    os.utime(path, ns=(0, 0), follow_symlinks=False)


def _take_settings(target: str) -> None:
    with opened("/etc") as etc, opened(target) as copied:
        copy(etc, copied, only={node.path for node in walk(etc) if _is_needed(node.path)})


def _is_needed(path: str) -> bool:
    return path.partition("/")[0] in _COPIED and not f"{path}/".startswith(f"{_SECRET}/")
