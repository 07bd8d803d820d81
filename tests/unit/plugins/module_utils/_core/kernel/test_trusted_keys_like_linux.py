# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, GUIDs and formats about keys and signatures, as the kernel's own sources have them."""

from __future__ import annotations

import re
import uuid

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import (
    certificate,
    efi_variables,
    elf_module,
    signature_policy,
    trusted_keys,
)
from ansible_collections.vfio.variants.tests.unit.sources import LINUX

EFI = "include/linux/efi.h"
SIGNING = "kernel/module/signing.c"
LOAD = "security/integrity/platform_certs/load_uefi.c"


def guid(name: str) -> str:
    """A GUID that EFI_GUID() makes of its numbers."""
    found = re.search(rf"^#define {name}\s+EFI_GUID\(([^)]*)\)", LINUX.texts[EFI], re.MULTILINE)
    assert found is not None, name
    first, second, third, *rest = (int(number, 0) for number in found[1].split(","))
    return str(uuid.UUID(fields=(first, second, third, rest[0], rest[1], int.from_bytes(bytes(rest[2:]), "big"))))


def test_the_vendors_of_keys_are_the_kernels() -> None:
    assert guid("EFI_SHIM_LOCK_GUID") == efi_variables.SHIM
    assert guid("EFI_IMAGE_SECURITY_DATABASE_GUID") == trusted_keys.DATABASE
    assert uuid.UUID(guid("EFI_CERT_X509_GUID")).bytes_le == certificate.X509


def test_the_kernel_reads_the_same_variables() -> None:
    names = set(re.findall(r'"(Mok\w+|db|dbx)"', LINUX.texts[LOAD]))
    assert names >= {"MokListRT", "MokListXRT", "MokIgnoreDB", "db", "dbx"}
    assert f"{trusted_keys.TABLE}/" in LINUX.texts["drivers/firmware/efi/mokvar-table.c"]


def test_debians_kernel_verifies_modules_with_the_firmwares_keys_too() -> None:
    check = LINUX.text(SIGNING, "int mod_verify_sig(", "\n}")
    assert "VERIFY_USE_SECONDARY_KEYRING" in check
    assert f"IS_ENABLED(CONFIG_{trusted_keys.PLATFORM_KEYRING})" in check
    assert "VERIFY_USE_PLATFORM_KEYRING" in check


def test_the_letters_of_taints_are_the_kernels() -> None:
    letters = dict(re.findall(r"TAINT_FLAG\((\w+),\s*'(\w)'", LINUX.texts["kernel/panic.c"]))
    assert frozenset((letters["UNSIGNED_MODULE"], letters["FORCED_MODULE"])) == trusted_keys.UNVERIFIED
    assert letters["OOT_MODULE"] == trusted_keys.OUT_OF_TREE


def test_the_end_of_a_signed_module_is_the_kernels() -> None:
    (magic,) = re.findall(r'#define MODULE_SIG_STRING "(.*)\\n"', LINUX.texts["include/linux/module_signature.h"])
    assert f"{magic}\n".encode() == elf_module.MAGIC


def test_the_integrity_architecture_enforces_signatures_under_secure_boot() -> None:
    policy = LINUX.text("security/integrity/ima/ima_efi.c", "arch_get_ima_policy(void)", "\n}")
    named = set(re.findall(r"IS_ENABLED\(CONFIG_(IMA_ARCH_POLICY|MODULE_SIG)\)", policy))
    assert "set_module_sig_enforced();" in policy
    assert tuple(sorted(named)) in signature_policy.UNDER_SECURE_BOOT
