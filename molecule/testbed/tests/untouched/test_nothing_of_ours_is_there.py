# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before the first claim, and after the last one was given back: neither a policy nor a driver of ours."""

from __future__ import annotations

import typing as t


def test_no_policy_is_there(host: t.Any) -> None:
    assert host.check_output("grep -rl 'Managed by the vfio.variants collection' /etc || true") == ""
    # initramfs-tools brings the one, dracut the other.
    lister = "lsinitramfs" if host.exists("lsinitramfs") else "lsinitrd"
    held = host.check_output(f"{lister} /boot/initrd.img-$(uname -r)")
    assert "vfio-variants" not in held
    assert "modprobe.d" in held


def test_no_variant_is_installed(host: t.Any) -> None:
    assert "nvlink2gpu_vfio_pci" not in host.file(f"/lib/modules/{host.check_output('uname -r')}/modules.alias").content_string
