# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers straight from a bundle's description, for what the runtime honours and no option of a module says."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container import Container
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import archive, lifecycle, state
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime.bundle import Bundle
from support import world

ROOT = "/srv/oci"
#: Programs come from the host, read-only; all else is the container's.
USR = {"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]}

Spec = dict[str, t.Any]


def mount_empty(path: str) -> None:
    """Mount something at an empty directory that can show other owners, and whose mounts nobody else sees.

    Overlays (the sandbox) never can, those on a disk since Linux 5.12, those in memory since 6.3.
    """
    world.sh(
        f"if test $(stat -f -c %T {path}) = overlayfs; then mount -t tmpfs -o mode=755 tmpfs {path}; "
        f"else mount --bind {path} {path}; fi && mount --make-private {path}"
    )


def make_root() -> None:
    """A small root file system, which can show other owners and has no links to anything."""
    os.makedirs(ROOT)
    mount_empty(ROOT)
    for name in ("usr", "etc", "tmp", "proc", "sys", "dev", "srv"):
        os.mkdir(f"{ROOT}/{name}")
    for name in ("bin", "sbin", "lib", "lib64"):
        os.symlink(f"usr/{name}", f"{ROOT}/{name}")


def remove_root() -> None:
    """Remove what :func:`make_root` made."""
    world.sh(f"umount -R {ROOT}")
    shutil.rmtree(ROOT)


def described(*mounts: t.Mapping[str, t.Any], **linux: t.Any) -> Spec:
    """The description of a container that sleeps.

    :param mounts: more mounts, after the usual ones.
    :param linux: fields of the section ``linux``; namespaces are added to the usual ones.
    """
    options = {"name": "case", "state": "started", "rootfs": ROOT, "command": ["/bin/sleep", "1000"]}
    spec = Container(options).compose()
    del spec["linux"]["resources"]["unified"]["devices"]
    del spec["annotations"]["nsfleet.linux/limits"]  # so that its resources are those of anybody
    spec["annotations"]["nsfleet.linux/stop-signal"] = "SIGKILL"
    spec["mounts"] += [USR, *mounts]
    spec["linux"]["namespaces"] += linux.pop("namespaces", [])
    spec["linux"].update(linux)
    return spec


class Running:
    """A container that runs."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def inside(self, command: str) -> str:
        """What a shell command says that joins all namespaces of the container and its root."""
        words = command.replace("'", "'\\''")
        return world.sh(f"nsenter --target {self.pid} --all --root --wd=/ -- /bin/sh -c '{words}'").strip()

    def mount(self, place: str) -> dict[str, t.Any]:
        """What findmnt(8) says of the uppermost mount at a place, with sorted options."""
        columns = "TARGET,SOURCE,FSTYPE,VFS-OPTIONS,FS-OPTIONS,PROPAGATION"
        found: dict[str, t.Any] = world.ask(f"findmnt -J --list -N {self.pid} -o {columns}")
        line: dict[str, t.Any] = [each for each in found["filesystems"] if each["target"] == place][-1]
        return {**line, **{name: sorted(line[name].split(",")) for name in ("vfs-options", "fs-options")}}

    def attributes(self, place: str) -> set[str]:
        """Attributes of the mount at a place."""
        return set(self.mount(place)["vfs-options"])

    def propagation(self, place: str) -> set[str]:
        """Propagation of the mount at a place."""
        return set(self.mount(place)["propagation"].split(","))

    def path(self, place: str) -> str:
        """A place inside, as the host reaches it."""
        return f"/proc/{self.pid}/root{place}"


@contextlib.contextmanager
def running(spec: Spec) -> t.Iterator[Running]:
    """A container of a description, which is gone at the end."""
    bundle = Bundle("case")
    bundle.write(spec)
    try:
        lifecycle.start(bundle)
        yield Running(state.load("case").first.pid)
    finally:
        lifecycle.remove(bundle)
        archive.remove_unused()
        os.removedirs(bundle.directory)  # which belongs to whoever runs the runtime


def refusal(spec: Spec) -> str:
    """Why a container cannot be started.

    :raises AssertionError: it could.
    """
    try:
        with running(spec):
            pass
    except Exception as error:
        return str(error)
    raise AssertionError(f"it was started: {json.dumps(spec)}")
