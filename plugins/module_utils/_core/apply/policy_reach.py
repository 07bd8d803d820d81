# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a policy gets into the initramfs images of this host at all: one that does not must not be written as if it held."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.find_images import images_of, images_there
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read import without_entry
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.programs import unfit_program
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs import generator
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.presets import preset_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import PolicyPaths


def refuse_unreached(host: Host, paths: PolicyPaths, releases: t.Iterable[str], entries: t.Mapping[str, BootEntry]) -> None:
    """Raises HostError where images are built by a program that takes no policy, or from settings that leave it out."""
    other = unfit_program(host)
    if other is not None and any(_boots_with_image(host, release, entries.get(release)) for release in releases):
        raise HostError(
            f"{other.name} builds the initramfs images of this host, which a boot policy does not reach: {other.unfit}.",
            f"{other.instead[0].upper()}{other.instead[1:]}.",
        )
    for release in releases if _uses_mkinitcpio(host) else ():
        preset = preset_of(host, release)
        if preset is None or preset.config is None or paths.mkinitcpio in (host.text_or_none(preset.config) or ""):
            continue
        raise HostError(
            f"{preset.path} has kernel {release}'s image built from {preset.config} alone, so that mkinitcpio ignores {paths.mkinitcpio} "
            "and the policy would reach no image.",
            f"Remove that setting, with which mkinitcpio reads no drop-ins, or end {preset.config} with "
            f"`if [[ -e {paths.mkinitcpio} ]]; then . {paths.mkinitcpio}; fi`.",
        )


def _uses_mkinitcpio(host: Host) -> bool:
    try:
        return generator.choose(host) is generator.MKINITCPIO
    except HostError:
        return False


def _boots_with_image(host: Host, release: str, entry: BootEntry | None) -> bool:
    return bool(images_of(host, entry or without_entry(host, release)).paths) or any(True for _image in images_there(host))
