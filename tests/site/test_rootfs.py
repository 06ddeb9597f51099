# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role rootfs from a directory and from an archive, compared by find(1) and sha256sum(1).

The host's own programs and packages of a distribution are in :mod:`test_site` and :mod:`test_services`.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import typing as t

import pytest
import yaml
from support import images, laws, rooted, site, world

ROOTFS = "/var/lib/nsfleet/rootfs/case"
MODULE = "nsfleet.linux.rootfs"
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
    assert run(play(source="tar", archive_src=path), "--check") == 1, "the role takes no archive of the controller"


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
        ({"source": "tar", "archive": "/srv/a.tar"}, "rootfs_archive and rootfs_checksum, or .* - expected"),
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


# --- an archive of the controller ----------------------------------------------------------------


class Told(t.NamedTuple):
    """What a play said of its tasks, by the names that they are registered by."""

    results: dict[str, dict[str, t.Any]]
    runs: dict[str, int]  #: how often the module was run
    sent: dict[str, list[str]]  #: files of the controller that were copied to the host, as Ansible says


#: Where Ansible keeps what it copies to a host during a task.
REMOTE = "/root/.ansible/remote"
_COPIED = re.compile(r"PUT (\S+) TO (\S+)")


def told(folder: pathlib.Path, tasks: dict[str, dict[str, t.Any]], *options: str) -> Told:
    """Run tasks of the module that may fail, each with what it says beside the module's options."""
    done: list[dict[str, t.Any]]
    done = [{"name": name, "register": name, "ignore_errors": True, **task} for name, task in tasks.items()]
    everything = "{{ dict(names | zip(names | map('extract', vars))) | to_json }}"
    kept = {"ansible.builtin.copy": {"content": everything, "dest": f"{folder}/results.json"}}
    done.append({"name": "end", **kept, "vars": {"names": [*tasks]}})
    path = folder / "play.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": done}]))
    local = {"ansible_connection": "local", "ansible_remote_tmp": REMOTE}
    printed = site.play(str(path), local, "-i", "localhost,", "-vvv", *options, interpreter="/usr/bin/python3")
    parts = dict(re.findall(r"^TASK \[(\w+)\] \*+\n(.*?)(?=^TASK |\Z)", printed, re.DOTALL | re.MULTILINE))
    copied = {name: _COPIED.findall(part) for name, part in parts.items()}
    return Told(
        json.loads((folder / "results.json").read_text()),
        {name: sum("AnsiballZ_rootfs" in place for _file, place in files) for name, files in copied.items()},
        {name: [file for file, place in files if "AnsiballZ" not in place] for name, files in copied.items()},
    )


def test_archive_of_the_controller(archive: tuple[str, str], source: str, tmp_path: pathlib.Path) -> None:
    """It is copied to the host only when a tree is made or repaired of it; check mode says the same without that."""
    tree, word, rubbish = (tmp_path / "files" / name for name in ("tree.tar.gz", "word", "rubbish"))
    tree.parent.mkdir()
    world.sh(f"mv {archive[0]} {tree} && echo word >{word} && echo rubbish >{rubbish}")
    vault = f"--vault-password-file={word}"
    world.sh(f"{os.path.dirname(site.PLAY)}/ansible-vault encrypt {vault} --output={tmp_path}/files/secret {tree}")
    base = {"path": ROOTFS, "archive_src": tree.name, "verify": "content"}
    other = {"path": f"{ROOTFS}-other", "archive_src": "secret", "checksum": archive[1]}
    tasks: dict[str, dict[str, t.Any]] = {
        "predicted": {MODULE: base, "check_mode": True, "diff": True},
        "made": {MODULE: base, "diff": True},
        "again": {MODULE: base},
        "damage": {"ansible.builtin.shell": f"echo damaged >{ROOTFS}/bin/program"},
        "mending": {MODULE: base, "check_mode": True, "diff": True},
        "mended": {MODULE: base, "diff": True},
        "rubbish": {MODULE: {**base, "archive_src": rubbish.name}},
        "pipelined": {MODULE: other, "vars": {"ansible_pipelining": True}},
        "background": {MODULE: {"path": other["path"], "host": True}, "async": 100, "poll": 1},
    }
    found = told(tmp_path, tasks, vault)
    said = found.results
    assert content(ROOTFS) == content(source)
    for predicted, real in (("predicted", "made"), ("mending", "mended")):
        assert (said[predicted]["changed"], said[real]["changed"]) == (True, True)
        assert (said[predicted]["plan"], said[predicted]["diff"]) == (said[real]["plan"], said[real]["diff"])
        assert (found.runs[predicted], found.sent[predicted]) == (1, [])
        assert (found.runs[real], found.sent[real]) == (2, [str(tree)])
    assert (said["again"]["changed"], found.runs["again"], found.sent["again"]) == (False, 1, [])
    assert said["rubbish"]["msg"].startswith("archive_src: rubbish: the archive ends"), said["rubbish"]
    assert said["pipelined"]["rootfs"]["digest"] == said["made"]["rootfs"]["digest"]
    assert len(found.sent["pipelined"]) == 1
    assert said["background"]["rootfs"]["source"] == "host"
    assert world.sh(f"find {REMOTE} -mindepth 1").strip() == "", "something that was sent is still there"
    for options in (base, other):
        assert not laws.run("rootfs", {**options, "state": "absent"}).failed
