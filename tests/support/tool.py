# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a tool, and report it as one test in a JUnit file.

python -m support.tool REPORT.xml COMMAND [ARGUMENT...]
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET


def report(path: pathlib.Path, command: list[str], status: int) -> None:
    """Write the report: one test, with the name of the report."""
    suite = ET.Element("testsuite", name=path.stem, tests="1", failures=str(int(status != 0)))
    case = ET.SubElement(suite, "testcase", classname="tool", name=path.stem)
    if status != 0:
        ET.SubElement(case, "failure", message=f"{' '.join(command)}: exit status {status}")
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def main(words: list[str]) -> int:
    """Run and report.

    :returns: exit status of the tool.
    """
    path, command = pathlib.Path(words[0]), words[1:]
    status = subprocess.run(command, check=False).returncode
    report(path, command, status)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
