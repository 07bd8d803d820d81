# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everyday mistakes in udev rules about drivers: udev ignores such a line, or it matches nothing, or it matches everything."""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_line import (
    ASKED_ONLY,
    ASSIGNED_ONLY,
    CURLY,
    UDEV_KEYS,
    UdevLine,
    Written,
    lines_of,
)
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.udev_values import wrong_value
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.attribute_paths import ACTING
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import parse
from ansible_collections.vfio.variants.plugins.module_utils._core.udev.sysfs_files import MISTAKEN

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

SUFFIX = ".rules"
ATTRIBUTES = (
    *("vendor", "device", "subsystem_vendor", "subsystem_device", "class", "revision", "modalias", "driver_override", "boot_vga"),
    *("numa_node", "enable", "remove", "rescan", "reset", "irq", "label", "index", "config", "resource", "power_state", "reset_method"),
    *("sriov_numvfs", "sriov_totalvfs", "sriov_drivers_autoprobe", "msi_bus", "d3cold_allowed", "local_cpus", "local_cpulist"),
    *("drivers_probe", "drivers_autoprobe", "new_id", "remove_id", "bind", "unbind"),
)
"""Files in sysfs of a PCI function, its driver and its bus that rules name (drivers/pci/pci-sysfs.c, drivers/base/bus.c)."""
RESOURCE = re.compile(r"resource\d+(?:_\w+)?|devices")
IDENTITY = ("vendor", "device", "subsystem_vendor", "subsystem_device", "class", "revision", "modalias")
PROPERTIES = ("PCI_ID", "PCI_SUBSYS_ID", "PCI_CLASS", "PCI_SLOT_NAME")
LIMITS = frozenset((*(("ATTR", name) for name in IDENTITY), *(("ENV", name) for name in PROPERTIES)))
"""What rules compare to choose a device; nothing reads it if a rule assigns it."""
NEVER_REMOVED = frozenset(("ATTR", "ENV", "RUN", "SYSCTL"))
AT_BOOT = ("add", "bind")
"""Actions of the events that a device has at boot, if a driver takes it."""
OLD_KEYS = {"BUS": "SUBSYSTEM", "SYSFS": "ATTR"}
"""Keys that udev dropped in version 174."""
KO = re.compile(r"\.ko(?:\.(?:gz|xz|zst))?(?=\s|$)")
BUILT_IN = re.compile(r"kmod\s+load\b")
LOADS = re.compile(r"\bkmod\s+load\b|\bmodprobe\b")
STOCK, MARK = "80-drivers.rules", "\ufeff"
"""The rules by which udev loads drivers, and a byte order mark."""
NOT_OF_UDEV = frozenset(
    "modprobe insmod rmmod driverctl echo sh bash sudo systemctl systemd-run virsh tee env nohup logger touch python python3".split()
)
"""Programs that are in other folders than /usr/lib/udev."""
OF_DRIVERS = ("new_id", "remove_id", "bind", "unbind")
OF_BUS = ("drivers_probe", "drivers_autoprobe")
OTHERS = frozenset("usb net drm block sound input graphics scsi nvme vfio module drivers hwmon i2c video4linux tty hid ieee80211".split())
"""Subsystems whose devices are no PCI functions and have no files of these names in their own folders."""
ADDRESS = re.compile(r"(?:[0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]")
RUNS = ("IMPORT", "PROGRAM")
"""Keys that act although they compare."""
SHELL = re.compile(r"(?:^|\s)(?:>>?|\||&&|;)\s")

Mistake = tuple[str, str]
"""A finding's kind, and what is wrong and what is meant, as the rest of a sentence that begins with the place."""


def mistakes_in_rules(host: HostPolicy) -> t.Iterator[Finding]:
    """The first mistake of each line: a line that udev ignores for one reason needs no second."""
    written = {driver for _boot, root in host.roots for _rule, driver in host.setting_overrides(root)}
    for file in host.files.rules:
        if not host.is_site(file.path) or not file.name.endswith(SUFFIX):
            continue
        for line in lines_of(file.text or "", file.path):
            if line.is_about_drivers or line.is_of_functions_alone:
                checks = _of_another_bus(line) if line.is_of_another_bus else _mistakes(line, written)
                found = next(checks if line.is_about_drivers else _comparisons(line), None)
                if found is not None:
                    kind, said = found
                    yield Finding(kind, line.source, f"{line.source}: {said}")


