# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Booting hosts in guests: made when they are first wanted, then so many at a time."""

from __future__ import annotations

import concurrent.futures
import re
import shlex
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import console
import emulated_functions
import machine
import root_files
import sysfs
import unified_host
import world_guests
import world_image
from archive import padded
from guest_release import of_series
from host_trees import CAPTURED
from kernel import Kernel
from observation import BootError
from world_archive import EntryArchive
from world_configuration import World
from world_records import Seen

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Say
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import qemu_program
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import run_to_end
from ansible_collections.vfio.variants.tests.exit_codes import is_ending
from ansible_collections.vfio.variants.tests.uefi import materials

_GUEST = Path(__file__).resolve().parent / "guest"
TIMEOUT = 300.0
#: Seconds of the guest's time, of which waiting costs nothing: in it ends all that starts by itself soon after the boot.
HOLD = 100
#: Subsystems with many devices that decide nothing, unless a rule names them.
_QUIET = (
    *("acpi", "bdi", "block", "clockevents", "clocksource", "container", "cpu", "cpuid", "dmi", "drivers", "edac", "event_source"),
    *("graphics", "iommu", "leds", "machinecheck", "mem", "memory", "memory_tiering", "misc", "module", "msr", "node", "platform", "pnp"),
    *("power_supply", "rtc", "serial", "serial-base", "slab", "thermal", "tty", "vc", "vtconsole", "wakeup", "workqueue"),
)
_DRIVER = re.compile(r"/sys/bus/pci/devices/([0-9a-f:.]+)/driver -> (.+)$")
_VALUE = re.compile(r"/sys/bus/pci/devices/([0-9a-f:.]+)/(modalias|driver_override):(.*)$")


@dataclass(frozen=True)
class WorldGuests:
    """The guests of some kernels, ready to boot."""

    kernels: t.Mapping[str, Kernel]
    qemu: qemu_program.Qemu

    @classmethod
    def prepare(cls, series: t.Collection[str], cache: Cache, say: Say) -> WorldGuests:
        qemu = qemu_program.provide(cache, apt_sources.of_this_machine, say)
        kernels: dict[str, Kernel] = {}
        for release in {of_series(one).name: of_series(one) for one in series}.values():
            kernels |= world_guests.provide(release, series, cache, say)
        guests = cls(kernels, qemu)
        for kernel in kernels.values():
            guests._capture(kernel, say)
        return guests

    def boot_many(self, worlds: t.Iterable[World], parallel: int) -> t.Iterator[tuple[World, Seen | BootError]]:
        """So many at a time; each is answered when its guest has ended."""
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            pending = {pool.submit(self._boot_in_folder, world): world for world in worlds}
            try:
                for done in concurrent.futures.as_completed(pending):
                    yield pending[done], done.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def boot(self, world: World, folder: Path, *, capture: bool = False) -> tuple[Seen, str]:
        """What was seen, and the whole report.  `folder` then holds what the guest wrote."""
        kernel = self.kernels[world.series]
        (folder / "initrd").write_bytes(initrd(world, kernel, capture))
        start = time.monotonic()
        ended = run_to_end(folder, self.qemu, self._words(world, kernel, folder), TIMEOUT, is_ending)
        seconds = time.monotonic() - start
        (folder / "initrd").unlink()
        report = ended.report
        if ended.problem or "@end" not in report.split("\n"):
            why = ended.problem or "stopped before it had reported all"
            raise BootError(f"{world.name} on {kernel.release}: {why}\n{ended.console[-4000:]}{report[-1500:]}")
        return _seen(report, seconds), report

    def _boot_in_folder(self, world: World) -> Seen | BootError:
        with tempfile.TemporaryDirectory(prefix="world-") as folder:
            try:
                return self.boot(world, Path(folder))[0]
            except BootError as error:
                return error
            except HostError as error:
                # A draw may name a module that this kernel does not have; the other hosts are booted all the same.
                return BootError(f"{world.name} cannot be built: {error}")

    def _words(self, world: World, kernel: Kernel, folder: Path) -> list[str]:
        words = root_files.cmdline(world.configuration())
        machine_words = emulated_functions.arguments(world.absent)
        if world.unified:
            parts, program = materials.provide(Cache.at(None), print), folder / "unified.efi"
            unified_host.make(parts, kernel, words, [(folder / "initrd").read_bytes()], program)
            return unified_host.started(parts, machine_words, program)
        return [*machine_words, "-kernel", str(kernel.started), "-initrd", str(folder / "initrd"), "-append", words]

    def _capture(self, kernel: Kernel, say: Say) -> None:
        """Note once what sysfs looks like here, in a boot with nothing configured but virtual functions."""
        target = kernel.folder / CAPTURED
        if target.is_file():
            return
        from world_plain import plain

        with tempfile.TemporaryDirectory(prefix="world-") as folder:
            seen, report = self.boot(plain(kernel.series), Path(folder), capture=True)
        expected = {function.address: function.modalias for function in emulated_functions.FUNCTIONS}
        expected |= dict.fromkeys(machine.VIRTUAL_ADDRESSES, machine.VIRTUAL_MODALIAS)
        others = [
            f"{address} is {seen.modalias.get(address)}" for address, alias in expected.items() if seen.modalias.get(address) != alias
        ]
        if others:
            raise HostError(f"The guest's machine is not as written: {'; '.join(others)}.\n{report[-3000:]}")
        write_atomic(target, sysfs.parse(report.partition("@sysfs")[2].splitlines()))
        say(f"Linux {kernel.release} with systemd: booted in {seen.seconds:.1f} s, its functions noted")


