# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every case starts and ends on a host without any object of ours; it fails if it leaves one."""

from __future__ import annotations

import fcntl
import functools
import gc
import importlib
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import archive
from support import world
from support.abilities import has
from support.bundle import Bundle, Runtime

#: Package and directory of the collection's own libraries.
PACKAGE, FLOORS = archive.__name__.removesuffix("._runtime.archive"), pathlib.Path(archive.__file__).parents[1]
#: Of ``/dev/loop-control`` (``linux/loop.h``).
LOOP_CTL_ADD, LOOP_CTL_REMOVE = 0x4C80, 0x4C81


@pytest.fixture(scope="session", autouse=True)
def ip_netns_was_here() -> None:
    """ip-netns(8) mounts its directory when it is first used, and leaves it so: that is no change of ours."""
    world.sh("ip netns add first && ip netns delete first")


@pytest.fixture(scope="session", autouse=True)
def code_is_there() -> t.Iterator[None]:
    """What modules import and compile when they write is there once, here, and not again in the process of every run.

    What a run imports where Ansible sends it, the playbooks of ``test_examples`` and ``tests/site`` tell.
    """
    importlib.import_module("pyroute2")
    for path in FLOORS.rglob("*.py"):
        name = ".".join(path.relative_to(FLOORS).with_suffix("").parts)
        if name != archive.PROGRAM:  # which runs when it is imported
            importlib.import_module(f"{PACKAGE}.{name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "_compiled", functools.cache(archive._compiled))
        archive._archive(archive._sources())
        gc.freeze()
        yield


@pytest.fixture(autouse=True)
def clean_host() -> t.Iterator[None]:
    """Fail where a case leaves something behind after it removed its objects."""
    if not os.environ.get("NSFLEET_SANDBOX"):
        pytest.fail("these cases change the host: run them by 'make cases', which gives them one of their own")
    before = world.snapshot()
    yield
    after = world.snapshot()
    wipe()
    assert world.difference(before, after) == [], "the case left something on the host"


@pytest.fixture
def sleeper() -> t.Iterator[int]:
    """A process that does nothing."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def disk() -> t.Iterator[str]:
    """A disk without anything in it that nobody else has: a loop device, with the scheduler BFQ if there is one."""
    with open("/dev/loop-control", "rb") as control:
        number = fcntl.ioctl(control, LOOP_CTL_ADD, -1)
        try:
            if has("the disk scheduler BFQ"):
                world.sh(f"echo bfq > /sys/block/loop{number}/queue/scheduler")
            yield world.sh(f"cat /sys/block/loop{number}/dev").strip()
        finally:
            fcntl.ioctl(control, LOOP_CTL_REMOVE, number)


def wipe() -> None:
    """Remove what a case made, by other means than the collection."""
    for name in world.namespaces():
        subprocess.run(["ip", "netns", "delete", name], check=False)
    for link in world.ask("ip -j link"):
        if link["ifname"] not in ("lo", "eth0"):
            subprocess.run(["ip", "link", "delete", link["ifname"]], capture_output=True, check=False)
    world.sh("nft flush ruleset; rm -rf /run/nsfleet /var/lib/nsfleet/* /etc/netns")
    world.sh(
        "cat $(find /sys/fs/cgroup -path '*/nsfleet*/cgroup.procs') /dev/null | sort -u | xargs -r kill -9 || true"
    )
    world.sh(
        "find /sys/fs/cgroup -depth -type d '(' -path '*/nsfleet*/*' -o -name 'nsfleet*' ')' -exec rmdir {} + || true"
    )


# --- the runtime as a program ----------------------------------------------------------


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of ``nsrun``, made from the sources."""
    path = str(tmp_path_factory.mktemp("build") / "nsrun")
    archive.build(path, sys.executable)
    return path


@pytest.fixture
def nsrun(program: str, tmp_path: pathlib.Path) -> t.Iterator[Runtime]:
    """The runtime, with a place of its own for its containers, which it leaves empty."""
    runtime = Runtime(program, "--root", str(tmp_path / "state"))
    yield runtime
    for name in runtime("list", "--quiet").split():
        runtime("delete", "--force", name)
    assert not (tmp_path / "state").exists() or not os.listdir(tmp_path / "state")


@pytest.fixture
def bundle(tmp_path: pathlib.Path) -> Bundle:
    """A bundle whose programs are the host's own."""
    return Bundle(tmp_path / "bundle")
