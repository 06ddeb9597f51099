# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times in which nothing is changed, so that what many objects ask of the kernel is asked once."""

from __future__ import annotations

import contextlib
import typing as t

_Answer = t.TypeVar("_Answer")
#: Questions and answers of such times, the innermost last.
_times: list[dict[t.Hashable, t.Any]] = []


@contextlib.contextmanager
def asked() -> t.Iterator[None]:
    """Such a time."""
    _times.append({})
    try:
        yield
    finally:
        _times.pop()


def ask(question: t.Hashable, find: t.Callable[[], _Answer]) -> _Answer:
    """The answer to a question: at such a time that which was found first, else a new one.

    :param question: tells it from all others.
    :param find: finds the answer.
    """
    if not _times:
        return find()
    answers = _times[-1]
    if question not in answers:
        answers[question] = find()
    return t.cast(_Answer, answers[question])


def memory(owner: t.Hashable) -> dict[str, t.Any] | None:
    """What somebody keeps for the rest of such a time, ``None`` at any other time."""
    return _times[-1].setdefault(("memory", owner), {}) if _times else None
