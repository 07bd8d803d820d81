# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rebinds devices after the root has booted, as far as it is simulated: driverctl, libvirt, DPDK."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot.boot import Assigned, Later
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.driverctl import Driverctl
from ansible_collections.vfio.variants.plugins.module_utils._core.boot.read_systemd import UNITS
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import mask_of

if t.TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory

DPDK_INTERFACES = "/etc/dpdk/interfaces"
DPDK_INIT = ("/usr/lib/dpdk/dpdk-init", "/lib/dpdk/dpdk-init")
LARGEST_DOMAIN = 4 << 20
"""Bytes of a domain's description."""
AUTOSTART = "/etc/libvirt/qemu/autostart"
WANTS = "/etc/systemd/system/multi-user.target.wants"
SOCKET_WANTS = "/etc/systemd/system/sockets.target.wants"
LIBVIRT_DAEMONS = ("libvirtd", "virtqemud")
# The library's file name has libvirt's version: 10.0.0 is libvirt.so.0.10000.0.
LIBVIRT_LIBRARY = re.compile(r"libvirt\.so\.0\.(\d+)\.\d+")
CHOOSES_VARIANTS = 10000
CATCH_ALL = "vfio-pci"
DriverOf = t.Callable[[str], str]
"""Returns the driver that a module registers."""


@dataclasses.dataclass(frozen=True)
class LaterFacts:
    """What is the same for every kernel; `for_kernel()` adds what depends on the kernel."""

    driverctl: Driverctl
    may_take: t.Mapping[str, Assigned]
    """With an empty driver if libvirt chooses the kernel's best variant."""
    doubts: tuple[str, ...]

    @classmethod
    def read(cls, host: Host) -> LaterFacts:
        driverctl = Driverctl.read(host)
        assigned, libvirt_doubts = _libvirt(host)
        return cls(
            driverctl=driverctl,
            may_take={**dict(_dpdk(host)), **assigned},
            doubts=libvirt_doubts,
        )

    def for_kernel(self, kernel: Kernel, inventory: Inventory, driver_of: DriverOf, masked: t.Collection[str] = ()) -> Later:
        """``masked`` are the units that the kernel's command line masks."""
        saved = self.driverctl.without(masked)
        chosen: dict[str, Assigned] = {}
        for device in inventory.devices:
            given = self.may_take.get(device.address) or saved.may_take.get(device.address)
            if given is not None:
                best = None if given.driver else kernel.best_variant(device.modalias)
                driver = given.driver or (CATCH_ALL if best is None else driver_of(best.module))
                chosen[device.address] = dataclasses.replace(given, driver=driver)
        return Later(saved.overrides, saved.adds_ids, chosen, doubts=self.doubts)


def _dpdk(host: Host) -> t.Iterator[tuple[str, Assigned]]:
    """The functions that Debian's dpdk.service binds at each boot (bind_interfaces() in dpdk-init)."""
    starts = _is_enabled(host, "dpdk.service") and any(host.is_file(path) for path in DPDK_INIT)
    text = host.read_text(DPDK_INTERFACES) if starts and host.is_file(DPDK_INTERFACES) else ""
    for number, line in enumerate(text.split("\n"), 1):
        # The shell's `read` assigns all further words to the last variable.
        words = line.split(None, 2)
        if len(words) == 3 and words[0] == "pci":
            yield words[1], Assigned(words[2], f"{DPDK_INTERFACES}:{number}", "when dpdk.service starts")


def _libvirt(host: Host) -> tuple[dict[str, Assigned], tuple[str, ...]]:
    """The devices of libvirt's autostarted domains, and doubts."""
    domains = [f"{AUTOSTART}/{name}" for name in host.names(AUTOSTART) if name.endswith(".xml")]
    installed = [name for name in LIBVIRT_DAEMONS if host.which(name) is not None]
    if not domains or not installed:
        return {}, ()
    if not any(_is_enabled(host, f"{name}.service") for name in installed):
        sockets = [name for name in installed if _is_enabled(host, f"{name}.socket", SOCKET_WANTS)]
        on_demand = f"{AUTOSTART} has domains that start on the first connection to {sockets[0] if sockets else ''}, if there is one."
        return {}, (on_demand,) if sockets else ()
    chooses = (_libvirt_version(host) or 0) >= CHOOSES_VARIANTS
    found: dict[str, Assigned] = {}
    doubts = (
        []
        if _libvirt_version(host)
        else ["libvirt's version cannot be determined, and so not which driver it binds its guests' devices to."]
    )
    # Few hosts have a domain that starts by itself.
    from xml.etree import ElementTree as ET

    for path in domains:
        try:
            root = ET.fromstring(_plain_xml(host.read_bytes(path, LARGEST_DOMAIN)))  # noqa: S314 - without entities of its own
        except (ET.ParseError, HostError) as error:
            doubts.append(f"{path} cannot be read: {error}.")
            continue
        for address, model in _host_devices(root):
            found[address] = Assigned(model or ("" if chooses else CATCH_ALL), path, "when its domain starts")
    return found, tuple(doubts)


def _is_enabled(host: Host, unit: str, wants: str = WANTS) -> bool:
    """Whether a target wants a unit, which masking it leaves as it is."""
    return host.link(f"{wants}/{unit}") is not None and mask_of(host, unit, UNITS) is None


def _plain_xml(content: bytes) -> bytes:
    """The content, unless it declares entities: a few of them in each other make gigabytes.  NUL bytes are those of UTF-16."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        raise HostError("it declares a type or entities")
    return content


def _host_devices(domain: ET.Element) -> t.Iterator[tuple[str, str | None]]:
    """The PCI functions that libvirt itself binds (managed='yes'), each with the driver that the domain asks for, if any."""
    for device in domain.iterfind("devices/*"):
        is_pci = (device.tag, device.get("type")) in (("hostdev", "pci"), ("interface", "hostdev"))
        address = device.find("source/address") if is_pci and device.get("managed") == "yes" else None
        if address is None:
            continue
        try:
            domain_, bus, slot, function = (int(address.get(part, "0"), 0) for part in ("domain", "bus", "slot", "function"))
        except ValueError:
            continue
        driver = device.find("driver")
        yield f"{domain_:04x}:{bus:02x}:{slot:02x}.{function:x}", None if driver is None else driver.get("model")


def _libvirt_version(host: Host) -> int | None:
    homes = ("/usr/lib64", "/usr/lib", *(f"/usr/lib/{name}" for name in host.names("/usr/lib") if name.endswith("-linux-gnu")))
    found = (LIBVIRT_LIBRARY.fullmatch(name) for home in homes for name in host.names(home))
    return max((int(match[1]) for match in found if match), default=None)
