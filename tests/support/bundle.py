# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles for an OCI runtime, whose programs are the host's own, and the runtime as whoever drives it calls it."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import subprocess
import tempfile
import time
import typing as t

Spec = dict[str, t.Any]

SETS = ("bounding", "effective", "permitted")
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID"]
KINDS = ("pid", "network", "ipc", "uts", "mount", "cgroup")
#: Links of a root whose programs are all in /usr (file-hierarchy(7)).
LINKS = ("bin", "lib", "lib64", "sbin")
FOLDERS = ("usr", "proc", "sys", "dev", "tmp", "etc", "root", "data")
#: The least that a program needs, written by hand from the runtime-spec, not by our own code.
SPEC: Spec = {
    "ociVersion": "1.2.0",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["sleep", "1000"],
        "env": ["PATH=/usr/bin:/bin"],
        "cwd": "/",
        "capabilities": dict.fromkeys(SETS, CAPABILITIES),
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs"},
    "hostname": "inside",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {
            "destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
        {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in KINDS],
        "maskedPaths": ["/proc/kcore", "/proc/timer_list"],
        "readonlyPaths": ["/proc/sys"],
    },
}  # fmt: skip


class Bundle:
    """A bundle in a directory of its own, with a root of the host's programs.

    :param directory: is made.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.root = directory / "rootfs"
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True)
        for name in LINKS:
            if os.path.islink(f"/{name}"):
                (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "tmp").chmod(0o1777)
        self.spec = copy.deepcopy(SPEC)

    def write(self, *arguments: str, **process: t.Any) -> pathlib.Path:
        """Write the description.

        :param arguments: of the payload; the default sleeps.
        :param process: other fields of ``process``.
        :returns: the bundle's directory.
        """
        if arguments:
            self.spec["process"]["args"] = list(arguments)
        self.spec["process"].update(process)
        (self.directory / "config.json").write_text(json.dumps(self.spec))
        return self.directory

    def namespace(self, kind: str, path: str | None = None) -> None:
        """Give the container a namespace more, or another one of a kind."""
        spaces = self.spec["linux"]["namespaces"]
        spaces[:] = [each for each in spaces if each["type"] != kind]
        spaces.append({"type": kind, "path": path} if path else {"type": kind})


class Runtime:
    """A runtime that is called as a program.

    :param program: its path, perhaps with options.
    """

    def __init__(self, *program: str) -> None:
        self.program = program
        #: How it is called (``subprocess.run``), whatever the command.
        self.given: dict[str, t.Any] = {"stdin": subprocess.DEVNULL, "timeout": 60}

    def call(self, *words: str, **options: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it."""
        given = {**self.given, **options}
        return subprocess.run([*self.program, *words], capture_output=True, text=True, check=False, **given)

    def __call__(self, *words: str, **options: t.Any) -> str:
        """Run a command that is to succeed.

        :returns: its standard output.
        :raises AssertionError: it failed.
        """
        done = self.call(*words, **options)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def refuses(self, *words: str, **options: t.Any) -> str:
        """Run a command that is to fail.

        :returns: what it says.
        :raises AssertionError: it succeeded, or said nothing.
        """
        done = self.call(*words, **options)
        assert done.returncode != 0, f"{' '.join(words)} succeeded: {done.stdout}"
        assert done.stderr.strip(), "it failed without a word"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    def create(self, name: str, bundle: pathlib.Path, *words: str) -> int:
        """Create a container whose output nobody reads.

        :returns: pid of its first process.
        """
        self.quietly("create", *words, "--bundle", str(bundle), "--pid-file", f"{bundle}/pid", name)
        return int((bundle / "pid").read_text())

    def quietly(self, *words: str) -> None:
        """Run a command that leaves a process behind, whose output nobody reads.

        :raises AssertionError: it failed.
        """
        with tempfile.TemporaryFile("w+") as file:
            given = {**self.given, "stdout": file, "stderr": file}
            status = subprocess.run([*self.program, *words], check=False, **given).returncode
            file.seek(0)
            assert status == 0, file.read()

    def state(self, name: str) -> dict[str, t.Any]:
        """The state that it tells."""
        return t.cast("dict[str, t.Any]", json.loads(self("state", name)))

    def status(self, name: str) -> str:
        """The status that it tells."""
        return str(self.state(name)["status"])

    def until(self, name: str, status: str) -> None:
        """Wait until a container has a status.

        :raises AssertionError: it does not come to have it.
        """
        for _attempt in range(200):
            if self.status(name) == status:
                return
            time.sleep(0.05)
        raise AssertionError(f"{name} is {self.status(name)}, not {status}")
