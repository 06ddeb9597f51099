# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root file system: one directory tree on this host, that containers have as their ``rootfs``.

It is made beside its place and put there by one rename, with a record of every file in it. So it is there as a whole or
not at all, and what somebody changed in it is found, and made again from what it was made of.
"""

from __future__ import annotations

import contextlib
import functools
import os
import typing as t

from .._image.reference import reference
from .._kernel import files
from .._kernel.directories import identity, mounted_in, opened, replace
from .._kernel.syscall import call
from .._model.errors import InvalidOptions, KernelError, NsfleetError, OptionError
from .._model.field import RECREATE, Field, State, Table
from .._model.names import absolute_path
from .._model.resource import ADOPT, CREATE, DELETE, SET, Change, Observation, Resource, Step
from . import rootfs_archive, rootfs_debootstrap
from .policy import POLICY
from .rootfs_fields import CONTENT_FIELDS, OPTIONS
from .rootfs_record import Made, Records
from .rootfs_source import Directory, Host, Image, Origin, Source

if t.TYPE_CHECKING:
    from .._image.tree import Difference, Tree
    from .rootfs_content import Content

#: What a tree can be made of.
SOURCES: t.Final = ("directory", "archive", "archive_src", "image", "debootstrap", "host")
#: Longest path, bytes: a file of ours has it as its name.
_LONGEST: t.Final = 200
#: How many differences are told one by one.
_TOLD: t.Final = 20
#: How names begin of content that is kept for going back.
_KEPT: t.Final = "kept/"
#: Below which our own directories are.
_OURS: t.Final = "/var/lib/nsfleet"


def _path(value: str) -> str:
    path = absolute_path(value)
    if f"{_OURS}/".startswith(f"{path.rstrip('/')}/"):
        raise ValueError(f"expected a directory that does not hold {_OURS}, got {value!r}")
    if len(_quoted(path)) > _LONGEST:
        raise ValueError(f"expected a path of at most {_LONGEST} bytes (a slash counts three), got {value!r}")
    return path


def _quoted(path: str) -> str:
    """A path as the name of a file."""
    return path.replace("%", "%25").replace("/", "%2F")


def _inside(values: t.Sequence[str]) -> list[str]:
    """Paths from the top of a tree, as the tree has them."""
    return sorted({_below(str(value)) for value in values})


def _below(value: str) -> str:
    path = absolute_path(f"/{value}").strip("/")
    if not path:
        raise ValueError(f"expected a directory below the top of the tree, got {value!r}")
    return path


TABLE = Table(
    (
        Field("path", "path", required=True, canonical=_path, stateful=False),
        Field("directory", "path", canonical=absolute_path, stateful=False),
        Field("archive", canonical=rootfs_archive.location, stateful=False),
        Field("archive_src", stateful=False),
        Field("checksum", canonical=rootfs_archive.checksum, stateful=False),
        Field("image", canonical=reference, stateful=False),
        Field("host", "bool", default=False, stateful=False),
        # What it was made of, by its name and by its digest.
        Field("source", option=False, effect=RECREATE),
        Field("source_digest", option=False, effect=RECREATE),
        rootfs_debootstrap.FIELD,
        *CONTENT_FIELDS,
        Field("exclude", "list", elements="str", canonical=_inside),
        Field("verify", choices=("none", "metadata", "content"), default="none", stateful=False),
        # What somebody changed in it.
        Field("changed", "list", elements="str", option=False),
        # Which directory it is; only going back asks for a certain one.
        Field("tree", option=False, effect=RECREATE),
        *POLICY,
    )
)


class Rootfs(Resource):
    """A root file system."""

    kind = "rootfs"
    table = TABLE
    root = _OURS

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self.path: str = self.given["path"]
        self.domain = os.path.join("trees", _quoted(self.path))  # trees do not wait for each other
        self.source = _source(self.given)
        self._records = Records(os.path.join(self.root, self.domain))
        self._before = ""  #: which directory it is to be again
        folder, name = os.path.split(self.path)
        #: Beside it: the tree that is being made, and the one that it takes the place of.
        self._draft, self._old = (os.path.join(folder, f".{name}.nsfleet-{word}") for word in ("new", "old"))
        self._check()
        if not self.absent:
            self.wanted.update(changed=[], exclude=self.given.get("exclude", []))

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.options["path"])

    @property
    def key(self) -> str:
        """Its path, however the task writes it."""
        return self.path

    @functools.cached_property
    def content(self) -> Content:
        """What is put on top of it."""
        from .rootfs_content import Content  # which most trees have nothing of

        return Content({} if self.absent else self.wanted, os.path.join(self.root, self.domain, "kept"))

    @property
    def _has_top(self) -> bool:
        """Whether anything is, or was, put on top of it."""
        return "content" in vars(self) or any(option in {**self.applied, **self.wanted} for option in OPTIONS)

    def _check(self) -> None:
        """What can be told from the options alone."""
        given = [option for option in SOURCES if self.given.get(option)]
        if self.given.get("archive_src") and "archive" in given:  # where the controller sent it
            given.remove("archive")
        errors = [OptionError(option, f"expected none beside {given[0]}") for option in given[1:]]
        if "checksum" in self.given and not {"archive", "archive_src"} & set(given):
            errors.append(OptionError("checksum", "expected archive or archive_src with it"))
        if isinstance(self.source, rootfs_archive.Archive) and self.source.is_remote and "checksum" not in self.given:
            errors.append(OptionError("checksum", "expected one, since archive is a URL"))
        folder = self.given.get("directory")
        if folder and os.path.commonpath([folder, self.path]) in (folder, self.path):
            errors.append(OptionError("directory", f"expected one that is not in {self.path}, nor around it"))
        errors += self.content.errors if self._has_top else []
        if errors:
            raise InvalidOptions(errors)

    # --- observe ---------------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Look whether the tree is there and what it was made of; if that is asked, at all files in it."""
        del last
        if self._has_top:
            self.content.prepare()
        self._want(None)
        if not os.path.lexists(self.path):
            return Observation(None)
        which = identity(self.path)
        made = self._records.load(which)
        if made is None:
            self._refuse_foreign()
            state = {"tree": which, "source": "", "changed": [], "exclude": [], **self._read_content()}
            return Observation(state, False, {"tree": which})
        self._want(made)
        found = self._differences(made, which)
        state = {
            "tree": which, "source": made.source, "source_digest": made.source_digest, "debootstrap": made.options,
            "exclude": list(made.exclude), "changed": _told(self._of_tree(found)), **self._read_content(),
        }  # fmt: skip
        return Observation(state, True, {"tree": which}, (made, found))

    def _read_content(self) -> State:
        """What of it is put on top."""
        if not self._has_top:
            return {}
        self.content.remember(self.applied, self.originals)
        self.noticed.update(self.content.noticed)
        if self.absent or os.path.islink(self.path) or not os.path.isdir(self.path):
            return {}
        with opened(self.path) as root, self._reading():
            return self.content.observe(root)

    def _of_tree(self, found: list[Difference]) -> list[Difference]:
        """Differences without those of what is put on top, which is compared by itself."""
        if not (found and self._has_top):
            return found
        with opened(self.path) as root:
            paths = self.content.paths(root)
        return [each for each in found if each.path not in paths]

    def _want(self, made: Made | None) -> None:
        """What the tree is to be made of, as far as that can be told."""
        if self.source is None or self._before or self.absent:
            return
        look = self.given["verify"] != "none"
        known = made if made is not None and made.source == self.source.name else None
        told = {"source": self.source.name, "source_digest": self.source.digest(known, look)}
        for option in ("source_digest", "debootstrap"):
            self.wanted.pop(option, None)
        self.wanted.update({option: value for option, value in told.items() if value})
        if self.source.options:
            self.wanted["debootstrap"] = self.source.options

    def _refuse_foreign(self) -> None:
        """Where nothing is asked of a directory, nothing would say that it is not ours."""
        if self.source is None and not (self.absent or self._before or self.options.get("adopt")):
            words = f"{self.path} was not made by nsfleet.linux; set adopt to true to take it over as it is"
            raise InvalidOptions([OptionError("path", words)])

    def _differences(self, made: Made, which: str) -> list[Difference]:
        """What is not as it was."""
        from .._image import tree

        verify = self.given["verify"]
        if verify == "none" or self.absent or self._before:
            return []
        excluded = self._excluded()
        same = made.looked in (verify, "content") and list(made.exclude) == self.wanted["exclude"]
        with opened(self.path) as root, self._reading():
            if same and made.stamp == tree.stamp(root, excluded):
                return []
        return self._compared(self._kept(which))

    def _compared(self, wanted: Tree) -> list[Difference]:
        """What is not as it is to be, as far as that is asked for."""
        from .._image import tree

        excluded = self._excluded()
        with opened(self.path) as root, self._reading():
            found = tree.look(root, self.given["verify"] == "content", excluded)
        return tree.differences(_without(wanted, excluded), found)

    def _kept(self, which: str) -> Tree:
        """All files of a directory as they were.

        :raises NsfleetError: somebody removed the record.
        """
        found = self._records.tree(which)
        if found is None:
            raise NsfleetError(f"{self.target}: nobody knows any more what it was; remove it, and make it anew")
        return found

    @contextlib.contextmanager
    def _reading(self) -> t.Iterator[None]:
        try:
            yield
        except OSError as error:
            raise KernelError(f"read {self.path}, in which somebody changes something", error) from None

    def _excluded(self) -> list[str]:
        """Where nobody looks: what the task says, and what is mounted."""
        path = os.path.realpath(self.path)
        mounted = (os.path.relpath(each, path) for each in mounted_in(path) if each != path)
        return [*self.given.get("exclude", ()), *mounted]

    # --- preflight -------------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """What it is made of, and who has the tree; nothing is asked of the controller that would come to nothing."""
        found = list(self._obstacles(steps))
        return [each for each in found if not isinstance(each, rootfs_archive.NotSent)] or found

    def _obstacles(self, steps: t.Sequence[Step]) -> t.Iterator[Exception]:
        if self.observed.exists and (os.path.islink(self.path) or not os.path.isdir(self.path)):
            yield OptionError("path", f"expected a directory, and {self.path} is none")
            return
        adopts = self.observed.exists and not self.observed.owned and not self.absent
        changes = [change for step in steps for change in step.changes]
        anew = any(change.field.effect == RECREATE for change in changes) or self._is_replaced(changes)
        if not self.absent:
            yield from self._content_obstacles(self.observed.exists and (adopts or not anew))
        if adopts:
            return
        if not self.absent and (anew or not self.observed.exists or _is_mended(changes)):
            yield from self._lacking()
        if self.observed.exists and (self.absent or anew or _is_mended(changes)):
            yield from self._mounted()
        if self.observed.exists and (self.absent or anew):
            yield from self._users()

    def _content_obstacles(self, there: bool) -> t.Iterator[Exception]:
        """What of it cannot be put on top.

        :param there: whether it is put on the tree that is there.
        """
        if not self._has_top:
            return
        with opened(self.path) if there else contextlib.nullcontext() as root, self._reading():
            yield from self.content.obstacles(root)

    def _lacking(self) -> t.Iterator[Exception]:
        if self.source is None:
            first, *others = SOURCES
            yield OptionError(first, f"expected one, or {', '.join(others)}: what the tree is to be made of")
        else:
            yield from self.source.obstacles()

    def _mounted(self) -> t.Iterator[Exception]:
        """What is mounted is not ours, and would be removed with what it is mounted on."""
        for place in mounted_in(os.path.realpath(self.path)):
            yield OptionError("path", f"something is mounted at {place}; unmount it first")

    def _users(self) -> t.Iterator[Exception]:
        """Containers that have the tree; while it is made anew, those only that run, or may at any moment."""
        from .._runtime import bundle
        from .._runtime import state as states

        try:
            names = bundle.users_of(os.path.realpath(self.path))
        except bundle.Damaged as error:
            yield OptionError("path", f"nobody knows which containers have it: {error}")
            return
        if not self.absent:
            known = ((name, states.load(name)) for name in names)
            names = [name for name, state in known if state.running or state.supervised]
        remedy = "remove them first" if self.absent else "it is to be made anew; stop them first (state: stopped)"
        if names:
            yield OptionError("path", f"{self.path} is used by {', '.join(names)}; {remedy}")

    # --- change ----------------------------------------------------------------------

    def requested(self) -> list[Change]:
        """What the task says; that nothing of it is changed goes without saying."""
        return [change for change in super().requested() if change.after != []]

    def create(self) -> list[Step]:
        """Make it, or put back the one that was there."""
        return [self.step(CREATE, self.requested(), self._put_back if self._before else self._make)]

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """What somebody changed is made again, file by file if what it is made of still gives the same."""
        if self._is_replaced(changes):
            return [self.step(SET, changes, self._replace)._replace(effect=RECREATE)]
        rest = [change for change in changes if change.path[0] not in OPTIONS]
        steps = [self.step(SET, rest, self._mend if _is_mended(rest) else self._note)] if rest else []
        return [*steps, *self._top(changes)]

    def _top(self, changes: t.Sequence[Change]) -> list[Step]:
        """The step for what is put on top: one, since the record of the tree is written once."""
        changes = [change for change in changes if change.path[0] in OPTIONS]
        return [self.step(SET, changes, functools.partial(self._put_on_top, changes))] if changes else []

    def recreate(self, changes: t.Sequence[Change]) -> list[Step]:
        """Another one in its place, which is kept until it is known that this one is as wanted."""
        if self._before:
            return [self.step(SET, changes, self._put_back)]
        if not self.observed.owned:  # it is taken over as it is
            rest = tuple(change for change in changes if change.path[0] not in OPTIONS)
            return [Step(ADOPT, self.target, rest, functools.partial(self.mark, True)), *self._top(changes)]
        return [self.step(SET, changes, self._replace)]

    def adopt(self) -> list[Step]:
        """The step that says what it is made of takes it over."""
        return super().adopt() if self.source is None else []

    def write(self, change: Change) -> None:
        """Make one change."""
        for step in self.change([change]):
            step.run()

    def _is_replaced(self, changes: t.Sequence[Change]) -> bool:
        """Whether what was changed cannot be made again file by file."""
        repeatable = self.source is None or (self.source.repeatable and not self.wanted.get("commands"))
        return _is_mended(changes) and not repeatable

    def _make(self) -> None:
        made = self._build()
        os.rename(self._draft, self.path)
        self._placed(made)

    def _replace(self) -> None:
        made = self._build()
        self._clear(self._old)
        replace(self._draft, self.path, self._old)
        self._placed(made)
        # What was put on top of the other one is gone with it.
        self.applied = {option: value for option, value in self.applied.items() if option not in OPTIONS}
        self.content.forget()

    def _build(self) -> Made:
        """Make a tree beside its place, and write down what it is."""
        from .._image import tree

        source = t.cast("Source", self.source)
        above = self._missing_above()
        origin = self._fill()
        with opened(self._draft) as root:
            seen = tree.look(root, True)
            call("syncfs", root)
        if self.observed.handle:
            above = [*self.observed.handle[0].above, *above]
        made = Made(source.name, origin.digest or "", origin.seen, source.options, above=above).of(seen)
        if origin.digest is None:
            made = made._replace(source_digest=made.digest)
        self._records.save(identity(self._draft), made, seen)
        return made

    def _fill(self) -> Origin:
        """Make a tree beside its place."""
        self._clear(self._draft)
        os.makedirs(os.path.dirname(self._draft), mode=0o700, exist_ok=True)
        os.mkdir(self._draft)
        os.chmod(self._draft, 0o755)
        os.utime(self._draft, ns=(0, 0))  # which it keeps where nothing says anything of it
        origin = t.cast("Source", self.source).fill(self._draft)
        with opened(self._draft) as root:
            self.content.create(root)
        self.noticed.update(self.content.noticed)
        return origin

    def _placed(self, made: Made) -> None:
        """Write down by what it is seen that the tree in its place is the one that was made."""
        files.sync_directory(os.path.dirname(self.path))
        self._records.save(identity(self.path), self._stamped(made, "content"))

    def _stamped(self, made: Made, looked: str) -> Made:
        """A record of the tree that was just looked at.

        :param looked: at what of its files; ``none``: at nothing.
        """
        from .._image import tree

        with opened(self.path) as root:
            stamp = "" if looked == "none" else tree.stamp(root, self._excluded())
        return made._replace(exclude=self.given.get("exclude", []), stamp=stamp, looked=looked)

    def _note(self) -> None:
        """Look at other parts of the tree from now on."""
        made, _found = self.observed.handle
        self._records.save(identity(self.path), self._stamped(made, self.given["verify"]))

    def _put_on_top(self, changes: t.Sequence[Change]) -> None:
        """Make changes of what is put on top, and write down what the tree is then."""
        from .._image import tree

        with opened(self.path) as root:
            for group in self.content.ordered(changes):
                self.content.write(root, group)
            which = identity(self.path)
            made, known = self._records.load(which), self._records.tree(which)
            if made is None:
                return
            touched = self.content.touched(root)
            if known is None or any(change.path[0] == "commands" for change in changes) or _has_others(known, touched):
                seen: Tree = tree.look(root, True, self._excluded())
            else:
                kept = {path: each for path, each in known.items() if path not in touched}
                seen = tree.ordered({**kept, **tree.look_at(root, touched)})
        self._records.save(which, self._stamped(made.of(seen), self.given["verify"]), seen)

    def _mend(self) -> None:
        """Make again, file by file, what was changed."""
        from .._image import tree

        which, verify = identity(self.path), self.given["verify"]
        made, found = self.observed.handle
        self._fill()
        with opened(self._draft) as source, opened(self.path) as root:
            wanted = _again(self._kept(which), tree.look(source, True), [each.path for each in found])
            tree.repair(root, source, self._compared(wanted))
            left = self._compared(wanted)
        if left:
            raise NsfleetError(f"{self.target} cannot be repaired: {'; '.join(_told(left))}")
        self._records.save(which, self._stamped(made.of(wanted), verify), wanted)
        self._clear(self._draft)

    def mark(self, ours: bool) -> None:
        """Take it over as it is, or let go of it."""
        from .._image import tree

        which = identity(self.path)
        if not ours:
            self._records.forget(which)
            return
        with opened(self.path) as root, self._reading():
            seen = tree.look(root, True)
        source = self.source
        digest = self.wanted.get("source_digest", "")
        made = Made(source.name, digest, {}, source.options) if source else Made("", "", {}, {})
        self._records.save(which, self._stamped(made.of(seen), "content"), seen)

    def delete(self) -> list[Step]:
        """The tree, and what is known of it."""
        return [Step(DELETE, self.target, (), self._delete)]

    def _delete(self) -> None:
        """It goes at once as a whole; that it is gone from the disk, nobody has to wait for."""
        self._clear(self._old)
        os.rename(self.path, self._old)

    # --- going back --------------------------------------------------------------------

    def prior(self, before: Observation) -> Resource:
        """The directory that was there; what somebody had changed in it is not changed again."""
        state = None if before.state is None else {"tree": before.state["tree"]}
        self._calm()
        resource = t.cast(Rootfs, super().prior(before._replace(state=state)))
        # What commands did stays. What else is on top need not be as a task may ask for it.
        top = (option for option in OPTIONS if option != "commands")
        there = before.state or {}
        resource.wanted.update({option: there[option] for option in top if option in there})
        if self._has_top:
            resource.content.remember(self.given, {})
        resource._before = state["tree"] if state else ""
        return resource

    def _calm(self) -> None:
        """Nothing of a run that was killed still changes a tree, or is half-written in it."""
        if self.wanted.get("commands"):
            from . import rootfs_commands

            for place in (self._draft, self.path):
                rootfs_commands.tidy(place)
        if os.path.isdir(self.path) and not os.path.islink(self.path):
            with opened(self.path) as root:
                self.content.sweep(root)

    def _put_back(self) -> None:
        for place, other in ((self._draft, self._old), (self._old, self._draft)):
            if os.path.lexists(place) and identity(place) == self._before:
                if os.path.lexists(self.path):
                    replace(place, self.path, other)
                else:
                    os.rename(place, self.path)
                return
        raise NsfleetError(f"the directory that was {self.path} is not there any more")

    def remembered(self) -> State:
        """The options without where the controller put an archive for this run only."""
        return {**self.options, "archive": None} if self.given.get("archive_src") else super().remembered()

    def footprint(self) -> State:
        """Directories that are made for it."""
        return {"above": self._missing_above()}

    def _missing_above(self) -> list[str]:
        """Directories above it that are not there, the deepest first."""
        found, folder = [], os.path.dirname(self.path)
        while not os.path.lexists(folder):
            found.append(folder)
            folder = os.path.dirname(folder)
        return found

    def tidy(self, footprint: State) -> None:
        """A tree that was not finished, and empty directories that were made for it."""
        self._calm()
        self.content.go_back()
        self._clear(self._draft)
        files.remove_empty(*footprint.get("above", ()))

    def spare(self) -> list[str]:
        """Trees that are not in its place, and what is known of others than the one that is."""
        trees = [place for place in (self._draft, self._old) if os.path.lexists(place)]
        there = identity(self.path) if os.path.lexists(self.path) else ""
        kept = [f"{_KEPT}{name}" for name in self.content.spare(self.originals)]
        return [*trees, *kept, *(which for which in self._records.all() if which != there)]

    def settle(self, spare: t.Sequence[str]) -> None:
        """Remove them; directories that were made for trees go with the last one."""
        for place in filter(os.path.isabs, spare):
            self._clear(place)
        self.content.kept.drop(name[len(_KEPT) :] for name in spare if name.startswith(_KEPT))
        for which in (name for name in spare if not name.startswith(("/", _KEPT))):
            made = self._records.load(which)
            files.remove_empty(*(made.above if made else ()), *self._folder_of_ours())
            self._records.forget(which)

    def _folder_of_ours(self) -> list[str]:
        """The directory that it is in, if nobody but us has things in there."""
        folder = os.path.dirname(self.path)
        return [folder] if folder.startswith(f"{_OURS}/") else []

    def _clear(self, place: str) -> None:
        """Remove a directory of ours; what is mounted in it stays, and is an error."""
        for mounted in mounted_in(os.path.realpath(place)):
            raise NsfleetError(f"something is mounted at {mounted}; unmount it, and run the task again")
        files.remove_tree(place)

    def shown(self) -> State:
        """The tree, and what it was made of."""
        state = self.observed.state or {}
        found: State = {"path": self.path, "changed": state.get("changed", [])}
        if self.observed.handle:
            made = self.observed.handle[0]
            found.update({option: getattr(made, option) for option in ("source", "source_digest", "digest", "files")})
            found["size"] = made.size
        return found


