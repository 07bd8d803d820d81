# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a report names devices, drivers and outcomes."""

from __future__ import annotations

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import CERTAIN, RACE, BootOutcome, DeviceData

NO_DRIVER = "no driver"
LONGEST = 600
"""Characters of a sentence in a page; hosts can have files with lines of any length."""

#: The names of classes (base class and subclass) that such hosts usually have, as pci.ids has them.
CLASSES = {
    "0101": "IDE interface",
    "0104": "RAID bus controller",
    "0106": "SATA controller",
    "0107": "Serial Attached SCSI controller",
    "0108": "Non-Volatile memory controller",
    "0200": "Ethernet controller",
    "0207": "Infiniband controller",
    "0280": "Network controller",
    "0300": "VGA compatible controller",
    "0302": "3D controller",
    "0380": "Display controller",
    "0403": "Audio device",
    "0600": "Host bridge",
    "0601": "ISA bridge",
    "0604": "PCI bridge",
    "0680": "Bridge",
    "0703": "Modem",
    "0780": "Communication controller",
    "0806": "IOMMU",
    "0c03": "USB controller",
    "0c05": "SMBus",
    "1200": "Processing accelerators",
}


def cut(text: str, longest: int = LONGEST) -> str:
    """The text's beginning, on one line and without characters that no page, no file of metrics and no option of a task can have."""
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return short if short.isprintable() else "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in short)


def class_name(device: DeviceData) -> str:
    return CLASSES.get(device.class_code[:4], f"class {device.class_code[:4]}")


def device_name(device: DeviceData) -> str:
    """What kind of device it is: its name where the host knows it, else its class."""
    return cut(device.name or class_name(device), 120)


def driver_name(driver: str | None) -> str:
    return NO_DRIVER if driver is None else cut(driver, 120)


def outcome_text(outcome: BootOutcome) -> str:
    """The driver after a boot as a clause."""
    if outcome.certainty == CERTAIN:
        return driver_name(outcome.driver)
    names = " or ".join(dict.fromkeys(driver_name(name) for name in outcome.possible[:6]))
    if outcome.certainty == RACE:
        return f"a race: {names}"
    return f"cannot be determined: {names}" if names else "cannot be determined"


def is_vfio(driver: str | None) -> bool:
    """Whether a driver is named as all of the kernel's VFIO drivers are."""
    return driver is not None and "vfio" in driver


def counted(number: int, one: str, several: str) -> str:
    return f"{number:,} {one if number == 1 else several}"
