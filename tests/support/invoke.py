# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as Ansible runs it, in a process of its own, without the second that a playbook costs."""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import traceback
import typing as t

from ansible.module_utils import basic

PACKAGE = "ansible_collections.nsfleet.linux.plugins.modules"


class Result(dict[str, t.Any]):
    """What a module returned."""

    @property
    def failed(self) -> bool:
        """Whether the module failed."""
        return bool(self.get("failed"))

    @property
    def changed(self) -> bool:
        """Whether the module says that it changed something."""
        return bool(self.get("changed"))


class Run:
    """A module at work in a process of its own.

    :param module: its name without the collection.
    :param options: as a task gives them.
    :param check: check mode.
    :param diff: diff mode.
    :param prepare: called in the module's process before the module is.
    """

    def __init__(
        self,
        module: str,
        options: t.Mapping[str, t.Any],
        *,
        check: bool = False,
        diff: bool = True,
        prepare: t.Callable[[], None] = lambda: None,
    ) -> None:
        self.module = module
        arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
        importlib.import_module(f"{PACKAGE}.{module}")  # once, here, and not again in every child
        self._reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _child(module, {"ANSIBLE_MODULE_ARGS": arguments}, writing, prepare)
        os.close(writing)

    def result(self) -> Result:
        """Wait for its end; what it returned.

        :raises AssertionError: it ended without a result, as by an exception that nobody caught.
        """
        with open(self._reading, encoding="utf-8") as pipe:
            output = pipe.read()
        os.waitpid(self.pid, 0)
        lines = [line for line in output.splitlines() if line.startswith("{")]
        assert lines, f"module {self.module} ended without a result:\n{output}"
        return Result(json.loads(lines[-1]))

    def killed(self) -> bool:
        """Wait for the end of a module that is to be killed, not of what it started; whether it was killed."""
        _pid, status = os.waitpid(self.pid, 0)
        os.close(self._reading)
        return os.WIFSIGNALED(status)


def invoke(module: str, options: t.Mapping[str, t.Any], *, check: bool = False, diff: bool = True) -> Result:
    """Run a module to its end.

    :param module: its name without the collection.
    :param options: as a task gives them.
    :param check: check mode.
    :param diff: diff mode.
    :raises AssertionError: it ended without a result, as by an exception that nobody caught.
    """
    return Run(module, options, check=check, diff=diff).result()


def _child(module: str, arguments: dict[str, t.Any], writing: int, prepare: t.Callable[[], None]) -> t.NoReturn:
    """The module's process: results and tracebacks go to the pipe."""
    try:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
        prepare()
        os.closerange(3, 256)
        basic._ANSIBLE_ARGS = json.dumps(arguments).encode()
        basic._ANSIBLE_PROFILE = "legacy"
        importlib.import_module(f"{PACKAGE}.{module}").main()
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(0)
