# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a virtual function that exists now is there again after a boot: by its card's driver, and by what creates it."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, KERNEL, Reason
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.influences import Unclear

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot, Making, Stage
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.device_simulation import DeviceState
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.registration import Registrar
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


class Existence:
    """What is known of one virtual function where a driver has its physical one, if that is known."""

    def __init__(self, device: Device, physical: Device | None, boot: Boot, registrar: Registrar) -> None:
        self._device = device
        self._physical = physical
        self._card = device.physical_function or ""
        self._boot = boot
        self._registrar = registrar
        self._making = boot.later.virtual_functions.get(self._card)

    def why_none(self, owner: DeviceState, root: Stage) -> Reason | None:
        """Why there is none (sriov_numvfs_store() and the driver's sriov_configure())."""
        if owner.driver is None:
            return Reason(self._card, "it is not bound to a driver, so it has no virtual functions")
        if self._registrar.creates_functions(owner.driver, root) is False:
            return Reason(owner.driver, "it is the physical function's driver, and creates virtual functions only with enable_sriov=1")
        making = self._making
        if making is not None and self._number >= making.count and self._is_written(making, owner):
            return Reason(making.source, f"creates {making.count} virtual functions, and this is number {self._number + 1}")
        return None

    def doubts(self, owner: DeviceState, root: Stage) -> t.Iterator[Unclear]:
        """What may keep it from being created."""
        physical = self._physical
        # The driver that created those that exist now will do so again.
        if physical is None or (physical.driver != owner.driver and not self._registrar.creates_functions(owner.driver or "", root)):
            yield Unclear(
                f"Whether {owner.driver}, as the driver of {self._card}, creates virtual functions cannot be determined.", (None,)
            )
        making = self._making
        if making is not None and not self._is_written(making, owner):
            sentence = (
                f"{making.source} creates virtual functions of {self._card} at an event at which {owner.driver} may not be bound to it."
            )
            yield Unclear(sentence, (None,))
        unmade = self._boot.later.unmade.get(self._card)
        if unmade is not None and not self._is_noticed():
            yield Unclear(unmade, (None,))

    def why(self, driver: str) -> Reason:
        """Why a driver has it that was there before."""
        if self._making is None:
            return Reason(driver, f"it is there before the virtual functions of {self._card}, and matches them")
        return Reason(
            self._making.source, f"creates {self._making.count} virtual functions, and {driver}, which matches them, is there before"
        )

    @property
    def _number(self) -> int:
        functions = () if self._physical is None else self._physical.virtual_functions
        return functions.index(self._device.address) if self._device.address in functions else 0

    @staticmethod
    def _is_written(making: Making, owner: DeviceState) -> bool:
        """Whether a driver is there when the number is written.

        The root's udev replays "add" for a function that was bound before, and sees the "bind" of one that is bound now.
        """
        return making.at_add if owner.stage in (KERNEL, INITRAMFS) else making.at_bind

    def _is_noticed(self) -> bool:
        """Whether something that is not simulated may create it, which is a doubt with a sentence of its own."""
        noticed = (*self._boot.all_influences, *self._boot.influences_of_programs)
        return any("create" in one.acts and one.about(self._device.address) for one in noticed)
