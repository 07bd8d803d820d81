# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small root trees to test on: a host's /sys, /lib/modules and /etc, laid out as the kernel, depmod and Debian do.

Tree(tmp_path).kernel("6.12.107", modules={"nouveau": [V100_NATIVE]}, running=True).pci("0000:01:00.0", driver="nouveau").host()
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.command import Runner

ANY_VFIO = "vfio_pci:v*d*sv*sd*bc*sc*i*"
NVIDIA_DISPLAY = "pci:v000010DEd*sv*sd*bc03sc*i*"
V100_VARIANT = "vfio_pci:v000010DEd00001DB1sv*sd*bc*sc*i*"
E1000E = "pci:v00008086d000010D3sv*sd*bc*sc*i*"

DEBIAN_12 = "6.1.0-50-amd64"
DEBIAN_13 = "6.12.107+deb13-amd64"


def modalias(id: str, subsystem: str = "0000:0000", class_code: int = 0x030200, bus: str = "pci") -> str:  # noqa: A002 - the field's word
    """The modalias that the kernel gives a PCI function."""
    (vendor, device), (subsystem_vendor, subsystem_device) = ([int(part, 16) for part in pair.split(":")] for pair in (id, subsystem))
    base, sub, interface = class_code >> 16, class_code >> 8 & 0xFF, class_code & 0xFF
    return f"{bus}:v{vendor:08X}d{device:08X}sv{subsystem_vendor:08X}sd{subsystem_device:08X}bc{base:02X}sc{sub:02X}i{interface:02X}"


DRIVERCTL_RULES = "/usr/lib/udev/rules.d/05-driverctl.rules"
DRIVERCTL_RULES_TEXT = (
    'ACTION=="add", TEST=="/etc/driverctl.d/$env{SUBSYSTEM}-$kernel", TAG+="systemd", '
    'ENV{SYSTEMD_WANTS}="driverctl@$env{SUBSYSTEM}-$kernel.service"\n'
)
Made = t.TypeVar("Made")
DRIVERCTL_UNIT = "/usr/lib/systemd/system/driverctl@.service"
DRIVERCTL_PROGRAM = "/usr/sbin/driverctl"
DRIVERS_RULES = "/usr/lib/udev/rules.d/80-drivers.rules"
DRIVERS_RULES_TEXT = 'ACTION!="add", GOTO="drivers_end"\nENV{MODALIAS}=="?*", RUN{builtin}+="kmod load"\nLABEL="drivers_end"\n'


def _below(place: str, make: t.Callable[[], Made]) -> Made:
    """What is made there, with the folders that are missing."""
    try:
        return make()
    except FileNotFoundError:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        return make()


