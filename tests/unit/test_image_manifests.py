# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of images: what they say, and what is refused because it is wrong or could mean two things."""

from __future__ import annotations

import contextlib
import json
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image import manifest
from ansible_collections.nsfleet.linux.plugins.module_utils._image.errors import ImageError
from ansible_collections.nsfleet.linux.plugins.module_utils._image.manifest import Descriptor, Health, Index, Platform
from hypothesis import given
from hypothesis import strategies as st

DIGEST = "sha256:" + "0" * 64
LAYER = {"mediaType": f"{manifest.LAYER}+gzip", "digest": DIGEST, "size": 5}
CONFIG = {"mediaType": manifest.CONFIG, "digest": DIGEST, "size": 7}
MANIFEST = {"schemaVersion": 2, "mediaType": manifest.MANIFEST, "config": CONFIG, "layers": [LAYER, LAYER]}
INDEX = {"schemaVersion": 2, "mediaType": manifest.INDEX, "manifests": []}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


def refused(document: t.Any, media_type: str = manifest.MANIFEST) -> str:
    """What is said of a document that is refused."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(ImageError) as caught:
        manifest.parse(data, media_type)
    return str(caught.value)


def platforms(*names: str) -> Index:
    """An index of images for platforms."""
    return Index(
        tuple(Descriptor(manifest.MANIFEST, f"sha256:{n:064}", 1, Platform.parse(name)) for n, name in enumerate(names))
    )


# --- manifests -----------------------------------------------------------------------------------


def test_a_manifest_is_its_configuration_and_its_layers() -> None:
    document = {**MANIFEST, "annotations": {"a": "b"}}
    found = manifest.parse(json.dumps(document).encode(), manifest.MANIFEST)
    layer = Descriptor(f"{manifest.LAYER}+gzip", DIGEST, 5)
    assert found == manifest.Manifest(Descriptor(manifest.CONFIG, DIGEST, 7), (layer, layer), {"a": "b"})


def test_a_manifest_of_docker_is_read_too() -> None:
    document = {
        "schemaVersion": 2,
        "mediaType": manifest.DOCKER_MANIFEST,
        "config": {**CONFIG, "mediaType": manifest.DOCKER_CONFIG},
        "layers": [{**LAYER, "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}],
    }
    found = manifest.parse(json.dumps(document).encode(), manifest.DOCKER_MANIFEST)
    assert isinstance(found, manifest.Manifest)
    assert len(found.layers) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"manifests": []}, "'manifests' too"),
        ({"Manifests": []}, "Manifests: expected 'manifests'"),
        ({"layers": None}, "layers: expected a list"),
        ({"layers": {}}, "layers: expected a list"),
        ({"layers": [1]}, r"layers[0]: expected an object"),
        ({"Layers": [LAYER]}, "Layers: expected 'layers'"),
        ({"config": None}, "config: expected an object"),
        ({"config": {**CONFIG, "mediaType": "application/vnd.cncf.helm.config.v1+json"}}, "no image of a container"),
        ({"mediaType": manifest.INDEX}, "as it was announced"),
        ({"mediaType": 5}, "mediaType: expected a string"),
        ({"schemaVersion": 1}, "schemaVersion: expected 2"),
        ({"schemaVersion": "2"}, "schemaVersion"),
        ({"annotations": {"a": 1}}, "annotations.a: expected a string"),
        ({"layers": [LAYER] * 501}, "at most 500"),
        ({"layers": [{**LAYER, "size": -1}]}, r"layers[0].size"),
        ({"layers": [{**LAYER, "size": 1.5}]}, r"layers[0].size"),
        ({"layers": [{**LAYER, "size": True}]}, r"layers[0].size"),
        ({"layers": [{**LAYER, "size": 1 << 63}]}, r"layers[0].size"),
        ({"layers": [{**LAYER, "size": "5"}]}, r"layers[0].size"),
        ({"layers": [{**LAYER, "Size": 6}]}, r"layers[0].Size: expected 'size'"),
        ({"layers": [{**LAYER, "digest": "sha256:0"}]}, r"layers[0].digest"),
        ({"layers": [{**LAYER, "digest": "sha256:" + "../" * 21 + "x"}]}, r"layers[0].digest"),
        ({"layers": [{**LAYER, "digest": None}]}, r"layers[0].digest"),
        ({"layers": [{**LAYER, "digest": [DIGEST]}]}, r"layers[0].digest"),
        ({"layers": [{**LAYER, "mediaType": f"{manifest.LAYER}+encrypted"}]}, "not encrypted"),
        ({"layers": [{**LAYER, "mediaType": None}]}, r"layers[0].mediaType: expected a string"),
        ({"layers": [{**LAYER, "platform": []}]}, r"layers[0].platform: expected an object"),
    ],
)
def test_a_manifest_that_is_wrong_is_refused_and_says_where(change: dict[str, t.Any], says: str) -> None:
    assert says in refused({**MANIFEST, **change})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe{}",
        b'{"schemaVersion": 2, "schemaVersion": 2}',
        b'{"schemaVersion": NaN}',
        b'{"schemaVersion": 2, "mediaType": "\\ud800"}',
        b'{"a": ' + b"[" * 100000,
        b'{"a": "' + b"x" * manifest.LARGEST + b'"}',
    ],
)
def test_what_is_no_sound_json_is_refused(text: bytes) -> None:
    assert "manifest: " in refused(text)


def test_one_kind_of_document_is_not_read_as_another() -> None:
    assert "as it was announced" in refused(MANIFEST, manifest.INDEX)
    unnamed = {key: value for key, value in MANIFEST.items() if key != "mediaType"}
    assert "'config' too" in refused(unnamed, manifest.INDEX)
    assert "expected an image index or a manifest" in refused(MANIFEST, "application/json")
    assert "expected an image index or a manifest" in refused(MANIFEST, "")
    assert "v1+prettyjws" in refused(MANIFEST, "application/vnd.docker.distribution.manifest.v1+prettyjws")


@given(JSON)
def test_whatever_is_in_a_document_it_is_read_or_refused(document: t.Any) -> None:
    for change in ({"layers": [document]}, {"config": document}, {"annotations": document}):
        with contextlib.suppress(ImageError):
            found = manifest.parse(json.dumps({**MANIFEST, **change}).encode(), manifest.MANIFEST)
            assert isinstance(found, manifest.Manifest)


def test_an_unannounced_document_is_what_it_says_or_can_only_be() -> None:
    assert manifest.guess(json.dumps(INDEX).encode()) == manifest.INDEX
    assert manifest.guess(b'{"manifests": []}') == manifest.INDEX
    assert manifest.guess(b'{"layers": []}') == manifest.MANIFEST


# --- the choice of a platform --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        (["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8", 1),
        (["linux/amd64", "linux/arm64"], "linux/arm64/v8", 1),
        (["linux/amd64", "linux/arm64/v8"], "linux/arm64", 1),
        (["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], "linux/arm/v7", 1),
        (["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], "linux/arm/v6", 2),
        (["linux/amd64/v3", "linux/amd64"], "linux/amd64", 1),
        (["linux/amd64/v3", "linux/amd64"], "linux/amd64/v4", 0),
        (["windows/amd64", "linux/amd64"], "linux/amd64", 1),
        (["unknown/unknown", "linux/riscv64"], "linux/riscv64", 1),
    ],
)
def test_the_newest_variant_that_runs_is_chosen(there: list[str], wanted: str, chosen: int) -> None:
    index = platforms(*there)
    assert manifest.choose(index, Platform.parse(wanted)) == index.manifests[chosen]


def test_an_index_without_a_fitting_image_says_what_there_is() -> None:
    index = platforms("linux/amd64", "unknown/unknown", "linux/arm/v7")
    with pytest.raises(ImageError, match="no image for linux/s390x, only for linux/amd64, linux/arm/v7"):
        manifest.choose(index, Platform.parse("linux/s390x"))
    with pytest.raises(ImageError, match="only for nothing"):
        manifest.choose(Index(()), Platform.here())


def test_an_image_for_no_platform_is_taken_if_it_is_the_only_one() -> None:
    only = Descriptor(manifest.MANIFEST, DIGEST, 1)
    assert manifest.choose(Index((only,)), Platform.here()) == only
    with pytest.raises(ImageError, match="no image for"):
        manifest.choose(Index((only, only)), Platform.here())


@pytest.mark.parametrize("text", ["", "linux", "linux/", "linux/a/b/c", "linux/arm v7", "linux/árm", "/amd64"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a platform"):
        Platform.parse(text)


# --- configurations ------------------------------------------------------------------------------


def test_a_configuration_says_how_to_run_an_image() -> None:
    document = {
        "os": "linux",
        "architecture": "arm64",
        "variant": "v8",
        "created": "2026-01-01T00:00:00Z",
        "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
        "config": {
            "Entrypoint": ["/bin/app"],
            "Cmd": ["--port", "80"],
            "Env": ["A=1", "B=x=y", "A=2", "C="],
            "User": "1000:1000",
            "WorkingDir": "/srv",
            "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
            "StopSignal": "SIGINT",
            "Volumes": {"/data": {}},
            "Labels": {"a": "b", "A": "c"},
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5_000_000_000, "Timeout": 1_500_000_000, "Retries": 3},
        },
    }
    found = manifest.parse_config(json.dumps(document).encode())
    assert found == manifest.Config(
        Platform("linux", "arm64", "v8"),
        (DIGEST,),
        entrypoint=("/bin/app",),
        cmd=("--port", "80"),
        env={"A": "2", "B": "x=y", "C": ""},
        user="1000:1000",
        working_dir="/srv",
        exposed_ports=("53/udp", "80/tcp"),
        stop_signal="SIGINT",
        volumes=("/data",),
        labels={"a": "b", "A": "c"},
        health=Health(("CMD", "true"), interval=5.0, timeout=1.5, retries=3),
        created="2026-01-01T00:00:00Z",
    )


def test_a_configuration_may_say_nothing() -> None:
    nothing = manifest.Config(Platform("", ""), ())
    assert manifest.parse_config(b"{}") == nothing
    said: dict[str, t.Any] = {"Cmd": None, "Env": None, "Labels": None, "Healthcheck": {"Test": []}}
    empty: dict[str, t.Any] = {"rootfs": None, "config": said}
    assert manifest.parse_config(json.dumps(empty).encode()) == nothing


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"rootfs": {"type": "squashfs"}}, "rootfs.type"),
        ({"rootfs": {"diff_ids": ["sha256:1"]}}, "diff_ids[0]"),
        ({"rootfs": []}, "rootfs: expected an object"),
        ({"config": []}, "config: expected an object"),
        ({"config": {"Cmd": "sh"}}, "Cmd: expected a list"),
        ({"config": {"Cmd": [1]}}, "Cmd[0]: expected a string"),
        ({"config": {"Env": ["A"]}}, "config.Env[0]: expected NAME=VALUE"),
        ({"config": {"Env": ["=1"]}}, "config.Env[0]"),
        ({"config": {"Env": ["A=\0"]}}, "config.Env[0]"),
        ({"config": {"env": []}}, "env: expected 'Env'"),
        ({"config": {"User": 0}}, "User: expected a string"),
        ({"config": {"Labels": {"a": None}}}, "Labels.a"),
        ({"config": {"ExposedPorts": ["80/tcp"]}}, "ExposedPorts"),
        ({"config": {"Healthcheck": {"Test": ["RUN"]}}}, "CMD-SHELL"),
        ({"config": {"Healthcheck": {"Test": ["NONE"], "Retries": -1}}}, "Retries"),
        ({"config": {"Healthcheck": {"Test": ["NONE"], "Interval": "5s"}}}, "Interval"),
        ({"architecture": 64}, "architecture"),
    ],
)
def test_a_configuration_that_is_wrong_is_refused_and_says_where(document: t.Any, says: str) -> None:
    with pytest.raises(ImageError) as caught:
        manifest.parse_config(json.dumps(document).encode())
    assert says in str(caught.value)


NAMES = st.text(st.characters(codec="utf-8"))
WORDS = st.lists(NAMES).map(tuple)
SECONDS = st.integers(0, 10**6).map(float)


@given(
    st.builds(
        manifest.Config,
        platform=st.builds(Platform, NAMES, NAMES, NAMES),
        diff_ids=st.just((DIGEST, DIGEST)),
        entrypoint=WORDS,
        cmd=WORDS,
        env=st.dictionaries(st.from_regex(r"\A[A-Z_]+\Z"), NAMES.filter(lambda value: "\0" not in value)),
        user=NAMES,
        working_dir=NAMES,
        exposed_ports=st.sets(NAMES).map(sorted).map(tuple),
        stop_signal=NAMES,
        volumes=st.sets(NAMES).map(sorted).map(tuple),
        labels=st.dictionaries(NAMES, NAMES),
        health=st.none()
        | st.builds(Health, st.just(("NONE",)), SECONDS, SECONDS, SECONDS, SECONDS, st.integers(0, 99)),
        created=NAMES,
    )
)
def test_a_configuration_that_is_written_is_the_one_that_is_read(config: manifest.Config) -> None:
    assert manifest.parse_config(config.document()) == config
    assert config.document() == manifest.parse_config(config.document()).document()


def test_a_manifest_that_is_written_is_the_one_that_is_read() -> None:
    found = manifest.parse(json.dumps({**MANIFEST, "annotations": {"a": "b"}}).encode(), manifest.MANIFEST)
    assert isinstance(found, manifest.Manifest)
    assert manifest.parse(found.document(), manifest.MANIFEST) == found
