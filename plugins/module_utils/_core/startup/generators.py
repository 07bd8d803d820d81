# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generators of units that no package has brought (systemd.generator(7)): what they do, and what the units do that they make."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.actors import UNBOUNDED
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.brought_texts import UNIT_NAME, UNITS_OF_DRIVERS
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.command_line import units_of_word
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.shell_text import lines_of
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.unit_files import mask_of

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline
    from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import ProgramAnalysis

FOLDERS = (
    "/etc/systemd/system-generators",
    "/usr/local/lib/systemd/system-generators",
    "/usr/lib/systemd/system-generators",
)
_ALL_FOLDERS = (*FOLDERS, "/lib/systemd/system-generators")
DEBUG = "systemd-debug-generator"
"""It masks the units of `systemd.mask=`, and starts those of `systemd.wants=`."""
LARGEST = 64 << 10
# Text from elsewhere may become a unit, or a part of one.
_FROM_ELSEWHERE = re.compile(
    r"\$\(|`|\b(?:cp|install|mv|tar|sed|awk|envsubst|python[0-9.]*|perl|curl|wget|eval|base64|dd|xargs|find|rsync|tee|source)\b"
    r"|\bcat\s+[^<\s>&|;]|(?:^|[;&|]\s*)\.\s"
)
# Files that others read at boot.
_CONFIGURATION = re.compile(
    r"rules\.d|modprobe\.d|modules-load\.d|tmpfiles\.d|sysctl\.d|credstore|/extensions|/confexts|driverctl|\.link\b"
)


def can_run(tree: FileTree, name: str, in_initrd: bool = False) -> bool:
    """Whether a generator of systemd's is there and not masked; a root in which none can be seen is taken to have it."""
    if mask_of(tree, name, _ALL_FOLDERS) is not None:
        return False
    filled = [folder for folder in _ALL_FOLDERS if tree.names(folder)]
    return any(tree.exists(f"{folder}/{name}") for folder in filled) or not (filled or in_initrd)


def masked_by_word(tree: FileTree, cmdline: Cmdline, in_initrd: bool = False) -> tuple[str, ...]:
    """The units that the command line masks."""
    given = units_of_word(cmdline, "mask", in_initrd)
    return given if given and can_run(tree, DEBUG, in_initrd) else ()


def judged(judge: ProgramAnalysis, path: str) -> t.Iterator[Influence]:
    """What a generator may do; where the text of its units is not its own, they can be of any kind."""
    content = judge.tree.head(path, LARGEST + 1) or b""
    text = content.decode("utf-8", "surrogateescape")
    lines = lines_of(text, path)
    code = "\n".join(line.text for line in lines)
    units = dict.fromkeys(UNIT_NAME.findall(code))
    is_read = bool(lines) and lines[0].in_shell and content.startswith(b"#!") and len(content) <= LARGEST
    if (
        not is_read
        or _FROM_ELSEWHERE.search(code)
        or _CONFIGURATION.search(code)
        or any(name.startswith(UNITS_OF_DRIVERS) for name in units)
    ):
        yield Influence(path, "is a generator of no package: it can make units of any kind", UNBOUNDED)
        return
    yield from judge.of(path, path, {})
    for name in units:
        yield from judge.unit(name, path) if judge.unit is not None else ()