class Tree:
    """A host's root tree, built step by step; each step returns the tree."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def host(self, runner: Runner | None = None) -> Host:
        return Host(str(self.root), runner)

    # -- anything

    def place(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def file(self, path: str, content: str | bytes = "", mode: int = 0o644) -> Tree:
        # Most of what tests do besides calling the core: no call of the system more than it takes.
        place = f"{self.root}/{path.lstrip('/')}"
        descriptor = _below(place, lambda: os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC))
        with open(descriptor, "wb", buffering=0) as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
            os.fchmod(descriptor, mode)
        return self

    def directory(self, path: str) -> Tree:
        self.place(path).mkdir(parents=True, exist_ok=True)
        return self

    def link(self, path: str, target: str) -> Tree:
        place = f"{self.root}/{path.lstrip('/')}"
        try:
            _below(place, lambda: os.symlink(target, place))
        except FileExistsError:
            if not os.path.islink(place):
                raise
            os.unlink(place)
            os.symlink(target, place)
        return self

    def _sysfs_link(self, path: str, target: str) -> Tree:
        """A relative link, as sysfs makes them."""
        return self.link(path, os.path.relpath(target, os.path.dirname(path)))

    # -- what runs

    def running(self, release: str) -> Tree:
        """A kernel that its loader gave no initramfs: `ramdisk_size` in its boot parameters is zero."""
        return self.file("/proc/sys/kernel/osrelease", release + "\n").file("/sys/kernel/boot_params/data", bytes(4096))

    def cmdline(self, text: str) -> Tree:
        return self.file("/proc/cmdline", text + "\n")

    def module(self, name: str, drivers: t.Sequence[str] = ()) -> Tree:
        """A loaded module and the PCI drivers it has registered."""
        name = name.replace("-", "_")
        self.file(f"/sys/module/{name}/initstate", "live\n")
        modules = self.place("/proc/modules")
        loaded = modules.read_text() if modules.exists() else ""
        # The kernel lists the newest first.
        self.file("/proc/modules", f"{name} 16384 0 - Live 0x0000000000000000\n{loaded}")
        for driver in drivers:
            self.driver(driver, name)
        return self

    def driver(self, name: str, module: str | None = None) -> Tree:
        """A registered PCI driver; without ``module`` a built-in one."""
        self.directory(f"/sys/bus/pci/drivers/{name}")
        if module is not None:
            module = module.replace("-", "_")
            self.directory(f"/sys/module/{module}")
            self._sysfs_link(f"/sys/bus/pci/drivers/{name}/module", f"/sys/module/{module}")
            self._sysfs_link(f"/sys/module/{module}/drivers/pci:{name}", f"/sys/bus/pci/drivers/{name}")
        return self

    def pci(
        self,
        address: str,
        id: str = "10de:1db1",  # noqa: A002 - the field's word
        *,
        subsystem: str = "0000:0000",
        class_code: int = 0x030200,
        revision: int = 0xA1,
        driver: str | None = None,
        override: str | None = None,
        group: int | None = None,
        numa_node: int = -1,
        boot_vga: bool | None = None,
        nodes: t.Sequence[str] = (),
        physical_function: str | None = None,
        max_virtual_functions: int | None = None,
        drivers_autoprobe: bool = True,
        below: str | None = None,
    ) -> Tree:
        """A PCI function.  ``driver`` is its owner, registered with a module of its name (`-` as `_`) unless `driver()` said otherwise.

        ``nodes`` are directories below it, such as ``net/enp1s0`` or ``drm/card0``.  ``physical_function`` makes it a virtual one.
        ``below`` is the bridge that it is behind.
        """
        here = f"/sys/devices/pci{address[:7]}/{address}" if below is None else f"{self._place_of(below)}/{address}"
        (vendor, device), (subsystem_vendor, subsystem_device) = (pair.split(":") for pair in (id, subsystem))
        attributes = {
            "vendor": f"0x{vendor}",
            "device": f"0x{device}",
            "subsystem_vendor": f"0x{subsystem_vendor}",
            "subsystem_device": f"0x{subsystem_device}",
            "class": f"0x{class_code:06x}",
            "revision": f"0x{revision:02x}",
            "modalias": modalias(id, subsystem, class_code),
            "driver_override": override or "(null)",
            "numa_node": str(numa_node),
        }
        attributes["uevent"] = "\n".join(
            [
                f"PCI_CLASS={class_code:04X}",
                f"PCI_ID={id.upper()}",
                f"PCI_SUBSYS_ID={subsystem.upper()}",
                f"PCI_SLOT_NAME={address}",
                f"MODALIAS={attributes['modalias']}",
            ]
        )
        if boot_vga is not None:
            attributes["boot_vga"] = str(int(boot_vga))
        if max_virtual_functions is not None:
            attributes["sriov_totalvfs"] = str(max_virtual_functions)
            attributes["sriov_drivers_autoprobe"] = str(int(drivers_autoprobe))
        for name, value in attributes.items():
            self.file(f"{here}/{name}", value + "\n")
        for node in nodes:
            self.directory(f"{here}/{node}")
        self._sysfs_link(f"/sys/bus/pci/devices/{address}", here)
        if driver is not None:
            self._own(here, address, driver)
        if group is not None:
            self._sysfs_link(f"{here}/iommu_group", f"/sys/kernel/iommu_groups/{group}")
            self._sysfs_link(f"/sys/kernel/iommu_groups/{group}/devices/{address}", here)
        if physical_function is not None:
            self._virtual(here, physical_function)
        return self

    def _place_of(self, address: str) -> str:
        target = os.readlink(self.place(f"/sys/bus/pci/devices/{address}"))
        return os.path.normpath(f"/sys/bus/pci/devices/{target}")

    def _own(self, here: str, address: str, driver: str) -> None:
        if not self.place(f"/sys/bus/pci/drivers/{driver}").exists():
            self.module(driver, drivers=[driver])
        self._sysfs_link(f"{here}/driver", f"/sys/bus/pci/drivers/{driver}")
        self._sysfs_link(f"/sys/bus/pci/drivers/{driver}/{address}", here)

    def _virtual(self, here: str, physical_function: str) -> None:
        parent = f"/sys/devices/pci{physical_function[:7]}/{physical_function}"
        self._sysfs_link(f"{here}/physfn", parent)
        number = len(list(self.place(parent).glob("virtfn*")))
        self._sysfs_link(f"{parent}/virtfn{number}", here)

    # -- what is installed

    def systemd(self, version: int = 257) -> Tree:
        """systemd as the host's init, which has booted before, and the rules by which its udev loads drivers."""
        self.file("/etc/machine-id", f"{'0' * 32}\n").link("/sbin/init", "/lib/systemd/systemd").file(
            "/usr/lib/systemd/systemd", b"\x7fELF", 0o755
        )
        self.file(f"/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-{version}.so", b"\x7fELF")
        return self.file(DRIVERS_RULES, DRIVERS_RULES_TEXT)

    def driverctl(self, program: str = "#!/bin/bash\n") -> Tree:
        """What of driverctl's package acts at boot: its rule, its unit and the program."""
        self.file(DRIVERCTL_RULES, DRIVERCTL_RULES_TEXT).file(DRIVERCTL_PROGRAM, program, mode=0o755)
        return self.file(DRIVERCTL_UNIT, f"[Service]\nType=oneshot\nExecStart={DRIVERCTL_PROGRAM} load-override %I\n")

    def kernel(
        self,
        release: str,
        modules: t.Mapping[str, t.Sequence[str]] | None = None,
        builtin: t.Sequence[str] = (),
        *,
        running: bool = False,
        image: bool = True,
        headers: bool = False,
    ) -> Tree:
        """An installed kernel.

        ``modules`` are names (or paths below its directory, without ``.ko``) with their aliases, in depmod's order.
        """
        here = f"/lib/modules/{release}"
        dep, alias = "", "# Aliases extracted from modules themselves.\n"
        for name, patterns in (modules or {}).items():
            path = name if "/" in name else f"kernel/drivers/{name}"
            self.file(f"{here}/{path}.ko", b"\x7fELF")
            dep += f"{path}.ko:\n"
            # depmod writes the name that the kernel uses, with underscores.
            alias += "".join(f"alias {pattern} {path.rsplit('/', 1)[-1].replace('-', '_')}\n" for pattern in patterns)
        self.file(f"{here}/modules.dep", dep)
        self.file(f"{here}/modules.alias", alias)
        self.file(f"{here}/modules.builtin", "".join(f"kernel/drivers/{name}.ko\n" for name in builtin))
        if headers:
            self.file(f"/usr/src/linux-headers-{release}/Makefile", "# headers\n")
            self.link(f"{here}/build", f"/usr/src/linux-headers-{release}")
        if image:
            self.file(f"/boot/vmlinuz-{release}", b"MZ")
        return self.running(release) if running else self


def stock_debian(root: Path, release: str = DEBIAN_13) -> Tree:
    """A running Debian kernel with nouveau, e1000e and vfio-pci, and no device yet."""
    modules = {
        "kernel/drivers/gpu/drm/nouveau/nouveau": [NVIDIA_DISPLAY],
        "kernel/drivers/net/ethernet/intel/e1000e/e1000e": [E1000E],
        "kernel/drivers/vfio/pci/vfio-pci-core": [],
        "kernel/drivers/vfio/pci/vfio-pci": [ANY_VFIO],
    }
    return Tree(root).kernel(release, modules, builtin=["pci/hotplug/shpchp"], running=True)
