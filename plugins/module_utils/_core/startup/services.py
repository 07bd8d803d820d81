# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service runs, and with which rights (systemd.service(5), systemd.exec(5))."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import re
import shlex
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import systemd_variables
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.exit_status import succeeds
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.harmless_programs import only_writes_out
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.other_users import gets_root
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import SHELLS
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.systemd_variables import OF_PAM, assignments, of_file

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.systemd_variables import SystemdVariables
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import Unit

BESIDE = ("ExecCondition", "ExecStartPre", "ExecStartPost", "ExecStopPost")
KEYS = (*BESIDE, "ExecStart")
"""What a service runs when it is started, the last being its own work."""
_ORDER = ("ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost")
# With these a service sees other files than the tree has, or makes some.
_OTHER_VIEW = re.compile(r"Director|Paths|Image|FileSystem|ProtectHome|PrivateTmp|^User$|^DynamicUser$|^Group$")
_PREFIXES = re.compile(r"[-@:+!|]*")
_TWICE = re.compile(r"([-@:+|]).*\1|!.*!.*!")
_QUOTED_PROGRAM = re.compile(r"""^(["'])([^"'\\\s]+)\1(?=\s|$)""")
_SEVERAL = re.compile(r"\s+;\s+")
_MODULE = re.compile(r"CAP_SYS_(?:ADMIN|MODULE|RAWIO)|CAP_DAC_OVERRIDE|^~")
_OUTPUTS = ("StandardOutput", "StandardError")
_TO_FILE = re.compile(r"(?:file|append|truncate):(/(?:sys|proc)/\S+)")
_OPENED = re.compile(r"(/(?:sys|proc)/[^:\s]+)(?!\S*:read-only)\S*")
# A shell that is given no script reads one from its input.
_READS_SCRIPT = re.compile(rf"(?:/\S*/)?{SHELLS}(?:\s+-(?!c)[a-z]+)*(?:\s+-)?")
_MADE_LATE = re.compile(r"/(?:run|var/run|tmp|var/tmp|dev/shm)/")


@dataclasses.dataclass(frozen=True)
class UnitCommand:
    """A command line, the file and line that it is from, and the variables that are set for it."""

    text: str
    source: str
    environment: t.Mapping[str, str]
    folder: str | None = None
    """Its working directory, if the unit names one."""
    is_open: bool = False
    """Whether other variables may be set for it as well."""


def commands(
    unit: Unit,
    tree: FileTree,
    wanted: t.Sequence[str] = KEYS,
    of_user: bool = False,
    manager: SystemdVariables = systemd_variables.NONE,
) -> tuple[UnitCommand, ...]:
    """What the unit runs when it is started, by these keys, without what cannot act because of its rights.

    ``of_user`` says that it is of another user's own manager, where the prefixes give no rights.
    """
    # Mounts and swaps have no commands of their own (systemd.mount(5)).
    keys = [] if unit.name.endswith((".mount", ".swap")) else [*wanted]
    if unit.last("Service", "Type") == "oneshot" and not unit.is_true("RemainAfterExit"):
        keys.append("ExecStop")
    environment = environment_of(unit, tree, manager)
    searched = unit.words("Service", "ExecSearchPath")
    if searched:
        environment = {"PATH": ":".join(searched), **environment}
    is_open = has_open_variables(unit, manager)
    section = {"socket": "Socket", "mount": "Mount", "swap": "Swap"}.get(unit.name.rpartition(".")[2], "Service")
    found: list[UnitCommand] = []
    confined = of_user or is_confined(unit, section)
    folder = unit.last(section, "WorkingDirectory") or ""
    root = (unit.last(section, "RootDirectory") or "").rstrip("/")
    reached = _reached(unit, section, tree)
    for key in keys:
        for source, prefix, text in itertools.islice(_commands(unit, section, key), reached.get(key)):
            privileged = not of_user and ("+" in prefix or "!" in prefix)
            if text and not only_writes_out(text) and (privileged or not confined or _becomes_root(unit, section, text, tree)):
                inside = f"{root}{text}" if root and tree.is_file(f"{root}{text.split(maxsplit=1)[0]}") else text
                inside = _bound(unit, section, inside)
                # With `:` systemd puts no variables into the command.
                plain = inside.replace("$", "$$") if ":" in prefix else inside
                place = folder.lstrip("-") if folder.startswith(("/", "-/")) else None
                found.append(UnitCommand(plain, source, environment, place, is_open))
    ways = (setting for key in _OUTPUTS for setting in unit.all(section, key)[-1:])
    written = ((setting.source, match[1]) for setting in ways for match in (_TO_FILE.fullmatch(setting.value),) if match is not None)
    # systemd opens the file itself, whatever rights the service has.
    opened = ((setting.source, match[1]) for setting in unit.all(section, "OpenFile") for match in _OPENED.finditer(setting.value))
    paths = () if of_user else (*written, *opened)
    found += [UnitCommand(f"/bin/sh -c 'echo output > {path}'", source, environment) for source, path in paths]
    if any(_READS_SCRIPT.fullmatch(one.text) for one in found):
        found += [UnitCommand(text, source, environment, None, is_open) for source, text in _input(unit, section)]
    return tuple(found)


