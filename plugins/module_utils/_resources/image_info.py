# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be told of the images in the store of this host."""

from __future__ import annotations

import typing as t

from .._image.catalog import Catalog, Stored
from .._image.reference import Reference, reference
from .._model.field import Field, State, Table
from .._runtime.bundle import Bundle, Damaged, names
from .._runtime.spec import annotation

TABLE = Table((Field("name", canonical=reference), Field("verify", "bool", default=False)))


def gather(options: t.Mapping[str, t.Any]) -> State:
    """One image, or all of the host.

    :param options: canonical options of :data:`TABLE`.
    """
    store = Catalog()
    if "name" in options:
        one = store.find(Reference.parse(options["name"]))
        found = [] if one is None else [one]
    else:
        found = store.images()
    users = _users()
    return {
        "images": [
            {
                **shown(each),
                "containers": users.get(each.digest, []),
                "damaged": store.damaged(each.digest) if options["verify"] else [],
            }
            for each in found
        ]
    }


def _users() -> dict[str, list[str]]:
    """Digests of images to the names of the containers that have them."""
    found: dict[str, list[str]] = {}
    for name in names():
        try:
            found.setdefault(annotation(Bundle(name).spec, "image-digest"), []).append(name)
        except Damaged:
            continue
    return found


def shown(stored: Stored) -> State:
    """What is told of an image."""
    config = stored.config
    health = config.health
    return {
        "name": stored.reference,
        "digest": stored.digest,
        "resolved": stored.resolved,
        "platform": str(config.platform),
        "size": stored.size,
        "layers": list(stored.layers),
        "plain": stored.plain,
        "created": config.created,
        "entrypoint": list(config.entrypoint),
        "cmd": list(config.cmd),
        "env": dict(config.env),
        "user": config.user,
        "working_dir": config.working_dir,
        "exposed_ports": list(config.exposed_ports),
        "stop_signal": config.stop_signal,
        "volumes": list(config.volumes),
        "labels": dict(config.labels),
        "health_check": None if health is None else {**health._asdict(), "test": list(health.test)},
    }
