# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor: one small process a container, which starts it, keeps its exit status, and starts it again.

It is forked from whoever asks for the start, so that the start costs no new interpreter. When the payload runs, it
executes itself anew from an archive on the host (:mod:`.archive`): the pid and with it the children stay, and of the
large process that it was forked from nothing is left in memory.

The payload's output goes to its log file without a process in between: a container outlives its monitor.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
import typing as t

from .._kernel import process
from .._model.errors import NsfleetError
from . import groups, state
from .bundle import Bundle, locked
from .spec import Told, annotation, told

if t.TYPE_CHECKING:
    from .._cgroup.group import Group, Place
    from .._cgroup.hierarchy import Host

    #: What a monitor does first, with the pipe by which it says that it is done.
    _Work = t.Callable[[Bundle, int], None]

#: Seconds before the first restart; each further one doubles it, up to the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 60.0
#: Seconds after which a container is taken to have been started well.
_WELL = 10.0


def launch(bundle: Bundle, host: Host | None = None) -> None:
    """Start a container under a new monitor.

    :param host: control group hierarchies; found out if not given.
    :raises NsfleetError: it could not be started.
    """
    import importlib

    # Before the fork: whoever starts many containers imports once what each of their monitors needs.
    importlib.import_module(f"{__package__}.launch")
    _fork(bundle, lambda bundle, writing: _start_and_stay(bundle, writing, host), host)


def take_over(bundle: Bundle) -> None:
    """Supervise a running container, whose monitor died."""
    _fork(bundle, _stay)


def _fork(bundle: Bundle, run: _Work, host: Host | None = None) -> None:
    """Become two; the child is the monitor, and says by a pipe when the container runs, or why not."""
    from .archive import install

    archive = install()
    reading, writing = os.pipe()
    with locked(alone=False) as lock:
        group = groups.monitors(host)

        def enter(places: t.Iterable[Place]) -> None:
            group.enter(0, places)
            os.close(lock)

        def be_monitor(places: t.Iterable[Place]) -> t.NoReturn:
            os.close(reading)
            _be_monitor(bundle, writing, run, archive, lambda: enter(places))

        monitor = _fork_into(group, be_monitor)
    os.close(writing)
    with open(reading, "rb") as pipe:
        told = pipe.read().decode()
    if told != "running":
        os.waitpid(monitor, 0)
        groups.remove(bundle.spec)  # a monitor that was killed has not
        groups.remove_empty()
        raise NsfleetError(f"container {bundle.name}: {told or 'its monitor died'}")


def _fork_into(group: Group, be_child: t.Callable[[t.Iterable[Place]], t.NoReturn]) -> int:
    """fork(2), with a child that is born into a control group, or is to move itself where that is deadly.

    It stays the caller's child. The caller ends soon, and the init process is its parent then.

    :param be_child: called in the child with the places of the group that it is still to move itself into.
    :returns: pid of the child.
    """
    hear, say = os.pipe()
    birthplace = group.birthplace()
    pid = process.clone(0, birthplace)
    if pid == 0:
        os.write(say, b"1")
        be_child([place for place in group.places if place.version == 1])
    os.close(say)
    if birthplace is not None:
        os.close(birthplace)
    with open(hear, "rb") as pipe:
        lives = pipe.read(1)
    if not lives:  # birth.BornDead
        os.waitpid(pid, 0)
        pid = os.fork()
        if pid == 0:
            be_child(group.places)
    return pid


def _be_monitor(bundle: Bundle, writing: int, run: _Work, archive: str, enter: t.Callable[[], object]) -> t.NoReturn:
    try:
        enter()
        _leave(bundle)
        run(bundle, writing)
        os.execv(sys.executable, [sys.executable, "-IS", archive, "monitor", bundle.name])
    except BaseException as error:  # there is nobody above who could handle it
        _tell(writing, str(error))
    finally:
        os._exit(1)


def _tell(writing: int, words: str) -> None:
    """Say all that there is to say to whoever asked for the start, who waits until nobody has the pipe any more.

    If that was killed meanwhile, the container goes on without it.
    """
    with contextlib.suppress(BrokenPipeError):
        os.write(writing, words.encode(errors="backslashreplace"))
    os.close(writing)


