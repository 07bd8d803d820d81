# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a host for judging its policy, and the silence about a host as Debian installs it."""

from __future__ import annotations

import hashlib
import os
import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.boot import policy_files
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import ROOT, Boot, Coldplug, Stage
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.policy_files import PolicyFiles, read_policy_files
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel, read_all
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.modprobe import ModprobeConfig
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.findings import find
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree, stock_debian

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding

# As Debian 12 and 13 ship them: fbdev-blacklist.conf of kmod or udev, aliases.conf of kmod, systemd.conf of udev.
BLACKLIST = "# This file blacklists most old-style PCI framebuffer drivers.\n\nblacklist arkfb\nblacklist aty128fb\nblacklist vt8623fb\n"
ALIASES = """# These are the standard aliases and dependencies.
options snd-pcsp index=-2
options cx88_alsa index=-2
softdep uhci-hcd pre: ehci-hcd
softdep ohci-hcd pre: ehci-hcd
"""
SYSTEMD = "options bonding max_bonds=0\noptions dummy numdummies=0\noptions ifb numifbs=0\n"
MICROCODE = "# The microcode module attempts to apply a microcode update when it autoloads.\nblacklist microcode\n"
DKMS = "# modprobe information used for DKMS modules\n#\n# This is a stub file, should be edited when needed,\n# used by default by DKMS.\n"
SOFTDEPS = "# Soft dependencies extracted from modules themselves.\nsoftdep ext4 pre: crc32c\nsoftdep ext4 pre: crc16\n"
MODULES = "# /etc/modules: kernel modules to load at boot time.\n#\n# Parameters can be specified after the module name.\n"
DRIVERS_RULES = 'ACTION!="add", GOTO="drivers_end"\nENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\nLABEL="drivers_end"\n'


def debian(root: Path) -> Tree:
    """A stock Debian with Intel's microcode package and DKMS, as installed."""
    tree = stock_debian(root).pci("0000:01:00.0", driver="nouveau").pci("0000:02:00.0", "8086:10d3", driver="e1000e")
    tree.file("/usr/lib/modprobe.d/fbdev-blacklist.conf", BLACKLIST).file("/usr/lib/modprobe.d/aliases.conf", ALIASES)
    tree.file("/usr/lib/modprobe.d/systemd.conf", SYSTEMD).file("/usr/lib/udev/rules.d/80-drivers.rules", DRIVERS_RULES)
    tree.file("/etc/modprobe.d/intel-microcode-blacklist.conf", MICROCODE).file("/etc/modprobe.d/dkms.conf", DKMS)
    tree.file("/etc/modules", MODULES).file("/etc/initramfs-tools/modules", "# List of modules that you want to include\n# raid1\n")
    tree.file(f"/lib/modules/{DEBIAN_13}/modules.softdep", SOFTDEPS).file(f"/boot/initrd.img-{DEBIAN_13}", b"image")
    shipped = {"dkms": DKMS, "intel-microcode-blacklist": MICROCODE}
    conffiles = "".join(f" /etc/modprobe.d/{name}.conf {md5(text)}\n" for name, text in shipped.items())
    return tree.file("/var/lib/dpkg/status", f"Package: dkms\nStatus: install ok installed\nConffiles:\n{conffiles}Description: x\n")


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def read(tree: Tree) -> tuple[tuple[Boot, ...], tuple[Kernel, ...], PolicyFiles]:
    host = tree.host()
    kernels = read_all(host)
    boots = []
    for kernel in kernels:
        root = Stage(ROOT, "/", ((Coldplug(),),), kernel, ModprobeConfig.read(host, release=kernel.release), Rules.read(host))
        boots.append(Boot(kernel.release, Cmdline.read(host), "/proc/cmdline", (root,), {}))
    return tuple(boots), kernels, read_policy_files(host, boots, kernels, Inventory.read(host))


def found(tree: Tree) -> tuple[Finding, ...]:
    boots, kernels, files = read(tree)
    return find(boots, Inventory.read(tree.host()), kernels, files)


def test_nothing_is_found_on_a_stock_debian(tmp_path: Path) -> None:
    assert found(debian(tmp_path)) == ()


def test_a_conffile_that_somebody_has_edited_is_a_decision_of_this_host(tmp_path: Path) -> None:
    tree = debian(tmp_path).file("/etc/modprobe.d/intel-microcode-blacklist.conf", MICROCODE + "blacklist nouvaeu\n")
    assert [finding.source for finding in found(tree)] == [f"/etc/modprobe.d/intel-microcode-blacklist.conf:{line}" for line in (2, 3)]


