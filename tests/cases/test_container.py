# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module container, by ``/proc``, ``nsenter`` and cgroupfs."""

from __future__ import annotations

import contextlib
import errno
import functools
import glob
import os
import pathlib
import shutil
import signal
import sys
import time
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel import mount_api
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel.syscall import number as call_number
from ansible_collections.nsfleet.linux.plugins.module_utils._kernel.syscall import syscall
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container import TABLE
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.container_fields import TALK
from support import apparmor, groups, images, laws, limits, rooted, world
from support.abilities import GROUPS_WITH, has, need
from support.invoke import invoke
from support.laws import Case

BUNDLE = "/var/lib/nsfleet/containers/case"
#: Its secrets on the host.
SECRETS = "/run/nsfleet/secrets/case/files"
#: The container's control group.
GROUP = "containers/case"
WAIT = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 31536000 & wait"]
BASE: dict[str, t.Any] = {"name": "case", "rootfs": "/", "overlay": "tmpfs", "command": WAIT}
#: Ids outside that nobody has.
USERS = [{"container_id": 0, "host_id": 200000, "size": 65536}]
ONE_TO_SEVEN = [{"container_id": 0, "host_id": 7, "size": 1}]
IN_USER_NAMESPACE = {"namespaces": {"user": "private"}, "uid_mappings": USERS, "gid_mappings": USERS}


# --- witnesses ---------------------------------------------------------------


def pid() -> int:
    """The container's first process, as ``pgrep`` finds it by its command line."""
    return int(world.sh("pgrep -of '^/bin/sh -c trap'"))


def inside(command: str) -> str:
    """Output of a command that joins all namespaces of the container and its root."""
    return world.sh(f"nsenter --target {pid()} --all --root --wd=/ -- {command}").strip()


def status(name: str) -> str:
    """A line of ``/proc/PID/status``."""
    lines = world.sh(f"cat /proc/{pid()}/status").splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{name}:"))


def namespace(kind: str) -> str:
    """A namespace of the container: ``own``, or whose it is."""
    link = os.readlink(f"/proc/{pid()}/ns/{kind}")
    return "host" if link == os.readlink(f"/proc/1/ns/{kind}") else "own"


def content(path: str) -> str:
    """A file's content, without its last line feed; empty if it is not there."""
    return world.sh(f"cat {path} 2>/dev/null || true").strip()


def environment(name: str) -> str:
    """A variable of the first process."""
    with open(f"/proc/{pid()}/environ", encoding="utf-8") as file:
        words = dict(word.partition("=")[::2] for word in file.read().split("\0"))
    return words.get(name, "")


def mount_options(place: str) -> str:
    """Options of what is mounted at a place inside; empty if nothing is."""
    for line in world.sh(f"cat /proc/{pid()}/mountinfo").splitlines():
        words = line.split()
        if words[4] == place:
            return words[5]
    return ""


def propagation(place: str) -> str:
    """Propagation of what is mounted at a place inside, without the numbers of peer groups."""
    line = next(line for line in content(f"/proc/{pid()}/mountinfo").splitlines() if line.split()[4] == place)
    words = line.split(" - ")[0].split()[6:]
    return ",".join(word.partition(":")[0] for word in words if not word.startswith("master"))


def edited(statement: str) -> str:
    """A shell command that edits the bundle's description, as a hand with an editor does."""
    lines = f"import json; p = '{BUNDLE}/config.json'; d = json.load(open(p)); {statement}; json.dump(d, open(p, 'w'))"
    return f'{sys.executable} -c "{lines}"'


def has_capability(number: int, line: str = "CapBnd") -> bool:
    """Whether a capability is in a set of the first process."""
    return bool(int(status(line), 16) >> number & 1)


def scheduling() -> list[str]:
    """How chrt(1) says the first process is scheduled: policy, priority, and times of a policy that has them."""
    return [line.split(": ")[1] for line in world.sh(f"chrt -p {pid()}").splitlines()]


def affinity_of_a_command() -> str:
    """Processors on which a command in the container runs."""
    command = ["grep", "Cpus_allowed_list", "/proc/self/status"]
    return str(invoke("container_exec", {"name": "case", "command": command})["stdout"].split()[-1])


#: Points at which hooks run, each of which writes its name beside what it is told.
POINTS = ("prestart", "create_runtime", "create_container", "start_container", "poststart", "poststop")
HOOKS = {
    point: [{"path": "/bin/sh", "args": ["-c", f"echo $POINT >>{place}/told"], "env": {"POINT": point}, "timeout": 60}]
    for point, place in {**dict.fromkeys(POINTS, "/srv/case"), "start_container": ""}.items()
}  # fmt: skip


def told() -> set[str]:
    """What hooks wrote of a start, on the host and inside; more in ``test_container_hooks.py``."""
    return {*content("/srv/case/told").split(), *inside("sh -c 'cat /told || true'").split()} - {"poststop"}


NET_ADMIN, NET_RAW, NET_BIND_SERVICE = 12, 13, 10
#: The container's first process, for a shell.
FIRST = "$(pgrep -of '^/bin/sh -c trap')"
#: Times of a deadline, in nanoseconds.
TIMES = {"runtime": 5_000_000, "deadline": 10_000_000, "period": 20_000_000}


# --- every option ------------------------------------------------------------

