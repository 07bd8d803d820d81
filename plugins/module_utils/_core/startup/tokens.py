# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words by which a script acts on drivers: sysfs attributes, and programs that write to these."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Act

# What comes before a plain word that is an attribute: a slash, and perhaps a quote.
_OF_FOLDER = r"(?:(?<=/)|(?<=/[\"']))"
# A path's last part, or the name of an attribute by itself, and what writing to it does.
_ATTRIBUTES: t.Final[tuple[tuple[str, tuple[Act, ...]], ...]] = (
    (r"driver_override", ("override",)),
    (r"drivers_probe", ("bind",)),
    (r"sriov_drivers_autoprobe", ("create",)),
    (r"drivers_autoprobe", ("lock",)),
    (r"sriov_numvfs", ("create",)),
    (r"modules_disabled", ("lock",)),
    (r"(?:new_id|remove_id)", ("new_id",)),
    (rf"{_OF_FOLDER}unbind", ("unbind",)),
    (rf"{_OF_FOLDER}bind", ("bind",)),
    (rf"{_OF_FOLDER}(?:remove|reset|reset_method|reset_subordinate)", ("remove",)),
    (rf"{_OF_FOLDER}rescan", ("rescan",)),
    (rf"{_OF_FOLDER}uevent", ("replay",)),
    # A function loses its driver with the power of its slot.
    (r"slots/[^/\s\"']+/power", ("remove",)),
)
_ATTRIBUTE = re.compile("|".join(rf"(?P<a{index}>(?<![\w.-]){name}(?![\w./-]))" for index, (name, _acts) in enumerate(_ATTRIBUTES)))
_ALL: t.Final[tuple[Act, ...]] = ("override", "unbind", "bind", "new_id", "remove")
# Containers that get at sysfs or at the kernel's modules.
_PRIVILEGED = (
    r"\b(?:docker|podman|nerdctl)\b[^\n;|&]*\s(?:run|create)\b[^\n;|&]*"
    r"(?:--privileged\b|[\s:=]/sys\b|--cap-add[=\s]\S*(?:ALL|SYS_ADMIN|SYS_MODULE|SYS_RAWIO))"
    r"|\bsystemd-nspawn\b[^\n;|&]*(?:--bind[=\s]/sys\b|--capability[=\s]\S*(?:all|CAP_SYS_MODULE|CAP_SYS_RAWIO))"
)
# Options by which `udevadm trigger` does nothing, or nothing to PCI functions; systemd's rules about seats ask for what is below a USB hub.
_OTHERS_ALONE = (
    r"[^\n;|&>]*\s(?:-n|--dry-run|--parent-match[=\s]\S*[%$]|--type[=\s]\s*subsystems|-t\s*subsystems"
    r"|(?:-s\s*|--subsystem-match[=\s]\s*)(?!pci\b|[\"']?[$*?\[])[\w\"'-]+(?![^\n;|&>]*(?:-s\s*|--subsystem-match[=\s]\s*)[\"']?(?:pci\b|[$*?\[])))"
)
_READ_AGAIN = r"/(?:run|etc|lib|usr/lib|usr/local/lib)/(?:udev/rules|modprobe|driverctl)\.d(?:/|(?=[\s\"';&|)]|$))"
_PLAIN_NAMES = r"(?:\s+(?:DISPLAY|XAUTHORITY|WAYLAND_DISPLAY|LANG|LANGUAGE|LC_\w+|TERM|XDG_\w+|DBUS_\w+))+\s*(?:$|[;|&])"
# Programs, by the words that make them act.
_PROGRAMS: t.Final[tuple[tuple[str, tuple[Act, ...]], ...]] = (
    (r"\bdriverctl\b[^\n;|&]*\b(?:un)?set-override\b", ("override", "unbind", "bind", "new_id")),
    (r"\bdriverctl\b[^\n;|&]*\bload-override\b", ("override", "unbind", "bind", "new_id")),
    # Since Linux 3.15 it writes an override, and no ID.
    (r"\bdpdk[-_]devbind(?:\.py)?\b[^\n;|&]*\s(?:-b|-u|--bind|--unbind)\b", ("override", "unbind", "bind")),
    (r"\bdpdk[-_]nic[-_]bind(?:\.py)?\b[^\n;|&]*\s(?:-b|-u|--bind|--unbind)\b", ("override", "unbind", "bind", "new_id")),
    # As does libvirt.
    (
        r"\bnodedev-(?:detach|dettach|reattach|reset)\b|\bnodeDevice(?:Detach|Dettach|ReAttach)|\.(?:dettach|reAttach|detachFlags)\(",
        ("override", "unbind", "bind", "remove"),
    ),
    (r"\bvirsh(?=\s)[^\n;|&]*\s(?:start|create|restore|attach-device|attach-interface)\b", _ALL),
    (r"(?<![\w-])(?:qm|pvesh|xl|incus|lxc)(?=\s)[^\n;|&]*\s(?:start|create|pci-assignable-add|pci-attach)\b", _ALL),
    (r"vgaswitcheroo|/proc/acpi/bbswitch|/proc/acpi/call|\bacpi_call\b", ("remove",)),
    (
        r"\bsupergfxctl\b[^\n;|&]*\s(?:-m|--mode)\b|\boptimus-manager\b[^\n;|&]*--switch|\bprime-select\s+\w|\benvycontrol\b[^\n;|&]*\s(?:-s|--switch)",
        _ALL,
    ),
    (r"\bsetpci\b[^\n;|&]*=", ("remove",)),
    (r"\bvfio-pci-bind(?:\.sh)?\s|(?<![\w-])devbind(?:\.py|\.sh)?\s", _ALL),
    (r"\bkexec\b[^\n;|&]*\s(?:-e|--exec)\b|\bsystemctl\b[^\n;|&]*\s(?:kexec|soft-reboot)\b", _ALL),
    # What they do is decided in files that are not scripts, or by somebody else.
    (r"\bansible-(?:pull|playbook)\s|\bpuppet\s+apply\b|\bsalt-call\s", _ALL),
    (_PRIVILEGED, _ALL),
    # udev and kmod read these again.
    (
        # From the last redirection before the path: from each would take the square of the line.
        (
            rf"(?:>[^\n;|&>]*|\b(?:tee|mv|rm|unlink|truncate|sed\s+-\w*i\w*)\b[^\n;|&]*){_READ_AGAIN}"
            # What is copied from there stays; it is read again where it is copied to.
            rf"|\b(?:cp|ln|install|rsync)\b[^\n;|&]*(?:{_READ_AGAIN}[^\s;|&)}}>]*\s*(?:\d?>[^\n;|&]*)?(?=$|[\n;|&)}}])|\s-t\s*[\"']?{_READ_AGAIN})"
        ),
        _ALL,
    ),
    # Services get these variables, whose paths and programs are found only then.
    (
        rf"\bsystemctl\b(?![^\n;|&]*\s--user\b)[^\n;|&]*\s(?:set-environment\s[^\n;|&]*(?:/sys|[$`]|\bPATH=)|import-environment\b(?!{_PLAIN_NAMES}))",
        _ALL,
    ),
    (r"\bsysctl\b[^\n;|&]*\bkernel[./]modules_disabled\s*=\s*[\"']?[^0\s\"']", ("lock",)),
    # What rules do at these is looked at elsewhere.
    (rf"\budevadm\s+(?:--\S+\s+)*trigger\b(?!{_OTHERS_ALONE})[^\n;|&>]*", ("replay",)),
    # The system calls by which other languages load and remove modules.
    (r"\b(?:delete|f?init)_module\s*\(", (*_ALL, "load", "refuse")),
    (r"\bhotplugctl\b|\bnvidia-smi\b[^\n;|&]*\bdrain\b", ("remove",)),
)
LONGEST_LINE = 2000
"""Characters of a line whose words are looked at with what stands around them, which takes the square of its length."""
_BEFORE = 400
# What may be in a longer line for it to matter.
_MENTIONS = re.compile(
    r"driver_override|drivers_|sriov_|modules_disabled|_id\b|/(?:un)?bind|/re(?:move|scan|set)|slots/|driverctl|devbind|nic[-_]bind|nodedev-|"
    r"nodeDevice|ttach|detachFlags|\b(?:virsh|qm|pvesh|xl|incus|lxc)\s|vgaswitcheroo|bbswitch|acpi[/_]call|supergfxctl|optimus-manager|"
    r"(?:set|import)-environment|"
    r"prime-select|envycontrol|setpci|pci-bind|kexec|soft-reboot|ansible-|puppet|salt-call|docker|podman|nerdctl|nspawn|udev/rules\.d|modprobe\.d|"
    r"driverctl\.d|hotplugctl|nvidia-smi|_module\s*\(|reAttach|\budevadm\s[^\n;|&>]*trigger"
)
_PROGRAM = re.compile("|".join(f"(?P<p{index}>{pattern})" for index, (pattern, _acts) in enumerate(_PROGRAMS)))
_FOLDER = re.compile(r"[^\s;|&<>()\"'`=]*$")
# The firmware's framebuffers are platform devices; a host bridge can be one, too.
_ELSEWHERE = re.compile(
    r"/sys/(?:bus/(?:usb|usb-serial|hid|i2c|serio|scsi|virtio|platform/drivers/[\w-]+-framebuffer)|class/(?:vtconsole|graphics))/"
    # Folders of files that are kept.
    r"|/(?:var/(?:log|lib|cache|spool)|etc|home|root|opt|srv|usr|boot)/"
)
# What reads an attribute, without a redirection into it.
_READING = re.compile(
    r"(?:-[efdrwxhsLzn]|(?:^|[\s;&|({`\"'])(?:cat|ls|stat|readlink|realpath|head|grep|find|test|chmod|chown|\[\[?)(?=\s)[^;|&>\n]*?)"
    r"\s*(?:[\"'(]|\$\()*[^\s\"'|;&>]*$|(?<![<>])<\s*[\"']?[^\s\"'|;&<>()]*$"
)
# Commands whose options look like those of tests.
_CHANGES = re.compile(r"\b(?:ln|cp|mv|install|dd|tee|sed|truncate|rsync|perl)\s[^;|&\n]*$")
_REDIRECTS = re.compile(r">>?\s*[\"']?[^\s\"'|;&>]*$|\btee\b[^;|&\n]*$|\bof=[^\s]*$")
_SUBSTITUTED = r"(?:[^\s;|&<>()\"'`$]*(?:\$\((?:[^()\n]|\([^()\n]*\))*\)|`[^`\n]*`))+[^\s;|&<>()]*"
REDIRECTION = re.compile(rf"(?<![0-9=<>-])(?:>>?\|?|\btee(?:\s+-a)?\s)\s*(\"[^\"\n]*\"|'[^'\n]*'|{_SUBSTITUTED}|[^\s;|&<>()]+)")
NAMED_DRIVER = re.compile(r"/drivers/([^/\s\"']+)/(?:bind|unbind|new_id|remove_id)(?![\w-])")
_COLON = r"(?:\\?:|\\x3a)"
ADDRESS = re.compile(rf"(?<![\w:.])(?:([0-9a-fA-F]{{4,8}}){_COLON})?([0-9a-fA-F]{{2}}){_COLON}([01][0-9a-fA-F])\.([0-7])(?![\w:]|\.\w)")
NODE_DEVICE = re.compile(r"\bpci_([0-9a-fA-F]{4,8})_([0-9a-fA-F]{2})_([01][0-9a-fA-F])_([0-7])(?!\w)")
DEVICE_ID = re.compile(r"(?<![\w:.-])(?:0x)?([0-9a-fA-F]{4})[\s:]+(?:0x)?([0-9a-fA-F]{4})(?![\w:.])")


