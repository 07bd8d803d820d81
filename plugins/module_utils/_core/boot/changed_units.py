# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator's version of systemd-modules-load, systemd-udevd or systemd-udev-trigger, or a drop-in, changes of their work.

A drop-in that leaves the work as it is decides nothing.  Conditions and the commands of the trigger are read as systemd and udevadm
do; what else bears on the work leaves it open.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.conditions import Conditions
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.exit_status import succeeds
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.services import environment_of
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.systemd_variables import WORD
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import (
    FOLDERS,
    NO,
    Unit,
    UnitFiles,
    UnitSetting,
    drop_in_names,
    manager_settings,
)

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

LISTS, UDEVD, TRIGGER = "systemd-modules-load.service", "systemd-udevd.service", "systemd-udev-trigger.service"
_OF_DISTRIBUTION = ("/usr/lib/systemd/system/", "/lib/systemd/system/")
_OF_ALL_SERVICES = "/service.d/"
_KINDS = ("Condition", "Assert")
# Those of systemd's own units, which hold wherever a root or an initramfs boots, or tell whether there is anything to load.
_STOCK = {
    "ConditionCapability": r"CAP_SYS_MODULE",
    "ConditionPathIsReadWrite": r"/sys",
    "ConditionDirectoryNotEmpty": r"\|/(?:usr/local/lib|usr/lib|lib|etc|run)/modules-load\.d",
    "ConditionKernelCommandLine": r"\|(?:rd\.)?modules[-_]load",
}
# Variables by which systemd's programs, the linker, or a shell that kmod runs, do something else.
_ACTING = re.compile(
    r"SYSTEMD_(?!LOG_|COLORS$|URLIFY$|SECCOMP$|UDEV_EXTRA_TIMEOUT_SEC$)|LD_|GLIBC_TUNABLES$|PATH$|MODPROBE_OPTIONS$|BASH_ENV$|ENV$|IFS$"
)
_NOT = "|".join(NO)
_NOT_OR_UNSET = f"{_NOT}|"
# What takes rights, files or another unit from a service, or ends it, each with the values that do not.
_TAKING: t.Mapping[str, str] = {
    **dict.fromkeys(("User", "Group"), r"root|0|"),
    **dict.fromkeys(("DynamicUser", "ProtectKernelModules", "ProtectKernelTunables", "PrivateDevices", "PrivateUsers"), _NOT_OR_UNSET),
    **dict.fromkeys(("PrivatePIDs", "PrivateNetwork", "RootEphemeral"), _NOT_OR_UNSET),
    "CapabilityBoundingSet": r"~(?!.*CAP_(?:SYS_MODULE|SYS_ADMIN|SYS_RAWIO|DAC_OVERRIDE)).*",
    "SystemCallArchitectures": r"native|",
    "ProcSubset": r"all|",
    **dict.fromkeys(
        ("RootDirectory", "RootImage", "ReadOnlyPaths", "InaccessiblePaths", "TemporaryFileSystem", "BindPaths", "BindReadOnlyPaths"), r""
    ),
    **dict.fromkeys(("ReadOnlyDirectories", "InaccessibleDirectories", "ExtensionImages", "ExtensionDirectories", "RootHash"), r""),
    **dict.fromkeys(("MountImages", "RootHashSignature", "RootVerity", "NoExecPaths", "RestrictFileSystems", "ExecSearchPath"), r""),
    **dict.fromkeys(
        ("AppArmorProfile", "SELinuxContext", "SmackProcessLabel", "PAMName", "NetworkNamespacePath", "UserNamespacePath"), r""
    ),
    **dict.fromkeys(("LoadCredential", "LoadCredentialEncrypted", "SetCredentialEncrypted"), r""),
    "StandardInput": r"null|data|",
    "Type": r"oneshot|simple|exec|idle|notify|notify-reload|",
    "RuntimeMaxSec": r"infinity|0|",
    **dict.fromkeys(("TasksMax", "LimitNPROC", "LimitNOFILE"), r"infinity|[0-9]{3,}(?::.*)?|[0-9]+%|"),
    **dict.fromkeys(("MemoryMax", "MemoryLimit", "LimitAS", "LimitDATA"), r"infinity|[0-9.]+[GTPE%]|[0-9]{3,}M|[0-9]{9,}|"),
    **dict.fromkeys(("Requires", "BindsTo", "Requisite", "Conflicts"), r"shutdown\.target|"),
    "RequiresMountsFor": r"/|",
    "DefaultDependencies": _NOT,
}
# System calls of which a service of theirs can do without, and what each needs of a list of those that it may use.
_SPARED = re.compile(r"@(?:clock|mount|swap|reboot|cpu-emulation|obsolete|debug|keyring|privileged|pkey|sandbox)")
_NEEDED_CALLS = "@system-service"
_LOADING_CALLS = frozenset(("@module", "finit_module"))
_NETLINK = "AF_NETLINK"
# What comes after systemd's own early units: one of these that waits for it waits for itself, and systemd drops a job of that circle.
_LATE = frozenset(
    f"{name}.target"
    for name in (
        *("sysinit", "basic", "multi-user", "graphical", "default", "sockets", "timers", "paths", "network", "network-online", "getty"),
        *("remote-fs", "network-pre", "nss-lookup", "nss-user-lookup", "rescue"),
    )
)
_LATE_KINDS = (".service", ".socket", ".timer", ".path")
_PREFIXES = re.compile(r"[-@:+!|]*")
_UDEVADM = ("udevadm", "/bin/udevadm", "/usr/bin/udevadm", "/sbin/udevadm", "/usr/sbin/udevadm")
_WORK: t.Mapping[str, str] = {
    LISTS: "/usr/lib/systemd/systemd-modules-load",
    UDEVD: "/usr/lib/systemd/systemd-udevd",
    TRIGGER: "udevadm trigger --type=all --action=add",
}
"""What the units run, where their own files are not in the tree."""
# Options of systemd-udevd that say how long and how much at a time.
_UDEVD_OPTION = re.compile(r"--(?:children-max|exec-delay|event-timeout|resolve-names|timeout-signal)=\S+|--debug|-D|-[cetNs]\S+")
# Options of `udevadm trigger` that change neither which events of PCI functions, drivers and modules are sent, nor their action.
_TRIGGER_OPTION = re.compile(
    r"--(?:verbose|quiet|settle|prioritized-subsystem=\S+)|-[vqw]+|--subsystem-nomatch=(?!pci$|module$|drivers$|subsystem$)[a-z][\w-]*"
)
_OF_ADD = ("--action=add", "-cadd")
_TYPES: t.Mapping[str, t.Collection[str]] = {
    "--type=all": ("devices", "subsystems"),
    "-tall": ("devices", "subsystems"),
    "--type=devices": ("devices",),
    "-tdevices": ("devices",),
    "--type=subsystems": ("subsystems",),
    "-tsubsystems": ("subsystems",),
}
_SEPARATE = re.compile(r"(?<!\S)(--(?:action|type|prioritized-subsystem|subsystem-nomatch))\s+|(?<!\S)(-[ct])\s+")


