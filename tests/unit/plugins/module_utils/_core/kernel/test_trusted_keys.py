# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kernel trusts a module's key, compared with what Debian's kernel did in a guest with Secure Boot."""

from __future__ import annotations

import dataclasses
import os
import struct
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import certificate, efi_variables, trusted_keys
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.elf_module import Signer, signer
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.tests.uefi import observed_signed
from ansible_collections.vfio.variants.tests.unit.module_files import module_file
from ansible_collections.vfio.variants.tests.unit.trees import Tree

OBSERVED = observed_signed.read()
OWNER, LEAF, FIRMWARE, STRANGER = "owner", "owner-leaf", "firmware", "stranger"
KEYS = (OWNER, LEAF, FIRMWARE, STRANGER)
VARIABLES = efi_variables.VARIABLES
CONFIG = f"/boot/config-{OBSERVED.release}"
ATTRIBUTES = bytes(4)


def signer_of(name: str) -> Signer:
    found = signer(OBSERVED.signatures[name])
    assert found is not None
    return found


def doubt(root: Path, name: str, **files: bytes | None) -> str | None:
    """About the key of that name, on the guest's host with other files (by their path, without the first slash)."""
    Tree(root).kernel(OBSERVED.release)
    OBSERVED.lay_out(root)
    for path, content in files.items():
        place = root / path.lstrip("/")
        if content is None:
            place.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    return asked(Tree(root).host(), name)


def asked(host: Host, name: str) -> str | None:
    return trusted_keys.doubt(host, Kernel.read(host, OBSERVED.release), signer_of(name))


def test_the_guest_was_asked_about_every_kind_of_key() -> None:
    assert set(OBSERVED.taken) == {*KEYS, "unsigned", "vendor"}
    assert OBSERVED.taken[OWNER]
    assert not OBSERVED.taken[STRANGER]
    assert not OBSERVED.taken["unsigned"]


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_trusted_if_the_kernel_took_its_module(tmp_path: Path, name: str) -> None:
    assert (doubt(tmp_path, name) is None) is OBSERVED.taken[name]


def test_the_kernel_refused_what_is_not_signed_at_all() -> None:
    assert signer(module_file(OBSERVED.release) + OBSERVED.signatures["unsigned"]) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("CONFIG_INTEGRITY_MACHINE_KEYRING=y", "# CONFIG_INTEGRITY_MACHINE_KEYRING is not set"),
        ("CONFIG_SECONDARY_TRUSTED_KEYRING=y", "# CONFIG_SECONDARY_TRUSTED_KEYRING is not set"),
    ],
)
def test_the_machine_owners_keys_count_only_for_a_kernel_that_has_their_keyring(tmp_path: Path, old: str, new: str) -> None:
    assert f"{old}\n" in OBSERVED.config
    other = OBSERVED.config.replace(f"{old}\n", f"{new}\n").encode()
    found = doubt(tmp_path, OWNER, **{CONFIG: other, f"/boot/vmlinuz-{OBSERVED.release}": b"another kernel"})
    assert found == f"its key is one of the machine owner's, and whether {OBSERVED.release} trusts those cannot be determined"


def test_a_kernel_may_take_authorities_alone(tmp_path: Path) -> None:
    other = {CONFIG: f"{OBSERVED.config}CONFIG_INTEGRITY_CA_MACHINE_KEYRING=y\n".encode(), f"/boot/vmlinuz-{OBSERVED.release}": b"another"}
    assert doubt(tmp_path / "leaf", LEAF, **other) is not None
    assert doubt(tmp_path / "owner", OWNER, **other) is None


def test_the_machine_owners_keys_do_not_count_unless_shim_says_so(tmp_path: Path) -> None:
    trusted = f"{trusted_keys.TABLE}/MokListTrustedRT"
    assert trusted in OBSERVED.files
    assert doubt(tmp_path, OWNER, **{trusted: None, f"/boot/vmlinuz-{OBSERVED.release}": b"another kernel"}) is not None


def test_the_firmwares_keys_count_only_for_kernels_that_debian_built(tmp_path: Path) -> None:
    found = doubt(tmp_path, FIRMWARE, **{f"/boot/vmlinuz-{OBSERVED.release}": b"another kernel"})
    assert found == f"its key is in the firmware's db, and whether {OBSERVED.release} trusts that cannot be determined"


def test_the_firmwares_keys_do_not_count_if_shim_is_told_to_ignore_them(tmp_path: Path) -> None:
    assert doubt(tmp_path, FIRMWARE, **{f"{VARIABLES}/MokIgnoreDB-{efi_variables.SHIM}": ATTRIBUTES + b"\1"}) is not None


def owners_list() -> bytes:
    return OBSERVED.files[f"{trusted_keys.TABLE}/MokListRT"]


def certificate_of(name: str) -> certificate.Certificate:
    who = signer_of(name)
    return next(one for one in certificate.in_lists(owners_list()) if one.serial == who.serial)


