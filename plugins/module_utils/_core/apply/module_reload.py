# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which drivers of claimed devices, of which another version is loaded than is installed, can be loaded again, and why others cannot."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.reloads import Reloads
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import cut
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import image_header
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.drivers import registered_drivers
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.install_command import every, parse
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import IMAGES, MODULES
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import LOADED
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.off_word import is_install_command
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.old_modules import old_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.claim.bind_plan import Binding
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.old_modules import OldModule
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import HostUses

RUNNING_BUILD, LOCKED = "/proc/sys/kernel/version", "/proc/sys/kernel/modules_disabled"


def planned(host: Host, inventory: Inventory, kernel: Kernel, bindings: t.Sequence[Binding], uses: HostUses) -> Reloads:
    """For the VFIO drivers that ``bindings`` want on ``kernel``, which runs."""
    names = sorted({module for binding in bindings for module in binding.modules} & kernel.vfio_modules)
    again, kept = [], []
    for old in old_of(host, kernel, names):
        own = [binding for binding in bindings if old.name in binding.modules]
        because = next(_reasons(host, inventory, kernel, old, own, uses), None)
        if because is None:
            again.append(old)
        else:
            kept.append((old, because))
    return Reloads(tuple(again), tuple(kept))


def _reasons(host: Host, inventory: Inventory, kernel: Kernel, old: OldModule, own: t.Sequence[Binding], uses: HostUses) -> t.Iterator[str]:
    """Why a module cannot be loaded again now, the cheapest to find out first."""
    if not all(binding.may_reload for binding in own):
        yield "`reload: false` of a claim does not allow it"
    yield from _held(host, old.name)
    wanted = {binding.device.address for binding in own}
    drivers = registered_drivers(host, old.name)
    bound = [device for device in inventory.devices if device.driver in drivers]
    for device in bound:
        if device.address not in wanted:
            yield f"{device.address} is bound to it and not claimed for it"
    yield from _unfit(host, kernel, old)
    for device in bound:
        for use in uses.of(device):
            # The console has left the function when it went to a VFIO driver.
            if use.guard != "console":
                yield f"{device.address} is in use: {use.what}"


def _held(host: Host, name: str) -> t.Iterator[str]:
    """By the kernel's own count, in which each opening of a device is, and not the devices that are only bound."""
    here = f"{LOADED}/{name}"
    if (host.text_or_none(LOCKED) or "0").strip() != "0":
        yield "the kernel neither loads nor unloads modules any more (kernel.modules_disabled)"
    for holder in host.names(f"{here}/holders"):
        yield f"{holder} needs it"
    count = (host.text_or_none(f"{here}/refcnt") or "").strip()
    if not count.isdecimal():
        yield "this kernel does not unload modules"
    elif count.strip("0"):
        yield f"it is in use (references: {cut(count)})"
    other = [entry for entry in host.names(f"{here}/drivers") if not entry.startswith("pci:")]
    if other:
        yield f"it has drivers on another bus, too ({other[0]})"


def _unfit(host: Host, kernel: Kernel, old: OldModule) -> t.Iterator[str]:
    """Why the kernel might refuse the installed module once the loaded one is gone, which is on disk no more."""
    # What is still to be built is built for this kernel.
    info = None if old.installed is None else ModuleInfo.read(host, old.path)
    if info is not None and not info.fits(kernel.release):
        yield f"{old.path} is built for kernel {info.release or 'none'}"
    yield from _replaced(host, kernel, old)
    for needed in old_of(host, kernel, kernel.dependencies(old.name)):
        yield f"{needed.name}, which it needs, is loaded in another version than is installed as well"
    command = next(iter(ModprobeConfig.read(host, release=kernel.release).installs(old.name)), None)
    if command is not None and not _loads(command.arguments[1], old.name):
        yield f"{command.source} has a command of its own for loading it"
    yield from _untrusted(host, kernel, info)


def _loads(command: str, module: str) -> bool:
    """Whether the command of an `install` line loads the module itself: ours does so, and one that is `modprobe -i`."""
    return is_install_command(command, module) or any(module in step.names for step in every(parse(command, module) or ()))


def _replaced(host: Host, kernel: Kernel, old: OldModule) -> t.Iterator[str]:
    """By its package, since it was booted: its symbols have the versions that its own modules ask for, not those beside it."""
    running = (host.text_or_none(RUNNING_BUILD) or "").strip()
    heads = {image: host.head(image, image_header.SETUP) for image in (path.format(kernel.release) for path in IMAGES)}
    builds = {image: build for image, start in heads.items() for build in (image_header.version(start) if start else None,) if build}
    for image, build in builds.items():
        if running and not build.rstrip().endswith(running):
            yield f"{image} is another build of the kernel than the one that runs"
    if not (builds and running) and old.installed is not None and old.path.startswith(f"{MODULES}/{kernel.release}/kernel/"):
        yield "it is one of the kernel's own modules, and whether the kernel that runs is the installed one cannot be determined"


def _untrusted(host: Host, kernel: Kernel, info: ModuleInfo | None) -> t.Iterator[str]:
    """``info`` is None of a module that DKMS still has to build and sign."""
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.signature_policy import enforced_by

    because = enforced_by(host, kernel.release, Cmdline.read(host))
    if because is None:
        return
    if info is not None and info.signer is None:
        yield f"the installed one is not signed, which the kernel asks for ({because})"
        return
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.trusted_keys import doubt, doubt_of_dkms

    doubted = doubt_of_dkms(host, kernel) if info is None or info.signer is None else doubt(host, kernel, info.signer)
    if doubted is not None:
        yield f"the kernel takes signed modules only ({because}), and {doubted}"
