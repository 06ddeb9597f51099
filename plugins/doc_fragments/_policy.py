# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that every changing module has. PRIVATE to the nsfleet.linux collection: it may change at any time."""

from __future__ import annotations


class ModuleDocFragment:
    """Options that say how to work."""

    DOCUMENTATION = r"""
options:
  adopt:
    description:
      - Whether an object that this collection did not make may be taken over.
      - Without it, a task that would change such an object fails before anything is touched.
        A task that finds it as wanted succeeds and leaves it foreign.
    type: bool
    default: false
  on_drift:
    description:
      - What to do when the live object is not what was applied last, because somebody else changed or removed it.
      - An option that got a new value in the task is not drift; it is applied in any case.
    type: str
    default: apply
    choices:
      apply: Repair what drifted.
      warn: Leave what drifted, and warn.
      fail: Change nothing, and fail with the list of what drifted.
"""
