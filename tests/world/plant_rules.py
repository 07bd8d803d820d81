# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of udev rules: what they match by, and what they do to a function."""

from __future__ import annotations

import acts
from cards import TAKERS, Card, like
from host_builder import UNITS, HostBuilder
from world_configuration import Entry

_ADD = 'ACTION=="add", SUBSYSTEM=="pci"'


def _driver(b: HostBuilder) -> tuple[str, str]:
    return b.choice.choice(TAKERS)


def _by_name(card: Card) -> str:
    return f'{_ADD}, KERNEL=="{card.address}"'


def _ready(b: HostBuilder, module: str) -> str:
    """What has the module loaded: mostly the rule itself, at times nothing."""
    return b.one(
        f', RUN{{builtin}}+="kmod load {module}"', f', RUN{{builtin}}+="kmod load {module}"', f', RUN+="/sbin/modprobe {module}"', ""
    )


def matched(b: HostBuilder, card: Card) -> None:
    """An override by a rule whose match keys are of many kinds, right or wrong."""
    module, driver = _driver(b)
    keys = _matches(b, card)
    name = b.one(*keys)
    b.rules([f'{keys[name]}, ATTR{{driver_override}}="{driver}"{_ready(b, module)}'])
    b.note(f"rule's match: {name}", card)


def _matches(b: HostBuilder, card: Card) -> dict[str, str]:
    wrong = b.maybe(0.3)
    vendor = "0xffff" if wrong else f"0x{card.vendor}"
    ids = f'ATTR{{vendor}}=="{vendor}", ATTR{{device}}=="0x{card.device}"'
    constant = b.one('CONST{arch}=="x86-64"', 'CONST{virt}=="none"', 'CONST{arch}=="arm64"', 'CONST{virt}=="qemu"')
    action = b.one('ACTION!="remove"', 'ACTION=="add|change"', 'ACTION=="change"', 'ACTION=="bind"', 'ACTION=="*"')
    path = b.one(f"/devices/{card.bus}/{card.address}", f"*/{card.address}", "/devices/virtual/*")
    test = b.one("vendor", "/etc/passwd", f"/sys/bus/pci/devices/{card.address}")
    escaped = card.address.replace(".", "\\x2e")
    yes, no = ("!=", "==") if wrong else ("==", "!=")
    return {
        "ATTR": f"{_ADD}, {ids}",
        "ATTRS": f'{_ADD}, ATTRS{{vendor}}=="{vendor}", ATTRS{{device}}=="0x{card.device}"',
        "KERNELS": f'{_ADD}, KERNELS=="{card.address}"',
        "KERNELS and ATTRS": f'{_ADD}, KERNELS=="{b.one(card.address, "pci0000:00")}", ATTRS{{device}}=="0x{card.device}"',
        "SUBSYSTEMS": f'ACTION=="add", SUBSYSTEMS=="pci", KERNEL=="{card.address}"',
        "DRIVERS": f'{_by_name(card)}, DRIVERS=="{b.one("?*", *card.drivers, "")}"',
        "DRIVER": f'{_by_name(card)}, DRIVER{b.one("==", "!=")}"{b.one("", "?*", *card.drivers)}"',
        "TAGS": f'{_by_name(card)}, TAGS=="{b.one("systemd", "seat")}"',
        "DEVPATH": f'ACTION=="add", DEVPATH=="{path}"',
        "ENV of the kernel": f'{_ADD}, ENV{{PCI_ID}}=="{card.id.upper()}", ENV{{PCI_SLOT_NAME}}=="{card.address}"',
        "ENV{MODALIAS}": f'{_ADD}, ENV{{MODALIAS}}=="pci:v0000{card.vendor.upper()}d0000{card.device.upper()}sv*"',
        "class": f'{_ADD}, ATTR{{class}}=="0x{card.class_code}", KERNEL=="{card.address}"',
        "class pattern": f'{_ADD}, ATTR{{class}}=="0x{card.class_code[:2]}*", ATTR{{device}}=="0x{card.device}"',
        "alternatives": f'{_ADD}, KERNEL=="nothing|{card.address}|0000:ff:*"',
        "character range": f'{_ADD}, KERNEL=="{card.address[:-1]}[0-{b.one("0", "3")}]"',
        "negation": f'{_ADD}, KERNEL=="{card.address}", ATTR{{device}}{no}"0xffff", ATTR{{vendor}}{yes}"0x{card.vendor}"',
        "TEST": f'{_by_name(card)}, TEST{yes}"{test}"',
        "TEST of nothing": f'{_by_name(card)}, TEST{no}"{b.one("nothing", "/nonexistent", "sriov_numvfs")}"',
        "TEST with a mode": f'{_by_name(card)}, TEST{{{b.one("0400", "0111")}}}=="/etc/passwd"',
        "CONST": f"{_by_name(card)}, {constant}",
        "SYSCTL": f'{_by_name(card)}, SYSCTL{{kernel/ostype}}{b.one("==", "!=")}"Linux"',
        "numa_node": f'{_by_name(card)}, ATTR{{numa_node}}=="{b.one("-1", "0")}"',
        "enable": f'{_by_name(card)}, ATTR{{enable}}=="{b.one("0", "1")}"',
        "boot_vga": f'{_by_name(card)}, ATTR{{boot_vga}}=="{b.one("0", "1")}"',
        "ACTION": f'{action}, SUBSYSTEM=="pci", KERNEL=="{card.address}"',
        "no ACTION": f'SUBSYSTEM=="pci", KERNEL=="{card.address}"',
        "case-insensitive": f'{_by_name(card)}, ATTR{{device}}==i"0X{card.device.upper()}"',
        "escaped": f'{_ADD}, KERNEL==e"{escaped}"',
    }


