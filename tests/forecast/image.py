# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration's initramfs image, with what its generator would put there: all but the programs, which the base archive has."""

from __future__ import annotations

import os
import tempfile
import typing as t
from pathlib import Path

import configuration as flows
from archive import MERGED, Archive, compressed
from configuration import Configuration
from kernel import Kernel, depmod, module_name, read_dependencies
from template import IMAGE_RULES

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError

_GUEST = Path(__file__).resolve().parent / "guest"
_TEXTS = ("modules.order", "modules.builtin", "modules.builtin.modinfo")
_INIT_TOP = ("all_generic_ide", "blacklist", "udev")
_BOTTOM = ("udev",)
#: By suite, as the package libkmod2 of kmod 30 and 34 has it.
_KMOD_LIBRARIES = {"bookworm": "libkmod.so.2.4.0", "trixie-backports": "libkmod.so.2.5.1"}
_COMMON = ("functions", "local", "nfs")
#: Where the guest's programs of dracut lie in the kernel's folder, and where in the image.
DRACUT_FILES = {
    "dracut-pre-udev.sh": "/usr/bin/dracut-pre-udev",
    "insmodpost.sh": "/usr/sbin/insmodpost.sh",
    "initqueue.sh": "/usr/sbin/initqueue",
    "dracut-lib.sh": "/usr/lib/dracut-lib.sh",
    "dracut-dev-lib.sh": "/usr/lib/dracut-dev-lib.sh",
    "dracut-util": "/usr/bin/dracut-util",
}
#: dracut-util under the names that its scripts call it by.
_DRACUT_LINKS = ("dracut-getarg", "dracut-getargs")


def make(configuration: Configuration, kernel: Kernel) -> bytes:
    archive = Archive()
    begin(archive, kernel)
    if configuration.flow == flows.DRACUT:
        _add_dracut(archive, kernel)
    else:
        _add_initramfs_tools(archive, kernel, configuration.flow == flows.INITRAMFS_TOOLS)
    _add_modules(archive, kernel, configuration.image_modules)
    for place, text in configuration.image_files.items():
        archive.file(place, text)
    return compressed(archive.content(), configuration.compression)


def begin(archive: Archive, kernel: Kernel) -> None:
    """What every image has: links to /usr, and what packages bring for udev and kmod, as far as an image takes it over."""
    for name in MERGED:
        archive.link(f"/{name}", f"usr/{name}")
    for name in ("lib/modprobe.d", "lib/udev/rules.d"):
        for path in sorted((kernel.folder / "root/usr" / name).iterdir()):
            if path.is_file() and (not name.endswith("rules.d") or path.name in IMAGE_RULES):
                archive.file(f"/{name}/{path.name}", path.read_bytes())
    archive.file("/etc/udev/udev.conf", "")
    archive.folder("/etc/modprobe.d")
    archive.file(kmod_library(kernel), "")


def kmod_library(kernel: Kernel) -> str:
    """A name alone, beside the real library of the base archive: it tells the version to who reads the image."""
    return f"/usr/lib/x86_64-linux-gnu/{_KMOD_LIBRARIES[kernel.suite]}"


def _add_initramfs_tools(archive: Archive, kernel: Kernel, with_udev: bool) -> None:
    scripts = kernel.folder / "initramfs-tools"
    archive.file("/forecast/flow", (scripts / "init").read_bytes(), 0o755)
    archive.file("/scripts/forecast", (_GUEST / "forecast").read_bytes())
    for name in _COMMON:
        archive.file(f"/scripts/{name}", (scripts / "scripts" / name).read_bytes())
    for folder, names in (("init-top", _INIT_TOP), ("init-bottom", _BOTTOM)):
        present = [name for name in names if with_udev or name != "udev"]
        for name in present:
            archive.file(f"/scripts/{folder}/{name}", (scripts / "scripts" / folder / name).read_bytes(), 0o755)
        # As mkinitramfs writes it.
        order = "".join(f'/scripts/{folder}/{name} "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n' for name in present)
        archive.file(f"/scripts/{folder}/ORDER", order)
    archive.file("/conf/arch.conf", "DPKG_ARCH=amd64\n")
    archive.file("/conf/initramfs.conf", "MODULES=most\nBUSYBOX=auto\nBOOT=forecast\n")


def _add_dracut(archive: Archive, kernel: Kernel) -> None:
    archive.file("/forecast/flow", (_GUEST / "dracut").read_bytes(), 0o755)
    for name, place in DRACUT_FILES.items():
        archive.file(place, (kernel.folder / "dracut" / name).read_bytes(), 0o755)
    for name in _DRACUT_LINKS:
        archive.link(f"/usr/bin/{name}", "dracut-util")
    archive.file("/usr/lib/dracut/modules.txt", "systemd\nsystemd-modules-load\nkernel-modules\nudev-rules\nbase\n")
    archive.folder("/usr/lib/dracut/hooks")
    archive.file("/etc/initrd-release", 'NAME="Debian GNU/Linux"\nID=debian\n')
    for path in sorted((kernel.folder / "root/usr/lib/systemd/system").iterdir()):
        if not path.name.startswith("driverctl"):
            archive.file(f"/usr/lib/systemd/system/{path.name}", path.read_bytes())
    archive.file("/usr/lib/systemd/systemd", "", 0o755)
    (library,) = (kernel.folder / "root/usr/lib/x86_64-linux-gnu/systemd").iterdir()
    # A name alone, beside the real library of the base archive, whose place is another.
    archive.file(f"/usr/lib/systemd/{library.name}", "")


def _add_modules(archive: Archive, kernel: Kernel, names: t.Iterable[str]) -> None:
    """The modules with what they depend on, and the indices that depmod makes of these alone."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "usr/lib/modules" / kernel.release
        target.mkdir(parents=True)
        for path in sorted(with_dependencies(kernel, names)):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(kernel.modules / path, target / path)
        for name in _TEXTS:
            os.symlink(kernel.modules / name, target / name)
        depmod(Path(folder), kernel.release)
        for file in sorted(target.rglob("*")):
            if file.is_file():
                archive.file(f"/usr/lib/modules/{kernel.release}/{file.relative_to(target)}", file.read_bytes())


def with_dependencies(kernel: Kernel, names: t.Iterable[str]) -> set[str]:
    dependencies = read_dependencies(kernel.modules)
    by_name = {module_name(path): path for path in dependencies}
    kept: set[str] = set()
    for name in names:
        path = by_name.get(name.replace("-", "_"))
        if path is None:
            known = ", ".join(sorted(by_name))
            raise HostError(f"image_modules: the guest's {kernel.release} has no module {name!r}.", f"There are {known}.")
        kept |= {path, *dependencies[path]}
    return kept
