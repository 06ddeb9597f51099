# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""User namespaces with many ranges, and mounts that show their files with other owners."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import typing as t

import pytest
from support import oci, world
from support.abilities import need
from support.oci import Spec, described, refusal, running

SOURCE = "/srv/source"
BELOW = f"{SOURCE}/below"
#: Owners of files of the source, each a file of that name.
OWNERS = (0, 5, 1000, 1001, 70000)


@pytest.fixture(autouse=True)
def source(clean_host: None) -> t.Iterator[None]:
    """A root file system, and files of several owners on a mount with another below it."""
    del clean_host
    oci.make_root()
    os.makedirs(SOURCE)
    for folder in (SOURCE, BELOW):
        os.makedirs(folder, exist_ok=True)
        oci.mount_empty(folder)
        for owner in OWNERS:
            world.sh(f"touch {folder}/{owner} && chown {owner}:{owner} {folder}/{owner}")
    yield
    world.sh(f"umount -R {SOURCE}")
    shutil.rmtree(SOURCE)
    oci.remove_root()


def ranges(*each: tuple[int, int, int]) -> list[dict[str, int]]:
    """Mappings as the runtime-spec has them: first id inside, first id on the host, how many."""
    return [{"containerID": inside, "hostID": host, "size": size} for inside, host, size in each]


def in_user_namespace(uids: list[dict[str, int]], gids: list[dict[str, int]], *mounts: t.Mapping[str, t.Any]) -> Spec:
    """A container with a user namespace of its own."""
    spec = described(*mounts, uidMappings=uids, gidMappings=gids, namespaces=[{"type": "user"}])
    spec["annotations"]["nsfleet.linux/idmap"] = "true"
    return spec


def bind(*options: str, destination: str = "/srv/data", **more: t.Any) -> dict[str, t.Any]:
    """The source in the container."""
    return {"destination": destination, "source": SOURCE, "options": ["rbind", *options], **more}


def owners(folder: str) -> list[str]:
    """Users and groups that the host sees of the files that were made for each owner."""
    return [f"{info.st_uid}:{info.st_gid}" for info in (os.stat(f"{folder}/{owner}") for owner in OWNERS)]


def doubled(*numbers: int) -> list[str]:
    """The same number as user and as group."""
    return [f"{number}:{number}" for number in numbers]


# --- user namespaces ---------------------------------------------------------------------

MANY = ranges((0, 200000, 10), (10, 300000, 990), (1000, 400000, 1), (1001, 500000, 1), (70000, 600000, 5))


def test_many_ranges_of_users_and_others_of_groups() -> None:
    need("idmapped mounts")
    groups = ranges((0, 210000, 2000), (70000, 310000, 1))
    with running(in_user_namespace(MANY, groups)) as container:
        for kind, mappings in (("uid", MANY), ("gid", groups)):
            with open(f"/proc/{container.pid}/{kind}_map", encoding="ascii") as file:
                found = [[int(word) for word in line.split()] for line in file]
            assert found == [list(each.values()) for each in mappings]
        assert container.inside("id -u; id -g; stat -c %u:%g /") == "0\n0\n0:0"
        container.inside("for id in 5 1000 1001 70000; do touch /tmp/$id; chown $id:0 /tmp/$id; done")
        made = [os.stat(container.path(f"/tmp/{number}")).st_uid for number in (5, 1000, 1001, 70000)]
        # An idmapped root: what a user inside makes is his on the disk, too, and not some high number's.
        assert [os.stat(f"{oci.ROOT}/tmp/{number}").st_uid for number in (5, 1000, 1001, 70000)] == [
            5, 1000, 1001, 70000,
        ]  # fmt: skip
        assert made == [200005, 400000, 500000, 600000]
        assert container.inside("touch /tmp/x; chown 2000 /tmp/x 2>/dev/null || echo refused") == "refused"


def test_payload_of_a_mapped_user() -> None:
    need("idmapped mounts")
    spec = in_user_namespace(MANY, MANY)
    spec["process"]["user"] = {"uid": 1001, "gid": 5, "additionalGids": [1000]}
    with running(spec) as container:
        lines = world.sh(f"grep -E '^(Uid|Gid|Groups):' /proc/{container.pid}/status").split("\n")
    assert [line.split()[1] for line in lines[:3]] == ["500000", "200005", "400000"]


@pytest.mark.parametrize(
    ("uids", "words"),
    [
        (ranges((0, 1000, 10), (5, 2000, 10)), "make a user namespace: Invalid argument"),
        (ranges((0, 1000, 10), (20, 1005, 10)), "make a user namespace: Invalid argument"),
        (ranges((1, 1000, 10)), "uid 0 is not mapped into the user namespace"),
    ],
    ids=["inside twice", "host twice", "no root"],
)
def test_mappings_that_cannot_be(uids: list[dict[str, int]], words: str) -> None:
    assert words in refusal(in_user_namespace(uids, ranges((0, 1000, 10))))


