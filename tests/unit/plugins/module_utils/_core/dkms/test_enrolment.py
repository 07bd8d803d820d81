# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person still has to enrol is said with the command, on the host that a guest with Secure Boot was."""

from __future__ import annotations

import base64
import re
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.enrolment import exposed, required
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.module_check import ExpectedModule
from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.package_report import FoundModule, KernelPackage
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import certificate, efi_variables
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import ModuleInfo, signer
from ansible_collections.vfio.variants.tests.uefi import observed_signed
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.dkms.plan import PresentLevel

OBSERVED = observed_signed.read()
SECURE_BOOT = f"{efi_variables.VARIABLES}/SecureBoot-{efi_variables.GLOBAL}"


def host(root: Path, secure_boot: bool = True) -> Tree:
    """With DKMS 3.1 or newer."""
    tree = Tree(root).kernel(OBSERVED.release).file("/usr/sbin/dkms", "generate_mok)\n    prepare_mok\n", 0o755)
    OBSERVED.lay_out(root)
    return tree.file(SECURE_BOOT, bytes(4) + (b"\1" if secure_boot else b"\0"))


def package(key: str | None, level: PresentLevel = "installed") -> dict[str, KernelPackage]:
    """A module that is signed with that key of the guest's."""
    signed = None if key is None else signer(OBSERVED.signatures[key])
    info = ModuleInfo(vermagic="", version=None, srcversion=None, signer=signed, aliases=())
    return {OBSERVED.release: KernelPackage(level, {"gpu_vfio_pci": FoundModule("/lib/modules/x.ko", info)})}


@pytest.mark.parametrize("key", ["owner", "firmware", "stranger"])
def test_something_is_left_to_do_exactly_where_the_kernel_refused_such_a_module(tmp_path: Path, key: str) -> None:
    assert (required(host(tmp_path).host(), package(key)) is None) is OBSERVED.taken[key]


def test_the_sentence_names_what_asks_for_it_and_the_command(tmp_path: Path) -> None:
    said = required(host(tmp_path).host(), package(None))
    assert said is not None
    assert said.startswith(f"Kernel {OBSERVED.release} takes signed modules only (Secure Boot, with CONFIG_")
    assert "gpu_vfio_pci is not signed" in said
    assert "`dkms generate_mok`" in said


@pytest.mark.parametrize("key", [None, "stranger", "expected"])
def test_where_no_key_can_be_enrolled_that_is_said_instead(tmp_path: Path, key: str | None) -> None:
    tree = Tree(tmp_path).kernel(OBSERVED.release).cmdline("lockdown=integrity")
    expected = {OBSERVED.release: KernelPackage("installed", {"gpu_vfio_pci": ExpectedModule("gpu_vfio_pci")})}
    said = required(tree.host(), expected if key == "expected" else package(key))
    assert said is not None
    assert "(lockdown=integrity on its command line)" in said
    assert said.endswith("this machine has not started with UEFI, where a key could be enrolled: take away what asks for signatures.")
    assert "`" not in said


def test_without_secure_boot_nothing_is_asked(tmp_path: Path) -> None:
    assert required(host(tmp_path, secure_boot=False).host(), package(None)) is None


def test_what_is_only_built_waits_for_no_key(tmp_path: Path) -> None:
    assert required(host(tmp_path).host(), package(None, level="built")) is None


def test_a_prediction_is_about_the_key_that_dkms_will_sign_with(tmp_path: Path) -> None:
    found = {OBSERVED.release: KernelPackage("installed", {"gpu_vfio_pci": ExpectedModule("gpu_vfio_pci")})}
    said = required(host(tmp_path).host(), found)
    assert said is not None
    assert "run `dkms generate_mok` before" in said


MADE_BY_DKMS = "it makes a key for that at its first build, which has to be enrolled then: run `dkms generate_mok` before"
KEY, CERTIFICATE = "/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub"
OWNERS = f"{efi_variables.VARIABLES}/MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23"


def owners_certificate() -> bytes:
    """In DER, that of the key which the guest's owner has enrolled."""
    return next(one.content for one in certificate.in_lists(OBSERVED.files[OWNERS][4:]) if one.name == signed_by_owner())


def signed_by_owner() -> str:
    found = signer(OBSERVED.signatures["owner"])
    assert found is not None
    return found.name


