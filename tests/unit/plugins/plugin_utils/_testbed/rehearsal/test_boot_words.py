# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rehearsed kernel is given: the host's arguments, without those that name its storage, network and consoles."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.boot_words import (
    about_uefi,
    enforcement,
    iommu_of,
    kernel_arguments,
    storage_of,
)
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.rehearsal.trace import parse


def test_what_decides_about_drivers_stays_and_what_names_storage_goes() -> None:
    given = ["root=UUID=1", "ro", "intel_iommu=on", "vfio-pci.ids=10de:1db1", "rd.lvm.lv=vg/root", "hugepages=900", "console=tty0", "quiet"]
    kept, removed = kernel_arguments(given)
    assert kept[:4] == ("ro", "intel_iommu=on", "vfio-pci.ids=10de:1db1", "quiet")
    assert removed == ("root=UUID=1", "rd.lvm.lv=vg/root", "hugepages=900", "console=tty0")
    assert "root=LABEL=rehearsal" in kept


def test_what_is_for_init_stays_behind_the_kernels_own() -> None:
    kept, removed = kernel_arguments(["ro", "--", "root=mine"])
    assert kept[-2:] == ("--", "root=mine")
    assert removed == ()


def test_arguments_that_the_kernel_would_not_read_to_their_end_are_refused() -> None:
    free = 2047 - len(" ".join(kernel_arguments(["x"])[0])) + 1
    assert kernel_arguments(["x" * free])[0][0] == "x" * free
    with pytest.raises(HostError, match="have 2048 characters, of which it reads 2047"):
        kernel_arguments(["x" * (free + 1)])


def test_the_kernel_is_told_to_trace_offers() -> None:
    kept, _removed = kernel_arguments([])
    (word,) = [one for one in kept if one.startswith("kprobe_event=")]
    assert "p:offered,really_probe," in word
    assert " " not in word


def test_the_iommu_is_that_of_the_processors_vendor() -> None:
    assert iommu_of("vendor_id\t: AuthenticAMD\n") == "amd"
    assert iommu_of("vendor_id\t: GenuineIntel\n") == "intel"


def test_unsigned_modules_are_refused_where_the_host_refuses_them() -> None:
    words, said = enforcement({"enforced_by": "Secure Boot", "signed_here": [], "lockdown": None}, 0)
    assert words == ("module.sig_enforce=1",)
    assert "Secure Boot" in said[0]
    kept, _removed = kernel_arguments(["ro", "--", "single"], words)
    assert kept[-3:] == ("module.sig_enforce=1", "--", "single")


@pytest.mark.parametrize(("level", "lines"), [("integrity", 1), ("confidentiality", 2)])
def test_the_kernel_locks_itself_down_as_on_the_host_as_far_as_it_can_be_traced(level: str, lines: int) -> None:
    words, said = enforcement({"enforced_by": "Secure Boot", "signed_here": [], "lockdown": level}, 0)
    assert words == ("module.sig_enforce=1", "lockdown=integrity")
    assert len(said) == lines
    kept, removed = kernel_arguments(["lockdown=integrity", f"lockdown={level}"])
    assert (kept[:2], len(removed)) == (("lockdown=integrity", "lockdown=integrity"), lines - 1)


def test_what_the_host_accepts_by_its_own_keys_is_not_refused_and_that_is_said() -> None:
    words, said = enforcement({"enforced_by": "Secure Boot", "signed_here": ["nvidia", "zfs"], "lockdown": "integrity"}, 0)
    assert words == ()
    assert "unsigned modules load" in said[0]
    assert "nvidia, zfs are signed with keys of the host" in said[0]


def test_it_is_refused_by_secure_boot_where_the_machine_has_the_hosts_keys() -> None:
    words, said = enforcement({"enforced_by": "Secure Boot", "signed_here": ["nvidia"], "lockdown": "integrity"}, 3)
    assert words == ("module.sig_enforce=1", "lockdown=integrity")
    assert said[0].startswith("Secure Boot is on: the 3 keys of the host's firmware")
    assert enforcement({"enforced_by": None, "signed_here": [], "lockdown": None}, 3) == ((), said[:1])


def test_nothing_is_said_where_unsigned_modules_load() -> None:
    assert enforcement({"enforced_by": None, "signed_here": [], "lockdown": None}, 0) == ((), ())


VIRTIO = {"address": "0000:00:08.0", "vendor": 0x1AF4, "class": 0x00FF00}
DISK = {"address": "0000:18:00.0", "vendor": 0x8086, "class": 0x010601}


@pytest.mark.parametrize(
    ("known", "functions", "disk", "named"),
    [
        (("virtio_blk", "ahci"), (), "virtio_blk", []),
        (("virtio_blk", "ahci"), (VIRTIO,), "ahci", []),
        (("virtio_blk", "ahci"), (VIRTIO, DISK), "virtio_blk", ["0000:00:08.0"]),
        (("ahci",), (VIRTIO, DISK), "ahci", ["0000:18:00.0"]),
    ],
)
def test_the_disk_is_one_whose_driver_nothing_of_the_host_has_or_the_result_says_what_has(
    known: tuple[str, ...], functions: tuple[dict[str, t.Any], ...], disk: str, named: list[str]
) -> None:
    chosen, said = storage_of(known, functions)
    assert (chosen, [line.partition(" could have the driver")[0] for line in said]) == (disk, named)


@pytest.mark.parametrize(
    ("folders", "by_shim", "said"),
    [
        ("acpi\n@rehearsal firmware efi\n", False, "starts the kernel"),
        ("acpi\n@rehearsal firmware efi\n", True, "starts the host's shim"),
        ("acpi\n", False, "has no UEFI"),
    ],
)
def test_that_the_machine_has_uefi_is_what_its_kernel_says(folders: str, by_shim: bool, said: str) -> None:
    (line,) = about_uefi([parse(f"@rehearsal firmware {folders}@rehearsal end\n")], by_shim=by_shim)
    assert said in line
