# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device nodes that a driver makes for all its cards at once: whom of their users a card has.

Where the kernel does not say with which cards such a process works, it works with all.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import head_text
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.nvswitch import SETTINGS, SHARED, mode_in

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_processes import Open, Processes

KFD = "/dev/kfd"
NVIDIA_CONTROL = "/dev/nvidiactl"
NODES: t.Mapping[str, tuple[str, ...]] = {
    "amdgpu": (KFD,),
    "nvidia": (NVIDIA_CONTROL, "/dev/nvidia-uvm", "/dev/nvidia-modeset"),
    "ccp": ("/dev/sev",),
    "megaraid_sas": ("/dev/megaraid_sas_ioctl_node",),
    **dict.fromkeys(("sfc", "sfc_ef100", "xilinx_efct"), ("/dev/onload", "/dev/onload_epoll", "/dev/sfc_char")),
    "mpt3sas": ("/dev/mpt3ctl", "/dev/mpt2ctl"),
    **dict.fromkeys(("mptsas", "mptspi", "mptfc"), ("/dev/mptctl",)),
    "ib_qib": ("/dev/ipath",),
    "lpfc": ("/dev/lpfcmgmt",),
    "vmw_vmci": ("/dev/vmci",),
    "vboxguest": ("/dev/vboxguest", "/dev/vboxuser"),
}
"""By driver.  Their misc devices have no parent in sysfs; NVIDIA's are in no class at all."""
MOST_NUMBERS = 32
NUMBERED: t.Mapping[str, str] = {
    "aacraid": "/dev/aac",
    "3w-9xxx": "/dev/twa",
    "3w-sas": "/dev/twl",
    "3w-xxxx": "/dev/twe",
    "pmcraid": "/dev/pmcsas",
    "megaraid": "/dev/megadev",
    "megaraid_legacy": "/dev/megadev",
    "hfi1": "/dev/hfi1_",
    "ib_qib": "/dev/ipath",
}
"""By driver, nodes with a number each, of which sysfs does not say which card has it (programs make some of them themselves)."""
ETHERCAT, NODE_OF_ETHERCAT = "ec_", "/dev/EtherCAT"
"""What the names of the drivers of IgH's EtherCAT master begin with, and the nodes of its masters."""
NODES_OF_QAT, MODULES_OF_QAT = ("/dev/qat_adf_ctl",), "qat_"
"""The drivers of these modules have names such as 4xxx and c6xx (adf_accel_devices.h)."""
IPMI, IPMI_WATCHDOG = "ipmi_si", "/sys/module/ipmi_watchdog"
"""Its node has no parent either, and it works through whichever interface there is (drivers/char/ipmi/ipmi_watchdog.c)."""
CARD_OF_NVIDIA = re.compile(r"/dev/nvidia\d+")
NUMBER_OF_NVIDIA = re.compile(r"195:(?!25[45]$)\d+")
"""Nodes of one card each: major 195, of which 254 and 255 are those for setting modes and for all (nv.c of its open kernel modules)."""
FABRIC = "/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt"
MINOR_OF_CAPABILITY = re.compile(r"^DeviceFileMinor:\s*(\d+)", re.MULTILINE)
"""The node that root alone can open, and that who configures NVSwitches must have (nvlink_caps.c, fm_session_api.c there)."""
SETTINGS_OPTIONS = ("-c", "--config")
WITHOUT_FABRIC = "stop it (`systemctl stop nvidia-fabricmanager`), and start it again afterwards for those that stay"
LARGEST_COMMAND, LARGEST_SETTINGS = 4096, 1 << 20
PROPERTY = re.compile(r"^(domain|location_id) ([0-9]{1,10})$", re.MULTILINE)
PLACE = 0x0FFFFFFF
"""The bits of location_id behind those with the number of a partition (kfd_topology.c)."""
PLATFORM = "/sys/devices/platform"
TOPOLOGY, COMPUTING = "/sys/class/kfd/kfd/topology/nodes", "/sys/class/kfd/kfd/proc"