NODES = [
    {"path": "/srv/dev/loop", "major": 10, "minor": 237, "mode": "0640", "uid": 5, "gid": 7},
    {"path": "/dev/wire", "type": "p"},
]
CASES = [
    Case(
        "command", {"command": [*WAIT[:2], WAIT[2] + " # other"]}, lambda: content(f"/proc/{pid()}/cmdline")[-7:-1],
        " other", edited("d['process']['args'] = ['/bin/sh', '-c', d['process']['args'][2] + ' hand']"),
    ),
    Case("env", {"env": {"COLOUR": "red"}}, lambda: environment("COLOUR"), "red",
         edited("d['process']['env'].append('COLOUR=blue')"), reverts_to=""),
    Case("env", {"env": {"PATH": "/usr/bin:/bin"}}, lambda: environment("PATH"), "/usr/bin:/bin",
         edited("d['process']['env'] = ['PATH=/bin']"),
         reverts_to="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    Case("cwd", {"cwd": "/usr/share"}, lambda: os.readlink(f"/proc/{pid()}/cwd"), "/usr/share",
         edited("d['process']['cwd'] = '/etc'"), reverts_to="/"),
    Case("user", {"user": "daemon"}, lambda: (status("Uid").split()[0], status("Gid").split()[0]), ("1", "1"),
         edited("d['annotations']['nsfleet.linux/user'] = 'bin'"), reverts_to=("0", "0")),
    Case("user", {"user": "1234:5678"}, lambda: (status("Uid").split()[3], status("Gid").split()[3]),
         ("1234", "5678"), edited("d['annotations']['nsfleet.linux/user'] = '1234:1'"), reverts_to=("0", "0")),
    Case("groups", {"groups": ["daemon", "4321"]}, lambda: status("Groups"), "1 4321",
         edited("d['annotations']['nsfleet.linux/groups'] = '7'"), reverts_to=""),
    Case("hostname", {"hostname": "nest"}, lambda: inside("hostname"), "nest",
         "nsenter --target $(pgrep -of '^/bin/sh -c trap') --uts hostname hand", reverts_to="case"),
    Case("domainname", {"domainname": "nest.test"}, lambda: inside("cat /proc/sys/kernel/domainname"), "nest.test",
         "nsenter --target $(pgrep -of '^/bin/sh -c trap') --uts sh -c 'echo hand > /proc/sys/kernel/domainname'",
         reverts_to=""),
    Case("namespaces", {"namespaces": {"ipc": "host"}}, lambda: namespace("ipc"), "host",
         edited("d['linux']['namespaces'].append({'type': 'ipc'})"), reverts_to="own"),
    Case("namespaces", {"namespaces": {"net": "host"}}, lambda: namespace("net"), "host",
         edited("d['linux']['namespaces'].append({'type': 'network'})"), reverts_to="own"),
    Case("namespaces", {"namespaces": {"uts": "host"}}, lambda: namespace("uts"), "host",
         edited("d['linux']['namespaces'].append({'type': 'uts'})"), reverts_to="own"),
    Case("namespaces", {"namespaces": {"pid": "host"}}, lambda: namespace("pid"), "host",
         edited("d['linux']['namespaces'].append({'type': 'pid'})"), reverts_to="own"),
    Case("namespaces", {"namespaces": {"cgroup": "host"}}, lambda: namespace("cgroup"), "host",
         edited("d['linux']['namespaces'].append({'type': 'cgroup'})"), reverts_to="own"),
    Case("namespaces", {"namespaces": {"time": "private"}}, lambda: namespace("time"), "own",
         edited("d['linux']['namespaces'] = [e for e in d['linux']['namespaces'] if e['type'] != 'time']"),
         reverts_to="host"),
    Case("namespaces", IN_USER_NAMESPACE, lambda: namespace("user"), "own",
         edited("d['linux']['namespaces'] = [e for e in d['linux']['namespaces'] if e['type'] != 'user']"),
         reverts_to="host"),
    Case("time_offsets", {"namespaces": {"time": "private"}, "time_offsets": {"monotonic": 3600, "boottime": -0.25}},
         lambda: content(f"/proc/{pid()}/timens_offsets").split(),
         ["monotonic", "3600", "0", "boottime", "-1", "750000000"],
         edited("d['linux']['timeOffsets'] = {'boottime': d['linux']['timeOffsets']['boottime']}"),
         reverts_to=["monotonic", "0", "0", "boottime", "0", "0"]),
    Case("time_offsets", {"namespaces": {"time": "private"}, "time_offsets": {"boottime": 86400.5}},
         lambda: content(f"/proc/{pid()}/timens_offsets").split()[-2:], ["86400", "500000000"],
         edited("d['linux']['timeOffsets']['boottime']['secs'] = 5"), reverts_to=["0", "0"]),
    Case("uid_mappings", IN_USER_NAMESPACE, lambda: content(f"/proc/{pid()}/uid_map").split(), ["0", "200000", "65536"],
         edited("d['linux']['uidMappings'][0]['hostID'] = 300000"), reverts_to=["0", "0", "4294967295"]),
    Case("gid_mappings", IN_USER_NAMESPACE, lambda: content(f"/proc/{pid()}/gid_map").split(), ["0", "200000", "65536"],
         edited("d['linux']['gidMappings'][0]['hostID'] = 300000"), reverts_to=["0", "0", "4294967295"]),
    Case("idmap", {**IN_USER_NAMESPACE, "idmap": True, "rootfs": "/srv/case"},
         lambda: (content(f"/proc/{pid()}/uid_map").split()[1], inside("stat -c %u /etc/passwd")), ("200000", "0"),
         edited("del d['annotations']['nsfleet.linux/idmap']"), needs="idmapped mounts"),
    Case("mounts", {"mounts": [{"destination": "/mnt/data", "source": "/srv/case/etc", "options": ["ro", "nosuid"]}]},
         lambda: mount_options("/mnt/data").split(",")[:2], ["ro", "nosuid"],
         "nsenter --target $(pgrep -of '^/bin/sh -c trap') --mount --pid umount /mnt/data", reverts_to=[""]),
    Case("mounts", {"mounts": [{"destination": "/scratch", "type": "tmpfs", "source": "tmpfs",
                                "options": ["size=4m", "mode=1777", "noexec"]}]},
         lambda: inside("sh -c 'stat -f -c %b /scratch; stat -c %a /scratch' 2>/dev/null || true").split(),
         ["1024", "1777"], edited("d['mounts'][-1]['options'] = ['size=8m']"), reverts_to=[]),
    Case("mounts", {"mounts": [{"destination": "/mnt/data", "source": "/srv/case", "uid_mappings": ONE_TO_SEVEN,
                                "gid_mappings": ONE_TO_SEVEN, "options": ["rro", "nosymfollow", "idmap"]}]},
         lambda: (inside("sh -c 'stat -c %u:%g /mnt/data/case 2>/dev/null || true'"),
                  {"ro", "nosymfollow"} <= {*mount_options("/mnt/data").split(",")}), ("7:7", True),
         edited("d['mounts'][-1]['uidMappings'][0]['hostID'] = 8"), needs="idmapped mounts", reverts_to=("", False)),
    Case("secrets", {"secrets": [{"name": "key", "content": "s3cr3t", "mode": "440", "owner": "daemon", "group": "5"}]},
         lambda: inside("sh -c 'cd /run/secrets 2>/dev/null && cat key && stat -c \" %a %u:%g\" key || true'"),
         "s3cr3t 440 1:5", f"chown 7:7 {SECRETS}/key; chmod 600 {SECRETS}/key; echo other >{SECRETS}/key",
         reverts_to=""),
    Case("rootfs_propagation", {"rootfs_propagation": "shared"}, lambda: propagation("/"), "shared",
         edited("d['linux']['rootfsPropagation'] = 'unbindable'"), reverts_to=""),
    Case("device_nodes", {"device_nodes": NODES},
         lambda: inside("sh -c 'cd /; stat -c %A:%u:%g srv/dev/loop dev/wire 2>/dev/null || true'").split(),
         ["crw-r-----:5:7", "prw-rw-rw-:0:0"], edited("d['linux']['devices'][0]['fileMode'] = 0o666"), reverts_to=[]),
    Case("subordinate_ids", {"namespaces": {"user": "private"}, "subordinate_ids": 1000},
         lambda: (content(f"/proc/{pid()}/uid_map").split(), content(f"/proc/{pid()}/gid_map").split()),
         (["0", "700000", "1000"], ["0", "800000", "1000"]),
         edited("d['linux']['uidMappings'][0]['hostID'] = 5")),
    Case("read_only", {"read_only": True}, lambda: mount_options("/").split(",")[0], "ro",
         "nsenter --target $(pgrep -of '^/bin/sh -c trap') --mount --pid mount -o remount,rw,bind /", reverts_to="rw"),
    Case("cap_add", {"cap_add": ["NET_ADMIN"]}, lambda: has_capability(NET_ADMIN), True,
         edited("d['process']['capabilities']['bounding'].remove('CAP_NET_ADMIN')"), reverts_to=False),
    Case("cap_drop", {"cap_drop": ["ALL"]}, lambda: status("CapBnd").strip("0"), "",
         edited("d['process']['capabilities']['bounding'] = ['CAP_KILL']")),
    Case("cap_ambient", {"user": "1234", "cap_ambient": ["NET_BIND_SERVICE"]},
         lambda: (has_capability(NET_BIND_SERVICE, "CapAmb"), has_capability(NET_BIND_SERVICE, "CapEff")), (True, True),
         edited("d['process']['capabilities']['ambient'] = []")),
    Case("no_new_privs", {"no_new_privs": False}, lambda: status("NoNewPrivs"), "0",
         edited("d['process']['noNewPrivileges'] = True"), reverts_to="1"),
    Case("seccomp", {"seccomp": "unconfined"}, lambda: (status("Seccomp"), status("Seccomp_filters")), ("0", "0"),
         edited("d['linux']['seccomp'] = {'defaultAction': 'SCMP_ACT_ERRNO'}"), reverts_to=("2", "1")),
    Case("seccomp", {"seccomp": "/srv/case/profile.json"}, lambda: (status("Seccomp"), default_action()),
         ("2", "SCMP_ACT_LOG"), edited("del d['linux']['seccomp']"), reverts_to=("2", "SCMP_ACT_ERRNO")),
    Case("masked_paths", {"masked_paths": ["/etc/passwd", "/usr/share"]},
         lambda: inside("sh -c 'cat /etc/passwd; ls /usr/share | wc -l'"), "0",
         edited("d['linux']['maskedPaths'] = []")),
    Case("readonly_paths", {"readonly_paths": ["/usr/share"]}, lambda: mount_options("/usr/share").split(",")[0], "ro",
         edited("d['linux']['readonlyPaths'] = []"), reverts_to=""),
    Case("rlimits", {"rlimits": {"nofile": "512:1024", "core": 0}},
         lambda: [line.split()[3:5] for line in content(f"/proc/{pid()}/limits").splitlines() if "open files" in line],
         [["512", "1024"]], "prlimit --pid $(pgrep -of '^/bin/sh -c trap') --nofile=100:1024"),
    Case("sysctls", {"sysctls": {"net.ipv4.ip_forward": 1, "kernel.msgmax": 4096}},
         lambda: inside("sh -c 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax'").split(), ["1", "4096"],
         "nsenter --target $(pgrep -of '^/bin/sh -c trap') --net sysctl -qw net.ipv4.ip_forward=0",
         reverts_to=["0", "8192"]),
    Case("oom_score_adj", {"oom_score_adj": 500}, lambda: content(f"/proc/{pid()}/oom_score_adj"), "500",
         "echo 100 > /proc/$(pgrep -of '^/bin/sh -c trap')/oom_score_adj", reverts_to="0"),
    Case("umask", {"umask": "27"}, lambda: status("Umask"), "0027", edited("d['process']['user']['umask'] = 0"),
         reverts_to="0022"),
    Case("scheduler", {"scheduler": {"policy": "batch", "nice": 5}},
         lambda: (scheduling()[0], world.sh(f"ps -o ni= -p {pid()}").strip()), ("SCHED_BATCH", "5"),
         f"chrt --other --pid 0 {FIRST}; renice -n 7 -p {FIRST}", reverts_to=("SCHED_OTHER", str(os.nice(0)))),
    Case("scheduler", {"scheduler": {"policy": "deadline", "flags": ["reset_on_fork"], **TIMES}}, scheduling,
         ["SCHED_DEADLINE|SCHED_RESET_ON_FORK", "0", "5000000/10000000/20000000"],
         f"chrt --deadline -T 5000000 -D 10000000 -P 10000000 --pid 0 {FIRST}"),
    Case("scheduler", {"scheduler": {"policy": "fifo", "priority": 3}}, scheduling, ["SCHED_FIFO", "3"],
         f"chrt --rr --pid 3 {FIRST}", needs="realtime for control groups"),
    Case("io_priority", {"io_priority": {"class": "best-effort", "priority": 6}},
         lambda: world.sh(f"ionice -p {pid()}").strip(), "best-effort: prio 6", f"ionice -c idle -p {FIRST}"),
    Case("exec_cpu_affinity", {"exec_cpu_affinity": "0"}, affinity_of_a_command, "0",
         edited("d['process']['execCPUAffinity']['final'] = '1'"), needs="several processors"),
    Case("personality", {"personality": "linux32"}, lambda: content(f"/proc/{pid()}/personality"), "00000008",
         edited("d['linux']['personality']['domain'] = 'LINUX'"), reverts_to="00000000"),
    Case("apparmor_profile", {"apparmor_profile": "nsfleet-case"}, lambda: content(f"/proc/{pid()}/attr/current"),
         "nsfleet-case (enforce)", edited("d['process']['apparmorProfile'] = 'nsfleet-other'"), needs="AppArmor",
         reverts_to="unconfined"),
    Case("hooks", {"hooks": HOOKS}, told, {*POINTS} - {"poststop"}, edited("del d['hooks']['poststop'][0]['env'][0]")),
    Case("cgroup_parent", {"cgroup_parent": "shop"}, lambda: "/shop/case" in content(f"/proc/{pid()}/cgroup"), True,
         edited("d['linux']['cgroupsPath'] = 'other/case'"), reverts_to=False),
    Case("restart_policy", {"restart_policy": "on-failure"}, lambda: note("restart-policy"), "on-failure",
         edited("d['annotations']['nsfleet.linux/restart-policy'] = 'always'"), reverts_to=""),
    Case("restart_max", {"restart_max": 3}, lambda: note("restart-max"), "3",
         edited("d['annotations']['nsfleet.linux/restart-max'] = '4'"), reverts_to=""),
    Case("stop_signal", {"stop_signal": "int"}, lambda: note("stop-signal"), "SIGINT",
         edited("d['annotations']['nsfleet.linux/stop-signal'] = 'SIGHUP'"), reverts_to=""),
    Case("stop_timeout", {"stop_timeout": 2.5}, lambda: note("stop-timeout"), "2.5",
         edited("d['annotations']['nsfleet.linux/stop-timeout'] = '1'"), reverts_to=""),
    Case("labels", {"labels": {"org.example.tier": "web"}},
         lambda: "org.example.tier" in content(f"{BUNDLE}/config.json"), True,
         edited("d['annotations']['org.example.tier'] = 'db'"), reverts_to=False),
    Case("overlay", {"overlay": "disk"}, lambda: bool(glob.glob(f"{BUNDLE}/upper*")), True,
         edited("d['annotations']['nsfleet.linux/overlay'] = 'tmpfs'"), reverts_to=False),
    Case("rootfs", {"rootfs": "/srv/case"}, lambda: content(f"/proc/{pid()}/root/case"), "case",
         edited("d['root']['path'] = '/'"), reverts_to=""),
    limits.devices(GROUP),
]  # fmt: skip


