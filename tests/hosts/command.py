# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real fleet hosts for tests: small Debian machines under qemu.

  vm build [--base B]                 make the base image (once; needs root)
  vm up NAME... [--base B] [--cgroup v2|hybrid|v1] [--mem MIB] [--cpus N]
        [--lan SEGMENT]... [--cold]   start machines, print their inventory
  vm reboot NAME [--hard]             real reboot (--hard: pull the plug)
  vm reset NAME...                    fresh disk and memory, same name and port
  vm ssh NAME [-- COMMAND...]         log in, or run a command
  vm sh NAME SCRIPT                   run a shell script over the serial line,
                                      which works with no network or sshd
  vm down NAME... | --all             stop machines, forget their disks
  vm inventory [--yaml]               Ansible inventory of what is running
                                      (or use this file itself as inventory:
                                      ansible -i .../vm testhosts -m ping)
  vm log NAME                         path of the serial console's log
  vm clean                            throw the caches away

Every machine is reached only through a port on 127.0.0.1; it has no way out.
Machines that name the same --lan share an Ethernet segment (eth1, eth2, ...),
which is a process of this tool and touches no interface of the host.

The first `up` of a given shape (base, cgroup mode, memory, cpus, number of
segments) boots it and keeps its memory and disk; later ones resume from
there in seconds. `--cold` really boots.

Environment: TESTHOSTS_CACHE (default: .cache/hosts of the repository): images, keys.
TESTHOSTS_RUN (default: /tmp/testhosts-CHECKOUT): what runs now; keep it short.
TESTHOSTS_ACCEL (tcg or kvm; default: kvm if the CPU offers it, else tcg).
TESTHOSTS_PACKAGES: more Debian packages for `build`, separated by commas.
TESTHOSTS_MIRROR: the folder of a Debian mirror that holds debian/ and
debian-security/ (default: the mirrors that apt uses on this host).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import typing as t

from hosts import image, machine, qemu, segment, settings
from hosts.machine import Machine
from hosts.tools import Failure

#: Words of each verb: flags of an argument, and what argparse is to know of it.
Argument = tuple[tuple[str, ...], dict[str, t.Any]]
NAME: Argument = (("name",), {})
NAMES: Argument = (("names",), {"nargs": "*", "metavar": "name"})
BASE: Argument = (("--base",), {"default": "bookworm", "choices": list(settings.BASES)})


def _flag(name: str) -> Argument:
    return (name,), {"action": "store_true"}


VERBS: dict[str, tuple[Argument, ...]] = {
    "build": (BASE, _flag("--again")),
    "up": (
        NAMES, BASE, (("--cgroup",), {"default": "v2", "choices": list(settings.CGROUP)}),
        (("--mem",), {"type": int, "default": 512}), (("--cpus",), {"type": int, "default": 2}),
        (("--lan",), {"action": "append", "default": []}), _flag("--cold"),
    ),
    "reboot": (NAME, _flag("--hard")),
    "reset": (NAMES,),
    "ssh": (NAME,),
    "sh": (NAME, (("script",), {})),
    "down": (NAMES, _flag("--all")),
    "inventory": (_flag("--yaml"),),
    "log": (NAME,),
    "clean": (),
}  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, arguments in VERBS.items():
        verb = verbs.add_parser(name)
        for flags, about in arguments:
            verb.add_argument(*flags, **about)
    return parser


def main(words: list[str]) -> int | str:
    """Do what the command line says. Gives the exit status, or what went wrong."""
    if words[:1] == ["_switch"]:
        segment.Switch(words[1]).serve()
        return 0
    if words[:1] == ["_watch"]:
        machine.watch(int(words[1]), words[2:])
        return 0
    if words[:1] in (["--list"], ["--host"]):  # what Ansible asks an inventory
        found = dynamic()
        print(json.dumps(found if len(words) == 1 else found["_meta"]["hostvars"].get(words[1], {}), indent=1))
        return 0
    end = words.index("--") if "--" in words else len(words)
    arguments = _parser().parse_args(words[:end])
    try:
        _make_run_folder()
        return DO[arguments.verb](arguments, words[end + 1 :]) or 0
    except Failure as failure:
        return f"vm: {failure}"


