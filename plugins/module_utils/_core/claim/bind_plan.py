# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which PCI functions must be rebound on the running kernel."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import AUTO
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Assignment
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory


@dataclasses.dataclass(frozen=True)
class Binding:
    """The desired binding of one function.

    ``driver`` is the desired owner; None means its native driver, or no driver if it has none.  ``modules`` are loaded
    before the function is touched.  ``override`` is the desired driver_override.
    """

    device: Device
    driver: str | None
    override: str | None
    modules: tuple[str, ...]
    rebind: bool
    is_auto: bool = False
    """Whether the driver is the best one that there is, and not one that was asked for."""
    may_reload: bool = True
    """Whether its claim allows that the function is taken from its driver for a moment, to load another version of its module."""
    reloads: bool = False
    """Whether its module is unloaded, and loaded again as it is installed now, before the function is bound."""

    @property
    def set_override(self) -> bool:
        return self.device.driver_override != self.override

    @property
    def changed(self) -> bool:
        return self.rebind or self.set_override

    @property
    def steps(self) -> tuple[str, ...]:
        """What is to be done, in order, in words."""
        if self.reloads:
            return self._steps_of_reload
        steps = [f"load {module}" for module in self.modules] if self.rebind else []
        overriding = [f"set driver_override to {self.override}" if self.override else "clear driver_override"] if self.set_override else []
        unbinding = [f"unbind from {self.device.driver}"] if self.rebind and self.device.driver else []
        steps += (*overriding, *unbinding) if self.driver else (*unbinding, *overriding)
        if self.rebind:
            steps.append(f"bind to {self.driver}" if self.driver else "offer to the native drivers")
        return tuple(steps)

    @property
    def _steps_of_reload(self) -> tuple[str, ...]:
        overriding = [f"set driver_override to {self.override}"] if self.set_override else []
        unbinding = [f"unbind from {self.device.driver}"] if self.device.driver else []
        return (*overriding, *unbinding, *(f"load {module} again" for module in self.modules), f"bind to {self.driver}")

    def reloaded(self) -> Binding:
        """The same by way of loading its module again; a function that is bound already is bound again, for which it needs the override."""
        return dataclasses.replace(self, rebind=True, reloads=True, override=self.driver)

    def outcome(self) -> Device:
        """The function as it will be.  A native driver is named after its module, which is all that is known in advance."""
        native = self.modules[0] if self.modules else None
        driver = (self.driver or native) if self.rebind else self.device.driver
        return dataclasses.replace(self.device, driver=driver, driver_override=self.override)


def plan_bind(assignments: t.Sequence[Assignment]) -> tuple[Binding, ...]:
    """The bindings of each function to its assigned driver.

    A function that is already bound to it needs no override, as after a boot that an ``ids`` option decided; but an override
    with another driver's name would take effect at the next probe.
    """
    return tuple(map(_bind, assignments))


def _bind(assignment: Assignment) -> Binding:
    device, driver, claim = assignment.device, assignment.driver, assignment.claim
    rebind = device.driver != driver
    override = driver if rebind or device.driver_override is not None else None
    return Binding(device, driver, override, (assignment.module,), rebind, claim.driver == AUTO, claim.reload)


def plan_release(
    devices: t.Sequence[Device], claimed: t.Container[str], inventory: Inventory, kernel: Kernel, ours: t.Container[str] = ()
) -> tuple[Binding, ...]:
    """The bindings that return each function from a VFIO driver, or from one of the ``claimed`` modules, to its native driver.

    ``ours`` are the addresses of functions that an earlier run has left without a driver.
    """
    bindings = []
    for device in devices:
        is_held = device.driver is not None and _is_ours(device.driver, claimed, inventory, kernel)
        overridden = device.driver_override is not None and _is_ours(device.driver_override, claimed, inventory, kernel)
        # An override that this collection did not set stays, and so does the owner that it names.
        override = None if overridden else device.driver_override
        is_idle = device.driver is None and (overridden or device.address in ours) and bool(kernel.natives(device.modalias))
        natives = tuple(match.module for match in kernel.natives(device.modalias))
        bindings.append(Binding(device=device, driver=None, override=override, modules=natives, rebind=is_held or is_idle))
    return tuple(bindings)


def _is_ours(driver: str, claimed: t.Container[str], inventory: Inventory, kernel: Kernel) -> bool:
    registered = inventory.drivers.get(driver)
    module = normalize_module_name((registered and registered.module) or driver)
    return module in kernel.vfio_modules or module in claimed


def is_viable(group: t.Sequence[Device], inventory: Inventory, kernel: Kernel) -> bool:
    """Whether user space can open the group: every function except bridges has a VFIO driver or none."""
    return all(device.is_bridge or device.driver is None or _is_ours(device.driver, ("pci_stub",), inventory, kernel) for device in group)
