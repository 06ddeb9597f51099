# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that make a container and take it away: create, start, run, delete."""

from __future__ import annotations

import json
import os
import signal
import sys
import typing as t

from ..._kernel import files, process
from ..._model.errors import NsfleetError
from .. import groups, hooks
from ..birth import not_executed
from ..instance import CREATED, RUNNING, STOPPED, Instance, taken
from ..schema import check
from ..spec import ANNOTATION, FIXED_NOTES, Spec, annotation
from .arguments import Option, Values, number
from .foreground import Foreground

#: Seconds that a killed process may take to be gone.
_AFTER_KILL = 30.0

MAKE: t.Final = (
    Option("bundle b", "DIR", "the bundle; the directory of the caller if not given"),
    Option("console-socket", "SOCKET", "where the other end of the terminal goes to"),
    Option("pid-file", "FILE", "where the pid of the first process is written"),
    Option("no-pivot", "", "refused: the root is always changed by pivot_root(2)"),
    Option("no-new-keyring", "", "the container keeps the session keyring of the caller"),
    Option("preserve-fds", "N", "descriptors 3 to 2+N of the caller are the container's, too"),
)
RUN: t.Final = (
    *MAKE,
    Option("detach d", "", "return when the container runs"),
    Option("keep", "", "do not delete the container when it has ended"),
    Option("no-subreaper", "", "taken for the sake of runc's command line; there is none"),
)
DELETE: t.Final = (Option("force f", "", "kill it first if it runs; no error if there is none"),)


def create(general: Values, values: Values, operands: list[str]) -> int:
    """Make all of a container but its payload.

    :returns: exit status.
    :raises NsfleetError: it could not be made; nothing of it is left.
    """
    instance = Instance(general["root"], operands[0])
    _create(instance, {**general, **values}, True, Foreground(detached=True))
    return 0


def start(general: Values, values: Values, operands: list[str]) -> int:
    """Execute the payload of a container that was created.

    :returns: exit status.
    :raises NsfleetError: it does not wait to be started, or its payload cannot be executed.
    """
    del values
    instance = Instance(general["root"], operands[0])
    with instance.locked():
        record = instance.load()
        status = instance.status(record)
        if status != CREATED:
            raise NsfleetError(f"cannot start container {instance.name!r}: it is {status}, not created")
        told = instance.pass_gate()
        if told:
            raise NsfleetError(not_executed(told, instance.spec["process"]["args"]))
        _run_hooks_after_start(instance, record.bundle, record.pid)
    return 0


def run(general: Values, values: Values, operands: list[str]) -> int:
    """Create and start a container; unless it is detached, stay in front of it and delete it at its end.

    :returns: exit status of the payload, or 0 if it is detached.
    :raises NsfleetError: it could not be started; nothing of it is left.
    """
    instance = Instance(general["root"], operands[0])
    front = Foreground(detached=bool(values["detach"]))
    pid = _create(instance, {**general, **values}, False, front)
    try:
        _run_hooks_after_start(instance, instance.load().bundle, pid)
        status = 0 if front.detached else front.wait(pid)
    except BaseException:
        with instance.locked():
            _destroy(instance)
        raise
    if not (front.detached or values["keep"]):
        with instance.locked():
            _destroy(instance)
    return status


def delete(general: Values, values: Values, operands: list[str]) -> int:
    """Take a container away.

    :returns: exit status.
    :raises NsfleetError: it runs, or there is none, and that was not said to be no matter.
    """
    instance = Instance(general["root"], operands[0])
    if values["force"] and not instance.exists:
        return 0
    with instance.locked():
        if not values["force"]:
            status = instance.status(instance.load())
            if status != STOPPED:
                raise NsfleetError(f"cannot delete container {instance.name!r}: it is {status}, not stopped")
        _destroy(instance)
    return 0


# --- create ------------------------------------------------------------------------


