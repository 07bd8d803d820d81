# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rules are read for the sake of properties that others ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.udev.rules import Rules
from ansible_collections.vfio.variants.tests.unit.trees import Tree

RULE = "/etc/udev/rules.d/90-site.rules"


@pytest.mark.parametrize(("before", "read"), [('ENV{X}="1"', 0), ('KERNEL=="*", ENV{X}="1"', 1), ('ENV{X}="1"\nLABEL="a"', 1)])
def test_what_sets_a_property_is_read_unless_the_file_has_set_it_for_each_event(tmp_path: Path, before: str, read: int) -> None:
    tree = Tree(tmp_path).file("/usr/lib/udev/rules.d/10-other.rules", 'ENV{X}="2"\n')
    tree.file(RULE, f'{before}\nENV{{X}}=="1", ATTR{{driver_override}}="vfio-pci"\n')
    found = Rules.read(tree.host(), (b"driver_override",))
    assert sum(rule.path != RULE for rule in found.rules) == read


@pytest.mark.parametrize(
    ("asked", "brings", "read"),
    [
        *(("X", f'IMPORT{{{kind}}}="X"', True) for kind in ("program", "file", "db", "parent")),
        ("X", 'PROGRAM=="/x"', False),
        ("ID_PATH", 'IMPORT{builtin}="path_id"', True),
        ("X", 'IMPORT{builtin}="path_id"', False),
        ("MODALIAS", 'IMPORT{db}="X"', False),
    ],
)
def test_what_may_bring_a_property_that_rules_ask_for_is_read(tmp_path: Path, asked: str, brings: str, read: bool) -> None:
    tree = Tree(tmp_path).file("/usr/lib/udev/rules.d/10-other.rules", f"{brings}\n")
    tree.file(RULE, f'ENV{{{asked}}}=="1", ATTR{{driver_override}}="vfio-pci"\n')
    found = Rules.read(tree.host(), (b"driver_override",))
    assert any(rule.path != RULE for rule in found.rules) is read
