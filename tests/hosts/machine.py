# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine: start, use, reboot, end. What is known of it is in a folder, so that any process can go on with it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import glob
import hashlib
import json
import os
import re
import select
import shlex
import shutil
import socket
import subprocess
import time
import typing as t
import uuid

from hosts import image, qemu, segment, settings
from hosts.qemu import Shape
from hosts.tools import Failure, alive, detach, fingerprint, kill, locked, put, read, run, say, sweep, until

#: Cards of a resumed machine still have the addresses of the snapshot: probe them anew.
PROBE_CARDS = """
cards=$(for card in {cards}; do basename $(readlink /sys/class/net/eth$card/device); done)
cd /sys/bus/virtio/drivers/virtio_net
for card in $cards; do echo $card >unbind; done
for card in $cards; do echo $card >bind; done
"""
#: What every test uses, so that a snapshot has it in memory: a login, Python, its modules, tools.
WARM = """
PYTHONPATH=/usr/local/lib/testhosts/python python3 -c 'import json, zipfile, subprocess, tempfile, pytest, pyroute2'
nft list ruleset; ip -d link >/dev/null
"""
#: Waits for the end of all ssh sessions.
NO_SESSION = "until ! pgrep -f '[@]notty' >/dev/null; do sleep 0.2; done"


