# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host looks like to witnesses that are not ours: iproute2, nft, mount tables, cgroupfs and file systems."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import typing as t

from support.abilities import has

#: Counters and clocks, which change by themselves.
VOLATILE = frozenset({
    "bridge_id", "carrier_changes", "carrier_down_count", "carrier_up_count", "config_pending",
    "designated_root", "fdb_n_learned", "forward_delay_timer", "gc_timer", "handle", "hello_timer",
    "hold_timer", "message_age_timer", "multicast", "operstate", "preferred_life_time", "state", "stats",
    "stats64", "tcn_timer", "tentative", "topology_change", "topology_change_timer", "valid_life_time",
})  # fmt: skip
#: How names of files in cgroupfs end that can be written, yet hold what the kernel counts.
COUNTERS = (
    "failcnt", "peak", "usage", "usage_in_bytes", "cpu.pressure", "io.pressure", "irq.pressure", "memory.pressure",
)  # fmt: skip
#: Files of cgroupfs that list processes.
MEMBERS = ("cgroup.procs", "cgroup.threads", "/tasks")
_SETTINGS: dict[str, bool] = {}  #: by name of a file of cgroupfs, as far as they were met
#: Flags that follow a link's carrier up to a second later.
LATE = frozenset({"LOWER_UP", "NO-CARRIER", "linkdown"})
#: What IPv6 makes by itself of a link that is up, up to two seconds later.
AUTOMATIC = ("fe80:", "ff00::/8")
#: Without it, bridges have no VLANs to look at.
VLANS = "vlan filtering of bridges"
#: What ip(8) tells of a namespace, all by one process: where the processor is emulated, a process is dear.
VIEWS = {"links": "link show", "addresses": "addr show", "routes": "route show table all", "rules": "rule show"}
CREDENTIALS = " /run/credentials/"  #: which systemd mounts and unmounts as its own services come and go
NAMES = "/run/netns"  #: where iproute2 binds the namespaces that it names
FOLDERS = ("/run/nsfleet", "/run/netns", "/var/lib/nsfleet", "/etc/netns", "/.sandbox/upper/etc", "/.sandbox/upper/var")


def sh(command: str) -> str:
    """Run a shell command and give its output.

    :raises AssertionError: it failed.
    """
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def ask(command: str) -> t.Any:
    """Run a command that prints JSON."""
    output = sh(command).strip()
    return json.loads(output) if output else []


def link(name: str, netns: str = "") -> dict[str, t.Any]:
    """One link as ``ip -j -d`` shows it."""
    where = f"-n {netns}" if netns else ""
    return t.cast("dict[str, t.Any]", ask(f"ip {where} -j -d link show dev {name}")[0])


def addresses(name: str, netns: str = "") -> list[str]:
    """Addresses of a link as ``ip -j`` shows them, without link-local ones."""
    where = f"-n {netns}" if netns else ""
    found = ask(f"ip {where} -j addr show dev {name}")[0]["addr_info"]
    return sorted(f"{each['local']}/{each['prefixlen']}" for each in found if each.get("scope") != "link")


