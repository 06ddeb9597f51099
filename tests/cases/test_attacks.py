# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks that were published against other runtimes, on ``nsrun``: by images, payloads, neighbours and bundles.

What enemies of the module ``container`` do, ``test_hostile_rootfs.py`` has. ``docs/security.md`` says which test stands
for which weakness.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import capability
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import payload
from support import laws, oci, world
from support.bundle import CAPABILITIES, SETS, Bundle, Runtime
from support.enemy import digest, sha256, swapping
from support.invoke import invoke

PYTHON = "/usr/bin/python3"
Victim = pathlib.Path


@pytest.fixture
def victim(tmp_path: pathlib.Path) -> t.Iterator[Victim]:
    """Something on the host that an enemy is after, and that has to stay as it is."""
    place = tmp_path / "victim"
    (place / "sys/net/ipv4").mkdir(parents=True)
    for name in ("file", "null", "sys/net/ipv4/ip_forward", "oom_score_adj"):
        (place / name).write_text("untouched")
    before = digest(place)
    yield place
    assert digest(place) == before


def without(bundle: Bundle, *destinations: str) -> None:
    """Take mounts away."""
    bundle.spec["mounts"] = [each for each in bundle.spec["mounts"] if each["destination"] not in destinations]


def bind(bundle: Bundle, source: str | pathlib.Path, destination: str, *options: str) -> None:
    """Add a bind mount."""
    entry = {"type": "bind", "source": str(source), "destination": destination, "options": ["bind", *options]}
    bundle.spec["mounts"].append(entry)


def own_users(bundle: Bundle) -> None:
    """Give the container a user namespace, and a root that its root may write to."""
    for kind in ("uidMappings", "gidMappings"):
        bundle.spec["linux"][kind] = [{"containerID": 0, "hostID": 200000, "size": 1000}]
    bundle.namespace("user")
    for place in (bundle.root, bundle.root / "data", bundle.root / "tmp"):
        os.chown(place, 200000, 200000)


