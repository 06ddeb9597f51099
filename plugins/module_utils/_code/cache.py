# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep compiled code on a host as long as there are objects of ours on it.

Only a task that changed something writes here, so one that changes nothing only reads. A newer version of the
collection writes over the files of an older one; each says of which source it is. They are in memory (``/run``), and
have about 1 MB.
"""

from __future__ import annotations

import contextlib
import os

from .._kernel import files
from . import finder

#: Where there are records of our objects (:mod:`.._plan.store`).
_RECORDS = ("/run/nsfleet", "/var/lib/nsfleet/containers")


def settle() -> None:
    """After a change: keep what was compiled, or remove all if the last object of ours is gone.

    What cannot be kept is compiled again; that is no reason for a task to fail.
    """
    if os.geteuid() != 0:
        return
    with contextlib.suppress(OSError):
        if _needed():
            _keep()
        else:
            _remove()


def _needed() -> bool:
    beside = {os.path.join(folder, name) for folder in _RECORDS for name in files.list_directory(folder)}
    return bool(beside - {finder.DIRECTORY})


def _keep() -> None:
    for name, content in finder.compiled.items():
        files.write_with_directory(os.path.join(finder.DIRECTORY, name), content)
    files.sweep(finder.DIRECTORY)


def _remove() -> None:
    for name in files.list_directory(finder.DIRECTORY):
        files.remove(os.path.join(finder.DIRECTORY, name))
    files.remove_empty(finder.DIRECTORY, os.path.dirname(finder.DIRECTORY))
