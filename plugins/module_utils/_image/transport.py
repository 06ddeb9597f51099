# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP as registries speak it: TLS that is verified, proxies, redirects and patience, and no secret to anybody else.

What authorizes is sent to one place (scheme, host and port) and never on to where that place redirects to. From TLS
nothing leads to plain HTTP. Texts of a server are told only as one short line.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl
import time
import typing as t
import urllib.parse

from .._model.errors import NsfleetError
from .errors import shown

#: Seconds that a server may be silent.
TIMEOUT: t.Final = 60.0
#: How often something is tried that may work the next time, and seconds to wait after the first time.
ATTEMPTS: t.Final = 5
PAUSE: t.Final = 0.5
#: Longest that a server may make us wait before the next attempt, seconds.
_LONGEST_PAUSE: t.Final = 60.0
#: What may be over the next time.
PASSING: t.Final = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS: t.Final = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS: t.Final = 5
#: Largest text of an error, bytes.
_TEXT: t.Final = 1 << 16
#: What OpenSSL says where there will be no TLS the next time either.
_FOREVER: t.Final = frozenset({
    "CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "TLSV1_ALERT_PROTOCOL_VERSION",
    "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLSV1_ALERT_UNKNOWN_CA",
})  # fmt: skip
_PORTS: t.Final = {"http": 80, "https": 443}

Response = http.client.HTTPResponse
Headers = t.Mapping[str, str]


class RegistryError(NsfleetError):
    """A registry that cannot be reached, refuses, or says what it must not.

    :param host: the registry.
    :param problem: what is wrong and what to do, without a full stop.
    """

    def __init__(self, host: str, problem: str, status: int = 0) -> None:
        super().__init__(f"{host}: {problem}")
        self.status = status


class Access(t.NamedTuple):
    """How a registry is reached. What is secret in it is not shown."""

    username: str = ""
    password: str = ""
    plain_http: bool = False  #: no TLS: whoever is on the way can read and change what is transported
    ca_file: str = ""  #: certificates of authorities that are trusted besides those of the host
    client_certificate: str = ""  #: file with a certificate, and with its key if ``client_key`` names no other one
    client_key: str = ""
    proxy: str | None = None  #: URL, ``""`` for none; ``None`` for what the environment says

    def __repr__(self) -> str:
        return f"Access({self.username!r}, plain_http={self.plain_http})"


#: As anybody, by what the environment says.
ANYBODY: t.Final = Access()


