# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of systemd itself, and those that it gives to all services (systemd-system.conf(5), kernel-command-line(7))."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import leads_to_nothing
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import name_and_value
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import manager_settings

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.ownership import Ownership

WORD = "systemd.setenv"
GENERATORS = tuple(f"{folder}/systemd/system-environment-generators" for folder in ("/etc", "/usr/local/lib", "/usr/lib"))
OF_PAM = "/etc/environment"
"""What pam_env gives to sessions of PAM, those of cron's jobs among them."""
LARGEST = 64 << 10
_ASSIGNED = re.compile(r"\"([A-Za-z_]\w*)=((?:[^\"\\]|\\.)*)\"|'([A-Za-z_]\w*)=([^']*)'|([A-Za-z_]\w*)=(\S*)")


@dataclasses.dataclass(frozen=True)
class SystemdVariables:
    """``given`` are every service's; ``own`` are systemd's, which a service gets by PassEnvironment=."""

    given: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    own: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_open: bool = False
    """Whether a program may give others, whose names are not known."""

    @classmethod
    def read(cls, tree: FileTree, cmdline: Cmdline | None, ownership: Ownership) -> SystemdVariables:
        found: dict[str, dict[str, str]] = {"DefaultEnvironment": {}, "ManagerEnvironment": {}}
        for setting in manager_settings(tree):
            if setting.key in found:
                found[setting.key] = {**found[setting.key], **dict(assignments(setting.value))} if setting.value else {}
        given, own = found["DefaultEnvironment"], found["ManagerEnvironment"]
        if cmdline is not None:
            given.update(assigned for value in cmdline.values_for_systemd(WORD) for assigned in _assigned(value))
            # The kernel gives words that it does not know to the first program (unknown_bootoption() in init/main.c).
            pairs = map(name_and_value, cmdline.of_kernel.arguments)
            own = {**{name: value for name, value in pairs if value is not None and name.isidentifier()}, **own}
        return cls(given, own, any(_foreign_generators(tree, ownership)))


NONE = SystemdVariables()


def _foreign_generators(tree: FileTree, ownership: Ownership) -> t.Iterator[str]:
    """Programs beside those of packages that print variables for systemd (systemd.environment-generator(7))."""
    for folder in GENERATORS:
        for name in tree.names(folder) if tree.is_dir(folder) else ():
            path = f"{folder}/{name}"
            known = ownership.is_intact(ownership.resolved(path)) if ownership.is_readable else folder.startswith("/usr/lib/")
            if not known and not leads_to_nothing(tree, path):
                yield path


def _assigned(word: str) -> t.Iterator[tuple[str, str]]:
    name, equals, value = word.partition("=")
    if equals and name.isidentifier():
        yield name, value


def of_file(tree: FileTree, path: str) -> t.Iterator[tuple[str, str]]:
    """The variables of a file of assignments, one a line, of EnvironmentFile= or pam_env."""
    for line in (tree.head(path, LARGEST) or b"").decode("utf-8", "surrogateescape").split("\n"):
        if not line.lstrip().startswith(("#", ";")):
            name, equals, value = line.strip().partition("=")
            if equals and name.isidentifier():
                yield name, value.strip("\"'")


def assignments(text: str) -> t.Iterator[tuple[str, str]]:
    """The variables of a list of assignments, in which quotes are around whole ones."""
    for match in _ASSIGNED.finditer(text):
        yield from [(match[index], match[index + 1]) for index in (1, 3, 5) if match[index]][:1]
