# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service runs, with which rights, and whether its conditions can hold (systemd.service(5), systemd.exec(5))."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.startup.output_programs import only_writes_out

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import Setting, Unit

BESIDE = ("ExecCondition", "ExecStartPre", "ExecStartPost", "ExecStopPost")
KEYS = (*BESIDE, "ExecStart")
"""What a service runs when it is started, the last being its own work."""
_PREFIXES = re.compile(r"[-@:+!|]*")
_SEVERAL = re.compile(r"\s+;\s+")
_OPEN = ("/run/", "/sys/", "/proc/", "/dev/", "/tmp/", "/var/run/")  # noqa: S108 - nothing is written there
_MODULE = re.compile(r"CAP_SYS_(?:ADMIN|MODULE|RAWIO)|CAP_DAC_OVERRIDE|^~")
_ASKS_FOR_ROOT = re.compile(r"(?<![\w.-])(?:sudo|doas|pkexec|run0)\s")
LARGEST_ENVIRONMENT = 64 << 10
_MACHINE_ID = "/etc/machine-id"
_YES = ("1", "yes", "y", "true", "t", "on")


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line, the file and line that it is from, and the variables that are set for it."""

    text: str
    source: str
    environment: t.Mapping[str, str]
    folder: str | None = None
    """Its working directory, if the unit names one."""


def commands(unit: Unit, tree: FileTree, wanted: t.Sequence[str] = KEYS) -> tuple[Command, ...]:
    """What the unit runs when it is started, by these keys, without what cannot act because of its rights."""
    keys = list(wanted)
    if unit.last("Service", "Type") == "oneshot" and not unit.is_true("RemainAfterExit"):
        keys.append("ExecStop")
    environment = _environment(unit, tree)
    section = {"socket": "Socket", "mount": "Mount", "swap": "Swap"}.get(unit.name.rpartition(".")[2], "Service")
    found: list[Command] = []
    confined = is_confined(unit, section)
    folder = unit.last(section, "WorkingDirectory") or ""
    root = (unit.last(section, "RootDirectory") or "").rstrip("/")
    for key in keys:
        for setting in unit.all(section, key):
            for part in _SEVERAL.split(setting.value):
                prefixes = _PREFIXES.match(part)
                privileged = prefixes is not None and ("+" in prefixes[0] or "!" in prefixes[0])
                text = part[prefixes.end() :] if prefixes is not None else part
                if text.strip() and not only_writes_out(text) and (privileged or not confined or _becomes_root(unit, section, text, tree)):
                    inside = f"{root}{text.strip()}" if root and tree.is_file(f"{root}{text.split(maxsplit=1)[0]}") else text.strip()
                    found.append(
                        Command(inside, setting.source, environment, folder.lstrip("-") if folder.startswith(("/", "-/")) else None)
                    )
    return tuple(found)


def is_confined(unit: Unit, section: str = "Service") -> bool:
    """Whether the unit's processes can neither write to /sys nor load modules."""
    user = unit.last(section, "User")
    capabilities = " ".join(unit.words(section, "AmbientCapabilities"))
    foreign = ((user not in (None, "", "root", "0") and "%" not in user) or unit.is_true("DynamicUser", section)) and not _MODULE.search(
        capabilities
    )
    return foreign or (unit.is_true("ProtectKernelTunables", section) and unit.is_true("ProtectKernelModules", section))


def _becomes_root(unit: Unit, section: str, text: str, tree: FileTree) -> bool:
    """Whether a command of another user asks a program for root's rights."""
    if unit.is_true("NoNewPrivileges", section):
        return False
    script = (tree.head(text.split(maxsplit=1)[0].strip("\"'"), LARGEST_ENVIRONMENT) or b"").decode("utf-8", "surrogateescape")
    return _ASKS_FOR_ROOT.search(text) is not None or (script.startswith("#!") and _ASKS_FOR_ROOT.search(script) is not None)


