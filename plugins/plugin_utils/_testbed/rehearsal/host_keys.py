# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a host with Secure Boot, of which the machine's firmware makes its own database.

On the host shim hands the machine owner's keys to the kernel. In the machine nothing stands between the firmware and the kernel, which
takes the firmware's keys for its own. (load_uefi_certs() in security/integrity/platform_certs/load_uefi.c)  The firmware starts a kernel
that QEMU hands to it whoever has signed it.
"""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.firmware import LARGE_WINDOWS, STORE, Firmware


def keys_for(signatures: t.Mapping[str, t.Any]) -> tuple[bytes, ...]:
    """The host's certificates with which the machine has Secure Boot on; none where it cannot be as it is on the host.

    That is so where the kernel takes modules that were signed on the host by shim's word alone.
    """
    if signatures["signed_here"] and not signatures["keys_of_firmware"]:
        return ()
    return tuple(bytes.fromhex(one) for one in signatures["keys"])


def firmware_words(uefi: Firmware, folder: Path, keys: t.Sequence[bytes]) -> tuple[str, ...]:
    """QEMU's arguments for UEFI, with Secure Boot by the ``keys`` if there are any; the firmware's variables are in ``folder``."""
    paths = [folder / f"key-{number}.der" for number in range(len(keys))]
    for path, key in zip(paths, keys, strict=True):
        path.write_bytes(key)
    store = folder / STORE
    uefi.write_variables(store, secure_boot=bool(keys), database=paths)
    return (*uefi.words(store), *LARGE_WINDOWS)
