# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as people have reported them: a card for guests, its sound, the host's own devices; and what has to be said of each."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit import images, initramfs_files
from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.driver_files import ANY, Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info, device_info
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, Tree

GPU, SOUND, HOST_GPU, HOST_SOUND = "0000:01:00.0", "0000:01:00.1", "0000:02:00.0", "0000:00:1f.3"
# Folder and name, the driver's name, its table, its alias.
MODULES: dict[str, tuple[str, str, Entry, str]] = {
    "nouveau": (
        "kernel/drivers/gpu/drm/nouveau/nouveau",
        "nouveau",
        Entry(0x10DE, ANY, 0x030000, 0xFF0000),
        "pci:v000010DEd*sv*sd*bc03sc*i*",
    ),
    "nvidia": ("updates/dkms/nvidia", "nvidia", Entry(0x10DE, ANY, 0x030000, 0xFFFF00), "pci:v000010DEd*sv*sd*bc03sc00i00*"),
    "snd-hda-intel": (
        "kernel/sound/pci/hda/snd-hda-intel",
        "snd_hda_intel",
        Entry(ANY, ANY, 0x040300, 0xFFFFFF),
        "pci:v*d*sv*sd*bc04sc03i00*",
    ),
    "nvme": ("kernel/drivers/nvme/host/nvme", "nvme", Entry(ANY, ANY, 0x010802, 0xFFFFFF), "pci:v*d*sv*sd*bc01sc08i02*"),
    "vfio-pci": ("kernel/drivers/vfio/pci/vfio-pci", "vfio-pci", Entry(override=1), ANY_VFIO),
}
USUAL = ("nouveau", "snd-hda-intel", "nvme", "vfio-pci")
SITE = "/etc/modprobe.d/vfio.conf"
SOFTDEPS = "softdep nouveau pre: vfio-pci\nsoftdep snd_hda_intel pre: vfio-pci\n"
IDS = "options vfio-pci ids=10de:1b81,10de:10f0\n"
IMAGE = f"/boot/initrd.img-{DEBIAN_13}"
LOADER_INFO = "/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
SYSTEMD_BOOT = b"\x06\0\0\0" + "systemd-boot 257\0".encode("utf-16-le")


def host(root: Path, modules: t.Sequence[str] = USUAL, kernel: str = f"/boot/vmlinuz-{DEBIAN_13}", gpu: str = "nouveau") -> Tree:
    """Two functions of a card in one group; the modules are files that can be loaded."""
    tree = Tree(root).systemd()
    tree.kernel(DEBIAN_13, {MODULES[name][0]: [MODULES[name][3]] for name in modules}, running=True, image=False)
    for name in modules:
        path, driver, entry, alias = MODULES[name]
        fields: dict[str, t.Any] = {"parmtype": "ids:string"} if name == "vfio-pci" else {}
        made = driver_file(DEBIAN_13, [Driver(driver.encode(), (entry,))], aliases=[alias], **fields)
        tree.file(f"/lib/modules/{DEBIAN_13}/{path}.ko", made)
    tree.file(kernel, bzimage(DEBIAN_13))
    tree.pci(GPU, "10de:1b81", class_code=0x030000, driver=gpu, group=1)
    return tree.pci(SOUND, "10de:10f0", class_code=0x040300, driver="snd_hda_intel", group=1)


def debian(tree: Tree) -> Tree:
    for program in ("mkinitramfs", "update-initramfs"):
        tree.file(f"/usr/sbin/{program}", "#!/bin/sh\n", 0o755)
    return tree.directory("/etc/initramfs-tools/hooks").directory("/etc/dpkg")


def with_image(tree: Tree, modules: t.Sequence[str] = ("nvme",), files: t.Mapping[str, str] | None = None, place: str = IMAGE) -> Tree:
    held = {name: [MODULES[name][3]] for name in modules}
    made = initramfs_files.initramfs_tools(held) if "initrd.img" in place else initramfs_files.dracut(held)
    return tree.file(place, images.packed(images.archive({**made, **(files or {})}), "zstd"))


def grub(tree: Tree, words: str = "", image: str = IMAGE, kernel: str = f"/boot/vmlinuz-{DEBIAN_13}") -> Tree:
    arguments = f"root=/dev/sda1 ro {words}".strip()
    entry = f"menuentry 'Linux' {{\n\tlinux {kernel} {arguments}\n\tinitrd {image}\n}}\n"
    return tree.file("/boot/grub/grub.cfg", f'set default="0"\n{entry}').cmdline(f"BOOT_IMAGE={kernel} {arguments}")


def booting(root: Path) -> Tree:
    """A Debian host with two functions of a card, whose next boot is known."""
    return grub(with_image(debian(host(root))))


