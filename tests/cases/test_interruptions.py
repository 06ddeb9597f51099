# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``kill -9`` between any two system calls of a run that change something; the next run repairs or undoes it.

Each kind is killed while it creates, changes and removes, and what comes next differs: the same task again, the task
before it again, a removal, or a task that speaks of another object of the kind. After each, the host has to look just
as it does without the interruption, and at the end just as at the beginning.

Of the many system calls a few are drawn by lot, the same ones on every run. ``NSFLEET_SEED`` is another lot,
``NSFLEET_DRAWN`` how many are drawn, and ``NSFLEET_KILLS=all`` kills at every one and tries every continuation.
"""

from __future__ import annotations

import fcntl
import glob
import os
import random
import re
import time
import typing as t

import pytest
from support import enemy, kill, laws, world
from support.abilities import need
from support.invoke import invoke

Options = dict[str, t.Any]

#: The same lot on every run, so that what failed yesterday fails today; other ones are for whoever looks for more.
SEED = int(os.environ.get("NSFLEET_SEED", "1"))
#: How many system calls are drawn of one transition of one kind.
DRAWN = int(os.environ.get("NSFLEET_DRAWN") or 2)


class Kind(t.NamedTuple):
    """A kind of objects, with what is there before."""

    module: str
    first: Options  #: the object
    second: Options  #: the same object, with other options
    other: Options  #: another object of the kind
    prepare: str = "true"
    clean: str = "true"
    part: str = ""  #: which of its options are meant, if not all


LOOP = "trap 'exit 0' TERM; sleep 31536000 & wait"
CONTAINER: Options = {"rootfs": "/", "overlay": "tmpfs", "command": ["/bin/sh", "-c", LOOP], "stop_timeout": 1}

#: No addresses that the kernel makes by itself, a while after the run.
QUIET = {"addrgenmode": "none"}
#: A bridge that never gets addresses and routes by itself.
BRIDGE = "ip link add case-br type bridge && sysctl -qw net.ipv6.conf.case-br.disable_ipv6=1 && ip link set case-br up"


def top(user: str, shell: str, path: str, content: str) -> Options:
    """What is put on top of a root file system."""
    return {
        "users": [{"name": user}, {"name": "root", "shell": shell}],
        "directories": [{"path": f"/srv/{path}", "owner": user}],
        "files": [{"path": f"/etc/{path}", "content": content}, {"path": f"/srv/{path}/x", "content": content}],
        "links": [{"path": "/etc/link", "target": path}],
    }


KINDS = {
    kind.part or kind.module: kind
    for kind in (
        Kind(
            "netns",
            {"name": "case", "sysctls": {"net.ipv4.ip_forward": 1}, "files": {"motd": "a"}},
            {"name": "case", "loopback": False, "sysctls": {"net.ipv4.ip_default_ttl": 9}, "files": {"hosts": "b"}},
            {"name": "other"},
        ),
        Kind(
            "veth",
            {"name": "case0", "addresses": ["10.9.0.1/24"], **QUIET,
             "peer": {"name": "case1", "netns": "case", "mtu": 1400, **QUIET}},
            {"name": "case0", "addresses": ["10.9.0.2/24"], "txqlen": 9, "mtu": 1300, **QUIET,
             "peer": {"name": "case2", "netns": "", "up": False, **QUIET}},
            {"name": "other0", **QUIET, "peer": {"name": "other1", "netns": "case", **QUIET}},
            "ip netns add case",
            "ip netns delete case",
        ),
        Kind(
            "bridge",
            {"name": "case", "mac": "02:00:00:00:00:09", "addresses": ["10.9.0.1/24"],
             "ports": [{"name": "p0", "hairpin": True}]},
            {"name": "case", "mac": "02:00:00:00:00:09", "stp_state": True, "ageing_time": 9,
             "ports": [{"name": "p1"}], "purge": True},
            {"name": "other", "mac": "02:00:00:00:00:0a"},
            "ip link add p0 type veth peer name q0 && ip link add p1 type veth peer name q1",
            "ip link delete p0 && ip link delete p1",
        ),
        Kind(
            "link",
            {"name": "case0", "kind": "vxlan", "mtu": 1400, "ingress": {"rate": "1mbit"}, **QUIET,
             "vxlan": {"vni": 5, "flood": ["10.9.0.2"]}, "sysctls": {"ipv4.rp_filter": 2}},
            {"name": "case0", "kind": "vxlan", "egress": {"rate": "1mbit"}, "ingress": {"rate": "2mbit"}, **QUIET,
             "vxlan": {"vni": 5, "ttl": 9, "local": "fd00::1",
                       "fdb": [{"mac": "02:00:00:00:00:0a", "remote": "fd00::2"}]}},
            {"name": "other0", "kind": "tap", **QUIET},
        ),
        Kind(
            "cgroup",
            {"name": "case/one", "pids_max": 5, "memory_max": "64M"},
            {"name": "case/one", "pids_max": 9, "frozen": True, "delegate": {"uid": 1000, "gid": 1000}},
            {"name": "case/other", "pids_max": 5},
        ),
        Kind(
            "route",
            {"destination": "10.20.0.0/16", "via": "10.9.0.9"},
            {"destination": "10.20.0.0/16", "dev": "case-br", "source": "10.9.0.1"},
            {"destination": "10.21.0.0/16", "type": "blackhole"},
            f"{BRIDGE} && ip addr add 10.9.0.1/24 dev case-br",
            "ip link delete case-br",
        ),
        Kind(
            "rule",
            {"priority": 1000, "from": "10.9.0.0/24", "table": "77"},
            {"priority": 1000, "fwmark": "0x1", "action": "blackhole"},
            {"priority": 1001, "table": "77"},
        ),
        Kind(
            "nat",
            {"name": "case", "networks": [{"subnet": "10.9.0.0/24", "link": "case-br"}],
             "publish": [{"port": "8080", "to": "10.9.0.10", "protocols": ["tcp", "udp"]}]},
            {"name": "case", "networks": [{"subnet": "10.9.0.0/24", "link": "case-br", "masquerade": False}],
             "publish": [{"port": "8081", "to": "10.9.0.10", "localhost": False}], "isolate": ["case-br"]},
            {"name": "other", "networks": [{"subnet": "10.8.0.0/24", "link": "more0"}]},
            f"{BRIDGE} && ip addr add 10.9.0.1/24 dev case-br && sysctl -qw net.ipv4.ip_forward=1",
            "ip link delete case-br && sysctl -qw net.ipv4.ip_forward=0",
        ),
        Kind(
            "container",
            {"name": "case", **CONTAINER, "memory_max": "64M"},
            {"name": "case", **CONTAINER, "cwd": "/tmp", "pids_max": 90},
            {"name": "other", **CONTAINER, "state": "present"},
        ),
        Kind(
            "rootfs",
            {"path": "/var/lib/nsfleet/rootfs/case", "directory": "/srv/one", "verify": "content"},
            {"path": "/var/lib/nsfleet/rootfs/case", "directory": "/srv/two", "exclude": ["b"]},
            {"path": "/var/lib/nsfleet/rootfs/other", "directory": "/srv/one"},
            "mkdir -p /srv/one/a /srv/two/b && echo 1 >/srv/one/a/1 && echo 2 >/srv/two/b/2",
            "rm -r /srv/one /srv/two",
        ),
        Kind(
            "rootfs",
            {"path": "/var/lib/nsfleet/rootfs/case", "directory": "/srv/one", **top("app", "/bin/sh", "a", "mine")},
            {"path": "/var/lib/nsfleet/rootfs/case", "directory": "/srv/one", **top("svc", "/bin/no", "b", "other\0")},
            {"path": "/var/lib/nsfleet/rootfs/other", "directory": "/srv/one"},
            "mkdir -p /srv/one/etc && cd /srv/one/etc && echo root:x:0:0:::/bin/sh >passwd && echo root:x:0: >group"
            " && echo 'root:*:1::::::' >shadow && head -c 9000 /dev/zero >a && ln -s a b",
            "rm -r /srv/one",
            "content",
        ),
        Kind(
            "topology",
            {"netns": [{"name": "case"}],
             "bridges": [{"name": "case-br", "addresses": ["10.9.0.1/24"], **QUIET,
                          "ports": [{"name": "case0", "hairpin": True}]}],
             "veths": [{"name": "case0", **QUIET,
                        "peer": {"name": "eth0", "netns": "case", "addresses": ["10.9.0.2/24"], **QUIET}}],
             "routes": [{"destination": "default", "netns": "case", "via": "10.9.0.1"}]},
            {"netns": [{"name": "case", "loopback": False}],
             "bridges": [{"name": "case-br", "addresses": ["10.9.0.3/24"], **QUIET}],
             "veths": [{"name": "case0", **QUIET, "rx_queues": 3,
                        "peer": {"name": "eth0", "netns": "case", "addresses": ["10.9.0.2/24"], "mtu": 1400, **QUIET}}],
             "routes": [{"destination": "default", "netns": "case", "dev": "eth0"}]},
            {"netns": [{"name": "other"}], "bridges": [{"name": "other-br", **QUIET}],
             "veths": [{"name": "other0", **QUIET, "peer": {"name": "eth0", "netns": "other", **QUIET}}],
             "routes": [{"destination": "10.8.0.0/16", "netns": "other", "dev": "eth0"}]},
        ),
    )
}  # fmt: skip


def absent(options: Options) -> Options:
    """The task that removes the object of another."""
    return {**{name: value for name, value in options.items() if name in NAMING}, "state": "absent"}


NAMING = (
    "name", "destination", "priority", "peer", "networks", "publish", "path",
    "netns", "bridges", "veths", "routes",
)  # fmt: skip


# --- what the host looks like ----------------------------------------------------


def shape() -> dict[str, t.Any]:
    """The host without what is another with every object that is made: indices, inodes, process ids, times, sizes."""
    seen = world.snapshot()
    seen["files"] = {folder: sorted(found) for folder, found in seen["files"].items()}
    seen["processes"] = processes()
    seen["roots"] = {path: str(each) for path, each in enemy.digest("/var/lib/nsfleet/rootfs").items()}
    return t.cast("dict[str, t.Any]", _anonymous(seen))


def processes() -> list[str]:
    """Payloads and monitors of containers."""
    found = world.sh(r"ps -eo args= | grep -e '^/bin/sh -c trap' -e 'nsrun.* monitor [a-z]*$' || true").splitlines()
    return sorted(re.sub(r"^.*nsrun\S*", "nsrun", line) for line in found if "grep" not in line)


#: In texts: of a namespace, of a group of mounts, of a tree's birth.
_NUMBERS = re.compile(r"(?<=net:\[)\d+(?=\])|(?<=shared:)\d+|(?<=born-)[0-9a-f]+")
_INDIVIDUAL = ("ifindex", "link_index", "link_netnsid", "iflink", "cgroup.procs", "cgroup.threads", "/tasks")


def _anonymous(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _anonymous(item) for key, item in value.items() if not key.endswith(_INDIVIDUAL)}
    if isinstance(value, list):
        return sorted((_anonymous(item) for item in value), key=str)
    return _NUMBERS.sub("N", value) if isinstance(value, str) else value


def same(expected: t.Sequence[t.Any], what: str, look: t.Callable[[], t.Any] = shape) -> None:
    """The host looks as in one of the ways expected, once what ends by itself has ended."""
    end = time.monotonic() + 10
    while all(left := [world.difference(each, look()) for each in expected]) and time.monotonic() < end:
        time.sleep(0.05)
    assert [] in left, "\n".join([f"{what}, nearest to number {left.index(min(left, key=len))}:", *min(left, key=len)])


# --- the stories -----------------------------------------------------------------


class Story(t.NamedTuple):
    """What is done until the kill, and what comes after it."""

    before: Options | None  #: the task whose object is there
    killed: Options  #: the task that is killed
    after: t.Sequence[Options]  #: the tasks that come next


def stories(kind: Kind, transition: str) -> list[Story]:
    """All continuations of a transition."""
    first, second, other = kind.first, kind.second, kind.other
    if transition == "create":
        return [Story(None, first, after) for after in ((first,), (absent(first),), (other,))]
    if transition == "change":
        return [Story(first, second, after) for after in ((second,), (first,), (absent(first),), (other,))]
    return [Story(first, absent(first), after) for after in ((absent(first),), (first,), (other,))]


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, clean_host: None) -> t.Iterator[Kind]:
    """A kind, with what its objects need."""
    del clean_host
    need("system calls of x86_64")
    found = KINDS[request.param]
    world.sh(found.prepare)
    yield found
    world.sh(found.clean)


@pytest.mark.parametrize("transition", ["create", "change", "remove"])
def test_killed(kind: Kind, transition: str) -> None:
    lot = random.Random(f"{SEED} {kind.module} {transition}")
    print(f"NSFLEET_SEED={SEED}")
    clean = world.snapshot()
    told = stories(kind, transition)
    goals = [endings(kind, story) for story in told]
    same([clean], "without an interruption", world.snapshot)
    calls = whole(kind, told[0])
    assert len(calls) > 5, f"the supervisor saw no system calls: {calls}"
    for number in draw(len(calls), lot):
        chosen = range(len(told)) if os.environ.get("NSFLEET_KILLS") == "all" else [lot.randrange(len(told))]
        for index in chosen:
            interrupt(kind, told[index], goals[index], number, caller=lot.random() < 0.3)
            same([clean], f"seed {SEED}: killed before call {number} ({calls[number - 1]})", world.snapshot)


def draw(count: int, lot: random.Random) -> t.Sequence[int]:
    """Numbers of system calls, from the first to one after the last."""
    if os.environ.get("NSFLEET_KILLS") == "all":
        return range(1, count + 1)
    return sorted(lot.sample(range(1, count + 1), min(DRAWN, count)))


def endings(kind: Kind, story: Story) -> list[t.Any]:
    """How the host may look after the story: without the task that is killed, or with all of it."""
    found = []
    for tasks in ((story.before, *story.after), (story.before, story.killed, *story.after)):
        for options in tasks:
            if options is not None:
                laws.run(kind.module, options)
        found.append(shape())
        clear(kind)
    return found


def whole(kind: Kind, story: Story) -> list[str]:
    """The system calls of the run that is to be killed."""
    if story.before is not None:
        laws.run(kind.module, story.before)
    outcome = kill.run_and_kill(kind.module, story.killed, kill.BEYOND)
    assert not outcome.killed
    clear(kind)
    return outcome.calls


def interrupt(kind: Kind, story: Story, goals: t.Sequence[t.Any], number: int, *, caller: bool) -> None:
    """Kill, go on, and compare with how it looks without the kill."""
    if story.before is not None:
        laws.run(kind.module, story.before)
    outcome = kill.run_and_kill(kind.module, story.killed, number, caller=caller)
    what = f"seed {SEED}: killed before {number} {outcome.calls[-1:]} (caller: {caller}), then {story.after}"
    for options in story.after:
        if options is kind.other:
            unlocked()
        result = invoke(kind.module, options)
        assert not result.failed, f"{what}: {result['msg']}"
        what += f" ({result.get('warnings')})"
    same(goals, what)
    for options in story.after:
        again = invoke(kind.module, options)
        assert not again.failed, f"{what}: {again['msg']}"
        assert not again.changed, f"{what}: the run after it changes something: {again['plan']}"
    same(goals, what)
    clear(kind)


def unlocked() -> None:
    """Wait until what a killed run had started is at its end: until then it holds the lock of its container."""
    for folder in glob.glob("/var/lib/nsfleet/containers/*"):
        fd = os.open(folder, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.close(fd)


def clear(kind: Kind) -> None:
    """Remove both objects by our own means."""
    for options in (kind.first, kind.other):
        laws.run(kind.module, absent(options))
