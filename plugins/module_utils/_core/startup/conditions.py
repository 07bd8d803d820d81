# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a unit's conditions and assertions can hold (systemd.unit(5)), as far as the tree, the kernel and its command line tell.

What only the boot shows is not decided: files in /run, /sys, /proc and /dev, credentials, the environment, memory, power and mounts.
"""

from __future__ import annotations

import dataclasses
import functools
import posixpath
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel import architecture, virtual_machine
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.startup import expressions, machine_facts
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.schedules import is_executable
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import truth

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import Unit, UnitSetting

_OPEN = ("/run/", "/sys/", "/proc/", "/dev/", "/tmp/", "/var/run/", "/var/lock/")  # noqa: S108 - nothing is written there
# A boot loader adds them, so that the words that are read of its settings do not show them all.
_OF_LOADERS = ("BOOT_IMAGE", "initrd", "BOOTIF", "bootconfig")
# What turns a security module off, by its name in ConditionSecurity= (kernel-parameters.txt).
_SWITCHES = {"selinux": "selinux", "apparmor": "apparmor"}
_WILD = re.compile(r"[*?\[{\\]")
# hidden_or_backup_file() in path-util.c
_BACKUP = re.compile(
    r"^\.|~$|^(?:lost\+found|aquota\.user|aquota\.group)$|\.(?:rpm(?:new|save|orig)|dpkg-(?:old|new|tmp|dist|bak|backup|remove)"
    r"|ucf-(?:new|old|dist)|swp|bak|old|new)$"
)
_OF_PATH = re.compile(r"(?:Condition|Assert)(?:Path|Directory|File)")
_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOST_NAME = re.compile(r"[A-Za-z0-9.-]+")


def _is_ignored(setting: UnitSetting) -> bool:
    """A condition on a path that is not one from the root, as with a blank after its signs (config_parse_unit_condition_path())."""
    path = re.sub(r"^\|?!?", "", setting.value)
    return _OF_PATH.match(setting.key) is not None and "%" not in path and (not path.startswith("/") or ".." in path.split("/"))


def is_open(tree: FileTree, path: str) -> bool:
    """Whether only the boot shows what is at a path."""
    if not path.startswith("/") or "%" in path:
        return True
    return any(f"{posixpath.normpath(one)}/".startswith(_OPEN) for one in (path, Ownership.of(tree).resolved(path)))


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What units of one boot can ask about; ``cmdline`` and ``release`` are those of its kernel, None if they are not known."""

    tree: FileTree
    cmdline: Cmdline | None = None
    release: str | None = None
    is_user_s: bool = False
    """Whether it is another user's manager that asks, and not the system's."""

    def may_hold(self, unit: Unit) -> bool:
        """Whether the unit can be started by its conditions."""
        kept: dict[str, list[UnitSetting]] = {"Condition": [], "Assert": []}
        for setting in unit.settings:
            kind = next((kind for kind in kept if setting.key.startswith(kind)), None)
            if setting.section == "Unit" and kind is not None:
                # An empty one, of whatever name, takes back all before it.
                kept[kind] = [*kept[kind], setting] if setting.value else []
        return all(self.hold(settings) is not False for settings in kept.values())

    def hold(self, settings: t.Iterable[UnitSetting]) -> bool | None:
        """Whether these conditions, or these assertions, hold together; None if only the boot shows it."""
        alternatives: list[bool | None] = []
        needed: list[bool | None] = []
        for one in (one for one in settings if not _is_ignored(one)):
            (alternatives if one.value.startswith("|") else needed).append(self._holds(one))
        needed += [True if True in alternatives else None if None in alternatives else False] if alternatives else []
        return False if False in needed else None if None in needed else True

    def _holds(self, setting: UnitSetting) -> bool | None:
        """None if only the boot shows it.  Signs as config_parse_unit_condition_string() takes them: one `|`, then one `!`."""
        value = setting.value[1:].lstrip() if setting.value.startswith("|") else setting.value
        negated = value.startswith("!")
        value = value[1:].lstrip() if negated else value
        test = _TESTS.get(setting.key.removeprefix("Condition").removeprefix("Assert"))
        found = None if test is None or "%" in value else test(self, value)
        return None if found is None else found != negated

    def _word(self, wanted: str) -> bool | None:
        if self.cmdline is None:
            return None
        words = self.cmdline.for_systemd
        has = any(wanted == (name if value is None or "=" not in wanted else f"{name}={value}") for name, value in words)
        return True if has else None if wanted.partition("=")[0] in _OF_LOADERS else False

    def _user(self, value: str) -> bool | None:
        # The system's own manager is root's.
        return None if self.is_user_s else value in ("root", "0", "@system")

    def _group(self, value: str) -> bool | None:
        if self.is_user_s:
            return None
        return True if value in ("root", "0") else False if value.isdigit() else None

    def _first_boot(self, value: str) -> bool | None:
        """machine-id(5); a word of the command line can say otherwise."""
        is_first = machine_facts.is_first_boot(self.tree, self.cmdline)
        return None if is_first is None else is_first == (truth(value) is True)

    def _architecture(self, value: str) -> bool | None:
        own = architecture.of_tree(self.tree) or architecture.of_release(self.release or "")
        if own is None or value not in (*architecture.NAMES, "native"):
            return None
        return value in (own, "native")

    def _version(self, value: str) -> bool | None:
        return None if self.release is None else expressions.holds(value, self.release)

    def _version_of(self, value: str) -> bool | None:
        """ConditionVersion=, which can be about systemd or the C library as well."""
        subject, _space, rest = value.partition(" ")
        if subject == "kernel":
            return self._version(rest.strip())
        return None if subject in ("systemd", "glibc") else self._version(value)

    def _os_release(self, value: str) -> bool | None:
        return expressions.release_agrees(self.tree, value)

    def _firmware(self, value: str) -> bool | None:
        found = machine_facts.is_efi(self.tree, self.cmdline)
        return found if value == "uefi" else None

    def _virtualization(self, value: str) -> bool | None:
        asked = value.lower()
        if self.cmdline is None or self.cmdline.last("container") is not None:
            return None
        if asked in ("container", "private-users"):
            return False
        found = virtual_machine.is_virtual(self.tree)
        if found is None or (found and truth(asked) is None and asked not in ("vm", "none")):
            return None
        if asked == "none" or truth(asked) is False:
            return not found
        return found

    def _host(self, value: str) -> bool | None:
        if _ID.fullmatch(value):
            # It can be a product's, too.
            number = (self.tree.text_or_none(machine_facts.MACHINE_ID) or "").strip().lower()
            is_own = number != "" and value.replace("-", "").lower() == number and not self._sets("systemd.machine_id")
            return True if is_own else None
        own = machine_facts.host_name(self.tree)
        if own is None or not _HOST_NAME.fullmatch(value.replace("*", "").replace("?", "") or "x"):
            return None
        return None if self._sets("systemd.hostname", "hostname") else matches(own.lower(), value.lower())

    def _security(self, value: str) -> bool | None:
        if value == "uefi-secureboot":
            return False if machine_facts.is_efi(self.tree, self.cmdline) is False else None
        switch = _SWITCHES.get(value)
        return False if switch is not None and self.cmdline is not None and self.cmdline.last(switch) == f"{switch}=0" else None

    def _sets(self, *words: str) -> bool:
        return self.cmdline is None or any(self.cmdline.last(word) is not None for word in words)

    # -- files

    def _path(self, value: str, agrees: t.Callable[[str], bool | None]) -> bool | None:
        return None if is_open(self.tree, value) else agrees(value)

    def _exists(self, path: str) -> bool | None:
        return self.tree.exists(path)

    def _glob(self, pattern: str) -> bool | None:
        """Of one folder, without what globs of files do with braces and escapes."""
        folder, name = posixpath.split(pattern)
        if _WILD.search(folder) or re.search(r"[{\\\[]", name):
            return None
        hidden = name.startswith(".")
        return any(matches(one, name) for one in self.tree.names(folder) if hidden or not one.startswith("."))

    def _is_dir(self, path: str) -> bool | None:
        return self.tree.is_dir(path)

    def _is_link(self, path: str) -> bool | None:
        return self.tree.link(path) is not None

    def _has_names(self, path: str) -> bool | None:
        return any(not _BACKUP.search(name) for name in self.tree.names(path)) if self.tree.is_dir(path) else False

    def _has_content(self, path: str) -> bool | None:
        return bool(self.tree.head(path, 1))

    def _is_program(self, path: str) -> bool | None:
        if not self.tree.is_file(path):
            return False
        return is_executable(self.tree, path) if isinstance(self.tree, Host) else None


_Test = t.Callable[[Conditions, str], t.Optional[bool]]


def _of_path(agrees: t.Callable[[Conditions, str], bool | None]) -> _Test:
    return lambda conditions, path: conditions._path(path, functools.partial(agrees, conditions))


_TESTS: t.Mapping[str, _Test] = {
    "Architecture": Conditions._architecture,
    "DirectoryNotEmpty": _of_path(Conditions._has_names),
    "FileIsExecutable": _of_path(Conditions._is_program),
    "FileNotEmpty": _of_path(Conditions._has_content),
    "Firmware": Conditions._firmware,
    "FirstBoot": Conditions._first_boot,
    "Group": Conditions._group,
    "Host": Conditions._host,
    "KernelCommandLine": Conditions._word,
    "KernelVersion": Conditions._version,
    "OSRelease": Conditions._os_release,
    "PathExists": _of_path(Conditions._exists),
    "PathExistsGlob": _of_path(Conditions._glob),
    "PathIsDirectory": _of_path(Conditions._is_dir),
    "PathIsSymbolicLink": _of_path(Conditions._is_link),
    "Security": Conditions._security,
    "User": Conditions._user,
    "Version": Conditions._version_of,
    "Virtualization": Conditions._virtualization,
}
