# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table of migration says of a kernel is what the kernel's headers declare."""

from __future__ import annotations

import migration_interface

INTERNAL = """\
struct vfio_device_ops {
    int    (*open_device)(struct vfio_device *vdev);
};
struct vfio_migration_ops {
    struct file *(*migration_set_state)(
        struct vfio_device *device,
        enum vfio_device_mig_state new_state);
    int (*migration_get_state)(struct vfio_device *device);
};
""".replace("    ", "\t")
PUBLIC = "#define VFIO_MIGRATION_P2P\t\t(1 << 1)\n#define VFIO_DEVICE_FEATURE_MIGRATION 1\n#define VFIO_DEVICE_FEATURE_LOW_POWER_EXIT 5\n"


def test_operations_modes_and_features_of_migration_are_found_and_no_others() -> None:
    assert migration_interface.declared(INTERNAL, PUBLIC) == [
        "vfio_migration_ops.migration_set_state",
        "vfio_migration_ops.migration_get_state",
        "VFIO_MIGRATION_P2P",
        "VFIO_DEVICE_FEATURE_MIGRATION",
    ]


def test_each_kernel_says_yes_or_no_to_what_any_of_them_has() -> None:
    assert migration_interface.rows({"6.1": ["a"], "7.3": ["a", "b"]})[2:] == ["| `a` | yes | yes |", "| `b` | no | yes |"]
