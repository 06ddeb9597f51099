# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add up the JUnit files of all suites: what failed, what was skipped and why, and one closing line.

    python -m support.summary OUTPUT SUITE...

The files of a suite are ``SUITE.xml`` and ``SUITE-*.xml``. One without a test has failed: it died before.
"""

from __future__ import annotations

import collections
import pathlib
import re
import sys
import typing as t
import xml.etree.ElementTree as ET

#: pytest puts the place of the skip before its reason.
_PLACE = re.compile(r"^\S+:\d+: ")


class Tally(t.NamedTuple):
    """What the suites said."""

    passed: int
    failed: list[str]
    skipped: dict[str, int]  #: reason to number of tests


def reports(output: pathlib.Path, suite: str) -> list[pathlib.Path]:
    """The files of a suite."""
    return sorted([*output.glob(f"{suite}.xml"), *output.glob(f"{suite}-*.xml")])


def cases(path: pathlib.Path) -> t.Iterator[ET.Element]:
    """The tests in a file; one that was cut short counts as a test that failed."""
    try:
        yield from ET.parse(path).iter("testcase")
    except ET.ParseError:
        broken = ET.Element("testcase", name="its report is cut short")
        ET.SubElement(broken, "failure")
        yield broken


def add_up(output: pathlib.Path, suites: t.Sequence[str]) -> Tally:
    """Count every test once, also where the files of one suite look like those of another."""
    found = {path for suite in suites for path in reports(output, suite)}
    tests = {path: list(cases(path)) for path in sorted(found)}
    failed = [f"{suite}: no test" for suite in suites if not any(tests[path] for path in reports(output, suite))]
    passed, skipped = 0, collections.Counter[str]()
    for report, case in ((path.stem, case) for path, listed in tests.items() for case in listed):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{report}: {case.get('name')}")
        elif skip is not None:
            skipped[_PLACE.sub("", skip.get("message") or skip.text or "no reason given")] += 1
        else:
            passed += 1
    return Tally(passed, failed, dict(skipped))


def lines(tally: Tally) -> list[str]:
    """The summary; the last line is the one that runners of tests are known by."""
    skips = sorted(tally.skipped.items(), key=lambda item: (-item[1], item[0]))
    return [
        *(f"skipped {count}: {reason}" for reason, count in skips),
        *(f"FAILED {name}" for name in tally.failed),
        f"{tally.passed} passed, {len(tally.failed)} failed, {sum(tally.skipped.values())} skipped",
    ]


def main(words: list[str]) -> int:
    """Print the summary.

    :returns: 1 if a test failed, or none passed.
    """
    tally = add_up(pathlib.Path(words[0]), words[1:])
    print("\n".join(lines(tally)))
    return int(bool(tally.failed) or not tally.passed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
