# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one check of what claims would take from a host, now and at the next boot: the same for every module, also in check mode."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import companions, with_companions
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import GuardFinding, Loss, identical, judge
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import NVIDIA
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.iommu import Iommu
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.selector import select
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import HostUses

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import NextBoot
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.claims import Claim
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.boot_display import BootDisplay
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import Arguments, Use
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.decision import Decision

LOADED_VFIO, NO_IOMMU_MODE = "/sys/module/vfio", "enable_unsafe_noiommu_mode"


@dataclasses.dataclass
class GuardCheck:
    """The host, the claims on it, and what is known about both."""

    host: Host
    inventory: Inventory
    claims: tuple[Claim, ...]
    whole_groups: bool = True
    loader: NextBoot | None = None

    @functools.cached_property
    def all_claims(self) -> tuple[Claim, ...]:
        return with_companions(self.claims, self.inventory) if self.whole_groups else self.claims

    @functools.cached_property
    def _next(self) -> NextBoot:
        if self.loader is not None:
            return self.loader
        from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot

        return next_boot.read(self.host)

    @property
    def next_cmdline(self) -> Cmdline:
        """That of the next boot; where it cannot be determined, the running kernel's."""
        entry = self._next.entries.get(self._next.release or "")
        return Cmdline.read(self.host) if entry is None else entry.cmdline

    @functools.cached_property
    def uses(self) -> HostUses:
        return HostUses(self.host, self.inventory, self._arguments, functools.partial(_boot_display, self.host))

    def _arguments(self) -> Arguments:
        # A device without a driver has nothing that they could name, and reading boot loaders is a quarter of what binding imports.
        from ansible_collections.vfio.variants.plugins.module_utils._core.apply.guard_arguments import arguments_of

        return arguments_of(self.host, self._next)

    @functools.cached_property
    def claim_of(self) -> t.Mapping[str, Claim]:
        """By address the claim by which a device loses its driver."""
        found: dict[str, Claim] = {}
        for claim in self.all_claims:
            for device in select(self.inventory, claim.selectors, allow_missing=True):
                found.setdefault(device.address, claim)
        return found

    @functools.cached_property
    def _companions(self) -> t.Mapping[str, Device]:
        """The claimed device for whose sake an unclaimed one comes along, by the latter's address."""
        along = {device.address for _claim, device in companions(self.claims, self.inventory)} if self.whole_groups else set()
        found: dict[str, Device] = {}
        for address in along:
            device = self.inventory.get(address)
            group = self.inventory.group_of(device) if device is not None else ()
            claimed = [other for other in group if other.address not in along and not other.is_bridge and other.address in self.claim_of]
            slot = address.rpartition(".")[0]
            found[address] = min(claimed, key=lambda other: other.address.rpartition(".")[0] != slot)
        return found

    # -- what is lost

    def releases(self, leaving: t.Iterable[Device]) -> tuple[GuardFinding, ...]:
        """Findings about functions that return to their native drivers."""
        losses = []
        for device in leaving:
            uses = tuple(use for use in self.uses.of(device) if use.guard != "console")
            losses.append(Loss(device, self.claim_of[device.address], uses))
        return judge(losses)

    def claimed(self, leaving: t.Iterable[Device], vfio_modules: t.Container[str]) -> tuple[GuardFinding, ...]:
        """Findings about functions that are claimed for another driver than they have."""
        return judge([self._loss(device, vfio_modules) for device in leaving])

    def _loss(self, device: Device, vfio_modules: t.Container[str]) -> Loss:
        claim = self.claim_of[device.address]
        if device.driver is None:
            return Loss(device, claim, self.uses.without_driver(device))
        registered = self.inventory.drivers.get(device.driver)
        module = normalize_module_name((registered and registered.module) or device.driver)
        uses: tuple[Use, ...] = self.uses.of(device)
        if module in vfio_modules:
            # The console has left it when it went to a VFIO driver.
            uses = tuple(use for use in uses if use.guard != "console")
        other = self._companions.get(device.address)
        because = None if other is None else f"which shares IOMMU group {device.iommu_group} with {other.address}"
        return Loss(device, claim, uses, because, None if module in vfio_modules else other)

    def blacklisted(self, modules: t.Iterable[str], claim: Claim) -> tuple[GuardFinding, ...]:
        """Findings about what no claim names and what would lose its driver because modules are blacklisted."""
        return judge([loss for module in modules for loss in self._losses_of_module(module, claim)])

    def with_module(self, modules: t.Container[str]) -> t.Iterator[Device]:
        """Functions that no claim names and whose drivers are in these modules."""
        owners = {name for name, driver in self.inventory.drivers.items() if normalize_module_name(driver.module or "") in modules}
        return (device for device in self.inventory.devices if device.driver in owners and device.address not in self.claim_of)

    def _losses_of_module(self, module: str, claim: Claim) -> t.Iterator[Loss]:
        because = f"whose driver {module} is blacklisted"
        yield from (Loss(device, claim, self.uses.of(device), because) for device in self.with_module((module,)))
        for entry in self.host.names(f"/sys/module/{module}/drivers"):
            bus, _colon, driver = entry.partition(":")
            for name in self.host.names(f"/sys/bus/{bus}/drivers/{driver}") if bus != "pci" else ():
                folder = f"/sys/bus/{bus}/drivers/{driver}/{name}"
                if name not in ("module", "bind", "unbind") and self.host.link(folder) is not None:
                    yield Loss(None, claim, self.uses.below(folder), because, place=f"{bus} device {name}")

    def identical_cards(self, decisions: t.Iterable[Decision], in_place: bool) -> tuple[GuardFinding, ...]:
        """Findings about claims by address, if a card with the same IDs is not claimed.

        Where the policy is ``in_place`` already, what the host lives on is looked at again, and not which programs have a card open:
        that is otherwise each time, and a run with nothing to do could leave no record.
        """
        uses = HostUses(self.host, self.inventory, self._arguments, lasting=True) if in_place else self.uses
        found: list[GuardFinding] = []
        for decision in decisions:
            device = decision.device
            by_address = decision.strategy != "ids" and any(selector.names_address for selector in decision.selectors)
            alike = [
                other
                for other in (self.inventory.devices if by_address else ())
                if other.identity == device.identity
                # A renumbering changes the bus: a card's first function never becomes its second one.
                and other.address.rpartition(":")[2] == device.address.rpartition(":")[2]
                and other.address not in self.claim_of
                and other.driver is not None
            ]
            found += identical(device, decision.claim, [(other, uses.of(other)) for other in alike])
        return tuple(found)

    def peers(self, taken: t.Iterable[Device]) -> tuple[str, ...]:
        """Warnings about what the host's other cards lose with these, which go to a VFIO driver."""
        if not any(device.vendor == NVIDIA for device in taken):
            return ()
        from ansible_collections.vfio.variants.plugins.module_utils._core.claim.nvlink_peers import sentence
        from ansible_collections.vfio.variants.plugins.module_utils._core.pci.nvswitch import Fabric

        fabric = Fabric.read(self.host, self.inventory)
        said = None if fabric is None else sentence(fabric, self.claim_of)
        return () if said is None else (said,)

    # -- the IOMMU

    def refuse_without_iommu(self, modules: t.Iterable[str], kernels: t.Sequence[Kernel], live: bool) -> None:
        """Raises HostError if one of the modules is a VFIO driver and no VFIO driver can take a device."""
        vfio = {module for kernel in kernels for module in kernel.vfio_modules}
        if not vfio & set(modules):
            return
        iommu = Iommu.read(self.host, self.inventory)
        if not (live and iommu.now) and not self._will_do_without(live):
            from ansible_collections.vfio.variants.plugins.module_utils._core.apply.boot_arguments import boot_arguments
            from ansible_collections.vfio.variants.plugins.module_utils._core.claim.iommu import refuse_without_iommu

            refuse_without_iommu(iommu, boot_arguments(self.host, self._next), live)

    def _will_do_without(self, live: bool) -> bool:
        """Whether the configuration switches VFIO's no-IOMMU mode on; what is loaded does not read it again."""
        if live and self.host.is_dir(LOADED_VFIO):
            return False
        from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
        from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import parse_boolean
        from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameters import given_to

        given = [one for one in given_to(ModprobeConfig.read(self.host), "vfio") if one.name == NO_IOMMU_MODE]
        return bool(given) and (given[-1].value is None or bool(parse_boolean(given[-1].value)))


def _boot_display(host: Host) -> BootDisplay | None:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.build_requirements import kernel_config
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.boot_display import BootDisplay

    release = host.text_or_none(OSRELEASE)
    return None if release is None else BootDisplay.of(release, kernel_config(host, release))
