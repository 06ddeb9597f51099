# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users and groups in the files of a tree, whatever else is in them."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._image.accounts import Accounts, Group, User
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import NsfleetError

APP = User(70, 71, "An app", "/srv/app", "/bin/sh", "*")
LINE = "app:*:70:71:An app:/srv/app:/bin/sh\n"


class Tree:
    """A tree with files of accounts."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.etc = folder / "etc"
        self.etc.mkdir()
        self.fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def have(self, **files: str | bytes) -> Accounts:
        """Have these files; what is in them."""
        for name, text in files.items():
            (self.etc / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return Accounts(self.fd)

    def read(self, name: str) -> str:
        """A file, as bytes that are each a letter."""
        return (self.etc / name).read_bytes().decode("latin-1")


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> t.Iterator[Tree]:
    """A tree without any account."""
    made = Tree(tmp_path)
    yield made
    os.close(made.fd)


@pytest.mark.parametrize(
    ("before", "above", "below"),
    [
        ("", "", ""),
        ("\n", "\n", ""),
        ("root:x:0:0::/:/bin/sh", "root:x:0:0::/:/bin/sh\n", ""),
        ("a:x:1:1:::\n+\n", "a:x:1:1:::\n", "+\n"),
        ("a:x:1:1:::\n-b\n+@c::\nd:x:2:2::\n", "a:x:1:1:::\n", "-b\n+@c::\nd:x:2:2::\n"),
        ("app:x:1:1:::\nb:x:2:2:::\n", "", "b:x:2:2:::\n"),
        ("app:x:1:1:::\napp:x:2:2:::\n", "", "app:x:2:2:::\n"),
        ("app\n", "", ""),
        ("# app:x:1:1:::\n", "# app:x:1:1:::\n", ""),
        ("application:x:1:1:::\n", "application:x:1:1:::\n", ""),
        ("a:x:1:1:\v\f\x1c\x85:/:\r\n", "a:x:1:1:\v\f\x1c\xc2\x85:/:\r\n", ""),
        (b"a:x:1:1:\xff\xfe:/:\n", "a:x:1:1:\xff\xfe:/:\n", ""),
    ],
)  # fmt: skip
def test_a_user_among_others(tree: Tree, before: str | bytes, above: str, below: str) -> None:
    accounts = tree.have(passwd=before)
    accounts.set_user("app", APP)
    accounts.save()
    assert tree.read("passwd") == above + LINE + below
    assert Accounts(tree.fd).user("app") == APP
    assert sorted(os.listdir(tree.etc)) == ["passwd"]


def test_files_that_are_not_there(tree: Tree) -> None:
    tree.etc.rmdir()
    accounts = Accounts(tree.fd)
    accounts.set_group("app", Group(71, ("a", "b")))
    accounts.set_user("app", APP._replace(password="$6$salt$hash"))
    accounts.save()
    assert tree.read("group") == "app:x:71:a,b\n"
    assert tree.read("passwd") == "app:$6$salt$hash:70:71:An app:/srv/app:/bin/sh\n"
    assert sorted(os.listdir(tree.etc)) == ["group", "passwd"], "shadow is written where it exists, and else not made"


@pytest.mark.parametrize("shadow", [{}, {"shadow": "root:*:19000:0:99999:7:::\n"}], ids=["none", "without a line"])
def test_a_password_that_is_nowhere_fits_nobody(tree: Tree, shadow: dict[str, str]) -> None:
    accounts = tree.have(passwd="app:x:70:71:An app:/srv/app:/bin/sh\n", **shadow)
    assert accounts.user("app") == APP._replace(password="!")
    assert accounts.is_whole("app") == (not shadow)
    accounts.set_user("app", APP._replace(password="!"))
    accounts.save()
    assert tree.read("passwd") == "app:x:70:71:An app:/srv/app:/bin/sh\n"
    assert Accounts(tree.fd).is_whole("app")
    assert not shadow or tree.read("shadow") == f"{shadow['shadow']}app:!::0:99999:7:::\n"


def test_passwords_are_in_the_files_that_hide_them(tree: Tree) -> None:
    accounts = tree.have(passwd="", group="", shadow="root:*:19000:0:99999:7:::\n", gshadow="root:*::\n")
    for name in ("shadow", "gshadow"):
        os.chmod(tree.etc / name, 0o640)
    accounts.set_group("app", Group(71, ("a",)))
    accounts.set_user("app", APP._replace(password="$6$salt$hash"))
    accounts.save()
    assert tree.read("passwd") == "app:x:70:71:An app:/srv/app:/bin/sh\n"
    assert tree.read("shadow") == "root:*:19000:0:99999:7:::\napp:$6$salt$hash::0:99999:7:::\n"
    assert tree.read("gshadow") == "root:*::\napp:!::a\n"
    assert [os.stat(tree.etc / name).st_mode & 0o777 for name in ("passwd", "shadow", "gshadow")] == [
        0o644,
        0o640,
        0o640,
    ]
    assert Accounts(tree.fd).user("app") == APP._replace(password="$6$salt$hash")


def test_what_is_not_asked_for_stays(tree: Tree) -> None:
    accounts = tree.have(
        passwd="app:x:1:1:::\n", shadow="app:old:19000:1:90:7:14:20000:\n",
        group="app:y:1:\n", gshadow="app:secret:admin:\n",
    )  # fmt: skip
    accounts.set_user("app", APP)
    accounts.set_group("app", Group(71, ("a",)))
    accounts.save()
    assert tree.read("shadow") == "app:*:19000:1:90:7:14:20000:\n"
    assert (tree.read("group"), tree.read("gshadow")) == ("app:y:71:a\n", "app:secret:admin:a\n")


def test_a_link_in_the_place_of_a_file_is_not_written_through(tree: Tree, tmp_path: pathlib.Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("root:x:0:0::/:/bin/sh\n")
    (tree.etc / "passwd").symlink_to(outside)
    (tree.etc / "shadow").symlink_to("hidden")
    (tree.etc / "hidden").write_text("root:*:19000:0:99999:7:::\n")
    accounts = Accounts(tree.fd)
    accounts.set_user("app", APP)
    accounts.save()
    assert outside.read_text() == "root:x:0:0::/:/bin/sh\n"
    assert tree.read("passwd") == "app:x:70:71:An app:/srv/app:/bin/sh\n"
    assert (os.lstat(tree.etc / "shadow").st_mode & 0o7777, tree.read("hidden")) == (
        0o600,
        "root:*:19000:0:99999:7:::\n",
    )


def test_nothing_is_written_where_nothing_changes(tree: Tree) -> None:
    accounts = tree.have(passwd="app:x:70:71:An app:/srv/app:/bin/sh", shadow="app:*:1::::::", group="app:x:71:")
    before = {name: os.stat(tree.etc / name).st_ino for name in os.listdir(tree.etc)}
    accounts.set_user("app", APP)
    accounts.set_group("app", Group(71, ()))
    accounts.set_groups_of("app", [])
    accounts.save()
    assert {name: os.stat(tree.etc / name).st_ino for name in os.listdir(tree.etc)} == before


def test_a_user_who_goes(tree: Tree) -> None:
    accounts = tree.have(
        passwd="root:x:0:0:::\napp:x:70:71:::\napp:x:5:5:::\n", shadow="app:!:::::::\n",
        group="app:x:71:\nwww:x:33:root,app\napplication:x:72:app2\n", gshadow="app:!::\nwww:!::root,app\n",
    )  # fmt: skip
    accounts.remove_user("app")
    accounts.save()
    assert (tree.read("passwd"), tree.read("shadow")) == ("root:x:0:0:::\n", "")
    assert tree.read("group") == "www:x:33:root\napplication:x:72:app2\n"
    assert tree.read("gshadow") == "www:!::root\n"


@pytest.mark.parametrize("others", ["other:x:72:71:::\n", ""])
def test_a_group_that_others_need_stays(tree: Tree, others: str) -> None:
    members = "" if others else "root"
    accounts = tree.have(passwd=f"app:x:70:71:::\n{others}", group=f"app:x:71:{members}\n")
    accounts.remove_user("app")
    accounts.save()
    assert tree.read("group") == f"app:x:71:{members}\n"


def test_groups_of_a_user(tree: Tree) -> None:
    accounts = tree.have(passwd="", group="a:x:1:app,x\nb:x:2:x\nc:x:3:\nd:x:4:y,app\n")
    assert accounts.groups_of("app") == ["a", "d"]
    accounts.set_groups_of("app", ["b", "c", "d"])
    accounts.save()
    assert tree.read("group") == "a:x:1:x\nb:x:2:x,app\nc:x:3:app\nd:x:4:y,app\n"
    with pytest.raises(NsfleetError, match="no group nothing"):
        accounts.set_groups_of("app", ["nothing"])


@pytest.mark.parametrize(
    "line", ["app:x:seventy:71:::", "app:x:70::::", "app:x:70:71", "app:x:-1:71:::", "app:x:\u0667\u0660:71:::"]
)
def test_a_user_who_makes_no_sense_is_none(tree: Tree, line: str) -> None:
    accounts = tree.have(passwd=f"{line}\n")
    assert accounts.user("app") is None
    accounts.set_user("app", APP)
    accounts.save()
    assert tree.read("passwd") == LINE


def test_free_numbers() -> None:
    assert [Accounts.free({}, system) for system in (False, True)] == [1000, 999]
    assert [Accounts.free({1000, 999, 1001}, system) for system in (False, True)] == [1002, 998]
    assert (Accounts.free({5}, False, liked=6), Accounts.free({6}, False, liked=6)) == (6, 1000)
    with pytest.raises(NsfleetError, match="free"):
        Accounts.free(range(100, 1000), True)
