# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small network around the host, made with ip(8), with services that say who called them.

    out ── up0 host nsbr ┬─ s1
     192.0.2.0/24    10.2.0.0/24 └─ s2
                     dmz ─── d1
                     10.3.0.0/24

Everything has IPv6 addresses, too. The hosts behind the bridges send all else to the host; ``out`` knows its own
network only.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import typing as t

from support import world

SERVER = os.path.join(os.path.dirname(__file__), "server.py")
#: Namespace to bridge, number of its network, and number of its host.
HOSTS: t.Final = {"s1": ("nsbr", 2, 10), "s2": ("nsbr", 2, 11), "d1": ("dmz", 3, 10)}


@contextlib.contextmanager
def network() -> t.Iterator[None]:
    """The network, without services."""
    world.sh(
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.bridge.bridge-nf-call-iptables=0 "
        "net.bridge.bridge-nf-call-ip6tables=0"
    )
    for bridge, number in (("nsbr", 2), ("dmz", 3)):
        world.sh(f"ip link add {bridge} type bridge && ip link set {bridge} addrgenmode none")
        _give(bridge, f"10.{number}.0.1/24", f"fd00:{number}::1/64", "fe80::1/64")
    for name, (bridge, number, last) in HOSTS.items():
        _host(name, f"to-{name}", f"10.{number}.0.{last}/24", f"fd00:{number}::{last}/64", f"fe80::{last}/64")
        world.sh(f"ip link set to-{name} master {bridge} up")
        world.sh(f"ip -n {name} route add default via 10.{number}.0.1")
        world.sh(f"ip -n {name} route add default via fd00:{number}::1")
    _host("out", "up0", "192.0.2.2/24", "fd00:99::2/64", "fe80::2/64")
    _give("up0", "192.0.2.1/24", "fd00:99::1/64", "fe80::1/64")
    try:
        yield
    finally:
        for name in (*HOSTS, "out"):
            world.sh(f"ip netns delete {name}")
        for link in ("nsbr", "dmz", *(f"to-{name}" for name in HOSTS), "up0"):
            subprocess.run(["ip", "link", "delete", link], capture_output=True, check=False)
        world.sh("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0")


def _host(name: str, outer: str, *addresses: str) -> None:
    world.sh(f"ip netns add {name} && ip -n {name} link set lo up")
    world.sh(f"ip link add {outer} type veth peer name eth0 netns {name} && ip link set {outer} addrgenmode none")
    world.sh(f"ip -n {name} link set eth0 addrgenmode none")
    _give("eth0", *addresses, netns=name)


def _give(link: str, *addresses: str, netns: str = "") -> None:
    """Addresses, link-local ones among them: those that the kernel makes would come while a test looks on.

    Without one on both sides, IPv6 finds no neighbour for packets that it forwards.
    """
    ip = f"ip -n {netns}" if netns else "ip"
    for address in addresses:
        world.sh(f"{ip} addr add {address} dev {link}" + (" nodad" if ":" in address else ""))
    world.sh(f"{ip} link set {link} up")


@contextlib.contextmanager
def service(name: str, *ports: int, address: str = "0.0.0.0", netns: str | None = None) -> t.Iterator[int]:
    """A service with this name in the namespace of this name; empty ``netns``: on the host. Gives its process id."""
    place = name if netns is None else netns
    inside = ["ip", "netns", "exec", place] if place else []
    command = [*inside, sys.executable, "-I", "-S", SERVER, name, address, *map(str, ports)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise AssertionError(f"the service {name} did not start")
        yield process.pid
    finally:
        process.communicate(timeout=10)


def call(where: str, place: str = "", *options: str) -> str:
    """Call a service by curl.

    :param where: ``ADDRESS:PORT``.
    :param place: namespace that calls; empty for the host.
    :returns: what it said, or how curl failed.
    """
    inside = ["ip", "netns", "exec", place] if place else []
    command = [*inside, "curl", "-gsS", "--noproxy", "*", "-m", "2", *options, f"http://{where}/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else f"curl failed: {done.returncode}"


def call_udp(address: str, port: int, place: str = "") -> str:
    """Call a service by UDP through bash(1); empty if there is no answer."""
    inside = ["ip", "netns", "exec", place] if place else []
    script = f"exec 3<>/dev/udp/{address}/{port}; echo hello >&3; timeout 2 head -n 1 <&3"
    done = subprocess.run([*inside, "bash", "-c", script], capture_output=True, text=True, check=False)
    return done.stdout.strip()
