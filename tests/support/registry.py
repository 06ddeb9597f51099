# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries on loopback: Debian's docker-registry, and a small server before it, or alone, that can misbehave."""

from __future__ import annotations

import base64
import contextlib
import http.client
import http.server
import json
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import typing as t

from support.abilities import need
from support.images import Image
from support.world import until

USER, PASSWORD = "someone", "a secret: of nobody"


# --- certificates ------------------------------------------------------------------------------------------


def certificates(folder: pathlib.Path) -> pathlib.Path:
    """An authority of our own, and certificates by it for a server on loopback and for a client, made by openssl."""
    need("openssl")
    folder.mkdir()
    (folder / "names").write_text("subjectAltName=DNS:localhost,DNS:registry.example,IP:127.0.0.1")
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    lines = [f"{new} -x509 -days 9 -subj /CN=ours -keyout authority.key -out authority.pem"]
    for name in ("server", "client"):
        lines += [
            f"{new} -subj /CN={name} -keyout {name}.key -out {name}.request",
            f"openssl x509 -req -days 9 -in {name}.request -CA authority.pem -CAkey authority.key -CAcreateserial "
            f"-extfile names -out {name}.pem",
        ]
    subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=folder, check=True, capture_output=True)
    return folder


# --- docker-registry -----------------------------------------------------------------------------------------


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def docker_registry(
    folder: pathlib.Path, tls: pathlib.Path | None = None, login: bool = False, port: int = 0
) -> t.Iterator[str]:
    """Debian's docker-registry.

    :param folder: what it keeps is in here.
    :param tls: certificates for it.
    :param login: only :data:`USER` may use it.
    :param port: of loopback; any that is free if not given.
    :returns: ``HOST:PORT``.
    """
    need("docker-registry")
    folder.mkdir(exist_ok=True)
    host = f"localhost:{port or free_port()}"
    settings: dict[str, t.Any] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": host},
    }
    if tls:
        settings["http"]["tls"] = {"certificate": str(tls / "server.pem"), "key": str(tls / "server.key")}
    if login:
        command = ["htpasswd", "-i", "-n", "-B", "-C", "4", USER]
        made = subprocess.run(command, input=PASSWORD.encode(), capture_output=True, check=True)
        (folder / "users").write_bytes(made.stdout)
        settings["auth"] = {"htpasswd": {"realm": "here", "path": str(folder / "users")}}
    (folder / "settings.yml").write_text(json.dumps(settings))
    with open(folder / "log", "wb") as log:
        running = subprocess.Popen(["docker-registry", "serve", str(folder / "settings.yml")], stdout=log, stderr=log)
    try:
        until(lambda: _listens(host))
        yield host
    finally:
        running.terminate()
        running.wait()


def _listens(host: str) -> bool:
    name, port = host.split(":")
    with socket.socket() as sock:
        return sock.connect_ex((name, int(port))) == 0


