# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words for QEMU and for the kernel by which a host's boot is rehearsed, and in what they differ from the host's."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import (
    BARE,
    IOMMUS,
    NATIVE_HOTPLUG,
    accelerator_words,
    device_word,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal import signed_start
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.host_function import Listed
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.places import MachinePlaces
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import BootTrace, command_line_word

DISK = "disk.img"
LABEL = "rehearsal"
#: They name the host's storage, network and consoles, or want more memory than the machine has.
_REMOVED = frozenset(
    (
        *("root", "rootfstype", "rootflags", "resume", "resume_offset", "nfsroot", "netroot", "ip", "cryptdevice", "cryptopts", "zfs"),
        *("console", "crashkernel", "hugepages", "hugepagesz", "default_hugepagesz", "mem", "memmap", "maxcpus", "nr_cpus", "isolcpus"),
        *("initrd", "kprobe_event", "dyndbg", "log_buf_len", "trace_buf_size", "trace_clock"),
    )
)
_REMOVED_PREFIXES = ("rd.luks", "rd.lvm", "rd.md", "rd.dm", "rd.zfs", "rd.neednet", "luks.", "rd.znet", "hugetlb_cma")
#: A report is longer than what a kernel keeps by default.
_ADDED = ("noresume", "console=ttyS0", "log_buf_len=4M", 'dyndbg="file drivers/base/dd.c +p"', "trace_buf_size=4M", "trace_clock=mono")
_ENFORCED = "module.sig_enforce=1"
#: The level that allows to trace, and the one that does not (security/lockdown/lockdown.c: LOCKDOWN_KPROBES, LOCKDOWN_TRACEFS).
_LOCKED, _LOCKED_MORE = "lockdown=integrity", "lockdown=confidentiality"
_MOST_NAMED = 5
#: What the kernel shows below /sys/firmware where UEFI has started it.
_EFI = "efi"
#: COMMAND_LINE_SIZE in arch/x86/include/asm/setup.h, with the NUL at the end.
_LONGEST = 2047
_WAITING = ("systemd-networkd-wait-online.service", "NetworkManager-wait-online.service", "ifupdown-wait-online.service")
_DISKS = {
    "virtio_blk": ("-device", "virtio-blk-pci,drive=rehearsal,bus=pcie.0,addr={slot}"),
    "ahci": ("-device", "ide-hd,drive=rehearsal,bus=ide.0"),
    "nvme": ("-device", "nvme,drive=rehearsal,serial=rehearsal,bus=pcie.0,addr={slot}"),
}


#: linux/virtio.h, linux/pci_ids.h: the functions that have the same driver as the disk, by vendor or by class and subclass.
_SAME_DRIVER: dict[str, t.Callable[[Listed], bool]] = {
    "virtio_blk": lambda one: one["vendor"] == 0x1AF4,
    "ahci": lambda one: one["class"] >> 8 == 0x0106,
    "nvme": lambda one: one["class"] >> 8 == 0x0108,
}


@dataclass(frozen=True)
class Plan:
    """One boot: of which kernel, in which machine.  ``memory`` is in bytes; ``partition`` has the loaders that start it, if any do."""

    kernel: Path
    initrds: tuple[Path, ...]
    arguments: tuple[str, ...]
    storage: str
    iommu: str
    memory: int
    cpus: int
    partition: Path | None = None