# Names of attributes that programs have, too.
NAMES = (
    *("driver_override", "drivers_probe", "drivers_autoprobe", "sriov_drivers_autoprobe", "sriov_numvfs", "new_id", "remove_id"),
    *("bind", "unbind", "remove", "rescan", "reset"),
)
_PLAIN_WORDS = ("bind", "unbind", "remove", "rescan", "reset", "reset_method", "reset_subordinate", "uevent")


def globbed(target: str) -> frozenset[Act]:
    """What a redirection does into a path whose last part is a pattern."""
    folder, _slash, name = target.strip("\"'").rpartition("/")
    if not re.search(r"[*?\[]", name) or not re.search(r"/sys/|\$", folder):
        return frozenset()
    named = [one for one in NAMES if matches(one, name)]
    return frozenset(act for one in named for token in acting(f"> /sys/bus/{one}") for act in token.acts)


def _is_attribute(before: str, line: str) -> bool:
    word = re.search(r"[^\s\"'|;&>]*$", before)
    places = (word[0] if word is not None else "", re.sub(r"[\"']", "", before).rpartition(" ")[2])
    in_sysfs = any(re.search(r"/sys/|\$|/drivers?/|devices/|/pci/|\}", place) for place in places)
    return in_sysfs or _REDIRECTS.search(before) is not None or re.search(r"\bopen\(|write", line) is not None