def jumps_without_labels(host: HostPolicy) -> t.Iterator[Finding]:
    """`GOTO="x"` in a file with rules about drivers that has no `LABEL="x"` behind it: udev does not jump (rule_resolve_goto())."""
    for file in host.files.rules:
        if not host.is_site(file.path) or not file.name.endswith(SUFFIX) or 'GOTO="' not in (file.text or ""):
            continue
        lines = list(lines_of(file.text or "", file.path))
        for place, line in enumerate(lines if any(one.is_about_drivers for one in lines) else ()):
            target = line.assigned("GOTO")
            named = [key for one in lines[place + 1 :] for key in one.keys if key.name == "LABEL"]
            labels = [key.value for key in named if not key.is_match]
            compared = next((key for key in named if key.is_match and target is not None and key.value == target.value), None)
            if target is not None and compared is not None and target.value not in labels:
                said = f"{line.source}: `{target.text}` finds no label, because `{compared.text}` behind it compares."
                yield Finding("udev-line-refused", line.source, f"{said} Write `{compared.said('=')}`.")
            elif target is not None and target.value not in labels:
                said = f'{line.source}: `{target.text}` has no `LABEL="{target.value}"` behind it, so udev goes on with the next line.'
                near = _nearest(target.value, labels, 0.6)
                yield Finding(
                    "udev-line-refused", line.source, f"{said} {f'Write {target.said(value=near)}.' if near else 'Add the label.'}"
                )


def marks_before_rules(host: HostPolicy) -> t.Iterator[Finding]:
    """A byte order mark is a part of the first key for udev, which ignores that line."""
    for file in host.files.rules:
        first = next(lines_of(file.text or "", file.path), None)
        if (file.text or "").startswith(MARK) and host.is_site(file.path) and first is not None and first.source.endswith(":1"):
            said = f"{first.source} begins with a byte order mark, so udev ignores its first line."
            yield Finding("unseen-character", first.source, f"{said} Write the file without it.")


def programs_that_replace_others(host: HostPolicy) -> t.Iterator[Finding]:
    """`RUN="…"` behind 80-drivers.rules, and `RUN:="…"` anywhere: what loads a device's driver is run no more."""
    for file in host.files.rules:
        if not host.is_site(file.path) or not file.name.endswith(SUFFIX):
            continue
        for line in lines_of(file.text or "", file.path):
            key = _replacing(line, file.name)
            if key is not None:
                said = f"{line.source}: `{key.text}` takes away what other rules run for these devices: udev loads no driver for them"
                advice = f"Write `{key.said('+=')}`" if key.value.strip() else "Remove it"
                yield Finding("udev-run", line.source, f"{said}. {advice}.")


def _replacing(line: UdevLine, name: str) -> Written | None:
    """The key by which a rule about PCI functions that are added takes the loading of drivers away, unless it loads one itself."""
    if line.is_of_another_bus or line.assigned("ATTR", "driver_override") is not None:
        return None
    of_pci = any("pci" in key.value.lower() for key in line.matching("SUBSYSTEM", "SUBSYSTEMS", "DEVPATH"))
    added = all("add" in key.value or "*" in key.value for key in line.matching("ACTION") if key.operator == "==")
    operators = ("=", ":=") if name > STOCK else (":=",)
    found = (key for key in line.keys if key.name == "RUN" and key.operator in operators and not LOADS.search(key.value))
    return next(found, None) if of_pci and added else None


def _mistakes(line: UdevLine, written: t.Collection[str]) -> t.Iterator[Mistake]:
    for check in CHECKS:
        yield from check(line)
    yield from _compared_override(line, written)
    yield from _comparisons(line)
    if re.match(r"#", line.rest):
        comment = "a comment is a line of its own, so udev does not understand this one and ignores all of it"
        yield "udev-line-refused", f"{comment}: {_shown(line.text)}. Put `{line.rest}` into a line before it."
    elif not _is_understood(line):
        yield "udev-line-refused", f"udev does not understand this line and ignores all of it: {_shown(line.text)}."