class Machine:
    """A machine of a name; it need not run.

    :raises Failure: the name cannot be that of a host.
    """

    def __init__(self, name: str) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
            raise Failure(f"{name!r} is no host name")
        self.name = name
        self.folder = os.path.join(settings.RUN, "vm", name)
        self.about: dict[str, t.Any] = {}
        with contextlib.suppress(OSError, ValueError):
            self.about = json.loads(read(self.path("about.json")))

    def path(self, name: str) -> str:
        """A file in the folder of this machine."""
        return os.path.join(self.folder, name)

    def running(self) -> bool:
        """Whether it runs."""
        return bool(self.about) and bool(alive(self.path("pid")))

    def needed(self) -> Machine:
        """Itself.

        :raises Failure: it does not run.
        """
        if not self.running():
            raise Failure(f"{self.name} is not running")
        return self

    # --- start and end

    def boot(self, shape: Shape, segments: t.Sequence[str], cold: bool, port: int = 0) -> None:
        """Start it, and wait until ssh answers.

        :param cold: really boot, instead of going on from a snapshot.
        :param port: of 127.0.0.1, for ssh; 0: a free one.
        """
        if self.running():
            raise Failure(f"{self.name} is running already")
        lans = [segment.join(each, self.name) for each in segments]
        if cold:
            self._start(shape, lans, image.disk(shape["base"]), port=port)
        else:
            kept = snapshot(shape)
            self._start(shape, lans, f"{kept}/disk", f"{kept}/memory", port)
        with qemu.Serial(self.folder) as serial:
            if cold:
                serial.wait_for_boot()
            self._personalize(serial)
        self._wait_for_ssh()

    def down(self) -> None:
        """End it, and forget its disk."""
        self.hang_up()
        kill(self.path("pid"))
        segment.leave(self.name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def reboot(self, hard: bool = False) -> str:
        """Reboot it, with ``hard`` without a shutdown. Gives the new boot id."""
        self.hang_up()
        with qemu.Serial(self.folder) as serial:
            if hard:
                qemu.Control(self.path("qmp"))("system_reset")
            else:
                serial.send("systemctl reboot\n#END reboot\n")
            boot_id = serial.wait_for_boot()
            serial.run(f"date -s @{time.time():.2f} >/dev/null")
        self._wait_for_ssh()
        return boot_id

    def reset(self) -> None:
        """Back to a fresh machine under the same name, port and segments."""
        about = self.about
        self.down()
        self.boot(about["shape"], [nic["segment"] for nic in about["nics"]], about["cold"], about["port"])

    def _start(self, shape: Shape, lans: list[dict[str, t.Any]], backing: str, memory: str = "", port: int = 0) -> None:
        """Start qemu with a disk over another one, which stays as it is."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder, mode=0o700)
        kind = "qcow2" if memory else "raw"
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", backing, self.path("disk"))
        seed = hashlib.sha256(f"{self.name}/{uuid.uuid4()}".encode()).hexdigest()
        mac = "02:" + ":".join(re.findall("..", seed)[:4])
        plugs = [*lans, *({} for _lacking in range(shape["lans"] - len(lans)))]
        nics = [{**plug, "mac": f"{mac}:{number:02x}"} for number, plug in enumerate(plugs, 1)]
        port = port or _free_port()
        self.about = {"port": port, "shape": shape, "nics": nics, "machine_id": seed[:32], "cold": not memory}
        with open(self.path("qemu.log"), "wb") as log:
            command = qemu.command(self.name, self.folder, shape, port, nics, memory)
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
        if done.returncode:
            raise Failure(f"qemu: {read(self.path('qemu.log'))}")
        put(self.path("about.json"), json.dumps(self.about, indent=1))
        if memory:
            control = qemu.Control(self.path("qmp"))
            until(600, "restored memory", lambda: control.status() != "inmigrate", 0.02)
            control("cont")

    def _personalize(self, serial: qemu.Serial) -> None:
        """Give it what no two machines have in common.

        :raises Failure: it could not be done.
        """
        lines = [
            f"hostname {self.name}; echo {self.name} >/etc/hostname; echo {self.about['machine_id']} >/etc/machine-id",
            f"printf '127.0.0.1 localhost\\n127.0.1.1 {self.name}\\n::1 localhost\\n' >/etc/hosts",
            f"date -s @{time.time():.2f} >/dev/null",
            # fresh random numbers: add to the pool, then RNDRESEEDCRNG
            f"echo {uuid.uuid4().hex} >/dev/urandom; perl -e 'open F, \">/dev/urandom\"; ioctl F, 0x5207, 0'",
            "mkdir -p /etc/testhosts; : >/etc/testhosts/net",
        ]
        cards = range(1, len(self.about["nics"]) + 1)
        for card, nic in zip(cards, self.about["nics"]):
            lines.append(f"echo eth{card} 10.77.{nic['net']}.{nic['host']}/24 >>/etc/testhosts/net")
        if cards and not self.about["cold"]:
            lines.append(PROBE_CARDS.format(cards=" ".join(map(str, cards))))
        status, output = serial.run("\n".join([*lines, "/usr/local/lib/testhosts/net"]))
        if status:
            raise Failure(f"{self.name}: {output}")

    def _wait_for_ssh(self) -> None:
        def banner() -> bool:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.about["port"]), 2) as connection,
            ):
                connection.settimeout(5)
                return connection.recv(4) == b"SSH-"
            return False

        until(600, f"ssh on {self.name}", banner, 0.05)

    # --- use

    def ssh(self, *command: str, options: t.Sequence[str] = ()) -> list[str]:
        """The command that runs a command in it; a login is dear under emulation, so the connection is kept."""
        keep = f"-o ControlMaster=auto -o ControlPersist=600 -o ControlPath={self.path('ssh')}".split()
        port = str(self.about["port"])
        return ["ssh", *_key(), *_ssh_options(), *keep, *options, "-p", port, "root@127.0.0.1", *command]

    def variables(self) -> dict[str, t.Any]:
        """Its variables in Ansible's inventory."""
        lans = {
            nic["segment"]: {"device": f"eth{card}", "mac": nic["mac"], "address": f"10.77.{nic['net']}.{nic['host']}"}
            for card, nic in enumerate(self.about["nics"], 1)
        }
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.about["port"],
            "ansible_user": "root",
            "ansible_ssh_private_key_file": settings.KEY,
            "ansible_ssh_common_args": shlex.join(_ssh_options()),
            "ansible_ssh_pipelining": True,
            "ansible_python_interpreter": "/usr/bin/python3",
            "testhost_base": self.about["shape"]["base"],
            "testhost_cgroup": self.about["shape"]["cgroup"],
            **({"testhost_lan": lans, "lan_ip": next(iter(lans.values()))["address"]} if lans else {}),
        }

    def hang_up(self) -> None:
        """End the ssh session that is kept."""
        if os.path.exists(self.path("ssh")):
            subprocess.run(self.ssh(options=["-O", "exit"]), capture_output=True, check=False)


def _key() -> list[str]:
    return ["-i", settings.KEY]