@dataclasses.dataclass(frozen=True)
class UnitChanges:
    """``settings`` are those of files beside the distribution's unit; ``matters`` those that leave the work open; ``off`` keeps it off."""

    settings: tuple[UnitSetting, ...] = ()
    matters: tuple[UnitSetting, ...] = ()
    off: UnitSetting | None = None

    def named(self, *keys: str) -> frozenset[str]:
        """The units that settings of these keys name."""
        return frozenset(word for one in self.settings if one.section == "Unit" and one.key in keys for word in one.value.split())


NOTHING = UnitChanges()


def read(tree: FileTree, name: str, cmdline: Cmdline | None) -> UnitChanges:
    """What is changed of one of the three units; of another unit, whatever it runs otherwise matters."""
    if not _may_be_changed(tree, name):
        return NOTHING
    files = UnitFiles(tree)
    unit = files.load(name)
    if unit is None:
        work = UnitSetting("Service", "ExecStart", _WORK.get(name, ""), "")
        beside = files.beside(name)
        unit = Unit(name, (name,), "", (work, *beside)) if beside else None
    if unit is None:
        return NOTHING
    own = not unit.path or unit.path.startswith(_OF_DISTRIBUTION)
    before = f"{tree.shown(unit.path)}:" if unit.path else ":"
    settings = tuple(one for one in unit.settings if one.source and not (own and one.source.startswith(before)))
    return _judged(files, tree, unit, settings, Conditions(tree, cmdline)) if settings else NOTHING


