# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of registries (OCI distribution specification): where they are looked for, and how blobs come whole."""

from __future__ import annotations

import http.client
import io
import typing as t

from .._model.errors import NsfleetError
from . import manifest
from .authority import Authority
from .errors import ImageError, shown
from .manifest import Descriptor
from .reference import HUB, Reference, host
from .source import PIECE, reader
from .transport import ANYBODY, ATTEMPTS, Access, Client, Headers, RegistryError, Response, body, explained

#: Where Docker Hub is a registry.
HUB_HOST: t.Final = "registry-1.docker.io"
_ACCEPTED: t.Final = ", ".join(manifest.DOCUMENTS)
_T = t.TypeVar("_T")


class Mirror(t.NamedTuple):
    """A registry that has what another one has."""

    location: str  #: ``HOST[:PORT]``, or with a path that comes before that of the repository
    access: Access = ANYBODY

    @classmethod
    def parse(cls, location: str, access: Access = ANYBODY) -> Mirror:
        """Check a location.

        :raises ValueError: it is none.
        """
        name, slash, prefix = location.partition("/")
        host(name)
        if slash:
            Reference.parse(f"{HUB}/{prefix}/x")
        return cls(location, access)


class Registry:
    """One repository of a registry, and of its mirrors, which are asked first; a :class:`source.Source`.

    :param reference: an image of the repository.
    :param access: how the registry is reached.
    :param mirrors: in the order in which they are asked.
    """

    def __init__(self, reference: Reference, access: Access = ANYBODY, mirrors: t.Sequence[Mirror] = ()) -> None:
        home = HUB_HOST if reference.registry == HUB else reference.registry
        self._repositories = [Repository(each.location, reference.path, each.access) for each in mirrors]
        self._repositories.append(Repository(home, reference.path, access))

    def resolve(self, reference: Reference) -> Descriptor:
        """The manifest or index of a tag or digest.

        :raises NsfleetError: there is none, the registry cannot be asked, or it gives something else.
        """
        return self._first(lambda repository: repository.resolve(reference))

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> t.BinaryIO:
        """A document or a layer from an offset on. When the connection breaks, it is gone on with where it stood.

        :raises NsfleetError: there is none, or the registry cannot be asked.
        """
        return self._first(lambda repository: repository.open_blob(descriptor, offset))

    def _first(self, ask: t.Callable[[Repository], _T]) -> _T:
        """The first answer; where there is none, what each of them said."""
        problems: list[str] = []
        for repository in self._repositories[:-1]:
            try:
                return ask(repository)
            except NsfleetError as error:
                problems.append(str(error))
        try:
            return ask(self._repositories[-1])
        except NsfleetError as error:
            if not problems:
                raise
            raise NsfleetError(f"{error}; and of its mirrors: {'; '.join(problems)}") from None


