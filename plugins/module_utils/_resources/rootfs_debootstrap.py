# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of packages, by mmdebstrap(1) or debootstrap(8), whichever the host has."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import typing as t

from .._kernel import files
from .._kernel.syscall import call
from .._model.errors import Missing, NsfleetError, OptionError
from .._model.field import RECREATE, Field, State, Table
from .._model.names import absolute_path
from .rootfs_source import Origin, Source

if t.TYPE_CHECKING:
    from .rootfs_record import Made

_WORD: t.Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-~_:=/")
VARIANTS: t.Final = ("essential", "apt", "required", "minbase", "buildd", "important", "standard")
#: Those that debootstrap has.
_OF_DEBOOTSTRAP: t.Final = ("minbase", "buildd")
#: What of the environment a program gets.
_KEPT: t.Final = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
_SYSTEM_PATH: t.Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: In namespaces of its own: what it mounts is gone with it, and it is gone with us.
_ALONE: t.Final = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
_PDEATHSIG, _KILL = 1, 9  # PR_SET_PDEATHSIG, SIGKILL
_LINES: t.Final = 15


def _word(value: str) -> str:
    if not value or value.startswith("-") or not _WORD.issuperset(value):
        raise ValueError(f"expected a name, got {value!r}")
    return value


def _words(values: t.Sequence[str]) -> list[str]:
    return sorted({_word(str(value)) for value in values})


def _mirror(value: str) -> str:
    """A URL, or a line of sources.list(5)."""
    if value.startswith("-") or not value.isprintable():
        raise ValueError(f"expected a URL or a line of sources.list(5), got {value!r}")
    return value.strip()


FIELD: t.Final = Field(
    "debootstrap",
    "dict",
    table=Table(
        (
            Field("suite", canonical=_word, effect=RECREATE),
            Field("mirror", canonical=_mirror, effect=RECREATE),
            Field("variant", choices=VARIANTS, default="minbase", effect=RECREATE),
            Field("packages", "list", elements="str", canonical=_words, effect=RECREATE),
            Field("components", "list", elements="str", canonical=_words, effect=RECREATE),
            Field("keyring", "path", canonical=absolute_path, effect=RECREATE),
        )
    ),
)


class Debootstrap(Source):
    """A Debian, or what is made like it.

    :param given: options of :data:`FIELD` in canonical form.
    """

    name = "debootstrap"
    repeatable = False  # mirrors have other packages tomorrow

    def __init__(self, given: State) -> None:
        self._given = given

    @property
    def options(self) -> State:
        """All of them, with what holds where nothing is said."""
        default = {"mirror": "", "variant": "minbase", "packages": [], "components": ["main"], "keyring": ""}
        return {"suite": _suite_of_host(), **default, **self._given}

    def digest(self, made: Made | None, look: bool) -> str:
        """Options tell."""
        del made, look
        return ""

    def obstacles(self) -> t.Iterator[Exception]:
        """There is no program, no keyring, or the program cannot do it."""
        options, program = self.options, _program()
        if not options["suite"]:
            yield OptionError(
                "debootstrap.suite", "expected a release such as bookworm: this host does not say its own"
            )
        if options["keyring"] and not os.path.exists(options["keyring"]):
            yield Missing(f"debootstrap.keyring: there is no {options['keyring']}")
        if program is None:
            yield Missing(
                "debootstrap: this host has neither mmdebstrap nor debootstrap; install one of these packages"
            )
        elif os.path.basename(program) == "debootstrap" and options["variant"] not in _OF_DEBOOTSTRAP:
            words = f"debootstrap, which this host has, knows {' and '.join(_OF_DEBOOTSTRAP)}; install mmdebstrap"
            yield OptionError("debootstrap.variant", words)
        if shutil.which(_ALONE[0], path=_search_path()) is None:
            yield Missing("debootstrap: this host has no unshare, which is in the package util-linux")

    def fill(self, place: str) -> Origin:
        """Let the program install packages."""
        program = _program()
        if program is None:
            raise NsfleetError("debootstrap: there is no program to make it by any more")
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [*_ALONE, *self._command(program, place)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=_environment(), cwd="/", check=False,
                preexec_fn=_end_with_parent,
            )  # fmt: skip
            if done.returncode:
                output.seek(0)
                raise NsfleetError(f"{os.path.basename(program)} failed: {_last_lines(output.read())}")
        return Origin("", {})

    def _command(self, program: str, place: str) -> list[str]:
        options = self.options
        said = {
            "variant": options["variant"], "include": ",".join(options["packages"]),
            "components": ",".join(options["components"]), "keyring": options["keyring"],
        }  # fmt: skip
        words = [f"--{name}={value}" for name, value in said.items() if value]
        return [program, *words, options["suite"], place, *filter(None, [options["mirror"]])]


def _suite_of_host() -> str:
    """The release that the host is, empty if it does not say (os-release(5))."""
    lines = (files.read_text("/etc/os-release") or "").splitlines()
    return next((line.partition("=")[2].strip("\"'") for line in lines if line.startswith("VERSION_CODENAME=")), "")


def _search_path() -> str:
    return ":".join(filter(None, (os.environ.get("PATH"), _SYSTEM_PATH)))


def _program() -> str | None:
    found = (shutil.which(name, path=_search_path()) for name in ("mmdebstrap", "debootstrap"))
    return next(filter(None, found), None)


def _environment() -> dict[str, str]:
    proxies = {name: value for name, value in os.environ.items() if name.lower() in _KEPT}
    return {
        **proxies,
        "PATH": _search_path(),
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    }


def _end_with_parent() -> None:
    os.umask(0o022)
    call("prctl", _PDEATHSIG, _KILL, 0, 0, 0)


def _last_lines(output: bytes) -> str:
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return " | ".join(lines[-_LINES:]) or "it says nothing"
