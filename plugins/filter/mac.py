# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nsfleet.linux.mac."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.nsfleet.linux.plugins.plugin_utils import _addressing

DOCUMENTATION = r"""
name: mac
short_description: Computes a stable MAC address
version_added: 1.0.0
description:
  - Computes the MAC address of an interface from words that tell it from all others. It is the same on every run and
    every controller.
  - It is a locally administered address of one interface, V(02) and five bytes of a hash. Among a thousand interfaces,
    two have the same with a chance of about one in two million.
author:
  - The nsfleet.linux authors (@nsfleet)
positional: words
options:
  _input:
    description: The first word, or a list of words.
    type: raw
    required: true
  words:
    description: More words, one argument each.
    type: str
seealso:
  - plugin: nsfleet.linux.address
    plugin_type: filter
  - plugin: nsfleet.linux.ifname
    plugin_type: filter
"""

EXAMPLES = r"""
- name: A link whose address stays the same when it is made again
  nsfleet.linux.veth:
    name: web0
    mac: "{{ inventory_hostname | nsfleet.linux.mac('web0') }}"
    peer:
      name: eth0
      netns: web
      mac: "{{ [inventory_hostname, 'web', 'eth0'] | nsfleet.linux.mac }}"
"""

RETURN = r"""
_value:
  description: The MAC address.
  type: str
  sample: 02:7d:a0:3c:55:10
"""


def mac(first: object, *more: object) -> str:
    """The MAC address for words; parameters are described above.

    :raises AnsibleFilterError: they make no sense.
    """
    try:
        listed = list(first) if isinstance(first, (list, tuple)) else [first]
        return _addressing.mac(_addressing.words("words", [*listed, *more]))
    except _addressing.AddressingError as error:
        raise AnsibleFilterError(f"nsfleet.linux.mac: {error}") from error


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"mac": mac}
