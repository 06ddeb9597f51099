# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ethernet segments between machines: a switch made of datagram sockets, which touches no interface of the host."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import socket
import time
import typing as t

from hosts import settings
from hosts.tools import alive, detach, kill, locked, put, read, until

#: Seconds after which a switch without machines ends.
IDLE = 30
FRAME = 1 << 17
#: Segments by name: ``net``, the number of the segment, and ``hosts``, numbers of machines by name.
Order = dict[str, dict[str, t.Any]]


class Switch:
    """Forwards frames between the sockets of a folder until none is left."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(os.path.join(folder, "switch"))
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.ports: list[str] = []
        self.where: dict[bytes, str] = {}  #: MAC address to port
        self.looked = 0.0

    def serve(self) -> None:
        """Forward until there was no port for a while."""
        used = time.monotonic()
        while time.monotonic() - used < IDLE:
            frame, source = self._receive()
            if time.monotonic() - self.looked > 1:
                self.ports, self.looked = glob.glob(os.path.join(self.folder, "*.port")), time.monotonic()
            if self.ports:
                used = time.monotonic()
            if len(frame) >= 14:  # else it is no Ethernet frame
                self._forward(frame, source)

    def _receive(self) -> tuple[bytes, str]:
        self.sock.settimeout(5)
        try:
            return self.sock.recvfrom(FRAME)
        except socket.timeout:
            return b"", ""

    def _forward(self, frame: bytes, source: str) -> None:
        to, by = frame[:6], frame[6:12]
        if not by[0] & 1:
            self.where[by] = source
        known = None if to[0] & 1 else self.where.get(to)
        self.sock.settimeout(0.2)
        for port in [known] if known else [port for port in self.ports if port != source]:
            try:
                self.sock.sendto(frame, port)
            except OSError:  # gone, or not listening
                self.where = {mac: other for mac, other in self.where.items() if other != port}


def join(segment: str, name: str) -> dict[str, t.Any]:
    """Plug a machine into a segment. Gives socket paths, and the numbers of the segment and of the machine in it."""
    folder = os.path.join(settings.RUN, "lan", segment)
    with locked("lan"):
        os.makedirs(folder, exist_ok=True)
        known = _order()
        nets = {each["net"] for each in known.values()}
        own = known.setdefault(segment, {"net": _free(nets), "hosts": {}})
        own["hosts"].setdefault(name, _free(set(own["hosts"].values())))
        put(_order_path(), json.dumps(known))
        _start(folder)
    port = os.path.join(folder, f"{name}.port")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(port)
    switch = os.path.join(folder, "switch")
    return {"segment": segment, "net": own["net"], "host": own["hosts"][name], "port": port, "switch": switch}


def leave(name: str) -> None:
    """Unplug a machine from all segments, and end those that nobody is on any more."""
    with locked("lan"):
        known = _order()
        for segment, each in known.items():
            if not each["hosts"].pop(name, None):
                continue
            folder = os.path.join(settings.RUN, "lan", segment)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, f"{name}.port"))
            if not each["hosts"]:
                kill(os.path.join(folder, "switch.pid"))
                shutil.rmtree(folder)
        if known:
            put(_order_path(), json.dumps({segment: each for segment, each in known.items() if each["hosts"]}))


def _start(folder: str) -> None:
    """Start the switch of a segment, if it does not run."""
    pidfile = os.path.join(folder, "switch.pid")
    if alive(pidfile):
        return
    for left in glob.glob(os.path.join(folder, "switch*")):
        os.unlink(left)
    put(pidfile, str(detach("_switch", folder)))
    until(10, "switch", lambda: os.path.exists(os.path.join(folder, "switch")))


def _free(used: set[int]) -> int:
    return min(number for number in range(1, 255) if number not in used)


def _order_path() -> str:
    return os.path.join(settings.RUN, "lan", "order.json")


def _order() -> Order:
    return t.cast("Order", json.loads(read(_order_path()))) if os.path.exists(_order_path()) else {}
