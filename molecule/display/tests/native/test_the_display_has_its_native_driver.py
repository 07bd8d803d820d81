# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot that nothing of ours touches."""

from __future__ import annotations

import typing as t


def test_it_is_the_display_of_the_firmware(host: t.Any, display: str, owner: t.Callable[[], str]) -> None:
    host.check_output("udevadm settle --timeout=120")
    assert host.file("/sys/firmware/efi").is_directory
    assert host.file(f"/sys/bus/pci/devices/{display}/boot_vga").exists == (host.backend.host == "vga-display")
    assert owner() == "bochs-drm"


def test_it_is_kept_for_the_console(claim: t.Callable[..., dict[str, t.Any]], owner: t.Callable[[], str]) -> None:
    answer = claim()
    assert "console" in answer["msg"]
    assert owner() == "bochs-drm"
