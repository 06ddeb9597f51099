# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images into registries: blobs first, each only if it is not there, and the manifest last."""

from __future__ import annotations

import typing as t
import urllib.parse

from .manifest import DOCUMENTS, Descriptor
from .reference import HUB, Reference
from .registry import HUB_HOST, Repository
from .source import Checked, Source, document, parts
from .transport import ANYBODY, ATTEMPTS, PASSING, Access, RegistryError, Response, explained, wait

#: How much is sent at once, bytes.
CHUNK: t.Final = 16 << 20
#: What is worth to begin an upload again: no answer, an upload that is gone, trouble that may pass.
_AGAIN: t.Final = frozenset({0, 404, 416, *PASSING})
_BYTES: t.Final = {"Content-Type": "application/octet-stream"}


def push(
    source: Source, reference: Reference, target: Reference, access: Access = ANYBODY, mount: t.Sequence[str] = ()
) -> Descriptor:
    """Bring an image into a registry, with all images of an index.

    :param reference: the image in the source.
    :param target: what it is called in the registry; its tag is made to lead to it.
    :param access: how the registry is reached, by somebody who may write.
    :param mount: paths of other repositories of the registry that may have blobs already.
    :returns: what the target leads to now.
    :raises NsfleetError: the registry refuses, or the source has not all of it.
    """
    home = HUB_HOST if target.registry == HUB else target.registry
    upload = _Upload(source, Repository(home, target.path, access, "pull,push", mount), mount)
    descriptor = source.resolve(reference)
    for each in parts(source, descriptor):
        if each.media_type in DOCUMENTS:
            upload.manifest(each, target.tag if each == descriptor and target.tag else each.digest)
        else:
            upload.blob(each)
    return descriptor


class _Upload:
    def __init__(self, source: Source, repository: Repository, mount: t.Sequence[str]) -> None:
        self._source, self._repository, self._mount = source, repository, mount

    def manifest(self, descriptor: Descriptor, name: str) -> None:
        """An index or a manifest; what it leads to is there.

        :param name: tag or digest that it gets.
        """
        url = self._repository.url(f"/manifests/{name}")
        data = document(self._source, descriptor)
        answer = self._repository.ask("PUT", url, {"Content-Type": descriptor.media_type}, data)
        self._accepted(answer, f"the manifest {name}", 201).close()

    def blob(self, descriptor: Descriptor) -> None:
        """A configuration or a layer, if it is not there."""
        there = self._repository.ask("HEAD", self._repository.url(f"/blobs/{descriptor.digest}"), {})
        there.close()
        if there.status == 200:
            return
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._upload(descriptor)
                break
            except RegistryError as error:
                if error.status not in _AGAIN or attempt == ATTEMPTS:
                    raise
            wait(attempt)

    def _upload(self, descriptor: Descriptor) -> None:
        """Send a blob from its beginning on.

        What became of a piece whose answer was lost cannot be asked: docker-registry drops an upload that is gone on
        with from anywhere else than where it stands.
        """
        location = self._begin(descriptor)
        if location:
            self._send(descriptor, location)

    def _begin(self, descriptor: Descriptor) -> str:
        """Where to send a blob; nowhere if the registry has it in another repository and takes it from there."""
        for other in self._mount:
            query = urllib.parse.urlencode({"mount": descriptor.digest, "from": other})
            answer = self._repository.ask("POST", self._repository.url(f"/blobs/uploads/?{query}"), {}, b"")
            if answer.status == 201:
                answer.close()
                return ""
            if answer.status == 202:
                return self._next(answer)
            answer.close()
        answer = self._repository.ask("POST", self._repository.url("/blobs/uploads/"), {}, b"")
        return self._next(self._accepted(answer, descriptor.digest, 202))

    def _send(self, descriptor: Descriptor, location: str) -> None:
        checked = Checked(descriptor)
        start = 0
        with self._source.open_blob(descriptor) as stream:
            piece = checked.take(stream.read(CHUNK))
            while checked.size < descriptor.size and piece:
                location = self._patch(descriptor, location, start, piece)
                start = checked.size
                piece = checked.take(stream.read(CHUNK))
            if piece:
                checked.take(b"")
        url = f"{location}{'&' if '?' in location else '?'}{urllib.parse.urlencode({'digest': descriptor.digest})}"
        answer = self._repository.ask("PUT", url, _BYTES, piece, attempts=1)
        self._accepted(answer, descriptor.digest, 201).close()

    def _patch(self, descriptor: Descriptor, location: str, start: int, piece: bytes) -> str:
        """Send one of several pieces; where the next one goes."""
        headers = {**_BYTES, "Content-Range": f"{start}-{start + len(piece) - 1}"}
        answer = self._repository.ask("PATCH", location, headers, piece, attempts=1)
        return self._next(self._accepted(answer, descriptor.digest, 202))

    def _next(self, answer: Response) -> str:
        """Where an upload goes on."""
        answer.close()
        return urllib.parse.urljoin(self._repository.url("/"), answer.headers.get("Location", ""))

    def _accepted(self, answer: Response, what: str, expected: int) -> Response:
        if answer.status != expected:
            problem = f"it does not take {what} into {self._repository.path}: {explained(answer)}"
            raise RegistryError(self._repository.host, problem, answer.status)
        return answer
