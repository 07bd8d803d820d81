# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kernel refuses unsigned modules and more on this host, and which modules it accepts by keys that only this host has.

The keys are certificates, which are public.
"""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import module_path
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.signature_policy import (
    enforced_by,
    kernel_sees_secure_boot,
    lockdown_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.trusted_keys import FirmwareKeys, uses_firmware_keys

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.next_boot import BootEntry
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.run_module import Result
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.certificate import Certificate

_OF_THE_KERNEL = "kernel/"


def signatures(host: Host, entry: BootEntry) -> Result:
    """``enforced_by`` as a part of a sentence, None if it loads unsigned modules; ``signed_here``: those that others have signed.

    ``lockdown`` is the level that the kernel takes from the firmware or has now, None where its command line or itself says it. With Secure
    Boot ``keys`` are the certificates by which the firmware and shim start kernels, in hex, ``owner_keys`` those that shim has of them;
    ``keys_of_firmware``: whether the kernel takes modules by those of the firmware, too.
    """
    enforced = enforced_by(host, entry.release, entry.cmdline)
    keys = FirmwareKeys.read(host) if kernel_sees_secure_boot(host) else None
    return {
        "enforced_by": enforced,
        "signed_here": _signed_here(host, entry.release) if enforced else [],
        "lockdown": lockdown_of(host, entry.release),
        "keys": [] if keys is None else _in_hex(keys, (*keys.owner, *keys.database)),
        "owner_keys": [] if keys is None else _in_hex(keys, keys.owner),
        "keys_of_firmware": uses_firmware_keys(host, entry.release),
    }


def _in_hex(keys: FirmwareKeys, chosen: t.Iterable[Certificate]) -> list[str]:
    return [one.content.hex() for one in chosen if not keys.is_revoked(one)]


def _signed_here(host: Host, release: str) -> list[str]:
    try:
        kernel = Kernel.read(host, release)
    except HostError:
        return []
    others = sorted(name for name, path in kernel.modules.items() if not path.startswith(_OF_THE_KERNEL))
    return [name for name in others if _is_signed(host, module_path(kernel, name))]


def _is_signed(host: Host, path: str | None) -> bool:
    """Also where it cannot be read: it may be."""
    if path is None or not host.is_file(path):
        return False
    try:
        return ModuleInfo.read(host, path).signer is not None
    except HostError:
        return True
