# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What udev rules, policies of our own, driverctl and the kernel's command line can say about a device."""

from __future__ import annotations

import spelling
from draft import BOTH, ROOT_ONLY, Draft
from modprobe_themes import VFIO, ids, load_at_boot, softdep
from targets import TARGETS, Target, neighbours

OUT_OF_PLACE = ("no_such_driver", "(null)")


def matching(draft: Draft, target: Target) -> str:
    """Keys that match the target: by address, by ID, by class, or by what its event says."""
    first = draft.choice.choice(('ACTION=="add"', 'ACTION=="add"', 'ACTION=="add|change"', 'ACTION!="remove"', ""))
    by = draft.choice.choices(("address", "id", "class", "subsystem", "event", "pattern"), (36, 24, 12, 8, 10, 10))[0]
    keys = {
        "address": [f'KERNEL=="{target.address}"'],
        "id": [f'ATTR{{vendor}}=="0x{target.vendor:04x}"', f'ATTR{{device}}=="0x{target.device:04x}"'],
        "class": [f'ATTR{{class}}=="0x{target.class_code:06x}"', f'ATTR{{vendor}}=="0x{target.vendor:04x}"'],
        "subsystem": [f'KERNEL=="{target.address}"', 'ATTR{subsystem_vendor}=="0x*"'],
        "event": [f'ENV{{PCI_SLOT_NAME}}=="{target.address}"'],
        "pattern": [f'KERNEL=="{target.address[:-3]}*"', f'ATTR{{device}}=="0x{target.device:04x}"'],
    }[by]
    subsystem = draft.choice.choice(('SUBSYSTEM=="pci"', 'SUBSYSTEM=="pci"', 'SUBSYSTEMS=="pci", SUBSYSTEM=="pci"'))
    return ", ".join([*([first] if first else []), subsystem, *keys])


def assigning(draft: Draft, driver: str, module: str | None) -> str:
    operator = "=" if draft.maybe(0.95) else ":="
    text = f'ATTR{{driver_override}}{operator}"{driver}"'
    return text + (f', RUN{{builtin}}+="kmod load {spelling.module(draft.choice, module)}"' if module else "")


def choose_driver(draft: Draft, target: Target) -> tuple[str, str]:
    """Module and driver that the target is given to."""
    known = [*[(VFIO, "vfio-pci")] * 3, *target.variants]
    return draft.choice.choice(known)


def override(draft: Draft, target: Target) -> None:
    draft.note("rule: driver_override")
    module, driver = choose_driver(draft, target)
    loads = draft.maybe(0.7)
    if draft.maybe(0.12):
        # With a dash or an underscore too many, no driver of that name will ever come.
        driver = driver.replace("-", "_") if "-" in driver else driver.replace("_", "-")
    elif draft.maybe(0.06):
        driver = draft.choice.choice(OUT_OF_PLACE)
    elif draft.maybe(0.06) and target.drivers:
        driver = target.drivers[0]
    if draft.maybe(0.1):
        driver = draft.choice.choice([name for other in neighbours(target) for name in other.drivers] or [driver])
        draft.note("rule: foreign driver")
    draft.rules(f"{matching(draft, target)}, {assigning(draft, driver, module if loads else None)}")
    if not loads and draft.maybe(0.6):
        load_at_boot(draft, module)
    if draft.maybe(0.1):
        draft.missing_modules.append(module)
        draft.note("module missing")
    pack_for(draft, target, module)


def two_rules(draft: Draft, target: Target) -> None:
    """udev writes the attribute at each rule it comes to: the last one's value stays."""
    draft.note("rule: driver_override")
    draft.note("rules that disagree")
    module, driver = choose_driver(draft, target)
    rival = draft.choice.choice(["pci-stub", *(target.drivers or ("no_such_driver",)), ""])
    lines = [
        f"{matching(draft, target)}, {assigning(draft, driver, module)}",
        f'{matching(draft, target)}, ATTR{{driver_override}}="{rival}"',
    ]
    if draft.maybe(0.5):
        lines.reverse()
    if draft.maybe(0.4):
        draft.rules(*lines, where=BOTH)
    else:
        one, two = draft.choice.choice((("70-a", "90-b"), ("90-b", "70-a"), ("9-x", "10-y"), ("Z-x", "a-y")))
        draft.rules(lines[0], where=BOTH, path=f"/etc/udev/rules.d/{one}.rules")
        draft.rules(lines[1], where=BOTH, path=f"{draft.choice.choice(('/etc', '/usr/lib'))}/udev/rules.d/{two}.rules")
    pack_for(draft, target, module)


