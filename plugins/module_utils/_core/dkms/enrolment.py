# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the key that DKMS signs with still has to be enrolled before a kernel that takes signed modules only loads its modules.

Enrolling is a person's: mokutil asks for it, and somebody at the machine confirms it in shim's menu.
"""

from __future__ import annotations

import stat
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package_report import FoundModule
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import INSTALLED
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import trusted_keys
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.dkms_settings import signing_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.signature_policy import enforced_by

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package_report import KernelPackage
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

OTHERS = stat.S_IRGRP | stat.S_IROTH


def required(host: Host, kernels: t.Mapping[str, KernelPackage]) -> str | None:
    """What stands between a signed module and a kernel, and the next step, in one sentence; None if nothing does."""
    cmdline = Cmdline.read(host)
    for release, package in kernels.items():
        enforced = enforced_by(host, release, cmdline) if package.level == INSTALLED and package.modules else None
        if enforced is None:
            continue
        reason = _reason(host, Kernel.read(host, release), package)
        if reason is not None:
            return f"Kernel {release} takes signed modules only ({enforced}): {reason}."
    return None


def _reason(host: Host, kernel: Kernel, package: KernelPackage) -> str | None:
    for name, module in package.modules.items():
        if not isinstance(module, FoundModule):
            reason = trusted_keys.doubt_of_dkms(host, kernel)
        elif module.info.signer is None:
            made = f"run `{trusted_keys.making(host, signing_key(host))}`, enrol that key, and build the package again"
            advice = f"as DKMS had no key for it: {made}" if trusted_keys.takes_keys(host) else f"and {trusted_keys.TAKES_NONE}"
            reason = f"{name} is not signed, {advice}"
        else:
            reason = trusted_keys.doubt(host, kernel, module.info.signer)
        if reason is not None:
            return reason if name in reason else f"of {name}, {reason}"
    return None


def exposed(host: Host) -> str | None:
    """A warning if others than root can read the key that DKMS signs with; None if not, or if there is none."""
    key = signing_key(host).key
    status = host.stat(key) if host.is_file(key) else None
    if status is None or not status.st_mode & OTHERS:
        return None
    mode = f"{status.st_mode & 0o7777:04o}"
    return f"Others than root can read {key} (mode {mode}), and sign modules with it that kernels here may trust: run `chmod 600 {key}`."
