# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as public guides and reports of passthrough describe them, whose claims the role carries out or refuses.

Each is a root tree with a small program in the place of mkinitramfs, which the role runs in it.  Like the real one it packs the
configuration of the tree and its list of modules; it runs with the shell and cpio of this machine.
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.tests.unit import images, initramfs_files
from ansible_collections.vfio.variants.tests.unit.test_reported_hosts import (
    GPU,
    HOST_GPU,
    HOST_SOUND,
    IDS,
    IMAGE,
    MODULES,
    NVIDIA,
    SITE,
    SOFTDEPS,
    SOUND,
    USUAL,
    debian,
    grub,
    host,
)
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

CARD: t.Mapping[str, t.Any] = {"devices": [GPU, SOUND], "driver": "vfio-pci"}
GENERATOR = """\
#!/bin/sh
# mkinitramfs -o IMAGE RELEASE, or dracut --force --kver RELEASE IMAGE --no-hostonly --no-hostonly-cmdline
set -e
while [ $# -gt 0 ]; do
  case $1 in
    -o) image=$2; shift ;;
    --kver) shift ;;
    -*) ;;
    *) : "${image:=$1}" ;;
  esac
  shift
done
cd /
{
  cat /usr/share/image-without-configuration
  for file in etc/modprobe.d/*.conf usr/lib/modprobe.d/*.conf; do
    if [ -e "$file" ]; then echo "$file"; fi
  done | cpio --quiet -o -H newc
  cd /usr/share/made
  if [ -e /etc/initramfs-tools/modules ]; then cat /etc/initramfs-tools/modules > conf/modules; fi
  for rules in /etc/udev/rules.d/*.rules; do
    if [ -e "$rules" ]; then cat "$rules" > "usr/lib/udev/rules.d/${rules##*/}"; fi
  done
  find . | cpio --quiet -o -H newc
} > "$image"
"""
PROGRAMS = ("sh", "cat", "find", "cpio", "stat", "sync")
IN_IMAGE = ("nvme", "nouveau", "vfio-pci")
Make = t.Callable[[Tree], Tree]


@dataclasses.dataclass(frozen=True)
class PublicHost:
    """``refused`` are words of the sentence with which the role refuses the claims; None where it carries them out."""

    make: Make
    refused: str | None = None
    claims: t.Sequence[t.Mapping[str, t.Any]] = (CARD,)
    modules: t.Sequence[str] = USUAL
    by_dracut: bool = False

    def lay_out(self, root: Path) -> Tree:
        """The host in an empty folder, with an image of what it is configured with."""
        tree = host(root, self.modules)
        tree = self.make(tree if self.by_dracut else debian(tree))
        if not tree.place("/boot/grub/grub.cfg").exists():
            grub(tree)
        made = initramfs_files.dracut if self.by_dracut else initramfs_files.initramfs_tools
        program = "/usr/bin/dracut" if self.by_dracut else "/usr/sbin/mkinitramfs"
        with_generator(tree, made, program)
        subprocess.run(["chroot", str(root), program, "-o", IMAGE, DEBIAN_13], check=True, timeout=60)
        return tree


def with_generator(tree: Tree, made: t.Callable[[dict[str, list[str]]], dict[str, t.Any]], program: str) -> Tree:
    held = made({name: [MODULES[name][3]] for name in IN_IMAGE})
    for name in IN_IMAGE:
        file = tree.place(f"/lib/modules/{DEBIAN_13}/{MODULES[name][0]}.ko")
        held[f"usr/lib/modules/{DEBIAN_13}/kernel/drivers/{name}.ko"] = file.read_bytes()
    tree.file("/usr/share/image-without-configuration", images.archive(held))
    tree.directory("/usr/share/made/conf").directory("/usr/share/made/usr/lib/udev/rules.d").directory("/etc/udev/rules.d")
    tree.directory("/etc/modprobe.d").directory("/tmp").directory("/dev")
    tree.file(program, GENERATOR, 0o755)
    for name in PROGRAMS:
        _install(tree, name)
    tree.link("/bin", "usr/bin")
    return tree


def _install(tree: Tree, program: str) -> None:
    """A program of this machine with the libraries that it is linked with."""
    found = shutil.which(program)
    assert found is not None, program
    shown = subprocess.run(["ldd", found], check=True, capture_output=True, text=True, timeout=60).stdout
    for path in (found, *(word for word in shown.split() if word.startswith("/"))):
        place = tree.place(path)
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(path).resolve(), place)
    if not tree.place(f"/usr/bin/{program}").exists():
        tree.file(f"/usr/bin/{program}", Path(found).resolve().read_bytes(), 0o755)


def text(path: str, content: str, mode: int = 0o644) -> Make:
    return lambda tree: tree.file(path, content, mode)


def both(*made: Make) -> Make:
    def make(tree: Tree) -> Tree:
        for one in made:
            tree = one(tree)
        return tree

    return make


def unit(name: str, command: str, script: str) -> Make:
    """An enabled unit that runs a script."""
    wants = f"/etc/systemd/system/multi-user.target.wants/{name}"
    said = f"[Unit]\nDescription={name}\n[Service]\nType=oneshot\nExecStart={command}\n[Install]\nWantedBy=multi-user.target\n"
    return both(
        text(command.partition(" ")[0], script, 0o755),
        text(f"/etc/systemd/system/{name}", said),
        lambda tree: tree.link(wants, f"../{name}"),
    )


