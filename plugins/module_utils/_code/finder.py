# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile what a task's archive holds once: in a task, and on a host.

Ansible sends a module and all that it imports as a zip archive without bytecode. Python's own importer for archives
compiles every file twice in every task: once to answer where it is, once to run it. That is most of the time of a task
that changes nothing. This finder answers first, for what is in the archive. It takes code that an earlier task kept on
the host (:mod:`.cache`), if it is of the very same source, and compiles once otherwise. It finds nothing where a module
does not come from an archive, and everything then goes its usual way.
"""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os
import stat
import sys
import typing as t
import zipimport
from importlib.machinery import ModuleSpec

if t.TYPE_CHECKING:
    from types import CodeType, ModuleType

#: Where code is kept as long as there are objects of ours; root's alone.
DIRECTORY: t.Final = "/run/nsfleet/code"
#: Code that this process compiled: file names in the directory to their content.
compiled: t.Final[dict[str, bytes]] = {}

_OURS = "ansible_collections.nsfleet.linux.plugins."
_PACKAGES = ("ansible", "ansible_collections")
#: How a file of code begins that is valid for one source only (PEP 552: flags 1 and 2, then the source's hash).
_HEAD: t.Final = importlib.util.MAGIC_NUMBER + b"\3\0\0\0"


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
        """Run the module."""
        spec = t.cast("ModuleSpec", module.__spec__)
        exec(_code(spec.name, t.cast("bytes", spec.loader_state), t.cast("str", spec.origin)), module.__dict__)

    def get_source(self, name: str) -> str | None:
        """Source of a module, for tracebacks and for whoever carries it on."""
        found = self._read(name)
        return found[0].decode() if found else None


def _code(name: str, source: bytes, origin: str) -> CodeType:
    """Code of a source, as it was kept or compiled now."""
    if not name.startswith(_OURS) or not source:
        return compile(source, origin, "exec", dont_inherit=True)
    file = f"{name[len(_OURS) :]}.{sys.implementation.cache_tag}.pyc"
    head = _HEAD + importlib.util.source_hash(source)
    kept = _kept(os.path.join(DIRECTORY, file))
    if kept.startswith(head):
        with contextlib.suppress(EOFError, ValueError, TypeError):  # it is damaged
            return t.cast("CodeType", marshal.loads(memoryview(kept)[len(head) :]))
    code = compile(source, origin, "exec", dont_inherit=True)
    compiled[file] = head + marshal.dumps(code)
    return code


def _kept(path: str) -> bytes:
    """A file that only root can have written; nothing if there is none."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            trusted = status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            return file.read() if trusted else b""
    except OSError:
        return b""


def install() -> None:
    """Let the finder answer from now on, if this module came from an archive."""
    loader = __spec__.loader
    if isinstance(loader, zipimport.zipimporter):
        sys.meta_path.insert(0, t.cast("t.Any", _Finder(loader.archive)))


install()
