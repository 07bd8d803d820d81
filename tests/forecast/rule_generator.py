# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev rules, policies of our own, driverctl and the kernel's command line can say about a device."""

from __future__ import annotations

import line_variants
from config_builder import BOTH, ROOT_ONLY, ConfigBuilder
from modprobe_generator import VFIO, ids, load_at_boot, softdep
from targets import TARGETS, Target, neighbours

OUT_OF_PLACE = ("no_such_driver", "(null)")


def matching(builder: ConfigBuilder, target: Target) -> str:
    """Keys that match the target: by address, by ID, by class, or by what its event says."""
    first = builder.choice.choice(('ACTION=="add"', 'ACTION=="add"', 'ACTION=="add|change"', 'ACTION!="remove"', ""))
    by = builder.choice.choices(("address", "id", "class", "subsystem", "event", "pattern"), (36, 24, 12, 8, 10, 10))[0]
    keys = {
        "address": [f'KERNEL=="{target.address}"'],
        "id": [f'ATTR{{vendor}}=="0x{target.vendor:04x}"', f'ATTR{{device}}=="0x{target.device:04x}"'],
        "class": [f'ATTR{{class}}=="0x{target.class_code:06x}"', f'ATTR{{vendor}}=="0x{target.vendor:04x}"'],
        "subsystem": [f'KERNEL=="{target.address}"', 'ATTR{subsystem_vendor}=="0x*"'],
        "event": [f'ENV{{PCI_SLOT_NAME}}=="{target.address}"'],
        "pattern": [f'KERNEL=="{target.address[:-3]}*"', f'ATTR{{device}}=="0x{target.device:04x}"'],
    }[by]
    subsystem = builder.choice.choice(('SUBSYSTEM=="pci"', 'SUBSYSTEM=="pci"', 'SUBSYSTEMS=="pci", SUBSYSTEM=="pci"'))
    return ", ".join([*([first] if first else []), subsystem, *keys])


def assigning(builder: ConfigBuilder, driver: str, module: str | None) -> str:
    operator = "=" if builder.maybe(0.95) else ":="
    text = f'ATTR{{driver_override}}{operator}"{driver}"'
    return text + (f', RUN{{builtin}}+="kmod load {line_variants.module(builder.choice, module)}"' if module else "")


def choose_driver(builder: ConfigBuilder, target: Target) -> tuple[str, str]:
    """Module and driver that the target is given to."""
    known = [*[(VFIO, "vfio-pci")] * 3, *target.variants]
    return builder.choice.choice(known)


def override(builder: ConfigBuilder, target: Target) -> None:
    builder.note("rule: driver_override")
    module, driver = choose_driver(builder, target)
    loads = builder.maybe(0.7)
    if builder.maybe(0.12):
        # With a dash or an underscore too many, no driver of that name will ever come.
        driver = driver.replace("-", "_") if "-" in driver else driver.replace("_", "-")
    elif builder.maybe(0.06):
        driver = builder.choice.choice(OUT_OF_PLACE)
    elif builder.maybe(0.06) and target.drivers:
        driver = target.drivers[0]
    if builder.maybe(0.1):
        driver = builder.choice.choice([name for other in neighbours(target) for name in other.drivers] or [driver])
        builder.note("rule: foreign driver")
    builder.rules(f"{matching(builder, target)}, {assigning(builder, driver, module if loads else None)}")
    if not loads and builder.maybe(0.6):
        load_at_boot(builder, module)
    if builder.maybe(0.1):
        builder.missing_modules.append(module)
        builder.note("module missing")
    pack_for(builder, target, module)


def two_rules(builder: ConfigBuilder, target: Target) -> None:
    """udev writes the attribute at each rule it comes to: the last one's value stays."""
    builder.note("rule: driver_override")
    builder.note("rules that disagree")
    module, driver = choose_driver(builder, target)
    rival = builder.choice.choice(["pci-stub", *(target.drivers or ("no_such_driver",)), ""])
    lines = [
        f"{matching(builder, target)}, {assigning(builder, driver, module)}",
        f'{matching(builder, target)}, ATTR{{driver_override}}="{rival}"',
    ]
    if builder.maybe(0.5):
        lines.reverse()
    if builder.maybe(0.4):
        builder.rules(*lines, where=BOTH)
    else:
        one, two = builder.choice.choice((("70-a", "90-b"), ("90-b", "70-a"), ("9-x", "10-y"), ("Z-x", "a-y")))
        builder.rules(lines[0], where=BOTH, path=f"/etc/udev/rules.d/{one}.rules")
        builder.rules(lines[1], where=BOTH, path=f"{builder.choice.choice(('/etc', '/usr/lib'))}/udev/rules.d/{two}.rules")
    pack_for(builder, target, module)