def _make_run_folder() -> None:
    os.makedirs(settings.RUN, mode=0o700, exist_ok=True)
    if os.stat(settings.RUN).st_uid != os.getuid():
        raise Failure(f"{settings.RUN} belongs to someone else; set TESTHOSTS_RUN")


# --- verbs: they get their arguments and the words after "--"; some give an exit status ---


def _build(arguments: argparse.Namespace, _rest: list[str]) -> None:
    image.build(arguments.base, arguments.again)


def _up(arguments: argparse.Namespace, _rest: list[str]) -> None:
    shape: qemu.Shape = {name: getattr(arguments, name) for name in ("base", "cgroup", "mem", "cpus")}
    shape["lans"] = len(arguments.lan)
    for each in machine.up(arguments.names, shape, arguments.lan, arguments.cold):
        print(ini(each))


def _reboot(arguments: argparse.Namespace, _rest: list[str]) -> None:
    print(Machine(arguments.name).needed().reboot(arguments.hard))


def _reset(arguments: argparse.Namespace, _rest: list[str]) -> None:
    machine.together([Machine(name).needed() for name in arguments.names], Machine.reset)


def _ssh(arguments: argparse.Namespace, rest: list[str]) -> None:
    command = Machine(arguments.name).needed().ssh(*rest)
    os.execvp(command[0], command)


def _sh(arguments: argparse.Namespace, _rest: list[str]) -> int:
    with qemu.Serial(Machine(arguments.name).needed().folder) as serial:
        status, output = serial.run(arguments.script)
    print(output)
    return status


def _down(arguments: argparse.Namespace, _rest: list[str]) -> None:
    for each in machine.running() if arguments.all else map(Machine, arguments.names):
        each.down()


def _inventory(arguments: argparse.Namespace, _rest: list[str]) -> None:
    if arguments.yaml:
        print(json.dumps({"testhosts": {"hosts": dynamic()["_meta"]["hostvars"]}}, indent=1))
    else:
        print("\n".join(["[testhosts]", *map(ini, machine.running())]))


def _log(arguments: argparse.Namespace, _rest: list[str]) -> None:
    print(Machine(arguments.name).needed().path("console"))


def _clean(_arguments: argparse.Namespace, _rest: list[str]) -> None:
    if machine.running():
        raise Failure("machines are running")
    shutil.rmtree(os.path.join(settings.CACHE, "base"), ignore_errors=True)


DO: dict[str, t.Callable[[argparse.Namespace, list[str]], int | None]] = {
    "build": _build, "up": _up, "reboot": _reboot, "reset": _reset, "ssh": _ssh, "sh": _sh, "down": _down,
    "inventory": _inventory, "log": _log, "clean": _clean,
}  # fmt: skip


# --- inventories ---


def ini(one: Machine) -> str:
    """A machine as a line of an inventory."""
    variables = {
        key: json.dumps(value) if isinstance(value, dict) else str(value) for key, value in one.variables().items()
    }
    return " ".join([one.name, *(f"{key}={shlex.quote(value)}" for key, value in variables.items())])


def dynamic() -> dict[str, t.Any]:
    """What runs, as Ansible wants to hear it from an inventory program."""
    found = machine.running()
    groups = {
        f"cgroup_{mode}": {"hosts": [each.name for each in found if each.about["shape"]["cgroup"] == mode]}
        for mode in settings.CGROUP
    }
    hosts = {"hosts": [each.name for each in found]}
    return {"testhosts": hosts, **groups, "_meta": {"hostvars": {each.name: each.variables() for each in found}}}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
