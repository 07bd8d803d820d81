# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.kernel_words import influences
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence


def noticed(words: str, running: str = "", modprobe: str = "") -> tuple[Influence, ...]:
    cmdline = Cmdline.parse(words)
    config = ModprobeConfig.parse(modprobe, "/etc/modprobe.d/xen.conf").with_cmdline(cmdline, "/boot/grub/grub.cfg:3")
    return influences(cmdline, "/boot/grub/grub.cfg:3", Cmdline.parse(running), config)


def test_words_that_give_devices_other_addresses_are_noticed_unless_the_running_kernel_has_them() -> None:
    (found,) = noticed("pci=nomsi,assign-busses")
    assert (found.source, found.addresses) == ("/boot/grub/grub.cfg:3", None)
    assert "pci=assign-busses" in found.fact
    assert noticed("pci=assign-busses", running="pci=assign-busses,nomsi") == ()
    assert noticed("pci=nomsi,noaer -- pci=assign-busses") == ()


def test_devices_that_xen_hides_may_be_pciback_s() -> None:
    (found,) = noticed("xen-pciback.hide=(01:00.0)(0000:02:1f.*)")
    assert found.addresses == frozenset({"0000:01:00.0", *(f"0000:02:1f.{number}" for number in range(8))})
    assert (found.acts, found.drivers) == (frozenset({"bind"}), frozenset({"pciback"}))
    (given,) = noticed("", modprobe="options xen-pciback hide=(3b:00.1)\n")
    assert (given.source, given.addresses) == ("/etc/modprobe.d/xen.conf:1", frozenset({"0000:3b:00.1"}))
