# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registries: Debian's docker-registry as it is, with a server of ours before it, and hostile ones.

Skopeo is the witness: what it pushed is pulled, and what was pushed it shows and copies.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image import push, transport
from ansible_collections.nsfleet.linux.plugins.module_utils._image.catalog import Stored
from ansible_collections.nsfleet.linux.plugins.module_utils._image.errors import ImageError
from ansible_collections.nsfleet.linux.plugins.module_utils._image.manifest import Platform
from ansible_collections.nsfleet.linux.plugins.module_utils._image.reference import Reference
from ansible_collections.nsfleet.linux.plugins.module_utils._image.registry import Mirror, Registry
from ansible_collections.nsfleet.linux.plugins.module_utils._image.store import Store
from ansible_collections.nsfleet.linux.plugins.module_utils._image.transport import Access, RegistryError
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError
from support import images, registry
from support.archives import archive, file
from support.images import Image
from support.registry import PASSWORD, USER, Asked, Front, Reply

PLAIN = Access(plain_http=True)
LARGE = images.random(300_000)
IMAGE = Image(archive(file("large", LARGE)), archive(file("small", b"1")), config={"Cmd": ["run"]})
OTHER = Image(archive(file("other", b"2")), machine="s390x")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Certificates."""
    return registry.certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture
def store(tmp_path: pathlib.Path) -> Store:
    """A store that is not there yet."""
    return Store(str(tmp_path / "store"))


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a server that has trouble."""
    monkeypatch.setattr(transport, "PAUSE", 0.0)


def pull(store: Store, name: str, access: Access = PLAIN, *mirrors: Mirror, platform: str = "") -> Stored:
    """Pull an image."""
    wanted = Reference.parse(name)
    return store.pull(Registry(wanted, access, mirrors), wanted, Platform.parse(platform) if platform else None)


def refused(store: Store, name: str, access: Access = PLAIN, *mirrors: Mirror) -> str:
    """What is said where an image cannot be pulled; nothing of it is there then, and no secret is told."""
    with pytest.raises(NsfleetError) as caught:
        pull(store, name, access, *mirrors)
    assert store.find(Reference.parse(name)) is None
    assert_nothing_told(str(caught.value))
    return str(caught.value)


def assert_nothing_told(text: str) -> None:
    """No text has a secret, or what would do something to a terminal."""
    assert not any(secret in text for secret in (PASSWORD, registry.login().removeprefix("Basic "), "token-"))
    assert text.isprintable()


def fill(host: str, layout: pathlib.Path, *more: str) -> None:
    """Let skopeo push the image ``1`` of a layout."""
    registry.skopeo("copy", *more, f"oci:{layout}:1", f"docker://{host}/team/app:1")


@pytest.fixture
def layout(tmp_path: pathlib.Path) -> pathlib.Path:
    """A layout with :data:`IMAGE`."""
    return images.layout(tmp_path / "layout", {"1": IMAGE})


# --- docker-registry ----------------------------------------------------------------------------------


def test_a_registry_with_tls_and_a_login(
    store: Store, tmp_path: pathlib.Path, tls: pathlib.Path, layout: pathlib.Path
) -> None:
    access = Access(USER, PASSWORD, ca_file=str(tls / "authority.pem"))
    with registry.docker_registry(tmp_path / "registry", tls, login=True) as host:
        fill(host, layout, "--dest-tls-verify=false", f"--dest-creds={USER}:{PASSWORD}")
        name = f"{host}/team/app:1"
        assert "its certificate is not trusted" in refused(store, name, access._replace(ca_file=""))
        assert "it needs a user name for team/app" in refused(store, name, access._replace(username="", password=""))
        assert "it refuses the user name and the password" in refused(store, name, access._replace(password="wrong"))
        assert "400" in refused(store, name, access._replace(plain_http=True, ca_file=""))
        assert f"there is no {host}/team/app:2" in refused(store, f"{host}/team/app:2", access)
        stored = pull(store, name, access)
        assert stored.digest == IMAGE.digest
        assert pull(store, f"{host}/team/app@{IMAGE.digest}", access).layers == stored.layers
    assert (pathlib.Path(stored.layers[0]) / "large").read_bytes() == LARGE
    assert PASSWORD not in repr(access)


