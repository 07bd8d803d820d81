# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy takes besides the claimed card, by its strategy and the natives that it names: what the host needs of that is refused."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guard_table import IGNORE, OPTIONAL
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.unit.lockout_hosts import CARD, OTHER, Host
from ansible_collections.vfio.variants.tests.unit.policy_hosts import contents, run
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13

if t.TYPE_CHECKING:
    from pathlib import Path

ITS = f"/sys/devices/pci{OTHER[:7]}/{OTHER}"
"""The folder of a card that no claim names."""
KEYS = "1000000000007 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe\n"
Build = t.Callable[[Host], object]


class Case(t.NamedTuple):
    build: Build
    guard: str | None
    """None if it may pass."""
    says: str = ""
    options: t.Mapping[str, t.Any] = {}


def beside(kind: str, its_id: str, build: Build, **more: t.Any) -> Build:
    """A claimed card, and another one that has the same driver and other IDs."""

    def built(host: Host) -> None:
        host.function(kind).function(kind, OTHER, id=its_id, **more)
        build(host)

    return built


def disk(host: Host, *parts: str) -> Host:
    return host.disk(f"{ITS}/nvme/nvme0", "nvme0n1", "259:0", *parts)


def nic(host: Host) -> Host:
    return host.interface("enp4s0", ITS)


def keyboard(host: Host, folder: str) -> Host:
    return host.file(f"{folder}/input/input3/capabilities/ev", "120013\n").file(f"{folder}/input/input3/capabilities/key", KEYS)


def on_bus(bus: str, driver: str, module: str, device: str, build: t.Callable[[Host, str], object], kind: str = "usb") -> Build:
    """A claimed GPU, and a device of another bus whose driver the policy is told to keep away."""

    def built(host: Host) -> None:
        host.function("gpu").function(kind, OTHER)
        build(host, device)
        host.linked(f"/sys/module/{module}/drivers/{bus}:{driver}", f"../../../bus/{bus}/drivers/{driver}")
        host.linked(f"/sys/bus/{bus}/drivers/{driver}/{device.rpartition('/')[2]}", device)
        dependencies = host.tree.place(f"/lib/modules/{DEBIAN_13}/modules.dep")
        dependencies.write_text(dependencies.read_text() + f"kernel/drivers/{module}.ko:\n")

    return built


def naming(*modules: str) -> dict[str, t.Any]:
    return {"natives": ["nouveau", *modules]}


def served_root(host: Host) -> Host:
    """A root on NVMe over TCP, over this card."""
    nic(host).route("enp4s0", "0000000A", "00000000", "00FFFFFF")
    host.disk("/sys/devices/virtual/nvme-fabrics/ctl/nvme5", "nvme5n1", "259:40", "p1")
    host.file("/sys/class/nvme/nvme5/transport", "tcp\n").file("/sys/class/nvme/nvme5/address", "traddr=10.0.0.2,trsvcid=4420\n")
    return host.mounted("/", "ext4", "/dev/nvme5n1p1", "259:41")


def spare(host: Host) -> Host:
    host.file("/sys/devices/virtual/block/md0/md/dev-nvme0n1p1/state", "spare\n")
    return disk(host, "p1").stacked("md0", "9:0", "nvme0n1p1")


def usb(port: str) -> str:
    return f"{ITS}/usb1/{port}/{port}:1.0"