def test_words_that_are_aliases_of_a_kernel_are_looked_up(tmp_path: Path) -> None:
    tree = debian(tmp_path).file("/etc/modprobe.d/site.conf", "softdep e1000e pre: crypto-crc32c\nblacklist fs-*\n")
    aliases = tree.place(f"/lib/modules/{DEBIAN_13}/modules.alias")
    aliases.write_text(aliases.read_text() + "alias crypto-crc32c crc32c_generic\nalias fs-ext4 ext4\n")
    _boots, _kernels, files = read(tree)
    assert files.synonyms == {"crypto_crc32c": frozenset({"crc32c_generic"})}
    assert [finding.kind for finding in found(tree)] == ["wildcard-name"]


def test_the_generators_lists_are_read_with_their_lines(tmp_path: Path) -> None:
    tree = debian(tmp_path).file("/etc/initramfs-tools/modules", "# words\n\nvfio-pci ids=10de:1db1\nvfio_virqfd # gone\n")
    tree.file("/etc/dracut.conf.d/10-vfio.conf", '# add_drivers+=" no "\nforce_drivers+=" vfio vfio-pci "\nadd_drivers+="nouveau"\n')
    _boots, _kernels, files = read(tree)
    assert [(one.name, one.source) for one in files.for_image] == [
        ("vfio-pci", "/etc/initramfs-tools/modules:3"),
        ("vfio_virqfd", "/etc/initramfs-tools/modules:4"),
        ("vfio", "/etc/dracut.conf.d/10-vfio.conf:2"),
        ("vfio-pci", "/etc/dracut.conf.d/10-vfio.conf:2"),
        ("nouveau", "/etc/dracut.conf.d/10-vfio.conf:3"),
    ]


def test_a_module_that_depmod_lists_and_that_is_gone_is_noticed(tmp_path: Path) -> None:
    tree = debian(tmp_path)
    tree.place(f"/lib/modules/{DEBIAN_13}/kernel/drivers/vfio/pci/vfio-pci.ko").unlink()
    assert [finding.kind for finding in found(tree)] == ["variant-missing"]


def test_ages_of_files_and_images_are_read(tmp_path: Path) -> None:
    tree = debian(tmp_path).file("/etc/modprobe.d/site.conf", "blacklist nouveau\n")
    os.utime(tree.place("/etc/modprobe.d/site.conf"), (300, 300))
    os.utime(tree.place(f"/boot/initrd.img-{DEBIAN_13}"), (200, 200))
    _boots, _kernels, files = read(tree)
    assert files.mtimes["/etc/modprobe.d/site.conf"] == 300
    assert files.images[DEBIAN_13].mtime == 200
    assert files.images[DEBIAN_13].path == f"/boot/initrd.img-{DEBIAN_13}"


def test_files_that_are_no_files_are_read_as_none(tmp_path: Path) -> None:
    tree = debian(tmp_path).link("/etc/modprobe.d/fbdev-blacklist.conf", "/dev/null").directory("/etc/modprobe.d/old.d")
    _boots, _kernels, files = read(tree)
    assert {file.path: file.text for file in files.modprobe}["/etc/modprobe.d/fbdev-blacklist.conf"] is None
    assert "/etc/modprobe.d/old.d" not in {file.path for file in files.modprobe}
    assert found(tree) == ()


def test_files_that_nobody_reads_at_boot_do_not_fill_memory_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_files, "LARGEST_TOGETHER", 1000)
    tree = Tree(tmp_path)
    for number in range(9):
        tree.file(f"/etc/modprobe.d/{number}.bak", "#" * 300).file(f"/etc/udev/rules.d/{number}.bak", "#" * 300)
    tree.file("/etc/modprobe.d/9.bak", "").link("/etc/modprobe.d/a.bak", "/dev/null")
    files = read_policy_files(tree.host(), (), (), Inventory((), {}))
    # All folders have one limit.
    assert [file.path[-5:] for file in files.modprobe] == ["0.bak", "1.bak", "2.bak", "9.bak", "a.bak"]
    assert files.rules == ()


def test_a_directory_that_is_a_link_to_one_that_is_read_is_not_read_again(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file("/usr/lib/modprobe.d/gpu.conf", "blacklist nouveau\n").file("/etc/modprobe.d/gpu.conf", "blacklist nvidia\n")
    tree.link("/lib", "usr/lib")
    files = read_policy_files(tree.host(), (), (), Inventory((), {}))
    assert [file.path for file in files.modprobe] == ["/etc/modprobe.d/gpu.conf", "/usr/lib/modprobe.d/gpu.conf"]
