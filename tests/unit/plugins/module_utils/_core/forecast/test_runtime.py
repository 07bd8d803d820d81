# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What driverctl's units do, step by step (set_override() in its script)."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, Assigned, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.effects import NewId, ProbeNow, SetOverride, Unbind
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.probing import LoadRequest, Modprobe
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.runtime import NO_DRIVER, jobs_of, may_fail
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciId
from ansible_collections.vfio.variants.tests.unit.boots import boot, device, stage

CARD = device()
FILE = "/etc/driverctl.d/pci-0000:01:00.0"
WRITES = ["Unbind", "SetOverride", "ProbeNow"]


def steps(driver: str, modprobe: str = "", **later: t.Any) -> list[str]:
    """The unit's effects by their kinds; a module that is loaded by its name."""
    whole = boot(modprobe=modprobe)
    assigned = Later(driverctl={CARD.address: Assigned(driver, FILE), "0000:0f:00.0": Assigned(driver, FILE)}, **later)
    (job,) = jobs_of(assigned, Modprobe(whole, whole.stages[0], frozenset()), {CARD.address: CARD})
    return [one.module if isinstance(one, LoadRequest) else type(one).__name__ for one in job.effects]


@pytest.mark.parametrize(
    ("driver", "modprobe", "found"),
    [
        ("vfio-pci", "", ["vfio_pci", *WRITES]),
        ("none", "", WRITES),
        ("", "", WRITES),
        ("no-such", "", []),
        ("vfio-pci", "install vfio-pci /bin/false\n", ["vfio_pci"]),
        ("vfio-pci", "install vfio-pci /bin/true\n", ["vfio_pci", *WRITES]),
        ("both", "alias both nouveau\nalias both e1000e\n", ["nouveau", "e1000e", *WRITES]),
        ("both", "alias both nouveau\nalias both e1000e\ninstall e1000e /bin/false\n", ["nouveau", "e1000e"]),
        ("vfio-pci", "blacklist vfio-pci\n", ["vfio_pci", *WRITES]),
    ],
)
def test_the_driver_is_loaded_and_the_device_moved_unless_loading_fails(driver: str, modprobe: str, found: list[str]) -> None:
    assert steps(driver, modprobe) == found


def test_older_versions_give_vfio_pci_the_devices_id() -> None:
    assert steps("vfio-pci", driverctl_adds_ids=True) == ["vfio_pci", "Unbind", "SetOverride", "NewId", "ProbeNow"]
    assert steps("nouveau", driverctl_adds_ids=True) == ["nouveau", *WRITES]


def test_the_device_that_its_file_names_is_meant() -> None:
    whole = boot()
    later = Later(driverctl={CARD.address: Assigned("", FILE)}, driverctl_adds_ids=True)
    (job,) = jobs_of(later, Modprobe(whole, whole.stages[0], frozenset()), {CARD.address: CARD})
    unbind, override, probe = job.effects
    assert isinstance(unbind, Unbind)
    assert isinstance(override, SetOverride)
    assert isinstance(probe, ProbeNow)
    assert {unbind.address, override.address, probe.address} == {CARD.address}
    assert (unbind.driver, override.driver) == (None, None)
    assert str(probe.because) == f"{FILE}: driverctl binds {CARD.address} to any driver"
    vfio = Later(driverctl={CARD.address: Assigned("vfio-pci", FILE)}, driverctl_adds_ids=True)
    (job,) = jobs_of(vfio, Modprobe(whole, whole.stages[0], frozenset()), {CARD.address: CARD})
    assert [(one.driver, one.id) for one in job.effects if isinstance(one, NewId)] == [("vfio-pci", PciId(0x10DE, 0x1DB1))]


def test_a_driver_that_its_file_names_is_named() -> None:
    whole = boot()
    later = Later(driverctl={CARD.address: Assigned("vfio-pci", FILE)})
    (job,) = jobs_of(later, Modprobe(whole, whole.stages[0], frozenset()), {CARD.address: CARD})
    assert [str(one.because) for one in job.effects if isinstance(one, ProbeNow)] == [f"{FILE}: driverctl binds {CARD.address} to vfio-pci"]


COLDPLUG = {"/usr/lib/udev/rules.d/80-drivers.rules": 'ACTION=="add", ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\n'}


@pytest.mark.parametrize(
    ("install", "keeps"),
    [
        ("/usr/local/sbin/prepare", True),
        ("/sbin/modprobe vfio-pci; /sbin/modprobe --ignore-install vfio_pci", True),
        ("/bin/sh -c 'echo 0000:02:00.0 >/sys/bus/pci/drivers/nouveau/unbind'", True),
        ("/bin/false", True),
        ("/bin/true", False),
    ],
)
def test_where_the_command_that_loads_the_driver_may_fail_the_device_may_keep_the_one_that_it_had(install: str, keeps: bool) -> None:
    first = stage(INITRAMFS, rules=COLDPLUG)
    second = stage(rules=COLDPLUG, modprobe=f"install vfio_pci {install}\n")
    later = Later(driverctl={CARD.address: Assigned("vfio-pci", FILE)})
    winner = forecast((CARD,), boot(first, second, later=later))[CARD.address]
    assert ("nouveau" in winner.outcomes) is keeps


@pytest.mark.parametrize(
    ("driver", "install", "doubts"),
    [
        ("vfio-pci", "/usr/local/sbin/prepare", 1),
        ("vfio-pci", "/bin/true", 0),
        # What fails for certain leaves nothing open.
        ("vfio-pci", "/bin/false", 0),
        ("nouveau", "/usr/local/sbin/prepare", 0),
        (NO_DRIVER, "/usr/local/sbin/prepare", 0),
        ("", "/usr/local/sbin/prepare", 0),
    ],
)
def test_only_the_command_of_the_driver_that_is_assigned_may_fail(driver: str, install: str, doubts: int) -> None:
    whole = boot(modprobe=f"install vfio_pci {install}\ninstall {NO_DRIVER} /usr/local/sbin/prepare\n")
    later = Later(driverctl={CARD.address: Assigned(driver, FILE)})
    assert len(may_fail(later, Modprobe(whole, whole.stages[0], frozenset()), CARD.address)) == doubts
