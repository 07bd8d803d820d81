# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims for virtual functions that a physical one is to have: which functions these are, although they need not exist yet.

Their addresses and IDs follow from the physical function's SR-IOV capability (pci_iov_virtfn_bus(), pci_iov_virtfn_devfn() and
pci_iov_add_virtfn() in drivers/pci/iov.c).
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import KEYWORDS, devices_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import VARIANT_SUFFIX
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import Selector, select

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device


@dataclasses.dataclass(frozen=True)
class Creation:
    """A physical function and the virtual ones that it shall have: those of ``functions`` that exist are as they are."""

    claim: Claim
    physical: Device
    functions: tuple[Device, ...]

    @property
    def count(self) -> int:
        return len(self.functions)

    @property
    def is_done(self) -> bool:
        return len(self.physical.virtual_functions) == self.count


@dataclasses.dataclass(frozen=True)
class Expanded:
    """Claims for the functions themselves, and the inventory that has them."""

    claims: tuple[Claim, ...]
    inventory: Inventory
    creations: tuple[Creation, ...]


def expanded(claims: t.Sequence[Claim], inventory: Inventory) -> Expanded:
    """Each claim with `vfs` becomes one for virtual functions.  Raises HostError where there cannot be that many."""
    if all(claim.vfs is None for claim in claims):
        return Expanded(tuple(claims), inventory, ())
    found: list[Claim] = []
    creations: dict[str, Creation] = {}
    for claim in claims:
        if claim.vfs is None:
            found.append(claim)
            continue
        made = [_creation(claim, device, inventory) for device, _selector in devices_of(claim, _without_own(claim, inventory))]
        for creation in made:
            earlier = creations.setdefault(creation.physical.address, creation)
            if earlier.count != creation.count:
                raise HostError(
                    f"{claim.option('vfs')}: {creation.physical.address} gets {creation.count} virtual functions here and {earlier.count} "
                    f"by {earlier.claim.option('vfs')}.",
                    "Let only one of them match it.",
                )
        addresses = [function.address for creation in made for function in creation.functions]
        if addresses:
            selectors = tuple(Selector(text=address, address=address) for address in addresses)
            found.append(dataclasses.replace(claim, selectors=selectors, vfs=None, expect=None))
    _refuse_claimed(claims, creations, inventory)
    return Expanded(tuple(found), _with(inventory, tuple(creations.values())), tuple(creations.values()))


def _refuse_claimed(claims: t.Iterable[Claim], creations: t.Mapping[str, Creation], inventory: Inventory) -> None:
    """Raises HostError for a card that another claim takes from the driver that creates its virtual functions.

    With `in_use: ignore` the driver may be one that creates some too (vfio-pci with enable_sriov=1): the boot's forecast decides then.
    """
    for claim in claims:
        is_native = claim.driver not in KEYWORDS and not f"_{normalize_module_name(claim.driver)}".endswith(VARIANT_SUFFIX)
        if claim.vfs is not None or is_native or "in_use" in claim.guards:
            continue
        matched = (device.address for device in select(inventory, claim.selectors, allow_missing=True))
        creation = next((creations[address] for address in matched if address in creations), None)
        if creation is not None:
            raise HostError(
                f"{claim.option('driver')} takes {creation.physical.address} from the driver that creates its virtual functions for "
                f"{creation.claim.option('vfs')}.",
                "Let only one of the two claims match it.",
            )


def _without_own(claim: Claim, inventory: Inventory) -> Inventory:
    """Without the virtual functions of what the claim matches: those of a disk may have its ID, and a class or a wildcard fits both."""
    matched = {device.address for device in select(inventory, claim.selectors, allow_missing=True)}
    return Inventory(tuple(device for device in inventory.devices if device.physical_function not in matched), inventory.drivers)


