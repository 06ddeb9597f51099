# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container: options to an OCI bundle to a running, isolated process, and back from all three.

What the kernel can say of a running container is asked of the kernel: whether it runs, its host name, limits, mounts,
kernel parameters, whose namespaces it is in. The rest is read from its bundle.
"""

from __future__ import annotations

import contextlib
import functools
import os
import posixpath
import stat
import time
import typing as t

from .._cgroup import systemd
from .._cgroup.group import Group
from .._cgroup.hierarchy import Host, detect
from .._kernel import files, netns
from .._kernel.sysctl import namespace_of
from .._model.errors import InvalidOptions, KernelError, Missing, NsfleetError, OptionError
from .._model.field import LIVE, RECREATE, RESTART, Field, State, Table
from .._model.resource import CREATE, DELETE, SET, Change, Observation, Passing, Resource, Step, flatten
from .._model.things import NETNS, PROCESS, Thing
from .._runtime import groups
from .._runtime import state as states
from .._runtime.bundle import Bundle
from .._runtime.mount_options import objection, parse_options
from .._runtime.spec import (
    PATH,
    SECRETS,
    SECRETS_INSIDE,
    SECRETS_SHOWN,
    VERSION,
    Spec,
    annotate,
    annotation,
    own_tree,
    shared_layers,
)
from . import container_hooks, container_live, container_process, limits
from .container_fields import (
    AS_GIVEN,
    ASKED,
    DEVICES,
    FIELDS,
    MAPPINGS,
    NEEDED_DEVICES,
    node_rules,
    profile_digest,
    wanted_capabilities,
    wanted_profile,
)
from .policy import POLICY

if t.TYPE_CHECKING:
    from .._kernel.overlay import Layers
    from .._runtime.exchange import Exchange
    from .container_secrets import ContainerSecrets

TABLE = Table(
    (
        *ASKED,
        Field("state", choices=("present", "started", "stopped", "restarted", "absent"), default="started",
              stateful=False),
        *FIELDS,
        *limits.LIMITS,
        # What is said by the state that the task asks for.
        Field("running", "bool", option=False),
        Field("supervised", "bool", option=False),
        Field("current", "bool", option=False, effect=RESTART),
        Field("restarted", "bool", option=False, effect=RESTART),
        Field("configured", "bool", option=False),
        Field("secrets_untouched", "bool", option=False),  # nobody may go back to others
        *(field for field in POLICY if field.name != "state"),
    ),
    mutually_exclusive=[*limits.RULES["mutually_exclusive"], ("image", "rootfs")],
)  # fmt: skip
#: How many parts and links of a path are followed.
_MOST_LINKS = 200
#: How often a container that seems to run, but cannot be looked at, is looked at again.
_ATTEMPTS = 50
#: State that is there to be compared, and says nothing to people.
_COMPARED = ("current", "restarted", "configured", "secrets_source", "secrets_untouched")
#: What is spare of a container's secrets.
_KEPT_SECRETS = "secrets"
_LIMITS = Table(limits.LIMITS)
_BUNDLE_FIELDS = Table(FIELDS)
_NEEDS_PRIVATE_MOUNTS = (
    "image", "rootfs", "overlay", "read_only", "mounts", "masked_paths", "readonly_paths", "idmap",
    "rootfs_propagation", "device_nodes", "secrets",
)  # fmt: skip
#: How many ranges a user namespace can have (user_namespaces(7)).
_MOST_RANGES = 340


class Container(Passing):
    """A container."""

    kind = "container"
    table = TABLE
    root = "/var/lib/nsfleet"

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self.domain = os.path.join("containers", self.name)  # containers do not wait for each other
        self.bundle = Bundle(self.given["name"])
        self._restored: Spec | None = None
        self._started = False
        self._layer = ""  #: which of the private layers on disk is its own
        self._owned = ""  #: whether the files of a tree of its own belong to its users outside
        self._below = ""  #: the shared layers below its root file system, of an image
        self._no_image = False  #: whether the store lacks the image that it is to have
        self._lacking: set[str] = set()  #: why it cannot have the ids that it is to have
        #: The profile of system calls; empty, which the bundle refuses, where it cannot be had.
        self._profile: Spec | None = None
        self._profile_problem: Exception | None = None
        #: What secrets hold, by their names; ``None``: the task does not say.
        self._contents = self._take_contents()
        self._unknown: list[OptionError] = []  #: owners of secrets that cannot be found
        #: Whether the task describes the container. With neither it only says whether it is to run.
        self.described = bool("command" in self.given or self.given.get("image")) and not self.absent
        if self.described:
            self._complete()
        else:
            self._contents = None
        if not self.absent:
            self._ask_for_state()
            self._check()

    @functools.cached_property
    def host(self) -> Host:
        """Its control group hierarchies, which are found out once in a run."""
        return detect()

    # --- what is wanted ----------------------------------------------------------

    def _complete(self) -> None:
        """A container is described as a whole: what the task leaves out has its default."""
        wanted = self.wanted
        if wanted.get("image"):
            self._take_image(wanted["image"])
        spec = self._empty_spec()
        for field in FIELDS:
            if field.table is not None and field.type == "dict":
                if field.name in wanted or field.revert is not None:  # of others, nothing is there unless it is given
                    given = wanted.get(field.name, {})
                    wanted[field.name] = {each.name: given.get(each.name, each.default) for each in field.table.fields}
            elif field.name not in wanted and field.read is not None:
                wanted[field.name] = field.read(spec)
        wanted.setdefault("env", {}).setdefault("PATH", PATH)
        own_names = wanted["namespaces"]["uts"] != "host"
        wanted["hostname"] = (wanted["hostname"] or self.name) if own_names else ""
        wanted["capabilities"] = wanted_capabilities(self.given.get("cap_add"), self.given.get("cap_drop"))
        self._take_profile()
        nodes = wanted["device_nodes"]
        usable = wanted.get("devices", [*DEVICES, *node_rules(nodes, "rwm")])
        wanted["devices"] = TABLE["devices"].canonical([*usable, *NEEDED_DEVICES, *node_rules(nodes, "m")])
        if wanted["namespaces"]["mount"] != "private":
            wanted.update(masked_paths=[], readonly_paths=[])
        if wanted["oom_score_adj"] is None:
            del wanted["oom_score_adj"]
        wanted["secrets_source"] = self._secrets_source if wanted.setdefault("secrets", {}) else ""
        wanted["configured"] = True

    def _take_contents(self) -> dict[str, str] | None:
        """What secrets hold stays in memory: all that is compared, shown and recorded says that it is as given."""
        secrets = self.given.get("secrets", {})
        contents = {name: each["content"] for name, each in secrets.items() if "content" in each}
        for each in secrets.values():
            each["content"] = AS_GIVEN
        return contents if contents.keys() == secrets.keys() else None

    def remembered(self) -> State:
        """The options without what secrets hold, and what a program is told."""
        secrets = self.options.get("secrets")
        lean = [{**each, "content": None} for each in secrets] if secrets else secrets
        return {**self.options, "secrets": lean, "stdin": None}

    @functools.cached_property
    def _secrets(self) -> ContainerSecrets:
        from .container_secrets import ContainerSecrets  # few containers have any

        return ContainerSecrets(self.name)

    @property
    def _secrets_source(self) -> str:
        return os.path.join(SECRETS, self.name, SECRETS_SHOWN)

    def _take_image(self, reference: str) -> None:
        """The layers of an image are its root; what the image says is the default of what the task leaves out."""
        from . import container_image

        wanted, image = self.wanted, container_image.find(reference)
        self._no_image = image is None
        wanted["image_digest"] = image.digest if image else ""
        wanted.setdefault("overlay", container_image.overlay(image, wanted.get("read_only", False)))
        if image is None:
            return
        told = container_image.defaults(image)
        wanted["env"] = {**told.pop("env", {}), **wanted.get("env", {})}
        wanted.update({**told, **wanted, "rootfs": image.layers[-1]})
        self._below = container_image.below(image)

    def _take_profile(self) -> None:
        """It is read once; what is wrong with it is said when all is checked that is on the host."""
        option = self.wanted["seccomp"]
        try:
            self._profile = wanted_profile(option, self.wanted["capabilities"])
        except FileNotFoundError:
            self._profile, self._profile_problem = {}, Missing(f"seccomp: there is no file {option}")
        except NsfleetError as error:
            self._profile, self._profile_problem = {}, OptionError("seccomp", str(error))
        self.wanted["seccomp_profile"] = profile_digest(self._profile)

    def _ask_for_state(self) -> None:
        """What the state says of the processes."""
        state = self.options.get("state")
        if state != "present":
            self.wanted["running"] = state != "stopped"
        if self.wanted.get("running"):
            self.wanted.update(supervised=True, current=True)
        if state == "restarted":
            self.wanted["restarted"] = True

    @staticmethod
    def _empty_spec() -> Spec:
        return {
            "ociVersion": VERSION,
            "root": {},
            "process": {"user": {"uid": 0, "gid": 0}, "env": []},
            "linux": {"namespaces": []},
            "annotations": {},
        }

    def _check(self) -> None:
        """What can be told from the options alone."""
        if self.described:
            errors = [
                *self._check_namespaces(), *self._check_overlay(), *self._check_mappings(), *self._check_mounts(),
                *self._check_nodes(), *limits.check(self.wanted), *container_process.check(self.wanted),
                *self._check_passing(),
            ]  # fmt: skip
            if not (self.wanted["command"] or self._no_image):
                errors.append(OptionError("command", "expected the program to run and its arguments, as a list"))
        else:
            words = "needs command or image: a container is described as a whole, or only its state is set"
            described = [field.name for field in (*FIELDS, *limits.LIMITS) if field.name in self.given]
            errors = [OptionError(option, words) for option in described]
        if errors:
            raise InvalidOptions(errors)

    def _check_namespaces(self) -> t.Iterator[OptionError]:
        spaces = self.wanted["namespaces"]
        if spaces["mount"] == "private":
            if self.options.get("rootfs") is None and not self.options.get("image"):
                yield OptionError("rootfs", "expected the directory of the root file system, or an image")
        else:
            for option in _NEEDS_PRIVATE_MOUNTS:
                if option in self.given:
                    yield OptionError(option, f"needs namespaces.mount to be private, not {spaces['mount']}")
        owners = {"hostname": "uts", "domainname": "uts"}
        for option, kind in owners.items():
            if option in self.given and spaces[kind] != "private":
                yield OptionError(option, f"needs namespaces.{kind} to be private, not {spaces[kind]}")
        for name in self.wanted["sysctls"]:
            kind = namespace_of(name)
            if kind and spaces[kind] == "host":
                yield OptionError(f"sysctls[{name}]", f"needs namespaces.{kind} not to be the host's")
        if any(self.wanted["time_offsets"].values()) and spaces["time"] != "private":
            yield OptionError("time_offsets", f"needs namespaces.time to be private, not {spaces['time']}")

    def _check_overlay(self) -> t.Iterator[OptionError]:
        if self.wanted["overlay"] == "copy" and not self.options.get("image"):
            yield OptionError("overlay", "copy needs an image, of which the container gets a copy")

    def _check_mappings(self) -> t.Iterator[OptionError]:
        private = self.wanted["namespaces"]["user"] == "private"
        allotted = self.wanted["subordinate_ids"]
        for option in MAPPINGS:
            entries = self.wanted[option]
            if private and not entries and not allotted:
                words = "expected at least one mapping or subordinate_ids, since namespaces.user is private"
                yield OptionError(option, words)
            if entries and allotted:
                yield OptionError(option, "expected none beside subordinate_ids, which makes them")
            yield from _check_ranges(option, entries)
        for option in ("idmap", "subordinate_ids", *MAPPINGS):
            if self.wanted[option] and not private:
                yield OptionError(option, "needs namespaces.user to be private")

    def _check_mounts(self) -> t.Iterator[OptionError]:
        in_user_namespace = self.wanted["namespaces"]["user"] != "host"
        if self.wanted["secrets"] and SECRETS_INSIDE in self.wanted["mounts"]:
            yield OptionError(f"mounts[{SECRETS_INSIDE}]", "expected none beside secrets, which are there")
        for place, each in self.wanted["mounts"].items():
            options = parse_options(each["options"])
            own = [bool(each.get(option)) for option in MAPPINGS]
            words = objection(each["type"], options, any(own))
            if options.idmap and not any(own) and not in_user_namespace:
                words = "idmap needs uid_mappings and gid_mappings of the mount, or namespaces.user to be private"
            if words:
                yield OptionError(f"mounts[{place}].options", words)
            if own[0] != own[1]:
                yield OptionError(f"mounts[{place}].uid_mappings", "expected both mappings or neither")

    def _check_nodes(self) -> t.Iterator[OptionError]:
        for place, each in self.wanted["device_nodes"].items():
            for option in ("major", "minor"):
                if (option in each) == (each["type"] == "p"):
                    words = "expected none of a fifo" if each["type"] == "p" else "expected the device's number"
                    yield OptionError(f"device_nodes[{place}].{option}", words)

    def _check_passing(self) -> t.Iterator[OptionError]:
        if not self.passing:
            for option in ("stdin", "timeout"):
                if option in self.given:
                    yield OptionError(option, "needs detach to be false")
            return
        if self.options.get("state") not in (None, "started"):
            yield OptionError("state", "expected started or absent, since detach is false")
        if self.wanted["restart_policy"] != "no":
            yield OptionError("restart_policy", "expected no, since detach is false")

    def _group_name(self) -> str:
        return os.path.join(self.wanted["cgroup_parent"], self.name)

    def compose(self) -> Spec:
        """The bundle's description of what is wanted."""
        if self._restored is not None:
            return self._restored
        spec = self._empty_spec()
        for field in FIELDS:
            if field.name in self.wanted and field.write is not None:
                field.write(spec, self.wanted[field.name])
        if self.wanted["namespaces"]["mount"] == "host":
            del spec["linux"]["rootfsPropagation"]
        spec["linux"]["cgroupsPath"] = self._group_name()
        if self._profile is not None:
            spec["linux"]["seccomp"] = self._profile
        annotate(spec, "below", self._below)
        annotate(spec, "layer", self._layer if self.wanted["overlay"] in ("disk", "copy") else "")
        annotate(spec, "owned", self._owned if self.wanted["overlay"] == "copy" else "")
        container_live.write_limits(spec, self._limits())
        return spec

    # --- observe -----------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Read the bundle, and of a running container what the kernel says of it."""
        if self.described and self.wanted["subordinate_ids"]:
            self._allot_ids(self.wanted["subordinate_ids"])
        if self._contents:
            self._find_owners()
        if not self.bundle.exists:
            return Observation(None)
        bundle = Bundle(self.name)
        if self.absent:
            described = self.applied or _BUNDLE_FIELDS.read(self._empty_spec())
            bundle.salvage(os.path.join(described["cgroup_parent"], self.name))
        else:
            self._layer, self._owned = (annotation(bundle.spec, note) for note in ("layer", "owned"))
            if not self.described:
                self._keep_description(bundle.spec)
        state, known = self._read(bundle)
        # A payload that ended meanwhile was started all the same; its exit code is in the result.
        state["running"] = known.running or self._started
        if state["running"]:
            started_now = self._started and not known.running
            state["supervised"] = known.supervised or started_now
            state["current"] = known.digest == bundle.digest or started_now
        state["restarted"] = self._started or not known.running
        state["configured"] = True
        if not self.absent:
            state.update(self._read_secrets())
            state["configured"] = bundle.spec == self.compose() or self._differs(state)
        return Observation(state, True, {"name": self.name}, (bundle, known), bundle.spec)

    def _allot_ids(self, size: int) -> None:
        """The ids that the container has, or of those that are free; :meth:`preflight` says if there are none."""
        from .._runtime import subordinate

        self._lacking.clear()
        for option, kind in MAPPINGS.items():
            try:
                first = subordinate.allot(kind, size, self.name)
                self.wanted[option] = [{"container_id": 0, "host_id": first, "size": size}]
            except NsfleetError as error:
                self._lacking.add(f"subordinate_ids: {error}")

    def _find_owners(self) -> None:
        if not self._no_image:
            from . import container_secrets

            with contextlib.suppress(OSError):  # of a root that is not there, which preflight says
                layers = shared_layers(self.compose())
                self._unknown = [*container_secrets.find_owners(self.wanted, layers)]

    def _any_secrets(self) -> bool:
        return os.path.isdir(os.path.join(SECRETS, self.name))

    def _read_secrets(self) -> State:
        """Those that there are. Who does not say what they hold cannot repair them, and takes them as they are."""
        found: State = {"secrets": {}, "secrets_untouched": True}
        if self._any_secrets():
            found["secrets"] = self._secrets.live(self._contents, self.wanted)
            found["secrets_untouched"] = not self._secrets.changed
        if self._contents is None:
            found["secrets"] = self.wanted.get("secrets", found["secrets"])
        return found

    def _read(self, bundle: Bundle) -> tuple[State, states.State]:
        """What the bundle says, corrected by the kernel.

        A process that is about to end shows its namespaces no more, but is not gone yet; a moment later it is.
        """
        for _attempt in range(_ATTEMPTS):
            known = states.load(self.name)
            state = _BUNDLE_FIELDS.read(bundle.spec)
            if not known.running:
                return {**state, **container_live.read_limits(bundle.spec)}, known
            try:
                container_live.correct(state, known.first.pid, bundle.spec)
                return {**state, **limits.read(groups.of(bundle.spec, self.host), self._limits(), self.applied)}, known
            except OSError as error:
                failed = error
                time.sleep(0.02)
        raise KernelError(f"read {self.target}", failed)

    def _keep_description(self, spec: Spec) -> None:
        """A task that does not describe the container wants it as the last one did that described it."""
        described = self.applied or {**_BUNDLE_FIELDS.read(spec), **container_live.read_limits(spec)}
        computed = ("capabilities", "seccomp_profile", "image_digest", "secrets_source")
        kept = {name: value for name, value in described.items() if TABLE[name].option or name in computed}
        self._profile, self._below = spec["linux"].get("seccomp"), annotation(spec, "below")
        self.wanted = {**kept, **self.wanted, "configured": True}

    def _differs(self, state: State) -> bool:
        """Whether an option shows why the bundle is not as wanted."""
        return any(state.get(option) != value for option, value in self.wanted.items() if option in TABLE)

    def _limits(self) -> State:
        return {field.name: self.wanted[field.name] for field in limits.LIMITS if field.name in self.wanted}

    def needs(self) -> t.Iterator[Thing]:
        """The network namespace that it is to be in."""
        yield Thing(NETNS, str(self.wanted.get("namespaces", {}).get("net", "")))

    def removes(self) -> t.Iterator[Thing]:
        """Its processes, which may hold a namespace."""
        if self.observed.exists and (self.absent or self.wanted.get("running") is False):
            group = groups.of(self.bundle.spec, self.host)
            pids = group.processes(recursive=True) if group.hierarchies else ()
            yield from (Thing(PROCESS, str(pid)) for pid in pids)

    # --- preflight ---------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """Root file system, sources of mounts, namespaces, the program, limits."""
        if self.absent:
            return
        if not self.described and not self.observed.exists:
            yield Missing(f"command: there is no container {self.name}, and no command or image to make one with")
            return
        if not (self.described or self.wanted.get("running")):
            return  # what is missing is no reason not to stop it
        yield from (Missing(words) for words in sorted(self._lacking))
        yield from self._missing_files()
        yield from self._missing_namespaces()
        yield from self._other_owners(steps)
        yield from self._cannot_filter()
        yield from container_process.obstacles(self.wanted)
        yield from container_hooks.obstacles(self.wanted)
        yield from self._secret_obstacles()
        group = Group(self._group_name(), self.host)
        yield from self._group_of_others(group)
        yield from self._limit_obstacles(group)

    def _other_owners(self, steps: t.Sequence[Step]) -> t.Iterator[Exception]:
        """Files that were given to its users stay with them; they go only when it is made anew."""
        changes = [change for step in steps for change in step.changes]
        if self._owned and not any(change.field.effect == RECREATE for change in changes):
            for option in {change.path[0] for change in changes}.intersection(MAPPINGS):
                words = "this host has no idmapped mounts, so the container's files were given to its users"
                yield OptionError(option, f"{words}; keep the mappings, or remove the container and make it anew")

    def _limit_obstacles(self, group: Group) -> t.Iterator[Exception]:
        """Limits that this host does not have, and controllers that the group cannot get."""
        from . import limits_check

        refused = set()
        for change in flatten(_LIMITS, self._limits()):
            for problem in limits_check.preflight(group, (change,), self.wanted):
                refused.add(change.path[0])
                yield problem
        if self.wanted.get("running"):
            needed = groups.controllers(self.compose(), group)
            users = limits.users(self.wanted)
            yield from limits_check.without_controllers(group, needed, users, "cgroup_parent", refused)

    def _group_of_others(self, group: Group) -> t.Iterator[Exception]:
        """A control group at the container's place: its processes would be limited, and in the end killed, as ours."""
        objection = systemd.objection(group)
        if objection:
            yield OptionError("cgroup_parent", objection)
        starts = self.wanted.get("running") and not (self.observed.state or {}).get("running")
        if starts and group.of_others and not self.options.get("adopt"):
            yield OptionError(
                "cgroup_parent",
                f"there is a control group {group.path} that was not made by nsfleet.linux; "
                "set adopt to true to take it over, or choose another name",
            )

    def _missing_files(self) -> t.Iterator[Exception]:
        if self.wanted["namespaces"]["mount"] != "private":
            return
        if self._no_image:
            from . import container_image

            yield container_image.missing(self.wanted["image"])
            return
        rootfs = self.wanted["rootfs"]
        if not os.path.isdir(rootfs):
            yield Missing(f"rootfs: there is no directory {rootfs}")
            return
        for place, entry in self.wanted["mounts"].items():
            if entry["type"] == "bind" and not os.path.exists(entry["source"]):
                yield Missing(f"mounts[{place}].source: there is no {entry['source'] or 'source given'}")
        inside = enumerate(self.wanted["hooks"][container_hooks.INSIDE])
        programs = {f"hooks.{container_hooks.INSIDE}[{index}].path": hook["path"] for index, hook in inside}
        for option, program in {"command": self.wanted["command"][0], **programs}.items():
            if program.startswith("/"):
                yield from self._missing_program(option, program)

    def _missing_program(self, option: str, command: str) -> t.Iterator[Exception]:
        from .._kernel.overlay import Layers

        where = self.wanted["image"] or self.wanted["rootfs"]
        with Layers(shared_layers(self.compose())) as root:
            if _leads_into(root, command, self.wanted["mounts"]):
                return
            try:
                found = root.open(command, os.O_PATH)
            except OSError:
                yield OptionError(option, f"there is no {command} in the root file system {where}")
                return
            mode = os.fstat(found).st_mode
            os.close(found)
            if not (stat.S_ISREG(mode) and mode & 0o111):
                yield OptionError(option, f"{command} is no program in the root file system {where}")

    def _cannot_filter(self) -> t.Iterator[Exception]:
        """A profile that cannot be had, or a host that cannot use one."""
        if self._profile_problem is not None:
            yield self._profile_problem
        elif self._profile is not None:
            from .._runtime import seccomp

            lacking = seccomp.objection()
            if lacking:
                yield OptionError("seccomp", lacking)

    def _secret_obstacles(self) -> t.Iterator[Exception]:
        """Owners that are nobody inside, and what went with the last boot and is not in the task."""
        source = self.wanted.get("secrets_source")
        if self._contents:
            from . import container_secrets

            yield from self._unknown or container_secrets.strangers(self.wanted)
        elif source and self.wanted.get("running") and not (self.observed.state or {}).get("running"):
            there = files.list_directory(source)
            for name in sorted(self.wanted.get("secrets", {}).keys() - set(there)):
                yield OptionError(f"secrets[{name}].content", "it is gone since the boot; run the task that gives it")

    def _missing_namespaces(self) -> t.Iterator[Exception]:
        for option, where in self.wanted["namespaces"].items():
            if where in ("private", "host"):
                continue
            path = where if where.startswith("/") else os.path.join(netns.DIRECTORY, where)
            if not os.path.exists(path):
                thing = Thing(NETNS, where) if option == "net" else None
                yield Missing(f"namespaces.{option}: there is no namespace {where}", thing)

    # --- change ------------------------------------------------------------------

    def requested(self) -> list[Change]:
        """What the task says; that a running container is supervised goes without saying."""
        copied = ["overlay"] if self.wanted.get("overlay") == "copy" else ()  # which takes a while, and room
        named = (*self.given, "running", *copied, *(MAPPINGS if "subordinate_ids" in self.given else ()))
        return [change for change in super().requested() if change.path[0] in named]

    def create(self) -> list[Step]:
        """The bundle, and if it is to run, its start."""
        return [self.step(CREATE, self.requested(), self._create)]

    def _create(self) -> None:
        self._configure()
        if self.wanted.get("running"):
            self._start()

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """What the kernel can change under a running container is changed one by one; the rest by one restart."""
        running = bool((self.observed.state or {}).get("running"))
        last = [change for change in changes if change.path[0] in ("running", "supervised")]
        hard = [change for change in changes if change.field.effect != LIVE]
        soft = [change for change in changes if change not in last and change not in hard]
        if running and hard:
            last = [change for change in last if change.path[0] == "running"]
            return [self.step(SET, [*hard, *soft, *last], self._replace)]
        steps = []
        if running:
            steps += [self.step(SET, (change,), functools.partial(self.write, change)) for change in soft]
        elif soft or hard:
            steps.append(self.step(SET, [*hard, *soft], self._configure))
        if last:  # one step: whoever is started has a monitor, and is to have no other one
            steps.append(self.step(SET, last, functools.partial(self.write, last[0])))
        return steps

    def recreate(self, changes: t.Sequence[Change]) -> list[Step]:
        """Another root file system: what the container wrote into the old one goes with it, once the new one runs."""
        return [self.step(SET, changes, self._recreate)]

    def write(self, change: Change) -> None:
        """Make one change to a running container, and put it into the bundle."""
        option = change.path[0]
        if option == "running":
            self._start() if change.after else self._stop()
        elif option == "supervised":
            from .._runtime import lifecycle

            lifecycle.supervise(self.bundle)
        else:
            _bundle, known = self.observed.handle
            container_live.change(change, known.first.pid, self.compose())
            self._configure()

    def _configure(self) -> None:
        self.bundle = Bundle(self.name)
        self._have_own_tree()
        spec = self.compose()
        with self._ids_kept(spec), self._image_kept(annotation(spec, "image-digest")):
            self.bundle.write(spec)
        self._have_secrets()

    def _have_secrets(self) -> None:
        """What the task says, or in going back, what there was."""
        knows = self._contents is not None or self._restored is not None
        if not (knows and (self.wanted["secrets_source"] or self._any_secrets())):
            return
        self._secrets.prepare()
        if self._restored is not None:
            self._secrets.restore()
        else:
            self._secrets.have(self._contents or {}, self.wanted)

    def _have_own_tree(self) -> None:
        """A copy of its image takes a while: it is made before the container is stopped that it is to replace."""
        spec = self.compose()
        if own_tree(spec):
            from .._runtime import own_tree as trees

            with self._image_kept(annotation(spec, "image-digest")):
                self._owned = "true" if trees.make(self.bundle, spec) else ""

    @staticmethod
    def _image_kept(digest: str) -> contextlib.AbstractContextManager[None]:
        if not digest:
            return contextlib.nullcontext()
        from . import container_image

        return container_image.kept(digest)

    def _ids_kept(self, spec: Spec) -> contextlib.AbstractContextManager[None]:
        """Nobody else is given the same ids while the description is written that has them from now on."""
        if not self.wanted.get("subordinate_ids"):
            return contextlib.nullcontext()
        from .._runtime import subordinate

        return subordinate.kept(self.name, spec["linux"])

    def _start(self) -> None:
        from .._runtime import lifecycle

        lifecycle.start(self.bundle, self.host)
        self._started = True

    def _stop(self) -> None:
        from .._runtime import lifecycle

        lifecycle.stop(self.bundle)

    def _recreate(self) -> None:
        self._layer = self.bundle.free_layer()
        self._replace()

    def _replace(self) -> None:
        """The old container goes on until it is known that the new one starts, and is stopped as it says itself."""
        if not (self.observed.state or {}).get("running"):
            self._create()
            return
        goes_on = self.wanted.get("running", True)
        if goes_on:
            self._rehearse()
        self._stop()
        try:
            self._configure()
            if goes_on:
                self._start()
        except (NsfleetError, OSError) as error:
            raise NsfleetError(f"{error}; the container that was stopped for it is started again") from error

    def _rehearse(self) -> None:
        from .._runtime import rehearsal

        try:
            self._have_own_tree()
            if self.wanted.get("secrets_source"):
                self._secrets.prepare()
            rehearsal.rehearse(self.bundle, self.compose())
        except (NsfleetError, OSError) as error:
            raise NsfleetError(f"{self.target} could not be started so, and was not stopped: {error}") from error

    @property
    def passing(self) -> bool:
        """Whether it is waited for, and removed."""
        return self.options.get("detach") is False and not self.absent

    def use(self, check: bool) -> State:
        """Run it to its end."""
        from . import command_result

        if check:
            return command_result.not_run("command would have run if not in check mode")
        self._configure()
        return command_result.run(self.given, self._run_through, command_result.by_code)

    def _run_through(self, exchange: Exchange) -> tuple[int, bool]:
        from .._runtime import oneshot

        try:
            return oneshot.run_container(self.bundle, exchange, self.given.get("timeout"))
        except PermissionError:
            raise
        except OSError as error:
            raise KernelError(f"run {self.target}", error) from error

    def prior(self, before: Observation) -> Resource:
        """The container with the bundle that it had; what the kernel said of it may have been the damage."""
        resource = t.cast(Container, super().prior(before))
        if before.state is not None and before.source is not None:
            resource._restored, resource._contents = before.source, None
            resource.wanted = {
                **_BUNDLE_FIELDS.read(resource._restored), "running": before.state["running"], "configured": True,
                "secrets_untouched": True,
            }  # fmt: skip
        return resource

    def delete(self) -> list[Step]:
        """The process, its control group, the bundle."""
        return [Step(DELETE, self.target, (), self._delete)]

    def _delete(self) -> None:
        from .._runtime import archive, lifecycle

        bundle, _known = self.observed.handle
        lifecycle.remove(bundle)
        archive.remove_unused()

    def footprint(self) -> State:
        """Control groups on the way to its own."""
        described = self.described or not self.observed.exists
        name = self._group_name() if described else self.observed.handle[0].spec["linux"]["cgroupsPath"]
        return {"groups": groups.dispensable(name, self.host), "group": name}

    def tidy(self, footprint: State) -> None:
        """Drafts of its bundle, its state and the runtime's archive; control groups that nobody needs."""
        from .._runtime import lifecycle

        lifecycle.tidy(self.bundle)
        if "group" in footprint:
            groups.remove_draft(footprint["group"])
        groups.remove_unused(footprint.get("groups", ()), everything=not self.bundle.exists)

    def spare(self) -> list[str]:
        """Private layers and secrets of the container that it was before, or was to be."""
        bundle, secrets = Bundle(self.name), []
        if self._any_secrets():
            used = bundle.exists and _BUNDLE_FIELDS.read(bundle.spec)["secrets_source"]
            secrets = [_KEPT_SECRETS] if self._secrets.littered or not used else []
        return [*bundle.spare_layers(), *secrets]

    def settle(self, spare: t.Sequence[str]) -> None:
        """Remove them."""
        self.bundle.forget_layers(name for name in spare if name != _KEPT_SECRETS)
        if _KEPT_SECRETS in spare:
            self._secrets.settle()
            if not self._secrets.read():
                self._secrets.remove()

    def mark(self, ours: bool) -> None:
        """A container's bundle is its mark: there is no container of somebody else's."""

    def shown(self) -> State:
        """The container as it is, with its processes."""
        found = {name: value for name, value in super().shown().items() if name not in _COMPARED}
        for secret in found.get("secrets", ()):
            del secret["content"]
        if self.observed.exists:
            _bundle, known = self.observed.handle
            found.update(of_processes(known))
        return found


