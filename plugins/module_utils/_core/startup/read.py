# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that starts by itself when a root boots, and what it may do to PCI devices' drivers."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import (
    agents,
    boot_units,
    commands_of_daemons,
    credentials,
    early_modules,
    extensions,
    generators,
    guests,
    made_at_boot,
    other_users,
    schedules,
    services,
    site_hooks,
    sysctl,
    tmpfiles,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.command_line import SystemdWords, with_suffix
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.conditions import Conditions
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.systemd_variables import GENERATORS, SystemdVariables
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import FOLDERS, UnitFiles, mask_of, of_user
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.units import StartedUnits

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import InfluencesOf
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import ScheduledJob
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.units import Started

BUS_SERVICES = tuple(f"{folder}/dbus-1/system-services" for folder in ("/etc", "/usr/local/share", "/usr/share", "/lib"))
RUN_GENERATOR = "systemd-run-generator"
OF_A_MANAGER = ("default.target", "basic.target", "timers.target", "sockets.target", "paths.target")
INITS = ("/sbin/init", "/usr/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd")
KEXEC = "/etc/default/kexec"
# They are simulated, or judged from their configuration.
SIMULATED = (
    "driverctl@",
    "dpdk.service",
    "pve-guests.service",
    "systemd-modules-load.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
)


@dataclasses.dataclass(frozen=True)
class Startup:
    """What may act on drivers: ``early`` from the beginning of the root stage on, ``later`` until the host is up, which includes them."""

    early: tuple[Influence, ...] = ()
    later: tuple[Influence, ...] = ()
    assumes: tuple[str, ...] = ()


def read(host: Host, kernel: Kernel, inventory: Inventory, cmdline: Cmdline, source: str, with_systemd: bool = True) -> Startup:
    """What starts by itself on a host; ``source`` is where the command line stands."""
    reader = _Reader(host, kernel, inventory, cmdline, source)
    early = tuple(dict.fromkeys(reader.of_systemd() if with_systemd else reader.of_sysvinit()))
    later = tuple(dict.fromkeys((*early, *reader.later())))
    return Startup(early, later, reader.assumes())


def judge_unit(
    host: FileTree,
    name: str,
    source: str,
    kernel: Kernel,
    inventory: Inventory | None = None,
    cmdline: Cmdline | None = None,
    files: UnitFiles | None = None,
) -> tuple[Influence, ...]:
    """What starting a unit may do, with all that it pulls in; ``source`` is what starts it, ``files`` are other units than the tree's."""
    units = _Units(host, kernel, inventory, cmdline, (), files)
    return tuple(dict.fromkeys(units.judged(name, source)))


def units_of(tree: FileTree, kernel: Kernel, inventory: Inventory | None, cmdline: Cmdline | None = None) -> InfluencesOf:
    """For a `ProgramAnalysis`: what a unit may do that a program has systemd start."""
    return lambda name, source: judge_unit(tree, name, source, kernel, inventory, cmdline)


class _Units:
    """The units of a host, each judged once."""

    def __init__(
        self,
        host: FileTree,
        kernel: Kernel,
        inventory: Inventory | None,
        cmdline: Cmdline | None,
        masked: t.Collection[str],
        files: UnitFiles | None = None,
        is_user_s: bool = False,
        system: _Units | None = None,
    ) -> None:
        """``system`` are the units that programs have systemd start, where they are others."""
        self._host = host
        self._is_user_s = is_user_s
        self.conditions = Conditions(host, cmdline, kernel.release, is_user_s)
        self.files = files or UnitFiles(host, masked)
        self._known: dict[str, tuple[Influence, ...]] = {}
        manager = SystemdVariables.read(host, cmdline, Ownership.of(host))
        # What a user's own manager has besides is in files that programs of the session add to.
        manager = manager if system is None else dataclasses.replace(manager, is_open=True)
        self.judge = ProgramAnalysis(host, kernel, inventory, (system or self).judged, None, manager)

    def judged(self, name: str, source: str) -> tuple[Influence, ...]:
        """A unit by its name, with what it pulls in."""
        unit = with_suffix(name.removesuffix(".service")) if "." not in name else name
        if unit in self._known:
            return self._known[unit]
        self._known[unit] = ()
        started = StartedUnits.only(self.files, unit, source, self.conditions.may_hold)
        self._known[unit] = tuple(one for entry in started for one in self.of(entry))
        return self._known[unit]

    def of(self, started: Started) -> tuple[Influence, ...]:
        unit = started.unit
        if not self.conditions.may_hold(unit):
            return ()
        keys = services.BESIDE if unit.name.startswith(SIMULATED) else services.KEYS
        return tuple(
            one
            for command in services.commands(unit, self._host, keys, self._is_user_s, self.judge.manager)
            for one in self.judge.of_unit(command)
        )


