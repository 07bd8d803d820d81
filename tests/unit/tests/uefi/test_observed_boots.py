# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What UEFI firmware and loaders did in a guest: each boot is predicted from what the one before left behind."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.find_images import EXTENDED_RAMDISK_SIZE, RAMDISK_SIZE
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import firmware, next_boot
from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.initramfs.image import Image
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import efi_variables
from ansible_collections.vfio.variants.tests.uefi import observed_boots
from ansible_collections.vfio.variants.tests.uefi.observed_boots import PARAMETERS, SeenBoot
from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage, unified_image
from ansible_collections.vfio.variants.tests.unit.images import archive
from ansible_collections.vfio.variants.tests.unit.trees import Tree

OBSERVED = observed_boots.read()
BOOTS = OBSERVED.boots
PAIRS = list(itertools.pairwise(BOOTS))
LARGE = {".linux": bzimage(OBSERVED.release), ".initrd": archive({"loaded-base": ""})}


def tree_of(root: Path, boot: SeenBoot) -> Tree:
    """The host after this boot, with small files in the place of kernels and images."""
    tree = Tree(root).file("/boot/efi/linux", bzimage(OBSERVED.release)).running(OBSERVED.release).cmdline(boot.cmdline)
    for name in ("base", "more"):
        tree.file(f"/boot/efi/{name}.img", archive({f"loaded-{name}": ""}))
    for place, text in OBSERVED.texts.items():
        tree.file(f"/boot/efi/{place}", text)
    for place, sections in OBSERVED.programs.items():
        tree.file(f"/boot/efi/{place}", unified_image([(name, content or LARGE.get(name, b"")) for name, content in sections.items()]))
    for name, content in boot.variables.items():
        tree.file(f"/sys/firmware/efi/efivars/{name}", content)
    return tree


def host_of(root: Path, boot: SeenBoot) -> Host:
    return tree_of(root, boot).host()


def test_every_way_to_boot_was_seen() -> None:
    assert {boot.entry for boot in BOOTS} == {"first", "second", "unified", "stub", "grub"}
    assert len(BOOTS) == 10


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=[f"{number}-{after.entry}" for number, (_before, after) in enumerate(PAIRS, 1)])
def test_the_next_boot_is_the_one_that_came(before: SeenBoot, after: SeenBoot, tmp_path: Path) -> None:
    host = host_of(tmp_path, before)
    predicted = next_boot.read(host)
    assert (predicted.release, predicted.doubts) == (OBSERVED.release, ())
    entry = predicted.entries[OBSERVED.release]
    assert set(entry.cmdline.arguments) <= set(after.cmdline.split())
    image = Image.read(host, entry.initrds[0], OBSERVED.release, (), entry.initrds[1:])
    assert {name.removeprefix("loaded-") for name in image.names} == set(after.loaded)


@pytest.mark.parametrize("name", ["LoaderInfo", "StubInfo", "LoaderEntrySelected", "LoaderDevicePartUUID"])
def test_the_variables_of_loaders_are_read_as_they_were_written(name: str, tmp_path: Path) -> None:
    seen = [(number, boot) for number, boot in enumerate(BOOTS) if boot.variable(name) is not None]
    assert seen
    for number, boot in seen:
        value = boot.variable(name) or b""
        assert efi_variables.text(host_of(tmp_path / str(number), boot), name) == value.decode("utf-16-le").rstrip("\0")


def test_systemd_boots_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert set(efi_variables.texts(host_of(tmp_path, BOOTS[0]), "LoaderEntries")) >= {"first.conf", "second.conf", "unified.efi"}


@pytest.mark.parametrize(
    ("name", "vendor"),
    [*((name, efi_variables.LOADER) for name in ("LoaderInfo", "LoaderEntries", "StubInfo", "LoaderEntryDefault", "LoaderEntryOneShot"))]
    + [(name, efi_variables.GLOBAL) for name in ("BootOrder", "BootNext", "BootCurrent", "SecureBoot", "Boot0100")],
)
def test_each_variable_stands_under_the_vendor_that_is_looked_for(name: str, vendor: str) -> None:
    found = {key for boot in BOOTS for key in boot.variables if key.partition("-")[0] == name}
    assert found == {f"{name}-{vendor}"}


def test_the_firmware_took_the_option_that_was_chosen(tmp_path: Path) -> None:
    for number, (before, after) in enumerate(PAIRS):
        choice = firmware.next_choice(host_of(tmp_path / str(number), before))
        assert choice is not None
        (current,) = struct.unpack("<H", after.variable("BootCurrent") or b"")
        assert choice.option.name == f"Boot{current:04X}"


def test_the_partition_of_an_option_is_the_one_that_the_loader_was_started_from(tmp_path: Path) -> None:
    compared = 0
    for number, boot in enumerate(BOOTS):
        option = firmware.current(host_of(tmp_path / str(number), boot))
        loader = boot.variable("LoaderDevicePartUUID")
        if loader is not None and option is not None and option.partition:
            assert option.partition == loader.decode("utf-16-le").rstrip("\0").lower()
            compared += 1
    assert compared


def test_the_kernels_parameters_have_the_size_of_what_was_loaded() -> None:
    def size(boot: SeenBoot) -> int:
        extended, low = (
            struct.unpack_from("<I", boot.parameters, place - PARAMETERS.start)[0] for place in (EXTENDED_RAMDISK_SIZE, RAMDISK_SIZE)
        )
        return int(extended << 32 | low)

    sizes: dict[tuple[str, ...], set[int]] = {}
    for boot in BOOTS:
        if boot.entry != "unified":
            sizes.setdefault(boot.loaded, set()).add(size(boot))
    assert all(size(boot) > 0 for boot in BOOTS)
    assert min(sizes["base", "more"]) > max(sizes["base",])


def test_a_host_whose_partition_is_not_mounted_is_unknown_at_every_boot(tmp_path: Path) -> None:
    for number, boot in enumerate(BOOTS):
        tree = tree_of(tmp_path / str(number), boot)
        tree.place("/boot/efi").rename(tmp_path / f"gone-{number}")
        predicted = next_boot.read(tree.file("/boot/grub/grub.cfg", "menuentry x {\n}\n").host())
        assert predicted.release is None
        assert all(entry.doubts for entry in predicted.entries.values())
