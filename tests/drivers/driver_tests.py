# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drivers' tests: which kernels, what is known from before, and what came out."""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import shutil
import tempfile
import time
import typing as t
from pathlib import Path

import guest_release
import layers
from build_root import BuildRoot, become_root, build_root
from configuration import SERIES
from kernel import Kernel
from matrix import PACKAGE
from own_variants import Results

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed import vfio_user
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache, write_atomic
from ansible_collections.vfio.variants.tests.drivers import arm64_tests, driver_build, driver_guest, driver_report, source_build
from ansible_collections.vfio.variants.tests.drivers.driver_guest import FROM_SOURCE, OWN, Bench, DriverGuest, Outcome
from ansible_collections.vfio.variants.tests.drivers.driver_mutants import MUTANTS, Mutant
from ansible_collections.vfio.variants.tests.exit_codes import exit_code

_HERE = Path(__file__).resolve().parent
#: Guests at a time: each keeps a processor busy.
_AT_A_TIME = 2
_OPENINGS = "60-openings"
_SHOWN = 5
_DAY = 24 * 3600
#: Whose source has neither variants that build nor nodes for devices.
_WITHOUT_SOURCE = ("6.1",)
#: The oldest of them and the newest: most that differs between kernels differs between these.
SAMPLE = (SERIES[0], SERIES[-1])


