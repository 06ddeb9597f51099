# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of what is put on top of a root file system, and what can be told to be wrong with them."""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
import typing as t

from .._model.errors import OptionError
from .._model.field import KEEP, STAYS, Field, State, Table
from .._model.names import absolute_path
from .._model.programs import command_words, environment, octal_mode, time_limit
from .._model.quantities import between, is_digits
from .rootfs_data import Data

#: Useradd(8), "CAVEATS".
_NAME: t.Final = re.compile(r"[a-z_][a-z0-9_-]*\$?")
_LONGEST_NAME: t.Final = 32
#: Hashes as of crypt(5), and what no password can be.
_HASH: t.Final = re.compile(r"[!*]+|[!*]*(\$[^:\n]+\$[^:\n]+|_[./0-9A-Za-z]{19}|[./0-9A-Za-z]{13})")
#: The greatest number of a user or group; the one above means none (chown(2)).
LARGEST_ID: t.Final = 2**32 - 2
#: PATH_MAX less its final zero, bytes.
_LONGEST_PATH: t.Final = 4095


# --- canonical forms ---------------------------------------------------------


def _inside(value: str) -> str:
    """A path in the tree, without detours.

    :raises ValueError: it is none, or the tree itself.
    """
    path = absolute_path(value)
    if ".." in value.split("/") or path.strip("/") == "" or len(path.encode(errors="surrogateescape")) > _LONGEST_PATH:
        raise ValueError(f"expected a path in the tree, such as /etc/motd, without '..', got {value!r}")
    return posixpath.join("/", path.lstrip("/"))


def _text(value: str) -> Data:
    return Data.of(value.encode(errors="surrogateescape"))


