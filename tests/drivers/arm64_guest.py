# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest of the architecture that NVIDIA's Grace has: QEMU's virt machine with UEFI, ACPI and an IOMMU, and Debian's kernel for it.

The IOMMU is virtio's: QEMU's SMMUv3 does not tell a device that is served from elsewhere what is mapped, as emulated functions are.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import subprocess
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import kernel as guest_kernel
import kernel_offers
from archive import MERGED, Archive, padded
from base_archive import APPLETS, KMOD_LINKS
from kernel import Kernel
from release import ReleaseTree

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive import apt_sources, root_tree
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.suite import Suite
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.emulated.values import GIB, MIB
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.progress import Progress, Say
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.command_line import BARE
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.ending_machine import run_to_end
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.qemu_program import Qemu
from ansible_collections.vfio.variants.tests.drivers import acpi_table
from ansible_collections.vfio.variants.tests.drivers.driver_guest import GRACE, Bench, Outcome, plugged_in
from ansible_collections.vfio.variants.tests.exit_codes import is_ending

_HERE = Path(__file__).resolve().parent
TIMEOUT = 600.0
_SECONDS = 1800
_TRIPLET = "aarch64-linux-gnu"
#: The guest's programs, and what the client is linked with.
# Not busybox-static, whose shell runs its own modprobe before any other.
_PACKAGES = ("busybox", "kmod", "libc6-dev", "libgcc-14-dev")
_PROGRAMS = ("busybox", "kmod")
_LOADER = "usr/lib/ld-linux-aarch64.so.1"
_IOMMU = "virtio-iommu.ko"
_NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[(.+)\]")
_INITRD = "initrd"
#: Memory begins at 1 GiB there. The kernel is left the first of three; the firmware has its own at the end of the third.
_USABLE, _RESERVED, _BASE = 512 * MIB, GIB, 2 * GIB
_FIRMWARE = "usr/share/AAVMF/AAVMF_CODE.no-secboot.fd"
BENCH = Bench(
    "arm64",
    "arm64_cases",
    {"grace": (GRACE, 0x13)},
    cmdline=("console=ttyAMA0", "quiet", "panic=-1", "nokaslr", f"mem={GIB // MIB}M"),
    settings=f"report=/dev/ttyAMA1\nusable={_USABLE:#x}\nreserved={_RESERVED:#x}\n",
    properties=("grace", {"nvidia,gpu-mem-base-pa": _BASE, "nvidia,gpu-mem-size": _USABLE + _RESERVED}),
)


@dataclass(frozen=True)
class Arm64Guest:
    """``tree``: packages for the architecture, unpacked; ``kernel``: what the guest has of its kernel."""

    qemu: Qemu
    tree: Path
    kernel: Kernel

    def work(self, files: t.Mapping[str, bytes]) -> Outcome:
        """Boot it with `files` and run the cases."""
        with tempfile.TemporaryDirectory(prefix="drivers-") as place:
            folder = Path(place)
            (folder / _INITRD).write_bytes(self._initrd(files))
            start = time.monotonic()
            ended = run_to_end(folder, self.qemu, self._arguments(folder), TIMEOUT, is_ending, BENCH.emulated)
            return Outcome(ended.report, ended.console, ended.problem, time.monotonic() - start)

    def _arguments(self, folder: Path) -> list[str]:
        if self.qemu.root is None:
            raise HostError("This emulator has no firmware beside it.")
        return [
            *(
                "-machine",
                "virt,gic-version=3",
                "-device",
                "virtio-iommu-pci,bus=pcie.0,addr=1.0",
                "-accel",
                "tcg,tb-size=512",
                "-cpu",
                "cortex-a57",
                "-smp",
                "1",
            ),
            *("-m", f"{3 * GIB // MIB}M", *BARE, "-no-reboot"),
            *("-bios", str(self.qemu.root / _FIRMWARE)),
            *plugged_in(BENCH),
            *("-kernel", str(self.kernel.image), "-initrd", str(folder / _INITRD), "-append", " ".join(BENCH.cmdline)),
        ]

    def _initrd(self, files: t.Mapping[str, bytes]) -> bytes:
        """The table in an archive of its own in front, which has to be plain."""
        early, made = Archive(), Archive()
        early.file("kernel/firmware/acpi/properties.aml", acpi_table.in_initramfs(BENCH.table()))
        for name in ("dev", "proc", "run", "sys", "tmp", "drivers", "drivers/cases", *(f"usr/{name}" for name in MERGED)):
            made.folder(name)
        for name in MERGED:
            made.link(name, f"usr/{name}")
        self._add_programs(made)
        made.folder(f"usr/lib/modules/{self.kernel.release}/{guest_kernel.UPDATES}")
        made.tree(self.kernel.modules, f"/usr/lib/modules/{self.kernel.release}")
        made.file("/init", (_HERE / "guest/init").read_bytes(), 0o755)
        made.file("/drivers/words", (_HERE / "guest/words").read_bytes())
        made.file("/drivers/settings", BENCH.settings)
        for name, case in BENCH.all_cases().items():
            made.file(f"/drivers/cases/{name}", case.read_bytes())
        made.file(f"/drivers/modules/{_IOMMU}", (self.kernel.folder / _IOMMU).read_bytes())
        for name, content in files.items():
            made.file(f"/drivers/{name}", content, 0o755)
        return padded(early.content()) + made.content()

    def _add_programs(self, made: Archive) -> None:
        for name in _PROGRAMS:
            made.file(f"/usr/bin/{name}", (self.tree / "usr/bin" / name).read_bytes(), 0o755)
        for path in _libraries(self.tree, [self.tree / "usr/bin" / name for name in _PROGRAMS]):
            made.file(f"/usr/lib/{_TRIPLET}/{path.name}", path.read_bytes(), 0o755)
        loader = self.tree / _LOADER
        made.file(f"/{_LOADER}", loader.read_bytes(), 0o755)
        for name in (*KMOD_LINKS, "depmod"):
            made.link(f"/usr/sbin/{name}", "/usr/bin/kmod")
        for name in APPLETS:
            made.link(f"/usr/bin/{name}", "busybox")


