# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of a driver that is in use, of which something says that this one is not."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.lockout_devices import (
    NVIDIA,
    amd,
    container,
    fabric_manager,
    hardware_algorithm,
    network_namespace,
    nvidia,
    on_top,
)
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, OTHER, Host
from ansible_collections.vfio.variants.tests.unit.lockout_targets import (
    GID,
    KDUMP,
    fibre_channel,
    infiniband,
    kept,
    reachable,
    scsi_target,
    served_memory,
    volumes,
)
from ansible_collections.vfio.variants.tests.unit.module_calls import claim_info

if t.TYPE_CHECKING:
    from pathlib import Path

COMPUTING = "/sys/class/kfd/kfd/proc/4711"
FREE: dict[str, t.Callable[[Host], object]] = {
    "a process computes on another card of AMD": lambda host: (
        amd(host).opened("/dev/kfd", "python3").file(f"{COMPUTING}/vram_51823", "0\n").file(f"{COMPUTING}/vram_9", "4096\n")
    ),
    "a process may not compute on this card of AMD": lambda host: (
        amd(host).opened("/dev/kfd", "python3").file(f"{COMPUTING}/vram_9", "4096\n").file(f"{COMPUTING}/queues/0/gpuid", "9\n")
    ),
    "a process works with another card of NVIDIA": lambda host: (
        nvidia(host).opened("/dev/nvidiactl", "python3").linked("/proc/4711/fd/8", "/dev/nvidia1")
    ),
    "a process has the node of another driver": lambda host: nvidia(host).opened("/dev/kfd", "python3"),
    "a container has been given another card": lambda host: container(nvidia(host), "/dev/nvidia1", "/dev/nvidiactl"),
    "a container has been given every device": lambda host: container(nvidia(host), "/dev/nvidia2", "/dev/mem"),
    "a service has the host's devices": lambda host: container(nvidia(host), "/dev/nvidia2", kind="devtmpfs"),
    "another card of NVIDIA is divided": lambda host: nvidia(host).file(
        f"{NVIDIA}/capabilities/gpu1/mig/gi3/access", "DeviceFileMinor: 3\n"
    ),
    "this card could be divided": lambda host: nvidia(host).file(f"{NVIDIA}/capabilities/gpu2/mig/config", "DeviceFileMinor: 1\n"),
    "the fabric manager has the switches for guests": lambda host: fabric_manager(host, 1),
    "the fabric manager has the switches for guests, by settings of its container": lambda host: fabric_manager(
        host, 1, settings="/proc/4711/root/etc/fabric.cfg"
    ).file("/proc/4711/cmdline", "nv-fabricmanager\0--config\0/etc/fabric.cfg\0"),
    "a container has an interface of its own": lambda host: on_top(host, kind="", lower="5"),
    "a container has an interface on top of another one": lambda host: on_top(host, lower="6"),
    "a service in a network of its own sees the host's interfaces": lambda host: on_top(host, sysfs="0:21"),
    "a container shows something else in place of its interfaces": lambda host: on_top(host).file(
        "/proc/4711/mountinfo", "622 1 0:77 / /sys ro - sysfs sysfs ro\n623 622 0:90 / /sys/class/net ro - fuse x ro\n"
    ),
    "the root of a container is a program's": lambda host: on_top(host).file(
        "/proc/4711/mountinfo", "621 1 0:60 / / rw - fuse.fuse-overlayfs x rw\n622 621 0:77 / /sys ro - sysfs sysfs ro\n"
    ),
    "a namespace has a pair of interfaces": lambda host: network_namespace(
        host, '{"ifindex":2,"link_index":5,"ifname":"eth0","link_netnsid":0,"linkinfo":{"info_kind":"veth"}}'
    ),
    "a namespace has an interface on top of its own": lambda host: network_namespace(
        host, '{"ifindex":6,"link":"eth0","ifname":"mv0","linkinfo":{"info_kind":"macvlan"}}'
    ),
    "no subsystem is served over its port": fibre_channel,
    "disks are served over another port": lambda host: scsi_target(infiniband(host, "fe80:0000:0000:0000:0c42:a103:0065:2c5f"), f"0x{GID}"),
    "the target over its port is switched off": lambda host: scsi_target(infiniband(host), f"0x{GID}", enabled="0"),
    "disks are served through the memory of another card": lambda host: served_memory(host, OTHER),
    "disks are served without the memory of a card": lambda host: served_memory(host, "0"),
    "the volumes are on other flash memory": lambda host: volumes(host, "3").mounted("/", "ubifs", "ubi0_1", "0:14"),
    "a crash is written to another disk": lambda host: kept(host, KDUMP, "#ext4 UUID=ee\next4 UUID=ff\ncore_collector makedumpfile -l\n"),
    "a crash is written to a server that is elsewhere": lambda host: reachable(host, KDUMP, "nfs 10.7.7.7:/dumps\n").route(
        "enp9s0", "0007070A", "00000000", "00FFFFFF"
    ),
    "the host does not hibernate": lambda host: (
        host.nvme_disk("p1").file("/sys/power/resume", "0:0\n").file("/etc/initramfs-tools/conf.d/resume", "RESUME=none\n")
    ),
    "a word names a node that is not a disk": lambda host: host.nvme_disk("p1", udev="E:ID_FS_TYPE=LVM2_member\n").file(
        "/proc/cmdline", "root=/dev/mapper/root console=/dev/ttyS0 x=/dev/log ro\n"
    ),
    "the early console is on another card": lambda host: host.function("serial").file(
        "/proc/cmdline", "root=/dev/mapper/root earlyprintk=pciserial,4:0.0,115200 ro\n"
    ),
    "nobody uses its algorithms": lambda host: hardware_algorithm(host, references=1),
    "nobody copies with its channels": lambda host: host.function("nic", id="8086:2021", class_code=0x088000, driver="ioatdma").file(
        f"{host.card}/dma/dma0chan0/in_use", "0\n"
    ),
    "its work queues have no clients": lambda host: host.function("nic", id="8086:1212", class_code=0x088000, driver="idxd").file(
        f"{host.card}/dsa0/wq0.0/clients", "0\n"
    ),
    "a target with its disk is switched off": lambda host: (
        host.nvme_disk()
        .file("/sys/kernel/config/nvmet/subsystems/a/namespaces/1/device_path", "/dev/nvme0n1\n")
        .file("/sys/kernel/config/nvmet/subsystems/a/namespaces/1/enable", "0\n")
    ),
    "there is a radio and no keyboard": lambda host: (
        host.function("usb")
        .folder("usb1/1-7/1-7:1.0/bluetooth/hci0")
        .file("/sys/devices/virtual/misc/uhid/0005:05AC:0265.0004/input/input9/capabilities/key", "ffff0000 0 0 0 0\n")
    ),
    "a disk of the kernel's arguments can be missing": lambda host: (
        host.nvme_disk("p1")
        .linked("/dev/disk/by-uuid/ee", "../../nvme0n1p1")
        .file("/proc/cmdline", "root=/dev/mapper/root systemd.mount-extra=UUID=ee:/srv:ext4:ro,nofail ro\n")
    ),
    "the word for the network names another interface": lambda host: (
        host.nic()
        .file("/sys/class/net/enp3s0/address", "52:54:00:12:34:57\n")
        .file("/proc/cmdline", "root=/dev/mapper/root ip=enp9s0:dhcp BOOTIF=01-52-54-00-12-34-56 ro\n")
    ),
    "the token that unlocks the root is not on this controller": lambda host: (
        host.function("usb")
        .file(f"{host.card}/usb1/1-3/1-3:1.1/0003:046D:C52B.0003/hidraw/hidraw2/uevent", "DEVNAME=hidraw2\n")
        .file(f"{host.card}/usb1/1-3/1-3:1.1/0003:046D:C52B.0003/report_descriptor", b"\x05\x01\x09\x02\xa1\x01")
        .file("/etc/crypttab", "root UUID=aa none fido2-device=auto,tpm2-device=auto,x-initrd.attach\n")
    ),
    "autofs asks the hosts that are named": lambda host: (
        host.nic().route("enp3s0", "0000000A", "00000000", "00FFFFFF").mounted("/net", "autofs", "-hosts", "0:41", "rw,indirect")
    ),
    "autofs mounts local disks only": lambda host: (
        host.nic()
        .route("enp3s0", "0000000A", "00000000", "00FFFFFF")
        .mounted("/misc", "autofs", "/etc/auto.misc", "0:41", "rw,indirect")
        .file("/etc/auto.misc", "# nas:/kept\ncd -fstype=iso9660,ro :/dev/cdrom\n")
    ),
}


