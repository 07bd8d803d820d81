# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kernel trusts the key that signed a module: the machine owner's keys, the firmware's, or that of a module which runs.

A kernel verifies modules with the keys of `.secondary_trusted_keys` (mod_verify_sig() in kernel/module/signing.c).  Those are its own,
which cannot be read from its file, and through `.machine` the machine owner's keys, if shim says that they count (trust_moklist() in
security/integrity/platform_certs/machine_keyring.c).  Debian's kernels also use `.platform`, which has the firmware's own keys.
"""

from __future__ import annotations

import dataclasses
import shlex
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import certificate, efi_variables, signature_policy
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.dkms_settings import OF_SHIM, OWN, SigningKey, signing_key
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo, Signer
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import OSRELEASE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.loaded_modules import LOADED, loaded_source
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.module_content import module_path

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.certificate import Certificate
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel

DATABASE = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
"""The vendor of db and dbx (EFI_IMAGE_SECURITY_DATABASE_GUID in include/linux/efi.h)."""
TABLE = f"{efi_variables.FIRMWARE}/mok-variables"
"""shim's variables as a table in memory, which they fit into whole; without attributes.  (drivers/firmware/efi/mokvar-table.c)"""
TRUSTED = "MokListTrustedRT"
MACHINE_KEYRING = frozenset(("INTEGRITY_MACHINE_KEYRING", "SECONDARY_TRUSTED_KEYRING"))
AUTHORITIES_ONLY = "INTEGRITY_CA_MACHINE_KEYRING"
PLATFORM_KEYRING = "INTEGRITY_PLATFORM_KEYRING"
CERTIFICATES = (OWN.certificate, OF_SHIM.certificate)
"""What DKMS and Ubuntu's shim-signed make, and enter with mokutil, where DKMS is told of no other place."""
# TAINT_UNSIGNED_MODULE is set where the signature could not be verified, TAINT_FORCED_MODULE where it was not asked for.
UNVERIFIED = frozenset("EF")
OUT_OF_TREE = "O"
MOST_LOADED = 64
TAKES_NONE = "this machine has not started with UEFI, where a key could be enrolled: take away what asks for signatures"
LARGEST_PROGRAM = 1 << 20
SEQUENCE = b"\x30"
"""What a certificate in DER begins with."""


@dataclasses.dataclass(frozen=True)
class FirmwareKeys:
    """What the firmware and shim hand to every kernel of this host.  ``revoked`` has what dbx and shim's own list say."""

    owner: tuple[Certificate, ...]
    database: tuple[Certificate, ...]
    pending: tuple[Certificate, ...]
    revoked: bytes
    owner_counts: bool
    is_changing: bool
    """Whether a request waits that removes keys or makes them count no longer."""

    @classmethod
    def read(cls, host: Host) -> FirmwareKeys:
        def shim(name: str) -> bytes:
            path = f"{TABLE}/{name}"
            try:
                return host.read_bytes(path) if host.is_file(path) else efi_variables.value(host, name, efi_variables.SHIM) or b""
            except HostError:
                return b""

        ignores_database = efi_variables.value(host, "MokIgnoreDB", efi_variables.SHIM) is not None
        database = b"" if ignores_database else efi_variables.value(host, "db", DATABASE) or b""
        return cls(
            owner=certificate.in_lists(shim("MokListRT")),
            database=certificate.in_lists(database),
            pending=certificate.in_lists(efi_variables.value(host, "MokNew", efi_variables.SHIM) or b""),
            revoked=(efi_variables.value(host, "dbx", DATABASE) or b"") + shim("MokListXRT"),
            owner_counts=host.is_file(f"{TABLE}/{TRUSTED}"),
            is_changing=any(
                efi_variables.value(host, name, efi_variables.SHIM) is not None for name in ("MokDel", "MokXNew", "MokListTrustedNew")
            ),
        )

    def is_revoked(self, one: Certificate) -> bool:
        return one.digest in self.revoked or one.content in self.revoked


def doubt(host: Host, kernel: Kernel, signer: Signer) -> str | None:
    """Why it is not certain that ``kernel`` trusts the key of ``signer``; None if it does."""
    keys = FirmwareKeys.read(host)
    own, listed = _of(signer, keys.owner), _of(signer, keys.database)
    found = own or listed
    if found is not None and keys.is_revoked(found):
        return "its key is revoked (dbx, MokListXRT)"
    if own is not None and not keys.is_changing and _counts(host, kernel.release, own, keys):
        return None
    if found is not None and not keys.is_changing and uses_firmware_keys(host, kernel.release):
        return None
    if _signed_what_runs(host, kernel, signer):
        return None
    return _reason(host, kernel.release, signer, keys)


