# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipes of a command, with processes of this host; and patterns of files in a root."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel.path import find_in
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime.exchange import Exchange

MANY = 3_000_000


@contextlib.contextmanager
def talking(script: str, stdin: bytes | None = None, limit: int = 10 * MANY) -> t.Iterator[tuple[Exchange, int]]:
    """A shell that is connected, and its descriptor; it is killed in the end if it still runs."""
    with contextlib.closing(Exchange(stdin, limit)) as exchange:
        source, out, err = exchange.standard
        process = subprocess.Popen(
            ["/bin/sh", "-c", script], stdin=subprocess.DEVNULL if source is None else source, stdout=out, stderr=err
        )
        exchange.begin()
        handle = os.pidfd_open(process.pid)
        yield exchange, handle
        os.close(handle)
        process.kill()
        process.wait()


def test_both_outputs_and_the_input_at_once() -> None:
    """The shell reads, and writes to both, in an order that would hang who does one after the other."""
    script = f"head -c {MANY} /dev/zero >&2; cat; head -c {MANY} /dev/zero >&2"
    with talking(script, b"i" * MANY) as (exchange, handle):
        assert exchange.talk(handle, None)
        exchange.drain()
        assert exchange.stdout.kept == b"i" * MANY
        assert exchange.stderr.kept == bytes(2 * MANY)
        assert not exchange.stdout.truncated


@pytest.mark.parametrize(("limit", "kept", "truncated"), [(0, b"", True), (2, b"ab", True), (3, b"abc", False)])
def test_limit(limit: int, kept: bytes, truncated: bool) -> None:
    with talking("printf abc; printf defg >&2", limit=limit) as (exchange, handle):
        assert exchange.talk(handle, None)
        exchange.drain()
        assert (bytes(exchange.stdout.kept), exchange.stdout.truncated) == (kept, truncated)
        assert (bytes(exchange.stderr.kept), exchange.stderr.truncated) == (b"defg"[:limit], True)


def test_input_that_nobody_wants() -> None:
    with talking("exec <&-; echo done", b"i" * MANY) as (exchange, handle):
        assert exchange.talk(handle, None)
        exchange.drain()
        assert exchange.stdout.kept == b"done\n"


def test_outputs_that_are_closed_early() -> None:
    with talking("exec >&- 2>&-; read x; exit 0", b"x\n") as (exchange, handle):
        assert exchange.talk(handle, None)


@pytest.mark.parametrize("script", ["sleep 1000", "while :; do echo more; done"])
def test_time_runs_out(script: str) -> None:
    with talking(script, limit=10) as (exchange, handle):
        assert not exchange.talk(handle, 0.05)


def test_who_was_started_may_keep_the_output() -> None:
    with talking("echo early; sleep 1000 & echo $!") as (exchange, handle):
        assert exchange.talk(handle, None)
        exchange.drain()
        word, pid = exchange.stdout.kept.split()
        assert word == b"early"
        os.kill(int(pid), 9)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> t.Iterator[int]:
    """A root with a few files, and links that lead out of it for whoever follows them from outside."""
    for name in ("run/a.pid", "run/.hidden", "etc/hosts", "home/me/x.pid", "[odd]"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "outside").touch()
    (tmp_path / "root" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "up").symlink_to("../../outside")
    (tmp_path / "root" / "abs").symlink_to("/run")
    fd = os.open(tmp_path / "root", os.O_PATH)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("/", "/"), ("", "/"), ("/run/a.pid", "/run/a.pid"), ("run//./a.pid", "/run/a.pid"), ("/run/*", "/run/a.pid"),
        ("/*/*/*.pid", "/home/me/x.pid"), ("/[re]*/?.pid", "/run/a.pid"), ("/abs/*.pid", "/abs/a.pid"),
        ("/run/.h*", "/run/.hidden"), ("/run/*hidden", None), ("/run/b", None), ("/no*/x", None),
        ("/etc/hosts/*", None), ("/out", None), ("/up", None), ("/../outside", None),
        ("/../../run/a.pid", "/../../run/a.pid"),
        ("/[[]odd]", "/[odd]"),
    ],
)  # fmt: skip
def test_patterns_in_a_root(root: int, pattern: str, found: str | None) -> None:
    assert find_in(root, pattern) == found