def test_what_was_pushed_is_what_skopeo_sees(
    store: Store, tmp_path: pathlib.Path, layout: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "CHUNK", 100_000)  # so that the large layer goes in several pieces
    with registry.docker_registry(tmp_path / "registry") as upstream, Front(registry.forward(upstream)) as front:
        fill(front.host, layout, "--dest-tls-verify=false")
        source = Reference.parse(f"{front.host}/team/app:1")
        pull(store, str(source))
        front.asked.clear()
        target = Reference.parse(f"{front.host}/copy/app:2")
        assert push.push(store, source, target, PLAIN).digest == IMAGE.digest
        assert [asked.method for asked in front.asked].count("PATCH") == 3
        shown = json.loads(registry.skopeo("inspect", "--tls-verify=false", f"docker://{target}"))
        assert (shown["Digest"], shown["Layers"]) == (IMAGE.digest, [each["digest"] for each in IMAGE.layers])
        copied = tmp_path / "copied"
        registry.skopeo("copy", "--src-tls-verify=false", f"docker://{target}", f"oci:{copied}:2")
        for digest, data in IMAGE.blobs.items():
            assert (copied / "blobs" / digest.replace(":", "/")).read_bytes() == data
        front.asked.clear()
        push.push(store, source, Reference.parse(f"{front.host}/copy/app:3"), PLAIN)
        assert "PATCH" not in [asked.method for asked in front.asked], "what is there is not sent again"
        front.asked.clear()
        push.push(store, source, Reference.parse(f"{front.host}/third/app:1"), PLAIN, mount=["team/app"])
        assert {asked.method for asked in front.asked} == {"HEAD", "POST", "PUT"}, "it is mounted"
        registry.skopeo("inspect", "--tls-verify=false", f"docker://{front.host}/third/app:1")


def test_a_blob_of_which_an_answer_was_lost_is_sent_again(
    store: Store, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "CHUNK", 100_000)
    with registry.docker_registry(tmp_path / "registry") as upstream:
        answer = registry.forward(upstream)
        lost: list[str] = []

        def losing(asked: Asked) -> Reply:
            reply = answer(asked)
            if asked.method == "PATCH" and not lost:
                lost.append(asked.path)
                return Reply(503)
            return reply

        with Front(registry.images("app", {"1": IMAGE})) as front:
            pull(store, f"{front.host}/app:1")
            source = Reference.parse(f"{front.host}/app:1")
        with Front(losing) as front:
            push.push(store, source, Reference.parse(f"{front.host}/app:1"), PLAIN)
            registry.skopeo("inspect", "--tls-verify=false", f"docker://{front.host}/app:1")
        assert lost


def test_a_registry_that_wants_tokens(store: Store, tmp_path: pathlib.Path, layout: pathlib.Path) -> None:
    issued: dict[str, str] = {}
    with registry.docker_registry(tmp_path / "registry") as upstream, Front(registry.tokens(issued)) as tokens:
        fill(upstream, layout, "--dest-tls-verify=false")
        backend = registry.guarded(registry.forward(upstream), f"{tokens.url}/token", issued)
        with Front(backend) as front:
            name = f"{front.host}/team/app:1"
            assert "it needs a user name" in refused(store, name)
            assert "the user name or the password is wrong" in refused(store, name, Access(USER, "x", plain_http=True))
            access = Access(USER, PASSWORD, plain_http=True)
            assert pull(store, name, access).digest == IMAGE.digest
            assert list(issued.values()) == ["service=here&scope=repository%3Ateam%2Fapp%3Apull"], "and not for others"
            push.push(store, Reference.parse(name), Reference.parse(f"{front.host}/team/app:2"), access)
            assert issued["token-1"].endswith("scope=repository%3Ateam%2Fapp%3Apull%2Cpush")
            assert not any("basic" in asked.headers.get("authorization", "").lower() for asked in front.asked)
            issued.clear()
            issued["token-expired"] = ""  # those that were given are worth nothing any more
            assert pull(Store(str(tmp_path / "another")), name, access).digest == IMAGE.digest


