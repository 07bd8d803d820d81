# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`device_info` of a whole host, forecast included: with nothing cached, with everything cached, and beside the bare reading of it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
import traceback
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import SETTLED
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache_dir import CACHE_DIRECTORY
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.report.device_facts import DeviceReportRequest, gather
from ansible_collections.vfio.variants.tests.bench.large_host import FUNCTIONS, KERNELS, large_host
from ansible_collections.vfio.variants.tests.bench.limits import COLD, WARM, Figure
from ansible_collections.vfio.variants.tests.bench.ratios import Ratio
from ansible_collections.vfio.variants.tests.bench.stopwatch import Took, median, timed

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible_collections.vfio.variants.tests.unit.trees import Tree

ROUNDS = 5
MORE = 5 * FUNCTIONS
KINDS = 64
DEVICES = "/sys/bus/pci/devices"
ATTRIBUTES = ("vendor", "device", "subsystem_vendor", "subsystem_device", "class", "revision", "modalias", "driver_override")
LINKS = ("driver", "iommu_group")
READING = f"{FUNCTIONS} functions by device_info, {{}}, in reading their attributes and all files once"


class Times(t.NamedTuple):
    """Milliseconds, of each the median."""

    cold: Took
    warm: Took
    floor: Took


def times(tree: Tree) -> Times:
    """Facts are kept for the root `/` alone, so a child makes the tree its root."""

    def measured() -> tuple[list[Took], list[Took], list[Took]]:
        gather(tree.host(), DeviceReportRequest(), False)  # Whatever Python imports late is not to be found in the tree.
        os.chroot(tree.root)
        os.chdir("/")
        return _measured()

    return Times(*map(median, _in_child(measured)))


def _in_child(work: t.Callable[[], object]) -> t.Any:
    """What the work returns, by way of JSON."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writer, "w") as answer:
                json.dump(work(), answer)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit("error: device_info could not be measured.")
    return json.loads(said)


def figures(found: Times, kinds: int) -> Iterator[Figure]:
    """What has a limit in milliseconds."""
    name = f"device_info of {FUNCTIONS} functions of {kinds} kinds, {len(KERNELS)} kernels, forecast included"
    for limit, took in ((COLD, found.cold), (WARM, found.warm)):
        yield Figure(name, limit, took.processor, took.wall)


def ratios(found: Times) -> Iterator[Ratio]:
    """What a limit in times of bare reading is for."""
    how = f"{len(KERNELS)} kernels, forecast included, {found.floor.processor:.0f} ms to read"
    for state, took in ((WARM, found.warm), (COLD, found.cold)):
        yield Ratio(READING.format(state), how, took.processor / found.floor.processor, took.wall / found.floor.wall)


def measure_more(folder: Path) -> Iterator[Ratio]:
    """Whether five times as many functions take five times as long."""
    few, many = (times(large_host(folder / str(count), KINDS, count)) for count in (FUNCTIONS, MORE))
    for state, one, other in ((WARM, few.warm, many.warm), (COLD, few.cold, many.cold)):
        ratio = other.processor / one.processor / (MORE / FUNCTIONS)
        yield Ratio(f"each of {MORE} functions, {state}, in one of {FUNCTIONS}", f"{KINDS} kinds", ratio)


def read_attributes(devices: Path) -> None:
    """Open and read the attributes that the inventory consists of, and its links, and nothing else."""
    for device in os.scandir(devices):
        for name in ATTRIBUTES:
            with open(f"{device.path}/{name}", "rb") as file:
                file.read()
        for name in LINKS:
            if os.path.islink(f"{device.path}/{name}"):
                os.readlink(f"{device.path}/{name}")


def _measured() -> tuple[list[Took], list[Took], list[Took]]:
    host = Host("/")
    # Of files that were written just now nothing is remembered.
    time.sleep(SETTLED)
    files = [path for path in _opened(host) if os.path.isfile(path) and not path.startswith(f"{CACHE_DIRECTORY}/")]

    def read_all() -> None:
        read_attributes(Path(DEVICES))
        for path in files:
            with open(path, "rb") as file:
                file.read()

    def ask() -> None:
        gather(host, DeviceReportRequest(), False)

    cold = []
    for _round in range(ROUNDS):
        shutil.rmtree(CACHE_DIRECTORY, ignore_errors=True)
        cold.append(timed(ask))
    rounds = [(timed(ask), timed(read_all)) for _round in range(ROUNDS)]
    return cold, [warm for warm, _floor in rounds], [floor for _warm, floor in rounds]


def _opened(host: Host) -> Sequence[str]:
    """The paths that are opened when nothing is cached.  What listens to that can never be taken away, so a child does."""

    def listened() -> list[str]:
        opened: set[str] = set()

        def note(event: str, given: tuple[t.Any, ...]) -> None:
            if event == "open" and isinstance(given[0], str) and given[0].startswith("/"):
                opened.add(given[0])

        sys.addaudithook(note)
        gather(host, DeviceReportRequest(), False)
        return sorted(opened)

    paths: list[str] = _in_child(listened)
    return paths
