# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What determines an image, and its key."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.archive.recipe import Recipe
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image import esp
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.options import ImageOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.image.system import recipe_of

DEFAULTS: dict[str, t.Any] = {
    "suite": "trixie",
    "kernels": ["linux-image-amd64"],
    "packages": [],
    "components": ["main"],
    "initramfs": "initramfs-tools",
    "initramfs_modules": "most",
    "kernel_arguments": [],
    "nouveau_fixtures": True,
    "firmware": "bios",
    "size": "8G",
}
KEY = "ssh-ed25519 AAAA"
MIRROR = "http://mirror.example/debian"


def recipe(mirror: str = MIRROR, public_key: str = KEY, **changes: t.Any) -> Recipe:
    return recipe_of(ImageOptions.from_mapping({**DEFAULTS, **changes}, mirror), public_key)


def content(of: Recipe, path: str) -> str:
    return next(file.content for file in (*of.files_before_packages, *of.files_after_packages) if file.path == path)


@pytest.mark.parametrize(
    "changes",
    [
        {"suite": "bookworm"},
        {"suite": "trixie-backports"},
        {"kernels": ["linux-image-cloud-amd64"]},
        {"packages": ["less"]},
        {"components": ["main", "contrib"]},
        {"mirror": "http://other.example/debian"},
        {"initramfs": "dracut"},
        {"initramfs_modules": "dep"},
        {"kernel_arguments": ["iommu=pt"]},
        {"nouveau_fixtures": False},
        {"firmware": "uefi"},
        {"size": "9G"},
        {"public_key": "ssh-ed25519 BBBB"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_whatever_changes_the_content_changes_the_key(changes: dict[str, t.Any]) -> None:
    assert recipe(**changes).key([]) != recipe().key([])


def test_the_same_options_give_the_same_key() -> None:
    assert recipe().key([b"code"]) == recipe(kernels=["amd64"], mirror=MIRROR + "/", size="8192M").key([b"code"])


def test_the_code_that_writes_the_disk_is_part_of_the_key() -> None:
    assert recipe().key([b"one", b"two"]) != recipe().key([b"onet", b"wo"])


def test_each_kernel_comes_with_its_headers() -> None:
    packages = recipe(kernels=["amd64", "linux-image-6.12.48+deb13-cloud-amd64"]).packages
    assert {"linux-image-amd64", "linux-headers-amd64", "linux-headers-6.12.48+deb13-cloud-amd64"} <= set(packages)


def test_backports_give_the_kernel_and_nothing_else() -> None:
    made = recipe(suite="trixie-backports")
    assert [line.split()[3] for line in made.sources.splitlines()] == ["trixie", "trixie-backports"]
    assert content(made, "/etc/apt/preferences.d/testbed").startswith("Package: linux-*\nPin: release n=trixie-backports\n")


@pytest.mark.parametrize(("suite", "archives"), [("trixie", 1), ("trixie-backports", 2)])
def test_packages_come_from_the_components_that_are_asked_for(suite: str, archives: int) -> None:
    def asked(*components: str) -> list[list[str]]:
        return [line.split()[4:] for line in recipe(suite=suite, components=list(components)).sources.splitlines()]

    assert asked("main") == [["main"]] * archives
    assert asked("non-free", "main") == asked("main", "non-free") == [["main", "non-free"]] * archives


def test_other_suites_pin_nothing() -> None:
    assert not [file for file in recipe().files_before_packages if "preferences" in file.path]


@pytest.mark.parametrize(("suite", "expected"), [("bookworm", True), ("trixie", False), ("trixie-backports", False)])
def test_only_bookworms_nouveau_is_told_to_leave_the_security_processor_alone(suite: str, expected: bool) -> None:
    assert ("nouveau.config=sec2=0" in recipe(suite=suite).kernel_arguments) is expected
    assert "nouveau.config=sec2=0" not in recipe(suite=suite, nouveau_fixtures=False).kernel_arguments


def test_without_fixtures_there_is_no_firmware() -> None:
    assert [file for file in recipe().files_before_packages if "gv100" in file.path]
    assert not [file for file in recipe(nouveau_fixtures=False).files_before_packages if "gv100" in file.path]


def test_the_boot_loader_of_later_boots_gets_the_same_arguments_as_the_first() -> None:
    made = recipe(kernel_arguments=["iommu=pt"])
    assert f'GRUB_CMDLINE_LINUX="{" ".join(made.kernel_arguments)}"' in content(made, "/etc/default/grub")
    assert "iommu=pt" in made.kernel_arguments


def test_a_small_initramfs_is_built_by_list_here_and_by_need_in_the_guest() -> None:
    made = recipe(initramfs_modules="dep")
    modules = [file.content for file in (*made.files_before_packages, *made.files_after_packages) if file.path.endswith("conf.d/testbed")]
    assert modules == ["MODULES=list\nCOMPRESSLEVEL=1\n", "MODULES=dep\nCOMPRESSLEVEL=1\n"]


def test_dracut_takes_the_place_of_initramfs_tools() -> None:
    packages = recipe(initramfs="dracut").packages
    assert "dracut" in packages
    assert "initramfs-tools" not in packages


def test_the_packages_never_overwrite_the_key_that_opens_the_machine() -> None:
    assert content(recipe(), "/root/.ssh/authorized_keys") == KEY + "\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"suite": "Trixie; rm"}, "suite: 'Trixie; rm'"),
        ({"kernels": ["amd64,evil"]}, "kernels: 'linux-image-amd64,evil'"),
        ({"packages": ["$(reboot)"]}, "packages:"),
        ({"components": ["non-free"]}, "components: ['non-free']"),
        ({"components": []}, "components: []"),
        ({"size": "1G"}, "size: '1G'"),
        ({"size": "viel"}, "size: 'viel'"),
        ({"size": "2147483649"}, "size:"),
        ({"mirror": "mirror.example"}, "mirror:"),
    ],
)
def test_a_wrong_option_is_named(changes: dict[str, t.Any], message: str) -> None:
    with pytest.raises(HostError) as caught:
        recipe(**changes)
    assert message in str(caught.value)


def test_firmware_finds_shim_and_grub_on_a_partition_that_the_system_sees_too(tmp_path: Path) -> None:
    made = recipe(firmware="uefi")
    assert set(esp.PACKAGES) <= set(made.packages)
    assert not set(esp.PACKAGES) & set(recipe().packages)
    assert esp.FSTAB in content(made, "/etc/fstab")
    tree = tmp_path / "tree"
    for place in ("usr/lib/shim/shimx64.efi.signed", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"):
        (tree / place).parent.mkdir(parents=True)
        (tree / place).write_text(place)
    esp.lay_out(tmp_path / "esp", tree, "0f0f")
    assert "shim" in (tmp_path / "esp/EFI/BOOT/BOOTX64.EFI").read_text()
    assert "search.fs_uuid 0f0f root" in (tmp_path / "esp/EFI/debian/grub.cfg").read_text()