@pytest.mark.parametrize("what", ["content", "digest"])
@pytest.mark.parametrize("place", [f"{VARIABLES}/dbx-{trusted_keys.DATABASE}", f"{trusted_keys.TABLE}/MokListXRT"])
def test_a_revoked_key_is_not_trusted(tmp_path: Path, place: str, what: str) -> None:
    revoked: bytes = getattr(certificate_of(OWNER), what)
    assert doubt(tmp_path, OWNER, **{place: ATTRIBUTES + bytes(28) + revoked}) == "its key is revoked (dbx, MokListXRT)"
    assert asked(Host(str(tmp_path)), LEAF) is None


@pytest.mark.parametrize("name", ["MokDel", "MokXNew", "MokListTrustedNew"])
def test_a_request_that_removes_keys_at_the_next_boot_makes_it_uncertain(tmp_path: Path, name: str) -> None:
    found = doubt(tmp_path, OWNER, **{f"{VARIABLES}/{name}-{efi_variables.SHIM}": ATTRIBUTES + b"\1"})
    assert found is not None
    assert "waits for the next boot" in found


def test_a_key_that_waits_to_be_enrolled_is_named(tmp_path: Path) -> None:
    table = {path: None for path in OBSERVED.files if "MokListRT" in path}
    waiting = {f"{VARIABLES}/MokNew-{efi_variables.SHIM}": ATTRIBUTES + owners_list()}
    assert (doubt(tmp_path, OWNER, **table, **waiting) or "").startswith("its key waits to be enrolled")


@pytest.mark.parametrize(
    ("place", "setting"),
    [
        ("/var/lib/dkms/mok.pub", {}),
        ("/var/lib/shim-signed/mok/MOK.der", {}),
        ("/etc/keys/own.der", {"framework.conf": "/etc/keys/own.der"}),
        # What is in the folder is read afterwards.
        ("/etc/keys/own.der", {"framework.conf": "/etc/keys/other.der", "framework.conf.d/own.conf": "/etc/keys/own.der"}),
    ],
)
def test_the_way_to_enrol_a_key_names_its_certificate(tmp_path: Path, place: str, setting: t.Mapping[str, str]) -> None:
    table = {path: None for path in OBSERVED.files if "MokListRT" in path}
    conf = {f"/etc/dkms/{path}": f"mok_certificate={value}\n".encode() for path, value in setting.items()}
    found = doubt(tmp_path, OWNER, **table, **conf, **{place: certificate_of(OWNER).content}) or ""
    assert found.endswith(f"; to enrol it, run `mokutil --import {place}`, and confirm it in the menu of the next boot")
    assert "mokutil" not in (asked(Host(str(tmp_path)), LEAF) or "")


