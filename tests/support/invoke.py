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


def invoke(module: str, options: t.Mapping[str, t.Any], *, check: bool = False, diff: bool = True) -> Result:
    """Run a module to its end.

    :param module: its name without the collection.
    :param options: as a task gives them.
    :param check: check mode.
    :param diff: diff mode.
    :raises AssertionError: it ended without a result, as by an exception that nobody caught.
    """
    arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
    importlib.import_module(f"{PACKAGE}.{module}")  # once, here, and not again in every child
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(module, {"ANSIBLE_MODULE_ARGS": arguments}, writing)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        output = pipe.read()
    os.waitpid(pid, 0)
    lines = [line for line in output.splitlines() if line.startswith("{")]
    assert lines, f"module {module} ended without a result:\n{output}"
    return Result(json.loads(lines[-1]))


def _child(module: str, arguments: dict[str, t.Any], writing: int) -> t.NoReturn:
    """The module's process: results and tracebacks go to the pipe."""
    try:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.closerange(3, 256)
        sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
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
