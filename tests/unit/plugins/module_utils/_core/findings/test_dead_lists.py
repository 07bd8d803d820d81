# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of modules to load at boot: what is gone, what never was, and what comes too late."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.module_utils._core.findings.policy_files import PolicyFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.forecast.facts import INITRAMFS, Coldplug, Listed
from ansible_collections.vfio.variants.tests.unit.boots import STOCK, boot, device, load_list, stage
from ansible_collections.vfio.variants.tests.unit.judged import kinds, sentence
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_12

V100 = device("0000:3b:00.0", driver="nouveau")
OLD = {**STOCK, "vfio_virqfd": []}
IDS = "options vfio-pci ids=10de:1db1\n"


def told(*names: str) -> PolicyFiles:
    listed = tuple(Listed(name, f"/etc/initramfs-tools/modules:{number}") for number, name in enumerate(names, 1))
    return PolicyFiles(for_image=listed)


def test_vfio_virqfd_is_stale_where_a_kernel_has_it_no_more() -> None:
    said = sentence("stale-module", boot(load=["vfio", "vfio_virqfd"], modules={**STOCK, "vfio": []}))
    assert said.startswith("/etc/modules:2 names vfio_virqfd")
    assert "Linux 6.2" in said
    assert kinds(boot(), files=told("vfio-virqfd")) == ["stale-module"]
    assert kinds(boot(modprobe="softdep nouveau pre: vfio_virqfd")) == ["stale-module"]


def test_vfio_virqfd_is_fine_where_the_only_kernel_has_it() -> None:
    assert kinds(boot(load=["vfio_virqfd"], modules=OLD, release=DEBIAN_12)) == []


def test_an_older_kernel_that_has_it_does_not_excuse_the_newer_one() -> None:
    assert kinds(boot(modules=OLD, release=DEBIAN_12), boot(), files=told("vfio_virqfd")) == ["stale-module"]


def test_a_listed_name_that_nobody_has_is_told() -> None:
    assert "Did you mean vfio_pci?" in sentence("unknown-listed-module", boot(load=["vfio-pcie"]))
    assert kinds(boot(), files=told("nouvaeu")) == ["unknown-listed-module"]


def test_listed_modules_aliases_and_what_a_package_lists_are_fine() -> None:
    assert kinds(boot(load=["vfio-pci", "e1000e"]), files=told("vfio-pci")) == []
    assert kinds(boot(load=["crc32c"]), files=PolicyFiles(synonyms={"crc32c": frozenset({"crc32c_generic"})})) == []
    packaged = load_list("systemd-modules-load", "fwupd-msr", source="/usr/lib/modules-load.d/fwupd.conf")
    assert kinds(boot(stage(steps=((packaged, Coldplug()),)))) == []


def test_vfio_pci_in_initramfs_tools_modules_comes_after_the_native() -> None:
    image = stage(INITRAMFS, modprobe=IDS, load=["vfio-pci"])
    said = sentence("listed-too-late", boot(image, stage(modprobe=IDS)), devices=[V100])
    assert "conf/modules:1 loads vfio-pci after udev has loaded nouveau" in said
    assert "softdep nouveau pre: vfio-pci" in said


def test_vfio_pci_in_the_image_is_fine_where_nothing_comes_before_it() -> None:
    without_native = {name: aliases for name, aliases in STOCK.items() if name != "nouveau"}
    for image in (
        stage(INITRAMFS, modprobe=IDS, load=["vfio-pci"], modules=without_native),
        stage(INITRAMFS, modprobe=IDS + "blacklist nouveau\n", load=["vfio-pci"]),
        stage(INITRAMFS, modprobe=IDS + "softdep nouveau pre: vfio-pci\n", load=["vfio-pci"]),
        stage(INITRAMFS, modprobe=IDS, steps=((load_list("rd.driver.pre", "vfio-pci"),), (Coldplug(),))),
    ):
        assert "listed-too-late" not in kinds(boot(image, stage(modprobe=IDS)), devices=[V100])


def test_vfio_pci_without_a_device_of_its_own_is_too_late_for_nobody() -> None:
    assert kinds(boot(stage(INITRAMFS, load=["vfio-pci"]), stage()), devices=[V100]) == []