def _mkinitcpio(modules: t.Mapping[str, t.Sequence[str]]) -> dict[str, t.Any]:
    """With the hook `udev`: its early script starts udevd and has it replay the events."""
    return {
        **initramfs_files.modules_of(DEBIAN_13, modules),
        "config": 'EARLYHOOKS="udev"\nHOOKS="udev"\n',
        "init": "#!/usr/bin/ash\n. /init_functions\n",
        "init_functions": "#!/usr/bin/ash\n",
        "usr/lib/systemd/systemd-udevd": b"\x7fELF",
        "usr/bin/udevadm": b"\x7fELF",
    }


def boot_of(tree: Tree, address: str = GPU) -> dict[str, t.Any]:
    (device,) = device_info(tree.host(Commands(tree.root)), devices=address)["devices"]
    found: dict[str, t.Any] = device["kernels"][DEBIAN_13]
    return found


def answer(tree: Tree, address: str = GPU) -> tuple[str | None, str]:
    found = boot_of(tree, address)
    return found["winner"], found["certainty"]


def passes(tree: Tree, address: str = GPU) -> bool:
    try:
        told = claim_info(tree.host(Commands(tree.root)), devices=address, driver="vfio-pci", require="winner")
    except HostError:
        return False
    return all(device["will_be_satisfied"] for device in told["devices"])


# -- which loader boots


def proxmox(root: Path) -> Tree:
    """ZFS on UEFI: systemd-boot starts what proxmox-boot-tool has copied; GRUB's menu, with ids=, is left over."""
    tree = with_image(debian(host(root)), files={"etc/modprobe.d/vfio.conf": SOFTDEPS}).file(SITE, SOFTDEPS)
    arguments = "root=ZFS=rpool/ROOT/pve-1 boot=zfs"
    grub(tree, "vfio-pci.ids=10de:1b81,10de:10f0").cmdline(arguments)
    for name in ("vmlinuz", "initrd.img"):
        tree.file(f"/boot/efi/EFI/proxmox/{name}-{DEBIAN_13}", tree.place(f"/boot/{name}-{DEBIAN_13}").read_bytes())
    entry = (
        f"version {DEBIAN_13}\noptions {arguments}\nlinux /EFI/proxmox/vmlinuz-{DEBIAN_13}\ninitrd /EFI/proxmox/initrd.img-{DEBIAN_13}\n"
    )
    tree.file("/boot/efi/loader/entries/proxmox.conf", f"title Proxmox\n{entry}")
    return tree.file("/boot/efi/loader/loader.conf", "default proxmox.conf\n")


def test_a_menu_that_is_left_over_is_not_believed_where_the_firmware_s_variables_name_the_loader(tmp_path: Path) -> None:
    tree = proxmox(tmp_path).file(LOADER_INFO, SYSTEMD_BOOT)
    assert answer(tree) == ("nouveau", "certain")
    assert not passes(tree)


def test_a_menu_that_is_left_over_is_not_believed_where_grub_did_not_start_the_running_kernel(tmp_path: Path) -> None:
    tree = proxmox(tmp_path).directory("/sys/firmware/efi/efivars")
    found = boot_of(tree)
    assert found["certainty"] == "unknown"
    assert "nouveau" in found["outcomes"]
    assert not passes(tree)


# -- which image boots


ARCH = "/boot/initramfs-linux.img"


def arch(root: Path) -> Tree:
    """The firmware starts the kernel itself, with an image that mkinitcpio has made before the policy was written."""
    tree = host(root, kernel="/boot/vmlinuz-linux").file(SITE, IDS + SOFTDEPS)
    tree.file(f"/lib/modules/{DEBIAN_13}/vmlinuz", tree.place("/boot/vmlinuz-linux").read_bytes())
    tree.file("/usr/bin/mkinitcpio", "#!/bin/bash\n", 0o755)
    made = _mkinitcpio({name: [MODULES[name][3]] for name in ("nvme", "nouveau")})
    return tree.file(ARCH, images.packed(images.archive(made), "zstd"))


def test_an_image_that_only_the_running_kernel_s_arguments_name_is_there(tmp_path: Path) -> None:
    tree = arch(tmp_path).directory("/sys/firmware/efi/efivars").cmdline("root=UUID=1 rw initrd=\\initramfs-linux.img")
    found = boot_of(tree)
    assert found["certainty"] == "unknown"
    assert "nouveau" in found["outcomes"]
    assert not passes(tree)


def test_what_is_advised_is_a_program_that_the_host_has(tmp_path: Path) -> None:
    told = device_info(grub(arch(tmp_path), image=ARCH, kernel="/boot/vmlinuz-linux").host(Commands(tmp_path)))
    said = " ".join(told["policy_warnings"])
    assert f"{ARCH} does not have the host's {SITE}" in said
    assert "`mkinitcpio -P`" in said
    assert "update-initramfs" not in said


# -- what would change an answer


NVIDIA = "/usr/lib/modprobe.d/nvidia.conf"