def note(name: str) -> str:
    """An annotation in the bundle."""
    import json

    with open(f"{BUNDLE}/config.json", encoding="utf-8") as file:
        found: str = json.load(file)["annotations"].get(f"nsfleet.linux/{name}", "")
    return found


def default_action() -> str:
    """What the bundle's profile of system calls does with those that it does not name."""
    import json

    with open(f"{BUNDLE}/config.json", encoding="utf-8") as file:
        found: str = json.load(file)["linux"].get("seccomp", {}).get("defaultAction", "")
    return found


@pytest.fixture(scope="session", autouse=True)
def ids_are_set_aside() -> None:
    """For containers that are to have some of their own; the file stays, since its absence would be a change."""
    world.sh("echo nsfleet:700000:2500 > /etc/subuid; echo nsfleet:800000:2500 > /etc/subgid")


@pytest.fixture(scope="session", autouse=True)
def profiles_are_loaded() -> t.Iterator[None]:
    """Of AppArmor, if there is one; they are no change of any test."""
    with apparmor.loaded("nsfleet-case", "nsfleet-other") if has("AppArmor") else contextlib.nullcontext():
        yield


@pytest.fixture(autouse=True)
def rootfs() -> t.Iterator[None]:
    """A small root file system beside the host's; what a failed case left running is ended."""
    world.sh(SKELETON)
    yield
    world.sh("umount /srv/case 2>/dev/null || true")
    shutil.rmtree("/srv/case")
    if os.path.exists("/run/nsfleet/containers"):
        world.sh(CLEAN_UP)


