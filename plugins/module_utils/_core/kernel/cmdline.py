# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel command line, parsed as the kernel and kmod do."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

CMDLINE = "/proc/cmdline"
WORD = re.compile(r'(?:[^\s"]|"[^"]*(?:"|$))+')
MODULE_OPTION = re.compile(r'([^.="]+)\.([^.="]+(?:=.*)?)', re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Cmdline:
    """The arguments of a kernel, in order and as written, with their quotes."""

    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Cmdline:
        return cls(tuple(WORD.findall(text)))

    @classmethod
    def read(cls, tree: FileTree) -> Cmdline:
        """The running kernel's command line; empty if none runs, as in an image."""
        return cls.parse(tree.text_or_none(CMDLINE) or "")

    def values(self, name: str) -> tuple[str, ...]:
        """The values of each `name=…`, in order, unquoted; in names `-` equals `_` (parameq() in kernel/params.c)."""
        pairs = (argument.replace('"', "").partition("=") for argument in self.arguments)
        return tuple(value for key, equals, value in pairs if equals and normalize_module_name(key) == normalize_module_name(name))

    @property
    def blacklisted(self) -> tuple[str, ...]:
        """The modules in `modprobe.blacklist=`, as written: kmod does not normalize these, so a name with a `-` never matches."""
        prefix = "blacklist="
        listed = (option[len(prefix) :] for module, option in self.module_options if module == "modprobe" and option.startswith(prefix))
        return tuple(name for names in listed for name in names.split(",") if name)

    @property
    def refused(self) -> tuple[str, ...]:
        """The modules in `module_blacklist=`, which the kernel itself refuses to load; the last occurrence counts."""
        values = self.values("module_blacklist")
        return tuple(name for name in values[-1].split(",") if name) if values else ()

    @property
    def module_options(self) -> tuple[tuple[str, str], ...]:
        """Each `module.option=value` as the module's normalized name and the option as kmod passes it on, with its quotes."""
        matches = (MODULE_OPTION.fullmatch(_requoted(argument)) for argument in self.arguments)
        return tuple((normalize_module_name(match[1]), match[2]) for match in matches if match is not None)


def _requoted(argument: str) -> str:
    """GRUB quotes a whole argument that contains a space; kmod moves the quotes to the value, where the kernel expects them."""
    if not argument.startswith('"'):
        return argument
    name, equals, value = argument.strip('"').partition("=")
    return f'{name}{equals}"{value}"'