@contextlib.contextmanager
def other_namespace() -> t.Iterator[int]:
    """A process in a user namespace of util-linux."""
    process = subprocess.Popen(["unshare", "--user", "--keep-caps", "sleep", "1000"])
    try:
        folder = f"/proc/{process.pid}"
        end = time.monotonic() + 10
        while os.readlink(f"{folder}/ns/user") == os.readlink("/proc/self/ns/user"):
            assert time.monotonic() < end, "unshare(1) made no namespace"
            time.sleep(0.02)
        world.sh(f"echo 0 200000 1000 > {folder}/uid_map; echo 0 210000 1000 > {folder}/gid_map")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_user_namespace_of_others_with_what_it_maps() -> None:
    """Its mappings are not in the description; owners of devices and of what the payload writes to come from it."""
    need("idmapped mounts")
    with other_namespace() as pid:
        path = f"/proc/{pid}/ns/user"
        spec = described(bind("ridmap"), namespaces=[{"type": "user", "path": path}])
        spec["annotations"].update({"nsfleet.linux/idmap": "true", "nsfleet.linux/overlay": "tmpfs"})
        spec["process"]["user"] = {"uid": 5, "gid": 7}
        with running(spec) as container:
            assert os.readlink(f"/proc/{container.pid}/ns/user") == os.readlink(path)
            assert world.sh(f"stat -Lc %u /proc/{container.pid}/fd/1").strip() == "200005"
            assert container.inside("stat -c %u:%g /dev/null /srv/data/5; echo x >/dev/null; touch /tmp/new") == (
                "0:0\n5:5"
            )
            assert os.stat(container.path("/dev/null")).st_uid == 200000


# --- idmapped mounts ------------------------------------------------------------------------

OWN: dict[str, t.Any] = {
    "uidMappings": ranges((0, 100000, 1), (5, 100, 2), (1000, 1001, 1)),
    "gidMappings": ranges((0, 110000, 10), (1000, 1001, 1)),
}
OWN_SEEN = ["100000:110000", "100:110005", "1001:1001", "65534:65534", "65534:65534"]


def test_mappings_of_a_mount_itself() -> None:
    need("idmapped mounts")
    mounts = (
        bind("idmap", **OWN),
        bind("ridmap", destination="/srv/all", **OWN),
        bind(destination="/srv/implied", **OWN),
        bind(destination="/srv/plain"),
    )
    with running(described(*mounts)) as container:
        assert owners(container.path("/srv/plain")) == doubled(*OWNERS)
        for place in ("/srv/data", "/srv/all", "/srv/all/below", "/srv/implied"):
            assert owners(container.path(place)) == OWN_SEEN, place
        assert owners(container.path("/srv/data/below")) == doubled(*OWNERS), "idmap is for one mount only"
        assert container.inside("cd /srv/all; stat -c %u:%g 0 5 1000 1001 70000").split() == OWN_SEEN
        assert container.inside("chown 101:110001 /srv/all/0 && stat -c %u:%g /srv/all/0") == "101:110001"
    info = os.stat(f"{SOURCE}/0")
    assert (info.st_uid, info.st_gid) == (6, 1), "what is written is mapped back"


def test_mappings_of_the_container_and_of_a_mount_in_it() -> None:
    need("idmapped mounts")
    mapped = ranges((0, 200000, 65536))
    own: dict[str, t.Any] = {"uidMappings": ranges((0, 200007, 1)), "gidMappings": ranges((0, 200008, 1))}
    mounts = (bind("ridmap"), bind("idmap", destination="/srv/own", **own), bind(destination="/srv/plain"))
    with running(in_user_namespace(mapped, mapped, *mounts)) as container:
        said = "stat -c %u:%g 0 5 1000 1001 70000"
        assert container.inside(f"cd /srv/data; {said}").split() == doubled(0, 5, 1000, 1001, 65534)
        assert container.inside(f"cd /srv/data/below; {said}").split() == doubled(0, 5, 1000, 1001, 65534)
        assert container.inside(f"cd /srv/own; {said}").split() == ["7:8", *doubled(*[65534] * 4)]
        assert container.inside(f"cd /srv/plain; {said}").split() == doubled(*[65534] * 5)
        assert owners(container.path("/srv/data"))[:2] == doubled(200000, 200005)
    assert owners(SOURCE) == doubled(*OWNERS), "a file was given to another owner"


def test_file_system_that_cannot_show_other_owners() -> None:
    world.sh("mkdir -p /srv/idmapless && mount -t sysfs sysfs /srv/idmapless")
    mount = {"destination": "/srv/data", "source": "/srv/idmapless", "options": ["bind", "idmap"], **OWN}
    assert "mounts[/srv/data]: idmap: Invalid argument" in refusal(described(mount))
    world.sh("umount /srv/idmapless && rmdir /srv/idmapless")
