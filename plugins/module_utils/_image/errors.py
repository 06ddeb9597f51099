# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with an image, a layer or an archive, told so that its name cannot play tricks with a terminal."""

from __future__ import annotations

import os

from .._model.errors import NsfleetError

#: Longest name that an error shows whole, characters.
_LONGEST = 200


class ImageError(NsfleetError):
    """An image, a layer, an archive or an entry of one that is refused.

    :param subject: what it is: the name of an entry, a digest, a reference; empty for the whole archive.
    :param problem: what is wrong and what was expected, without a full stop.
    """

    def __init__(self, subject: str, problem: str) -> None:
        super().__init__(f"{shown(subject)}: {problem}" if subject else problem)
        self.subject = subject
        self.problem = problem


class LacksBelow(ImageError):
    """A layer that was unpacked alone, and has another name of a file that is in no layer of its own."""


def shown(name: str) -> str:
    """A name that somebody else chose, as one short line of printable characters."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
