# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The leak counter makes the drivers' calls fail one by one: it has to know each of them."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.vfio.variants.tests.drivers import driver_mutants

TESTS = Path(driver_mutants.__file__).parents[1]
PACKAGE = TESTS.parent / "files/kernel/vfio-variants"
COUNTER = (TESTS / "drivers/modules/leak_counter.h").read_text(encoding="utf-8")

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
CALL = re.compile(r"\b([a-z_]\w*)\(")
CAN_FAIL = re.compile(r"alloc|memdup|remap|insert_p|(?<!un)register|copy_(?:to|from)_user|core_enable|add_capability|add_dynid|request_")
OWN = re.compile(r"(?:__)?variant_|nvlink2|npu2_")
# Macros of the kernel's, and the name that a function had before the oldest kernel that is booted.
CALLED_AS = {
    "pci_register_driver": "__pci_register_driver",
    "vfio_alloc_device": "_vfio_alloc_device",
    "vfio_pci_register_dev_region": "vfio_pci_core_register_dev_region",
}


def calls_that_can_fail() -> set[str]:
    texts = [COMMENT.sub("", path.read_text(encoding="utf-8")) for path in PACKAGE.iterdir() if path.suffix in (".c", ".h")]
    names = {name for text in texts for name in CALL.findall(text) if CAN_FAIL.search(name) and not OWN.match(name)}
    return {CALLED_AS.get(name, name) for name in names}


def test_each_call_of_the_drivers_that_can_fail_is_made_to_fail() -> None:
    assert calls_that_can_fail() - set(re.findall(r'counter_fails\("(\w+)"\)', COUNTER)) == set()
    assert {"kcalloc", "memremap", "vfio_pci_core_enable"} <= calls_that_can_fail()


def test_whatever_the_leak_counter_makes_fail_takes_the_place_of_the_function() -> None:
    assert set(re.findall(r'counter_fails\("(\w+)"\)', COUNTER)) <= set(re.findall(r"^#define (\w+)", COUNTER, re.MULTILINE))
