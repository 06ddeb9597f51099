# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of control groups in memory, which refuse what the kernel refuses."""

from __future__ import annotations

from ansible_collections.nsfleet.linux.plugins.module_utils._cgroup.tree import Tree


class Recorded(Tree):
    """Files of control groups in memory."""

    def __init__(self, files: dict[str, str]) -> None:
        self.contents = files
        self.writes: list[tuple[str, str]] = []

    def read(self, path: str) -> str | None:
        """The content of a file."""
        return self.contents.get(path)

    def write(self, path: str, text: str) -> None:
        """Keep what is written, as the kernel would."""
        folder, _slash, name = path.rpartition("/")
        if path not in self.contents:
            raise FileNotFoundError(2, "No such file or directory", path)
        self.writes.append((name, text))
        self.contents[path] = "9223372036854771712" if text == "-1" and name.endswith("_in_bytes") else text
        memory, both = (self.contents.get(f"{folder}/memory.{each}limit_in_bytes") for each in ("", "memsw."))
        assert both is None or int(both) >= int(memory or 0), (
            "the kernel refuses a limit of both below the one of memory"
        )

    def has(self, path: str) -> bool:
        """Whether there is a file or a directory."""
        return path in self.contents or any(each.startswith(f"{path}/") for each in self.contents)

    def files(self, path: str) -> list[str]:
        """Sorted names of the files of a group."""
        folders = (each.rpartition("/") for each in self.contents)
        return sorted(name for folder, _slash, name in folders if folder == path)

    def marked(self, path: str) -> str:
        """Nothing is ours."""
        del path
        return ""
