# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same examples on every run; ``--hypothesis-profile=explore`` looks for others, and for many more.

``few`` is for runs that ask whether another version of Python or of a library understands the code.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# What a machine is slow at is no defect of the collection.
_SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
settings.register_profile("unit", deadline=None, derandomize=True, database=None, suppress_health_check=_SLOW)
settings.register_profile("explore", deadline=None, max_examples=2000, database=None, suppress_health_check=_SLOW)
settings.register_profile("few", settings.get_profile("unit"), max_examples=10)
settings.load_profile("unit")
