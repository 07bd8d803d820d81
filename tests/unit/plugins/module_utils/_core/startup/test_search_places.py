# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program's files are found wherever it takes them from, and nothing else is read."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.kernel.kernels import Kernel
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.device import Inventory
from ansible_collections.vfio.variants.plugins.module_utils._core.startup.programs import MOST_FILES, ProgramAnalysis
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, NVIDIA_DISPLAY, Tree

if t.TYPE_CHECKING:
    from ansible_collections.vfio.variants.plugins.module_utils._core.pci.influence import Influence

CARD = "0000:3b:00.0"
PROGRAM, SOURCE = "/opt/site/run", "/etc/rc.local:3"
UNBINDS = f"#!/bin/sh\necho {CARD} > /sys/bus/pci/drivers/nouveau/unbind\n"
UNBINDS_IN_PYTHON = f"def go():\n    open('/sys/bus/pci/drivers/nouveau/unbind', 'w').write('{CARD}')\n"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path).kernel(DEBIAN_13, {"nouveau": [NVIDIA_DISPLAY]}, running=True).pci(CARD)


def judged(tree: Tree, command: str = PROGRAM, folder: str | None = None) -> tuple[Influence, ...]:
    host = tree.host()
    return ProgramAnalysis(host, Kernel.read(host, DEBIAN_13), Inventory.read(host)).of(command, SOURCE, None, folder)


def unbinds_the_card(found: tuple[Influence, ...], by: str) -> None:
    (influence,) = found
    assert ("unbind" in influence.acts, influence.addresses) == (True, frozenset({CARD}))
    assert str(influence).startswith(f"{SOURCE} runs {by}:2, which writes to unbind;")


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("cd /srv/tools && ./go", "/srv/tools/go"),
        ("pushd /srv/tools\n./go", "/srv/tools/go"),
        ("HOME=/srv\ncd $HOME/tools\n./go", "/srv/tools/go"),
        ("PATH=$PATH:/srv/tools\ngo", "/srv/tools/go"),
        ("export PATH=/srv/tools:$PATH\ngo", "/srv/tools/go"),
        ("run-parts --regex '.*' /srv/tools", "/srv/tools/go"),
        ("for part in /srv/tools/*; do $part; done", "/srv/tools/go"),
        ("D=/srv/tools\nfor part in $D/*; do $part; done", "/srv/tools/go"),
        ("find /srv/tools -type f -exec {} \\;", "/srv/tools/go"),
        ("ls /srv/tools/* | xargs -n1 sh", "/srv/tools/go"),
        ("for part in /srv/tools/*.sh; do . $part; done", "/srv/tools/go.sh"),
        ("make -C /srv/tools all", "/srv/tools/Makefile"),
        ("cd /srv/tools\nmake", "/srv/tools/Makefile"),
        ("make -f /srv/tools/rules.mk", "/srv/tools/rules.mk"),
    ],
)
def test_a_shell_script_s_files_are_found(tree: Tree, lines: str, place: str) -> None:
    tree.file(PROGRAM, f"#!/bin/sh\n{lines}\n", 0o755).file(place, UNBINDS, 0o755)
    unbinds_the_card(judged(tree), place)


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("import mover", "/opt/site/mover.py"),
        ("from mover import go", "/opt/site/mover.py"),
        ("from parts import mover", "/opt/site/parts/mover.py"),
        ("import parts.mover as one, sys", "/opt/site/parts/mover.py"),
        ("import sys\nsys.path.insert(0, '/srv/lib')\nimport mover", "/srv/lib/mover.py"),
        ("import sys\nsys.path.append('lib')\nimport mover", "/opt/site/lib/mover.py"),
        ("import mover", "/usr/local/lib/python3.13/dist-packages/mover/__init__.py"),
    ],
)
def test_modules_that_python_imports_are_found(tree: Tree, lines: str, place: str) -> None:
    tree.file(PROGRAM, f"#!/usr/bin/env python3\n{lines}\nmover.go()\n", 0o755).file(place, UNBINDS_IN_PYTHON)
    unbinds_the_card(judged(tree), place)


@pytest.mark.parametrize(
    ("command", "folder", "place"),
    [
        ("/usr/bin/python3 -m mover", "/srv/tools", "/srv/tools/mover/__main__.py"),
        ("/usr/bin/python3 -u -m parts.mover", "/srv/tools", "/srv/tools/parts/mover.py"),
        ("/bin/bash ./go", "/srv/tools", "/srv/tools/go"),
        ("/bin/sh go.sh", "/srv/tools", "/srv/tools/go.sh"),
    ],
)
def test_a_unit_s_working_directory_counts(tree: Tree, command: str, folder: str, place: str) -> None:
    tree.file(place, UNBINDS_IN_PYTHON if "python" in command else UNBINDS)
    unbinds_the_card(judged(tree, command, folder), place)
    assert judged(tree, command, "/srv/other") == ()


def test_what_is_only_read_in_a_folder_is_not_run(tree: Tree) -> None:
    tree.file("/srv/data/notes.txt", UNBINDS.partition("\n")[2])
    tree.file(PROGRAM, '#!/bin/sh\nfor one in /srv/data/*; do wc -l "$one"; done\n', 0o755)
    assert judged(tree) == ()


def test_scripts_that_call_scripts_are_followed_to_the_last(tree: Tree) -> None:
    tree.file(PROGRAM, "#!/bin/sh\n/opt/site/0\n", 0o755)
    for depth in range(20):
        tree.file(f"/opt/site/{depth}", f"#!/bin/sh\n/opt/site/{depth + 1}\n", 0o755)
    unbinds_the_card(judged(tree.file("/opt/site/20", UNBINDS, 0o755)), "/opt/site/20")


def test_more_files_than_are_read_may_do_anything(tree: Tree) -> None:
    tree.file(PROGRAM, "#!/bin/sh\n" + "".join(f"/srv/parts/{number}\n" for number in range(MOST_FILES + 1)), 0o755)
    for number in range(MOST_FILES + 1):
        tree.file(f"/srv/parts/{number}", "#!/bin/sh\ntrue\n", 0o755)
    (influence,) = judged(tree)
    assert (influence.fact, influence.addresses) == (f"runs more than {MOST_FILES} files", None)


def test_an_interpreter_of_no_package_may_do_anything(tree: Tree) -> None:
    tree.file(PROGRAM, "#!/opt/site/interpreter\nhello\n", 0o755).file("/opt/site/interpreter", b"\x7fELF\x02\x01\x01\0", 0o755)
    (influence,) = judged(tree)
    assert influence.fact.startswith("runs /opt/site/interpreter, a compiled program")
    assert influence.addresses is None


@pytest.mark.parametrize("interpreter", ["/bin/sh", "/usr/bin/env bash", "/usr/local/bin/python3.13", "/usr/bin/perl -w"])
def test_a_known_interpreter_does_what_the_script_says(tree: Tree, interpreter: str) -> None:
    tree.file("/usr/local/bin/python3.13", b"\x7fELF\x02\x01\x01\0", 0o755)
    assert judged(tree.file(PROGRAM, f"#!{interpreter}\n", 0o755)) == ()
