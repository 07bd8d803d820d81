# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel settings that keep modules from being loaded, or name the program that loads them (sysctl.d(5), sysctl(8))."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.pattern import matches
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.harmless_programs import HARMLESS, PROGRAMS
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.tmpfiles import files

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.file_tree import FileTree
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import InfluencesOf

ALSO = "/etc/sysctl.conf"
LARGEST = 256 << 10
_LINE = re.compile(r"^\s*-?\s*([^#;=\s][^=\s]*)\s*=\s*(.*?)\s*$")


def read(tree: FileTree, reads_sysctl_conf: bool, judged: InfluencesOf) -> t.Iterator[Influence]:
    """What the settings do; ``judged`` judges a program by command and source."""
    chosen = list(files(tree, "sysctl.d"))
    if reads_sysctl_conf and tree.is_file(ALSO):
        chosen.append(ALSO)
    for path in chosen:
        content = tree.head(path, LARGEST) or b""
        yield from of_text(content.decode("utf-8", "surrogateescape"), tree.shown(path), judged)


def of_text(text: str, shown: str, judged: InfluencesOf) -> t.Iterator[Influence]:
    """What such settings do, wherever they are from."""
    for number, line in enumerate(text.split("\n"), 1):
        match = _LINE.match(line)
        if match is None:
            continue
        key, value = match[1].replace("/", ".").strip("."), match[2]
        source = f"{shown}:{number}"
        if _is(key, "kernel.modules_disabled") and value not in ("0", ""):
            yield Influence(source, "makes the kernel refuse every further module", frozenset(("lock",)))
        elif any(_is(key, name) for name in PROGRAMS) and value not in HARMLESS:
            yield from judged(value, source)


def _is(glob: str, key: str) -> bool:
    """Whether systemd-sysctl, which looks for the pattern below /proc/sys, takes the key for it: part by part."""
    parts, wanted = glob.replace("proc.sys.", "").split("."), key.split(".")
    return len(parts) == len(wanted) and all(matches(name, part) for name, part in zip(wanted, parts))