# --- platforms, tags, mirrors ---------------------------------------------------------------------------


def test_an_index_has_an_image_for_each_platform(store: Store) -> None:
    document = images.index(IMAGE, OTHER)
    tags: dict[str, Image | bytes] = {"1": document, "a": IMAGE, "b": OTHER, images.digest(document): document}
    with Front(registry.images("app", tags)) as front:
        stored = pull(store, f"{front.host}/app:1")
        assert (stored.digest, stored.resolved) == (IMAGE.digest, images.digest(document))
        other = pull(store, f"{front.host}/app@{images.digest(document)}", platform="linux/s390x")
        assert (other.digest, other.resolved) == (OTHER.digest, images.digest(document))
        with pytest.raises(ImageError, match=r"no image for linux/riscv64, only for linux/.*, linux/s390x"):
            pull(store, f"{front.host}/app:1", platform="linux/riscv64")


def test_mirrors_are_asked_first_and_the_registry_when_they_fail(store: Store) -> None:
    have, have_not = registry.images("cache/app", {"1": IMAGE}), registry.images("app", {})
    with (
        Front(registry.images("app", {"1": IMAGE, "2": OTHER})) as front,
        Front(have) as mirror,
        Front(have_not) as empty,
    ):
        access = Access(USER, PASSWORD, plain_http=True)
        ours = Mirror.parse(f"{mirror.host}/cache", PLAIN), Mirror.parse(empty.host, PLAIN)
        assert pull(store, f"{front.host}/app:1", access, *ours).digest == IMAGE.digest
        assert front.asked == empty.asked == []
        assert pull(store, f"{front.host}/app:2", access, *ours).digest == OTHER.digest
        assert mirror.paths("manifests/2")
        assert empty.paths("manifests/2")
        assert not any("authorization" in asked.headers for asked in (*mirror.asked, *empty.asked))
        said = refused(store, f"{front.host}/app:3", access, *ours)
        assert all(host in said for host in (front.host, mirror.host, empty.host))


def test_a_mirror_that_lies_is_passed_over(store: Store) -> None:
    wrong = registry.images("app", {"1": IMAGE})
    with Front(registry.images("app", {"1": IMAGE})) as front, Front(wrong) as mirror:
        mirror.instead["manifests"] = lambda _asked: Reply(200, b"{}", {"Content-Type": images.MANIFEST})
        assert pull(store, f"{front.host}/app@{IMAGE.digest}", PLAIN, Mirror(mirror.host, PLAIN)).digest == IMAGE.digest


@pytest.mark.parametrize("location", ["", "https://mirror", "mirror/", "mirror/Path", "mirror/../x", "a b"])
def test_a_location_of_a_mirror_that_is_none_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Mirror.parse(location)


def test_a_client_shows_its_certificate_to_the_registry_alone(store: Store, tls: pathlib.Path) -> None:
    ours = Access(ca_file=str(tls / "authority.pem"))
    shown = ours._replace(client_certificate=str(tls / "client.pem"), client_key=str(tls / "client.key"))
    with Front(registry.images("app", {"1": IMAGE}), tls, clients=True) as front:
        name = f"{front.host}/app:1"
        assert front.host in refused(store, name, ours)
        assert "cannot read certificates or key" in refused(store, name, shown._replace(client_key="/nowhere"))
        assert "cannot read certificates or key" in refused(store, name, shown._replace(ca_file=str(tls / "names")))
        assert pull(store, name, shown).digest == IMAGE.digest
        with Front(lambda _asked: Reply(302, b"", {"Location": f"{front.url}/v2/app/manifests/1"}), tls) as other:
            assert other.host in refused(store, f"{other.host}/app:1", shown)


