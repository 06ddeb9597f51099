# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two at once, disks that are full or read-only, somebody who interferes, and files of ours that are damaged."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._plan import transaction
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import groups, monitor
from support import laws, world
from support.invoke import Run, invoke

Options = dict[str, t.Any]

WAIT = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 31536000 & wait"]
CONTAINER: Options = {"rootfs": "/", "overlay": "tmpfs", "command": WAIT, "stop_timeout": 1}


def task(kind: str, number: int) -> Options:
    """The task of a number of a kind; none of them gets in the way of another one."""
    tasks: dict[str, Options] = {
        "netns": {"name": f"case{number}", "sysctls": {"net.ipv4.ip_forward": 1}, "files": {"motd": str(number)}},
        "veth": {
            "name": f"case{number}",
            "addrgenmode": "none",
            "peer": {"name": f"peer{number}", "addrgenmode": "none"},
        },
        "bridge": {"name": f"case{number}", "addresses": [f"10.9.{number}.1/24"]},
        "cgroup": {"name": f"case/{number}", "pids_max": 5 + number},
        "route": {"destination": f"10.20.{number}.0/24", "type": "blackhole"},
        "nat": {"name": f"case{number}", "networks": [{"subnet": f"10.9.{number}.0/24", "link": f"case{number}"}]},
        "container": {"name": f"case{number}", **CONTAINER},
        "rootfs": {"path": f"/var/lib/nsfleet/rootfs/case{number}", "directory": "/etc/default"},
    }
    return tasks[kind]


KINDS = ("netns", "veth", "bridge", "cgroup", "route", "nat", "container", "rootfs")


def absent(options: Options) -> Options:
    """The task that removes what another one made."""
    kept = {name: value for name, value in options.items() if name in ("name", "destination", "peer", "path")}
    return {**kept, "state": "absent"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, clean_host: None) -> t.Iterator[str]:
    """A kind, on a host that forwards."""
    del clean_host
    world.sh("sysctl -qw net.ipv4.ip_forward=1")
    yield request.param
    world.sh("sysctl -qw net.ipv4.ip_forward=0")


# --- two at once -----------------------------------------------------------------


def at_once(runs: t.Sequence[Run]) -> list[bool]:
    """Wait for modules that run at the same time, which are to succeed; which of them changed something."""
    results = [run.result() for run in runs]
    for result in results:
        assert not result.failed, result["msg"]
    return [result.changed for result in results]


def test_at_once(kind: str) -> None:
    """Different tasks, and the same one three times: nothing is lost, and one of the three makes it."""
    first, second = task(kind, 1), task(kind, 2)
    changed = at_once([Run(kind, first), Run(kind, second), Run(kind, first), Run(kind, first)])
    assert changed[1]
    assert sorted((changed[0], changed[2], changed[3])) == [False, False, True]
    for options in (first, second):
        laws.settled(kind, options)
    changed = at_once([Run(kind, absent(options)) for options in (first, first, second)])
    assert sorted(changed) == [False, True, True]


def test_creation_and_removal_at_once(kind: str) -> None:
    """Whoever comes last decides; what is left is whole or not there."""
    options = task(kind, 1)
    for _round in range(3):
        at_once([Run(kind, options), Run(kind, absent(options)), Run(kind, options), Run(kind, absent(options))])
        there = not invoke(kind, absent(options), check=True).changed
        if not there:
            laws.settled(kind, options)
    laws.run(kind, absent(options))


def waits_for_a_lock(pid: int) -> bool:
    """Whether the kernel says so of a process (proc(5), ``/proc/locks``)."""
    return any(f" {pid} " in line for line in world.sh("grep -e '->' /proc/locks || true").splitlines())


def ended(pid: int) -> bool:
    """Whether a child has ended, which is still to be waited for then."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def test_group_of_monitors_is_not_removed_from_under_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever failed to start a container tidies up when another start has made the group, and is not in it yet."""
    make = groups.monitors

    def make_and_be_disturbed(host: t.Any = None) -> t.Any:
        made = make(host)
        other = os.fork()
        if other == 0:
            os.closerange(3, 256)  # locks are not its own
            groups.remove_empty()
            os._exit(0)
        world.until(lambda: ended(other) or waits_for_a_lock(other))
        return made

    monkeypatch.setattr(groups, "monitors", make_and_be_disturbed)
    options = task("container", 1)
    laws.run("container", options)
    monkeypatch.undo()
    (pid,) = world.sh("pgrep -of '^/bin/sh -c trap'").split()
    assert "nsfleet/monitors" in world.sh(f"cat /proc/$(ps -o ppid= -p {pid} | tr -d ' ')/cgroup")
    laws.settled("container", options)
    laws.run("container", absent(options))


