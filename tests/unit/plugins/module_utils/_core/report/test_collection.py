# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is collected of a host for a bug report: enough for the host's own answer, and no secret."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.report.collection import TOP, Collection, collect
from ansible_collections.vfio.variants.plugins.modules.collect import refuse_no_file
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import archive, packed
from ansible_collections.vfio.variants.tests.unit.initramfs_files import initramfs_tools
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.policy_hosts import gpu_host
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

CARD = "0000:3b:00.0"
IMAGE = f"/boot/initrd.img-{DEBIAN_13}"
RULE = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{CARD}", ATTR{{driver_override}}="nvlink2gpu_vfio_pci"\n'
WANTS = "/etc/systemd/system/multi-user.target.wants"


def collected(tree: Tree) -> Collection:
    return collect(str(tree.root), Commands(tree.root))


def unpacked(found: Collection, folder: Path) -> Tree:
    with tarfile.open(fileobj=io.BytesIO(found.snapshot.data)) as packed_tree:
        # As an attribute, since Debian 12's Python 3.11.2 has no argument for it.
        packed_tree.extraction_filter = lambda member, _path: member
        packed_tree.extractall(folder)  # noqa: S202 - made by the test itself
    return Tree(folder / TOP)


def names(found: Collection) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(found.snapshot.data)) as packed_tree:
        return {name[len(TOP) :] for name in packed_tree.getnames()}


def with_policy(root: Path) -> Tree:
    tree = gpu_host(root).file("/etc/udev/rules.d/60-gpu.rules", RULE).file("/etc/modprobe.d/gpu.conf", "blacklist nouveau\n")
    return tree.file(IMAGE, packed(archive(initramfs_tools() | {"etc/modprobe.d/gpu.conf": "blacklist nouveau\n"}), "gzip"))


def test_the_answer_from_the_archive_is_the_hosts_own(tmp_path: Path) -> None:
    tree = with_policy(tmp_path / "host")
    found = collected(tree)
    assert (found.differences, found.snapshot.left_out) == ((), ())
    there = device_info(unpacked(found, tmp_path / "there").host())
    assert there == device_info(tree.host())
    assert any(device["address"] == CARD and device["kernels"][DEBIAN_13]["claimed"] for device in there["devices"])


def test_a_damaged_archive_is_noticed_by_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.vfio.variants.plugins.module_utils._core.report import redaction

    tree = with_policy(tmp_path)
    monkeypatch.setattr(redaction.Redactor, "text", lambda _self, text: text.replace("blacklist", "blocklist"))
    assert collected(tree).differences != ()


def test_nothing_is_collected_that_was_not_read(tmp_path: Path) -> None:
    tree = with_policy(tmp_path).file("/etc/shadow", "root:$6$abcdefgh$0123456789:::\n").file("/root/.ssh/id_ed25519", "a key")
    found = collected(tree)
    content = gzip.decompress(found.snapshot.data)
    assert (b"abcdefgh" in content, b"a key" in content) == (False, False)
    assert "/root/.ssh/id_ed25519" not in names(found)
    assert b"ATTR{driver_override}" in content


SECRETS = {
    "a password": ("DB_PASSWORD=%s", "hunter2-sesame"),
    "a quoted password": ('Environment="API_TOKEN=%s"', "tok-31415926535"),
    "an option": ("curl --password %s", "open-sesame-7"),
    "a name and a password in a URL": ("wget https://bob:%s@files.internal/x", "s3same!"),
    "an iSCSI password": ("netroot=iscsi:bob:%s@10.20.30.40::::iqn.2009-02", "iscsi-sesame"),
    "a hash": ("root:%s:19000:0", "$6$saltsalt$hGfTrEsIuYtReWqAsDfGhJkLzXcVbNm"),
    "a hash of GRUB": ("password_pbkdf2 root %s", "grub.pbkdf2.sha512.10000.ABCDEF0123456789"),
    "a bearer": ("-H 'Authorization: Bearer %s'", "abcdef0123456789"),
    "a key of a cloud": ("export KEY=%s", "AKIAIOSFODNN7EXAMPLE"),
    "a token of a forge": ("git clone with %s", "ghp_0123456789abcdefghijABCDEFGHIJ"),
    "a private key": ("PrivateKey = %s", "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="),
    "a public key": ("ssh-ed25519 %s", "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"),
    "a hardware address": ('ATTR{address}=="%s"', "3c:ec:ef:12:34:56"),
    "an IPv4 address": ("ip=%s::10.20.30.1", "172.20.30.40"),
    "an IPv6 address": ("ping6 %s", "fd12:3456:789a::77"),
    "a serial number": ('ENV{ID_SERIAL_SHORT}=="%s"', "S3YZNB0K123456"),
    "a world wide name": ('ENV{ID_WWN}=="%s"', "0x5000c500a1b2c3d4"),
    "a credential": ("systemd.set_credential=passwd.plaintext-password.root:%s", "credential-sesame"),
    "the host's name": ("ssh %s reboot", "gpu-node-17"),
}


