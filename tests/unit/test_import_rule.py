# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules between files: floors, who may know Ansible and pyroute2, what is private, and the oldest Python."""

from __future__ import annotations

import ast
import pathlib
import sys
import typing as t

import pytest

PLUGINS = pathlib.Path(__file__).parents[2] / "plugins"
UTILS = PLUGINS / "module_utils"
PACKAGE = "ansible_collections.nsfleet.linux.plugins.module_utils"
#: docs/architecture.md, "The floors".
FLOORS = {
    "_model": 0, "_kernel": 1, "_netlink": 2, "_cgroup": 2, "_nft": 2, "_image": 2, "_runtime": 3, "_resources": 4,
    "_plan": 5, "_module": 6, "_code": 2,
}  # fmt: skip
FILES = sorted(UTILS.rglob("*.py"))
ALL = [*FILES, *sorted(PLUGINS.glob("modules/*.py"))]


class Import(t.NamedTuple):
    """One import of a file."""

    module: str  #: as seen from the package of all utils, ``_plan.store``, or in full if it is not one of them
    line: int
    nested: bool  #: inside a function


def tree_of(path: pathlib.Path) -> ast.Module:
    """The syntax tree of a file, by the grammar of the oldest Python."""
    return ast.parse(path.read_text(), str(path), feature_version=(3, 9))


def imports(path: pathlib.Path) -> t.Iterator[Import]:
    """All imports of a file that really happen, whatever they are written in."""
    yield from _imports(path, tree_of(path), nested=False)


def _imports(path: pathlib.Path, node: ast.AST, *, nested: bool) -> t.Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, nested) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (Import(module, child.lineno, nested) for module in _from(path, child))
        elif not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _imports(path, child, nested=nested or inside)


def _from(path: pathlib.Path, node: ast.ImportFrom) -> t.Iterator[str]:
    """The modules behind ``from ... import ...``."""
    if not node.level:
        yield node.module or ""
        return
    package = path.relative_to(UTILS).parent.parts
    base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
    for alias in node.names:
        name = ".".join(part for part in base if part)
        yield name or alias.name


def floor(path: pathlib.Path) -> str:
    """The package of a file, or the file itself where it is in none."""
    return path.relative_to(UTILS).with_suffix("").parts[0]


def name(path: pathlib.Path) -> str:
    """A file as test reports show it."""
    return str(path.relative_to(PLUGINS))


def test_every_file_is_on_a_floor() -> None:
    assert FILES, f"no files in {UTILS}"
    assert {floor(path) for path in FILES} <= set(FLOORS)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_imports_only_from_its_own_package_and_from_floors_below(path: pathlib.Path) -> None:
    own = floor(path)
    for each in imports(path):
        other = each.module.removeprefix(f"{PACKAGE}.").partition(".")[0]
        assert other not in FLOORS or other == own or FLOORS[other] < FLOORS[own], f"line {each.line}: {each.module}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_imports_nothing_but_the_standard_library_and_what_is_ours(path: pathlib.Path) -> None:
    known = {*sys.stdlib_module_names, *FLOORS, "__future__"}
    allowed = {"_module.py": {"ansible"}, "library.py": {"pyroute2"}}.get(path.name, set())
    for each in imports(path):
        assert each.module.partition(".")[0] in known | allowed, f"line {each.line}: {each.module}"


def test_only_one_file_knows_ansible() -> None:
    knowing = {name(path) for path in FILES for each in imports(path) if each.module.startswith("ansible.")}
    assert knowing == {"module_utils/_module.py"}


def test_only_one_file_names_pyroute2_and_imports_it_inside_a_function() -> None:
    naming = {name(path): each for path in FILES for each in imports(path) if each.module.startswith("pyroute2")}
    assert list(naming) == ["module_utils/_netlink/library.py"]
    assert naming["module_utils/_netlink/library.py"].nested
    texts = [node.value for path in ALL for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant)]
    assert "pyroute2" not in texts, "imported by its name as a text"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_util_says_that_it_is_private(path: pathlib.Path) -> None:
    assert path.read_text().startswith("# PRIVATE to the nsfleet.linux collection")


@pytest.mark.parametrize("path", ALL, ids=name)
def test_the_oldest_python_reads_it(path: pathlib.Path) -> None:
    tree = tree_of(path)
    annotated = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    assert annotated or not ast.unparse(tree).count("def "), "annotations are to be read by nobody at run time"
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))


def test_the_rule_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    path = UTILS / "_model" / "field.py"
    monkeypatch.setattr(pathlib.Path, "read_text", lambda _self: "def f():\n    from .._plan import store\n")
    assert [each.module for each in imports(path)] == ["_plan"]
    with pytest.raises(AssertionError):
        test_a_file_imports_only_from_its_own_package_and_from_floors_below(path)
