# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose kernel arguments can be changed: their files as distributions lay them out, and small programs that make the entries.

The programs read and write the tree that they lie in, as the real ones do with `/`.
"""

from __future__ import annotations

import dataclasses
import sys
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.kernel_cmdline import apply
from ansible_collections.vfio.variants.plugins.modules import kernel_cmdline
from ansible_collections.vfio.variants.tests.unit.boot_menus import (
    HEADER,
    NEW,
    OLD,
    boot_numbers,
    boot_option,
    bzimage,
    debian_grub,
    efi_variable,
    grubenv,
    kernels,
)
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import options_of
from ansible_collections.vfio.variants.tests.unit.trees import Tree

ROOT = "root=UUID=0f22fa61 ro"
MACHINE = "0123456789abcdef0123456789abcdef"
FEDORA = "6.17.7-300.fc43.x86_64"
ARCH = "6.12.1-arch1-1"
SETTINGS = '# If you change this file, run `update-grub`.\nGRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n'


@dataclasses.dataclass
class CmdlineHost:
    """A tree, and the commands that were run on it."""

    tree: Tree
    commands: Commands

    def call(self, *arguments: str, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
        given = {"arguments": list(arguments), **options}
        request = kernel_cmdline.request(options_of(kernel_cmdline.ARGUMENTS, **given))
        return apply(self.tree.host(self.commands), request, check_mode)

    def text(self, path: str) -> str:
        return self.tree.place(path).read_text(encoding="utf-8")

    def files(self) -> dict[str, bytes]:
        """Every file but the lock, by path."""
        found = (path for path in self.tree.root.rglob("*") if path.is_file() and "/run/vfio-variants" not in str(path))
        return {str(path.relative_to(self.tree.root)): path.read_bytes() for path in found}


def _host(root: Path, os_release: str) -> CmdlineHost:
    tree = Tree(root).file("/etc/os-release", os_release).file("/etc/machine-id", MACHINE + "\n")
    return CmdlineHost(tree, Commands(root))


def program(host: CmdlineHost, name: str, script: str, *, shell: str = "/bin/bash", folder: str = "/usr/bin") -> None:
    host.tree.file(f"{folder}/{name}", f"#!{shell}\nR={host.tree.root}\n{script}", 0o755)


# What update-grub does with the settings, and what it writes for each kernel; 10_linux's markers are those of the package.
UPDATE_GRUB = """\
set -e
[ -e $R/refuse ] && {{ echo "grub-probe: error: no device" >&2; exit 1; }}
. $R/etc/default/grub
{folder}
out=$R{config}
{{
cat $R/header
echo '### BEGIN /etc/grub.d/10_linux ###'
for kernel in $(ls -r $R/boot/vmlinuz-*); do
  release=${{kernel##*/vmlinuz-}}
  for mode in '' ' (recovery mode)'; do
    words="$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT"
    id=gnulinux-$release-advanced-0f22fa61
    [ -z "$mode" ] || {{ words="single $GRUB_CMDLINE_LINUX"; id=gnulinux-$release-recovery-0f22fa61; }}
    printf "menuentry 'Linux %s%s' \\$menuentry_id_option '%s' {{\\n" "$release" "$mode" "$id"
    printf "\\tlinux\\t/boot/vmlinuz-%s root=UUID=0f22fa61 ro %s\\n\\tinitrd\\t/boot/initrd.img-%s\\n}}\\n" "$release" "$words" "$release"
  done
done
echo '### END /etc/grub.d/10_linux ###'
}} > $out.new
mv $out.new $out
"""
READS_FOLDER = "for x in $R/etc/default/grub.d/*.cfg; do [ -e $x ] && . $x; done || true"


def debian(root: Path, settings: str = SETTINGS, running: str = f"BOOT_IMAGE=/boot/vmlinuz-{NEW} {ROOT} quiet") -> CmdlineHost:
    """Debian with GRUB, whose grub-mkconfig reads /etc/default/grub.d."""
    host = _host(root, "ID=debian\nVERSION_ID=13\n")
    kernels(host.tree, NEW, OLD).running(NEW).cmdline(running)
    host.tree.file("/etc/default/grub", settings).directory("/boot/grub").file("/header", HEADER.format(default="0"))
    program(host, "update-grub", UPDATE_GRUB.format(folder=READS_FOLDER, config="/boot/grub/grub.cfg"), folder="/usr/sbin")
    program(host, "grub-mkconfig", 'for x in "/etc/default/grub.d"/*.cfg ; do . "$x"; done\n', folder="/usr/sbin")
    return _generated(host, "update-grub")


def opensuse(root: Path, settings: str = SETTINGS) -> CmdlineHost:
    """openSUSE with GRUB, whose grub2-mkconfig reads /etc/default/grub alone."""
    host = _host(root, 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n')
    kernels(host.tree, NEW).running(NEW).cmdline(f"BOOT_IMAGE=/boot/vmlinuz-{NEW} {ROOT} quiet")
    host.tree.file("/etc/default/grub", settings).directory("/boot/grub2").file("/header", HEADER.format(default="0"))
    script = '[ "$1 $2" = "-o /boot/grub2/grub.cfg" ] || exit 9\n' + UPDATE_GRUB.format(folder="", config="/boot/grub2/grub.cfg")
    program(host, "grub2-mkconfig", script, folder="/usr/sbin")
    return _generated(host, "grub2-mkconfig", "-o", "/boot/grub2/grub.cfg")


def _generated(host: CmdlineHost, *argv: str) -> CmdlineHost:
    host.tree.host(host.commands).run(argv, 60)
    host.commands.calls.clear()
    return host


# As grubby does it with entries in files: in all of them, and for further kernels.  Words of the same name are replaced, the rest is
# joined by single blanks; every line of /etc/default/grub whose variable begins alike becomes the same.
GRUBBY = """\
import pathlib, re, sys
root = pathlib.Path(R)
LINE = root / "etc/kernel/cmdline"
if (root / "refuse").exists():
    sys.exit("grubby: no space left")
assert sys.argv[1] == "--update-kernel=ALL", sys.argv
option, _, value = sys.argv[2].partition("=")

def update(text):
    words = text.split()
    if option == "--args":
        names = {word.partition("=")[0] for word in value.split()}
        return " ".join([word for word in words if word.partition("=")[0] not in names] + value.split())
    return " ".join(word for word in words if word not in value.split())

def replace(place, text):
    # As sed -i does it.
    new = place.with_name("sedAbCdEf")
    new.write_text(text)
    new.replace(place)

settings, last = root / "etc/default/grub", ""
common = re.search('^GRUB_CMDLINE_LINUX="(.+)"$', settings.read_text(), re.M) if settings.exists() else None
if common:
    replace(settings, re.sub("(?m)^GRUB_CMDLINE_LINUX.*", f'GRUB_CMDLINE_LINUX="{update(common[1])}"', settings.read_text()))
for place in sorted((root / "boot/loader/entries").glob("*.conf")):
    lines = place.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("options "):
            last = update(line[8:])
            lines[number] = f"options {last}"
    replace(place, "\\n".join(lines) + "\\n")
# As newer ones do, which say /etc/kernel/cmdline.
LINE.write_text(update(LINE.read_text() if LINE.exists() else last) + "\\n")
if (root / "refuse-late").exists():
    sys.exit("grubby: no space left")
"""


def fedora(root: Path, options: str = f"{ROOT}  rhgb quiet ") -> CmdlineHost:
    """Fedora with GRUB and entries in files."""
    host = _host(root, "ID=fedora\nVERSION_ID=43\nVARIANT_ID=server\n")
    host.tree.kernel(FEDORA, running=True).file(f"/boot/vmlinuz-{FEDORA}", bzimage(FEDORA)).file(f"/boot/initramfs-{FEDORA}.img")
    host.tree.cmdline(f"BOOT_IMAGE=(hd0,gpt2)/vmlinuz-{FEDORA} {options}").file(
        "/boot/grub2/grub.cfg", 'set default="${saved_entry}"\nblscfg\n'
    )
    host.tree.file("/boot/grub2/grubenv", grubenv(saved_entry=f"{MACHINE}-{FEDORA}"))
    entry = (
        f"title Fedora Linux ({FEDORA}) 43\nversion {FEDORA}\nlinux /vmlinuz-{FEDORA}\ninitrd /initramfs-{FEDORA}.img\noptions {options}\n"
    )
    host.tree.file(f"/boot/loader/entries/{MACHINE}-{FEDORA}.conf", entry + "grub_users $grub_users\n")
    host.tree.file(f"/boot/loader/entries/{MACHINE}-0-rescue.conf", entry.replace(FEDORA, f"0-rescue-{MACHINE}"))
    host.tree.file(f"/boot/vmlinuz-0-rescue-{MACHINE}", bzimage(FEDORA)).file(f"/boot/initramfs-0-rescue-{MACHINE}.img")
    host.tree.file("/etc/kernel/cmdline", f"{ROOT} rhgb quiet\n")
    python = GRUBBY.replace("R)", f'"{root}")', 1)
    host.tree.file("/usr/sbin/grubby", f"#!/usr/bin/env python3\n{python}", 0o755)
    return host


def _systemd_boot(host: CmdlineHost, running: str) -> None:
    host.tree.directory("/sys/firmware/efi").cmdline(running)
    efi_variable(host.tree, "LoaderInfo", "systemd-boot 257.9")
    host.tree.file("/boot/loader/loader.conf", "timeout 3\n").directory("/boot/EFI/systemd")


def arch_entries(root: Path) -> CmdlineHost:
    """Arch with systemd-boot and entries that a person wrote, one of them the fallback image's."""
    host = _host(root, "ID=arch\n")
    host.tree.kernel(ARCH, running=True, image=False).file("/boot/vmlinuz-linux", bzimage(ARCH))
    _systemd_boot(host, f"initrd=\\initramfs-linux.img {ROOT}  quiet")
    for name in ("", "-fallback"):
        host.tree.file(f"/boot/initramfs-linux{name}.img")
        text = f"title\tArch{name}\nlinux\t/vmlinuz-linux\ninitrd\t/initramfs-linux{name}.img\noptions\t{ROOT}  quiet \n# my own"
        host.tree.file(f"/boot/loader/entries/arch{name}.conf", text)
    return host


# The files of each preset's command line as version 41 joins them.
MKINITCPIO = """\
[ "$*" = -P ] || exit 9
[ -e $R/refuse ] && { echo "==> ERROR: no kernel" >&2; exit 1; }
for preset in $R/etc/mkinitcpio.d/*.preset; do
  . $preset
  for p in "${PRESETS[@]}"; do
    uki=${p}_uki; own=${p}_cmdline; own=${!own:-$ALL_cmdline}; options=${p}_options; options=(${!options}); files=(); folder=/etc/cmdline.d
    for ((i = 0; i < ${#options[@]}; i++)); do [ "${options[i]}" = --cmdline ] && own=${options[i+1]}; done
    if [ -n "$own" ] && [ -d "$R$own" ]; then folder=$own
    elif [ -n "$own" ]; then files=("$R$own"); folder=
    else for x in $R/etc/kernel/cmdline $R/usr/lib/kernel/cmdline; do [ -e $x ] && { files=($x); break; }; done; fi
    if [ -n "$folder" ] && [ -d "$R$folder" ]; then
      while read -r x; do files+=("$x"); done < <(find "$R$folder" -xtype f -name '*.conf' | LC_ALL=C sort -V)
    fi
    (( ${#files[@]} )) || files=($R/proc/cmdline)
    grep -ha -- '^[^#]' "${files[@]}" | tr -s '\\n' ' ' > $R/tmp-cmdline
    python3 $R/ukify.py ${!uki}
  done
done
"""
UKIFY = """\
import pathlib, sys
sys.path[:0] = {path!r}
from ansible_collections.vfio.variants.tests.unit.boot_menus import unified_image
root = pathlib.Path({root!r})
words = (root / "tmp-cmdline").read_bytes()
(root / "tmp-cmdline").unlink()
sections = [(".osrel", b"ID=arch\\nPRETTY_NAME=Arch\\n"), (".cmdline", words), (".uname", b"{release}")]
sections += [(".linux", b"MZ"), (".initrd", b"x")]
(root / sys.argv[1].lstrip("/")).write_bytes(unified_image(sections))
"""


def _ukify(host: CmdlineHost, release: str) -> None:
    host.tree.file("/ukify.py", UKIFY.format(path=sys.path, root=str(host.tree.root), release=release))


def arch_unified(root: Path, preset: str = "", line: t.Mapping[str, str] | None = None) -> CmdlineHost:
    """Arch with a unified kernel image that mkinitcpio makes by its preset, and that systemd-boot starts.

    ``preset`` are more settings of that, ``line`` the files of its command line.
    """
    host = _host(root, "ID=arch\n")
    image = "/boot/EFI/Linux/arch-linux.efi"
    host.tree.kernel(ARCH, running=True, image=False)
    _systemd_boot(host, f"{ROOT} quiet")
    host.tree.file("/etc/mkinitcpio.d/linux.preset", f"PRESETS=('default')\ndefault_uki=\"{image}\"\n{preset}")
    for place, text in ({"/etc/kernel/cmdline": f"{ROOT} quiet\n"} if line is None else line).items():
        host.tree.file(place, text)
    host.tree.directory("/boot/EFI/Linux")
    program(host, "mkinitcpio", MKINITCPIO)
    _ukify(host, ARCH)
    return _generated(host, "mkinitcpio", "-P")


# As 90-loaderentry.install of systemd 257 writes it.
KERNEL_INSTALL = """\
[ "$1" = add ] || exit 9
[ -e $R/refuse ] && { echo "kernel-install: no space left" >&2; exit 1; }
words=$(tr '\\n' ' ' < $R/proc/cmdline | sed 's/initrd=[^ ]* //')
[ -e $R/etc/kernel/cmdline ] && words=$(tr -s ' \\n' ' ' < $R/etc/kernel/cmdline)
token=$(cat $R/etc/machine-id)
mkdir -p $R/boot/$token/$2
cp $R$3 $R/boot/$token/$2/linux
echo image > $R/boot/$token/$2/initrd
cat > $R/boot/loader/entries/$token-$2.conf <<END
# Boot Loader Specification type#1 entry
# File created by /usr/lib/kernel/install.d/90-loaderentry.install (systemd 257)
title      Debian GNU/Linux 13 (trixie)
version    $2
machine-id $token
options    ${words% }
linux      /$token/$2/linux
initrd     /$token/$2/initrd
END
"""


def kernel_install(root: Path, settings: str | None = f"{ROOT} quiet\n") -> CmdlineHost:
    """Debian with systemd-boot and kernel-install's entries; ``settings`` is /etc/kernel/cmdline, None if there is none."""
    host = _host(root, "ID=debian\n")
    for release in (NEW, OLD):
        host.tree.kernel(release).file(f"/boot/vmlinuz-{release}", bzimage(release))
    host.tree.running(NEW).directory("/boot/loader/entries")
    _systemd_boot(host, f"initrd=\\{MACHINE}\\{NEW}\\initrd {ROOT} quiet")
    if settings is not None:
        host.tree.file("/etc/kernel/cmdline", settings)
    program(host, "kernel-install", KERNEL_INSTALL)
    for release in (NEW, OLD):
        _generated(host, "kernel-install", "add", release, f"/boot/vmlinuz-{release}")
    return host


def rocky(root: Path) -> CmdlineHost:
    """As its installer leaves it: without /etc/kernel/cmdline, and with GRUB's settings that its entries were made of."""
    host = fedora(root)
    host.tree.file("/etc/os-release", 'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="10.0"\n')
    host.tree.place("/etc/kernel/cmdline").unlink()
    host.tree.file("/etc/default/grub", 'GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="rhgb"\n')
    return host


# It gives all entries the arguments of /etc/kernel/cmdline, or of that in /usr/lib, and then of the files in cmdline.d.
SDBOOTUTIL = """\
[ "$1" = update-all-entries ] || exit 9
[ -e $R/refuse ] && { echo "sdbootutil: failed" >&2; exit 1; }
words=
add() { while read -r line; do [ "${line#\\#}" = "$line" ] && words="${words:+$words }$line"; done < "$1"; }
for x in $R/etc/kernel/cmdline $R/usr/lib/kernel/cmdline; do [ -f $x ] && { add $x; break; }; done
for x in $R/etc/kernel/cmdline.d/*; do [ -s $x ] && add $x; done
for x in $R/boot/efi/loader/entries/*.conf; do sed -i "s|^options .*|options $words|" $x; done
"""


def opensuse_sdbootutil(root: Path) -> CmdlineHost:
    """openSUSE with systemd-boot, and sdbootutil for its entries."""
    host = _host(root, 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n')
    release = "6.17.5-1-default"
    host.tree.kernel(release, running=True).file("/etc/sysconfig/bootloader", 'LOADER_TYPE="systemd-boot"\n')
    _systemd_boot(host, f"initrd=\\opensuse\\{release}\\initrd-1 {ROOT} quiet")
    folder = f"/boot/efi/opensuse-tumbleweed/{release}"
    host.tree.file(f"{folder}/linux-1", bzimage(release)).file(f"{folder}/initrd-1").file("/etc/kernel/cmdline", f"{ROOT} quiet\n")
    entry = f"title openSUSE\nversion {release}\noptions {ROOT} quiet\nlinux {folder[9:]}/linux-1\ninitrd {folder[9:]}/initrd-1\n"
    host.tree.file(f"/boot/efi/loader/entries/opensuse-tumbleweed-{release}-1.conf", entry)
    program(host, "sdbootutil", SDBOOTUTIL)
    return host


def opensuse_grub_entries(root: Path) -> CmdlineHost:
    """openSUSE with the GRUB that has no grub.cfg, and two kernels of which an EFI variable names the older."""
    host = opensuse_sdbootutil(root)
    release = "6.16.1-1-default"
    folder = f"/boot/efi/opensuse-tumbleweed/{release}"
    host.tree.kernel(release).file(f"{folder}/linux-2", bzimage(release)).file(f"{folder}/initrd-2")
    entry = f"title openSUSE\nversion {release}\noptions {ROOT} quiet\nlinux {folder[9:]}/linux-2\ninitrd {folder[9:]}/initrd-2\n"
    host.tree.file(f"/boot/efi/loader/entries/opensuse-tumbleweed-{release}-2.conf", entry)
    host.tree.file("/etc/sysconfig/bootloader", 'LOADER_TYPE="grub2-bls"\n').place("/boot/loader/loader.conf").unlink()
    host.tree.place("/boot/EFI/systemd").rmdir()
    efi_variable(host.tree, "LoaderInfo", "GRUB 2.14")
    efi_variable(host.tree, "LoaderEntryDefault", f"opensuse-tumbleweed-{release}-2.conf")
    host.tree.cmdline(f"BOOT_IMAGE=(hd0,gpt1){folder[9:]}/linux-2 {ROOT} quiet")
    return host


def proxmox(root: Path, *, grub: bool = False) -> CmdlineHost:
    """Proxmox VE whose partitions are not mounted: systemd-boot's entries on them have /etc/kernel/cmdline, or GRUB's its settings."""
    host = _host(root, "ID=debian\nVERSION_ID=13\n")
    kernels(host.tree, "6.17.2-1-pve").running("6.17.2-1-pve").directory("/etc/pve").file("/etc/kernel/proxmox-boot-uuids", "5C0F-7B12\n")
    if grub:
        host.tree.cmdline(f"BOOT_IMAGE=/vmlinuz-6.17.2-1-pve {ROOT} quiet").file("/etc/default/grub", SETTINGS)
        host.tree.file("/usr/sbin/grub-mkconfig", "for x in /etc/default/grub.d/*.cfg\n", 0o755)
    else:
        host.tree.directory("/sys/firmware/efi").file("/etc/kernel/cmdline", f"{ROOT} boot=zfs\n")
        host.tree.cmdline(f"initrd=\\EFI\\proxmox\\6.17.2-1-pve\\initrd.img-6.17.2-1-pve {ROOT} boot=zfs")
        efi_variable(host.tree, "LoaderInfo", "systemd-boot 257.9")
    program(
        host,
        "proxmox-boot-tool",
        '[ "$1" = refresh ] || exit 9\n[ -e $R/refuse ] && exit 1\necho once >> $R/refreshed\n',
        folder="/usr/sbin",
    )
    return host


U_BOOT_UPDATE = """\
[ -e $R/refuse ] && { echo "P: no kernel" >&2; exit 1; }
[ -e $R/etc/default/u-boot ] && . $R/etc/default/u-boot
if [ -z "$U_BOOT_PARAMETERS" ] && [ -f $R/etc/kernel/cmdline ]; then
  U_BOOT_PARAMETERS=$(sed -e 's/root=[^[:space:]]*//' -e 's/^[[:space:]]*//' $R/etc/kernel/cmdline)
fi
{
echo '## /boot/extlinux/extlinux.conf'
echo '## Do not edit this file manually, use: u-boot-update'
echo 'default l0'
number=0
for kernel in $(ls -r $R/boot/vmlinuz-*); do
  release=${kernel##*/vmlinuz-}
  printf 'label l%s\\n\\tmenu label Debian %s\\n\\tlinux /boot/vmlinuz-%s\\n' $number $release $release
  printf '\\tinitrd /boot/initrd.img-%s\\n' $release
  printf '\\tappend root=UUID=0f22fa61 %s\\n' "${U_BOOT_PARAMETERS:-ro quiet}"
  number=$((number + 1))
done
} > $R/boot/extlinux/extlinux.conf
"""


def u_boot(root: Path) -> CmdlineHost:
    """Debian with u-boot-menu, without settings of its own."""
    host = _host(root, "ID=debian\n")
    kernels(host.tree, NEW, OLD).running(NEW).cmdline(f"{ROOT} quiet").directory("/boot/extlinux").directory("/etc/default")
    program(host, "u-boot-update", U_BOOT_UPDATE, folder="/usr/sbin")
    return _generated(host, "u-boot-update")


def extlinux(root: Path) -> CmdlineHost:
    """A board whose extlinux.conf a person wrote."""
    host = _host(root, "ID=ubuntu\nID_LIKE=debian\n")
    kernels(host.tree, NEW).running(NEW).cmdline(f"{ROOT} quiet")
    text = f"TIMEOUT 30\nDEFAULT primary\nLABEL primary\n      MENU LABEL primary kernel\n      LINUX /boot/vmlinuz-{NEW}\n"
    host.tree.file("/boot/extlinux/extlinux.conf", f"{text}      INITRD /boot/initrd.img-{NEW}\n      APPEND {ROOT} quiet\n")
    return host


def started_by_firmware(root: Path) -> CmdlineHost:
    """A kernel that the firmware starts itself: nothing writes its arguments but efibootmgr."""
    host = _host(root, "ID=arch\n")
    host.tree.kernel(ARCH, running=True, image=False).file("/boot/vmlinuz-linux", bzimage(ARCH)).file("/boot/initramfs-linux.img")
    boot_option(host.tree, 1, "\\vmlinuz-linux", "Arch", f"{ROOT} initrd=\\initramfs-linux.img")
    boot_numbers(host.tree, "BootOrder", 1)
    boot_numbers(host.tree, "BootCurrent", 1)
    return host


def limine(root: Path) -> CmdlineHost:
    """A kernel that Limine starts by the entry in its own file."""
    host = started_by_firmware(root)
    boot_option(host.tree, 1, "\\EFI\\limine\\limine_x64.efi", "Limine")
    host.tree.file("/boot/EFI/limine/limine_x64.efi", b"MZ Limine 9.3.0")
    entry = f"/Arch\nprotocol: linux\npath: boot():/vmlinuz-linux\ncmdline: {ROOT}\nmodule_path: boot():/initramfs-linux.img\n"
    host.tree.file("/boot/limine.conf", entry)
    return host


def two_loaders(root: Path) -> CmdlineHost:
    """GRUB and extlinux, and nothing that says which of them boots."""
    host = debian(root)
    text = f"label l0\n linux /boot/vmlinuz-{NEW}\n append {ROOT} quiet\n"
    host.tree.file("/boot/extlinux/extlinux.conf", text).file("/boot/grub/grub.cfg", debian_grub((NEW,)))
    return host
