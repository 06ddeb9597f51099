# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every field of ``config.json``: what a program sees inside, and what the host sees of it (runtime-spec 1.2)."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

import pytest
from support import world
from support.bundle import Bundle, Runtime

#: Prints what Python can tell of its own process, one line of JSON.
PROBE = """
import json, os, resource, sys
print(json.dumps({
    "policy": os.sched_getscheduler(0), "priority": os.sched_getparam(0).sched_priority, "nice": os.nice(0),
    "cpus": sorted(os.sched_getaffinity(0)), "umask": os.umask(0), "machine": os.uname().machine,
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE), "groups": os.getgroups(),
    "ids": [os.getresuid(), os.getresgid()],
    "env": dict(os.environ), "cwd": os.getcwd(), "args": sys.argv[1:], "sid": os.getsid(0), "pid": os.getpid(),
}))
"""
#: The host's Python is in /usr, which is the container's, too.
PYTHON = "/usr/bin/python3"


def seen(nsrun: Runtime, bundle: Bundle, *arguments: str, **process: t.Any) -> dict[str, t.Any]:
    """What a payload with these fields of ``process`` sees of itself."""
    bundle.write(PYTHON, "-IS", "-c", PROBE, *arguments, **process)
    return t.cast("dict[str, t.Any]", json.loads(nsrun("run", "--bundle", str(bundle.directory), "case")))


# --- process ----------------------------------------------------------------------


def test_args_env_cwd_and_session(nsrun: Runtime, bundle: Bundle) -> None:
    found = seen(nsrun, bundle, "a b", "", "\u00e9", env=["PATH=/usr/bin", "EMPTY=", "EQUAL=a=b"], cwd="/data")
    assert found["args"] == ["a b", "", "\u00e9"]
    assert {name: found["env"].get(name) for name in ("PATH", "EMPTY", "EQUAL")} == {
        "PATH": "/usr/bin", "EMPTY": "", "EQUAL": "a=b",
    }  # fmt: skip
    assert found["cwd"] == "/data"
    assert found["sid"] == found["pid"] == 1


