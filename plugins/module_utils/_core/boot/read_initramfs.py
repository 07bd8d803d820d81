# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The initramfs stage, read from the image itself.  Each generator has its own scripts and so its own reader."""

from __future__ import annotations

import dataclasses
import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_initramfs_tools, rule_programs
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import INITRAMFS, Coldplug, Flow, Stage
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.find_images import boot_config_doubts, images_of
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.image_modules import ImageFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.install_lines import with_judged_commands
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.kernel_cache import read_kernel_of_image
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_root import (
    config_of,
    drivers_rules_doubt,
    old_suffix_doubt,
    rules_of,
    udev_version_doubt,
    with_listed_options,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_file import is_microcode
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image_view import ImageView, read_image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import AliasIndex
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES, Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import early_modules, image_scripts

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import Directive
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence


UDEV_PROGRAMS = ("/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd", "/usr/bin/udevadm", "/bin/udevadm", "/sbin/udevd")
NO_KERNEL = Kernel("", {}, frozenset(), False, AliasIndex.parse(""))


@dataclasses.dataclass(frozen=True)
class Early:
    """The initramfs stage, and the lines that it adds to modprobe.d for the root too."""

    stage: Stage
    blacklisted: tuple[Directive, ...] = ()


def read_stage(
    image: Image,
    cmdline: Cmdline,
    source: str,
    cache: Cache | None = None,
    host: Host | None = None,
    inventory: Inventory | None = None,
) -> Early:
    """What an image does.  ``host`` is the root that the image was made on.  Raises HostError if a file in it cannot be read."""
    view = ImageView(image)
    home = f"{MODULES}/{image.release}"
    has_modules = view.is_file(f"{home}/modules.dep")
    kernel = read_kernel_of_image(view, cache) if has_modules else dataclasses.replace(NO_KERNEL, release=image.release)
    kernel = _with_held_modules(view, kernel)
    flow = _flow(view, cmdline, source)
    doubts = [*flow.doubts, *_other_init(cmdline, source)]
    works = [work for step in flow.steps for work in step]
    if any(isinstance(work, Coldplug) for work in works):
        doubts += drivers_rules_doubt(view)
    # kmod reads only the binary indexes that depmod makes of the text files, never these.
    if has_modules and kernel.modules and not view.exists(f"{home}/modules.alias.bin"):
        doubts.append(f"{view.shown(home)} has no modules.alias.bin: kmod cannot find drivers by alias there.")
    elif has_modules and kernel.modules and not view.is_file(f"{home}/modules.alias"):
        doubts.append(f"{view.shown(home)} has modules.alias.bin but not modules.alias: the aliases in it cannot be read.")
    doubts += old_suffix_doubt(view)
    config, unsure = with_listed_options(config_of(view, image.release, cmdline, source), flow.steps, kernel, inventory)
    config = config.with_more(flow.blacklisted)
    rules = rules_of(view, host)
    doubts += udev_version_doubt(view, host)
    stage = Stage(
        INITRAMFS,
        image.path,
        flow.steps,
        kernel,
        config,
        rules,
        (*doubts, *unsure),
        loads_lists=_loads_lists(view, cmdline),
        influences=_influences(view, kernel, host, inventory, cmdline),
        programs=rule_programs.judged(view, rules, kernel, inventory, cmdline),
        absent_programs=rule_programs.absent(view, rules),
        endings=rule_programs.endings(view, rules),
    )
    stage = with_judged_commands(stage, view)
    return Early(stage, flow.blacklisted if flow.blacklist_lasts else ())


def _with_held_modules(view: ImageView, kernel: Kernel) -> Kernel:
    """The kernel without modules that the image's modules.dep names and whose files the image does not have."""
    if not read_initramfs_tools.is_made_by(view):
        from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_booster

        if read_booster.is_made_by(view):
            return read_booster.with_modules(view, kernel)
    here = f"{MODULES}/{kernel.release}"
    held = {name: path for name, path in kernel.modules.items() if name in view.image.modules or view.exists(posixpath.join(here, path))}
    return kernel if len(held) == len(kernel.modules) else dataclasses.replace(kernel, modules=held)


def _loads_lists(view: ImageView, cmdline: Cmdline) -> bool:
    if read_initramfs_tools.is_made_by(view):
        return False
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_dracut

    return read_dracut.is_made_by(view) and read_dracut.loads_lists(view, cmdline)


def _flow(view: ImageView, cmdline: Cmdline, source: str) -> Flow:
    if read_initramfs_tools.is_made_by(view):
        return read_initramfs_tools.flow(view, cmdline, source)
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_booster, read_dracut, read_mkinitcpio

    if read_dracut.is_made_by(view):
        return read_dracut.flow(view, cmdline, source)
    if read_mkinitcpio.is_made_by(view):
        return read_mkinitcpio.flow(view, cmdline, source)
    if read_booster.is_made_by(view):
        return Flow(())
    return read_initramfs_tools.unknown(view, any(view.exists(program) for program in UDEV_PROGRAMS))


def _influences(view: ImageView, kernel: Kernel, host: Host | None, inventory: Inventory | None, cmdline: Cmdline) -> tuple[Influence, ...]:
    """What the image's scripts, and the units that no package has brought, may do."""
    if read_initramfs_tools.is_made_by(view):
        return image_scripts.judged(view, read_initramfs_tools.scripts(view, cmdline), kernel, host, inventory)
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot import read_booster, read_dracut, read_mkinitcpio

    if read_dracut.is_made_by(view):
        scripts, with_systemd = read_dracut.scripts(view), read_dracut.has_systemd(view)
    elif read_mkinitcpio.is_made_by(view):
        scripts, with_systemd = read_mkinitcpio.scripts(view, cmdline), read_mkinitcpio.has_systemd(view)
    else:
        return read_booster.influences(view, kernel) if read_booster.is_made_by(view) else ()
    found = image_scripts.judged(view, scripts, kernel, host, inventory)
    if not with_systemd:
        return found
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup import image_units

    ownership = image_scripts.ImageOwnership(view, host)
    own = image_units.judged(view, kernel, ownership, inventory, cmdline)
    return tuple(dict.fromkeys((*found, *own, *early_modules.read(view, kernel, inventory))))


@dataclasses.dataclass(frozen=True)
class InitramfsStage:
    """``early`` is None if there is no initramfs, or if it cannot be read; ``doubts`` say why."""

    early: Early | None = None
    doubts: tuple[str, ...] = ()
    files: ImageFiles | None = None


def _other_init(cmdline: Cmdline, source: str) -> t.Iterator[str]:
    """The kernel runs this in place of /init (rdinit_setup() in init/main.c)."""
    for path in cmdline.of_kernel.values("rdinit")[-1:]:
        if path != "/init":
            yield f"{source}: rdinit={path} replaces the initramfs's init; what it loads cannot be determined."


def find(host: Host, entry: BootEntry, cache: Cache | None = None, inventory: Inventory | None = None) -> InitramfsStage:
    """The initramfs stage of a boot entry.  The kernel unpacks several images one over the other."""
    paths, doubts = images_of(host, entry)
    missing = [path for path in paths if not host.is_file(path)]
    if missing:
        sentence = f"{entry.source} names {missing[0]}, which does not exist: what the initramfs does cannot be determined."
        return InitramfsStage(doubts=(*doubts, sentence))
    if not paths:
        return InitramfsStage(doubts=doubts)
    try:
        # Microcode is for the kernel alone, and comes first.
        essential = [path for path in paths if not is_microcode(host, path, cache)] or list(paths[:1])
        image = read_image(host, essential[0], entry.release, cache, essential[1:])
        about = boot_config_doubts(host, image, entry)
        early = read_stage(image, entry.cmdline, entry.cmdline_source, cache, host, inventory)
        early = dataclasses.replace(early, stage=dataclasses.replace(early.stage, is_of_several=len(essential) > 1))
        return InitramfsStage(early, (*doubts, *about), ImageFiles(host, image, tuple(essential), early.stage.kernel, cache))
    except HostError as error:
        return InitramfsStage(doubts=(*doubts, error.msg))