def _ssh_options() -> list[str]:
    return [
        "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={settings.KNOWN_HOSTS}",
        "-o", "HostKeyAlias=testhosts", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR",
    ]  # fmt: skip


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


# --- several machines ----------------------------------------------------------


def running() -> list[Machine]:
    """All machines that run, without those that snapshots are being made of."""
    folders = glob.glob(os.path.join(settings.RUN, "vm", "*"))
    found = [Machine(os.path.basename(folder)) for folder in sorted(folders)]
    return [machine for machine in found if machine.running() and not machine.name.startswith("snap-")]


def together(machines: t.Iterable[Machine], do: t.Callable[[Machine], None]) -> None:
    """Do something with several machines side by side."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for job in [pool.submit(do, machine) for machine in machines]:
            job.result()


def up(names: t.Sequence[str], shape: Shape, segments: t.Sequence[str] = (), cold: bool = False) -> list[Machine]:
    """Start machines side by side."""
    machines = [Machine(name) for name in names]
    image.build(shape["base"])
    together(machines, lambda machine: machine.boot(shape, segments, cold))
    return machines


@contextlib.contextmanager
def borrowed(
    names: t.Sequence[str], shape: Shape, segments: t.Sequence[str] = (), cold: bool = False
) -> t.Iterator[list[Machine]]:
    """Machines that end with the block, or with this process, whatever ends it."""
    detach("_watch", str(os.getpid()), *names)
    try:
        yield up(names, shape, segments, cold)
    finally:
        together(map(Machine, names), Machine.down)


def watch(owner: int, names: t.Sequence[str]) -> None:
    """Wait for the end of a process, then end its machines; a qemu that it was just starting comes a little later."""
    with contextlib.suppress(ProcessLookupError):
        select.select([os.pidfd_open(owner)], [], [])
    for seconds in (0, 5):
        time.sleep(seconds)
        together(map(Machine, names), Machine.down)


# --- snapshots -------------------------------------------------------------------


def snapshot(shape: Shape) -> str:
    """Folder with memory and disk of a booted machine of this shape; it is made if there is none."""
    version = run("qemu-system-x86_64", "--version", stdout=subprocess.PIPE).stdout
    key = fingerprint(sorted(shape.items()), __file__, qemu.__file__, version, qemu.accelerator())
    folder = os.path.join(image.folder(shape["base"]), f"snapshot-{key}")
    sweep(os.path.join(image.folder(shape["base"]), "snapshot-*"))
    with locked(f"snapshot-{key}"):
        if not os.path.exists(folder):
            started = time.monotonic()
            _keep(shape, key, folder)
            say(f"kept a booted {shape['base']}, {shape['cgroup']}, after {time.monotonic() - started:.0f} s")
        os.utime(folder)
    return folder


def _keep(shape: Shape, key: str, folder: str) -> None:
    """Boot a machine, warm it, and keep its memory and disk in a folder."""
    new = f"{folder}.new"
    shutil.rmtree(new, ignore_errors=True)
    os.makedirs(new)
    machine = Machine(f"snap-{key}")
    machine.down()
    detach("_watch", str(os.getpid()), machine.name)
    try:
        machine._start(shape, [], image.disk(shape["base"]))
        with qemu.Serial(machine.folder) as serial:
            serial.wait_for_boot()
            machine._wait_for_ssh()
            run(*machine.ssh(WARM), stdout=subprocess.DEVNULL)
            machine.hang_up()  # else every machine that goes on from here has a session that never ends
            serial.run(f"{NO_SESSION}; systemctl is-system-running --wait; sync")
        _save(machine, os.path.join(new, "memory"))
        kill(machine.path("pid"))
        os.rename(machine.path("disk"), os.path.join(new, "disk"))
        os.rename(new, folder)
    finally:
        machine.down()


def _save(machine: Machine, path: str) -> None:
    """Stop a machine and write its memory to a file.

    :raises Failure: qemu could not.
    """
    control = qemu.Control(machine.path("qmp"))
    control("stop")
    control("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    control("migrate", uri=f"exec:cat >{shlex.quote(path)}")
    ended = ("completed", "failed")
    until(600, "snapshot", lambda: control("query-migrate").get("status") in ended)
    if control("query-migrate")["status"] == "failed":
        raise Failure(f"qemu could not save {machine.name}")