def program(b: HostBuilder, card: Card) -> None:
    """PROGRAM and IMPORT{program}: they run, and the rest of the line depends on them."""
    module, driver = _driver(b)
    style = b.choice.randrange(6)
    over = f', ATTR{{driver_override}}="{driver}"{_ready(b, module)}'
    if style == 0:
        line = f'{_by_name(card)}, PROGRAM=="/bin/{b.one("true", "false")}"{over}'
    elif style == 1:
        line = f'{_by_name(card)}, PROGRAM=="/bin/echo {b.one("yes", "no")}", RESULT=="yes"{over}'
    elif style == 2:
        script = b.program(f"#!/bin/sh\necho DRIVER_WANTED={driver}\n")
        line = (
            f'{_by_name(card)}, IMPORT{{program}}="{script}", ENV{{DRIVER_WANTED}}=="?*", ATTR{{driver_override}}="$env{{DRIVER_WANTED}}"'
        )
    elif style == 3:
        script = b.program(f'#!/bin/sh\n[ "$1" = {card.address} ] || exit 1\necho {driver} >/sys/bus/pci/devices/$1/driver_override\n')
        line = f'{_ADD}, PROGRAM=="{script} {b.one("%k", "$kernel", "$name")}"'
    elif style == 4:
        script = b.program(acts.draw(b, card).script())
        line = f'{_by_name(card)}, PROGRAM=="{script}"'
    else:
        script = b.program(f"#!/bin/sh\necho {driver}\n")
        line = f'{_by_name(card)}, PROGRAM=="{script}", ATTR{{driver_override}}="{b.one("%c", "$result", "%c{1}")}"'
    b.rules([line], in_image=0.0 if "/act" in line else 0.5)
    b.note("PROGRAM", card)


def run_program(b: HostBuilder, card: Card) -> None:
    act = acts.draw_simple(b, card)
    style = b.choice.randrange(4)
    quiet = b.one(_by_name(card), f'ACTION=="bind", SUBSYSTEM=="pci", KERNEL=="{card.address}"')
    if style == 0:
        line = f"{quiet}, RUN+=\"/bin/sh -c '{act.inline()}'\""
    elif style == 1:
        line = f'{quiet}, RUN{{program}}+="{b.program(act.script())}"'
    elif style == 2:
        script = b.program(
            '#!/bin/sh\nmodprobe pci-stub\necho pci-stub >"/sys$DEVPATH/driver_override"\n'
            '[ -e "/sys$DEVPATH/driver" ] && echo "$PCI_SLOT_NAME" >"/sys$DEVPATH/driver/unbind"\n'
            'echo "$PCI_SLOT_NAME" >/sys/bus/pci/drivers_probe\n'
        )
        line = f'{_by_name(card)}, RUN+="{script}"'
    else:
        line = f"{_by_name(card)}, RUN+=\"/bin/sh -c 'echo pci-stub > /sys/bus/pci/devices/%k/driver_override'\""
    b.rules([line], in_image=0.0 if "/act" in line else 0.4)
    b.note("RUN of a program", card)


