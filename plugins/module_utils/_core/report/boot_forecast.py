# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forecast for a host's kernels: which driver each device will be bound to, which one it is claimed for, and what would help."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read as reading
from ansible_collections.vfio.variants.plugins.module_utils._core.boot import unread_files
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import CERTAIN, INITRAMFS, ROOT, UNKNOWN, Winner
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import NOTHING_READ, PolicyFiles, read_policy_files
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.equivalence import DeviceClasses
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.forecast import forecast
from ansible_collections.vfio.variants.plugins.module_utils._core.host.tolerant_host import TolerantHost
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.grouping import sentences
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.switched_off import running_sentence
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ANOTHER
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.changed_arguments import switched_on

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Boot
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import NextBoot
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.hidden_cause import HiddenCause
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device, Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.suggested_change import Search

MARK = "\0"
LONGEST_SEARCH = 1000
"""The limit of the search for changes per kernel, in forecasts of one device: seconds, not minutes."""
NOT_SEARCHED = "Not searched to the end: this host has too many devices that differ, or that will not be bound to the claimed driver."


@dataclasses.dataclass(frozen=True)
class NextKernel:
    """The kernel that boots next; ``release`` is None if ``reason`` says why that is not known."""

    release: str | None
    reason: str

    def result(self) -> Result:
        return {"release": self.release, "reason": self.reason}


@dataclasses.dataclass(frozen=True)
class KernelForecast:
    """Which driver a device will be bound to after a kernel's boot, and which one the host's own policy claims it for."""

    winner: Winner
    claimed: str | None
    would_change: str | None
    """The smallest change that makes the claimed driver win; None if it does already, or if no change is known."""

    def result(self, assumes: bool = False) -> Result:
        return {**winner_result(self.winner, assumes), "claimed": self.claimed, "would_change": self.would_change}


def winner_result(winner: Winner, assumes: bool = False) -> Result:
    """With what the answer takes for granted if ``assumes``.  The driver of an unknown answer is one of several, so it is not named."""
    is_known = winner.certainty != UNKNOWN
    result: Result = {
        "winner": winner.driver if is_known else None,
        "certainty": winner.certainty,
        "stage": winner.stage if is_known else None,
        "because": [str(because) for because in winner.because],
        "outcomes": list(winner.outcomes),
    }
    return {**result, "assumes": list(winner.assumes)} if assumes else result


NO_FORECAST = KernelForecast(Winner(None, UNKNOWN, None, (), (None, ANOTHER)), None, None)
"""For a boot that is not known."""


