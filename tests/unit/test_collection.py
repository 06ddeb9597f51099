# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it: built, installed and listed by Ansible's own commands."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.executable).parent
#: What may stand at the top of the archive.
TOP = {
    "CHANGELOG.rst", "CONTRIBUTING.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "changelogs", "docs",
    "meta", "playbooks", "plugins", "roles",
}  # fmt: skip


def modules() -> set[str]:
    """Names of all modules."""
    return {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The archive that ansible-galaxy builds of what git knows, since a directory of work holds more."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("output")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    ansible("ansible-galaxy", "collection", "build", "--output-path", str(output), str(source))
    (archive,) = output.iterdir()
    return archive


def ansible(program: str, *words: str, collections: pathlib.Path | None = None) -> str:
    """Run a program of Ansible, and give its output."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections or "/nonexistent")}
    command = [str(BIN / program), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_archive_holds_what_users_need_and_no_more(built: pathlib.Path) -> None:
    assert re.fullmatch(r"nsfleet-linux-\d+\.\d+\.\d+\.tar\.gz", built.name)
    with tarfile.open(built) as archive:
        names = archive.getnames()
    assert {name.partition("/")[0] for name in names} == TOP
    assert not [name for name in names if "/." in name or name.endswith(".pyc")]
    assert built.stat().st_size < 1 << 20


@pytest.fixture(scope="module")
def installed(built: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Where ansible-galaxy installed the archive."""
    place = tmp_path_factory.mktemp("collections")
    ansible("ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", str(place), str(built))
    return place


NAMES: dict[str, t.Callable[[], set[str]]] = {
    "module": modules,
    "filter": lambda: {path.stem for path in (ROOT / "plugins" / "filter").glob("*.py")},
    "role": lambda: {path.name for path in (ROOT / "roles").iterdir()},
}


@pytest.mark.parametrize("kind", NAMES)
def test_installed_it_is_found(installed: pathlib.Path, kind: str) -> None:
    listed = ansible("ansible-doc", "--json", "--list", "-t", kind, "nsfleet.linux", collections=installed)
    assert set(json.loads(listed)) == {f"nsfleet.linux.{name}" for name in NAMES[kind]()}


def test_defaults_can_be_set_for_all_modules_at_once() -> None:
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert set(runtime["action_groups"]["all"]) == modules()
