# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of images: what an image says, what it shares, and how long it is there."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import typing as t

import pytest
from support import images, laws, world
from support.invoke import invoke
from support.laws import Options
from support.rooted import USR, WAIT, image

NAME = "shop/web:1"
STORE = "/var/lib/nsfleet/images"
BASE: dict[str, t.Any] = {"name": "case", "image": NAME, "mounts": [USR], "stop_timeout": 0.5}
GONE = {"name": "case", "state": "absent"}


@pytest.fixture
def have(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., None]]:
    """Let the name lead to an image; at the end to none."""
    path = tmp_path / "layout"

    def pull(version: str = "1", **config: t.Any) -> None:
        shutil.rmtree(path, ignore_errors=True)
        images.layout(path, {"1": image(version, **config)})
        laws.run("image", {"name": NAME, "path": str(path), "state": "latest"})

    yield pull
    laws.run("image", {"name": NAME, "state": "absent"})


def first() -> int:
    """The first process of the container."""
    (pid,) = [int(word) for word in world.sh("pgrep -of '^/bin/sh -c trap'").split()]
    return pid


def inside(command: str) -> str:
    """Output of a shell command in the container."""
    return world.sh(f"nsenter --target {first()} --all --root --wd=/ -- sh -c '{command}'").strip()


def environment() -> dict[str, str]:
    """What the kernel says of the first process."""
    words = pathlib.Path(f"/proc/{first()}/environ").read_bytes().decode().split("\0")
    return dict(word.partition("=")[::2] for word in words if word)


def test_what_the_image_says_is_the_default(have: t.Callable[..., None]) -> None:
    have(Env=["COLOUR=red", "PATH=/usr/bin:/bin"], User="app", WorkingDir="/srv", StopSignal="SIGINT")
    done = laws.four_steps("container", BASE)
    assert done["container"]["command"] == list(WAIT)
    assert done["container"]["stop_signal"] == "SIGINT"
    assert environment() == {"COLOUR": "red", "PATH": "/usr/bin:/bin"}
    assert os.readlink(f"/proc/{first()}/cwd") == "/srv"
    assert world.sh(f"stat -c %u:%g /proc/{first()}").strip() == "7:8"
    assert inside("cat /srv/version") == "1"
    laws.four_steps("container", {**BASE, "env": {"COLOUR": "blue", "SIZE": "9"}, "user": "0", "cwd": "/tmp"})
    assert environment() == {"COLOUR": "blue", "SIZE": "9", "PATH": "/usr/bin:/bin"}
    assert (os.readlink(f"/proc/{first()}/cwd"), os.stat(f"/proc/{first()}").st_uid) == ("/tmp", 0)
    laws.four_steps("container", BASE)
    assert environment()["COLOUR"] == "red", "what disappeared from the task is the image's again"
    laws.remove("container", BASE)


def test_entrypoint_comes_before_cmd_and_command_in_place_of_both(have: t.Callable[..., None]) -> None:
    have(Entrypoint=["/bin/echo", "entry"], Cmd=["cmd"])
    once = {**BASE, "detach": False}
    assert laws.run("container", once)["stdout"] == "entry cmd"
    assert laws.run("container", {**once, "command": ["/bin/echo", "own"]})["stdout"] == "own"
    have(Cmd=[])
    laws.refused("container", BASE, "command: expected the program to run")


def test_layers_are_shared_and_nobody_writes_to_them(have: t.Callable[..., None]) -> None:
    have()
    (told,) = laws.run("image_info", {})["images"]
    other = {**BASE, "name": "other", "command": ["/bin/sh", "-c", "echo theirs >/srv/own; exec sleep 31536000"]}
    laws.run("container", BASE)
    laws.run("container", other)
    inside("echo changed >/srv/version; rm /etc/passwd; echo own >/srv/own")
    assert inside("cat /srv/version /srv/own; test -e /etc/passwd || echo gone") == "changed\nown\ngone"
    assert pathlib.Path(told["layers"][1], "srv/version").read_text() == "1"
    assert os.path.exists(f"{told['layers'][0]}/etc/passwd")
    mounted = world.sh(f"grep ' / / ' /proc/{first()}/mountinfo || cat /proc/{first()}/mountinfo").splitlines()[0]
    assert " overlay " in mounted
    laws.four_steps("container", {**BASE, "env": {"A": "b"}})
    assert inside("cat /srv/own") == "own", "a restart keeps what was written"
    assert laws.run("image_info", {"name": NAME})["images"][0]["containers"] == ["case", "other"]
    for name in ("case", "other"):
        laws.run("container", {"name": name, "state": "absent"})


