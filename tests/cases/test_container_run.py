# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that are waited for (``detach: false``): what a stranger's program cannot do, and that nothing is left."""

from __future__ import annotations

import os
import re
import signal
import typing as t

import pytest
from support import laws, world
from support.invoke import invoke
from support.program import Waited

BASE: dict[str, t.Any] = {"name": "case", "rootfs": "/", "overlay": "tmpfs", "detach": False}


WAITED = Waited("container", BASE)
run, told, start = WAITED.run, WAITED.told, WAITED.start


def sleeping(seconds: int) -> list[int]:
    """Pids of ``sleep`` processes of a number of seconds, as pgrep sees them from the host."""
    return [int(word) for word in world.sh(f"pgrep -xf 'sleep {seconds}' || true").split()]


# --- what it is -------------------------------------------------------------------------------


def test_what_is_told() -> None:
    for code in (0, 1, 127, 255):
        result = run("/bin/sh", "-c", f"echo out; echo err >&2; exit {code}")
        assert (result["rc"], result["stdout"], result["stderr"]) == (code, "out", "err")
        assert (result.failed, result.changed) == (code != 0, True)
        assert result["msg"] == ("non-zero return code" if code else "")
        assert result["start"] < result["end"]
        assert (result["timed_out"], result["truncated"]) == (False, False)
    assert run("/bin/sleep", "0.2")["delta"] > "0:00:00.2"


def test_options_of_a_container() -> None:
    seen = told("id -u; pwd; echo $COLOUR; uname -n; ulimit -n", user="7", cwd="/usr", env={"COLOUR": "red"},
                hostname="nest", rlimits={"nofile": 77})  # fmt: skip
    assert seen.split() == ["7", "/usr", "red", "nest", "77"]
    assert told("cat; wc -c </etc/hostname >/dev/null", stdin="read me") == "read me"


def test_every_run_is_the_first_one() -> None:
    for _attempt in range(2):
        assert told("test ! -e /mark && touch /mark && echo fresh", overlay="disk") == "fresh"


def test_there_is_no_network() -> None:
    lines = told("tail -n +3 /proc/net/dev; tail -n +2 /proc/net/route; cat /proc/net/if_inet6").splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["lo"], "there are other links, routes or addresses"


def test_host_sees_limits_and_rights() -> None:
    work = start("sleep", "7101", memory_max="64M", pids_max=5, cap_drop=["ALL"], user="nobody")
    world.until(lambda: sleeping(7101), 20)
    (pid,) = sleeping(7101)
    memory = world.limit_file(pid, "memory", "memory.limit_in_bytes", "memory.max")
    assert world.sh(f"cat {memory}").strip() == str(64 << 20)
    status = dict(line.split(":", 1) for line in world.sh(f"cat /proc/{pid}/status").splitlines())
    words = ("NoNewPrivs", "Seccomp", "CapBnd", "CapEff")
    assert [status[word].strip().lstrip("0") for word in words] == ["1", "2", "", ""]
    os.kill(pid, signal.SIGKILL)
    assert work.result()["rc"] == 128 + 9


# --- what a stranger's program cannot do ------------------------------------------------------


def test_memory() -> None:
    result = run("/bin/sh", "-c", "head -c 200000000 /dev/zero | tail -c 150000000 | wc -c; echo went on",
                 memory_max="32M", memory_swap_max=0, timeout=60)  # fmt: skip
    assert "150000000" not in result["stdout"]
    assert not result["timed_out"]


def test_fork_bomb() -> None:
    bomb = "f() { f | f & }; f; sleep 7102"
    result = run("/bin/sh", "-c", bomb, pids_max=30, timeout=2)
    assert (result["timed_out"], result.failed) == (True, True)
    assert sleeping(7102) == []


def test_output() -> None:
    flood = "while :; do echo flood; echo flood >&2; done"
    result = run("/bin/sh", "-c", flood, timeout=1, output_limit=1000, strip_empty_ends=False)
    assert (len(result["stdout"]), len(result["stderr"])) == (1000, 1000)
    assert (result["truncated"], result["timed_out"]) == (True, True)


