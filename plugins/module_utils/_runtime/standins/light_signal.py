# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runtime uses of :mod:`signal`, with plain numbers: the library's enumerations take 3 ms to import."""

from __future__ import annotations

import importlib

globals().update({name: value for name, value in vars(importlib.import_module("_signal")).items() if name[0] != "_"})
