# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a host's boot images agree with its policies: look at each, and rebuild what does not."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_check import GivenPolicy, ImagePolicy
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_plan import ImageInspector, KernelPlan
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.initramfs_build import rebuild
from ansible_collections.vfio.variants.plugins.module_utils._core.claim.arguments import pending_of
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.generator import choose
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import chosen_releases

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host


@dataclasses.dataclass(frozen=True)
class ImageSync:
    """What was found for each kernel, and done unless in check mode."""

    generator: str | None
    plans: tuple[KernelPlan, ...]

    def result(self) -> dict[str, t.Any]:
        """The module's return values."""
        return {"changed": any(plan.reasons for plan in self.plans), "kernels": self._kernels(), "diff": self._diff()}

    def _kernels(self) -> dict[str, dict[str, t.Any]]:
        return {
            plan.release: {
                "image": plan.image,
                "generator": self.generator,
                "reasons": list(plan.reasons),
                "rebuilt": bool(plan.reasons),
                "missing_modules": list(plan.missing_modules),
            }
            for plan in self.plans
        }

    def _diff(self) -> list[dict[str, str]]:
        header = "{} (why it is rebuilt)"
        return [
            {
                "before_header": header.format(plan.image),
                "before": "".join(f"{reason}\n" for reason in plan.reasons),
                "after_header": header.format(plan.image),
                "after": "",
            }
            for plan in self.plans
            if plan.reasons
        ]

    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"Kernel {plan.release} does not have {', '.join(plan.missing_modules)}, so {plan.image} cannot hold it."
            for plan in self.plans
            if plan.missing_modules
        )


def sync_images(host: Host, params: t.Mapping[str, t.Any], check_mode: bool) -> ImageSync:
    """Rebuild the images that need it; in check mode, only look.

    Raises HostError; the image of the kernel at fault is as it was, those before it in order have been rebuilt.
    """
    with contextlib.nullcontext() if check_mode else host.lock():
        releases = chosen_releases(host, params["kernels"])
        against = _inspection(host, params, check_mode)
        plans = tuple(against.plan(host, release) for release in releases)
        for plan in plans:
            if plan.reasons and against.generator is not None and not check_mode:
                remaining = functools.partial(against.remaining, host, plan.release)
                rebuild(host, against.generator, plan, remaining, params["timeout"])
    return ImageSync(None if against.generator is None else against.generator.name, plans)


def _inspection(host: Host, params: t.Mapping[str, t.Any], check_mode: bool) -> ImageInspector:
    given = None if params["policy"] is None else GivenPolicy.parse(params["policy"]["files"], params["policy"]["modules"])
    if given is not None and not check_mode:
        given.check(host)
    pending = frozenset(module.name.replace("-", "_") for module in pending_of(params)) if check_mode else frozenset()
    return ImageInspector(ImagePolicy.read(host, given), choose(host, params["generator"]), pending, params["force"])
