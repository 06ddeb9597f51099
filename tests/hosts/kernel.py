# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an emulated machine boots from: an unpacked kernel, and the least initial file system that finds the disk."""

from __future__ import annotations

import lzma
import os
import struct
import subprocess

from hosts.tools import Failure

#: How a packed kernel begins, and what unpacks it.
PACKED = ((b"\x02\x21\x4c\x18", "lz4"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ", "xz"), (b"\x1f\x8b", "gzip"))
MODULES = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic")
INIT = """#!/busybox sh
/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /busybox insmod /$module; done
until [ -b /dev/vda ]; do /busybox usleep 10000; done
/busybox mount -t ext4 -o rw,relatime /dev/vda /root
/busybox umount /dev
exec /busybox switch_root /root /sbin/init
"""


def unpack(bzimage: str, out: str) -> None:
    """Unpack a kernel, so that no emulated machine has to at each boot.

    Offsets are those of the boot protocol (Linux, Documentation/arch/x86/boot.rst).

    :raises Failure: it is packed in a way that is not known, or came out too short.
    """
    with open(bzimage, "rb") as file:
        data = file.read()
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = ((data[0x1F1] or 4) + 1) * 512 + offset
    payload, size = data[start : start + length - 4], struct.unpack_from("<I", data, start + length - 4)[0]
    tool = next((tool for magic, tool in PACKED if payload.startswith(magic)), "")
    if not tool:
        raise Failure(f"{bzimage}: unknown compression")
    with open(out, "wb") as file:
        # lz4 complains of the missing end mark of the kernel's lz4 stream: the size tells whether all went well.
        subprocess.run([tool, "-dcq"], input=payload, stdout=file, stderr=subprocess.DEVNULL, check=False)
    if os.path.getsize(out) != size:
        raise Failure(f"{bzimage}: {tool} did not unpack it all")


def initrd(modules: str, busybox: str, out: str) -> None:
    """Write an initial file system of one program and a few modules.

    :param modules: the folder of the kernel's modules.
    :param busybox: a static one.
    """
    files = [(os.path.basename(path), _plain(os.path.join(modules, path))) for path in _needed(modules)]
    plain = [(name[: -len(".xz")] if name.endswith(".xz") else name, content) for name, content in files]
    init = INIT.format(modules=" ".join(name for name, _content in plain))
    with open(busybox, "rb") as file:
        _archive(out, [("dev", None), ("root", None), ("busybox", file.read()), *plain, ("init", init.encode())])


def _needed(folder: str) -> list[str]:
    """Paths of modules in the order in which they are to be loaded."""
    needs = {}
    with open(os.path.join(folder, "modules.dep"), encoding="utf-8") as lines:
        for line in lines:
            path, _colon, others = line.partition(":")
            needs[path] = others.split()
    paths = {os.path.basename(path).split(".ko")[0]: path for path in needs}
    found = [paths[name] for name in MODULES if name in paths]  # what is not there is built in
    return list(dict.fromkeys(each for path in found for each in (*reversed(needs[path]), path)))


def _plain(path: str) -> bytes:
    """A module as insmod(8) of busybox wants it."""
    with open(path, "rb") as file:
        content = file.read()
    return lzma.decompress(content) if path.endswith(".xz") else content


def _archive(out: str, files: list[tuple[str, bytes | None]]) -> None:
    """Write a cpio archive (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

    :param files: names and contents; without content: a folder.
    """
    with open(out, "wb") as file:
        for number, (name, content) in enumerate([*files, ("TRAILER!!!", b"")], 1):
            mode, data = (0o40755, b"") if content is None else (0o100755, content)
            fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
            head = b"070701" + "".join(f"{value:08X}" for value in fields).encode() + name.encode() + b"\0"
            file.write(head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4))
