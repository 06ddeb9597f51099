# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many namespaces on a bridge, each with a cable and an address: by one task ``topology``, and by what else there is.

The task runs as Ansible runs it on the target, in a process that has the interpreter and the code already: reading the
options, validating, observing, planning, journal, changing, observing again, verifying and recording are in its time.
"""

from __future__ import annotations

import json
import os
import subprocess
import typing as t

from benchmark import goals
from benchmark.table import head, milliseconds, row
from support.invoke import invoke

#: Making them takes long: one pass for every few rounds.
_ROUNDS_A_PASS = 5
_PORTS = 1000  #: namespaces a bridge
Times = dict[str, float]


def wires(rounds: int, count: int) -> t.Iterator[str]:
    """Make them, look again, repair one, remove them, in every way.

    :param count: how many namespaces.
    """
    passes = [_pass(count) for _number in range(max(1, rounds // _ROUNDS_A_PASS))]
    less = [_ours(max(count // 10, 1)) for _each in passes]
    each: dict[str, list[float]] = {name: [one[name] for one in passes] for name in passes[0]}
    growth = [(few["same"], max(count // 10, 1)) for few in less]
    yield head(f"{count} namespaces with a cable and an address each, on a bridge", "ms")
    for other, goal in (("ip -batch", goals.WIRES["ip -batch"]), ("pyroute2", None)):
        yield row("one task makes all", each["make"], other, each[f"make: {other}"], goal)
    yield row("a task that changes nothing", each["same"], "ip -j -d, each", each["look: ip -j -d"])
    yield row(
        "an attribute that drifted", each["drift"], "a task that changes nothing", each["same"], goals.WIRES_DRIFT
    )
    yield row("one task removes all", each["remove"], "ip netns delete, each", each["remove: ip -batch"])
    several = [value * count / number for value, number in growth]
    yield row("a task that changes nothing", each["same"], "ten times a tenth of it", several, goals.MANY)


def _pass(count: int) -> Times:
    found = {**_ours(count), **_batch(count)}
    return {**found, **_library(count)}


def _ours(count: int) -> Times:
    options = _options(count)
    found = {"make": _task(options, changes=True), "same": _task(options, changes=False)}
    subprocess.run(["ip", "link", "set", "bench-v0", "nomaster"], check=True)
    found["drift"] = _task(options, changes=True)
    found["remove"] = _task({**options, "state": "absent"}, changes=True)
    return found


def _options(count: int) -> dict[str, t.Any]:
    quiet = {"addrgenmode": "none"}
    return {
        "bridges": [{"name": name, **quiet} for name in _bridges(count)],
        "netns": [{"name": f"bench{number}"} for number in range(count)],
        "veths": [
            {
                "name": f"bench-v{number}", "master": f"bench-b{number // _PORTS}", **quiet,
                "peer": {"name": "eth0", "netns": f"bench{number}", "addresses": [_address(number)], **quiet},
            }
            for number in range(count)
        ],
    }  # fmt: skip


def _bridges(count: int) -> list[str]:
    return [f"bench-b{number}" for number in range((count + _PORTS - 1) // _PORTS)]


def _address(number: int) -> str:
    return f"10.{number // 250}.{number % 250}.2/24"


def _task(options: t.Mapping[str, t.Any], *, changes: bool) -> float:
    results = []
    taken = milliseconds(lambda: results.append(invoke("topology", options, diff=False)))
    assert results[0].get("changed") is changes, results[0].get("msg")
    return taken


def _batch(count: int) -> Times:
    """With ``ip -batch``, which enters a namespace by starting another ip there."""
    lines = [f"link add {name} up type bridge" for name in _bridges(count)]
    for number in range(count):
        inside, master = f"netns exec bench{number} ip", f"bench-b{number // _PORTS}"
        lines += [
            f"netns add bench{number}",
            f"link add bench-v{number} up master {master} type veth peer name eth0 netns bench{number}",
            f"{inside} addr add {_address(number)} dev eth0", f"{inside} link set eth0 up", f"{inside} link set lo up",
        ]  # fmt: skip
    made = milliseconds(lambda: _ip(lines))
    looked = milliseconds(lambda: _look(count))
    gone = [f"netns delete bench{number}" for number in range(count)] + [
        f"link delete {name}" for name in _bridges(count)
    ]
    removed = milliseconds(lambda: _ip(gone))
    _wait_until_gone()
    return {"make: ip -batch": made, "look: ip -j -d": looked, "remove: ip -batch": removed}


def _ip(lines: t.Sequence[str]) -> None:
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


def _look(count: int) -> None:
    for words in ([], *(["-n", f"bench{number}"] for number in range(count))):
        done = subprocess.run(["ip", *words, "-j", "-d", "addr"], capture_output=True, text=True, check=True)
        json.loads(done.stdout)


def _wait_until_gone() -> None:
    """The kernel ends namespaces a while after their names are gone."""
    while any(name.startswith("bench-v") for name in os.listdir("/sys/class/net")):
        os.sched_yield()


def _library(count: int) -> Times:
    """With pyroute2, as its documentation has it: an object for each namespace."""
    from pyroute2 import IPRoute, NetNS, netns

    def make() -> None:
        with IPRoute() as here:
            for name in _bridges(count):
                here.link("add", ifname=name, kind="bridge")
                here.link("set", index=here.link_lookup(ifname=name)[0], state="up")
            for number in range(count):
                space, end = f"bench{number}", f"bench-v{number}"
                netns.create(space)
                here.link("add", ifname=end, kind="veth", peer={"ifname": "eth0", "net_ns_fd": space})
                master = here.link_lookup(ifname=f"bench-b{number // _PORTS}")[0]
                here.link("set", index=here.link_lookup(ifname=end)[0], master=master, state="up")
                address, _slash, length = _address(number).partition("/")
                with NetNS(space) as there:
                    index = there.link_lookup(ifname="eth0")[0]
                    there.addr("add", index=index, address=address, prefixlen=int(length))
                    there.link("set", index=index, state="up")
                    there.link("set", index=1, state="up")

    taken = milliseconds(make)
    gone = [f"netns delete bench{number}" for number in range(count)] + [
        f"link delete {name}" for name in _bridges(count)
    ]
    _ip(gone)
    _wait_until_gone()
    return {"make: pyroute2": taken}