def test_an_image_that_can_only_be_read(have: t.Callable[..., None]) -> None:
    have()
    laws.four_steps("container", {**BASE, "read_only": True})
    assert inside("touch /srv/x 2>&1 || true").endswith("Read-only file system")
    assert not os.path.exists("/var/lib/nsfleet/containers/case/upper")
    laws.four_steps("container", {**BASE, "overlay": "tmpfs"})
    assert inside("touch /srv/x && ls /srv") == "version\nx"
    laws.remove("container", BASE)


def test_owners_are_mapped(have: t.Callable[..., None]) -> None:
    have()
    ranges = [{"container_id": 0, "host_id": 100000, "size": 1000}]
    spaces = {"user": "private"}
    laws.four_steps(
        "container", {**BASE, "namespaces": spaces, "uid_mappings": ranges, "gid_mappings": ranges, "idmap": True}
    )
    assert os.stat(f"/proc/{first()}").st_uid == 100000
    assert inside("stat -c %u /srv/version") == "0"
    laws.remove("container", BASE)


def test_the_name_leads_to_another_image(have: t.Callable[..., None]) -> None:
    have("1")
    laws.run("container", BASE)
    inside("echo own >/srv/own")
    have("2")
    assert inside("cat /srv/version") == "1", "what runs was changed"
    done = laws.four_steps("container", BASE)
    assert {step["effect"] for step in done["plan"]} == {"recreate"}
    assert inside("cat /srv/version; echo; ls /srv") == "2\nversion"
    (told,) = laws.run("image_info", {})["images"]
    assert told["digest"] == image("2").digest
    laws.remove("container", BASE)


def test_what_a_container_has_stays(have: t.Callable[..., None]) -> None:
    """The name goes; layers and documents stay until no container has them."""
    have()
    laws.run("container", BASE)
    laws.four_steps("image", {"name": NAME, "state": "absent"})
    laws.four_steps("container", {"name": "case", "state": "stopped"})
    laws.four_steps("container", {"name": "case", "state": "started"})
    assert inside("cat /srv/version") == "1"
    laws.missing("container", {**BASE, "env": {"A": "b"}}, "image: this host has no docker.io/shop/web:1")
    assert os.listdir(f"{STORE}/layers")
    laws.run("container", GONE)
    have()  # whoever changes something in the store next takes away what nobody needs


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image": "shop/Web"}, ("image: expected",)),
        ({"rootfs": "/"}, ("mutually exclusive", "image|rootfs")),
        ({"image": None, "command": ["/bin/true"]}, ("rootfs: expected", "or an image")),
        ({"command": ["/no/such"]}, ("command: there is no /no/such in the root file system docker.io/shop/web:1",)),
        ({"command": ["/etc/passwd"]}, ("command: /etc/passwd is no program",)),
        ({"namespaces": {"mount": "host"}, "mounts": None}, ("image: needs namespaces.mount",)),
    ],
)
def test_bad_input(have: t.Callable[..., None], options: Options, words: t.Sequence[str]) -> None:
    have()
    laws.refused("container", {**BASE, **options}, *words)


def test_what_the_image_says_and_cannot_be(have: t.Callable[..., None]) -> None:
    have(User="a b")
    laws.refused("container", BASE, "image: docker.io/shop/web:1 says user, which cannot be", "give user in the task")
    have(WorkingDir="srv")
    laws.refused("container", BASE, "says cwd, which cannot be")
    have(User="mallory")
    failed = invoke("container", BASE)
    assert "no user 'mallory'" in failed["msg"]


def test_an_image_that_is_not_there_yet() -> None:
    laws.missing("container", BASE, "image: this host has no docker.io/shop/web:1", "nsfleet.linux.image")


def test_a_damaged_record_costs_no_container_its_layers(have: t.Callable[..., None]) -> None:
    have()
    laws.run("container", BASE)
    (record,) = [f"{STORE}/images/{name}" for name in os.listdir(f"{STORE}/images")]
    pathlib.Path(record).write_text("{")
    laws.run("image", {"name": NAME, "state": "absent"})
    assert inside("cat /srv/version; ls -d /etc/passwd") == "1/etc/passwd"
    laws.run("container", GONE)
    have()


NONSENSE = ["", "{", "[]", '{"layers": []}', '{"blobs": 1}', "{config}", "\0"]


@pytest.mark.parametrize("words", NONSENSE)
def test_a_record_that_says_nonsense(have: t.Callable[..., None], words: str) -> None:
    have()
    (record,) = [f"{STORE}/images/{name}" for name in os.listdir(f"{STORE}/images")]
    away = json.dumps({**json.loads(pathlib.Path(record).read_text()), "layers": ["../../../../../etc"]})
    pathlib.Path(record).write_text(words.replace("{config}", away))
    failed = invoke("container", BASE)
    assert failed.failed
    assert "Traceback" not in str(failed)
    assert "/etc" not in str(failed.get("container"))
