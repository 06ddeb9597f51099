# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of security modules, where a kernel has one: what it says of processes, and what it refuses them."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from support import apparmor, laws, world
from support.abilities import need
from support.bundle import Bundle, Runtime

PROFILE, OTHER = "nsfleet-case", "nsfleet-other"
#: Tells how it is confined and writes to two places, to one of which it may not.
ATTEMPT = """
cat /proc/self/attr/current
for place in open closed; do
  if (echo x >/data/$place) 2>&1; then echo written; fi
done
"""
ANSWERS = [f"{PROFILE} (enforce)", "written", "sh: 4: cannot create /data/closed: Permission denied"]
#: It may not execute its own program, since that is executed from outside of the profile.
NOTHING_ELSE = "capability, signal, /** mr,"


@pytest.fixture(autouse=True)
def profiles() -> t.Iterator[None]:
    """Profiles that are there during a test."""
    need("AppArmor")
    with apparmor.loaded(PROFILE, OTHER), apparmor.loaded("nsfleet-alone", rules=NOTHING_ELSE):
        yield


def confined(pid: int) -> str:
    """What the kernel says of a process, from outside."""
    return pathlib.Path(f"/proc/{pid}/attr/current").read_text().strip()


def test_a_container_and_commands_in_it_are_confined(nsrun: Runtime, bundle: Bundle) -> None:
    payload = ("sh", "-c", f"({ATTEMPT}) >/data/output 2>&1; exec sleep 1000")
    pid = nsrun.create("case", bundle.write(*payload, apparmorProfile=PROFILE))
    assert confined(pid) == "unconfined", "it is not the payload yet"
    nsrun("start", "case")
    output = bundle.root / "data/output"
    world.until(lambda: output.exists() and len(output.read_text().splitlines()) == len(ANSWERS))
    assert output.read_text().splitlines() == ANSWERS
    assert confined(pid) == ANSWERS[0]
    assert not (bundle.root / "data/closed").exists()
    (bundle.root / "data/open").unlink()
    assert nsrun("exec", "case", "sh", "-c", ATTEMPT).splitlines() == ANSWERS
    assert nsrun("exec", "--apparmor", OTHER, "case", "cat", "/proc/self/attr/current") == f"{OTHER} (enforce)\n"


def test_a_profile_need_not_allow_the_execution_of_the_payload(nsrun: Runtime, bundle: Bundle) -> None:
    """As with other runtimes: the program between ours and the payload is never confined."""
    command = ("sh", "-c", "read words </proc/self/attr/current; echo $words; exec /usr/bin/true")
    done = nsrun.call("run", "-b", str(bundle.write(*command, apparmorProfile="nsfleet-alone")), "case")
    assert done.stdout == "nsfleet-alone (enforce)\n"
    assert (done.returncode, "Permission denied" in done.stderr) == (126, True)


@pytest.mark.parametrize("profile", ["none-such", ":none:such", f"{PROFILE}//&none-such"])
def test_a_profile_that_is_not_loaded(nsrun: Runtime, bundle: Bundle, profile: str) -> None:
    message = nsrun.refuses("run", "-b", str(bundle.write("true", apparmorProfile=profile)), "case")
    assert "there is no such profile" in message or "security label: the kernel refuses it: No such file" in message
    assert nsrun("list", "-q") == ""
    nsrun.create("case", bundle.write("sleep", "1000", apparmorProfile="unconfined"))
    nsrun("start", "case")
    assert "profile" in nsrun.refuses("exec", "--apparmor", "none-such", "case", "true")


def test_the_modules_confine_and_say_what_is_not_there(bundle: Bundle) -> None:
    mounts = [{"destination": "/usr", "source": "/usr", "options": ["rbind", "ro"]}]
    options = {"name": "case", "rootfs": str(bundle.root), "mounts": mounts, "command": ["sleep", "31536000"],
               "stop_signal": "KILL"}  # fmt: skip
    laws.missing("container", {**options, "apparmor_profile": "none-such"}, "apparmor_profile: none-such: there is no")
    laws.refused("container", {**options, "selinux_label": "u:r:t:s0"}, "selinux_label: SELinux is not enabled")
    done = laws.four_steps("container", {**options, "apparmor_profile": PROFILE})
    pid = done["container"]["pid"]
    assert (confined(pid), done["container"]["apparmor_profile"]) == (ANSWERS[0], PROFILE)
    command = {"name": "case", "command": ["sh", "-c", ATTEMPT]}
    assert laws.run("container_exec", command)["stdout"].splitlines() == ANSWERS
    changed = laws.four_steps("container", {**options, "apparmor_profile": OTHER})
    assert {step["effect"] for step in changed["plan"]} == {"restart"}
    assert confined(changed["container"]["pid"]) == f"{OTHER} (enforce)"
    assert not os.path.exists(f"/proc/{pid}")
    laws.remove("container", {"name": "case"})
