# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime as one file that Python executes: a zip made from these very files.

It holds the sources as Python's own importer finds them, and the code of all of them in one piece for the version of
Python that made it. That version is started by :mod:`.program`, which has the modules in a third of the time.

There are two. A task's own files are gone when it ends, but a monitor stays: it executes itself from an archive on the
host that holds what a monitor needs. The archive's name holds a digest of its content, so that a new version never
changes what a running monitor has open, and a second installation is a look at one file. The other one, ``nsrun``, is
made by ``make nsrun`` and holds all of the runtime and its command line.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import io
import marshal
import os
import re
import sys
import typing as t
import zipfile

from .._kernel import files
from .bundle import SHARED, any_left

if t.TYPE_CHECKING:
    from types import CodeType

    # Ansible sends with a task what it sees imported, wherever it stands.
    from . import program
    from .standins import light_json, light_re, light_signal, light_typing

__all__ = [
    "MONITOR", "PROGRAM", "build", "install", "light_json", "light_re", "light_signal", "light_typing", "program",
    "remove_unused",
]  # fmt: skip

#: The package above this one: where all the floors are.
_FLOORS = (__package__ or "").rpartition(".")[0]
_NAME = "nsrun"
#: What a monitor needs; a test holds that nothing they import is missing.
MONITOR: t.Final = (
    "_cgroup.devices",
    "_cgroup.group",
    "_cgroup.hierarchy",
    "_cgroup.settings",
    "_cgroup.systemd",
    "_cgroup.tree",
    "_kernel.bpf",
    "_kernel.capability",
    "_kernel.files",
    "_kernel.mount",
    "_kernel.mount_api",
    "_kernel.namespace",
    "_kernel.overlay",
    "_kernel.path",
    "_kernel.process",
    "_kernel.seccomp",
    "_kernel.syscall",
    "_kernel.sysctl",
    "_model.errors",
    "_model.field",
    "_model.quantities",
    "_netlink.address",
    "_netlink.link",
    "_netlink.message",
    "_runtime.archive",
    "_runtime.attributes",
    "_runtime.birth",
    "_runtime.bundle",
    "_runtime.copy_up",
    "_runtime.devices",
    "_runtime.groups",
    "_runtime.hooks",
    "_runtime.init",
    "_runtime.labels",
    "_runtime.launch",
    "_runtime.monitor",
    "_runtime.mount_options",
    "_runtime.mounts",
    "_runtime.network",
    "_runtime.payload",
    "_runtime.points",
    "_runtime.resources",
    "_runtime.schema",
    "_runtime.seccomp",
    "_runtime.seccomp_listener",
    "_runtime.spec",
    "_runtime.standins.light_json",
    "_runtime.standins.light_re",
    "_runtime.standins.light_signal",
    "_runtime.standins.light_typing",
    "_runtime.state",
    "_runtime.stub",
    "_runtime.usernamespace",
    "_runtime.users",
)
#: What is said at the end of the file that is executed first.
_STAY = f"from {_NAME}._runtime import monitor\nmonitor.stay(sys.argv[2])\n"
_COMMAND = f"import gc\ngc.disable()\nfrom {_NAME}._runtime import command\nleave(command.main(sys.argv[1:]))\n"
#: Libraries whose import costs more than what is used of them.
_REPLACED = re.compile(r"^( *)import (json|re|signal|typing)( as \w+)?$", re.MULTILINE)
_STANDINS = "_runtime/standins/"
#: What is executed first.
PROGRAM = "_runtime.program"
_MAGIC: t.Final = importlib.util.MAGIC_NUMBER
#: Floors that the command line is made of.
_WHOLE: t.Final = ("_model", "_kernel", "_netlink", "_cgroup", "_runtime")


def install() -> str:
    """Put the archive on the host, if it is not there.

    :returns: its path.
    """
    if not _FLOORS.startswith("ansible_collections."):  # this is the archive already
        return sys.argv[0]
    path = os.path.join(SHARED, f"{_NAME}-{_digest()}.pyz")
    if not os.path.exists(path):
        files.write_with_directory(path, _archive(_sources()), 0o500)
    return path


