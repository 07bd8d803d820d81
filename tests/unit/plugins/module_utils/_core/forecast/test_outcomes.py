# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of several states together: one of them is enough for a module to have been loaded, or for a device to be free."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceState
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.outcomes import Before, Outcomes

FREE, NATIVE, OURS = DeviceState(), DeviceState("nouveau"), DeviceState("vfio-pci")


def test_one_state_whose_driver_was_not_registered_before_needed_a_module() -> None:
    before = Before({}, frozenset(("nouveau",)))
    assert before.lacks_driver_of(Outcomes((NATIVE, OURS)))
    assert not before.lacks_driver_of(Outcomes((NATIVE, FREE)))
    assert not before.lacks_driver_of(Outcomes((FREE,)))


def test_one_state_without_a_driver_leaves_the_device_open() -> None:
    assert Outcomes((NATIVE, FREE)).is_open
    assert not Outcomes((NATIVE, OURS)).is_open
