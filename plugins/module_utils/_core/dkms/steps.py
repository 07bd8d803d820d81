# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one call of `dkms_package` does: predict, look what there is to do, build for one kernel, or do all that is left."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package import DkmsPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import PackageRequest, read_wanted

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package_report import PackageReport
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result


@dataclasses.dataclass(frozen=True)
class WorkLeft:
    """What the action plugin has to do: send the sources, and call for a build for each of these kernels."""

    sources: bool
    builds: tuple[str, ...]

    def result(self) -> Result:
        return {"changed": False, "_todo": {"sources": self.sources, "builds": list(self.builds)}}


@dataclasses.dataclass(frozen=True)
class KernelBuilt:
    """A build for one kernel is kept for the end of the run; nothing else on the host has changed."""

    release: str | None

    def result(self) -> Result:
        return {"changed": False}


PackageResult = t.Union["PackageReport", WorkLeft, KernelBuilt]


def run(host: Host, request: PackageRequest, check_mode: bool) -> PackageResult:
    """Do the requested step; in check mode only predict what the whole run would do."""
    if check_mode:
        return predict(host, request)
    return {"look": look, "build": build, "finish": finish}[request.step](host, request)


def look(host: Host, request: PackageRequest) -> PackageReport | WorkLeft:
    """What a run begins with: nothing to do, and the report; or what has to be done, everything needed being there."""
    package = DkmsPackage(host, read_wanted(host, request))
    if not package.plan.changed:
        return package.report()
    package.check()
    with host.lock():
        package.clear()
    return WorkLeft(package.needs_files, package.plan.builds)


def build(host: Host, request: PackageRequest) -> KernelBuilt:
    """One kernel's build; nothing of it can be seen outside of its hidden folder."""
    with host.lock():
        package = DkmsPackage(host, read_wanted(host, request))
        package.check()
        package.build([release for release in package.plan.builds if release == request.build])
    return KernelBuilt(request.build)


def finish(host: Host, request: PackageRequest) -> PackageReport:
    """Everything that is still to be done."""
    with host.lock():
        package = DkmsPackage(host, read_wanted(host, request))
        if not package.plan.changed:
            return package.report()
        package.check()
        return package.apply()


def predict(host: Host, request: PackageRequest) -> PackageReport:
    """What the package will be, with what the host lacks for that: an earlier task of the play may bring it."""
    package = DkmsPackage(host, read_wanted(host, request))
    return package.prediction() if package.plan.changed else package.report()
