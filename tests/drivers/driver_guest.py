# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guests that drivers are put to work in: the fast guest's machine, with emulated functions in root ports of their own."""

from __future__ import annotations

import tempfile
import time
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

import machine
from archive import Archive, padded
from guest_pool import GuestPool
from kernel import Kernel

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.function import PROFILES, PciFunction
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.parts import Bar
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.presets import PRESETS
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.values import GIB, MIB
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import NATIVE_HOTPLUG, device_word, root_port
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import run_to_end
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.topology import Function, Placement
from ansible_collections.vfio.variants.tests.drivers import acpi_table
from ansible_collections.vfio.variants.tests.exit_codes import is_ending

_HERE = Path(__file__).resolve().parent
TIMEOUT = 240.0
#: What stands for the GPU's memory: kept from the kernel, a half of it described.
_MEMORY, _MEMORY_MEBIBYTES = 0x1000_0000, 32
#: So that objects can be counted exactly, each cache by itself (leak_series.py); up to Linux 6.7 by its older name alone.
_EXACT_CACHES = ("slab_debug=F", "slub_debug=F", "slab_nomerge")
_CMDLINE = (*machine.CMDLINE, f"memmap={_MEMORY_MEBIBYTES}M${_MEMORY:#x}")
_SETTINGS = f"report=/dev/ttyS1\nmemory={_MEMORY:#x}\nmemory_size={_MEMORY_MEBIBYTES // 2 << 20:#x}\n"
_INITRD, _SSDT = "initrd", "properties"


@dataclass(frozen=True)
class Bench:
    """What a guest consists of beside its kernel and its files, and where the cases for it are.

    ``functions``: emulated ones by name, each with the slot of its root port. ``properties``: of one of them, as ACPI gives them.
    """

    name: str
    cases: str
    functions: t.Mapping[str, tuple[PciFunction, int]]
    arguments: tuple[str, ...] = ()
    cmdline: tuple[str, ...] = _CMDLINE
    settings: str = _SETTINGS
    properties: tuple[str, t.Mapping[str, int]] | None = None

    def table(self) -> bytes:
        name, properties = self.properties or ("", {})
        return acpi_table.properties_behind_port(self.functions[name][1], properties) if self.properties else b""

    @property
    def emulated(self) -> dict[str, PciFunction]:
        return {name: function for name, (function, _slot) in self.functions.items()}

    def all_cases(self) -> dict[str, Path]:
        """All there are, in the order in which they are run."""
        return {path.name: path for path in sorted((_HERE / self.cases).iterdir())}

    def repeated(self, case: str, times: int) -> dict[str, Path]:
        """One case, to be run so many times."""
        return {f"{case}.{number:03}": self.all_cases()[case] for number in range(1, times + 1)}


_V100 = PROFILES["v100-sxm2-16gb"]
#: The collection's drivers, built for the stock kernel.
OWN = Bench("", "cases", {"gpu": (_V100, 0x12), "npu": (PROFILES["npu2"], 0x13)}, cmdline=(*_CMDLINE, *_EXACT_CACHES))
#: Kept from the kernel as well. nvgrace_gpu_vfio_pci sets 1 GiB of it aside. QEMU's DSDT has revision 1, with which ACPI has 32 bits only.
_GRACE_MEMORY, _GRACE_USABLE, _GRACE_RESERVED = 0x3000_0000, 512 * MIB, GIB
_GRACE_SIZE = _GRACE_USABLE + _GRACE_RESERVED
#: The chip's registers that say that the link to the processor and the memory are ready, and BARs that the driver has no emulation for.
GRACE = replace(PRESETS["gh200"].members[0].emulated, bars=(Bar(0, 16 * MIB, "mem64"),), registers={0: {0x1498: 0xFF, 0x200BC: 0xFF}})
_VF = replace(PRESETS["connectx7-vf"].members[0].emulated, registers={0: {0: 0x101E15B3}})
#: Of a QuickAssist 4xxx, in the place of a virtual function.
_QAT = PciFunction(0x8086, 0x4941, class_code=0x0B4000, bars=(Bar(0, MIB, "mem64"),), flr=True)
#: What is built from the kernel's source: its own variants, and VFIO with iommufd.
FROM_SOURCE = Bench(
    "source",
    "source_cases",
    {"gpu": (_V100, 0x12), "grace": (GRACE, 0x13), "vf": (_VF, 0x14), "qat": (_QAT, 0x16)},
    arguments=("-m", f"{_GRACE_SIZE // MIB + GIB // MIB}M", "-device", "virtio-net-pci,disable-legacy=on,romfile=,bus=pcie.0,addr=15.0"),
    cmdline=(*_CMDLINE, f"memmap={_GRACE_SIZE // MIB}M${_GRACE_MEMORY:#x}"),
    settings=f"{_SETTINGS}usable={_GRACE_USABLE:#x}\nreserved={_GRACE_RESERVED:#x}\n",
    properties=(
        "grace",
        {"nvidia,gpu-mem-base-pa": _GRACE_MEMORY, "nvidia,gpu-mem-size": _GRACE_SIZE},
    ),
)


