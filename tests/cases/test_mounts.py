# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts of the runtime-spec, looked at from inside and by findmnt(8) from the host."""

from __future__ import annotations

import os
import shutil
import typing as t

import pytest
from support import oci, world
from support.oci import described, refusal, running

SOURCE = "/srv/source"
BELOW = f"{SOURCE}/below"


@pytest.fixture(autouse=True)
def source(clean_host: None) -> t.Iterator[None]:
    """A root file system, and a directory with a mount below it."""
    del clean_host
    oci.make_root()
    os.makedirs(SOURCE)
    world.sh(f"mount -t tmpfs -o mode=755,nosymfollow top {SOURCE} && mount -o remount,bind,symfollow {SOURCE}")
    os.mkdir(BELOW)
    world.sh(f"mount -t tmpfs -o mode=755 below {BELOW}")
    for folder in (SOURCE, BELOW):
        with open(f"{folder}/file", "w", encoding="ascii") as file:
            file.write("content")
    yield
    world.sh(f"umount -R {SOURCE}")
    shutil.rmtree(SOURCE)
    oci.remove_root()


def bind(*options: str, destination: str = "/srv/data", **more: t.Any) -> dict[str, t.Any]:
    """A bind mount of the source and what is below it."""
    return {"destination": destination, "source": SOURCE, "options": ["rbind", *options], **more}


def memory(*options: str, destination: str = "/srv/memory") -> dict[str, t.Any]:
    """A file system in memory."""
    return {"destination": destination, "type": "tmpfs", "source": "mem", "options": [*options]}


# --- attributes ------------------------------------------------------------------------

#: Option, its opposite, and what findmnt(8) calls it.
PAIRS = [
    ("ro", "rw", "ro"), ("nosuid", "suid", "nosuid"), ("nodev", "dev", "nodev"), ("noexec", "exec", "noexec"),
    ("noatime", "atime", "noatime"), ("nodiratime", "diratime", "nodiratime"),
    ("nosymfollow", "symfollow", "nosymfollow"), ("noatime", "relatime", "noatime"),
    ("relatime", "strictatime", "relatime"), ("noatime", "strictatime", "noatime"),
]  # fmt: skip


@pytest.mark.parametrize(("option", "opposite", "shown"), PAIRS)
def test_attributes_of_one_mount_and_of_all_below(option: str, opposite: str, shown: str) -> None:
    places = ("/srv/data", "/srv/data/below", "/srv/other", "/srv/other/below", "/srv/memory")
    both = (bind(option), bind(f"r{option}", destination="/srv/other"), memory(option))
    with running(described(*both)) as container:
        held = [shown in container.attributes(place) for place in places]
        assert held == [True, shown == "relatime", True, True, True], "attributes are not as asked"
    world.sh(f"mount -o remount,bind,{option} {SOURCE} && mount -o remount,bind,{option} {BELOW}")
    both = (bind(opposite), bind(f"r{opposite}", destination="/srv/other"), memory(option, opposite))
    with running(described(*both)) as container:
        held = [shown in container.attributes(place) for place in places]
        assert held == [False, True, False, False, False], "attributes of the source are not cleared"


def test_attributes_have_their_effect_inside() -> None:
    shutil.copy("/bin/true", f"{BELOW}/true")
    with running(described(bind("rro", "rnoexec"), bind(destination="/srv/other"))) as container:
        tries = "touch /srv/{0}/x && echo one; touch /srv/{0}/below/x && echo two; /srv/{0}/below/true && echo three"
        assert container.inside(f"exec 2>/dev/null; {tries.format('data')}; true") == ""
        assert container.inside(tries.format("other")) == "one\ntwo\nthree"


@pytest.mark.parametrize("words", ["sync", "dirsync", "lazytime"])
def test_options_of_the_file_system_itself(words: str) -> None:
    with running(described(memory(words, "size=1m", "mode=1777", "nr_inodes=99"))) as container:
        found = container.mount("/srv/memory")
        assert {words, "size=1024k", "nr_inodes=99"} <= set(found["fs-options"])
        assert (found["source"], found["fstype"]) == ("mem", "tmpfs")
        assert container.inside("stat -c %a /srv/memory") == "1777"
        assert f"{os.stat(container.path('/srv/memory')).st_mode:o}" == "41777"
    opposite = {"sync": "async", "lazytime": "nolazytime"}.get(words)
    if opposite:
        with running(described(memory(words, opposite, "silent", "iversion", "defaults"))) as container:
            assert words not in container.mount("/srv/memory")["fs-options"]


