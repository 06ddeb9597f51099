# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make site`` and what follows it: the local inventory, by ``ip``, ``bridge``, ``nft``, ``curl``, cgroupfs and /proc.

The tests are one story and run in the order of this file: check mode, a port that is taken, the first run, a second
one, damage, more and fewer replicas, bad input, the end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import typing as t

import pytest
import yaml
from support import lab, site, world

INVENTORY = os.path.join(site.ROOT, "playbooks", "inventories", "local")
CAP_NET_BIND_SERVICE = 10
OWN_NAMESPACES = ("mnt", "pid", "ipc", "uts", "net", "cgroup")
PORTS = "list map inet nsfleet port4"


def described(**changes: t.Any) -> dict[str, t.Any]:
    """The variables of the local inventory, with changes to its service."""
    with open(os.path.join(INVENTORY, "group_vars", "all.yml"), encoding="utf-8") as file:
        variables = t.cast("dict[str, t.Any]", yaml.safe_load(file))
    variables["nsfleet_services"][0].update(changes)
    return variables


def run(playbook: str, variables: t.Mapping[str, t.Any] | None = None, *options: str) -> str:
    """Run one of the playbooks."""
    path = os.path.join(site.ROOT, "playbooks", f"{playbook}.yml")
    return site.play(path, variables or described(), "-i", INVENTORY, *options, interpreter="/usr/bin/python3")


def changed(output: str) -> list[str]:
    """The tasks that changed something, each as often as it did."""
    tasks = re.split(r"^TASK \[", output, flags=re.MULTILINE)[1:]
    return [
        task.partition("]")[0].rpartition(" : ")[2]
        for task in tasks
        for _change in re.findall(r"^changed:", task, re.MULTILINE)
    ]


def urls(output: str) -> list[str]:
    """The URLs that a run of site.yml ends with."""
    return re.findall(r"^ +- (http://\S+)$", output, re.MULTILINE)


def answer(url: str) -> str:
    """What a URL answers."""
    return lab.call(url.removeprefix("http://").rstrip("/"))


def pid(replica: str) -> int:
    """The first process of a replica, as the namespace of its network shows it."""
    return int(world.sh(f"ip netns pids {replica}").split()[0])


def status(process: int, name: str) -> str:
    """A line of ``/proc/PID/status``."""
    return world.sh(f"sed -n 's/^{name}:[[:space:]]*//p' /proc/{process}/status").strip()


@pytest.fixture(scope="module")
def before() -> dict[str, t.Any]:
    """The host before anything of ours was there."""
    return site.snapshot()


@pytest.fixture(scope="module")
def first_run(before: dict[str, t.Any]) -> str:
    """What the first run of site.yml printed; it was run when this is used first."""
    del before
    return run("site")


def left(before: dict[str, t.Any]) -> list[str]:
    """What is not as it was before."""
    return world.difference(before, site.snapshot())


def test_check_mode_before_the_first_run_says_much_and_does_nothing(before: dict[str, t.Any]) -> None:
    output = run("site", None, "--check", "--diff")
    assert "Container" in changed(output)
    assert "+    memory_max: '67108864'" in output
    assert left(before) == []


def test_a_port_that_is_taken_is_refused_before_anything_is_done(before: dict[str, t.Any]) -> None:
    message = r"services\[web\]\.publish: 0\.0\.0\.0:8081/tcp is in use on the host: 0\.0\.0\.0:8081/tcp by process "
    with lab.service("taken", 8081, netns="") as process, pytest.raises(AssertionError, match=f"{message}{process} "):
        run("site")
    assert left(before) == []


def test_every_printed_url_answers(first_run: str) -> None:
    found = urls(first_run)
    assert [url for url in found if "127.0.0.1" in url] == ["http://127.0.0.1:8080/", "http://127.0.0.1:8081/"]
    assert [answer(url) for url in found] == ["This is web-1."] * 3 + ["This is web-2."] * 3


def test_published_ports_answer_on_the_addresses_of_the_host(first_run: str) -> None:
    del first_run
    assert answer("http://10.2.0.1:8080/") == "This is web-1."
    assert answer("http://[fd00:2::1]:8081/") == "This is web-2."


def test_replicas_are_on_the_bridge(first_run: str) -> None:
    del first_run
    assert world.link("nsdemo")["linkinfo"]["info_kind"] == "bridge"
    assert world.addresses("nsdemo") == ["10.2.0.1/24", "fd00:2::1/64"]
    ports = {each["ifname"]: each["master"] for each in world.ask("bridge -j link")}
    assert ports == {"nsweb-1": "nsdemo", "nsweb-2": "nsdemo"}
    assert world.namespaces() == ["web-1", "web-2"]
    assert {each.get("gateway") for each in world.ask("ip -n web-1 -j route show default")} == {"10.2.0.1"}


def test_published_ports_are_elements_of_a_map(first_run: str) -> None:
    addresses = [re.sub(r"http://|/", "", url) for url in urls(first_run) if url.startswith("http://10.")]
    shown = json.loads(world.sh(f"nft -j {PORTS}"))["nftables"][1]["map"]["elem"]
    keys = [(key["elem"]["val"] if "elem" in key else key)["concat"] for key, _target in shown]
    targets = [target["concat"] for _key, target in shown]
    assert dict(zip((port for _protocol, port in keys), targets)) == {
        8080: [addresses[0], 80], 8081: [addresses[1], 80],
    }  # fmt: skip