def of_processes(known: states.State) -> State:
    """What the result says of a container's processes."""
    return {
        "running": known.running,
        "supervised": known.supervised,
        "pid": known.first.pid if known.running else None,
        "exit_code": known.exit_code,
        "restarts": known.restarts,
    }


def _check_ranges(option: str, entries: t.Sequence[State]) -> t.Iterator[OptionError]:
    """What the kernel would refuse of mappings, without saying which."""
    if len(entries) > _MOST_RANGES:
        yield OptionError(option, f"expected at most {_MOST_RANGES} ranges, got {len(entries)}")
    if entries and not any(entry["container_id"] == 0 for entry in entries):
        yield OptionError(option, "expected a mapping of id 0, which prepares the container")
    for side in ("container_id", "host_id"):
        ends = sorted((entry[side], entry[side] + entry["size"]) for entry in entries)
        if any(one[1] > other[0] for one, other in zip(ends, ends[1:])):
            yield OptionError(option, f"expected ranges that do not overlap, but those from {side} on do")


def _leads_into(root: Layers, path: str, places: t.Iterable[str]) -> bool:
    """Whether a path inside, or a link on its way, leads into a mount, whose content is not that of the root."""
    parts = [part for part in path.split("/") if part]
    done: list[str] = []
    for _step in range(_MOST_LINKS):
        if not parts:
            return False
        done.append(parts.pop(0))
        here = "/" + "/".join(done)
        if here in places:
            return True
        target = root.read_link(here)
        if target:
            done = [] if target.startswith("/") else done[:-1]
            whole = posixpath.normpath("/" + "/".join([*done, target]))
            parts, done = [*(part for part in whole.split("/") if part), *parts], []
    return False
