# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HOOKS of mkinitcpio that are none, or are missing, and MODULES that a later line replaces."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import MKINITCPIO, SITE, is_read_by
from ansible_collections.vfio.variants.plugins.module_utils._core.host.numbered_matches import numbered_matches
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

ARRAY = re.compile(r"^[ \t]*(?P<name>MODULES|HOOKS|FILES)(?P<operator>\+?=)\((?P<value>[^()#]*)\)", re.MULTILINE)


class Array(t.NamedTuple):
    """An assignment, with its place."""

    source: str
    name: str
    adds: bool
    words: tuple[str, ...]


def mistakes_in_hooks(host: HostPolicy) -> t.Iterator[Finding]:
    """A module among HOOKS, MODULES that are replaced, and no hook that copies /etc/modprobe.d, so that the module gets no ids=."""
    arrays = list(_arrays(host)) if host.files.mkinitcpio else []
    for array in arrays:
        for word in array.words if array.name == "HOOKS" else ():
            if _is_vfio(word, host):
                said = f"{array.source}: HOOKS has {word}, which is a module, and mkinitcpio has no hook of that name."
                yield Finding("module-among-hooks", array.source, f"{said} Write it into MODULES.")
    listed = [array for array in arrays if array.name == "MODULES"]
    for place, array in enumerate(listed):
        later = next((other for other in listed[place + 1 :] if not other.adds), None)
        lost = [word for word in array.words if _is_vfio(word, host) and later is not None and word not in later.words]
        if later is not None and lost:
            said = f"{array.source}: {lost[0]} in MODULES has no effect, because {later.source} sets MODULES again, without it."
            yield Finding(
                "modules-replaced", array.source, f"{said} Write all modules into one of them, or `MODULES+=(…)` into the second."
            )
    yield from _without_modconf(arrays, host)


def _without_modconf(arrays: t.Sequence[Array], host: HostPolicy) -> t.Iterator[Finding]:
    hooks = next((array for array in reversed(arrays) if array.name == "HOOKS" and not array.adds), None)
    vfio = [word for array in arrays if array.name == "MODULES" for word in array.words if _is_vfio(word, host)]
    names = {word for array in arrays if array.name == "HOOKS" for word in array.words}
    files = [word for array in arrays if array.name == "FILES" for word in array.words]
    if hooks is None or not vfio or "modconf" in names or any(word.startswith("/etc/modprobe.d/") for word in files):
        return
    given = (
        entry
        for _boot, root in host.roots
        for entry in root.config.directives
        if entry.command == "options" and entry.source.path.startswith(SITE) and entry.arguments[0] in host.vfio_modules
    )
    entry = next(given, None)
    if entry is not None:
        said = f"{hooks.source}: HOOKS lacks modconf, so that the image does not get {entry.source.path}, and {vfio[0]} in it no options."
        yield Finding("no-modconf", hooks.source, f"{said} Write modconf behind udev or systemd, and run `mkinitcpio -P`.")


def _is_vfio(word: str, host: HostPolicy) -> bool:
    name = normalize_module_name(word)
    return name in host.vfio_modules or name.startswith("vfio")


def _arrays(host: HostPolicy) -> t.Iterator[Array]:
    for file in host.files.settings:
        if is_read_by(MKINITCPIO, file.path):
            for line, match in numbered_matches(ARRAY, file.text or "", "name"):
                words = tuple(word.strip("\"'?") for word in match["value"].split())
                yield Array(f"{file.path}:{line}", match["name"], match["operator"] == "+=", words)