def test_every_secret_in_any_text_is_taken_out_and_the_answer_stays(tmp_path: Path) -> None:
    lines = "".join(f"# {template % secret}\n" for template, secret in SECRETS.values())
    tree = with_policy(tmp_path / "host").file("/etc/hostname", "gpu-node-17.example.org\n")
    tree.file("/etc/modprobe.d/site.conf", f"{lines}blacklist nouveau\n").file("/etc/udev/rules.d/61-site.rules", f"{lines}{RULE}")
    tree.file("/usr/local/sbin/site", f"#!/bin/sh\n{lines}echo {CARD} > /sys/bus/pci/drivers/nouveau/unbind\n", 0o755)
    unit = f"[Service]\nExecStart=/usr/local/sbin/site\n{lines}[Install]\nWantedBy=multi-user.target\n"
    tree.file("/etc/systemd/system/site.service", unit).link(f"{WANTS}/site.service", "../site.service")
    entries = initramfs_tools() | {"etc/modprobe.d/site.conf": lines, "scripts/local-top/site": f"#!/bin/sh\n{lines}"}
    tree.file(IMAGE, packed(archive(entries | {"etc/dropbear/key": lines, "cryptroot/keyfiles/root.key": f"x\n{lines}"}), "gzip"))
    found = collected(tree)
    assert {"/etc/modprobe.d/site.conf", "/etc/udev/rules.d/61-site.rules", "/usr/local/sbin/site", IMAGE} <= names(found)
    content = gzip.decompress(found.snapshot.data)
    assert [kind for kind, (_template, secret) in SECRETS.items() if secret.encode() in content] == []
    assert found.differences == ()


def test_a_private_key_of_several_lines_is_taken_out(tmp_path: Path) -> None:
    body = "MC4CAQAwBQYDK2VwBCIEIGhsTnY4dGJuNTUyMnF3ZXJ0eXVpb3Bhc2Rm"
    key = f"-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    tree = with_policy(tmp_path).file("/etc/modprobe.d/key.conf", "".join(f"{line}\n" for line in key.splitlines()))
    assert body.encode() not in gzip.decompress(collected(tree).snapshot.data)


def test_the_same_address_has_the_same_replacement_everywhere_and_pci_addresses_stay(tmp_path: Path) -> None:
    mac = "3c:ec:ef:12:34:56"
    tree = with_policy(tmp_path / "host").file("/etc/udev/rules.d/61-a.rules", f"# {mac} {CARD} 00:11:22:33:44:55\n")
    tree.file("/etc/modprobe.d/a.conf", f"# {mac.upper()} {CARD} 10de:1db1\n")
    there = unpacked(collected(tree), tmp_path / "there")
    first, second = (there.place(path).read_text().split() for path in ("/etc/udev/rules.d/61-a.rules", "/etc/modprobe.d/a.conf"))
    assert first[1] == second[1] != mac
    assert first[3] != first[1]
    assert (first[2], second[2:]) == (CARD, [CARD, "10de:1db1"])


def test_pipes_and_directories_in_place_of_files_are_collected_in_bounded_time(tmp_path: Path) -> None:
    tree = with_policy(tmp_path).directory("/etc/udev/rules.d/90-folder.rules")
    os.mkfifo(tree.place("/etc/udev/rules.d/91-pipe.rules"))
    os.mkfifo(tree.place("/etc/modprobe.d/pipe.txt"))
    assert collected(tree).differences == ()


def test_a_huge_file_is_left_out_and_named(tmp_path: Path) -> None:
    tree = with_policy(tmp_path)
    with tree.place(IMAGE).open("r+b") as file:
        file.truncate(300 << 20)
    found = collected(tree)
    assert [(one.path, one.why) for one in found.snapshot.left_out] == [(IMAGE, "it has more than 256 MiB")]


def test_an_image_of_another_program_keeps_its_links_and_its_modules(tmp_path: Path) -> None:
    tree = with_policy(tmp_path / "host")
    tree.file(IMAGE, packed(archive(initramfs_tools()), "zstd"))
    found = collected(tree)
    assert found.differences == ()
    before = tree.place(IMAGE).stat().st_mtime
    assert unpacked(found, tmp_path / "there").place(IMAGE).stat().st_mtime == pytest.approx(before, abs=1e-3)


def test_a_root_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="is not a directory"):
        collect(str(tmp_path / "missing"), None)


@pytest.mark.parametrize(
    ("dest", "says"),
    [("there", "there is a directory. Name the archive's file in it."), ("missing/host.tar.gz", "missing is not a directory. Create it, ")],
)
def test_an_archive_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path: Path, dest: str, says: str) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(HostError, match=rf"^dest: {re.escape(f'{tmp_path}/{says}')}"):
        refuse_no_file(Host(), str(tmp_path / dest))
    refuse_no_file(Host(), str(tmp_path / "there/host.tar.gz"))
    refuse_no_file(Host(), "host.tar.gz")


def test_the_host_and_this_machine_are_left_as_they_were(tmp_path: Path) -> None:
    tree = with_policy(tmp_path / "host")
    before = sorted((str(path), path.lstat().st_mtime_ns) for path in tree.root.rglob("*"))
    shutil.copytree(tree.root, tmp_path / "copy", symlinks=True)
    collected(tree)
    assert sorted((str(path), path.lstat().st_mtime_ns) for path in tree.root.rglob("*")) == before
    assert Host(str(tree.root)).exists(IMAGE)
