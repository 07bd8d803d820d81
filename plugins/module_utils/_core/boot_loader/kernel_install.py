# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command by which kernel-install makes a kernel's entry, or its unified image, again.

Not `kernel-install add-all`: it only sees kernels whose images are in their modules' folders, and Debian's are in /boot.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import names_if_any
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import MODULES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


def command(host: Host, release: str) -> tuple[str, ...]:
    """Raises HostError if the kernel's image is not found."""
    places = (f"/usr/lib/modules/{release}/vmlinuz", f"/lib/modules/{release}/vmlinuz", f"/boot/vmlinuz-{release}")
    image = next((place for place in places if host.is_file(place)), None)
    if image is None:
        raise HostError(f"kernel-install needs the image of kernel {release}, which is at none of {', '.join(places)}.")
    return ("kernel-install", "add", release, image)


def is_prebuilt(host: Host, path: str, release: str) -> bool:
    """Whether a unified image is that of a kernel whose package brings it as such, like kernel-uki-virt."""
    return path.lower().endswith(".efi") and any(name.endswith(".efi") for name in names_if_any(host, f"{MODULES}/{release}"))
