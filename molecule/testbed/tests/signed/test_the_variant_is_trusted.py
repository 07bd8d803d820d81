# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot that the claim has won under lockdown, with a driver that DKMS has signed."""

from __future__ import annotations

import typing as t


def test_the_driver_was_loaded_with_a_valid_signature(host: t.Any) -> None:
    assert "[integrity]" in host.file("/sys/kernel/security/lockdown").content_string
    assert host.check_output("modinfo -F signer nvlink2gpu_vfio_pci") == "DKMS module signing key"
    # "E" would say that its signature was not verified.
    assert host.file("/sys/module/nvlink2gpu_vfio_pci/taint").content_string.strip() == "O"


def test_the_next_boot_is_certain_as_well(host: t.Any, at: dict[str, str]) -> None:
    found = host.ansible("vfio.variants.device_info", "devices=10de:1db1 detail=full", check=False)["devices"][0]
    assert (found["address"], found["next_boot"]["winner"], found["next_boot"]["certainty"]) == (
        at["gpu"],
        "nvlink2gpu_vfio_pci",
        "certain",
    )


def test_the_private_key_is_readable_by_root_alone(host: t.Any) -> None:
    assert host.file("/var/lib/dkms/mok.key").mode == 0o600
