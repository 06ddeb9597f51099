# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module rootfs: trees of every source, found changed, repaired, made anew, and never while somebody needs them."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import pathlib
import signal
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import directories
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Table
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs import TABLE
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs_archive import NOT_SENT
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs_fields import CONTENT_FIELDS
from support import images, laws, rooted, trees, world
from support.abilities import need
from support.archives import archive, file, folder, hard_link, symlink
from support.invoke import Run, invoke
from support.kill import run_and_kill
from support.laws import Options
from support.registry import Front, Reply, always

FOLDER = pathlib.Path("/var/lib/nsfleet/rootfs")
PLACE = FOLDER / "case"
BASE: dict[str, t.Any] = {"path": str(PLACE)}
WAIT = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 31536000 & wait"]


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory with all that a copy can lose."""
    found = tmp_path / "tree"
    world.sh(
        f"mkdir -p {found} && cd {found} && mkdir -p etc usr/bin var/spool && echo one >etc/one && echo two >etc/two"
        " && ln etc/one etc/linked && ln -s two etc/link && mknod null c 1 3 && mkfifo fifo && echo su >usr/bin/su"
        " && chmod 4755 usr/bin/su && chown 7:8 etc/two && truncate -s 1M hole && touch -d @1.5 etc/one && chmod 750 ."
    )
    os.setxattr(found / "etc/two", "user.kept", b"1")
    return found


def gone() -> None:
    """Remove the tree; the fixture ``clean_host`` sees that nothing is left."""
    laws.four_steps("rootfs", {**BASE, "state": "absent"})
    assert not FOLDER.exists()


def packed(tree: pathlib.Path, name: str, program: str = "cat") -> tuple[str, str]:
    """An archive of a directory by tar(1), and its checksum by sha256sum(1)."""
    path = tree.parent / name
    world.sh(f"tar -C {tree} --xattrs --xattrs-include='*' --format=pax -c . | {program} >{path}")
    return str(path), f"sha256:{world.sh(f'sha256sum {path}').split()[0]}"


def which() -> int:
    """Tells the tree from another one at its path."""
    return os.stat(PLACE / "etc").st_ino


# --- sources -------------------------------------------------------------------------------------


def test_a_copy_of_a_directory(tree: pathlib.Path) -> None:
    done = laws.four_steps("rootfs", {**BASE, "directory": str(tree)})
    trees.same(tree, PLACE)
    assert trees.blocks(PLACE)["hole"] == 0
    assert os.listdir(FOLDER) == ["case"]
    assert world.sh(f"stat -c %a:%u {FOLDER}").strip() == "700:0"
    assert done["rootfs"]["files"] == int(world.sh(f"find {tree} | wc -l"))
    sizes = dict(line.split() for line in world.sh(f"find {tree} -type f -printf '%i %s\\n'").splitlines())
    assert done["rootfs"]["size"] == sum(map(int, sizes.values()))
    gone()


@pytest.mark.parametrize("program", ["cat", "gzip", "bzip2", "xz", "zstd"])
def test_an_archive(tree: pathlib.Path, program: str) -> None:
    path, checksum = packed(tree, "archive", program)
    law = laws.four_steps if program == "cat" else laws.run
    done = law("rootfs", {**BASE, "archive": f"file://{path}", "checksum": checksum.upper().replace("SHA", "sha")})
    assert done["rootfs"]["source_digest"] == checksum
    trees.same(tree, PLACE)
    gone()


def test_an_archive_that_is_another_one_by_now(tree: pathlib.Path) -> None:
    path, checksum = packed(tree, "archive")
    options = {**BASE, "archive": path}
    assert laws.four_steps("rootfs", options)["rootfs"]["source_digest"] == checksum
    first = which()
    world.sh(f"touch {path}")
    laws.settled("rootfs", options)
    (tree / "etc/one").write_text("other")
    packed(tree, "archive")
    done = laws.four_steps("rootfs", options)
    assert {change["option"] for step in done["plan"] for change in step["changes"]} == {"source_digest"}
    assert [step["effect"] for step in done["plan"]] == ["recreate"]
    trees.same(tree, PLACE)
    assert os.listdir(FOLDER) == ["case"]
    assert which() != first
    os.unlink(path)
    laws.settled("rootfs", options)
    laws.missing("rootfs", {**options, "path": str(FOLDER / "other")}, f"archive: there is no {path}")
    gone()


def test_an_archive_of_the_controller(tree: pathlib.Path) -> None:
    """The module says that it is to be sent, if nothing else is in the way; no journal knows where it was sent to."""
    path, checksum = packed(tree, "archive")
    asking = {**BASE, "archive_src": "files/tree.tar", "checksum": checksum}
    assert invoke("rootfs", asking)["errors"] == [{"option": "archive_src", "problem": NOT_SENT}]
    predicted = laws.run("rootfs", {**asking, "archive": "/nowhere"}, check=True)
    done = laws.run("rootfs", {**asking, "archive": path})
    assert (predicted["plan"], predicted["diff"]) == (done["plan"], done["diff"])
    trees.same(tree, PLACE)
    laws.settled("rootfs", asking)
    laws.settled("rootfs", {**BASE, "archive": path, "checksum": checksum})
    (tree / "etc/one").write_text("other")
    path, other = packed(tree, "other")
    asking["checksum"] = other
    world.sh(f"mount -t tmpfs none {PLACE}/var/spool")
    refused = invoke("rootfs", asking)
    assert [each["option"] for each in refused["errors"]] == ["path"], "what would be refused is not to be sent"
    world.sh(f"umount {PLACE}/var/spool")
    changed = invoke("rootfs", {**asking, "checksum": f"sha256:{'0' * 64}", "archive": path})
    assert f"and files/tree.tar has {other}" in changed["msg"], "it may be another one since the controller read it"
    assert run_and_kill("rootfs", {**asking, "archive": path}, 20).killed
    (journal,) = pathlib.Path("/var/lib/nsfleet/trees").glob("*/rootfs.journal")
    assert path not in journal.read_text(), "it is not there any more when somebody reads the journal"
    laws.run("rootfs", {**asking, "archive": path})
    trees.same(tree, PLACE)
    gone()


def test_a_file_system_without_exchange(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: str) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    laws.run("rootfs", {**BASE, "host": True})
    monkeypatch.setattr(directories, "exchange", refuse)
    laws.four_steps("rootfs", {**BASE, "directory": str(tree)})
    trees.same(tree, PLACE)
    assert os.listdir(FOLDER) == ["case"]
    laws.failing(monkeypatch)
    assert "Everything was put back as it was" in invoke("rootfs", {**BASE, "host": True})["msg"]
    trees.same(tree, PLACE)
    assert os.listdir(FOLDER) == ["case"]
    monkeypatch.undo()
    gone()


def test_an_archive_of_a_url(tree: pathlib.Path) -> None:
    path, checksum = packed(tree, "archive")
    data = pathlib.Path(path).read_bytes()
    with Front(always(Reply(404))) as front:
        front.instead["/old"] = always(Reply(302, headers={"Location": "/archive"}))
        front.instead["/archive"] = always(Reply(200, data))
        front.stop_after["/archive"] = 5000
        options = {**BASE, "archive": f"{front.url}/old", "checksum": checksum}
        laws.run("rootfs", options, check=True)
        assert front.asked == [], "check mode asks nobody"
        laws.run("rootfs", options)
        trees.same(tree, PLACE)
        front.asked.clear()
        laws.settled("rootfs", options)
        assert front.asked == []
        gone()
        before = world.snapshot()
        for more, words in (
            ({"checksum": f"sha256:{'0' * 64}"}, f"checksum: expected sha256:{'0' * 64}"),
            ({"archive": f"{front.url}/none"}, "404"),
        ):
            failed = invoke("rootfs", {**options, **more})
            assert words in failed["msg"]
            assert world.difference(before, world.snapshot()) == []


def test_an_image(tmp_path: pathlib.Path) -> None:
    need("umoci")
    options = {**BASE, "image": "shop/web:1"}
    laws.missing("rootfs", options, "this host has no docker.io/shop/web:1")
    for version in ("1", "2"):
        layout = images.layout(tmp_path / version, {"1": rooted.image(version)})
        laws.run("image", {"name": "shop/web:1", "path": str(layout), "state": "latest"})
        done = laws.four_steps("rootfs", options)
        assert done["rootfs"]["source_digest"] == rooted.image(version).digest
        world.sh(f"umoci raw unpack --image {layout}:1 {tmp_path}/out{version}")
        trees.same(tmp_path / f"out{version}", PLACE)
    laws.run("image", {"name": "shop/web:1", "state": "absent"})
    laws.settled("rootfs", options)
    gone()


HOST_CONTAINER: dict[str, t.Any] = {
    "name": "case", "rootfs": str(PLACE), "overlay": "tmpfs", "mounts": [rooted.USR], "command": WAIT,
    "stop_timeout": 0.5,
}  # fmt: skip


def test_the_host() -> None:
    laws.four_steps("rootfs", {**BASE, "host": True})
    first = trees.seen(PLACE)
    assert world.sh(f"find {PLACE} -path '*private*'") == ""
    assert os.readlink(PLACE / "bin") == os.readlink("/bin")
    assert world.sh(f"stat -c %a {PLACE}/tmp {PLACE}/root {PLACE}").split() == ["1777", "700", "755"]
    told = {**HOST_CONTAINER, "detach": False, "command": ["/usr/bin/id", "-un", "65534"]}
    assert laws.run("container", told)["stdout"] == "nobody"
    gone()
    laws.run("rootfs", {**BASE, "host": True})
    trees.assert_same(first, trees.seen(PLACE))
    gone()


# --- packages --------------------------------------------------------------------------------------

#: Makes a tree that says how it was asked for one; a mount that nobody takes away, and a process that goes on.
STAND_IN = """#!/bin/sh
for place; do case $place in /*) break;; esac; done
echo "$@" | sed "s,$place,PLACE," >$place/asked
env | grep -v ^_= | sort >$place/environment
mkdir $place/proc && mount -t proc proc $place/proc
sleep 31536000 &
echo line one; echo line two >&2
test "$2" != --include=broken
"""


@pytest.fixture
def program(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A program that is called mmdebstrap."""
    path = tmp_path / "bin/mmdebstrap"
    path.parent.mkdir()
    path.write_text(STAND_IN)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    monkeypatch.setenv("SECRET", "secret")
    return path


DEBOOTSTRAP: dict[str, t.Any] = {
    "suite": "sid", "mirror": "http://mirror.example/debian", "variant": "apt", "packages": ["nginx", "adduser"],
    "components": ["main", "contrib"], "keyring": "/etc/passwd",
}  # fmt: skip
ASKED = (
    "--variant=apt --include=adduser,nginx --components=contrib,main --keyring=/etc/passwd sid PLACE"
    " http://mirror.example/debian"
)


@pytest.mark.usefixtures("program")
def test_packages() -> None:
    options = {**BASE, "debootstrap": DEBOOTSTRAP, "verify": "content"}
    laws.four_steps("rootfs", options)
    assert (PLACE / "asked").read_text().strip() == ASKED
    environment = (PLACE / "environment").read_text()
    assert "https_proxy=http://proxy.example" in environment
    assert "SECRET" not in environment
    assert not os.listdir(PLACE / "proc"), "what it mounted is still there"
    assert world.sh("pgrep -f '^sleep 31536000' || true") == ""
    first = which_file()
    done = laws.repaired("rootfs", options, f"echo x >{PLACE}/asked")
    assert [step["effect"] for step in done["plan"]] == ["recreate"]
    assert which_file() != first
    done = laws.four_steps("rootfs", {**options, "debootstrap": {**DEBOOTSTRAP, "suite": "trixie"}})
    assert done["diff"] == {"before": {"debootstrap": {"suite": "sid"}}, "after": {"debootstrap": {"suite": "trixie"}}}
    gone()


def which_file() -> int:
    """Tells the tree from another one at its path."""
    return os.stat(PLACE / "asked").st_ino


@pytest.mark.usefixtures("program")
def test_packages_that_cannot_be_installed() -> None:
    before = world.snapshot()
    failed = invoke("rootfs", {**BASE, "debootstrap": {"suite": "sid", "packages": ["broken"]}})
    assert "mmdebstrap failed: line one | line two" in failed["msg"]
    assert world.difference(before, world.snapshot()) == []


def test_what_installs_packages_ends_with_the_run(program: pathlib.Path) -> None:
    program.write_text(STAND_IN.replace("echo line one", "sleep 31536000; echo line one"))
    asleep = "pgrep -f '^sleep 31536000' || true"
    run = Run("rootfs", {**BASE, "debootstrap": {"suite": "sid"}})
    world.until(lambda: len(world.sh(asleep).split()) == 2)
    os.kill(run.pid, signal.SIGKILL)
    assert run.killed()
    world.until(lambda: not world.sh(asleep))
    laws.run("rootfs", {**BASE, "state": "absent"})


def test_no_program_for_packages(tmp_path: pathlib.Path) -> None:
    options = {**BASE, "debootstrap": {"suite": "sid"}}
    hidden = world.sh("ls /usr/bin/mmdebstrap /usr/sbin/debootstrap 2>/dev/null || true").split()
    (tmp_path / "none").write_text("")
    with contextlib.ExitStack() as stack:
        for path in hidden:
            world.sh(f"mount --bind {tmp_path}/none {path}")
            stack.callback(world.sh, f"umount {path}")
        laws.missing("rootfs", options, "neither mmdebstrap nor debootstrap")
    lacking = {**BASE, "debootstrap": {"keyring": "/no/such"}}
    laws.missing("rootfs", lacking, "debootstrap.keyring: there is no /no/such")


# --- what somebody changed ---------------------------------------------------------------------------

#: What somebody does, and what is told of it.
CHANGES: dict[str, tuple[str, list[str]]] = {
    "mode": ("chmod 600 etc/two", ["etc/two: mode"]),
    "owner": ("chown 1:2 etc/two", ["etc/two: owner, group"]),
    "size": ("echo x >>etc/two; touch -r $SOURCE/etc/two etc/two", ["etc/two: size"]),
    "added": ("mkdir -p new/sub; touch new/sub/x", [".: time of change", "new: added"]),
    "missing": ("rm -r etc", [".: time of change", "etc: missing"]),
    "type": ("rm null; touch null", [".: time of change", "null: type, "]),
    "link": ("ln -sfn one etc/link", ["etc: time of change", "etc/link: time of change, link"]),
    "a link out of it": ("rm -r etc; ln -s /etc etc", [".: time of change"]),
    "set-user-id": ("chmod 755 usr/bin/su", ["usr/bin/su: mode"]),
    "the top": ("chmod 700 .", [".: mode"]),
}  # fmt: skip


@pytest.mark.parametrize(("case", "verify"), list(zip(CHANGES, itertools.cycle(("metadata", "content")))))
def test_what_was_changed_is_repaired(tree: pathlib.Path, case: str, verify: str) -> None:
    script, told = CHANGES[case]
    if verify == "content":
        path, _checksum = packed(tree, "archive", "gzip")
    source = {"directory": str(tree)} if verify == "metadata" else {"archive": path}
    options = {**BASE, **source, "verify": verify}
    laws.run("rootfs", options)
    done = laws.repaired("rootfs", options, f"cd {PLACE} && SOURCE={tree} && {script}")
    found = done["diff"]["before"]["changed"]
    assert all(any(line.startswith(words) for line in found) for words in told), found
    trees.same(tree, PLACE)
    gone()


def test_extended_attributes_are_repaired(tree: pathlib.Path) -> None:
    options = {**BASE, "directory": str(tree), "verify": "metadata"}
    laws.run("rootfs", options)
    os.setxattr(PLACE / "etc/two", "user.kept", b"2")
    assert laws.repaired("rootfs", options, "true")["diff"]["before"] == {"changed": ["etc/two: extended attributes"]}
    trees.same(tree, PLACE)
    gone()


def test_content_is_compared_where_that_is_asked_for(tree: pathlib.Path) -> None:
    options = {**BASE, "directory": str(tree)}
    damage = f"echo xxx >{PLACE}/etc/two; touch -r {tree}/etc/two {PLACE}/etc/two"
    laws.run("rootfs", options)
    world.sh(damage)
    laws.settled("rootfs", options)
    laws.settled("rootfs", {**options, "verify": "metadata"})
    laws.repaired("rootfs", {**options, "verify": "metadata"}, f"chmod 600 {PLACE}/etc/one")
    assert (PLACE / "etc/two").read_text() == "xxx\n"
    done = laws.repaired("rootfs", {**options, "verify": "content"}, "true")
    assert done["diff"]["before"] == {"changed": ["etc/two: content"]}
    trees.same(tree, PLACE)
    gone()


def test_many_changes_are_told_in_short(tree: pathlib.Path) -> None:
    options = {**BASE, "directory": str(tree), "verify": "metadata"}
    laws.run("rootfs", options)
    done = laws.repaired("rootfs", options, f"cd {PLACE}/etc && for n in $(seq 30); do touch new-$n; done")
    assert len(done["diff"]["before"]["changed"]) == 21
    assert done["diff"]["before"]["changed"][-1] == "and 11 more"
    trees.same(tree, PLACE)
    gone()


def test_a_directory_that_is_another_one_by_now(tree: pathlib.Path) -> None:
    options = {**BASE, "directory": str(tree)}
    first = laws.run("rootfs", options)["rootfs"]["digest"]
    (tree / "etc/two").write_text("other")
    laws.settled("rootfs", options)
    done = laws.four_steps("rootfs", {**options, "verify": "metadata"})
    assert done["rootfs"]["digest"] != first
    trees.same(tree, PLACE)
    world.sh(f"cp -a {tree} {tree}2")
    options["directory"] = f"{tree}2"
    assert laws.four_steps("rootfs", options)["rootfs"]["digest"] == done["rootfs"]["digest"]
    world.sh(f"rm -r {tree}2")
    laws.settled("rootfs", {**options, "verify": "content"})
    world.sh(f"rm {PLACE}/fifo")
    laws.missing("rootfs", {**options, "verify": "content"}, f"directory: there is no {tree}2")
    gone()


def test_where_others_may_write(tree: pathlib.Path) -> None:
    options = {**BASE, "directory": str(tree), "verify": "content", "exclude": ["/var/spool/", "hole"]}
    laws.four_steps("rootfs", options)
    world.sh(f"cd {PLACE} && mkdir -p var/spool/deep && touch var/spool/deep/x && chmod 700 var/spool && echo x >hole")
    laws.settled("rootfs", options)
    laws.repaired("rootfs", options, f"rm {PLACE}/etc/one")
    assert (PLACE / "var/spool/deep/x").exists()
    done = laws.four_steps("rootfs", {**options, "exclude": ["hole"]})
    assert done["diff"]["before"]["changed"] == ["var/spool: mode, time of change", "var/spool/deep: added"]
    done = laws.four_steps("rootfs", {**options, "exclude": []})
    assert done["diff"]["before"]["changed"] == ["hole: size, time of change, content"]
    trees.same(tree, PLACE)
    gone()


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_drift_that_is_not_to_be_repaired(tree: pathlib.Path, policy: str) -> None:
    options = {**BASE, "directory": str(tree), "verify": "metadata"}
    damage = f"chmod 600 {PLACE}/etc/two"
    laws.drift_stays("rootfs", options, policy, damage, ["changed", "etc/two: mode"], {"exclude": ["var"]})
    assert world.sh(f"stat -c %a {PLACE}/etc/two").strip() == "600"
    gone()


def test_a_tree_that_somebody_removed(tree: pathlib.Path) -> None:
    options = {**BASE, "directory": str(tree)}
    laws.run("rootfs", options)
    laws.repaired("rootfs", options, f"rm -r {PLACE}")
    trees.same(tree, PLACE)
    gone()


# --- whose it is, and who has it ------------------------------------------------------------------------


def test_a_directory_of_somebody_else(tree: pathlib.Path) -> None:
    options = {**BASE, "directory": str(tree), "verify": "metadata"}
    world.sh(f"mkdir -p {FOLDER} && cp -a {tree} {PLACE} && echo own >{PLACE}/own")
    before = trees.seen(PLACE)
    laws.refused("rootfs", options, "was not made by nsfleet.linux", "set adopt to true")
    laws.refused("rootfs", BASE, "path:", "was not made by nsfleet.linux")
    laws.refused("rootfs", {**BASE, "state": "absent"}, "was not made by nsfleet.linux")
    laws.four_steps("rootfs", {**options, "adopt": True})
    trees.assert_same(before, trees.seen(PLACE))
    laws.settled("rootfs", options)
    laws.repaired("rootfs", options, f"rm {PLACE}/etc/two")
    trees.assert_same(before, trees.seen(PLACE))
    gone()
    world.sh(f"mkdir -p {FOLDER} && cp -a {tree} {PLACE}")
    laws.four_steps("rootfs", {**BASE, "adopt": True})
    laws.four_steps("rootfs", options)
    gone()


def test_another_directory_in_its_place(tree: pathlib.Path) -> None:
    options = {**BASE, "directory": str(tree)}
    laws.run("rootfs", options)
    world.sh(f"mv {PLACE} {PLACE}.ours && mkdir {PLACE} && touch {PLACE}/own")
    for state in ("present", "absent"):
        laws.refused("rootfs", {**options, "state": state}, "was not made by nsfleet.linux")
    world.sh(f"rm -r {PLACE} && ln -s {tree} {PLACE}")
    laws.refused("rootfs", {**options, "state": "absent", "adopt": True}, "path: expected a directory")
    world.sh(f"rm {PLACE} && mv {PLACE}.ours {PLACE}")
    laws.settled("rootfs", options)
    gone()


def test_a_container_has_it(tmp_path: pathlib.Path) -> None:
    layout = images.layout(tmp_path / "layout", {"1": rooted.image()})
    laws.run("image", {"name": "shop/web:1", "path": str(layout)})
    options = {**BASE, "image": "shop/web:1", "verify": "content"}
    laws.run("rootfs", options)
    laws.run("container", HOST_CONTAINER)
    laws.repaired("rootfs", options, f"rm {PLACE}/etc/passwd")
    laws.refused("rootfs", {**BASE, "host": True}, "is used by case", "stop them first (state: stopped)")
    laws.run("container", {"name": "case", "state": "stopped"})
    laws.refused("rootfs", {**BASE, "state": "absent"}, "is used by case", "remove them first")
    laws.four_steps("rootfs", {**BASE, "host": True})
    laws.run("container", {"name": "case", "state": "started"})
    laws.run("container", {"name": "case", "state": "absent"})
    laws.run("image", {"name": "shop/web:1", "state": "absent"})
    gone()


def test_something_is_mounted_in_it(tree: pathlib.Path) -> None:
    """Nothing looks into it, copies it, or removes it."""
    options = {**BASE, "directory": str(tree), "verify": "content"}
    with mounted(tree / "var/spool"):
        laws.run("rootfs", options)
        assert os.listdir(PLACE / "var/spool") == []
        with mounted(PLACE / "var/spool") as other:
            laws.settled("rootfs", options)
            words = f"something is mounted at {PLACE}/var/spool"
            laws.refused("rootfs", {**BASE, "state": "absent"}, words)
            laws.refused("rootfs", {**BASE, "host": True}, words)
            world.sh(f"chmod 600 {PLACE}/etc/two")
            laws.refused("rootfs", options, words)
            assert other.read_text() == "mounted"
        laws.repaired("rootfs", options, "true")
    gone()


@contextlib.contextmanager
def mounted(place: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """A file system with a file, mounted."""
    world.sh(f"mount -t tmpfs tmpfs {place}")
    try:
        (place / "file").write_text("mounted")
        yield place / "file"
    finally:
        world.sh(f"umount {place}")


# --- bad luck, bad input -------------------------------------------------------------------------------


def test_a_failed_run_leaves_what_was_there(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {**BASE, "directory": str(tree)}
    laws.failing(monkeypatch)
    laws.puts_back("rootfs", [options, {**BASE, "host": True}])
    monkeypatch.undo()
    laws.run("rootfs", options)
    first = which()
    laws.failing(monkeypatch)
    failed = invoke("rootfs", {**BASE, "host": True})
    assert "Everything was put back as it was" in failed["msg"]
    monkeypatch.undo()
    assert which() == first
    assert os.listdir(FOLDER) == ["case"]
    laws.settled("rootfs", options)
    gone()
    world.sh(f"mkdir -p {FOLDER} && cp -a {tree} {PLACE}")
    laws.failing(monkeypatch)
    laws.puts_back("rootfs", [{**options, "adopt": True}, {**BASE, "adopt": True}])
    world.sh(f"rm -r {FOLDER}")


HOSTILE = {
    "a path out of it": (archive(file("../outside", b"x")), "expected a path within the archive"),
    "a hard link out of it": (archive(hard_link("passwd", "/etc/passwd")), "which is no file"),
    "a link, then a file through it": (archive(symlink("out", "/var/lib/nsfleet"), file("out/x", b"x")), ""),
    "an end too early": (archive(folder("a"), file("a/b", b"x" * 5000))[:4000], "ends"),
    "no archive": (b"not an archive" * 100, "checksum"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive(tmp_path: pathlib.Path, case: str) -> None:
    data, words = HOSTILE[case]
    (tmp_path / "archive").write_bytes(data)
    before = world.snapshot()
    done = invoke("rootfs", {**BASE, "archive": str(tmp_path / "archive")})
    if words:
        assert words in done["msg"]
        assert world.difference(before, world.snapshot()) == []
    else:
        assert os.listdir("/var/lib/nsfleet") == ["rootfs", "trees"]
        gone()


def test_a_full_disk_leaves_what_was_there(tree: pathlib.Path) -> None:
    options = {**BASE, "directory": str(tree), "verify": "content"}
    os.removexattr(tree / "etc/two", "user.kept")  # which files in memory have since Linux 6.6 only
    FOLDER.mkdir(parents=True)
    world.sh(f"mount -t tmpfs -o size=200k tmpfs {FOLDER}")
    try:
        laws.run("rootfs", options)
        (tree / "large").write_bytes(images.random(300_000))
        before = trees.seen(PLACE)
        failed = invoke("rootfs", options)
        assert "No space left on device" in failed["msg"]
        assert "Everything was put back as it was" in failed["msg"]
        trees.assert_same(before, trees.seen(PLACE))
        assert os.listdir(FOLDER) == ["case"]
        (tree / "large").unlink()
        laws.run("rootfs", options)
        laws.run("rootfs", {**BASE, "state": "absent"})
    finally:
        world.sh(f"umount {FOLDER} && rmdir {FOLDER}")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"path": "case"}, "path: expected a path from the root"),
        ({"path": "/var"}, "path: expected a directory that does not hold /var/lib/nsfleet"),
        ({"path": "/" + "x" * 200}, "path: expected a path of at most"),
        ({}, "directory: expected one, or archive, archive_src, image, debootstrap, host"),
        ({"directory": "/srv", "host": True}, "host: expected none beside directory"),
        ({"directory": str(FOLDER)}, "directory: expected one that is not in"),
        ({"directory": "/etc/passwd"}, "directory: expected a directory"),
        ({"archive": "/etc"}, "archive: expected a file"),
        ({"archive": "ftp://server/x"}, "archive: expected a URL"),
        ({"archive": "https://server.example/x"}, "checksum: expected one"),
        ({"archive": "/x", "checksum": "md5:12"}, "checksum: expected sha256:"),
        ({"host": True, "checksum": "sha256:" + "1" * 64}, "checksum: expected archive"),
        ({"archive_src": "x", "host": True}, "host: expected none beside archive_src"),
        ({"image": "Web"}, "image: expected"),
        ({"debootstrap": {"suite": "-x"}}, "debootstrap.suite: expected"),
        ({"debootstrap": {"packages": ["a b"]}}, "debootstrap.packages[0]: expected"),
        ({"host": True, "exclude": ["/"]}, "exclude[0]: expected"),
    ],
)  # fmt: skip
def test_bad_input(more: Options, words: str) -> None:
    laws.refused("rootfs", {**BASE, **more}, words)


def test_every_option_is_proved() -> None:
    packages = [f"debootstrap.{option}" for option in DEBOOTSTRAP]
    laws.covered(
        Table(field for field in TABLE.fields if field not in CONTENT_FIELDS),  # which have cases of their own
        [],
        {
            **dict.fromkeys(("path", "directory"), test_a_copy_of_a_directory),
            **dict.fromkeys(("archive", "checksum"), test_an_archive_of_a_url),
            "archive_src": test_an_archive_of_the_controller,
            "image": test_an_image,
            "host": test_the_host,
            **dict.fromkeys(packages, test_packages),
            "exclude": test_where_others_may_write,
            "verify": test_content_is_compared_where_that_is_asked_for,
            "adopt": test_a_directory_of_somebody_else,
            "on_drift": test_drift_that_is_not_to_be_repaired,
        },
    )
