# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots of several layers: as mount(8) shows them, however many there are, and read without a mount."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import mount_api, overlay
from support import oci, world
from support.abilities import need
from support.oci import described, refusal, running

LAYERS, MERGED = "/srv/layers", "/srv/merged"
#: What each layer does to those below it, the lowest first.
CHANGES = (
    "mkdir -p usr proc sys dev tmp etc/app srv data/deep; ln -s usr/bin usr/sbin usr/lib usr/lib64 .; "
    "echo low >data/low; echo low >data/replaced; echo low >data/gone; echo low >data/deep/hidden; "
    "echo root:x:0:0:::/ >etc/passwd; printf 'root:x:0:\\nstaff:x:50:\\n' >etc/group; echo conf >etc/app/conf",
    "mkdir -p data etc/app; echo middle >data/replaced; mknod data/gone c 0 0; ln -s /data/low data/link; "
    "ln -s ../../data/./replaced etc/app/up; ln -s loop data/loop; ln -s ../../../../../../data/low data/out; "
    "printf 'root:x:0:0:::/\\napp:x:7:8:::/\\n' >etc/passwd; mkdir data/gone.d; ln -s deep data/way",
    "mkdir -p data/deep etc; setfattr -n trusted.overlay.opaque -v y data/deep; echo top >data/deep/top; "
    "mknod etc/group c 0 0; echo file >data/was; mknod data/gone.d c 0 0",
)  # fmt: skip
#: Paths that are looked up, with and without links in them.
PATHS = (
    "/data/low", "data/low", "/data/replaced", "/data/gone", "/data/deep/hidden", "/data/deep/top", "/data/link",
    "/etc/app/up", "/data/loop", "/data/out", "/etc/app/conf", "/etc/group", "/etc/passwd", "/data/gone.d/x",
    "/data/way/top", "/data/way/../low", "/data/way/hidden", "/data/low/x", "/data/was", "/nothing/at/all", "/data",
    "/etc/../../../data/./low",
)  # fmt: skip


@pytest.fixture(autouse=True)
def layers(clean_host: None) -> t.Iterator[list[str]]:
    """Directories of layers, the highest first."""
    del clean_host
    for path in (oci.ROOT, MERGED, LAYERS):
        os.makedirs(path)
    oci.mount_empty(LAYERS)
    for number, command in enumerate(CHANGES):
        os.mkdir(f"{LAYERS}/{number}")
        world.sh(f"cd {LAYERS}/{number} && {{ {command}; }}")
    yield [f"{LAYERS}/{number}" for number in reversed(range(len(CHANGES)))]
    world.sh(f"umount {LAYERS} && rm -r {LAYERS}; rmdir {MERGED} {oci.ROOT}")


@pytest.fixture
def merged(layers: list[str]) -> t.Iterator[str]:
    """The same, mounted by mount(8)."""
    world.sh(f"mount -t overlay -o lowerdir={':'.join(layers)} case {MERGED}")
    yield MERGED
    world.sh(f"umount {MERGED}")


def layered(paths: list[str], where: str, **linux: t.Any) -> oci.Spec:
    """The description of a container whose root is made of layers."""
    spec = described(**linux)
    spec["root"]["path"] = paths[0]
    spec["annotations"].update({"nsfleet.linux/below": ":".join(paths[1:]), "nsfleet.linux/overlay": where})
    return spec


LOOK = "cd / && find data etc -printf '%p %y %l %s\\n' | sort; cat data/replaced data/deep/top"


@pytest.mark.parametrize("where", ["none", "tmpfs", "disk"])
def test_a_container_sees_what_mount_shows(layers: list[str], merged: str, where: str) -> None:
    with running(layered(layers, where)) as container:
        # An absolute path in the root: find(1) of the host would walk the host.
        assert container.inside(LOOK) == world.sh(LOOK.replace("cd /", f"cd {merged}")).strip()
        written = container.inside("echo x >/data/new 2>/dev/null && cat /data/new || echo refused")
        assert written == ("refused" if where == "none" else "x")
    assert not os.path.exists(f"{merged}/data/new")