def _comparisons(line: UdevLine) -> t.Iterator[Mistake]:
    """A line that compares and does nothing: udev says that it has no effect (rule_add_line() in udev-rules.c)."""
    if not line.rest and all(key.is_match and key.name not in RUNS for key in line.keys):
        meant = 'Add what is to be done, such as `ATTR{driver_override}="vfio-pci"`, with one equals sign.'
        yield "udev-compares", f"{_shown(line.text)} only compares, and assigns nothing, so the line has no effect. {meant}"


def _of_another_bus(line: UdevLine) -> t.Iterator[Mistake]:
    """`SUBSYSTEM=="usb"` beside an address or attributes of PCI functions."""
    asked = next((key for key in line.matching("SUBSYSTEM") if key.operator == "==" and key.value in OTHERS), None)
    named = next(filter(_is_of_a_function, line.keys), None)
    if asked is not None and named is not None:
        said = f"`{asked.text}` asks for devices that are no PCI functions, and `{named.text}` is for these, so the line has no effect."
        yield "udev-subsystem", f"{said} Write `{asked.said(value='pci')}`."


def _is_of_a_function(key: Written) -> bool:
    if key.name == "KERNEL":
        return key.operator == "==" and ADDRESS.fullmatch(key.value) is not None
    if key.name != "ATTR" or key.attribute is None:
        return False
    if key.attribute == "driver_override" and not key.is_match:
        return re.search(r"vfio|pci", key.value) is not None
    return key.attribute in IDENTITY and key.operator == "==" and key.value.startswith("0x")


def _is_understood(line: UdevLine) -> bool:
    """Whether udev keeps the line, if the labels that it jumps to are there."""
    labels = "".join(f'\nLABEL="{key.value}"' for key in line.keys if key.name == "GOTO")
    return any(rule.line == 1 for rule in parse(f"{line.text}{labels}", line.path))


def _shown(text: str) -> str:
    return f"`{text if len(text) <= 120 else text[:117] + '...'}`"


def _quotes(line: UdevLine) -> t.Iterator[Mistake]:
    for key in line.keys:
        if key.quote == "'" or (key.quote and key.quote in CURLY):
            what = "single quotes" if key.quote == "'" else "typographic quotes"
            yield "udev-quotes", f"{_shown(key.text)} has {what}, so udev ignores the whole line. Write `{key.said()}`."
        elif not key.quote:
            yield "udev-quotes", f"{_shown(key.text)} has no quotes, so udev ignores the whole line. Write `{key.said()}`."
        elif not key.closed:
            yield "udev-quotes", f"{_shown(key.text)} has no closing quote, so udev ignores the whole line."


def _names(line: UdevLine) -> t.Iterator[Mistake]:
    for key in line.keys:
        if key.brackets != "{}":
            yield "udev-key", f"{_shown(key.text)} needs braces, so udev ignores the whole line. Write `{key.said()}`."
        elif key.name not in UDEV_KEYS:
            near = OLD_KEYS.get(key.name) or _nearest(key.name.upper(), sorted(UDEV_KEYS), 0.6)
            meant = f" Write {near}." if near else ""
            yield "udev-key", f"udev does not know the key {key.name} and ignores the whole line.{meant}"


def _operators(line: UdevLine) -> t.Iterator[Mistake]:
    for key in line.keys:
        if key.operator == "-=" and key.name in NEVER_REMOVED:
            said = f"`{key.text}`: nothing can be removed from {key.name}, so udev ignores the whole line."
            yield "udev-assigns", f"{said} Write `{key.said('+=' if key.name == 'RUN' else '=')}`."
        elif key.name in ASKED_ONLY and not key.is_match:
            asked = f"`{key.text}` assigns, and {key.name} can only be compared, so udev ignores the whole line."
            yield "udev-assigns", f"{asked} Write `{_meant(key)}`."
        elif key.name in ASSIGNED_ONLY and key.is_match:
            assigned = f"`{key.text}` compares, and {key.name} can only be assigned, so udev ignores the whole line."
            yield "udev-compares", f"{assigned} Write `{key.said('+=' if key.name == 'RUN' else '=')}`."
        elif not key.is_match and (key.name, key.attribute) in LIMITS:
            said = f"`{key.text}` assigns in place of comparing, which does not limit the rule: it applies to other devices too."
            yield "udev-assigns", f"{said} Write `{key.said('==')}`."


