# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast guest, which boots configurations: made when it is first wanted, then so many at a time."""

from __future__ import annotations

import concurrent.futures
import shutil
import tempfile
import time
import typing as t
from pathlib import Path

import console
import floor
import guest_release
import image
import machine
import root_files
import sysfs
from archive import padded
from configuration import SERIES, Configuration
from host_trees import CAPTURED
from kernel import Kernel
from observation import BootError, Observation

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import (
    ArchiveUnavailableError,
    MissingPackage,
    marked,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Say
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import qemu_program
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import run_to_end
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.tests.exit_codes import is_ending

TIMEOUT = 180.0
_INITRD = "initrd"


def _print(line: str) -> None:
    print(line, flush=True)


class GuestPool:
    """``prepare`` comes first; after it nothing needs the network."""

    def __init__(self, cache: Cache | None = None, say: Say = _print) -> None:
        self._cache = cache or Cache.at(None)
        self._say = say
        self._kernels: dict[str, Kernel] = {}
        self._qemu: Qemu | None = None

    def prepare(self, series: t.Iterable[str] = SERIES) -> tuple[str, ...]:
        """The guests of these series, from the cache or made now; which of them there are.

        ArchiveUnavailableError when the archive leaves fewer than the floor.
        """
        wanted = tuple(series)
        missing: list[MissingPackage] = []
        self._qemu = qemu_program.provide(self._cache, apt_sources.of_this_machine, self._say)
        for release in {guest_release.of_series(one).name: guest_release.of_series(one) for one in wanted}.values():
            try:
                made = guest_release.provide(release, self._cache, self._say)
            except ArchiveUnavailableError as error:
                missing += error.missing
                continue
            self._kernels.update({one: kernel for one, kernel in made.items() if one in wanted})
        for one in missing:
            self._say(marked(one))
        missed = [one for one in floor.missed_guests(self._kernels) if one in wanted]
        if missed or not self._kernels:
            raise ArchiveUnavailableError([MissingPackage(f"a guest with Linux {one}", "the floor wants one") for one in missed or wanted])
        for kernel in self._kernels.values():
            self._capture(kernel)
        return tuple(one for one in wanted if one in self._kernels)

    def digest(self) -> str:
        """Changes with everything that a boot of a configuration depends on, but for the configuration."""
        return guest_release.digest()

    def kernel(self, series: str) -> Kernel:
        if series not in self._kernels:
            raise HostError(f"The guest with kernel {series} is not prepared.")
        return self._kernels[series]

    def boot(self, configuration: Configuration, folder: Path, timeout: float = TIMEOUT) -> Observation:
        """Boot the configuration; `folder` then holds what the guest wrote.  BootError where it did not come to its end."""
        kernel = self.kernel(configuration.series)
        return self._observed(configuration, kernel, folder, timeout, capture=False)[0]

    def boot_many(
        self, configurations: t.Iterable[Configuration], parallel: int = 2, timeout: float = TIMEOUT
    ) -> t.Iterator[tuple[Configuration, Observation | BootError]]:
        """Boot so many at a time; each is answered when its guest has ended."""
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool, tempfile.TemporaryDirectory(prefix="forecast-") as folder:
            pending = {
                pool.submit(self._boot_in, one, Path(folder) / str(number), timeout): one for number, one in enumerate(configurations)
            }
            try:
                for done in concurrent.futures.as_completed(pending):
                    yield pending[done], done.result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _boot_in(self, configuration: Configuration, folder: Path, timeout: float) -> Observation | BootError:
        folder.mkdir()
        try:
            return self.boot(configuration, folder, timeout)
        except BootError as error:
            return error
        finally:
            shutil.rmtree(folder)

    def _capture(self, kernel: Kernel) -> None:
        """Note once what sysfs looks like here, in a boot with nothing configured."""
        target = kernel.folder / CAPTURED
        if target.is_file():
            return
        plain = Configuration("capture", kernel.series, virtual_functions=machine.VIRTUAL_FUNCTIONS, missing_modules=("rival_pci",))
        with tempfile.TemporaryDirectory(prefix="forecast-") as folder:
            observation, report = self._observed(plain, kernel, Path(folder), TIMEOUT, capture=True)
        absent = [address for address in _addresses() if address not in observation.owners]
        others = [
            f"{address} {observation.modalias.get(address)}"
            for address, alias in _identities()
            if observation.modalias.get(address) != alias
        ]
        if absent or others:
            raise HostError(f"The guest's machine is not as written: it has no {absent}; other functions are {others}.\n{report[-4000:]}")
        write_atomic(target, sysfs.parse(report.partition("@sysfs")[2].splitlines()))
        self._say(f"Linux {kernel.release} in the fast guest: booted in {observation.seconds:.1f} s, its functions noted")

    def _observed(
        self, configuration: Configuration, kernel: Kernel, folder: Path, timeout: float, *, capture: bool
    ) -> tuple[Observation, str]:
        root = root_files.archive(configuration, kernel, capture)
        (folder / _INITRD).write_bytes(padded(kernel.base.read_bytes()) + padded(image.make(configuration, kernel)) + root)
        start = time.monotonic()
        ended = run_to_end(folder, self._emulator(), self._words(configuration, kernel, folder), timeout, is_ending)
        seconds = time.monotonic() - start
        (folder / _INITRD).unlink()
        log, text = ended.console, ended.report
        if ended.problem:
            raise BootError(f"{configuration.name} on {kernel.release}: {ended.problem}\n{log[-6000:]}")
        try:
            report = console.parse(text)
        except BootError as error:
            raise BootError(f"{configuration.name} on {kernel.release}: {error}\n{log[-6000:]}\n{text[-2000:]}") from None
        owners = report.owners_by_stage["runtime"]
        seen = Observation(owners, report.owners_by_stage, report.overrides, report.modalias, report.modules, report.uptimes, seconds, log)
        return seen, text

    def _emulator(self) -> Qemu:
        if self._qemu is None:
            raise HostError("The guests are not prepared.")
        return self._qemu

    def _words(self, configuration: Configuration, kernel: Kernel, folder: Path) -> list[str]:
        return [
            *machine.arguments(),
            *("-kernel", str(kernel.started), "-initrd", str(folder / _INITRD)),
            *("-append", root_files.cmdline(configuration)),
        ]


def _identities() -> t.Iterator[tuple[str, str]]:
    yield from ((function.address, function.modalias) for function in machine.FUNCTIONS)
    yield from machine.BOARD
    yield from ((address, machine.VIRTUAL_MODALIAS) for address in machine.VIRTUAL_ADDRESSES)


def _addresses() -> t.Iterator[str]:
    return (address for address, _modalias in _identities())