def test_a_proxy_is_used_where_one_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = registry.images("app", {"1": IMAGE})

    def proxy(asked: Asked) -> Reply:
        return backend(asked._replace(path=asked.path.removeprefix("http://registry.example")))

    with Front(proxy) as front:
        url = f"http://{USER}:{PASSWORD.replace(' ', '%20').replace(':', '%3A')}@{front.host}"
        assert pull(store, "registry.example/app:1", PLAIN._replace(proxy=url)).digest == IMAGE.digest
        assert {asked.headers.get("proxy-authorization") for asked in front.asked} == {registry.login()}
        assert {asked.headers["host"] for asked in front.asked} == {"registry.example"}
        monkeypatch.setenv("http_proxy", front.url)
        asked = len(front.asked)
        assert pull(Store(store.root + "2"), "registry.example/app:1").digest == IMAGE.digest
        assert len(front.asked) > asked
        monkeypatch.setenv("no_proxy", "registry.example")
        assert "cannot be reached" in refused(Store(store.root + "3"), "registry.example/app:1")
        front.instead[""] = lambda _asked: Reply(407, b"")
        assert "407" in refused(Store(store.root + "4"), "registry.example/app:1", PLAIN._replace(proxy=url))
    assert "the proxy: expected http://" in refused(
        Store(store.root + "5"), "registry.example/app:1", PLAIN._replace(proxy=f"https://{PASSWORD}@x")
    )


# --- bad luck ---------------------------------------------------------------------------------------------


def test_a_blob_whose_connection_breaks_is_gone_on_with(store: Store) -> None:
    path = f"/v2/app/blobs/{IMAGE.layers[0]['digest']}"
    with Front(registry.images("app", {"1": IMAGE})) as front:
        front.stop_after[path] = 100_000
        assert pull(store, f"{front.host}/app:1").digest == IMAGE.digest
        ranges = [asked.headers.get("range") for asked in front.asked if asked.path == path]
        assert ranges == [None, "bytes=100000-"]
        assert front.sent[path] == IMAGE.layers[0]["size"]


def test_a_registry_that_knows_no_ranges_gives_all_of_it_again(store: Store) -> None:
    backend = registry.images("app", {"1": IMAGE})

    def simple(asked: Asked) -> Reply:
        return backend(asked._replace(headers={}))

    path = f"/v2/app/blobs/{IMAGE.layers[0]['digest']}"
    with Front(simple) as front:
        front.stop_after[path] = 100_000
        assert pull(store, f"{front.host}/app:1").digest == IMAGE.digest
        assert front.sent[path] == 100_000 + IMAGE.layers[0]["size"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_trouble_that_passes_is_waited_for(store: Store, status: int) -> None:
    backend, troubles = registry.images("app", {"1": IMAGE}), iter([1, 2, 3])

    def troubled(asked: Asked) -> Reply:
        return Reply(status, b"", {"Retry-After": "0"}) if next(troubles, None) else backend(asked)

    with Front(troubled) as front:
        assert pull(store, f"{front.host}/app:1").digest == IMAGE.digest


def test_trouble_that_does_not_pass_is_told(store: Store) -> None:
    with Front(lambda _asked: Reply(503, b'{"errors": [{"code": "DENIED", "message": "later"}]}')) as front:
        assert "503 Service Unavailable (DENIED later)" in refused(store, f"{front.host}/app:1")
        assert len(front.asked) == transport.ATTEMPTS
    assert "it cannot be reached: Connection refused" in refused(store, f"{front.host}/app:1")


def test_a_connection_that_always_breaks_at_the_same_place_is_given_up(store: Store) -> None:
    path = f"/v2/app/blobs/{IMAGE.layers[0]['digest']}"
    backend = registry.images("app", {"1": IMAGE})
    with Front(backend) as front:
        front.instead[path] = lambda asked: _without_body(backend(asked))
        assert "ended 5 times after 0 of" in refused(store, f"{front.host}/app:1")


def _without_body(reply: Reply) -> Reply:
    return reply._replace(body=b"", length=len(reply.body))


# --- hostile registries -----------------------------------------------------------------------------------


def changed(**changes: t.Any) -> Image:
    """An image whose manifest says something else of its first layer."""
    return IMAGE.but(layers=[{**IMAGE.layers[0], **changes}, IMAGE.layers[1]])


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (changed(size=IMAGE.layers[0]["size"] - 1), "expected 3[0-9]+ bytes, and"),
        (changed(size=IMAGE.layers[0]["size"] + 1), "expected 3[0-9]+ bytes, and"),
        (changed(size=1 << 62), "expected 4611686018427387904 bytes, and"),
        (changed(size=-1), r"layers\[0\].size: expected a number"),
        (changed(digest="sha256:../../../etc/passwd"), r"layers\[0\].digest: expected a digest"),
        # Which of the two is fetched first decides what is found out first.
        (changed(digest=IMAGE.layers[1]["digest"]), "expected 3[0-9]+ bytes, and|another one than its image says"),
        (changed(mediaType="text/html"), "expected a layer of an image"),
        (IMAGE.but(manifests=[]), "it has 'manifests' too"),
        (IMAGE.but(mediaType=images.INDEX), "as it was announced"),
        (IMAGE.but(layers=[IMAGE.layers[0]]), "the manifest has 1 layers, and the image configuration 2"),
        (IMAGE.but(config={**IMAGE.config, "size": 5 << 20}), "at most 4194304 bytes"),
        (IMAGE.but(config={**IMAGE.config, "mediaType": "application/vnd.unknown.config.v1+json"}), "no image of a"),
    ],
)
def test_documents_that_lie_are_refused(store: Store, image: Image, says: str) -> None:
    with Front(registry.images("app", {"1": image}, images.MANIFEST)) as front:
        assert re.search(says, refused(store, f"{front.host}/app:1"))
    assert store.verify() == []


