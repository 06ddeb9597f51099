# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runtime uses of :mod:`re`: the library, imported when it is first used, which few starts do."""

from __future__ import annotations

import typing as t


def __getattr__(name: str) -> t.Any:
    import re

    return getattr(re, name)