def jumping_rules(builder: ConfigBuilder, target: Target) -> None:
    """GOTO skips what lies before its LABEL."""
    builder.note("rule: driver_override")
    builder.note("rule: GOTO")
    module, driver = choose_driver(builder, target)
    other = builder.choice.choice([target, target, *neighbours(target)[:1]])
    condition = builder.choice.choice((f'KERNEL=="{other.address}", ', 'SUBSYSTEM!="pci", ', 'ACTION!="add", ', ""))
    builder.rules(
        f'{condition}GOTO="vfio_end"',
        f"{matching(builder, target)}, {assigning(builder, driver, module)}",
        'LABEL="vfio_end"',
        where=None if builder.maybe(0.5) else BOTH,
    )
    pack_for(builder, target, module)


def broken_rules(builder: ConfigBuilder, target: Target) -> None:
    """Rules that do not apply: another card's ID at the address, an event that never comes, a line that udev rejects."""
    builder.note("rule: does not apply")
    module, driver = choose_driver(builder, target)
    other = builder.choice.choice(neighbours(target))
    assigned = f'ATTR{{driver_override}}="{driver}", RUN{{builtin}}+="kmod load {module}"'
    here = f'ACTION=="add", KERNEL=="{target.address}"'
    line = builder.choice.choice(
        (
            f'{here}, ATTR{{vendor}}=="0x{other.vendor:04x}", ATTR{{device}}=="0x{other.device ^ 1:04x}", {assigned}',
            f'ACTION=="add", KERNEL=="0000:7f:1f.7", {assigned}',
            f'ACTION=="bind", SUBSYSTEM=="pci", KERNEL=="{target.address}", {assigned}',
            f'ACTION=="change", SUBSYSTEM=="pci", KERNEL=="{target.address}", {assigned}',
            f'ACTION="add", SUBSYSTEM=="pci", KERNEL=="{target.address}", {assigned}',
            f'SUBSYSTEM=="pci", KERNEL=="{target.address}" ATTR{{driver_override}}="{driver}" nonsense',
            f'# SUBSYSTEM=="pci", KERNEL=="{target.address}", {assigned}',
            f'SUBSYSTEM=="pci", ATTR{{vendor}}=="0x{target.vendor:04X}Z", {assigned}',
            f'SUBSYSTEM=="net", KERNEL=="{target.address}", {assigned}',
            f'SUBSYSTEM=="pci", DRIVER=="no_such_driver", KERNEL=="{target.address}", {assigned}',
        )
    )
    builder.rules(line)
    pack_for(builder, target, module)


def rule_that_only_loads(builder: ConfigBuilder, target: Target) -> None:
    """`kmod load` in the device's event: after 80-drivers.rules it comes after the native driver's, before it first."""
    builder.note("rule: kmod load")
    builder.note("options ids=")
    number = builder.choice.choice(("10", "70", "79", "81", "90"))
    builder.modprobe(ids(builder, target), where=BOTH)
    builder.rules(
        f'{matching(builder, target)}, RUN{{builtin}}+="kmod load vfio-pci"',
        where=BOTH if builder.maybe(0.7) else None,
        path=f"{builder.choice.choice(('/etc', '/usr/lib'))}/udev/rules.d/{number}-load.rules",
    )
    pack_for(builder, target, VFIO)


def doubtful_rule(builder: ConfigBuilder, target: Target) -> None:
    """Whether it matches only a program knows: nobody can tell from the files."""
    builder.note("rule: PROGRAM")
    builder.rules(
        f'{matching(builder, target)}, PROGRAM=="/bin/{builder.choice.choice(("true", "false"))}", ATTR{{driver_override}}="vfio-pci"'
    )
    pack_for(builder, target, VFIO)


