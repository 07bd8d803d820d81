# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that programs of systemd and others act by: tmpfiles.d, sysctl.d, driverctl's, credentials, extensions; and systemd's words."""

from __future__ import annotations

import base64

import acts
from cards import TAKERS, Card
from host_builder import UNITS, HostBuilder
from world_configuration import Entry

_DISABLE = "ExecStart=/bin/sh -c 'echo 1 >/proc/sys/kernel/modules_disabled'\n"
_STUB = 'ATTR{driver_override}="pci-stub", RUN{builtin}+="kmod load pci-stub"'


def tmpfiles(b: HostBuilder, card: Card) -> None:
    device = f"/sys/bus/pci/devices/{card.address}"
    driver = b.choice.choice(TAKERS)[1]
    own = b.one(*card.drivers, "vfio-pci")
    line = b.one(
        f"w {device}/driver_override - - - - {driver}",
        f"w {device}/driver/unbind - - - - {card.address}",
        f"w+ {device}/driver/unbind - - - - {card.address}",
        f"w! {device}/driver/unbind - - - - {card.address}",
        f"w {device}/remove - - - - 1",
        f"w /sys/bus/pci/drivers/{driver}/new_id - - - - {card.vendor} {card.device}",
        f"w /sys/bus/pci/devices/*:{card.address[8:]}/driver/unbind - - - - {card.address}",
        f"w /sys/bus/pci/drivers_probe - - - - {card.address}",
        f"f {device}/driver_override - - - - {driver}",
        f"F {device}/driver_override - - - - {driver}",
        f"w '/sys/bus/pci/drivers/{own}/unbind' - - - - {card.address}",
        f"w {device}/power/control - - - - auto",
        f"r /run/nothing{b.number()}",
        f"L+ /run/link{b.number()} - - - - {device}",
    )
    folder = b.one("/etc", "/usr/lib", "/run")
    name = f"{b.one('gpu', 'zz')}{b.number()}.conf{b.one('', '', '', '.off')}"
    b.file(f"{folder}/tmpfiles.d/{name}", f"{line}\n")
    if folder == "/usr/lib" and b.maybe(0.3):
        b.link(f"/etc/tmpfiles.d/{name}", "/dev/null")
        b.note("masked tmpfiles file", card)
    b.note("tmpfiles.d", card)


def sysctl(b: HostBuilder, card: Card) -> None:
    line = b.one(
        "kernel.modprobe = /bin/true",
        "kernel/modprobe=/nonexistent",
        "kernel.modules_disabled = 0",
        "vm.nr_hugepages = 2",
        "-kernel.modules_disabled = 0",
        "# kernel.modules_disabled = 1",
        "kernel.printk = 3 4 1 3",
    )
    b.file(f"{b.one('/etc', '/usr/lib', '/run')}/sysctl.d/{b.number()}-own.conf", f"{line}\n")
    b.note("sysctl without effect", card)


def modules_disabled(b: HostBuilder, _card: Card) -> None:
    style = b.choice.randrange(5)
    line = "kernel.modules_disabled = 1\n"
    if style == 0:
        b.file(f"/etc/sysctl.d/99-lock{b.number()}.conf", line)
    elif style == 1:
        name = f"90-lock{b.number()}.conf"
        b.file(f"/usr/lib/sysctl.d/{name}", line)
        b.link(f"/etc/sysctl.d/{name}", "/dev/null")
        b.note("masked sysctl file")
    elif style == 2:
        b.file("/etc/sysctl.conf", line)
    elif style == 3:
        b.unit(f"lock{b.number()}.service", f"[Service]\nType=oneshot\n{_DISABLE}", "multi-user.target")
    else:
        b.cmdline.append("sysctl.kernel.modules_disabled=1")
    b.note("kernel.modules_disabled")


def driverctl(b: HostBuilder, card: Card) -> None:
    driver = b.choice.choice(TAKERS)[1] if b.maybe(0.85) else b.one("none", "nosuchdriver", *card.drivers)
    path = f"/etc/driverctl.d/pci-{card.address}"
    if b.maybe(0.1):
        b.file(f"/opt/overrides/{card.address}", f"{driver}\n")
        b.link(path, f"/opt/overrides/{card.address}")
    else:
        b.file(path, f"{driver}\n")
    if b.maybe(0.1):
        b.link("/etc/udev/rules.d/05-driverctl.rules", "/dev/null")
        b.note("driverctl's rule masked", card)
    b.note("driverctl", card)


def credential(b: HostBuilder, card: Card) -> None:
    """In the kernel's words, which every systemd reads."""
    device = f"/sys/bus/pci/devices/{card.address}"
    line = b.one(f"w {device}/driver/unbind - - - - {card.address}", f"w {device}/driver_override - - - - pci-stub")
    rule = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{card.address}", {_STUB}'
    unit = f"[Service]\nType=oneshot\nExecStart=/bin/sh -c '{acts.draw_simple(b, card).inline()}'\n"
    name, text = b.choice.choice(
        (
            ("tmpfiles.extra", line),
            ("sysctl.extra", "kernel.printk=3 4 1 3"),
            ("udev.rules.own", rule),
            (f"systemd.extra-unit.own{b.number()}.service", unit),
            ("nothing.own", "text"),
        )
    )
    style = b.choice.randrange(3)
    if style == 0:
        b.root[f"/etc/credstore/{name}"] = Entry(f"{text}\n", mode=0o600)
    else:
        b.cmdline.append(f"systemd.set_credential_binary={name}:{base64.b64encode(text.encode()).decode()}")
    if name.startswith("systemd.extra-unit"):
        b.cmdline.append(f"systemd.wants={name.removeprefix('systemd.extra-unit.')}")
    b.note(f"credential {name.split('.own')[0]}", card)