#: Programs of the host with the libraries that they need, and users.
SKELETON = """
root=/srv/case; mkdir -p $root
test $(stat -f -c %T /srv) != overlayfs || mount -t tmpfs tmpfs $root  # which can show other owners
mkdir $root/etc; cp /etc/passwd /etc/group $root/etc; echo case >$root/case
echo '{"defaultAction": "SCMP_ACT_LOG", "flags": []}' >$root/profile.json
for dir in bin lib lib64; do test ! -L /$dir || ln -s $(readlink /$dir) $root/$dir; done
for program in sh sleep cat ls stat id hostname; do
  file=$(readlink -f $(command -v $program))
  for each in $file $(ldd $file | grep -o '/[^ ]*'); do
    target=$root$(readlink -f $(dirname $each))/$(basename $each)
    mkdir -p $(dirname $target); cp -L $each $target
  done
  test -e $root/usr/bin/$program || ln -s $(basename $file) $root/usr/bin/$program
done
"""
CLEAN_UP = """
for each in 1 2 3; do
  cat /sys/fs/cgroup/nsfleet*/*/cgroup.procs /sys/fs/cgroup/*/nsfleet*/*/cgroup.procs \
      /sys/fs/cgroup/*/nsfleet*/*/*/cgroup.procs 2>/dev/null | sort -u | xargs -r kill -KILL || true
  sleep 0.2
done
find /sys/fs/cgroup -depth -type d -path '*nsfleet/*' -exec rmdir {} +
find /sys/fs/cgroup -name nsfleet -exec rmdir {} +
rm -rf /var/lib/nsfleet/* /run/nsfleet
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_option(case: Case) -> None:
    need(case.needs)
    laws.option_holds("container", BASE, case)
    laws.remove("container", {"name": "case"})


@pytest.mark.parametrize(
    "rows",
    limits.rounds(without=("cpuset_cpus", "cpuset_mems")),
    ids=lambda rows: f"{rows[0].option} and {len(rows) - 1} more",
)
@pytest.mark.parametrize("version", ["cgroup v1 controllers", "cgroup v2 controllers"])
def test_limits(version: str, rows: list[limits.Row]) -> None:
    """Many at once, since a container is dear; what the host lacks is refused, each by its name."""
    need(version)
    there, lacking = ([row for row in rows if bool(row.lacks) == lacks] for lacks in (False, True))
    if there:
        laws.option_holds("container", BASE, limits.together(there, GROUP))
    if lacking:  # the group of the container tells what groups of this kernel do not have
        options = {row.option: row.options[row.option] for row in lacking}
        laws.refused("container", {**BASE, **options}, *options)
    laws.run("container", {"name": "case", "state": "absent"})


@pytest.mark.parametrize(
    ("option", "line", "ability"),
    [
        ("cpuset_cpus", "Cpus_allowed_list", "several processors"),
        ("cpuset_mems", "Mems_allowed_list", "several memory nodes"),
    ],
)
def test_processors_and_memory_of_a_running_container(option: str, line: str, ability: str) -> None:
    """A group with processes cannot be made to name none again in version 2; what they may use is the same."""
    file = option.replace("_", ".", 1)
    need(f"{GROUPS_WITH}{file}")
    need(ability)
    everything = world.sh(f"sed -n 's/^{line}:[[:space:]]*//p' /proc/1/status").strip()
    damage = f"echo {everything} > {groups.folder(file, GROUP)}/{file}"
    case = Case(option, {option: "0"}, lambda: status(line), "0", damage, reverts_to=everything)
    laws.option_holds("container", BASE, case)
    laws.remove("container", {"name": "case"})


def test_weights_of_single_disks(disk: str) -> None:
    laws.option_holds("container", BASE, limits.disk_weight(disk, GROUP))
    laws.remove("container", {"name": "case"})


def test_partition_of_processors() -> None:
    limits.partition_fails("container", BASE)


# --- life and death ------------------------------------------------------------


def info() -> dict[str, t.Any]:
    """What container_info says of the container."""
    (found,) = invoke("container_info", {"name": "case"})["containers"]
    return t.cast("dict[str, t.Any]", found)


def ended() -> bool:
    """Whether it ended, and its monitor wrote down how."""
    return not info()["running"] and info()["exit_code"] is not None


def script(words: str, **options: t.Any) -> dict[str, t.Any]:
    """Options of a container that runs a shell script; ``trap`` first, so that it is found by :func:`pid`."""
    return {**BASE, "command": ["/bin/sh", "-c", f"trap 'exit 0' TERM; {words}"], **options}


def test_states() -> None:
    laws.four_steps("container", {**BASE, "state": "present"})
    assert not info()["running"]
    only = {"name": "case"}
    laws.four_steps("container", {**only, "state": "started"})
    first = pid()
    assert not laws.run("container", {**BASE, "state": "present"}).changed
    assert pid() == first
    restarted = laws.run("container", {**only, "state": "restarted"})
    assert restarted.changed
    assert pid() != first
    laws.four_steps("container", {**only, "state": "stopped"})
    assert not os.path.exists(f"/proc/{first}")
    assert info()["exit_code"] == 0
    assert not laws.run("container", {**BASE, "state": "stopped"}).changed
    laws.settled("container", {**BASE, "state": "stopped"})
    laws.remove("container", only)


def test_live_changes_keep_the_process() -> None:
    laws.run("container", BASE)
    before = pid(), os.readlink(f"/proc/{pid()}/ns/mnt")
    live: dict[str, t.Any] = {
        "hostname": "other", "memory_max": "128M", "rlimits": {"nofile": 100}, "oom_score_adj": 10,
        "labels": {"a": "b"}, "sysctls": {"net.ipv4.ip_forward": 1}, "restart_policy": "always", "stop_timeout": 1,
    }  # fmt: skip
    done = laws.four_steps("container", {**BASE, **live})
    assert {step["effect"] for step in done["plan"]} == {"live"}
    assert (pid(), os.readlink(f"/proc/{pid()}/ns/mnt")) == before
    assert content(world.limit_file(pid(), "memory", "memory.limit_in_bytes", "memory.max")) == str(128 << 20)
    laws.remove("container", {"name": "case"})


def test_restart_keeps_the_layer_and_recreate_does_not() -> None:
    options = {**BASE, "overlay": "disk"}
    laws.run("container", options)
    inside("sh -c 'echo kept > /kept'")
    done = laws.four_steps("container", {**options, "cwd": "/tmp"})
    assert {step["effect"] for step in done["plan"]} == {"restart"}
    assert inside("cat /kept") == "kept"
    assert not os.path.exists("/kept"), "the container wrote into the host's root"
    done = laws.four_steps("container", {**options, "rootfs": "/srv/case"})
    assert {step["effect"] for step in done["plan"]} == {"recreate"}
    assert inside("sh -c 'cat /kept 2>/dev/null || true'") == ""
    laws.remove("container", {"name": "case"})


def test_log_and_exit_code() -> None:
    laws.run("container", {**BASE, "command": ["/bin/sh", "-c", "echo out; echo err >&2; exit 7"]})
    world.until(ended)
    assert content(f"{BUNDLE}/log") == "out\nerr"
    told = info()
    assert (told["exit_code"], told["log"], told["restarts"]) == (7, "out\nerr\n", 0)
    laws.remove("container", {"name": "case"})


def test_restart_policy() -> None:
    """On failure it is started again, at most so often; a container that ends well is not."""
    failing = {**BASE, "command": ["/bin/sh", "-c", "echo x; exit 3"], "restart_policy": "on-failure", "restart_max": 2}
    laws.run("container", failing)
    world.until(lambda: content(f"{BUNDLE}/log") == "x\nx\nx" and ended())
    time.sleep(1)
    assert content(f"{BUNDLE}/log") == "x\nx\nx"
    assert (info()["restarts"], info()["exit_code"]) == (2, 3)
    laws.remove("container", {"name": "case"})
    laws.run("container", {**failing, "command": ["/bin/sh", "-c", "echo x; exit 0"]})
    world.until(ended)
    time.sleep(0.5)
    assert content(f"{BUNDLE}/log") == "x"
    laws.remove("container", {"name": "case"})


def test_killed_payload_is_restarted_always() -> None:
    options = {**BASE, "restart_policy": "always"}
    laws.run("container", options)
    first = pid()
    os.kill(first, signal.SIGKILL)
    world.until(lambda: not os.path.exists(f"/proc/{first}") and info()["running"])
    laws.settled("container", options)
    laws.four_steps("container", {"name": "case", "state": "stopped"})
    time.sleep(0.5)
    assert not info()["running"], "a container that was stopped was started again"
    laws.remove("container", {"name": "case"})


def test_stop_signal_and_timeout() -> None:
    """The signal is the one asked for; what does not listen is killed when its time is over."""
    listens = script("trap 'echo heard; exit 0' INT; sleep 31536000 & wait", stop_signal="SIGINT")
    laws.run("container", listens)
    laws.run("container", {"name": "case", "state": "stopped"})
    assert content(f"{BUNDLE}/log") == "heard"
    laws.remove("container", {"name": "case"})
    ticks = "trap 'echo heard' TERM; echo up; while true; do sleep 0.1; echo tick; done"
    laws.run("container", {**BASE, "command": ["/bin/sh", "-c", ticks], "stop_timeout": 1})
    world.until(lambda: "up" in content(f"{BUNDLE}/log"))
    laws.run("container", {"name": "case", "state": "stopped"})
    left = content(f"{BUNDLE}/log").partition("heard")[2].split()
    assert 0 < len(left) < 50, "it was not left the second that it was to have, but none, or the ten of the default"
    assert info()["exit_code"] == 137
    laws.remove("container", {"name": "case"})


def test_stopped_at_once_it_tells_how_it_ended() -> None:
    """Its monitor has not made itself small yet when it is told to go."""
    for _attempt in range(5):
        laws.run("container", {**BASE, "command": ["/bin/sleep", "1000"], "stop_signal": "KILL"})
        laws.run("container", {"name": "case", "state": "stopped"})
        assert info()["exit_code"] == 137
        laws.run("container", {"name": "case", "state": "absent"})


def test_stopped_though_something_is_not_there_any_more() -> None:
    os.mkdir("/srv/case/data")
    laws.run("container", {**BASE, "mounts": [{"destination": "/mnt/data", "source": "/srv/case/data"}]})
    os.rmdir("/srv/case/data")
    laws.missing("container", {"name": "case", "state": "restarted"}, "mounts[/mnt/data].source: there is no")
    laws.four_steps("container", {"name": "case", "state": "stopped"})
    laws.remove("container", {"name": "case"})


def test_group_above_cannot_give_controllers(sleeper: int) -> None:
    """Of version 2, with processes of its own: known before anything is touched."""
    files = {"hugetlb": "hugetlb.2MB.max", "memory": "memory.max"}
    controller = next((each for each in files if groups.place(each).version == 2), "memory")
    need(f"{GROUPS_WITH}{files[controller]}")
    laws.run("cgroup", {"name": "above", "processes": [sleeper]})
    limit: dict[str, t.Any] = {"hugetlb_max": {"2MB": "2M"}} if controller == "hugetlb" else {"memory_max": "64M"}
    words = f"{next(iter(limit))}: it needs the controller {controller}, which cannot be had", "processes of its own"
    laws.refused("container", {**BASE, "cgroup_parent": "above", **limit}, *words)
    laws.run("cgroup", {"name": "above", "state": "absent", "kill": True})


@pytest.mark.parametrize("kernel", ["of today", "before Linux 5.12"])
@pytest.mark.parametrize(
    ("attributes", "clear", "shown"),
    [
        (mount_api.READ_ONLY, 0, "ro,nosuid,nodev,noatime"),
        (0, mount_api.NO_DEV, "rw,nosuid,noatime"),
        (mount_api.NO_EXEC, mount_api.NO_SUID | mount_api.ACCESS_TIME_MASK, "rw,nodev,noexec,relatime"),
        (mount_api.STRICT_ACCESS_TIME, 0, "rw,nosuid,nodev"),
    ],
)
def test_attributes_of_a_mount_that_nobody_names_stay(
    kernel: str, attributes: int, clear: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old(target: int, words: bytes, recursive: bool) -> None:
        del target, words, recursive
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    world.sh("mkdir /srv/case/mount; mount -t tmpfs -o nosuid,nodev,noatime tmpfs /srv/case/mount")
    if kernel != "of today":
        monkeypatch.setattr(mount_api, "_setattr", old)
    target = os.open("/srv/case/mount", os.O_PATH | os.O_DIRECTORY)
    mount_api.set_attributes(target, attributes, clear)
    os.close(target)
    assert world.sh("findmnt --noheadings --output VFS-OPTIONS /srv/case/mount").strip() == shown
    world.sh("umount /srv/case/mount")


def failed_to_start(times: int) -> bool:
    """Whether the monitor wrote down so many failures."""
    return content(f"{BUNDLE}/monitor.log").count("/srv/other") >= times


def test_monitor_goes_on_while_what_the_container_needs_is_away() -> None:
    """Attempts to start it again that fail leave nothing open, and when all is there again, the next one succeeds."""
    world.sh("cp -a /srv/case /srv/other")
    mount = {"destination": "/mnt/data", "source": "/srv/case/etc"}
    options = {**BASE, "rootfs": "/srv/other", "user": "root", "mounts": [mount], "restart_policy": "always"}
    laws.run("container", options)
    monitor = world.sh(f"ps -o ppid= -p {pid()}").strip()
    os.rename("/srv/other", "/srv/away")
    os.kill(pid(), signal.SIGKILL)
    world.until(functools.partial(failed_to_start, 4))
    # Its three standard files, and a pipe while it sleeps: four failures would have left four.
    world.until(lambda: len(os.listdir(f"/proc/{monitor}/fd")) <= 5)
    assert "rootfs: /srv/other: No such file or directory" in info()["error"]
    os.rename("/srv/away", "/srv/other")
    world.until(lambda: info()["running"])
    laws.settled("container", options)
    laws.remove("container", {"name": "case"})
    shutil.rmtree("/srv/other")


def test_dead_monitor_is_replaced_and_the_container_goes_on() -> None:
    options = {**BASE, "restart_policy": "always"}
    laws.run("container", options)
    first = pid()
    monitor = int(world.sh(f"ps -o ppid= -p {first}"))
    assert "monitor case" in content(f"/proc/{monitor}/cmdline").replace("\0", " ")
    done = laws.repaired("container", options, f"kill -KILL {monitor}; while test -d /proc/{monitor}; do :; done")
    assert [step["changes"][0]["option"] for step in done["plan"]] == ["supervised"]
    assert pid() == first
    os.kill(first, signal.SIGKILL)
    world.until(lambda: not os.path.exists(f"/proc/{first}") and info()["running"])
    laws.remove("container", {"name": "case"})


def ignore(number: int, action: int) -> None:
    """Ignore a signal (1), or do what is usual (0), past the C library, which keeps 32 and 33 for itself."""
    syscall(call_number("rt_sigaction"), number, action.to_bytes(8, sys.byteorder) + bytes(56), None, 8)


@pytest.fixture
def ignored_signals() -> t.Iterator[None]:
    """Whoever calls ignores signals, as daemons and what nohup(1) starts do."""
    numbers = (signal.SIGHUP, 32, 33, signal.SIGRTMIN)
    for number in numbers:
        ignore(number, 1)
    yield
    for number in numbers:
        ignore(number, 0)


def test_nothing_of_the_host_leaks_into_the_payload(ignored_signals: None) -> None:
    """Descriptors, signals, session, environment, standard input; and its executable is the payload's own."""
    del ignored_signals
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    laws.run("container", {**BASE, "env": {"A": "b"}})
    open_files = {int(fd): os.readlink(f"/proc/{pid()}/fd/{fd}") for fd in os.listdir(f"/proc/{pid()}/fd")}
    assert open_files == {0: "/dev/null", 1: f"{BUNDLE}/log", 2: f"{BUNDLE}/log"}
    assert status("SigBlk") == status("SigIgn") == "0" * 16
    assert os.getsid(pid()) == pid()
    environ = content(f"/proc/{pid()}/environ").rstrip("\0").split("\0")
    assert sorted(environ) == ["A=b", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    assert os.path.basename(os.readlink(f"/proc/{pid()}/exe")) == os.path.basename(os.path.realpath("/bin/sh"))
    os.close(reading)
    os.close(writing)
    laws.remove("container", {"name": "case"})


def test_default_container_is_hardened() -> None:
    laws.run("container", BASE)
    assert {kind: namespace(kind) for kind in ("mnt", "pid", "ipc", "uts", "net", "cgroup", "user", "time")} == {
        "mnt": "own", "pid": "own", "ipc": "own", "uts": "own", "net": "own", "cgroup": "own", "user": "host",
        "time": "host",
    }  # fmt: skip
    assert (status("CapInh"), status("CapAmb")) == ("0" * 16, "0" * 16)
    assert status("CapEff") == status("CapBnd") == "00000000a80425fb"
    assert status("NoNewPrivs") == "1"
    assert inside("sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward || echo refused' 2>/dev/null") == "refused"
    assert inside("sh -c 'cat /proc/keys; ls /sys/firmware'") == ""
    assert inside('sh -c \'ls /dev | sort | tr "\\n" " "\'') == (
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero"
    )
    assert inside("sh -c '(exec 3</dev/mem) 2>/dev/null && echo opened || echo refused'") == "refused"
    laws.remove("container", {"name": "case"})


def test_limits_are_enforced_by_the_kernel() -> None:
    memory = script("exec python3 -c 'b = bytearray(256 << 20)'", memory_max="32M", memory_swap_max="0")
    if not os.path.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes") and not os.path.exists(
        "/sys/fs/cgroup/cgroup.controllers"
    ):
        del memory["memory_swap_max"]
    laws.run("container", memory)
    world.until(ended)
    assert info()["exit_code"] == 137
    laws.remove("container", {"name": "case"})
    forks = "i=0; while test $i -lt 60; do sleep 30 & i=$((i + 1)); done; wait"
    laws.run("container", script(forks, pids_max=10))
    world.until(lambda: "fork" in content(f"{BUNDLE}/log"))
    laws.run("container", {"name": "case", "state": "absent"})
    laws.run("container", script("while :; do :; done", cpu_max="20%"))
    world.until(lambda: int(dict(map(str.split, groups.read("cpu.stat", GROUP).splitlines()))["nr_throttled"]) > 0)
    laws.remove("container", {"name": "case"})


