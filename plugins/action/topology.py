# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of module topology: it comes back over a new connection and confirms the change.

That is the proof that the host can still be reached. The host does the rest: unless it is told in time, it puts
everything back as it was.
"""

from __future__ import annotations

import time
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

Values = dict[str, t.Any]
#: Seconds between two attempts to reach the host.
_PAUSE = 1.0
#: How often ssh asks in vain before it takes a connection for cut.
_QUESTIONS = 3
#: Seconds that going back may take, before somebody is told that the host cannot be reached.
_GOING_BACK = 30.0


class ActionModule(ActionBase):
    """Runs module topology."""

    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: Values | None = None) -> Values:
        """Run the module, and confirm what it changed."""
        super().run(tmp, task_vars)
        seconds = _number(self._task.args.get("confirm_timeout"))
        if seconds is None or self._task.check_mode:
            wrap = self._task.async_val and not self._connection.has_native_async
            return t.cast("Values", self._execute_module(task_vars=task_vars, wrap_async=wrap))
        if self._task.async_val:
            words = "expected a task without async, since the task itself comes back to confirm"
            return {"failed": True, "msg": f"confirm_timeout: {words}"}
        self._notice_a_cut(seconds)
        try:
            result = t.cast("Values", self._execute_module(task_vars=task_vars))
        except AnsibleConnectionFailure as error:
            return self._lost(seconds, task_vars, str(error))
        pending = result.pop("pending", None)
        return result if pending is None else self._confirm(pending, result, task_vars)

    def _notice_a_cut(self, seconds: float) -> None:
        """Let ssh ask now and then whether the host is still there: by itself it would wait for ever.

        :param seconds: within which it is to notice.
        """
        if self._connection.transport == "ssh":
            options = self._connection.get_option("ssh_extra_args") or ""
            alive = f"-o ServerAliveInterval={max(1, int(seconds / _QUESTIONS))} -o ServerAliveCountMax={_QUESTIONS}"
            self._connection.set_option("ssh_extra_args", f"{options} {alive}".strip())
            self._connection.reset()  # a connection that is open already asks nothing

    def _confirm(self, pending: Values, result: Values, task_vars: Values | None) -> Values:
        """Confirm over a new connection, as often as it takes.

        :param pending: token, and the seconds within which the host has to be told.
        :param result: of the module.
        """
        end = time.monotonic() + float(pending["seconds"])
        problem = ""
        while time.monotonic() < end:
            answer = self._ask({"confirm": pending["token"]}, task_vars)
            if not answer.get("failed"):
                return result
            problem = str(answer.get("msg"))
            if not answer.get("unreachable"):
                break
            time.sleep(_PAUSE)
        return self._lost(_GOING_BACK, task_vars, problem)

    def _lost(self, seconds: float, task_vars: Values | None, problem: str) -> Values:
        """Wait until the host can be reached again, which is when it has put everything back.

        :param seconds: until which the host waits.
        :param problem: why it could not be told.
        """
        end = time.monotonic() + seconds + _GOING_BACK
        back = False
        while not back and time.monotonic() < end:
            back = not self._ask({**self._task.args, "confirm_timeout": None}, task_vars, check=True).get("unreachable")
            time.sleep(_PAUSE)
        found = "it can be reached again" if back else "it cannot be reached yet"
        return {
            "failed": True,
            "changed": False,
            "msg": f"confirm_timeout: the host could not be told that the change is well ({problem}), so that it puts "
            f"everything back as it was; {found}",
        }

    def _ask(self, options: Values, task_vars: Values | None, check: bool = False) -> Values:
        """Run the module over a new connection; one that cannot be had is an answer, too."""
        try:
            if self._connection.transport != "local":
                self._connection.reset()
            self._task.check_mode, before = check, self._task.check_mode
            try:
                return t.cast("Values", self._execute_module(module_args=options, task_vars=task_vars))
            finally:
                self._task.check_mode = before
        except AnsibleConnectionFailure as error:
            return {"failed": True, "unreachable": True, "msg": str(error)}


def _number(value: t.Any) -> float | None:
    """Seconds as a task may write them; of what is none, the module tells what was expected."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