def run_operators(b: HostBuilder, card: Card) -> None:
    """Lists of programs that are replaced, closed or cleared; without kmod a function has no native driver."""
    line = b.one(
        f'{_by_name(card)}, RUN=""',
        f'{_by_name(card)}, RUN:="/bin/true"',
        f'{_by_name(card)}, RUN{{builtin}}="kmod load dummy"',
        f'{_by_name(card)}, RUN{{builtin}}:="kmod load vfio-pci"',
        f'{_by_name(card)}, RUN{{builtin}}-="kmod load"',
        f'{_by_name(card)}, OPTIONS+="nosuchoption"',
        f'{_by_name(card)}, RUN{{builtin}}=="kmod load"',
    )
    b.rules([line], name=f"{b.one('60', '79', '85', '99')}-run{b.number()}.rules")
    b.note("RUN's operators", card)


def load_at_once(b: HostBuilder, card: Card) -> None:
    module, driver = _driver(b)
    line = f'{_by_name(card)}, IMPORT{{builtin}}="kmod load {module}"'
    if b.maybe(0.6):
        line = f'{_by_name(card)}, ATTR{{driver_override}}="{driver}", IMPORT{{builtin}}="kmod load {module}"'
    b.rules([line])
    b.pack(module)
    b.note("IMPORT of kmod", card)


def attribute(b: HostBuilder, card: Card) -> None:
    """Writes to other attributes than the override."""
    module, driver = _driver(b)
    name = card.address
    own = _by_name(card)
    at_once = f'{own}, IMPORT{{builtin}}="kmod load {module}"'
    over = f'ATTR{{driver_override}}="{driver}"'
    other = (like(card) or [card])[0].address
    bind = f'ACTION=="bind", SUBSYSTEM=="pci", KERNEL=="{name}"'
    lines = {
        "driver/unbind": f'{bind}, ATTR{{driver/unbind}}="{name}"',
        "driver/unbind by $kernel": f'ACTION=="bind", SUBSYSTEM=="pci", KERNEL=="{name}", ATTR{{driver/unbind}}="$kernel"',
        "remove": f'{_by_name(card)}, ATTR{{remove}}="1"',
        "remove when bound": f'{bind}, ATTR{{remove}}="1"',
        "new_id": f'{at_once}, ATTR{{[drivers/pci:{driver}]new_id}}="{card.vendor} {card.device}"',
        "bind": f'{at_once}, {over}, ATTR{{[drivers/pci:{driver}]bind}}="{name}"',
        "override twice": f'{own}, {over}, ATTR{{driver_override}}="{b.one("", *card.drivers)}"',
        "override +=": f'{_by_name(card)}, ATTR{{driver_override}}+="{driver}"{_ready(b, module)}',
        "override :=": f'{_by_name(card)}, ATTR{{driver_override}}:="{driver}"{_ready(b, module)}',
        "override -=": f'{_by_name(card)}, ATTR{{driver_override}}-="{driver}"{_ready(b, module)}',
        "power": f'{_by_name(card)}, ATTR{{power/control}}="auto"',
        "override by ENV": f'{_by_name(card)}, ENV{{OWN}}="{driver}", ATTR{{driver_override}}="$env{{OWN}}"{_ready(b, module)}',
        "override of another": f'{own}, ATTR{{[pci/{other}]driver_override}}="{driver}"{_ready(b, module)}',
        "probe": f'{at_once}, {over}, ATTR{{subsystem/drivers_probe}}="{name}"',
        "reset_method": f'{_by_name(card)}, ATTR{{reset_method}}=""',
    }
    kind = b.one(*lines)
    b.rules([lines[kind]], in_image=0.4)
    b.note(f"rule's ATTR: {kind}", card)


def other_subsystem(b: HostBuilder, card: Card) -> None:
    module, driver = _driver(b)
    own = b.one(*card.drivers, "vfio-pci")
    net = f'ACTION=="add", SUBSYSTEM=="net", KERNELS=="{card.address}"'
    override = f'ATTR{{[pci/{card.address}]driver_override}}="{driver}"'
    line = b.one(
        f'{net}, ATTR{{device/driver_override}}="{driver}"',
        f'{net}, ATTR{{device/driver/unbind}}="{card.address}"',
        f'ACTION=="add", SUBSYSTEM=="net", ATTRS{{device}}=="0x{card.device}", ATTR{{device/remove}}="1"',
        f'ACTION=="add", SUBSYSTEM=="module", KERNEL=="{b.one("vfio_pci", *card.natives)}", {override}',
        f'ACTION=="add", SUBSYSTEM=="drivers", KERNEL=="{own}", ATTR{{new_id}}="{card.vendor} {card.device}"',
        f'ACTION=="add", SUBSYSTEM=="drivers", DEVPATH=="/bus/pci/drivers/{own}", {override}',
    )
    b.rules([line])
    if b.maybe(0.5):
        b.file(f"/etc/modules-load.d/{b.number()}.conf", f"{module}\n")
    b.note("rule of another subsystem", card)


