# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive of the runtime executes first (:mod:`.archive` appends what comes then).

Python's own importer looks for each module in the archive's directory and reads it from the file: with it, the modules
of one start took 22 ms. Here the code of all modules is read in one piece, and it takes 8 ms.
"""

from __future__ import annotations

import importlib.util
import marshal
import os
import sys
import zipimport
from importlib.machinery import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t
    from types import ModuleType


class _Finder:
    """Finder and loader of modules whose code is at hand (importlib, "finder", "loader").

    :param code: of all modules by their names: whether it is a package, and code as :mod:`marshal` writes it.
    """

    def __init__(self, code: dict[str, tuple[bool, bytes]]) -> None:
        self._code = code

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The module of a name, if it is one of the runtime's."""
        loader: t.Any = self
        found = self._code.get(name)
        return ModuleSpec(name, loader, is_package=found[0]) if found else None

    def create_module(self, spec: ModuleSpec) -> None:
        """Python makes the module object."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        exec(marshal.loads(self._code[module.__name__][1]), module.__dict__)


def install() -> None:
    """Let the finder answer from now on, if the code is of this version of Python."""
    spec = sys.modules["__main__"].__spec__
    if spec is None or not isinstance(spec.loader, zipimport.zipimporter):
        return
    try:
        data = spec.loader.get_data(f"{spec.loader.archive}/code-{importlib.util.MAGIC_NUMBER.hex()}")
    except OSError:
        return  # Python finds the sources
    finder: t.Any = _Finder(marshal.loads(data))
    sys.meta_path.insert(0, finder)


def leave(status: int) -> t.NoReturn:
    """End at once: taking the interpreter apart would cost more than some commands."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # nobody reads it any more
        status = status or 1
    os._exit(status)


if __name__ == "__main__":
    install()
