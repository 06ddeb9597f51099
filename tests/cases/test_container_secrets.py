# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Option secrets of module container: what they hold is in a file system of memory, and nowhere else."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from ansible.module_utils import basic
from support import laws, world
from support.invoke import Result, Run, invoke
from support.kill import run_and_kill

WAIT = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 31536000 & wait"]
BASE: dict[str, t.Any] = {"name": "case", "rootfs": "/", "overlay": "tmpfs", "command": WAIT}
SECRETS = "/run/nsfleet/secrets"
FIRST, SECOND, THIRD = "Ahn0aeph-first", "Quoh5kie-second", "eeS3uice-third"
USERS = [{"container_id": 0, "host_id": 200000, "size": 65536}]
IN_USER_NAMESPACE = {"namespaces": {"user": "private"}, "uid_mappings": USERS, "gid_mappings": USERS}


def having(content: str, **more: t.Any) -> dict[str, t.Any]:
    """Options of the container, with a secret."""
    return {**BASE, "secrets": [{"name": "key", "content": content, **more}]}


def pid() -> int:
    """The container's first process, as ``pgrep`` finds it by its command line."""
    return int(world.sh("pgrep -of '^/bin/sh -c trap'"))


def inside(command: str) -> str:
    """Output of a shell command that joins all namespaces of the container and its root."""
    return world.sh(f"nsenter --target {pid()} --all --root --wd=/ -- sh -c '{command}' 2>/dev/null").strip()


def is_nowhere(*results: t.Mapping[str, t.Any]) -> None:
    """No secret is in a file of ours that is not in memory, in a process, or in what modules said.

    :raises AssertionError: one is.
    """
    words = f"{FIRST}|{SECOND}|{THIRD}"
    told = json.dumps(results)
    assert not any(word in told for word in (FIRST, SECOND, THIRD)), told
    places = "/var/lib/nsfleet /run/nsfleet /proc/[0-9]*/cmdline /proc/[0-9]*/environ"
    found = world.sh(f"grep -raElI --exclude-dir=secrets '{words}' {places} 2>/dev/null || true")
    assert found == ""


@pytest.fixture(autouse=True)
def ended() -> t.Iterator[None]:
    """What a failed case left is removed."""
    yield
    invoke("container", {"name": "case", "state": "absent"})
    world.sh(f"while umount {SECRETS} 2>/dev/null; do :; done")


def test_another_content_is_there_at_once() -> None:
    done = laws.four_steps("container", having(FIRST, owner="daemon"))
    first = pid()
    assert inside('cat /run/secrets/key; stat -c " %a %u:%g" /run/secrets/key') == f"{FIRST} 400 1:1"
    assert inside("touch /run/secrets/more 2>&1 || true").endswith("Read-only file system")
    changed = laws.four_steps("container", having(SECOND, mode="440", group="5"))
    assert (pid(), {step["effect"] for step in changed["plan"]}) == (first, {"live"})
    assert inside('cat /run/secrets/key; stat -c " %a %u:%g" /run/secrets/key') == f"{SECOND} 440 0:5"
    refused = f"nsenter --target {first} --mount --root --setuid 1 --setgid 1 -- cat /run/secrets/key 2>&1 || true"
    assert world.sh(refused).strip().endswith("Permission denied")
    restarted = laws.run("container", {**having(SECOND, mode="440", group="5"), "state": "restarted"})
    assert inside("cat /run/secrets/key") == SECOND
    info = invoke("container_info", {})
    assert info["containers"][0]["secrets"] == [{"name": "key", "mode": "0440", "owner": "0", "group": "5"}]
    is_nowhere(done, changed, restarted, info)
    laws.four_steps("container", BASE)
    assert inside("ls /run/secrets 2>/dev/null || true") == ""
    assert not os.path.exists(SECRETS), "the last secret is gone, and the file system is still there"
    laws.remove("container", {"name": "case"})


def test_it_is_memory_that_is_never_swapped_out_and_root_alone_reaches_it() -> None:
    laws.run("container", having(FIRST))
    (found,) = world.ask(f"findmnt --json --mountpoint {SECRETS} -o FSTYPE,OPTIONS,PROPAGATION")["filesystems"][-1:]
    assert (found["fstype"], found["propagation"]) == ("ramfs", "private")
    assert {"nosuid", "nodev", "noexec"} <= set(found["options"].split(","))
    assert os.stat(SECRETS).st_mode & 0o7777 == 0o700
    there = world.ask(f"findmnt --json --task {pid()} --mountpoint /run/secrets -o FSTYPE,OPTIONS")["filesystems"][0]
    assert there["fstype"] == "ramfs"
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(there["options"].split(","))
    laws.remove("container", {"name": "case"})


def test_owner_is_one_of_the_user_namespace() -> None:
    options = {**having(FIRST, owner="daemon"), **IN_USER_NAMESPACE, "user": "daemon"}
    options["mounts"] = [{"destination": "/run", "type": "tmpfs"}]  # where its root may make directories
    laws.refused("container", {**options, "secrets": [{"name": "key", "content": FIRST, "owner": "70000"}]}, "maps")
    laws.four_steps("container", options)
    assert world.sh(f"stat -c %u:%g {SECRETS}/case/files/key").strip() == "200001:200001"
    assert inside('cat /run/secrets/key; stat -c " %u:%g" /run/secrets/key') == f"{FIRST} 1:1"
    laws.remove("container", {"name": "case"})