def environment(b: HostBuilder, card: Card) -> None:
    """What later lines of the packages' rules read."""
    style = b.choice.randrange(5)
    if style == 0:
        line = f'{_by_name(card)}, ENV{{MODALIAS}}="{b.one("", "pci:v0000FFFFd0000FFFFsv*", "dummy", "vfio-pci")}"'
    elif style == 1:
        b.file(f"/etc/dev{b.number()}.env", "WANTED=yes\n")
        line = f'{_by_name(card)}, IMPORT{{file}}="/etc/dev{b._number}.env", ENV{{WANTED}}=="yes", ATTR{{driver_override}}="pci-stub"'
    elif style == 2:
        word = b.one("quiet", "nosuchword", "panic")
        line = f'{_by_name(card)}, IMPORT{{cmdline}}="{word}", ATTR{{driver_override}}="pci-stub"'
    elif style == 3:
        line = f'{_by_name(card)}, IMPORT{{{b.one("parent", "db")}}}="ID_OWN", ATTR{{driver_override}}="pci-stub"'
    else:
        line = f'{_by_name(card)}, ENV{{DRIVER}}="none"'
    b.rules([line], in_image=0.3)
    b.note("rule's environment", card)


def flow(b: HostBuilder, card: Card) -> None:
    label = b.one("own_end", "own_end", "nowhere")
    lines = [
        f'{b.one("", "#")}{_ADD}, KERNEL{b.one("==", "!=")}"{card.address}", GOTO="{label}"',
        f'{_by_name(card)}, ATTR{{driver_override}}="{b.one("vfio-pci", "pci-stub")}"',
        'LABEL="own_end"',
        f'{_by_name(card)}, RUN{{builtin}}+="kmod load {b.one("vfio-pci", "pci-stub")}"',
    ]
    if b.maybe(0.3):
        lines[1] = f'{_by_name(card)}, \\\n  ATTR{{driver_override}}="vfio-pci"'
    b.rules(lines)
    b.note("GOTO", card)


def broken(b: HostBuilder, card: Card) -> None:
    """Lines that udev drops, or reads otherwise than they look."""
    line = b.one(
        f'ACTION="add", SUBSYSTEM=="pci", KERNEL=="{card.address}", ATTR{{driver_override}}="vfio-pci"',
        f"{_by_name(card)}, ATTR{{driver_override}}=vfio-pci",
        f'{_by_name(card)}, NOSUCHKEY=="x", ATTR{{driver_override}}="vfio-pci"',
        f'{_by_name(card)} ATTR{{driver_override}}="vfio-pci"',
        f'{_by_name(card)}, ATTR{{driver_override}}="vfio-pci',
        f'{_by_name(card)}, ATTR{{driver_override}}=="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"',
        f'{_by_name(card)}, ATTR{{driver_override}}="vfio-pci\n"',
        f"{_by_name(card)}, ATTR{{driver_override}}='vfio-pci'",
        f'{_by_name(card)}, ATTR{{driver_override}}="vfio-pci" # why',
        f'{_by_name(card)}, , ATTR{{driver_override}}="vfio-pci"',
        f'{_by_name(card)}, PROGRAM-="/bin/true", ATTR{{driver_override}}="vfio-pci"',
    )
    b.rules([line])
    b.note("broken rule", card)


def hidden(b: HostBuilder, card: Card) -> None:
    """Files that do not count: masked, with the same name in a folder that comes first, or with another ending."""
    line = f'{_by_name(card)}, ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"\n'
    name = f"70-hidden{b.number()}.rules"
    style = b.choice.randrange(5)
    if style == 0:
        b.in_both(f"/usr/lib/udev/rules.d/{name}", line)
        b.link(f"/etc/udev/rules.d/{name}", "/dev/null")
    elif style == 1:
        b.in_both(f"/usr/lib/udev/rules.d/{name}", line)
        b.in_both(f"/etc/udev/rules.d/{name}", "# nothing\n")
    elif style == 2:
        b.in_both(f"/etc/udev/rules.d/{name}{b.one('.bak', '~', '.disabled')}", line)
    elif style == 3:
        b.in_both(f"/etc/udev/rules.d/{name}", "")
        b.in_both(f"/run/udev/rules.d/{name}", line)
    else:
        b.file(f"/usr/lib/udev/rules.d/{name}", line)
        b.link(f"/etc/udev/rules.d/{name}", f"/usr/share/local/{name}")
        b.file(f"/usr/share/local/{name}", "# other\n")
    b.note("hidden rules file", card)


