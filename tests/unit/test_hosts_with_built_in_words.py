# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose kernel was built with a command line of its own, and whose shell reads `&>` in an install line in its own way.

The truth is in arch/x86/kernel/setup.c (setup_arch()), in drivers/of/fdt.c (early_init_dt_scan_chosen()), in dash(1) and in bash(1).
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.drawn_hosts import BOTH, CARD, CONF, NATIVE, NEITHER, NIC, SAME, Drawn, Truth, compare
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

if t.TYPE_CHECKING:
    from pathlib import Path

GRUB_CFG = "/boot/grub/grub.cfg"
CARDS = (CARD, SAME)
LINE = 'CONFIG_CMDLINE="module_blacklist=nouveau"\n'
BUILT_IN = f"CONFIG_CMDLINE_BOOL=y\n{LINE}"
EMBEDDED = "CONFIG_BOOT_CONFIG=y\nCONFIG_BOOT_CONFIG_EMBED=y\n"


def built(truth: Truth, words: str, config: str, open_: t.Sequence[str] = ()) -> Drawn:
    """A kernel of that configuration, whose entry gives it these words."""
    body = f"linux /boot/vmlinuz-{DEBIAN_13} root=/dev/sda1 ro {words}\ninitrd /boot/initrd.img-{DEBIAN_13}\n"
    return Drawn(truth, {GRUB_CFG: f"menuentry a {{\n{body}}}\n", f"/boot/config-{DEBIAN_13}": config}, open=open_)


HOSTS: dict[str, Drawn] = {
    "before the loader's": built(NEITHER, "quiet", BUILT_IN),
    "of which the loader's come last": built({**NATIVE, NIC: None}, "module_blacklist=e1000e", BUILT_IN),
    "in place of the loader's": built(NEITHER, "module_blacklist=e1000e", f"{BUILT_IN}CONFIG_CMDLINE_OVERRIDE=y\n"),
    "in place of the loader's on ARM": built(NEITHER, "module_blacklist=e1000e", f"{LINE}CONFIG_CMDLINE_FORCE=y\n"),
    "behind the loader's": built(NEITHER, "module_blacklist=e1000e", f"{LINE}CONFIG_CMDLINE_EXTEND=y\n"),
    "where the loader has none": built(NATIVE, "quiet", f"{LINE}CONFIG_CMDLINE_FROM_BOOTLOADER=y\n"),
    "none": built(NATIVE, "quiet", '# CONFIG_CMDLINE_BOOL is not set\nCONFIG_CMDLINE=""\n'),
    "a boot configuration": built(NATIVE, "bootconfig", EMBEDDED, (*CARDS, NIC)),
    "a boot configuration that is not asked for": built(NATIVE, "quiet", EMBEDDED),
    "a boot configuration that is always read": built(NATIVE, "quiet", f"{EMBEDDED}CONFIG_BOOT_CONFIG_FORCE=y\n", (*CARDS, NIC)),
}
IDS = "options vfio-pci ids=10de:1db1\n"
BESIDE = f"{IDS}install nouveau modprobe vfio-pci &>/dev/null; modprobe -i nouveau\n"
SHELLS: dict[str, Drawn] = {
    "a shell that is not known": Drawn(BOTH, {CONF: BESIDE}, open=CARDS),
    "dash, which goes on at once": Drawn(NATIVE, {CONF: BESIDE}, {"/bin/sh": "dash"}, open=CARDS),
    "bash": Drawn(BOTH, {CONF: BESIDE}, {"/bin/sh": "bash"}),
    "bash by an alternative": Drawn(BOTH, {CONF: BESIDE}, {"/bin/sh": "/etc/alternatives/sh", "/etc/alternatives/sh": "/usr/bin/bash"}),
    "a command that does nothing": Drawn(NEITHER, {CONF: "install nouveau /bin/false &>/dev/null\n"}, {"/bin/sh": "dash"}),
}


@pytest.mark.parametrize("name", HOSTS)
def test_words_that_a_kernel_was_built_with_count(tmp_path: Path, name: str) -> None:
    compare(HOSTS[name].tree(tmp_path), HOSTS[name].truth, HOSTS[name].open)


@pytest.mark.parametrize("name", SHELLS)
def test_an_install_line_is_what_its_shell_makes_of_it(tmp_path: Path, name: str) -> None:
    compare(SHELLS[name].tree(tmp_path), SHELLS[name].truth, SHELLS[name].open)


def test_the_reason_names_the_kernels_own_line(tmp_path: Path) -> None:
    tree = HOSTS["before the loader's"].tree(tmp_path)
    (card,) = device_info(tree.host(Commands(tree.root)), devices=CARD)["devices"]
    assert any("the kernel's own CONFIG_CMDLINE" in line for line in card["kernels"][DEBIAN_13]["because"])
