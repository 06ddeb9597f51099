# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile each module of a task's archive once.

Ansible sends a module and all that it imports as a zip archive without bytecode. Python's own importer for archives
compiles every file twice: once to answer where it is, once to run it. That is most of the time of a task that changes
nothing. This finder answers first, for what is in the archive, and compiles once. It finds nothing where a module does
not come from an archive, and everything then goes its usual way.
"""

from __future__ import annotations

import sys
import typing as t
import zipimport
from importlib.machinery import ModuleSpec

if t.TYPE_CHECKING:
    from types import ModuleType

_PACKAGES = ("ansible", "ansible_collections")


class _Finder:
    """Finder and loader of what is in one archive (importlib, "finder", "loader")."""

    def __init__(self, archive: str) -> None:
        self._archive = zipimport.zipimporter(archive)

    def _read(self, name: str) -> tuple[bytes, str, bool] | None:
        """Source, path, and whether it is a package; ``None`` if the archive does not have the module."""
        for ending, package in ((".py", False), ("/__init__.py", True)):
            path = f"{self._archive.archive}/{name.replace('.', '/')}{ending}"
            try:
                return self._archive.get_data(path), path, package
            except OSError:
                continue
        return None

    def find_spec(self, name: str, path: t.Any = None, target: t.Any = None) -> ModuleSpec | None:
        """The module of a name, if the archive has it."""
        found = self._read(name) if name.startswith(_PACKAGES) else None
        if found is None:
            return None
        source, place, package = found
        spec = ModuleSpec(name, t.cast("t.Any", self), origin=place, loader_state=source, is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [place.rpartition("/")[0]]
        return spec

    def create_module(self, spec: ModuleSpec) -> None:
        """Python makes the module object."""

    def exec_module(self, module: ModuleType) -> None:
        """Compile and run the module."""
        spec = t.cast("ModuleSpec", module.__spec__)
        code = compile(spec.loader_state, t.cast("str", spec.origin), "exec", dont_inherit=True)
        exec(code, module.__dict__)

    def get_source(self, name: str) -> str | None:
        """Source of a module, for tracebacks and for whoever carries it on."""
        found = self._read(name)
        return found[0].decode() if found else None


def install() -> None:
    """Let the finder answer from now on, if this module came from an archive."""
    loader = __spec__.loader
    if isinstance(loader, zipimport.zipimporter):
        sys.meta_path.insert(0, t.cast("t.Any", _Finder(loader.archive)))


install()
