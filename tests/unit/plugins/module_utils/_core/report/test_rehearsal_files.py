# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host lists of its kernels is what its boot loader starts."""

from __future__ import annotations

import gzip
import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import certificate, efi_variables, trusted_keys
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.hardware import parse
from ansible_collections.vfio.variants.plugins.module_utils._core.report.rehearsal_files import LIST, FilesRequest, gather
from ansible_collections.vfio.variants.tests.uefi import observed_signed
from ansible_collections.vfio.variants.tests.unit.boot_menus import boot_numbers, boot_option, bzimage, unified_image
from ansible_collections.vfio.variants.tests.unit.cmdline_hosts import ARCH, ROOT, arch_unified
from ansible_collections.vfio.variants.tests.unit.images import archive
from ansible_collections.vfio.variants.tests.unit.module_files import module_file, signed
from ansible_collections.vfio.variants.tests.unit.trees import Tree

IMAGE = "/boot/EFI/Linux/arch-linux.efi"


def listed(root: Path, folder: Path) -> dict[str, t.Any]:
    gather(str(root), None, FilesRequest(str(folder), ("next",), 1 << 30))
    found: dict[str, t.Any] = json.loads(gzip.decompress((folder / LIST).read_bytes()))
    return found


def unified(tree: Tree, cmdline: str, initrd: bytes = b"x") -> None:
    named = [(".osrel", b"ID=arch\nPRETTY_NAME=Arch\n"), (".uname", ARCH.encode()), (".cmdline", cmdline.encode())]
    tree.file(IMAGE, unified_image([*named, (".linux", bzimage(ARCH)), (".initrd", initrd)])).directory("/sys/bus/pci/devices")


def test_a_unified_image_has_the_kernel_its_initramfs_and_its_arguments(tmp_path: Path) -> None:
    host = arch_unified(tmp_path / "root")
    unified(host.tree, f"{ROOT} quiet")
    found = listed(host.tree.root, tmp_path)
    (kernel,) = found["kernels"]
    assert (kernel["image"], kernel["initrds"], kernel["arguments"][-1]) == (IMAGE, [IMAGE], "quiet")
    assert IMAGE in {entry[0] for entry in found["entries"]}


@pytest.mark.parametrize(
    ("word", "enforced", "signed_here"),
    [
        ("quiet", None, []),
        ("module.sig_enforce=1", "module.sig_enforce on its command line", ["mine"]),
        ("lockdown=integrity", "lockdown=integrity on its command line", ["mine"]),
    ],
)
def test_it_says_what_refuses_unsigned_modules_and_which_others_have_signed(
    tmp_path: Path, word: str, enforced: str | None, signed_here: list[str]
) -> None:
    host = arch_unified(tmp_path / "root")
    host.tree.kernel(ARCH, {"kernel/drivers/own": [], "updates/dkms/mine": [], "extra/plain": []}, running=True, image=False)
    for name, content in {
        "kernel/drivers/own": signed(module_file(ARCH), "The distribution"),
        "updates/dkms/mine": signed(module_file(ARCH), "DKMS"),
        "extra/plain": module_file(ARCH),
    }.items():
        host.tree.file(f"/lib/modules/{ARCH}/{name}.ko", content)
    unified(host.tree, f"{ROOT} {word}")
    (kernel,) = listed(host.tree.root, tmp_path)["kernels"]
    known = {"enforced_by": enforced, "signed_here": signed_here, "lockdown": None}
    assert kernel["signatures"] == {**known, "keys": [], "owner_keys": [], "keys_of_firmware": False}


