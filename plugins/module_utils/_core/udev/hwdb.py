# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardware database: properties that `IMPORT{builtin}="hwdb"` of udev's own rules gives to devices by their modaliases (hwdb(7))."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import first_of_name
from ansible_collections.vfio.variants.plugins.module_utils._core.host.numbered_matches import numbered_matches
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.subject import PATH_PROPERTIES

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

FOLDERS = ("/etc/udev/hwdb.d", "/usr/local/lib/udev/hwdb.d", "/usr/lib/udev/hwdb.d", "/lib/udev/hwdb.d")
LARGEST = 1 << 20
# systemd's lists of vendors' and models' names have megabytes, and nothing else.
_OF_NAMES = re.compile(
    r"(?:/usr)?/lib/udev/hwdb\.d/20-(?:acpi-vendor|OUI|bluetooth-vendor-product|dmi-id|net-ifname|pci-classes|pci-vendor-model"
    r"|sdio-classes|sdio-vendor-model|usb-classes|usb-vendor-model|vmbus-class)\.hwdb"
)
# Rules for the binding of drivers do not ask for what describes keyboards and the like.
_PROPERTY = re.compile(r"^ ([A-Za-z_]\w*)=(.*)$", re.MULTILINE)
_DESCRIBES = ("ID_", "KEYBOARD_", "MOUSE_", "EVDEV_", "ACCEL_", "PROXIMITY_", "POINTINGSTICK_", "TOUCHPAD_", "LIBINPUT_", "XKB_", "SENSOR_")


def read(tree: FileTree) -> dict[str, tuple[tuple[str, str], ...]]:
    """By name, the values and their places, but of the properties that only describe a device."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in first_of_name(tree, FOLDERS, ".hwdb").values():
        text = (b"" if _OF_NAMES.fullmatch(path) else tree.head(path, LARGEST) or b"").decode("utf-8", "surrogateescape")
        for line, match in numbered_matches(_PROPERTY, text):
            if not match[1].startswith(_DESCRIBES) or match[1] in PATH_PROPERTIES:
                found.setdefault(match[1], []).append((match[2].strip(), f"{tree.shown(path)}:{line}"))
    return {name: tuple(values) for name, values in found.items()}
