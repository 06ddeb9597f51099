# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all kinds have in common: the options that say how to work, and the mark that our objects carry."""

from __future__ import annotations

from .._model.field import Field

#: Group of every link that is ours, and of the loopback of every network namespace that is ours: "nsfl".
GROUP = 0x6E73666C
#: The same of links that are about to be removed, many by one message: "nsfx".
LEAVING = 0x6E736678
#: Alias of a link that is ours, where the task gives it none of its own.
ALIAS = "nsfleet.linux"
#: Protocol of routes and rules that are ours: "n", in the range that the kernel leaves to others.
PROTOCOL = 110


def is_ours(group: int) -> bool:
    """Whether the group of a link says that it is ours."""
    return group in (GROUP, LEAVING)


POLICY = (
    Field("state", choices=("present", "absent"), default="present", stateful=False),
    Field("adopt", "bool", default=False, stateful=False),
    Field("on_drift", choices=("apply", "warn", "fail"), default="apply", stateful=False),
)
