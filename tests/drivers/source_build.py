# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put to work of the kernel's own source: variants, as the collection builds them, and a VFIO with iommufd."""

from __future__ import annotations

import hashlib
import lzma
import tempfile
import typing as t
from pathlib import Path

import deb_files
import kernel as guest_kernel
import kernel_offers
import own_variants
from build_root import BuildRoot
from kernel_offers import Archive
from matrix import PACKAGE

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.kernel_identity import KernelIdentity
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.unavailable import ArchiveUnavailableError, MissingPackage
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.cache import Cache
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.local.program import run
from ansible_collections.vfio.variants.tests.drivers import driver_build

#: Those that an emulated function can be bound to.
VARIANTS = ("mlx5", "nvgrace_gpu", "virtio")
#: This one takes only virtual functions whose physical function has a driver, which the kernel lacks: it is loaded, and refuses.
_REFUSING = "qat"
#: What they want to have loaded, of which the fast guest has only what its own devices need.
_NEEDED = ("intel_qat", "mlx5_core", "virtio_pci")
_FOLDER = "/tmp/source"
_SECONDS = 1200
#: What Debian's kernels are built without.
_OPTIONS = ("CONFIG_IOMMUFD=m", "CONFIG_VFIO_DEVICE_CDEV=y")
_MACROS = "-DCONFIG_IOMMUFD=1 -DCONFIG_VFIO_DEVICE_CDEV=1"
#: A part of the kernel that only iommufd has a use for, so that without iommufd the kernel has none of it.
_SPANS = "CONFIG_INTERVAL_TREE_SPAN_ITER"
Say = t.Callable[[str], None]


def digest() -> str:
    """Changes with how all this is built."""
    text = hashlib.sha256(driver_build.digest().encode())
    for program in (__file__, own_variants.__file__):
        text.update(Path(program).read_bytes())
    return text.hexdigest()[:16]


def build(root: BuildRoot, kernel: str, cache: Cache, mounts: Path, say: Say) -> dict[str, bytes]:
    """By name below the guest's folder; ArchiveUnavailableError where the archive has no source package of this very kernel."""
    archive = kernel_offers.read(cache, say)
    subject = own_variants.Kernel(kernel, root, archive, cache, mounts)
    with subject.with_source() as (host, copy):
        built = {f"modules/{name}": content for name, content in subject.modules(host, (*VARIANTS, _REFUSING)).items()}
        built |= {f"modules/{name}": content for name, content in _stock_modules(archive, kernel, say).items()}
        built |= {f"iommufd/{name}": content for name, content in _with_iommufd(copy, kernel, host).items()}
        firmware = driver_build.drivers(copy, kernel, PACKAGE.folder)["link_firmware.ko"]
        return {**built, **driver_build.client(copy), "link_firmware.ko": firmware}


def _stock_modules(archive: Archive, kernel: str, say: Say) -> dict[str, bytes]:
    """Of the kernel's package, those that the variants depend on."""
    debs = [deb for name in ("modules", "image") for deb in archive.debs_named(f"linux-{name}-{kernel}", "")]
    if not debs:
        raise ArchiveUnavailableError([MissingPackage(f"linux-image-{kernel}", "no index names it")])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        deb_files.unpack(debs[0], folder, say)
        guest_kernel.depmod(folder, kernel)
        tree = folder / "lib/modules" / kernel
        dependencies = guest_kernel.read_dependencies(tree)
        by_name = {guest_kernel.module_name(path): path for path in dependencies}
        # Some kernels have one or the other built in.
        found = [by_name[name] for name in _NEEDED if name in by_name]
        wanted = {path for name in found for path in (name, *dependencies[name])}
        return {Path(path).name.removesuffix(".xz"): guest_kernel.unsigned(_content(tree / path)) for path in sorted(wanted)}


def _content(path: Path) -> bytes:
    return lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()


def _with_iommufd(root: BuildRoot, kernel: str, host: Host) -> dict[str, bytes]:
    """iommufd, VFIO on top of it, and the collection's drivers on top of that, with the Makefiles of the source as they are."""
    place = root.tree / _FOLDER.lstrip("/")
    place.mkdir()
    _unpack(root, KernelIdentity.read(host, kernel).series, place)
    options = root.tree / f"usr/src/linux-headers-{kernel}/include/config/auto.conf"
    if f"{_SPANS}=y\n" not in options.read_text(encoding="utf-8"):
        _add_spans(place)
    _make(root, kernel, "drivers/iommu/iommufd", f"{_MACROS} -D{_SPANS}=1")
    symbols = [f"{_FOLDER}/drivers/iommu/iommufd/Module.symvers"]
    # VFIO for other buses than PCI is of no interest.
    _make(root, kernel, "drivers/vfio", _MACROS, f"KBUILD_EXTRA_SYMBOLS={' '.join(symbols)}", "CONFIG_VFIO_MDEV=")
    symbols.append(f"{_FOLDER}/drivers/vfio/Module.symvers")
    paths = (*(place / "drivers/iommu/iommufd").rglob("*.ko"), *(place / "drivers/vfio").rglob("*.ko"))
    root.run("strip", "-g", *(f"/{path.relative_to(root.tree)}" for path in paths))
    own = driver_build.on_top_of(root, kernel, (f"KCFLAGS={_MACROS}", f"KBUILD_EXTRA_SYMBOLS={' '.join(symbols)}"))
    return {path.name: path.read_bytes() for path in paths} | own


def _unpack(root: BuildRoot, series: str, place: Path) -> None:
    source = f"linux-source-{series}"
    members = [f"{source}/{name}" for name in ("drivers/iommu", "drivers/vfio", "lib/interval_tree.c")]
    archive = root.tree / f"usr/src/{source}.tar.xz"
    run(("tar", "--extract", "--xz", "--strip-components=1", "--directory", place, "--file", archive, *members), timeout=_SECONDS)


def _add_spans(place: Path) -> None:
    """As a part of iommufd: the functions of lib/interval_tree.c that the kernel leaves out, which nobody else calls."""
    text = (place / "lib/interval_tree.c").read_text(encoding="utf-8")
    before, begun, rest = text.partition(f"#ifdef {_SPANS}\n")
    spans, ended, _after = rest.rpartition("#endif")
    if not (before and begun and ended):
        raise HostError(f"lib/interval_tree.c has no part for {_SPANS}.")
    lines = [line for line in spans.splitlines() if not line.startswith("EXPORT_SYMBOL")]
    folder = place / "drivers/iommu/iommufd"
    (folder / "spans.c").write_text("\n".join(["#include <linux/interval_tree.h>", *lines, ""]), encoding="utf-8")
    with (folder / "Makefile").open("a", encoding="utf-8") as makefile:
        makefile.write("\niommufd-y += spans.o\n")


def _make(root: BuildRoot, kernel: str, part: str, macros: str, *words: str) -> None:
    build = f"/lib/modules/{kernel}/build"
    done = root.run("make", "-C", build, f"M={_FOLDER}/{part}", f"KCFLAGS={macros}", *_OPTIONS, *words, "modules", seconds=_SECONDS)
    if done.status:
        raise HostError(f"{part} cannot be built for {kernel} with iommufd: {(done.output + done.errors)[-3000:]}")