def test_named_network_namespace_is_joined_and_followed() -> None:
    options = {**BASE, "namespaces": {"net": "case"}}
    laws.missing("container", options, "namespaces.net")
    world.sh("ip netns add case && ip -n case link set lo up")
    laws.four_steps("container", options)
    assert world.sh("ip netns identify " + str(pid())).strip() == "case"
    laws.repaired("container", options, "ip netns delete case && ip netns add case")
    assert world.sh("ip netns identify " + str(pid())).strip() == "case"
    laws.remove("container", {"name": "case"})
    world.sh("ip netns delete case")


def test_mount_namespace_of_the_host() -> None:
    options = {"name": "case", "command": WAIT, "namespaces": {"mount": "host", "net": "host"}}
    laws.four_steps("container", options)
    assert namespace("mnt") == "host"
    assert namespace("pid") == "own"
    laws.repaired("container", options, edited("d['linux']['namespaces'].append({'type': 'mount'})"))
    assert namespace("mnt") == "host"
    laws.remove("container", {"name": "case"})
    laws.refused("container", {**options, "rootfs": "/"}, "rootfs", "namespaces.mount")


# --- which one, and whose ----------------------------------------------------


def test_containers_of_other_names_leave_each_other_alone() -> None:
    other = {**BASE, "name": "case.2", "command": ["/bin/sleep", "31536000"], "stop_signal": "KILL"}
    laws.run("container", BASE)
    first = pid()
    laws.four_steps("container", other)
    second = int(world.sh("pgrep -of '^/bin/sleep 31536000'"))
    assert second != first
    laws.settled("container", BASE)
    monitor = world.sh(f"ps -o ppid= -p {second}").strip()
    laws.repaired("container", other, f"kill -KILL {second}; while test -d /proc/{monitor}; do :; done")
    assert world.sh("pgrep -fc 'monitor case.2$'").strip() == "1"
    laws.remove("container", other)
    assert pid() == first
    laws.remove("container", {"name": "case"})