def test_start_that_fails_leaves_no_monitor(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has said why it ends, and lives on: whoever asked for the start waits for its end."""
    laws.run("container", task("container", 2))
    before = world.snapshot()
    tell = monitor._tell

    def tell_and_live_on(writing: int, words: str) -> None:
        tell(writing, words)
        world.sh("sleep 1.2")

    monkeypatch.setattr(monitor, "_tell", tell_and_live_on)
    assert invoke("container", {**task("container", 1), "user": "nobody-at-all"}).failed
    assert world.difference(before, world.snapshot()) == []
    laws.run("container", absent(task("container", 2)))


# --- disks -------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(folder: str, options: str, fill: bool) -> t.Iterator[None]:
    """A file system in the place of a directory of ours, with a little room or none."""
    os.makedirs(folder, exist_ok=True)
    world.sh(f"mount -t tmpfs -o {options} none {folder}")
    try:
        if fill:
            subprocess.run(["sh", "-c", f"cat /dev/zero > {folder}/filling"], capture_output=True, check=False)
        yield
    finally:
        world.sh(f"umount {folder} && rmdir {folder} 2>/dev/null || true")


FOLDERS = dict.fromkeys(("container", "rootfs"), "/var/lib/nsfleet")


def refused_by_the_disk(kind: str, words: str) -> None:
    """The task fails and says why, and there is nothing of what it was to make."""
    options = task(kind, 1)
    before = everything_else()
    for _attempt in range(2):
        result = invoke(kind, options)
        assert result.failed, "it succeeded without writing anything down"
        assert words in result["msg"], result["msg"]
        assert "Traceback" not in str(result), result
        assert world.difference(before, everything_else()) == []


def everything_else() -> dict[str, t.Any]:
    """The host without the directory that is in question."""
    seen = world.snapshot()
    del seen["files"]["/run/nsfleet"], seen["files"]["/var/lib/nsfleet"]
    return seen


def test_disk_is_full(kind: str) -> None:
    with mounted(FOLDERS.get(kind, "/run/nsfleet"), "size=4k", fill=True):
        refused_by_the_disk(kind, "No space left on device")
    laws.run(kind, task(kind, 1))
    laws.run(kind, absent(task(kind, 1)))


def test_disk_is_read_only(kind: str) -> None:
    with mounted(FOLDERS.get(kind, "/run/nsfleet"), "ro", fill=False):
        refused_by_the_disk(kind, "Read-only file system")


@pytest.mark.parametrize("blocks", range(1, 12))
def test_disk_becomes_full(blocks: int) -> None:
    """After the journal, after the objects, or when all is done and is to be written down."""
    with mounted("/run/nsfleet", f"size={4 * blocks}k", fill=False):
        clean = everything_else()
        options = [{**task("netns", number), "sysctls": {"net.ipv4.ip_forward": number % 2}} for number in range(6)]
        results = [invoke("netns", each) for each in options]
        for each, result in zip(options, results):
            assert "Traceback" not in str(result)
            if result.failed:
                assert "No space left on device" in result["msg"]
                assert each["name"] not in world.namespaces()
            else:
                assert not laws.run("netns", each).changed
        for each in options:
            laws.run("netns", absent(each))
        assert world.difference(clean, everything_else()) == []


def test_state_of_a_container_cannot_be_written() -> None:
    """What the monitor has to write down is on another disk than the bundle."""
    with mounted("/run/nsfleet", "size=4k", fill=True):
        refused_by_the_disk("container", "No space left on device")
    laws.run("container", task("container", 1))
    laws.run("container", absent(task("container", 1)))


# --- somebody interferes -----------------------------------------------------------

INTERFERENCE = [
    ("netns", "ip netns exec case1 sysctl -qw net.ipv4.ip_forward=0", "sysctls[net.ipv4.ip_forward]"),
    ("netns", "ip netns delete case1", "absent"),
    ("veth", "ip link set case1 mtu 1300 down", "up"),
    ("veth", "ip link delete case1", "absent"),
    ("bridge", "ip addr flush dev case1", "addresses"),
    ("cgroup", "for f in $(find /sys/fs/cgroup -path '*case/1/pids.max'); do echo 99 > $f; done", "pids_max"),
    ("route", "ip route delete blackhole 10.20.1.0/24 proto 110", "absent"),
    ("nat", "nft flush map inet nsfleet network4 || nft flush set inet nsfleet network4", "networks[10.9.1.0/24]"),
]


@pytest.mark.parametrize(
    ("module", "damage", "words"), INTERFERENCE, ids=[f"{each[0]}: {each[1]}" for each in INTERFERENCE]
)
def test_interference_between_the_steps_and_the_look_at_them(
    module: str, damage: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is seen, all is put back, and the message says what was not as planned."""
    world.sh("sysctl -qw net.ipv4.ip_forward=1")
    clean = world.snapshot()
    apply = transaction._apply

    def interfere(plans: t.Any) -> None:
        apply(plans)
        world.sh(damage)

    with monkeypatch.context() as patch:
        patch.setattr(transaction, "_apply", interfere)
        result = invoke(module, task(module, 1))
    assert result.failed, "it was not seen"
    assert words in result["msg"], result["msg"]
    assert "put back as it was" in result["msg"], result["msg"]
    assert world.difference(clean, world.snapshot()) == []
    world.sh("sysctl -qw net.ipv4.ip_forward=0")


# --- damaged files -----------------------------------------------------------------

NONSENSE = ["", "{", "null", "[]", "{}", "7", '"x"', '[{"key": 1}]', "[1, null]", '{"options": 5}', "\0\xff",
            '{"options": [], "originals": "x", "identity": null}']  # fmt: skip


def paths(kind: str) -> tuple[str, str]:
    """Record and journal of the object of a number."""
    domain = {
        "cgroup": "/run/nsfleet/cgroup", "container": "/var/lib/nsfleet/containers/case1",
        "rootfs": "/var/lib/nsfleet/trees/%2Fvar%2Flib%2Fnsfleet%2Frootfs%2Fcase1",
    }.get(kind, "/run/nsfleet/network")  # fmt: skip
    records = [os.path.join(f"{domain}/{kind}", name) for name in os.listdir(f"{domain}/{kind}")]
    return records[0], f"{domain}/{kind}.journal"


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_in_record_and_journal(kind: str, text: str) -> None:
    """It is as if nothing was known: the truth is the kernel's."""
    options = task(kind, 1)
    laws.run(kind, options)
    for path in paths(kind):
        with open(path, "w", encoding="latin-1") as file:
            file.write(text)
    result = laws.run(kind, options)
    assert not result.changed, result["plan"]
    record, journal = paths(kind)
    with open(record, encoding="utf-8") as file:
        assert json.load(file)["options"], "the record was not written anew"
    assert not os.path.exists(journal)
    laws.run(kind, absent(options))


def test_directory_in_the_place_of_a_file(kind: str) -> None:
    """Nobody but a person can know what it is: it is said, and nothing is touched."""
    options = task(kind, 1)
    laws.run(kind, options)
    for number in (0, 1):
        path = paths(kind)[number]
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(path, "/tmp/kept")
            os.unlink(path)
        os.mkdir(path)
        laws.refused(kind, options, path, "Is a directory")
        os.rmdir(path)
        if number == 0:
            shutil.copy("/tmp/kept", path)
    os.unlink("/tmp/kept")
    laws.run(kind, absent(options))


@pytest.mark.parametrize("place", ["/run/nsfleet/network", "/run/nsfleet/network/netns.journal"])
def test_planted_link(place: str) -> None:
    """Nothing is written or removed where a link leads."""
    os.makedirs("/victim/network")
    with open("/victim/file", "w", encoding="ascii") as file:
        file.write("untouched")
    target = "/victim/network" if place.endswith("network") else "/victim/file"
    os.makedirs(os.path.dirname(place), exist_ok=True)
    os.symlink(target, place)
    result = invoke("netns", {"name": "case1"})
    assert "Traceback" not in str(result)
    assert result.failed == (target == "/victim/network"), result
    assert (
        world.sh("cat /victim/file; ls -A /victim /victim/network")
        == "untouched/victim:\nfile\nnetwork\n\n/victim/network:\n"
    )
    with contextlib.suppress(FileNotFoundError):
        os.unlink(place)
    laws.run("netns", {"name": "case1", "state": "absent"})
    shutil.rmtree("/victim")
    shutil.rmtree("/run/nsfleet", ignore_errors=True)


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_in_a_bundle_and_in_the_state(text: str) -> None:
    """A container that nobody can read is said to be damaged; it can be removed, and made anew."""
    options = task("container", 1)
    laws.run("container", options)
    state = "/run/nsfleet/containers/case1.json"
    with open(state, "w", encoding="latin-1") as file:
        file.write(text)
    laws.run("container", absent(options))
    laws.run("container", options)
    with open("/var/lib/nsfleet/containers/case1/config.json", "w", encoding="latin-1") as file:
        file.write(text)
    for given in (options, {"name": "case1", "state": "stopped"}):
        laws.refused("container", given, "config.json is damaged", "make it anew")
    (told,) = laws.run("container_info", {})["containers"]
    assert "config.json is damaged" in told["damaged"]
    laws.run("container", absent(options))