def _meant(key: Written) -> str:
    """The override where somebody assigns a driver; else the comparison."""
    if key.name == "ATTRS" and key.attribute in ACTING:
        return f'ATTR{{{key.attribute}}}="{key.value}"'
    return f'ATTR{{driver_override}}="{key.value}"' if key.name == "DRIVER" and "vfio" in key.value else key.said("==")


def _attributes(line: UdevLine) -> t.Iterator[Mistake]:
    for key in line.keys:
        if key.name not in ("ATTR", "ATTRS") or key.attribute is None or "[" in key.attribute:
            continue
        name = key.attribute.rpartition("/")[2]
        if key.attribute.startswith("/sys/"):
            said = f"`{key.text}`: udev looks for that path below the event's device, and so finds nothing."
            yield "udev-attribute", f"{said} Write {key.name}{{[pci/ADDRESS]{name}}}."
            continue
        if key.attribute == name and not key.is_match and (name in OF_DRIVERS or name in OF_BUS) and _is_of_functions(line):
            right = f"[subsystem/pci]{name}" if name in OF_BUS else f"driver/{name}" if name == "unbind" else f"[drivers/pci:DRIVER]{name}"
            said = f"`{key.text}`: a PCI device has no file {name}, {'its bus' if name in OF_BUS else 'a driver'} has, so it has no effect."
            yield "udev-attribute", f'{said} Write `{key.name}{{{right}}}{key.operator}"{key.value}"`.'
            continue
        is_known = name in ATTRIBUTES or RESOURCE.fullmatch(name) is not None
        meant = MISTAKEN.get(name) or (None if is_known else _nearest(name.lower().replace("-", "_"), ATTRIBUTES, 0.8))
        if meant == "driver" or (name == "driver" and not key.is_match):
            meant = "driver_override"
        if meant is not None and meant != name:
            right = key.attribute[: -len(name)] + meant
            effect = "and so matches nothing" if key.is_match else "and so has no effect"
            said = f"`{key.text}` names {name}, which is not an attribute of a PCI device, {effect}."
            yield "udev-attribute", f"{said} Did you mean {key.name}{{{right}}}?"


def _properties(line: UdevLine) -> t.Iterator[Mistake]:
    """The kernel reads driver_override from sysfs; a property of the event is udev's own."""
    for key in line.keys:
        if key.name == "ENV" and not key.is_match and (key.attribute or "").lower() in ("driver_override", "driver"):
            said = f"`{key.text}` sets a property of the event, which the kernel does not read."
            yield "udev-attribute", f'{said} Write `ATTR{{driver_override}}="{key.value}"`.'


def _values(line: UdevLine) -> t.Iterator[Mistake]:
    for key in line.keys:
        found = wrong_value(key) if key.is_match else None
        if found is not None:
            why, meant = found
            yield "udev-value", f"`{key.text}` matches no device: {why}. Write `{key.said(value=meant)}`."


def _actions(line: UdevLine) -> t.Iterator[Mistake]:
    asked = [key for key in line.matching("ACTION") if key.operator == "=="]
    override = line.assigned("ATTR", "driver_override")
    moves = any(key.name in ("RUN", "PROGRAM") or "bind" in (key.attribute or "") for key in line.keys)
    for key in asked:
        actions = key.value.split("|")
        if key.value == "bind" and override is not None and not moves:
            said = f"`{key.text}`: the device has its driver by then, and an override changes nothing until it is unbound."
            yield "udev-action", f"{said} Write `{key.said(value='add')}`."
            continue
        lower = [action.lower() for action in actions]
        if any(char in key.value for char in "*?[") or "i" in key.prefix or set(actions) & set(AT_BOOT):
            continue
        if set(lower) & set(AT_BOOT):
            yield "udev-value", f"`{key.text}` matches no event: actions have small letters. Write `{key.said(value=key.value.lower())}`."
        elif override is not None:
            said = f"`{key.text}` is not the action of an event at boot, where each device has an `add` event: no override is set then."
            yield "udev-action", f"{said} Write `{key.said(value='add')}`."


