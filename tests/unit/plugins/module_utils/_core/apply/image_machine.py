# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose initramfs is built by a generator of the test's."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import ImageSync, sync_images
from ansible_collections.vfio.variants.plugins.module_utils._core.policy.policy import PolicyPaths, header, modules_line
from ansible_collections.vfio.variants.plugins.modules import initramfs
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import Link, archive, module, packed
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.images import Entry

OURS = PolicyPaths("gpus")
OPTIONS = header("gpus") + "options vfio-pci ids=10de:1db1\n"
RULES = header("gpus") + 'ACTION=="add", SUBSYSTEM=="pci", ATTR{driver_override}="vfio-pci"\n'
HOOK = "#!/bin/sh\n" + header("gpus") + modules_line(["vfio_pci"])
DRACUT = header("gpus") + modules_line(["vfio_pci"])
CORE, VFIO = "kernel/drivers/vfio/pci/vfio-pci-core.ko", "kernel/drivers/vfio/pci/vfio-pci.ko"


class Machine:
    """A host with one kernel, vfio-pci as a module, an image, and a generator that builds what the test says."""

    def __init__(
        self, root: Path, generator: str = "initramfs-tools", release: str = DEBIAN_13, image: str = "/boot/initrd.img-{}"
    ) -> None:
        self.tree = Tree(root).file("/etc/dpkg/dpkg.cfg")
        self.release, self.image = release, image.format(release)
        self.kernel(release)
        self.commands = Commands(root)
        self.generator(generator)

    def kernel(self, release: str) -> None:
        here = f"/lib/modules/{release}"
        self.tree.kernel(release, running=True)
        self.tree.file(f"{here}/modules.dep", f"{CORE}:\n{VFIO}: {CORE}\n")
        self.tree.file(f"{here}/{CORE}", module("core")).file(f"{here}/{VFIO}", module("vfio-pci"))

    def generator(self, name: str) -> None:
        """Its commands copy /to-build to the last argument but the release; they are real programs."""
        place = self.tree.place("/to-build")
        if name == "initramfs-tools":
            script = f'#!/bin/sh\n[ "$1 $3" = "-o $3" ] || exit 9\n[ -e {place} ] || {{ echo no disk; exit 3; }}\ncp {place} "$2"\n'
            self.tree.file("/usr/sbin/mkinitramfs", script, 0o755).file("/usr/sbin/update-initramfs", "#!/bin/sh\n", 0o755)
        else:
            script = (
                f'#!/bin/sh\n[ "$1 $2" = "--force --kver" ] || exit 9\n[ -e {place} ] || {{ echo no disk >&2; exit 3; }}\ncp {place} "$4"\n'
            )
            self.tree.file("/usr/bin/dracut", script, 0o755)

    def generator_hangs(self) -> None:
        """Its command writes a part of an image, and never ends."""
        for command, target in (("/usr/sbin/mkinitramfs", '"$2"'), ("/usr/bin/dracut", '"$4"')):
            if self.tree.place(command).exists():
                self.tree.file(command, f"#!/bin/sh\necho started\nprintf part > {target}\nexec sleep 60\n", 0o755)

    def content(self, **changed: Entry | None) -> bytes:
        """A right image for the policy below, but for what ``changed`` says of its parts."""
        parts: dict[str, tuple[str, Entry]] = {
            "lib": ("lib", Link("usr/lib")),
            "options": (OURS.modprobe.lstrip("/"), OPTIONS),
            "rules": ("usr/lib/udev/rules.d/70-gpus.rules", RULES),
            "core": (f"usr/lib/modules/{self.release}/{CORE}", module("core")),
            "vfio": (f"usr/lib/modules/{self.release}/{VFIO}", module("vfio-pci")),
            "other": ("etc/modprobe.d/other.conf", "blacklist pcspkr\n"),
        }
        chosen = {path: changed.get(part, entry) for part, (path, entry) in parts.items()}
        return packed(archive({path: entry for path, entry in chosen.items() if entry is not None}), "zstd")

    def has_image(self, content: bytes) -> Machine:
        self.tree.file(self.image, content)
        return self

    def will_build(self, content: bytes) -> Machine:
        self.tree.file("/to-build", content)
        return self

    def has_policy(self) -> Machine:
        self.tree.file(OURS.modprobe, OPTIONS).file(OURS.rules, RULES).file(OURS.hook, HOOK, 0o755).file(OURS.dracut, DRACUT)
        return self

    def sync(self, check_mode: bool = False, **options: t.Any) -> ImageSync:
        request = initramfs.request(options_of(initramfs.ARGUMENTS, **{"timeout": 60, **options}))
        return sync_images(self.tree.host(self.commands), request, check_mode)

    def reasons(self, **options: t.Any) -> tuple[str, ...]:
        return self.sync(check_mode=True, **options).plans[0].reasons

    @property
    def booted(self) -> bytes:
        return self.tree.place(self.image).read_bytes()

    @property
    def in_boot(self) -> list[str]:
        return sorted(path.name for path in self.tree.place(self.image).parent.iterdir() if path.name.startswith("init"))
