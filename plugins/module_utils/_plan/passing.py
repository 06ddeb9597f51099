# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An object that is there during one task only: it is made, used and removed, however the task ends."""

from __future__ import annotations

from .._model.errors import NsfleetError, OptionError
from .._model.field import State
from .._model.resource import Passing
from .engine import look, preflight
from .plan import Plan
from .store import Store
from .stores import Stores
from .transaction import finish, intent_of, recover, recover_abandoned


def pass_by(resource: Passing, *, check: bool) -> State:
    """Make an object, use it and remove it.

    The journal has its removal from the beginning: of a run that is killed, the next one does what is left of that.

    :param check: only say that this would be done.
    :returns: what the module returns.
    :raises InvalidOptions: this host cannot do what is asked, or there is such an object already; nothing was touched.
    :raises NsfleetError: it could not be made, or not be removed.
    """
    stores = Stores((resource,))
    store = stores.of(resource)
    if check:
        with store.shared():
            warnings = _consider(resource, stores, check)
        return {**resource.use(check), "warnings": warnings}
    with store.exclusive():
        warnings = recover(type(resource), (), store)
        warnings += recover_abandoned(type(resource), store)
        store.commit()
        warnings += _consider(resource, stores, check)
        return {**_use(resource, store), "warnings": warnings}


def _consider(resource: Passing, stores: Stores, check: bool) -> list[str]:
    plans = look((resource,), stores)
    if resource.observed.exists:
        words = f"there is a {resource.target} that was not made for this task; choose a name that nothing else has"
        raise OptionError("name", words)
    return preflight(plans, check)


def _use(resource: Passing, store: Store) -> State:
    gone = type(resource)({**resource.options, "state": "absent"})
    intent = {**intent_of(Plan(resource, (), None), store, resource.observed), "options": gone.remembered()}
    store.begin([intent])
    try:
        return resource.use(False)
    finally:
        left = finish(gone)
        gone.tidy(intent["footprint"])
        if left:
            raise NsfleetError(f"{gone.target} could not be removed: {'; '.join(left)}")
        store.commit()
