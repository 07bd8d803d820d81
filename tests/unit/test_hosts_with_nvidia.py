# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with NVIDIA's own driver and its daemon, which loads the driver at boot: what the strategy `ids` comes to there."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.vfio.variants.tests.unit.driver_files import Driver, Entry, driver_file
from ansible_collections.vfio.variants.tests.unit.ordinary_packages import install
from ansible_collections.vfio.variants.tests.unit.policy_hosts import kernel, refused, run
from ansible_collections.vfio.variants.tests.unit.trees import ANY_VFIO, DEBIAN_13, NVIDIA_DISPLAY, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

CARD = "0000:3b:00.0"
CLAIM = {"devices": "10de:1db1", "driver": "vfio-pci"}
DAEMON = "/usr/bin/nvidia-persistenced"
ELF = b"\x7fELF\x02\x01\x01\0"
PARTS = {"": (), "-modeset": ("",), "-drm": ("-modeset", ""), "-uvm": ("",)}


def host(root: Path, files: str) -> Tree:
    """The driver's modules in files of that name, and the packages that start its daemon."""
    modules = {f"updates/dkms/{files}{part}": [NVIDIA_DISPLAY] if part == "" else [] for part in PARTS}
    tree = kernel(Tree(root), modules={"nouveau": [NVIDIA_DISPLAY], **modules, "vfio-pci": [ANY_VFIO]})
    here, drives = f"/lib/modules/{DEBIAN_13}", Driver(b"nvidia", (Entry(0x10DE, class_code=0x030000, class_mask=0xFF0000),))
    depends = tree.place(f"{here}/modules.dep").read_text(encoding="utf-8")
    for part, needed in PARTS.items():
        drivers = () if part else (drives,)
        content = driver_file(DEBIAN_13, drivers, name=f"nvidia{part}".replace("-", "_"), aliases=() if part else (NVIDIA_DISPLAY,))
        tree.file(f"{here}/updates/dkms/{files}{part}.ko", content)
        others = "".join(f" updates/dkms/{files}{one}.ko" for one in needed)
        depends = depends.replace(f"{files}{part}.ko:\n", f"{files}{part}.ko:{others}\n")
    tree.file(f"{here}/modules.dep", depends).directory("/etc/modprobe.d").pci(CARD, driver=None)
    install(tree, "trixie", ("nvidia",))
    sums = f"{hashlib.md5(ELF, usedforsecurity=False).hexdigest()}  {DAEMON[1:]}\n"
    return tree.file(DAEMON, ELF, 0o755).file("/var/lib/dpkg/info/daemon.md5sums", sums)


def alternatives(tree: Tree) -> Tree:
    """What Debian's alternatives make of the packages' files."""
    for path, target in (("modprobe.d/nvidia", "modprobe"), ("modprobe.d/nvidia-blacklists-nouveau", "blacklists-nouveau")):
        tree.link(f"/etc/{path}.conf", f"../nvidia/current/nvidia-{target}.conf")
    return tree.link("/etc/modules-load.d/nvidia.conf", "../nvidia/current/nvidia-load.conf")


def test_an_install_line_that_passes_the_softdep_by_is_refused_for_certain(tmp_path: Path) -> None:
    said = refused(alternatives(host(tmp_path, "nvidia-current")), CLAIM, strategy="ids")
    assert f"gives {CARD} (10de:1db1) to vfio-pci, but on kernel {DEBIAN_13} it will be bound to nvidia" in said
    assert "/etc/modprobe.d/nvidia.conf:1: install nvidia modprobe -i nvidia-current" in said


def test_a_softdep_that_is_obeyed_wins_for_certain(tmp_path: Path) -> None:
    tree = host(tmp_path, "nvidia")
    assert run(tree, CLAIM, strategy="ids", require_certain=True)["warnings"] == []
