# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of images: index, manifest and configuration of the OCI image specification and of Docker's schema 2.

They come from somebody else. A field that is given twice, or in another case, which Go takes for the same, is refused,
since two readers would not understand the same; so is a document that is an index and a manifest at once, or another
one than it was said to be (CVE-2021-41190).
"""

from __future__ import annotations

import os
import typing as t

from . import reference
from .errors import ImageError, shown

INDEX: t.Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: t.Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: t.Final = "application/vnd.oci.image.config.v1+json"
DOCKER_INDEX: t.Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: t.Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: t.Final = "application/vnd.docker.container.image.v1+json"
LAYER: t.Final = "application/vnd.oci.image.layer.v1.tar"
INDEXES: t.Final = (INDEX, DOCKER_INDEX)
MANIFESTS: t.Final = (MANIFEST, DOCKER_MANIFEST)
#: What leads to something else.
DOCUMENTS: t.Final = (*MANIFESTS, *INDEXES)
CONFIGS: t.Final = (CONFIG, DOCKER_CONFIG)
#: Largest document that is read, bytes: what registries accept at most for a manifest.
LARGEST: t.Final = 4 << 20
#: Most layers of an image: overlayfs takes no more (``OVL_MAX_STACK`` of the kernel).
MOST_LAYERS: t.Final = 500
_LAYERS: t.Final = frozenset({
    LAYER, f"{LAYER}+gzip", f"{LAYER}+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
})  # fmt: skip
#: Names of machines in uname(2), and what they are called in images: architecture and variant.
_MACHINES: t.Final = {
    "x86_64": ("amd64", ""), "i386": ("386", ""), "i686": ("386", ""), "aarch64": ("arm64", "v8"),
    "armv8l": ("arm", "v8"), "armv7l": ("arm", "v7"), "armv6l": ("arm", "v6"), "loongarch64": ("loong64", ""),
}  # fmt: skip
#: The variant that an image has that names none.
_PLAIN: t.Final = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
#: Names that must not be in a document beside what it is.
_INDEX_ONLY, _MANIFEST_ONLY = ("manifests",), ("config", "layers")
_Object = dict[str, t.Any]


class Platform(t.NamedTuple):
    """What an image runs on."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``OS/ARCHITECTURE[/VARIANT]``.

        :raises ValueError: it is not of that form.
        """
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(part.isalnum() and part.isascii() for part in parts):
            raise ValueError(f"expected a platform, OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, got {text!r}")
        return cls(*parts)

    @classmethod
    def here(cls) -> Platform:
        """What this machine is."""
        machine = os.uname().machine
        return cls("linux", *_MACHINES.get(machine, (machine, "")))

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


class Descriptor(t.NamedTuple):
    """What a blob is, and the proof of it."""

    media_type: str
    digest: str
    size: int  #: bytes
    platform: Platform | None = None
    annotations: t.Mapping[str, str] = {}

    def document(self) -> _Object:
        """The descriptor as documents have it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


class Index(t.NamedTuple):
    """One image for several platforms, or several images."""

    manifests: tuple[Descriptor, ...]