def exists(name: str, netns: str = "") -> bool:
    """Whether there is a link of that name."""
    where = ["-n", netns] if netns else []
    command = ["ip", *where, "link", "show", "dev", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def namespaces() -> list[str]:
    """Names of all network namespaces as ``ip netns`` shows them."""
    return sorted(each["name"] for each in ask("ip -j netns"))


def until(condition: t.Callable[[], t.Any], seconds: float = 60.0) -> None:
    """Wait for a condition.

    :raises AssertionError: it did not come.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def until_inside(pid: int, name: str) -> None:
    """Wait until a process is in the network namespace of a name."""
    until(lambda: str(pid) in sh(f"ip netns pids {name}").split())


def limit_file(process: int, controller: str, version1: str, version2: str) -> str:
    """The file of the process's control group that holds a limit, in the hierarchy that has the controller."""
    for line in sh(f"cat /proc/{process}/cgroup").splitlines():
        _number, controllers, group = line.split(":", 2)
        if controller in controllers.split(","):
            return f"/sys/fs/cgroup/{controllers}{group}/{version1}"
    return f"/sys/fs/cgroup{group}/{version2}"


def snapshot() -> dict[str, t.Any]:
    """The whole host, for a comparison of before and after.

    Tests take many of them: it starts no process that it can do without, since an emulated processor takes 0.3 s each.
    """
    names = sorted(os.listdir(NAMES)) if os.path.isdir(NAMES) else []
    places = ["", *(name for name in names if os.path.ismount(os.path.join(NAMES, name)))]
    return {
        "networks": {place: _network(place) for place in places},
        "names": names,
        "mounts": _mounts(),
        "groups": _groups(),
        "files": {folder: _tree(folder) for folder in FOLDERS},
        "tables": _tables(),
    }


def networks() -> t.Any:
    """The network as it is, but for the numbers of links, which those that are made anew do not get back."""
    return _without_numbers(snapshot()["networks"])


def _without_numbers(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        items = sorted(value.items(), key=str)
        return {key: _without_numbers(item) for key, item in items if key not in ("ifindex", "link_index")}
    if isinstance(value, list):
        return sorted((_without_numbers(item) for item in value), key=str)
    return value


def _tables() -> str:
    try:
        return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:  # a host without nft has nobody who could tell
        return ""


def _network(place: str) -> dict[str, t.Any]:
    where = ["-n", place] if place else []
    commands = "\n".join(VIEWS.values())
    done = subprocess.run(
        ["ip", *where, "-j", "-d", "-batch", "-"], input=commands, capture_output=True, text=True, check=True
    )
    views = {view: _steady(json.loads(line)) for view, line in zip(VIEWS, done.stdout.splitlines())}
    if any(each.get("linkinfo", {}).get("info_kind") == "bridge" for each in views["links"]) and has(VLANS):
        views["vlans"] = ask(f"bridge {' '.join(where)} -j vlan")
    return views


def _steady(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _steady(item) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [_steady(item) for item in value if not _late(item)]
    return value


def _late(item: t.Any) -> bool:
    """Whether something comes by itself, after what it follows from."""
    if not isinstance(item, dict):
        return item in LATE
    places = [str(item.get("dst")), str(item.get("local"))]
    # An IPv6 address gets its route in the table "local" once nobody else is known to have it (RFC 4862, 5.4).
    return any(each.startswith(AUTOMATIC) for each in places) or (item.get("table") == "local" and ":" in places[0])


def _mounts() -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        # Numbers of peer groups are the whole kernel's: any other sandbox changes which one is free.
        steady = (" ".join(line.split()[3:]) for line in lines if CREDENTIALS not in line)
        return [re.sub(r"(shared|master):\d+", r"\1", line) for line in steady]


def _groups() -> dict[str, dict[str, t.Any]]:
    found: dict[str, dict[str, t.Any]] = {}
    for folder, _folders, names in os.walk("/sys/fs/cgroup"):
        if "nsfleet" in folder or "case" in folder:
            paths = (f"{folder}/{name}" for name in names if not name.endswith(COUNTERS) and _is_setting(folder, name))
            found[folder] = {path: _content(path) for path in paths}
            found[folder]["owner"] = (os.stat(folder).st_uid, os.stat(folder).st_gid)
            found[folder]["marks"] = {name: os.getxattr(folder, name) for name in os.listxattr(folder)}
    return found


def _is_setting(folder: str, name: str) -> bool:
    """What somebody can set and look at; and what devices are allowed, which version 1 sets by other files."""
    if name not in _SETTINGS:  # a file of one name is of one kind in all groups
        _SETTINGS[name] = os.stat(f"{folder}/{name}").st_mode & 0o600 == 0o600 or name == "devices.list"
    return _SETTINGS[name]


def _content(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            text = file.read().decode(errors="replace")
    except OSError as error:
        return str(error.errno)
    return "\n".join(filter(_lives, text.split())) if path.endswith(MEMBERS) else text


def _lives(pid: str) -> bool:
    """Whether a process has not ended: the kernel (6.18) takes those that have out of their group a moment later."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _tree(folder: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            info = os.lstat(path)
            found[path] = (info.st_mode, info.st_uid, info.st_size, info.st_mtime_ns if name in names else 0)
    return found


def difference(before: t.Any, after: t.Any, path: str = "") -> list[str]:
    """What differs between two snapshots, a line each."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted({*before, *after}, key=str)
        return [
            line
            for key in keys
            for line in difference(before.get(key, "(nothing)"), after.get(key, "(nothing)"), f"{path} > {key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [line for one, other in zip(before, after) for line in difference(one, other, path)]
    return [] if before == after else [f"{path}: {before!r} -> {after!r}"]
