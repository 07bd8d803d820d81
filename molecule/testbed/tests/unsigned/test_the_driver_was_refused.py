# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot after an unsigned driver was installed: what was predicted has come."""

from __future__ import annotations

import typing as t


def test_the_sound_card_has_no_driver(host: t.Any, owner: t.Callable[[str], str]) -> None:
    assert "snd_hda_intel" in host.file("/etc/unsigned-modules").content_string
    assert owner("sound") == ""
    assert "rejected" in host.check_output("dmesg")


def test_the_network_card_has_the_driver_that_the_initramfs_still_had(owner: t.Callable[[str], str]) -> None:
    assert owner("nic") == "e1000e"


def test_the_key_is_enrolled_now(host: t.Any) -> None:
    assert b"DKMS module signing key" in host.file("/sys/firmware/efi/mok-variables/MokListRT").content
