# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of modprobe.d on the kernel's command line, where each of their words stands for itself and has no effect."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.aliases import normalize_module_name
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import Finding
from ansible_collections.vfio.variants.plugins.module_utils._core.lint.misread_lines import IDENTIFIER

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.lint.host_policy import HostPolicy

NAME = re.compile(r"[\w-]+")
OPTION = re.compile(r"[a-z_][\w-]*=\S+")
OF_FILE = ("softdep", "weakdep", "alias", "remove")
"""Commands of modprobe.d that no word of a command line can express."""
FILE = "/etc/modprobe.d/local.conf"


def lines_as_words(host: HostPolicy) -> t.Iterator[Finding]:
    """`options vfio-pci ids=…`, `vfio-pci ids=…`, `blacklist nouveau`, `softdep …`: neither the kernel nor kmod reads them there."""
    for boot in host.boots:
        words = [argument.replace('"', "") for argument in boot.cmdline.arguments]
        place = 0
        while place < len(words):
            length, meant = _line_at(words[place:], host)
            if length:
                said = (
                    f"`{' '.join(words[place : place + length])}` is written as in modprobe.d, and nothing reads that on the command line"
                )
                yield Finding("line-as-words", boot.cmdline_source, f"{boot.cmdline_source}: {said}, so it has no effect. Write {meant}.")
            place += max(length, 1)


def _line_at(words: t.Sequence[str], host: HostPolicy) -> tuple[int, str]:
    """How many words the line has that begins here, and what is meant by it; 0 and nothing if none begins."""
    command, module = words[0], words[1] if len(words) > 1 else ""
    if command == "options" and NAME.fullmatch(module):
        options = _options(words[2:])
        return (2 + len(options), _dotted(module, options)) if options else (0, "")
    if command == "blacklist" and NAME.fullmatch(module):
        return 2, f"`modprobe.blacklist={normalize_module_name(module)}`"
    if command == "install" and _is_module(module, host):
        return 3 if words[2:] else 2, f"`module_blacklist={normalize_module_name(module)}`"
    if command in OF_FILE and (_is_module(module, host) or (command == "alias" and ":" in module)):
        length = 2 + _of_line(words[2:], host)
        return length, f"`{' '.join(words[:length])}` into {FILE}"
    if normalize_module_name(command) in host.vfio_modules and module.startswith("ids="):
        return 1 + len(_options(words[1:2])), _dotted(command, _options(words[1:2]))
    key, _equals, value = command.partition("=")
    if key == "ids" and IDENTIFIER.match(value):
        return 1, f"`vfio-pci.ids={value}`"
    return 0, ""


def _is_module(word: str, host: HostPolicy) -> bool:
    name = normalize_module_name(word)
    return name in host.modules or name in host.contenders


def _options(words: t.Sequence[str]) -> t.Sequence[str]:
    """The words up to the first that is not an option of a module; what has a dot is a word of its own."""
    end = next((place for place, word in enumerate(words) if OPTION.fullmatch(word) is None), len(words))
    # Words of the kernel look the same: only the first is surely the line's, and those that name IDs.
    return [word for place, word in enumerate(words[:end]) if place == 0 or word.startswith(("ids=", "disable_", "enable_", "modeset="))]


def _dotted(module: str, options: t.Sequence[str]) -> str:
    return f"`{' '.join(f'{module}.{option}' for option in options)}`"


def _of_line(words: t.Sequence[str], host: HostPolicy) -> int:
    """How many words go on with a line about modules: `pre:`, `post:` and names of modules."""
    return next((place for place, word in enumerate(words) if not (word in ("pre:", "post:", "off") or _is_module(word, host))), len(words))
