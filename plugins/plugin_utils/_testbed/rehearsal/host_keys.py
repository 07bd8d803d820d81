# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a host with Secure Boot: those of its firmware, and the machine owner's, which shim hands to the kernel.

Where shim is not in the machine, nothing stands between the firmware and the kernel, which takes the firmware's keys for its own: all of
them are the firmware's then. (load_uefi_certs() in security/integrity/platform_certs/load_uefi.c)  The firmware starts a kernel that QEMU
hands to it whoever has signed it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.firmware import LARGE_WINDOWS, STORE, Firmware


@dataclass(frozen=True)
class MachineKeys:
    """Certificates in DER.  Without any the machine has no Secure Boot."""

    database: tuple[bytes, ...] = ()
    owner: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return len(self.database) + len(self.owner)


NO_KEYS = MachineKeys()


def keys_for(signatures: t.Mapping[str, t.Any], *, by_shim: bool) -> MachineKeys:
    """The host's keys, with which the machine has Secure Boot on; none where it cannot be as it is on the host.

    That is so where the kernel takes modules that were signed on the host by shim's word alone, and shim does not start it here.
    """
    owner = set(signatures["owner_keys"]) if by_shim else set()
    if signatures["signed_here"] and not signatures["keys_of_firmware"] and not by_shim:
        return NO_KEYS
    database = [one for one in signatures["keys"] if one not in owner]
    return MachineKeys(tuple(map(bytes.fromhex, database)), tuple(bytes.fromhex(one) for one in signatures["owner_keys"] if one in owner))


def firmware_words(uefi: Firmware, folder: Path, keys: MachineKeys) -> tuple[str, ...]:
    """QEMU's arguments for UEFI, with Secure Boot by the ``keys`` if there are any; the firmware's variables are in ``folder``."""
    store = folder / STORE
    owner, database = (_written(folder, kind, known) for kind, known in (("owner", keys.owner), ("database", keys.database)))
    uefi.write_variables(store, secure_boot=len(keys) > 0, owner=owner, database=database)
    return (*uefi.words(store), *LARGE_WINDOWS)


def _written(folder: Path, kind: str, keys: t.Sequence[bytes]) -> list[Path]:
    paths = [folder / f"key-{kind}-{number}.der" for number in range(len(keys))]
    for path, key in zip(paths, keys, strict=True):
        path.write_bytes(key)
    return paths
