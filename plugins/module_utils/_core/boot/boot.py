# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The input of a forecast, which is what each stage of one kernel's boot has and does; and its result."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive, ModprobeConfig
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import Types
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.driver import PciDriver
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
    from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules


StageName = t.Literal["kernel", "initramfs", "root", "runtime"]
"""The stages of a boot, in order."""
KERNEL: t.Final = "kernel"
INITRAMFS: t.Final = "initramfs"
ROOT: t.Final = "root"
RUNTIME: t.Final = "runtime"

Certainty = t.Literal["certain", "race", "unknown"]
CERTAIN: t.Final = "certain"
RACE: t.Final = "race"
UNKNOWN: t.Final = "unknown"


@dataclasses.dataclass(frozen=True)
class ListedModule:
    """A module in a list, with its file and line, and the options that the list gives it."""

    name: str
    source: str
    options: str = ""
    written: str = dataclasses.field(default="", compare=False)
    """The module as the list has it."""

    @property
    def said(self) -> str:
        return self.written or self.name

    @property
    def is_optional(self) -> bool:
        """Whether its list says that a kernel may lack it."""
        return self.written.endswith("?")


@dataclasses.dataclass(frozen=True)
class LoadList:
    """Modules that one program loads by name, in order: `conf/modules`, systemd-modules-load, rd.driver.pre."""

    program: str
    modules: tuple[ListedModule, ...]
    in_order: bool = True
    """False if the program loads several modules at a time (systemd-modules-load since systemd 259)."""
    honours_blacklist: bool = True
    """False if the program runs a plain `modprobe name`: dracut's rd.driver.pre and rd.driver.post, sysvinit's kmod."""


@dataclasses.dataclass(frozen=True)
class Coldplug:
    """udev replays the "add" event of every device; events of different devices are processed in parallel."""


StageWork = t.Union[LoadList, Coldplug]
Step = tuple[StageWork, ...]
"""Work that runs concurrently; the next step begins when all of it is done."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """What one stage of a boot has and does.  ``place`` is its name in messages: the initramfs's path, or ``/``.

    ``kernel`` has the modules, built-ins and aliases that exist in this stage; ``config`` is what kmod reads there, including the
    command line and depmod's softdeps.  ``doubts`` say what could not be determined, one sentence each.
    """

    name: StageName
    place: str
    steps: tuple[Step, ...]
    kernel: Kernel
    config: ModprobeConfig
    rules: Rules
    doubts: tuple[str, ...] = ()
    loads_lists: bool = False
    """Whether an initramfs has systemd-modules-load, for which its generator copies the root's lists."""
    is_of_several: bool = False
    """Whether an initramfs is unpacked from several images."""
    influences: tuple[Influence, ...] = ()
    """What else runs in this stage, from its beginning to its end."""
    install_commands: t.Mapping[str, tuple[Influence, ...]] = dataclasses.field(default_factory=dict)
    """What the commands of `install` lines may do that are more than `modprobe`, by file and line."""
    no_coldplug: Reason | None = None
    """What keeps systemd from replaying the devices' events."""
    programs: t.Mapping[str, tuple[Influence, ...]] = dataclasses.field(default_factory=dict)
    """By command line as a rule has it, what a program that a rule runs may do: empty if nothing.  In an address, `%k` is the device whose
    event runs it."""
    absent_programs: frozenset[str] = frozenset()
    """Command lines, as a rule has them, of programs that are not at the path which the line gives."""
    endings: t.Mapping[str, bool | str] = dataclasses.field(default_factory=dict)
    """By command line as a rule has it, whether PROGRAM goes well, where that is known; what it writes, if it writes something."""
    own_modules: t.Mapping[str, ModuleFacts] = dataclasses.field(default_factory=dict)
    """The modules whose files are others in this initramfs than in the root, by normalized name."""
    other_builds: tuple[str, ...] = ()
    """Those of them that were built another time than the root's, or that the root no longer has."""


@dataclasses.dataclass(frozen=True)
class ModuleFacts:
    """From a module's file, or modules.builtin.modinfo if it is built in.  ``drivers`` are the PCI drivers it registers, in order.

    ``refused`` says why the kernel would not load it (other vermagic, unsigned under lockdown); None if it would.
    """

    drivers: tuple[PciDriver, ...]
    takes_ids: bool = False
    refused: str | None = None
    doubt: str | None = None
    """Why its drivers are not certain."""
    synchronous: frozenset[str] = frozenset()
    """The drivers that no option can make asynchronous (PROBE_FORCE_SYNCHRONOUS)."""
    types: Types | None = None
    """The types of its parameters by normalized name; None if they are not known, and any name may be a parameter's."""
    license: str | None = None
    version: str | None = None
    name: str | None = None
    """The name by which the kernel knows it, where that is not its file's; the file's own field."""


@dataclasses.dataclass(frozen=True)
class Assigned:
    """A driver that a service binds to a device after the root has booted: the configuration's file and line, and when it happens."""

    driver: str
    source: str
    when: str = ""


@dataclasses.dataclass(frozen=True)
class Making:
    """How many virtual functions a rule creates, its file and line, and at which events of the physical function it does."""

    count: int
    source: str
    at_add: bool = True
    at_bind: bool = True


