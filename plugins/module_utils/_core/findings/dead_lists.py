# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of modules to load at boot: names that are nobody's, and modules that come too late."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.findings.dead_names import GONE
from ansible_collections.vfio.variants.plugins.module_utils._core.findings.finding import Finding, listed
from ansible_collections.vfio.variants.plugins.module_utils._core.findings.host_policy import IDS, RULE
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import Coldplug, LoadList
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import comparable

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.devices.pci import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.findings.host_policy import HostPolicy
    from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import Boot, Listed, Stage


def modules_that_are_gone(host: HostPolicy) -> t.Iterator[Finding]:
    """A module that newer kernels do not have any more, in a list or in modprobe.d: vfio_virqfd above all, gone since Linux 6.2.

    Generators warn about it or leave the image unbuilt.  Where an older kernel has it, it comes as a dependency by itself.
    """
    named = [(one.source, comparable(one.name)) for one in _listed(host)]
    for _boot, root in host.roots:
        for entry in root.config.directives:
            words = entry.arguments if entry.command == "softdep" else entry.arguments[:1]
            if host.is_site(entry.source.path):
                named += [(str(entry.source), comparable(word)) for word in words]
    for source, name in dict.fromkeys(named):
        without = [kernel.release for kernel in host.kernels if not kernel.has(name)]
        if name in GONE and without:
            said = f"{source} names {name}, which {listed(without)} {'does' if len(without) == 1 else 'do'} not have: {GONE[name]}."
            yield Finding("stale-module", source, f"{said} Remove it; a kernel that still has it loads it by itself.")


def unknown_modules_in_lists(host: HostPolicy) -> t.Iterator[Finding]:
    """A module in a list that no installed kernel has, neither by name nor by alias: the programs that read it go on without."""
    for one in dict.fromkeys(_listed(host)) if host.kernels else ():
        name = comparable(one.name)
        if name in host.modules or name in GONE or name in host.files.synonyms or not _is_site(one, host):
            continue
        nearest = host.nearest(name)
        advice = f"Did you mean {nearest}?" if nearest else "Check the spelling, or remove it."
        said = f"{one.source} names the module {one.name}, which no installed kernel has ({listed(host.releases)})."
        yield Finding("unknown-listed-module", one.source, f"{said} {advice}")


def _listed(host: HostPolicy) -> t.Iterator[Listed]:
    """What the host's own lists name; an image's copy is not counted a second time."""
    yield from host.files.for_image
    for boot, root in host.roots:
        config = {entry.arguments[0] for entry in root.config.directives if entry.command in ("alias", "install")}
        for work in _lists(root):
            yield from (one for one in work.modules if comparable(one.name) not in config)
        for stage in boot.stages:
            for work in _lists(stage) if stage is not root else ():
                # What the command line asks for (rd.driver.pre=) stands in no file of the host.
                yield from (one for one in work.modules if one.source == boot.cmdline_source)


def _lists(stage: Stage) -> t.Iterator[LoadList]:
    return (work for step in stage.steps for work in step if isinstance(work, LoadList))


def _is_site(one: Listed, host: HostPolicy) -> bool:
    path = one.source.rpartition(":")[0] or one.source
    return host.is_site(path) or path.startswith("/proc/") or one.source in {boot.cmdline_source for boot in host.boots}


def modules_listed_too_late(host: HostPolicy) -> t.Iterator[Finding]:
    """A VFIO module in /etc/initramfs-tools/modules, for devices whose native driver is in the image as well.

    initramfs-tools loads that list after udev has replayed all devices' events (scripts/init-top/udev, then load_modules()
    in init), so the native has them already.
    """
    for boot, image, _root in host.images:
        for work in _late_lists(image):
            for one in work.modules:
                if comparable(one.name) in host.vfio_modules:
                    yield from _too_late(one, boot, image, host)


def _late_lists(stage: Stage) -> t.Iterator[LoadList]:
    replayed = False
    for step in stage.steps:
        if replayed:
            yield from (work for work in step if isinstance(work, LoadList))
        replayed = replayed or any(isinstance(work, Coldplug) for work in step)


def _too_late(one: Listed, boot: Boot, image: Stage, host: HostPolicy) -> t.Iterator[Finding]:
    module = comparable(one.name)
    claims = host.claims(boot, image)
    by_rule = {claim.device.address for claim in claims if claim.by == RULE}
    taken: dict[str, list[str]] = {}
    for claim in claims:
        if claim.by == IDS and host.module_of(boot, claim.driver) == module and claim.device.address not in by_rule:
            for native in _early_natives(claim.device, module, image):
                taken.setdefault(native, []).append(claim.device.address)
    for native, addresses in taken.items():
        said = f"{one.source} loads {one.name} after udev has loaded {native}, which {image.place} holds, for {listed(addresses)}."
        advice = f"Add `softdep {native} pre: {one.name}` to /etc/modprobe.d, or a driver_override rule, and rebuild the image."
        yield Finding("listed-too-late", one.source, f"{said} {advice}", tuple(addresses))


def _early_natives(device: Device, module: str, image: Stage) -> t.Iterator[str]:
    """The natives that the image's udev loads for a device without loading the VFIO module first."""
    for match in image.kernel.natives(device.modalias):
        softdeps = image.config.softdeps(match.module)
        first = {comparable(word) for word in softdeps[0].arguments[1:]} if softdeps else set()
        is_loaded = match.module in image.kernel.modules and not image.config.blacklisted(match.module)
        if is_loaded and module not in first and not image.config.installs(match.module):
            yield match.module
