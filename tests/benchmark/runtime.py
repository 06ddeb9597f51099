# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime as a program beside others: one ``/bin/true`` in fresh namespaces with limits, whole processes.

Where another runtime cannot be run on this host, the table says so, with its own words.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import archive
from support.bundle import Bundle

#: Programs that take the command line of an OCI runtime.
OTHERS = ("runc", "crun")
_MOST = 12
RESOURCES = {"memory": {"limit": 256 << 20}, "cpu": {"quota": 50000, "period": 100000}, "pids": {"limit": 100}}


def runs(rounds: int) -> t.Iterator[str]:
    """Whole runs of all runtimes, interleaved.

    :param rounds: how often each is run.
    """
    yield "\n## One process in fresh namespaces with limits, by whole programs"
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        nsrun = str(place / "nsrun")
        archive.build(nsrun, "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable)
        bundle = Bundle(place / "bundle")
        bundle.spec["ociVersion"] = "1.0.2"  # what the oldest of them takes
        bundle.spec["linux"]["resources"] = RESOURCES
        bundle.write("/usr/bin/true")
        commands = {"nsrun": [nsrun], **{name: [name] for name in OTHERS if shutil.which(name)}}
        yield from _table(
            {name: [*words, "--root", f"{place}/state-{name}"] for name, words in commands.items()}, bundle, rounds
        )


def _table(commands: t.Mapping[str, list[str]], bundle: Bundle, rounds: int) -> t.Iterator[str]:
    able = {}
    for name, words in commands.items():
        problem = _problem(words, bundle)
        if problem:
            yield f"\n{name} cannot be run here: {problem}"
        else:
            able[name] = words
    seconds: dict[str, list[float]] = {name: [] for name in able}
    for number in range(rounds):
        for name, words in able.items():
            seconds[name].append(_once(words, bundle, f"bench-{number}"))
    yield "\n| what | ms | side by side with, ms | ratio |\n|---|---|---|---|"
    for name in able:
        if name != "nsrun":
            ratio = statistics.median(one / two for one, two in zip(seconds["nsrun"], seconds[name]))
            ours, theirs = (statistics.median(seconds[each]) * 1000 for each in ("nsrun", name))
            yield f"| nsrun run /usr/bin/true | {ours:.1f} | {name} run {theirs:.1f} | {ratio:.2f} |"


def _problem(words: list[str], bundle: Bundle) -> str:
    done = subprocess.run(
        _run(words, bundle, "try"), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def _once(words: list[str], bundle: Bundle, name: str) -> float:
    begun = time.perf_counter()
    subprocess.run(_run(words, bundle, name), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def _run(words: list[str], bundle: Bundle, name: str) -> list[str]:
    return [*words, "run", "--bundle", str(bundle.directory), name]


def imports(rounds: int) -> t.Iterator[str]:
    """What the program's imports cost, the dearest first (``python3 -X importtime``); once is enough."""
    del rounds
    yield "\n## What nsrun imports\n"
    with tempfile.TemporaryDirectory() as folder:
        nsrun = os.path.join(folder, "nsrun")
        archive.build(nsrun)
        command = ["/usr/bin/python3", "-IS", "-X", "importtime", nsrun, "features"]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    rows = [line.split("|") for line in told.splitlines() if line.startswith("import time:") and "[us]" not in line]
    found = sorted(((int(row[0].split(":")[1]), row[2].strip()) for row in rows), reverse=True)
    yield f"{len(found)} modules, {sum(own for own, _name in found) / 1000:.1f} ms; the dearest, in microseconds:"
    yield json.dumps({name: own for own, name in found[:_MOST]})
