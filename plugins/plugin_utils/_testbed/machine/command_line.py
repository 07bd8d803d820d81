# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of QEMU: a machine's description in, words out."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.options import MachineOptions
from ansible_collections.vfio.variants.plugins.plugin_utils._testbed.machine.topology import Function, Placement, Scalar, place

#: Relative to the machine's folder, in which QEMU runs: a socket's path may have 107 bytes only.
CONSOLE, REPORT, CONTROL_SOCKET, DISK = "console.log", "report.log", "control.sock", "disk.qcow2"
#: The first serial port of a machine that ends by itself is its console; to the second one it reports.
SERIALS = ("-serial", f"file:{CONSOLE}", "-serial", f"file:{REPORT}")
#: Without this a root port shows no active link, each bus reset fails after a second, and no reset through the slot succeeds.
NATIVE_HOTPLUG = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")
#: The option of QEMU's nvme that gives it the SR-IOV capability.
MOST_FUNCTIONS = "sriov_max_vfs"
#: Emulation by one thread whose clock counts instructions, so that what takes processor time there takes the same however busy this
#: machine is. Where the machine waits, real time passes.
COUNTED = "counted"
#: The same for a machine that nobody talks to: nothing is late, and who waits takes no time.
COUNTED_ALONE = "counted, without waiting"
_WAITING = {COUNTED: "on", COUNTED_ALONE: "off"}
#: A machine that has nothing but what it is given.
BARE = ("-nodefaults", "-no-user-config", "-display", "none")


def intel_iommu(*, remapping: bool) -> tuple[str, ...]:
    return ("-device", f"intel-iommu,intremap={'on' if remapping else 'off'},caching-mode=on")


IOMMUS = {
    "none": (),
    "intel": intel_iommu(remapping=True),
    "amd": ("-device", "amd-iommu,intremap=on,dma-remap=on"),
}


def accelerator_words(accelerator: str) -> tuple[str, ...]:
    if accelerator == "kvm":
        return ("-accel", "kvm", "-machine", "q35,kernel-irqchip=split", "-cpu", "host")
    clock = clock_words(accelerator)
    return emulation_words("single" if clock else "multi", 1024, clock)


def clock_words(accelerator: str) -> tuple[str, ...]:
    """Those of a clock that counts instructions, where the accelerator has one."""
    waiting = _WAITING.get(accelerator)
    return () if waiting is None else ("-icount", f"shift=0,sleep={waiting}")


def emulation_words(threads: str, translated: int, clock: t.Sequence[str] = (), without: t.Sequence[str] = ()) -> tuple[str, ...]:
    """A q35 of which QEMU emulates the processors. ``translated``: MiB for translated code; ``without``: parts of the mainboard that it
    has not."""
    board = ",".join(("q35", "kernel-irqchip=off", *(f"{part}=off" for part in without)))
    # Nehalem: newer models make Linux use instructions whose emulation is slow.
    return ("-accel", f"tcg,thread={threads},tb-size={translated}", *clock, "-machine", board, "-cpu", "Nehalem-v1")


def socket_name(function: str) -> str:
    return f"{function}.sock"


def arguments(options: MachineOptions, accelerator: str, port: int) -> tuple[str, ...]:
    """QEMU's arguments; `port` on the loopback device leads to the guest's ssh."""
    placements = place(options.functions)
    return (
        *("-name", options.name, *accelerator_words(accelerator)),
        *("-smp", str(options.cpus), "-m", f"{options.memory >> 20}M"),
        *(*BARE, "-rtc", "base=utc"),
        *("-serial", f"file:{CONSOLE}", "-qmp", f"unix:{CONTROL_SOCKET},server=on,wait=off"),
        *IOMMUS[options.iommu],
        *("-drive", f"file={DISK},if=none,id=testbed-disk,format=qcow2,cache=unsafe,discard=unmap"),
        *("-device", "virtio-blk-pci,drive=testbed-disk,bus=pcie.0,addr=2,bootindex=0"),
        *("-netdev", f"user,id=testbed-net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=testbed-net,romfile=,bus=pcie.0,addr=3"),
        *("-device", "virtio-rng-pci,bus=pcie.0,addr=4"),
        *NATIVE_HOTPLUG,
        *_root_ports(placements),
        *(word for placement in placements for word in (*_beside(placement.function), "-device", device_word(placement))),
        *options.arguments,
    )


def _root_ports(placements: t.Sequence[Placement]) -> t.Iterator[str]:
    ports = dict.fromkeys((placement.bus, placement.port) for placement in placements if placement.port)
    for number, (name, address) in enumerate(ports, start=1):
        yield from root_port(name, str(number), address, shares_slot=True)


def root_port(name: str, chassis: str, address: str, *, shares_slot: bool = False) -> tuple[str, str]:
    """A port on the root bus, whose own bus has its name."""
    others = ",multifunction=on" if shares_slot else ""
    return "-device", f"pcie-root-port,id={name},bus=pcie.0,chassis={chassis},addr={address}{others}"


def device_word(placement: Placement) -> str:
    function = placement.function
    place_words: dict[str, Scalar] = {"id": function.id, "bus": placement.bus, "addr": placement.address}
    if placement.shares_slot:
        place_words["multifunction"] = True
    if function.emulated is not None:
        socket = {"type": "unix", "path": socket_name(function.id)}
        return json.dumps({"driver": "vfio-user-pci", **place_words, "socket": socket})
    # No option ROM unless asked for: SeaBIOS would run it, which costs seconds and serves no test.
    settings = {"romfile": "", **_needed(function), **dict(function.options), **place_words}
    return ",".join((function.model, *(f"{name}={_word(value)}" for name, value in settings.items())))


def _needed(function: Function) -> dict[str, Scalar]:
    """What a model cannot do without; an nvme gives each virtual function two queues and an interrupt (nvme_check_params() in QEMU)."""
    disk: dict[str, Scalar] = {"drive": _drive_name(function)} if function.size else {}
    if function.model != "nvme":
        return disk
    given = str(dict(function.options).get(MOST_FUNCTIONS, ""))
    most = int(given) if given.isdecimal() else 0
    if not most:
        return {"serial": function.id, **disk}
    return {
        **disk,
        "serial": function.id,
        "subsys": _subsystem_name(function),
        "sriov_vq_flexible": 2 * most,
        "sriov_vi_flexible": most,
        "max_ioqpairs": 2 * most + 2,
        "msix_qsize": most + 2,
    }


def _beside(function: Function) -> t.Iterator[str]:
    """What stands before the device: its disk, and the NVM subsystem that QEMU's nvme has to be part of to have virtual functions."""
    if function.size:
        yield from ("-drive", f"file={disk_name(function.id)},if=none,id={_drive_name(function)},format=raw,cache=unsafe,discard=unmap")
    if "subsys" in _needed(function) and "subsys" not in dict(function.options):
        yield from ("-device", f"nvme-subsys,id={_subsystem_name(function)}")


def disk_name(function: str) -> str:
    """The file with the disk of a function, in the machine's folder."""
    return f"{function}.raw"


def _subsystem_name(function: Function) -> str:
    """No function has an underscore in its name."""
    return f"{function.id}_subsystem"


def _drive_name(function: Function) -> str:
    return f"{function.id}_disk"


def _word(value: Scalar) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value).replace(",", ",,")