def test_ids_are_a_container_s_own_and_stay_with_it() -> None:
    """What is chosen is said in the diff; no two containers share any; who has some keeps them."""
    own = {"namespaces": {"user": "private"}, "subordinate_ids": 1000}
    other = {**BASE, **own, "name": "case.2", "command": ["/bin/sleep", "31536000"], "stop_signal": "KILL"}
    done = laws.four_steps("container", {**BASE, **own})
    chosen = [{"container_id": 0, "host_id": 700000, "size": 1000}]
    assert done["diff"]["after"]["uid_mappings"] == done["container"]["uid_mappings"] == chosen
    laws.four_steps("container", other)
    second = world.sh("pgrep -of '^/bin/sleep 31536000'").strip()
    assert content(f"/proc/{second}/uid_map").split() == ["0", "701000", "1000"]
    assert content(f"/proc/{second}/gid_map").split() == ["0", "801000", "1000"]
    laws.missing("container", {**other, "name": "case.3"}, "subordinate_ids: expected 1000 ids", "/etc/subuid")
    laws.remove("container", {"name": "case"})
    laws.settled("container", other)
    laws.four_steps("container", {**BASE, **own, "subordinate_ids": 500})
    assert content(f"/proc/{pid()}/uid_map").split() == ["0", "700000", "500"]
    for name in ("case", "case.2"):
        laws.remove("container", {"name": name})


