# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the examples of images and root file systems speak of: registries, archives, trees, an image that needs no host.

Packages are installed by a program that only writes down what it is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import shutil
import typing as t

from support import images, registry, world
from support.archives import archive, file, folder, symlink
from support.images import Image

#: Variables of the examples.
VARIABLES: t.Final = {"registry_user": registry.USER, "registry_password": registry.PASSWORD}
_ARCHIVE, _AUTHORITY = pathlib.Path("/srv/images/web.tar"), pathlib.Path("/srv/images/ca.pem")
_ROOT = pathlib.Path("/srv/images/root")
_PROGRAM: t.Final = "/usr/bin/busybox"
_BASE: t.Final = archive(folder("etc"), file("etc/motd", b"hello"))
#: Those of the examples of root file systems.
ROOTS: t.Final = {"base_sha256": hashlib.sha256(_BASE).hexdigest()}
_INSTALLER: t.Final = pathlib.Path("/usr/local/bin/mmdebstrap")
_WRITE: t.Final = """#!/bin/sh
for place; do case $place in /*) break;; esac; done
echo "$@" >$place/asked
"""


def web() -> Image:
    """A web server with all that it needs."""
    libraries = [word for word in world.sh(f"ldd {_PROGRAM} || true").split() if word.startswith("/")]
    config = {"Entrypoint": ["/bin/busybox", "httpd", "-f"], "Cmd": ["-p", "80", "-h", "/srv"], "StopSignal": "SIGKILL"}
    files = {"bin/busybox": _PROGRAM, **{_place(path): path for path in libraries}}
    folders = {"dev", "etc", "proc", "srv", "sys", "tmp", "lib", *(name.rpartition("/")[0] for name in files)}
    programs = (file(name, pathlib.Path(path).read_bytes(), mode=0o755) for name, path in files.items())
    content = (file("srv/index.html", b"hello"), symlink("lib64", "lib"))
    return Image(archive(*map(folder, sorted(folders)), *content, *programs), config=config)


def _place(library: str) -> str:
    """Where the dynamic linker looks for a library of the host."""
    return library.removeprefix("/usr").strip("/").replace("lib64/", "lib/")


@contextlib.contextmanager
def archived(place: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """The archive; a layout of the same."""
    layout = images.layout(place / "layout", {"1.4": web()})
    _ARCHIVE.parent.mkdir(parents=True)
    try:
        (_ROOT / "bin").mkdir(parents=True)
        shutil.copy(_PROGRAM, _ROOT / "bin/busybox")
        registry.skopeo("copy", f"oci:{layout}:1.4", f"oci-archive:{_ARCHIVE}:1.4")
        yield layout
    finally:
        shutil.rmtree(_ARCHIVE.parent)


@contextlib.contextmanager
def sources(place: pathlib.Path) -> t.Iterator[None]:
    """What trees are made of: the archive, another one (beside the playbook, too), a tree, what installs packages."""
    with archived(place):
        (place / "files").mkdir()
        for folder in (_ARCHIVE.parent, place / "files"):
            (folder / "base.tar").write_bytes(_BASE)
        _INSTALLER.write_text(_WRITE)
        _INSTALLER.chmod(0o755)
        try:
            yield
        finally:
            _INSTALLER.unlink()


@contextlib.contextmanager
def opened(place: pathlib.Path) -> t.Iterator[None]:
    """The archive, and both registries under their names; the first one wants TLS and a password."""
    tls = registry.certificates(place / "tls")
    with contextlib.ExitStack() as stack:
        layout = stack.enter_context(archived(place))
        shutil.copy(tls / "authority.pem", _AUTHORITY)
        home = stack.enter_context(registry.docker_registry(place / "home", tls, login=True, port=443))
        mirror = stack.enter_context(registry.docker_registry(place / "mirror", port=5000))
        certificates = place / "certificates"
        certificates.mkdir()
        shutil.copy(_AUTHORITY, certificates / "ours.crt")
        login = ("--dest-creds", f"{registry.USER}:{registry.PASSWORD}", "--dest-cert-dir", str(certificates))
        registry.skopeo("copy", *login, f"oci:{layout}:1.4", f"docker://{home}/shop/web:1.4")
        registry.skopeo("copy", "--dest-tls-verify=false", f"oci:{layout}:1.4", f"docker://{mirror}/shop/web:stable")
        hosts = place / "hosts"
        hosts.write_text("127.0.0.1 localhost registry.example mirror.example\n")
        world.sh(f"mount --bind {hosts} /etc/hosts")
        stack.callback(world.sh, "umount /etc/hosts")
        yield
