# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines there can be, what is in them, and where the tool keeps them."""

from __future__ import annotations

import hashlib
import os
import typing as t

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.realpath(os.path.join(HERE, "..", ".."))
VENV = os.path.join(REPOSITORY, ".venv")
CACHE = os.environ.get("TESTHOSTS_CACHE") or os.path.join(REPOSITORY, ".cache", "hosts")
#: What runs, for each checkout its own. Sockets are here, and their paths may have 107 characters: a short one.
RUN = os.environ.get("TESTHOSTS_RUN") or f"/tmp/testhosts-{hashlib.sha256(HERE.encode()).hexdigest()[:8]}"
EXTRA_PACKAGES: t.Final = [name for name in os.environ.get("TESTHOSTS_PACKAGES", "").split(",") if name]
#: Python packages that the cases need in a machine.
REQUIREMENTS = os.path.join(REPOSITORY, "requirements", "hosts.txt")
KEY = os.path.join(CACHE, "id_ed25519")
HOST_KEY = os.path.join(CACHE, "ssh_host_ed25519_key")
KNOWN_HOSTS = os.path.join(CACHE, "known_hosts")

CLOUD = "linux-image-cloud-amd64"


class Base(t.NamedTuple):
    """What an image is made of."""

    suite: str
    kernel: str = CLOUD  #: Debian's metapackage
    wheels: tuple[str, ...] = ()  #: Python packages that the suite has not, or has too old
    packages: tuple[str, ...] = ()  #: Debian's, beside those of all images


BASES: t.Final = {
    "bookworm": Base("bookworm", packages=("podman",)),  # Linux 6.1; 90 MB for an engine that has systemd make groups
    "bookworm-6.12": Base("bookworm", "linux-image-6.12-cloud-amd64"),
    "bookworm-full": Base("bookworm", "linux-image-amd64"),  # and vcan, batadv, 9p
    "bullseye": Base("bullseye", wheels=("pyroute2==0.7.2",)),  # Linux 5.10
    "trixie": Base("trixie"),  # Linux 6.12
}
CGROUP: t.Final = {
    "v2": "systemd.unified_cgroup_hierarchy=1",
    "hybrid": "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0",
    "v1": "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1",
}
PACKAGES: t.Final = (
    "systemd-sysv", "udev", "dbus", "libpam-systemd", "openssh-server", "python3", "python3-apt", "python3-pyroute2",
    "nftables", "iproute2", "iputils-ping", "kmod", "procps", "apparmor", "wireguard-tools", "ethtool", "curl",
    "network-manager", "busybox", "bzip2", "openssl", "xz-utils", "zstd",
)  # fmt: skip

# What a test machine does not need, and what emulation makes dear.
MASKED: t.Final = (
    "apparmor.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty@tty1.service", "serial-getty@ttyS0.service",
    "systemd-binfmt.service", "systemd-pstore.service", "systemd-repart.service", "systemd-firstboot.service",
    "systemd-journal-flush.service", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
    "systemd-hwdb-update.service", "systemd-network-generator.service", "modprobe@drm.service",
    "modprobe@efi_pstore.service", "modprobe@dm_mod.service", "modprobe@loop.service", "modprobe@fuse.service",
    "sys-fs-fuse-connections.mount", "systemd-pcrphase.service", "systemd-pcrphase-sysinit.service",
    "systemd-timesyncd.service", "console-getty.service", "motd-news.timer", "systemd-machine-id-commit.service",
    "systemd-sysusers.service", "systemd-remount-fs.service", "keyboard-setup.service", "console-setup.service",
)  # fmt: skip
#: Installed for the tests that start them.
DISABLED: t.Final = (
    "NetworkManager.service",
    "NetworkManager-dispatcher.service",
    "NetworkManager-wait-online.service",
)
GENERATORS: t.Final = (
    "systemd-cryptsetup-generator", "systemd-gpt-auto-generator", "systemd-hibernate-resume-generator",
    "systemd-integritysetup-generator", "systemd-veritysetup-generator", "systemd-system-update-generator",
    "systemd-bless-boot-generator", "systemd-getty-generator", "systemd-rc-local-generator", "systemd-sysv-generator",
)  # fmt: skip
