# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""udev rules that reach farther than meant: an override for every function, and lines that do not go on where they seem to."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_line import ABOUT_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_mistakes import SUFFIX

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rule

OF_ALL = ("ACTION", "SUBSYSTEM", "SUBSYSTEMS")
"""Keys that the events of all PCI functions agree with, or none."""
_BROKEN = re.compile(r"\\[ \t]+$")


def overrides_for_every_device(host: HostPolicy) -> t.Iterator[Finding]:
    """A rule that writes an override and asks for no device."""
    for _boot, root in host.roots:
        jumps = {rule.path for rule in root.rules.rules if rule.target is not None}
        for rule, driver in host.setting_overrides(root):
            if host.is_site(rule.path) and rule.path not in jumps and _asks_for_none(rule):
                said = f"{rule} sets driver_override={driver} for every PCI device, the host's own disks and network adapters among them."
                yield Finding("override-for-all", str(rule), f'{said} Add which it is for, such as KERNEL=="0000:01:00.0".')


def _asks_for_none(rule: Rule) -> bool:
    subsystems = (key.value for key in rule.keys if key.name == "SUBSYSTEM" and key.operator == "==")
    if any("pci" not in value and not re.search(r"[*?\[]", value) for value in subsystems):
        return False
    return all(key.name in OF_ALL for key in rule.keys if key.is_match or key.is_run)


def lines_that_do_not_go_on(host: HostPolicy) -> t.Iterator[Finding]:
    """A backslash that is not the last sign of its line, or of the file: rules_parse_file() in udev-rules.c."""
    for file in host.files.rules:
        text = file.text or ""
        if not host.is_site(file.path) or not file.name.endswith(SUFFIX) or not ABOUT_DRIVERS.search(text):
            continue
        lines = text.split("\n")
        last = max((number for number, line in enumerate(lines, 1) if line), default=0)
        for number, line in enumerate(lines, 1):
            source = f"{file.path}:{number}"
            if line.lstrip().startswith("#"):
                continue
            if _BROKEN.search(line) and number < last:
                said = (
                    f"{source}: a blank stands behind the backslash, so that the line does not go on: udev ignores it, and takes the next"
                )
                yield Finding(
                    "udev-continued", source, f"{said} one for a rule of its own, which may be for every device. Remove the blank."
                )
            elif line.endswith("\\") and number == last:
                said = f"{source}: the last line ends in a backslash, as if it went on, so udev ignores the rule."
                yield Finding("udev-continued", source, f"{said} Remove the backslash.")
