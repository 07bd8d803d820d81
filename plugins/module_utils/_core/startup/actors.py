# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of packages that are known to act on drivers, or to be simulated elsewhere: their files being intact says nothing of that."""

from __future__ import annotations

import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import ACTS, Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import bounds, tokens

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership

UNBOUNDED: t.Final[frozenset[Act]] = ACTS - {"lock"}
# They call modprobe with these names (nvidia-modprobe-utils.c in NVIDIA's nvidia-modprobe, which persistenced and libraries share).
_NVIDIA = frozenset(("nvidia", "nvidia_uvm", "nvidia_modeset"))
# Debian's files are nvidia_current, nvidia_tesla_535 and the like, to which lines of modprobe.d lead.
_NVIDIA_FILE = re.compile(r"nvidia(?:_\w+)?")
_LOADS_NVIDIA = frozenset(
    ("nvidia-modprobe", "nvidia-persistenced", "nvidia-smi", "nvidia-powerd", "nvidia-ctk", "nvidia-fabricmanager", "nv-fabricmanager")
)
# Simulated or judged from their configuration.
_SIMULATED = frozenset(
    "driverctl dpdk-init systemd-udevd udevadm systemd-modules-load systemd-tmpfiles systemd-sysctl systemd-fsck systemd"
    " NetworkManager".split()
)
# They bind where the words after them say so, which the text shows.
_TOLD_BY_WORDS = frozenset(
    ("dpdk-devbind.py", "dpdk-devbind", "virsh", "supergfxctl", "qm", "pvesh", "xl", "modprobe", "kmod", "insmod", "rmmod")
)
# Kubernetes and its distributions, OpenStack's and OpenNebula's agents: what they do is decided elsewhere.
_AGENTS = frozenset(("kubelet", "k3s", "k0s", "rke2", "kubelite", "microk8s", "nomad", "vfio-manage", "sriov-network-config-daemon"))
SPDK = re.compile(rb"PCI_ALLOWED|PCI_WHITELIST")
_STORAGE = (0x01, 0x08)


def acts_of(
    tree: FileTree,
    path: str,
    ownership: Ownership,
    source: str,
    command: str,
    inventory: Inventory | None,
    kernel: Kernel,
) -> tuple[Influence, ...] | None:
    """What a program that is known does; None for one that is not."""
    name = posixpath.basename(path)
    changed = ownership.is_readable and not ownership.is_intact(path)
    if name in _AGENTS:
        return (Influence(source, f"runs {path}, which binds devices as its cluster asks", UNBOUNDED),)
    if name == "setup.sh" and SPDK.search(tree.head(path, 1 << 18) or b""):
        return (_spdk(source, path, command, inventory),)
    if changed and not path.startswith(("/opt/", "/usr/local/")):
        return None
    if name in _LOADS_NVIDIA:
        loads = Influence(source, f"runs {path}, which loads nvidia", frozenset(("load",)), modules=_NVIDIA, by_modprobe=True)
        return (loads,) if any(_NVIDIA_FILE.fullmatch(module) for module in kernel.modules) else ()
    if name in _SIMULATED or name in _TOLD_BY_WORDS:
        return () if path.startswith(("/usr/", "/bin/", "/sbin/", "/lib/")) and not path.startswith("/usr/local/") else None
    return _laptops(tree, name, source, inventory, kernel)


def _spdk(source: str, path: str, command: str, inventory: Inventory | None) -> Influence:
    """SPDK's script takes the devices that PCI_ALLOWED names, else every NVMe controller and DMA engine."""
    named = tokens.addresses(command) if "PCI_ALLOWED" in command or "PCI_WHITELIST" in command else frozenset()
    reached = named or bounds.of_class(inventory, None, _STORAGE)
    return Influence(source, f"runs {path}, which binds NVMe controllers and DMA engines", UNBOUNDED, reached)


_SUPERGFX = "/etc/supergfxd.conf"
_BUMBLEBEE = "/etc/bumblebee/bumblebee.conf"
_GPUS = frozenset((0x10DE, 0x1002))
_DISPLAY = (0x03,)


def _laptops(tree: FileTree, name: str, source: str, inventory: Inventory | None, kernel: Kernel) -> tuple[Influence, ...] | None:
    """Daemons that switch a laptop's second GPU off, to VFIO, or back."""
    if name == "supergfxd":
        text = (tree.head(_SUPERGFX, 1 << 16) or b"").decode("utf-8", "replace")
        mode = re.search(r'"mode"\s*:\s*"(\w+)"', text)
        if mode is not None and mode[1] == "Hybrid" and not re.search(r'"always_reboot"\s*:\s*true', text):
            acts: frozenset[Act] = frozenset(("load",))
        else:
            acts = UNBOUNDED
        reached = bounds.of_class(inventory, _GPUS, _DISPLAY)
        return (Influence(source, f"runs supergfxd in mode {mode[1] if mode else 'unknown'} ({_SUPERGFX})", acts, reached),)
    if name in ("optimus-manager-daemon", "optimus-manager-pre-xorg", "optimus-manager"):
        return (
            Influence(source, f"runs {name}, which switches GPUs", UNBOUNDED, bounds.of_class(inventory, frozenset((0x10DE,)), _DISPLAY)),
        )
    if name == "bumblebeed":
        if not kernel.has("bbswitch"):
            return ()
        reached = bounds.of_class(inventory, frozenset((0x10DE,)), _DISPLAY)
        return (Influence(source, f"runs bumblebeed, which switches the NVIDIA GPU off ({_BUMBLEBEE})", UNBOUNDED, reached),)
    return None
