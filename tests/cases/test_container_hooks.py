# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of module container: when they run, what they are told, and that each end is told once, whoever saw it."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import typing as t

import pytest
from support import laws, world
from support.invoke import invoke

WAIT = ["/bin/sh", "-c", "trap 'exit 5' TERM; sleep 31536000 & wait"]
POINTS = ("prestart", "create_runtime", "create_container", "poststart", "poststop")
BEGUN = [*POINTS[:4]]
#: Writes a line of JSON: the point, and what it was told.
SCRIPT = """printf '{"point": "%s", "state": %s}\\n' "$1" "$(cat)" >>"$2"; exit "$3" """


class Told:
    """A container whose hooks write to a file."""

    def __init__(self, file: pathlib.Path) -> None:
        self._file = file

    def options(self, failing: str = "", **more: t.Any) -> dict[str, t.Any]:
        """Options of the module.

        :param failing: a point whose hook fails.
        """
        hooks = {point: [self._hook(point, 3 if point == failing else 0)] for point in POINTS}
        return {"name": "case", "rootfs": "/", "overlay": "tmpfs", "command": WAIT, "hooks": hooks, **more}

    def _hook(self, point: str, status: int) -> dict[str, t.Any]:
        script = "echo because; " * bool(status) + SCRIPT
        return {"path": "/bin/sh", "args": ["-c", script, "sh", point, str(self._file), str(status)],
                "env": {"PATH": "/usr/bin:/bin"}, "timeout": 60}  # fmt: skip

    def take(self) -> list[dict[str, t.Any]]:
        """What was told since it was asked the last time."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self._file.unlink(missing_ok=True)
        return [json.loads(line) for line in lines]

    def points(self) -> list[str]:
        """The points alone."""
        return [each["point"] for each in self.take()]

    def heard(self, point: str) -> bool:
        """Whether a point was told, by now."""
        return self._file.exists() and f'"{point}"' in self._file.read_text()


@pytest.fixture
def told(tmp_path: pathlib.Path) -> t.Iterator[Told]:
    """A container that is removed, whatever the test did."""
    yield Told(tmp_path / "told")
    laws.run("container", {"name": "case", "state": "absent"})


def info() -> dict[str, t.Any]:
    """What container_info says of the container."""
    (found,) = invoke("container_info", {"name": "case"})["containers"]
    return t.cast("dict[str, t.Any]", found)


def kill(pid: int) -> None:
    """Kill a process, and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    world.until(lambda: world.sh(f"ps -o stat= -p {pid} || true").strip() in ("", "Z", "Zs"))


def test_each_start_and_each_end_is_told_once(told: Told) -> None:
    options = told.options()
    pid = laws.four_steps("container", options)["container"]["pid"]
    begun = told.take()
    assert [each["point"] for each in begun] == BEGUN
    states = [(each["state"]["status"], each["state"]["pid"]) for each in begun]
    assert states == [("creating", pid), ("creating", pid), ("creating", 1), ("running", pid)]
    names = {(each["state"]["id"], each["state"]["bundle"]) for each in begun}
    assert names == {("case", "/var/lib/nsfleet/containers/case")}
    laws.four_steps("container", {**options, "cwd": "/tmp"})
    assert told.points() == ["poststop", *BEGUN], "a start that is only tried out tells nobody"
    laws.run("container", {"name": "case", "state": "stopped"})
    (ended,) = told.take()
    assert (ended["point"], ended["state"]["status"], ended["state"]["pid"]) == ("poststop", "stopped", 0)
    laws.run("container", {"name": "case", "state": "started"})
    laws.remove("container", {"name": "case"})
    assert told.points() == [*BEGUN, "poststop"]


def test_an_end_is_told_whoever_saw_it(told: Told) -> None:
    options = told.options(restart_policy="on-failure", restart_max=1)
    pid = laws.run("container", options)["container"]["pid"]
    told.take()
    kill(pid)
    world.until(lambda: told.heard("poststart"))
    assert told.points() == ["poststop", *BEGUN], "its monitor saw it, and started it again"
    kill(info()["pid"])
    world.until(lambda: told.heard("poststop"))
    world.until(lambda: not info()["supervised"])
    laws.run("container", {"name": "case", "state": "stopped"})
    assert told.points() == ["poststop"]
    pid = laws.run("container", {"name": "case", "state": "started"})["container"]["pid"]
    monitor = int(world.sh(f"ps -o ppid= -p {pid}"))
    kill(monitor)
    kill(pid)
    assert told.points() == BEGUN, "nobody saw it"
    laws.run("container", {"name": "case", "state": "started"})
    assert told.points() == ["poststop", *BEGUN]


@pytest.mark.parametrize("failing", ["create_runtime", "create_container", "poststart"])
def test_a_hook_that_fails_ends_the_start(told: Told, failing: str) -> None:
    failed = invoke("container", told.options(failing))
    assert failed.failed
    word = {"create_runtime": "createRuntime", "create_container": "createContainer"}.get(failing, failing)
    assert f"hooks.{word}: hook /bin/sh ended with status 3: because" in failed["msg"]
    assert told.points() == [*BEGUN[: BEGUN.index(failing) + 1], "poststop"]
    assert invoke("container_info", {})["containers"] == []


def test_the_last_hook_that_fails_keeps_nothing_from_ending(told: Told) -> None:
    laws.run("container", told.options("poststop"))
    laws.run("container", {"name": "case", "state": "stopped"})
    assert told.points() == [*BEGUN, "poststop"]
    log = pathlib.Path("/var/lib/nsfleet/containers/case/monitor.log").read_text()
    assert log == "hooks.poststop: hook /bin/sh ended with status 3: because\n"


def test_a_container_that_is_waited_for(told: Told) -> None:
    done = laws.run("container", told.options(command=["/bin/sh", "-c", "echo out"], detach=False))
    assert (done["stdout"], told.points()) == ("out", [*BEGUN, "poststop"])
    failed = invoke("container", told.options("poststart", detach=False))
    assert "hooks.poststart" in failed["msg"]
    assert told.points() == [*BEGUN, "poststop"]


def test_a_program_that_is_not_there(told: Told) -> None:
    options = told.options()
    laws.missing("container", {**options, "hooks": {"poststop": [{"path": "/no/such"}]}},
                 "hooks.poststop[0].path: there is no program /no/such on the host")  # fmt: skip
    laws.refused("container", {**options, "hooks": {"start_container": [{"path": "/no/such"}]}},
                 "hooks.start_container[0].path: there is no /no/such in the root file system")  # fmt: skip
    laws.refused("container", {**options, "hooks": {"prestart": [{"path": "sh", "timeout": 0}]}},
                 "hooks.prestart[0].path: expected", "hooks.prestart[0].timeout: expected")  # fmt: skip
    assert told.points() == []
