# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image in the store of this host: from a registry, from a file or directory that has it, or made here.

From the store it is given to others: pushed to the registry of its name, written into an OCI image layout.
"""

from __future__ import annotations

import contextlib
import os
import typing as t

from .._image.catalog import Stored
from .._image.errors import ImageError
from .._image.reference import Reference, reference
from .._image.store import Store
from .._model.errors import InvalidOptions, Missing, OptionError
from .._model.field import STAYS, Field, State, Table
from .._model.names import absolute_path
from .._model.resource import CREATE, DELETE, Change, Observation, Resource, Step
from .._runtime.bundle import used_images
from .image_info import shown
from .image_made import FIELDS_OF_MADE, Made
from .policy import POLICY

if t.TYPE_CHECKING:
    from .._image.manifest import Platform
    from .._image.source import Source
    from .._image.transport import Access


def _platform(value: str) -> str:
    from .._image.manifest import Platform

    return str(Platform.parse(value))


def _host(value: str) -> str:
    from .._image.registry import Mirror

    return Mirror.parse(value).location


#: How a registry is reached; of a mirror, too.
_ACCESS: t.Final = (
    Field("username", stateful=False),
    Field("password", no_log=True, stateful=False),
    Field("plain_http", "bool", default=False, stateful=False),
    Field("ca_file", "path", canonical=absolute_path, stateful=False),
    Field("client_certificate", "path", canonical=absolute_path, stateful=False),
    Field("client_key", "path", canonical=absolute_path, stateful=False),
    Field("proxy", no_log=True, stateful=False),
)
_MIRROR = Table((Field("location", required=True, canonical=_host), *_ACCESS))
#: Files of the host that options name.
_FILES: t.Final = ("ca_file", "client_certificate", "client_key")
#: What opens a registry, and is nobody else's business.
_NO_CREDENTIALS: t.Final = dict.fromkeys(("username", "password", "proxy"))
#: What is asked of a registry only.
_OF_REGISTRIES: t.Final = tuple(field.name for field in _ACCESS)
#: Where an image comes from, if not from a registry.
_SOURCES: t.Final = ("path", "rootfs", "container")
#: Where it is given to: what was given stays there.
DELIVERIES: t.Final = (
    Field("push", "bool", revert=STAYS),
    Field("layout", "path", canonical=absolute_path, revert=STAYS),
)
_DELIVERED: t.Final = frozenset(field.name for field in DELIVERIES)

TABLE = Table(
    (
        Field("name", required=True, canonical=reference, stateful=False),
        Field("state", choices=("present", "latest", "absent"), default="present", stateful=False),
        Field("path", "path", canonical=absolute_path, stateful=False),
        *FIELDS_OF_MADE,
        Field("platform", canonical=_platform),
        Field("verify", "bool", default=False, stateful=False),
        *_ACCESS,
        Field("mirrors", "list", elements="dict", table=_MIRROR, stateful=False),
        *DELIVERIES,
        # What the name leads to where the image comes from, and whether all of it is as it was when it came.
        Field("resolved", option=False),
        Field("whole", "bool", option=False),
        *(field for field in POLICY if field.name != "state"),
    ),
    mutually_exclusive=[_SOURCES],
)


class Image(Resource):
    """An image in the store."""

    kind = "image"
    table = TABLE
    root = "/var/lib/nsfleet"

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        # Images do not wait for each other; what two of them have in common does, in the store.
        self.domain = os.path.join("pulls", self.given["name"].replace("/", ","))
        self.reference = Reference.parse(self.given["name"])
        self.store = Store()
        self._made = Made(self.given, self.store) if {"rootfs", "container"} & set(self.given) else None
        self._restored = ""  #: digest of the image that the name is to lead to again
        self._coming = ""  #: digest of the manifest that the image will have, if that was asked
        self._index: str | None = None  #: the index that the layout is to have again
        if not self.absent:
            self.wanted["whole"] = True
        self._check()

    @property
    def key(self) -> str:
        """The canonical name, however the task writes it."""
        return str(self.given["name"])

    def _check(self) -> None:
        errors = self._contradictions()
        places = (("", self.given), *((f"mirrors[{each}].", mirror) for each, mirror in enumerate(self._mirrors)))
        for prefix, given in places:
            if ("username" in given) != ("password" in given):
                lacking = "password" if "username" in given else "username"
                errors.append(OptionError(prefix + lacking, "expected username and password, or neither"))
            if "client_key" in given and "client_certificate" not in given:
                errors.append(OptionError(f"{prefix}client_key", "expected client_certificate with it"))
        if errors:
            raise InvalidOptions(errors)

    def _contradictions(self) -> list[OptionError]:
        """Options that mean nothing beside where the image comes from."""
        source = next((option for option in _SOURCES if option in self.given), "")
        errors = []
        if source:
            words = f"expected none, since {source} says where the image comes from"
            idle = ("mirrors",) if self.given.get("push") is not None else ("mirrors", *_OF_REGISTRIES)
            errors += [OptionError(option, words) for option in idle if self.options.get(option)]
        elif self.given.get("push"):
            errors.append(OptionError("push", f"expected {', '.join(_SOURCES)}: a registry has it where it comes from"))
        if self._made is None and "config" in self.given:
            errors.append(OptionError("config", "expected rootfs or container with it"))
        if self._made is not None and self.reference.digest:
            errors.append(
                OptionError("name", "expected one without a digest, which comes of what the image is made of")
            )
        return errors

    @property
    def _mirrors(self) -> list[State]:
        return t.cast("list[State]", self.given.get("mirrors", []))

    # --- where it comes from -------------------------------------------------------

    @contextlib.contextmanager
    def _source(self) -> t.Iterator[Source]:
        if "path" not in self.given:
            from .._image.registry import Mirror, Registry

            mirrors = [Mirror.parse(each["location"], _access(each)) for each in self._mirrors]
            yield Registry(self.reference, _access(self.given), mirrors)
            return
        from .._image import layout

        with layout.opened(self.given["path"], self._scratch) as source:
            yield source

    @property
    def _scratch(self) -> str:
        """Where the store is, or will be: whoever only looks does not make it."""
        place = self.store.root
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        return place

    @property
    def _wanted_platform(self) -> Platform | None:
        from .._image.manifest import Platform

        return Platform.parse(self.given["platform"]) if "platform" in self.given else None

    # --- observe ---------------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Look into the store, and with state ``latest`` ask where the image comes from what the name means there."""
        del last
        if self.options.get("state") == "latest" and "resolved" not in self.wanted and not self._missing_files():
            newest = self._newest()
            self.wanted.update({"resolved": newest} if newest else {})
        index = self._index_of_layout()
        stored = self.store.find(self.reference)
        if stored is None:  # a name may lead to what is not there, or not all of it
            named = self.store.named(self.reference)
            return Observation({"whole": False} if named else None, True, {"digest": named, "index": index})
        state = {"platform": self._told_platform(stored), "resolved": stored.resolved, "whole": self._is_whole(stored)}
        state.update(self._delivered(self._goal(stored)))
        return Observation(state, True, {"digest": stored.digest}, stored, {"digest": stored.digest, "index": index})

    def _newest(self) -> str:
        """What the name means by now where the image comes from; empty if that is not there.

        :raises InvalidOptions: it cannot be made as the host is.
        """
        if self._made is None:
            with self._source() as source:
                return self._asked(source)
        obstacles = self._made.obstacles()
        refused = [each for each in obstacles if isinstance(each, OptionError)]
        if refused:
            raise InvalidOptions(refused)
        self._coming = "" if obstacles else self._made.digest()
        return self._coming

    def _asked(self, source: Source) -> str:
        """What a source says that the name means; where others are to have the image, which manifest it leads to."""
        if not _DELIVERED & set(self.given):
            return source.resolve(self.reference).digest
        from .._image.manifest import Platform
        from .._image.source import image

        found = image(source, self.reference, self._wanted_platform or Platform.here())
        self._coming = found.descriptor.digest
        return found.resolved.digest

    def _goal(self, stored: Stored) -> str | None:
        """Digest of the manifest that others are to have; ``None``: another one than now, not known before it comes."""
        if self._coming:
            return self._coming
        return stored.digest if self.given.get("platform") in (None, self._told_platform(stored)) else None

    def _delivered(self, digest: str | None) -> State:
        """Which of those that are to have an image have it."""
        found: State = {}
        if self.absent:
            return found
        if "push" in self.given:
            found["push"] = bool(self.given["push"]) and self._pushed() == digest
        if "layout" in self.given and self._held() == digest:
            found["layout"] = self.given["layout"]
        return found

    def _index_of_layout(self) -> str:
        """What the layout has now, by which it is put back."""
        if "layout" not in self.given or self.absent:
            return ""
        from .._image import layout

        return layout.index_of(self.given["layout"])

    def _pushed(self) -> str:
        """Digest that the registry has by the name; empty for none."""
        from .._image.registry import Registry
        from .._image.transport import RegistryError

        try:
            return Registry(self.reference, _access(self.given)).resolve(self.reference).digest
        except RegistryError as error:
            if error.status != 404:
                raise
            return ""

    def _held(self) -> str:
        """Digest of the image that the layout has by the name; empty for none."""
        from .._image import layout

        try:
            return layout.held(self.given["layout"], self.reference, self.given["verify"])
        except ImageError as error:
            raise InvalidOptions([OptionError("layout", str(error))]) from error

    def _told_platform(self, stored: Stored) -> str:
        """That of the image, in the words of the task if it fits them."""
        there, asked = stored.config.platform, self._wanted_platform
        fits = asked is not None and asked[:2] == there[:2] and asked.variant in ("", there.variant)
        return str(asked if fits else there)

    def _is_whole(self, stored: Stored) -> bool:
        """Whether every blob is what its digest says, if that is asked; that all are there is known."""
        return not (self.given["verify"] and self.store.damaged(stored.digest))

    # --- preflight -------------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """Files that options name, and what the image is made of."""
        return () if self.absent or self._restored else [*self._missing_files(), *self._obstacles(steps)]

    def _obstacles(self, steps: t.Sequence[Step]) -> t.Iterator[Exception]:
        """What cannot be written, or not be read as it is."""
        place = self.given.get("layout", "/")
        if os.path.lexists(place) and not os.path.isdir(place):
            yield OptionError("layout", f"expected a directory, and {place} is none")
        if self._made is not None and _is_taken_anew(change.path[0] for step in steps for change in step.changes):
            yield from self._made.obstacles()

    def _missing_files(self) -> list[Exception]:
        given = {
            "path": self.given.get("path"),
            **{option: self.given.get(option) for option in _FILES},
            **{f"mirrors[{n}].{option}": each.get(option) for n, each in enumerate(self._mirrors) for option in _FILES},
        }
        there = ((option, path) for option, path in given.items() if path and not os.path.exists(path))
        return [Missing(f"{option}: there is no {path}") for option, path in there]

    def advice(self) -> t.Iterable[str]:
        """That it is for other machines, where nobody said which it is to be for; that nobody knows the latest one."""
        from .._image.manifest import Platform

        stored, here = self.observed.handle, Platform.here()
        if stored is not None and self.options.get("state") == "latest" and "resolved" not in self.wanted:
            yield f"image {self.key} is as it was, since what it comes from is not there"
        if stored is not None and not self.absent and "platform" not in self.given:
            there = stored.config.platform
            if there[:2] != here[:2]:
                yield f"image {self.key} is for {there}, and this host is {here}; say platform if that is meant"

    # --- change ----------------------------------------------------------------------

    def create(self) -> list[Step]:
        """Pull it, or let the name lead to what it led to before."""
        return [self.step(CREATE, self.requested(), self._pull)]

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """Whatever is to be another one, one pull does it; what only others lack, they get from the store."""
        anew = _is_taken_anew(change.path[0] for change in changes)
        return [self.step("set", changes, self._pull if anew or self._restored else self._deliver)]

    def write(self, change: Change) -> None:
        """Pull it anew."""
        del change
        self._pull()

    def _pull(self) -> None:
        if self._restored:
            self._put_back()
            self.store.name(self._restored, self.reference)
            return
        stored = self.observed.handle
        if stored is not None and self.given["verify"]:
            self.store.drop(self.store.damaged(stored.digest))
        self._take()
        self._deliver()

    def _take(self) -> None:
        """Have it from where it comes from."""
        if self._made is not None:
            self._made.build(self.reference)
            return
        with self._source() as source:
            self.store.pull(source, self.reference, self._wanted_platform)

    def _deliver(self) -> None:
        """Give it to those that are to have it."""
        if self.given.get("push"):
            from .._image.push import push

            push(self.store, self.reference, self.reference, _access(self.given))
        if "layout" in self.given:
            from .._image import layout

            layout.save(self.store, self.reference, self.given["layout"])

    def _put_back(self) -> None:
        """Let the layout have what it had; what was pushed stays."""
        if self._index is not None:
            from .._image import layout

            layout.put_back(self.given["layout"], self._index, self.store, self.reference)

    def delete(self) -> list[Step]:
        """Let the name lead nowhere."""
        return [Step(DELETE, self.target, (), self._delete)]

    def _delete(self) -> None:
        self._put_back()
        self.store.remove(self.reference)

    def prior(self, before: Observation) -> Resource:
        """The name as it led before: what it led to is there until nobody goes back any more."""
        resource = t.cast(Image, super().prior(before))
        source = before.source or {}
        resource._restored = source.get("digest", "")
        for option in _DELIVERED:
            resource.wanted.pop(option, None)
            resource.given.pop(option, None)
        if "layout" in self.given:
            resource.given["layout"] = self.given["layout"]
            resource.wanted["layout"] = (before.state or {}).get("layout")
            resource._index = source.get("index", "")
        return resource

    def remembered(self) -> State:
        """The options without credentials, and such that whoever undoes this asks no registry for what it has by now.

        What the task asked for stays in them, which tells it from another task.
        """
        state, push, mirrors = (self.options.get(option) for option in ("state", "push", "mirrors"))
        lean = [{**mirror, **_NO_CREDENTIALS} for mirror in mirrors] if mirrors else mirrors
        calm = {"state": "present" if state == "latest" else state, "push": False if push else push}
        return {**self.options, **_NO_CREDENTIALS, "mirrors": lean, **calm, "asked": [state, push]}

    def spare(self) -> list[str]:
        """What of the store nothing needs."""
        used = used_images()
        return [] if used is None else self.store.spare(used.images)

    def settle(self, spare: t.Sequence[str]) -> None:
        """Remove it, if it is known what containers need."""
        del spare  # drafts, too, and blobs that came and led to no image
        used = used_images()
        if used is not None:
            self.store.collect(*used, wait=False)

    def tidy(self, footprint: State) -> None:
        """An image without a name; what of another one came already is for the next run to go on with."""
        del footprint
        spare = self.spare()
        if spare:
            self.settle(spare)

    def mark(self, ours: bool) -> None:
        """The store is ours alone: there is no image of somebody else's in it."""

    def shown(self) -> State:
        """The image as it is in the store."""
        stored = self.observed.handle
        return {"name": self.key} if stored is None else shown(stored)


def _is_taken_anew(options: t.Iterable[str]) -> bool:
    """Whether a change of these options is one of the image, and not only of who else has it."""
    return not set(options) <= _DELIVERED


def _access(given: State) -> Access:
    from .._image.transport import Access

    words = {option: given[option] for option in (field.name for field in _ACCESS) if given.get(option) is not None}
    return Access(**words)
