# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line that boots one configuration."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import machine
from configuration import COMPRESSIONS, FLOWS, SERIES, Configuration
from guest_pool import TIMEOUT, GuestPool
from host_trees import HostTrees
from observation import BootError, Observation

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError


def parser() -> argparse.ArgumentParser:
    known = argparse.ArgumentParser(prog="tests/forecast/boot", description="Boot one configuration in the fast guest.")
    known.add_argument("--series", choices=SERIES, default="6.12", help="the kernel (6.12)")
    known.add_argument("--flow", choices=FLOWS, default=FLOWS[0], help=f"what the initramfs does ({FLOWS[0]})")
    known.add_argument("--compression", choices=COMPRESSIONS, default=COMPRESSIONS[0], help="of the image (none)")
    known.add_argument("--root", nargs=2, action="append", default=[], metavar=("PATH", "TEXT"), help="a file of the root")
    known.add_argument("--image", nargs=2, action="append", default=[], metavar=("PATH", "TEXT"), help="a file of the initramfs")
    known.add_argument("--image-modules", nargs="*", default=[], metavar="MODULE", help="modules in the initramfs")
    known.add_argument("--missing", nargs="*", default=[], metavar="MODULE", help="modules that the root lacks")
    known.add_argument("--functions", type=int, default=0, metavar="N", help="virtual functions to make")
    known.add_argument("--tree", type=Path, metavar="FOLDER", help="lay the configuration out below this folder instead")
    known.add_argument("cmdline", nargs="*", help="kernel arguments")
    return known


def main(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    configuration = Configuration(
        name="by hand",
        series=options.series,
        cmdline=tuple(options.cmdline),
        root_files={path: f"{text}\n" for path, text in options.root},
        image_files={path: f"{text}\n" for path, text in options.image},
        image_modules=tuple(options.image_modules),
        flow=options.flow,
        compression=options.compression,
        virtual_functions=options.functions,
        missing_modules=tuple(options.missing),
    )
    try:
        pool = GuestPool()
        pool.prepare([options.series])
        if options.tree:
            with tempfile.TemporaryDirectory(prefix="forecast-") as folder:
                print(HostTrees(pool.kernel, Path(folder)).lay_out(configuration, options.tree))
            return 0
        with tempfile.TemporaryDirectory(prefix="forecast-") as folder:
            _show(pool.boot(configuration, Path(folder), TIMEOUT))
    except (BootError, HostError) as error:
        print(f"FAILED: {error}")
        return 1
    return 0


def _show(seen: Observation) -> None:
    print(seen.log)
    names = {function.address: function.model for function in machine.FUNCTIONS}
    stages = list(seen.owners_by_stage)
    print(f"{'function':14}{'model':16}" + "".join(f"{stage:20}" for stage in stages) + "override")
    for address in sorted(seen.owners):
        owners = (seen.owners_by_stage[stage].get(address, "(absent)") or "-" for stage in stages)
        override = seen.overrides.get(address) or ""
        print(f"{address:14}{names.get(address, ''):16}" + "".join(f"{owner:20}" for owner in owners) + override)
    print("modules:", *seen.modules)
    print("uptime:", *(f"{stage} {seconds:.2f}" for stage, seconds in seen.uptimes.items()), f"; wall {seen.seconds:.1f} s")
