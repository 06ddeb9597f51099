# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules document is what they have: options to the last suboption, results, promises, examples."""

from __future__ import annotations

import importlib
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Table
from ansible_collections.nsfleet.linux.plugins.module_utils._model.resource import Passing
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import topology
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.command_result import not_run

PLUGINS = pathlib.Path(__file__).parents[2] / "plugins"
PACKAGE = "ansible_collections.nsfleet.linux.plugins"
MODULES = sorted(path.stem for path in PLUGINS.glob("modules/*.py"))
Options = dict[str, t.Any]
#: What Ansible itself adds to the result of a module that returns stdout and stderr.
ADDED = ("stdout_lines", "stderr_lines")
#: What every module may return.
OF_EVERY_RESULT = {"changed", "failed", "skipped", "warnings"}
#: Promises of modules that have no state to reach.
ACTIONS = {"container_exec": {"check_mode": "partial", "diff_mode": "none", "idempotent": "none"}}


class Module:
    """A module: what it says, and what it runs.

    :param name: without the collection.
    """

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source = importlib.import_module(f"{PACKAGE}.modules.{name}")
        self.name = name
        self.results: set[str] = set()
        monkeypatch.setattr(_module, "run", self._run)
        monkeypatch.setattr(_module, "run_info", self._run_info)
        monkeypatch.setattr(_module, "run_action", self._run_action)
        monkeypatch.setattr(_module, "run_topology", self._run_topology)
        self.source.main()

    def _run(self, kind: t.Any) -> None:
        self.table: Table = kind.table
        self.results = {"plan", kind.kind}
        if issubclass(kind, Passing):
            self.results |= {*not_run(""), *ADDED} - OF_EVERY_RESULT

    def _run_info(self, table: Table, gather: t.Callable[[Options], Options]) -> None:
        self.table = table
        defaults = {field.name: field.default for field in table.fields if field.default is not None}
        self.results = set(gather(table.canonical(defaults)))

    def _run_action(self, table: Table, act: t.Callable[[Options, bool], Options]) -> None:
        self.table = table
        needed = {field.name: ["x"] if field.type == "list" else "x" for field in table.fields if field.required}
        defaults = {field.name: field.default for field in table.fields if field.default is not None}
        self.results = {*act(table.canonical({**defaults, **needed}), True), *ADDED} - OF_EVERY_RESULT

    def _run_topology(self) -> None:
        self.table = topology.TABLE
        self.results = {"plan", "topology", "pending"}

    @property
    def documentation(self) -> Options:
        """Its own documentation, and that of its fragments."""
        own: Options = yaml.safe_load(self.source.DOCUMENTATION)
        for fragment in own.get("extends_documentation_fragment", ()):
            name, _dot, part = fragment.removeprefix("nsfleet.linux.").partition(".")
            words = importlib.import_module(f"{PACKAGE}.doc_fragments.{name}").ModuleDocFragment
            more = yaml.safe_load(getattr(words, (part or "documentation").upper()))
            for key in ("options", "attributes"):
                own[key] = {**more.get(key, {}), **own.get(key, {})}
        return own


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Each module."""
    return Module(request.param, monkeypatch)


def test_there_are_modules() -> None:
    assert {"netns", "veth", "bridge", "cgroup", "container", "nat", "route"} <= set(MODULES)


def differences(documented: Options, actual: Options, path: str = "") -> list[str]:
    """Where the documentation of options is not the argument specification, a line each."""
    lines = [f"{path}{name}: not documented" for name in actual if name not in documented]
    lines += [f"{path}{name}: documented, but no option" for name in documented if name not in actual]
    for name in sorted(set(documented) & set(actual)):
        said, spec = documented[name], actual[name]
        for word, default in (("type", "str"), ("default", None), ("required", False), ("elements", None)):
            one, other = said.get(word, default), spec.get(word, default)
            if one != other or type(one) is not type(other):
                lines.append(f"{path}{name}.{word}: {one!r} is documented, {other!r} is true")
        if list(said.get("choices") or ()) != list(spec.get("choices") or ()):
            lines.append(f"{path}{name}.choices: {said.get('choices')} is documented, {spec.get('choices')} is true")
        if not said.get("description"):
            lines.append(f"{path}{name}: no description")
        lines += differences(said.get("suboptions") or {}, spec.get("options") or {}, f"{path}{name}.")
    return lines


def test_options_are_documented_as_they_are(module: Module) -> None:
    assert differences(module.documentation.get("options") or {}, module.table.arguments()) == []


def test_the_comparison_sees_what_is_wrong() -> None:
    said: Options = {
        "a": {"type": "int", "description": "A.", "default": 1},
        "b": {"type": "dict", "description": "B.", "suboptions": {"c": {"type": "str", "description": "C."}}},
        "d": {"type": "str", "description": "D.", "choices": ["x"]},
        "gone": {"description": "Gone."},
    }
    actual = {
        "a": {"type": "int", "default": True},
        "b": {"type": "dict", "options": {"c": {"type": "int"}}},
        "d": {"type": "str", "choices": ["x", "y"]},
        "new": {"type": "str"},
    }
    assert differences(said, said | {"b": {**said["b"], "options": said["b"]["suboptions"]}}) == []
    assert [line.partition(":")[0] for line in differences(said, actual)] == [
        "new", "gone", "a.default", "b.c.type", "d.choices",
    ]  # fmt: skip


def test_results_are_documented_and_no_others(module: Module) -> None:
    documented = yaml.safe_load(module.source.RETURN)
    assert set(documented) == module.results
    for name, words in documented.items():
        assert words.get("description"), name
        assert words.get("returned"), name
        assert words.get("type"), name


def test_promises_are_those_of_the_kind_of_module(module: Module) -> None:
    attributes = module.documentation["attributes"]
    wanted = {"check_mode": "full", "diff_mode": "full", "idempotent": "full"}
    if module.name.endswith("_info"):
        wanted["diff_mode"] = "N/A"
    wanted = ACTIONS.get(module.name, wanted)
    assert {name: attributes[name]["support"] for name in wanted} == wanted


def test_the_file_is_called_like_its_module(module: Module) -> None:
    assert module.documentation["module"] == module.name
    assert module.documentation["version_added"]
    assert module.documentation["short_description"]


def test_examples_use_options_that_there_are(module: Module) -> None:
    examples = yaml.safe_load(module.source.EXAMPLES)
    assert examples
    used = 0
    for task in examples:
        assert task.get("name"), "every example says what it is for"
        action = f"nsfleet.linux.{module.name}"
        used += action in task
        assert unknown(task.get(action), module.table) == []
    assert used, "no example uses the module"


def entries(table: Table, name: str) -> Table | None:
    """Options of the entries of a list of the module topology."""
    return topology.PARTS[name].kind().table if table is topology.TABLE and name in topology.PARTS else None


def unknown(options: t.Any, table: Table, path: str = "") -> list[str]:
    """Paths of options that a table does not have."""
    found = []
    for name, value in (options or {}).items():
        if name not in table or not table[name].option:
            found.append(f"{path}{name}")
        elif (below := table[name].table or entries(table, name)) is not None:
            for item in value if isinstance(value, list) else [value]:
                found += unknown(item, below, f"{path}{name}.") if isinstance(item, dict) else []
    return found