def test_control_group_of_others_is_not_touched_without_adopt(sleeper: int) -> None:
    """Neither is it joined by a container, nor removed with one that never ran in it."""
    shop = {"name": "shop", "controllers": ["pids"]}
    laws.run("cgroup", shop)
    folder, options = groups.folder("pids.max", "shop/case"), {**BASE, "cgroup_parent": "shop"}
    world.sh(f"mkdir {folder} && echo {sleeper} > {folder}/cgroup.procs")
    laws.refused("container", options, "cgroup_parent", "/shop/case that was not made by nsfleet.linux", "adopt")
    laws.four_steps("container", {**options, "state": "present"})
    laws.remove("container", {"name": "case"})
    assert content(f"{folder}/cgroup.procs") == str(sleeper)
    laws.four_steps("container", {**options, "adopt": True})
    assert f"{groups.BASE}/shop/case" in groups.of_process(pid()).values()
    laws.settled("container", options)
    laws.remove("container", {"name": "case"})
    assert not os.path.exists(folder)
    assert world.sh(f"ps -o stat= -p {sleeper}").startswith("Z"), "what was taken over goes with the container"
    laws.run("cgroup", {**shop, "state": "absent"})


@pytest.mark.parametrize("policy", ["warn", "fail"])
def test_drift_that_is_not_to_be_repaired(policy: str) -> None:
    options = {**BASE, "oom_score_adj": 500}
    laws.run("container", options)
    place, more = f"/proc/{pid()}/oom_score_adj", {"labels": {"tier": "web"}}
    laws.drift_stays("container", options, policy, f"echo 100 > {place}", ["oom_score_adj is 100, not 500"], more)
    assert content(place) == "100"
    laws.repaired("container", {**options, **(more if policy == "warn" else {})}, "true")
    assert content(place) == "500"
    laws.remove("container", {"name": "case"})


def test_run_to_its_end() -> None:
    """What is waited for is not there afterwards; more in ``test_container_run.py``."""
    options = {**BASE, "command": ["/bin/sh", "-c", "wc -c; echo; exec sleep 31536000"], "detach": False, "timeout": 1,
               "stdin": "12345"}  # fmt: skip
    for more, out in (
        ({}, "6"), ({"stdin_add_newline": False}, "5"), ({"strip_empty_ends": False}, "6\n\n"),
        ({"output_limit": 1, "stdin_add_newline": False}, "5"),
    ):  # fmt: skip
        result = invoke("container", {**options, **more})
        assert (result["stdout"], result["timed_out"], result["rc"]) == (out, True, 137)
        assert result["truncated"] is ("output_limit" in more)
        assert not os.path.exists(BUNDLE)


def test_image(tmp_path: pathlib.Path) -> None:
    """Its layers are the root, and its command is what runs; more in ``test_container_image.py``."""
    layout = images.layout(tmp_path / "layout", {"1": rooted.image("7")})
    stored = {"name": "shop/web:1", "path": str(layout)}
    laws.run("image", stored)
    options = {"name": "case", "image": "shop/web:1", "mounts": [rooted.USR]}
    done = laws.four_steps("container", options)
    assert done["container"]["command"] == list(rooted.WAIT)
    assert world.sh(f"cat /proc/{done['container']['pid']}/root/srv/version") == "7"
    laws.remove("container", options)
    laws.run("image", {**stored, "state": "absent"})


@pytest.mark.parametrize(
    ("option", "value", "module"),
    [
        ("apparmor_profile", "nsfleet-case", "AppArmor"),
        ("selinux_label", "system_u:system_r:container_t:s0", "SELinux"),
        ("mount_label", "system_u:object_r:container_file_t:s0", "SELinux"),
    ],
)
def test_labels_of_a_security_module_that_is_not_there(option: str, value: str, module: str) -> None:
    if has(module):
        pytest.skip(f"this host has {module}; those without it refuse")
    laws.refused("container", {**BASE, option: value}, f"{option}: {module} is not enabled on this host")


