# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the mounted partitions the next boot's loader reads, where a host has several EFI system partitions.

A loader reads the one that it was started from, and the extended boot loader partition.  (systemd: main() in src/boot/boot.c)
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import firmware
from ansible_collections.vfio.variants.plugins.module_utils._core.host.mounts import mounted
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

UDEV = "/run/udev/data"
TYPE, NAME = "e:id_part_entry_type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "e:id_part_entry_uuid="
"""In small letters, the type of an EFI system partition (uapi-group.org, Discoverable Partitions), and what stands before its GUID."""


def read_at_boot(host: Host, places: tuple[str, ...]) -> tuple[str, ...]:
    """These places without those of which udev knows that they are other EFI system partitions."""
    own = _started_from(host)
    if not own:
        return places
    # Of what is mounted at one place the last counts.
    numbers = {one.place: one.number for one in mounted(host) if one.place in places and one.kind != "autofs"}
    return tuple(place for place in places if place not in numbers or not _is_another(host, numbers[place], own))


def _started_from(host: Host) -> str:
    """The GUID of the partition that the firmware starts the next loader from; empty if neither it nor the loader tells."""
    choice = firmware.next_choice(host)
    if choice is not None and (choice.option.partition or not choice.is_current):
        return choice.option.partition
    return (efi_variables.text(host, "LoaderDevicePartUUID") or "").lower()


def _is_another(host: Host, number: str, own: str) -> bool:
    known = (host.text_or_none(f"{UDEV}/b{number}") or "").lower().splitlines()
    return TYPE in known and f"{NAME}{own}" not in known and any(line.startswith(NAME) for line in known)
