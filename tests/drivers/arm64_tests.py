# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's own variant for NVIDIA's Grace at work on Grace's architecture, which is emulated."""

from __future__ import annotations

import typing as t
from pathlib import Path

import guest_release
import kernel_offers
import own_variants
from build_root import BuildRoot, build_root
from own_variants import CROSSED, Results

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine import qemu_program
from ansible_collections.vfio.variants.tests.drivers import arm64_guest, driver_build, driver_report
from ansible_collections.vfio.variants.tests.drivers.arm64_guest import BENCH, Arm64Guest

VARIANT = "nvgrace_gpu"
#: Of those that drivers are put to work on, the ones that have it and whose source the archive has.
SERIES = ("6.12", "7.3")
_SYSROOT = "/tmp/arm64"
_GCC = f"{_SYSROOT}/usr/lib/gcc/aarch64-linux-gnu/14"
Say = t.Callable[[str], None]


def run(series: t.Iterable[str], cache: Cache, mounts: Path, say: Say) -> tuple[int, int]:
    """How many checks passed and failed on the newest kernels of these series."""
    qemu = qemu_program.unpacked(qemu_program.ARM64, cache, apt_sources.of_this_machine, say)
    passed = failed = 0
    for one in series:
        release = guest_release.of_series(one)
        with cache.lock(f"kernels-{release.name}"):
            root = build_root(release, cache, say)
        for kernel in own_variants.kernels_of(root, release, one, kernel_offers.read(cache, say), cache, mounts):
            if kernel.offer is not None and kernel.offer.architecture == CROSSED:
                guest = arm64_guest.provide(kernel.release, kernel.offer.suite, qemu, cache, say)
                results = _work(guest, _built(kernel, guest), cache, say)
                passed, failed = passed + results[0], failed + results[1]
    return passed, failed


def _built(kernel: own_variants.Kernel, guest: Arm64Guest) -> dict[str, bytes]:
    """The variant, as the collection installs it on a host with this kernel, and the client."""
    with kernel.with_source() as (host, root):
        modules = kernel.modules(host, (VARIANT,))
        return {**{f"modules/{name}": content for name, content in modules.items()}, **_client(root, kernel, guest)}


def _client(root: BuildRoot, kernel: own_variants.Kernel, guest: Arm64Guest) -> dict[str, bytes]:
    arm64_guest.sysroot(guest, root.tree / _SYSROOT.lstrip("/"))
    cross, version = f"{kernel_offers.CROSS[CROSSED]}-", kernel.offer.compiler if kernel.offer else "gcc"
    return driver_build.client(root, (f"{cross}{version}", f"--sysroot={_SYSROOT}", f"-B{_GCC}", f"-L{_GCC}"), f"{cross}strip")


def _work(guest: Arm64Guest, files: t.Mapping[str, bytes], cache: Cache, say: Say) -> tuple[int, int]:
    if not any(name.startswith("modules/") for name in files):
        raise HostError(f"There is no module of {VARIANT} for {guest.kernel.release}.")
    outcome = guest.work(files)
    report = driver_report.parse(outcome.report)
    failures = report.failures(list(BENCH.all_cases()))
    if outcome.problem:
        failures.append(outcome.problem)
    place = cache.root / "drivers" / f"{guest.kernel.release}.report"
    write_atomic(place, f"{outcome.report}\n@console\n{outcome.console}")
    Results(cache).note_run(guest.kernel.release, (VARIANT,), well=not failures)
    for failure in failures:
        say(f"Linux {guest.kernel.release}: FAILED: {failure}")
    where = f"; all that the guest said is in {place}" if failures else ""
    say(f"Linux {guest.kernel.release}: {report.passed} checks passed ({outcome.seconds:.0f} s){where}")
    return report.passed, len(failures)
