# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""qemu: its command line, its control socket, and the shell on the machine's second serial line."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import time
import typing as t
import uuid

from hosts import image, settings
from hosts.tools import Failure, alive, read

# Emulated AVX is slow, and glibc would use it: a processor without is faster.
TCG_CPU = "Nehalem,+aes,+pclmulqdq,+rdrand,+fsgsbase"
#: The kernel of a test host needs no protection from its programs.
KERNEL = "root=/dev/vda rw console=ttyS0 quiet panic=5 net.ifnames=0 mitigations=off cryptomgr.notests"
LEGACY = "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"  # systemd 256 and newer take version 1 only with it

Shape = dict[str, t.Any]  #: base, cgroup, mem (MiB), cpus, lans (how many)


def accelerator() -> str:
    """``kvm`` where the processor has it, else ``tcg``; or what TESTHOSTS_ACCEL says."""
    want = os.environ.get("TESTHOSTS_ACCEL")
    if want:
        return want
    # Without these flags a /dev/kvm (of PVM, say) runs no stock kernel.
    able = re.search(r"^flags\s*:.*\b(vmx|svm)\b", read("/proc/cpuinfo"), re.MULTILINE)
    return "kvm" if able and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


def command(
    name: str, folder: str, shape: Shape, port: int, nics: t.Sequence[t.Mapping[str, t.Any]], incoming: str = ""
) -> list[str]:
    """The command that starts a machine in the background.

    :param folder: where its sockets and its disk are.
    :param port: of 127.0.0.1, which leads to its ssh server.
    :param nics: its network cards beside the first.
    :param incoming: memory of a snapshot to go on from.
    """
    tcg = accelerator() == "tcg"
    root = image.folder(shape["base"])
    return [
        "qemu-system-x86_64", "-name", name, "-machine", "q35",
        "-accel", "tcg,thread=multi,tb-size=256" if tcg else accelerator(),
        "-cpu", TCG_CPU if tcg else "host", "-smp", f"{shape['cpus']},sockets={shape['cpus']}", "-m", str(shape["mem"]),
        *_memory_nodes(shape["cpus"], shape["mem"]),
        "-nodefaults", "-no-user-config", "-display", "none",
        "-kernel", f"{root}/vmlinux", "-initrd", f"{root}/initrd",
        "-append", f"{KERNEL} {LEGACY} {settings.CGROUP[shape['cgroup']]}",
        "-drive", f"if=none,id=root,format=qcow2,cache=unsafe,discard=unmap,file={folder}/disk",
        "-device", "virtio-blk-pci,drive=root",
        "-netdev", f"user,id=n0,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device", "virtio-net-pci,netdev=n0,mac=02:00:00:00:00:01,romfile=",
        "-chardev", f"socket,id=agent,server=on,wait=off,path={folder}/agent",
        "-serial", f"file:{folder}/console", "-serial", "chardev:agent",
        "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
        "-daemonize", "-pidfile", f"{folder}/pid",
        *(word for number, nic in enumerate(nics, 1) for word in _card(number, nic)),
        *(["-incoming", f"exec:cat {shlex.quote(incoming)}"] if incoming else []),
    ]  # fmt: skip


def _memory_nodes(cpus: int, mem: int) -> list[str]:
    """One for each of the first two processors, so that which of them a group may use makes a difference."""
    if cpus < 2:
        return []
    first = [
        word
        for node in (0, 1)
        for word in (
            "-object", f"memory-backend-ram,id=m{node},size={mem // 2}M", "-numa", f"node,nodeid={node},memdev=m{node}",
        )
    ]  # fmt: skip
    cpu = [word for each in range(cpus) for word in ("-numa", f"cpu,node-id={each % 2},socket-id={each}")]
    return [*first, *cpu]


def _card(number: int, nic: t.Mapping[str, t.Any]) -> list[str]:
    if "port" in nic:
        ends = f"local.type=unix,local.path={nic['port']},remote.type=unix,remote.path={nic['switch']}"
        wire = f"dgram,id=n{number},{ends}"
    else:  # a segment nobody is on, to be replaced
        wire = f"hubport,hubid={number},id=n{number}"
    return ["-netdev", wire, "-device", f"virtio-net-pci,netdev=n{number},mac={nic['mac']},romfile="]


class Control:
    """The control socket of a running qemu (QEMU Machine Protocol)."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(600)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rw")
        self._lines.readline()
        self("qmp_capabilities")

    def __call__(self, verb: str, **arguments: t.Any) -> dict[str, t.Any]:
        """Run a command.

        :raises Failure: qemu refused, or went away.
        """
        self._lines.write(json.dumps({"execute": verb, "arguments": arguments}) + "\n")
        self._lines.flush()
        for line in self._lines:
            answer = json.loads(line)
            if "return" in answer:
                return t.cast("dict[str, t.Any]", answer["return"])
            if "error" in answer:
                raise Failure(f"{verb}: {answer['error']['desc']}")
        raise Failure(f"qemu went away at {verb}")

    def status(self) -> str:
        """State of the machine."""
        return str(self("query-status")["status"])


class Serial:
    """The shell on the second serial line of a machine, which works without network and ssh."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(os.path.join(folder, "agent"))

    def __enter__(self) -> Serial:
        return self

    def __exit__(self, *_reason: object) -> None:
        self._socket.close()

    def send(self, text: str) -> None:
        """Send text as it is."""
        self._socket.sendall(text.encode())

    def run(self, script: str, seconds: float = 1800) -> tuple[int, str]:
        """Run a shell script. Gives its exit status and its output."""
        tag = uuid.uuid4().hex[:8]
        self.send(f"{script.rstrip()}\n#END {tag}\n")
        lines, last = self._listen(f"#RC {tag}", seconds)
        return int(last.split()[2]), "\n".join(lines)

    def wait_for_boot(self, seconds: float = 1200) -> str:
        """Wait until the shell says that it is there. Gives the kernel's boot id."""
        return self._listen("#READY", seconds)[1].split()[1]

    def _listen(self, start: str, seconds: float) -> tuple[list[str], str]:
        """Lines up to the one with this start, and that one."""
        end, rest = time.monotonic() + seconds, b""
        lines: list[str] = []
        while True:
            *whole, rest = (rest + self._receive(end)).split(b"\n")
            for line in (each.decode(errors="replace").rstrip("\r") for each in whole):
                if line.startswith(start):
                    return lines, line
                lines.append(line)

    def _receive(self, end: float) -> bytes:
        """What comes within a second; may be nothing.

        :raises Failure: the time is over, or the machine ended.
        """
        if time.monotonic() > end:
            raise Failure(f"nothing on the serial line; see {self._folder}/console")
        if not alive(os.path.join(self._folder, "pid")):
            raise Failure(f"qemu ended; see {self._folder}/qemu.log")
        self._socket.settimeout(1)
        try:
            got = self._socket.recv(1 << 16)
        except socket.timeout:
            return b""
        if not got:
            raise Failure(f"the serial line was closed; see {self._folder}/qemu.log")
        return got
