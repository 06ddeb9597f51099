# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module and the unit tests with the Pythons, ansible-cores and versions of pyroute2 that users have."""

from __future__ import annotations

import ast
import os
import pathlib
import re
import subprocess

import pytest
import yaml
from support import environments, images, interpreters, rooted, site, world
from support.environments import CONTROLLERS, TARGETS, Environment

HERE = pathlib.Path(__file__).parent
SMOKE = HERE / "smoke.yml"
UNIT = HERE.parent / "unit"
MODULES = environments.ROOT / "plugins" / "modules"
#: What runs on a target; tests that import it are about that.
ON_A_TARGET = re.compile(r"ansible_collections\.nsfleet\.linux\.plugins\.module_utils\b")
#: Packages that a target does not have; tests that import them are about the controller, too.
OF_THE_CONTROLLER = re.compile(
    r"ansible\.|ansible$|cryptography|yaml|ansible_collections\..*\.plugins\.(plugin_utils|filter|modules)"
)


@pytest.fixture(params=CONTROLLERS, ids=lambda each: each.name)
def controller(request: pytest.FixtureRequest) -> Environment:
    """A controller's environment."""
    return there(request.param)


@pytest.fixture(params=TARGETS, ids=lambda each: each.name)
def target(request: pytest.FixtureRequest) -> Environment:
    """A target's environment."""
    return there(request.param)


def there(environment: Environment) -> Environment:
    """The environment, if this machine has the interpreter for it."""
    if interpreters.find(environment.version) is None:
        pytest.skip(interpreters.lacks(environment.version))
    return environment


def tasks(tag: str) -> list[str]:
    """Names of the modules that the tasks of a tag run."""
    blocks = yaml.safe_load(SMOKE.read_text(encoding="utf-8"))[0]["tasks"]
    (block,) = (each["block"] for each in blocks if tag in each["tags"])
    return [word for task in block for word in task if word.startswith("nsfleet.linux.")]


def test_the_smoke_run_has_every_module() -> None:
    run = {name.rpartition(".")[2] for tag in ("make", "tell", "remove") for name in tasks(tag)}
    assert run == {path.stem for path in MODULES.glob("*.py")}


def changed(controller: Environment, target: Environment, layout: pathlib.Path, *options: str) -> int:
    """Run the playbook, and tell how many tasks changed something.

    :param layout: of an image.
    """
    output = site.play(
        str(SMOKE),
        {"smoke_layout": str(layout)},
        *options,
        program=str(controller.bin / "ansible-playbook"),
        interpreter=str(target.bin / "python"),
    )
    recap = re.search(r"changed=(\d+) .* failed=0 ", output)
    assert recap is not None, output
    return int(recap[1])


def test_every_module(controller: Environment, target: Environment, tmp_path: pathlib.Path) -> None:
    layout = images.layout(tmp_path / "layout", {"1": rooted.image()})
    # The first mounts /run/netns, which stays, as with ip-netns(8); nat wants a host that forwards.
    world.sh("ip netns add first && ip netns delete first && sysctl -qw net.ipv4.ip_forward=1")
    before = world.snapshot()
    assert changed(controller, target, layout, "--check", "--diff", "--tags", "make") == len(tasks("make"))
    assert world.difference(before, world.snapshot()) == []
    assert changed(controller, target, layout, "--diff") == len(tasks("make"))
    assert world.sh("ip netns exec smoke ip -o route show default").startswith("default via 10.2.0.1 dev eth0")
    assert changed(controller, target, layout, "--diff") == 0
    assert changed(controller, target, layout, "--diff", "--tags", "remove") == len(tasks("remove"))
    assert world.difference(before, world.snapshot()) == []
    assert changed(controller, target, layout, "--diff", "--tags", "remove") == 0


def imports(path: pathlib.Path) -> set[str]:
    """Dotted names of everything that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def is_for_targets(names: set[str]) -> bool:
    """Whether a test that imports these is about what runs on targets, and can run there."""
    return any(map(ON_A_TARGET.match, names)) and not any(map(OF_THE_CONTROLLER.match, names))


def test_units(target: Environment) -> None:
    files = [str(path) for path in UNIT.glob("test_*.py") if is_for_targets(imports(path))]
    assert files
    command = [str(target.bin / "python"), "-m", "pytest", "-q", "--hypothesis-profile=few", *files]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=environments.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
