# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service on a bridge, from nothing to its first answer, and until everything of it is gone again."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import pathlib
import socket
import time
import typing as t

from benchmark import goals, inprocess
from benchmark.peers import ANSWERER, LIMITS, PORT, Peers, peers
from benchmark.table import head, interleaved, row
from support.bundle import Runtime

NAME, BRIDGE, WIDTH = "bench", "nsbench", 16
LINK = inprocess.link(NAME)
OURS = "in process"
IP = Runtime("ip")


class Life(t.NamedTuple):
    """Milliseconds since the beginning."""

    answer: float
    end: float


def service(rounds: int) -> t.Iterator[str]:
    """By our code in process, by ip(8) and a runtime, and by Podman; the same root, payload and limits."""
    inprocess.bridged(BRIDGE, f"10.2.0.1/{WIDTH}")()
    try:
        with peers() as found, inprocess.another(found):
            ways = {OURS: _in_process(found), **_by_hand(found), **_by_podman(found)}
            lives = interleaved(rounds, ways)
            yield from _table(
                "From nothing to the first answer of a service on a bridge", lives, "answer", goals.ANSWER
            )
            yield from _table("The same, and everything removed again", lives, "end", goals.LIFE)
            yield from ("", *found.remarks)
    finally:
        inprocess.no_bridge(BRIDGE)()


def _table(
    title: str, lives: t.Mapping[str, t.Sequence[Life]], moment: str, aims: t.Mapping[str, float]
) -> t.Iterator[str]:
    yield head(title, "ms")
    taken = {name: [float(getattr(life, moment)) for life in each] for name, each in lives.items()}
    ours = taken.pop(OURS)
    for name, values in taken.items():
        yield row(OURS, ours, name, values, aims.get(name))


def _live(begin: t.Callable[[], object], address: str, end: t.Callable[[], object]) -> Life:
    """Measure one life."""
    begun = time.perf_counter()
    begin()
    _until_answer(address)
    answered = time.perf_counter()
    end()
    return Life((answered - begun) * 1000, (time.perf_counter() - begun) * 1000)


def _until_answer(address: str) -> None:
    """Ask until somebody answers.

    :raises AssertionError: nobody does.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((address, PORT), 1) as asking:
            asking.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if asking.recv(64).startswith(b"HTTP/"):
                return
        time.sleep(0.0005)
    raise AssertionError(f"nobody answers at {address}:{PORT}")


def _addresses(first: str) -> t.Iterator[str]:
    """A new address each time: the host remembers for a while whose the last one was."""
    return (str(ipaddress.ip_address(first) + number) for number in itertools.count())


# --- in process ------------------------------------------------------------------------


def _in_process(found: Peers) -> t.Callable[[], Life]:
    addresses = _addresses("10.2.1.1")
    start = inprocess.container(found, NAME, namespaces={"net": NAME})
    removal = [inprocess.no_container(NAME), *inprocess.unwired(NAME)]

    def once() -> Life:
        address = next(addresses)
        making = [*inprocess.wired(BRIDGE, NAME, f"{address}/{WIDTH}"), start]
        return _live(lambda: _all(making), address, lambda: _all(removal))

    return once


def _all(tasks: t.Iterable[inprocess.Task]) -> None:
    for task in tasks:
        assert task().changed


# --- by hand ---------------------------------------------------------------------------


def _by_hand(found: Peers) -> dict[str, t.Callable[[], Life]]:
    bundle = inprocess.same_bundle(found)
    bundle.namespace("network", f"/run/netns/{NAME}")
    directory = bundle.write()
    addresses = _addresses("10.2.128.1")
    return {f"ip and {name}": _commands(runtime, directory, addresses) for name, runtime in found.others.items()}


def _commands(runtime: Runtime, bundle: pathlib.Path, addresses: t.Iterator[str]) -> t.Callable[[], Life]:
    def begin(address: str) -> None:
        for words in _wiring(address):
            IP.quietly(*words)
        runtime.quietly("run", "--detach", "--bundle", str(bundle), NAME)

    def end() -> None:
        runtime.quietly("delete", "--force", NAME)
        IP.quietly("link", "delete", LINK)
        IP.quietly("netns", "delete", NAME)

    def once() -> Life:
        address = next(addresses)
        return _live(lambda: begin(address), address, end)

    return once


def _wiring(address: str) -> t.Iterator[t.Sequence[str]]:
    inside = ("-n", NAME)
    yield "netns", "add", NAME
    yield *inside, "link", "set", "lo", "up"
    yield "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAME
    yield "link", "set", LINK, "master", BRIDGE, "up"
    yield *inside, "addr", "add", f"{address}/{WIDTH}", "dev", "eth0"
    yield *inside, "link", "set", "eth0", "up"


# --- Podman ----------------------------------------------------------------------------


def _by_podman(found: Peers) -> dict[str, t.Callable[[], Life]]:
    if found.podman is None:
        return {}
    podman, addresses = found.podman, _addresses("10.3.1.1")
    network = ("--network", found.make_podman_network())
    run = ("run", "--detach", "--name", NAME, *network, *LIMITS, "--volume", "/usr:/usr:ro")

    def once() -> Life:
        address = next(addresses)
        return _live(
            lambda: podman.quietly(*run, "--ip", address, "--rootfs", str(found.bundle.root), *ANSWERER),
            address,
            lambda: podman.quietly("rm", "--force", "--time", "0", NAME),
        )

    return {"podman": once}
