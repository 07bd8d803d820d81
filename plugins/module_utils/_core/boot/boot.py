# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a forecast is made from: for one kernel, what each stage of its boot holds and does; and what comes out of it."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules


# The stages of a boot, in order.
KERNEL = "kernel"
INITRAMFS = "initramfs"
ROOT = "root"
RUNTIME = "runtime"

CERTAIN = "certain"
RACE = "race"
UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Listed:
    """A module that a list names, with the list's place (file and line), and the options that stand beside it."""

    name: str
    source: str
    options: str = ""


@dataclasses.dataclass(frozen=True)
class LoadList:
    """Modules that one program loads by name, in order: `conf/modules`, systemd-modules-load, rd.driver.pre."""

    program: str
    modules: tuple[Listed, ...]
    in_order: bool = True
    """False where the program loads several at a time (systemd-modules-load from systemd 262 on)."""
    heeds_blacklist: bool = True
    """False where the program runs a plain `modprobe name`: dracut's rd.driver.pre and rd.driver.post, sysvinit's kmod."""


@dataclasses.dataclass(frozen=True)
class Coldplug:
    """udev replays the "add" event of every device; events of different devices run in parallel."""


Work = t.Union[LoadList, Coldplug]
Step = tuple[Work, ...]
"""Works that run at the same time; the next step begins when all have ended."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """What one stage has and does.  ``place`` names it to the user: the image's path, or ``/``.

    ``kernel`` holds the modules, built-ins and aliases that are found there; ``config`` what kmod reads there, the command
    line and depmod's softdeps included.  ``doubts`` say what could not be seen, a sentence each.
    """

    name: str
    place: str
    steps: tuple[Step, ...]
    kernel: Kernel
    config: ModprobeConfig
    rules: Rules
    doubts: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModuleFacts:
    """What a module's file (or, built in, modules.builtin.modinfo) says.  ``drivers`` are the PCI drivers it registers, in order.

    ``refused`` says why the kernel would not load it (other vermagic, unsigned under lockdown), None where it would.
    """

    drivers: tuple[PciDriver, ...]
    takes_ids: bool = False
    refused: str | None = None
    doubt: str | None = None
    """Why its drivers are not known for certain."""
    synchronous: frozenset[str] = frozenset()
    """The drivers that no option makes asynchronous (PROBE_FORCE_SYNCHRONOUS)."""


@dataclasses.dataclass(frozen=True)
class Assigned:
    """A driver that somebody gives a device once the root has booted, with the place that says so, and when that is."""

    driver: str
    source: str
    when: str = ""


@dataclasses.dataclass(frozen=True)
class Later:
    """What runs after coldplug and takes devices from whoever has them."""

    driverctl: t.Mapping[str, Assigned] = dataclasses.field(default_factory=dict)
    """By address."""
    driverctl_adds_ids: bool = False
    """driverctl 0.115 and newer write new_id for vfio-pci, which takes every unbound device of that ID."""
    may_take: t.Mapping[str, Assigned] = dataclasses.field(default_factory=dict)
    """By address, where whether it happens cannot be seen: devices of libvirt's domains that start with the host, and DPDK's list."""
    virtual_functions: t.Mapping[str, tuple[int, str]] = dataclasses.field(default_factory=dict)
    """How many virtual functions are made for a physical one, and the place that says so; by its address."""
    doubts: tuple[str, ...] = ()
    """Units that write to a driver's attributes, whose effect cannot be told."""


@dataclasses.dataclass(frozen=True)
class Boot:
    """One kernel's boot.  ``stages`` are those with user space, in order: the initramfs, where there is one, and the root.

    ``modules`` are by comparable name: every module that could take one of the devices, or is told to.
    ``built_in`` are the PCI drivers that are linked into the kernel, in link order, by the module that each would be.
    """

    release: str
    cmdline: Cmdline
    cmdline_source: str
    stages: tuple[Stage, ...]
    modules: t.Mapping[str, ModuleFacts]
    built_in: tuple[tuple[str, PciDriver], ...] = ()
    held_by_built_in: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """By address: the built-in driver that has the device now, where the kernel in question has it built in as well."""
    built_in_known: bool = True
    """Whether the IDs of built-in drivers can be read: from Linux 6.18 on."""
    maybe_built_in: frozenset[str] = frozenset()
    """Addresses of devices that a built-in driver may want without anybody knowing: no loadable native, and a VFIO driver has it now."""
    declined: t.Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """By address: drivers that are registered now and could have taken the device, and have not: their probe fails."""
    has_iommu: bool | None = None
    """Whether any device is in an IOMMU group now; None where that says nothing about this boot."""
    later: Later = dataclasses.field(default_factory=Later)
    doubts: tuple[str, ...] = ()
    """What could not be read for the boot as a whole: an image that cannot be looked into, a boot loader nobody knows."""


NOT_KNOWN = "not known"
"""The source of what a forecast could not see."""


@dataclasses.dataclass(frozen=True)
class Reason:
    """A fact that decides, and where it stands."""

    source: str
    fact: str

    def __str__(self) -> str:
        return f"{self.source}: {self.fact}"


@dataclasses.dataclass(frozen=True)
class Winner:
    """Who will have a device.  ``driver`` is None where nobody will; ``outcomes`` are all that are possible.

    With certainty `race` it is the outcome that is likelier, with `unknown` what would come if the doubt had no effect.
    """

    driver: str | None
    certainty: str
    stage: str | None
    because: tuple[Reason, ...]
    outcomes: tuple[str | None, ...]

    @property
    def doubts(self) -> tuple[str, ...]:
        """What could not be seen, a sentence each."""
        return tuple(because.fact for because in self.because if because.source == NOT_KNOWN)


@dataclasses.dataclass(frozen=True)
class Flow:
    """``blacklisted`` are modules that the scripts add to modprobe.d, ``blacklist_lasts`` if they do so in /run: the root inherits it."""

    steps: tuple[Step, ...]
    blacklisted: tuple[str, ...] = ()
    blacklist_lasts: bool = False
    doubts: tuple[str, ...] = ()
