# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guide for another distribution has left behind: lists of modules for programs that this host does not have."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import DRACUT, INITRAMFS_MODULES, MKINITCPIO, is_read_by
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import SYSTEM_LIST, Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.ignored_lines import PUT_ASIDE

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

INITRAMFS_TOOLS, OF_DRACUT, OF_MKINITCPIO = "initramfs-tools", "dracut", "mkinitcpio"
INSTEAD = {
    INITRAMFS_TOOLS: f"{INITRAMFS_MODULES}, one in each line",
    OF_DRACUT: f'a file in {DRACUT[1]}, as `force_drivers+=" {{}} "`',
    OF_MKINITCPIO: f"{MKINITCPIO[0]}, as `MODULES=({{}})`",
}
LIST_FOLDER = "/etc/modules-load.d"
COMMENT = re.compile(r"#.*")


def settings_of_other_generators(host: HostPolicy) -> t.Iterator[Finding]:
    """Modules of VFIO in the settings of an initramfs generator that is not installed, where another one is."""
    files = host.files
    there = {INITRAMFS_TOOLS: files.initramfs_tools, OF_DRACUT: files.dracut, OF_MKINITCPIO: files.mkinitcpio}
    installed = next((name for name, is_there in there.items() if is_there), None)
    for file in (*files.settings, *files.lists) if installed is not None else ():
        owner = _owner(file.path)
        modules = _vfio(file.text or "", host) if owner is not None and not there[owner] and not PUT_ASIDE.search(file.name) else []
        if modules and installed is not None:
            said = f"{file.path}: nothing reads it, because {owner} is not installed, and {installed} makes this host's images."
            written = INSTEAD[installed].format(" ".join(modules))
            yield Finding("another-generator", file.path, f"{said} Write {' and '.join(modules)} into {written}.")


def lists_of_other_systems(host: HostPolicy) -> t.Iterator[Finding]:
    """/etc/modules is read where a link in modules-load.d leads to it, as on Debian, and by OpenRC and sysvinit."""
    own = next((file for file in host.files.lists if file.path == SYSTEM_LIST), None)
    is_of_systemd = (host.files.dracut or host.files.mkinitcpio) and not host.files.initramfs_tools
    if own is None or not is_of_systemd or any(file.directory == LIST_FOLDER and file.text == own.text for file in host.files.lists):
        return
    is_read = any(
        one.source.startswith(f"{SYSTEM_LIST}:")
        for _boot, root in host.roots
        for step in root.steps
        for work in step
        for one in getattr(work, "modules", ())
    )
    modules = [] if is_read else _vfio(own.text or "", host)
    if modules:
        said = f"{SYSTEM_LIST}: nothing reads it on this host, because no link in {LIST_FOLDER} leads to it."
        yield Finding(
            "another-generator", SYSTEM_LIST, f"{said} Write {' and '.join(modules)} into {LIST_FOLDER}/vfio.conf, one in each line."
        )


def _owner(path: str) -> str | None:
    if path == INITRAMFS_MODULES:
        return INITRAMFS_TOOLS
    if is_read_by(DRACUT, path):
        return OF_DRACUT
    return OF_MKINITCPIO if is_read_by(MKINITCPIO, path) else None


def _vfio(text: str, host: HostPolicy) -> list[str]:
    words = re.split(r"[\s,()\"'=]+", COMMENT.sub("", text))
    return [word for word in dict.fromkeys(words) if normalize_module_name(word) in host.vfio_modules]