@dataclass(frozen=True)
class Outcome:
    """``problem``: why the guest did not come to its end, or nothing. ``console``: what the kernel held urgent."""

    report: str
    console: str
    problem: str
    seconds: float


class DriverGuest(GuestPool):
    """``prepare`` comes first."""

    def work(
        self, series: str, files: t.Mapping[str, bytes], chosen: t.Mapping[str, Path], timeout: float = TIMEOUT, bench: Bench = OWN
    ) -> Outcome:
        """Boot the kernel of a series with `files` and run the cases, by the names that they are to have."""
        kernel = self.kernel(series)
        with tempfile.TemporaryDirectory(prefix="drivers-") as place:
            folder = Path(place)
            (folder / _INITRD).write_bytes(padded(kernel.base.read_bytes()) + _archive(kernel, files, chosen, bench))
            (folder / _SSDT).write_bytes(bench.table())
            start = time.monotonic()
            ended = run_to_end(folder, self._emulator(), self._driven(kernel, folder, bench), timeout, is_ending, bench.emulated)
        return Outcome(ended.report, ended.console, ended.problem, time.monotonic() - start)

    def _driven(self, kernel: Kernel, folder: Path, bench: Bench) -> list[str]:
        return [
            *machine.arguments(),
            *NATIVE_HOTPLUG,
            *bench.arguments,
            *(("-acpitable", f"sig=SSDT,rev=2,data={folder / _SSDT}") if bench.properties else ()),
            *plugged_in(bench),
            *("-kernel", str(kernel.started), "-initrd", str(folder / _INITRD), "-append", " ".join(bench.cmdline)),
        ]


def _archive(kernel: Kernel, files: t.Mapping[str, bytes], chosen: t.Mapping[str, Path], bench: Bench) -> bytes:
    """Comes after the fast guest's own, and replaces its init."""
    made = Archive()
    made.file("/init", (_HERE / "guest/init").read_bytes(), 0o755)
    made.file("/drivers/words", (_HERE / "guest/words").read_bytes())
    made.file("/drivers/settings", bench.settings)
    for name, case in chosen.items():
        made.file(f"/drivers/cases/{name}", case.read_bytes())
    for name, content in files.items():
        made.file(f"/drivers/{name}", content, 0o755)
    made.link("/usr/sbin/depmod", "/usr/bin/kmod")
    # The fast guest keeps the kernel's modules for its root.
    made.link(f"/usr/lib/modules/{kernel.release}", f"/root/usr/lib/modules/{kernel.release}")
    return made.content()


def plugged_in(bench: Bench) -> t.Iterator[str]:
    """QEMU's words for the emulated functions, each behind a root port of its own."""
    for name, (function, slot) in bench.functions.items():
        port = f"{name}-port"
        placement = Placement(Function(name, function, "", (), True, name), port, f"{slot:x}.0", "0.0", False)
        yield from (*root_port(port, f"{slot:x}", placement.port), "-device", device_word(placement))