def _source(given: State) -> Source | None:
    if given.get("directory"):
        return Directory(given["directory"])
    if given.get("archive_src"):
        return rootfs_archive.Sent(given["archive_src"], given.get("archive", ""), given.get("checksum", ""))
    if given.get("archive"):
        return rootfs_archive.Archive(given["archive"], given.get("checksum", ""))
    if given.get("image"):
        return Image(given["image"])
    if "debootstrap" in given:
        return rootfs_debootstrap.Debootstrap(given["debootstrap"])
    return Host() if given.get("host") else None


def _is_mended(changes: t.Sequence[Change]) -> bool:
    """Whether something in the tree is to be as it was."""
    return any(change.path[0] == "changed" for change in changes)


def _told(found: t.Sequence[Difference]) -> list[str]:
    """Differences as people read them, not too many; a directory that came or went stands for all that is in it."""
    from .._image.errors import shown

    whole = {each.path for each in found if each.what in (("missing",), ("added",))}
    lines = [f"{shown(each.path)}: {', '.join(each.what)}" for each in found if os.path.dirname(each.path) not in whole]
    return [*lines[:_TOLD], *([f"and {len(lines) - _TOLD} more"] if len(lines) > _TOLD else [])]


def _without(tree: Tree, excluded: t.Collection[str]) -> Tree:
    """A tree without some of its paths and all that is below them."""
    if not excluded:
        return tree
    beginnings = tuple(f"{path}/" for path in excluded)
    return {path: seen for path, seen in tree.items() if not f"{path}/".startswith(beginnings)}


def _again(wanted: Tree, fresh: Tree, paths: t.Collection[str]) -> Tree:
    """What a tree is to be when some of its paths are taken from a fresh one."""
    from .._image.tree import ordered

    taken = {path: fresh[path] for path in paths if path in fresh}
    kept = {path: seen for path, seen in wanted.items() if path not in paths}
    return ordered({**kept, **taken})


def _has_others(known: Tree, paths: t.Collection[str]) -> bool:
    """Whether some paths of a tree had other names in it."""
    from .._image.entries import HARD_LINK

    return any(seen.entry.kind == HARD_LINK and {path, seen.entry.link} & set(paths) for path, seen in known.items())