def _bound(unit: Unit, section: str, text: str) -> str:
    """A command whose program stands below a path that the unit puts another one in the place of, with that one."""
    program, blank, rest = text.partition(" ")
    for word in unit.words(section, "BindPaths", "BindReadOnlyPaths"):
        source, _colon, target = word.lstrip("-").partition(":")
        target = target.partition(":")[0].rstrip("/")
        if target and (program == target or program.startswith(f"{target}/")):
            return f"{source.rstrip('/')}{program[len(target) :]}{blank}{rest}"
    return text


def _input(unit: Unit, section: str) -> t.Iterator[tuple[str, str]]:
    """What a shell of the unit reads as its script: a file, or the unit's own text."""
    way = unit.all(section, "StandardInput")[-1:]
    for setting in way:
        if setting.value.startswith("file:"):
            yield setting.source, f"/bin/sh {setting.value.partition(':')[2]}"
    texts = [*unit.all(section, "StandardInputText"), *unit.all(section, "StandardInputData")]
    for setting in texts:
        text = setting.value if setting.key == "StandardInputText" else _decoded(setting.value)
        yield setting.source, f"/bin/sh -c {shlex.quote(text.strip())}".replace("$", "$$")


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(re.sub(r"\s", "", value)).decode("utf-8", "replace")
    except ValueError:
        return ""


def _reached(unit: Unit, section: str, tree: FileTree) -> t.Mapping[str, int]:
    """How many commands of each key are run at most: one that fails, where that counts, ends a start (systemd.service(5))."""
    found: dict[str, int] = {}
    # Only what nothing before it can have changed is asked of the tree.
    sees_tree = not any(_OTHER_VIEW.search(setting.key) for setting in unit.settings if setting.section == section)
    failed = False
    for key in _ORDER:
        found[key] = 0
        for _source, prefix, text in _commands(unit, section, key):
            if failed:
                break
            found[key] += 1
            well = succeeds(tree, text, sees_tree) if "|" not in prefix and "@" not in prefix else None
            sees_tree = sees_tree and well is not None
            failed = well is False and "-" not in prefix and _counts(unit, key)
        if failed and key != "ExecStartPost":
            found["ExecStop"] = 0
    return found


def _counts(unit: Unit, key: str) -> bool:
    """Whether a command that fails keeps those after it from being run."""
    if key in ("ExecCondition", "ExecStart") and unit.last("Service", "SuccessExitStatus") is not None:
        return False
    return key != "ExecStart" or unit.last("Service", "Type") == "oneshot"


