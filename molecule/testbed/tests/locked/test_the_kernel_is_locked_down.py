# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secure Boot is on in the machine, and the kernel was started by signed programs alone."""

from __future__ import annotations

import typing as t


def test_secure_boot_is_on(host: t.Any) -> None:
    content = host.check_output("od -An -tu1 /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c").split()
    assert content[4:] == ["1"]
    assert "[integrity]" in host.file("/sys/kernel/security/lockdown").content_string


def test_shim_has_handed_over_debians_key_and_no_other(host: t.Any) -> None:
    listed = host.file("/sys/firmware/efi/mok-variables/MokListRT").content
    assert b"Debian Secure Boot CA" in listed
    assert b"DKMS module signing key" not in listed