@contextlib.contextmanager
def created(nsrun: Runtime, bundle: Bundle) -> t.Iterator[int]:
    """A container that may not come to be, but then only with an error of its own; pid of its first process, or 0."""
    with open(bundle.directory / "said", "w+", encoding="utf-8") as said:
        words = ["create", "-b", str(bundle.directory), "--pid-file", str(bundle.directory / "pid"), "case"]
        done = subprocess.run([*nsrun.program, *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False)
        said.seek(0)
        assert "Traceback" not in said.read()
    yield 0 if done.returncode else int((bundle.directory / "pid").read_text())
    nsrun("delete", "--force", "case")


class Mounted(t.NamedTuple):
    """A line of ``/proc/PID/mountinfo``."""

    number: str
    above: str
    root: str
    place: str
    kind: str
    options: set[str]


def mounts_of(pid: int) -> list[Mounted]:
    """The mounts that a process sees."""
    lines = (line.split() for line in pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines())
    return [Mounted(w[0], w[1], w[3], w[4], w[w.index("-") + 1], set(w[5].split(","))) for w in lines]


# --- places that change -----------------------------------------------------------------


@pytest.mark.parametrize("target", ["outside", "inside"])
def test_targets_of_mounts_change_all_the_time(nsrun: Runtime, bundle: Bundle, victim: Victim, target: str) -> None:
    """CVE-2021-30465, CVE-2024-45310: sixty mounts a start, each of which may meet the link in another moment."""
    (bundle.root / "data/place/below").mkdir(parents=True)
    (bundle.root / "data/link").symlink_to(victim if target == "outside" else f"../../../../../..{victim}")
    for number in range(20):
        bind(bundle, "/etc/hostname", f"/data/place/file{number}")
        bind(bundle, "/etc", f"/data/place/new{number}/folder", "ro")
        bundle.spec["mounts"].append({"destination": "/data/place/below", "type": "tmpfs", "options": ["tmpcopyup"]})
    bundle.write()
    with swapping(bundle.root / "data", b"place", b"link"):
        for _attempt in range(10):
            with created(nsrun, bundle) as pid:
                assert not [each for each in mounts_of(pid or os.getpid()) if str(victim) in each.place]
                assert not [each for each in mounts_of(os.getpid()) if str(victim) in each.place]


def test_proc_of_the_root_changes_all_the_time(nsrun: Runtime, bundle: Bundle) -> None:
    """CVE-2019-19921, CVE-2025-31133: what is to be hidden and read-only is so in the kernel's own, not in a false one.

    In another mount namespace, a directory can be renamed though something is mounted on it here.
    """
    hidden = ["interrupts", "timer_list", "version"]
    (bundle.root / "false/sys").mkdir(parents=True)
    for name in hidden:
        (bundle.root / "false" / name).touch()
    bundle.spec["linux"]["maskedPaths"] = [f"/proc/{name}" for name in hidden]
    bundle.write()
    seen = 0
    with swapping(bundle.root, b"proc", b"false"):
        for _attempt in range(20):
            with created(nsrun, bundle) as pid:
                if pid:
                    mounted = mounts_of(pid)
                    (proc,) = [each for each in mounted if (each.kind, each.root) == ("proc", "/")]
                    covers = [each.place.rpartition("/")[2] for each in mounted if each.above == proc.number]
                    assert sorted(covers) == sorted([*hidden, "sys"])
                    seen += 1
    assert seen, "no container was ever made, so this proves nothing"


@pytest.mark.parametrize("mounted", [True, False])
@pytest.mark.parametrize("above", ["", "../../../../../.."])
def test_dev_is_a_link(nsrun: Runtime, bundle: Bundle, victim: Victim, mounted: bool, above: str) -> None:
    """CVE-2026-41579, CVE-2026-47766: devices and links were made at the end of it, some on the host."""
    if not mounted:
        without(bundle, "/dev", "/dev/pts")
    (bundle.root / "dev").rmdir()
    (bundle.root / "dev").symlink_to(f"{above}{victim}")
    nsrun.refuses("run", "-b", str(bundle.write("true")), "case")


@pytest.mark.parametrize("name", ["null", "console", "ptmx", "pts"])
def test_things_in_dev_without_a_mount_are_links(nsrun: Runtime, bundle: Bundle, victim: Victim, name: str) -> None:
    """CVE-2026-88264, CVE-2026-88265, CVE-2025-52565: nothing at their end is opened, given away or mounted on."""
    without(bundle, "/dev", "/dev/pts")
    (bundle.root / "dev" / name).symlink_to(f"../../../../../../..{victim}/null")
    (bundle.root / "data/inside").write_text("untouched")
    bundle.spec["linux"]["maskedPaths"] = ["/proc/timer_list"]
    with console(bundle) as (place, _listener):
        done = nsrun.call("create", "--console-socket", place, "-b", str(bundle.write(terminal=True)), "case")
        assert done.returncode != 0
        assert "Traceback" not in done.stderr


@contextlib.contextmanager
def console(bundle: Bundle) -> t.Iterator[tuple[str, socket.socket]]:
    """A console socket."""
    place = str(bundle.directory / "console")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        yield place, listener


def test_console_of_a_shared_dev_changes_all_the_time(nsrun: Runtime, bundle: Bundle, victim: Victim) -> None:
    """CVE-2025-52565: what is mounted on ``/dev/console``, and where, with a ``/dev`` that an enemy has, too."""
    shared = bundle.directory / "shared"
    (shared / "pts").mkdir(parents=True)
    (shared / "link").symlink_to(f"../../../../../..{victim}/file")
    (shared / "other").symlink_to("/proc/sys/kernel/domainname")
    (shared / "console").touch()
    without(bundle, "/dev", "/dev/pts")
    bind(bundle, shared, "/dev")
    entry = {"type": "devpts", "source": "devpts", "destination": "/dev/pts", "options": ["newinstance"]}
    bundle.spec["mounts"].append(entry)
    bundle.write(terminal=True)
    with console(bundle) as (place, _listener), swapping(shared, b"console", b"link"):
        for _attempt in range(20):
            with swapping(shared, b"console", b"other"):
                done = nsrun.call("run", "--detach", "--console-socket", place, "-b", str(bundle.directory), "case")
            assert "Traceback" not in done.stderr
            if done.returncode == 0:
                pid = nsrun.state("case")["pid"]
                (terminal,) = [each.place for each in mounts_of(pid) if each.kind == "devpts" and each.root != "/"]
                assert os.path.dirname(terminal) == "/dev"
            nsrun("delete", "--force", "case")


# --- what we open for the container -------------------------------------------------------


@pytest.fixture
def poisoned_dev(tmp_path: pathlib.Path, clean_host: None) -> t.Iterator[pathlib.Path]:
    """What a container is given as ``/dev``, and an enemy filled."""
    del clean_host
    oci.make_root()
    place = tmp_path / "dev"
    place.mkdir()
    yield place
    oci.remove_root()


@pytest.mark.parametrize("target", ["/proc/self/fd/300", "/proc/thread-self/fd/300", "/srv/plain"])
def test_null_is_what_is_called_so(poisoned_dev: pathlib.Path, victim: Victim, target: str) -> None:
    """CVE-2026-88265: what the payload gets as its standard input is a file that its starter has open."""
    (poisoned_dev / "null").symlink_to(target)
    pathlib.Path(oci.ROOT, "srv/plain").write_text("untouched")
    given = os.dup2(os.open(victim / "file", os.O_RDWR), 300)
    spec = oci.described({"destination": "/dev", "source": str(poisoned_dev), "options": ["rbind"]})
    spec["mounts"] = [each for each in spec["mounts"] if not each["destination"].startswith("/dev/")]
    spec["linux"]["maskedPaths"] = []
    spec["process"]["args"] = ["/bin/sh", "-c", "echo stolen >&0; exec sleep 1000"]
    try:
        assert "dev/null" in oci.refusal(spec)
    finally:
        os.close(given)


def test_keys_of_the_caller_are_not_the_container_s(nsrun: Runtime, bundle: Bundle, poisoned_dev: pathlib.Path) -> None:
    """The session keyring is inherited; who is root in both reads its keys, in a command in the container, too."""
    del poisoned_dev
    code = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"  # keyctl(KEYCTL_GET_KEYRING_ID, session)
    libc = ctypes.CDLL(None)
    assert libc.syscall(250, 1, b"secret") > 0
    ours = {libc.syscall(250, 0, -3, 0), -1}
    nsrun.create("case", bundle.write("sleep", "1000"))
    nsrun("start", "case")
    found = int(nsrun("exec", "case", PYTHON, "-c", code))
    assert found not in ours
    assert int(nsrun("run", "-b", str(bundle.write(PYTHON, "-c", code)), "other")) not in ours
    spec = oci.described()
    del spec["linux"]["seccomp"]
    spec["process"]["args"] = ["/bin/sh", "-c", f"{PYTHON} -c '{code}' >/srv/found; exec sleep 1000"]
    with oci.running(spec):
        place = pathlib.Path(oci.ROOT, "srv/found")
        world.until(lambda: place.exists() and place.read_text())
        assert int(place.read_text()) not in ours
        told = invoke("container_exec", {"name": "case", "command": [PYTHON, "-c", code]})
        assert int(told["stdout"]) not in ours
