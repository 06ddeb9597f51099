# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime as one file on the host: a zip that Python executes, made from these very files.

A task's own files are gone when it ends, but a monitor stays. The archive's name holds a digest of its content, so that
a new version never changes what a running monitor has open, and a second installation is a look at one file.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import sys
import typing as t
import zipfile

from .._kernel import files
from .bundle import SHARED, names

#: Package of this file without its last part: where all the floors are.
_FLOORS = __name__.rpartition(".")[0].rpartition(".")[0]
_NAME = "nsrun"
_MAIN = f"import sys\nfrom {_NAME}._runtime import command\nsys.exit(command.main(sys.argv[1:]))\n"


def install() -> str:
    """Put the archive on the host, if it is not there.

    :returns: its path.
    """
    if not _FLOORS.startswith("ansible_collections."):  # this is the archive already
        return sys.argv[0]
    sources = _sources()
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:16]
    path = os.path.join(SHARED, f"{_NAME}-{digest}.pyz")
    if not os.path.exists(path):
        files.write_with_directory(path, _archive(sources), 0o500)
    return path


def remove_unused() -> None:
    """Remove all that containers share, if there is none that could be started with it."""
    if not names():
        for name in files.list_directory(SHARED):
            files.remove(os.path.join(SHARED, name))
        files.remove_empty(SHARED, os.path.dirname(SHARED))


def _sources() -> dict[str, str]:
    """File name in the archive to content, of this package and of all floors below that it imports."""
    found = {}
    for name in _modules():
        spec = t.cast("t.Any", importlib.util.find_spec(f"{_FLOORS}.{name}"))
        source = spec.loader.get_source(spec.name)
        found[f"{_NAME}/{name.replace('.', '/')}.py"] = source
    packages = {os.path.dirname(name) for name in found} | {_NAME}
    found.update({f"{package}/__init__.py": "" for package in packages})
    found["__main__.py"] = _MAIN
    return found


def _modules() -> t.Sequence[str]:
    from . import command

    return command.MODULES


def _archive(sources: t.Mapping[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(sources):
            archive.writestr(zipfile.ZipInfo(name), sources[name])
    return data.getvalue()
