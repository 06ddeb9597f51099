# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disk images of Debian machines, made once for each base and kept.

What goes in: packages of the suite, the files below ``image/``, keys of our own, and the Python packages that the cases
import, compiled here, since that is dear where the processor is emulated.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import re
import shlex
import shutil
import time
import typing as t
import uuid

from hosts import kernel, settings
from hosts.tools import Failure, fingerprint, link, locked, put, read, run, say, sweep

FILES = os.path.join(settings.HERE, "image")
#: Where Python packages for the cases are in a machine.
LIBRARY = "/usr/local/lib/testhosts/python"
UNITS = "etc/systemd/system"


@functools.cache
def folder(base: str) -> str:
    """Where the image of a base is kept: elsewhere when another would be built, so that checkouts can share a cache."""
    files = sorted(glob.glob(os.path.join(FILES, "**"), recursive=True))
    contents = fingerprint(
        __file__, kernel.__file__, settings.REQUIREMENTS, f"{_ansible()}/release.py", *map(_content, files),
        settings.BASES[base], settings.PACKAGES, settings.EXTRA_PACKAGES, settings.MASKED, settings.DISABLED,
        settings.GENERATORS,
    )  # fmt: skip
    return os.path.join(settings.CACHE, "base", f"{base}@{contents}")


def _content(path: str) -> tuple[str, str]:
    """A file of ours, by its place in the image."""
    return path[len(FILES) :], read(path) if os.path.isfile(path) else ""


def disk(base: str) -> str:
    """The image of a base."""
    return os.path.join(folder(base), "root.img")


def build(base: str, again: bool = False) -> None:
    """Build the image of a base, if there is none.

    :param again: build it in any case.
    :raises Failure: this is not root, or a command failed.
    """
    sweep(os.path.join(settings.CACHE, "base", "*"))
    with locked(f"build-{os.path.basename(folder(base))}"):
        if os.path.exists(folder(base)) and not again:
            os.utime(folder(base))  # it is used, and not to be swept away
            return
        if os.getuid():
            raise Failure("`vm build` needs root")
        started = time.monotonic()
        make_keys()
        work = f"{folder(base)}.new"
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        version = _fill(work, base)
        shutil.rmtree(folder(base), ignore_errors=True)
        os.rename(work, folder(base))
        say(f"built {base} ({version}) in {time.monotonic() - started:.0f} s")


def make_keys() -> None:
    """Keys of the user and of all machines."""
    os.makedirs(settings.CACHE, mode=0o700, exist_ok=True)
    for path in (settings.KEY, settings.HOST_KEY):
        if not os.path.exists(path):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testhosts", "-f", path)
    put(settings.KNOWN_HOSTS, "testhosts " + " ".join(read(settings.HOST_KEY + ".pub").split()[:2]) + "\n")


def mirror(archive: str) -> str:
    """URL of an archive of Debian (``debian``, ``debian-security``): TESTHOSTS_MIRROR, else as apt on this host has it.

    :raises Failure: neither says.
    """
    base = os.environ.get("TESTHOSTS_MIRROR")
    if base:
        return f"{base.rstrip('/')}/{archive}"
    for path in ("/etc/apt/sources.list", *sorted(glob.glob("/etc/apt/sources.list.d/*"))):
        with contextlib.suppress(OSError):
            text = re.sub(r"^\s*#.*", "", read(path), flags=re.MULTILINE)
            found = re.search(rf"https?://\S+/{archive}/?(?=\s|$)", text)
            if found:
                return found[0].rstrip("/")
    raise Failure(f"no mirror of {archive} in apt's sources: set TESTHOSTS_MIRROR")


def _fill(work: str, base: str) -> str:
    """Make disk, kernel and initial file system in a folder. Gives the kernel's version."""
    root, unpacked = os.path.join(work, "root"), os.path.join(work, "kernel")
    _bootstrap(work, root, settings.BASES[base])
    for package in glob.glob(os.path.join(work, "*.deb")):
        run("dpkg-deb", "-x", package, unpacked)
        os.unlink(package)
    (packed,) = glob.glob(f"{unpacked}/boot/vmlinuz-*")
    version = os.path.basename(packed)[len("vmlinuz-") :]
    shutil.copy(f"{unpacked}/boot/config-{version}", os.path.join(work, "config"))
    kernel.unpack(packed, os.path.join(work, "vmlinux"))
    os.makedirs(f"{root}/boot", exist_ok=True)
    shutil.copy(f"{unpacked}/boot/config-{version}", f"{root}/boot")
    (modules,) = glob.glob(f"{unpacked}/**/modules/{version}", recursive=True)
    os.makedirs(f"{root}/lib/modules", exist_ok=True)
    run("mv", modules, f"{root}/lib/modules")
    run("chroot", root, "depmod", version)
    _customize(root)
    _choose_units(root)
    _libraries(root, settings.BASES[base].wheels)
    (busybox,) = glob.glob(f"{unpacked}/**/bin/busybox", recursive=True)
    kernel.initrd(f"{root}/lib/modules/{version}", busybox, os.path.join(work, "initrd"))
    _write_disk(root, os.path.join(work, "root.img"))
    for junk in (root, unpacked):
        shutil.rmtree(junk)
    return version


