# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a report names things."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.vfio.variants.plugins.plugin_utils._report.host_data import CERTAIN, RACE, UNKNOWN, BootOutcome
from ansible_collections.vfio.variants.plugins.plugin_utils._report.wording import CLASSES, outcome_text

PCI_IDS = Path("/usr/share/misc/pci.ids")


def test_classes_have_the_names_that_pci_ids_gives_them() -> None:
    known: dict[str, str] = {}
    base = ""
    for line in PCI_IDS.read_text(encoding="utf-8", errors="replace").splitlines():
        of_base, of_class = re.fullmatch(r"C ([0-9a-f]{2})  (.+)", line), re.fullmatch(r"\t([0-9a-f]{2})  (.+)", line)
        base = of_base[1] if of_base else "" if line[:1].strip() else base
        if base and of_class:
            known[base + of_class[1]] = of_class[2]
    assert {code: known.get(code) for code in CLASSES} == CLASSES


def test_an_outcome_says_how_certain_it_is() -> None:
    assert outcome_text(BootOutcome("nouveau", CERTAIN)) == "nouveau"
    assert outcome_text(BootOutcome(None, CERTAIN)) == "no driver"
    assert outcome_text(BootOutcome("a", RACE, possible=("a", None))) == "a race: a or no driver"
    assert outcome_text(BootOutcome(None, UNKNOWN)) == "cannot be determined"