def shared_users(host: Host, processes: Processes, function: Device, module: str) -> t.Iterator[str]:
    """A clause for each process that has such a node open and may work with this function, whose driver is in ``module``."""
    driver = function.driver or ""
    nodes = NODES_OF_QAT if module.startswith(MODULES_OF_QAT) else NODES.get(driver, ())
    numbered = NODE_OF_ETHERCAT if driver.startswith(ETHERCAT) else NUMBERED.get(driver)
    if numbered is not None:
        nodes = (*nodes, *(f"{numbered}{number}" for number in range(MOST_NUMBERS)))
    if driver == "amdgpu":
        nodes = (*nodes, *_nodes_of_partitions(host))
    if driver == IPMI and host.is_dir(IPMI_WATCHDOG):
        nodes = (*nodes, "/dev/watchdog")
    for found in processes.having(nodes) if nodes else ():
        if _works_with_others_only(host, processes, function, found):
            continue
        clause = f"{found.what}, which is for all cards of {driver}"
        if driver == "nvidia" and (found.node or found.path) == NVIDIA_CONTROL and _manages_fabric(host, processes, found.process):
            mode = _mode_of(host, found.process)
            # It has the switches alone then, and the cards are for guests (Fabric Manager User Guide, Shared NVSwitch).
            if mode == SHARED:
                continue
            clause += f": it is the fabric manager (FABRIC_MODE={mode}), which may keep the cards; {WITHOUT_FABRIC}"
        yield clause


def _manages_fabric(host: Host, processes: Processes, process: str) -> bool:
    minor = MINOR_OF_CAPABILITY.search(host.text_or_none(FABRIC) or "")
    return minor is not None and any(other.path == f"/dev/nvidia-caps/nvidia-cap{minor[1]}" for other in processes.of(process))


def _mode_of(host: Host, process: str) -> int:
    """The mode of a fabric manager that runs, perhaps in a container, by its own settings."""
    words = head_text(host, f"/proc/{process}/cmdline", LARGEST_COMMAND).split("\0")
    named = next((words[place + 1] for place, word in enumerate(words[:-1]) if word in SETTINGS_OPTIONS), SETTINGS)
    own = host.head(f"/proc/{process}/root{named}", LARGEST_SETTINGS) if named.startswith("/") else None
    text = own if own is not None else host.head(SETTINGS, LARGEST_SETTINGS)
    return mode_in((text or b"").decode("utf-8", "surrogateescape"))


def _works_with_others_only(host: Host, processes: Processes, function: Device, found: Open) -> bool:
    if (found.node or found.path) == KFD:
        return _computes_elsewhere(host, function.address, found.process)
    if function.driver != "nvidia":
        return False
    # The driver's own programs open the node of each card that they work with, which is judged by itself.
    return any(
        CARD_OF_NVIDIA.fullmatch(other.node or other.path) or (other.number is not None and NUMBER_OF_NVIDIA.fullmatch(other.number))
        for other in processes.of(found.process)
    )


def _computes_elsewhere(host: Host, address: str, process: str) -> bool:
    """Whether the kernel says that the process has neither memory nor a queue on the card (kfd_process.c)."""
    here = f"{COMPUTING}/{process}"
    cards = frozenset(_numbers_for_computing(host, address))
    counted = [name for name in host.names(here) if name.startswith("vram_")]
    if not cards or not counted:
        return False
    queues = {host.text_or_none(f"{here}/queues/{queue}/gpuid") for queue in host.names(f"{here}/queues")}
    has_memory = any(f"vram_{card}" in counted and host.text_or_none(f"{here}/vram_{card}") != "0" for card in cards)
    return not has_memory and not cards & queues


def _numbers_for_computing(host: Host, address: str) -> t.Iterator[str]:
    """The IDs of a card, and of its partitions, among those that compute, by its place: domain, then bus, device and function in one."""
    domain, bus, rest = address.split(":")
    slot, function = rest.split(".")
    place = (int(domain, 16), int(bus, 16) << 8 | int(slot, 16) << 3 | int(function))
    for node in host.names(TOPOLOGY):
        number = host.text_or_none(f"{TOPOLOGY}/{node}/gpu_id")
        known = dict(PROPERTY.findall(host.text_or_none(f"{TOPOLOGY}/{node}/properties") or ""))
        if number is not None and number != "0" and place == (int(known.get("domain", "0")), int(known.get("location_id", "0")) & PLACE):
            yield number


def _nodes_of_partitions(host: Host) -> t.Iterator[str]:
    """Those of a divided GPU of AMD, which are no devices below it (amdgpu_xcp_drv.c)."""
    for device in host.names(PLATFORM):
        if device.startswith("amdgpu_xcp"):
            yield from (f"/dev/dri/{name}" for name in host.names(f"{PLATFORM}/{device}/drm"))