def _built_in(key: Written, first: str) -> t.Iterator[Mistake]:
    """What udev's builtin kmod is given."""
    loads = BUILT_IN.match(key.value)
    if loads and any(KO.search(word) for word in key.value.split()[2:]):
        said = f"`{key.text}` names a file, and kmod asks for a module's name, so it loads nothing."
        yield "udev-run", f'{said} Write `RUN{{builtin}}+="{KO.sub("", key.value)}"`.'
    elif loads and re.search(r"[\w-][,;]", key.value):
        written = " ".join(word for word in re.split(r"[,;\s]+", key.value) if word)
        said = f"`{key.text}`: kmod separates names by blanks, and there is no module whose name has a comma or semicolon."
        yield "udev-run", f'{said} Write `RUN{{builtin}}+="{written}"`.'
    if first == "modprobe" or (first == "kmod" and not loads):
        module = key.value.split()[-1]
        said = f"`{key.text}` is not a command of udev's builtin kmod, and does nothing."
        yield "udev-run", f'{said} Write `RUN{{builtin}}+="kmod load {module}"`.'


def _programs(line: UdevLine) -> t.Iterator[Mistake]:
    for key in line.keys:
        if key.name != "RUN" or key.is_match:
            continue
        first = key.value.split(" ", 1)[0]
        if key.attribute == "builtin":
            yield from _built_in(key, first)
        elif key.attribute not in (None, "program"):
            yield "udev-run", f"`{key.text}`: udev knows RUN{{program}} and RUN{{builtin}} only, and ignores the whole line."
        elif BUILT_IN.match(key.value):
            said = f"`{key.text}` runs a program of that name in /usr/lib/udev, not udev's builtin."
            yield "udev-run", f'{said} Write `RUN{{builtin}}+="{key.value}"`.'
        elif first.startswith("~"):
            yield "udev-run", f"`{key.text}`: udev does not know `~`, and so runs nothing. Write the program's whole path."
        elif first in NOT_OF_UDEV:
            said = f"`{key.text}`: udev looks for {first} in /usr/lib/udev only, and so does not run it."
            yield "udev-run", f"{said} Write its whole path."
        elif SHELL.search(key.value) and not re.search(r"(?:^|/)(?:ba|da)?sh\s+-\w*c", key.value):
            yield "udev-run", f"`{key.text}`: udev runs programs without a shell, so `>`, `|`, `;` and `&&` are mere arguments. Use sh -c."


def _is_of_functions(line: UdevLine) -> bool:
    return any(key.value == "pci" for key in line.matching("SUBSYSTEM"))


CHECKS: tuple[t.Callable[[UdevLine], t.Iterator[Mistake]], ...] = (
    _quotes,
    _names,
    _operators,
    _attributes,
    _properties,
    _values,
    _actions,
    _programs,
)


def _compared_override(line: UdevLine, written: t.Collection[str]) -> t.Iterator[Mistake]:
    """`ATTR{driver_override}=="vfio-pci"` where no rule writes that: what was meant is to write it."""
    for key in line.matching("ATTR"):
        if key.attribute == "driver_override" and key.operator == "==" and re.fullmatch(r"[\w-]+", key.value) and key.value not in written:
            said = f"`{key.text}` compares, and no rule writes that override, so the line has no effect."
            yield "udev-compares", f"{said} Write `{key.said('=')}`."


def _nearest(name: str, known: t.Sequence[str], cutoff: float) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, 1, cutoff)), None)


def is_about_drivers(text: str) -> bool:
    """Whether a text has rules about drivers."""
    return any(line.keys and line.is_about_drivers for line in lines_of(text, ""))
