# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that nothing reads, because of their name or their directory's."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.ignored_lines import DIRECTIVE, PUT_ASIDE
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.misread_lists import names_a_module
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_mistakes import is_about_drivers

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

SUFFIX = ".rules"
OLD_DIRECTORY = re.compile(r"(?:~|[./-](?:bak|backup|dis|disabled|dpkg-\w+|old|off|orig|save|sample|examples?))$")
UDEV, RULES = "/etc/udev/", "/etc/udev/rules.d"
MODPROBE, LISTS, SAVED = "/etc/modprobe.d", "/etc/modules-load.d", "/etc/driverctl.d"


def rules_that_udev_does_not_read(host: HostPolicy) -> t.Iterator[Finding]:
    """A file with rules about drivers whose name does not end in `.rules`."""
    for file in host.files.rules:
        if file.name.endswith(SUFFIX) or PUT_ASIDE.search(file.name) or not is_about_drivers(file.text or ""):
            continue
        said = f"{file.path}: udev does not read it, because its name does not end in {SUFFIX}."
        stem = re.sub(r"(?:\.rules?)?(?:\.(?:conf|rule))?$", "", file.path)
        yield Finding("no-rules-suffix", file.path, f"{said} Rename it to {stem}{SUFFIX}, or remove it.")


def files_in_misspelt_directories(host: HostPolicy) -> t.Iterator[Finding]:
    """A file of the policy in /etc/modeprobe.d, /etc/udev/rules and the like."""
    for file in host.files.strays:
        text = file.text or ""
        meant = None
        if PUT_ASIDE.search(file.name) or OLD_DIRECTORY.search(file.directory):
            continue
        if file.directory.startswith(UDEV.rstrip("/")) and is_about_drivers(text):
            meant = RULES
        elif not file.directory.startswith(UDEV.rstrip("/")):
            meant = _meant(text, file.path, host)
        if meant is not None:
            itself = " itself" if file.directory.startswith(f"{meant}/") else ""
            said = f"{file.path}: nothing reads it, because it is not in {meant}{itself}."
            yield Finding("misspelt-directory", file.path, f"{said} Move it there.")


def _meant(text: str, path: str, host: HostPolicy) -> str | None:
    if re.search(r"ctr?l", posixpath.basename(posixpath.dirname(path))):
        return SAVED if text.strip() else None
    if DIRECTIVE.search(text):
        return MODPROBE
    return LISTS if "module" in path and names_a_module(text, host) else None