def of_manager(tree: FileTree, cmdline: Cmdline, source: str) -> t.Iterator[str]:
    """Where systemd's own configuration takes something from every unit, or gives it variables that bear on the work: a sentence each."""
    for value in cmdline.values_for_systemd(WORD):
        if _ACTING.match(value.partition("=")[0]):
            yield f"{source}: {WORD}={value} is for every unit; what udev can do with it cannot be determined."
    for one in manager_settings(tree):
        if _takes_from_all(one):
            yield f"{one.source}: {one.key}={one.value} is for every unit; what udev can do with it cannot be determined."


def _takes_from_all(one: UnitSetting) -> bool:
    if one.key in ("CapabilityBoundingSet", "SystemCallArchitectures"):
        return bool(one.value) and re.fullmatch(_TAKING[one.key], one.value) is None
    if one.key == "DefaultTasksMax":
        return re.fullmatch(_TAKING["TasksMax"], one.value) is None
    return one.key in ("DefaultEnvironment", "ManagerEnvironment") and any(
        _ACTING.match(word.strip("\"'")) for word in one.value.replace("=", " = ").split()
    )


def _may_be_changed(tree: FileTree, name: str) -> bool:
    folders = [f"{base}.d" for base in (*drop_in_names(name), name.rpartition(".")[2])]
    for place in FOLDERS:
        names = tree.names(place) if tree.is_dir(place) else ()
        if any(folder in names for folder in folders) or (name in names and not f"{place}/".startswith(_OF_DISTRIBUTION)):
            return True
    return False


def _judged(files: UnitFiles, tree: FileTree, unit: Unit, settings: tuple[UnitSetting, ...], conditions: Conditions) -> UnitChanges:
    matters = [one for one in settings if _matters(tree, unit, one) or _waits_for_itself(files, one)]
    matters += [last for key, allows in _LISTED.items() for last in _last_of(settings, key) if not allows(unit)]
    off: UnitSetting | None = None
    for kind in _KINDS:
        holds, asked = _conditions(unit, settings, kind, conditions)
        off = asked if holds is False and off is None else off
        matters += [asked] if holds is None and asked is not None else []
    changed = [one for one in settings if (one.section, one.key) == ("Service", "ExecStart")]
    if changed and not _does_the_same(unit):
        matters.append(changed[-1])
    given = [one for one in settings if one.section == "Service" and one.key in ("Environment", "EnvironmentFile", "PassEnvironment")]
    if given and any(map(_ACTING.match, (*environment_of(unit, tree), *unit.words("Service", "PassEnvironment")))):
        matters.append(given[-1])
    return UnitChanges(settings, tuple(matters), off)


def _conditions(
    unit: Unit, settings: t.Collection[UnitSetting], kind: str, conditions: Conditions
) -> tuple[bool | None, UnitSetting | None]:
    """Whether the conditions, or assertions, hold as far as they are not the distribution's, and the last of those that are changed."""
    asked: list[UnitSetting] = []
    for one in unit.settings:
        if one.section == "Unit" and one.key.startswith(kind):
            asked = [*asked, one] if one.value else []
    own = [one for one in asked if one in settings and not _is_stock(one)]
    # Where nothing is added to the alternatives, those of the unit itself say whether there is anything to load.
    adds = any(one.value.startswith("|") for one in own)
    counted = [one for one in asked if one in own or (adds and one.value.startswith("|"))]
    return (conditions.hold(counted), own[-1]) if own else (True, None)


def _is_stock(one: UnitSetting) -> bool:
    return re.fullmatch(_STOCK.get(one.key, r"(?!)"), one.value) is not None


def _matters(tree: FileTree, unit: Unit, one: UnitSetting) -> bool:
    if one.section not in ("Unit", "Service"):
        return False
    if one.key in ("WorkingDirectory", "EnvironmentFile"):
        # What is not there keeps the service from being started.
        there = tree.is_dir(one.value) if one.key == "WorkingDirectory" else tree.is_file(one.value)
        return one.value.startswith("/") and not there and "*" not in one.value
    if one.key in _TAKING:
        return re.fullmatch(_TAKING[one.key], one.value, re.IGNORECASE) is None
    if _OF_ALL_SERVICES in one.source and one.key.startswith("Exec"):
        # One that fails before every service would keep the host from starting.
        return False
    # A command after the work undoes nothing of it, but ends a daemon.
    if one.key in ("ExecStartPre", "ExecCondition") or (one.key == "ExecStartPost" and unit.name == UDEVD):
        prefixes = _PREFIXES.match(one.value)
        prefix = prefixes[0] if prefixes is not None else ""
        return bool(one.value) and "-" not in prefix and succeeds(tree, one.value[len(prefix) :].strip()) is not True
    return False