@pytest.mark.parametrize(
    ("word", "storage", "file_system", "no_modules"),
    [
        ("quiet", ["virtio_blk", "ahci"], True, None),
        ("module_blacklist=virtio_blk,ext4", ["ahci"], False, None),
        ("nomodule", ["ahci"], False, "nomodule"),
        ("sysctl.kernel.modules_disabled=1", ["ahci"], False, "sysctl.kernel.modules_disabled=1"),
        ("sysctl.kernel.modules_disabled=0", ["virtio_blk", "ahci"], True, None),
    ],
)
def test_what_the_kernel_has_before_its_root_is_what_it_may_load_by_then(
    tmp_path: Path, word: str, storage: list[str], file_system: bool, no_modules: str | None
) -> None:
    tree = arch_unified(tmp_path / "root").tree
    tree.kernel(ARCH, running=True, image=False).file(f"/usr/lib/modules/{ARCH}/modules.builtin", "kernel/drivers/ata/ahci.ko\n")
    modules = {f"usr/lib/modules/{ARCH}/kernel/{name}.ko": module_file(ARCH) for name in ("drivers/block/virtio_blk", "fs/ext4/ext4")}
    unified(tree, f"{ROOT} {word}", archive(modules))
    (kernel,) = listed(tree.root, tmp_path)["kernels"]
    assert (kernel["storage"], kernel["file_system"], kernel["no_modules"]) == (storage, file_system, no_modules)


@pytest.mark.parametrize(("secure_boot", "lockdown"), [(b"\6\0\0\0\1", "integrity"), (b"\6\0\0\0\0", None)])
def test_it_says_how_far_secure_boot_locks_the_kernel_down(tmp_path: Path, secure_boot: bytes, lockdown: str | None) -> None:
    tree = arch_unified(tmp_path / "root").tree
    unified(tree, ROOT)
    tree.file(f"/boot/config-{ARCH}", "CONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y\n")
    tree.file("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", secure_boot)
    (kernel,) = listed(tree.root, tmp_path)["kernels"]
    assert kernel["signatures"]["lockdown"] == lockdown


@pytest.mark.parametrize("is_on", [True, False])
def test_with_secure_boot_it_lists_the_keys_that_a_guest_had_and_none_that_are_revoked(tmp_path: Path, is_on: bool) -> None:
    guest = observed_signed.read()
    tree = arch_unified(tmp_path / "root").tree
    unified(tree, ROOT)
    for path, content in guest.files.items():
        if path.startswith(efi_variables.FIRMWARE):
            tree.file(path, content)
    tree.file(f"{efi_variables.VARIABLES}/SecureBoot-{efi_variables.GLOBAL}", bytes((6, 0, 0, 0, is_on)))
    owner = certificate.in_lists(guest.files[f"{trusted_keys.TABLE}/MokListRT"])
    revoked = owner[0]
    tree.file(f"{efi_variables.VARIABLES}/dbx-{trusted_keys.DATABASE}", bytes(4 + 28) + revoked.digest)
    (kernel,) = listed(tree.root, tmp_path)["kernels"]
    names = names_of(kernel["signatures"]["keys"])
    if not is_on:
        assert names == names_of(kernel["signatures"]["owner_keys"]) == []
        return
    assert names[: len(owner) - 1] == names_of(kernel["signatures"]["owner_keys"]) == [one.name for one in owner[1:]]
    assert len(names) > len(owner)


def names_of(keys: list[str]) -> list[str]:
    return [one.name for one in map(certificate.parse, map(bytes.fromhex, keys)) if one is not None]


def test_what_the_forecast_names_is_collected_or_listed_as_missing_though_its_name_is_a_secrets(tmp_path: Path) -> None:
    tree = arch_unified(tmp_path / "root").tree
    unified(tree, ROOT)
    tree.systemd().pci("0000:01:00.0", "10de:1db1")
    rule = 'ACTION=="add", SUBSYSTEM=="pci", ATTR{driver_override}="pci-stub"\n'
    tree.file("/etc/credstore/udev.rules.own", rule).file("/etc/credstore.encrypted/udev.rules.sealed.cred", "sealed")
    tree.file("/etc/credstore/agent.token", "planted").file("/etc/udev/rules.d/60-token.rules", rule)
    found = listed(tree.root, tmp_path)
    paths = {entry[0] for entry in found["entries"] if "token" in entry[0] or "credstore" in entry[0]}
    assert paths == {"/etc/credstore", "/etc/credstore/udev.rules.own", "/etc/udev/rules.d/60-token.rules"}
    assert [one["path"] for one in found["missing"]] == ["/etc/credstore.encrypted/udev.rules.sealed.cred"]


