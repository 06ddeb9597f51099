# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part of module rootfs: an archive that is here goes to a host only when that has to unpack it.

The module is told the archive's checksum. In a run that changes something it may answer that it needs the archive
itself; then this is sent to the task's temporary directory on the host, and the module is run again with it.
"""

from __future__ import annotations

import os
import typing as t

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import InvalidOptions, OptionError
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs_archive import NOT_SENT, checksum
from ansible_collections.nsfleet.linux.plugins.plugin_utils._digest import digest_of

Values = dict[str, t.Any]
_OPTION: t.Final = "archive_src"


class ActionModule(ActionBase):
    """Runs module rootfs."""

    _supports_async = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: Values | None = None) -> Values:
        """Run the module; a second time if the host needs the archive."""
        super().run(tmp, task_vars)
        options = dict(self._task.args)
        if not options.get(_OPTION) or options.get("state") == "absent":
            wrap = self._task.async_val and not self._connection.has_native_async
            return t.cast("Values", self._execute_module(task_vars=task_vars, wrap_async=wrap))
        real = None
        try:
            self._refuse(options)
            path = self._find(str(options[_OPTION]))
            real = self._loader.get_real_file(path)
            options["checksum"] = _checked(options, digest_of(real, constants.DEFAULT_LOCAL_TMP))
            return self._run_with(options, real, task_vars)
        except InvalidOptions as error:
            errors = [{"option": each.option, "problem": each.problem} for each in error.errors]
            return {"failed": True, "msg": str(error), "errors": errors}
        finally:
            self._loader.cleanup_tmp_file(real)  # if it had to be decrypted

    def _refuse(self, options: Values) -> None:
        """What cannot be together with an archive of the controller.

        :raises InvalidOptions: that is asked for.
        """
        if options.get("archive"):
            raise InvalidOptions([OptionError("archive", f"expected none beside {_OPTION}")])
        if self._task.async_val:
            words = "expected a task without async, since the archive is sent by the task itself"
            raise InvalidOptions([OptionError(_OPTION, words)])

    def _find(self, name: str) -> str:
        """The archive, where Ansible looks for files.

        :raises InvalidOptions: there is none.
        """
        try:
            path = str(self._find_needle("files", os.path.expanduser(name)))
        except AnsibleError:
            words = f"expected a file on the controller, in files of the role or beside the playbook, got {name!r}"
            raise InvalidOptions([OptionError(_OPTION, words)]) from None
        if not os.path.isfile(path):
            raise InvalidOptions([OptionError(_OPTION, f"expected a file on the controller, and {path} is none")])
        return path

    def _run_with(self, options: Values, archive: str, task_vars: Values | None) -> Values:
        """Run the module, and send it the archive if it needs that.

        :param archive: path on the controller. Check mode has it as if it had been sent, and does not open it.
        """
        first = {**options, "archive": archive} if self._task.check_mode else options
        result = t.cast("Values", self._execute_module(module_args=first, task_vars=task_vars))
        if result.get("errors") != [{"option": _OPTION, "problem": NOT_SENT}]:
            return result
        options["archive"] = self._send(archive)
        return t.cast("Values", self._execute_module(module_args=options, task_vars=task_vars))

    def _send(self, archive: str) -> str:
        """Copy the archive into the task's temporary directory, which Ansible removes at the end; its path there."""
        shell = self._connection._shell
        if shell.tmpdir is None:  # with pipelining, the module needed none
            self._make_tmp_path()
        place = str(shell.join_path(shell.tmpdir, "archive"))
        self._transfer_file(archive, place)
        self._fixup_perms2((shell.tmpdir, place))
        return place


def _checked(options: Values, found: str) -> str:
    """The checksum of the archive.

    :raises InvalidOptions: the task says another one, or one that is none.
    """
    if options.get("checksum"):
        try:
            wanted = checksum(str(options["checksum"]))
        except ValueError as error:
            raise InvalidOptions([OptionError("checksum", str(error))]) from None
        if wanted != found:
            words = f"expected {wanted}, and {options[_OPTION]} on the controller has {found}"
            raise InvalidOptions([OptionError("checksum", words)])
    return found