@pytest.mark.parametrize("kind", ["text/html", "application/json", "", images.INDEX, images.LAYER])
def test_a_manifest_of_another_type_is_refused(store: Store, kind: str) -> None:
    backend = registry.images("app", {"1": IMAGE})
    with Front(backend) as front:
        front.instead["manifests"] = lambda asked: backend(asked)._replace(headers={"Content-Type": kind})
        assert re.search(
            "expected an image index or a manifest|as it was announced", refused(store, f"{front.host}/app:1")
        )


def test_blobs_that_are_not_what_was_asked_for_are_refused(store: Store) -> None:
    backend = registry.images("app", {"1": IMAGE})
    path = f"/v2/app/blobs/{IMAGE.layers[0]['digest']}"
    with Front(backend) as front:
        name = f"{front.host}/app:1"
        data = backend(Asked("GET", path, {})).body
        for wrong, says in ((b"x" + data[1:], "what came instead has the digest"), (data + b"x", "expected 3.* bytes")):
            front.instead[path] = registry.always(Reply(200, wrong))
            assert re.search(says, refused(store, name))
        front.instead[path] = lambda asked: backend(asked)._replace(headers={"Content-Encoding": "gzip"})
        assert "another encoding" in refused(store, name)
        del front.instead[path]
        assert pull(store, name).digest == IMAGE.digest


def test_a_digest_that_leads_to_something_else_is_refused(store: Store) -> None:
    backend = registry.images("app", {"1": IMAGE, "2": OTHER})
    with Front(backend) as front:
        front.instead["manifests/sha256"] = lambda asked: backend(asked._replace(path="/v2/app/manifests/2"))
        assert "expected the digest" in refused(store, f"{front.host}/app@{IMAGE.digest}")
        front.instead["manifests/1"] = lambda asked: Reply(
            200, backend(asked).body, {"Content-Type": images.MANIFEST, "Docker-Content-Digest": OTHER.digest}
        )
        assert "expected the digest" in refused(store, f"{front.host}/app:1")


