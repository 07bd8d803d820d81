# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices the drivers of several generations leave to others, at the ends of each range of numbers."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.declines import Match, refusal
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import SourceLine
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import Parameter
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.refusals import Setting
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver
from ansible_collections.vfio.variants.tests.unit.boots import device


def declined(setting: Setting, vendor: int, number: int, *natives: str) -> str | None:
    card = device(id=f"{vendor:04x}:{number:04x}")
    found = refusal(setting, Match(card, PciDriver(setting.module), frozenset(natives)))
    return None if found is None else found.fact


# include/drm/drm_pciids.h: the first and last number of each family.
@pytest.mark.parametrize(
    ("first", "last", "option"),
    [
        (0x6600, 0x663F, "si_support"),
        (0x6660, 0x667F, "si_support"),
        (0x6780, 0x679F, "si_support"),
        (0x6800, 0x683F, "si_support"),
        (0x1304, 0x131D, "cik_support"),
        (0x6640, 0x665F, "cik_support"),
        (0x67A0, 0x67BF, "cik_support"),
        (0x9830, 0x983F, "cik_support"),
        (0x9850, 0x985F, "cik_support"),
    ],
)
def test_amdgpu_leaves_old_islands_to_radeon(first: int, last: int, option: str) -> None:
    setting = Setting("amdgpu", "6.12.1", {}, present=lambda _module: True)
    found = {declined(setting, 0x1002, number) for number in (first, last)}
    assert found == {f"it leaves the device to radeon, unless {option}=1"}


@pytest.mark.parametrize("number", [0x65FF, 0x6680, 0x677F, 0x67C0, 0x67FF, 0x6840, 0x1303, 0x131E, 0x982F, 0x9840, 0x984F, 0x9860])
def test_it_takes_their_neighbours(number: int) -> None:
    assert declined(Setting("amdgpu", "6.12.1", {}, present=lambda _module: True), 0x1002, number) is None


# drivers/scsi/mpt3sas/mpi/mpi2_cnfg.h: MPI2_MFGPAGE_DEVID_*
@pytest.mark.parametrize("number", [0x64, 0x65, 0x6E, 0x70, 0x72, 0x74, 0x76, 0x77, 0x7E, *range(0x80, 0x88), 0x2B0, 0x2B1])
def test_mpt3sas_can_be_told_to_take_one_generation_of_adapters(number: int) -> None:
    def asked(value: str, which: int) -> str | None:
        given = Parameter("hbas_to_enumerate", value, f"hbas_to_enumerate={value}", SourceLine("a.conf", 1))
        return declined(Setting("mpt3sas", "6.12.1", {"hbas_to_enumerate": given}), 0x1000, which)

    assert (asked("0", number), asked("1", number)) == (None, None)
    assert asked("2", number) is not None
    assert (asked("1", 0x97) is None, asked("2", 0x97)) == (False, None)


@pytest.mark.parametrize("number", [0x4905, 0x4906, 0x4907, 0x4908, 0x4909, 0x56C0, 0x56C1, 0x56C2])
def test_i915_takes_some_on_request_only(number: int) -> None:
    assert declined(Setting("i915", "6.12.1", {}), 0x8086, number) == "it takes this device only with force_probe="
    assert declined(Setting("i915", "6.12.1", {}), 0x8086, 0x56A0) is None


@pytest.mark.parametrize(("revision", "taker"), [(0x10, "8139too"), (0x1F, "8139too"), (0x20, "8139cp"), (0x21, "8139cp")])
def test_the_two_drivers_of_one_network_chip_take_different_revisions(revision: int, taker: str) -> None:
    card = device(id="10ec:8139", revision=revision, class_code=0x020000)
    natives = frozenset(("8139cp", "8139too"))
    taking = {name for name in natives if refusal(Setting(name, "6.12.1", {}), Match(card, PciDriver(name), natives)) is None}
    assert taking == {taker}


@pytest.mark.parametrize(("module", "vendor", "number"), [("8139cp", 0x0357, 0x000A), ("8139too", 0x10EC, 0x8138)])
def test_the_revision_of_their_other_chips_does_not_count(module: str, vendor: int, number: int) -> None:
    assert declined(Setting(module, "6.12.1", {}), vendor, number) is None