class _Reader:
    def __init__(self, host: Host, kernel: Kernel, inventory: Inventory, cmdline: Cmdline, source: str) -> None:
        self._host = host
        self._kernel = kernel
        self._inventory = inventory
        self._source = source
        self._cmdline = cmdline
        self._words = SystemdWords.of(cmdline)
        self._masked = generators.masked_by_word(host, cmdline)
        self._units = _Units(host, kernel, inventory, cmdline, self._masked)
        self._judge = self._units.judge
        self._started = boot_units.at_boot(host, self._units.files, self._units.conditions, cmdline, source)
        self._ownership = Ownership.of(host)

    def of_systemd(self) -> t.Iterator[Influence]:
        yield from self._first_program()
        yield from early_modules.read(self._host, self._kernel, self._inventory)
        for started in list(self._started.found.values()):
            yield from self._units.of(started)
        yield from self._of_managers()
        if generators.can_run(self._host, RUN_GENERATOR):
            for command in self._words.runs:
                yield from self._judge.of(command, f"{self._source}: systemd.run=", {})
        if self._words.keeps_devices:
            fact = "may keep devices bound across a kexec, as they are when it happens"
            yield Influence(f"{self._source}: liveupdate=", fact, frozenset(("bind",)))
        yield from credentials.read(self._host, self._judge, self._cmdline, self._source)
        yield from extensions.read(self._host, self._judge, self._is_started)
        yield from self._generators()
        yield from self._environment_generators()
        yield from self._bus_services()
        if self._runs("systemd-tmpfiles-setup.service") or self._runs("systemd-tmpfiles-setup-dev.service"):
            yield from tmpfiles.read(self._host, self._inventory, self._judge.of)
        if self._runs("systemd-sysctl.service"):
            yield from sysctl.read(self._host, self._reads_sysctl_conf(), self._judge.of)
        yield from self._scripts(lambda name: self._units.files.load(f"{name}.service") is None and not self._is_masked(f"{name}.service"))
        yield from self._scheduled(lambda units: any(self._is_started(unit) for unit in units))
        yield from self._configured()

    def of_sysvinit(self) -> t.Iterator[Influence]:
        """Without systemd: scripts of run levels, which start cron as well."""
        yield from self._first_program()
        yield from sysctl.read(self._host, True, self._judge.of)
        yield from self._scripts(lambda _name: True)
        started = {job.source.rpartition("/")[2][3:] for job in schedules.init_scripts(self._host)}
        yield from self._scheduled(lambda units: any(unit.partition(".")[0] in started for unit in units))
        yield from self._configured()

    def _first_program(self) -> t.Iterator[Influence]:
        """What the program does that the command line has in place of the host's init."""
        for path in self._cmdline.values("init")[-1:]:
            if path not in INITS:
                yield from self._judge.of(path, f"{self._source}: init={path}")

    def later(self) -> t.Iterator[Influence]:
        """What runs only when the host is nearly up: guests that are started by themselves."""
        yield from guests.read(self._host, self._inventory, self._judge, self._is_started)

    def assumes(self) -> tuple[str, ...]:
        text = (self._host.head(KEXEC, 1 << 14) or b"").decode("utf-8", "replace")
        loaded = re.search(r"^[ \t]*LOAD_KEXEC=[\"']?true", text, re.MULTILINE) is not None
        return (*self._of_packages(), *((f"The boot is not one by kexec, which {KEXEC} sets up.",) if loaded else ()))

    def _of_packages(self) -> tuple[str, ...]:
        found = len(self._started.found)
        if self._ownership.is_readable:
            return (f"Programs that {found} units start act on no driver where they are as their packages brought them.",) if found else ()
        return ("No package database can be read: programs in /usr/bin, /usr/lib and the like are taken to be a distribution's.",)

    def _configured(self) -> t.Iterator[Influence]:
        scripts = {job.source.rpartition("/")[2][3:] for job in schedules.init_scripts(self._host)}
        if any(self._is_started(unit) or unit in scripts for unit in made_at_boot.SYSFS_UNITS):
            yield from made_at_boot.of_sysfsutils(self._host, self._inventory)
        yield from made_at_boot.of_quadlets(self._host)
        yield from agents.read(self._host, self._inventory, self._judge, self._is_started)
        yield from site_hooks.read(self._host, self._judge, self._is_started)
        yield from commands_of_daemons.read(self._host, self._judge, [one.unit for one in self._started.found.values()])

    # -- units

    def _of_managers(self) -> t.Iterator[Influence]:
        """What the managers start that root and others have of their own, which run while these linger or are logged in."""
        for one in other_users.managers(self._host, [started.unit for started in self._started.found.values()]):
            files = UnitFiles(self._host, folders=of_user(one.home), owner=(one.user, one.home))
            units = _Units(self._host, self._kernel, self._inventory, self._cmdline, (), files, one.user != other_users.ROOT, self._units)
            asked = [(name, one.by) for name in OF_A_MANAGER]
            for started in StartedUnits(units.files, asked, units.conditions.may_hold).found.values():
                yield from units.of(started)

    def _is_started(self, unit: str) -> bool:
        return unit in self._started.found or any(unit in started.unit.names for started in self._started.found.values())

    def _is_masked(self, unit: str) -> bool:
        return unit in self._masked or mask_of(self._host, unit, FOLDERS) is not None

    def _runs(self, unit: str) -> bool:
        """Whether a unit of systemd's own runs: where it cannot be seen it does, if nothing masks it."""
        return not self._is_masked(unit)

    def _reads_sysctl_conf(self) -> bool:
        """systemd-sysctl reads /etc/sysctl.conf only through a link in sysctl.d, which Debian has up to version 12."""
        return not self._host.exists("/usr/lib/systemd/systemd-sysctl") or self._is_started("procps.service")

    def _generators(self) -> t.Iterator[Influence]:
        seen: set[str] = set()
        for folder in generators.FOLDERS:
            for name in self._host.names(folder) if self._host.is_dir(folder) else ():
                path = f"{folder}/{name}"
                if name in seen or not schedules.is_executable(self._host, path):
                    seen.add(name)
                    continue
                seen.add(name)
                if self._ownership.is_intact(self._ownership.resolved(path)):
                    continue
                if self._ownership.is_readable or not folder.startswith("/usr/lib/"):
                    yield from generators.judged(self._judge, path)
                else:
                    yield from self._judge.of(path, path, {})

    def _environment_generators(self) -> t.Iterator[Influence]:
        """systemd runs them before its first unit (systemd.environment-generator(7))."""
        seen: set[str] = set()
        for folder in GENERATORS:
            for name in self._host.names(folder) if self._host.is_dir(folder) else ():
                path = f"{folder}/{name}"
                if name not in seen and schedules.is_executable(self._host, path):
                    yield from self._judge.of(path, path, {})
                seen.add(name)

    def _bus_services(self) -> t.Iterator[Influence]:
        """Services that D-Bus starts when somebody asks for their names."""
        for folder in BUS_SERVICES:
            for name in self._host.names(folder) if self._host.is_dir(folder) else ():
                path = f"{folder}/{name}"
                text = head_text(self._host, path, 1 << 14)
                settings = dict(line.partition("=")[::2] for line in text.split("\n") if "=" in line)
                unit, program, user = (settings.get(key, "").strip() for key in ("SystemdService", "Exec", "User"))
                if unit:
                    yield from self._units.judged(unit, path)
                elif program and user in ("", "root"):
                    yield from self._judge.of(program, path, {})

    # -- scripts

    def _scripts(self, is_run: t.Callable[[str], bool]) -> t.Iterator[Influence]:
        for job in schedules.init_scripts(self._host):
            target = self._host.link_name(job.source) or job.source.rpartition("/")[2][3:]
            if is_run(target.removesuffix(".sh")):
                yield from self._judge.of_script(job.command, job.source)
        if not (self._is_masked("rc-local.service") or self._is_masked("rc.local.service")):
            for job in schedules.local_scripts(self._host):
                yield from self._judge.of_script(job.command, job.source)

    def _scheduled(self, is_started: t.Callable[[t.Sequence[str]], bool]) -> t.Iterator[Influence]:
        if is_started(schedules.CRON_UNITS):
            yield from self._jobs(schedules.at_reboot(self._host))
        if is_started(("anacron.service", "anacron.timer", *schedules.CRON_UNITS)):
            yield from self._jobs(schedules.of_anacron(self._host))
        if is_started(("atd.service",)):
            for job in schedules.of_at(self._host):
                yield from self._judge.of_text(job.command, job.source)

    def _jobs(self, jobs: t.Iterable[ScheduledJob]) -> t.Iterator[Influence]:
        for job in jobs:
            if not job.user or other_users.gets_root(self._host, job.command):
                yield from self._judge.of_job(job.command, job.source, job.environment)
