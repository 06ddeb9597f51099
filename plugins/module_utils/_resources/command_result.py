# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a program that was waited for, in a container that runs or in one of its own."""

from __future__ import annotations

import contextlib
import datetime
import typing as t

from .._model.field import State
from .._runtime.exchange import Exchange

#: Runs the program: its exit code, and whether it was killed since its time was over.
Execute = t.Callable[[Exchange], tuple[int, bool]]


def not_run(words: str, *, changed: bool = False, skipped: bool = True, warnings: t.Sequence[str] = ()) -> State:
    """What is told of a program that is not run, as the module ansible.builtin.command does.

    :param words: why not.
    :param changed: whether it would be run if this were not check mode.
    """
    return {
        "changed": changed, **({"skipped": True} if skipped else {}), "msg": words, "rc": 0, "stdout": "", "stderr": "",
        "start": None, "end": None, "delta": None, "timed_out": False, "truncated": False, "warnings": list(warnings),
    }  # fmt: skip


def run(options: State, execute: Execute, failure: t.Callable[[int], str]) -> State:
    """Run a program, and tell what came of it.

    :param options: canonical values of :data:`.container_fields.TALK`.
    :param failure: why the program with an exit code failed; empty if it did not.
    """
    exchange = Exchange(_input(options), options["output_limit"])
    with contextlib.closing(exchange):
        start = datetime.datetime.now()
        code, timed_out = execute(exchange)
        end = datetime.datetime.now()
    words = _too_late(options) if timed_out else failure(code)
    return {
        "changed": True, "failed": bool(words), "msg": words, "rc": code,
        "stdout": _text(exchange.stdout.kept, options), "stderr": _text(exchange.stderr.kept, options),
        "start": str(start), "end": str(end), "delta": str(end - start),
        "timed_out": timed_out, "truncated": exchange.stdout.truncated or exchange.stderr.truncated,
    }  # fmt: skip


def by_code(code: int) -> str:
    """Why a program failed of which nothing else is known."""
    return "non-zero return code" if code else ""


def _too_late(options: State) -> str:
    return f"the command did not end within {options['timeout']:g} s and was killed, with all that it had started"


def _input(options: State) -> bytes | None:
    if "stdin" not in options:
        return None
    words = options["stdin"] + ("\n" if options["stdin_add_newline"] else "")
    return t.cast("str", words).encode(errors="surrogateescape")


def _text(output: bytearray, options: State) -> str:
    """Output as text; bytes that are no UTF-8 are shown as ``\\xff``, since a result has to be text."""
    text = output.decode(errors="backslashreplace")
    return text.rstrip("\r\n") if options["strip_empty_ends"] else text
