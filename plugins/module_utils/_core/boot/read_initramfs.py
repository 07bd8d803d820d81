# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs stage, read from the image itself.  Each generator has its own scripts and so its own reader."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_dracut, read_initramfs_tools
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, Coldplug, Stage
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.kernel_cache import read_kernel_of_image
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_root import (
    config_of,
    drivers_rules_doubt,
    old_suffix_doubt,
    rules_of,
    with_listed_options,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import DRACUT, choose
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_view import ImageView, read_image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import AliasIndex
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import CMDLINE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, Kernel

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Flow
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline


UDEV_PROGRAMS = ("/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd", "/usr/bin/udevadm", "/bin/udevadm", "/sbin/udevd")
NO_KERNEL = Kernel("", {}, frozenset(), False, AliasIndex.parse(""))


@dataclasses.dataclass(frozen=True)
class Early:
    """The initramfs stage, and the modules that it blacklists for the root too."""

    stage: Stage
    blacklisted: tuple[str, ...] = ()


def read_stage(image: Image, cmdline: Cmdline, source: str, cache: Cache | None = None) -> Early:
    """What an image does.  Raises HostError if a file in it that is needed cannot be read."""
    view = ImageView(image)
    home = f"{MODULES}/{image.release}"
    has_modules = view.is_file(f"{home}/modules.dep")
    kernel = read_kernel_of_image(view, cache) if has_modules else dataclasses.replace(NO_KERNEL, release=image.release)
    flow = _flow(view, kernel, cmdline, source)
    doubts = list(flow.doubts)
    works = [work for step in flow.steps for work in step]
    if any(isinstance(work, Coldplug) for work in works):
        doubts += drivers_rules_doubt(view)
    # kmod reads only the binary indexes that depmod makes of the text files, never these.
    if kernel.modules and not view.exists(f"{home}/modules.alias.bin"):
        doubts.append(f"{view.shown(home)} has no modules.alias.bin: kmod cannot find drivers by alias there.")
    elif kernel.modules and not view.is_file(f"{home}/modules.alias"):
        doubts.append(f"{view.shown(home)} has modules.alias.bin but not modules.alias: the aliases in it cannot be read.")
    doubts += old_suffix_doubt(view)
    config, unsure = with_listed_options(config_of(view, image.release, cmdline, source), flow.steps, kernel)
    config = config.with_blacklist(flow.blacklisted, source)
    loads_lists = read_dracut.is_made_by(view) and read_dracut.loads_lists(view, cmdline)
    stage = Stage(INITRAMFS, image.path, flow.steps, kernel, config, rules_of(view), (*doubts, *unsure), loads_lists=loads_lists)
    return Early(stage, flow.blacklisted if flow.blacklist_lasts else ())


def _flow(view: ImageView, kernel: Kernel, cmdline: Cmdline, source: str) -> Flow:
    if read_initramfs_tools.is_made_by(view):
        return read_initramfs_tools.flow(view, kernel, cmdline, source)
    if read_dracut.is_made_by(view):
        return read_dracut.flow(view, kernel, cmdline, source)
    return read_initramfs_tools.unknown(view, any(view.exists(program) for program in UDEV_PROGRAMS))


# Part of the names of microcode images (intel-ucode.img, amd-ucode.img).
MICROCODE = "ucode"


@dataclasses.dataclass(frozen=True)
class Found:
    """``early`` is None if there is no initramfs, or if it cannot be read; ``doubts`` say why."""

    early: Early | None = None
    doubts: tuple[str, ...] = ()


def find(host: Host, entry: BootEntry, cache: Cache | None = None) -> Found:
    """The initramfs stage of a boot entry."""
    paths = images_of(host, entry)
    missing = [path for path in paths if not host.is_file(path)]
    if missing:
        return Found(doubts=(f"{entry.source} names {missing[0]}, which does not exist: what the initramfs does cannot be determined.",))
    if not paths:
        return Found()
    if len(paths) > 1:
        return Found(
            doubts=(f"{entry.source} names several initramfs images ({', '.join(paths)}): what they do together cannot be determined.",)
        )
    try:
        image = read_image(host, paths[0], entry.release, cache)
        return Found(read_stage(image, entry.cmdline, entry.source, cache))
    except HostError as error:
        return Found(doubts=(error.msg,))


def images_of(host: Host, entry: BootEntry) -> tuple[str, ...]:
    """The entry's initramfs images without microcode; if only the running kernel is known, the image that the generator builds for it."""
    if entry.source != CMDLINE:
        return tuple(path for path in entry.initrds if MICROCODE not in posixpath.basename(path))
    try:
        generator = choose(host) or DRACUT
    except HostError:
        generator = DRACUT
    path = generator.image_path(host, entry.release)
    return (path,) if host.is_file(path) else ()
