# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image gives to a container: its layers, and defaults for options that the task does not give.

Nothing is pulled here: that the store has an image is a task of its own.
"""

from __future__ import annotations

import contextlib
import typing as t

from .._image.catalog import Catalog, Stored
from .._image.reference import Reference
from .._model.errors import Missing, OptionError
from .container_fields import FIELDS

if t.TYPE_CHECKING:
    from .._model.field import State

_FIELDS: t.Final = {field.name: field for field in FIELDS}


def find(reference: str) -> Stored | None:
    """The image of a reference, if the store has all of it.

    :param reference: canonical.
    """
    return Catalog().find(Reference.parse(reference))


def missing(reference: str) -> Missing:
    """What is said where the store does not have it."""
    return Missing(f"image: this host has no {reference}; a task nsfleet.linux.image before this one gets it")


def defaults(image: Stored) -> State:
    """Options of a container as the image has them, in canonical form; what it does not say is left out.

    :raises OptionError: it says something that no container can have.
    """
    config = image.config
    told = {
        "command": [*config.entrypoint, *config.cmd], "env": dict(config.env), "user": config.user,
        "cwd": config.working_dir, "stop_signal": config.stop_signal,
    }  # fmt: skip
    return {name: _canonical(image, name, value) for name, value in told.items() if value}


def _canonical(image: Stored, name: str, value: t.Any) -> t.Any:
    try:
        return _FIELDS[name].canonical(value)
    except ValueError as error:
        problem = f"{image.reference} says {name}, which cannot be: {error}; give {name} in the task"
        raise OptionError("image", problem) from error


def overlay(image: Stored | None, read_only: bool) -> str:
    """Where a container writes to if the task does not say."""
    if read_only:
        return "none"
    return "copy" if image is not None and image.plain else "disk"


def below(image: Stored) -> str:
    """All layers but the highest one, as a description has them (:func:`.spec.shared_layers`)."""
    return ":".join(reversed(image.layers[:-1]))


@contextlib.contextmanager
def kept(digest: str) -> t.Iterator[None]:
    """Nobody removes an image while a description is written that has it from now on.

    :param digest: of its manifest.
    :raises Missing: somebody has removed it.
    """
    store = Catalog()
    with store.using():
        if store.image(digest) is None:
            raise Missing(f"image: {digest} was removed meanwhile")
        yield
