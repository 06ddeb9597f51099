# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images: what people write, what it means, and what is refused."""

from __future__ import annotations

import contextlib

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image import reference
from ansible_collections.nsfleet.linux.plugins.module_utils._image.reference import Reference
from hypothesis import given
from hypothesis import strategies as st

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("debian:12", "docker.io/library/debian:12"),
        ("grafana/loki", "docker.io/grafana/loki:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest"),
        ("index.docker.io/library/debian:12", "docker.io/library/debian:12"),
        ("registry-1.docker.io/debian:12", "docker.io/library/debian:12"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("Registry/app", "Registry/app:latest"),
        ("registry:5000/a/b_c/d__e/f-g---h.i:V1.2-3_4", "registry:5000/a/b_c/d__e/f-g---h.i:V1.2-3_4"),
        ("ghcr.io/a/b", "ghcr.io/a/b:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("[fd00::1]/app:2", "[fd00::1]/app:2"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}"),
        (f"ghcr.io/a/b:1@{DIGEST}", f"ghcr.io/a/b:1@{DIGEST}"),
        ("debian:_x", "docker.io/library/debian:_x"),
        ("a.b/c", "a.b/c:latest"),
    ],
)
def test_a_name_has_one_canonical_form(written: str, canonical: str) -> None:
    assert str(Reference.parse(written)) == canonical
    assert reference.reference(canonical) == canonical


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", "expected an image"),
        ("Debian", "small letters"),
        ("debian:", "expected a tag"),
        ("debian:-1", "expected a tag"),
        ("debian:" + "x" * 129, "1 to 128"),
        ("debian:1:2", "expected a tag"),
        ("debian@", "expected a digest"),
        (f"debian@{DIGEST[:-1]}", "expected a digest"),
        (f"debian@{DIGEST.upper()}", "expected a digest"),
        (f"debian@{DIGEST}@{DIGEST}", "expected a digest"),
        ("debian@sha512:" + "0" * 128, "expected a digest"),
        ("debian@md5:" + "0" * 32, "expected a digest"),
        ("/debian", "expected an image"),
        ("debian/", "expected an image"),
        ("a//b", "expected an image"),
        ("a/../b", "expected an image"),
        ("../a", "expected the host"),
        ("./a", "expected the host"),
        ("a___b", "expected an image"),
        ("a..b/c/d", "expected the host"),
        ("a/-b", "expected an image"),
        ("a/b_", "expected an image"),
        ("a b", "expected an image"),
        ("debian\n", "expected an image"),
        ("debian:12\n", "expected a tag"),
        ("débian", "expected an image"),
        ("debian:é", "expected a tag"),
        ("https://ghcr.io/a", "expected the host"),
        ("user:secret@host/a", "expected a digest"),
        ("host:0/a", "expected the host"),
        ("host:65536/a", "expected the host"),
        ("host:٣/a", "expected the host"),
        ("-host.x/a", "expected the host"),
        ("[::1/a", "expected the host"),
        ("f" * 64, "the id of one"),
        ("ghcr.io/" + "a" * 250, "at most 255"),
    ],
)
def test_what_is_no_name_is_refused_and_says_what_was_expected(written: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Reference.parse(written)


def test_what_is_asked_for_is_the_digest_if_there_is_one() -> None:
    assert Reference.parse("a:1").wanted == "1"
    assert Reference.parse(f"a:1@{DIGEST}").wanted == DIGEST
    assert Reference.parse("ghcr.io/a/b:1").name == "ghcr.io/a/b"


@given(st.text())
def test_whatever_is_written_is_canonical_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        canonical = str(Reference.parse(text))
        assert reference.reference(canonical) == canonical
        assert ".." not in canonical.split("/")
