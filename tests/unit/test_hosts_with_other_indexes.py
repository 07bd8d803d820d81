# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose binary indexes of modules, which the real depmod writes, are missing, damaged, or older than the texts beside them.

Their truth comes from libkmod.c (index_files) and libkmod-module.c (kmod_module_new_from_lookup).
"""

from __future__ import annotations

import os
import subprocess
import time
import typing as t

import pytest

from ansible_collections.vfio.variants.tests.unit.drawn_hosts import CARD, NATIVE, NEITHER, NIC, RULE, SAME, TO_GUEST, Drawn, compare
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

HERE = f"/lib/modules/{DEBIAN_13}"
BOTH_CARDS = (CARD, SAME)
LATER = 3600


def indexed(then: t.Callable[[Tree], object] = lambda _tree: None) -> t.Callable[[Tree], object]:
    """What depmod writes, and what is done to it."""

    def write(tree: Tree) -> None:
        subprocess.run(["depmod", "-b", str(tree.root), DEBIAN_13], check=True, capture_output=True)
        then(tree)

    return write


def without(name: str) -> t.Callable[[Tree], object]:
    return indexed(lambda tree: tree.place(f"{HERE}/{name}").unlink())


def later(*names: str, changed: tuple[str, str] = ("", "")) -> t.Callable[[Tree], object]:
    def write(tree: Tree) -> None:
        for name in names:
            place = tree.place(f"{HERE}/{name}")
            place.write_text(place.read_text().replace(*changed))
            os.utime(place, (time.time() + LATER,) * 2)

    return indexed(write)


def cut_off(name: str, size: int) -> t.Callable[[Tree], object]:
    def cut(tree: Tree) -> None:
        content = tree.place(f"{HERE}/{name}").read_bytes()
        tree.file(f"{HERE}/{name}", content[:size])

    return indexed(cut)


HOSTS = {
    "an index without its text": Drawn(NATIVE, then=without("modules.alias")),
    "an index that was cut off": Drawn(NEITHER, then=cut_off("modules.alias.bin", 100), open=BOTH_CARDS),
    "an index that was cut off at its head": Drawn(NEITHER, then=cut_off("modules.alias.bin", 11), open=BOTH_CARDS),
    "an index of names that was cut off": Drawn(NEITHER, then=cut_off("modules.dep.bin", 40), open=BOTH_CARDS),
    "as depmod leaves them": Drawn(NATIVE, then=indexed()),
    "none at all": Drawn(NATIVE),
    "no index of aliases": Drawn(NEITHER, then=without("modules.alias.bin"), open=BOTH_CARDS),
    "no index of names": Drawn(NEITHER, then=without("modules.dep.bin"), open=BOTH_CARDS),
    "no index of symbols": Drawn(NATIVE, then=without("modules.symbols.bin")),
    "no index of what is built in": Drawn(NATIVE, then=without("modules.builtin.bin")),
    "an empty one": Drawn(NEITHER, then=indexed(lambda tree: tree.file(f"{HERE}/modules.alias.bin")), open=BOTH_CARDS),
    "a text that was changed later": Drawn(NATIVE, then=later("modules.alias", changed=("nouveau", "other")), open=BOTH_CARDS),
    "texts that were only copied later": Drawn(NATIVE, then=later("modules.alias", "modules.dep")),
    "a rule that sets an override, without the index of aliases": Drawn(
        {CARD: "vfio-pci", SAME: None, NIC: "e1000e"}, {RULE: TO_GUEST}, then=without("modules.alias.bin"), open=BOTH_CARDS
    ),
}


@pytest.mark.parametrize("name", HOSTS)
def test_what_kmod_cannot_find_is_not_certain(tmp_path: Path, name: str) -> None:
    host = HOSTS[name]
    compare(host.tree(tmp_path), host.truth, host.open, HERE if host.open else "")
