# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which loader SUSE sets up, and whether sdbootutil makes its images and entries."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

SETTINGS = "/etc/sysconfig/bootloader"
GRUB_WITH_ENTRIES = "grub2-bls"
OF_SDBOOTUTIL = ("systemd-boot", GRUB_WITH_ENTRIES)
SDBOOTUTIL = "sdbootutil"


def has_sdbootutil(host: Host) -> bool:
    """Whether sdbootutil makes this host's images and entries."""
    return _loader(host) in OF_SDBOOTUTIL and host.which(SDBOOTUTIL) is not None


def has_grub_with_entries(host: Host) -> bool:
    """Whether it sets up a GRUB that has no grub.cfg and reads the entries on its own partition."""
    return _loader(host) == GRUB_WITH_ENTRIES and host.which(SDBOOTUTIL) is not None


def _loader(host: Host) -> str | None:
    return Assignments.parse(host.text_or_none(SETTINGS) or "").get("LOADER_TYPE")
