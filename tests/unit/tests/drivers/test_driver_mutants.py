# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.tests.drivers import driver_mutants
from ansible_collections.vfio.variants.tests.drivers.driver_mutants import MUTANTS, Mutant

TESTS = Path(driver_mutants.__file__).parents[1]
PACKAGE = TESTS.parent / "files/kernel/vfio-variants"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.mistake)
def test_each_mistake_can_be_made_in_the_drivers_as_they_are(mutant: Mutant, tmp_path: Path) -> None:
    made = mutant.make(PACKAGE, tmp_path / "package")
    different = [path.name for path in PACKAGE.iterdir() if path.read_bytes() != (made / path.name).read_bytes()]
    assert different == [mutant.file]


def test_each_mistake_is_for_a_case_that_there_is() -> None:
    cases = {path.name for path in (TESTS / "drivers/cases").iterdir()}
    assert {mutant.case for mutant in MUTANTS} <= cases


def test_a_mistake_that_has_no_place_any_more_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="0 places, and not one"):
        Mutant("it is gone", "10-match-table", "variant_ids.h", "no such text", "").make(PACKAGE, tmp_path / "package")
