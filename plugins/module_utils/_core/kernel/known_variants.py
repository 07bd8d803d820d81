# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The devices of the kernel's own variants.  Written by tests/unit/variant_table.py from the ID tables of kernels' sources."""

from __future__ import annotations

READ = ("6.1.176", "6.12.117", "7.2.12", "7.3.4")
"""The versions of Linux that were read: a driver of the first of them may be older than that."""
DEVICES = (
    (0x1014, 0x04ED, "ism_vfio_pci", "7.2"),
    (0x10DE, 0x2342, "nvgrace_gpu_vfio_pci", "6.12"),
    (0x10DE, 0x2345, "nvgrace_gpu_vfio_pci", "6.12"),
    (0x10DE, 0x2348, "nvgrace_gpu_vfio_pci", "7.2"),
    (0x10DE, 0x2941, "nvgrace_gpu_vfio_pci", "7.2"),
    (0x10DE, 0x31C2, "nvgrace_gpu_vfio_pci", "7.2"),
    (0x15B3, 0x101E, "mlx5_vfio_pci", "6.1"),
    (0x19E5, 0xA251, "hisi_acc_vfio_pci", "6.1"),
    (0x19E5, 0xA256, "hisi_acc_vfio_pci", "6.1"),
    (0x19E5, 0xA259, "hisi_acc_vfio_pci", "6.1"),
    (0x1AF4, 0x1041, "virtio_vfio_pci", "6.12"),
    (0x1AF4, 0x1042, "virtio_vfio_pci", "7.2"),
    (0x1DD8, 0x1003, "pds_vfio_pci", "6.12"),
    (0x8086, 0x4941, "qat_vfio_pci", "6.12"),
    (0x8086, 0x4943, "qat_vfio_pci", "6.12"),
    (0x8086, 0x4945, "qat_vfio_pci", "6.12"),
    (0x8086, 0x4947, "qat_vfio_pci", "7.2"),
    (0x8086, 0x4949, "qat_vfio_pci", "7.2"),
    (0x8086, 0xB080, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB081, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB082, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB083, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB084, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB085, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB086, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB087, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB08F, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB090, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB0A0, "xe_vfio_pci", "7.2"),
    (0x8086, 0xB0B0, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE202, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE209, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE20B, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE20C, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE20D, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE210, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE211, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE212, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE216, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE220, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE221, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE222, "xe_vfio_pci", "7.2"),
    (0x8086, 0xE223, "xe_vfio_pci", "7.2"),
    (0x8086, 0xFD80, "xe_vfio_pci", "7.2"),
    (0x8086, 0xFD81, "xe_vfio_pci", "7.2"),
)
"""Vendor, device, module, and the first series of those versions whose driver has the ID."""