def test_the_kernel_holds_the_limits(first_run: str) -> None:
    del first_run
    for replica in ("web-1", "web-2"):
        process = pid(replica)
        memory = world.limit_file(process, "memory", "memory.limit_in_bytes", "memory.max")
        assert world.sh(f"cat {memory}").strip() == str(64 << 20)
        assert world.sh(f"cat {world.limit_file(process, 'pids', 'pids.max', 'pids.max')}").strip() == "20"
        quota = world.sh(f"cat {world.limit_file(process, 'cpu', 'cpu.cfs_quota_us', 'cpu.max')}")
        assert quota.split()[0] == "50000"


def test_replicas_are_isolated(first_run: str) -> None:
    del first_run
    process = pid("web-1")
    for name in OWN_NAMESPACES:
        assert os.readlink(f"/proc/{process}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"), name
    assert status(process, "NSpid").split()[-1] == "1"
    assert status(process, "Uid").split() == ["65534"] * 4
    for kind in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        assert int(status(process, kind), 16) == 1 << CAP_NET_BIND_SERVICE, kind
    assert status(process, "NoNewPrivs") == "1"
    root = world.sh(f"awk '$5 == \"/\" {{ print $6 }}' /proc/{process}/mountinfo").strip()
    assert "ro" in root.split(",")


def test_a_second_run_changes_nothing(first_run: str) -> None:
    output = run("site")
    assert changed(output) == []
    assert urls(output) == urls(first_run)


def test_status_shows_what_runs(first_run: str) -> None:
    del first_run
    output = run("status")
    for replica in ("web-1", "web-2"):
        assert re.search(rf"{replica} +running +{pid(replica)} ", output)


def test_damage_is_repaired_and_nothing_else_is_touched(first_run: str) -> None:
    del first_run
    kept, killed = pid("web-1"), pid("web-2")
    memory = world.limit_file(kept, "memory", "memory.limit_in_bytes", "memory.max")
    world.sh(f"ip link delete nsweb-1; nft flush ruleset; echo {96 << 20} > {memory}")
    for process in (int(status(killed, "PPid")), killed):  # first who would start it again
        os.kill(process, signal.SIGKILL)
    assert changed(run("site")) == [
        "Bridge, way out, published ports, isolation", "Network namespace, cable from the bridge into it, way out",
        "Container", "Container", "Published ports",
    ]  # fmt: skip
    assert [answer(f"http://127.0.0.1:{port}/") for port in (8080, 8081)] == ["This is web-1.", "This is web-2."]
    assert pid("web-1") == kept
    assert world.sh(f"cat {memory}").strip() == str(64 << 20)


def test_more_replicas_and_fewer(first_run: str) -> None:
    process = pid("web-1")
    more = run("site", described(replicas=3))
    assert urls(more)[:6] == urls(first_run)
    assert answer("http://127.0.0.1:8082/") == "This is web-3."
    run("site", described(replicas=1))
    assert world.namespaces() == ["web-1"]
    assert not any(world.exists(link) for link in ("nsweb-2", "nsweb-3"))
    assert answer("http://127.0.0.1:8080/") == "This is web-1."
    assert answer("http://127.0.0.1:8081/").startswith("curl failed")
    assert pid("web-1") == process


def overlapping() -> dict[str, t.Any]:
    """Two networks that share addresses."""
    variables = described()
    variables["nsfleet_networks"].append({"name": "more", "subnets": ["10.2.0.128/25"]})
    return variables


def doubled() -> dict[str, t.Any]:
    """Two services of one name."""
    variables = described()
    variables["nsfleet_services"] *= 2
    return variables


def contained(**options: t.Any) -> dict[str, t.Any]:
    """More options of the containers."""
    return described(container={**described()["nsfleet_services"][0]["container"], **options})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (overlapping(), "networks[more].subnets[0]: 10.2.0.128/25 overlaps 10.2.0.0/24 of demo"),
        (described(network="dmeo"), "services[web].network: there is no network 'dmeo'; there are demo"),
        (doubled(), "services: 'web' is given twice"),
        (contained(memroy_max="1G"), "services[web].container: unknown option memroy_max"),
        (contained(memory_max="1X"), "services[web].container.memory_max: expected max, a percentage, or"),
    ],
    ids=["overlap", "unknown network", "given twice", "unknown option", "bad value"],
)
def test_bad_input_is_refused_before_anything_is_done(
    first_run: str, variables: dict[str, t.Any], message: str
) -> None:
    del first_run
    there = world.snapshot()
    with pytest.raises(AssertionError, match=re.escape(message)):
        run("site", variables)
    assert world.difference(there, world.snapshot()) == []


def test_teardown_leaves_nothing_and_can_be_repeated(first_run: str, before: dict[str, t.Any]) -> None:
    del first_run
    run("teardown")
    assert left(before) == []
    assert changed(run("teardown")) == []


def test_teardown_after_a_run_that_was_killed_leaves_nothing(before: dict[str, t.Any]) -> None:
    command = [site.PLAY, os.path.join(site.ROOT, "playbooks", "site.yml"), "-i", INVENTORY]
    running = subprocess.Popen(command, env=site.environment(), stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        world.until(lambda: "web-1" in world.namespaces(), seconds=900)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    run("teardown")
    assert left(before) == []