class Repository:
    """A repository of one registry.

    :param location: ``HOST[:PORT]``, and for mirrors a path that comes before that of the repository.
    :param path: of the repository.
    :param actions: what is to be done: ``pull``, ``pull,push``.
    :param others: paths of repositories of the same registry that are read from, too.
    """

    def __init__(
        self, location: str, path: str, access: Access, actions: str = "pull", others: t.Sequence[str] = ()
    ) -> None:
        self.host, slash, prefix = location.partition("/")
        self.path = f"{prefix}{slash}{path}"
        self.client = Client(self.host, access)
        scopes = [f"repository:{self.path}:{actions}", *(f"repository:{other}:pull" for other in others)]
        self.authority = Authority(self.client, scopes)
        #: Documents by their digests, so that none is asked for twice.
        self._documents: dict[str, bytes] = {}

    def resolve(self, reference: Reference) -> Descriptor:
        """The manifest or index of a tag or digest.

        :raises RegistryError: there is none, or the registry cannot be asked.
        :raises ImageError: it gives something else.
        """
        what = f"{self.host}/{self.path}{'@' if reference.digest else ':'}{reference.wanted}"
        answer = self.read(f"/manifests/{reference.wanted}", {"Accept": _ACCEPTED}, what)
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        said = answer.headers.get("Docker-Content-Digest", "")
        try:
            data = body(answer, manifest.LARGEST)
        except (OSError, ValueError) as error:
            raise RegistryError(self.host, f"the manifest of {what} did not come whole: {error}") from None
        found = manifest.digest_of(data)
        for announced in (reference.digest, said if said.startswith("sha256:") else ""):
            if announced and announced != found:
                raise ImageError(what, f"expected the digest {shown(announced)}, and what came has {found}")
        self._documents[found] = data
        return Descriptor(media_type, found, len(data))

    def open_blob(self, descriptor: Descriptor, offset: int = 0) -> t.BinaryIO:
        """A document or a layer from an offset on.

        :raises RegistryError: there is none, or the registry cannot be asked.
        """
        if descriptor.digest in self._documents:
            return io.BytesIO(self._documents[descriptor.digest][offset:])
        return reader(_Blob(self, descriptor, offset))

    def read(self, path: str, headers: Headers, what: str) -> Response:
        """What the repository has at a path; the caller closes it.

        :param what: as people call it.
        :raises RegistryError: it has nothing there.
        """
        answer = self.ask("GET", self.url(path), headers)
        if answer.status == 404:
            raise RegistryError(self.host, f"there is no {what}: {explained(answer)}", 404)
        if answer.status not in (200, 206):
            raise RegistryError(self.host, f"it does not give {what}: {explained(answer)}", answer.status)
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            answer.close()
            raise RegistryError(self.host, f"it gives {what} in another encoding than was asked for")
        return answer

    def url(self, path: str) -> str:
        """The URL of a path of the repository."""
        return self.client.url(f"/v2/{self.path}{path}")

    def ask(
        self, method: str, url: str, headers: Headers, data: bytes | None = None, attempts: int = ATTEMPTS
    ) -> Response:
        """A request that is authorized as the registry wants it.

        :raises RegistryError: there is no answer, or no way to authorize.
        """
        at_home = self.client.is_home(url)
        for _attempt in range(3):  # without anything, with a token that is too old, with a new one
            used = self.authority.headers() if at_home else {}
            answer = self.client.ask(method, url, {**headers, **used}, data, attempts)
            if answer.status != 401 or not at_home or not self.authority.renew(answer, used):
                break
        if answer.status == 401:
            access = self.client.access
            problem = "it refuses the user name and the password" if access.username else "it needs a user name"
            raise RegistryError(self.host, f"{problem} for {self.path}", 401)
        return answer


class _Blob(io.RawIOBase):
    """What a registry gives of a blob, in as many pieces as it takes.

    :param offset: where to begin, bytes.
    """

    def __init__(self, repository: Repository, descriptor: Descriptor, offset: int) -> None:
        super().__init__()
        self._repository, self._descriptor = repository, descriptor
        self._at = offset
        self._broken = 0
        self._answer: Response | None = None
        self._answer = self._open()

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Hang up."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        super().close()

    def readinto(self, buffer: t.Any) -> int:
        """Read what there is, until as much has come as was announced.

        :raises RegistryError: the connection breaks again and again.
        """
        while left := self._descriptor.size - self._at:
            count = self._read(memoryview(buffer)[:left])
            if count:
                self._at += count
                self._broken = 0
                return count
            self._again()
        return 0

    def _read(self, buffer: memoryview) -> int:
        try:
            return self._answer.readinto(buffer) if self._answer is not None else 0
        except (OSError, http.client.HTTPException):
            return 0

    def _again(self) -> None:
        self._broken += 1
        if self._broken == ATTEMPTS:
            raise RegistryError(
                self._repository.host,
                f"{self._descriptor.digest} ended {ATTEMPTS} times after {self._at} of {self._descriptor.size} bytes",
            )
        if self._answer is not None:
            self._answer.close()
        self._answer = self._open()

    def _open(self) -> Response:
        """Ask for what is left."""
        digest = self._descriptor.digest
        kind = "manifests" if self._descriptor.media_type in manifest.DOCUMENTS else "blobs"
        headers = {"Accept": f"{_ACCEPTED}, */*", **({"Range": f"bytes={self._at}-"} if self._at else {})}
        answer = self._repository.read(f"/{kind}/{digest}", headers, digest)
        begins = _begins(answer)
        length = answer.headers.get("Content-Length", "")
        if begins not in (0, self._at):
            answer.close()
            raise RegistryError(self._repository.host, f"it gives another part of {digest} than was asked for")
        if length and length != str(self._descriptor.size - begins):
            answer.close()
            raise ImageError(digest, f"expected {self._descriptor.size - begins} bytes, and {shown(length)} come")
        self._skip(answer, self._at - begins)
        return answer

    def _skip(self, answer: Response, count: int) -> None:
        """Read what is there already, where a registry gives all of it anew."""
        while count and (piece := answer.read(min(count, PIECE))):
            count -= len(piece)


def _begins(answer: Response) -> int:
    """Where an answer begins in the whole; -1 if it does not say so."""
    if answer.status != 206:
        return 0
    words = answer.headers.get("Content-Range", "").partition("bytes ")[2].partition("-")[0]
    return int(words) if words.isdigit() and words.isascii() else -1