def _create(instance: Instance, values: Values, gate: bool, front: Foreground) -> int:
    """Make a container, up to its gate, or with its payload.

    :returns: pid of its first process.
    """
    process.keep_descriptors(3 + number(values, "preserve-fds"))
    if values["no-pivot"]:
        raise NsfleetError("--no-pivot: not supported: a root that was not changed by pivot_root(2) can be left")
    if instance.exists:
        raise taken(instance.name)
    bundle = os.path.abspath(values["bundle"] or ".")
    spec = _read(bundle, instance.name, bool(values["systemd-cgroup"]))
    groups.refuse_used(spec, instance.host)
    instance.begin(bundle, spec)
    try:
        return _bring_up(instance, bundle, values, gate, front)
    except BaseException:
        _give_up(instance)
        raise


def _read(bundle: str, name: str, systemd: bool) -> Spec:
    """The description of a bundle, with paths that mean the same everywhere."""
    path = os.path.join(bundle, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            spec = json.load(file)
    except (OSError, ValueError) as error:
        raise NsfleetError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    check(spec, where=path)
    _refuse_notes(spec, path)
    if spec.get("root"):
        spec["root"]["path"] = os.path.realpath(os.path.join(bundle, spec["root"]["path"]))
    spec.setdefault("linux", {})
    groups.settle(spec, name, systemd)
    return t.cast("Spec", spec)


def _refuse_notes(spec: Spec, path: str) -> None:
    """Who may annotate a container may not say what else it is: who runs in it, whose files it shows."""
    for note in FIXED_NOTES:
        if annotation(spec, note):
            name = f"annotations[{ANNOTATION}{note}]"
            raise NsfleetError(f"{path}: {name}: only the module container starts what has it; take it away")


def _bring_up(instance: Instance, bundle: str, values: Values, gate: bool, front: Foreground) -> int:
    from ..launch import Launch

    spec = instance.spec
    waiting = instance.hold_back()
    launch = Launch(
        instance,
        groups.make(spec, instance.host),
        (0, 1, 2),
        instance.told(CREATED, bundle),
        gate=instance.open_gate() if gate else None,
    )
    launch.setup.console = front.console(spec["process"], values["console-socket"])
    launch.setup.keyring = None if values["no-new-keyring"] else instance.keyring
    pid = launch.start()
    os.close(waiting)
    record = instance.load()
    instance.save(record._replace(pid=pid, started=process.start_time(pid) or 0, groups=()))
    if values["pid-file"]:
        files.write_whole(os.path.abspath(values["pid-file"]), str(pid), 0o644)
    return pid


def _give_up(instance: Instance) -> None:
    """Take away what there is of a container that could not be made; its life goes on at its end (runtime.md)."""
    try:
        groups.remove(instance.spec, instance.host)
        _run_hooks_at_end(instance, instance.load().bundle)
    finally:
        instance.remove()


# --- start and delete ----------------------------------------------------------------


def _run_hooks_after_start(instance: Instance, bundle: str, pid: int) -> None:
    """A hook that fails is the end of the container (runtime.md, "Lifecycle")."""
    try:
        hooks.run_point(instance.spec, "poststart", instance.told(RUNNING, bundle).of(pid))
    except NsfleetError:
        _kill(instance)
        raise


def _kill(instance: Instance) -> None:
    record = instance.load()
    group = instance.group
    if instance.alive(record):
        process.send_signal(record.pid, record.started, signal.SIGKILL)
    if group.exists:
        group.kill()
    if record.pid and not process.wait_for_end(record.pid, record.started, _AFTER_KILL):
        raise NsfleetError(f"container {instance.name!r}: process {record.pid} cannot be killed")


def _destroy(instance: Instance) -> None:
    """End a container, and remove all that belongs to it; one that is damaged, too."""
    try:
        record = instance.load()
        spec = instance.spec
    except NsfleetError:
        instance.remove()
        return
    _kill(instance)
    groups.remove(spec, instance.host)
    instance.group.remove_unused(record.groups)  # a create that was killed may not have come to their marks
    _run_hooks_at_end(instance, record.bundle)
    instance.remove()


def _run_hooks_at_end(instance: Instance, bundle: str) -> None:
    """The container is gone, whatever one of them says (runtime.md, "Lifecycle")."""
    for words in hooks.run_last(hooks.of(instance.spec, "poststop"), instance.told(STOPPED, bundle).of(0)):
        sys.stderr.write(f"nsrun: warning: {words}\n")
