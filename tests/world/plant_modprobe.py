# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules: what is loaded without a device, what never is, and parameters by which a driver refuses its functions."""

from __future__ import annotations

from cards import Card
from host_builder import HostBuilder

#: Per native module: parameters that exist, with values that are right, wrong, or that make it refuse.
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "e1000e": ("InterruptThrottleRate=3000", "InterruptThrottleRate=fast", "debug=7", "copybreak=256", "IntMode=1,1,1,1"),
    "bochs": ("modeset=0", "modeset=1", "modeset=-1", "defx=800", "defx=wide"),
    "cirrus": ("modeset=0", "modeset=1", "bpp=16"),
    "snd_hda_intel": ("enable=0", "enable=1", "index=9", "model=generic", "enable=0,1", "power_save=x", "dmic_detect=0"),
    "snd_intel8x0": ("enable=0", "index=3", "ac97_clock=x"),
    "snd_ens1370": (
        "enable=0",
        "index=-1",
        "index=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32",
    ),
    "xhci_pci": ("nosuch=1",),
    "vmxnet3": ("nosuch=1", "debug"),
    "nvme": ("io_queue_depth=1", "io_queue_depth=64", "io_queue_depth=5000", "use_threaded_interrupts=2", "poll_queues=x", "sgl_threshold"),
    "igb": ("max_vfs=0", "debug=-1", "max_vfs=many"),
    "8139cp": ("debug=1", "multicast_filter_limit=x"),
    "8139too": ("media=1,2,3", "debug=high"),
    "pcnet32": ("options=1", "max_interrupt_work=2", "homepna=1,x"),
    "e100": ("eeprom_bad_csum_allow=1", "debug=x", "use_io=1"),
    "e1000": ("Speed=100", "Duplex=full", "copybreak=0"),
    "tulip": ("tulip_debug=1", "options=x", "csr0=1"),
    "ahci": ("marvell_enable=0", "mobile_lpm_policy=1", "mobile_lpm_policy=x"),
    "sdhci_pci": ("nosuch=2", "dyndbg"),
    "ne2k_pci": ("bad=1", "full_duplex=1,x", "use_io=x"),
    "ehci_pci": ("nosuch",),
    "i6300esb": ("heartbeat=0", "heartbeat=soon", "nowayout=1", "nowayout=maybe"),
    "rival_pci": ("nosuch=1",),
    "igbvf": ("debug=x",),
}
_TAKER_PARAMETERS = (
    "ids={id}",
    "ids={id} disable_vga=1",
    "ids=",
    "ids={id}:ffff",
    "ids=zzzz",
    "disable_idle_d3=1",
    "disable_idle_d3=perhaps",
    "nosuch=1",
)


def parameter(b: HostBuilder, card: Card) -> None:
    native = b.one(*card.natives)
    value = b.choice.choice(_PARAMETERS[native])
    style = b.choice.randrange(4)
    if style == 0:
        b.cmdline.append(f"{b.one(native, native.replace('_', '-'))}.{value}")
        b.note("parameter in the kernel's words", card)
    else:
        b.modprobe([f"options {native} {value}"])
        b.note("parameter", card)
    if native in ("bochs", "cirrus") and b.maybe(0.3):
        b.cmdline.append("nomodeset")
        b.note("nomodeset", card)


def of_all_modules(b: HostBuilder, card: Card) -> None:
    native = b.one(*card.natives)
    value = b.one("async_probe", "async_probe=1", "dyndbg=+p", "nosuchparameter=1", "nosuchparameter", "=1")
    if b.maybe(0.3):
        b.cmdline.append(f"driver_async_probe={b.one('*', *card.drivers)}")
        b.note("driver_async_probe", card)
        return
    b.modprobe([f"options {native} {value}"])
    b.note("parameter of all modules", card)


def taker_parameter(b: HostBuilder, card: Card) -> None:
    value = b.choice.choice(_TAKER_PARAMETERS).format(id=card.id)
    module = b.one("vfio_pci", "vfio-pci", "pci_stub")
    lines = [f"options {module} {value}"]
    if card.natives and b.maybe(0.6):
        lines.append(f"softdep {b.one(*card.natives)} pre: {module}")
    if b.maybe(0.4):
        b.file(f"/etc/modules-load.d/taker{b.number()}.conf", f"{module}\n")
    b.modprobe(lines)
    if b.maybe(0.5):
        b.pack("vfio_pci", "pci_stub", *card.natives)
    b.note("parameter of vfio-pci", card)