def _commands(unit: Unit, section: str, key: str) -> t.Iterator[tuple[str, str, str]]:
    """The commands of a key: the file and line, the prefix, and what comes after it."""
    for setting in unit.all(section, key):
        for part in _SEVERAL.split(setting.value):
            match = _PREFIXES.match(part)
            prefix = "" if match is None else match[0]
            rest = part[len(prefix) :]
            # systemd refuses a sign that stands twice, but for `!!`, and a blank before the program (config_parse_exec()).
            if not rest[:1].isspace() and not _TWICE.search(prefix):
                yield setting.source, prefix, _QUOTED_PROGRAM.sub(r"\2", rest.strip())


def is_confined(unit: Unit, section: str = "Service") -> bool:
    """Whether the unit's processes can neither write to /sys nor load modules."""
    user = unit.last(section, "User")
    capabilities = " ".join(unit.words(section, "AmbientCapabilities"))
    foreign = ((user not in (None, "", "root", "0") and "%" not in user) or unit.is_true("DynamicUser", section)) and not _MODULE.search(
        capabilities
    )
    return foreign or (_sees_no_attributes(unit, section) and _loads_no_modules(unit, section))


def _sees_no_attributes(unit: Unit, section: str) -> bool:
    hidden = unit.words(section, "ReadOnlyPaths", "InaccessiblePaths", "ReadOnlyDirectories", "InaccessibleDirectories")
    writable = unit.words(section, "ReadWritePaths", "ReadWriteDirectories", "BindPaths")
    is_hidden = not {"/sys", "/sys/"}.isdisjoint(word.lstrip("-+") for word in hidden) and not any("/sys" in word for word in writable)
    return is_hidden or unit.is_true("ProtectKernelTunables", section)


def _loads_no_modules(unit: Unit, section: str) -> bool:
    bounds = [setting.value for setting in unit.all(section, "CapabilityBoundingSet")]
    denied = [value for value in bounds if value.startswith("~")]
    lacks = bool(bounds) and (
        any("CAP_SYS_MODULE" in value for value in denied)
        if len(denied) == len(bounds)
        else not denied and not any("CAP_SYS_MODULE" in value for value in bounds)
    )
    return lacks or unit.is_true("ProtectKernelModules", section)


def _becomes_root(unit: Unit, section: str, text: str, tree: FileTree) -> bool:
    """Whether a command of another user asks a program for root's rights."""
    return not unit.is_true("NoNewPrivileges", section) and gets_root(tree, text)


def environment_of(unit: Unit, tree: FileTree, manager: SystemdVariables = systemd_variables.NONE) -> dict[str, str]:
    """The variables of the manager, of Environment= and of EnvironmentFile=, of which the later count more; without UnsetEnvironment='s."""
    found = dict(manager.given)
    found.update((name, manager.own[name]) for name in unit.words("Service", "PassEnvironment") if name in manager.own)
    for setting in unit.all("Service", "Environment"):
        found.update(assignments(setting.value))
    for setting in unit.all("Service", "EnvironmentFile"):
        for path in _environment_files(tree, setting.value.lstrip("-")):
            found.update(of_file(tree, path))
    if unit.last("Service", "PAMName"):
        found.update(of_file(tree, OF_PAM))
    taken = {word.strip("\"'") for word in unit.words("Service", "UnsetEnvironment")}
    return {name: value for name, value in found.items() if name not in taken and f"{name}={value}" not in taken}


def has_open_variables(unit: Unit, manager: SystemdVariables = systemd_variables.NONE) -> bool:
    """Whether variables may be set for the unit that stand in no file before the host runs."""
    files = (setting.value.lstrip("-") for setting in unit.all("Service", "EnvironmentFile"))
    return manager.is_open or any(map(_MADE_LATE.match, files))


def _environment_files(tree: FileTree, path: str) -> t.Iterator[str]:
    folder, _slash, name = path.rpartition("/")
    if not re.search(r"[*?\[]", name):
        yield path
    else:
        yield from (f"{folder}/{one}" for one in tree.names(folder) if matches(one, name))