def _reason(host: Host, release: str, signer: Signer, keys: FirmwareKeys) -> str:
    own, listed = _of(signer, keys.owner), _of(signer, keys.database)
    if _of(signer, keys.pending) is not None:
        return "its key waits to be enrolled: confirm it in the menu that appears before the next boot (MOK management)"
    if own is not None and keys.is_changing:
        return "its key is one of the machine owner's, but a request to remove or distrust such keys waits for the next boot"
    if own is not None:
        return f"its key is one of the machine owner's, and whether {release} trusts those cannot be determined"
    if listed is not None:
        return f"its key is in the firmware's db, and whether {release} trusts that cannot be determined"
    said = f"its key is none of the machine owner's (MokListRT), and whether {release} trusts it cannot be determined"
    if not takes_keys(host):
        return f"{said}; {TAKES_NONE}"
    file = _file_of(host, signer)
    if file is None:
        return said
    # mokutil takes DER only.
    enrolling = f"mokutil --import {file}"
    if not host.read_bytes(file).startswith(SEQUENCE):
        enrolling = f"openssl x509 -in {file} -outform DER -out {file}.der && mokutil --import {file}.der"
    return f"{said}; to enrol it, run `{enrolling}`, and confirm it in the menu of the next boot"


def takes_keys(host: Host) -> bool:
    """Whether a person can enrol a key with mokutil."""
    return host.is_dir(efi_variables.FIRMWARE)


def doubt_of_dkms(host: Host, kernel: Kernel) -> str | None:
    """Why it is not certain that ``kernel`` will trust what DKMS signs on this host; None if it does."""
    pair = signing_key(host)
    has_key = pair.is_token or host.is_file(pair.key)
    if pair.is_token and not host.is_file(pair.certificate):
        return f"its key is on a token ({pair.key}), and the certificate that belongs to it is missing: write it to {pair.certificate}"
    if not (has_key and host.is_file(pair.certificate)):
        if not takes_keys(host):
            return f"it makes a key for that at its first build, which no kernel knows; {TAKES_NONE}"
        # It makes both again where one of them is missing.
        return f"it makes a key for that at its first build, which has to be enrolled then: run `{making(host, pair)}` before"
    own = next((found for path, found in _certificates(host) if path == pair.certificate), None)
    if own is None:
        said = f"{pair.certificate}, the certificate that DKMS signs with, is none"
        return f"{said}: remove it and {pair.key}, and run `{making(host, pair)}`"
    return doubt(host, kernel, Signer(own.name, own.issuer, own.serial))


def making(host: Host, pair: SigningKey) -> str:
    """The command that makes the key.

    DKMS has one since 3.1, which Debian 12 and Ubuntu 24.04 do not have yet; before that its first build runs openssl
    (prepare_signing() in /usr/sbin/dkms 3.0.10), and on Ubuntu shim's program.
    """
    if pair == OF_SHIM:
        return "update-secureboot-policy --new-key"
    program = host.which("dkms")
    if program is not None and b"generate_mok" in (host.head(program, LARGEST_PROGRAM) or b""):
        return "dkms generate_mok"
    files = f"-keyout {shlex.quote(pair.key)} -outform DER -out {shlex.quote(pair.certificate)}"
    return f"openssl req -new -x509 -nodes -days 36500 -newkey rsa:2048 -subj '/CN=DKMS module signing key' {files}"


def _file_of(host: Host, signer: Signer) -> str | None:
    """The file with the signer's certificate, as mokutil takes it."""
    return next((path for path, found in _certificates(host) if _of(signer, [found]) is not None), None)


def _certificates(host: Host) -> t.Iterator[tuple[str, Certificate]]:
    """Those that DKMS may sign with, the one that it is told to use first."""
    for path in dict.fromkeys((signing_key(host).certificate, *CERTIFICATES)):
        try:
            found = certificate.parse(host.read_bytes(path)) if host.is_file(path) else None
        except HostError:
            continue
        if found is not None:
            yield path, found


def _of(signer: Signer, known: t.Sequence[Certificate]) -> Certificate | None:
    for one in known:
        by_serial = bool(signer.serial) and (signer.issuer, signer.serial) == (one.issuer, one.serial)
        if by_serial or (signer.key_id and signer.key_id == one.key_id):
            return one
    return None


def _counts(host: Host, release: str, own: Certificate, keys: FirmwareKeys) -> bool:
    """Whether the kernel takes that key of the machine owner into `.machine`."""
    _path, options = signature_policy.config(host, release)
    return keys.owner_counts and options >= MACHINE_KEYRING and (own.is_authority or AUTHORITIES_ONLY not in options)


def uses_firmware_keys(host: Host, release: str) -> bool:
    """Debian's patch "KEYS: Make use of platform keyring for module signature verify", in all its kernels since 5.10."""
    _path, options = signature_policy.config(host, release)
    return PLATFORM_KEYRING in options and signature_policy.is_debians(host, release)


def _signed_what_runs(host: Host, kernel: Kernel, signer: Signer) -> bool:
    """Whether a module of that key runs, whose signature this kernel has verified."""
    if host.text_or_none(OSRELEASE) != kernel.release:
        return False
    for name in _verified(host)[:MOST_LOADED]:
        path = module_path(kernel, name)
        try:
            info = ModuleInfo.read(host, path) if path and host.is_file(path) else None
        except HostError:
            continue
        running = loaded_source(host, name)
        if info is not None and info.signer == signer and running is not None and info.srcversion == running:
            return True
    return False


def _verified(host: Host) -> list[str]:
    """The loaded modules from outside of the kernel's tree whose signature was verified when they were loaded."""
    names = host.names(LOADED) if host.is_dir(LOADED) else ()
    taints = ((name, (host.text_or_none(f"{LOADED}/{name}/taint") or "").strip()) for name in sorted(names))
    return [name for name, taint in taints if OUT_OF_TREE in taint and not UNVERIFIED & set(taint)]
