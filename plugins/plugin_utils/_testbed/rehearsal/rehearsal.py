# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a host has sent to a row for each of its devices: the disk, the boots, and the comparison."""

from __future__ import annotations

import os
import shutil
import tempfile
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, one_of
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import accelerator, firmware, processes, qemu_program
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import (
    boot_words,
    comparison,
    host_function,
    host_keys,
    kernel_parts,
    places,
    root_disk,
    signed_start,
    unseen,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.boot import LONGEST_STRETCH, RehearsalMachine
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.boot_words import Plan
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.comparison import Predicted
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.file_store import Collected, FileStore
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.host_keys import MachineKeys
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.located import located
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.planned_policy import NO_POLICY, PlannedPolicy
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import BootTrace

ComparisonRow = dict[str, t.Any]
_GIB = 1 << 30
#: What the server of an emulated function takes.
FUNCTION_BYTES = 20 << 20
_UNFINISHED = "boot-"
_MOST_NAMED = 20


@dataclass(frozen=True)
class RehearsalSettings:
    """As the options of `rehearse` say; sizes in bytes, times in seconds."""

    memory: int
    cpus: int
    forks: int
    repeat: int
    hold: int
    timeout: int
    accelerator: str
    keep: bool
    mirror: str | None


@dataclass
class Rehearsal:
    """``policy``: one that is planned, which is laid over the host's files."""

    cache: Cache
    store: FileStore
    collected: Collected
    settings: RehearsalSettings
    progress: Progress
    policy: PlannedPolicy = NO_POLICY
    different: list[str] = field(default_factory=list)

    def run(self) -> dict[str, t.Any]:
        """All kernels, one after the other, beside no more than ``forks`` rehearsals on this machine.  Raises HostError."""
        if os.geteuid() != 0:
            raise HostError(
                "A rehearsal needs root on the machine that it runs on: the host's files belong to several users.",
                "Run Ansible as root there.",
            )
        needed = self.settings.memory + FUNCTION_BYTES * _served(self.collected.facts["functions"])
        _check_total(needed, self.settings.forks)
        self.progress(f"waiting until fewer than {self.settings.forks} other rehearsals run here")
        with one_of(self.cache, "rehearsal-place", self.settings.forks) as number:
            _check_memory(needed)
            unfinished = f"{_UNFINISHED}{number}-"
            _remove_left_overs(self.store.folder.parent, unfinished)
            folder = Path(tempfile.mkdtemp(prefix=unfinished, dir=self.store.folder.parent))
            kept: dict[str, str] = {}
            try:
                kernels = [self._kernel(kernel, folder) for kernel in self.collected.facts["kernels"]]
            finally:
                if self.settings.keep:
                    kept = {"folder": str(folder.rename(folder.with_name(folder.name.replace(_UNFINISHED, "kept-"))))}
                else:
                    shutil.rmtree(folder, ignore_errors=True)
        return {"kernels": kernels, "different": list(dict.fromkeys(self.different)), "seconds": round(self.progress.seconds, 1), **kept}

    def _kernel(self, kernel: t.Mapping[str, t.Any], folder: Path) -> dict[str, t.Any]:
        release = str(kernel["release"])
        placed = places.place(self.collected.facts["functions"])
        try:
            plan, machine = self._prepare(kernel, folder)
        except HostError as error:
            everything = {str(one["address"]): str(error) for one in self.collected.facts["functions"]}
            return {"release": release, "devices": self._rows(release, [], everything, {}), "boots": 0}
        reports = []
        for number in range(self.settings.repeat):
            self.progress(
                f"{release}: boot {number + 1} of {self.settings.repeat}, {len(placed.placements)} functions, {machine.accelerator}"
            )
            reports.append(machine.boot(plan, placed, self.progress, self.settings.timeout))
        found = [located(report, placed, self.collected.facts["functions"]) for report in reports]
        reports = [one.report for one in found]
        moved = {address: where for one in found for address, where in one.moved.items()}
        self._note(release, reports)
        if self.collected.facts["efi"]:
            self.different += boot_words.about_uefi(reports, by_shim=plan.partition is not None)
        self.different += [f"{address} is {where} in the machine: {why}" for address, (where, why) in moved.items()]
        placed.note({address: why for one in found for address, why in one.absent.items()}, [one.same for one in found])
        return {
            "release": release,
            "devices": self._rows(release, reports, placed.left_out, moved),
            "boots": len(reports),
            "boot_seconds": [round(report.seconds, 1) for report in reports],
            "refused": sorted({line for report in reports for line in report.refused}),
        }

    def _prepare(self, kernel: t.Mapping[str, t.Any], folder: Path) -> tuple[Plan, RehearsalMachine]:
        _check_root(kernel)
        tree = folder / "root"
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        self.progress("laying out the host's files")
        absent = self.store.lay_out(self.collected.entries, tree)
        self.different += [f"{path} was not sent" for path in absent[:_MOST_NAMED]]
        self.different += self.collected.not_mounted()[:_MOST_NAMED]
        images = [tree / str(path).lstrip("/") for path in kernel["initrds"]]
        initrd = kernel_parts.joined(images, folder / "initrd")
        if initrd is not None:
            with initrd.open("ab") as file:
                file.write(self.policy.initramfs(tree, str(kernel["release"])))
        self.different += root_disk.adapt(tree, self.settings.hold, self.settings.timeout * LONGEST_STRETCH).said
        root_disk.lay_over(tree, self.policy.files)
        image = folder / "kernel"
        kernel_parts.copy_kernel(tree / str(kernel["image"]).lstrip("/"), image)
        self.progress("writing the disk")
        (folder / boot_words.DISK).unlink(missing_ok=True)
        root_disk.write(folder / boot_words.DISK, tree, self.settings.timeout)
        start = self._start(kernel, tree, image, initrd, by_shim=bool(self.collected.facts["signed_start"]))
        shutil.rmtree(tree)
        iommu = boot_words.iommu_of(self.collected.facts["cpu"])
        if not self.collected.facts["cpu"]:
            self.different.append(f"the processor is not known: the machine has an IOMMU as of {iommu}")
        storage, said = boot_words.storage_of(kernel["storage"], self.collected.facts["functions"])
        self.different += said
        plan = Plan(image, (), start.arguments, storage, iommu, self.settings.memory, self.settings.cpus, start.partition)
        return plan, RehearsalMachine(folder, *self._emulator(str(kernel["release"]), image, start.keys), initrd)

    def _start(self, kernel: t.Mapping[str, t.Any], tree: Path, image: Path, initrd: Path | None, *, by_shim: bool) -> _Start:
        """By the host's shim and GRUB, or directly where these cannot be had; in what that is not the host's start is noted."""
        has_uefi, signatures = self.collected.facts["efi"], kernel["signatures"]
        keys = host_keys.keys_for(signatures, by_shim=by_shim) if has_uefi else host_keys.NO_KEYS
        enforced, said = boot_words.enforcement(signatures, len(keys))
        arguments, removed = boot_words.kernel_arguments(kernel["arguments"], enforced)
        if by_shim:
            why = signed_start.lay_out(self.collected.facts["signed_start"], tree, image.parent, image, initrd, arguments)
            if why is not None:
                self.different.append(f"the host's shim and GRUB are not in the machine: {why}")
                return self._start(kernel, tree, image, initrd, by_shim=False)
        self.different += said
        self.different += [f"the kernel is not given {one}" for one in removed]
        return _Start(keys, arguments, image.parent / signed_start.PARTITION if by_shim else None)

    def _emulator(self, release: str, image: Path, keys: MachineKeys) -> tuple[qemu_program.Qemu, str]:
        """QEMU with the kind of firmware that the host has, with Secure Boot if there are ``keys`` for it, and its accelerator."""
        qemu = qemu_program.provide(self.cache, self._mirror, self.progress.say)
        chosen = accelerator.choose(self.settings.accelerator, self.cache, qemu, _HostKernel((release,), image), self.progress.say)
        if self.collected.facts["efi"]:
            uefi = firmware.provide(self.cache, self._mirror, self.progress.say)
            qemu = qemu.with_words(host_keys.firmware_words(uefi, image.parent, keys))
        return qemu, chosen

    def _mirror(self) -> str:
        return self.settings.mirror or apt_sources.of_this_machine()

    def _note(self, release: str, reports: t.Sequence[BootTrace]) -> None:
        for report in reports:
            for one in self.collected.facts["forecast"]["devices"]:
                self.different += unseen.said(report, str(one["address"]), unseen.causes_of(one["kernels"].get(release)))
            addresses = [str(one["address"]) for one in self.collected.facts["functions"]]
            self.different += comparison.contended(report, addresses)
            self.different += comparison.declined(report, addresses)
            self.different += comparison.unended(report, addresses)
            odd = comparison.not_logged(report, addresses)
            self.different += [f"the trace and the kernel's log disagree about the first offer of {address}" for address in odd]
            self.different += [f"the unit {name} failed in the machine" for name in report.failed_units]
        self.different.append(
            "the host's storage, network, firmware, ACPI, DMI and NUMA nodes are absent; functions have nothing behind their registers"
        )
        self.different.append(f"what starts later than {self.settings.hold} s after the boot is not seen")

    def _rows(
        self, release: str, reports: t.Sequence[BootTrace], left_out: t.Mapping[str, str], moved: t.Mapping[str, tuple[str, str]]
    ) -> list[ComparisonRow]:
        missing = self.collected.facts["missing"]
        rows = []
        for one in self.collected.facts["forecast"]["devices"]:
            address = str(one["address"])
            known = one["kernels"].get(release)
            predicted = Predicted(known["winner"], known["certainty"], tuple(known["because"])) if known and not self.policy.files else None
            claimed = self.policy.drivers.get(address) if self.policy.files else (known or {}).get("claimed")
            why = left_out.get(address)
            if why is None and missing and (predicted is None or predicted.certainty != comparison.CERTAIN):
                why = f"{missing[0]['path']} was not collected ({missing[0]['why']}), and may act on it"
            rows.append(comparison.row(address, reports, predicted, claimed, why, moved.get(address), unseen.causes_of(known)))
        return rows


def _served(functions: t.Sequence[host_function.Listed]) -> int:
    """How many of the host's functions a server emulates in the machine."""
    return sum(one.function.emulated is not None for one in places.place(functions).placements.values())


def _check_root(kernel: t.Mapping[str, t.Any]) -> None:
    """HostError where the kernel cannot come to a root on the machine's disk."""
    word = kernel["no_modules"]
    why = "" if word is None else f" {word} on the kernel's command line forbids to load any module."
    if not kernel["file_system"]:
        raise HostError(f"The kernel and its initramfs have no ext4, which the machine's root file system is.{why}")
    if not kernel["storage"]:
        raise HostError(f"The kernel and its initramfs drive none of the disks that the machine can have: virtio, AHCI, NVMe.{why}")


@dataclass(frozen=True)
class _Start:
    """``partition`` has the loaders that start the kernel, if any do."""

    keys: MachineKeys
    arguments: tuple[str, ...]
    partition: Path | None


@dataclass(frozen=True)
class _HostKernel:
    kernels: tuple[str, ...]
    kernel: Path


def _remove_left_overs(place: Path, prefix: str) -> None:
    """What a rehearsal at the same place has left that was killed; none runs there, because its lock is held."""
    for folder in place.glob(f"{prefix}*"):
        processes.end(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _check_total(each: int, machines: int) -> None:
    """HostError where so many machines never fit into this one's memory."""
    total = _memory("MemTotal")
    if machines > 1 and total is not None and machines * each + _GIB > total:
        raise HostError(
            f"forks: {machines} machines of {each >> 20} MiB, with the servers of their functions, do not fit:"
            f" this machine has {total >> 20} MiB, of which 1024 MiB stay free.",
            f"Allowed are up to {max(1, (total - _GIB) // each)} with this memory.",
        )


def _check_memory(wanted: int) -> None:
    """HostError where this machine would have to swap."""
    available = _memory("MemAvailable")
    if available is not None and available < wanted + _GIB:
        raise HostError(
            f"memory: a machine of {wanted >> 20} MiB, with the servers of its functions, does not fit beside what runs here:"
            f" {available >> 20} MiB are available.",
            "Give it less, from 1G on, or run Ansible elsewhere.",
        )


def _memory(name: str) -> int | None:
    """In bytes, as /proc/meminfo has it."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:")), None)
