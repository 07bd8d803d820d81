# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers with one mistake each, and the case that has to notice it: a check that never fails proves nothing."""

from __future__ import annotations

import re
import shutil
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

_GPU, _NPU = "nvlink2gpu_vfio_pci.c", "npu2_vfio_pci.c"
_FIRMWARE, _COMPAT, _IDS = "nvlink2_firmware.h", "variant_compat.h", "variant_ids.h"
_LEAKS = "60-openings"
_WITH_COUNTER = "80-faults"
# Declared where it is used: the driver has no business with the network's headers.
_KEEPS_SKB = "{ extern void *__alloc_skb(unsigned int, gfp_t, int, int); (void)!__alloc_skb(8, GFP_KERNEL, 0, NUMA_NO_NODE); }"
_PLAIN_TABLE = "#undef PCI_DRIVER_OVERRIDE_DEVICE_VFIO\n#define PCI_DRIVER_OVERRIDE_DEVICE_VFIO PCI_DEVICE\n"


@dataclass(frozen=True)
class Mutant:
    """``pattern``: what the mistake stands in the place of; it is found exactly once in the file."""

    mistake: str
    case: str
    file: str
    pattern: str
    mistaken: str

    @property
    def needs_counter(self) -> bool:
        return self.case == _WITH_COUNTER

    def make(self, source: Path, target: Path) -> Path:
        """The package `source` with this mistake, in the new folder `target`."""
        shutil.copytree(source, target)
        file = target / self.file
        text, count = re.subn(self.pattern, self.mistaken, file.read_text(encoding="utf-8"), flags=re.DOTALL)
        if count != 1:
            raise HostError(f"{self.file} has {count} places, and not one, where {self.mistake!r} can be made.")
        file.write_text(text, encoding="utf-8")
        return target


MUTANTS: t.Final = (
    Mutant("the table matches without an override", "10-match-table", _COMPAT, r"(?=#endif /\* VARIANT_COMPAT_H)", _PLAIN_TABLE),
    Mutant("ids= is forgotten", "10-match-table", _IDS, r"if \(\*entry\)", "if (0)"),
    Mutant("a wrong word of nvlink= is taken", "20-plain-device", "nvlink2_parameter.h", r"return -EINVAL;", "return 0;"),
    Mutant("the kernel keeps the DMA", "20-plain-device", _COMPAT, r"(driver_managed_dma\t=) true", r"\1 false"),
    Mutant("a link that is not set up is used", "30-memory", _FIRMWARE, r"!nvlink2_is_set_up\(other_end\)", "false"),
    Mutant("nvlink=off is forgotten", "30-memory", _FIRMWARE, r"nvlink2_mode == NVLINK2_OFF \|\| ", ""),
    Mutant("a read is not cut at the end", "30-memory", _GPU, r"count = min_t\(size_t, count, gpu->ram_size - pos\);", ""),
    Mutant("a second mapping is let in", "30-memory", _GPU, r"if \(atomic_cmpxchg\(&gpu->mappings, 0, 1\)\)", "if (0)"),
    Mutant("a mapping's end is missed", "30-memory", _GPU, r"atomic_dec\(&gpu->mappings\);", ""),
    Mutant("a part of a mapping is not counted", "30-memory", _GPU, r"atomic_inc\(&gpu->mappings\);", ""),
    Mutant("a mapping's offset is forgotten", "30-memory", _GPU, r"PHYS_PFN\(gpu->ram\) \+ page", "PHYS_PFN(gpu->ram)"),
    Mutant("a mapping is as long as one likes", "30-memory", _GPU, r"if \(first >= pages [^{]*?- first\)", "if (0)"),
    Mutant("a child inherits the mapping", "30-memory", _GPU, r" \| VM_DONTCOPY", ""),
    Mutant("a reset leaves the mapping", "30-memory", _GPU, r"\tif \(gpu->space\)\n\t\tunmap_mapping_range\(.*?true\);", ""),
    Mutant("a fault does not wait for a reset", "30-memory", _GPU, r"barred = gpu->barred;", "barred = false;"),
    Mutant(
        "low power leaves the mapping", "30-memory", _GPU, r"nvlink2gpu_bar\(gpu\);(\n\tret = vfio_pci_core_ioctl)", r"gpu->barred++;\1"
    ),
    Mutant("D3hot leaves the mapping", "30-memory", _GPU, r"if \(variant_is_asleep\(&gpu->core\)\) \{", "if (0) {"),
    Mutant("a sleeping GPU is mapped", "30-memory", _GPU, r"!barred && variant_is_asleep\(&gpu->core\)", "0"),
    Mutant("the GPU's address is forgotten", "30-memory", _GPU, r"\.tgt\t\t= nvlink2gpu_of\(core\)->tgt", ".tgt = 0"),
    Mutant("each link takes the first register", "40-registers", _NPU, r"if \(link >= count\)", "if (1)"),
    Mutant("a bridge of fewer registers has none", "40-registers", _NPU, r"\t\tlink = 0;", "\t\tgoto out_free;"),
    Mutant("the link's speed is forgotten", "40-registers", _NPU, r"\.link_speed\t= npu->speed", ".link_speed = 0"),
    Mutant("a part of a page is handed out", "50-broken-descriptions", _FIRMWARE, r"!IS_ALIGNED\(start \| size, PAGE_SIZE\) \|\|", ""),
    Mutant("the kernel's memory is handed out", "50-broken-descriptions", _FIRMWARE, r"if \(region_intersects.*?DISJOINT\)", "if (0)"),
    Mutant("an opening keeps an object", _LEAKS, _NPU, r"\tkfree\(registers\);", ""),
    Mutant("an opening keeps a small object", _LEAKS, _NPU, r"(\tkfree\(registers\);)", r"\1 (void)!kmalloc(8, GFP_KERNEL);"),
    Mutant("an opening keeps more than a cache gives", _LEAKS, _NPU, r"(\tkfree\(registers\);)", r"\1 (void)!kmalloc(16384, GFP_KERNEL);"),
    Mutant("an opening keeps an object of a cache of its own", _LEAKS, _GPU, r"(\tmemunmap\(page\);)", rf"\1 {_KEEPS_SKB}"),
    Mutant("an opening keeps a page", _LEAKS, _GPU, r"(\tmemunmap\(page\);)", r"\1 (void)alloc_page(GFP_KERNEL);"),
    Mutant("an opening keeps a mapping", _LEAKS, _GPU, r"\tmemunmap\(page\);", ""),
    Mutant("a failed registration keeps the device", _WITH_COUNTER, _COMPAT, r"\tif \(ret\)\n\t\tvariant_put_device\(core\);", ""),
    Mutant("a failed opening leaves the device enabled", _WITH_COUNTER, _COMPAT, r"vfio_pci_core_disable\(core\);", ";"),
    Mutant("a failed copy leaves the page mapped", _WITH_COUNTER, _GPU, r"\tmemunmap\(page\);", "\tif (!left)\n\t\tmemunmap(page);"),
    Mutant("a register stays mapped", _WITH_COUNTER, _NPU, r"\tiounmap\(page\);", ""),
    Mutant("the other end is not put", _WITH_COUNTER, _FIRMWARE, r"\tput_device\(function\);", ""),
    Mutant("a failed mapping is an error that nobody knows", _WITH_COUNTER, _GPU, r"return -ENOMEM;", "return -EIO;"),
)
