# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where changes of the root or of /usr are lost at the next boot, or are read by no boot loader."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.lost_changes import IMAGE, LostChanges, lost_changes
from ansible_collections.vfio.variants.plugins.module_utils._core.distribution.refusals import refusal
from ansible_collections.vfio.variants.tests.unit.trees import Tree

if t.TYPE_CHECKING:
    from pathlib import Path

DISK = "29 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n"
RUN = "31 29 0:24 / /run rw,nosuid - tmpfs tmpfs rw,size=1g\n"


def overlay(options: str, source: str = "overlay", kind: str = "overlay") -> str:
    return f"29 1 0:30 / / rw,relatime shared:1 - {kind} {source} rw,relatime,{options}\n"


CASPER = overlay("lowerdir=/filesystem.squashfs,upperdir=/cow/upper,workdir=/cow/work", "/cow")
OF_CLOUD = overlay("lowerdir=/media/root-ro,upperdir=/media/root-rw/overlay,workdir=/media/root-rw/overlay-workdir/_", "overlayroot")
OF_DRACUT = overlay("lowerdir=/run/rootfsbase,upperdir=/run/overlayfs,workdir=/run/ovlwork", "LiveOS_rootfs")
OF_ARCH = overlay("lowerdir=/run/archiso/airootfs,upperdir=/run/archiso/cowspace/p/upperdir,workdir=/w", "airootfs")
OF_CONTAINER = overlay("lowerdir=/var/lib/docker/overlay2/l/A,upperdir=/var/lib/docker/overlay2/3f/diff,workdir=/w")
DISABLE, CLOUD = "switch the overlay off with `raspi-config nonint disable_overlayfs`", "boot once with `overlayroot=disabled`"
LOST = {
    "a live system of Ubuntu": (CASPER, "boot=casper quiet", "/ is overlay, boot=casper", IMAGE),
    "a live system of Ubuntu that keeps a home": (CASPER, "boot=casper persistent", "/ is overlay, boot=casper", IMAGE),
    "a live system of Debian": (overlay("lowerdir=/l,upperdir=/run/live/overlay/rw"), "boot=live", "/ is overlay, boot=live", IMAGE),
    "a live system of Fedora": (OF_DRACUT, "root=live:CDLABEL=F rd.live.image", "/ is overlay, root=live:CDLABEL=F", IMAGE),
    "a live system of Arch": (OF_ARCH, "archisobasedir=arch", "/ is overlay, archisobasedir=arch", IMAGE),
    "a medium of Puppy": (overlay("br:/initrd/pup_rw", "unionfs", "aufs"), "pmedia=usbflash", "/ is aufs, pmedia=usbflash", IMAGE),
    "an image of Ubuntu's cloud": (OF_CLOUD, "overlayroot=tmpfs", "/ is overlay, overlayroot=tmpfs", CLOUD),
    "an image of Ubuntu's cloud over a disk": (OF_CLOUD, "overlayroot=/dev/sdb", "/ is overlay, overlayroot=/dev/sdb", CLOUD),
    "Raspberry Pi OS": (overlay("lowerdir=/lower,upperdir=/upper/data"), "boot=overlay root=/dev/x", "/ is overlay, boot=overlay", DISABLE),
    "systemd's overlay": (
        overlay("lowerdir=/sysroot,upperdir=/run/systemd/overlay-sysroot/upper"),
        "systemd.volatile=overlay",
        "/ is overlay, systemd.volatile=overlay",
        "boot once without `systemd.volatile=`",
    ),
    "an overlay in memory of which no word says anything": (
        OF_DRACUT + RUN,
        "",
        "/ is overlay, whose upperdir=/run/overlayfs is in memory",
        IMAGE,
    ),
    "an overlay in memory below a folder with a blank and a comma": (
        overlay(r"lowerdir=/l,upperdir=/run/of\040all\054day/up,workdir=/w") + RUN.replace("/run", r"/run/of\040all\054day"),
        "",
        "/ is overlay, whose upperdir=/run/of all,day/up is in memory",
        IMAGE,
    ),
    "a root in memory": (overlay("size=2g", "none", "tmpfs"), "", "/ is in memory, tmpfs", IMAGE),
    "an initramfs that stays": (overlay("size=2g", "rootfs", "rootfs"), "", "/ is in memory, rootfs", IMAGE),
    "an image that is only read": (overlay("ro", "/dev/loop0", "squashfs"), "", "/ is only read, squashfs", "build them into that image"),
    "an image as /usr": (
        f"{DISK}30 29 254:0 / /usr ro shared:2 - erofs /dev/mapper/usr ro\n",
        "",
        "/usr is only read, erofs",
        "build them into that image",
    ),
}
KEPT = {
    "a disk": (DISK + RUN, "boot=casper overlayroot=tmpfs"),
    "a container, whose upper folder cannot be seen": (OF_CONTAINER, "root=/dev/sda2"),
    "an overlay that is switched off": (OF_CONTAINER, "overlayroot=disabled systemd.volatile=no"),
    "an overlay over a disk that no program of these makes": (
        overlay("lowerdir=/l,upperdir=/media/rw/u") + "33 29 8:2 / /media/rw rw - ext4 /dev/sda2 rw\n",
        "",
    ),
    "a state in memory": (DISK, "systemd.volatile=state"),
    "extensions of systemd over /usr": (f"{DISK}30 29 0:40 / /usr ro - overlay sysext ro,lowerdir=/run/systemd/sysext/x:/usr\n", ""),
    "an image, whose mounts are not shown": ("", ""),
}


def host(root: Path, mounts: str, words: str) -> Tree:
    tree = Tree(root).cmdline(words)
    return tree.file("/proc/self/mountinfo", mounts) if mounts else tree


@pytest.mark.parametrize("name", LOST)
def test_changes_are_lost(tmp_path: Path, name: str) -> None:
    mounts, words, evidence, way = LOST[name]
    found = lost_changes(host(tmp_path, mounts, words).host())
    assert found is not None
    assert found.evidence == evidence
    assert found.way.startswith(way)


@pytest.mark.parametrize("name", KEPT)
def test_changes_stay(tmp_path: Path, name: str) -> None:
    assert lost_changes(host(tmp_path, *KEPT[name]).host()) is None


def test_a_folder_behind_a_link_is_in_memory(tmp_path: Path) -> None:
    tree = host(tmp_path, overlay("lowerdir=/l,upperdir=/over") + RUN, "").link("/over", "/run/overlay")
    assert lost_changes(tree.host()) == LostChanges("/ is overlay, whose upperdir=/over is in memory", IMAGE)


def test_a_user_may_try_it(tmp_path: Path) -> None:
    found = host(tmp_path, CASPER, "boot=casper").host()
    assert refusal(found, "policy") == (
        "This host is a system that keeps no changes (/ is overlay, boot=casper), where this collection writes no boot policy: it can be "
        f"tried at one's own risk with `allow_unsupported: true`; otherwise {IMAGE}."
    )
    assert refusal(found, "policy", allow_unsupported=True) is None
