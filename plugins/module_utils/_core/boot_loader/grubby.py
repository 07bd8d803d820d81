# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `grubby --update-kernel=ALL` writes: every entry there is, GRUB's environment, and files that further kernels get theirs from.

(grubby: grubby-bls, update_bls_fragment() and update_args())
"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader import bls, grub_environment
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.boot_files import BootFiles
from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.stale_settings import KERNEL_INSTALL as LINE
from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.cmdline import Cmdline

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.boot_loader.cmdline_way import Way
    from ansible_collections.vfio.variants.plugins.module_utils._core.host.host import Host
    from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.argument_change import ArgumentChange

ENVIRONMENTS = ("/boot/grub2/grubenv", "/boot/grub/grubenv")
KERNEL_OPTIONS = "kernelopts"
PROGRAM = "/usr/libexec/grubby/grubby-bls"
"""What the command of that name runs where entries are in files."""


def entry_files(host: Host, way: Way) -> tuple[str, ...]:
    """All entries beside those of the way, also those of rescue systems and of kernels that are gone."""
    folders = dict.fromkeys(posixpath.dirname(place) for place in way.places)
    names = BootFiles(host).names
    return tuple(f"{folder}/{name}" for folder in folders for name in names(folder) if name.endswith(".conf") and name[0] != ".")


def found(host: Host, way: Way, change: ArgumentChange, without: t.Collection[str]) -> tuple[str, ...]:
    """The arguments that are meant and that entries have, those of rescue systems included; not in the files ``without``."""
    files = BootFiles(host)
    texts = (files.text(place) or "" for place in entry_files(host, way) if place not in without)
    options = (options for number, text in enumerate(texts) for options in bls.parse(text, str(number)).options)
    return tuple(word for line in options for word in change.found(Cmdline.parse(line)))


def creates_line(host: Host) -> bool:
    """Whether it writes /etc/kernel/cmdline where there is none, as newer ones do."""
    if host.exists(LINE) or not host.is_dir(posixpath.dirname(LINE)):
        return False
    files = BootFiles(host)
    return any(LINE in (files.text(program) or "") for program in (PROGRAM, host.which("grubby")) if program)


def written(host: Host, way: Way, words: t.Sequence[str], wanted: bool) -> tuple[str, ...]:
    """The files of entries, of GRUB's environment and of kernel-install that it changes when it adds or removes the words."""
    files = BootFiles(host)
    found: list[str] = []
    for place in entry_files(host, way):
        options = [line for line in (files.text(place) or "").splitlines() if line.split(None, 1)[:1] == ["options"]]
        is_common = any(f"${KERNEL_OPTIONS}" in line.split() for line in options)
        if not is_common and any(line != f"options {_changed(line.partition('options')[2], words, wanted)}" for line in options):
            found.append(place)
    environment = next((place for place in ENVIRONMENTS if host.is_file(place)), None)
    common = None if environment is None else grub_environment.parse(files.text(environment) or "").get(KERNEL_OPTIONS)
    if environment is not None and common and _changed(common, words, wanted) != common:
        found.append(environment)
    return (*found, LINE) if creates_line(host) else tuple(found)


def lost(text: str, words: t.Sequence[str], change: ArgumentChange) -> tuple[str, ...]:
    """Foreign arguments of a line that it takes out when it adds the words: those of the same names."""
    left = list(change.foreign(Cmdline.parse(_changed(text, words, wanted=True))))
    return tuple(word for word in change.foreign(Cmdline.parse(text)) if word not in left)


def _changed(text: str, words: t.Sequence[str], wanted: bool) -> str:
    """It knows no quotes, takes out each argument of a name that it adds, and leaves single blanks."""
    pieces = " ".join(words).split()
    names = {piece.partition("=")[0] for piece in pieces}
    if wanted:
        return " ".join([*(word for word in text.split() if word.partition("=")[0] not in names), *pieces])
    return " ".join(word for word in text.split() if word not in pieces)
