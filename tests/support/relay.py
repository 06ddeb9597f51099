# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A way out of a sandbox for programs that install packages: an HTTP proxy with one leg in each network.

Its listening socket is opened inside, on the loopback of the sandbox, and handed out; whoever accepts on it is outside,
and so are the connections that it makes. No link leads from one network into the other.
"""

from __future__ import annotations

import http.server
import select
import shutil
import socket
import threading
import typing as t
import urllib.error
import urllib.request

PORT = 3142
URL = f"http://127.0.0.1:{PORT}"


class Handler(http.server.BaseHTTPRequestHandler):
    """One request to be passed on."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Fetch what is asked for and pass it on as it is (RFC 9110, section 7.6)."""
        kept = {name: value for name, value in self.headers.items() if name.lower() in PASSED_ON}
        request = urllib.request.Request(self.path, headers=kept, method=self.command)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler())
        try:
            answer: t.Any = opener.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        except OSError as error:
            self.send_error(502, str(error))
            return
        with answer:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() in RETURNED:
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            shutil.copyfileobj(answer, self.wfile)
        self.close_connection = True

    do_HEAD = do_GET

    def do_CONNECT(self) -> None:
        """Join two connections and look at nothing that goes through (RFC 9110, section 9.3.6)."""
        host, _colon, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=60) as far:
            self.send_response(200)
            self.end_headers()
            _join(self.connection, far)
        self.close_connection = True

    def log_message(self, format: str, *args: t.Any) -> None:
        """Say nothing."""


PASSED_ON = frozenset({"range", "if-modified-since", "if-range", "cache-control", "user-agent", "accept"})
RETURNED = frozenset({"content-type", "content-length", "content-range", "last-modified", "accept-ranges", "etag"})


def _join(one: socket.socket, other: socket.socket) -> None:
    """Copy in both directions until one side ends."""
    peers = {one: other, other: one}
    while True:
        for sock in select.select(list(peers), [], [])[0]:
            data = sock.recv(65536)
            if not data:
                return
            peers[sock].sendall(data)


def listen() -> socket.socket:
    """The listening socket, in the network namespace of the caller."""
    return socket.create_server(("127.0.0.1", PORT))


def serve(listening: socket.socket) -> None:
    """Answer on a listening socket from now on, in the network namespace of the caller, in the background."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening
    threading.Thread(target=server.serve_forever, daemon=True).start()
