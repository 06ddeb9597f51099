# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module image, the other way: images of directories and of containers, pushed, and written as OCI layouts."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Table
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.image import DELIVERIES
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.image_made import FIELDS_OF_MADE
from support import images, laws, registry, rooted, world
from support.abilities import need
from support.invoke import invoke
from support.laws import Options
from support.registry import PASSWORD, USER
from support.rooted import USR, WAIT, image

NAME = "shop/made:1"
WHOLE_NAME = "docker.io/shop/made:1"
STORE = "/var/lib/nsfleet/images"
CONTAINER: dict[str, t.Any] = {"name": "case", "image": "shop/web:1", "mounts": [USR], "stop_timeout": 0.5}
CONFIG: dict[str, t.Any] = {
    "entrypoint": ["/bin/sh", "-c"], "cmd": ["echo hello"], "env": {"COLOUR": "red"}, "user": "7:8",
    "working_dir": "/srv", "exposed_ports": ["53/udp", "80"], "stop_signal": "INT", "volumes": ["/srv/data/"],
    "labels": {"a.b": "c"},
}  # fmt: skip
#: The same in the words of the image specification.
TOLD = {
    "Entrypoint": ["/bin/sh", "-c"], "Cmd": ["echo hello"], "Env": ["COLOUR=red"], "User": "7:8", "WorkingDir": "/srv",
    "ExposedPorts": {"53/udp": {}, "80/tcp": {}}, "StopSignal": "SIGINT", "Volumes": {"/srv/data": {}},
    "Labels": {"a.b": "c"},
}  # fmt: skip


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    """A small root file system."""
    found = tmp_path / "tree"
    (found / "etc").mkdir(parents=True)
    (found / "etc/motd").write_text("hello")
    (found / "link").symlink_to("etc/motd")
    os.chown(found / "etc/motd", 7, 8)
    os.chmod(found / "etc/motd", 0o640)
    return found


@pytest.fixture
def stopped(tmp_path: pathlib.Path) -> t.Iterator[None]:
    """A container of an image that wrote something, and does not run."""
    images.layout(tmp_path / "base", {"1": image(Env=["COLOUR=blue"], User="7")})
    laws.run("image", {"name": "shop/web:1", "path": str(tmp_path / "base")})
    script = "echo own >/srv/own; rm /srv/version; touch /srv/done; exec sleep 31536000"
    laws.run("container", {**CONTAINER, "user": "0", "command": ["/bin/sh", "-c", script]})
    upper = pathlib.Path("/var/lib/nsfleet/containers/case/upper")
    world.until((upper / "srv/done").exists)
    laws.run("container", {"name": "case", "state": "stopped"})
    yield
    laws.run("container", {"name": "case", "state": "absent"})
    laws.run("image", {"name": "shop/web:1", "state": "absent"})


def gone(name: str = NAME) -> None:
    """Remove the image; the fixture ``clean_host`` sees that nothing is left."""
    laws.four_steps("image", {"name": name, "state": "absent"})


def described(place: pathlib.Path, name: str = WHOLE_NAME) -> dict[str, t.Any]:
    """What skopeo says of the configuration of an image in a layout."""
    return t.cast("dict[str, t.Any]", json.loads(registry.skopeo("inspect", "--config", f"oci:{place}:{name}")))


def digest(place: str, *words: str) -> str:
    """The digest of an image, as skopeo finds it."""
    return registry.skopeo("inspect", "--format", "{{.Digest}}", *words, place).strip()


def listed(place: pathlib.Path) -> list[str]:
    """Names below a directory, sorted."""
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


def unpacked(layout: pathlib.Path, into: pathlib.Path) -> pathlib.Path:
    """The tree of an image in a layout, as umoci makes it."""
    need("umoci")
    registry.skopeo("copy", f"oci:{layout}:{WHOLE_NAME}", f"oci:{into}/copy:1")
    world.sh(f"umoci raw unpack --image {into}/copy:1 {into}/out")
    return into / "out"


# --- made of a directory -----------------------------------------------------------------------------


