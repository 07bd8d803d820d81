# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hardware database may give to a device, and whether a rule that asks for it matches."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.udev import hwdb
from ansible_collections.vfio.variants.tests.unit import worked_examples
from ansible_collections.vfio.variants.tests.unit.commands import Commands
from ansible_collections.vfio.variants.tests.unit.module_calls import device_info
from ansible_collections.vfio.variants.tests.unit.trees import DEBIAN_13, Tree

if t.TYPE_CHECKING:
    from pathlib import Path

CARD = "0000:3b:00.0"
MATCH = "pci:v000010DEd00001DB1*\n"
OWN = "/etc/udev/hwdb.d/card.hwdb"


def test_properties_are_read_with_their_places(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(OWN, f"# site\n{MATCH} GUEST=1\n\n{MATCH} GUEST=2\n SYSTEMD_WANTS=a.service\n")
    assert hwdb.read(tree.host()) == {"GUEST": (("1", f"{OWN}:3"), ("2", f"{OWN}:6")), "SYSTEMD_WANTS": (("a.service", f"{OWN}:7"),)}


def test_of_files_of_a_name_the_first_folder_s_counts_and_lists_of_names_are_left_out(tmp_path: Path) -> None:
    tree = Tree(tmp_path).file(OWN, f"{MATCH} A=1\n").file("/usr/lib/udev/hwdb.d/card.hwdb", f"{MATCH} B=1\n")
    tree.file("/usr/lib/udev/hwdb.d/20-OUI.hwdb", f"{MATCH} C=1\n").file("/etc/udev/hwdb.d/notes.txt", f"{MATCH} D=1\n")
    tree.file("/usr/lib/udev/hwdb.d/60-keyboard.hwdb", f"{MATCH} KEYBOARD_KEY_1=a\n ID_MODEL=b\n")
    assert set(hwdb.read(tree.host())) == {"A"}


def answer(tmp_path: Path, database: str, rule: str, **files: str) -> dict[str, t.Any]:
    everything = {OWN: MATCH + database, "/etc/udev/rules.d/60-card.rules": rule, **files}
    example = worked_examples.Example("hwdb", everything, (), None, (0, 0))
    (found,) = device_info(example.host(tmp_path).host(Commands(tmp_path)), devices=CARD)["devices"]
    kernel: dict[str, t.Any] = found["kernels"][DEBIAN_13]
    return kernel


def test_a_rule_that_asks_for_such_a_property_may_match_or_not(tmp_path: Path) -> None:
    rule = f'ACTION=="add", SUBSYSTEM=="pci", ENV{{GUEST}}=="1", KERNEL=="{CARD}", ATTR{{remove}}="1"\n'
    found = answer(tmp_path, " GUEST=1\n", rule)
    assert (found["certainty"], {None, "nouveau"} <= set(found["outcomes"])) == ("unknown", True)
    assert any("60-card.rules:1 may match or not" in line for line in found["because"])
    assert answer(tmp_path / "without", " OTHER=1\n", rule)["winner"] == "nouveau"


@pytest.mark.parametrize(("line", "is_open"), [(" SYSTEMD_WANTS=card.service\n", True), (" ID_MODEL_FROM_DATABASE=card.service\n", False)])
def test_a_unit_that_the_database_asks_for_is_read(tmp_path: Path, line: str, is_open: bool) -> None:
    unit = f"[Service]\nExecStart=/bin/sh -c 'echo {CARD} > /sys/bus/pci/drivers/nouveau/unbind'\n"
    found = answer(tmp_path, line, 'ACTION=="add", SUBSYSTEM=="pci", TAG+="systemd"\n', **{"/etc/systemd/system/card.service": unit})
    assert (found["certainty"] == "unknown") == is_open
    assert any(OWN in because or "card.service" in because for because in found["because"]) == is_open


def test_a_folder_of_such_a_name_has_no_properties(tmp_path: Path) -> None:
    assert hwdb.read(Tree(tmp_path).directory("/etc/udev/hwdb.d/50-site.hwdb").host()) == {}
