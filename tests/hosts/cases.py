# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run cases in a machine, as one Python process there.

    python -m hosts.cases [--base B] [--cgroup MODE] [--only-lacking [--most N]] [CASE...]

CASE is the name of a module, as in ``tests/cases/test_CASE.py``; without one: all. With ``--only-lacking`` only those
cases run that were skipped here (``make cases``) since this host lacks what they need (:mod:`support.abilities`);
with ``--most`` at most so many of them, in turn from every file and from everywhere in it.
The report goes to ``tests/output``, the exit status is that of pytest.
"""

from __future__ import annotations

import argparse
import glob
import os
import shlex
import subprocess
import sys
import typing as t
import xml.etree.ElementTree as xml

from hosts import image, settings
from hosts.machine import Machine, borrowed
from hosts.tools import Failure, put, run, say
from support import abilities

OUTPUT = os.path.join(settings.REPOSITORY, "tests", "output")
PLACE = "/root/nsfleet"
COLLECTION = ".build/ansible_collections/nsfleet"
REPORT = "report.xml"
SMALL = "hosts-small.xml"
NOTHING = "this host lacks nothing that a case needs"
SSH_FAILED = 255  #: exit status: the machine or the connection went away
SENT = ("pyproject.toml", "plugins", "tests/cases", "tests/support")


def send(machine: Machine) -> None:
    """Copy collection and cases to a machine.

    :raises Failure: it could not be done.
    """
    pack = ["tar", "-C", settings.REPOSITORY, "--exclude=__pycache__", "-czf", "-", *SENT]
    unpack = f"mkdir -p {PLACE}/{COLLECTION} && tar -C {PLACE} -xzf - && ln -sfn ../../.. {PLACE}/{COLLECTION}/linux"
    with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
        run(*machine.ssh(unpack), stdin=packing.stdout)
    if packing.returncode:
        raise Failure("tar could not pack the collection")


def test(machine: Machine, options: t.Sequence[str]) -> int:
    """Run pytest in a machine, whose host is the test's to change. Gives its exit status."""
    python = f"NSFLEET_SANDBOX=1 PYTHONPATH={image.LIBRARY} python3"
    command = f"cd {PLACE} && {python} -m pytest -q --color=no --junit-xml={REPORT} {shlex.join(options)}"
    return subprocess.run(machine.ssh(command), stdin=subprocess.DEVNULL, check=False).returncode


def fetch_report(machine: Machine, name: str) -> None:
    """Bring pytest's report back."""
    os.makedirs(OUTPUT, exist_ok=True)
    with open(os.path.join(OUTPUT, name), "wb") as file:
        run(*machine.ssh(f"cat {PLACE}/{REPORT}"), stdout=file)


def lacking() -> list[str]:
    """The tests that were skipped here and can be run there.

    :raises Failure: no case was run here.
    """
    reports = sorted(glob.glob(os.path.join(OUTPUT, "case-*.xml")))
    if not reports:
        raise Failure("no report of cases that ran here: run `make cases` first")
    found = [each for path in reports for each in xml.parse(path).iter("testcase") if _is_for_test_hosts(each)]
    return [f"{each.get('classname', '').replace('.', '/')}.py::{each.get('name')}" for each in found]


def sample(tests: t.Sequence[str], most: int) -> list[str]:
    """At most so many of the tests: as many of one file as of another, and evenly spread within it."""
    files: dict[str, list[str]] = {}
    for test_id in tests:
        files.setdefault(test_id.partition("::")[0], []).append(test_id)
    share, chosen = max(1, most // max(1, len(files))), []
    for found in files.values():
        number = min(share, len(found))
        chosen += [found[index * len(found) // number] for index in range(number)]
    return chosen[:most]


def _is_for_test_hosts(case: xml.Element) -> bool:
    skipped = case.find("skipped")
    return skipped is not None and abilities.ELSEWHERE in skipped.get("message", "")


def main(words: list[str]) -> int | str:
    """Run cases in a machine. Gives the exit status, or what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="bookworm", choices=list(settings.BASES))
    parser.add_argument("--cgroup", default="v2", choices=list(settings.CGROUP))
    parser.add_argument("--only-lacking", action="store_true")
    parser.add_argument("--most", type=int, default=sys.maxsize, help="of those, at most so many")
    parser.add_argument("--cold", action="store_true", help="boot, and keep no snapshot")
    parser.add_argument("--pytest", default="", type=shlex.split, help="more options of pytest")
    parser.add_argument("case", nargs="*")
    arguments = parser.parse_args(words)
    files = [f"tests/cases/test_{name}.py" for name in arguments.case] or ["tests/cases"]
    try:
        tests = sample(lacking(), arguments.most) if arguments.only_lacking else files
        if tests:
            return in_machine(arguments, tests)
    except Failure as failure:
        return f"hosts: {failure}"
    say(NOTHING)
    put(os.path.join(OUTPUT, SMALL), f'<testsuite name="hosts"><testcase name="{NOTHING}" /></testsuite>\n')
    return 0


def in_machine(arguments: argparse.Namespace, tests: list[str]) -> int:
    """Run tests in a machine of their own. Gives the exit status of pytest."""
    shape = {"base": arguments.base, "cgroup": arguments.cgroup, "mem": 1024, "cpus": 2, "lans": 0}
    with borrowed([f"cases-{os.getpid()}"], shape, cold=arguments.cold) as (machine,):
        send(machine)
        status = test(machine, [*arguments.pytest, *tests])
        if status != SSH_FAILED:
            name = SMALL if arguments.only_lacking else f"hosts-{arguments.base}-{arguments.cgroup}.xml"
            fetch_report(machine, name)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