def _libraries(tree: Path, programs: t.Iterable[Path]) -> list[Path]:
    """What programs of the tree are linked with, and what that is."""
    found: dict[str, Path] = {}
    left = [*programs]
    while left:
        listed = subprocess.run(("readelf", "-d", left.pop()), capture_output=True, text=True, check=True, timeout=60)
        for name in _NEEDED.findall(listed.stdout):
            if name not in found:
                found[name] = tree / "usr/lib" / _TRIPLET / name
                left.append(found[name])
    return [path for path in found.values() if path.exists()]


def provide(release: str, suite: str, qemu: Qemu, cache: Cache, say: Say) -> Arm64Guest:
    """The guest with this kernel: from the cache, or made now."""
    digest = hashlib.sha256(repr((_PACKAGES, _IOMMU)).encode()).hexdigest()[:16]
    place = cache.root / "drivers" / f"arm64-{release}-{digest}"
    with cache.lock(place.name):
        if not place.is_dir():
            for older in place.parent.glob(f"arm64-{release}-*"):
                shutil.rmtree(older)
            with cache.building(place) as folder:
                _make(release, suite, folder, say)
    return Arm64Guest(qemu, place / "tree", _kernel(release, suite, place))


def _kernel(release: str, suite: str, place: Path) -> Kernel:
    return Kernel("{}.{}".format(*kernel_offers.series_of(release)), release, suite, place)


def _make(release: str, suite: str, folder: Path, say: Say) -> None:
    # What a kernel of the backports depends on is there as well, in the place of what the release has.
    source = Suite(suite if suite.endswith("-backports") else suite.partition("-")[0])
    mirror = apt_sources.of_this_machine()
    further = "" if suite == source.name else kernel_offers.sources(mirror, suite, "arm64")
    packages = (*_PACKAGES, f"linux-image-{release}")
    progress = Progress(f"{release} for the guest", say)
    root_tree.extract(source, mirror, packages, folder / "tree", progress, _SECONDS, further=further, architecture="arm64")
    kernel = _kernel(release, suite, folder)
    unpacked = ReleaseTree(folder / "tree")
    shutil.copy(unpacked.boot_file("vmlinuz", release), kernel.image)
    full = unpacked.modules(release)
    guest_kernel.depmod(folder / "tree", release)
    guest_kernel.copy_modules(full, kernel, {})
    iommu = next(full.rglob(f"{_IOMMU}.xz"))
    (folder / _IOMMU).write_bytes(guest_kernel.unsigned(lzma.decompress(iommu.read_bytes())))
    # What is left is what nothing reads: 400 MB.
    shutil.rmtree(full)


def sysroot(guest: Arm64Guest, target: Path) -> None:
    """What a static program of the architecture is built with, in a folder of its own."""
    for name in ("usr/include", "usr/lib/linux", f"usr/lib/{_TRIPLET}", f"usr/lib/gcc/{_TRIPLET}"):
        shutil.copytree(guest.tree / name, target / name, symlinks=True)
    (target / "lib").symlink_to("usr/lib")
