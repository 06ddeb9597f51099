# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured beside ours: other runtimes, Podman, and what it takes to have them run on this host.

Every runtime keeps what it knows below a directory of the benchmark. Where one cannot be run, :attr:`Peers.remarks`
says so, with its own words; and also what was done so that one can.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import archive
from support.bundle import Bundle, Runtime
from support.engines import CACHES, Podman

#: Of version 2 beside version 1: crun (1.8) does not run where it names a controller.
CONTROLLERS = pathlib.Path("/sys/fs/cgroup/unified/cgroup.controllers")
#: The newest specification that crun 1.8 takes.
VERSION = "1.0.2"
#: Limits that every container of the benchmarks has.
RESOURCES = {"memory": {"limit": 256 << 20}, "cpu": {"quota": 50000, "period": 100000}, "pids": {"limit": 100}}
#: The same for Podman.
LIMITS = ("--memory", "256m", "--cpus", "0.5", "--pids-limit", "100")
PODMAN_NETWORK = "10.3.0.0/16"
PORT = 80
#: An HTTP server of a few hundred kilobytes.
ANSWERER = ("/bin/busybox", "httpd", "-f", "-p", str(PORT), "-h", "/data")


class Peers:
    """The runtimes that can be run here, ours among them, a bundle for them, and Podman with one of the others."""

    def __init__(self, place: pathlib.Path) -> None:
        self.place = place
        self.remarks: list[str] = []
        self.bundle = Bundle(place / "bundle")
        (self.bundle.root / "data/index.html").write_text("here\n")
        self.bundle.spec["ociVersion"] = VERSION
        self.bundle.spec["linux"]["resources"] = RESOURCES
        self.bundle.write("/bin/true")
        nsrun = place / "nsrun"
        archive.build(str(nsrun), "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else sys.executable)
        #: Name to program that takes the command line of an OCI runtime.
        self.runtimes: dict[str, Runtime] = {}
        for name, program in (("nsrun", str(nsrun)), ("crun", "crun"), ("runc", "runc")):
            self._try(name, Runtime(program, "--root", f"{place}/state-{name}"))
        self.podman = self._podman()

    @property
    def others(self) -> dict[str, Runtime]:
        """The runtimes that are not ours."""
        return {name: runtime for name, runtime in self.runtimes.items() if name != "nsrun"}

    def _try(self, name: str, runtime: Runtime) -> None:
        if not self.is_there(runtime.program[0]):
            return
        problem = self._problem(runtime)
        if "hybrid mode" in problem:
            hide_controllers(self.place)
            self.remarks.append(f"{name} runs since it is shown no controller of version 2; it had said: {problem}")
            problem = self._problem(runtime)
        if problem:
            self.remarks.append(f"{name} cannot be run here: {problem}")
        else:
            self.runtimes[name] = runtime

    def is_there(self, program: str) -> bool:
        """Whether there is a program; remarked on if not."""
        found = shutil.which(program) is not None
        if not found:
            self.remarks.append(f"there is no {program} on this host")
        return found

    def _problem(self, runtime: Runtime) -> str:
        done = runtime.call("run", "--bundle", str(self.bundle.directory), "try")
        return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it says nothing"])[-1]

    def _podman(self) -> Podman | None:
        if not self.others or not self.is_there("podman"):
            return None
        name = next(iter(self.others))
        self.remarks.append(f"podman runs {name}")
        directory = self.place / "podman"
        directory.mkdir()
        return Podman(directory, str(shutil.which(name)), "overlay")

    def make_podman_network(self) -> str:
        """A bridge of Podman's own.

        :returns: its name.
        """
        if self.podman is not None:
            self.podman("network", "create", "--disable-dns", "--subnet", PODMAN_NETWORK, "bench")
        return "bench"

    def end(self) -> None:
        """Remove what Podman leaves, and show controllers again."""
        if self.podman is not None:
            self.podman.end()
        subprocess.run(["umount", str(CONTROLLERS)], capture_output=True, check=False)


def hide_controllers(place: pathlib.Path) -> None:
    """Put an empty file over the list of controllers, in the mount namespace of the sandbox."""
    nothing = place / "nothing"
    nothing.touch()
    subprocess.run(["mount", "--bind", str(nothing), str(CONTROLLERS)], check=True)


@contextlib.contextmanager
def peers() -> t.Iterator[Peers]:
    """All of them, in a directory whose path is short enough for Podman."""
    for cache in CACHES:
        pathlib.Path(cache).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/tmp") as directory:
        found = Peers(pathlib.Path(directory))
        try:
            yield found
        finally:
            found.end()
