# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles of AppArmor for the time of a test, loaded by its own program."""

from __future__ import annotations

import contextlib
import subprocess
import typing as t

#: May do all that containers do, but write to one place. It may execute nothing but what is in ``/usr``.
RULES = """
    capability, network, signal, ptrace, unix, mount,
    /** mrwkl,
    /{usr/,}{bin,sbin}/** ix,
    deny /{data,srv}/closed w,
"""


@contextlib.contextmanager
def loaded(*names: str, rules: str = RULES) -> t.Iterator[None]:
    """Profiles with the same rules.

    :raises CalledProcessError: apparmor_parser(8) refuses them.
    """
    text = "\n".join(f"profile {name} flags=(attach_disconnected) {{{rules}}}" for name in names).encode()
    subprocess.run(["apparmor_parser", "--replace"], input=text, check=True)
    try:
        yield
    finally:
        subprocess.run(["apparmor_parser", "--remove"], input=text, check=True)
