# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a container and what each is in the OCI bundle: one table for both directions.

``read`` takes the bundle's description (``config.json``) and gives the option; ``write`` puts the option into a
description. The description is complete: an option that the task does not give has its default there, so that what
disappears from a task disappears from the container without any memory of it.
"""

from __future__ import annotations

import typing as t

from .._kernel.capability import NAMES as CAPABILITY_NAMES
from .._kernel.sysctl import canonical_value, namespace_of
from .._model.field import RECREATE, RESTART, Field, State, Table
from .._model.names import absolute_path, cgroup_name, container_name, netns_reference
from .._model.programs import command_words, environment, octal_mode, time_limit
from .._model.quantities import between, is_digits
from .._runtime.mount_options import PROPAGATIONS, parse_options
from .._runtime.spec import (
    CAPABILITIES,
    MASKED_PATHS,
    MOUNTS,
    READONLY_PATHS,
    SECRETS,
    SECRETS_INSIDE,
    Spec,
)
from .container_hooks import HOOKS
from .container_places import at, find, noted
from .container_process import PROCESS

#: Devices that a container may use: making any, using those that every container has.
DEVICES: t.Final = (
    "b *:* m", "c *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm",
    "c 136:* rwm",
)  # fmt: skip

#: What the start of any container does with them: it makes them, and opens the first one as standard input.
NEEDED_DEVICES: t.Final = ("c 1:3 rm", "c 1:5 m", "c 1:7 m", "c 1:8 m", "c 1:9 m", "c 5:0 m")

#: What the option ``seccomp`` says that is no path.
DEFAULT_PROFILE, UNCONFINED = "default", "unconfined"

#: What is said of a secret's content that is what the task says.
AS_GIVEN: t.Final = "as given"
_LARGEST_SECRET: t.Final = 1 << 20

_PRIVATE, _HOST = "private", "host"
_NETNS_DIRECTORY = "/run/netns/"
_UNLIMITED = 2**64 - 1

#: Option name of a namespace to its type in the runtime-spec.
NAMESPACES: t.Final = {
    "mount": "mount", "pid": "pid", "ipc": "ipc", "uts": "uts", "net": "network", "cgroup": "cgroup", "user": "user",
    "time": "time",
}  # fmt: skip
_SHARED_BY_DEFAULT = ("user", "time")

#: Resource limits by their names in getrlimit(2), without ``RLIMIT_``, lower case.
RLIMITS: t.Final = (
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip


# --- canonical forms ---------------------------------------------------------


def _user(value: str) -> str:
    words = str(value)
    parts = words.split(":")
    if not words or len(parts) > 2 or not all(parts) or any(character in words for character in " \n\0,"):
        raise ValueError(f"expected a user such as nginx, nginx:www, 1000 or 1000:1000, got {value!r}")
    return words


def _users(values: t.Sequence[str]) -> list[str]:
    for value in values:
        if ":" in _user(value):
            raise ValueError(f"expected the name or number of a group, got {value!r}")
    return [str(value) for value in values]


def _account(value: str) -> str:
    return _users([value])[0]


def _secret_name(value: str) -> str:
    if value in (".", "..") or "/" in value or "\0" in value or not 0 < len(value.encode()) <= 255:
        raise ValueError(f"expected the name of a file, of 1 to 255 bytes and without '/', got {value!r}")
    return value


def _secret_content(value: str) -> str:
    size = len(value.encode("utf-8", "surrogateescape"))
    if size > _LARGEST_SECRET:
        raise ValueError(f"expected at most {_LARGEST_SECRET} bytes, got {size}")
    return value


def _host_name(value: str) -> str:
    if not 0 < len(value.encode()) <= 64 or any(character.isspace() or character in "\0/" for character in value):
        raise ValueError(f"expected a name of 1 to 64 bytes without spaces and '/', got {value!r}")
    return value


def _domain_name(value: str) -> str:
    return _host_name(value) if value else ""


def _namespace(value: str) -> str:
    if value in (_PRIVATE, _HOST) or value.startswith("/"):
        return value
    raise ValueError(f"expected private, host, or the path of a namespace such as /proc/1234/ns/ipc, got {value!r}")


def _net_namespace(value: str) -> str:
    if value in (_PRIVATE, _HOST):
        return value
    reference = netns_reference(value)
    return f"/proc/{reference}/ns/net" if is_digits(reference) else reference.removeprefix(_NETNS_DIRECTORY)


def capability_names(values: t.Sequence[str]) -> list[str]:
    """Names of capabilities with their prefix, sorted; ``ALL`` stands for all of them.

    :raises ValueError: one is no capability.
    """
    found: set[str] = set()
    for value in values:
        name = value.upper() if value.upper().startswith("CAP_") else f"CAP_{value.upper()}"
        if name == "CAP_ALL":
            found.update(CAPABILITY_NAMES)
        elif name in CAPABILITY_NAMES:
            found.add(name)
        else:
            raise ValueError(f"expected a capability such as NET_ADMIN or CAP_NET_ADMIN, or ALL, got {value!r}")
    return sorted(found)


def _profile(value: str) -> str:
    if value in (DEFAULT_PROFILE, UNCONFINED):
        return value
    if not value.startswith("/"):
        raise ValueError(f"expected {DEFAULT_PROFILE}, {UNCONFINED}, or the path of a profile, got {value!r}")
    return absolute_path(value)


def _paths(values: t.Sequence[str]) -> list[str]:
    return sorted({absolute_path(value) for value in values})


def _rlimits(values: t.Mapping[str, t.Any]) -> State:
    return {_rlimit_name(str(name)): _rlimit(value) for name, value in values.items()}


def _rlimit_name(name: str) -> str:
    short = name.lower().removeprefix("rlimit_")
    if short not in RLIMITS:
        raise ValueError(f"expected one of {', '.join(RLIMITS)}, got {name!r}")
    return short


def _rlimit(value: t.Any) -> str:
    soft, colon, hard = str(value).partition(":")
    limits = [_rlimit_number(word) for word in (soft, hard if colon else soft)]
    if limits[0] > limits[1]:
        raise ValueError(f"expected a soft limit that is not above the hard one, got {value!r}")
    return ":".join("unlimited" if limit == _UNLIMITED else str(limit) for limit in limits)


def _rlimit_number(word: str) -> int:
    if word in ("unlimited", "infinity", "-1"):
        return _UNLIMITED
    if not is_digits(word) or int(word) >= 1 << 63:  # which is all that prlimit(2) takes by way of Python
        raise ValueError(f"expected a number below 2^63, SOFT:HARD or unlimited, got {word!r}")
    return int(word)


def _sysctls(values: t.Mapping[str, t.Any]) -> State:
    for name in values:
        if namespace_of(str(name)) not in ("net", "ipc"):
            raise ValueError(
                "expected parameters that a container has of its own "
                f"(net.*, kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.*), got {name!r}"
            )
    return {str(name): canonical_value(value) for name, value in values.items()}


def _seconds(value: float) -> float:
    if value < 0:
        raise ValueError(f"expected 0 or more seconds, got {value:g}")
    return round(float(value), 3)


def _offset(value: float) -> float:
    """Thousandths are what a bundle keeps of it."""
    return round(float(value), 3)


def _mount_options(values: t.Sequence[str]) -> list[str]:
    parse_options(values)
    return [str(value) for value in values]


def _image(value: str) -> str:
    """A name of an image, or empty for none."""
    if not value:
        return ""
    from .._image.reference import reference

    return reference(value)


def _signal(value: str) -> str:
    from .._runtime.signals import signal_name

    return signal_name(value)


def _words(values: t.Mapping[str, t.Any]) -> State:
    return {str(name): str(value) for name, value in values.items()}


# --- in the bundle -----------------------------------------------------------


def _read_environment(spec: Spec) -> State:
    return dict(word.partition("=")[::2] for word in spec["process"].get("env", ()))


def _write_environment(spec: Spec, value: State) -> None:
    spec["process"]["env"] = [f"{name}={words}" for name, words in value.items()]


def _read_namespaces(spec: Spec) -> State:
    entries = {entry["type"]: entry.get("path") or _PRIVATE for entry in spec["linux"].get("namespaces", ())}
    found = {option: entries.get(kind, _HOST) for option, kind in NAMESPACES.items()}
    return {**found, "net": found["net"].removeprefix(_NETNS_DIRECTORY)}


def _write_namespaces(spec: Spec, value: State) -> None:
    entries = []
    for option, kind in NAMESPACES.items():
        where = value[option]
        if where == _PRIVATE:
            entries.append({"type": kind})
        elif where != _HOST:
            entries.append({"type": kind, "path": where if where.startswith("/") else _NETNS_DIRECTORY + where})
    spec["linux"]["namespaces"] = entries


_RANGE_TABLE = Table(
    (
        Field("container_id", "int", required=True, canonical=between(0, 2**32 - 2)),
        Field("host_id", "int", required=True, canonical=between(0, 2**32 - 2)),
        Field("size", "int", default=1, canonical=between(1, 2**32 - 1)),
    )
)
#: Option of a range to its name in the runtime-spec.
_RANGE: t.Final = {"container_id": "containerID", "host_id": "hostID", "size": "size"}


def _read_ranges(spec: Spec, name: str) -> list[State]:
    return [{option: entry[word] for option, word in _RANGE.items()} for entry in spec.get(name) or ()]


def _write_ranges(spec: Spec, name: str, value: t.Sequence[State]) -> None:
    spec.pop(name, None)
    if value:
        spec[name] = [{word: entry[option] for option, word in _RANGE.items()} for entry in value]


#: Option of mappings to its name in the runtime-spec.
MAPPINGS: t.Final = {"uid_mappings": "uidMappings", "gid_mappings": "gidMappings"}


def _mappings(name: str) -> Field:
    place = MAPPINGS[name]
    return Field(
        name, "list", elements="dict", table=_RANGE_TABLE, effect=RESTART, revert=[],
        read=lambda spec: _read_ranges(spec["linux"], place),
        write=lambda spec, value: _write_ranges(spec["linux"], place, value),
    )  # fmt: skip


def _read_offsets(spec: Spec) -> State:
    found = spec["linux"].get("timeOffsets", {})
    return {
        clock: round(found.get(clock, {}).get("secs", 0) + found.get(clock, {}).get("nanosecs", 0) / 1e9, 3)
        for clock in ("monotonic", "boottime")
    }


def _write_offsets(spec: Spec, value: State) -> None:
    spec["linux"].pop("timeOffsets", None)
    offsets = {clock: seconds for clock, seconds in value.items() if seconds}
    if offsets:
        spec["linux"]["timeOffsets"] = {
            clock: {"secs": int(seconds // 1), "nanosecs": round(seconds % 1 * 1e9)}
            for clock, seconds in offsets.items()
        }


def _own_mounts(spec: Spec) -> list[Spec]:
    """The mounts that are not simply the defaults, nor made for secrets."""
    others = [*default_mounts(spec), *_mounts_of_secrets(spec)]
    return [entry for entry in spec.get("mounts", ()) if entry not in others]


def _mounts_of_secrets(spec: Spec) -> list[Spec]:
    ours = f"{SECRETS}/"
    return [
        entry
        for entry in spec.get("mounts", ())
        if entry["destination"] == SECRETS_INSIDE and str(entry.get("source")).startswith(ours)
    ]


def _read_source_of_secrets(spec: Spec) -> str:
    return str(next((entry["source"] for entry in _mounts_of_secrets(spec)), ""))


def _write_source_of_secrets(spec: Spec, value: str) -> None:
    if value:
        options = ["bind", "ro", "nosuid", "nodev", "noexec"]
        spec["mounts"].append({"destination": SECRETS_INSIDE, "type": "bind", "source": value, "options": options})


def default_mounts(spec: Spec) -> list[Spec]:
    """The mounts that a container has without being asked: file systems of its namespaces."""
    kinds = {entry["type"] for entry in spec["linux"].get("namespaces", ())}
    if "mount" not in kinds:
        return []
    group = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}
    words = ["nosuid", "noexec", "nodev", "relatime", "ro"]
    with_groups = [{**group, "options": words}] if "cgroup" in kinds and "user" not in kinds else []
    return [*(dict(entry) for entry in MOUNTS), *with_groups]


def _read_mounts(spec: Spec) -> State:
    return {
        entry["destination"]: {
            "type": entry.get("type") or "bind",
            "source": entry.get("source") or "",
            "options": list(entry.get("options") or ()),
            **{option: _read_ranges(entry, name) for option, name in MAPPINGS.items()},
        }
        for entry in _own_mounts(spec)
    }


def _write_mounts(spec: Spec, value: State) -> None:
    defaults = [entry for entry in default_mounts(spec) if entry["destination"] not in value]
    own = []
    for place, each in value.items():
        own.append({"destination": place, **{name: each[name] for name in ("type", "source", "options")}})
        for option, name in MAPPINGS.items():
            _write_ranges(own[-1], name, each.get(option, ()))
    spec["mounts"] = [*defaults, *own]


def _read_nodes(spec: Spec) -> State:
    return {
        entry["path"]: {
            "type": entry["type"],
            **{name: entry[name] for name in ("major", "minor") if name in entry},
            "mode": f"{entry['fileMode']:04o}",
            "uid": entry["uid"],
            "gid": entry["gid"],
        }
        for entry in spec["linux"].get("devices", ())
    }


def _write_nodes(spec: Spec, value: State) -> None:
    spec["linux"].pop("devices", None)
    if value:
        spec["linux"]["devices"] = [
            {"path": place, **each, "fileMode": int(each["mode"], 8)} for place, each in value.items()
        ]
        for entry in spec["linux"]["devices"]:
            del entry["mode"]


def node_rules(nodes: State, access: str) -> list[str]:
    """Rules that allow a use of devices.

    :param access: letters of ``rwm``.
    """
    return [
        f"{'b' if each['type'] == 'b' else 'c'} {each['major']}:{each['minor']} {access}"
        for each in nodes.values()
        if each["type"] != "p" and "major" in each and "minor" in each
    ]


def _read_capabilities(spec: Spec) -> list[str]:
    return sorted(spec["process"].get("capabilities", {}).get("bounding", ()))


def _write_capabilities(spec: Spec, value: t.Sequence[str]) -> None:
    sets = spec["process"].setdefault("capabilities", {})
    sets.update({kind: list(value) for kind in ("bounding", "permitted", "effective")})


def _write_ambient(spec: Spec, value: t.Sequence[str]) -> None:
    sets = spec["process"].setdefault("capabilities", {})
    sets.update({kind: list(value) for kind in ("inheritable", "ambient")})


def _read_rlimits(spec: Spec) -> State:
    return {
        entry["type"].removeprefix("RLIMIT_").lower(): _rlimit(f"{_word(entry['soft'])}:{_word(entry['hard'])}")
        for entry in spec["process"].get("rlimits", ())
    }


def _word(limit: int) -> str:
    return "unlimited" if limit >= _UNLIMITED else str(limit)


def _write_rlimits(spec: Spec, value: State) -> None:
    entries = []
    for name, words in sorted(value.items()):
        soft, hard = (_rlimit_number(word) for word in words.split(":"))
        entries.append({"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard})
    spec["process"]["rlimits"] = entries


def _read_sysctls(spec: Spec) -> State:
    return dict(spec["linux"].get("sysctl", {}))


def _write_sysctls(spec: Spec, value: State) -> None:
    spec["linux"]["sysctl"] = value


def _read_score(spec: Spec) -> int | None:
    score: int | None = spec["process"].get("oomScoreAdj")
    return score


def _write_score(spec: Spec, value: int | None) -> None:
    spec["process"].pop("oomScoreAdj", None)
    if value is not None:
        spec["process"]["oomScoreAdj"] = value


def _read_labels(spec: Spec) -> State:
    return {name: value for name, value in spec.get("annotations", {}).items() if not name.startswith("nsfleet.linux/")}


def _write_labels(spec: Spec, value: State) -> None:
    for name in _read_labels(spec):
        del spec["annotations"][name]
    spec.setdefault("annotations", {}).update(value)


# --- the table ---------------------------------------------------------------

_NAMESPACE_TABLE = Table(
    tuple(
        Field(
            option,
            default=_HOST if option in _SHARED_BY_DEFAULT else _PRIVATE,
            canonical=_net_namespace if option == "net" else _namespace,
            effect=RESTART,
        )
        for option in NAMESPACES
    )
)
_MOUNT_TABLE = Table(
    (
        Field("destination", required=True, canonical=absolute_path),
        Field("type", default="bind", effect=RESTART),
        Field("source", default="", effect=RESTART),
        Field("options", "list", elements="str", default=[], canonical=_mount_options, effect=RESTART),
        Field("uid_mappings", "list", elements="dict", table=_RANGE_TABLE, default=[], effect=RESTART),
        Field("gid_mappings", "list", elements="dict", table=_RANGE_TABLE, default=[], effect=RESTART),
    )
)
_NODE_TABLE = Table(
    (
        Field("path", required=True, canonical=absolute_path),
        Field("type", choices=("c", "b", "u", "p"), default="c", effect=RESTART),
        Field("major", "int", canonical=between(0, 4095), effect=RESTART),
        Field("minor", "int", canonical=between(0, (1 << 20) - 1), effect=RESTART),
        Field("mode", default="0666", canonical=octal_mode, effect=RESTART),
        Field("uid", "int", default=0, canonical=between(0, 2**32 - 2), effect=RESTART),
        Field("gid", "int", default=0, canonical=between(0, 2**32 - 2), effect=RESTART),
    )
)
_SECRET_TABLE = Table(
    (
        Field("name", required=True, canonical=_secret_name),
        Field("content", required=True, no_log=True, canonical=_secret_content),
        Field("mode", default="0400", canonical=octal_mode),
        Field("owner", canonical=_account),
        Field("group", canonical=_account),
    )
)
_OFFSETS_TABLE = Table(
    tuple(Field(clock, "float", default=0.0, canonical=_offset, effect=RESTART) for clock in ("monotonic", "boottime"))
)

FIELDS: t.Final = (
    noted("image", "str", "", "live", canonical=_image),
    # The name of an image can come to lead to another one.
    noted("image_digest", "str", "", RECREATE, option=False),
    at("rootfs", "path", "root.path", "/", RECREATE, canonical=absolute_path),
    noted("overlay", "str", "none", RECREATE, choices=("none", "disk", "tmpfs", "copy")),
    noted("idmap", "bool", False),
    at("read_only", "bool", "root.readonly", False),
    at("command", "list", "process.args", [], elements="str", canonical=command_words),
    Field(
        "env", "dict", canonical=environment, effect=RESTART, revert=None,
        read=_read_environment, write=_write_environment,
    ),
    at("cwd", "path", "process.cwd", "/", canonical=absolute_path),
    noted("user", "str", "0", canonical=_user),
    noted("groups", "list", [], elements="str", canonical=_users),
    at("hostname", "str", "hostname", "", "live", canonical=_host_name),
    at("domainname", "str", "domainname", "", "live", canonical=_domain_name),
    Field(
        "namespaces", "dict", table=_NAMESPACE_TABLE, effect=RESTART, read=_read_namespaces, write=_write_namespaces
    ),
    _mappings("uid_mappings"),
    _mappings("gid_mappings"),
    noted("subordinate_ids", "int", 0, "live", canonical=between(0, 2**32 - 2)),
    Field("time_offsets", "dict", table=_OFFSETS_TABLE, effect=RESTART, read=_read_offsets, write=_write_offsets),
    Field(
        "mounts", "list", elements="dict", table=_MOUNT_TABLE, key="destination", effect=RESTART,
        read=_read_mounts, write=_write_mounts,
    ),
    # Their names may be shown; what they hold is said not to be.
    Field("secrets", "list", elements="dict", table=_SECRET_TABLE, key="name", no_log=False),
    # The directory on the host that they are in; after the mounts, of which it is the last one.
    Field(
        "secrets_source", option=False, effect=RESTART, read=_read_source_of_secrets, write=_write_source_of_secrets,
    ),
    at("rootfs_propagation", "str", "linux.rootfsPropagation", "rslave", choices=tuple(PROPAGATIONS)),
    Field(
        "device_nodes", "list", elements="dict", table=_NODE_TABLE, key="path", effect=RESTART,
        read=_read_nodes, write=_write_nodes,
    ),
    Field(
        "capabilities", "list", elements="str", option=False, effect=RESTART,
        read=_read_capabilities, write=_write_capabilities,
    ),
    Field(
        "cap_ambient", "list", elements="str", canonical=capability_names, effect=RESTART, revert=[],
        read=lambda spec: sorted(find(spec, "process.capabilities.ambient") or ()), write=_write_ambient,
    ),
    at("no_new_privs", "bool", "process.noNewPrivileges", True),
    noted("seccomp", "str", DEFAULT_PROFILE, canonical=_profile),
    # What it comes to: a digest of ``linux.seccomp``, which is too long to be shown.
    Field(
        "seccomp_profile", option=False, effect=RESTART, read=lambda spec: profile_digest(find(spec, "linux.seccomp")),
    ),
    at("masked_paths", "list", "linux.maskedPaths", list(MASKED_PATHS), elements="str", canonical=_paths),
    at("readonly_paths", "list", "linux.readonlyPaths", list(READONLY_PATHS), elements="str", canonical=_paths),
    Field("rlimits", "dict", canonical=_rlimits, revert=None, read=_read_rlimits, write=_write_rlimits),
    Field("sysctls", "dict", canonical=_sysctls, revert=None, read=_read_sysctls, write=_write_sysctls),
    Field(
        "oom_score_adj", "int", canonical=between(-1000, 1000), revert=None, read=_read_score, write=_write_score
    ),
    *PROCESS,
    HOOKS,
    noted("cgroup_parent", "str", "containers", canonical=cgroup_name),
    noted("restart_policy", "str", "no", "live", choices=("no", "on-failure", "always")),
    noted("restart_max", "int", 0, "live", canonical=between(0, 1_000_000)),
    noted("stop_signal", "str", "SIGTERM", "live", canonical=_signal),
    noted("stop_timeout", "float", 10.0, "live", canonical=_seconds),
    Field("labels", "dict", canonical=_words, revert=None, read=_read_labels, write=_write_labels),
)  # fmt: skip

#: All of the output has to go through the task's result.
_LARGEST_OUTPUT: t.Final = 64 << 20

#: How a program that is waited for is talked to.
TALK: t.Final = (
    Field("stdin", stateful=False),
    Field("stdin_add_newline", "bool", default=True, stateful=False),
    Field("strip_empty_ends", "bool", default=True, stateful=False),
    Field("timeout", "float", canonical=time_limit, stateful=False),
    Field("output_limit", "int", default=4 << 20, canonical=between(0, _LARGEST_OUTPUT), stateful=False),
)

#: Options that only say how to work, or that others are computed from.
ASKED: t.Final = (
    Field("name", required=True, canonical=container_name, stateful=False),
    Field("cap_add", "list", elements="str", canonical=capability_names, stateful=False),
    Field("cap_drop", "list", elements="str", canonical=capability_names, stateful=False),
    Field("detach", "bool", default=True, stateful=False),
    *TALK,
)


def profile_digest(profile: Spec | None) -> str:
    """What tells a profile of system calls from others; empty if there is none."""
    if profile is None:
        return ""
    import hashlib
    import json

    return f"sha256:{hashlib.sha256(json.dumps(profile, sort_keys=True).encode()).hexdigest()}"


def wanted_profile(value: str, capabilities: t.Collection[str]) -> Spec | None:
    """The profile of system calls that the option ``seccomp`` asks for, as the bundle has it.

    :param capabilities: in the container's bounding set.
    :raises FileNotFoundError: there is no such file.
    :raises NsfleetError: it is no profile.
    """
    if value == UNCONFINED:
        return None
    from .._runtime import seccomp_profile

    if value == DEFAULT_PROFILE:
        return seccomp_profile.default(capabilities)
    return seccomp_profile.read(value, capabilities)


def wanted_capabilities(add: t.Sequence[str] | None, drop: t.Sequence[str] | None) -> list[str]:
    """The default set without what is dropped, with what is added."""
    return sorted((set(CAPABILITIES) - set(drop or ())) | set(add or ()))
