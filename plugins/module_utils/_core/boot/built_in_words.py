# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line that a kernel was built with, and what it makes of the boot loader's.

(arch/x86/kernel/setup.c, setup_arch(); drivers/of/fdt.c, early_init_dt_scan_chosen(); arch/arm64 has no CMDLINE_EXTEND)
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import kernel_config
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE, Cmdline

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

_LINE = re.compile(r'^CONFIG_CMDLINE="((?:[^"\\]|\\.)*)"$', re.MULTILINE)
_OPTION = re.compile(r"^CONFIG_(CMDLINE_\w+|BOOT_CONFIG\w*)=y$", re.MULTILINE)
_REPLACES = frozenset(("CMDLINE_OVERRIDE", "CMDLINE_FORCE"))
SOURCE = "the kernel's own CONFIG_CMDLINE"


def with_built_in_words(host: Host, entry: BootEntry) -> BootEntry:
    """The entry with the arguments that its kernel was built with; what the running kernel says that it was given has them already."""
    if entry.source == CMDLINE:
        return entry
    config = kernel_config(host, entry.release) or ""
    options = frozenset(_OPTION.findall(config))
    line = _LINE.search(config)
    own = Cmdline.parse(re.sub(r"\\(.)", r"\1", line[1])).arguments if line else ()
    if "BOOT_CONFIG_EMBED" in options and ("BOOT_CONFIG_FORCE" in options or "bootconfig" in entry.cmdline.arguments):
        entry = entry.doubted((f"Kernel {entry.release} has a boot configuration built in, which gives it further arguments.",))
    if not own:
        return entry
    given = entry.cmdline.arguments
    if options & _REPLACES:
        whole = own
    elif "CMDLINE_BOOL" in options:
        whole = (*own, *given)
    elif "CMDLINE_EXTEND" in options:
        whole = (*given, *own)
    else:
        whole = given or own
    return entry if whole == given else dataclasses.replace(entry, cmdline=Cmdline(whole), edited=(*entry.edited, SOURCE))
