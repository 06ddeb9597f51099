# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nsfleet.linux.ifname."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.nsfleet.linux.plugins.plugin_utils import _addressing

DOCUMENTATION = r"""
name: ifname
short_description: Computes a name that an interface can have
version_added: 1.0.0
description:
  - Names of interfaces have at most 15 bytes. Where prefix and owner fit, they are the name. Where they do not, or
    where they have characters that no interface name may have, the name is the prefix, a readable part of the owner,
    and eight characters of its hash.
  - It is the same on every run and every controller.
author:
  - The nsfleet.linux authors (@nsfleet)
positional: prefix
options:
  _input:
    description: What the interface belongs to, such as the name of a service.
    type: str
    required: true
  prefix:
    description: What the name begins with, at most seven bytes.
    type: str
    default: ""
seealso:
  - plugin: nsfleet.linux.address
    plugin_type: filter
  - plugin: nsfleet.linux.mac
    plugin_type: filter
"""

EXAMPLES = r"""
- name: The host's ends of the links of all services
  ansible.builtin.debug:
    msg: "{{ ['web', 'payment-gateway-replica-1'] | map('nsfleet.linux.ifname', 'v-') }}"
    # ['v-web', 'v-paym-ddznnxwr']
"""

RETURN = r"""
_value:
  description: The name.
  type: str
  sample: v-web
"""


def ifname(owner: object, prefix: object = "") -> str:
    """The name of an interface; parameters are described above.

    :raises AnsibleFilterError: they make no sense.
    """
    try:
        return _addressing.ifname(*_addressing.words("owner and prefix", [owner, prefix]))
    except _addressing.AddressingError as error:
        raise AnsibleFilterError(f"nsfleet.linux.ifname: {error}") from error


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"ifname": ifname}