@pytest.mark.parametrize(
    "script",
    [
        "trap '' TERM INT HUP QUIT; while :; do sleep 7103; done",
        "exec >/dev/null 2>&1 </dev/null; sleep 7103",
        "exec >&- 2>&- <&-; sleep 7103",
        "setsid sleep 7103 & (setsid sh -c 'sleep 7103 & sleep 7103' &); sleep 7103",
    ],
    ids=["deaf", "silent", "closed", "hidden"],
)
@pytest.mark.parametrize("namespace", ["private", "host"])
def test_time(script: str, namespace: str) -> None:
    result = run("/bin/sh", "-c", script, timeout=1, namespaces={"pid": namespace})
    assert (result.failed, result["timed_out"], result["rc"]) == (True, True, 128 + 9)
    assert "did not end within 1 s" in result["msg"]
    assert sleeping(7103) == []


@pytest.mark.parametrize("namespace", ["private", "host"])
def test_daemon_that_keeps_the_output(namespace: str) -> None:
    """It is not waited for, and ends with the container."""
    started = told("setsid sleep 7104 & echo started", namespaces={"pid": namespace}, timeout=60)
    assert started == "started"
    assert sleeping(7104) == []


# --- what is left, and what is in the way ------------------------------------------------------


@pytest.mark.parametrize("options", [{"command": ["no-such-program"]}, {"user": "mallory"}, {"cwd": "/no/such"}])
def test_failed_start_leaves_nothing(options: dict[str, t.Any]) -> None:
    ((option, value),) = options.items()
    result = run(**{"command": ["true"], **options}) if option == "command" else run("true", **options)
    assert result.failed
    assert option in result["msg"]
    assert "rc" not in result, value


@pytest.mark.parametrize("next_", ["the same", "another one", "its removal", "a lasting one"])
def test_task_that_is_killed(next_: str) -> None:
    """The next task of any container removes what is left."""
    work = start("sleep", "7105", overlay="disk")
    world.until(lambda: sleeping(7105), 20)
    os.kill(work.pid, signal.SIGKILL)
    assert work.killed()
    lasting = {"name": "case", "rootfs": "/", "overlay": "tmpfs", "command": ["/bin/sleep", "7106"]}
    task = {
        "the same": {**BASE, "command": ["true"]}, "another one": {**BASE, "name": "other", "command": ["true"]},
        "its removal": {"name": "case", "state": "absent"}, "a lasting one": {**lasting, "stop_signal": "KILL"},
    }[next_]  # fmt: skip
    result = invoke("container", task)
    assert not result.failed, result
    assert re.search("an earlier run was killed.*container case", str(result["warnings"])), result
    assert sleeping(7105) == []
    laws.run("container", {"name": "case", "state": "absent"})


def test_name_that_is_taken() -> None:
    laws.run("container", {**BASE, "detach": True, "command": ["/bin/sleep", "7107"], "stop_signal": "KILL"})
    (pid,) = [int(word) for word in world.sh("pgrep -xf '/bin/sleep 7107'").split()]
    laws.refused("container", {**BASE, "command": ["true"]}, "name: there is a container case", "choose a name")
    assert world.sh("pgrep -xf '/bin/sleep 7107'").split() == [str(pid)]
    laws.run("container", {"name": "case", "state": "absent"})


def test_check_mode() -> None:
    before = world.snapshot()
    result = invoke("container", {**BASE, "command": ["touch", "/srv/ran"], "overlay": "none"}, check=True)
    assert (result.changed, result["skipped"], result["rc"], result["start"]) == (False, True, 0, None)
    assert result["msg"] == "command would have run if not in check mode"
    assert world.difference(before, world.snapshot()) == []
    assert not os.path.exists("/srv/ran")
    laws.missing("container", {**BASE, "rootfs": "/no/such", "command": ["true"]}, "rootfs: there is no directory")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"state": "stopped"}, ("state: expected started or absent",)),
        ({"state": "restarted"}, ("state: expected started or absent",)),
        ({"restart_policy": "always"}, ("restart_policy: expected no",)),
        ({"command": None}, ("rootfs: needs command",)),
        ({"detach": True, "timeout": 5}, ("timeout: needs detach to be false",)),
        ({"detach": True, "stdin": "x"}, ("stdin: needs detach to be false",)),
        ({"timeout": 0}, ("timeout: expected more than 0",)),
        ({"output_limit": -1}, ("output_limit: expected", "67108864")),
    ],
)
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("container", {**BASE, "command": ["true"], **options}, *words)


def test_many_at_once() -> None:
    works = [
        start("/bin/sh", "-c", f"echo {number}; cat; exit {number}", name=f"case{number}", stdin=str(number))
        for number in range(6)
    ]
    results = [work.result() for work in works]
    assert [each.get("rc", each.get("msg")) for each in results] == list(range(6))
    assert [each["stdout"] for each in results] == [f"{number}\n{number}" for number in range(6)]