def test_every_option_is_proved() -> None:
    laws.covered(
        TABLE,
        [*CASES, *limits.ROWS],
        {
            "name": test_containers_of_other_names_leave_each_other_alone,
            "image": test_image,
            "namespaces.mount": test_mount_namespace_of_the_host,
            "cpuset_cpus_partition": test_partition_of_processors,
            "io_weight_device.device": test_weights_of_single_disks,
            "io_weight_device.weight": test_weights_of_single_disks,
            "adopt": test_control_group_of_others_is_not_touched_without_adopt,
            "selinux_label": test_labels_of_a_security_module_that_is_not_there,
            "mount_label": test_labels_of_a_security_module_that_is_not_there,
            "on_drift": test_drift_that_is_not_to_be_repaired,
            **dict.fromkeys(("detach", *(field.name for field in TALK)), test_run_to_its_end),
        },
    )


# --- bad input -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "a/b"}, ("name: expected",)),
        ({"name": ".."}, ("name: expected",)),
        ({"rootfs": "srv"}, ("rootfs: expected",)),
        ({"rootfs": None}, ("rootfs: expected",)),
        ({"command": []}, ("command: expected",)),
        ({"command": ["/no/such"]}, ("command: there is no /no/such",)),
        ({"command": ["/etc/passwd"]}, ("command: /etc/passwd is no program",)),
        ({"user": "a:b:c"}, ("user: expected",)),
        ({"cwd": "tmp"}, ("cwd: expected",)),
        ({"env": {"A=B": "c"}}, ("env: expected",)),
        ({"hostname": "a b"}, ("hostname: expected",)),
        ({"hostname": "x" * 65}, ("hostname: expected",)),
        ({"hostname": "x", "namespaces": {"uts": "host"}}, ("hostname: needs namespaces.uts",)),
        ({"namespaces": {"ipc": "web"}}, ("namespaces.ipc: expected",)),
        ({"namespaces": {"user": "private"}}, ("uid_mappings: expected", "gid_mappings: expected")),
        ({"uid_mappings": USERS}, ("uid_mappings: needs namespaces.user",)),
        ({"idmap": True}, ("idmap: needs namespaces.user",)),
        ({"subordinate_ids": 9}, ("subordinate_ids: needs namespaces.user",)),
        ({"rootfs_propagation": "loud"}, ("rootfs_propagation", "private")),
        ({"device_nodes": [{"path": "/dev/x", "major": 1}]}, ("device_nodes[/dev/x].minor: expected",)),
        ({"device_nodes": [{"path": "/dev/x", "type": "d"}]}, ("type", "c, b, u, p")),
        ({"mounts": [{"destination": "/a", "source": "/srv", "options": ["z"]}]}, ("mounts[0].options[0]: expected",)),
        (
            {"mounts": [{"destination": "/a", "source": "/srv", "options": ["size=1"]}]},
            ("mounts[/a].options: expected",),
        ),
        ({"mounts": [{"destination": "/a", "source": "/srv", "options": ["idmap"]}]}, ("mounts[/a].options: idmap",)),
        ({"time_offsets": {"boottime": 5}}, ("time_offsets: needs namespaces.time",)),
        ({"cap_add": ["NET_ADMINN"]}, ("cap_add[0]: expected", "NET_ADMINN")),
        ({"rlimits": {"files": 5}}, ("rlimits: expected", "nofile")),
        ({"rlimits": {"nofile": "9:5"}}, ("rlimits: expected",)),
        ({"sysctls": {"kernel.core_pattern": "|/bin/evil"}}, ("sysctls: expected", "core_pattern")),
        ({"sysctls": {"kernel.shm_rmid_forced": "1\nkernel.core_pattern=x"}}, ("sysctls: expected", "one line")),
        (
            {"sysctls": {"net.ipv4.ip_forward": 1}, "namespaces": {"net": "host"}},
            ("sysctls[net.ipv4.ip_forward]: needs",),
        ),
        ({"oom_score_adj": 1001}, ("oom_score_adj: expected",)),
        ({"umask": "1777"}, ("umask: expected",)),
        ({"scheduler": {"policy": "fifo"}}, ("scheduler.priority: expected 1 to 99 with policy fifo",)),
        ({"io_priority": {"priority": 8}}, ("io_priority.priority: expected 0 to 7",)),
        ({"exec_cpu_affinity": "3-1"}, ("exec_cpu_affinity: expected",)),
        ({"masked_paths": ["etc"]}, ("masked_paths[0]: expected",)),
        ({"seccomp": "none"}, ("seccomp: expected default, unconfined",)),
        ({"seccomp": "/etc/passwd"}, ("seccomp: /etc/passwd is no profile of system calls",)),
        ({"cgroup_parent": "shop/../../other"}, ("cgroup_parent: expected",)),
        ({"devices": ["c 1:3 rr"]}, ("devices[0]: expected each of",)),
        ({"stop_signal": "SIGNOTHING"}, ("stop_signal: expected",)),
        ({"memory_max": "much"}, ("memory_max: expected",)),
        ({"mounts": [{"destination": "data"}]}, ("mounts[0].destination: expected",)),
        ({"mounts": [{"destination": "/a"}, {"destination": "/a/"}]}, ("mounts[1].destination: '/a' is given twice",)),
        ({"colour": "red"}, ("colour",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_bad_input(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    laws.refused("container", {**BASE, **options}, *words)


def test_what_is_missing() -> None:
    laws.missing("container", {**BASE, "rootfs": "/srv/nothing"}, "rootfs: there is no directory")
    mounts = [{"destination": "/a", "source": "/srv/nothing"}]
    laws.missing("container", {**BASE, "mounts": mounts}, "mounts[/a].source: there is no /srv/nothing")
    laws.missing("container", {**BASE, "seccomp": "/srv/nothing"}, "seccomp: there is no file /srv/nothing")
    laws.missing("container", {"name": "case", "state": "started"}, "command: there is no container case")
    laws.refused("container", {"name": "case", "cwd": "/"}, "cwd: needs command")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"command": ["no-such-program"]}, ("command", "'no-such-program'")),
        ({"cwd": "/no/such"}, ("cwd", "/no/such")),
        ({"user": "nobody-at-all"}, ("user", "nobody-at-all")),
        ({"mounts": [{"destination": "/x", "type": "nofs", "source": "x"}]}, ("mounts", "/x")),
    ],
    ids=["command", "cwd", "user", "mounts"],
)
def test_what_only_the_start_can_tell(options: dict[str, t.Any], words: tuple[str, ...]) -> None:
    """It fails, says what is wrong, and leaves nothing behind."""
    failed = invoke("container", {**BASE, **options})
    assert failed.failed
    for word in words:
        assert word in failed["msg"]
    assert "put back as it was" in failed["msg"]
    assert invoke("container_info", {})["containers"] == []


def test_failed_change_brings_the_old_container_back() -> None:
    laws.run("container", BASE)
    failed = invoke("container", {**BASE, "cwd": "/no/such"})
    assert failed.failed
    laws.settled("container", BASE)
    laws.remove("container", {"name": "case"})