def without_autoprobe(builder: ConfigBuilder, target: Target) -> None:
    """Virtual functions that no driver is offered to, unless their override is set."""
    builder.note("sriov_drivers_autoprobe")
    builder.virtual_functions = builder.choice.choice((1, 2))
    physical = next(device for device in TARGETS if device.makes_virtual_functions)
    if builder.maybe(0.75):
        builder.rules(f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{physical.address}", ATTR{{sriov_drivers_autoprobe}}="0"', where=BOTH)
    if builder.maybe(0.6):
        builder.note("rule: driver_override")
        match = 'ACTION=="add", SUBSYSTEM=="pci", ATTR{device}=="0x10ca"'
        builder.rules(f"{match}, {assigning(builder, 'vfio-pci', VFIO)}", where=BOTH)
    elif builder.maybe(0.5):
        builder.note("options ids=")
        builder.modprobe("options vfio-pci ids=8086:10ca", where=BOTH)
        load_at_boot(builder, VFIO)
    pack_for(builder, physical, VFIO)


def command_line(builder: ConfigBuilder, target: Target) -> None:
    """The same said on the kernel's command line."""
    kinds = ("modprobe.blacklist=", "module_blacklist=", "vfio-pci.ids=", "blacklist=", "driver_async_probe=", "native option")
    kind = builder.choice.choices(kinds, (2, 2, 4, 2, 2, 1))[0]
    native = builder.choice.choice(list(target.natives) or [VFIO])
    written = native if builder.maybe(0.85) else native.replace("_", "-")
    builder.note(kind if kind != "native option" else "module.option=")
    if kind == "modprobe.blacklist=":
        more = ",no_such_module" if builder.maybe(0.3) else ""
        builder.cmdline.append(f"modprobe.blacklist={written}{more}")
    elif kind == "module_blacklist=":
        builder.cmdline.append(f"module_blacklist={builder.choice.choice((written, written, VFIO))}")
        if builder.maybe(0.2):
            builder.cmdline.append("module_blacklist=no_such_module")
    elif kind == "blacklist=":
        builder.cmdline.append(f"blacklist={native}")
    elif kind == "driver_async_probe=":
        builder.cmdline.append(f"driver_async_probe={builder.choice.choice(('igbvf', *target.drivers, 'no_such_driver'))}")
    elif kind == "native option":
        builder.cmdline.append(f"{native}.no_such_option=1")
    if kind == "vfio-pci.ids=" or builder.maybe(0.45):
        key = builder.choice.choice(("vfio-pci.ids", "vfio_pci.ids"))
        builder.note("vfio-pci.ids=")
        builder.cmdline.append(f"{key}={line_variants.identifier(builder.choice, target.vendor, target.device)}")
        if builder.maybe(0.7):
            builder.modprobe(*(softdep(builder, name, style="pre") for name in target.natives or ("no_native",)))
        else:
            load_at_boot(builder, VFIO)
    pack_for(builder, target, VFIO)


def variant_ids(builder: ConfigBuilder, target: Target) -> None:
    """A variant with ids= of its own: what it takes, it takes without an override."""
    if not target.variants:
        override(builder, target)
        return
    builder.note("variant ids=")
    module, _driver = builder.choice.choice(list(target.variants))
    if builder.maybe(0.5):
        builder.modprobe(ids(builder, target, module), where=BOTH)
    else:
        builder.cmdline.append(f"{module}.ids={target.vendor:04x}:{target.device:04x}")
    if builder.maybe(0.25):
        builder.modprobe(ids(builder, target), where=BOTH)
    if builder.maybe(0.7):
        builder.modprobe(*(softdep(builder, native, module, "pre") for native in target.natives or ("no_native",)), where=BOTH)
    load_at_boot(builder, module)
    pack_for(builder, target, module)


def dracut_words(builder: ConfigBuilder, target: Target) -> None:
    """What dracut's own words on the command line do in its initramfs."""
    builder.flow = "dracut"
    kind = builder.choice.choice(("rd.driver.pre=", "rd.driver.pre=", "rd.driver.post=", "rd.driver.blacklist=", "rd.modules_load="))
    builder.note(kind)
    builder.note("options ids=")
    builder.modprobe(ids(builder, target), where=BOTH)
    native = builder.choice.choice(list(target.natives) or [VFIO])
    if kind == "rd.driver.blacklist=":
        builder.cmdline.append(f"rd.driver.blacklist={native}")
        load_at_boot(builder, VFIO)
    elif kind == "rd.modules_load=":
        builder.cmdline.append(f"rd.modules_load={builder.choice.choice(('vfio-pci', 'vfio_pci'))}")
    else:
        builder.cmdline.append(
            f"{kind}{builder.choice.choice(('vfio-pci', 'vfio_pci', native, f'{native},vfio_pci', f'vfio-pci,{native}'))}"
        )
    builder.pack(VFIO, *target.natives)


def driverctl(builder: ConfigBuilder, target: Target) -> None:
    """Comes last and takes the device from whoever has it."""
    builder.note("driverctl")
    module, driver = choose_driver(builder, target)
    chosen = builder.choice.choices((driver, "none", (*target.drivers, "vfio-pci")[0]), (70, 15, 15))[0]
    builder.line(f"/etc/driverctl.d/pci-{target.address}", chosen, ROOT_ONLY)
    if builder.maybe(0.3):
        override(builder, target)
    pack_for(builder, target, module)


def pack_for(builder: ConfigBuilder, target: Target, module: str) -> None:
    """The natives and the module, or a part of them, in the image."""
    have = builder.choice.choices(("both", "natives", "module", "neither"), (45, 18, 9, 28))[0]
    if have in ("both", "natives"):
        builder.pack(*target.natives)
    if have in ("both", "module"):
        builder.pack(module)


GENERATORS = (
    (override, 22),
    (two_rules, 6),
    (jumping_rules, 4),
    (broken_rules, 4),
    (rule_that_only_loads, 6),
    (doubtful_rule, 1),
    (without_autoprobe, 4),
    (command_line, 12),
    (variant_ids, 5),
    (dracut_words, 6),
    (driverctl, 5),
)
