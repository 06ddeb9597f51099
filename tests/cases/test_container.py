# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module container, by ``/proc``, ``nsenter`` and cgroupfs."""

from __future__ import annotations

import os
import shutil
import sys
import typing as t

import pytest

from support import laws, world
from support.abilities import need
from support.laws import Case

BUNDLE = "/var/lib/nsfleet/containers/case"
WAIT = ["/bin/sh", "-c", "trap 'exit 0' TERM; sleep 31536000 & wait"]
BASE: dict[str, t.Any] = {"name": "case", "rootfs": "/", "overlay": "tmpfs", "command": WAIT}
#: Ids outside that nobody has.
USERS = [{"container_id": 0, "host_id": 200000, "size": 65536}]
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


def group_file(controller: str, name: str) -> str:
    """A file of the container's control group, wherever that is."""
    for line in world.sh(f"cat /proc/{pid()}/cgroup").splitlines():
        _number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return f"/sys/fs/cgroup/{controllers}{path}/{name}"
    return f"/sys/fs/cgroup{path}/{name}"


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


def edited(statement: str) -> str:
    """A shell command that edits the bundle's description, as a hand with an editor does."""
    lines = f"import json; p = '{BUNDLE}/config.json'; d = json.load(open(p)); {statement}; json.dump(d, open(p, 'w'))"
    return f'{sys.executable} -c "{lines}"'


def has_capability(number: int, line: str = "CapBnd") -> bool:
    """Whether a capability is in a set of the first process."""
    return bool(int(status(line), 16) >> number & 1)


NET_ADMIN, NET_RAW, NET_BIND_SERVICE = 12, 13, 10


# --- every option ------------------------------------------------------------

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
         "nsenter --target $(pgrep -of '^/bin/sh -c trap') --net sysctl -qw net.ipv4.ip_forward=0"),
    Case("oom_score_adj", {"oom_score_adj": 500}, lambda: content(f"/proc/{pid()}/oom_score_adj"), "500",
         "echo 100 > /proc/$(pgrep -of '^/bin/sh -c trap')/oom_score_adj", reverts_to="0"),
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
    Case("labels", {"labels": {"org.example.tier": "web"}}, lambda: "org.example.tier" in content(f"{BUNDLE}/config.json"),
         True, edited("d['annotations']['org.example.tier'] = 'db'"), reverts_to=False),
    Case("overlay", {"overlay": "disk"}, lambda: os.path.isdir(f"{BUNDLE}/upper"), True,
         edited("d['annotations']['nsfleet.linux/overlay'] = 'tmpfs'"), reverts_to=False),
    Case("rootfs", {"rootfs": "/srv/case"}, lambda: content(f"/proc/{pid()}/root/case"), "case",
         edited("d['root']['path'] = '/'"), reverts_to=""),
]  # fmt: skip


def note(name: str) -> str:
    """An annotation in the bundle."""
    import json

    with open(f"{BUNDLE}/config.json", encoding="utf-8") as file:
        found: str = json.load(file)["annotations"].get(f"nsfleet.linux/{name}", "")
    return found


@pytest.fixture(autouse=True)
def rootfs(clean_host: None) -> t.Iterator[None]:
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
find /sys/fs/cgroup -depth -type d -path '*nsfleet/*' -exec rmdir {} + ; find /sys/fs/cgroup -name nsfleet -exec rmdir {} +
rm -rf /var/lib/nsfleet/* /run/nsfleet
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.option)
def test_option(case: Case) -> None:
    need(case.needs)
    laws.option_holds("container", BASE, case)
    laws.remove("container", {"name": "case"})