def test_what_fails_puts_them_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one, another content, another owner, and the end of the last one."""
    laws.run("container", BASE)
    is_nowhere(_fails(monkeypatch, having(FIRST)))
    assert not os.path.exists(SECRETS)
    laws.settled("container", BASE)
    laws.run("container", having(FIRST))
    is_nowhere(_fails(monkeypatch, having(SECOND)), _fails(monkeypatch, having(FIRST, owner="bin", mode="444")))
    assert inside('cat /run/secrets/key; stat -c " %a %u" /run/secrets/key') == f"{FIRST} 400 0"
    is_nowhere(_fails(monkeypatch, BASE))
    assert inside("cat /run/secrets/key") == FIRST
    laws.settled("container", having(FIRST))
    laws.remove("container", {"name": "case"})


def _fails(monkeypatch: pytest.MonkeyPatch, options: dict[str, t.Any]) -> Result:
    with monkeypatch.context() as patch:
        laws.failing(patch)
        failed = invoke("container", options)
    assert "injected failure. Everything was put back as it was" in failed["msg"], failed["msg"]
    return failed


def test_killed_run_leaves_one_or_the_other() -> None:
    """The next run, of the same task or of another one, has what it says, and nothing else is left."""
    laws.run("container", having(FIRST))
    first, number, killed = pid(), 1, True
    while killed:
        killed = run_and_kill("container", having(SECOND), number).killed
        assert inside("cat /run/secrets/key") in (FIRST, SECOND)
        is_nowhere()
        then = (SECOND, THIRD)[number % 2]
        laws.run("container", having(then))
        assert (inside("cat /run/secrets/key"), os.listdir(f"{SECRETS}/case")) == (then, ["files"])
        laws.run("container", having(FIRST))
        number += 7
    assert pid() == first
    laws.settled("container", having(FIRST))
    laws.remove("container", {"name": "case"})


def test_after_a_boot_only_who_knows_them_brings_them_back() -> None:
    laws.run("container", having(FIRST))
    laws.run("container", {"name": "case", "state": "stopped"})
    laws.run("container", {"name": "case", "state": "started"})
    assert inside("cat /run/secrets/key") == FIRST
    laws.run("container", {"name": "case", "state": "stopped"})
    world.sh(f"umount {SECRETS} && umount {SECRETS} && rm -r /run/nsfleet")
    laws.refused(
        "container", {"name": "case", "state": "started"}, "secrets[key].content", "run the task that gives it"
    )
    laws.run("container", having(FIRST))
    assert inside("cat /run/secrets/key") == FIRST
    laws.repaired("container", having(FIRST), f"umount --lazy {SECRETS}")
    assert inside("cat /run/secrets/key") == FIRST
    laws.remove("container", {"name": "case"})


def test_program_that_is_waited_for_has_them() -> None:
    options = {**having(FIRST), "command": ["/bin/sh", "-c", "wc -c </run/secrets/key"], "detach": False}
    done = laws.run("container", options)
    assert done["stdout"] == str(len(FIRST))
    assert not os.path.exists(SECRETS)
    is_nowhere(done)


def test_log_of_the_host_is_not_told(tmp_path: pathlib.Path) -> None:
    """Ansible logs how a module was called; a value of several lines is not written there as it was given."""
    log = tmp_path / "log"

    def prepare() -> None:
        basic.has_journal = False
        basic.syslog.syslog = lambda *words: log.write_text(str(words))

    run = Run("container", having(f"{FIRST}\n{SECOND}\n"), check=True, prepare=prepare)
    is_nowhere(run.result(), {"log": log.read_text()})
    assert "name=case" in log.read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"secrets": [{"name": "a/b", "content": FIRST}]}, ("secrets[0].name: expected",)),
        ({"secrets": [{"name": "..", "content": FIRST}]}, ("secrets[0].name: expected",)),
        ({"secrets": [{"name": "a", "content": "x" * (1 << 20) + "x"}]}, ("secrets[0].content: expected", "1048577")),
        ({"secrets": [{"name": "a", "content": FIRST, "mode": "9"}]}, ("secrets[0].mode: expected",)),
        ({"secrets": [{"name": "a", "content": FIRST, "owner": "nobody-here"}]}, ("secrets[a].owner", "nobody-here")),
        ({"secrets": [{"name": "a", "content": FIRST}], "mounts": [{"destination": "/run/secrets", "type": "tmpfs"}]},
         ("mounts[/run/secrets]: expected none",)),
        ({"secrets": [{"name": "a", "content": FIRST}], "namespaces": {"mount": "host"}}, ("secrets: needs",)),
    ],
    ids=["slash", "dots", "size", "mode", "owner", "mount", "namespace"],
)  # fmt: skip
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    result = laws.refused("container", {**BASE, **options}, *words)
    assert FIRST not in json.dumps(result)
