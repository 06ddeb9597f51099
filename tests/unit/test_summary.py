# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The closing line of ``make test``: it counts everything once, and what left no result has failed."""

from __future__ import annotations

import pathlib

from support import summary, tool

REPORT = """<testsuites><testsuite name="s">
<testcase name="good"/>
<testcase name="bad"><failure message="no"/></testcase>
<testcase name="torn"><error message="no"/></testcase>
<testcase name="left out"><skipped message="tests/a.py:1: this host lacks a thing"/></testcase>
<testcase name="left out, too"><skipped>this host lacks a thing</skipped></testcase>
</testsuite></testsuites>"""


def test_every_test_is_counted_once(tmp_path: pathlib.Path) -> None:
    (tmp_path / "case-a.xml").write_text(REPORT, encoding="utf-8")
    tally = summary.add_up(tmp_path, ["case", "case-a"])
    assert tally == summary.Tally(1, ["case-a: bad", "case-a: torn"], {"this host lacks a thing": 2})
    assert summary.lines(tally) == [
        "skipped 2: this host lacks a thing",
        "FAILED case-a: bad",
        "FAILED case-a: torn",
        "1 passed, 2 failed, 2 skipped",
    ]


def test_a_suite_without_a_report_has_failed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "unit.xml").write_text("<testsuites><testcase name='a'/></testsuites>", encoding="utf-8")
    (tmp_path / "lint.xml").write_text("<testsuites><testca", encoding="utf-8")
    (tmp_path / "empty.xml").write_text("<testsuites/>", encoding="utf-8")
    words = [str(tmp_path), "unit", "lint", "cases", "empty"]
    assert summary.add_up(tmp_path, words[1:]).failed == [
        "cases: no test", "empty: no test", "lint: its report is cut short",
    ]  # fmt: skip
    assert summary.main(words) == 1
    assert summary.main([str(tmp_path), "unit"]) == 0


def test_a_tool_is_a_test(tmp_path: pathlib.Path) -> None:
    assert tool.main([str(tmp_path / "lint-good.xml"), "true"]) == 0
    assert tool.main([str(tmp_path / "lint-bad.xml"), "sh", "-c", "exit 3"]) == 3
    assert summary.add_up(tmp_path, ["lint"]) == summary.Tally(1, ["lint-bad: lint-bad"], {})
