# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a framebuffer that the firmware has left in a card's memory, and what helps on which kernel."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.initcalls import OF_NO_DRIVER
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.boot_display import OTHER_DRIVER, OWN_WORD, BootDisplay
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info
from ansible_collections.vfio.variants.tests.unit.policy_hosts import gpu_host
from ansible_collections.vfio.variants.tests.unit.sources import LINUX

if t.TYPE_CHECKING:
    from pathlib import Path

VGA, OTHER_DISPLAY = 0x030000, 0x038000
CONFIG = "CONFIG_SYSFB=y\nCONFIG_KALLSYMS=y\nCONFIG_DRM_SIMPLEDRM=y\nCONFIG_FB_EFI=y\n# CONFIG_FB_SIMPLE is not set\n"
BY_ITSELF = "VFIO removes it when it gets the card"
BLACKLIST = "`initcall_blacklist=sysfb_init` on the kernel's command line keeps it away"
OLD_PC = "CONFIG_X86=y\nCONFIG_KALLSYMS=y\nCONFIG_FB_VESA=y\n"
OFF_OPEN_FIRMWARE = "`video=offb:off` on the kernel's command line keeps it away"
WITHOUT_EFFECT = "`initcall_blacklist=sysfb_init` has no effect on this kernel"


@pytest.mark.parametrize(
    ("release", "config", "holder", "class_code", "helps"),
    [
        ("6.12.107+deb13-amd64", CONFIG, "BOOTFB", VGA, BY_ITSELF),
        ("6.0.1", CONFIG, "efifb", VGA, BY_ITSELF),
        ("5.14.0-427.el9.x86_64", CONFIG, "BOOTFB", VGA, BLACKLIST),
        ("6.12.107+deb13-amd64", CONFIG, "BOOTFB", OTHER_DISPLAY, BLACKLIST),
        ("6.12.107+deb13-amd64", CONFIG, "efifb", OTHER_DISPLAY, "`video=efifb:off` on the kernel's command line keeps it away"),
        ("5.14.0-427.el9.x86_64", CONFIG, "vesafb", VGA, BLACKLIST),
        ("6.12.1-arm64", CONFIG.replace("CONFIG_SYSFB=y\n", ""), "simpledrm", OTHER_DISPLAY, WITHOUT_EFFECT),
        ("6.12.1", CONFIG.replace("CONFIG_KALLSYMS=y\n", ""), "BOOTFB", OTHER_DISPLAY, WITHOUT_EFFECT),
        ("5.14.0", None, "BOOTFB", VGA, BLACKLIST),
        ("5.10.0-35-amd64", OLD_PC, "vesafb", VGA, BLACKLIST),
        ("5.10.0-35-amd64", OLD_PC, "BOOTFB", VGA, BLACKLIST),
        ("5.10.0-35-amd64", OLD_PC.replace("CONFIG_KALLSYMS=y\n", ""), "vesafb", VGA, WITHOUT_EFFECT),
        ("6.1.0-35-amd64", OLD_PC, "vesafb", OTHER_DISPLAY, WITHOUT_EFFECT),
        ("5.10.0-35-arm64", "CONFIG_KALLSYMS=y\n", "efifb", VGA, "`video=efifb:off` on the kernel's command line keeps it away"),
        ("6.16.1", f"{CONFIG}CONFIG_DRM_EFIDRM=m\n", "efifb", OTHER_DISPLAY, BLACKLIST),
        ("6.16.1", f"{CONFIG}CONFIG_DRM_EFIDRM=m\n", "efidrm", OTHER_DISPLAY, BLACKLIST),
        ("6.16.1", CONFIG, "vesadrm", OTHER_DISPLAY, BLACKLIST),
        ("6.12.1-arm64", CONFIG, "simple-framebuffer", OTHER_DISPLAY, WITHOUT_EFFECT),
        ("6.12.1-arm64", None, "simple-framebuffer", OTHER_DISPLAY, WITHOUT_EFFECT),
        ("5.10.1-arm64", None, "simplefb", VGA, WITHOUT_EFFECT),
        ("6.12.1-powerpc64le", "CONFIG_KALLSYMS=y\nCONFIG_FB_OF=y\n", "offb", OTHER_DISPLAY, OFF_OPEN_FIRMWARE),
        ("5.10.1-powerpc64le", None, "offb", VGA, OFF_OPEN_FIRMWARE),
        ("6.12.1-powerpc64le", "CONFIG_KALLSYMS=y\nCONFIG_DRM_OFDRM=m\n", "ofdrm", OTHER_DISPLAY, WITHOUT_EFFECT),
        ("6.12.1-powerpc64le", None, "ofdrm", OTHER_DISPLAY, WITHOUT_EFFECT),
        ("6.12.1-powerpc64le", "CONFIG_DRM_OFDRM=m\n", "offb", VGA, BY_ITSELF),
    ],
)
def test_what_helps_depends_on_the_kernel_the_holder_and_the_class(
    release: str, config: str | None, holder: str, class_code: int, helps: str
) -> None:
    said = BootDisplay.of(release, config).says(holder, class_code)
    assert said.startswith(f"reserved as {holder}; ")
    assert helps in said


def test_it_names_the_drivers_of_the_kernel_and_whether_they_are_built_in() -> None:
    said = BootDisplay.of("6.12.1", CONFIG.replace("CONFIG_DRM_SIMPLEDRM=y", "CONFIG_DRM_SIMPLEDRM=m")).says("BOOTFB", VGA)
    assert "kernel 6.12.1 has simpledrm (a module), efifb (built in); " in said


def test_the_function_that_is_kept_from_running_is_linuxs_own() -> None:
    assert "device_initcall(sysfb_init);" in LINUX.texts["excerpts/drivers/firmware/sysfb.c"]
    assert "sysfb_init" in OF_NO_DRIVER
    assert set(OWN_WORD) == set(OTHER_DRIVER) == {"efifb", "offb"}


def test_the_guard_of_a_claim_says_it(tmp_path: Path) -> None:
    tree = gpu_host(tmp_path).file("/sys/bus/pci/devices/0000:3b:00.0/resource", "0xd0000000 0xdfffffff 0x140204\n")
    tree.file("/proc/iomem", "d0000000-dfffffff : PCI Bus 0000:3b\n  d0000000-d07fffff : BOOTFB\n")
    tree.file("/boot/config-6.12.107+deb13-amd64", CONFIG)
    (device,) = claim_info(tree.host(), devices="0000:3b:00.0", kernels=["all"])["devices"]
    (guard,) = (guard for guard in device["guards"] if guard["guard"] == "console")
    assert (
        "(d0000000-d07fffff), is in its memory, reserved as BOOTFB; kernel 6.12.107+deb13-amd64 has simpledrm (built in)" in guard["what"]
    )


@pytest.mark.parametrize("holder", ["simpledrm", "efidrm", "vesadrm", "ofdrm", "offb", "simple-framebuffer"])
def test_each_driver_that_reserves_the_firmwares_framebuffer_is_seen(tmp_path: Path, holder: str) -> None:
    tree = gpu_host(tmp_path).file("/sys/bus/pci/devices/0000:3b:00.0/resource", "0xd0000000 0xdfffffff 0x140204\n")
    tree.file("/proc/iomem", f"d0000000-dfffffff : PCI Bus 0000:3b\n  d0000000-d07fffff : {holder}\n")
    (device,) = claim_info(tree.host(), devices="0000:3b:00.0", kernels=["all"])["devices"]
    assert [f"reserved as {holder}" in guard["what"] for guard in device["guards"] if guard["guard"] == "console"] == [True]