def _bootstrap(work: str, root: str, base: settings.Base) -> None:
    """Unpack and configure the packages of a suite; kernel and busybox are only fetched, for they are not installed.

    Installing the kernel would build an initial file system that takes longer to boot than all the rest.
    """
    archive, suite = mirror("debian"), base.suite
    sources = [(archive, suite), (archive, f"{suite}-updates"), (mirror("debian-security"), f"{suite}-security")]
    fetch = (
        f"cd {shlex.quote(work)} && export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG &&"
        " apt-get -qq -o APT::Sandbox::User=root download"
        f" $(apt-cache depends {base.kernel} | sed -n 's/.*Depends: \\(linux-image\\)/\\1/p' | head -n1) busybox-static"
    )
    run(
        "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
        "--include=" + ",".join([*settings.PACKAGES, *base.packages, *settings.EXTRA_PACKAGES]),
        "--aptopt=Apt::Install-Recommends false",
        "--aptopt=Acquire::Check-Valid-Until false",
        *(f"--dpkgopt=path-exclude=/usr/share/{each}/*" for each in ("doc", "man", "locale")),
        f"--customize-hook={fetch}", suite, root, "-",
        input="".join(f"deb {url} {name} main\n" for url, name in sources).encode(),
    )  # fmt: skip


def _customize(root: str) -> None:
    """Files and keys."""
    for old in glob.glob(f"{root}/etc/ssh/ssh_host_*"):
        os.unlink(old)
    for path in glob.glob(f"{FILES}/**", recursive=True):
        if os.path.isfile(path):
            put(root + path[len(FILES) :], read(path), 0o755 if os.access(path, os.X_OK) else 0o644)
    for path in (settings.HOST_KEY, settings.HOST_KEY + ".pub"):
        shutil.copy(path, f"{root}/etc/ssh")
    os.makedirs(f"{root}/root/.ssh", mode=0o700, exist_ok=True)
    put(f"{root}/root/.ssh/authorized_keys", read(settings.KEY + ".pub"), 0o600)
    put(f"{root}/etc/machine-id", uuid.uuid4().hex + "\n", 0o444)
    for path in glob.glob(f"{root}/etc/update-motd.d/*"):
        os.chmod(path, 0o644)


def _choose_units(root: str) -> None:
    """What systemd starts."""
    for name in ("testhosts-agent.service", "testhosts-net.service"):
        link(f"../{name}", f"{root}/{UNITS}/multi-user.target.wants/{name}")
    link("/lib/systemd/system/multi-user.target", f"{root}/{UNITS}/default.target")
    for unit in settings.MASKED:
        link("/dev/null", f"{root}/{UNITS}/{unit}")
    for generator in settings.GENERATORS:
        link("/dev/null", f"{root}/etc/systemd/system-generators/{generator}")
    for unit in settings.DISABLED:
        for path in glob.glob(f"{root}/{UNITS}/*/{unit}"):
            os.unlink(path)


def _ansible() -> str:
    """The folder of the Python package ``ansible`` that the tests use.

    :raises Failure: it is not there.
    """
    found = glob.glob(f"{settings.VENV}/lib/python3*/site-packages/ansible")
    if not found:
        raise Failure("the image needs what the tests have: make .venv/test")
    return found[0]


def _libraries(root: str, wheels: t.Sequence[str]) -> None:
    """Python packages that the cases import, and the part of ansible-core that Ansible sends to a host."""
    place = root + LIBRARY
    pip = (f"{settings.VENV}/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    pure = ("--platform", "any", "--implementation", "py", "--abi", "none", "--only-binary", ":all:")
    run(
        *pip,
        "--no-deps",
        "--no-compile",
        *pure,
        "--target",
        place,
        "--requirement",
        settings.REQUIREMENTS,
        *wheels,
    )
    junk = shutil.ignore_patterns("__pycache__")
    shutil.copytree(os.path.join(_ansible(), "module_utils"), f"{place}/ansible/module_utils", ignore=junk)
    put(f"{place}/ansible/__init__.py", "")
    run("chroot", root, "python3", "-m", "compileall", "-q", LIBRARY)


def _write_disk(root: str, path: str) -> None:
    with open(path, "wb") as file:
        file.truncate(4 << 30)
    run("mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", root, "-E", "lazy_itable_init=1,lazy_journal_init=1", path)
    os.chmod(path, 0o444)