def test_owners_of_layers_are_mapped(layers: list[str]) -> None:
    need("idmapped mounts")
    ranges = [{"containerID": 0, "hostID": 100000, "size": 1000}]
    spec = layered(layers, "disk", namespaces=[{"type": "user"}], uidMappings=ranges, gidMappings=ranges)
    spec["annotations"]["nsfleet.linux/idmap"] = "true"
    with running(spec) as container:
        assert container.inside("stat -c %u /data/low /data/replaced /data/deep/top").split() == ["0", "0", "0"]
        assert world.sh(f"stat -c %u /proc/{container.pid}").strip() == "100000"
    assert world.sh(f"stat -c %u {LAYERS}/0/data/low").strip() == "0"


def test_names_of_users_are_those_of_all_layers_together(layers: list[str]) -> None:
    spec = layered(layers, "none")
    spec["annotations"]["nsfleet.linux/user"] = "app"
    with running(spec) as container:
        assert world.sh(f"stat -c %u:%g /proc/{container.pid}").strip() == "7:8"
    spec["annotations"]["nsfleet.linux/user"] = "app:staff"  # of a file that the highest layer took away
    assert "no group 'staff'" in refusal(spec)


def test_a_layer_that_is_not_there_is_named(layers: list[str]) -> None:
    assert f"{LAYERS}/none: No such file" in refusal(layered([layers[0], f"{LAYERS}/none"], "none"))


MANY = 150


def many(layers: list[str]) -> list[str]:
    """More layers than any image is allowed to have elsewhere, each with a file of its own."""
    for number in range(MANY):
        os.makedirs(f"{LAYERS}/more{number}/data")
        world.sh(f"echo {number} >{LAYERS}/more{number}/data/number; touch {LAYERS}/more{number}/data/f{number}")
    return [*(f"{LAYERS}/more{number}" for number in range(MANY)), *layers]


def test_many_layers(layers: list[str]) -> None:
    with running(layered(many(layers), "disk")) as container:
        assert container.inside("ls /data/f* | wc -l; cat /data/number /data/low").split() == [str(MANY), "0", "low"]


def test_many_layers_on_a_kernel_that_takes_them_by_mount_only(
    layers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Linux 6.5 there is no ``lowerdir+``: the kernel's answer is played back."""
    real = mount_api.new_filesystem

    def old(kind: str, options: t.Sequence[tuple[str, str]], attributes: int = 0) -> int:
        if any(name == "lowerdir+" for name, _value in options):
            raise OSError(22, "overlay: Unknown parameter 'lowerdir+'")
        return real(kind, options, attributes)

    monkeypatch.setattr(mount_api, "new_filesystem", old)
    with running(layered(many(layers), "disk")) as container:
        assert container.inside("ls /data/f* | wc -l; cat /data/number /data/low").split() == [str(MANY), "0", "low"]
    assert "does not take so many layers" in refusal(layered([*layers * 100], "none"))


@pytest.mark.parametrize("path", PATHS)
def test_what_is_read_without_a_mount(layers: list[str], merged: str, path: str) -> None:
    read = f"mount --bind /usr {merged}/usr && chroot {merged} /bin/cat {path}"
    done = world.sh(f"unshare -m sh -c '{read}' 2>&1 || true")
    with overlay.Layers(layers) as root:
        try:
            found = root.read_file(path)
        except OSError as error:
            found = f"{error.strerror}"
    expected = {
        "No such file or directory": None, "Not a directory": None, "Too many levels of symbolic links":
        "Too many levels of symbolic links", "Is a directory": "expected a regular file",
    }  # fmt: skip
    words = done.strip().rpartition(": ")[2]
    assert found == expected.get(words, done)
