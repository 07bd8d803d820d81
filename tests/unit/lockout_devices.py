# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that something works with although no node below them is open: by nodes of a whole driver, in the kernel, in a container."""

from __future__ import annotations

from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, Case, Host

TOPOLOGY = "/sys/class/kfd/kfd/topology/nodes"
NVIDIA = "/proc/driver/nvidia"


def amd(host: Host) -> Host:
    """A GPU of AMD as its driver's compute part lists it: node 1, with ID 4711 there; location_id is bus 03, function 0."""
    host.function("gpu", id="1002:740f", driver="amdgpu", class_code=0x038000)
    host.file(f"{TOPOLOGY}/0/gpu_id", "0\n").file(f"{TOPOLOGY}/0/properties", "cpu_cores_count 8\nlocation_id 0\ndomain 0\n")
    return host.file(f"{TOPOLOGY}/1/gpu_id", "51823\n").file(f"{TOPOLOGY}/1/properties", "simd_count 440\nlocation_id 768\ndomain 0\n")


def nvidia(host: Host) -> Host:
    """A GPU with the node nvidia2, which nobody has open."""
    return host.function("gpu", driver="nvidia").file(f"{NVIDIA}/gpus/{CARD}/information", "Model: \t\t V100\nDevice Minor: \t 2\n")


def accelerator(host: Host) -> Host:
    """A card whose driver is not called as its module is."""
    host.tree.module("qat_4xxx", drivers=["4xxx"])
    return host.function("nic", id="8086:4940", class_code=0x0B4000, driver="4xxx")


def hardware_algorithm(host: Host, references: int = 2) -> Host:
    """A card whose driver, by the module that it uses, gives the kernel an algorithm."""
    accelerator(host)
    host.file("/proc/modules", "qat_4xxx 40960 0 - Live 0x0\nintel_qat 400000 1 qat_4xxx, Live 0x0\n")
    block = "name         : xts(aes)\ndriver       : qat_aes_xts\nmodule       : intel_qat\npriority     : 100\n"
    return host.file("/proc/crypto", f"{block}refcnt       : {references}\nselftest     : passed\ntype         : skcipher\n\n")


def container(host: Host, *given: str, kind: str = "tmpfs") -> Host:
    """A container with these nodes, none of which is open."""
    host.linked("/proc/1/ns/mnt", "mnt:[4026531841]").linked("/proc/4711/ns/mnt", "mnt:[4026532999]").file("/proc/4711/comm", "python3\n")
    host.file("/proc/4711/mountinfo", f"600 1 0:60 / / rw - overlay overlay rw\n601 600 0:61 / /dev rw,nosuid - {kind} {kind} rw\n")
    for node in given:
        host.file(f"/proc/4711/root{node}", "")
    return host


def fabric_manager(host: Host, mode: int, *more: str, settings: str = "/usr/share/nvidia/nvswitch/fabricmanager.cfg") -> Host:
    """A GPU of a board with NVSwitches, whose fabric manager has the driver's node for all, and the one that only root can have."""
    nvidia(host).file("/proc/driver/nvidia-nvlink/capabilities/fabric-mgmt", "DeviceFileMinor: 4\nDeviceFileMode: 256\n")
    nodes = ("/dev/nvidiactl", "/dev/nvidia-caps/nvidia-cap4", "/dev/nvidia-nvswitchctl", "/dev/nvidia-nvswitch0", *more)
    for number, node in enumerate(nodes, 3):
        host.linked(f"/proc/4711/fd/{number}", node)
    host.file("/proc/4711/cmdline", f"/usr/bin/nv-fabricmanager\0-c\0{settings}\0")
    return host.file("/proc/4711/comm", "nv-fabricmanage\n").file(settings, f"LOG_LEVEL=4\nFABRIC_MODE={mode}\n")


