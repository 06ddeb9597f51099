# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One site whose services have root file systems of different kinds.

Those of the host are in :mod:`test_site`, and packages of a distribution in :mod:`test_services`. Which of the others
there are is said in ``NSFLEET_SOURCES`` (``make site-sources SOURCES="directory archive image"``), since each costs
half a minute. The tests are one story and run in the order of this file.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import typing as t

import pytest
import yaml
from support import images, rooted, site, world

#: Answers with what is in the root's /srv, by programs of the host.
SERVE = ["/usr/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/srv"]
KINDS = os.environ.get("NSFLEET_SOURCES", "image").split()
NETWORK = {"name": "front", "subnets": ["10.77.0.0/24"]}


class Place(t.NamedTuple):
    """Where the sources are."""

    tree: str
    archive: str
    checksum: str
    layout: pathlib.Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A directory, an archive of the same, and an image."""
    folder = tmp_path_factory.mktemp("sources")
    tree = folder / "tree"
    tree.mkdir()
    world.sh(
        f"cd {tree} && mkdir dev etc proc srv sys tmp usr && ln -s usr/bin usr/lib usr/lib64 usr/sbin . "
        f"&& echo root:x:0:0::/:/bin/sh >etc/passwd && echo tree >srv/version && tar -czf {tree}.tar.gz ."
    )
    have_image(folder / "layout", "1")
    checksum = world.sh(f"sha256sum {tree}.tar.gz").split()[0]
    return Place(str(tree), f"{tree}.tar.gz", f"sha256:{checksum}", folder / "layout")


def have_image(layout: pathlib.Path, version: str) -> None:
    """Have an image that serves its version."""
    shutil.rmtree(layout, ignore_errors=True)
    images.layout(layout, {"1": rooted.image(version, Cmd=SERVE)})


def described(place: Place) -> dict[str, t.Any]:
    """Networks and services."""
    sources: dict[str, dict[str, t.Any]] = {
        "directory": {"source": "directory", "directory": place.tree},
        "archive": {"source": "tar", "archive": place.archive, "checksum": place.checksum},
        "image": {
            "source": "image", "image": "shop/web:1", "archive": str(place.layout), "image_options": {"state": "latest"}
        },
    }  # fmt: skip
    return {
        "nsfleet_networks": [NETWORK],
        "nsfleet_services": [
            {
                "name": name,
                "network": "front",
                "rootfs": rootfs,
                "container": {
                    **({} if name == "image" else {"command": SERVE}),
                    "mounts": [rooted.USR],
                    "memory_max": "64M",
                },
                "health": {"type": "tcp", "port": 80},
            }
            for name, rootfs in sources.items()
            if name in KINDS
        ],
    }


def run(playbook: str, place: Place, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run one of the playbooks."""
    inventory = tmp_path_factory.mktemp("inventory") / "hosts.yml"
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"here": {"ansible_connection": "local"}}}}))
    path = os.path.join(site.ROOT, "playbooks", f"{playbook}.yml")
    return site.play(path, described(place), "-i", str(inventory), interpreter="/usr/bin/python3")


@pytest.fixture(scope="module", autouse=True)
def up(place: Place, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[None]:
    """The site; nothing of it is left afterwards."""
    before = world.snapshot()
    run("site", place, tmp_path_factory)
    yield
    run("teardown", place, tmp_path_factory)
    assert world.difference(before, world.snapshot()) == []


def answer(service: str) -> str:
    """What a service says it is, asked through the bridge."""
    address = world.addresses("eth0", f"{service}-1")[0].partition("/")[0]
    return world.sh(f"curl -gsS --noproxy '*' -m 2 http://{address}/version").strip()


def test_every_service_answers() -> None:
    expected = {"directory": "tree", "archive": "tree", "image": "1"}
    assert {name: answer(name) for name in KINDS} == {name: expected[name] for name in KINDS}


def test_another_image_of_the_name(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    """It is got, its service is made anew from it, and nothing else is changed."""
    others = [name for name in KINDS if name != "image"]
    before = [world.sh(f"ip netns pids {name}-1") for name in others]
    have_image(place.layout, "2")
    assert re.findall(r"changed=(\d+)", run("site", place, tmp_path_factory)) == ["2"]
    assert answer("image") == "2"
    assert [world.sh(f"ip netns pids {name}-1") for name in others] == before
