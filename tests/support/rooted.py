# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that a container can be started from, since its programs are those of the host."""

from __future__ import annotations

import typing as t

from support.archives import archive, file, folder, symlink
from support.images import Image

#: Programs come from the host, read-only; all else is the image's.
USR = {"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]}
_FOLDERS = ("dev", "etc", "proc", "srv", "sys", "tmp", "usr", "var")
_LINKS = ("bin", "lib", "lib64", "sbin")
#: Runs until it is told to stop.
WAIT = ("/bin/sh", "-c", "trap 'exit 0' TERM; sleep 31536000 & wait")
BASE = archive(
    *map(folder, _FOLDERS),
    *(symlink(name, f"usr/{name}") for name in _LINKS),
    file("etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:7:8::/srv:/bin/sh\n"),
    file("etc/group", b"root:x:0:\napp:x:8:\n"),
)


def image(version: str = "1", **config: t.Any) -> Image:
    """An image of two layers, whose upper one is another one for every version.

    :param config: what it says of how to run it, beside its command.
    """
    upper = archive(folder("srv"), file("srv/version", version.encode()))
    return Image(BASE, upper, config={"Cmd": list(WAIT), **config})
