# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's boot sector and core image, placed without running grub-install."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.grub import (
    core_image_at,
    first_configuration,
    mbr_with_boot_code,
    newest_first,
)

BOOT = bytes(range(256)) * 2
MBR = bytes(440) + b"DISKSIG!" + b"T" * 62 + b"\x55\xaa"


def test_the_boot_sector_keeps_the_disks_partition_table_and_grubs_code() -> None:
    sector = mbr_with_boot_code(BOOT, MBR, 2048)
    assert len(sector) == 512
    assert sector[440:] == MBR[440:]
    assert sector[:3] == BOOT[:3]
    assert sector[0x68:440] == BOOT[0x68:440]


def test_the_boot_sector_names_the_sector_of_the_core_image_and_the_drive_of_the_bios() -> None:
    sector = mbr_with_boot_code(BOOT, MBR, 0x1_2345_6789)
    assert struct.unpack_from("<Q", sector, 0x5C) == (0x1_2345_6789,)
    assert sector[0x64] == 0xFF
    assert sector[0x66:0x68] == b"\x90\x90"


def test_boot_code_of_another_size_is_refused() -> None:
    with pytest.raises(HostError, match="511"):
        mbr_with_boot_code(bytes(511), MBR, 2048)


@pytest.mark.parametrize(("size", "sectors"), [(513, 2), (1024, 2), (30_000, 59)])
def test_the_core_image_says_that_its_rest_follows_its_first_sector(size: int, sectors: int) -> None:
    image = core_image_at(bytes([7]) * size, 2048, 2048)
    assert len(image) == sectors * 512
    assert struct.unpack_from("<QHH", image, 500) == (2049, sectors - 1, 0x820)
    assert image[:500] == bytes([7]) * 500
    assert image[512:size] == bytes([7]) * (size - 512)


@pytest.mark.parametrize("size", [512, 2048 * 512 + 1])
def test_a_core_image_that_cannot_fit_is_refused(size: int) -> None:
    with pytest.raises(HostError, match="BIOS boot partition has 2048"):
        core_image_at(bytes(size), 2048, 2048)


def test_kernels_are_ordered_by_version_and_not_by_letter() -> None:
    releases = ["6.1.0-9-amd64", "6.12.107+deb13-amd64", "6.1.0-41-amd64", "7.2.3+deb13-amd64"]
    assert newest_first(releases) == ("7.2.3+deb13-amd64", "6.12.107+deb13-amd64", "6.1.0-41-amd64", "6.1.0-9-amd64")


def test_a_released_kernel_is_newer_than_its_candidates() -> None:
    assert newest_first(["6.1-rc2-amd64", "6.1.0-1-amd64"])[0] == "6.1.0-1-amd64"


def test_the_first_configuration_boots_the_first_kernel_at_once() -> None:
    text = first_configuration(("6.12-a", "6.1-b"), "u-u-i-d", ("console=ttyS0", "quiet"))
    assert text.startswith("set timeout=0\nsearch --no-floppy --fs-uuid --set=root u-u-i-d\n")
    assert text.index("\tlinux /boot/vmlinuz-6.12-a root=UUID=u-u-i-d ro console=ttyS0 quiet\n") < text.index("6.1-b")
    assert "\tinitrd /boot/initrd.img-6.12-a\n" in text
