# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot by systemd-boot, with the entry and the copies that kernel-install has made."""

from __future__ import annotations

import typing as t


def test_the_entry_of_the_kernel_was_chosen(host: t.Any, variable: t.Callable[[str], str]) -> None:
    assert variable("LoaderInfo").startswith("systemd-boot ")
    entry = f"{host.check_output('cat /etc/machine-id')}-{host.check_output('uname -r')}.conf"
    assert (variable("LoaderEntrySelected"), variable("StubInfo")) == (entry, "")


def test_what_boots_is_a_copy_of_the_generators_image(host: t.Any) -> None:
    host.check_output("cmp /boot/initrd.img-$(uname -r) /boot/efi/$(cat /etc/machine-id)/$(uname -r)/initrd.img-$(uname -r)")


def test_the_kernel_was_given_what_kernel_install_reads(host: t.Any) -> None:
    wanted = host.check_output("cat /etc/kernel/cmdline").split()
    given = host.check_output("cat /proc/cmdline").split()
    assert [word for word in given if word in wanted] == wanted