def words_of_systemd(b: HostBuilder, card: Card) -> None:
    act = acts.draw_simple(b, card)
    name = f"word{b.number()}"
    unit = f"[Service]\nType=oneshot\nExecStart={b.program(act.script())}\n"
    style = b.choice.randrange(6)
    if style == 0:
        b.cmdline.append(f"systemd.run={b.program(act.script())}")
        b.cmdline += ["systemd.run_success_action=none", "systemd.run_failure_action=none"]
        b.note("systemd.run=", card)
    elif style == 1:
        b.file(f"{UNITS}/{name}.service", unit)
        b.cmdline.append(f"systemd.wants={name}.service")
        b.note("systemd.wants=", card)
    elif style == 2:
        b.unit(f"{name}.service", unit, "multi-user.target")
        b.cmdline.append(f"systemd.mask={name}.service")
        b.note("systemd.mask=", card)
    elif style == 3:
        b.unit(f"{name}.service", unit, "multi-user.target")
        b.cmdline.append(b.one("systemd.unit=basic.target", "rd.systemd.unit=basic.target", "systemd.unit=multi-user.target"))
        b.note("systemd.unit=", card)
    elif style == 4:
        b.file(f"{UNITS}/{name}.service", unit)
        b.cmdline.append(f"rd.systemd.wants={name}.service")
        b.note("rd.systemd.wants=", card)
    else:
        init = b.program(f"{act.script()}exec /sbin/init\n", "/sbin-own/init")
        # The root has no /sys and no /proc of its own until the initramfs gives them.
        b.cmdline.append(f"init={init}")
        b.note("init=", card)


def extension(b: HostBuilder, card: Card) -> None:
    """A system extension, with files below /usr, or a configuration extension, with files below /etc."""
    name = f"ext{b.number()}"
    config = b.maybe(0.3) and not b.is_old
    base = f"/var/lib/{'confexts' if config else 'extensions'}/{name}"
    below = "etc" if config else "usr/lib"
    identity = "ID=_any\n" if b.maybe(0.85) else "ID=other\n"
    release = f"{base}/etc/extension-release.d" if config else f"{base}/usr/lib/extension-release.d"
    b.file(f"{release}/extension-release.{name}", identity)
    rule = f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{card.address}", {_STUB}\n'
    b.file(f"{base}/{below}/udev/rules.d/70-{name}.rules", rule)
    service = "systemd-confext.service" if config else "systemd-sysext.service"
    if b.maybe(0.7):
        b.link(f"{UNITS}/sysinit.target.wants/{service}", f"/usr/lib/systemd/system/{service}")
    b.note("confext" if config else "sysext", card)


def inert(b: HostBuilder, card: Card) -> None:
    """Things that look like something and are not."""
    style = b.choice.randrange(6)
    script = acts.draw(b, card).script()
    if style == 0:
        b.program(script)
    elif style == 1:
        b.file(f"/usr/share/doc/gpu/examples/bind{b.number()}.sh", script)
    elif style == 2:
        b.file(f"/etc/profile.d/gpu{b.number()}.sh", script)
    elif style == 3:
        b.file(f"/root/bind{b.number()}.sh", script)
    elif style == 4:
        b.unit(f"never{b.number()}.service", f"[Service]\nType=oneshot\nExecStart={b.program(script)}\n", "nowhere.target")
    else:
        b.file(f"/etc/modprobe.d/README{b.number()}", f"blacklist {b.one(*card.natives, 'vfio_pci')}\n")
    b.note("something that does nothing", card)


def everything(b: HostBuilder, _card: Card) -> None:
    """Words and switches that concern all functions."""
    word = b.one("nomodule", "drivers_autoprobe", "kernel.modprobe", "modules_disabled early")
    if word == "nomodule":
        b.cmdline.append("nomodule")
    elif word == "drivers_autoprobe":
        if b.maybe(0.5):
            b.file(f"/etc/tmpfiles.d/probe{b.number()}.conf", "w /sys/bus/pci/drivers_autoprobe - - - - 0\n")
        else:
            b.rules(['ACTION=="add", SUBSYSTEM=="pci", KERNEL=="0000:00:00.0", ATTR{subsystem/drivers_autoprobe}="0"'])
    elif word == "kernel.modprobe":
        b.file(f"/etc/sysctl.d/10-modprobe{b.number()}.conf", "kernel.modprobe = /bin/false\n")
    else:
        text = f"[Unit]\nDefaultDependencies=no\nBefore=systemd-udev-trigger.service\n[Service]\nType=oneshot\n{_DISABLE}"
        b.unit(f"early{b.number()}.service", text, "sysinit.target")
    b.note(f"for all: {word}")
