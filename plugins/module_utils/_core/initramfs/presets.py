# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The presets of mkinitcpio: by which options it builds the image of a kernel's package, and where it puts it."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import package_of
from ansible_collections.vfio.variants.plugins.module_utils._core.host.shell_assignments import Assignments

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

PRESETS = "/etc/mkinitcpio.d"
SUFFIX = ".preset"
DEFAULT, ALL = "default", "ALL"
IMAGE = "/boot/initramfs-{package}.img"

MAKING = re.compile(r"(\w+?)_(?:efi_image|image|uki)")


@dataclasses.dataclass(frozen=True)
class MkinitcpioPreset:
    """``image`` and ``unified`` are what it makes, ``config`` a settings file in place of the usual ones and their drop-ins."""

    path: str
    image: str | None = None
    unified: str | None = None
    config: str | None = None
    options: tuple[str, ...] = ()


def preset_of(host: Host, release: str) -> MkinitcpioPreset | None:
    """That of a kernel's package; None if there is none, or if it cannot be determined which it is."""
    names = [name for name in host.names(PRESETS) if name.endswith(SUFFIX)]
    package = package_of(host, release)
    if package is not None:
        return _read(host, f"{PRESETS}/{package}{SUFFIX}") if f"{package}{SUFFIX}" in names else None
    found = [f"{PRESETS}/{name}" for name in names if _kernel(host, f"{PRESETS}/{name}") == release]
    return _read(host, found[0]) if len(found) == 1 else None


def image_of(host: Host, release: str) -> str | None:
    """The path of the image that mkinitcpio builds for a kernel, whether it exists or not; None if that cannot be determined."""
    preset, package = preset_of(host, release), package_of(host, release)
    if preset is not None and (preset.image or preset.unified):
        return preset.image or preset.unified
    return None if package is None else IMAGE.format(package=package)


def presets(host: Host) -> tuple[MkinitcpioPreset, ...]:
    return tuple(_read(host, f"{PRESETS}/{name}") for name in host.names(PRESETS) if name.endswith(SUFFIX))


def _kernel(host: Host, path: str) -> str | None:
    known = Assignments.parse(host.text_or_none(path) or "")
    return known.get(f"{DEFAULT}_kver") or known.get(f"{ALL}_kver")


def _read(host: Host, path: str) -> MkinitcpioPreset:
    """The one called default, else the first that makes an image."""
    known = Assignments.parse(host.text_or_none(path) or "")
    makers = [found[1] for found in map(MAKING.fullmatch, known.values) if found is not None]
    name = DEFAULT if DEFAULT in makers or not makers else makers[0]
    return MkinitcpioPreset(
        path,
        known.get(f"{name}_image"),
        known.get(f"{name}_uki") or known.get(f"{name}_efi_image"),
        known.get(f"{name}_config") or known.get(f"{ALL}_config"),
        tuple(word for index in known.indices(f"{name}_options") for word in (known.get(f"{name}_options", index) or "").split()),
    )
