# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples in the documentation of every module, run as a user runs them who copies them into a playbook.

Each task of ours is repeated at once, and has nothing to do then. In the end all that they made is removed by tasks,
and nothing is left (:mod:`conftest`). That check mode tells the same, the cases of every option prove.
"""

from __future__ import annotations

import ast
import contextlib
import glob
import os
import pathlib
import re
import typing as t

import pytest
from support import laws, shop, site, world
from support.abilities import need

yaml = pytest.importorskip("yaml", reason="there is no PyYAML, which comes with ansible-playbook")

Task = dict[str, t.Any]

OURS = "nsfleet.linux."
FOLDER = os.path.join(site.ROOT, "plugins", "modules")
MODULES = sorted(os.path.basename(path)[:-3] for path in glob.glob(f"{FOLDER}/*.py"))
#: Values of ``state`` that ask for something to be done each time.
ALWAYS = ("restarted",)
#: Modules that make no object: they do something, each time unless these options say when not.
ACTIONS = {f"{OURS}container_exec": {"creates", "removes"}}


class Given(t.NamedTuple):
    """What the examples of a module presuppose, by shell commands and by other modules."""

    made_by: str = "true"
    unmade_by: str = "true"
    objects: tuple[tuple[str, dict[str, t.Any]], ...] = ()
    within: t.Callable[[pathlib.Path], t.ContextManager[object]] = contextlib.nullcontext
    variables: t.Mapping[str, str] = {}


def daemon(name: str, command: str) -> Given:
    """A process that wrote its id into a file, as daemons do."""
    file = f"/run/{name}.pid"
    return Given(
        f"{command} sh -c 'echo $$ >{file}; exec sleep 1000' >/dev/null 2>&1 & until test -s {file}; do :; done",
        f"kill -KILL $(cat {file}) 2>/dev/null; rm {file}",
    )


WEB = {"name": "web", "rootfs": "/", "overlay": "tmpfs", "command": ["/bin/sleep", "1000"], "stop_signal": "KILL"}
GIVEN = {
    "bridge": Given("ip netns add tenant", "ip netns delete tenant"),
    "cgroup": daemon("daemon", ""),
    "cgroup_info": Given(objects=(("cgroup", {"name": "web", "memory_max": "64M"}),)),
    "container": Given(variables={"vault_password": "correct horse"}),
    "container_exec": Given(objects=(("container", WEB),)),
    "container_info": Given(objects=(("container", WEB),)),
    "image": Given(within=shop.opened, variables=shop.VARIABLES),
    "image_info": Given(
        objects=(("image", {"name": "shop/web:1.4", "path": "/srv/images/web.tar"}),), within=shop.archived
    ),
    "link": Given(
        "ip netns add service && ip link add uplink type veth peer name far && ip link set uplink up",
        "ip link delete uplink; ip netns delete service",
    ),
    "netns": daemon("shop", "unshare --net"),
    "rootfs": Given(
        objects=(("image", {"name": "shop/web:1.4", "path": "/srv/images/web.tar"}),),
        within=shop.sources,
        variables=shop.ROOTS,
    ),
    "topology": Given("sysctl -qw net.ipv4.ip_forward=1"),
    "veth": Given("ip netns add r1 && ip netns add r2", "ip netns delete r1 && ip netns delete r2"),
}


def examples(module: str) -> list[Task]:
    """The tasks in the documentation of a module.

    :raises AssertionError: it has none.
    """
    with open(os.path.join(FOLDER, f"{module}.py"), encoding="utf-8") as file:
        statements = ast.parse(file.read()).body
    texts = [
        ast.literal_eval(each.value)
        for each in statements
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "EXAMPLES"
    ]
    assert texts, f"module {module} has no EXAMPLES"
    tasks: list[Task] = yaml.safe_load(texts[0])
    assert any(OURS + module in task for task in tasks), f"no example of {module} uses it"
    assert all("name" in task for task in tasks), f"an example of {module} does not say what it is for"
    return tasks


def ours(task: Task) -> str:
    """The module of ours that a task uses, with the name of the collection; empty for none."""
    return next((word for word in task if word.startswith(OURS)), "")


def options(task: Task) -> dict[str, t.Any]:
    """What a task of ours says; an empty task says nothing."""
    return task[ours(task)] or {}


def twice(tasks: t.Iterable[Task]) -> t.Iterator[Task]:
    """Each task, and those of ours again, to find nothing to do."""
    for task in tasks:
        yield task
        if ours(task) and not repeats(task):
            name = f"{task['name']} (again)"
            yield {**task, "name": name, "register": "again", "failed_when": "again is failed or again is changed"}


def repeats(task: Task) -> bool:
    """Whether a task asks for something to be done each time."""
    if is_waited_for(task):
        return True
    unless = ACTIONS.get(ours(task))
    return options(task).get("state") in ALWAYS or (unless is not None and not unless & set(options(task)))


def is_waited_for(task: Task) -> bool:
    """Whether what a task makes is there during the task only."""
    return options(task).get("detach") is False


def removals(tasks: t.Sequence[Task]) -> t.Iterator[Task]:
    """A task that removes it for each object that tasks make, the last first."""
    made = {
        (ours(task), str(options(task).get("name", options(task)))): task
        for task in tasks
        if ours(task) and not makes_nothing(task) and options(task).get("state") != "absent"
    }
    for (module, _name), task in reversed(made.items()):
        yield {**task, "name": f"{task['name']} (removed)", module: {**options(task), "state": "absent"}}


def makes_nothing(task: Task) -> bool:
    """Whether a task has nothing that could be removed."""
    return ours(task).endswith("_info") or ours(task) in ACTIONS or is_waited_for(task)


@pytest.fixture
def given(module: str, tmp_path: pathlib.Path) -> t.Iterator[t.Mapping[str, str]]:
    """What the examples of a module presuppose is there; variables that they name."""
    prepared = GIVEN.get(module, Given())
    world.sh(prepared.made_by)
    with prepared.within(tmp_path):
        for other, settings in prepared.objects:
            laws.run(other, settings)
        yield prepared.variables
        for other, settings in reversed(prepared.objects):
            laws.run(other, {**settings, "state": "absent"})
    world.sh(prepared.unmade_by)


@pytest.mark.parametrize("module", MODULES)
def test_examples(module: str, given: t.Mapping[str, str], tmp_path: pathlib.Path) -> None:
    need("ansible-playbook")
    tasks = examples(module)
    changed = play(tmp_path / "run.yml", [*twice(tasks), *removals(tasks)], given)
    assert changed or module.endswith("_info"), "the examples change nothing, so that they prove nothing"


def play(path: pathlib.Path, tasks: t.Sequence[Task], variables: t.Mapping[str, str]) -> int:
    """Run tasks as a playbook; how many of them changed something."""
    facts = any("ansible_facts" in str(task.get("when")) for task in tasks)  # which take a second
    play_ = {"hosts": "localhost", "gather_facts": facts, "gather_subset": ["!all", "apparmor"], "tasks": list(tasks)}
    path.write_text(yaml.safe_dump([play_]))
    printed = site.play(str(path), variables)
    (recap,) = re.findall(r"changed=(\d+)", printed)
    return int(recap)


def test_every_preparation_is_for_a_module() -> None:
    assert set(GIVEN) <= set(MODULES)