def jumping_rules(draft: Draft, target: Target) -> None:
    """GOTO skips what lies before its LABEL."""
    draft.note("rule: driver_override")
    draft.note("rule: GOTO")
    module, driver = choose_driver(draft, target)
    other = draft.choice.choice([target, target, *neighbours(target)[:1]])
    condition = draft.choice.choice((f'KERNEL=="{other.address}", ', 'SUBSYSTEM!="pci", ', 'ACTION!="add", ', ""))
    draft.rules(
        f'{condition}GOTO="vfio_end"',
        f"{matching(draft, target)}, {assigning(draft, driver, module)}",
        'LABEL="vfio_end"',
        where=None if draft.maybe(0.5) else BOTH,
    )
    pack_for(draft, target, module)


def broken_rules(draft: Draft, target: Target) -> None:
    """Rules that do not apply: another card's ID at the address, an event that never comes, a line that udev rejects."""
    draft.note("rule: does not apply")
    module, driver = choose_driver(draft, target)
    other = draft.choice.choice(neighbours(target))
    assigned = f'ATTR{{driver_override}}="{driver}", RUN{{builtin}}+="kmod load {module}"'
    here = f'ACTION=="add", KERNEL=="{target.address}"'
    line = draft.choice.choice(
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
    draft.rules(line)
    pack_for(draft, target, module)


def rule_that_only_loads(draft: Draft, target: Target) -> None:
    """`kmod load` in the device's event: after 80-drivers.rules it comes after the native driver's, before it first."""
    draft.note("rule: kmod load")
    draft.note("options ids=")
    number = draft.choice.choice(("10", "70", "79", "81", "90"))
    draft.modprobe(ids(draft, target), where=BOTH)
    draft.rules(
        f'{matching(draft, target)}, RUN{{builtin}}+="kmod load vfio-pci"',
        where=BOTH if draft.maybe(0.7) else None,
        path=f"{draft.choice.choice(('/etc', '/usr/lib'))}/udev/rules.d/{number}-load.rules",
    )
    pack_for(draft, target, VFIO)


def doubtful_rule(draft: Draft, target: Target) -> None:
    """Whether it matches only a program knows: nobody can tell from the files."""
    draft.note("rule: PROGRAM")
    draft.rules(f'{matching(draft, target)}, PROGRAM=="/bin/{draft.choice.choice(("true", "false"))}", ATTR{{driver_override}}="vfio-pci"')
    pack_for(draft, target, VFIO)


def without_autoprobe(draft: Draft, target: Target) -> None:
    """Virtual functions that no driver is offered to, unless their override is set."""
    draft.note("sriov_drivers_autoprobe")
    draft.virtual_functions = draft.choice.choice((1, 2))
    physical = next(device for device in TARGETS if device.makes_virtual_functions)
    if draft.maybe(0.75):
        draft.rules(f'ACTION=="add", SUBSYSTEM=="pci", KERNEL=="{physical.address}", ATTR{{sriov_drivers_autoprobe}}="0"', where=BOTH)
    if draft.maybe(0.6):
        draft.note("rule: driver_override")
        match = 'ACTION=="add", SUBSYSTEM=="pci", ATTR{device}=="0x10ca"'
        draft.rules(f"{match}, {assigning(draft, 'vfio-pci', VFIO)}", where=BOTH)
    elif draft.maybe(0.5):
        draft.note("options ids=")
        draft.modprobe("options vfio-pci ids=8086:10ca", where=BOTH)
        load_at_boot(draft, VFIO)
    pack_for(draft, physical, VFIO)


def command_line(draft: Draft, target: Target) -> None:
    """The same said on the kernel's command line."""
    kinds = ("modprobe.blacklist=", "module_blacklist=", "vfio-pci.ids=", "blacklist=", "driver_async_probe=", "native option")
    kind = draft.choice.choices(kinds, (2, 2, 4, 2, 2, 1))[0]
    native = draft.choice.choice(list(target.natives) or [VFIO])
    written = native if draft.maybe(0.85) else native.replace("_", "-")
    draft.note(kind if kind != "native option" else "module.option=")
    if kind == "modprobe.blacklist=":
        more = ",no_such_module" if draft.maybe(0.3) else ""
        draft.cmdline.append(f"modprobe.blacklist={written}{more}")
    elif kind == "module_blacklist=":
        draft.cmdline.append(f"module_blacklist={draft.choice.choice((written, written, VFIO))}")
        if draft.maybe(0.2):
            draft.cmdline.append("module_blacklist=no_such_module")
    elif kind == "blacklist=":
        draft.cmdline.append(f"blacklist={native}")
    elif kind == "driver_async_probe=":
        draft.cmdline.append(f"driver_async_probe={draft.choice.choice(('igbvf', *target.drivers, 'no_such_driver'))}")
    elif kind == "native option":
        draft.cmdline.append(f"{native}.no_such_option=1")
    if kind == "vfio-pci.ids=" or draft.maybe(0.45):
        key = draft.choice.choice(("vfio-pci.ids", "vfio_pci.ids"))
        draft.note("vfio-pci.ids=")
        draft.cmdline.append(f"{key}={spelling.identifier(draft.choice, target.vendor, target.device)}")
        if draft.maybe(0.7):
            draft.modprobe(*(softdep(draft, name, style="pre") for name in target.natives or ("no_native",)))
        else:
            load_at_boot(draft, VFIO)
    pack_for(draft, target, VFIO)


def variant_ids(draft: Draft, target: Target) -> None:
    """A variant with ids= of its own: what it takes, it takes without an override."""
    if not target.variants:
        override(draft, target)
        return
    draft.note("variant ids=")
    module, _driver = draft.choice.choice(list(target.variants))
    if draft.maybe(0.5):
        draft.modprobe(ids(draft, target, module), where=BOTH)
    else:
        draft.cmdline.append(f"{module}.ids={target.vendor:04x}:{target.device:04x}")
    if draft.maybe(0.25):
        draft.modprobe(ids(draft, target), where=BOTH)
    if draft.maybe(0.7):
        draft.modprobe(*(softdep(draft, native, module, "pre") for native in target.natives or ("no_native",)), where=BOTH)
    load_at_boot(draft, module)
    pack_for(draft, target, module)


def dracut_words(draft: Draft, target: Target) -> None:
    """What dracut's own words on the command line do in its initramfs."""
    draft.flow = "dracut"
    kind = draft.choice.choice(("rd.driver.pre=", "rd.driver.pre=", "rd.driver.post=", "rd.driver.blacklist=", "rd.modules_load="))
    draft.note(kind)
    draft.note("options ids=")
    draft.modprobe(ids(draft, target), where=BOTH)
    native = draft.choice.choice(list(target.natives) or [VFIO])
    if kind == "rd.driver.blacklist=":
        draft.cmdline.append(f"rd.driver.blacklist={native}")
        load_at_boot(draft, VFIO)
    elif kind == "rd.modules_load=":
        draft.cmdline.append(f"rd.modules_load={draft.choice.choice(('vfio-pci', 'vfio_pci'))}")
    else:
        draft.cmdline.append(f"{kind}{draft.choice.choice(('vfio-pci', 'vfio_pci', native, f'{native},vfio_pci', f'vfio-pci,{native}'))}")
    draft.pack(VFIO, *target.natives)


def driverctl(draft: Draft, target: Target) -> None:
    """Comes last and takes the device from whoever has it."""
    draft.note("driverctl")
    module, driver = choose_driver(draft, target)
    chosen = draft.choice.choices((driver, "none", (*target.drivers, "vfio-pci")[0]), (70, 15, 15))[0]
    draft.line(f"/etc/driverctl.d/pci-{target.address}", chosen, ROOT_ONLY)
    if draft.maybe(0.3):
        override(draft, target)
    pack_for(draft, target, module)


def pack_for(draft: Draft, target: Target, module: str) -> None:
    """The natives and the module, or a part of them, in the image."""
    have = draft.choice.choices(("both", "natives", "module", "neither"), (45, 18, 9, 28))[0]
    if have in ("both", "natives"):
        draft.pack(*target.natives)
    if have in ("both", "module"):
        draft.pack(module)


THEMES = (
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