SATA = f"{ITS}/ata1/host0/target0:0:0/0:0:0:0"
STICK = f"{usb('1-1')}/host6/target6:0:0/6:0:0:0/block"
CHIP = "/sys/devices/LNXSYSTM:00/MSFT0101:00"
BLACKLIST: dict[str, Case] = {
    "default route": Case(beside("nic", "8086:10d4", lambda host: nic(host).route("enp4s0")), "route", "enp4s0 carries the default"),
    "default route over a team": Case(
        beside("nic", "8086:10d4", lambda host: nic(host).interface("team0").over("enp4s0", "team0").route("team0")),
        "route",
        "team0 carries",
    ),
    "default route over a VLAN": Case(
        beside("nic", "8086:10d4", lambda host: nic(host).interface("v7").over("enp4s0", "v7").route("v7")), "route", "v7 carries"
    ),
    "root on NVMe over TCP": Case(beside("nic", "8086:10d4", served_root), "root", "nvme5n1p1 is mounted at /, over enp4s0"),
    "root": Case(
        beside("nvme", "144d:a809", lambda host: disk(host, "p1").mounted("/", "ext4", "/dev/nvme0n1p1", "259:1")), "root", "mounted at /"
    ),
    "a spare of root's array": Case(
        beside("nvme", "144d:a809", lambda host: spare(host).mounted("/", "ext4", "/dev/md0", "9:0")), "root", "/dev/md0 is mounted at /"
    ),
    "root on multipath": Case(
        beside(
            "sas",
            "1000:0098",
            lambda host: (
                host.disk(f"{ITS}/host0/target0:0:0/0:0:0:0/block", "sda", "8:0")
                .stacked("dm-0", "253:0", "sda")
                .mounted("/", "xfs", "/dev/mapper/mpatha", "253:0")
            ),
        ),
        "root",
        "mpatha is mounted at /",
    ),
    "swap": Case(
        beside(
            "ahci",
            "8086:a283",
            lambda host: host.disk(f"{SATA}/block", "sda", "8:0", "1").file("/proc/swaps", "Filename\n/dev/sda1 partition 100 0 -2\n"),
        ),
        "swap",
        "/dev/sda1 is in use as swap",
    ),
    "data of fstab": Case(
        beside("ahci", "8086:a283", lambda host: host.disk(f"{SATA}/block", "sda", "8:0", "1").fstab("/dev/sda1 /srv ext4 defaults 0 2")),
        "data_mounts",
        "/dev/sda1 is needed at boot for /srv",
    ),
    "a USB card with the default route": Case(
        beside("usb", "8086:a36e", lambda host: host.interface("enx0", usb("1-3")).route("enx0")), "route", "enx0 carries"
    ),
    "a keyboard": Case(
        beside("usb", "8086:a36e", lambda host: keyboard(host, f"{usb('1-2')}/0003:046D:C31C.0001")), "console", "a keyboard is connected"
    ),
    "a serial console": Case(
        beside(
            "serial", "13a8:0354", lambda host: host.file(f"{ITS}/tty/ttyS4/dev", "4:68\n").file("/proc/cmdline", "root=x console=ttyS4\n")
        ),
        "console",
        "the console is on ttyS4",
    ),
    "the display": Case(beside("gpu", "10de:1db4", lambda _host: None, boot_vga=True), "console", "boot_vga"),
    "nothing": Case(beside("nic", "8086:10d4", lambda _host: None), None),
    "a chip that unlocks the root": Case(
        on_bus(
            "acpi",
            "tpm_crb",
            "tpm_crb",
            CHIP,
            lambda host, folder: host.file(f"{folder}/tpm/tpm0/uevent", "DEVNAME=tpm0\nMAJOR=10\nMINOR=224\n").file(
                "/etc/crypttab", "root UUID=aa none tpm2-device=auto,x-initrd.attach\n"
            ),
        ),
        "root",
        "acpi device MSFT0101:00",
        naming("tpm_crb"),
    ),
    "a keyboard's driver of USB": Case(
        on_bus("usb", "usbhid", "usbhid", usb("1-2"), lambda host, folder: keyboard(host, f"{folder}/0003:046D:C31C.0001")),
        "console",
        "usb device 1-2:1.0, whose driver usbhid is blacklisted, has the console of this host: a keyboard",
        naming("usbhid"),
    ),
    "a keyboard's driver of HID": Case(
        on_bus("hid", "hid-generic", "hid_generic", f"{usb('1-2')}/0003:046D:C31C.0001", keyboard),
        "console",
        "hid device 0003:046D:C31C.0001",
        naming("hid_generic"),
    ),
    "a laptop's keyboard": Case(
        on_bus("serio", "atkbd", "atkbd", "/sys/devices/platform/i8042/serio0", keyboard), "console", "serio device serio0", naming("atkbd")
    ),
    "a serial console at USB": Case(
        on_bus(
            "usb-serial",
            "ftdi_sio",
            "ftdi_sio",
            f"{usb('1-4')}/ttyUSB0",
            lambda host, folder: host.file(f"{folder}/tty/ttyUSB0/dev", "188:0\n").file("/proc/cmdline", "root=x console=ttyUSB0\n"),
        ),
        "console",
        "the console is on ttyUSB0",
        naming("ftdi_sio"),
    ),
    "a display at USB": Case(
        on_bus("usb", "udlfb", "udlfb", usb("1-5"), lambda host, folder: host.file(f"{folder}/graphics/fb0/dev", "29:0\n")),
        "console",
        "the console is on its framebuffer fb0",
        naming("udlfb"),
    ),
    "a mouse": Case(
        on_bus(
            "usb",
            "usbhid",
            "usbhid",
            usb("1-2"),
            lambda host, folder: host.file(f"{folder}/x/input/input3/capabilities/ev", "17\n").file(
                f"{folder}/x/input/input3/capabilities/key", "1f0000 0 0 0 0\n"
            ),
        ),
        None,
        options=naming("usbhid"),
    ),
    "root on a stick": Case(
        on_bus(
            "usb",
            "usb-storage",
            "usb_storage",
            usb("1-1"),
            lambda host, _folder: host.disk(STICK, "sda", "8:0", "1").mounted("/", "ext4", "/dev/sda1", "8:1"),
        ),
        "root",
        "usb device 1-1:1.0",
        naming("usb_storage"),
    ),
    "root on any disk of SCSI": Case(
        on_bus(
            "scsi",
            "sd",
            "sd_mod",
            SATA,
            lambda host, folder: host.disk(f"{folder}/block", "sda", "8:0", "1").mounted("/", "ext4", "/dev/sda1", "8:1"),
            "ahci",
        ),
        "root",
        "scsi device 0:0:0:0",
        naming("sd_mod"),
    ),
    "the default route at USB": Case(
        on_bus("usb", "cdc_ether", "cdc_ether", usb("1-3"), lambda host, folder: host.interface("enx0", folder).route("enx0")),
        "route",
        "usb device 1-3:1.0",
        naming("cdc_ether"),
    ),
}


