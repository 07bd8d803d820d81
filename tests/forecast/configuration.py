# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One boot, told as what an administrator can put on a disk and on a command line."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

#: The kernels that the guest boots, as series; matrix.py of the driver package's tests says where they come from.
SERIES = ("6.1", "6.12", "7.2", "7.3")

# What the initramfs does.
INITRAMFS_TOOLS = "initramfs-tools"
DRACUT = "dracut"
NO_COLDPLUG = "none"
FLOWS = (INITRAMFS_TOOLS, DRACUT, NO_COLDPLUG)

COMPRESSIONS = ("none", "gzip", "xz", "zstd", "lz4")


@dataclass(frozen=True)
class Configuration:
    """What is applied to a guest before it boots.

    ``root_files`` and ``image_files`` are texts by absolute path.  No file gets from the root into the image by itself:
    whoever draws the configuration decides whether the image is fresh or stale.  ``image_modules`` are names; what they
    depend on is added.  ``missing_modules`` are left out of the root's module tree, as a variant that was never built.
    """

    name: str
    series: str
    cmdline: tuple[str, ...] = ()
    root_files: t.Mapping[str, str] = field(default_factory=dict)
    image_files: t.Mapping[str, str] = field(default_factory=dict)
    image_modules: tuple[str, ...] = ()
    flow: str = INITRAMFS_TOOLS
    compression: str = "none"
    virtual_functions: int = 0
    missing_modules: tuple[str, ...] = ()
