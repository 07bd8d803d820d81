# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel command line, parsed as the kernel and kmod do."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.parameter_types import parse_boolean

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree

CMDLINE = "/proc/cmdline"
# A word of a command line, or a module parameter in modprobe.d: blanks inside double quotes belong to it.  Runs of characters are matched
# at once, because `re` keeps 130 bytes for each repetition of a group.
WORD = re.compile(r'(?:[^\s"]+|"[^"]*(?:"|$))+')
MODULE_OPTION = re.compile(r'([^.="\s]+)\.([^.="\s]+)(?:=(.*))?', re.DOTALL)
_LOCK = re.compile(r"sysctl[./]kernel[./]modules_disabled=0*1")
# What extract_first_word() in systemd's extract-word.c takes for a word, with proc_cmdline_extract_first()'s flags, and its quotes.
_SYSTEMD_WORD = re.compile(r"""(?:[^\s"']+|"[^"]*(?:"|$)|'[^']*(?:'|$))+""")
_SYSTEMD_QUOTED = re.compile(r""""([^"]*)(?:"|$)|'([^']*)(?:'|$)""")
LINE_SIZES = {"x86_64": 2048, "aarch64": 2048, "ppc64le": 2048, "riscv64": 1024, "s390x": 4096, "loongarch64": 4096}
"""COMMAND_LINE_SIZE by machine, with the byte that ends the line (include/uapi/asm/setup.h; s390's in its Kconfig)."""
MOST_READ = 64 << 10
"""More than any kernel keeps of its line."""
END = "--"
"""Behind it nothing is for the kernel or a module (parse_args() in kernel/params.c)."""


