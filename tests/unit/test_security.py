# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of published weaknesses in ``docs/security.md``: the tests that it names are there."""

from __future__ import annotations

import pathlib
import re

import pytest

TESTS = pathlib.Path(__file__).parents[1]
HEADING = "## Published weaknesses, and the test that attacks"
TEXT = (TESTS.parent / "docs/security.md").read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
ROWS = [line.strip("|").split("|") for line in TEXT.splitlines() if line.startswith("|")][2:]
NAMED = re.compile(r"`(test_\w+)::(test_\w+)`")


def test_there_is_a_table() -> None:
    assert len(ROWS) > 30
    assert all(len(row) == 3 and all(cell.strip() for cell in row) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_every_test_of_the_table_is_there(row: list[str]) -> None:
    named = NAMED.findall(row[2])
    assert named, f"no test attacks: {row[0]}"
    for file, function in named:
        texts = [path.read_text(encoding="utf-8") for path in TESTS.rglob(f"{file}.py")]
        assert any(f"def {function}(" in text for text in texts), f"{file} has no {function}"
