# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all modules promise. PRIVATE to the nsfleet.linux collection: it may change at any time."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes of modules."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Says what the module would do, and writes nothing at all.
    support: full
  diff_mode:
    description: Returns what differs, before and after. The diff of check mode is the diff of the run.
    support: full
  idempotent:
    description: A second run with the same options changes nothing, and only reads.
    support: full
  platform:
    description: The systems that the module runs on.
    support: full
    platforms: linux
  action_group:
    description: Use C(group/nsfleet.linux.all) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - nsfleet.linux.all
requirements:
  - Linux 5.10 or newer on the target
  - Python 3.9 or newer on the target
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: The module never changes anything.
    support: full
  diff_mode:
    description: There is nothing to show, since the module never changes anything.
    support: N/A
  idempotent:
    description: The module never changes anything.
    support: full
  platform:
    description: The systems that the module runs on.
    support: full
    platforms: linux
  action_group:
    description: Use C(group/nsfleet.linux.all) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - nsfleet.linux.all
requirements:
  - Linux 5.10 or newer on the target
  - Python 3.9 or newer on the target
"""

    ACTION = r"""
options: {}
attributes:
  check_mode:
    description: Says whether the command would be run.
    details: Only O(creates) and O(removes) can tell. Without them the task is skipped.
    support: partial
  diff_mode:
    description: What a command changes is not known.
    support: none
  idempotent:
    description: The command is run each time, unless O(creates) or O(removes) keep it from that.
    support: none
  platform:
    description: The systems that the module runs on.
    support: full
    platforms: linux
  action_group:
    description: Use C(group/nsfleet.linux.all) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - nsfleet.linux.all
requirements:
  - Linux 5.10 or newer on the target
  - Python 3.9 or newer on the target
"""
