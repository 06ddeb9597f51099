# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put on top of a root file system: what is refused before anything is touched, and what is kept of before."""

from __future__ import annotations

import io
import os
import pathlib
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import InvalidOptions
from ansible_collections.nsfleet.linux.plugins.module_utils._model.field import Table
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs_content import Content
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs_data import Data, Kept, opened
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs_fields import CONTENT_FIELDS

TABLE = Table(CONTENT_FIELDS)
FILE = {"content": ""}
RUN = {"name": "x", "argv": ["true"], "creates": "/x"}


def refused(options: dict[str, t.Any]) -> str:
    """Why options are refused; empty if they are not."""
    try:
        return "; ".join(map(str, Content(TABLE.canonical(options), "").errors))
    except InvalidOptions as error:
        return str(error)


@pytest.mark.parametrize("path", ["", "x", "/", "//", "/.", "/..", "/x/..", "/x/../y", "/x\0", "/" + "x" * 4095])
@pytest.mark.parametrize("option", ["files", "directories", "links", "commands"])
def test_paths_that_are_none(option: str, path: str) -> None:
    item = {"commands": {**RUN, "creates": path}}.get(option, {"path": path, "content": "", "target": "x"})
    assert "expected a path" in refused({option: [item]})


@pytest.mark.parametrize(("path", "same"), [("//etc//x/", "/etc/x"), ("/etc/./x", "/etc/x"), ("/...", "/...")])
def test_paths_of_one_form(path: str, same: str) -> None:
    assert list(TABLE.canonical({"files": [{"path": path, **FILE}]})["files"]) == [same]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"files": [{"path": "/x"}]}, "expected one of content, content_base64, source"),
        ({"files": [{"path": "/x", "content": "", "source": "/y"}]}, "expected one of"),
        ({"files": [{"path": "/x", "source": "y"}]}, "files[0].source"),
        ({"files": [{"path": "/x", "content_base64": "!"}]}, "files[0].content_base64: expected base64"),
        ({"files": [{"path": "/x", **FILE}, {"path": "/x/", **FILE}]}, "'/x' is given twice"),
        ({"files": [{"path": "/x", **FILE}], "links": [{"path": "/x", "target": "y"}]}, "links[/x]: is in files, too"),
        ({"files": [{"path": "/x", **FILE}], "directories": [{"path": "/x/y/z"}]}, "is below /x, which is in files"),
        ({"files": [{"path": "/x", **FILE, "mode": "rw"}]}, "files[0].mode: expected a mode"),
        ({"directories": [{"path": "/x", "mode": "10000"}]}, "directories[0].mode"),
        ({"files": [{"path": "/x", **FILE, "owner": "a b"}]}, "files[0].owner"),
        ({"files": [{"path": "/x", **FILE, "group": "4294967295"}]}, "files[0].group: expected 0 to 4294967294"),
        ({"links": [{"path": "/x", "target": ""}]}, "links[0].target"),
        ({"users": [{"name": "Root"}]}, "users[0].name"),
        ({"users": [{"name": "x" * 33}]}, "users[0].name"),
        ({"users": [{"name": "1x"}]}, "users[0].name"),
        ({"users": [{"name": "a:b"}]}, "users[0].name"),
        ({"users": [{"name": "x", "uid": 2**32 - 1}]}, "users[0].uid"),
        ({"users": [{"name": "x", "uid": -1}]}, "users[0].uid"),
        ({"users": [{"name": "x", "uid": 7}, {"name": "y", "uid": 7}]}, "users[y].uid: 7 is that of x, too"),
        ({"groups": [{"name": "x", "gid": 7}, {"name": "y", "gid": 7}]}, "groups[y].gid: 7 is that of x, too"),
        ({"users": [{"name": "x", "comment": "a:b"}]}, "users[0].comment"),
        ({"users": [{"name": "x", "comment": "a\nroot::0:0:::"}]}, "users[0].comment"),
        ({"users": [{"name": "x", "home": "srv"}]}, "users[0].home"),
        ({"users": [{"name": "x", "shell": "/bin/a:b"}]}, "users[0].shell"),
        ({"users": [{"name": "x", "password": "secret"}]}, "users[0].password: expected a hash"),
        ({"users": [{"name": "x", "password": "$6$a:b$c"}]}, "users[0].password: expected a hash"),
        ({"users": [{"name": "x", "password": ""}]}, "users[0].password: expected a hash"),
        (
            {"users": [{"name": "x", "groups": ["g"]}], "groups": [{"name": "g", "members": ["y"]}]},
            "users[x].groups: expected what groups[g].members says of x",
        ),
        (
            {"users": [{"name": "x", "groups": []}], "groups": [{"name": "g", "members": ["x"]}]},
            "users[x].groups: expected what groups[g].members says of x",
        ),
        ({"commands": [{**RUN, "argv": []}]}, "commands[x].argv"),
        ({"commands": [{**RUN, "timeout": 0}]}, "commands[0].timeout"),
        ({"commands": [{**RUN, "env": {"a=b": "c"}}]}, "commands[0].env"),
    ],
)
def test_what_is_refused(options: dict[str, t.Any], words: str) -> None:
    assert words in refused(options)


def test_what_is_accepted() -> None:
    passwords = ("!", "*", "!!", "!$6$salt$hash", "$y$j9T$salt$hash", "abJnggxhB/yWI")
    assert refused({"users": [{"name": f"x{n}", "password": each} for n, each in enumerate(passwords)]}) == ""
    assert (
        refused({"users": [{"name": "_x-1$", "groups": ["g"]}], "groups": [{"name": "g", "members": ["_x-1$"]}]}) == ""
    )
    assert refused({"links": [{"path": "/x", "target": "/../../y"}], "files": [{"path": "/x/y", **FILE}]}) == ""


def test_hash_is_kept_out_of_sight() -> None:
    assert "$6$" not in str(TABLE.canonical({"users": [{"name": "x", "password": "$6$salt$hash"}]}))


# --- what is kept ----------------------------------------------------------------------------------


def test_content_that_is_kept(tmp_path: pathlib.Path) -> None:
    kept = Kept(str(tmp_path / "kept"))
    data = {each: Data.of(each) for each in (b"a\0", b"b\0", b"short")}
    for content, shown in data.items():
        kept.put("files[/x]", str(shown), io.BytesIO(content))
    for content, shown in data.items():
        with opened(str(shown), kept) as file:
            assert file.read() == content
    assert len(os.listdir(tmp_path / "kept")) == 2, "short text is what is shown of it, and need not be kept"
    assert {os.stat(path).st_mode & 0o777 for path in (tmp_path / "kept").iterdir()} == {0o600}
    kept.drop(kept.spare({"files[/x]": [str(data[b"a\0"])], "files[/y]": [str(data[b"b\0"])]}))
    with opened(str(data[b"a\0"]), kept) as file:
        assert file.read() == b"a\0"
    with pytest.raises(FileNotFoundError, match="no copy"), opened(str(data[b"b\0"]), kept):
        pass
    kept.drop(kept.spare({}))
    assert not (tmp_path / "kept").exists()