def test_a_part_that_was_not_asked_for_is_refused(store: Store) -> None:
    backend = registry.images("app", {"1": IMAGE})
    path = f"/v2/app/blobs/{IMAGE.layers[0]['digest']}"
    with Front(backend) as front:
        front.stop_after[path] = 1000
        front.instead[path] = lambda asked: (
            Reply(206, b"x", {"Content-Range": "bytes 7-8/9"}) if "range" in asked.headers else backend(asked)
        )
        assert "another part" in refused(store, f"{front.host}/app:1")


@pytest.mark.parametrize("what", ["manifests", "blobs", "token"])
def test_a_body_without_an_end_is_cut_off(store: Store, what: str) -> None:
    backend = registry.images("app", {"1": IMAGE})
    with Front(backend) as front:
        if what == "token":
            challenge = {"WWW-Authenticate": f'Bearer realm="{front.url}/token"'}
            front.instead["/v2/"] = lambda _asked: Reply(401, b"", challenge)
        front.instead[what] = lambda _asked: Reply(200, b" ", {"Content-Type": images.MANIFEST}, registry.ENDLESS)
        says = {"manifests": "did not come whole", "blobs": "has the digest", "token": "expected a token"}
        assert says[what] in refused(store, f"{front.host}/app:1")
        assert front.hung_up.wait(60), "the server sends until the other side is gone"


# --- secrets ------------------------------------------------------------------------------------------------


def test_a_redirect_to_another_place_gets_no_secret(store: Store) -> None:
    with Front(registry.images("app", {"1": IMAGE})) as elsewhere:
        inner = registry.images("app", {"1": IMAGE})

        def backend(asked: Asked) -> Reply:
            if asked.headers.get("authorization") != registry.login():
                return Reply(401, b"", {"WWW-Authenticate": 'Basic realm="here"'})
            if "/blobs/" in asked.path:
                return Reply(307, b"", {"Location": f"{elsewhere.url}{asked.path}"})
            return inner(asked)

        with Front(backend) as front:
            name, access = f"{front.host}/app:1", Access(USER, PASSWORD, plain_http=True)
            assert pull(store, name, access).digest == IMAGE.digest
            assert elsewhere.asked
            assert not any("authorization" in asked.headers for asked in elsewhere.asked)
            elsewhere.instead[""] = lambda _asked: Reply(
                401, b"", {"WWW-Authenticate": f'Bearer realm="{elsewhere.url}/token"'}
            )
            elsewhere.asked.clear()
            assert "where it redirects to, refuses" in refused(Store(store.root + "2"), name, access)
            assert not elsewhere.paths("/token"), "what it wants to know is not told"


def test_an_upload_to_another_place_gets_no_secret(store: Store) -> None:
    with Front(registry.images("app", {"1": IMAGE})) as front:
        source = Reference.parse(f"{front.host}/app:1")
        pull(store, str(source))
    with Front(lambda _asked: Reply(201)) as elsewhere:

        def backend(asked: Asked) -> Reply:
            if asked.headers.get("authorization") != registry.login():
                return Reply(401, b"", {"WWW-Authenticate": 'Basic realm="here"'})
            where = {"Location": f"{elsewhere.url}/upload?id=1"}
            return {"HEAD": Reply(404), "POST": Reply(202, b"", where)}.get(asked.method, Reply(201))

        with Front(backend) as front:
            target = Reference.parse(f"{front.host}/app:1")
            push.push(store, source, target, Access(USER, PASSWORD, plain_http=True))
        assert [asked.method for asked in elsewhere.asked] == ["PUT"] * 3
        assert not any("authorization" in asked.headers for asked in elsewhere.asked)


def test_nothing_leads_from_tls_to_plain_http(store: Store, tls: pathlib.Path) -> None:
    access = Access(USER, PASSWORD, ca_file=str(tls / "authority.pem"))
    with Front(lambda _asked: Reply(200)) as plain, Front(lambda _asked: Reply(404), tls) as front:
        name = f"{front.host}/app:1"
        front.instead[""] = lambda asked: Reply(302, b"", {"Location": f"{plain.url}{asked.path}"})
        assert "it leads from TLS to plain HTTP" in refused(store, name, access)
        front.instead[""] = lambda _asked: Reply(401, b"", {"WWW-Authenticate": f'Bearer realm="{plain.url}/token"'})
        assert "without TLS; refused" in refused(store, name, access)
        assert plain.asked == []