@dataclasses.dataclass(frozen=True)
class Later:
    """What runs after coldplug and rebinds devices."""

    driverctl: t.Mapping[str, Assigned] = dataclasses.field(default_factory=dict)
    """By address."""
    driverctl_adds_ids: bool = False
    """driverctl 0.115 and newer writes to new_id of vfio-pci, which then binds to every unbound device of that ID."""
    may_take: t.Mapping[str, Assigned] = dataclasses.field(default_factory=dict)
    """By address, if it cannot be determined whether it happens: devices of libvirt's autostarted domains, and DPDK's list."""
    virtual_functions: t.Mapping[str, Making] = dataclasses.field(default_factory=dict)
    """What is sure to create virtual functions, by the physical function's address."""
    unmade: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Why it is not known whether existing virtual functions are created again, a sentence; by the physical function's address."""
    doubts: tuple[str, ...] = ()
    """What is not bounded and cannot be determined about what runs then."""
    influences: tuple[Influence, ...] = ()
    """Units, scripts, timers and agents that may act on drivers until the host is up."""


@dataclasses.dataclass(frozen=True)
class Boot:
    """One kernel's boot.  ``stages`` are those with user space, in order: the initramfs, if any, and the root.

    ``modules`` has, by normalized name, every module that could bind to one of the devices, or is configured to.
    ``built_in`` has the PCI drivers that are linked into the kernel, in link order, each with its module's name.
    """

    release: str
    cmdline: Cmdline
    cmdline_source: str
    stages: tuple[Stage, ...]
    modules: t.Mapping[str, ModuleFacts]
    built_in: tuple[tuple[str, PciDriver], ...] = ()
    held_by_built_in: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """By address: the driver that the device is bound to now, if it is built into the kernel that boots."""
    maybe_built_in: t.Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """By address: the built-in drivers that may be for the device, whose IDs this kernel does not list; empty where any may be."""
    maybe_taken_first: frozenset[str] = frozenset()
    """The addresses that such a driver may have before a VFIO driver that is built in is linked."""
    declined: t.Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """By address: drivers that are registered and match the device, but are not bound to it, so their probe fails."""
    has_iommu: bool | None = None
    """Whether any device is in an IOMMU group now; None if that does not apply to this boot."""
    iommu_vendor: str | None = None
    """Whose IOMMU the machine has, by its own tables and CPU; None if they do not say."""
    iommu_doubt: str | None = None
    """Why this boot may have no IOMMU, a sentence."""
    possible_cpus: int | None = None
    """How many processors the machine can have (num_possible_cpus()); None if that is not known of this boot."""
    functions: t.Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """What starts a module, or a built-in driver, by its name: the functions that `initcall_blacklist=` may leave out, if known."""
    later: Later = dataclasses.field(default_factory=Later)
    doubts: tuple[str, ...] = ()
    """What could not be determined about the boot as a whole, as when the initramfs cannot be read."""
    influences: tuple[Influence, ...] = ()
    """What may act at any time of the boot."""
    assumes: tuple[str, ...] = ()
    """What is taken as harmless without having been simulated, a short sentence each."""

    def facts(self, module: str, stage: Stage | None) -> ModuleFacts | None:
        """The facts about a module as a stage has it."""
        own = None if stage is None else stage.own_modules.get(module)
        return self.modules.get(module) if own is None else own

    @property
    def all_influences(self) -> tuple[Influence, ...]:
        """Those of any time, of each stage, and of what comes later."""
        return (*self.influences, *(one for stage in self.stages for one in stage.influences), *self.later.influences)

    @property
    def influences_of_programs(self) -> tuple[Influence, ...]:
        """Those of all programs that rules and install lines can run."""
        programs = (found for stage in self.stages for found in (*stage.programs.values(), *stage.install_commands.values()))
        return tuple(one for found in programs for one in found)


NOT_KNOWN = "not known"
"""The source of what a forecast could not see."""


@dataclasses.dataclass(frozen=True)
class Reason:
    """A fact that decides the result, and its source: a file and line, or an address."""

    source: str
    fact: str

    def __str__(self) -> str:
        return f"{self.source}: {self.fact}"


@dataclasses.dataclass(frozen=True)
class Winner:
    """Which driver a device will be bound to.  ``driver`` is None for none; ``outcomes`` are all possible results, with
    `ANOTHER` (pci/influence.py) where the owner may be a driver that cannot be named.

    With certainty `race`, ``driver`` is the likelier outcome; with `unknown`, the outcome if the doubts had no effect.
    """

    driver: str | None
    certainty: Certainty
    stage: StageName | None
    because: tuple[Reason, ...]
    outcomes: tuple[str | None, ...]
    assumes: tuple[str, ...] = ()
    """What a certain answer takes for granted, a short sentence each."""

    @property
    def facts(self) -> dict[str, str]:
        """The facts that decide each of the outcomes, by source."""
        found: dict[str, str] = {}
        for because in self.because:
            source, fact = because.source, because.fact
            if source.startswith("or "):
                source, _colon, fact = fact.partition(": ")
            found.setdefault(source, fact)
        return found

    @property
    def doubts(self) -> tuple[str, ...]:
        """What could not be seen, a sentence each."""
        return tuple(because.fact for because in self.because if because.source == NOT_KNOWN)


@dataclasses.dataclass(frozen=True)
class Flow:
    """What an initramfs does.  ``blacklisted`` are lines that its scripts add to modprobe.d; ``blacklist_lasts`` if they do so in
    /run, which the root inherits."""

    steps: tuple[Step, ...]
    blacklisted: tuple[Directive, ...] = ()
    blacklist_lasts: bool = False
    doubts: tuple[str, ...] = ()