@pytest.mark.parametrize("is_on", [True, False])
def test_with_secure_boot_it_lists_shim_and_the_grub_behind_it(tmp_path: Path, is_on: bool) -> None:
    tree = arch_unified(tmp_path / "root").tree
    unified(tree, ROOT)
    place = "/boot/EFI/debian"
    programs = {"shim": f"{place}/shimx64.efi", "grub": f"{place}/grubx64.efi"}
    for name, path in programs.items():
        tree.file(path, unified_image([(".sbat", f"sbat,1\n{name},4,x\n".encode())]))
    tree.file(f"/boot/vmlinuz-{ARCH}", bzimage(ARCH))
    boot_option(tree, 3, "\\EFI\\debian\\shimx64.efi")
    boot_numbers(tree, "BootOrder", 3)
    tree.file(f"{efi_variables.VARIABLES}/SecureBoot-{efi_variables.GLOBAL}", bytes((6, 0, 0, 0, is_on)))
    gather(str(tree.root), None, FilesRequest(str(tmp_path), (ARCH,), 1 << 30))
    found = json.loads(gzip.decompress((tmp_path / LIST).read_bytes()))
    assert found["signed_start"] == (programs if is_on else None)
    assert is_on == (set(programs.values()) <= {entry[0] for entry in found["entries"]})


def test_what_a_unit_runs_is_collected_or_listed_as_missing(tmp_path: Path) -> None:
    tree = arch_unified(tmp_path / "root").tree
    unified(tree, ROOT)
    programs = {"/root/site-setup": True, "/root/.config/bind": False, "/etc/salt/bind": False, "/srv/bind": True}
    for path in programs:
        tree.file(path, "#!/bin/sh\necho cGxhbnRlZA== | base64 -d | sh\n", 0o755)
    tree.file("/etc/salt/minion.pem", "planted").file("/root/.bash_history", "planted").file("/root/notes", "planted")
    started = "".join(f"ExecStart={path}\n" for path in programs)
    tree.file("/etc/systemd/system/site.service", f"[Service]\nType=oneshot\n{started}[Install]\nWantedBy=multi-user.target\n")
    tree.link("/etc/systemd/system/multi-user.target.wants/site.service", "/etc/systemd/system/site.service")
    found = listed(tree.root, tmp_path)
    paths, missing = {entry[0] for entry in found["entries"]}, {one["path"] for one in found["missing"]}
    assert {path: path in paths for path in programs} == programs
    assert missing == {path for path, is_collected in programs.items() if not is_collected}
    assert not paths & {"/etc/salt/minion.pem", "/root/.bash_history", "/root/notes"}


def test_what_words_and_tables_say_of_a_file_is_seen_beside_what_runs_it(tmp_path: Path) -> None:
    tree = arch_unified(tmp_path / "root").tree
    unified(tree, ROOT)
    tree.file("/opt/site/token-bind", "#!/bin/sh\nAPI_TOKEN=planted\nmodprobe vfio-pci\n", 0o755)
    tree.file("/opt/site/secret-tool", b"\x7fELF planted", 0o755).file("/opt/site/data.bin", "planted").file("/srv/nas", "planted")
    tree.file("/etc/crypttab", "data UUID=1 /opt/site/data.bin luks\n").file("/etc/fstab", "//nas/x /x cifs credentials=/srv/nas 0 0\n")
    started = "ExecStart=/opt/site/token-bind\nExecStart=/opt/site/secret-tool\nExecStart=/bin/cat /opt/site/data.bin /srv/nas\n"
    tree.file("/etc/systemd/system/token.service", f"[Service]\nType=oneshot\n{started}[Install]\nWantedBy=multi-user.target\n")
    tree.link("/etc/systemd/system/multi-user.target.wants/token.service", "/etc/systemd/system/token.service")
    found = listed(tree.root, tmp_path)
    paths = {entry[0] for entry in found["entries"]}
    assert {"/opt/site/token-bind", "/etc/systemd/system/token.service"} <= paths
    assert not paths & {"/opt/site/secret-tool", "/opt/site/data.bin", "/srv/nas"}
    why = {one["path"]: one["why"] for one in found["missing"]}
    assert why["/opt/site/token-bind"] == "passwords, tokens or keys were taken out of it"
    assert why["/opt/site/secret-tool"] == "something that starts by itself reads it, and it may hold secrets"


