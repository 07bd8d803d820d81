# SPDX-FileCopyrightText: The vfio.variants authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a function with its driver."""

from __future__ import annotations

import pytest

from ansible_collections.vfio.variants.plugins.module_utils._core.claim.guards import refuse_what_is_used
from ansible_collections.vfio.variants.plugins.module_utils._core.host.errors import HostError
from ansible_collections.vfio.variants.plugins.module_utils._core.pci.uses import Use
from ansible_collections.vfio.variants.tests.unit.boots import device

FIRST, SECOND = device("0000:01:00.0"), device("0000:02:00.0")


def uses(count: int, vital: bool = False) -> tuple[Use, ...]:
    return tuple(Use(f"use {number}", vital) for number in range(1, count + 1))


def told(found: dict[str, tuple[Use, ...]], force: bool = False) -> str:
    with pytest.raises(HostError) as caught:
        refuse_what_is_used(found, [FIRST, SECOND], force)
    return caught.value.msg


def test_what_is_not_used_is_let_go() -> None:
    refuse_what_is_used({}, [FIRST, SECOND], force=False)
    refuse_what_is_used({FIRST.address: ()}, [FIRST], force=False)
    refuse_what_is_used({"0000:99:00.0": uses(1)}, [FIRST], force=False)


def test_force_overrides_a_use_that_is_not_vital() -> None:
    assert told({SECOND.address: uses(1)}) == "0000:02:00.0 (10de:1db1) is in use: use 1."
    refuse_what_is_used({SECOND.address: uses(1)}, [FIRST, SECOND], force=True)


def test_nothing_overrides_a_vital_use_and_only_that_is_told() -> None:
    found = {FIRST.address: (*uses(1), Use("the root disk", True))}
    for force in (False, True):
        assert told(found, force) == "0000:01:00.0 (10de:1db1) keeps this host running: the root disk."


def test_the_first_function_that_is_used_is_told() -> None:
    assert told({FIRST.address: uses(1), SECOND.address: uses(1, vital=True)}).startswith("0000:01:00.0")


@pytest.mark.parametrize(
    ("count", "sentence"),
    [(1, "use 1."), (3, "use 1; use 2; use 3."), (4, "use 1; use 2; use 3; and 1 more."), (7, "use 1; use 2; use 3; and 4 more.")],
)
def test_three_uses_are_named_and_the_others_counted(count: int, sentence: str) -> None:
    assert told({FIRST.address: uses(count)}) == f"0000:01:00.0 (10de:1db1) is in use: {sentence}"