def test_read_only_memory_is_filled_before() -> None:
    """Places of other mounts and devices are made in it; only then it is read-only."""
    spec = described(memory("ro"), bind(destination="/srv/memory/a/b"))
    next(each for each in spec["mounts"] if each["destination"] == "/dev")["options"].append("ro")
    with running(spec) as container:
        assert "ro" in container.attributes("/srv/memory")
        assert "ro" in container.attributes("/dev")
        assert container.inside("cat /srv/memory/a/b/file; test -c /dev/null; touch /dev/x 2>/dev/null || echo no") == (
            "contentno"
        )


def test_data_of_a_bind_mount_is_for_nobody() -> None:
    """As for mount(2), and as generators of bundles write it."""
    with running(described(bind("ro", "mode=700", "size=5"))) as container:
        assert container.inside("cat /srv/data/below/file; stat -c %a /srv/data") == "content755"
        assert "ro" in container.attributes("/srv/data")


def test_remount() -> None:
    """It changes what is there already: attributes of the mount, options of its file system."""
    again = {"destination": "/srv/memory", "type": "tmpfs", "options": ["remount", "ro", "noexec", "size=8k"]}
    with running(described(memory("size=4m"), again)) as container:
        assert {"ro", "noexec"} <= container.attributes("/srv/memory")
        assert "size=8k" in container.mount("/srv/memory")["fs-options"]
    again["destination"] = "/srv"
    assert "mounts: [/srv]" in refusal(described(again))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (memory("colour=red"), "colour"),
        (memory("colour"), "colour"),
        (memory("size=much"), "size"),
        (bind("z"), "mounts[/srv/data].options: expected a label"),
        (bind("nosiud"), "mounts[/srv/data].options: expected none of a file system, since it is a bind mount"),
        (bind("tmpcopyup"), "mounts[/srv/data].options: tmpcopyup needs type tmpfs"),
        (bind("idmap"), "mounts[/srv/data]: idmap: expected uidMappings and gidMappings, or a user namespace"),
        (memory("idmap"), "mounts[/srv/memory].options: idmap needs a bind mount"),
        (bind(uidMappings=[{"containerID": 0, "hostID": 5, "size": 1}]), "mounts[/srv/data].uidMappings: expected"),
        ({"destination": "/a", "source": "/nowhere", "options": ["bind"]}, "mounts[/a].source: /nowhere: No such"),
        ({"destination": "/a", "type": "nofs", "source": "x"}, "[/a] No such device"),
        ({**bind(), "label": "x"}, "label"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused_and_by_which_words(entry: dict[str, t.Any], words: str) -> None:
    assert words in refusal(described(entry))


# --- propagation -------------------------------------------------------------------------

#: What findmnt(8) shows for each.
SHOWN = {"private": {"private"}, "slave": {"private", "slave"}, "shared": {"shared", "slave"},
         "unbindable": {"private", "unbindable"}}  # fmt: skip


@pytest.fixture
def shared_source() -> None:
    """The source is shared with other mount namespaces, as everything is on a host with systemd."""
    world.sh(f"mount --make-rshared {SOURCE}")


@pytest.mark.parametrize("kind", SHOWN)
def test_propagation_of_a_mount(kind: str, shared_source: None) -> None:
    del shared_source
    with running(described(bind(kind), bind(f"r{kind}", destination="/srv/other"))) as container:
        assert container.propagation("/srv/data") == SHOWN[kind]
        assert container.propagation("/srv/data/below") == SHOWN["slave"]
        assert container.propagation("/srv/other") == SHOWN[kind]
        assert container.propagation("/srv/other/below") == SHOWN[kind]


def mounted_inside(container: oci.Running) -> bool:
    """Whether a mount on the host appears inside."""
    os.makedirs(f"{SOURCE}/late", exist_ok=True)
    world.sh(f"mount -t tmpfs late {SOURCE}/late")
    seen = container.inside("grep -c /late /proc/self/mountinfo || true") != "0"
    world.sh(f"umount {SOURCE}/late")
    return seen


def mounted_outside(container: oci.Running, place: str) -> bool:
    """Whether a mount inside appears on the host."""
    container.inside(f"mkdir -p {place}/early && mount -t tmpfs early {place}/early")
    seen = world.sh("grep -c /early /proc/self/mountinfo || true").strip() != "0"
    container.inside(f"umount {place}/early")
    return seen


@pytest.mark.parametrize(
    ("propagation", "options", "inward", "outward"),
    [
        (None, (), True, False), ("rslave", ("rprivate",), False, False), ("private", (), False, False),
        ("slave", ("rshared",), True, False), ("shared", (), True, True), ("rshared", ("rprivate",), False, False),
        ("rshared", ("rslave",), True, False),
    ],
)  # fmt: skip
def test_who_sees_later_mounts(
    propagation: str | None, options: tuple[str, ...], inward: bool, outward: bool, shared_source: None
) -> None:
    """Of what a container mounts the host sees nothing, unless the root is shared and the mount is not otherwise."""
    del shared_source
    linux = {} if propagation is None else {"rootfsPropagation": propagation}
    with running(described(bind(*options), **linux)) as container:
        assert (mounted_inside(container), mounted_outside(container, "/srv/data")) == (inward, outward)


@pytest.mark.parametrize("kind", ["private", "slave", "shared", "unbindable"])
@pytest.mark.parametrize("prefix", ["", "r"])
def test_propagation_of_the_root(prefix: str, kind: str) -> None:
    world.sh(f"mount --make-rshared {oci.ROOT}")
    expected = {**SHOWN, "shared": {"shared"}}[kind]
    with running(described(rootfsPropagation=prefix + kind)) as container:
        assert container.propagation("/") == expected
        below = expected if prefix and kind in ("shared", "unbindable") else {"private"}
        assert container.propagation("/dev/shm") == below
        container.inside("mkdir -p /srv/early && mount -t tmpfs early /srv/early")
        assert not os.path.ismount(f"{oci.ROOT}/srv/early"), "the host sees what is mounted inside"
        bound = container.inside("mount --bind / /srv/early 2>/dev/null && echo bound || echo refused")
        assert bound == ("refused" if kind == "unbindable" else "bound")
        os.makedirs(f"{oci.ROOT}/srv/late", exist_ok=True)
        world.sh(f"mount -t tmpfs late {oci.ROOT}/srv/late")
        seen = container.inside("grep -c /srv/late /proc/self/mountinfo || true") != "0"
        assert seen == (kind == "slave")
        world.sh(f"umount {oci.ROOT}/srv/late")


def test_propagation_that_there_is_not() -> None:
    assert "linux.rootfsPropagation: expected one of private" in refusal(described(rootfsPropagation="loud"))


# --- tmpcopyup -----------------------------------------------------------------------------

PLACE = f"{oci.ROOT}/srv/memory"


def listing(folder: str) -> str:
    """Everything in a directory with kind, mode, owner, device, size, time and target, by find(1)."""
    return world.sh(f"cd {folder} && find . -printf '%P %M %U:%G %n %s %T@ %l\\n' | sort")


def test_copy_of_what_is_covered() -> None:
    """Files, directories, links of both kinds, fifos, sockets, devices, holes; owners, modes and times."""
    world.sh(f"""
        mkdir -p {PLACE}/deep/below/more && cd {PLACE} && echo text > file && ln file deep/same
        ln -s /etc/shadow link
        chown -h 5:6 link && chown 7:8 deep file && chmod 6751 file && chmod 1700 deep && mkfifo -m 640 fifo
        mknod -m 604 device c 1 3 && truncate -s 1G holes && echo end >> holes && ln -s ../../../.. deep/up
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
        touch -d 2001-02-03T04:05:06.789 file deep/below link -h && touch -d 1999-01-01 deep .
    """)
    before = listing(PLACE)
    with running(described(memory("tmpcopyup"))) as container:
        assert listing(container.path("/srv/memory")) == before
        assert container.inside("cat /srv/memory/deep/same; tail -c 4 /srv/memory/holes") == "text\nend"
        assert int(container.inside("du -k /srv/memory/holes | cut -f 1")) < 100, "a hole was filled"
        container.inside("echo new > /srv/memory/file; rm -r /srv/memory/deep")
    assert listing(PLACE) == before, "what is covered was changed"


def test_copy_of_directories_keeps_owner_mode_and_time() -> None:
    world.sh(f"mkdir -p {PLACE}/a/b && chown 5:6 {PLACE}/a && chmod 1751 {PLACE} {PLACE}/a")
    world.sh(f"touch -d 1999-01-01 {PLACE}/a/b {PLACE}/a {PLACE}")
    with running(described(memory("tmpcopyup", "mode=700", "ro"))) as container:
        said = container.inside("stat -c %a,%u:%g,%Y /srv/memory /srv/memory/a /srv/memory/a/b").split()
        expected = world.sh(f"stat -c %a,%u:%g,%Y {PLACE} {PLACE}/a {PLACE}/a/b").split()
        assert said == expected
        assert "ro" in container.attributes("/srv/memory")


def test_copy_of_more_than_there_is_room_for() -> None:
    world.sh(f"mkdir {PLACE} && head -c 2M /dev/zero > {PLACE}/large")
    assert "mounts: [/srv/memory] No space left on device" in refusal(described(memory("tmpcopyup", "size=1m")))


def test_copy_of_what_is_nested_too_deeply() -> None:
    os.mkdir(PLACE)
    place = os.open(PLACE, os.O_RDONLY)
    for _level in range(3000):
        os.mkdir("d", dir_fd=place)
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)
    assert "mounts: [/srv/memory] File name too long" in refusal(described(memory("tmpcopyup")))