@pytest.mark.parametrize("name", FREE)
def test_the_device_may_go(tmp_path: Path, name: str) -> None:
    host = Host(tmp_path)
    FREE[name](host)

    (device,) = claim_info(host.tree.host(host.commands()), devices=CARD, driver="vfio-pci", kernels=["all"])["devices"]

    assert device["guards"] == []


def test_a_smart_card_that_unlocks_the_root_keeps_the_controller_of_its_reader(tmp_path: Path) -> None:
    host = Host(tmp_path).function("usb")
    host.file(f"{host.card}/usb1/1-3/uevent", "DEVNAME=bus/usb/001/004\nMAJOR=189\nMINOR=3\n")
    host.file(f"{host.card}/usb1/1-3/1-3:1.0/bInterfaceClass", "0b\n")
    host.file("/proc/cmdline", "root=/dev/mapper/root rd.luks.options=11-22=pkcs11-uri=auto,timeout=9 ro\n")

    (device,) = claim_info(host.tree.host(host.commands()), devices=CARD, driver="vfio-pci", kernels=["all"])["devices"]

    assert [(found["guard"], found["what"]) for found in device["guards"]] == [
        ("root", "pkcs11-uri=auto is named by rd.luks.options= in /proc/cmdline, and /dev/bus/usb/001/004 may be it")
    ]