def words(arguments: str) -> Make:
    return lambda tree: grub(tree, arguments)


def other_card(identifier: str, driver: str) -> Make:
    return lambda tree: tree.pci(HOST_GPU, identifier, class_code=0x030000, driver=driver, group=2)


NEW_ID = """\
#!/bin/bash
modprobe vfio-pci
for dev in 0000:01:00.0 0000:01:00.1; do
  vendor=$(cat /sys/bus/pci/devices/$dev/vendor)
  device=$(cat /sys/bus/pci/devices/$dev/device)
  if [ -e /sys/bus/pci/devices/$dev/driver ]; then
    echo $dev > /sys/bus/pci/devices/$dev/driver/unbind
  fi
  echo $vendor $device > /sys/bus/pci/drivers/vfio-pci/new_id
done
"""
OVERRIDES = (
    f"#!/bin/sh\nfor dev in {GPU} {SOUND}; do\n  echo vfio-pci > /sys/bus/pci/devices/$dev/driver_override\ndone\nmodprobe -i vfio-pci\n"
)
BACK = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{GPU}", ATTR{{driver_override}}="nouveau"\n'
AWAKE = (
    'ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{class}=="0x030000", TEST=="power/control", ATTR{power/control}="auto"\n'
)

HOSTS: dict[str, PublicHost] = {
    "nothing is configured": PublicHost(lambda tree: tree),
    "ids and a softdep": PublicHost(text(SITE, IDS + SOFTDEPS)),
    "ids, and nothing that loads vfio-pci first": PublicHost(text(SITE, IDS)),
    "a softdep, and no ids": PublicHost(text(SITE, SOFTDEPS)),
    "a blacklist": PublicHost(text("/etc/modprobe.d/blacklist-nouveau.conf", "blacklist nouveau\noptions nouveau modeset=0\n")),
    "a blank within ids": PublicHost(text(SITE, IDS.replace(",", ", ") + SOFTDEPS)),
    "vfio-pci in lists of modules": PublicHost(
        both(text("/etc/modules", "vfio\nvfio_iommu_type1\nvfio_pci\n"), text("/etc/initramfs-tools/modules", "vfio\nvfio_pci\n"))
    ),
    "ids on the kernel's command line": PublicHost(words("intel_iommu=on iommu=pt vfio-pci.ids=10de:1b81,10de:10f0")),
    "nouveau blacklisted on the kernel's command line": PublicHost(words("quiet modprobe.blacklist=nouveau")),
    "the framebuffers switched off": PublicHost(words("nofb nomodeset video=vesafb:off,efifb:off initcall_blacklist=sysfb_init")),
    "options of vfio-pci": PublicHost(text(SITE, "options vfio-pci disable_vga=1 disable_idle_d3=1\noptions kvm ignore_msrs=1\n")),
    "a rule for the card's power": PublicHost(text("/etc/udev/rules.d/80-nvidia-pm.rules", AWAKE)),
    "the host's own card is NVIDIA's too": PublicHost(
        both(text(NVIDIA, "blacklist nouveau\n"), other_card("10de:1c82", "nvidia")), modules=(*USUAL, "nvidia")
    ),
    "one of two identical cards": PublicHost(other_card("10de:1b81", "nouveau")),
    "sound of the host beside the card's": PublicHost(
        lambda tree: tree.pci(HOST_SOUND, "8086:7ad0", class_code=0x040300, driver="snd_hda_intel", group=5)
    ),
    "driverctl gives the card to vfio-pci": PublicHost(
        both(lambda tree: tree.driverctl(), text(f"/etc/driverctl.d/pci-{GPU}", "vfio-pci\n"))
    ),
    "driverctl gives the card to nouveau": PublicHost(
        both(lambda tree: tree.driverctl(), text(f"/etc/driverctl.d/pci-{GPU}", "nouveau\n")), refused=f"/etc/driverctl.d/pci-{GPU}"
    ),
    "a unit that binds by new_id": PublicHost(
        unit("vfio-bind.service", "/usr/local/bin/vfio-bind.sh", NEW_ID), refused="/usr/local/bin/vfio-bind.sh"
    ),
    "rc.local that binds by new_id": PublicHost(text("/etc/rc.local", NEW_ID, 0o755), refused="/etc/rc.local"),
    "a script in the place of vfio-pci": PublicHost(
        both(
            text("/etc/modprobe.d/local.conf", "install vfio-pci /sbin/vfio-pci-override.sh\n"),
            text("/sbin/vfio-pci-override.sh", OVERRIDES, 0o755),
        ),
        refused="/etc/modprobe.d/local.conf:1",
    ),
    "a rule that gives the card to nouveau": PublicHost(text("/etc/udev/rules.d/99-gpu.rules", BACK), refused="99-gpu.rules:1"),
    "dracut builds the images": PublicHost(lambda tree: tree, by_dracut=True),
    "the card without its sound": PublicHost(lambda tree: tree, claims=({"devices": GPU, "driver": "vfio-pci"},)),
}
