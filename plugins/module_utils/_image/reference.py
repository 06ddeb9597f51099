# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images: ``REGISTRY/PATH:TAG@DIGEST``, of which most can be left out.

The grammar is that of ``distribution/reference``, and so are the defaults: a name without a registry is one of Docker
Hub, and one that has neither tag nor digest has the tag ``latest``.
"""

from __future__ import annotations

import re
import typing as t

#: The registry of names that name none.
HUB: t.Final = "docker.io"
#: Where official images of :data:`HUB` are.
_OFFICIAL: t.Final = "library/"
_HOST: t.Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])"
    r"(?::[0-9]{1,5})?"
)
_PATH: t.Final = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*")
_TAG: t.Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: t.Final = re.compile(r"sha256:[0-9a-f]{64}")
#: What Docker takes for the id of an image; as a name it would mean two things.
_ID: t.Final = re.compile(r"[0-9a-f]{64}")
#: Longest ``REGISTRY/PATH``, characters.
_LONGEST: t.Final = 255


def digest(value: str) -> str:
    """A digest as descriptors and references have it.

    :raises ValueError: it is none, or of another algorithm than SHA-256.
    """
    if not _DIGEST.fullmatch(value):
        raise ValueError(f"expected a digest, 'sha256:' and 64 digits 0-9 and a-f, got {value!r}")
    return value


class Reference(t.NamedTuple):
    """The complete name of an image. :meth:`parse` reads what people write; ``str()`` is the canonical form."""

    registry: str  #: name or address of a host, with its port if it is not the usual one
    path: str  #: the repository in the registry
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a name as people write it.

        :raises ValueError: it is none; says which part is wrong and what was expected.
        """
        name, at, pinned = text.partition("@")
        if at:
            digest(pinned)
        name, tag = _split_tag(name, text)
        registry, path = _split_registry(name)
        _check_path(path, text)
        if registry == HUB and "/" not in path:
            path = _OFFICIAL + path
        if len(registry) + 1 + len(path) > _LONGEST:
            raise ValueError(f"expected a registry and path of at most {_LONGEST} characters, got {text!r}")
        return cls(registry, path, tag or ("" if pinned else "latest"), pinned)

    @property
    def name(self) -> str:
        """``REGISTRY/PATH``."""
        return f"{self.registry}/{self.path}"

    @property
    def wanted(self) -> str:
        """What to ask the repository for: the digest if there is one, else the tag."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return self.name + (self.tag and f":{self.tag}") + (self.digest and f"@{self.digest}")


def reference(value: str) -> str:
    """The canonical form of a name, for options.

    :raises ValueError: it is none.
    """
    return str(Reference.parse(value))


def host(value: str) -> str:
    """Name or address of a registry, with its port if it is not the usual one.

    :raises ValueError: it is none.
    """
    port = value.rpartition("]")[2].partition(":")[2]
    if not _HOST.fullmatch(value) or int(port or 1) not in range(1, 65536):
        raise ValueError(f"expected the host of a registry, NAME or NAME:PORT, got {value!r}")
    return HUB if value in ("index.docker.io", "registry-1.docker.io") else value


def _split_tag(name: str, text: str) -> tuple[str, str]:
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(
            "expected a tag of 1 to 128 letters, digits, '_', '.' and '-', of which the first is a letter, a digit or "
            f"'_', got {tag!r} in {text!r}"
        )
    return f"{head}{slash}{last}", tag


def _split_registry(name: str) -> tuple[str, str]:
    """The first part is a registry if it cannot be part of a path, or is ``localhost``."""
    first, slash, rest = name.partition("/")
    if slash and (first == "localhost" or any(character in first for character in ".:[") or first != first.lower()):
        return host(first), rest
    return HUB, name


def _check_path(path: str, text: str) -> None:
    if not _PATH.fullmatch(path):
        raise ValueError(
            "expected an image, [REGISTRY/]PATH[:TAG][@DIGEST], with a path of small letters and digits, between which "
            f"'.', '_', '__', '-' and '/' may stand, got {text!r}"
        )
    if _ID.fullmatch(path):
        raise ValueError(f"expected the name of an image, got {text!r}, which is the id of one")
