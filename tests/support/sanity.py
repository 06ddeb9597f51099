# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``ansible-test sanity``, all of it, without an ignore file.

    python -m support.sanity OUTPUT [OPTION...]

It wants the collection in a directory that is named like it and not a link to another, so it gets a copy of what git
knows, but for the tests, which users do not get and which other tools check more strictly. Its tools go into virtual
environments below ``.cache``, by pip; what it would download from a server of its own, pip's bootstrap script, is
Python's own ``ensurepip`` here. Further options go to ansible-test.
"""

from __future__ import annotations

import glob
import os
import pathlib
import shutil
import subprocess
import sys

from support import interpreters

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / ".build" / "sanity" / "ansible_collections" / "nsfleet" / "linux"
HOME = ROOT / ".cache" / "ansible-test"
BOOTSTRAP = "import ensurepip\n\nensurepip.bootstrap(default_pip=True)\n"
#: Where ansible-test looks before it downloads the bootstrap script of the version of pip that it is made for.
BOOTSTRAP_FILE = HOME / ".ansible" / "test" / "cache" / "get_pip_24_2.py"
#: Of the tests, it reads which Pythons modules are for.
TESTS, CONFIGURATION = "tests/", "tests/config.yml"
#: What ansible-test reports of a test for files of a kind that is not there: nothing was left out.
NOTHING_TO_TEST = "No tests applicable."


def copy() -> None:
    """Everything that git knows or would take, but for the tests, in a repository of its own."""
    shutil.rmtree(COPY, ignore_errors=True)
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if name.startswith(TESTS) and name != CONFIGURATION:
            continue
        if os.path.lexists(ROOT / name):  # not one that was removed and is not committed
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)


def environment() -> dict[str, str]:
    """With a home for ansible-test, and every Python that a target may have, before what else is in PATH."""
    BOOTSTRAP_FILE.parent.mkdir(parents=True, exist_ok=True)
    BOOTSTRAP_FILE.write_text(BOOTSTRAP, encoding="ascii")
    home = pathlib.Path.home()
    pythons = [os.path.dirname(path) for path in map(interpreters.find, interpreters.TARGETS) if path]
    own = {
        "HOME": str(HOME),
        "XDG_CONFIG_HOME": os.environ.get("XDG_CONFIG_HOME", str(home / ".config")),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(home / ".cache")),
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), *pythons, os.environ["PATH"]]),
    }
    return {**os.environ, **own}


def report(output: pathlib.Path) -> None:
    """Take over what the tests reported, but not that there was nothing to test."""
    output.mkdir(parents=True, exist_ok=True)
    for path in glob.glob(str(COPY / "tests" / "output" / "junit" / "*.xml")):
        if NOTHING_TO_TEST not in pathlib.Path(path).read_text(encoding="utf-8"):
            shutil.copy(path, output / os.path.basename(path).replace("ansible-test-", "", 1))


def main(words: list[str]) -> int:
    """Run it.

    :returns: exit status of ansible-test.
    """
    copy()
    command = ["ansible-test", "sanity", "--junit", "--color", "no", *words[1:]]
    status = subprocess.run(command, cwd=COPY, env=environment(), check=False).returncode
    report(pathlib.Path(words[0]).resolve())
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
