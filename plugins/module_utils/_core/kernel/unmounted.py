# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Partitions with kernels or a boot loader that /etc/fstab mounts, and that are not mounted now: what is on them cannot be read."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import FSTAB, rows_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

PLACES = ("/boot", "/boot/efi", "/boot/firmware", "/efi")


def said(host: Host) -> tuple[str, ...]:
    """A sentence if there are any; known by folders with nothing in them."""
    try:
        rows = [(number, fields[1].rstrip("/")) for number, fields in rows_of(host, FSTAB)]
    except HostError:
        return ()
    found = [(number, place) for number, place in rows if place in PLACES and not host.names(place)]
    return tuple(f"{FSTAB}:{number} mounts a partition at {place}, which is empty now: mount it." for number, place in found[:1])
