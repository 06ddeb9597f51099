# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who we are to a registry: by name and password, or by a token that another server gives for them (RFC 6750).

A token is asked for what is to be done, and never for what the registry says: a hostile one could have us fetch a token
for somebody else's repository, and would get it.
"""

from __future__ import annotations

import json
import re
import threading
import typing as t
import urllib.parse

from .errors import shown
from .transport import Client, Headers, RegistryError, Response, basic, body, explained, place_of

#: Largest answer with a token, bytes.
_LARGEST: t.Final = 1 << 20
_TOKEN: t.Final = re.compile(r"[!-~]+")
_PARAMETER: t.Final = re.compile(r'([A-Za-z_-]+)="([^"]*)"')


class Authority:
    """What authorizes requests to a registry; it is found out when the registry refuses the first one.

    :param client: of the registry.
    :param scopes: what is to be done, ``repository:PATH:pull,push``.
    """

    def __init__(self, client: Client, scopes: t.Sequence[str]) -> None:
        self._client, self._scopes = client, tuple(scopes)
        self._lock = threading.Lock()
        self._header = ""

    def headers(self) -> Headers:
        """What goes with a request."""
        return {"Authorization": self._header} if self._header else {}

    def renew(self, answer: Response, used: Headers) -> bool:
        """Find out what a registry wants that refused a request, and get it.

        :param answer: the refusal, which is closed.
        :param used: headers that it refused.
        :returns: whether it is worth to ask again.
        :raises RegistryError: there is no way to authorize.
        """
        challenge = answer.headers.get("WWW-Authenticate", "")
        answer.close()
        with self._lock:
            if used.get("Authorization", "") != self._header:
                return True  # another thread did it meanwhile
            if used and self._header.startswith("Basic "):
                return False
            self._header = self._answer_to(challenge)
        return bool(self._header)

    def _answer_to(self, challenge: str) -> str:
        scheme, _space, rest = challenge.partition(" ")
        if scheme.lower() == "bearer":
            return f"Bearer {self._token(dict(_PARAMETER.findall(rest)))}"
        if scheme.lower() == "basic":
            return self._basic()
        raise RegistryError(self._client.host, f"it wants an unknown way to authenticate, {shown(scheme)!r}")

    def _basic(self) -> str:
        access = self._client.access
        return basic(access.username, access.password) if access.username else ""

    def _token(self, parameters: t.Mapping[str, str]) -> str:
        """Ask the server that gives tokens."""
        realm = parameters.get("realm", "")
        self._check(realm)
        query = [("service", parameters["service"])] if "service" in parameters else []
        query += [("scope", scope) for scope in self._scopes]
        url = f"{realm}{'&' if '?' in realm else '?'}{urllib.parse.urlencode(query)}"
        password = self._basic()
        answer = self._client.ask("GET", url, {"Authorization": password} if password else {})
        if answer.status != 200:
            who = "the user name or the password is wrong, or may not do it" if password else "it needs a user name"
            raise RegistryError(self._client.host, f"no token from {shown(realm)}: {explained(answer)}; {who}")
        return self._read(answer, realm)

    def _check(self, realm: str) -> None:
        """Refuse to send a password in the clear to somebody whom nobody named."""
        home = self._client.home
        try:
            place = place_of(realm)
        except ValueError as error:
            raise RegistryError(self._client.host, f"its tokens are nowhere: {error}") from None
        if place.scheme == "http" and (home.scheme, home.host) != (place.scheme, place.host):
            raise RegistryError(
                self._client.host, f"it wants the password for a token to go to {place.name} without TLS; refused"
            )

    def _read(self, answer: Response, realm: str) -> str:
        try:
            document = json.loads(body(answer, _LARGEST))
            token = document.get("token") or document.get("access_token")
            if isinstance(token, str) and _TOKEN.fullmatch(token):
                return token
        except (OSError, ValueError, AttributeError, RecursionError):
            pass  # what is in there may be a secret
        raise RegistryError(self._client.host, f"expected a token from {shown(realm)}, got something else")
