# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images made by the standard library alone: layers, documents, and OCI layouts of them."""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import os
import pathlib
import typing as t

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
Descriptor = dict[str, t.Any]


def digest(data: bytes) -> str:
    """The digest of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Image:
    """An image with layers of its own; :attr:`blobs` has all of it by digest.

    :param layers: plain archives, from the lowest to the highest.
    :param config: what its ``config`` says.
    """

    def __init__(self, *layers: bytes, config: t.Mapping[str, t.Any] | None = None, machine: str = MACHINE) -> None:
        self.blobs: dict[str, bytes] = {}
        self.plain = sum(map(len, layers))  #: size of all layers, bytes
        self.diff_ids = [digest(layer) for layer in layers]
        document = {
            "os": "linux",
            "architecture": machine,
            "config": dict(config or {}),
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
        }
        self.config = self.add(json.dumps(document).encode(), CONFIG)
        self.layers = [self.add(gzip.compress(layer, 1, mtime=0), LAYER) for layer in layers]
        self.document = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": self.config, "layers": self.layers,
        }  # fmt: skip
        self.manifest = self.add(json.dumps(self.document).encode(), MANIFEST)
        self.manifest["platform"] = {"os": "linux", "architecture": machine}

    def add(self, data: bytes, media_type: str) -> Descriptor:
        """One more blob."""
        self.blobs[digest(data)] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def but(self, **changes: t.Any) -> Image:
        """The same with another manifest."""
        changed = copy.copy(self)
        changed.blobs = dict(self.blobs)
        changed.document = {**self.document, **changes}
        changed.manifest = changed.add(json.dumps(changed.document).encode(), MANIFEST)
        return changed

    @property
    def digest(self) -> str:
        """Of its manifest."""
        return str(self.manifest["digest"])


def index(*images: Image) -> bytes:
    """One image for several platforms."""
    document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [image.manifest for image in images]}
    return json.dumps(document).encode()


def layout(path: pathlib.Path, images: t.Mapping[str, Image]) -> pathlib.Path:
    """An OCI layout of images by their tags."""
    (path / "blobs/sha256").mkdir(parents=True)
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    named = []
    for tag, image in images.items():
        named.append({**image.manifest, "annotations": {"org.opencontainers.image.ref.name": tag}})
        for name, data in image.blobs.items():
            (path / "blobs" / name.replace(":", "/")).write_bytes(data)
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": named}))
    return path


def random(size: int, seed: int = 0) -> bytes:
    """Bytes that no compression makes smaller, the same each time."""
    return hashlib.shake_256(str(seed).encode()).digest(size)