def _binary(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("expected base64, as of the filter b64encode") from None
    return value


def _target(value: str) -> str:
    if not value or "\0" in value or len(value.encode(errors="surrogateescape")) > _LONGEST_PATH:
        raise ValueError(f"expected 1 to {_LONGEST_PATH} bytes without a zero byte, got {value!r}")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or len(value) > _LONGEST_NAME:
        raise ValueError(
            f"expected 1 to {_LONGEST_NAME} lower case letters, digits, '_' and '-', of which the first is a letter "
            f"or '_', got {value!r}"
        )
    return value


def _owner(value: str) -> str:
    """The name of a user or group, or its number."""
    if is_digits(value):
        return str(between(0, LARGEST_ID)(int(value)))
    return _name(value)


def _names(values: t.Sequence[str]) -> list[str]:
    return sorted({_name(str(value)) for value in values})


def _column(value: str) -> str:
    """What a line of passwd(5) can have between its colons."""
    if any(letter in value for letter in ":\n\0"):
        raise ValueError(f"expected words without ':' and in one line, got {value!r}")
    return value


def _home(value: str) -> str:
    return _column(absolute_path(value))


def _password(value: str) -> str:
    if not _HASH.fullmatch(value):
        raise ValueError("expected a hash, as of the filter password_hash, or '!' or '*' for none that fits")
    return value if set(value) <= set("!*") else Data.secret(value)


# --- tables ------------------------------------------------------------------

_OWNERS: t.Final = (
    Field("owner", default="root", canonical=_owner),
    Field("group", default="root", canonical=_owner),
)
#: What there is at a path, which a task says by the option that it names the path in.
_KIND: t.Final = Field("kind", option=False)
_CONTENTS: t.Final = ("content", "content_base64", "source")

FILES: t.Final = Table(
    (
        Field("path", required=True, canonical=_inside),
        Field("content", canonical=_text),
        Field("content_base64", canonical=_binary, stateful=False),
        Field("source", "path", canonical=absolute_path, stateful=False),
        Field("mode", default="0644", canonical=octal_mode),
        *_OWNERS,
        _KIND,
        Field("target", option=False),
    ),
    mutually_exclusive=[_CONTENTS],
    required_one_of=[_CONTENTS],
)
DIRECTORIES: t.Final = Table(
    (
        Field("path", required=True, canonical=_inside),
        Field("mode", default="0755", canonical=octal_mode),
        *_OWNERS,
        _KIND,
    )
)
LINKS: t.Final = Table(
    (
        Field("path", required=True, canonical=_inside),
        Field("target", required=True, canonical=_target),
        *(Field(name, option=False) for name in ("content", "mode", "owner", "group")),
        _KIND,
    )
)
_ID: t.Final = between(0, LARGEST_ID)
_SYSTEM: t.Final = Field("system", "bool", default=False, stateful=False)
GROUPS: t.Final = Table(
    (
        Field("name", required=True, canonical=_name),
        Field("gid", "int", canonical=_ID),
        _SYSTEM,
        Field("members", "list", elements="str", canonical=_names, revert=KEEP),
    )
)
USERS: t.Final = Table(
    (
        Field("name", required=True, canonical=_name),
        Field("uid", "int", canonical=_ID),
        _SYSTEM,
        Field("group", canonical=_owner),
        Field("gid", "int", option=False),
        Field("groups", "list", elements="str", canonical=_names),
        Field("home", "path", canonical=_home),
        Field("shell", "path", canonical=_home),
        Field("comment", canonical=_column),
        Field("password", no_log=True, canonical=_password),
        # Whether it was written to the end, as far as files and groups go that it needs.
        Field("whole", "bool", option=False),
    )
)
COMMANDS: t.Final = Table(
    (
        Field("name", required=True, canonical=_column),
        Field("argv", "list", elements="str", required=True, canonical=command_words, stateful=False),
        Field("creates", required=True, canonical=_inside, stateful=False),
        Field("env", "dict", canonical=environment, stateful=False),
        Field("network", choices=("none", "host"), default="none", stateful=False),
        Field("timeout", "float", canonical=time_limit, stateful=False),
        Field("done", "bool", option=False),
    )
)


def _named(name: str, table: Table, key: str, **words: t.Any) -> Field:
    """A list of things of which the tree may have others, too, and may have had these before."""
    return Field(name, "list", elements="dict", table=table, key=key, exact=False, returns=True, **words)


CONTENT_FIELDS: t.Final = (
    _named("groups", GROUPS, "name"),
    _named("users", USERS, "name"),
    _named("directories", DIRECTORIES, "path"),
    _named("files", FILES, "path"),
    _named("links", LINKS, "path"),
    # What a command did, nobody can undo.
    _named("commands", COMMANDS, "name", revert=STAYS),
)
#: Their names, in the order in which they are brought about.
OPTIONS: t.Final = tuple(field.name for field in CONTENT_FIELDS)
#: Those that name what is at a path, and what that is.
KINDS: t.Final = {"directories": "directory", "files": "file", "links": "link"}


# --- what can be told from the options alone ---------------------------------


def check(wanted: State) -> list[OptionError]:
    """What is wrong with options in canonical form."""
    return [*_check_contents(wanted), *_check_paths(wanted), *_check_ids(wanted), *_check_members(wanted)]


def _check_contents(wanted: State) -> t.Iterator[OptionError]:
    for path, each in wanted.get("files", {}).items():
        if sum(option in each for option in _CONTENTS) != 1:
            yield OptionError(f"files[{path}]", f"expected one of {', '.join(_CONTENTS)}")
    for name, each in wanted.get("commands", {}).items():
        if not each["argv"]:
            yield OptionError(f"commands[{name}].argv", "expected the program to run and its arguments, as a list")


def _check_paths(wanted: State) -> t.Iterator[OptionError]:
    """A path can be one thing only, and what is below it must be in a directory."""
    places: dict[str, str] = {}
    for option in KINDS:
        for path in wanted.get(option, {}):
            if path in places:
                yield OptionError(f"{option}[{path}]", f"is in {places[path]}, too")
            places.setdefault(path, option)
    for path, option in places.items():
        above = posixpath.dirname(path)
        while above != "/":
            if places.get(above) == "files":
                yield OptionError(f"{option}[{path}]", f"is below {above}, which is in files")
            above = posixpath.dirname(above)


def _check_ids(wanted: State) -> t.Iterator[OptionError]:
    for option, key in (("users", "uid"), ("groups", "gid")):
        seen: dict[int, str] = {}
        for name, each in wanted.get(option, {}).items():
            number = each.get(key)
            if number is not None and seen.setdefault(number, name) != name:
                yield OptionError(f"{option}[{name}].{key}", f"{number} is that of {seen[number]}, too")


def _check_members(wanted: State) -> t.Iterator[OptionError]:
    """What users say of groups, groups must not say otherwise."""
    for user, each in wanted.get("users", {}).items():
        for group, other in wanted.get("groups", {}).items():
            if "groups" in each and "members" in other and (user in other["members"]) != (group in each["groups"]):
                yield OptionError(f"users[{user}].groups", f"expected what groups[{group}].members says of {user}")
