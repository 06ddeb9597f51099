# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime as a program: how it finds its code, and what stands in for libraries that take long to import."""

from __future__ import annotations

import ast
import json
import math
import pathlib
import re
import signal
import subprocess
import sys
import types
import typing as t
import zipfile

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import archive
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime.standins import (
    light_json,
    light_re,
    light_signal,
    light_typing,
)
from hypothesis import given
from hypothesis import strategies as st

PLUGINS = pathlib.Path(__file__).parents[2] / "plugins"
UTILS = PLUGINS / "module_utils"
PACKAGE = "ansible_collections.nsfleet.linux.plugins.module_utils"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside),
)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """nsrun for this Python."""
    path = tmp_path_factory.mktemp("program") / "nsrun"
    archive.build(str(path), sys.executable)
    return path


# --- the archive ---------------------------------------------------------------------------------


def sent_with(path: pathlib.Path, found: set[pathlib.Path]) -> set[pathlib.Path]:
    """The files that Ansible sends with a file: what it sees imported, wherever in the file that stands."""
    if path in found or not path.exists():
        return found
    found.add(path)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = path.parents[node.level - 1] if node.level else UTILS
            base = base.joinpath(*(node.module or "").removeprefix(PACKAGE).split("."))
            for place in (base, *(base / alias.name for alias in node.names)):
                sent_with(place.with_suffix(".py"), found)
    return found


def test_ansible_sends_all_that_a_monitor_needs() -> None:
    needed = {UTILS / f"{each.replace('.', '/')}.py" for each in (*archive.MONITOR, archive.PROGRAM)}
    assert needed - sent_with(PLUGINS / "modules/container.py", set()) == set()


def test_another_version_of_python_finds_the_sources(program: pathlib.Path, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "nsrun"
    with zipfile.ZipFile(program) as whole, zipfile.ZipFile(other, "w") as part:
        for name in whole.namelist():
            if name != "__main__.pyc" and not name.startswith("code-"):
                part.writestr(name, whole.read(name))
    for path in (program, other):
        done = subprocess.run(
            [sys.executable, "-IS", str(path), "--version"], capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("nsrun version ")


def test_a_reader_that_went_away_is_no_traceback(program: pathlib.Path) -> None:
    command = f"{sys.executable} -IS {program} help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


# --- named tuples --------------------------------------------------------------------------------


class Library(t.NamedTuple):
    """As the library makes it."""

    name: str
    size: int = 3
    note: str | None = None

    @property
    def twice(self) -> int:
        """A property."""
        return self.size * 2


def _fill(content: dict[str, t.Any]) -> None:
    """What the body of the class says."""
    content["__annotations__"] = {"name": "str", "size": "int", "note": "str | None"}
    content.update(size=3, note=None, twice=property(lambda self: self.size * 2))


#: As the stand-in makes it.
Light: t.Any = types.new_class("Light", (t.cast("t.Any", light_typing.NamedTuple),), {}, _fill)
Arguments = tuple[tuple[t.Any, ...], dict[str, t.Any]]
GOOD: list[Arguments] = [
    (("a",), {}), (("a", 1), {}), (("a", 1, "n"), {}), ((), {"name": "a"}), (("a",), {"note": "n"}),
    ((), {"size": 5, "name": "b"}),
]  # fmt: skip
BAD: list[Arguments] = [((), {}), (("a", 1, "n", 4), {}), (("a",), {"name": "b"}), (("a",), {"other": 1})]


@pytest.mark.parametrize(("values", "named"), GOOD)
def test_a_named_tuple_is_what_the_library_makes(values: tuple[t.Any, ...], named: dict[str, t.Any]) -> None:
    ours, theirs = Light(*values, **named), Library(*values, **named)
    assert tuple(ours) == tuple(theirs)
    assert ours == theirs
    assert hash(ours) == hash(theirs)
    assert (ours.name, ours.size, ours.note, ours.twice) == (theirs.name, theirs.size, theirs.note, theirs.twice)
    assert ours._asdict() == theirs._asdict()
    assert repr(ours) == repr(theirs).replace("Library", "Light")
    assert ours._replace(size=9) == theirs._replace(size=9)
    assert Light._make(ours) == ours
    assert isinstance(Light._make(ours), Light)
    assert Light._fields == Library._fields
    assert Light._field_defaults == Library._field_defaults
    assert isinstance(ours, tuple)
    assert not hasattr(ours, "__dict__")
    assert ours[1:] == theirs[1:]
    assert ours < (*theirs[:1], 100)


@pytest.mark.parametrize(("values", "named"), BAD)
def test_a_named_tuple_refuses_what_the_library_refuses(values: tuple[t.Any, ...], named: dict[str, t.Any]) -> None:
    for kind in (Light, Library):
        with pytest.raises(TypeError):
            kind(*values, **named)
    with pytest.raises(AttributeError):
        Light("a").size = 3


def test_names_for_annotations_can_be_written() -> None:
    assert light_typing.Sequence[light_typing.Optional[int]]
    assert light_typing.cast("int", "1") == "1"
    assert light_typing.TYPE_CHECKING is False


# --- JSON, signals, regular expressions ------------------------------------------------------------


@given(VALUES, st.sampled_from(["", " ", "\n\t "]))
def test_json_is_written_and_read_as_by_the_library(value: t.Any, blank: str) -> None:
    text = light_json.dumps(value)
    assert text == json.dumps(value)
    assert light_json.loads(blank + text + blank) == json.loads(text)
    assert light_json.dumps(value, indent=2, sort_keys=True) == json.dumps(value, indent=2, sort_keys=True)


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \\ux/NaIity\n'))
def test_what_is_no_json_is_refused_in_the_same_words(text: str) -> None:
    found: list[t.Any] = []
    for library in (json, light_json):
        try:
            found.append(repr(library.loads(text)))
        except ValueError as error:
            found.append((type(error), str(error)))
    assert found[0] == found[1]


@pytest.mark.parametrize("text", ["", "{", "[1,", '"', "{1: 2}", "[1] 2", "nul"])
def test_what_is_no_json_is_refused_where_the_library_was_not_imported_yet(program: pathlib.Path, text: str) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from nsrun._runtime.standins import light_json as json\n"
        "assert 'json' not in sys.modules\n"
        "try: json.loads(sys.argv[2])\n"
        "except ValueError as error: print(error)"
    )
    command = [sys.executable, "-IS", "-c", code, str(program), text]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    with pytest.raises(ValueError, match=re.escape(told.strip())):
        json.loads(text)
    assert told


def test_json_of_bytes_and_of_what_has_none() -> None:
    assert light_json.loads(b'{"a": 1}') == {"a": 1}
    assert math.isnan(light_json.loads("NaN"))
    with pytest.raises(TypeError, match="Object of type set is not JSON serializable"):
        light_json.dumps({"a": {1}})


def test_the_other_stand_ins_have_what_the_libraries_have() -> None:
    numbers = {name: value for name, value in vars(signal).items() if name.startswith("SIG")}
    assert {name: int(getattr(light_signal, name)) for name in numbers} == {n: int(v) for n, v in numbers.items()}
    assert light_re.fullmatch("a+", "aa")
