# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the disk so many virtual functions, each with queues and an interrupt of its own, so that the native driver takes them."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

DISK = Path("/sys/class/nvme/nvme0/device")
ADMIN_COMMAND = 0xC0484E41
"""NVME_IOCTL_ADMIN_CMD of linux/nvme_ioctl.h, with a struct of 72 bytes."""
MANAGE = 0x1C
"""Virtualization Management: NVM Express Base Specification 2.0, 5.28."""
PRIMARY, ASSIGN, ONLINE = 1, 8, 9
RESET = 0x4E44
"""NVME_IOCTL_RESET."""
QUEUES, INTERRUPTS = 0, 1


def manage(disk: int, controller: int, action: int, resource: int = 0, number: int = 0) -> None:
    words = [action | resource << 8 | controller << 16, number, 0, 0, 0, 0, 0, 0]
    command = struct.pack("<BBHIIIQQIIIIIIIIII", MANAGE, 0, 0, 0, 0, 0, 0, 0, 0, 0, *words)
    fcntl.ioctl(disk, ADMIN_COMMAND, bytearray(command))


def main(number: int) -> None:
    disk = os.open("/dev/nvme0", os.O_RDONLY)
    # The physical function has them all at first, and lets them go when it is reset.
    for resource in (QUEUES, INTERRUPTS):
        manage(disk, 0, PRIMARY, resource, 0)
    fcntl.ioctl(disk, RESET)
    for controller in range(1, number + 1):
        manage(disk, controller, ASSIGN, QUEUES, 2)
        manage(disk, controller, ASSIGN, INTERRUPTS, 1)
    (DISK / "sriov_drivers_autoprobe").write_text("0\n")
    (DISK / "sriov_numvfs").write_text(f"{number}\n")
    for controller in range(1, number + 1):
        manage(disk, controller, ONLINE)
    # The functions that are made get the autoprobe of this moment; later they are offered to drivers as any others.
    (DISK / "sriov_drivers_autoprobe").write_text("1\n")
    functions = [os.path.basename(os.readlink(DISK / f"virtfn{index}")) for index in range(number)]
    for function in functions:
        Path("/sys/bus/pci/drivers_probe").write_text(function)
    subprocess.run(["udevadm", "settle"], check=True, timeout=300)
    time.sleep(2)
    left = [function for function in functions if not Path(f"/sys/bus/pci/drivers/nvme/{function}").exists()]
    if left:
        sys.exit(f"nvme does not have {' '.join(left)}")
    print(json.dumps(functions))


if __name__ == "__main__":
    main(int(sys.argv[1]))