def initrd(world: World, kernel: Kernel, capture: bool) -> bytes:
    """The guest's programs, the host's initramfs, a second one where there is one, and the host's own files."""
    parts = [kernel.base.read_bytes(), world_image.make(world, kernel), world_image.second(world), _own(world, kernel, capture)]
    return b"".join(padded(part) for part in parts)


def _own(world: World, kernel: Kernel, capture: bool) -> bytes:
    archive = EntryArchive()
    for path in sorted(_GUEST.iterdir()):
        archive.file(f"/forecast/{path.name}", path.read_bytes(), 0o755)
    missing = sorted(root_files._without(world.configuration(), kernel))
    settings = {
        "release": kernel.release,
        "missing": " ".join(missing),
        "capture": "yes" if capture else "",
        "hold": str(HOLD),
        "nomatch": nomatch(world),
    }
    archive.file("/root/forecast/wanted", "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()))
    if missing:
        root_files._add_indices(archive, world.configuration(), kernel)
    archive.entries(world.root, "/root")
    return archive.content()


def nomatch(world: World) -> str:
    """The words for `udevadm trigger` that leave out subsystems which no rule of the host is about."""
    rules = "".join(entry.text for path, entry in world.root.items() if "/udev/" in path or "cred" in path) + " ".join(world.cmdline)
    return " ".join(f"--subsystem-nomatch={name}" for name in _QUIET if name not in rules)


def _seen(report: str, seconds: float) -> Seen:
    stages: dict[str, dict[str, str | None]] = {}
    overrides: dict[str, str] = {}
    modalias: dict[str, str] = {}
    modules: list[str] = []
    jobs: list[str] = []
    for head, lines in console._sections(report):
        words = head.split()
        if words[0] == "@stage":
            owners: dict[str, str | None] = {}
            drivers: dict[str, str] = {}
            for line in lines:
                value, link = _VALUE.match(line), _DRIVER.search(line)
                if link:
                    drivers[link[1]] = link[2].rpartition("/")[2]
                elif value and value[2] == "modalias":
                    owners[value[1]] = None
                    modalias[value[1]] = value[3]
                elif value and words[1] == "end" and value[3] != "(null)":
                    overrides[value[1]] = value[3]
            stages[words[1]] = {**owners, **drivers}
        elif words[0] == "@modules":
            modules = [line.split()[0] for line in reversed(lines) if line]
        elif words[0] == "@jobs":
            jobs = [line for line in lines if line]
    if "end" not in stages:
        raise BootError(f"The guest did not report the end.\n{report[-1500:]}")
    unsettled = "@unsettled" in report.split("\n")
    return Seen(stages["end"], stages, overrides, modalias, tuple(modules), tuple(jobs), unsettled, round(seconds, 1))
