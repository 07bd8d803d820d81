# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebuild the initramfs images that do not contain the current policy, and no others."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_check import GivenPolicy, ImagePolicy
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_plan import ImageInspector, KernelPlan
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.initramfs_build import rebuild
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.recovery import recover
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import refuse
from ansible_collections.vfio.variants.plugins.module_utils._core.host.builders import locked_for_building
from ansible_collections.vfio.variants.plugins.module_utils._core.host.cache import Cache
from ansible_collections.vfio.variants.plugins.module_utils._core.host.time_limit import checked_timeout
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import AUTO, choose
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import ALL, chosen_releases

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovery
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import PendingModule


@dataclasses.dataclass(frozen=True)
class SyncRequest:
    """What `initramfs` should do.  ``kernels`` are releases, ``all`` or ``running``; ``timeout`` is for each build, in seconds."""

    kernels: tuple[str, ...] = (ALL,)
    policy: GivenPolicy | None = None
    pending_modules: tuple[PendingModule, ...] = ()
    generator: str = AUTO
    force: bool = False
    timeout: int = 600
    allow_unsupported: bool = False

    def __post_init__(self) -> None:
        checked_timeout(self.timeout)


@dataclasses.dataclass(frozen=True)
class ImageSync:
    """What was found for each kernel, and done unless in check mode."""

    generator: str | None
    plans: tuple[KernelPlan, ...]
    recovery: Recovery

    def result(self) -> Result:
        result = {
            "changed": any(plan.reasons for plan in self.plans),
            "kernels": {plan.release: self._kernel(plan) for plan in self.plans},
            "diff": [_diff(plan) for plan in self.plans if plan.reasons],
            "warnings": list(self.warnings()),
        }
        return self.recovery.added_to(result)

    def _kernel(self, plan: KernelPlan) -> Result:
        return {
            "image": plan.image,
            "generator": self.generator,
            "reasons": list(plan.reasons),
            "rebuilt": bool(plan.reasons),
            "missing_modules": list(plan.missing_modules),
        }

    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"Kernel {plan.release} does not have {', '.join(plan.missing_modules)}, so {plan.image} cannot contain it."
            for plan in self.plans
            if plan.missing_modules
        )


def _diff(plan: KernelPlan) -> Result:
    header = f"{plan.image} (why it is rebuilt)"
    return {"before_header": header, "before": "".join(f"{reason}\n" for reason in plan.reasons), "after_header": header, "after": ""}


def sync_images(host: Host, request: SyncRequest, check_mode: bool) -> ImageSync:
    """Rebuild the images that need it; in check mode, only inspect them.

    Raises HostError; the image of that kernel is unchanged, those of kernels before it have been rebuilt.
    """
    # Whoever names the generator takes the risk of a layout that is not known.
    refuse(host, "images", request.allow_unsupported or request.generator != AUTO)
    with contextlib.nullcontext() if check_mode else locked_for_building(host, request.timeout):
        recovery = recover(host, check_mode)
        host = recovery.host
        releases = chosen_releases(host, request.kernels)
        inspector = _inspector(host, request, check_mode)
        plans = tuple(inspector.plan(host, release) for release in releases)
        recovery = _with_rebuilt(recovery, plans)
        for plan in plans:
            if plan.reasons and inspector.generator is not None and not check_mode:
                remaining = functools.partial(inspector.remaining, host, plan.release)
                rebuild(host, inspector.generator, plan, remaining, request.timeout)
    return ImageSync(None if inspector.generator is None else inspector.generator.name, plans, recovery)


def _with_rebuilt(recovery: Recovery, plans: t.Sequence[KernelPlan]) -> Recovery:
    """What waits for this module is finished by it, for the kernels whose images it rebuilds."""
    rebuilt = [plan.built for plan in plans if plan.reasons]
    done = tuple(
        dataclasses.replace(
            item, outcome="finished", what=tuple(f"{image} is rebuilt, and the boot loader's hooks run." for image in found)
        )
        if item.outcome == "left" and (found := [image for image in rebuilt if any(sentence.startswith(image) for sentence in item.what)])
        else item
        for item in recovery.done
    )
    return dataclasses.replace(recovery, done=done)


def _inspector(host: Host, request: SyncRequest, check_mode: bool) -> ImageInspector:
    if request.policy is not None and not check_mode:
        request.policy.check(host)
    pending = request.pending_modules if check_mode else ()
    entries = next_boot.read(host).entries
    policy, generator = ImagePolicy.read(host, request.policy), choose(host, request.generator)
    return ImageInspector(policy, generator, pending, request.force, entries, Cache(host, not check_mode))