def two_cards(root: Path, nvidia_conf: str, vfio_conf: str = IDS + SOFTDEPS) -> Tree:
    """The host's own card, which nvidia drives, beside the one for guests."""
    tree = debian(host(root, (*USUAL, "nvidia"), gpu="nvidia"))
    with_image(tree, files={"etc/modprobe.d/vfio.conf": vfio_conf, NVIDIA.lstrip("/"): nvidia_conf})
    tree.pci(HOST_GPU, "10de:1c82", class_code=0x030000, driver="nvidia", group=2)
    return grub(tree.file(SITE, vfio_conf).file(NVIDIA, nvidia_conf))


def test_the_host_s_own_card_keeps_its_driver_whatever_is_suggested_for_the_other(tmp_path: Path) -> None:
    tree = two_cards(tmp_path / "before", "blacklist nouveau\n")
    assert answer(tree, HOST_GPU) == ("nvidia", "certain")
    found = boot_of(tree)
    assert (found["certainty"], {*found["outcomes"]}) == ("race", {"nvidia", "vfio-pci"})
    assert found["would_change"] == "Add `softdep nvidia pre: vfio-pci` to /etc/modprobe.d/00-vfio.conf."
    after = two_cards(tmp_path / "after", "blacklist nouveau\n", IDS + SOFTDEPS + "softdep nvidia pre: vfio-pci\n")
    assert (answer(after), answer(after, HOST_GPU)) == (("vfio-pci", "certain"), ("nvidia", "certain"))
    removed = two_cards(tmp_path / "removed", "")
    assert answer(removed, HOST_GPU) == ("nouveau", "certain")


def test_a_blank_within_ids_is_found_and_no_device_of_the_host_is_offered(tmp_path: Path) -> None:
    text = IDS.replace(",", ", ") + SOFTDEPS
    tree = with_image(debian(host(tmp_path)), files={"etc/modprobe.d/vfio.conf": text}).file(SITE, text)
    tree.pci(HOST_SOUND, "8086:7ad0", class_code=0x040300, driver="snd_hda_intel", group=5)
    assert (answer(grub(tree)), answer(tree, SOUND)) == (("vfio-pci", "certain"), ("snd_hda_intel", "certain"))
    told = device_info(tree.host(Commands(tmp_path)))
    said = [*told["policy_warnings"], *(one for device in told["devices"] for one in device["warnings"])]
    assert any("`10de:10f0` stands alone" in sentence and "ids=10de:1b81,10de:10f0" in sentence for sentence in said)
    assert not any("8086:7ad0" in sentence for sentence in (*said, str(boot_of(tree, SOUND)["would_change"])))


# -- `install vfio-pci SCRIPT`, the script writes the override and loads the module


SCRIPT = "/sbin/vfio-pci-override.sh"
INSTALL = f"install vfio-pci {SCRIPT}\n"
OVERRIDES = (
    f"#!/bin/sh\nfor dev in {GPU} {SOUND}; do\n  echo vfio-pci > /sys/bus/pci/devices/$dev/driver_override\ndone\nmodprobe -i vfio-pci\n"
)
HELD = {"etc/modprobe.d/local.conf": INSTALL, SCRIPT.lstrip("/"): OVERRIDES}
DRACUT = f"/boot/initramfs-{DEBIAN_13}.img"


def by_dracut(root: Path) -> Tree:
    tree = with_image(host(root), ("nvme", "nouveau", "vfio-pci"), HELD, DRACUT)
    return grub(tree, "rd.driver.pre=vfio-pci", DRACUT)


def by_initramfs_tools(root: Path) -> Tree:
    tree = with_image(debian(host(root)), ("nvme", "vfio-pci"), {**HELD, "conf/modules": "vfio-pci\n"})
    return grub(tree.file("/etc/initramfs-tools/modules", "vfio-pci\n"))


def by_modules_load(root: Path) -> Tree:
    tree = with_image(debian(host(root)), files={"etc/modprobe.d/local.conf": INSTALL})
    return grub(tree.file("/etc/modules-load.d/vfio.conf", "vfio-pci\n"))


def by_a_softdep(root: Path) -> Tree:
    text = f"{INSTALL}softdep nouveau pre: vfio-pci\n"
    return grub(with_image(debian(host(root)), ("nvme", "nouveau", "vfio-pci"), {**HELD, "etc/modprobe.d/local.conf": text}))


@pytest.mark.parametrize("way", [by_dracut, by_initramfs_tools, by_modules_load, by_a_softdep])
def test_a_script_in_the_place_of_vfio_pci_leaves_the_answer_open_with_the_truth_in_it(
    tmp_path: Path, way: t.Callable[[Path], Tree]
) -> None:
    tree = way(tmp_path).file("/etc/modprobe.d/local.conf", INSTALL).file(SCRIPT, OVERRIDES, 0o755)
    found = boot_of(tree)
    assert found["certainty"] == "unknown"
    assert "vfio-pci" in found["outcomes"]
    assert any("local.conf:1" in line and "vfio-pci-override.sh" in line for line in found["because"])
    assert not passes(tree)