def _last_of(settings: t.Iterable[UnitSetting], key: str) -> t.Sequence[UnitSetting]:
    return [one for one in settings if (one.section, one.key) == ("Service", key)][-1:]


def _may_call(unit: Unit) -> bool:
    """Whether the system calls that are left to the service are enough for its work (SystemCallFilter= in systemd.exec(5))."""
    entries = [one.value for one in unit.all("Service", "SystemCallFilter")]
    if not entries:
        return True
    denied: set[str] = set()
    allowed: set[str] = set()
    for value in entries:
        words = {word.partition(":")[0] for word in value.lstrip("~").split()}
        # The last that names a call counts.
        denied = denied | words if value.startswith("~") else denied - words
        allowed = allowed - words if value.startswith("~") else allowed | words
    if not all(map(_SPARED.fullmatch, denied)):
        return False
    # Where the distribution's own list cannot be seen, this one adds to it.
    if entries[0].startswith("~") or not unit.path:
        return unit.name == UDEVD or entries[0].startswith("~")
    return _NEEDED_CALLS in allowed and (unit.name == TRIGGER or not allowed.isdisjoint(_LOADING_CALLS))


def _may_hear_the_kernel(unit: Unit) -> bool:
    """Whether udevd is left the sockets by which the kernel tells of devices."""
    entries = [one.value for one in unit.all("Service", "RestrictAddressFamilies")]
    if unit.name != UDEVD or not entries:
        return True
    if any(value.startswith("~") and _NETLINK in value for value in entries):
        return False
    return entries[0].startswith("~") or not unit.path or any(_NETLINK in value for value in entries)


_LISTED: t.Mapping[str, t.Callable[[Unit], bool]] = {"SystemCallFilter": _may_call, "RestrictAddressFamilies": _may_hear_the_kernel}


def _waits_for_itself(files: UnitFiles, one: UnitSetting) -> bool:
    return (one.section, one.key) == ("Unit", "After") and any(_is_late(files, name) for name in one.value.split())


def _is_late(files: UnitFiles, name: str) -> bool:
    unit = files.load(name) if name.endswith(_LATE_KINDS) else None
    return name in _LATE or (unit is not None and not unit.is_false("DefaultDependencies", "Unit"))


def _does_the_same(unit: Unit) -> bool:
    """Whether the commands do what those of the distribution do, once."""
    commands = [_SEPARATE.sub(_joined, _PREFIXES.sub("", one.value, count=1)).split() for one in unit.all("Service", "ExecStart")]
    if unit.name == TRIGGER:
        sent = [_sent(words) for words in commands]
        known = [kind for one in sent for kind in one or ()]
        return None not in sent and sorted(known) == ["devices", "subsystems"]
    if len(commands) != 1 or not commands[0]:
        return False
    program, *options = commands[0]
    is_own = posixpath.basename(program) == posixpath.basename(_WORK.get(unit.name, "")) and program.startswith(("/usr/lib/", "/lib/"))
    return is_own and all(unit.name == UDEVD and _UDEVD_OPTION.fullmatch(option) for option in options)


def _joined(match: re.Match[str]) -> str:
    return f"{match[1]}=" if match[1] else match[2]


def _sent(words: t.Sequence[str]) -> t.Collection[str] | None:
    """What a command has the kernel send "add" events of; None if that is not known."""
    if len(words) < 2 or words[0] not in _UDEVADM or words[1] != "trigger":
        return None
    options = words[2:]
    kinds = [_TYPES[option] for option in options if option in _TYPES]
    if not any(option in _OF_ADD for option in options):
        return None
    if not all(option in _TYPES or option in _OF_ADD or _TRIGGER_OPTION.fullmatch(option) for option in options):
        return None
    return kinds[-1] if kinds else ("devices",)
