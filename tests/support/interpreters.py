# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pythons of this machine, by version: the environment names one, or it is in PATH, or pyenv has it."""

from __future__ import annotations

import functools
import glob
import os
import re
import shutil
import subprocess

#: All that a target may have.
TARGETS = ("3.9", "3.10", "3.11", "3.12", "3.13")


def variable(version: str) -> str:
    """Environment variable that names the interpreter of a version: ``PYTHON_3_9``."""
    return f"PYTHON_{version.replace('.', '_')}"


@functools.cache
def find(version: str) -> str | None:
    """Path of an interpreter that runs and can make virtual environments; ``None`` if there is none.

    :param version: such as ``3.9``.
    """
    named = os.environ.get(variable(version))
    candidates = [named] if named else [shutil.which(f"python{version}"), *_of_pyenv(version)]
    return next((path for path in candidates if path and _is(path, version)), None)


def _of_pyenv(version: str) -> list[str]:
    """Interpreters that pyenv installed, the newest first. Its shims are no use: they run what is configured now."""
    root = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    found = glob.glob(f"{glob.escape(root)}/versions/{version}.*/bin/python{version}")
    return sorted(found, key=lambda path: [int(digits) for digits in re.findall(r"\d+", path)], reverse=True)


def _is(path: str, version: str) -> bool:
    """Whether it runs, is that version, and has what ``python -m venv`` needs."""
    script = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([path, "-c", script], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def lacks(version: str) -> str:
    """What to say where an interpreter is missing."""
    return f"this machine lacks Python {version} (looked in PATH and pyenv; {variable(version)}=PATH names one)"
