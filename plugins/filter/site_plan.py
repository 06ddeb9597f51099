# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nsfleet.linux.site_plan."""

from __future__ import annotations

import collections.abc
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.nsfleet.linux.plugins.plugin_utils import _addressing, _refusals, _site

DOCUMENTATION = r"""
name: site_plan
short_description: Computes names, addresses and ports of networks and services
version_added: 1.0.0
description:
  - Takes the descriptions of networks and services that C(playbooks/site.yml) and the roles take, and computes all that
    follows from them - names of links, addresses of bridges and replicas, published ports, URLs. The same description
    gives the same result on every run and every controller.
  - Finds everything that is wrong in them - options and values that no role and no module takes, names given twice,
    networks that are not there or overlap, ports that are published twice, and with O(ports) such as are taken. What
    only a host can tell otherwise is left to it, such as whether it has a device.
author:
  - The nsfleet.linux authors (@nsfleet)
positional: services, host, ports
options:
  _input:
    description: Descriptions of networks - the variables of the role nsfleet.linux.network without their prefix.
    type: list
    elements: dict
    required: true
  services:
    description: Descriptions of services, as the role nsfleet.linux.service takes them.
    type: list
    elements: dict
    default: []
  host:
    description: Name or address by which people reach the host; for the URLs of published ports.
    type: str
    default: 127.0.0.1
  ports:
    description:
      - Who has the ports of the host, as M(nsfleet.linux.nat_info) tells it. Ports that are to be published and that
        somebody else has are wrong then.
    type: dict
seealso:
  - plugin: nsfleet.linux.address
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Where the services answer
  ansible.builtin.debug:
    msg: "{{ (networks | nsfleet.linux.site_plan(services)).services.web.urls }}"
  vars:
    networks:
      - name: front
        subnets: [10.2.0.0/24]
    services:
      - name: web
        network: front
        replicas: 2
        health:
          type: http
          port: 80
        container:
          command: [/usr/sbin/nginx]
"""

RETURN = r"""
_value:
  description:
    - C(networks) and C(services), each a dictionary by name. Each entry is the description with its defaults, and what
      follows from it.
  type: dict
  contains:
    networks:
      description: For each network also its C(bridge), C(gateways) and C(exits).
      type: dict
    services:
      description:
        - For each service also its C(instances) (with C(name), C(link), C(addresses)), its C(network) and C(gateways),
          C(publish) for each replica, and C(urls).
      type: dict
"""


def site_plan(
    networks: t.Sequence[_refusals.Description],
    services: t.Sequence[_refusals.Description] = (),
    host: str = "127.0.0.1",
    ports: _refusals.Description | None = None,
) -> _refusals.Plan:
    """The plan of a site; parameters are described above.

    :raises AnsibleFilterError: with everything that is wrong.
    """
    try:
        return _site.site_plan(_read(networks), _read(services), host, _read(ports or {}))
    except (_site.SiteError, _addressing.AddressingError) as error:
        raise AnsibleFilterError(f"nsfleet.linux.site_plan: {error}") from error


def _read(value: t.Any) -> t.Any:
    """A value in plain containers.

    Those of ansible-core 2.19 compute what is in them when it is read, and a copy of one copies all variables.
    """
    if isinstance(value, collections.abc.Mapping):
        return {key: _read(item) for key, item in value.items()}
    if isinstance(value, collections.abc.Sequence) and not isinstance(value, (str, bytes)):
        return [_read(item) for item in value]
    return value


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"site_plan": site_plan}
