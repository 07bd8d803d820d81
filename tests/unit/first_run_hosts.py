# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host before the first run of the role vfio_host, whose kernel and generator of images answer."""

from __future__ import annotations

import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_run import Manner, carry_out
from ansible_collections.vfio.variants.tests.unit import boot_menus
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.converged_hosts import CARD, DRIVER, KEY, OTHER_CARD, converged, image, request
from ansible_collections.vfio.variants.tests.unit.images import archive, packed
from ansible_collections.vfio.variants.tests.unit.initramfs_files import initramfs_tools
from ansible_collections.vfio.variants.tests.unit.plugins.module_utils._core.apply.model_kernel import ModelKernel
from ansible_collections.vfio.variants.tests.unit.policy_hosts import VARIANT, kernel
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_12, DEBIAN_13, NVIDIA_DISPLAY, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.report.whole_request import WholeRequest

NIC = "0000:02:00.0"
GENERATOR = '#!/bin/sh\n[ -e {place}-$3 ] || {{ echo no disk; exit 3; }}\nexec cp {place}-$3 "$2"\n'


class FirstRunHost(ModelKernel):
    """Two V100 with nouveau and a network card; mkinitramfs builds what the policy for both V100 asks for."""

    def __init__(self, root: Path) -> None:
        tree = kernel(Tree(root / "host"))
        kernel(tree, DEBIAN_12, running=False)
        natives = {CARD: "nouveau", OTHER_CARD: "nouveau", NIC: "e1000e"}
        super().__init__(tree, natives, {VARIANT: [DRIVER], "vfio_pci": ["vfio-pci"], "vfio-pci": ["vfio-pci"], "nouveau": ["nouveau"]})
        self.programs = Commands(tree.root)
        tree.directory("/etc/initramfs-tools/hooks").directory("/etc/modprobe.d")
        tree.file("/usr/sbin/mkinitramfs", GENERATOR.format(place=tree.place("/to-build")), mode=0o755)
        tree.file("/usr/sbin/update-initramfs", "#!/bin/sh\n", mode=0o755)
        tree.file("/boot/grub/grub.cfg", boot_menus.debian_grub((DEBIAN_13, DEBIAN_12)))
        tree.file("/etc/modprobe.d/site.conf", "options e1000e debug=1\n")
        tree.file("/var/lib/dpkg/status", "Package: kmod\nVersion: 34\n")
        for group, address in enumerate((CARD, OTHER_CARD), 7):
            tree.pci(address, driver="nouveau", group=group)
        tree.pci(NIC, "8086:10d3", class_code=0x020000, driver="e1000e", group=9)
        done = converged(root / "done")
        for release in (DEBIAN_13, DEBIAN_12):
            before = initramfs_tools({"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO]}, release=release)
            tree.file(f"/boot/initrd.img-{release}", packed(archive(before), "gzip"))
            tree.file(f"/to-build-{release}", image(done, release))

    def _run(self, args: list[str], **options: t.Any) -> tuple[int, str, str]:
        if any(word.endswith("modprobe") for word in args[:4]):
            return super()._run(args, **options)
        self.log.append(" ".join(args[3:] if args[0].endswith("timeout") else args))
        given = {"data": None, "binary_data": False, "environ_update": None, **options}
        return self.programs(args, data=given["data"], binary_data=given["binary_data"], environ_update=given["environ_update"])

    def will_build_what_is_there(self) -> None:
        """As after the policy is gone."""
        for release in (DEBIAN_13, DEBIAN_12):
            before = initramfs_tools({"nouveau": [NVIDIA_DISPLAY], "vfio-pci": [ANY_VFIO]}, release=release)
            self.tree.file(f"/to-build-{release}", packed(archive(before), "gzip"))

    def run_role(self, wanted: WholeRequest | None = None, check_mode: bool = False, **manner: t.Any) -> dict[str, t.Any]:
        """What `host_claims` returns."""
        return carry_out(self, wanted or request(), Manner(check_mode, **{"key": KEY, "settled": 0, **manner}))

    @property
    def files(self) -> dict[str, bytes]:
        """What is on the disk, but for the lock."""
        found = (path for folder in ("etc", "boot", "var") for path in sorted(self.tree.place(f"/{folder}").rglob("*")))
        return {str(path): path.read_bytes() for path in found if path.is_file()}