def cut_off(machine: str, words: t.Iterable[str]) -> tuple[int, int] | None:
    """How many bytes a line of these words has, and how many of them a kernel reads; None if all, or if that is not known."""
    size = len(" ".join(words).encode("utf-8", "surrogateescape"))
    longest = LINE_SIZES.get(machine, size + 1) - 1
    return (size, longest) if size > longest else None


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
        return cls.parse((tree.text_or_none(CMDLINE) or "")[:MOST_READ])

    def values(self, name: str) -> tuple[str, ...]:
        """The values of each `name=…`, in order, unquoted; in names `-` equals `_` (parameq() in kernel/params.c)."""
        pairs = map(name_and_value, self.arguments)
        return tuple(value for key, value in pairs if value is not None and normalize_module_name(key) == normalize_module_name(name))

    @property
    def for_systemd(self) -> tuple[tuple[str, str | None], ...]:
        """Each word's name and value as systemd and its programs read them: quotes of both kinds, wherever they stand, are taken away."""
        text = " ".join(self.arguments)
        words = (_SYSTEMD_QUOTED.sub(lambda quoted: quoted[1] or quoted[2] or "", word) for word in _SYSTEMD_WORD.findall(text))
        parts = (word.partition("=") for word in words)
        return tuple((name, value if equals else None) for name, equals, value in parts)

    def values_for_systemd(self, name: str) -> tuple[str, ...]:
        """The values of each `name=…` that systemd reads; in names `-` equals `_` (proc_cmdline_key_streq() in proc-cmdline.c)."""
        wanted = normalize_module_name(name)
        return tuple(value for key, value in self.for_systemd if value is not None and normalize_module_name(key) == wanted)

    def last(self, name: str) -> str | None:
        """The last argument of that name, as written."""
        wanted = normalize_module_name(name)
        found = (one for one in reversed(self.arguments) if normalize_module_name(name_and_value(one)[0]) == wanted)
        return next(found, None)

    @property
    def blacklisted(self) -> tuple[str, ...]:
        """The modules in `modprobe.blacklist=`, as written: kmod does not normalize these, so a name with a `-` never matches."""
        return tuple(name for name, _argument in self.blacklisting)

    @property
    def blacklisting(self) -> tuple[tuple[str, str], ...]:
        """The modules in `modprobe.blacklist=`, each with the whole argument."""
        prefix = "blacklist="
        listed = (
            (option[len(prefix) :], argument)
            for module, option, argument in self.written_options
            if module == "modprobe" and option.startswith(prefix)
        )
        return tuple((name, argument) for names, argument in listed for name in names.split(",") if name)

    @property
    def of_kernel(self) -> Cmdline:
        """The words that the kernel reads; programs and kmod read on behind `--`."""
        end = next((place for place, word in enumerate(self.arguments) if name_and_value(word) == (END, None)), None)
        return self if end is None else Cmdline(self.arguments[:end])

    @property
    def refused(self) -> tuple[str, ...]:
        """The modules in `module_blacklist=`, which the kernel itself refuses to load; the last occurrence counts."""
        values = self.of_kernel.values("module_blacklist")
        return tuple(name for name in values[-1].split(",") if name) if values else ()

    @property
    def refuses_all(self) -> str | None:
        """The word that forbids to load any module; None if none does.

        core_param(nomodule, modules_disabled, bint) in kernel/module/main.c; do_sysctl_args() in fs/proc/proc_sysctl.c, which is called
        before the first program runs.
        """
        words = self.of_kernel.arguments
        found = [(word, value) for word in words for name, value in (name_and_value(word),) if name == "nomodule"]
        states = [(word, True if value is None else parse_boolean(value)) for word, value in found]
        last = next(((word, state) for word, state in reversed(states) if state is not None), None)
        if last is not None and last[1]:
            return last[0]
        return next((word for word in words if _LOCK.fullmatch(word.replace('"', ""))), None)

    @property
    def refused_functions(self) -> tuple[str, ...]:
        """The functions in each `initcall_blacklist=`, which the kernel does not call (init/main.c)."""
        return tuple(name for value in self.of_kernel.values("initcall_blacklist") for name in value.split(",") if name)

    @property
    def has_nomodeset(self) -> bool:
        """Whether a word begins with `nomodeset` (obsolete_checksetup() in init/main.c compares no further)."""
        return any(name_and_value(word)[0].startswith("nomodeset") for word in self.of_kernel.arguments)

    @property
    def module_options(self) -> tuple[tuple[str, str], ...]:
        """Each `module.option=value` as the module's normalized name and the option as kmod passes it on, with its quotes."""
        return tuple((module, option) for module, option, _argument in self.written_options)

    @property
    def written_options(self) -> tuple[tuple[str, str, str], ...]:
        """As `module_options`, each with the whole argument."""
        found = ((_module_option(argument), argument) for argument in self.arguments)
        return tuple((normalize_module_name(pair[0]), pair[1], argument) for pair, argument in found if pair is not None)


def name_and_value(word: str) -> tuple[str, str | None]:
    """What the kernel makes of one word (next_arg() in lib/cmdline.c); the value is None where there is no `=`.

    Quotes around the whole word, or around the value, are taken away; others belong to the name or to the value.
    """
    quoted = word.startswith('"')
    text = word[1:] if quoted else word
    name, equals, value = text.partition("=")
    if not name or not equals:
        return (text[:-1] if quoted and text.endswith('"') else text), None
    if value.startswith('"'):
        return name, value[1:-1] if value.endswith('"') and len(value) > 1 else value[1:]
    return name, value[:-1] if quoted and value.endswith('"') else value


def _module_option(argument: str) -> tuple[str, str] | None:
    """What kmod takes from an argument (kmod_config_parse_kcmdline() in libkmod-config.c).

    GRUB quotes a whole argument that contains a space; kmod moves the quotes to the value, where the kernel expects them.  It
    ignores an option whose quotes do not end.
    """
    quoted = argument.startswith('"')
    match = MODULE_OPTION.fullmatch(argument[1:] if quoted else argument)
    if match is None or argument.count('"') % 2:
        return None
    module, name, value = match.groups()
    if value is None:
        return module, name
    return module, f'{name}="{value}' if quoted else f"{name}={value}"