def _creation(claim: Claim, physical: Device, inventory: Inventory) -> Creation:
    option, count = claim.option("vfs"), claim.vfs or 0
    if not physical.max_virtual_functions:
        raise HostError(
            f"{option}: {physical.address} ({physical.id}) cannot have virtual functions.",
            "Name a physical function with SR-IOV, and switch SR-IOV on in the firmware's setup and the card's.",
        )
    if count > physical.max_virtual_functions:
        raise HostError(
            f"{option}: {count} is too many: {physical.address} ({physical.id}) can have {physical.max_virtual_functions}.",
            f"Allowed are 1 to {physical.max_virtual_functions}.",
        )
    if count == len(physical.virtual_functions):
        return Creation(claim, physical, tuple(_existing(inventory, address, physical) for address in physical.virtual_functions))
    return Creation(claim, physical, tuple(_future(option, physical, number, inventory) for number in range(count)))


def _existing(inventory: Inventory, address: str, physical: Device) -> Device:
    device = inventory.get(address)
    if device is None:
        raise HostError(f"{address}, a virtual function of {physical.address}, vanished while it was read.", "Run it again.")
    return device


def _future(option: str, physical: Device, number: int, inventory: Inventory) -> Device:
    layout = physical.virtual_layout
    if layout is None:
        raise HostError(
            f"{option}: what the virtual functions of {physical.address} would be does not show, as sysfs has no sriov_vf_device.",
            "Create them by hand, and claim them by their own ID.",
        )
    domain, bus, rest = physical.address.split(":")
    slot, function = rest.split(".")
    routing = (int(bus, 16) << 8 | int(slot, 16) << 3 | int(function, 16)) + layout.offset + layout.stride * number
    if routing >> 8 > layout.last_bus:
        # sriov_enable(): "can't enable %d VFs (bus %02x out of range of %pR)"
        raise HostError(
            f"{option}: virtual function {number} of {physical.address} would be behind bus {layout.last_bus:02x}, the last one there.",
            "Ask for fewer, or switch SR-IOV on in the firmware's setup, which has to keep bus numbers for them.",
        )
    address = f"{domain}:{routing >> 8:02x}:{routing >> 3 & 0x1F:02x}.{routing & 7:x}"
    known = inventory.get(address)
    if known is not None and known.physical_function != physical.address:
        # What sriov_offset and sriov_stride say may be another thing for another number (SR-IOV 1.1, 3.3.9).
        raise HostError(
            f"{option}: by its sriov_offset and sriov_stride, virtual function {number} of {physical.address} would be {address}, which is "
            f"another device ({known.id}).",
            "Create them by hand, and claim them by their own ID.",
        )
    if known is not None:
        # Another number of them means that all are made again.
        return dataclasses.replace(known, driver=None, driver_override=None, nodes=(), handed_out=False)
    return dataclasses.replace(
        physical,
        address=address,
        device=layout.device,
        modalias=_modalias(physical, layout.device),
        driver=None,
        driver_override=None,
        # Each is alone, unless a bridge lacks ACS; that there is an IOMMU is what counts.
        iommu_group=physical.iommu_group,
        boot_vga=False,
        physical_function=physical.address,
        virtual_functions=(),
        max_virtual_functions=0,
        virtual_layout=None,
        drivers_autoprobe=True,
        nodes=(),
        handed_out=False,
        path=f"{physical.path.rpartition('/')[0]}/{address}" if physical.path else None,
    )


def _modalias(physical: Device, device: int) -> str:
    """As the physical function's, which a virtual one has its class and subsystem in common with."""
    head, _d, tail = physical.modalias.partition(f"d{physical.device:08X}")
    return f"{head}d{device:08X}{tail}"


def _with(inventory: Inventory, creations: t.Sequence[Creation]) -> Inventory:
    """With the functions that there will be, and without those that there will not be any more."""
    devices = {device.address: device for device in inventory.devices}
    groups = iter(range(max((device.iommu_group or 0 for device in inventory.devices), default=0) + 1, 1 << 31))
    for creation in creations:
        physical = creation.physical
        for address in physical.virtual_functions:
            devices.pop(address, None)
        addresses = tuple(function.address for function in creation.functions)
        devices[physical.address] = dataclasses.replace(physical, virtual_functions=addresses, drivers_autoprobe=False)
        for function in creation.functions:
            is_new = inventory.get(function.address) is None
            group = next(groups) if is_new and function.iommu_group is not None else function.iommu_group
            devices[function.address] = dataclasses.replace(function, iommu_group=group)
    return Inventory(tuple(devices[address] for address in sorted(devices)), inventory.drivers)