def _leave(bundle: Bundle) -> None:
    """Let go of everything that belongs to the caller: session, directory, descriptors.

    Whoever stops the container may tell the monitor before it is ready to listen: that waits until :func:`stay`.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    null = os.open("/dev/null", os.O_RDWR)
    log = os.open(os.path.join(bundle.directory, "monitor.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard, fd in ((0, null), (1, log), (2, log)):
        os.dup2(fd, standard)
    process.keep_descriptors(3)


def _start_and_stay(bundle: Bundle, writing: int, host: Host | None) -> None:
    _start(bundle, 0, host)
    _tell(writing, "running")


def _stay(bundle: Bundle, writing: int) -> None:
    known = state.load(bundle.name)
    state.save(bundle.name, known._replace(monitor=state.Process.of(os.getpid())))
    _tell(writing, "running")


def _state(bundle: Bundle) -> Told:
    return told(bundle.spec, bundle.name, bundle.directory, "creating")


def _start(bundle: Bundle, restarts: int, host: Host | None = None) -> None:
    from .launch import Launch

    output = os.open(bundle.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    me = state.Process.of(os.getpid())
    known = state.State(monitor=me, boot=process.boot_id(), since=state.now(), restarts=restarts)
    state.save(bundle.name, known)
    _owe_last_hooks(bundle)
    try:
        pid = Launch(bundle, groups.make(bundle.spec, host), (None, output, output), _state(bundle)).start()
        first = state.Process.of(pid)
        state.save(bundle.name, known._replace(first=first, digest=bundle.digest, since=state.now()))
        _run_hooks_after_start(bundle, pid)
    except (NsfleetError, OSError) as error:
        groups.remove(bundle.spec)
        _run_last_hooks(bundle.name)
        state.save(bundle.name, known._replace(error=str(error)))
        raise
    finally:
        os.close(output)


# --- hooks, which few containers have ------------------------------------------


def _owe_last_hooks(bundle: Bundle) -> None:
    if bundle.spec.get("hooks"):
        from . import points

        points.owe_last(bundle)


def _run_hooks_after_start(bundle: Bundle, pid: int) -> None:
    if bundle.spec.get("hooks"):
        from . import points

        points.after_start(bundle, pid)


def _run_last_hooks(name: str) -> None:
    if state.owes_hooks(name):
        from . import points

        points.run_last(name)


# --- the small process that stays --------------------------------------------


def stay(name: str) -> None:
    """Wait for the end of a container, again and again, until it is to stay stopped."""
    signal.signal(signal.SIGTERM, lambda *_: None)  # interrupts a pause
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    bundle = Bundle(name)
    pause = _FIRST_PAUSE
    while True:
        known = _record_end(name, _wait(state.load(name).first))
        if known is None or not _is_to_restart(bundle, known):
            break
        pause = _FIRST_PAUSE if state.now() - known.since > _WELL else min(pause * 2, _LONGEST_PAUSE)
        _sleep(pause)
        if state.asked_to_stop(name):
            break
        try:
            bundle = Bundle(name)
            _start(bundle, known.restarts + 1)
        except (NsfleetError, OSError) as error:  # what it lacks may be there the next time
            sys.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {error}\n")
            sys.stdout.flush()


def _wait(first: state.Process) -> int | None:
    """Wait for the end of a process; its exit code if it is a child, and so known."""
    if not first.pid:
        return None
    try:
        return os.waitstatus_to_exitcode(os.waitpid(first.pid, 0)[1])
    except ChildProcessError:
        process.wait_for_end(*first, float(2**31))
        return None


def _record_end(name: str, code: int | None) -> state.State | None:
    """Write down how the container ended; ``None`` if it has another monitor now, or was removed."""
    known = state.load(name)
    if known.monitor.pid != os.getpid():
        return None
    groups.kill(Bundle(name).spec)
    shell_code = None if code is None else code if code >= 0 else 128 - code
    ended = known._replace(first=state.Process(0, 0), since=state.now(), exit_code=shell_code)
    state.save(name, ended)
    _run_last_hooks(name)
    return known._replace(exit_code=shell_code)


def _is_to_restart(bundle: Bundle, known: state.State) -> bool:
    policy = annotation(bundle.spec, "restart-policy") or "no"
    most = int(annotation(bundle.spec, "restart-max") or 0)
    if state.asked_to_stop(bundle.name) or policy == "no" or (most and known.restarts >= most):
        return False
    return policy == "always" or known.exit_code != 0


def _sleep(seconds: float) -> None:
    """Sleep; a signal ends it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    select.select([reading], [], [], seconds)
    signal.set_wakeup_fd(-1)
    os.close(reading)
    os.close(writing)
