# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of the role vfio_host would do about driver packages, which it builds by other modules."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import chosen_releases, read_all

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.request import PackageRequest
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest

DKMS = "/usr/sbin/dkms"


def predicted(host: Host, request: WholeRequest) -> Result:
    """Whether a package changes, the modules that all of them have then, what is recovered first, and warnings."""
    results = [_of_package(host, package) for package in request.of_packages()]
    return {
        "changed": any(result["changed"] for result in results),
        **{name: [one for result in results for one in result.get(name, ())] for name in ("modules", "recovered", "warnings")},
    }


def _of_package(host: Host, package: PackageRequest) -> Result:
    # What builds drivers takes long to import, and a host that has the kernel's own needs nothing of it.
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms import steps

    return steps.run(host, package, check_mode=True).result()


def lacks_dependencies(host: Host, request: WholeRequest) -> bool:
    """Whether DKMS, or the headers of a kernel that packages are built for, have to be installed and are not."""
    if not (request.needs_dependencies and request.packages):
        return False
    chosen = chosen_releases(host, request.packages_kernels)
    return not host.is_file(DKMS) or any(not kernel.has_headers for kernel in read_all(host, chosen))
