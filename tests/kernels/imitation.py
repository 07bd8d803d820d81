# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers of kernels that Debian does not carry, made from those of one that it does.

A version is declared by what its headers differ in from a later one's, as far as a driver can see it, and by which of the
probe's switches must come out. The declarations are those of the tagged versions of Linux.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass
from pathlib import Path


class ImitationError(Exception):
    """The headers are not as the declarations here take them to be."""


@dataclass(frozen=True)
class Change:
    """`pattern`, which is there once in the header, becomes `text`."""

    header: str
    pattern: str
    text: str = ""


@dataclass(frozen=True)
class Version:
    """`series`: whose headers it is made from. `symbols`: what it exports and that kernel does not."""

    name: str
    series: str
    changes: tuple[Change, ...]
    switches: frozenset[str]
    symbols: frozenset[str] = frozenset()


_VFIO, _CORE, _PCI = "vfio.h", "vfio_pci_core.h", "pci.h"


def _function(header: str, name: str) -> Change:
    """A function's declaration goes."""
    return Change(header, rf"^[a-z][^;{{}}#/]*[ *\n]{name}\([^;{{}}]*\);\n")


def _operation(name: str) -> Change:
    """A member of struct vfio_device_ops goes."""
    return Change(_VFIO, rf"^\t\w+\s+\(\*{name}\)\([^;]*\);\n")


_BEFORE_6_19 = (
    _operation("get_region_info_caps"),
    _function(_CORE, "vfio_pci_ioctl_get_region_info"),
    _function(_CORE, "vfio_pci_vmf_insert_pfn"),
    Change(_CORE, r"^\tconst struct vfio_pci_device_ops \*pci_ops;\n"),
    Change(_CORE, r"^struct vfio_pci_device_ops \{.*?^\};\n"),
    Change(_CORE, r"^#if IS_ENABLED\(CONFIG_VFIO_PCI_DMABUF\)\nint vfio_pci_core_fill_phys_vec.*?^#endif\n"),
    # v7.2 took these away, the first for what is there now, and the other one for options of each device.
    Change(_CORE, r"^\tbool\s+disable_idle_d3:1;\n\tbool\s+nointxmask:1;\n\tbool\s+disable_vga:1;\n"),
    Change(
        _CORE,
        r"^static inline void __iomem __must_check \*\nvfio_pci_core_get_iomap\(.*?^\}\n",
        "int vfio_pci_core_setup_barmap(struct vfio_pci_core_device *vdev, int bar);\n"
        "void vfio_pci_core_set_params(bool nointxmask, bool is_disable_vga, bool is_disable_idle_d3);\n",
    ),
)
_BEFORE_6_9 = (
    _function(_CORE, "vfio_pci_core_do_io_rw"),
    _function(_CORE, "vfio_pci_core_range_intersect_range"),
)
_BEFORE_6_8 = (
    _function(_CORE, "vfio_pci_core_setup_barmap"),
    Change(_CORE, r"^#define VFIO_IOWRITE_DECLARATION.*^VFIO_IOREAD_DECLARATION\(64\)\n#endif\n"),
)
_BEFORE_6_1 = (
    Change(_CORE, r"^\tbool\s+pm_runtime_engaged;\n"),
    _operation("init"),
    _operation("release"),
    Change(
        _VFIO,
        r"^struct vfio_device \*_vfio_alloc_device\(.*?^static inline void vfio_put_device\(.*?^\}\n",
        "void vfio_init_group_dev(struct vfio_device *device, struct device *dev, const struct vfio_device_ops *ops);\n"
        "void vfio_uninit_group_dev(struct vfio_device *device);\n",
    ),
    Change(_CORE, r"\bvfio_pci_core_register_dev_region\(", "vfio_pci_register_dev_region("),
    Change(
        _CORE,
        r"^int vfio_pci_core_init_dev\(struct vfio_device \*core_vdev\);\n",
        "void vfio_pci_core_init_device(struct vfio_pci_core_device *vdev, struct pci_dev *pdev,\n"
        "\t\t\t       const struct vfio_device_ops *vfio_pci_ops);\n",
    ),
    Change(
        _CORE,
        r"^void vfio_pci_core_release_dev\(struct vfio_device \*core_vdev\);\n",
        "void vfio_pci_core_uninit_device(struct vfio_pci_core_device *vdev);\n",
    ),
)
_BEFORE_5_19 = (
    Change(_PCI, r"^\tbool driver_managed_dma;\n"),
    Change(
        _CORE,
        r"vfio_pci_core_sriov_configure\(struct vfio_pci_core_device \*vdev,\s*",
        "vfio_pci_core_sriov_configure(struct pci_dev *pdev, ",
    ),
)
_BEFORE_5_18 = (
    _operation("device_feature"),
    _function(_CORE, "vfio_pci_core_ioctl_feature"),
    _function(_VFIO, "vfio_mig_get_next_state"),
)

_SINCE_5_18 = frozenset({"VARIANT_HAVE_DEVICE_FEATURE"})
_SINCE_5_19 = _SINCE_5_18 | {"VARIANT_HAVE_DRIVER_MANAGED_DMA", "VARIANT_HAVE_SRIOV_CONFIGURE_CORE"}
_SINCE_6_1 = _SINCE_5_19 | {"VARIANT_HAVE_ALLOC_DEVICE", "VARIANT_HAVE_CORE_REGISTER_REGION", "VARIANT_HAVE_LOW_POWER"}
_SINCE_6_6 = _SINCE_6_1 | {
    "VARIANT_HAVE_BIND_IOMMUFD",
    "VARIANT_HAVE_VM_FLAGS_SET",
    "VARIANT_HAVE_DETACH_IOAS",
    "VARIANT_HAVE_MIGRATION_DATA_SIZE",
}
_SINCE_6_17 = _SINCE_6_6 | {"VARIANT_HAVE_PASID_ATTACH_IOAS", "VARIANT_HAVE_MATCH_TOKEN_UUID"}
_GONE_IN_6_1 = frozenset({"vfio_pci_core_init_device", "vfio_pci_core_uninit_device", "vfio_pci_register_dev_region"})

VERSIONS = (
    Version("5.15", "6.1", _BEFORE_6_1 + _BEFORE_5_19 + _BEFORE_5_18, frozenset(), _GONE_IN_6_1),
    Version("5.18", "6.1", _BEFORE_6_1 + _BEFORE_5_19, _SINCE_5_18, _GONE_IN_6_1),
    Version("6.0", "6.1", _BEFORE_6_1, _SINCE_5_19, _GONE_IN_6_1),
    Version("6.6", "6.12", _BEFORE_6_9 + _BEFORE_6_8, _SINCE_6_6),
    Version("6.8", "6.12", _BEFORE_6_9, _SINCE_6_6),
    Version("6.18", "7.2", _BEFORE_6_19, _SINCE_6_17),
)


def imitate(version: Version, include: Path) -> None:
    """Make the headers in the folder `include` of a kernel of `version.series` those of the version."""
    for name in dict.fromkeys(change.header for change in version.changes):
        path = include / "linux" / name
        path.write_text(changed(path.read_text(encoding="utf-8"), (c for c in version.changes if c.header == name)), encoding="utf-8")


def changed(text: str, changes: t.Iterable[Change]) -> str:
    """The header with all changes made; ImitationError when one does not fit exactly once."""
    for change in changes:
        text, count = re.subn(change.pattern, lambda _match, new=change.text: new, text, flags=re.MULTILINE | re.DOTALL)  # type: ignore[misc]
        if count != 1:
            raise ImitationError(f"{change.header} has {count} places like {change.pattern!r}, not one")
    return text
