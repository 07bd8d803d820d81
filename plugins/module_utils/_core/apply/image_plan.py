# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For each kernel: its boot image, and the reasons to build it anew."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_check import ImageFacts, ImagePolicy, reasons
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import DRACUT, Generator
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import InstalledModules

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

FORCED = "A rebuild was asked for."


@dataclasses.dataclass(frozen=True)
class KernelPlan:
    """What is to be done for one kernel: nothing when there are no ``reasons``."""

    release: str
    image: str
    reasons: tuple[str, ...]
    missing_modules: tuple[str, ...]
    """Modules of the policy that this kernel has neither as a file nor built in: no image can hold them."""


@dataclasses.dataclass(frozen=True)
class ImageInspector:
    """What to hold each image against."""

    policy: ImagePolicy
    generator: Generator | None
    pending: frozenset[str] = frozenset()
    force: bool = False

    def plan(self, host: Host, release: str) -> KernelPlan:
        """Read a kernel's image and modules and judge.  Raises HostError where that is impossible."""
        path = (self.generator or DRACUT).image_path(host, release)
        installed = InstalledModules.read(host, release, self.policy.modules)
        pending = self.pending & frozenset(installed.missing)
        image, damage = _read(host, path, release, installed)
        facts = ImageFacts(path, image, damage, installed, pending, host.is_file(kept_name(path)))
        # A host without any generator boots without an image, which is as good: there is no earlier stage to win.
        absent_by_design = self.generator is None and not host.is_file(path)
        found = () if absent_by_design else reasons(facts, self.policy)
        if self.force:
            found = (*found, FORCED)
        if found and self.generator is None:
            raise HostError(
                f"{path} does not agree with the policy ({found[0].rstrip('.')}), and this host has nothing to build it with.",
                "Install initramfs-tools or dracut.",
            )
        return KernelPlan(release, path, found, tuple(name for name in installed.missing if name not in pending))

    def remaining(self, host: Host, release: str, path: str) -> tuple[str, ...]:
        """What a newly built image still gets wrong."""
        installed = InstalledModules.read(host, release, self.policy.modules)
        image, damage = _read(host, path, release, installed)
        return reasons(ImageFacts(path, image, damage, installed), self.policy)


def kept_name(image: str) -> str:
    """Where the previous image waits until the boot loader knows the new one."""
    return f"{image}.vfio-variants-old"


def _read(host: Host, path: str, release: str, installed: InstalledModules) -> tuple[Image | None, str | None]:
    if not host.is_file(path):
        return None, None
    try:
        return Image.read(host, path, release, tuple(installed.paths)), None
    except CorruptFileError as error:
        return None, error.msg
