#!/usr/bin/python
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rootfs
short_description: Make root file systems for containers
version_added: 1.0.0
description:
  - Makes a directory that M(nsfleet.linux.container) takes as its O(nsfleet.linux.container#module:rootfs), of another
    directory, an archive, an image, packages of a distribution, or around the programs of the host.
  - The tree is put together beside its place and moved there by one rename. So it is there as a whole or not at all,
    whatever happens in between.
  - When what it is made of is another one, it is made anew, and takes the place of the old one by one rename. The old
    one is removed when all is done.
  - What somebody changed in the tree is found by O(verify), and repaired file by file.
  - What is put on top (O(groups), O(users), O(directories), O(files), O(links), O(commands)) is compared on every run,
    and changed in the tree that is there, one by one. What was in the tree before a task named it goes back there when
    no task names it any more; what was not is removed.
  - Nothing is ever written out of the tree or through a link, a fifo, a device or another name of a file in it,
    whatever is in the tree.
  - A run that changes nothing looks at a few small files, whatever the size of the tree, unless O(verify) asks for
    more.
  - For many containers that have most of their files in common, M(nsfleet.linux.image) is the better choice.
author:
  - The nsfleet.linux authors (@nsfleet)
extends_documentation_fragment:
  - nsfleet.linux._attributes
  - nsfleet.linux._policy
attributes:
  action:
    description: An action plugin of the same name runs the module, and has a part in it on the controller.
    details: It looks for O(archive_src), and sends it to hosts that have to unpack it.
    support: full
  async:
    description: The task can run in the background.
    details: Not with O(archive_src), which the task itself sends.
    support: partial
options:
  path:
    description:
      - Directory of the tree. Directories above it are made for root alone if they are not there.
    type: path
    required: true
  state:
    description:
      - Whether the tree is to be there. One that a container has, or that has something mounted in it, is not removed.
    type: str
    default: present
    choices: [present, absent]
  directory:
    description:
      - Directory on the host that is copied with all that its files have, sparse files, hard links, devices, access
        control lists and capabilities, too. Sockets, and what is mounted in it, are left away. Nobody may write to it
        meanwhile.
      - Unless O(verify=none), it is looked at on every run. If something in it is not as it was, the tree is made anew.
      - Of O(directory), O(archive), O(archive_src), O(image), O(debootstrap) and O(host) one at most is given, and one
        is needed to make a tree.
    type: path
  archive:
    description:
      - Path on the host or URL (V(http), V(https)) of an archive of tar, plain or compressed with gzip, bzip2, xz or
        zstd. For zstd, the host needs the program C(zstd).
      - It is unpacked by descriptors of its directories, so that nothing in it leads out of the tree. Devices,
        set-user-id and file capabilities are kept.
      - A file without O(checksum) is read when it is another one than the last time, by its inode, size and time. If
        its content is another one, too, the tree is made anew. If it is gone, the tree stays as it is.
    type: str
  archive_src:
    description:
      - Archive on the controller, of the kinds of O(archive). It is looked for as M(ansible.builtin.unarchive) does it,
        in C(files) of a role or beside the playbook.
      - It is read on the controller for its checksum, once in a run for all hosts. It is copied to a host only when the
        tree is to be made of it there, or something in the tree to be repaired, and removed from there at the end of
        the task. Check mode says the same, and copies nothing.
      - One that Ansible Vault encrypted is decrypted on the way.
    type: str
  checksum:
    description:
      - Checksum of the archive, V(sha256:DIGEST).
      - Required for URLs, of which nothing is unpacked before it was checked. With O(archive_src), one that the file on
        the controller has to have.
    type: str
  image:
    description:
      - Name of an image that the host has (M(nsfleet.linux.image)). The tree gets all its layers over each other. If
        the name leads to another image, the tree is made anew.
    type: str
  debootstrap:
    description:
      - A Debian or what is made like it, by the program C(mmdebstrap), or by C(debootstrap) if that is what the host
        has.
      - Where something in the tree was changed (O(verify)), it is made anew, since mirrors may have other packages by
        now.
    type: dict
    suboptions:
      suite:
        description: Release, such as V(bookworm). By default the host's own.
        type: str
      mirror:
        description: Where packages come from, a URL or a line of C(sources.list(5)). By default the program knows.
        type: str
      variant:
        description:
          - How much is installed beside O(debootstrap.packages). C(debootstrap) knows V(minbase) and V(buildd).
        type: str
        default: minbase
        choices: [essential, apt, required, minbase, buildd, important, standard]
      packages:
        description: Packages that are installed.
        type: list
        elements: str
      components:
        description: Parts of the distribution. By default V(main).
        type: list
        elements: str
      keyring:
        description: File on the host with the keys that packages are signed with. By default the program knows.
        type: path
  host:
    description:
      - Directories, links and a few settings around the programs of the host, whose C(/usr) is mounted read-only when a
        container starts - see the examples. Nothing is downloaded.
      - What the host's settings were when the tree was made, it keeps.
    type: bool
    default: false
  groups:
    description:
      - Groups in the C(/etc/group) of the tree, and in its C(/etc/gshadow) if it has one. Others that the tree has
        stay.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the group, as C(groupadd(8)) accepts it.
        type: str
        required: true
      gid:
        description: Its number. By default one that is free.
        type: int
      system:
        description: Whether a number that is looked for is one for a service, from 999 down to 100.
        type: bool
        default: false
      members:
        description: Users who are members of it, beside those whose first group it is. Exactly these.
        type: list
        elements: str
  users:
    description:
      - Users in the C(/etc/passwd) of the tree, and in its C(/etc/shadow) if it has one. Others that the tree has stay.
      - The host's own users and name services are never asked.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the user, as C(useradd(8)) accepts it.
        type: str
        required: true
      uid:
        description: Number of the user. By default one that is free.
        type: int
      system:
        description:
          - Whether a number that is looked for is one for a service, from 999 down to 100, and a new user has no shell.
        type: bool
        default: false
      group:
        description:
          - First group, by name or number. A new user has the group of the same name by default, which is made if it is
            not there, and goes with the user if nobody else is in it.
        type: str
      groups:
        description: Further groups that the user is a member of. Exactly these.
        type: list
        elements: str
      home:
        description: Home directory, which is not made. That of a new user is C(/home/NAME) by default.
        type: path
      shell:
        description: Shell. That of a new user is C(/bin/sh) by default, or C(/usr/sbin/nologin) with O(users[].system).
        type: path
      comment:
        description: Who that is (GECOS).
        type: str
      password:
        description:
          - Hash of the password, as of the filter P(ansible.builtin.password_hash#filter). Only a digest of it is ever
            shown. V(!) and V(*) are such that none fits; that of a new user is V(!) by default.
        type: str
  directories:
    description:
      - Directories in the tree. One that no task names any more is removed if nothing else is in it.
    type: list
    elements: dict
    suboptions:
      path:
        description: Where it is, from the top of the tree. Directories above it are made if they are not there.
        type: str
        required: true
      mode:
        description: Permission bits, in octal, as text.
        type: str
        default: "0755"
      owner:
        description: User whom it belongs to, by the name that the tree or O(users) has, or by number.
        type: str
        default: root
      group:
        description: Group that it belongs to, in the same way.
        type: str
        default: root
  files:
    description:
      - Files in the tree. One of O(files[].content), O(files[].content_base64) and O(files[].source) is given for each.
      - A file gets its name when it is whole and has its mode and owner. It takes the place of whatever is there but a
        directory.
      - Text of up to 4096 bytes is shown in differences, all else by digest and size.
    type: list
    elements: dict
    suboptions:
      path:
        description: Where it is, from the top of the tree. Directories above it are made if they are not there.
        type: str
        required: true
      content:
        description: What is in it, as text.
        type: str
      content_base64:
        description: What is in it, as the filter P(ansible.builtin.b64encode#filter) gives it.
        type: str
      source:
        description: File on the host that has what is to be in it.
        type: path
      mode:
        description: Permission bits, in octal, as text.
        type: str
        default: "0644"
      owner:
        description: User whom it belongs to, by the name that the tree or O(users) has, or by number.
        type: str
        default: root
      group:
        description: Group that it belongs to, in the same way.
        type: str
        default: root
  links:
    description:
      - Symbolic links in the tree. They take the place of whatever is there but a directory.
    type: list
    elements: dict
    suboptions:
      path:
        description: Where it is, from the top of the tree. Directories above it are made if they are not there.
        type: str
        required: true
      target:
        description: Where it leads to, as it is to be written. Nobody looks whether anything is there.
        type: str
        required: true
  commands:
    description:
      - Commands that run in the tree after all else is put on top, such as the installation of packages. Each runs as
        root in a container of its own, whose root the tree is; so it reaches nothing of the host but what
        O(commands[].network) gives it, and all that it started ends with it.
      - What they did is part of the tree from then on, and stays when no task names them any more. What somebody
        changed in a tree with commands (O(verify)) is not repaired file by file, but the tree made anew.
      - A file or directory may belong to a user who comes by a command; it is written after that.
    type: list
    elements: dict
    suboptions:
      name:
        description: What it is called in plans and errors.
        type: str
        required: true
      argv:
        description: The program in the tree and its arguments.
        type: list
        elements: str
        required: true
      creates:
        description: Path in the tree that is there once it was run. Where it is, the command is not run.
        type: str
        required: true
      env:
        description: Environment variables. C(PATH) is set unless it is given.
        type: dict
      network:
        description:
          - V(none), or that of the host. With that, the host's C(/etc/resolv.conf) is shown to the command.
        type: str
        default: none
        choices: [none, host]
      timeout:
        description: Seconds after which it is killed, and the task fails. By default it takes as long as it takes.
        type: float
  exclude:
    description:
      - Paths in the tree where others may write. Neither they nor what is below them is verified or repaired.
    type: list
    elements: str
  verify:
    description:
      - How what somebody changed by hand is looked for. If nothing was touched since, that is seen by the times that
        the kernel keeps, without reading a file; only else are the files compared.
      - What was changed is made again of what the tree is made of, file by file, under containers that run, too. That
        has to be there then.
    type: str
    default: none
    choices:
      none: Not at all. Only that the tree is there is looked at.
      metadata: By names, types, modes, owners, sizes, times, links, devices and extended attributes.
      content: By the content of files as well.
notes:
  - What is known of the tree is in C(/var/lib/nsfleet/trees), and nothing of that in the tree.
  - With O(adopt), a directory that others made is taken over as it is. What is changed from then on is found.
seealso:
  - module: nsfleet.linux.container
  - module: nsfleet.linux.image
"""

EXAMPLES = r"""
- name: A root file system around the programs of the host
  nsfleet.linux.rootfs:
    path: /srv/roots/tools
    host: true

- name: A service that runs in there
  nsfleet.linux.container:
    name: web
    rootfs: /srv/roots/tools
    overlay: tmpfs
    mounts:
      - destination: /usr
        source: /usr
        options: [rbind, ro, nodev]
    command: [/bin/sleep, infinity]
    stop_signal: SIGKILL

- name: The content of an archive, and none but that, whatever somebody does to it
  nsfleet.linux.rootfs:
    path: /srv/roots/base
    archive: /srv/images/base.tar
    checksum: "sha256:{{ base_sha256 }}"
    verify: content

- name: An archive that the controller has, which is copied to the host when the tree is made
  nsfleet.linux.rootfs:
    path: /srv/roots/sent
    archive_src: base.tar

- name: A copy of a directory, where a program of the host writes into one place
  nsfleet.linux.rootfs:
    path: /srv/roots/copy
    directory: /srv/images/root
    verify: metadata
    exclude: [var/spool]

- name: All layers of an image in one tree
  nsfleet.linux.rootfs:
    path: /srv/roots/unpacked
    image: shop/web:1.4

- name: A Debian with one more package
  nsfleet.linux.rootfs:
    path: /srv/roots/debian
    debootstrap:
      suite: bookworm
      packages: [nginx-light]

- name: A tree with a user, a file of theirs, and what a program in it makes
  nsfleet.linux.rootfs:
    path: /srv/roots/shop
    image: shop/web:1.4
    users:
      - name: shop
        system: true
        home: /srv/shop
    directories:
      - path: /srv/shop
        owner: shop
        group: shop
    files:
      - path: /srv/shop/settings.ini
        content: |
          colour = red
        owner: shop
        mode: "0600"
    links:
      - path: /etc/localtime
        target: /usr/share/zoneinfo/UTC
    commands:
      - name: commands of busybox
        argv: [/bin/busybox, --install, -s, /bin]
        creates: /bin/ls

- name: No such tree
  nsfleet.linux.rootfs:
    path: /srv/roots/old
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
      sample: rootfs /srv/roots/base
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
          description: Path of the option; C(changed) lists what somebody changed in the tree.
          type: str
          sample: changed
        before:
          description: Value that was observed.
          type: raw
          sample: ["etc/passwd: content, size, time of change", "etc: time of change", "etc/evil: added"]
        after:
          description: Value that was set.
          type: raw
          sample: []
        reason:
          description: V(request) by the task, V(drift) behind our back, or V(revert) of an option that disappeared.
          type: str
          sample: drift
rootfs:
  description: The tree at the end; V(null) if there is none.
  returned: success
  type: dict
  contains:
    path:
      description: Where it is.
      type: str
      sample: /srv/roots/base
    source:
      description: What it was made of.
      type: str
      sample: archive
    source_digest:
      description:
        - Checksum of the archive, digest of the image, or digest of the tree in the directory; empty for others.
      type: str
      sample: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    digest:
      description: Digest of all names, types, modes, owners, times, links, devices, attributes and contents when it was
        made. The same tree has the same one on all hosts.
      type: str
      sample: sha256:fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9
    files:
      description: How many files, directories and links it had when it was made.
      type: int
      sample: 6012
    size:
      description: Size of all its regular files then, bytes.
      type: int
      sample: 131072000
    changed:
      description: What of it is not as it was, as far as O(verify) asks for that.
      type: list
      elements: str
      sample: []
"""

from ansible_collections.nsfleet.linux.plugins.module_utils import _module
from ansible_collections.nsfleet.linux.plugins.module_utils._resources.rootfs import Rootfs


def main() -> None:
    """Run the module."""
    _module.run(Rootfs)


if __name__ == "__main__":
    main()
