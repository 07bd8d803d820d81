# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host on which runs are disturbed, what is done to it, and how it is compared."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.apply.image_sync import SyncRequest, sync_images
from ansible_collections.vfio.variants.plugins.module_utils._core.apply.unfinished import unfinished_work
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.tests.unit import policy_hosts
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.module_commands import ModuleCommands
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

IMAGE = f"/boot/initrd.img-{DEBIAN_13}"
LOADER_COPY = "boot/loader-copy"
LOADER_HOOKS = "/etc/initramfs/post-update.d"
NOT_STATE = ("run", "var/cache", "refreshed", "tmp-cmdline", "proc", "sys")
"""What is not a host's state: the lock, what can be read again, and what the model of a program notes for itself."""
OF_SED = "sed"
"""How the temporary files begin that `sed -i` leaves behind if it is killed; nobody but it knows them."""
Entry = tuple[str, int, bytes | str]
Snapshot = dict[str, Entry]
Owners = dict[str, frozenset[str | None]]

# As mkinitramfs does it, but from the tree that it is in: the real one packs this machine's files only.
GENERATOR = r"""#!/bin/sh
set -e
root=${0%/usr/sbin/mkinitramfs}
target=$2 release=$3
stage=$(mktemp -d "$TMPDIR/mkinitramfs_XXXXXX")
mkdir -p "$stage/etc/modprobe.d" "$stage/usr/lib/udev/rules.d" "$stage/usr/lib/modules" "$stage/conf"
ln -s usr/lib "$stage/lib"
for file in "$root"/etc/modprobe.d/*.conf; do [ -e "$file" ] && cp "$file" "$stage/etc/modprobe.d/"; done
cp "$root"/usr/lib/udev/rules.d/*.rules "$stage/usr/lib/udev/rules.d/"
for file in "$root"/etc/udev/rules.d/*.rules; do [ -e "$file" ] && cp "$file" "$stage/usr/lib/udev/rules.d/"; done
here=usr/lib/modules/$release
mkdir -p "$stage/$here"
cp -r "$root/lib/modules/$release/." "$stage/$here/"
wanted=$(cat "$root"/etc/initramfs-tools/hooks/* 2>/dev/null | sed -n 's/^manual_add_modules //p')
case " $wanted " in *" nvlink2gpu_vfio_pci "*) ;; *) rm -rf "$stage/$here/updates"; sed -i /nvlink2gpu/d "$stage/$here"/modules.*;; esac
find "$stage" -exec touch -h -d @0 {} +
(cd "$stage" && find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc | gzip -n) > "$target"
rm -rf "$stage"
"""


def make_host(root: Path, loader_hooks: bool, bare: bool = False) -> Tree:
    """Two V100 and a network card, a generator of images, and if asked a boot loader that images are copied to."""
    tree = policy_hosts.gpu_host(root)
    tree.file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n").file("/proc/sys/kernel/random/boot_id", "this-boot\n")
    if not bare:
        tree.directory("/etc/udev/rules.d").directory("/etc/modules-load.d")
    tree.file("/usr/sbin/mkinitramfs", GENERATOR, 0o755)
    tree.file("/usr/sbin/update-initramfs", "#!/bin/sh\n", 0o755).file("/etc/modprobe.d/site.conf", "blacklist pcspkr\n")
    tree.directory("/var/lib").directory("/var/cache").directory("/run")
    if loader_hooks:
        copy = '#!/bin/sh\nexec cp "${0%/etc/initramfs/*}$2" "${0%/etc/initramfs/*}/boot/loader-copy"\n'
        tree.file(f"{LOADER_HOOKS}/loader", copy, 0o755)
    return tree


def build_first_image(tree: Tree) -> None:
    """The image that the distribution has built when the kernel was installed."""
    with tempfile.TemporaryDirectory(prefix="vfio-variants-faults-") as folder:
        argv = [str(tree.place("/usr/sbin/mkinitramfs")), "-o", str(tree.place(IMAGE)), DEBIAN_13]
        subprocess.run(argv, env={**os.environ, "TMPDIR": folder}, check=True)


def remove_policy(tree: Tree, check_mode: bool) -> dict[str, t.Any]:
    return policy_hosts.run(tree, check=check_mode, state="absent")


def rebuild_images(tree: Tree, check_mode: bool, timeout: int = 60) -> dict[str, t.Any]:
    commands = ModuleCommands(tree.root)
    return sync_images(tree.host(_below(tree, commands)), SyncRequest(timeout=timeout), check_mode).result()


def _below(tree: Tree, commands: ModuleCommands) -> t.Any:
    """A runner for which the boot loader's hooks are the tree's own."""

    def run(args: list[str], **options: t.Any) -> tuple[int, str, str]:
        return commands([str(tree.place(arg)) if arg == LOADER_HOOKS else arg for arg in args], **options)

    return run


def snapshot(root: Path) -> Snapshot:
    """Every file, folder and link with its permissions and content."""
    found: Snapshot = {}
    for folder, names, files in os.walk(root):
        here = os.path.relpath(folder, root)
        names[:] = [name for name in names if os.path.normpath(f"{here}/{name}") not in NOT_STATE]
        kept = (name for name in files if not name.startswith(OF_SED) and os.path.normpath(f"{here}/{name}") not in NOT_STATE)
        for name in (*names, *kept):
            place = os.path.join(folder, name)
            mode = os.lstat(place).st_mode
            content: bytes | str = ""
            if stat.S_ISREG(mode):
                with open(place, "rb") as file:
                    content = file.read()
            elif stat.S_ISLNK(mode):
                content = os.readlink(place)
            found[os.path.normpath(f"{here}/{name}")] = (str(stat.S_IFMT(mode)), stat.S_IMODE(mode), content)
    return found


def owners(root: Path) -> Owners:
    """Who may own each card after the next boot, by the forecast's own answer."""
    report = device_info(Tree(root).host(ModuleCommands(root)))
    cards = (device for device in report["devices"] if device["driver"])
    return {card["address"]: frozenset(card["kernels"][DEBIAN_13]["outcomes"]) for card in cards}


def unfinished(root: Path) -> list[str]:
    """The operations that claim_info reports as not ended."""
    host = Tree(root).host()
    return [work.operation for work in unfinished_work(host, Inventory.read(host))]