class Place(t.NamedTuple):
    """Scheme, host and port: what a credential belongs to."""

    scheme: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """As people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def place_of(url: str) -> Place:
    """Where a URL leads to.

    :raises ValueError: it is none of HTTP, or has a user name in it.
    """
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise ValueError(f"expected a URL, got {shown(url)!r}")
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"expected a URL that begins with https://HOST/ or http://HOST/, got {_without_user(url)!r}")
    return Place(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])


def _without_user(url: str) -> str:
    return "(a URL with a user name)" if "@" in url else shown(url)


class Client:
    """What asks the servers of one registry.

    :param host: ``NAME`` or ``NAME:PORT`` of the registry.
    """

    def __init__(self, host: str, access: Access) -> None:
        self.access = access
        self.host = host
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self.home = place_of(f"{'http' if access.plain_http else 'https'}://{host}/")

    def url(self, path: str) -> str:
        """The URL of a path of the registry."""
        return f"{self.home.scheme}://{self.host}{path}"

    def is_home(self, url: str) -> bool:
        """Whether a URL leads to the registry itself, and not to a place that it told of.

        :raises RegistryError: it leads where nobody must go.
        """
        return self._place(url) == self.home

    def ask(
        self, method: str, url: str, headers: Headers, data: bytes | None = None, attempts: int = ATTEMPTS
    ) -> Response:
        """Ask until there is an answer that is worth something, along redirects for what only reads.

        :param headers: ``Authorization`` is left out where a redirect leads to another place.
        :returns: the answer, whatever its status; the caller closes it.
        :raises RegistryError: there is none.
        """
        for attempt in range(1, attempts + 1):
            try:
                answer = self._along(method, url, headers, data)
                if answer.status not in PASSING or attempt == attempts:
                    return answer
                pause = _asked_for(answer)
                answer.close()
            except (OSError, http.client.HTTPException) as error:
                if attempt == attempts or getattr(error, "reason", "") in _FOREVER:
                    raise RegistryError(self.host, _unreached(error)) from None
                pause = 0.0
            wait(attempt, pause)
        raise AssertionError("the last attempt returns or raises")

    def _along(self, method: str, url: str, headers: Headers, data: bytes | None) -> Response:
        """Ask, and follow redirects."""
        start = place = self._place(url)
        for _redirect in range(_MOST_REDIRECTS + 1):
            answer = self._once(method, url, headers, data)
            if answer.status == 401 and place != start:
                answer.close()  # what it wants to know of us is not for it
                raise RegistryError(self.host, f"{place.name}, where it redirects to, refuses: 401")
            if answer.status not in _REDIRECTS or method not in ("GET", "HEAD"):
                return answer
            answer.close()
            url = urllib.parse.urljoin(url, answer.headers.get("Location", ""))
            place = self._place(url)
            if place != start:
                headers = {key: value for key, value in headers.items() if key != "Authorization"}
        raise RegistryError(self.host, f"it redirects more than {_MOST_REDIRECTS} times")

    def _place(self, url: str) -> Place:
        """Where a URL leads to that the registry gave."""
        try:
            place = place_of(url)
        except ValueError as error:
            raise RegistryError(self.host, f"it leads to a place that is none: {error}") from None
        if place.scheme == "http" and not self.access.plain_http:
            raise RegistryError(self.host, f"it leads from TLS to plain HTTP ({place.name}), which is refused")
        return place

    # --- one request ----------------------------------------------------------------------

    def _once(self, method: str, url: str, headers: Headers, data: bytes | None) -> Response:
        place = self._place(url)
        connection, target, more = self._connection(place, url)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            fixed = {"Host": place.name, "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "nsfleet"}
            length = {} if data is None else {"Content-Length": str(len(data))}
            for key, value in {**fixed, **length, **more, **headers}.items():
                connection.putheader(key, value)
            connection.endheaders(data)
            answer = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:
            connection.sock.close()  # the answer has it, too, for as long as it is read
        return answer

    def _connection(self, place: Place, url: str) -> tuple[http.client.HTTPConnection, str, Headers]:
        """A connection on which to ask, what to ask there for, and what its way needs."""
        parts = urllib.parse.urlsplit(url)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        proxy = self._proxy(place)
        if place.scheme == "http":
            if proxy is None:
                return http.client.HTTPConnection(place.host, place.port, timeout=TIMEOUT), target, {}
            connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=TIMEOUT)
            return connection, f"http://{place.name}{target}", proxy.headers
        where = (place.host, place.port) if proxy is None else (proxy.host, proxy.port)
        secure = http.client.HTTPSConnection(*where, timeout=TIMEOUT, context=self._context(place))
        if proxy is not None:
            secure.set_tunnel(place.host, place.port, dict(proxy.headers))
        return secure, target, {}

    def _context(self, place: Place) -> ssl.SSLContext:
        """What is trusted; who we are is shown to the registry alone."""
        at_home = place == self.home
        if at_home not in self._contexts:
            self._contexts[at_home] = self._new_context(at_home)
        return self._contexts[at_home]

    def _new_context(self, at_home: bool) -> ssl.SSLContext:
        access = self.access
        try:
            context = ssl.create_default_context()
            if access.ca_file:
                context.load_verify_locations(access.ca_file)
            if access.client_certificate and at_home:
                context.load_cert_chain(access.client_certificate, access.client_key or None, "")
        except OSError as error:
            files = " and ".join(filter(None, (access.ca_file, access.client_certificate, access.client_key)))
            raise NsfleetError(f"{self.host}: cannot read certificates or key ({files}): {_told(error)}") from None
        return context

    def _proxy(self, place: Place) -> _Proxy | None:
        url = self.access.proxy
        if url is None:
            import urllib.request

            if urllib.request.proxy_bypass(place.host):
                return None
            url = urllib.request.getproxies().get(place.scheme, "")
        return _Proxy.parse(url) if url else None


class _Proxy(t.NamedTuple):
    host: str
    port: int
    headers: Headers

    @classmethod
    def parse(cls, url: str) -> _Proxy:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise NsfleetError("the proxy: expected http://[USER:PASSWORD@]HOST[:PORT]")
        headers = {}
        if parts.username is not None:
            user, password = (urllib.parse.unquote(word or "") for word in (parts.username, parts.password))
            headers["Proxy-Authorization"] = basic(user, password)
        return cls(parts.hostname, parts.port or 80, headers)


def wait(attempt: int, least: float = 0.0) -> None:
    """Wait before something is tried again, longer each time.

    :param attempt: which one failed, from 1 on.
    :param least: seconds that somebody asked for.
    """
    time.sleep(max(least, PAUSE * 2 ** (attempt - 1)))


def basic(username: str, password: str) -> str:
    """What authorizes by name and password (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def _asked_for(answer: Response) -> float:
    """Seconds that a server asks to wait."""
    words = answer.headers.get("Retry-After", "")
    return min(float(words), _LONGEST_PAUSE) if words.isdigit() and words.isascii() else 0.0


def _unreached(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = f"its certificate is not trusted: {shown(error.verify_message)}"
        return f"{problem}; name the file with the certificate of its authority"
    if isinstance(error, ssl.SSLError):
        return f"there is no TLS with it: {_told(error)}"
    return f"it cannot be reached: {_told(error)}"


def _told(error: Exception) -> str:
    if isinstance(error, OSError):
        return shown(error.strerror or str(error) or type(error).__name__)
    return shown(str(error) or type(error).__name__)


def body(answer: Response, most: int) -> bytes:
    """The whole of a small answer, which is closed.

    :raises ValueError: it is larger.
    :raises OSError: it ended early.
    """
    with answer:
        try:
            data = answer.read(most + 1)
        except http.client.HTTPException as error:
            raise OSError(_told(error)) from None
    if len(data) > most:
        raise ValueError(f"expected at most {most} bytes")
    return data


def explained(answer: Response) -> str:
    """What a server says of its refusal, as one short line."""
    import json

    text = ""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        errors = json.loads(body(answer, _TEXT))["errors"]
        text = "; ".join(f"{each.get('code', '')} {each.get('message', '')}".strip() for each in errors)
    return f"{answer.status} {shown(answer.reason)}" + (f" ({shown(text)})" if text else "")