def main(arguments: t.Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests/drivers/run", description="Put the kernel drivers to work on the kernels they support.")
    parser.add_argument("series", nargs="*", help=f"only these kernels: {', '.join(SERIES)}")
    parser.add_argument("--again", action="store_true", help="also where nothing changed since they passed")
    parser.add_argument("--sample", action="store_true", help=f"only {' and '.join(SAMPLE)}, these again, and nothing of their source")
    parser.add_argument("--leaks", type=int, metavar="TIMES", help="only the search for lost memory, so many times in one guest")
    parser.add_argument("--mutants", nargs="*", metavar="WORDS", help="drivers with a mistake each, to be noticed; those with WORDS")
    parser.add_argument("--arm64", action="store_true", help="only the kernel's own variant for NVIDIA's Grace, on an arm64 machine")
    options = parser.parse_args(arguments)
    unknown = set(options.series) - set(SERIES)
    if unknown:
        parser.error(f"no kernel {', '.join(sorted(unknown))}; there are {', '.join(SERIES)}")
    return exit_code(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    become_root()
    cache = Cache.at(None)
    asked = options.series or (SAMPLE if options.sample else SERIES)
    wanted = [one for one in SERIES if one in asked]
    mounts = layers.own_mounts(cache)
    tests = DriverTests(cache, mounts)
    if options.arm64:
        passed, failed = arm64_tests.run([one for one in wanted if one in arm64_tests.SERIES], cache, mounts, say)
    elif options.leaks:
        passed, failed = tests.repeat(wanted, options.leaks)
    elif options.mutants is not None:
        passed, failed = tests.notice(wanted, options.mutants)
    else:
        passed, failed = tests.hold(wanted, options.again or options.sample, (OWN,) if options.sample else (OWN, FROM_SOURCE))
    say(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


class DriverTests:
    def __init__(self, cache: Cache, mounts: Path) -> None:
        self._cache = cache
        self._mounts = mounts
        self._guest = DriverGuest(cache, say)
        self._folder = cache.root / "drivers"

    def hold(self, wanted: t.Sequence[str], again: bool, chosen: t.Container[Bench]) -> tuple[int, int]:
        """How many checks passed and failed in the chosen guests. What passed before and is unchanged is not done again."""
        wanted = self._guest.prepare(wanted)
        self._folder.mkdir(exist_ok=True)
        results: list[tuple[int, int]] = []
        with concurrent.futures.ThreadPoolExecutor(_AT_A_TIME) as pool:
            pending = {}
            for series, bench in ((one, bench) for one in wanted for bench in benches(one) if bench in chosen):
                kernel = self._guest.kernel(series)
                known = self._known(kernel, bench)
                if known.is_file() and not again:
                    passed = int(known.read_text(encoding="utf-8"))
                    say(f"Linux {_named(kernel, bench)}: {passed} checks passed; known from before")
                    results.append((passed, 0))
                    continue
                try:
                    files = self._built(kernel) if bench is OWN else self._built_from_source(kernel)
                except ArchiveUnavailableError as error:
                    # Which kernels have to be covered nevertheless is a matter of the collection's own drivers.
                    say("\n".join(error.lines()))
                    continue
                timeout = driver_guest.TIMEOUT * (1 if bench is OWN else 3)
                pending[pool.submit(self._guest.work, series, files, bench.all_cases(), timeout, bench)] = (kernel, bench)
            results += [self._judge(*pending[done], done.result()) for done in concurrent.futures.as_completed(pending)]
        return sum(passed for passed, _failed in results), sum(failed for _passed, failed in results)

    def repeat(self, wanted: t.Sequence[str], times: int) -> tuple[int, int]:
        """How many times no memory was lost, and how many times some was."""
        wanted = self._guest.prepare(wanted)
        with concurrent.futures.ThreadPoolExecutor(_AT_A_TIME) as pool:
            chosen = OWN.repeated(_OPENINGS, times)
            timeout = driver_guest.TIMEOUT * (1 + times)
            files = {series: self._built(self._guest.kernel(series)) for series in wanted}
            pending = {pool.submit(self._guest.work, series, files[series], chosen, timeout): series for series in wanted}
            results = [
                self._count_losses(self._guest.kernel(pending[done]), done.result(), list(chosen))
                for done in concurrent.futures.as_completed(pending)
            ]
        return sum(passed for passed, _failed in results), sum(failed for _passed, failed in results)

    def _count_losses(self, kernel: Kernel, outcome: Outcome, chosen: t.Sequence[str]) -> tuple[int, int]:
        report = driver_report.parse(outcome.report)
        self._folder.mkdir(exist_ok=True)
        write_atomic(self._folder / f"{kernel.series}.leaks", f"{outcome.report}\n@console\n{outcome.console}")
        for failure in report.failures(chosen):
            say(f"Linux {kernel.release}: FAILED: {failure}")
        if outcome.problem:
            say(f"Linux {kernel.release}: FAILED: {outcome.problem}")
        series = [one for case in report.cases for one in case.series]
        changes: dict[str, int] = {}
        for one in series:
            for name, change in one.growth.items():
                changes[name] = max(changes.get(name, 0), change, key=abs)
        worst = sorted(changes.items(), key=lambda change: -abs(change[1]))[:_SHOWN]
        lossless = sum(not one.problems() for one in series)
        say(
            f"Linux {kernel.release}: {len(report.cases)} runs, {lossless} of {len(series)} series without a loss "
            f"({outcome.seconds:.0f} s); of {series[0].rounds if series else 0} that one a round would be, the largest changes are "
            f"{', '.join(f'{change:+d} {name}' for name, change in worst)}"
        )
        clean = sum(not case.failed and not case.problem for case in report.cases)
        return clean, len(chosen) - clean + bool(outcome.problem or report.failures(chosen))

    def notice(self, wanted: t.Sequence[str], words: t.Sequence[str]) -> tuple[int, int]:
        """How many mistakes were noticed and how many not, on the first of the kernels."""
        wanted = self._guest.prepare(wanted[:1])
        kernel = self._guest.kernel(wanted[0])
        client = self._build(kernel, lambda root, _name: driver_build.client(root))
        results = [self._notices(kernel, mutant, client) for mutant in MUTANTS if all(word in mutant.mistake for word in words)]
        return results.count(True), results.count(False)

    def _notices(self, kernel: Kernel, mutant: Mutant, client: t.Mapping[str, bytes]) -> bool:
        with tempfile.TemporaryDirectory(prefix="drivers-") as place:
            package = mutant.make(PACKAGE.folder, Path(place) / "package")
            files = {**client, **self._build(kernel, lambda root, name: driver_build.drivers(root, name, package))}
            if mutant.needs_counter:
                files |= self._build(kernel, lambda root, name: driver_build.drivers_with_counter(root, name, package))
        chosen = {mutant.case: OWN.all_cases()[mutant.case]}
        outcome = self._guest.work(kernel.series, files, chosen)
        failures = driver_report.parse(outcome.report).failures([mutant.case])
        say(f"{mutant.mistake}: {f'noticed: {failures[0]}' if failures else 'NOT NOTICED'}")
        return bool(failures)

    def _built(self, kernel: Kernel) -> dict[str, bytes]:
        """All that the cases want, from the cache or built now."""
        return self._kept("built", kernel, driver_build.digest(), driver_build.build)

    def _built_from_source(self, kernel: Kernel) -> dict[str, bytes]:
        def build(root: BuildRoot, name: str) -> dict[str, bytes]:
            return source_build.build(root, name, self._cache, self._mounts, say)

        return self._kept("source", kernel, source_build.digest(), build)

    def _kept(self, kind: str, kernel: Kernel, digest: str, build: t.Callable[[BuildRoot, str], dict[str, bytes]]) -> dict[str, bytes]:
        place = self._folder / f"{kind}-{kernel.release}-{digest}"
        with self._cache.lock(place.name):
            if not place.is_dir():
                for older in self._folder.glob(f"{kind}-{kernel.release}-*"):
                    # A run that began before the sources changed may be at it still.
                    if older.stat().st_mtime < time.time() - _DAY:
                        shutil.rmtree(older)
                with self._cache.building(place) as folder:
                    for name, content in self._build(kernel, build).items():
                        (folder / name).parent.mkdir(exist_ok=True)
                        (folder / name).write_bytes(content)
            return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}

    def _build(self, kernel: Kernel, build: t.Callable[[BuildRoot, str], dict[str, bytes]]) -> dict[str, bytes]:
        release = guest_release.of_series(kernel.series)
        with self._cache.lock(f"kernels-{release.name}"):
            return build(build_root(release, self._cache, say), kernel.release)

    def _judge(self, kernel: Kernel, bench: Bench, outcome: Outcome) -> tuple[int, int]:
        report = driver_report.parse(outcome.report)
        failures = report.failures(list(bench.all_cases()))
        if outcome.problem:
            failures.append(outcome.problem)
        place = self._folder / f"{kernel.series}{bench.name}.report"
        write_atomic(place, f"{outcome.report}\n@console\n{outcome.console}")
        if bench is FROM_SOURCE:
            Results(self._cache).note_run(kernel.release, source_build.VARIANTS, well=not failures)
        named = _named(kernel, bench)
        for failure in failures:
            say(f"Linux {named}: FAILED: {failure}")
        if failures:
            say(f"Linux {named}: all that the guest said is in {place}")
        else:
            say(f"Linux {named}: {report.passed} checks passed ({outcome.seconds:.0f} s)")
            for older in self._folder.glob(f"{kernel.series}{bench.name}.passed-*"):
                older.unlink()
            write_atomic(self._known(kernel, bench), str(report.passed))
        return report.passed, len(failures)

    def _known(self, kernel: Kernel, bench: Bench) -> Path:
        """Its name changes with everything that a test depends on."""
        built = driver_build.digest() if bench is OWN else source_build.digest()
        text = hashlib.sha256(f"{kernel.release} {built} {self._guest.digest()}".encode())
        text.update(kernel.started.read_bytes())
        server = Path(next(iter(vfio_user.__path__)))
        for folder in (_HERE, _HERE / "guest", _HERE / bench.cases, server, server.with_name("emulated")):
            for path in sorted(folder.iterdir()):
                if path.is_file():
                    text.update(path.name.encode() + b"\0" + path.read_bytes())
        return self._folder / f"{kernel.series}{bench.name}.passed-{text.hexdigest()[:16]}"


def benches(series: str) -> tuple[Bench, ...]:
    """The guests for a kernel: that of the collection's drivers, and that of what is built from the kernel's source."""
    return (OWN,) if series in _WITHOUT_SOURCE else (OWN, FROM_SOURCE)


def _named(kernel: Kernel, bench: Bench) -> str:
    return f"{kernel.release}, {bench.name}" if bench.name else kernel.release


def say(line: str) -> None:
    print(line, flush=True)