def blacklist(b: HostBuilder, card: Card) -> None:
    native = b.one(*card.natives)
    style = b.choice.randrange(6)
    if style == 0:
        b.cmdline.append(f"modprobe.blacklist={native}{b.one('', ',dummy')}")
    elif style == 1:
        b.cmdline.append(f"module_blacklist={native}")
        b.note("module_blacklist", card)
    elif style == 2:
        b.modprobe([f"blacklist {native}"])
        b.file(f"/etc/modules-load.d/again{b.number()}.conf", f"{native}\n")
    elif style == 3:
        b.modprobe([f"alias pci:v0000{card.vendor.upper()}d0000{card.device.upper()}sv*sd*bc*sc*i* off"])
        b.note("alias off", card)
    elif style == 4:
        b.modprobe([f"blacklist {native}", f"alias own_{native} {native}"])
        b.file(f"/etc/modules-load.d/own{b.number()}.conf", f"own_{native}\n")
    else:
        b.modprobe([f"blacklist {native}"])
    b.note("blacklist", card)


def own_alias(b: HostBuilder, card: Card) -> None:
    module = b.one("vfio_pci", "pci_stub", "forecast_vfio_pci", "dummy")
    pattern = f"pci:v0000{card.vendor.upper()}d0000{card.device.upper()}sv*sd*bc*sc*i*"
    lines = [f"alias {pattern} {module}"]
    if b.maybe(0.5):
        lines.append(f"options {module} ids={card.id}" if module in ("vfio_pci", "pci_stub") else f"softdep {module} post: vfio_pci")
    b.modprobe(lines)
    b.note("own alias", card)


def hidden(b: HostBuilder, card: Card) -> None:
    """Files of modprobe.d that do not count."""
    native = b.one(*card.natives)
    name, text = f"hidden{b.number()}.conf", f"blacklist {native}\n"
    style = b.choice.randrange(4)
    if style == 0:
        b.in_both(f"/usr/lib/modprobe.d/{name}", text)
        b.link(f"/etc/modprobe.d/{name}", "/dev/null")
    elif style == 1:
        b.in_both(f"/usr/lib/modprobe.d/{name}", text)
        b.in_both(f"/etc/modprobe.d/{name}", "# nothing\n")
    elif style == 2:
        b.in_both(f"/etc/modprobe.d/{name}{b.one('.bak', '.dpkg-old', '~')}", text)
    else:
        b.in_both(f"/etc/modprobe.d/{name}", text)
        b.link(f"/run/modprobe.d/{name}", "/dev/null")
    b.note("hidden modprobe file", card)


def load_list(b: HostBuilder, card: Card) -> None:
    """Modules loaded without a device: by files, masked files, words of the kernel."""
    module = b.one("vfio_pci", "pci_stub", "forecast_vfio_pci", *card.natives)
    if module in ("vfio_pci", "pci_stub") and b.maybe(0.7):
        b.modprobe([f"options {module} ids={card.id}"])
    style = b.choice.randrange(7)
    name = f"list{b.number()}.conf"
    if style == 0:
        b.append("/etc/modules", f"{module}\n")
    elif style == 1:
        b.cmdline.append(f"modules_load={module}{b.one('', ',dummy')}")
    elif style == 2:
        b.cmdline.append(f"modules-load={module}")
    elif style == 3:
        b.file(f"/usr/lib/modules-load.d/{name}", f"{module}\n")
        b.link(f"/etc/modules-load.d/{name}", "/dev/null")
        b.note("masked load list", card)
    elif style == 4:
        b.file(f"/etc/modules-load.d/{name}{b.one('.off', '~')}", f"{module}\n")
    else:
        b.file(f"{b.one('/etc', '/usr/lib', '/run', '/usr/local/lib')}/modules-load.d/{name}", f"# local\n;{module}x\n{module}\n")
    b.note("load list", card)


def initcall(b: HostBuilder, card: Card) -> None:
    """The kernel skips a module's init function by its symbol; the guest's own word for this is one list with it."""
    native = b.one(*card.natives)
    symbol = {"e1000e": "e1000_init_module", "igb": "igb_init_module", "e1000": "e1000_init_module"}.get(native, f"{native}_init")
    b.cmdline.append(f"initcall_blacklist={symbol}")
    b.note("initcall_blacklist", card)


def early_words(b: HostBuilder, card: Card) -> None:
    native = b.one("vfio_pci", *card.natives)
    words = b.one(
        f"-- modprobe.blacklist={native}",
        f"-- {native}.nosuch=1",
        f"rd.driver.blacklist={native}",
        f"rd.driver.pre={native}",
        f'vfio-pci.ids="{card.id}"',
        f"vfio_pci.ids={card.id} modules_load=vfio_pci",
        f"pci-stub.ids={card.id}",
        "pci=noaer",
        "nomodeset=1",
        f"modprobe.blacklist={native.replace('_', '-')}",
    )
    if words.startswith("--"):
        b.cmdline.extend(["zz", *words.split()])
    else:
        b.cmdline[:0] = words.split()
    b.note("kernel's words", card)
