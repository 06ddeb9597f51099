# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the module topology over random topologies, random edits, random damage and a failure at every step.

``NSFLEET_SEED`` draws another lot, ``NSFLEET_OBJECTS`` makes the topologies larger.
"""

from __future__ import annotations

import copy
import os
import random
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._plan import transaction
from support import laws, world
from support.invoke import invoke

SEED = int(os.environ.get("NSFLEET_SEED", "1"))
OBJECTS = int(os.environ.get("NSFLEET_OBJECTS") or 10)
LOTS = range(SEED, SEED + 3)
KINDS = ("netns", "bridges", "veths", "links", "routes", "rules", "cgroups")
FOREIGN = (
    "ip netns add case-foreign; ip link add case-fb type bridge; ip link add case-f0 type veth peer name case-f1;"
    "ip link set case-f1 netns case-foreign; ip link set case-f0 master case-fb; ip -n case-foreign link set lo up;"
    "ip -n case-foreign route add 10.77.0.0/16 dev lo"
)
Topology = dict[str, t.Any]


class Drawer:
    """Draws topologies, edits of them, and damage.

    :param seed: the same seed draws the same.
    """

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def topology(self) -> Topology:
        """Namespaces, each on one of a few bridges or on another namespace, some with routes; and control groups."""
        spaces = [f"case{number}" for number in range(OBJECTS // 2)]
        bridges = [f"case-br{number}" for number in range(1 + OBJECTS // 20)]
        found: Topology = {
            "netns": [self._netns(name) for name in spaces],
            "bridges": [self._bridge(name, number) for number, name in enumerate(bridges)],
            "veths": [self._veth(number, name, spaces, bridges) for number, name in enumerate(spaces)],
            "cgroups": [{"name": f"case{number}", "pids_max": self.draw.randint(5, 500)} for number in range(2)],
        }
        found["links"] = [self._link(number, space, bridges) for number, space in enumerate(spaces) if number % 2]
        reached = [veth for veth in found["veths"] if veth["peer"].get("addresses") and veth.get("master")]
        found["routes"] = [
            {"destination": f"10.99.{number}.0/24", "netns": veth["peer"]["netns"], "dev": "eth0"}
            for number, veth in enumerate(reached)
            if self.draw.random() < 0.5
        ]
        found["rules"] = [self._rule(number, name) for number, name in enumerate(["", *spaces])]
        for entries in found.values():
            self.draw.shuffle(entries)
        return found

    def _netns(self, name: str) -> Topology:
        sysctls = {"net.ipv4.ip_forward": self.draw.choice(["0", "1"])}
        return {"name": name, **({"sysctls": sysctls} if self.draw.random() < 0.3 else {})}

    def _rule(self, number: int, space: str) -> Topology:
        network = self.draw.choice([f"10.99.{number}.0/24", f"fd00:99:{number}::/64"])
        way = self.draw.choice([{"table": "99"}, {"action": "prohibit"}])
        return {"priority": 1000 + number, "netns": space, self.draw.choice(["from", "to"]): network, **way}

    def _bridge(self, name: str, number: int) -> Topology:
        return {"name": name, "addresses": [f"10.{50 + number}.0.1/16"], "ageing_time": self.draw.choice([30, 60, 300])}

    def _veth(self, number: int, space: str, spaces: list[str], bridges: list[str]) -> Topology:
        master = self.draw.randrange(len(bridges) + 1)
        peer: Topology = {"name": "eth0", "netns": space, "mtu": self.draw.choice([1400, 1500, 9000])}
        if self.draw.random() < 0.8:
            peer["addresses"] = [f"10.{50 + master}.{number // 200}.{number % 200 + 10}/16", f"fd00:{number:x}::1/64"]
        first: Topology = {"name": f"case-v{number}", "mtu": peer["mtu"], "peer": peer}
        if master < len(bridges):
            return {**first, "master": bridges[master]}
        return {**first, "netns": self.draw.choice(spaces)}

    def _link(self, number: int, space: str, bridges: list[str]) -> Topology:
        where = {"name": f"case-l{number}", "netns": self.draw.choice(["", space])}
        kinds: list[Topology] = [
            {"kind": "vxlan", "vxlan": {"vni": number + 1, "port": 4789 + number}},
            {"kind": "macvlan", "parent": bridges[0], "parent_netns": ""},
            {"kind": "tap"},
            {"kind": "vxlan", "vxlan": {"vni": number + 1, "port": 4789 + number}, "egress": {"rate": "10mbit"}},
        ]
        return {**where, **self.draw.choice(kinds)}

    def edited(self, topology: Topology) -> Topology:
        """The topology with one object less, one that is gone by name, and some options changed."""
        edited = copy.deepcopy(topology)
        for veth in self.draw.sample(edited["veths"], 2):
            veth["peer"]["mtu"] = veth["mtu"] = self.draw.choice([1280, 1492])
            veth["alias"] = "edited"
        victim = self.draw.choice(edited["veths"])
        for route in edited["routes"]:  # which the kernel removes with the link
            if route["netns"] == victim["peer"]["netns"]:
                route["state"] = "absent"
        victim["state"] = "absent"
        edited["rules"][0]["fwmark"] = "0x63"
        edited["rules"].pop()
        edited["bridges"][0]["ageing_time"] = 90
        edited["links"][0]["mtu"] = 1300
        edited["cgroups"][0]["pids_max"] = 1000
        edited["netns"].append({"name": "case-late"})
        edited["veths"].append({"name": "case-late", "peer": {"name": "eth0", "netns": "case-late"}})
        return edited

    def damage(self, topology: Topology) -> str:
        """A few things that somebody does by hand."""
        veth, other, third = self.draw.sample(topology["veths"], 3)
        where, there = (f"-n {each['netns']}" if each.get("netns") else "" for each in (other, topology["links"][-1]))
        return "; ".join((
            f"ip -n {veth['peer']['netns']} link del eth0",
            f"ip {where} link set {other['name']} mtu 1300",
            f"ip -n {third['peer']['netns']} addr flush dev eth0",
            f"ip -n {third['peer']['netns']} link set lo down",
            f"ip -n {third['peer']['netns']} rule flush protocol 110",
            f"ip link set {topology['bridges'][0]['name']} type bridge ageing_time 4200",
            f"ip {there} link del {topology['links'][-1]['name']}",
        ))  # fmt: skip


@pytest.fixture(autouse=True)
def host() -> t.Iterator[None]:
    """At the end, everything of ours is purged, and what others made is as it was."""
    world.sh(FOREIGN)
    foreign = world.snapshot()
    yield
    laws.run("topology", {**{kind: [] for kind in KINDS}, "purge": "owned"})
    assert not world.difference(foreign, world.snapshot()), "purge left something, or took something of others"
    world.sh("ip link del case-f0; ip link del case-fb; ip netns del case-foreign")


@pytest.mark.parametrize("seed", LOTS)
def test_every_law(seed: int) -> None:
    drawer = Drawer(seed)
    first = drawer.topology()
    laws.four_steps("topology", first)
    edited = drawer.edited(first)
    laws.four_steps("topology", edited)
    whole = {**edited, "veths": [veth for veth in edited["veths"] if veth.get("state") != "absent"]}
    laws.repaired("topology", edited, drawer.damage(whole))
    laws.four_steps("topology", {**first, "purge": "owned"})
    assert not world.exists("case-late")


@pytest.mark.parametrize("seed", LOTS[:1])
def test_a_failure_at_every_step_gives_the_state_before(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawer = Drawer(seed)
    first = drawer.topology()
    laws.run("topology", first)
    edited = drawer.edited(first)
    edited["links"][-1]["state"] = "absent"
    steps = len(laws.run("topology", edited, check=True)["plan"])
    before, files = world.networks(), world.sh("find /run/nsfleet /etc/netns 2>&1 | sort")
    for number in range(1, steps + 1):
        with monkeypatch.context() as patch:
            _fail_at(patch, number)
            failed = invoke("topology", edited)
        assert "injected failure. Everything was put back as it was" in failed["msg"], failed["msg"]
        changes = world.difference(before, world.networks())
        assert not changes, f"step {number} of {steps}: {changes}"
        assert world.sh("find /run/nsfleet /etc/netns 2>&1 | sort") == files
    laws.settled("topology", first)


def _fail_at(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the step of a number fail when it is done, or those that are done together with it."""
    run, run_together = transaction._run, transaction._run_together
    done: list[t.Any] = []

    def count(steps: t.Sequence[t.Any]) -> None:
        done.extend(steps)
        if len(done) - len(steps) < number <= len(done):
            raise OSError("injected failure")

    def one(step: t.Any) -> None:
        run(step)
        count([step])

    def many(together: t.Any, steps: t.Sequence[t.Any]) -> None:
        run_together(together, steps)
        count(steps)

    patch.setattr(transaction, "_run", one)
    patch.setattr(transaction, "_run_together", many)