def remove_unused() -> None:
    """Remove all that containers share, if there is none that could be started with it."""
    if not any_left():
        for name in files.list_directory(SHARED):
            files.remove(os.path.join(SHARED, name))
        files.remove_empty(SHARED, os.path.dirname(SHARED))


@functools.cache
def _digest() -> str:
    """What tells one version of the archive from another."""
    digest = hashlib.sha256()
    for name, source in sorted(_sources().items()):
        digest.update(f"{name}\0{source}\0".encode())
    return digest.hexdigest()[:16]


@functools.cache
def _sources() -> dict[str, str]:
    """File name in the monitor's archive to content. They may themselves come out of an archive: that of a task."""
    found = {f"{name.replace('.', '/')}.py": _source(name) for name in MONITOR}
    return _completed(found, _source(PROGRAM) + _STAY)


def _source(name: str) -> str:
    spec = t.cast("t.Any", importlib.util.find_spec(f"{_FLOORS}.{name}"))
    return t.cast("str", spec.loader.get_source(spec.name))


def _completed(sources: t.Mapping[str, str], main: str) -> dict[str, str]:
    """Files, with those that make packages of their directories, and the one that is executed."""
    found = {f"{_NAME}/{name}": _light(name, source) for name, source in sources.items()}
    packages = {_NAME}
    for name in found:
        folders = name.split("/")[:-1]
        packages |= {"/".join(folders[:depth]) for depth in range(1, len(folders) + 1)}
    return {**found, **{f"{package}/__init__.py": "" for package in packages}, "__main__.py": main}


def _light(name: str, source: str) -> str:
    """A source that imports stand-ins; each of them imports the library that it stands for."""

    def replaced(match: re.Match[str]) -> str:
        indent, library, alias = match.groups(default="")
        if name == f"{_STANDINS}light_{library}.py":
            return match[0]
        place = f"{_NAME}.{_STANDINS[:-1].replace('/', '.')}"
        return f"{indent}from {place} import light_{library}{alias or f' as {library}'}"

    return _REPLACED.sub(replaced, source)


def _archive(sources: t.Mapping[str, str]) -> bytes:
    """The archive, with code that this version of Python need not compile; others find the sources beside it."""
    compiled = {name: _compiled(name, source) for name, source in sources.items()}
    code = {_module(name): (name.endswith("/__init__.py"), marshal.dumps(each)) for name, each in compiled.items()}
    main = code.pop("__main__")[1]
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        # Of code that is not compared with its source (PEP 552: flag 1, and a hash of 8 bytes).
        archive.writestr(zipfile.ZipInfo("__main__.pyc"), _MAGIC + (1).to_bytes(4, "little") + bytes(8) + main)
        archive.writestr(zipfile.ZipInfo(f"code-{_MAGIC.hex()}"), marshal.dumps(code))
        for name in sorted(sources):
            archive.writestr(zipfile.ZipInfo(name), sources[name], zipfile.ZIP_DEFLATED)
    return data.getvalue()


def _module(name: str) -> str:
    """The module of a file."""
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _compiled(name: str, source: str) -> CodeType:
    return compile(source, name, "exec", dont_inherit=True, optimize=2)


def build(path: str, python: str = "/usr/bin/python3") -> None:
    """Write the program.

    :param path: of the new file.
    :param python: the interpreter that executes it.
    """
    floors = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found = {}
    for floor in _WHOLE:
        for folder, _folders, inside in os.walk(os.path.join(floors, floor)):
            for name in inside:
                if name.endswith(".py"):
                    place = os.path.join(folder, name)
                    with open(place, encoding="utf-8") as file:
                        found[os.path.relpath(place, floors)] = file.read()
    content = f"#!{python} -IS\n".encode() + _archive(_completed(found, _source(PROGRAM) + _COMMAND))
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    files.write_whole(os.path.abspath(path), content, 0o755)


if __name__ == "__main__":
    build(*sys.argv[1:])
