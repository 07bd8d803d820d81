# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""initramfs images as initramfs-tools and dracut lay them out, as far as it decides about drivers.

Each is a mapping for `images.archive()`; what is added to it comes with `| {"etc/modprobe.d/site.conf": "blacklist nouveau\\n"}`.
"""

from __future__ import annotations

import typing as t
from types import MappingProxyType

from ansible_collections.vfio.variants.tests.unit.images import Folder, Link
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, DRIVERS_RULES_TEXT, E1000E

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.tests.unit.images import Entry

    Entries = dict[str, Entry]

DISK_AND_NET: t.Mapping[str, t.Sequence[str]] = MappingProxyType({"e1000e": [E1000E], "ext4": []})
"""Modules with their aliases, in depmod's order."""
IMAGE = f"/boot/initrd.img-{DEBIAN_13}"
PRE_UDEV_SCRIPT = """\
#!/bin/sh
_modprobe_d=/run/modprobe.d
for i in $(getargs rd.driver.pre); do
    (IFS=,; for p in $i; do modprobe "$p"; done)
done
"""
# As dracut 106 of Debian writes them into each image; the rules are in no root.
ROOT_FALLBACK = """\
#!/bin/sh

command -v getarg > /dev/null || . /lib/dracut-lib.sh

for root in $(getargs rootfallback=); do
    root=$(label_uuid_to_dev "$root")
    if mount "$root" /sysroot; then
        info "Mounted rootfallback $root"
        exit 0
    fi
done
"""
STORAGE_RULES = """\
SUBSYSTEM!="block", GOTO="ps_end"
ACTION!="add|change", GOTO="ps_end"
# Also don't process disks that are slated to be a multipath device
ENV{DM_MULTIPATH_DEVICE_PATH}=="1", GOTO="ps_end"

KERNEL=="cciss[0-9]*", IMPORT{builtin}="blkid"
KERNEL=="nbd[0-9]*", IMPORT{builtin}="blkid"

LABEL="ps_end"
"""
SYSTEMD_256 = "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-256.so"


def modules_of(release: str, modules: t.Mapping[str, t.Sequence[str]]) -> Entries:
    """A module tree with the indexes that depmod makes."""
    here = f"usr/lib/modules/{release}"
    paths = {name: f"kernel/drivers/{name}.ko" for name in modules}
    aliases = "".join(f"alias {pattern} {name.replace('-', '_')}\n" for name, patterns in modules.items() for pattern in patterns)
    return {
        "lib": Link("usr/lib"),
        **{f"{here}/{path}": b"\x7fELF" for path in paths.values()},
        f"{here}/modules.dep": "".join(f"{path}:\n" for path in paths.values()),
        f"{here}/modules.alias": aliases,
        f"{here}/modules.alias.bin": b"\xb0\x07\xf4\x57",
        f"{here}/modules.builtin": "",
        "usr/lib/udev/rules.d/80-drivers.rules": DRIVERS_RULES_TEXT,
    }


def initramfs_tools(
    modules: t.Mapping[str, t.Sequence[str]] = DISK_AND_NET,
    scripts: t.Sequence[str] = ("all_generic_ide", "blacklist", "keymap", "udev"),
    release: str = DEBIAN_13,
) -> Entries:
    """``scripts`` are those of init-top, in order."""
    called = "".join(f'/scripts/init-top/{name} "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n' for name in scripts)
    return {
        **modules_of(release, modules),
        "scripts/functions": "# -*- shell-script -*-\nload_modules() { /sbin/modprobe $m; }\n",
        "scripts/init-top/ORDER": called,
        **{f"scripts/init-top/{name}": "#!/bin/sh\n" for name in scripts},
    }


def dracut(modules: t.Mapping[str, t.Sequence[str]] = DISK_AND_NET, with_systemd: bool = True, release: str = DEBIAN_13) -> Entries:
    entries: Entries = {**modules_of(release, modules), "usr/lib/dracut/build-parameter.txt": " -q --force\n"}
    if not with_systemd:
        return {
            **entries,
            "usr/lib/dracut/hooks/cmdline/01-parse-kernel.sh": "for i in $(getargs rd.driver.pre); do\n  modprobe $i\ndone\n",
        }
    return {
        **entries,
        **{folder: Folder() for folder in ("dev", "proc", "run", "sys", "sysroot", "tmp")},
        "var/lib/dracut/hooks/initqueue/timeout/99-rootfallback.sh": ROOT_FALLBACK,
        "etc/udev/rules.d/59-persistent-storage.rules": STORAGE_RULES,
        "usr/lib/systemd/systemd": b"\x7fELF",
        SYSTEMD_256: b"\x7fELF",
        "usr/bin/dracut-pre-udev": PRE_UDEV_SCRIPT,
        "usr/lib/systemd/system-generators/systemd-debug-generator": b"\x7fELF",
    }
