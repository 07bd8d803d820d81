# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one call of `dkms_package` does: predict, determine what to do, build for some kernels, or do everything that is left."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import refuse
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import kernel_variant
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package import DkmsPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import ABSENT
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.recovery import recover
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import KernelVariant, PackageRequest, read_wanted
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.several_kernels import at_once
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.variant_package import package_name
from ansible_collections.vfio.variants.plugins.module_utils._core.host.builders import locked_for_building
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import untold

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package_report import PackageReport
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import WantedPackage
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.progress import Tell
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.recovery import Recovery
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result


@dataclasses.dataclass(frozen=True)
class WorkLeft:
    """What the action plugin must do: send the sources, and call the module to build for these kernels, ``at_once`` by each call."""

    sources: bool
    builds: tuple[str, ...]
    at_once: int
    recovery: Recovery

    def result(self) -> Result:
        todo = {"sources": self.sources, "builds": list(self.builds), "at_once": self.at_once}
        return {**self.recovery.added_to({"changed": False}), "_todo": todo}


@dataclasses.dataclass(frozen=True)
class KernelsBuilt:
    """Builds for these kernels are staged for the end of the run; nothing else on the host has changed."""

    releases: tuple[str, ...]

    def result(self) -> Result:
        return {"changed": False}


PackageResult = t.Union["PackageReport", WorkLeft, KernelsBuilt]


def run(host: Host, request: PackageRequest, check_mode: bool, tell: Tell = untold) -> PackageResult:
    """Do the requested step; in check mode, predict the whole run.  ``tell`` is told of each build."""
    if request.level != ABSENT:
        refuse(host, "drivers", request.allow_unsupported)
    if check_mode:
        return predict(host, request)
    if request.step == "look":
        return look(host, request)
    return build(host, request, tell) if request.step == "build" else finish(host, request, tell)


def look(host: Host, request: PackageRequest) -> PackageReport | WorkLeft:
    """The first step: the report if there is nothing to do, else what is to be done, if the host has everything for it."""
    with locked_for_building(host, request.timeout):
        recovery = recover(host, check_mode=False)
        package = DkmsPackage(recovery.host, _wanted(host, request, writes=True))
        if not package.plan.changed:
            return dataclasses.replace(package.report(), recovery=recovery)
        package.check()
    return WorkLeft(package.needs_files, package.plan.builds, at_once(recovery.host, len(package.plan.builds)), recovery)


def build(host: Host, request: PackageRequest, tell: Tell = untold) -> KernelsBuilt:
    """The builds for some kernels, in a hidden folder."""
    with locked_for_building(host, request.timeout):
        recover(host, check_mode=False, staged=True)
        package = DkmsPackage(host, _wanted(host, request, writes=True), tell)
        package.check()
        package.build([release for release in package.plan.builds if release in request.build])
    return KernelsBuilt(request.build)


def finish(host: Host, request: PackageRequest, tell: Tell = untold) -> PackageReport:
    """Everything that is left to do."""
    with locked_for_building(host, request.timeout):
        recovery = recover(host, check_mode=False, staged=True)
        package = DkmsPackage(recovery.host, _wanted(host, request, writes=True), tell)
        if not package.plan.changed:
            return dataclasses.replace(package.report(), recovery=recovery)
        package.check()
        return dataclasses.replace(package.apply(), recovery=recovery)


def predict(host: Host, request: PackageRequest) -> PackageReport:
    """The report as it will be, with what the host lacks: an earlier task of the play may install it."""
    recovery = recover(host, check_mode=True)
    package = DkmsPackage(recovery.host, _wanted(host, request, writes=False))
    return dataclasses.replace(package.prediction() if package.plan.changed else package.report(), recovery=recovery)


def _wanted(host: Host, request: PackageRequest, writes: bool) -> WantedPackage:
    """The requested package; what is read of a kernel's source is cached if ``writes``."""
    variant = request.source
    if not isinstance(variant, KernelVariant):
        alone = "kernel_sources" if request.kernel_sources else "ignore_kconfig" if request.ignore_kconfig else None
        if alone is not None:
            raise HostError(f"{alone}: there is no variant to build.", f"Set variant, or leave {alone} out.")
        return read_wanted(host, request)
    named = dataclasses.replace(request, name=package_name(variant.name))
    if request.level == ABSENT:
        return read_wanted(host, named)
    return read_wanted(host, named, kernel_variant.find(host, variant, request, writes))
