# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines that drive an OCI runtime: Podman, and containerd. All that they keep is below a directory of the test."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pathlib
import platform
import signal
import subprocess
import tarfile
import typing as t

from support import world
from support.bundle import FOLDERS, LINKS, Runtime

#: Where Podman keeps things whatever it is told.
CACHES = ("/var/lib/containers/cache", "/var/cache/containers")
#: Where the runtime keeps profiles of system calls that it compiled.
PROFILES = "/var/lib/nsfleet/lib"
#: Where containerd has the runtime keep its containers.
KEPT = "/run/containerd/runc/default"
IMAGE = "localhost/empty:1"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_MEDIA = "application/vnd.oci.image"


def layer() -> bytes:
    """A root of directories without any file, as a tar archive."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name in FOLDERS:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name in filter(lambda name: os.path.islink(f"/{name}"), LINKS):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, f"usr/{name}"
            archive.addfile(entry)
    return written.getvalue()


def write_image(path: pathlib.Path) -> None:
    """Write an image of that root as an archive (image-spec, image-layout.md)."""
    blobs: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}

    def add(kind: str, data: bytes) -> dict[str, t.Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"{_MEDIA}.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    files = add("layer.v1.tar", layer())
    config = {
        "architecture": _MACHINES[platform.machine()], "os": "linux", "config": {"Env": ["PATH=/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [files["digest"]]},
    }  # fmt: skip
    parts = {"config": add("config.v1+json", json.dumps(config).encode()), "layers": [files]}
    manifest = add("manifest.v1+json", json.dumps({"schemaVersion": 2, **parts}).encode())
    manifest["annotations"] = {"io.containerd.image.name": IMAGE}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
    with tarfile.open(path, "w") as archive:
        for name, data in blobs.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


class Podman(Runtime):
    """Podman, with a place of its own.

    :param directory: its path has 40 characters at most, since Podman has sockets below it.
    :param program: path of the runtime.
    :param driver: how it keeps roots.
    :param groups: who makes control groups for it, ``cgroupfs`` for itself, or ``systemd``.
    """

    #: What containers of the tests have in common: the host's programs, and no network.
    OPTIONS: t.Final = ("--volume", "/usr:/usr:ro", "--network", "none")

    def __init__(self, directory: pathlib.Path, program: str, driver: str, groups: str = "cgroupfs") -> None:
        self._directory = directory
        folders = (f"--{name}={directory / name}" for name in ("root", "runroot", "tmpdir"))
        super().__init__("podman", *folders, f"--runtime={program}", f"--cgroup-manager={groups}",
                         f"--storage-driver={driver}", "--events-backend=file")  # fmt: skip
        settings = directory / "containers.conf"
        # The usual limits are more than a host without CAP_SYS_RESOURCE can give, and usual locks are in the /dev/shm
        # that the sandbox shares with the real host.
        settings.write_text(
            '[containers]\ndefault_ulimits = []\n[engine]\nlock_type = "file"\n'
            f'[network]\nnetwork_config_dir = "{directory}/networks"\n'
        )
        self.environment = {"CONTAINERS_CONF": str(settings), "TMPDIR": str(directory)}
        # In the directory, since conmon leaves files where it is started.
        self.given.update(env={**os.environ, **self.environment}, cwd=directory)

    def inspect(self, name: str) -> dict[str, t.Any]:
        """What it tells of a container."""
        return t.cast("dict[str, t.Any]", json.loads(self("inspect", name))[0])

    def pid(self, name: str) -> int:
        """The first process of a container."""
        return int(self.inspect(name)["State"]["Pid"])

    def end(self) -> None:
        """Remove all its containers, and what it leaves: groups, a mount, and what is kept for a next time."""
        self("rm", "--all", "--force", "--time", "0")
        world.until(lambda: not commands_with(str(self._directory)))  # conmon has it clean up, when we may be here
        world.sh(f"! mountpoint -q {self._directory}/root/overlay || umount {self._directory}/root/overlay")
        world.sh(f"rm -rf {PROFILES} {' '.join(f'{cache}/*' for cache in CACHES)}")
        world.until(lambda: remove_groups("libpod_parent"))


def commands_with(path: str) -> dict[int, list[str]]:
    """Pid and command line of all processes whose command line has a path in it, other than this one."""
    found = {}
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_text(errors="replace").split("\0")
            if int(file.parent.name) != os.getpid() and any(path in word for word in words):
                found[int(file.parent.name)] = words
    return found


def remove_groups(name: str) -> bool:
    """Remove a group and those below it, from all hierarchies.

    :returns: whether there is none any more.
    """
    world.sh(f"find /sys/fs/cgroup -depth -type d -path '*/{name}*' -exec rmdir {{}} + 2>&1 || true")
    return not world.sh(f"find /sys/fs/cgroup -type d -name {name}")


class Containerd(Runtime):
    """containerd with its client ctr, in a place of its own.

    :param directory: is made.
    :param program: path of the runtime.
    """

    def __init__(self, directory: pathlib.Path, program: str) -> None:
        directory.mkdir()
        self.directory = directory
        self._socket = directory / "socket"
        super().__init__("ctr", f"--address={self._socket}")
        self.options = ("--runc-binary", program, "--snapshotter", "native", "--mount",
                        "type=bind,src=/usr,dst=/usr,options=rbind:ro")  # fmt: skip
        settings = directory / "config.toml"
        settings.write_text(
            f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\n'
            'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n'
            f'[grpc]\naddress = "{self._socket}"\n'
        )
        self.runtime = Runtime(program, "--root", KEPT)
        # ctr forgets its option --runc-binary where it has options for one task, as for mapped users.
        (directory / "bin").mkdir()
        (directory / "bin/runc").symlink_to(program)
        environment = {**os.environ, "PATH": f"{directory}/bin:{os.environ['PATH']}"}
        self._log = (directory / "log").open("wb")
        given: dict[str, t.Any] = {"stdin": subprocess.DEVNULL, "stdout": self._log, "stderr": self._log}
        self._daemon = subprocess.Popen(["containerd", "--config", str(settings)], env=environment, **given)

    def begin(self) -> None:
        """Wait until it answers, and give it an image."""
        world.until(lambda: self.call("version").returncode == 0)
        write_image(self.directory / "image.tar")
        self("images", "import", "--snapshotter", "native", str(self.directory / "image.tar"))

    def tasks(self) -> dict[str, tuple[int, str]]:
        """Pid and status of all that runs, by name."""
        lines = (line.split() for line in self("tasks", "ls").splitlines()[1:])
        return {name: (int(pid), status) for name, pid, status in lines}

    def end(self) -> None:
        """Remove all its containers, and end it.

        :raises AssertionError: a process that stands between it and a container outlives the container.
        """
        try:
            for name in self.call("containers", "ls", "--quiet").stdout.split():
                self.call("tasks", "rm", "--force", name)
                self("containers", "rm", name)
            world.until(lambda: not self.shims())
        finally:
            self._daemon.terminate()
            self._daemon.wait(60)
            self._log.close()
            for pid in self.shims():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        world.sh(f"rm -rf {PROFILES}")
        world.until(lambda: remove_groups("default"))

    def shims(self) -> list[int]:
        """Processes that stand between it and its containers."""
        return [pid for pid, words in commands_with(str(self._socket)).items() if "shim" in words[0]]