def test_what_dkms_will_sign_is_trusted_if_its_certificate_is_enrolled(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(OBSERVED.release).file("/usr/sbin/dkms", "generate_mok)", 0o755)
    OBSERVED.lay_out(tmp_path)
    kernel = Kernel.read(tree.host(), OBSERVED.release)
    assert "dkms generate_mok" in (trusted_keys.doubt_of_dkms(tree.host(), kernel) or "")
    tree.file("/var/lib/dkms/mok.pub", certificate_of(OWNER).content)
    # Without the key it makes both again.
    assert "dkms generate_mok" in (trusted_keys.doubt_of_dkms(tree.host(), kernel) or "")
    tree.file("/var/lib/dkms/mok.key", b"")
    assert trusted_keys.doubt_of_dkms(tree.host(), kernel) is None
    for path in OBSERVED.files:
        if "MokListRT" in path:
            tree.place(path).unlink()
    assert "mokutil --import /var/lib/dkms/mok.pub" in (trusted_keys.doubt_of_dkms(tree.host(), kernel) or "")


def not_enrolled() -> bytes:
    """A certificate as the owner's, with another serial number."""
    own = certificate_of(OWNER)
    return own.content.replace(own.serial, bytes(byte ^ 1 for byte in own.serial))


OF_SHIM = ("/var/lib/shim-signed/mok/MOK.priv", "/var/lib/shim-signed/mok/MOK.der")
OF_DKMS = ("/var/lib/dkms/mok.key", "/var/lib/dkms/mok.pub")


@pytest.mark.parametrize(
    ("distribution", "settings", "enrolled", "trusted"),
    [
        ("ubuntu", "", OF_SHIM, True),
        ("ubuntu", "", OF_DKMS, False),
        ("debian", "", OF_DKMS, True),
        ("debian", "", OF_SHIM, False),
        ("ubuntu", "mok_signing_key=/var/lib/dkms/mok.key\n", OF_DKMS, True),
        # Without the key, Ubuntu's takes the place of the certificate, too.
        ("ubuntu", "mok_certificate=/var/lib/dkms/mok.pub\n", OF_DKMS, False),
        ("debian", "mok_signing_key=pkcs11:object=mok\nmok_certificate=/etc/keys/own.der\n", ("", "/etc/keys/own.der"), True),
    ],
)
def test_dkms_signs_with_the_key_of_the_distribution(
    tmp_path: Path, distribution: str, settings: str, enrolled: tuple[str, str], trusted: bool
) -> None:
    """Beside the enrolled key there is one that nobody has enrolled."""
    tree = (
        Tree(tmp_path).kernel(OBSERVED.release).file("/etc/os-release", f"ID={distribution}\n").file("/etc/dkms/framework.conf", settings)
    )
    OBSERVED.lay_out(tmp_path)
    for key, place in (OF_SHIM, OF_DKMS, enrolled):
        tree.file(place, certificate_of(OWNER).content if place == enrolled[1] else not_enrolled())
        if key:
            tree.file(key, b"")
    found = trusted_keys.doubt_of_dkms(tree.host(), Kernel.read(tree.host(), OBSERVED.release))
    assert (found is None) is trusted


RUNNING: dict[str, t.Any] = {"taint": "O", "srcversion": "ABC", "release": OBSERVED.release, "signer": STRANGER}


@pytest.mark.parametrize(
    ("other", "trusted"),
    [
        ({}, True),
        ({"taint": "OE"}, False),
        ({"taint": "OF"}, False),
        ({"taint": ""}, False),
        ({"srcversion": "DEF"}, False),
        ({"release": "6.1.0-1-amd64"}, False),
        ({"signer": OWNER}, False),
    ],
    ids=str,
)
def test_a_key_is_trusted_whose_module_was_verified_and_runs(tmp_path: Path, other: t.Mapping[str, str], trusted: bool) -> None:
    with_running = {**RUNNING, **other}
    tree = Tree(tmp_path).kernel(OBSERVED.release, {"gpu": []}).running(with_running["release"])
    OBSERVED.lay_out(tmp_path)
    file = next(Path(tmp_path).rglob("gpu.ko*"))
    file.write_bytes(module_file(OBSERVED.release, srcversion="ABC") + OBSERVED.signatures[with_running["signer"]])
    tree.file("/sys/module/gpu/taint", f"{with_running['taint']}\n").file("/sys/module/gpu/srcversion", f"{with_running['srcversion']}\n")
    assert (asked(tree.host(), STRANGER) is None) is trusted


def test_a_module_that_does_not_say_of_which_sources_it_is_proves_nothing(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(OBSERVED.release, {"gpu": []}).running(OBSERVED.release)
    OBSERVED.lay_out(tmp_path)
    file = next(Path(tmp_path).rglob("gpu.ko*"))
    file.write_bytes(module_file(OBSERVED.release) + OBSERVED.signatures[STRANGER])
    assert asked(tree.file("/sys/module/gpu/taint", "O\n").host(), STRANGER) is not None


def test_a_certificate_is_read_as_it_was_made() -> None:
    owner, leaf = certificate_of(OWNER), certificate_of(LEAF)
    assert (owner.name, owner.is_authority, leaf.name, leaf.is_authority) == ("test owner", True, "test owner-leaf", False)
    assert (len(owner.key_id), len(owner.digest)) == (20, 32)


def test_a_signer_that_is_named_by_its_keys_identifier_is_found_by_it(tmp_path: Path) -> None:
    tree = Tree(tmp_path).kernel(OBSERVED.release)
    OBSERVED.lay_out(tmp_path)
    who = Signer("key", key_id=certificate_of(OWNER).key_id)
    assert trusted_keys.doubt(tree.host(), Kernel.read(tree.host(), OBSERVED.release), who) is None
    assert trusted_keys.doubt(tree.host(), Kernel.read(tree.host(), OBSERVED.release), dataclasses.replace(who, key_id=b"x")) is not None


def test_the_public_key_of_debian_is_among_the_machine_owners() -> None:
    """Its shim brings it; it is a certificate that this project has not made."""
    assert "Debian Secure Boot CA" in {one.name for one in certificate.in_lists(owners_list())}


@pytest.mark.parametrize("cut", [1, 16, 28, 44, 60, 300])
def test_a_damaged_list_has_no_certificates_from_there_on(cut: int) -> None:
    whole = owners_list()
    assert len(certificate.in_lists(whole[:-cut])) < len(certificate.in_lists(whole))


@pytest.mark.parametrize("size", [0, 27, 0xFFFFFFFF])
def test_a_list_that_gives_itself_an_impossible_size_is_not_read(size: int) -> None:
    assert certificate.in_lists(certificate.X509 + struct.pack("<III", size, 0, 100) + os.urandom(200)) == ()


@pytest.mark.parametrize("content", [b"", b"\x30", b"\x30\x80", b"\x30\x03\x02\x01\x01", b"\x30\x84\xff\xff\xff\xff", bytes(64)])
def test_what_is_not_a_certificate_is_none(content: bytes) -> None:
    assert certificate.parse(content) is None


def test_each_list_of_several_counts_whatever_is_before_it() -> None:
    """A list can have a header of its own, or no signature at all; GUID of an owner, then the certificate (UEFI specification, 32.4.1)."""
    content = certificate_of(OWNER).content
    signature = bytes(16) + content
    empty = certificate.LIST.pack(certificate.X509, certificate.LIST.size, 0, len(signature))
    headed = (
        certificate.LIST.pack(certificate.X509, certificate.LIST.size + 8 + len(signature), 8, len(signature)) + b"a header" + signature
    )
    assert [one.name for one in certificate.in_lists(empty + headed)] == ["test owner"]