def test_a_password_goes_to_no_other_host_without_tls(store: Store) -> None:
    realm = 'Bearer realm="http://127.0.0.1:1/token"'  # the registry is localhost, by name
    with Front(lambda _asked: Reply(401, b"", {"WWW-Authenticate": realm})) as front:
        said = refused(store, f"{front.host}/app:1", Access(USER, PASSWORD, plain_http=True))
        assert "it wants the password for a token to go to 127.0.0.1:1 without TLS; refused" in said


@pytest.mark.parametrize(
    ("challenge", "says"),
    [
        ("", "an unknown way to authenticate"),
        ("Negotiate", "an unknown way to authenticate, 'Negotiate'"),
        ("Bearer", "its tokens are nowhere"),
        ('Bearer realm="file:///etc/passwd"', "its tokens are nowhere"),
        ('Bearer realm="https://user:word@host/"', "its tokens are nowhere"),
        ('Bearer realm="http://localhost:1/\x07"', "its tokens are nowhere"),
    ],
)
def test_a_challenge_that_is_none_is_refused(store: Store, challenge: str, says: str) -> None:
    with Front(lambda _asked: Reply(401, b"", {"WWW-Authenticate": challenge})) as front:
        assert says in refused(store, f"{front.host}/app:1", Access(USER, PASSWORD, plain_http=True))


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b'{"token": 1}', b'{"token": "token-a\\r\\nX: y"}', b'{"token": ""}', b"{"]
)
def test_an_answer_without_a_token_is_refused_and_not_told(store: Store, answer: bytes) -> None:
    with Front(lambda _asked: Reply(200, answer)) as front:
        front.instead["/v2/"] = lambda _asked: Reply(
            401, b"", {"WWW-Authenticate": f'Bearer realm="{front.url}/token"'}
        )
        assert "expected a token" in refused(store, f"{front.host}/app:1")


@pytest.mark.parametrize(
    "location",
    ["", "//", "file:///etc/passwd", "http://user:word@localhost/", "ftp://localhost/", "http://localhost:99999/"],
)
def test_a_redirect_to_nowhere_is_refused(store: Store, location: str) -> None:
    with Front(lambda _asked: Reply(302, b"", {"Location": location})) as front:
        assert re.search("a place that is none|more than 5 times", refused(store, f"{front.host}/app:1"))


def test_secrets_are_in_no_file_and_in_no_list_of_processes(store: Store, tmp_path: pathlib.Path) -> None:
    seen: list[str] = []
    backend = registry.images("app", {"1": IMAGE})

    def watching(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != registry.login():
            return Reply(401, b"", {"WWW-Authenticate": 'Basic realm="here"'})
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for name in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{name}", "rb") as text:
                    seen.append(text.read().decode(errors="replace"))
        return backend(asked)

    with Front(watching) as front:
        pull(store, f"{front.host}/app:1", Access(USER, PASSWORD, plain_http=True))
    assert seen
    assert not any(PASSWORD in text for text in seen)
    for place, _folders, names in os.walk(tmp_path):
        assert not any(PASSWORD.encode() in pathlib.Path(place, name).read_bytes() for name in names)


def test_what_a_registry_says_does_nothing_to_a_terminal(store: Store) -> None:
    with Front(registry.images("app", {"1": IMAGE})) as front:
        said = refused(store, f"{front.host}/app:2")
        assert r"no such\x1b[31m thing" in said


def test_an_error_is_one_of_the_registry(store: Store) -> None:
    with Front(registry.images("app", {})) as front, pytest.raises(RegistryError) as caught:
        pull(store, f"{front.host}/app:1")
    assert caught.value.status == 404