def on_top(host: Host, kind: str = "macvlan", lower: str = "5", sysfs: str = "0:77") -> Host:
    """A container with an interface on top of the one with that number; the host's own mount of sysfs is 0:21."""
    host.nic().file("/sys/class/net/enp3s0/ifindex", "5\n").file("/proc/1/mountinfo", "22 1 0:21 / /sys rw - sysfs sysfs rw\n")
    host.linked("/proc/1/ns/net", "net:[4026531840]").linked("/proc/4711/ns/net", "net:[4026532888]").file("/proc/4711/comm", "nginx\n")
    host.file("/proc/4711/mountinfo", f"621 1 0:60 / / rw - overlay overlay rw\n622 621 {sysfs} / /sys ro - sysfs sysfs ro\n")
    here = "/proc/4711/root/sys/class/net/eth0"
    return host.file(f"{here}/iflink", f"{lower}\n").file(f"{here}/uevent", f"DEVTYPE={kind}\nINTERFACE=eth0\nIFINDEX=2\n")


def network_namespace(host: Host, link: str) -> Host:
    """A namespace of `ip netns` without processes, with an interface of its own."""
    host.nic().file("/sys/class/net/enp3s0/ifindex", "5\n").file("/run/netns/blue", "")
    return host.program("/usr/sbin/ip", f"""case "$*" in "-netns blue "*) echo '[{link}]' ;; *) echo '[]' ;; esac""")