def in_pem(content: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(content) + b"-----END CERTIFICATE-----\n"


def predicted(tree: Tree) -> str | None:
    return required(tree.host(), {OBSERVED.release: KernelPackage("installed", {"gpu_vfio_pci": ExpectedModule("gpu_vfio_pci")})})


@pytest.mark.parametrize("form", [bytes, in_pem, lambda content: b"Certificate:\n    Data:\n" + in_pem(content)])
def test_a_key_that_is_enrolled_needs_nothing_in_whatever_form(tmp_path: Path, form: t.Callable[[bytes], bytes]) -> None:
    assert predicted(host(tmp_path).file(KEY, b"x", 0o600).file(CERTIFICATE, form(owners_certificate()))) is None


def test_until_when_a_certificate_is_valid_is_not_asked(tmp_path: Path) -> None:
    """No kernel does, nor does sign-file."""
    past = re.sub(rb"\x17\r\d\d(\d{10}Z)", lambda found: b"\x17\r01" + found[1], owners_certificate())
    assert past != owners_certificate()
    assert predicted(host(tmp_path).file(KEY, b"x", 0o600).file(CERTIFICATE, past)) is None


@pytest.mark.parametrize(
    ("form", "command"), [(bytes, f"`mokutil --import {CERTIFICATE}`"), (in_pem, f"`openssl x509 -in {CERTIFICATE} -outform DER")]
)
def test_a_key_that_is_not_enrolled_is_named_as_mokutil_takes_it(tmp_path: Path, form: t.Callable[[bytes], bytes], command: str) -> None:
    tree = host(tmp_path).file(KEY, b"x", 0o600).file(CERTIFICATE, form(owners_certificate()))
    for path in (path for path in OBSERVED.files if "MokListRT" in path):
        tree.place(path).unlink()
    said = predicted(tree)
    assert said is not None
    assert f"to enrol it, run {command}" in said


@pytest.mark.parametrize(
    "content", [b"", b"x", b"0\x82", in_pem(b""), b"-----BEGIN CERTIFICATE-----\n=\n-----END CERTIFICATE-----\n", bytes(1 << 20)]
)
def test_a_certificate_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    """DKMS makes another one only if the file is not there, and each build fails then."""
    said = predicted(host(tmp_path).file(KEY, b"x", 0o600).file(CERTIFICATE, content))
    assert said is not None
    assert said.endswith(f"{CERTIFICATE}, the certificate that DKMS signs with, is none: remove it and {KEY}, and run `dkms generate_mok`.")


@pytest.mark.parametrize("missing", [KEY, CERTIFICATE])
def test_of_a_pair_with_one_missing_dkms_makes_both(tmp_path: Path, missing: str) -> None:
    tree = host(tmp_path).file(KEY, b"x", 0o600).file(CERTIFICATE, owners_certificate())
    tree.place(missing).unlink()
    said = predicted(tree)
    assert said is not None
    assert MADE_BY_DKMS in said


OPENSSL = "openssl req -new -x509 -nodes -days 36500 -newkey rsa:2048 -subj '/CN=DKMS module signing key' -keyout {} -outform DER -out {}"
"""What prepare_signing() of DKMS 3.0.10 runs at its first build, if need be."""


@pytest.mark.parametrize("program", [None, "prepare_signing()\n", "\xff" * 9])
def test_a_dkms_without_the_command_is_not_told_to_run_it(tmp_path: Path, program: str | None) -> None:
    """Debian 12 has 3.0.10, Ubuntu 24.04 3.0.11; the command came with 3.1."""
    tree = host(tmp_path)
    tree.place("/usr/sbin/dkms").unlink()
    if program is not None:
        tree.file("/usr/sbin/dkms", program.encode("latin-1"), 0o755)
    said = predicted(tree)
    assert said is not None
    assert f"run `{OPENSSL.format(KEY, CERTIFICATE)}` before" in said


def test_openssl_is_told_the_places_that_dkms_is_told(tmp_path: Path) -> None:
    tree = host(tmp_path).file("/etc/dkms/framework.conf", 'mok_signing_key=/root/k.pem\nmok_certificate="/root/my keys/k.der"\n')
    tree.place("/usr/sbin/dkms").unlink()
    assert OPENSSL.format("/root/k.pem", "'/root/my keys/k.der'") in (predicted(tree) or "")


def test_dkms_makes_no_certificate_for_a_key_on_a_token(tmp_path: Path) -> None:
    said = predicted(host(tmp_path).file("/etc/dkms/framework.conf", "mok_signing_key=pkcs11:object=mok\n"))
    assert said is not None
    assert said.endswith(
        f"its key is on a token (pkcs11:object=mok), and the certificate that belongs to it is missing: write it to {CERTIFICATE}."
    )


def test_on_ubuntu_shim_makes_the_key(tmp_path: Path) -> None:
    """Its DKMS 2.8 has no command for that."""
    said = predicted(host(tmp_path).file("/etc/os-release", "ID=ubuntu\n"))
    assert said is not None
    assert "run `update-secureboot-policy --new-key` before" in said


@pytest.mark.parametrize(
    ("distribution", "key", "mode", "is_exposed"),
    [
        ("debian", "/var/lib/dkms/mok.key", 0o600, False),
        ("debian", "/var/lib/dkms/mok.key", 0o640, True),
        ("debian", "/var/lib/dkms/mok.key", 0o644, True),
        ("ubuntu", "/var/lib/shim-signed/mok/MOK.priv", 0o644, True),
        # Ubuntu's DKMS does not sign with that.
        ("ubuntu", "/var/lib/dkms/mok.key", 0o644, False),
    ],
)
def test_a_key_that_others_can_read_is_warned_of(tmp_path: Path, distribution: str, key: str, mode: int, is_exposed: bool) -> None:
    said = exposed(Tree(tmp_path).file("/etc/os-release", f"ID={distribution}\n").file(key, b"x", mode).host())
    assert (said is not None) is is_exposed
    assert said is None or (f"{key} (mode {mode:04o})" in said and said.endswith(f"run `chmod 600 {key}`."))


def test_a_key_on_a_token_and_a_missing_one_are_not_warned_of(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert exposed(tree.host()) is None
    assert exposed(tree.file("/etc/dkms/framework.conf", "mok_signing_key=pkcs11:object=mok\n").host()) is None
