# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own VFIO tests, built from Debian's source of the kernel that runs, pass on a card that the variant has.

They know five ways into the IOMMU.  Debian's kernels are built without IOMMUFD and offer two: VFIO's type 1 container and its
second version.
"""

from __future__ import annotations

import re
import typing as t

import pytest

from ansible_collections.vfio.variants.molecule.testbed.tests.recent_clients import selftest_sources

PLACE = "/root/selftests"
MODES = ("vfio_type1_iommu", "vfio_type1v2_iommu")
CASES = {
    "vfio_dma_mapping_test": (
        *(f"vfio_dma_mapping_test.{mode}_{memory}.dma_map_unmap" for mode in MODES for memory in ("anonymous", "anonymous_hugetlb_2mb")),
        *(f"vfio_dma_map_limit_test.{mode}.{case}" for mode in MODES for case in ("unmap_range", "unmap_all", "overflow")),
    ),
    "vfio_dma_mapping_mmio_test": tuple(
        f"vfio_dma_mapping_mmio_test.{mode}.{case}" for mode in MODES for case in ("map_full_bar", "map_partial_bar", "map_bar_misaligned")
    ),
    "vfio_pci_device_test": (
        *(f"vfio_pci_device_test.{case}" for case in ("config_space_read_write", "validate_bars", "reset")),
        "vfio_pci_irq_test.msi.enable_trigger_disable",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def built(host: t.Any) -> None:
    """The programs, built in the machine, and memory for the cases that map huge pages."""
    release = re.match(r"\d+\.\d+", host.check_output("uname -r"))
    assert release
    packed = selftest_sources.archive(release[0], "trixie-backports")
    host.check_output(f"mkdir --parents {PLACE}/out")
    host.ansible("ansible.builtin.unarchive", f"src={packed} dest={PLACE}", check=False)
    host.check_output(f"gcc -c -o {PLACE}/iommu_mode.o {PLACE}/iommu_mode.c")
    make = f"timeout 400 make -s -j2 -C {PLACE}/{selftest_sources.FOLDER} OUTPUT={PLACE}/out"
    host.check_output(f"env LDLIBS={PLACE}/iommu_mode.o {make} {' '.join(f'{PLACE}/out/{program}' for program in CASES)}")
    host.check_output("sysctl vm.nr_hugepages=4")


@pytest.mark.parametrize("program", CASES)
def test_all_cases_pass(host: t.Any, at: dict[str, str], program: str) -> None:
    cases = " ".join(f"-r {case}" for case in CASES[program])
    done = host.run(f"timeout 240 {PLACE}/out/{program} {cases} %s", at["gpu"])
    assert (done.rc, sorted(re.findall(r"^ok \d+ (\S+)$", done.stdout, re.MULTILINE))) == (0, sorted(CASES[program])), done.stdout
