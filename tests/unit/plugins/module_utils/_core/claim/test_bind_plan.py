# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which functions are rebound, and which stay as they are."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding, is_viable, plan_bind, plan_release
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Assignment, parse
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Driver, Inventory
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, device, kernel
from ansible_collections.vfio.variants.tests.unit.trees import NVIDIA_DISPLAY, V100_VARIANT

VARIANT = "nvlink2gpu_vfio_pci"
DRIVERS = {
    "vfio-pci": Driver("vfio-pci", "vfio_pci"),
    "nouveau": Driver("nouveau", "nouveau"),
    "mine-pci": Driver("mine-pci", VARIANT),
    "e1000e": Driver("e1000e", "e1000e"),
    "pcieport": Driver("pcieport", None),
    "pci-stub": Driver("pci-stub", "pci_stub"),
}
KERNEL = kernel({**STOCK, VARIANT: [V100_VARIANT]})
INVENTORY = Inventory((), DRIVERS)


def taken(owner: str | None, override: str | None, driver: str = "vfio-pci", module: str = "vfio_pci") -> Binding:
    card = device(driver=owner, driver_override=override)
    (claim,) = parse([{"devices": "10de:1db1"}])
    (binding,) = plan_bind([Assignment(claim, claim.selectors[0], card, module, driver)])
    return binding


def released(owner: str | None, override: str | None, claimed: t.Container[str] = (), **identity: t.Any) -> Binding:
    (binding,) = plan_release([device(driver=owner, driver_override=override, **identity)], claimed, INVENTORY, KERNEL)
    return binding


@pytest.mark.parametrize(
    ("owner", "override", "rebind", "wanted", "steps"),
    [
        ("vfio-pci", None, False, None, ()),
        ("vfio-pci", "vfio-pci", False, "vfio-pci", ()),
        ("vfio-pci", "nouveau", False, "vfio-pci", ("set driver_override to vfio-pci",)),
        (None, None, True, "vfio-pci", ("load vfio_pci", "set driver_override to vfio-pci", "bind to vfio-pci")),
        (None, "vfio-pci", True, "vfio-pci", ("load vfio_pci", "bind to vfio-pci")),
        ("nouveau", "vfio-pci", True, "vfio-pci", ("load vfio_pci", "unbind from nouveau", "bind to vfio-pci")),
        (
            "nouveau",
            None,
            True,
            "vfio-pci",
            ("load vfio_pci", "set driver_override to vfio-pci", "unbind from nouveau", "bind to vfio-pci"),
        ),
    ],
)
def test_what_is_right_stays_and_what_is_not_is_put_right(
    owner: str | None, override: str | None, rebind: bool, wanted: str | None, steps: tuple[str, ...]
) -> None:
    binding = taken(owner, override)
    assert (binding.rebind, binding.override, binding.steps) == (rebind, wanted, steps)
    assert binding.changed is bool(steps)
    assert (binding.outcome().driver, binding.outcome().driver_override) == ("vfio-pci", wanted)


@pytest.mark.parametrize(
    ("owner", "override", "claimed", "rebind", "left"),
    [
        # Of a VFIO driver, whatever its name and its module's.
        ("vfio-pci", "vfio-pci", (), True, None),
        ("vfio-pci", None, (), True, None),
        ("mine-pci", "mine-pci", (), True, None),
        # Of one that no VFIO driver is, only where it was claimed.
        ("nouveau", "nouveau", (), False, "nouveau"),
        ("e1000e", "e1000e", (), False, "e1000e"),
        ("e1000e", "e1000e", ("e1000e",), True, None),
        # Somebody else's override stays.
        ("vfio-pci", "pci-stub", (), True, "pci-stub"),
        # An override that is left over; whoever it kept away may have the device now.
        (None, "vfio-pci", (), True, None),
        (None, None, (), False, None),
        (None, "nouveau", (), False, "nouveau"),
        ("nouveau", "vfio-pci", (), False, None),
    ],
)
def test_a_function_is_taken_back_from_a_vfio_driver_and_from_what_was_claimed(
    owner: str | None, override: str | None, claimed: t.Container[str], rebind: bool, left: str | None
) -> None:
    binding = released(owner, override, claimed)
    assert (binding.rebind, binding.override, binding.driver) == (rebind, left, None)
    assert binding.modules == ("nouveau",)
    assert binding.outcome().driver == ("nouveau" if rebind else owner)


def test_a_function_without_a_native_stays_idle_and_loses_its_override() -> None:
    binding = released(None, "vfio-pci", id="1234:11e8", class_code=0x00FF00)
    assert (binding.rebind, binding.override, binding.modules, binding.steps) == (False, None, (), ("clear driver_override",))


def test_a_function_without_a_native_is_left_to_nobody() -> None:
    binding = released("vfio-pci", "vfio-pci", id="1234:11e8", class_code=0x00FF00)
    assert binding.steps == ("unbind from vfio-pci", "clear driver_override", "offer to the native drivers")
    assert binding.outcome().driver is None


def test_a_function_is_offered_to_its_natives_in_their_order() -> None:
    both = kernel({"nouveau": [NVIDIA_DISPLAY], "nvidia": [NVIDIA_DISPLAY], "vfio_pci": STOCK["vfio_pci"]})
    (binding,) = plan_release([device(driver="vfio-pci", driver_override="vfio-pci")], (), INVENTORY, both)
    assert binding.steps == (
        "load nouveau",
        "load nvidia",
        "unbind from vfio-pci",
        "clear driver_override",
        "offer to the native drivers",
    )
    assert binding.outcome().driver == "nouveau"


@pytest.mark.parametrize(
    ("owners", "viable"),
    [
        ([None], True),
        (["vfio-pci"], True),
        (["mine-pci", None], True),
        # vfio_dev_driver_allowed() in drivers/vfio/group.c and its predecessors: pci-stub holds no memory of the guest's.
        (["pci-stub"], True),
        (["nouveau"], False),
        (["vfio-pci", "nouveau"], False),
        (["unknown"], False),
    ],
)
def test_a_group_is_open_to_user_space_when_no_function_of_it_has_another_driver(owners: list[str | None], viable: bool) -> None:
    group = [device(f"0000:01:00.{number}", driver=owner) for number, owner in enumerate(owners)]
    assert is_viable(group, INVENTORY, KERNEL) is viable
    bridge = device("0000:00:01.0", class_code=0x060400, driver="pcieport")
    assert is_viable([*group, bridge], INVENTORY, KERNEL) is viable
