# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person at the machine sees and types on: displays, serial consoles, keyboards."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import read_below

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.boot_display import BootDisplay
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Device
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses_tree import Below

CONSOLES = "/sys/class/vtconsole"
IOMEM_FIRMWARE = re.compile(
    r"^[ \t]*([0-9a-f]+)-([0-9a-f]+) : (BOOTFB|efifb|vesafb|offb|simplefb|simpledrm|efidrm|vesadrm|ofdrm|simple-framebuffer)", re.MULTILINE
)
ADDRESS_OPTION = re.compile(r"(?:uart\w*|pl011|8250),(?:mmio\d*\w*|io),(0x[0-9a-f]+)|(?:pl011),(0x[0-9a-f]+)", re.IGNORECASE)
PORT_OF_DEVICE = re.compile(r":\d+\.\d+(?:,|$)")
"""Behind the device's own name: its controller and port (serial_base_add_prefcon() in drivers/tty/serial/serial_base_bus.c)."""
EARLY_PCI = re.compile(r"pciserial,(?:force,)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])(?![0-9a-f])", re.IGNORECASE)
"""In `earlyprintk=`, a card by its place in the first domain (early_pci_serial_init() in arch/x86/kernel/early_printk.c)."""
DEBUG_PORTS = {"dbgp": 0x0C0320, "xdbc": 0x0C0330}
"""By word of `earlyprintk=`, the class of the USB controllers of which it counts one."""
RADIO_INPUTS = "/sys/devices/virtual/misc/uhid"
VIRTIO_CONSOLE = "virtio_console"
NO_PORTS = frozenset((0x01, 0x02, 0x03, 0x12))
"""Base classes whose registers are no port's: mass storage, network, display, processing accelerators (PCI Code and ID Assignment, 1)."""


def may_have_port(device: Device, below: Below) -> bool:
    """Whether a console could be on it by its place, whatever the kernel is told: those of other drivers have terminals."""
    return bool(below.terminals or below.virtio) or device.class_code >> 16 not in NO_PORTS


def console_uses(
    host: Host, device: Device, below: Below, consoles: t.Sequence[str], display: t.Callable[[], BootDisplay | None] = lambda: None
) -> t.Iterator[str]:
    """Clauses about a function.

    ``consoles`` are the values of `console=` and the like now and at the next boot; ``display`` reads the running kernel's.
    """
    shown = _firmware_framebuffer(host, device)
    if shown is not None:
        place, holder = shown
        kernel = display()
        known = "" if kernel is None else f", {kernel.says(holder, device.class_code)}"
        yield f"the console's framebuffer, which the firmware set up ({place}), is in its memory{known}"
    elif device.boot_vga and not _has_no_screen(host):
        yield "it is the display that the firmware shows (boot_vga), so the console may be on it"
    elif below.framebuffers and not _has_no_screen(host):
        yield f"the console is on its framebuffer {below.framebuffers[0]}"
    yield from _terminals(host, below, consoles)
    for value in consoles:
        found = ADDRESS_OPTION.search(value)
        by_name = PORT_OF_DEVICE.match(value.lower().replace(device.address, ""))
        if by_name or (found and _is_in_memory(host, device, int(found[1] or found[2], 16))):
            yield f"the console {value} is on it"
        yield from _early(device, value)
    yield from _keyboards(host, below)


def console_below(host: Host, below: Below, consoles: t.Sequence[str]) -> t.Iterator[str]:
    """The same about a device of any bus."""
    if below.framebuffers and not _has_no_screen(host):
        yield f"the console is on its framebuffer {below.framebuffers[0]}"
    yield from _terminals(host, below, consoles)
    yield from _keyboards(host, below)


def _terminals(host: Host, below: Below, consoles: t.Sequence[str]) -> t.Iterator[str]:
    active = (host.text_or_none("/sys/class/tty/console/active") or "").split()
    # A braille display and the kernel's debugger have others before the port: `brl,ttyS4`, `ekgdboc,kbd,ttyS4,115200`.
    named = [part.replace("/dev/", "") for value in consoles for part in value.split(",")]
    for terminal in below.terminals:
        if terminal in active or terminal in named:
            yield f"the console is on {terminal}"
    if any(name.startswith("hvc") for name in (*active, *named)) and any(_is_virtio_console(host, folder) for folder in below.virtio):
        yield "the console hvc may be on it"


def _early(device: Device, value: str) -> t.Iterator[str]:
    early = EARLY_PCI.match(value)
    if early is not None and device.address == f"0000:{int(early[1], 16):02x}:{int(early[2], 16):02x}.{early[3]}":
        yield f"the early console {value} is on it"
    if DEBUG_PORTS.get(value.partition(",")[0].rstrip("0123456789")) == device.class_code:
        yield f"the early console {value} may be on it"


def _keyboards(host: Host, below: Below) -> t.Iterator[str]:
    if below.keyboards:
        yield "a keyboard is connected to it"
    elif below.radios and read_below(host, [RADIO_INPUTS]).keyboards:
        # BlueZ makes the input devices of its keyboards itself, so that nothing says by which controller they are connected.
        yield f"a keyboard may be connected to it by Bluetooth ({below.radios[0]})"


def _is_virtio_console(host: Host, folder: str) -> bool:
    return host.link_name(f"{folder}/driver") == VIRTIO_CONSOLE or host.text_or_none(f"{folder}/device") == "0x0003"


def _has_no_screen(host: Host) -> bool:
    """Whether no console of the kernel is on any display: only the dummy driver has the virtual terminals."""
    bound = [
        host.text_or_none(f"{CONSOLES}/{name}/name") or ""
        for name in host.names(CONSOLES)
        if host.text_or_none(f"{CONSOLES}/{name}/bind") == "1"
    ]
    return bool(bound) and all("dummy" in name for name in bound)


def _ranges(host: Host, device: Device) -> t.Iterator[tuple[int, int]]:
    text = host.text_or_none(f"/sys/bus/pci/devices/{device.address}/resource") or ""
    for line in text.splitlines():
        fields = line.split()
        try:
            start, end = int(fields[0], 16), int(fields[1], 16)
        except (IndexError, ValueError):
            continue
        if end:
            yield start, end


def _is_in_memory(host: Host, device: Device, place: int) -> bool:
    return any(start <= place <= end for start, end in _ranges(host, device))


def _firmware_framebuffer(host: Host, device: Device) -> tuple[str, str] | None:
    """The range of the framebuffer that the firmware set up, and as what it is reserved, if it is in a BAR of the function.

    VFIO cannot reserve that BAR then.
    """
    text = host.text_or_none("/proc/iomem") or ""
    reserved = list(IOMEM_FIRMWARE.finditer(text))
    for found in reserved:
        # Without root all addresses are shown as zero.
        place = int(found[1], 16)
        if place and _is_in_memory(host, device, place):
            return f"{found[1]}-{found[2]}", found[3]
    inside = False
    for line in text.splitlines() if reserved else ():
        if line.strip().endswith(device.address):
            inside, depth = True, len(line) - len(line.lstrip())
        elif inside and len(line) - len(line.lstrip()) <= depth:
            inside = False
        elif inside and IOMEM_FIRMWARE.match(line):
            named, _colon, holder = line.strip().partition(" : ")
            return named, holder
    return None