class Manifest(t.NamedTuple):
    """One image: its configuration, and its layers from the lowest to the highest."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: t.Mapping[str, str] = {}

    def document(self) -> bytes:
        """What :func:`parse` reads: the same bytes for the same manifest."""
        return written(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self.config.document(),
                "layers": [layer.document() for layer in self.layers],
                **({"annotations": dict(self.annotations)} if self.annotations else {}),
            }
        )


class Health(t.NamedTuple):
    """How to find out whether a service works; times in seconds, 0 where the image says nothing."""

    test: tuple[str, ...]  #: ``CMD`` and a command, ``CMD-SHELL`` and a line for a shell, or ``NONE``
    interval: float = 0.0
    timeout: float = 0.0
    start_period: float = 0.0
    start_interval: float = 0.0
    retries: int = 0

    def document(self) -> _Object:
        """The health check as configurations have it."""
        times = (self.interval, self.timeout, self.start_period, self.start_interval)
        return {
            "Test": list(self.test),
            **{name: round(seconds * 1e9) for name, seconds in zip(_TIMES, times)},
            "Retries": self.retries,
        }


class Config(t.NamedTuple):
    """What the maker of an image says of how to run it (``config.md`` of the image specification)."""

    platform: Platform
    diff_ids: tuple[str, ...]  #: digests of the layers as plain tar archives, from the lowest to the highest
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: t.Mapping[str, str] = {}
    user: str = ""
    working_dir: str = ""
    exposed_ports: tuple[str, ...] = ()  #: ``PORT/PROTOCOL``, sorted
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()  #: paths in the container, sorted
    labels: t.Mapping[str, str] = {}
    health: Health | None = None
    created: str = ""  #: RFC 3339

    def document(self) -> bytes:
        """What :func:`parse_config` reads: the same bytes for the same configuration."""
        said: _Object = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "Env": [f"{name}={value}" for name, value in self.env.items()],
            "User": self.user,
            "WorkingDir": self.working_dir,
            "ExposedPorts": {port: {} for port in self.exposed_ports},
            "StopSignal": self.stop_signal,
            "Volumes": {path: {} for path in self.volumes},
            "Labels": dict(self.labels),
            "Healthcheck": self.health and self.health.document(),
        }
        return written(
            {
                **self.platform._asdict(),
                "created": self.created,
                "config": {name: value for name, value in said.items() if value},
                "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
            }
        )


def written(document: _Object) -> bytes:
    """A document as it is stored and transported, without fields that are empty strings."""
    import json

    said = {name: value for name, value in document.items() if value != ""}
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def digest_of(data: bytes) -> str:
    """The digest of a document."""
    import hashlib

    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# --- documents -----------------------------------------------------------------------------------


def parse(data: bytes, media_type: str) -> Index | Manifest:
    """Read an index or a manifest.

    :param data: the whole document.
    :param media_type: what it was said to be, by its descriptor or by the registry.
    :raises ImageError: it is something else, or is not whole.
    """
    where = _Where(_KIND.get(media_type, "document"))
    document = _load(data, where)
    if media_type not in _KIND:
        raise ImageError("", f"expected an image index or a manifest, got {shown(media_type or 'an unnamed type')}")
    said = where.of(document, "mediaType", str, media_type)
    if said != media_type:
        where.fail("mediaType", f"{media_type}, as it was announced", said)
    if where.number(document, "schemaVersion") != 2:
        where.fail("schemaVersion", "2", document.get("schemaVersion"))
    return _index(document, where) if media_type in INDEXES else _manifest(document, where)


_KIND: t.Final = {**dict.fromkeys(INDEXES, "image index"), **dict.fromkeys(MANIFESTS, "manifest")}


def guess(data: bytes) -> str:
    """The media type of a document that nobody announced: what it says itself, or what it can only be.

    :raises ImageError: it is neither an index nor a manifest.
    """
    document = _load(data, _Where("manifest"))
    said = document.get("mediaType")
    if isinstance(said, str) and said:
        return said
    return INDEX if "manifests" in document else MANIFEST


def parse_config(data: bytes) -> Config:
    """Read the configuration of an image.

    :raises ImageError: it is not one, or a field is not what it must be.
    """
    where = _Where("image configuration")
    document = _load(data, where)
    root = where.of(document, "rootfs", dict, {})
    if root.get("type", "layers") != "layers":
        where.fail("rootfs.type", "'layers'", root.get("type"))
    diff_ids = tuple(
        where.digest(each, f"rootfs.diff_ids[{n}]") for n, each in enumerate(where.strings(root, "diff_ids"))
    )
    how = _how_to_run(where.of(document, "config", dict, {}), where)
    return Config(_platform(document, where), diff_ids, created=where.of(document, "created", str, ""), **how)


def _how_to_run(said: _Object, where: _Where) -> dict[str, t.Any]:
    """Fields of :class:`Config`."""
    return {
        "entrypoint": where.strings(said, "Entrypoint"),
        "cmd": where.strings(said, "Cmd"),
        "env": _environment(said, where),
        "user": where.of(said, "User", str, ""),
        "working_dir": where.of(said, "WorkingDir", str, ""),
        "exposed_ports": tuple(sorted(where.of(said, "ExposedPorts", dict, {}))),
        "stop_signal": where.of(said, "StopSignal", str, ""),
        "volumes": tuple(sorted(where.of(said, "Volumes", dict, {}))),
        "labels": where.texts(said, "Labels"),
        "health": _health(said, where),
    }


class Saved(t.NamedTuple):
    """One image in what ``docker save`` writes; its files are names in the archive."""

    config: str
    names: tuple[str, ...]
    layers: tuple[str, ...]  #: from the lowest to the highest


def parse_saved(data: bytes) -> list[Saved]:
    """Read ``manifest.json`` of what ``docker save`` writes.

    :raises ImageError: it is none.
    """
    where = _Where("manifest.json")
    entries = _json(data, where)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        where.fail("", "a list of objects", entries)
    return [
        Saved(where.of(entry, "Config", str, None), where.strings(entry, "RepoTags"), where.strings(entry, "Layers"))
        for entry in entries
    ]


def choose(index: Index, wanted: Platform) -> Descriptor:
    """The image of an index that fits a platform best.

    Newer variants of a machine run what was made for older ones; the newest of those that fit is taken.

    :raises ImageError: none fits; says which there are.
    """
    fitting = [each for each in index.manifests if each.platform is not None and _fits(each.platform, wanted)]
    if fitting:
        return max(fitting, key=lambda each: _variant(t.cast("Platform", each.platform)))
    anonymous = [each for each in index.manifests if each.platform is None and each.media_type in _KIND]
    if len(anonymous) == 1:
        return anonymous[0]
    there = sorted({str(each.platform) for each in index.manifests if each.platform and each.platform.os != "unknown"})
    raise ImageError("", f"there is no image for {wanted}, only for {shown(', '.join(there)) or 'nothing'}")


def _fits(platform: Platform, wanted: Platform) -> bool:
    if (platform.os, platform.architecture) != (wanted.os, wanted.architecture):
        return False
    return platform.variant == wanted.variant or _variant(platform) <= _variant(wanted)


def _variant(platform: Platform) -> tuple[int, str]:
    """By what variants are ordered: ``v6`` is before ``v7``; an unnamed one is the usual one."""
    variant = platform.variant or _PLAIN.get(platform.architecture, "")
    number = variant.lstrip("v")
    return (int(number) if number.isdigit() and number.isascii() else 0, variant)


def _index(document: _Object, where: _Where) -> Index:
    where.lacks(document, _MANIFEST_ONLY)
    entries = where.of(document, "manifests", list, None)
    return Index(tuple(_descriptor(each, f"manifests[{number}]", where) for number, each in enumerate(entries)))


def _manifest(document: _Object, where: _Where) -> Manifest:
    where.lacks(document, _INDEX_ONLY)
    config = _descriptor(document.get("config"), "config", where)
    if config.media_type not in CONFIGS:
        raise ImageError("", f"this is no image of a container: its configuration is {shown(config.media_type)!r}")
    entries = where.of(document, "layers", list, None)
    if len(entries) > MOST_LAYERS:
        where.fail("layers", f"at most {MOST_LAYERS} layers", len(entries))
    layers = tuple(_descriptor(each, f"layers[{number}]", where) for number, each in enumerate(entries))
    for number, layer in enumerate(layers):
        if layer.media_type not in _LAYERS:
            where.fail(f"layers[{number}].mediaType", "a layer of an image, not encrypted", layer.media_type)
    return Manifest(config, layers, where.texts(document, "annotations"))


def _descriptor(value: t.Any, path: str, where: _Where) -> Descriptor:
    if not isinstance(value, dict):
        where.fail(path, "an object", value)
    inside = where.below(path)
    size = inside.field(value, "size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        inside.fail("size", "a number of bytes", size)
    platform = inside.of(value, "platform", dict, {})
    return Descriptor(
        inside.of(value, "mediaType", str, None),
        inside.digest(inside.field(value, "digest"), "digest"),
        size,
        _platform(platform, inside.below("platform")) if platform else None,
        inside.texts(value, "annotations"),
    )


def _platform(place: _Object, where: _Where) -> Platform:
    return Platform(*(where.of(place, name, str, "") for name in Platform._fields))


def _environment(said: _Object, where: _Where) -> dict[str, str]:
    """Variables by name; of one that is given twice the last one counts, as in Docker."""
    found = {}
    for number, each in enumerate(where.strings(said, "Env")):
        name, equals, value = each.partition("=")
        if not name or not equals or "\0" in each:
            where.fail(f"config.Env[{number}]", "NAME=VALUE", each)
        found[name] = value
    return found


def _health(said: _Object, where: _Where) -> Health | None:
    check = where.of(said, "Healthcheck", dict, {})
    test = where.strings(check, "Test")
    if not test:
        return None
    if test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        where.fail("config.Healthcheck.Test", "NONE, CMD or CMD-SHELL at the beginning", test[0])
    interval, timeout, start_period, start_interval = (where.number(check, name) / 1e9 for name in _TIMES)
    return Health(test, interval, timeout, start_period, start_interval, where.number(check, "Retries"))


# --- strict JSON ---------------------------------------------------------------------------------


class _Where:
    """A document, or a place in it, whose errors name it."""

    def __init__(self, document: str, path: str = "") -> None:
        self._document, self._path = document, path

    def below(self, path: str) -> _Where:
        return _Where(self._document, f"{self._path}{path}.")

    def fail(self, path: str, expected: str, got: t.Any) -> t.NoReturn:
        place = f"{self._path}{path}: " if path else ""
        raise ImageError("", f"{self._document}: {place}expected {expected}, got {shown(repr(got))}")

    def field(self, place: _Object, name: str) -> t.Any:
        """A field, ``None`` if it is missing; one that is only written like it is refused."""
        for key in place:
            if key != name and key.casefold() == name.casefold():
                self.fail(key, f"{name!r}", key)
        return place.get(name)

    def of(self, place: _Object, name: str, kind: type, default: t.Any) -> t.Any:
        """A field of a type; where it may be missing, ``null`` is as good as that."""
        value = self.field(place, name)
        if value is None and default is not None:
            return default
        if not isinstance(value, kind):
            self.fail(name, _TYPES[kind], value)
        return value

    def strings(self, place: _Object, name: str) -> tuple[str, ...]:
        values = self.of(place, name, list, [])
        for number, value in enumerate(values):
            if not isinstance(value, str):
                self.fail(f"{name}[{number}]", "a string", value)
        return tuple(values)

    def texts(self, place: _Object, name: str) -> dict[str, str]:
        values: dict[str, str] = self.of(place, name, dict, {})
        for key, value in values.items():
            if not isinstance(value, str):
                self.fail(f"{name}.{shown(key)}", "a string", value)
        return values

    def number(self, place: _Object, name: str) -> int:
        value = self.field(place, name) or 0
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.fail(name, "a number that is not negative", value)
        return value

    def digest(self, value: t.Any, path: str) -> str:
        try:
            return reference.digest(value if isinstance(value, str) else repr(value))
        except ValueError:
            self.fail(path, "a digest, 'sha256:' and 64 digits 0-9 and a-f", value)

    def lacks(self, document: _Object, names: t.Iterable[str]) -> None:
        """Refuse a document that has what another kind of document has."""
        for name in names:
            if self.field(document, name) is not None:
                raise ImageError("", f"{self._document}: it has {name!r} too, and could be read as something else")


#: Of a health check, in nanoseconds.
_TIMES: t.Final = ("Interval", "Timeout", "StartPeriod", "StartInterval")
_TYPES: t.Final[dict[type, str]] = {dict: "an object", list: "a list", str: "a string"}


def _load(data: bytes, where: _Where) -> _Object:
    document = _json(data, where)
    if not isinstance(document, dict):
        where.fail("", "an object", document)
    return t.cast("_Object", document)


def _json(data: bytes, where: _Where) -> t.Any:
    import json

    if len(data) > LARGEST:
        where.fail("", f"at most {LARGEST} bytes", len(data))
    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_constant)
        json.dumps(document, ensure_ascii=False).encode("utf-8")  # no halves of characters that UTF-16 writes as two
    except (ValueError, RecursionError) as error:
        where.fail("", "JSON", error)
    return document


def _pairs(pairs: list[tuple[str, t.Any]]) -> _Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return found


def _constant(word: str) -> t.NoReturn:
    raise ValueError(f"{word} is no number")
