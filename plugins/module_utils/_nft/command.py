# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command nft(8), run inside a network namespace."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import typing as t

from .._kernel.namespace import inside, inside_new
from .._model.errors import NsfleetError

_PLACES = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"
NO_COMMAND: t.Final = (
    "there is no command nft on this host; install the package nftables, or run the role nsfleet.linux.host"
)


class NftError(NsfleetError):
    """nft refused what it was given; the text is its own."""


class NoTable(NftError):
    """There is no such table."""


def command() -> str | None:
    """Path of nft, ``None`` if it is not installed."""
    return shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_PLACES}")


def list_table(namespace: int, family: str, name: str) -> t.Any:
    """One table with its rules and all elements of its sets and maps, as ``nft -j`` shows it.

    :param namespace: file descriptor of the network namespace.
    :raises NoTable: there is none.
    :raises NftError: nft failed.
    """
    with inside(namespace):
        return json.loads(_nft("-j", "list", "table", family, name))


def list_text(namespace: int, family: str, name: str) -> str:
    """One table as people read it, without the elements of its sets and maps.

    :param namespace: file descriptor of the network namespace.
    :raises NoTable: there is none.
    :raises NftError: nft failed.
    """
    with inside(namespace):
        return _nft("-t", "list", "table", family, name)


def list_chains(namespace: int) -> t.Any:
    """The chains of all tables without their rules, as ``nft -j`` shows them.

    :param namespace: file descriptor of the network namespace.
    :raises NftError: nft failed.
    """
    with inside(namespace):
        return json.loads(_nft("-j", "list", "chains"))


def load(namespace: int, text: str) -> None:
    """Carry out commands as one transaction: all of them, or none.

    :param namespace: file descriptor of the network namespace.
    :param text: in the language of nft(8).
    :raises NftError: nft or the kernel refused; nothing was changed.
    """
    with inside(namespace):
        _nft("-f", "-", text=text)


@functools.cache
def rehearse(text: str, family: str, name: str) -> tuple[t.Any, str]:
    """Load a table where nobody sees it, in a network namespace that goes with the attempt; once for each text.

    :param text: commands that make the table.
    :returns: the table as :func:`list_table` and :func:`list_text` show it.
    :raises NftError: this nft or this kernel cannot do what the table needs.
    """
    with inside_new():
        _nft("-f", "-", text=text)
        return json.loads(_nft("-j", "list", "table", family, name)), _nft("-t", "list", "table", family, name)


def _nft(*words: str, text: str | None = None) -> str:
    """Run nft in the calling thread's network namespace and give its output."""
    path = command()
    if path is None:
        raise NftError(NO_COMMAND)
    done = subprocess.run(
        [path, *words], input=text or "", capture_output=True, text=True, check=False, env={"LC_ALL": "C"}
    )
    if done.returncode == 0:
        return done.stdout
    said = _first_error(done.stderr)
    if words[-4:-2] == ("list", "table") and "No such file or directory" in said:
        raise NoTable(said)
    raise NftError(f"nft {words[0] if text else ' '.join(words)}: {said}")


def _first_error(text: str) -> str:
    """The first error and the line it speaks of; a long element list is cut."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" ^~\t")]
    return ": ".join(line if len(line) < 200 else f"{line[:200]}..." for line in lines[:2]) or "it failed"