def kernel_arguments(arguments: t.Sequence[str], more: t.Sequence[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of the rehearsal, with ``more``, and those of the host's that are not among them.  Raises HostError if they are too long."""
    kept: list[str] = []
    removed: list[str] = []
    behind = arguments.index("--") if "--" in arguments else len(arguments)
    for one in arguments[:behind]:
        name = one.partition("=")[0].strip('"')
        if one == _LOCKED_MORE:
            # With it the kernel would not say what it offers; who is refused is the same.
            kept.append(_LOCKED)
            removed.append(f"{one}, but {_LOCKED}")
            continue
        (removed if name in _REMOVED or name.startswith(_REMOVED_PREFIXES) else kept).append(one)
    masks = (f"systemd.mask={unit}" for unit in _WAITING)
    added = (f"root=LABEL={LABEL}", *_ADDED, command_line_word(), *masks, *more)
    given = (*kept, *added, *arguments[behind:])
    length = len(" ".join(given))
    if length > _LONGEST:
        raise HostError(f"With those of the rehearsal the kernel's arguments have {length} characters, of which it reads {_LONGEST}.")
    return given, tuple(removed)


def enforcement(signatures: t.Mapping[str, t.Any], keys: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The argument by which the kernel refuses unsigned modules as it does on the host, and what is to be said about it.

    ``keys``: how many of the host's the machine's firmware has, which then has Secure Boot on. Without them the kernel would also refuse
    what these have signed.
    """
    enforced, signed_here = signatures["enforced_by"], signatures["signed_here"]
    said = []
    if keys:
        said.append(f"Secure Boot is on: the {keys} keys of the host's firmware and of shim are those of the machine's firmware")
    if not enforced:
        return (), tuple(said)
    if signed_here and not keys:
        names = ", ".join(signed_here[:_MOST_NAMED]) + (" and others" if len(signed_here) > _MOST_NAMED else "")
        refused = f"unsigned modules load: on the host the kernel refuses them ({enforced}), but {names} are signed with keys of the host"
        return (), (f"{refused}, which the machine does not have",)
    given = (_ENFORCED, *((_LOCKED,) if signatures["lockdown"] else ()))
    said.append(f"the kernel is given {' '.join(given)}: on the host it refuses unsigned modules, too ({enforced})")
    if signatures["lockdown"] == "confidentiality":
        said.append(f"the kernel has not {_LOCKED_MORE}, as on the host, with which nothing could be traced")
    return given, tuple(said)


def about_uefi(reports: t.Sequence[BootTrace], *, by_shim: bool) -> tuple[str, ...]:
    """What is to be said of boots of a host that boots by UEFI."""
    if all(_EFI in report.firmware for report in reports):
        if by_shim:
            return ("the machine's UEFI firmware starts the host's shim, and that its GRUB, with the host's entry in place of its menu",)
        return ("the machine's UEFI firmware starts the kernel of the host's entry directly, and has none of the host's variables",)
    return ("the machine's kernel has no UEFI, as the host's has",)


def storage_of(known: t.Sequence[str], functions: t.Sequence[Listed]) -> tuple[str, tuple[str, ...]]:
    """The disk, if possible one whose driver no function of the host could have, and what is to be said where one could.

    ``known`` are the modules that the kernel has before its root.
    """
    shared = {name: [str(one["address"]) for one in functions if _SAME_DRIVER[name](one)] for name in known}
    chosen = min(known, key=lambda name: bool(shared[name]))
    why = f"could have the driver of the machine's disk, too ({chosen}), which is loaded for that disk, maybe earlier than on the host"
    return chosen, tuple(f"{address} {why}" for address in shared[chosen])


def emulator_arguments(plan: Plan, places: MachinePlaces, accelerator: str, initrd: Path | None) -> tuple[str, ...]:
    """QEMU's arguments but for its serial ports; without any network."""
    disk = [word.format(slot=places.disk_slot) for word in _DISKS[plan.storage]]
    return (
        *accelerator_words(accelerator),
        *("-smp", str(plan.cpus), "-m", f"{plan.memory >> 20}M"),
        *(*BARE, "-no-reboot", "-rtc", "base=utc"),
        *IOMMUS[plan.iommu],
        *("-drive", f"file={DISK},if=none,id=rehearsal,format=raw,snapshot=on,cache=unsafe", *disk),
        *NATIVE_HOTPLUG,
        *places.words,
        *(word for placement in places.placements.values() for word in ("-device", device_word(placement))),
        *_start(plan, initrd),
    )


def _start(plan: Plan, initrd: Path | None) -> tuple[str, ...]:
    if plan.partition is not None:
        return signed_start.words_for(plan.partition)
    return ("-kernel", str(plan.kernel), *(("-initrd", str(initrd)) if initrd else ()), "-append", " ".join(plan.arguments))


def iommu_of(cpu: str) -> str:
    """The kind of IOMMU that the host's processor has, by /proc/cpuinfo."""
    return "amd" if "AuthenticAMD" in cpu else "intel"
