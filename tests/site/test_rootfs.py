# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role rootfs from a directory and from an archive, compared by find(1) and sha256sum(1).

The host's own programs and packages of a distribution are in :mod:`test_site` and :mod:`test_services`.
"""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from support import images, rooted, world

ROOTFS = "/var/lib/nsfleet/rootfs/case"
Run = t.Callable[..., int]


@pytest.fixture
def source(tmp_path: pathlib.Path) -> str:
    """A directory with all that a copy can lose: owners, modes, links, devices, files with holes."""
    world.sh(
        f"cd {tmp_path} && mkdir -p tree/bin tree/etc && cd tree && echo hello >bin/program && chmod 4751 bin/program"
        " && ln -s program bin/link && ln bin/program bin/other && mknod null c 1 3 && truncate -s 1M etc/hole"
        " && chown 1234:4321 etc/hole && chmod 0700 etc && touch 'with space'"
    )
    return str(tmp_path / "tree")


@pytest.fixture
def archive(source: str) -> tuple[str, str]:
    """The same as an archive, and its checksum."""
    world.sh(f"tar -C {source} --sparse -czf {source}.tar.gz .")
    return f"{source}.tar.gz", f"sha256:{world.sh(f'sha256sum {source}.tar.gz').split()[0]}"


def play(state: str = "present", **variables: t.Any) -> list[dict[str, t.Any]]:
    """A play that runs the role."""
    named = {f"rootfs_{name}": value for name, value in {"path": ROOTFS, "state": state, **variables}.items()}
    role = {"name": "nsfleet.linux.rootfs"}
    return [{"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.include_role": role, "vars": named}]}]


def content(folder: str) -> list[str]:
    """Kind, mode, owner, group, number of links, and size or target of everything below a directory."""
    what = "%P %y %m %U %G %n %s %l\\n"
    return sorted(world.sh(f"cd {folder} && find . -mindepth 1 -not -type d -printf '{what}'").splitlines()) + sorted(
        world.sh(f"cd {folder} && find . -mindepth 1 -type d -printf '%P %m %U %G\\n'").splitlines()
    )


def holds(run: Run, original: str, **variables: str) -> None:
    """Made once, with all that the original has; taken away without a trace."""
    plays = play(**variables)
    assert run(plays) > 0
    assert content(ROOTFS) == content(original)
    assert world.sh(f"cat {ROOTFS}/bin/link") == "hello\n"
    assert run(plays) == 0
    assert run(play("absent", **variables)) == 1
    assert not os.path.exists(os.path.dirname(ROOTFS))


def test_directory(run: Run, source: str) -> None:
    holds(run, source, source="directory", directory=source)


def test_content_on_top(run: Run, source: str) -> None:
    """Files, also of templates, are compared and taken away again."""
    path = f"{source}.j2"
    world.sh(f"echo 'of {{{{ rootfs_source }}}}' >{path}")
    top: dict[str, t.Any] = {
        "templates": [{"src": path, "path": "/etc/made/of", "mode": "0600", "owner": "app"}],
        "files": [{"path": "/bin/link", "content": "plain"}],
        "users": [{"name": "app", "uid": 70}],
    }
    plays = play(source="directory", directory=source, **top)
    assert run(plays) == 1
    seen = world.sh(f"cd {ROOTFS} && cat etc/made/of bin/link etc/passwd && stat -c '%a %u' etc/made/of").splitlines()
    assert seen == ["of directory", "plainapp:!:70:70::/home/app:/bin/sh", "600 70"]
    assert run(plays) == 0
    assert run(play(source="directory", directory=source)) == 1
    assert world.sh(f"cd {ROOTFS} && readlink bin/link && cat etc/passwd").strip() == "program"
    assert run(play("absent", source="directory", directory=source, **top)) == 1


def test_archive(run: Run, source: str, archive: tuple[str, str]) -> None:
    path, checksum = archive
    holds(run, source, source="tar", archive=path, checksum=checksum)


def test_image(run: Run, tmp_path: pathlib.Path) -> None:
    """Got once, shown by what the store has of it; let go without a trace."""
    images.layout(tmp_path / "layout", {"1": rooted.image("7")})
    before = world.snapshot()
    plays = play(source="image", image="shop/web:1", archive=str(tmp_path / "layout"))
    assert run(plays) == 1
    assert world.sh("cat /var/lib/nsfleet/images/layers/*/srv/version") == "7"
    assert run(plays) == 0
    assert run(play("absent", source="image", image="shop/web:1")) == 1
    assert world.difference(before, world.snapshot()) == []


def test_archive_that_is_another_one(run: Run, archive: tuple[str, str]) -> None:
    """Nothing of it is used, and the next run is as if there had been none."""
    path, checksum = archive
    wrong = {"source": "tar", "archive": path, "checksum": f"{checksum[:-4]}0000"}
    with pytest.raises(AssertionError, match="checksum"):
        run(play(**wrong))
    assert not os.path.exists(os.path.dirname(ROOTFS))


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"source": "directory"}, "rootfs_directory - expected"),
        ({"source": "tar", "archive": "/srv/a.tar"}, "rootfs_archive, rootfs_checksum - expected"),
        ({"source": "floppy"}, "value of rootfs_source must be one of"),
        ({"source": "image"}, "rootfs_image - expected"),
        ({"path": ""}, "rootfs_path - expected"),
        (
            {"source": "image", "image": "a", "links": [{"path": "/x", "target": "y"}]},
            "rootfs_source - expected another",
        ),
    ],
)
def test_bad_input(run: Run, variables: dict[str, str], words: str) -> None:
    before = world.snapshot()
    with pytest.raises(AssertionError, match=words):
        run(play(**variables))
    assert world.difference(before, world.snapshot()) == []
