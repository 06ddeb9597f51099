# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules image and image_info, and containers of images."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import threading
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Table
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.image import DELIVERIES, TABLE
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.image_made import FIELDS_OF_MADE
from support import images, laws, registry, world
from support.invoke import Run, invoke
from support.laws import Options
from support.registry import PASSWORD, USER, Front
from support.rooted import WAIT, image

STORE = "/var/lib/nsfleet/images"
NAME = "shop/web:1"
WHOLE_NAME = "docker.io/shop/web:1"


WHO_ARE_YOU = registry.Reply(401, headers={"WWW-Authenticate": 'Basic realm="here"'})


class Place:
    """A layout that the module takes images from.

    :param path: where it is to be.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def have(self, **tagged: images.Image) -> dict[str, t.Any]:
        """Have these images and no others; options that take one from here."""
        shutil.rmtree(self.path, ignore_errors=True)
        images.layout(self.path, tagged)
        return {"path": str(self.path)}


@pytest.fixture
def place(tmp_path: pathlib.Path) -> Place:
    """A layout with one image, and another one for another machine."""
    found = Place(tmp_path / "layout")
    images.layout(found.path, {"1": image("1", Env=["COLOUR=red"])})
    return found


def options(place: Place, **more: t.Any) -> dict[str, t.Any]:
    """Options that take the image from the layout."""
    return {"name": NAME, "path": str(place.path), **more}


def gone(name: str = NAME) -> None:
    """Remove the image; the fixture ``clean_host`` sees that nothing is left."""
    laws.four_steps("image", {"name": name, "state": "absent"})


def blobs() -> dict[str, int]:
    """Files of blobs with their sizes."""
    return {name: os.path.getsize(f"{STORE}/blobs/{name}") for name in os.listdir(f"{STORE}/blobs")}


def told() -> list[dict[str, t.Any]]:
    """What image_info tells."""
    return t.cast("list[dict[str, t.Any]]", laws.run("image_info", {})["images"])


# --- the module ----------------------------------------------------------------------------------


def test_an_image_comes_and_goes(place: Place) -> None:
    done = laws.four_steps("image", options(place))
    there = image("1", Env=["COLOUR=red"])
    assert done["image"]["name"] == WHOLE_NAME
    assert done["image"]["digest"] == there.digest
    assert (done["image"]["cmd"], done["image"]["env"]) == (list(WAIT), {"COLOUR": "red"})
    assert blobs() == {name.partition(":")[2]: len(data) for name, data in there.blobs.items()}
    lower, upper = done["image"]["layers"]
    assert sorted(os.listdir(lower)) == sorted(world.sh(f"cd {lower} && ls -A").split())
    assert pathlib.Path(upper, "srv/version").read_text() == "1"
    assert world.sh(f"stat -c '%a %u' {STORE}").strip() == "700 0"
    laws.settled("image", {"name": WHOLE_NAME, "path": str(place.path)})
    gone()
    assert not os.path.exists(STORE)


DAMAGES = {
    "a blob is gone": "rm {store}/blobs/{layer}",
    "a layer is gone": "rm -r $(ls -d {store}/layers/* | grep -v json | head -1)",
    "the name is gone": "rm -r {store}/names/*",
    "the record is gone": "rm {store}/images/*",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_missing_is_fetched_again(place: Place, damage: str) -> None:
    laws.run("image", options(place))
    layer = image("1", Env=["COLOUR=red"]).layers[0]["digest"].partition(":")[2]
    laws.repaired("image", options(place), damage.format(store=STORE, layer=layer))
    gone()


def test_what_is_damaged_is_found_when_it_is_read(place: Place) -> None:
    laws.run("image", options(place))
    before = blobs()
    layer = image("1", Env=["COLOUR=red"]).layers[0]["digest"]
    path = f"{STORE}/blobs/{layer.partition(':')[2]}"
    damage = f"printf x | dd of={path} bs=1 seek=5 conv=notrunc 2>/dev/null"
    world.sh(damage)
    laws.settled("image", options(place))
    (found,) = laws.run("image_info", {"verify": True})["images"]
    assert found["damaged"] == [layer]
    laws.repaired("image", options(place, verify=True), damage)
    assert laws.run("image_info", {"name": NAME, "verify": True})["images"][0]["damaged"] == []
    assert blobs() == before
    gone()


def test_the_name_means_another_image_by_now(place: Place) -> None:
    laws.run("image", options(place))
    place.have(**{"1": image("2")})
    laws.settled("image", options(place))
    done = laws.four_steps("image", options(place, state="latest"))
    (change,) = [each for step in done["plan"] for each in step["changes"]]
    assert (change["option"], change["after"]) == ("resolved", image("2").digest)
    assert len(told()[0]["layers"]) == 2
    assert set(blobs()) == {name.partition(":")[2] for name in image("2").blobs}, "the old one is still there"
    gone()


def test_images_for_other_machines(place: Place) -> None:
    other = images.Image(b"\0" * 10240, machine="s390x")
    place.have(**{"1": other})
    assert "is for linux/s390x" in str(laws.run("image", options(place))["warnings"])
    assert "warnings" not in laws.run("image", options(place, platform="linux/s390x"))
    assert told()[0]["platform"] == "linux/s390x"
    gone()
    failed = invoke("image", options(place, platform="linux/riscv64"))
    assert failed.failed
    assert "linux/riscv64" in failed["msg"]
    assert told() == []


def test_a_failed_run_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    laws.failing(monkeypatch)
    laws.puts_back("image", [options(place)])
    monkeypatch.undo()
    laws.run("image", options(place))
    before = told(), blobs()
    place.have(**{"1": image("2")})
    laws.failing(monkeypatch)
    assert "Everything was put back as it was" in invoke("image", options(place, state="latest"))["msg"]
    assert (told(), blobs()) == before
    monkeypatch.undo()
    laws.settled("image", options(place))
    gone()


def test_drift_that_is_not_to_be_repaired(place: Place) -> None:
    path = f"{STORE}/blobs/{image('1', Env=['COLOUR=red']).layers[0]['digest'].partition(':')[2]}"
    damage = f"printf x | dd of={path} bs=1 seek=5 conv=notrunc 2>/dev/null"
    base = options(place, verify=True)
    laws.run("image", {**base, "on_drift": "fail"})
    world.sh(damage)
    laws.refused("image", {**base, "on_drift": "fail"}, "drifted", "whole")
    assert "whole" in str(laws.run("image", {**base, "on_drift": "warn"})["warnings"])
    gone()


# --- registries ------------------------------------------------------------------------------------


def test_a_registry_with_a_password(tmp_path: pathlib.Path) -> None:
    tls = registry.certificates(tmp_path / "tls")
    layout = images.layout(tmp_path / "layout", {"1": image()})
    with registry.docker_registry(tmp_path / "registry", tls, login=True) as host:
        login = ("--dest-creds", f"{USER}:{PASSWORD}", "--dest-cert-dir", str(tmp_path / "trusted"))
        (tmp_path / "trusted").mkdir()
        shutil.copy(tls / "authority.pem", tmp_path / "trusted/ours.crt")
        registry.skopeo("copy", *login, f"oci:{layout}:1", f"docker://{host}/shop/web:1")
        base = {"name": f"{host}/shop/web:1", "username": USER, "ca_file": str(tls / "authority.pem")}
        failed = invoke("image", {**base, "password": "wrong"})
        assert failed.failed
        assert "wrong" not in json.dumps(failed["msg"].replace("is wrong", ""))
        done = laws.four_steps("image", {**base, "password": PASSWORD})
        assert PASSWORD not in json.dumps(done)
        assert done["image"]["digest"] == image().digest
        assert not laws.run("image", {**base, "password": PASSWORD, "state": "latest"}).changed
        laws.settled("image", {**base, "password": PASSWORD, "state": "latest"})
    assert not laws.run("image", {**base, "password": PASSWORD}).changed, "it is there, and nobody can be asked"
    assert world.sh(f"grep -rl '{PASSWORD}' /var/lib/nsfleet /run/nsfleet || true") == ""
    gone(base["name"])


def test_mirrors_and_certificates_of_clients(tmp_path: pathlib.Path) -> None:
    tls = registry.certificates(tmp_path / "tls")
    backend = registry.images("shop/web", {"1": image()})
    access = {
        "ca_file": str(tls / "authority.pem"), "client_certificate": str(tls / "client.pem"),
        "client_key": str(tls / "client.key"),
    }  # fmt: skip
    with Front(backend, tls, clients=True) as home, Front(backend) as mirror:
        base: dict[str, t.Any] = {"name": f"{home.host}/shop/web:1", **access, "proxy": ""}
        mirror.instead["."] = lambda asked: backend(asked) if "authorization" in asked.headers else WHO_ARE_YOU
        login = {"username": USER, "password": PASSWORD}
        plain = {"location": mirror.host, "plain_http": True, "proxy": "", **login}
        laws.four_steps("image", {**base, "mirrors": [plain]})
        assert mirror.asked
        assert not home.asked
        gone(base["name"])
        far: dict[str, t.Any] = {"name": "registry.example/shop/web:1", "proxy": ""}
        laws.four_steps("image", {**far, "mirrors": [{"location": home.host, "proxy": "", **access}]})
        gone(far["name"])
        home.asked.clear()
        laws.four_steps("image", base)
        assert home.asked
        gone(base["name"])
        for option in ("client_certificate", "ca_file"):
            assert invoke("image", {key: value for key, value in base.items() if "client" not in key}).failed, option


def test_no_credential_is_on_the_disk_while_an_image_comes() -> None:
    """What a killed run left is gone on with, or undone without a registry, though no journal has a password."""
    tags = {"1": image("1")}
    with Front(registry.proxied("registry.example", "shop/web", tags)) as front:
        proxy = front.url.replace("//", f"//{USER}:Ohl7-proxy@")
        login = {"username": USER, "plain_http": True, "proxy": proxy}
        mirror = {"location": "mirror.example", "password": "Ohl7-mirror", **login}
        base: dict[str, t.Any] = {"name": "registry.example/shop/web:1", "password": "Ohl7-registry", **login}
        base["mirrors"] = [mirror]
        latest = {**base, "state": "latest"}
        killed_while_it_comes(front, base, tags["1"])
        assert laws.run("image", base)["image"]["digest"] == image("1").digest
        tags["1"] = image("2")
        killed_while_it_comes(front, latest, tags["1"])
        assert laws.run("image", latest)["image"]["digest"] == image("2").digest
        tags["1"] = image("3")
        killed_while_it_comes(front, latest, tags["1"])
    done = laws.run("image", base)
    assert done["image"]["digest"] == image("2").digest
    assert "that was undone" in str(done["warnings"])
    assert "but for" not in str(done["warnings"])
    gone(base["name"])


def killed_while_it_comes(front: Front, options: Options, coming: images.Image) -> None:
    """Kill a run that has a part of the upper layer; nothing secret is in a file of ours then."""
    path = f"http://registry.example/v2/shop/web/blobs/{coming.layers[-1]['digest']}"
    front.stop_after[path] = 5
    front.hold.clear()
    run = Run("image", options)
    world.until(lambda: path in front.sent)
    kept = "/var/lib/nsfleet /run/nsfleet"
    assert "registry.example" in world.sh(f"cat $(find {kept} -name image.journal)"), "there is no journal to look into"
    assert world.sh(f"grep -rE 'Ohl7|{USER}' {kept} || true") == ""
    os.kill(run.pid, signal.SIGKILL)
    assert run.killed()
    front.hold.set()


def test_a_proxy_is_asked(tmp_path: pathlib.Path) -> None:
    del tmp_path
    with Front(registry.proxied("registry.example", "shop/web", {"1": image()})) as front:
        base: dict[str, t.Any] = {"name": "registry.example/shop/web:1", "plain_http": True, "proxy": front.url}
        laws.four_steps("image", base)
        assert all(asked.path.startswith("http://registry.example/v2/") for asked in front.asked)
        gone(base["name"])


def test_two_runs_at_once_fetch_everything_once() -> None:
    with Front(registry.images("shop/web", {"1": image(), "2": image("2")})) as front:
        bases: list[dict[str, t.Any]] = [
            {"name": f"{front.host}/shop/web:{tag}", "plain_http": True, "proxy": ""} for tag in ("1", "2", "1")
        ]
        threads = [threading.Thread(target=laws.run, args=("image", base)) for base in bases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lower = image().layers[0]["digest"]
        assert len(front.paths(f"blobs/{lower}")) == 1
        assert [each["name"] for each in told()] == sorted(base["name"] for base in bases[:2])
    for base in bases[:2]:
        gone(base["name"])


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": "shop/Web"}, ("name: expected",)),
        ({"name": "shop/web:a:b"}, ("name: expected",)),
        ({"name": "web@sha256:12"}, ("name: expected", "64 digits")),
        ({"path": "layout"}, ("path: expected a path from the root",)),
        ({"platform": "amd64"}, ("platform: expected", "OS/ARCHITECTURE")),
        ({"username": "x", "password": "y"}, ("username: expected none", "password: expected none")),
        ({"path": None, "username": "x"}, ("password: expected username and password",)),
        ({"path": None, "client_key": "/x"}, ("client_key: expected client_certificate",)),
        ({"path": None, "mirrors": [{"location": "a b"}]}, ("mirrors[0].location: expected",)),
        ({"path": None, "mirrors": [{"location": "a", "password": "y"}]}, ("mirrors[0].username: expected",)),
    ],
)
def test_bad_input(place: Place, more: Options, words: t.Sequence[str]) -> None:
    laws.refused("image", {**options(place), **more}, *words)


def test_what_is_not_there(place: Place) -> None:
    laws.missing("image", options(place, path="/no/such"), "path: there is no /no/such")
    laws.missing("image", {"name": NAME, "ca_file": "/no/such"}, "ca_file: there is no /no/such")
    place.have(**{"1": image(), "3": image("3")})
    for name in ("shop/web:2", "shop/other:2"):
        failed = invoke("image", options(place, name=name))
        assert failed.failed
        assert "2" in failed["msg"]
    assert not os.path.exists(STORE)


def of_mirrors() -> list[str]:
    """Paths of the options of mirrors."""
    table = TABLE["mirrors"].table
    assert table is not None
    return [f"mirrors.{field.name}" for field in table.fields]


def test_every_option_is_proved() -> None:
    """Those of images that are made here or given to others are in ``test_image_export.py``."""
    others = (*FIELDS_OF_MADE, *DELIVERIES)
    laws.covered(
        Table(field for field in TABLE.fields if field not in others),
        [],
        {
            **dict.fromkeys(("name", "path"), test_an_image_comes_and_goes),
            "platform": test_images_for_other_machines,
            "verify": test_what_is_damaged_is_found_when_it_is_read,
            **dict.fromkeys(("username", "password", "ca_file"), test_a_registry_with_a_password),
            "proxy": test_a_proxy_is_asked,
            "plain_http": test_two_runs_at_once_fetch_everything_once,
            **dict.fromkeys(("client_certificate", "client_key"), test_mirrors_and_certificates_of_clients),
            **dict.fromkeys(of_mirrors(), test_mirrors_and_certificates_of_clients),
            "adopt": test_an_image_comes_and_goes,
            "on_drift": test_drift_that_is_not_to_be_repaired,
        },
    )
