# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where records, journals and locks live: below ``/run`` for objects that end with a reboot.

    ROOT/DOMAIN/               its flock(2) is the domain's lock
    ROOT/DOMAIN/KIND/KEY.json  what was applied last to one object
    ROOT/DOMAIN/KIND.journal   a transaction that has begun and not ended
    ROOT/DOMAIN/ID.transaction the journals of a transaction of many kinds, which has begun and not ended with this file

A directory goes when it is empty, so that nothing is left on a host that has no object of ours.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t

from .._kernel import files
from .._model.errors import KernelError, NsfleetError
from .._model.field import State
from .record import Record

#: Seconds to wait for another run before giving up; longer than any sane task.
LOCK_TIMEOUT = 300.0
#: How names of records end.
_ENDING = ".json"
_DIRECTORY: t.Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: What every intent in a journal says.
_INTENT: t.Final = frozenset({"key", "options", "before", "owned", "identity", "source", "record", "footprint"})
#: In an intent: path of the file of its transaction, if that has journals of many kinds.
TRANSACTION: t.Final = "transaction"
#: What a journal says instead when all is done but for the removal of what going back would have needed.
_SETTLED: t.Final = "settled"


class Store:
    """Records, journal and lock of one domain of one kind.

    :param domain: runs in the same domain wait for each other.
    :param kind: kind of the resources.
    :param root: the directory below which everything lives.
    """

    def __init__(self, domain: str, kind: str, root: str) -> None:
        self.domain, self.kind, self.root = domain, kind, root
        self.directory = os.path.join(root, domain)
        #: The directory and those above it down from the root, the deepest first.
        self._folders = [self.directory]
        while self._folders[-1] != root:
            self._folders.append(os.path.dirname(self._folders[-1]))
        self.records = os.path.join(self.directory, kind)
        self.journal = os.path.join(self.directory, f"{kind}.journal")
        #: Records that were read since the lock was taken.
        self._known: dict[str, Record | None] = {}

    # --- locks ---------------------------------------------------------------

    @contextlib.contextmanager
    def shared(self) -> t.Iterator[bool]:
        """Wait until nobody changes anything in the domain, without writing: no directory, no waiting.

        :returns: whether nobody can change anything meanwhile.
        """
        self._known.clear()
        try:
            with _telling("open", self.directory):
                fd = os.open(self.directory, _DIRECTORY)
        except FileNotFoundError:
            yield False
            return
        try:
            self._flock(fd, fcntl.LOCK_SH)
            yield True
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def exclusive(self, *beside: Store) -> t.Iterator[None]:
        """Be the only one that changes anything in the domain.

        :param beside: stores of other kinds in the domain that are worked with, too.
        """
        with _telling("make and lock", self.directory):
            fd = self._open_locked()
        try:
            for store in (self, *beside):
                store._sweep()
            yield
        finally:
            files.remove_empty(self.records, *(store.records for store in beside), *self._folders)
            os.close(fd)

    def read_anew(self) -> None:
        """Forget which records were read."""
        self._known.clear()

    def remove_empty(self) -> None:
        """Remove the directories that are empty by now."""
        files.remove_empty(self.records, *self._folders)

    def _sweep(self) -> None:
        self.read_anew()
        for name in files.list_directory(self.directory):
            if name.endswith(f".{TRANSACTION}"):
                end_if_over(os.path.join(self.directory, name))
        for folder in (self.records, self.directory):
            files.sweep(folder)

    @property
    def in_use(self) -> bool:
        """Whether somebody changed something in the domain."""
        return os.path.isdir(self.directory)

    def untidy(self) -> bool:
        """Whether a killed run left something here; only with a lock.

        A run asks it of every domain beside its own: of a tidy one, two lists tell it.
        """
        here, records = map(files.list_directory, (self.directory, self.records))
        if not (here and records) and self._is_empty():
            return True
        hidden = any(name.startswith(".") for name in (*here, *records))
        drafts = hidden and any(map(files.drafts, (self.directory, self.records)))
        return (
            drafts or any(name.endswith(f".{TRANSACTION}") for name in here) or os.path.basename(self.journal) in here
        )

    def _is_empty(self) -> bool:
        """Whether the deepest directory that there is holds nothing."""
        deepest = next((folder for folder in (self.records, *self._folders) if os.path.isdir(folder)), "/")
        return not files.list_directory(deepest)

    def for_abandoned(self, work: t.Callable[[Store], None]) -> None:
        """Do something in the other domains beside this one in which a killed run left something, each locked.

        For kinds that have a domain for each object. Where a run is at work, nothing was abandoned.
        """
        above = os.path.dirname(self.domain)
        for name in files.list_directory(os.path.join(self.root, above)) if above else ():
            other = Store(os.path.join(above, name), self.kind, self.root)
            if other.domain != self.domain and other.untidy():
                with other._if_free() as free:
                    if free:
                        work(other)

    @contextlib.contextmanager
    def _if_free(self) -> t.Iterator[bool]:
        """Be the only one in the domain if nobody else is, or just was; whether that is so."""
        try:
            fd = os.open(self.directory, _DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            yield False
            return
        try:
            free = self._lock_at_once(fd)
            if free:
                self._sweep()
            yield free
            if free:
                files.remove_empty(self.records, self.directory)
        finally:
            os.close(fd)

    def _lock_at_once(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return self._is_in_place(fd)

    def _is_in_place(self, fd: int) -> bool:
        """Whether a directory is still the one of the domain; the lock of one that was removed says nothing."""
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.directory))
        except FileNotFoundError:
            return False

    def _open_locked(self) -> int:
        while True:
            try:
                os.makedirs(self.directory, mode=0o700, exist_ok=True)
                fd = os.open(self.directory, _DIRECTORY)
            except FileNotFoundError:
                continue  # the run before us removed it, since it was empty
            try:
                self._flock(fd, fcntl.LOCK_EX)
            except NsfleetError:
                os.close(fd)
                raise
            if self._is_in_place(fd):
                return fd
            os.close(fd)

    def _flock(self, fd: int, how: int) -> None:
        """Wait for a lock on the directory, with an end to the waiting."""
        end = time.monotonic() + LOCK_TIMEOUT
        pause = 0.005
        while True:
            try:
                fcntl.flock(fd, how | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    raise NsfleetError(
                        f"another run has been changing this host for {LOCK_TIMEOUT:.0f} s "
                        f"(it holds the lock {self.directory}); look what it waits for"
                    ) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.25)

    # --- records -------------------------------------------------------------

    def keys(self) -> list[str]:
        """Keys of all objects that were recorded, sorted."""
        names = (name for name in files.list_directory(self.records) if not name.startswith("."))
        return sorted(_unquoted(name[: -len(_ENDING)]) for name in names if name.endswith(_ENDING))

    def load(self, key: str) -> Record | None:
        """What was applied last to the object with this key."""
        if key not in self._known:
            self._known[key] = Record.load(self._read(self._record_path(key)))
        return self._known[key]

    def save(self, key: str, record: Record) -> None:
        """Keep what was applied."""
        self._known.pop(key, None)
        with _telling("write", self._record_path(key)):
            files.write_with_directory(self._record_path(key), json.dumps(record.data(), sort_keys=True))

    def reinstate(self, key: str, record: Record | None) -> None:
        """Bring a record back to what it was.

        :param record: ``None``: there was none.
        """
        if record is None:
            self.forget({key: None})
        elif record != self.load(key):
            self.save(key, record)

    def forget(self, gone: t.Mapping[str, t.Callable[[str], bool] | None]) -> None:
        """Drop the records of objects that are gone.

        :param gone: key of each to what tells, by their keys, which objects of any kind of the domain are gone with it.
        """
        for key in gone:
            self._known.pop(key, None)
            files.remove(self._record_path(key))
        enclosing = [encloses for encloses in gone.values() if encloses]
        for kind in files.list_directory(self.directory) if enclosing else ():
            folder = os.path.join(self.directory, kind)
            for name in files.list_directory(folder):
                key = _unquoted(name[: -len(_ENDING)])
                if name.endswith(_ENDING) and any(encloses(key) for encloses in enclosing):
                    files.remove(os.path.join(folder, name))
            files.remove_empty(folder)

    def _record_path(self, key: str) -> str:
        return os.path.join(self.records, _quoted(key) + _ENDING)

    # --- journal -------------------------------------------------------------

    def begin(self, intents: list[State]) -> None:
        """Put the intents on disk before the first object is touched."""
        with _telling("write", self.journal):
            files.write_whole(self.journal, json.dumps(intents, sort_keys=True))

    def interrupted(self) -> list[State]:
        """The intents of a run that was killed; only with a lock, since a journal without a locker is a dead run's."""
        return [entry for entry in self._entries() if entry.keys() >= _INTENT]

    def settle(self, tasks: list[State]) -> None:
        """Put on disk that nobody goes back any more, and whose remains are to be removed.

        :param tasks: options of the objects.
        """
        self.begin([{_SETTLED: options} for options in tasks])

    def settled(self) -> list[State]:
        """Options of objects of which a killed run may have left what nobody needs any more; only with a lock."""
        return [entry[_SETTLED] for entry in self._entries() if isinstance(entry.get(_SETTLED), dict)]

    def _entries(self) -> list[State]:
        """What the journal holds of transactions that have not ended, and not what somebody else wrote there."""
        entries = self._read(self.journal)
        whole = (entry for entry in entries if isinstance(entry, dict)) if isinstance(entries, list) else ()
        return [entry for entry in whole if TRANSACTION not in entry or os.path.exists(str(entry[TRANSACTION]))]

    def transactions(self) -> set[str]:
        """Paths of the files of transactions that the journal is a part of."""
        return {str(entry[TRANSACTION]) for entry in self._entries() if TRANSACTION in entry}

    def commit(self) -> None:
        """The transaction has ended, well or rolled back."""
        transactions = self.transactions()
        files.remove(self.journal)
        for path in transactions:
            end_if_over(path)

    @staticmethod
    def _read(path: str) -> t.Any:
        with _telling("read", path):
            text = files.read_text(path)
        try:
            return json.loads(text) if text else None
        except ValueError:
            return None


def begin_transaction(path: str, journals: t.Sequence[str]) -> None:
    """Say that a transaction has begun, now that its journals are written.

    :param journals: their paths.
    """
    with _telling("write", path):
        files.write_with_directory(path, json.dumps(journals))


def end_if_over(path: str) -> None:
    """Remove the file of a transaction of which no journal is left."""
    try:
        journals = json.loads(files.read_text(path) or "[]")
    except ValueError:
        journals = []
    if not any(os.path.exists(str(journal)) for journal in journals):
        files.remove(path)


@contextlib.contextmanager
def _telling(doing: str, path: str) -> t.Iterator[None]:
    """Say what could not be done with which path; what is not there is an answer, not an error."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise KernelError(f"{doing} {path}", error) from error


def _quoted(key: str) -> str:
    """A key as part of a file's name."""
    return key.replace("%", "%25").replace("/", "%2F")


def _unquoted(name: str) -> str:
    """The key in a file's name."""
    return name.replace("%2F", "/").replace("%25", "%")