@pytest.fixture(params=BLACKLIST)
def case(request: pytest.FixtureRequest) -> Case:
    return BLACKLIST[request.param]


def taken(host: Host, case: Case, guards: dict[str, str] | None = None, *, check: bool = False) -> dict[str, t.Any]:
    claim = {"devices": CARD, "driver": "vfio-pci", "guards": guards or {}}
    return run(host.tree, claim, check=check, strategy="blacklist", allow_shared_native=True, **case.options)


@pytest.mark.sampled(4)
def test_what_loses_its_driver_with_the_card_is_guarded(tmp_path: Path, case: Case) -> None:
    host = Host(tmp_path)
    case.build(host)
    if case.guard is None:
        assert taken(host, case, check=True)["changed"]
        return
    before = contents(host.tree)
    for check in (True, False):
        with pytest.raises(HostError) as caught:
            taken(host, case, check=check)
        assert case.says in str(caught.value)
    assert contents(host.tree) == before
    others = {name: IGNORE for name in OPTIONAL if name != case.guard}
    with pytest.raises(HostError) as caught:
        taken(host, case, others, check=True)
    assert case.says in str(caught.value)
    if case.guard in OPTIONAL:
        assert taken(host, case, {case.guard: IGNORE}, check=True)["changed"]
    else:
        assert "Nothing overrides this" in str(caught.value)
