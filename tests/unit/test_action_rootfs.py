# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller refuses of module rootfs, before it asks the host.

What it sends there, ``tests/site/test_rootfs.py`` proves.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.nsfleet.linux.plugins.action.rootfs import ActionModule

PLACE = "/srv/roots/case"
EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class Task:
    """A task of a playbook.

    :param args: the module's options.
    :param folder: of the playbook.
    """

    action = "nsfleet.linux.rootfs"
    check_mode = False

    def __init__(self, args: dict[str, t.Any], folder: pathlib.Path, background: int) -> None:
        self.args, self.async_val, self._folder = args, background, folder

    def get_search_path(self) -> list[str]:
        """Where files are looked for."""
        return [str(self._folder)]


class Shell:
    """The shell of a host that was never asked."""

    tmpdir = "/tmp"


class Connection:
    """A connection that was never made."""

    _shell = Shell()
    has_native_async = False


class Action(ActionModule):
    """The plugin, which does not get as far as the host."""

    told: t.ClassVar[list[dict[str, t.Any]]] = []

    def _execute_module(self, *_words: t.Any, **options: t.Any) -> dict[str, t.Any]:
        self.told.append(options)
        return {"changed": False}


def run(options: dict[str, t.Any], folder: pathlib.Path, background: int = 0) -> dict[str, t.Any]:
    """Run the plugin, with an empty file ``tree.tar`` beside the playbook."""
    (folder / "files").mkdir()
    (folder / "files/tree.tar").touch()
    Action.told.clear()
    task = Task({"path": PLACE, **options}, folder, background)
    return Action(task, Connection(), None, DataLoader(), None, None).run(task_vars={})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"archive_src": "other.tar"},
            "archive_src: expected a file on the controller, in files of the role or beside",
        ),
        ({"archive_src": ".."}, "archive_src: expected a file on the controller, and "),
        ({"archive_src": "tree.tar", "archive": "/srv/tree.tar"}, "archive: expected none beside archive_src"),
        ({"archive_src": "tree.tar", "checksum": "md5:1"}, "checksum: expected sha256: and 64 hexadecimal digits"),
        ({"archive_src": "tree.tar", "checksum": f"{EMPTY[:-4]}0000"}, f"and tree.tar on the controller has {EMPTY}"),
    ],
)
def test_bad_input(options: dict[str, t.Any], words: str, tmp_path: pathlib.Path) -> None:
    failed = run(options, tmp_path)
    assert words in failed["msg"], failed
    assert [f"{each['option']}: {each['problem']}" for each in failed["errors"]] == [failed["msg"]]
    assert (failed["failed"], Action.told) == (True, [])


def test_an_archive_is_not_sent_in_the_background(tmp_path: pathlib.Path) -> None:
    failed = run({"archive_src": "tree.tar"}, tmp_path, background=100)
    assert (failed["failed"], Action.told) == (True, [])
    assert failed["msg"].startswith("archive_src: expected a task without async")


def test_the_module_is_told_the_checksum(tmp_path: pathlib.Path) -> None:
    run({"archive_src": "tree.tar", "checksum": EMPTY.upper().replace("SHA", "sha")}, tmp_path)
    assert [options["module_args"] for options in Action.told] == [
        {"path": PLACE, "archive_src": "tree.tar", "checksum": EMPTY}
    ]


@pytest.mark.parametrize("options", [{"archive_src": "other.tar", "state": "absent"}, {"host": True}])
def test_who_needs_no_archive_is_not_asked_for_it(options: dict[str, t.Any], tmp_path: pathlib.Path) -> None:
    assert run(options, tmp_path, background=100) == {"changed": False}
    assert [each["wrap_async"] for each in Action.told] == [True]
