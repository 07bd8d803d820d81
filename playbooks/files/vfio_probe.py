# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Use a PCI function through VFIO as a virtual machine monitor would, and print the results as JSON.

Opens the function's group and a type 1 container, maps a page for DMA, reads the identity from configuration space and the
first register of BAR 0 by pread() and by mmap(), and resets the function.  The ioctls are those of include/uapi/linux/vfio.h.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import json
import mmap
import os
import struct
import sys
import typing as t

BASE = (ord(";") << 8) + 100
GET_API_VERSION, CHECK_EXTENSION, SET_IOMMU = BASE, BASE + 1, BASE + 2
GROUP_GET_STATUS, GROUP_SET_CONTAINER, GROUP_GET_DEVICE_FD = BASE + 3, BASE + 4, BASE + 6
DEVICE_GET_INFO, DEVICE_GET_REGION_INFO, DEVICE_GET_IRQ_INFO, DEVICE_RESET = BASE + 7, BASE + 8, BASE + 9, BASE + 11
IOMMU_MAP_DMA, IOMMU_UNMAP_DMA = BASE + 13, BASE + 14

TYPE1V2_IOMMU = 3
GROUP_VIABLE = 1
DMA_READ_WRITE = 3
REGION_MMAP = 4
DEVICE_CAN_RESET = 1
BAR0, CONFIG_SPACE = 0, 7
COMMAND, COMMAND_MEMORY_AND_MASTER = 4, 6
IOVA = 0x10000000


class Region(t.NamedTuple):
    """A region of the device file: its flags, and its size and offset in bytes."""

    flags: int
    size: int
    offset: int


def ask(handle: int, request: int, layout: str, *values: int) -> tuple[int, ...]:
    """An ioctl that fills in a structure whose first member is its size."""
    buffer = bytearray(struct.pack(layout, struct.calcsize(layout), *values))
    fcntl.ioctl(handle, request, buffer, True)
    return struct.unpack(layout, buffer)


def open_device(address: str, group: str) -> tuple[int, int, bool]:
    """The file descriptors of a container and of the function, and whether the group is viable.  Raises OSError."""
    container = os.open("/dev/vfio/vfio", os.O_RDWR)
    handle = os.open(f"/dev/vfio/{group}", os.O_RDWR)
    viable = bool(ask(handle, GROUP_GET_STATUS, "II", 0)[1] & GROUP_VIABLE)
    if not viable:
        raise OSError(f"group {group} is not viable: another function in it is bound to a native driver")
    fcntl.ioctl(handle, GROUP_SET_CONTAINER, struct.pack("i", container))
    fcntl.ioctl(container, SET_IOMMU, TYPE1V2_IOMMU)
    libc = ctypes.CDLL(None, use_errno=True)
    device = libc.ioctl(handle, ctypes.c_ulong(GROUP_GET_DEVICE_FD), ctypes.c_char_p(address.encode()))
    if device < 0:
        raise OSError(ctypes.get_errno(), f"{address} cannot be opened through group {group}")
    return container, device, viable


def map_a_page(container: int) -> None:
    """Map a page of this process for DMA by the function, and unmap it again."""
    page = mmap.mmap(-1, mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(page))
    fcntl.ioctl(container, IOMMU_MAP_DMA, struct.pack("IIQQQ", 32, DMA_READ_WRITE, start, IOVA, mmap.PAGESIZE))
    fcntl.ioctl(container, IOMMU_UNMAP_DMA, struct.pack("IIQQ", 24, 0, IOVA, mmap.PAGESIZE))


def region(device: int, index: int) -> Region:
    """A region's flags, size and offset."""
    _size, flags, _index, _caps, size, offset = ask(device, DEVICE_GET_REGION_INFO, "IIIIQQ", 0, index, 0, 0, 0)
    return Region(flags, size, offset)


def identity(device: int) -> str:
    """Vendor and device ID from configuration space; enables memory decoding and bus mastering first."""
    config = region(device, CONFIG_SPACE).offset
    (command,) = struct.unpack("<H", os.pread(device, 2, config + COMMAND))
    os.pwrite(device, struct.pack("<H", command | COMMAND_MEMORY_AND_MASTER), config + COMMAND)
    return "{:04x}:{:04x}".format(*struct.unpack("<HH", os.pread(device, 4, config)))


def first_register(device: int) -> dict[str, str]:
    """The first register of BAR 0, by pread() and, if the BAR can be mapped, by mmap()."""
    window = region(device, BAR0)
    if not window.size:
        return {}
    seen = {"pread": "0x{:08x}".format(*struct.unpack("<I", os.pread(device, 4, window.offset)))}
    if window.flags & REGION_MMAP:
        with mmap.mmap(device, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ, offset=window.offset) as mapped:
            seen["mmap"] = "0x{:08x}".format(*struct.unpack_from("<I", mapped))
    return seen


def probe(address: str, reset: bool) -> dict[str, t.Any]:
    """All of it.  Raises OSError if VFIO refuses."""
    here = f"/sys/bus/pci/devices/{address}"
    group = os.path.basename(os.readlink(f"{here}/iommu_group"))
    container, device, viable = open_device(address, group)
    map_a_page(container)
    flags, regions, interrupts = ask(device, DEVICE_GET_INFO, "IIIIII", 0, 0, 0, 0, 0)[1:4]
    seen: dict[str, t.Any] = {
        "address": address,
        "driver": os.path.basename(os.readlink(f"{here}/driver")),
        "group": int(group),
        "viable": viable,
        "regions": regions,
        "interrupts": interrupts,
        "id": identity(device),
        "bar0": first_register(device),
    }
    if reset and flags & DEVICE_CAN_RESET:
        fcntl.ioctl(device, DEVICE_RESET)
        seen["reset"] = True
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("address", help="PCI address, such as 0000:01:00.0")
    parser.add_argument("--reset", action="store_true", help="reset the function at the end")
    options = parser.parse_args()
    try:
        print(json.dumps(probe(options.address, options.reset)))
    except OSError as error:
        print(f"{options.address}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
