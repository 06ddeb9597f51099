# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments of the matrix: controllers with their ansible-core, targets with their pyroute2.

    python -m support.environments [NAME...]

makes those of these names, or all; what is there already is kept while it is asked for with the same words. One whose
interpreter is missing is left out, and :func:`python` then skips the test.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import typing as t

from support import interpreters

ROOT = pathlib.Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements"
DIRECTORY = ROOT / ".cache" / "matrix"


class Environment(t.NamedTuple):
    """A virtual environment, described."""

    name: str
    version: str  #: of Python
    requirements: tuple[str, ...]  #: words for pip

    @property
    def bin(self) -> pathlib.Path:
        """Directory of its programs."""
        return DIRECTORY / self.name / "bin"


def _newest_pyroute2() -> str:
    """The version that the tests on this machine use, too."""
    found = re.search(r"^pyroute2==(\S+)", (REQUIREMENTS / "test.txt").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise LookupError("requirements/test.txt: expected a line pyroute2==VERSION")
    return found[1]


#: The newest that Debian 12 can run, and the newest. requirements/site.txt says which ansible-core goes with a Python.
CONTROLLERS: t.Final = tuple(
    Environment(f"core-{core}", version, ("--requirement", str(REQUIREMENTS / "site.txt")))
    for core, version in (("2.19", "3.11"), ("2.21", "3.13"))
)
TARGETS: t.Final = tuple(
    Environment(
        f"python-{version}-pyroute2-{pyroute2}",
        version,
        ("--requirement", str(REQUIREMENTS / "target.txt"), f"pyroute2=={pyroute2}"),
    )
    for version in interpreters.TARGETS
    for pyroute2 in ("0.7.2", _newest_pyroute2())
)


def make(environment: Environment) -> None:
    """Make an environment, unless it is there or its interpreter is missing.

    :raises subprocess.CalledProcessError: pip could not install what it needs.
    """
    interpreter = interpreters.find(environment.version)
    if interpreter is None:
        print(f"{environment.name}: {interpreters.lacks(environment.version)}")
        return
    files = [pathlib.Path(word) for word in environment.requirements if word.startswith("/")]
    wanted = "\n".join([interpreter, *environment.requirements, *(file.read_text("utf-8") for file in files)])
    stamp = DIRECTORY / environment.name / "made-from"
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return
    print(f"{environment.name}: made")
    subprocess.run([interpreter, "-m", "venv", "--clear", environment.bin.parent], check=True)
    pip = [str(environment.bin / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, *environment.requirements], check=True)
    stamp.write_text(wanted, encoding="utf-8")


def main(names: list[str]) -> None:
    """Make the environments of these names, or all."""
    for environment in (*CONTROLLERS, *TARGETS):
        if not names or environment.name in names:
            make(environment)


if __name__ == "__main__":
    main(sys.argv[1:])
