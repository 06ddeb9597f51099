# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``hooks`` of a container: programs that run at points of its life (runtime-spec, config.md)."""

from __future__ import annotations

import os
import typing as t

from .._model.errors import Missing
from .._model.field import RESTART, Field, State, Table
from .._model.names import absolute_path
from .._model.programs import command_words, environment
from .._model.quantities import between
from .._runtime.spec import Spec

#: Points in their order, and how the runtime-spec calls them.
_POINTS: t.Final = {
    "prestart": "prestart", "create_runtime": "createRuntime", "create_container": "createContainer",
    "start_container": "startContainer", "poststart": "poststart", "poststop": "poststop",
}  # fmt: skip
#: The one whose program is the container's own.
INSIDE: t.Final = "start_container"
_HOOK_TABLE = Table(
    (
        Field("path", required=True, canonical=absolute_path),
        Field("args", "list", elements="str", default=[], canonical=command_words),
        Field("env", "dict", default={}, canonical=environment),
        Field("timeout", "int", canonical=between(1, 2**31 - 1)),
    )
)
_TABLE = Table(
    tuple(
        Field(point, "list", elements="dict", table=_HOOK_TABLE, default=[], effect=RESTART, revert=[])
        for point in _POINTS
    )
)


def _read(spec: Spec) -> State:
    hooks = spec.get("hooks") or {}
    return {point: [_option(hook) for hook in hooks.get(word) or ()] for point, word in _POINTS.items()}


def _option(hook: Spec) -> State:
    """The option, of a hook of the runtime-spec, whose arguments begin with a name."""
    return {
        "path": hook["path"],
        "args": list(hook.get("args") or ())[1:],
        "env": dict(words.partition("=")[::2] for words in hook.get("env") or ()),
        **{name: hook[name] for name in ("timeout",) if hook.get(name)},
    }


def _write(spec: Spec, value: State) -> None:
    spec.pop("hooks", None)
    found = {_POINTS[point]: [_hook(each) for each in hooks] for point, hooks in value.items() if hooks}
    if found:
        spec["hooks"] = found


def _hook(option: State) -> Spec:
    return {
        **option,
        "args": [option["path"], *option["args"]],
        "env": [f"{name}={word}" for name, word in option["env"].items()],
    }


HOOKS: t.Final = Field("hooks", "dict", table=_TABLE, effect=RESTART, read=_read, write=_write)


def obstacles(wanted: State) -> t.Iterator[Exception]:
    """Programs that the host lacks; those of the container's own are looked for where its command is."""
    for point, hooks in wanted["hooks"].items():
        for index, hook in enumerate(hooks):
            if point != INSIDE and not (os.path.isfile(hook["path"]) and os.access(hook["path"], os.X_OK)):
                yield Missing(f"hooks.{point}[{index}].path: there is no program {hook['path']} on the host")
