# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written where for a security module, and what is said where there is none, on a host of files."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.nsfleet.linux.plugins.module_utils._model.errors import Missing, NsfleetError, OptionError
from ansible_collections.nsfleet.linux.plugins.module_utils._resources import container_process
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime import labels
from ansible_collections.nsfleet.linux.plugins.module_utils._runtime.init import Setup

CONTEXT = "system_u:system_r:container_t:s0:c1,c2"


@pytest.fixture
def modules(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    """Say which modules the kernel has."""
    for name, file in (("_APPARMOR", "enabled"), ("_PROFILES", "profiles"), ("_SELINUX", "selinux")):
        monkeypatch.setattr(labels, name, str(tmp_path / file))

    def have(*, apparmor: str = "", profiles: str = "", selinux: bool = False) -> None:
        for file, text in (("enabled", apparmor), ("profiles", profiles)):
            if text:
                (tmp_path / file).write_text(text)
        if selinux:
            (tmp_path / "selinux/class").mkdir(parents=True)

    return have


def prepared(**process: str) -> tuple[bytes, str]:
    """What is to be written, and where."""
    setup = Setup()
    labels.prepare(setup, process)
    return setup.label, setup.label_file


def obstacles(**options: str) -> list[tuple[type[Exception], str]]:
    """What the module says of options before anything is touched."""
    wanted = {"apparmor_profile": "", "selinux_label": "", "mount_label": "", **options}
    return [(type(each), str(each)) for each in container_process.obstacles(wanted)]


def test_a_context_of_selinux_is_for_the_next_execution(modules: t.Callable[..., None]) -> None:
    modules(selinux=True)
    assert prepared(selinuxLabel=CONTEXT) == (CONTEXT.encode(), "attr/exec")
    assert obstacles(selinux_label=CONTEXT, mount_label=CONTEXT) == []
    assert labels.mount_label({"mountLabel": CONTEXT}) == CONTEXT


def test_a_profile_of_apparmor_has_to_be_loaded(modules: t.Callable[..., None]) -> None:
    modules(apparmor="Y\n", profiles="web (enforce)\na (b) (complain)\n/usr/bin/man (unconfined)\n")
    for profile in ("web", "a (b)", "/usr/bin/man", ":other:web", "web//&other"):
        label, file = prepared(apparmorProfile=profile)
        assert (label, file in ("attr/exec", "attr/apparmor/exec")) == (f"exec {profile}".encode(), True)
        assert obstacles(apparmor_profile=profile) == []
    for profile in ("we", "web (enforce)"):
        with pytest.raises(NsfleetError, match=r"^process.apparmorProfile: .*: there is no such profile"):
            prepared(apparmorProfile=profile)
        ((kind, words),) = obstacles(apparmor_profile=profile)
        assert (kind, words.startswith(f"apparmor_profile: {profile}: there is no such profile")) == (Missing, True)


@pytest.mark.parametrize("enabled", ["", "N\n"])
def test_nothing_is_started_without_what_confines_it(modules: t.Callable[..., None], enabled: str) -> None:
    modules(apparmor=enabled)
    with pytest.raises(NsfleetError, match=r"^process.apparmorProfile: web: AppArmor is not enabled on this host$"):
        prepared(apparmorProfile="web")
    with pytest.raises(NsfleetError, match=r"^process.selinuxLabel: .*: SELinux is not enabled on this host$"):
        prepared(selinuxLabel=CONTEXT)
    assert prepared(apparmorProfile="unconfined") == (b"", "")
    assert obstacles(apparmor_profile="unconfined") == obstacles() == []
    found = obstacles(apparmor_profile="web", selinux_label=CONTEXT, mount_label=CONTEXT)
    assert [kind for kind, _words in found] == [OptionError] * 3
    assert labels.mount_label({"mountLabel": CONTEXT}) == "", "what nobody asks for opens nothing"