@pytest.mark.parametrize("kernels", [("all", "9.9"), ("9.9",)])
def test_a_kernel_that_no_loader_starts_is_refused_beside_all_too(tmp_path: Path, kernels: tuple[str, ...]) -> None:
    tree = arch_unified(tmp_path / "root").tree
    unified(tree, ROOT)
    with pytest.raises(HostError, match=rf"^kernels: the boot loader starts no kernel 9\.9\. Allowed are next, all, and {ARCH}"):
        gather(str(tree.root), None, FilesRequest(str(tmp_path), kernels, 1 << 30))


V100 = "pci:v000010DEd00001DB1sv000010DEsd00001212bc03sc02i00"
BRIDGE = "pci:v00008086d00002030sv00008086sd00000000bc06sc04i00"


def described(root: Path, folder: Path, *devices: dict[str, str]) -> dict[str, t.Any]:
    gather(str(root), None, FilesRequest(str(folder), ("next",), 1 << 30, hardware=parse(devices)))
    found: dict[str, t.Any] = json.loads(gzip.decompress((folder / LIST).read_bytes()))
    return found


def test_described_devices_are_behind_ports_at_their_addresses(tmp_path: Path) -> None:
    tree = arch_unified(tmp_path / "root").tree
    unified(tree, ROOT)
    addresses = ("0000:3b:00.0", "0000:3c:00.0", "0000:00:1e.0", "ffff:00:00.0")
    devices = [{"address": address, "modalias": V100} for address in addresses[:3]]
    found = described(tree.root, tmp_path, *devices, {"modalias": V100}, {"address": "0000:00:05.0", "modalias": BRIDGE})
    paths = {one["address"]: one["path"] for one in found["functions"]}
    assert paths == {
        "0000:3b:00.0": "/devices/pci0000:00/0000:00:1d.0/0000:3b:00.0",
        "0000:3c:00.0": "/devices/pci0000:00/0000:00:1c.0/0000:3c:00.0",
        "0000:00:1e.0": "/devices/pci0000:00/0000:00:1e.0",
        "ffff:00:00.0": "/devices/pciffff:00/ffff:00:00.0",
        "0000:00:05.0": None,
        "0000:00:1d.0": "/devices/pci0000:00/0000:00:1d.0",
        "0000:00:1c.0": "/devices/pci0000:00/0000:00:1c.0",
    }
    buses = {one["address"]: bytes.fromhex(one["configuration"])[0x19] for one in found["functions"] if one["configuration"]}
    assert buses == {"0000:00:1d.0": 0x3B, "0000:00:1c.0": 0x3C}
    assert [one["address"] for one in found["forecast"]["devices"]] == sorted((*addresses, "0000:00:05.0"))


def test_a_root_without_devices_needs_their_description(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root")
    with pytest.raises(HostError, match=r"^root: .* has no /sys/bus/pci/devices"):
        listed(tree.root, tmp_path)


def test_more_than_the_limit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    tree = arch_unified(tmp_path / "root").tree
    unified(tree, ROOT)
    tree.file("/usr/bin/large", bytes(2 << 20))
    with pytest.raises(HostError, match=r"^size_limit: "):
        gather(str(tree.root), None, FilesRequest(str(tmp_path), ("next",), 1 << 20))
    assert not (tmp_path / LIST).exists()
