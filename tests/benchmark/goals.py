# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each benchmark is to come to: the largest ratio of ours to the other's. It is printed, and asserted nowhere."""

from __future__ import annotations

import typing as t

#: A task that changes nothing, to ``ansible.builtin.ping``.
NOTHING_TO_DO: t.Final = 1.3
#: ``nsrun run``, to the same by other programs.
PROGRAM: t.Final = {"runc": 1.0, "crun": 2.5}
#: From nothing to the first answer of a service on a bridge.
ANSWER: t.Final = {"ip and crun": 0.5}
#: The same, and everything removed again.
LIFE: t.Final = {"ip and crun": 0.7, "podman": 0.08}
#: One of the last ten of many containers, to one of the first ten.
MANY: t.Final = 1.3
#: Many namespaces with a cable each made by one task, to the same by others.
WIRES: t.Final = {"ip -batch": 0.25}
#: One attribute among many repaired, to a task that changes nothing.
WIRES_DRIFT: t.Final = 1.1
#: A task that creates a started container, to ``containers.podman.podman_container``.
TASK: t.Final = 0.4
#: One layer of an image unpacked.
UNPACK: t.Final = {"umoci raw unpack": 1.2, "tar -x": 2.5}
#: Whether somebody changed a tree, to ``find -printf`` and a digest of what it says.
STAMP: t.Final = 0.5
#: An image taken from an archive, to ``podman load``.
IMPORT: t.Final = 1.0
#: What a store grows by with a hundred containers from one image, to a MiB.
GROWTH: t.Final = 1.0