@dataclasses.dataclass(frozen=True)
class WrittenAct:
    """Something that acts on a device, as it is written."""

    written: str
    acts: tuple[Act, ...]
    start: int


def acting(line: str) -> t.Iterator[WrittenAct]:
    """What a line writes to, and the programs that act in it."""
    if len(line) > LONGEST_LINE:
        mentioned = _MENTIONS.search(line)
        if mentioned is not None:
            acts: tuple[Act, ...] = (*_ALL, "create", "lock") if "modules_disabled" in line else (*_ALL, "create")
            yield WrittenAct(f"{mentioned[0].strip()}, in a line of more than {LONGEST_LINE} characters", acts, mentioned.start())
        return
    for match in _ATTRIBUTE.finditer(line):
        before = line[: match.start()]
        if leads_elsewhere(folder_before(line, match.start())):
            continue
        if match[0] in _PLAIN_WORDS and not _is_attribute(before, line):
            continue
        # What is cut off does not begin with a command.
        near = before if len(before) <= _BEFORE else f"_{before[-_BEFORE:]}"
        if _READING.search(near) and not (_REDIRECTS.search(before) or _CHANGES.search(near)):
            continue
        yield WrittenAct(match[0], _ATTRIBUTES[int((match.lastgroup or "a0")[1:])][1], match.start())
    for match in _PROGRAM.finditer(line):
        yield WrittenAct(" ".join(match[0].split()), _PROGRAMS[int((match.lastgroup or "p0")[1:])][1], match.start())


def folder_before(line: str, start: int) -> str:
    """The path before the name of a file that begins at ``start``."""
    found = _FOLDER.search(line, max(0, start - _BEFORE), start)
    return "" if found is None else found[0]


def leads_elsewhere(folder: str) -> bool:
    """Whether a folder is of consoles, of another bus, or not of sysfs: what is written there leaves the drivers of PCI functions."""
    return _ELSEWHERE.match(folder) is not None and ".." not in folder


def addresses(text: str) -> frozenset[str]:
    """The PCI addresses in a text, of which those without a domain are in the first one."""
    found = {f"{match[1] or '0000'}:{match[2]}:{match[3]}.{match[4]}".lower() for match in ADDRESS.finditer(text)}
    return frozenset(found | {f"{match[1]}:{match[2]}:{match[3]}.{match[4]}".lower() for match in NODE_DEVICE.finditer(text)})


def device_ids(text: str) -> frozenset[str]:
    """The IDs in a text, such as `10de:1db1`."""
    return frozenset(f"{match[1]}:{match[2]}".lower() for match in DEVICE_ID.finditer(text))