def may_run(unit: Unit, tree: FileTree, cmdline: Cmdline | None) -> bool:
    """Whether the unit's conditions can hold at boot, as far as files outside of /run, /sys, /proc and the command line tell."""
    kept: dict[str, list[Setting]] = {"Condition": [], "Assert": []}
    for setting in unit.settings:
        kind = next((kind for kind in kept if setting.key.startswith(kind)), None)
        if setting.section == "Unit" and kind is not None:
            # An empty one, of whatever name, takes back all before it.
            kept[kind] = [*kept[kind], setting] if setting.value else []
    return all(_may_hold(settings, tree, cmdline) for settings in kept.values())


def _may_hold(settings: t.Sequence[Setting], tree: FileTree, cmdline: Cmdline | None) -> bool:
    alternatives = [_holds(one, tree, cmdline) is not False for one in settings if one.value.startswith("|")]
    needed = (_holds(one, tree, cmdline) is not False for one in settings if not one.value.startswith("|"))
    return all(needed) and (not alternatives or any(alternatives))


def _holds(setting: Setting, tree: FileTree, cmdline: Cmdline | None) -> bool | None:
    """None if only the boot shows it."""
    value = setting.value.lstrip("|").strip()
    negated = value.startswith("!")
    value = value.lstrip("!").strip()
    key = setting.key.removeprefix("Condition").removeprefix("Assert")
    if key == "KernelCommandLine":
        found = None if cmdline is None else _has_word(cmdline, value)
    elif key.startswith(("Path", "File", "Directory")):
        found = None if not value.startswith("/") or f"{value}/".startswith(_OPEN) or "%" in value else _file_holds(key, value, tree)
    elif key == "User":
        # The system's own manager is root's.
        found = None if "%" in value else value in ("root", "0", "@system")
    elif key == "FirstBoot":
        found = _is_first_boot(tree, cmdline)
        found = found if found is None else found == (value.lower() in _YES)
    else:
        found = None
    return None if found is None else found != negated


def _is_first_boot(tree: FileTree, cmdline: Cmdline | None) -> bool | None:
    """machine-id(5); a word of the command line can say otherwise."""
    if cmdline is None or cmdline.values("systemd.condition_first_boot") or "systemd.condition_first_boot" in cmdline.arguments:
        return None
    return (tree.text_or_none(_MACHINE_ID) or "uninitialized") == "uninitialized"


def _has_word(cmdline: Cmdline, wanted: str) -> bool:
    return any(word == wanted or ("=" not in wanted and word.partition("=")[0] == wanted) for word in cmdline.arguments)


def _file_holds(key: str, path: str, tree: FileTree) -> bool | None:
    if any(character in path for character in "*?["):
        return None if key == "PathExistsGlob" else False
    if key in ("PathExists", "PathExistsGlob"):
        return tree.exists(path)
    if key == "PathIsDirectory":
        return tree.is_dir(path)
    if key == "PathIsSymbolicLink":
        return tree.link(path) is not None
    if key == "DirectoryNotEmpty":
        return bool(tree.names(path)) if tree.is_dir(path) else False
    if key == "FileNotEmpty":
        return bool(tree.head(path, 1))
    if key == "FileIsExecutable":
        return None if tree.is_file(path) else False
    return None


_ASSIGNED = re.compile(r"\"([A-Za-z_]\w*)=((?:[^\"\\]|\\.)*)\"|'([A-Za-z_]\w*)=([^']*)'|([A-Za-z_]\w*)=(\S*)")


def _environment(unit: Unit, tree: FileTree) -> dict[str, str]:
    """The variables of Environment= and EnvironmentFile=, of which the files count more."""
    found: dict[str, str] = {}
    for setting in unit.all("Service", "Environment"):
        found.update(_assignments(setting.value))
    for setting in unit.all("Service", "EnvironmentFile"):
        content = tree.head(setting.value.lstrip("-"), LARGEST_ENVIRONMENT) or b""
        for line in content.decode("utf-8", "surrogateescape").split("\n"):
            if not line.lstrip().startswith(("#", ";")):
                name, equals, value = line.strip().partition("=")
                if equals and name.isidentifier():
                    found[name] = value.strip("\"'")
    return found


def _assignments(text: str) -> t.Iterator[tuple[str, str]]:
    for match in _ASSIGNED.finditer(text):
        yield from [(match[index], match[index + 1]) for index in (1, 3, 5) if match[index]][:1]
