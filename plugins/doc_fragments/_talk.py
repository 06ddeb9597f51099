# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that wait for a program. PRIVATE to the nsfleet.linux collection: it may change at any time."""

from __future__ import annotations


class ModuleDocFragment:
    """How the program is talked to."""

    DOCUMENTATION = r"""
options:
  stdin:
    description: What the program reads from its standard input. Without it, there is nothing to be read.
    type: str
  stdin_add_newline:
    description: Whether a newline is put at the end of O(stdin).
    type: bool
    default: true
  strip_empty_ends:
    description: Whether empty lines at the end of RV(stdout) and RV(stderr) are taken away.
    type: bool
    default: true
  timeout:
    description:
      - Seconds that the program may take once it runs. Then it is killed, and everything that it started, in whichever
        session, process group or namespace that is.
    type: float
  output_limit:
    description:
      - How many bytes of standard output, and how many of standard error, are kept; at most 67108864. What comes after
        them is read and thrown away, and RV(truncated) says so.
    type: int
    default: 4194304
"""
