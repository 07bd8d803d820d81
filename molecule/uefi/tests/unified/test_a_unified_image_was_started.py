# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot by systemd-boot, with the unified kernel image that ukify has made."""

from __future__ import annotations

import typing as t

IMAGE = "/boot/efi/EFI/Linux/$(cat /etc/machine-id)-$(uname -r).efi"


def test_the_image_of_the_kernel_was_chosen(host: t.Any, variable: t.Callable[[str], str]) -> None:
    assert variable("LoaderInfo").startswith("systemd-boot ")
    assert variable("StubInfo").startswith("systemd-stub ")
    assert variable("LoaderEntrySelected") == host.check_output(f"basename {IMAGE}")


def test_it_was_made_of_the_generators_image(host: t.Any) -> None:
    host.check_output(f"objcopy -O binary --only-section=.initrd {IMAGE} /run/initrd && cmp /run/initrd /boot/initrd.img-$(uname -r)")


def test_the_kernel_was_given_what_ukify_reads(host: t.Any) -> None:
    wanted = host.check_output("cat /etc/kernel/cmdline").split()
    given = host.check_output("cat /proc/cmdline").split()
    assert [word for word in given if word in wanted] == wanted
