# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service that says its own name and who called, by HTTP over TCP and by UDP, on some ports.

    server.py NAME ADDRESS PORT...

It prints a line when all ports are open, and ends with its standard input.
"""

from __future__ import annotations

import selectors
import socket
import sys


def open_sockets(address: str, ports: list[int]) -> list[socket.socket]:
    """A listening TCP socket and a UDP socket for each port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = []
    for port in ports:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            sock = socket.socket(family, kind)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
            sock.bind((address, port))
            found.append(sock)
            if kind == socket.SOCK_STREAM:
                sock.listen(16)
    return found


def answer(sock: socket.socket, name: str) -> None:
    """Tell one caller who it is that called whom."""
    port = sock.getsockname()[1]
    if sock.type == socket.SOCK_DGRAM:
        _request, caller = sock.recvfrom(2048)
        sock.sendto(f"{name}:{port} {caller[0]}\n".encode(), caller)
        return
    connection, caller = sock.accept()
    with connection:
        connection.settimeout(5)
        connection.recv(4096)
        connection.sendall(f"HTTP/1.0 200 OK\r\n\r\n{name}:{port} {caller[0]}\n".encode())


def main(name: str, address: str, *ports: str) -> None:
    """Serve until standard input ends."""
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    for sock in open_sockets(address, [int(port) for port in ports]):
        selector.register(sock, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _events in selector.select():
            if key.fileobj is sys.stdin:
                return
            if isinstance(key.fileobj, socket.socket):
                answer(key.fileobj, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
