# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended attributes: which of them belong to a file wherever it is, and which to the host that it is on.

Labels of security modules and signatures (``security.*``) are the host's, and honest images have them. So are
``trusted.*``: with those of overlayfs a layer could have files of other layers shown under names of its own
(``redirect``, ``metacopy``). None of these is taken from an archive, nor written into one.
"""

from __future__ import annotations

import os
import typing as t

CAPABILITY: t.Final = "security.capability"
_CARRIED: t.Final = ("user.", "system.posix_acl_", CAPABILITY)
#: What overlayfs writes if it is mounted with ``userxattr``.
_OVERLAY: t.Final = "user.overlay."


def carried(key: str) -> bool:
    """Whether an extended attribute goes with its file."""
    return key.startswith(_CARRIED) and not key.startswith(_OVERLAY)


def carried_of(file: int | str, follow: bool = False) -> dict[str, bytes]:
    """The extended attributes of a file that go with it, sorted.

    :param file: descriptor, or a path.
    :param follow: whether the path is that of a link to the file.
    """
    follow = follow or isinstance(file, int)
    keys = sorted(filter(carried, os.listxattr(file, follow_symlinks=follow)))
    return {key: os.getxattr(file, key, follow_symlinks=follow) for key in keys}
