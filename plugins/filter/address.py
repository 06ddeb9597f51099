# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nsfleet.linux.address."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.nsfleet.linux.plugins.plugin_utils import _addressing

DOCUMENTATION = r"""
name: address
short_description: Computes stable addresses of a network
version_added: 1.0.0
description:
  - Gives each owner (a host, a service, a container) an address of a network, computed from the names alone. It is the
    same on every run and every controller, and there is no file of leases that could be lost or leak.
  - Each owner's name puts the addresses of the network in an order of its own. The owner gets the first one that nobody
    has a better claim to, who has it earlier in his order. The order in which owners are given does not matter.
  - An owner whose first choice is nobody else's first choice has it, whoever else comes or goes. Adding or removing
    an owner moves others only where choices collide, which is seldom as long as the network is much larger than the
    number of owners. IPv6 networks and a generous IPv4 network make addresses as good as fixed.
  - Another network, or another size of it, gives other addresses.
  - The addresses of the IPv4 network itself and of its broadcast, and the first one of an IPv6 network, are given to
    nobody.
author:
  - The nsfleet.linux authors (@nsfleet)
positional: owner, among
options:
  _input:
    description: The network, such as V(10.2.0.0/24) or V(fd00:2::/64).
    type: str
    required: true
  owner:
    description:
      - The owner whose address is wanted, one of O(among).
      - Without it, the result is a dictionary of the addresses of all owners.
    type: str
  among:
    description:
      - The names of all owners of addresses in the network.
      - Give the same ones wherever the network is spoken of; what they are taken from is best one inventory variable.
    type: list
    elements: str
    required: true
  gateway:
    description:
      - Address that nobody gets, since it is the gateway's.
      - By default the first address after that of the network. Empty for none.
    type: str
  reserved:
    description:
      - More that nobody gets, as addresses, as networks, and as ranges such as V(10.2.0.100-10.2.0.199).
    type: list
    elements: str
    default: []
  prefix:
    description: Whether the result has the prefix length of the network, as addresses of links are written.
    type: bool
    default: false
seealso:
  - plugin: nsfleet.linux.mac
    plugin_type: filter
  - plugin: nsfleet.linux.ifname
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Give a link its address
  nsfleet.linux.veth:
    name: "{{ 'web' | nsfleet.linux.ifname('v') }}"
    peer:
      name: eth0
      netns: web
      addresses:
        - "{{ '10.2.0.0/24' | nsfleet.linux.address('web', among=services, prefix=true) }}"
        - "{{ 'fd00:2::/64' | nsfleet.linux.address('web', among=services, prefix=true) }}"
  vars:
    services: [web, db, cache]

- name: Name all of them
  ansible.builtin.debug:
    msg: "{{ '10.2.0.0/24' | nsfleet.linux.address(among=['web', 'db'], reserved=['10.2.0.2-10.2.0.9']) }}"
"""

RETURN = r"""
_value:
  description:
    - The address of O(owner); with its prefix length if O(prefix=true).
    - Without O(owner), a dictionary of owners to addresses.
  type: raw
  sample: 10.2.0.144/24
"""


def address(
    network: object,
    owner: object = None,
    among: object = None,
    gateway: str | None = None,
    reserved: t.Sequence[str] = (),
    prefix: bool = False,
) -> str | dict[str, str]:
    """The address of an owner, or those of all; parameters are described above.

    :raises AnsibleFilterError: they make no sense, or there are more owners than addresses.
    """
    try:
        owners, kept = _addressing.words("among", among), _addressing.words("reserved", reserved)
        wanted = owners if owner is None else _addressing.words("owner", [owner])
        found = {
            name: _addressing.address(str(network), name, owners, gateway=gateway, reserved=kept, prefix=bool(prefix))
            for name in wanted
        }
    except _addressing.AddressingError as error:
        raise AnsibleFilterError(f"nsfleet.linux.address: {error}") from error
    return found if owner is None else found[wanted[0]]


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"address": address}