def test_an_image_of_a_directory(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    need("skopeo")
    place = tmp_path / "layout"
    options = {"name": NAME, "rootfs": str(tree), "config": CONFIG, "layout": str(place)}
    done = laws.four_steps("image", options)
    assert described(place)["config"] == TOLD
    assert digest(f"oci:{place}:{WHOLE_NAME}") == done["image"]["digest"]
    out = unpacked(place, tmp_path)
    assert (out / "etc/motd").read_text() == "hello"
    assert os.readlink(out / "link") == "etc/motd"
    look = "find . -mindepth 1 -printf '%P %m %U:%G %T@ %l\\n' | sort"
    assert world.sh(f"cd {out} && {look}") == world.sh(f"cd {tree} && {look}")
    gone()
    assert described(place)["config"] == TOLD, "what was given stays"
    assert not os.path.exists(STORE)


def test_the_same_input_is_the_same_image(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    base = {"name": NAME, "rootfs": str(tree), "platform": "linux/s390x"}
    first = laws.run("image", base)["image"]
    assert (first["platform"], first["created"]) == ("linux/s390x", "")
    gone()
    world.sh(f"cp -a {tree} {tmp_path}/other && touch -a {tmp_path}/other/etc/motd")
    assert laws.run("image", {**base, "rootfs": f"{tmp_path}/other"})["image"]["digest"] == first["digest"]
    laws.run("image", {**base, "state": "latest"})
    laws.settled("image", {**base, "state": "latest"})
    (tree / "etc/motd").write_text("changed")
    assert not laws.run("image", base).changed
    done = laws.four_steps("image", {**base, "state": "latest"})
    (change,) = [each for step in done["plan"] for each in step["changes"]]
    assert (change["option"], change["before"]) == ("resolved", first["digest"])
    assert change["after"] == done["image"]["digest"] != first["digest"]
    laws.four_steps("image", {**base, "state": "latest", "config": {"cmd": ["/bin/true"]}})
    gone()


# --- made of a container -----------------------------------------------------------------------------


@pytest.mark.usefixtures("stopped")
def test_an_image_of_a_container(tmp_path: pathlib.Path) -> None:
    need("skopeo")
    place = tmp_path / "layout"
    options = {"name": NAME, "container": "case", "config": {"env": {"SIZE": "9"}}, "layout": str(place)}
    done = laws.four_steps("image", options)
    assert described(place)["config"] == {"Cmd": list(WAIT), "Env": ["SIZE=9"], "User": "7"}
    assert len(described(place)["rootfs"]["diff_ids"]) == 3
    assert described(place)["rootfs"]["diff_ids"][:2] == image().diff_ids, "its image's layers are not the same"
    out = unpacked(place, tmp_path)
    assert sorted(os.listdir(out / "srv")) == ["done", "own"], "what it removed is there"
    assert (out / "etc/passwd").exists()
    other = {**CONTAINER, "name": "other", "image": NAME, "user": "0", "detach": False}
    assert laws.run("container", {**other, "command": ["/bin/cat", "/srv/own"]})["stdout"] == "own"
    assert not laws.run("image", {**options, "state": "latest"}).changed
    laws.settled("image", {**options, "state": "latest"})
    assert done["image"]["digest"] == digest(f"oci:{place}:{WHOLE_NAME}")
    gone()


@pytest.mark.usefixtures("stopped")
def test_a_container_that_runs_is_refused_unless_it_is_frozen() -> None:
    options = {"name": NAME, "container": "case"}
    laws.run("container", {"name": "case", "state": "started"})
    world.until(lambda: world.sh("pgrep -xf 'sleep 31536000' || true"))
    laws.refused("image", options, "container: case runs", "stop it (state: stopped) or freeze it first")
    laws.refused("image", {**options, "state": "latest"}, "container: case runs")
    pid = int(world.sh("pgrep -xf 'sleep 31536000'"))
    file = world.limit_file(pid, "freezer", "freezer.state", "cgroup.freeze")
    frozen, thawed = ("FROZEN", "THAWED") if file.endswith("freezer.state") else ("1", "0")
    world.sh(f"echo {frozen} >{file}")
    try:
        laws.four_steps("image", options)
    finally:
        world.sh(f"echo {thawed} >{file}")
    laws.settled("image", options)
    gone()


def test_owners_are_those_that_the_container_sees(tmp_path: pathlib.Path) -> None:
    need("idmapped mounts")
    images.layout(tmp_path / "base", {"1": image()})
    laws.run("image", {"name": "shop/web:1", "path": str(tmp_path / "base")})
    ranges = [{"container_id": 0, "host_id": 100000, "size": 1000}]
    spaces = {"namespaces": {"user": "private"}, "uid_mappings": ranges, "gid_mappings": ranges, "idmap": True}
    laws.run(
        "container", {**CONTAINER, **spaces, "command": ["/bin/sh", "-c", "echo x >/srv/own; exec sleep 31536000"]}
    )
    world.until(pathlib.Path("/var/lib/nsfleet/containers/case/upper/srv/own").exists)
    laws.run("container", {"name": "case", "state": "stopped"})
    done = laws.run("image", {"name": NAME, "container": "case"})
    assert world.sh(f"stat -c %u:%g {done['image']['layers'][-1]}/srv/own").strip() == "0:0"
    laws.run("container", {"name": "case", "state": "absent"})
    for name in ("shop/web:1", NAME):
        laws.run("image", {"name": name, "state": "absent"})


# --- given to others ---------------------------------------------------------------------------------


def test_an_image_is_pushed(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    tls = registry.certificates(tmp_path / "tls")
    (tmp_path / "trusted").mkdir()
    shutil.copy(tls / "authority.pem", tmp_path / "trusted/ours.crt")
    login = ("--creds", f"{USER}:{PASSWORD}", "--cert-dir", str(tmp_path / "trusted"))
    with registry.docker_registry(tmp_path / "registry", tls, login=True) as host:
        access = {"username": USER, "password": PASSWORD, "ca_file": str(tls / "authority.pem")}
        here = {"rootfs": str(tree), "push": True, "state": "latest"}
        base: dict[str, t.Any] = {"name": f"{host}/shop/made:1", **here, **access}
        done = laws.four_steps("image", base)
        assert digest(f"docker://{base['name']}", *login) == done["image"]["digest"]
        registry.skopeo("copy", "--src-creds", f"{USER}:{PASSWORD}", "--src-cert-dir", str(tmp_path / "trusted"),
                        f"docker://{base['name']}", f"oci:{tmp_path}/copy:1")  # fmt: skip
        images.layout(tmp_path / "other", {"1": image()})
        overwrite = ("--dest-creds", f"{USER}:{PASSWORD}", "--dest-cert-dir", str(tmp_path / "trusted"))
        registry.skopeo("copy", *overwrite, f"oci:{tmp_path}/other:1", f"docker://{base['name']}")
        laws.repaired("image", base, "true")
        assert digest(f"docker://{base['name']}", *login) == done["image"]["digest"]
        (tree / "etc/motd").write_text("changed")
        again = laws.four_steps("image", base)
        assert digest(f"docker://{base['name']}", *login) == again["image"]["digest"] != done["image"]["digest"]
        assert PASSWORD not in json.dumps(again)
        assert not laws.run("image", {**base, "push": False}).changed
        assert invoke("image", {**base, "password": "wrong"}).failed
        gone(base["name"])
        path: dict[str, t.Any] = {"name": f"{host}/shop/copied:1", "path": f"{tmp_path}/copy", "push": True, **access}
        copied = laws.four_steps("image", path)["image"]["digest"]
        assert digest(f"docker://{path['name']}", *login) == copied == done["image"]["digest"]
        gone(path["name"])


DAMAGES = {
    "it is gone": "rm -r {layout}",
    "its index is gone": "rm {layout}/index.json",
    "a blob is gone": "rm $(ls -S {layout}/blobs/sha256/* | tail -1)",
    "a blob is shorter": "truncate -s -1 $(ls -S {layout}/blobs/sha256/* | tail -1)",
    "it has another image": "rm -r {layout}; cp -r {other} {layout}",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_layout_is_repaired(tree: pathlib.Path, tmp_path: pathlib.Path, damage: str) -> None:
    need("skopeo")
    place = tmp_path / "layout"
    options = {"name": NAME, "rootfs": str(tree), "layout": str(place)}
    done = laws.run("image", options)
    images.layout(tmp_path / "other", {WHOLE_NAME: image()})
    laws.repaired("image", options, damage.format(layout=place, other=tmp_path / "other"))
    assert digest(f"oci:{place}:{WHOLE_NAME}") == done["image"]["digest"]
    assert unpacked(place, tmp_path).is_dir()
    gone()


BLOB = f"$(ls -S {STORE}/blobs/* | tail -1)"


@pytest.mark.parametrize("damage", [f"rm {BLOB}", f"printf x | dd of={BLOB} bs=1 seek=5 conv=notrunc 2>/dev/null"])
def test_what_the_store_lacks_is_made_again(tree: pathlib.Path, tmp_path: pathlib.Path, damage: str) -> None:
    options = {"name": NAME, "rootfs": str(tree), "verify": True, "layout": str(tmp_path / "layout")}
    first = laws.run("image", options)["image"]["digest"]
    assert laws.repaired("image", options, damage)["image"]["digest"] == first
    shutil.rmtree(tree)
    damage_there = f"printf x | dd of=$(ls -S {tmp_path}/layout/blobs/sha256/* | head -1) bs=1 conv=notrunc 2>/dev/null"
    laws.repaired("image", options, damage_there)
    assert "what it comes from is not there" in str(laws.run("image", {**options, "state": "latest"})["warnings"])
    gone()


def test_other_images_of_a_layout_stay(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    need("skopeo")
    place = images.layout(tmp_path / "layout", {"1": image()})
    laws.four_steps("image", {"name": NAME, "rootfs": str(tree), "layout": str(place)})
    assert digest(f"oci:{place}:1") == image().digest
    assert not laws.run("image", {"name": NAME, "rootfs": str(tree)}).changed
    assert digest(f"oci:{place}:{WHOLE_NAME}"), "what was given stays"
    gone()


def test_others_get_a_newer_image_as_the_plan_says(tmp_path: pathlib.Path) -> None:
    source, place = tmp_path / "source", tmp_path / "layout"
    options = {"name": NAME, "path": str(source), "state": "latest", "layout": str(place)}
    for version in ("1", "2"):
        shutil.rmtree(source, ignore_errors=True)
        images.layout(source, {"1": image(version)})
        done = laws.four_steps("image", options)
        assert digest(f"oci:{place}:{WHOLE_NAME}") == image(version).digest
    told = {change["option"] for step in done["plan"] for change in step["changes"]}
    assert told == {"resolved", "layout"}
    gone()


def test_others_get_the_image_of_another_platform_as_the_plan_says(tmp_path: pathlib.Path) -> None:
    other = images.Image(rooted.BASE, machine="s390x")
    source, place = tmp_path / "source", tmp_path / "layout"
    images.layout(source, {"1": image()})
    options = {"name": NAME, "path": str(source), "layout": str(place)}
    laws.run("image", options)
    shutil.rmtree(source)
    images.layout(source, {"1": other})
    done = laws.four_steps("image", {**options, "platform": "linux/s390x"})
    assert {change["option"] for step in done["plan"] for change in step["changes"]} == {"platform", "layout"}
    assert digest(f"oci:{place}:{WHOLE_NAME}") == other.digest
    gone()


def test_a_failed_run_leaves_nothing(
    tree: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "layout"
    options = {"name": NAME, "rootfs": str(tree), "state": "latest", "layout": str(place)}
    laws.failing(monkeypatch)
    laws.puts_back("image", [options])
    assert not place.exists()
    monkeypatch.undo()
    laws.run("image", options)
    index = (place / "index.json").read_text()
    (tree / "etc/motd").write_text("changed")
    laws.failing(monkeypatch)
    assert "Everything was put back as it was" in invoke("image", options)["msg"]
    assert (place / "index.json").read_text() == index
    other = tmp_path / "other"
    assert "Everything was put back as it was" in invoke("image", {**options, "layout": str(other)})["msg"]
    assert not other.exists()
    monkeypatch.undo()
    laws.four_steps("image", options)
    gone()


# --- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"path": "/x"}, ("mutually exclusive", "path|rootfs|container")),
        ({"container": "case"}, ("mutually exclusive",)),
        ({"rootfs": "tree"}, ("rootfs: expected a path from the root",)),
        ({"rootfs": "/etc/passwd"}, ("rootfs: expected a directory",)),
        ({"rootfs": "/var"}, ("rootfs: expected a directory without the store",)),
        ({"rootfs": None, "config": {}}, ("config: expected rootfs or container",)),
        ({"rootfs": None, "push": True}, ("push: expected path, rootfs, container",)),
        ({"name": f"shop/made@sha256:{'0' * 64}"}, ("name: expected one without a digest",)),
        ({"username": "me", "password": "?"}, ("username: expected none, since rootfs says",)),
        ({"push": True, "mirrors": [{"location": "a"}]}, ("mirrors: expected none",)),
        ({"layout": "x"}, ("layout: expected a path from the root",)),
        ({"layout": "/etc/passwd"}, ("layout: expected a directory",)),
        ({"config": {"exposed_ports": ["80", "x"]}}, ("config.exposed_ports[1]: expected a port",)),
        ({"config": {"env": {"a=b": "c"}}}, ("config.env: expected",)),
        ({"config": {"user": "a b"}}, ("config.user: expected",)),
        ({"config": {"working_dir": "srv"}}, ("config.working_dir: expected",)),
        ({"config": {"stop_signal": "SIGX"}}, ("config.stop_signal: expected",)),
        ({"config": {"volumes": ["srv"]}}, ("config.volumes[0]: expected",)),
    ],
)
def test_bad_input(tree: pathlib.Path, more: Options, words: t.Sequence[str]) -> None:
    laws.refused("image", {"name": NAME, "rootfs": str(tree), **more}, *words)


def test_what_is_not_there(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for state in ("present", "latest"):
        laws.missing("image", {"name": NAME, "rootfs": "/no/such", "state": state}, "rootfs: there is no /no/such")
        laws.missing("image", {"name": NAME, "container": "no", "state": state}, "container: there is no container no")
    laws.refused("image", {"name": NAME, "container": "a/b"}, "container: expected")
    (tree / ".wh.x").write_text("")
    failed = invoke("image", {"name": NAME, "rootfs": str(tree)})
    assert ".wh." in failed["msg"]
    (tree / ".wh.x").unlink()
    (tmp_path / "index.json").write_text("{")
    options = {"name": NAME, "rootfs": str(tree)}
    laws.run("image", options)
    laws.refused("image", {**options, "layout": str(tmp_path)}, "layout: ")
    gone()
    assert not os.path.exists(STORE)


def test_a_container_without_files_of_its_own() -> None:
    rootless = {"name": "case", "rootfs": "/", "overlay": "tmpfs", "command": ["/bin/sleep", "1000"]}
    laws.run("container", {**rootless, "state": "present"})
    laws.refused("image", {"name": NAME, "container": "case"}, "container: expected one with overlay: disk")
    laws.run("container", {"name": "case", "state": "absent"})


def test_every_option_is_proved() -> None:
    config = [f"config.{name}" for name in CONFIG]
    laws.covered(
        Table((*FIELDS_OF_MADE, *DELIVERIES)),
        [],
        {
            **dict.fromkeys(("rootfs", *config), test_an_image_of_a_directory),
            "container": test_an_image_of_a_container,
            "push": test_an_image_is_pushed,
            "layout": test_a_layout_is_repaired,
        },
    )
