# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter nsfleet.linux.site_plan."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.nsfleet.linux.plugins.plugin_utils import _addressing, _site

DOCUMENTATION = r"""
name: site_plan
short_description: Computes names, addresses and ports of networks and services
version_added: 1.0.0
description:
  - Takes the descriptions of networks and services that C(playbooks/site.yml) and the roles take, and computes all that
    follows from them - names of links, addresses of bridges and replicas, published ports, URLs. The same description
    gives the same result on every run and every controller.
  - Finds everything that is wrong between them - names given twice, networks that are not there or overlap, ports that
    are published twice.
author:
  - The nsfleet.linux authors (@nsfleet)
positional: services
options:
  _input:
    description: Descriptions of networks, as the role nsfleet.linux.network takes them.
    type: list
    elements: dict
    required: true
  services:
    description: Descriptions of services, as the role nsfleet.linux.service takes them.
    type: list
    elements: dict
    default: []
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
"""

RETURN = r"""
_value:
  description:
    - C(networks) and C(services), each a dictionary by name.
  type: dict
  contains:
    networks:
      description: For each network its C(bridge), C(gateways), C(subnets), C(exits) and C(mtu).
      type: dict
    services:
      description: For each service its C(instances) (with C(name), C(link), C(addresses)), C(publish) and C(urls).
      type: dict
"""


def site_plan(networks: t.Sequence[_site.Description], services: t.Sequence[_site.Description] = ()) -> _site.Plan:
    """The plan of a site; parameters are described above.

    :raises AnsibleFilterError: with everything that is wrong.
    """
    try:
        return _site.site_plan(list(networks), list(services))
    except (_site.SiteError, _addressing.AddressingError) as error:
        raise AnsibleFilterError(f"nsfleet.linux.site_plan: {error}") from error


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """Name to function."""
        return {"site_plan": site_plan}
