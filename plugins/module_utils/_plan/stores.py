# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stores of all objects of a run: one a kind and domain, locked together."""

from __future__ import annotations

import contextlib
import os
import typing as t

from .._kernel import files
from .._model.field import State
from .._model.resource import Resource
from .store import TRANSACTION, Store, begin_transaction


class Stores:
    """The stores of the objects of a run.

    A journal for each kind: so a run that changes one kind finds what a killed run of many kinds left of it, and what
    is left of others waits for a run that knows them.

    :param resources: at least one, in the order in which they are changed.
    """

    def __init__(self, resources: t.Sequence[Resource]) -> None:
        self._stores: dict[tuple[str, str, str], Store] = {}
        self._resources: dict[Store, list[Resource]] = {}
        for resource in resources:
            place = resource.root, resource.domain, resource.kind
            if place not in self._stores:
                self._stores[place] = Store(resource.domain, resource.kind, resource.root)
            self._resources.setdefault(self._stores[place], []).append(resource)
        self._transaction = ""  #: path of the file of the transaction, once there is one

    def of(self, resource: Resource) -> Store:
        """The store of one of the objects."""
        return self._stores[resource.root, resource.domain, resource.kind]

    def __iter__(self) -> t.Iterator[Store]:
        return iter(self._resources)

    def resources(self, store: Store) -> list[Resource]:
        """The objects of a store, at least one."""
        return self._resources[store]

    def first_of_each_kind(self) -> t.Iterator[Store]:
        """One store a kind, of those that have a domain for each object."""
        kinds: set[str] = set()
        for store in self:
            if store.kind not in kinds:
                kinds.add(store.kind)
                yield store

    # --- all of them -------------------------------------------------------------

    @contextlib.contextmanager
    def shared(self) -> t.Iterator[bool]:
        """Wait until nobody changes anything in any of the domains.

        :returns: whether nobody can change anything meanwhile.
        """
        with contextlib.ExitStack() as stack:
            locked = [stack.enter_context(first.shared()) for first, *_others in self._domains()]
            yield all(locked)

    @contextlib.contextmanager
    def exclusive(self) -> t.Iterator[None]:
        """Be the only one that changes anything in the domains."""
        with contextlib.ExitStack() as stack:
            for first, *others in self._domains():
                stack.enter_context(first.exclusive(*others))
            yield

    def _domains(self) -> list[list[Store]]:
        """The stores of each domain, always in one order: two runs that lock several do not wait for each other."""
        domains: dict[str, list[Store]] = {}
        for store in self:
            domains.setdefault(store.directory, []).append(store)
        return [domains[directory] for directory in sorted(domains)]

    @property
    def in_use(self) -> bool:
        """Whether somebody changed something in one of the domains."""
        return any(store.in_use for store in self)

    def untidy(self) -> bool:
        """Whether a killed run left something; only with the locks."""
        return any(store.untidy() for store in self)

    def read_anew(self) -> None:
        """Forget what was read: somebody else may have written since, with the same locks."""
        for store in self:
            store.read_anew()

    def close(self) -> None:
        """End a transaction whose locks go with this process."""
        self.commit()
        for store in self:
            store.remove_empty()

    def begin(self, intents: t.Mapping[Store, list[State]]) -> None:
        """Put the intents on disk before the first object is touched; again, if more are touched.

        The journals are of one transaction, which begins and ends for all of them at once, by a file of its own: the
        last one that is written, and the first one that is removed.
        """
        note = {TRANSACTION: self._file()} if len(intents) > 1 else {}
        for store, several in intents.items():
            rest = ({name: each[name] for name in each if name != TRANSACTION} for each in several)
            store.begin([{**each, **note} for each in rest])
        if note:
            begin_transaction(note[TRANSACTION], [store.journal for store in intents])

    def _file(self) -> str:
        """Path of the transaction's file: that of one that is gone on with, else a new one.

        It is in the root that lives longest: where it is gone, the transaction counts as ended.
        """
        going_on = sorted({path for store in self for path in store.transactions()})
        if going_on:
            self._transaction = going_on[0]
        elif not self._transaction:
            home = max(self, key=lambda store: store.root != Resource.root)
            self._transaction = os.path.join(home.directory, f"{os.urandom(8).hex()}.{TRANSACTION}")
        return self._transaction

    def commit(self) -> None:
        """The transaction has ended, well or rolled back."""
        if self._transaction:
            files.remove(self._transaction)
        for store in self:
            store.commit()
