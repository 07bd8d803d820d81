# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that belong to a file system, an array or a file which says so by a way round, and those beside them."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host import mounts
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host as RealHost
from ansible_collections.vfio.variants.tests.unit.lockout_by_names import cxl, local_nbd, words
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Host
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info

if t.TYPE_CHECKING:
    from pathlib import Path

MEMBER = "E:ID_FS_TYPE=linux_raid_member\nE:ID_FS_UUID=6d3c1a2b-1111-2222-3333-444455556666\n"


def findings(host: Host) -> list[tuple[str, str]]:
    (device,) = claim_info(host.tree.host(host.commands()), devices=CARD, driver="vfio-pci", kernels=["all"])["devices"]
    return [(found["guard"], found["what"]) for found in device["guards"]]


@pytest.mark.parametrize(("kind", "guard"), [("f2fs", "root"), ("ext4", "data_mounts")])
def test_a_disk_that_is_held_may_be_another_of_f2fs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, guard: str) -> None:
    """Of a file system of a single disk it is not."""
    host = Host(tmp_path).nvme_disk()
    host.tree.pci("0000:06:00.0", "8086:a282", class_code=0x010601, driver="ahci", group=6)
    host.disk("/sys/devices/pci0000:06/0000:06:00.0/ata1/host0/block", "sda", "8:0", "1").mounted("/", kind, "/dev/sda1", "8:1")
    monkeypatch.setattr(RealHost, "is_held", lambda _self, node, _number, _timeout: node == "/dev/nvme0n1")
    ((found, what),) = findings(host)
    assert (found, what.startswith("the kernel has /dev/nvme0n1 in use")) == (guard, True)


def test_overlays_of_many_folders_over_each_other_are_looked_at_in_bounded_time(tmp_path: Path) -> None:
    host = Host(tmp_path).nvme_disk()
    for number in range(3):
        host.mounted("/", "overlay", "overlay", f"0:{30 + number}", f"rw,lowerdir={':'.join(f'/layer{one}' for one in range(30))}")
    assert {guard for guard, _what in findings(host)} == {"root"}


@pytest.mark.parametrize("path", ["/etc/fstab", "/etc/crypttab", "/etc/veritytab"])
def test_a_table_that_is_longer_than_any_is_one_sentence(tmp_path: Path, path: str) -> None:
    host = Host(tmp_path).nvme_disk().file(path, "x /dev/sda1 /dev/sda2 none\n" * 20_001)
    with pytest.raises(HostError, match=rf"^{path} cannot be read: it has more than 20000 lines\.$"):
        findings(host)


@pytest.mark.parametrize("path", ["/etc/fstab", "/etc/crypttab", "/proc/swaps", "/proc/self/mountinfo"])
def test_what_is_named_behind_the_end_of_a_table_that_is_read_is_not_given_away(tmp_path: Path, path: str) -> None:
    host = Host(tmp_path).nvme_disk("p1").file(path, "#" * mounts.LARGEST + "\n/dev/nvme0n1p1 / ext4 defaults 0 1\n")
    with pytest.raises(HostError, match=rf"^{path} cannot be read: it has more than 16 MiB\.$"):
        findings(host)


def test_a_host_with_thousands_of_containers_is_read_to_the_end(tmp_path: Path) -> None:
    layers = ":".join(f"/var/lib/containerd/snapshots/{number}/fs" for number in range(25))
    line = f"99 1 0:99 / /run/pods/x rw - overlay overlay rw,lowerdir={layers}\n"
    host = Host(tmp_path).nvme_disk("p1").file("/proc/self/mountinfo", line * 5000).mounted("/srv", "ext4", "/dev/nvme0n1p1", "259:1")
    assert ("data_mounts", "/dev/nvme0n1p1 is mounted at /srv") in findings(host)


def test_each_part_of_an_array_has_its_name(tmp_path: Path) -> None:
    """The initramfs needs as many of them as it can get."""
    host = words(Host(tmp_path).nvme_disk("p1", udev=MEMBER), "rd.md.uuid=6d3c1a2b:11112222:33334444:55556666")
    host.file("/run/udev/data/b8:1", MEMBER)
    assert [guard for guard, _what in findings(host)] == ["root"]


def test_a_disk_of_a_controller_is_not_on_memory_of_cxl(tmp_path: Path) -> None:
    host = cxl(Host(tmp_path)).disk("/sys/devices/pci0000:07/x", "sda", "8:0", "1").mounted("/", "ext4", "/dev/sda1", "8:1")
    assert findings(host) == [("in_use", "memory of the host may be on it (CXL)")]


def test_a_file_on_another_disk_that_is_served_is_not_on_this(tmp_path: Path) -> None:
    host = local_nbd(Host(tmp_path))
    host.tree.place("/proc/812/fd/9").unlink()
    host.linked("/proc/812/fd/9", "/elsewhere/usr.qcow2")
    assert [guard for guard, _what in findings(host)] == ["data_mounts"]


@pytest.mark.parametrize("value", ["", "x", "0123", "g" * 64, "ab" * 15])
def test_a_sum_that_is_none_names_no_disk(tmp_path: Path, value: str) -> None:
    assert findings(words(Host(tmp_path).nvme_disk("p3"), f"roothash={value} usrhash={value} rd.md.uuid={value} rd.lvm.lv={value}")) == []


def test_a_sum_names_no_partition_where_the_disks_are_named(tmp_path: Path) -> None:
    host = words(
        Host(tmp_path).nvme_disk("p3").linked("/dev/disk/by-partuuid/00000000-0000-0000-0000-000000000000", "../../nvme0n1p3"),
        f"roothash={'0' * 64} systemd.verity_root_data=/dev/sdb1",
    )
    assert findings(host) == []