def test_user(nsrun: Runtime, bundle: Bundle) -> None:
    found = seen(nsrun, bundle, user={"uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 0o27})
    assert found["ids"] == [[5] * 3, [6] * 3]
    assert found["groups"] == [7, 8]
    assert found["umask"] == 0o27


def test_rlimits(nsrun: Runtime, bundle: Bundle) -> None:
    limits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    assert seen(nsrun, bundle, rlimits=limits)["nofile"] == [100, 200]
    bundle.write(rlimits=[*limits, *limits])
    assert "RLIMIT_NOFILE is there twice" in nsrun.refuses("create", "-b", str(bundle.directory), "case")
    bundle.write(rlimits=[{"type": "RLIMIT_NOPE", "soft": 1, "hard": 1}])
    assert "process.rlimits[0].type: expected one of" in nsrun.refuses("create", "-b", str(bundle.directory), "case")


def test_capabilities(nsrun: Runtime, bundle: Bundle) -> None:
    sets = {
        "bounding": ["CAP_NET_ADMIN", "CAP_KILL"], "permitted": ["CAP_KILL"], "effective": [],
        "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"],
    }  # fmt: skip
    user = {"uid": 5, "gid": 5}  # at an execution as root, all of the bounding set would be permitted
    bundle.write("grep", "-E", "^Cap(Inh|Prm|Bnd|Amb)", "/proc/self/status", capabilities=sets, user=user)
    words = nsrun("run", "-b", str(bundle.directory), "case").split()
    bits = dict(zip(words[::2], (int(word, 16) for word in words[1::2])))
    assert bits == {"CapInh:": 1 << 5, "CapPrm:": 1 << 5, "CapBnd:": 1 << 5 | 1 << 12, "CapAmb:": 1 << 5}
    bundle.write(capabilities={"bounding": ["CAP_NOPE"]})
    assert "process.capabilities.bounding[0]" in nsrun.refuses("create", "-b", str(bundle.directory), "case")


@pytest.mark.parametrize("wanted", [True, False])
def test_no_new_privileges(nsrun: Runtime, bundle: Bundle, wanted: bool) -> None:
    bundle.write("grep", "NoNewPrivs", "/proc/self/status", noNewPrivileges=wanted)
    assert nsrun("run", "-b", str(bundle.directory), "case").split() == ["NoNewPrivs:", str(int(wanted))]


def test_oom_score(nsrun: Runtime, bundle: Bundle) -> None:
    pid = nsrun.create("case", bundle.write(oomScoreAdj=321))
    assert pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text() == "321\n"


@pytest.mark.parametrize(
    ("scheduler", "policy", "priority", "nice"),
    [
        ({"policy": "SCHED_BATCH", "nice": 7}, os.SCHED_BATCH, 0, 7),
        ({"policy": "SCHED_OTHER", "nice": -3}, os.SCHED_OTHER, 0, -3),
        ({"policy": "SCHED_IDLE"}, os.SCHED_IDLE, 0, os.nice(0)),
        ({"policy": "SCHED_OTHER", "nice": 2, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}, os.SCHED_RESET_ON_FORK, 0, 2),
    ],
)
def test_scheduler(nsrun: Runtime, bundle: Bundle, scheduler: t.Any, policy: int, priority: int, nice: int) -> None:
    found = seen(nsrun, bundle, scheduler=scheduler)
    assert (found["policy"], found["priority"], found["nice"]) == (policy, priority, nice)


def test_scheduler_that_the_kernel_refuses(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.write(scheduler={"policy": "SCHED_OTHER", "priority": 5})
    assert "scheduler: Invalid argument" in nsrun.refuses("create", "-b", str(bundle.directory), "case")
    bundle.write(scheduler={"policy": "SCHED_NOPE"})
    assert "process.scheduler.policy: expected one of" in nsrun.refuses("create", "-b", str(bundle.directory), "case")


def test_io_priority(nsrun: Runtime, bundle: Bundle) -> None:
    pid = nsrun.create("case", bundle.write(ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 6}))
    assert world.sh(f"ionice -p {pid}") == "best-effort: prio 6\n"


def test_affinity_of_exec(nsrun: Runtime, bundle: Bundle, tmp_path: pathlib.Path) -> None:
    nsrun.create("case", bundle.write())
    nsrun("start", "case")
    process = {"args": [PYTHON, "-IS", "-c", PROBE], "cwd": "/", "execCPUAffinity": {"initial": "0", "final": "0"}}
    (tmp_path / "process.json").write_text(json.dumps(process))
    found = json.loads(nsrun("exec", "--process", str(tmp_path / "process.json"), "case"))
    assert found["cpus"] == [0]


# --- linux --------------------------------------------------------------------------


def test_personality(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.spec["linux"]["personality"] = {"domain": "LINUX32"}
    assert seen(nsrun, bundle)["machine"] in ("i686", "armv8l")
    bundle.spec["linux"]["personality"] = {"domain": "LINUX"}
    assert seen(nsrun, bundle)["machine"] == os.uname().machine
    bundle.spec["linux"]["personality"] = {"domain": "LINUX", "flags": ["X"]}
    assert "linux.personality.flags" in nsrun.refuses("create", "-b", str(bundle.write()), "case")


def test_names_of_the_host(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.spec.update(hostname="web", domainname="example.org")
    bundle.write("sh", "-c", "hostname; cat /proc/sys/kernel/domainname")
    assert nsrun("run", "-b", str(bundle.directory), "case").split() == ["web", "example.org"]
    bundle.spec["linux"]["namespaces"] = [n for n in bundle.spec["linux"]["namespaces"] if n["type"] != "uts"]
    assert "hostname: needs a namespace of type uts" in nsrun.refuses("create", "-b", str(bundle.write()), "case")


@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts", "mount", "cgroup"])
def test_namespaces_are_new_the_hosts_or_joined(nsrun: Runtime, bundle: Bundle, kind: str) -> None:
    file = {"network": "net", "mount": "mnt"}.get(kind, kind)
    first = nsrun.create("first", bundle.write())
    theirs, ours = os.readlink(f"/proc/{first}/ns/{file}"), os.readlink(f"/proc/self/ns/{file}")
    assert theirs != ours
    bundle.spec.pop("hostname")
    bundle.spec["linux"].pop("readonlyPaths")
    bundle.spec["linux"].pop("maskedPaths")
    if kind == "mount":  # a container without a root of its own
        bundle.spec["linux"]["namespaces"] = [{"type": "mount", "path": f"/proc/{first}/ns/mnt"}]
        del bundle.spec["root"]
        assert "mounts: need a root of the container's own" in nsrun.refuses(
            "create", "-b", str(bundle.write()), "second"
        )
        del bundle.spec["mounts"]
    else:
        bundle.namespace(kind, f"/proc/{first}/ns/{file}")
    second = nsrun.create("second", bundle.write())
    assert os.readlink(f"/proc/{second}/ns/{file}") == theirs
    if kind != "mount":
        bundle.spec["linux"]["namespaces"] = [n for n in bundle.spec["linux"]["namespaces"] if n["type"] != kind]
        third = nsrun.create("third", bundle.write())
        assert os.readlink(f"/proc/{third}/ns/{file}") == ours


def test_time_offsets(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.namespace("time")
    bundle.spec["linux"]["timeOffsets"] = {"boottime": {"secs": 86400 * 365}, "monotonic": {"secs": 5, "nanosecs": 7}}
    bundle.write("cat", "/proc/self/timens_offsets")
    words = nsrun("run", "-b", str(bundle.directory), "case").split()
    assert words == ["monotonic", "5", "7", "boottime", str(86400 * 365), "0"]


def test_sysctl(nsrun: Runtime, bundle: Bundle) -> None:
    before = pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text()
    other = "1" if before.strip() == "0" else "0"
    bundle.spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": other, "kernel.msgmax": "4097"}
    bundle.write("cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/msgmax")
    assert nsrun("run", "-b", str(bundle.directory), "case").split() == [other, "4097"]
    assert pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kernel.panic", "7"), ("vm.swappiness", "1"), ("kernel.core_pattern", "|/x"), ("kernel.hostname", "x"),
        ("net.ipv4.ip_forward", "1\n0"), ("kernel.msgmax", "1+kernel.core_pattern=|/x"), ("net/../kernel/panic", "1"),
        ("net.ipv4.no_such", "1"), ("", "1"), ("kernel", "1"),
    ],
)  # fmt: skip
def test_sysctls_of_the_host_stay(nsrun: Runtime, bundle: Bundle, name: str, value: str) -> None:
    """CVE-2022-0811 and its kin."""
    files = [pathlib.Path("/proc/sys/kernel", each) for each in ("panic", "core_pattern", "hostname", "msgmax")]
    before = [file.read_text() for file in files]
    bundle.spec["linux"]["sysctl"] = {name: value}
    assert "sysctl" in nsrun.refuses("create", "-b", str(bundle.write()), "case")
    assert [file.read_text() for file in files] == before


@pytest.mark.parametrize("joined", [True, False])
def test_a_root_in_a_mount_namespace_of_others(nsrun: Runtime, bundle: Bundle, joined: bool) -> None:
    """It is the root of the container only; nothing shows in the bundle, and nothing is left after it."""
    bundle.spec["linux"] = {"namespaces": [{"type": "uts"}]}
    bundle.spec["process"]["args"] = ["sh", "-c", "echo begun >/data/mark; exec sleep 1000"]
    before = world.ask("findmnt -J --list -o TARGET,FSTYPE")
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"\n"
        whose = other.pid if joined else os.getpid()
        if joined:
            bundle.spec["linux"]["namespaces"].append({"type": "mount", "path": f"/proc/{whose}/ns/mnt"})
        pid = nsrun.create("case", bundle.write())
        nsrun("start", "case")
        nsrun.until("case", "running")
        assert os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink(f"/proc/{whose}/ns/mnt")
        world.sh(f"until test -e {bundle.root}/data/mark; do sleep 0.05; done")
        assert not os.path.exists(bundle.root / "dev/null")
        seen = nsrun("exec", "case", "sh", "-c", "cat /data/mark; ls -d /sys/kernel /dev/null 2>/dev/null; true")
        assert seen == "begun\n/dev/null\n"
        nsrun("delete", "--force", "case")
        assert "stage" not in world.sh(f"findmnt -N {whose} -o TARGET")
        other.kill()
    assert world.ask("findmnt -J --list -o TARGET,FSTYPE") == before


def test_sysctls_need_a_namespace_of_their_own(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    bundle.spec["linux"]["namespaces"] = [n for n in bundle.spec["linux"]["namespaces"] if n["type"] != "network"]
    message = nsrun.refuses("create", "-b", str(bundle.write()), "case")
    assert "linux.sysctl[net.ipv4.ip_forward]: needs a namespace of type network" in message


def test_masked_and_read_only_paths(nsrun: Runtime, bundle: Bundle) -> None:
    (bundle.root / "data/secret").write_text("secret")
    (bundle.root / "etc/folder").mkdir()
    (bundle.root / "etc/folder/file").write_text("x")
    linux = bundle.spec["linux"]
    linux["maskedPaths"] = ["/data/secret", "/etc/folder", "/no/such"]
    linux["readonlyPaths"] = ["/tmp", "/no/such"]
    script = "cat /data/secret; ls /etc/folder; touch /tmp/x && echo written; touch /data/y && echo written"
    done = nsrun.call("run", "-b", str(bundle.write("sh", "-c", script)), "case")
    assert done.stdout == "written\n"
    assert "Read-only file system" in done.stderr


@pytest.mark.parametrize("read_only", [True, False])
def test_read_only_root(nsrun: Runtime, bundle: Bundle, read_only: bool) -> None:
    bundle.spec["root"]["readonly"] = read_only
    done = nsrun.call("run", "-b", str(bundle.write("touch", "/data/x")), "case")
    assert (done.returncode == 0) is not read_only
    assert (bundle.root / "data/x").exists() is not read_only


def test_annotations_are_in_the_state(nsrun: Runtime, bundle: Bundle) -> None:
    bundle.spec["annotations"] = {"org.example.key": "value", "empty": ""}
    nsrun.create("case", bundle.write())
    assert nsrun.state("case")["annotations"] == {"org.example.key": "value", "empty": ""}


# --- hooks ----------------------------------------------------------------------------

POINTS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
#: Appends to a file what it was told, and where it is.
HOOK = r"""
state=$(cat)
printf '{"point": "%s", "mnt": "%s", "net": "%s", "root": "%s", "args": "%s", "colour": "%s", "state": %s}\n' \
    "$1" "$(readlink /proc/self/ns/mnt)" "$(readlink /proc/self/ns/net)" "$(test -e /host-only && echo host)" \
    "$*" "$COLOUR" "$state" >>"$2"
"""


def hook(bundle: Bundle, point: str, script: str, *words: str, **more: t.Any) -> None:
    """Add a hook that is a shell script."""
    entry = {"path": "/bin/sh", "args": ["sh", "-c", script, "hook", point, *words], **more}
    bundle.spec.setdefault("hooks", {}).setdefault(point, []).append(entry)


def test_hooks_run_in_their_order_at_their_place(nsrun: Runtime, bundle: Bundle) -> None:
    log = bundle.root / "data/log"
    for point in POINTS:
        inside = point == "startContainer"
        hook(bundle, point, HOOK, "/data/log" if inside else str(log), env=["PATH=/usr/bin:/bin", "COLOUR=red"])
    bundle.spec["annotations"] = {"a": "b"}
    pid = nsrun.create("case", bundle.write("sleep", "1000"))
    mnt, net = (os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("mnt", "net"))
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [each["point"] for each in told] == list(POINTS[:3])
    nsrun("start", "case")
    nsrun("kill", "case", "KILL")
    nsrun.until("case", "stopped")
    nsrun("delete", "case")
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [each["point"] for each in told] == list(POINTS)
    for each in told:
        assert each["colour"] == "red"
        assert (each["state"]["id"], each["state"]["bundle"]) == ("case", str(bundle.directory))
        assert each["state"]["annotations"] == {"a": "b"}
        assert each["state"]["ociVersion"] == "1.2.0"
        host = each["point"] not in ("createContainer", "startContainer")
        assert (each["net"] == net) is not host, each
        assert (each["mnt"] == mnt) is not host, each
    states = {each["point"]: (each["state"]["status"], each["state"]["pid"]) for each in told}
    assert states == {
        "prestart": ("created", pid), "createRuntime": ("created", pid), "createContainer": ("created", 1),
        "startContainer": ("created", 1), "poststart": ("running", pid), "poststop": ("stopped", 0),
    }  # fmt: skip


@pytest.mark.parametrize("point", POINTS[:3])
def test_a_hook_that_fails_ends_the_create(nsrun: Runtime, bundle: Bundle, point: str) -> None:
    hook(bundle, point, "echo because >&2; exit 3")
    hook(bundle, "poststop", f"echo gone >>{bundle.root}/data/log")
    message = nsrun.refuses("create", "-b", str(bundle.write()), "case")
    assert f"hooks.{point}" in message
    assert "status 3: because" in message
    assert (bundle.root / "data/log").read_text() == "gone\n", "its life goes on at its end (runtime.md)"
    assert nsrun("list", "-q") == ""


def test_a_hook_that_fails_at_the_start_ends_the_container(nsrun: Runtime, bundle: Bundle) -> None:
    hook(bundle, "startContainer", "exit 3")
    nsrun.create("case", bundle.write("touch", "/data/mark"))
    assert "hooks.startContainer" in nsrun.refuses("start", "case")
    nsrun.until("case", "stopped")
    assert not (bundle.root / "data/mark").exists()
    nsrun("delete", "case")
    bundle.spec["hooks"] = {}
    hook(bundle, "poststart", "exit 4")
    nsrun.create("case", bundle.write("sleep", "1000"))
    assert "hooks.poststart" in nsrun.refuses("start", "case")
    nsrun.until("case", "stopped")
    nsrun("delete", "case")
    bundle.spec["hooks"] = {}
    hook(bundle, "poststop", "exit 5")
    hook(bundle, "poststop", f"echo last >{bundle.root}/data/mark")
    nsrun.create("case", bundle.write("true"))
    nsrun("start", "case")
    nsrun.until("case", "stopped")
    done = nsrun.call("delete", "case")
    assert (done.returncode, "status 5" in done.stderr) == (0, True)
    assert (bundle.root / "data/mark").read_text() == "last\n", "a hook that fails keeps no other from running"


def test_a_hook_that_fails_after_the_start_leaves_nothing_of_a_run(nsrun: Runtime, bundle: Bundle) -> None:
    hook(bundle, "poststart", "exit 4")
    for words in ([], ["--detach"], ["--keep"]):
        assert "hooks.poststart" in nsrun.refuses("run", *words, "-b", str(bundle.write("sleep", "1006")), "case")
        assert nsrun("list", "-q") == ""


def test_a_hook_that_hangs_is_killed_with_what_it_started(nsrun: Runtime, bundle: Bundle) -> None:
    hook(bundle, "createRuntime", "sleep 1004 & sleep 1004", timeout=1)
    assert "did not end within 1 s" in nsrun.refuses("create", "-b", str(bundle.write()), "case")
    assert subprocess.run(["pgrep", "-f", "^sleep 1004"], capture_output=True, check=False).stdout == b""


def test_a_hook_may_leave_a_process_and_read_nothing(nsrun: Runtime, bundle: Bundle) -> None:
    hook(bundle, "createRuntime", "exec <&-; sleep 1005 & exit 0")
    nsrun.create("case", bundle.write())
    world.sh("pgrep -f '^sleep 1005' | xargs kill")


@pytest.mark.parametrize("entry", [{"path": "sh"}, {"path": "/x", "timeout": 0}, {"path": "/no/such"}, {"args": ["x"]}])
def test_hooks_that_are_none(nsrun: Runtime, bundle: Bundle, entry: t.Any) -> None:
    bundle.spec["hooks"] = {"prestart": [entry]}
    assert "hooks.prestart" in nsrun.refuses("create", "-b", str(bundle.write()), "case")
