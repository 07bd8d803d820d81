# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For each kernel: its initramfs, and the reasons to rebuild it."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_check import ImageFacts, ImagePolicy, reasons
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_contents import ImageContents
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.initramfs_to_rebuild import (
    initramfs_to_rebuild,
    makes_by_kernel_install,
    refuse_program,
    source_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.families import family
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.programs import unfit_program
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import CorruptFileError, HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.journal import Journal
from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import IMAGES, hooks_wait
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import Generator
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import InstalledModules

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule

FORCED = "A rebuild was requested with `force`."


@dataclasses.dataclass(frozen=True)
class KernelPlan:
    """What to do for one kernel: nothing if there are no ``reasons``."""

    release: str
    image: str
    reasons: tuple[str, ...]
    missing_modules: tuple[str, ...]
    """Modules of the policy that this kernel has neither as a file nor built in, so that no image can contain them."""
    source: str | None = None
    """What the generator builds, where ``image``, which boots, is a copy of it or a unified kernel image that is made of it."""
    is_unified: bool = False
    """Whether ``image`` is a unified kernel image that kernel-install makes."""

    @property
    def built(self) -> str:
        return self.source or self.image


@dataclasses.dataclass(frozen=True)
class ImageInspector:
    """What each image is compared with."""

    policy: ImagePolicy
    generator: Generator | None
    pending: tuple[PendingModule, ...] = ()
    """What another task of the play installs."""
    force: bool = False
    entries: t.Mapping[str, BootEntry] = dataclasses.field(default_factory=dict)
    """The boot loader's entries, by release."""
    cache: Cache | None = None

    def plan(self, host: Host, release: str) -> KernelPlan:
        """Compare a kernel's image and modules with the policy.  Raises HostError if that is impossible."""
        path = initramfs_to_rebuild(host, release, self.entries.get(release), self.generator, self.cache)
        source = source_of(host, path, release, self.generator)
        installed = InstalledModules.read(host, release, self.policy.modules)
        awaited = {
            normalize_module_name(module.name): module for module in self.pending if module.kernels is None or release in module.kernels
        }
        pending = frozenset(awaited).intersection(installed.missing)
        rebuilt = frozenset(name for name, module in awaited.items() if release in module.new_for)
        image, unreadable = self._read(host, path, release, installed)
        facts = ImageFacts(path, image, unreadable, installed, pending, rebuilt, _is_interrupted(host, release, source or path))
        # A host without a generator boots without an initramfs: there is no earlier stage in which a native driver could win.
        absent_by_design = self.generator is None and not host.is_file(path)
        found = () if absent_by_design else reasons(facts, self.policy)
        if not found and source is not None and self.remaining(host, release, source):
            found = (f"It matches, but {source}, of which it is made, does not.",)
        if self.force:
            found = (*found, FORCED)
        if found and not (self.generator is not None and self.generator.builds_program(host, release, path)):
            refuse_program(host, path, release, found[0])
        if found and self.generator is None:
            raise _unbuilt(host, path, found[0])
        missing = tuple(name for name in installed.missing if name not in pending)
        return KernelPlan(release, path, found, missing, source, makes_by_kernel_install(host, path, release))

    def remaining(self, host: Host, release: str, path: str) -> tuple[str, ...]:
        """How a newly built image still differs from the policy."""
        installed = InstalledModules.read(host, release, self.policy.modules)
        image, unreadable = self._read(host, path, release, installed)
        return reasons(ImageFacts(path, image, unreadable, installed), self.policy)

    def _read(self, host: Host, path: str, release: str, installed: InstalledModules) -> tuple[ImageContents | None, str | None]:
        if not host.is_file(path):
            return None, None
        try:
            return ImageContents.read(host, path, release, tuple(installed.paths), self.cache), None
        except CorruptFileError as error:
            return None, error.msg


def _unbuilt(host: Host, path: str, reason: str) -> HostError:
    """No generator that takes the policy is there to build the image again."""
    found = f"{path} does not match the policy ({reason.rstrip('.')})"
    other = unfit_program(host)
    if other is not None:
        return HostError(f"{found}, and {other.name} builds it: {other.unfit}.", f"{other.instead[0].upper()}{other.instead[1:]}.")
    return HostError(f"{found}, and this host has no initramfs generator.", f"Install {' or '.join(family(host).generators)}.")


def kept_name(image: str) -> str:
    """The backup of the previous image, until the boot loader's hooks have run."""
    return f"{image}.vfio-variants-old"


def _is_interrupted(host: Host, release: str, path: str) -> bool:
    record = Journal(host, f"{IMAGES}{release}").read()
    return host.is_file(kept_name(path)) or (record is not None and hooks_wait(host, record))
