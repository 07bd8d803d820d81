# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host on which the role vfio_host has done everything: a run has nothing left to do."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.report.role_options import REQUEST
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_host import record
from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest
from ansible_collections.vfio.variants.tests.unit import boot_menus
from ansible_collections.vfio.variants.tests.unit.images import archive, packed
from ansible_collections.vfio.variants.tests.unit.initramfs_files import initramfs_tools
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.policy_hosts import ALL, VARIANT, kernel, run
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_12, DEBIAN_13, V100_VARIANT, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.tests.unit.images import Entry

CLAIM = {"devices": "10de:1db1"}
CARD, OTHER_CARD = "0000:3b:00.0", "0000:5e:00.0"
DRIVER = VARIANT
KEY = "5" * 64


def converged(root: Path, claim: dict[str, t.Any] | None = None, other: str = DRIVER) -> Tree:
    """Two V100 that are bound to the variant of two kernels, whose images contain the policy, and a network card.

    With ``other`` as the driver of the second V100, which ``claim`` leaves alone, it has not been claimed.
    """
    tree = kernel(Tree(root))
    kernel(tree, DEBIAN_12, running=False)
    tree.directory("/etc/initramfs-tools/hooks").file("/usr/sbin/mkinitramfs", "#!/bin/sh\n", mode=0o755)
    tree.directory("/etc/modprobe.d").file("/boot/grub/grub.cfg", boot_menus.debian_grub((DEBIAN_13, DEBIAN_12)))
    tree.file("/etc/modprobe.d/site.conf", "options e1000e debug=1\n").file("/var/lib/dpkg/status", "Package: kmod\nVersion: 34\n")
    tree.module(VARIANT, drivers=[DRIVER])
    for group, (address, driver) in enumerate(((CARD, DRIVER), (OTHER_CARD, other)), 7):
        tree.pci(address, driver=driver, override=driver if driver == DRIVER else None, group=group)
    tree.pci("0000:02:00.0", "8086:10d3", class_code=0x020000, driver="e1000e", group=9)
    run(tree, claim or CLAIM)
    for release in (DEBIAN_13, DEBIAN_12):
        tree.file(f"/boot/initrd.img-{release}", image(tree, release))
    return tree


def image(tree: Tree, release: str) -> bytes:
    """The initramfs as its hook makes it: the policy's files, and the modules that they name."""
    entries: dict[str, Entry] = dict(initramfs_tools({VARIANT: [V100_VARIANT], "vfio-pci": [ANY_VFIO]}, release=release))
    for path in ALL:
        place = tree.place(path)
        if place.exists() and "initramfs-tools" not in path:
            inside = path.replace("/etc/udev", "/usr/lib/udev") if "/udev/" in path else path
            entries[inside.lstrip("/")] = place.read_bytes()
    for file in sorted(tree.place(f"/lib/modules/{release}").rglob("*.ko")):
        inside = f"usr/lib/modules/{release}/kernel/drivers/{file.name}"
        if inside in entries:
            entries[inside] = file.read_bytes()
    return packed(archive(entries), "gzip")


def request(*claims: dict[str, t.Any], **options: t.Any) -> WholeRequest:
    given = options_of(REQUEST, claims=list(claims or (CLAIM,)), drivers=False, **options)
    return WholeRequest(
        claims=tuple(given["claims"]),
        kernels=tuple(given["kernels"]),
        live=given["live"],
        check_winner=given["check_winner"],
    )


def recorded(tree: Tree, *claims: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    """What `unchanged_record` returns."""
    return record(tree.host(), request(*claims, **options), KEY, check_mode=False, settled=0)
