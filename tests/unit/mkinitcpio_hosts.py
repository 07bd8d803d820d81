# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host like Arch: a kernel whose image is named after its package, and a mkinitcpio that reads settings as the real one does.

It takes /etc/mkinitcpio.conf and then the drop-ins in their version's order, unless `-c` names a file, makes lists of plain strings,
and packs FILES, and the files of MODULES that the kernel has; one without `?` that it lacks is an error.
"""

from __future__ import annotations

import sys
import typing as t

from ansible_collections.vfio.variants.tests.unit.boot_menus import bzimage
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.images import archive
from ansible_collections.vfio.variants.tests.unit.policy_hosts import BUILT, kernel
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

RELEASE, PACKAGE = "6.12.1-arch1-1", "linux"
IMAGE = f"/boot/initramfs-{PACKAGE}.img"
PRESET = f"/etc/mkinitcpio.d/{PACKAGE}.preset"
PRESET_TEXT = f"""# mkinitcpio preset file for the '{PACKAGE}' package
#ALL_config="/etc/mkinitcpio.conf"
ALL_kver="/boot/vmlinuz-{PACKAGE}"
PRESETS=('default')
#default_config="/etc/mkinitcpio.conf"
default_image="{IMAGE}"
#default_uki="/efi/EFI/Linux/arch-{PACKAGE}.efi"
"""
GRUB = f"""menuentry 'Arch Linux' {{
    linux /boot/vmlinuz-{PACKAGE} root=/dev/sda1 ro
    initrd {IMAGE}
}}
"""
PROGRAM = r"""#!/bin/bash
root=ROOT target= unify= release= config= builderrors=0
while (( $# )); do
    case "$1" in
        -k) release="$2"; shift ;;
        -g) target="$2"; shift ;;
        -U) target="$2" unify=1; shift ;;
        -c) config="$root$2"; shift ;;
        -S) echo "skipped $2"; shift ;;
        *) echo "unknown option $1" >&2; exit 9 ;;
    esac
    shift
done
stage="$(mktemp -d)"
if [[ -n "$config" ]]; then
    cat "$config" > "$stage.conf"
else
    cat "$root/etc/mkinitcpio.conf" > "$stage.conf"
    mapfile -t names < <(find "$root/etc/mkinitcpio.conf.d" -name '*.conf' 2> /dev/null | sed 's/.*\///' | LC_ALL=C.UTF-8 sort -V)
    for name in "${names[@]}"; do
        sed "s, /etc/, $root/etc/,g" "$root/etc/mkinitcpio.conf.d/$name" >> "$stage.conf"
    done
fi
MODULES=() FILES=() HOOKS=()
. "$stage.conf"
[[ ${MODULES@a} == *a* ]] || read -ra MODULES <<< "$MODULES"
[[ ${FILES@a} == *a* ]] || read -ra FILES <<< "$FILES"
added=()
for name in "${MODULES[@]}"; do
    found="$(find "$root/lib/modules/$release" -name "$(sed 's/[-_]/[-_]/g' <<< "${name%\?}").ko")"
    if [[ -n "$found" ]]; then
        mkdir -p "$stage$(dirname "${found#"$root"}")"
        cp "$found" "$stage${found#"$root"}"
        added+=("${name%\?}")
    elif [[ "$name" != *\? ]]; then
        echo "==> ERROR: module not found: $name" >&2
        builderrors=1
    fi
done
for name in "${FILES[@]}"; do
    mkdir -p "$stage$(dirname "${name#"$root"}")"
    cp "$name" "$stage${name#"$root"}"
done
printf 'MODULES="%s"\n' "${added[*]}" > "$stage/config"
touch "$stage/init_functions"
(cd "$stage" && find . -mindepth 1 -exec touch -h -d @0 {} +)
(cd "$stage" && find . -mindepth 1 | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc) > "$stage.cpio"
if [[ -n "$unify" ]]; then
    "$root/unify.py" "$stage.cpio" "$target" "$release"
else
    cp "$stage.cpio" "$target"
fi
rm "$stage.cpio"
rm -r "$stage" "$stage.conf"
exit "$builderrors"
"""


UNIFY = """#!{python}
import pathlib, sys
sys.path[:0] = {path!r}
from ansible_collections.vfio.variants.tests.unit.boot_menus import unified_image
initrd, target, release = sys.argv[1:]
sections = [(".osrel", b"ID=arch\\nPRETTY_NAME=Arch\\n"), (".cmdline", b"root=/dev/sda1 ro"), (".uname", release.encode())]
sections.append((".linux", b"MZ"))
pathlib.Path(target).write_bytes(unified_image([*sections, (".initrd", pathlib.Path(initrd).read_bytes())]))
"""


def arch_host(root: Path, settings: str = "MODULES=()\n", preset: str = PRESET_TEXT) -> Tree:
    """Two V100 with nouveau and the variant built, on a host whose image lacks every policy."""
    tree = kernel(Tree(root), RELEASE, BUILT)
    tree.file("/etc/os-release", "ID=arch\n").file(f"/lib/modules/{RELEASE}/pkgbase", f"{PACKAGE}\n").directory("/etc/modprobe.d")
    tree.pci("0000:3b:00.0", driver="nouveau").pci("0000:5e:00.0", driver="nouveau")
    tree.place(f"/boot/vmlinuz-{RELEASE}").unlink()
    tree.file(f"/boot/vmlinuz-{PACKAGE}", bzimage(RELEASE)).file(f"/lib/modules/{RELEASE}/vmlinuz", bzimage(RELEASE))
    tree.file(IMAGE, archive({"config": 'MODULES=""\n', "init_functions": "", "init": "#!/usr/bin/ash\n"})).file(
        "/boot/grub/grub.cfg", GRUB
    ).file(PRESET, preset).file("/etc/mkinitcpio.conf", settings)
    tree.file("/unify.py", UNIFY.format(python=sys.executable, path=sys.path), 0o755)
    tree.file("/usr/bin/mkinitcpio", PROGRAM.replace("ROOT", str(tree.root), 1), 0o755)
    return tree


def host_of(tree: Tree) -> Host:
    return tree.host(Commands(tree.root))
