# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of files on the controller: as sha256sum(1) says, and a file is read once in a run."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pathlib
import subprocess

import pytest
from ansible_collections.nsfleet.linux.plugins.plugin_utils import _digest


@pytest.fixture
def run(tmp_path: pathlib.Path) -> str:
    """The directory of a run."""
    folder = tmp_path / "run"
    folder.mkdir()
    return str(folder)


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    """A file that is read in more than one piece."""
    found = tmp_path / "file"
    found.write_bytes(os.urandom((1 << 20) + 5))
    return found


def as_told(file: pathlib.Path) -> str:
    """The digest, as sha256sum(1) says."""
    told = subprocess.run(["sha256sum", str(file)], check=True, capture_output=True, text=True).stdout
    return f"sha256:{told.split()[0]}"


def test_the_digest_is_right_also_of_another_content(file: pathlib.Path, run: str) -> None:
    assert _digest.digest_of(str(file), run) == as_told(file)
    file.write_bytes(os.urandom(file.stat().st_size))
    assert _digest.digest_of(str(file), run) == as_told(file)
    file.write_bytes(b"")
    assert _digest.digest_of(str(file), run) == as_told(file)


def test_a_file_is_read_once(file: pathlib.Path, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by several processes that ask at the same time, as Ansible does for its hosts."""
    reads, begun = file.parent / "reads", hashlib.sha256

    def counted() -> object:
        with reads.open("a", encoding="ascii") as told:
            told.write("read\n")
        return begun()

    monkeypatch.setattr(hashlib, "sha256", counted)
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.starmap(_digest.digest_of, [(str(file), run)] * 3, chunksize=1)
    assert found == [as_told(file)] * 3
    assert reads.read_text(encoding="ascii") == "read\n"