DEVICES: dict[str, Case] = {
    # -- nodes of a driver
    "a GPU of AMD that a process computes on": Case(
        lambda host: amd(host).opened("/dev/kfd", "python3").file("/sys/class/kfd/kfd/proc/4711/vram_51823", "1073741824\n"),
        "in_use",
        "process 4711 (python3) has /dev/kfd open",
    ),
    "a GPU of AMD on which a process has a queue and no memory": Case(
        lambda host: (
            amd(host)
            .opened("/dev/kfd", "python3")
            .file("/sys/class/kfd/kfd/proc/4711/vram_51823", "0\n")
            .file("/sys/class/kfd/kfd/proc/4711/queues/0/gpuid", "51823\n")
        ),
        "in_use",
        "process 4711 (python3) has /dev/kfd open",
    ),
    "a GPU of AMD on a partition of which a process computes": Case(
        lambda host: (
            amd(host)
            .file(f"{TOPOLOGY}/2/gpu_id", "7\n")
            .file(f"{TOPOLOGY}/2/properties", f"simd_count 440\nlocation_id {1 << 28 | 768}\ndomain 0\n")
            .opened("/dev/kfd", "python3")
            .file("/sys/class/kfd/kfd/proc/4711/vram_51823", "0\n")
            .file("/sys/class/kfd/kfd/proc/4711/vram_7", "4096\n")
        ),
        "in_use",
        "process 4711 (python3) has /dev/kfd open",
    ),
    "a GPU of AMD whose partition's node is open": Case(
        lambda host: (
            amd(host).file("/sys/devices/platform/amdgpu_xcp_0/drm/renderD129/dev", "226:129\n").opened("/dev/dri/renderD129", "x")
        ),
        "in_use",
        "process 4711 (x) has /dev/dri/renderD129 open",
    ),
    "a GPU of AMD, where the kernel does not say on which a process computes": Case(
        lambda host: host.function("gpu", id="1002:740f", driver="amdgpu").opened("/dev/kfd", "python3"),
        "in_use",
        "process 4711 (python3) has /dev/kfd open",
    ),
    "a GPU of NVIDIA that a process has for its unified memory only": Case(
        lambda host: nvidia(host).opened("/dev/nvidia-uvm", "vllm"), "in_use", "process 4711 (vllm) has /dev/nvidia-uvm open"
    ),
    "a GPU of NVIDIA that a process holds by the node for all": Case(
        lambda host: nvidia(host).opened("/dev/nvidiactl", "nv-hostengine"),
        "in_use",
        "process 4711 (nv-hostengine) has /dev/nvidiactl open",
    ),
    "a GPU of a board that the fabric manager may keep": Case(
        lambda host: fabric_manager(host, 0),
        "in_use",
        "it is the fabric manager (FABRIC_MODE=0), which may keep the cards; stop it (`systemctl stop nvidia-fabricmanager`), and start",
    ),
    "a GPU of a board that the fabric manager for guests has open": Case(
        lambda host: fabric_manager(host, 1, "/dev/nvidia2"), "in_use", "process 4711 (nv-fabricmanage) has /dev/nvidia2 open"
    ),
    "an NVSwitch of a large board that the fabric manager has": Case(
        lambda host: host.function("nic", id="10de:22a3", class_code=0x068000, driver="nvidia-nvswitch").opened(
            "/dev/nvidia-nvswitch20", "nv-fabricmanage"
        ),
        "in_use",
        "process 4711 (nv-fabricmanage) has /dev/nvidia-nvswitch20 open",
    ),
    "a GPU of NVIDIA that sets modes for a compositor": Case(
        lambda host: nvidia(host).opened("/dev/nvidia-modeset", "kwin_wayland"),
        "in_use",
        "process 4711 (kwin_wayland) has /dev/nvidia-modeset open",
    ),
    "a GPU of NVIDIA that is divided": Case(
        lambda host: (
            nvidia(host)
            .file(f"{NVIDIA}/capabilities/gpu2/mig/gi3/access", "DeviceFileMinor: 30\n")
            .file(f"{NVIDIA}/capabilities/gpu2/mig/gi3/ci0/access", "DeviceFileMinor: 31\n")
        ),
        "in_use",
        "it has 1 MIG instance",
    ),
    "an accelerator that a program manages": Case(
        lambda host: accelerator(host).opened("/dev/qat_adf_ctl", "adf_ctl"), "in_use", "process 4711 (adf_ctl) has /dev/qat_adf_ctl open"
    ),
    "the processor for encrypted guests while one runs": Case(
        lambda host: host.function("nic", id="1022:1486", class_code=0x108000, driver="ccp").opened("/dev/sev"),
        "in_use",
        "has /dev/sev open",
    ),
    # -- nodes below the device
    "a GPU that the server of MPS has": Case(
        lambda host: nvidia(host).opened("/dev/nvidia2", "nvidia-cuda-mps"),
        "in_use",
        "process 4711 (nvidia-cuda-mps) has /dev/nvidia2 open",
    ),
    "a clock that a program follows": Case(
        lambda host: (
            host.function("nic").file(f"{host.card}/ptp/ptp0/uevent", "DEVNAME=ptp0\nMAJOR=250\nMINOR=0\n").opened("/dev/ptp0", "phc2sys")
        ),
        "in_use",
        "process 4711 (phc2sys) has /dev/ptp0 open",
    ),
    "an accelerator": Case(
        lambda host: (
            host.function("gpu", id="1da3:1020", class_code=0x120000)
            .file(f"{host.card}/accel/accel0/uevent", "DEVNAME=accel/accel0\nMAJOR=261\nMINOR=0\n")
            .opened("/dev/accel/accel0", "python3")
        ),
        "in_use",
        "process 4711 (python3) has /dev/accel/accel0 open",
    ),
    "a part of an interface that a guest has by vDPA": Case(
        lambda host: (
            host.function("mlx5")
            .file(f"{host.card}/mlx5_core.sf.2/vdpa0/vhost-vdpa-0/uevent", "DEVNAME=vhost-vdpa-0\nMAJOR=240\nMINOR=0\n")
            .opened("/dev/vhost-vdpa-0")
        ),
        "in_use",
        "has /dev/vhost-vdpa-0 open",
    ),
    "an interface that a guest has by macvtap": Case(
        lambda host: (
            host.nic()
            .interface("macvtap0")
            .over("enp3s0", "macvtap0")
            .file("/sys/devices/virtual/net/macvtap0/tap7/uevent", "DEVNAME=tap7\nMAJOR=236\nMINOR=1\n")
            .opened("/dev/tap7")
        ),
        "in_use",
        "enp3s0",
    ),
    "an interface whose VLAN has an address": Case(
        lambda host: (
            host.nic()
            .interface("enp3s0.7")
            .over("enp3s0", "enp3s0.7")
            .file("/proc/net/if_inet6", "fd000000000000000000000000000001 02 40 00 80 enp3s0.7\n")
        ),
        "in_use",
        "enp3s0.7",
    ),
    "an interface on which a container has one on top": Case(
        on_top, "in_use", "eth0 of a container (process 4711, nginx) is on top of enp3s0"
    ),
    "an interface on which a namespace without processes has one on top": Case(
        lambda host: network_namespace(
            host, '{"ifindex":2,"link_index":5,"ifname":"mv0","link_netnsid":0,"linkinfo":{"info_kind":"macvlan"}}'
        ),
        "in_use",
        "mv0 of the network namespace blue is on top of enp3s0",
    ),
    "an interface whose packets a program gets": Case(
        lambda host: host.nic().program(
            "/usr/sbin/ip",
            """case "$*" in *address*) echo '[{"ifname":"enp3s0","xdp":{"mode":1,"prog":{"id":77}},"addr_info":[]}]' ;; esac""",
        ),
        "in_use",
        "a program gets the packets of enp3s0 (XDP)",
    ),
    "a GPU whose memory a process has mapped, its node closed": Case(
        lambda host: (
            nvidia(host)
            .file("/proc/4711/comm", "python3\n")
            .file("/proc/4711/maps", "7f0000000000-7f0000001000 rw-s 00000000 00:06 431 /dev/nvidia2\n")
        ),
        "in_use",
        "process 4711 (python3) has /dev/nvidia2",
    ),
    "a GPU that a container has been given": Case(
        lambda host: container(nvidia(host), "/dev/nvidia2", "/dev/nvidiactl"),
        "in_use",
        "a container has been given /dev/nvidia2 (process 4711, python3)",
    ),
    "a node for rendering that a container has been given": Case(
        lambda host: container(
            host.function("gpu").file(f"{host.card}/drm/renderD128/uevent", "DEVNAME=dri/renderD128\nMAJOR=226\nMINOR=128\n"),
            "/dev/dri/renderD128",
        ),
        "in_use",
        "a container has been given /dev/dri/renderD128",
    ),
    "a card without a driver that a program drives itself": Case(
        lambda host: host.function("nic", driver=None).opened(f"/sys/devices/pci0000:03/{CARD}/resource0", "ixy-fwd"),
        "in_use",
        f"process 4711 (ixy-fwd) has /sys/devices/pci0000:03/{CARD}/resource0 open",
    ),
    # -- in the kernel
    "a card whose channels for copying the kernel uses": Case(
        lambda host: host.function("nic", id="8086:2021", class_code=0x088000, driver="ioatdma").file(
            f"{host.card}/dma/dma0chan0/in_use", "1\n"
        ),
        "in_use",
        "dma0chan0",
    ),
    "a card whose work queue has clients": Case(
        lambda host: host.function("nic", id="8086:1212", class_code=0x088000, driver="idxd").file(
            f"{host.card}/dsa0/wq0.0/clients", "1\n"
        ),
        "in_use",
        "wq0.0",
    ),
    "a card that encrypts for the kernel": Case(hardware_algorithm, "in_use", "qat_aes_xts"),
    "a card with memory of the host": Case(
        lambda host: (
            host.function("nic", id="8086:0d93", class_code=0x050210, driver="cxl_pci")
            .file(f"{host.card}/mem0/ram/size", "0x4000000000\n")
            .linked("/sys/bus/cxl/devices/region0", "../../../devices/platform/ACPI0017:00/root0/decoder0.0/region0")
        ),
        "in_use",
        "memory of the host may be on it (CXL)",
    ),
    "a disk that is served to other hosts": Case(
        lambda host: (
            host.nvme_disk("p1")
            .file("/sys/kernel/config/nvmet/subsystems/a/namespaces/1/device_path", "/dev/nvme0n1p1\n")
            .file("/sys/kernel/config/nvmet/subsystems/a/namespaces/1/enable", "1\n")
        ),
        "in_use",
        "/dev/nvme0n1p1 is served to other hosts (NVMe target a)",
    ),
    # -- the console
    "a serial card of the console on a kernel with ports": Case(
        lambda host: (
            host.function("serial")
            .file(f"{host.card}/{CARD}:0/{CARD}:0.0/tty/ttyS4/dev", "4:68\n")
            .file("/proc/cmdline", "root=/dev/mapper/root console=ttyS4,115200n8 ro\n")
        ),
        "console",
        "the console is on ttyS4",
    ),
    "the controller with the keyboard's radio": Case(
        lambda host: (
            host.function("usb")
            .folder("usb1/1-7/1-7:1.0/bluetooth/hci0")
            .file("/sys/devices/virtual/misc/uhid/0005:046D:B35F.0004/input/input9/capabilities/key", "1000000000007 fffffffffffffffe\n")
        ),
        "console",
        "keyboard",
    ),
}
