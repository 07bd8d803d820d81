# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the facts say about each device, in the form in which modules return it.

Numbers are hexadecimal text without a prefix (`10de`, `030200`), the form that selectors take.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.contenders import VARIANT, Contender, contenders
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import KNOWN
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory

Facts = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Context:
    """What devices are judged by.  ``loaded`` are the modules that sysfs shows, built-in ones with parameters among them."""

    inventory: Inventory
    kernels: tuple[Kernel, ...]
    running: str | None
    config: ModprobeConfig
    loaded: frozenset[str]


def report(devices: t.Sequence[Device], inventory: Inventory, told: t.Callable[[Device], Facts]) -> list[Facts]:
    """One entry for each device, in order; ``told`` is what is said of one besides what sysfs shows."""
    groups: dict[int, list[str]] = {}
    for device in inventory.devices:
        if device.iommu_group is not None:
            groups.setdefault(device.iommu_group, []).append(device.address)
    return [{**_identity(device), **_ownership(device, groups), **told(device)} for device in devices]


def contender_facts(devices: t.Sequence[Device], around: Context) -> dict[str, Facts]:
    """Who contends for devices, by modalias: hundreds of virtual functions share one, and with it all that the kernels say."""
    return {modalias: _contender_facts(modalias, around) for modalias in dict.fromkeys(device.modalias for device in devices)}


def kernel_report(kernels: t.Sequence[Kernel], running: str | None) -> list[Facts]:
    """One entry for each installed kernel."""
    return [{"release": kernel.release, "running": kernel.release == running, "headers": kernel.has_headers} for kernel in kernels]


def modprobe_report(config: ModprobeConfig, kernels: t.Sequence[Kernel]) -> list[Facts]:
    """What modprobe.d and the command line say about modules that drive PCI functions."""
    concerned = frozenset[str]().union(*(kernel.index.modules(bus) for kernel in kernels for bus in ("pci", "vfio_pci")))
    return [
        {
            "command": directive.command,
            "module": directive.arguments[1 if directive.command == "alias" else 0],
            "arguments": list(directive.arguments[:1] if directive.command == "alias" else directive.arguments[1:]),
            "source": str(directive.source),
        }
        for directive in config.directives
        if directive.arguments[1 if directive.command == "alias" else 0] in concerned
    ]


def _identity(device: Device) -> Facts:
    return {
        "address": device.address,
        "id": device.id,
        "vendor": f"{device.vendor:04x}",
        "device": f"{device.device:04x}",
        "subsystem_vendor": f"{device.subsystem_vendor:04x}",
        "subsystem_device": f"{device.subsystem_device:04x}",
        "class": f"{device.class_code:06x}",
        "revision": f"{device.revision:02x}",
        "modalias": device.modalias,
        "bridge": device.is_bridge,
        "boot_vga": device.boot_vga,
        "numa_node": device.numa_node,
        "physical_function": device.physical_function,
        "virtual_functions": list(device.virtual_functions),
        "max_virtual_functions": device.max_virtual_functions,
    }


def _ownership(device: Device, groups: t.Mapping[int, list[str]]) -> Facts:
    return {
        "driver": device.driver,
        "driver_override": device.driver_override,
        "iommu_group": device.iommu_group,
        "group_devices": [device.address] if device.iommu_group is None else groups[device.iommu_group],
        "nodes": list(device.nodes),
    }


def _contender_facts(modalias: str, around: Context) -> Facts:
    by_kernel = {kernel.release: contenders(modalias, kernel, around.config) for kernel in around.kernels}
    now = by_kernel.get(around.running or "", ())
    return {
        "variant": _variant(modalias, around),
        "contenders": [_contender(contender, around.loaded) for contender in now],
        "kernels": {release: _on_kernel(found) for release, found in by_kernel.items()},
    }


def _variant(modalias: str, around: Context) -> Facts | None:
    kernel = next((kernel for kernel in around.kernels if kernel.release == around.running), None)
    best = None if kernel is None else kernel.best_variant(modalias)
    if best is None:
        return None
    registered = around.inventory.drivers_of_module(best.module)
    driver = registered[0] if registered else KNOWN.get(best.module, best.module)
    return {"module": best.module, "driver": driver, "alias": best.alias, "wildcards": best.wildcards}


def _contender(contender: Contender, loaded: t.Container[str]) -> Facts:
    return {
        "module": contender.module,
        "kind": contender.kind,
        "alias": contender.alias,
        "source": contender.source,
        "loaded": contender.built_in or contender.module in loaded,
        "built_in": contender.built_in,
        "blacklisted_by": list(contender.blacklisted_by),
    }


def _on_kernel(found: t.Sequence[Contender]) -> Facts:
    variants = [contender.module for contender in found if contender.kind == VARIANT]
    return {
        "natives": [contender.module for contender in found if contender.kind != VARIANT],
        "variants": variants,
        "variant": variants[0] if variants else None,
    }
