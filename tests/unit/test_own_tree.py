# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended attributes of files that are given to the users of a container, byte by byte as the kernel has them."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import own_tree

USERS = [{"containerID": 0, "hostID": 100000, "size": 1000}, {"containerID": 5000, "hostID": 7, "size": 1}]
GROUPS = [{"containerID": 0, "hostID": 200000, "size": 1000}]
#: What is permitted and inheritable, which nobody changes.
SETS = struct.pack("<4I", 1 << 13, 2, 3, 4)


def capability(magic: int, *root: int) -> bytes:
    """Value of ``security.capability``."""
    return struct.pack("<I", magic) + SETS + b"".join(struct.pack("<I", each) for each in root)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (capability(0x02000000), capability(0x03000000, 100000)),
        (capability(0x02000001), capability(0x03000001, 100000)),
        (capability(0x03000001, 3), capability(0x03000001, 100003)),
        (capability(0x03000001, 5000), capability(0x03000001, 7)),
        (capability(0x03000001, 77777), capability(0x03000001, 77777)),
        (struct.pack("<3I", 0x01000001, 1, 2), struct.pack("<3I", 0x01000001, 1, 2)),
    ],
    ids=["of all", "effective", "of a namespace", "of the second range", "of nobody", "old"],
)
def test_file_capabilities_are_those_of_the_container_s_root(before: bytes, after: bytes) -> None:
    assert own_tree.mapped("security.capability", before, (USERS, GROUPS)) == after


def test_access_control_lists_are_for_its_users_and_groups() -> None:
    def acl(user: int, group: int) -> bytes:
        entries = [(1, 6, 2**32 - 1), (2, 4, user), (4, 4, 2**32 - 1), (8, 4, group), (16, 4, 2**32 - 1)]
        return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)

    for key in ("system.posix_acl_access", "system.posix_acl_default"):
        assert own_tree.mapped(key, acl(5, 6), (USERS, GROUPS)) == acl(100005, 200006)
        assert own_tree.mapped(key, acl(2000, 2000), (USERS, GROUPS)) == acl(2000, 2000)


def test_other_attributes_stay() -> None:
    assert own_tree.mapped("user.words", b"5", (USERS, GROUPS)) == b"5"
