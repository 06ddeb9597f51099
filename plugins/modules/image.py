#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Keep images of containers on a host
version_added: 1.0.0
description:
  - Gets an image from a registry, or from a directory or archive on the host, and keeps it in a store of the host,
    where M(nsfleet.linux.container) finds it by O(nsfleet.linux.container#module:image). No Docker, no Podman, no
    daemon.
  - The store holds every blob and every unpacked layer once. Images and containers that have a layer in common share
    it. Several layers are fetched at once; who needs the same one waits for it. What was fetched by a run that was
    interrupted is not fetched again.
  - Every digest and every size is checked before anything is used. Archives are unpacked by descriptors of their
    directories, so that nothing in them leads out of the layer.
  - A run that changes nothing looks at a few small files, and asks nobody, unless O(state=latest).
  - An image can be made here as well, of a directory or of what a container has written. The same files and the same
    configuration are the same image, with the same digest. So a root file system that was built once on one host is
    brought to all others by O(push) and the digest.
  - Whenever the module changes something, it removes what neither a name nor a container needs any more.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
options:
  name:
    description:
      - Name of the image, V(REGISTRY/PATH:TAG), V(REGISTRY/PATH@DIGEST), or with both. Without a registry it is one of
        Docker Hub, and without tag and digest it has the tag V(latest).
      - With O(path) it is looked for among the names in there. An archive or directory that holds one image only may
        give it any name, or none.
    type: str
    required: true
  state:
    description:
      - What the store is to have.
    type: str
    default: present
    choices:
      present: The image. If it is there, nobody is asked whether the name means another one by now.
      latest: The image that the name means now where it comes from, which is asked on every run. With O(rootfs) and
        O(container), all files are read on every run, and the image is made if it would be another one.
      absent: No such name. Its layers go with it, unless something else needs them. What O(push) and O(layout) gave to
        others stays there.
  path:
    description:
      - Directory or archive on the host that the image is taken from, instead of a registry. An OCI image layout, as
        C(skopeo copy ... oci:PATH) or C(oci-archive:PATH) writes it, or what C(docker save) writes, compressed or not.
    type: path
  rootfs:
    description:
      - Directory on the host that the image is made of. It gets one layer with all that is in there. Nobody may write
        to it meanwhile.
      - O(path), O(rootfs) and O(container) exclude each other.
    type: path
  container:
    description:
      - Name of a container with O(nsfleet.linux.container#module:overlay=disk) that the image is made of. It gets the
        layers of the container's image, if that has one, and what the container has written as one more layer. Owners
        are those that the container sees.
      - A container that runs is refused, unless it is frozen, since it may write meanwhile.
    type: str
  config:
    description:
      - How an image of O(rootfs) or O(container) is run. What is left out is as the container's image says it, or
        empty.
    type: dict
    suboptions:
      entrypoint:
        description: The program that is started, and its first arguments.
        type: list
        elements: str
      cmd:
        description: The arguments that follow.
        type: list
        elements: str
      env:
        description: The environment. It takes the place of all that the container's image says.
        type: dict
      user:
        description: The user, V(USER) or V(USER:GROUP), by name or number.
        type: str
      working_dir:
        description: The directory that it starts in.
        type: str
      exposed_ports:
        description: Ports that it listens on, V(PORT) or V(PORT/PROTOCOL).
        type: list
        elements: str
      stop_signal:
        description: The signal that it is stopped with.
        type: str
      volumes:
        description: Directories that hold data.
        type: list
        elements: str
      labels:
        description: Labels. They take the place of all that the container's image has.
        type: dict
  push:
    description:
      - Whether the registry of O(name) has the image, too. It is asked on every run, by the same options as for
        getting an image, and gets the image if it has none or another one by that name.
      - Needs O(path), O(rootfs) or O(container). An image that was pushed stays there.
    type: bool
  layout:
    description:
      - Directory on the host that has the image, too, as an OCI image layout, in which it has the complete name. It is
        made if it is not there; other images in it stay. What is missing in it is written again.
      - Only one task at a time may write into the same directory.
    type: path
  platform:
    description:
      - Which image of several is meant, V(OS/ARCHITECTURE) or V(OS/ARCHITECTURE/VARIANT).
      - By default the one for this host.
      - With O(rootfs) and O(container) what the image is said to run on.
    type: str
  verify:
    description:
      - Read all that the store and O(layout) have of the image, and fetch or write again what is not what it was.
        Without it, only that all is there is looked at.
    type: bool
    default: false
  username:
    description: Who asks the registry. Needs O(password).
    type: str
  password:
    description:
      - Password or token of O(username). It is sent to the registry, and to the service that it names for
        tokens, over TLS, and nowhere else.
    type: str
  plain_http:
    description:
      - Speak without TLS. Whoever is on the way sees the password. What they change is found out only if O(name) has
        a digest.
    type: bool
    default: false
  ca_file:
    description: File on the host with certificates of authorities that are trusted besides those of the host.
    type: path
  client_certificate:
    description: File on the host with the certificate that is shown to the registry.
    type: path
  client_key:
    description: File on the host with its key, unless that is in the same file.
    type: path
  proxy:
    description:
      - URL of an HTTP proxy, V(http://[USER:PASSWORD@]HOST[:PORT]). An empty one means none.
      - By default what the environment says, E(HTTPS_PROXY), E(HTTP_PROXY) and E(NO_PROXY).
    type: str
  mirrors:
    description: Registries that are asked before the one in O(name), in this order. They get no password but their own.
    type: list
    elements: dict
    suboptions:
      location:
        description: Its host, V(HOST[:PORT]), or with a path that comes before that of the image.
        type: str
        required: true
      username:
        description: As O(username).
        type: str
      password:
        description: As O(password).
        type: str
      plain_http:
        description: As O(plain_http).
        type: bool
        default: false
      ca_file:
        description: As O(ca_file).
        type: path
      client_certificate:
        description: As O(client_certificate).
        type: path
      client_key:
        description: As O(client_key).
        type: path
      proxy:
        description: As O(proxy).
        type: str
notes:
  - The store is in C(/var/lib/nsfleet/images), and root's alone.
  - Layers compressed with zstd need the program C(zstd) on the host.
seealso:
  - module: nsfleet.linux.image_info
  - module: nsfleet.linux.container
"""

EXAMPLES = r"""
- name: An image of a registry
  nsfleet.linux.image:
    name: registry.example/shop/web:1.4
    username: "{{ registry_user }}"
    password: "{{ registry_password }}"
    ca_file: /srv/images/ca.pem

- name: Whatever the tag means today, by way of a mirror in this room
  nsfleet.linux.image:
    name: registry.example/shop/web:stable
    state: latest
    mirrors:
      - location: mirror.example:5000
        plain_http: true

- name: An image that was copied to the host
  nsfleet.linux.image:
    name: shop/web:1.4
    path: /srv/images/web.tar

- name: A service from it; what the image says is the default of what is not said here
  nsfleet.linux.container:
    name: web
    image: shop/web:1.4
    memory_max: 64M
    pids_max: 20

- name: A root file system of this host as an image, for all others
  nsfleet.linux.image:
    name: registry.example/shop/base:1
    rootfs: /srv/images/root
    state: latest
    config:
      entrypoint: [/bin/busybox]
      env:
        PATH: /bin
    push: true
    username: "{{ registry_user }}"
    password: "{{ registry_password }}"
    ca_file: /srv/images/ca.pem

- name: The service is at rest while its files are read
  nsfleet.linux.container:
    name: web
    state: stopped

- name: The service with all that it has written, as a directory to carry away
  nsfleet.linux.image:
    name: shop/web:tuned
    container: web
    layout: /srv/images/tuned

- name: Look whether a disk has forgotten something
  nsfleet.linux.image:
    name: shop/web:1.4
    path: /srv/images/web.tar
    verify: true

- name: No such image
  nsfleet.linux.image:
    name: registry.example/shop/web:stable
    state: absent
"""

RETURN = r"""
plan:
  description: The steps that were taken, or in check mode would be taken; empty when nothing differs.
  returned: success
  type: list
  elements: dict
  contains:
    target:
      description: Kind and name of the object.
      type: str
      sample: image docker.io/shop/web:1.4
    action:
      description: What the step does with it.
      type: str
      sample: create
    effect:
      description: V(live), V(restart) or V(recreate).
      type: str
      sample: live
    changes:
      description: The options that the step changes.
      type: list
      elements: dict
      contains:
        option:
          description: Path of the option.
          type: str
          sample: resolved
        before:
          description: Value that was observed.
          type: raw
          sample: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
        after:
          description: Value that was set.
          type: raw
          sample: sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9
        reason:
          description: V(request) by the task, V(drift) behind our back, or V(revert) of an option that disappeared.
          type: str
          sample: request
image:
  description: The image as the store has it at the end; V(null) if there is none.
  returned: success
  type: dict
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
      description: What the name led to when it came, RV(image.digest) or the digest of an index that has it.
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
      description: Whether RV(image.layers) is one directory with all that the layers make together, since overlayfs
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
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.image import Image


def main() -> None:
    """Run the module."""
    _module.run(Image)


if __name__ == "__main__":
    main()