def packages_rules_masked(b: HostBuilder, card: Card) -> None:
    """Without 80-drivers.rules nothing loads modules by alias."""
    if b.maybe(0.5):
        b.link("/etc/udev/rules.d/80-drivers.rules", "/dev/null")
    else:
        b.file(
            "/etc/udev/rules.d/80-drivers.rules",
            f'ACTION!="remove", KERNEL!="{card.address}", ENV{{MODALIAS}}=="?*", RUN{{builtin}}+="kmod load"\n',
        )
    if b.maybe(0.3):
        b.image["/etc/udev/rules.d/80-drivers.rules"] = b.root["/etc/udev/rules.d/80-drivers.rules"]
    if b.maybe(0.4):
        b.file(f"/etc/modules-load.d/own{b.number()}.conf", "".join(f"{native}\n" for native in card.natives))
    b.note("rules of a package replaced")


def systemd_wants(b: HostBuilder, card: Card) -> None:
    name = f"asked{b.number()}"
    plain = b.maybe(0.5)
    unit = f"{name}.service" if plain else f"{name}@%k.service"
    command = b.program(acts.draw(b, card).script()) if plain else ""
    if not plain:
        command = "/bin/sh -c 'modprobe vfio-pci; echo vfio-pci >/sys/bus/pci/devices/%I/driver_override; "
        command += "echo %I >/sys/bus/pci/devices/%I/driver/unbind; echo %I >/sys/bus/pci/drivers_probe'"
        unit = unit.replace("%k", b.one("%k", "$kernel", card.address))
    text = f"[Unit]\nDescription=Asked for by a rule\n\n[Service]\nType=oneshot\nExecStart={command}\n"
    b.file(f"{UNITS}/{name}{'' if plain else '@'}.service", text)
    tag = b.one('TAG+="systemd", ', 'TAG+="systemd", ', "")
    operator = b.one("=", "+=")
    b.rules([f'{_by_name(card)}, {tag}ENV{{SYSTEMD_WANTS}}{operator}"{unit}"'], in_image=0.3)
    if b.maybe(0.15):
        b.link(f"{UNITS}/{name}{'' if plain else '@'}.service", "/dev/null")
        b.note("masked unit of a rule", card)
    b.note("SYSTEMD_WANTS", card)


def sysctl_rule(b: HostBuilder, card: Card) -> None:
    b.rules([f'{_by_name(card)}, SYSCTL{{kernel/{b.one("printk", "modprobe", "hostname")}}}="{b.one("1", "/bin/true")}"'], in_image=0.0)
    b.note("rule's SYSCTL", card)


def virtual_functions(b: HostBuilder, card: Card) -> None:
    """sriov_numvfs by a rule, and something for the virtual functions."""
    b.virtual_functions = b.choice.choice((1, 2))
    style = b.choice.randrange(4)
    count = b.virtual_functions
    if style == 0:
        b.rules([f'ACTION=="bind", SUBSYSTEM=="pci", KERNEL=="{card.address}", ATTR{{sriov_numvfs}}="{count}"'], in_image=0.0)
    elif style == 1:
        b.rules([f'ACTION=="add", SUBSYSTEM=="net", KERNELS=="{card.address}", ATTR{{device/sriov_numvfs}}="{count}"'], in_image=0.0)
    elif style == 2:
        path = f"/etc/systemd/network/10-vf{b.number()}.link"
        b.root[path] = Entry(f"[Match]\n{b.one('Driver=igb', f'Path=pci-{card.address}')}\n\n[Link]\nSR-IOVVirtualFunctions={count}\n")
    else:
        settled = "[Unit]\nAfter=systemd-udev-settle.service\nWants=systemd-udev-settle.service\n"
        make = f"/bin/sh -c 'echo {count} >/sys/bus/pci/devices/{card.address}/sriov_numvfs'"
        text = f"{settled}[Service]\nType=oneshot\nExecStart={make}\n"
        b.unit(f"vf{b.number()}.service", text, "multi-user.target")
    more = b.choice.randrange(4)
    if more == 0:
        virtual = 'ACTION=="add", SUBSYSTEM=="pci", TEST=="physfn", ATTR{device}=="0x10ca"'
        b.rules([f'{virtual}, ATTR{{driver_override}}="vfio-pci", RUN{{builtin}}+="kmod load vfio-pci"'])
    elif more == 1:
        b.rules([f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{card.address}", ATTR{{sriov_drivers_autoprobe}}="0"'])
    elif more == 2:
        b.modprobe(["blacklist igbvf"])
    b.note("virtual functions", card)
