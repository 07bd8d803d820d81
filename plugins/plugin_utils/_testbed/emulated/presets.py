# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards by name: identities, classes, subsystems and BARs as public dumps of real ones show them, and where each of these comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PROFILES, PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import Bar, Capabilities
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.values import GIB, KIB, MIB, size_text

NVIDIA, AMD, MELLANOX, SAMSUNG = 0x10DE, 0x1002, 0x15B3, 0x144D
DISPLAY_3D, ACCELERATOR, ETHERNET, NVME = 0x030200, 0x120000, 0x020000, 0x010802
_KERNEL_LISTS = "kernel log on Linux' mailing lists"
# QEMU's own disk, which the guest's driver really drives; qemu/include/hw/pci/pci.h has its ID.
QEMU_NVME = PciFunction(0x1B36, 0x0010, class_code=NVME, revision=0x02)


@dataclass(frozen=True)
class Member:
    """One function of a preset, `emulated` by the collection, or made by QEMU where `model` names its device; then `emulated` only says
    what it is."""

    emulated: PciFunction
    model: str = ""
    suffix: str = ""


@dataclass(frozen=True)
class Preset:
    """`source` says where the IDs and the sizes of the BARs come from; `one_device`: its functions are those of one PCI device."""

    title: str
    members: tuple[Member, ...]
    source: str
    one_device: bool = False


def _card(
    identity: tuple[int, int], class_code: int, bars: tuple[Bar, ...], *, subsystem: tuple[int, int] = (0, 0), revision: int = 0
) -> PciFunction:
    """A function that does nothing behind its registers, with function level reset."""
    return PciFunction(*identity, *subsystem, class_code, revision, bars, capabilities=Capabilities(msi=1), flr=True)


def _memory(index: int, size: int) -> Bar:
    return Bar(index, size, "mem64", prefetchable=True)


_V100 = replace(PROFILES["v100-sxm2-16gb"], bars=(Bar(0, 16 * MIB), _memory(1, 16 * GIB), _memory(3, 32 * MIB)))
_A100_BARS = (Bar(0, 16 * MIB), _memory(1, 64 * GIB), _memory(3, 32 * MIB))
_A100 = _card((NVIDIA, 0x20F1), DISPLAY_3D, _A100_BARS, subsystem=(NVIDIA, 0x145F), revision=0xA1)
_GH100_BARS = (_memory(0, 16 * MIB), _memory(2, 128 * GIB), _memory(4, 32 * MIB))
_H100 = _card((NVIDIA, 0x2330), DISPLAY_3D, _GH100_BARS, subsystem=(NVIDIA, 0x16C1), revision=0xA1)
_GH200 = _card((NVIDIA, 0x2342), DISPLAY_3D, _GH100_BARS, revision=0xA1)
_MI300X = _card((AMD, 0x74A1), ACCELERATOR, (_memory(0, 256 * GIB), _memory(2, 2 * MIB), Bar(5, 512 * KIB)))
_CONNECTX7 = _card((MELLANOX, 0x1021), ETHERNET, (_memory(0, 32 * MIB),))
_CONNECTX_VF = _card((MELLANOX, 0x101E), ETHERNET, (_memory(0, 2 * MIB),))
_PM9A3 = _card((SAMSUNG, 0xA80A), NVME, (Bar(0, 16 * KIB, "mem64"),), subsystem=(SAMSUNG, 0xA813))

_OF_CONNECTX7 = (
    f"ID and class: kernel log of a DGX Spark; BAR: {_KERNEL_LISTS}, of a ConnectX-5 (15b3:1017), none of a ConnectX-7 was found"
)
PRESETS: dict[str, Preset] = {
    "v100": Preset("V100 SXM2 16 GB", (Member(_V100),), f"{_KERNEL_LISTS}, of a POWER9 with 10de:1db1"),
    "a100": Preset("A100 PCIe 40 GB", (Member(_A100),), "kernel log and lspci in kata-containers/kata-containers, pull request 4358"),
    "h100": Preset(
        "H100 SXM5 80 GB",
        (Member(_H100),),
        f"{_KERNEL_LISTS}, of a guest with 10de:2330; fastfetch-cli/fastfetch, issue 1658; subsystem: lspci in other programs' tests",
    ),
    "gh200": Preset(
        "GH200 480 GB",
        (Member(_GH200),),
        "ID: nvgrace_gpu_vfio_pci of Linux; BARs: as of the H100, whose chip it has; no dump with its subsystem was found",
    ),
    "mi300x": Preset(
        "Instinct MI300X",
        (Member(_MI300X),),
        "ID and class: lspci in AMD's guides; BARs: those that amdgpu uses, 0 as large as 192 GB need, 2 and 5 of another of its cards"
        " (ROCm/legacy-rocm-build, issue 787); no dump with its subsystem was found",
    ),
    "connectx7": Preset("ConnectX-7, one port", (Member(_CONNECTX7),), _OF_CONNECTX7),
    "connectx7-vf": Preset(
        "a function with the IDs of a ConnectX-7's virtual functions",
        (Member(_CONNECTX_VF),),
        f"{_KERNEL_LISTS}, of a guest with 15b3:101e",
    ),
    "connectx7-two-ports": Preset(
        "both ports of a ConnectX-7, which are one IOMMU group here",
        (Member(_CONNECTX7, suffix="port0"), Member(_CONNECTX7, suffix="port1")),
        _OF_CONNECTX7,
        one_device=True,
    ),
    "pm9a3": Preset("identity of a Samsung PM9A3", (Member(_PM9A3),), f"{_KERNEL_LISTS}, of cards with 144d:a80a; subsystem: pci.ids"),
    "nvme": Preset("an NVMe disk that works, QEMU's", (Member(QEMU_NVME, model="nvme"),), "QEMU's device nvme"),
    "two-v100": Preset(
        "two identical cards, in two slots",
        (Member(_V100, suffix="1"), Member(_V100, suffix="2")),
        f"{_KERNEL_LISTS}, of a POWER9 with 10de:1db1",
    ),
}


def bars_text(function: PciFunction) -> str:
    """Its BARs as a person reads them, such as "0: 16M, 1: 16G"."""
    return ", ".join(f"{region.index}: {size_text(region.size)}" for region in function.bars)


def rows() -> Iterator[tuple[str, ...]]:
    """For the guide: name, what it is, ID, class, subsystem, BARs, source."""
    for name, preset in PRESETS.items():
        one = preset.members[0]
        function = one.emulated
        subsystem = f"{function.subsystem_vendor:04x}:{function.subsystem_device:04x}" if function.subsystem_vendor else "-"
        bars = "QEMU's" if one.model else bars_text(function)
        identity = f"{function.vendor:04x}:{function.device:04x}"
        times = f" ({len(preset.members)} times)" if len(preset.members) > 1 else ""
        yield f"`{name}`", preset.title, f"{identity}{times}", f"{function.class_code:06x}", subsystem, bars, preset.source
