# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that cuts the controller's own connection heals itself: two hosts made of namespaces, with a real sshd."""

from __future__ import annotations

import json
import pathlib
import subprocess
import typing as t

import pytest
import yaml
from support import site, world

HOSTS = {"cut": "10.60.1.2", "well": "10.60.2.2"}
#: A bridge that gets the address of the controller, whom the host then looks for in itself; one that is well.
BRIDGES = {
    "cut": {"name": "case-br", "addresses": ["10.60.1.1/24"]},
    "well": {"name": "case-br", "ports": [{"name": "eth1"}]},
}
SECONDS = 6


class Host:
    """A host: a network namespace with an sshd in a mount namespace of its own.

    :param name: of the namespace.
    :param address: by which the controller reaches it.
    :param keys: directory with the host's key and the controller's.
    """

    def __init__(self, name: str, address: str, keys: pathlib.Path) -> None:
        self.name, self.address = name, address
        gate = address.rpartition(".")[0] + ".1"
        world.sh(
            f"ip netns add {name}; ip link add {name} type veth peer name eth0 netns {name};"
            f"ip addr add {gate}/24 dev {name}; ip link set {name} up;"
            f"ip -n {name} addr add {address}/24 dev eth0; ip -n {name} link set eth0 up; ip -n {name} link set lo up;"
            f"ip -n {name} link add eth1 type veth peer name far"
        )
        server = (
            f"mount -t tmpfs none /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f /dev/null -h {keys}/host"
            f" -o ListenAddress={address} -o AuthorizedKeysFile={keys}/login.pub -o StrictModes=no -o UsePAM=no"
            " -o PidFile=none -o PermitRootLogin=prohibit-password"
        )
        with open(keys / f"{name}.log", "w", encoding="utf-8") as log:
            self._server = subprocess.Popen(["ip", "netns", "exec", name, "sh", "-c", server], stderr=log)
        world.until(lambda: subprocess.run(self._ssh(keys, "true"), capture_output=True, check=False).returncode == 0)

    def _ssh(self, keys: pathlib.Path, command: str) -> list[str]:
        return ["ssh", *options(keys).split(), f"root@{self.address}", command]

    def links(self) -> dict[str, dict[str, t.Any]]:
        """Its links by their names, as ``ip`` in its namespace shows them."""
        return {each["ifname"]: each for each in world.ask(f"ip -n {self.name} -j -d link")}

    def stop(self) -> None:
        """Take it away."""
        self._server.kill()
        self._server.wait()
        world.sh(f"ip netns pids {self.name} | xargs -r kill -9; ip link del {self.name}; ip netns del {self.name}")


def options(keys: pathlib.Path) -> str:
    """What ssh needs to know to reach the hosts, and to look at nothing of the user's."""
    return (
        f"-F none -i {keys}/login -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"
        " -o ConnectTimeout=3"
    )


@pytest.fixture
def keys(tmp_path: pathlib.Path) -> pathlib.Path:
    """Keys of the hosts and of the controller."""
    for name in ("host", "login"):
        world.sh(f"ssh-keygen -q -t ed25519 -N '' -f {tmp_path}/{name}")
    return tmp_path


@pytest.fixture
def hosts(keys: pathlib.Path) -> t.Iterator[dict[str, Host]]:
    """The two hosts."""
    found = {name: Host(name, address, keys) for name, address in HOSTS.items()}
    yield found
    for host in found.values():
        host.stop()


def converge(keys: pathlib.Path, **more: t.Any) -> tuple[int, dict[str, dict[str, t.Any]]]:
    """Run the task on both hosts; the exit status of ansible-playbook, and what the task returned on each."""
    task = {"nsfleet.linux.topology": {"bridges": ["{{ bridge }}"], "confirm_timeout": SECONDS, **more}}
    (keys / "playbook.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    known = {
        name: {
            "ansible_host": address, "bridge": BRIDGES[name], "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3", "ansible_ssh_common_args": options(keys),
        }
        for name, address in HOSTS.items()
    }  # fmt: skip
    (keys / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": known}}))
    places = {"ANSIBLE_SSH_CONTROL_PATH_DIR": f"{keys}/cp", "ANSIBLE_CALLBACK_TREE_DIR": f"{keys}/results"}
    environment = {
        **site.environment(),
        "ANSIBLE_CALLBACKS_ENABLED": "tree",
        **places,
    }  # a file with each host's result
    command = [site.PLAY, "-i", str(keys / "hosts.yml"), str(keys / "playbook.yml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        return done.returncode, {name: json.loads((keys / "results" / name).read_text()) for name in HOSTS}
    except FileNotFoundError:
        raise AssertionError(done.stdout + done.stderr) from None


def test_what_cuts_the_controller_off_heals_itself(hosts: dict[str, Host], keys: pathlib.Path) -> None:
    before = hosts["cut"].links()
    status, result = converge(keys)
    assert status == 2, "no host failed (ansible-playbook(1), 2: one or more hosts failed)"
    assert "puts everything back as it was" in result["cut"]["msg"]
    assert "it can be reached again" in result["cut"]["msg"]
    assert hosts["cut"].links().keys() == before.keys()
    world.sh(f"ping -c1 -W3 {HOSTS['cut']}")
    assert result["well"]["changed"], result["well"]
    assert hosts["well"].links()["eth1"]["master"] == "case-br"
    status, again = converge(keys, state="absent")
    assert status == 0
    assert {name: each["changed"] for name, each in again.items()} == {"cut": False, "well": True}
