#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image_info
short_description: Tell what images a host has, and who uses them
version_added: 1.0.0
description:
  - Tells of one image, or of all in the store of this host, what M(nsfleet.linux.image) knows of it, and which
    containers have it.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes.INFO
options:
  name:
    description: Name of one image. Without it, all of them.
    type: str
  verify:
    description: Read all that the store has of them, and tell what is not what it was.
    type: bool
    default: false
seealso:
  - module: nsfleet.linux.image
  - module: nsfleet.linux.container
"""

EXAMPLES = r"""
- name: Which images are here?
  nsfleet.linux.image_info:
  register: here

- name: Those that no container has
  ansible.builtin.debug:
    msg: "{{ here.images | selectattr('containers', 'equalto', []) | map(attribute='name') }}"

- name: Is this one still as it came?
  nsfleet.linux.image_info:
    name: shop/web:1.4
    verify: true
"""

RETURN = r"""
images:
  description: The images that have a name, sorted by it. One of which something is missing is not told.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Complete name.
      type: str
      sample: docker.io/shop/web:1.4
    digest:
      description: Digest of its manifest.
      type: str
      sample: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    resolved:
      description: What the name led to when it came, RV(images[].digest) or the digest of an index that has it.
      type: str
      sample: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    platform:
      description: What it runs on.
      type: str
      sample: linux/amd64
    size:
      description: Size of what was transported, bytes.
      type: int
      sample: 3145728
    layers:
      description: Directories of its layers, from the lowest to the highest.
      type: list
      elements: str
      sample:
        - /var/lib/nsfleet/images/layers/9834876dcfb05cb167a5c24953
    plain:
      description: Whether RV(images[].layers) is one directory with all that the layers make together, since overlayfs
        could not be used when the image came. A container gets a copy of it then.
      type: bool
      sample: false
    created:
      description: When it was made, as it says itself.
      type: str
      sample: "2026-11-28T06:36:10Z"
    entrypoint:
      description: The program that it starts, and its first arguments.
      type: list
      elements: str
      sample:
        - /docker-entrypoint.sh
    cmd:
      description: The arguments that follow.
      type: list
      elements: str
      sample:
        - nginx
    env:
      description: The environment.
      type: dict
      sample:
        PATH: /usr/local/bin:/usr/bin:/bin
    user:
      description: The user; empty for root.
      type: str
      sample: "1000"
    working_dir:
      description: The directory that it starts in; empty for the root directory.
      type: str
      sample: /srv
    exposed_ports:
      description: Ports that it says it listens on.
      type: list
      elements: str
      sample:
        - 80/tcp
    stop_signal:
      description: The signal that it wants to be stopped with; empty if it does not say.
      type: str
      sample: SIGQUIT
    volumes:
      description: Directories that it says hold data.
      type: list
      elements: str
      sample:
        - /var/lib/data
    labels:
      description: Its labels.
      type: dict
      sample:
        org.opencontainers.image.version: "1.4"
    health_check:
      description: How it wants to be asked whether it works; V(null) if it does not say.
      type: dict
      sample:
        test:
          - CMD-SHELL
          - curl -f localhost
        interval: 30.0
    containers:
      description: Names of the containers that have it.
      type: list
      elements: str
      sample:
        - web
    damaged:
      description: With O(verify=true), digests of what is not what it was.
      type: list
      elements: str
      sample: []
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import image_info


def main() -> None:
    """Run the module."""
    _module.run_info(image_info.TABLE, image_info.gather)


if __name__ == "__main__":
    main()