def skopeo(*words: str) -> str:
    """What skopeo prints; what it would remember is kept from the host."""
    need("skopeo")
    hidden = ["unshare", "--mount", "sh", "-ec", 'mount -t tmpfs tmpfs /var; mkdir /var/tmp; exec "$@"', "sh"]
    done = subprocess.run([*hidden, "skopeo", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- a server of our own ---------------------------------------------------------------------------------------


#: Length of a body that is sent again and again until nobody reads it any more.
ENDLESS = -1


class Reply(t.NamedTuple):
    """What a server answers."""

    status: int
    body: bytes = b""
    headers: t.Mapping[str, str] = {}
    length: int | None = None  #: what it says of its length, if that is not true; or :data:`ENDLESS`


class Asked(t.NamedTuple):
    """What a server was asked."""

    method: str
    path: str
    headers: t.Mapping[str, str]  #: names in small letters
    body: bytes = b""


Backend = t.Callable[[Asked], Reply]


class Front:
    """A server on loopback that writes down what it is asked.

    :param backend: what answers, unless something in :attr:`instead` does.
    :param tls: certificates for it; whether clients need one, too.
    """

    def __init__(self, backend: Backend, tls: pathlib.Path | None = None, clients: bool = False) -> None:
        self.asked: list[Asked] = []
        self.sent: dict[str, int] = {}  #: bytes of bodies by path
        self.instead: dict[str, Backend] = {}  #: by regular expressions of ``METHOD PATH``
        self.stop_after: dict[str, int] = {}  #: bytes by path, after which a body ends, once
        self.hold = threading.Event()  #: where a body stops until it is set
        self.hold.set()
        self.hung_up = threading.Event()  #: whether somebody had enough of a body without an end
        self._backend, self._lock = backend, threading.Lock()
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Gives each request to the front."""

            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                """Answer."""
                front._answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = answer

            def log_message(self, format: str, *args: t.Any) -> None:
                """Nothing."""

        class Server(http.server.ThreadingHTTPServer):
            """One whose clients may go whenever they like."""

            def handle_error(self, request: t.Any, client_address: t.Any) -> None:
                """Nothing."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls / "server.pem", tls / "server.key")
            if clients:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(tls / "authority.pem")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.host = f"localhost:{self._server.server_address[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    def __enter__(self) -> Front:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def paths(self, part: str) -> list[str]:
        """Paths with some part in them that were asked for."""
        return [asked.path for asked in self.asked if part in asked.path]

    def _answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): ", ".join(handler.headers.get_all(name, [])) for name in handler.headers}
        asked = Asked(handler.command, handler.path, headers, handler.rfile.read(int(headers.get("content-length", 0))))
        with self._lock:
            self.asked.append(asked)
        found = (each for words, each in self.instead.items() if re.search(words, f"{asked.method} {asked.path}"))
        reply = next(found, self._backend)(asked)
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.length != ENDLESS:
            handler.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        handler.end_headers()
        handler.close_connection = True
        if reply.length == ENDLESS:
            self._send_forever(handler, reply.body)
        elif asked.method != "HEAD":
            self._send(handler, asked.path, reply.body)

    def _send_forever(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        try:
            while True:
                handler.wfile.write(body * 65536)
        except OSError:
            self.hung_up.set()

    def _send(self, handler: http.server.BaseHTTPRequestHandler, path: str, body: bytes) -> None:
        end = self.stop_after.pop(path, len(body))
        handler.wfile.write(body[:end])
        handler.wfile.flush()
        with self._lock:
            self.sent[path] = self.sent.get(path, 0) + end
        if end < len(body):
            self.hold.wait(60)


def images(name: str, tags: t.Mapping[str, Image | bytes], media_type: str = "") -> Backend:
    """A repository that has images, or documents, by tags, and can only be read."""
    blobs: dict[str, bytes] = {}
    for image in tags.values():
        if isinstance(image, Image):
            blobs.update(image.blobs)

    def answer(asked: Asked) -> Reply:
        found = re.fullmatch(rf"/v2/{name}/(manifests|blobs)/(.+)", asked.path)
        if found is None:
            return Reply(404)
        image = tags.get(found[2])
        data = blobs.get(image.digest if isinstance(image, Image) else found[2], image)
        if not isinstance(data, bytes):
            return Reply(404, b'{"errors": [{"code": "UNKNOWN", "message": "no such\\u001b[31m thing"}]}')
        kind = media_type or (json.loads(data).get("mediaType", "") if found[1] == "manifests" else "a/blob")
        start = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
        if start is None:
            return Reply(200, data, {"Content-Type": kind})
        span = f"bytes {start[1]}-{len(data) - 1}/{len(data)}"
        return Reply(206, data[int(start[1]) :], {"Content-Type": kind, "Content-Range": span})

    return answer


def proxied(host: str, name: str, tags: t.Mapping[str, Image | bytes]) -> Backend:
    """A proxy that knows one registry, without TLS, with one repository.

    :param tags: of the repository, which may change.
    """

    def answer(asked: Asked) -> Reply:
        return images(name, tags)(asked._replace(path=asked.path.removeprefix(f"http://{host}")))

    return answer


def always(reply: Reply) -> Backend:
    """The same answer, whatever is asked."""
    return lambda _asked: reply


def forward(host: str) -> Backend:
    """What another registry, without TLS, answers."""

    def answer(asked: Asked) -> Reply:
        connection = http.client.HTTPConnection(host, timeout=30)
        with contextlib.closing(connection):
            connection.request(asked.method, asked.path, asked.body, dict(asked.headers))
            with connection.getresponse() as found:
                body = found.read()
                kept = {name: value for name, value in found.getheaders() if name not in _OWN}
                return Reply(found.status, body, kept, int(found.getheader("Content-Length") or len(body)))

    return answer


_OWN = ("Content-Length", "Connection", "Date", "Server", "Transfer-Encoding")


def tokens(issued: dict[str, str]) -> Backend:
    """A server that gives tokens to :data:`USER`, for whatever is asked for.

    :param issued: scopes by the tokens that were given.
    """

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != login():
            return Reply(401, b"{}")
        token = f"token-{len(issued)}"
        issued[token] = asked.path.partition("?")[2]
        return Reply(200, json.dumps({"token": token, "expires_in": 60}).encode())

    return answer


def guarded(backend: Backend, realm: str, valid: t.Collection[str]) -> Backend:
    """A registry that wants a token for everything."""

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization", "").removeprefix("Bearer ") in valid:
            return backend(asked)
        return Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="{realm}",service="here",scope="other:x:push"'})

    return answer


def login() -> str:
    """What authorizes :data:`USER`."""
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