@dataclasses.dataclass(frozen=True)
class HostForecast:
    """The boots of a host's kernels, which of them comes next (or why that is not known), and the problems of the policy."""

    inventory: Inventory
    boots: t.Mapping[str, Boot]
    next_kernel: NextKernel
    kernels: tuple[Kernel, ...]
    read_files: t.Callable[[], PolicyFiles]
    """The files of the policy, for its problems and for what it claims."""
    loader_warnings: tuple[str, ...] = ()
    running_warnings: tuple[str, ...] = ()
    """About the boot that the host is up from."""
    asked: frozenset[str] | None = None
    """The addresses of the devices whose winners are asked for; of every other device none is known.  None stands for all."""

    @classmethod
    def read(
        cls,
        host: Host,
        inventory: Inventory,
        kernels: t.Sequence[Kernel],
        running: str | None,
        cache: Cache,
        described: bool = False,
    ) -> HostForecast:
        """``cache`` has the contents of images and modules; ``described`` devices are not those of the running kernel."""
        tolerant = TolerantHost.of(host)
        loader = next_boot.read(tolerant)
        boots = reading.boots(tolerant, inventory, kernels, running, loader, cache)
        boots = unread_files.noticed(boots, tolerant.unread, inventory)
        read_files = functools.cache(functools.partial(read_policy_files, tolerant, boots, kernels, inventory))
        if described:
            boots = reading.of_described(boots, inventory)
        found = cls.from_boots(inventory, kernels, boots, loader, read_files)
        sentence = None if described else running_sentence(Cmdline.read(host), boots)
        return found if sentence is None else dataclasses.replace(found, running_warnings=(sentence,))

    @classmethod
    def from_boots(
        cls,
        inventory: Inventory,
        kernels: t.Sequence[Kernel],
        boots: t.Sequence[Boot],
        loader: NextBoot,
        read_files: t.Callable[[], PolicyFiles] = lambda: NOTHING_READ,
    ) -> HostForecast:
        by_release = {boot.release: boot for boot in boots}
        release, reason = loader.release, loader.why
        if release is None:
            reason = " ".join(dict.fromkeys(loader.doubts)) or loader.why
        elif release not in by_release:
            release, reason = None, f"Kernel {release} boots next, and its modules are not installed."
        return cls(inventory, by_release, NextKernel(release, reason), tuple(kernels), read_files, loader.warnings)

    def only(self, addresses: t.Collection[str]) -> HostForecast:
        """The same for these devices alone, which takes less."""
        return dataclasses.replace(self, asked=frozenset(addresses))

    # -- problems of the policy

    @functools.cached_property
    def policy(self) -> HostPolicy:
        return HostPolicy(tuple(self.boots.values()), self.inventory, self.kernels, self.read_files())

    @functools.cached_property
    def findings(self) -> tuple[Finding, ...]:
        # All that judges configuration is a twentieth of what a run of the role has to import, and most ask who wins only.
        from ansible_collections.vfio.variants.plugins.module_utils._core.lint.findings import find

        return find(self.policy.boots, self.inventory, self.policy.kernels, self.policy.files)

    @functools.cached_property
    def _findings_of(self) -> t.Mapping[str, t.Sequence[Finding]]:
        found: dict[str, list[Finding]] = {}
        for finding in self.findings:
            for address in finding.devices:
                found.setdefault(address, []).append(finding)
        return found

    def warnings(self, device: Device) -> list[str]:
        """What is contradictory or without effect in the policy and concerns the device."""
        return sentences(self._findings_of.get(device.address, ()))

    @property
    def policy_warnings(self) -> list[str]:
        """What is contradictory or without effect and concerns no device of this host."""
        here = {device.address for device in self.inventory.devices}
        said = sentences(finding for finding in self.findings if here.isdisjoint(finding.devices))
        return list(dict.fromkeys((*said, *self.loader_warnings, *self.running_warnings)))

    # -- who wins

    def winner(self, device: Device, release: str) -> Winner:
        return self._winners(release)[device.address]

    def hidden_causes(self, release: str) -> t.Mapping[str, tuple[HiddenCause, ...]]:
        """By address, what decides where a boot elsewhere need not show it."""
        from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.hidden_causes import hidden_causes

        return hidden_causes(self.inventory.devices, self.boots[release], self._of_all._winners(release))

    def claimed(self, device: Device, release: str) -> str | None:
        """The driver that the host's own policy claims the device for; the last one counts."""
        return self._claims(release).get(device.address)

    def suggested_change(self, device: Device, release: str, driver: str) -> str | None:
        """The smallest change that makes ``driver`` win; None if it does already, or if no change is known."""
        now = self.winner(device, release)
        boot = self.boots[release]
        if (now.driver, now.certainty) == (driver, CERTAIN) or boot.doubts:
            # With doubts about the boot as a whole no change is certain.
            return None
        # Devices that nothing distinguishes have the same answer, but for the address in it.
        key = (release, self._classes(release).first[device.address].address, driver, device.iommu_group is None)
        if key not in self._suggested:
            self._suggested[key] = self._searched(device, release, driver)
        template = self._suggested[key]
        return None if template is None else template.replace(MARK, device.address)

    def _searched(self, device: Device, release: str, driver: str) -> str | None:
        from ansible_collections.vfio.variants.plugins.module_utils._core.policy.suggested_change import OutOfBudgetError, would_change

        try:
            sentence = would_change(
                device, driver, self.inventory.devices, self.boots[release], self.winner(device, release), self._search(release)
            )
        except OutOfBudgetError:
            return NOT_SEARCHED
        return None if sentence is None else self._with_command(sentence, release).replace(device.address, MARK)

    def _with_command(self, sentence: str, release: str) -> str:
        """Followed by the command by which this host's images are built again, where that is a part of the change and known."""
        image = next((stage.place for stage in self.boots[release].stages if stage.name == INITRAMFS), None)
        command = self.policy.files.rebuilding
        if image is None or f"ebuild {image}" not in sentence or command == NOTHING_READ.rebuilding:
            return sentence
        return f"{sentence} {command.format(release=release, image=image)}"

    def _search(self, release: str) -> Search:
        from ansible_collections.vfio.variants.plugins.module_utils._core.policy.suggested_change import Search

        if release not in self._searches:
            self._searches[release] = Search(
                self.inventory.devices,
                self.boots[release],
                self._claims(release),
                [listed.name for listed in self.policy.files.for_image],
                self._of_all._winners(release),
                LONGEST_SEARCH,
                len(self._classes(release).members),
            )
        return self._searches[release]

    def on_kernel(self, device: Device, release: str, changes: bool = True) -> KernelForecast:
        """The forecast for one device and kernel; devices with the same outcome share the winner object.

        Without ``changes`` nothing is searched that would change it.
        """
        claimed = self.claimed(device, release)
        would_change = None if claimed is None or not changes else self.suggested_change(device, release, claimed)
        return KernelForecast(self.winner(device, release), claimed, would_change)

    def _winners(self, release: str) -> t.Mapping[str, Winner]:
        if release not in self._forecasts:
            asked = None if self.asked is None else [device for device in self.inventory.devices if device.address in self.asked]
            self._forecasts[release] = forecast(self.inventory.devices, self.boots[release], asked)
        return self._forecasts[release]

    @functools.cached_property
    def _of_all(self) -> HostForecast:
        return self if self.asked is None else dataclasses.replace(self, asked=None)

    def _claims(self, release: str) -> t.Mapping[str, str]:
        if release not in self._claimed:
            boot = self._with_policy[release]
            claims = [claim for stage in boot.stages if stage.name == ROOT for claim in self.policy.effective_claims(boot, stage)]
            self._claimed[release] = {claim.device.address: claim.driver for claim in claims}
        return self._claimed[release]

    def _classes(self, release: str) -> DeviceClasses:
        if release not in self._known_classes:
            self._known_classes[release] = DeviceClasses.of(self.inventory.devices, self.boots[release])
        return self._known_classes[release]

    @functools.cached_property
    def _with_policy(self) -> t.Mapping[str, Boot]:
        """What is claimed stays claimed in a boot in which a word of the command line switches the policy off."""
        return {release: switched_on(boot) for release, boot in self.boots.items()}

    @functools.cached_property
    def _known_classes(self) -> dict[str, DeviceClasses]:
        return {}

    @functools.cached_property
    def _forecasts(self) -> dict[str, t.Mapping[str, Winner]]:
        return {}

    @functools.cached_property
    def _claimed(self) -> dict[str, t.Mapping[str, str]]:
        return {}

    @functools.cached_property
    def _searches(self) -> dict[str, Search]:
        return {}

    @functools.cached_property
    def _suggested(self) -> dict[tuple[t.Hashable, ...], str | None]:
        """Results of earlier searches, with a mark in place of the address: identical functions have the same result."""
        return {}
